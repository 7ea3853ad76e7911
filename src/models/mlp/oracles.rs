//! What solvers ask of a network.

use super::{Mlp, MlpHessian};
use crate::error::Error;
use crate::finite_sum::{Batch, FiniteSum};
use crate::parallel::norm;
use crate::problem::{Fused, HessianProduct};
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};

/// Largest dimension for which a Hessian is formed (8 GiB).
const LARGEST: usize = 1 << 15;

impl Mlp {
    fn penalty(&self, w: &[f64]) -> f64 {
        if self.shared.l2 == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let w = norm(w);
        0.5 * self.shared.l2 * w * w
    }

    /// out += μv.
    fn add_penalty(&self, v: &[f64], out: &mut [f64]) {
        for (out, v) in out.iter_mut().zip(v) {
            *out += self.shared.l2 * v;
        }
    }
}

impl CostFunction for Mlp {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.ready(w)?;
        Ok(self.at(w, |state| state.value) + self.penalty(w))
    }
}

impl Gradient for Mlp {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.ready(w)?;
        let mut g = self.at(w, |state| state.differentiate(&self.shared).to_vec());
        self.add_penalty(w, &mut g);
        Ok(g)
    }
}

impl Hessian for Mlp {
    type Param = Vec<f64>;
    type Hessian = MlpHessian;

    /// Also an error for more than 32768 parameters: use `matrix_free()`.
    fn hessian(&self, w: &Vec<f64>) -> Result<MlpHessian, HostError> {
        self.ready(w)?;
        let d = w.len();
        if d > LARGEST {
            let text = format!(
                "the Hessian is {d} x {d}, too large to be formed; use a solver's matrix_free()"
            );
            return Err(Error::Data(text).into());
        }
        let matrix = self.at(w, |state| state.hessian(&self.shared));
        Ok(MlpHessian { matrix })
    }
}

impl HessianProduct for Mlp {
    type Param = Vec<f64>;

    fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.ready(w)?;
        crate::error::length("vector", w.len(), v.len())?;
        crate::error::length("product", w.len(), out.len())?;
        self.at(w, |state| state.multiply(&self.shared, v, out));
        self.add_penalty(v, out);
        Ok(())
    }
}

impl Fused for Mlp {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = MlpHessian;

    fn value(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.cost(w)
    }

    fn value_gradient(&self, w: &Vec<f64>) -> Result<(f64, Vec<f64>), HostError> {
        Ok((self.cost(w)?, self.gradient(w)?))
    }

    fn hessian(&self, w: &Vec<f64>) -> Result<MlpHessian, HostError> {
        Hessian::hessian(self, w)
    }
}

impl FiniteSum for Mlp {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = MlpHessian;

    fn terms(&self) -> usize {
        self.shared.n
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

    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<MlpHessian, HostError> {
        self.on(batch, |model| {
            // The forward pass is shared with the Hessian, and so is what makes it NaN.
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
