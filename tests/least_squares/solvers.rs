//! Levenberg-Marquardt and Gauss-Newton: values, counts, ends, losses, statistics.

use argmin::core::{Error as HostError, Executor, Jacobian, Operator, State};
use faer::Mat;
use faer::sparse::{SparseColMat, Triplet};
use raphson::difference::FromResiduals;
use raphson::oracle::Residuals;
use raphson::problem::residuals_fn;
use raphson::{
    Converged, Error, Failed, GaussNewton, LevenbergMarquardt, Outcome, RectMat, RobustLoss, Run,
    Status, Stopped,
};

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Residuals with a Jacobian of type `J`.
trait Fit<J>:
    Operator<Param = Vec<f64>, Output = Vec<f64>> + Jacobian<Param = Vec<f64>, Jacobian = J>
{
}
impl<J, F> Fit<J> for F where
    F: Operator<Param = Vec<f64>, Output = Vec<f64>> + Jacobian<Param = Vec<f64>, Jacobian = J>
{
}

/// r = Ax − b.
fn linear(a: Mat<f64>, b: Vec<f64>) -> impl Fit<Mat<f64>> {
    let copy = a.clone();
    residuals_fn(
        move |x: &[f64]| {
            let mut r = vec![0.0; b.len()];
            a.rect().mul(x, &mut r);
            r.iter().zip(&b).map(|(r, b)| r - b).collect()
        },
        move |_: &[f64]| copy.clone(),
    )
}

/// One-dimensional r with its derivative.
fn scalar(r: fn(f64) -> f64, d: fn(f64) -> f64) -> impl Fit<[[f64; 1]; 1]> {
    residuals_fn(move |x: &[f64]| vec![r(x[0])], move |x: &[f64]| [[d(x[0])]])
}

/// Runs both methods on a problem.
macro_rules! both {
    ($problem:expr, $x0:expr) => {
        [
            LevenbergMarquardt::new().minimize(&$problem, $x0).unwrap(),
            GaussNewton::new().minimize(&$problem, $x0).unwrap(),
        ]
    };
}

fn spread(rows: usize, cols: usize) -> Mat<f64> {
    Mat::from_fn(rows, cols, |i, j| {
        ((7 * i + 13 * j + i * j + 1) as f64).sin()
    })
}

#[test]
fn one_residual_of_two_variables_has_its_shortest_answer() {
    let line = linear(Mat::full(1, 2, 1.0), vec![1.0]);
    for run in both!(line, vec![0.0, 0.0]) {
        assert!(run.converged() && run.f <= 1e-31, "{}", run.status);
        assert!((run.x[0] - 0.5).abs() < 1e-15 && (run.x[1] - 0.5).abs() < 1e-15);
    }
}

#[test]
fn three_residuals_of_ten_thousand_variables() {
    let (m, n) = (3, 10_000);
    let a = spread(m, n);
    let fit = linear(a.clone(), vec![1.0, -2.0, 3.0]);
    let run = GaussNewton::new()
        .max_iters(1)
        .minimize(&fit, vec![0.0; n])
        .unwrap();
    assert!(run.f <= 1e-25, "{}", run.f);
    // Shortest: x = Aᵀu, with u from the three normal equations AAᵀu = b.
    let gram = &a * a.transpose();
    let solve = faer::linalg::solvers::Solve::solve(
        &gram.llt(faer::Side::Lower).unwrap(),
        faer::mat![[1.0], [-2.0], [3.0]],
    );
    let exact = a.transpose() * solve;
    let error = (0..n).map(|j| (run.x[j] - exact[(j, 0)]).abs());
    assert!(error.fold(0.0, f64::max) < 1e-15);
    let run = LevenbergMarquardt::new()
        .minimize(&fit, vec![0.0; n])
        .unwrap();
    assert!(run.converged() && run.f <= 1e-25, "{}", run.status);
    assert!(run.statistics.is_none());
}

#[test]
fn an_unused_parameter_stays_and_is_not_estimable() {
    let t = [0.5, 1.0, 2.0, 4.0];
    let y = t.map(|t: f64| 0.8 * (1.0 - (-t / 1.5).exp()));
    let fit = residuals_fn(
        move |x: &[f64]| {
            let model = |t: f64| 0.8 * (1.0 - (-t / x[0]).exp());
            t.iter().zip(&y).map(|(t, y)| model(*t) - y).collect()
        },
        move |x: &[f64]| {
            let d = |t: f64| -0.8 * (-t / x[0]).exp() * t / (x[0] * x[0]);
            t.map(|t| [d(t), 0.0])
        },
    );
    for run in both!(fit, vec![0.5, 0.5]) {
        assert!(run.converged(), "{}", run.status);
        assert!((run.x[0] - 1.5).abs() < 1e-8, "{:?}", run.x);
        assert_eq!(run.x[1], 0.5);
        let statistics = run.statistics.unwrap();
        assert_eq!((statistics.rank(), statistics.degrees_of_freedom()), (1, 3));
        assert_eq!(statistics.estimable(), [true, false]);
        let errors = statistics.standard_errors().unwrap();
        assert!(errors[0].is_finite() && errors[1] == f64::INFINITY);
        let covariance = statistics.covariance().unwrap();
        assert!(covariance[(0, 0)].is_finite() && covariance[(0, 1)] == f64::INFINITY);
    }
}

#[test]
fn exactly_zero_residuals_end_the_run() {
    for run in both!(scalar(|x| x - 2.0, |_| 1.0), vec![2.0]) {
        assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
        assert_eq!(
            (run.f, run.report.iterations, run.report.residuals),
            (0.0, 0, 1)
        );
    }
    for run in both!(scalar(|x| x, |_| 1.0), vec![1.0]) {
        assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
        assert_eq!((run.x[0], run.report.iterations), (0.0, 1));
    }
}

#[test]
fn what_is_not_finite_at_the_start_is_named() {
    let infinite = residuals_fn(
        |x: &[f64]| vec![x[0], f64::INFINITY, x[1]],
        |_: &[f64]| [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]],
    );
    for run in both!(infinite, vec![3.0, 3.0]) {
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        assert_eq!((run.report.offender, run.report.jacobians), (Some(1), 0));
        assert_eq!(run.x, [3.0, 3.0]);
    }
    let root = scalar(|x| x.sqrt() - 1.0, |x| 0.5 / x.sqrt());
    for run in both!(root, vec![0.0]) {
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        assert_eq!(run.report.offender, Some(0));
    }
    for run in both!(root, vec![0.25]) {
        assert!(run.converged() && (run.x[0] - 1.0).abs() < 1e-14);
    }
    let power = residuals_fn(
        |x: &[f64]| {
            [0.0, 1.0]
                .map(|t: f64| t.powf(x[0]) * (t / x[1]).exp() - 1.0)
                .to_vec()
        },
        |x: &[f64]| [0.0, 1.0].map(|t: f64| [t.ln(), -t / (x[1] * x[1])]),
    );
    for run in both!(power, vec![1.0, 0.0]) {
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        assert!(run.statistics.is_none());
    }
}

#[test]
fn arctan_is_solved_from_where_plain_steps_diverge() {
    for x0 in [1.0, 3.0, -40.0] {
        for run in both!(scalar(f64::atan, |x| 1.0 / (1.0 + x * x)), vec![x0]) {
            assert!(
                run.converged() && run.x[0].abs() < 1e-15,
                "{x0}: {}",
                run.status
            );
            assert_eq!(run.counts["operator_count"], 1 + run.report.trials);
            assert_eq!(run.counts["jacobian_count"], 1 + run.report.iterations);
        }
    }
}

#[test]
fn a_line_takes_one_full_step() {
    let line = linear(
        faer::mat![[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]],
        vec![1.0, 2.0, 2.0],
    );
    for x0 in [vec![0.0, 0.0], vec![100.0, -100.0]] {
        let run = GaussNewton::new().max_iters(1).minimize(&line, x0).unwrap();
        assert_eq!(run.report.residuals, 2);
        assert!((run.x[0] - 2.0 / 3.0).abs() < 1e-12 && (run.x[1] - 0.5).abs() < 1e-12);
        let statistics = run.statistics.unwrap();
        // Residuals 1/6, −1/3, 1/6: sum of squares 1/6, one degree of freedom.
        let sigma = statistics.residual_deviation().unwrap();
        assert!((sigma - (1.0_f64 / 6.0).sqrt()).abs() < 1e-12);
        // (AᵀA)⁻¹ = [[7/3, −1], [−1, 1/2]].
        let covariance = statistics.covariance().unwrap();
        for (i, j, exact) in [(0, 0, 7.0 / 18.0), (0, 1, -1.0 / 6.0), (1, 1, 1.0 / 12.0)] {
            assert!((covariance[(i, j)] - exact).abs() < 1e-12);
        }
        let errors = statistics.standard_errors().unwrap();
        assert!((errors[1] - (1.0_f64 / 12.0).sqrt()).abs() < 1e-12);
    }
}

#[test]
fn trials_that_are_not_finite_are_rejected() {
    // The first full step from 4 leaves the domain of the logarithm: 4 − 4 ln 4 < 0.
    for run in both!(scalar(f64::ln, |x| 1.0 / x), vec![4.0]) {
        assert!(run.converged() && (run.x[0] - 1.0).abs() < 1e-14);
        assert!(run.report.rejected >= 1);
    }
    // Everything but the start is NaN: no step, no convergence, the start is kept.
    let hole = scalar(|x| if x == 2.0 { 1.0 } else { f64::NAN }, |_| 1.0);
    for run in both!(hole, vec![2.0]) {
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        assert_eq!((run.x[0], run.report.iterations), (2.0, 0));
        assert!(run.report.rejected >= 20);
    }
    // A Jacobian that is NaN at the second point ends the run there, as a failure.
    let broken = scalar(|x| x, |x| if x == 3.0 { 1.0 } else { f64::NAN });
    for run in both!(broken, vec![3.0]) {
        assert!(!run.converged() || run.f == 0.0, "{}", run.status);
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
    }
}

#[test]
fn a_wrong_jacobian_never_converges() {
    // The sign is wrong: every step goes up.
    let wrong = residuals_fn(
        |x: &[f64]| vec![x[0] - 1.0, x[0] + 2.0],
        |_: &[f64]| [[-1.0], [-1.0]],
    );
    for run in both!(wrong, vec![5.0]) {
        assert!(!run.converged(), "{}", run.status);
        assert_eq!((run.x[0], run.report.iterations), (5.0, 0));
    }
}

struct Odd {
    lengths: std::cell::Cell<usize>,
    rows: usize,
}

impl Operator for Odd {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        if x[0] < -1e3 {
            return Err(HostError::msg("out of the table"));
        }
        let length = self.lengths.get();
        self.lengths.set(length.saturating_sub(1));
        Ok(vec![1.0 + x[0]; length])
    }
}
impl Jacobian for Odd {
    type Param = Vec<f64>;
    type Jacobian = Vec<Vec<f64>>;
    fn jacobian(&self, _: &Vec<f64>) -> Result<Vec<Vec<f64>>, HostError> {
        Ok(vec![vec![1.0]; self.rows])
    }
}

#[test]
fn shapes_are_checked() {
    let run = |lengths: usize, rows, x0: Vec<f64>| {
        let odd = Odd {
            lengths: std::cell::Cell::new(lengths),
            rows,
        };
        LevenbergMarquardt::new().minimize(&odd, x0)
    };
    let error = run(0, 0, vec![1.0]).unwrap_err();
    assert!(matches!(error, Error::Data(_)), "{error}");
    assert!(error.to_string().contains("no residuals"));
    let error = run(3, 2, vec![1.0]).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongShape {
            rows: 2,
            expected_rows: 3,
            ..
        }
    ));
    let error = run(3, 3, vec![1.0, 2.0]).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongShape {
            cols: 1,
            expected_cols: 2,
            ..
        }
    ));
    let error = run(3, 3, vec![1.0]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::WrongLength {
                expected: 3,
                found: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(run(3, 3, vec![]).unwrap_err(), Error::Data(_)));
    let error = run(3, 3, vec![f64::NAN]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }));
    let error = run(3, 3, vec![-2e3]).unwrap_err();
    assert!(matches!(error, Error::Problem(_)) && error.to_string().contains("out of the table"));
    let fit = scalar(|x| x, |_| 1.0);
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let solver = LevenbergMarquardt::new().loss(RobustLoss::Huber, scale);
        let error = solver.minimize(&fit, vec![1.0]).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
    }
}

/// Residuals that stay large: y = exp(bt) through scattered points.
fn growth() -> impl Fit<Vec<Vec<f64>>> {
    let points = [
        (0.0, 1.5),
        (1.0, 1.0),
        (2.0, 4.0),
        (3.0, 3.0),
        (4.0, 9.0),
        (5.0, 6.0),
    ];
    residuals_fn(
        move |x: &[f64]| {
            points
                .iter()
                .map(|(t, y)| x[0] * (x[1] * t).exp() - y)
                .collect()
        },
        move |x: &[f64]| {
            let row = |t: f64| vec![(x[1] * t).exp(), x[0] * t * (x[1] * t).exp()];
            points.iter().map(|(t, _)| row(*t)).collect()
        },
    )
}

#[test]
fn each_tolerance_is_honoured_alone() {
    let x0 = || vec![3.0, 0.1];
    let tight = LevenbergMarquardt::new().minimize(&growth(), x0()).unwrap();
    assert!(tight.converged());
    let off = || LevenbergMarquardt::new().gradient_tol(0.0);
    let ends = |run: &Run<Vec<f64>, Residuals>, how| {
        assert_eq!(run.status, Status::Converged(how));
        assert!(run.report.iterations < tight.report.iterations);
        assert!((run.f - tight.f) / tight.f < 1e-4 && run.f >= tight.f * (1.0 - 1e-14));
    };
    let solver = LevenbergMarquardt::new().gradient_tol(1e-4);
    let run = solver.minimize(&growth(), x0()).unwrap();
    ends(&run, Converged::GradientTolerance);
    let run = off()
        .gradient_tol_abs(1e-2)
        .minimize(&growth(), x0())
        .unwrap();
    ends(&run, Converged::GradientTolerance);
    assert!(run.gradient_norm <= 1e-2);
    let mut steps = Vec::new();
    let run = off()
        .step_tol(1e-3)
        .on_iteration(|record| {
            steps.push(record.step_norm);
            true
        })
        .minimize(&growth(), x0())
        .unwrap();
    ends(&run, Converged::StepTolerance);
    let bound = 1e-3 * (1e-3 + norm(&run.x));
    let (last, earlier) = steps[1..].split_last().unwrap();
    assert!(*last <= bound && earlier.iter().all(|s| *s > bound));
    let mut values = Vec::new();
    let run = off()
        .cost_tol(1e-5)
        .on_iteration(|record| {
            values.push(record.f);
            true
        })
        .minimize(&growth(), x0())
        .unwrap();
    ends(&run, Converged::CostTolerance);
    let changes: Vec<f64> = values.windows(2).map(|w| (w[0] - w[1]).abs()).collect();
    let (last, earlier) = changes.split_last().unwrap();
    assert!(*last <= 1e-5 && earlier.iter().all(|c| *c > 1e-5));
    let run = off().decrement_tol(1e-6).minimize(&growth(), x0()).unwrap();
    ends(&run, Converged::DecrementTolerance);
    let run = off()
        .step_tol(1e-1)
        .cost_tol(1e-7)
        .require_all(true)
        .minimize(&growth(), x0())
        .unwrap();
    assert!(run.converged() && run.report.iterations > 3);
    let run = off().max_iters(2).minimize(&growth(), x0()).unwrap();
    assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
    assert_eq!(run.report.iterations, 2);
    // All tests off: the rounding floor ends the run.
    let run = off().minimize(&growth(), x0()).unwrap();
    assert_eq!(run.status, Status::Converged(Converged::PrecisionFloor));
}

#[test]
fn the_units_of_variables_do_not_matter() {
    // Powers of two, so that rounding does not either.
    let units = [2.0_f64.powi(40), 2.0_f64.powi(-30)];
    let base = LevenbergMarquardt::new()
        .minimize(&growth(), vec![3.0, 0.1])
        .unwrap();
    let inner = growth();
    let scaled = residuals_fn(
        |x: &[f64]| {
            inner
                .apply(&vec![x[0] / units[0], x[1] / units[1]])
                .unwrap()
        },
        |x: &[f64]| {
            let j = inner
                .jacobian(&vec![x[0] / units[0], x[1] / units[1]])
                .unwrap();
            j.iter()
                .map(|row| vec![row[0] / units[0], row[1] / units[1]])
                .collect::<Vec<_>>()
        },
    );
    let run = LevenbergMarquardt::new()
        .minimize(&scaled, vec![3.0 * units[0], 0.1 * units[1]])
        .unwrap();
    assert_eq!(run.x, [base.x[0] * units[0], base.x[1] * units[1]]);
    assert_eq!(run.report.residuals, base.report.residuals);
    assert_eq!(run.f, base.f);
}

#[test]
fn argmin_runs_it_with_the_same_counts() {
    let plain = LevenbergMarquardt::new()
        .minimize(&growth(), vec![3.0, 0.1])
        .unwrap();
    let result = Executor::new(growth(), LevenbergMarquardt::new())
        .configure(|state| state.param(vec![3.0, 0.1]))
        .run()
        .unwrap();
    assert_eq!(result.status(), plain.status);
    assert_eq!(result.state.get_best_param().unwrap(), &plain.x);
    assert_eq!(result.problem.counts, plain.counts);
    assert_eq!(result.solver.report(), &plain.report);
    assert_eq!(result.solver.statistics(), plain.statistics);
    let g = result.state.get_gradient().unwrap();
    assert_eq!(norm(g).to_bits(), plain.gradient_norm.to_bits());
}

#[test]
fn rank_deficient_problems_take_the_shortest_step() {
    // Columns 1 and 3 are the same, column 4 is zero.
    let base = spread(12, 2);
    let a = Mat::from_fn(12, 4, |i, j| match j {
        0 | 2 => base[(i, 0)],
        1 => 1e6 * base[(i, 1)],
        _ => 0.0,
    });
    let b: Vec<f64> = (0..12).map(|i| (i as f64).cos()).collect();
    let x0 = vec![0.0; 4];
    let run = GaussNewton::new()
        .max_iters(1)
        .minimize(&linear(a.clone(), b.clone()), x0)
        .unwrap();
    assert!(
        (run.x[0] - run.x[2]).abs() <= 1e-14 * run.x[0].abs(),
        "{:?}",
        run.x
    );
    assert_eq!(run.x[3], 0.0);
    let two = Mat::from_fn(12, 2, |i, j| a[(i, j)]);
    let full = GaussNewton::new()
        .max_iters(1)
        .minimize(&linear(two, b), vec![0.0; 2])
        .unwrap();
    assert!((run.f - full.f).abs() <= 1e-14 * full.f);
    assert!((2.0 * run.x[0] - full.x[0]).abs() <= 1e-12 * full.x[0].abs());
    assert!((run.x[1] - full.x[1]).abs() <= 1e-12 * full.x[1].abs());
    let statistics = run.statistics.unwrap();
    assert_eq!(
        (statistics.rank(), statistics.degrees_of_freedom()),
        (2, 10)
    );
    assert_eq!(statistics.estimable(), [false, true, false, false]);
    let errors = statistics.standard_errors().unwrap();
    let exact = full.statistics.unwrap().standard_errors().unwrap();
    assert!((errors[1] / exact[1] - 1.0).abs() < 1e-10);
}

#[test]
fn sparse_and_dense_jacobians_agree() {
    // A banded curve with a border, in both storages and shapes.
    for (m, n) in [(60, 20), (20, 60), (30, 30)] {
        let entry = |i: usize, j: usize| ((i + 3 * j) as f64).sin() + 1.5;
        let stored = move |i: usize, j: usize| {
            let along = i * n / m;
            j + 1 == n || (j + 2 > along && j < along + 3)
        };
        let curve = move |x: &[f64]| -> Vec<f64> {
            let row = |i: usize| {
                let z: f64 = (0..n)
                    .filter(|&j| stored(i, j))
                    .map(|j| entry(i, j) * x[j])
                    .sum();
                z.sinh().clamp(-1e3, 1e3) - (i as f64).cos()
            };
            (0..m).map(row).collect()
        };
        let triplets = move |x: &[f64]| {
            let mut all = Vec::new();
            for i in 0..m {
                let z: f64 = (0..n)
                    .filter(|&j| stored(i, j))
                    .map(|j| entry(i, j) * x[j])
                    .sum();
                for j in (0..n).filter(|&j| stored(i, j)) {
                    all.push(Triplet::new(i, j, z.cosh() * entry(i, j)));
                }
            }
            SparseColMat::<usize, f64>::try_new_from_triplets(m, n, &all).unwrap()
        };
        let dense = residuals_fn(curve, move |x: &[f64]| triplets(x).to_dense());
        let columns = residuals_fn(curve, triplets);
        let rows = residuals_fn(curve, move |x: &[f64]| triplets(x).to_row_major().unwrap());
        let exact = both!(dense, vec![0.1; n]);
        for (k, (a, b)) in both!(columns, vec![0.1; n])
            .iter()
            .zip(both!(rows, vec![0.1; n]))
            .enumerate()
        {
            let name = format!("{m} x {n}, {k}: {} {}", a.status, exact[k].status);
            assert!(
                a.converged() && b.converged() && exact[k].converged(),
                "{name}"
            );
            assert_eq!(a.x, b.x, "{name}");
            assert!(
                (a.f - exact[k].f).abs() <= 1e-12 * exact[k].f.max(1e-12),
                "{name} {} {}",
                a.f,
                exact[k].f
            );
            assert_eq!(a.report.analyses, 1, "{name}");
            assert_eq!(a.counts["operator_count"], 1 + a.report.trials);
            assert_eq!(a.counts["jacobian_count"], 1 + a.report.iterations);
            if m >= n {
                let off: Vec<f64> = a.x.iter().zip(&exact[k].x).map(|(a, b)| a - b).collect();
                assert!(norm(&off) <= 1e-8 * norm(&exact[k].x), "{name}");
            }
        }
    }
}

#[test]
fn singular_sparse_equations_are_solved() {
    // Column 2 repeats column 0: the shortest scaled step splits evenly.
    let (m, n) = (9, 3);
    let base = spread(m, 2);
    let mut triplets = Vec::new();
    for i in 0..m {
        triplets.push(Triplet::new(i, 0, base[(i, 0)]));
        triplets.push(Triplet::new(i, 1, base[(i, 1)]));
        triplets.push(Triplet::new(i, 2, base[(i, 0)]));
    }
    let a = SparseColMat::<usize, f64>::try_new_from_triplets(m, n, &triplets).unwrap();
    let b: Vec<f64> = (0..m).map(|i| (i as f64).cos()).collect();
    let dense = a.to_dense();
    let copy = a.clone();
    let fit = residuals_fn(
        |x: &[f64]| {
            let mut r = vec![0.0; m];
            a.rect().mul(x, &mut r);
            r.iter().zip(&b).map(|(r, b)| r - b).collect()
        },
        move |_: &[f64]| copy.clone(),
    );
    let exact = GaussNewton::new()
        .minimize(&linear(dense, b.clone()), vec![0.0; n])
        .unwrap();
    for run in both!(fit, vec![0.0; n]) {
        assert!(run.converged(), "{}", run.status);
        assert!((run.f - exact.f).abs() <= 1e-14 * exact.f);
        for (x, y) in run.x.iter().zip(&exact.x) {
            assert!((x - y).abs() < 1e-7, "{:?} {:?}", run.x, exact.x);
        }
    }
}

const LOSSES: [RobustLoss; 4] = [
    RobustLoss::Huber,
    RobustLoss::SoftL1,
    RobustLoss::Cauchy,
    RobustLoss::Tukey,
];

#[test]
fn a_robust_location_is_known_in_closed_form() {
    // Zeros and one 10: Huber's 4x = s, one outlier pulling with the force s.
    let location = || linear(Mat::full(5, 1, 1.0), vec![0.0, 0.0, 0.0, 0.0, 10.0]);
    let run = LevenbergMarquardt::new()
        .loss(RobustLoss::Huber, 1.0)
        .gradient_tol(1e-14)
        .minimize(&location(), vec![3.0])
        .unwrap();
    assert!(
        run.converged() && (run.x[0] - 0.25).abs() < 1e-12,
        "{:?}",
        run.x
    );
    assert!((run.f - (0.5 * 4.0 * 0.0625 + 9.75 - 0.5)).abs() < 1e-13);
    // Tukey's outlier has no force at all.
    let run = LevenbergMarquardt::new()
        .loss(RobustLoss::Tukey, 1.0)
        .minimize(&location(), vec![0.5])
        .unwrap();
    assert!(run.converged() && run.x[0].abs() < 1e-14, "{:?}", run.x);
    assert!((run.f - 1.0 / 6.0).abs() < 1e-15);
}

/// Brownlee's stack loss data: air flow, water temperature, acid concentration, loss.
const STACK_LOSS: [[f64; 4]; 21] = [
    [80.0, 27.0, 89.0, 42.0],
    [80.0, 27.0, 88.0, 37.0],
    [75.0, 25.0, 90.0, 37.0],
    [62.0, 24.0, 87.0, 28.0],
    [62.0, 22.0, 87.0, 18.0],
    [62.0, 23.0, 87.0, 18.0],
    [62.0, 24.0, 93.0, 19.0],
    [62.0, 24.0, 93.0, 20.0],
    [58.0, 23.0, 87.0, 15.0],
    [58.0, 18.0, 80.0, 14.0],
    [58.0, 18.0, 89.0, 14.0],
    [58.0, 17.0, 88.0, 13.0],
    [58.0, 18.0, 82.0, 11.0],
    [58.0, 19.0, 93.0, 12.0],
    [50.0, 18.0, 89.0, 8.0],
    [50.0, 18.0, 86.0, 7.0],
    [50.0, 19.0, 72.0, 8.0],
    [50.0, 19.0, 79.0, 8.0],
    [50.0, 20.0, 80.0, 9.0],
    [56.0, 20.0, 82.0, 15.0],
    [70.0, 20.0, 91.0, 15.0],
];

#[test]
fn the_robust_fit_of_the_stack_loss_data_is_the_published_one() {
    let a = Mat::from_fn(
        21,
        4,
        |i, j| if j == 0 { 1.0 } else { STACK_LOSS[i][j - 1] },
    );
    let b: Vec<f64> = STACK_LOSS.iter().map(|row| row[3]).collect();
    let fit = linear(a, b);
    // Least squares: Draper and Smith, Applied Regression Analysis.
    let run = GaussNewton::new().minimize(&fit, vec![0.0; 4]).unwrap();
    let published = [-39.919674, 0.715640, 1.295286, -0.152123];
    for (x, known) in run.x.iter().zip(published) {
        assert!((x - known).abs() < 1e-6, "{:?}", run.x);
    }
    let errors = run.statistics.unwrap().standard_errors().unwrap();
    for (error, known) in errors.iter().zip([11.895997, 0.134858, 0.368024, 0.156294]) {
        assert!((error - known).abs() < 1e-6, "{errors:?}");
    }
    // Huber's k = 1.345 at the scale 2.4407: Venables and Ripley, MASS, `rlm`.
    let published = [-41.0265, 0.8294, 0.9261, -0.1278];
    for run in [
        LevenbergMarquardt::new()
            .loss(RobustLoss::Huber, 1.345 * 2.440714)
            .minimize(&fit, vec![0.0; 4])
            .unwrap(),
        GaussNewton::new()
            .loss(RobustLoss::Huber, 1.345 * 2.440714)
            .minimize(&fit, vec![0.0; 4])
            .unwrap(),
    ] {
        assert!(run.converged(), "{}", run.status);
        for (x, known) in run.x.iter().zip(published) {
            assert!((x / known - 1.0).abs() < 2e-3, "{:?}", run.x);
        }
    }
}

/// A decay with outliers of up to a hundred deviations.
fn decay() -> impl Fit<Vec<Vec<f64>>> {
    let t: Vec<f64> = (0..40).map(|i| 0.25 * i as f64).collect();
    let noise = |i: usize| 0.05 * (13.0 * (i * i) as f64).sin();
    let curve = |(i, t): (usize, &f64)| 2.0 * (-0.5 * t).exp() + 0.3 + noise(i);
    let mut y: Vec<f64> = t.iter().enumerate().map(curve).collect();
    for (i, off) in [
        (3, 4.0),
        (10, -3.0),
        (17, 2.5),
        (24, 5.0),
        (31, 1.5),
        (38, 6.0),
    ] {
        y[i] += off;
    }
    let times = t.clone();
    residuals_fn(
        move |x: &[f64]| {
            let model = |t: f64| x[0] * (-x[1] * t).exp() + x[2];
            t.iter().zip(&y).map(|(t, y)| model(*t) - y).collect()
        },
        move |x: &[f64]| {
            let row = |t: f64| {
                let e = (-x[1] * t).exp();
                vec![e, -x[0] * t * e, 1.0]
            };
            times.iter().map(|t| row(*t)).collect()
        },
    )
}

#[test]
fn outliers_do_not_bend_a_robust_fit() {
    let far = |x: &[f64]| (x[0] - 2.0).hypot(x[1] - 0.5).hypot(x[2] - 0.3);
    let start = || vec![1.0, 1.0, 0.0];
    let plain = LevenbergMarquardt::new()
        .minimize(&decay(), start())
        .unwrap();
    assert!(plain.converged() && far(&plain.x) > 0.5, "{:?}", plain.x);
    let huber = LevenbergMarquardt::new()
        .loss(RobustLoss::Huber, 0.15)
        .minimize(&decay(), start())
        .unwrap();
    for loss in LOSSES {
        let run = LevenbergMarquardt::new()
            .loss(loss, 0.15)
            .minimize(&decay(), huber.x.clone())
            .unwrap();
        assert!(run.converged(), "{loss:?}: {}", run.status);
        assert!(far(&run.x) < 0.15, "{loss:?}: {:?}", run.x);
        assert_eq!(run.counts["operator_count"], 1 + run.report.trials);
        // The gradient is that of f, by differences of the reported f.
        let f = |x: Vec<f64>| {
            let solver = LevenbergMarquardt::new().loss(loss, 0.15).max_iters(0);
            let run = solver.minimize(&decay(), x).unwrap();
            (run.f, run.gradient_norm)
        };
        let at = [1.95, 0.47, 0.28];
        let h = 1e-5;
        let difference = |j: usize| {
            let (mut up, mut down) = (at.to_vec(), at.to_vec());
            up[j] += h;
            down[j] -= h;
            (f(up).0 - f(down).0) / (2.0 * h)
        };
        let size = norm(&[difference(0), difference(1), difference(2)]);
        let exact = f(at.to_vec()).1;
        assert!(
            (size / exact - 1.0).abs() < 1e-7,
            "{loss:?}: {size} {exact}"
        );
        // A large scale is plain least squares.
        let run = LevenbergMarquardt::new()
            .loss(loss, 1e7)
            .minimize(&decay(), start())
            .unwrap();
        assert!(run.converged(), "{loss:?}: {}", run.status);
        for (x, y) in run.x.iter().zip(&plain.x) {
            assert!((x - y).abs() <= 1e-6 * (1.0 + y.abs()), "{loss:?}");
        }
        assert!((run.f / plain.f - 1.0).abs() < 1e-10);
    }
}

#[test]
fn a_flat_loss_is_no_convergence() {
    let run = LevenbergMarquardt::new()
        .loss(RobustLoss::Tukey, 1e-3)
        .minimize(&decay(), vec![1.0, 1.0, 0.0])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::RankDeficient));
    assert_eq!(run.gradient_norm, 0.0);
}

#[test]
fn differences_give_a_jacobian() {
    let run = LevenbergMarquardt::new()
        .minimize(&FromResiduals(growth()), vec![3.0, 0.1])
        .unwrap();
    let exact = LevenbergMarquardt::new()
        .minimize(&growth(), vec![3.0, 0.1])
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    assert!((run.f / exact.f - 1.0).abs() < 1e-13);
    for (a, b) in run.x.iter().zip(&exact.x) {
        assert!((a - b).abs() < 1e-6 * b.abs());
    }
}

#[test]
fn the_end_is_quadratic_where_the_residuals_vanish() {
    let valley = residuals_fn(
        |x: &[f64]| {
            vec![
                10.0 * (x[1] - x[0] * x[0]),
                1.0 - x[0],
                x[0].sin() - 1.0_f64.sin(),
            ]
        },
        |x: &[f64]| [[-20.0 * x[0], 10.0], [-1.0, 0.0], [x[0].cos(), 0.0]],
    );
    let mut errors = Vec::new();
    let run = LevenbergMarquardt::new()
        .on_iteration(|record| {
            errors.push((2.0 * record.f).sqrt());
            true
        })
        .minimize(&valley, vec![1.5, 2.5])
        .unwrap();
    assert!(run.converged());
    let window: Vec<_> = errors
        .windows(2)
        .filter(|w| w[0] < 0.1 && w[1] > 1e-13)
        .collect();
    assert!(window.len() >= 2, "{errors:?}");
    assert!(
        window.iter().all(|w| w[1] <= 10.0 * w[0] * w[0]),
        "{errors:?}"
    );
}
