//! The result of a run, for programs and for people.

use super::arguments::Arguments;
use raphson::{Error, Report, Status};
use std::io::Write;
use std::path::Path;

/// The size of the data.
pub struct Size {
    pub n: usize,
    pub d: usize,
    pub nnz: usize,
}

/// How a run ended.
pub struct End<'a> {
    pub status: Status,
    pub f: f64,
    pub gradient_norm: f64,
    pub report: &'a Report,
}

/// The result under the names of the contract; reading and solving took seconds of the wall clock
/// and of the CPU. Numbers that are not finite become null.
pub fn json(
    arguments: &Arguments,
    name: &str,
    size: Size,
    mu: f64,
    run: &End<'_>,
    [load, solve]: [[f64; 2]; 2],
    threads: usize,
) -> serde_json::Value {
    let gap = (mu > 0.0 && !arguments.intercept)
        .then(|| run.gradient_norm * (run.gradient_norm / (2.0 * mu)));
    let report = run.report;
    serde_json::json!({
        "data": name,
        "n": size.n,
        "d": size.d,
        "nnz": size.nnz,
        "solver": arguments.solver.name(),
        "mu": mu,
        "tol": arguments.tol.or(arguments.gap.is_none().then_some(1e-8)),
        "gap": arguments.gap,
        "status": run.status.name(),
        "converged": run.status.is_converged(),
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
        "load_seconds": load[0],
        "solve_seconds": solve[0],
        "load_cpu_seconds": load[1],
        "solve_cpu_seconds": solve[1],
        "threads": threads,
    })
}

/// Prints the result for people.
pub fn table(result: &serde_json::Value, status: Status) {
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
        "start_cost",
        "hessians",
        "hessian_cost",
        "hessian_products",
        "factorizations",
        "load_seconds",
        "solve_seconds",
        "threads",
    ] {
        let Some(value) = result.get(key) else {
            continue;
        };
        println!(
            "{key:>16}  {}",
            value.as_str().map_or(value.to_string(), String::from)
        );
    }
    println!("{:>16}  {}", "status", status);
}

/// Writes to a file, or to standard output for -.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
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
