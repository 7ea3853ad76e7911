//! Levenberg-Marquardt on the problems of Moré, Garbow and Hillstrom, as residuals.
#![cfg(feature = "problems")]

use raphson::oracle::Residuals;
use raphson::problems::{Mgh, MghProblem};
use raphson::{LevenbergMarquardt, Run};

fn solve(problem: &Mgh, factor: f64) -> Run<Vec<f64>, Residuals> {
    let mut solver = LevenbergMarquardt::new().max_iters(2000);
    if problem.problem() == MghProblem::Trigonometric {
        // Residuals of 10⁻³ are what is left of sums of ten terms, so f has the noise 10⁻¹² f.
        solver = solver.f_noise(1e-12);
    }
    let run = solver.minimize(problem, problem.scaled_start(factor));
    run.unwrap()
}

/// Whether the sum of squares is a listed optimum: to 10⁻⁸ of it, or to 10⁻¹² where it is zero.
fn is_optimal(problem: &Mgh, sum: f64) -> bool {
    let allowed = |value: f64| if value == 0.0 { 1e-12 } else { 1e-8 * value };
    let known = problem.optima();
    known
        .iter()
        .any(|o| (sum - o.value).abs() <= allowed(o.value))
}

#[test]
fn from_the_standard_starts() {
    let mut total = 0;
    for problem in Mgh::all() {
        let run = solve(&problem, 1.0);
        let name = problem.name();
        assert!(run.converged(), "{name}: {}", run.status);
        assert!(is_optimal(&problem, 2.0 * run.f), "{name}: {}", 2.0 * run.f);
        assert_eq!(run.counts["operator_count"], 1 + run.report.trials);
        assert_eq!(run.counts["jacobian_count"], 1 + run.report.iterations);
        total += run.report.residuals;
    }
    assert!(total <= 1_500, "{total}");
}

#[test]
fn from_ten_times_the_standard_starts() {
    // Others end in valleys that fall for ever, or at local minima.
    let mut found = 0;
    for problem in Mgh::all() {
        let run = solve(&problem, 10.0);
        found += usize::from(run.converged() && is_optimal(&problem, 2.0 * run.f));
        let slow = problem.problem() == MghProblem::PowellBadlyScaled;
        assert!(
            run.converged() || slow,
            "{}: {}",
            problem.name(),
            run.status
        );
    }
    assert!(found >= 28, "{found}");
}
