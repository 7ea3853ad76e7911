//! Householder reduction H = Q T Qᵀ to tridiagonal form.

use super::{Breakdown, PAR, Scratch, SymTridiagonal, axpy, binary_exponent, check_length};
use super::{dot, view};
use crate::edge::SymView;
use crate::models::design::GramScratch;
use faer::MatMut;
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};

/// H = Q T Qᵀ with T tridiagonal and Q orthogonal, a product of n − 1 reflectors.
///
/// One reduction of about 4/3 n³ multiplications serves every shift: afterwards
/// each problem with H + λI is one in T, at O(n) per λ, between one
/// [`to_basis`](Self::to_basis) and one [`from_basis`](Self::from_basis) of 2n²
/// multiplications each. Q is never formed; one n x n matrix is stored.
/// The matrix is scaled by a power of two first, so entries of any size are fine.
/// Bits do not depend on the number of threads.
///
/// Reference: G. H. Golub, C. F. Van Loan, Matrix Computations, section 8.3.1.
#[derive(Debug, Default)]
pub struct Tridiagonal {
    n: usize,
    /// Lower triangle, column-major: below the subdiagonal the reflectors, whose first entry is 1.
    reflectors: Vec<f64>,
    /// τ of each reflector I − vvᵀ/τ.
    tau: Vec<f64>,
    t: SymTridiagonal,
    scratch: Scratch,
    gram: GramScratch,
    factored: bool,
}

impl Tridiagonal {
    /// Without storage; the first matrix sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allocates what a matrix of `n` rows needs, n² doubles; a reduction of another size is dropped.
    pub fn reserve(&mut self, n: usize) {
        if n != self.n && n > 0 {
            self.factored = false;
            self.resize(n);
        }
    }

    /// Reduces H. Takes views of every kind; a sparse one is spread out.
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty, not square or not finite.
    pub fn factor(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.factored = false;
        let n = view::dimension(&view)?;
        if let SymView::Gram(gram) = view {
            gram.check_weights()?;
            let mut scratch = std::mem::take(&mut self.gram);
            let done = self.factor_with(n, &mut |out| gram.form(out, &mut scratch));
            self.gram = scratch;
            return done;
        }
        self.resize(n);
        view::copy_lower(view, n, &mut self.reflectors)?;
        self.reduce()
    }

    /// Reduces a matrix whose lower triangle the caller writes in place.
    ///
    /// `fill` gets the n x n storage with unspecified contents and must set every
    /// entry on and below the diagonal; what it writes above is not looked at.
    ///
    /// # Errors
    /// [`Breakdown::Empty`] for `n = 0`, [`Breakdown::NonFinite`].
    pub fn factor_with(
        &mut self,
        n: usize,
        fill: &mut dyn FnMut(MatMut<'_, f64>),
    ) -> Result<(), Breakdown> {
        self.factored = false;
        if n == 0 {
            return Err(Breakdown::Empty);
        }
        self.resize(n);
        fill(MatMut::from_column_major_slice_mut(
            &mut self.reflectors,
            n,
            n,
        ));
        self.reduce()
    }

    /// Whether there is a reduction.
    pub fn is_factored(&self) -> bool {
        self.factored
    }

    /// T, by which problems with H + λI are solved; without rows if there is no reduction.
    pub fn matrix(&self) -> &SymTridiagonal {
        &self.t
    }

    /// T, to be factored.
    pub fn matrix_mut(&mut self) -> &mut SymTridiagonal {
        &mut self.t
    }

    /// The diagonal of T.
    pub fn diagonal(&self) -> &[f64] {
        self.t.diagonal()
    }

    /// The entries of T next to its diagonal.
    pub fn off_diagonal(&self) -> &[f64] {
        self.t.off_diagonal()
    }

    /// `out` = Qᵀv, 2n² multiplications.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    pub fn to_basis(&self, v: &[f64], out: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(v.len(), out.len())?;
        out.copy_from_slice(v);
        for k in 0..self.n - 1 {
            self.reflect(k, out);
        }
        Ok(())
    }

    /// `out` = Qv, 2n² multiplications.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    pub fn from_basis(&self, v: &[f64], out: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(v.len(), out.len())?;
        out.copy_from_slice(v);
        for k in (0..self.n - 1).rev() {
            self.reflect(k, out);
        }
        Ok(())
    }

    /// v ← (I − wwᵀ/τ)v with w = (0, …, 0, 1, stored entries).
    fn reflect(&self, k: usize, v: &mut [f64]) {
        let column = &self.reflectors[k * self.n..(k + 1) * self.n];
        let (stored, (_, tail)) = (&column[k + 2..], v.split_at_mut(k + 1));
        let Some((head, tail)) = tail.split_first_mut() else {
            return;
        };
        let c = (*head + dot(stored, tail)) / self.tau[k];
        *head -= c;
        axpy(-c, stored, tail);
    }

    fn reduce(&mut self) -> Result<(), Breakdown> {
        let n = self.n;
        let mut largest = 0.0f64;
        for (j, column) in self.reflectors.chunks_exact(n).enumerate() {
            for (i, a) in column.iter().enumerate().skip(j) {
                if !a.is_finite() {
                    return Err(Breakdown::NonFinite { row: i, col: j });
                }
                largest = largest.max(a.abs());
            }
        }
        let exponent = binary_exponent(largest);
        let (down, up) = (2f64.powi(-exponent), 2f64.powi(exponent));
        for (j, column) in self.reflectors.chunks_exact_mut(n).enumerate() {
            for a in &mut column[j..] {
                *a *= down;
            }
        }
        tridiag_in_place(
            MatMut::from_column_major_slice_mut(&mut self.reflectors, n, n),
            MatMut::from_column_major_slice_mut(&mut self.tau, 1, n - 1),
            PAR,
            self.scratch.stack(),
            Default::default(),
        );
        self.t.clear();
        let mut off = 0.0;
        for (k, column) in self.reflectors.chunks_exact(n).enumerate() {
            self.t.push(off, up * column[k]);
            off = up * column.get(k + 1).copied().unwrap_or(0.0);
        }
        self.t.check()?;
        self.factored = true;
        Ok(())
    }

    fn resize(&mut self, n: usize) {
        self.t.clear();
        if n != self.n {
            self.n = n;
            self.reflectors.clear();
            self.reflectors.resize(n * n, 0.0);
            self.tau.clear();
            self.tau.resize(n - 1, 0.0);
            self.t = SymTridiagonal::with_capacity(n);
            self.scratch =
                Scratch::new(tridiag_in_place_scratch::<f64>(n, PAR, Default::default()));
        }
    }

    fn ready(&self, v: usize, out: usize) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.n, v)?;
        check_length(self.n, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use crate::linear::SymmetricEigen;
    use crate::linear::shifted::Shifted;
    use crate::parallel::norm;
    use faer::{Mat, mat};

    /// Symmetric, with entries that vary in size and sign.
    fn matrix(n: usize) -> Mat<f64> {
        Mat::from_fn(n, n, |i, j| {
            let (i, j) = (i.max(j) as f64, i.min(j) as f64);
            (1.0 + 3.0 * i * i - 7.0 * j + i * j).sin() / (1.0 + 0.1 * (i - j))
        })
    }

    fn reduced(h: &Mat<f64>) -> Tridiagonal {
        let mut t = Tridiagonal::new();
        t.factor(SymView::Dense(h.as_ref(), Stored::Both)).unwrap();
        t
    }

    fn unit(n: usize, k: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(i == k)).collect()
    }

    /// ‖Q T Qᵀe_k − H e_k‖ and ‖QQᵀe_k − e_k‖ for all k, and lengths of Qᵀe_k.
    fn check(h: &Mat<f64>, scale: f64) {
        let n = h.nrows();
        let mut t = reduced(h);
        let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
        for k in 0..n {
            t.to_basis(&unit(n, k), &mut a).unwrap();
            assert!((norm(&a) - 1.0).abs() < 1e-14);
            t.from_basis(&a, &mut b).unwrap();
            b[k] -= 1.0;
            assert!(norm(&b) < 1e-13, "n = {n}");
            t.matrix().mul(&a, &mut b);
            t.from_basis(&b, &mut a).unwrap();
            for (i, a) in a.iter_mut().enumerate() {
                *a -= h[(i, k)];
            }
            assert!(norm(&a) <= 1e-13 * scale, "n = {n}: {:e}", norm(&a));
        }
        let mut eigen = SymmetricEigen::new();
        eigen
            .factor(SymView::Dense(h.as_ref(), Stored::Both))
            .unwrap();
        let least = t.matrix_mut().leftmost(&mut a).unwrap();
        assert!((least - eigen.values()[0]).abs() <= 1e-14 * n as f64 * scale);
        t.matrix().mul(&a, &mut b);
        for (b, a) in b.iter_mut().zip(&a) {
            *b -= least * a;
        }
        assert!(norm(&b) <= 1e-14 * n as f64 * scale && (norm(&a) - 1.0).abs() < 1e-14);
        let (low, high) = t.matrix().bounds();
        let slack = 1e-12 * scale;
        assert!(low <= eigen.values()[0] + slack && high >= eigen.values()[n - 1] - slack);
    }

    #[test]
    fn the_product_of_the_factors_is_the_matrix() {
        for n in [1, 2, 3, 4, 5, 17, 64, 65, 130] {
            check(&matrix(n), n as f64);
        }
    }

    #[test]
    fn structured_matrices() {
        for n in [1, 2, 3, 8, 40] {
            check(&Mat::zeros(n, n), 0.0);
            check(&Mat::identity(n, n), 1.0);
            // Rank one, a permutation, two equal blocks, an arrow.
            check(&Mat::from_fn(n, n, |_, _| 1.0), n as f64);
            check(&Mat::from_fn(n, n, |i, j| f64::from(i + j + 1 == n)), 1.0);
            let blocks = |i: usize, j: usize| f64::from(i / 4 == j / 4) * ((i % 4 + j % 4) as f64);
            check(&Mat::from_fn(n, n, blocks), 24.0);
            let arrow = |i: usize, j: usize| f64::from(i == j || i == 0 || j == 0);
            check(&Mat::from_fn(n, n, arrow), 1.0 + n as f64);
        }
    }

    #[test]
    fn scales_storage_and_errors() {
        let h = matrix(12);
        let plain = reduced(&h);
        for exponent in [-990, 990] {
            let factor = 2f64.powi(exponent);
            let scaled = reduced(&Mat::from_fn(12, 12, |i, j| factor * h[(i, j)]));
            for (a, b) in plain.diagonal().iter().zip(scaled.diagonal()) {
                assert_eq!(a * factor, *b);
            }
            for (a, b) in plain.off_diagonal().iter().zip(scaled.off_diagonal()) {
                assert_eq!(a * factor, *b);
            }
        }
        let mut t = Tridiagonal::new();
        assert_eq!(t.to_basis(&[1.0], &mut [0.0]), Err(Breakdown::NotFactored));
        let bad = mat![[1.0, 0.0], [f64::NAN, 1.0]];
        let end = t.factor(SymView::Dense(bad.as_ref(), Stored::Both));
        assert_eq!(end, Err(Breakdown::NonFinite { row: 1, col: 0 }));
        assert!(!t.is_factored());
        assert_eq!(t.factor_with(0, &mut |_| {}), Err(Breakdown::Empty));
        t.factor_with(2, &mut |mut m| {
            (m[(0, 0)], m[(1, 0)], m[(1, 1)]) = (1.0, 2.0, 3.0);
            m[(0, 1)] = f64::NAN;
        })
        .unwrap();
        assert!(t.is_factored());
        let wrong = Err(Breakdown::Length {
            expected: 2,
            found: 3,
        });
        assert_eq!(t.to_basis(&[0.0; 3], &mut [0.0; 2]), wrong);
        assert_eq!(t.from_basis(&[0.0; 2], &mut [0.0; 3]), wrong);
    }
}
