//! faer's own vectors and matrices, viewed without a copy.
//!
//! faer allows sparse matrices whose indices are unsorted or repeated within a
//! column or row. Those are read entry by entry, repeated entries summed as faer
//! does, which costs a scan of the column or row per entry. Matrices made by
//! `try_new_from_triplets` or by conversion are always sorted.

use super::{Entries, RectMat, RectView, Stored, SymMat, SymView, VecLike};
use faer::sparse::{SparseColMat, SparseColMatRef, SparseRowMat};
use faer::{Col, Mat};

impl VecLike for Col<f64> {
    fn dimension(&self) -> usize {
        self.nrows()
    }
    fn read(&self, out: &mut [f64]) {
        debug_assert_eq!(out.len(), self.nrows());
        for (out, value) in out.iter_mut().zip(self.iter()) {
            *out = *value;
        }
    }
    fn write(&mut self, values: &[f64]) {
        debug_assert_eq!(values.len(), self.nrows());
        for (entry, value) in self.iter_mut().zip(values) {
            *entry = *value;
        }
    }
}

impl SymMat for Mat<f64> {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(self.as_ref(), Stored::Both)
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for Mat<f64> {
    fn rect(&self) -> RectView<'_> {
        RectView::Dense(self.as_ref())
    }
}

impl SymMat for SparseColMat<usize, f64> {
    fn sym(&self) -> SymView<'_> {
        if is_sorted(self.as_ref()) {
            SymView::Sparse(self.as_ref(), Stored::Both)
        } else {
            SymView::Indexed(self, Stored::Both)
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for SparseColMat<usize, f64> {
    fn rect(&self) -> RectView<'_> {
        if is_sorted(self.as_ref()) {
            RectView::Columns(self.as_ref())
        } else {
            RectView::Indexed(self)
        }
    }
}

/// The rows are viewed as the columns of the transpose: the same symmetric matrix
/// with its triangles exchanged.
impl SymMat for SparseRowMat<usize, f64> {
    fn sym(&self) -> SymView<'_> {
        if is_sorted(self.transpose()) {
            SymView::Sparse(self.transpose(), Stored::Both)
        } else {
            SymView::Indexed(self, Stored::Both)
        }
    }
    fn triangle(&self, stored: Stored) -> SymView<'_> {
        match self.sym() {
            SymView::Sparse(m, _) => SymView::Sparse(m, stored.transposed()),
            view => view.stored(stored),
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for SparseRowMat<usize, f64> {
    fn rect(&self) -> RectView<'_> {
        if is_sorted(self.transpose()) {
            RectView::Rows(self.as_ref())
        } else {
            RectView::Indexed(self)
        }
    }
}

impl Entries for SparseColMat<usize, f64> {
    fn nrows(&self) -> usize {
        self.symbolic().nrows()
    }
    fn ncols(&self) -> Option<usize> {
        Some(self.symbolic().ncols())
    }
    fn entry(&self, i: usize, j: usize) -> f64 {
        scan(self.as_ref(), i, j)
    }
}

impl Entries for SparseRowMat<usize, f64> {
    fn nrows(&self) -> usize {
        self.symbolic().nrows()
    }
    fn ncols(&self) -> Option<usize> {
        Some(self.symbolic().ncols())
    }
    fn entry(&self, i: usize, j: usize) -> f64 {
        scan(self.transpose(), j, i)
    }
}

/// Whether the row indices strictly increase within every column; O(nnz).
fn is_sorted(m: SparseColMatRef<'_, usize, f64>) -> bool {
    (0..m.ncols()).all(|j| m.row_idx_of_col_raw(j).is_sorted_by(|a, b| a < b))
}

/// Sum of the entries stored at (`i`, `j`) in any order; O(nnz of column `j`).
fn scan(m: SparseColMatRef<'_, usize, f64>, i: usize, j: usize) -> f64 {
    let stored = m.row_idx_of_col_raw(j).iter().zip(m.val_of_col(j));
    let hits = stored.filter(|(row, _)| **row == i);
    hits.fold(0.0, |sum, (_, value)| sum + value)
}
