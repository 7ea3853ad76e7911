//! Steps: what a model of f around the current point proposes.
//!
//! A [`Direction`] is prepared once per accepted point, where it pays for the
//! factorization, and then tried many times at the price of a few vector
//! operations.

use crate::error::Error;
use crate::oracle::{Abort, Counted};
use crate::parallel::norm;
use crate::status::Failed;

pub(crate) mod metric;
pub(crate) mod model;
pub(crate) mod newton;
pub(crate) mod saddle_free;
mod secant;

/// Curvature above minus this part of the scale of H counts as nonnegative.
pub(crate) const NONNEGATIVE: f64 = 1e-8;

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

/// A step that the model offers for one value of the control.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proposal {
    /// Decrease of f that the model without its regularization predicts.
    pub(crate) predicted: f64,
    /// ‖s‖, in the metric of the method.
    pub(crate) length: f64,
    /// λ in (H + λI)s = −g; zero for a step along the Newton direction.
    pub(crate) multiplier: f64,
}

/// Proposes steps from the curvature.
pub trait Direction {
    /// Takes over the curvature of a problem of `dimension` variables that the oracle has just
    /// evaluated; `again` if a resumed run needs the one it was using.
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        dimension: usize,
        again: bool,
    ) -> Result<(), Fault>;
    /// Makes ready for steps from `at`. `forcing` bounds the relative residual where the
    /// solve is iterative.
    fn prepare(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        forcing: f64,
    ) -> Result<(), Fault>;
    /// Writes the step for one value of the control; [`None`] if there is none, which is a
    /// rejected trial.
    fn step(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        control: f64,
        out: &mut [f64],
    ) -> Result<Option<Proposal>, Fault>;

    /// The decrease of f that the model predicts without regularization, given the control of
    /// a trial; infinite if the model has no minimum.
    fn unrestricted(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        control: f64,
    ) -> Result<f64, Fault>;

    /// Checks the user's options.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Says that each curvature will serve ten steps and more.
    fn expect_reuse(&mut self, _is_long: bool) {}
    /// Whether the curvature serves for steps from later points.
    fn is_reusable(&self) -> bool {
        false
    }
    /// Writes the full Newton step that was prepared; false if the method knows none.
    fn full_step(&self, _out: &mut [f64]) -> bool {
        false
    }
    /// Newton decrement sqrt(gᵀH⁻¹g), if the method computes it.
    fn decrement(&self) -> Option<f64> {
        None
    }
    /// Whether [`decrement`](Direction::decrement) is ever to be had.
    fn has_decrement(&self) -> bool {
        false
    }
    /// Gᵀn, with n the full Newton direction (the step is −n).
    fn along(&self, _gradient: &[f64]) -> f64 {
        f64::NAN
    }
    /// vᵀH⁻¹v from the factor; [`None`] if there is no factor.
    fn inverse_norm_squared(&mut self, _oracle: &mut Counted<'_>, _v: &[f64]) -> Option<f64> {
        None
    }
    /// Whether [`inverse_norm_squared`](Direction::inverse_norm_squared) is to be had.
    fn has_factor(&self) -> bool {
        false
    }
    /// Norm of a gradient, dual to the metric of the method.
    fn dual_norm(&mut self, gradient: &[f64]) -> f64 {
        norm(gradient)
    }
    /// Scale of the curvature at `at`: |gᵀHg|/‖g‖², or if that is zero ‖H‖_F/√d, or
    /// if that is zero too ‖g‖.
    fn curvature_scale(&mut self, _oracle: &mut Counted<'_>, at: &Iterate) -> Result<f64, Fault> {
        Ok(at.slope)
    }
    /// Whether it is known at little cost that no eigenvalue of the curvature is below −10⁻⁸
    /// times its scale.
    fn is_convex(&mut self, _oracle: &mut Counted<'_>) -> Result<bool, Fault> {
        Ok(true)
    }
}
