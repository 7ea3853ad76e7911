//! Assembly of the dense Hessian.
//!
//! All blocks are sums of Gₖₗ = Aᵀ diag(c pₖ pₗ) A, k > l. For dense data they come from one
//! matrix product: with Z of n rows and a column aⱼ aₛ for every pair j ≥ s of columns, and Q with
//! a column c pₖ pₗ for every pair of classes, QᵀZ holds every entry of every Gₖₗ once. Z is never
//! formed as a whole but in tiles of a few columns, each the task of one thread. For sparse data and
//! that beyond the cache each Gₖₗ is a Gram matrix by itself.

use super::Shared;
use crate::models::design::GramScratch;
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Rows of Q at a time.
const SLAB: usize = 2048;
/// Rows of a tile of Z.
const ROWS: usize = 256;
/// Columns of a tile of Z.
const TILE: usize = 64;

impl Shared {
    /// The lower triangle of H, from the probabilities.
    pub(super) fn form(&self, p: &[f64]) -> Mat<f64> {
        let d = self.block() * self.classes();
        let mut h = Mat::zeros(d, d);
        if self.block() == 0 {
            return h;
        }
        match self.design.columns() {
            Some(columns) => self.form_dense(columns, p, h.as_mut()),
            None => self.form_by_pairs(p, h.as_mut()),
        }
        for k in 0..self.classes() {
            for j in 0..self.design.features() {
                let j = k * self.block() + j;
                h[(j, j)] += self.l2;
            }
        }
        h
    }

    /// Adds G\[j, s\] = `g`, j ≥ s, of the classes k > l to H.
    fn scatter(&self, h: &mut MatMut<'_, f64>, (k, l): (usize, usize), j: usize, s: usize, g: f64) {
        let (k, l) = (k * self.block(), l * self.block());
        h[(k + j, k + s)] += g;
        h[(l + j, l + s)] += g;
        h[(k + j, l + s)] = -g;
        h[(k + s, l + j)] = -g;
    }

    fn form_by_pairs(&self, p: &[f64], mut h: MatMut<'_, f64>) {
        let (n, block) = (self.class.len(), self.block());
        let mut gram = Mat::zeros(block, block);
        let mut weight = vec![0.0; n];
        let mut scratch = GramScratch::default();
        for pair @ (k, l) in pairs(self.classes()) {
            let products = p[k * n..].iter().zip(&p[l * n..]).zip(&self.share);
            for (w, ((p, q), c)) in weight.iter_mut().zip(products) {
                *w = c * p * q;
            }
            self.design.gram(&weight, gram.as_mut(), &mut scratch);
            for s in 0..block {
                for j in s..block {
                    self.scatter(&mut h, pair, j, s, gram[(j, s)]);
                }
            }
        }
    }

    fn form_dense(&self, columns: &[f64], p: &[f64], mut h: MatMut<'_, f64>) {
        let (n, block, features) = (self.class.len(), self.block(), self.design.features());
        let pairs: Vec<_> = pairs(self.classes()).collect();
        let products: Vec<(u32, u32)> = (0..block as u32)
            .flat_map(|s| (s..block as u32).map(move |j| (j, s)))
            .collect();
        let column = |j: u32| {
            let j = j as usize;
            (j < features).then(|| &columns[j * n..(j + 1) * n])
        };
        // QᵀZ: one row for each pair of classes.
        let mut out = vec![0.0; pairs.len() * products.len()];
        let mut q = vec![0.0; pairs.len() * SLAB.min(n)];
        for first in (0..n).step_by(SLAB) {
            let len = SLAB.min(n - first);
            let share = &self.share[first..first + len];
            let q = &mut q[..pairs.len() * len];
            chunks_mut(q, len, 2 * pairs.len() * len, |at, q| {
                let (k, l) = pairs[at / len];
                let (p, r) = (&p[k * n + first..], &p[l * n + first..]);
                for (((q, p), r), c) in q.iter_mut().zip(p).zip(r).zip(share) {
                    *q = c * p * r;
                }
            });
            let q = MatRef::from_column_major_slice(q, len, pairs.len());
            let size = TILE * pairs.len();
            let work = 2 * out.len() * len;
            chunks_mut(&mut out, size, work, |at, out| {
                let first_product = at / pairs.len();
                let width = out.len() / pairs.len();
                let products = &products[first_product..first_product + width];
                let mut tile = vec![0.0; ROWS.min(len) * width];
                let mut out = MatMut::from_column_major_slice_mut(out, pairs.len(), width);
                for top in (0..len).step_by(ROWS) {
                    let rows = ROWS.min(len - top);
                    let range = first + top..first + top + rows;
                    let tile = &mut tile[..rows * width];
                    for (tile, &(j, s)) in tile.chunks_mut(rows).zip(products) {
                        // The column of ones is the last: s is one only if j is.
                        match (column(j), column(s)) {
                            (Some(a), Some(b)) => {
                                let terms = a[range.clone()].iter().zip(&b[range.clone()]);
                                for (z, (a, b)) in tile.iter_mut().zip(terms) {
                                    *z = a * b;
                                }
                            }
                            (None, Some(b)) => tile.copy_from_slice(&b[range.clone()]),
                            _ => tile.fill(1.0),
                        }
                    }
                    let z = MatRef::from_column_major_slice(tile, rows, width);
                    let q = q.subrows(top, rows).transpose();
                    matmul(out.as_mut(), Accum::Add, q, z, 1.0, Par::Seq);
                }
            });
        }
        for (g, &(j, s)) in out.chunks(pairs.len()).zip(&products) {
            for (g, &pair) in g.iter().zip(&pairs) {
                self.scatter(&mut h, pair, j as usize, s as usize, *g);
            }
        }
    }
}

/// All pairs k > l of classes.
fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(|k| (0..k).map(move |l| (k, l)))
}
