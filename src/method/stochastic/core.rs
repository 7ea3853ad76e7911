//! The loop of the stochastic methods.
//!
//! ```text
//! f, g of the whole sum at x0
//! until a budget is spent:
//!     draw a batch S; g and Q of it at x, or its outputs
//!     p by the rule (the batch alone, the averaged Hessian, the filter, Gauss-Newton)
//!     s by the schedule; x ← x + s p
//!     once per epoch: f, g of the whole sum at x
//! ```

use super::hessian::Damping;
use super::on_batch::OnBatch;
use super::rule::{Found, OutputBatch, Rule, Sample};
use crate::error::{Error, finite};
use crate::finite_sum::Batch;
use crate::linear::finite_check;
use crate::method::{Course, Method};
use crate::oracle::{Abort, Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::record::{IterationRecord, Report};
use crate::status::{Converged, Failed, Status, Stopped};
use crate::step::{Fault, Iterate};
use crate::stochastic::{
    Average, Averaging, Budget, Draws, Levelling, Noise, Sampler, Smoothed, StepSchedule,
};

/// What the user chose.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Options {
    pub(crate) sampler: Option<Sampler>,
    pub(crate) seed: u64,
    pub(crate) schedule: StepSchedule,
    pub(crate) averaging: Averaging,
    pub(crate) budget: Budget,
    pub(crate) damping: Damping,
    pub(crate) noise: bool,
    /// A line search takes any direction, uphill ones too.
    pub(crate) uphill: bool,
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        self.schedule.check()?;
        self.budget.check()?;
        if let Averaging::Exponential { decay } = self.averaging
            && !(0.0..1.0).contains(&decay)
        {
            return Err(Error::parameter("decay", decay, "in [0, 1)"));
        }
        for value in [self.damping.relative, self.damping.absolute] {
            if !(value >= 0.0 && value.is_finite()) {
                let requirement = "nonnegative and finite";
                return Err(Error::parameter("damping", value, requirement));
            }
        }
        Ok(())
    }

    fn sampler(&self, size: usize, terms: usize) -> Sampler {
        self.sampler.unwrap_or(Sampler::EpochShuffle {
            b: terms.min(size),
            drop_last: false,
        })
    }
}

/// The core of the stochastic Newton methods; its state is all that a resumed run needs.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StochasticCore<R> {
    pub(crate) options: Options,
    /// Its point is not used: f is known at evaluated points only.
    course: Course,
    pub(crate) rule: R,
    x: Vec<f64>,
    /// The point before, to go back to.
    before: Vec<f64>,
    /// f and gradient of the whole sum at the last evaluated point.
    at: Evaluation,
    best: Evaluation,
    draws: Draws,
    /// The last step of a line search.
    length: Option<f64>,
    loss: Smoothed,
    levelling: Levelling,
    average: Average,
    average_f: Option<f64>,
    noise: Noise,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// A point where the whole sum was evaluated.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Evaluation {
    /// Left empty where the point is the current one.
    x: Vec<f64>,
    f: Value,
    g: Vec<f64>,
    slope: Value,
    /// Whether it belongs to the current point.
    current: bool,
}

/// A double that survives JSON, which knows no NaN and no infinity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Value(u64);

impl Value {
    fn new(value: f64) -> Self {
        Value(value.to_bits())
    }
    fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Made again at the next iteration.
#[derive(Debug, Clone, Default)]
struct Work {
    /// Gradient of the batch.
    g: Vec<f64>,
    p: Vec<f64>,
    newton: Vec<f64>,
    trial: Vec<f64>,
    trials: u64,
    /// Loss of the batch after the step, where a line search found it.
    reached: Option<f64>,
    /// Point, loss and gradient of the batch, where the rule searches.
    at: Iterate,
}

impl Work {
    fn resize(&mut self, n: usize) {
        self.trials = 0;
        self.reached = None;
        for v in [&mut self.g, &mut self.p, &mut self.newton, &mut self.trial] {
            v.resize(n, 0.0);
        }
    }
}

/// [`StepSchedule::BatchArmijo`].
struct Search {
    c1: f64,
    shrink: f64,
    max_trials: u64,
    s_max: f64,
    growth: f64,
    take_last: bool,
}

impl<R: Rule> StochasticCore<R> {
    pub(crate) fn assemble() -> Self {
        let mut core = StochasticCore::<R>::default();
        core.options.schedule = R::schedule();
        core
    }

    /// One step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        self.work.resize(self.x.len());
        self.draws.advance();
        self.average_f = None;
        let loss = match self.sample(oracle) {
            Err(Fault::Fail(Failed::NonFinite)) => {
                self.course.report.offender = self.offender(oracle, false)?;
                // Back to the last point that a batch was finite at.
                self.x.copy_from_slice(&self.before);
                self.at.current = self.course.report.iterations == 0;
                return Err(Failed::NonFinite.into());
            }
            other => other?,
        };
        if self.options.noise {
            self.measure(oracle)?;
        }
        let length = if R::SEARCHES {
            self.seek(oracle, loss)?
        } else {
            self.length(oracle, loss)?
        };
        if R::OUTPUTS {
            self.compare(oracle, loss, length)?;
        }
        self.walk(length);
        self.note(loss, length);
        self.judge(oracle)
    }

    /// Loss of the batch and the direction that its outputs give.
    fn sample_outputs(&mut self, oracle: &mut dyn Oracle) -> Result<f64, Fault> {
        let searched = matches!(self.options.schedule, StepSchedule::BatchArmijo { .. });
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let at = OutputBatch {
            x: &self.x,
            batch: self.draws.batch(),
            terms: self.draws.len(),
            sloped: searched || self.options.noise,
        };
        let work = &mut self.work;
        let found = Found {
            g: &mut work.g,
            p: &mut work.p,
            newton: &mut work.newton,
        };
        let loss = self.rule.outputs(&mut counted, at, found)?;
        if loss.is_finite() && norm(&self.work.p).is_finite() {
            Ok(loss)
        } else {
            Err(Failed::NonFinite.into())
        }
    }

    /// Shows the rule what became of its prediction for the step s p.
    fn compare(&mut self, oracle: &mut dyn Oracle, loss: f64, s: f64) -> Result<(), Abort> {
        let Some(predicted) = self.rule.predicted(s).filter(|_| s > 0.0) else {
            return Ok(());
        };
        let reached = match self.work.reached {
            Some(value) => value,
            None => self.trial(oracle, s)?,
        };
        self.rule.compare((reached - loss) / predicted);
        Ok(())
    }

    /// The batch's loss at x + s p.
    fn trial(&mut self, oracle: &mut dyn Oracle, s: f64) -> Result<f64, Abort> {
        let work = &mut self.work;
        for ((y, x), p) in work.trial.iter_mut().zip(&self.x).zip(&work.p) {
            *y = x + s * p;
        }
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let at = OutputBatch {
            x: &work.trial,
            batch: self.draws.batch(),
            terms: self.draws.len(),
            sloped: false,
        };
        self.rule.value(&mut counted, at)
    }

    /// Value, gradient and Hessian of the batch, and the direction they give.
    fn sample(&mut self, oracle: &mut dyn Oracle) -> Result<f64, Fault> {
        if R::OUTPUTS {
            return self.sample_outputs(oracle);
        }
        let batch = self.draws.batch();
        let work = &mut self.work;
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let loss = counted.batch_value_gradient(&self.x, batch, &mut work.g)?;
        if !loss.is_finite() || !norm(&work.g).is_finite() {
            return Err(Failed::NonFinite.into());
        }
        counted.batch_refresh(&self.x, batch)?;
        if counted.report.iterations == 0 {
            counted.validate()?;
        }
        if R::SEARCHES {
            return Ok(loss);
        }
        let Curvature::Matrix(hessian) = oracle.curvature() else {
            let what = "a Hessian of its batches as a matrix";
            return Err(oracle.fail(Error::NotOffered { what }).into());
        };
        let sample = Sample {
            g: &work.g,
            hessian,
            damping: self.options.damping,
        };
        self.rule.direction(
            &sample,
            &mut self.course.report,
            &mut work.p,
            &mut work.newton,
        )?;
        if norm(&work.p).is_finite() {
            Ok(loss)
        } else {
            Err(Failed::NonFinite.into())
        }
    }

    /// The first term of the batch, or of all, that is not finite by itself at x.
    fn offender(&mut self, oracle: &mut dyn Oracle, all: bool) -> Result<Option<usize>, Abort> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        self.work.resize(self.x.len());
        let terms = self.draws.terms();
        for k in 0..if all { terms } else { self.draws.len() } {
            let term = match self.draws.batch() {
                Batch::Terms(terms) if !all => terms[k],
                _ => k,
            };
            let one = Batch::Terms(std::slice::from_ref(&term));
            let g = &mut self.work.g;
            let f = counted.batch_value_gradient(&self.x, one, g)?;
            if !f.is_finite() || !norm(g).is_finite() {
                return Ok(Some(term));
            }
            counted.batch_refresh(&self.x, one)?;
            if let Curvature::Matrix(view) = counted.curvature()
                && finite_check(view).is_err()
            {
                return Ok(Some(term));
            }
        }
        Ok(None)
    }

    /// b‖g_S‖²/tr Cov from the gradients of the single terms.
    fn measure(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let b = self.draws.len();
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let mut spread = 0.0;
        for k in 0..b {
            let term = match self.draws.batch() {
                Batch::All => k,
                Batch::Terms(terms) => terms[k],
            };
            let one = Batch::Terms(std::slice::from_ref(&term));
            counted.batch_value_gradient(&self.x, one, &mut self.work.trial)?;
            let parts = self.work.trial.iter().zip(&self.work.g);
            spread += parts.map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        }
        if b > 1 {
            let trace = spread / (b - 1) as f64;
            let slope = dot(&self.work.g, &self.work.g);
            self.noise.gather(b as f64 * slope / trace);
        }
        Ok(())
    }

    /// The step by the rule's own search on the batch, and s of this step.
    fn seek(&mut self, oracle: &mut dyn Oracle, loss: f64) -> Result<f64, Fault> {
        let work = &mut self.work;
        work.at.x.clone_from(&self.x);
        work.at.g.clone_from(&work.g);
        work.at.f = loss;
        work.at.slope = norm(&work.g);
        let mut report = Report::default();
        let mut batch = OnBatch {
            oracle: Counted {
                inner: oracle,
                report: &mut self.course.report,
            },
            batch: self.draws.batch(),
        };
        let mut counted = Counted {
            inner: &mut batch,
            report: &mut report,
        };
        let found = self.rule.search(&mut counted, &work.at, &mut work.p);
        let total = &mut self.course.report;
        work.trials = report.trials;
        total.trials += report.trials;
        total.rejected += report.rejected;
        total.factorizations += report.factorizations;
        total.solves += report.solves;
        total.shift = report.shift;
        total.index = report.index;
        found?;
        if !norm(&work.p).is_finite() {
            return Err(Failed::NonFinite.into());
        }
        Ok(self.options.schedule.length(total.iterations))
    }

    /// s of this step.
    fn length(&mut self, oracle: &mut dyn Oracle, loss: f64) -> Result<f64, Abort> {
        let StepSchedule::BatchArmijo {
            c1,
            shrink,
            max_trials,
            s_max,
            growth,
            take_last,
        } = self.options.schedule
        else {
            self.work.trials = 1;
            self.course.report.trials += 1;
            return Ok(self.options.schedule.length(self.course.report.iterations));
        };
        let search = Search {
            c1,
            shrink,
            max_trials,
            s_max,
            growth,
            take_last,
        };
        self.search(oracle, loss, &search)
    }

    /// Batch Armijo.
    fn search(&mut self, oracle: &mut dyn Oracle, loss: f64, rule: &Search) -> Result<f64, Abort> {
        let work = &mut self.work;
        let mut slope = dot(&work.g, &work.p);
        if slope >= 0.0 && !self.options.uphill {
            work.p.copy_from_slice(&work.newton);
            slope = dot(&work.g, &work.p);
        }
        let first = self.length.map_or(rule.s_max, |s| rule.growth * s);
        let mut s = first.min(rule.s_max);
        for trial in 1..=rule.max_trials {
            self.work.trials += 1;
            self.course.report.trials += 1;
            let value = self.trial(oracle, s)?;
            let holds = value - loss <= rule.c1 * s * slope;
            if holds || trial == rule.max_trials && rule.take_last {
                self.length = Some(s);
                self.work.reached = Some(value);
                return Ok(s);
            }
            self.course.report.rejected += 1;
            s *= rule.shrink;
        }
        self.length = Some(0.1 * rule.s_max);
        Ok(0.0)
    }

    /// x ← x + s p.
    fn walk(&mut self, s: f64) {
        self.before.copy_from_slice(&self.x);
        for (x, p) in self.x.iter_mut().zip(&self.work.p) {
            *x += s * p;
        }
        self.at.current = false;
        self.course.report.iterations += 1;
        self.average.gather(self.course.report.iterations, &self.x);
    }

    /// What the step leaves for the record.
    fn note(&mut self, loss: f64, length: f64) {
        let share = self.draws.len() as f64 / self.draws.terms() as f64;
        self.loss.gather(loss, share.min(1.0));
        self.course.report.control = self.rule.control();
        self.course.report.epochs = self.draws.epochs();
        let moved = self.x.iter().zip(&self.before);
        self.course.last = IterationRecord {
            step_norm: moved.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            step_length: length,
            control: self.course.report.control,
            shift: self.course.report.shift,
            index: self.course.report.index,
            trials: self.work.trials,
            loss: self.loss.value(),
            memory: self.rule.memory(),
            ..IterationRecord::default()
        };
    }

    /// Whether the run ends here, by a test at an evaluation point or by a budget.
    fn judge(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let ends = self.draws.epoch_ends();
        let iterations = self.course.report.iterations;
        let due = match self.options.budget.every {
            None => ends,
            Some(every) => every > 0 && iterations.is_multiple_of(every),
        };
        if ends && let Some(ratio) = self.noise.close() {
            self.course.report.signal_to_noise = Some(ratio);
        }
        let level = ends
            && self
                .levelling
                .holds(self.loss.value(), &self.options.budget);
        let stop = self.spent().or(level.then_some(Stopped::Plateau));
        if due || stop.is_some() {
            let found = self.evaluate(oracle)?;
            if found.is_some() {
                return Ok(found);
            }
            // The evaluation itself may use up the evaluations.
            return Ok(stop.or_else(|| self.spent()).map(Status::Stopped));
        }
        Ok(None)
    }

    /// The budget that is used up.
    fn spent(&self) -> Option<Stopped> {
        let budget = &self.options.budget;
        let full = self.course.report.gradients * self.draws.terms() as u64;
        let used = self.course.report.sample_gradients + full;
        if self
            .limit()
            .is_some_and(|m| self.course.report.iterations >= m)
        {
            Some(Stopped::MaxIterations)
        } else if budget
            .epochs
            .is_some_and(|m| self.draws.epochs() >= m as f64)
        {
            Some(Stopped::MaxEpochs)
        } else if budget.evaluations.is_some_and(|m| used >= m) {
            Some(Stopped::MaxEvaluations)
        } else {
            None
        }
    }

    /// f and gradient of the whole sum at x; tests of convergence and the target.
    fn evaluate(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        if self.at.current {
            return Ok(None);
        }
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let f = counted.value_gradient(&self.x, &mut self.at.g)?;
        let slope = norm(&self.at.g);
        self.at.f = Value::new(f);
        self.at.slope = Value::new(slope);
        self.at.current = true;
        if !f.is_finite() || !slope.is_finite() {
            self.course.report.offender = self.offender(oracle, true)?;
            return Err(Failed::NonFinite.into());
        }
        if self.course.report.gradients == 1 {
            self.course.scale = slope;
        }
        let best = self.best.f.get();
        if self.course.report.gradients == 1 || f < best {
            self.best.x.copy_from_slice(&self.x);
            self.best.f = self.at.f;
        }
        if self
            .course
            .tolerances
            .lower_bound
            .is_some_and(|bound| f <= bound)
        {
            return Err(Failed::Unbounded.into());
        }
        let iterate = Iterate {
            f,
            slope,
            ..Iterate::default()
        };
        if let Some(test) = self
            .course
            .tolerances
            .test(&iterate, self.course.scale, None)
        {
            return self.verified(oracle, test).map(Some);
        }
        let reached = self.options.budget.target.is_some_and(|target| f <= target);
        Ok(reached.then_some(Status::Stopped(Stopped::Target)))
    }

    /// Lets the problem object to convergence at x, with the Hessian of the whole sum there.
    fn verified(&mut self, oracle: &mut dyn Oracle, test: Converged) -> Result<Status, Fault> {
        if self.course.report.batch_hessians == 0 || oracle.may_object() {
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            counted.refresh(&self.x)?;
        }
        self.work.resize(self.x.len());
        for ((step, x), before) in self.work.trial.iter_mut().zip(&self.x).zip(&self.before) {
            *step = x - before;
        }
        if let Err(failed) = oracle.verify(&self.x, &self.work.trial) {
            return Err(failed.into());
        }
        self.best.x.copy_from_slice(&self.x);
        self.best.f = self.at.f;
        Ok(Status::Converged(test))
    }

    /// Evaluates what the end of the run left open: the last point and the average.
    fn close(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let before = self.course.status;
        if !self.at.current {
            match self.evaluate(oracle) {
                Ok(Some(status)) if !before.is_final() => self.course.status = status,
                Err(Fault::Fail(failed)) if !before.is_final() => {
                    self.course.status = Status::Failed(failed);
                }
                Err(Fault::Abort) => return Err(Abort),
                Ok(_) | Err(Fault::Fail(_)) => {}
            }
        }
        if self.average_f.is_none()
            && let Some(mean) = self.average.get()
        {
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            let f = counted.value(mean)?;
            self.average_f = Some(f);
            if f < self.best.f.get() && !self.course.status.is_converged() {
                self.best.x.copy_from_slice(mean);
                self.best.f = Value::new(f);
            }
        }
        Ok(())
    }

    /// Keeps the status that `part` of the run ends with.
    fn conclude(
        &mut self,
        oracle: &mut dyn Oracle,
        part: impl FnOnce(&mut Self, &mut dyn Oracle) -> Result<Option<Status>, Fault>,
    ) -> Result<(), Abort> {
        self.course.status = match part(self, oracle) {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => status,
            Err(Fault::Fail(failed)) => Status::Failed(failed),
            Err(Fault::Abort) => return Err(Abort),
        };
        self.close(oracle)
    }

    /// The user's limit on steps.
    fn limit(&self) -> Option<u64> {
        Some(self.course.max_iters).filter(|limit| *limit < u64::MAX)
    }

    /// Steps after which a tail average begins by default.
    fn half(&self) -> Result<u64, Error> {
        let epochs = self.options.budget.epochs;
        let planned = epochs.map(|e| e.saturating_mul(self.draws.batches_per_epoch()));
        match (self.limit(), planned) {
            (Some(a), Some(b)) => Ok(a.min(b) / 2),
            (Some(a), None) | (None, Some(a)) => Ok(a / 2),
            (None, None) if self.options.averaging == (Averaging::Tail { from: None }) => {
                let requirement = "given where neither max_iters nor max_epochs is";
                Err(Error::parameter("averaging from", "none", requirement))
            }
            (None, None) => Ok(0),
        }
    }

    /// Makes a new run of `n` variables.
    fn prepare(&mut self, x0: &[f64], oracle: &dyn Oracle) -> Result<(), Error> {
        self.check()?;
        finite("start point", x0)?;
        let what = "batches of its terms; implement `raphson::FiniteSum`";
        let terms = oracle.terms().ok_or(Error::NotOffered { what })?;
        let loss = oracle.loss();
        if R::OUTPUTS {
            let what = "outputs under a loss; implement `raphson::OutputModel`";
            let loss = loss.as_ref().ok_or(Error::NotOffered { what })?;
            loss.check(terms, oracle.outputs_len())?;
        }
        let n = x0.len();
        let sampler = self.options.sampler(R::batch_size(n, loss), terms);
        let mut rule = self.rule.clone();
        rule.start(n, self.options.schedule)?;
        *self = StochasticCore {
            options: self.options.clone(),
            course: Course {
                tolerances: self.course.tolerances,
                max_iters: self.course.max_iters,
                ..Course::default()
            },
            rule,
            x: x0.to_vec(),
            before: x0.to_vec(),
            draws: Draws::new(sampler, self.options.seed, terms)?,
            work: std::mem::take(&mut self.work),
            ..StochasticCore::default()
        };
        self.at.g = vec![0.0; n];
        self.best.x = x0.to_vec();
        self.average = Average::new(self.options.averaging, self.half()?, n);
        Ok(())
    }
}

impl<R: Rule> Method for StochasticCore<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.check()?;
        for (name, value) in [
            ("decrement_tol", self.course.tolerances.decrement),
            ("step_tol", self.course.tolerances.step),
            ("cost_tol", self.course.tolerances.cost),
        ] {
            if value > 0.0 {
                let requirement =
                    "0: on batches it would measure noise; use the gradient at evaluation points";
                return Err(Error::parameter(name, value, requirement));
            }
        }
        self.options.check()?;
        if R::SEARCHES && matches!(self.options.schedule, StepSchedule::BatchArmijo { .. }) {
            let requirement = "a schedule without a search: the method has its own";
            return Err(Error::parameter("schedule", "BatchArmijo", requirement));
        }
        if R::OUTPUTS && self.options.damping != Damping::default() {
            let requirement = "left alone: there is no Hessian to add to; set `lambda`";
            return Err(Error::parameter("damping", "given", requirement));
        }
        self.rule.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if let Err(error) = self.prepare(x0, &*oracle) {
            return Err(oracle.fail(error));
        }
        self.conclude(oracle, |core, oracle| {
            let found = core.evaluate(oracle)?;
            Ok(found.or_else(|| core.spent().map(Status::Stopped)))
        })
    }

    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if self.course.status.is_final() {
            return Ok(());
        }
        self.conclude(oracle, |core, oracle| core.advance(oracle))
    }

    fn finish(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        self.close(oracle)
    }

    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
    fn x(&self) -> &[f64] {
        &self.x
    }
    fn f(&self) -> f64 {
        self.at.f.get()
    }
    fn g(&self) -> &[f64] {
        &self.at.g
    }
    fn best(&self) -> (&[f64], f64) {
        (&self.best.x, self.best.f.get())
    }
    fn keeps_best(&self) -> bool {
        true
    }
    fn average(&self) -> Option<(&[f64], f64)> {
        Some((self.average.get()?, self.average_f?))
    }
    fn record(&self) -> IterationRecord {
        IterationRecord {
            iteration: self.course.report.iterations,
            f: self.at.f.get(),
            gradient_norm: self.at.slope.get(),
            values: self.course.report.values,
            gradients: self.course.report.gradients,
            hessians: self.course.report.hessians,
            factorizations: self.course.report.factorizations,
            epochs: self.course.report.epochs,
            sample_gradients: self.course.report.sample_gradients,
            ..self.course.last
        }
    }
}
