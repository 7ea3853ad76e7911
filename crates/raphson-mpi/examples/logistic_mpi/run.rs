//! One solver under argmin's executor, with checkpoints.

use crate::Command;
use crate::arguments::{Solver, Stepsize, refused};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Error as HostError, Executor, IterState, KV};
use raphson::distributed::{Distributed, Shard};
use raphson::observe::{ConvergencePlot, ProgressBar, Trace};
use raphson::stochastic::Sampler;
use raphson::{
    AcceleratedCubicNewton, AveragedHessianNewton, CubicNewton, DampedNewton, Error,
    FilteredNewton, GradientNormalizedNewton, GradientRegularizedNewton, LazyCubicNewton,
    LazyRegularizedNewton, Outcome, Report, SaddleFreeNewton, Schedule, Status, StochasticNewton,
    TrustRegionNewton,
};
use raphson_mpi::{Checkpoint, World};
use std::time::Duration;

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// How a run ended.
pub struct Ended {
    pub x: Vec<f64>,
    pub f: f64,
    pub gradient_norm: f64,
    pub status: Status,
    pub report: Report,
}

/// Waits after every iteration.
struct Pause(Duration);

impl Observe<Host> for Pause {
    fn observe_iter(&mut self, _: &Host, _: &KV) -> Result<(), HostError> {
        std::thread::sleep(self.0);
        Ok(())
    }
}

/// The error as it is, or that of the problem's own functions.
fn ours(error: HostError) -> Error {
    match error.downcast() {
        Ok(ours) => ours,
        Err(error) => match error.downcast::<raphson::distributed::Error>() {
            Ok(ours) => ours.into(),
            Err(error) => Error::Problem(error),
        },
    }
}

/// Minimizes the sum over all ranks from zero, as the arguments say.
pub fn solve<O: Shard + 'static>(
    command: &Command,
    problem: &Distributed<O, World>,
    mu: f64,
) -> Result<Ended, Error> {
    let arguments = &command.arguments;
    let world = problem.communicator();
    let tol = match (arguments.tol, arguments.gap) {
        (None, None) => 1e-8,
        (None, Some(_)) => 0.0,
        (Some(tol), _) => tol,
    };
    macro_rules! fit {
        ($solver:expr) => {
            fit!($solver, 1000)
        };
        ($solver:expr, $steps:expr) => {{
            let steps = arguments.max_iter.unwrap_or($steps);
            let mut solver = $solver
                .gradient_tol(tol)
                .gradient_tol_abs(tol)
                .metrics(true)
                .max_iters(steps);
            if let Some(gap) = arguments.gap {
                solver = solver.gap_tol(gap, mu).require_all(tol > 0.0);
            }
            // A wall clock or Ctrl-C would be noticed by each rank at another iteration.
            let mut executor = Executor::new(problem.clone(), solver)
                .configure(|state| {
                    state
                        .param(vec![0.0; problem.dimension()])
                        .max_iters(u64::MAX)
                })
                .timer(false)
                .ctrlc(false);
            if let Some(path) = &command.checkpoint {
                let checkpoint = Checkpoint::new(path, command.checkpoint_every, world.clone());
                executor = executor.checkpointing(checkpoint);
            }
            if problem.is_first() {
                executor = executor.add_observer(ProgressBar::new(), ObserverMode::Always);
                if let Some(path) = &arguments.trace {
                    executor = executor.add_observer(Trace::csv(path)?, ObserverMode::Always);
                }
                if let Some(path) = &arguments.plot {
                    let plot = ConvergencePlot::new(path).title(arguments.title);
                    executor = executor.add_observer(plot, ObserverMode::Always);
                }
            }
            if command.pause > 0 {
                let pause = Pause(Duration::from_millis(command.pause));
                executor = executor.add_observer(pause, ObserverMode::Always);
            }
            let result = executor.run().map_err(ours)?;
            let status = result.status();
            let state = result.state;
            let gradient = state.grad.as_deref().unwrap_or(&[]);
            Ok(Ended {
                f: state.best_cost,
                gradient_norm: gradient.iter().map(|g| g * g).sum::<f64>().sqrt(),
                status,
                report: result.solver.report().clone(),
                x: state.best_param.unwrap_or_default(),
            })
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
    let schedule = match arguments.schedule {
        Stepsize::Universal => Schedule::Universal,
        Stepsize::Armijo => Schedule::Armijo,
        Stepsize::Greedy => Schedule::Greedy,
        Stepsize::Classical => Schedule::Classical,
        Stepsize::Full => Schedule::Full,
    };
    let refresh = arguments.refresh;
    match arguments.solver {
        Solver::DampedNewton if command.matrix_free => {
            fit!(DampedNewton::matrix_free().schedule(schedule))
        }
        Solver::Cubic if command.matrix_free => fit!(CubicNewton::matrix_free()),
        Solver::TrustRegion if command.matrix_free => fit!(TrustRegionNewton::matrix_free()),
        Solver::SaddleFree if command.matrix_free => fit!(SaddleFreeNewton::matrix_free()),
        _ if command.matrix_free => Err(Error::InvalidParameter {
            name: "--matrix-free",
            value: arguments.solver.name(),
            requirement: "used with damped-newton, cubic, trust-region or saddle-free",
        }),
        // In one pass where there is the choice: value and gradient in one exchange.
        Solver::DampedNewton => fit!(DampedNewton::fused().schedule(schedule)),
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
        Solver::Cubic => fit!(CubicNewton::fused()),
        Solver::GradientRegularized => fit!(GradientRegularizedNewton::new()),
        Solver::GradientNormalized => fit!(GradientNormalizedNewton::new()),
        Solver::AcceleratedCubic => fit!(AcceleratedCubicNewton::new()),
        Solver::TrustRegion => fit!(TrustRegionNewton::fused()),
        Solver::SaddleFree => fit!(SaddleFreeNewton::fused()),
        Solver::FilteredNewton => batches!(FilteredNewton::new()),
        Solver::AveragedNewton => batches!(AveragedHessianNewton::new()),
        Solver::StochasticNewton => batches!(StochasticNewton::new()),
        Solver::Fit => Err(refused(
            "--solver",
            "fit",
            "one of the other solvers; fit draws samples on one machine, and no checkpoint keeps them",
        )),
    }
}
