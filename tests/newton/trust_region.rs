//! Trust-region Newton where other methods get stuck, and the attainable accuracy.
#![cfg(all(feature = "problems", feature = "libsvm"))]

use crate::data::{FEATURES, breast_cancer};
use crate::family::{FAMILY, Member, with_member};
use crate::problem::{Problem, barrier, distance, length, saddle, sparse_rosenbrock};
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::problems::{Chain, Offset, Power, Rosenbrock};
use raphson::{
    Converged, CubicNewton, Failed, LazyCubicNewton, Run, Status, Stopped, TrustRegionNewton,
};

/// (x − 10⁶)² + (y − 2·10⁻⁶)² + (xy − 2)²: minimum 0 at (10⁶, 2·10⁻⁶).
fn brown() -> Problem {
    Problem::new(
        |x| (x[0] - 1e6).powi(2) + (x[1] - 2e-6).powi(2) + (x[0] * x[1] - 2.0).powi(2),
        |x| {
            let r = x[0] * x[1] - 2.0;
            vec![
                2.0 * (x[0] - 1e6) + 2.0 * r * x[1],
                2.0 * (x[1] - 2e-6) + 2.0 * r * x[0],
            ]
        },
        |x| {
            let off = 4.0 * x[0] * x[1] - 4.0;
            [
                [2.0 + 2.0 * x[1] * x[1], off],
                [off, 2.0 + 2.0 * x[0] * x[0]],
            ]
        },
    )
}

#[test]
fn no_largest_radius_keeps_from_far_minimizers() {
    for run in [
        TrustRegionNewton::new()
            .gradient_tol(1e-14)
            .minimize(&brown(), vec![1.0, 1.0])
            .unwrap(),
        CubicNewton::new()
            .gradient_tol(1e-14)
            .minimize(&brown(), vec![1.0, 1.0])
            .unwrap(),
    ] {
        assert!(run.converged(), "{}", run.status);
        assert!(
            (run.x[0] - 1e6).abs() <= 1e-4 && (run.x[1] - 2e-6).abs() <= 1e-10,
            "{:?}",
            run.x
        );
        assert!(run.report.trials <= 100);
    }
}

#[test]
fn few_trials_are_rejected_near_the_optimum() {
    let problems = [
        (
            Problem::of(Rosenbrock::new(2).unwrap()),
            Rosenbrock::new(2).unwrap().start(),
        ),
        (
            Problem::of(Rosenbrock::new(12).unwrap()),
            Rosenbrock::new(12).unwrap().start(),
        ),
        (
            Problem::of(Chain::new(20, 3.0, 1.0).unwrap()),
            vec![0.0; 20],
        ),
        (Problem::of(Power::new(3, 4.0).unwrap()), vec![1.0; 3]),
        (saddle(), vec![0.3, 1.0, -1.0]),
    ];
    for (k, (problem, x0)) in problems.into_iter().enumerate() {
        for offset in [0.0, 1e3, 1e6] {
            let run = TrustRegionNewton::new()
                .gradient_tol(0.0)
                .gradient_tol_abs(1e-12)
                .max_iters(500)
                .minimize(&Offset::new(problem.clone(), offset), x0.clone())
                .unwrap();
            let report = &run.report;
            assert!(run.converged(), "{k}, {offset}: {}", run.status);
            assert!(
                run.gradient_norm <= 1e-12,
                "{k}, {offset}: {}",
                run.gradient_norm
            );
            // Rejected ones, and longer steps that were tried in vain.
            assert!(
                report.trials <= report.iterations + 8,
                "{k}, {offset}: {report:?}"
            );
            assert!(report.trials <= 40);
        }
    }
}

#[test]
fn an_offset_of_f_does_not_move_the_minimizer() {
    let start = || vec![0.0; FEATURES];
    let plain = TrustRegionNewton::new().gradient_tol(1e-14);
    let best = plain.minimize(&breast_cancer(1e-3), start()).unwrap();
    assert!(best.converged());
    for member in FAMILY {
        for offset in [0.0, 1e3, 1e6] {
            let problem = Offset::new(breast_cancer(1e-3), offset);
            for (tol, test, attained) in [
                (1e-12, Converged::GradientTolerance, 1e-12),
                (1e-30, Converged::PrecisionFloor, 1e-15),
            ] {
                let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                    .gradient_tol(0.0)
                    .gradient_tol_abs(tol)
                    .max_iters(400)
                    .minimize(&problem, start())
                    .unwrap());
                let at = format!("{member:?}, {offset}, {tol}");
                assert_eq!(run.status, Status::Converged(test), "{at}");
                assert!(run.gradient_norm <= attained, "{at}: {}", run.gradient_norm);
                // ‖x − x*‖ ≤ ‖g‖/μ.
                assert!(distance(&run.x, &best.x) <= 1e3 * attained + 1e-12, "{at}");
                assert!(
                    run.report.iterations <= 30 && run.report.trials <= 45,
                    "{at}"
                );
            }
        }
    }
}

#[test]
fn rosenbrock_of_a_thousand_variables_stays_sparse() {
    let valley = Rosenbrock::new(1000).unwrap();
    let problem = sparse_rosenbrock(1000);
    let start = || valley.start();
    for (run, name) in [
        (
            TrustRegionNewton::new()
                .minimize(&problem, start())
                .unwrap(),
            "tr",
        ),
        (
            CubicNewton::new().minimize(&problem, start()).unwrap(),
            "cubic",
        ),
        (
            LazyCubicNewton::new().minimize(&problem, start()).unwrap(),
            "lazy",
        ),
    ] {
        assert!(run.converged(), "{}", run.status);
        // The chain has a second minimizer, where its first variable is near −1.
        assert!((run.f - 3.986623854).abs() <= 1e-8, "{name}: {}", run.f);
        let report = &run.report;
        assert_eq!(report.analyses, 1);
        assert!(
            (1200..2000).contains(&report.iterations),
            "{name}: {report:?}"
        );
        if name == "lazy" {
            assert!(report.hessians * 5 < report.iterations * 4, "{report:?}");
        } else {
            assert_eq!(report.hessians, report.iterations);
        }
        assert!(
            report.factorizations <= 5 * report.iterations,
            "{name}: {report:?}"
        );
    }
}

/// Δ after each step, from the ratio of the decreases that the test computes itself.
#[test]
fn the_radius_follows_the_ratio() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
    let mut seen = [0; 4];
    for _ in 0..60 {
        let x0 = (0..6).map(|_| random.random_range(-2.0..2.0)).collect();
        follow(x0, &mut seen);
    }
    // Poor, good and fair ratios, and rejections.
    assert!(seen.iter().all(|n| *n >= 3), "{seen:?}");
}

fn follow(x0: Vec<f64>, seen: &mut [u32; 4]) {
    let problem = Problem::of(Rosenbrock::new(6).unwrap());
    let after = |steps| {
        TrustRegionNewton::new()
            .max_iters(steps)
            .minimize(&problem, x0.clone())
            .unwrap()
    };
    let close = |a: f64, b: f64| (a / b - 1.0).abs() <= 1e-8;
    let mut last = after(0);
    // Unknown before the first step.
    let mut radius = f64::INFINITY;
    for steps in 1.. {
        let run = after(steps);
        if run.converged() {
            break;
        }
        let s: Vec<f64> = run.x.iter().zip(&last.x).map(|(a, b)| a - b).collect();
        let (g, h, size) = (problem.g(&last.x), problem.h(&last.x), length(&s));
        let linear: f64 = g.iter().zip(&s).map(|(g, s)| g * s).sum();
        let quadratic: f64 = (0..6)
            .map(|i| (0..6).map(|j| s[i] * h[(i, j)] * s[j]).sum::<f64>())
            .sum();
        let ratio = (last.f - run.f) / (-linear - 0.5 * quadratic);
        let now = run.report.control;
        let rejected = run.report.trials - last.report.trials - 1;
        assert!(ratio >= 0.1, "{ratio}");
        assert!(rejected > 0 || size <= (1.0 + 1e-9) * radius);
        seen[3] += u32::from(rejected > 0);
        // After several trials the radius is known to those who saw them.
        if rejected > 0 {
            (radius, last) = (now, run);
            continue;
        }
        if ratio < 0.25 {
            seen[0] += 1;
            assert!(close(now, 0.25 * size), "{steps}: poor");
        } else if ratio > 0.75 && run.report.shift > 0.0 {
            // The multiplier is positive on the boundary.
            seen[1] += 1;
            assert!(close(now, 3.0 * size), "{steps}: good");
        } else if radius.is_finite() {
            seen[2] += 1;
            assert!(close(now, radius), "{steps}: fair");
        }
        radius = now;
        last = run;
    }
}

#[test]
fn truncated_conjugate_gradients_follow_the_valley() {
    let valley = Rosenbrock::new(100).unwrap();
    let problem = sparse_rosenbrock(100);
    let run = TrustRegionNewton::matrix_free()
        .minimize(&problem, valley.start())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    assert_eq!((run.report.hessians, run.report.factorizations), (0, 0));
    assert!(run.f <= 1e-9 || (run.f - 3.98).abs() <= 0.01, "{}", run.f);
    assert!(run.report.hessian_products <= 20 * run.report.trials);
    // Negative curvature leads to the boundary, and on.
    let run = TrustRegionNewton::matrix_free()
        .minimize(&saddle(), vec![1e-3, 1e-3, 0.0])
        .unwrap();
    assert!(run.converged());
    assert!((run.f + 0.25).abs() <= 1e-12);
}

#[test]
fn starts_with_negative_curvature() {
    let valley = Rosenbrock::new(2).unwrap();
    for x0 in [vec![0.0, 1.0], vec![0.0, 100.0], vec![0.1, 5.0]] {
        let h = Problem::of(valley).h(&x0);
        assert!(h[(0, 0)] * h[(1, 1)] < h[(1, 0)] * h[(0, 1)]);
        let run = TrustRegionNewton::new().minimize(&valley, x0).unwrap();
        assert!(run.converged() && distance(&run.x, &valley.minimizer()) <= 1e-5);
    }
}

#[test]
fn trials_outside_the_domain_are_rejected() {
    for member in FAMILY {
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .gradient_tol_abs(1e-9)
            .minimize(&barrier(), vec![3.0])
            .unwrap());
        assert!(
            run.converged() && (run.x[0] - 1.0).abs() <= 1e-8,
            "{member:?}: {:?}",
            run.x
        );
        assert!(
            run.report.rejected > 0,
            "{member:?}: the domain must matter"
        );
        let outside: Run<Vec<f64>> =
            with_member!(member, new, solver => solver.minimize(&barrier(), vec![-1.0]).unwrap());
        assert_eq!(outside.status, Status::Failed(Failed::NonFinite));
        assert_eq!((outside.x, outside.report.hessians), (vec![-1.0], 0));
    }
    // A first radius that leads far outside.
    let run = TrustRegionNewton::new()
        .radius(1e3)
        .minimize(&barrier(), vec![3.0])
        .unwrap();
    assert!(run.converged() && run.report.rejected > 0);
}

#[test]
fn functions_without_a_minimum_never_converge() {
    let cap = Problem::new(|x| -x[0] * x[0], |x| vec![-2.0 * x[0]], |_| [[-2.0]]);
    let slope = Problem::new(|x| x[0], |_| vec![1.0], |_| [[0.0]]);
    for member in FAMILY {
        for (name, problem) in [("cap", &cap), ("slope", &slope)] {
            for bound in [None, Some(-50.0)] {
                let run: Run<Vec<f64>> = with_member!(member, new, solver => {
                    let mut solver = solver.max_iters(3000);
                    if let Some(bound) = bound {
                        solver = solver.lower_bound(bound);
                    }
                    solver.minimize(problem, vec![1.0]).unwrap()
                });
                let at = format!("{member:?}, {name}, {bound:?}");
                assert_eq!(run.status, Status::Failed(Failed::Unbounded), "{at}");
                match bound {
                    Some(bound) => assert!(run.f <= bound && run.report.iterations <= 10, "{at}"),
                    None => assert!(run.f <= -1e19, "{at}: {}", run.f),
                }
            }
        }
    }
}

#[test]
fn limits_and_broken_hessians_end_the_run() {
    let valley = Rosenbrock::new(2).unwrap();
    let problem = Problem::of(valley);
    let broken = problem.with(|_| [[f64::NAN, 0.0], [0.0, 1.0]]);
    let late = {
        let whole = problem.clone();
        problem.with(move |x| {
            if x[0] > 0.0 {
                Mat::full(2, 2, f64::NAN)
            } else {
                whole.h(x)
            }
        })
    };
    for member in FAMILY {
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .max_iters(3)
            .minimize(&problem, valley.start())
            .unwrap());
        assert_eq!(
            run.status,
            Status::Stopped(Stopped::MaxIterations),
            "{member:?}"
        );
        assert_eq!(run.report.iterations, 3);
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .max_iters(0)
            .minimize(&problem, valley.start())
            .unwrap());
        assert_eq!(
            (run.status, run.x),
            (Status::Stopped(Stopped::MaxIterations), valley.start())
        );
        let run: Run<Vec<f64>> =
            with_member!(member, new, solver => solver.minimize(&broken, valley.start()).unwrap());
        assert_eq!(
            (run.status, run.x),
            (Status::Failed(Failed::NonFinite), valley.start())
        );
        let run: Run<Vec<f64>> =
            with_member!(member, new, solver => solver.minimize(&late, valley.start()).unwrap());
        assert_eq!(run.status, Status::Failed(Failed::NonFinite), "{member:?}");
        assert!(run.x[0] > 0.0 && run.f == problem.f(&run.x) && run.f < 24.0);
    }
}
