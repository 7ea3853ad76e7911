//! An oracle that counts.

use super::{Abort, Curvature, Oracle};
use crate::edge::RectView;
use crate::finite_sum::Batch;
use crate::output_model::OutputLoss;
use crate::record::Report;
use crate::status::Failed;
use crate::transport::Transport;
use faer::MatMut;

/// An oracle that keeps the totals of a [`Report`].
pub struct Counted<'a> {
    pub(crate) inner: &'a mut dyn Oracle,
    pub(crate) report: &'a mut Report,
}

impl Oracle for Counted<'_> {
    fn transport(&mut self) -> Result<&Transport, Abort> {
        self.inner.transport()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort> {
        self.report.values += 1;
        self.inner.value(x)
    }
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.gradients += 1;
        self.inner.gradient(x, out)
    }
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort> {
        self.report.values += 1;
        self.report.gradients += 1;
        self.inner.value_gradient(x, out)
    }
    fn is_fused(&self) -> bool {
        self.inner.is_fused()
    }
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort> {
        self.inner.refresh(x)?;
        if let Curvature::Matrix(_) = self.inner.curvature() {
            self.report.hessians += 1;
        }
        Ok(())
    }
    fn curvature(&self) -> Curvature<'_> {
        self.inner.curvature()
    }
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.hessian_products += 1;
        self.inner.product(v, out)
    }
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort> {
        self.inner.diagonal(out)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.inner.gradient_scale()
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.inner.verify(x, step)
    }
    fn may_object(&self) -> bool {
        self.inner.may_object()
    }
    fn validate(&mut self) -> Result<(), Abort> {
        self.inner.validate()
    }
    fn fail(&mut self, error: crate::Error) -> Abort {
        self.inner.fail(error)
    }
    fn terms(&self) -> Option<usize> {
        self.inner.terms()
    }
    fn batch_value(&mut self, x: &[f64], batch: Batch<'_>) -> Result<f64, Abort> {
        self.report.batch_values += 1;
        self.inner.batch_value(x, batch)
    }
    fn batch_value_gradient(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: &mut [f64],
    ) -> Result<f64, Abort> {
        self.report.batch_values += 1;
        self.report.batch_gradients += 1;
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_value_gradient(x, batch, out)
    }
    fn batch_refresh(&mut self, x: &[f64], batch: Batch<'_>) -> Result<(), Abort> {
        self.report.batch_hessians += 1;
        self.inner.batch_refresh(x, batch)
    }
    fn n_constraints(&self) -> usize {
        self.inner.n_constraints()
    }
    fn constraints(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.report.constraints += 1;
        self.inner.constraints(x, out)
    }
    fn show_jacobian(
        &mut self,
        x: &[f64],
        show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Abort> {
        self.report.jacobians += 1;
        self.inner.show_jacobian(x, show)
    }
    fn refresh_lagrangian(&mut self, x: &[f64], multipliers: &[f64]) -> Result<(), Abort> {
        self.inner.refresh_lagrangian(x, multipliers)?;
        if let Curvature::Matrix(_) = self.inner.curvature() {
            self.report.hessians += 1;
        }
        Ok(())
    }
    fn residuals(&mut self, x: &[f64], out: &mut Vec<f64>) -> Result<(), Abort> {
        self.report.residuals += 1;
        self.inner.residuals(x, out)
    }
    fn jacobian(&mut self, x: &[f64], rows: usize) -> Result<(), Abort> {
        self.report.jacobians += 1;
        self.inner.jacobian(x, rows)
    }
    fn rect(&self) -> Option<RectView<'_>> {
        self.inner.rect()
    }

    fn loss(&self) -> Option<OutputLoss<'_>> {
        self.inner.loss()
    }
    fn outputs_len(&self) -> usize {
        self.inner.outputs_len()
    }
    fn l2(&self) -> f64 {
        self.inner.l2()
    }
    fn batch_outputs(&mut self, x: &[f64], batch: Batch<'_>, out: &mut [f64]) -> Result<(), Abort> {
        self.report.batch_values += 1;
        self.inner.batch_outputs(x, batch, out)
    }
    fn batch_jacobian(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), Abort> {
        self.report.batch_hessians += 1;
        self.report.sample_gradients += out.nrows() as u64;
        self.inner.batch_jacobian(x, batch, out)
    }
    fn batch_gram(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<bool, Abort> {
        let rows = out.nrows() as u64;
        let found = self.inner.batch_gram(x, batch, out)?;
        if found {
            self.report.batch_hessians += 1;
            self.report.sample_gradients += rows;
        }
        Ok(found)
    }
    fn batch_jvp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_jvp(x, batch, v, out)
    }
    fn batch_vjp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        self.report.batch_gradients += 1;
        self.report.sample_gradients += self.size(batch);
        self.inner.batch_vjp(x, batch, u, out)
    }
}

impl Counted<'_> {
    /// Number of terms in a batch.
    fn size(&self, batch: Batch<'_>) -> u64 {
        batch.len(self.inner.terms().unwrap_or(0)) as u64
    }
}
