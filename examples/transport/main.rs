//! Optimal transport between two images, two masses with a cost table, or random ones.
//!
//! Without arguments it carries a ring to a blob that it draws itself, and plots to transport.svg: the plan, the
//! marginal error on the way beside that of Sinkhorn's algorithm, and the images in between.
//!
//! ```text
//! cargo run --release --all-features --example transport
//! ```
//!
//! Exit status: 0 converged, 2 bad input, 3 stopped without converging.

mod picture;

use clap::{Parser, ValueEnum};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use raphson::observe::ProgressBar;
use raphson::transport::{Auto, Certificate, Cost, Metric, Plan};
use raphson::{Error, IterationRecord, Sinkhorn, SinkhornNewton, Transport};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// ε below which no gap is sought.
const SMALLEST: f64 = 1e-9;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Solver {
    Auto,
    SinkhornNewton,
    Sinkhorn,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Ground {
    L1,
    Sql2,
}

/// Carries one distribution of mass to another at the least cost, with entropy.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Costs, one row per line
    #[arg(
        long,
        requires = "source",
        requires = "target",
        conflicts_with = "images"
    )]
    cost: Option<PathBuf>,
    /// Masses of the rows
    #[arg(long, requires = "cost")]
    source: Option<PathBuf>,
    /// Masses of the columns
    #[arg(long, requires = "cost")]
    target: Option<PathBuf>,
    /// Two images of equal size as CSV, one row of pixels per line
    #[arg(long, num_args = 2)]
    images: Option<Vec<PathBuf>>,
    /// Cost between pixels, divided by its maximum over the grid
    #[arg(long, value_enum, default_value = "sql2")]
    ground: Ground,
    /// Random costs between N and N places of equal mass
    #[arg(long, conflicts_with_all = ["images", "cost"])]
    random: Option<usize>,
    /// Of the random costs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Weight of the entropy, in the units of the costs
    #[arg(long, default_value_t = 1e-3)]
    eps: f64,
    /// Marginal error relative to the mass
    #[arg(long, default_value_t = 1e-9)]
    tol: f64,
    /// Solves the linear program instead, to this certified gap relative to its value
    #[arg(long, conflicts_with = "eps")]
    gap: Option<f64>,
    /// The method
    #[arg(long, value_enum, default_value = "auto")]
    solver: Solver,
    /// Threads; 0: as many as there are cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Writes the entries of the plan as lines row,column,mass
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Draws the plan, the marginal error on the way and, of images, what is between them to this SVG file
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Writes the result as JSON; - is standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.cost.is_none() && arguments.images.is_none() && arguments.random.is_none() {
        arguments.plot.get_or_insert("transport.svg".into());
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Error> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads);
    // A pool that is there already stays.
    let _ = threads.build_global();
    let clock = Instant::now();
    let (problem, pixels) = problem(arguments)?;
    let load_seconds = clock.elapsed().as_secs_f64();
    let (n, m) = problem.shape();
    eprintln!("{n} x {m}, eps {:.1e}", arguments.eps);
    let (clock, cpu) = (Instant::now(), cpu_seconds());
    let (plan, bounds) = solve(arguments, &problem)?;
    let solve_seconds = clock.elapsed().as_secs_f64();
    let solve_cpu_seconds = cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let entries = match &bounds {
        Some(bounds) => bounds.to_sparse()?,
        None => plan.to_sparse(1e-6)?,
    };
    let bounds = match bounds {
        Some(bounds) => bounds,
        None => plan.certificate()?,
    };
    let report = plan.report();
    let result = serde_json::json!({
        "n": n,
        "m": m,
        "eps": plan.eps(),
        "status": plan.status().name(),
        "converged": plan.converged(),
        "sweeps": report.sweeps,
        "newton": report.hessians,
        "cg_iterations": report.hessian_products,
        "passes": report.passes,
        "marginal_error": plan.marginal_error(),
        "transport_cost": plan.transport_cost(),
        "dual_value": plan.value_relative(),
        "lower": bounds.lower,
        "upper": bounds.upper,
        "density": report.density,
        "load_seconds": load_seconds,
        "solve_seconds": solve_seconds,
        "solve_cpu_seconds": solve_cpu_seconds,
        "threads": rayon::current_num_threads(),
    });
    if arguments.json.as_deref() != Some(Path::new("-")) {
        if let Some(entries) = result.as_object() {
            for (key, value) in entries {
                println!("{key:>16}  {value}");
            }
        }
        println!("{:>16}  {}", "", plan.status());
    }
    if let Some(path) = &arguments.json {
        write(path, &format!("{result}\n"))?;
    }
    if let Some(path) = &arguments.plan {
        let mut lines = String::from("row,column,mass\n");
        for entry in entries.triplet_iter() {
            lines += &format!("{},{},{:?}\n", entry.row, entry.col, entry.val);
        }
        write(path, &lines)?;
    }
    if let Some(path) = &arguments.plot {
        picture::draw(path, &problem, &plan, arguments.tol, pixels)?;
        eprintln!("plot: {}", path.display());
    }
    Ok(plan.converged())
}

/// Seconds of all threads of this process, where the system tells.
fn cpu_seconds() -> Option<f64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = tasks.map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<Option<f64>>().map(|total| 1e-9 * total)
}

/// The plan, and bounds on the linear program if a gap was asked for.
fn solve(arguments: &Arguments, problem: &Transport) -> Result<(Plan, Option<Certificate>), Error> {
    let Arguments { eps, tol, .. } = *arguments;
    if let Some(gap) = arguments.gap {
        let (plan, bounds) = SinkhornNewton::new(SMALLEST).solve_to_gap(problem, gap)?;
        return Ok((plan, Some(bounds)));
    }
    let mut bar = ProgressBar::new();
    let show = |record: &IterationRecord| {
        bar.record(record);
        true
    };
    let plan = match arguments.solver {
        Solver::Auto => Auto::new(eps).marginal_tol(tol).solve_with(problem, show)?,
        Solver::SinkhornNewton => {
            let solver = SinkhornNewton::new(eps).marginal_tol(tol);
            solver.on_iteration(show).solve(problem)?
        }
        Solver::Sinkhorn => {
            let solver = Sinkhorn::new(eps).marginal_tol(tol);
            solver.on_iteration(show).solve(problem)?
        }
    };
    bar.finish(plan.status());
    Ok((plan, None))
}

/// The problem, and rows and columns of the images if it is made of them.
fn problem(arguments: &Arguments) -> Result<(Transport, Option<(usize, usize)>), Error> {
    if let (Some(cost), Some(a), Some(b)) = (&arguments.cost, &arguments.source, &arguments.target)
    {
        let flat = |path| Ok::<_, Error>(read(path)?.concat());
        return Ok((Transport::new(read(cost)?, flat(a)?, flat(b)?)?, None));
    }
    if let Some(n) = arguments.random {
        let mut random = StdRng::seed_from_u64(arguments.seed);
        let row = |_| (0..n).map(|_| random.random()).collect::<Vec<f64>>();
        let cost: Vec<Vec<f64>> = (0..n).map(row).collect();
        let masses = vec![1.0 / n as f64; n];
        return Ok((Transport::new(cost, masses.clone(), masses)?, None));
    }
    let images = match arguments.images.as_deref() {
        Some([a, b]) => [read(a)?, read(b)?],
        _ => [drawn((0.5, 0.5), 0.3, 0.08), drawn((0.4, 0.6), 0.0, 0.1)],
    };
    let (rows, columns) = (images[0].len(), images[0].first().map_or(0, Vec::len));
    if images
        .iter()
        .any(|image| image.len() != rows || image.iter().any(|row| row.len() != columns))
    {
        return Err(Error::Data("the images differ in size".into()));
    }
    let reach = ((rows.max(1) - 1) as f64, (columns.max(1) - 1) as f64);
    let (metric, largest) = match arguments.ground {
        Ground::L1 => (Metric::L1, reach.0 + reach.1),
        Ground::Sql2 => (Metric::SquaredL2, reach.0 * reach.0 + reach.1 * reach.1),
    };
    let cost = Cost::grid(rows, columns, metric)?.scaled(1.0 / largest.max(1.0));
    let [a, b] = images.map(|image| {
        let mut pixels = image.concat();
        let sum: f64 = pixels.iter().sum();
        // A black image is refused as such.
        if sum > 0.0 {
            pixels.iter_mut().for_each(|v| *v /= sum);
        }
        pixels
    });
    Ok((Transport::new(cost, a, b)?, Some((rows, columns))))
}

/// 28 x 28 pixels around a circle; a radius of zero gives a blob.
fn drawn(centre: (f64, f64), radius: f64, width: f64) -> Vec<Vec<f64>> {
    let pixel = |i: usize, j: usize| {
        let distance = (i as f64 / 28.0 - centre.0).hypot(j as f64 / 28.0 - centre.1);
        let value = (-((distance - radius) / width).powi(2)).exp();
        (255.0 * value).round()
    };
    (0..28)
        .map(|i| (0..28).map(|j| pixel(i, j)).collect())
        .collect()
}

fn read(path: &Path) -> Result<Vec<Vec<f64>>, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: name.clone(),
        source,
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty());
    lines
        .map(|(k, line)| {
            let cells = line.split(',').map(|cell| cell.trim().parse::<f64>());
            cells
                .collect::<Result<_, _>>()
                .map_err(|error| Error::Data(format!("{name}, line {}: {error}", k + 1)))
        })
        .collect()
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    let outcome = if path == Path::new("-") {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::fs::write(path, text)
    };
    outcome.map_err(|source| Error::Io {
        path: path.display().to_string(),
        source,
    })
}
