//! H + λI = LLᵀ with H and L in the two triangles of one dense matrix.

use super::{Shifted, least_eigenpair};
use crate::edge::SymView;
use crate::linear::{Breakdown, PAR, Scratch, Tridiagonal, axpy, check_length, dot, view};
use crate::models::design::GramScratch;
use crate::parallel::degree;
use dyn_stack::StackReq;
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Auto, ColMut, MatMut, MatRef};
use llt::factor::LltError;

/// Side of the blocks in which the upper triangle is copied to the lower one.
const BLOCK: usize = 16;

/// Changes a symmetric matrix, given in both triangles, into another one.
pub type Transform<'a> = dyn FnMut(MatMut<'_, f64>) + 'a;

/// A dense symmetric matrix H, kept, and H + λI = LLᵀ for one λ after another.
///
/// One n x n matrix is stored: the strict upper triangle holds H, the lower one
/// L. The diagonal of H is a vector, and 64 diagonals next to it are stored once
/// more, because the factorization uses their place as work space. Factoring costs n³/3 multiplications and a
/// copy of one triangle, a solve 2n², half of it for
/// [`inverse_norm_squared`](Shifted::inverse_norm_squared).
/// Takes views of every kind; a sparse one is spread out, a Gram matrix formed.
#[derive(Debug, Default)]
pub struct ShiftedDense {
    n: usize,
    /// Column-major.
    square: Vec<f64>,
    diagonal: Vec<f64>,
    /// The entries of each column less than [`band_width`] above the diagonal.
    band: Vec<f64>,
    bounds: (f64, f64),
    work: Vec<f64>,
    scratch: Scratch,
    gram: GramScratch,
    factored: bool,
    factorizations: u64,
}

impl ShiftedDense {
    /// Without storage; the first matrix sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies H, O(n²). There is no factor until the next [`factor`](Shifted::factor).
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty, not square or not finite; none is kept then.
    pub fn set(&mut self, view: SymView<'_>) -> Result<(), Breakdown> {
        self.set_with(view, None)
    }

    /// Copies H and lets `transform` change the matrix, which it gets in both triangles and
    /// must leave symmetric.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_transformed(
        &mut self,
        view: SymView<'_>,
        transform: &mut Transform<'_>,
    ) -> Result<(), Breakdown> {
        self.set_with(view, Some(transform))
    }

    fn set_with(
        &mut self,
        view: SymView<'_>,
        transform: Option<&mut Transform<'_>>,
    ) -> Result<(), Breakdown> {
        self.factored = false;
        let kept = self.copy(view, transform);
        if kept.is_err() {
            self.diagonal.clear();
        }
        kept
    }

    fn copy(
        &mut self,
        view: SymView<'_>,
        transform: Option<&mut Transform<'_>>,
    ) -> Result<(), Breakdown> {
        let n = view::dimension(&view)?;
        self.resize(n);
        if let SymView::Gram(gram) = view {
            gram.check_weights()?;
            let out = MatMut::from_column_major_slice_mut(&mut self.square, n, n);
            gram.form(out, &mut self.gram);
            for (j, column) in self.square.chunks_exact(n).enumerate() {
                if let Some(i) = column[j..].iter().position(|a| !a.is_finite()) {
                    return Err(Breakdown::NonFinite { row: j + i, col: j });
                }
            }
        } else {
            view::copy_lower(view, n, &mut self.square)?;
        }
        for_blocks(n, |i, j| self.square[j + i * n] = self.square[i + j * n]);
        if let Some(transform) = transform {
            transform(MatMut::from_column_major_slice_mut(&mut self.square, n, n));
        }
        self.diagonal.clear();
        self.diagonal
            .extend(self.square.iter().step_by(n + 1).copied());
        self.band.clear();
        for (j, column) in self.square.chunks_exact(n).enumerate() {
            self.band.extend_from_slice(&column[above(j)..j]);
        }
        self.bounds = self.gershgorin();
        match self.bounds.0.is_finite() && self.bounds.1.is_finite() {
            true => Ok(()),
            false => Err(Breakdown::NonFinite { row: 0, col: 0 }),
        }
    }

    /// Householder reduction of the kept H; see [`Tridiagonal`] for its cost.
    ///
    /// # Errors
    /// [`Breakdown::Empty`] if no matrix is kept, and those of [`Tridiagonal::factor`].
    pub fn reduce(&self, out: &mut Tridiagonal) -> Result<(), Breakdown> {
        let n = self.diagonal.len();
        out.factor_with(n, &mut |mut lower| {
            for (j, &diagonal) in self.diagonal.iter().enumerate() {
                lower[(j, j)] = diagonal;
            }
            for_blocks(n, |i, j| lower[(i, j)] = self.square[j + i * n]);
        })
    }

    fn gershgorin(&mut self) -> (f64, f64) {
        let radius = &mut self.work;
        radius.fill(0.0);
        for (j, column) in self.square.chunks_exact(self.n).enumerate() {
            let mut sum = 0.0;
            for (radius, a) in radius[..j].iter_mut().zip(&column[..j]) {
                *radius += a.abs();
                sum += a.abs();
            }
            radius[j] += sum;
        }
        let centers = self.diagonal.iter().zip(&*radius);
        centers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (a, r)| {
            (low.min(a - r), high.max(a + r))
        })
    }

    fn resize(&mut self, n: usize) {
        if n != self.n {
            self.n = n;
            self.square.clear();
            self.square.resize(n * n, 0.0);
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

    fn factor_lower(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.square, self.n, self.n)
    }

    fn ready(&self, length: usize) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.n, length)
    }
}

impl Shifted for ShiftedDense {
    fn dimension(&self) -> usize {
        self.diagonal.len()
    }

    fn bounds(&self) -> (f64, f64) {
        self.bounds
    }

    fn factor(&mut self, shift: f64) -> Result<bool, Breakdown> {
        self.factored = false;
        let n = self.diagonal.len();
        if n == 0 {
            return Err(Breakdown::Empty);
        }
        for_blocks(n, |i, j| self.square[i + j * n] = self.square[j + i * n]);
        let entries = self.square.iter_mut().step_by(n + 1);
        for (i, (entry, a)) in entries.zip(&self.diagonal).enumerate() {
            *entry = a + shift;
            if !entry.is_finite() {
                return Err(Breakdown::NonFinite { row: i, col: i });
            }
        }
        self.factorizations += 1;
        let par = degree(n * n * n);
        let matrix = MatMut::from_column_major_slice_mut(&mut self.square, n, n);
        let stack = self.scratch.stack();
        let end = llt::factor::cholesky_in_place(
            matrix,
            Default::default(),
            par,
            stack,
            Default::default(),
        );
        let mut band = &self.band[..];
        for (j, column) in self.square.chunks_exact_mut(n).enumerate() {
            let (here, rest) = band.split_at(j - above(j));
            column[above(j)..j].copy_from_slice(here);
            band = rest;
        }
        match end {
            Ok(_) => {
                self.factored = true;
                Ok(true)
            }
            Err(LltError::NonPositivePivot { .. }) => Ok(false),
        }
    }

    fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(v.len())?;
        llt::solve::solve_in_place(
            MatRef::from_column_major_slice(&self.square, self.n, self.n),
            ColMut::from_slice_mut(v).as_mat_mut(),
            PAR,
            self.scratch.stack(),
        );
        Ok(())
    }

    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        self.ready(v.len())?;
        let mut work = std::mem::take(&mut self.work);
        work.copy_from_slice(v);
        let half = ColMut::from_slice_mut(&mut work).as_mat_mut();
        solve_lower_triangular_in_place(self.factor_lower(), half, PAR);
        let squared = dot(&work, &work);
        self.work = work;
        Ok(squared)
    }

    fn mul(&self, v: &[f64], out: &mut [f64]) {
        for ((out, v), a) in out.iter_mut().zip(v).zip(&self.diagonal) {
            *out = a * v;
        }
        for (j, column) in self.square.chunks_exact(self.n.max(1)).enumerate() {
            let above = &column[..j];
            out[j] += dot(above, &v[..j]);
            axpy(v[j], above, &mut out[..j]);
        }
    }

    /// By safeguarded inverse iteration, typically 8 to 16 factorizations; no further matrix is stored.
    fn leftmost(&mut self, vector: &mut [f64]) -> Result<f64, Breakdown> {
        if self.diagonal.is_empty() {
            return Err(Breakdown::Empty);
        }
        check_length(self.n, vector.len())?;
        // The factor's own work vector serves `inverse_norm_squared` alone.
        let mut work = std::mem::take(&mut self.work);
        let least = least_eigenpair(self, vector, &mut work);
        self.work = work;
        least
    }

    fn factorizations(&self) -> u64 {
        self.factorizations
    }
}

/// Side of the diagonal blocks that faer factors as full squares, overwriting what is above.
fn band_width() -> usize {
    <llt::factor::LltParams as Auto<f64>>::auto().recursion_threshold
}

/// First row of column j that lies in the band.
fn above(j: usize) -> usize {
    (j + 1).saturating_sub(band_width())
}

/// Visits all (i, j) with i > j, block by block, so that reading rows and writing columns share the cache.
fn for_blocks(n: usize, mut visit: impl FnMut(usize, usize)) {
    for first_col in (0..n).step_by(BLOCK) {
        for first_row in (first_col..n).step_by(BLOCK) {
            for j in first_col..n.min(first_col + BLOCK) {
                for i in first_row.max(j + 1)..n.min(first_row + BLOCK) {
                    visit(i, j);
                }
            }
        }
    }
}
