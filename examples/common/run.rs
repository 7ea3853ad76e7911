//! One solver on one model.

use super::Fit;
use super::arguments::{Arguments, Solver, Stepsize};
use argmin::core::{CostFunction, Gradient, Hessian};
use raphson::observe::{ConvergencePlot, ProgressBar, Trace};
use raphson::stochastic::Sampler;
use raphson::{
    AcceleratedCubicNewton, AveragedHessianNewton, CubicNewton, DampedNewton, Error,
    FilteredNewton, FiniteSum, GradientNormalizedNewton, GradientRegularizedNewton, HessianProduct,
    LazyCubicNewton, LazyRegularizedNewton, SaddleFreeNewton, Schedule, StochasticNewton, SymMat,
    TrustRegionNewton,
};

/// Minimizes `model` from `start` as the arguments say; with `products` by Hessian-vector products
/// alone.
pub fn solve<O>(arguments: &Arguments, model: &O, start: Vec<f64>, mu: f64, products: bool) -> Fit
where
    O: CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
        + Hessian<Param = Vec<f64>, Hessian: SymMat>
        + HessianProduct<Param = Vec<f64>>
        + FiniteSum<Param = Vec<f64>>,
{
    let tol = match (arguments.tol, arguments.gap) {
        (None, None) => 1e-8,
        (None, Some(_)) => 0.0,
        (Some(tol), _) => tol,
    };
    let mut bar = ProgressBar::new();
    let mut trace = arguments.trace.as_deref().map(Trace::csv).transpose()?;
    let mut plot = arguments.plot.as_deref().map(|path| {
        let title = format!("{} by {}", arguments.title, arguments.solver.name());
        ConvergencePlot::new(path).title(title)
    });
    // The solvers differ in type, not in what is set and watched.
    macro_rules! fit {
        ($solver:expr) => {
            fit!($solver, 1000)
        };
        ($solver:expr, $steps:expr) => {{
            let mut solver = $solver
                .gradient_tol(tol)
                .gradient_tol_abs(tol)
                .max_iters(arguments.max_iter.unwrap_or($steps));
            if let Some(gap) = arguments.gap {
                solver = solver.gap_tol(gap, mu).require_all(tol > 0.0);
            }
            solver
                .on_iteration(|record| {
                    bar.record(record);
                    if let Some(trace) = &mut trace {
                        trace.record(record);
                    }
                    if let Some(plot) = &mut plot {
                        plot.record(record);
                    }
                    true
                })
                .minimize(model, start)?
                .with_source()
        }};
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
        Solver::DampedNewton if products => fit!(DampedNewton::matrix_free().schedule(schedule)),
        Solver::Cubic if products => fit!(CubicNewton::matrix_free()),
        Solver::TrustRegion if products => fit!(TrustRegionNewton::matrix_free()),
        Solver::SaddleFree if products => fit!(SaddleFreeNewton::matrix_free()),
        _ if products => {
            return Err(Error::InvalidParameter {
                name: "--solver",
                value: arguments.solver.name(),
                requirement: "damped-newton, cubic, trust-region or saddle-free, which need no Hessian",
            });
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
    bar.finish(run.status);
    if let Some(trace) = &mut trace {
        trace.finish(run.status)?;
    }
    if let Some(plot) = &mut plot {
        plot.finish(run.status)?;
    }
    Ok(run)
}
