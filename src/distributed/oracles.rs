//! What solvers ask of a sum over all ranks.

use super::{Communicator, Distributed, Inner, Shard, SummedHessian, scaled};
use crate::finite_sum::{Batch, FiniteSum};
use crate::problem::{Fused, HessianProduct};
use crate::status::Failed;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use std::rc::Rc;

impl<O: Shard, C: Communicator> Inner<O, C> {
    /// Hands the sum over the ranks to `take`: `evaluate` writes this rank's part of the batch, times the
    /// given share, to zeros, and is called only where the batch has terms.
    pub(super) fn summed<T>(
        &self,
        batch: Batch<'_>,
        len: usize,
        evaluate: impl FnOnce(Batch<'_>, f64, &mut [f64]) -> Result<(), HostError>,
        take: impl FnOnce(&[f64]) -> T,
    ) -> Result<T, HostError> {
        let Batch::Terms(terms) = batch else {
            let fill = |out: &mut [f64]| match self.shard {
                Some(_) => evaluate(Batch::All, self.share, out),
                None => Ok(()),
            };
            return Ok(self
                .exchange
                .sum(len, fill, take)
                .map_err(crate::Error::from)?);
        };
        self.check_batch(terms)?;
        let mut local = self.local.borrow_mut();
        local.clear();
        let own = self.before..self.before + self.own;
        local.extend(
            terms
                .iter()
                .filter(|t| own.contains(t))
                .map(|t| t - self.before),
        );
        let share = local.len() as f64 / terms.len() as f64;
        let fill = |out: &mut [f64]| match local.len() {
            0 => Ok(()),
            _ => evaluate(Batch::Terms(&local), share, out),
        };
        Ok(self
            .exchange
            .sum(len, fill, take)
            .map_err(crate::Error::from)?)
    }

    /// Every rank sees the same batch, so all of them refuse it or none.
    pub(super) fn check_batch(&self, terms: &[usize]) -> Result<(), crate::Error> {
        if !self.equal {
            let text = "batches of ranks with weights: repeat rows instead of weighting them";
            return Err(crate::Error::Data(text.into()));
        }
        if terms.is_empty() {
            let text = "an empty batch has no mean: give at least one row";
            return Err(crate::Error::Data(text.into()));
        }
        match terms.iter().find(|term| **term >= self.terms) {
            None => Ok(()),
            Some(term) => Err(crate::Error::Data(format!(
                "the batch names row {term}, but there are only {} rows on all ranks",
                self.terms
            ))),
        }
    }

    fn value(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        let evaluate = |batch: Batch<'_>, share: f64, out: &mut [f64]| {
            if let Some(shard) = &self.shard {
                out[0] = share * shard.value(x, batch)?;
            }
            Ok(())
        };
        self.summed(batch, 1, evaluate, |sum| sum[0])
    }

    fn value_gradient(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        if batch == Batch::All {
            self.compare(x).map_err(crate::Error::from)?;
        }
        let mut g = vec![0.0; self.dimension];
        let evaluate = |batch: Batch<'_>, share: f64, out: &mut [f64]| {
            let Some(shard) = &self.shard else {
                return Ok(());
            };
            let (value, slope) = shard.value_gradient(x, batch)?;
            out[0] = share * value;
            scaled(&slope, share, &mut out[1..])
        };
        let f = self.summed(batch, 1 + self.dimension, evaluate, |sum| {
            g.copy_from_slice(&sum[1..]);
            sum[0]
        })?;
        Ok((f, g))
    }

    fn product(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        let evaluate = |batch: Batch<'_>, share: f64, part: &mut [f64]| {
            if let Some(shard) = &self.shard {
                shard.hessian_product(x, batch, v, part)?;
                part.iter_mut().for_each(|p| *p *= share);
            }
            Ok(())
        };
        self.summed(batch, out.len(), evaluate, |sum| out.copy_from_slice(sum))
    }
}

fn same(x: &[f64], y: &[f64]) -> bool {
    let bits = |(x, y): (&f64, &f64)| x.to_bits() == y.to_bits();
    x.len() == y.len() && x.iter().zip(y).all(bits)
}

impl<O: Shard, C: Communicator> CostFunction for Distributed<O, C> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        {
            let last = self.inner.last.borrow();
            if same(&last.0, x) {
                return Ok(last.1);
            }
        }
        self.inner.value(x, Batch::All)
    }
}

impl<O: Shard, C: Communicator> Gradient for Distributed<O, C> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        let (f, g) = self.inner.value_gradient(x, Batch::All)?;
        let mut last = self.inner.last.borrow_mut();
        last.0.clear();
        last.0.extend_from_slice(x);
        last.1 = f;
        Ok(g)
    }
}

impl<O: Shard, C: Communicator> Hessian for Distributed<O, C> {
    type Param = Vec<f64>;
    type Hessian = SummedHessian<O, C>;

    fn hessian(&self, x: &Vec<f64>) -> Result<SummedHessian<O, C>, HostError> {
        SummedHessian::new(&self.inner, x, Batch::All)
    }
}

impl<O: Shard, C: Communicator> Fused for Distributed<O, C> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = SummedHessian<O, C>;

    fn value(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.inner.value(x, Batch::All)
    }
    fn value_gradient(&self, x: &Vec<f64>) -> Result<(f64, Vec<f64>), HostError> {
        self.inner.value_gradient(x, Batch::All)
    }
    fn hessian(&self, x: &Vec<f64>) -> Result<SummedHessian<O, C>, HostError> {
        SummedHessian::new(&self.inner, x, Batch::All)
    }
}

impl<O: Shard, C: Communicator> HessianProduct for Distributed<O, C> {
    type Param = Vec<f64>;

    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.inner.product(x, Batch::All, v, out)
    }

    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        let inner = &*self.inner;
        // The first number counts the parts of the sum that have no diagonal.
        let evaluate = |_: Batch<'_>, share: f64, part: &mut [f64]| {
            if let Some(shard) = &inner.shard {
                let known = shard.hessian_diagonal(x, &mut part[1..])?;
                part[1..].iter_mut().for_each(|p| *p *= share);
                part[0] = f64::from(u8::from(!known));
            }
            Ok(())
        };
        inner.summed(Batch::All, 1 + out.len(), evaluate, |sum| {
            out.copy_from_slice(&sum[1..]);
            sum[0] == 0.0
        })
    }

    fn gradient_scale(&self) -> Option<f64> {
        self.inner.scale
    }

    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.inner.verify(x, step)
    }
}

/// Batches name terms by their place among those of all ranks, in the order of the ranks, so that
/// a stochastic solver draws the same batches however many ranks there are.
impl<O: Shard, C: Communicator> FiniteSum for Distributed<O, C> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = SummedHessian<O, C>;

    fn terms(&self) -> usize {
        self.inner.terms
    }
    fn value(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        self.inner.value(x, batch)
    }
    fn value_gradient(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        self.inner.value_gradient(x, batch)
    }
    fn hessian(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<SummedHessian<O, C>, HostError> {
        SummedHessian::new(&self.inner, x, batch)
    }
    fn hessian_product(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), HostError> {
        self.inner.product(x, batch, v, out)
    }
}

impl<O, C> Clone for Distributed<O, C> {
    fn clone(&self) -> Self {
        Distributed {
            inner: Rc::clone(&self.inner),
        }
    }
}
