//! The problem as the peers see it, and their solvers.

mod argmin_solvers;
mod basin_solvers;

use crate::results::Spec;
use crate::solvers::Solver;
use crate::watch::{Stop, Watch};
use crate::worker::End;
use argmin::core::{CostFunction as _, Gradient as _, Hessian as _};
use faer::Mat;
use raphson::edge::SymView;
use raphson::models::LogisticRegression;
use raphson::{HessianProduct as _, SymMat};
use std::rc::Rc;

/// The model, with its calls counted and its gradients watched.
#[derive(Clone)]
pub struct Watched<'a> {
    model: &'a LogisticRegression,
    watch: Rc<Watch>,
}

type Evaluated<T> = Result<T, argmin::core::Error>;

impl<'a> Watched<'a> {
    fn value(&self, x: &Vec<f64>) -> Evaluated<f64> {
        self.watch.count(|counts| counts.values += 1.0);
        self.watch.check_time()?;
        self.model.cost(x)
    }

    fn slope(&self, x: &Vec<f64>) -> Evaluated<Vec<f64>> {
        self.watch.count(|counts| counts.gradients += 1.0);
        let g = self.model.gradient(x)?;
        // f is at hand, as the model keeps the losses of the last point.
        let f = || self.model.cost(x).unwrap_or(f64::NAN);
        self.watch.gradient(x, &g, f)?;
        Ok(g)
    }

    /// The dense Hessian.
    fn matrix(&self, x: &Vec<f64>) -> Evaluated<Mat<f64>> {
        self.watch.count(|counts| counts.hessians += 1.0);
        self.watch.check_time()?;
        match self.model.hessian(x)?.sym() {
            SymView::Gram(gram) => Ok(gram.to_dense()),
            _ => Err(argmin::core::Error::msg("the Hessian is no Gram matrix")),
        }
    }

    /// H(x) v.
    fn product(&self, x: &Vec<f64>, v: &[f64]) -> Evaluated<Vec<f64>> {
        self.watch.count(|counts| counts.products += 1);
        self.watch.check_time()?;
        let mut out = vec![0.0; v.len()];
        self.model.hessian_product(x, v, &mut out)?;
        Ok(out)
    }

    /// Whether the model itself would form H, by counted flops and memory.
    fn prefers_matrix(&self) -> bool {
        self.model.is_formed()
    }
}

pub fn solve(spec: &Spec, model: &LogisticRegression, watch: &Rc<Watch>) -> End {
    let watched = Watched {
        model,
        watch: Rc::clone(watch),
    };
    let outcome = match spec.solver {
        Solver::ArgminNewton
        | Solver::ArgminNewtonCg
        | Solver::ArgminTrustRegion
        | Solver::ArgminLbfgs => argmin_solvers::run(spec, watched),
        _ => basin_solvers::run(spec, watched),
    };
    let status = match (watch.stop.get(), outcome) {
        (Some(stop), _) => stop.name().into(),
        (None, Ok(status)) => status,
        (None, Err(error)) => format!("failed: {error}"),
    };
    End {
        x: watch.best(),
        status,
    }
}

fn is_stop(error: &argmin::core::Error) -> bool {
    error.downcast_ref::<Stop>().is_some()
}
