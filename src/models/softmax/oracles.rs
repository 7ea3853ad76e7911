//! What solvers ask of a softmax model.

use super::{Softmax, SoftmaxHessian};
use crate::error::Error;
use crate::finite_sum::{Batch, FiniteSum};
use crate::problem::{Fused, HessianProduct};
use crate::status::Failed;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use std::sync::Arc;

/// Largest dimension for which a Hessian is formed (8 GiB).
const LARGEST: usize = 1 << 15;

impl CostFunction for Softmax {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.ready(w)?;
        let loss = self.margins.with(|margins| {
            let slot = margins.at(&self.shared.design, w);
            self.shared.evaluate(slot);
            slot.value
        });
        Ok(loss + self.shared.penalty(w))
    }
}

impl Gradient for Softmax {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.ready(w)?;
        let mut g = vec![0.0; w.len()];
        self.margins.with(|margins| {
            let slot = margins.at(&self.shared.design, w);
            self.shared.evaluate(slot);
            self.shared.design.mul_transpose_each(&slot.rows, &mut g);
        });
        self.shared.add_penalty(w, &mut g);
        Ok(g)
    }
}

impl Hessian for Softmax {
    type Param = Vec<f64>;
    type Hessian = SoftmaxHessian;

    /// Also an error for more than 32768 parameters: use `matrix_free()`.
    fn hessian(&self, w: &Vec<f64>) -> Result<SoftmaxHessian, HostError> {
        self.ready(w)?;
        let d = w.len();
        if d > LARGEST {
            let text = format!(
                "the Hessian is {d} x {d}, too large to be formed; use a solver's matrix_free()"
            );
            return Err(Error::Data(text).into());
        }
        let matrix = self.margins.with(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.evaluate(slot);
            self.shared.form(&slot.weight)
        });
        Ok(SoftmaxHessian {
            shared: Arc::clone(&self.shared),
            matrix,
            scale: (!self.shared.partial).then(|| self.gradient_scale()),
        })
    }
}

impl HessianProduct for Softmax {
    type Param = Vec<f64>;

    fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.ready(w)?;
        crate::error::length("vector", w.len(), v.len())?;
        crate::error::length("product", w.len(), out.len())?;
        self.margins.with(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.evaluate(slot);
            self.shared.multiply(slot, v, out);
        });
        self.shared.add_penalty(v, out);
        Ok(())
    }

    fn hessian_diagonal(&self, w: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        self.ready(w)?;
        self.margins.with(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.evaluate(slot);
            self.shared.diagonal(slot, out);
        });
        Ok(true)
    }

    fn gradient_scale(&self) -> Option<f64> {
        Some(Softmax::gradient_scale(self))
    }

    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }
}

impl Fused for Softmax {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = SoftmaxHessian;

    fn value(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.cost(w)
    }

    fn value_gradient(&self, w: &Vec<f64>) -> Result<(f64, Vec<f64>), HostError> {
        Ok((self.cost(w)?, self.gradient(w)?))
    }

    fn hessian(&self, w: &Vec<f64>) -> Result<SoftmaxHessian, HostError> {
        Hessian::hessian(self, w)
    }
}

impl FiniteSum for Softmax {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = SoftmaxHessian;

    fn terms(&self) -> usize {
        self.shared.class.len()
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

    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<SoftmaxHessian, HostError> {
        self.on(batch, |model| {
            // The margins are shared with the Hessian, and so is what makes them NaN.
            model.named(model.cost(w)?, w, batch)?;
            Hessian::hessian(model, w)
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
