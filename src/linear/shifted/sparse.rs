//! H + λI = LLᵀ, sparse, with one symbolic analysis for all λ.

use super::{Shifted, least_eigenpair};
use crate::edge::SymView;
use crate::linear::{Breakdown, Factor, SparseCholesky, check_length};

/// A sparse symmetric matrix H, kept, and H + λI = LLᵀ for one λ after another.
///
/// One triangle of values is stored beside those of a [`SparseCholesky`]; as long as the
/// pattern stays the same it is analyzed once. Each λ costs one numeric factorization.
#[derive(Debug, Default)]
pub struct ShiftedSparse {
    cholesky: SparseCholesky,
    n: usize,
    bounds: (f64, f64),
    work: Vec<f64>,
    factorizations: u64,
}

impl ShiftedSparse {
    /// Without storage; the first matrix sets the pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies the values of H, O(nnz), and analyzes its pattern if it is another one.
    /// There is no factor until the next [`factor`](Shifted::factor).
    ///
    /// # Errors
    /// [`Breakdown::NotSparse`], [`Breakdown::OutOfMemory`], and those of a matrix that is
    /// empty, not square or not finite; none is kept then.
    pub fn set(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.set_scaled(view, None)
    }

    /// Copies H_ij / (d_i d_j), for `d` of the dimension of H, or H itself without `d`.
    ///
    /// # Errors
    /// As [`set`](Self::set), and [`Breakdown::Length`].
    pub fn set_scaled(&mut self, view: SymView<'_>, d: Option<&[f64]>) -> Result<(), Breakdown> {
        self.n = 0;
        let n = self.cholesky.keep(view)?;
        if let Some(d) = d {
            check_length(n, d.len())?;
            self.cholesky.scale_kept(d);
        }
        self.work.resize(n, 0.0);
        let radius = &mut self.work;
        radius.fill(0.0);
        self.cholesky.for_each_kept(|i, j, a| {
            if i != j {
                radius[i] += a.abs();
                radius[j] += a.abs();
            }
        });
        let mut bounds = (f64::INFINITY, f64::NEG_INFINITY);
        self.cholesky.for_each_kept(|i, j, a| {
            if i == j {
                bounds = (bounds.0.min(a - radius[i]), bounds.1.max(a + radius[i]));
            }
        });
        if !bounds.0.is_finite() || !bounds.1.is_finite() {
            return Err(Breakdown::NonFinite { row: 0, col: 0 });
        }
        self.bounds = bounds;
        self.n = n;
        Ok(())
    }

    /// The most entries in a row of L, and in a row of L + Lᵀ.
    pub(crate) fn row_counts(&self) -> (usize, usize) {
        self.cholesky.row_counts()
    }

    /// Symbolic analyses so far.
    pub fn analyses(&self) -> u64 {
        self.cholesky.analyses()
    }
}

impl Shifted for ShiftedSparse {
    fn dimension(&self) -> usize {
        self.n
    }

    fn bounds(&self) -> (f64, f64) {
        self.bounds
    }

    fn factor(&mut self, shift: f64) -> Result<bool, Breakdown> {
        if self.n == 0 {
            return Err(Breakdown::Empty);
        }
        self.factorizations += 1;
        match self.cholesky.refactor(shift) {
            Ok(()) => Ok(true),
            Err(Breakdown::NotPositiveDefinite { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown> {
        check_length(self.n, v.len())?;
        self.cholesky.solve_in_place(v)
    }

    /// By one full solve.
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        check_length(self.n, v.len())?;
        self.cholesky.inverse_norm_squared(v)
    }

    fn mul(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        self.cholesky.for_each_kept(|i, j, a| {
            out[i] += a * v[j];
            if i != j {
                out[j] += a * v[i];
            }
        });
    }

    /// By safeguarded inverse iteration, typically 8 to 16 numeric factorizations.
    fn leftmost(&mut self, vector: &mut [f64]) -> Result<f64, Breakdown> {
        if self.n == 0 {
            return Err(Breakdown::Empty);
        }
        check_length(self.n, vector.len())?;
        let mut work = std::mem::take(&mut self.work);
        let least = least_eigenpair(self, vector, &mut work);
        self.work = work;
        least
    }

    fn factorizations(&self) -> u64 {
        self.factorizations
    }
}
