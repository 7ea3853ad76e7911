//! A shard that tells how much processor time its evaluations take.

use argmin::core::Error;
use raphson::distributed::Shard;
use raphson::{Batch, FiniteSum};
use std::cell::Cell;

/// A shard with a clock.
pub struct Timed<O> {
    shard: O,
    seconds: Cell<f64>,
}

/// Processor time of all threads so far, in seconds; known on Linux, elsewhere 0.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    1e-9 * nanoseconds.sum::<f64>()
}

impl<O> Timed<O> {
    pub fn new(shard: O) -> Self {
        Timed {
            shard,
            seconds: Cell::new(0.0),
        }
    }

    /// Processor time of all evaluations so far.
    pub fn seconds(&self) -> f64 {
        self.seconds.get()
    }

    fn timed<T>(&self, evaluate: impl FnOnce(&O) -> T) -> T {
        let start = processor_seconds();
        let result = evaluate(&self.shard);
        self.seconds
            .set(self.seconds.get() + processor_seconds() - start);
        result
    }
}

impl<O: Shard> FiniteSum for Timed<O> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = O::Hessian;

    fn terms(&self) -> usize {
        self.shard.terms()
    }
    fn value(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<f64, Error> {
        self.timed(|shard| shard.value(x, batch))
    }
    fn value_gradient(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), Error> {
        self.timed(|shard| shard.value_gradient(x, batch))
    }
    fn hessian(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<O::Hessian, Error> {
        self.timed(|shard| shard.hessian(x, batch))
    }
    fn hessian_product(
        &self,
        x: &Vec<f64>,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error> {
        self.timed(|shard| shard.hessian_product(x, batch, v, out))
    }
}

impl<O: Shard> Shard for Timed<O> {
    fn dimension(&self) -> usize {
        self.shard.dimension()
    }
    fn origin(&self) -> Option<Vec<f64>> {
        self.shard.origin()
    }
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, Error> {
        self.timed(|shard| shard.hessian_diagonal(x, out))
    }
    fn recedes(&self) -> bool {
        self.shard.recedes()
    }
    fn advance(&self, x: &[f64]) -> (f64, f64) {
        self.timed(|shard| shard.advance(x))
    }
}
