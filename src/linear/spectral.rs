//! Eigendecomposition H = QΛQᵀ of a dense symmetric matrix.

use super::{Breakdown, PAR, Scratch, axpy, binary_exponent, check_length, dot, view};
use crate::edge::SymView;
use faer::diag::DiagMut;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, MatRef};

/// H = QΛQᵀ with eigenvalues in ascending order.
///
/// The matrix is scaled by a power of two first, so entries of any size are
/// fine. Factoring costs about 9n³ operations, [`apply`](Self::apply) 4n².
/// Views of every kind are taken; a sparse one is spread out.
#[derive(Debug, Default)]
pub struct SymmetricEigen {
    n: usize,
    /// Lower triangle, column-major.
    matrix: Vec<f64>,
    vectors: Vec<f64>,
    values: Vec<f64>,
    work: Vec<f64>,
    scratch: Scratch,
    factored: bool,
}

impl SymmetricEigen {
    /// Without storage; the first matrix sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Computes eigenvalues and eigenvectors.
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty, not square or not finite
    /// (looked at before the iteration starts), and [`Breakdown::NoConvergence`].
    pub fn factor(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.factored = false;
        let n = view::dimension(&view)?;
        self.resize(n);
        view::copy_lower(view, n, &mut self.matrix)?;
        // The strict upper triangle stays zero.
        let largest = self.matrix.iter().fold(0.0f64, |m, a| m.max(a.abs()));
        let exponent = binary_exponent(largest);
        let (down, up) = (2f64.powi(-exponent), 2f64.powi(exponent));
        for a in &mut self.matrix {
            *a *= down;
        }
        self_adjoint_evd(
            MatRef::from_column_major_slice(&self.matrix, n, n),
            DiagMut::from_slice_mut(&mut self.values),
            Some(MatMut::from_column_major_slice_mut(&mut self.vectors, n, n)),
            PAR,
            self.scratch.stack(),
            Default::default(),
        )
        .map_err(|_| Breakdown::NoConvergence)?;
        for value in &mut self.values {
            *value *= up;
        }
        self.factored = true;
        Ok(())
    }

    /// The eigenvalues in ascending order; empty if there is no factor.
    pub fn values(&self) -> &[f64] {
        if self.factored { &self.values } else { &[] }
    }

    /// The orthonormal eigenvectors as columns, n x n; 0 x 0 if there is no factor.
    pub fn vectors(&self) -> MatRef<'_, f64> {
        let n = if self.factored { self.n } else { 0 };
        MatRef::from_column_major_slice(&self.vectors[..n * n], n, n)
    }

    /// The eigenvectors one by one.
    pub fn columns(&self) -> impl Iterator<Item = &[f64]> {
        let n = if self.factored { self.n } else { 0 };
        self.vectors[..n * n].chunks_exact(n.max(1))
    }

    /// `out` = Q f(Λ) Qᵀ v.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    pub fn apply(
        &mut self,
        f: impl Fn(f64) -> f64,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.n, v.len())?;
        check_length(self.n, out.len())?;
        let columns = self.vectors.chunks_exact(self.n);
        for ((w, q), &value) in self.work.iter_mut().zip(columns.clone()).zip(&self.values) {
            *w = f(value) * dot(q, v);
        }
        out.fill(0.0);
        for (&w, q) in self.work.iter().zip(columns) {
            axpy(w, q, out);
        }
        Ok(())
    }

    fn resize(&mut self, n: usize) {
        if n != self.n {
            self.n = n;
            for square in [&mut self.matrix, &mut self.vectors] {
                square.clear();
                square.resize(n * n, 0.0);
            }
            self.values.resize(n, 0.0);
            self.work.resize(n, 0.0);
            self.scratch = Scratch::new(self_adjoint_evd_scratch::<f64>(
                n,
                ComputeEigenvectors::Yes,
                PAR,
                Default::default(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use faer::{Mat, mat};

    fn eigen(m: &Mat<f64>) -> Result<SymmetricEigen, Breakdown> {
        let mut e = SymmetricEigen::new();
        e.factor(SymView::Dense(m.as_ref(), Stored::Both))?;
        Ok(e)
    }

    fn close(found: &[f64], exact: &[f64], tolerance: f64) {
        assert_eq!(found.len(), exact.len());
        for (a, b) in found.iter().zip(exact) {
            assert!((a - b).abs() <= tolerance, "{found:?} {exact:?}");
        }
    }

    #[test]
    fn zero_and_structured_matrices_return() {
        for n in [3, 6] {
            close(
                eigen(&Mat::zeros(n, n)).unwrap().values(),
                &vec![0.0; n],
                0.0,
            );
        }
        let mut m = Mat::zeros(3, 3);
        m[(0, 0)] = 0.01;
        close(eigen(&m).unwrap().values(), &[0.0, 0.0, 0.01], 1e-17);
        let mut m = Mat::zeros(4, 4);
        let off = [1.0 / 3f64.sqrt(), 2.0 / 15f64.sqrt(), 3.0 / 35f64.sqrt()];
        for (i, b) in off.into_iter().enumerate() {
            m[(i, i + 1)] = b;
            m[(i + 1, i)] = b;
        }
        let (outer, inner) = (0.8611363115940526, 0.3399810435848563);
        close(
            eigen(&m).unwrap().values(),
            &[-outer, -inner, inner, outer],
            1e-15,
        );
        // Rows 0..20 are alike and rows 20..33 are alike: eigenvalues 20, 13 and zeros.
        let m = Mat::from_fn(33, 33, |i, j| f64::from((i < 20) == (j < 20)));
        let e = eigen(&m).unwrap();
        let mut exact = vec![0.0; 33];
        (exact[31], exact[32]) = (13.0, 20.0);
        close(e.values(), &exact, 1e-13);
    }

    #[test]
    fn broken_input_is_refused() {
        let inf = f64::INFINITY;
        let m = mat![[inf, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]];
        let at = |row, col| Some(Breakdown::NonFinite { row, col });
        assert_eq!(eigen(&m).err(), at(0, 0));
        let m = mat![[0.0, f64::NAN], [f64::NAN, inf]];
        assert_eq!(eigen(&m).err(), at(1, 0));
        assert_eq!(eigen(&Mat::zeros(0, 0)).err(), Some(Breakdown::Empty));
        let mut e = SymmetricEigen::new();
        assert!(e.values().is_empty() && e.vectors().nrows() == 0);
        assert_eq!(
            e.apply(|x| x, &[1.0], &mut [0.0]),
            Err(Breakdown::NotFactored)
        );
    }

    #[test]
    fn functions_of_a_matrix() {
        let m = mat![[0.0, 2.0], [2.0, 3.0]]; // eigenvalues -1 and 4
        let mut e = eigen(&m).unwrap();
        close(e.values(), &[-1.0, 4.0], 1e-15);
        let mut out = [0.0; 2];
        // |H| = H + 2 q qᵀ with q = (2, -1)/√5
        e.apply(f64::abs, &[1.0, 1.0], &mut out).unwrap();
        close(&out, &[2.0 + 0.8, 5.0 - 0.4], 1e-14);
        e.apply(|x| 1.0 / x, &[2.0, 5.0], &mut out).unwrap();
        close(&out, &[1.0, 1.0], 1e-14);
    }

    #[test]
    fn one_by_one_and_extreme_scales() {
        let mut e = eigen(&mat![[-7.0]]).unwrap();
        assert_eq!(e.values(), &[-7.0]);
        let mut out = [0.0];
        e.apply(f64::abs, &[2.0], &mut out).unwrap();
        assert_eq!(out, [14.0]);
        for scale in [1e-300, 1e300] {
            let e = eigen(&mat![[0.0, 2.0 * scale], [2.0 * scale, 3.0 * scale]]).unwrap();
            close(
                &[e.values()[0] / scale, e.values()[1] / scale],
                &[-1.0, 4.0],
                1e-14,
            );
        }
    }
}
