//! The loop of the least-squares methods.
//!
//! ```text
//! r, J at x0
//! until converged:
//!     try steps of the linearized problem until one is accepted   (1 r each)
//!     J at the new point: gradient, scale, factorization          (1 J)
//! ```

use super::restraint::{ACCEPT, Restraint};
use super::robust::{Loss, RobustLoss};
use super::statistics::Statistics;
use super::system::{Solution, System};
use crate::error::{Error, finite, length};
use crate::linear::Breakdown;
use crate::method::{Course, Method};
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status};
use crate::step::Fault;
use crate::termination::Arrival;

/// Default of the cosine between residuals and columns. Of the 54 fits of NIST all have six digits
/// from 10⁻⁸ to 10⁻¹⁴; rounding leaves about 10⁻¹⁵ of some hundred residuals.
const COSINE: f64 = 1e-10;
/// Trials of one step.
const TRIALS: u64 = 60;
/// Accepted steps at the rounding floor.
const POLISH: u32 = 3;
/// A scaled step below this share of ‖Dx‖ is rounding of x.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// The core of [`LevenbergMarquardt`](super::LevenbergMarquardt) and
/// [`GaussNewton`](super::GaussNewton).
#[derive(Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeastSquaresCore<G> {
    restraint: G,
    loss: Loss,
    course: Course,
    /// r at the accepted point.
    residuals: Vec<f64>,
    /// D, zero where a column was always zero.
    scale: Vec<f64>,
    /// Accepted steps at the rounding floor.
    polished: u32,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again from the state; a clone begins without it.
#[derive(Debug, Default)]
struct Work {
    system: System,
    x: Vec<f64>,
    residuals: Vec<f64>,
    /// Dp, and p.
    scaled: Vec<f64>,
    step: Vec<f64>,
    norms: Vec<f64>,
    weights: Vec<f64>,
    target: Vec<f64>,
    /// The largest cosine between the residuals and a column.
    cosine: f64,
}

impl<G: Clone> Clone for LeastSquaresCore<G> {
    fn clone(&self) -> Self {
        LeastSquaresCore {
            restraint: self.restraint.clone(),
            loss: self.loss,
            course: self.course.clone(),
            residuals: self.residuals.clone(),
            scale: self.scale.clone(),
            polished: self.polished,
            work: Work::default(),
        }
    }
}

impl<G: Restraint + Default> LeastSquaresCore<G> {
    pub(super) fn new() -> Self {
        let mut core = Self::default();
        core.course.tolerances.gradient = COSINE;
        core
    }
}

impl<G: Restraint> LeastSquaresCore<G> {
    pub(super) fn set_loss(&mut self, loss: RobustLoss, scale: f64) {
        self.loss.robust = Some((loss, scale));
    }

    /// Takes over the Jacobian that the oracle holds: gradient, scale, factor.
    fn linearize(&mut self, oracle: &mut dyn Oracle) -> Result<(), Fault> {
        let n = self.course.at.x.len();
        let work = &mut self.work;
        work.resize(self.residuals.len(), n);
        self.loss
            .weigh(&self.residuals, &mut work.weights, &mut work.target);
        let Some(view) = oracle.rect() else {
            return Err(Fault::Fail(Failed::Breakdown));
        };
        let weights = (!self.loss.is_plain()).then_some(work.weights.as_slice());
        if let Err(breakdown) = work.system.load(view, weights) {
            return Err(self.broken(breakdown));
        }
        let (target, norms) = (&work.target, &mut work.norms);
        work.system.measure(target, norms, &mut self.course.at.g);
        self.course.at.slope = norm(&self.course.at.g);
        // In pieces: ‖t‖ and a column may each be beyond the square root of the range.
        let size = norm(&work.target);
        let pairs = self.course.at.g.iter().zip(&work.norms);
        let cosines = pairs.map(|(g, c)| if *c > 0.0 { g.abs() / c / size } else { 0.0 });
        work.cosine = cosines.fold(0.0, f64::max);
        self.rescale();
        let work = &mut self.work;
        work.system.guess(self.course.report.shift);
        let factored = work.system.factor(&work.target, &self.scale, !G::MONOTONE);
        self.course.report.factorizations = work.system.factorizations;
        self.course.report.analyses = work.system.analyses();
        factored.map_err(|breakdown| self.broken(breakdown))
    }

    /// Whether every residual is beyond the reach of its loss, so that f is flat.
    fn is_out_of_reach(&self) -> bool {
        !self.loss.is_plain() && self.work.weights.iter().all(|w| *w == 0.0)
    }

    /// A Jacobian that is not finite, or a factorization that failed.
    fn broken(&mut self, breakdown: Breakdown) -> Fault {
        Fault::Fail(match breakdown {
            Breakdown::NonFinite { row, .. } => {
                self.course.report.offender = Some(row);
                Failed::NonFinite
            }
            _ => Failed::SubproblemFailed,
        })
    }

    fn rescale(&mut self) {
        let (scale, norms) = (&mut self.scale, &self.work.norms);
        scale.resize(norms.len(), 0.0);
        if G::MONOTONE {
            for (d, norm) in scale.iter_mut().zip(norms) {
                *d = d.max(*norm);
            }
        } else if self.work.system.is_wide() {
            // The row side gives the least ‖Dp‖, wanted is the least ‖p‖.
            scale.fill(1.0);
        } else {
            scale.copy_from_slice(norms);
        }
    }

    /// ‖Dx‖.
    fn scaled_norm(&mut self) -> f64 {
        let scaled = &mut self.work.scaled;
        for ((s, x), d) in scaled.iter_mut().zip(&self.course.at.x).zip(&self.scale) {
            *s = d * x;
        }
        norm(scaled)
    }

    /// Whether the undamped step is lost in the rounding of f or of x.
    fn is_floor(&self) -> bool {
        let newton = self.work.system.newton();
        newton.predicted <= self.course.noise() || self.moved() <= ROUNDING * self.size()
    }

    /// Whether no decrease can be seen any more, given that of a rejected trial. Either that of the
    /// undamped step is lost in the rounding of r, which is as large as if x were off by ε; or, where
    /// that step is no guide, that of the trial and that of any one variable, ½‖t‖² times the squared
    /// cosine, are lost in the rounding of f.
    fn is_hidden(&self, predicted: f64) -> bool {
        let newton = self.work.system.newton();
        let size = norm(&self.work.target);
        let noise = self.course.noise();
        let alone = 0.5 * (size * self.work.cosine) * (size * self.work.cosine);
        newton.predicted <= self.course.tolerances.noise * size * self.size()
            || predicted.max(alone) <= noise
    }

    /// sqrt(Σ (‖column j‖ xⱼ)²): how much r moves with x.
    fn size(&self) -> f64 {
        let terms = self.work.norms.iter().zip(&self.course.at.x);
        terms.fold(0.0, |sum: f64, (c, x)| sum.hypot(c * x))
    }

    /// The same of the undamped step.
    fn moved(&self) -> f64 {
        let step = self.work.system.newton_scaled();
        let terms = self.work.norms.iter().zip(&self.scale).zip(step);
        terms.fold(0.0, |sum: f64, ((c, d), p)| {
            sum.hypot(if *d > 0.0 { c / d * p } else { 0.0 })
        })
    }

    /// The tests at the accepted point.
    fn test(&self, arrival: Option<&Arrival>) -> Option<Converged> {
        let at = &self.course.at;
        // The test slope ≤ tol · scale becomes cosine ≤ tol.
        let scale = at.slope / self.work.cosine;
        let tolerances = &self.course.tolerances;
        let test = tolerances.test(at, scale, arrival);
        let decrement = (2.0 * self.work.system.newton().predicted).sqrt();
        let holds = tolerances.decrement_holds(decrement, at.f);
        match test {
            Some(Converged::GradientTolerance) if at.slope == 0.0 => test,
            Some(_) if tolerances.waits() => holds.then_some(Converged::DecrementTolerance),
            None if holds && !tolerances.all => Some(Converged::DecrementTolerance),
            _ => test,
        }
    }

    /// One accepted step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        if !self.work.system.is_loaded() {
            // A resumed run: the same Jacobian again.
            oracle.jacobian(&self.course.at.x, self.residuals.len())?;
            self.course.report.rebuilt += 1;
            let factorizations = self.course.report.factorizations;
            let analyses = self.course.report.analyses;
            self.work.system.factorizations = factorizations.saturating_sub(1);
            self.linearize(oracle)?;
            self.course.report.factorizations = factorizations;
            self.course.report.analyses = analyses;
        }
        let floor = self.is_floor();
        if floor && self.polished >= POLISH {
            return Ok(Some(Status::Converged(Converged::PrecisionFloor)));
        }
        let mut is_finite = false;
        for trial in 0..TRIALS {
            let proposal =
                self.restraint
                    .propose(&mut self.work.system, trial, &mut self.work.scaled);
            self.course.report.factorizations = self.work.system.factorizations;
            let proposal = proposal.map_err(|_| Failed::SubproblemFailed)?;
            if !self.place() {
                return Ok(Some(if floor || self.is_hidden(proposal.predicted) {
                    Status::Converged(Converged::PrecisionFloor)
                } else if is_finite || trial == 0 {
                    Status::Failed(Failed::Stalled)
                } else {
                    Status::Failed(Failed::NonFinite)
                }));
            }
            let f = self.evaluate(oracle)?;
            is_finite |= f.is_finite();
            if self.judge(f, &proposal, floor) {
                self.polished = if floor { self.polished + 1 } else { 0 };
                return self.arrive(oracle, f, &proposal, trial + 1);
            }
            self.course.report.rejected += 1;
            let hidden = trial > 0 && self.is_hidden(proposal.predicted);
            if is_finite && (floor || hidden) {
                return Ok(Some(Status::Converged(Converged::PrecisionFloor)));
            }
        }
        Ok(Some(Status::Failed(if is_finite {
            Failed::SearchFailed
        } else {
            Failed::NonFinite
        })))
    }

    /// Writes p and x + p; false if no coordinate moves.
    fn place(&mut self) -> bool {
        let work = &mut self.work;
        let mut moved = false;
        for (j, x) in self.course.at.x.iter().enumerate() {
            let d = self.scale[j];
            let p = work.scaled[j] / if d > 0.0 { d } else { 1.0 };
            work.x[j] = x + p;
            work.step[j] = p;
            moved |= work.x[j] != *x;
        }
        moved
    }

    /// r at the trial, and f of it.
    fn evaluate(&mut self, oracle: &mut dyn Oracle) -> Result<f64, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        counted.report.trials += 1;
        counted.residuals(&self.work.x, &mut self.work.residuals)?;
        let found = self.work.residuals.len();
        if let Err(error) = length("residuals", self.residuals.len(), found) {
            return Err(oracle.fail(error).into());
        }
        Ok(self.loss.value(&self.work.residuals))
    }

    /// Whether the trial is accepted.
    fn judge(&mut self, f: f64, proposal: &Solution, floor: bool) -> bool {
        let fall = self.course.at.f - f;
        let ratio = if f.is_finite() {
            fall / proposal.predicted
        } else {
            f64::NAN
        };
        self.restraint.learn(ratio, proposal);
        self.course.report.control = self.restraint.control();
        ratio > ACCEPT || (floor && f.is_finite() && -fall <= self.course.noise())
    }

    /// Moves to the trial and linearizes there.
    fn arrive(
        &mut self,
        oracle: &mut dyn Oracle,
        f: f64,
        proposal: &Solution,
        trials: u64,
    ) -> Result<Option<Status>, Fault> {
        let before = self.course.at.f;
        let decrement = (2.0 * self.work.system.newton().predicted).sqrt();
        std::mem::swap(&mut self.course.at.x, &mut self.work.x);
        std::mem::swap(&mut self.residuals, &mut self.work.residuals);
        self.course.at.f = f;
        self.course.report.iterations += 1;
        self.course.report.shift = proposal.alpha;
        self.course.report.decrement = decrement;
        let arrival = Arrival {
            step_norm: norm(&self.work.step),
            x_norm: norm(&self.course.at.x),
            change: before - f,
        };
        self.course.last = IterationRecord {
            decrement,
            step_norm: arrival.step_norm,
            step_length: if G::MONOTONE {
                1.0
            } else {
                self.restraint.control()
            },
            control: self.course.report.control,
            shift: proposal.alpha,
            trials,
            ..IterationRecord::default()
        };
        self.course.arrive(&arrival);
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        counted.jacobian(&self.course.at.x, self.residuals.len())?;
        self.linearize(oracle)?;
        if self.is_out_of_reach() {
            return Ok(Some(Status::Failed(Failed::RankDeficient)));
        }
        if let Some(test) = self.test(Some(&arrival)) {
            return Ok(Some(Status::Converged(test)));
        }
        let unbounded = self.course.is_unbounded(&arrival);
        Ok(unbounded.then_some(Status::Failed(Failed::Unbounded)))
    }

    /// r, J and all that follows at x0.
    fn depart(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        counted.residuals(&self.course.at.x, &mut self.residuals)?;
        if self.residuals.is_empty() {
            let error =
                Error::Data("no residuals: `Operator::apply` returned an empty vector".into());
            return Err(oracle.fail(error).into());
        }
        self.course.at.f = self.loss.value(&self.residuals);
        if !self.course.at.f.is_finite() {
            self.course.report.offender = self.residuals.iter().position(|r| !r.is_finite());
            self.course.depart();
            return Ok(Some(Status::Failed(Failed::NonFinite)));
        }
        counted.jacobian(&self.course.at.x, self.residuals.len())?;
        let linearized = self.linearize(oracle);
        self.course.depart();
        linearized?;
        if self.course.status.is_final() {
            return Ok(None);
        }
        if self.is_out_of_reach() {
            return Ok(Some(Status::Failed(Failed::RankDeficient)));
        }
        let (scaled, target) = (self.scaled_norm(), norm(&self.work.target));
        self.restraint.begin(scaled, target);
        self.course.report.control = self.restraint.control();
        Ok(self.test(None).map(Status::Converged))
    }
}

impl Work {
    fn resize(&mut self, m: usize, n: usize) {
        for v in [
            &mut self.x,
            &mut self.scaled,
            &mut self.step,
            &mut self.norms,
        ] {
            v.resize(n, 0.0);
        }
        for v in [&mut self.residuals, &mut self.weights, &mut self.target] {
            v.resize(m, 0.0);
        }
    }
}

impl<G: Restraint> Method for LeastSquaresCore<G> {
    fn name(&self) -> &'static str {
        G::NAME
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.check()?;
        self.loss.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if let Err(error) = self.check().and_then(|()| finite("start point", x0)) {
            return Err(oracle.fail(error));
        }
        if x0.is_empty() {
            return Err(oracle.fail(Error::Data("the start point has no entries".into())));
        }
        self.restraint.reset();
        self.scale.clear();
        self.polished = 0;
        self.work.system = System::default();
        self.course.clear(x0);
        let end = self.depart(oracle);
        self.course.conclude(end)?;
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

    fn statistics(&self) -> Option<Statistics> {
        let spectrum = self.work.system.spectrum()?;
        let fit = (self.course.at.f, self.residuals.len());
        Some(Statistics::new(fit, spectrum, &self.scale))
    }
}
