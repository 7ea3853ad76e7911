//! Ranks that are threads of one process.

use super::{Communicator, Error};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Runs a program on ranks that are threads, to try and test it without MPI.
///
/// For speed use the threads of the models themselves, which need no ranks.
#[derive(Debug)]
pub struct Threads;

impl Threads {
    /// Runs `program` on `size` ranks and returns what each returns, in the order of the ranks.
    ///
    /// # Panics
    /// If `program` panics on a rank; the others get [`Error::Left`] before that.
    pub fn run<T: Send>(size: usize, program: impl Fn(&ThreadRank) -> T + Sync) -> Vec<T> {
        let meeting = Arc::new(Meeting {
            state: Mutex::new(State {
                brought: vec![None; size],
                left: vec![false; size],
                round: 0,
                result: Arc::default(),
            }),
            changed: Condvar::new(),
        });
        std::thread::scope(|scope| {
            let ranks: Vec<_> = (0..size)
                .map(|rank| {
                    let meeting = Arc::clone(&meeting);
                    let program = &program;
                    scope.spawn(move || {
                        let rank = ThreadRank {
                            rank,
                            size,
                            meeting,
                        };
                        program(&rank)
                    })
                })
                .collect();
            ranks
                .into_iter()
                .map(|rank| match rank.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        })
    }
}

/// One of the ranks of [`Threads`].
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

#[derive(Debug)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What the ranks brought to this round.
    brought: Vec<Option<Vec<u8>>>,
    left: Vec<bool>,
    round: u64,
    /// What all brought to the last round. It stays until all have come again, so all have read it.
    result: Arc<Vec<Vec<u8>>>,
}

impl Meeting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThreadRank {
    /// The number of this rank.
    pub fn index(&self) -> usize {
        self.rank
    }

    fn meet(&self, own: Vec<u8>) -> Result<Arc<Vec<Vec<u8>>>, Error> {
        let mut state = self.meeting.lock();
        let round = state.round;
        state.brought[self.rank] = Some(own);
        if state.brought.iter().all(Option::is_some) {
            let all = state.brought.iter_mut().filter_map(Option::take).collect();
            state.result = Arc::new(all);
            state.round += 1;
            self.meeting.changed.notify_all();
        }
        while state.round == round {
            let missing = |r: &usize| state.left[*r] && state.brought[*r].is_none();
            if let Some(rank) = (0..self.size).find(missing) {
                return Err(Error::Left { rank });
            }
            state = self
                .meeting
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Arc::clone(&state.result))
    }

    fn meet_alike(&self, own: &[f64]) -> Result<Arc<Vec<Vec<u8>>>, Error> {
        let all = self.meet(own.iter().flat_map(|x| x.to_le_bytes()).collect())?;
        let expected = all[0].len();
        match all.iter().position(|of| of.len() != expected) {
            None => Ok(all),
            Some(rank) => Err(Error::OutOfStep {
                rank,
                expected,
                found: all[rank].len(),
            }),
        }
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        self.meeting.lock().left[self.rank] = true;
        self.meeting.changed.notify_all();
    }
}

fn decode(bytes: &[u8], out: &mut [f64]) {
    for (out, word) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *out = f64::from_le_bytes(*word);
    }
}

impl Communicator for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn all_gather(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        let brought = self.meet_alike(own)?;
        for (of, out) in brought.iter().zip(all.chunks_mut(own.len().max(1))) {
            decode(of, out);
        }
        Ok(())
    }
    fn all_to_all(&self, own: &[f64], all: &mut [f64]) -> Result<(), Error> {
        let brought = self.meet_alike(own)?;
        let piece = own.len() / self.size;
        for (of, out) in brought.iter().zip(all.chunks_mut(piece.max(1))) {
            decode(&of[8 * self.rank * piece..8 * (self.rank + 1) * piece], out);
        }
        Ok(())
    }
    fn all_gather_bytes(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.meet(own.to_vec())?.to_vec())
    }
    fn abort(&self, status: i32) -> ! {
        std::process::exit(status)
    }
}
