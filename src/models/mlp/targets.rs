//! What the outputs are compared with, and the derivatives by the outputs.

use crate::data::Dataset;
use crate::models::softmax::loss::largest;
use crate::output_model::{OutputLoss, probabilities};
use std::sync::Arc;

/// Targets of all rows.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    outputs: usize,
    kind: Kind,
    defect: Option<String>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// c numbers a row.
    Values(Arc<[f64]>),
    /// The class of each row, and the label of each class.
    Classes(Arc<[u32]>, Arc<[f64]>),
}

impl Targets {
    /// The labels of `data` as classes.
    pub(super) fn classes(data: &Dataset) -> Self {
        let labels = data.classes();
        let class = |y: &f64| labels.partition_point(|l| l.total_cmp(y).is_lt()) as u32;
        let classes = data.labels().iter().map(class).collect();
        let defect = (labels.len() < 2).then(|| {
            format!(
                "one class only (label {}): a classifier takes at least two",
                labels[0]
            )
        });
        Targets {
            outputs: labels.len(),
            kind: Kind::Classes(classes, labels.into()),
            defect,
        }
    }

    /// `outputs` numbers a row.
    pub(super) fn values(values: Vec<f64>, outputs: usize) -> Self {
        Targets {
            outputs,
            kind: Kind::Values(values.into()),
            defect: None,
        }
    }

    /// One vector a row of the `n` rows of the data.
    pub(super) fn rows(rows: &[Vec<f64>], n: usize) -> Self {
        let outputs = rows.first().map_or(0, Vec::len);
        let mut targets = Targets::values(rows.concat(), outputs);
        let ragged = rows.iter().position(|row| row.len() != outputs);
        let bad = rows
            .iter()
            .position(|row| row.iter().any(|y| !y.is_finite()));
        targets.defect = if rows.len() != n {
            Some(format!(
                "{} rows of targets for {n} rows of data: give one for each",
                rows.len()
            ))
        } else if outputs == 0 {
            Some("targets of length 0: give at least one number a row".into())
        } else if let Some(i) = ragged {
            Some(format!(
                "row {i} has {} targets, row 0 has {outputs}: give rows of equal length",
                rows[i].len()
            ))
        } else {
            bad.map(|i| format!("row {i} of the targets: give finite numbers"))
        };
        targets
    }

    /// The targets of these rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let c = self.outputs;
        let kind = match &self.kind {
            Kind::Values(y) => {
                let chosen = rows.iter().flat_map(|&i| &y[i * c..(i + 1) * c]);
                Kind::Values(chosen.copied().collect())
            }
            Kind::Classes(y, labels) => {
                let chosen = rows.iter().map(|&i| y[i]).collect();
                Kind::Classes(chosen, Arc::clone(labels))
            }
        };
        Targets {
            outputs: c,
            kind,
            defect: None,
        }
    }

    pub(super) fn defect(&self) -> Option<String> {
        self.defect.clone()
    }

    /// c, the number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The labels of the classes, none for a regression.
    pub(super) fn labels(&self) -> &[f64] {
        match &self.kind {
            Kind::Values(_) => &[],
            Kind::Classes(_, labels) => labels,
        }
    }

    pub(super) fn loss(&self) -> OutputLoss<'_> {
        match &self.kind {
            Kind::Values(targets) => OutputLoss::Squared {
                targets,
                weights: None,
            },
            Kind::Classes(classes, _) => OutputLoss::Softmax { classes },
        }
    }

    /// Of consecutive rows, of which `first` is the first: writes r to `r` and, for classes, the
    /// probabilities to `p` from the outputs `z`; returns the sum of the losses.
    pub(super) fn evaluate(&self, first: usize, z: &[f64], r: &mut [f64], p: &mut [f64]) -> f64 {
        let c = self.outputs;
        match &self.kind {
            Kind::Values(y) => {
                let y = &y[first * c..first * c + z.len()];
                for (r, (z, y)) in r.iter_mut().zip(z.iter().zip(y)) {
                    *r = z - y;
                }
                0.5 * r.iter().map(|r| r * r).sum::<f64>()
            }
            Kind::Classes(y, _) => {
                p.copy_from_slice(z);
                let rows = p.chunks_mut(c).zip(r.chunks_mut(c)).zip(&y[first..]);
                let losses = rows.map(|((p, r), y)| {
                    let (loss, missing) = probabilities(*y as usize, p);
                    r.copy_from_slice(p);
                    r[*y as usize] = -missing;
                    loss
                });
                losses.sum()
            }
        }
    }

    /// The numbers that [`curve`](Targets::curve) needs of a row.
    pub(super) fn probabilities(&self) -> usize {
        match &self.kind {
            Kind::Values(_) => 0,
            Kind::Classes(..) => self.outputs,
        }
    }

    /// Overwrites changes of the outputs of rows with the probabilities `p` by Q times them.
    pub(super) fn curve(&self, p: &[f64], change: &mut [f64]) {
        let c = self.probabilities();
        if c == 0 {
            return;
        }
        for (change, p) in change.chunks_mut(c).zip(p.chunks(c)) {
            // Relative to the likeliest class, so that p close to one loses no digits.
            let reference = change[largest(p)];
            let mut mean = 0.0;
            for (v, p) in change.iter_mut().zip(p) {
                *v -= reference;
                mean += p * *v;
            }
            for (v, p) in change.iter_mut().zip(p) {
                *v = p * (*v - mean);
            }
        }
    }
}
