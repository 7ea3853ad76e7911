//! Oracles that argmin has no trait for.
//!
//! Problems implement argmin's own [`CostFunction`], [`Gradient`] and [`Hessian`]; only what argmin cannot express is defined here.

use crate::status::Failed;
use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};

/// Hessian-vector products, for problems too large to form a Hessian.
///
/// Use with [`matrix_free`](crate::Raphson::matrix_free); argmin counts the
/// calls as `hessian_product_count`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no Hessian-vector products",
    note = "implement `raphson::HessianProduct`, or use `DampedNewton::new()` with argmin's `Hessian`"
)]
pub trait HessianProduct {
    /// Type of the parameter vector.
    type Param;

    /// Writes H(x) v to `out`; both slices have the length of `x`.
    fn hessian_product(&self, x: &Self::Param, v: &[f64], out: &mut [f64]) -> Result<(), Error>;

    /// Writes the diagonal of H(x), or a positive approximation of it, to `out` and returns true.
    ///
    /// Its power ½ or 1 preconditions the conjugate gradients. Default: false, no preconditioner.
    fn hessian_diagonal(&self, x: &Self::Param, out: &mut [f64]) -> Result<bool, Error> {
        let _ = (x, out);
        Ok(false)
    }

    /// The scale of the gradient for relative tests; see
    /// [`SymMat::gradient_scale`](crate::SymMat::gradient_scale). Default: none.
    fn gradient_scale(&self) -> Option<f64> {
        None
    }

    /// Called when a test of convergence holds; see
    /// [`SymMat::verify`](crate::SymMat::verify). Default: no objection.
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        let _ = (x, step);
        Ok(())
    }
}

/// Value, gradient and Hessian from one pass over the data.
///
/// Use with [`fused`](crate::Raphson::fused). argmin counts the calls as
/// `cost_count`, `gradient_count` and `hessian_count` as if they were separate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not evaluate value, gradient and Hessian together",
    note = "implement `raphson::Fused`, or use `DampedNewton::new()` with argmin's separate traits"
)]
pub trait Fused {
    /// Type of the parameter vector.
    type Param;
    /// Type of the gradient vector.
    type Gradient;
    /// Type of the Hessian.
    type Hessian;

    /// f(x).
    fn value(&self, x: &Self::Param) -> Result<f64, Error>;
    /// f(x) and its gradient.
    fn value_gradient(&self, x: &Self::Param) -> Result<(f64, Self::Gradient), Error>;
    /// The Hessian at x.
    fn hessian(&self, x: &Self::Param) -> Result<Self::Hessian, Error>;
}

/// A problem made of closures over slices; see [`from_fn`].
#[derive(Debug, Clone, Copy)]
pub struct FromFn<F, G, H> {
    value: F,
    gradient: G,
    hessian: H,
}

/// A problem from three closures: value, gradient and Hessian at a slice.
///
/// The parameter is a `Vec<f64>`, the Hessian any [`SymMat`](crate::SymMat). Closures cannot
/// fail; a value outside the domain of f is NaN or infinity, which rejects the trial.
///
/// ```
/// use raphson::{DampedNewton, problem};
/// let square = problem::from_fn(
///     |x: &[f64]| (x[0] - 2.0).powi(2),
///     |x: &[f64]| vec![2.0 * (x[0] - 2.0)],
///     |_: &[f64]| [[2.0]],
/// );
/// let run = DampedNewton::new().minimize(&square, vec![10.0])?;
/// assert!(run.converged() && (run.x[0] - 2.0).abs() < 1e-14);
/// assert_eq!(run.report.iterations, 1);
/// # Ok::<(), raphson::Error>(())
/// ```
pub fn from_fn<F, G, H, M>(value: F, gradient: G, hessian: H) -> FromFn<F, G, H>
where
    F: Fn(&[f64]) -> f64,
    G: Fn(&[f64]) -> Vec<f64>,
    H: Fn(&[f64]) -> M,
{
    FromFn {
        value,
        gradient,
        hessian,
    }
}

impl<F: Fn(&[f64]) -> f64, G, H> CostFunction for FromFn<F, G, H> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok((self.value)(x))
    }
}

impl<F, G: Fn(&[f64]) -> Vec<f64>, H> Gradient for FromFn<F, G, H> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.gradient)(x))
    }
}

impl<F, G, H: Fn(&[f64]) -> M, M> Hessian for FromFn<F, G, H> {
    type Param = Vec<f64>;
    type Hessian = M;
    fn hessian(&self, x: &Vec<f64>) -> Result<M, Error> {
        Ok((self.hessian)(x))
    }
}

/// A least-squares problem made of closures over slices; see [`residuals_fn`].
#[derive(Debug, Clone, Copy)]
pub struct ResidualsFn<R, J> {
    residuals: R,
    jacobian: J,
}

/// A least-squares problem from two closures: residuals r and Jacobian ∂rᵢ/∂xⱼ at a slice.
///
/// f = ½‖r‖². The parameter is a `Vec<f64>`, the Jacobian any [`RectMat`](crate::RectMat) with
/// one row per residual. Closures cannot fail; a residual outside its domain is NaN or infinity,
/// which rejects the trial.
///
/// ```
/// use raphson::{LevenbergMarquardt, problem};
/// let decay = [(0.0, 2.0), (1.0, 0.735758882342885), (2.0, 0.270670566473225)];
/// let fit = problem::residuals_fn(
///     |x: &[f64]| decay.iter().map(|(t, y)| x[0] * (-x[1] * t).exp() - y).collect(),
///     |x: &[f64]| {
///         let row = |t: f64| [(-x[1] * t).exp(), -x[0] * t * (-x[1] * t).exp()];
///         [row(0.0), row(1.0), row(2.0)]
///     },
/// );
/// let run = LevenbergMarquardt::new().minimize(&fit, vec![1.0, 0.5])?;
/// assert!(run.converged());
/// assert!((run.x[0] - 2.0).abs() < 1e-12 && (run.x[1] - 1.0).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
pub fn residuals_fn<R, J, M>(residuals: R, jacobian: J) -> ResidualsFn<R, J>
where
    R: Fn(&[f64]) -> Vec<f64>,
    J: Fn(&[f64]) -> M,
{
    ResidualsFn {
        residuals,
        jacobian,
    }
}

impl<R: Fn(&[f64]) -> Vec<f64>, J> Operator for ResidualsFn<R, J> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.residuals)(x))
    }
}

impl<R, J: Fn(&[f64]) -> M, M> Jacobian for ResidualsFn<R, J> {
    type Param = Vec<f64>;
    type Jacobian = M;
    fn jacobian(&self, x: &Vec<f64>) -> Result<M, Error> {
        Ok((self.jacobian)(x))
    }
}
