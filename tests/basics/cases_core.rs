//! User cases of the core: bad input, limits, stops and the glue to argmin, each
//! for its whole kind. The numbers UC-… are case ids; UC-129 is in `check.rs`,
//! Ctrl-C of UC-123 in `interrupt.rs`.

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error as HostError, Executor, Gradient, Hessian, IterState, KV};
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::{Stored, SymView};
use raphson::linear::{BunchKaufman, Factor, SparseCholesky};
use raphson::problem::{FromFn, from_fn};
use raphson::{
    Converged, DampedNewton, Error, Failed, Fused, HessianProduct, Indefinite, Outcome, Run,
    Schedule, Status, Stopped,
};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;
/// Value, gradient and Hessian by function pointers.
type Plain<const N: usize> =
    FromFn<fn(&[f64]) -> f64, fn(&[f64]) -> Vec<f64>, fn(&[f64]) -> [[f64; N]; N]>;

const SCHEDULES: [Schedule; 8] = [
    Schedule::Universal,
    Schedule::Aicn { lipschitz: 1.0 },
    Schedule::Root {
        q: 3.0,
        constant: 1.0,
    },
    Schedule::Explicit {
        q: 4.0,
        constant: 1.0,
    },
    Schedule::Classical,
    Schedule::Full,
    Schedule::Armijo,
    Schedule::Greedy,
];

fn plain<const N: usize>(
    f: fn(&[f64]) -> f64,
    g: fn(&[f64]) -> Vec<f64>,
    h: fn(&[f64]) -> [[f64; N]; N],
) -> Plain<N> {
    from_fn(f, g, h)
}

fn rosenbrock() -> Plain<2> {
    plain(
        |x| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2),
        |x| {
            let d = x[1] - x[0] * x[0];
            vec![-400.0 * x[0] * d - 2.0 * (1.0 - x[0]), 200.0 * d]
        },
        |x| {
            let cross = -400.0 * x[0];
            [
                [1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0, cross],
                [cross, 200.0],
            ]
        },
    )
}

fn same(a: &[f64], b: &[f64]) -> bool {
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

/// x² + eˣ through products or in one pass; `nan` makes all of it NaN.
struct Other {
    nan: bool,
}

impl Other {
    fn at(&self, x: f64) -> [f64; 3] {
        let e = if self.nan { f64::NAN } else { x.exp() };
        [x * x + e, 2.0 * x + e, 2.0 + e]
    }
}

impl CostFunction for Other {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.at(x[0])[0])
    }
}

impl Gradient for Other {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(vec![self.at(x[0])[1]])
    }
}

impl HessianProduct for Other {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        out[0] = self.at(x[0])[2] * v[0];
        Ok(())
    }
}

impl Fused for Other {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = f64;
    fn value(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.at(x[0])[0])
    }
    fn value_gradient(&self, x: &Vec<f64>) -> Result<(f64, Vec<f64>), HostError> {
        Ok((self.at(x[0])[0], vec![self.at(x[0])[1]]))
    }
    fn hessian(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(self.at(x[0])[2])
    }
}

const NON_FINITE: Status = Status::Failed(Failed::NonFinite);

// UC-117
#[test]
fn an_objective_that_is_nan_fails_at_its_start_point() {
    let problems: [Plain<1>; 6] = [
        plain(|_| f64::NAN, |_| vec![f64::NAN], |_| [[f64::NAN]]),
        plain(|_| f64::NAN, |_| vec![1.0], |_| [[1.0]]),
        plain(|_| f64::NAN, |_| vec![0.0], |_| [[1.0]]),
        plain(|_| 1.0, |_| vec![f64::NAN], |_| [[1.0]]),
        plain(|_| f64::INFINITY, |_| vec![1.0], |_| [[1.0]]),
        plain(|_| f64::NEG_INFINITY, |_| vec![f64::INFINITY], |_| [[1.0]]),
    ];
    for schedule in SCHEDULES {
        for problem in problems {
            let solver = DampedNewton::new().schedule(schedule);
            let run = solver.clone().minimize(&problem, vec![1.0]).unwrap();
            assert_eq!((run.status, run.report.iterations), (NON_FINITE, 0));
            assert!(!run.converged() && same(&run.x, &[1.0]));
            assert!(run.counts.values().sum::<u64>() <= 2, "{:?}", run.counts);
            let result = Executor::new(problem, solver)
                .configure(|state| state.param(vec![1.0]))
                .run()
                .unwrap();
            assert_eq!(result.status(), NON_FINITE);
            assert_eq!(result.state.best_param, Some(vec![1.0]));
            assert_eq!((result.problem.counts, result.state.iter), (run.counts, 0));
        }
    }
    let nan = Other { nan: true };
    for run in [
        DampedNewton::matrix_free()
            .minimize(&nan, vec![1.0])
            .unwrap(),
        DampedNewton::fused()
            .minimize(&nan, vec![1.0])
            .unwrap()
            .with_source(),
    ] {
        assert_eq!((run.status, run.x), (NON_FINITE, vec![1.0]));
        assert!(run.counts.values().sum::<u64>() <= 2, "{:?}", run.counts);
    }
}

// UC-117
#[test]
fn a_hessian_that_is_nan_fails_without_a_step() {
    let problems: [Plain<2>; 3] = [
        plain(
            |_| 1.0,
            |_| vec![1.0, 2.0],
            |_| [[1.0, 0.0], [0.0, f64::NAN]],
        ),
        plain(
            |_| 1.0,
            |_| vec![1.0, 2.0],
            |_| [[1.0, f64::NAN], [f64::NAN, 1.0]],
        ),
        plain(
            |_| 1.0,
            |_| vec![1.0, 2.0],
            |_| [[f64::INFINITY, 0.0], [0.0, 1.0]],
        ),
    ];
    for schedule in SCHEDULES {
        for policy in [Indefinite::Shift, Indefinite::Fail] {
            for problem in problems {
                let solver = DampedNewton::new().schedule(schedule).indefinite(policy);
                let run = solver.clone().minimize(&problem, vec![3.0, 4.0]).unwrap();
                assert_eq!((run.status, run.report.iterations), (NON_FINITE, 0));
                assert_eq!((run.x, run.f), (vec![3.0, 4.0], 1.0));
                let result = Executor::new(problem, solver)
                    .configure(|state| state.param(vec![3.0, 4.0]))
                    .run()
                    .unwrap();
                assert_eq!(result.status(), NON_FINITE);
                assert_eq!(result.state.best_param, Some(vec![3.0, 4.0]));
            }
        }
    }
}

// UC-118
#[test]
fn start_points_that_are_not_finite_are_refused_before_any_evaluation() {
    let calls = Cell::new(0);
    let counted = || {
        from_fn(
            |x: &[f64]| {
                calls.set(calls.get() + 1);
                x[0] * x[0] + x[1] * x[1]
            },
            |x: &[f64]| {
                calls.set(calls.get() + 1);
                vec![2.0 * x[0], 2.0 * x[1]]
            },
            |_: &[f64]| {
                calls.set(calls.get() + 1);
                [[2.0, 0.0], [0.0, 2.0]]
            },
        )
    };
    for (bad, at) in [
        ([f64::INFINITY, 0.0], 0),
        ([f64::NAN, 0.0], 0),
        ([1.0, f64::NEG_INFINITY], 1),
        ([1.0, f64::NAN], 1),
    ] {
        let named = |error: &Error| matches!(error, Error::NonFinite { index, .. } if *index == at);
        let error = DampedNewton::new().minimize(&counted(), bad.to_vec());
        assert!(named(&error.unwrap_err()), "{bad:?}");
        let error = Executor::new(counted(), DampedNewton::new())
            .configure(|state| state.param(bad.to_vec()))
            .run()
            .err()
            .unwrap();
        assert!(named(error.downcast_ref().unwrap()), "{error}");
    }
    let error = Executor::new(counted(), DampedNewton::new())
        .run()
        .err()
        .unwrap();
    assert!(
        matches!(error.downcast_ref(), Some(Error::MissingStart)),
        "{error}"
    );
    assert_eq!(calls.get(), 0);
}

/// What an observer saw: calls of init, iter and final, and the last (x, f).
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Sight>>);
/// Calls of the three hooks, last point and last cost.
type Sight = ([u64; 3], Vec<f64>, f64);

impl Observe<State> for Seen {
    fn observe_init(&mut self, _: &str, _: &State, _: &KV) -> Result<(), HostError> {
        self.0.lock().unwrap().0[0] += 1;
        Ok(())
    }
    fn observe_iter(&mut self, state: &State, _: &KV) -> Result<(), HostError> {
        let mut seen = self.0.lock().unwrap();
        seen.0[1] += 1;
        (seen.1, seen.2) = (state.param.clone().unwrap(), state.cost);
        Ok(())
    }
    fn observe_final(&mut self, _: &State) -> Result<(), HostError> {
        self.0.lock().unwrap().0[2] += 1;
        Ok(())
    }
}

// UC-121
#[test]
fn n_iterations_are_n_and_the_last_one_seen_is_the_result() {
    let stopped = Status::Stopped(Stopped::MaxIterations);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Greedy] {
        for limit in [0, 1, 2, 5] {
            let solver = DampedNewton::new().schedule(schedule);
            let mut records = Vec::new();
            let run = solver
                .clone()
                .max_iters(limit)
                .on_iteration(|r| {
                    records.push(*r);
                    true
                })
                .minimize(&rosenbrock(), vec![-1.2, 1.0])
                .unwrap();
            assert_eq!((run.status, run.report.iterations), (stopped, limit));
            assert_eq!(records.len() as u64, limit + 1);
            assert!(records.iter().zip(0..).all(|(r, k)| r.iteration == k));
            // All three schedules descend, so the best is the last.
            assert_eq!(records.last().unwrap().f, run.f);
            for by_host in [true, false] {
                let seen = Seen::default();
                let solver = if by_host {
                    solver.clone()
                } else {
                    solver.clone().max_iters(limit)
                };
                let result = Executor::new(rosenbrock(), solver)
                    .configure(|state| {
                        let state = state.param(vec![-1.2, 1.0]);
                        if by_host {
                            state.max_iters(limit)
                        } else {
                            state
                        }
                    })
                    .add_observer(seen.clone(), ObserverMode::Always)
                    .run()
                    .unwrap();
                assert_eq!(result.status(), stopped);
                let context = format!("limit {limit} by host {by_host}");
                assert_eq!(result.state.iter, limit, "{context}");
                let seen = seen.0.lock().unwrap();
                assert_eq!(seen.0, [1, limit, 1], "{context}");
                let best = result.state.best_param.unwrap();
                assert!(same(&best, &run.x) && result.state.best_cost == run.f);
                assert!(limit == 0 || same(&best, &seen.1) && seen.2 == run.f);
            }
        }
    }
}

/// x⁴, each value costing 20 ms.
fn slow() -> Plain<1> {
    plain(
        |x| {
            std::thread::sleep(Duration::from_millis(20));
            x[0].powi(4)
        },
        |x| vec![4.0 * x[0].powi(3)],
        |x| [[12.0 * x[0] * x[0]]],
    )
}

// UC-122: each iteration takes at least 20 ms, so 100 ms hold at most 5 and the one under way.
#[test]
fn a_time_limit_stops_within_one_iteration_and_keeps_the_best_point() {
    let limit = Duration::from_millis(100);
    let timed_out = Status::Stopped(Stopped::Time);
    for schedule in [Schedule::Universal, Schedule::Full, Schedule::Armijo] {
        let solver = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
        let run = solver
            .clone()
            .time_limit(limit)
            .minimize(&slow(), vec![1.0])
            .unwrap();
        assert_eq!(run.status, timed_out);
        assert!(run.report.iterations <= 6 && run.seconds >= 0.1);
        assert_eq!(run.f, run.x[0].powi(4));
        let result = Executor::new(slow(), solver)
            .configure(|state| state.param(vec![1.0]))
            .timer(true)
            .timeout(limit)
            .run()
            .unwrap();
        assert_eq!(result.status(), timed_out);
        assert!(result.state.iter <= 6);
        assert_eq!(
            result.state.best_cost,
            result.state.best_param.unwrap()[0].powi(4)
        );
    }
    let none = DampedNewton::new().time_limit(Duration::ZERO);
    let run = none.minimize(&slow(), vec![1.0]).unwrap();
    assert_eq!(
        (run.status, run.report.iterations, run.f),
        (timed_out, 0, 1.0)
    );
}

// UC-123
#[test]
fn a_callback_ends_the_run_cleanly() {
    let interrupted = Status::Stopped(Stopped::Interrupted);
    for stop in 0..4 {
        let mut last = None;
        let run = DampedNewton::new()
            .on_iteration(|r| {
                last = Some(*r);
                r.iteration < stop
            })
            .minimize(&rosenbrock(), vec![-1.2, 1.0])
            .unwrap();
        assert_eq!((run.status, run.report.iterations), (interrupted, stop));
        let last = last.unwrap();
        assert_eq!((last.iteration, last.f), (stop, run.f));
        assert!(run.must_converge().is_err());
    }
    // A run that has converged stays so.
    let flat = plain(|x| x[0] * x[0], |x| vec![2.0 * x[0]], |_| [[2.0]]);
    let run = DampedNewton::new()
        .on_iteration(|_| false)
        .minimize(&flat, vec![0.0])
        .unwrap();
    assert!(run.converged());
}

// UC-124
#[test]
fn the_best_point_is_always_set_and_its_cost_computed() {
    let square = plain(
        |x| (x[0] - 2.0).powi(2),
        |x| vec![2.0 * (x[0] - 2.0)],
        |_| [[2.0]],
    );
    for schedule in SCHEDULES {
        for start in [7.0, 2.0, -1e6] {
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(1e-15);
            let result = Executor::new(square, solver)
                .configure(|state| state.param(vec![start]))
                .run()
                .unwrap();
            assert!(result.status().is_converged(), "{schedule:?} {start}");
            let best = result.state.best_param.unwrap()[0];
            assert!((best - 2.0).abs() <= 1e-8, "{schedule:?} {best}");
            assert_eq!(result.state.best_cost, (best - 2.0).powi(2));
            assert!(result.problem.counts["cost_count"] > 0);
        }
    }
}

fn exponential() -> Plain<1> {
    plain(
        |x| x[0] * x[0] + x[0].exp(),
        |x| vec![2.0 * x[0] + x[0].exp()],
        |x| [[2.0 + x[0].exp()]],
    )
}

// UC-125
#[test]
fn the_reason_is_a_test_that_holds() {
    for schedule in SCHEDULES {
        let tiny = DampedNewton::new().schedule(schedule).gradient_tol(1e-300);
        let mut values = Vec::new();
        let run = tiny
            .cost_tol(1e-13)
            .on_iteration(|r| {
                values.push(r.f);
                true
            })
            .minimize(&exponential(), vec![0.0])
            .unwrap();
        let n = values.len();
        match run.status {
            Status::Converged(Converged::CostTolerance) => {
                assert!((values[n - 2] - values[n - 1]).abs() <= 1e-13);
            }
            // The last step can land on a gradient of exactly zero, which is named first.
            Status::Converged(Converged::GradientTolerance) => assert_eq!(run.gradient_norm, 0.0),
            other => panic!("{schedule:?}: {other}"),
        }
        assert!(
            (run.x[0] + 0.351_733_711_249_195_8).abs() <= 1e-6,
            "{schedule:?} {:?}",
            run.x
        );
        assert!((run.f - 0.827_184_026_127_524_4).abs() <= 1e-12);
    }
}

// UC-125
#[test]
fn disabled_tests_never_produce_success() {
    for schedule in SCHEDULES {
        let off = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
        let run = off
            .clone()
            .max_iters(2)
            .minimize(&exponential(), vec![0.0])
            .unwrap();
        assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
        // Without a limit only a gradient of zero or the floor of precision ends the run.
        let run = off.minimize(&exponential(), vec![0.0]).unwrap();
        let held = match run.status {
            Status::Converged(Converged::GradientTolerance) => run.gradient_norm == 0.0,
            Status::Converged(Converged::PrecisionFloor) => run.gradient_norm <= 1e-15,
            _ => false,
        };
        assert!(held, "{schedule:?} {run:?}");
        assert!((run.x[0] + 0.351_733_711_249_195_8).abs() <= 1e-15);
    }
}

#[test]
fn all_tolerances_can_be_required_at_once() {
    let both = DampedNewton::new()
        .gradient_tol(1e-3)
        .cost_tol(1e-12)
        .require_all(true);
    let run = both.minimize(&exponential(), vec![0.0]).unwrap();
    assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
    assert!(run.gradient_norm <= 1e-8);
}

// UC-125
#[test]
fn options_out_of_range_are_refused_at_the_start() {
    let new = DampedNewton::new;
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let solvers = [
            ("gradient_tol", new().gradient_tol(bad)),
            ("gradient_tol_abs", new().gradient_tol_abs(bad)),
            ("decrement_tol", new().decrement_tol(bad)),
            ("gap_tol", new().gap_tol(bad, 1.0)),
            ("strong_convexity", new().gap_tol(1e-3, bad)),
            ("step_tol", new().step_tol(bad)),
            ("cost_tol", new().cost_tol(bad)),
            ("f_noise", new().f_noise(bad)),
            (
                "lipschitz",
                new().schedule(Schedule::Aicn { lipschitz: bad }),
            ),
            (
                "q",
                new().schedule(Schedule::Root {
                    q: bad,
                    constant: 1.0,
                }),
            ),
            (
                "constant",
                new().schedule(Schedule::Explicit {
                    q: 3.0,
                    constant: bad,
                }),
            ),
        ];
        for (option, solver) in solvers {
            let named =
                |e: &Error| matches!(e, Error::InvalidParameter { name, .. } if *name == option);
            let error = solver
                .clone()
                .minimize(&exponential(), vec![0.0])
                .unwrap_err();
            assert!(named(&error), "{option}: {error}");
            let error = Executor::new(exponential(), solver)
                .configure(|state| state.param(vec![0.0]))
                .run()
                .err()
                .unwrap();
            assert!(named(error.downcast_ref().unwrap()), "{option}: {error}");
        }
    }
    let nan = new()
        .lower_bound(f64::NAN)
        .minimize(&exponential(), vec![0.0]);
    assert!(matches!(
        nan,
        Err(Error::InvalidParameter {
            name: "lower_bound",
            ..
        })
    ));
}

// UC-126
#[test]
fn stored_zeros_do_not_change_a_factorization() {
    let base = [
        (0, 0, 4.0),
        (1, 0, 1.0),
        (0, 1, 1.0),
        (2, 0, 1.0),
        (0, 2, 1.0),
        (1, 1, 3.0),
    ];
    let zeros = [(2, 1, 0.0), (1, 2, -0.0), (2, 2, -0.0)];
    let exact = [3.0, -1.0 / 3.0, -32.0 / 3.0];
    for extra in [&[][..], &zeros[..1], &zeros[2..], &zeros[..]] {
        let all = base.iter().chain(extra);
        let triplets: Vec<_> = all.map(|&(i, j, a)| Triplet::new(i, j, a)).collect();
        let m = SparseColMat::<usize, f64>::try_new_from_triplets(3, 3, &triplets).unwrap();
        let view = SymView::Sparse(m.as_ref(), Stored::Both);
        let mut dense = BunchKaufman::new();
        dense.factor(view, 0.0).unwrap();
        let mut x = [1.0, 2.0, 3.0];
        dense.solve_in_place(&mut x).unwrap();
        assert!(
            x.iter().zip(exact).all(|(x, e)| (x - e).abs() <= 1e-12),
            "{x:?}"
        );
        // The sparse LDLᵀ regularizes by δ and repairs that by one residual at a time.
        let delta = 1e-9;
        let mut sparse = SparseCholesky::ldlt();
        sparse
            .factor_with_diagonal(view, &[delta, delta, -delta])
            .unwrap();
        assert_eq!(
            (sparse.inertia().positive, sparse.inertia().negative),
            (2, 1)
        );
        let mut x = [0.0; 3];
        for _ in 0..4 {
            let [a, b, c] = x;
            let mut r = [1.0 - (4.0 * a + b + c), 2.0 - (a + 3.0 * b), 3.0 - a];
            sparse.solve_in_place(&mut r).unwrap();
            x = [a + r[0], b + r[1], c + r[2]];
        }
        assert!(
            x.iter().zip(exact).all(|(x, e)| (x - e).abs() <= 1e-12),
            "{x:?}"
        );
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("sensor {0} is offline")]
struct Offline(u32);

/// cosh x that fails in one of its functions at one of its calls.
struct Flaky {
    function: &'static str,
    at: u32,
    calls: Cell<u32>,
}

impl Flaky {
    fn new(function: &'static str, at: u32) -> Self {
        let calls = Cell::new(0);
        Flaky {
            function,
            at,
            calls,
        }
    }
    fn call(&self, function: &str) -> Result<(), HostError> {
        if function != self.function {
            return Ok(());
        }
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == self.at {
            return Err(HostError::new(Offline(self.at)));
        }
        Ok(())
    }
}

impl CostFunction for Flaky {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.call("cost")?;
        Ok(x[0].cosh())
    }
}

impl Gradient for Flaky {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.call("gradient")?;
        Ok(vec![x[0].sinh()])
    }
}

impl Hessian for Flaky {
    type Param = Vec<f64>;
    type Hessian = f64;
    fn hessian(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.call("hessian")?;
        Ok(x[0].cosh())
    }
}

impl HessianProduct for Flaky {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.call("product")?;
        out[0] = x[0].cosh() * v[0];
        Ok(())
    }
}

#[test]
fn an_error_of_the_problem_passes_through_unchanged() {
    for function in ["cost", "gradient", "hessian", "product"] {
        for at in 1..4 {
            let offline = |error: &HostError| {
                assert_eq!(
                    error.downcast_ref::<Offline>(),
                    Some(&Offline(at)),
                    "{error}"
                );
            };
            let problem = Flaky::new(function, at);
            let run = if function == "product" {
                DampedNewton::matrix_free()
                    .minimize(&problem, vec![3.0])
                    .map(Run::with_source)
            } else {
                DampedNewton::new().minimize(&problem, vec![3.0])
            };
            match run {
                Err(Error::Problem(error)) => offline(&error),
                other => panic!("{function} {at}: {other:?}"),
            }
            let problem = Flaky::new(function, at);
            let error = if function == "product" {
                let executor = Executor::new(problem, DampedNewton::matrix_free());
                executor.configure(|s| s.param(vec![3.0])).run().err()
            } else {
                let executor = Executor::new(problem, DampedNewton::new());
                executor.configure(|s| s.param(vec![3.0])).run().err()
            };
            offline(&error.unwrap());
        }
    }
}

/// The typed error of one problem, the same plain and under argmin.
fn refusal<M: raphson::SymMat + 'static>(g: fn(&[f64]) -> Vec<f64>, h: fn(&[f64]) -> M) -> Error {
    let problem: FromFn<fn(&[f64]) -> f64, _, _> = from_fn(|x| x[0] * x[0] + x[1] * x[1], g, h);
    let error = DampedNewton::new()
        .minimize(&problem, vec![1.0, 2.0])
        .unwrap_err();
    let hosted = Executor::new(problem, DampedNewton::new())
        .configure(|state| state.param(vec![1.0, 2.0]))
        .run()
        .err()
        .unwrap();
    let hosted: Error = hosted.downcast().unwrap();
    assert_eq!(hosted.to_string(), error.to_string());
    error
}

#[test]
fn derivatives_of_the_wrong_shape_are_typed_errors() {
    let right = |x: &[f64]| vec![2.0 * x[0], 2.0 * x[1]];
    let eye = |_: &[f64]| [[2.0, 0.0], [0.0, 2.0]];
    for short in [
        |_: &[f64]| vec![1.0],
        |_: &[f64]| vec![1.0; 3],
        |_: &[f64]| vec![],
    ] {
        let error = refusal(short, eye);
        assert!(
            matches!(error, Error::WrongLength { expected: 2, .. }),
            "{error}"
        );
    }
    type Shape = fn(&[f64]) -> faer::Mat<f64>;
    let shapes: [Shape; 4] = [
        |_| faer::Mat::identity(3, 3),
        |_| faer::Mat::identity(2, 3),
        |_| faer::Mat::identity(1, 2),
        |_| faer::Mat::zeros(0, 0),
    ];
    for shape in shapes {
        let error = refusal(right, shape);
        let named = matches!(
            error,
            Error::WrongShape {
                expected_rows: 2,
                expected_cols: 2,
                ..
            }
        );
        assert!(named, "{error}");
    }
    let error = refusal(right, |_| vec![vec![2.0, 0.0], vec![2.0]]);
    assert!(error.to_string().contains("differ in length"), "{error}");
    // The wrong triangle, a wrong sign, and a matrix by rows of the wrong formula.
    for skew in [
        |_: &[f64]| [[2.0, 0.0], [1.0, 2.0]],
        |_: &[f64]| [[2.0, 1.0], [-1.0, 2.0]],
        |_: &[f64]| [[2.0, 1e-3], [0.0, 2.0]],
    ] {
        let error = refusal(right, skew);
        assert!(
            matches!(error, Error::Asymmetric { row: 1, col: 0, .. }),
            "{error}"
        );
    }
}

#[test]
fn trials_outside_the_domain_are_rejected() {
    // x - log x, whose full Newton step from above 2 leaves the domain.
    let problem = plain(
        |x| x[0] - x[0].ln(),
        |x| vec![1.0 - 1.0 / x[0]],
        |x| [[x[0].powi(-2)]],
    );
    for schedule in SCHEDULES {
        for start in [2.5, 10.0, 1e-6, 1e4] {
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(1e-12);
            let run = solver.minimize(&problem, vec![start]).unwrap();
            let context = format!("{schedule:?} from {start}: {run:?}");
            assert!(run.x[0] > 0.0 && run.f.is_finite(), "{context}");
            let fast = !matches!(schedule, Schedule::Full);
            assert!(
                !fast || run.converged() && (run.x[0] - 1.0).abs() <= 1e-6,
                "{context}"
            );
        }
    }
}

#[test]
fn functions_without_a_minimizer_never_converge_by_default_tests() {
    // -log x falls without bound, slowly.
    let log = plain(|x| -x[0].ln(), |x| vec![-1.0 / x[0]], |x| [[x[0].powi(-2)]]);
    // e^x + e^-y has the infimum 0; its gradient goes to 0, so the default test holds.
    let exp = plain(
        |x| (-x[0]).exp(),
        |x| vec![-(-x[0]).exp()],
        |x| [[(-x[0]).exp()]],
    );
    // -x has no curvature at all.
    let line = plain(|x| -x[0], |_| vec![-1.0], |_| [[0.0]]);
    for schedule in [Schedule::Universal, Schedule::Armijo, Schedule::Greedy] {
        let off = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
        let bounded = off.clone().lower_bound(-20.0);
        for problem in [log, line] {
            let run = bounded.clone().minimize(&problem, vec![1.0]).unwrap();
            assert_eq!(
                run.status,
                Status::Failed(Failed::Unbounded),
                "{schedule:?} {run:?}"
            );
            assert!(run.f <= -20.0 && run.f.is_finite());
            let result = Executor::new(problem, bounded.clone())
                .configure(|state| state.param(vec![1.0]))
                .run()
                .unwrap();
            assert_eq!(result.status(), run.status);
            assert_eq!(result.state.best_param, Some(run.x));
        }
        let run = DampedNewton::new()
            .schedule(schedule)
            .minimize(&exp, vec![0.0])
            .unwrap();
        assert!(run.gradient_norm <= 1e-8 && run.x[0] >= 18.0, "{run:?}");
        assert!(run.converged());
        let run = off
            .clone()
            .lower_bound(1e-30)
            .minimize(&exp, vec![0.0])
            .unwrap();
        assert_eq!(
            run.status,
            Status::Failed(Failed::Unbounded),
            "{schedule:?} {run:?}"
        );
    }
}

#[test]
fn no_variables_are_a_defined_problem() {
    let run = |g: f64| {
        let constant = from_fn(
            move |_: &[f64]| g,
            |_: &[f64]| vec![],
            |_: &[f64]| [[0.0; 0]; 0],
        );
        DampedNewton::new().minimize(&constant, vec![]).unwrap()
    };
    let done = run(5.0);
    assert!(done.converged() && done.x.is_empty());
    assert_eq!((done.f, done.report.iterations), (5.0, 0));
    assert_eq!(run(f64::NAN).status, NON_FINITE);
}

#[test]
fn every_source_of_curvature_gives_the_same_minimum() {
    let other = Other { nan: false };
    for run in [
        DampedNewton::matrix_free()
            .gradient_tol(1e-12)
            .minimize(&other, vec![0.0])
            .unwrap(),
        DampedNewton::fused()
            .gradient_tol(1e-12)
            .minimize(&other, vec![0.0])
            .unwrap()
            .with_source(),
    ] {
        assert!(run.converged());
        assert!(
            (run.x[0] + 0.351_733_711_249_195_8).abs() <= 1e-11,
            "{run:?}"
        );
    }
}
