//! The public solver type, and runs without argmin.

use crate::edge::VecLike;
use crate::error::Error;
use crate::method::Method;
use crate::method::least_squares::Statistics;
use crate::method::newton_type::NewtonType;
use crate::oracle::{Explicit, HostOracle, Smooth};
use crate::record::{IterationRecord, Report};
use crate::status::{Status, Stopped};
use crate::step::Direction;
use crate::step::model::ModelStep;
use crate::step::saddle_free::SaddleFreeStep;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// A method `M` with second derivatives from the source `C`; every named solver is one.
///
/// It plugs into argmin's `Executor` and runs by itself through
/// [`minimize`](Raphson::minimize). It is cloned and, with the feature `serde`,
/// saved without its workspace, which is made again at the next iteration.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "M: serde::Serialize",
        deserialize = "M: serde::Deserialize<'de>"
    ))
)]
pub struct Raphson<M, C> {
    pub(crate) method: M,
    pub(crate) metrics: bool,
    pub(crate) time_limit: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(skip))]
    source: PhantomData<fn() -> C>,
}

impl<M: Method, C> Raphson<M, C> {
    pub(crate) fn from_method(method: M) -> Self {
        Raphson {
            method,
            metrics: false,
            time_limit: None,
            source: PhantomData,
        }
    }

    /// Publishes every field of the [`IterationRecord`] to argmin's observers.
    ///
    /// Off by default, because argmin's key-value store allocates; observers
    /// then see f, the gradient, the points and argmin's counts.
    pub fn metrics(mut self, publish: bool) -> Self {
        self.metrics = publish;
        self
    }

    /// Wall-clock limit of [`minimize`](Raphson::minimize), checked after each
    /// iteration; argmin's `Executor` has its own.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Totals of the run so far, over resumptions.
    pub fn report(&self) -> &Report {
        self.method.report()
    }

    /// How the run stands as the solver knows it; under argmin see
    /// [`Outcome`](crate::Outcome), which knows of the host's limits too.
    pub fn status(&self) -> Status {
        self.method.status()
    }

    /// Calls `callback` with every [`IterationRecord`], the start point's first;
    /// false ends the run as `Stopped(Interrupted)`.
    pub fn on_iteration<F: FnMut(&IterationRecord) -> bool>(
        self,
        callback: F,
    ) -> WithCallback<M, C, F> {
        WithCallback {
            solver: self,
            callback,
        }
    }

    /// Minimizes `problem` from `x0` without argmin's `Executor`.
    ///
    /// # Errors
    /// Only misuse (a start point or parameter that is not valid) and errors
    /// that the problem's own functions return. Whether the run converged is
    /// said by [`Run::converged`].
    pub fn minimize<O: Smooth<C>>(
        self,
        problem: &O,
        x0: O::Point,
    ) -> Result<Run<O::Point, C>, Error> {
        self.on_iteration(|_| true).minimize(problem, x0)
    }
}

impl<M: Method, C> Raphson<M, C> {
    /// Converged if ‖g‖ ≤ `tol` · scale, where the scale is ‖g(x0)‖ or what the
    /// model gives. Default 10⁻⁸, free of units; 0 switches the test off, but a
    /// gradient of exactly zero always ends the run. Least-squares solvers compare the largest
    /// cosine between the residuals and a column of their Jacobian instead, default 10⁻¹⁰.
    pub fn gradient_tol(mut self, tol: f64) -> Self {
        self.method.course_mut().tolerances.gradient = tol;
        self
    }

    /// Converged if ‖g‖ ≤ `tol`, in the units of g. Default 0: off. The weaker of the two holds.
    pub fn gradient_tol_abs(mut self, tol: f64) -> Self {
        self.method.course_mut().tolerances.gradient_absolute = tol;
        self
    }

    /// Converged if λ²/2 ≤ `tol` · |f|, λ the Newton decrement: an affine-invariant
    /// estimate of f − f*. Default 0: off.
    pub fn decrement_tol(mut self, tol: f64) -> Self {
        self.method.course_mut().tolerances.decrement = tol;
        self
    }

    /// Converged if ‖g‖²/(2μ) ≤ `tol` · |f|, which proves f − f* ≤ `tol` · |f| for an
    /// f that is `strong_convexity`-strongly convex (μ). Default 0: off.
    pub fn gap_tol(mut self, tol: f64, strong_convexity: f64) -> Self {
        let tolerances = &mut self.method.course_mut().tolerances;
        tolerances.gap = tol;
        tolerances.convexity = strong_convexity;
        self
    }

    /// Converged if an accepted step has ‖p‖ ≤ `tol` (`tol` + ‖x‖). Default 0: off.
    pub fn step_tol(mut self, tol: f64) -> Self {
        self.method.course_mut().tolerances.step = tol;
        self
    }

    /// Converged if an accepted step changes f by at most `tol`. Default 0: off.
    pub fn cost_tol(mut self, tol: f64) -> Self {
        self.method.course_mut().tolerances.cost = tol;
        self
    }

    /// All tolerances that are set must hold at once, instead of any. Default: false.
    pub fn require_all(mut self, all: bool) -> Self {
        self.method.course_mut().tolerances.all = all;
        self
    }

    /// Relative rounding noise of f. Default 16 ε; larger for long naive sums.
    pub fn f_noise(mut self, relative: f64) -> Self {
        self.method.course_mut().tolerances.noise = relative;
        self
    }

    /// An f at or below this ends the run as `Failed(Unbounded)`. Default: none.
    pub fn lower_bound(mut self, f: f64) -> Self {
        self.method.course_mut().tolerances.lower_bound = Some(f);
        self
    }

    /// Most accepted steps. Default: no limit, so an f that falls for ever by steps of one
    /// length, such as a linear one, wants a limit or a
    /// [`lower_bound`](Raphson::lower_bound). argmin's own limit holds as well.
    pub fn max_iters(mut self, limit: u64) -> Self {
        self.method.course_mut().max_iters = limit;
        self
    }
}

/// Steps that take negative curvature into account.
pub trait Curved: Direction {}
impl Curved for ModelStep {}
impl Curved for SaddleFreeStep {}

impl<D: Curved, G, T, C> Raphson<NewtonType<D, G, T>, C> {
    /// A test of convergence counts only where no eigenvalue of the Hessian is below −10⁻⁸
    /// times its scale, as `Converged(SecondOrder)`.
    ///
    /// Elsewhere the run leaves along an eigenvector u of the least eigenvalue λ₁: x ± su are
    /// tried for s = max(1, ‖x‖) and its halves, and the lower is taken if f falls by ¼|λ₁|s².
    /// Costs one factorization at the end, and a Hessian in lazy methods. Without a matrix λ₁ comes from
    /// two Lanczos runs of random start, 2 (20 + 2 ln d) products, so a small negative
    /// eigenvalue may remain unseen; [`certify`](Run::certify) tells with which odds.
    /// Default: true for [`SaddleFreeNewton`](crate::SaddleFreeNewton), else false.
    pub fn second_order(mut self, required: bool) -> Self {
        self.method.second_order = required;
        self
    }

    /// Looks for descent around points where the test of [`second_order`](Raphson::second_order)
    /// holds but the least eigenvalue is zero to within 10⁻⁸ of the scale: at 16 points in four
    /// random directions. Degenerate saddles, where second derivatives say nothing, are left so.
    /// Default: false.
    pub fn probes(mut self, on: bool) -> Self {
        self.method.escape.probes = on;
        self
    }

    /// The seed of probes and of Lanczos runs. Default 0.
    pub fn escape_seed(mut self, seed: u64) -> Self {
        self.method.escape.seed = seed;
        self
    }
}

/// A solver with a callback; see [`Raphson::on_iteration`].
pub struct WithCallback<M, C, F> {
    pub(crate) solver: Raphson<M, C>,
    callback: F,
}

impl<M: Method, C, F: FnMut(&IterationRecord) -> bool> WithCallback<M, C, F> {
    /// As [`Raphson::minimize`].
    pub fn minimize<O: Smooth<C>>(
        self,
        problem: &O,
        x0: O::Point,
    ) -> Result<Run<O::Point, C>, Error> {
        let WithCallback {
            solver,
            mut callback,
        } = self;
        let Raphson {
            mut method,
            time_limit,
            ..
        } = solver;
        let clock = Instant::now();
        let mut start = vec![0.0; x0.dimension()];
        x0.read(&mut start);
        let mut counts = HashMap::new();
        let mut oracle = HostOracle::new(problem, &mut counts, x0);
        let mut result = method.start(&start, &mut oracle);
        loop {
            if result.is_err() {
                return Err(oracle.into_error());
            }
            let record = IterationRecord {
                seconds: clock.elapsed().as_secs_f64(),
                ..method.record()
            };
            if !callback(&record) && !method.status().is_final() {
                method.set_status(Status::Stopped(Stopped::Interrupted));
            }
            if !method.status().is_final() && time_limit.is_some_and(|t| clock.elapsed() >= t) {
                method.set_status(Status::Stopped(Stopped::Time));
            }
            if method.status().is_final() {
                break;
            }
            let accepted = method.report().iterations;
            result = method.step(&mut oracle);
            // The end of a run without a step is no iteration.
            if result.is_ok() && method.report().iterations == accepted {
                break;
            }
        }
        if method.finish(&mut oracle).is_err() {
            return Err(oracle.into_error());
        }
        let mut point = oracle.into_point();
        let at = |x: &[f64], f: f64| {
            let mut point = point.clone();
            point.write(x);
            Evaluated { x: point, f }
        };
        let last = at(method.x(), method.f());
        let average = method.average().map(|(x, f)| at(x, f));
        let (x, f) = method.best();
        point.write(x);
        Ok(Run {
            f,
            x: point,
            last,
            average,
            statistics: method.statistics(),
            gradient_norm: method.record().gradient_norm,
            status: method.status(),
            report: method.report().clone(),
            counts,
            seconds: clock.elapsed().as_secs_f64(),
            source: PhantomData,
        })
    }
}

/// A point and f there.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated<P> {
    /// The point.
    pub x: P,
    /// f there.
    pub f: f64,
}

/// The outcome of [`Raphson::minimize`], with second derivatives from the source `C`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run<P, C = Explicit> {
    /// The converged point, or the best one found.
    pub x: P,
    /// f there.
    pub f: f64,
    /// The last accepted point.
    pub last: Evaluated<P>,
    /// The average of the points, if the method keeps one.
    pub average: Option<Evaluated<P>>,
    /// Standard errors and covariance at `last`, of a least-squares method with at least as many
    /// residuals as variables and a dense Jacobian that was finite there.
    pub statistics: Option<Statistics>,
    /// Euclidean norm of the gradient at the last accepted point, which of a converged run is `x`.
    pub gradient_norm: f64,
    /// How the run ended.
    pub status: Status,
    /// Totals.
    pub report: Report,
    /// Calls of the problem's functions, under argmin's names.
    pub counts: HashMap<&'static str, u64>,
    /// Wall-clock seconds.
    pub seconds: f64,
    source: PhantomData<fn() -> C>,
}

impl<P, C> Run<P, C> {
    /// Whether a convergence test holds at `x`.
    pub fn converged(&self) -> bool {
        self.status.is_converged()
    }

    /// The same run, to be certified with second derivatives from the source `D`, or to be kept
    /// beside runs of that source.
    pub fn with_source<D>(self) -> Run<P, D> {
        Run {
            x: self.x,
            f: self.f,
            last: self.last,
            average: self.average,
            gradient_norm: self.gradient_norm,
            status: self.status,
            report: self.report,
            counts: self.counts,
            seconds: self.seconds,
            statistics: self.statistics,
            source: PhantomData,
        }
    }

    /// Turns everything but convergence into [`Error::NotConverged`].
    pub fn must_converge(self) -> Result<Self, Error> {
        if self.converged() {
            Ok(self)
        } else {
            Err(Error::NotConverged {
                status: self.status,
            })
        }
    }
}
