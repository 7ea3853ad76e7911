//! Checks derivatives against differences, for the tests of your own problem.
//!
//! ```
//! # use argmin::core::{CostFunction, Error, Gradient};
//! # struct Sphere;
//! # impl CostFunction for Sphere {
//! #     type Param = Vec<f64>;
//! #     type Output = f64;
//! #     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
//! #         Ok(x.iter().map(|v| v * v).sum())
//! #     }
//! # }
//! # impl Gradient for Sphere {
//! #     type Param = Vec<f64>;
//! #     type Gradient = Vec<f64>;
//! #     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
//! #         Ok(x.iter().map(|v| 2.0 * v).collect())
//! #     }
//! # }
//! # let problem = Sphere;
//! let check = raphson::check::gradient(&problem, &vec![1.0, -2.0])?;
//! assert!(check.is_ok(), "{check}");
//! # Ok::<(), raphson::Error>(())
//! ```
//!
//! An entry a of the derivative is right if the difference quotient d agrees:
//!
//! ```text
//! |a - d| <= tolerance * max(|a|, |d|) + 10 * error(d) + 1e-12 * max_k |d_k| s_k / s_j
//! ```
//!
//! d is extrapolated from three central differences and comes with the
//! estimate error(d) of what truncation and rounding did to it; it has about
//! ten digits where the function is smooth. The last term is the rounding of
//! a: k runs over the row, s_j = max(|x_j|, typical_j) is the size of a
//! variable. The steps start at s_j / 1024, shrink where the function bends on
//! a smaller scale or is undefined, and grow where rounding hides it. At the
//! edge of the domain the differences are one-sided.
//!
//! Test at a generic point. Where a derivative vanishes, at 0 or at the
//! optimum, a wrong sign or factor does not show; at a kink the difference is
//! the mean of the two slopes.
//!
//! Cost: 6n + 1 evaluations of the cost for a gradient, of the gradient for a
//! Hessian, and several times that where the steps must be searched; memory is
//! that of dense matrices.

use crate::edge::{RectMat, SymMat, VecLike};
use crate::error::{Error, finite, length};
use crate::problem::HessianProduct;
use argmin::core::{CostFunction, Gradient, Hessian, Jacobian, Operator};

mod estimate;
mod ladder;
mod matrix;
mod point;
mod report;
mod verdict;

pub use report::{Check, Derivative, Derivatives, Entry, Finding, Triangle};

use matrix::Columns;
use point::{Point, contradiction, identity};
use verdict::{Evidence, judge};

/// Checks the gradient against differences of the cost, with the default settings.
///
/// See [`Checker::gradient`].
pub fn gradient<O, P, G>(problem: &O, x: &P) -> Result<Check, Error>
where
    O: CostFunction<Param = P, Output = f64> + Gradient<Param = P, Gradient = G>,
    P: VecLike,
    G: VecLike,
{
    Checker::new().gradient(problem, x)
}

/// Checks the Hessian against differences of the gradient, with the default settings.
///
/// See [`Checker::hessian`].
pub fn hessian<O, P, G, H>(problem: &O, x: &P) -> Result<Check, Error>
where
    O: Gradient<Param = P, Gradient = G> + Hessian<Param = P, Hessian = H>,
    P: VecLike,
    G: VecLike,
    H: SymMat,
{
    Checker::new().hessian(problem, x)
}

/// Checks Hessian-vector products against differences of the gradient, with the default settings.
///
/// See [`Checker::hessian_product`].
pub fn hessian_product<O, P, G>(problem: &O, x: &P) -> Result<Check, Error>
where
    O: Gradient<Param = P, Gradient = G> + HessianProduct<Param = P>,
    P: VecLike,
    G: VecLike,
{
    Checker::new().hessian_product(problem, x)
}

/// Checks the Jacobian against differences of the residuals, with the default settings.
///
/// See [`Checker::jacobian`].
pub fn jacobian<O, P, R, J>(problem: &O, x: &P) -> Result<Check, Error>
where
    O: Operator<Param = P, Output = R> + Jacobian<Param = P, Jacobian = J>,
    P: VecLike,
    R: VecLike,
    J: RectMat,
{
    Checker::new().jacobian(problem, x)
}

/// Checks gradient and Hessian, with the default settings.
///
/// See [`Checker::derivatives`].
pub fn derivatives<O, P, G, H>(problem: &O, x: &P) -> Result<Derivatives, Error>
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + Hessian<Param = P, Hessian = H>,
    P: VecLike,
    G: VecLike,
    H: SymMat,
{
    Checker::new().derivatives(problem, x)
}

/// The checks with settings of their own.
///
/// All of them return [`Error::Problem`] if the problem's own function fails,
/// [`Error::WrongLength`] or [`Error::WrongShape`] if the derivative does not
/// fit x, and [`Error::NonFinite`] if x, or the function that is differenced
/// at x, is not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Checker {
    tolerance: f64,
    typical: Option<Vec<f64>>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker::new()
    }
}

/// Up to this many variables Hessian-vector products are taken with all unit vectors.
const UNIT_VECTORS: usize = 200;

impl Checker {
    /// Tolerance 1e-6, typical sizes 1.
    pub fn new() -> Self {
        Checker {
            tolerance: 1e-6,
            typical: None,
        }
    }

    /// Relative error above which an entry is wrong, in (0, 1).
    ///
    /// Default 1e-6: a formula is wrong by more, a difference quotient by less.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Typical sizes of the variables, positive; they set the first step where x_i is small.
    ///
    /// Default 1. The steps are adapted anyway; give sizes where variables have
    /// units like 1e-9 and the check reports many unresolved entries.
    pub fn typical(mut self, typical: &[f64]) -> Self {
        self.typical = Some(typical.to_vec());
        self
    }

    /// Checks the gradient against differences of the cost.
    pub fn gradient<O, P, G>(&self, problem: &O, x: &P) -> Result<Check, Error>
    where
        O: CostFunction<Param = P, Output = f64> + Gradient<Param = P, Gradient = G>,
        P: VecLike,
        G: VecLike,
    {
        let point = Point::new(x, self.tolerance, self.typical.as_deref())?;
        let n = point.n();
        let gradient = problem.gradient(x).map_err(Error::Problem)?;
        let mut claimed = Columns::zeros(1, n);
        length("gradient", n, gradient.dimension())?;
        let mut values = vec![0.0; n];
        gradient.read(&mut values);
        for (j, v) in values.iter().enumerate() {
            claimed.col_mut(j)[0] = *v;
        }
        let cost = |p: &P, out: &mut [f64]| {
            out[0] = problem.cost(p).map_err(Error::Problem)?;
            Ok(())
        };
        let base = base("cost at x", &cost, x, 1)?;
        let estimates = point.along_axes(cost, &base, &claimed)?;
        Ok(point.judge(Derivative::Gradient, &claimed, &estimates, false))
    }

    /// Checks the Hessian against differences of the gradient; the gradient itself is trusted.
    ///
    /// Of a matrix that stores one triangle only that triangle is looked at.
    pub fn hessian<O, P, G, H>(&self, problem: &O, x: &P) -> Result<Check, Error>
    where
        O: Gradient<Param = P, Gradient = G> + Hessian<Param = P, Hessian = H>,
        P: VecLike,
        G: VecLike,
        H: SymMat,
    {
        let point = Point::new(x, self.tolerance, self.typical.as_deref())?;
        let n = point.n();
        let hessian = problem.hessian(x).map_err(Error::Problem)?;
        let view = hessian.sym();
        view.check_shape(n)?;
        let claimed = matrix::symmetric(view, n);
        let gradient = gradient_of(problem, n);
        let base = base("gradient at x", &gradient, x, n)?;
        let estimates = point.along_axes(gradient, &base, &claimed)?;
        Ok(point.judge(Derivative::Hessian, &claimed, &estimates, true))
    }

    /// Checks Hessian-vector products against differences of the gradient, which is trusted.
    ///
    /// Up to n = 200 the products with all unit vectors are compared, above with
    /// 10 fixed pseudo-random directions (entries +-s_i). Whether v'(H u) and
    /// u'(H v) agree is checked to 1e-9 of ||v|| ||H u|| + ||u|| ||H v||.
    pub fn hessian_product<O, P, G>(&self, problem: &O, x: &P) -> Result<Check, Error>
    where
        O: Gradient<Param = P, Gradient = G> + HessianProduct<Param = P>,
        P: VecLike,
        G: VecLike,
    {
        let point = Point::new(x, self.tolerance, self.typical.as_deref())?;
        let n = point.n();
        let unit_vectors = n <= UNIT_VECTORS;
        let directions = if unit_vectors {
            identity(n)
        } else {
            point.random_directions()
        };
        let mut claimed = Columns::zeros(n, directions.cols);
        for j in 0..directions.cols {
            problem
                .hessian_product(x, directions.col(j), claimed.col_mut(j))
                .map_err(Error::Problem)?;
        }
        let gradient = gradient_of(problem, n);
        let base = base("gradient at x", &gradient, x, n)?;
        let mut check = if unit_vectors {
            let estimates = point.along_axes(gradient, &base, &claimed)?;
            point.judge(
                Derivative::HessianProduct { unit_vectors },
                &claimed,
                &estimates,
                true,
            )
        } else {
            let estimates = point.along(&directions, gradient, &base, &claimed)?;
            judge(&Evidence {
                derivative: Derivative::HessianProduct { unit_vectors },
                claimed: &claimed,
                estimates: &estimates,
                scales: &vec![1.0; directions.cols],
                symmetric: false,
                tolerance: self.tolerance,
            })
        };
        if matches!(check.finding, Finding::Ok | Finding::Inconclusive)
            && let Some(finding) = contradiction(&directions, &claimed)
        {
            check.finding = finding;
        }
        Ok(check)
    }

    /// Checks the Jacobian (row i: residual i, column j: variable j) against differences of the residuals.
    pub fn jacobian<O, P, R, J>(&self, problem: &O, x: &P) -> Result<Check, Error>
    where
        O: Operator<Param = P, Output = R> + Jacobian<Param = P, Jacobian = J>,
        P: VecLike,
        R: VecLike,
        J: RectMat,
    {
        let point = Point::new(x, self.tolerance, self.typical.as_deref())?;
        let n = point.n();
        let m = problem.apply(x).map_err(Error::Problem)?.dimension();
        if m == 0 {
            return Err(Error::Data("no residuals, nothing to check".into()));
        }
        let jacobian = problem.jacobian(x).map_err(Error::Problem)?;
        let view = jacobian.rect();
        let (rows, cols) = matrix::shape(&view);
        let Some(cols) = cols else {
            return Err(Error::Data(format!(
                "the Jacobian's rows differ in length; expected {n} entries in each"
            )));
        };
        if (rows, cols) != (m, n) {
            return Err(Error::WrongShape {
                what: "Jacobian",
                expected_rows: m,
                expected_cols: n,
                rows,
                cols,
            });
        }
        let claimed = matrix::rectangular(view, m, n);
        let residuals = |p: &P, out: &mut [f64]| {
            let r = problem.apply(p).map_err(Error::Problem)?;
            length("residuals", m, r.dimension())?;
            r.read(out);
            Ok(())
        };
        let base = base("residuals at x", &residuals, x, m)?;
        let estimates = point.along_axes(residuals, &base, &claimed)?;
        Ok(point.judge(Derivative::Jacobian, &claimed, &estimates, false))
    }

    /// Checks gradient and Hessian.
    pub fn derivatives<O, P, G, H>(&self, problem: &O, x: &P) -> Result<Derivatives, Error>
    where
        O: CostFunction<Param = P, Output = f64>
            + Gradient<Param = P, Gradient = G>
            + Hessian<Param = P, Hessian = H>,
        P: VecLike,
        G: VecLike,
        H: SymMat,
    {
        Ok(Derivatives {
            gradient: self.gradient(problem, x)?,
            hessian: self.hessian(problem, x)?,
        })
    }
}

fn gradient_of<O, P, G>(
    problem: &O,
    n: usize,
) -> impl Fn(&P, &mut [f64]) -> Result<(), Error> + use<'_, O, P, G>
where
    O: Gradient<Param = P, Gradient = G>,
    G: VecLike,
{
    move |p, out| {
        let g = problem.gradient(p).map_err(Error::Problem)?;
        length("gradient", n, g.dimension())?;
        g.read(out);
        Ok(())
    }
}

/// The function at x, which must be finite.
fn base<P>(
    what: &'static str,
    f: &impl Fn(&P, &mut [f64]) -> Result<(), Error>,
    x: &P,
    m: usize,
) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; m];
    f(x, &mut out)?;
    finite(what, &out)?;
    Ok(out)
}
