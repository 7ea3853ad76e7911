//! The command line of the examples.

use clap::{Args, ValueEnum};
use raphson::{Error, Refresh};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub enum Solver {
    DampedNewton,
    LazyCubic,
    LazyRegularized,
    Cubic,
    GradientRegularized,
    GradientNormalized,
    AcceleratedCubic,
    TrustRegion,
    SaddleFree,
    FilteredNewton,
    AveragedNewton,
    StochasticNewton,
    /// The model's own `fit` (logistic)
    Fit,
}

impl Solver {
    /// As on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |v| v.get_name().to_string())
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Stepsize {
    Universal,
    Armijo,
    Greedy,
    Classical,
    Full,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum System {
    Auto,
    Primal,
    Dual,
    Cg,
}

/// The arguments of every example on a file.
#[derive(Debug, Args)]
pub struct Arguments {
    /// LIBSVM file, plain or gzip
    /// [default: data of the project, with --standardize --intercept and a plot]
    pub file: Option<PathBuf>,
    /// The method
    #[arg(long, value_enum, default_value = "damped-newton")]
    pub solver: Solver,
    /// Step lengths of damped-newton
    #[arg(long, value_enum, default_value = "universal")]
    pub schedule: Stepsize,
    /// How the Newton systems are solved
    #[arg(long, value_enum, default_value = "auto")]
    pub system: System,
    /// Penalty: a number, or 1/n
    #[arg(long, default_value = "1/n")]
    pub mu: String,
    /// Stop when |g| <= TOL max(1, |g(0)|) [default: 1e-8 unless --gap is given]
    #[arg(long)]
    pub tol: Option<f64>,
    /// Stop when |g|^2 / (2 mu) <= GAP |f|, which proves f; with --tol both must hold
    #[arg(long)]
    pub gap: Option<f64>,
    /// Add a free intercept
    #[arg(long)]
    pub intercept: bool,
    /// Bring columns to mean 0 and deviation 1 (sparse data: deviation only)
    #[arg(long)]
    pub standardize: bool,
    /// Threads; results do not depend on it [default: all]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Solve so many times and report the median of the seconds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Most iterations [default: 1000; stochastic solvers: no limit]
    #[arg(long)]
    pub max_iter: Option<u64>,
    /// Rows per batch (stochastic solvers)
    #[arg(long)]
    pub batch: Option<usize>,
    /// Passes over the data (stochastic solvers)
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Seed (stochastic solvers)
    #[arg(long)]
    pub seed: Option<u64>,
    /// When the lazy solvers evaluate the Hessian again: after N steps, auto, or contraction
    /// [default: contraction]
    #[arg(long, value_parser = refresh)]
    pub refresh: Option<Refresh>,
    /// Draw the convergence to this SVG file
    #[arg(long)]
    pub plot: Option<PathBuf>,
    /// Write one line an iteration to this CSV file
    #[arg(long)]
    pub trace: Option<PathBuf>,
    /// Write the coefficients, one a line, to this file
    #[arg(long)]
    pub solution: Option<PathBuf>,
    /// Write the result as one JSON object to this file, or - for standard output
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Title of plots, set by the example.
    #[arg(skip)]
    pub title: &'static str,
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

/// An argument that does not go with the others or the example.
pub fn refused(name: &'static str, value: &str, requirement: &'static str) -> Error {
    Error::InvalidParameter {
        name,
        value: value.into(),
        requirement,
    }
}

impl Arguments {
    /// μ for n rows, if it goes with the other arguments.
    pub fn penalty(&self, n: usize) -> Result<f64, Error> {
        let mu = match self.mu.as_str() {
            "1/n" => 1.0 / n as f64,
            text => match text.parse::<f64>() {
                Ok(mu) if mu >= 0.0 && mu.is_finite() => mu,
                _ => return Err(refused("--mu", text, "1/n or a number of at least 0")),
            },
        };
        if self.gap.is_some() && (mu == 0.0 || self.intercept) {
            let requirement =
                "used with mu > 0 and without a free intercept, so that f is strongly convex";
            return Err(refused("--gap", "given", requirement));
        }
        Ok(mu)
    }

    /// Makes the thread pool and returns its size.
    #[cfg(feature = "rayon")]
    pub fn start_threads(&self) -> Result<usize, Error> {
        if let Some(threads) = self.threads {
            if threads == 0 {
                return Err(refused("--threads", "0", "at least 1"));
            }
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()
                .map_err(|e| Error::Data(format!("thread pool: {e}")))?;
        }
        Ok(rayon::current_num_threads())
    }

    /// Without a pool there is one thread.
    #[cfg(not(feature = "rayon"))]
    pub fn start_threads(&self) -> Result<usize, Error> {
        Ok(1)
    }
}
