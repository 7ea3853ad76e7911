//! The linear program to a certified gap.
//!
//! ε comes down by a factor 0.4, and every level starts from extrapolated potentials. Both bounds come from levels that are far
//! from ε = 0:
//!
//! - **Lower.** Potentials go to their limit about linearly in ε, so c-transforms start from
//!   x + ε/(ε' − ε) (x − x'), where x' are those of the level before. Any potentials give a bound; these give one
//!   that is ten to fifty times closer than x itself where the dual has many solutions.
//! - **Upper.** The rounded plan of a level whose marginal error is a tenth of the gap. It is made only once the gap can be small enough.

use super::SinkhornNewton;
use super::core::Options;
use crate::error::Error;
use crate::transport::certificate::lower_bound;
use crate::transport::{Certificate, Plan, Transport};

/// First ε relative to the range of the costs, and its largest and least factor from level to level.
const START: f64 = 0.05;
const FACTOR: f64 = 0.4;
const STEEPEST: f64 = 0.25;
/// Of the step that is linear in ε, for the potentials that a level starts from.
const EXTRAPOLATION: f64 = 0.8;
/// Marginal error of levels without a certificate.
const COARSE: f64 = 1e-2;
/// Marginal error with one: this share of the relative gap, and at most.
const SHARE: f64 = 0.1;
const LOOSEST: f64 = 1e-3;
/// No certificate while the gap wanted is below this multiple of ε.
const LEAST_GAP: f64 = 0.1;

/// x + `step` (x − `before`).
fn extrapolated(x: &[f64], before: &[f64], step: f64) -> Vec<f64> {
    let pairs = x.iter().zip(before);
    pairs.map(|(x, before)| x + step * (x - before)).collect()
}

/// Lowers ε until the certified gap is at most `relative`·|upper bound|, or ε is down to the solver's.
pub(super) fn solve(
    solver: SinkhornNewton,
    problem: &Transport,
    relative: f64,
) -> Result<(Plan, Certificate), Error> {
    let Options { eps: least, tol } = solver.method.options;
    let mut eps = least.max(START * problem.reduced().range);
    let mut start = problem.origin();
    let mut before: Option<(f64, Vec<f64>)> = None;
    let mut lower = f64::NEG_INFINITY;
    // No value is larger than this, so a smaller gap cannot be asked for.
    let largest = problem.reduced().range + problem.reduced().least().abs();
    let largest = relative * largest * problem.reduced().mass;
    loop {
        let can_end = lower.is_finite() && LEAST_GAP * eps <= relative * lower.abs();
        let certifies = can_end || eps <= least;
        let fine = tol.max(SHARE * relative).min(LOOSEST);
        let tol = if certifies { fine } else { COARSE.max(tol) };
        let options = Options { eps, tol };
        let mut level = solver.clone();
        level.method.options = options;
        let run = level.minimize(problem, start)?;
        let x = run.x.clone();
        let limit = match &before {
            Some((above, before)) => extrapolated(&x, before, eps / (above - eps)),
            None => x.clone(),
        };
        if certifies || LEAST_GAP * eps <= largest {
            lower = lower.max(lower_bound(problem, &limit));
        }
        let mut next = FACTOR * eps;
        if certifies || !run.status.is_converged() {
            let plan = Plan::new(problem, run, options);
            let certificate = plan.certificate()?.raised(lower);
            let (gap, wanted) = (certificate.gap(), relative * certificate.upper.abs());
            if gap <= wanted || eps <= least || !plan.converged() {
                return Ok((plan, certificate));
            }
            // The gap is about proportional to ε.
            next = eps * (wanted / gap).clamp(STEEPEST, FACTOR);
        }
        next = next.max(least);
        start = match &before {
            Some((above, before)) => {
                let step = EXTRAPOLATION * (eps - next) / (above - eps);
                extrapolated(&x, before, step)
            }
            None => x.clone(),
        };
        before = Some((eps, x));
        eps = next;
    }
}
