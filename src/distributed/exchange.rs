//! Sums over the ranks, formed in their order, which fail on all ranks or on none.

use super::{Communicator, Error};
use argmin::core::Error as HostError;
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// Up to this many doubles, those of all ranks counted, a sum is gathered whole by every rank.
const GATHER: usize = 1 << 15;

/// What a rank exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Traffic {
    /// Collective calls.
    pub exchanges: u64,
    /// Bytes that this rank received from the others.
    pub bytes: u64,
    /// Wall-clock seconds in these calls, in which a rank also waits for the slowest one.
    pub seconds: f64,
}

#[derive(Debug)]
pub(crate) struct Exchange<C> {
    communicator: C,
    traffic: Cell<Traffic>,
    buffers: RefCell<Buffers>,
}

#[derive(Debug, Default)]
struct Buffers {
    own: Vec<f64>,
    all: Vec<f64>,
    sum: Vec<f64>,
}

impl<C: Communicator> Exchange<C> {
    pub(crate) fn new(communicator: C) -> Self {
        Exchange {
            communicator,
            traffic: Cell::default(),
            buffers: RefCell::default(),
        }
    }

    pub(crate) fn communicator(&self) -> &C {
        &self.communicator
    }
    pub(crate) fn rank(&self) -> usize {
        self.communicator.rank()
    }
    pub(crate) fn ranks(&self) -> usize {
        self.communicator.size()
    }
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    fn timed<T>(
        &self,
        bytes: usize,
        call: impl FnOnce(&C) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let clock = Instant::now();
        let result = call(&self.communicator);
        let Traffic {
            exchanges,
            bytes: so_far,
            seconds,
        } = self.traffic.get();
        self.traffic.set(Traffic {
            exchanges: exchanges + 1,
            bytes: so_far + bytes as u64,
            seconds: seconds + clock.elapsed().as_secs_f64(),
        });
        result
    }

    /// The `own` of all ranks in their order; as many numbers on each.
    pub(crate) fn gather(&self, own: &[f64]) -> Result<Vec<f64>, Error> {
        let p = self.ranks();
        if p == 1 {
            return Ok(own.to_vec());
        }
        let mut all = vec![0.0; own.len() * p];
        self.timed(8 * (p - 1) * own.len(), |c| c.all_gather(own, &mut all))?;
        Ok(all)
    }

    /// The bytes of all ranks in their order.
    pub(crate) fn gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.timed(0, |c| c.all_gather_bytes(own))
    }

    /// The same error on all ranks if `result` is one on any of them. Collective.
    pub(crate) fn agree<T, E: std::fmt::Display>(
        &self,
        result: &Result<T, E>,
    ) -> Result<(), Error> {
        let fill = |_: &mut [f64]| match result {
            Ok(_) => Ok(()),
            Err(error) => Err(HostError::msg(error.to_string())),
        };
        self.sum(0, fill, |_| ())
    }

    /// Hands the sum of `len` numbers over the ranks to `take`; `fill` writes this rank's part.
    ///
    /// # Errors
    /// [`Error::Failed`] on all ranks if `fill` fails on one, or writes a NaN.
    pub(crate) fn sum<T>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [f64]) -> Result<(), HostError>,
        take: impl FnOnce(&[f64]) -> T,
    ) -> Result<T, Error> {
        let p = self.ranks();
        let words = len + 1;
        let piece = words.div_ceil(p);
        let mut buffers = self.buffers.borrow_mut();
        let Buffers { own, all, sum } = &mut *buffers;
        own.clear();
        own.resize(piece * p, 0.0);
        let failure = match fill(&mut own[1..words]) {
            Ok(()) if own[1..words].iter().any(|v| v.is_nan()) => {
                Some("NaN in its part of the sum; check its rows".to_string())
            }
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        if failure.is_some() {
            own[1..words].fill(0.0);
            own[0] = 1.0;
        }
        let result = if p == 1 {
            &own[..words]
        } else if words * p <= GATHER {
            all.resize(words * p, 0.0);
            sum.resize(words, 0.0);
            self.timed(8 * (p - 1) * words, |c| c.all_gather(&own[..words], all))?;
            add_up(all, sum);
            &sum[..words]
        } else {
            all.resize(piece * p, 0.0);
            sum.resize(piece, 0.0);
            self.timed(8 * (p - 1) * piece, |c| c.all_to_all(own, all))?;
            add_up(all, sum);
            self.timed(8 * (p - 1) * piece, |c| c.all_gather(sum, own))?;
            &own[..words]
        };
        if result[0] == 0.0 {
            return Ok(take(&result[1..]));
        }
        // All ranks have read the same number of failures, so all come here.
        let texts = self.gather_bytes(failure.unwrap_or_default().as_bytes())?;
        let rank = texts.iter().position(|text| !text.is_empty()).unwrap_or(0);
        Err(Error::Failed {
            rank,
            message: String::from_utf8_lossy(&texts[rank]).into_owned(),
        })
    }
}

/// Adds the vectors in `all` up, in their order, to `sum`.
fn add_up(all: &[f64], sum: &mut [f64]) {
    let mut ranks = all.chunks_exact(sum.len());
    if let Some(first) = ranks.next() {
        sum.copy_from_slice(first);
    }
    for of in ranks {
        for (sum, v) in sum.iter_mut().zip(of) {
            *sum += v;
        }
    }
}
