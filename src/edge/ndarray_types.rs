//! ndarray's owned arrays of any layout.
//!
//! Matrices contiguous by rows or by columns are viewed without a copy; others
//! (reversed or sliced axes) are read entry by entry.

use super::{Entries, RectMat, RectView, Stored, SymMat, SymView, VecLike};
use faer::MatRef;
use ndarray::{Array1, Array2};

impl VecLike for Array1<f64> {
    fn dimension(&self) -> usize {
        self.len()
    }
    fn read(&self, out: &mut [f64]) {
        debug_assert_eq!(out.len(), self.len());
        for (out, value) in out.iter_mut().zip(self) {
            *out = *value;
        }
    }
    fn write(&mut self, values: &[f64]) {
        debug_assert_eq!(values.len(), self.len());
        for (entry, value) in self.iter_mut().zip(values) {
            *entry = *value;
        }
    }
}

impl SymMat for Array2<f64> {
    fn sym(&self) -> SymView<'_> {
        match contiguous(self) {
            Some(m) => SymView::Dense(m, Stored::Both),
            None => SymView::Indexed(self, Stored::Both),
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for Array2<f64> {
    fn rect(&self) -> RectView<'_> {
        match contiguous(self) {
            Some(m) => RectView::Dense(m),
            None => RectView::Indexed(self),
        }
    }
}

impl Entries for Array2<f64> {
    fn nrows(&self) -> usize {
        Array2::nrows(self)
    }
    fn ncols(&self) -> Option<usize> {
        Some(Array2::ncols(self))
    }
    fn entry(&self, i: usize, j: usize) -> f64 {
        self[[i, j]]
    }
}

fn contiguous(m: &Array2<f64>) -> Option<MatRef<'_, f64>> {
    let (rows, cols) = m.dim();
    if let Some(values) = m.as_slice() {
        Some(MatRef::from_row_major_slice(values, rows, cols))
    } else {
        let values = m.t().to_slice()?;
        Some(MatRef::from_column_major_slice(values, rows, cols))
    }
}
