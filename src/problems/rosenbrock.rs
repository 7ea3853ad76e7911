//! Rosenbrock's valley.

use super::{Analytic, argmin_traits};
use crate::error::{Error, length};
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use faer::Mat;
use faer::sparse::{SparseColMat, SymbolicSparseColMat};

/// f(x) = Σᵢ₍ₙ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², n ≥ 2: minimum 0 at (1, …, 1).
///
/// Not convex; for n ≥ 4 there is a second minimum near (−1, 1, …, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rosenbrock {
    n: usize,
}

impl Rosenbrock {
    /// In `n` variables.
    ///
    /// # Errors
    /// Fewer than two variables.
    pub fn new(n: usize) -> Result<Self, Error> {
        if n < 2 {
            return Err(Error::parameter("n", n, "at least 2"));
        }
        Ok(Rosenbrock { n })
    }

    /// (−1.2, 1, −1.2, 1, …).
    pub fn start(&self) -> Vec<f64> {
        (0..self.n)
            .map(|i| if i % 2 == 0 { -1.2 } else { 1.0 })
            .collect()
    }

    /// All ones.
    pub fn minimizer(&self) -> Vec<f64> {
        vec![1.0; self.n]
    }

    /// f there: 0.
    pub fn minimum(&self) -> f64 {
        0.0
    }

    /// The same problem with a sparse, tridiagonal Hessian.
    ///
    /// ```
    /// use raphson::DampedNewton;
    /// use raphson::problems::Rosenbrock;
    /// let valley = Rosenbrock::new(1000)?;
    /// let run = DampedNewton::new().minimize(&valley.sparse(), valley.start())?;
    /// assert!(run.converged());
    /// # Ok::<(), raphson::Error>(())
    /// ```
    pub fn sparse(self) -> SparseRosenbrock {
        SparseRosenbrock(self)
    }

    /// The Hessian by its diagonal and the entries beside it.
    fn bands(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut diagonal, mut beside) = (vec![0.0; self.n], vec![0.0; self.n - 1]);
        for (i, w) in x.windows(2).enumerate() {
            diagonal[i] += 1200.0 * w[0] * w[0] - 400.0 * w[1] + 2.0;
            diagonal[i + 1] += 200.0;
            beside[i] = -400.0 * w[0];
        }
        (diagonal, beside)
    }
}

impl Analytic for Rosenbrock {
    fn dimension(&self) -> usize {
        self.n
    }
    fn value(&self, x: &[f64]) -> f64 {
        x.windows(2)
            .map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2))
            .sum()
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; self.n];
        for (i, w) in x.windows(2).enumerate() {
            let u = w[1] - w[0] * w[0];
            g[i] += -400.0 * w[0] * u - 2.0 * (1.0 - w[0]);
            g[i + 1] += 200.0 * u;
        }
        g
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let (diagonal, beside) = self.bands(x);
        let mut h = Mat::zeros(self.n, self.n);
        for (i, entry) in diagonal.iter().enumerate() {
            h[(i, i)] = *entry;
        }
        for (i, entry) in beside.iter().enumerate() {
            h[(i + 1, i)] = *entry;
            h[(i, i + 1)] = *entry;
        }
        h
    }
}

argmin_traits!(Rosenbrock);

/// [`Rosenbrock`] with its Hessian as a faer `SparseColMat` of both triangles,
/// 3n − 2 entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseRosenbrock(Rosenbrock);

impl CostFunction for SparseRosenbrock {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.0.cost(x)
    }
}

impl Gradient for SparseRosenbrock {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.0.gradient(x)
    }
}

impl Hessian for SparseRosenbrock {
    type Param = Vec<f64>;
    type Hessian = SparseColMat<usize, f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<SparseColMat<usize, f64>, HostError> {
        let n = self.0.n;
        length("point", n, x.len())?;
        let (diagonal, beside) = self.0.bands(x);
        let (mut col_ptr, mut row_idx, mut values) = (vec![0], Vec::new(), Vec::new());
        for j in 0..n {
            if j > 0 {
                row_idx.push(j - 1);
                values.push(beside[j - 1]);
            }
            row_idx.push(j);
            values.push(diagonal[j]);
            if j + 1 < n {
                row_idx.push(j + 1);
                values.push(beside[j]);
            }
            col_ptr.push(row_idx.len());
        }
        let symbolic = SymbolicSparseColMat::new_checked(n, n, col_ptr, None, row_idx);
        Ok(SparseColMat::new(symbolic, values))
    }
}
