//! Least squares allocates nothing per iteration when the user's types allocate nothing.

use crate::counting::allocations;
use argmin::core::{Error, Executor, Jacobian, Operator};
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::RectView;
use raphson::{GaussNewton, LevenbergMarquardt, RectMat, RobustLoss};
use std::sync::Arc;

const LENGTHS: [u64; 4] = [1, 2, 4, 6];

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

/// r = sinh(Ax) − b of M residuals and N variables, all on the stack.
struct Dense<const M: usize, const N: usize>;

fn entry(i: usize, j: usize) -> f64 {
    0.5 * ((3 * i + 7 * j + i * j) as f64).sin() + if i == j { 1.0 } else { 0.0 }
}

fn argument<const N: usize>(i: usize, x: &[f64; N]) -> f64 {
    x.iter().enumerate().map(|(j, x)| entry(i, j) * x).sum()
}

impl<const M: usize, const N: usize> Operator for Dense<M, N> {
    type Param = [f64; N];
    type Output = [f64; M];
    fn apply(&self, x: &[f64; N]) -> Result<[f64; M], Error> {
        Ok(std::array::from_fn(|i| {
            argument(i, x).sinh() - 30.0 * ((i + 1) as f64).cos()
        }))
    }
}
impl<const M: usize, const N: usize> Jacobian for Dense<M, N> {
    type Param = [f64; N];
    type Jacobian = [[f64; N]; M];
    fn jacobian(&self, x: &[f64; N]) -> Result<[[f64; N]; M], Error> {
        Ok(std::array::from_fn(|i| {
            let slope = argument(i, x).cosh();
            std::array::from_fn(|j| slope * entry(i, j))
        }))
    }
}

#[derive(Clone)]
struct Loan(Arc<SparseColMat<usize, f64>>);

impl RectMat for Loan {
    fn rect(&self) -> RectView<'_> {
        self.0.rect()
    }
}

const WIDE: usize = 40;

/// rᵢ = xᵢ + ½sin xᵢ − xᵢ₊₁/3 − i with twice the mean Jacobian as a fixed matrix, which is handed
/// out without a copy: steps are short and the run is long.
struct Banded(Loan);

impl Banded {
    fn new() -> Self {
        let mut stored = Vec::new();
        for i in 0..WIDE {
            stored.push(Triplet::new(i, i, 2.0));
            if i + 1 < WIDE {
                stored.push(Triplet::new(i, i + 1, -0.6));
            }
        }
        let matrix = SparseColMat::try_new_from_triplets(WIDE, WIDE, &stored).unwrap();
        Banded(Loan(Arc::new(matrix)))
    }
}

impl Operator for Banded {
    type Param = [f64; WIDE];
    type Output = [f64; WIDE];
    fn apply(&self, x: &[f64; WIDE]) -> Result<[f64; WIDE], Error> {
        Ok(std::array::from_fn(|i| {
            let next = if i + 1 < WIDE { x[i + 1] } else { 0.0 };
            x[i] + 0.5 * x[i].sin() - next / 3.0 - i as f64
        }))
    }
}
impl Jacobian for Banded {
    type Param = [f64; WIDE];
    type Jacobian = Loan;
    fn jacobian(&self, _: &[f64; WIDE]) -> Result<Loan, Error> {
        Ok(self.0.clone())
    }
}

macro_rules! check {
    ($what:expr, $problem:expr, $solver:expr, $start:expr) => {
        assert_flat(&format!("{}, plain", $what), |length| {
            let solver = $solver.max_iters(length);
            solver
                .minimize(&$problem, $start)
                .unwrap()
                .report
                .iterations
        });
        assert_flat(&format!("{}, executor", $what), |length| {
            Executor::new($problem, $solver)
                .configure(|state| state.param($start).max_iters(length))
                .ctrlc(false)
                .run()
                .unwrap()
                .state
                .iter
        });
    };
}

#[test]
fn dense_cores_allocate_nothing_per_iteration() {
    check!("tall", Dense::<9, 4>, LevenbergMarquardt::new(), [2.0; 4]);
    check!("wide", Dense::<4, 9>, LevenbergMarquardt::new(), [2.0; 9]);
    check!("square", Dense::<5, 5>, LevenbergMarquardt::new(), [2.0; 5]);
    check!(
        "Gauss-Newton, tall",
        Dense::<9, 4>,
        GaussNewton::new(),
        [2.0; 4]
    );
    check!(
        "Gauss-Newton, wide",
        Dense::<4, 9>,
        GaussNewton::new(),
        [2.0; 9]
    );
    let robust = || LevenbergMarquardt::new().loss(RobustLoss::SoftL1, 5.0);
    check!("robust", Dense::<9, 4>, robust(), [2.0; 4]);
}

#[test]
fn sparse_cores_allocate_nothing_per_iteration() {
    let start: [f64; WIDE] = std::array::from_fn(|i| (i % 7) as f64 - 3.0);
    check!("sparse", Banded::new(), LevenbergMarquardt::new(), start);
    check!(
        "Gauss-Newton, sparse",
        Banded::new(),
        GaussNewton::new(),
        start
    );
}
