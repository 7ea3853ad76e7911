//! Damped Newton against reference counts, known rates and the identities of the method.
#![cfg(all(feature = "problems", feature = "libsvm"))]

use crate::data::{FEATURES, breast_cancer};
use crate::problem::{barrier, dense, distance, length};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, State};
use faer::prelude::Solve;
use faer::{Col, Mat, Side};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::SymMat;
use raphson::models::LogisticRegression;
use raphson::oracle::{Explicit, Smooth};
use raphson::problems::{
    Affine, Chain, LogSumExp, Offset, Polytope, Power, Rosenbrock, Scaled, Softplus,
};
use raphson::{
    Converged, DampedNewton, Dataset, Failed, Fused, Indefinite, IterationRecord, Outcome, Refresh,
    Report, Run, Schedule, Status,
};
use std::sync::{Arc, Mutex};

fn solver(schedule: Schedule) -> DampedNewton {
    DampedNewton::new()
        .schedule(schedule)
        .gradient_tol(0.0)
        .gradient_tol_abs(1e-8)
}

const FAR: f64 = 3.0;
/// (mu, x0, f*) of the four columns of the table.
const COLUMNS: [(f64, f64, f64); 4] = [
    (1e-3, 0.0, 0.0598294719),
    (1e-3, FAR, 0.0598294719),
    (1e-6, 0.0, 0.02588850),
    (1e-6, FAR, 0.02588850),
];

fn fit(schedule: Schedule, mu: f64, start: f64) -> Run<Vec<f64>> {
    solver(schedule)
        .max_iters(3000)
        .minimize(&breast_cancer(mu), vec![start; FEATURES])
        .unwrap()
}

/// What a cell of the reference table says.
#[derive(Debug, Clone, Copy)]
enum Cell {
    /// Converges in so many iterations, ±1.
    Steps(u64),
    /// Converges in a number of iterations that rounding decides, within the range.
    Between(u64, u64),
    /// Ends as failed with the best point kept.
    Cycles,
    /// Wanders for long; rounding decides whether it arrives.
    Wanders,
}
use Cell::{Between, Cycles, Steps, Wanders};

#[test]
fn reference_table() {
    let aicn = |lipschitz| Schedule::Aicn { lipschitz };
    let rn = |q, constant| Schedule::Explicit { q, constant };
    let table = [
        (
            Schedule::Universal,
            [Steps(9), Steps(13), Steps(13), Steps(18)],
        ),
        (Schedule::Full, [Steps(9), Cycles, Steps(13), Cycles]),
        (
            Schedule::Armijo,
            [Steps(9), Steps(13), Steps(13), Steps(18)],
        ),
        (Schedule::Greedy, [Steps(9), Steps(9), Steps(13), Steps(14)]),
        (aicn(1.0), [Steps(10), Cycles, Steps(14), Cycles]),
        (aicn(10.0), [Steps(14), Steps(13), Steps(19), Cycles]),
        (aicn(100.0), [Steps(29), Steps(18), Steps(37), Wanders]),
        (rn(3.0, 1.0), [Steps(21), Steps(15), Steps(26), Cycles]),
        (rn(3.0, 10.0), [Steps(42), Steps(29), Steps(52), Wanders]),
        (rn(4.0, 1.0), [Steps(15), Steps(13), Steps(20), Cycles]),
        (
            rn(4.0, 10.0),
            [Steps(22), Steps(16), Steps(28), Between(34, 46)],
        ),
        (rn(4.0, 100.0), [Steps(35), Steps(43), Steps(43), Steps(42)]),
    ];
    for (schedule, cells) in table {
        for ((mu, start, minimum), cell) in COLUMNS.into_iter().zip(cells) {
            let run = fit(schedule, mu, start);
            let steps = run.report.iterations;
            let at = format!("{schedule:?}, mu {mu}, x0 {start}: {steps}, {}", run.status);
            let (low, high) = match cell {
                Steps(n) => (n - 1, n + 1),
                Between(low, high) => (low, high),
                Wanders => {
                    assert!(steps > 36, "twice as long as the universal schedule; {at}");
                    let failed = run.status == Status::Failed(Failed::SearchFailed);
                    assert!(run.converged() || failed, "{at}");
                    continue;
                }
                Cycles => {
                    assert_eq!(run.status, Status::Failed(Failed::SearchFailed), "{at}");
                    let best = breast_cancer(mu).cost(&run.x).unwrap();
                    assert_eq!(best, run.f, "{at}");
                    let begin = breast_cancer(mu).cost(&vec![start; FEATURES]).unwrap();
                    assert!(run.f <= begin, "{at}");
                    continue;
                }
            };
            assert_eq!(
                run.status,
                Status::Converged(Converged::GradientTolerance),
                "{at}"
            );
            assert!((low..=high).contains(&steps), "{at}");
            assert!(run.gradient_norm <= 1e-8, "{at}");
            assert!((run.f - minimum).abs() <= 5e-9, "{at}: f = {}", run.f);
            assert_eq!(run.report.factorizations, steps, "{at}");
            assert_eq!(run.report.hessians, steps, "{at}");
            assert_eq!(run.report.shifted, 0, "{at}");
            assert_eq!(run.report.trials - run.report.rejected, steps, "{at}");
        }
    }
}

#[test]
fn universal_needs_few_gradients() {
    for ((mu, start, _), expected) in COLUMNS.into_iter().zip([10, 23, 14, 29]) {
        let report = fit(Schedule::Universal, mu, start).report;
        let gradients = report.gradients;
        assert!(
            gradients.abs_diff(expected) <= 1,
            "{gradients}, expected {expected}"
        );
        assert_eq!(gradients, report.trials + 1);
        // f is asked for where a trial could be accepted: at most once each.
        assert!(report.values <= gradients && report.values > report.iterations);
    }
}

#[test]
fn far_starts_diverge_only_for_full_steps() {
    // f explodes: the full step from 3·1 is no descent step.
    let mut highest = 0.0f64;
    let run = solver(Schedule::Full)
        .on_iteration(|record| {
            highest = highest.max(record.f);
            true
        })
        .minimize(&breast_cancer(1e-6), vec![FAR; FEATURES])
        .unwrap();
    assert!(!run.converged() && run.status != Status::Running);
    assert!(highest > 1e3, "{highest}");
}

#[test]
fn counts_do_not_depend_on_units() {
    let units = [(1.0, 1.0), (1e6, 1.0), (1e-6, 1.0), (1.0, 1e3), (1.0, 1e-3)];
    let counts = units.map(|(a, t)| {
        let problem = Scaled::new(breast_cancer(1e-6), a, t).unwrap();
        let run = solver(Schedule::Universal)
            .gradient_tol_abs(1e-8 * a * t)
            .minimize(&problem, vec![0.0; FEATURES])
            .unwrap();
        assert!(run.converged());
        let Report {
            iterations,
            gradients,
            factorizations,
            values,
            ..
        } = run.report;
        (iterations, gradients, factorizations, values)
    });
    assert_eq!(counts, [counts[0]; 5]);
    assert_eq!(counts[0].0, 13);
    // The default tolerance is relative and has no units either.
    let defaults = units.map(|(a, t)| {
        let problem = Scaled::new(breast_cancer(1e-6), a, t).unwrap();
        let run = DampedNewton::new().minimize(&problem, vec![0.0; FEATURES]);
        run.unwrap().report.gradients
    });
    assert_eq!(defaults, [defaults[0]; 5]);
}

/// One accepted point and the step that led to it.
#[derive(Debug, Clone)]
struct Visit {
    x: Vec<f64>,
    f: f64,
    step_length: f64,
    shift: f64,
}

type Seen = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

#[derive(Clone, Default)]
struct Path(Arc<Mutex<Vec<Visit>>>);

impl Path {
    fn push(&self, state: &Seen, kv: &KV) {
        let number = |key| kv.get(key).and_then(|v| v.get_float()).unwrap();
        self.0.lock().unwrap().push(Visit {
            x: state.get_param().unwrap().clone(),
            f: state.get_cost(),
            step_length: number("step_length"),
            shift: number("shift"),
        });
    }
}

impl Observe<Seen> for Path {
    fn observe_init(&mut self, _: &str, state: &Seen, kv: &KV) -> Result<(), Error> {
        self.push(state, kv);
        Ok(())
    }
    fn observe_iter(&mut self, state: &Seen, kv: &KV) -> Result<(), Error> {
        self.push(state, kv);
        Ok(())
    }
}

/// Start point and accepted points of a run under argmin.
fn path<O>(solver: DampedNewton, problem: O, x0: &[f64]) -> (Vec<Visit>, Status)
where
    O: Smooth<Explicit, Point = Vec<f64>, Slope = Vec<f64>>,
{
    let seen = Path::default();
    let result = Executor::new(problem, solver.metrics(true))
        .configure(|state| state.param(x0.to_vec()).max_iters(3000))
        .add_observer(seen.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let mut visits = std::mem::take(&mut *seen.0.lock().unwrap());
    visits.truncate(result.solver.report().iterations as usize + 1);
    (visits, result.status())
}

#[test]
fn argmin_and_direct_runs_are_the_same() {
    let (visits, status) = path(
        solver(Schedule::Universal),
        breast_cancer(1e-3),
        &[FAR; FEATURES],
    );
    let run = fit(Schedule::Universal, 1e-3, FAR);
    assert_eq!(status, run.status);
    assert_eq!(visits.len() as u64, run.report.iterations + 1);
    let last = visits.last().unwrap();
    assert_eq!((&last.x, last.f), (&run.x, run.f));
}

/// (H + shift I)⁻¹ v.
fn solve<O>(problem: &O, x: &Vec<f64>, shift: f64, v: &[f64]) -> Vec<f64>
where
    O: Hessian<Param = Vec<f64>, Hessian: SymMat>,
{
    let n = x.len();
    let mut h = dense(&problem.hessian(x).unwrap(), n);
    for i in 0..n {
        h[(i, i)] += shift;
    }
    let v = Col::from_fn(n, |i| v[i]);
    let n = h.llt(Side::Lower).unwrap().solve(&v);
    n.iter().copied().collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A matrix of condition number 1e3 without a preferred coordinate.
fn skewed(n: usize) -> Mat<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut orthogonal = || {
        let m = Mat::from_fn(n, n, |_, _| random.random_range(-1.0..1.0));
        m.qr().compute_Q()
    };
    let (left, right) = (orthogonal(), orthogonal());
    let stretched = Mat::from_fn(n, n, |i, j| {
        left[(i, j)] * 10f64.powf(3.0 * j as f64 / (n - 1) as f64)
    });
    stretched * right
}

/// Gradient-regularized Newton in the Euclidean norm: λ = M‖g‖^(2/3), accepted if
/// Gᵀ(−s) ≥ ‖G‖²/(4λ). A good method, but it sees the coordinates.
fn euclidean<O>(problem: &O, x0: &[f64], tol: f64) -> Vec<Vec<f64>>
where
    O: Gradient<Param = Vec<f64>, Gradient = Vec<f64>> + Hessian<Param = Vec<f64>, Hessian: SymMat>,
{
    let mut points = vec![x0.to_vec()];
    let mut constant = 1.0;
    for _ in 0..1000 {
        let x = points.last().unwrap().clone();
        let g = problem.gradient(&x).unwrap();
        if length(&g) <= tol {
            break;
        }
        loop {
            let lambda = constant * length(&g).powf(2.0 / 3.0);
            let n = solve(problem, &x, lambda, &g);
            let y: Vec<f64> = x.iter().zip(&n).map(|(x, n)| x - n).collect();
            let trial = problem.gradient(&y).unwrap();
            if dot(&trial, &n) >= dot(&trial, &trial) / (4.0 * lambda) {
                points.push(y);
                break;
            }
            constant *= 4.0;
        }
        constant /= 4.0;
    }
    points
}

#[test]
fn iterates_are_affine_invariant() {
    let matrix = skewed(FEATURES);
    let x0 = vec![FAR; FEATURES];
    let start = matrix
        .partial_piv_lu()
        .solve(&Col::from_fn(FEATURES, |_| FAR));
    let y0: Vec<f64> = start.iter().copied().collect();
    let change = || Affine::new(breast_cancer(1e-3), matrix.clone());
    let changed = change();
    let deviation = |plain: &[Vec<f64>], mapped: &[Vec<f64>]| {
        assert!(plain.len() >= 13 && mapped.len() >= 13);
        let pairs = plain.iter().zip(mapped).take(13);
        pairs
            .map(|(x, y)| distance(x, &changed.map(y).unwrap()) / (1.0 + length(x)))
            .fold(0.0, f64::max)
    };
    for schedule in [
        Schedule::Universal,
        Schedule::Aicn { lipschitz: 10.0 },
        Schedule::Explicit {
            q: 4.0,
            constant: 1.0,
        },
    ] {
        // Twelve steps each, whatever the gradient is.
        let points = |visits: Vec<Visit>| visits.into_iter().map(|v| v.x).collect::<Vec<_>>();
        let solver = solver(schedule).gradient_tol_abs(0.0).max_iters(12);
        let plain = points(path(solver.clone(), breast_cancer(1e-3), &x0).0);
        let mapped = points(path(solver, change(), &y0).0);
        let worst = deviation(&plain, &mapped);
        assert!(worst <= 1e-7, "{schedule:?}: {worst}");
    }
    let plain = euclidean(&breast_cancer(1e-3), &x0, 1e-8);
    let mapped = euclidean(&changed, &y0, 1e-8);
    let worst = deviation(&plain, &mapped);
    assert!(worst > 0.1, "the control must break: {worst}");
    assert!(mapped.len() > 2 * plain.len());
}

/// f = Σ dᵢ(e^xᵢ − 1 − xᵢ): minimum 0 at 0, every derivative to full relative
/// accuracy, so that convergence can be followed down to tiny decrements.
struct Exponential([f64; 2]);

impl CostFunction for Exponential {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let one = |x: f64| {
            if x.abs() < 1e-3 {
                x * x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x / 120.0)))
            } else {
                x.exp_m1() - x
            }
        };
        Ok(x.iter().zip(self.0).map(|(x, d)| d * one(*x)).sum())
    }
}
impl Gradient for Exponential {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(x.iter().zip(self.0).map(|(x, d)| d * x.exp_m1()).collect())
    }
}
impl Hessian for Exponential {
    type Param = Vec<f64>;
    type Hessian = [[f64; 2]; 2];
    fn hessian(&self, x: &Vec<f64>) -> Result<[[f64; 2]; 2], Error> {
        let [a, b] = self.0;
        Ok([[a * x[0].exp(), 0.0], [0.0, b * x[1].exp()]])
    }
}

/// Slopes of log λ₊ against log λ in the last three steps whose contraction is
/// well above the rounding of x.
fn orders(schedule: Schedule) -> Vec<f64> {
    let mut decrements = Vec::new();
    let record = |record: &IterationRecord| {
        if record.iteration > 0 {
            decrements.push(record.decrement);
        }
        true
    };
    let run = DampedNewton::new()
        .schedule(schedule)
        .gradient_tol(0.0)
        .gradient_tol_abs(1e-200)
        .max_iters(60)
        .on_iteration(record)
        .minimize(&Exponential([1.0, 4.0]), vec![0.06, 0.05])
        .unwrap();
    assert!(
        !matches!(run.status, Status::Failed(_)),
        "{schedule:?}: {}",
        run.status
    );
    let clear = decrements.windows(3).filter(|w| w[2] >= 1e-13 * w[1]);
    let slopes: Vec<f64> = clear
        .map(|w| (w[2] / w[1]).ln() / (w[1] / w[0]).ln())
        .collect();
    assert!(slopes.len() >= 3, "{schedule:?}: {slopes:?}");
    slopes[slopes.len() - 3..].to_vec()
}

#[test]
fn local_orders() {
    let cases = [
        (Schedule::Aicn { lipschitz: 0.5 }, 2.0),
        (
            Schedule::Explicit {
                q: 3.0,
                constant: 1.0,
            },
            1.5,
        ),
        (
            Schedule::Explicit {
                q: 4.0,
                constant: 1.0,
            },
            5.0 / 3.0,
        ),
        (
            Schedule::Explicit {
                q: 2.5,
                constant: 1.0,
            },
            4.0 / 3.0,
        ),
        (
            Schedule::Root {
                q: 4.0,
                constant: 1.0,
            },
            2.0,
        ),
        (
            Schedule::Root {
                q: 3.0,
                constant: 1.0,
            },
            2.0,
        ),
        (
            Schedule::Root {
                q: 2.5,
                constant: 1.0,
            },
            1.5,
        ),
        (Schedule::Universal, 2.0),
        (Schedule::Full, 2.0),
    ];
    for (schedule, order) in cases {
        let measured = orders(schedule);
        let close = |q: f64| measured.iter().all(|m| (m - q).abs() <= 0.1);
        assert!(close(order), "{schedule:?}: {measured:?}, expected {order}");
        assert!(!close(order + 0.3));
    }
}

#[test]
fn powers_have_the_linear_rate_in_closed_form() {
    for (exponent, ratio) in [(6.0, 0.262144), (12.0, 0.318631), (24.0, 0.344093)] {
        let power = Power::new(1, exponent).unwrap();
        assert!((power.newton_ratio() - ratio).abs() <= 1e-6);
        let mut values = Vec::new();
        let run = DampedNewton::new()
            .schedule(Schedule::Explicit {
                q: 4.0,
                constant: 1.0,
            })
            .gradient_tol(0.0)
            .max_iters(100)
            .on_iteration(|record| {
                values.push(record.f);
                true
            })
            .minimize(&power, power.start())
            .unwrap();
        assert_eq!(run.report.iterations, 100, "{}", run.status);
        let tail = values[100] / values[99];
        assert!((tail / ratio - 1.0).abs() <= 1e-3, "P = {exponent}: {tail}");
        // Far from the tail the damping still shows.
        assert!(values[1] / values[0] > 1.05 * ratio);
    }
}

#[test]
fn softplus_with_the_true_constant_is_monotone() {
    let schedule = Schedule::Aicn {
        lipschitz: Softplus::LOCAL_LIPSCHITZ,
    };
    let solver = solver(schedule).gradient_tol_abs(1e-14);
    let (visits, status) = path(solver, Softplus, &Softplus.start());
    assert_eq!(status, Status::Converged(Converged::GradientTolerance));
    assert!(
        (6..=8).contains(&(visits.len() - 1)),
        "{}",
        visits.len() - 1
    );
    for pair in visits.windows(2) {
        // The last step is below the rounding of f.
        assert!(pair[1].f < pair[0].f || pair[0].f - Softplus.minimum() < 1e-15);
    }
    let last = visits.last().unwrap();
    assert!((last.x[0] - Softplus.minimizer()[0]).abs() <= 1e-14);
}

/// Every step α < 1 of the universal schedule: f(x) − f(x₊) ≥ ‖G‖*²/(2θ) − 16 ε|f|.
/// Returns how many steps were damped.
fn decreases<O>(problem: O, again: O, x0: &[f64]) -> usize
where
    O: CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
        + Hessian<Param = Vec<f64>, Hessian: SymMat>,
{
    let (visits, status) = path(solver(Schedule::Universal), problem, x0);
    assert!(status.is_converged(), "{status}");
    let mut damped = 0;
    for pair in visits.windows(2) {
        let (from, to) = (&pair[0], &pair[1]);
        let noise = 16.0 * f64::EPSILON * from.f.abs();
        assert!(to.f <= from.f + noise);
        if to.step_length < 1.0 {
            damped += 1;
            let theta = (1.0 - to.step_length) / to.step_length;
            let g = again.gradient(&to.x).unwrap();
            let dual = dot(&g, &solve(&again, &from.x, to.shift, &g));
            let promised = dual / (2.0 * theta) - noise;
            assert!(from.f - to.f >= promised, "{} < {promised}", from.f - to.f);
        }
    }
    damped
}

#[test]
fn damped_steps_decrease_as_promised() {
    for (mu, start, _) in COLUMNS {
        let problem = || breast_cancer(mu);
        let damped = decreases(problem(), problem(), &[start; FEATURES]);
        assert!(damped >= if start == FAR { 5 } else { 0 });
    }
    let chain = Chain::new(20, 3.0, 0.0).unwrap();
    assert!(decreases(chain, chain, &chain.start()) >= 10);
    let stretched = Chain::new(10, 4.0, 1.0).unwrap();
    assert!(decreases(stretched, stretched, &stretched.start()) >= 10);
}

#[test]
fn a_constant_added_to_f_does_not_stop_the_run() {
    for schedule in [
        Schedule::Universal,
        Schedule::Armijo,
        Schedule::Greedy,
        Schedule::Full,
        Schedule::Aicn { lipschitz: 1.0 },
    ] {
        for constant in [0.0, 1e3, 1e6] {
            let problem = Offset::new(breast_cancer(1e-3), constant);
            let run = solver(schedule)
                .gradient_tol_abs(1e-12)
                .minimize(&problem, vec![0.0; FEATURES])
                .unwrap();
            assert!(run.converged(), "{schedule:?}, {constant}: {}", run.status);
            assert!(
                run.gradient_norm <= 1e-12,
                "{schedule:?}, {constant}: {}",
                run.gradient_norm
            );
        }
        // A tolerance out of reach ends at the floor, not in failure.
        for constant in [0.0, 1e6] {
            let problem = Offset::new(breast_cancer(1e-3), constant);
            let run = solver(schedule)
                .gradient_tol_abs(1e-30)
                .max_iters(200)
                .minimize(&problem, vec![0.0; FEATURES])
                .unwrap();
            let floor = Status::Converged(Converged::PrecisionFloor);
            assert_eq!(run.status, floor, "{schedule:?}, {constant}");
            assert!(
                run.gradient_norm <= 1e-14,
                "{schedule:?}, {constant}: {}",
                run.gradient_norm
            );
        }
    }
}

#[test]
fn an_indefinite_hessian_is_shifted_or_refused() {
    let valley = Rosenbrock::new(2).unwrap();
    let start = vec![0.0, 1.0];
    let run = DampedNewton::new()
        .indefinite(Indefinite::Fail)
        .minimize(&valley, start.clone())
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::NotPositiveDefinite));
    assert_eq!((run.x, run.f), (start.clone(), 101.0));
    assert_eq!(run.report.iterations, 0);
    let run = DampedNewton::new()
        .indefinite(Indefinite::Shift)
        .minimize(&valley, start)
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    assert!(run.report.shifted > 0);
    assert!(run.report.factorizations > run.report.iterations);
    assert!(distance(&run.x, &valley.minimizer()) <= 1e-6);
    // A definite Hessian is never shifted.
    let run = DampedNewton::new().minimize(&Softplus, vec![3.0]).unwrap();
    assert!(run.converged());
    assert_eq!(run.report.shifted, 0);
}

#[test]
fn products_give_the_same_optimum() {
    let model = breast_cancer(1e-3);
    for start in [0.0, FAR] {
        let x0 = vec![start; FEATURES];
        let explicit = DampedNewton::new().minimize(&model, x0.clone()).unwrap();
        let run = DampedNewton::matrix_free().minimize(&model, x0).unwrap();
        assert!(run.converged(), "{}", run.status);
        assert!((run.f - explicit.f).abs() <= 1e-12 * explicit.f);
        // ‖x − x*‖ ≤ ‖g‖/μ.
        let bound = (run.gradient_norm + explicit.gradient_norm) / 1e-3;
        assert!(distance(&run.x, &explicit.x) <= bound);
        let report = &run.report;
        assert_eq!((report.hessians, report.factorizations), (0, 0));
        assert!(report.hessian_products >= report.iterations);
        assert_eq!(run.counts["hessian_product_count"], report.hessian_products);
        assert_eq!(run.counts.get("hessian_count"), None);
    }
}

/// Value and gradient of another problem in one call.
struct Together<P>(P);

impl<P, H> Fused for Together<P>
where
    P: CostFunction<Param = Vec<f64>, Output = f64>
        + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
        + Hessian<Param = Vec<f64>, Hessian = H>,
{
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = H;
    fn value(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.0.cost(x)
    }
    fn value_gradient(&self, x: &Vec<f64>) -> Result<(f64, Vec<f64>), Error> {
        Ok((self.0.cost(x)?, self.0.gradient(x)?))
    }
    fn hessian(&self, x: &Vec<f64>) -> Result<H, Error> {
        self.0.hessian(x)
    }
}

#[test]
fn fused_evaluation_gives_the_same_run() {
    for (mu, start, _) in COLUMNS {
        let x0 = vec![start; FEATURES];
        let explicit = DampedNewton::new()
            .minimize(&breast_cancer(mu), x0.clone())
            .unwrap();
        let run = DampedNewton::fused()
            .minimize(&Together(breast_cancer(mu)), x0)
            .unwrap();
        assert_eq!(
            (&run.x, run.f, run.status),
            (&explicit.x, explicit.f, explicit.status)
        );
        assert_eq!(
            run.counts["gradient_count"],
            explicit.counts["gradient_count"]
        );
        assert_eq!(
            run.counts["hessian_count"],
            explicit.counts["hessian_count"]
        );
        // One pass gives both: no separate call for f.
        assert_eq!(run.counts["cost_count"], run.counts["gradient_count"]);
    }
}

#[test]
fn a_factor_serves_as_long_as_the_rule_says() {
    let run = |solver: DampedNewton| {
        let solver = solver.gradient_tol(1e-10);
        solver
            .minimize(&breast_cancer(1e-2), vec![0.0; FEATURES])
            .unwrap()
    };
    let exact = run(DampedNewton::new());
    let every = run(DampedNewton::new().refresh(Refresh::Every(1)));
    assert_eq!(exact.x, every.x);
    for schedule in [Schedule::Universal, Schedule::Armijo] {
        for refresh in [Refresh::Every(4), Refresh::Contraction(0.3)] {
            let lazy = run(DampedNewton::new().schedule(schedule).refresh(refresh));
            let report = &lazy.report;
            assert!(lazy.converged() && (lazy.f - exact.f).abs() <= 1e-14);
            assert!(
                report.hessians < exact.report.hessians,
                "{}",
                report.hessians
            );
            assert_eq!(report.factorizations, report.hessians);
        }
    }
    let refused = DampedNewton::new().refresh(Refresh::Every(0));
    assert!(
        refused
            .minimize(&breast_cancer(1e-2), vec![0.0; FEATURES])
            .is_err()
    );
}

/// A quadratic that gives a Hessian with eigenvalues of 0.5 to 1.5 relative to the right one.
struct Misjudged;

impl Misjudged {
    const N: usize = 12;

    fn weight(i: usize) -> f64 {
        4f64.powi(i as i32)
    }
}

impl CostFunction for Misjudged {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let terms = x.iter().enumerate();
        Ok(terms
            .map(|(i, x)| 0.5 * Self::weight(i) * (x - 1.0).powi(2))
            .sum())
    }
}

impl Gradient for Misjudged {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let terms = x.iter().enumerate();
        Ok(terms.map(|(i, x)| Self::weight(i) * (x - 1.0)).collect())
    }
}

impl Hessian for Misjudged {
    type Param = Vec<f64>;
    type Hessian = Vec<Vec<f64>>;
    fn hessian(&self, _: &Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
        let part = |i: usize| 0.5 + i as f64 / (Self::N - 1) as f64;
        let entry = |i: usize, j: usize| f64::from(i == j) * Self::weight(i) / part(i);
        let row = |i: usize| (0..Self::N).map(|j| entry(i, j)).collect();
        Ok((0..Self::N).map(row).collect())
    }
}

#[test]
fn a_kept_factor_is_updated_by_the_gradients_of_the_steps() {
    for schedule in [Schedule::Armijo, Schedule::Universal] {
        let run = DampedNewton::new()
            .schedule(schedule)
            .refresh(Refresh::Every(100))
            .gradient_tol(1e-12)
            .minimize(&Misjudged, vec![0.0; Misjudged::N])
            .unwrap();
        assert!(
            run.converged() && run.report.hessians == 1,
            "{}",
            run.status
        );
        // Steps by the factor alone leave half of the gradient: 40 of them.
        let most = if schedule == Schedule::Armijo { 17 } else { 22 };
        assert!(run.report.iterations <= most, "{}", run.report.iterations);
        let one = DampedNewton::new().schedule(schedule).gradient_tol(1e-12);
        let one = one.minimize(&Misjudged, vec![0.0; Misjudged::N]).unwrap();
        assert!(one.report.iterations >= 35, "{}", one.report.iterations);
    }
}

#[test]
fn fixed_schedules_evaluate_value_and_gradient_once_a_trial() {
    for schedule in [
        Schedule::Full,
        Schedule::Classical,
        Schedule::Aicn { lipschitz: 10.0 },
    ] {
        let run = DampedNewton::fused()
            .schedule(schedule)
            .minimize(&Together(breast_cancer(1e-3)), vec![0.0; FEATURES])
            .unwrap();
        assert!(run.converged());
        assert_eq!(run.counts["cost_count"], run.report.iterations + 1);
        assert_eq!(run.counts["gradient_count"], run.report.iterations + 1);
    }
}

#[test]
fn aicn_is_the_root_schedule_of_order_three() {
    for (mu, start, _) in &COLUMNS[..3] {
        let aicn = fit(Schedule::Aicn { lipschitz: 10.0 }, *mu, *start);
        let root = fit(
            Schedule::Root {
                q: 3.0,
                constant: 10.0,
            },
            *mu,
            *start,
        );
        assert_eq!(aicn.report.iterations, root.report.iterations);
        assert!(distance(&aicn.x, &root.x) <= 1e-9 * length(&aicn.x));
    }
}

#[test]
fn problems_with_singular_hessians_are_solved() {
    // Information moves one variable per iteration: at least n steps.
    let chain = Chain::new(100, 3.0, 0.0).unwrap();
    let run = solver(Schedule::Universal)
        .minimize(&chain, chain.start())
        .unwrap();
    assert!(run.converged());
    assert!(run.report.iterations.abs_diff(107) <= 1);
    assert!(run.report.gradients.abs_diff(213) <= 2);
    assert!(run.f <= 1e-9);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut uniform = |m, n| Mat::from_fn(m, n, |_, _| random.random_range(-1.0..1.0));
    let (rows, offsets) = (uniform(300, 100), uniform(300, 1));
    let offsets: Vec<f64> = (0..300).map(|i| offsets[(i, 0)]).collect();
    for mu in [0.1, 0.05] {
        let soft = LogSumExp::new(&rows, &offsets, mu).unwrap();
        let run = solver(Schedule::Universal)
            .minimize(&soft, soft.start())
            .unwrap();
        assert!(run.converged(), "{}", run.status);
        assert!((run.f - soft.minimum()).abs() <= 1e-12);
    }
    for p in [3.0, 4.0] {
        let cell = Polytope::around(uniform(200, 50), &[0.0; 50], 0.1, p).unwrap();
        let run = solver(Schedule::Universal)
            .minimize(&cell, vec![1.0; 50])
            .unwrap();
        assert!(run.converged(), "{}", run.status);
        assert!(run.f <= 1e-8);
    }
}

/// f = x²⁴/24 + c(√(x² + δ²) − δ): a long phase of full steps far out, where a
/// power shrinks x by 22/23 a step, then a kink that no full step gets past.
struct Kink;

impl CostFunction for Kink {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let root = (x[0] * x[0] + 1e-12).sqrt();
        Ok(x[0].powi(24) / 24.0 + 1e-25 * x[0] * x[0] / (root + 1e-6))
    }
}
impl Gradient for Kink {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let root = (x[0] * x[0] + 1e-12).sqrt();
        Ok(vec![x[0].powi(23) + 1e-25 * x[0] / root])
    }
}
impl Hessian for Kink {
    type Param = Vec<f64>;
    type Hessian = [[f64; 1]; 1];
    fn hessian(&self, x: &Vec<f64>) -> Result<[[f64; 1]; 1], Error> {
        let root = (x[0] * x[0] + 1e-12).sqrt();
        Ok([[23.0 * x[0].powi(22) + 1e-25 * 1e-12 / (root * root * root)]])
    }
}

#[test]
fn many_full_steps_do_not_use_up_the_search() {
    let mut trials = 0;
    let run = solver(Schedule::Universal)
        .gradient_tol_abs(1e-35)
        .max_iters(3000)
        .on_iteration(|r| {
            trials = trials.max(r.trials);
            true
        })
        .minimize(&Kink, vec![1.0])
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    // The way back from σ's floor is short: log₄ of θ's range.
    assert!((5..=20).contains(&trials), "{trials}");
    assert!(run.report.iterations > 60);
}

#[test]
fn all_tolerances_include_the_decrement() {
    let model = breast_cancer(1e-3);
    let x0 = || vec![0.0; FEATURES];
    let both = DampedNewton::new().gradient_tol(1e-2).decrement_tol(1e-14);
    let any = both.clone().minimize(&model, x0()).unwrap();
    assert_eq!(any.status, Status::Converged(Converged::GradientTolerance));
    let all = both.require_all(true).minimize(&model, x0()).unwrap();
    assert_eq!(all.status, Status::Converged(Converged::DecrementTolerance));
    assert!(all.report.iterations > any.report.iterations);
    assert!(0.5 * all.report.decrement.powi(2) <= 1e-14 * all.f);
    // The decrement holds early, the gradient decides.
    let late = DampedNewton::new()
        .gradient_tol(1e-10)
        .decrement_tol(1e-2)
        .require_all(true)
        .minimize(&model, x0())
        .unwrap();
    assert!(late.converged());
    assert!(late.gradient_norm <= 1e-10 * model.gradient_scale());
    // The decrement alone.
    let alone = DampedNewton::new().gradient_tol(0.0).decrement_tol(1e-6);
    let any = alone.clone().minimize(&model, x0()).unwrap();
    let all = alone.require_all(true).minimize(&model, x0()).unwrap();
    assert_eq!(any.status, Status::Converged(Converged::DecrementTolerance));
    assert_eq!((all.status, all.x), (any.status, any.x));
}

#[test]
fn a_start_far_out_in_separable_data_is_not_converged() {
    let rows: Vec<Vec<f64>> = (0..10).map(|i| vec![f64::from(i) - 4.5]).collect();
    let labels: Vec<f64> = (0..10).map(|i| f64::from(i > 4)).collect();
    let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap());
    // At 60 the gradient meets its tolerance, at 1e4 it is exactly zero.
    for x0 in [0.0, 60.0, 1e4] {
        let separable = Status::Failed(Failed::Separable);
        let explicit = DampedNewton::new().gradient_tol_abs(1e-8);
        let run = explicit.minimize(&model, vec![x0]).unwrap();
        assert_eq!(run.status, separable, "from {x0}");
        let products = DampedNewton::matrix_free().gradient_tol_abs(1e-8);
        let run = products.minimize(&model, vec![x0]).unwrap();
        assert_eq!(run.status, separable, "from {x0}");
    }
}

#[test]
fn a_start_at_the_optimum_needs_no_step() {
    let optimum = fit(Schedule::Universal, 1e-3, 0.0).x;
    let model = breast_cancer(1e-3);
    // The model knows the scale of its gradient, so the default tolerance holds at once.
    let run = DampedNewton::new()
        .minimize(&model, optimum.clone())
        .unwrap();
    assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
    assert_eq!(
        (&run.x, run.report.iterations, run.report.factorizations),
        (&optimum, 0, 0)
    );
}

#[test]
fn trials_outside_the_domain_are_rejected() {
    // The full step from 3 lands at −3.
    for schedule in [
        Schedule::Universal,
        Schedule::Armijo,
        Schedule::Greedy,
        Schedule::Full,
        Schedule::Classical,
        Schedule::Aicn { lipschitz: 1.0 },
    ] {
        let run = solver(schedule).minimize(&barrier(), vec![3.0]).unwrap();
        assert!(run.converged(), "{schedule:?}: {}", run.status);
        assert!((run.x[0] - 1.0).abs() <= 1e-8, "{schedule:?}: {:?}", run.x);
    }
    let run = DampedNewton::new()
        .minimize(&barrier(), vec![-1.0])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::NonFinite));
    assert_eq!((run.x, run.report.hessians), (vec![-1.0], 0));
}

/// f = x or −x², by choice.
struct Bottomless {
    concave: bool,
}

impl CostFunction for Bottomless {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(if self.concave { -x[0] * x[0] } else { x[0] })
    }
}
impl Gradient for Bottomless {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(vec![if self.concave { -2.0 * x[0] } else { 1.0 }])
    }
}
impl Hessian for Bottomless {
    type Param = Vec<f64>;
    type Hessian = [[f64; 1]; 1];
    fn hessian(&self, _: &Vec<f64>) -> Result<[[f64; 1]; 1], Error> {
        Ok([[if self.concave { -2.0 } else { 0.0 }]])
    }
}

#[test]
fn unbounded_functions_are_reported() {
    let unbounded = Status::Failed(Failed::Unbounded);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Full] {
        let run = solver(schedule)
            .max_iters(1000)
            .minimize(&Bottomless { concave: true }, vec![1.0])
            .unwrap();
        assert_eq!(run.status, unbounded, "{schedule:?}");
        let run = solver(schedule)
            .max_iters(1000)
            .lower_bound(-50.0)
            .minimize(&Bottomless { concave: false }, vec![1.0])
            .unwrap();
        assert_eq!(run.status, unbounded, "{schedule:?}: f = {}", run.f);
    }
}
