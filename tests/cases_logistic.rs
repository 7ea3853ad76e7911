//! Failures that users of logistic regression have reported, each as a test of its kind.

use argmin::core::Executor;
use raphson::{
    DampedNewton, Dataset, Error, Failed, GramSolve, LogisticRegression, Outcome, Run, Schedule,
    Status,
};

const X: [f64; 5] = [0.0, 1.0, 2.0, 3.0, 4.0];
const Y: [f64; 5] = [0.0, 1.0, 0.0, 1.0, 1.0];
/// Unpenalized fit of Y on X with intercept, and its sum loss.
const W: f64 = 1.0904255602981153;
const B: f64 = -1.5581610551624728;
const LOSS: f64 = 2.4219668436858104;

fn data(columns: &[&[f64]], labels: &[f64]) -> Dataset {
    let rows: Vec<Vec<f64>> = (0..labels.len())
        .map(|i| columns.iter().map(|c| c[i]).collect())
        .collect();
    Dataset::from_rows(&rows, labels).unwrap()
}

fn solver() -> DampedNewton {
    DampedNewton::new().gradient_tol(1e-12)
}

fn fit(model: &LogisticRegression) -> Run<Vec<f64>> {
    let run = solver().minimize(model, model.origin()).unwrap();
    let result = Executor::new(Borrowed(model), solver())
        .configure(|state| state.param(model.origin()))
        .run()
        .unwrap();
    assert_eq!(result.status(), run.status);
    assert_eq!(result.state.param.unwrap(), run.x);
    run
}

/// argmin takes problems by value.
struct Borrowed<'a>(&'a LogisticRegression);
impl argmin::core::CostFunction for Borrowed<'_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, w: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        argmin::core::CostFunction::cost(self.0, w)
    }
}
impl argmin::core::Gradient for Borrowed<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        argmin::core::Gradient::gradient(self.0, w)
    }
}
impl argmin::core::Hessian for Borrowed<'_> {
    type Param = Vec<f64>;
    type Hessian = raphson::models::logistic::WeightedGram;
    fn hessian(&self, w: &Vec<f64>) -> Result<Self::Hessian, argmin::core::Error> {
        argmin::core::Hessian::hessian(self.0, w)
    }
}

fn near(found: &[f64], expected: &[f64], tol: f64) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() <= tol * e.abs().max(1.0),
            "{found:?} {expected:?}"
        );
    }
}

// UC-105
#[test]
fn absurdly_scaled_separable_features() {
    let far = data(&[&[-1e24, 1e24]], &[0.0, 1.0]);
    // Sum loss plus w²/2 is twice the mean loss plus w²/4.
    let model = LogisticRegression::new(&far).l2(0.5);
    // Relative to its value at the origin the gradient is tiny long before; the decrement is not.
    let run = DampedNewton::new()
        .gradient_tol(0.0)
        .decrement_tol(1e-14)
        .minimize(&model, model.origin())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    assert!(fit(&model).converged());
    assert!(
        (run.x[0] / 1.0654863014228996e-22 - 1.0).abs() < 1e-8,
        "{:?}",
        run.x
    );
    assert!(run.f.is_finite() && 2.0 * run.f <= 1e-40);
    for scale in [1e-12, 1.0, 1e24, 1e100] {
        let separable = data(&[&[-scale, scale]], &[0.0, 1.0]);
        let run = fit(&LogisticRegression::new(&separable));
        assert!(
            !run.converged() && run.x[0].is_finite() && run.f.is_finite(),
            "{}",
            run.status
        );
    }
}

#[test]
fn separable_classes_are_named_and_never_converge() {
    let separable = Status::Failed(Failed::Separable);
    let complete = data(&[&[-2.0, -1.0, 1.0, 3.0]], &[0.0, 0.0, 1.0, 1.0]);
    let shifted = data(&[&[98.0, 99.0, 101.0, 103.0]], &[0.0, 0.0, 1.0, 1.0]);
    // Both classes share the value 0: separable only in the limit.
    let quasi = data(&[&[-1.0, 0.0, 0.0, 1.0]], &[0.0, 0.0, 1.0, 1.0]);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Greedy] {
        for (data, intercept) in [
            (&complete, false),
            (&complete, true),
            (&shifted, true),
            (&quasi, false),
            (&quasi, true),
        ] {
            let model = LogisticRegression::new(data).intercept(intercept);
            let run = DampedNewton::new()
                .schedule(schedule)
                .minimize(&model, model.origin())
                .unwrap();
            assert_eq!(run.status, separable, "{schedule:?} {:?}", run.x);
            assert!(run.x.iter().all(|w| w.is_finite()) && run.f.is_finite());
            // The smallest penalty makes it a problem with a solution.
            let model = LogisticRegression::new(data).intercept(intercept).l2(1e-6);
            assert!(fit(&model).converged());
        }
    }
}

// UC-106
#[test]
fn the_larger_label_is_positive_in_every_encoding_and_order() {
    for (low, high) in [(0.0, 1.0), (-1.0, 1.0), (1.0, 2.0), (-7.5, -2.0)] {
        let mut x = X.to_vec();
        let mut y: Vec<f64> = Y
            .iter()
            .map(|y| if *y == 1.0 { high } else { low })
            .collect();
        for _ in 0..2 {
            let data = data(&[&x], &y);
            let model = LogisticRegression::new(&data).intercept(true);
            let run = fit(&model);
            near(&run.x, &[W, B], 1e-8);
            near(&[5.0 * run.f], &[LOSS], 1e-12);
            let predicted = model.predict(&run.x, &data).unwrap();
            assert!(predicted.iter().all(|p| *p == low || *p == high));
            x.reverse();
            y.reverse();
        }
    }
}

// UC-108
#[test]
fn the_loss_is_a_mean_and_rows_may_be_repeated() {
    let once = LogisticRegression::new(&data(&[&X], &Y))
        .intercept(true)
        .l2(1.0);
    let run = fit(&once);
    near(&run.x, &[0.2721074058701472, -0.12402135825864697], 1e-10);
    let (x, y) = ([X, X].concat(), [Y, Y].concat());
    let twice = LogisticRegression::new(&data(&[&x], &y))
        .intercept(true)
        .l2(1.0);
    near(&fit(&twice).x, &run.x, 1e-10);
    // Weights stand for repetitions.
    let weighted = LogisticRegression::new(&data(&[&X], &Y))
        .intercept(true)
        .l2(1.0)
        .sample_weights(&[2.0; 5]);
    near(&fit(&weighted).x, &run.x, 1e-12);
}

// UC-109
#[test]
fn one_class_and_three() {
    let one = data(&[&[1.0, 1.0]], &[1.0, 1.0]);
    let model = LogisticRegression::new(&one).l2(0.5);
    near(&fit(&model).x, &[0.6748316143423994], 1e-10);
    let message = |model: LogisticRegression| {
        let checked = model.check().unwrap_err().to_string();
        match solver().minimize(&model, model.origin()) {
            Err(Error::Data(text)) => assert_eq!(text, checked),
            other => panic!("{other:?}"),
        }
        checked
    };
    assert!(message(LogisticRegression::new(&one).l2(0.5).intercept(true)).contains("one class"));
    assert!(message(LogisticRegression::new(&one)).contains("one class"));
    let three = data(&[&X], &[0.0, 1.0, 2.0, 1.0, 0.0]);
    let text = message(LogisticRegression::new(&three).l2(1.0));
    assert!(
        text.contains("3 labels (0, 1, 2)") && text.contains("softmax"),
        "{text}"
    );
    // A single negative label: no row is positive.
    let negative = data(&[&[1.0, 1.0]], &[-1.0, -1.0]);
    near(
        &fit(&LogisticRegression::new(&negative).l2(0.5)).x,
        &[-0.6748316143423994],
        1e-10,
    );
}

#[test]
fn options_that_do_not_fit_are_typed_errors() {
    let base = || LogisticRegression::new(&data(&[&X], &Y));
    for model in [
        base().l2(-1.0),
        base().l2(f64::NAN),
        base().sample_weights(&[1.0; 4]),
        base().sample_weights(&[0.0; 5]),
        base().sample_weights(&[1.0, 1.0, 1.0, 1.0, -1.0]),
        base().solve_by(GramSolve::Dual),
    ] {
        assert!(matches!(model.check(), Err(Error::Data(_))));
        assert!(matches!(
            solver().minimize(&model, vec![0.0]),
            Err(Error::Data(_))
        ));
    }
    let wrong = solver().minimize(&base(), vec![0.0; 3]).unwrap_err();
    assert!(matches!(
        wrong,
        Error::WrongLength {
            expected: 1,
            found: 3,
            ..
        }
    ));
}

// UC-111
#[test]
fn doubled_and_constant_columns() {
    let twice = data(&[&X, &X], &Y);
    // Sum loss with λ = 1 is the mean loss with μ = 1/5.
    let model = LogisticRegression::new(&twice).intercept(true).l2(0.2);
    let c = 0.39109388024227656;
    near(&fit(&model).x, &[c, c, -1.0420937335231515], 1e-10);
    // Without penalty the coefficients are not unique; the fit is, and the shift says so.
    let model = LogisticRegression::new(&twice).intercept(true);
    let run = fit(&model);
    assert!(run.converged(), "{}", run.status);
    near(&[run.x[0] + run.x[1], run.x[2]], &[W, B], 1e-6);
    assert!((run.x[0] - run.x[1]).abs() < 0.1);
    near(&[5.0 * run.f], &[LOSS], 1e-12);
    assert!(run.report.shifted > 0);
    // A constant column next to a free intercept, with and without penalty.
    let constant = data(&[&X, &[3.0; 5]], &Y);
    let run = fit(&LogisticRegression::new(&constant).intercept(true));
    near(&[run.x[0], 3.0 * run.x[1] + run.x[2]], &[W, B], 1e-6);
    let run = fit(&LogisticRegression::new(&constant).intercept(true).l2(0.2));
    assert!(run.converged() && run.x[1].abs() < 1e-8, "{:?}", run.x);
    // A column of zeros gets a zero coefficient.
    let zero = data(&[&X, &[0.0; 5]], &Y);
    let run = fit(&LogisticRegression::new(&zero).intercept(true));
    assert_eq!(run.x[1], 0.0);
    near(&[run.x[0], run.x[2]], &[W, B], 1e-6);
}

// UC-112
#[test]
fn one_feature_by_every_schedule_and_system() {
    let model = |way| {
        LogisticRegression::new(&data(&[&X], &Y))
            .intercept(true)
            .solve_by(way)
    };
    for schedule in [
        Schedule::Universal,
        Schedule::Armijo,
        Schedule::Greedy,
        Schedule::Classical,
        Schedule::Full,
        Schedule::Aicn { lipschitz: 5.0 },
        Schedule::Explicit {
            q: 3.0,
            constant: 5.0,
        },
    ] {
        for way in [GramSolve::Auto, GramSolve::Primal, GramSolve::Cg] {
            let run = solver()
                .schedule(schedule)
                .minimize(&model(way), vec![0.0, 0.0])
                .unwrap();
            assert!(run.converged(), "{schedule:?} {way:?} {}", run.status);
            near(&run.x, &[W, B], 1e-8);
            near(&[5.0 * run.f], &[LOSS], 1e-12);
        }
    }
    let run = DampedNewton::matrix_free()
        .gradient_tol(1e-12)
        .minimize(&model(GramSolve::Auto), vec![0.0, 0.0])
        .unwrap();
    near(&run.x, &[W, B], 1e-8);
}

// UC-113
#[test]
fn units_and_origins_of_columns_do_not_matter() {
    let plain = fit(&LogisticRegression::new(&data(&[&X], &Y)).intercept(true));
    for (scale, shift) in [(1e6, 0.0), (1e-6, 0.0), (1.0, 100.0), (1e3, -1e4)] {
        let x = X.map(|x| scale * x + shift);
        let model = LogisticRegression::new(&data(&[&x], &Y)).intercept(true);
        // The gradient has another unit too; ask for the same accuracy in f.
        let run = DampedNewton::new()
            .gradient_tol(0.0)
            .decrement_tol(1e-20)
            .minimize(&model, vec![0.0, 0.0])
            .unwrap();
        assert!(run.converged(), "{}", run.status);
        let b = B - W / scale * shift;
        assert!(
            (run.x[0] * scale / W - 1.0).abs() < 1e-7,
            "{scale} {shift} {:?}",
            run.x
        );
        assert!((run.x[1] - b).abs() <= 1e-7 * b.abs().max(1.0));
        near(&[5.0 * run.f], &[LOSS], 1e-12);
        assert!(run.report.iterations.abs_diff(plain.report.iterations) <= 1);
    }
}

// UC-114
#[test]
fn warm_starts_stay_where_they_are() {
    let model = |mu: f64| {
        LogisticRegression::new(&data(&[&X], &Y))
            .intercept(true)
            .l2(mu)
    };
    let cold = DampedNewton::new()
        .minimize(&model(0.2), vec![0.0, 0.0])
        .unwrap();
    let warm = DampedNewton::new()
        .minimize(&model(0.2), cold.x.clone())
        .unwrap();
    assert!(warm.converged() && warm.report.iterations <= 1);
    near(&warm.x, &cold.x, 1e-12);
    let mut at = vec![0.0, 0.0];
    for mu in [2.0, 0.2, 0.02] {
        let run = solver().minimize(&model(mu), at).unwrap();
        near(&run.x, &fit(&model(mu)).x, 1e-8);
        at = run.x;
    }
}

// UC-115
#[test]
fn counts_are_totals_over_a_fallback() {
    let twice = data(&[&X, &X], &Y);
    let run = fit(&LogisticRegression::new(&twice).intercept(true));
    let report = &run.report;
    assert!(report.shifted > 0 && report.factorizations > report.iterations);
    assert_eq!(report.iterations, report.hessians);
    assert_eq!(run.counts["hessian_count"], report.hessians);
    assert_eq!(run.counts["gradient_count"], report.gradients);
    assert!(report.iterations > 0 && report.shift > 0.0);
}
