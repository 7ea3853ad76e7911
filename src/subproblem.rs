//! Exact minimizers of regularized quadratic models.
//!
//! | problem | function | optimality: B + λI ⪰ 0, (B + λI) s = −g and |
//! |---|---|---|
//! | min gᵀs + ½ sᵀBs + (M/6)‖s‖³, B = H + δI | [`cubic`] | λ = (M/2)‖s‖ |
//! | min gᵀs + ½ sᵀBs over ‖s‖ ≤ Δ, B = H | [`ball`] | λ ≥ 0, λ(Δ − ‖s‖) = 0 |
//!
//! H is seen as a [`Shifted`], so the same code costs O(n) per λ in a tridiagonal
//! basis and one factorization per λ otherwise. λ is the root of a secular
//! equation; in the *hard case*, where g is orthogonal to the eigenspace of the
//! least eigenvalue λ_1 and λ = −λ_1, an eigenvector is added.
//!
//! Norms and quotients are formed so that g, H and the constants may have any
//! scale of which the answer itself is a double. The result depends on the
//! arguments alone, never on earlier calls.
//!
//! References: J. J. Moré, D. C. Sorensen, "Computing a trust region step"
//! (1983), sections 2 and 3; Yu. Nesterov, B. T. Polyak, "Cubic regularization
//! of Newton method and its global performance" (2006), section 5; A. R. Conn,
//! N. I. M. Gould, Ph. L. Toint, Trust-Region Methods (2000), section 7.3.

#[cfg(doc)]
use crate::linear::shifted::Shifted;
use crate::linear::{Breakdown, SymTridiagonal};

mod ball;
mod cubic;
mod secular;

pub use ball::{ball, ball_near};
pub use cubic::{cubic, cubic_near};

/// Largest residual of the optimality condition, relative to ‖g‖ + ‖H‖‖s‖.
const RESIDUAL_TOLERANCE: f64 = 1e-8;

/// A minimizer, beside the step itself.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Solution {
    /// (M/2)‖s‖ for the cubic model, the multiplier of ‖s‖ ≤ Δ for the ball.
    pub multiplier: f64,
    /// ‖s‖.
    pub step_norm: f64,
    /// −m(s) ≥ 0, the decrease that the model predicts.
    pub predicted: f64,
    /// Whether a leftmost eigenvector was added.
    pub hard_case: bool,
    /// Values of λ tried, each of which cost a factorization.
    pub iterations: usize,
}

/// Why there is no minimizer.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubproblemError {
    /// From the linear algebra.
    #[error(transparent)]
    Breakdown(#[from] Breakdown),
    /// The gradient is not finite.
    #[error("the gradient of the model is not finite")]
    NonFinite,
    /// A parameter is out of its range.
    #[error("{name} is {value}; it must be {range}")]
    Parameter {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// ‖s‖ or the predicted decrease exceeds the range of doubles.
    #[error("the minimizer of the model exceeds the range of doubles; rescale the problem")]
    Overflow,
    /// The step found misses the optimality condition.
    #[error(
        "the minimizer of the model was not found: residual {residual:e}, tolerance {tolerance:e}"
    )]
    Residual {
        /// ‖g + (H + λI)s‖.
        residual: f64,
        /// What was allowed.
        tolerance: f64,
    },
}

/// Work vectors of the subproblems, sized by the first one.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// −g/‖g‖.
    unit: Vec<f64>,
    /// (H + λI)⁻¹(−g), normalized.
    direction: Vec<f64>,
    /// A unit eigenvector of λ_1.
    leftmost: Vec<f64>,
    /// Products with H.
    product: Vec<f64>,
    /// A small Lanczos matrix and its right-hand side, from which the first λ comes.
    krylov: SymTridiagonal,
    small: [Vec<f64>; 3],
}

impl Work {
    /// Without storage.
    pub fn new() -> Self {
        Self::default()
    }
}
