//! Logistic regression on a LIBSVM file.
//!
//! Without arguments it fits the breast-cancer data that the project carries,
//! standardized and with an intercept, shows progress and draws the convergence:
//!
//! ```text
//! cargo run --all-features --example logistic
//! ```
//!
//! Exit status: 0 converged, 2 bad input, 3 stopped without converging.

use clap::{Parser, ValueEnum};
use raphson::models::LogisticRegression;
use raphson::observe::{ConvergencePlot, ProgressBar, Trace};
use raphson::{
    AcceleratedCubicNewton, CubicNewton, DampedNewton, Dataset, Error, GradientNormalizedNewton,
    GradientRegularizedNewton, GramSolve, LazyCubicNewton, LazyRegularizedNewton, Refresh, Run,
    Schedule, TrustRegionNewton, libsvm,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Solver {
    DampedNewton,
    LazyCubic,
    LazyRegularized,
    Cubic,
    GradientRegularized,
    GradientNormalized,
    AcceleratedCubic,
    TrustRegion,
}

impl Solver {
    /// As on the command line.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |v| v.get_name().to_string())
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stepsize {
    Universal,
    Armijo,
    Greedy,
    Classical,
    Full,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum System {
    Auto,
    Primal,
    Dual,
    Cg,
}

/// Fits a binary logistic regression: mean loss plus mu/2 |w|^2.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// LIBSVM file, plain or gzip; the larger label is the positive class
    /// [default: the breast-cancer data of the project, with --standardize --intercept and a plot]
    file: Option<PathBuf>,
    /// The method
    #[arg(long, value_enum, default_value = "damped-newton")]
    solver: Solver,
    /// Step lengths of damped-newton
    #[arg(long, value_enum, default_value = "universal")]
    schedule: Stepsize,
    /// How the Newton systems are solved
    #[arg(long, value_enum, default_value = "auto")]
    system: System,
    /// Penalty: a number, or 1/n
    #[arg(long, default_value = "1/n")]
    mu: String,
    /// Stop when |g| <= TOL max(1, |g(0)|) [default: 1e-8 unless --gap is given]
    #[arg(long)]
    tol: Option<f64>,
    /// Stop when |g|^2 / (2 mu) <= GAP |f|, which proves f; with --tol both must hold
    #[arg(long)]
    gap: Option<f64>,
    /// Add a free intercept
    #[arg(long)]
    intercept: bool,
    /// Bring columns to mean 0 and deviation 1 (sparse data: deviation only)
    #[arg(long)]
    standardize: bool,
    /// Threads; results do not depend on it [default: all]
    #[arg(long)]
    threads: Option<usize>,
    /// Most iterations
    #[arg(long, default_value_t = 1000)]
    max_iter: u64,
    /// Rows per batch (stochastic solvers)
    #[arg(long)]
    batch: Option<usize>,
    /// Passes over the data (stochastic solvers)
    #[arg(long)]
    epochs: Option<usize>,
    /// Seed (stochastic solvers)
    #[arg(long)]
    seed: Option<u64>,
    /// When the lazy solvers evaluate the Hessian again: after N steps, auto, or contraction
    /// [default: contraction]
    #[arg(long, value_parser = refresh)]
    refresh: Option<Refresh>,
    /// Draw the convergence to this SVG file
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Write one line an iteration to this CSV file
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Write the coefficients, one a line, to this file
    #[arg(long)]
    solution: Option<PathBuf>,
    /// Write the result as one JSON object to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

fn refresh(text: &str) -> Result<Refresh, String> {
    match text {
        "auto" => Ok(Refresh::Auto),
        "contraction" => Ok(Refresh::Contraction(0.3)),
        _ => match text.parse() {
            Ok(m) if m > 0 => Ok(Refresh::Every(m)),
            _ => Err("a number of steps of at least 1, auto or contraction".into()),
        },
    }
}

const CARRIED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/breast-cancer.libsvm"
);

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.file.is_none() {
        arguments.standardize = true;
        arguments.intercept |= arguments.gap.is_none();
        arguments.plot.get_or_insert("convergence.svg".into());
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
    let refused = |name, value: String, requirement| Error::InvalidParameter {
        name,
        value,
        requirement,
    };
    #[cfg(feature = "rayon")]
    if let Some(threads) = arguments.threads {
        if threads == 0 {
            return Err(refused("--threads", "0".into(), "at least 1"));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| Error::Data(format!("thread pool: {e}")))?;
    }
    #[cfg(feature = "rayon")]
    let threads = rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    let threads = 1;

    let clock = Instant::now();
    let path = arguments.file.as_deref().unwrap_or(Path::new(CARRIED));
    let data = libsvm::read(path)?;
    let load_seconds = clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let data = if arguments.standardize {
        data.standardized().0
    } else {
        data
    };
    let mu = match arguments.mu.as_str() {
        "1/n" => 1.0 / data.n_rows() as f64,
        text => match text.parse::<f64>() {
            Ok(mu) if mu >= 0.0 && mu.is_finite() => mu,
            _ => {
                return Err(refused(
                    "--mu",
                    text.into(),
                    "1/n or a number of at least 0",
                ));
            }
        },
    };
    if arguments.gap.is_some() && (mu == 0.0 || arguments.intercept) {
        let requirement =
            "used with mu > 0 and without a free intercept, so that f is strongly convex";
        return Err(refused("--gap", "given".into(), requirement));
    }
    let model = LogisticRegression::new(&data)
        .l2(mu)
        .intercept(arguments.intercept)
        .solve_by(match arguments.system {
            System::Auto => GramSolve::Auto,
            System::Primal => GramSolve::Primal,
            System::Dual => GramSolve::Dual,
            System::Cg => GramSolve::Cg,
        });
    model.check()?;
    let outcome = solve(arguments, &model, mu)?;
    let solve_seconds = clock.elapsed().as_secs_f64();

    let result = report(
        arguments,
        &data,
        mu,
        &outcome,
        [load_seconds, solve_seconds],
        threads,
    );
    if arguments.json.as_deref() != Some(Path::new("-")) {
        table(&result, &outcome);
    }
    if let Some(path) = &arguments.solution {
        let lines: String = outcome.x.iter().map(|w| format!("{w:?}\n")).collect();
        write(path, &lines)?;
    }
    if let Some(path) = &arguments.json {
        write(path, &format!("{result}\n"))?;
    }
    Ok(outcome.converged())
}

fn solve(
    arguments: &Arguments,
    model: &LogisticRegression,
    mu: f64,
) -> Result<Run<Vec<f64>>, Error> {
    let tol = match (arguments.tol, arguments.gap) {
        (None, None) => 1e-8,
        (None, Some(_)) => 0.0,
        (Some(tol), _) => tol,
    };
    let mut bar = ProgressBar::new();
    let mut trace = arguments.trace.as_deref().map(Trace::csv).transpose()?;
    let mut plot = arguments.plot.as_deref().map(|path| {
        let title = format!("Logistic regression by {}", arguments.solver.name());
        ConvergencePlot::new(path).title(title)
    });
    // The solvers differ in type, not in what is set and watched.
    macro_rules! fit {
        ($solver:expr) => {{
            let mut solver = $solver
                .gradient_tol(tol)
                .gradient_tol_abs(tol)
                .max_iters(arguments.max_iter);
            if let Some(gap) = arguments.gap {
                solver = solver.gap_tol(gap, mu).require_all(tol > 0.0);
            }
            solver
                .on_iteration(|record| {
                    bar.record(record);
                    if let Some(trace) = &mut trace {
                        trace.record(record);
                    }
                    if let Some(plot) = &mut plot {
                        plot.record(record);
                    }
                    true
                })
                .minimize(model, model.origin())?
        }};
    }
    let refresh = arguments.refresh;
    let run = match arguments.solver {
        Solver::DampedNewton => {
            fit!(DampedNewton::new().schedule(match arguments.schedule {
                Stepsize::Universal => Schedule::Universal,
                Stepsize::Armijo => Schedule::Armijo,
                Stepsize::Greedy => Schedule::Greedy,
                Stepsize::Classical => Schedule::Classical,
                Stepsize::Full => Schedule::Full,
            }))
        }
        Solver::LazyCubic => {
            let solver = LazyCubicNewton::new();
            fit!(match refresh {
                Some(refresh) => solver.refresh(refresh),
                None => solver,
            })
        }
        Solver::LazyRegularized => {
            let solver = LazyRegularizedNewton::new();
            fit!(match refresh {
                Some(refresh) => solver.refresh(refresh),
                None => solver,
            })
        }
        Solver::Cubic => fit!(CubicNewton::new()),
        Solver::GradientRegularized => fit!(GradientRegularizedNewton::new()),
        Solver::GradientNormalized => fit!(GradientNormalizedNewton::new()),
        Solver::AcceleratedCubic => fit!(AcceleratedCubicNewton::new()),
        Solver::TrustRegion => fit!(TrustRegionNewton::new()),
    };
    bar.finish(run.status);
    if let Some(trace) = &mut trace {
        trace.finish(run.status)?;
    }
    if let Some(plot) = &mut plot {
        plot.finish(run.status)?;
    }
    Ok(run)
}

/// The result under the names of the contract; numbers that are not finite become null.
fn report(
    arguments: &Arguments,
    data: &Dataset,
    mu: f64,
    run: &Run<Vec<f64>>,
    [load_seconds, solve_seconds]: [f64; 2],
    threads: usize,
) -> serde_json::Value {
    let gap = (mu > 0.0 && !arguments.intercept)
        .then(|| run.gradient_norm * (run.gradient_norm / (2.0 * mu)));
    let name = match &arguments.file {
        Some(path) => path.display().to_string(),
        None => "breast-cancer (carried)".into(),
    };
    let report = &run.report;
    serde_json::json!({
        "data": name,
        "n": data.n_rows(),
        "d": data.n_features(),
        "nnz": data.nnz(),
        "solver": arguments.solver.name(),
        "mu": mu,
        "tol": arguments.tol.or(arguments.gap.is_none().then_some(1e-8)),
        "gap": arguments.gap,
        "status": run.status.name(),
        "converged": run.converged(),
        "f": run.f,
        "grad_norm": run.gradient_norm,
        "gap_bound": gap,
        "iterations": report.iterations,
        "trials": report.trials,
        "values": report.values,
        "gradients": report.gradients,
        "hessians": report.hessians,
        "hessian_products": report.hessian_products,
        "factorizations": report.factorizations,
        "load_seconds": load_seconds,
        "solve_seconds": solve_seconds,
        "threads": threads,
    })
}

fn table(result: &serde_json::Value, run: &Run<Vec<f64>>) {
    for key in [
        "data",
        "n",
        "d",
        "nnz",
        "solver",
        "mu",
        "f",
        "grad_norm",
        "gap_bound",
        "iterations",
        "trials",
        "values",
        "gradients",
        "hessians",
        "hessian_products",
        "factorizations",
        "load_seconds",
        "solve_seconds",
        "threads",
    ] {
        let value = &result[key];
        println!(
            "{key:>16}  {}",
            value.as_str().map_or(value.to_string(), String::from)
        );
    }
    println!("{:>16}  {}", "status", run.status);
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
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
