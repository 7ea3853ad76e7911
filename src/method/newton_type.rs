//! The kernel of the deterministic family: direction × globalization.
//!
//! ```text
//! f, g at x0
//! until converged:
//!     H at x if it is due                  (every time but in lazy methods)
//!     prepare the direction
//!     try steps until one is accepted      (here a stale H may be renewed)
//!     swap current and trial
//! ```

use super::Method;
use super::course::{Course, STALL};
use crate::error::{Error, finite};
use crate::globalization::floor::MARGIN;
use crate::globalization::{Globalization, Outcome, Probe, Trial};
use crate::lazy::{Phase, Refresh};
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status};
use crate::step::{Direction, Fault};
use crate::termination::Arrival;
use std::marker::PhantomData;

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
    pub(crate) phase: Phase,
    /// All tests hold but those of the decrement or the curvature, which are not known yet.
    waiting: Option<Converged>,
    course: Course,
    #[cfg_attr(feature = "serde", serde(skip))]
    trial: Trial,
    #[cfg_attr(feature = "serde", serde(skip))]
    preset: PhantomData<fn() -> T>,
}

impl<D: Direction, G: Globalization, T: Preset> NewtonType<D, G, T> {
    pub(crate) fn assemble(direction: D, globalization: G) -> Self {
        NewtonType {
            direction,
            globalization,
            second_order: false,
            phase: Phase::new(Refresh::Every(1)),
            waiting: None,
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
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let forcing = (self.course.at.slope / self.course.start_slope)
            .sqrt()
            .min(0.1);
        self.direction
            .prepare(&mut counted, &self.course.at, forcing)?;
        if let Some(status) = self.certified(oracle)? {
            return Ok(Some(status));
        }
        let decrement = self.direction.decrement().unwrap_or(0.0);
        let noise = self.course.noise();
        let gradients = self.course.report.gradients;
        let mut probe = Probe {
            oracle: Counted {
                inner: oracle,
                report: &mut self.course.report,
            },
            direction: &mut self.direction,
            phase: &mut self.phase,
            at: &self.course.at,
            trial: &mut self.trial,
            noise,
            forcing,
            trials: 0,
        };
        let outcome = self.globalization.search(&mut probe);
        let trials = probe.trials;
        self.course.report.trials += trials;
        let accepted = matches!(outcome, Ok(Outcome::Accepted));
        self.course.report.rejected += trials - u64::from(accepted);
        self.course.report.control = self.globalization.control();
        match outcome? {
            Outcome::Accepted => {}
            Outcome::Floor => {
                if self.second_order && !self.is_convex(oracle)? {
                    return Ok(Some(Status::Failed(Failed::SearchFailed)));
                }
                self.trial.step.fill(0.0);
                return self.verified(oracle, Converged::PrecisionFloor).map(Some);
            }
            Outcome::Failed(failed) => return Ok(Some(Status::Failed(failed))),
        }
        let before = self.course.at.f;
        std::mem::swap(&mut self.course.at, &mut self.trial.point);
        self.course.report.iterations += 1;
        self.phase.accept(
            self.trial.point.slope,
            self.course.at.slope,
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
            ..IterationRecord::default()
        };
        let predicted = self.trial.proposal.predicted;
        self.judge(oracle, &arrival, predicted <= noise)
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

    fn is_convex(&mut self, oracle: &mut dyn Oracle) -> Result<bool, Fault> {
        self.direction.is_convex(&mut Counted {
            inner: oracle,
            report: &mut self.course.report,
        })
    }

    /// Whether the run ends now that decrement and curvature are known at the point.
    fn certified(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let decrement = self.direction.decrement();
        let holds =
            decrement.is_some_and(|d| self.course.tolerances.decrement_holds(d, self.course.at.f));
        let test = match self.waiting {
            Some(_) if self.course.tolerances.waits() && holds => Converged::DecrementTolerance,
            None if holds && !self.course.tolerances.all => Converged::DecrementTolerance,
            Some(test) if !self.course.tolerances.waits() => test,
            _ => return Ok(None),
        };
        let mut test = test;
        if self.second_order {
            if !self.is_convex(oracle)? {
                return Ok(None);
            }
            test = Converged::SecondOrder;
        }
        self.trial.step.fill(0.0);
        self.verified(oracle, test).map(Some)
    }

    /// Whether the run ends at the point just accepted.
    fn judge(
        &mut self,
        oracle: &mut dyn Oracle,
        arrival: &Arrival,
        noise: bool,
    ) -> Result<Option<Status>, Fault> {
        self.course.arrive(arrival);
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
                return if noise && self.is_floor(oracle)? {
                    self.verified(oracle, Converged::PrecisionFloor).map(Some)
                } else {
                    Ok(Some(Status::Failed(Failed::Stalled)))
                };
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
        self.phase.reset();
        self.waiting = None;
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
