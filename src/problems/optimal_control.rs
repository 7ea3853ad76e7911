//! A control problem with a nonlinear state equation on an interval.

use crate::constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
use crate::error::{Error, length};
use argmin::core::{CostFunction, Error as HostError, Gradient};
use faer::sparse::{SparseColMat, SymbolicSparseColMat};

/// α of the cost of the control.
const ALPHA: f64 = 1e-4;

/// min ½∫(y − d)² + (α/2)∫u² subject to −y″ + y³ = u on (0, 1), y = 0 at both ends.
///
/// With d = 2 sin 3πs and α = 10⁻⁴, on N inner points of distance h = 1/(N + 1): x = (y, u), and
/// cᵢ = (2yᵢ − yᵢ₋₁ − yᵢ₊₁)/h + h yᵢ³ − h uᵢ. Jacobian and Hessian are sparse, with 4N − 2 and 2N
/// entries. The number of Newton steps does not grow with N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptimalControl {
    n: usize,
}

impl OptimalControl {
    /// On `points` inner points.
    ///
    /// # Errors
    /// Not a single point.
    pub fn new(points: usize) -> Result<Self, Error> {
        if points == 0 {
            return Err(Error::parameter("points", points, "at least 1"));
        }
        Ok(OptimalControl { n: points })
    }

    /// State and control zero, which is feasible.
    pub fn start(&self) -> Vec<f64> {
        vec![0.0; 2 * self.n]
    }

    fn h(&self) -> f64 {
        1.0 / (self.n + 1) as f64
    }

    /// yᵢ − dᵢ.
    fn deviation(&self, x: &[f64], i: usize) -> f64 {
        x[i] - 2.0 * (3.0 * std::f64::consts::PI * (i + 1) as f64 * self.h()).sin()
    }

    fn check(&self, x: &[f64]) -> Result<(), Error> {
        length("point", 2 * self.n, x.len())
    }

    /// The diagonal of the Hessian of the Lagrangian.
    fn curvature(&self, x: &[f64], multipliers: &[f64]) -> Result<Vec<f64>, Error> {
        self.check(x)?;
        length("multipliers", self.n, multipliers.len())?;
        let h = self.h();
        let state = x.iter().zip(multipliers).map(|(y, l)| h + 6.0 * h * y * l);
        Ok(state.chain((0..self.n).map(|_| ALPHA * h)).collect())
    }
}

impl CostFunction for OptimalControl {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.check(x)?;
        let state: f64 = (0..self.n).map(|i| self.deviation(x, i).powi(2)).sum();
        let control: f64 = x[self.n..].iter().map(|u| u * u).sum();
        Ok(0.5 * self.h() * (state + ALPHA * control))
    }
}

impl Gradient for OptimalControl {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.check(x)?;
        let h = self.h();
        let state = (0..self.n).map(|i| h * self.deviation(x, i));
        Ok(state
            .chain(x[self.n..].iter().map(|u| ALPHA * h * u))
            .collect())
    }
}

impl EqualityConstraints for OptimalControl {
    type Param = Vec<f64>;
    type Values = Vec<f64>;
    type Jacobian = SparseColMat<usize, f64>;
    fn n_constraints(&self) -> usize {
        self.n
    }

    fn constraints(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.check(x)?;
        let (h, n) = (self.h(), self.n);
        Ok((0..n)
            .map(|i| {
                let below = if i > 0 { x[i - 1] } else { 0.0 };
                let above = if i + 1 < n { x[i + 1] } else { 0.0 };
                (2.0 * x[i] - below - above) / h + h * (x[i].powi(3) - x[n + i])
            })
            .collect())
    }

    fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<SparseColMat<usize, f64>, HostError> {
        self.check(x)?;
        let (h, n) = (self.h(), self.n);
        let (mut col_ptr, mut row_idx, mut values) = (vec![0], Vec::new(), Vec::new());
        for (j, y) in x.iter().enumerate().take(n) {
            for i in j.saturating_sub(1)..(j + 2).min(n) {
                row_idx.push(i);
                values.push(if i == j {
                    2.0 / h + 3.0 * h * y * y
                } else {
                    -1.0 / h
                });
            }
            col_ptr.push(row_idx.len());
        }
        for j in 0..n {
            row_idx.push(j);
            values.push(-h);
            col_ptr.push(row_idx.len());
        }
        let symbolic = SymbolicSparseColMat::new_checked(n, 2 * n, col_ptr, None, row_idx);
        Ok(SparseColMat::new(symbolic, values))
    }
}

impl LagrangianHessian for OptimalControl {
    type Hessian = SparseColMat<usize, f64>;
    fn lagrangian_hessian(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
    ) -> Result<SparseColMat<usize, f64>, HostError> {
        let values = self.curvature(x, multipliers)?;
        let n = values.len();
        let (col_ptr, row_idx) = ((0..=n).collect(), (0..n).collect());
        let symbolic = SymbolicSparseColMat::new_checked(n, n, col_ptr, None, row_idx);
        Ok(SparseColMat::new(symbolic, values))
    }
}

impl LagrangianProduct for OptimalControl {
    fn lagrangian_product(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        let curvature = self.curvature(x, multipliers)?;
        for ((out, h), v) in out.iter_mut().zip(&curvature).zip(v) {
            *out = h * v;
        }
        Ok(())
    }
    fn lagrangian_diagonal(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        out: &mut [f64],
    ) -> Result<bool, HostError> {
        out.copy_from_slice(&self.curvature(x, multipliers)?);
        Ok(true)
    }
}
