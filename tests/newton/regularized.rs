//! Regularization by the gradient norm: exponents, approximate Hessians and metrics.
#![cfg(feature = "problems")]

use crate::problem::{
    Approximation, NormPower, Problem, distance, length, log_slope, normal, uniform,
};
use faer::{Col, Mat, Side};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::RankOne;
use raphson::method::Method;
use raphson::oracle::Smooth;
use raphson::problems::{Affine, Chain, LogSumExp, Power};
use raphson::{
    CubicNewton, Error, GradientNormalizedNewton, GradientRegularizedNewton, IterationRecord,
    LazyRegularizedNewton, Raphson, Refresh, Run, Status, Stopped, TrustRegionNewton,
};

fn normalized(problem: &Problem, x0: &[f64], tol: f64, limit: u64) -> Run<Vec<f64>> {
    GradientNormalizedNewton::new()
        .gradient_tol(0.0)
        .gradient_tol_abs(tol)
        .max_iters(limit)
        .minimize(problem, x0.to_vec())
        .unwrap()
}

/// Whether a count is within a fifth of a reference, and one step.
fn near(count: u64, reference: u64) -> bool {
    count.abs_diff(reference) <= 1 + reference / 5
}

#[test]
fn steps_are_no_longer_than_the_radius() {
    let valley = NormPower::rosenbrock(6).problem(Approximation::GaussNewton);
    let weights = [4.0, 1.0, 0.25, 9.0, 1.0, 2.0];
    let metric = Mat::from_fn(6, 6, |i, j| if i == j { weights[i] } else { 0.0 });
    let x0 = [-1.2, 1.0, -1.2, 1.0, -1.2, 1.0];
    let dual = |g: &[f64]| {
        let squares = g.iter().zip(weights).map(|(g, b)| g * g / b);
        squares.sum::<f64>().sqrt()
    };
    let after = |steps| {
        GradientNormalizedNewton::new()
            .metric(&metric)
            .unwrap()
            .gradient_tol(0.0)
            .max_iters(steps)
            .minimize(&valley, x0.to_vec())
            .unwrap()
    };
    let (mut active, mut searched, mut before) = (0, 0, 0);
    let mut x = x0.to_vec();
    for steps in 1..=25 {
        let run = after(steps);
        assert_eq!(run.report.iterations, steps, "{}", run.status);
        let radius = dual(&valley.g(&x)) / run.report.shift;
        let moved = run
            .x
            .iter()
            .zip(&x)
            .zip(weights)
            .map(|((a, b), w)| w * (a - b).powi(2));
        let moved = moved.sum::<f64>().sqrt();
        assert!(moved <= radius * (1.0 + 1e-10), "{moved} > {radius}");
        active += usize::from(moved >= 0.1 * radius);
        // γ is doubled after a first trial, and kept after a search.
        let trials = run.report.trials - before;
        let kept = if trials == 1 { 2.0 } else { 1.0 };
        assert!((run.report.control / radius - kept).abs() <= 1e-10);
        searched += u64::from(trials > 1);
        before = run.report.trials;
        x = run.x;
    }
    assert!(active >= 5 && searched >= 3, "{active}, {searched}");
}

fn records<M: Method, C>(
    solver: Raphson<M, C>,
    problem: &Problem,
    x0: Vec<f64>,
) -> Vec<IterationRecord>
where
    Problem: Smooth<C, Point = Vec<f64>>,
{
    let mut records = Vec::new();
    let logged = solver.on_iteration(|r| {
        records.push(*r);
        true
    });
    assert!(logged.minimize(problem, x0).unwrap().converged());
    records
}

/// λ is what the table of the module says, and f falls by what its test promises.
#[test]
fn accepted_steps_keep_their_promises() {
    let chain = Chain::new(12, 3.0, 0.0).unwrap();
    let convex = Problem::of(chain);
    let valley = NormPower::rosenbrock(4).problem(Approximation::Exact);
    let close = |a: f64, b: f64| (a / b - 1.0).abs() <= 1e-10;
    let fell = |pair: &[IterationRecord], promised: f64| {
        let fall = pair[0].f - pair[1].f;
        assert!(
            fall >= promised - 1e-15 * pair[0].f.abs(),
            "{fall} < {promised}"
        );
    };
    // Above the noise of f, where values and not gradients decide.
    let solver = || GradientNormalizedNewton::new().gradient_tol(1e-5);
    let from = vec![-1.2, 1.0, -1.2, 1.0];
    for path in [
        records(solver(), &valley, from),
        records(solver(), &convex, chain.start()),
    ] {
        for pair in path.windows(2) {
            let [before, after] = [pair[0], pair[1]];
            let grown = if after.trials == 1 { 2.0 } else { 1.0 };
            let radius = after.control / grown;
            assert!(close(after.shift, before.gradient_norm / radius));
            fell(pair, after.gradient_norm.powi(2) / (8.0 * after.shift));
        }
    }
    for a in [0.5, 2.0 / 3.0, 1.0] {
        let solver = GradientRegularizedNewton::new()
            .exponent(a)
            .gradient_tol(1e-5);
        for pair in records(solver, &convex, chain.start()).windows(2) {
            let [before, after] = [pair[0], pair[1]];
            let constant = 4.0 * after.control;
            assert!(close(after.shift, constant * before.gradient_norm.powf(a)));
            fell(pair, after.gradient_norm.powi(2) / (4.0 * after.shift));
        }
    }
    let solver = LazyRegularizedNewton::new()
        .refresh(Refresh::Every(3))
        .gradient_tol(1e-5);
    for pair in records(solver, &convex, chain.start()).windows(2) {
        let [before, after] = [pair[0], pair[1]];
        let fresh = after.hessians > before.hessians;
        let constant = if fresh {
            4.0 * after.control
        } else {
            after.control
        };
        assert!(close(after.shift.powi(2), constant * before.gradient_norm));
        fell(pair, after.gradient_norm.powi(2) / (4.0 * after.shift));
    }
}

macro_rules! curve {
    ($solver:expr, $problem:expr, $x0:expr) => {{
        let mut f = Vec::new();
        let run = $solver
            .gradient_tol(0.0)
            .on_iteration(|r| {
                f.push(r.f);
                true
            })
            .minimize($problem, $x0)
            .unwrap();
        (f, run)
    }};
}

#[test]
fn fixed_constants_give_the_exact_exponents_on_powers() {
    for p in [12.0, 24.0] {
        let power = Power::new(1, p).unwrap();
        // Lipschitz constants of the second and third derivative on [0, 1].
        let second: f64 = (p - 1.0) * (p - 2.0);
        for (q, lipschitz) in [
            (3.0, second),
            (3.5, second * (p - 3.0)),
            (4.0, second * (p - 3.0)),
        ] {
            let solver = GradientRegularizedNewton::new()
                .exponent((q - 2.0) / (q - 1.0))
                .constant((6.0 * lipschitz).powf(1.0 / (q - 1.0)))
                .max_iters(2000);
            let f = curve!(solver, &power, vec![1.0]).0;
            let slope = log_slope((200..=2000).map(|k| (k as f64, f[k])));
            let expected = -(q - 1.0) * p / (p - q);
            assert!((slope - expected).abs() <= 0.1, "P = {p}, q = {q}: {slope}");
        }
    }
}

#[test]
fn slopes_on_the_chain() {
    let n = 200;
    for (q, iterations, adaptive, fixed) in [(3.0, 216, -1.90, -1.16), (4.0, 214, -2.90, -1.85)] {
        let chain = Chain::new(n, q, 0.0).unwrap();
        let solver = GradientNormalizedNewton::new().gradient_tol_abs(1e-12);
        let (f, run) = curve!(solver, &chain, chain.start());
        let slope = log_slope((10..=150).map(|k| (k as f64, f[k])));
        assert!(run.converged(), "{}", run.status);
        assert!(
            near(run.report.iterations, iterations),
            "{}",
            run.report.iterations
        );
        assert!((slope - adaptive).abs() <= 0.1, "q = {q}: {slope}");
        let constant = 2f64.powf(q - 1.0) * if q == 3.0 { 2.0 } else { 6.0 };
        let solver = GradientRegularizedNewton::new()
            .exponent((q - 2.0) / (q - 1.0))
            .constant((6.0 * constant).powf(1.0 / (q - 1.0)))
            .max_iters(400);
        let f = curve!(solver, &chain, chain.start()).0;
        let slope = log_slope((10..=400).map(|k| (k as f64, f[k])));
        assert!((slope - fixed).abs() <= 0.1, "q = {q}: {slope}");
    }
}

#[test]
fn gauss_newton_serves_as_well_as_the_hessian_on_small_residuals() {
    for seed in [1, 2, 3] {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let x0: Vec<f64> = (0..50).map(|_| random.random_range(0.0..1.0)).collect();
        let chebyshev = NormPower::chebyshev(50, 4.0);
        let steps = [Approximation::Exact, Approximation::GaussNewton].map(|how| {
            let run = normalized(&chebyshev.problem(how), &x0, 1e-6, 400);
            assert!(run.converged(), "{how:?}: {}", run.status);
            run.report.iterations
        });
        assert!(
            near(steps[0], 21) && near(steps[1], 20),
            "{seed}: {steps:?}"
        );
    }
}

#[test]
fn a_term_of_rank_one_is_inverted_by_its_formula() {
    for seed in [1, 2, 3] {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let a = uniform(&mut random, 50, 100);
        let b = uniform(&mut random, 50, 1);
        let b: Vec<f64> = (0..50).map(|i| b[(i, 0)]).collect();
        let quartic = NormPower::affine(a, b, 4.0);
        let fit = |how| normalized(&quartic.problem(how), &[1.0; 100], 1e-6, 400);
        let exact = fit(Approximation::Exact);
        let thin = fit(Approximation::RankOne);
        let full = fit(Approximation::RankOneDense);
        assert!(exact.converged() && thin.converged() && full.converged());
        let steps = (exact.report.iterations, thin.report.iterations);
        assert!(near(steps.0, 25) && near(steps.1, 72), "{seed}: {steps:?}");
        assert_eq!(thin.report.trials, full.report.trials);
        assert!(
            distance(&thin.x, &full.x) <= 1e-9 * length(&full.x),
            "{}",
            distance(&thin.x, &full.x)
        );
        assert_eq!(thin.report.factorizations, 0);
        assert_eq!(full.report.factorizations, full.report.trials);
    }
}

/// The same in a metric, and where a solver has to store it densely.
#[test]
fn rank_one_and_dense_agree_for_every_user() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
    let a = uniform(&mut random, 6, 8);
    let gram = a.transpose() * &a;
    let metric = Mat::from_fn(8, 8, |i, j| {
        0.5 * (gram[(i, j)] + gram[(j, i)]) + if i == j { 1e-2 } else { 0.0 }
    });
    let quartic = NormPower::affine(a, vec![0.5; 6], 4.0);
    let [thin, full] =
        [Approximation::RankOne, Approximation::RankOneDense].map(|how| quartic.problem(how));
    let x0 = || vec![1.0; 8];
    macro_rules! compare {
        ($($name:literal: $solver:expr),+ $(,)?) => {$({
            let run = |problem| $solver.max_iters(15).minimize(problem, x0()).unwrap();
            let (a, b) = (run(&thin), run(&full));
            assert!(distance(&a.x, &b.x) <= 1e-9, "{}", $name);
            assert_eq!(a.report.trials, b.report.trials, "{}", $name);
            assert!(a.report.iterations >= 5, "{}", $name);
        })+};
    }
    compare!(
        "normalized in a metric": GradientNormalizedNewton::new().metric(&metric).unwrap(),
        "power in a metric": GradientRegularizedNewton::new().metric(&metric).unwrap(),
        "lazy": LazyRegularizedNewton::new().refresh(Refresh::Every(2)),
        "cubic": CubicNewton::new(),
        "trust region": TrustRegionNewton::new(),
    );
}

/// The weights of log Σ exp((aᵢᵀx − bᵢ)/μ).
fn softmax(rows: &Mat<f64>, offsets: &[f64], mu: f64, x: &[f64]) -> Col<f64> {
    let z = rows * Col::from_fn(x.len(), |j| x[j]);
    let z: Vec<f64> = (0..z.nrows()).map(|i| (z[i] - offsets[i]) / mu).collect();
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = z.iter().map(|z| (z - top).exp()).sum();
    Col::from_fn(z.len(), |i| (z[i] - top).exp() / total)
}

/// Without the negative term the Hessian is too large by ggᵀ/μ, and steps are short.
#[test]
fn weighted_gauss_newton_is_slow_on_log_sum_exp() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let rows = uniform(&mut random, 300, 100);
    let offsets = uniform(&mut random, 300, 1);
    let offsets: Vec<f64> = (0..300).map(|i| offsets[(i, 0)]).collect();
    for mu in [0.1, 0.05] {
        let soft = LogSumExp::new(&rows, &offsets, mu).unwrap();
        let exact = Problem::of(soft.clone());
        let (a, b) = (rows.clone(), offsets.clone());
        let mean = a.transpose() * softmax(&a, &b, mu, &[0.0; 100]);
        let a = Mat::from_fn(300, 100, |i, j| a[(i, j)] - mean[j]);
        let weighted = exact.with(move |x| {
            let p = softmax(&a, &b, mu, x);
            let scaled = Mat::from_fn(300, 100, |i, j| (p[i] / mu).sqrt() * a[(i, j)]);
            let gram = scaled.transpose() * &scaled;
            Mat::from_fn(100, 100, |i, j| 0.5 * (gram[(i, j)] + gram[(j, i)]))
        });
        // H = weighted − ggᵀ/μ.
        let x: Vec<f64> = (0..100).map(|i| 0.01 * f64::from(i)).collect();
        let (h, w, g) = (exact.h(&x), weighted.h(&x), exact.g(&x));
        let error = |i: usize, j: usize| (w[(i, j)] - g[i] * g[j] / mu - h[(i, j)]).abs();
        assert!((0..100).all(|i| error(i, 0) <= 1e-12 && error(i, i) <= 1e-12));
        let best = normalized(&exact, &soft.start(), 1e-8, 400);
        let run = normalized(&weighted, &soft.start(), 1e-8, 400);
        assert!(best.converged());
        assert!((best.f - soft.minimum()).abs() <= 1e-12);
        let steps = (best.report.iterations, run.report.iterations);
        if mu == 0.1 {
            assert!(run.converged());
            assert!(near(steps.0, 53) && near(steps.1, 186), "{steps:?}");
        } else {
            assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
            assert!(near(steps.0, 113), "{steps:?}");
            assert!(run.f > best.f + 0.1, "{}", run.f - best.f);
        }
    }
}

#[test]
fn rosenbrock_by_its_gauss_newton_matrix() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(6);
    let far: Vec<f64> = (0..40).map(|_| normal(&mut random)).collect();
    for (x0, reference) in [(vec![-2.0, 2.0], [53, 51]), (far, [130, 131])] {
        let valley = NormPower::rosenbrock(x0.len());
        for (how, reference) in [Approximation::Exact, Approximation::GaussNewton]
            .into_iter()
            .zip(reference)
        {
            let run = normalized(&valley.problem(how), &x0, 1e-8, 2000);
            assert!(run.converged() && run.f <= 1e-16, "{}", run.status);
            let steps = run.report.iterations;
            assert!(near(steps, reference), "{how:?}: {steps}");
        }
    }
}

/// L of B = LLᵀ, and L⁻ᵀ.
fn factors(b: &Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    let n = b.nrows();
    let factor = b.llt(Side::Lower).unwrap();
    let lower = factor.L();
    let mut inverse = Mat::<f64>::identity(n, n);
    faer::linalg::triangular_solve::solve_upper_triangular_in_place(
        lower.transpose(),
        inverse.as_mut(),
        faer::Par::Seq,
    );
    (lower.to_owned(), inverse)
}

#[test]
fn a_metric_is_a_change_of_variables() {
    let n = 8;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(8);
    let a = uniform(&mut random, n, n);
    let gram = a.transpose() * &a;
    let full = Mat::from_fn(n, n, |i, j| {
        0.5 * (gram[(i, j)] + gram[(j, i)]) + if i == j { 0.1 } else { 0.0 }
    });
    let diagonal = Mat::from_fn(n, n, |i, j| if i == j { 0.5 + i as f64 } else { 0.0 });
    let chain = Chain::new(n, 3.0, 0.0).unwrap();
    let x0: Vec<f64> = (0..n).map(|i| 1.0 + 0.3 * (i % 3) as f64).collect();
    for (name, b, width) in [
        ("dense", &full, None),
        ("diagonal", &diagonal, None),
        ("diagonal, sparse", &diagonal, Some(1)),
    ] {
        let (lower, back) = factors(b);
        let y0: Vec<f64> = (0..n)
            .map(|j| (0..n).map(|i| lower[(i, j)] * x0[i]).sum())
            .collect();
        let changed = Affine::new(chain, back);
        let (mut own, mut plain) = (Problem::of(chain), Problem::of(changed.clone()));
        if let Some(width) = width {
            (own, plain) = (own.banded(width), plain.banded(width));
        }
        macro_rules! compare {
            ($($solver:expr),+ $(,)?) => {$(
                for steps in [1, 4, 12, 30] {
                    let limited = || $solver.gradient_tol(0.0).max_iters(steps);
                    let a = limited().metric(b).unwrap().minimize(&own, x0.clone()).unwrap();
                    let b = limited().minimize(&plain, y0.clone()).unwrap();
                    let mapped = changed.map(&b.x).unwrap();
                    let gap = distance(&a.x, &mapped);
                    assert!(gap <= 1e-9, "{name}, {steps}: {gap}");
                    assert_eq!(a.report.trials, b.report.trials, "{name}");
                    assert_eq!(a.report.iterations, steps);
                    assert_eq!(a.report.analyses, u64::from(width.is_some()));
                }
                let limited = || $solver.gradient_tol(0.0).max_iters(6);
                let euclidean = limited().minimize(&own, x0.clone()).unwrap();
                let measured = limited().metric(b).unwrap().minimize(&own, x0.clone()).unwrap();
                assert!(distance(&euclidean.x, &measured.x) > 1e-3, "{name}: no effect");
            )+};
        }
        compare!(
            LazyRegularizedNewton::new().refresh(Refresh::Every(3)),
            LazyRegularizedNewton::new().refresh(Refresh::Every(12)),
            GradientRegularizedNewton::new(),
            GradientNormalizedNewton::new(),
        );
    }
}

#[test]
fn metrics_that_are_none_are_refused() {
    for b in [
        Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 2.0 }),
        Mat::from_fn(2, 2, |i, j| (i + 2 * j) as f64),
        Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { f64::NAN }),
        Mat::from_fn(2, 2, |i, j| if i == j { f64::INFINITY } else { 0.0 }),
        Mat::zeros(2, 2),
        Mat::zeros(2, 3),
        Mat::zeros(0, 0),
    ] {
        assert!(GradientNormalizedNewton::new().metric(&b).is_err(), "{b:?}");
        assert!(LazyRegularizedNewton::new().metric(&b).is_err(), "{b:?}");
    }
    let flat = RankOne {
        weight: 1.0,
        vector: vec![1.0, 1.0],
    };
    assert!(GradientRegularizedNewton::new().metric(&flat).is_err());
    // The size is compared when the point is known.
    let chain = Chain::new(3, 3.0, 0.0).unwrap();
    for n in [2, 4] {
        let solver = GradientRegularizedNewton::new().metric(&Mat::<f64>::identity(n, n));
        let error = solver.unwrap().minimize(&chain, chain.start()).unwrap_err();
        assert!(
            matches!(error, Error::WrongShape { what: "metric", .. }),
            "{error}"
        );
    }
    let fits = GradientRegularizedNewton::new().metric(&Mat::<f64>::identity(3, 3));
    let run = fits.unwrap().minimize(&chain, chain.start()).unwrap();
    assert!(matches!(run.status, Status::Converged(_)));
}
