//! Interrupted plus resumed equals uninterrupted, bit for bit.
#![cfg(all(feature = "serde", feature = "libsvm", feature = "sprs"))]

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{
    CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, OptimizationResult, Solver,
    State,
};
use argmin_checkpointing_file::FileCheckpoint;
use raphson::method::damped_newton::DampedCore;
use raphson::oracle::{Explicit, Products};
use raphson::{DampedNewton, LogisticRegression, Outcome, Raphson, Status, Stopped, libsvm};
use serde::{Deserialize, Serialize};

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Fails at one iteration, as a crash would.
struct Crash(u64);
impl Observe<Host> for Crash {
    fn observe_iter(&mut self, state: &Host, _: &KV) -> Result<(), Error> {
        match state.get_iter() == self.0 {
            true => Err(Error::msg("crash")),
            false => Ok(()),
        }
    }
}

fn checkpoint(name: &str) -> FileCheckpoint {
    let folder = std::env::temp_dir().join(format!("raphson-resume-{}", std::process::id()));
    FileCheckpoint::new(
        &*folder.to_string_lossy(),
        name,
        CheckpointingFrequency::Always,
    )
}

/// Runs whole, and crashed after three accepted steps and resumed; both must agree in every bit.
fn compare<O, C>(
    name: &str,
    problem: impl Fn() -> O,
    solver: impl Fn() -> Raphson<DampedCore, C>,
    start: Vec<f64>,
) where
    Raphson<DampedCore, C>: Solver<O, Host> + Serialize + for<'de> Deserialize<'de>,
{
    type Outcomes<O, C> = OptimizationResult<O, Raphson<DampedCore, C>, Host>;
    let whole: Outcomes<O, C> = Executor::new(problem(), solver())
        .configure(|state| state.param(start.clone()))
        .run()
        .unwrap();
    assert!(whole.status().is_converged(), "{name}: {}", whole.status());
    assert!(whole.state.iter > 4, "{name} must outlast the crash");
    let crashed = Executor::new(problem(), solver())
        .configure(|state| state.param(start.clone()))
        .checkpointing(checkpoint(name))
        .add_observer(Crash(3), ObserverMode::Always)
        .run();
    assert!(crashed.is_err());
    let resumed: Outcomes<O, C> = Executor::new(problem(), solver())
        .checkpointing(checkpoint(name))
        .run()
        .unwrap();
    let bits = |v: &Option<Vec<f64>>| -> Vec<u64> {
        v.as_ref().unwrap().iter().map(|x| x.to_bits()).collect()
    };
    assert_eq!(bits(&resumed.state.param), bits(&whole.state.param));
    assert_eq!(
        bits(&resumed.state.best_param),
        bits(&whole.state.best_param)
    );
    assert_eq!(bits(&resumed.state.grad), bits(&whole.state.grad));
    assert_eq!(resumed.state.cost.to_bits(), whole.state.cost.to_bits());
    assert_eq!(resumed.state.iter, whole.state.iter);
    assert_eq!(resumed.solver.report(), whole.solver.report());
    assert_eq!(resumed.status(), whole.status());
}

#[derive(Clone, Copy)]
struct Wells;
impl CostFunction for Wells {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok((x[0] - x[1]).exp() + x[0].powi(4) + 1e-3 * x[1] * x[1] + x[1].cosh().ln())
    }
}
impl Gradient for Wells {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let e = (x[0] - x[1]).exp();
        Ok(vec![e + 4.0 * x[0].powi(3), -e + 2e-3 * x[1] + x[1].tanh()])
    }
}
fn curvature(x: &[f64]) -> [[f64; 2]; 2] {
    let e = (x[0] - x[1]).exp();
    let s = x[1].cosh().powi(-2);
    [[e + 12.0 * x[0] * x[0], -e], [-e, e + 2e-3 + s]]
}
impl Hessian for Wells {
    type Param = Vec<f64>;
    type Hessian = [[f64; 2]; 2];
    fn hessian(&self, x: &Vec<f64>) -> Result<[[f64; 2]; 2], Error> {
        Ok(curvature(x))
    }
}
impl raphson::HessianProduct for Wells {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let h = curvature(x);
        for (out, row) in out.iter_mut().zip(h) {
            *out = row[0] * v[0] + row[1] * v[1];
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Sparse;
impl CostFunction for Sparse {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Wells.cost(x)
    }
}
impl Gradient for Sparse {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Wells.gradient(x)
    }
}
impl Hessian for Sparse {
    type Param = Vec<f64>;
    type Hessian = sprs::CsMat<f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<sprs::CsMat<f64>, Error> {
        let h = curvature(x);
        let values = vec![h[0][0], h[1][0], h[0][1], h[1][1]];
        Ok(sprs::CsMat::new_csc(
            (2, 2),
            vec![0, 2, 4],
            vec![0, 1, 0, 1],
            values,
        ))
    }
}

#[test]
fn dense() {
    compare::<_, Explicit>("dense", || Wells, DampedNewton::new, vec![3.0, -8.0]);
}

#[test]
fn sparse() {
    compare::<_, Explicit>("sparse", || Sparse, DampedNewton::new, vec![3.0, -8.0]);
}

#[test]
fn matrix_free() {
    compare::<_, Products>("free", || Wells, DampedNewton::matrix_free, vec![3.0, -8.0]);
}

fn breast_cancer() -> LogisticRegression {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/breast-cancer.libsvm"
    );
    let data = libsvm::read(path).unwrap().standardized().0;
    LogisticRegression::new(&data).l2(1e-6)
}

/// From here trials are rejected, so margins come from a line and not from a product.
#[test]
fn logistic_regression_with_rejected_trials() {
    let start = vec![3.0; 30];
    let run = DampedNewton::new()
        .minimize(&breast_cancer(), start.clone())
        .unwrap();
    assert!(run.report.rejected > 3);
    compare::<_, Explicit>("logistic", breast_cancer, DampedNewton::new, start);
}

#[test]
fn the_iteration_limit_is_raised_by_load_edit_save() {
    let name = "raise";
    let first = Executor::new(Wells, DampedNewton::new())
        .configure(|state| state.param(vec![3.0, -8.0]).max_iters(2))
        .checkpointing(checkpoint(name))
        .run()
        .unwrap();
    assert_eq!(first.status(), Status::Stopped(Stopped::MaxIterations));
    let file = checkpoint(name);
    let (solver, state): (DampedNewton, Host) = file.load().unwrap().unwrap();
    file.save(&solver, &state.max_iters(100)).unwrap();
    let second = Executor::new(Wells, DampedNewton::new())
        .checkpointing(file)
        .run()
        .unwrap();
    let whole = Executor::new(Wells, DampedNewton::new())
        .configure(|state| state.param(vec![3.0, -8.0]))
        .run()
        .unwrap();
    assert_eq!(second.state.param, whole.state.param);
    assert_eq!(second.solver.report(), whole.solver.report());
}

#[test]
fn a_solver_survives_json() {
    let solver = DampedNewton::new().gradient_tol(1e-3).max_iters(7);
    let text = serde_json::to_string(&solver).unwrap();
    let back: DampedNewton = serde_json::from_str(&text).unwrap();
    let run = |solver: DampedNewton| solver.minimize(&Wells, vec![3.0, -8.0]).unwrap();
    let (a, b) = (run(solver), run(back));
    assert_eq!((a.x, a.status, a.report), (b.x, b.status, b.report));
}
