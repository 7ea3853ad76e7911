//! Exact derivatives of a function that is written once, by dual numbers.
//!
//! The function is generic over the [`Number`] type. With plain doubles it gives
//! f(x); with [dual numbers](num_dual), which carry derivatives through every
//! operation, it gives the gradient, Hessian-vector products and the Hessian, all
//! exact up to rounding. [`AutoDiff`] makes an argmin problem of it:
//!
//! ```
//! use raphson::autodiff::{AutoDiff, Number, ScalarFunction};
//! use raphson::DampedNewton;
//!
//! /// exp(x + y) + x² + 2y² − y
//! struct Bowl;
//! impl ScalarFunction for Bowl {
//!     fn dimension(&self) -> usize {
//!         2
//!     }
//!     fn value<T: Number>(&self, x: &[T]) -> T {
//!         (x[0] + x[1]).exp() + x[0].powi(2) + x[1].powi(2) * 2.0 - x[1]
//!     }
//! }
//! let bowl = AutoDiff::new(Bowl);
//! let run = DampedNewton::new().minimize(&bowl, vec![5.0, 5.0])?;
//! assert!(run.converged());
//! let run = DampedNewton::matrix_free().minimize(&bowl, vec![5.0, 5.0])?;
//! assert!(run.converged());
//! # Ok::<(), raphson::Error>(())
//! ```
//!
//! Constants stand on the right (`x * 2.0`, not `2.0 * x`) or are made by
//! `T::from(2.0)`. Where a function bends infinitely the derivative is not finite:
//! [`num_dual`] computes uᵖ from uᵖ⁻³, so that `powf` gives NaN at u = 0 for p < 3
//! (`powi` does not).
//!
//! # Cost
//!
//! The mode is forward: one evaluation of the function with numbers that carry
//! [`LANES`] = 4 directions yields four derivatives. In such evaluations, and the price
//! of one in evaluations with doubles (measured on functions from all transcendental to
//! all products):
//!
//! | derivative | evaluations | price of one |
//! |---|---|---|
//! | gradient, Jacobian | n/4 | 1.3 to 4 |
//! | Hessian-vector product | n/4 | 2 to 12 |
//! | dense Hessian | about n(n + 4)/8 | 2 to 12 |
//! | sparse Hessian of [`sparsity`](AutoDiff::sparsity) | about (nnz + n)/8, at least the number of colors | 2 to 12 |
//!
//! A gradient written by hand costs a few evaluations whatever n; with thousands of
//! variables write it by hand.

use crate::error::{Error, length};
use crate::problem::HessianProduct;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian, Jacobian, Operator};
use faer::Mat;
use num_dual::Dual64;

mod constrained;
mod dual4;
mod pattern;
mod sparse;

pub use constrained::{lagrangian_hessian, lagrangian_product};
pub use dual4::LANES;
pub use num_dual::DualNum;
pub use sparse::SparseAutoDiff;

use dual4::Dual4;

/// A double, or one with derivatives attached: the operations of [`DualNum`] and `Copy`.
pub trait Number: DualNum<Primitive = f64> + Copy {}

impl<T: DualNum<Primitive = f64> + Copy> Number for T {}

/// A function of n variables, written for every type of [`Number`].
pub trait ScalarFunction {
    /// The number n of variables.
    fn dimension(&self) -> usize;
    /// f(x); `x` has n entries.
    fn value<T: Number>(&self, x: &[T]) -> T;
}

/// A vector of m functions of n variables, the residuals of a least-squares problem.
pub trait VectorFunction {
    /// The number n of variables.
    fn dimension(&self) -> usize;
    /// The number m of values.
    fn output_count(&self) -> usize;
    /// Writes the m values at `x`, which has n entries, to `out`.
    fn values<T: Number>(&self, x: &[T], out: &mut [T]);
}

/// A problem for argmin and raphson whose derivatives are computed by dual numbers.
///
/// On `Vec<f64>`: of a [`ScalarFunction`] `CostFunction`, `Gradient`, `Hessian`
/// (dense) and [`HessianProduct`], of a [`VectorFunction`] `Operator` and
/// `Jacobian` (dense). A point of the wrong length is an error.
///
/// ```
/// use argmin::core::{Jacobian, Operator};
/// use raphson::autodiff::{AutoDiff, Number, VectorFunction};
/// struct Polar;
/// impl VectorFunction for Polar {
///     fn dimension(&self) -> usize {
///         2
///     }
///     fn output_count(&self) -> usize {
///         2
///     }
///     fn values<T: Number>(&self, x: &[T], out: &mut [T]) {
///         out[0] = x[0] * x[1].cos();
///         out[1] = x[0] * x[1].sin();
///     }
/// }
/// let polar = AutoDiff::new(Polar);
/// assert_eq!(polar.apply(&vec![2.0, 0.0])?, [2.0, 0.0]);
/// let jacobian = polar.jacobian(&vec![2.0, 0.0])?;
/// assert_eq!((jacobian[(0, 0)], jacobian[(1, 1)]), (1.0, 2.0));
/// assert!(polar.apply(&vec![2.0]).is_err());
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AutoDiff<F> {
    function: F,
}

impl<F> AutoDiff<F> {
    /// The problem of minimizing `function`, or of its residuals.
    pub fn new(function: F) -> Self {
        AutoDiff { function }
    }

    /// The function itself.
    pub fn function(&self) -> &F {
        &self.function
    }
}

impl<F: ScalarFunction> AutoDiff<F> {
    /// The same problem with a sparse Hessian, of which only the entries of
    /// `structure` and the diagonal are computed.
    ///
    /// A pair (i, j) stands for (j, i) too; repetitions do no harm. Entries outside
    /// the structure are taken as zero *and spoil others*: test the structure once
    /// with [`check_structure`](SparseAutoDiff::check_structure).
    ///
    /// # Errors
    /// An index that is not below the number of variables.
    ///
    /// ```
    /// use raphson::autodiff::{AutoDiff, Number, ScalarFunction};
    /// struct Valley(usize);
    /// impl ScalarFunction for Valley {
    ///     fn dimension(&self) -> usize {
    ///         self.0
    ///     }
    ///     fn value<T: Number>(&self, x: &[T]) -> T {
    ///         x.windows(2)
    ///             .map(|w| (w[1] - w[0] * w[0]).powi(2) * 100.0 + (w[0] - 1.0).powi(2))
    ///             .sum()
    ///     }
    /// }
    /// let band: Vec<(usize, usize)> = (1..50).map(|i| (i, i - 1)).collect();
    /// let valley = AutoDiff::new(Valley(50)).sparsity(&band)?;
    /// assert_eq!(valley.color_count(), 3);
    /// valley.check_structure(&[0.3; 50])?;
    /// let run = raphson::DampedNewton::new().minimize(&valley, vec![0.0; 50])?;
    /// assert!(run.converged());
    /// # Ok::<(), raphson::Error>(())
    /// ```
    pub fn sparsity(self, structure: &[(usize, usize)]) -> Result<SparseAutoDiff<F>, Error> {
        SparseAutoDiff::new(self.function, structure)
    }
}

/// f(x).
///
/// # Errors
/// A point of the wrong length.
pub fn value<F: ScalarFunction>(f: &F, x: &[f64]) -> Result<f64, Error> {
    length("point", f.dimension(), x.len())?;
    Ok(f.value(x))
}

/// The gradient of f at x.
///
/// # Errors
/// A point of the wrong length.
pub fn gradient<F: ScalarFunction>(f: &F, x: &[f64]) -> Result<Vec<f64>, Error> {
    length("point", f.dimension(), x.len())?;
    let mut point: Vec<_> = x.iter().map(|x| Dual4::from_re(*x)).collect();
    let mut g = vec![0.0; x.len()];
    partials(f, &mut point, &all(x.len()), |i, d| g[i] = d);
    Ok(g)
}

/// Writes H(x) v to `out`: the gradient of the derivative along v.
///
/// # Errors
/// A point, direction or output of the wrong length.
pub fn hessian_product<F: ScalarFunction>(
    f: &F,
    x: &[f64],
    v: &[f64],
    out: &mut [f64],
) -> Result<(), Error> {
    length("point", f.dimension(), x.len())?;
    length("direction", x.len(), v.len())?;
    length("output", x.len(), out.len())?;
    let mut point = along(x, v);
    partials(f, &mut point, &all(x.len()), |i, d| out[i] = d.eps);
    Ok(())
}

/// The Hessian of f at x, symmetric to the last bit.
///
/// # Errors
/// A point of the wrong length.
pub fn hessian<F: ScalarFunction>(f: &F, x: &[f64]) -> Result<Mat<f64>, Error> {
    length("point", f.dimension(), x.len())?;
    let n = x.len();
    let rows = all(n);
    let mut point = along(x, &vec![0.0; n]);
    let mut h = Mat::zeros(n, n);
    for j in 0..n {
        point[j].re.eps = 1.0;
        partials(f, &mut point, &rows[j..], |i, d| {
            h[(i, j)] = d.eps;
            h[(j, i)] = d.eps;
        });
        point[j].re.eps = 0.0;
    }
    Ok(h)
}

/// The values of r at x.
///
/// # Errors
/// A point of the wrong length.
pub fn values<F: VectorFunction>(r: &F, x: &[f64]) -> Result<Vec<f64>, Error> {
    length("point", r.dimension(), x.len())?;
    let mut out = vec![0.0; r.output_count()];
    r.values(x, &mut out);
    Ok(out)
}

/// The Jacobian of r at x, one row per value.
///
/// # Errors
/// A point of the wrong length.
pub fn jacobian<F: VectorFunction>(r: &F, x: &[f64]) -> Result<Mat<f64>, Error> {
    length("point", r.dimension(), x.len())?;
    let mut point: Vec<_> = x.iter().map(|x| Dual4::from_re(*x)).collect();
    let mut out = vec![Dual4::from_re(0.0); r.output_count()];
    let mut jacobian = Mat::zeros(out.len(), x.len());
    for lanes in all(x.len()).chunks(LANES) {
        seed(&mut point, lanes);
        r.values(&point, &mut out);
        for (i, out) in out.iter().enumerate() {
            for (j, d) in lanes.iter().zip(out.derivatives()) {
                jacobian[(i, *j)] = d;
            }
        }
        clear(&mut point, lanes);
    }
    Ok(jacobian)
}

/// Calls `found` with i and ∂f/∂xᵢ for the given `variables` i, four per evaluation.
fn partials<F: ScalarFunction, T: Number>(
    f: &F,
    x: &mut [Dual4<T>],
    variables: &[usize],
    mut found: impl FnMut(usize, T),
) {
    for lanes in variables.chunks(LANES) {
        seed(x, lanes);
        for (i, d) in lanes.iter().zip(f.value(x).derivatives()) {
            found(*i, d);
        }
        clear(x, lanes);
    }
}

fn seed<T: Number>(x: &mut [Dual4<T>], variables: &[usize]) {
    for (lane, i) in variables.iter().enumerate() {
        x[*i] = Dual4::variable(x[*i].re, lane);
    }
}

fn clear<T: Number>(x: &mut [Dual4<T>], variables: &[usize]) {
    for i in variables {
        x[*i] = Dual4::from_re(x[*i].re);
    }
}

/// x moving along v.
fn along(x: &[f64], v: &[f64]) -> Vec<Dual4<Dual64>> {
    let pairs = x.iter().zip(v);
    pairs
        .map(|(x, v)| Dual4::from_re(Dual64::new(*x, *v)))
        .collect()
}

fn all(n: usize) -> Vec<usize> {
    (0..n).collect()
}

impl<F: ScalarFunction> CostFunction for AutoDiff<F> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(value(&self.function, x)?)
    }
}

impl<F: ScalarFunction> Gradient for AutoDiff<F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(gradient(&self.function, x)?)
    }
}

impl<F: ScalarFunction> Hessian for AutoDiff<F> {
    type Param = Vec<f64>;
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(hessian(&self.function, x)?)
    }
}

impl<F: ScalarFunction> HessianProduct for AutoDiff<F> {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        Ok(hessian_product(&self.function, x, v, out)?)
    }
}

impl<F: VectorFunction> Operator for AutoDiff<F> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(values(&self.function, x)?)
    }
}

impl<F: VectorFunction> Jacobian for AutoDiff<F> {
    type Param = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(jacobian(&self.function, x)?)
    }
}

#[cfg(test)]
mod tests;
