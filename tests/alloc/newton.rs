//! A run allocates nothing per iteration when the user's types allocate nothing.

use crate::counting::allocations;
use crate::still::{Banded, START, Small, WIDE, executor, plain};
use raphson::models::LogisticRegression;
use raphson::{DampedNewton, Dataset, GramSolve, Schedule};

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
        // Later calls find the model's caches filled, of which there are several.
        for length in [4, 2, 4] {
            run(length);
        }
        let (two, four) = (run(2), run(4));
        assert!(
            four > two && four - two <= 2 * most,
            "{way:?}: {two}, {four}"
        );
    }
}
