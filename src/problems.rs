//! Test problems with start points, known optima and known constants.
//!
//! Each is an argmin problem (`CostFunction`, `Gradient`, `Hessian`) with
//! `Vec<f64>` points and dense faer Hessians, so every solver runs on it:
//!
//! | problem | f | what it tests |
//! |---|---|---|
//! | [`Power`] | Σ\|xᵢ\|ᴾ/P | rates at a singular minimizer, in closed form |
//! | [`Chain`] | (1/q)(Σ\|xᵢ − xᵢ₊₁\|^q + \|xₙ\|^q) − l x₁ | information moves one variable per iteration |
//! | [`Softplus`] | x²/2 + log(1 + eˣ) | a known constant in the local norm |
//! | [`Rosenbrock`] | Σ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)² | a curved valley, not convex |
//! | [`LogSumExp`] | μ log Σ exp((aᵢᵀx − bᵢ)/μ) | nearly singular Hessians |
//! | [`Polytope`] | Σ (aᵢᵀx − bᵢ)₊ᵖ | a minimum that is a whole set |
//! | [`NormPower`] | ‖u(x)‖ᴾ/P | approximate Hessians: Gauss-Newton and rank one |
//! | [`Mgh`] | Σ rᵢ(x)² | the 35 problems of Moré, Garbow and Hillstrom |
//! | [`Nist`] | residuals | the 27 certified regressions of NIST, read from their files |
//! | [`HockSchittkowski`] | 21 of many kinds | equality constraints |
//! | [`ConstrainedLogistic`] | mean log(1 + exp(−yᵢaᵢᵀx)) | planes and a sphere as constraints |
//! | [`OptimalControl`] | ½‖y − d‖² + (α/2)‖u‖² | a sparse, nonlinear state equation |
//!
//! [`Scaled`], [`Affine`] and [`Offset`] wrap any problem with `Vec<f64>` points,
//! the models included, to test invariances.
//!
//! ```
//! use raphson::problems::Chain;
//! use raphson::DampedNewton;
//! let chain = Chain::new(5, 3.0, 0.0)?;
//! let run = DampedNewton::new().minimize(&chain, chain.start())?.must_converge()?;
//! assert!(run.f - chain.minimum() < 1e-10);
//! # Ok::<(), raphson::Error>(())
//! ```

use faer::Mat;

mod chain;
mod constrained_logistic;
mod hock_schittkowski;
mod mgh;
mod nist;
mod norm_power;
mod optimal_control;
mod power;
mod residual;
mod rosenbrock;
mod transform;

pub use chain::Chain;
pub use constrained_logistic::ConstrainedLogistic;
pub use hock_schittkowski::HockSchittkowski;
pub use mgh::{Mgh, MghProblem, Optimum};
pub use nist::Nist;
pub use norm_power::NormPower;
pub use optimal_control::OptimalControl;
pub use power::{Power, Softplus};
pub use residual::{LogSumExp, Polytope};
pub use rosenbrock::{Rosenbrock, SparseRosenbrock};
pub use transform::{Affine, Offset, Scaled};

/// A function with its derivatives; `argmin_traits` hands it to argmin.
trait Analytic {
    fn dimension(&self) -> usize;
    /// f(x).
    fn value(&self, x: &[f64]) -> f64;
    /// The gradient.
    fn slope(&self, x: &[f64]) -> Vec<f64>;
    /// The Hessian.
    fn curvature(&self, x: &[f64]) -> Mat<f64>;
}

/// Implements argmin's traits, which Rust forbids for all of `Analytic` at once.
macro_rules! argmin_traits {
    ($($problem:ty),+) => {$(
        impl argmin::core::CostFunction for $problem {
            type Param = Vec<f64>;
            type Output = f64;
            fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
                crate::error::length("point", self.dimension(), x.len())?;
                Ok(self.value(x))
            }
        }
        impl argmin::core::Gradient for $problem {
            type Param = Vec<f64>;
            type Gradient = Vec<f64>;
            fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
                crate::error::length("point", self.dimension(), x.len())?;
                Ok(self.slope(x))
            }
        }
        impl argmin::core::Hessian for $problem {
            type Param = Vec<f64>;
            type Hessian = faer::Mat<f64>;
            fn hessian(&self, x: &Vec<f64>) -> Result<faer::Mat<f64>, argmin::core::Error> {
                crate::error::length("point", self.dimension(), x.len())?;
                Ok(self.curvature(x))
            }
        }
    )+};
}
use argmin_traits;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use argmin::core::{CostFunction, Gradient, Hessian};

    /// Derivatives at generic points, and a zero gradient with the stated f at the minimizer.
    fn verify<P>(problem: &P, points: &[Vec<f64>], minimizer: &[f64], minimum: f64)
    where
        P: CostFunction<Param = Vec<f64>, Output = f64>
            + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
            + Hessian<Param = Vec<f64>, Hessian = Mat<f64>>,
    {
        for x in points {
            let check = check::derivatives(problem, x).unwrap();
            assert!(check.is_ok(), "at {x:?}: {check}");
            assert!(problem.cost(x).unwrap() > minimum);
        }
        let at = minimizer.to_vec();
        let f = problem.cost(&at).unwrap();
        let tolerance = 1e-14 * (1.0 + minimum.abs());
        assert!((f - minimum).abs() <= tolerance, "{f} {minimum}");
        let g = problem.gradient(&at).unwrap();
        assert!(g.iter().all(|g| g.abs() <= 1e-15 * 8.0), "{g:?}");
        let long = vec![0.0; minimizer.len() + 1];
        assert!(problem.cost(&long).is_err());
        assert!(problem.gradient(&long).is_err());
        assert!(problem.hessian(&long).is_err());
    }

    /// Numbers in (−1, 1) without a pattern.
    fn spread(rows: usize, cols: usize) -> Mat<f64> {
        Mat::from_fn(rows, cols, |i, j| {
            ((7 * i + 13 * j + i * j + 1) as f64).sin()
        })
    }

    #[test]
    fn derivatives_and_optima_are_right() {
        for p in [2.0, 3.0, 4.5, 12.0] {
            let power = Power::new(3, p).unwrap();
            let points = [power.start(), vec![0.7, -1.3, 0.2]];
            verify(&power, &points, &power.minimizer(), power.minimum());
        }
        for (q, lin) in [(3.0, 0.0), (2.5, 1.0), (3.0, 0.5), (4.0, 1.0)] {
            let chain = Chain::new(5, q, lin).unwrap();
            let points = [vec![0.3, 1.0, -0.4, 0.9, 0.2]];
            verify(&chain, &points, &chain.minimizer(), chain.minimum());
        }
        let points = [vec![50.0], vec![0.3], vec![-40.0], vec![-2.0]];
        verify(
            &Softplus,
            &points,
            &Softplus.minimizer(),
            Softplus.minimum(),
        );
        for n in [2, 5] {
            let valley = Rosenbrock::new(n).unwrap();
            let points = [valley.start(), vec![0.4; n]];
            verify(&valley, &points, &valley.minimizer(), 0.0);
        }
        let offsets: Vec<f64> = (0..9).map(|i| (i as f64).cos()).collect();
        let soft = LogSumExp::new(&spread(9, 4), &offsets, 0.3).unwrap();
        let points = [soft.start(), vec![0.3, -0.2, 0.1, 0.9]];
        verify(&soft, &points, &soft.minimizer(), soft.minimum());
        for p in [2.0, 3.0, 4.0] {
            let cell = Polytope::around(spread(12, 3), &[0.5, -1.0, 0.2], 0.1, p).unwrap();
            let points = [vec![3.0, 2.0, -1.0], vec![-2.0, 0.3, 4.0]];
            verify(&cell, &points, &cell.center(), 0.0);
        }
    }

    #[test]
    fn powers_of_norms_have_three_hessians() {
        let offsets: Vec<f64> = (0..7).map(|i| (i as f64).cos()).collect();
        for p in [2.0, 3.0, 4.0, 5.0] {
            let problems = [
                NormPower::chebyshev(4, p).unwrap(),
                NormPower::rosenbrock(4, p).unwrap(),
                NormPower::affine(spread(7, 4), offsets.clone(), p).unwrap(),
            ];
            for problem in problems {
                let x = vec![0.3, -0.7, 1.1, 0.4];
                for x in [&x, &problem.start()] {
                    let check = check::derivatives(&problem, x).unwrap();
                    assert!(check.is_ok(), "{check}");
                }
                // The exact Hessian of the power of the linearized residuals.
                let (u, terms) = (problem.residuals(&x).unwrap(), problem.clone());
                let jacobian = Mat::from_fn(u.len(), 4, |i, j| {
                    let at = |step: f64| {
                        let mut x = x.clone();
                        x[j] += step;
                        terms.residuals(&x).unwrap()[i]
                    };
                    // Exact up to rounding for polynomials of degree 2.
                    at(0.5) - at(-0.5)
                });
                let offsets = (0..u.len()).map(|i| {
                    let terms = x.iter().enumerate().map(|(j, x)| jacobian[(i, j)] * x);
                    terms.sum::<f64>() - u[i]
                });
                let linear = NormPower::affine(jacobian.clone(), offsets.collect(), p).unwrap();
                let approximate = problem.clone().gauss_newton().hessian(&x).unwrap();
                let scale = approximate.norm_max();
                let difference = linear.hessian(&x).unwrap() - &approximate;
                assert!(difference.norm_max() <= 1e-13 * scale);
                let (a, v) = problem.rank_one(&x).unwrap();
                let fisher = problem.clone().fisher().hessian(&x).unwrap();
                for i in 0..4 {
                    for j in 0..4 {
                        assert_eq!(fisher[(i, j)], a * (v[i] * v[j]));
                    }
                }
                if let Some(best) = problem.minimizer() {
                    assert_eq!(problem.cost(&best).unwrap(), 0.0);
                    let h = problem.hessian(&best).unwrap();
                    assert!(h.norm_max().is_finite() && (h.norm_max() > 0.0) == (p == 2.0));
                    assert_eq!(problem.rank_one(&best).unwrap().1, [0.0; 4]);
                }
                assert!(problem.rank_one(&[0.0; 5]).is_err());
                assert!(problem.hessian(&vec![0.0; 5]).is_err());
            }
        }
        let (valley, power) = (
            Rosenbrock::new(4).unwrap(),
            NormPower::rosenbrock(4, 2.0).unwrap(),
        );
        let (f, half) = (valley.cost(&valley.start()), power.cost(&power.start()));
        assert!((f.unwrap() - 2.0 * half.unwrap()).abs() < 1e-10);
    }

    #[test]
    fn gauss_newton_of_the_smooth_maximum_drops_the_gradient() {
        let soft = LogSumExp::new(&spread(9, 4), &[0.3; 9], 0.4).unwrap();
        let x = vec![0.3, -0.2, 0.1, 0.9];
        let (exact, g) = (soft.hessian(&x).unwrap(), soft.gradient(&x).unwrap());
        let approximate = soft.gauss_newton().hessian(&x).unwrap();
        for i in 0..4 {
            for j in 0..4 {
                let dropped = approximate[(i, j)] - exact[(i, j)];
                assert!((dropped - g[i] * g[j] / 0.4).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn the_sparse_valley_is_the_dense_one() {
        for n in [2, 3, 8] {
            let valley = Rosenbrock::new(n).unwrap();
            let sparse = valley.sparse();
            let x: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            assert_eq!(sparse.cost(&x).unwrap(), valley.cost(&x).unwrap());
            assert_eq!(sparse.gradient(&x).unwrap(), valley.gradient(&x).unwrap());
            let h = sparse.hessian(&x).unwrap();
            assert_eq!(h.to_dense(), valley.hessian(&x).unwrap());
            assert_eq!(h.val().len(), 3 * n - 2);
            assert!(sparse.hessian(&vec![0.0; n + 1]).is_err());
        }
    }

    #[test]
    fn wrappers_transform_derivatives_and_optima() {
        let chain = Chain::new(3, 3.0, 1.0).unwrap();
        let (best, f) = (chain.minimizer(), chain.minimum());
        let scaled = Scaled::new(chain, 50.0, 4.0).unwrap();
        let at: Vec<f64> = best.iter().map(|x| x / 4.0).collect();
        verify(&scaled, &[vec![0.3, 0.1, -0.2]], &at, 50.0 * f);
        let offset = Offset::new(chain, 7.0);
        verify(&offset, &[vec![0.3, 0.1, -0.2]], &best, f + 7.0);
        // Upper triangular with unit diagonal: the minimizer 3, 2, 1 comes from y = (3, −5, 1).
        let matrix = Mat::from_fn(3, 3, |i, j| match j.cmp(&i) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => (j * j - i) as f64,
        });
        let y2 = best[2];
        let y1 = best[1] - matrix[(1, 2)] * y2;
        let y0 = best[0] - matrix[(0, 1)] * y1 - matrix[(0, 2)] * y2;
        let affine = Affine::new(chain, matrix);
        verify(&affine, &[vec![0.3, 0.1, -0.2]], &[y0, y1, y2], f);
    }

    #[test]
    fn constants_are_right() {
        // sup |f'''| / f''^1.5 on a grid, f''' = σ(1−σ)(1−2σ).
        let ratio = |x: f64| {
            let s = 1.0 / (1.0 + (-x).exp());
            let (second, third) = (1.0 + s * (1.0 - s), s * (1.0 - s) * (1.0 - 2.0 * s));
            third.abs() / second.powf(1.5)
        };
        let worst = (-4000..4000)
            .map(|k| ratio(k as f64 * 2e-3))
            .fold(0.0, f64::max);
        assert!(worst <= Softplus::LOCAL_LIPSCHITZ);
        assert!(worst > 0.99999 * Softplus::LOCAL_LIPSCHITZ, "{worst}");
        let ratios = [(6.0, 0.262144), (12.0, 0.318631), (24.0, 0.344093)];
        for (p, expected) in ratios {
            let ratio = Power::new(1, p).unwrap().newton_ratio();
            assert!((ratio - expected).abs() < 1e-6, "{ratio}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert!(Power::new(0, 4.0).is_err());
        assert!(Power::new(1, 1.9).is_err());
        assert!(Power::new(1, f64::NAN).is_err());
        assert!(Chain::new(0, 3.0, 0.0).is_err());
        assert!(Chain::new(2, 1.0, 0.0).is_err());
        assert!(Chain::new(2, 3.0, -1.0).is_err());
        assert!(Rosenbrock::new(1).is_err());
        assert!(NormPower::chebyshev(0, 4.0).is_err());
        assert!(NormPower::chebyshev(3, 1.0).is_err());
        assert!(NormPower::rosenbrock(1, 4.0).is_err());
        assert!(NormPower::affine(spread(3, 2), vec![0.0; 2], 4.0).is_err());
        assert!(NormPower::affine(spread(3, 0), vec![0.0; 3], 4.0).is_err());
        assert!(LogSumExp::new(&spread(3, 2), &[0.0; 2], 1.0).is_err());
        assert!(LogSumExp::new(&spread(3, 2), &[0.0; 3], 0.0).is_err());
        assert!(LogSumExp::new(&spread(0, 2), &[], 1.0).is_err());
        assert!(Polytope::new(spread(3, 2), vec![0.0; 3], 1.0).is_err());
        assert!(Polytope::new(spread(3, 2), vec![0.0; 4], 2.0).is_err());
        assert!(Polytope::around(spread(3, 2), &[0.0; 3], 0.1, 2.0).is_err());
        assert!(Scaled::new(Softplus, 0.0, 1.0).is_err());
        assert!(Scaled::new(Softplus, 1.0, f64::INFINITY).is_err());
        let wide = Affine::new(Softplus, spread(2, 2));
        assert!(wide.cost(&vec![0.0; 2]).is_err());
    }
}
