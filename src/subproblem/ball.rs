//! min gᵀs + ½ sᵀHs over ‖s‖ ≤ Δ.

use super::secular::{Problem, Target};
use super::{Solution, SubproblemError, Work};
use crate::linear::shifted::Shifted;

/// Writes the global minimizer of gᵀs + ½ sᵀHs over ‖s‖ ≤ Δ to `s`.
///
/// `radius` = Δ > 0. The Newton step −H⁻¹g if H is positive definite and the
/// step short enough; else s(λ) = −(H + λI)⁻¹g with ‖s(λ)‖ = Δ, by Newton's
/// method on 1/‖s(λ)‖ − 1/Δ; in the hard case an eigenvector of λ_1 is added, at
/// the root of ‖s + tu‖ = Δ of the lower model value. If H is positive
/// semidefinite and singular with a step inside the ball, the multiplier is zero.
/// The residual ‖g + (H + λI)s‖ is verified to be at most 10⁻⁸(‖g‖ + ‖H‖‖s‖).
///
/// Costs as [`cubic`](super::cubic()). Allocates only if `work` is too short.
///
/// # Errors
/// [`SubproblemError`]; `s` is unspecified then.
///
/// Reference: Moré & Sorensen (1983), section 3.
pub fn ball(
    matrix: &mut dyn Shifted,
    g: &[f64],
    radius: f64,
    s: &mut [f64],
    work: &mut Work,
) -> Result<Solution, SubproblemError> {
    ball_near(matrix, g, radius, None, s, work)
}

/// [`ball`], with a guess at the multiplier that replaces the Lanczos steps.
///
/// The guess decides the cost and the last bits, not which minimizer is found.
///
/// # Errors
/// As [`ball`].
pub fn ball_near(
    matrix: &mut dyn Shifted,
    g: &[f64],
    radius: f64,
    guess: Option<f64>,
    s: &mut [f64],
    work: &mut Work,
) -> Result<Solution, SubproblemError> {
    if !(radius > 0.0 && radius.is_finite()) {
        return Err(SubproblemError::Parameter {
            name: "the radius",
            value: radius,
            range: "positive and finite",
        });
    }
    Problem::new(matrix, Target::Ball { radius }, 0.0)?.solve(g, guess, s, work)
}
