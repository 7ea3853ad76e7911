//! Kernels beside a plain reference: what the solvers spend their time in.
//!
//! Every pair computes the same thing, which is checked first, on one thread. After criterion's
//! report a table gives the ratio of the medians, reference over raphson.
//!
//! `cargo bench --bench kernels -- [FILTER]`

#[path = "kernels/gradients.rs"]
mod gradients;
#[path = "kernels/sparsification.rs"]
mod sparsification;

use argmin::core::{CostFunction, Gradient, Hessian};
use criterion::Criterion;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, Par, Side};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{SymMat, SymView};
use raphson::linear::shifted::ShiftedDense;
use raphson::linear::{DenseCholesky, Factor, SymmetricEigen, Tridiagonal};
use raphson::models::LogisticRegression;
use raphson::subproblem::{Work, cubic};
use raphson::transport::{Cost, Metric};
use raphson::{Dataset, HessianProduct, Sinkhorn, SinkhornKernel, Transport};
use std::hint::black_box;
use std::time::Duration;

struct Bench {
    criterion: Criterion,
    pairs: Vec<String>,
}

impl Bench {
    /// Times two sides of one kernel.
    fn pair(&mut self, name: &str, mut ours: impl FnMut(), mut reference: impl FnMut()) {
        let mut group = self.criterion.benchmark_group(name);
        group.bench_function("raphson", |b| b.iter(&mut ours));
        group.bench_function("reference", |b| b.iter(&mut reference));
        group.finish();
        self.pairs.push(name.into());
    }

    /// The table of ratios, from what criterion wrote.
    fn table(&self) {
        println!("\n| kernel | raphson | reference | ratio |\n|---|---|---|---|");
        let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
        for name in &self.pairs {
            let median = |side: &str| -> Option<f64> {
                let directory = name.replace(['/', ' '], "_");
                let path = [
                    format!("{folder}/criterion/{name}/{side}/new/estimates.json"),
                    format!("{folder}/criterion/{directory}/{side}/new/estimates.json"),
                ];
                let text = path
                    .iter()
                    .find_map(|path| std::fs::read_to_string(path).ok())?;
                let json: serde_json::Value = serde_json::from_str(&text).ok()?;
                json["median"]["point_estimate"].as_f64()
            };
            if let (Some(ours), Some(reference)) = (median("raphson"), median("reference")) {
                let show = |ns: f64| match ns {
                    ns if ns < 1e3 => format!("{ns:.0} ns"),
                    ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
                    _ => format!("{:.2} ms", ns / 1e6),
                };
                let ratio = reference / ours;
                println!(
                    "| {name} | {} | {} | {ratio:.2} |",
                    show(ours),
                    show(reference)
                );
            }
        }
    }
}

fn close(
    name: &str,
    ours: impl IntoIterator<Item = f64>,
    reference: impl IntoIterator<Item = f64>,
) {
    for (k, (a, b)) in ours.into_iter().zip(reference).enumerate() {
        assert!(
            (a - b).abs() <= 1e-9 * (1.0 + b.abs()),
            "{name}, entry {k}: {a} and {b}"
        );
    }
}

/// Rows of `length` different ones among `d` columns, or of d numbers.
fn rows(n: usize, d: usize, length: usize) -> (Vec<Vec<(usize, f64)>>, Vec<f64>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let dense = length == d;
    let rows = (0..n).map(|_| {
        if dense {
            return (0..d).map(|j| (j, rng.random::<f64>() - 0.5)).collect();
        }
        // One of each group of columns.
        let size = d / length;
        let one = |k: usize| {
            (
                k * size + (size as f64 * rng.random::<f64>().powi(2)) as usize,
                1.0,
            )
        };
        (0..length).map(one).collect()
    });
    let rows: Vec<Vec<(usize, f64)>> = rows.collect();
    let labels = (0..n).map(|_| f64::from(rng.random::<bool>())).collect();
    (rows, labels)
}

fn data(rows: &[Vec<(usize, f64)>], d: usize, labels: &[f64]) -> Dataset {
    let mut start = vec![0];
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for row in rows {
        columns.extend(row.iter().map(|e| e.0 as u32));
        values.extend(row.iter().map(|e| e.1));
        start.push(columns.len());
    }
    Dataset::from_csr(start, columns, values, d, labels.to_vec()).unwrap()
}

/// The logistic loss and its derivatives, row by row.
struct Plain<'a> {
    rows: &'a [Vec<(usize, f64)>],
    sign: Vec<f64>,
    mu: f64,
}

impl Plain<'_> {
    fn value_gradient(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let share = 1.0 / self.rows.len() as f64;
        let mut f = 0.5 * self.mu * w.iter().map(|w| w * w).sum::<f64>();
        let mut g: Vec<f64> = w.iter().map(|w| self.mu * w).collect();
        for (row, y) in self.rows.iter().zip(&self.sign) {
            let z = y * row.iter().map(|&(j, v)| v * w[j]).sum::<f64>();
            let e = (-z.abs()).exp();
            f += share * ((-z).max(0.0) + e.ln_1p());
            let miss = if z < 0.0 { 1.0 } else { e } / (1.0 + e);
            for &(j, v) in row {
                g[j] -= share * y * miss * v;
            }
        }
        (f, g)
    }

    fn weights(&self, w: &[f64]) -> Vec<f64> {
        let share = 1.0 / self.rows.len() as f64;
        let weight = |row: &Vec<(usize, f64)>| {
            let e = (-row.iter().map(|&(j, v)| v * w[j]).sum::<f64>().abs()).exp();
            share * e / (1.0 + e).powi(2)
        };
        self.rows.iter().map(weight).collect()
    }

    fn gram(&self, weights: &[f64], d: usize) -> Mat<f64> {
        let mut out = Mat::zeros(d, d);
        for (row, r) in self.rows.iter().zip(weights) {
            for (k, &(j, v)) in row.iter().enumerate() {
                for &(i, u) in &row[k..] {
                    out[(i, j)] += r * v * u;
                }
            }
        }
        for j in 0..d {
            out[(j, j)] += self.mu;
        }
        out
    }

    fn product(&self, weights: &[f64], v: &[f64]) -> Vec<f64> {
        let margins: Vec<f64> = self
            .rows
            .iter()
            .zip(weights)
            .map(|(row, r)| r * row.iter().map(|&(j, a)| a * v[j]).sum::<f64>())
            .collect();
        let mut out: Vec<f64> = v.iter().map(|v| self.mu * v).collect();
        for (row, m) in self.rows.iter().zip(margins) {
            for &(j, a) in row {
                out[j] += m * a;
            }
        }
        out
    }
}

fn lower(m: &Mat<f64>) -> Vec<f64> {
    let n = m.nrows();
    (0..n)
        .flat_map(|j| (j..n).map(move |i| m[(i, j)]))
        .collect()
}

/// Logistic regression with a penalty of 1/n, by raphson and by plain loops.
fn both<'a>(
    rows: &'a [Vec<(usize, f64)>],
    d: usize,
    labels: &[f64],
) -> (LogisticRegression, Plain<'a>) {
    let mu = 1.0 / rows.len() as f64;
    let model = LogisticRegression::new(&data(rows, d, labels)).l2(mu);
    let sign = labels.iter().map(|y| 2.0 * y - 1.0).collect();
    (model, Plain { rows, sign, mu })
}

fn model(bench: &mut Bench, name: &str, (n, d, length): (usize, usize, usize)) {
    let (rows, labels) = rows(n, d, length);
    let (model, plain) = both(&rows, d, &labels);
    let mut w: Vec<f64> = (0..d).map(|j| (j as f64).sin() / 10.0).collect();
    let (f, g) = plain.value_gradient(&w);
    close(name, [model.cost(&w).unwrap()], [f]);
    close(name, model.gradient(&w).unwrap(), g);
    let mut other = w.clone();
    bench.pair(
        &format!("{name} value and gradient"),
        || {
            // A new point, whose margins nobody knows.
            w[0] += 1e-9;
            black_box((model.cost(&w).unwrap(), model.gradient(&w).unwrap()));
        },
        || {
            other[0] += 1e-9;
            black_box(plain.value_gradient(&other));
        },
    );
    let weights = plain.weights(&w);
    let mut product = vec![0.0; d];
    let v: Vec<f64> = (0..d).map(|j| (j as f64).cos()).collect();
    model.hessian_product(&w, &v, &mut product).unwrap();
    close(name, product.clone(), plain.product(&weights, &v));
    bench.pair(
        &format!("{name} Hessian product"),
        || {
            model.hessian_product(&w, &v, &mut product).unwrap();
            black_box(&product);
        },
        || {
            black_box(plain.product(&weights, &v));
        },
    );
    if d > 2000 {
        return;
    }
    let hessian = Hessian::hessian(&model, &w).unwrap();
    let form = || match hessian.sym() {
        SymView::Gram(view) => view.to_dense(),
        _ => unreachable!(),
    };
    close(name, lower(&form()), lower(&plain.gram(&weights, d)));
    if length < d {
        let gram = || {
            black_box(plain.gram(&weights, d));
        };
        bench.pair(
            &format!("{name} Gram matrix"),
            || drop(black_box(form())),
            gram,
        );
        return;
    }
    let a = Mat::from_fn(n, d, |i, j| rows[i][j].1);
    bench.pair(
        &format!("{name} Gram matrix (faer)"),
        || drop(black_box(form())),
        || {
            let scaled = Mat::from_fn(n, d, |i, j| weights[i] * a[(i, j)]);
            let mut out = Mat::<f64>::zeros(d, d);
            triangular::matmul(
                &mut out,
                BlockStructure::TriangularLower,
                Accum::Replace,
                scaled.transpose(),
                BlockStructure::Rectangular,
                &a,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            black_box(out);
        },
    );
}

fn symmetric(n: usize) -> Mat<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let a = Mat::from_fn(n, n, |_, _| rng.random::<f64>() - 0.5);
    &a * a.transpose() + Mat::<f64>::identity(n, n)
}

fn factorizations(bench: &mut Bench, n: usize) {
    let h = symmetric(n);
    let g: Vec<f64> = (0..n).map(|j| (j as f64).sin()).collect();
    let mut own = DenseCholesky::new();
    own.factor(h.sym(), 0.0).unwrap();
    bench.pair(
        &format!("Cholesky {n} (faer)"),
        || own.factor(h.sym(), 0.0).unwrap(),
        || drop(black_box(h.llt(Side::Lower).unwrap())),
    );
    let mut eigen = SymmetricEigen::new();
    eigen.factor(h.sym()).unwrap();
    bench.pair(
        &format!("eigendecomposition {n} (faer)"),
        || eigen.factor(h.sym()).unwrap(),
        || drop(black_box(h.self_adjoint_eigen(Side::Lower).unwrap())),
    );
    let mut reduced = Tridiagonal::new();
    reduced.factor(h.sym()).unwrap();
    bench.pair(
        &format!("tridiagonal form {n} (all eigenvalues by faer)"),
        || reduced.factor(h.sym()).unwrap(),
        || drop(black_box(h.self_adjoint_eigenvalues(Side::Lower).unwrap())),
    );
    // The cubic model for one H and a row of constants: one reduction, or one eigendecomposition.
    let indefinite = &h - Mat::<f64>::identity(n, n) * faer::Scale(3.0);
    let constants = [1e-2, 1e-1, 1.0, 10.0];
    let (mut s, mut work) = (vec![0.0; n], Work::new());
    let mut shifted = ShiftedDense::new();
    let mut ours = move || {
        shifted.set(indefinite.sym()).unwrap();
        constants.map(|m| {
            cubic(&mut shifted, &g, 0.0, m, &mut s, &mut work)
                .unwrap()
                .multiplier
        })
    };
    black_box(ours());
    bench.pair(
        &format!("cubic model {n}, four constants (one eigendecomposition)"),
        || {
            black_box(ours());
        },
        || drop(black_box(h.self_adjoint_eigen(Side::Lower).unwrap())),
    );
}

/// Ten log-domain sweeps beside plain loops.
fn sweeps(bench: &mut Bench, n: usize) {
    const SWEEPS: u64 = 10;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut cloud = || (0..2 * n).map(|_| rng.random::<f64>()).collect::<Vec<_>>();
    let (x, y) = (cloud(), cloud());
    let cost =
        |i: usize, j: usize| -> f64 { (0..2).map(|k| (x[2 * i + k] - y[2 * j + k]).powi(2)).sum() };
    let table: Vec<f64> = (0..n * n).map(|k| cost(k / n, k % n)).collect();
    let mass = vec![1.0 / n as f64; n];
    let points = Cost::points(&x, &y, 2, Metric::SquaredL2).unwrap();
    let problem = Transport::new(points, mass.clone(), mass.clone()).unwrap();
    let eps = 0.05;
    let ours = || {
        let solver = Sinkhorn::new(eps).kernel(SinkhornKernel::LogDomain);
        black_box(
            solver
                .marginal_tol(1e-300)
                .max_iters(SWEEPS)
                .solve(&problem)
                .unwrap(),
        );
    };
    let reference = || {
        let (mut f, mut g) = (vec![0.0; n], vec![0.0; n]);
        for _ in 0..SWEEPS {
            for i in 0..n {
                let u = |j: usize| (g[j] - table[i * n + j]) / eps;
                let top = (0..n).map(u).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..n).map(|j| (u(j) - top).exp()).sum();
                f[i] = eps * (mass[i].ln() - top - sum.ln());
            }
            for j in 0..n {
                let u = |i: usize| (f[i] - table[i * n + j]) / eps;
                let top = (0..n).map(u).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..n).map(|i| (u(i) - top).exp()).sum();
                g[j] = eps * (mass[j].ln() - top - sum.ln());
            }
        }
        black_box((f, g));
    };
    bench.pair(
        &format!("ten log-domain sweeps {n} of points (a table)"),
        ours,
        reference,
    );
}

fn main() {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .unwrap();
    let criterion = Criterion::default()
        .configure_from_args()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    let mut bench = Bench {
        criterion,
        pairs: Vec::new(),
    };
    model(&mut bench, "sparse 30000 x 120", (30_000, 120, 14));
    model(&mut bench, "sparse 8000 x 60000", (8_000, 60_000, 80));
    model(&mut bench, "dense 50000 x 22", (50_000, 22, 22));
    model(&mut bench, "dense 5000 x 300", (5_000, 300, 300));
    for n in [120, 500] {
        factorizations(&mut bench, n);
    }
    gradients::conjugate_gradients(&mut bench, (8000, 8000));
    sweeps(&mut bench, 500);
    sparsification::sparsification(&mut bench, 1000);
    bench.table();
    bench.criterion.final_summary();
}
