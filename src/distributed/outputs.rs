//! Outputs under a loss over all ranks, for Gauss and Newton's method on batches.

use super::{Communicator, Distributed, Error, Shard};
use crate::error::{length, shape};
use crate::finite_sum::Batch;
use crate::output_model::{OutputLoss, OutputModel};
use argmin::core::Error as HostError;
use faer::{Mat, MatMut};

/// A [`Distributed`] model with outputs, which knows the targets of all terms; see
/// [`with_outputs`](Distributed::with_outputs).
///
/// # Cost
/// The outputs of a batch of b terms are an exchange of bc doubles, products with J as many, with
/// Jᵀ d, and the Jacobian bcd. An evaluation of all terms exchanges all nc outputs and holds them
/// on every rank, as it does the targets. Where that is too much, minimize the [`Distributed`] sum
/// itself, by Hessians or products.
#[derive(Debug, Clone)]
pub struct DistributedOutputs<O, C> {
    sum: Distributed<O, C>,
    outputs: usize,
    l2: f64,
    targets: Targets,
}

#[derive(Debug, Clone)]
enum Targets {
    Squared(Vec<f64>, Option<Vec<f64>>),
    Softmax(Vec<u32>),
    Logistic(Vec<f64>),
}

/// What a rank tells the others: c, μ, the kind of loss, the number of weights, weights, targets.
fn describe<O: OutputModel>(shard: &O) -> Result<Vec<f64>, crate::Error> {
    let (kind, weights, targets) = match shard.loss() {
        OutputLoss::Squared { targets, weights } => (0.0, weights.unwrap_or(&[]), targets.to_vec()),
        OutputLoss::Softmax { classes } => {
            let classes = classes.iter().map(|y| f64::from(*y)).collect();
            (1.0, &[][..], classes)
        }
        OutputLoss::Logistic { signs } => (2.0, &[][..], signs.to_vec()),
        OutputLoss::General(_) => {
            let what = "targets that can be sent to other ranks: a general loss has none";
            return Err(crate::Error::NotOffered { what });
        }
    };
    let head = [
        shard.outputs_len() as f64,
        shard.l2(),
        kind,
        weights.len() as f64,
    ];
    let mut told = head.to_vec();
    told.extend_from_slice(weights);
    told.extend(targets);
    Ok(told)
}

impl<O: Shard + OutputModel<Param = Vec<f64>>, C: Communicator> Distributed<O, C> {
    /// The same with outputs, for [`ExactGaussNewton`](crate::ExactGaussNewton). Collective.
    ///
    /// Gathers the targets of all terms at every rank.
    ///
    /// # Errors
    /// A general loss; ranks whose outputs, losses or penalties differ.
    pub fn with_outputs(self) -> Result<DistributedOutputs<O, C>, crate::Error> {
        let exchange = &self.inner.exchange;
        let told = self.inner.shard.as_ref().map(describe).transpose();
        exchange.agree(&told)?;
        let told = told?.unwrap_or_default();
        let bytes: Vec<u8> = told.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut first: Option<Vec<f64>> = None;
        let mut targets = Vec::new();
        for (rank, bytes) in exchange.gather_bytes(&bytes)?.iter().enumerate() {
            let words = bytes.as_chunks::<8>().0.iter();
            let of: Vec<f64> = words.map(|word| f64::from_le_bytes(*word)).collect();
            let Some(weights) = of.get(3).map(|w| *w as usize) else {
                continue;
            };
            let (head, own) = of.split_at(4 + weights);
            if first.get_or_insert_with(|| head.to_vec()) != head {
                let message = "its outputs, loss, penalty or weights differ from the first rank's";
                return Err(Error::Failed {
                    rank,
                    message: message.into(),
                }
                .into());
            }
            targets.extend_from_slice(own);
        }
        let head = first.unwrap_or_default();
        let (&[outputs, l2, kind, _], weights) =
            head.split_first_chunk().unwrap_or((&[0.0; 4], &[]));
        Ok(DistributedOutputs {
            sum: self,
            outputs: outputs as usize,
            l2,
            targets: match kind {
                0.0 => Targets::Squared(targets, (!weights.is_empty()).then(|| weights.to_vec())),
                1.0 => Targets::Softmax(targets.iter().map(|y| *y as u32).collect()),
                _ => Targets::Logistic(targets),
            },
        })
    }
}

impl<O: Shard + OutputModel<Param = Vec<f64>>, C: Communicator> DistributedOutputs<O, C> {
    /// The sum over all ranks.
    pub fn sum(&self) -> &Distributed<O, C> {
        &self.sum
    }

    /// The terms of the batch that lie here: their places in the batch and, counted from the first
    /// one here, their numbers.
    fn local(&self, batch: Batch<'_>) -> Result<(Vec<usize>, Vec<usize>), crate::Error> {
        let inner = &*self.sum.inner;
        if let Batch::Terms(terms) = batch {
            inner.check_batch(terms)?;
        }
        let own = inner.before..inner.before + inner.own;
        Ok(match batch {
            Batch::All => (own.collect(), (0..inner.own).collect()),
            Batch::Terms(terms) => {
                let here = terms.iter().enumerate().filter(|(_, t)| own.contains(t));
                here.map(|(k, t)| (k, t - inner.before)).unzip()
            }
        })
    }

    /// Fills the bc rows of `out`, of `width` numbers each and one after the other: `evaluate`
    /// writes those of the terms that lie here.
    fn rows(
        &self,
        batch: Batch<'_>,
        width: usize,
        out: &mut [f64],
        evaluate: impl FnOnce(&O, Batch<'_>, &mut [f64]) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        let inner = &*self.sum.inner;
        let size = self.outputs * width;
        length("rows of a batch", batch.len(inner.terms) * size, out.len())?;
        let (places, terms) = self.local(batch)?;
        let fill = |all: &mut [f64]| {
            let (Some(shard), false) = (&inner.shard, terms.is_empty()) else {
                return Ok(());
            };
            let mut own = vec![0.0; terms.len() * size];
            let part = match batch {
                Batch::All => Batch::All,
                Batch::Terms(_) => Batch::Terms(&terms),
            };
            evaluate(shard, part, &mut own)?;
            // Each row comes from one rank; the zeros of the others change nothing.
            for (place, row) in places.iter().zip(own.chunks_exact(size)) {
                all[place * size..(place + 1) * size].copy_from_slice(row);
            }
            Ok(())
        };
        let sum = inner
            .exchange
            .sum(out.len(), fill, |sum| out.copy_from_slice(sum));
        Ok(sum.map_err(crate::Error::from)?)
    }
}

impl<O: Shard + OutputModel<Param = Vec<f64>>, C: Communicator> OutputModel
    for DistributedOutputs<O, C>
{
    type Param = Vec<f64>;

    fn terms(&self) -> usize {
        self.sum.inner.terms
    }
    fn outputs_len(&self) -> usize {
        self.outputs
    }
    fn loss(&self) -> OutputLoss<'_> {
        match &self.targets {
            Targets::Squared(targets, weights) => OutputLoss::Squared {
                targets,
                weights: weights.as_deref(),
            },
            Targets::Softmax(classes) => OutputLoss::Softmax { classes },
            Targets::Logistic(signs) => OutputLoss::Logistic { signs },
        }
    }
    fn l2(&self) -> f64 {
        self.l2
    }

    fn outputs(&self, x: &Vec<f64>, batch: Batch<'_>, out: &mut [f64]) -> Result<(), HostError> {
        self.rows(batch, 1, out, |shard, part, own| {
            shard.outputs(x, part, own)
        })
    }

    fn jacobian(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        mut out: MatMut<'_, f64>,
    ) -> Result<(), HostError> {
        let d = x.len();
        let rows = batch.len(self.sum.inner.terms) * self.outputs;
        shape("Jacobian", (rows, d), (out.nrows(), out.ncols()))?;
        let mut all = vec![0.0; rows * d];
        self.rows(batch, d, &mut all, |shard, part, own| {
            let mut matrix = Mat::zeros(own.len() / d.max(1), d);
            shard.jacobian(x, part, matrix.as_mut())?;
            for (i, row) in own.chunks_exact_mut(d.max(1)).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry = matrix[(i, j)];
                }
            }
            Ok(())
        })?;
        for (i, row) in all.chunks_exact(d.max(1)).enumerate() {
            for (j, entry) in row.iter().enumerate() {
                out[(i, j)] = *entry;
            }
        }
        Ok(())
    }

    fn jvp(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        self.rows(batch, 1, out, |shard, part, own| shard.jvp(x, part, v, own))
    }

    fn vjp(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        let (places, _) = self.local(batch)?;
        let inner = &*self.sum.inner;
        length("vector", batch.len(inner.terms) * self.outputs, u.len())?;
        let c = self.outputs;
        let own = places.iter().flat_map(|k| &u[k * c..(k + 1) * c]).copied();
        let own: Vec<f64> = own.collect();
        let evaluate = |part: Batch<'_>, _: f64, sum: &mut [f64]| match &inner.shard {
            Some(shard) => shard.vjp(x, part, &own, sum),
            None => Ok(()),
        };
        inner.summed(batch, out.len(), evaluate, |sum| out.copy_from_slice(sum))
    }
}
