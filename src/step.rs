//! Steps: what a model of f around the current point proposes.
//!
//! A [`Direction`] is prepared once per accepted point, where it pays for the
//! factorization, and then tried many times at the price of a few vector
//! operations.

use crate::oracle::{Abort, Counted};
use crate::status::Failed;

pub(crate) mod newton;

/// Why a step or a search could not go on.
#[derive(Debug)]
pub enum Fault {
    /// The user's function returned an error.
    Abort,
    /// A numerical failure that ends the run.
    Fail(Failed),
}

impl From<Abort> for Fault {
    fn from(_: Abort) -> Self {
        Fault::Abort
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        Fault::Fail(failed)
    }
}

/// The accepted point.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Iterate {
    pub(crate) x: Vec<f64>,
    pub(crate) f: f64,
    pub(crate) g: Vec<f64>,
    /// ‖g‖.
    pub(crate) slope: f64,
}

/// Proposes steps from the curvature that the oracle keeps.
pub trait Direction {
    /// Factors. `forcing` bounds the relative residual where the solve is iterative.
    fn prepare(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        forcing: f64,
    ) -> Result<(), Fault>;
    /// Writes the step for one value of the control to `out`.
    fn step(&mut self, control: f64, out: &mut [f64]);
    /// Newton decrement sqrt(gᵀH⁻¹g).
    fn decrement(&self) -> f64;
    /// Gᵀn, with n the full Newton direction (the step is −n).
    fn along(&self, gradient: &[f64]) -> f64;
    /// vᵀH⁻¹v from the factor; [`None`] if there is no factor.
    fn inverse_norm_squared(&mut self, oracle: &mut Counted<'_>, v: &[f64]) -> Option<f64>;
    /// Whether [`inverse_norm_squared`](Direction::inverse_norm_squared) is to be had.
    fn has_factor(&self) -> bool;
}
