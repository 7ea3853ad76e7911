//! The solvers of raphson.

use crate::results::Spec;
use crate::solvers::Solver;
use crate::watch::{Counts, Stop, Watch};
use crate::worker::End;
use raphson::models::LogisticRegression;
use raphson::{
    AcceleratedCubicNewton, AveragedHessianNewton, CubicNewton, DampedNewton, FilteredNewton,
    GradientNormalizedNewton, GradientRegularizedNewton, IterationRecord, LazyCubicNewton,
    LazyRegularizedNewton, SaddleFreeNewton, StochasticNewton, TrustRegionNewton,
};

/// Stops by the gradient norm itself; time is looked at after each iteration.
pub fn solve(spec: &Spec, model: &LogisticRegression, watch: &Watch) -> End {
    // What `fit` runs on: samples where it forms the Hessian, else the model itself.
    let samples = spec.solver == Solver::Fit && model.is_formed();
    let sampled = samples.then(|| model.sampled());
    let start = match sampled.as_ref().map(|sampled| sampled.start()) {
        None => model.origin(),
        Some(Ok(start)) => start,
        Some(Err(error)) => {
            return End {
                x: None,
                status: format!("failed: {error}"),
            };
        }
    };
    let counts = |values: u64, gradients: u64, hessians: u64, products: u64| {
        let [start, hessians] = match &sampled {
            Some(sampled) => [sampled.start_cost(), sampled.hessian_cost()],
            None => [0.0, hessians as f64],
        };
        Counts {
            values: values as f64 + start,
            gradients: gradients as f64 + start,
            hessians,
            products,
        }
    };
    let mut look = |record: &IterationRecord| {
        watch.aside(|seconds| {
            watch.iteration.set(record.iteration);
            watch.counts.set(counts(
                record.values,
                record.gradients,
                record.hessians,
                record.hessian_products,
            ));
            watch.point(seconds, record.f, record.gradient_norm);
            if seconds > watch.limit {
                watch.stop.set(Some(Stop::TimeLimit));
            }
            watch.stop.get().is_none()
        })
    };
    // The solvers differ in type, not in what is set and watched.
    macro_rules! run {
        ($solver:expr) => {
            run!($solver, model)
        };
        ($solver:expr, $problem:expr) => {{
            let outcome = $solver
                .gradient_tol(spec.tol)
                .gradient_tol_abs(spec.tol)
                .max_iters(spec.max_iter)
                .on_iteration(&mut look)
                .minimize($problem, start.clone());
            match outcome {
                Ok(run) => {
                    watch.iteration.set(run.report.iterations);
                    watch.counts.set(counts(
                        run.report.values,
                        run.report.gradients,
                        run.report.hessians,
                        run.report.hessian_products,
                    ));
                    let status = match watch.stop.get() {
                        Some(stop) => stop.name().into(),
                        None if run.converged() => "converged".into(),
                        None => run.status.to_string(),
                    };
                    End {
                        x: Some(run.x),
                        status,
                    }
                }
                Err(error) => End {
                    x: None,
                    status: format!("failed: {error}"),
                },
            }
        }};
    }
    match spec.solver {
        Solver::Fit => match &sampled {
            Some(sampled) => run!(model.solver(), sampled),
            None => run!(model.solver(), model),
        },
        Solver::LazyCubic => run!(LazyCubicNewton::new()),
        Solver::LazyRegularized => run!(LazyRegularizedNewton::new()),
        Solver::Cubic => run!(CubicNewton::new()),
        Solver::GradientRegularized => run!(GradientRegularizedNewton::new()),
        Solver::GradientNormalized => run!(GradientNormalizedNewton::new()),
        Solver::AcceleratedCubic => run!(AcceleratedCubicNewton::new()),
        Solver::TrustRegion => run!(TrustRegionNewton::new()),
        Solver::SaddleFree => run!(SaddleFreeNewton::new()),
        Solver::MatrixFreeDampedNewton => run!(DampedNewton::matrix_free()),
        Solver::MatrixFreeCubic => run!(CubicNewton::matrix_free()),
        Solver::MatrixFreeTrustRegion => run!(TrustRegionNewton::matrix_free()),
        Solver::FilteredNewton => run!(FilteredNewton::new()),
        Solver::AveragedNewton => run!(AveragedHessianNewton::new()),
        Solver::StochasticNewton => run!(StochasticNewton::new()),
        // The peers are not run here.
        _ => run!(DampedNewton::new()),
    }
}
