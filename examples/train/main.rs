//! Exact Gauss-Newton against gradient descent and Adam, on batches of two small tasks.
//!
//! Without arguments a network 64-32-10 learns the 8 x 8 digits that the project carries; `train
//! diamonds` fits prices by a network 26-32-64-32-1 from a CSV file, named by an argument or found
//! as `regression/diamonds.csv.gz` in the folder that `RAPHSON_DATA` names. All methods start from
//! the same weights and see the same batches. The tables show the loss on all training data and
//! the error on the test data, and after how many steps and seconds some errors were reached;
//! the plots show the curves over steps and over seconds.
//!
//! ```text
//! cargo run --release --all-features --example train
//! cargo run --release --all-features --example train -- diamonds diamonds.csv
//! ```
//!
//! A Gauss-Newton step does several times the work of an Adam step, so look at both tables. With
//! many outputs a term, conjugate gradients (CG) are its fastest way.

mod data;
mod first_order;

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Error as HostError, Executor, IterState, KV};
use clap::{Parser, ValueEnum};
use data::Task;
use first_order::{FirstOrder, descend};
use plotters::prelude::*;
use raphson::stochastic::Sampler;
use raphson::{Batch, Error, ExactGaussNewton, FiniteSum, GramSolve, Outcome};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Name {
    Digits,
    Diamonds,
}

/// Trains a small network by exact Gauss-Newton, gradient descent and Adam.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// What to learn
    #[arg(value_enum, default_value = "digits")]
    task: Name,
    /// LIBSVM file of digits or CSV file of diamonds, plain or gzip [default: the carried digits;
    /// diamonds of the folder RAPHSON_DATA]
    file: Option<PathBuf>,
    /// Steps of every method [default: 150; diamonds: 3000]
    #[arg(long)]
    steps: Option<u64>,
    /// Rows per batch [default: 32; diamonds: 128]
    #[arg(long)]
    batch: Option<usize>,
    /// Damping of exact Gauss-Newton
    #[arg(long, default_value_t = 1.0)]
    lambda: f64,
    /// Step length of exact Gauss-Newton
    #[arg(long, default_value_t = 1.0)]
    step: f64,
    /// Seed of weights, batches and of what is left for the test
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Points of the curves
    #[arg(long, default_value_t = 30)]
    points: u64,
    /// Draw the curves to this SVG file
    #[arg(long, default_value = "train.svg")]
    plot: PathBuf,
    /// Write the table as a JSON array to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// A point on the way.
struct Point {
    step: u64,
    seconds: f64,
    loss: f64,
    error: f64,
}

struct Curve {
    name: String,
    status: &'static str,
    points: Vec<Point>,
}

/// The weights after every so many steps.
struct Watch {
    clock: Instant,
    every: u64,
    seen: Vec<(u64, f64, Vec<f64>)>,
}

impl Watch {
    fn new(start: &[f64], every: u64) -> Self {
        Watch {
            clock: Instant::now(),
            every,
            seen: vec![(0, 0.0, start.to_vec())],
        }
    }

    fn look(&mut self, step: u64, x: &[f64]) {
        if step.is_multiple_of(self.every) {
            let seconds = self.clock.elapsed().as_secs_f64();
            self.seen.push((step, seconds, x.to_vec()));
        }
    }

    fn curve(self, name: String, status: &'static str, task: &Task) -> Result<Curve, Error> {
        let model = task.model();
        let mut points = Vec::new();
        for (step, seconds, x) in self.seen {
            points.push(Point {
                step,
                seconds,
                loss: FiniteSum::value(&model, &x, Batch::All).map_err(Error::Problem)?,
                error: task.test_error(&model, &x)?,
            });
        }
        Ok(Curve {
            name,
            status,
            points,
        })
    }
}

/// Shows the watch what argmin's observers see.
struct Observer(Rc<RefCell<Watch>>);

impl Observe<Host> for Observer {
    fn observe_iter(&mut self, state: &Host, _: &KV) -> Result<(), HostError> {
        if let Some(x) = &state.param {
            self.0.borrow_mut().look(state.iter + 1, x);
        }
        Ok(())
    }
}

fn race(arguments: &Arguments, task: &Task) -> Result<Vec<Curve>, Error> {
    let diamonds = arguments.task == Name::Diamonds;
    let steps = arguments
        .steps
        .unwrap_or(if diamonds { 3000 } else { 150 })
        .max(1);
    let sampler = Sampler::EpochShuffle {
        b: arguments.batch.unwrap_or(if diamonds { 128 } else { 32 }),
        drop_last: false,
    };
    let every = (steps / arguments.points.max(1)).max(1);
    let start = task.model().fan_in(arguments.seed);
    let mut curves = Vec::new();
    let rate = if diamonds { 0.1 } else { 0.3 };
    for (name, method) in [
        (format!("descent {rate}"), FirstOrder::Descent(rate)),
        ("Adam 0.01".into(), FirstOrder::Adam(0.01)),
        ("Adam 0.003".into(), FirstOrder::Adam(0.003)),
    ] {
        let model = task.model();
        let mut watch = Watch::new(&start, every);
        let look = |step, x: &[f64]| watch.look(step, x);
        descend(
            method,
            &model,
            sampler,
            arguments.seed,
            steps,
            start.clone(),
            look,
        )?;
        curves.push(watch.curve(name, "MaxIterations", task)?);
    }
    for (step, lambda, way) in [
        (arguments.step, arguments.lambda, GramSolve::Auto),
        (arguments.step, arguments.lambda, GramSolve::Cg),
        (0.4, 0.1, GramSolve::Auto),
    ] {
        let model = task.model();
        let watch = Rc::new(RefCell::new(Watch::new(&start, every)));
        let solver = ExactGaussNewton::new()
            .lambda(lambda)
            .step_length(step)
            .solve_by(way)
            .sampler(sampler)
            .seed(arguments.seed)
            .max_iters(steps)
            .max_epochs(None)
            .plateau(0, 0.0)
            .evaluate_every(0);
        let result = Executor::new(model, solver)
            .configure(|state| state.param(start.clone()))
            .ctrlc(false)
            .add_observer(Observer(Rc::clone(&watch)), ObserverMode::Always)
            .run()
            .map_err(Error::Problem)?;
        let status = result.status().name();
        drop(result);
        let by = if way == GramSolve::Cg { ", CG" } else { "" };
        let name = format!("Gauss-Newton s {step} λ {lambda}{by}");
        let watch = watch.replace(Watch::new(&[], 1));
        curves.push(watch.curve(name, status, task)?);
    }
    Ok(curves)
}

/// Loss and error, at the end and the best seen, and the time of a step.
fn table(curves: &[Curve], task: &Task) -> serde_json::Value {
    let error = task.unit.map_or("test error", |_| "test RMSE");
    println!(
        "{:28} {:>14} {:>21} {:>21} {:>9}",
        "",
        "ended as",
        "loss: last, best",
        format!("{error}: last, best"),
        "ms a step"
    );
    let mut rows = Vec::new();
    for curve in curves {
        let Some(last) = curve.points.last() else {
            continue;
        };
        let best = |of: fn(&Point) -> f64| curve.points.iter().map(of).fold(f64::MAX, f64::min);
        let (loss, least) = (best(|p| p.loss), best(|p| p.error));
        let each = 1e3 * last.seconds / last.step.max(1) as f64;
        println!(
            "{:28} {:>14} {:>21} {:>21} {each:>9.2}",
            curve.name,
            curve.status,
            format!("{:.4}, {loss:.4}", last.loss),
            format!("{}, {}", short(last.error, task), short(least, task)),
        );
        rows.push(serde_json::json!({
            "method": curve.name,
            "status": curve.status,
            "steps": last.step,
            "seconds": last.seconds,
            "loss": last.loss,
            "best_loss": loss,
            "test_error": last.error,
            "best_test_error": least,
        }));
    }
    rows.into()
}

fn short(error: f64, task: &Task) -> String {
    match task.unit {
        Some(_) => format!("{error:.1}"),
        None => format!("{error:.4}"),
    }
}

/// Steps and seconds to some values of what the task is judged by.
fn reached(curves: &[Curve], task: &Task) {
    let (what, levels): (_, [f64; 3]) = match task.unit {
        Some(_) => ("test RMSE", [700.0, 650.0, 610.0]),
        None => ("loss", [0.5, 0.2, 0.13]),
    };
    print!("\n{:28}", format!("{what}: steps, s"));
    for level in levels {
        print!(" {level:>16}");
    }
    println!();
    for curve in curves {
        print!("{:28}", curve.name);
        for level in levels {
            let judged = |p: &&Point| judged(p, task) <= level;
            let cell = match curve.points.iter().find(judged) {
                Some(p) => format!("{}, {:.2}", p.step, p.seconds),
                None => "-".into(),
            };
            print!(" {cell:>16}");
        }
        println!();
    }
}

/// The test error of a regression, the loss of a classifier.
fn judged(point: &Point, task: &Task) -> f64 {
    match task.unit {
        Some(_) => point.error,
        None => point.loss,
    }
}

fn draw(curves: &[Curve], task: &Task, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let colors = [
        RGBColor(150, 150, 150),
        RGBColor(213, 94, 0),
        RGBColor(230, 159, 0),
        RGBColor(0, 114, 178),
        RGBColor(86, 180, 233),
        RGBColor(0, 158, 115),
    ];
    let value = |p: &Point| judged(p, task);
    let all = || {
        curves
            .iter()
            .flat_map(|c| &c.points)
            .filter(|p| value(p).is_finite())
    };
    let low = all().map(value).fold(f64::MAX, f64::min);
    let top = all().filter(|p| p.step > 0).map(value).fold(low, f64::max);
    let root = SVGBackend::new(path, (980, 440)).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = match task.unit {
        Some(_) => "test RMSE",
        None => "training loss",
    };
    for (k, panel) in root.split_evenly((1, 2)).iter().enumerate() {
        let name = ["steps", "seconds"][k];
        let x = |p: &Point| [p.step as f64, p.seconds][k];
        let last = all().map(x).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(panel)
            .caption(caption, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..last, (0.9 * low..1.2 * top.max(2.0 * low)).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(name)
            .draw()?;
        for (curve, color) in curves.iter().zip(colors) {
            let points = curve.points.iter().map(|p| (x(p), value(p)));
            let points = points.filter(|(_, y)| y.is_finite());
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(&curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .draw()?;
    }
    root.present()?;
    Ok(())
}

fn load(arguments: &Arguments) -> Result<Task, Error> {
    match (arguments.task, &arguments.file) {
        (Name::Digits, None) => data::digits(Path::new(data::DIGITS), arguments.seed),
        (Name::Digits, Some(file)) => data::digits(file, arguments.seed),
        (Name::Diamonds, Some(file)) => data::diamonds(file, arguments.seed),
        (Name::Diamonds, None) => match std::env::var_os("RAPHSON_DATA") {
            Some(folder) => {
                let file = PathBuf::from(folder).join("regression/diamonds.csv.gz");
                data::diamonds(&file, arguments.seed)
            }
            None => Err(Error::Data(
                "name the CSV file of diamonds, or set RAPHSON_DATA".into(),
            )),
        },
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let task = load(arguments)?;
    let curves = race(arguments, &task)?;
    let rows = table(&curves, &task);
    reached(&curves, &task);
    if let Some(path) = &arguments.json {
        let outcome = if path == Path::new("-") {
            println!("{rows}");
            Ok(())
        } else {
            std::fs::write(path, format!("{rows}\n"))
        };
        outcome.map_err(|source| Error::Io {
            path: path.display().to_string(),
            source,
        })?;
    }
    draw(&curves, &task, &arguments.plot)
        .map_err(|error| Error::Data(format!("{}: {error}", arguments.plot.display())))?;
    println!("plot: {}", arguments.plot.display());
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
