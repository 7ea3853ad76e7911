//! What solvers ask of a model over a cache.

use super::model::{Hessian, StreamedHessian, StreamedModel};
use crate::finite_sum::{Batch, FiniteSum};
use crate::models::linear::Loss;
use crate::problem::{Fused, HessianProduct};
use crate::status::Failed;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian as HostHessian};
use std::sync::Arc;

impl<L: Loss> StreamedModel<L> {
    fn formed(&self, w: &[f64]) -> Result<StreamedHessian<L>, HostError> {
        self.ready(w)?;
        let scale = Some(self.scale()?);
        Ok(StreamedHessian {
            matrix: self.shared.hessian(w)?,
            shared: Arc::clone(&self.shared),
            scale,
        })
    }

    /// Value and gradient, or an error that says that they are NaN.
    fn numbers(&self, w: &[f64]) -> Result<(f64, Vec<f64>), HostError> {
        let (f, g) = self.both(w)?;
        if f.is_nan() {
            return Err(self.shared.nan_row(w).into());
        }
        Ok((f, g))
    }
}

impl<L: Loss> CostFunction for StreamedModel<L> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.both(w)?.0)
    }
}

impl<L: Loss> Gradient for StreamedModel<L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(self.both(w)?.1)
    }
}

impl<L: Loss> HostHessian for StreamedModel<L> {
    type Param = Vec<f64>;
    type Hessian = StreamedHessian<L>;
    fn hessian(&self, w: &Vec<f64>) -> Result<StreamedHessian<L>, HostError> {
        self.formed(w)
    }
}

impl<L: Loss> Fused for StreamedModel<L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = StreamedHessian<L>;
    fn value(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.both(w)?.0)
    }
    fn value_gradient(&self, w: &Vec<f64>) -> Result<(f64, Vec<f64>), HostError> {
        Ok(self.both(w)?)
    }
    fn hessian(&self, w: &Vec<f64>) -> Result<StreamedHessian<L>, HostError> {
        self.formed(w)
    }
}

impl<L: Loss> HessianProduct for StreamedModel<L> {
    type Param = Vec<f64>;
    fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.ready(w)?;
        Ok(self.shared.product(w, v, out)?)
    }
    fn hessian_diagonal(&self, w: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        self.ready(w)?;
        self.shared.diagonal(w, out)?;
        Ok(true)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.known_scale()
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }
}

impl<L: Loss> FiniteSum for StreamedModel<L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = Hessian<L>;

    fn terms(&self) -> usize {
        self.shared.rows.n_rows()
    }
    fn value(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        match batch {
            Batch::All => Ok(self.numbers(w)?.0),
            Batch::Terms(terms) => self.on(terms)?.value(w, Batch::All),
        }
    }
    fn value_gradient(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        match batch {
            Batch::All => self.numbers(w),
            Batch::Terms(terms) => self.on(terms)?.value_gradient(w, Batch::All),
        }
    }
    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<Hessian<L>, HostError> {
        Ok(match batch {
            Batch::All => Hessian::Whole(self.formed(w)?),
            Batch::Terms(terms) => {
                Hessian::Batch(FiniteSum::hessian(&*self.on(terms)?, w, Batch::All)?)
            }
        })
    }
    fn hessian_product(
        &self,
        w: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        match batch {
            Batch::All => HessianProduct::hessian_product(self, w, v, out),
            Batch::Terms(terms) => {
                FiniteSum::hessian_product(&*self.on(terms)?, w, Batch::All, v, out)
            }
        }
    }
}

#[cfg(feature = "distributed")]
impl<L: Loss> crate::distributed::Shard for StreamedModel<L> {
    fn dimension(&self) -> usize {
        StreamedModel::dimension(self)
    }
    fn origin(&self) -> Option<Vec<f64>> {
        Some(StreamedModel::origin(self))
    }
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        HessianProduct::hessian_diagonal(self, x, out)
    }
    fn recedes(&self) -> bool {
        self.shared.may_object()
    }
    fn advance(&self, x: &[f64]) -> (f64, f64) {
        // A file that can no longer be read says nothing; the next exchange reports it.
        let unknown = (f64::NEG_INFINITY, f64::INFINITY);
        self.shared.advance(x).unwrap_or(unknown)
    }
}
