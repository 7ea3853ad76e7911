//! The cubic model and the ball against closed forms, random competitors and an eigenvalue reference.

use faer::Mat;
use faer::sparse::{SparseColMat, Triplet};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{Stored, SymView};
use raphson::linear::shifted::{Shifted, ShiftedDense, ShiftedSparse};
use raphson::linear::{SymmetricEigen, Tridiagonal, sym_mul};
use raphson::subproblem::*;

type Rng64 = Xoshiro256PlusPlus;

fn normal(rng: &mut Rng64) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * a.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

/// An orthogonal matrix, column-major.
fn rotation(n: usize, rng: &mut Rng64) -> Vec<Vec<f64>> {
    let mut q: Vec<Vec<f64>> = Vec::new();
    while q.len() < n {
        let mut v: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
        for _ in 0..2 {
            for u in &q {
                let c = dot(u, &v);
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= c * u);
            }
        }
        let length = norm(&v);
        q.push(v.iter().map(|v| v / length).collect());
    }
    q
}

/// Σ λ_k q_k q_kᵀ, exactly symmetric.
fn assemble(values: &[f64], q: &[Vec<f64>]) -> Mat<f64> {
    let n = values.len();
    let entry = |i: usize, j: usize| (0..n).map(|k| values[k] * q[k][i] * q[k][j]).sum();
    let lower = Mat::from_fn(n, n, |i, j| if i >= j { entry(i, j) } else { 0.0 });
    Mat::from_fn(n, n, |i, j| lower[(i.max(j), i.min(j))])
}

fn product(h: &Mat<f64>, s: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; s.len()];
    sym_mul(SymView::Dense(h.as_ref(), Stored::Lower), s, &mut out).unwrap();
    out
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Cubic { delta: f64, m: f64 },
    Ball(f64),
}

fn model(h: &Mat<f64>, g: &[f64], kind: Kind, s: &[f64]) -> f64 {
    let quadratic = dot(g, s) + 0.5 * dot(s, &product(h, s));
    match kind {
        Kind::Cubic { delta, m } => {
            let r = norm(s);
            quadratic + 0.5 * delta * r * r + m / 6.0 * r * r * r
        }
        Kind::Ball(_) => quadratic,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Backend {
    Dense,
    Tridiagonal,
    Sparse,
}
const BACKENDS: [Backend; 3] = [Backend::Dense, Backend::Tridiagonal, Backend::Sparse];

struct Found {
    s: Vec<f64>,
    solution: Solution,
    factorizations: u64,
}

fn run(
    matrix: &mut dyn Shifted,
    g: &[f64],
    kind: Kind,
    guess: Option<f64>,
    s: &mut [f64],
) -> Solution {
    let mut work = Work::new();
    let found = match kind {
        Kind::Cubic { delta, m } => cubic_near(matrix, g, delta, m, guess, s, &mut work),
        Kind::Ball(radius) => ball_near(matrix, g, radius, guess, s, &mut work),
    };
    found.unwrap_or_else(|e| panic!("{e}: {kind:?} g = {g:?}"))
}

fn solve(backend: Backend, h: &Mat<f64>, g: &[f64], kind: Kind) -> Found {
    solve_near(backend, h, g, kind, None)
}

fn solve_near(backend: Backend, h: &Mat<f64>, g: &[f64], kind: Kind, guess: Option<f64>) -> Found {
    let n = g.len();
    let mut s = vec![0.0; n];
    let view = SymView::Dense(h.as_ref(), Stored::Both);
    match backend {
        Backend::Dense => {
            let mut matrix = ShiftedDense::new();
            matrix.set(view).unwrap();
            let solution = run(&mut matrix, g, kind, guess, &mut s);
            let factorizations = matrix.factorizations();
            Found {
                s,
                solution,
                factorizations,
            }
        }
        Backend::Tridiagonal => {
            let mut reduced = Tridiagonal::new();
            reduced.factor(view).unwrap();
            let (mut gh, mut sh) = (vec![0.0; n], vec![0.0; n]);
            reduced.to_basis(g, &mut gh).unwrap();
            let solution = run(reduced.matrix_mut(), &gh, kind, guess, &mut sh);
            reduced.from_basis(&sh, &mut s).unwrap();
            Found {
                s,
                solution,
                factorizations: 0,
            }
        }
        Backend::Sparse => {
            let mut triplets = Vec::new();
            for j in 0..n {
                for i in j..n {
                    if h[(i, j)] != 0.0 {
                        triplets.push(Triplet::new(i, j, h[(i, j)]));
                    }
                }
            }
            let sparse =
                SparseColMat::<usize, f64>::try_new_from_triplets(n, n, &triplets).unwrap();
            let mut matrix = ShiftedSparse::new();
            matrix
                .set(SymView::Sparse(sparse.as_ref(), Stored::Lower))
                .unwrap();
            let solution = run(&mut matrix, g, kind, guess, &mut s);
            let factorizations = matrix.factorizations();
            Found {
                s,
                solution,
                factorizations,
            }
        }
    }
}

/// The minimal model value, the length of its step and the spectrum of B, by eigenvalues and bisection in λ + λ_1.
fn reference(h: &Mat<f64>, g: &[f64], kind: Kind) -> (f64, f64, Vec<f64>) {
    let n = g.len();
    let mut eigen = SymmetricEigen::new();
    eigen
        .factor(SymView::Dense(h.as_ref(), Stored::Both))
        .unwrap();
    let delta = match kind {
        Kind::Cubic { delta, .. } => delta,
        Kind::Ball(_) => 0.0,
    };
    let values: Vec<f64> = eigen.values().iter().map(|v| v + delta).collect();
    let c: Vec<f64> = (0..n)
        .map(|k| (0..n).map(|i| eigen.vectors()[(i, k)] * g[i]).sum())
        .collect();
    let least = values[0];
    let base = (-least).max(0.0);
    // With λ = base + μ the distances to the poles are exact.
    let gaps: Vec<f64> = values
        .iter()
        .map(|v| if least < 0.0 { v - least } else { *v })
        .collect();
    let length = |mu: f64| {
        let terms: Vec<f64> = gaps
            .iter()
            .zip(&c)
            .map(|(gap, c)| if *c == 0.0 { 0.0 } else { c / (gap + mu) })
            .collect();
        norm(&terms)
    };
    let radius = |mu: f64| match kind {
        Kind::Cubic { m, .. } => (base + mu) / (0.5 * m),
        Kind::Ball(radius) => radius,
    };
    let scale = values
        .iter()
        .fold(0.0f64, |a, v| a.max(v.abs()))
        .max(norm(g))
        .max(1e-300);
    let (mut low, mut high) = (1e-40 * scale, scale);
    let too_long = |mu: f64| length(mu) > radius(mu);
    while too_long(high) {
        high *= 4.0;
    }
    let mu = if too_long(low) {
        for _ in 0..400 {
            let middle = low.sqrt() * high.sqrt();
            if too_long(middle) {
                low = middle
            } else {
                high = middle
            }
        }
        high
    } else {
        0.0
    };
    let mut s: Vec<f64> = gaps
        .iter()
        .zip(&c)
        .map(|(gap, c)| if gap + mu > 0.0 { -c / (gap + mu) } else { 0.0 })
        .collect();
    if mu == 0.0 && least < 0.0 {
        let rest = radius(0.0).powi(2) - norm(&s[1..]).powi(2);
        s[0] = rest.max(0.0).sqrt().copysign(-c[0]);
    }
    let quadratic: f64 = (0..n)
        .map(|k| c[k] * s[k] + 0.5 * values[k] * s[k] * s[k])
        .sum();
    let value = match kind {
        Kind::Cubic { m, .. } => quadratic + m / 6.0 * norm(&s).powi(3),
        Kind::Ball(_) => quadratic,
    };
    (value, norm(&s), values)
}

/// Optimality, competitors and the reference for one problem and all backends.
fn check(
    h: &Mat<f64>,
    g: &[f64],
    kind: Kind,
    guess: Option<f64>,
    rng: &mut Rng64,
    backends: &[Backend],
) -> Vec<(usize, u64)> {
    let n = g.len();
    let (best, length, values) = reference(h, g, kind);
    let size = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let mut counts = Vec::new();
    for &backend in backends {
        let found = solve_near(backend, h, g, kind, guess);
        let what = || {
            format!(
                "{backend:?} {kind:?} {:?} best {best:e}\ng = {g:?}\nvalues = {values:?}",
                found.solution
            )
        };
        let s = &found.s;
        let Solution {
            multiplier,
            step_norm,
            predicted,
            ..
        } = found.solution;
        assert!(s.iter().all(|s| s.is_finite()), "{}", what());
        // Residual.
        let delta = if let Kind::Cubic { delta, .. } = kind {
            delta
        } else {
            0.0
        };
        let mut r = product(h, s);
        for i in 0..n {
            r[i] += g[i] + (delta + multiplier) * s[i];
        }
        let scale = norm(g) + size * norm(s);
        assert!(
            norm(&r) <= 2e-8 * scale,
            "residual {:e}: {}",
            norm(&r) / scale,
            what()
        );
        // B + λI ⪰ 0.
        assert!(
            multiplier >= 0.0 && values[0] + multiplier >= -1e-9 * size,
            "{}",
            what()
        );
        assert!(
            (step_norm - norm(s)).abs() <= 1e-12 * step_norm,
            "{}",
            what()
        );
        match kind {
            Kind::Cubic { m, .. } => {
                assert!(
                    (0.5 * m * step_norm - multiplier).abs() <= 1e-13 * multiplier,
                    "{}",
                    what()
                );
            }
            Kind::Ball(radius) => {
                assert!(step_norm <= radius * (1.0 + 1e-9), "{}", what());
                assert!(
                    multiplier == 0.0 || (step_norm - radius).abs() <= 1e-9 * radius,
                    "{}",
                    what()
                );
            }
        }
        // Rounding of g and H makes the minimum itself uncertain by this much.
        let length = length.max(step_norm);
        let rounding = 1e-15 * n as f64 * (norm(g) * length + size * length * length);
        let value = model(h, g, kind, s);
        assert!(
            value - best <= 1e-8 * best.abs() + rounding,
            "gap {:e}: {}",
            (value - best) / best.abs(),
            what()
        );
        assert!(
            (predicted + value).abs() <= 1e-10 * value.abs() + rounding,
            "predicted {predicted:e} {value:e} {}",
            what()
        );
        for _ in 0..6 {
            let mut other: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
            let near = rng.random::<bool>();
            let length = step_norm
                * if near {
                    1e-3
                } else {
                    rng.random::<f64>() * 2.0
                }
                / norm(&other);
            for (o, s) in other.iter_mut().zip(s) {
                *o = *o * length + if near { *s } else { 0.0 };
            }
            if let Kind::Ball(radius) = kind {
                let shrink = (radius / norm(&other)).min(1.0);
                other.iter_mut().for_each(|o| *o *= shrink);
            }
            assert!(
                value <= model(h, g, kind, &other) + rounding + 1e-8 * value.abs(),
                "{}",
                what()
            );
        }
        counts.push((found.solution.iterations, found.factorizations));
    }
    counts
}

fn diagonal(values: &[f64]) -> Mat<f64> {
    Mat::from_fn(values.len(), values.len(), |i, j| {
        if i == j { values[i] } else { 0.0 }
    })
}

#[test]
fn hard_case_with_a_known_step() {
    let h = diagonal(&[-2.0, -1.0, 1.0, 3.0]);
    let g = [0.0, 0.1, 0.1, 0.1];
    for backend in BACKENDS {
        let found = solve(backend, &h, &g, Kind::Cubic { delta: 0.0, m: 1.0 });
        let s = &found.s;
        assert!(
            (found.solution.step_norm - 4.0).abs() < 1e-9,
            "{backend:?} {:?}",
            found.solution
        );
        assert!(found.solution.hard_case && (found.solution.multiplier - 2.0).abs() < 1e-9);
        // −½(gᵀs) + λr²/6 with s_i = −g_i/(h_i + 2).
        let exact: f64 = 0.5 * 0.01 * (1.0 + 1.0 / 3.0 + 1.0 / 5.0) + 2.0 * 16.0 / 6.0;
        assert!((exact - 5.3410).abs() < 1e-4);
        assert!((found.solution.predicted - exact).abs() < 1e-8);
        for (s, exact) in s[1..].iter().zip([-0.1, -0.1 / 3.0, -0.1 / 5.0]) {
            assert!((s - exact).abs() < 1e-9);
        }
        let mut r = product(&h, s);
        (0..4).for_each(|i| r[i] += g[i] + found.solution.multiplier * s[i]);
        assert!(norm(&r) <= 1e-9, "{:e}", norm(&r));
    }
}

/// Gradients orthogonal to the leftmost eigenspace, of one or more dimensions, in any basis.
#[test]
fn uc_015_hard_cases_of_the_cubic_model() {
    let mut rng = Rng64::seed_from_u64(15);
    let h = diagonal(&[-1.0, 2.0]);
    for backend in BACKENDS {
        let found = solve(backend, &h, &[0.0, 1.0], Kind::Cubic { delta: 0.0, m: 1.0 });
        assert!((found.s[0].abs() - 1.972_026_594_366_538_7).abs() < 1e-9);
        assert!((found.s[1] + 1.0 / 3.0).abs() < 1e-9);
        assert!((found.solution.predicted - 5.0 / 6.0).abs() < 1e-9);
        assert!((found.solution.multiplier - 1.0).abs() < 1e-9 && found.solution.hard_case);
    }
    for trial in 0..300 {
        let n = 2 + trial % 9;
        let multiple = 1 + trial % 2.min(n - 1);
        let mut values: Vec<f64> = (0..n).map(|_| 3.0 * normal(&mut rng).abs()).collect();
        values[..multiple].fill(-1.0 - rng.random::<f64>());
        let q = match trial % 3 {
            0 => rotation(n, &mut rng),
            // A permutation.
            _ => (0..n)
                .map(|k| (0..n).map(|i| f64::from(i == (k + trial) % n)).collect())
                .collect(),
        };
        let mut g = vec![0.0; n];
        for q in &q[multiple..] {
            let c = 0.1 * normal(&mut rng);
            g.iter_mut().zip(q).for_each(|(g, q)| *g += c * q);
        }
        let h = assemble(&values, &q);
        check(
            &h,
            &g,
            Kind::Cubic { delta: 0.0, m: 1.0 },
            None,
            &mut rng,
            &BACKENDS,
        );
        check(&h, &g, Kind::Ball(2.0), None, &mut rng, &BACKENDS);
    }
}

/// Easy cases: every λ tried must be factored afresh.
#[test]
fn uc_016_the_factor_belongs_to_the_multiplier() {
    let (l, p, value) = (
        0.529_259_325_131_456,
        [-0.193_183_714_508_844_1, 0.180_856_049_824_761_2],
        -0.386_380_834_390_428_8,
    );
    for flip in [false, true] {
        let (h, g) = match flip {
            false => (diagonal(&[15.0, 5.0]), [3.0, -1.0]),
            true => (diagonal(&[5.0, 15.0]), [-1.0, 3.0]),
        };
        for backend in BACKENDS {
            let found = solve(backend, &h, &g, Kind::Cubic { delta: 0.0, m: 4.0 });
            assert!((found.solution.multiplier - l).abs() < 1e-10 * l);
            assert!((found.solution.predicted + value).abs() < 1e-12);
            for (i, p) in p.iter().enumerate() {
                assert!((found.s[if flip { 1 - i } else { i }] - p).abs() < 1e-10);
            }
        }
    }
    let mut rng = Rng64::seed_from_u64(16);
    for _ in 0..100 {
        let q = rotation(2, &mut rng);
        let h = assemble(&[15.0, 5.0], &q);
        let g: Vec<f64> = (0..2).map(|i| 3.0 * q[0][i] - q[1][i]).collect();
        let found = solve(Backend::Dense, &h, &g, Kind::Cubic { delta: 0.0, m: 4.0 });
        assert!((found.solution.multiplier - l).abs() < 1e-9 * l);
        assert!((found.solution.predicted + value).abs() < 1e-11);
    }
}

#[test]
fn trivial_and_singular_problems() {
    let mut work = Work::new();
    // g = 0.
    for (values, positive) in [
        (vec![1.0, 2.0], true),
        (vec![0.0, 0.0], true),
        (vec![0.0, 3.0], true),
        (vec![-2.0, 1.0], false),
    ] {
        for backend in BACKENDS {
            for kind in [Kind::Cubic { delta: 0.0, m: 2.0 }, Kind::Ball(2.0)] {
                let found = solve(backend, &diagonal(&values), &[0.0, 0.0], kind);
                if positive {
                    assert_eq!(
                        (found.s, found.solution.predicted),
                        (vec![0.0; 2], 0.0),
                        "{backend:?}"
                    );
                } else {
                    assert!(
                        (found.s[0].abs() - 2.0).abs() < 1e-12 && found.s[1].abs() < 1e-7,
                        "{backend:?} {:?}",
                        found.s
                    );
                    assert!(found.solution.hard_case);
                }
            }
        }
    }
    // H = 0: s = −g sqrt(2/(M‖g‖)), or −gΔ/‖g‖.
    for backend in BACKENDS {
        let found = solve(
            backend,
            &diagonal(&[0.0, 0.0]),
            &[3.0, -4.0],
            Kind::Cubic { delta: 0.0, m: 0.4 },
        );
        assert!((found.s[0] + 3.0).abs() < 1e-9 && (found.s[1] - 4.0).abs() < 1e-9);
        let found = solve(
            backend,
            &diagonal(&[0.0, 0.0]),
            &[3.0, -4.0],
            Kind::Ball(10.0),
        );
        assert!((found.s[0] + 6.0).abs() < 1e-8 && (found.s[1] - 8.0).abs() < 1e-8);
        // A singular H with a step inside the ball.
        let found = solve(
            backend,
            &diagonal(&[0.0, 2.0]),
            &[0.0, -4.0],
            Kind::Ball(10.0),
        );
        assert!((found.s[1] - 2.0).abs() < 1e-10 && found.solution.multiplier == 0.0);
        // n = 1.
        for h in [-3.0, 0.0, 3.0] {
            for g in [-2.0, 0.0, 1e-9, 5.0] {
                let found = solve(
                    backend,
                    &diagonal(&[h]),
                    &[g],
                    Kind::Cubic { delta: 0.0, m: 2.0 },
                );
                // |s| s + h s + g = 0 with the larger |s|: λ = |s|.
                let root = 0.5 * (-h + (h * h + 4.0 * g.abs()).sqrt());
                let root = if h > 0.0 {
                    2.0 * g.abs() / (h + (h * h + 4.0 * g.abs()).sqrt())
                } else {
                    root
                };
                assert!(
                    (found.s[0].abs() - root).abs() <= 1e-9 * root,
                    "{h} {g} {:?}",
                    found.s
                );
                assert!(g == 0.0 || root == 0.0 || found.s[0] * g < 0.0);
            }
        }
    }
    // Misuse.
    let mut matrix = ShiftedDense::new();
    let h = diagonal(&[1.0, 1.0]);
    let mut s = [0.0; 2];
    assert!(cubic(&mut matrix, &[1.0, 1.0], 0.0, 1.0, &mut s, &mut work).is_err());
    matrix
        .set(SymView::Dense(h.as_ref(), Stored::Both))
        .unwrap();
    assert_eq!(
        cubic(&mut matrix, &[1.0, f64::NAN], 0.0, 1.0, &mut s, &mut work),
        Err(SubproblemError::NonFinite)
    );
    for m in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let end = cubic(&mut matrix, &[1.0, 1.0], 0.0, m, &mut s, &mut work);
        assert!(matches!(end, Err(SubproblemError::Parameter { .. })));
        let end = ball(&mut matrix, &[1.0, 1.0], m, &mut s, &mut work);
        assert!(matches!(end, Err(SubproblemError::Parameter { .. })));
    }
    let end = cubic(&mut matrix, &[1.0, 1.0], -1.0, 1.0, &mut s, &mut work);
    assert!(matches!(end, Err(SubproblemError::Parameter { .. })));
    assert!(matches!(
        ball(&mut matrix, &[1.0], 1.0, &mut s, &mut work),
        Err(SubproblemError::Breakdown(_))
    ));
}

/// s(a g, a H / t, a M / t²) with x = t y is t s: all scales give the same step up to scaling.
#[test]
fn scales_do_not_matter() {
    let mut rng = Rng64::seed_from_u64(3);
    for trial in 0..40 {
        let n = 1 + trial % 6;
        let q = rotation(n, &mut rng);
        let values: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let h = assemble(&values, &q);
        let g: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        for backend in BACKENDS {
            let plain = solve(backend, &h, &g, Kind::Cubic { delta: 0.1, m: 1.0 });
            let inside = solve(backend, &h, &g, Kind::Ball(1.0));
            for (a, t) in [
                (500, 0),
                (-500, 0),
                (0, 200),
                (0, -200),
                (100, 150),
                (-100, 150),
                (480, -20),
            ] {
                let (a, t) = (2f64.powi(a), 2f64.powi(t));
                let scaled = Mat::from_fn(n, n, |i, j| h[(i, j)] * a / t);
                let gs: Vec<f64> = g.iter().map(|g| g * a).collect();
                let found = solve(
                    backend,
                    &scaled,
                    &gs,
                    Kind::Cubic {
                        delta: 0.1 * a / t,
                        m: a / t / t,
                    },
                );
                let gap = (0..n)
                    .map(|i| (found.s[i] / t - plain.s[i]).abs())
                    .fold(0.0, f64::max);
                assert!(
                    gap <= 1e-7 * plain.solution.step_norm,
                    "{backend:?} {a:e} {t:e} {gap:e}"
                );
                let ratio = found.solution.predicted / plain.solution.predicted / t / a;
                assert!((ratio - 1.0).abs() < 1e-8, "{ratio}");
                let found = solve(backend, &scaled, &gs, Kind::Ball(t));
                let gap = (0..n)
                    .map(|i| (found.s[i] / t - inside.s[i]).abs())
                    .fold(0.0, f64::max);
                assert!(gap <= 1e-7, "{backend:?} {a:e} {t:e} {gap:e}");
            }
        }
    }
}

/// A random problem of every kind: definite, indefinite, singular, hard, nearly hard, clustered.
fn random_problem(n: usize, rng: &mut Rng64) -> (Mat<f64>, Vec<f64>) {
    let h_scale = 10f64.powf(12.0 * rng.random::<f64>() - 6.0);
    let g_scale = 10f64.powf(12.0 * rng.random::<f64>() - 6.0);
    let mut values: Vec<f64> = match rng.random_range(0..6) {
        0 => (0..n).map(|_| normal(rng).abs() + 1e-3).collect(),
        1 => (0..n)
            .map(|k| if k % 2 == 0 { 0.0 } else { normal(rng).abs() })
            .collect(),
        2 => (0..n)
            .map(|_| 10f64.powf(-8.0 * rng.random::<f64>()))
            .collect(),
        3 => (0..n).map(|_| -normal(rng).abs()).collect(),
        4 => (0..n)
            .map(|k| if k < 3 { -1.0 } else { normal(rng).abs() })
            .collect(),
        _ => (0..n).map(|_| normal(rng)).collect(),
    };
    values.sort_by(f64::total_cmp);
    let q = rotation(n, rng);
    let mut c: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
    match rng.random_range(0..4) {
        0 => c[0] = 0.0,
        1 => c[0] *= 10f64.powf(-14.0 * rng.random::<f64>()),
        _ => {}
    }
    let mut g = vec![0.0; n];
    for (c, q) in c.iter().zip(&q) {
        g.iter_mut().zip(q).for_each(|(g, q)| *g += g_scale * c * q);
    }
    values.iter_mut().for_each(|v| *v *= h_scale);
    (assemble(&values, &q), g)
}

#[test]
fn ten_thousand_random_problems() {
    let mut rng = Rng64::seed_from_u64(10_000);
    let mut totals = [(0usize, 0u64); 6];
    let mut worst = [0u64; 6];
    for trial in 0..10_000 {
        let n = 1 + trial % 12;
        let (h, g) = random_problem(n, &mut rng);
        let m = 10f64.powf(12.0 * rng.random::<f64>() - 6.0);
        let delta = if trial % 3 == 0 {
            10f64.powf(12.0 * rng.random::<f64>() - 6.0)
        } else {
            0.0
        };
        let radius = 10f64.powf(8.0 * rng.random::<f64>() - 4.0);
        for (which, kind) in [Kind::Cubic { delta, m }, Kind::Ball(radius)]
            .into_iter()
            .enumerate()
        {
            for (k, count) in check(&h, &g, kind, None, &mut rng, &BACKENDS)
                .into_iter()
                .enumerate()
            {
                let at = 3 * which + k;
                totals[at].0 += count.0;
                totals[at].1 += count.1;
                worst[at] = worst[at].max(count.1);
            }
        }
    }
    println!(
        "mean iterations and factorizations: {:?}",
        totals.map(|(a, b)| (a as f64 / 1e4, b as f64 / 1e4))
    );
    println!("most factorizations: {worst:?}");
    for (iterations, factorizations) in totals {
        assert!(iterations as f64 / 1e4 <= 1.5 && factorizations as f64 / 1e4 <= 2.0);
    }
}

/// Guesses of any size lead to the same minimum.
#[test]
fn guesses_decide_the_cost_alone() {
    let mut rng = Rng64::seed_from_u64(77);
    let mut total = 0;
    for trial in 0..2000 {
        let n = 1 + trial % 12;
        let (h, g) = random_problem(n, &mut rng);
        let m = 10f64.powf(12.0 * rng.random::<f64>() - 6.0);
        let radius = 10f64.powf(8.0 * rng.random::<f64>() - 4.0);
        let guess = match trial % 4 {
            0 => 0.0,
            _ => 10f64.powf(30.0 * rng.random::<f64>() - 15.0),
        };
        for kind in [Kind::Cubic { delta: 0.0, m }, Kind::Ball(radius)] {
            for count in check(&h, &g, kind, Some(guess), &mut rng, &BACKENDS) {
                total += count.0;
            }
        }
    }
    println!("mean iterations from guesses: {}", total as f64 / 12e3);
    assert!(total as f64 / 12e3 <= 4.0);
}

#[test]
fn larger_problems_against_eigenvalues() {
    let mut rng = Rng64::seed_from_u64(200);
    for (n, trials) in [(30, 200), (60, 60), (200, 8), (400, 2)] {
        let mut total = (0, 0, 0);
        for trial in 0..trials {
            let (h, g) = match trial % 2 {
                0 => {
                    let a = Mat::from_fn(n, n, |_, _| normal(&mut rng));
                    let h = Mat::from_fn(n, n, |i, j| (a[(i, j)] + a[(j, i)]) / (n as f64).sqrt());
                    (h, (0..n).map(|_| normal(&mut rng)).collect())
                }
                _ => random_problem(n, &mut rng),
            };
            for kind in [Kind::Cubic { delta: 0.0, m: 1.0 }, Kind::Ball(1.0)] {
                let counts = check(
                    &h,
                    &g,
                    kind,
                    None,
                    &mut rng,
                    &[Backend::Dense, Backend::Tridiagonal],
                );
                total = (
                    total.0 + counts[0].0,
                    total.1 + counts[0].1,
                    total.2 + counts[1].0,
                );
            }
        }
        let mean = |sum: f64| sum / (2 * trials) as f64;
        let means = (
            mean(total.0 as f64),
            mean(total.1 as f64),
            mean(total.2 as f64),
        );
        println!("n = {n}: mean iterations and factorizations {means:?}");
        assert!(
            means.0 <= 2.0 && means.1 <= 3.0 && means.2 <= 2.0,
            "n = {n}: {means:?}"
        );
    }
}

/// Bits depend on the arguments alone, not on what the objects did before.
#[test]
fn earlier_calls_leave_no_trace() {
    let mut rng = Rng64::seed_from_u64(5);
    let problems: Vec<_> = [40, 7, 40]
        .into_iter()
        .map(|n| random_problem(n, &mut rng))
        .collect();
    let mut work = Work::new();
    let mut matrix = ShiftedDense::new();
    let mut reduced = Tridiagonal::new();
    let mut run_all = || {
        let mut bits = Vec::new();
        for (h, g) in &problems {
            let mut s = vec![0.0; g.len()];
            matrix
                .set(SymView::Dense(h.as_ref(), Stored::Both))
                .unwrap();
            cubic(&mut matrix, g, 0.0, 1.0, &mut s, &mut work).unwrap();
            bits.extend(s.iter().map(|s| s.to_bits()));
            ball(&mut matrix, g, 1.0, &mut s, &mut work).unwrap();
            bits.extend(s.iter().map(|s| s.to_bits()));
            matrix.reduce(&mut reduced).unwrap();
            cubic(reduced.matrix_mut(), g, 0.0, 1.0, &mut s, &mut work).unwrap();
            bits.extend(s.iter().map(|s| s.to_bits()));
        }
        bits
    };
    let first = run_all();
    assert_eq!(first, run_all());
}

/// The radius equals the length of the shortest Newton step of a singular matrix: the multiplier
/// is zero and the step drowns in rounding unless it is taken a little to the right.
#[test]
fn a_radius_at_the_pseudoinverse_step_of_a_singular_matrix() {
    for n in [2, 5, 10, 40] {
        for power in [-6, 0, 4] {
            let scale = 10f64.powi(power);
            let v: Vec<f64> = (0..n).map(|i| 1.0 + i as f64).collect();
            let vv: f64 = v.iter().map(|v| v * v).sum();
            let h = Mat::from_fn(n, n, |i, j| scale * v[i] * v[j]);
            let g: Vec<f64> = v.iter().map(|v| 3.0 * scale * v).collect();
            // −g/(scale·vᵀv) is the pseudoinverse step.
            let length = 3.0 / vv.sqrt();
            for nudge in [0.0, 1e-15, -1e-15, 1e-12, -1e-12, 1e-9, -1e-9] {
                let radius = length * (1.0 + nudge);
                let mut matrix = ShiftedDense::new();
                let view = SymView::Dense(h.as_ref(), Stored::Both);
                matrix.set(view).unwrap();
                let mut s = vec![0.0; n];
                let found = ball(&mut matrix, &g, radius, &mut s, &mut Work::new());
                let found = found.unwrap_or_else(|e| panic!("n {n} {power} {nudge:e}: {e}"));
                assert!(found.multiplier >= 0.0);
                assert!(found.step_norm <= radius * (1.0 + 1e-9), "n {n} {nudge:e}");
                let best = 4.5 * scale;
                let miss = (found.predicted - best).abs() / best;
                assert!(miss <= 1e-7, "n {n} {power} {nudge:e}: {miss:e}");
            }
        }
    }
}
