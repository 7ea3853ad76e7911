//! The data matrix of a generalized linear model.
//!
//! A is n x d: one row per observation, one column per feature and, if the
//! vector of coefficients is one longer than the features, a last column of ones
//! that is not stored. Sparse data is kept by rows (and by columns where a large Gram matrix
//! asks for it), dense data by columns.
//!
//! Work over the rows is done in **stripes** of fixed length, each by blocks that stay in the
//! cache, with sums of its own that are added in the order of the stripes. How many there are
//! depends on the data alone, so no result depends on the number of threads.

mod dense;
mod merge;
mod rows;
mod several;

use crate::data::Dataset;
use crate::parallel::{chunks_mut, stripes};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef};
pub(crate) use merge::Merged;
use rows::{ByColumns, SparseRows};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, TryLockError};

type Rows = Range<usize>;

/// Most stripes, and most threads that a pass over the rows can use.
const STRIPES: usize = 16;
/// Rows in a block of sparse data.
pub(crate) const BLOCK: usize = 256;
/// Numbers in a block of dense data: 256 KiB.
const DENSE_BLOCK: usize = 1 << 15;
/// Numbers and least rows per block of a dense rank-k update: 512 KiB.
const UPDATE: (usize, usize) = (1 << 16, 512);
/// Order of the largest Gram matrix that is summed row by row; of larger ones each column by
/// itself, for they would not fit in the cache.
const SUMMED: usize = 768;

#[derive(Debug)]
enum Storage {
    Sparse {
        rows: SparseRows,
        columns: OnceLock<ByColumns>,
    },
    /// Column-major, without the column of ones.
    Dense(Vec<f64>),
}

/// Workspace of [`Design::gram`], so that it allocates only once.
#[derive(Debug)]
pub(crate) struct GramScratch {
    block: Mat<f64>,
    root: Vec<f64>,
    sums: Vec<f64>,
}

impl Default for GramScratch {
    fn default() -> Self {
        GramScratch {
            block: Mat::new(),
            root: Vec::new(),
            sums: Vec::new(),
        }
    }
}

/// The data matrix of a generalized linear model.
#[derive(Debug)]
pub struct Design {
    storage: Storage,
    rows: usize,
    features: usize,
    squared_lengths: f64,
    row_gram: OnceLock<Mat<f64>>,
    /// Sums of the stripes, kept from pass to pass.
    sums: Mutex<Vec<f64>>,
}

impl Design {
    pub(crate) fn new(data: &Dataset) -> Self {
        Design::of(data, None)
    }

    /// Of the `chosen` rows of the data, or of all.
    fn of(data: &Dataset, chosen: Option<&[u32]>) -> Self {
        let (rows, features) = (data.n_rows(), data.n_features());
        let csr = data.csr();
        if csr.2.len() as f64 <= 0.4 * rows as f64 * features as f64 {
            let sparse = SparseRows::new(features, csr, chosen);
            return Design::sparse(chosen.map_or(rows, <[u32]>::len), features, sparse);
        }
        let n = chosen.map_or(rows, <[u32]>::len);
        let mut columns = vec![0.0; n * features];
        for k in 0..n {
            let (cols, values) = data.row(chosen.map_or(k, |chosen| chosen[k] as usize));
            for (&j, &v) in cols.iter().zip(values) {
                columns[j as usize * n + k] = v;
            }
        }
        Design::with(n, features, 0.0, Storage::Dense(columns))
    }

    fn sparse(n: usize, features: usize, rows: SparseRows) -> Self {
        let squared_lengths = rows.squared_lengths();
        let columns = OnceLock::new();
        let storage = Storage::Sparse { rows, columns };
        Design::with(n, features, squared_lengths, storage)
    }

    fn with(rows: usize, features: usize, squared_lengths: f64, storage: Storage) -> Self {
        Design {
            storage,
            rows,
            features,
            squared_lengths,
            row_gram: OnceLock::new(),
            sums: Mutex::default(),
        }
    }

    /// Number of observations n.
    pub fn nrows(&self) -> usize {
        self.rows
    }
    /// Number of features, the column of ones not counted.
    pub fn features(&self) -> usize {
        self.features
    }
    /// Number of entries a product visits.
    pub fn entries(&self) -> usize {
        match &self.storage {
            Storage::Sparse { rows, .. } => rows.stored(),
            Storage::Dense(values) => values.len(),
        }
    }
    /// Multiplications in forming AᵀDA: the sum of squared row lengths.
    pub(crate) fn gram_work(&self) -> f64 {
        match &self.storage {
            Storage::Sparse { .. } => self.squared_lengths,
            // A flop of a blocked rank-k update counts as an eighth of a scattered one (an estimate).
            Storage::Dense(_) => self.rows as f64 * (self.features as f64).powi(2) / 8.0,
        }
    }

    /// Seconds of forming and factoring AᵀDA over those of value and gradient, about.
    ///
    /// From counts: a scattered addition takes a sixth of what an entry of a gradient takes, a
    /// flop of a factorization a sixtieth. Dense products run the faster the more columns there
    /// are, and gradients are bound by memory: √d, as was measured from d = 100 to 2000.
    pub(crate) fn hessian_cost(&self) -> f64 {
        let (d, entries) = (self.features as f64, self.entries().max(1) as f64);
        let form = match &self.storage {
            Storage::Sparse { .. } => self.squared_lengths / (12.0 * entries),
            Storage::Dense(_) => d.sqrt(),
        };
        form + d.powi(3) / (180.0 * entries)
    }

    /// Rows per block, a multiple of 8.
    pub(crate) fn block(&self) -> usize {
        match &self.storage {
            Storage::Sparse { .. } => BLOCK,
            Storage::Dense(_) => (DENSE_BLOCK / self.features.max(1)).clamp(32, BLOCK) & !7,
        }
    }

    /// Rows per stripe, if each has `width` sums of its own and adds `work` terms to them in all.
    fn stripe(&self, width: usize, work: usize) -> usize {
        let count = (work / (8 * width.max(1))).clamp(1, STRIPES);
        self.rows
            .div_ceil(count)
            .next_multiple_of(self.block())
            .max(1)
    }

    /// Calls `f(rows, parts, sums)` for each stripe with its parts of `arrays`, which have an
    /// element for each row, and hands the `width` sums of all stripes to `take`.
    pub(crate) fn stripes<const K: usize, T>(
        &self,
        arrays: [&mut [f64]; K],
        width: usize,
        f: impl Fn(Rows, [&mut [f64]; K], &mut [f64]) + Sync,
        take: impl FnOnce(&[f64]) -> T,
    ) -> T {
        let length = self.stripe(width, self.entries());
        let count = self.rows.div_ceil(length).max(1);
        self.with_sums(count * width, |sums| {
            let work = 4 * self.entries();
            stripes(self.rows, arrays, length, sums, width, work, &f);
            take(add_up(sums, width))
        })
    }

    fn with_sums<T>(&self, len: usize, f: impl FnOnce(&mut [f64]) -> T) -> T {
        let mut kept = match self.sums.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return f(&mut vec![0.0; len]),
        };
        kept.clear();
        kept.resize(len, 0.0);
        f(&mut kept)
    }

    /// The blocks of a range of rows.
    pub(crate) fn blocks(&self, rows: Rows) -> impl Iterator<Item = Rows> {
        let size = self.block();
        let end = rows.end;
        rows.step_by(size)
            .map(move |first| first..(first + size).min(end))
    }

    /// `out` = A w for a block of rows.
    pub(crate) fn mul_block(&self, rows: Rows, w: &[f64], out: &mut [f64]) {
        let offset = w.get(self.features).copied().unwrap_or(0.0);
        match &self.storage {
            Storage::Sparse { rows: sparse, .. } => sparse.mul(rows, offset, w, out),
            Storage::Dense(columns) => {
                out.fill(offset);
                dense::mul(columns, self.rows, rows, &w[..self.features], out);
            }
        }
    }

    /// `out` += Aᵀ r for a block of rows.
    pub(crate) fn add_transpose_block(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        if let Some(last) = out.get_mut(self.features) {
            *last += r.iter().sum::<f64>();
        }
        let out = &mut out[..self.features];
        match &self.storage {
            Storage::Sparse { rows: sparse, .. } => sparse.add_transpose(rows, r, out),
            Storage::Dense(columns) => dense::add_transpose(columns, self.rows, rows, r, out),
        }
    }

    /// out = A w. Cost: one pass over the entries.
    pub fn mul(&self, w: &[f64], out: &mut [f64]) {
        let length = self.block();
        chunks_mut(out, length, 2 * self.entries(), |first, chunk| {
            self.mul_block(first..first + chunk.len(), w, chunk);
        });
    }

    /// out = Aᵀ r. Cost: one pass over the entries.
    pub fn mul_transpose(&self, r: &[f64], out: &mut [f64]) {
        self.stripes(
            [],
            out.len(),
            |rows, [], sums| {
                for rows in self.blocks(rows) {
                    self.add_transpose_block(rows.clone(), &r[rows], sums);
                }
            },
            |sums| out.copy_from_slice(sums),
        );
    }

    /// out = Aᵀ diag(weight) A v. Cost: one pass over the entries.
    pub(crate) fn product(&self, weight: &[f64], v: &[f64], out: &mut [f64]) {
        self.stripes(
            [],
            out.len(),
            |rows, [], sums| {
                let mut buffer = [0.0; BLOCK];
                for rows in self.blocks(rows) {
                    let r = &mut buffer[..rows.len()];
                    self.mul_block(rows.clone(), v, r);
                    for (r, w) in r.iter_mut().zip(&weight[rows.clone()]) {
                        *r *= w;
                    }
                    self.add_transpose_block(rows, r, sums);
                }
            },
            |sums| out.copy_from_slice(sums),
        );
    }

    /// out_j = Σ_i weight_i a_ij². Cost: one pass over the entries.
    pub(crate) fn weighted_squares(&self, weight: &[f64], out: &mut [f64]) {
        self.stripes(
            [],
            out.len(),
            |rows, [], sums| {
                let r = &weight[rows.clone()];
                if let Some(last) = sums.get_mut(self.features) {
                    *last += r.iter().sum::<f64>();
                }
                match &self.storage {
                    Storage::Sparse { rows: sparse, .. } => sparse.add_squares(rows, r, sums),
                    Storage::Dense(columns) => {
                        for (j, out) in sums[..self.features].iter_mut().enumerate() {
                            let column = &columns[j * self.rows..][rows.clone()];
                            *out += column.iter().zip(r).map(|(v, w)| w * v * v).sum::<f64>();
                        }
                    }
                }
            },
            |sums| out.copy_from_slice(sums),
        );
    }

    /// Writes A, with a column of ones if `out` has one more, to `out`.
    pub(crate) fn write(&self, mut out: MatMut<'_, f64>) {
        out.fill(0.0);
        match &self.storage {
            Storage::Sparse { rows, .. } => {
                for i in 0..self.rows {
                    rows.each(i, |j, v| out[(i, j)] = v);
                }
            }
            Storage::Dense(columns) => {
                for (j, column) in columns.chunks_exact(self.rows.max(1)).enumerate() {
                    for (i, &v) in column.iter().enumerate() {
                        out[(i, j)] = v;
                    }
                }
            }
        }
        if out.ncols() > self.features {
            for i in 0..self.rows {
                out[(i, self.features)] = 1.0;
            }
        }
    }

    /// The columns, if the data is dense.
    pub(crate) fn columns(&self) -> Option<&[f64]> {
        match &self.storage {
            Storage::Dense(columns) => Some(columns),
            Storage::Sparse { .. } => None,
        }
    }

    /// Lower triangle of Aᵀ diag(weight) A; weights are not negative.
    ///
    /// Cost: half the sum of squared row lengths for sparse data, n d² flops in
    /// blocks for dense data.
    pub(crate) fn gram(&self, weight: &[f64], mut out: MatMut<'_, f64>, scratch: &mut GramScratch) {
        match &self.storage {
            Storage::Sparse { rows, columns } if out.ncols() > SUMMED => {
                let columns = columns.get_or_init(|| rows.by_columns(self.features));
                self.gram_by_columns(rows, columns, weight, out);
            }
            Storage::Sparse { rows, .. } => {
                let work = self.squared_lengths as usize / 2;
                self.add_up_gram(work, out, &mut scratch.sums, |range, ones, order, sums| {
                    rows.add_gram(range.clone(), &weight[range], ones, order, sums);
                });
            }
            Storage::Dense(columns) => {
                let GramScratch { block, root, .. } = scratch;
                let size = (UPDATE.0 / out.ncols().max(1)).max(UPDATE.1).min(self.rows);
                if block.ncols() != out.ncols() || root.len() != self.rows {
                    *block = Mat::zeros(size, out.ncols());
                    root.resize(self.rows, 0.0);
                }
                for (root, w) in root.iter_mut().zip(weight) {
                    *root = w.sqrt();
                }
                out.fill(0.0);
                for first in (0..self.rows).step_by(size) {
                    let len = size.min(self.rows - first);
                    let root = &root[first..first + len];
                    for j in 0..self.features {
                        let column = &columns[j * self.rows + first..j * self.rows + first + len];
                        let scaled = block.col_as_slice_mut(j);
                        for ((s, v), w) in scaled.iter_mut().zip(column).zip(root) {
                            *s = v * w;
                        }
                    }
                    if out.ncols() > self.features {
                        block.col_as_slice_mut(self.features)[..len].copy_from_slice(root);
                    }
                    let b = block.as_ref().subrows(0, len);
                    rank_update(out.as_mut(), b.transpose(), b);
                }
            }
        }
    }

    /// Sums a Gram matrix over stripes by `add(rows, with ones, order, column-major sums)`.
    fn add_up_gram(
        &self,
        work: usize,
        mut out: MatMut<'_, f64>,
        sums: &mut Vec<f64>,
        add: impl Fn(Rows, bool, usize, &mut [f64]) + Sync,
    ) {
        let order = out.ncols();
        let ones = order > self.features;
        let width = order * order;
        let length = self.stripe(width, work);
        sums.clear();
        sums.resize(self.rows.div_ceil(length).max(1) * width, 0.0);
        stripes(
            self.rows,
            [],
            length,
            sums,
            width,
            2 * work,
            &|range, [], sums| {
                add(range, ones, order, sums);
            },
        );
        let sums = add_up(sums, width);
        for j in 0..order {
            for i in j..order {
                out[(i, j)] = sums[j * order + i];
            }
        }
    }

    fn gram_by_columns(
        &self,
        rows: &SparseRows,
        columns: &ByColumns,
        weight: &[f64],
        mut out: MatMut<'_, f64>,
    ) {
        let fill = |j: usize, column: &mut [f64]| {
            rows.gram_column(columns, j, self.features, weight, column);
        };
        #[cfg(feature = "rayon")]
        if self.squared_lengths > 200_000.0 {
            use rayon::prelude::*;
            out.par_col_iter_mut().enumerate().for_each(|(j, column)| {
                if let Some(column) = column.try_as_col_major_mut() {
                    fill(j, column.as_slice_mut());
                }
            });
            return;
        }
        for j in 0..out.ncols() {
            if let Some(column) = out.as_mut().col_mut(j).try_as_col_major_mut() {
                fill(j, column.as_slice_mut());
            }
        }
    }

    /// A Aᵀ without the column of ones, lower triangle; made once and kept.
    ///
    /// Cost: n² d / 2 multiplications for dense data, n times the entries for sparse.
    pub(crate) fn row_gram(&self) -> MatRef<'_, f64> {
        self.row_gram
            .get_or_init(|| {
                let n = self.rows;
                let mut out = Mat::<f64>::zeros(n, n);
                match &self.storage {
                    Storage::Dense(columns) => {
                        let a = MatRef::from_column_major_slice(columns, n, self.features);
                        rank_update(out.as_mut(), a, a.transpose());
                    }
                    Storage::Sparse { rows, .. } => {
                        let mut spread = vec![0.0; self.features];
                        for i in 0..n {
                            rows.each(i, |j, v| spread[j] = v);
                            rows.mul(i..n, 0.0, &spread, &mut out.col_as_slice_mut(i)[i..]);
                            rows.each(i, |j, _| spread[j] = 0.0);
                        }
                    }
                }
                out
            })
            .as_ref()
    }
}

/// Adds the sums of all stripes, in their order, to those of the first.
fn add_up(sums: &mut [f64], width: usize) -> &[f64] {
    let (first, others) = sums.split_at_mut(width);
    for other in others.chunks_exact(width.max(1)) {
        for (sum, term) in first.iter_mut().zip(other) {
            *sum += term;
        }
    }
    first
}

/// out += a b, lower triangle only.
fn rank_update(out: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let work = out.nrows() * out.ncols() * a.ncols();
    triangular::matmul(
        out,
        BlockStructure::TriangularLower,
        Accum::Add,
        a,
        BlockStructure::Rectangular,
        b,
        BlockStructure::Rectangular,
        1.0,
        crate::parallel::degree(work),
    );
}
