//! Nonlinear regressions of NIST's reference datasets, with certified digits.
//!
//! Without arguments it fits the sets that the project carries, from both starts:
//!
//! ```text
//! cargo run --all-features --example least_squares
//! cargo run --all-features --example least_squares -- FOLDER --start 1 --json -
//! ```
//!
//! Exit status: 0 all converged, 2 bad input, 3 one stopped without converging.

use clap::{Parser, ValueEnum};
use raphson::oracle::Residuals;
use raphson::problems::Nist;
use raphson::{Error, GaussNewton, LevenbergMarquardt, Run};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Solver {
    LevenbergMarquardt,
    GaussNewton,
}

/// Fits the nonlinear regressions of NIST StRD and counts the right digits.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Command {
    /// A .dat file of NIST, or a folder of them [default: six sets of the project]
    path: Option<PathBuf>,
    /// Which published start [default: both]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    start: Option<u8>,
    /// The method
    #[arg(long, value_enum, default_value = "levenberg-marquardt")]
    solver: Solver,
    /// Stop when the largest cosine between residuals and a column of the Jacobian is at most TOL
    #[arg(long, default_value = "1e-10")]
    tol: f64,
    /// Most iterations
    #[arg(long, default_value = "3000")]
    max_iter: u64,
    /// Write the results as one JSON array to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
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
    let carried = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/nist");
    let sets = read(command.path.as_deref().unwrap_or(&carried))?;
    let starts = command
        .start
        .map_or(vec![1, 2], |start| vec![usize::from(start)]);
    let is_quiet = command.json.as_deref() == Some(Path::new("-"));
    if !is_quiet {
        println!(
            "{:<9} {:>5} {:>6} {:>6} {:>10} {:>9} {:>9}  status",
            "set", "start", "digits", "of RSS", "iterations", "residuals", "Jacobians"
        );
    }
    let mut results = Vec::new();
    let mut all = true;
    for set in &sets {
        for &start in &starts {
            eprintln!("{} from start {start}", set.name());
            let run = fit(command, set, start)?;
            all &= run.converged();
            let result = report(set, start, &run);
            if !is_quiet {
                line(&result);
            }
            results.push(result);
        }
    }
    if let Some(path) = &command.json {
        write(path, &format!("{}\n", Value::Array(results)))?;
    }
    Ok(all)
}

/// The sets of a file, or of all files of a folder whose model is built in.
fn read(path: &Path) -> Result<Vec<Nist>, Error> {
    if !path.is_dir() {
        return Ok(vec![Nist::read(path)?]);
    }
    let failed = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        if file.extension().is_some_and(|e| e == "dat") && Nist::names().any(|n| Some(n) == stem) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let path = path.display();
        return Err(Error::Data(format!(
            "{path}: none of the 27 .dat files of NIST"
        )));
    }
    files.iter().map(Nist::read).collect()
}

fn fit(command: &Command, set: &Nist, start: usize) -> Result<Run<Vec<f64>, Residuals>, Error> {
    let (x0, tol, limit) = (set.start(start), command.tol, command.max_iter);
    macro_rules! fit {
        ($solver:expr) => {
            $solver.gradient_tol(tol).max_iters(limit).minimize(set, x0)
        };
    }
    match command.solver {
        Solver::LevenbergMarquardt => fit!(LevenbergMarquardt::new()),
        Solver::GaussNewton => fit!(GaussNewton::new()),
    }
}

/// The result under the names of the contract; numbers that are not finite become null.
fn report(set: &Nist, start: usize, run: &Run<Vec<f64>, Residuals>) -> Value {
    let rss = 2.0 * run.f;
    json!({
        "set": set.name(),
        "start": start,
        "status": run.status.name(),
        "converged": run.converged(),
        "rss": rss,
        "certified_rss": set.certified_sum(),
        "lre_parameters": set.accuracy(&run.x),
        "lre_rss": set.accuracy_of_sum(rss),
        "iterations": run.report.iterations,
        "residuals": run.report.residuals,
        "jacobians": run.report.jacobians,
        "solve_seconds": run.seconds,
        "parameters": run.x,
        "standard_errors": run.statistics.as_ref().and_then(|s| s.standard_errors()),
    })
}

fn line(result: &Value) {
    let digits = |key: &str| {
        result[key]
            .as_f64()
            .map_or("-".into(), |v| format!("{v:.1}"))
    };
    println!(
        "{:<9} {:>5} {:>6} {:>6} {:>10} {:>9} {:>9}  {}",
        result["set"].as_str().unwrap_or(""),
        result["start"],
        digits("lre_parameters"),
        digits("lre_rss"),
        result["iterations"],
        result["residuals"],
        result["jacobians"],
        result["status"].as_str().unwrap_or(""),
    );
}

/// Writes to a file, or to standard output for -.
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
