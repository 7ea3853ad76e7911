//! Stochastic Newton methods next to damped Newton on one logistic regression.
//!
//! Prints after how many passes over the data, and how many seconds, each reaches a relative
//! distance of 10⁻², 10⁻⁴ and 10⁻⁶ from the minimum, and draws the distance over the passes.
//! Without arguments it runs on the breast-cancer data that the project carries:
//!
//! ```text
//! cargo run --all-features --example stochastic_race
//! cargo run --all-features --example stochastic_race -- a9a.gz --batch 1000
//! ```
//!
//! An iteration of damped Newton counts as one pass, one of the others as its batch. On nearly
//! separable data, such as the carried ones, steps 1/(1 + t) are soon too short for margins that
//! must grow, and the stochastic methods level off early.

use clap::Parser;
use plotters::prelude::*;
use raphson::models::LogisticRegression;
use raphson::stochastic::Sampler;
use raphson::{
    AveragedHessianNewton, DampedNewton, Error, FilteredNewton, IterationRecord, StochasticNewton,
    libsvm,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Races stochastic Newton methods against damped Newton.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// LIBSVM file, plain or gzip [default: the breast-cancer data of the project, standardized]
    file: Option<PathBuf>,
    /// Rows per batch [default: a tenth of the rows, at most 1000]
    #[arg(long)]
    batch: Option<usize>,
    /// Most passes over the data
    #[arg(long, default_value_t = 60)]
    epochs: u64,
    /// Seed of the batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw the curves to this SVG file
    #[arg(long, default_value = "stochastic-race.svg")]
    plot: PathBuf,
}

const CARRIED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/breast-cancer.libsvm"
);
const LEVELS: [f64; 3] = [1e-2, 1e-4, 1e-6];
/// Distances below this are rounding and left out of the plot.
const LEAST: f64 = 1e-14;

/// f at the evaluated points of one solver, over passes and seconds.
struct Curve {
    name: &'static str,
    points: Vec<Point>,
    status: &'static str,
}

#[derive(Clone, Copy)]
struct Point {
    passes: f64,
    seconds: f64,
    f: f64,
}

fn point(record: &IterationRecord, passes: f64) -> Point {
    Point {
        passes,
        seconds: record.seconds,
        f: record.f,
    }
}

fn race(arguments: &Arguments) -> Result<(Vec<Curve>, f64), Error> {
    let data = libsvm::read(arguments.file.as_deref().unwrap_or(Path::new(CARRIED)))?;
    let data = if arguments.file.is_some() {
        data
    } else {
        data.standardized().0
    };
    let n = data.n_rows();
    let model = LogisticRegression::new(&data).l2(1.0 / n as f64);
    let mut curves = Vec::new();
    let mut points = Vec::new();
    let exact = DampedNewton::new()
        .gradient_tol(1e-12)
        .on_iteration(|record| {
            points.push(point(record, record.iteration as f64));
            true
        })
        .minimize(&model, model.origin())?;
    curves.push(Curve {
        name: "damped Newton",
        points,
        status: exact.status.name(),
    });
    let b = arguments.batch.unwrap_or((n / 10).clamp(1, 1000));
    macro_rules! enter {
        ($name:literal, $solver:expr) => {{
            let mut points = Vec::new();
            let run = $solver
                .sampler(Sampler::EpochShuffle {
                    b,
                    drop_last: false,
                })
                .seed(arguments.seed)
                .max_epochs(arguments.epochs)
                .on_iteration(|record| {
                    points.push(point(record, record.epochs));
                    true
                })
                .minimize(&model, model.origin())?;
            curves.push(Curve {
                name: $name,
                points,
                status: run.status.name(),
            });
        }};
    }
    enter!("stochastic Newton", StochasticNewton::new());
    enter!("averaged Hessian", AveragedHessianNewton::new());
    enter!("filtered", FilteredNewton::new());
    Ok((curves, exact.f))
}

fn table(curves: &[Curve], minimum: f64) {
    print!("{:18} {:>18}", "", "ended as");
    for level in LEVELS {
        print!("  {:>19}", format!("{level:e}: passes, s"));
    }
    println!();
    for curve in curves {
        print!("{:18} {:>18}", curve.name, curve.status);
        for level in LEVELS {
            let reached = |p: &&Point| p.f - minimum <= level * minimum.abs();
            let cell = match curve.points.iter().find(reached) {
                Some(p) => format!("{:.1}, {:.3}", p.passes, p.seconds),
                None => "-".into(),
            };
            print!("  {cell:>19}");
        }
        println!();
    }
}

fn draw(curves: &[Curve], minimum: f64, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let colors = [
        RGBColor(0, 0, 0),
        RGBColor(213, 94, 0),
        RGBColor(0, 158, 115),
        RGBColor(0, 114, 178),
    ];
    let distance = |p: &Point| (p.f - minimum) / minimum.abs();
    let all = || curves.iter().flat_map(|c| &c.points);
    let last = all().map(|p| p.passes).fold(1.0, f64::max);
    let top = all().map(distance).fold(1e-2, f64::max);
    let root = SVGBackend::new(path, (760, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("relative distance from the minimum", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, (LEAST..2.0 * top).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("passes over the data")
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .draw()?;
    for (curve, color) in curves.iter().zip(colors) {
        let seen = curve.points.iter().filter(|p| distance(p) >= LEAST);
        let points = seen.map(|p| (p.passes, distance(p)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (curves, minimum) = match race(&arguments) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    table(&curves, minimum);
    if let Err(error) = draw(&curves, minimum, &arguments.plot) {
        eprintln!("error: {}: {error}", arguments.plot.display());
        return ExitCode::from(2);
    }
    println!("plot: {}", arguments.plot.display());
    ExitCode::SUCCESS
}
