//! What holds for every solver of the global Newton family: units, counts, misuse, reference counts.
#![cfg(all(feature = "problems", feature = "libsvm"))]

use crate::data::{FEATURES, breast_cancer, synthetic};
use crate::family::{FAMILY, Member, with_member};
use crate::problem::{Call, Matrix, Problem, bits, distance, length, saddle};
use argmin::core::{
    CostFunction, Error as HostError, Executor, Gradient, Hessian, State, TerminationReason,
};
use raphson::models::LogisticRegression;
use raphson::problems::{Chain, Offset, Rosenbrock, Scaled};
use raphson::{
    Converged, CubicNewton, Dataset, Error, Failed, GradientNormalizedNewton,
    GradientRegularizedNewton, GramSolve, LazyCubicNewton, LazyRegularizedNewton, Outcome, Refresh,
    Run, Status, Stopped, TrustRegionNewton,
};
use std::cell::Cell;

/// Whether a member judges trials by values of f; the others by gradients, for convex f.
fn by_values(member: Member) -> bool {
    !matches!(
        member,
        Member::LazyRegularized | Member::GradientRegularized
    )
}

#[test]
fn counts_do_not_depend_on_units() {
    let powers = [1.0, 1e6, 1e-6];
    let units = powers.map(|a| [1.0, 1e3, 1e-3].map(|t| (a, t)));
    for member in FAMILY {
        let mut all = Vec::new();
        for (a, t) in units.into_iter().flatten() {
            let problem = Scaled::new(breast_cancer(1e-6), a, t).unwrap();
            let run: Run<Vec<f64>> = with_member!(member, new, solver =>
                solver.minimize(&problem, vec![3.0 / t; FEATURES]).unwrap());
            assert!(run.converged(), "{member:?}: {}", run.status);
            let report = run.report;
            // Factorizations are not compared: the last one of a secular equation hangs on a bit.
            all.push((
                report.iterations,
                report.trials,
                report.gradients,
                report.hessians,
            ));
        }
        assert_eq!(all, vec![all[0]; 9], "{member:?}");
    }
}

/// Powers of two scale without rounding, and so do the roots that a method takes of them.
#[test]
fn units_that_are_powers_of_two_change_no_bit() {
    let valley = Rosenbrock::new(6).unwrap();
    // The exponent ⅔ is itself rounded.
    let exact = |m: &Member| *m != Member::GradientRegularized;
    for member in FAMILY.into_iter().filter(exact) {
        let [plain, scaled] = [(1.0, 1.0), (2f64.powi(18), 2f64.powi(-6))].map(|(a, t)| {
            let problem = Scaled::new(valley, a, t).unwrap();
            let x0 = valley.start().iter().map(|x| x / t).collect();
            let run: Run<Vec<f64>> =
                with_member!(member, new, solver => solver.minimize(&problem, x0).unwrap());
            assert!(run.converged(), "{member:?}: {}", run.status);
            let x: Vec<f64> = run.x.iter().map(|y| t * y).collect();
            (bits(&x), run.report.trials, run.report.factorizations)
        });
        assert_eq!(plain, scaled, "{member:?}");
    }
}

/// Saddles that are met exactly or almost, where f has a large constant or none.
#[test]
fn second_order_runs_leave_saddles_however_near() {
    for member in FAMILY {
        for x in [1e-3, 1e-6, 1e-9, 1e-12] {
            // The gradient meets its tolerance at once.
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .gradient_tol_abs(2e-3)
                .second_order(true)
                .max_iters(300)
                .minimize(&saddle(), vec![x, 0.0, 0.0])
                .unwrap());
            assert_eq!(
                run.status,
                Status::Converged(Converged::SecondOrder),
                "{member:?}, {x}"
            );
            assert!((run.f + 0.25).abs() <= 1e-5);
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .second_order(true)
                .max_iters(300)
                .minimize(&Offset::new(saddle(), 1e3), vec![x, 1.0, 0.0])
                .unwrap());
            assert_eq!(
                run.status,
                Status::Converged(Converged::SecondOrder),
                "{member:?}, {x}"
            );
            assert!((run.f - 999.75).abs() <= 1e-9);
        }
    }
}

#[test]
fn argmin_and_direct_runs_are_the_same() {
    let chain = Chain::new(12, 3.0, 0.0).unwrap();
    for member in FAMILY {
        let problem = Problem::of(chain);
        let run: Run<Vec<f64>> = with_member!(member, new, solver =>
            solver.minimize(&problem, chain.start()).unwrap());
        let direct = problem.take_calls();
        assert!(run.converged());
        with_member!(member, new, solver => {
            let result = Executor::new(problem.clone(), solver)
                .configure(|state| state.param(chain.start()))
                .run()
                .unwrap();
            assert_eq!(result.status(), run.status);
            assert_eq!(result.solver.report(), &run.report);
            assert_eq!(result.problem.counts, run.counts);
            assert_eq!(bits(result.state.get_best_param().unwrap()), bits(&run.x));
            assert_eq!(result.state.get_best_cost().to_bits(), run.f.to_bits());
            assert_eq!(result.state.get_iter(), run.report.iterations);
        });
        assert_eq!(problem.take_calls(), direct, "{member:?}");
    }
}

/// The calls of a run that ends well above the noise of f, where gradients must judge.
#[test]
fn every_step_costs_one_gradient_and_at_most_one_hessian() {
    let chain = Chain::new(12, 3.0, 0.0).unwrap();
    for member in FAMILY {
        let problem = Problem::of(chain);
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .gradient_tol(1e-4)
            .minimize(&problem, chain.start())
            .unwrap());
        assert!(run.converged());
        let calls = problem.take_calls();
        let count = |call| calls.iter().filter(|c| **c == call).count() as u64;
        let report = &run.report;
        assert_eq!(count(Call::Value), report.values);
        assert_eq!(count(Call::Gradient), report.gradients);
        assert_eq!(count(Call::Hessian), report.hessians);
        assert_eq!(run.counts["cost_count"], report.values);
        assert_eq!(run.counts["gradient_count"], report.gradients);
        assert_eq!(run.counts["hessian_count"], report.hessians);
        assert_eq!(report.trials, report.iterations + report.rejected);
        let (values, gradients) = if by_values(member) {
            (report.trials + 1, report.iterations + 1)
        } else {
            (report.iterations + 1, report.trials + 1)
        };
        assert_eq!(report.values, values, "{member:?}");
        if member == Member::GradientNormalized {
            // Its test looks at the gradient too, where f falls.
            let range = gradients..=report.trials + 1;
            assert!(range.contains(&report.gradients), "{report:?}");
        } else {
            assert_eq!(report.gradients, gradients, "{member:?}");
        }
        if matches!(member, Member::LazyCubic | Member::LazyRegularized) {
            assert!(report.hessians <= report.iterations);
        } else {
            assert_eq!(report.hessians, report.iterations);
        }
    }
}

/// Value and gradient in one pass: the same run.
#[test]
fn fused_evaluation_gives_the_same_run() {
    let chain = Chain::new(12, 3.0, 0.0).unwrap();
    let problem = Problem::of(chain);
    for member in FAMILY {
        let explicit: Run<Vec<f64>> = with_member!(member, new, solver =>
            solver.minimize(&problem, chain.start()).unwrap());
        let fused: Run<Vec<f64>> = with_member!(member, fused, solver =>
            solver.minimize(&problem, chain.start()).unwrap().with_source());
        assert_eq!(bits(&fused.x), bits(&explicit.x), "{member:?}");
        assert_eq!(fused.status, explicit.status);
        assert_eq!(fused.report.trials, explicit.report.trials);
        assert_eq!(fused.report.hessians, explicit.report.hessians);
    }
}

#[test]
fn products_reach_the_same_minimum() {
    let chain = Chain::new(12, 3.0, 1.0).unwrap();
    let problem = Problem::of(chain).banded(1);
    for member in FAMILY {
        if member == Member::LazyCubic {
            continue;
        }
        let run = match member {
            Member::LazyCubic => unreachable!(),
            Member::Cubic => CubicNewton::matrix_free().minimize(&problem, chain.start()),
            Member::LazyRegularized => {
                LazyRegularizedNewton::matrix_free().minimize(&problem, chain.start())
            }
            Member::GradientRegularized => {
                GradientRegularizedNewton::matrix_free().minimize(&problem, chain.start())
            }
            Member::GradientNormalized => {
                GradientNormalizedNewton::matrix_free().minimize(&problem, chain.start())
            }
            Member::TrustRegion => {
                TrustRegionNewton::matrix_free().minimize(&problem, chain.start())
            }
        }
        .unwrap();
        assert!(run.converged(), "{member:?}: {}", run.status);
        assert!(run.f - chain.minimum() <= 1e-8);
        assert_eq!((run.report.hessians, run.report.factorizations), (0, 0));
    }
}

fn parameter<T>(result: Result<T, Error>) -> &'static str {
    match result.err() {
        Some(Error::InvalidParameter { name, .. }) => name,
        Some(other) => panic!("{other}"),
        None => panic!("accepted"),
    }
}

#[test]
fn invalid_parameters_are_refused_before_the_first_call() {
    let problem = saddle();
    let x0 = || vec![0.5; 3];
    for bad in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
        let names = [
            parameter(
                LazyCubicNewton::new()
                    .constant(bad)
                    .minimize(&problem, x0()),
            ),
            parameter(CubicNewton::new().constant(bad).minimize(&problem, x0())),
            parameter(
                LazyRegularizedNewton::new()
                    .constant(bad)
                    .minimize(&problem, x0()),
            ),
            parameter(
                GradientRegularizedNewton::new()
                    .constant(bad)
                    .minimize(&problem, x0()),
            ),
            parameter(
                GradientNormalizedNewton::new()
                    .constant(bad)
                    .minimize(&problem, x0()),
            ),
        ];
        assert_eq!(names, ["constant"; 5]);
        let radius = TrustRegionNewton::new().radius(bad);
        assert_eq!(parameter(radius.minimize(&problem, x0())), "radius");
    }
    for bad in [2.0, 0.49, -1.0, f64::NAN] {
        let solver = GradientRegularizedNewton::new().exponent(bad);
        assert_eq!(parameter(solver.minimize(&problem, x0())), "exponent");
    }
    for bad in [
        Refresh::Every(0),
        Refresh::Contraction(0.0),
        Refresh::Contraction(1.0),
        Refresh::Contraction(f64::NAN),
        Refresh::Payoff(-1.0),
        Refresh::Payoff(f64::INFINITY),
        Refresh::Payoff(f64::NAN),
    ] {
        let solver = LazyCubicNewton::new().refresh(bad);
        assert_eq!(parameter(solver.minimize(&problem, x0())), "refresh");
        let solver = LazyRegularizedNewton::new().refresh(bad);
        assert_eq!(parameter(solver.minimize(&problem, x0())), "refresh");
    }
    for member in FAMILY {
        let result: Result<Run<Vec<f64>>, Error> = with_member!(member, new, solver =>
            solver.decrement_tol(1e-8).minimize(&problem, x0()));
        assert_eq!(parameter(result), "decrement_tol", "{member:?}");
        let result: Result<Run<Vec<f64>>, Error> = with_member!(member, new, solver =>
            solver.gradient_tol(-1.0).minimize(&problem, x0()));
        assert_eq!(parameter(result), "gradient_tol");
        let error = with_member!(member, new, solver =>
            solver.minimize(&problem, vec![f64::NAN; 3]).err());
        assert!(error.is_some(), "{member:?}");
    }
    assert_eq!(problem.take_calls(), []);
}

#[test]
fn a_saddle_without_a_gradient() {
    for member in FAMILY {
        let problem = saddle();
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .second_order(true)
            .max_iters(200)
            .minimize(&problem, vec![0.0; 3])
            .unwrap());
        assert_eq!(
            run.status,
            Status::Converged(Converged::SecondOrder),
            "{member:?}"
        );
        assert!((run.f + 0.25).abs() <= 1e-12, "{member:?}");
    }
}

#[test]
fn steps_that_test_values_need_no_convexity() {
    let valley = Rosenbrock::new(10).unwrap();
    for member in FAMILY.into_iter().filter(|m| by_values(*m)) {
        for (problem, x0, minimum) in [
            (
                Problem::of(valley),
                vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
                0.0,
            ),
            (saddle(), vec![0.1, 1.0, -1.0], -0.25),
            (saddle(), vec![1e-3, 0.0, 3.0], -0.25),
        ] {
            let run: Run<Vec<f64>> = with_member!(member, new, solver =>
                solver.minimize(&problem, x0.clone()).unwrap());
            assert!(run.converged(), "{member:?}: {}", run.status);
            assert!(length(&problem.g(&run.x)) <= 1e-8 * length(&problem.g(&x0)));
            assert!((run.f - minimum).abs() <= 1e-10, "{member:?}: {}", run.f);
        }
    }
}

/// UC-018
#[test]
fn a_zero_gradient_at_the_start_is_convergence() {
    let quartic = Problem::new(
        |x| x.iter().map(|x| x.powi(4)).sum(),
        |x| x.iter().map(|x| 4.0 * x.powi(3)).collect(),
        |x| [[12.0 * x[0] * x[0], 0.0], [0.0, 12.0 * x[1] * x[1]]],
    );
    let bowl = Problem::new(
        |x| 0.5 * (x[0] * x[0] + x[1] * x[1]),
        |x| x.to_vec(),
        |_| [[1.0, 0.0], [0.0, 1.0]],
    );
    for problem in [quartic, bowl] {
        for member in FAMILY {
            for second_order in [false, true] {
                let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                    .second_order(second_order)
                    .minimize(&problem, vec![0.0; 2])
                    .unwrap());
                let test = if second_order {
                    Converged::SecondOrder
                } else {
                    Converged::GradientTolerance
                };
                assert_eq!(run.status, Status::Converged(test), "{member:?}");
                assert_eq!(
                    (run.x, run.f, run.report.iterations),
                    (vec![0.0; 2], 0.0, 0)
                );
            }
        }
        for run in [
            CubicNewton::matrix_free()
                .minimize(&problem, vec![0.0; 2])
                .unwrap(),
            TrustRegionNewton::matrix_free()
                .minimize(&problem, vec![0.0; 2])
                .unwrap(),
            GradientNormalizedNewton::matrix_free()
                .minimize(&problem, vec![0.0; 2])
                .unwrap(),
        ] {
            assert!(run.converged() && run.f == 0.0);
        }
    }
}

/// UC-019
#[test]
fn without_tolerances_a_run_ends_at_the_attainable_accuracy() {
    let valley = Rosenbrock::new(2).unwrap();
    for member in FAMILY {
        let mut finite = true;
        let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
            .gradient_tol(0.0)
            .max_iters(200)
            .on_iteration(|r| {
                finite &= r.f.is_finite() && r.gradient_norm.is_finite() && r.step_norm.is_finite();
                true
            })
            .minimize(&valley, vec![0.0; 2])
            .unwrap());
        assert!(finite, "{member:?}");
        // Those that want a convex f may end where their steps no longer move x.
        let stalled = run.status == Status::Failed(Failed::Stalled);
        assert!(
            run.converged() || stalled && !by_values(member),
            "{member:?}: {}",
            run.status
        );
        assert!(
            distance(&run.x, &[1.0, 1.0]) <= 1e-12,
            "{member:?}: {:?}",
            run.x
        );
    }
}

/// UC-023
#[test]
fn argmin_learns_why_a_run_ended() {
    let valley = Rosenbrock::new(2).unwrap();
    for member in FAMILY {
        for limit in [3, 500] {
            with_member!(member, new, solver => {
                let result = Executor::new(valley, solver)
                    .configure(|state| state.param(vec![-1.2, 1.0]).max_iters(limit))
                    .run()
                    .unwrap();
                let reason = result.state.get_termination_reason();
                if limit == 3 {
                    assert_eq!(result.status(), Status::Stopped(Stopped::MaxIterations));
                    assert_eq!(reason, Some(&TerminationReason::MaxItersReached));
                    assert!(!result.status().is_converged());
                } else {
                    assert_eq!(result.status(), Status::Converged(Converged::GradientTolerance));
                    assert_eq!(reason, Some(&TerminationReason::SolverConverged));
                    assert!(result.state.get_iter() <= 250);
                }
            });
        }
    }
}

const COLUMNS: [(f64, f64); 4] = [(1e-3, 0.0), (1e-3, 3.0), (1e-6, 0.0), (1e-6, 3.0)];

/// Breast cancer: iterations and factorizations of the table in four columns.
#[test]
fn reference_table() {
    // The published runs start with constants of 1, ours with the curvature at the start: from
    // 0 that agrees within a fifth, from 3·1, where the curvature is almost zero, it does not,
    // and the counts are our own. The factorizations of the cubic and trust-region solvers are
    // our own too.
    let table = [
        (Member::Cubic, [(9, 15), (11, 21), (14, 62), (30, 92)]),
        (
            Member::GradientRegularized,
            [(11, 16), (9, 18), (26, 45), (28, 49)],
        ),
        (
            Member::GradientNormalized,
            [(10, 11), (14, 24), (18, 26), (43, 67)],
        ),
        (Member::TrustRegion, [(9, 10), (16, 26), (13, 19), (23, 50)]),
        (Member::LazyCubic, [(11, 19), (18, 25), (15, 55), (19, 54)]),
        (
            Member::LazyRegularized,
            [(21, 24), (16, 18), (46, 52), (42, 49)],
        ),
    ];
    let near = |count: u64, reference: u64| count.abs_diff(reference) <= reference.div_ceil(5);
    for (member, cells) in table {
        for ((mu, start), (iterations, factorizations)) in COLUMNS.into_iter().zip(cells) {
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .gradient_tol(0.0)
                .gradient_tol_abs(1e-8)
                .minimize(&breast_cancer(mu), vec![start; FEATURES])
                .unwrap());
            let at = format!("{member:?}, mu {mu}, x0 {start}: {:?}", run.report);
            assert_eq!(
                run.status,
                Status::Converged(Converged::GradientTolerance),
                "{at}"
            );
            assert!(near(run.report.iterations, iterations), "{at}");
            assert!(near(run.report.factorizations, factorizations), "{at}");
            let minimum = if mu == 1e-3 { 0.0598294719 } else { 0.02588850 };
            assert!((run.f - minimum).abs() <= 5e-9, "{at}: {}", run.f);
        }
    }
}

#[test]
fn wide_data_are_solved_each_way() {
    for member in FAMILY {
        let mut minima = Vec::new();
        for way in [
            GramSolve::Primal,
            GramSolve::Dual,
            GramSolve::Cg,
            GramSolve::Auto,
        ] {
            let model = synthetic(60, 120, 1e-3, 11).solve_by(way);
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .max_iters(300)
                .minimize(&model, model.origin())
                .unwrap());
            assert!(run.converged(), "{member:?}, {way:?}: {}", run.status);
            minima.push(run.f);
        }
        for f in &minima {
            assert!(
                (f - minima[0]).abs() <= 1e-10 * minima[0],
                "{member:?}: {minima:?}"
            );
        }
    }
}

/// The model objects to convergence, for which a lazy method evaluates one more Hessian.
#[test]
fn separable_data_never_converge() {
    let rows: Vec<Vec<f64>> = (0..10).map(|i| vec![f64::from(i) - 4.5]).collect();
    let labels: Vec<f64> = (0..10).map(|i| f64::from(i > 4)).collect();
    let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap());
    for member in FAMILY {
        // At 60 the gradient meets its tolerance, at 1e4 it is exactly zero.
        for x0 in [0.0, 60.0, 1e4] {
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .gradient_tol_abs(1e-8)
                .minimize(&model, vec![x0])
                .unwrap());
            assert_eq!(
                run.status,
                Status::Failed(Failed::Separable),
                "{member:?} from {x0}"
            );
        }
    }
    // A Hessian that serves to the end is that of the start, where nothing looks separable.
    let forever = Refresh::Every(1000);
    let solver = LazyCubicNewton::new().refresh(forever).gradient_tol(1e-3);
    let run = solver.minimize(&model, vec![0.0]).unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    assert!(run.report.hessians >= 2, "{:?}", run.report);
}

/// An error of the user's function comes back as it is, in the middle of a run.
#[test]
fn errors_of_the_problem_come_back() {
    struct Faulty(Problem, Cell<u32>);
    impl CostFunction for Faulty {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
            self.0.cost(x)
        }
    }
    impl Gradient for Faulty {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
            self.1.set(self.1.get() + 1);
            if self.1.get() > 3 {
                return Err(HostError::msg("out of order"));
            }
            self.0.gradient(x)
        }
    }
    impl Hessian for Faulty {
        type Param = Vec<f64>;
        type Hessian = Matrix;
        fn hessian(&self, x: &Vec<f64>) -> Result<Matrix, HostError> {
            Hessian::hessian(&self.0, x)
        }
    }
    let chain = Chain::new(12, 3.0, 0.0).unwrap();
    for member in FAMILY {
        let problem = Faulty(Problem::of(chain), Cell::new(0));
        let error = with_member!(member, new, solver =>
            solver.minimize(&problem, chain.start()).unwrap_err());
        assert!(
            error.to_string().contains("out of order"),
            "{member:?}: {error}"
        );
    }
}

/// A constant so large that f cannot tell points of the valley apart.
#[test]
fn no_false_claims_where_f_is_noise() {
    let valley = Rosenbrock::new(2).unwrap();
    for member in FAMILY {
        for offset in [1e6, 1e10, 1e14] {
            let problem = Offset::new(valley, offset);
            let run: Run<Vec<f64>> = with_member!(member, new, solver => solver
                .max_iters(500)
                .minimize(&problem, valley.start())
                .unwrap());
            let own = Problem::of(valley).f(&run.x);
            let noise = 16.0 * f64::EPSILON * offset;
            match run.status {
                Status::Converged(Converged::GradientTolerance) => {
                    let start = length(&Problem::of(valley).g(&valley.start()));
                    assert!(run.gradient_norm <= 1e-8 * start);
                }
                // No step predicts more than the noise, so f cannot be far off.
                Status::Converged(Converged::PrecisionFloor) => {
                    assert!(own <= 10.0 * noise, "{member:?}, {offset}: {own}");
                }
                other => panic!("{member:?}, {offset}: {other}"),
            }
        }
    }
}
