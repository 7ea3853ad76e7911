//! Transport solvers allocate nothing once every part of a step has been made.

#[allow(dead_code, unused_macros, unused_imports)]
use crate::common::{assignment, cloud};
use crate::counting::allocations;
use raphson::transport::Metric;
use raphson::{Sinkhorn, SinkhornKernel, SinkhornNewton};

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
    let solver = || SinkhornNewton::new(1e-4).marginal_tol(1e-10);
    let problems = [
        ("cloud", cloud(60, 50, Metric::SquaredL2, 1)),
        ("assignment", assignment(50, 1)),
    ];
    for (name, problem) in &problems {
        let mut steps = Vec::new();
        let watched = solver().on_iteration(|record| {
            if record.trials > 0 {
                steps.push(record.iteration);
            }
            true
        });
        assert!(watched.solve(problem).unwrap().converged());
        // From the first Newton step to one before the last.
        let first = steps[0];
        let lengths = [0, 1, 2, steps[steps.len() - 2] - first].map(|more| first + more);
        assert!(lengths[3] > lengths[1], "{name}: {steps:?}");
        assert_flat(name, lengths, |length| {
            let run = solver().max_iters(length);
            let run = run.minimize(problem, problem.origin()).unwrap();
            assert!(run.report.hessians > 0);
            run.report.iterations
        });
    }
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
