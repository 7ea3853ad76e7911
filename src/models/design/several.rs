//! Some rows of a data matrix, and products with several vectors.

use super::dense::Dense;
use super::{Design, Rows, Storage, add_up};
#[cfg(feature = "rayon")]
use crate::parallel::is_shared;
use crate::parallel::stripes;
use faer::linalg::matmul;
use faer::{Accum, MatMut, MatRef};

impl Design {
    /// The given rows, each as often as it occurs, stored in the same way.
    ///
    /// Cost: one pass over the entries of these rows, and d.
    pub(crate) fn select(&self, rows: &[usize]) -> Design {
        match &self.storage {
            Storage::Sparse { rows: sparse, .. } => {
                Design::sparse(rows.len(), self.features, sparse.select(rows))
            }
            Storage::Coded(coded) => match coded.select(rows) {
                Ok(coded) => Design::coded(self.features, coded),
                Err(plain) => Design::sparse(rows.len(), self.features, plain),
            },
            Storage::Scaled(scaled) => Design::scaled(self.features, scaled.select(rows)),
            Storage::Dense(dense) => {
                let selected = Storage::Dense(dense.select(rows));
                Design::with(rows.len(), self.features, 0.0, selected)
            }
        }
    }

    /// out = A W for several vectors at once, one after the other in `w` and `out`.
    ///
    /// Cost: one pass over the entries a vector; dense data in one matrix product.
    pub(crate) fn mul_each(&self, w: &[f64], out: &mut [f64]) {
        let vectors = out.len() / self.rows.max(1);
        let length = w.len() / vectors.max(1);
        match &self.storage {
            _ if vectors <= 1 => self.mul(w, out),
            _ if length == 0 => out.fill(0.0),
            Storage::Dense(dense) => {
                for (out, w) in out.chunks_mut(self.rows).zip(w.chunks(length)) {
                    out.fill(w.get(self.features).copied().unwrap_or(0.0));
                }
                let w = MatRef::from_column_major_slice(w, length, vectors);
                let out = MatMut::from_column_major_slice_mut(out, self.rows, vectors);
                mul_blocks(dense, w.subrows(0, self.features), out);
            }
            _ => {
                for (out, w) in out.chunks_mut(self.rows).zip(w.chunks(length)) {
                    self.mul(w, out);
                }
            }
        }
    }

    /// out = Aᵀ R for several vectors at once; see [`mul_each`](Design::mul_each).
    pub(crate) fn mul_transpose_each(&self, r: &[f64], out: &mut [f64]) {
        let vectors = r.len() / self.rows.max(1);
        let length = out.len() / vectors.max(1);
        match &self.storage {
            _ if vectors <= 1 => self.mul_transpose(r, out),
            Storage::Dense(dense) => {
                let r = MatRef::from_column_major_slice(r, self.rows, vectors);
                let width = self.features * vectors;
                let add = |rows: Rows, []: [&mut [f64]; 0], sums: &mut [f64]| {
                    for part in dense.parts(rows) {
                        let sums =
                            MatMut::from_column_major_slice_mut(sums, self.features, vectors);
                        let r = r.subrows(part.rows.start, part.rows.len());
                        product(sums, part.matrix().transpose(), r);
                    }
                };
                let work = 2 * self.entries() * vectors;
                let stripe = match dense.size() {
                    Some(_) => self.stripe(width, work / 2),
                    None => self.rows,
                };
                let ones = r.col_iter().map(|r| r.sum());
                let outs = out.chunks_mut(length.max(1)).zip(ones);
                self.with_sums(self.rows.div_ceil(stripe) * width, |sums| {
                    stripes(self.rows, [], stripe, sums, width, work, &add);
                    let sums = add_up(sums, width).chunks(self.features.max(1));
                    for ((out, ones), sums) in outs.zip(sums) {
                        let (features, last) = out.split_at_mut(self.features);
                        features.copy_from_slice(sums);
                        last.fill(ones);
                    }
                });
            }
            _ => {
                for (out, r) in out.chunks_mut(length.max(1)).zip(r.chunks(self.rows)) {
                    self.mul_transpose(r, out);
                }
            }
        }
    }
}

/// out += A w, a block of rows at a time.
fn mul_blocks(dense: &Dense, w: MatRef<'_, f64>, mut out: MatMut<'_, f64>) {
    let block = |first: usize, out: MatMut<'_, f64>| {
        if let Some(part) = dense.parts(first..first + out.nrows()).next() {
            product(out, part.matrix(), w);
        }
    };
    let rows = out.nrows();
    let size = dense.size().unwrap_or(rows);
    #[cfg(feature = "rayon")]
    if size < rows && is_shared(2 * dense.entries() * w.ncols()) {
        use rayon::prelude::*;
        let blocks = out.par_row_chunks_mut(size).enumerate();
        blocks.for_each(|(k, out)| block(k * size, out));
        return;
    }
    for first in (0..rows).step_by(size.max(1)) {
        let len = size.min(rows - first);
        block(first, out.as_mut().subrows_mut(first, len));
    }
}

/// out += a b.
fn product(out: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let par = crate::parallel::degree(out.nrows() * out.ncols() * a.ncols());
    matmul::matmul(out, Accum::Add, a, b, 1.0, par);
}
