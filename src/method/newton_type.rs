//! The kernel of the deterministic family: direction × globalization.
//!
//! ```text
//! f, g at x0
//! until converged:
//!     H at x if it is due                  (every time but in lazy methods)
//!     where a test of convergence holds and curvature counts: end, or leave the saddle point
//!     prepare the direction
//!     try steps until one is accepted      (here a stale H may be renewed)
//!     swap current and trial
//! ```

use super::Method;
use super::course::{Course, STALL};
use crate::error::{Error, finite};
use crate::globalization::escape::{Escape, Least};
use crate::globalization::floor::MARGIN;
use crate::globalization::{Globalization, Outcome, Probe, Trial};
use crate::lazy::{Phase, Refresh};
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status};
use crate::step::{Direction, Fault, Proposal};
use crate::termination::Arrival;
use std::marker::PhantomData;

/// Largest relative residual of an iterative solve. An iteration more costs an evaluation, which
/// is as much as a product with the Hessian.
const LOOSEST: f64 = 0.3;
/// Part of the goal for ‖g‖ to which a last step is solved; what f is not quadratic takes the rest.
const SUFFICIENT: f64 = 0.25;

/// Tells presets with the same parts apart.
pub trait Preset {
    /// Name of the method, as argmin's observers show it.
    const NAME: &'static str;
}

/// A Newton-type method; its state is all that a resumed run needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NewtonType<D, G, T> {
    pub(crate) direction: D,
    pub(crate) globalization: G,
    /// A gradient test counts only where the curvature is nonnegative.
    pub(crate) second_order: bool,
    pub(crate) escape: Escape,
    pub(crate) phase: Phase,
    /// All tests hold but those of the decrement or the curvature, which are not known yet.
    waiting: Option<Converged>,
    /// The decrease that the last step promised was below the noise of f.
    hidden: bool,
    course: Course,
    #[cfg_attr(feature = "serde", serde(skip))]
    trial: Trial,
    #[cfg_attr(feature = "serde", serde(skip))]
    preset: PhantomData<fn() -> T>,
}

/// How an attempt to leave a point ended.
enum Away {
    /// Nothing to leave for.
    Never,
    /// The trial, found by so many, is a step away.
    Taken(u64),
    /// f does not show the curvature.
    Stuck,
}

/// What follows a look at the point.
enum Next {
    /// The run ends.
    End(Status),
    /// The trial, found by so many, is to be taken.
    Accepted(u64),
    /// A step of the method.
    Step,
}

impl<D: Direction, G: Globalization, T: Preset> NewtonType<D, G, T> {
    pub(crate) fn assemble(direction: D, globalization: G) -> Self {
        NewtonType {
            direction,
            globalization,
            second_order: false,
            escape: Escape::default(),
            phase: Phase::new(Refresh::Every(1)),
            waiting: None,
            hidden: false,
            course: Course::default(),
            trial: Trial::default(),
            preset: PhantomData,
        }
    }

    /// Evaluates Hessians by this rule.
    pub(crate) fn reusing(mut self, refresh: Refresh) -> Self {
        self.phase.refresh = refresh;
        self.direction.expect_reuse(refresh.is_long());
        self
    }

    /// One accepted step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        self.trial.resize(self.course.at.x.len());
        self.phase.enter();
        if let Some(status) = self.curvature(oracle)? {
            return Ok(Some(status));
        }
        let gradients = self.course.report.gradients;
        // A test that does not wait for the decrement needs no direction.
        let known = self.waiting.is_some() && !self.course.tolerances.waits();
        let mut next = if known {
            self.certified(oracle)?
        } else if self.hidden
            && let Away::Taken(trials) = self.away(oracle, false)?
        {
            Next::Accepted(trials)
        } else {
            Next::Step
        };
        if let Next::Step = next {
            let forcing = self.forcing();
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            self.direction
                .prepare(&mut counted, &self.course.at, forcing)?;
            if !known {
                next = self.certified(oracle)?;
            }
        }
        let mut found = match next {
            Next::End(status) => return Ok(Some(status)),
            Next::Accepted(trials) => (Outcome::Accepted, trials),
            Next::Step => self.search(oracle, |globalization, _, probe| {
                globalization.search(probe)
            })?,
        };
        if found.0 != Outcome::Accepted && found.0 != Outcome::Failed(Failed::NonFinite) {
            match self.away(oracle, true)? {
                Away::Taken(trials) => found = (Outcome::Accepted, found.1 + trials),
                Away::Stuck => found.0 = Outcome::Failed(Failed::SearchFailed),
                Away::Never => {}
            }
        }
        let (outcome, trials) = found;
        match outcome {
            Outcome::Accepted => {}
            Outcome::Floor => {
                self.trial.step.fill(0.0);
                return self.verified(oracle, Converged::PrecisionFloor).map(Some);
            }
            Outcome::Failed(failed) => return Ok(Some(Status::Failed(failed))),
        }
        let decrement = self.direction.decrement().unwrap_or(0.0);
        let noise = self.course.noise();
        let before = self.course.at.f;
        std::mem::swap(&mut self.course.at, &mut self.trial.point);
        self.course.report.iterations += 1;
        let slopes = (
            self.trial.point.slope,
            self.course.at.slope,
            self.course.tolerances.gradient_goal(self.course.scale),
        );
        self.phase.accept(
            slopes,
            self.course.report.gradients - gradients,
            self.direction.is_reusable(),
        );
        let arrival = Arrival {
            step_norm: norm(&self.trial.step),
            x_norm: norm(&self.course.at.x),
            change: before - self.course.at.f,
        };
        self.course.last = IterationRecord {
            decrement,
            step_norm: arrival.step_norm,
            step_length: if self.direction.has_decrement() {
                self.trial.control
            } else {
                1.0
            },
            control: self.course.report.control,
            shift: self.course.report.shift,
            trials,
            index: self.course.report.index,
            ..IterationRecord::default()
        };
        let predicted = self.trial.proposal.predicted;
        self.judge(oracle, &arrival, predicted <= noise)
    }

    /// Relative residual of iterative solves: sqrt(‖g‖/‖g₀‖) for an order of 1.5, at most 0.3, and
    /// not less than a quarter of what the gradient test asks for.
    fn forcing(&self) -> f64 {
        let course = &self.course;
        let superlinear = (course.at.slope / course.start_slope).sqrt();
        let goal = course.tolerances.gradient_goal(course.scale) / course.at.slope;
        // A point that has met the goal waits for another test; one at which the problem may
        // object is judged by its last step.
        let enough = match goal < 1.0 && !self.phase.may_object() {
            true => SUFFICIENT * goal,
            false => 0.0,
        };
        superlinear.max(enough).min(LOOSEST)
    }

    /// Looks for an acceptable trial; with the number of trials.
    fn search(
        &mut self,
        oracle: &mut dyn Oracle,
        by: impl FnOnce(&mut G, &mut Escape, &mut Probe<'_>) -> Result<Outcome, Fault>,
    ) -> Result<(Outcome, u64), Fault> {
        let mut probe = Probe {
            noise: self.course.noise(),
            forcing: self.forcing(),
            oracle: Counted {
                inner: oracle,
                report: &mut self.course.report,
            },
            direction: &mut self.direction,
            phase: &mut self.phase,
            at: &self.course.at,
            trial: &mut self.trial,
            trials: 0,
        };
        let outcome = by(&mut self.globalization, &mut self.escape, &mut probe);
        let trials = probe.trials;
        self.course.report.trials += trials;
        let accepted = matches!(outcome, Ok(Outcome::Accepted));
        self.course.report.rejected += trials - u64::from(accepted);
        self.course.report.control = self.globalization.control();
        match outcome {
            Err(Fault::Fail(failed)) => Ok((Outcome::Failed(failed), trials)),
            outcome => Ok((outcome?, trials)),
        }
    }

    /// Brings the direction's curvature up to date; the first one may end the run.
    fn curvature(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let first = self.course.report.iterations == 0;
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let certify = self.waiting.is_some() && !self.phase.is_fresh();
        let again = !self.phase.is_due() && !certify;
        if !again {
            counted.refresh(&self.course.at.x)?;
            if first {
                counted.validate()?;
            }
            self.phase.begin(&self.course.at.x, &counted);
        } else if self.phase.is_lost() {
            counted.inner.refresh(self.phase.anchor())?;
            counted.report.rebuilt += 1;
            self.phase.loaded();
        } else {
            return Ok(None);
        }
        if first && let Some(scale) = counted.gradient_scale() {
            self.course.scale = scale;
            let test = self.course.tolerances.test(&self.course.at, scale, None);
            if let Some(test) = self.ready(test) {
                self.trial.step.fill(0.0);
                return self.verified(oracle, test).map(Some);
            }
        }
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        self.direction
            .load(&mut counted, self.course.at.x.len(), again)?;
        Ok(None)
    }

    /// What follows now that decrement and curvature can be known at the point.
    fn certified(&mut self, oracle: &mut dyn Oracle) -> Result<Next, Fault> {
        let decrement = self.direction.decrement();
        let holds =
            decrement.is_some_and(|d| self.course.tolerances.decrement_holds(d, self.course.at.f));
        let test = match self.waiting {
            Some(_) if self.course.tolerances.waits() && holds => Converged::DecrementTolerance,
            None if holds && !self.course.tolerances.all => Converged::DecrementTolerance,
            Some(test) if !self.course.tolerances.waits() => test,
            _ => return Ok(Next::Step),
        };
        let test = match test {
            Converged::PrecisionFloor => test,
            _ if self.second_order => Converged::SecondOrder,
            _ => test,
        };
        Ok(match self.away(oracle, true)? {
            Away::Taken(trials) => Next::Accepted(trials),
            // Perhaps the method's own steps get away.
            Away::Stuck => Next::Step,
            Away::Never => {
                self.trial.step.fill(0.0);
                Next::End(self.verified(oracle, test)?)
            }
        })
    }

    /// Leaves the point if curvature counts and is negative: then the trial is a step away.
    /// Probes look where curvature is zero.
    fn away(&mut self, oracle: &mut dyn Oracle, probes: bool) -> Result<Away, Fault> {
        if !self.second_order {
            return Ok(Away::Never);
        }
        let (outcome, trials) = match self.least(oracle)? {
            Least::Negative(least) => {
                self.search(oracle, |_, escape, probe| escape.leave(probe, least))?
            }
            Least::Zero if probes && self.escape.probes => {
                self.search(oracle, |_, escape, probe| escape.probe(probe))?
            }
            _ => return Ok(Away::Never),
        };
        Ok(match outcome {
            Outcome::Accepted => {
                // |λ₁|s: a start at a saddle point has no scale of its own.
                let Proposal {
                    predicted, length, ..
                } = self.trial.proposal;
                self.course.scale = self.course.scale.max(2.0 * predicted / length);
                // Nor has what was learned from the little gradient there any meaning.
                self.globalization.reset();
                Away::Taken(trials)
            }
            Outcome::Floor => Away::Never,
            Outcome::Failed(_) => Away::Stuck,
        })
    }

    /// The sign of the least eigenvalue of the Hessian at the point.
    fn least(&mut self, oracle: &mut dyn Oracle) -> Result<Least, Fault> {
        let n = self.course.at.x.len();
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        if !self.phase.is_fresh() {
            counted.refresh(&self.course.at.x)?;
            self.phase.begin(&self.course.at.x, &counted);
            self.direction.load(&mut counted, n, false)?;
        }
        if !self.escape.probes && self.direction.is_convex(&mut counted)? {
            return Ok(Least::Positive);
        }
        self.escape.examine(&mut counted, n)
    }

    /// Whether the run ends at the point just accepted.
    fn judge(
        &mut self,
        oracle: &mut dyn Oracle,
        arrival: &Arrival,
        noise: bool,
    ) -> Result<Option<Status>, Fault> {
        self.course.arrive(arrival);
        self.hidden = noise;
        let test = self
            .course
            .tolerances
            .test(&self.course.at, self.course.scale, Some(arrival));
        if let Some(test) = self.ready(test) {
            return self.verified(oracle, test).map(Some);
        }
        if self.course.is_unbounded(arrival) {
            return Ok(Some(Status::Failed(Failed::Unbounded)));
        }
        // Entry by entry: a small coordinate may move while a large one stands.
        let rounds = |(p, x): (&f64, &f64)| p.abs() <= 4.0 * f64::EPSILON * x.abs();
        let short = noise && arrival.step_norm <= 4.0 * f64::EPSILON * arrival.x_norm;
        if short || self.trial.step.iter().zip(&self.course.at.x).all(rounds) {
            self.course.short += 1;
            if self.course.short >= 2 {
                if !(noise && self.is_floor(oracle)?) {
                    return Ok(Some(Status::Failed(Failed::Stalled)));
                }
                if !self.second_order {
                    return self.verified(oracle, Converged::PrecisionFloor).map(Some);
                }
                self.waiting = Some(Converged::PrecisionFloor);
            }
        } else {
            self.course.short = 0;
        }
        if self.course.stalled >= STALL {
            return Ok(Some(Status::Failed(Failed::SearchFailed)));
        }
        Ok(None)
    }

    /// Whether the model at the last point predicts no decrease without its regularization
    /// either: a short step may be the doing of that.
    fn is_floor(&mut self, oracle: &mut dyn Oracle) -> Result<bool, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        // The last point was swapped with the trial.
        let (from, control) = (&self.trial.point, self.trial.control);
        let left = self.direction.unrestricted(&mut counted, from, control)?;
        Ok(left <= MARGIN * self.course.tolerances.noise * from.f.abs())
    }

    /// The test that ends the run now; one that waits for the decrement or the curvature is
    /// noted instead.
    fn ready(&mut self, test: Option<Converged>) -> Option<Converged> {
        let waits =
            self.second_order || self.course.tolerances.waits() && self.course.at.slope > 0.0;
        self.waiting = test.filter(|_| waits);
        test.filter(|_| !waits)
    }

    /// Lets the problem object to convergence.
    fn verified(&mut self, oracle: &mut dyn Oracle, test: Converged) -> Result<Status, Fault> {
        if self.phase.wants_hessian() {
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            counted.refresh(&self.course.at.x)?;
            // Steps by an old Hessian shrink where those of Newton's method do not.
            let n = self.course.at.x.len();
            let ready = self
                .direction
                .load(&mut counted, n, false)
                .and_then(|()| self.direction.prepare(&mut counted, &self.course.at, 0.0));
            match ready {
                Err(Fault::Abort) => return Err(Fault::Abort),
                Ok(()) if self.direction.full_step(&mut self.trial.step) => {}
                _ => {}
            }
        }
        Ok(match oracle.verify(&self.course.at.x, &self.trial.step) {
            Ok(()) => Status::Converged(test),
            Err(failed) => Status::Failed(failed),
        })
    }
}

impl<D: Direction, G: Globalization, T: Preset> Method for NewtonType<D, G, T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.check()?;
        self.phase.refresh.check()?;
        self.direction.check()?;
        if self.phase.refresh != Refresh::Every(1) && !self.globalization.judges() {
            let requirement = "every step: this rule accepts steps without a test";
            return Err(Error::parameter("refresh", f64::NAN, requirement));
        }
        if self.course.tolerances.decrement > 0.0 && !self.direction.has_decrement() {
            let requirement = "0: this method computes no Newton decrement";
            let value = self.course.tolerances.decrement;
            return Err(Error::parameter("decrement_tol", value, requirement));
        }
        self.globalization.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if let Err(error) = self.check().and_then(|()| finite("start point", x0)) {
            return Err(oracle.fail(error));
        }
        self.globalization.reset();
        self.escape.reset();
        self.phase.reset();
        self.waiting = None;
        self.hidden = false;
        self.course.start(x0, oracle)?;
        if self.course.status.is_final() {
            return Ok(());
        }
        let test = self
            .course
            .tolerances
            .test(&self.course.at, self.course.scale, None);
        if let Some(test) = self.ready(test) {
            // The one Hessian lets a model object that no minimizer exists.
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            counted.refresh(&self.course.at.x)?;
            self.trial.resize(x0.len());
            self.trial.step.fill(0.0);
            self.course.status = match oracle.verify(x0, &self.trial.step) {
                Ok(()) => Status::Converged(test),
                Err(failed) => Status::Failed(failed),
            };
        }
        self.course.limit();
        Ok(())
    }

    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if self.course.status.is_final() {
            return Ok(());
        }
        let end = self.advance(oracle);
        self.course.conclude(end)?;
        self.course.limit();
        Ok(())
    }

    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
}
