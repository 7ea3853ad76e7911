//! Linear models as outputs under a loss: one output m = Aw + b, J = \[A 1\].

use super::{LinearModel, Loss, Shared};
use crate::error::{Error, length, shape};
use crate::finite_sum::Batch;
use crate::models::batch::plain;
use crate::models::logistic::Logistic;
use crate::models::squares::Square;
use crate::output_model::{OutputLoss, OutputModel};
use argmin::core::Error as HostError;
use faer::MatMut;

/// A loss that has a place among the [`OutputLoss`]es.
pub(crate) trait Family: Loss {
    /// The losses of rows with these labels.
    fn family(labels: &[f64]) -> OutputLoss<'_>;
}

impl Family for Square {
    fn family(targets: &[f64]) -> OutputLoss<'_> {
        OutputLoss::Squared {
            targets,
            weights: None,
        }
    }
}

impl Family for Logistic {
    fn family(signs: &[f64]) -> OutputLoss<'_> {
        OutputLoss::Logistic { signs }
    }
}

impl<L: Loss> Shared<L> {
    /// Whether the objective is a plain mean with a penalty on everything.
    fn plain(&self) -> Result<(), Error> {
        plain(self.all_shares(), self.l2, self.intercept)
    }
}

/// Least squares and logistic regression.
///
/// # Errors
/// [`Error::Data`] with sample weights, or with a penalty and a free intercept, which it would
/// have to leave out.
impl<L: Family> OutputModel for LinearModel<L> {
    type Param = Vec<f64>;

    fn terms(&self) -> usize {
        self.shared.terms()
    }

    fn outputs_len(&self) -> usize {
        1
    }

    fn loss(&self) -> OutputLoss<'_> {
        L::family(&self.unmerged().shared.label)
    }

    fn l2(&self) -> f64 {
        self.shared.l2
    }

    fn outputs(&self, x: &Vec<f64>, batch: Batch<'_>, out: &mut [f64]) -> Result<(), HostError> {
        self.unmerged().on(batch, |model| {
            model.ready(x)?;
            model.shared.plain()?;
            length("outputs", model.shared.label.len(), out.len())?;
            model.margins.with(|margins| {
                out.copy_from_slice(&margins.at(&model.shared.design, x).margin);
            });
            Ok(())
        })
    }

    fn jacobian(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        mut out: MatMut<'_, f64>,
    ) -> Result<(), HostError> {
        self.unmerged().on(batch, |model| {
            model.ready(x)?;
            model.shared.plain()?;
            let size = (model.shared.label.len(), x.len());
            shape("Jacobian", size, (out.nrows(), out.ncols()))?;
            model.shared.design.write(out.as_mut());
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
        self.unmerged().on(batch, |model| {
            model.ready(x)?;
            model.shared.plain()?;
            length("vector", x.len(), v.len())?;
            length("product", model.shared.label.len(), out.len())?;
            model.shared.design.mul(v, out);
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
        self.unmerged().on(batch, |model| {
            model.ready(x)?;
            model.shared.plain()?;
            length("vector", model.shared.label.len(), u.len())?;
            length("product", x.len(), out.len())?;
            model.shared.design.mul_transpose(u, out);
            Ok(())
        })
    }

    fn gram(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        mut out: MatMut<'_, f64>,
    ) -> Result<bool, HostError> {
        self.unmerged().on(batch, |model| {
            model.ready(x)?;
            model.shared.plain()?;
            let n = model.shared.label.len();
            shape("Gram matrix", (n, n), (out.nrows(), out.ncols()))?;
            let inner = model.shared.design.row_gram();
            let constant = f64::from(u8::from(model.shared.intercept));
            for j in 0..n {
                for i in 0..n {
                    out[(i, j)] = inner[(i.max(j), i.min(j))] + constant;
                }
            }
            Ok(true)
        })
    }
}
