//! The clock, the counts and the trace of one run.

use crate::cpu::cpu_seconds;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// Calls of the problem's functions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// These three in evaluations on all rows.
    pub values: f64,
    pub gradients: f64,
    pub hessians: f64,
    pub products: u64,
}

impl Counts {
    pub fn calls(&self) -> f64 {
        self.values + self.gradients + self.hessians + self.products as f64
    }
}

/// A point of the trace: an accepted one of ours, one with a gradient of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub iteration: u64,
    pub calls: f64,
    pub seconds: f64,
    pub f: f64,
    pub grad_norm: f64,
}

/// Why a run was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stop {
    Reached,
    TimeLimit,
}

impl Stop {
    pub fn name(self) -> &'static str {
        match self {
            Stop::Reached => "converged",
            Stop::TimeLimit => "time limit",
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

impl std::error::Error for Stop {}

/// Points after which a trace takes only every so many gradients, each 0.2 % more than the last.
const ALL_POINTS: u64 = 2000;

/// Watches one run.
pub struct Watch {
    cpu: f64,
    wall: Instant,
    /// CPU seconds spent on watching.
    own: Cell<f64>,
    pub limit: f64,
    pub target: f64,
    pub counts: Cell<Counts>,
    pub iteration: Cell<u64>,
    pub trace: RefCell<Vec<Point>>,
    /// The gradients seen when the last point was taken.
    taken: Cell<u64>,
    seen: Cell<u64>,
    pub stop: Cell<Option<Stop>>,
    /// The point with the least gradient norm.
    best: RefCell<(f64, Vec<f64>)>,
}

impl Watch {
    /// Starts the clock.
    pub fn start(limit: f64, target: f64) -> Self {
        Watch {
            own: Cell::new(0.0),
            limit,
            target,
            counts: Cell::default(),
            iteration: Cell::new(0),
            trace: RefCell::default(),
            taken: Cell::new(0),
            seen: Cell::new(0),
            stop: Cell::new(None),
            best: RefCell::new((f64::INFINITY, Vec::new())),
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    /// CPU seconds of the run without those of the watch.
    pub fn seconds(&self) -> f64 {
        cpu_seconds() - self.cpu - self.own.get()
    }

    pub fn wall_seconds(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    pub fn count(&self, count: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        count(&mut counts);
        self.counts.set(counts);
    }

    /// The end of the run, if its time is over.
    pub fn check_time(&self) -> Result<(), Stop> {
        if self.stop.get().is_none() && self.seconds() > self.limit {
            self.stop.set(Some(Stop::TimeLimit));
        }
        self.stop.get().map_or(Ok(()), Err)
    }

    /// Takes a point of the trace.
    pub fn point(&self, seconds: f64, f: f64, grad_norm: f64) {
        let seen = self.seen.get() + 1;
        self.seen.set(seen);
        let last = self.taken.get();
        let reached = grad_norm <= self.target;
        if seen > ALL_POINTS && (seen as f64) < 1.002 * last as f64 && !reached {
            return;
        }
        self.taken.set(seen);
        self.trace.borrow_mut().push(Point {
            iteration: self.iteration.get(),
            calls: self.counts.get().calls(),
            seconds,
            f,
            grad_norm,
        });
    }

    /// Looks at a gradient that a peer has asked for, and ends the run if it is small enough.
    /// The time this takes is not the peer's.
    pub fn gradient(&self, x: &[f64], g: &[f64], f: impl FnOnce() -> f64) -> Result<(), Stop> {
        let before = cpu_seconds();
        let seconds = before - self.cpu - self.own.get();
        let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        self.point(seconds, f(), norm);
        let mut best = self.best.borrow_mut();
        if norm < best.0 {
            best.0 = norm;
            best.1.clear();
            best.1.extend_from_slice(x);
        }
        if norm <= self.target && self.stop.get().is_none() {
            self.stop.set(Some(Stop::Reached));
        } else if seconds > self.limit && self.stop.get().is_none() {
            self.stop.set(Some(Stop::TimeLimit));
        }
        self.own.set(self.own.get() + cpu_seconds() - before);
        self.stop.get().map_or(Ok(()), Err)
    }

    /// The point of the least gradient norm, if there is one.
    pub fn best(&self) -> Option<Vec<f64>> {
        let best = self.best.borrow();
        best.0.is_finite().then(|| best.1.clone())
    }

    /// Runs `look`, whose time is not the solver's.
    pub fn aside<T>(&self, look: impl FnOnce(f64) -> T) -> T {
        let before = cpu_seconds();
        let result = look(before - self.cpu - self.own.get());
        self.own.set(self.own.get() + cpu_seconds() - before);
        result
    }
}
