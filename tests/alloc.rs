//! A run allocates nothing per iteration when the user's types allocate nothing.
#![allow(unsafe_code)]

#[path = "common/counting.rs"]
mod counting;

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, State};
use counting::allocations;
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::SymView;
use raphson::models::LogisticRegression;
use raphson::{DampedNewton, Dataset, Fused, GramSolve, HessianProduct, Schedule, SymMat};
use std::sync::Arc;

const N: usize = 4;
const START: [f64; N] = [-5.0, 3.0, -7.0, 2.0];
const LENGTHS: [u64; 4] = [1, 2, 5, 8];

/// f = Σ exp(xᵢ) − ½xᵢ + ½(Σ xᵢ)²: needs more than eight iterations from `START` to 10⁻¹³.
struct Small;

fn cost(x: &[f64; N]) -> f64 {
    let sum: f64 = x.iter().sum();
    x.iter().map(|x| x.exp() - 0.5 * x).sum::<f64>() + 0.5 * sum * sum
}

fn gradient(x: &[f64; N]) -> [f64; N] {
    let sum: f64 = x.iter().sum();
    x.map(|x| x.exp() - 0.5 + sum)
}

fn hessian(x: &[f64; N]) -> [[f64; N]; N] {
    let mut h = [[1.0; N]; N];
    for i in 0..N {
        h[i][i] += x[i].exp();
    }
    h
}

impl CostFunction for Small {
    type Param = [f64; N];
    type Output = f64;
    fn cost(&self, x: &[f64; N]) -> Result<f64, Error> {
        Ok(cost(x))
    }
}
impl Gradient for Small {
    type Param = [f64; N];
    type Gradient = [f64; N];
    fn gradient(&self, x: &[f64; N]) -> Result<[f64; N], Error> {
        Ok(gradient(x))
    }
}
impl Hessian for Small {
    type Param = [f64; N];
    type Hessian = [[f64; N]; N];
    fn hessian(&self, x: &[f64; N]) -> Result<[[f64; N]; N], Error> {
        Ok(hessian(x))
    }
}
impl HessianProduct for Small {
    type Param = [f64; N];
    fn hessian_product(&self, x: &[f64; N], v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let sum: f64 = v.iter().sum();
        for (out, (x, v)) in out.iter_mut().zip(x.iter().zip(v)) {
            *out = x.exp() * v + sum;
        }
        Ok(())
    }
}
impl Fused for Small {
    type Param = [f64; N];
    type Gradient = [f64; N];
    type Hessian = [[f64; N]; N];
    fn value(&self, x: &[f64; N]) -> Result<f64, Error> {
        Ok(cost(x))
    }
    fn value_gradient(&self, x: &[f64; N]) -> Result<(f64, [f64; N]), Error> {
        Ok((cost(x), gradient(x)))
    }
    fn hessian(&self, x: &[f64; N]) -> Result<[[f64; N]; N], Error> {
        Ok(hessian(x))
    }
}

/// Allocations of runs of `LENGTHS` iterations are all the same number.
fn assert_flat(what: &str, mut run: impl FnMut(u64) -> u64) {
    run(1);
    let counts = LENGTHS.map(|length| {
        let (count, iterations) = allocations(|| run(length));
        assert_eq!(
            iterations, length,
            "{what}: the problem must need more iterations"
        );
        count
    });
    assert!(counts[0] > 0, "{what}: the allocator does not count");
    assert_eq!(counts, [counts[0]; 4], "{what}");
}

macro_rules! executor {
    ($what:expr, $problem:expr, $solver:expr, $start:expr) => {
        assert_flat($what, |length| {
            Executor::new($problem, $solver)
                .configure(|state| state.param($start).max_iters(length))
                .ctrlc(false)
                .run()
                .unwrap()
                .state
                .get_iter()
        })
    };
}

macro_rules! plain {
    ($what:expr, $problem:expr, $solver:expr, $start:expr) => {
        assert_flat($what, |length| {
            let run = $solver
                .max_iters(length)
                .minimize(&$problem, $start)
                .unwrap();
            run.report.iterations
        })
    };
}

#[test]
fn the_executor_allocates_nothing_per_iteration() {
    let tight = || DampedNewton::new().gradient_tol(0.0);
    executor!("executor", Small, tight(), START);
    executor!(
        "executor, armijo",
        Small,
        tight().schedule(Schedule::Armijo),
        START
    );
    executor!(
        "executor, fused",
        Small,
        DampedNewton::fused().gradient_tol(0.0),
        START
    );
    executor!(
        "executor, matrix-free",
        Small,
        DampedNewton::matrix_free().gradient_tol(0.0),
        START
    );
}

#[test]
fn the_core_allocates_nothing_per_iteration() {
    plain!("plain", Small, DampedNewton::new().gradient_tol(0.0), START);
    plain!(
        "fused",
        Small,
        DampedNewton::fused().gradient_tol(0.0),
        START
    );
    plain!(
        "matrix-free",
        Small,
        DampedNewton::matrix_free().gradient_tol(0.0),
        START
    );
    for schedule in [
        Schedule::Armijo,
        Schedule::Classical,
        Schedule::Aicn { lipschitz: 1.0 },
        Schedule::Root {
            q: 3.0,
            constant: 1.0,
        },
        Schedule::Explicit {
            q: 3.0,
            constant: 1.0,
        },
    ] {
        let solver = || DampedNewton::new().gradient_tol(0.0).schedule(schedule);
        plain!(&format!("{schedule:?}"), Small, solver(), START);
    }
}

/// A sparse matrix that is handed out without a copy.
#[derive(Clone)]
struct Loan(Arc<SparseColMat<usize, f64>>);

impl SymMat for Loan {
    fn sym(&self) -> SymView<'_> {
        self.0.sym()
    }
}

const WIDE: usize = 40;

/// f = Σ log cosh(xᵢ − 1) + ½ Σ (xᵢ − xᵢ₊₁)² with four times a bound of its
/// Hessian as a fixed matrix: the user's side allocates nothing and the run is long.
struct Banded(Loan);

impl Banded {
    fn new() -> Self {
        let mut stored = Vec::new();
        for i in 0..WIDE {
            let neighbors = if i == 0 || i + 1 == WIDE { 1.0 } else { 2.0 };
            stored.push(Triplet::new(i, i, 4.0 + 4.0 * neighbors));
            if i + 1 < WIDE {
                stored.push(Triplet::new(i, i + 1, -4.0));
                stored.push(Triplet::new(i + 1, i, -4.0));
            }
        }
        let matrix = SparseColMat::try_new_from_triplets(WIDE, WIDE, &stored).unwrap();
        Banded(Loan(Arc::new(matrix)))
    }
}

impl CostFunction for Banded {
    type Param = [f64; WIDE];
    type Output = f64;
    fn cost(&self, x: &[f64; WIDE]) -> Result<f64, Error> {
        let own = x
            .iter()
            .map(|x| (x - 1.0).abs() + (-2.0 * (x - 1.0).abs()).exp().ln_1p());
        Ok(own.sum::<f64>() + 0.5 * x.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum::<f64>())
    }
}
impl Gradient for Banded {
    type Param = [f64; WIDE];
    type Gradient = [f64; WIDE];
    fn gradient(&self, x: &[f64; WIDE]) -> Result<[f64; WIDE], Error> {
        let mut g = x.map(|x| (x - 1.0).tanh());
        for i in 1..WIDE {
            let d = x[i] - x[i - 1];
            g[i] += d;
            g[i - 1] -= d;
        }
        Ok(g)
    }
}
impl Hessian for Banded {
    type Param = [f64; WIDE];
    type Hessian = Loan;
    fn hessian(&self, _: &[f64; WIDE]) -> Result<Loan, Error> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_sparse_factorization_allocates_nothing_per_iteration() {
    let start: [f64; WIDE] = std::array::from_fn(|i| (i % 7) as f64 - 3.0);
    let problem = Banded::new();
    plain!(
        "sparse, plain",
        problem,
        DampedNewton::new().gradient_tol(0.0),
        start
    );
    let loan = problem.0;
    executor!(
        "sparse, executor",
        Banded(loan.clone()),
        DampedNewton::new().gradient_tol(0.0),
        start
    );
}

/// A linear model returns a gradient a trial and the weights of its Hessian; at
/// most one allocation an iteration (the diagonal, to judge a shift) is beside these.
#[test]
fn a_linear_model_allocates_what_it_returns() {
    let rows: Vec<Vec<f64>> = (0..60)
        .map(|i| {
            (0..6)
                .map(|j| f64::from((7 * i + 11 * j * j + i * j) % 13) - 6.0)
                .collect()
        })
        .collect();
    let labels: Vec<f64> = (0..60).map(|i| f64::from(i % 5 % 2)).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    for (way, most) in [
        (GramSolve::Primal, 3),
        (GramSolve::Dual, 3),
        (GramSolve::Cg, 2),
    ] {
        let model = LogisticRegression::new(&data).l2(1e-4).solve_by(way);
        let run = |length| {
            let solver = DampedNewton::new().gradient_tol(0.0).max_iters(length);
            let (count, run) = allocations(|| solver.minimize(&model, model.origin()).unwrap());
            assert_eq!((run.report.iterations, run.report.rejected), (length, 0));
            count
        };
        // The second call of one length finds the model's caches filled.
        run(4);
        let (two, four) = (run(2), run(4));
        assert!(
            four > two && four - two <= 2 * most,
            "{way:?}: {two}, {four}"
        );
    }
}
