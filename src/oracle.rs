//! What the numerics ask of a problem, and how a user's problem answers.
//!
//! Methods see only the object-safe [`Oracle`]; nothing in them is generic over
//! the user's types. [`Smooth`] says once, for each source of second
//! derivatives, how a user's problem becomes an oracle. The source is a marker
//! type on the solver because Rust cannot find out that a problem also
//! implements an optional trait: [`Explicit`] (argmin's `Hessian`),
//! [`Products`] ([`HessianProduct`](crate::HessianProduct)), [`OnePass`] ([`Fused`](crate::Fused)), [`Batches`]
//! ([`FiniteSum`](crate::FiniteSum)), which can be evaluated on a part of its terms, [`BatchProducts`] for that with
//! products, [`Outputs`] ([`OutputModel`]), a model under a loss, and [`Residuals`] (argmin's
//! `Operator` and `Jacobian`), whose f is ½‖r‖². [`Coupling`] stands for the one problem that
//! gives no functions but its data, [`Transport`]; [`Constrained`] and [`ConstrainedProducts`] are
//! problems with [equality constraints](crate::constraints).

mod constrained;
mod counted;
mod host;
mod sources;

pub use constrained::{Constrained, ConstrainedProducts};
pub use counted::Counted;
pub(crate) use host::HostOracle;
pub use sources::Place;

use crate::edge::{RectView, SymView, VecLike};
use crate::finite_sum::Batch;
use crate::output_model::{OutputLoss, OutputModel};
use crate::status::Failed;
use crate::transport::Transport;
use argmin::core::Error;
use faer::MatMut;

/// The user's function failed; the oracle keeps the original error.
#[derive(Debug)]
pub struct Abort;

/// The second derivatives held by an oracle.
pub enum Curvature<'a> {
    /// A matrix.
    Matrix(SymView<'a>),
    /// Products only, by [`Oracle::product`].
    Products,
}

/// Everything a method may ask of a problem; object safe.
pub trait Oracle {
    /// f(x).
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort>;
    /// The gradient at x.
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort>;
    /// f(x) and the gradient at x.
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort>;
    /// True if value and gradient together cost one pass.
    fn is_fused(&self) -> bool;
    /// Evaluates the curvature at x and keeps it.
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort>;
    /// The curvature kept by [`refresh`](Oracle::refresh); costs nothing.
    fn curvature(&self) -> Curvature<'_>;
    /// The kept curvature times v; only for [`Curvature::Products`].
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort>;
    /// A positive diagonal that preconditions products, if the problem has one.
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort>;
    /// Scale of the gradient for relative tests, if the problem knows one.
    fn gradient_scale(&self) -> Option<f64>;
    /// Asks the problem whether x, reached by `step`, can be near a minimizer.
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed>;
    /// Whether the problem may ever object in [`verify`](Oracle::verify).
    fn may_object(&self) -> bool;
    /// Checks that the kept matrix is symmetric.
    fn validate(&mut self) -> Result<(), Abort>;
    /// Keeps an error of ours as if the problem had returned it.
    fn fail(&mut self, error: crate::Error) -> Abort;

    /// The transport problem behind it.
    fn transport(&mut self) -> Result<&Transport, Abort> {
        Err(self.fail(crate::Error::NotOffered { what: TRANSPORT }))
    }

    /// Number of terms, if the problem is a finite sum.
    fn terms(&self) -> Option<usize> {
        None
    }
    /// The mean of the terms of a batch at x.
    fn batch_value(&mut self, _x: &[f64], _batch: Batch<'_>) -> Result<f64, Abort> {
        Err(self.fail(crate::Error::NotOffered { what: BATCHES }))
    }
    /// Value and gradient of the mean over a batch at x.
    fn batch_value_gradient(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _out: &mut [f64],
    ) -> Result<f64, Abort> {
        Err(self.fail(crate::Error::NotOffered { what: BATCHES }))
    }
    /// Evaluates the curvature of the mean over a batch at x and keeps it.
    fn batch_refresh(&mut self, _x: &[f64], _batch: Batch<'_>) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: BATCHES }))
    }

    /// The residuals r(x), as many as there are.
    fn residuals(&mut self, _x: &[f64], _out: &mut Vec<f64>) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: RESIDUALS }))
    }
    /// Evaluates the Jacobian of `_rows` residuals at x and keeps it.
    fn jacobian(&mut self, _x: &[f64], _rows: usize) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: RESIDUALS }))
    }
    /// The Jacobian kept by [`jacobian`](Oracle::jacobian); costs nothing.
    fn rect(&self) -> Option<RectView<'_>> {
        None
    }
    /// The loss of the terms by their outputs, if the problem is made of outputs.
    fn loss(&self) -> Option<OutputLoss<'_>> {
        None
    }
    /// c, the number of outputs of a term.
    fn outputs_len(&self) -> usize {
        0
    }
    /// μ of the penalty that comes on top of the losses.
    fn l2(&self) -> f64 {
        0.0
    }
    /// Writes the outputs of a batch at x; see [`OutputModel::outputs`].
    fn batch_outputs(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _out: &mut [f64],
    ) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: OUTPUTS }))
    }
    /// Writes the Jacobian J of the outputs of a batch at x.
    fn batch_jacobian(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _out: MatMut<'_, f64>,
    ) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: OUTPUTS }))
    }
    /// Writes JJᵀ and returns true, or false if the problem has no short way to it.
    fn batch_gram(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _out: MatMut<'_, f64>,
    ) -> Result<bool, Abort> {
        Err(self.fail(crate::Error::NotOffered { what: OUTPUTS }))
    }
    /// Writes Jv.
    fn batch_jvp(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _v: &[f64],
        _out: &mut [f64],
    ) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: OUTPUTS }))
    }
    /// Writes Jᵀu.
    fn batch_vjp(
        &mut self,
        _x: &[f64],
        _batch: Batch<'_>,
        _u: &[f64],
        _out: &mut [f64],
    ) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: OUTPUTS }))
    }
    /// Number of equality constraints.
    fn n_constraints(&self) -> usize {
        0
    }
    /// The values of the constraints at x.
    fn constraints(&mut self, _x: &[f64], _out: &mut [f64]) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: CONSTRAINTS }))
    }
    /// Evaluates the Jacobian of the constraints at x and shows it.
    fn show_jacobian(
        &mut self,
        _x: &[f64],
        _show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: CONSTRAINTS }))
    }
    /// Evaluates the curvature of the Lagrangian at x and keeps it.
    fn refresh_lagrangian(&mut self, _x: &[f64], _multipliers: &[f64]) -> Result<(), Abort> {
        Err(self.fail(crate::Error::NotOffered { what: CONSTRAINTS }))
    }
}

const TRANSPORT: &str = "masses and costs; give a `raphson::Transport`";
const OUTPUTS: &str = "outputs under a loss; implement `raphson::OutputModel`";
const CONSTRAINTS: &str = "equality constraints; implement `raphson::EqualityConstraints`";
const BATCHES: &str = "batches of its terms; implement `raphson::FiniteSum`";
const RESIDUALS: &str = "residuals; implement argmin's `Operator` and `Jacobian`";

/// Second derivatives come from argmin's `Hessian`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Explicit;
/// Second derivatives come as products from [`HessianProduct`](crate::HessianProduct).
#[derive(Debug, Clone, Copy, Default)]
pub struct Products;
/// Value, gradient and Hessian come from [`Fused`](crate::Fused).
#[derive(Debug, Clone, Copy, Default)]
pub struct OnePass;
/// Value, gradient and Hessian come from [`FiniteSum`](crate::FiniteSum), on batches of its terms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batches;
/// f = ½‖r‖² with the residuals r from argmin's `Operator` and their derivatives from its `Jacobian`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Residuals;

/// The problem is a [`Transport`]; its solvers read costs and masses and make the rest themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coupling;

/// Value and gradient come from [`FiniteSum`](crate::FiniteSum) on batches of its terms, second derivatives as its
/// products.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchProducts;

/// Value and gradient come from the outputs of an [`OutputModel`], on batches of its terms; second
/// derivatives by Gauss and Newton's approximation alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs;

/// A twice differentiable problem whose second derivatives come from the source `C`.
///
/// Implemented for every problem that has the traits the source asks for; users
/// do not implement it.
pub trait Smooth<C> {
    /// The parameter vector.
    type Point: VecLike;
    /// The gradient vector.
    type Slope: VecLike;
    /// What is kept of the second derivatives.
    type Kept;
    /// argmin's name for the count of curvature evaluations, if they cost any.
    const CURVATURE: Option<&'static str>;
    /// True if value and gradient together cost one pass.
    const FUSED: bool = false;

    /// f(x).
    fn value(&self, x: &Self::Point) -> Result<f64, Error>;
    /// The gradient.
    fn slope(&self, x: &Self::Point) -> Result<Self::Slope, Error>;
    /// f(x) and the gradient.
    fn both(&self, x: &Self::Point) -> Result<(f64, Self::Slope), Error> {
        Ok((self.value(x)?, self.slope(x)?))
    }
    /// The second derivatives at x.
    fn keep(&self, x: &Self::Point) -> Result<Self::Kept, Error>;
    /// View of what was kept.
    fn view(kept: &Self::Kept) -> Curvature<'_>;
    /// H v for the kept H. Default: an error, for sources that give a matrix.
    fn product(&self, _kept: &Self::Kept, _v: &[f64], _out: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(NO_PRODUCTS))
    }
    /// Diagonal of the kept H.
    fn diagonal(&self, _kept: &Self::Kept, _out: &mut [f64]) -> Result<bool, Error> {
        Ok(false)
    }
    /// See [`SymMat::gradient_scale`](crate::SymMat::gradient_scale).
    fn gradient_scale(&self, _kept: &Self::Kept) -> Option<f64> {
        None
    }
    /// See [`SymMat::verify`](crate::SymMat::verify).
    fn verify(&self, _kept: &Self::Kept, _x: &[f64], _step: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    /// See [`SymMat::may_object`](crate::SymMat::may_object).
    fn may_object(_kept: &Self::Kept) -> bool {
        true
    }

    /// The transport problem.
    fn transport(&self) -> Option<&Transport> {
        None
    }
    /// A gradient to be overwritten, of problems that evaluate none.
    fn blank(&self) -> Option<Self::Slope> {
        None
    }

    /// Number of terms of a finite sum.
    fn terms(&self) -> Option<usize> {
        None
    }
    /// The mean over a batch.
    fn batch_value(&self, _x: &Self::Point, _batch: Batch<'_>) -> Result<f64, Error> {
        Err(crate::Error::NotOffered { what: BATCHES }.into())
    }
    /// Value and gradient of the mean over a batch.
    fn batch_both(&self, _x: &Self::Point, _batch: Batch<'_>) -> Result<(f64, Self::Slope), Error> {
        Err(crate::Error::NotOffered { what: BATCHES }.into())
    }
    /// The second derivatives of the mean over a batch.
    fn batch_keep(&self, _x: &Self::Point, _batch: Batch<'_>) -> Result<Self::Kept, Error> {
        Err(crate::Error::NotOffered { what: BATCHES }.into())
    }

    /// The residuals.
    fn residuals(&self, _x: &Self::Point, _out: &mut Vec<f64>) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: RESIDUALS }.into())
    }
    /// View of a Jacobian that was kept.
    fn rect(_kept: &Self::Kept) -> Option<RectView<'_>> {
        None
    }
    /// A gradient object to be overwritten, where `x` can serve as one.
    fn slope_like(_x: &Self::Point) -> Option<Self::Slope> {
        None
    }
    /// The model behind the outputs.
    fn model(&self) -> Option<&dyn OutputModel<Param = Self::Point>> {
        None
    }
    /// Number of equality constraints.
    fn n_constraints(&self) -> usize {
        0
    }
    /// The values of the constraints.
    fn constraints(&self, _x: &Self::Point, _out: &mut [f64]) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: CONSTRAINTS }.into())
    }
    /// Shows the Jacobian of the constraints.
    fn show_jacobian(
        &self,
        _x: &Self::Point,
        _show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: CONSTRAINTS }.into())
    }
    /// The second derivatives of the Lagrangian; `old` is what was kept before.
    fn keep_lagrangian(
        &self,
        _x: &Self::Point,
        _multipliers: &[f64],
        _old: Option<Self::Kept>,
    ) -> Result<Self::Kept, Error> {
        Err(crate::Error::NotOffered { what: CONSTRAINTS }.into())
    }
}

const NO_PRODUCTS: &str = "this source of curvature gives a matrix, not products";
