//! Transport solvers allocate nothing once every part of a step has been made.

#[allow(dead_code, unused_macros, unused_imports)]
use crate::common::{assignment, cloud};
use crate::counting::allocations;
use raphson::transport::Metric;
use raphson::{Sinkhorn, SinkhornKernel, SinkhornNewton, Transport};

/// Runs of these lengths allocate equally often.
fn assert_flat(what: &str, lengths: [u64; 4], run: impl Fn(u64) -> u64) {
    run(lengths[0]);
    let counts = lengths.map(|length| {
        let (count, iterations) = allocations(|| run(length));
        assert_eq!(iterations, length, "{what}: the run must be longer");
        count
    });
    assert!(counts[0] > 0, "{what}: the allocator does not count");
    assert_eq!(counts, [counts[0]; 4], "{what}");
}

#[test]
fn newton_steps() {
    let run = |problem: &Transport, eps: f64, length: u64| {
        let solver = SinkhornNewton::new(eps)
            .marginal_tol(1e-10)
            .max_iters(length);
        let run = solver.minimize(problem, problem.origin()).unwrap();
        assert!(length < 6 || run.report.hessians > 0);
        run.report.iterations
    };
    // The first Newton step is among the first four iterations.
    let problem = cloud(60, 50, Metric::SquaredL2, 1);
    assert_flat("cloud", [4, 5, 6, 8], |length| run(&problem, 1e-3, length));
    let problem = assignment(50, 1);
    assert_flat("assignment", [6, 7, 8, 9], |length| {
        run(&problem, 1e-4, length)
    });
}

#[test]
fn sweeps() {
    let problem = cloud(60, 50, Metric::L1, 1);
    for kernel in [SinkhornKernel::LogDomain, SinkhornKernel::Stabilized] {
        assert_flat(&format!("{kernel:?}"), [1, 2, 5, 8], |length| {
            let solver = Sinkhorn::new(0.02).kernel(kernel).max_iters(length);
            let run = solver.minimize(&problem, problem.origin()).unwrap();
            run.report.iterations
        });
    }
}
