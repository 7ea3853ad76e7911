//! What a distributed sum asks of the machinery between the ranks.

use super::Error;

/// The ranks of a parallel program; every call but [`rank`](Communicator::rank),
/// [`size`](Communicator::size) and [`abort`](Communicator::abort) is collective.
///
/// Implemented for MPI by the crate `raphson-mpi`, and by [`Threads`](super::Threads). Exchanges
/// must copy doubles bit for bit; nothing is added up here.
pub trait Communicator {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;
    /// p, the number of ranks.
    fn size(&self) -> usize;

    /// Writes the `own` of every rank to `all`, in the order of the ranks.
    ///
    /// `own` has the same length on every rank, `all` p times as many.
    fn all_gather(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error>;

    /// Sends the r-th of p equal pieces of `own` to rank r, and writes the pieces for this rank to
    /// `all`, in the order of the ranks they come from. Both have the same length on every rank.
    fn all_to_all(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error>;

    /// The `own` of every rank, in the order of the ranks; lengths may differ.
    fn all_gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Error>;

    /// Ends the program on all ranks with an exit status, from any of them.
    fn abort(&self, status: i32) -> !;
}

impl<C: Communicator + ?Sized> Communicator for &C {
    fn rank(&self) -> usize {
        (**self).rank()
    }
    fn size(&self) -> usize {
        (**self).size()
    }
    fn all_gather(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        (**self).all_gather(own, all)
    }
    fn all_to_all(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        (**self).all_to_all(own, all)
    }
    fn all_gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        (**self).all_gather_bytes(own)
    }
    fn abort(&self, status: i32) -> ! {
        (**self).abort(status)
    }
}
