//! One solver on one model.

use super::arguments::{Arguments, Solver, Stepsize, refused};
use super::{Fit, Fitted};
use argmin::core::{CostFunction, Gradient, Hessian};
use raphson::models::{LinearModel, Loss, Softmax};
use raphson::observe::{ConvergencePlot, ProgressBar, Trace};
use raphson::stochastic::Sampler;
use raphson::{
    AcceleratedCubicNewton, AveragedHessianNewton, CubicNewton, DampedNewton, Error,
    FilteredNewton, FiniteSum, GradientNormalizedNewton, GradientRegularizedNewton, HessianProduct,
    IterationRecord, LazyCubicNewton, LazyRegularizedNewton, SaddleFreeNewton, Schedule, Status,
    StochasticNewton, SymMat, TrustRegionNewton,
};

/// What shows and writes the iterations.
struct Observers {
    bar: ProgressBar,
    trace: Option<Trace>,
    plot: Option<ConvergencePlot>,
}

impl Observers {
    fn new(arguments: &Arguments) -> Result<Self, Error> {
        let title = format!("{} by {}", arguments.title, arguments.solver.name());
        let plot = |path| ConvergencePlot::new(path).title(title);
        Ok(Observers {
            bar: ProgressBar::new(),
            trace: arguments.trace.as_deref().map(Trace::csv).transpose()?,
            plot: arguments.plot.as_deref().map(plot),
        })
    }

    fn record(&mut self, record: &IterationRecord) {
        self.bar.record(record);
        if let Some(trace) = &mut self.trace {
            trace.record(record);
        }
        if let Some(plot) = &mut self.plot {
            plot.record(record);
        }
    }

    fn finish(&mut self, status: Status) -> Result<(), Error> {
        self.bar.finish(status);
        if let Some(trace) = &mut self.trace {
            trace.finish(status)?;
        }
        if let Some(plot) = &mut self.plot {
            plot.finish(status)?;
        }
        Ok(())
    }
}

/// Minimizes `$model` from `$start` by `$solver` as the arguments say. The solvers differ in type,
/// not in what is set and watched.
macro_rules! minimize {
    ($arguments:expr, $solver:expr, $steps:expr, $model:expr, $start:expr, $mu:expr) => {{
        let (arguments, mu) = ($arguments, $mu);
        let tol = match (arguments.tol, arguments.gap) {
            (None, None) => 1e-8,
            (None, Some(_)) => 0.0,
            (Some(tol), _) => tol,
        };
        let mut observers = Observers::new(arguments)?;
        let mut solver = $solver
            .gradient_tol(tol)
            .gradient_tol_abs(tol)
            .max_iters(arguments.max_iter.unwrap_or($steps));
        if let Some(gap) = arguments.gap {
            solver = solver.gap_tol(gap, mu).require_all(tol > 0.0);
        }
        let run = solver
            .on_iteration(|record| {
                observers.record(record);
                true
            })
            .minimize($model, $start)?
            .with_source();
        observers.finish(run.status)?;
        run
    }};
}

/// Most iterations, unless the arguments say so.
const STEPS: u64 = 1000;

/// A model that may have a `fit` of its own.
pub trait OwnFit {
    /// Runs `fit` in its parts, so that it is watched and ends as the arguments say.
    fn own_fit(&self, arguments: &Arguments, mu: f64) -> Fit;
}

impl<L: Loss> OwnFit for LinearModel<L> {
    fn own_fit(&self, arguments: &Arguments, mu: f64) -> Fit {
        // `fit` too runs on a thread of the pool.
        rayon::scope(|_| {
            if !self.is_formed() {
                let start = self.origin();
                return Ok(minimize!(arguments, self.solver(), STEPS, self, start, mu).into());
            }
            let sampled = self.sampled();
            let start = sampled.start()?;
            let run = minimize!(arguments, self.solver(), STEPS, &sampled, start, mu);
            Ok(Fitted {
                costs: Some([sampled.start_cost(), sampled.hessian_cost()]),
                run,
            })
        })
    }
}

impl OwnFit for Softmax {
    fn own_fit(&self, _: &Arguments, _: f64) -> Fit {
        let requirement = "one of the other solvers; fit is for models of one margin a row";
        Err(refused("--solver", "fit", requirement))
    }
}

/// Minimizes `model` from `start` as the arguments say; with `products` by Hessian-vector products
/// alone.
pub fn solve<O>(arguments: &Arguments, model: &O, start: Vec<f64>, mu: f64, products: bool) -> Fit
where
    O: OwnFit
        + CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
        + Hessian<Param = Vec<f64>, Hessian: SymMat>
        + HessianProduct<Param = Vec<f64>>
        + FiniteSum<Param = Vec<f64>>,
{
    macro_rules! fit {
        ($solver:expr) => {
            fit!($solver, STEPS)
        };
        ($solver:expr, $steps:expr) => {
            minimize!(arguments, $solver, $steps, model, start, mu)
        };
    }
    macro_rules! batches {
        ($solver:expr) => {{
            let mut solver = $solver.seed(arguments.seed.unwrap_or(0));
            if let Some(b) = arguments.batch {
                let drop_last = false;
                solver = solver.sampler(Sampler::EpochShuffle { b, drop_last });
            }
            if let Some(epochs) = arguments.epochs {
                solver = solver.max_epochs(epochs as u64);
            }
            fit!(solver, u64::MAX)
        }};
    }
    let refresh = arguments.refresh;
    let schedule = match arguments.schedule {
        Stepsize::Universal => Schedule::Universal,
        Stepsize::Armijo => Schedule::Armijo,
        Stepsize::Greedy => Schedule::Greedy,
        Stepsize::Classical => Schedule::Classical,
        Stepsize::Full => Schedule::Full,
    };
    let run = match arguments.solver {
        Solver::Fit => return model.own_fit(arguments, mu),
        Solver::DampedNewton if products => fit!(DampedNewton::matrix_free().schedule(schedule)),
        Solver::Cubic if products => fit!(CubicNewton::matrix_free()),
        Solver::TrustRegion if products => fit!(TrustRegionNewton::matrix_free()),
        Solver::SaddleFree if products => fit!(SaddleFreeNewton::matrix_free()),
        _ if products => {
            let requirement =
                "damped-newton, cubic, trust-region or saddle-free, which need no Hessian";
            return Err(refused("--solver", &arguments.solver.name(), requirement));
        }
        Solver::DampedNewton => fit!(DampedNewton::new().schedule(schedule)),
        Solver::LazyCubic => {
            let solver = LazyCubicNewton::new();
            fit!(match refresh {
                Some(refresh) => solver.refresh(refresh),
                None => solver,
            })
        }
        Solver::LazyRegularized => {
            let solver = LazyRegularizedNewton::new();
            fit!(match refresh {
                Some(refresh) => solver.refresh(refresh),
                None => solver,
            })
        }
        Solver::Cubic => fit!(CubicNewton::new()),
        Solver::GradientRegularized => fit!(GradientRegularizedNewton::new()),
        Solver::GradientNormalized => fit!(GradientNormalizedNewton::new()),
        Solver::AcceleratedCubic => fit!(AcceleratedCubicNewton::new()),
        Solver::TrustRegion => fit!(TrustRegionNewton::new()),
        Solver::SaddleFree => fit!(SaddleFreeNewton::new()),
        Solver::FilteredNewton => batches!(FilteredNewton::new()),
        Solver::AveragedNewton => batches!(AveragedHessianNewton::new()),
        Solver::StochasticNewton => batches!(StochasticNewton::new()),
    };
    Ok(run.into())
}
