//! The loop of the accelerated method.
//!
//! ```text
//! f, g at x0; y = x0
//! until converged:
//!     v between x and y, g and H there
//!     try M until the cubic step from v is accepted
//!     if f rose: y = x0 = x, once more
//!     gather f, g at the new x; y from all gradients so far
//! ```

use super::estimate::{Estimate, Found};
use crate::error::{Error, finite};
use crate::globalization::MAX_TRIALS;
use crate::method::Method;
use crate::method::course::{Course, STALL};
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::{dot, norm};
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status};
use crate::step::model::{Control, ModelStep};
use crate::step::{Direction, Fault, Iterate, Proposal};
use crate::termination::Arrival;

/// M of the first trial is this part of c²/‖g‖.
const INITIAL: f64 = 0.02;
/// Factor between trials of M.
const FACTOR: f64 = 2.0;
/// M‖s‖³ below this part of the predicted decrease is not lowered further.
const NEGLIGIBLE: f64 = 1e-10;
/// The model without regularization may predict so many times the noise of f at the floor.
const MARGIN: f64 = 16.0;
/// Where changes of f are rounding, a point is kept that leaves less than this part of the gradient.
const HALVED: f64 = 0.5;
/// Standard deviations of the gradient's noise that the acceptance test allows for.
const ALLOWANCE: f64 = 2.0;
/// Standard deviations of the gradient's noise added to its norm in tests of convergence.
const CONFIDENCE: f64 = 3.0;

/// What the user says of the oracle and the method.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Options {
    /// σ₁.
    pub(super) gradient_noise: f64,
    /// δ₂.
    pub(super) hessian_error: f64,
    /// The parts of σ₁ and δ₂ that enter the formulas.
    pub(super) multipliers: [f64; 2],
    /// τ.
    pub(super) subproblem_error: f64,
    /// R.
    pub(super) distance: Option<f64>,
    /// A fixed M.
    pub(super) constant: Option<f64>,
    pub(super) certified: bool,
    pub(super) restart: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            gradient_noise: 0.0,
            hessian_error: 0.0,
            multipliers: [0.05, 0.3],
            subproblem_error: 0.0,
            distance: None,
            constant: None,
            certified: true,
            restart: true,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("gradient_noise", self.gradient_noise),
            ("hessian_error", self.hessian_error),
            ("noise_multipliers", self.multipliers[0]),
            ("noise_multipliers", self.multipliers[1]),
            ("subproblem_error", self.subproblem_error),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::parameter(name, value, "nonnegative and finite"));
            }
        }
        for (name, value) in [("distance", self.distance), ("constant", self.constant)] {
            if let Some(value) = value
                && !(value > 0.0 && value.is_finite())
            {
                return Err(Error::parameter(name, value, "positive and finite"));
            }
        }
        Ok(())
    }

    fn is_exact(&self) -> bool {
        self.gradient_noise == 0.0
    }

    /// The σ₁ and δ₂ of the formulas.
    fn sigma(&self) -> f64 {
        self.multipliers[0] * self.gradient_noise
    }
    fn delta(&self) -> f64 {
        self.multipliers[1] * self.hessian_error
    }
}

/// How the search at one v ended.
enum End {
    Accepted(Proposal),
    /// The point, or all of v, is given up: start again from x.
    Restart,
    Floor,
    Failed(Failed),
}

/// The core of [`AcceleratedCubicNewton`](super::AcceleratedCubicNewton); its state is all
/// that a resumed run needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AcceleratedCubicCore {
    pub(super) options: Options,
    course: Course,
    direction: ModelStep,
    estimate: Estimate,
    /// M.
    constant: Option<f64>,
    /// R where the user gives none.
    reach: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Clone, Default)]
struct Work {
    /// v; without f.
    base: Iterate,
    /// v + s.
    trial: Iterate,
    step: Vec<f64>,
    trials: u64,
}

impl Default for AcceleratedCubicCore {
    fn default() -> Self {
        AcceleratedCubicCore {
            options: Options::default(),
            course: Course::default(),
            direction: ModelStep::new(Control::Cubic),
            estimate: Estimate::default(),
            constant: None,
            reach: None,
            work: Work::default(),
        }
    }
}

impl AcceleratedCubicCore {
    /// One accepted step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        self.resize();
        let proposal = loop {
            let end = match self.prepare(oracle) {
                Ok(Some(status)) => return Ok(Some(status)),
                Ok(None) => self.search(oracle)?,
                Err(Fault::Fail(_)) if !self.estimate.is_new() => End::Restart,
                Err(fault) => return Err(fault),
            };
            match end {
                End::Accepted(proposal) => break proposal,
                End::Failed(failed) => return Ok(Some(Status::Failed(failed))),
                End::Floor if self.estimate.is_new() => {
                    return self.verified(oracle, Converged::PrecisionFloor).map(Some);
                }
                End::Restart | End::Floor => {
                    self.estimate.restart(&self.course.at.x, self.course.at.f)
                }
            }
        };
        self.accept(&proposal);
        self.judge(oracle, &proposal)
    }

    fn resize(&mut self) {
        let n = self.course.at.x.len();
        let work = &mut self.work;
        work.trials = 0;
        for v in [
            &mut work.base.x,
            &mut work.base.g,
            &mut work.trial.x,
            &mut work.trial.g,
            &mut work.step,
        ] {
            v.resize(n, 0.0);
        }
    }

    /// Evaluates gradient and Hessian at v; the first Hessian may end the run.
    fn prepare(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let base = &mut self.work.base;
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        self.estimate.extrapolate(&self.course.at.x, &mut base.x);
        if self.estimate.is_new() {
            base.g.copy_from_slice(&self.course.at.g);
        } else {
            counted.gradient(&base.x, &mut base.g)?;
        }
        base.slope = norm(&base.g);
        if !base.slope.is_finite() {
            return Err(Failed::NonFinite.into());
        }
        counted.refresh(&base.x)?;
        if counted.report.iterations == 0 {
            counted.validate()?;
            if let Some(scale) = counted.gradient_scale() {
                self.course.scale = scale;
                if let Some(test) = self.test(&self.course.at, None) {
                    self.work.step.fill(0.0);
                    return self.verified(oracle, test).map(Some);
                }
            }
        }
        self.load(oracle)?;
        Ok(None)
    }

    /// Takes over gradient and Hessian at v, and determines M and δ̄.
    fn load(&mut self, oracle: &mut dyn Oracle) -> Result<(), Fault> {
        let base = &self.work.base;
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        self.direction.load(&mut counted, base.x.len(), false)?;
        let error = self.options.subproblem_error;
        let forcing = if error > 0.0 {
            error / base.slope
        } else {
            (base.slope / self.course.start_slope).sqrt()
        };
        self.direction
            .prepare(&mut counted, base, forcing.min(0.1))?;
        let noisy = self.options.sigma() + error > 0.0;
        let unscaled = self.constant.is_none() && self.options.constant.is_none();
        let unplaced = noisy && self.reach.is_none() && self.options.distance.is_none();
        if unscaled || unplaced {
            let scale = self.direction.curvature_scale(&mut counted, base)?;
            let slope = base.slope.max(f64::MIN_POSITIVE);
            if unscaled {
                self.constant = Some(INITIAL * scale * (scale / slope));
            }
            if unplaced {
                self.reach = Some(slope / scale);
            }
        }
        if self.options.constant.is_some() {
            self.constant = self.options.constant;
        }
        self.direction.quadratic = 2.0 * self.options.delta();
        if noisy && let Some(distance) = self.distance() {
            let drift = (self.options.sigma() + error) / distance;
            self.direction.quadratic += drift * self.estimate.age().powf(1.5);
        }
        Ok(())
    }

    fn distance(&self) -> Option<f64> {
        self.options.distance.or(self.reach)
    }

    /// Tries M until the cubic step from v is accepted.
    fn search(&mut self, oracle: &mut dyn Oracle) -> Result<End, Fault> {
        let mut m = self.constant.unwrap_or(1.0);
        let mut floor = Floor::default();
        for _ in 0..MAX_TRIALS {
            self.constant = Some(m);
            self.work.trials += 1;
            self.course.report.trials += 1;
            let end = self.attempt(oracle, m, &mut floor)?;
            let early = matches!(end, Some(End::Floor)) && !self.is_floor(oracle, m)?;
            if let Some(end) = end.filter(|_| !early) {
                if !matches!(end, End::Accepted(_)) {
                    self.course.report.rejected += 1;
                }
                return Ok(end);
            }
            self.course.report.rejected += 1;
            m *= FACTOR;
        }
        Ok(if self.estimate.is_new() {
            End::Failed(Failed::SearchFailed)
        } else {
            End::Restart
        })
    }

    /// Whether the model without its regularization predicts no more than noise either. After
    /// an extrapolation it does not matter: the method restarts.
    fn is_floor(&mut self, oracle: &mut dyn Oracle, m: f64) -> Result<bool, Fault> {
        if !self.estimate.is_new() {
            return Ok(true);
        }
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let left = self
            .direction
            .unrestricted(&mut counted, &self.work.base, m)?;
        Ok(left > 0.0 && left <= MARGIN * self.course.noise())
    }

    /// One trial; [`None`] if it is rejected.
    fn attempt(
        &mut self,
        oracle: &mut dyn Oracle,
        m: f64,
        floor: &mut Floor,
    ) -> Result<Option<End>, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let Work {
            base, trial, step, ..
        } = &mut self.work;
        let Some(proposal) = self.direction.step(&mut counted, base, m, step)? else {
            return Ok(None);
        };
        for ((x, v), s) in trial.x.iter_mut().zip(&base.x).zip(&*step) {
            *x = v + s;
        }
        let fused = counted.is_fused();
        if fused {
            trial.f = counted.value_gradient(&trial.x, &mut trial.g)?;
        } else {
            counted.gradient(&trial.x, &mut trial.g)?;
        }
        trial.slope = norm(&trial.g);
        if !trial.slope.is_finite() {
            return Ok(None);
        }
        if !self.promises(m) {
            let falls = self.work.trial.slope < self.work.base.slope;
            let reached = floor.reached(proposal.predicted, self.course.noise(), falls);
            match reached {
                _ if !self.options.is_exact() => return Ok(None),
                None => return Ok(None),
                Some(true) => return Ok(Some(End::Floor)),
                Some(false) => {}
            }
        }
        let trial = &mut self.work.trial;
        if !fused {
            self.course.report.values += 1;
            trial.f = oracle.value(&trial.x)?;
        }
        if !trial.f.is_finite() {
            return Ok(None);
        }
        let noise = self.course.noise();
        let trial = &self.work.trial;
        let fall = self.course.at.f - trial.f;
        // A change of f that may be rounding is judged by the gradient.
        let least = if self.estimate.is_new() { 1.0 } else { HALVED };
        let lost = fall.abs() <= noise && trial.slope >= least * self.course.at.slope;
        if self.restarts() && (lost || fall < -noise) {
            if !self.estimate.is_new() {
                return Ok(Some(End::Restart));
            }
            let reached = lost && floor.reached(proposal.predicted, noise, false) == Some(true);
            return Ok(reached.then_some(End::Floor));
        }
        Ok(Some(End::Accepted(proposal)))
    }

    /// Whether the trial makes the progress that the estimate counts on.
    fn promises(&self, m: f64) -> bool {
        let Work {
            base, trial, step, ..
        } = &self.work;
        if self.options.constant.is_some() {
            return true;
        }
        let cubic = trial.slope * (trial.slope / (3.0 * m)).sqrt();
        let quadratic = self.direction.quadratic;
        let least = if quadratic > 0.0 {
            cubic.min(trial.slope * (trial.slope / (4.0 * quadratic)))
        } else {
            cubic
        };
        let allowance = ALLOWANCE * self.options.gradient_noise * norm(step);
        let falls = -dot(&trial.g, step) + allowance >= least;
        // A gradient within its tolerance, which may be rounding, need not promise more.
        let arrives = || trial.slope <= base.slope && self.test_gradient(trial).is_some();
        falls || self.options.is_exact() && arrives()
    }

    fn restarts(&self) -> bool {
        self.options.restart && self.options.is_exact()
    }

    /// Moves to the accepted trial.
    fn accept(&mut self, proposal: &Proposal) {
        let m = self.constant.unwrap_or(0.0);
        let quadratic = self.direction.quadratic;
        let work = &mut self.work;
        // From here on `trial` is the point before.
        std::mem::swap(&mut self.course.at, &mut work.trial);
        self.course.report.iterations += 1;
        let noisy = self.options.sigma() > 0.0;
        let distance = self.options.distance.or(self.reach);
        self.estimate.gather(&Found {
            x: &self.course.at.x,
            f: self.course.at.f,
            g: &self.course.at.g,
            quadratic,
            drift: match distance {
                Some(distance) if noisy => self.options.sigma() / distance,
                _ => 0.0,
            },
            m,
            certified: self.options.certified && self.options.is_exact(),
        });
        if let Some(reach) = &mut self.reach {
            *reach = reach.max(2.0 * self.estimate.reach());
        }
        let matters = m * proposal.length.powi(3) > NEGLIGIBLE * proposal.predicted;
        if self.options.constant.is_none() && matters {
            self.constant = Some(m / FACTOR);
        }
        self.course.report.control = self.options.constant.or(self.constant).unwrap_or(0.0);
        self.course.report.shift = proposal.multiplier + quadratic;
        let moved = self.course.at.x.iter().zip(&work.trial.x);
        self.course.last = IterationRecord {
            step_norm: moved.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
            step_length: 1.0,
            control: self.course.report.control,
            shift: self.course.report.shift,
            trials: work.trials,
            ..IterationRecord::default()
        };
    }

    /// Whether the run ends at the point just accepted.
    fn judge(
        &mut self,
        oracle: &mut dyn Oracle,
        proposal: &Proposal,
    ) -> Result<Option<Status>, Fault> {
        let exact = self.options.is_exact();
        let arrival = Arrival {
            step_norm: self.course.last.step_norm,
            x_norm: norm(&self.course.at.x),
            change: self.work.trial.f - self.course.at.f,
        };
        self.course.arrive(&arrival);
        if let Some(test) = self.test(&self.course.at, Some(&arrival)) {
            return self.verified(oracle, test).map(Some);
        }
        if self.course.is_unbounded(&arrival) {
            return Ok(Some(Status::Failed(Failed::Unbounded)));
        }
        let moved = self.course.at.x.iter().zip(&self.work.trial.x);
        let rounds = |(a, b): (&f64, &f64)| (a - b).abs() <= 4.0 * f64::EPSILON * a.abs();
        self.course.short = if moved.into_iter().all(rounds) {
            self.course.short + 1
        } else {
            0
        };
        let failed = if self.course.short >= 2 {
            Failed::Stalled
        } else if self.restarts() && self.course.stalled >= STALL {
            Failed::SearchFailed
        } else {
            return Ok(None);
        };
        let noise = self.course.noise();
        if exact && proposal.predicted <= noise && self.course.at.f <= self.course.best_f + noise {
            return self.verified(oracle, Converged::PrecisionFloor).map(Some);
        }
        Ok(Some(Status::Failed(failed)))
    }

    /// The tests of the tolerances; noise counts against the gradient.
    fn test(&self, at: &Iterate, arrival: Option<&Arrival>) -> Option<Converged> {
        let bounded = Iterate {
            f: at.f,
            slope: at.slope + CONFIDENCE * self.options.gradient_noise,
            ..Iterate::default()
        };
        self.course
            .tolerances
            .test(&bounded, self.course.scale, arrival)
    }

    fn test_gradient(&self, at: &Iterate) -> Option<Converged> {
        let gradient = (self.course.tolerances.gradient * self.course.scale)
            .max(self.course.tolerances.gradient_absolute);
        (at.slope <= gradient).then_some(Converged::GradientTolerance)
    }

    /// Lets the problem object to convergence at x, with the Hessian there.
    fn verified(&mut self, oracle: &mut dyn Oracle, test: Converged) -> Result<Status, Fault> {
        let elsewhere = self.work.base.x != self.course.at.x;
        let unknown = self.course.report.hessians == 0 || elsewhere && oracle.may_object();
        if unknown {
            let mut counted = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            counted.refresh(&self.course.at.x)?;
        }
        Ok(match oracle.verify(&self.course.at.x, &self.work.step) {
            Ok(()) => Status::Converged(test),
            Err(failed) => Status::Failed(failed),
        })
    }
}

/// What the trials of one search have shown near the attainable accuracy.
#[derive(Default)]
struct Floor {
    /// Trials at the noise of f whose gradient does not fall.
    stuck: u32,
}

impl Floor {
    /// Judges a trial that fails its test: false if it is acceptable because its gradient falls
    /// and the `predicted` decrease is `noise`, true at the second one that shows that nothing
    /// is left.
    fn reached(&mut self, predicted: f64, noise: f64, falls: bool) -> Option<bool> {
        if predicted > noise {
            return None;
        }
        if falls {
            return Some(false);
        }
        self.stuck += 1;
        (self.stuck == 2).then_some(true)
    }
}

impl Method for AcceleratedCubicCore {
    fn name(&self) -> &'static str {
        "Accelerated cubic Newton"
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.check()?;
        if self.course.tolerances.decrement > 0.0 {
            let requirement = "0: this method computes no Newton decrement";
            let value = self.course.tolerances.decrement;
            return Err(Error::parameter("decrement_tol", value, requirement));
        }
        self.options.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if let Err(error) = self.check().and_then(|()| finite("start point", x0)) {
            return Err(oracle.fail(error));
        }
        self.constant = None;
        self.reach = None;
        self.course.start(x0, oracle)?;
        self.resize();
        self.work.step.fill(0.0);
        self.estimate = Estimate::default();
        self.estimate.restart(x0, self.course.at.f);
        if self.course.status.is_final() {
            return Ok(());
        }
        if let Some(test) = self.test(&self.course.at, None) {
            let end = self.verified(oracle, test).map(Some);
            self.course.conclude(end)?;
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
    fn best(&self) -> (&[f64], f64) {
        if self.options.is_exact() {
            self.course.best()
        } else {
            // Of noisy values the least is the luckiest, not the best.
            (&self.course.at.x, self.course.at.f)
        }
    }
}

#[cfg(all(test, feature = "problems"))]
mod tests {
    use super::*;
    use crate::oracle::{Explicit, HostOracle, Smooth};
    use crate::problems::{Chain, Power, Rosenbrock};
    use std::collections::HashMap;

    /// Calls `each` after every iteration.
    fn follow<O: Smooth<Explicit, Point = Vec<f64>>>(
        mut core: AcceleratedCubicCore,
        problem: &O,
        x0: &[f64],
        steps: u64,
        mut each: impl FnMut(&AcceleratedCubicCore),
    ) -> AcceleratedCubicCore {
        let mut counts = HashMap::new();
        let mut oracle = HostOracle::new(problem, &mut counts, x0.to_vec());
        core.course.max_iters = steps;
        assert!(core.start(x0, &mut oracle).is_ok());
        while !core.course.status.is_final() {
            let before = core.course.report.iterations;
            assert!(core.step(&mut oracle).is_ok());
            if core.course.report.iterations > before {
                each(&core);
            }
        }
        core
    }

    fn with(options: Options) -> AcceleratedCubicCore {
        AcceleratedCubicCore {
            options,
            ..AcceleratedCubicCore::default()
        }
    }

    fn plain(constant: Option<f64>, certified: bool) -> AcceleratedCubicCore {
        with(Options {
            constant,
            certified,
            restart: false,
            ..Options::default()
        })
    }

    /// Bₜ f(xₜ₊₁) ≤ min ψ, and the bound on f − f* that follows.
    fn proven<O: Smooth<Explicit, Point = Vec<f64>>>(
        core: AcceleratedCubicCore,
        problem: &O,
        [x0, minimizer]: [&[f64]; 2],
        minimum: f64,
        steps: u64,
    ) -> f64 {
        let distance: f64 = (x0.iter().zip(minimizer))
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt();
        let mut worst = 0.0f64;
        let mut t = 0;
        let core = follow(core, problem, x0, steps, |core| {
            let (margin, total) = core.estimate.margin(core.course.at.f);
            let slack = 1e-12 * total * core.course.at.f.abs().max(1.0);
            assert!(margin >= -slack, "{t}: {margin} of {total}");
            let ratio = (core.course.at.f - minimum) / core.estimate.guarantee(distance);
            assert!(ratio <= 1.0, "{t}: {ratio}");
            worst = worst.max(ratio);
            t += 1;
        });
        assert!(core.course.report.iterations > 20, "{}", core.course.status);
        worst
    }

    #[test]
    fn the_induction_holds_in_every_iteration_and_bounds_the_residual() {
        let twice = 2.0 * Chain::CUBIC_LIPSCHITZ;
        for (n, lin) in [(40, 0.0), (30, 1.0), (60, 1.0)] {
            let chain = Chain::new(n, 3.0, lin).unwrap();
            let ends: [&[f64]; 2] = [&chain.start(), &chain.minimizer()];
            for (constant, certified) in [
                (Some(twice), false),
                (Some(twice), true),
                (None, false),
                (None, true),
            ] {
                let core = plain(constant, certified);
                let worst = proven(core, &chain, ends, chain.minimum(), 200);
                println!("chain n {n}, lin {lin}, {constant:?}, {certified}: {worst:.4}");
            }
        }
        let power = Power::new(3, 4.0).unwrap();
        let ends: [&[f64]; 2] = [&power.start(), &power.minimizer()];
        proven(plain(None, true), &power, ends, 0.0, 100);
    }

    #[test]
    fn the_induction_bears_inexact_hessians() {
        // The identity in place of the Hessian, off by at most ‖H‖ ≤ 12 on the way.
        let chain = Chain::new(20, 3.0, 0.0).unwrap();
        let hessian = |_: &[f64]| faer::Mat::<f64>::identity(20, 20);
        let wrong = crate::problem::from_fn(
            |x: &[f64]| Smooth::<Explicit>::value(&chain, &x.to_vec()).unwrap(),
            |x: &[f64]| Smooth::<Explicit>::slope(&chain, &x.to_vec()).unwrap(),
            hessian,
        );
        let options = Options {
            hessian_error: 12.0,
            multipliers: [1.0, 1.0],
            restart: false,
            ..Options::default()
        };
        let ends: [&[f64]; 2] = [&chain.start(), &chain.minimizer()];
        for constant in [None, Some(2.0 * Chain::CUBIC_LIPSCHITZ)] {
            for certified in [false, true] {
                let core = with(Options {
                    constant,
                    certified,
                    ..options.clone()
                });
                proven(core, &wrong, ends, 0.0, 300);
            }
        }
    }

    #[test]
    fn with_restarts_f_never_rises() {
        let chain = Chain::new(30, 3.0, 1.0).unwrap();
        let mut f = 0.0;
        let core = follow(
            AcceleratedCubicCore::default(),
            &chain,
            &chain.start(),
            400,
            |core| {
                assert!(core.course.at.f <= f + core.course.noise());
                f = core.course.at.f;
            },
        );
        assert!(core.course.status.is_converged());
        // Each discarded point costs a Hessian and is a rejected trial.
        assert!(core.course.report.hessians > core.course.report.iterations);
        assert!(
            core.course.report.rejected
                >= core.course.report.hessians - core.course.report.iterations
        );
    }

    /// Outside its class, to the local minimum of this start.
    #[test]
    fn a_function_that_is_not_convex_is_descended() {
        let problem = Rosenbrock::new(4).unwrap();
        let x0 = problem.start();
        let core = follow(AcceleratedCubicCore::default(), &problem, &x0, 3000, |_| {});
        assert!(core.course.status.is_converged());
        assert!(
            (core.course.at.f - 3.701428610).abs() < 1e-8,
            "{}",
            core.course.at.f
        );
    }
}
