//! Starts and problems that no constant of the method was chosen with.
#![cfg(feature = "problems")]

use super::collection::Problem;
use argmin::core::{CostFunction, Gradient};
use faer::Mat;
use rand::{Rng, SeedableRng, rngs::StdRng};
use raphson::autodiff::AutoDiff;
use raphson::constraints::Inner;
use raphson::oracle::{Constrained, Smooth};
use raphson::problems::HockSchittkowski;
use raphson::{
    AugmentedLagrangianNewton, Converged, EqualityConstraints, Failed, Run, Status, Stopped,
};

const TOL: f64 = 1e-8;

fn solver(inner: Inner) -> AugmentedLagrangianNewton {
    let solver = AugmentedLagrangianNewton::new().inner(inner);
    solver
        .gradient_tol(0.0)
        .gradient_tol_abs(TOL)
        .max_iters(300)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Solves, and holds the end against the problem's own functions: a converged run has a KKT point,
/// an infeasible one a point where ‖c‖ is nearly stationary.
fn run<P>(problem: &P, x0: Vec<f64>, inner: Inner) -> Run<Vec<f64>, Constrained>
where
    P: Smooth<Constrained, Point = Vec<f64>>
        + CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
        + EqualityConstraints<Param = Vec<f64>, Values = Vec<f64>, Jacobian = Mat<f64>>,
{
    let length = norm(&x0);
    let run = solver(inner).minimize(problem, x0).unwrap();
    let c = EqualityConstraints::constraints(problem, &run.x).unwrap();
    let jacobian = problem.constraint_jacobian(&run.x).unwrap();
    let transpose = |u: &[f64], j: usize| -> f64 {
        let terms = u.iter().enumerate();
        terms.map(|(i, u)| jacobian[(i, j)] * u).sum()
    };
    if run.converged() {
        let gradient = problem.gradient(&run.x).unwrap();
        let pull: Vec<f64> = (0..run.x.len())
            .map(|j| transpose(&run.report.multipliers, j))
            .collect();
        let residual: Vec<f64> = gradient.iter().zip(&pull).map(|(g, p)| g + p).collect();
        let size = norm(&residual).hypot(norm(&c));
        // At the floor of rounding it is measured by what stands at the point.
        let floor = 1.01e-5
            * norm(&gradient)
                .max(norm(&pull))
                .max(jacobian.norm_l2() * norm(&run.x));
        let most = if solved(&run.status) {
            1.01 * TOL
        } else {
            2.0 * floor
        };
        assert!(size <= most, "{size:e} at {:?}: {}", run.x, run.status);
    }
    if run.status == Status::Failed(Failed::Infeasible) {
        let pull: Vec<f64> = (0..run.x.len()).map(|j| transpose(&c, j)).collect();
        assert!(norm(&c) > TOL);
        // ‖x0‖ is no longer than the length that the method takes.
        let promised = norm(&pull) * length / norm(&c).powi(2);
        assert!(promised <= 0.11, "{promised} of {:e}", norm(&c));
    }
    run
}

/// To the tolerance, not only to the floor of rounding, which far from a solution is coarse.
fn solved(status: &Status) -> bool {
    *status == Status::Converged(Converged::Kkt)
}

/// Standard normal numbers by Box and Muller.
fn normal(random: &mut StdRng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Twenty starts, each `spread` standard deviations of max(1, |xᵢ|) from the standard one.
fn around(x: &[f64], spread: f64) -> Vec<Vec<f64>> {
    (1..=20)
        .map(|seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let moved = x
                .iter()
                .map(|x| x + spread * x.abs().max(1.0) * normal(&mut random));
            moved.collect()
        })
        .collect()
}

/// Solved runs of both collections.
fn successes(spread: f64, inner: Inner) -> [usize; 2] {
    let first = HockSchittkowski::ALL.iter().map(|problem| {
        let starts = around(&problem.start(), spread).into_iter();
        starts
            .filter(|x| solved(&run(problem, x.clone(), inner).status))
            .count()
    });
    let second = Problem::ALL.iter().map(|problem| {
        let starts = around(&problem.start(), spread).into_iter();
        let problem = AutoDiff::new(*problem);
        starts
            .filter(|x| solved(&run(&problem, x.clone(), inner).status))
            .count()
    });
    [first.sum(), second.sum()]
}

#[test]
fn standard_starts_of_other_problems_are_solved() {
    for problem in Problem::ALL {
        let made = AutoDiff::new(problem);
        let run = run(&made, problem.start(), Inner::Direct);
        if problem == Problem::Bt8 {
            // The rows of G are parallel at the solution, where f = 1.
            assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
            assert!((run.f - 1.0).abs() < 1e-3 && run.report.constraint_norm < 1e-3);
            continue;
        }
        assert!(run.converged(), "{problem:?}: {}", run.status);
        if let Some(minimum) = problem.minimum() {
            let error = (run.f - minimum).abs();
            assert!(
                error <= 1e-6 * minimum.abs().max(1.0),
                "{problem:?}: {}",
                run.f
            );
        }
    }
}

#[test]
fn most_random_starts_are_solved() {
    // Found: 418 of 420 and 452 of 480 near the standard starts, 396 and 430 far from them, a few of
    // these at the floor of rounding.
    let [first, second] = successes(1.0, Inner::Direct);
    assert!(first >= 412 && second >= 445, "{first} {second}");
    let [first, second] = successes(4.0, Inner::Direct);
    assert!(first >= 388 && second >= 420, "{first} {second}");
    // Found: 417 and 431, 403 and 413.
    let [first, second] = successes(1.0, Inner::Minres);
    assert!(first >= 410 && second >= 410, "{first} {second}");
    let [first, second] = successes(4.0, Inner::Minres);
    assert!(first >= 390 && second >= 395, "{first} {second}");
}
