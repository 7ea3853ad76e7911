//! Sparse factorizations H + D = LLᵀ or LDLᵀ after a minimum-degree ordering.
//!
//! As long as the pattern of the given matrix stays the same, a factorization
//! gathers values and runs the numeric phase alone.

use super::pattern::Pattern;
use super::view::dimension;
use super::{Breakdown, Factor, Inertia, PAR, Scratch, check_length, dot};
use crate::edge::{Stored, SymView};
use faer::linalg::cholesky::{ldlt::factor::LdltError, llt::factor::LltError};
use faer::sparse::SparseColMatRef;
use faer::sparse::linalg::cholesky::{
    LdltRef, LltRef, SymbolicCholesky, SymbolicCholeskyRaw, SymmetricOrdering,
    factorize_symbolic_cholesky, supernodal::SupernodalLdltRef,
};
use faer::{ColMut, Conj};

/// H + τI = LLᵀ or LDLᵀ, sparse, with the symbolic analysis kept.
///
/// [`new`](Self::new) factors positive definite matrices as LLᵀ.
/// [`ldlt`](Self::ldlt) factors LDLᵀ without pivoting, which exists for every
/// order of elimination if the matrix is quasi-definite, that is
/// [[P, Bᵀ], [B, −Q]] with P and Q positive definite; it also gives the inertia.
/// On other indefinite matrices a pivot may vanish or lose all its digits;
/// use [`BunchKaufman`](super::BunchKaufman) there.
///
/// Two matrices have the same pattern if their index arrays are equal and the
/// same triangle is meant; comparing costs O(nnz). Explicitly stored zeros are
/// part of the pattern and change nothing else.
#[derive(Debug, Default)]
pub struct SparseCholesky {
    is_ldlt: bool,
    pattern: Pattern,
    values: Vec<f64>,
    /// Values of the matrix of `keep`, which `refactor` shifts.
    kept: Vec<f64>,
    symbolic: Option<SymbolicCholesky<usize>>,
    factor: Vec<f64>,
    work: Vec<f64>,
    scratch: Scratch,
    inertia: Inertia,
    analyses: u64,
    factored: bool,
}

impl SparseCholesky {
    /// LLᵀ, without storage; the first matrix sets the pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// LDLᵀ without pivoting, without storage; the first matrix sets the pattern.
    pub fn ldlt() -> Self {
        Self {
            is_ldlt: true,
            ..Self::new()
        }
    }

    /// Factors H + diag(`shifts`), as the regularization of a quasi-definite system needs.
    ///
    /// # Errors
    /// As [`factor`](Factor::factor), and [`Breakdown::Length`].
    pub fn factor_with_diagonal(
        &mut self,
        view: SymView<'_>,
        shifts: &[f64],
    ) -> Result<(), Breakdown> {
        self.factored = false;
        check_length(dimension(&view)?, shifts.len())?;
        self.factor_shifted(view, |i| shifts[i])
    }

    /// Symbolic analyses so far.
    pub fn analyses(&self) -> u64 {
        self.analyses
    }

    /// Inertia of the matrix factored last; all zero if there is none.
    pub fn inertia(&self) -> Inertia {
        if self.factored {
            self.inertia
        } else {
            Inertia::default()
        }
    }

    /// Entries of L with its diagonal: the fill; zero before an analysis.
    pub fn entries(&self) -> u64 {
        let mut sum = 0;
        self.for_each_column(|count| sum += count as u64);
        sum
    }

    /// Sum of the squared numbers of entries of the columns of L, the flops of a factorization to
    /// leading order; zero before an analysis.
    pub fn flops(&self) -> f64 {
        let mut sum = 0.0;
        self.for_each_column(|count| sum += (count as f64).powi(2));
        sum
    }

    /// Visits the number of entries of each column of L.
    fn for_each_column(&self, mut visit: impl FnMut(usize)) {
        match self.symbolic.as_ref().map(SymbolicCholesky::raw) {
            None => {}
            Some(SymbolicCholeskyRaw::Simplicial(raw)) => {
                for range in raw.col_ptr().windows(2) {
                    visit(range[1] - range[0]);
                }
            }
            Some(SymbolicCholeskyRaw::Supernodal(raw)) => {
                for s in 0..raw.n_supernodes() {
                    let (begin, end) = (raw.supernode_begin()[s], raw.supernode_end()[s]);
                    let below = raw.supernode(s).pattern().len();
                    (begin..end).for_each(|j| visit(end - j + below));
                }
            }
        }
    }

    /// Analyzes the pattern of a matrix, if it is new, and factors nothing.
    ///
    /// # Errors
    /// As [`factor`](Factor::factor) for what the values do not decide.
    pub(crate) fn prepare(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.gather(view)
    }

    /// The most entries in a row of L, and in a row of L + Lᵀ; zeros before an analysis.
    pub(crate) fn row_counts(&self) -> (usize, usize) {
        let Some(symbolic) = &self.symbolic else {
            return (0, 0);
        };
        let mut rows = vec![0; symbolic.nrows()];
        let mut cols = vec![0; symbolic.nrows()];
        match symbolic.raw() {
            SymbolicCholeskyRaw::Simplicial(raw) => {
                for (j, range) in raw.col_ptr().windows(2).enumerate() {
                    cols[j] = range[1] - range[0];
                    for &i in &raw.row_idx()[range[0]..range[1]] {
                        rows[i] += 1;
                    }
                }
            }
            SymbolicCholeskyRaw::Supernodal(raw) => {
                for s in 0..raw.n_supernodes() {
                    let (begin, end) = (raw.supernode_begin()[s], raw.supernode_end()[s]);
                    let node = raw.supernode(s);
                    for j in begin..end {
                        cols[j] = end - j + node.pattern().len();
                        rows[j] += j - begin + 1;
                    }
                    for &i in node.pattern() {
                        rows[i] += end - begin;
                    }
                }
            }
        }
        let both = rows.iter().zip(&cols).map(|(r, c)| r + c).max();
        (rows.iter().copied().max().unwrap_or(0), both.unwrap_or(0))
    }

    fn factor_shifted(
        &mut self,
        view: SymView<'_>,
        shift: impl Fn(usize) -> f64,
    ) -> Result<(), Breakdown> {
        self.gather(view)?;
        self.factor_values(shift)
    }

    /// Copies the values of a matrix for [`refactor`](Self::refactor), and returns its dimension.
    pub(super) fn keep(&mut self, view: SymView<'_>) -> Result<usize, Breakdown> {
        self.kept.clear();
        self.gather(view)?;
        self.kept.extend_from_slice(&self.values);
        dimension(&view)
    }

    /// Factors the kept matrix plus `shift`·I.
    pub(super) fn refactor(&mut self, shift: f64) -> Result<(), Breakdown> {
        self.factored = false;
        if self.kept.len() != self.values.len() {
            return Err(Breakdown::NotFactored);
        }
        self.values.copy_from_slice(&self.kept);
        self.factor_values(|_| shift)
    }

    /// Divides each kept H_ij by d_i d_j.
    pub(super) fn scale_kept(&mut self, d: &[f64]) {
        // `values` holds the same entries until the next factorization.
        let (pattern, kept, own) = (&self.pattern, &mut self.kept, &self.values);
        kept.clear();
        pattern.for_each(own, |i, j, a| kept.push(a / (d[i] * d[j])));
    }

    /// Visits the entries (i, j, H_ij) of one triangle of the kept matrix.
    pub(super) fn for_each_kept(&self, visit: impl FnMut(usize, usize, f64)) {
        self.pattern.for_each(&self.kept, visit);
    }

    /// Copies the values of a matrix, after an analysis if its pattern is new.
    fn gather(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.factored = false;
        dimension(&view)?;
        let SymView::Sparse(matrix, stored) = view else {
            return Err(Breakdown::NotSparse);
        };
        if self.symbolic.is_none() || !self.pattern.is_of(matrix, stored) {
            self.analyze(matrix, stored)?;
        }
        self.pattern.gather(matrix.val(), &mut self.values)
    }

    /// Factors the gathered values with the diagonal of `shift` added.
    fn factor_values(&mut self, shift: impl Fn(usize) -> f64) -> Result<(), Breakdown> {
        self.factored = false;
        for (i, &at) in self.pattern.diagonal().iter().enumerate() {
            self.values[at] += shift(i);
            if !self.values[at].is_finite() {
                return Err(Breakdown::NonFinite { row: i, col: i });
            }
        }
        let Some(symbolic) = &self.symbolic else {
            return Err(Breakdown::NotFactored);
        };
        let own = SparseColMatRef::new(self.pattern.symbolic(), &self.values);
        let side = self.pattern.side();
        let stack = self.scratch.stack();
        if self.is_ldlt {
            symbolic
                .factorize_numeric_ldlt(
                    &mut self.factor,
                    own,
                    side,
                    Default::default(),
                    PAR,
                    stack,
                    Default::default(),
                )
                .map_err(|LdltError::ZeroPivot { index }| Breakdown::Singular {
                    pivot: pivot_row(symbolic, index),
                })?;
            self.inertia = inertia_of_pivots(symbolic, &self.factor)?;
        } else {
            symbolic
                .factorize_numeric_llt(
                    &mut self.factor,
                    own,
                    side,
                    Default::default(),
                    PAR,
                    stack,
                    Default::default(),
                )
                .map_err(
                    |LltError::NonPositivePivot { index }| Breakdown::NotPositiveDefinite {
                        pivot: pivot_row(symbolic, index),
                    },
                )?;
            self.inertia = Inertia {
                positive: symbolic.nrows(),
                ..Inertia::default()
            };
        }
        self.factored = true;
        Ok(())
    }

    fn analyze(
        &mut self,
        matrix: SparseColMatRef<'_, usize, f64>,
        stored: Stored,
    ) -> Result<(), Breakdown> {
        self.symbolic = None;
        self.pattern.set(matrix, stored);
        // Fails only if memory or the index range is exhausted.
        let symbolic = factorize_symbolic_cholesky(
            self.pattern.symbolic(),
            self.pattern.side(),
            SymmetricOrdering::Amd,
            Default::default(),
        )
        .map_err(|_| Breakdown::OutOfMemory)?;
        self.analyses += 1;
        self.values.resize(self.pattern.len(), 0.0);
        self.factor.resize(symbolic.len_val(), 0.0);
        self.work.resize(symbolic.nrows(), 0.0);
        let numeric = if self.is_ldlt {
            symbolic.factorize_numeric_ldlt_scratch::<f64>(PAR, Default::default())
        } else {
            symbolic.factorize_numeric_llt_scratch::<f64>(PAR, Default::default())
        };
        let solve = symbolic.solve_in_place_scratch::<f64>(1, PAR);
        self.scratch = Scratch::new(numeric.or(solve));
        self.symbolic = Some(symbolic);
        Ok(())
    }
}

impl Factor for SparseCholesky {
    fn factor(&mut self, view: SymView<'_>, shift: f64) -> Result<(), Breakdown> {
        self.factor_shifted(view, |_| shift)
    }

    fn solve_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        let Some(symbolic) = self.symbolic.as_ref().filter(|_| self.factored) else {
            return Err(Breakdown::NotFactored);
        };
        check_length(symbolic.nrows(), rhs.len())?;
        let rhs = ColMut::from_slice_mut(rhs).as_mat_mut();
        let stack = self.scratch.stack();
        if self.is_ldlt {
            let factor = LdltRef::new(symbolic, &self.factor);
            factor.solve_in_place_with_conj(Conj::No, rhs, PAR, stack);
        } else {
            let factor = LltRef::new(symbolic, &self.factor);
            factor.solve_in_place_with_conj(Conj::No, rhs, PAR, stack);
        }
        Ok(())
    }

    /// By one full solve; negative values are possible for LDLᵀ.
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.work.len(), v.len())?;
        let mut work = std::mem::take(&mut self.work);
        work.copy_from_slice(v);
        let solved = self.solve_in_place(&mut work);
        self.work = work;
        solved.map(|()| dot(v, &self.work))
    }
}

/// Row of the given matrix that is eliminated where faer reports `index`.
fn pivot_row(symbolic: &SymbolicCholesky<usize>, index: usize) -> usize {
    let step = match symbolic.raw() {
        // The simplicial kernel counts pivots from one.
        SymbolicCholeskyRaw::Simplicial(_) => index.saturating_sub(1),
        SymbolicCholeskyRaw::Supernodal(_) => index,
    };
    match symbolic.perm() {
        Some(perm) => perm.arrays().0[step],
        None => step,
    }
}

/// Signs of D, whose entries are all nonzero unless the factorization broke down.
fn inertia_of_pivots(
    symbolic: &SymbolicCholesky<usize>,
    factor: &[f64],
) -> Result<Inertia, Breakdown> {
    let mut inertia = Inertia::default();
    let mut step = 0;
    let mut broken = None;
    let mut count = |d: f64| {
        if d == 0.0 || !d.is_finite() {
            broken.get_or_insert(step);
        }
        inertia.count(d, 0.0);
        step += 1;
    };
    match symbolic.raw() {
        SymbolicCholeskyRaw::Simplicial(raw) => {
            for &start in &raw.col_ptr()[..raw.ncols()] {
                count(factor[start]);
            }
        }
        SymbolicCholeskyRaw::Supernodal(raw) => {
            let nodes = SupernodalLdltRef::new(raw, factor);
            for s in 0..raw.n_supernodes() {
                let block = nodes.supernode(s).val();
                for k in 0..block.ncols() {
                    count(block[(k, k)]);
                }
            }
        }
    }
    match broken {
        None => Ok(inertia),
        Some(step) => Err(Breakdown::Singular {
            pivot: symbolic.perm().map_or(step, |perm| perm.arrays().0[step]),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::sparse::{SparseColMat, Triplet};

    fn sparse(n: usize, entries: &[(usize, usize, f64)]) -> SparseColMat<usize, f64> {
        let triplets: Vec<_> = entries
            .iter()
            .map(|&(i, j, a)| Triplet::new(i, j, a))
            .collect();
        SparseColMat::try_new_from_triplets(n, n, &triplets).unwrap()
    }

    fn both(m: &SparseColMat<usize, f64>) -> SymView<'_> {
        SymView::Sparse(m.as_ref(), Stored::Both)
    }

    fn close(found: &[f64], exact: &[f64], tolerance: f64) {
        for (a, b) in found.iter().zip(exact) {
            assert!((a - b).abs() <= tolerance, "{found:?} {exact:?}");
        }
    }

    #[test]
    fn an_absent_diagonal_can_be_shifted() {
        // [[0, 1], [1, 0]] + 2 I = [[2, 1], [1, 2]]
        for m in [sparse(2, &[(1, 0, 1.0)]), sparse(2, &[(0, 1, 1.0)])] {
            let mut f = SparseCholesky::new();
            f.factor(both(&m), 2.0).unwrap();
            let mut x = [4.0, 5.0];
            f.solve_in_place(&mut x).unwrap();
            close(&x, &[1.0, 2.0], 1e-15);
            assert!((f.inverse_norm_squared(&[4.0, 5.0]).unwrap() - 14.0).abs() < 1e-13);
        }
    }

    #[test]
    fn the_pattern_is_analyzed_once() {
        let a = sparse(2, &[(0, 0, 2.0), (1, 0, 1.0), (1, 1, 2.0)]);
        let b = sparse(2, &[(0, 0, 5.0), (1, 0, 1.0), (1, 1, 9.0)]);
        let c = sparse(2, &[(0, 0, 2.0), (1, 1, 4.0)]);
        let mut f = SparseCholesky::new();
        for (m, analyses) in [(&a, 1), (&b, 1), (&a, 1), (&c, 2), (&a, 3)] {
            f.factor(both(m), 0.0).unwrap();
            assert_eq!(f.analyses(), analyses);
        }
        let mut x = [4.0, 5.0];
        f.solve_in_place(&mut x).unwrap();
        close(&x, &[1.0, 2.0], 1e-15);
        // The same arrays with another meaning are another pattern.
        f.factor(SymView::Sparse(a.as_ref(), Stored::Upper), 0.0)
            .unwrap();
        assert_eq!(f.analyses(), 4);
        let mut x = [4.0, 5.0];
        f.solve_in_place(&mut x).unwrap();
        close(&x, &[2.0, 2.5], 1e-15);
    }

    #[test]
    fn failures_name_the_row_of_the_given_matrix() {
        let n = 7;
        let mut entries: Vec<_> = (0..n).map(|i| (i, i, 4.0)).collect();
        entries.extend((1..n).map(|i| (i, 0, 0.1)));
        entries[3].2 = -1.0;
        let m = sparse(n, &entries);
        let mut f = SparseCholesky::new();
        assert_eq!(
            f.factor(both(&m), 0.0),
            Err(Breakdown::NotPositiveDefinite { pivot: 3 })
        );
        assert_eq!(f.solve_in_place(&mut [0.0; 7]), Err(Breakdown::NotFactored));
        let mut f = SparseCholesky::ldlt();
        f.factor(both(&m), 0.0).unwrap();
        assert_eq!((f.inertia().positive, f.inertia().negative), (6, 1));
        assert_eq!(
            f.factor(both(&m), 1.0),
            Err(Breakdown::Singular { pivot: 3 })
        );
        assert_eq!(f.inertia(), Inertia::default());
    }

    #[test]
    fn the_order_of_elimination_is_undone() {
        // A tree without symmetries, so that its ordering is no involution.
        let n = 23;
        for bad in 0..n {
            let mut entries: Vec<_> = (0..n).map(|i| (i, i, 4.0)).collect();
            entries.extend((1..n).map(|i| (i, (i * i + 3) % i, 0.1)));
            entries[bad].2 = -1.0;
            let m = sparse(n, &entries);
            let mut f = SparseCholesky::new();
            assert_eq!(
                f.factor(both(&m), 0.0),
                Err(Breakdown::NotPositiveDefinite { pivot: bad })
            );
        }
    }

    #[test]
    fn blocks_name_the_row_of_the_given_matrix_too() {
        let (n, bad) = (160, 70);
        let mut entries: Vec<_> = (0..n).map(|i| (i, i, n as f64)).collect();
        entries[bad].2 = -1.0;
        for j in 0..n {
            entries.extend((j + 1..n).map(|i| (i, j, 0.5)));
        }
        let m = sparse(n, &entries);
        let mut f = SparseCholesky::new();
        assert_eq!(
            f.factor(both(&m), 0.0),
            Err(Breakdown::NotPositiveDefinite { pivot: bad })
        );
        let raw = f.symbolic.as_ref().map(SymbolicCholesky::raw);
        assert!(matches!(raw, Some(SymbolicCholeskyRaw::Supernodal(_))));
        let mut f = SparseCholesky::ldlt();
        f.factor(both(&m), 0.0).unwrap();
        assert_eq!((f.inertia().positive, f.inertia().negative), (n - 1, 1));
    }

    #[test]
    fn bad_input_is_typed() {
        let mut f = SparseCholesky::new();
        let m = sparse(2, &[(0, 0, 1.0), (0, 1, f64::NAN), (1, 1, 1.0)]);
        assert_eq!(
            f.factor(both(&m), 0.0),
            Err(Breakdown::NonFinite { row: 0, col: 1 })
        );
        assert_eq!(f.factor(both(&sparse(0, &[])), 0.0), Err(Breakdown::Empty));
        let dense = faer::mat![[1.0]];
        assert_eq!(
            f.factor(SymView::Dense(dense.as_ref(), Stored::Both), 0.0),
            Err(Breakdown::NotSparse)
        );
        let one = sparse(1, &[(0, 0, 4.0)]);
        f.factor(both(&one), 0.0).unwrap();
        let mut x = [8.0];
        f.solve_in_place(&mut x).unwrap();
        assert_eq!(x, [2.0]);
        let wrong = Breakdown::Length {
            expected: 1,
            found: 2,
        };
        assert_eq!(f.solve_in_place(&mut [0.0; 2]), Err(wrong));
        assert_eq!(f.inverse_norm_squared(&[0.0; 2]), Err(wrong));
        assert_eq!(f.factor_with_diagonal(both(&one), &[0.0; 2]), Err(wrong));
    }

    #[test]
    fn a_regularized_kkt_system_has_its_inertia() {
        let base = [(0, 0, 4.0), (1, 0, 1.0), (2, 0, 1.0), (1, 1, 3.0)];
        let zeros = [(2, 1, 0.0), (2, 2, -0.0)];
        let mut f = SparseCholesky::ldlt();
        for extra in [&[][..], &zeros[..]] {
            let entries: Vec<_> = base.iter().chain(extra).copied().collect();
            let m = sparse(3, &entries);
            f.factor_with_diagonal(both(&m), &[0.0, 0.0, -1e-8])
                .unwrap();
            assert_eq!((f.inertia().positive, f.inertia().negative), (2, 1));
            // Refinement removes the regularization.
            let (mut x, mut r) = ([0.0; 3], [1.0, 2.0, 3.0]);
            for _ in 0..4 {
                f.solve_in_place(&mut r).unwrap();
                for (x, r) in x.iter_mut().zip(&r) {
                    *x += r;
                }
                super::super::sym_mul(both(&m), &x, &mut r).unwrap();
                for (r, b) in r.iter_mut().zip([1.0, 2.0, 3.0]) {
                    *r = b - *r;
                }
            }
            close(&x, &[3.0, -1.0 / 3.0, -32.0 / 3.0], 1e-12);
        }
    }
}
