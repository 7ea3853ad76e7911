//! The linear program to a certified gap.
//!
//! Two coarse levels of the entropic problem, at ε' = R/20 and ε = R/50 (R is the range of the costs), cost little more than a
//! pass with exp each. Potentials go to their limit about linearly in ε, so those of the linear program are near
//! x + ε/(ε' − ε) (x − x'). They choose the pairs that the simplex method starts with; see `transport/linear.rs`.

use super::SinkhornNewton;
use super::core::Options;
use crate::error::Error;
use crate::oracle::Coupling;
use crate::solver::Run;
use crate::status::{Failed, Status};
use crate::transport::{Certificate, Plan, Transport, linear};

/// ε of the last level at least, relative to the range of the costs, and ε of the first relative to it.
const LAST: f64 = 0.02;
const FIRST: f64 = 2.5;
/// Marginal error that they end at. With 0.2 the simplex method takes twice as many pivots; 0.01 costs more than it spares.
const TOLERANCE: f64 = 0.05;

/// The plan of the last level, and bounds with a vertex. Where a limit ends a level they are those of its plan, and so they are
/// where no vertex avoids the forbidden pairs.
pub(super) fn solve(
    solver: SinkhornNewton,
    problem: &Transport,
    relative: f64,
) -> Result<(Plan, Certificate), Error> {
    problem.reduced().must_be_balanced()?;
    let Options { eps: least, tol } = solver.method.options;
    let eps = least.max(LAST * problem.reduced().range);
    let (above, tol) = (FIRST * eps, tol.max(TOLERANCE));
    let level = |eps, start| {
        let mut solver = solver.clone();
        solver.method.options = Options { eps, tol };
        solver.minimize(problem, start)
    };
    let bounded = |run, eps| {
        let plan = Plan::new(problem, run, Options { eps, tol });
        let bounds = plan.certificate()?;
        Ok((plan, bounds))
    };
    let coarse = level(above, weighted(problem, problem.origin(), above))?;
    if !is_usable(&coarse) {
        return bounded(coarse, above);
    }
    let start = weighted(problem, coarse.x.clone(), eps - above);
    let mut run = level(eps, start)?;
    if !is_usable(&run) {
        return bounded(run, eps);
    }
    let limit = extrapolated(&run.x, &coarse.x, eps / (above - eps));
    let Some(bounds) = linear::solve(problem, &limit, relative) else {
        run.status = Status::Failed(Failed::Infeasible);
        return bounded(run, eps);
    };
    Ok((Plan::new(problem, run, Options { eps, tol }), bounds))
}

/// Any potentials serve to choose pairs by, if no limit of the user's has ended the run.
fn is_usable(run: &Run<Vec<f64>, Coupling>) -> bool {
    !matches!(run.status, Status::Stopped(_)) && run.x.iter().all(|x| x.is_finite())
}

/// x + `step` (x − `before`).
fn extrapolated(x: &[f64], before: &[f64], step: f64) -> Vec<f64> {
    let pairs = x.iter().zip(before);
    pairs.map(|(x, before)| x + step * (x - before)).collect()
}

/// x + `by` (log a, log b). Potentials less ε times these logarithms change little with ε, however much masses differ; at zero
/// they give the independent plan of costs that are all the same.
fn weighted(problem: &Transport, mut x: Vec<f64>, by: f64) -> Vec<f64> {
    let masses = problem.source().iter().chain(problem.target());
    for (x, mass) in x.iter_mut().zip(masses).filter(|(_, mass)| **mass > 0.0) {
        *x += by * mass.ln();
    }
    x
}
