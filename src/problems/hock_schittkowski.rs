//! Equality-constrained problems of Hock and Schittkowski.

use crate::autodiff::{self, Number, ScalarFunction, VectorFunction};
use crate::constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
use argmin::core::{CostFunction, Error as HostError, Gradient};
use faer::Mat;
use std::f64::consts::SQRT_2;

/// Twenty problems of Hock and Schittkowski's collection and one of Maratos; the value as `usize`
/// is the number in the collection.
///
/// Derivatives are exact, by [`autodiff`](crate::autodiff). The minima of 26, 46, 47 and 49 are
/// degenerate: the Hessian of the Lagrangian is singular on the tangent space.
///
/// Source: W. Hock, K. Schittkowski, *Test Examples for Nonlinear Programming Codes*, Lecture
/// Notes in Economics and Mathematical Systems 187 (1981).
///
/// ```
/// use raphson::AugmentedLagrangianNewton;
/// use raphson::problems::HockSchittkowski;
///
/// let problem = HockSchittkowski::Hs77;
/// let run = AugmentedLagrangianNewton::new().minimize(&problem, problem.start())?;
/// assert!(run.converged() && (run.f - problem.minimum()).abs() < 1e-7);
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say all there is to say
pub enum HockSchittkowski {
    Hs6 = 6,
    Hs7 = 7,
    Hs26 = 26,
    Hs27 = 27,
    Hs28 = 28,
    Hs39 = 39,
    Hs40 = 40,
    Hs42 = 42,
    Hs46 = 46,
    Hs47 = 47,
    Hs48 = 48,
    Hs49 = 49,
    Hs50 = 50,
    Hs51 = 51,
    Hs52 = 52,
    Hs56 = 56,
    Hs61 = 61,
    Hs77 = 77,
    Hs78 = 78,
    Hs79 = 79,
    /// 2(‖x‖² − 1) − x₁ on the unit circle, where full Newton steps raise many merit functions;
    /// not of the collection.
    Maratos = 0,
}

use HockSchittkowski::*;

impl HockSchittkowski {
    /// All 21.
    pub const ALL: [HockSchittkowski; 21] = [
        Hs6, Hs7, Hs26, Hs27, Hs28, Hs39, Hs40, Hs42, Hs46, Hs47, Hs48, Hs49, Hs50, Hs51, Hs52,
        Hs56, Hs61, Hs77, Hs78, Hs79, Maratos,
    ];

    /// The name, as in `HS77`.
    pub fn name(self) -> String {
        match self {
            Maratos => "MARATOS".into(),
            problem => format!("HS{}", problem as usize),
        }
    }

    /// The problem with this [`name`](HockSchittkowski::name), in any case.
    ///
    /// ```
    /// use raphson::problems::HockSchittkowski;
    /// assert_eq!(HockSchittkowski::from_name("hs39"), Some(HockSchittkowski::Hs39));
    /// assert_eq!(HockSchittkowski::from_name("hs38"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|problem| problem.name().eq_ignore_ascii_case(name))
    }

    /// The standard start.
    pub fn start(self) -> Vec<f64> {
        match self {
            Hs6 => vec![-1.2, 1.0],
            Hs7 => vec![2.0; 2],
            Hs26 => vec![-2.6, 2.0, 2.0],
            Hs27 => vec![2.0; 3],
            Hs28 => vec![-4.0, 1.0, 1.0],
            Hs39 => vec![2.0; 4],
            Hs40 => vec![0.8; 4],
            Hs42 => vec![1.0; 4],
            Hs46 => vec![0.5 * SQRT_2, 1.75, 0.5, 2.0, 2.0],
            Hs47 => vec![2.0, SQRT_2, -1.0, 2.0 - SQRT_2, 0.5],
            Hs48 => vec![3.0, 5.0, -3.0, 2.0, -2.0],
            Hs49 => vec![10.0, 7.0, 2.0, -3.0, 0.8],
            Hs50 => vec![35.0, -31.0, 11.0, 5.0, -5.0],
            Hs51 => vec![2.5, 0.5, 2.0, -1.0, 0.5],
            Hs52 | Hs77 | Hs79 => vec![2.0; 5],
            Hs56 => {
                let (a, b) = ((1.0f64 / 4.2).sqrt().asin(), (5.0f64 / 7.2).sqrt().asin());
                vec![1.0, 1.0, 1.0, a, a, a, b]
            }
            Hs61 => vec![0.01; 3],
            Hs78 => vec![-2.0, 1.5, 2.0, -1.0, -1.0],
            Maratos => vec![0.5f64.cos(), 0.5f64.sin()],
        }
    }

    /// The least value, to about nine digits where it has no closed form.
    pub fn minimum(self) -> f64 {
        match self {
            Hs6 | Hs26 | Hs28 | Hs46 | Hs47 | Hs48 | Hs49 | Hs50 | Hs51 => 0.0,
            Hs7 => -(3f64.sqrt()),
            Hs27 => 0.04,
            Hs39 | Maratos => -1.0,
            Hs40 => -0.25,
            Hs42 => 28.0 - 10.0 * SQRT_2,
            Hs52 => 1859.0 / 349.0,
            Hs56 => -3.456,
            Hs61 => -143.6461422,
            Hs77 => 0.24150513,
            Hs78 => -2.91970041,
            Hs79 => 0.0787768209,
        }
    }

    fn constraint_count(self) -> usize {
        match self {
            Hs6 | Hs7 | Hs26 | Hs27 | Hs28 | Maratos => 1,
            Hs39 | Hs42 | Hs46 | Hs48 | Hs49 | Hs61 | Hs77 => 2,
            Hs40 | Hs47 | Hs50 | Hs51 | Hs52 | Hs78 | Hs79 => 3,
            Hs56 => 4,
        }
    }

    fn variables(self) -> usize {
        match self {
            Hs6 | Hs7 | Maratos => 2,
            Hs26 | Hs27 | Hs28 | Hs61 => 3,
            Hs39 | Hs40 | Hs42 => 4,
            Hs56 => 7,
            _ => 5,
        }
    }
}

impl ScalarFunction for HockSchittkowski {
    fn dimension(&self) -> usize {
        self.variables()
    }

    fn value<T: Number>(&self, x: &[T]) -> T {
        let square = |z: T| z * z;
        let between = |i: usize, j: usize| square(x[i] - x[j]);
        let from = |i: usize, c: f64| square(x[i] - c);
        match self {
            Hs6 => from(0, 1.0),
            Hs7 => (square(x[0]) + 1.0).ln() - x[1],
            Hs26 => between(0, 1) + square(between(1, 2)),
            Hs27 => from(0, 1.0) * 0.01 + square(x[1] - square(x[0])),
            Hs28 => square(x[0] + x[1]) + square(x[1] + x[2]),
            Hs39 => -x[0],
            Hs40 => -(x[0] * x[1] * x[2] * x[3]),
            Hs42 => from(0, 1.0) + from(1, 2.0) + from(2, 3.0) + from(3, 4.0),
            Hs46 | Hs49 => {
                between(0, 1) + from(2, 1.0) + square(from(3, 1.0)) + from(4, 1.0).powi(3)
            }
            Hs47 => {
                between(0, 1)
                    + (x[1] - x[2]).powi(3)
                    + square(between(2, 3))
                    + square(between(3, 4))
            }
            Hs48 => from(0, 1.0) + between(1, 2) + between(3, 4),
            Hs50 => between(0, 1) + between(1, 2) + square(between(2, 3)) + between(3, 4),
            Hs51 => between(0, 1) + square(x[1] + x[2] - 2.0) + from(3, 1.0) + from(4, 1.0),
            Hs52 => {
                square(x[0] * 4.0 - x[1]) + square(x[1] + x[2] - 2.0) + from(3, 1.0) + from(4, 1.0)
            }
            Hs56 => -(x[0] * x[1] * x[2]),
            Hs61 => {
                square(x[0]) * 4.0 + (square(x[1]) + square(x[2])) * 2.0 - x[0] * 33.0 + x[1] * 16.0
                    - x[2] * 24.0
            }
            Hs77 => {
                from(0, 1.0)
                    + between(0, 1)
                    + from(2, 1.0)
                    + square(from(3, 1.0))
                    + from(4, 1.0).powi(3)
            }
            Hs78 => x[0] * x[1] * x[2] * x[3] * x[4],
            Hs79 => {
                from(0, 1.0)
                    + between(0, 1)
                    + between(1, 2)
                    + square(between(2, 3))
                    + square(between(3, 4))
            }
            Maratos => (square(x[0]) + square(x[1]) - 1.0) * 2.0 - x[0],
        }
    }
}

impl VectorFunction for HockSchittkowski {
    fn dimension(&self) -> usize {
        self.variables()
    }
    fn output_count(&self) -> usize {
        self.constraint_count()
    }

    fn values<T: Number>(&self, x: &[T], c: &mut [T]) {
        let square = |z: T| z * z;
        let sum = || x.iter().copied().sum::<T>();
        let squares = || x.iter().map(|x| square(*x)).sum::<T>();
        match self {
            Hs6 => c[0] = (x[1] - square(x[0])) * 10.0,
            Hs7 => c[0] = square(square(x[0]) + 1.0) + square(x[1]) - 4.0,
            Hs26 => c[0] = (square(x[1]) + 1.0) * x[0] + x[2].powi(4) - 3.0,
            Hs27 => c[0] = x[0] + square(x[2]) + 1.0,
            Hs28 => c[0] = x[0] + x[1] * 2.0 + x[2] * 3.0 - 1.0,
            Hs39 => {
                c[0] = x[1] - x[0].powi(3) - square(x[2]);
                c[1] = square(x[0]) - x[1] - square(x[3]);
            }
            Hs40 => {
                c[0] = x[0].powi(3) + square(x[1]) - 1.0;
                c[1] = square(x[0]) * x[3] - x[2];
                c[2] = square(x[3]) - x[1];
            }
            Hs42 => {
                c[0] = x[0] - 2.0;
                c[1] = square(x[2]) + square(x[3]) - 2.0;
            }
            Hs46 => {
                c[0] = square(x[0]) * x[3] + (x[3] - x[4]).sin() - 1.0;
                c[1] = x[1] + x[2].powi(4) * square(x[3]) - 2.0;
            }
            Hs47 => {
                c[0] = x[0] + square(x[1]) + x[2].powi(3) - 3.0;
                c[1] = x[1] - square(x[2]) + x[3] - 1.0;
                c[2] = x[0] * x[4] - 1.0;
            }
            Hs48 => {
                c[0] = sum() - 5.0;
                c[1] = x[2] - (x[3] + x[4]) * 2.0 + 3.0;
            }
            Hs49 => {
                c[0] = x[0] + x[1] + x[2] + x[3] * 4.0 - 7.0;
                c[1] = x[2] + x[4] * 5.0 - 6.0;
            }
            Hs50 => {
                for i in 0..3 {
                    c[i] = x[i] + x[i + 1] * 2.0 + x[i + 2] * 3.0 - 6.0;
                }
            }
            Hs51 | Hs52 => {
                c[0] = x[0] + x[1] * 3.0 - if *self == Hs51 { 4.0 } else { 0.0 };
                c[1] = x[2] + x[3] - x[4] * 2.0;
                c[2] = x[1] - x[4];
            }
            Hs56 => {
                for i in 0..3 {
                    c[i] = x[i] - square(x[i + 3].sin()) * 4.2;
                }
                c[3] = x[0] + (x[1] + x[2]) * 2.0 - square(x[6].sin()) * 7.2;
            }
            Hs61 => {
                c[0] = x[0] * 3.0 - square(x[1]) * 2.0 - 7.0;
                c[1] = x[0] * 4.0 - square(x[2]) - 11.0;
            }
            Hs77 => {
                c[0] = square(x[0]) * x[3] + (x[3] - x[4]).sin() - 2.0 * SQRT_2;
                c[1] = x[1] + x[2].powi(4) * square(x[3]) - (8.0 + SQRT_2);
            }
            Hs78 => {
                c[0] = squares() - 10.0;
                c[1] = x[1] * x[2] - x[3] * x[4] * 5.0;
                c[2] = x[0].powi(3) + x[1].powi(3) + 1.0;
            }
            Hs79 => {
                c[0] = x[0] + square(x[1]) + x[2].powi(3) - (2.0 + 3.0 * SQRT_2);
                c[1] = x[1] - square(x[2]) + x[3] + (2.0 - 2.0 * SQRT_2);
                c[2] = x[0] * x[4] - 2.0;
            }
            Maratos => c[0] = squares() - 1.0,
        }
    }
}

impl CostFunction for HockSchittkowski {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(autodiff::value(self, x)?)
    }
}

impl Gradient for HockSchittkowski {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(autodiff::gradient(self, x)?)
    }
}

impl EqualityConstraints for HockSchittkowski {
    type Param = Vec<f64>;
    type Values = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn n_constraints(&self) -> usize {
        self.constraint_count()
    }
    fn constraints(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(autodiff::values(self, x)?)
    }
    fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(autodiff::jacobian(self, x)?)
    }
}

impl LagrangianHessian for HockSchittkowski {
    type Hessian = Mat<f64>;
    fn lagrangian_hessian(&self, x: &Vec<f64>, multipliers: &[f64]) -> Result<Mat<f64>, HostError> {
        Ok(autodiff::lagrangian_hessian(self, x, multipliers)?)
    }
}

impl LagrangianProduct for HockSchittkowski {
    fn lagrangian_product(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        Ok(autodiff::lagrangian_product(self, x, multipliers, v, out)?)
    }
}
