//! Factorization PAPᵀ = LBLᵀ of a dense indefinite matrix with rook pivoting.
//!
//! B has blocks of order 1 and 2. By Sylvester's law B has the inertia of A.
//! Rook pivoting bounds the entries of L, so a negligible block means that A
//! is close to a singular matrix.

use super::{Breakdown, Inertia, PAR, Scratch, binary_exponent, check_length, view};
use crate::edge::SymView;
use dyn_stack::StackReq;
use faer::diag::{DiagMut, DiagRef};
use faer::linalg::cholesky::lblt::{
    factor::{LbltParams, PivotingStrategy, cholesky_in_place, cholesky_in_place_scratch},
    solve::{solve_in_place_scratch, solve_in_place_with_conj},
};
use faer::perm::PermRef;
use faer::{Auto, ColMut, Conj, MatMut, MatRef, Spec};

/// PAPᵀ = LBLᵀ for a symmetric matrix A = H + τI that may be indefinite.
///
/// The matrix is scaled by a power of two to entries of at most 1, and entries
/// below 2⁻²⁵⁶ of the largest are dropped, so that nothing over- or underflows.
/// An eigenvalue of B counts as zero if it is at most 8nε times the largest;
/// [`solve_in_place`](Self::solve_in_place) then refuses. Factoring costs n³/3 multiplications, a
/// solve n². Views of every kind are taken; a sparse one is spread out.
#[derive(Debug, Default)]
pub struct BunchKaufman {
    n: usize,
    /// L strictly below the diagonal, the diagonal of B on it; column-major.
    factor: Vec<f64>,
    diagonal: Vec<f64>,
    subdiagonal: Vec<f64>,
    forward: Vec<usize>,
    inverse: Vec<usize>,
    scratch: Scratch,
    /// 2⁻ᵉ of the scaling.
    scale: f64,
    inertia: Inertia,
    /// Row of the given matrix where B is singular.
    singular: Option<usize>,
    factored: bool,
}

impl BunchKaufman {
    /// Without storage; the first matrix sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Factors H + `shift`·I.
    ///
    /// A singular matrix is factored too: its inertia is known, but it cannot be solved with.
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty, not square or not finite.
    pub fn factor(&mut self, view: SymView<'_>, shift: f64) -> Result<(), Breakdown> {
        let n = view::dimension(&view)?;
        self.factor_with(n, &mut |out| {
            view::copy_lower(view, n, out)?;
            view::shift_diagonal(out, n, shift)
        })
    }

    /// Factors the matrix of order `n` whose finite entries on and below the diagonal `fill`
    /// writes to column-major storage of unspecified contents.
    pub(crate) fn factor_with(
        &mut self,
        n: usize,
        fill: &mut dyn FnMut(&mut [f64]) -> Result<(), Breakdown>,
    ) -> Result<(), Breakdown> {
        self.factored = false;
        self.inertia = Inertia::default();
        if n == 0 {
            return Err(Breakdown::Empty);
        }
        self.resize(n);
        fill(&mut self.factor)?;
        self.scale_entries();
        // Pivots whose column is zero leave their subdiagonal untouched.
        self.subdiagonal.fill(0.0);
        cholesky_in_place(
            MatMut::from_column_major_slice_mut(&mut self.factor, n, n),
            DiagMut::from_slice_mut(&mut self.subdiagonal),
            &mut self.forward,
            &mut self.inverse,
            PAR,
            self.scratch.stack(),
            params(),
        );
        for (d, b) in self
            .diagonal
            .iter_mut()
            .zip(self.factor.iter().step_by(n + 1))
        {
            *d = *b;
        }
        self.inspect_blocks();
        self.factored = true;
        Ok(())
    }

    /// Overwrites `rhs` by (H + τI)⁻¹ `rhs`.
    ///
    /// # Errors
    /// [`Breakdown::Singular`] if the inertia counts a zero,
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    pub fn solve_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.n, rhs.len())?;
        if let Some(pivot) = self.singular {
            return Err(Breakdown::Singular { pivot });
        }
        solve_in_place_with_conj(
            MatRef::from_column_major_slice(&self.factor, self.n, self.n),
            DiagRef::from_slice(&self.diagonal),
            DiagRef::from_slice(&self.subdiagonal),
            Conj::No,
            PermRef::new_checked(&self.forward, &self.inverse, self.n),
            ColMut::from_slice_mut(rhs).as_mat_mut(),
            PAR,
            self.scratch.stack(),
        );
        for x in rhs {
            *x *= self.scale;
        }
        Ok(())
    }

    /// Inertia of the matrix factored last; all zero if there is none.
    pub fn inertia(&self) -> Inertia {
        self.inertia
    }

    fn resize(&mut self, n: usize) {
        if n != self.n {
            self.n = n;
            self.factor.clear();
            self.factor.resize(n * n, 0.0);
            self.diagonal.resize(n, 0.0);
            self.subdiagonal.resize(n, 0.0);
            self.forward.resize(n, 0);
            self.inverse.resize(n, 0);
            self.scratch = Scratch::new(StackReq::any_of(&[
                cholesky_in_place_scratch::<usize, f64>(n, PAR, params()),
                solve_in_place_scratch::<usize, f64>(n, 1, PAR),
            ]));
        }
    }

    fn scale_entries(&mut self) {
        let n = self.n;
        let columns = self.factor.chunks_exact(n).enumerate();
        let largest = columns
            .flat_map(|(j, column)| &column[j..])
            .fold(0.0f64, |m, a| m.max(a.abs()));
        self.scale = 2f64.powi(-binary_exponent(largest));
        let negligible = 2f64.powi(-256);
        for (j, column) in self.factor.chunks_exact_mut(n).enumerate() {
            for a in &mut column[j..] {
                *a *= self.scale;
                if a.abs() < negligible {
                    *a = 0.0;
                }
            }
        }
    }

    fn inspect_blocks(&mut self) {
        let eigenvalues = |i: usize| {
            let (a, b) = (self.diagonal[i], self.subdiagonal[i]);
            if b == 0.0 {
                return (a, None);
            }
            // The eigenvalue of larger magnitude has no cancellation; the other is det / larger.
            let c = self.diagonal[i + 1];
            let mean = 0.5 * (a + c);
            let larger = mean + (0.5 * (a - c)).hypot(b).copysign(mean);
            (larger, Some((a * c - b * b) / larger))
        };
        let mut largest = 0.0f64;
        let mut i = 0;
        while i < self.n {
            let (first, second) = eigenvalues(i);
            largest = largest.max(first.abs());
            i += 1 + usize::from(second.is_some());
        }
        let negligible = 8.0 * self.n as f64 * f64::EPSILON * largest;
        let (mut inertia, mut singular) = (Inertia::default(), None);
        let mut i = 0;
        while i < self.n {
            let (first, second) = eigenvalues(i);
            let zeros = inertia.zero;
            inertia.count(first, negligible);
            if let Some(second) = second {
                inertia.count(second, negligible);
            }
            if inertia.zero > zeros && singular.is_none() {
                singular = Some(self.forward[i]);
            }
            i += 1 + usize::from(second.is_some());
        }
        self.inertia = inertia;
        self.singular = singular;
    }
}

/// Rook pivoting, unblocked.
///
/// The blocked kernel of faer 0.24.4, used beyond n = `block_size`, leaves a
/// stale column in L where a column cancels to exactly zero, and so solves a
/// wrong system without notice. The unblocked kernel updates in place and is
/// right; it costs memory traffic for large n.
fn params() -> Spec<LbltParams, f64> {
    LbltParams {
        pivoting: PivotingStrategy::Rook,
        block_size: 0,
        ..<LbltParams as Auto<f64>>::auto()
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use faer::sparse::{SparseColMat, Triplet};
    use faer::{Mat, mat};

    fn both(m: &Mat<f64>) -> SymView<'_> {
        SymView::Dense(m.as_ref(), Stored::Both)
    }

    fn inertia(positive: usize, negative: usize, zero: usize) -> Inertia {
        Inertia {
            positive,
            negative,
            zero,
        }
    }

    #[test]
    fn explicit_zeros_do_not_matter() {
        let base = [
            (0, 0, 4.0),
            (1, 0, 1.0),
            (0, 1, 1.0),
            (2, 0, 1.0),
            (0, 2, 1.0),
            (1, 1, 3.0),
        ];
        let zeros = [(2, 1, 0.0), (1, 2, 0.0), (2, 2, -0.0)];
        let mut f = BunchKaufman::new();
        for extra in [&[][..], &zeros[..]] {
            let triplets: Vec<_> = base
                .iter()
                .chain(extra)
                .map(|&(i, j, a)| Triplet::new(i, j, a))
                .collect();
            let m = SparseColMat::try_new_from_triplets(3, 3, &triplets).unwrap();
            f.factor(SymView::Sparse(m.as_ref(), Stored::Both), 0.0)
                .unwrap();
            let mut x = [1.0, 2.0, 3.0];
            f.solve_in_place(&mut x).unwrap();
            for (x, exact) in x.iter().zip([3.0, -1.0 / 3.0, -32.0 / 3.0]) {
                assert!((x - exact).abs() <= 1e-12, "{x} {exact}");
            }
            assert_eq!(f.inertia(), inertia(2, 1, 0));
        }
    }

    #[test]
    fn singular_matrices_are_refused() {
        let mut f = BunchKaufman::new();
        for (m, expected) in [
            (mat![[1.0, 1.0], [1.0, 1.0]], inertia(1, 0, 1)),
            (mat![[0.0, 0.0], [0.0, 0.0]], inertia(0, 0, 2)),
            (mat![[0.0, 0.0], [0.0, -3.0]], inertia(0, 1, 1)),
        ] {
            f.factor(both(&m), 0.0).unwrap();
            assert_eq!(f.inertia(), expected);
            let end = f.solve_in_place(&mut [1.0, 2.0]);
            assert!(matches!(end, Err(Breakdown::Singular { .. })), "{end:?}");
        }
        let ones = Mat::from_fn(150, 150, |_, _| 1.0);
        f.factor(both(&ones), 0.0).unwrap();
        assert_eq!(f.inertia(), inertia(1, 0, 149));
    }

    #[test]
    fn one_by_one_empty_and_broken() {
        let mut f = BunchKaufman::new();
        f.factor(both(&mat![[-2.0]]), 0.0).unwrap();
        let mut x = [3.0];
        f.solve_in_place(&mut x).unwrap();
        assert_eq!((x, f.inertia()), ([-1.5], inertia(0, 1, 0)));
        assert_eq!(
            f.factor(both(&Mat::zeros(0, 0)), 0.0),
            Err(Breakdown::Empty)
        );
        assert_eq!(
            f.factor(both(&mat![[0.0, 0.0], [0.0, f64::NAN]]), 0.0),
            Err(Breakdown::NonFinite { row: 1, col: 1 })
        );
        assert_eq!(f.solve_in_place(&mut [1.0]), Err(Breakdown::NotFactored));
    }

    #[test]
    fn exact_cancellation_in_a_large_matrix() {
        // Eliminating the first row leaves the identity: all other columns of L are zero.
        for n in [5, 64, 65, 150] {
            let m = Mat::from_fn(n, n, |i, j| 1.0 + f64::from(i == j && i > 0));
            let mut f = BunchKaufman::new();
            f.factor(both(&m), 0.0).unwrap();
            let exact: Vec<f64> = (0..n).map(|i| (i % 7) as f64 - 3.0).collect();
            let mut x = vec![0.0; n];
            super::super::sym_mul(both(&m), &exact, &mut x).unwrap();
            f.solve_in_place(&mut x).unwrap();
            for (x, e) in x.iter().zip(&exact) {
                assert!((x - e).abs() <= 1e-11, "n = {n}: {x} {e}");
            }
        }
    }

    #[test]
    fn extreme_scales_solve() {
        for scale in [1e-300, 1e300] {
            let m = mat![[0.0, scale], [scale, 0.0]];
            let mut f = BunchKaufman::new();
            f.factor(both(&m), 0.0).unwrap();
            assert_eq!(f.inertia(), inertia(1, 1, 0));
            let mut x = [scale, 2.0 * scale];
            f.solve_in_place(&mut x).unwrap();
            assert!((x[0] - 2.0).abs() + (x[1] - 1.0).abs() <= 1e-15, "{x:?}");
        }
    }
}
