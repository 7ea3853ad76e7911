//! Hessians of a growing sample, and equal rows that are merged.

use argmin::core::{CostFunction, Gradient, Hessian};
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{SymMat, SymView};
use raphson::models::{LeastSquares, LinearModel, LogisticRegression, Loss, PoissonRegression};
use raphson::{
    Batch, DampedNewton, Dataset, Failed, FiniteSum, GramSolve, LazyCubicNewton, Refresh, Schedule,
    Status,
};
use std::path::Path;

/// Rows of few distinct values, so that many are equal.
fn repeated(n: usize, d: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let kinds: Vec<(Vec<f64>, f64)> = (0..n / 3)
        .map(|_| {
            let row = (0..d).map(|_| f64::from(rng.random::<f64>() < 0.2));
            (row.collect(), f64::from(rng.random::<bool>()))
        })
        .collect();
    (0..n)
        .map(|_| kinds[rng.random_range(0..kinds.len())].clone())
        .unzip()
}

/// Gaussian-like rows with labels of a logistic model.
fn drawn(n: usize, d: usize, seed: u64) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut rows = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..n {
        let row: Vec<f64> = (0..d).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
        let margin: f64 = row
            .iter()
            .enumerate()
            .map(|(j, a)| a * (j as f64).cos())
            .sum();
        labels.push(f64::from(
            rng.random::<f64>() < 1.0 / (1.0 + (-2.0 * margin).exp()),
        ));
        rows.push(row);
    }
    Dataset::from_rows(&rows, &labels).unwrap()
}

fn dense<L: Loss>(hessian: &raphson::models::linear::WeightedGram<L>) -> Mat<f64> {
    match hessian.sym() {
        SymView::Gram(view) => view.to_dense(),
        _ => panic!("not a Gram matrix"),
    }
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} and {b}");
}

/// Value, gradient and Hessian row by row, by the loss itself.
fn direct(
    rows: &[Vec<f64>],
    labels: &[f64],
    shares: &[f64],
    w: &[f64],
    (mu, intercept): (f64, bool),
) -> (f64, Vec<f64>, Mat<f64>) {
    let d = rows[0].len();
    let (mut f, mut g) = (0.0, vec![0.0; w.len()]);
    let mut h = Mat::zeros(w.len(), w.len());
    for ((row, label), c) in rows.iter().zip(labels).zip(shares) {
        let mut a = row.clone();
        if intercept {
            a.push(1.0);
        }
        let y = if *label > 0.0 { 1.0 } else { -1.0 };
        let z: f64 = y * a.iter().zip(w).map(|(a, w)| a * w).sum::<f64>();
        let miss = 1.0 / (1.0 + z.exp());
        f += c * (-z).exp().ln_1p();
        for i in 0..w.len() {
            g[i] -= c * y * miss * a[i];
            for j in 0..w.len() {
                h[(i, j)] += c * miss * (1.0 - miss) * a[i] * a[j];
            }
        }
    }
    for j in 0..d {
        f += 0.5 * mu * w[j] * w[j];
        g[j] += mu * w[j];
        h[(j, j)] += mu;
    }
    (f, g, h)
}

#[test]
fn merged_rows_give_what_all_rows_give() {
    let (rows, labels) = repeated(3000, 9, 1);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let weights: Vec<f64> = (0..3000).map(|_| rng.random::<f64>()).collect();
    let total: f64 = weights.iter().sum();
    for (scale, intercept, weighted) in [
        (1.0, false, false),
        (1.0, true, true),
        (0.7, true, false),
        (0.7, false, true),
    ] {
        let rows: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| row.iter().map(|v| scale * v).collect())
            .collect();
        let data = Dataset::from_rows(&rows, &labels).unwrap();
        let mut model = LogisticRegression::new(&data).l2(0.1).intercept(intercept);
        let mut shares = vec![1.0 / 3000.0; 3000];
        if weighted {
            model = model.sample_weights(&weights);
            shares = weights.iter().map(|w| w / total).collect();
        }
        let w: Vec<f64> = (0..model.dimension()).map(|j| (j as f64).sin()).collect();
        let (f, g, h) = direct(&rows, &labels, &shares, &w, (0.1, intercept));
        near(model.cost(&w).unwrap(), f);
        for (a, b) in model.gradient(&w).unwrap().iter().zip(&g) {
            near(*a, *b);
        }
        let own = dense(&Hessian::hessian(&model, &w).unwrap());
        for j in 0..w.len() {
            for i in 0..w.len() {
                near(own[(i, j)], h[(i, j)]);
            }
        }
        // Terms are rows of the data, merged or not.
        assert_eq!(FiniteSum::terms(&model), 3000);
        let batch = [2999, 5, 5, 1700];
        let part: Vec<Vec<f64>> = batch.iter().map(|&i: &usize| rows[i].clone()).collect();
        let part_labels: Vec<f64> = batch.iter().map(|&i| labels[i]).collect();
        let part_shares: Vec<f64> = batch.iter().map(|&i| 3000.0 * shares[i] / 4.0).collect();
        let (f, g, _) = direct(&part, &part_labels, &part_shares, &w, (0.1, intercept));
        let (own, slope) = model.value_gradient(&w, Batch::Terms(&batch)).unwrap();
        near(own, f);
        for (a, b) in slope.iter().zip(&g) {
            near(*a, *b);
        }
    }
}

#[test]
fn outputs_of_merged_rows_are_those_of_the_data() {
    let (rows, _) = repeated(2400, 6, 3);
    let labels: Vec<f64> = rows.iter().map(|row| row[0] + 2.0 * row[1]).collect();
    let model = LeastSquares::new(&Dataset::from_rows(&rows, &labels).unwrap());
    let w: Vec<f64> = (0..6).map(|j| 0.5 - j as f64).collect();
    let mut out = vec![0.0; 2400];
    raphson::OutputModel::outputs(&model, &w, Batch::All, &mut out).unwrap();
    for (row, out) in rows.iter().zip(&out) {
        near(*out, row.iter().zip(&w).map(|(a, w)| a * w).sum());
    }
}

#[test]
fn rows_that_make_a_nan_are_named_as_in_the_data() {
    let (mut rows, labels) = repeated(3000, 4, 4);
    rows[1234] = vec![1e200, -1e200, 0.0, 0.0];
    rows[2345] = rows[1234].clone();
    let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap()).l2(1.0);
    let w = vec![1e200, 1e200, 0.0, 0.0];
    let error = model.value_gradient(&w, Batch::All).unwrap_err();
    assert!(error.to_string().contains("row 1234"), "{error}");
}

#[test]
fn a_fit_ends_at_the_minimizer_for_less() {
    let data = drawn(20_000, 12, 5);
    let model = LogisticRegression::new(&data).l2(1e-4);
    let exact = DampedNewton::new().gradient_tol(1e-12);
    let exact = exact.minimize(&model, model.origin()).unwrap();
    let sampled = model.sampled();
    let start = sampled.start().unwrap();
    let run = model.solver().minimize(&sampled, start).unwrap();
    let fit = model.fit().unwrap();
    assert_eq!(run.x, fit.x);
    assert!(fit.converged() && fit.gradient_norm <= 1e-8 * model.gradient_scale());
    assert!(fit.f - exact.f <= 1e-14, "{}", fit.f - exact.f);
    // Seven evaluations by the exact method, and here fewer rows than three have.
    assert_eq!(exact.report.hessians, 7);
    assert!(sampled.hessian_cost() < 3.0, "{}", sampled.hessian_cost());
    assert!(run.report.gradients <= 20, "{}", run.report.gradients);
    assert_eq!(run.report.factorizations, run.report.hessians);
}

#[test]
fn samples_grow_and_are_as_accurate_as_expected() {
    let data = drawn(20_000, 40, 6);
    let model = LogisticRegression::new(&data).l2(0.01);
    let sampled = model.sampled();
    let w: Vec<f64> = (0..40).map(|j| (j as f64).sin()).collect();
    let exact = dense(&Hessian::hessian(&model, &w).unwrap());
    let size = exact.norm_l2();
    let mut cost = 0.0;
    let mut parts = Vec::new();
    for k in 0..20 {
        // The gradient hardly changes: nothing says that the sample limits the steps.
        let w: Vec<f64> = w.iter().map(|w| w + 1e-12 * k as f64).collect();
        sampled.gradient(&w).unwrap();
        let h = dense(&sampled.hessian(&w).unwrap());
        parts.push(sampled.hessian_cost() - cost);
        cost = sampled.hessian_cost();
        let rows = 20_000.0 * parts[k];
        let error = (&h - &exact).norm_l2() / size;
        assert!(
            error <= 3.0 * (40.0 / rows).sqrt(),
            "{error} of {rows} rows"
        );
    }
    // A quarter of a gradient: 0.25/(0.6√40).
    let expected = [0.0659, 0.2635, 1.0, 1.0, 1.0];
    for (part, expected) in parts.chunks(4).zip(expected) {
        let near = |p: &f64| (p - expected).abs() <= 3.0 * (expected / 20_000.0_f64).sqrt();
        assert!(part.iter().all(near), "{parts:?}");
    }
    // From half the rows on the Hessian is that of all.
    let h = dense(&sampled.hessian(&w).unwrap());
    assert_eq!(h, exact);
}

#[test]
fn the_last_step_says_whether_the_sample_grows() {
    let data = drawn(8000, 10, 6);
    let model = LogisticRegression::new(&data).l2(0.01);
    let minimizer = model.fit_to(1e-10, 0.0).unwrap().x;
    let near: Vec<f64> = minimizer.iter().map(|w| w + 1e-4).collect();
    let size = |sampled: &raphson::models::Sampled<'_, _>, w: &Vec<f64>| {
        let before = sampled.hessian_cost();
        sampled.hessian(w).unwrap();
        sampled.hessian_cost() - before
    };
    let elsewhere = vec![0.1; 10];
    // A gradient cut to a thousandth asks for more rows, and so does the same point once more; not
    // so a point whose gradient is not known.
    for (then, grows) in [(&near, true), (&model.origin(), true), (&elsewhere, false)] {
        let sampled = model.sampled();
        sampled.gradient(&model.origin()).unwrap();
        let first = size(&sampled, &model.origin());
        sampled.gradient(&near).unwrap();
        let second = size(&sampled, then);
        assert_eq!(second > 2.0 * first, grows, "{first} and {second}");
    }
}

#[test]
fn a_start_is_near_the_minimizer_for_few_rows() {
    let data = drawn(30_000, 10, 30);
    let model = LogisticRegression::new(&data).l2(1e-4);
    let sampled = model.sampled();
    let start = sampled.start().unwrap();
    let slope = |w: &Vec<f64>| {
        let g = model.gradient(w).unwrap();
        g.iter().map(|g| g * g).sum::<f64>().sqrt()
    };
    // √(d/t) for 3200 rows, the third sample from 200 on, is 0.056.
    let ratio = slope(&start) / slope(&model.origin());
    assert!(ratio < 0.1, "{ratio}");
    assert!(model.cost(&start).unwrap() < model.cost(&model.origin()).unwrap());
    // The origin and some steps on 1/150, 1/37 and 1/9 of the rows.
    let cost = sampled.start_cost();
    assert!(1.1 < cost && cost < 1.6, "{cost}");
    let cost = sampled.hessian_cost();
    assert!(0.1 < cost && cost < 0.3, "{cost}");
    let run = model.solver().minimize(&sampled, start.clone()).unwrap();
    let from_origin = model.solver().minimize(&model.sampled(), model.origin());
    let from_origin = from_origin.unwrap();
    assert!(run.converged() && from_origin.converged());
    assert!((run.f - from_origin.f).abs() <= 1e-14);
    assert!(
        run.report.gradients + 3 <= from_origin.report.gradients,
        "{} and {}",
        run.report.gradients,
        from_origin.report.gradients
    );
    // It is the same on any number of threads.
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let again = pool.build().unwrap().install(|| model.sampled().start());
        assert_eq!(again.unwrap(), start);
    }
}

#[test]
fn too_few_rows_and_rows_out_of_reach_leave_the_start_at_the_origin() {
    // 20 rows for each coefficient are two thirds of all.
    let data = drawn(300, 10, 31);
    let model = LogisticRegression::new(&data).l2(1e-3);
    let sampled = model.sampled();
    assert_eq!(sampled.start().unwrap(), model.origin());
    assert_eq!((sampled.start_cost(), sampled.hessian_cost()), (0.0, 0.0));
    // One row in 20,000, where the minimizer of the others gives exp(700), or more than numbers hold.
    for far in [1e3, 1e5] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(32);
        let mut rows: Vec<Vec<f64>> = (0..20_000)
            .map(|_| vec![1.0, rng.random::<f64>()])
            .collect();
        let labels: Vec<f64> = rows
            .iter()
            .map(|row| (0.7 * row[1]).exp().round())
            .collect();
        rows[12_345][1] = far;
        let data = Dataset::from_rows(&rows, &labels).unwrap();
        let model = PoissonRegression::new(&data).l2(1e-3);
        let sampled = model.sampled();
        assert_eq!(sampled.start().unwrap(), model.origin(), "{far}");
        assert!(sampled.start_cost() > 1.0);
    }
    // Three rows in ten have all weight but 10⁻³⁰: one fit of them is enough, as larger samples are the same.
    let data = drawn(10_000, 10, 34);
    let weights: Vec<f64> = (0..10_000)
        .map(|i| if i % 10 < 3 { 1.0 } else { 1e-30 })
        .collect();
    let model = LogisticRegression::new(&data)
        .l2(1e-3)
        .sample_weights(&weights);
    let sampled = model.sampled();
    assert_ne!(sampled.start().unwrap(), model.origin());
    assert!(sampled.start_cost() < 4.0, "{}", sampled.start_cost());
    // A model that cannot be fitted says so.
    let one = Dataset::from_rows(&vec![vec![1.0]; 500], &[1.0; 500]).unwrap();
    assert!(LogisticRegression::new(&one).sampled().start().is_err());
}

#[test]
fn a_dear_sample_grows_by_two() {
    let data = drawn(8000, 240, 33);
    let model = LogisticRegression::new(&data).l2(0.01);
    let sampled = model.sampled();
    let mut before = 0.0;
    // 8d rows of 8000; twice as many, for four times cost 8.9 gradients; all.
    for expected in [0.24, 0.48, 1.0] {
        sampled.hessian(&model.origin()).unwrap();
        let part = sampled.hessian_cost() - before;
        before += part;
        assert!((part - expected).abs() <= 0.02, "{part} and {expected}");
    }
}

#[test]
fn near_the_goal_no_hessian_is_worth_its_price() {
    let run = |price: f64| {
        let solver = DampedNewton::new()
            .schedule(Schedule::Armijo)
            .refresh(Refresh::Payoff(price));
        let run = solver.minimize(&Misjudged, vec![1.0; 20]).unwrap();
        assert!(run.converged());
        (run.report.hessians, run.report.iterations)
    };
    // For nothing there is one at each step; where four cost as much as the rest of the run, one.
    let (hessians, steps) = run(0.0);
    assert_eq!(hessians, steps);
    let (hessians, steps) = run(1000.0);
    assert!(hessians == 1 && steps > 10, "{hessians} in {steps} steps");
    // In between those are kept that the end does not pay for.
    let (hessians, steps) = run(4.0);
    assert!(
        1 < hessians && hessians < steps,
        "{hessians} in {steps} steps"
    );
}

/// Σ k xₖ²/2, with 21 for all k as Hessian.
struct Misjudged;

impl CostFunction for Misjudged {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok((1..).zip(x).map(|(k, x)| 0.5 * f64::from(k) * x * x).sum())
    }
}

impl Gradient for Misjudged {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok((1..).zip(x).map(|(k, x)| f64::from(k) * x).collect())
    }
}

impl Hessian for Misjudged {
    type Param = Vec<f64>;
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<Mat<f64>, argmin::core::Error> {
        let n = x.len();
        Ok(Mat::from_fn(n, n, |i, j| if i == j { 21.0 } else { 0.0 }))
    }
}

#[test]
fn heavy_rows_are_in_every_sample() {
    // One row in a hundred counts, and one of them for a tenth of all.
    let data = drawn(40_000, 5, 9);
    let mut weights: Vec<f64> = (0..40_000).map(|i| f64::from(i % 100 == 0)).collect();
    weights[1700] = 40.0;
    let model = LogisticRegression::new(&data)
        .l2(1e-3)
        .sample_weights(&weights);
    let exact = dense(&Hessian::hessian(&model, &model.origin()).unwrap());
    let sample = dense(&model.sampled().hessian(&model.origin()).unwrap());
    assert!((&sample - &exact).norm_l2() <= 0.7 * exact.norm_l2());
    let run = model.fit().unwrap();
    let reference = DampedNewton::new().minimize(&model, model.origin());
    let reference = reference.unwrap();
    assert!(run.converged() && (run.f - reference.f).abs() <= 1e-13);
}

#[test]
fn rare_features_are_in_every_sample() {
    // Ten common features of sixty, and twenty that three rows of 12,000 have.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(21);
    let (mut start, mut columns, mut labels) = (vec![0], Vec::new(), Vec::new());
    for i in 0..12_000u32 {
        columns.extend((0..60).filter(|_| rng.random::<f64>() < 1.0 / 6.0));
        if i % 200 == 7 {
            columns.push(60 + (i / 200) % 20);
        }
        start.push(columns.len());
        labels.push(f64::from(rng.random::<f64>() < 0.3));
    }
    let values = vec![1.0; columns.len()];
    let data = Dataset::from_csr(start, columns, values, 80, labels).unwrap();
    let model = LogisticRegression::new(&data).l2(1e-6);
    let sampled = model.sampled();
    let exact = dense(&Hessian::hessian(&model, &model.origin()).unwrap());
    let sample = dense(&sampled.hessian(&model.origin()).unwrap());
    assert!(sampled.hessian_cost() < 0.2, "{}", sampled.hessian_cost());
    for j in 60..80 {
        let ratio = sample[(j, j)] / exact[(j, j)];
        assert!((ratio - 1.0).abs() <= 0.1, "{j}: {ratio}");
    }
    let run = model.fit().unwrap();
    assert!(run.converged() && run.report.rejected == 0);
}

#[test]
fn a_sample_that_promises_too_much_is_not_believed() {
    // Four columns differ from four others in a few rows of 20,000: a sample sees almost no
    // curvature there, and its step is far too long, but f falls.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(20);
    let (mut start, mut columns, mut labels) = (vec![0], Vec::new(), Vec::new());
    for i in 0..20_000 {
        let row: Vec<u32> = (0..60).filter(|_| rng.random::<f64>() < 0.2).collect();
        let differs = i % 500 == 77;
        columns.extend(&row);
        for k in 0..4 {
            if row.contains(&k) && !(differs && rng.random::<f64>() < 0.5) {
                columns.push(60 + k);
            }
        }
        start.push(columns.len());
        let chance = if differs { 0.7 } else { 0.3 };
        labels.push(f64::from(rng.random::<f64>() < chance));
    }
    let values = vec![1.0; columns.len()];
    let data = Dataset::from_csr(start, columns, values, 64, labels).unwrap();
    let model = LogisticRegression::new(&data).l2(1e-7);
    let sampled = model.sampled();
    let run = model.solver().minimize(&sampled, model.origin()).unwrap();
    let exact = DampedNewton::new().gradient_tol(1e-10);
    let exact = exact.minimize(&model, model.origin()).unwrap();
    assert!(run.converged() && run.f - exact.f <= 1e-11);
    // 20 rejected trials and 11.6 Hessians where every decrease of f is enough.
    assert!(run.report.rejected <= 3, "{}", run.report.rejected);
    assert!(sampled.hessian_cost() <= 2.0, "{}", sampled.hessian_cost());
}

#[test]
fn sparse_data_of_any_width_gives_the_same() {
    // Columns beyond 16 bits, and Gram matrices too large to be summed row by row.
    let (rows, labels) = repeated(300, 5, 10);
    let w = [0.3, -0.2, 0.1, 0.5, -0.4];
    let shares = vec![1.0 / 300.0; 300];
    let (f, g, h) = direct(&rows, &labels, &shares, &w, (0.1, false));
    for (d, places) in [
        (5, [0, 1, 2, 3, 4]),
        (900, [0, 7, 300, 512, 899]),
        (70_000, [1, 65_535, 65_536, 65_537, 69_999]),
    ] {
        let (mut start, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in &rows {
            for (j, v) in row.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                columns.push(places[j]);
                values.push(*v);
            }
            start.push(columns.len());
        }
        let data = Dataset::from_csr(start, columns, values, d, labels.clone()).unwrap();
        let model = LogisticRegression::new(&data).l2(0.1);
        let mut x = vec![0.0; d];
        for (j, w) in places.iter().zip(w) {
            x[*j as usize] = w;
        }
        near(model.cost(&x).unwrap(), f);
        let own = model.gradient(&x).unwrap();
        for (j, g) in places.iter().zip(&g) {
            near(own[*j as usize], *g);
        }
        if d < 1000 {
            let own = dense(&Hessian::hessian(&model, &x).unwrap());
            for (a, j) in places.iter().enumerate() {
                for (b, k) in places.iter().enumerate() {
                    near(own[(*j as usize, *k as usize)], h[(a, b)]);
                }
            }
        }
    }
}

#[test]
fn without_a_minimizer_a_fit_says_so() {
    let rows: Vec<Vec<f64>> = (0..4000).map(|i| vec![i as f64 - 1999.5, 1.0]).collect();
    let labels: Vec<f64> = (0..4000).map(|i| f64::from(i >= 2000)).collect();
    let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap());
    let run = model.fit().unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    let one = Dataset::from_rows(&rows, &vec![1.0; 4000]).unwrap();
    assert!(LogisticRegression::new(&one).fit().is_err());
    // Only one row can be told apart: no step proves it, but the last Newton step.
    let rows = vec![
        vec![1.0, 0.0],
        vec![0.0, 1.0],
        vec![0.0, 1.0],
        vec![0.0, 1.0],
    ];
    let data = Dataset::from_rows(&rows, &[1.0, 1.0, 0.0, 1.0]).unwrap();
    let model = LogisticRegression::new(&data);
    for schedule in [Schedule::Armijo, Schedule::Universal] {
        let lazy = DampedNewton::new()
            .schedule(schedule)
            .refresh(Refresh::Every(30));
        let run = lazy.minimize(&model, model.origin()).unwrap();
        assert_eq!(
            run.status,
            Status::Failed(Failed::Separable),
            "{schedule:?}"
        );
    }
}

#[test]
fn a_fit_of_many_coefficients_forms_no_matrix() {
    let data = drawn(40, 900, 7);
    let model = LogisticRegression::new(&data).l2(0.1);
    let run = model.fit().unwrap();
    assert!(run.converged());
    let cg = LogisticRegression::new(&data)
        .l2(0.1)
        .solve_by(GramSolve::Cg);
    let other = cg.fit().unwrap();
    assert!(other.converged() && other.report.hessian_products > 0);
    assert!((run.f - other.f).abs() <= 1e-12);
}

#[test]
fn any_lazy_method_runs_on_a_sampled_model() {
    let data = drawn(6000, 8, 8);
    let model = LinearModel::with_loss(&data, Quartic).l2(0.1);
    let exact = model.fit_to(1e-12, 0.0).unwrap();
    let lazy = LazyCubicNewton::new().minimize(&model.sampled(), model.origin());
    let lazy = lazy.unwrap();
    assert!(exact.converged() && lazy.converged());
    assert!((lazy.f - exact.f).abs() <= 1e-12);
}

/// (m − y)⁴/4, without a block of its own.
#[derive(Debug, Clone)]
struct Quartic;

impl Loss for Quartic {
    fn value(&self, m: f64, y: f64, c: f64) -> f64 {
        0.25 * c * (m - y).powi(4)
    }
    fn slope(&self, m: f64, y: f64, c: f64) -> f64 {
        c * (m - y).powi(3)
    }
    fn curvature(&self, m: f64, y: f64, c: f64) -> f64 {
        3.0 * c * (m - y).powi(2)
    }
}

/// Rows of unit length over columns of very different frequency, as of texts.
fn texts(n: usize, d: usize) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let (mut start, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels = Vec::new();
    for _ in 0..n {
        // The k-th column is as frequent as 1/k.
        let mut row: Vec<u32> = (0..60)
            .map(|_| ((d as f64).powf(rng.random::<f64>()) - 1.0) as u32)
            .collect();
        row.sort_unstable();
        row.dedup();
        let size = 1.0 / (row.len() as f64).sqrt();
        let margin: f64 = row.iter().map(|&j| 4.0 * size * f64::from(j).sin()).sum();
        let chance = 1.0 / (1.0 + (-margin).exp());
        labels.push(f64::from(rng.random::<f64>() < chance));
        values.extend(row.iter().map(|_| size));
        columns.extend(row);
        start.push(columns.len());
    }
    Dataset::from_csr(start, columns, values, d, labels).unwrap()
}

/// Iterations and products with the Hessian of a fit that forms no matrix.
fn products(data: &Dataset) -> (u64, u64) {
    let mu = 1.0 / data.n_rows() as f64;
    let model = LogisticRegression::new(data).l2(mu).solve_by(GramSolve::Cg);
    let run = model.fit_to(0.0, 1e-8).unwrap();
    assert!(run.converged() && run.gradient_norm <= 1e-8);
    assert_eq!(run.report.factorizations, 0);
    // One pass for each point, none for the scale of the test.
    assert_eq!(model.forward_passes(), run.report.values);
    (run.report.iterations, run.report.hessian_products)
}

#[test]
fn a_fit_of_texts_takes_few_products() {
    assert_eq!(products(&texts(4000, 9000)), (6, 26));
    let Some(folder) = std::env::var_os("RAPHSON_DATA") else {
        println!("skipped: RAPHSON_DATA is not set");
        return;
    };
    let read = |name: &str| raphson::libsvm::read(Path::new(&folder).join("libsvm").join(name));
    assert_eq!(products(&read("reuters.gz").unwrap()), (7, 25));
    assert_eq!(products(&read("news20.split10.gz").unwrap()), (6, 25));
}
