//! Objectives that are means of many terms.

use crate::edge::{SymMat, VecLike};
use argmin::core::Error;

/// Some of the terms of a finite sum, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// Every term once.
    All,
    /// These terms, each as often as it occurs; never empty, all in range.
    Terms(&'a [usize]),
}

impl Batch<'_> {
    /// Number of terms, of `n` in all.
    pub(crate) fn len(self, n: usize) -> usize {
        match self {
            Batch::All => n,
            Batch::Terms(terms) => terms.len(),
        }
    }

    /// The term at place k.
    pub(crate) fn term(self, k: usize) -> usize {
        match self {
            Batch::All => k,
            Batch::Terms(terms) => terms[k],
        }
    }
}

/// F(x) = (1/n) Σ fᵢ(x), evaluated on batches.
///
/// Every quantity of a batch is the **mean** over it, a penalty included: F itself for
/// [`Batch::All`]. The batch is an argument of every call, so that two points can be compared on
/// the same one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a finite sum",
    note = "implement `raphson::FiniteSum`, or use a deterministic solver with argmin's traits"
)]
pub trait FiniteSum {
    /// Type of the parameter vector.
    type Param: VecLike;
    /// Type of the gradient vector.
    type Gradient: VecLike;
    /// Type of the Hessian.
    type Hessian: SymMat;

    /// n, the number of terms.
    fn terms(&self) -> usize;
    /// The mean of fᵢ(x) over the batch.
    fn value(&self, x: &Self::Param, batch: Batch<'_>) -> Result<f64, Error>;
    /// Value and gradient of the mean over the batch.
    fn value_gradient(
        &self,
        x: &Self::Param,
        batch: Batch<'_>,
    ) -> Result<(f64, Self::Gradient), Error>;
    /// The Hessian of the mean over the batch.
    fn hessian(&self, x: &Self::Param, batch: Batch<'_>) -> Result<Self::Hessian, Error>;

    /// Writes the product of the batch's Hessian with `v` to `out`.
    ///
    /// Default: an error, products are not offered.
    fn hessian_product(
        &self,
        x: &Self::Param,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error> {
        let _ = (x, batch, v, out);
        Err(Error::msg("this finite sum offers no Hessian products"))
    }
}
