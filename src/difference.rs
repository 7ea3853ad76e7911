//! Derivatives by finite differences, for problems that have none of their own.
//!
//! **Prefer exact derivatives.** Differences cost many evaluations and lose
//! digits, and the solvers cannot be more accurate than what they are given:
//!
//! | from | derivative | formula | step | relative error | evaluations |
//! |---|---|---|---|---|---|
//! | f | gradient | (f(x + h e_i) - f(x - h e_i)) / 2h | eps^(1/3) s_i | ~ eps^(2/3) = 4e-11 | 2n |
//! | f | Hessian | second differences | eps^(1/4) s_i | ~ eps^(1/2) = 1e-8 | 2n^2 + 1 |
//! | gradient | Hessian | central differences, symmetrized | eps^(1/3) s_i | ~ eps^(2/3) | 2n |
//! | residuals | Jacobian | central differences | eps^(1/3) s_i | ~ eps^(2/3) | 2n + 1 |
//! | gradient | H v | (g(x + h v) - g(x - h v)) / 2h | eps^(1/3) (1 + \|\|x\|\|) / \|\|v\|\| | ~ eps^(2/3) | 2 |
//!
//! where s_i = max(|x_i|, 1). The errors are relative to |f| and |g| where
//! those exceed the derivative; gradient tolerances below about 1e-6 are out of
//! reach. Scale variables whose typical size is far below 1.
//!
//! Near the edge of the domain, where a trial value is NaN or infinite, the
//! step is halved up to 10 times; after that the result is
//! [`Error::NonFinite`](crate::Error::NonFinite). Errors of the user's function
//! pass through. argmin counts calls of the wrapper, not the evaluations within.

use crate::edge::VecLike;
use crate::error::{finite, length};
use crate::problem::HessianProduct;
use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};

mod quotient;

pub use quotient::{gradient, hessian, jacobian};

use quotient::{FIRST, first_non_finite, halving, norm};

/// Adds gradient and Hessian by differences to a problem that has only a cost function.
///
/// A gradient costs 2n evaluations of the cost, a Hessian 2n^2 + 1. Gradient
/// entries are off by about 1e-10 max(|f|, 1), Hessian entries by about
/// 1e-8 max(|f|, 1): see [the module](self). If the gradient is known, use
/// [`FromGradient`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromValue<O>(pub O);

/// Adds Hessian and Hessian-vector products by differences to a problem that has cost and gradient.
///
/// A Hessian costs 2n gradients, a product 2; both are off by about
/// 1e-10 max(|g|, 1): see [the module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromGradient<O>(pub O);

/// Adds a Jacobian by central differences to a problem that has residuals.
///
/// A Jacobian costs 2n + 1 evaluations of the residuals, which argmin does not count, and is off by
/// about 1e-10 max(|r|, 1): see [the module](self).
///
/// ```
/// use argmin::core::{Error, Operator};
/// use raphson::{LevenbergMarquardt, difference::FromResiduals};
/// struct Circle;
/// impl Operator for Circle {
///     type Param = Vec<f64>;
///     type Output = Vec<f64>;
///     fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
///         Ok(vec![x[0] * x[0] + x[1] * x[1] - 25.0, x[1] - x[0] - 1.0])
///     }
/// }
/// let run = LevenbergMarquardt::new().minimize(&FromResiduals(Circle), vec![2.0, 2.0])?;
/// assert!(run.converged() && (run.x[0] - 3.0).abs() < 1e-12);
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromResiduals<O>(pub O);

impl<O: Operator> Operator for FromResiduals<O> {
    type Param = O::Param;
    type Output = O::Output;

    fn apply(&self, x: &O::Param) -> Result<O::Output, Error> {
        self.0.apply(x)
    }
}

impl<P: VecLike, R: VecLike, O: Operator<Param = P, Output = R>> Jacobian for FromResiduals<O> {
    type Param = P;
    type Jacobian = Vec<Vec<f64>>;

    fn jacobian(&self, x: &P) -> Result<Vec<Vec<f64>>, Error> {
        let mut trial = x.clone();
        let m = self.0.apply(x)?.dimension();
        jacobian(
            |v, out| {
                let r = self.0.apply(at(&mut trial, v))?;
                length("residuals", out.len(), r.dimension())?;
                r.read(out);
                Ok(())
            },
            &entries(x),
            m,
        )
    }
}

impl<O: CostFunction<Output = f64>> CostFunction for FromValue<O> {
    type Param = O::Param;
    type Output = f64;

    fn cost(&self, x: &O::Param) -> Result<f64, Error> {
        self.0.cost(x)
    }
}

impl<P: VecLike, O: CostFunction<Param = P, Output = f64>> Gradient for FromValue<O> {
    type Param = P;
    type Gradient = P;

    fn gradient(&self, x: &P) -> Result<P, Error> {
        let mut trial = x.clone();
        let mut out = vec![0.0; x.dimension()];
        gradient(|v| self.0.cost(at(&mut trial, v)), &entries(x), &mut out)?;
        trial.write(&out);
        Ok(trial)
    }
}

impl<P: VecLike, O: CostFunction<Param = P, Output = f64>> Hessian for FromValue<O> {
    type Param = P;
    type Hessian = Vec<Vec<f64>>;

    fn hessian(&self, x: &P) -> Result<Vec<Vec<f64>>, Error> {
        let mut trial = x.clone();
        hessian(|v| self.0.cost(at(&mut trial, v)), &entries(x))
    }
}

impl<O: CostFunction> CostFunction for FromGradient<O> {
    type Param = O::Param;
    type Output = O::Output;

    fn cost(&self, x: &O::Param) -> Result<O::Output, Error> {
        self.0.cost(x)
    }
}

impl<O: Gradient> Gradient for FromGradient<O> {
    type Param = O::Param;
    type Gradient = O::Gradient;

    fn gradient(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        self.0.gradient(x)
    }
}

impl<P: VecLike, G: VecLike, O: Gradient<Param = P, Gradient = G>> Hessian for FromGradient<O> {
    type Param = P;
    type Hessian = Vec<Vec<f64>>;

    fn hessian(&self, x: &P) -> Result<Vec<Vec<f64>>, Error> {
        let n = x.dimension();
        let mut trial = x.clone();
        let mut h = jacobian(
            |v, out| read_gradient(&self.0, at(&mut trial, v), out),
            &entries(x),
            n,
        )?;
        for i in 1..n {
            let (above, below) = h.split_at_mut(i);
            for (upper, lower) in above.iter_mut().map(|row| &mut row[i]).zip(&mut below[0]) {
                *lower += 0.5 * (*upper - *lower);
                *upper = *lower;
            }
        }
        Ok(h)
    }
}

impl<P: VecLike, G: VecLike, O: Gradient<Param = P, Gradient = G>> HessianProduct
    for FromGradient<O>
{
    type Param = P;

    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let center = entries(x);
        length("direction", center.len(), v.len())?;
        length("Hessian-vector product", center.len(), out.len())?;
        finite("direction", v)?;
        let size = norm(v);
        if size == 0.0 {
            out.fill(0.0);
            return Ok(());
        }
        let mut trial = x.clone();
        let mut values = center.clone();
        let mut left = vec![0.0; out.len()];
        halving(
            "central difference of the gradient along v (step halved 10 times)",
            FIRST * (1.0 + norm(&center)),
            |step| {
                let h = step / size;
                for (sign, side) in [(1.0, &mut *out), (-1.0, &mut left)] {
                    for ((t, x), d) in values.iter_mut().zip(&center).zip(v) {
                        *t = x + sign * h * d;
                    }
                    read_gradient(&self.0, at(&mut trial, &values), side)?;
                }
                for (r, l) in out.iter_mut().zip(&left) {
                    *r = (*r - l) / (2.0 * h);
                }
                Ok(first_non_finite(out))
            },
        )
    }
}

fn entries<P: VecLike>(x: &P) -> Vec<f64> {
    let mut values = vec![0.0; x.dimension()];
    x.read(&mut values);
    values
}

fn at<'a, P: VecLike>(trial: &'a mut P, values: &[f64]) -> &'a P {
    trial.write(values);
    trial
}

fn read_gradient<P, G, O>(problem: &O, x: &P, out: &mut [f64]) -> Result<(), Error>
where
    G: VecLike,
    O: Gradient<Param = P, Gradient = G>,
{
    let g = problem.gradient(x)?;
    length("gradient", out.len(), g.dimension())?;
    g.read(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Rosenbrock {
        costs: Cell<usize>,
        gradients: Cell<usize>,
    }

    fn rosenbrock() -> Rosenbrock {
        Rosenbrock {
            costs: Cell::new(0),
            gradients: Cell::new(0),
        }
    }

    impl CostFunction for Rosenbrock {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            self.costs.set(self.costs.get() + 1);
            Ok(100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2))
        }
    }

    impl Gradient for Rosenbrock {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            self.gradients.set(self.gradients.get() + 1);
            let d = x[1] - x[0] * x[0];
            Ok(vec![-400.0 * x[0] * d - 2.0 * (1.0 - x[0]), 200.0 * d])
        }
    }

    const EXACT: [[f64; 2]; 2] = [[1330.0, 480.0], [480.0, 200.0]];

    fn start() -> Vec<f64> {
        vec![-1.2, 1.0]
    }

    #[track_caller]
    fn assert_near(found: &[f64], exact: &[f64], relative: f64) {
        assert_eq!(found.len(), exact.len());
        for (f, e) in found.iter().zip(exact) {
            assert!((f - e).abs() <= relative * e.abs().max(1.0), "{f} for {e}");
        }
    }

    #[test]
    fn from_value_on_rosenbrock() {
        let p = FromValue(rosenbrock());
        assert_near(&p.gradient(&start()).unwrap(), &[-215.6, -88.0], 1e-9);
        assert_eq!(p.0.costs.get(), 4);
        p.0.costs.set(0);
        let h = p.hessian(&start()).unwrap();
        assert_eq!(p.0.costs.get(), 2 * 4 + 1);
        for (row, exact) in h.iter().zip(&EXACT) {
            assert_near(row, exact, 1e-6);
        }
        assert_eq!(h[0][1], h[1][0]);
        assert_eq!(
            p.cost(&start()).unwrap(),
            rosenbrock().cost(&start()).unwrap()
        );
    }

    #[test]
    fn from_gradient_on_rosenbrock() {
        let p = FromGradient(rosenbrock());
        let h = p.hessian(&start()).unwrap();
        assert_eq!((p.0.costs.get(), p.0.gradients.get()), (0, 4));
        for (row, exact) in h.iter().zip(&EXACT) {
            assert_near(row, exact, 1e-9);
        }
        assert_eq!(h[0][1], h[1][0]);
        p.0.gradients.set(0);
        let mut out = [f64::NAN; 2];
        p.hessian_product(&start(), &[2.0, -1.0], &mut out).unwrap();
        assert_eq!(p.0.gradients.get(), 2);
        assert_near(&out, &[2180.0, 760.0], 1e-8);
    }

    #[test]
    fn product_scales_with_the_direction() {
        let p = FromGradient(rosenbrock());
        for factor in [1e-12, 1e12] {
            let mut out = [0.0; 2];
            let v = [2.0 * factor, -factor];
            p.hessian_product(&start(), &v, &mut out).unwrap();
            assert_near(&[out[0] / factor, out[1] / factor], &[2180.0, 760.0], 1e-8);
        }
        p.0.gradients.set(0);
        let mut out = [1.0; 2];
        p.hessian_product(&start(), &[0.0; 2], &mut out).unwrap();
        assert_eq!((out, p.0.gradients.get()), ([0.0; 2], 0));
    }
}
