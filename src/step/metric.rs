//! A fixed metric ‖h‖_B = sqrt(hᵀBh) as a change of variables.
//!
//! With B = LLᵀ and y = Lᵀx the B-norm of x is the Euclidean norm of y, the
//! gradient becomes L⁻¹g and the Hessian L⁻¹HL⁻ᵀ. So every method that measures
//! steps in the Euclidean norm measures them in that of B, with no formula of its own.

use crate::edge::{SymMat, SymView};
use crate::error::Error;
use crate::linear::{Breakdown, DenseCholesky, copy_lower, for_each_lower, sym_check};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{ColMut, MatMut, MatRef, Par};

/// The factor L of B = LLᵀ.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Metric {
    /// B = I.
    #[default]
    Identity,
    /// The diagonal of L.
    Diagonal(Vec<f64>),
    /// L, n x n and column-major; what lies above the diagonal is zero.
    Dense { n: usize, factor: Vec<f64> },
}

impl Metric {
    /// Factors B.
    ///
    /// # Errors
    /// [`Error::WrongShape`], [`Error::Asymmetric`], or [`Error::InvalidParameter`] if B is not
    /// finite or not positive definite.
    pub(crate) fn new(matrix: &impl SymMat) -> Result<Self, Error> {
        let view = matrix.sym();
        sym_check(view)?;
        let mut n = 0;
        let mut is_diagonal = true;
        for_each_lower(view, &mut |i, j, b| {
            n = n.max(i + 1);
            is_diagonal &= i == j || b == 0.0;
        });
        let refused = |breakdown: Breakdown| Error::InvalidParameter {
            name: "metric",
            value: breakdown.to_string(),
            requirement: "a symmetric positive definite matrix",
        };
        if n == 0 {
            return Err(refused(Breakdown::Empty));
        }
        if is_diagonal {
            return Self::diagonal(view, n).map_err(refused);
        }
        let mut cholesky = DenseCholesky::new();
        let mut lower = vec![0.0; n * n];
        copy_lower(view, n, &mut lower).map_err(refused)?;
        cholesky
            .factor_with(n, 0.0, &mut |mut out| {
                for j in 0..n {
                    for i in j..n {
                        out[(i, j)] = lower[i + j * n];
                    }
                }
            })
            .map_err(refused)?;
        let factor = cholesky.lower();
        Ok(Metric::Dense { n, factor })
    }

    fn diagonal(view: SymView<'_>, n: usize) -> Result<Self, Breakdown> {
        let mut diagonal = vec![0.0; n];
        for_each_lower(view, &mut |i, j, b| {
            if i == j {
                diagonal[i] = b;
            }
        });
        for (pivot, b) in diagonal.iter_mut().enumerate() {
            if !b.is_finite() {
                return Err(Breakdown::NonFinite {
                    row: pivot,
                    col: pivot,
                });
            }
            if *b <= 0.0 {
                return Err(Breakdown::NotPositiveDefinite { pivot });
            }
            *b = b.sqrt();
        }
        Ok(Metric::Diagonal(diagonal))
    }

    pub(crate) fn is_identity(&self) -> bool {
        *self == Metric::Identity
    }

    /// Checks that B belongs to vectors of length `n`.
    pub(crate) fn check(&self, n: usize) -> Result<(), Error> {
        let own = match self {
            Metric::Identity => n,
            Metric::Diagonal(diagonal) => diagonal.len(),
            Metric::Dense { n, .. } => *n,
        };
        if own == n {
            return Ok(());
        }
        Err(Error::WrongShape {
            what: "metric",
            expected_rows: n,
            expected_cols: n,
            rows: own,
            cols: own,
        })
    }

    /// v ← L⁻¹v: gradients into the new variables, n² flops.
    pub(crate) fn gradient(&self, v: &mut [f64]) {
        match self {
            Metric::Identity => {}
            Metric::Diagonal(diagonal) => {
                for (v, l) in v.iter_mut().zip(diagonal) {
                    *v /= l;
                }
            }
            Metric::Dense { n, factor } => solve_lower_triangular_in_place(
                MatRef::from_column_major_slice(factor, *n, *n),
                ColMut::from_slice_mut(v).as_mat_mut(),
                Par::Seq,
            ),
        }
    }

    /// v ← L⁻ᵀv: steps back into the old variables, n² flops.
    pub(crate) fn step(&self, v: &mut [f64]) {
        match self {
            Metric::Identity | Metric::Diagonal(_) => self.gradient(v),
            Metric::Dense { n, factor } => solve_upper_triangular_in_place(
                MatRef::from_column_major_slice(factor, *n, *n).transpose(),
                ColMut::from_slice_mut(v).as_mat_mut(),
                Par::Seq,
            ),
        }
    }

    /// H ← L⁻¹HL⁻ᵀ for a matrix in both triangles; n³ flops for a dense metric.
    pub(crate) fn hessian(&self, mut h: MatMut<'_, f64>) {
        match self {
            Metric::Identity => {}
            Metric::Diagonal(diagonal) => {
                for j in 0..h.ncols() {
                    for i in 0..h.nrows() {
                        h[(i, j)] /= diagonal[i] * diagonal[j];
                    }
                }
            }
            Metric::Dense { n, factor } => {
                let lower = MatRef::from_column_major_slice(factor, *n, *n);
                solve_lower_triangular_in_place(lower, h.as_mut(), Par::Seq);
                solve_lower_triangular_in_place(lower, h.transpose_mut(), Par::Seq);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::dot;
    use faer::{Mat, mat};

    #[test]
    fn a_metric_is_a_change_of_variables() {
        let b = mat![[4.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 3.0]];
        let h = mat![[1.0, 0.5, -1.0], [0.5, -2.0, 0.3], [-1.0, 0.3, 4.0]];
        let diagonal = mat![[4.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.25]];
        for b in [b, diagonal] {
            let metric = Metric::new(&b).unwrap();
            assert!(metric.check(3).is_ok() && metric.check(4).is_err());
            let (s, g) = ([0.3, -1.0, 2.0], [1.0, 2.0, -0.7]);
            let quadratic = |m: &Mat<f64>, v: &[f64; 3]| {
                (0..3)
                    .map(|i| (0..3).map(|j| m[(i, j)] * v[i] * v[j]).sum::<f64>())
                    .sum::<f64>()
            };
            let (mut step, mut gradient) = (s, g);
            metric.step(&mut step);
            metric.gradient(&mut gradient);
            // ‖L⁻ᵀs‖_B = ‖s‖, gᵀ(L⁻ᵀs) = (L⁻¹g)ᵀs, and the same curvature.
            assert!((quadratic(&b, &step) - dot(&s, &s)).abs() < 1e-13);
            assert!((dot(&g, &step) - dot(&gradient, &s)).abs() < 1e-14);
            let mut scaled = h.clone();
            metric.hessian(scaled.as_mut());
            assert!((quadratic(&scaled, &s) - quadratic(&h, &step)).abs() < 1e-13);
        }
    }

    #[test]
    fn metrics_must_be_positive_definite() {
        for b in [
            mat![[1.0, 2.0], [2.0, 1.0]],
            mat![[1.0, 0.0], [0.0, 0.0]],
            mat![[1.0, 0.0], [0.0, f64::NAN]],
            mat![[1.0, 0.5], [0.2, 1.0]],
            Mat::zeros(0, 0),
        ] {
            assert!(Metric::new(&b).is_err(), "{b:?}");
        }
        assert!(Metric::new(&Mat::<f64>::zeros(2, 3)).is_err());
        assert_eq!(
            Metric::new(&mat![[4.0]]).unwrap(),
            Metric::Diagonal(vec![2.0])
        );
    }
}
