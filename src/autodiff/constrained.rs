//! Constrained problems: the objective is the [`ScalarFunction`], the constraints the
//! [`VectorFunction`] of one type.

use super::{AutoDiff, Number, ScalarFunction, VectorFunction, hessian, hessian_product};
use super::{jacobian, values};
use crate::constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
use crate::error::{Error, length};
use argmin::core::Error as HostError;
use faer::Mat;

/// f + λᵀc.
struct Lagrangian<'a, F> {
    function: &'a F,
    multipliers: &'a [f64],
}

impl<F: ScalarFunction + VectorFunction> ScalarFunction for Lagrangian<'_, F> {
    fn dimension(&self) -> usize {
        ScalarFunction::dimension(self.function)
    }
    fn value<T: Number>(&self, x: &[T]) -> T {
        let mut c = vec![T::zero(); self.multipliers.len()];
        self.function.values(x, &mut c);
        let terms = c.iter().zip(self.multipliers).map(|(c, l)| *c * *l);
        self.function.value(x) + terms.sum::<T>()
    }
}

fn lagrangian<'a, F: VectorFunction>(
    function: &'a F,
    multipliers: &'a [f64],
) -> Result<Lagrangian<'a, F>, Error> {
    length("multipliers", function.output_count(), multipliers.len())?;
    Ok(Lagrangian {
        function,
        multipliers,
    })
}

/// The Hessian of f + λᵀc at x, symmetric to the last bit; c is the [`VectorFunction`].
///
/// # Errors
/// A point or multipliers of the wrong length.
pub fn lagrangian_hessian<F: ScalarFunction + VectorFunction>(
    f: &F,
    x: &[f64],
    multipliers: &[f64],
) -> Result<Mat<f64>, Error> {
    hessian(&lagrangian(f, multipliers)?, x)
}

/// Writes the product of that Hessian and v to `out`.
///
/// # Errors
/// A point, multipliers, direction or output of the wrong length.
pub fn lagrangian_product<F: ScalarFunction + VectorFunction>(
    f: &F,
    x: &[f64],
    multipliers: &[f64],
    v: &[f64],
    out: &mut [f64],
) -> Result<(), Error> {
    hessian_product(&lagrangian(f, multipliers)?, x, v, out)
}

/// c(x) = 0 for the [`VectorFunction`] c.
///
/// ```
/// use raphson::autodiff::{AutoDiff, Number, ScalarFunction, VectorFunction};
/// use raphson::AugmentedLagrangianNewton;
///
/// /// x + y on the unit circle.
/// struct Circle;
/// impl ScalarFunction for Circle {
///     fn dimension(&self) -> usize {
///         2
///     }
///     fn value<T: Number>(&self, x: &[T]) -> T {
///         x[0] + x[1]
///     }
/// }
/// impl VectorFunction for Circle {
///     fn dimension(&self) -> usize {
///         2
///     }
///     fn output_count(&self) -> usize {
///         1
///     }
///     fn values<T: Number>(&self, x: &[T], c: &mut [T]) {
///         c[0] = x[0].powi(2) + x[1].powi(2) - 1.0;
///     }
/// }
/// let run = AugmentedLagrangianNewton::new().minimize(&AutoDiff::new(Circle), vec![-1.0, 0.2])?;
/// assert!(run.converged());
/// assert!((run.f + 2f64.sqrt()).abs() < 1e-12);
/// assert!((run.report.multipliers[0] - 0.5f64.sqrt()).abs() < 1e-8);
/// # Ok::<(), raphson::Error>(())
/// ```
impl<F: ScalarFunction + VectorFunction> EqualityConstraints for AutoDiff<F> {
    type Param = Vec<f64>;
    type Values = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn n_constraints(&self) -> usize {
        self.function.output_count()
    }
    fn constraints(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(values(&self.function, x)?)
    }
    fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(jacobian(&self.function, x)?)
    }
}

impl<F: ScalarFunction + VectorFunction> LagrangianHessian for AutoDiff<F> {
    type Hessian = Mat<f64>;
    fn lagrangian_hessian(&self, x: &Vec<f64>, multipliers: &[f64]) -> Result<Mat<f64>, HostError> {
        Ok(lagrangian_hessian(&self.function, x, multipliers)?)
    }
}

impl<F: ScalarFunction + VectorFunction> LagrangianProduct for AutoDiff<F> {
    fn lagrangian_product(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        Ok(lagrangian_product(&self.function, x, multipliers, v, out)?)
    }
}
