//! The convex benchmark suite: logistic regression on LIBSVM files, solver beside solver.
//!
//! Every solver gets the same object, starts from zero and ends at the same gradient norm
//! ‖g‖ ≤ TOL max(1, ‖g(0)‖). Without arguments the breast-cancer data that the project carries is
//! used, standardized:
//!
//! ```text
//! cargo run --release --all-features --example suite
//! cargo run --release --all-features --example suite -- FOLDER --mu 1/n,1e-4 --out results
//! ```
//!
//! The folder of `--out` then holds
//!
//! - `results.csv`: one row a run, written as a whole after each. Rows that are there already,
//!   made by the same executable from the same file with the same options, are not made again,
//!   so an interrupted suite goes on where it was;
//! - `results.md`: a table a problem;
//! - `traces/`: the points of each run, from which the figures are drawn again at every call;
//! - `convergence-*.svg`: gradient norm and f − f* against iterations, oracle calls and seconds;
//! - `profile-seconds.svg`, `profile-calls.svg`: performance profiles (E. D. Dolan, J. J. Moré,
//!   "Benchmarking optimization software with performance profiles", 2002).
//!
//! # What is measured
//! Each run has a process of its own, which reads the file, and then builds and solves the
//! problem `--repeat` times; the run with the median CPU time is the one reported. Seconds are
//! CPU time of the process (wall clock where the system has no such clock) from the data in
//! memory to the solution, what the model prepares included. The point that a solver returns
//! counts only if one gradient there, by a plain loop over the rows that shares no code with the
//! model, meets the tolerance; a run that fails this is not ranked.
//!
//! `fit` is `LogisticRegression::fit`: its solver on its samples of rows, watched at each iteration
//! like the others. What is evaluated on a sample counts as its share of the rows, in the columns f, g and H and in
//! the oracle calls, so that all may be fractions; its start from samples comes before its first point.
//!
//! Most peers have no test of the gradient norm, or another one. They see the object through a
//! wrapper that computes the norm of every gradient they ask for and ends the run at the first
//! that meets the tolerance, be it at a trial point. The wrapper's own work (the norm, the points
//! of the trace) is timed and taken off. Solvers that want the Hessian as a matrix get the dense
//! one, or products with it where the model itself would not form it; the inverse that argmin's
//! Newton method asks for is made by Cholesky.
//!
//! Exit status: 0 if all solvers of raphson reached the accuracy on all problems they were run
//! on, 2 bad input, 3 if one did not.

mod arguments;
#[path = "../common/cpu.rs"]
mod cpu;
mod figure;
mod ours;
mod peers;
mod pictures;
mod results;
mod solvers;
mod tables;
#[cfg(test)]
mod tests;
mod verify;
mod watch;
mod worker;

use arguments::{Arguments, Problem};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use results::{Results, Row};
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(spec) = &arguments.worker {
        return worker::main(spec);
    }
    match suite(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn suite(arguments: &Arguments) -> Result<bool, String> {
    let problems = arguments.problems()?;
    let solvers = arguments.solvers()?;
    let mut results = Results::open(&arguments.out)?;
    let shown = std::io::stderr().is_terminal();
    let bar = ProgressBar::new((problems.len() * solvers.len()) as u64);
    let style = "{bar:30} {pos}/{len} {elapsed} {wide_msg}";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    for problem in &problems {
        for &solver in &solvers {
            let spec = problem.spec(arguments, solver);
            let title = format!("{} mu = {}: {}", spec.set, spec.penalty, solver.name());
            bar.set_message(title.clone());
            if results.find(&spec).is_none() {
                let row = match problem.refusal(solver, arguments.memory) {
                    Some(reason) => Row::of(spec, reason),
                    None => worker::run(spec, &results.traces()),
                };
                if !shown {
                    eprintln!("{title}: {} ({})", row.status, tables::seconds(row.seconds));
                }
                results.add(row)?;
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let rows = results.of(&problems, &solvers, arguments);
    let tables = tables::write(&arguments.out, &problems, &rows, arguments)?;
    pictures::draw(&arguments.out, &problems, &rows)?;
    print!("{tables}");
    let own = rows
        .iter()
        .flatten()
        .filter(|row| row.spec.solver.is_ours());
    Ok(own.into_iter().all(|row| row.reached || row.was_skipped()))
}

impl Problem {
    /// Why the solver is not run on this problem.
    fn refusal(&self, solver: solvers::Solver, memory: f64) -> Option<String> {
        let gib = (self.d as f64).powi(2) * 8.0 / (1u64 << 30) as f64;
        (solver.needs_matrix() && gib > memory)
            .then(|| format!("{}dense Hessian of {gib:.2} GiB", results::SKIPPED))
    }
}
