//! The Jacobian of the constraints in storage of its own.

use crate::edge::RectView;
use faer::MatRef;
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};

/// G, m x n: compressed columns, or dense and column-major.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Jacobian {
    m: usize,
    n: usize,
    sparse: bool,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
}

impl Jacobian {
    /// Without constraints on `n` variables.
    pub(super) fn clear(&mut self, n: usize) {
        *self = Jacobian {
            n,
            ..Jacobian::default()
        };
    }

    /// Copies a matrix.
    pub(super) fn set(&mut self, view: RectView<'_>) {
        (self.m, self.n) = (view.nrows(), view.ncols());
        self.sparse = matches!(view, RectView::Columns(_) | RectView::Rows(_));
        self.values.clear();
        match view {
            RectView::Columns(matrix) => self.set_columns(matrix),
            RectView::Rows(matrix) => self.set_transpose(matrix.transpose()),
            RectView::Dense(matrix) => {
                for j in 0..self.n {
                    self.values.extend(matrix.col(j).iter());
                }
            }
            RectView::Indexed(matrix) => {
                for j in 0..self.n {
                    self.values.extend((0..self.m).map(|i| matrix.entry(i, j)));
                }
            }
        }
    }

    fn set_columns(&mut self, matrix: SparseColMatRef<'_, usize, f64>) {
        self.col_ptr.clear();
        self.row_idx.clear();
        self.col_ptr.push(0);
        for j in 0..self.n {
            self.row_idx.extend_from_slice(matrix.row_idx_of_col_raw(j));
            self.values.extend_from_slice(matrix.val_of_col(j));
            self.col_ptr.push(self.row_idx.len());
        }
    }

    /// Gᵀ is given: counting sort by column.
    fn set_transpose(&mut self, rows: SparseColMatRef<'_, usize, f64>) {
        self.col_ptr.clear();
        self.col_ptr.resize(self.n + 1, 0);
        for i in 0..self.m {
            for &j in rows.row_idx_of_col_raw(i) {
                self.col_ptr[j + 1] += 1;
            }
        }
        for j in 0..self.n {
            self.col_ptr[j + 1] += self.col_ptr[j];
        }
        let entries = self.col_ptr[self.n];
        self.row_idx.resize(entries, 0);
        self.values.resize(entries, 0.0);
        // `col_ptr[j]` moves to the end of column j and is the start of the next one then.
        for i in 0..self.m {
            for (&j, &a) in rows.row_idx_of_col_raw(i).iter().zip(rows.val_of_col(i)) {
                self.row_idx[self.col_ptr[j]] = i;
                self.values[self.col_ptr[j]] = a;
                self.col_ptr[j] += 1;
            }
        }
        self.col_ptr.copy_within(0..self.n, 1);
        self.col_ptr[0] = 0;
    }

    pub(super) fn rows(&self) -> usize {
        self.m
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Stored entries.
    pub(super) fn entries(&self) -> usize {
        self.values.len()
    }

    fn view(&self) -> RectView<'_> {
        if self.sparse {
            let symbolic = SymbolicSparseColMatRef::new_unsorted_checked(
                self.m,
                self.n,
                &self.col_ptr,
                None,
                &self.row_idx,
            );
            RectView::Columns(SparseColMatRef::new(symbolic, &self.values))
        } else {
            RectView::Dense(MatRef::from_column_major_slice(
                &self.values,
                self.m,
                self.n,
            ))
        }
    }

    /// `out` = G p.
    pub(super) fn mul(&self, p: &[f64], out: &mut [f64]) {
        if self.m > 0 {
            self.view().mul(p, out);
        }
    }

    /// `out` = Gᵀ u.
    pub(super) fn mul_transpose(&self, u: &[f64], out: &mut [f64]) {
        if self.m > 0 {
            self.view().mul_transpose(u, out);
        } else {
            out.fill(0.0);
        }
    }

    /// The stored entries of column j as (i, G_ij).
    pub(super) fn column(&self, j: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = if self.sparse {
            self.col_ptr[j]..self.col_ptr[j + 1]
        } else {
            j * self.m..(j + 1) * self.m
        };
        let start = range.start;
        let index = move |k: usize| {
            if self.sparse {
                self.row_idx[k]
            } else {
                k - start
            }
        };
        range.map(move |k| (index(k), self.values[k]))
    }

    /// ‖G‖_F.
    pub(super) fn norm(&self) -> f64 {
        crate::parallel::norm(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::RectMat;
    use faer::sparse::{SparseColMat, SparseRowMat, Triplet};

    #[test]
    fn every_storage_is_copied_alike() {
        let dense = vec![vec![1.0, 0.0, 2.0], vec![0.0, 3.0, -1.0]];
        let mut triplets = Vec::new();
        for (i, row) in dense.iter().enumerate() {
            for (j, &a) in row.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                triplets.push(Triplet::new(i, j, a));
            }
        }
        let columns = SparseColMat::try_new_from_triplets(2, 3, &triplets).unwrap();
        let rows = SparseRowMat::try_new_from_triplets(2, 3, &triplets).unwrap();
        let full = faer::Mat::from_fn(2, 3, |i, j| dense[i][j]);
        // One object, so that storage of one kind is taken over by another.
        let mut copy = Jacobian::default();
        let views = [
            dense.rect(),
            columns.rect(),
            rows.rect(),
            full.rect(),
            rows.rect(),
        ];
        for view in views {
            copy.set(view);
            let (mut out, mut back) = ([f64::NAN; 2], [f64::NAN; 3]);
            copy.mul(&[1.0, 2.0, 3.0], &mut out);
            copy.mul_transpose(&[1.0, 2.0], &mut back);
            assert_eq!((out, back), ([7.0, 3.0], [1.0, 6.0, 0.0]));
            assert_eq!(copy.norm(), 15f64.sqrt());
            let entries = |j| -> f64 { copy.column(j).map(|(i, a)| a * (i + 1) as f64).sum() };
            assert_eq!([entries(0), entries(1), entries(2)], [1.0, 6.0, 0.0]);
        }
        copy.clear(3);
        let mut back = [f64::NAN; 3];
        copy.mul(&[1.0; 3], &mut []);
        copy.mul_transpose(&[], &mut back);
        assert_eq!((copy.rows(), back), (0, [0.0; 3]));
    }
}
