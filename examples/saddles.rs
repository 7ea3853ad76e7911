//! Saddle points on the way: a small neural network trained from next to one.
//!
//! A network of one hidden layer (64-5-10, tanh, softmax) on a thousand 8 x 8 digits starts at
//! weights a thousandth of the usual size, next to the saddle point at zero. Compared are
//! saddle-free Newton, dense and in Krylov spaces, trust-region Newton, and gradient descent with
//! momentum. The table shows loss, training error, and the least eigenvalue of the Hessian at the end;
//! the plot shows the loss over oracle calls and the number of negative eigenvalues on the way.
//!
//! ```text
//! cargo run --all-features --example saddles
//! cargo run --all-features --example saddles -- --scale 0.3 --seed 2
//! ```
//!
//! A value, a gradient and a Hessian-vector product count as one call each, a Hessian as one
//! product for every weight.

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error as HostError, Executor, Gradient, Hessian, IterState, KV};
use clap::Parser;
use plotters::prelude::*;
use raphson::linear::SymmetricEigen;
use raphson::models::Mlp;
use raphson::{Dataset, Error, Outcome, SaddleFreeNewton, SymMat, TrustRegionNewton, libsvm};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

/// Trains a small network from next to a saddle point.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// LIBSVM file with one label per class, plain or gzip [default: the digits of the project]
    file: Option<PathBuf>,
    /// Rows of the file that are used
    #[arg(long, default_value_t = 1000)]
    rows: usize,
    /// Width of the hidden layer
    #[arg(long, default_value_t = 5)]
    hidden: usize,
    /// Size of the first weights
    #[arg(long, default_value_t = 1e-3)]
    scale: f64,
    /// Seed of the first weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most iterations of the Newton-type methods
    #[arg(long, default_value_t = 60)]
    iterations: u64,
    /// Iterations of gradient descent; 0: without it
    #[arg(long, default_value_t = 4000)]
    descent: u64,
    /// Vectors of the Krylov spaces
    #[arg(long, default_value_t = 30)]
    krylov: usize,
    /// Draw the curves to this SVG file
    #[arg(long, default_value = "saddles.svg")]
    plot: PathBuf,
    /// Write the table as a JSON array to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

const CARRIED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/digits.libsvm.gz"
);
const L2: f64 = 1e-4;
/// Rates of gradient descent, and its momentum.
const RATES: [f64; 2] = [0.3, 0.1];
const MOMENTUM: f64 = 0.9;
/// Points of a curve of gradient descent at which eigenvalues are computed.
const LOOKS: u64 = 40;

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// A point on the way.
struct Point {
    calls: u64,
    f: f64,
    index: usize,
}

/// One method.
struct Curve {
    name: String,
    iterations: u64,
    points: Vec<Point>,
    x: Vec<f64>,
    seconds: f64,
    status: &'static str,
}

/// Calls, f and x of an iteration.
type Seen = (u64, f64, Vec<f64>);

/// Keeps what every iteration shows.
#[derive(Clone, Default)]
struct Watch(Rc<RefCell<Vec<Seen>>>);

impl Watch {
    fn keep(&self, state: &Host, kv: &KV) {
        let count = |key| kv.get(key).and_then(|v| v.get_uint()).unwrap_or(0);
        let x = state.param.clone().unwrap_or_default();
        let calls = count("values")
            + count("gradients")
            + count("hessian_products")
            + count("hessians") * x.len() as u64;
        eprint!(
            "\r{:>4} iterations, loss {:.6} ",
            state.iter + 1,
            state.cost
        );
        self.0.borrow_mut().push((calls, state.cost, x));
    }
}

impl Observe<Host> for Watch {
    fn observe_iter(&mut self, state: &Host, kv: &KV) -> Result<(), HostError> {
        self.keep(state, kv);
        Ok(())
    }
}

/// The least eigenvalue of the Hessian, and how many are negative.
fn spectrum(model: &Mlp, x: &Vec<f64>) -> Result<(f64, usize), Error> {
    let h = Hessian::hessian(model, x).map_err(Error::Problem)?;
    let mut eigen = SymmetricEigen::new();
    eigen
        .factor(h.sym())
        .map_err(|breakdown| Error::Data(breakdown.to_string()))?;
    let negative = eigen.values().iter().filter(|d| **d < 0.0).count();
    Ok((eigen.values()[0], negative))
}

/// Runs a solver of the library under argmin.
macro_rules! newton {
    ($name:expr, $model:expr, $solver:expr, $start:expr, $most:expr) => {{
        let watch = Watch::default();
        let clock = Instant::now();
        let result = Executor::new($model, $solver.metrics(true))
            .configure(|state| state.param($start.clone()).max_iters($most))
            .ctrlc(false)
            .add_observer(watch.clone(), ObserverMode::Always)
            .run()
            .map_err(Error::Problem)?;
        let seconds = clock.elapsed().as_secs_f64();
        eprintln!("{}", $name);
        let mut points = Vec::new();
        for (calls, f, x) in watch.0.take() {
            let index = spectrum(&$model, &x)?.1;
            points.push(Point { calls, f, index });
        }
        Curve {
            name: $name,
            iterations: result.state.iter,
            points,
            x: result.state.best_param.clone().unwrap_or_default(),
            seconds,
            status: result.status().name(),
        }
    }};
}

/// Gradient descent with momentum.
fn descend(model: &Mlp, rate: f64, steps: u64, start: &[f64]) -> Result<Curve, Error> {
    let mut x = start.to_vec();
    let mut step = vec![0.0; x.len()];
    let mut points = Vec::new();
    let clock = Instant::now();
    let mut looking = 0.0;
    for k in 0..=steps {
        if k % (steps / LOOKS).max(1) == 0 {
            let look = Instant::now();
            let (f, index) = (value(model, &x)?, spectrum(model, &x)?.1);
            points.push(Point { calls: k, f, index });
            looking += look.elapsed().as_secs_f64();
        }
        let g = Gradient::gradient(model, &x).map_err(Error::Problem)?;
        for ((x, p), g) in x.iter_mut().zip(&mut step).zip(&g) {
            *p = MOMENTUM * *p - rate * g;
            *x += *p;
        }
    }
    Ok(Curve {
        name: format!("momentum, rate {rate}"),
        iterations: steps,
        points,
        x,
        seconds: clock.elapsed().as_secs_f64() - looking,
        status: "-",
    })
}

fn value(model: &Mlp, x: &Vec<f64>) -> Result<f64, Error> {
    model.cost(x).map_err(Error::Problem)
}

/// The first rows, with pixels from -1/2 to 1/2.
fn read(arguments: &Arguments) -> Result<Dataset, Error> {
    let data = libsvm::read(arguments.file.as_deref().unwrap_or(Path::new(CARRIED)))?;
    let n = arguments.rows.min(data.n_rows());
    let largest = (0..n)
        .flat_map(|i| data.row(i).1)
        .fold(0.0f64, |m, v| m.max(v.abs()));
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row = vec![-0.5; data.n_features()];
            let (columns, values) = data.row(i);
            for (&j, v) in columns.iter().zip(values) {
                row[j as usize] += v / largest;
            }
            row
        })
        .collect();
    Dataset::from_rows(&rows, &data.labels()[..n])
}

fn race(arguments: &Arguments, data: &Dataset) -> Result<Vec<Curve>, Error> {
    let model = || Mlp::classifier(data, &[arguments.hidden]).l2(L2);
    let start = model().initial(arguments.seed, arguments.scale);
    let most = arguments.iterations;
    let free = SaddleFreeNewton::matrix_free().krylov(arguments.krylov);
    let name = format!("saddle-free, k = {}", arguments.krylov);
    let mut curves = vec![
        newton!(
            "saddle-free".to_string(),
            model(),
            SaddleFreeNewton::new(),
            start,
            most
        ),
        newton!(name, model(), free, start, most),
        newton!(
            "trust region".to_string(),
            model(),
            TrustRegionNewton::new().second_order(true),
            start,
            most
        ),
    ];
    if arguments.descent > 0 {
        for rate in RATES {
            curves.push(descend(&model(), rate, arguments.descent, &start)?);
        }
    }
    Ok(curves)
}

/// One line a method.
fn table(curves: &[Curve], model: &Mlp, data: &Dataset) -> Result<serde_json::Value, Error> {
    println!(
        "{:20} {:>10} {:>9} {:>9} {:>9} {:>11} {:>6} {:>8}  ended as",
        "", "iterations", "loss", "error", "|g|", "least eig.", "index", "seconds"
    );
    let mut rows = Vec::new();
    for curve in curves {
        let (least, index) = spectrum(model, &curve.x)?;
        let f = value(model, &curve.x)?;
        let g = Gradient::gradient(model, &curve.x).map_err(Error::Problem)?;
        let slope = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        let error = model.error_rate(&curve.x, data)?;
        println!(
            "{:20} {:>10} {:>9.5} {:>8.2}% {:>9.1e} {:>11.2e} {:>6} {:>8.2}  {}",
            curve.name,
            curve.iterations,
            f,
            100.0 * error,
            slope,
            least,
            index,
            curve.seconds,
            curve.status
        );
        rows.push(serde_json::json!({
            "method": curve.name,
            "iterations": curve.iterations,
            "loss": f,
            "error_rate": error,
            "grad_norm": slope,
            "least_eigenvalue": least,
            "index": index,
            "calls": curve.points.last().map(|p| p.calls),
            "seconds": curve.seconds,
            "status": curve.status,
        }));
    }
    Ok(rows.into())
}

fn draw(curves: &[Curve], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let colors = [
        RGBColor(0, 0, 0),
        RGBColor(0, 114, 178),
        RGBColor(213, 94, 0),
        RGBColor(0, 158, 115),
        RGBColor(204, 121, 167),
    ];
    let all = || curves.iter().flat_map(|c| &c.points);
    let last = all().map(|p| p.calls).max().unwrap_or(1) as f64;
    let low = all().map(|p| p.f).fold(f64::INFINITY, f64::min);
    let high = all().map(|p| p.f).fold(low, f64::max);
    let most = all().map(|p| p.index).max().unwrap_or(1).max(1) as f64;
    let root = SVGBackend::new(path, (760, 760)).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(400);
    let calls = |p: &Point| p.calls.max(1) as f64;
    let mut chart = ChartBuilder::on(&upper)
        .caption("loss", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..last).log_scale(), (0.9 * low..1.1 * high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("oracle calls")
        .draw()?;
    for (curve, color) in curves.iter().zip(colors) {
        let points = curve.points.iter().map(|p| (calls(p), p.f));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE)
        .draw()?;
    let mut chart = ChartBuilder::on(&lower)
        .caption("negative eigenvalues of the Hessian", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..last).log_scale(), 0.0..1.05 * most)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("oracle calls")
        .draw()?;
    for (curve, color) in curves.iter().zip(colors) {
        let points = curve.points.iter().map(|p| (calls(p), p.index as f64));
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let data = read(arguments)?;
    let curves = race(arguments, &data)?;
    let model = Mlp::classifier(&data, &[arguments.hidden]).l2(L2);
    let rows = table(&curves, &model, &data)?;
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
    draw(&curves, &arguments.plot)
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
