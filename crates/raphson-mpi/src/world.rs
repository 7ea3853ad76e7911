//! The ranks of an MPI program.

use mpi::Count;
use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives};
use raphson::distributed::{Communicator, Error};
use std::rc::Rc;

/// All ranks that the MPI program was started with.
///
/// Cloning is cheap. MPI is finalized when the last clone is dropped. MPI's own errors end the program on all ranks, as is its
/// default; so does a panic on any rank.
#[derive(Clone)]
pub struct World(Rc<Started>);

struct Started {
    // Fields are dropped in this order.
    world: SimpleCommunicator,
    _universe: Universe,
}

impl World {
    /// Starts MPI; once per program.
    ///
    /// # Errors
    /// MPI was started before.
    pub fn initialize() -> Result<Self, Error> {
        // Models may compute on threads; only this one talks to MPI.
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            let message = "MPI was initialized before".into();
            return Err(Error::Communication { message });
        };
        let report = std::panic::take_hook();
        // The other ranks would wait for this one for ever.
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            SimpleCommunicator::world().abort(101);
        }));
        Ok(World(Rc::new(Started {
            world: universe.world(),
            _universe: universe,
        })))
    }
}

/// MPI counts by C's int.
fn count(length: usize) -> Result<Count, Error> {
    Count::try_from(length).map_err(|_| Error::Communication {
        message: format!("{length} items are more than MPI counts, 2^31 - 1"),
    })
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.0.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.0.world.size() as usize
    }

    fn all_gather(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        count(all.len())?;
        self.0.world.all_gather_into(own, all);
        Ok(())
    }

    fn all_to_all(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        count(own.len())?;
        self.0.world.all_to_all_into(own, all);
        Ok(())
    }

    fn all_gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut lengths = vec![0u64; self.size()];
        self.0
            .world
            .all_gather_into(&(own.len() as u64), &mut lengths);
        // Every rank knows all lengths, so all refuse or none.
        let total = lengths.iter().sum::<u64>() as usize;
        count(total)?;
        let counts: Vec<Count> = lengths.iter().map(|n| *n as Count).collect();
        let starts: Vec<Count> = counts
            .iter()
            .scan(0, |end, n| {
                let start = *end;
                *end += n;
                Some(start)
            })
            .collect();
        let mut all = vec![0u8; total];
        let mut parts = PartitionMut::new(&mut all[..], counts, &starts[..]);
        self.0.world.all_gather_varcount_into(own, &mut parts);
        let mut rest = &all[..];
        Ok(lengths
            .iter()
            .map(|n| {
                let (of, later) = rest.split_at(*n as usize);
                rest = later;
                of.to_vec()
            })
            .collect())
    }

    fn abort(&self, status: i32) -> ! {
        self.0.world.abort(status)
    }
}
