//! What every method keeps of its run.

use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::{IterationRecord, Report};
use crate::status::{Failed, Status, Stopped};
use crate::step::{Fault, Iterate};
use crate::termination::{Arrival, Tolerances};

/// Iterations without a new least f after which a schedule is said to cycle.
pub(crate) const STALL: u64 = 50;
/// ‖x‖ beyond this multiple of ‖x0‖ and of the first step counts as running to infinity.
const FAR: f64 = 1e20;

/// The accepted point, the best one, and how the run stands.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Course {
    pub(crate) tolerances: Tolerances,
    pub(crate) max_iters: u64,
    pub(crate) at: Iterate,
    pub(crate) best_x: Vec<f64>,
    pub(crate) best_f: f64,
    /// Accepted steps since f last reached a new least value.
    pub(crate) stalled: u64,
    /// Accepted steps in a row too short to move x.
    pub(crate) short: u64,
    /// The larger of ‖x0‖ and the length of the first step, in the units of x.
    pub(crate) reach: f64,
    pub(crate) start_slope: f64,
    /// Scale of the relative gradient test.
    pub(crate) scale: f64,
    pub(crate) last: IterationRecord,
    pub(crate) status: Status,
    pub(crate) report: Report,
}

impl Default for Course {
    fn default() -> Self {
        Course {
            tolerances: Tolerances::default(),
            max_iters: u64::MAX,
            at: Iterate::default(),
            best_x: Vec::new(),
            best_f: 0.0,
            stalled: 0,
            short: 0,
            reach: 0.0,
            start_slope: 0.0,
            scale: 0.0,
            last: IterationRecord::default(),
            status: Status::Running,
            report: Report::default(),
        }
    }
}

impl Course {
    /// Of a new run in `n` variables by a core that fills it itself.
    pub(crate) fn renewed(&self, n: usize) -> Self {
        let mut course = Course {
            tolerances: self.tolerances,
            max_iters: self.max_iters,
            ..Course::default()
        };
        course.at.x = vec![0.0; n];
        course.at.g = vec![0.0; n];
        course
    }

    /// Evaluates f and g at x0, after which nothing of an earlier run is left.
    pub(crate) fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        self.clear(x0);
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.report,
        };
        self.at.f = counted.value_gradient(&self.at.x, &mut self.at.g)?;
        self.depart();
        Ok(())
    }

    /// Stands at x0, where nothing is known yet.
    pub(crate) fn clear(&mut self, x0: &[f64]) {
        self.report = Report::default();
        self.status = Status::Running;
        self.last = IterationRecord::default();
        self.stalled = 0;
        self.short = 0;
        self.at.x.clear();
        self.at.x.extend_from_slice(x0);
        self.at.g.resize(x0.len(), 0.0);
        self.best_x.clone_from(&self.at.x);
        self.reach = norm(x0);
    }

    /// Takes note of f and g at x0.
    pub(crate) fn depart(&mut self) {
        self.at.slope = norm(&self.at.g);
        self.best_f = self.at.f;
        self.start_slope = self.at.slope;
        self.scale = self.at.slope;
        if !self.at.f.is_finite() || !self.at.slope.is_finite() {
            self.status = Status::Failed(Failed::NonFinite);
        }
    }

    /// Rounding noise of f.
    pub(crate) fn noise(&self) -> f64 {
        self.tolerances.noise * self.at.f.abs()
    }

    /// Takes note of the point just accepted.
    pub(crate) fn arrive(&mut self, arrival: &Arrival) {
        let fell = self.at.f < self.best_f;
        self.stalled = if fell { 0 } else { self.stalled + 1 };
        // Of equal values the later point is the better guess.
        if self.at.f <= self.best_f {
            self.best_f = self.at.f;
            self.best_x.copy_from_slice(&self.at.x);
        }
        if self.report.iterations == 1 {
            self.reach = self.reach.max(arrival.step_norm);
            // A start at a saddle point has no scale of its own.
            if self.scale == 0.0 {
                self.scale = self.at.slope;
            }
        }
    }

    /// Whether f or the iterates have run beyond all bounds.
    pub(crate) fn is_unbounded(&self, arrival: &Arrival) -> bool {
        let bound = self.tolerances.lower_bound;
        bound.is_some_and(|bound| self.at.f <= bound) || arrival.x_norm > FAR * self.reach
    }

    /// Ends a run that has taken all its steps.
    pub(crate) fn limit(&mut self) {
        if self.status == Status::Running && self.report.iterations >= self.max_iters {
            self.status = Status::Stopped(Stopped::MaxIterations);
        }
    }

    /// Keeps the status that a part of the run ends with.
    pub(crate) fn conclude(&mut self, end: Result<Option<Status>, Fault>) -> Result<(), Abort> {
        match end {
            Ok(None) => {}
            Ok(Some(status)) => self.status = status,
            Err(Fault::Fail(failed)) => self.status = Status::Failed(failed),
            Err(Fault::Abort) => return Err(Abort),
        }
        Ok(())
    }

    /// The accepted point of a converged run, else the one with the least f.
    pub(crate) fn best(&self) -> (&[f64], f64) {
        if self.status.is_converged() || self.at.f <= self.best_f {
            (&self.at.x, self.at.f)
        } else {
            (&self.best_x, self.best_f)
        }
    }

    pub(crate) fn record(&self) -> IterationRecord {
        IterationRecord {
            iteration: self.report.iterations,
            f: self.at.f,
            gradient_norm: self.at.slope,
            values: self.report.values,
            gradients: self.report.gradients,
            hessians: self.report.hessians,
            hessian_products: self.report.hessian_products,
            factorizations: self.report.factorizations,
            residuals: self.report.residuals,
            jacobians: self.report.jacobians,
            ..self.last
        }
    }
}
