//! Which terms of a finite sum make the next batch.

use super::streams::{Purpose, Stream};
use crate::error::Error;
use crate::finite_sum::Batch;

/// A rule by which batches are drawn.
///
/// A batch size of 0, or above the number of terms, and a sum without terms are errors
/// ([`Error::InvalidBatchSize`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sampler {
    /// All terms every time: no noise.
    FullBatch,
    /// A fresh random order every epoch, cut into pieces of `b`: every term once per epoch. The
    /// last piece is shorter if `b` does not divide n, and left out if `drop_last`.
    EpochShuffle {
        /// Terms in a batch.
        b: usize,
        /// Leaves the short batch out.
        drop_last: bool,
    },
    /// `b` terms, each drawn from all: independent batches, in which a term may be twice.
    WithReplacement {
        /// Terms in a batch.
        b: usize,
    },
    /// The terms in their order, cut into pieces of `b`; nothing random.
    Sequential {
        /// Terms in a batch.
        b: usize,
    },
}

impl Sampler {
    fn size(self, terms: usize) -> usize {
        match self {
            Sampler::FullBatch => terms,
            Sampler::EpochShuffle { b, .. }
            | Sampler::WithReplacement { b }
            | Sampler::Sequential { b } => b,
        }
    }
}

/// The batches of one run: a sampler with its place in the epoch.
///
/// ```
/// use raphson::stochastic::{Draws, Sampler};
/// use raphson::Batch;
///
/// let mut draws = Draws::new(Sampler::Sequential { b: 2 }, 7, 3)?;
/// draws.advance();
/// assert_eq!(draws.batch(), Batch::Terms(&[0, 1]));
/// draws.advance();
/// assert_eq!(draws.batch(), Batch::Terms(&[2]));
/// assert!(draws.epoch_ends() && draws.epochs() == 1.0);
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Draws {
    sampler: Option<Sampler>,
    stream: Stream,
    terms: usize,
    /// A permutation of all terms, or the batch drawn with replacement.
    order: Vec<usize>,
    /// The current batch is `order[from..to]`.
    from: usize,
    to: usize,
    /// Batches drawn.
    batches: u64,
    /// Terms drawn.
    drawn: u64,
}

impl Draws {
    /// Before the first batch.
    ///
    /// # Errors
    /// [`Error::InvalidBatchSize`].
    pub fn new(sampler: Sampler, seed: u64, terms: usize) -> Result<Self, Error> {
        let size = sampler.size(terms);
        if terms == 0 || size == 0 || size > terms {
            return Err(Error::InvalidBatchSize { size, terms });
        }
        let order = match sampler {
            Sampler::FullBatch => Vec::new(),
            Sampler::WithReplacement { b } => vec![0; b],
            _ => (0..terms).collect(),
        };
        Ok(Draws {
            sampler: Some(sampler),
            stream: Stream::new(seed, Purpose::Batches),
            terms,
            order,
            ..Draws::default()
        })
    }

    /// Draws the next batch; allocates nothing.
    pub fn advance(&mut self) {
        match self.sampler {
            None | Some(Sampler::FullBatch) => self.to = self.terms,
            Some(Sampler::WithReplacement { b }) => {
                for term in &mut self.order {
                    *term = self.stream.below(self.terms);
                }
                self.to = b;
            }
            Some(Sampler::EpochShuffle { b, .. }) => {
                if self.batches == 0 || self.epoch_ends() {
                    self.stream.shuffle(&mut self.order);
                    self.to = 0;
                }
                self.cut(b);
            }
            Some(Sampler::Sequential { b }) => {
                if self.epoch_ends() {
                    self.to = 0;
                }
                self.cut(b);
            }
        }
        self.batches += 1;
        self.drawn += self.len() as u64;
    }

    fn cut(&mut self, b: usize) {
        self.from = self.to;
        self.to = (self.from + b).min(self.terms);
    }

    /// The current batch.
    pub fn batch(&self) -> Batch<'_> {
        match self.sampler {
            None | Some(Sampler::FullBatch) => Batch::All,
            _ => Batch::Terms(&self.order[self.from..self.to]),
        }
    }

    /// Number of terms in the current batch; 0 before the first.
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// True before the first batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// n, the number of terms to draw from.
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// Batches in an epoch; with replacement, those that draw n terms.
    pub fn batches_per_epoch(&self) -> u64 {
        let size = self.sampler.map_or(1, |s| s.size(self.terms)).max(1);
        let count = match self.sampler {
            Some(Sampler::EpochShuffle {
                drop_last: true, ..
            }) => self.terms / size,
            _ => self.terms.div_ceil(size),
        };
        count.max(1) as u64
    }

    /// Whether the current batch is the last of its epoch.
    pub fn epoch_ends(&self) -> bool {
        self.batches > 0 && self.batches.is_multiple_of(self.batches_per_epoch())
    }

    /// Epochs so far, parts of one by their share of its batches.
    pub fn epochs(&self) -> f64 {
        self.batches as f64 / self.batches_per_epoch() as f64
    }

    /// Terms drawn so far.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(draws: &Draws) -> Vec<usize> {
        match draws.batch() {
            Batch::All => (0..draws.terms()).collect(),
            Batch::Terms(terms) => terms.to_vec(),
        }
    }

    fn epoch(draws: &mut Draws) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        loop {
            draws.advance();
            batches.push(terms(draws));
            if draws.epoch_ends() {
                return batches;
            }
        }
    }

    #[test]
    fn every_term_comes_once_per_epoch() {
        let sampler = Sampler::EpochShuffle {
            b: 5,
            drop_last: false,
        };
        let mut draws = Draws::new(sampler, 7, 23).unwrap();
        let mut orders = Vec::new();
        for k in 1..=10 {
            let batches = epoch(&mut draws);
            assert_eq!(
                batches.iter().map(Vec::len).collect::<Vec<_>>(),
                [5, 5, 5, 5, 3]
            );
            let order = batches.concat();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..23).collect::<Vec<_>>());
            assert!(!orders.contains(&order));
            orders.push(order);
            assert_eq!((draws.epochs(), draws.drawn()), (k as f64, 23 * k));
        }
    }

    #[test]
    fn the_short_batch_may_be_dropped() {
        let sampler = Sampler::EpochShuffle {
            b: 5,
            drop_last: true,
        };
        let mut draws = Draws::new(sampler, 7, 23).unwrap();
        for _ in 0..3 {
            let mut order = epoch(&mut draws).concat();
            assert_eq!(order.len(), 20);
            order.sort_unstable();
            order.dedup();
            assert_eq!(order.len(), 20);
        }
    }

    #[test]
    fn draws_with_replacement_are_uniform() {
        let mut draws = Draws::new(Sampler::WithReplacement { b: 4 }, 1, 10).unwrap();
        let mut counts = [0i64; 10];
        for _ in 0..10_000 {
            draws.advance();
            for term in terms(&draws) {
                counts[term] += 1;
            }
        }
        assert!(
            counts.iter().all(|c| (3_700..4_300).contains(c)),
            "{counts:?}"
        );
        assert_eq!(draws.batches_per_epoch(), 3);
    }

    #[test]
    fn batch_sizes_are_checked() {
        let shuffled = |b| Sampler::EpochShuffle {
            b,
            drop_last: false,
        };
        for (sampler, n) in [
            (shuffled(0), 3),
            (shuffled(4), 3),
            (Sampler::WithReplacement { b: 0 }, 3),
            (Sampler::Sequential { b: 4 }, 3),
            (Sampler::FullBatch, 0),
        ] {
            let error = Draws::new(sampler, 0, n).unwrap_err();
            assert!(matches!(error, Error::InvalidBatchSize { terms, .. } if terms == n));
        }
        assert!(Draws::new(shuffled(3), 0, 3).is_ok());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_saved_place_continues_alike() {
        for sampler in [
            Sampler::EpochShuffle {
                b: 4,
                drop_last: false,
            },
            Sampler::WithReplacement { b: 4 },
            Sampler::Sequential { b: 4 },
            Sampler::FullBatch,
        ] {
            let mut draws = Draws::new(sampler, 11, 17).unwrap();
            for _ in 0..7 {
                draws.advance();
            }
            let text = serde_json::to_string(&draws).unwrap();
            let mut back: Draws = serde_json::from_str(&text).unwrap();
            for _ in 0..20 {
                draws.advance();
                back.advance();
                assert_eq!(terms(&draws), terms(&back));
            }
            assert_eq!(draws, back);
        }
    }
}
