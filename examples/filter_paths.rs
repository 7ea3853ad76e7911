//! The experiment of the paper on the filtered stochastic Newton method.
//!
//! Linear regressions with few variables and tiny batches; how far the iterates are from the
//! minimizer, and by what angle the directions miss it, in the mean over problems and paths.
//! Without arguments it repeats the published setting, draws both curves and prints the table:
//!
//! ```text
//! cargo run --all-features --example filter_paths
//! cargo run --all-features --example filter_paths -- --steps-by harmonic
//! ```
//!
//! With the published line search the filter is far ahead in the first steps; with fair steps
//! the averaged Hessian is.

use argmin::core::Error as HostError;
use clap::{Parser, ValueEnum};
use plotters::prelude::*;
use raphson::method::Method;
use raphson::oracle::Batches;
use raphson::stochastic::{Purpose, Stream};
use raphson::{
    AveragedHessianNewton, Batch, Error, FilteredNewton, FiniteSum, MarginalPrecision, Raphson,
    Sampler, StepSchedule, StochasticNewton,
};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Steps {
    /// The published line search: 1, 1/2, ..., 1/16 with the constant 0.95
    Paper,
    /// The same trials with the constant 1e-4
    Armijo,
    /// 1/(1 + t)
    Harmonic,
    /// A quarter
    Constant,
}

/// Compares filtered, averaged and plain stochastic Newton methods on random regressions.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Step lengths
    #[arg(long, value_enum, default_value = "paper")]
    steps_by: Steps,
    /// Random problems
    #[arg(long, default_value_t = 20)]
    problems: u64,
    /// Paths for each problem
    #[arg(long, default_value_t = 100)]
    paths: u64,
    /// Steps of a path
    #[arg(long, default_value_t = 30)]
    steps: u64,
    /// Rows of a problem
    #[arg(short, default_value_t = 100)]
    n: usize,
    /// Variables of a problem, at least 2
    #[arg(short, default_value_t = 2)]
    d: usize,
    /// Rows in a batch, drawn with replacement
    #[arg(long, default_value_t = 5)]
    batch: usize,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the curves are drawn
    #[arg(long, default_value = "filter-paths.svg")]
    plot: PathBuf,
}

/// The mean of (x·w − y)²/2 over rows x ~ N(0, 0.9 I + 0.1·11ᵀ), y = x·w* + N(0, 1),
/// w* ~ N(1, I). It notes the points at which batches are evaluated.
struct Regression {
    rows: Vec<(Vec<f64>, f64)>,
    points: RefCell<Vec<Vec<f64>>>,
}

impl Regression {
    fn random(stream: &mut Stream, n: usize, d: usize) -> Self {
        let truth: Vec<f64> = (0..d).map(|_| 1.0 + stream.normal()).collect();
        let rows = (0..n)
            .map(|_| {
                let common = 0.1f64.sqrt() * stream.normal();
                let x: Vec<f64> = (0..d)
                    .map(|_| 0.9f64.sqrt() * stream.normal() + common)
                    .collect();
                let y = dot(&x, &truth) + stream.normal();
                (x, y)
            })
            .collect();
        Regression {
            rows,
            points: RefCell::default(),
        }
    }

    fn mean(&self, batch: Batch<'_>, mut add: impl FnMut(f64, &[f64], f64)) {
        match batch {
            Batch::All => {
                let weight = 1.0 / self.rows.len() as f64;
                self.rows.iter().for_each(|(x, y)| add(weight, x, *y));
            }
            Batch::Terms(terms) => {
                let weight = 1.0 / terms.len() as f64;
                for (x, y) in terms.iter().map(|&i| &self.rows[i]) {
                    add(weight, x, *y);
                }
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

impl FiniteSum for Regression {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = Vec<Vec<f64>>;

    fn terms(&self) -> usize {
        self.rows.len()
    }
    fn value(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        let mut f = 0.0;
        self.mean(batch, |c, x, y| f += 0.5 * c * (dot(x, w) - y).powi(2));
        Ok(f)
    }
    fn value_gradient(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        if batch != Batch::All {
            self.points.borrow_mut().push(w.clone());
        }
        let (mut f, mut g) = (0.0, vec![0.0; w.len()]);
        self.mean(batch, |c, x, y| {
            let r = dot(x, w) - y;
            f += 0.5 * c * r * r;
            for (g, x) in g.iter_mut().zip(x) {
                *g += c * r * x;
            }
        });
        Ok((f, g))
    }
    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<Vec<Vec<f64>>, HostError> {
        let mut h = vec![vec![0.0; w.len()]; w.len()];
        self.mean(batch, |c, x, _| {
            for (row, a) in h.iter_mut().zip(x) {
                for (h, b) in row.iter_mut().zip(x) {
                    *h += c * a * b;
                }
            }
        });
        Ok(h)
    }
}

/// Means over all paths of one method.
struct Curve {
    name: &'static str,
    /// ‖x − x*‖ after 0, 1, … steps.
    distance: Vec<f64>,
    /// Squared angle between the step and the way to x*.
    angle: Vec<f64>,
}

fn schedule(steps: Steps) -> StepSchedule {
    let search = |c1| StepSchedule::BatchArmijo {
        c1,
        shrink: 0.5,
        max_trials: 5,
        s_max: 1.0,
        growth: 16.0,
        take_last: true,
    };
    match steps {
        Steps::Paper => search(0.95),
        Steps::Armijo => search(1e-4),
        Steps::Harmonic => StepSchedule::default(),
        Steps::Constant => StepSchedule::Constant(0.25),
    }
}

fn curve<M: Method + Clone>(
    name: &'static str,
    arguments: &Arguments,
    solver: impl Fn(u64) -> Raphson<M, Batches>,
) -> Result<Curve, Error> {
    let steps = arguments.steps as usize;
    let mut curve = Curve {
        name,
        distance: vec![0.0; steps + 1],
        angle: vec![0.0; steps],
    };
    let weight = 1.0 / (arguments.problems * arguments.paths) as f64;
    for problem in 0..arguments.problems {
        let mut stream = Stream::new(arguments.seed + problem, Purpose::Escape);
        let regression = Regression::random(&mut stream, arguments.n, arguments.d);
        let x0: Vec<f64> = (0..arguments.d).map(|_| stream.normal()).collect();
        let optimum = StochasticNewton::new()
            .sampler(Sampler::FullBatch)
            .schedule(StepSchedule::Constant(1.0))
            .minimize(&regression, x0.clone())?
            .must_converge()?
            .x;
        for path in 0..arguments.paths {
            regression.points.borrow_mut().clear();
            let seed = (arguments.seed + problem) * arguments.paths + path;
            let run = solver(seed).minimize(&regression, x0.clone())?;
            let mut points = regression.points.take();
            points.push(run.last.x);
            for (mean, x) in curve.distance.iter_mut().zip(&points) {
                let off = minus(x, &optimum);
                *mean += weight * dot(&off, &off).sqrt();
            }
            for (mean, pair) in curve.angle.iter_mut().zip(points.windows(2)) {
                let (step, way) = (minus(&pair[1], &pair[0]), minus(&optimum, &pair[0]));
                let cosine = dot(&step, &way) / (dot(&step, &step) * dot(&way, &way)).sqrt();
                *mean += weight * cosine.clamp(-1.0, 1.0).acos().powi(2);
            }
        }
    }
    Ok(curve)
}

fn curves(arguments: &Arguments) -> Result<Vec<Curve>, Error> {
    let line = schedule(arguments.steps_by);
    macro_rules! curve_of {
        ($name:expr, $solver:expr) => {
            curve($name, arguments, |seed| {
                $solver
                    .schedule(line)
                    .damping(0.0, 1e-12)
                    .sampler(Sampler::WithReplacement { b: arguments.batch })
                    .seed(seed)
                    .max_iters(arguments.steps)
                    .max_epochs(None)
                    .plateau(0, 0.0)
                    .gradient_tol(0.0)
                    .evaluate_every(0)
            })?
        };
    }
    let filter = || FilteredNewton::new().paper_mode();
    Ok(vec![
        curve_of!("Newton", StochasticNewton::new()),
        curve_of!("filter, as published", filter()),
        curve_of!("filter", filter().marginal(MarginalPrecision::Omit)),
        curve_of!("filter, normalized", {
            filter().marginal(MarginalPrecision::Omit).normalize(true)
        }),
        curve_of!("averaged Hessian", AveragedHessianNewton::new()),
    ])
}

fn print(curves: &[Curve], steps: usize) {
    let at: Vec<usize> = [1, 2, 3, 5, 10, 20, 30, 60]
        .into_iter()
        .filter(|&t| t <= steps)
        .collect();
    for (what, pick) in [("distance after step", 0), ("squared angle of step", 1)] {
        print!("{what:22}");
        at.iter().for_each(|t| print!(" {t:>7}"));
        println!();
        for curve in curves {
            print!("{:22}", curve.name);
            for &t in &at {
                let value = [curve.distance[t], curve.angle[t - 1]][pick];
                print!(" {value:>7.3}");
            }
            println!();
        }
    }
}

fn draw(curves: &[Curve], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let colors = [
        RGBColor(0, 0, 0),
        RGBColor(213, 94, 0),
        RGBColor(230, 159, 0),
        RGBColor(0, 114, 178),
        RGBColor(0, 158, 115),
    ];
    let root = SVGBackend::new(path, (1100, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(550);
    type Pick = fn(&Curve) -> &[f64];
    let panels: [(_, _, Pick); 2] = [
        (&left, "mean distance to the minimizer", |c| &c.distance),
        (&right, "mean squared angle to the minimizer", |c| &c.angle),
    ];
    for (area, title, pick) in panels {
        let values = curves.iter().flat_map(|c| pick(c).iter().copied());
        let top = 1.05 * values.fold(1e-9, f64::max);
        let last = curves.iter().map(|c| pick(c).len()).max().unwrap_or(1);
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..last as f64, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("step")
            .draw()?;
        for (curve, color) in curves.iter().zip(colors) {
            let first = curves[0].distance.len() - pick(curve).len();
            let points = (first..).map(|t| t as f64).zip(pick(curve).iter().copied());
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
        }
        if title.contains("distance") {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE)
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.d < 2 || arguments.n <= arguments.d || arguments.steps == 0 {
        eprintln!("give at least 2 variables, more rows than variables, and 1 step");
        return ExitCode::from(2);
    }
    if arguments.problems == 0 || arguments.paths == 0 {
        eprintln!("give at least 1 problem and 1 path");
        return ExitCode::from(2);
    }
    let curves = match curves(&arguments) {
        Ok(curves) => curves,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    print(&curves, arguments.steps as usize);
    if let Err(error) = draw(&curves, &arguments.plot) {
        eprintln!("{}: {error}", arguments.plot.display());
        return ExitCode::from(2);
    }
    eprintln!("curves in {}", arguments.plot.display());
    ExitCode::SUCCESS
}
