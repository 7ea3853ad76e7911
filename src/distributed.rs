//! The same problem with its rows spread over the ranks of a parallel program.
//!
//! # Problem
//! min F(x) = (1/n) Σᵢ fᵢ(x), a [`FiniteSum`] whose n terms lie on p ranks, n_r on rank r. Each rank
//! holds a [`Shard`], the sum of its own terms, and [`Distributed`] is the sum of all of them:
//!
//! F(x) = Σ_r (n_r/n) F_r(x),  F_r the mean over the terms of rank r,
//!
//! likewise for the gradient, the Hessian and its products. The weights add up to one, so that a
//! penalty, which every shard has in full, counts once.
//!
//! Every rank runs the same solver from the same start, on the same numbers: what is exchanged are
//! sums, never steps. All solvers on argmin's traits, [`Fused`](crate::Fused), [`HessianProduct`](crate::HessianProduct), [`FiniteSum`] and
//! [`OutputModel`](crate::OutputModel) run on it unchanged (the last by
//! [`with_outputs`](Distributed::with_outputs)). The calls are collective: every rank
//! makes the same ones in the same order, as it does by running the same program on the same data.
//!
//! # Sums with fixed bits
//! MPI promises no order of summation. Here sums are formed in the order of the ranks, entry by
//! entry, in one of two ways that give the same bits: short vectors are gathered by every rank,
//! which adds them up; of long ones rank r receives the r-th piece from everyone, adds it up, and
//! the sums are gathered. The same number of ranks with the same shards gives the same bits in every run.
//!
//! # Cost
//! m doubles are exchanged with one more that says how many ranks failed. A rank receives, in bytes,
//!
//! | sum of m doubles on p ranks | bytes to each rank | messages |
//! |---|---|---|
//! | p(m + 1) ≤ 2¹⁵ | 8 (p − 1)(m + 1) | 1 gather |
//! | longer | 16 (p − 1)⌈(m + 1)/p⌉ | 1 exchange of pieces, 1 gather |
//!
//! with m = 1 for a value, d + 1 for value and gradient, d(d + 1)/2 for a Hessian, and d for a product or a
//! diagonal; for outputs see [`DistributedOutputs`].
//! [`Gradient`](argmin::core::Gradient) brings the value along, which the
//! next [`CostFunction`](argmin::core::CostFunction) at the same point returns without an exchange.
//! One rank exchanges nothing. [`traffic`](Distributed::traffic) counts.
//!
//! The Hessian is always formed, d² doubles on each rank. With many variables, or fewer rows than
//! variables, use `matrix_free()`, which needs O(d).
//!
//! # Errors
//! An error of one shard, or a NaN in what it contributes, ends the run on all ranks with the same
//! [`Error::Failed`], which names the rank: every exchange carries the number of failures. Every
//! ten evaluations of the gradient of all terms (so at least every ten iterations of a deterministic method) the
//! ranks compare a checksum of the point, and a difference ends the run with
//! [`Error::PointsDiffer`]; it means that a rank had other options, another start or other code.
//!
//! A rank must not stop by itself: no [`time_limit`](crate::Raphson::time_limit), and a callback
//! that looks at a clock must ask [`agree`](Distributed::agree).
//!
//! # Example
//! ```
//! use raphson::distributed::{Distributed, Threads};
//! use raphson::{DampedNewton, Dataset, LogisticRegression};
//! let rows: Vec<Vec<f64>> = (0..9).map(|i| vec![f64::from(i), f64::from(i * i % 5)]).collect();
//! let labels = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0];
//! let data = Dataset::from_rows(&rows, &labels)?;
//! let whole = LogisticRegression::new(&data).l2(0.1);
//! let expected = DampedNewton::new().minimize(&whole, whole.origin())?.must_converge()?;
//! // Three ranks, here threads of one process, with three rows each.
//! let runs = Threads::run(3, |rank| {
//!     let own: Vec<usize> = (3 * rank.index()..3 * rank.index() + 3).collect();
//!     let shard = LogisticRegression::with_classes(&data.subset(&own)?, &[0.0, 1.0]).l2(0.1);
//!     let problem = Distributed::new(Some(shard), rank)?;
//!     DampedNewton::fused().minimize(&problem, vec![0.0; 2])?.must_converge()
//! });
//! for run in runs {
//!     assert!((run?.f - expected.f).abs() < 1e-14);
//! }
//! # Ok::<(), raphson::Error>(())
//! ```

mod communicator;
mod exchange;
mod hessian;
mod oracles;
mod outputs;
mod shard;
mod threads;

pub use communicator::Communicator;
pub use exchange::Traffic;
pub use hessian::SummedHessian;
pub use outputs::DistributedOutputs;
pub use shard::Shard;
pub use threads::{ThreadRank, Threads};

use crate::finite_sum::{Batch, FiniteSum};
use crate::parallel::norm;
use crate::status::Failed;
pub(crate) use exchange::Exchange;
use faer::Mat;
use hessian::Workspace;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What ends a distributed run on all ranks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank could not evaluate its part; the other ranks get the same error.
    #[error("rank {rank}: {message}")]
    Failed {
        /// The first rank that failed.
        rank: usize,
        /// What went wrong there.
        message: String,
    },
    /// The ranks are at different points.
    #[error(
        "rank {rank} is at another point than rank 0 at evaluation {evaluation}: \
         start every rank with the same program, options and start point"
    )]
    PointsDiffer {
        /// The first rank that differs.
        rank: usize,
        /// Which evaluation of the gradient found it.
        evaluation: u64,
    },
    /// A rank is gone.
    #[error("rank {rank} left the computation")]
    Left {
        /// The rank.
        rank: usize,
    },
    /// Ranks that exchange different things.
    #[error(
        "rank {rank} exchanges {found} bytes where rank 0 exchanges {expected}: \
         every rank must make the same calls in the same order"
    )]
    OutOfStep {
        /// The rank.
        rank: usize,
        /// Bytes of rank 0.
        expected: usize,
        /// Bytes of this rank.
        found: usize,
    },
    /// The library of the parallel program reported an error.
    #[error("communication failed: {message}")]
    Communication {
        /// What it said.
        message: String,
    },
}

/// The sum of the shards of all ranks; see the [module](self).
#[derive(Debug)]
pub struct Distributed<O, C> {
    inner: Rc<Inner<O, C>>,
}

/// Shared with the Hessians.
#[derive(Debug)]
struct Inner<O, C> {
    shard: Option<O>,
    /// The part of this shard in the mean over all terms.
    share: f64,
    /// Whether the parts are those of equally weighted terms, so that batches have a meaning.
    equal: bool,
    dimension: usize,
    /// Terms on the ranks before this one, and on this one.
    before: usize,
    own: usize,
    terms: usize,
    exchange: Exchange<C>,
    /// Norm of the gradient at the origin.
    scale: Option<f64>,
    recedes: bool,
    /// Evaluations of the gradient of all terms.
    evaluations: Cell<u64>,
    /// The point of the last such evaluation, and F there.
    last: RefCell<(Vec<f64>, f64)>,
    /// Terms of a batch that lie here, counted from the first one here.
    local: RefCell<Vec<usize>>,
    workspace: RefCell<Workspace>,
    /// The matrix of the last Hessian, for the next one.
    spare: RefCell<Option<Rc<Mat<f64>>>>,
}

/// Evaluations of the gradient between two comparisons of the point.
const COMPARE: u64 = 10;

impl<O: Shard, C: Communicator> Distributed<O, C> {
    /// The sum over all ranks, with the same weight for every term. `shard` is [`None`] on a
    /// rank without terms. Collective.
    ///
    /// Cost: a pass over the data for the gradient at the origin, if the shard names one.
    ///
    /// # Errors
    /// No terms on any rank, shards of different dimensions, or what a shard reports at its origin.
    pub fn new(shard: Option<O>, communicator: C) -> Result<Self, crate::Error> {
        Self::build(shard, None, communicator)
    }

    /// With F = Σ_r (s_r/Σs) F_r for the `weight` s_r ≥ 0 of this rank, the sum of its sample
    /// weights. Batches are then not offered. Collective.
    ///
    /// # Errors
    /// As [`new`](Self::new); weights that are negative, not finite, or all zero.
    pub fn weighted(shard: Option<O>, weight: f64, communicator: C) -> Result<Self, crate::Error> {
        Self::build(shard, Some(weight), communicator)
    }

    fn build(shard: Option<O>, weight: Option<f64>, communicator: C) -> Result<Self, crate::Error> {
        let own = shard.as_ref().map_or(0, FiniteSum::terms);
        let dimension = shard.as_ref().map_or(-1.0, |s| s.dimension() as f64);
        let origin = shard.as_ref().and_then(Shard::origin);
        let recedes = shard.as_ref().is_some_and(Shard::recedes);
        let fact = |yes: bool| f64::from(u8::from(yes));
        let exchange = Exchange::new(communicator);
        let given = weight.unwrap_or(own as f64);
        let mine = [
            own as f64,
            if shard.is_some() { given } else { 0.0 },
            dimension,
            fact(origin.is_some()),
            fact(recedes),
            fact(weight.is_some()),
        ];
        let all = exchange.gather(&mine)?;
        let column = |k: usize| all.chunks_exact(mine.len()).map(move |of| of[k]);
        let rank = exchange.rank();
        let before = column(0).take(rank).sum::<f64>() as usize;
        let terms = column(0).sum::<f64>() as usize;
        if terms == 0 {
            let text = "no rank has any rows: check the paths and the number of ranks";
            return Err(crate::Error::Data(text.into()));
        }
        let total: f64 = column(1).sum();
        if column(1).any(|w| !(w >= 0.0 && w.is_finite())) || !(total > 0.0 && total.is_finite()) {
            let requirement = "nonnegative and finite on every rank, and positive on one";
            return Err(crate::Error::parameter("weight", given, requirement));
        }
        if column(5).any(|w| w != fact(weight.is_some())) {
            let text = "some ranks give a weight and some do not";
            return Err(crate::Error::Data(text.into()));
        }
        let Some(dimension) = column(2).find(|d| *d >= 0.0) else {
            return Err(crate::Error::Data("no rank has a shard".into()));
        };
        if let Some(rank) = column(2).position(|d| d >= 0.0 && d != dimension) {
            let message = format!(
                "its shard has another number of variables than the first one, {dimension}: \
                 agree on the features before making the shards"
            );
            return Err(Error::Failed { rank, message }.into());
        }
        let dimension = dimension as usize;
        let mut inner = Inner {
            shard,
            share: mine[1] / total,
            equal: weight.is_none(),
            dimension,
            before,
            own,
            terms,
            exchange,
            scale: None,
            recedes: column(4).any(|yes| yes == 1.0),
            evaluations: Cell::new(0),
            last: RefCell::default(),
            local: RefCell::default(),
            workspace: RefCell::default(),
            spare: RefCell::default(),
        };
        if column(3).any(|yes| yes == 1.0) {
            let mut g = vec![0.0; dimension];
            inner.exchange.sum(
                dimension,
                |out| match (&inner.shard, &origin) {
                    (Some(shard), Some(origin)) => {
                        let (_, slope) = shard.value_gradient(origin, Batch::All)?;
                        scaled(&slope, inner.share, out)
                    }
                    _ => Ok(()),
                },
                |sum| g.copy_from_slice(sum),
            )?;
            inner.scale = Some(norm(&g));
        }
        Ok(Distributed {
            inner: Rc::new(inner),
        })
    }

    /// The shard of this rank, if it has terms.
    pub fn shard(&self) -> Option<&O> {
        self.inner.shard.as_ref()
    }

    /// d, the number of variables.
    pub fn dimension(&self) -> usize {
        self.inner.dimension
    }

    /// The global index of this rank's first term.
    pub fn offset(&self) -> usize {
        self.inner.before
    }

    /// The communicator.
    pub fn communicator(&self) -> &C {
        self.inner.exchange.communicator()
    }

    /// Whether this is rank 0, which alone should print, plot and write.
    pub fn is_first(&self) -> bool {
        self.inner.exchange.rank() == 0
    }

    /// What was exchanged so far.
    pub fn traffic(&self) -> Traffic {
        self.inner.exchange.traffic()
    }

    /// True on all ranks if it is true on rank 0. Collective.
    ///
    /// For decisions that ranks could take differently, such as by the clock.
    ///
    /// # Errors
    /// Communication failed.
    pub fn agree(&self, decision: bool) -> Result<bool, Error> {
        let all = self
            .inner
            .exchange
            .gather(&[f64::from(u8::from(decision))])?;
        Ok(all[0] == 1.0)
    }
}

impl<O: Shard, C: Communicator> Inner<O, C> {
    /// Whether the losses turn out to have no minimum, by the extremes over the terms of all ranks.
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if !self.recedes {
            return Ok(());
        }
        let none = (f64::INFINITY, f64::NEG_INFINITY);
        let range = |w: &[f64]| self.shard.as_ref().map_or(none, |s| s.advance(w));
        let (at, along) = (range(x), range(step));
        // What fails here fails again at the next exchange, where it can be reported.
        let all = self
            .exchange
            .gather(&[at.0, at.1, along.0, along.1])
            .map_err(|_| Failed::Breakdown)?;
        let least = |k: usize| all.chunks_exact(4).fold(f64::INFINITY, |m, r| m.min(r[k]));
        let most = |k: usize| {
            let ranks = all.chunks_exact(4);
            ranks.fold(f64::NEG_INFINITY, |m, r| m.max(r[k]))
        };
        crate::models::linear::recedes((least(0), most(1)), (least(2), most(3)))
    }

    /// Compares the points of the ranks, once in ten calls.
    fn compare(&self, x: &[f64]) -> Result<(), Error> {
        let evaluation = self.evaluations.get() + 1;
        self.evaluations.set(evaluation);
        if !evaluation.is_multiple_of(COMPARE) || self.exchange.ranks() == 1 {
            return Ok(());
        }
        let sum = checksum(x);
        // Both halves are integers that a double holds exactly.
        let halves = [(sum >> 32) as f64, (sum & 0xffff_ffff) as f64];
        let all = self.exchange.gather(&halves)?;
        let mut ranks = all.chunks_exact(2);
        let first = ranks.next();
        match ranks.position(|of| Some(of) != first) {
            None => Ok(()),
            Some(k) => Err(Error::PointsDiffer {
                rank: k + 1,
                evaluation,
            }),
        }
    }
}

/// The checksum FNV-1a of the bits of a point, word by word.
fn checksum(x: &[f64]) -> u64 {
    x.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, x| {
        (sum ^ x.to_bits())
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29)
    })
}

/// out = share v, if the lengths agree.
fn scaled(v: &[f64], share: f64, out: &mut [f64]) -> Result<(), argmin::core::Error> {
    crate::error::length("gradient of a shard", out.len(), v.len())?;
    for (out, v) in out.iter_mut().zip(v) {
        *out = share * v;
    }
    Ok(())
}
