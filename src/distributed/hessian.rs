//! The Hessian of all ranks, from one packed triangle each.

use super::{Communicator, Inner, Shard};
use crate::edge::{Stored, SymMat, SymView};
use crate::finite_sum::Batch;
use crate::linear::for_each_lower;
use crate::models::design::GramScratch;
use crate::status::Failed;
use argmin::core::Error as HostError;
use faer::Mat;
use std::rc::Rc;

/// The Hessian summed over all ranks: the lower triangle of a d x d matrix.
#[derive(Debug)]
pub struct SummedHessian<O, C> {
    inner: Rc<Inner<O, C>>,
    matrix: Rc<Mat<f64>>,
    /// That of all terms, not of a batch.
    whole: bool,
}

/// Where the triangle of a Gram matrix is formed.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    matrix: Option<Mat<f64>>,
    scratch: GramScratch,
}

impl Workspace {
    /// Writes the lower triangle, column after column, times `share` to `out`, which holds zeros.
    fn pack(
        &mut self,
        view: SymView<'_>,
        d: usize,
        share: f64,
        out: &mut [f64],
    ) -> Result<(), HostError> {
        view.check_shape(d)?;
        // Column j of the triangle starts at j d − j(j − 1)/2, with its diagonal.
        let place = |i: usize, j: usize| j * d - (j * j - j) / 2 + i - j;
        let SymView::Gram(gram) = view else {
            for_each_lower(view, &mut |i, j, a| out[place(i, j)] = share * a);
            return Ok(());
        };
        let matrix = self.matrix.get_or_insert_with(|| Mat::zeros(d, d));
        gram.form(matrix.as_mut(), &mut self.scratch);
        let mut rest = out;
        for j in 0..d {
            let (column, later) = rest.split_at_mut(d - j);
            for (out, a) in column.iter_mut().zip(&matrix.col_as_slice(j)[j..]) {
                *out = share * a;
            }
            rest = later;
        }
        Ok(())
    }
}

impl<O: Shard, C: Communicator> SummedHessian<O, C> {
    pub(super) fn new(
        inner: &Rc<Inner<O, C>>,
        x: &Vec<f64>,
        batch: Batch<'_>,
    ) -> Result<Self, HostError> {
        let d = inner.dimension;
        // The last Hessian is gone by now, unless someone kept it.
        let spare = inner.spare.borrow_mut().take();
        let mut matrix = match spare {
            Some(matrix) if Rc::strong_count(&matrix) == 1 => matrix,
            _ => Rc::new(Mat::zeros(d, d)),
        };
        let evaluate = |batch: Batch<'_>, share: f64, out: &mut [f64]| {
            let Some(shard) = &inner.shard else {
                return Ok(());
            };
            let hessian = shard.hessian(x, batch)?;
            let mut workspace = inner.workspace.borrow_mut();
            workspace.pack(hessian.sym(), d, share, out)
        };
        inner.summed(batch, d * (d + 1) / 2, evaluate, |sum| {
            let Some(target) = Rc::get_mut(&mut matrix) else {
                return;
            };
            let mut rest = sum;
            for j in 0..d {
                let (column, later) = rest.split_at(d - j);
                target.col_as_slice_mut(j)[j..].copy_from_slice(column);
                rest = later;
            }
        })?;
        *inner.spare.borrow_mut() = Some(Rc::clone(&matrix));
        Ok(SummedHessian {
            inner: Rc::clone(inner),
            matrix,
            whole: batch == Batch::All,
        })
    }
}

impl<O: Shard, C: Communicator> SymMat for SummedHessian<O, C> {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(self.matrix.as_ref().as_ref(), Stored::Lower)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.inner.scale.filter(|_| self.whole)
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if self.whole {
            return self.inner.verify(x, step);
        }
        Ok(())
    }
    fn may_object(&self) -> bool {
        self.whole && self.inner.recedes
    }
}
