//! Constrained runs that were cut off and resumed end in the same bits as others.
#![cfg(all(feature = "serde", feature = "problems"))]

use crate::checkpoint::compare;
use raphson::AugmentedLagrangianNewton;
use raphson::constraints::{Inner, Sketch};
use raphson::problems::{HockSchittkowski, OptimalControl};

#[test]
fn every_inner_solver_resumes() {
    let problem = HockSchittkowski::Hs77;
    for (name, inner) in [
        ("constrained-direct", Inner::Direct),
        ("constrained-minres", Inner::Minres),
        // Between two draws of a stream of random numbers.
        ("constrained-rows", Inner::Sketch(Sketch::Rows(2))),
        ("constrained-gaussian", Inner::Sketch(Sketch::Gaussian(1))),
    ] {
        let solver = || AugmentedLagrangianNewton::new().inner(inner).sketch_seed(5);
        let report = compare!(name, problem, solver(), problem.start(), 4);
        assert!(report.inner_iterations >= report.iterations);
    }
    // Through shifts and rescues.
    let problem = HockSchittkowski::Hs7;
    let solver = AugmentedLagrangianNewton::new;
    compare!("constrained-shifted", problem, solver(), problem.start(), 3);
    let problem = OptimalControl::new(60).unwrap();
    compare!("constrained-sparse", problem, solver(), problem.start(), 1);
    // MINRES began, and gave way to a factorization before the checkpoint.
    let problem = OptimalControl::new(100).unwrap();
    let report = compare!("constrained-auto", problem, solver(), problem.start(), 1);
    assert!(report.factor_entries > 0);
}
