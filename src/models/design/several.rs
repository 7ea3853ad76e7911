//! Some rows of a data matrix, and products with several vectors.

use super::{Design, Storage};
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
            Storage::Dense(columns) => {
                let mut selected = Vec::with_capacity(rows.len() * self.features);
                for column in columns.chunks_exact(self.rows.max(1)) {
                    selected.extend(rows.iter().map(|&i| column[i]));
                }
                Design::with(rows.len(), self.features, 0.0, Storage::Dense(selected))
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
            Storage::Dense(columns) => {
                for (out, w) in out.chunks_mut(self.rows).zip(w.chunks(length)) {
                    out.fill(w.get(self.features).copied().unwrap_or(0.0));
                }
                let a = MatRef::from_column_major_slice(columns, self.rows, self.features);
                let w = MatRef::from_column_major_slice(w, length, vectors);
                let out = MatMut::from_column_major_slice_mut(out, self.rows, vectors);
                product(out, Accum::Add, a, w.subrows(0, self.features));
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
            Storage::Dense(columns) => {
                if length > self.features {
                    for (out, r) in out.chunks_mut(length).zip(r.chunks(self.rows)) {
                        out[self.features] = r.iter().sum();
                    }
                }
                let a = MatRef::from_column_major_slice(columns, self.rows, self.features);
                let r = MatRef::from_column_major_slice(r, self.rows, vectors);
                let out = MatMut::from_column_major_slice_mut(out, length, vectors);
                let out = out.subrows_mut(0, self.features);
                product(out, Accum::Replace, a.transpose(), r);
            }
            _ => {
                for (out, r) in out.chunks_mut(length.max(1)).zip(r.chunks(self.rows)) {
                    self.mul_transpose(r, out);
                }
            }
        }
    }
}

/// out = a b or out += a b.
fn product(out: MatMut<'_, f64>, how: Accum, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let par = crate::parallel::degree(out.nrows() * out.ncols() * a.ncols());
    matmul::matmul(out, how, a, b, 1.0, par);
}
