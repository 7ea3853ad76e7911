//! Methods: cores that know neither argmin nor the user's types.

use crate::error::Error;
use crate::oracle::{Abort, Oracle};
use crate::record::{IterationRecord, Report};
use crate::status::Status;
pub use course::Course;

pub mod accelerated;
pub mod augmented_lagrangian;
pub(crate) mod course;
pub mod cubic;
pub mod damped_newton;
pub mod exact_gauss_newton;
pub mod filtered_newton;
pub mod least_squares;
pub(crate) mod newton_type;
pub mod regularized;
pub mod saddle_free;
pub mod sinkhorn;
pub mod sinkhorn_newton;
pub mod stochastic;
pub mod trust_region;

/// An iterative method on slices; object safe, compiled once.
pub trait Method {
    /// Name, as argmin's observers show it.
    fn name(&self) -> &'static str;
    /// Checks the options.
    fn check(&self) -> Result<(), Error>;
    /// Evaluates f and the gradient at the start point; forgets earlier runs.
    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort>;
    /// One accepted step, or the end of the run.
    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort>;
    /// What is kept of the run.
    fn course(&self) -> &Course;
    /// What is kept of the run.
    fn course_mut(&mut self) -> &mut Course;

    /// The accepted point.
    fn x(&self) -> &[f64] {
        &self.course().at.x
    }
    /// f there.
    fn f(&self) -> f64 {
        self.course().at.f
    }
    /// The gradient there.
    fn g(&self) -> &[f64] {
        &self.course().at.g
    }
    /// The point to return: the accepted one of a converged run, else the one with the least f.
    fn best(&self) -> (&[f64], f64) {
        self.course().best()
    }
    /// Whether [`f`](Method::f) may belong to an earlier point than [`x`](Method::x), so that
    /// only [`best`](Method::best) knows what argmin's best point is.
    fn keeps_best(&self) -> bool {
        false
    }
    /// Called after the last step if the run is ended from outside: the chance to evaluate what
    /// was left open.
    fn finish(&mut self, _oracle: &mut dyn Oracle) -> Result<(), Abort> {
        Ok(())
    }
    /// An average of the points with f there, if the method keeps one.
    fn average(&self) -> Option<(&[f64], f64)> {
        None
    }
    /// Accuracy of fitted parameters, if the method fits residuals.
    fn statistics(&self) -> Option<least_squares::Statistics> {
        None
    }
    /// How the run stands.
    fn status(&self) -> Status {
        self.course().status
    }
    /// Ends the run from outside.
    fn set_status(&mut self, status: Status) {
        self.course_mut().status = status;
    }
    /// Totals.
    fn report(&self) -> &Report {
        &self.course().report
    }
    /// The last iteration; its time is filled in by the caller.
    fn record(&self) -> IterationRecord {
        self.course().record()
    }
}

#[cfg(test)]
mod tests {
    //! A method with its own loop and its own curvature, from the same parts and
    //! through the same adapter: what stochastic and constrained methods will be.

    use super::*;
    use crate::linear::{DenseCholesky, Factor, sym_mul};
    use crate::oracle::{Counted, Curvature, Explicit};
    use crate::parallel::norm;
    use crate::solver::Raphson;
    use crate::status::{Converged, Failed};
    use crate::{Outcome, problem};
    use ::argmin::core::Executor;

    /// Newton with the running mean of all Hessians, kept as state.
    #[derive(Clone, Default)]
    struct Averaged {
        course: Course,
        mean: Vec<f64>,
    }

    impl Method for Averaged {
        fn name(&self) -> &'static str {
            "Averaged"
        }
        fn check(&self) -> Result<(), Error> {
            Ok(())
        }
        fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
            self.mean = vec![0.0; x0.len() * x0.len()];
            self.course.start(x0, oracle)?;
            Ok(())
        }
        fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
            let n = self.course.at.x.len();
            let mut oracle = Counted {
                inner: oracle,
                report: &mut self.course.report,
            };
            oracle.refresh(&self.course.at.x)?;
            let weight = 1.0 / oracle.report.hessians as f64;
            let Curvature::Matrix(view) = oracle.curvature() else {
                return Ok(());
            };
            let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
            for j in 0..n {
                unit.fill(0.0);
                unit[j] = 1.0;
                if sym_mul(view, &unit, &mut column).is_err() {
                    self.course.status = Status::Failed(Failed::Breakdown);
                    return Ok(());
                }
                for (mean, h) in self.mean[j * n..].iter_mut().zip(&column) {
                    *mean += weight * (h - *mean);
                }
            }
            let mut factor = DenseCholesky::new();
            let mean = &self.mean;
            let solved = factor
                .factor_with(n, 0.0, &mut |mut out| {
                    for j in 0..n {
                        for i in 0..n {
                            out[(i, j)] = mean[i + j * n];
                        }
                    }
                })
                .and_then(|()| factor.solve_in_place(&mut self.course.at.g));
            if solved.is_err() {
                self.course.status = Status::Failed(Failed::NotPositiveDefinite);
                return Ok(());
            }
            for (x, p) in self.course.at.x.iter_mut().zip(&self.course.at.g) {
                *x -= p;
            }
            self.course.at.f = oracle.value_gradient(&self.course.at.x, &mut self.course.at.g)?;
            self.course.report.iterations += 1;
            if norm(&self.course.at.g) <= 1e-10 {
                self.course.status = Status::Converged(Converged::GradientTolerance);
            }
            Ok(())
        }
        fn course(&self) -> &Course {
            &self.course
        }
        fn course_mut(&mut self) -> &mut Course {
            &mut self.course
        }
    }

    #[test]
    fn an_own_core_runs_plain_and_under_argmin() {
        let f = || {
            problem::from_fn(
                |x: &[f64]| x[0].cosh() + (x[1] - x[0]).powi(2),
                |x: &[f64]| {
                    let d = 2.0 * (x[1] - x[0]);
                    vec![x[0].sinh() - d, d]
                },
                |x: &[f64]| [[x[0].cosh() + 2.0, -2.0], [-2.0, 2.0]],
            )
        };
        let solver = || Raphson::<Averaged, Explicit>::from_method(Averaged::default());
        let run = solver().minimize(&f(), vec![1.0, 0.0]).unwrap();
        assert!(run.converged() && norm(&run.x) < 1e-9);
        let result = Executor::new(f(), solver())
            .configure(|state| state.param(vec![1.0, 0.0]))
            .run()
            .unwrap();
        assert!(result.status().is_converged());
        assert_eq!(result.state.param, Some(run.x));
        assert_eq!(result.state.iter, run.report.iterations);
        assert_eq!(result.problem.counts, run.counts);
        assert_eq!(run.counts["hessian_count"], run.report.hessians);
    }
}
