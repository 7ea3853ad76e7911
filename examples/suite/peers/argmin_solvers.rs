//! Solvers of argmin.

use super::{Evaluated, Watched};
use crate::results::Spec;
use crate::solvers::Solver;
use crate::watch::Watch;
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::{Newton, NewtonCG};
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use argmin_math::{ArgminDot, ArgminInv};
use faer::linalg::matmul::matmul;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Accum, ColMut, ColRef, Mat, Par, Side};
use std::rc::Rc;

/// Pairs that L-BFGS keeps: the default of basin's and of scipy's.
const MEMORY: usize = 10;

impl CostFunction for Watched<'_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Evaluated<f64> {
        self.value(x)
    }
}

impl Gradient for Watched<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Evaluated<Vec<f64>> {
        self.slope(x)
    }
}

/// A problem with a Hessian that argmin's methods can multiply and invert. Copies share it.
#[derive(Clone)]
struct WithHessian<'a> {
    watched: Watched<'a>,
    dense: bool,
}

#[derive(Clone)]
enum Matrix<'a> {
    Dense(Rc<Mat<f64>>, Rc<Watch>),
    Products(Rc<Vec<f64>>, Watched<'a>),
}

impl CostFunction for WithHessian<'_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Evaluated<f64> {
        self.watched.value(x)
    }
}

impl Gradient for WithHessian<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Evaluated<Vec<f64>> {
        self.watched.slope(x)
    }
}

impl<'a> Hessian for WithHessian<'a> {
    type Param = Vec<f64>;
    type Hessian = Matrix<'a>;
    fn hessian(&self, x: &Vec<f64>) -> Evaluated<Matrix<'a>> {
        Ok(if self.dense {
            let watch = Rc::clone(&self.watched.watch);
            Matrix::Dense(Rc::new(self.watched.matrix(x)?), watch)
        } else {
            Matrix::Products(Rc::new(x.clone()), self.watched.clone())
        })
    }
}

impl ArgminDot<Vec<f64>, Vec<f64>> for Matrix<'_> {
    fn dot(&self, v: &Vec<f64>) -> Vec<f64> {
        match self {
            Matrix::Dense(matrix, watch) => {
                watch.count(|counts| counts.products += 1);
                let mut out = vec![0.0; v.len()];
                let (v, product) = (ColRef::from_slice(v), ColMut::from_slice_mut(&mut out));
                matmul(
                    product.as_mat_mut(),
                    Accum::Replace,
                    matrix.as_ref(),
                    v.as_mat(),
                    1.0,
                    Par::Seq,
                );
                out
            }
            // Without a result to say so, an end of time shows as NaN, which ends any loop.
            Matrix::Products(x, watched) => watched
                .product(x, v)
                .unwrap_or_else(|_| vec![f64::NAN; v.len()]),
        }
    }
}

impl<'a> ArgminInv<Matrix<'a>> for Matrix<'a> {
    fn inv(&self) -> Result<Matrix<'a>, Error> {
        let Matrix::Dense(matrix, watch) = self else {
            return Err(Error::msg("no matrix to invert"));
        };
        let factor = matrix.llt(Side::Lower);
        let factor = factor.map_err(|_| Error::msg("the Hessian is not positive definite"))?;
        Ok(Matrix::Dense(Rc::new(factor.inverse()), Rc::clone(watch)))
    }
}

/// Tells the watch of iterations.
struct Iterations(Rc<Watch>);

impl<I: State> Observe<I> for Iterations {
    fn observe_iter(&mut self, state: &I, _: &KV) -> Result<(), Error> {
        self.0.iteration.set(state.get_iter() + 1);
        Ok(())
    }
}

/// How the run ended by itself.
pub fn run(spec: &Spec, watched: Watched<'_>) -> Evaluated<String> {
    let dense = spec.solver == Solver::ArgminNewton
        || spec.solver != Solver::ArgminLbfgs && watched.prefers_matrix();
    let iterations = Iterations(Rc::clone(&watched.watch));
    let problem = WithHessian { watched, dense };
    let origin = problem.watched.model.origin();
    macro_rules! execute {
        ($solver:expr, $problem:expr) => {
            Executor::new($problem, $solver)
                .configure(|state: IterState<_, _, _, _, _, _>| {
                    state.param(origin).max_iters(spec.max_iter)
                })
                .ctrlc(false)
                .add_observer(iterations, ObserverMode::Always)
                .run()
                .map(|result| result.state.termination_status.to_string())
        };
    }
    // Tests of the change of f are off: they end runs before the gradient is small.
    let outcome = match spec.solver {
        Solver::ArgminNewton => execute!(Newton::<f64>::new(), problem),
        Solver::ArgminNewtonCg => {
            let solver =
                NewtonCG::new(MoreThuenteLineSearch::new()).with_tolerance(f64::MIN_POSITIVE)?;
            execute!(solver, problem)
        }
        Solver::ArgminTrustRegion => execute!(TrustRegion::<_, f64>::new(Steihaug::new()), problem),
        _ => {
            let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
                .with_tolerance_grad(0.0)?
                .with_tolerance_cost(0.0)?;
            execute!(solver, problem.watched)
        }
    };
    match outcome {
        Err(error) if super::is_stop(&error) => Ok(String::new()),
        other => other,
    }
}
