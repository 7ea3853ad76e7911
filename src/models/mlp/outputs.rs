//! What Gauss-Newton methods ask of a network.

use super::Mlp;
use crate::error::{Error, length};
use crate::finite_sum::Batch;
use crate::output_model::{OutputLoss, OutputModel};
use argmin::core::Error as HostError;
use faer::MatMut;

impl Mlp {
    /// An error unless `out` is rows x columns.
    fn shape(what: &'static str, out: &MatMut<'_, f64>, size: (usize, usize)) -> Result<(), Error> {
        crate::error::shape(what, size, (out.nrows(), out.ncols()))
    }

    /// The number of outputs of all rows.
    fn stacked(&self) -> usize {
        self.shared.n * self.shared.targets.outputs()
    }
}

impl OutputModel for Mlp {
    type Param = Vec<f64>;

    fn terms(&self) -> usize {
        self.shared.n
    }

    fn outputs_len(&self) -> usize {
        self.shared.targets.outputs()
    }

    fn loss(&self) -> OutputLoss<'_> {
        self.shared.targets.loss()
    }

    fn l2(&self) -> f64 {
        self.shared.l2
    }

    fn outputs(&self, x: &Vec<f64>, batch: Batch<'_>, out: &mut [f64]) -> Result<(), HostError> {
        self.on(batch, |model| {
            model.ready(x)?;
            length("outputs", model.stacked(), out.len())?;
            model.at(x, |state| state.outputs(out));
            Ok(())
        })
    }

    fn jacobian(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), HostError> {
        self.on(batch, |model| {
            model.ready(x)?;
            Mlp::shape("Jacobian", &out, (model.stacked(), x.len()))?;
            model.at(x, |state| state.jacobian(&model.shared, out));
            Ok(())
        })
    }

    fn jvp(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        self.on(batch, |model| {
            model.ready(x)?;
            length("vector", x.len(), v.len())?;
            length("product", model.stacked(), out.len())?;
            model.at(x, |state| state.move_outputs(&model.shared, v, out));
            Ok(())
        })
    }

    fn vjp(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        self.on(batch, |model| {
            model.ready(x)?;
            length("vector", model.stacked(), u.len())?;
            length("product", x.len(), out.len())?;
            model.at(x, |state| state.pull(&model.shared, u, out));
            Ok(())
        })
    }

    fn gram(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<bool, HostError> {
        self.on(batch, |model| {
            model.ready(x)?;
            let rows = model.stacked();
            Mlp::shape("Gram matrix", &out, (rows, rows))?;
            model.at(x, |state| state.gram(&model.shared, out));
            Ok(true)
        })
    }
}
