//! sprs matrices, viewed without a copy.
//!
//! The rows of a CSR Hessian are viewed as the columns of its transpose, which is
//! the same symmetric matrix with its triangles exchanged. Two kinds are read
//! entry by entry, each entry by a binary search: a copy of a slice, whose
//! pointers do not start at zero, and a matrix too large for signed indices.

use super::{Entries, RectMat, RectView, Stored, SymMat, SymView};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use sprs::CsMat;
use std::borrow::Cow;

impl SymMat for CsMat<f64> {
    fn sym(&self) -> SymView<'_> {
        match compressed(self) {
            Some(m) => SymView::Sparse(m, Stored::Both),
            None => SymView::Indexed(self, Stored::Both),
        }
    }
    fn triangle(&self, stored: Stored) -> SymView<'_> {
        match self.sym() {
            SymView::Sparse(m, _) if self.is_csr() => SymView::Sparse(m, stored.transposed()),
            view => view.stored(stored),
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for CsMat<f64> {
    fn rect(&self) -> RectView<'_> {
        match compressed(self) {
            Some(m) if self.is_csc() => RectView::Columns(m),
            Some(m) => RectView::Rows(m.transpose()),
            None => RectView::Indexed(self),
        }
    }
}

impl Entries for CsMat<f64> {
    fn nrows(&self) -> usize {
        self.rows()
    }
    fn ncols(&self) -> Option<usize> {
        Some(self.cols())
    }
    fn entry(&self, i: usize, j: usize) -> f64 {
        self.get(i, j).copied().unwrap_or(0.0)
    }
}

/// The matrix by columns (CSC) or its transpose by columns (CSR).
///
/// sprs guarantees the structure that `new_checked` asserts: increasing pointers
/// and indices sorted, without repetition and in range.
fn compressed(m: &CsMat<f64>) -> Option<SparseColMatRef<'_, usize, f64>> {
    let Cow::Borrowed(pointers) = m.proper_indptr() else {
        return None;
    };
    let (inner, outer) = (m.inner_dims(), m.outer_dims());
    if inner.max(outer) > isize::MAX as usize {
        return None;
    }
    let pattern = SymbolicSparseColMatRef::new_checked(inner, outer, pointers, None, m.indices());
    Some(SparseColMatRef::new(pattern, m.data()))
}
