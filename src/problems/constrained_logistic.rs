//! Logistic regression on planes and the unit sphere.

use crate::constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
use crate::data::Dataset;
use crate::edge::SymMat;
use crate::error::{Error, length};
use crate::linear::copy_lower;
use crate::models::LogisticRegression;
use crate::parallel::{dot, norm};
use crate::problem::HessianProduct;
use crate::stochastic::{Purpose, Stream};
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use faer::{Mat, MatMut};

/// min (1/n) Σ log(1 + exp(−yᵢaᵢᵀx)) subject to Ax = b and ‖x‖² = 1.
///
/// A has normal entries, and b = ½A x̂ for a random unit vector x̂, so that sphere and planes meet:
/// ½x̂ lies inside the sphere. The benchmark of S. Hong, S. Na, M. W. Mahoney, M. Kolar,
/// "Constrained optimization via exact augmented Lagrangian and randomized iterative sketching",
/// ICML 2023.
#[derive(Debug)]
pub struct ConstrainedLogistic {
    model: LogisticRegression,
    /// A, row after row.
    planes: Vec<Vec<f64>>,
    b: Vec<f64>,
}

impl ConstrainedLogistic {
    /// On `data` with so many random planes.
    ///
    /// # Errors
    /// As many planes as features, or more: with the sphere that is more constraints than variables.
    pub fn new(data: &Dataset, planes: usize, seed: u64) -> Result<Self, Error> {
        let d = data.n_features();
        if planes >= d {
            return Err(Error::Overdetermined {
                constraints: planes + 1,
                variables: d,
            });
        }
        let mut random = Stream::new(seed, Purpose::Probes);
        let mut draw = || (0..d).map(|_| random.normal()).collect::<Vec<f64>>();
        let planes: Vec<Vec<f64>> = (0..planes).map(|_| draw()).collect();
        let inside = draw();
        let size = 2.0 * norm(&inside);
        let b = planes.iter().map(|a| dot(a, &inside) / size).collect();
        Ok(ConstrainedLogistic {
            model: LogisticRegression::new(data),
            planes,
            b,
        })
    }

    /// All ones.
    pub fn start(&self) -> Vec<f64> {
        vec![1.0; self.model.dimension()]
    }

    /// 2λ of the sphere: what it adds to the diagonal of the Hessian.
    fn ridge(&self, multipliers: &[f64]) -> Result<f64, Error> {
        length("multipliers", self.planes.len() + 1, multipliers.len())?;
        Ok(2.0 * multipliers[self.planes.len()])
    }
}

impl CostFunction for ConstrainedLogistic {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.model.cost(x)
    }
}

impl Gradient for ConstrainedLogistic {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.model.gradient(x)
    }
}

impl EqualityConstraints for ConstrainedLogistic {
    type Param = Vec<f64>;
    type Values = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn n_constraints(&self) -> usize {
        self.planes.len() + 1
    }
    fn constraints(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        length("point", self.model.dimension(), x.len())?;
        let planes = self.planes.iter().zip(&self.b).map(|(a, b)| dot(a, x) - b);
        Ok(planes.chain([dot(x, x) - 1.0]).collect())
    }
    fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        length("point", self.model.dimension(), x.len())?;
        Ok(Mat::from_fn(
            self.planes.len() + 1,
            x.len(),
            |i, j| match self.planes.get(i) {
                Some(a) => a[j],
                None => 2.0 * x[j],
            },
        ))
    }
}

impl LagrangianHessian for ConstrainedLogistic {
    type Hessian = crate::edge::Lower<Mat<f64>>;
    fn lagrangian_hessian(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
    ) -> Result<Self::Hessian, HostError> {
        let ridge = self.ridge(multipliers)?;
        let gram = self.model.hessian(x)?;
        let d = x.len();
        let mut lower = vec![0.0; d * d];
        copy_lower(gram.sym(), d, &mut lower).map_err(|b| Error::Data(b.to_string()))?;
        let mut h = MatMut::from_column_major_slice_mut(&mut lower, d, d).to_owned();
        for j in 0..d {
            h[(j, j)] += ridge;
        }
        Ok(crate::edge::Lower(h))
    }
}

impl LagrangianProduct for ConstrainedLogistic {
    fn lagrangian_product(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        let ridge = self.ridge(multipliers)?;
        self.model.hessian_product(x, v, out)?;
        for (out, v) in out.iter_mut().zip(v) {
            *out += ridge * v;
        }
        Ok(())
    }
    fn lagrangian_diagonal(
        &self,
        x: &Vec<f64>,
        multipliers: &[f64],
        out: &mut [f64],
    ) -> Result<bool, HostError> {
        let ridge = self.ridge(multipliers)?;
        let offered = self.model.hessian_diagonal(x, out)?;
        for out in out.iter_mut() {
            *out += ridge;
        }
        Ok(offered)
    }
}
