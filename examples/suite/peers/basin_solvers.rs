//! Solvers of basin.

use super::{Evaluated, Watched};
use crate::results::Spec;
use crate::solvers::Solver;
use crate::watch::Watch;
use argmin::core::Error;
use faer::{Col, Mat};
use std::rc::Rc;

type State = basin::FirstOrderState<Col<f64>, f64>;

fn entries(x: &Col<f64>) -> Vec<f64> {
    x.iter().copied().collect()
}

fn column(x: &[f64]) -> Col<f64> {
    Col::from_fn(x.len(), |i| x[i])
}

impl basin::Constraints for Watched<'_> {
    type Set = basin::NoConstraints;
    fn constraints(&self) -> <Self::Set as basin::ConstraintDescription>::Borrowed<'_> {
        basin::ConstraintSet::new()
    }
}

impl basin::CostFunction for Watched<'_> {
    type Param = Col<f64>;
    type Output = f64;
    type Error = Error;
    fn cost(&self, x: &Col<f64>) -> Result<f64, Error> {
        self.value(&entries(x))
    }
}

impl basin::Gradient for Watched<'_> {
    type Gradient = Col<f64>;
    fn gradient(&self, x: &Col<f64>) -> Result<Col<f64>, Error> {
        Ok(column(&self.slope(&entries(x))?))
    }
}

impl basin::Hessian for Watched<'_> {
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Col<f64>) -> Result<Mat<f64>, Error> {
        self.matrix(&entries(x))
    }
}

impl basin::HessianProduct for Watched<'_> {
    fn hessian_product(&self, x: &Col<f64>, v: &Col<f64>) -> Result<Col<f64>, Error> {
        Ok(column(&self.product(&entries(x), &entries(v))?))
    }
}

/// Tells the watch of iterations.
struct Iterations(Rc<Watch>);

impl<S: basin::State> basin::Observe<S> for Iterations {
    fn observe_iter(&mut self, state: &S) {
        self.0.iteration.set(state.iter());
    }
}

/// How the run ended by itself.
pub fn run(spec: &Spec, watched: Watched<'_>) -> Evaluated<String> {
    match spec.solver {
        Solver::BasinDogleg => execute(
            spec,
            watched,
            basin::TrustRegion::with_subproblem(basin::Dogleg),
        ),
        Solver::BasinMoreSorensen => {
            let solver = basin::TrustRegion::with_subproblem(basin::MoreSorensen::new());
            execute(spec, watched, solver)
        }
        Solver::BasinSteihaugProducts => execute(spec, watched, basin::TrustRegion::matrix_free()),
        Solver::BasinLbfgs => execute(spec, watched, basin::Lbfgs::new().unbounded()),
        _ => execute(spec, watched, basin::TrustRegion::new()),
    }
}

fn execute<'a, S>(spec: &Spec, watched: Watched<'a>, solver: S) -> Evaluated<String>
where
    S: basin::Solver<Watched<'a>, State, Error = Error>,
{
    let iterations = Iterations(Rc::clone(&watched.watch));
    let start = State::new(column(&watched.model.origin()));
    let result = basin::Executor::new(watched, solver, start)
        .max_iter(spec.max_iter)
        .observe_with(iterations, basin::ObserverMode::Always)
        .run();
    match result {
        Ok(result) => {
            let reason = format!("{:?}", result.report.termination);
            let end = reason.find(|c: char| !c.is_alphanumeric());
            Ok(format!("ended: {}", &reason[..end.unwrap_or(reason.len())]))
        }
        Err(error) if super::is_stop(&error) => Ok(String::new()),
        Err(error) => Err(error),
    }
}
