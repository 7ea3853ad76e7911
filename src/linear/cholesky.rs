//! Cholesky factorization H + τI = LLᵀ of a dense matrix, and the choice between dense and sparse.

use super::gram::GramFactor;
use super::{Breakdown, Factor, PAR, Scratch, SparseCholesky, check_length, dot, view};
use crate::edge::SymView;
use crate::parallel::degree;
use dyn_stack::StackReq;
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{ColMut, MatMut, MatRef};
use llt::factor::LltError;

/// H + τI = LLᵀ, dense.
///
/// Takes views of every kind; a sparse one is spread out. Factoring costs n³/3
/// multiplications and a copy of one triangle, a solve n².
#[derive(Debug, Default)]
pub struct DenseCholesky {
    n: usize,
    /// Column-major; the strict upper triangle is not used.
    factor: Vec<f64>,
    work: Vec<f64>,
    scratch: Scratch,
    factored: bool,
}

impl DenseCholesky {
    /// Without storage; the first matrix sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Factors `matrix + shift·I` whose lower triangle the caller writes in place.
    ///
    /// `fill` gets the n x n storage with unspecified finite or non-finite
    /// contents and must set every entry on and below the diagonal; what it
    /// writes above is not looked at. This spares a copy where the matrix is
    /// computed anyway, as a Gram matrix is.
    ///
    /// # Errors
    /// [`Breakdown::Empty`] for `n = 0`, [`Breakdown::NonFinite`],
    /// [`Breakdown::NotPositiveDefinite`].
    pub fn factor_with(
        &mut self,
        n: usize,
        shift: f64,
        fill: &mut dyn FnMut(MatMut<'_, f64>),
    ) -> Result<(), Breakdown> {
        if n == 0 {
            self.factored = false;
            return Err(Breakdown::Empty);
        }
        self.resize(n);
        fill(MatMut::from_column_major_slice_mut(&mut self.factor, n, n));
        for (j, column) in self.factor.chunks_exact(n).enumerate() {
            if let Some(i) = column[j..].iter().position(|a| !a.is_finite()) {
                return Err(Breakdown::NonFinite { row: j + i, col: j });
            }
        }
        self.factor_in_place(shift)
    }

    /// `out` = L⁻¹v, so that ‖`out`‖² = vᵀ(H + τI)⁻¹v.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    pub fn half_solve(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(v.len())?;
        check_length(self.n, out.len())?;
        out.copy_from_slice(v);
        solve_lower_triangular_in_place(
            MatRef::from_column_major_slice(&self.factor, self.n, self.n),
            ColMut::from_slice_mut(out).as_mat_mut(),
            PAR,
        );
        Ok(())
    }

    /// Overwrites each column of the column-major `rhs` by (H + τI)⁻¹ times it.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`]; [`Breakdown::Length`] if `rhs` is not made of whole columns.
    pub fn solve_columns_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(self.n)?;
        let columns = rhs.len() / self.n;
        check_length(columns * self.n, rhs.len())?;
        llt::solve::solve_in_place(
            MatRef::from_column_major_slice(&self.factor, self.n, self.n),
            MatMut::from_column_major_slice_mut(rhs, self.n, columns),
            degree(self.n * self.n * columns),
            // The kernel asks for no work memory.
            self.scratch.stack(),
        );
        Ok(())
    }

    /// L, column-major, with zeros above the diagonal; empty if there is no factor.
    pub fn lower(&self) -> Vec<f64> {
        if !self.factored {
            return Vec::new();
        }
        let mut lower = self.factor.clone();
        for (j, column) in lower.chunks_exact_mut(self.n).enumerate() {
            column[..j].fill(0.0);
        }
        lower
    }

    fn resize(&mut self, n: usize) {
        self.factored = false;
        if n != self.n {
            self.n = n;
            self.factor.clear();
            self.factor.resize(n * n, 0.0);
            self.work.resize(n, 0.0);
            self.scratch = Scratch::new(StackReq::any_of(&[
                llt::factor::cholesky_in_place_scratch::<f64>(
                    n,
                    degree(n * n * n),
                    Default::default(),
                ),
                llt::solve::solve_in_place_scratch::<f64>(n, 1, PAR),
            ]));
        }
    }

    fn factor_in_place(&mut self, shift: f64) -> Result<(), Breakdown> {
        let n = self.n;
        view::shift_diagonal(&mut self.factor, n, shift)?;
        let matrix = MatMut::from_column_major_slice_mut(&mut self.factor, n, n);
        let stack = self.scratch.stack();
        let par = degree(n * n * n);
        llt::factor::cholesky_in_place(matrix, Default::default(), par, stack, Default::default())
            .map_err(
                |LltError::NonPositivePivot { index }| Breakdown::NotPositiveDefinite {
                    pivot: index,
                },
            )?;
        self.factored = true;
        Ok(())
    }

    fn ready(&self, length: usize) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.n, length)
    }
}

impl Factor for DenseCholesky {
    fn factor(&mut self, view: SymView<'_>, shift: f64) -> Result<(), Breakdown> {
        self.factored = false;
        let n = view::dimension(&view)?;
        self.resize(n);
        view::copy_lower(view, n, &mut self.factor)?;
        self.factor_in_place(shift)
    }

    fn solve_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(rhs.len())?;
        llt::solve::solve_in_place(
            MatRef::from_column_major_slice(&self.factor, self.n, self.n),
            ColMut::from_slice_mut(rhs).as_mat_mut(),
            PAR,
            self.scratch.stack(),
        );
        Ok(())
    }

    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        let mut work = std::mem::take(&mut self.work);
        let solved = self.half_solve(v, &mut work);
        self.work = work;
        solved.map(|()| dot(&self.work, &self.work))
    }
}

/// H + τI = LLᵀ, in the storage that the matrix asks for.
///
/// Sparse views go to a [`SparseCholesky`], Gram views to the primal or the
/// dual form, all others to a [`DenseCholesky`]; solves use the one that
/// factored last and take the same view again, which the dual form reads.
#[derive(Debug, Default)]
pub(crate) struct Cholesky {
    dense: DenseCholesky,
    sparse: SparseCholesky,
    gram: GramFactor,
    last: Form,
}

/// Which of them factored last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Form {
    #[default]
    None,
    Dense,
    Sparse,
    Gram,
}

impl Cholesky {
    /// Symbolic analyses of sparse patterns so far.
    pub(crate) fn analyses(&self) -> u64 {
        self.sparse.analyses()
    }

    /// Factors H + `shift`·I.
    pub(crate) fn factor(&mut self, view: SymView<'_>, shift: f64) -> Result<(), Breakdown> {
        self.last = Form::None;
        let form = match view {
            SymView::Sparse(..) => {
                self.sparse.factor(view, shift)?;
                Form::Sparse
            }
            SymView::Gram(gram) => {
                self.gram.factor(&gram, shift)?;
                Form::Gram
            }
            _ => {
                self.dense.factor(view, shift)?;
                Form::Dense
            }
        };
        self.last = form;
        Ok(())
    }

    /// Whether the factor solves without its matrix: all but the dual form do.
    pub(crate) fn is_whole(&self) -> bool {
        match self.last {
            Form::None => false,
            Form::Gram => self.gram.primal().is_some(),
            _ => true,
        }
    }

    fn whole(&mut self) -> Result<&mut dyn Factor, Breakdown> {
        match self.last {
            Form::Dense => Ok(&mut self.dense),
            Form::Sparse => Ok(&mut self.sparse),
            Form::Gram => match self.gram.primal_mut() {
                Some(factor) => Ok(factor),
                None => Err(Breakdown::NotFactored),
            },
            Form::None => Err(Breakdown::NotFactored),
        }
    }

    /// [`solve_in_place`](Self::solve_in_place) where the factor [`is_whole`](Self::is_whole).
    pub(crate) fn solve_whole(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        self.whole()?.solve_in_place(rhs)
    }

    /// [`inverse_norm_squared`](Self::inverse_norm_squared) where the factor
    /// [`is_whole`](Self::is_whole).
    pub(crate) fn norm_squared_whole(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        self.whole()?.inverse_norm_squared(v)
    }

    /// Overwrites `rhs` by (H + τI)⁻¹ `rhs`.
    pub(crate) fn solve_in_place(
        &mut self,
        view: SymView<'_>,
        rhs: &mut [f64],
    ) -> Result<(), Breakdown> {
        match view {
            SymView::Sparse(..) => self.sparse.solve_in_place(rhs),
            SymView::Gram(gram) => self.gram.solve_in_place(&gram, rhs),
            _ => self.dense.solve_in_place(rhs),
        }
    }

    /// vᵀ(H + τI)⁻¹v.
    pub(crate) fn inverse_norm_squared(
        &mut self,
        view: SymView<'_>,
        v: &[f64],
    ) -> Result<f64, Breakdown> {
        match view {
            SymView::Sparse(..) => self.sparse.inverse_norm_squared(v),
            SymView::Gram(gram) => self.gram.inverse_norm_squared(&gram, v),
            _ => self.dense.inverse_norm_squared(v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use faer::{Mat, mat};

    fn both(m: &Mat<f64>) -> SymView<'_> {
        SymView::Dense(m.as_ref(), Stored::Both)
    }

    #[test]
    fn solves_a_known_system() {
        let h = mat![[4.0, 2.0], [2.0, 5.0]];
        let mut f = DenseCholesky::new();
        f.factor(both(&h), 0.0).unwrap();
        let mut x = [8.0, 12.0];
        f.solve_in_place(&mut x).unwrap();
        assert_eq!(x, [1.0, 2.0]);
        // L = [[2, 0], [1, 2]]
        let mut half = [0.0; 2];
        f.half_solve(&[8.0, 12.0], &mut half).unwrap();
        assert_eq!(half, [4.0, 4.0]);
        assert_eq!(f.inverse_norm_squared(&[8.0, 12.0]).unwrap(), 32.0);
    }

    #[test]
    fn one_by_one_and_shift() {
        let h = mat![[-1.0]];
        let mut f = DenseCholesky::new();
        assert_eq!(
            f.factor(both(&h), 0.0),
            Err(Breakdown::NotPositiveDefinite { pivot: 0 })
        );
        assert_eq!(f.solve_in_place(&mut [1.0]), Err(Breakdown::NotFactored));
        f.factor(both(&h), 5.0).unwrap();
        let mut x = [8.0];
        f.solve_in_place(&mut x).unwrap();
        assert_eq!(x, [2.0]);
    }

    #[test]
    fn pivots_are_located_beyond_one_block() {
        let n = 200;
        let h = Mat::from_fn(n, n, |i, j| match (i == j, i) {
            (true, 150) => -1.0,
            (true, _) => 1.0,
            _ => 0.0,
        });
        let end = DenseCholesky::new().factor(both(&h), 0.0);
        assert_eq!(end, Err(Breakdown::NotPositiveDefinite { pivot: 150 }));
    }

    #[test]
    fn bad_input_is_typed() {
        let mut f = DenseCholesky::new();
        let nan = mat![[1.0, 0.0], [f64::NAN, 1.0]];
        let at = |row, col| Err(Breakdown::NonFinite { row, col });
        assert_eq!(f.factor(both(&nan), 0.0), at(1, 0));
        let h = mat![[1.0, 0.0], [0.0, 1.0]];
        assert_eq!(f.factor(both(&h), f64::NAN), at(0, 0));
        assert_eq!(
            f.factor(both(&Mat::zeros(0, 0)), 0.0),
            Err(Breakdown::Empty)
        );
        assert_eq!(f.factor_with(0, 0.0, &mut |_| {}), Err(Breakdown::Empty));
        assert_eq!(
            f.factor_with(2, 0.0, &mut |mut m| m.fill(f64::INFINITY)),
            at(0, 0)
        );
        f.factor(both(&h), 0.0).unwrap();
        let wrong = Err(Breakdown::Length {
            expected: 2,
            found: 3,
        });
        assert_eq!(f.solve_in_place(&mut [0.0; 3]), wrong);
        assert_eq!(f.half_solve(&[0.0; 2], &mut [0.0; 3]), wrong);
    }

    #[test]
    fn a_gram_matrix_is_filled_in_place() {
        let mut f = DenseCholesky::new();
        f.factor_with(2, 1.0, &mut |mut m| {
            m[(0, 0)] = 3.0;
            m[(1, 0)] = 2.0;
            m[(1, 1)] = 4.0;
            m[(0, 1)] = f64::NAN;
        })
        .unwrap();
        let mut x = [8.0, 12.0];
        f.solve_in_place(&mut x).unwrap();
        assert_eq!(x, [1.0, 2.0]);
    }
}
