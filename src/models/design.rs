//! The data matrix of a generalized linear model.
//!
//! A is n x d: one row per observation, one column per feature and, if the
//! vector of coefficients is one longer than the features, a last column of ones
//! that is not stored. Sparse data is kept
//! by rows and, as positions into the rows, by columns; dense data by columns.
//! Every product is a loop over independent rows or columns, so its result does
//! not depend on the number of threads.

mod several;

use crate::data::Dataset;
use crate::parallel::{chunks_mut, dot};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef};
use std::sync::OnceLock;

/// Rows per task.
const ROWS: usize = 1024;
/// Columns per task.
const COLS: usize = 8;
/// Rows per block of a dense rank-k update.
const BLOCK: usize = 512;

#[derive(Debug)]
enum Storage {
    Sparse {
        row_start: Vec<usize>,
        col: Vec<u32>,
        value: Vec<f64>,
        col_start: Vec<usize>,
        /// In column order: row and value of each entry, and its position by rows.
        entry: Vec<(u32, f64)>,
        place: Vec<u32>,
    },
    /// Column-major, without the column of ones.
    Dense(Vec<f64>),
}

/// Workspace of [`Design::gram`], so that it allocates only once.
#[derive(Debug)]
pub(crate) struct GramScratch {
    block: Mat<f64>,
    root: Vec<f64>,
}

impl Default for GramScratch {
    fn default() -> Self {
        GramScratch {
            block: Mat::new(),
            root: Vec::new(),
        }
    }
}

/// The data matrix of a generalized linear model.
#[derive(Debug)]
pub struct Design {
    storage: Storage,
    rows: usize,
    features: usize,
    stored: usize,
    squared_lengths: f64,
    row_gram: OnceLock<Mat<f64>>,
}

impl Design {
    pub(crate) fn new(data: &Dataset) -> Self {
        let (start, col, value) = data.csr();
        let (rows, features) = (data.n_rows(), data.n_features());
        let dense = value.len() as f64 > 0.4 * rows as f64 * features as f64;
        Design::from_csr(
            features,
            start.to_vec(),
            col.to_vec(),
            value.to_vec(),
            dense,
        )
    }

    fn from_csr(
        features: usize,
        row_start: Vec<usize>,
        col: Vec<u32>,
        value: Vec<f64>,
        dense: bool,
    ) -> Self {
        let rows = row_start.len() - 1;
        let stored = value.len();
        let squared_lengths = row_start
            .windows(2)
            .map(|w| ((w[1] - w[0] + 1) as f64).powi(2))
            .sum();
        let storage = if dense || stored > u32::MAX as usize {
            let mut columns = vec![0.0; rows * features];
            for i in 0..rows {
                for p in row_start[i]..row_start[i + 1] {
                    columns[col[p] as usize * rows + i] = value[p];
                }
            }
            Storage::Dense(columns)
        } else {
            let mut col_start = vec![0usize; features + 1];
            for &j in &col {
                col_start[j as usize + 1] += 1;
            }
            for j in 0..features {
                col_start[j + 1] += col_start[j];
            }
            let mut next = col_start.clone();
            let mut entry = vec![(0u32, 0.0); stored];
            let mut place = vec![0u32; stored];
            for i in 0..rows {
                for p in row_start[i]..row_start[i + 1] {
                    let slot = &mut next[col[p] as usize];
                    entry[*slot] = (i as u32, value[p]);
                    place[*slot] = p as u32;
                    *slot += 1;
                }
            }
            Storage::Sparse {
                row_start,
                col,
                value,
                col_start,
                entry,
                place,
            }
        };
        Design {
            storage,
            rows,
            features,
            stored,
            squared_lengths,
            row_gram: OnceLock::new(),
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
            Storage::Sparse { .. } => self.stored,
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

    /// out = A w. Cost: one pass over the entries.
    pub fn mul(&self, w: &[f64], out: &mut [f64]) {
        let offset = w.get(self.features).copied().unwrap_or(0.0);
        match &self.storage {
            Storage::Sparse {
                row_start,
                col,
                value,
                ..
            } => chunks_mut(out, ROWS, 2 * self.stored, |first, chunk| {
                for (k, out) in chunk.iter_mut().enumerate() {
                    let range = row_start[first + k]..row_start[first + k + 1];
                    let mut sum = offset;
                    for (&j, &v) in col[range.clone()].iter().zip(&value[range]) {
                        sum += v * w[j as usize];
                    }
                    *out = sum;
                }
            }),
            Storage::Dense(columns) => {
                chunks_mut(out, ROWS, 2 * columns.len(), |first, chunk| {
                    chunk.fill(offset);
                    for (column, &w) in columns.chunks_exact(self.rows.max(1)).zip(w) {
                        let column = &column[first..first + chunk.len()];
                        for (out, &v) in chunk.iter_mut().zip(column) {
                            *out += w * v;
                        }
                    }
                });
            }
        }
    }

    /// out = Aᵀ r. Cost: one pass over the entries.
    pub fn mul_transpose(&self, r: &[f64], out: &mut [f64]) {
        if let Some(last) = out.get_mut(self.features) {
            *last = r.iter().sum();
        }
        let out = &mut out[..self.features];
        match &self.storage {
            Storage::Sparse {
                col_start, entry, ..
            } => chunks_mut(out, 64, 2 * self.stored, |first, chunk| {
                for (k, out) in chunk.iter_mut().enumerate() {
                    let range = col_start[first + k]..col_start[first + k + 1];
                    *out = entry[range].iter().map(|&(i, v)| v * r[i as usize]).sum();
                }
            }),
            Storage::Dense(columns) => {
                chunks_mut(out, COLS, 2 * columns.len(), |first, chunk| {
                    for (k, out) in chunk.iter_mut().enumerate() {
                        let j = first + k;
                        *out = dot(&columns[j * self.rows..(j + 1) * self.rows], r);
                    }
                });
            }
        }
    }

    /// Writes A, with a column of ones if `out` has one more, to `out`.
    pub(crate) fn write(&self, mut out: MatMut<'_, f64>) {
        out.fill(0.0);
        match &self.storage {
            Storage::Sparse {
                row_start,
                col,
                value,
                ..
            } => {
                for i in 0..self.rows {
                    let range = row_start[i]..row_start[i + 1];
                    for (&j, &v) in col[range.clone()].iter().zip(&value[range]) {
                        out[(i, j as usize)] = v;
                    }
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

    /// out_j = Σ_i weight_i a_ij². Cost: one pass over the entries.
    pub(crate) fn weighted_squares(&self, weight: &[f64], out: &mut [f64]) {
        if let Some(last) = out.get_mut(self.features) {
            *last = weight.iter().sum();
        }
        let out = &mut out[..self.features];
        match &self.storage {
            Storage::Sparse {
                col_start, entry, ..
            } => chunks_mut(out, 64, 3 * self.stored, |first, chunk| {
                for (k, out) in chunk.iter_mut().enumerate() {
                    let range = col_start[first + k]..col_start[first + k + 1];
                    let terms = entry[range]
                        .iter()
                        .map(|&(i, v)| weight[i as usize] * v * v);
                    *out = terms.sum();
                }
            }),
            Storage::Dense(columns) => {
                chunks_mut(out, COLS, 3 * columns.len(), |first, chunk| {
                    for (k, out) in chunk.iter_mut().enumerate() {
                        let j = first + k;
                        let column = &columns[j * self.rows..(j + 1) * self.rows];
                        *out = column.iter().zip(weight).map(|(v, w)| w * v * v).sum();
                    }
                });
            }
        }
    }

    /// Lower triangle of Aᵀ diag(weight) A; weights are not negative.
    ///
    /// Cost: half the sum of squared row lengths for sparse data, n d² flops in
    /// blocks for dense data.
    pub(crate) fn gram(&self, weight: &[f64], mut out: MatMut<'_, f64>, scratch: &mut GramScratch) {
        match &self.storage {
            Storage::Sparse { .. } => self.sparse_gram(weight, out),
            Storage::Dense(columns) => {
                let GramScratch { block, root } = scratch;
                if block.ncols() != out.ncols() || root.len() != self.rows {
                    *block = Mat::zeros(BLOCK.min(self.rows), out.ncols());
                    root.resize(self.rows, 0.0);
                }
                for (root, w) in root.iter_mut().zip(weight) {
                    *root = w.sqrt();
                }
                out.fill(0.0);
                for first in (0..self.rows).step_by(BLOCK) {
                    let len = BLOCK.min(self.rows - first);
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

    fn sparse_gram(&self, weight: &[f64], mut out: MatMut<'_, f64>) {
        let Storage::Sparse {
            row_start,
            col,
            value,
            col_start,
            entry,
            place,
        } = &self.storage
        else {
            return;
        };
        let work = self.squared_lengths as usize;
        let last = self.features;
        let fill = |j: usize, column: &mut [f64]| {
            column.fill(0.0);
            if j == last {
                column[j] = weight.iter().sum();
                return;
            }
            let range = col_start[j]..col_start[j + 1];
            for (&(i, v), &p) in entry[range.clone()].iter().zip(&place[range]) {
                let scale = weight[i as usize] * v;
                let tail = p as usize..row_start[i as usize + 1];
                for (&k, &v) in col[tail.clone()].iter().zip(&value[tail]) {
                    column[k as usize] += scale * v;
                }
                if let Some(ones) = column.get_mut(last) {
                    *ones += scale;
                }
            }
        };
        #[cfg(feature = "rayon")]
        if work > 200_000 {
            use rayon::prelude::*;
            out.par_col_iter_mut().enumerate().for_each(|(j, column)| {
                if let Some(column) = column.try_as_col_major_mut() {
                    fill(j, column.as_slice_mut());
                }
            });
            return;
        }
        let _ = work;
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
                    Storage::Sparse {
                        row_start,
                        col,
                        value,
                        ..
                    } => {
                        let mut spread = vec![0.0; self.features];
                        for i in 0..n {
                            let own = row_start[i]..row_start[i + 1];
                            for (&j, &v) in col[own.clone()].iter().zip(&value[own.clone()]) {
                                spread[j as usize] = v;
                            }
                            for k in i..n {
                                let other = row_start[k]..row_start[k + 1];
                                out[(k, i)] = col[other.clone()]
                                    .iter()
                                    .zip(&value[other])
                                    .map(|(&j, &v)| spread[j as usize] * v)
                                    .sum();
                            }
                            for &j in &col[own] {
                                spread[j as usize] = 0.0;
                            }
                        }
                    }
                }
                out
            })
            .as_ref()
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
