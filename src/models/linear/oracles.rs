//! What solvers ask of a linear model.

use super::{LinearModel, Loss, WeightedGram};
use crate::finite_sum::{Batch, FiniteSum};
use crate::models::batch::nan_row;
use crate::problem::HessianProduct;
use crate::status::Failed;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use std::sync::Arc;

impl<L: Loss> CostFunction for LinearModel<L> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.ready(w)?;
        Ok(self.value(w))
    }
}

impl<L: Loss> Gradient for LinearModel<L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.ready(w)?;
        Ok(self.slope(w))
    }
}

impl<L: Loss> Hessian for LinearModel<L> {
    type Param = Vec<f64>;
    type Hessian = WeightedGram<L>;

    fn hessian(&self, w: &Vec<f64>) -> Result<WeightedGram<L>, HostError> {
        self.ready(w)?;
        let weight = self.margins.with(|margins| {
            let slot = margins.place_anchor(self.shared.design.nrows(), w);
            self.shared.evaluate(slot);
            slot.weight.clone()
        });
        Ok(WeightedGram {
            shared: Arc::clone(&self.shared),
            whole: Arc::clone(&self.shared),
            weight,
            scale: (!self.shared.partial).then(|| self.gradient_scale()),
        })
    }
}

impl<L: Loss> HessianProduct for LinearModel<L> {
    type Param = Vec<f64>;

    fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.ready(w)?;
        self.margins.with(|margins| {
            let slot = margins.place_anchor(self.shared.design.nrows(), w);
            self.shared.evaluate(slot);
            self.shared.gram(&slot.weight).mul(0.0, v, out);
        });
        Ok(())
    }

    fn hessian_diagonal(&self, w: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        self.ready(w)?;
        self.margins.with(|margins| {
            let slot = margins.place_anchor(self.shared.design.nrows(), w);
            self.shared.evaluate(slot);
            self.shared.gram(&slot.weight).diagonal(out);
        });
        Ok(true)
    }

    fn gradient_scale(&self) -> Option<f64> {
        Some(LinearModel::gradient_scale(self))
    }

    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }
}

impl<L: Loss> FiniteSum for LinearModel<L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = WeightedGram<L>;

    fn terms(&self) -> usize {
        self.shared.terms()
    }

    fn value(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        self.on(batch, |model| {
            let value = model.cost(w)?;
            model.named(value, w, batch)?;
            Ok(value)
        })
    }

    fn value_gradient(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        self.on(batch, |model| {
            let value = model.cost(w)?;
            model.named(value, w, batch)?;
            Ok((value, model.gradient(w)?))
        })
    }

    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<WeightedGram<L>, HostError> {
        self.on(batch, |model| {
            let hessian = Hessian::hessian(model, w)?;
            if hessian.weight.iter().any(|weight| weight.is_nan()) {
                let shared = &model.shared;
                let nan = |i: usize| hessian.weight[shared.place(i)].is_nan();
                return Err(nan_row(batch, shared.terms(), nan).into());
            }
            Ok(hessian)
        })
    }

    fn hessian_product(
        &self,
        w: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        self.on(batch, |model| {
            HessianProduct::hessian_product(model, w, v, out)
        })
    }
}
