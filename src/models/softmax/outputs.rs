//! Softmax regression as outputs under a loss: K outputs a row, the margins.

use super::{Shared, Softmax};
use crate::error::{Error, length, shape};
use crate::finite_sum::Batch;
use crate::models::batch::plain;
use crate::output_model::{OutputLoss, OutputModel};
use argmin::core::Error as HostError;
use faer::{Mat, MatMut};

impl Shared {
    /// Whether the objective is a plain mean with a penalty on everything.
    fn plain(&self) -> Result<(), Error> {
        plain(&self.share, self.l2, self.intercept)
    }

    /// The number of outputs of all rows.
    fn stacked(&self) -> usize {
        self.class.len() * self.classes()
    }
}

/// Margins kept class after class, written row after row.
fn by_row(margins: &[f64], classes: usize, out: &mut [f64]) {
    let n = margins.len() / classes;
    for (i, row) in out.chunks_mut(classes).enumerate() {
        for (k, out) in row.iter_mut().enumerate() {
            *out = margins[k * n + i];
        }
    }
}

/// # Errors
/// [`Error::Data`] with sample weights, or with a penalty and intercepts, which it would have to
/// leave out.
impl OutputModel for Softmax {
    type Param = Vec<f64>;

    fn terms(&self) -> usize {
        self.shared.class.len()
    }

    fn outputs_len(&self) -> usize {
        self.shared.classes()
    }

    fn loss(&self) -> OutputLoss<'_> {
        OutputLoss::Softmax {
            classes: &self.shared.class,
        }
    }

    fn l2(&self) -> f64 {
        self.shared.l2
    }

    fn outputs(&self, x: &Vec<f64>, batch: Batch<'_>, out: &mut [f64]) -> Result<(), HostError> {
        self.on(batch, |model| {
            let s = &model.shared;
            model.ready(x)?;
            s.plain()?;
            length("outputs", s.stacked(), out.len())?;
            model.margins.with(|margins| {
                by_row(&margins.at(&s.design, x).margin, s.classes(), out);
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
        self.on(batch, |model| {
            let s = &model.shared;
            model.ready(x)?;
            s.plain()?;
            let size = (s.stacked(), x.len());
            shape("Jacobian", size, (out.nrows(), out.ncols()))?;
            let mut rows = Mat::zeros(s.class.len(), s.block());
            s.design.write(rows.as_mut());
            out.fill(0.0);
            for k in 0..s.classes() {
                for j in 0..s.block() {
                    for i in 0..s.class.len() {
                        out[(i * s.classes() + k, k * s.block() + j)] = rows[(i, j)];
                    }
                }
            }
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
            let s = &model.shared;
            model.ready(x)?;
            s.plain()?;
            length("vector", x.len(), v.len())?;
            length("product", s.stacked(), out.len())?;
            let mut margins = vec![0.0; out.len()];
            s.design.mul_each(v, &mut margins);
            by_row(&margins, s.classes(), out);
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
            let s = &model.shared;
            model.ready(x)?;
            s.plain()?;
            length("vector", s.stacked(), u.len())?;
            length("product", x.len(), out.len())?;
            let mut by_class = vec![0.0; u.len()];
            for (k, column) in by_class.chunks_mut(s.class.len()).enumerate() {
                for (i, v) in column.iter_mut().enumerate() {
                    *v = u[i * s.classes() + k];
                }
            }
            s.design.mul_transpose_each(&by_class, out);
            Ok(())
        })
    }

    fn gram(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        mut out: MatMut<'_, f64>,
    ) -> Result<bool, HostError> {
        self.on(batch, |model| {
            let s = &model.shared;
            model.ready(x)?;
            s.plain()?;
            let rows = s.stacked();
            shape("Gram matrix", (rows, rows), (out.nrows(), out.ncols()))?;
            let inner = s.design.row_gram();
            let constant = f64::from(u8::from(s.intercept));
            out.fill(0.0);
            for j in 0..s.class.len() {
                for i in 0..s.class.len() {
                    let product = inner[(i.max(j), i.min(j))] + constant;
                    for k in 0..s.classes() {
                        out[(i * s.classes() + k, j * s.classes() + k)] = product;
                    }
                }
            }
            Ok(true)
        })
    }
}
