//! Transport solvers resume bit for bit, in the middle of the ladder too.
#![cfg(feature = "serde")]

use crate::checkpoint::compare;
use crate::common::{cloud, pixels};
use raphson::transport::Metric;
use raphson::{Sinkhorn, SinkhornKernel, SinkhornNewton};

#[test]
fn on_every_part_of_the_ladder() {
    let problem = cloud(60, 50, Metric::SquaredL2, 1);
    let solver = || SinkhornNewton::new(1e-3).marginal_tol(1e-10);
    let run = solver().solve(&problem).unwrap();
    let length = run.report().iterations;
    assert!(length > 8, "{length}");
    for steps in 1..length - 1 {
        let name = format!("transport-{steps}");
        compare!(&name, problem.clone(), solver(), problem.origin(), steps);
    }
}

#[test]
fn after_rejected_trials() {
    let problem = pixels(12, Metric::L1);
    let solver = || SinkhornNewton::new(1e-4);
    let run = solver().solve(&problem).unwrap();
    let length = run.report().iterations;
    assert!(length > 12, "{length}");
    for steps in [length / 3, length / 2, length - 3] {
        let name = format!("transport-pixels-{steps}");
        let report = compare!(&name, problem.clone(), solver(), problem.origin(), steps);
        assert!(report.rejected > 0);
    }
}

#[test]
fn sweeps() {
    let problem = cloud(40, 30, Metric::SquaredL2, 2);
    let log = || Sinkhorn::new(0.05).kernel(SinkhornKernel::LogDomain);
    let stored = || Sinkhorn::new(0.05);
    for steps in [1, 7] {
        let name = format!("transport-log-{steps}");
        compare!(&name, problem.clone(), log(), problem.origin(), steps);
        let name = format!("transport-stored-{steps}");
        compare!(&name, problem.clone(), stored(), problem.origin(), steps, rebuilt: 1);
    }
}
