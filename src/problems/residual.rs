//! Functions of the residuals Ax − b.

use super::power::exponent_in_range;
use super::{Analytic, argmin_traits};
use crate::error::{Error, length};
use faer::Mat;

/// f(x) = μ log Σ exp((aᵢᵀx − bᵢ)/μ), a smooth maximum, shifted so that its
/// minimizer is 0.
///
/// The shift subtracts ∇f(0) from every row. The Hessian (1/μ)(Aᵀdiag(π)A − ggᵀ), with
/// the weights π of the terms and the gradient g = Aᵀπ, loses rank as μ → 0;
/// [`gauss_newton`](LogSumExp::gauss_newton) drops ggᵀ.
#[derive(Debug, Clone)]
pub struct LogSumExp {
    rows: Mat<f64>,
    offsets: Vec<f64>,
    mu: f64,
    gauss_newton: bool,
}

impl LogSumExp {
    /// From the rows aᵢ, the offsets bᵢ and the smoothing μ > 0.
    ///
    /// # Errors
    /// No rows, as many offsets as rows are not given, μ not positive and finite.
    pub fn new(rows: &Mat<f64>, offsets: &[f64], mu: f64) -> Result<Self, Error> {
        if rows.nrows() == 0 || rows.ncols() == 0 {
            return Err(Error::Data(
                "LogSumExp needs at least one row and column".into(),
            ));
        }
        length("offsets", rows.nrows(), offsets.len())?;
        if !(mu > 0.0 && mu.is_finite()) {
            return Err(Error::parameter("mu", mu, "positive and finite"));
        }
        let mut problem = LogSumExp {
            rows: rows.clone(),
            offsets: offsets.to_vec(),
            mu,
            gauss_newton: false,
        };
        let g = problem.slope(&problem.minimizer());
        problem.rows = Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - g[j]);
        Ok(problem)
    }

    /// The same problem with the weighted Gauss-Newton Hessian (1/μ)Aᵀdiag(π)A, which
    /// is exact at the minimizer.
    pub fn gauss_newton(self) -> Self {
        LogSumExp {
            gauss_newton: true,
            ..self
        }
    }

    /// All ones.
    pub fn start(&self) -> Vec<f64> {
        vec![1.0; self.rows.ncols()]
    }

    /// The origin.
    pub fn minimizer(&self) -> Vec<f64> {
        vec![0.0; self.rows.ncols()]
    }

    /// f there.
    pub fn minimum(&self) -> f64 {
        self.value(&self.minimizer())
    }

    /// The weights of the rows and f(x).
    fn softmax(&self, x: &[f64]) -> (Vec<f64>, f64) {
        let mut p = residuals(&self.rows, x, &self.offsets);
        let top = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        p.iter_mut().for_each(|r| *r = ((*r - top) / self.mu).exp());
        let total: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= total);
        (p, top + self.mu * total.ln())
    }
}

impl Analytic for LogSumExp {
    fn dimension(&self) -> usize {
        self.rows.ncols()
    }
    fn value(&self, x: &[f64]) -> f64 {
        self.softmax(x).1
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        combine(&self.rows, &self.softmax(x).0)
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let p = self.softmax(x).0;
        let weights: Vec<f64> = p.iter().map(|p| p / self.mu).collect();
        if self.gauss_newton {
            return gram(&self.rows, &weights);
        }
        // Centered rows keep the covariance positive semidefinite.
        let mean = combine(&self.rows, &p);
        let centered = Mat::from_fn(self.rows.nrows(), self.rows.ncols(), |i, j| {
            self.rows[(i, j)] - mean[j]
        });
        gram(&centered, &weights)
    }
}

/// f(x) = Σ (aᵢᵀx − bᵢ)₊ᵖ, p ≥ 2: the distance to a polytope, 0 inside it.
///
/// The Hessian is singular where few inequalities are violated.
#[derive(Debug, Clone)]
pub struct Polytope {
    rows: Mat<f64>,
    bounds: Vec<f64>,
    exponent: f64,
    center: Vec<f64>,
}

impl Polytope {
    /// From the rows aᵢ and bounds bᵢ; the minimum is 0 if Ax ≤ b has a solution.
    ///
    /// # Errors
    /// As many bounds as rows are not given, or an exponent that is not finite and at least 2.
    pub fn new(rows: Mat<f64>, bounds: Vec<f64>, exponent: f64) -> Result<Self, Error> {
        length("bounds", rows.nrows(), bounds.len())?;
        exponent_in_range("exponent", exponent)?;
        let center = vec![0.0; rows.ncols()];
        Ok(Polytope {
            rows,
            bounds,
            exponent,
            center,
        })
    }

    /// With bounds b = A·center + slack, so that the minimum is 0 at `center` if slack ≥ 0.
    ///
    /// # Errors
    /// As [`new`](Polytope::new), or a center of the wrong length.
    pub fn around(
        rows: Mat<f64>,
        center: &[f64],
        slack: f64,
        exponent: f64,
    ) -> Result<Self, Error> {
        length("center", rows.ncols(), center.len())?;
        let bounds = residuals(&rows, center, &vec![-slack; rows.nrows()]);
        let mut problem = Polytope::new(rows, bounds, exponent)?;
        problem.center = center.to_vec();
        Ok(problem)
    }

    /// The center given to [`around`](Polytope::around), else the origin.
    pub fn center(&self) -> Vec<f64> {
        self.center.clone()
    }

    /// Σ wᵢ with wᵢ = scale · (residual)₊^power; no violation gives no weight.
    fn excess(&self, x: &[f64], scale: f64, power: f64) -> Vec<f64> {
        let mut r = residuals(&self.rows, x, &self.bounds);
        for r in &mut r {
            // 0⁰ would be 1.
            *r = if *r > 0.0 { scale * r.powf(power) } else { 0.0 };
        }
        r
    }
}

impl Analytic for Polytope {
    fn dimension(&self) -> usize {
        self.rows.ncols()
    }
    fn value(&self, x: &[f64]) -> f64 {
        self.excess(x, 1.0, self.exponent).iter().sum()
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let p = self.exponent;
        combine(&self.rows, &self.excess(x, p, p - 1.0))
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let p = self.exponent;
        gram(&self.rows, &self.excess(x, p * (p - 1.0), p - 2.0))
    }
}

argmin_traits!(LogSumExp, Polytope);

/// Ax − b.
fn residuals(rows: &Mat<f64>, x: &[f64], b: &[f64]) -> Vec<f64> {
    (0..rows.nrows())
        .map(|i| {
            let terms = x.iter().enumerate().map(|(j, x)| rows[(i, j)] * x);
            terms.sum::<f64>() - b[i]
        })
        .collect()
}

/// Aᵀw.
fn combine(rows: &Mat<f64>, w: &[f64]) -> Vec<f64> {
    (0..rows.ncols())
        .map(|j| w.iter().enumerate().map(|(i, w)| rows[(i, j)] * w).sum())
        .collect()
}

/// Aᵀ diag(w) A.
fn gram(rows: &Mat<f64>, w: &[f64]) -> Mat<f64> {
    let d = rows.ncols();
    let mut h = Mat::zeros(d, d);
    for j in 0..d {
        for k in 0..=j {
            let terms = w.iter().enumerate();
            let sum: f64 = terms.map(|(i, w)| w * rows[(i, j)] * rows[(i, k)]).sum();
            h[(j, k)] = sum;
            h[(k, j)] = sum;
        }
    }
    h
}
