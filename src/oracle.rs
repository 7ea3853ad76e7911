//! What the numerics ask of a problem, and how a user's problem answers.
//!
//! Methods see only the object-safe [`Oracle`]; nothing in them is generic over
//! the user's types. [`Smooth`] says once, for each source of second
//! derivatives, how a user's problem becomes an oracle. The source is a marker
//! type on the solver because Rust cannot find out that a problem also
//! implements an optional trait: [`Explicit`] (argmin's `Hessian`),
//! [`Products`] ([`HessianProduct`]), [`OnePass`] ([`Fused`]), [`Batches`]
//! ([`FiniteSum`]), which can be evaluated on a part of its terms, [`BatchProducts`] for that with
//! products, [`Outputs`] ([`OutputModel`]), a model under a loss, and [`Residuals`] (argmin's
//! `Operator` and `Jacobian`), whose f is ½‖r‖². [`Coupling`] stands for the one problem that
//! gives no functions but its data, [`Transport`]; [`Constrained`] and [`ConstrainedProducts`] are
//! problems with [equality constraints](crate::constraints).

mod constrained;

pub use constrained::{Constrained, ConstrainedProducts};

use crate::edge::{RectMat, RectView, SymMat, SymView, VecLike};
use crate::finite_sum::{Batch, FiniteSum};
use crate::output_model::{OutputLoss, OutputModel, mean_loss, stack_slopes};
use crate::parallel::dot;
use crate::problem::{Fused, HessianProduct};
use crate::record::Report;
use crate::status::Failed;
use crate::transport::Transport;
use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};
use faer::MatMut;
use std::collections::HashMap;
use std::marker::PhantomData;

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
/// Second derivatives come as products from [`HessianProduct`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Products;
/// Value, gradient and Hessian come from [`Fused`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OnePass;
/// Value, gradient and Hessian come from [`FiniteSum`], on batches of its terms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batches;
/// f = ½‖r‖² with the residuals r from argmin's `Operator` and their derivatives from its `Jacobian`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Residuals;

/// The problem is a [`Transport`]; its solvers read costs and masses and make the rest themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coupling;

/// Value and gradient come from [`FiniteSum`] on batches of its terms, second derivatives as its
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
    /// H v for the kept H.
    fn product(&self, kept: &Self::Kept, v: &[f64], out: &mut [f64]) -> Result<(), Error>;
    /// Diagonal of the kept H.
    fn diagonal(&self, _kept: &Self::Kept, _out: &mut [f64]) -> Result<bool, Error> {
        Ok(false)
    }
    /// See [`SymMat::gradient_scale`].
    fn gradient_scale(&self, kept: &Self::Kept) -> Option<f64>;
    /// See [`SymMat::verify`].
    fn verify(&self, kept: &Self::Kept, x: &[f64], step: &[f64]) -> Result<(), Failed>;
    /// See [`SymMat::may_object`].
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

impl<O, P, G, H> Smooth<Explicit> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + Hessian<Param = P, Hessian = H>,
    P: VecLike,
    G: VecLike,
    H: SymMat,
{
    type Point = P;
    type Slope = G;
    type Kept = H;
    const CURVATURE: Option<&'static str> = Some("hessian_count");

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, x: &P) -> Result<H, Error> {
        Hessian::hessian(self, x)
    }
    fn view(kept: &H) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn product(&self, _: &H, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(NO_PRODUCTS))
    }
    fn gradient_scale(&self, kept: &H) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &H, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &H) -> bool {
        kept.may_object()
    }
}

impl<O, P, G> Smooth<Products> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + HessianProduct<Param = P>,
    P: VecLike,
    G: VecLike,
{
    type Point = P;
    type Slope = G;
    type Kept = P;
    const CURVATURE: Option<&'static str> = None;

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, x: &P) -> Result<P, Error> {
        Ok(x.clone())
    }
    fn view(_: &P) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, kept: &P, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        self.hessian_product(kept, v, out)
    }
    fn diagonal(&self, kept: &P, out: &mut [f64]) -> Result<bool, Error> {
        self.hessian_diagonal(kept, out)
    }
    fn gradient_scale(&self, _: &P) -> Option<f64> {
        HessianProduct::gradient_scale(self)
    }
    fn verify(&self, _: &P, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        HessianProduct::verify(self, x, step)
    }
}

impl<O: Fused> Smooth<OnePass> for O
where
    O::Param: VecLike,
    O::Gradient: VecLike,
    O::Hessian: SymMat,
{
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = O::Hessian;
    const CURVATURE: Option<&'static str> = Some("hessian_count");
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        Fused::value(self, x)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(self.value_gradient(x)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        self.value_gradient(x)
    }
    fn keep(&self, x: &O::Param) -> Result<O::Hessian, Error> {
        Fused::hessian(self, x)
    }
    fn view(kept: &O::Hessian) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn product(&self, _: &O::Hessian, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(NO_PRODUCTS))
    }
    fn gradient_scale(&self, kept: &O::Hessian) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &O::Hessian, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &O::Hessian) -> bool {
        kept.may_object()
    }
}

impl<O: FiniteSum> Smooth<Batches> for O {
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = O::Hessian;
    const CURVATURE: Option<&'static str> = Some("hessian_count");
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        FiniteSum::value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(FiniteSum::value_gradient(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, Batch::All)
    }
    fn keep(&self, x: &O::Param) -> Result<O::Hessian, Error> {
        FiniteSum::hessian(self, x, Batch::All)
    }
    fn view(kept: &O::Hessian) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn product(&self, _: &O::Hessian, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(NO_PRODUCTS))
    }
    fn gradient_scale(&self, kept: &O::Hessian) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &O::Hessian, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &O::Hessian) -> bool {
        kept.may_object()
    }

    fn terms(&self) -> Option<usize> {
        Some(FiniteSum::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        FiniteSum::value(self, x, batch)
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, batch)
    }
    fn batch_keep(&self, x: &O::Param, batch: Batch<'_>) -> Result<O::Hessian, Error> {
        FiniteSum::hessian(self, x, batch)
    }
}

/// Where a product is asked for: the point, and the terms if not all.
pub struct Place<P> {
    x: P,
    terms: Option<Vec<usize>>,
}

impl<O: FiniteSum> Smooth<BatchProducts> for O {
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = Place<O::Param>;
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        FiniteSum::value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(FiniteSum::value_gradient(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, Batch::All)
    }
    fn keep(&self, x: &O::Param) -> Result<Place<O::Param>, Error> {
        Ok(Place {
            x: x.clone(),
            terms: None,
        })
    }
    fn view(_: &Place<O::Param>) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, kept: &Place<O::Param>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let batch = kept.terms.as_deref().map_or(Batch::All, Batch::Terms);
        FiniteSum::hessian_product(self, &kept.x, batch, v, out)
    }
    fn gradient_scale(&self, _: &Place<O::Param>) -> Option<f64> {
        None
    }
    fn verify(&self, _: &Place<O::Param>, _: &[f64], _: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    fn may_object(_: &Place<O::Param>) -> bool {
        false
    }

    fn terms(&self) -> Option<usize> {
        Some(FiniteSum::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        FiniteSum::value(self, x, batch)
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, batch)
    }
    fn batch_keep(&self, x: &O::Param, batch: Batch<'_>) -> Result<Place<O::Param>, Error> {
        Ok(Place {
            x: x.clone(),
            terms: match batch {
                Batch::All => None,
                Batch::Terms(terms) => Some(terms.to_vec()),
            },
        })
    }
}

impl<O, P, R, J> Smooth<Residuals> for O
where
    O: Operator<Param = P, Output = R> + Jacobian<Param = P, Jacobian = J>,
    P: VecLike,
    R: VecLike,
    J: RectMat,
{
    type Point = P;
    type Slope = P;
    type Kept = J;
    const CURVATURE: Option<&'static str> = Some("jacobian_count");

    fn value(&self, x: &P) -> Result<f64, Error> {
        let mut r = Vec::new();
        Smooth::<Residuals>::residuals(self, x, &mut r)?;
        Ok(0.5 * crate::parallel::dot(&r, &r))
    }
    fn slope(&self, x: &P) -> Result<P, Error> {
        let mut r = Vec::new();
        Smooth::<Residuals>::residuals(self, x, &mut r)?;
        let kept = Jacobian::jacobian(self, x)?;
        let mut g = vec![0.0; x.dimension()];
        kept.rect().check_shape(r.len(), g.len())?;
        kept.rect().mul_transpose(&r, &mut g);
        let mut slope = x.clone();
        slope.write(&g);
        Ok(slope)
    }
    fn keep(&self, x: &P) -> Result<J, Error> {
        Jacobian::jacobian(self, x)
    }
    fn view(_: &J) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &J, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(
            "residuals give a Jacobian, not Hessian products",
        ))
    }
    fn gradient_scale(&self, _: &J) -> Option<f64> {
        None
    }
    fn verify(&self, _: &J, _: &[f64], _: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    fn may_object(_: &J) -> bool {
        false
    }

    fn residuals(&self, x: &P, out: &mut Vec<f64>) -> Result<(), Error> {
        let r = self.apply(x)?;
        out.resize(r.dimension(), 0.0);
        r.read(out);
        Ok(())
    }
    fn rect(kept: &J) -> Option<RectView<'_>> {
        Some(kept.rect())
    }
    fn slope_like(x: &P) -> Option<P> {
        Some(x.clone())
    }
}

const NO_EPS: &str = "values without ε; use a transport solver such as `SinkhornNewton`";

impl Smooth<Coupling> for Transport {
    type Point = Vec<f64>;
    type Slope = Vec<f64>;
    type Kept = ();
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, _: &Vec<f64>) -> Result<f64, Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn slope(&self, _: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn keep(&self, _: &Vec<f64>) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn view(_: &()) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &(), _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn gradient_scale(&self, _: &()) -> Option<f64> {
        None
    }
    fn verify(&self, _: &(), _: &[f64], _: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    fn transport(&self) -> Option<&Transport> {
        Some(self)
    }
    fn blank(&self) -> Option<Vec<f64>> {
        Some(self.origin())
    }
}

impl<O: OutputModel> Smooth<Outputs> for O {
    type Point = O::Param;
    type Slope = O::Param;
    type Kept = ();
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        Smooth::<Outputs>::batch_value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Param, Error> {
        Ok(Smooth::<Outputs>::batch_both(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Param), Error> {
        Smooth::<Outputs>::batch_both(self, x, Batch::All)
    }
    fn keep(&self, _: &O::Param) -> Result<(), Error> {
        Ok(())
    }
    fn view(_: &()) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &(), _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        let what = "second derivatives: its outputs have first ones only";
        Err(crate::Error::NotOffered { what }.into())
    }
    fn gradient_scale(&self, _: &()) -> Option<f64> {
        None
    }
    fn verify(&self, _: &(), _: &[f64], _: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    fn may_object(_: &()) -> bool {
        false
    }

    fn terms(&self) -> Option<usize> {
        Some(OutputModel::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        let mut z = vec![0.0; batch.len(OutputModel::terms(self)) * self.outputs_len()];
        self.outputs(x, batch, &mut z)?;
        Ok(mean_loss(&self.loss(), batch, self.outputs_len(), &z) + penalty(self.l2(), x))
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Param), Error> {
        let (b, c) = (batch.len(OutputModel::terms(self)), self.outputs_len());
        let mut z = vec![0.0; b * c];
        self.outputs(x, batch, &mut z)?;
        let mut r = vec![0.0; b * c];
        stack_slopes(&self.loss(), batch, c, &z, &mut r);
        let f = mean_loss(&self.loss(), batch, c, &z) + penalty(self.l2(), x);
        let mut g = vec![0.0; x.dimension()];
        self.vjp(x, batch, &r, &mut g)?;
        let mut at = vec![0.0; g.len()];
        x.read(&mut at);
        for (g, x) in g.iter_mut().zip(&at) {
            *g = *g / b as f64 + self.l2() * x;
        }
        let mut slope = x.clone();
        slope.write(&g);
        Ok((f, slope))
    }
    fn batch_keep(&self, _: &O::Param, _: Batch<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn model(&self) -> Option<&dyn OutputModel<Param = O::Param>> {
        Some(self)
    }
}

/// (μ/2)‖x‖².
fn penalty<P: VecLike>(l2: f64, x: &P) -> f64 {
    if l2 == 0.0 {
        return 0.0;
    }
    let mut at = vec![0.0; x.dimension()];
    x.read(&mut at);
    0.5 * l2 * dot(&at, &at)
}

/// A user's problem as an [`Oracle`], with argmin's counters beside it.
pub(crate) struct HostOracle<'a, O: Smooth<C>, C> {
    problem: &'a O,
    counts: &'a mut HashMap<&'static str, u64>,
    point: O::Point,
    /// A gradient object of the user's type, to be overwritten and handed out.
    slope: Option<O::Slope>,
    kept: Option<O::Kept>,
    error: Option<Error>,
    source: PhantomData<fn() -> C>,
}

impl<'a, O: Smooth<C>, C> HostOracle<'a, O, C> {
    pub(crate) fn new(
        problem: &'a O,
        counts: &'a mut HashMap<&'static str, u64>,
        point: O::Point,
    ) -> Self {
        HostOracle {
            problem,
            counts,
            point,
            slope: None,
            kept: None,
            error: None,
            source: PhantomData,
        }
    }

    /// The buffer that held the trial points, and a gradient object.
    pub(crate) fn into_parts(self) -> (O::Point, Option<O::Slope>) {
        (self.point, self.slope)
    }

    pub(crate) fn into_point(self) -> O::Point {
        self.point
    }

    pub(crate) fn into_slope(self) -> Option<O::Slope> {
        self.slope
    }

    /// Whether an error is kept.
    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The error behind an [`Abort`], unchanged, so that `downcast` works.
    pub(crate) fn into_host_error(self) -> Error {
        self.error
            .unwrap_or_else(|| Error::msg("the problem failed without an error"))
    }

    /// The error behind an [`Abort`]; ours as it is, the user's as [`crate::Error::Problem`].
    pub(crate) fn into_error(self) -> crate::Error {
        match self.into_host_error().downcast::<crate::Error>() {
            Ok(ours) => ours,
            Err(users) => crate::Error::Problem(users),
        }
    }

    fn call<T>(
        &mut self,
        names: &[&'static str],
        x: &[f64],
        f: impl FnOnce(&O, &O::Point) -> Result<T, Error>,
    ) -> Result<T, Abort> {
        self.point.write(x);
        for name in names {
            *self.counts.entry(name).or_insert(0) += 1;
        }
        f(self.problem, &self.point).map_err(|e| self.abort(e))
    }

    fn abort(&mut self, error: Error) -> Abort {
        self.error = Some(error);
        Abort
    }

    fn store(&mut self, slope: O::Slope, out: &mut [f64]) -> Result<(), Abort> {
        if let Err(e) = crate::error::length("gradient", out.len(), slope.dimension()) {
            return Err(self.abort(e.into()));
        }
        slope.read(out);
        self.slope = Some(slope);
        Ok(())
    }

    fn kept(&self) -> Option<&O::Kept> {
        self.kept.as_ref()
    }

    /// Takes the curvature over that `evaluate` returns.
    fn keep(
        &mut self,
        names: &[&'static str],
        x: &[f64],
        evaluate: impl FnOnce(&O, &O::Point) -> Result<O::Kept, Error>,
    ) -> Result<(), Abort> {
        // The old Hessian goes first, so that two never live at once.
        self.kept = None;
        let kept = self.call(names, x, evaluate)?;
        if let Curvature::Matrix(view) = O::view(&kept)
            && let Err(e) = view.check_shape(x.len())
        {
            return Err(self.abort(e.into()));
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Number of terms in a batch.
    fn size(&self, batch: Batch<'_>) -> u64 {
        batch.len(self.problem.terms().unwrap_or(0)) as u64
    }

    /// Calls the model behind the outputs; as many gradients of terms are counted.
    fn ask<T>(
        &mut self,
        name: &'static str,
        gradients: u64,
        x: &[f64],
        f: impl FnOnce(&dyn OutputModel<Param = O::Point>, &O::Point) -> Result<T, Error>,
    ) -> Result<T, Abort> {
        if gradients > 0 {
            *self.counts.entry("sample_gradient_count").or_insert(0) += gradients;
        }
        self.call(&[name], x, |o, p| match o.model() {
            Some(model) => f(model, p),
            None => Err(crate::Error::NotOffered { what: OUTPUTS }.into()),
        })
    }
}

impl<O: Smooth<C>, C> Oracle for HostOracle<'_, O, C> {
    fn transport(&mut self) -> Result<&Transport, Abort> {
        if self.slope.is_none() {
            self.slope = self.problem.blank();
        }
        let problem = self.problem;
        problem
            .transport()
            .ok_or_else(|| self.abort(crate::Error::NotOffered { what: TRANSPORT }.into()))
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort> {
        self.call(&["cost_count"], x, |o, p| o.value(p))
    }
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        let slope = self.call(&["gradient_count"], x, |o, p| o.slope(p))?;
        self.store(slope, out)
    }
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort> {
        let (f, slope) = self.call(&["cost_count", "gradient_count"], x, |o, p| o.both(p))?;
        self.store(slope, out)?;
        Ok(f)
    }
    fn is_fused(&self) -> bool {
        O::FUSED
    }
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort> {
        self.keep(O::CURVATURE.as_slice(), x, |o, p| o.keep(p))
    }
    fn curvature(&self) -> Curvature<'_> {
        self.kept().map_or(Curvature::Products, O::view)
    }
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        *self.counts.entry("hessian_product_count").or_insert(0) += 1;
        let result = match &self.kept {
            Some(kept) => self.problem.product(kept, v, out),
            None => Err(Error::msg("no curvature was evaluated")),
        };
        result.map_err(|e| self.abort(e))
    }
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort> {
        let result = match &self.kept {
            Some(kept) => self.problem.diagonal(kept, out),
            None => Ok(false),
        };
        result.map_err(|e| self.abort(e))
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.kept()
            .and_then(|kept| self.problem.gradient_scale(kept))
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        match self.kept() {
            Some(kept) => self.problem.verify(kept, x, step),
            None => Ok(()),
        }
    }
    fn may_object(&self) -> bool {
        self.kept().is_none_or(O::may_object)
    }
    fn validate(&mut self) -> Result<(), Abort> {
        let Some(Curvature::Matrix(view)) = self.kept().map(O::view) else {
            return Ok(());
        };
        match crate::linear::sym_check(view) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }
    fn fail(&mut self, error: crate::Error) -> Abort {
        self.abort(error.into())
    }
    fn terms(&self) -> Option<usize> {
        self.problem.terms()
    }
    fn batch_value(&mut self, x: &[f64], batch: Batch<'_>) -> Result<f64, Abort> {
        self.call(&["batch_cost_count"], x, |o, p| o.batch_value(p, batch))
    }
    fn batch_value_gradient(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: &mut [f64],
    ) -> Result<f64, Abort> {
        *self.counts.entry("sample_gradient_count").or_insert(0) += self.size(batch);
        let names = &["batch_cost_count", "batch_gradient_count"];
        let (f, slope) = self.call(names, x, |o, p| o.batch_both(p, batch))?;
        self.store(slope, out)?;
        Ok(f)
    }
    fn batch_refresh(&mut self, x: &[f64], batch: Batch<'_>) -> Result<(), Abort> {
        self.keep(&["batch_hessian_count"], x, |o, p| o.batch_keep(p, batch))
    }
    fn residuals(&mut self, x: &[f64], out: &mut Vec<f64>) -> Result<(), Abort> {
        self.call(&["operator_count"], x, |o, p| o.residuals(p, out))
    }
    fn jacobian(&mut self, x: &[f64], rows: usize) -> Result<(), Abort> {
        self.keep(O::CURVATURE.as_slice(), x, |o, p| o.keep(p))?;
        let shape = self.rect().map(|view| view.check_shape(rows, x.len()));
        if let Some(Err(error)) = shape {
            return Err(self.fail(error));
        }
        if self.slope.is_none() {
            self.slope = O::slope_like(&self.point);
        }
        Ok(())
    }
    fn rect(&self) -> Option<RectView<'_>> {
        self.kept().and_then(O::rect)
    }

    fn loss(&self) -> Option<OutputLoss<'_>> {
        self.problem.model().map(|model| model.loss())
    }
    fn outputs_len(&self) -> usize {
        self.problem.model().map_or(0, |model| model.outputs_len())
    }
    fn l2(&self) -> f64 {
        self.problem.model().map_or(0.0, |model| model.l2())
    }
    fn batch_outputs(&mut self, x: &[f64], batch: Batch<'_>, out: &mut [f64]) -> Result<(), Abort> {
        self.ask("batch_cost_count", 0, x, |m, p| m.outputs(p, batch, out))
    }
    fn batch_jacobian(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), Abort> {
        let rows = out.nrows() as u64;
        self.ask("batch_jacobian_count", rows, x, |m, p| {
            m.jacobian(p, batch, out)
        })
    }
    fn batch_gram(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<bool, Abort> {
        let rows = out.nrows() as u64;
        self.point.write(x);
        let found = match self.problem.model() {
            Some(model) => model.gram(&self.point, batch, out),
            None => Err(crate::Error::NotOffered { what: OUTPUTS }.into()),
        };
        if let Ok(true) = found {
            *self.counts.entry("batch_gram_count").or_insert(0) += 1;
            *self.counts.entry("sample_gradient_count").or_insert(0) += rows;
        }
        found.map_err(|e| self.abort(e))
    }
    fn batch_jvp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        let size = self.size(batch);
        self.ask("batch_jvp_count", size, x, |m, p| m.jvp(p, batch, v, out))
    }
    fn batch_vjp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        let size = self.size(batch);
        self.ask("batch_gradient_count", size, x, |m, p| {
            m.vjp(p, batch, u, out)
        })
    }
    fn n_constraints(&self) -> usize {
        self.problem.n_constraints()
    }
    fn constraints(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.call(&["constraint_count"], x, |o, p| o.constraints(p, out))
    }
    fn show_jacobian(
        &mut self,
        x: &[f64],
        show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Abort> {
        self.call(&["jacobian_count"], x, |o, p| o.show_jacobian(p, show))
    }
    fn refresh_lagrangian(&mut self, x: &[f64], multipliers: &[f64]) -> Result<(), Abort> {
        let (names, old) = (O::CURVATURE.as_slice(), self.kept.take());
        self.keep(names, x, |o, p| o.keep_lagrangian(p, multipliers, old))
    }
}

/// An oracle that keeps the totals of a [`Report`].
pub struct Counted<'a> {
    pub(crate) inner: &'a mut dyn Oracle,
    pub(crate) report: &'a mut Report,
}

impl Oracle for Counted<'_> {
    fn transport(&mut self) -> Result<&Transport, Abort> {
        self.inner.transport()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort> {
        self.report.values += 1;
        self.inner.value(x)
    }
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.gradients += 1;
        self.inner.gradient(x, out)
    }
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort> {
        self.report.values += 1;
        self.report.gradients += 1;
        self.inner.value_gradient(x, out)
    }
    fn is_fused(&self) -> bool {
        self.inner.is_fused()
    }
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort> {
        self.inner.refresh(x)?;
        if let Curvature::Matrix(_) = self.inner.curvature() {
            self.report.hessians += 1;
        }
        Ok(())
    }
    fn curvature(&self) -> Curvature<'_> {
        self.inner.curvature()
    }
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.hessian_products += 1;
        self.inner.product(v, out)
    }
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort> {
        self.inner.diagonal(out)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.inner.gradient_scale()
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.inner.verify(x, step)
    }
    fn may_object(&self) -> bool {
        self.inner.may_object()
    }
    fn validate(&mut self) -> Result<(), Abort> {
        self.inner.validate()
    }
    fn fail(&mut self, error: crate::Error) -> Abort {
        self.inner.fail(error)
    }
    fn terms(&self) -> Option<usize> {
        self.inner.terms()
    }
    fn batch_value(&mut self, x: &[f64], batch: Batch<'_>) -> Result<f64, Abort> {
        self.report.batch_values += 1;
        self.inner.batch_value(x, batch)
    }
    fn batch_value_gradient(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: &mut [f64],
    ) -> Result<f64, Abort> {
        self.report.batch_values += 1;
        self.report.batch_gradients += 1;
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_value_gradient(x, batch, out)
    }
    fn batch_refresh(&mut self, x: &[f64], batch: Batch<'_>) -> Result<(), Abort> {
        self.report.batch_hessians += 1;
        self.inner.batch_refresh(x, batch)
    }
    fn n_constraints(&self) -> usize {
        self.inner.n_constraints()
    }
    fn constraints(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.constraints += 1;
        self.inner.constraints(x, out)
    }
    fn show_jacobian(
        &mut self,
        x: &[f64],
        show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Abort> {
        self.report.jacobians += 1;
        self.inner.show_jacobian(x, show)
    }
    fn refresh_lagrangian(&mut self, x: &[f64], multipliers: &[f64]) -> Result<(), Abort> {
        self.inner.refresh_lagrangian(x, multipliers)?;
        if let Curvature::Matrix(_) = self.inner.curvature() {
            self.report.hessians += 1;
        }
        Ok(())
    }
    fn residuals(&mut self, x: &[f64], out: &mut Vec<f64>) -> Result<(), Abort> {
        self.report.residuals += 1;
        self.inner.residuals(x, out)
    }
    fn jacobian(&mut self, x: &[f64], rows: usize) -> Result<(), Abort> {
        self.report.jacobians += 1;
        self.inner.jacobian(x, rows)
    }
    fn rect(&self) -> Option<RectView<'_>> {
        self.inner.rect()
    }

    fn loss(&self) -> Option<OutputLoss<'_>> {
        self.inner.loss()
    }
    fn outputs_len(&self) -> usize {
        self.inner.outputs_len()
    }
    fn l2(&self) -> f64 {
        self.inner.l2()
    }
    fn batch_outputs(&mut self, x: &[f64], batch: Batch<'_>, out: &mut [f64]) -> Result<(), Abort> {
        self.report.batch_values += 1;
        self.inner.batch_outputs(x, batch, out)
    }
    fn batch_jacobian(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), Abort> {
        self.report.batch_hessians += 1;
        self.report.sample_gradients += out.nrows() as u64;
        self.inner.batch_jacobian(x, batch, out)
    }
    fn batch_gram(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<bool, Abort> {
        let rows = out.nrows() as u64;
        let found = self.inner.batch_gram(x, batch, out)?;
        if found {
            self.report.batch_hessians += 1;
            self.report.sample_gradients += rows;
        }
        Ok(found)
    }
    fn batch_jvp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_jvp(x, batch, v, out)
    }
    fn batch_vjp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        self.report.batch_gradients += 1;
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_vjp(x, batch, u, out)
    }
}

impl Counted<'_> {
    /// Number of terms in a batch.
    fn size(&self, batch: Batch<'_>) -> u64 {
        batch.len(self.inner.terms().unwrap_or(0)) as u64
    }
}
