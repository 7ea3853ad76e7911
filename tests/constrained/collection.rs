//! Equality-constrained problems that no constant of the method was chosen with.
#![cfg(feature = "problems")]
//!
//! Sources: W. Hock, K. Schittkowski, *Test Examples for Nonlinear Programming Codes* (1981);
//! K. Schittkowski, *More Test Examples for Nonlinear Programming Codes* (1987); P. T. Boggs, J. W.
//! Tolle, "A strategy for global convergence in a sequential quadratic programming algorithm", SIAM
//! J. Numer. Anal. 26 (1989). Bounds that no solution touches are left out.

use raphson::autodiff::{Number, ScalarFunction, VectorFunction};
use std::f64::consts::{PI, SQRT_2};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    Hs8,
    Hs9,
    Hs60,
    Hs63,
    Hs81,
    Hs111,
    Bt1,
    Bt2,
    Bt4,
    Bt7,
    Bt8,
    Bt10,
    Bt11,
    Bt12,
    S216,
    S316,
    S318,
    S320,
    S322,
    S335,
    S336,
    S338,
    S345,
    S394,
}

use Problem::*;

impl Problem {
    pub const ALL: [Problem; 24] = [
        Hs8, Hs9, Hs60, Hs63, Hs81, Hs111, Bt1, Bt2, Bt4, Bt7, Bt8, Bt10, Bt11, Bt12, S216, S316,
        S318, S320, S322, S335, S336, S338, S345, S394,
    ];

    pub fn start(self) -> Vec<f64> {
        match self {
            Hs8 => vec![2.0, 1.0],
            Hs9 | S316 | S318 | S320 | S322 => vec![0.0; 2],
            Hs60 | Hs63 => vec![2.0; 3],
            Hs81 => vec![-2.0, 2.0, 2.0, -1.0, -1.0],
            Hs111 => vec![-2.3; 10],
            Bt1 => vec![0.08, 0.06],
            Bt2 => vec![10.0; 3],
            Bt4 => vec![4.0382, -2.9470, -0.09115],
            Bt7 => vec![-2.0, 1.0, 1.0, 1.0, 1.0],
            Bt8 => vec![1.0, 1.0, 1.0, 0.0, 0.0],
            Bt10 => vec![2.0; 2],
            Bt11 | Bt12 => vec![2.0; 5],
            S216 => vec![-1.2, 1.0],
            S335 => vec![1.0; 3],
            S336 | S338 | S345 => vec![0.0; 3],
            S394 => vec![2.0; 20],
        }
    }

    /// The least value known, to the digits of the source or of this solver where it goes on; none for
    /// problems on which a standard start may end at another local minimum.
    pub fn minimum(self) -> Option<f64> {
        Some(match self {
            Hs8 => -1.0,
            Hs9 => -0.5,
            Hs60 | Bt2 | S345 => 0.0325682,
            Hs63 => 961.715172,
            Hs81 => 0.0539498478,
            Hs111 => -47.7610909,
            Bt1 | Bt10 => -1.0,
            Bt7 => 306.5,
            Bt12 => 6.18811881,
            S316 => 334.314575,
            S318 => 412.750054,
            S320 => 485.531463,
            S322 => 499.960012,
            S335 => -0.00447214,
            S336 => -0.3378957,
            S338 => -7.2056985,
            S394 => 1.91666667,
            Bt4 | Bt8 | Bt11 | S216 => return None,
        })
    }

    fn shape(self) -> (usize, usize) {
        let m = match self {
            Hs9 | Hs60 | Bt1 | Bt2 | S216 | S316 | S318 | S320 | S322 | S345 | S394 => 1,
            Hs8 | Hs63 | Bt4 | Bt8 | Bt10 | S335 | S336 | S338 => 2,
            Hs81 | Hs111 | Bt7 | Bt11 | Bt12 => 3,
        };
        (self.start().len(), m)
    }
}

fn square<T: Number>(x: T) -> T {
    x * x
}

/// Coefficients of HS111.
const GIBBS: [f64; 10] = [
    -6.089, -17.164, -34.054, -5.914, -24.721, -14.986, -24.100, -10.708, -26.662, -22.179,
];

impl ScalarFunction for Problem {
    fn dimension(&self) -> usize {
        self.shape().0
    }

    fn value<T: Number>(&self, x: &[T]) -> T {
        let from = |i: usize, c: f64| square(x[i] - c);
        let between = |i: usize, j: usize| square(x[i] - x[j]);
        match self {
            Hs8 => x[0] * 0.0 - 1.0,
            Hs9 => (x[0] * (PI / 12.0)).sin() * (x[1] * (PI / 16.0)).cos(),
            Hs60 | Bt2 | S345 => from(0, 1.0) + between(0, 1) + square(between(1, 2)),
            Hs63 => {
                -square(x[0]) - square(x[1]) * 2.0 - square(x[2]) - x[0] * (x[1] + x[2]) + 1000.0
            }
            Hs81 => {
                let cubes = x[0].powi(3) + x[1].powi(3) + 1.0;
                (x[0] * x[1] * x[2] * x[3] * x[4]).exp() - square(cubes) * 0.5
            }
            Hs111 => {
                let sum: T = x.iter().map(|x| x.exp()).sum();
                let terms = x.iter().zip(GIBBS);
                terms.map(|(x, c)| x.exp() * (*x + c - sum.ln())).sum()
            }
            Bt1 => (square(x[0]) + square(x[1])) * 100.0 - x[0] - 100.0,
            Bt4 => x[0] - x[1] + x[1].powi(3),
            Bt7 => square(x[1] - square(x[0])) * 100.0 + from(0, 1.0),
            Bt8 => square(x[0]) + square(x[1]) + square(x[2]),
            Bt10 => -x[0],
            Bt11 => {
                from(0, 1.0)
                    + between(0, 1)
                    + between(1, 2)
                    + square(between(2, 3))
                    + square(between(3, 4))
            }
            Bt12 => square(x[0]) * 0.01 + square(x[1]),
            S216 => square(square(x[0]) - x[1]) * 100.0 + from(0, 1.0),
            S316 | S318 | S320 | S322 => from(0, 20.0) + square(x[1] + 20.0),
            S335 => -(x[0] * 1e-3 + x[1]),
            S336 => x[0] * 7.0 - x[1] * 6.0 + x[2] * 4.0,
            S338 => -(square(x[0]) + square(x[1]) + square(x[2])),
            S394 => {
                let squares = x.iter().map(|x| square(*x));
                let terms = squares.enumerate();
                terms.map(|(i, s)| (s + s * s) * (i + 1) as f64).sum()
            }
        }
    }
}

impl VectorFunction for Problem {
    fn dimension(&self) -> usize {
        self.shape().0
    }
    fn output_count(&self) -> usize {
        self.shape().1
    }

    fn values<T: Number>(&self, x: &[T], c: &mut [T]) {
        let squares = || x.iter().map(|x| square(*x)).sum::<T>();
        match self {
            Hs8 => {
                c[0] = squares() - 25.0;
                c[1] = x[0] * x[1] - 9.0;
            }
            Hs9 => c[0] = x[0] * 4.0 - x[1] * 3.0,
            Hs60 | Bt2 | S345 => {
                c[0] = x[0] * (square(x[1]) + 1.0) + x[2].powi(4) - (4.0 + 3.0 * SQRT_2);
            }
            Hs63 => {
                c[0] = x[0] * 8.0 + x[1] * 14.0 + x[2] * 7.0 - 56.0;
                c[1] = squares() - 25.0;
            }
            Hs81 => {
                c[0] = squares() - 10.0;
                c[1] = x[1] * x[2] - x[3] * x[4] * 5.0;
                c[2] = x[0].powi(3) + x[1].powi(3) + 1.0;
            }
            Hs111 => {
                let e = |i: usize| x[i - 1].exp();
                c[0] = e(1) + (e(2) + e(3)) * 2.0 + e(6) + e(10) - 2.0;
                c[1] = e(4) + e(5) * 2.0 + e(6) + e(7) - 1.0;
                c[2] = e(3) + e(7) + e(8) + e(9) * 2.0 + e(10) - 1.0;
            }
            Bt1 => c[0] = squares() - 1.0,
            Bt4 => {
                c[0] = squares() - 25.0;
                c[1] = x[0] + x[1] + x[2] - 1.0;
            }
            Bt7 => {
                c[0] = x[0] * x[1] - square(x[2]) - 1.0;
                c[1] = square(x[1]) - square(x[3]) + x[0];
                c[2] = square(x[4]) + x[0] - 0.5;
            }
            Bt8 => {
                c[0] = x[0] - 1.0 - square(x[3]) + square(x[1]);
                c[1] = square(x[0]) + square(x[1]) - square(x[4]) - 1.0;
            }
            Bt10 => {
                c[0] = x[1] - x[0].powi(3);
                c[1] = square(x[0]) - x[1];
            }
            Bt11 => {
                c[0] = x[0] + square(x[1]) + x[2].powi(3) - (2.0 + 3.0 * SQRT_2);
                c[1] = x[1] + x[3] - square(x[2]) - (2.0 * SQRT_2 - 2.0);
                c[2] = x[0] - x[4] - 2.0;
            }
            Bt12 => {
                c[0] = x[0] + x[1] - square(x[2]) - 25.0;
                c[1] = square(x[0]) + square(x[1]) - square(x[3]) - 25.0;
                c[2] = x[0] - square(x[4]) - 2.0;
            }
            S216 => c[0] = x[0] * (x[0] - 4.0) - x[1] * 2.0 + 12.0,
            S316 => c[0] = squares() * 0.01 - 1.0,
            S318 => c[0] = square(x[0]) * 0.01 + square(x[1]) / 36.0 - 1.0,
            S320 => c[0] = square(x[0]) * 0.01 + square(x[1]) * 0.25 - 1.0,
            S322 => c[0] = square(x[0]) * 0.01 + square(x[1]) * 100.0 - 1.0,
            S335 => {
                c[0] = square(x[0]) * 1000.0 + square(x[1]) * 100.0 - x[2];
                c[1] = square(x[0]) * 100.0 + square(x[1]) * 400.0 + x[2] - 0.01;
            }
            S336 => {
                c[0] = x[0] * 5.0 + x[1] * 5.0 - x[2] * 3.0 - 6.0;
                c[1] = square(x[0]) + square(x[1]) * 2.0 + square(x[2]) * 3.0 - 1.0;
            }
            S338 => {
                c[0] = x[0] * 0.5 + x[1] + x[2] - 1.0;
                c[1] = square(x[0]) + square(x[1]) * (2.0 / 3.0) + square(x[2]) * 0.25 - 4.0;
            }
            S394 => c[0] = squares() - 1.0,
        }
    }
}
