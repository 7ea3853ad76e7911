//! The loop of Sinkhorn-Newton.
//!
//! ```text
//! for ε on the ladder, starting from potentials extrapolated from the levels before
//!     Sinkhorn sweeps: with a stored kernel while they are worth it, or 3 with exp
//!     until ‖b − c‖₁ ≤ tolerance of the level
//!         Newton step on the semi-dual
//!         if no trial was accepted: 20 sweeps, three times in a row at most
//!         if t < ½: 5 sweeps
//! ```

use crate::error::Error;
use crate::method::{Course, Method};
use crate::oracle::{Abort, Oracle};
use crate::parallel::norm;
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status, Stopped};
use crate::transport::bands::Bands;
use crate::transport::ladder::Level;
use crate::transport::newton::{Newton, Stride};
use crate::transport::opening::{self, Opening, is_worth};
use crate::transport::potentials;
use crate::transport::problem::{Reduced, Transport};
use crate::transport::semidual::Point;

/// The sweeps that open a level aim at this error.
const OPENED: f64 = 1e-2;
/// A tolerance that sums in single precision may decide on, with this safety.
const SINGLE: f64 = 1e-3;
const SAFETY: f64 = 0.99;
/// Sweeps after a shortened step, and after a failed one.
const RESCUE: u64 = 5;
const RETRY: u64 = 20;
/// Failed steps in a row that end the run.
const FAILURES: u64 = 3;
/// A step shorter than this is followed by sweeps.
const SHORT: f64 = 0.5;
/// Newton steps after which a warm start must have halved the error.
const WARM_STEPS: u64 = 5;
/// An entry of P below exp(−VANISHED) is zero in doubles.
const VANISHED: f64 = 750.0;

/// What the user chose.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Options {
    pub(crate) eps: f64,
    pub(crate) tol: f64,
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(Error::parameter("eps", self.eps, "positive and finite"));
        }
        if !(self.tol > 0.0 && self.tol < 1.0) {
            return Err(Error::parameter("marginal_tol", self.tol, "in (0, 1)"));
        }
        Ok(())
    }

    /// Whether doubles can tell the costs apart at this ε.
    pub(crate) fn fits(&self, problem: &Reduced) -> Result<(), Error> {
        if self.eps > 4.0 * f64::EPSILON * problem.range {
            return Ok(());
        }
        let requirement = "above 4 ulp of the range of the costs; scale the costs or raise it";
        Err(Error::parameter("eps", self.eps, requirement))
    }

    /// Convergence at an error within the tolerance or within what rounding allows.
    pub(crate) fn converged(&self, error: f64) -> Status {
        Status::Converged(if error <= self.tol {
            Converged::Marginal
        } else {
            Converged::PrecisionFloor
        })
    }

    /// The marginal error that rounding of the exponents allows, 16 ε (1 + R/eps).
    pub(crate) fn attainable(&self, problem: &Reduced) -> f64 {
        16.0 * f64::EPSILON * (1.0 + problem.range / self.eps)
    }
}

/// The core of Sinkhorn-Newton; its state is all that a resumed run needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SinkhornNewtonCore {
    pub(crate) options: Options,
    course: Course,
    at: Point,
    level: Level,
    /// Whether the sweeps at the start of the level are still to be made.
    opens: bool,
    /// The level that the next iteration goes to.
    next: Option<Level>,
    failures: u64,
    /// Whether the step beyond what rounding allows has been tried.
    polished: bool,
    /// g at the end of the level before, and its ε.
    before: Vec<f64>,
    before_eps: f64,
    /// Of a warm start: the error that must be reached.
    warm: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) bands: Bands,
    newton: Newton,
    opening: Opening,
    /// Whether the kernel of the current point is stored.
    is_stored: bool,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Work::default()
    }
}

impl SinkhornNewtonCore {
    pub(crate) fn new(eps: f64) -> Self {
        SinkhornNewtonCore {
            options: Options { eps, tol: 1e-9 },
            course: Course::default(),
            at: Point::default(),
            level: Level::default(),
            opens: true,
            next: None,
            failures: 0,
            polished: false,
            before: Vec::new(),
            before_eps: 0.0,
            warm: None,
            work: Work::default(),
        }
    }

    fn begin(&mut self, x0: &[f64], transport: &Transport) {
        let problem = transport.reduced();
        *self = SinkhornNewtonCore {
            course: self.course.renewed(x0.len()),
            work: std::mem::take(&mut self.work),
            ..SinkhornNewtonCore::new(self.options.eps).with(self.options)
        };
        self.work.bands.resize(problem);
        self.at.resize(problem);
        let is_warm = x0.iter().any(|x| *x != 0.0);
        let (eps, range) = (self.options.eps, problem.range);
        self.level = if is_warm {
            Level::last(eps)
        } else {
            Level::first(eps, range)
        };
        potentials::read(x0, transport, self.level.eps, &mut self.at.u);
        self.evaluate(problem);
        self.course.report.passes += 1;
        if is_warm && self.level.is_last() {
            self.warm = Some(0.5 * self.at.error);
        }
    }

    fn with(self, options: Options) -> Self {
        SinkhornNewtonCore { options, ..self }
    }

    /// At most `count` sweeps, fewer if the level is solved before.
    fn sweep(&mut self, problem: &Reduced, count: u64) {
        let tol = self.tolerance(problem);
        for _ in 0..count {
            if self.at.error <= tol {
                break;
            }
            self.at.sweep(problem, self.level.eps, &mut self.work.bands);
            self.course.report.sweeps += 1;
            self.course.report.passes += 1;
        }
    }

    /// At the start of a level: with the kernel, if that fits.
    fn evaluate(&mut self, problem: &Reduced) {
        let eps = self.level.eps;
        let Work {
            bands, is_stored, ..
        } = &mut self.work;
        *is_stored = Opening::fits(problem);
        if *is_stored {
            self.at.evaluate_stored(problem, eps, bands);
        } else {
            self.at.evaluate(problem, eps, bands);
        }
    }

    /// The sweeps at the start of a level.
    fn open(&mut self, problem: &Reduced) {
        self.opens = false;
        let aim = OPENED.max(SAFETY * self.tolerance(problem));
        if Opening::fits(problem) && !self.work.is_stored {
            self.evaluate(problem);
            self.course.report.rebuilt += 1;
        }
        let exact = self.tolerance(problem) < SINGLE;
        let mut count = 0;
        if self.work.is_stored {
            let Work { bands, opening, .. } = &mut self.work;
            let eps = self.level.eps;
            count = opening.sweep(&mut self.at, problem, (eps, aim), bands);
            self.course.report.sweeps += count;
            let goes_on = exact || self.at.error > aim;
            if count > 0 && goes_on {
                self.at.evaluate(problem, eps, bands);
                self.course.report.passes += 1;
            }
        }
        self.work.is_stored = false;
        if count == 0 {
            self.open_with_exp(problem, aim);
        }
    }

    /// The sweeps at the start of a level without a kernel.
    fn open_with_exp(&mut self, problem: &Reduced, aim: f64) {
        let eps = self.level.eps;
        for count in 1..=opening::MOST {
            let before = self.at.error;
            if before <= aim {
                break;
            }
            self.sweep(problem, 1);
            let errors = (before, self.at.error);
            if count >= opening::FIRST && !is_worth(problem, (eps, aim), errors, false) {
                break;
            }
        }
    }

    fn tolerance(&self, problem: &Reduced) -> f64 {
        let attainable = self.options.attainable(problem);
        // The plan is measured again, with other rounding.
        let tol = self.options.tol - attainable / 16.0;
        self.level.tolerance(tol.max(attainable))
    }

    /// Sweeps at the start of a level, or a Newton step with the sweeps that follow it.
    fn advance(&mut self, problem: &Reduced) -> Result<Stride, Failed> {
        self.work.bands.resize(problem);
        if let Some(level) = self.next.take() {
            self.enter(level, problem);
        }
        if self.opens {
            self.open(problem);
            return Ok(Stride::none());
        }
        let aim = self.tolerance(problem);
        let stride = self.work.newton.step(
            &mut self.at,
            problem,
            (self.level.eps, aim),
            &mut self.work.bands,
            &mut self.course.report,
        );
        self.level.steps += 1;
        if stride.length == 0.0 {
            self.failures += 1;
            if self.failures > FAILURES {
                return Err(if problem.forbids && problem.is_balanced() {
                    Failed::Infeasible
                } else {
                    Failed::Stalled
                });
            }
            self.sweep(problem, RETRY);
        } else {
            self.failures = 0;
            if stride.length < SHORT {
                self.sweep(problem, RESCUE);
            }
        }
        Ok(stride)
    }

    /// Ends the run, or has the next iteration go to the next level.
    fn judge(&mut self, problem: &Reduced) -> Result<Option<Status>, Failed> {
        if !self.at.error.is_finite() {
            return Err(Failed::NonFinite);
        }
        // Along a chain of entries of P that are not zero g changes by no more than this. Relaxed marginals have
        // a plan always, and potentials of any size.
        let links = (problem.n() + problem.m()) as f64;
        let reach = links * (problem.range / self.level.eps + VANISHED);
        if problem.is_balanced() && self.at.spread(problem.m()) > reach {
            return Err(Failed::Infeasible);
        }
        let solved = self.at.error <= self.tolerance(problem);
        if self.level.is_last() {
            // Rounding may be kinder than its bound: one more step for a tolerance below it.
            let is_short = self.at.error > self.options.tol && !self.polished;
            if solved && !(is_short && self.level.steps > 0) {
                return Ok(Some(self.options.converged(self.at.error)));
            }
            self.polished |= solved;
            if let Some(wanted) = self.warm
                && self.level.steps >= WARM_STEPS
            {
                self.warm = None;
                if self.at.error > wanted {
                    self.before.clear();
                    self.next = Some(Level::first(self.options.eps, problem.range));
                    return Ok(None);
                }
            }
            return Ok(self
                .level
                .is_spent()
                .then_some(Status::Stopped(Stopped::MaxIterations)));
        }
        if solved || self.level.is_spent() {
            self.next = Some(self.level.next());
        }
        Ok(None)
    }

    fn enter(&mut self, level: Level, problem: &Reduced) {
        let (old, new) = (self.level.eps, level.eps);
        let theta = match self.before.is_empty() {
            true => 0.0,
            false => self.level.extrapolation(self.before_eps, new),
        };
        self.before.resize(self.at.u.len(), 0.0);
        for (u, before) in self.at.u.iter_mut().zip(&mut self.before) {
            let g = *u * old;
            *u = (g + theta * (g - *before)) / new;
            *before = g;
        }
        self.before_eps = old;
        self.level = level;
        self.opens = true;
        self.failures = 0;
        self.evaluate(problem);
        self.course.report.passes += 1;
    }
}

/// Writes point, cost, gradient and record as the user knows them, and the potentials of places
/// without mass at the end of a run.
pub(crate) fn publish(
    course: &mut Course,
    transport: &Transport,
    eps: f64,
    at: &Point,
    stride: &Stride,
) {
    let problem = transport.reduced();
    let iterate = &mut course.at;
    potentials::write(transport, eps, &at.f, &at.u, &mut iterate.x);
    let sum = problem.mass * at.r.iter().sum::<f64>();
    iterate.f = -potentials::dual(transport, eps, &iterate.x, sum);
    potentials::gradient(transport, &at.c, &at.target, &mut iterate.g);
    iterate.slope = norm(&iterate.g);
    course.report.control = eps;
    course.report.decrement = stride.decrement;
    course.report.marginal_error = at.error * problem.mass * problem.unit;
    course.last = IterationRecord {
        decrement: stride.decrement,
        step_norm: stride.norm * eps,
        step_length: stride.length,
        control: eps,
        trials: stride.trials,
        marginal_error: course.report.marginal_error,
        sweeps: course.report.sweeps,
        passes: course.report.passes,
        ..IterationRecord::default()
    };
    if course.status.is_final() {
        potentials::complete(transport, &mut iterate.x);
    }
}

impl SinkhornNewtonCore {
    fn conclude(
        &mut self,
        transport: &Transport,
        stride: &Stride,
        end: Result<Option<Status>, Failed>,
    ) {
        self.course.status = match end {
            Ok(status) => status.unwrap_or(Status::Running),
            Err(failed) => Status::Failed(failed),
        };
        self.course.limit();
        publish(
            &mut self.course,
            transport,
            self.level.eps,
            &self.at,
            stride,
        );
    }
}

impl Method for SinkhornNewtonCore {
    fn name(&self) -> &'static str {
        "Sinkhorn-Newton"
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.only_marginals()?;
        self.options.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let transport = oracle.transport()?.clone();
        let checked = self
            .check()
            .and_then(|()| self.options.fits(transport.reduced()));
        if let Err(error) = checked.and_then(|()| potentials::check(x0, &transport)) {
            return Err(oracle.fail(error));
        }
        self.begin(x0, &transport);
        let end = self.judge(transport.reduced());
        self.conclude(&transport, &Stride::none(), end);
        Ok(())
    }

    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if self.course.status.is_final() {
            return Ok(());
        }
        let transport = oracle.transport()?.clone();
        let problem = transport.reduced();
        let (stride, end) = match self.advance(problem) {
            Ok(stride) => {
                let end = self.judge(problem);
                (stride, end)
            }
            Err(failed) => (Stride::none(), Err(failed)),
        };
        self.course.report.iterations += 1;
        self.conclude(&transport, &stride, end);
        Ok(())
    }

    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
    /// The current point: costs at different levels do not compare.
    fn best(&self) -> (&[f64], f64) {
        (&self.course.at.x, self.course.at.f)
    }
    fn keeps_best(&self) -> bool {
        true
    }
}
