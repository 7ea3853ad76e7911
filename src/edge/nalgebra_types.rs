//! nalgebra's owned matrices, dynamic and fixed; they are contiguous by columns.

use super::{RectMat, RectView, Stored, SymMat, SymView, VecLike};
use faer::MatRef;
use nalgebra::allocator::Allocator;
use nalgebra::{DefaultAllocator, Dim, OMatrix};

/// Column and row vectors; a matrix counts as the vector of its columns.
impl<R: Dim, C: Dim> VecLike for OMatrix<f64, R, C>
where
    DefaultAllocator: Allocator<R, C>,
{
    fn dimension(&self) -> usize {
        self.len()
    }
    fn read(&self, out: &mut [f64]) {
        out.copy_from_slice(self.as_slice());
    }
    fn write(&mut self, values: &[f64]) {
        self.as_mut_slice().copy_from_slice(values);
    }
}

impl<R: Dim, C: Dim> SymMat for OMatrix<f64, R, C>
where
    DefaultAllocator: Allocator<R, C>,
{
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(view(self), Stored::Both)
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl<R: Dim, C: Dim> RectMat for OMatrix<f64, R, C>
where
    DefaultAllocator: Allocator<R, C>,
{
    fn rect(&self) -> RectView<'_> {
        RectView::Dense(view(self))
    }
}

fn view<R: Dim, C: Dim>(m: &OMatrix<f64, R, C>) -> MatRef<'_, f64>
where
    DefaultAllocator: Allocator<R, C>,
{
    MatRef::from_column_major_slice(m.as_slice(), m.nrows(), m.ncols())
}
