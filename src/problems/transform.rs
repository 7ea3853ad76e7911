//! Wrappers that change the units, the coordinates or the level of a problem.

use crate::edge::SymMat;
use crate::error::{Error, length};
use crate::linear::sym_mul;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use faer::Mat;

/// h(y) = a f(t y): f in other units.
///
/// A method without hidden units gives the same iterates x = t y from y₀ = x₀/t.
#[derive(Debug, Clone)]
pub struct Scaled<P> {
    problem: P,
    factor: f64,
    unit: f64,
}

impl<P> Scaled<P> {
    /// With a = `factor` and t = `unit`.
    ///
    /// # Errors
    /// A number that is not positive and finite.
    pub fn new(problem: P, factor: f64, unit: f64) -> Result<Self, Error> {
        for (name, value) in [("factor", factor), ("unit", unit)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::parameter(name, value, "positive and finite"));
            }
        }
        Ok(Scaled {
            problem,
            factor,
            unit,
        })
    }

    fn inner(&self, y: &[f64]) -> Vec<f64> {
        y.iter().map(|y| self.unit * y).collect()
    }
}

impl<P: CostFunction<Param = Vec<f64>, Output = f64>> CostFunction for Scaled<P> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, y: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.factor * self.problem.cost(&self.inner(y))?)
    }
}

impl<P: Gradient<Param = Vec<f64>, Gradient = Vec<f64>>> Gradient for Scaled<P> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, y: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        let mut g = self.problem.gradient(&self.inner(y))?;
        g.iter_mut().for_each(|g| *g *= self.factor * self.unit);
        Ok(g)
    }
}

impl<P: Hessian<Param = Vec<f64>, Hessian: SymMat>> Hessian for Scaled<P> {
    type Param = Vec<f64>;
    type Hessian = Mat<f64>;
    fn hessian(&self, y: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        let x = self.inner(y);
        let h = dense(&self.problem.hessian(&x)?, x.len())?;
        let scale = self.factor * self.unit * self.unit;
        Ok(Mat::from_fn(x.len(), x.len(), |i, j| scale * h[(i, j)]))
    }
}

/// h(y) = f(A y): f in other coordinates.
///
/// An affine-invariant method gives the same iterates x = A y from A y₀ = x₀.
#[derive(Debug, Clone)]
pub struct Affine<P> {
    problem: P,
    matrix: Mat<f64>,
}

impl<P> Affine<P> {
    /// With the matrix A, as many rows as `problem` has variables.
    pub fn new(problem: P, matrix: Mat<f64>) -> Self {
        Affine { problem, matrix }
    }

    /// A y.
    ///
    /// # Errors
    /// A point of the wrong length.
    pub fn map(&self, y: &[f64]) -> Result<Vec<f64>, Error> {
        length("point", self.matrix.ncols(), y.len())?;
        Ok((0..self.matrix.nrows())
            .map(|i| {
                y.iter()
                    .enumerate()
                    .map(|(j, y)| self.matrix[(i, j)] * y)
                    .sum()
            })
            .collect())
    }
}

impl<P: CostFunction<Param = Vec<f64>, Output = f64>> CostFunction for Affine<P> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, y: &Vec<f64>) -> Result<f64, HostError> {
        self.problem.cost(&self.map(y)?)
    }
}

impl<P: Gradient<Param = Vec<f64>, Gradient = Vec<f64>>> Gradient for Affine<P> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, y: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        let g = self.problem.gradient(&self.map(y)?)?;
        length("rows of the matrix", g.len(), self.matrix.nrows())?;
        Ok((0..y.len())
            .map(|j| {
                g.iter()
                    .enumerate()
                    .map(|(i, g)| self.matrix[(i, j)] * g)
                    .sum()
            })
            .collect())
    }
}

impl<P: Hessian<Param = Vec<f64>, Hessian: SymMat>> Hessian for Affine<P> {
    type Param = Vec<f64>;
    type Hessian = Mat<f64>;
    fn hessian(&self, y: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        let x = self.map(y)?;
        let h = dense(&self.problem.hessian(&x)?, x.len())?;
        let product = self.matrix.transpose() * (h * &self.matrix);
        Ok(Mat::from_fn(y.len(), y.len(), |i, j| {
            0.5 * (product[(i, j)] + product[(j, i)])
        }))
    }
}

/// h(x) = f(x) + C: the same problem, with less of f in a double.
#[derive(Debug, Clone)]
pub struct Offset<P> {
    problem: P,
    constant: f64,
}

impl<P> Offset<P> {
    /// With the constant C.
    pub fn new(problem: P, constant: f64) -> Self {
        Offset { problem, constant }
    }
}

impl<P: CostFunction<Output = f64>> CostFunction for Offset<P> {
    type Param = P::Param;
    type Output = f64;
    fn cost(&self, x: &P::Param) -> Result<f64, HostError> {
        Ok(self.problem.cost(x)? + self.constant)
    }
}

impl<P: Gradient> Gradient for Offset<P> {
    type Param = P::Param;
    type Gradient = P::Gradient;
    fn gradient(&self, x: &P::Param) -> Result<P::Gradient, HostError> {
        self.problem.gradient(x)
    }
}

impl<P: Hessian> Hessian for Offset<P> {
    type Param = P::Param;
    type Hessian = P::Hessian;
    fn hessian(&self, x: &P::Param) -> Result<P::Hessian, HostError> {
        self.problem.hessian(x)
    }
}

/// The matrix with all its entries.
fn dense(h: &impl SymMat, n: usize) -> Result<Mat<f64>, HostError> {
    let view = h.sym();
    view.check_shape(n)?;
    let mut full = Mat::zeros(n, n);
    let mut unit = vec![0.0; n];
    for j in 0..n {
        unit[j] = 1.0;
        if let Err(breakdown) = sym_mul(view, &unit, full.col_as_slice_mut(j)) {
            return Err(HostError::msg(breakdown.to_string()));
        }
        unit[j] = 0.0;
    }
    Ok(full)
}
