//! The loop of the augmented Lagrangian method.
//!
//! ```text
//! f, g, c, G at x0; λ = 0
//! until (∇L, c) = 0:
//!     H of the Lagrangian
//!     z = (p, q) and t with K z ≈ −N, until ⟨∇M, z⟩ is negative enough
//!     α = 1, ½, ¼, … until M(x + αp, λ + αq) falls
//! ```

use super::direction::{Found, Newton};
use super::inner::{Inner, Sketch};
use super::least_squares::LeastSquares;
use super::merit::{MeritGradient, Penalties};
use super::point::Point;
use crate::error::{Error, finite};
use crate::linear::axpy;
use crate::method::Method;
use crate::method::course::Course;
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::norm;
use crate::record::IterationRecord;
use crate::status::{Converged, Failed, Status};
use crate::step::Fault;
use crate::termination::Arrival;

/// Step lengths after which a search has failed.
const TRIALS: u32 = 50;
/// Parts of a step length between which the next one lies.
const SHORTEN: [f64; 2] = [0.25, 0.5];
/// M is known up to this part of the sum of its terms.
const NOISE: f64 = 1e-11;
/// Where M tells nothing, a step is good if ‖N‖ falls to this part.
const FALL: f64 = 0.9;
/// After a step length below this the run is rescued, so often at most; so many such steps in a row
/// after that are a stall.
const SHORT: f64 = 1e-2;
const RESCUES: u32 = 12;
const STALL: u32 = 10;
/// A rescue multiplies ε₁ and ε₂ by these.
const RESCUE: [f64; 2] = [3.0, 0.3];
/// ‖Gᵀc‖ below this part of ‖G‖‖c‖, with the largest G so far, is a stationary point of ‖c‖.
const STATIONARY: f64 = 1e-8;
/// The same where the run ends anyway.
const NEARLY_STATIONARY: f64 = 1e-2;
/// And to first order a step as long as x0 or the first step lowers ‖c‖ by less than this part of
/// it; a large G somewhere else makes the tests above easy to pass.
const GAIN: f64 = 0.1;
/// ‖x‖ beyond this multiple of ‖x0‖ and of the first step leaves c few digits: the run is unbounded.
const FAR: f64 = 1e12;
/// The precision floor is believed only where the test of convergence holds with this tolerance
/// and what is at the point alone for its scales: those of a start far away excuse nothing.
const FLOOR: f64 = 1e-5;

/// What the user says of the method.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Options {
    pub(super) penalties: Penalties,
    /// ν.
    pub(super) factor: f64,
    /// β.
    pub(super) armijo: f64,
    pub(super) least_accuracy: f64,
    pub(super) superlinear: bool,
    pub(super) inner: Inner,
    pub(super) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            penalties: Penalties {
                constraints: 1.0,
                gradient: 0.1,
                accuracy: 0.1,
            },
            factor: 1.5,
            armijo: 0.1,
            least_accuracy: 1e-4,
            superlinear: true,
            inner: Inner::Auto,
            seed: 0,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let Penalties {
            constraints,
            gradient,
            accuracy,
        } = self.penalties;
        for (name, value) in [("penalties", constraints), ("penalties", gradient)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::parameter(name, value, "positive and finite"));
            }
        }
        for (name, value, most, requirement) in [
            ("accuracy", accuracy, 1.0, "above 0 and below 1"),
            (
                "least_accuracy",
                self.least_accuracy,
                1.0,
                "above 0 and below 1",
            ),
            ("armijo", self.armijo, 0.5, "above 0 and below 1/2"),
        ] {
            if !(value > 0.0 && value < most) {
                return Err(Error::parameter(name, value, requirement));
            }
        }
        if !(self.factor > 1.0 && self.factor <= 10.0) {
            let requirement = "above 1 and at most 10";
            return Err(Error::parameter("penalty_factor", self.factor, requirement));
        }
        if let Inner::Sketch(Sketch::Rows(0) | Sketch::Gaussian(0)) = self.inner {
            return Err(Error::parameter("sketch", 0, "at least 1 row"));
        }
        Ok(())
    }
}

/// How a line search ended.
enum Search {
    /// With this α.
    Accepted(f64),
    /// Neither M nor ‖N‖ can fall by more than rounding.
    Floor,
    Failed,
}

/// The core of [`AugmentedLagrangianNewton`](super::AugmentedLagrangianNewton); its state is all
/// that a resumed run needs.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AugmentedLagrangianCore {
    pub(super) options: Options,
    course: Course,
    at: Point,
    penalties: Penalties,
    newton: Newton,
    /// Short steps in a row.
    short: u32,
    rescues: u32,
    /// ‖c(x0)‖ and the largest ‖G‖ so far.
    start_violation: f64,
    largest_jacobian: f64,
    /// ‖N‖ at x0, and what the best point is judged by.
    start_size: f64,
    best_size: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Clone, Default)]
struct Work {
    trial: Point,
    /// Gᵀc and (H∇L, G∇L).
    merit: MeritGradient,
    z: Vec<f64>,
    least_squares: LeastSquares,
    trials: u64,
}

impl AugmentedLagrangianCore {
    fn n(&self) -> usize {
        self.at.x.len()
    }

    fn counted<'a>(&'a mut self, oracle: &'a mut dyn Oracle) -> Counted<'a> {
        Counted {
            inner: oracle,
            report: &mut self.course.report,
        }
    }

    /// One accepted step; an outcome that ends the run is returned.
    fn advance(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let (n, m) = (self.n(), self.at.c.len());
        self.work.trial.resize(n, m);
        self.work.trials = 0;
        loop {
            let Some(slope) = self.direction(oracle)? else {
                if self.rescue() {
                    continue;
                }
                return Ok(Some(self.defeat()));
            };
            match self.search(oracle, slope)? {
                Search::Accepted(alpha) => {
                    self.accept(alpha);
                    return self.judge(oracle);
                }
                Search::Floor if self.is_floor() => {
                    return self.converge(oracle, Converged::PrecisionFloor).map(Some);
                }
                Search::Floor | Search::Failed => {
                    self.newton.was_too_long();
                    if !self.rescue() {
                        return Ok(Some(self.defeat()));
                    }
                }
            }
        }
    }

    /// Evaluates H and finds z, t and penalties; the derivative of M along z, or none.
    fn direction(&mut self, oracle: &mut dyn Oracle) -> Result<Option<f64>, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        counted.refresh_lagrangian(&self.at.x, &self.at.multipliers)?;
        if counted.report.iterations == 0 {
            counted.validate()?;
        }
        self.newton.choose(&mut counted, &self.at, &self.options)?;
        self.work.merit.load(&self.at);
        let forcing = if self.options.superlinear {
            (self.at.size() / self.start_size).sqrt().min(1.0)
        } else {
            1.0
        };
        let found = Found {
            at: &self.at,
            options: &self.options,
            forcing,
            reach: self.course.reach,
        };
        let (merit, z) = (&mut self.work.merit, &mut self.work.z);
        self.newton
            .find(&mut counted, found, &mut self.penalties, merit, z)
    }

    /// Shortens α until M falls by its derivative's share.
    fn search(&mut self, oracle: &mut dyn Oracle, slope: f64) -> Result<Search, Fault> {
        let noise = NOISE.max(self.course.tolerances.noise) * self.penalties.magnitude(&self.at);
        let mut alpha = 1.0;
        for _ in 0..TRIALS {
            let change = self.change(oracle, alpha)?;
            if self.is_enough(change, alpha * slope, noise) {
                return Ok(Search::Accepted(alpha));
            }
            self.course.report.rejected += 1;
            if -slope <= noise {
                return Ok(Search::Floor);
            }
            alpha = shorter(alpha, slope, change);
        }
        Ok(Search::Failed)
    }

    /// Evaluates the trial at α; the change of M there, NaN if something is not finite.
    fn change(&mut self, oracle: &mut dyn Oracle, alpha: f64) -> Result<f64, Abort> {
        self.work.trials += 1;
        self.course.report.trials += 1;
        let n = self.n();
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let Work { trial, z, .. } = &mut self.work;
        trial.x.copy_from_slice(&self.at.x);
        trial.multipliers.copy_from_slice(&self.at.multipliers);
        axpy(alpha, &z[..n], &mut trial.x);
        axpy(alpha, &z[n..], &mut trial.multipliers);
        Ok(if trial.evaluate(&mut counted)? {
            self.penalties.merit(trial) - self.penalties.merit(&self.at)
        } else {
            f64::NAN
        })
    }

    /// Whether M falls enough, or where it tells nothing, ‖N‖.
    fn is_enough(&self, change: f64, expected: f64, noise: f64) -> bool {
        let level = change.abs() <= noise && self.work.trial.size() <= FALL * self.at.size();
        change <= self.options.armijo * expected || level
    }

    /// Moves to the accepted trial.
    fn accept(&mut self, alpha: f64) {
        // From here on `trial` is the point before.
        std::mem::swap(&mut self.at, &mut self.work.trial);
        let n = self.n();
        let moved = self.at.x.iter().zip(&self.work.trial.x);
        let step_norm = moved.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        self.course.report.iterations += 1;
        self.course.report.control = self.penalties.constraints;
        self.course.report.shift = self.newton.shift();
        self.course.report.shifted += u64::from(self.newton.shift() > 0.0);
        self.course.at.x.copy_from_slice(&self.at.x);
        self.course.at.f = self.at.f;
        self.course.at.g.copy_from_slice(&self.at.residual[..n]);
        self.course.at.slope = self.at.slope;
        self.course.last = IterationRecord {
            step_norm,
            step_length: alpha,
            control: self.penalties.constraints,
            shift: self.newton.shift(),
            trials: self.work.trials,
            constraint_norm: self.at.violation,
            inner_iterations: self.course.report.inner_iterations,
            ..IterationRecord::default()
        };
        if alpha < SHORT {
            self.short += 1;
            self.newton.was_too_long();
        } else {
            self.short = 0;
        }
        if alpha == 1.0 {
            self.newton.was_right();
        }
        self.largest_jacobian = self.largest_jacobian.max(self.at.jacobian.norm());
    }

    /// Whether the run ends at the point just accepted.
    fn judge(&mut self, oracle: &mut dyn Oracle) -> Result<Option<Status>, Fault> {
        let arrival = Arrival {
            step_norm: self.course.last.step_norm,
            x_norm: norm(&self.at.x),
            change: 0.0,
        };
        if self.course.report.iterations == 1 {
            self.course.reach = self.course.reach.max(arrival.step_norm);
            if self.course.scale == 0.0 {
                self.course.scale = norm(&self.at.gradient).max(self.at.pull);
            }
        }
        self.keep_best();
        if self.has_converged() {
            return self.converge(oracle, Converged::Kkt).map(Some);
        }
        if self.is_infeasible(STATIONARY) {
            return Ok(Some(Status::Failed(Failed::Infeasible)));
        }
        let far = arrival.x_norm > FAR * self.course.reach;
        if far || self.course.is_unbounded(&arrival) {
            return Ok(Some(Status::Failed(Failed::Unbounded)));
        }
        if self.short > 0 && !self.rescue() && self.short >= STALL {
            return Ok(Some(self.defeat()));
        }
        Ok(None)
    }

    /// The KKT conditions to within the relative tolerance, or ‖N‖ to within the absolute one.
    fn has_converged(&self) -> bool {
        let tolerances = &self.course.tolerances;
        let size = self.at.size();
        size == 0.0
            || size <= tolerances.gradient_absolute
            || tolerances.gradient > 0.0 && self.holds(tolerances.gradient)
    }

    /// Whether what is left of ∇L and c may be rounding.
    fn is_floor(&self) -> bool {
        let slope = self.at.pull.max(norm(&self.at.gradient));
        let reach = self.at.jacobian.norm() * norm(&self.at.x);
        self.at.slope <= FLOOR * slope && self.at.violation <= FLOOR * reach
    }

    /// ‖∇L‖ and ‖c‖ within a part of their scales.
    fn holds(&self, tolerance: f64) -> bool {
        let [slope, violation] = self.scales();
        self.at.slope <= tolerance * slope && self.at.violation <= tolerance * violation
    }

    /// What ∇L and c are compared with.
    fn scales(&self) -> [f64; 2] {
        let slope = self.course.scale.max(self.at.pull);
        let reach = self.largest_jacobian * self.course.reach;
        [
            slope.max(norm(&self.at.gradient)),
            self.start_violation.max(reach),
        ]
    }

    /// Whether ‖c‖ is stationary and not zero.
    fn is_infeasible(&self, part: f64) -> bool {
        let tolerances = &self.course.tolerances;
        let small =
            (tolerances.gradient.max(1e-12) * self.scales()[1]).max(tolerances.gradient_absolute);
        let n = self.n();
        let mut pull = 0.0;
        for j in 0..n {
            let entry: f64 = self
                .at
                .jacobian
                .column(j)
                .map(|(i, a)| a * self.at.c[i])
                .sum();
            pull += entry * entry;
        }
        let (pull, c) = (pull.sqrt(), self.at.violation);
        c > small
            && pull <= part * self.largest_jacobian * c
            && pull * self.course.reach <= GAIN * c * c
    }

    /// Why the run cannot go on.
    fn defeat(&self) -> Status {
        Status::Failed(if self.is_infeasible(NEARLY_STATIONARY) {
            Failed::Infeasible
        } else if self.newton.is_deficient() {
            Failed::RankDeficient
        } else {
            Failed::SearchFailed
        })
    }

    /// Takes least-squares multipliers and larger penalties; false if that was done often enough.
    fn rescue(&mut self) -> bool {
        if self.rescues == RESCUES {
            return false;
        }
        self.rescues += 1;
        self.short = 0;
        self.work.least_squares.multipliers(&mut self.at);
        self.at.combine();
        self.penalties.constraints *= RESCUE[0];
        self.penalties.gradient *= RESCUE[1];
        let n = self.n();
        self.course.at.g.copy_from_slice(&self.at.residual[..n]);
        self.course.at.slope = self.at.slope;
        true
    }

    /// The inertia of K, if the inner solver is direct, at the point where a test holds.
    fn converge(&mut self, oracle: &mut dyn Oracle, test: Converged) -> Result<Status, Fault> {
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        let inertia = self.newton.inertia(&mut counted, &self.at, &self.options)?;
        self.course.report.kkt_inertia = inertia;
        self.note();
        Ok(Status::Converged(test))
    }

    /// Keeps the point if it is the best so far: the largest of its two relative residuals is least.
    fn keep_best(&mut self) {
        let [slope, violation] = self.scales();
        let part = |size: f64, scale: f64| if size > 0.0 { size / scale } else { 0.0 };
        let size = part(self.at.slope, slope).max(part(self.at.violation, violation));
        if size <= self.best_size || self.course.report.iterations == 0 {
            self.best_size = size;
            self.course.best_f = self.at.f;
            self.course.best_x.clone_from(&self.at.x);
            self.note();
        }
    }

    /// Reports multipliers and residuals.
    fn note(&mut self) {
        let report = &mut self.course.report;
        report.multipliers.clone_from(&self.at.multipliers);
        report.constraint_norm = self.at.violation;
        report.kkt_residual = self.at.size();
    }

    /// c, G and λ = 0 at the start, where f and ∇f are known.
    fn begin(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let m = oracle.n_constraints();
        self.at.resize(x0.len(), m);
        self.at.x.copy_from_slice(x0);
        self.at.multipliers.fill(0.0);
        self.at.f = self.course.at.f;
        self.at.gradient.copy_from_slice(&self.course.at.g);
        let mut counted = Counted {
            inner: oracle,
            report: &mut self.course.report,
        };
        self.at.constrain(&mut counted)?;
        self.start_violation = self.at.violation;
        self.start_size = self.at.size();
        self.largest_jacobian = self.at.jacobian.norm();
        self.course.last.constraint_norm = self.at.violation;
        if !self.at.is_finite() {
            self.course.status = Status::Failed(Failed::NonFinite);
        }
        self.keep_best();
        Ok(())
    }
}

/// The step length that minimizes the parabola through M and its derivative at 0 and the change
/// at `alpha`, kept between two parts of `alpha`; half of it where M is not finite.
fn shorter(alpha: f64, slope: f64, change: f64) -> f64 {
    let [least, most] = SHORTEN;
    let part = -slope * alpha / (2.0 * (change - slope * alpha));
    alpha
        * if part.is_finite() {
            part.clamp(least, most)
        } else {
            most
        }
}

impl Default for Penalties {
    fn default() -> Self {
        Options::default().penalties
    }
}

impl Method for AugmentedLagrangianCore {
    fn name(&self) -> &'static str {
        "Augmented Lagrangian Newton"
    }

    fn check(&self) -> Result<(), Error> {
        let tolerances = &self.course.tolerances;
        tolerances.check()?;
        for (name, value) in [
            ("decrement_tol", tolerances.decrement),
            ("gap_tol", tolerances.gap),
            ("step_tol", tolerances.step),
            ("cost_tol", tolerances.cost),
        ] {
            if value > 0.0 {
                let requirement = "0: of points off the constraints the KKT residual alone tells";
                return Err(Error::parameter(name, value, requirement));
            }
        }
        self.options.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let (constraints, variables) = (oracle.n_constraints(), x0.len());
        let fits = if constraints > variables {
            Err(Error::Overdetermined {
                constraints,
                variables,
            })
        } else {
            Ok(())
        };
        if let Err(error) = self
            .check()
            .and_then(|()| finite("start point", x0))
            .and(fits)
        {
            return Err(oracle.fail(error));
        }
        self.penalties = self.options.penalties;
        self.newton.reset(self.options.seed);
        (self.short, self.rescues) = (0, 0);
        self.course.start(x0, oracle)?;
        if self.course.status.is_final() {
            return Ok(());
        }
        self.begin(x0, oracle)?;
        if !self.course.status.is_final() && self.has_converged() {
            let mut counted = self.counted(oracle);
            counted.refresh_lagrangian(x0, &vec![0.0; constraints])?;
            let end = self.converge(oracle, Converged::Kkt).map(Some);
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
        if self.course.status == Status::Failed(Failed::Infeasible) {
            self.note();
        }
        self.course.limit();
        Ok(())
    }

    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
    fn keeps_best(&self) -> bool {
        true
    }

    /// The accepted point of a converged or infeasible run, else the one of least relative residual.
    fn best(&self) -> (&[f64], f64) {
        let status = self.course.status;
        if status.is_converged() || status == Status::Failed(Failed::Infeasible) {
            (&self.course.at.x, self.course.at.f)
        } else {
            (&self.course.best_x, self.course.best_f)
        }
    }
}

#[cfg(all(test, feature = "problems"))]
mod tests {
    use super::*;
    use crate::oracle::{Constrained, HostOracle};
    use crate::problems::HockSchittkowski;
    use std::collections::HashMap;

    /// M at (x, λ) + h z by evaluation.
    fn merit(core: &mut AugmentedLagrangianCore, oracle: &mut dyn Oracle, h: f64) -> f64 {
        let change = core.change(oracle, h).ok().unwrap();
        assert!(change.is_finite());
        change
    }

    #[test]
    fn the_merit_falls_fast_enough_along_every_step() {
        let mut checked = 0;
        for problem in HockSchittkowski::ALL {
            for inner in [Inner::Direct, Inner::Minres, Inner::Sketch(Sketch::Rows(2))] {
                let mut counts = HashMap::new();
                let x0 = problem.start();
                let mut host = HostOracle::<_, Constrained>::new(&problem, &mut counts, x0.clone());
                let mut core = AugmentedLagrangianCore::default();
                core.options.inner = inner;
                core.start(&x0, &mut host).ok().unwrap();
                let (n, m) = (core.n(), core.at.c.len());
                core.work.trial.resize(n, m);
                for _ in 0..40 {
                    let Some(slope) = core.direction(&mut host).ok().unwrap() else {
                        assert!(core.rescue());
                        continue;
                    };
                    let size = core.at.size();
                    let least = 0.5 * core.penalties.gradient * size * size;
                    assert!(slope <= -least, "{}: {slope:e}", problem.name());
                    let h = 1e-6 / (1.0 + norm(&core.work.z));
                    let noise = 1e-15 * core.penalties.magnitude(&core.at) / h;
                    if noise < 1e-5 * slope.abs() {
                        let ends = [h, -h].map(|h| merit(&mut core, &mut host, h));
                        let difference = (ends[0] - ends[1]) / (2.0 * h);
                        let error = (difference - slope).abs();
                        assert!(error <= 1e-3 * slope.abs(), "{}: {error:e}", problem.name());
                        checked += 1;
                    }
                    match core.search(&mut host, slope).ok().unwrap() {
                        Search::Accepted(alpha) => core.accept(alpha),
                        _ => assert!(core.rescue()),
                    }
                    if core.judge(&mut host).ok().unwrap().is_some() {
                        break;
                    }
                }
            }
        }
        assert!(checked > 200, "{checked}");
    }

    #[test]
    fn step_lengths_are_interpolated_between_two_parts() {
        // M = −α + 2α², least at ¼, and steeper and flatter ones.
        assert_eq!(shorter(1.0, -1.0, 1.0), 0.25);
        assert_eq!(shorter(1.0, -1.0, 0.5), 1.0 / 3.0);
        assert_eq!(shorter(0.5, -1.0, 100.0), 0.125);
        assert_eq!(shorter(0.5, -1.0, -0.04), 0.25);
        assert_eq!(shorter(0.5, -1.0, f64::NAN), 0.25);
    }
}
