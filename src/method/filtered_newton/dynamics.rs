//! A and Γ that are not multiples of the identity.

use crate::error::Error;
use crate::linear::DenseCholesky;
use crate::method::stochastic::hessian::symmetrize;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Doublings after which the powers of A count as not fading.
const DOUBLINGS: usize = 64;

/// zₜ = A zₜ₋₁ + N(0, Γ) and what the filter needs of it; column-major.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Dynamics {
    pub(super) n: usize,
    a: Vec<f64>,
    gamma: Vec<f64>,
    /// Γ⁻¹.
    pub(super) precision: Vec<f64>,
    /// Γ⁻¹A.
    pub(super) gain: Vec<f64>,
    /// AᵀΓ⁻¹A.
    pub(super) pull: Vec<f64>,
    /// S⁻¹; empty where it is not needed.
    pub(super) marginal: Vec<f64>,
}

impl Dynamics {
    pub(super) fn new(a: MatRef<'_, f64>, gamma: MatRef<'_, f64>) -> Result<Self, Error> {
        let n = a.nrows();
        let mut parts = [Vec::new(), Vec::new()];
        for ((what, m), part) in [("A", a), ("gamma", gamma)].into_iter().zip(&mut parts) {
            if (m.nrows(), m.ncols()) != (n, n) {
                return Err(Error::WrongShape {
                    what,
                    expected_rows: n,
                    expected_cols: n,
                    rows: m.nrows(),
                    cols: m.ncols(),
                });
            }
            for j in 0..n {
                part.extend(m.col(j).iter());
            }
            crate::error::finite(what, part)?;
        }
        let [a, gamma] = parts;
        Ok(Dynamics {
            n,
            a,
            gamma,
            precision: Vec::new(),
            gain: Vec::new(),
            pull: Vec::new(),
            marginal: Vec::new(),
        })
    }

    /// Computes what the filter needs; with S only if it is.
    pub(super) fn prepare(&mut self, marginal: bool) -> Result<(), Error> {
        self.precision = self.inverse(&self.gamma)?;
        self.gain = self.product(&self.precision, &self.a, false);
        self.pull = self.product(&self.a, &self.gain, true);
        symmetrize(&mut self.pull, self.n);
        self.marginal = if marginal {
            self.inverse(&self.stationary()?)?
        } else {
            Vec::new()
        };
        Ok(())
    }

    /// S = ASAᵀ + Γ by doubling: S ← S + ASAᵀ, A ← A².
    fn stationary(&self) -> Result<Vec<f64>, Error> {
        let n = self.n;
        let (mut a, mut s) = (self.a.clone(), self.gamma.clone());
        for _ in 0..DOUBLINGS {
            let at = transpose(&a, n);
            let step = self.product(&self.product(&a, &s, false), &at, false);
            let largest = |m: &[f64]| m.iter().fold(0.0f64, |l, v| l.max(v.abs()));
            let (change, total) = (largest(&step), largest(&s));
            for (s, c) in s.iter_mut().zip(&step) {
                *s += c;
            }
            if !(change.is_finite() && total < 1e100) {
                break;
            }
            if change <= 1e-17 * total {
                return Ok(s);
            }
            a = self.product(&a, &a, false);
        }
        let requirement = "of spectral radius below 1, or used without its stationary covariance";
        Err(Error::parameter("A", "given", requirement))
    }

    fn inverse(&self, matrix: &[f64]) -> Result<Vec<f64>, Error> {
        let n = self.n;
        let mut factor = DenseCholesky::new();
        let mut out = vec![0.0; n * n];
        for a in out.iter_mut().step_by(n + 1) {
            *a = 1.0;
        }
        factor
            .factor_with(n, 0.0, &mut |mut m| {
                for j in 0..n {
                    for i in j..n {
                        m[(i, j)] = matrix[i + j * n];
                    }
                }
            })
            .and_then(|()| factor.solve_columns_in_place(&mut out))
            .map_err(|e| Error::parameter("gamma", e, "symmetric and positive definite"))?;
        symmetrize(&mut out, n);
        Ok(out)
    }

    /// l r, or lᵀr.
    fn product(&self, l: &[f64], r: &[f64], transposed: bool) -> Vec<f64> {
        let mut out = vec![0.0; self.n * self.n];
        multiply(&mut out, l, r, self.n, transposed, 1.0, Accum::Replace);
        out
    }
}

fn transpose(m: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|k| m[k / n + (k % n) * n]).collect()
}

/// `out` (+)= c l r, or c lᵀr; allocates nothing.
pub(super) fn multiply(
    out: &mut [f64],
    l: &[f64],
    r: &[f64],
    n: usize,
    transposed: bool,
    c: f64,
    accumulate: Accum,
) {
    let l = MatRef::from_column_major_slice(l, n, n);
    let columns = r.len() / n;
    matmul(
        MatMut::from_column_major_slice_mut(out, n, columns),
        accumulate,
        if transposed { l.transpose() } else { l },
        MatRef::from_column_major_slice(r, n, columns),
        c,
        Par::Seq,
    );
}
