//! The kernel of the deterministic family: direction × globalization.
//!
//! ```text
//! f, g at x0
//! until converged:
//!     H at x; prepare the direction        (one factorization)
//!     try steps until one is accepted      (no factorization)
//!     swap current and trial
//! ```

use super::Method;
use crate::error::{Error, finite};
use crate::globalization::{Globalization, Outcome, Probe, Trial};
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::{IterationRecord, Report};
use crate::status::{Converged, Failed, Status, Stopped};
use crate::step::{Direction, Fault, Iterate};
use crate::termination::{Arrival, Tolerances};

/// Iterations without a new least f after which a schedule is said to cycle.
const STALL: u64 = 50;
/// ‖x‖ beyond this multiple of ‖x0‖ and of the first step counts as running to infinity.
const FAR: f64 = 1e20;

/// A Newton-type method; its state is all that a resumed run needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NewtonType<D, G> {
    pub(crate) direction: D,
    pub(crate) globalization: G,
    pub(crate) tolerances: Tolerances,
    pub(crate) max_iters: u64,
    at: Iterate,
    best_x: Vec<f64>,
    best_f: f64,
    /// Accepted steps since f last reached a new least value.
    stalled: u64,
    /// Accepted steps in a row too short to move x.
    short: u64,
    /// All tests hold but that of the decrement, which is not known yet.
    waiting: bool,
    /// The larger of ‖x0‖ and the length of the first step, in the units of x.
    reach: f64,
    start_slope: f64,
    /// Scale of the relative gradient test.
    scale: f64,
    last: IterationRecord,
    status: Status,
    report: Report,
    #[cfg_attr(feature = "serde", serde(skip))]
    trial: Trial,
}

impl<D: Direction, G: Globalization> NewtonType<D, G> {
    pub(crate) fn assemble(direction: D, globalization: G) -> Self {
        NewtonType {
            direction,
            globalization,
            tolerances: Tolerances::default(),
            max_iters: u64::MAX,
            at: Iterate::default(),
            best_x: Vec::new(),
            best_f: 0.0,
            stalled: 0,
            short: 0,
            waiting: false,
            reach: 0.0,
            start_slope: 0.0,
            scale: 0.0,
            last: IterationRecord::default(),
            status: Status::Running,
            report: Report::default(),
            trial: Trial::default(),
        }
    }

    /// One accepted step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let first = self.report.iterations == 0;
        self.trial.resize(self.at.x.len());
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.report,
        };
        counted.refresh(&self.at.x)?;
        if first {
            counted.validate()?;
            if let Some(scale) = counted.gradient_scale() {
                self.scale = scale;
                let test = self.tolerances.test(&self.at, scale, None);
                if let Some(test) = ready(&self.tolerances, &self.at, test, &mut self.waiting) {
                    self.trial.step.fill(0.0);
                    return Ok(Some(verified(&counted, &self.at, &self.trial.step, test)));
                }
            }
        }
        let forcing = (self.at.slope / self.start_slope).sqrt().min(0.1);
        self.direction.prepare(&mut counted, &self.at, forcing)?;
        let decrement = self.direction.decrement();
        if self.tolerances.decrement_holds(decrement, self.at.f)
            && (self.waiting || !self.tolerances.all)
        {
            self.trial.step.fill(0.0);
            let test = Converged::DecrementTolerance;
            let probe: &dyn Oracle = &counted;
            return Ok(Some(verified(probe, &self.at, &self.trial.step, test)));
        }
        let noise = self.tolerances.noise * self.at.f.abs();
        let mut probe = Probe {
            oracle: counted,
            direction: &mut self.direction,
            at: &self.at,
            trial: &mut self.trial,
            noise,
            trials: 0,
        };
        let outcome = self.globalization.search(&mut probe);
        let trials = probe.trials;
        self.report.trials += trials;
        let accepted = matches!(outcome, Ok(Outcome::Accepted));
        self.report.rejected += trials - u64::from(accepted);
        self.report.control = self.globalization.control();
        match outcome? {
            Outcome::Accepted => {}
            Outcome::Floor => {
                self.trial.step.fill(0.0);
                let test = Converged::PrecisionFloor;
                return Ok(Some(verified(oracle, &self.at, &self.trial.step, test)));
            }
            Outcome::Failed(failed) => return Ok(Some(Status::Failed(failed))),
        }
        let before = self.at.f;
        std::mem::swap(&mut self.at, &mut self.trial.point);
        self.report.iterations += 1;
        let arrival = Arrival {
            step_norm: norm(&self.trial.step),
            x_norm: norm(&self.at.x),
            change: before - self.at.f,
        };
        self.last = IterationRecord {
            decrement,
            step_norm: arrival.step_norm,
            step_length: self.trial.control,
            control: self.report.control,
            shift: self.report.shift,
            trials,
            ..IterationRecord::default()
        };
        let predicted = 0.5 * decrement * decrement;
        Ok(self.judge(oracle, &arrival, predicted <= noise))
    }

    /// Ends a run that has taken all its steps.
    fn limit(&mut self) {
        if self.status == Status::Running && self.report.iterations >= self.max_iters {
            self.status = Status::Stopped(Stopped::MaxIterations);
        }
    }

    /// Whether the run ends at the point just accepted.
    fn judge(&mut self, oracle: &dyn Oracle, arrival: &Arrival, noise: bool) -> Option<Status> {
        let fell = self.at.f < self.best_f;
        self.stalled = if fell { 0 } else { self.stalled + 1 };
        // Of equal values the later point is the better guess.
        if self.at.f <= self.best_f {
            self.best_f = self.at.f;
            self.best_x.copy_from_slice(&self.at.x);
        }
        if self.report.iterations == 1 {
            self.reach = self.reach.max(arrival.step_norm);
        }
        let step = &self.trial.step;
        let test = self.tolerances.test(&self.at, self.scale, Some(arrival));
        if let Some(test) = ready(&self.tolerances, &self.at, test, &mut self.waiting) {
            return Some(verified(oracle, &self.at, step, test));
        }
        if self
            .tolerances
            .lower_bound
            .is_some_and(|bound| self.at.f <= bound)
            || arrival.x_norm > FAR * self.reach
        {
            return Some(Status::Failed(Failed::Unbounded));
        }
        // Entry by entry: a small coordinate may move while a large one stands.
        let rounds = |(p, x): (&f64, &f64)| p.abs() <= 4.0 * f64::EPSILON * x.abs();
        let short = noise && arrival.step_norm <= 4.0 * f64::EPSILON * arrival.x_norm;
        if short || step.iter().zip(&self.at.x).all(rounds) {
            self.short += 1;
            if self.short >= 2 {
                return Some(if noise {
                    verified(oracle, &self.at, step, Converged::PrecisionFloor)
                } else {
                    Status::Failed(Failed::Stalled)
                });
            }
        } else {
            self.short = 0;
        }
        if self.stalled >= STALL {
            return Some(Status::Failed(Failed::SearchFailed));
        }
        None
    }
}

/// The test that ends the run now; one that waits for the decrement is noted instead.
fn ready(
    tolerances: &Tolerances,
    at: &Iterate,
    test: Option<Converged>,
    waiting: &mut bool,
) -> Option<Converged> {
    *waiting = test.is_some() && tolerances.waits() && at.slope > 0.0;
    test.filter(|_| !*waiting)
}

/// Lets the problem object to convergence.
fn verified(oracle: &dyn Oracle, at: &Iterate, step: &[f64], test: Converged) -> Status {
    match oracle.verify(&at.x, step) {
        Ok(()) => Status::Converged(test),
        Err(failed) => Status::Failed(failed),
    }
}

impl<D: Direction, G: Globalization> Method for NewtonType<D, G> {
    fn name(&self) -> &'static str {
        self.globalization.name()
    }

    fn check(&self) -> Result<(), Error> {
        self.tolerances.check()?;
        self.globalization.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if let Err(error) = self.check().and_then(|()| finite("start point", x0)) {
            return Err(oracle.fail(error));
        }
        self.globalization.reset();
        self.report = Report::default();
        self.status = Status::Running;
        self.last = IterationRecord::default();
        self.stalled = 0;
        self.short = 0;
        self.at.x.clear();
        self.at.x.extend_from_slice(x0);
        self.at.g.resize(x0.len(), 0.0);
        self.best_x.clone_from(&self.at.x);
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.report,
        };
        self.at.f = counted.value_gradient(&self.at.x, &mut self.at.g)?;
        self.at.slope = norm(&self.at.g);
        self.best_f = self.at.f;
        self.reach = norm(x0);
        self.start_slope = self.at.slope;
        self.scale = self.at.slope;
        if !self.at.f.is_finite() || !self.at.slope.is_finite() {
            self.status = Status::Failed(Failed::NonFinite);
            return Ok(());
        }
        let test = self.tolerances.test(&self.at, self.scale, None);
        if let Some(test) = ready(&self.tolerances, &self.at, test, &mut self.waiting) {
            // The one Hessian lets a model object that no minimizer exists.
            counted.refresh(&self.at.x)?;
            self.trial.resize(x0.len());
            self.trial.step.fill(0.0);
            self.status = verified(&counted, &self.at, &self.trial.step, test);
        }
        self.limit();
        Ok(())
    }

    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if self.status.is_final() {
            return Ok(());
        }
        match self.advance(oracle) {
            Ok(None) => {}
            Ok(Some(status)) => self.status = status,
            Err(Fault::Fail(failed)) => self.status = Status::Failed(failed),
            Err(Fault::Abort) => return Err(Abort),
        }
        self.limit();
        Ok(())
    }

    fn x(&self) -> &[f64] {
        &self.at.x
    }
    fn f(&self) -> f64 {
        self.at.f
    }
    fn g(&self) -> &[f64] {
        &self.at.g
    }
    fn best(&self) -> (&[f64], f64) {
        if self.status.is_converged() || self.at.f <= self.best_f {
            (&self.at.x, self.at.f)
        } else {
            (&self.best_x, self.best_f)
        }
    }
    fn status(&self) -> Status {
        self.status
    }
    fn set_status(&mut self, status: Status) {
        self.status = status;
    }
    fn report(&self) -> &Report {
        &self.report
    }
    fn record(&self) -> IterationRecord {
        IterationRecord {
            iteration: self.report.iterations,
            f: self.at.f,
            gradient_norm: self.at.slope,
            values: self.report.values,
            gradients: self.report.gradients,
            hessians: self.report.hessians,
            hessian_products: self.report.hessian_products,
            factorizations: self.report.factorizations,
            ..self.last
        }
    }
}
