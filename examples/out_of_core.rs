//! Logistic regression on rows that stay on disk.
//!
//! ```text
//! cargo run --release --all-features --example out_of_core
//! cargo run --release --all-features --example out_of_core -- --generate 20000000x50 --cache big.rows
//! cargo run --release --all-features --example out_of_core -- --cache big.rows --json -
//! ```
//!
//! Without arguments it generates 200 000 rows of 20 columns. Exit status: 0 converged, 2 bad
//! input, 3 stopped without converging.

use argmin::core::{Gradient, Hessian};
use clap::Parser;
use raphson::observe::ProgressBar;
use raphson::stochastic::{Purpose, Stream};
use raphson::stream::{CacheWriter, StreamedModel, StreamedRows};
use raphson::{DampedNewton, Error, libsvm};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Fits a binary logistic regression that reads its rows block by block.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Command {
    /// LIBSVM file to make the cache of
    file: Option<PathBuf>,
    /// The row cache [default: a temporary file]
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Make the cache of so many rows and columns of normal numbers with labels of a logistic model
    #[arg(long, value_parser = size)]
    generate: Option<(usize, usize)>,
    /// Only make the cache
    #[arg(long)]
    only: bool,
    /// Penalty [default: 1/n]
    #[arg(long)]
    mu: Option<f64>,
    /// Stop when |g| <= TOL max(1, |g(0)|)
    #[arg(long, default_value_t = 1e-8)]
    tol: f64,
    /// Use products with the Hessian, d numbers, instead of the matrix, d^2
    #[arg(long)]
    matrix_free: bool,
    /// Threads; results do not depend on it [default: all]
    #[arg(long)]
    threads: Option<usize>,
    /// Write the result as one JSON object to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('x');
    let parsed = parts.and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
    parsed
        .filter(|(n, d)| *n > 0 && *d > 0)
        .ok_or_else(|| "rows x columns, as in 1000000x50".into())
}

fn main() -> ExitCode {
    match example(&Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn example(command: &Command) -> Result<bool, Error> {
    if let Some(threads) = command.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| Error::Data(format!("thread pool: {e}")))?;
    }
    let temporary = std::env::temp_dir().join(format!("raphson-{}.rows", std::process::id()));
    let cache = command.cache.as_deref().unwrap_or(&temporary);
    let clock = Instant::now();
    match (&command.file, command.generate) {
        (Some(file), _) => libsvm::to_cache(file, cache)?,
        (None, Some((rows, columns))) => generate(cache, rows, columns)?,
        (None, None) if command.cache.is_none() => generate(cache, 200_000, 20)?,
        (None, None) => {}
    }
    let cache_seconds = clock.elapsed().as_secs_f64();
    let result = if command.only {
        eprintln!("{} written in {cache_seconds:.1} s", cache.display());
        Ok(true)
    } else {
        solve(command, cache, cache_seconds)
    };
    if command.cache.is_none() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

/// Rows N(0, I), labels ±1 with the odds of a linear function of them. Seed 1.
fn generate(path: &Path, rows: usize, columns: usize) -> Result<(), Error> {
    let mut stream = Stream::new(1, Purpose::Escape);
    let scale = 2.0 / (columns as f64).sqrt();
    let truth: Vec<f64> = (0..columns).map(|_| scale * stream.normal()).collect();
    let mut cache = CacheWriter::create(path)?;
    let mut row = vec![0.0; columns];
    for _ in 0..rows {
        let mut margin = 0.0;
        for (v, w) in row.iter_mut().zip(&truth) {
            *v = stream.normal();
            margin += *v * w;
        }
        let odds = 1.0 / (1.0 + (-margin).exp());
        let label = if stream.uniform() < odds { 1.0 } else { -1.0 };
        cache.push_dense(label, &row)?;
    }
    cache.finish()
}

fn solve(command: &Command, cache: &Path, cache_seconds: f64) -> Result<bool, Error> {
    let rows = StreamedRows::open(cache)?;
    let (n, bytes) = (rows.n_rows(), rows.bytes());
    let mu = command.mu.unwrap_or(1.0 / n as f64);
    let model = StreamedModel::logistic(rows).l2(mu);
    model.check()?;
    let mut bar = ProgressBar::new();
    let clock = Instant::now();
    macro_rules! fit {
        ($solver:expr) => {
            $solver
                .gradient_tol(command.tol)
                .gradient_tol_abs(command.tol)
                .max_iters(1000)
                .on_iteration(|record| {
                    bar.record(record);
                    true
                })
                .minimize(&model, model.origin())?
                .with_source::<()>()
        };
    }
    let run = if command.matrix_free {
        fit!(DampedNewton::matrix_free())
    } else {
        fit!(DampedNewton::fused())
    };
    let solve_seconds = clock.elapsed().as_secs_f64();
    bar.finish(run.status);
    let passes = model.passes();
    // One more pass of each kind, at a point that nothing is known of.
    let near: Vec<f64> = run.x.iter().map(|w| 0.5 * w).collect();
    let clock = Instant::now();
    model.gradient(&near).map_err(Error::Problem)?;
    let gradient_seconds = clock.elapsed().as_secs_f64();
    let hessian_seconds = if command.matrix_free {
        None
    } else {
        let clock = Instant::now();
        Hessian::hessian(&model, &near).map_err(Error::Problem)?;
        Some(clock.elapsed().as_secs_f64())
    };
    let result = serde_json::json!({
        "data": cache.display().to_string(),
        "n": n,
        "d": model.rows().n_features(),
        "cache_bytes": bytes,
        "mu": mu,
        "status": run.status.name(),
        "converged": run.converged(),
        "f": run.f,
        "grad_norm": run.gradient_norm,
        "iterations": run.report.iterations,
        "passes": passes,
        "cache_seconds": cache_seconds,
        "solve_seconds": solve_seconds,
        "seconds_per_pass": solve_seconds / passes as f64,
        "seconds_per_gradient_pass": gradient_seconds,
        "seconds_per_hessian_pass": hessian_seconds,
        "peak_memory_bytes": peak_memory(),
        "threads": rayon::current_num_threads(),
    });
    match command.json.as_deref() {
        Some(path) if path == Path::new("-") => println!("{result}"),
        other => {
            if let Some(fields) = result.as_object() {
                for (key, value) in fields {
                    println!("{key:>26}  {value}");
                }
            }
            if let Some(path) = other {
                std::fs::write(path, format!("{result}\n")).map_err(|source| Error::Io {
                    path: path.display().to_string(),
                    source,
                })?;
            }
        }
    }
    Ok(run.converged())
}

/// The most memory that was resident at once, mapped pages included; known on Linux.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}
