//! Equality-constrained problems by the augmented Lagrangian method.
//!
//! Without arguments it solves the 21 built-in problems and prints one line for each:
//!
//! ```text
//! cargo run --all-features --example constrained
//! cargo run --all-features --example constrained -- HS77 HS78 --inner minres
//! cargo run --all-features --example constrained -- --logistic sonar.gz --constraints 10
//! cargo run --all-features --example constrained -- --logistic sonar.gz --inner sketch --gaussian 1 --time-limit 60
//! cargo run --all-features --example constrained -- --control 10000
//! ```
//!
//! Exit status: 0 all converged, 2 bad input, 3 one stopped without converging.

#[path = "common/cpu.rs"]
mod cpu;

use clap::{Parser, ValueEnum};
use cpu::cpu_seconds;
use raphson::constraints::{Inner, Sketch};
use raphson::oracle::{Constrained, Smooth};
use raphson::problems::{ConstrainedLogistic, HockSchittkowski, OptimalControl};
use raphson::{AugmentedLagrangianNewton, EqualityConstraints, Error, libsvm};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Solver {
    Auto,
    Direct,
    Minres,
    Sketch,
}

/// Solves problems with equality constraints.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Built-in problems, as in HS77 [default: all 21]
    #[arg(conflicts_with_all = ["logistic", "control"])]
    names: Vec<String>,
    /// Logistic regression on this LIBSVM file, on the unit sphere and on random planes
    #[arg(long, value_name = "FILE", conflicts_with = "control")]
    logistic: Option<PathBuf>,
    /// Planes of --logistic
    #[arg(long, value_name = "N", default_value_t = 10)]
    constraints: usize,
    /// Optimal control with so many inner points
    #[arg(long, value_name = "POINTS")]
    control: Option<usize>,
    /// The solver of the linear systems
    #[arg(long, value_enum, default_value = "auto")]
    inner: Solver,
    /// Rows per sketch
    #[arg(long, default_value_t = 30)]
    rows: usize,
    /// Normal vectors per sketch in place of rows
    #[arg(long, conflicts_with = "rows")]
    gaussian: Option<usize>,
    /// CPU seconds after which a run ends with the iteration it is in
    #[arg(long)]
    time_limit: Option<f64>,
    /// Seed of the sketches and of the planes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stop when |(grad L, c)| <= TOL [default: 1e-8, with --inner sketch 1e-4]
    #[arg(long)]
    tol: Option<f64>,
    /// Most iterations per problem
    #[arg(long, default_value_t = 500)]
    max_iter: u64,
    /// Write the results as a JSON array to this file, or - for standard output
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Arguments {
    fn solver(&self) -> AugmentedLagrangianNewton {
        let (inner, tol) = match self.inner {
            Solver::Auto => (Inner::Auto, 1e-8),
            Solver::Direct => (Inner::Direct, 1e-8),
            Solver::Minres => (Inner::Minres, 1e-8),
            Solver::Sketch => {
                let rows = Sketch::Rows(self.rows);
                (
                    Inner::Sketch(self.gaussian.map_or(rows, Sketch::Gaussian)),
                    1e-4,
                )
            }
        };
        AugmentedLagrangianNewton::new()
            .inner(inner)
            .sketch_seed(self.seed)
            .gradient_tol(0.0)
            .gradient_tol_abs(self.tol.unwrap_or(tol))
            .max_iters(self.max_iter)
    }

    fn problems(&self) -> Result<Vec<HockSchittkowski>, Error> {
        if self.names.is_empty() {
            return Ok(HockSchittkowski::ALL.to_vec());
        }
        let find = |name: &String| {
            HockSchittkowski::from_name(name).ok_or_else(|| {
                let all = HockSchittkowski::ALL.map(HockSchittkowski::name);
                Error::Data(format!("no problem {name}; there are {}", all.join(", ")))
            })
        };
        self.names.iter().map(find).collect()
    }
}

fn finite(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn solve<P>(
    arguments: &Arguments,
    name: &str,
    problem: &P,
    x0: Vec<f64>,
    known: Option<f64>,
) -> Result<Value, Error>
where
    P: Smooth<Constrained, Point = Vec<f64>> + EqualityConstraints,
{
    let n = x0.len();
    let began = cpu_seconds();
    let limit = arguments.time_limit.unwrap_or(f64::INFINITY);
    let progress = |record: &raphson::IterationRecord| {
        eprint!(
            "\r{name}: {:>4} iterations, |grad L| {:.1e}, |c| {:.1e}   ",
            record.iteration, record.gradient_norm, record.constraint_norm
        );
        cpu_seconds() - began < limit
    };
    let solver = arguments.solver().on_iteration(progress);
    let run = solver.minimize(problem, x0)?;
    let seconds = cpu_seconds() - began;
    eprintln!();
    let report = &run.report;
    let numbers = |v: &[f64]| v.iter().map(|v| finite(*v)).collect::<Vec<Value>>();
    let (x, multipliers) = (numbers(&run.x), numbers(&report.multipliers));
    Ok(json!({
        "problem": name,
        "n": n,
        "m": EqualityConstraints::n_constraints(problem),
        "status": run.status.name(),
        "converged": run.converged(),
        "f": finite(run.f),
        "f_known": known.map_or(Value::Null, finite),
        "kkt_residual": finite(report.kkt_residual),
        "constraint_norm": finite(report.constraint_norm),
        "iterations": report.iterations,
        "inner_iterations": report.inner_iterations,
        "x": x,
        "multipliers": multipliers,
        "trials": report.trials,
        "values": report.values,
        "gradients": report.gradients,
        "constraints": report.constraints,
        "jacobians": report.jacobians,
        "hessians": report.hessians,
        "factorizations": report.factorizations,
        "factor_entries": report.factor_entries,
        "minimizer": report.kkt_inertia.map(|inertia| inertia.positive == n),
        "solve_seconds": run.seconds,
        "solve_cpu_seconds": seconds,
    }))
}

fn solve_all(arguments: &Arguments) -> Result<Vec<Value>, Error> {
    if let Some(path) = &arguments.logistic {
        let data = libsvm::read(path)?;
        let problem = ConstrainedLogistic::new(&data, arguments.constraints, arguments.seed)?;
        let name = path.display().to_string();
        return Ok(vec![solve(
            arguments,
            &name,
            &problem,
            problem.start(),
            None,
        )?]);
    }
    if let Some(points) = arguments.control {
        let problem = OptimalControl::new(points)?;
        return Ok(vec![solve(
            arguments,
            "control",
            &problem,
            problem.start(),
            None,
        )?]);
    }
    let run = |problem: HockSchittkowski| {
        let (start, known) = (problem.start(), Some(problem.minimum()));
        solve(arguments, &problem.name(), &problem, start, known)
    };
    arguments.problems()?.into_iter().map(run).collect()
}

fn table(results: &[Value]) {
    println!(
        "{:24} {:>6} {:>6} {:>16} {:>9} {:>5} {:>8} {:>9}  ended as",
        "", "n", "m", "f", "KKT", "steps", "inner", "seconds"
    );
    for result in results {
        let number = |key: &str| result[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:24} {:>6} {:>6} {:>16.9} {:>9.1e} {:>5} {:>8} {:>9.4}  {}{}",
            result["problem"].as_str().unwrap_or_default(),
            number("n"),
            number("m"),
            number("f"),
            number("kkt_residual"),
            number("iterations"),
            number("inner_iterations"),
            number("solve_seconds"),
            result["status"].as_str().unwrap_or_default(),
            if result["minimizer"] == false {
                ", no strict minimum"
            } else {
                ""
            },
        );
    }
}

fn run(arguments: &Arguments) -> Result<bool, Error> {
    let results = solve_all(arguments)?;
    let converged = results.iter().all(|result| result["converged"] == true);
    if arguments.json.as_deref() != Some(Path::new("-")) {
        table(&results);
    }
    if let Some(path) = &arguments.json {
        let text = format!("{}\n", Value::from(results));
        if path == Path::new("-") {
            print!("{text}");
        } else {
            std::fs::write(path, text).map_err(|source| Error::Io {
                path: path.display().to_string(),
                source,
            })?;
        }
    }
    Ok(converged)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
