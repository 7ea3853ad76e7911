//! Linear least squares and ridge regression.
//!
//! # Problem
//! min over w (and b)  f = ½ Σᵢ cᵢ (aᵢᵀw + b − yᵢ)² + (μ/2)‖w‖²
//!
//! with cᵢ = sᵢ/Σs the normalized sample weights, 1/n by default: **half the mean** of squared
//! residuals. For a residual sum of squares with penalty λ‖w‖² use μ = λ/n. Options, cost and
//! batches are those of a [`LinearModel`]; labels are any finite numbers.
//!
//! # Derivatives
//! g = Aᵀ(c r) + μw with r = Aw + b − y, H = Aᵀ diag(c) A + μI, constant: one full Newton step
//! ends at the minimizer. The normal equations square the condition number of A; where a column
//! depends on others, a penalty is needed for a unique solution.

use super::linear::{LinearModel, Loss};
use crate::data::Dataset;
use crate::error::Error;

/// ½(m − y)², the loss of [`LeastSquares`].
#[derive(Debug, Clone)]
pub struct Square;

/// Linear least squares, ridge regression; see the [module](self) and, for its methods,
/// [`LinearModel`].
///
/// ```
/// use raphson::{Dataset, DampedNewton, models::LeastSquares};
/// let rows = [[0.0], [1.0], [2.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[1.0, 3.0, 5.0])?;
/// let model = LeastSquares::new(&data).intercept(true);
/// let run = DampedNewton::new().minimize(&model, model.origin())?.must_converge()?;
/// assert!((run.x[0] - 2.0).abs() < 1e-12 && (run.x[1] - 1.0).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type LeastSquares = LinearModel<Square>;

impl LeastSquares {
    /// Half the mean of squared residuals on `data` without penalty and intercept.
    pub fn new(data: &Dataset) -> Self {
        LinearModel::with_loss(data, Square)
    }

    /// aᵢᵀw + b for every row.
    ///
    /// # Errors
    /// As [`decision`](LinearModel::decision).
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        self.decision(w, data)
    }
}

impl Loss for Square {
    fn value(&self, margin: f64, y: f64, share: f64) -> f64 {
        if share == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let r = margin - y;
        0.5 * share * r * r
    }

    fn slope(&self, margin: f64, y: f64, share: f64) -> f64 {
        share * (margin - y)
    }

    fn curvature(&self, _: f64, _: f64, share: f64) -> f64 {
        share
    }
}
