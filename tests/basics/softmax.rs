//! Softmax regression: derivatives, invariances, known optima, threads, separable data.

use argmin::core::{CostFunction, Gradient, Hessian};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::check::{self, Checker};
use raphson::models::{LogisticRegression, Softmax};
use raphson::{
    CubicNewton, DampedNewton, Dataset, Error, Failed, HessianProduct, LazyCubicNewton, Run,
    Status, SymMat, TrustRegionNewton,
};

/// Rows with a share `density` of entries, labels 1, 3, 5, … by a noisy linear rule.
fn generate(n: usize, d: usize, classes: usize, density: f64, seed: u64) -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rule: Vec<f64> = (0..d * classes)
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    let (mut start, mut col, mut value, mut label) = (vec![0], vec![], vec![], vec![]);
    for i in 0..n {
        let mut margin: Vec<f64> = (0..classes)
            .map(|_| random.random_range(-1.5..1.5))
            .collect();
        for j in 0..d {
            if random.random_bool(density) {
                let v: f64 = random.random_range(-1.0..1.0);
                col.push(j as u32);
                value.push(v);
                for (k, m) in margin.iter_mut().enumerate() {
                    *m += rule[j * classes + k] * v;
                }
            }
        }
        start.push(col.len());
        let best = (0..classes).max_by(|a, b| margin[*a].total_cmp(&margin[*b]));
        // Every class occurs.
        let class = if i < classes { i } else { best.unwrap() };
        label.push((1 + 2 * class) as f64);
    }
    Dataset::from_csr(start, col, value, d, label).unwrap()
}

fn point(d: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..d).map(|_| random.random_range(-scale..scale)).collect()
}

fn solve(model: &Softmax) -> Run<Vec<f64>> {
    let run = DampedNewton::new()
        .gradient_tol(1e-11)
        .minimize(model, model.origin())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    run
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The lower triangle of a Hessian, made whole.
fn whole(model: &Softmax, x: &Vec<f64>) -> Vec<Vec<f64>> {
    let h = model.hessian(x).unwrap();
    let lower = h.lower();
    let d = x.len();
    (0..d)
        .map(|i| (0..d).map(|j| lower[(i.max(j), i.min(j))]).collect())
        .collect()
}

#[test]
fn derivatives_agree_with_differences() {
    // Density 0.2 is stored by rows, 0.9 by columns.
    for (seed, density) in [(1, 0.2), (2, 0.9)] {
        for classes in [2, 3, 5] {
            let data = generate(60, 6, classes, density, seed);
            let weights: Vec<f64> = (0..60).map(|i| f64::from(i % 4)).collect();
            for intercept in [false, true] {
                for weighted in [false, true] {
                    let mut model = Softmax::new(&data).l2(0.01).intercept(intercept);
                    if weighted {
                        model = model.sample_weights(&weights);
                    }
                    for k in 0..3 {
                        let x = point(model.dimension(), 2.0, 100 * seed + k);
                        let all = check::derivatives(&model, &x).unwrap();
                        assert!(all.is_ok(), "{all}");
                        let products = Checker::new().hessian_product(&model, &x).unwrap();
                        assert!(products.is_ok(), "{products}");
                    }
                }
            }
        }
    }
}

/// Value, gradient and Hessian by the formulas of the documentation, in plain loops.
#[test]
fn all_derivatives_follow_the_definition() {
    let (n, d, classes) = (2500, 3, 4);
    for density in [0.3, 1.0] {
        let data = generate(n, d, classes, density, 3);
        let weights: Vec<f64> = (0..n).map(|i| (1 + i % 3) as f64).collect();
        let total: f64 = weights.iter().sum();
        let model = Softmax::new(&data).l2(0.3).intercept(true);
        let model = model.sample_weights(&weights);
        let block = d + 1;
        let x = point(block * classes, 3.0, 4);
        let size = x.len();
        let (mut f, mut g) = (0.0, vec![0.0; size]);
        let mut h = vec![vec![0.0; size]; size];
        for (i, weight) in weights.iter().enumerate() {
            let mut row = vec![0.0; block];
            let (cols, values) = data.row(i);
            for (&j, v) in cols.iter().zip(values) {
                row[j as usize] = *v;
            }
            row[d] = 1.0;
            let margin = |k: usize| -> f64 { (0..block).map(|j| x[k * block + j] * row[j]).sum() };
            let e: Vec<f64> = (0..classes).map(|k| margin(k).exp()).collect();
            let sum: f64 = e.iter().sum();
            let y = (data.labels()[i] as usize - 1) / 2;
            let c = weight / total;
            f += c * (sum.ln() - margin(y));
            for k in 0..classes {
                let p = e[k] / sum;
                for j in 0..block {
                    g[k * block + j] += c * (p - f64::from(u8::from(k == y))) * row[j];
                    for l in 0..classes {
                        let q = e[l] / sum;
                        let w = c * if k == l { p * (1.0 - p) } else { -p * q };
                        for s in 0..block {
                            h[k * block + j][l * block + s] += w * row[j] * row[s];
                        }
                    }
                }
            }
        }
        for k in 0..classes {
            for j in 0..d {
                let at = k * block + j;
                f += 0.15 * x[at] * x[at];
                g[at] += 0.3 * x[at];
                h[at][at] += 0.3;
            }
        }
        assert!((model.cost(&x).unwrap() / f - 1.0).abs() < 1e-13);
        for (a, b) in model.gradient(&x).unwrap().iter().zip(&g) {
            assert!((a - b).abs() < 1e-14);
        }
        for (a, b) in whole(&model, &x).iter().flatten().zip(h.iter().flatten()) {
            assert!((a - b).abs() < 1e-14);
        }
        let mut diagonal = model.origin();
        assert!(model.hessian_diagonal(&x, &mut diagonal).unwrap());
        let v = point(size, 1.0, 5);
        let mut product = model.origin();
        model.hessian_product(&x, &v, &mut product).unwrap();
        for i in 0..size {
            assert!((diagonal[i] - h[i][i]).abs() < 1e-14);
            let exact: f64 = h[i].iter().zip(&v).map(|(h, v)| h * v).sum();
            assert!((product[i] - exact).abs() < 1e-13);
        }
    }
}

#[test]
fn huge_margins_keep_their_digits() {
    // One feature of size 1 and classes 0, 1, 2; margins of row i are the coefficients.
    let data = Dataset::from_rows(&[vec![1.0], vec![1.0], vec![1.0]], &[0.0, 1.0, 2.0]).unwrap();
    let model = Softmax::new(&data);
    let value = |x: [f64; 3]| model.cost(&x.to_vec()).unwrap();
    assert!((value([1e3, 0.0, -1e3]) / 1e3 - 1.0).abs() < 1e-15); // (0 + 1000 + 2000)/3
    assert!((value([1e15, 0.0, -1e15]) / 1e15 - 1.0).abs() < 1e-15);
    assert!((value([7e3, 7e3, 7e3]) - 3f64.ln()).abs() < 1e-15);
    let g = model.gradient(&vec![1e3, 0.0, -1e3]).unwrap();
    assert_eq!(g[1..], [-1.0 / 3.0, -1.0 / 3.0]);
    assert!((g[0] - 2.0 / 3.0).abs() < 1e-16);

    // All rows right with a lead of 40: 1 - p is 2 e^-40 and not rounded away.
    let data = Dataset::from_rows(
        &[
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![0.0, 0.0, 1.0],
        ],
        &[0.0, 1.0, 2.0],
    )
    .unwrap();
    let model = Softmax::new(&data);
    let lead = |l: f64| vec![l, 0.0, 0.0, 0.0, l, 0.0, 0.0, 0.0, l];
    for l in [40.0f64, 300.0, 700.0] {
        let (x, e) = (lead(l), (-l).exp());
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-13 * b.abs();
        assert!(near(model.cost(&x).unwrap(), 2.0 * e));
        assert!(near(model.gradient(&x).unwrap()[0], -2.0 / 3.0 * e));
        assert!(near(whole(&model, &x)[0][0], 2.0 / 3.0 * e));
        let (mut out, mut unit) = (model.origin(), model.origin());
        unit[0] = 1.0;
        model.hessian_product(&x, &unit, &mut out).unwrap();
        assert!(near(out[0], 2.0 / 3.0 * e) && near(out[3], -e / 3.0));
        model.hessian_diagonal(&x, &mut out).unwrap();
        assert!(near(out[0], 2.0 / 3.0 * e));
    }
    // Derivatives by differences along margins of ±1e3.
    let data = generate(40, 4, 3, 0.9, 9);
    let model = Softmax::new(&data).l2(1e-3);
    let x = point(model.dimension(), 1e3, 10);
    let report = check::derivatives(&model, &x).unwrap();
    assert!(report.is_ok(), "{report}");
}

#[test]
fn two_classes_are_logistic_regression_with_half_the_penalty() {
    for density in [0.2, 0.9] {
        let data = generate(200, 5, 2, density, 11);
        for intercept in [false, true] {
            let softmax = solve(&Softmax::new(&data).l2(0.02).intercept(intercept));
            let logistic = LogisticRegression::new(&data).l2(0.01).intercept(intercept);
            let run = DampedNewton::new().gradient_tol(1e-11);
            let run = run.minimize(&logistic, logistic.origin()).unwrap();
            assert!((softmax.f / run.f - 1.0).abs() < 1e-13);
            let block = run.x.len();
            for j in 0..block {
                let w = softmax.x[block + j] - softmax.x[j];
                assert!((w - run.x[j]).abs() < 1e-8);
            }
        }
    }
}

#[test]
fn labels_weights_and_order_do_not_matter() {
    let data = generate(120, 4, 3, 0.9, 21);
    let model = Softmax::new(&data).l2(0.01).intercept(true);
    let run = solve(&model);
    // Labels by other numbers in the same order: the same bits.
    let renamed: Vec<f64> = data.labels().iter().map(|y| y * y - 100.0).collect();
    let rows = |order: &[usize], labels: &[f64]| {
        let dense = |i: &usize| {
            let mut row = vec![0.0; 4];
            let (cols, values) = data.row(*i);
            for (&j, v) in cols.iter().zip(values) {
                row[j as usize] = *v;
            }
            row
        };
        let rows: Vec<_> = order.iter().map(dense).collect();
        Dataset::from_rows(&rows, labels).unwrap()
    };
    let order: Vec<usize> = (0..120).collect();
    let other = solve(
        &Softmax::new(&rows(&order, &renamed))
            .l2(0.01)
            .intercept(true),
    );
    assert_eq!(bits(&run.x), bits(&other.x));
    // Classes in reverse: blocks in reverse.
    let negated: Vec<f64> = data.labels().iter().map(|y| -y).collect();
    let other = solve(
        &Softmax::new(&rows(&order, &negated))
            .l2(0.01)
            .intercept(true),
    );
    let (x, y) = (
        model.centered(&run.x).unwrap(),
        model.centered(&other.x).unwrap(),
    );
    for k in 0..3 {
        for j in 0..5 {
            assert!((x[5 * k + j] - y[5 * (2 - k) + j]).abs() < 1e-8);
        }
    }
    // A weight of two is a row given twice, a weight of zero a row left out.
    let mut weights = vec![1.0; 120];
    (weights[7], weights[50]) = (2.0, 0.0);
    let weighted = solve(
        &Softmax::new(&data)
            .l2(0.01)
            .intercept(true)
            .sample_weights(&weights),
    );
    let mut order = order;
    order[50] = 7;
    let repeated = data.subset(&order).unwrap();
    let repeated = solve(&Softmax::new(&repeated).l2(0.01).intercept(true));
    assert!((weighted.f / repeated.f - 1.0).abs() < 1e-13);
}

#[test]
fn the_null_space_changes_no_value() {
    let data = generate(300, 4, 3, 0.9, 31);
    for (mu, intercept) in [(0.0, false), (0.0, true), (0.01, true)] {
        let model = Softmax::new(&data).l2(mu).intercept(intercept);
        let run = solve(&model);
        let block = 4 + usize::from(intercept);
        let centered = model.centered(&run.x).unwrap();
        for j in 0..block {
            let sum: f64 = (0..3).map(|k| centered[k * block + j]).sum();
            assert!(sum.abs() < 1e-14);
        }
        assert!((model.cost(&centered).unwrap() - run.f).abs() < 1e-14);
        // Elsewhere along it the value is the same.
        if mu == 0.0 {
            let moved: Vec<f64> = run.x.iter().map(|w| w + 1.0).collect();
            if intercept {
                let intercepts = |x: &mut Vec<f64>| (0..3).for_each(|k| x[k * block + 4] += 3.0);
                let mut x = run.x.clone();
                intercepts(&mut x);
                assert!((model.cost(&x).unwrap() - run.f).abs() < 1e-14);
            }
            assert!((model.cost(&moved).unwrap() - run.f).abs() < 1e-14);
        }
        // With products too.
        let products = DampedNewton::matrix_free().gradient_tol(1e-9);
        let products = products.minimize(&model, model.origin()).unwrap();
        assert!(products.converged(), "{}", products.status);
        assert!((products.f - run.f).abs() < 1e-12);
        let other = model.centered(&products.x).unwrap();
        for (a, b) in centered.iter().zip(&other) {
            assert!((a - b).abs() < 1e-6, "{mu} {intercept}: {a} {b}");
        }
    }
}

#[test]
fn every_solver_finds_the_same_optimum() {
    for density in [0.2, 0.9] {
        let data = generate(200, 6, 4, density, 41);
        let model = Softmax::new(&data).l2(1e-3).intercept(true);
        let exact = solve(&model);
        let start = || model.origin();
        for run in [
            DampedNewton::fused()
                .gradient_tol(1e-9)
                .minimize(&model, start()),
            DampedNewton::matrix_free()
                .gradient_tol(1e-9)
                .minimize(&model, start())
                .map(Run::with_source),
            TrustRegionNewton::new()
                .gradient_tol(1e-9)
                .minimize(&model, start())
                .map(Run::with_source),
            TrustRegionNewton::matrix_free()
                .gradient_tol(1e-9)
                .minimize(&model, start())
                .map(Run::with_source),
            CubicNewton::new()
                .gradient_tol(1e-9)
                .minimize(&model, start())
                .map(Run::with_source),
            LazyCubicNewton::new()
                .gradient_tol(1e-9)
                .minimize(&model, start())
                .map(Run::with_source),
        ] {
            let run = run.unwrap();
            assert!(run.converged(), "{}", run.status);
            assert!((run.f / exact.f - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn separable_classes_are_told() {
    let rows: Vec<Vec<f64>> = (0..12).map(|i| vec![f64::from(i), 1.0]).collect();
    let labels: Vec<f64> = (0..12).map(|i| f64::from(i / 4)).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let model = Softmax::new(&data);
    let run = DampedNewton::new()
        .max_iters(500)
        .minimize(&model, model.origin())
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    let run = DampedNewton::matrix_free().max_iters(500);
    let run = run.minimize(&model, model.origin()).unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    // Class 2 can be told apart, 0 and 1 cannot.
    let mut labels = labels;
    (labels[0], labels[5]) = (1.0, 0.0);
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let model = Softmax::new(&data);
    let run = DampedNewton::new()
        .max_iters(500)
        .minimize(&model, model.origin())
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    let model = Softmax::new(&data).l2(1e-3);
    assert!(!model.hessian(&model.origin()).unwrap().may_object());
    solve(&model);
}

#[test]
fn data_that_cannot_be_fitted_is_refused() {
    let one = Dataset::from_rows(&[vec![1.0], vec![2.0]], &[3.0, 3.0]).unwrap();
    let text = Softmax::new(&one).l2(1.0).check().unwrap_err().to_string();
    assert!(text.contains("one class only (label 3)"), "{text}");
    let two = Dataset::from_rows(&[vec![1.0], vec![2.0]], &[3.0, 4.0]).unwrap();
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Softmax::new(&two).l2(bad).check().is_err());
    }
    for bad in [&[1.0][..], &[1.0, -1.0], &[0.0, 0.0], &[1.0, f64::NAN]] {
        assert!(Softmax::new(&two).sample_weights(bad).check().is_err());
    }
    let model = Softmax::new(&two);
    assert!(model.cost(&vec![0.0]).is_err());
    assert!(matches!(
        model.predict(&[0.0], &two),
        Err(Error::WrongLength {
            expected: 2,
            found: 1,
            ..
        })
    ));
    // A Hessian that would not fit anywhere.
    let wide = Dataset::from_csr(
        vec![0, 1, 2],
        vec![0, 1],
        vec![1.0, 1.0],
        40_000,
        vec![0.0, 1.0],
    );
    let model = Softmax::new(&wide.unwrap()).l2(0.1);
    let text = model.hessian(&model.origin()).unwrap_err().to_string();
    assert!(text.contains("matrix_free"), "{text}");
    let run = DampedNewton::matrix_free()
        .minimize(&model, model.origin())
        .unwrap();
    assert!(run.converged());
}

#[test]
fn no_features_leave_the_intercepts() {
    let data =
        Dataset::from_rows(&[vec![], vec![], vec![], vec![]], &[0.0, 1.0, 2.0, 2.0]).unwrap();
    let model = Softmax::new(&data);
    assert!((model.cost(&vec![]).unwrap() - 3f64.ln()).abs() < 1e-15);
    let model = Softmax::new(&data).intercept(true);
    let run = solve(&model);
    for (p, share) in model.predict_proba(&run.x, &data).unwrap()[0]
        .iter()
        .zip([0.25, 0.25, 0.5])
    {
        assert!((p - share).abs() < 1e-9);
    }
}

#[test]
fn predictions_are_those_of_the_likeliest_class() {
    let data = generate(200, 5, 4, 0.9, 51);
    let model = Softmax::new(&data).l2(1e-3).intercept(true);
    let run = solve(&model);
    assert_eq!(model.classes(), [1.0, 3.0, 5.0, 7.0]);
    let probabilities = model.predict_proba(&run.x, &data).unwrap();
    let labels = model.predict(&run.x, &data).unwrap();
    let mut loss = 0.0;
    for (i, (row, label)) in probabilities.iter().zip(&labels).enumerate() {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let best = row.iter().copied().fold(0.0, f64::max);
        assert_eq!(row[(*label as usize - 1) / 2], best);
        loss -= row[(data.labels()[i] as usize - 1) / 2].ln() / 200.0;
    }
    for block in run.x.chunks(6) {
        loss += 5e-4 * block[..5].iter().map(|w| w * w).sum::<f64>();
    }
    assert!((loss - run.f).abs() < 1e-13);
    let right = labels
        .iter()
        .zip(data.labels())
        .filter(|(a, b)| a == b)
        .count();
    assert!(right > 80, "{right}");
}

#[test]
fn value_gradient_and_hessian_share_the_margins() {
    let data = generate(100, 5, 3, 0.9, 61);
    let model = Softmax::new(&data).l2(0.1);
    let x = point(model.dimension(), 1.0, 62);
    model.cost(&x).unwrap();
    model.gradient(&x).unwrap();
    model.hessian(&x).unwrap();
    let mut out = model.origin();
    model.hessian_product(&x, &x, &mut out).unwrap();
    assert_eq!(model.forward_passes(), 1);
}

#[test]
#[cfg(feature = "rayon")]
fn results_do_not_depend_on_the_number_of_threads() {
    for (n, d, classes, density) in [(3000, 40, 6, 0.05), (3000, 20, 6, 0.9)] {
        let data = generate(n, d, classes, density, 71);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let model = Softmax::new(&data).l2(1e-4).intercept(true);
                let x = point(model.dimension(), 1.0, 72);
                let h = whole(&model, &x).concat();
                let mut product = model.origin();
                model.hessian_product(&x, &x, &mut product).unwrap();
                let run = DampedNewton::new()
                    .minimize(&model, model.origin())
                    .unwrap();
                let free = DampedNewton::matrix_free().minimize(&model, model.origin());
                [h, product, run.x, vec![run.f], free.unwrap().x].map(|v| bits(&v))
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(8));
    }
}
