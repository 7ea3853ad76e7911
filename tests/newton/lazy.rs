//! Cubic regularization and Hessians that serve several steps: rates, promises and the order of calls.
#![cfg(all(feature = "problems", feature = "libsvm"))]

use crate::data::{FEATURES, breast_cancer, synthetic};
use crate::problem::{Call, Problem, bits, distance, length, log_slope, normal, saddle, uniform};
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::oracle::{Explicit, Smooth};
use raphson::problems::{Chain, Polytope, Power, Rosenbrock};
use raphson::{
    Converged, CubicNewton, IterationRecord, LazyCubicNewton, LazyRegularizedNewton, Refresh, Run,
    Status, TrustRegionNewton,
};

/// f after each step.
macro_rules! curve {
    ($solver:expr, $problem:expr, $x0:expr, $steps:expr) => {{
        let mut f = Vec::new();
        let run = $solver
            .gradient_tol(0.0)
            .max_iters($steps)
            .on_iteration(|r| {
                f.push(r.f);
                true
            })
            .minimize($problem, $x0)
            .unwrap();
        assert_eq!(run.report.iterations, $steps, "{}", run.status);
        f
    }};
}

#[test]
fn fixed_constants_give_the_exact_exponents_on_powers() {
    for p in [6.0, 12.0, 24.0] {
        let power = Power::new(1, p).unwrap();
        let lipschitz = (p - 1.0) * (p - 2.0);
        let slope = |f: Vec<f64>| log_slope((200..=2000).map(|k| (k as f64, f[k])));
        let expected = -2.0 * p / (p - 3.0);
        let lazy = Refresh::Every(10);
        let slopes = [
            slope(curve!(
                CubicNewton::new().constant(lipschitz),
                &power,
                vec![1.0],
                2000
            )),
            slope(curve!(
                LazyCubicNewton::new()
                    .refresh(lazy)
                    .constant(60.0 * lipschitz),
                &power,
                vec![1.0],
                2000
            )),
            slope(curve!(
                LazyRegularizedNewton::new()
                    .refresh(lazy)
                    .constant(30.0 * lipschitz),
                &power,
                vec![1.0],
                2000
            )),
        ];
        for slope in slopes {
            assert!((slope - expected).abs() <= 0.1, "P = {p}: {slopes:?}");
        }
    }
}

/// With M = 6mL a phase of m steps decreases f by at least 0.163 M Σ‖s‖³.
#[test]
fn phases_decrease_as_promised() {
    let n = 20;
    let chain = Chain::new(n, 3.0, 1.0).unwrap();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut least = f64::INFINITY;
    for m in [1, 3, 10, 30] {
        let constant = 6.0 * m as f64 * Chain::CUBIC_LIPSCHITZ;
        for _ in 0..5 {
            let size = 10f64.powf(random.random_range(-1.0..1.0));
            let x0 = (0..n).map(|_| size * normal(&mut random)).collect();
            let mut steps = Vec::new();
            LazyCubicNewton::new()
                .refresh(Refresh::Every(m))
                .constant(constant)
                .gradient_tol(0.0)
                .max_iters(10 * m)
                .on_iteration(|r| {
                    steps.push((r.f, r.step_norm, r.hessians));
                    true
                })
                .minimize(&chain, x0)
                .unwrap();
            assert_eq!(steps.len() as u64, 10 * m + 1);
            for phase in 0..10 {
                let first = phase * m as usize;
                let last = first + m as usize;
                let cubes: f64 = steps[first + 1..=last].iter().map(|s| s.1.powi(3)).sum();
                assert_eq!(steps[last].2, phase as u64 + 1);
                let fall = steps[first].0 - steps[last].0;
                if cubes > 1e-12 {
                    least = least.min(fall / (constant * cubes));
                }
            }
        }
    }
    assert!((0.163..1.0).contains(&least), "{least}");
}

#[test]
fn the_hard_case_leaves_a_saddle() {
    let problem = saddle();
    let start = || vec![0.0, 1.0, 1.0];
    let runs = [
        LazyCubicNewton::new().minimize(&problem, start()).unwrap(),
        CubicNewton::new().minimize(&problem, start()).unwrap(),
        TrustRegionNewton::new()
            .minimize(&problem, start())
            .unwrap(),
    ];
    for run in runs {
        assert!(run.converged());
        assert!((run.f + 0.25).abs() <= 1e-12);
        assert!((run.x[0].abs() - 1.0).abs() <= 1e-7 && length(&run.x[1..]) <= 1e-7);
        assert!((4..=8).contains(&run.report.iterations));
    }
}

macro_rules! saddles {
    ($($solver:ident),+) => {$({
        let solver = || raphson::$solver::new();
        let problem = saddle();
        let run = solver().minimize(&problem, vec![0.0; 3]).unwrap();
        assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
        assert_eq!((run.f, run.report.iterations), (0.0, 0));

        let run = solver().second_order(true).minimize(&problem, vec![0.0; 3]).unwrap();
        assert_eq!(run.status, Status::Converged(Converged::SecondOrder), stringify!($solver));
        assert!((run.f + 0.25).abs() <= 1e-12);
        assert!((run.x[0].abs() - 1.0).abs() <= 1e-6);

        // At a minimizer the proof costs one Hessian, and no step.
        let plain = solver().minimize(&problem, vec![0.7, 0.3, -0.2]).unwrap();
        let proven = solver()
            .second_order(true)
            .minimize(&problem, vec![0.7, 0.3, -0.2])
            .unwrap();
        assert_eq!(plain.status, Status::Converged(Converged::GradientTolerance));
        assert_eq!(proven.status, Status::Converged(Converged::SecondOrder));
        assert_eq!(proven.report.hessians, plain.report.hessians + 1);
        assert_eq!(bits(&proven.x), bits(&plain.x));
        assert_eq!(proven.report.iterations, plain.report.iterations);
        let exact = solver()
            .second_order(true)
            .minimize(&problem, vec![1.0, 0.0, 0.0])
            .unwrap();
        assert_eq!(exact.status, Status::Converged(Converged::SecondOrder));
        assert_eq!((exact.report.hessians, exact.report.iterations), (1, 0));
    })+};
}

#[test]
fn the_second_order_test_tells_saddles_from_minimizers() {
    saddles!(LazyCubicNewton, CubicNewton, TrustRegionNewton);
}

fn lazy<O>(problem: &O, x0: Vec<f64>, m: u64) -> Run<Vec<f64>>
where
    O: Smooth<Explicit, Point = Vec<f64>>,
{
    LazyCubicNewton::new()
        .refresh(Refresh::Every(m))
        .gradient_tol(0.0)
        .gradient_tol_abs(1e-8)
        .minimize(problem, x0)
        .unwrap()
}

#[test]
fn long_phases_save_hessians() {
    let model = synthetic(1000, 200, 1e-4, 3);
    for (m, steps, hessians) in [(1, 10, 10), (10, 35, 4), (200, 235, 2)] {
        let run = lazy(&model, vec![0.0; 200], m);
        let report = &run.report;
        assert!(run.converged() && run.gradient_norm <= 1e-8);
        assert_eq!(report.rejected, 0);
        assert_eq!(report.hessians, report.iterations.div_ceil(m));
        assert!(
            report.iterations.abs_diff(steps) * 5 <= steps,
            "{m}: {}",
            report.iterations
        );
        assert!(report.hessians.abs_diff(hessians) <= 1);
    }
}

/// The cost in gradients of a Hessian that costs d of them.
fn cost(d: usize, run: &Run<Vec<f64>>) -> u64 {
    assert!(run.converged(), "{}", run.status);
    d as u64 * run.report.hessians + run.report.gradients
}

#[test]
fn laziness_pays_if_hessians_cost_d_gradients() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let rows = Mat::from_fn(400, 100, |_, _| normal(&mut random));
    let bounds = (0..400).map(|_| normal(&mut random) - 0.5).collect();
    let polytope = Polytope::new(rows, bounds, 3.0).unwrap();
    let chain = Chain::new(60, 3.0, 0.0).unwrap();
    let cancer = breast_cancer(1e-6);
    let model = synthetic(1000, 200, 1e-4, 3);
    let table = |d: usize, run: &dyn Fn(u64) -> Run<Vec<f64>>| {
        [1, 3, 6, 12, d as u64].map(|m| cost(d, &run(m)))
    };
    for (name, costs) in [
        (
            "cancer",
            table(FEATURES, &|m| lazy(&cancer, vec![0.0; FEATURES], m)),
        ),
        (
            "synthetic",
            table(200, &|m| lazy(&model, vec![0.0; 200], m)),
        ),
        (
            "polytope",
            table(100, &|m| lazy(&polytope, vec![1.0; 100], m)),
        ),
        ("chain", table(60, &|m| lazy(&chain, vec![1.0; 60], m))),
    ] {
        let best = costs[1..].iter().min().unwrap();
        assert!(costs[0] as f64 >= 1.7 * *best as f64, "{name}: {costs:?}");
    }
}

#[test]
fn one_step_per_hessian_is_plain_cubic_newton() {
    let compare = |problem: &Problem, x0: Vec<f64>| {
        let plain = CubicNewton::new().minimize(problem, x0.clone()).unwrap();
        let lazy = LazyCubicNewton::new()
            .refresh(Refresh::Every(1))
            .minimize(problem, x0)
            .unwrap();
        assert!(plain.converged());
        assert_eq!(bits(&plain.x), bits(&lazy.x));
        assert_eq!(plain.f.to_bits(), lazy.f.to_bits());
        assert_eq!((plain.status, plain.report), (lazy.status, lazy.report));
    };
    let valley = Rosenbrock::new(20).unwrap();
    let chain = Chain::new(30, 3.0, 0.0).unwrap();
    compare(&Problem::of(valley), valley.start());
    compare(&Problem::of(valley).banded(1), valley.start());
    compare(&Problem::of(chain), chain.start());
}

/// What one iteration asked for.
#[derive(Debug, Default, Clone, PartialEq)]
struct Asked {
    /// The rejected trials before each Hessian.
    hessians: Vec<u64>,
    rejected: u64,
}

/// Reads a log of calls of a method that tests values: `[H] {V [H]} V G` an iteration.
fn iterations(calls: &[Call]) -> Vec<Asked> {
    assert_eq!(calls[..2], [Call::Value, Call::Gradient]);
    let mut all = Vec::new();
    let mut one = Asked::default();
    for (k, call) in calls.iter().enumerate().skip(2) {
        match call {
            Call::Hessian => one.hessians.push(one.rejected),
            Call::Value if calls.get(k + 1) != Some(&Call::Gradient) => one.rejected += 1,
            Call::Value => {}
            Call::Gradient => {
                assert_eq!(calls[k - 1], Call::Value);
                all.push(std::mem::take(&mut one));
            }
            Call::Product => panic!("no product is to be had"),
        }
    }
    assert_eq!(one, Asked::default());
    all
}

/// Records and calls of a run that ends well above the rounding noise of f.
fn logged(refresh: Refresh, problem: &Problem, x0: Vec<f64>) -> (Vec<IterationRecord>, Vec<Asked>) {
    problem.take_calls();
    let mut records = Vec::new();
    let run = LazyCubicNewton::new()
        .refresh(refresh)
        .gradient_tol(1e-4)
        .on_iteration(|r| {
            records.push(*r);
            true
        })
        .minimize(problem, x0)
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    let asked = iterations(&problem.take_calls());
    assert_eq!(asked.len() as u64, run.report.iterations);
    assert_eq!(
        run.report.rejected,
        asked.iter().map(|a| a.rejected).sum::<u64>()
    );
    (records, asked)
}

/// Three rejections renew a stale Hessian, and nothing else does within an iteration.
fn assert_patience(asked: &[Asked]) -> usize {
    let mut renewed = 0;
    for one in asked {
        let fresh_at_start = one.hessians.first() == Some(&0);
        let within = &one.hessians[usize::from(fresh_at_start)..];
        let expected: &[u64] = if !fresh_at_start && one.rejected >= 3 {
            &[3]
        } else {
            &[]
        };
        assert_eq!(within, expected, "{one:?}");
        renewed += within.len();
    }
    renewed
}

#[test]
fn every_counts_steps_and_rejections_renew_a_stale_hessian() {
    let valley = Rosenbrock::new(10).unwrap();
    let problem = Problem::of(valley);
    let mut renewed = 0;
    for m in [2, 5, 30] {
        let (records, asked) = logged(Refresh::Every(m), &problem, valley.start());
        let (mut age, mut previous) = (m, None);
        for (one, pair) in asked.iter().zip(records.windows(2)) {
            let fresh = one.hessians.first() == Some(&0);
            assert_eq!(fresh, age >= m);
            age = if one.hessians.is_empty() { age + 1 } else { 1 };
            // A step with a fresh Hessian lowers M, each rejection raises it.
            let record = pair[1];
            if let Some(before) = previous {
                let power = one.rejected as i32 - i32::from(!one.hessians.is_empty());
                assert_eq!(record.control, before * 4f64.powi(power));
                let used = before * 4f64.powi(one.rejected as i32);
                let promised = used / 24.0 * record.step_norm.powi(3);
                assert!(pair[0].f - record.f >= promised * (1.0 - 1e-10));
            }
            previous = Some(record.control);
        }
        renewed += assert_patience(&asked);
    }
    assert!(renewed >= 3, "{renewed}");
}

/// In one dimension the step is known in closed form, and so is every trial.
#[test]
fn trials_pass_if_f_falls_by_a_24th_of_the_cube() {
    let problem = Problem::new(
        |x| 0.25 * x[0].powi(4) + (3.0 * x[0]).cos(),
        |x| vec![x[0].powi(3) - 3.0 * (3.0 * x[0]).sin()],
        |x| [[3.0 * x[0] * x[0] - 9.0 * (3.0 * x[0]).cos()]],
    );
    let mut narrow = 0;
    for start in (0..400).map(|k| 0.05 * f64::from(k) - 10.03) {
        let mut records = Vec::new();
        let run = CubicNewton::new()
            .gradient_tol(1e-4)
            .on_iteration(|r| {
                records.push(*r);
                true
            })
            .minimize(&problem, vec![start])
            .unwrap();
        assert!(run.converged());
        let mut x = start;
        let mut m = f64::NAN;
        for record in &records[1..] {
            let (f, g, h) = (problem.f(&[x]), problem.g(&[x])[0], problem.h(&[x])[(0, 0)]);
            if m.is_nan() {
                m = 0.002 * h * h / g.abs();
            }
            let mut trials = 0;
            let step = loop {
                trials += 1;
                // |g| = h r + (M/2) r²
                let r = (-h + (h * h + 2.0 * m * g.abs()).sqrt()) / m;
                let step = -r * g.signum();
                let gain = (f - problem.f(&[x + step])) / (m * r.powi(3));
                narrow += u32::from((0.1..1.0).contains(&(24.0 * gain)));
                if gain >= 1.0 / 24.0 {
                    break step;
                }
                m *= 4.0;
            };
            assert_eq!(record.trials, trials, "from {start}");
            assert!((record.step_norm - step.abs()).abs() <= 1e-6 * step.abs());
            m = record.control;
            x += step;
        }
        assert!((x - run.x[0]).abs() <= 1e-5);
    }
    assert!(narrow >= 3, "{narrow}");
}

#[test]
fn contraction_refreshes_after_a_poor_step() {
    let valley = Rosenbrock::new(10).unwrap();
    let mut kept = 0;
    for rho in [0.3, 0.9] {
        let problem = Problem::of(valley);
        let (records, asked) = logged(Refresh::Contraction(rho), &problem, valley.start());
        assert_patience(&asked);
        for (k, one) in asked.iter().enumerate().skip(1) {
            let (before, after) = (records[k - 1].gradient_norm, records[k].gradient_norm);
            assert_eq!(one.hessians.first() == Some(&0), after > rho * before);
            kept += usize::from(after <= rho * before);
        }
    }
    assert!(kept >= 5);
}

#[test]
fn auto_refreshes_below_the_average_of_the_phase() {
    let mut kept = 0;
    for (n, banded) in [(12, false), (12, true), (40, false)] {
        let chain = Chain::new(n, 3.0, 0.0).unwrap();
        let mut problem = Problem::of(chain);
        // Cost of a Hessian in gradients: the rows of a dense, the mean column of a sparse one.
        let mut cost = n as f64;
        if banded {
            problem = problem.banded(1);
            cost = (3 * n - 2) as f64 / n as f64;
        }
        let (records, asked) = logged(Refresh::Auto, &problem, chain.start());
        assert_patience(&asked);
        let mut reductions: Vec<f64> = Vec::new();
        for (k, one) in asked.iter().enumerate() {
            let steps = reductions.len();
            if k > 0 {
                let last = &reductions[steps.saturating_sub(3)..];
                let marginal = last.iter().sum::<f64>() / last.len() as f64;
                let average = reductions.iter().sum::<f64>() / (cost + steps as f64);
                // Sums in another order may differ in the last bit.
                assert!((marginal - average).abs() > 1e-12);
                let due = steps >= 2 && marginal < average;
                assert_eq!(one.hessians.first() == Some(&0), due, "step {k}");
                kept += usize::from(steps >= 2 && !due);
            }
            if !one.hessians.is_empty() {
                reductions.clear();
            }
            let (before, after) = (records[k].gradient_norm, records[k + 1].gradient_norm);
            reductions.push((before / after).ln());
        }
    }
    assert!(kept >= 10);
}

/// The gradient test uses no value, but its trials are still looked at for finite values.
#[test]
fn lazy_regularized_newton_keeps_its_hessian_as_told() {
    let chain = Chain::new(30, 3.0, 0.0).unwrap();
    let problem = Problem::of(chain);
    for m in [1, 4, 12] {
        let mut records: Vec<IterationRecord> = Vec::new();
        let run = LazyRegularizedNewton::new()
            .refresh(Refresh::Every(m))
            .on_iteration(|r| {
                records.push(*r);
                true
            })
            .minimize(&problem, chain.start())
            .unwrap();
        assert!(run.converged());
        let (mut age, mut fell) = (m, 0);
        for pair in records.windows(2) {
            let fresh = pair[1].hessians - pair[0].hessians;
            assert_eq!(fresh == 1, age >= m || pair[1].trials > 3 && age > 0);
            age = if fresh == 1 { 1 } else { age + 1 };
            if pair[0].iteration > 0 {
                let power = pair[1].trials as i32 - 1 - i32::from(fresh == 1);
                let ratio = pair[1].control / pair[0].control;
                assert!(
                    (ratio / 4f64.powi(power) - 1.0).abs() <= 1e-14,
                    "{ratio}, {power}"
                );
                fell += u32::from(ratio < 1.0);
            }
        }
        assert!(fell > 0);
        assert_eq!(run.report.gradients, run.report.trials + 1);
    }
}

fn after(problem: &Problem, x0: &[f64], m: u64, steps: u64) -> Run<Vec<f64>> {
    LazyCubicNewton::new()
        .refresh(Refresh::Every(m))
        .max_iters(steps)
        .minimize(problem, x0.to_vec())
        .unwrap()
}

#[test]
fn sparse_hessians_stay_sparse_and_change_nothing() {
    let (chain, valley) = (
        Chain::new(40, 3.0, 0.0).unwrap(),
        Rosenbrock::new(20).unwrap(),
    );
    // The Hessian is indefinite there.
    let ridge = (0..20).map(|i| f64::from(i % 2)).collect();
    for (problem, x0) in [
        (Problem::of(chain), chain.start()),
        (Problem::of(valley), valley.start()),
        (Problem::of(valley), ridge),
    ] {
        let sparse = problem.banded(1);
        // Phases of ten steps and more reduce a dense Hessian, but never a sparse one.
        for m in [1, 3, 12] {
            for steps in [1, 2, 5, 10, 20] {
                let (a, b) = (
                    after(&problem, &x0, m, steps),
                    after(&sparse, &x0, m, steps),
                );
                let gap = distance(&a.x, &b.x);
                assert!(gap <= 1e-10 * (1.0 + length(&a.x)), "{m}, {steps}: {gap}");
                assert_eq!(a.report.iterations, b.report.iterations);
                assert_eq!(a.report.trials, b.report.trials);
                assert_eq!(a.report.hessians, b.report.hessians);
                assert_eq!((a.report.analyses, b.report.analyses), (0, 1));
            }
        }
    }
}

#[test]
fn a_sparse_factor_serves_while_its_shift_is_near() {
    let chain = Chain::new(60, 3.0, 0.0).unwrap();
    let problem = Problem::of(chain).banded(1);
    let mut last = IterationRecord::default();
    let (mut kept, mut farthest) = (0, 1.0_f64);
    let run = LazyRegularizedNewton::new()
        .refresh(Refresh::Every(20))
        .on_iteration(|r| {
            if r.iteration > 0 {
                kept += u64::from(r.shift == last.shift);
                // M changes after the step with a fresh Hessian and before a second trial.
                if r.hessians == last.hessians && r.trials == 1 {
                    let wanted = (r.control * last.gradient_norm).sqrt() / r.shift;
                    assert!(wanted > 0.5 && wanted < 2.0, "{wanted}");
                    farthest = farthest.max(wanted).max(1.0 / wanted);
                }
            }
            last = *r;
            true
        })
        .minimize(&problem, chain.start())
        .unwrap();
    assert!(run.converged());
    assert!(run.report.factorizations < run.report.iterations);
    assert!(kept > 100 && farthest > 1.5, "{kept}, {farthest}");
    assert_eq!(run.report.analyses, 1);
}

#[test]
fn a_krylov_space_needs_few_products() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let a = uniform(&mut random, 1, 500);
    let target: Vec<f64> = (0..500).map(|i| 3.0 * a[(0, i)]).collect();
    let t = target.clone();
    // Curvature from 1 to about 1001, negative between the wells.
    let stiff = |i: usize| 10f64.powf(3.0 * i as f64 / 499.0);
    let problem = Problem::new(
        move |x| {
            let own = x.iter().zip(&target).enumerate();
            own.map(|(i, (x, t))| 0.5 * stiff(i) * (x - t).powi(2) + 2.0 * x.cos())
                .sum()
        },
        move |x| {
            let own = x.iter().zip(&t).enumerate();
            own.map(|(i, (x, t))| stiff(i) * (x - t) - 2.0 * x.sin())
                .collect()
        },
        move |x| {
            Mat::from_fn(500, 500, |i, j| {
                if i == j {
                    stiff(i) - 2.0 * x[i].cos()
                } else {
                    0.0
                }
            })
        },
    )
    .banded(0);
    let (mut most, mut before) = (0, 0);
    let run = CubicNewton::matrix_free()
        .on_iteration(|r| {
            most = most.max(r.hessian_products - before);
            before = r.hessian_products;
            true
        })
        .minimize(&problem, vec![0.0; 500])
        .unwrap();
    assert!(run.converged());
    // The first iteration pays one for the scale of the curvature.
    assert!(most <= 41, "{most}");
    assert_eq!((run.report.hessians, run.report.factorizations), (0, 0));
    let few = CubicNewton::matrix_free()
        .krylov(5)
        .minimize(&problem, vec![0.0; 500])
        .unwrap();
    assert!(few.converged());
    assert!(few.report.hessian_products <= 5 * few.report.iterations + 1);
    let calls = problem.take_calls();
    let products = calls.iter().filter(|c| **c == Call::Product).count() as u64;
    assert_eq!(
        products,
        run.report.hessian_products + few.report.hessian_products
    );
    assert!(!calls.contains(&Call::Hessian));
}
