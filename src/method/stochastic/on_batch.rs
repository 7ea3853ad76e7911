//! A finite sum restricted to a batch.

use crate::finite_sum::Batch;
use crate::oracle::{Abort, Counted, Curvature, Oracle};
use crate::status::Failed;

/// The mean over one batch as a problem of its own, whose calls count as calls on batches.
pub(crate) struct OnBatch<'a> {
    pub(crate) oracle: Counted<'a>,
    pub(crate) batch: Batch<'a>,
}

impl Oracle for OnBatch<'_> {
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort> {
        self.oracle.batch_value(x, self.batch)
    }
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.value_gradient(x, out).map(|_| ())
    }
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort> {
        self.oracle.batch_value_gradient(x, self.batch, out)
    }
    fn is_fused(&self) -> bool {
        self.oracle.is_fused()
    }
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort> {
        self.oracle.batch_refresh(x, self.batch)
    }
    fn curvature(&self) -> Curvature<'_> {
        self.oracle.curvature()
    }
    /// Counts as two gradients of each term.
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        let terms = match self.batch {
            Batch::All => self.oracle.terms().unwrap_or(0),
            Batch::Terms(terms) => terms.len(),
        };
        self.oracle.report.sample_gradients += 2 * terms as u64;
        self.oracle.product(v, out)
    }
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort> {
        self.oracle.diagonal(out)
    }
    fn gradient_scale(&self) -> Option<f64> {
        None
    }
    fn verify(&self, _: &[f64], _: &[f64]) -> Result<(), Failed> {
        Ok(())
    }
    fn may_object(&self) -> bool {
        false
    }
    fn validate(&mut self) -> Result<(), Abort> {
        self.oracle.validate()
    }
    fn fail(&mut self, error: crate::Error) -> Abort {
        self.oracle.fail(error)
    }
}
