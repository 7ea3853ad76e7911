//! min gᵀs + ½ sᵀ(H + δI)s + (M/6)‖s‖³.

use super::secular::{Problem, Target};
use super::{Solution, SubproblemError, Work};
use crate::linear::shifted::Shifted;

/// Writes the global minimizer of gᵀs + ½ sᵀ(H + δI)s + (M/6)‖s‖³ to `s`.
///
/// `delta` = δ ≥ 0, `m` = M > 0. With σ = M/2 the multiplier λ ≥ max(0, −λ_1 − δ)
/// solves 1/‖s(λ)‖ = σ/λ, s(λ) = −(H + δI + λI)⁻¹g, by Newton's method on the
/// concave φ(λ) = 1/‖s(λ)‖ − σ/λ from a lower bound that a few Lanczos steps
/// give. H may be indefinite, singular or zero. For g = 0 the minimizer is s = 0
/// if H + δI ⪰ 0 (to rounding), else a leftmost eigenvector of length −2(λ_1 + δ)/M.
/// The residual ‖g + (H + δI + λI)s‖ is verified to be at most 10⁻⁸(‖g‖ + ‖H + δI‖‖s‖).
///
/// Costs up to 16 products, then one factorization, one and a half solves per
/// value of λ (2 to 5, more next to the hard case) and, if it is needed,
/// [`leftmost`](Shifted::leftmost). Allocates only if `work` is too short.
///
/// # Errors
/// [`SubproblemError`]; `s` is unspecified then.
///
/// Reference: Nesterov & Polyak (2006), section 5;
/// C. Cartis, N. I. M. Gould, Ph. L. Toint, "Adaptive cubic regularisation
/// methods", part I (2011), section 6.1.
pub fn cubic(
    matrix: &mut dyn Shifted,
    g: &[f64],
    delta: f64,
    m: f64,
    s: &mut [f64],
    work: &mut Work,
) -> Result<Solution, SubproblemError> {
    cubic_near(matrix, g, delta, m, None, s, work)
}

/// [`cubic`], with a guess at the multiplier that replaces the Lanczos steps.
///
/// The guess decides the cost and the last bits, not which minimizer is found.
///
/// # Errors
/// As [`cubic`].
pub fn cubic_near(
    matrix: &mut dyn Shifted,
    g: &[f64],
    delta: f64,
    m: f64,
    guess: Option<f64>,
    s: &mut [f64],
    work: &mut Work,
) -> Result<Solution, SubproblemError> {
    if !(m > 0.0 && m.is_finite()) {
        return Err(SubproblemError::Parameter {
            name: "the cubic constant M",
            value: m,
            range: "positive and finite",
        });
    }
    if !(delta >= 0.0 && delta.is_finite()) {
        return Err(SubproblemError::Parameter {
            name: "the quadratic term δ",
            value: delta,
            range: "nonnegative and finite",
        });
    }
    let target = Target::Cubic { sigma: 0.5 * m };
    Problem::new(matrix, target, delta)?.solve(g, guess, s, work)
}
