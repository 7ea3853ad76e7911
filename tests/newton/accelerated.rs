//! Accelerated cubic Newton: its inequalities, rates, noise and restarts.
#![cfg(all(feature = "problems", feature = "libsvm"))]

use crate::data::{self, FEATURES};
use argmin::core::{CostFunction, Error as HostError, Executor, Gradient, Hessian};
use faer::{Mat, Side};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::SymMat;
use raphson::linear::shifted::ShiftedDense;
use raphson::models::LogisticRegression;
use raphson::oracle::{Explicit, Smooth};
use raphson::problem::from_fn;
use raphson::problems::{Chain, Offset, Polytope, Power, Scaled};
use raphson::{
    AcceleratedCubicNewton, Converged, CubicNewton, DampedNewton, Dataset, Error, Failed,
    IterationRecord, Outcome, Run, Status, Stopped, subproblem,
};
use std::cell::RefCell;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Slope of log v against log k over the range.
fn slope(v: &[f64], low: usize, high: usize) -> f64 {
    let points: Vec<(f64, f64)> = (low..=high.min(v.len() - 1))
        .filter(|&k| v[k] > 0.0)
        .map(|k| ((k as f64).ln(), v[k].ln()))
        .collect();
    let n = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    let (x, y) = (x / n, y / n);
    let over: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    over / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

type Random = RefCell<Xoshiro256PlusPlus>;

fn random(seed: u64) -> Random {
    RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed))
}

/// A standard normal number, by the method of Box and Muller.
fn normal(random: &Random) -> f64 {
    let mut random = random.borrow_mut();
    let (u, v): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Mean logistic loss and ridge, with dense Hessians, over all rows or some of them.
struct Logistic {
    /// Rows times labels.
    rows: Vec<Vec<f64>>,
    mu: f64,
}

impl Logistic {
    fn value(&self, x: &[f64]) -> f64 {
        let losses = self.rows.iter().map(|a| {
            let z = -dot(a, x);
            z.max(0.0) + (-z.abs()).exp().ln_1p()
        });
        losses.sum::<f64>() / self.rows.len() as f64 + 0.5 * self.mu * dot(x, x)
    }

    fn gradient<'a>(&'a self, x: &[f64], rows: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
        let mut g = vec![0.0; x.len()];
        let mut count = 0.0;
        for a in rows {
            count += 1.0;
            let weight = 1.0 / (1.0 + dot(a, x).exp());
            for (g, a) in g.iter_mut().zip(a) {
                *g -= weight * a;
            }
        }
        g.iter()
            .zip(x)
            .map(|(g, x)| g / count + self.mu * x)
            .collect()
    }

    fn hessian<'a>(&'a self, x: &[f64], rows: impl Iterator<Item = &'a Vec<f64>>) -> Mat<f64> {
        let n = x.len();
        let mut h = Mat::<f64>::zeros(n, n);
        let mut count = 0.0;
        for a in rows {
            count += 1.0;
            let p = 1.0 / (1.0 + dot(a, x).exp());
            for j in 0..n {
                let c = p * (1.0 - p) * a[j];
                for (h, a) in h.col_as_slice_mut(j).iter_mut().zip(a) {
                    *h += c * a;
                }
            }
        }
        Mat::from_fn(n, n, |i, j| {
            h[(i, j)] / count + if i == j { self.mu } else { 0.0 }
        })
    }

    fn batch(&self, random: &Random, size: usize) -> Vec<&Vec<f64>> {
        let mut random = random.borrow_mut();
        (0..size)
            .map(|_| &self.rows[random.random_range(0..self.rows.len())])
            .collect()
    }

    /// 0.1 λmax(AᵀA/n): with the length of a row a Lipschitz constant of the Hessian.
    fn stiffness(&self) -> f64 {
        let n = self.rows[0].len();
        let mut v = vec![1.0; n];
        let mut largest = 0.0;
        for _ in 0..500 {
            let mut w = vec![0.0; n];
            for a in &self.rows {
                let c = dot(a, &v) / self.rows.len() as f64;
                w.iter_mut().zip(a).for_each(|(w, a)| *w += c * a);
            }
            largest = norm(&w);
            v = w.iter().map(|w| w / largest).collect();
        }
        0.1 * largest
    }

    fn lengths(&self) -> Vec<f64> {
        let mut lengths: Vec<f64> = self.rows.iter().map(|a| norm(a)).collect();
        lengths.sort_by(f64::total_cmp);
        lengths
    }

    fn optimum(&self) -> Run<Vec<f64>> {
        let exact = from_fn(
            |x: &[f64]| self.value(x),
            |x: &[f64]| self.gradient(x, self.rows.iter()),
            |x: &[f64]| self.hessian(x, self.rows.iter()),
        );
        DampedNewton::new()
            .gradient_tol(1e-12)
            .minimize(&exact, vec![0.0; self.rows[0].len()])
            .unwrap()
    }
}

/// The model, and the same problem term by term.
fn breast_cancer(mu: f64) -> (LogisticRegression, Logistic) {
    let (rows, labels) = data::breast_cancer_rows();
    let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap()).l2(mu);
    let positive = labels.iter().fold(f64::MIN, |m, y| m.max(*y));
    let signed = rows.iter().zip(&labels);
    let rows = signed
        .map(|(a, y)| {
            let sign = if *y == positive { 1.0 } else { -1.0 };
            a.iter().map(|a| sign * a).collect()
        })
        .collect();
    (model, Logistic { rows, mu })
}

/// The values of f along a run.
fn values<O>(solver: AcceleratedCubicNewton, problem: &O, x0: Vec<f64>) -> (Vec<f64>, Run<Vec<f64>>)
where
    O: Smooth<Explicit, Point = Vec<f64>>,
{
    let mut seen = Vec::new();
    let run = solver
        .on_iteration(|record| {
            seen.push(record.f);
            true
        })
        .minimize(problem, x0)
        .unwrap();
    (seen, run)
}

/// The method of the theory: M fixed, κ₃ by its formula, no restart, for so many steps.
fn theory(m: f64, steps: u64) -> AcceleratedCubicNewton {
    AcceleratedCubicNewton::new()
        .constant(m)
        .certified(false)
        .restart(false)
        .gradient_tol(0.0)
        .max_iters(steps)
}

/// ⟨∇f(x₊), v − x₊⟩ ≥ min(‖∇f(x₊)‖²/(4δ̄), ‖∇f(x₊)‖^(3/2)/√(3M)) for M ≥ 2L, δ̄ ≥ 2δ₂.
#[test]
fn the_key_inequality_bears_inexact_hessians() {
    let n = 12;
    let chain = Chain::new(n, 3.0, 0.0).unwrap();
    let m = 2.0 * Chain::CUBIC_LIPSCHITZ;
    let random = random(3);
    let (mut matrix, mut work) = (ShiftedDense::new(), subproblem::Work::new());
    let mut least = f64::INFINITY;
    for trial in 0..2000 {
        let size = 10f64.powi(trial % 5 - 3);
        let v: Vec<f64> = (0..n).map(|_| size * normal(&random)).collect();
        let error = 10f64.powi(trial % 7 - 4);
        let half = Mat::from_fn(n, n, |_, _| normal(&random));
        let symmetric = &half + half.transpose();
        let scale = error / symmetric.norm_l2();
        let g = chain.gradient(&v).unwrap();
        let exact = chain.hessian(&v).unwrap();
        let h = Mat::from_fn(n, n, |i, j| exact[(i, j)] + scale * symmetric[(i, j)]);
        matrix.set(h.sym()).unwrap();
        let quadratic = 2.0 * error;
        let mut s = vec![0.0; n];
        subproblem::cubic(&mut matrix, &g, quadratic, m, &mut s, &mut work).unwrap();
        let x: Vec<f64> = v.iter().zip(&s).map(|(v, s)| v + s).collect();
        let g = chain.gradient(&x).unwrap();
        let (slope, gain) = (norm(&g), -dot(&g, &s));
        let needed = (slope * slope / (4.0 * quadratic)).min(slope.powf(1.5) / (3.0 * m).sqrt());
        assert!(gain >= needed, "{trial}: {gain} < {needed}");
        if gain < slope * slope / (4.0 * quadratic) {
            least = least.min(gain * m.sqrt() / slope.powf(1.5));
        }
    }
    println!("least c {least}");
    assert!(least > 1.0 / 3f64.sqrt());
}

#[test]
fn powers_have_slopes_below_minus_three() {
    for (p, expected) in [(6.0, -4.436), (12.0, -3.456), (24.0, -3.064)] {
        let power = Power::new(1, p).unwrap();
        let m = 2.0 * (p - 1.0) * (p - 2.0);
        let (f, _) = values(theory(m, 2000), &power, power.start());
        // The largest value to come.
        let mut envelope = f.clone();
        for k in (0..envelope.len() - 1).rev() {
            envelope[k] = envelope[k].max(envelope[k + 1]);
        }
        let (plain, upper) = (slope(&f, 200, 2000), slope(&envelope, 200, 2000));
        println!("P {p}: slope {plain:.3}, of the envelope {upper:.3}");
        assert!((plain - expected).abs() < 0.02, "P {p}: {plain}");
        assert!(upper <= -3.0, "P {p}: {upper}");
        let mut cubic = Vec::new();
        let run = CubicNewton::new()
            .constant(0.5 * m)
            .gradient_tol(0.0)
            .max_iters(2000)
            .on_iteration(|record| {
                cubic.push(record.f);
                true
            })
            .minimize(&power, power.start())
            .unwrap();
        let cubic = slope(&cubic, 200, 2000);
        println!("P {p}: plain cubic {cubic:.3}, {}", run.report.iterations);
        assert!(upper < cubic);
    }
}

#[test]
fn gaussian_gradient_noise_decays_like_the_theory_says() {
    let (_, data) = breast_cancer(1e-3);
    let optimum = data.optimum();
    let m = 2.0 * data.stiffness() * data.lengths().last().unwrap();
    let distance = norm(&optimum.x);
    assert!((distance - 4.5509).abs() < 1e-3, "{distance}");
    for (sigma, least) in [(0.1, -0.75), (0.01, -0.9)] {
        let random = random(0);
        let noisy = from_fn(
            |x: &[f64]| data.value(x),
            |x: &[f64]| {
                let mut g = data.gradient(x, data.rows.iter());
                let deviation = sigma / (FEATURES as f64).sqrt();
                g.iter_mut().for_each(|g| *g += deviation * normal(&random));
                g
            },
            |x: &[f64]| data.hessian(x, data.rows.iter()),
        );
        let mut ends = Vec::new();
        for multiplier in [1.0, 0.05] {
            let solver = theory(m, 1600)
                .gradient_noise(sigma)
                .noise_multipliers(multiplier, 1.0)
                .distance(distance);
            let (f, run) = values(solver, &noisy, vec![0.0; FEATURES]);
            assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
            let residual: Vec<f64> = f.iter().map(|f| f - optimum.f).collect();
            let rate = slope(&residual, 100, 1600);
            println!(
                "sigma {sigma}, multiplier {multiplier}: slope {rate:.3}, k = 400 {:.2e}, 1600 {:.2e}",
                residual[400], residual[1600]
            );
            if multiplier == 1.0 {
                assert!((least..-0.3).contains(&rate), "sigma {sigma}: {rate}");
            }
            ends.push(residual[400]);
        }
        assert!(ends[1] < ends[0], "the multiplier pays off: {ends:?}");
    }
}

/// Logistic regression on 4000 x 30 normal numbers, columns scaled from 1 to 0.1.
fn synthetic() -> Logistic {
    let random = random(0);
    let d = 30;
    let truth: Vec<f64> = (0..d).map(|_| 2.0 * normal(&random)).collect();
    let rows = (0..4000)
        .map(|_| {
            let row: Vec<f64> = (0..d)
                .map(|j| normal(&random) * 10f64.powf(-(j as f64) / 29.0))
                .collect();
            let p = 1.0 / (1.0 + (-dot(&row, &truth)).exp());
            let sign = if random.borrow_mut().random::<f64>() < p {
                1.0
            } else {
                -1.0
            };
            row.iter().map(|a| sign * a).collect()
        })
        .collect();
    Logistic { rows, mu: 1e-4 }
}

/// Runs of which the median counts.
const SEEDS: u64 = 9;

/// Median residual after 100 steps with batches of these sizes; 0 is all rows.
fn sampled(data: &Logistic, optimum: &Run<Vec<f64>>, batches: [usize; 2]) -> f64 {
    let lengths = data.lengths();
    let m = 2.0 * data.stiffness() * lengths[lengths.len() * 99 / 100];
    let [gradients, hessians] = batches;
    let per = |variance: f64, batch: usize| match batch {
        0 => 0.0,
        _ => variance / (batch as f64).sqrt(),
    };
    let mut ends: Vec<f64> = (10..10 + SEEDS)
        .map(|seed| {
            let random = random(seed);
            let drawn = from_fn(
                |x: &[f64]| data.value(x),
                |x: &[f64]| match gradients {
                    0 => data.gradient(x, data.rows.iter()),
                    size => data.gradient(x, data.batch(&random, size).into_iter()),
                },
                |x: &[f64]| match hessians {
                    0 => data.hessian(x, data.rows.iter()),
                    size => data.hessian(x, data.batch(&random, size).into_iter()),
                },
            );
            let solver = theory(m, 100)
                .gradient_noise(per(0.7, gradients))
                .hessian_error(per(0.75, hessians))
                .distance(norm(&optimum.x));
            let (f, _) = values(solver, &drawn, vec![0.0; optimum.x.len()]);
            f[100] - optimum.f
        })
        .collect();
    ends.sort_by(f64::total_cmp);
    let median = ends[ends.len() / 2];
    println!("batches {batches:?}: {median:.2e}");
    median
}

#[test]
fn an_eight_times_smaller_hessian_batch_costs_little() {
    let data = synthetic();
    let optimum = data.optimum();
    let equal = sampled(&data, &optimum, [400, 400]);
    let small = sampled(&data, &optimum, [400, 50]);
    // 16 to 22 % here; seeds and data move it by several per cent.
    assert!(small < 1.3 * equal, "{small} against {equal}");
    let exact = sampled(&data, &optimum, [0, 0]);
    let coarse = sampled(&data, &optimum, [0, 50]);
    // With exact gradients the Hessian's batch matters more, and still by a factor only.
    assert!(exact < coarse && coarse < 10.0 * exact);
    assert!(coarse < small, "gradients matter more than Hessians");
}

/// Residuals on breast-cancer data for Hessian errors of these norms.
#[test]
fn inexact_hessians_hardly_matter() {
    let (_, data) = breast_cancer(1e-3);
    let optimum = data.optimum();
    let m = 2.0 * data.stiffness() * data.lengths().last().unwrap();
    for (error, expected) in [(1e-3, 9.8e-4), (1e-2, 1.0e-3), (1e-1, 1.2e-3)] {
        let random = random(1);
        let inexact = from_fn(
            |x: &[f64]| data.value(x),
            |x: &[f64]| data.gradient(x, data.rows.iter()),
            |x: &[f64]| {
                let half = Mat::from_fn(FEATURES, FEATURES, |_, _| normal(&random));
                let symmetric = &half + half.transpose();
                let spectrum = symmetric.self_adjoint_eigenvalues(Side::Lower).unwrap();
                let size = spectrum.iter().fold(0.0f64, |m, e| m.max(e.abs()));
                let exact = data.hessian(x, data.rows.iter());
                Mat::from_fn(FEATURES, FEATURES, |i, j| {
                    exact[(i, j)] + error / size * symmetric[(i, j)]
                })
            },
        );
        let solver = theory(m, 200)
            .hessian_error(error)
            .noise_multipliers(1.0, 1.0);
        let (f, _) = values(solver, &inexact, vec![0.0; FEATURES]);
        let residual = f[200] - optimum.f;
        println!("Hessian error {error}: {residual:.2e}");
        assert!(
            (residual / expected - 1.0).abs() < 0.15,
            "{error}: {residual}"
        );
        // Adaptive, certified and with restarts it converges.
        let run = AcceleratedCubicNewton::new()
            .hessian_error(error)
            .gradient_tol(0.0)
            .gradient_tol_abs(1e-8)
            .max_iters(3000)
            .minimize(&inexact, vec![0.0; FEATURES])
            .unwrap();
        println!("  adaptive: {} {}", run.report.iterations, run.status);
        assert!(run.converged() && run.f - optimum.f < 1e-12);
    }
}

fn tight() -> AcceleratedCubicNewton {
    AcceleratedCubicNewton::new()
        .gradient_tol(0.0)
        .gradient_tol_abs(1e-8)
        .max_iters(1000)
}

#[test]
fn restarts_on_breast_cancer() {
    for (mu, start, expected) in [
        (1e-3, 0.0, 30),
        (1e-3, 3.0, 0),
        (1e-6, 0.0, 81),
        (1e-6, 3.0, 111),
    ] {
        let (model, _) = breast_cancer(mu);
        let run = tight().minimize(&model, vec![start; FEATURES]).unwrap();
        let plain = CubicNewton::new()
            .gradient_tol(0.0)
            .gradient_tol_abs(1e-8)
            .minimize(&model, vec![start; FEATURES])
            .unwrap();
        let report = &run.report;
        println!(
            "mu {mu}, x0 {start}: {} iterations [{expected}], {} restarts, {} rejected; plain cubic {}",
            report.iterations,
            report.hessians - report.iterations,
            report.rejected,
            plain.report.iterations
        );
        assert_eq!(run.status, Status::Converged(Converged::GradientTolerance));
        assert!(run.gradient_norm <= 1e-8);
        if expected > 0 {
            assert!(report.iterations as f64 <= 1.2 * expected as f64);
            assert!(report.iterations as f64 >= 0.5 * expected as f64);
        }
        assert!(plain.report.iterations < report.iterations);
        let never = tight()
            .restart(false)
            .max_iters(400)
            .minimize(&model, vec![start; FEATURES])
            .unwrap();
        println!(
            "  without restart {} {}",
            never.report.iterations,
            never.status.name()
        );
        if mu < 1e-4 {
            assert_eq!(never.status, Status::Stopped(Stopped::MaxIterations));
        }
        // Not monotone, but the best point is returned.
        assert_eq!(never.f, model.cost(&never.x).unwrap());
    }
}

#[test]
fn certified_constants_are_faster_on_the_nesterov_chain() {
    let chain = Chain::new(60, 3.0, 1.0).unwrap();
    let residual = |certified| {
        let solver = AcceleratedCubicNewton::new()
            .gradient_tol(0.0)
            .certified(certified)
            .restart(false)
            .max_iters(300);
        let (f, _) = values(solver, &chain, chain.start());
        f[300] - chain.minimum()
    };
    let (certified, formula) = (residual(true), residual(false));
    println!("certified {certified:.3}, formula {formula:.3}");
    assert!(certified < 0.25 && formula > 5.0);
}

#[test]
fn other_problems_with_restarts() {
    // Where f falls all the way nothing restarts, and the rate stays a power of k.
    let solve = |what: &str, iterations: u64, plain: u64, most: u64| {
        println!("{what}: {iterations} [plain cubic {plain}]");
        assert!(iterations <= most, "{what}: {iterations}");
    };
    let nesterov = Chain::new(30, 3.0, 1.0).unwrap();
    let run = tight().minimize(&nesterov, nesterov.start()).unwrap();
    let plain = CubicNewton::new()
        .gradient_tol(0.0)
        .gradient_tol_abs(1e-8)
        .minimize(&nesterov, nesterov.start())
        .unwrap();
    assert!(run.converged());
    solve(
        "Nesterov chain",
        run.report.iterations,
        plain.report.iterations,
        120,
    );
    let random = random(5);
    let a = Mat::from_fn(200, 50, |_, _| normal(&random));
    let b: Vec<f64> = (0..200).map(|_| normal(&random) - 0.5).collect();
    for p in [3.0, 4.0] {
        let polytope = Polytope::new(a.clone(), b.clone(), p).unwrap();
        let run = tight().minimize(&polytope, vec![1.0; 50]).unwrap();
        let plain = CubicNewton::new()
            .gradient_tol(0.0)
            .gradient_tol_abs(1e-8)
            .minimize(&polytope, vec![1.0; 50])
            .unwrap();
        assert!(run.converged());
        solve(
            "polytope",
            run.report.iterations,
            plain.report.iterations,
            150,
        );
    }
}

#[test]
fn each_iteration_costs_what_it_says() {
    let chain = Chain::new(20, 3.0, 1.0).unwrap();
    let mut records: Vec<IterationRecord> = Vec::new();
    let run = AcceleratedCubicNewton::new()
        .restart(false)
        .max_iters(60)
        .on_iteration(|record| {
            records.push(*record);
            true
        })
        .minimize(&chain, chain.start())
        .unwrap();
    let start = &records[0];
    assert_eq!((start.values, start.gradients, start.hessians), (1, 1, 0));
    for (k, pair) in records.windows(2).enumerate() {
        let [before, now] = pair else { unreachable!() };
        assert_eq!(now.hessians - before.hessians, 1);
        assert_eq!(now.values - before.values, 1);
        // One at v, which at first is the start, and one for each trial.
        let at_v = u64::from(k > 0);
        assert_eq!(now.gradients - before.gradients, at_v + now.trials);
        assert!(now.factorizations > before.factorizations);
        assert!(now.control > 0.0 && now.step_norm > 0.0);
    }
    let report = &run.report;
    assert!(report.rejected > 0);
    assert_eq!(report.trials - report.rejected, report.iterations);
    assert_eq!(report.hessians, report.iterations);
    assert_eq!(report.control, records.last().unwrap().control);
    assert_eq!(run.counts["hessian_count"], report.hessians);
    assert_eq!(run.counts["gradient_count"], report.gradients);
    assert_eq!(run.counts["cost_count"], report.values);
}

#[test]
fn counts_do_not_depend_on_units() {
    let units = [(1.0, 1.0), (1e6, 1.0), (1e-6, 1.0), (1.0, 1e3), (1.0, 1e-3)];
    let counts = units.map(|(a, t)| {
        let problem = Scaled::new(breast_cancer(1e-3).0, a, t).unwrap();
        let run = AcceleratedCubicNewton::new()
            .gradient_tol(0.0)
            .gradient_tol_abs(1e-8 * a * t)
            .minimize(&problem, vec![0.0; FEATURES])
            .unwrap();
        assert!(run.converged());
        run.report.iterations
    });
    assert_eq!(counts, [counts[0]; 5]);
}

#[test]
fn invalid_parameters_are_refused() {
    let chain = Chain::new(3, 3.0, 0.0).unwrap();
    let new = AcceleratedCubicNewton::new;
    let nan = f64::NAN;
    for (name, solver) in [
        ("distance", new().distance(0.0)),
        ("distance", new().distance(-1.0)),
        ("distance", new().distance(nan)),
        ("distance", new().distance(f64::INFINITY)),
        ("constant", new().constant(0.0)),
        ("constant", new().constant(-1.0)),
        ("constant", new().constant(nan)),
        ("gradient_noise", new().gradient_noise(-1e-3)),
        ("gradient_noise", new().gradient_noise(nan)),
        ("hessian_error", new().hessian_error(-1e-3)),
        ("hessian_error", new().hessian_error(nan)),
        ("subproblem_error", new().subproblem_error(-1.0)),
        ("noise_multipliers", new().noise_multipliers(-0.1, 1.0)),
        ("noise_multipliers", new().noise_multipliers(1.0, nan)),
        ("gradient_tol", new().gradient_tol(nan)),
        ("decrement_tol", new().decrement_tol(1e-8)),
    ] {
        let refused = match solver.minimize(&chain, chain.start()) {
            Err(Error::InvalidParameter { name, .. }) => name,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(refused, name);
    }
}

/// f = −log(1 − ‖x‖²) + 2x₀: the trials of a small M leave the domain.
#[test]
fn trials_outside_the_domain_are_rejected() {
    let gap = |x: &[f64]| 1.0 - dot(x, x);
    let barrier = from_fn(
        move |x: &[f64]| -gap(x).ln() + 40.0 * x[0],
        move |x: &[f64]| {
            let c = if gap(x) > 0.0 { 2.0 / gap(x) } else { f64::NAN };
            vec![c * x[0] + 40.0, c * x[1]]
        },
        move |x: &[f64]| {
            let c = 2.0 / gap(x);
            let h = |i: usize, j: usize| f64::from(u8::from(i == j)) * c + c * c * x[i] * x[j];
            [[h(0, 0), h(0, 1)], [h(1, 0), h(1, 1)]]
        },
    );
    let run = AcceleratedCubicNewton::new()
        .minimize(&barrier, vec![0.0, 0.5])
        .unwrap();
    assert!(run.converged() && run.report.rejected > 0, "{}", run.status);
    assert!(run.x[0] < -0.9 && run.x[1].abs() < 1e-6);
    // Everything but the start is outside: no step is acceptable.
    let point = from_fn(
        |x: &[f64]| if x[0] == 1.0 { 1.0 } else { f64::NAN },
        |x: &[f64]| vec![if x[0] == 1.0 { 1.0 } else { f64::NAN }],
        |_: &[f64]| [[1.0]],
    );
    let run = AcceleratedCubicNewton::new()
        .minimize(&point, vec![1.0])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::SearchFailed));
    assert_eq!((run.x, run.f, run.report.rejected), (vec![1.0], 1.0, 60));
}

#[test]
fn the_floor_is_said_to_be_one() {
    for offset in [1e3, 1e6] {
        let (model, data) = breast_cancer(1e-3);
        let optimum = data.optimum();
        let problem = Offset::new(model, offset);
        let run = AcceleratedCubicNewton::new()
            .gradient_tol(0.0)
            .max_iters(3000)
            .minimize(&problem, vec![0.0; FEATURES])
            .unwrap();
        println!(
            "offset {offset}: {} {} |g| {:.1e}",
            run.report.iterations,
            run.status.name(),
            run.gradient_norm
        );
        assert_eq!(run.status, Status::Converged(Converged::PrecisionFloor));
        let again = breast_cancer(1e-3).0.cost(&run.x).unwrap();
        assert!(again - optimum.f <= 64.0 * f64::EPSILON * offset);
        // The tolerance is met all the same where it can be.
        let problem = Offset::new(breast_cancer(1e-3).0, offset);
        let run = tight().minimize(&problem, vec![0.0; FEATURES]).unwrap();
        assert!(run.converged(), "{}", run.status);
    }
}

#[test]
fn noise_is_never_taken_for_convergence() {
    let random = random(4);
    let noisy = from_fn(
        |x: &[f64]| 0.5 * dot(x, x) + 0.1 * normal(&random),
        |x: &[f64]| x.iter().map(|x| x + 0.1 * normal(&random)).collect(),
        |_: &[f64]| [[1.0, 0.0], [0.0, 1.0]],
    );
    let solver = || {
        AcceleratedCubicNewton::new()
            .gradient_noise(0.15)
            .max_iters(300)
    };
    for run in [
        solver()
            .gradient_tol(0.02)
            .minimize(&noisy, vec![3.0, -2.0]),
        solver().constant(0.1).minimize(&noisy, vec![3.0, -2.0]),
    ] {
        let run = run.unwrap();
        assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
        assert!(norm(&run.x) < 0.5, "{:?}", run.x);
    }
    // A tolerance well above the noise is met.
    let run = solver()
        .gradient_tol(0.3)
        .minimize(&noisy, vec![3.0, -2.0])
        .unwrap();
    assert!(run.converged() && norm(&run.x) < 0.3 * 3.7);
}

#[test]
fn unbounded_functions_are_reported() {
    let linear = from_fn(
        |x: &[f64]| -x[0],
        |_: &[f64]| vec![-1.0],
        |_: &[f64]| [[0.0]],
    );
    let run = AcceleratedCubicNewton::new()
        .lower_bound(-1e9)
        .minimize(&linear, vec![0.0])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Unbounded));
    // Separable classes without a penalty: the model objects.
    let rows = [[1.0], [2.0], [-1.0], [-3.0]];
    let data = Dataset::from_rows(&rows.map(|r| r.to_vec()), &[1.0, 1.0, 0.0, 0.0]).unwrap();
    let model = LogisticRegression::new(&data);
    let run = AcceleratedCubicNewton::new()
        .max_iters(500)
        .minimize(&model, model.origin())
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
}

/// A sparse Hessian stays sparse, and argmin sees the same run.
#[test]
fn argmin_and_direct_runs_are_the_same() {
    let chain = Chain::new(30, 3.0, 1.0).unwrap();
    let run = tight().minimize(&chain, chain.start()).unwrap();
    let result = Executor::new(chain, tight())
        .configure(|state| state.param(chain.start()))
        .ctrlc(false)
        .run()
        .unwrap();
    assert_eq!(result.status(), run.status);
    assert_eq!(result.state.best_param, Some(run.x));
    assert_eq!(result.solver.report(), &run.report);
    assert_eq!(result.problem.counts, run.counts);
    let dense = |x: &[f64]| chain.hessian(&x.to_vec()).unwrap();
    let sparse = from_fn(
        |x: &[f64]| chain.cost(&x.to_vec()).unwrap(),
        |x: &[f64]| chain.gradient(&x.to_vec()).unwrap(),
        |x: &[f64]| {
            let h = dense(x);
            let stored: Vec<_> = (0..30usize)
                .flat_map(|i| (i.saturating_sub(1)..30.min(i + 2)).map(move |j| (i, j)))
                .map(|(i, j)| faer::sparse::Triplet::new(i, j, h[(i, j)]))
                .collect();
            faer::sparse::SparseColMat::<usize, f64>::try_new_from_triplets(30, 30, &stored)
                .unwrap()
        },
    );
    let again = tight().minimize(&sparse, chain.start()).unwrap();
    assert!(again.converged() && again.report.analyses == 1);
    assert!(again.report.iterations.abs_diff(run.report.iterations) <= 8);
}

#[test]
fn errors_of_the_problem_are_passed_on() {
    struct Broken;
    impl CostFunction for Broken {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, _: &Vec<f64>) -> Result<f64, HostError> {
            Ok(1.0)
        }
    }
    impl Gradient for Broken {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, _: &Vec<f64>) -> Result<Vec<f64>, HostError> {
            Ok(vec![1.0])
        }
    }
    impl Hessian for Broken {
        type Param = Vec<f64>;
        type Hessian = [[f64; 1]; 1];
        fn hessian(&self, _: &Vec<f64>) -> Result<[[f64; 1]; 1], HostError> {
            Err(HostError::msg("no Hessian today"))
        }
    }
    let error = AcceleratedCubicNewton::new().minimize(&Broken, vec![0.0]);
    assert!(matches!(error, Err(Error::Problem(e)) if e.to_string() == "no Hessian today"));
}

#[cfg(feature = "serde")]
mod resume {
    use super::*;
    use argmin::core::checkpointing::CheckpointingFrequency;
    use argmin::core::observers::{Observe, ObserverMode};
    use argmin::core::{IterState, KV, State};
    use argmin_checkpointing_file::FileCheckpoint;

    type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

    /// Returns an error after this many accepted steps: a crash.
    struct Crash(u64);

    impl Observe<Host> for Crash {
        fn observe_iter(&mut self, state: &Host, _: &KV) -> Result<(), HostError> {
            match state.get_iter() == self.0 {
                true => Err(HostError::msg("crash")),
                false => Ok(()),
            }
        }
    }

    fn bits(x: &[f64]) -> Vec<u64> {
        x.iter().map(|x| x.to_bits()).collect()
    }

    /// A run cut off after each of these numbers of steps and resumed ends in the same bits.
    fn compare(name: &str, solver: &AcceleratedCubicNewton, cuts: &[u64]) {
        let chain = Chain::new(15, 3.0, 1.0).unwrap();
        let fresh = || {
            Executor::new(chain, solver.clone())
                .configure(|state| state.param(chain.start()).max_iters(300))
                .ctrlc(false)
        };
        let whole = fresh().run().unwrap();
        assert!(whole.solver.report().iterations > cuts[cuts.len() - 1] + 1);
        for cut in cuts {
            let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("accelerated-{name}-{cut}"));
            let _ = std::fs::remove_dir_all(&folder);
            let text = folder.to_str().unwrap();
            let checkpoint = FileCheckpoint::new(text, "run", CheckpointingFrequency::Always);
            let error = fresh()
                .checkpointing(checkpoint.clone())
                .add_observer(Crash(*cut), ObserverMode::Always)
                .run()
                .err();
            assert_eq!(error.unwrap().to_string(), "crash");
            let resumed = Executor::new(chain, solver.clone())
                .ctrlc(false)
                .checkpointing(checkpoint)
                .run()
                .unwrap();
            let _ = std::fs::remove_dir_all(&folder);
            assert_eq!(whole.status(), resumed.status());
            assert_eq!(whole.solver.report(), resumed.solver.report());
            let (a, b) = (&whole.state, &resumed.state);
            assert_eq!(a.get_iter(), b.get_iter());
            assert_eq!(a.get_cost().to_bits(), b.get_cost().to_bits());
            assert_eq!(bits(a.get_param().unwrap()), bits(b.get_param().unwrap()));
            assert_eq!(
                bits(a.get_best_param().unwrap()),
                bits(b.get_best_param().unwrap())
            );
            assert_eq!(
                bits(a.get_gradient().unwrap()),
                bits(b.get_gradient().unwrap())
            );
        }
    }

    #[test]
    fn resumed_runs_end_in_the_same_bits() {
        compare("exact", &tight(), &[1, 2, 3, 7, 12]);
        let inexact = tight().hessian_error(0.5).certified(false);
        compare("inexact", &inexact, &[1, 4, 9]);
        let noisy = tight().gradient_noise(1e-3).subproblem_error(1e-6);
        compare("noise", &noisy, &[1, 4, 20]);
        compare("fixed", &theory(15.5, 100), &[1, 5, 30]);
    }

    #[test]
    fn solvers_survive_json() {
        let chain = Chain::new(15, 3.0, 1.0).unwrap();
        let used = Executor::new(chain, tight().distance(3.0))
            .configure(|state| state.param(chain.start()).max_iters(7))
            .ctrlc(false)
            .run()
            .unwrap()
            .solver;
        let text = serde_json::to_string(&used).unwrap();
        let back: AcceleratedCubicNewton = serde_json::from_str(&text).unwrap();
        assert_eq!(back.report(), used.report());
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}
