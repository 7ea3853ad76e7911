//! A run that was cut off and resumed from its checkpoint ends in the same bits as one that was not.
#![cfg(feature = "serde")]

use crate::checkpoint::{Folder, Host, bits, compare};
use argmin::core::checkpointing::Checkpoint;
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, State};
use faer::sparse::{SparseColMat, Triplet};
use raphson::{DampedNewton, HessianProduct, Outcome, Refresh, Schedule, Status, Stopped};

/// f = Σ exp(xₖ) − k xₖ + Σ (xₖ₊₁ − xₖ)², strictly convex; flat where all xₖ are
/// very negative, so that Newton's step is far too long there.
struct Chain;

impl CostFunction for Chain {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let own = (x.iter().enumerate()).map(|(k, x)| x.exp() - k as f64 * x);
        Ok(own.sum::<f64>() + x.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>())
    }
}

impl Gradient for Chain {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let own = (x.iter().enumerate()).map(|(k, x)| x.exp() - k as f64);
        let mut g: Vec<f64> = own.collect();
        for k in 1..x.len() {
            let d = 2.0 * (x[k] - x[k - 1]);
            g[k] += d;
            g[k - 1] -= d;
        }
        Ok(g)
    }
}

impl Hessian for Chain {
    type Param = Vec<f64>;
    type Hessian = Vec<Vec<f64>>;
    fn hessian(&self, x: &Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
        let n = x.len();
        let mut h = vec![vec![0.0; n]; n];
        for k in 0..n {
            h[k][k] += x[k].exp();
        }
        for k in 1..n {
            h[k][k] += 2.0;
            h[k - 1][k - 1] += 2.0;
            h[k][k - 1] -= 2.0;
            h[k - 1][k] -= 2.0;
        }
        Ok(h)
    }
}

impl HessianProduct for Chain {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        for (out, (x, v)) in out.iter_mut().zip(x.iter().zip(v)) {
            *out = x.exp() * v;
        }
        for k in 1..v.len() {
            let d = 2.0 * (v[k] - v[k - 1]);
            out[k] += d;
            out[k - 1] -= d;
        }
        Ok(())
    }
    fn hessian_diagonal(&self, x: &Vec<f64>, out: &mut [f64]) -> Result<bool, Error> {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.exp() + 4.0;
        }
        Ok(true)
    }
}

/// [`Chain`] with a sparse Hessian.
struct SparseChain;

impl CostFunction for SparseChain {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Chain.cost(x)
    }
}
impl Gradient for SparseChain {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Chain.gradient(x)
    }
}
impl Hessian for SparseChain {
    type Param = Vec<f64>;
    type Hessian = SparseColMat<usize, f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<SparseColMat<usize, f64>, Error> {
        let h = Chain.hessian(x)?;
        let n = x.len();
        let stored: Vec<_> = (0..n)
            .flat_map(|i| (i.saturating_sub(1)..n.min(i + 2)).map(move |j| (i, j)))
            .map(|(i, j)| Triplet::new(i, j, h[i][j]))
            .collect();
        Ok(SparseColMat::try_new_from_triplets(n, n, &stored)?)
    }
}

fn start() -> Vec<f64> {
    (0..12)
        .map(|k| if k % 3 == 0 { -9.0 } else { -8.0 })
        .collect()
}

#[test]
fn dense_hessian() {
    let report = compare!("dense", Chain, DampedNewton::new(), start(), 3);
    assert!(
        report.rejected > 0,
        "the constant of the line search must matter"
    );
}

#[test]
fn every_step_is_a_place_to_stop() {
    for steps in 1..5 {
        let report = compare!(
            &format!("step-{steps}"),
            Chain,
            DampedNewton::new(),
            start(),
            steps
        );
        assert_eq!(report.hessians, report.iterations);
    }
}

#[test]
fn a_factor_that_serves_several_steps() {
    let lazy = || DampedNewton::new().refresh(Refresh::Every(3));
    for steps in [2, 4, 5] {
        let report = compare!(&format!("lazy-{steps}"), Chain, lazy(), start(), steps, rebuilt: 1);
        assert!(report.hessians < report.iterations);
        assert_eq!(report.factorizations, report.hessians);
    }
    let report = compare!("lazy-sparse", SparseChain, lazy(), start(), 4, rebuilt: 1);
    assert!(report.hessians < report.iterations);
}

#[test]
fn sparse_hessian() {
    let report = compare!("sparse", SparseChain, DampedNewton::new(), start(), 3);
    assert_eq!(report.analyses, 1);
}

#[test]
fn matrix_free() {
    let report = compare!("free", Chain, DampedNewton::matrix_free(), start(), 3);
    assert!(report.hessian_products > report.iterations);
}

#[cfg(feature = "libsvm")]
mod model {
    use super::*;
    use raphson::GramSolve;
    use raphson::models::LogisticRegression;

    fn model(solve: GramSolve) -> LogisticRegression {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/data/breast-cancer.libsvm"
        );
        let data = raphson::libsvm::read(path).unwrap();
        LogisticRegression::new(&data).l2(1e-6).solve_by(solve)
    }

    fn far() -> Vec<f64> {
        vec![3.0; 30]
    }

    /// The margins of a model live in the problem, which is not saved.
    #[test]
    fn margins_are_made_again() {
        for steps in [3, 7] {
            let name = format!("margins-{steps}");
            let solver = DampedNewton::new();
            let report = compare!(&name, model(GramSolve::Auto), solver.clone(), far(), steps);
            assert!(report.rejected > 0);
        }
    }

    /// Here accepted points lie on a line whose margins were interpolated.
    #[test]
    fn interpolated_margins() {
        for steps in [3, 7] {
            let name = format!("armijo-{steps}");
            let solver = DampedNewton::new().schedule(Schedule::Armijo);
            let report = compare!(&name, model(GramSolve::Auto), solver.clone(), far(), steps);
            assert!(report.rejected > 0);
        }
    }

    #[test]
    fn conjugate_gradients() {
        let data = raphson::libsvm::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/data/breast-cancer.libsvm"
        ));
        let data = data.unwrap().standardized().0;
        let model = || {
            LogisticRegression::new(&data)
                .l2(1e-6)
                .solve_by(GramSolve::Cg)
        };
        // Solves are long enough for both powers of the diagonal to have had their turn.
        for steps in [1, 2, 3, 5, 7] {
            let name = format!("cg-{steps}");
            let report = compare!(&name, model(), DampedNewton::new(), far(), steps);
            assert_eq!(report.factorizations, 0);
            assert!(
                report.hessian_products >= 8 * report.iterations,
                "{report:?}"
            );
        }
    }
}

/// The limit is in the file and wins; it is raised by load, edit, save.
#[test]
fn the_iteration_limit_is_raised_in_the_file() {
    let whole = Executor::new(Chain, DampedNewton::new())
        .configure(|state| state.param(start()))
        .ctrlc(false)
        .run()
        .unwrap();
    let folder = Folder::new("limit");
    let checkpoint = folder.checkpoint();
    let cut = Executor::new(Chain, DampedNewton::new())
        .configure(|state| state.param(start()).max_iters(3))
        .ctrlc(false)
        .checkpointing(checkpoint.clone())
        .run()
        .unwrap();
    assert_eq!(cut.status(), Status::Stopped(Stopped::MaxIterations));

    // Without the recipe the run stops at once, whatever `configure` says.
    let again = Executor::new(Chain, DampedNewton::new())
        .configure(|state| state.param(start()).max_iters(100))
        .ctrlc(false)
        .checkpointing(checkpoint.clone())
        .run()
        .unwrap();
    assert_eq!(again.status(), Status::Stopped(Stopped::MaxIterations));
    assert_eq!(again.solver.report().iterations, 3);

    let (solver, state): (DampedNewton, Host) = checkpoint.load().unwrap().unwrap();
    assert_eq!(solver.report().iterations, 3);
    checkpoint.save(&solver, &state.max_iters(100)).unwrap();
    let resumed = Executor::new(Chain, DampedNewton::new())
        .ctrlc(false)
        .checkpointing(checkpoint)
        .run()
        .unwrap();
    assert_eq!(resumed.solver.report(), whole.solver.report());
    assert_eq!(
        bits(resumed.state.get_param().unwrap()),
        bits(whole.state.get_param().unwrap())
    );
}

/// JSON has no infinity, so the solver must hold none.
#[test]
fn solvers_survive_json() {
    let fresh = DampedNewton::new()
        .gradient_tol(1e-10)
        .schedule(Schedule::Armijo);
    let text = serde_json::to_string(&fresh).unwrap();
    let back: DampedNewton = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    let a = fresh.minimize(&Chain, start()).unwrap();
    let b = back.minimize(&Chain, start()).unwrap();
    assert_eq!((bits(&a.x), a.report), (bits(&b.x), b.report));

    let used = Executor::new(Chain, DampedNewton::new())
        .configure(|state| state.param(start()).max_iters(3))
        .ctrlc(false)
        .run()
        .unwrap()
        .solver;
    let text = serde_json::to_string(&used).unwrap();
    let back: DampedNewton = serde_json::from_str(&text).unwrap();
    assert_eq!(back.report(), used.report());
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

/// A resumed run goes by the same name.
#[test]
fn the_name_survives() {
    use argmin::core::Solver;
    let text = serde_json::to_string(&DampedNewton::new()).unwrap();
    let back: DampedNewton = serde_json::from_str(&text).unwrap();
    let name =
        |solver: &DampedNewton| <DampedNewton as Solver<Chain, Host>>::name(solver).to_string();
    assert_eq!(name(&back), name(&DampedNewton::new()));
}
