//! User cases of logistic regression, each for its whole kind: over schedules,
//! ways to solve, products instead of a Hessian, and under argmin. The numbers
//! UC-… are case ids. The values are of sum losses, as the cases give them: a
//! sum loss with λ is our mean loss with μ = λ/n, its objective n·f.

use argmin::core::Executor;
use raphson::{
    Converged, DampedNewton, Dataset, Error, Failed, GramSolve, LogisticRegression, Outcome, Run,
    Schedule, Status,
};

type Fit = Run<Vec<f64>>;

const X: [f64; 5] = [0.0, 1.0, 2.0, 3.0, 4.0];
const Y: [f64; 5] = [0.0, 1.0, 0.0, 1.0, 1.0];
/// Unpenalized fit of the above with a free intercept.
const W: f64 = 1.090_425_560_298_115_3;
const B: f64 = -1.558_161_055_162_472_8;
const OBJECTIVE: f64 = 2.421_966_843_685_810_4;

const SCHEDULES: [Schedule; 6] = [
    Schedule::Universal,
    Schedule::Aicn { lipschitz: 1.0 },
    Schedule::Classical,
    Schedule::Full,
    Schedule::Armijo,
    Schedule::Greedy,
];
const SEPARABLE: Status = Status::Failed(Failed::Separable);

fn column(x: &[f64], y: &[f64]) -> Dataset {
    let rows: Vec<_> = x.iter().map(|&x| vec![x]).collect();
    Dataset::from_rows(&rows, y).unwrap()
}

fn near(found: f64, exact: f64, relative: f64) -> bool {
    (found - exact).abs() <= relative * exact.abs()
}

/// Fits in every applicable way from `start`; each comes with a name.
fn fits(
    model: impl Fn() -> LogisticRegression,
    configure: impl Fn(Schedule) -> DampedNewton,
    ways: &[GramSolve],
    start: &[f64],
) -> Vec<(String, Fit)> {
    let mut all = Vec::new();
    for schedule in SCHEDULES {
        for &way in ways {
            let model = || model().solve_by(way);
            let run = configure(schedule)
                .minimize(&model(), start.to_vec())
                .unwrap();
            let result = Executor::new(model(), configure(schedule))
                .configure(|state| state.param(start.to_vec()))
                .run()
                .unwrap();
            assert_eq!(result.status(), run.status);
            assert_eq!(result.state.best_param.as_ref(), Some(&run.x));
            assert_eq!(result.problem.counts, run.counts);
            assert!(run.f.is_finite() && run.x.iter().all(|x| x.is_finite()));
            all.push((format!("{schedule:?} {way:?}"), run));
        }
    }
    all
}

const UNPENALIZED: [GramSolve; 3] = [GramSolve::Auto, GramSolve::Primal, GramSolve::Cg];
const PENALIZED: [GramSolve; 4] = [
    GramSolve::Auto,
    GramSolve::Primal,
    GramSolve::Dual,
    GramSolve::Cg,
];

fn tight(schedule: Schedule) -> DampedNewton {
    DampedNewton::new().schedule(schedule).gradient_tol(1e-12)
}

// UC-105
#[test]
fn absurd_scales_neither_overflow_nor_stop_early() {
    let data = column(&[-1e24, 1e24], &[0.0, 1.0]);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Greedy] {
        for way in UNPENALIZED {
            let model = LogisticRegression::new(&data).l2(0.5).solve_by(way);
            // The gradient at the origin is 5e23, so the relative test would stop at once.
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
            let run = solver
                .gradient_tol_abs(1e-36)
                .minimize(&model, vec![0.0])
                .unwrap();
            let context = format!("{schedule:?} {way:?} {run:?}");
            assert!(run.converged(), "{context}");
            assert!(
                near(run.x[0], 1.065_486_301_422_899_6e-22, 1e-10),
                "{context}"
            );
            // The penalty ½w² alone is 5.6763052925992505e-45; the loss adds w/10²⁴.
            let objective = 5.676_305_292_599_251e-45 + 1.065_486_301_422_899_6e-46;
            assert!(near(2.0 * run.f, objective, 1e-10), "{context}");
        }
    }
    // The dual shifts a ridge that is lost beside AAᵀ = 10⁴⁸; linear then, but it gets there.
    let model = LogisticRegression::new(&data)
        .l2(0.5)
        .solve_by(GramSolve::Dual);
    let run = DampedNewton::new().minimize(&model, vec![0.0]).unwrap();
    assert!(run.converged() && run.report.shifted > 0, "{run:?}");
    assert!(run.gradient_norm <= 1e-8 * 5e23, "{run:?}");
    for intercept in [false, true] {
        let model = || LogisticRegression::new(&data).intercept(intercept);
        for (name, run) in fits(model, tight, &UNPENALIZED, &model().origin()) {
            assert_eq!(run.status, SEPARABLE, "{name} {run:?}");
        }
    }
    // As absurd, but the two classes overlap: a finite answer in those units.
    for scale in [1e24, 1e-24, 1e100, 1e-100] {
        let data = column(&X.map(|x| x * scale), &Y);
        let model = || LogisticRegression::new(&data);
        let unit = DampedNewton::new()
            .gradient_tol(1e-12)
            .minimize(&LogisticRegression::new(&column(&X, &Y)), vec![0.0])
            .unwrap();
        let run = DampedNewton::new()
            .gradient_tol(1e-12)
            .minimize(&model(), vec![0.0])
            .unwrap();
        assert!(
            run.converged() && near(run.x[0] * scale, unit.x[0], 1e-10),
            "{scale}: {run:?}"
        );
        assert_eq!(run.report.iterations, unit.report.iterations);
    }
}

// UC-105
#[test]
fn more_features_than_rows_at_every_scale() {
    // Small ridges next to large columns: Auto takes the dual here.
    for scale in [1e-3, 1.0, 1e3, 1e6, 1e8, 1e10, 1e15] {
        let entry = |i: usize, j: usize| (0.7 * (i * 37 + j * j * 17 + 3 * i * j) as f64).sin();
        let row = |i| (0..40).map(|j| scale * entry(i, j)).collect();
        let rows: Vec<Vec<f64>> = (0..6).map(row).collect();
        let data = Dataset::from_rows(&rows, &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]).unwrap();
        for intercept in [false, true] {
            let model = || LogisticRegression::new(&data).l2(1e-3).intercept(intercept);
            for way in PENALIZED {
                let model = model().solve_by(way);
                for schedule in [Schedule::Universal, Schedule::Armijo] {
                    let solver = DampedNewton::new().schedule(schedule);
                    let run = solver.minimize(&model, model.origin()).unwrap();
                    let context = format!("{scale} {way:?} {schedule:?} {run:?}");
                    let by = Status::Converged(Converged::GradientTolerance);
                    assert_eq!(run.status, by, "{context}");
                    assert!(
                        run.gradient_norm <= 1e-8 * model.gradient_scale(),
                        "{context}"
                    );
                }
            }
        }
    }
}

// UC-106
#[test]
fn the_larger_label_is_positive_in_every_encoding_and_order() {
    for (low, high) in [
        (0.0, 1.0),
        (-1.0, 1.0),
        (1.0, 2.0),
        (-3.5, -0.25),
        (0.0, 1e9),
    ] {
        let y = Y.map(|y| if y > 0.0 { high } else { low });
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
            let data = column(&order.map(|i| X[i]), &order.map(|i| y[i]));
            let model = LogisticRegression::new(&data).intercept(true);
            let run = tight(Schedule::Universal)
                .minimize(&model, vec![0.0; 2])
                .unwrap();
            assert!(run.converged() && near(run.x[0], W, 1e-11) && near(run.x[1], B, 1e-11));
            assert!(near(5.0 * run.f, OBJECTIVE, 1e-14));
            let ends = column(&[-10.0, 10.0], &[low, high]);
            assert_eq!(model.predict(&run.x, &ends).unwrap(), [low, high]);
            let p = model.predict_proba(&run.x, &ends).unwrap();
            assert!(p[0] < 1e-4 && p[1] > 1.0 - 1e-3);
        }
    }
}

// UC-108
#[test]
fn the_penalty_multiplies_as_documented() {
    let twice = |v: [f64; 5]| [v, v].concat();
    let data = column(&X, &Y);
    let doubled = column(&twice(X), &twice(Y));
    for data in [&data, &doubled] {
        let model = || LogisticRegression::new(data).l2(1.0).intercept(true);
        for (name, run) in fits(model, tight, &PENALIZED, &[0.0, 0.0]) {
            assert!(run.converged(), "{name}");
            assert!(
                near(run.x[0], 0.272_107_405_870_147_2, 1e-10),
                "{name} {run:?}"
            );
            assert!(
                near(run.x[1], -0.124_021_358_258_646_97, 1e-10),
                "{name} {run:?}"
            );
        }
    }
    // Sum form with λ on n rows: μ = λ/n; doubled rows need 2λ. Weights do as repetition does.
    let fit = |model: LogisticRegression| {
        tight(Schedule::Universal)
            .minimize(&model.intercept(true), vec![0.0; 2])
            .unwrap()
            .x
    };
    let once = fit(LogisticRegression::new(&data).l2(1.0 / 5.0));
    let both = fit(LogisticRegression::new(&doubled).l2(2.0 / 10.0));
    let weighted = fit(LogisticRegression::new(&data)
        .sample_weights(&[7.0; 5])
        .l2(0.2));
    for other in [both, weighted] {
        assert!(near(other[0], once[0], 1e-11) && near(other[1], once[1], 1e-11));
    }
}

// UC-109
#[test]
fn one_class_fits_only_where_a_minimizer_exists() {
    for label in [1.0, 3.0, 0.0, -1.0] {
        let data = column(&[1.0, 1.0], &[label; 2]);
        let model = || LogisticRegression::new(&data).l2(0.5);
        // A label above zero is the positive class.
        let w = if label > 0.0 { 1.0 } else { -1.0 } * 0.674_831_614_342_399_4;
        for (name, run) in fits(model, tight, &PENALIZED, &[0.0]) {
            assert!(
                run.converged() && near(run.x[0], w, 1e-11),
                "{name} {label}: {run:?}"
            );
        }
        for model in [
            model().intercept(true),
            model().l2(0.0),
            model().l2(0.0).intercept(true),
        ] {
            let error = DampedNewton::new()
                .minimize(&model, model.origin())
                .unwrap_err();
            assert!(matches!(&error, Error::Data(_)), "{error}");
            assert!(error.to_string().contains("one class"), "{error}");
            assert!(error.to_string().contains(&label.to_string()), "{error}");
        }
    }
    let three = column(&X, &[0.0, 1.5, 2.0, 1.5, -4.0]);
    let model = LogisticRegression::new(&three).l2(1.0);
    let error = DampedNewton::new()
        .minimize(&model, vec![0.0])
        .unwrap_err()
        .to_string();
    assert!(error.contains("4 labels (-4, 0, 1.5, 2)"), "{error}");
    let hosted = Executor::new(model, DampedNewton::new())
        .configure(|state| state.param(vec![0.0]))
        .run()
        .err()
        .unwrap();
    assert!(
        matches!(hosted.downcast_ref(), Some(Error::Data(_))),
        "{hosted}"
    );
}

// UC-111, UC-115
#[test]
fn doubled_and_constant_columns_share_the_weight() {
    let rows: Vec<_> = X.iter().map(|&x| vec![x, x]).collect();
    let data = Dataset::from_rows(&rows, &Y).unwrap();
    let model = || LogisticRegression::new(&data).intercept(true);
    for (name, run) in fits(|| model().l2(0.2), tight, &PENALIZED, &[0.0; 3]) {
        assert!(run.converged() && run.report.shifted == 0, "{name}");
        assert!(
            near(run.x[0], 0.391_093_880_242_276_56, 1e-10),
            "{name} {run:?}"
        );
        assert!(
            near(run.x[1], 0.391_093_880_242_276_56, 1e-10),
            "{name} {run:?}"
        );
        assert!(
            near(run.x[2], -1.042_093_733_523_151_5, 1e-10),
            "{name} {run:?}"
        );
    }
    let solver = |s| DampedNewton::new().schedule(s).gradient_tol(1e-9);
    for (name, run) in fits(model, solver, &UNPENALIZED, &[0.0; 3]) {
        assert!(run.converged(), "{name} {run:?}");
        assert!((run.x[0] + run.x[1] - W).abs() <= 1e-6, "{name} {run:?}");
        assert!(
            (run.x[2] - B).abs() <= 1e-6 && near(5.0 * run.f, OBJECTIVE, 1e-12),
            "{name}"
        );
        let r = &run.report;
        // Of minimum norm, or the repair is reported; never huge.
        assert!(
            (run.x[0] - run.x[1]).abs() <= 1e-6 || r.shifted > 0,
            "{name} {run:?}"
        );
        assert!(run.x[0].abs() <= 10.0, "{name} {run:?}");
        if name.contains("Cg") {
            assert_eq!(r.factorizations, 0);
        } else {
            // Totals over first attempts and repairs.
            assert!(
                r.factorizations >= r.hessians && r.shifted <= r.hessians,
                "{name} {r:?}"
            );
            assert!(
                r.factorizations == r.hessians || r.shifted > 0,
                "{name} {r:?}"
            );
        }
        assert_eq!(r.hessians, run.counts["hessian_count"]);
        assert_eq!(r.gradients, run.counts["gradient_count"]);
        assert_eq!(r.values, run.counts["cost_count"]);
    }
    // A column of ones beside a free intercept, and a column of zeros.
    let rows: Vec<_> = X.iter().map(|&x| vec![x, 1.0, 0.0]).collect();
    let data = Dataset::from_rows(&rows, &Y).unwrap();
    let model = || LogisticRegression::new(&data).intercept(true);
    for (name, run) in fits(model, solver, &UNPENALIZED, &[0.0; 4]) {
        assert!(run.converged(), "{name} {run:?}");
        assert!(
            (run.x[0] - W).abs() <= 1e-6 && (run.x[1] + run.x[3] - B).abs() <= 1e-6,
            "{name}"
        );
        assert_eq!(run.x[2], 0.0);
    }
    // Penalized, the constant column must not steal from the free intercept.
    for (name, run) in fits(|| model().l2(0.2), tight, &PENALIZED, &[0.0; 4]) {
        assert!(run.converged() && run.x[1].abs() <= 1e-10, "{name} {run:?}");
        assert!(
            near(run.x[3], -1.042_093_733_523_151_5, 0.5) && run.x[2] == 0.0,
            "{name}"
        );
    }
}

// UC-112
#[test]
fn one_feature_with_an_intercept_is_fitted_by_every_solver() {
    let data = column(&X, &Y);
    let model = || LogisticRegression::new(&data).intercept(true);
    let mut all = fits(model, tight, &UNPENALIZED, &[0.0, 0.0]);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Greedy] {
        let free = DampedNewton::matrix_free()
            .schedule(schedule)
            .gradient_tol(1e-12);
        let run = free.minimize(&model(), vec![0.0; 2]).unwrap();
        all.push((format!("matrix-free {schedule:?}"), run.with_source()));
    }
    for (name, run) in all {
        assert!(run.converged(), "{name} {run:?}");
        assert!(
            near(run.x[0], W, 1e-9) && near(run.x[1], B, 1e-9),
            "{name} {run:?}"
        );
        assert!(near(5.0 * run.f, OBJECTIVE, 1e-12), "{name} {run:?}");
    }
}

// UC-113
#[test]
fn units_and_origins_of_the_columns_do_not_change_the_fit() {
    let base = column(&X, &Y);
    let start = |data: &Dataset, schedule| {
        let model = LogisticRegression::new(data).intercept(true);
        // The gradient of a scaled column has another unit: the decrement has none.
        let solver = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
        let run = solver
            .decrement_tol(1e-20)
            .minimize(&model, vec![0.0; 2])
            .unwrap();
        assert!(run.converged(), "{schedule:?} {run:?}");
        assert!(near(5.0 * run.f, OBJECTIVE, 1e-12), "{schedule:?} {run:?}");
        run
    };
    for schedule in SCHEDULES {
        let plain = start(&base, schedule);
        for (scale, shift) in [
            (1e6, 0.0),
            (1e-6, 0.0),
            (1.0, 100.0),
            (-1.0, 0.0),
            (1e6, 1e8),
        ] {
            let run = start(&column(&X.map(|x| scale * x + shift), &Y), schedule);
            let context = format!("{schedule:?} {scale} {shift} {run:?}");
            assert!(near(run.x[0] * scale, W, 1e-8), "{context}");
            let b = B - W / scale * shift;
            assert!((run.x[1] - b).abs() <= 1e-8 * (1.0 + b.abs()), "{context}");
            let (a, b) = (plain.report.iterations, run.report.iterations);
            assert!(a.abs_diff(b) <= 1, "{a} {context}");
        }
    }
}

// UC-114
#[test]
fn warm_starts_end_where_cold_ones_do() {
    let data = column(&X, &Y);
    for schedule in SCHEDULES {
        for tol in [1e-8, 1e-12] {
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(tol);
            let model = |lambda: f64| {
                LogisticRegression::new(&data)
                    .l2(lambda / 5.0)
                    .intercept(true)
            };
            let cold = |lambda: f64| {
                let run = solver
                    .clone()
                    .minimize(&model(lambda), vec![0.0; 2])
                    .unwrap();
                assert!(run.converged(), "{schedule:?} {run:?}");
                run.x
            };
            let x = cold(1.0);
            let again = solver.clone().minimize(&model(1.0), x.clone()).unwrap();
            assert!(
                again.converged() && again.report.iterations <= 1,
                "{again:?}"
            );
            assert!(
                near(again.x[0], x[0], 1e-12) && near(again.x[1], x[1], 1e-12),
                "{again:?}"
            );
            let mut w = vec![0.0; 2];
            for lambda in [10.0, 1.0, 0.1] {
                let run = solver.clone().minimize(&model(lambda), w).unwrap();
                assert!(run.converged());
                w = run.x;
                let c = cold(lambda);
                let bound = if tol < 1e-10 { 1e-8 } else { 1e-5 };
                assert!((w[0] - c[0]).abs() <= bound && (w[1] - c[1]).abs() <= bound);
            }
        }
    }
}

/// Separable data: columns, labels, whether only with an intercept.
fn separable() -> Vec<(&'static str, Dataset, bool)> {
    let rows = |rows: &[[f64; 2]], y: &[f64]| {
        let rows: Vec<_> = rows.iter().map(|r| r.to_vec()).collect();
        Dataset::from_rows(&rows, y).unwrap()
    };
    let half = [0.0, 0.0, 1.0, 1.0];
    vec![
        ("complete", column(&[-2.0, -1.0, 1.0, 2.0], &half), false),
        ("wide", column(&[-2e8, -1e-3, 1e-3, 2e8], &half), false),
        ("reversed", column(&[2.0, 1.0, -1.0, -2.0], &half), false),
        ("offset", column(&[100.0, 101.0, 103.0, 104.0], &half), true),
        ("quasi", column(&[-1.0, 0.0, 0.0, 1.0], &half), false),
        ("quasi offset", column(&[4.0, 5.0, 5.0, 6.0], &half), true),
        // The first column separates quasi-completely, the second overlaps.
        (
            "mixed",
            rows(
                &[
                    [-1.0, 2.0],
                    [0.0, 1.0],
                    [0.0, 3.0],
                    [0.0, -1.0],
                    [0.0, 2.0],
                    [1.0, 0.5],
                ],
                &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0],
            ),
            false,
        ),
        // Separated by the diagonal only.
        (
            "diagonal",
            rows(&[[0.0, 1.0], [5.0, 6.0], [1.0, 0.0], [6.0, 5.0]], &half),
            false,
        ),
    ]
}

#[test]
fn separable_classes_without_a_penalty_never_converge() {
    for (kind, data, offset) in separable() {
        for intercept in [true, false] {
            if offset && !intercept {
                continue;
            }
            let model = || LogisticRegression::new(&data).intercept(intercept);
            let solver = |s| DampedNewton::new().schedule(s).max_iters(2000);
            let mut all = fits(model, solver, &UNPENALIZED, &model().origin());
            for s in [Schedule::Universal, Schedule::Armijo] {
                let free = DampedNewton::matrix_free().schedule(s).max_iters(2000);
                let run = free.minimize(&model(), model().origin()).unwrap();
                all.push((format!("matrix-free {s:?}"), run.with_source()));
            }
            for (name, run) in all {
                assert_eq!(run.status, SEPARABLE, "{kind} {intercept} {name}: {run:?}");
                assert!(run.x.iter().all(|w| w.is_finite()) && run.f.is_finite());
            }
            // With the least penalty a minimizer exists and is found.
            let run = DampedNewton::new()
                .minimize(&model().l2(1e-6), model().origin())
                .unwrap();
            assert!(run.converged(), "{kind} {run:?}");
        }
    }
    // A start far out on the separating ray meets the gradient test at once.
    let data = column(&[-2.0, -1.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 1.0]);
    let model = LogisticRegression::new(&data);
    let run = DampedNewton::new().minimize(&model, vec![1000.0]).unwrap();
    assert_eq!((run.status, run.x[0]), (SEPARABLE, 1000.0));
}

#[test]
fn nearly_separable_classes_are_not_called_separable() {
    // One row in 1/ε contradicts the others: w = ln((1 − ε)/ε).
    for epsilon in [0.4, 1e-2, 1e-4, 1e-6] {
        let data = column(&[1.0, 1.0], &[1.0, 0.0]);
        for schedule in SCHEDULES {
            let weights = [1.0 - epsilon, epsilon];
            let model = LogisticRegression::new(&data).sample_weights(&weights);
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(1e-13);
            let run = solver.minimize(&model, vec![0.0]).unwrap();
            let w = ((1.0 - epsilon) / epsilon).ln();
            assert!(run.converged(), "{schedule:?} {epsilon}: {run:?}");
            assert!(
                near(run.x[0], w, 1e-6),
                "{schedule:?} {epsilon} {w}: {run:?}"
            );
        }
    }
    // Twenty rows a class that overlap in one pair only.
    let x: Vec<f64> = (-20..20).map(|k| f64::from(k) + 0.5).collect();
    let y: Vec<f64> = x
        .iter()
        .map(|&x| {
            if x == 0.5 || x == -0.5 {
                x < 0.0
            } else {
                x > 0.0
            }
        })
        .map(f64::from)
        .collect();
    let model = LogisticRegression::new(&column(&x, &y)).intercept(true);
    let run = DampedNewton::new().minimize(&model, vec![0.0; 2]).unwrap();
    assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
    assert!(run.x[0] > 1.0 && run.x[1].abs() <= 1e-6, "{run:?}");
}
