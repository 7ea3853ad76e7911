//! The data matrix of a generalized linear model.
//!
//! A is n x d: one row per observation, one column per feature and, if the
//! vector of coefficients is one longer than the features, a last column of ones
//! that is not stored. Sparse data is kept by rows (and by columns where a large Gram matrix
//! asks for it), dense data by columns or in blocks of rows, rows of few distinct parts as codes with a dictionary, rows
//! of many columns and mostly one value as a pattern with a scale.
//!
//! Work over the rows is done in **stripes** of fixed length, each by blocks that stay in the
//! cache, with sums of its own that are added in the order of the stripes. How many there are
//! depends on the data alone, so no result depends on the number of threads.

mod coded;
#[cfg(test)]
mod compare;
mod dense;
mod leverage;
mod merge;
mod rows;
mod scaled;
mod several;

use crate::data::Dataset;
use crate::parallel::{chunks_mut, map, stripes};
use coded::Coded;
use dense::Dense;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, ColMut, Mat, MatMut, MatRef};
pub(crate) use merge::Merged;
use rows::{ByColumns, SparseRows};
use scaled::Scaled;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, TryLockError};

type Rows = Range<usize>;
/// Compressed sparse rows: starts, columns and values.
type Csr<'a> = (&'a [usize], &'a [u32], &'a [f64]);

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
    /// Without the column of ones.
    Dense(Dense),
    /// Sparse rows of tokens, which stand for parts of rows.
    Coded(Coded),
    /// Sparse rows of one value and a few others.
    Scaled(Scaled),
}

/// Workspace of [`Design::gram`], so that it allocates only once.
#[derive(Debug)]
pub(crate) struct GramScratch {
    block: Mat<f64>,
    root: Vec<f64>,
    /// For each stripe.
    sums: Vec<Vec<f64>>,
    expanded: Vec<f64>,
}

impl Default for GramScratch {
    fn default() -> Self {
        GramScratch {
            block: Mat::new(),
            root: Vec::new(),
            sums: Vec::new(),
            expanded: Vec::new(),
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
        match Design::find_code(data) {
            Some((coded, _)) => Design::coded(data.n_features(), coded),
            None => Design::of(data, None),
        }
    }

    /// With one row for each class of equal rows, if there are enough of them, and short rows in
    /// the order of their lengths.
    pub(crate) fn merged(data: &Dataset) -> (Self, Option<Merged>) {
        let (n, features) = (data.n_rows(), data.n_features());
        if let Some((coded, hashes)) = Design::find_code(data) {
            let merged = Merged::find_coded(&coded.codes, &hashes, data.labels())
                .unwrap_or_else(|| Merged::none(n))
                .by_length(|i| coded.codes.length(i));
            let coded = coded.take(&merged.first);
            return (Design::coded(features, coded), Some(merged));
        }
        let mut merged = Merged::find(data);
        let length = mean_length(data);
        if is_sparse(length, features as f64) && merge::orders(n, length) {
            let classes = merged.unwrap_or_else(|| Merged::none(n));
            merged = Some(classes.by_length(|i| data.row(i).0.len()));
        }
        let first = merged.as_ref().map(|merged| &merged.first[..]);
        (Design::of(data, first), merged)
    }

    fn find_code(data: &Dataset) -> Option<(Coded, Vec<u64>)> {
        let features = data.n_features();
        // Of as many columns Gram matrices are not summed row by row.
        if features >= SUMMED || !merge::searches(data.n_rows()) {
            return None;
        }
        let plain = |passes| additions(mean_length(data), features as f64, passes);
        Coded::find(features, data.csr(), plain)
    }

    /// Of the `chosen` rows of the data, or of all.
    fn of(data: &Dataset, chosen: Option<&[u32]>) -> Self {
        let (rows, features) = (data.n_rows(), data.n_features());
        let csr = data.csr();
        if is_sparse(mean_length(data), features as f64) {
            if let Some(scaled) = Scaled::find(features, csr, chosen) {
                return Design::scaled(features, scaled);
            }
            let sparse = SparseRows::new(features, csr, chosen);
            return Design::sparse(chosen.map_or(rows, <[u32]>::len), features, sparse);
        }
        let n = chosen.map_or(rows, <[u32]>::len);
        let row = |k: usize| data.row(chosen.map_or(k, |chosen| chosen[k] as usize));
        let dense = Dense::of(n, features, row);
        Design::with(n, features, 0.0, Storage::Dense(dense))
    }

    fn sparse(n: usize, features: usize, rows: SparseRows) -> Self {
        let squared_lengths = rows.squared_lengths();
        let columns = OnceLock::new();
        let storage = Storage::Sparse { rows, columns };
        Design::with(n, features, squared_lengths, storage)
    }

    fn coded(features: usize, coded: Coded) -> Self {
        let squared_lengths = coded.codes.squared_lengths();
        let rows = coded.codes.nrows();
        Design::with(rows, features, squared_lengths, Storage::Coded(coded))
    }

    fn scaled(features: usize, scaled: Scaled) -> Self {
        let (rows, squared_lengths) = (scaled.nrows(), scaled.squared_lengths());
        Design::with(rows, features, squared_lengths, Storage::Scaled(scaled))
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
            Storage::Dense(dense) => dense.entries(),
            Storage::Coded(coded) => coded.codes.stored(),
            Storage::Scaled(scaled) => scaled.stored(),
        }
    }
    /// Multiplications in forming AᵀDA: the sum of squared row lengths.
    pub(crate) fn gram_work(&self) -> f64 {
        match &self.storage {
            Storage::Sparse { .. } | Storage::Scaled(_) => self.squared_lengths,
            // A flop of a blocked rank-k update counts as an eighth of a scattered one (an estimate).
            Storage::Dense(_) => self.rows as f64 * (self.features as f64).powi(2) / 8.0,
            Storage::Coded(coded) => self.squared_lengths + coded.expansion(),
        }
    }

    /// Seconds of forming and factoring AᵀDA over those of value and gradient, about.
    ///
    /// From counts: a scattered addition takes a third of what an entry of a gradient takes, a
    /// flop of a factorization a sixtieth. Dense products run the faster the more columns there
    /// are, and gradients are bound by memory: 0.6√d, from 2.4 for d = 22 to 17 for 500.
    pub(crate) fn hessian_cost(&self) -> f64 {
        let (d, entries) = (self.features as f64, self.entries().max(1) as f64);
        let form = match &self.storage {
            Storage::Dense(_) => 0.6 * d.sqrt(),
            _ => self.gram_work() / (6.0 * entries),
        };
        form + d.powi(3) / (180.0 * entries)
    }

    /// Rows per block, a multiple of 8.
    pub(crate) fn block(&self) -> usize {
        match &self.storage {
            Storage::Dense(dense) => {
                let size = (DENSE_BLOCK / self.features.max(1)).clamp(32, BLOCK) & !7;
                dense
                    .size()
                    .map_or(size, |part| (size / 2 / part).max(1) * part)
            }
            _ => BLOCK,
        }
    }

    /// Rows per stripe, if each has `width` sums of its own and all add `work` terms to them.
    ///
    /// To clear a sum and to add it to the others costs about two terms. With as many threads as stripes their
    /// number s takes work/s + 2 s `width`, the least for s² = work/(2 `width`).
    fn stripe(&self, width: usize, work: usize) -> usize {
        let best = (work / (2 * width.max(1))).isqrt();
        // A power of two, for as many threads.
        let count = 1 << best.clamp(1, STRIPES).ilog2();
        self.rows
            .div_ceil(count)
            .next_multiple_of(self.block())
            .max(1)
    }

    /// Numbers of columns that sums over the rows are made for, where vectors of coefficients
    /// have `len`: tokens in the place of features.
    fn inner(&self, len: usize) -> usize {
        match &self.storage {
            Storage::Coded(coded) => len - self.features + coded.tokens(),
            _ => len,
        }
    }

    /// Coefficients of the inner columns; `room` is there for them.
    fn lift<'a>(&self, w: &'a [f64], room: &'a mut [f64]) -> &'a [f64] {
        let Storage::Coded(coded) = &self.storage else {
            return w;
        };
        let (features, ones) = w.split_at(self.features);
        let (tokens, last) = room.split_at_mut(room.len() - ones.len());
        coded.dictionary.mul(0..tokens.len(), 0.0, features, tokens);
        last.copy_from_slice(ones);
        room
    }

    /// `out` = sums for the columns from those for the inner columns.
    pub(crate) fn lower(&self, sums: &[f64], out: &mut [f64]) {
        self.lower_by(SparseRows::add_transpose, sums, out);
    }

    /// The same, where `add` adds what the rows of the dictionary stand for.
    fn lower_by(
        &self,
        add: impl Fn(&SparseRows, Rows, &[f64], &mut [f64]),
        sums: &[f64],
        out: &mut [f64],
    ) {
        let Storage::Coded(coded) = &self.storage else {
            out.copy_from_slice(sums);
            return;
        };
        let (tokens, last) = sums.split_at(coded.tokens());
        let (features, ones) = out.split_at_mut(self.features);
        features.fill(0.0);
        add(&coded.dictionary, 0..tokens.len(), tokens, features);
        ones.copy_from_slice(last);
    }

    /// Calls `f(rows, w, parts, sums)` for each stripe with the coefficients of the inner columns, its
    /// parts of `arrays`, which have an element for each row, and sums for the inner columns of
    /// `len` columns and one more; hands those of all stripes to `take`, the one more by itself.
    pub(crate) fn stripes<const K: usize, T>(
        &self,
        w: &[f64],
        arrays: [&mut [f64]; K],
        len: usize,
        f: impl Fn(Rows, &[f64], [&mut [f64]; K], &mut [f64]) + Sync,
        take: impl FnOnce(&[f64], f64) -> T,
    ) -> T {
        let width = self.inner(len) + 1;
        let length = self.stripe(width, self.entries());
        let count = self.rows.div_ceil(length).max(1);
        self.lifted(w, count * width, |w, sums| {
            let work = 4 * self.entries();
            let run =
                |rows: Rows, parts: [&mut [f64]; K], sums: &mut [f64]| f(rows, w, parts, sums);
            stripes(self.rows, arrays, length, sums, width, work, &run);
            let sums = add_up(sums, width);
            take(&sums[..width - 1], sums[width - 1])
        })
    }

    /// Calls `f` with the coefficients of the inner columns and `len` zeros.
    fn lifted<T>(&self, w: &[f64], len: usize, f: impl FnOnce(&[f64], &mut [f64]) -> T) -> T {
        let room = match &self.storage {
            Storage::Coded(_) if !w.is_empty() => self.inner(w.len()),
            _ => 0,
        };
        self.with_sums(room + len, |sums| {
            let (room, sums) = sums.split_at_mut(room);
            f(if w.is_empty() { w } else { self.lift(w, room) }, sums)
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

    /// `out` = A w for a block of rows, by coefficients of the inner columns.
    pub(crate) fn mul_block(&self, rows: Rows, w: &[f64], out: &mut [f64]) {
        let offset = |inner: usize| w.get(inner).copied().unwrap_or(0.0);
        match &self.storage {
            Storage::Sparse { rows: sparse, .. } => {
                sparse.mul(rows, offset(self.features), w, out);
            }
            Storage::Dense(dense) => {
                out.fill(offset(self.features));
                dense.mul(rows, &w[..self.features], out);
            }
            Storage::Coded(coded) => coded.codes.mul(rows, offset(coded.tokens()), w, out),
            Storage::Scaled(scaled) => scaled.mul(rows, offset(self.features), w, out),
        }
    }

    /// `sums` += Aᵀ r for a block of rows, for the inner columns and one number that stays.
    pub(crate) fn add_transpose_block(&self, rows: Rows, r: &[f64], sums: &mut [f64]) {
        let (inner, _) = sums.split_at_mut(sums.len() - 1);
        let (out, ones) = inner.split_at_mut(self.inner(self.features));
        if let [ones] = ones {
            *ones += r.iter().sum::<f64>();
        }
        match &self.storage {
            Storage::Sparse { rows: sparse, .. } => sparse.add_transpose(rows, r, out),
            Storage::Dense(dense) => dense.add_transpose(rows, r, out),
            Storage::Coded(coded) => coded.codes.add_transpose(rows, r, out),
            Storage::Scaled(scaled) => scaled.add_transpose(rows, r, out),
        }
    }

    /// out = A w. Cost: one pass over the entries.
    pub fn mul(&self, w: &[f64], out: &mut [f64]) {
        let length = self.block();
        self.lifted(w, 0, |w, _| {
            chunks_mut(out, length, 2 * self.entries(), |first, chunk| {
                self.mul_block(first..first + chunk.len(), w, chunk);
            });
        });
    }

    /// out = Aᵀ r. Cost: one pass over the entries.
    pub fn mul_transpose(&self, r: &[f64], out: &mut [f64]) {
        self.stripes(
            &[],
            [],
            out.len(),
            |rows, _, [], sums| {
                for rows in self.blocks(rows) {
                    self.add_transpose_block(rows.clone(), &r[rows], sums);
                }
            },
            |sums, _| self.lower(sums, out),
        );
    }

    /// out = Aᵀ diag(weight) A v. Cost: one pass over the entries.
    pub(crate) fn product(&self, weight: &[f64], v: &[f64], out: &mut [f64]) {
        self.stripes(
            v,
            [],
            out.len(),
            |rows, v, [], sums| {
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
            |sums, _| self.lower(sums, out),
        );
    }

    /// out_j = Σ_i weight_i a_ij². Cost: one pass over the entries.
    pub(crate) fn weighted_squares(&self, weight: &[f64], out: &mut [f64]) {
        self.stripes(
            &[],
            [],
            out.len(),
            |rows, _, [], sums| {
                let r = &weight[rows.clone()];
                let (inner, _) = sums.split_at_mut(sums.len() - 1);
                let (out, ones) = inner.split_at_mut(self.inner(self.features));
                if let [ones] = ones {
                    *ones += r.iter().sum::<f64>();
                }
                match &self.storage {
                    Storage::Sparse { rows: sparse, .. } => sparse.add_squares(rows, r, out),
                    Storage::Dense(dense) => dense.add_squares(rows, r, out),
                    Storage::Coded(coded) => coded.codes.add_squares(rows, r, out),
                    Storage::Scaled(scaled) => scaled.add_squares(rows, r, out),
                }
            },
            |sums, _| self.lower_by(SparseRows::add_squares, sums, out),
        );
    }

    /// Calls `visit(column, value)` for the entries of row i, in any order.
    fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        match &self.storage {
            Storage::Sparse { rows, .. } => rows.each(i, visit),
            Storage::Coded(coded) => coded.each(i, visit),
            Storage::Scaled(scaled) => scaled.each(i, visit),
            Storage::Dense(dense) => {
                for part in dense.parts(i..i + 1) {
                    for j in 0..self.features {
                        visit(j, part.column(j)[0]);
                    }
                }
            }
        }
    }

    /// Writes A, with a column of ones if `out` has one more, to `out`.
    pub(crate) fn write(&self, mut out: MatMut<'_, f64>) {
        out.fill(0.0);
        for i in 0..self.rows {
            self.each(i, |j, v| out[(i, j)] = v);
        }
        if out.ncols() > self.features {
            for i in 0..self.rows {
                out[(i, self.features)] = 1.0;
            }
        }
    }

    /// The columns one after the other, if the data is dense and kept so.
    pub(crate) fn columns(&self) -> Option<&[f64]> {
        match &self.storage {
            Storage::Dense(dense) => dense.columns(),
            _ => None,
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
            Storage::Scaled(scaled) => {
                let (rows, columns) = scaled.plain(self.features);
                self.gram_by_columns(rows, columns, weight, out);
            }
            Storage::Sparse { rows, .. } => {
                let order = out.ncols();
                let sums = self.stripes_of_gram(rows, weight, order, &mut scratch.sums);
                write_lower(sums, out);
            }
            Storage::Coded(coded) => {
                let size = out.ncols();
                let order = self.inner(size);
                let sums = self.stripes_of_gram(&coded.codes, weight, order, &mut scratch.sums);
                let (sums, others) = sums.split_at_mut(1);
                for other in others {
                    add(other, &mut sums[0]);
                }
                coded.expand(&sums[0], order, &mut scratch.expanded, size);
                write_lower(&[&scratch.expanded], out);
            }
            Storage::Dense(dense) => {
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
                    for part in dense.parts(first..first + len) {
                        let root = &root[part.rows.clone()];
                        let here = part.rows.start - first..part.rows.end - first;
                        for j in 0..self.features {
                            let scaled = &mut block.col_as_slice_mut(j)[here.clone()];
                            for ((s, v), w) in scaled.iter_mut().zip(part.column(j)).zip(root) {
                                *s = v * w;
                            }
                        }
                    }
                    let root = &root[first..first + len];
                    if out.ncols() > self.features {
                        block.col_as_slice_mut(self.features)[..len].copy_from_slice(root);
                    }
                    let b = block.as_ref().subrows(0, len);
                    rank_update(out.as_mut(), b.transpose(), b);
                }
            }
        }
    }

    /// The column-major Gram matrices, lower triangles, of the stripes of sparse rows, with a column of
    /// ones more if `order` says so.
    fn stripes_of_gram<'a>(
        &self,
        rows: &SparseRows,
        weight: &[f64],
        order: usize,
        sums: &'a mut Vec<Vec<f64>>,
    ) -> &'a mut [Vec<f64>] {
        let ones = order > self.inner(self.features);
        let (width, work) = (order * order, self.squared_lengths as usize / 2);
        let length = self.stripe(width, work);
        let count = self.rows.div_ceil(length).max(1);
        if sums.len() < count {
            sums.resize_with(count, Vec::new);
        }
        let sums = &mut sums[..count];
        let stripes = sums.iter_mut().enumerate().collect();
        map(stripes, 2 * work, |(k, sums): (usize, &mut Vec<f64>)| {
            sums.clear();
            sums.resize(width, 0.0);
            let range = k * length..((k + 1) * length).min(self.rows);
            rows.add_gram(range.clone(), &weight[range], ones, order, sums);
        });
        sums
    }

    fn gram_by_columns(
        &self,
        rows: &SparseRows,
        columns: &ByColumns,
        weight: &[f64],
        out: MatMut<'_, f64>,
    ) {
        each_column(out, self.squared_lengths as usize, |j, column| {
            rows.gram_column(columns, j, self.features, weight, column);
        });
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
                    Storage::Dense(_) => {
                        let mut a = Mat::zeros(n, self.features);
                        self.write(a.as_mut());
                        rank_update(out.as_mut(), a.as_ref(), a.transpose());
                    }
                    _ => {
                        let mut spread = vec![0.0; self.features];
                        let mut room = vec![0.0; self.inner(self.features)];
                        for i in 0..n {
                            self.each(i, |j, v| spread[j] = v);
                            let row = self.lift(&spread, &mut room);
                            self.mul_block(i..n, row, &mut out.col_as_slice_mut(i)[i..]);
                            self.each(i, |j, _| spread[j] = 0.0);
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
        add(other, first);
    }
    first
}

fn add(terms: &[f64], sums: &mut [f64]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// Writes the sum of column-major matrices, added in their order, to the lower triangle.
fn write_lower<M: AsRef<[f64]> + Sync>(matrices: &[M], out: MatMut<'_, f64>) {
    let order = out.ncols();
    each_column(out, matrices.len() * order * order, |j, column| {
        let column = &mut column[j..];
        let tails = matrices
            .iter()
            .map(|m| &m.as_ref()[j * order + j..(j + 1) * order]);
        column.fill(0.0);
        tails.for_each(|tail| add(tail, column));
    });
}

/// Calls `f(j, column j)` for all columns, in `work` operations; columns lie without gaps.
fn each_column(out: MatMut<'_, f64>, work: usize, f: impl Fn(usize, &mut [f64]) + Sync + Send) {
    let fill = |j: usize, column: ColMut<'_, f64>| {
        if let Some(column) = column.try_as_col_major_mut() {
            f(j, column.as_slice_mut());
        }
    };
    #[cfg(feature = "rayon")]
    if crate::parallel::is_shared(work) {
        use rayon::prelude::*;
        let columns = out.par_col_iter_mut().enumerate();
        columns.for_each(|(j, column)| fill(j, column));
        return;
    }
    let _ = work;
    for (j, column) in out.col_iter_mut().enumerate() {
        fill(j, column);
    }
}

/// Entries of a row on average.
fn mean_length(data: &Dataset) -> f64 {
    data.csr().2.len() as f64 / data.n_rows().max(1) as f64
}

/// Whether rows of this mean length are kept as sparse ones.
fn is_sparse(length: f64, features: f64) -> bool {
    length <= 0.4 * features
}

/// Scattered additions for each row in forming a Gram matrix and in `passes` passes, about. Those
/// of dense data, which is not scattered, count as a quarter in passes and an eighth in products.
fn additions(length: f64, features: f64, passes: f64) -> f64 {
    if is_sparse(length, features) {
        length * ((length + 1.0) / 2.0 + passes)
    } else {
        features * (features / 32.0 + passes / 4.0)
    }
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
