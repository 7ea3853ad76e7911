//! Scalars, vectors and rows of the standard library.

use super::{Entries, RectMat, RectView, Stored, SymMat, SymView, VecLike};
use faer::MatRef;
use std::slice;

impl VecLike for Vec<f64> {
    fn dimension(&self) -> usize {
        self.len()
    }
    fn read(&self, out: &mut [f64]) {
        out.copy_from_slice(self);
    }
    fn write(&mut self, values: &[f64]) {
        self.copy_from_slice(values);
    }
}

impl<const N: usize> VecLike for [f64; N] {
    fn dimension(&self) -> usize {
        N
    }
    fn read(&self, out: &mut [f64]) {
        out.copy_from_slice(self);
    }
    fn write(&mut self, values: &[f64]) {
        self.copy_from_slice(values);
    }
}

/// The parameter or gradient of a problem in one variable.
impl VecLike for f64 {
    fn dimension(&self) -> usize {
        1
    }
    fn read(&self, out: &mut [f64]) {
        out.copy_from_slice(slice::from_ref(self));
    }
    fn write(&mut self, values: &[f64]) {
        slice::from_mut(self).copy_from_slice(values);
    }
}

/// The second derivative of a problem in one variable: 1 x 1.
impl SymMat for f64 {
    fn sym(&self) -> SymView<'_> {
        let m = MatRef::from_column_major_slice(slice::from_ref(self), 1, 1);
        SymView::Dense(m, Stored::Both)
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl<const N: usize> SymMat for [[f64; N]; N] {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(rows(self), Stored::Both)
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl<const M: usize, const N: usize> RectMat for [[f64; N]; M] {
    fn rect(&self) -> RectView<'_> {
        RectView::Dense(rows(self))
    }
}

fn rows<const M: usize, const N: usize>(m: &[[f64; N]; M]) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(m.as_flattened(), M, N)
}

/// One inner vector per row. Without rows there are no columns.
impl Entries for Vec<Vec<f64>> {
    fn nrows(&self) -> usize {
        self.len()
    }
    fn ncols(&self) -> Option<usize> {
        let n = self.first().map_or(0, Vec::len);
        self.iter().all(|row| row.len() == n).then_some(n)
    }
    fn entry(&self, i: usize, j: usize) -> f64 {
        self[i][j]
    }
}

impl SymMat for Vec<Vec<f64>> {
    fn sym(&self) -> SymView<'_> {
        SymView::Indexed(self, Stored::Both)
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl RectMat for Vec<Vec<f64>> {
    fn rect(&self) -> RectView<'_> {
        RectView::Indexed(self)
    }
}
