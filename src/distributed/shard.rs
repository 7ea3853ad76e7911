//! The part of a finite sum that lies on one rank.

use crate::finite_sum::FiniteSum;
use crate::models::linear::{LinearModel, Loss};
use crate::models::{Mlp, Softmax};
use crate::problem::HessianProduct;
use argmin::core::Error;

/// A [`FiniteSum`] whose terms are those of one rank, and what the sum over the ranks must know
/// besides: `impl Shard for Mine { fn dimension(&self) -> usize { .. } }` is enough.
///
/// Its value is the mean over its own terms, with the whole penalty. A model whose labels are
/// classes must know those of all ranks.
pub trait Shard: FiniteSum<Param = Vec<f64>, Gradient = Vec<f64>> {
    /// d, the number of variables.
    fn dimension(&self) -> usize;

    /// The point at which the norm of the gradient is the scale of relative tests. Default: none,
    /// the solver takes the norm at its start.
    fn origin(&self) -> Option<Vec<f64>> {
        None
    }

    /// Writes the diagonal of the Hessian over all terms and returns true. Default: false.
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, Error> {
        let _ = (x, out);
        Ok(false)
    }

    /// Whether there may be directions in which no term has a minimum. Default: false.
    fn recedes(&self) -> bool {
        false
    }

    /// How far x leads down the losses without a minimum, least and most over the terms; see
    /// [`Loss::advance`]. Default: (−∞, ∞), nothing known.
    fn advance(&self, x: &[f64]) -> (f64, f64) {
        let _ = x;
        (f64::NEG_INFINITY, f64::INFINITY)
    }
}

impl<L: Loss> Shard for LinearModel<L> {
    fn dimension(&self) -> usize {
        LinearModel::dimension(self)
    }
    fn origin(&self) -> Option<Vec<f64>> {
        Some(LinearModel::origin(self))
    }
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, Error> {
        HessianProduct::hessian_diagonal(self, x, out)
    }
    fn recedes(&self) -> bool {
        LinearModel::recedes(self)
    }
    fn advance(&self, x: &[f64]) -> (f64, f64) {
        LinearModel::advance(self, x)
    }
}

impl Shard for Softmax {
    fn dimension(&self) -> usize {
        Softmax::dimension(self)
    }
    fn origin(&self) -> Option<Vec<f64>> {
        Some(Softmax::origin(self))
    }
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, Error> {
        HessianProduct::hessian_diagonal(self, x, out)
    }
    fn recedes(&self) -> bool {
        Softmax::recedes(self)
    }
    fn advance(&self, x: &[f64]) -> (f64, f64) {
        Softmax::advance(self, x)
    }
}

impl Shard for Mlp {
    fn dimension(&self) -> usize {
        Mlp::dimension(self)
    }
}
