//! Logistic regression on a LIBSVM file.
//!
//! Without arguments it fits the breast-cancer data that the project carries,
//! standardized and with an intercept, shows progress and draws the convergence:
//!
//! ```text
//! cargo run --all-features --example logistic
//! ```
//!
//! `--solver fit` is `LogisticRegression::fit`, the fastest of our ways, watched and ended like any
//! other solver. Where it evaluates Hessians of samples of the rows, `hessians` counts these and
//! `hessian_cost` adds up their shares of the rows; where it starts from fits of samples, `start_cost` adds up those of their
//! values with gradients. It ignores --schedule and --refresh, which it
//! chooses itself.
//!
//! Exit status: 0 converged, 2 bad input, 3 stopped without converging.

mod common;

use clap::Parser;
use common::{Arguments, Fit, System, Task};
use raphson::models::LogisticRegression;
use raphson::{Dataset, GramSolve};
use std::process::ExitCode;

/// Fits a binary logistic regression: mean loss plus mu/2 |w|^2.
///
/// The larger label is the positive class.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

const TASK: Task = Task {
    carried: ("breast-cancer.libsvm", "breast-cancer"),
    title: "Logistic regression",
    fit,
};

fn main() -> ExitCode {
    common::main(&TASK, Command::parse().arguments)
}

fn fit(arguments: &Arguments, data: &Dataset, mu: f64) -> Fit {
    let model = LogisticRegression::new(data)
        .l2(mu)
        .intercept(arguments.intercept)
        .solve_by(match arguments.system {
            System::Auto => GramSolve::Auto,
            System::Primal => GramSolve::Primal,
            System::Dual => GramSolve::Dual,
            System::Cg => GramSolve::Cg,
        });
    model.check()?;
    common::solve(arguments, &model, model.origin(), mu, false)
}
