//! Multinomial logistic regression on a LIBSVM file.
//!
//! Without arguments it fits the 8 x 8 digits that the project carries,
//! standardized and with intercepts, shows progress and draws the convergence:
//!
//! ```text
//! cargo run --all-features --example softmax
//! ```
//!
//! Exit status: 0 converged, 2 bad input, 3 stopped without converging.

mod common;

use clap::Parser;
use common::{Arguments, Fit, System, Task};
use raphson::models::Softmax;
use raphson::{Dataset, Error};
use std::process::ExitCode;

/// Fits a multinomial logistic regression: mean cross-entropy plus mu/2 |W|^2.
///
/// The solution is written class after class, in increasing order of the labels: the coefficients
/// of one class and, with --intercept, its intercept. --system auto forms the Hessian up to 4096
/// parameters and multiplies with it (cg) above.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

const TASK: Task = Task {
    carried: ("digits.libsvm.gz", "digits"),
    title: "Softmax regression",
    fit,
};

/// Most parameters for which `--system auto` forms the Hessian.
const FORMED: usize = 4096;

fn main() -> ExitCode {
    common::main(&TASK, Command::parse().arguments)
}

fn fit(arguments: &Arguments, data: &Dataset, mu: f64) -> Fit {
    let model = Softmax::new(data).l2(mu).intercept(arguments.intercept);
    model.check()?;
    let products = match arguments.system {
        System::Auto => model.dimension() > FORMED,
        System::Primal => false,
        System::Cg => true,
        System::Dual => {
            return Err(Error::InvalidParameter {
                name: "--system",
                value: "dual".into(),
                requirement: "auto, primal or cg for several classes",
            });
        }
    };
    common::solve(arguments, &model, model.origin(), mu, products)
}
