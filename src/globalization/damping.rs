//! Stepsizes of damped Newton methods in local norms.
//!
//! With n = H⁻¹g, decrement λ = sqrt(gᵀn) and x₊ = x − αn, put θ = (1 − α)/α.
//! Then G + θHs = e with the linearization error e = G − (1 − α)g, and
//! ‖e‖ ≤ θ‖s‖ in the local norms implies
//!
//! Gᵀn ≥ ‖G‖*² / (2αθ),                                     (test)
//!
//! hence, for convex f, a decrease of at least ‖G‖*²/(2θ). Schedules choose α
//! from λ and a constant so that this holds; [`Schedule::Universal`] finds the
//! constant by trying, with the test as its judge.
//!
//! Reference: S. Hanzely, D. Kamzolov, D. Pasechnyuk, A. Gasnikov, P. Richtárik,
//! M. Takáč, "A Damped Newton Method Achieves Global O(1/k²) and Local Quadratic
//! Convergence Rate" (2022); S. Hanzely, F. Abdukhakimov, M. Takáč, "Newton
//! Method Revisited: Global Convergence Rates up to O(1/k³) for Stepsize
//! Schedules and Linesearch Procedures" (2024).

use super::floor::{Floor, Near};
use super::{Globalization, MAX_TRIALS, Outcome, Probe};
use crate::error::Error;
use crate::step::Fault;

/// How the step length α of a damped Newton method is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Schedule {
    /// α = 1/(1 + σλ^(2/3)) with σ found by backtracking: no constant to give,
    /// global rate up to O(k⁻³), quadratic at the end by a guarded full step.
    #[default]
    Universal,
    /// α = 2/(1 + sqrt(1 + 2Lλ)), for a Hessian that is Lipschitz with constant L in
    /// the local norm (AICN); global O(k⁻²), locally quadratic.
    Aicn {
        /// Lipschitz constant L > 0.
        lipschitz: f64,
    },
    /// The root of 1 − α = σλ^(q−2) α^(q−1) with σ = M/(q − 1); for the same M a longer step than
    /// [`Schedule::Explicit`], of local order min(q − 1, 2).
    Root {
        /// q = p + ν in (2, 4]: 3 for a Lipschitz Hessian, 4 for a Lipschitz third derivative.
        q: f64,
        /// Hölder constant M > 0.
        constant: f64,
    },
    /// α = 1/(1 + θ), θ = (9M)^(1/(q−1)) λ^((q−2)/(q−1)) ("RN").
    Explicit {
        /// q = p + ν in \[2, 4\].
        q: f64,
        /// Hölder constant M > 0.
        constant: f64,
    },
    /// α = 1/(1 + λ), the classical stepsize for standard self-concordant f.
    Classical,
    /// α = 1: Newton's method, not globally convergent.
    Full,
    /// α = 1, ½, ¼, … until f falls by 10⁻⁴αλ².
    Armijo,
    /// The α in (0, 1] that minimizes f, by golden section to 10⁻³.
    Greedy,
}

/// Exponent κ of λ in θ = σλ^κ; 2/3 belongs to q = 4. The choice has little influence.
const KAPPA: f64 = 2.0 / 3.0;
/// Factor between trials of σ.
const RHO: f64 = 4.0;
/// θ of the very first trial, so that σ scales with the problem.
const THETA_INIT: f64 = 0.1;
/// Least θ of a first trial: σ falls at every easy step, and without this a
/// long run of them would need as long a run of rejections to come back.
const THETA_MIN: f64 = 1e-6;
/// A full step is tried first where the current constant asks for no more damping than this.
const THETA_FULL: f64 = 0.25;
/// Sufficient decrease relative to αλ².
const ARMIJO: f64 = 1e-4;
/// Decrease relative to λ² that the Hessian of a sample is believed at, where ½ is promised.
const BELIEVED: f64 = 0.35;

/// The rules of [`Schedule`].
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Damping {
    pub(crate) schedule: Schedule,
    /// σ of the universal schedule, once known.
    sigma: Option<f64>,
}

/// Root in (0, 1] of 1 − α − cα^(1+β); decreasing and concave, so Newton's
/// method from the right is monotone.
pub(crate) fn root_step(beta: f64, c: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut alpha = c.powf(-1.0 / (1.0 + beta)).min(1.0);
    for _ in 0..100 {
        let power = c * alpha.powf(beta);
        let value = 1.0 - alpha - power * alpha;
        if value > 0.0 {
            low = alpha;
        } else {
            high = alpha;
        }
        let mut next = alpha + value / (1.0 + (1.0 + beta) * power);
        if !(low..=high).contains(&next) {
            next = 0.5 * (low + high);
        }
        if (next - alpha).abs() <= 2.0 * f64::EPSILON * next {
            return next;
        }
        alpha = next;
    }
    alpha
}

/// AICN's factor 2/(1 + sqrt(1 + 2s)) at s = Lλ; free of cancellation, 1 at s = 0.
pub(crate) fn aicn_step(s: f64) -> f64 {
    2.0 / (1.0 + (1.0 + 2.0 * s).sqrt())
}

impl Globalization for Damping {
    fn check(&self) -> Result<(), Error> {
        let positive = |name, v: f64| {
            if v > 0.0 && v.is_finite() {
                Ok(())
            } else {
                Err(Error::parameter(name, v, "positive and finite"))
            }
        };
        match self.schedule {
            Schedule::Aicn { lipschitz } => positive("lipschitz", lipschitz),
            Schedule::Root { q, constant } if q > 2.0 && q <= 4.0 => positive("constant", constant),
            Schedule::Explicit { q, constant } if (2.0..=4.0).contains(&q) => {
                positive("constant", constant)
            }
            Schedule::Root { q, .. } => Err(Error::parameter("q", q, "in (2, 4]")),
            Schedule::Explicit { q, .. } => Err(Error::parameter("q", q, "in [2, 4]")),
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.sigma = None;
    }

    fn control(&self) -> f64 {
        self.sigma.unwrap_or(0.0)
    }

    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let decrement = probe.direction.decrement().unwrap_or(0.0);
        if decrement == 0.0 {
            return Ok(Outcome::Floor);
        }
        let mut outcome = self.attempt(probe, decrement)?;
        // Rather a Hessian of this point, or of more of the data, than a shorter step, or an end.
        while !matches!(outcome, Outcome::Accepted) && !probe.phase.is_final() {
            probe.refresh()?;
            outcome = match probe.direction.decrement().unwrap_or(0.0) {
                0.0 => return Ok(Outcome::Floor),
                decrement => self.attempt(probe, decrement)?,
            };
        }
        Ok(outcome)
    }

    fn judges(&self) -> bool {
        use Schedule::{Armijo, Greedy, Universal};
        matches!(self.schedule, Universal | Armijo | Greedy)
    }
}

impl Damping {
    fn attempt(&mut self, probe: &mut Probe<'_>, decrement: f64) -> Result<Outcome, Fault> {
        match self.schedule {
            Schedule::Universal => self.universal(probe, decrement),
            Schedule::Armijo => armijo(probe, decrement),
            Schedule::Greedy => greedy(probe, decrement),
            Schedule::Full => shrink_until_finite(probe, 1.0),
            Schedule::Classical => shrink_until_finite(probe, 1.0 / (1.0 + decrement)),
            Schedule::Aicn { lipschitz } => {
                shrink_until_finite(probe, aicn_step(lipschitz * decrement))
            }
            Schedule::Root { q, constant } => {
                let beta = q - 2.0;
                let c = constant / (q - 1.0) * decrement.powf(beta);
                shrink_until_finite(probe, root_step(beta, c))
            }
            Schedule::Explicit { q, constant } => {
                let power = 1.0 / (q - 1.0);
                let theta = (9.0 * constant).powf(power) * decrement.powf((q - 2.0) * power);
                shrink_until_finite(probe, 1.0 / (1.0 + theta))
            }
        }
    }

    fn universal(&mut self, probe: &mut Probe<'_>, decrement: f64) -> Result<Outcome, Fault> {
        let power = decrement.powf(KAPPA);
        let squared = decrement * decrement;
        let mut sigma = self
            .sigma
            .map_or(THETA_INIT / power, |sigma| sigma.max(THETA_MIN / power));
        let mut floor = Floor::default();
        // A. The full step, only where the constant already asks for light damping.
        if sigma * power <= THETA_FULL {
            probe.step(1.0)?;
            if full_step_passes(probe, squared)? {
                self.sigma = Some(sigma / RHO);
                return Ok(Outcome::Accepted);
            }
            match floor.judge(probe, 0.5 * squared, f64::NAN)? {
                Near::Accept => {
                    self.sigma = Some(sigma / RHO);
                    return Ok(Outcome::Accepted);
                }
                Near::No | Near::Reached => {}
            }
            if !probe.phase.is_fresh() {
                return Ok(Outcome::Failed(crate::status::Failed::SearchFailed));
            }
        }
        // B. Backtracking on σ; every trial shares the one factorization.
        while probe.trials < MAX_TRIALS {
            let theta = sigma * power;
            let alpha = 1.0 / (1.0 + theta);
            probe.step(alpha)?;
            let gain = alpha * squared;
            let near = floor.judge(probe, 0.5 * gain, f64::NAN)?;
            if let Near::Reached = near {
                return Ok(Outcome::Floor);
            }
            if matches!(near, Near::Accept) || damped_step_passes(probe, alpha, theta, gain)? {
                self.sigma = Some(sigma / RHO);
                return Ok(Outcome::Accepted);
            }
            sigma *= RHO;
        }
        self.sigma = Some(sigma);
        Ok(Outcome::Failed(crate::status::Failed::SearchFailed))
    }
}

/// ‖G‖* ≤ λ/2 and f falls by a tenth of λ²; without a factor the Armijo test.
fn full_step_passes(probe: &mut Probe<'_>, squared: f64) -> Result<bool, Fault> {
    if !probe.direction.has_factor() {
        return armijo_passes(probe, squared);
    }
    if !probe.slope()?.is_finite() {
        return Ok(false);
    }
    // NaN compares false and rejects.
    if probe.dual_squared()? <= 0.25 * squared {
        let f = probe.value()?;
        let falls = probe.at.f - f >= 0.1 * squared;
        // Too close for f to tell: the gradient decides.
        let near = squared <= 8.0 * probe.noise && probe.slope()? < probe.at.slope;
        return Ok((falls || near) && f.is_finite());
    }
    Ok(false)
}

/// The test of the module's documentation; without a factor the Armijo test.
fn damped_step_passes(
    probe: &mut Probe<'_>,
    alpha: f64,
    theta: f64,
    gain: f64,
) -> Result<bool, Fault> {
    if !probe.direction.has_factor() {
        return armijo_passes(probe, gain);
    }
    if !probe.slope()?.is_finite() {
        return Ok(false);
    }
    let needed = probe.dual_squared()? / (2.0 * alpha * theta) * (1.0 - 1e-12);
    Ok(probe.along()? >= needed && probe.value()?.is_finite())
}

fn armijo_passes(probe: &mut Probe<'_>, gain: f64) -> Result<bool, Fault> {
    let f = probe.value()?;
    Ok(f <= probe.at.f - ARMIJO * gain && probe.is_finite()?)
}

/// With the Hessian of a sample a full step has to gain most of what it promised, or the sample
/// lacks curvature.
fn is_believed(probe: &mut Probe<'_>, squared: f64) -> Result<bool, Fault> {
    Ok(!probe.phase.is_sample() || probe.at.f - probe.value()? >= BELIEVED * squared)
}

fn armijo(probe: &mut Probe<'_>, decrement: f64) -> Result<Outcome, Fault> {
    let squared = decrement * decrement;
    let mut floor = Floor::default();
    let mut alpha = 1.0;
    while probe.trials < MAX_TRIALS {
        probe.step(alpha)?;
        match floor.judge(probe, 0.5 * alpha * squared, f64::NAN)? {
            Near::Accept => return Ok(Outcome::Accepted),
            Near::Reached => return Ok(Outcome::Floor),
            Near::No => {}
        }
        if armijo_passes(probe, alpha * squared)? && is_believed(probe, squared)? {
            return Ok(Outcome::Accepted);
        }
        if !probe.phase.is_final() {
            break;
        }
        alpha *= 0.5;
    }
    Ok(Outcome::Failed(crate::status::Failed::SearchFailed))
}

/// Golden section on (0, 1] to 10⁻³, and always α = 1 as a candidate.
fn greedy(probe: &mut Probe<'_>, decrement: f64) -> Result<Outcome, Fault> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    if decrement * decrement <= 8.0 * probe.noise {
        return armijo(probe, decrement);
    }
    // Not finite counts as infinitely high.
    let mut value = |alpha: f64| -> Result<f64, Fault> {
        probe.step(alpha)?;
        let f = probe.value()?;
        Ok(if f.is_finite() { f } else { f64::INFINITY })
    };
    let mut best = (1.0, value(1.0)?);
    let (mut low, mut high) = (0.0, 1.0);
    let (mut left, mut right) = (1.0 - GOLDEN, GOLDEN);
    let (mut f_left, mut f_right) = (value(left)?, value(right)?);
    while high - low > 1e-3 * high {
        if f_left <= f_right {
            (high, right, f_right) = (right, left, f_left);
            left = high - GOLDEN * (high - low);
            f_left = value(left)?;
        } else {
            (low, left, f_left) = (left, right, f_right);
            right = low + GOLDEN * (high - low);
            f_right = value(right)?;
        }
        if high < 1e-9 {
            break;
        }
    }
    for (alpha, f) in [(left, f_left), (right, f_right)] {
        if f < best.1 {
            best = (alpha, f);
        }
    }
    probe.step(best.0)?;
    if best.1 < probe.at.f && probe.is_finite()? {
        return Ok(Outcome::Accepted);
    }
    Ok(Outcome::Failed(crate::status::Failed::SearchFailed))
}

/// Takes α as it is; a trial outside the domain is cut by 4 until it is finite.
fn shrink_until_finite(probe: &mut Probe<'_>, mut alpha: f64) -> Result<Outcome, Fault> {
    while probe.trials < MAX_TRIALS {
        probe.step(alpha)?;
        if probe.is_finite()? {
            let gain = 2.0 * probe.trial.proposal.predicted;
            let noise = gain <= 2.0 * probe.noise && probe.slope()? >= probe.at.slope;
            return Ok(if noise {
                Outcome::Floor
            } else {
                Outcome::Accepted
            });
        }
        alpha *= 0.25;
    }
    Ok(Outcome::Failed(crate::status::Failed::SearchFailed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aicn_factor_keeps_its_digits_at_every_scale() {
        let expected = [
            (0.0, 1.0),
            (1e-20, 1.0),
            (1e-16, 1.0),
            (1e-12, 0.999_999_999_999_5),
            (1e-4, 0.999_950_004_999_375_1),
            (1.0, 0.732_050_807_568_877_3),
            (100.0, 0.131_774_468_787_578_25),
        ];
        for (s, alpha) in expected {
            assert!((aicn_step(s) - alpha).abs() <= 2e-16, "s = {s}");
        }
    }

    #[test]
    fn root_solves_its_equation_and_dominates_the_explicit_schedule() {
        for beta in [0.25, 0.5, 1.0, 1.5, 2.0] {
            for k in -80..=80 {
                let c = 10f64.powf(k as f64 / 10.0);
                let alpha = root_step(beta, c);
                assert!(alpha > 0.0 && alpha <= 1.0);
                let residual = 1.0 - alpha - c * alpha.powf(1.0 + beta);
                assert!(residual.abs() < 1e-13, "beta {beta}, c {c}: {residual}");
                let explicit = 1.0 / (1.0 + c.powf(1.0 / (1.0 + beta)));
                assert!(alpha >= explicit * (1.0 - 1e-13));
            }
            assert_eq!(root_step(beta, 0.0), 1.0);
        }
        // Closed form at beta = 1.
        for c in [1e-8, 0.3, 2.0, 1e6] {
            let closed = 2.0 / (1.0 + (1.0f64 + 4.0 * c).sqrt());
            assert!((root_step(1.0, c) / closed - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn constants_out_of_range_are_refused() {
        let refused = |schedule| {
            Damping {
                schedule,
                sigma: None,
            }
            .check()
            .is_err()
        };
        assert!(refused(Schedule::Aicn { lipschitz: 0.0 }));
        assert!(refused(Schedule::Aicn {
            lipschitz: f64::NAN
        }));
        assert!(refused(Schedule::Root {
            q: 2.0,
            constant: 1.0
        }));
        assert!(refused(Schedule::Explicit {
            q: 4.5,
            constant: 1.0
        }));
        assert!(!refused(Schedule::Explicit {
            q: 2.0,
            constant: 1.0
        }));
    }
}
