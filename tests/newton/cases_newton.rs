//! User cases of damped Newton, each for its whole kind: plain and under argmin,
//! over the schedules, and for neighboring inputs. The numbers UC-… are case ids.

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error as HostError, Executor, Gradient, Hessian, IterState, KV};
use raphson::oracle::{Explicit, Smooth};
use raphson::problem::from_fn;
use raphson::{
    Converged, DampedNewton, Failed, Indefinite, IterationRecord, Outcome, Run, Schedule, Status,
    SymMat, VecLike,
};
use std::sync::{Arc, Mutex};

type State<G> = IterState<Vec<f64>, G, (), (), (), f64>;

/// Every schedule, the ones with a constant at constants of order one.
const SCHEDULES: [Schedule; 9] = [
    Schedule::Universal,
    Schedule::Aicn { lipschitz: 1.0 },
    Schedule::Root {
        q: 3.0,
        constant: 1.0,
    },
    Schedule::Explicit {
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

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Keeps every point and every number that an observer of argmin sees.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Sight>>>);
/// Point, cost and gradient.
type Sight = (Vec<f64>, f64, Vec<f64>);

impl Seen {
    fn keep<G>(&self, state: &State<G>, kv: &KV) {
        let numbers = kv.kv.values().filter_map(|v| v.get_float()).collect();
        let x = state.param.clone().unwrap();
        self.0.lock().unwrap().push((x, state.cost, numbers));
    }
}

impl<G> Observe<State<G>> for Seen {
    fn observe_init(&mut self, _: &str, state: &State<G>, kv: &KV) -> Result<(), HostError> {
        self.keep(state, kv);
        Ok(())
    }
    fn observe_iter(&mut self, state: &State<G>, kv: &KV) -> Result<(), HostError> {
        self.keep(state, kv);
        Ok(())
    }
}

struct Solved {
    run: Run<Vec<f64>>,
    records: Vec<IterationRecord>,
    /// Accepted points, the start first.
    points: Vec<Vec<f64>>,
}

/// Runs plain and under argmin, checks that both agree to the last bit and that
/// nothing they show is NaN or infinite.
fn solve<O>(problem: O, solver: DampedNewton, x0: &[f64]) -> Solved
where
    O: Smooth<Explicit, Point = Vec<f64>> + Clone,
    O::Slope: Clone + 'static,
{
    let mut records = Vec::new();
    let run = solver
        .clone()
        .on_iteration(|r| {
            records.push(*r);
            true
        })
        .minimize(&problem, x0.to_vec())
        .unwrap();
    let seen = Seen::default();
    let result = Executor::new(problem, solver.metrics(true))
        .configure(|state| state.param(x0.to_vec()))
        .add_observer(seen.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    assert_eq!(result.status(), run.status);
    assert_eq!(result.solver.report(), &run.report);
    assert_eq!(result.problem.counts, run.counts);
    let best = result.state.best_param.unwrap();
    assert_eq!(bits(&best), bits(&run.x), "{best:?} {:?}", run.x);
    assert_eq!(result.state.best_cost.to_bits(), run.f.to_bits());
    let seen = std::mem::take(&mut *seen.0.lock().unwrap());
    for (x, f, numbers) in &seen {
        assert!(f.is_finite() && x.iter().chain(numbers).all(|v| v.is_finite()));
    }
    for r in &records {
        let shown = [
            r.f,
            r.gradient_norm,
            r.decrement,
            r.step_norm,
            r.step_length,
        ];
        assert!(
            shown
                .iter()
                .chain(&[r.control, r.shift])
                .all(|v| v.is_finite()),
            "{r:?}"
        );
    }
    assert!(run.f.is_finite() && run.x.iter().all(|x| x.is_finite()));
    Solved {
        run,
        records,
        points: seen.into_iter().map(|s| s.0).collect(),
    }
}

fn scalar<F, G, H>(
    f: F,
    g: G,
    h: H,
) -> impl Smooth<Explicit, Point = Vec<f64>, Slope = Vec<f64>> + Clone
where
    F: Fn(f64) -> f64 + Clone,
    G: Fn(f64) -> f64 + Clone,
    H: Fn(f64) -> f64 + Clone,
{
    from_fn(
        move |x: &[f64]| f(x[0]),
        move |x: &[f64]| vec![g(x[0])],
        move |x: &[f64]| [[h(x[0])]],
    )
}

// UC-001
#[test]
fn a_start_at_the_minimizer_takes_no_step() {
    for schedule in SCHEDULES {
        for tol in [1e-8, 0.0] {
            let solver = DampedNewton::new().schedule(schedule).gradient_tol(tol);
            let none = |s: Solved, x: f64, f: f64| {
                let run = &s.run;
                assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
                assert_eq!((run.x[0], run.f), (x, f));
                assert_eq!((run.report.iterations, run.report.trials), (0, 0));
                assert_eq!((run.gradient_norm, s.records.len()), (0.0, 1));
            };
            let square = |c: f64| scalar(move |x| (x - c).powi(2), move |x| 2.0 * (x - c), |_| 2.0);
            none(solve(square(0.0), solver.clone(), &[0.0]), 0.0, 0.0);
            none(solve(square(0.0), solver.clone(), &[-0.0]), 0.0, 0.0);
            none(solve(square(3.0), solver.clone(), &[3.0]), 3.0, 0.0);
            let flat = scalar(|x| x.powi(4), |x| 4.0 * x.powi(3), |x| 12.0 * x * x);
            none(solve(flat, solver.clone(), &[0.0]), 0.0, 0.0);
            let constant = scalar(|_| -7.0, |_| 0.0, |_| 0.0);
            none(solve(constant, solver, &[1e300]), 1e300, -7.0);
        }
    }
}

// UC-002
#[test]
fn damping_factors_keep_their_digits_near_the_optimum() {
    // f = x²/2 from 1 has the decrement 1, so the constant is the scaled gradient norm.
    let factor = |schedule| {
        let half = scalar(|x| 0.5 * x * x, |x| x, |_| 1.0);
        let solver = DampedNewton::new().schedule(schedule).max_iters(1);
        solve(half, solver, &[1.0]).records[1].step_length
    };
    let expected = [
        (1e-20, 1.0),
        (1e-16, 1.0),
        (1e-12, 0.999_999_999_999_5),
        (1e-4, 0.999_950_004_999_375_1),
        (1.0, 0.732_050_807_568_877_3),
        (100.0, 0.131_774_468_787_578_25),
    ];
    for (s, alpha) in expected {
        let found = factor(Schedule::Aicn { lipschitz: s });
        assert!((found - alpha).abs() <= 2e-16, "s = {s}: {found}");
    }
    let scales = [1e-300, 1e-20, 1e-16, 1e-12, 1e-4, 1.0, 100.0, 1e20, 1e200];
    let families: [fn(f64) -> Schedule; 5] = [
        |s| Schedule::Aicn { lipschitz: s },
        |s| Schedule::Root {
            q: 3.0,
            constant: s,
        },
        |s| Schedule::Root {
            q: 4.0,
            constant: s,
        },
        |s| Schedule::Explicit {
            q: 3.0,
            constant: s,
        },
        |s| Schedule::Explicit {
            q: 4.0,
            constant: s,
        },
    ];
    for family in families {
        let factors: Vec<f64> = scales.iter().map(|&s| factor(family(s))).collect();
        assert_eq!(factors[0], 1.0);
        assert!(
            factors.windows(2).all(|w| w[1] <= w[0]) && factors[8] > 0.0,
            "{factors:?}"
        );
        assert!(factors[7] < 1e-5, "{factors:?}");
    }
}

// UC-002
#[test]
fn the_last_steps_do_not_shrink_to_zero() {
    for start in [1e-9, -1e-9, 1e-6, 1e-12] {
        for schedule in SCHEDULES {
            let softplus = scalar(
                |x| x.exp().ln_1p() - 0.5 * x,
                |x| 0.5 * (0.5 * x).tanh(),
                |x| 0.25 / (0.5 * x).cosh().powi(2),
            );
            let solver = DampedNewton::new().schedule(schedule).max_iters(2);
            let s = solve(softplus, solver, &[start]);
            // The explicit schedule of q = 3 is of order 3/2 only, and the bound is absolute.
            let slow = matches!(schedule, Schedule::Explicit { .. }) && start == 1e-6;
            assert!(
                slow || s.run.x[0].abs() < 1e-15,
                "{schedule:?} {start}: {:?}",
                s.run
            );
        }
    }
}

// UC-003
#[test]
fn a_parameter_without_effect_does_not_move() {
    for idle in [0.25, 0.0, -0.0, 1e300, -3e-310] {
        for first in [true, false] {
            let (i, j) = if first { (0, 1) } else { (1, 0) };
            let problem = from_fn(
                move |x: &[f64]| (x[i] - 1.0).powi(2),
                move |x: &[f64]| {
                    let mut g = vec![0.0; 2];
                    g[i] = 2.0 * (x[i] - 1.0);
                    g
                },
                move |_: &[f64]| {
                    let mut h = [[0.0; 2]; 2];
                    h[i][i] = 2.0;
                    h
                },
            );
            let mut x0 = [0.0; 2];
            x0[j] = idle;
            for schedule in SCHEDULES {
                let solver = DampedNewton::new().schedule(schedule).gradient_tol(1e-13);
                let s = solve(problem, solver, &x0);
                assert!(s.run.converged(), "{schedule:?} {:?}", s.run);
                assert!((s.run.x[i] - 1.0).abs() <= 1e-12 && s.run.f <= 1e-24);
                assert_eq!(s.run.x[j].to_bits(), idle.to_bits());
                // The loss of affine invariance is reported.
                assert!(s.run.report.shifted > 0 && s.run.report.shift > 0.0);
            }
            let strict = DampedNewton::new().indefinite(Indefinite::Fail);
            let s = solve(problem, strict, &x0);
            assert_eq!(s.run.status, Status::Failed(Failed::NotPositiveDefinite));
            assert_eq!(bits(&s.run.x), bits(&x0));
        }
    }
}

// UC-005
#[test]
fn nearly_singular_hessians_end_at_the_minimum() {
    for last in [1.0, 1.0 + 1e-15, 1.0 + 1e-14, 1.0 + 1e-12, 1.0 - 1e-16] {
        let h = [[1.0, 1.0], [1.0, last]];
        let b = [2.0, 1.0 + last];
        let times = move |x: &[f64]| [x[0] + x[1], x[0] + last * x[1]];
        let problem = from_fn(
            move |x: &[f64]| {
                let hx = times(x);
                (0.5 * hx[0] - b[0]) * x[0] + (0.5 * hx[1] - b[1]) * x[1]
            },
            move |x: &[f64]| {
                let hx = times(x);
                vec![hx[0] - b[0], hx[1] - b[1]]
            },
            move |_: &[f64]| h,
        );
        for schedule in SCHEDULES {
            let solver = DampedNewton::new().schedule(schedule);
            let s = solve(problem, solver, &[0.0, 0.0]);
            let context = format!("{schedule:?} {last}: {:?}", s.run);
            assert!(
                s.run.converged() && s.run.report.iterations < 50,
                "{context}"
            );
            assert!((s.run.f + 2.0).abs() <= 1e-10, "{context}");
            assert!((s.run.x[0] + s.run.x[1] - 2.0).abs() <= 1e-7, "{context}");
        }
    }
}

/// s x − log(1 − x) − log(1 + x); outside the walls NaN, or +∞ if asked for.
fn barrier(
    pull: f64,
    infinite: bool,
) -> impl Smooth<Explicit, Point = Vec<f64>, Slope = Vec<f64>> + Clone {
    scalar(
        move |x| {
            if infinite && x.abs() >= 1.0 {
                return f64::INFINITY;
            }
            pull * x - (1.0 - x).ln() - (1.0 + x).ln()
        },
        move |x| pull + 1.0 / (1.0 - x) - 1.0 / (1.0 + x),
        |x| (1.0 - x).powi(-2) + (1.0 + x).powi(-2),
    )
}

// UC-007
#[test]
fn steps_stay_inside_the_walls() {
    for schedule in SCHEDULES {
        for infinite in [false, true] {
            let off = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
            let mut solver = off.gradient_tol_abs(1e-12);
            if schedule == Schedule::Full {
                // Not globally convergent: only its points are looked at.
                solver = solver.max_iters(30);
            }
            for start in [0.99, -0.99, 0.999_999, -0.999_999, 0.0] {
                for pull in [50.0, -50.0, 1.0, 1e4] {
                    let s = solve(barrier(pull, infinite), solver.clone(), &[start]);
                    assert!(
                        s.points.iter().all(|x| x[0].abs() < 1.0),
                        "{schedule:?} {pull}"
                    );
                    if schedule == Schedule::Full {
                        continue;
                    }
                    let context = format!("{schedule:?} {pull} from {start}: {:?}", s.run);
                    assert!(s.run.converged(), "{context}");
                    let x = -pull / (1.0 + (1.0 + pull * pull).sqrt());
                    let size = 1.0 + pull.abs();
                    assert!((s.run.x[0] - x).abs() <= 1e-12, "{context}");
                    if pull == 50.0 {
                        assert!((s.run.x[0] + 0.980_199_980_003_999).abs() <= 1e-12);
                        assert!((s.run.f + 45.771_124_508_425_14).abs() <= 1e-13 * size);
                    }
                }
            }
        }
    }
}

// UC-008
#[test]
fn a_large_constant_in_f_does_not_hide_convergence() {
    for offset in [1e8, -1e8, 1e12, 0.0] {
        for start in [1.0 + 1e-5, 1.0 - 1e-5, 1.0 + 1e-9] {
            for schedule in SCHEDULES {
                let square = scalar(
                    move |x| offset + (x - 1.0).powi(2),
                    |x| 2.0 * (x - 1.0),
                    |_| 2.0,
                );
                let curved = scalar(
                    move |x| offset + (x - 1.0).cosh(),
                    |x| (x - 1.0).sinh(),
                    |x| (x - 1.0).cosh(),
                );
                let solver = DampedNewton::new().schedule(schedule);
                let runs = [
                    solve(square, solver.clone(), &[start]),
                    solve(curved, solver.clone(), &[start]),
                ];
                for s in runs {
                    let context = format!("{schedule:?} {offset} {start}: {:?}", s.run);
                    let by = Status::Converged(Converged::GradientTolerance);
                    assert_eq!(s.run.status, by, "{context}");
                    assert!((s.run.x[0] - 1.0).abs() <= 1e-12, "{context}");
                    assert!(s.run.report.iterations <= 10, "{context}");
                    // Greedy counts the points of its section as rejected trials.
                    let bound = if schedule == Schedule::Greedy { 60 } else { 4 };
                    assert!(s.run.report.rejected <= bound, "{context}");
                }
            }
        }
    }
}

fn quartic(offset: f64) -> impl Smooth<Explicit, Point = Vec<f64>, Slope = Vec<f64>> + Clone {
    scalar(
        move |x| x.powi(4) + offset,
        |x| 4.0 * x.powi(3),
        |x| 12.0 * x * x,
    )
}

// UC-010
#[test]
fn undamped_newton_at_a_degenerate_minimum_is_linear_and_counted_right() {
    let full = DampedNewton::new()
        .schedule(Schedule::Full)
        .gradient_tol(0.0);
    let s = solve(quartic(0.0), full.clone().gradient_tol_abs(1e-8), &[1.0]);
    assert_eq!(
        s.run.status,
        Status::Converged(Converged::GradientTolerance)
    );
    assert_eq!(s.run.report.iterations, 17);
    assert!((s.run.x[0] / 1.014_959_2e-3 - 1.0).abs() <= 1e-7);
    for (k, x) in s.points.iter().enumerate() {
        let exact = (2.0f64 / 3.0).powi(k as i32);
        assert!((x[0] / exact - 1.0).abs() <= 1e-13, "{k}: {x:?}");
    }
    let slope = |k: usize| s.records[k].gradient_norm;
    assert!((slope(16) / 1.41e-8 - 1.0).abs() < 5e-3 && (slope(17) / 4.18e-9 - 1.0).abs() < 5e-3);
    let s = solve(quartic(0.0), full.cost_tol(1e-3), &[1.0]);
    assert_eq!(s.run.status, Status::Converged(Converged::CostTolerance));
    assert_eq!(s.run.report.iterations, 6);
    let change = |k: usize| s.records[k - 1].f - s.records[k].f;
    assert!((change(5) / 1.22e-3 - 1.0).abs() < 5e-3 && (change(6) / 2.41e-4 - 1.0).abs() < 5e-3);
}

// UC-010, UC-125: x⁴ + 1 for the tests relative to f.
#[test]
fn every_tolerance_stops_by_itself_and_is_the_one_named() {
    let tol = 1e-4;
    for schedule in SCHEDULES {
        let off = DampedNewton::new().schedule(schedule).gradient_tol(0.0);
        let cases = [
            (off.clone().gradient_tol(tol), Converged::GradientTolerance),
            (
                off.clone().gradient_tol_abs(tol),
                Converged::GradientTolerance,
            ),
            (
                off.clone().decrement_tol(tol),
                Converged::DecrementTolerance,
            ),
            (off.clone().gap_tol(tol, 2.0), Converged::GapTolerance),
            (off.clone().step_tol(tol), Converged::StepTolerance),
            (off.clone().cost_tol(tol), Converged::CostTolerance),
        ];
        for (solver, named) in cases {
            // Strongly convex with μ = 2 so that the gap test is a proof.
            let problem = scalar(
                |x| x.powi(4) + x * x + 1.0,
                |x| 4.0 * x.powi(3) + 2.0 * x,
                |x| 12.0 * x * x + 2.0,
            );
            let s = solve(problem, solver, &[1.0]);
            let context = format!("{schedule:?} {named:?} {:?}", s.run);
            assert_eq!(s.run.status, Status::Converged(named), "{context}");
            // The test that is named holds at the point returned.
            let x = s.run.x[0];
            let g = 4.0 * x.powi(3) + 2.0 * x;
            let h = 12.0 * x * x + 2.0;
            let last = s.records.last().unwrap();
            let held = match named {
                Converged::GradientTolerance => g.abs() <= 6.0 * tol,
                Converged::DecrementTolerance => 0.5 * g * g / h <= tol * s.run.f,
                Converged::GapTolerance => s.run.f - 1.0 <= tol * s.run.f,
                Converged::StepTolerance => last.step_norm <= tol * (tol + x.abs()),
                _ => {
                    let k = s.records.iter().rposition(|r| r.iteration < last.iteration);
                    (s.records[k.unwrap()].f - last.f).abs() <= tol
                }
            };
            assert!(held, "{context}");
        }
    }
}

// UC-012
#[test]
fn a_badly_scaled_exponential_is_solved_fast() {
    let exact = 6.907_755_278_982_137_f64;
    for (schedule, limit) in [
        (Schedule::Universal, 30),
        (Schedule::Armijo, 30),
        (Schedule::Greedy, 30),
        (Schedule::Full, 30),
        // The decrement of 507 makes the classical step 1/508: safe, not fast.
        (Schedule::Classical, 4000),
    ] {
        for start in [5.4388, 6.9, 3.0, 7.5, 10.0] {
            let problem = scalar(
                |r| 100.0 * r.exp() - 1e5 * r,
                |r| 100.0 * r.exp() - 1e5,
                |r| 100.0 * r.exp(),
            );
            let solver = DampedNewton::new().schedule(schedule);
            let s = solve(problem.clone(), solver.clone(), &[start]);
            let context = format!("{schedule:?} {start} {:?}", s.run);
            // An overshoot from 3 lands at 50 and comes back one at a time.
            let limit = if schedule == Schedule::Full && start == 3.0 {
                60
            } else {
                limit
            };
            assert!(
                s.run.converged() && s.run.report.iterations < limit,
                "{context}"
            );
            assert!(start > 7.0 || s.run.gradient_norm <= 1e-3, "{context}");
            let s = solve(
                problem,
                solver.gradient_tol(0.0).gradient_tol_abs(1e-9),
                &[start],
            );
            let context = format!("{schedule:?} {start} {:?}", s.run);
            assert!(
                s.run.converged() && s.run.report.iterations < limit + 2,
                "{context}"
            );
            assert!((s.run.x[0] / exact - 1.0).abs() <= 1e-12, "{context}");
            assert!(
                (s.run.f / -590_775.527_898_213_7 - 1.0).abs() <= 1e-12,
                "{context}"
            );
        }
    }
}

/// (x − 2)² + 1 on any one-dimensional types.
#[derive(Clone)]
struct One<P, M>(fn(f64) -> P, M);

fn entry<P: VecLike>(x: &P) -> f64 {
    let mut out = [0.0];
    x.read(&mut out);
    out[0]
}

impl<P: VecLike, M> CostFunction for One<P, M> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> Result<f64, HostError> {
        Ok((entry(x) - 2.0).powi(2) + 1.0)
    }
}

impl<P: VecLike, M> Gradient for One<P, M> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> Result<P, HostError> {
        Ok(self.0(2.0 * (entry(x) - 2.0)))
    }
}

impl<P: VecLike, M: Clone> Hessian for One<P, M> {
    type Param = P;
    type Hessian = M;
    fn hessian(&self, _: &P) -> Result<M, HostError> {
        Ok(self.1.clone())
    }
}

fn one_step<P: VecLike, M: SymMat + Clone>(make: fn(f64) -> P, hessian: M) {
    for schedule in [Schedule::Full, Schedule::Universal, Schedule::Armijo] {
        let solver = DampedNewton::new().schedule(schedule);
        let problem = One(make, hessian.clone());
        let run = solver.clone().minimize(&problem, make(10.0)).unwrap();
        assert!(run.converged());
        // Cholesky divides by sqrt(2) twice, hence not by 2 to the last bit.
        let near = |x: &P| (entry(x) - 2.0).abs() <= 1e-14;
        assert!(near(&run.x) && run.f == 1.0 && run.report.iterations == 1);
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(make(10.0)))
            .run()
            .unwrap();
        assert!(result.status().is_converged());
        assert!(near(&result.state.best_param.unwrap()));
        assert_eq!((result.state.best_cost, result.state.iter), (1.0, 1));
    }
}

// UC-013
#[test]
fn problems_in_one_variable_need_no_matrix_type() {
    one_step(|x| x, 2.0);
    one_step(|x| [x], [[2.0]]);
    one_step(|x| vec![x], vec![vec![2.0]]);
    one_step(|x| vec![x], 2.0);
    one_step(|x| faer::Col::from_fn(1, |_| x), faer::mat![[2.0]]);
    #[cfg(feature = "nalgebra")]
    one_step(nalgebra::Vector1::new, nalgebra::Matrix1::new(2.0));
    #[cfg(feature = "ndarray")]
    one_step(|x| ndarray::arr1(&[x]), ndarray::arr2(&[[2.0]]));
}
