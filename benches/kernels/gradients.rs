//! Conjugate gradients with a power of the diagonal, on rows like those of texts.

use super::{Bench, both};
use argmin::core::{Error, Executor, Gradient, Hessian, Operator, State};
use argmin::solver::conjugategradient::ConjugateGradient;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::DampedNewton;
use raphson::edge::{SymMat, SymView};
use raphson::linear::cg::{CgOptions, TruncatedCg};
use raphson::linear::sym_mul;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;

/// Relative residual.
const TOL: f64 = 1e-6;
/// Words of a text.
const WORDS: usize = 70;

/// Texts of words whose frequencies fall like 1/k, each word with 1 + log of its count, of norm 1.
fn texts(n: usize, d: usize) -> (Vec<Vec<(usize, f64)>>, Vec<f64>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(13);
    let mut text = || {
        let mut counts = BTreeMap::new();
        for _ in 0..WORDS {
            let word = (d as f64).powf(rng.random::<f64>()) as usize - 1;
            *counts.entry(word).or_insert(0.0) += 1.0;
        }
        let values = counts.values().map(|count: &f64| 1.0 + count.ln());
        let norm = values.map(|v| v * v).sum::<f64>().sqrt();
        let row = counts
            .iter()
            .map(|(&j, count)| (j, (1.0 + count.ln()) / norm));
        let row: Vec<(usize, f64)> = row.collect();
        // What decides are words in turn for and against, and chance.
        let margin = row.iter().map(|&(j, v)| v * (j as f64).sin()).sum::<f64>();
        let label = f64::from(4.0 * margin > 2.0 * rng.random::<f64>() - 1.0);
        (row, label)
    };
    (0..n).map(|_| text()).unzip()
}

/// H as argmin asks for it.
struct Product<'a> {
    hessian: SymView<'a>,
    calls: &'a Cell<u64>,
}

impl Operator for Product<'_> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;

    fn apply(&self, v: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.calls.set(self.calls.get() + 1);
        let mut out = vec![0.0; v.len()];
        sym_mul(self.hessian, v, &mut out)?;
        Ok(out)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Conjugate gradients with the preconditioner diag(m), by the book.
fn textbook(b: &[f64], m: &[f64], product: impl Fn(&[f64]) -> Vec<f64>) -> (Vec<f64>, usize) {
    let (mut s, mut r) = (vec![0.0; b.len()], b.to_vec());
    let scaled = |r: &[f64]| r.iter().zip(m).map(|(r, m)| r / m).collect::<Vec<f64>>();
    let mut z = scaled(&r);
    let mut p = z.clone();
    let mut rz = dot(&r, &z);
    let goal = TOL * dot(b, b).sqrt();
    let mut products = 0;
    while dot(&r, &r).sqrt() > goal {
        let hp = product(&p);
        products += 1;
        let step = rz / dot(&p, &hp);
        for j in 0..s.len() {
            s[j] += step * p[j];
            r[j] -= step * hp[j];
        }
        z = scaled(&r);
        let before = std::mem::replace(&mut rz, dot(&r, &z));
        for (p, z) in p.iter_mut().zip(&z) {
            *p = z + rz / before * *p;
        }
    }
    (s, products)
}

pub fn conjugate_gradients(bench: &mut Bench, (n, d): (usize, usize)) {
    let (rows, labels) = texts(n, d);
    let (model, plain) = both(&rows, d, &labels);
    // A point on the way, and the system of its Newton step.
    let run = DampedNewton::new().max_iters(3);
    let w = run.minimize(&model, model.origin()).unwrap().x;
    let weights = plain.weights(&w);
    let b = Gradient::gradient(&model, &w).unwrap();
    let hessian = Hessian::hessian(&model, &w).unwrap();
    let root = || -> Vec<f64> {
        let mut diagonal = vec![plain.mu; d];
        for (row, r) in rows.iter().zip(&weights) {
            for &(j, v) in row {
                diagonal[j] += r * v * v;
            }
        }
        diagonal.iter().map(|h| h.sqrt()).collect()
    };
    let mut cg = TruncatedCg::new();
    let mut solve = |m: &[f64], tol: f64, most: usize| {
        let options = CgOptions {
            relative_tolerance: tol,
            step_tolerance: f64::INFINITY,
            max_iterations: most,
            radius: f64::INFINITY,
        };
        let mut apply = |v: &[f64], out: &mut [f64]| sym_mul(hessian.sym(), v, out);
        let end = cg.solve(&b, Some(m), options, &mut apply).unwrap();
        (cg.solution().to_vec(), end.iterations)
    };
    let by_the_book = |m: &[f64]| textbook(&b, m, |v| plain.product(&weights, v));
    let calls = Cell::new(0);
    let goal = TOL * TOL * dot(&b, &b);
    let by_argmin = || {
        let product = Product {
            hessian: hessian.sym(),
            calls: &calls,
        };
        let solver: ConjugateGradient<_, f64> = ConjugateGradient::new(b.clone());
        // Its cost is the square of the residual.
        let start = |state: argmin::core::IterState<_, (), (), (), _, f64>| {
            state
                .param(vec![0.0; d])
                .max_iters(d as u64)
                .target_cost(goal)
        };
        let executor = Executor::new(product, solver).configure(start);
        let result = executor.ctrlc(false).timer(false).run().unwrap();
        result.state.get_param().unwrap().clone()
    };

    let m = root();
    let (book, products) = by_the_book(&m);
    // Rounding may end one of two such runs a product earlier: this one makes as many.
    let (same, _) = solve(&m, 0.0, products);
    let (ours, of_ours) = solve(&m, TOL, d);
    let argmin = by_argmin();
    let of_argmin = calls.get();
    for s in [&same, &ours, &book, &argmin] {
        let left: Vec<f64> = plain.product(&weights, s);
        let left: f64 = left.iter().zip(&b).map(|(h, b)| (b - h).powi(2)).sum();
        assert!(left <= goal * (1.0 + 1e-4), "{left} {goal}");
    }
    bench.pair(
        &format!("conjugate gradients {n} x {d}, {products} products (plain loops)"),
        || {
            black_box(solve(&m, 0.0, products));
        },
        || {
            black_box(by_the_book(&m));
        },
    );
    // With the time for the diagonal, which plain conjugate gradients do without.
    bench.pair(
        &format!("conjugate gradients to {TOL:e}, {of_ours} products (argmin, {of_argmin})"),
        || {
            black_box(solve(&root(), TOL, d));
        },
        || {
            black_box(by_argmin());
        },
    );
}
