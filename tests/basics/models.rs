//! Logistic regression: derivatives, the three solves, threads, passes, predictions.

use argmin::core::{CostFunction, Gradient};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::check::Checker;
use raphson::models::LogisticRegression;
use raphson::{DampedNewton, Dataset, GramSolve, HessianProduct, Run, Schedule, check};

/// Rows with a share `density` of entries, labels 1 and 2 by a noisy linear rule.
fn generate(n: usize, d: usize, density: f64, seed: u64) -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rule: Vec<f64> = (0..d).map(|_| random.random_range(-1.0..1.0)).collect();
    let (mut start, mut col, mut value, mut label) = (vec![0], vec![], vec![], vec![]);
    for _ in 0..n {
        let mut margin = random.random_range(-1.5..1.5);
        for (j, w) in rule.iter().enumerate() {
            if random.random_bool(density) {
                let v: f64 = random.random_range(-1.0..1.0);
                col.push(j as u32);
                value.push(v);
                margin += w * v;
            }
        }
        start.push(col.len());
        label.push(if margin > 0.0 { 2.0 } else { 1.0 });
    }
    Dataset::from_csr(start, col, value, d, label).unwrap()
}

fn point(d: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..d).map(|_| random.random_range(-scale..scale)).collect()
}

fn solve(model: &LogisticRegression) -> Run<Vec<f64>> {
    solve_to(model, 1e-10)
}

fn solve_to(model: &LogisticRegression, tol: f64) -> Run<Vec<f64>> {
    let run = DampedNewton::new()
        .gradient_tol(tol)
        .minimize(model, model.origin())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    run
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn derivatives_agree_with_differences() {
    // Density 0.2 is stored by rows, 0.9 by columns.
    for (seed, density) in [(1, 0.2), (2, 0.9)] {
        let data = generate(50, 7, density, seed);
        let weights: Vec<f64> = (0..50).map(|i| f64::from(i % 4)).collect();
        for intercept in [false, true] {
            for weighted in [false, true] {
                let mut model = LogisticRegression::new(&data).l2(0.01).intercept(intercept);
                if weighted {
                    model = model.sample_weights(&weights);
                }
                for k in 0..4 {
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

/// The loss and its gradient by the formula of the documentation, in plain loops.
#[test]
fn value_and_gradient_follow_the_definition() {
    let data = generate(40, 5, 0.3, 3);
    let weights: Vec<f64> = (0..40).map(|i| f64::from(1 + i % 3)).collect();
    let total: f64 = weights.iter().sum();
    let model = LogisticRegression::new(&data)
        .l2(0.3)
        .intercept(true)
        .sample_weights(&weights);
    let x = point(6, 3.0, 4);
    let (mut f, mut g) = (0.0, vec![0.0; 6]);
    for (i, weight) in weights.iter().enumerate() {
        let (cols, values) = data.row(i);
        let y = if data.labels()[i] == 2.0 { 1.0 } else { -1.0 };
        let m: f64 = cols
            .iter()
            .zip(values)
            .map(|(&j, v)| x[j as usize] * v)
            .sum();
        let z = y * (m + x[5]);
        let c = weight / total;
        f += c * (1.0 + (-z).exp()).ln();
        let slope = -c * y / (1.0 + z.exp());
        for (&j, v) in cols.iter().zip(values) {
            g[j as usize] += slope * v;
        }
        g[5] += slope;
    }
    for j in 0..5 {
        f += 0.15 * x[j] * x[j];
        g[j] += 0.3 * x[j];
    }
    assert!((model.cost(&x).unwrap() / f - 1.0).abs() < 1e-14);
    for (a, b) in model.gradient(&x).unwrap().iter().zip(&g) {
        assert!((a - b).abs() < 1e-14);
    }
}

#[test]
fn primal_dual_and_products_find_the_same_optimum() {
    let mut dual_was_wide = false;
    for (n, d, density, mu) in [
        (300, 20, 0.1, 1e-3),
        (300, 20, 0.9, 1e-6),
        (20, 90, 0.2, 1e-3),
        (20, 90, 0.9, 1e-6),
    ] {
        let data = generate(n, d, density, (n + d) as u64);
        for intercept in [false, true] {
            let run = |way, tol| {
                let model = LogisticRegression::new(&data)
                    .l2(mu)
                    .intercept(intercept)
                    .solve_by(way);
                solve_to(&model, tol)
            };
            let primal = run(GramSolve::Primal, 1e-10);
            let dual = run(GramSolve::Dual, 1e-10);
            // A step of its end leaves what the test of g allows: f is off by up to |g|²/(2 mu).
            let cg = run(GramSolve::Cg, 1e-12);
            let auto = run(GramSolve::Auto, 1e-10);
            let what = format!("n {n}, d {d}, density {density}, mu {mu}, intercept {intercept}");
            for other in [&dual, &cg, &auto] {
                let error = (other.f - primal.f).abs();
                assert!(error <= 1e-12 * primal.f, "{what}: {error:e}");
            }
            assert_eq!(primal.report.iterations, dual.report.iterations, "{what}");
            for direct in [&primal, &dual, &auto] {
                let r = &direct.report;
                assert_eq!(r.factorizations, r.iterations, "{what}");
                assert_eq!(
                    (r.hessians, r.hessian_products),
                    (r.iterations, 0),
                    "{what}"
                );
                assert_eq!(r.shifted, 0, "{what}");
            }
            assert_eq!(cg.report.factorizations, 0, "{what}");
            assert!(cg.report.hessian_products > 0, "{what}");
            // The cheaper way is taken: its bits are those of the forced one.
            let cheaper = if n < d { &dual } else { &primal };
            assert_eq!(bits(&auto.x), bits(&cheaper.x), "{what}");
            dual_was_wide |= n < d;
        }
    }
    assert!(dual_was_wide);
}

#[test]
fn conjugate_gradients_go_as_far_as_the_goal_asks() {
    let data = generate(3000, 60, 0.2, 5);
    let model = LogisticRegression::new(&data).l2(1e-4);
    let model = model.solve_by(GramSolve::Cg);
    let work = |tol| {
        let run = solve_to(&model, tol);
        (run.report.iterations, run.report.hessian_products)
    };
    assert_eq!([1e-2, 1e-6, 1e-10].map(work), [(3, 4), (6, 12), (7, 19)]);
}

#[test]
fn matrix_free_finds_the_same_optimum() {
    let data = generate(200, 15, 0.3, 8);
    let model = LogisticRegression::new(&data).l2(1e-3).intercept(true);
    let explicit = solve(&model);
    let free = DampedNewton::matrix_free()
        .gradient_tol(1e-10)
        .minimize(&model, model.origin())
        .unwrap();
    assert!(free.converged());
    assert!((free.f - explicit.f).abs() <= 1e-12 * explicit.f);
    assert_eq!((free.report.hessians, free.report.factorizations), (0, 0));
}

#[test]
fn huge_margins_neither_overflow_nor_turn_into_nan() {
    for size in [1e3, 1e150, 1e300] {
        // Two rows right, one wrong, by the same huge margin.
        let rows = [vec![1.0], vec![-1.0], vec![1.0]];
        let data = Dataset::from_rows(&rows, &[1.0, 0.0, 0.0]).unwrap();
        let model = LogisticRegression::new(&data);
        let x = vec![size];
        assert!((model.cost(&x).unwrap() / (size / 3.0) - 1.0).abs() < 1e-15);
        assert!((model.gradient(&x).unwrap()[0] - 1.0 / 3.0).abs() < 1e-15);
        let mut product = [f64::NAN];
        model.hessian_product(&x, &[1.0], &mut product).unwrap();
        assert_eq!(product, [0.0]);
        let p = model.predict_proba(&x, &data).unwrap();
        assert_eq!(p, [1.0, 0.0, 1.0]);
    }
    // A start where every row is saturated still leads to the optimum.
    let data = generate(100, 4, 0.9, 9);
    let model = LogisticRegression::new(&data).l2(0.1);
    let far = DampedNewton::new()
        .gradient_tol(1e-10)
        .minimize(&model, vec![1e6; 4])
        .unwrap();
    assert!(far.converged(), "{}", far.status);
    assert!((far.f - solve(&model).f).abs() <= 1e-12 * far.f);
}

#[test]
fn weights_are_repeated_rows() {
    let data = generate(60, 5, 0.8, 11);
    let counts: Vec<usize> = (0..60).map(|i| i % 4).collect();
    let weights: Vec<f64> = counts.iter().map(|c| 2.5 * *c as f64).collect();
    let repeated: Vec<usize> = (0..60)
        .flat_map(|i| std::iter::repeat_n(i, counts[i]))
        .collect();
    let a = LogisticRegression::new(&data)
        .l2(0.01)
        .intercept(true)
        .sample_weights(&weights);
    let b = LogisticRegression::new(&data.subset(&repeated).unwrap())
        .l2(0.01)
        .intercept(true);
    let (a, b) = (solve(&a), solve(&b));
    assert!((a.f - b.f).abs() <= 1e-14);
    for (a, b) in a.x.iter().zip(&b.x) {
        assert!((a - b).abs() < 1e-9);
    }
    // And they do matter.
    let plain = solve(&LogisticRegression::new(&data).l2(0.01).intercept(true));
    assert!((plain.f - a.f).abs() > 1e-6);
}

#[cfg(feature = "rayon")]
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    // Large enough that every loop is split: products (2 flops an entry),
    // the loss (40 a row), AᵀDA in columns or in faer's blocks, and AAᵀ.
    for (what, n, d, density, way) in [
        ("sparse", 20_000, 60, 0.15, GramSolve::Primal),
        ("dense", 2_500, 210, 1.0, GramSolve::Primal),
        ("dual", 320, 1_500, 1.0, GramSolve::Dual),
        ("products", 6_000, 60, 0.35, GramSolve::Cg),
    ] {
        let data = generate(n, d, density, n as u64);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let model = LogisticRegression::new(&data)
                .l2(1e-3)
                .intercept(true)
                .solve_by(way);
            pool.install(|| DampedNewton::new().minimize(&model, model.origin()))
                .unwrap()
        };
        let one = run(1);
        assert!(one.converged(), "{what}");
        for threads in [2, 3, 8] {
            let many = run(threads);
            assert_eq!(bits(&many.x), bits(&one.x), "{what}, {threads} threads");
            assert_eq!(
                many.f.to_bits(),
                one.f.to_bits(),
                "{what}, {threads} threads"
            );
            assert_eq!(many.report, one.report, "{what}, {threads} threads");
        }
    }
}

/// Backtracks lie on one line, so their margins cost no product with the data.
#[test]
fn rejected_backtracks_cost_no_pass() {
    let data = generate(400, 6, 0.9, 13);
    let model = LogisticRegression::new(&data).l2(1e-6);
    let run = DampedNewton::new()
        .schedule(Schedule::Armijo)
        .minimize(&model, vec![40.0, -40.0, 40.0, -40.0, 40.0, -40.0])
        .unwrap();
    let r = &run.report;
    assert!(run.converged());
    assert!(r.rejected > 2 * r.iterations, "{r:?}");
    let passes = model.forward_passes();
    assert!(passes <= 2 * r.iterations + 1, "{passes} passes, {r:?}");
    // Without rejections a step costs one.
    let model = LogisticRegression::new(&data).l2(1.0);
    let run = solve(&model);
    assert_eq!(run.report.rejected, 0);
    assert_eq!(model.forward_passes(), run.report.iterations + 1);
}

#[test]
fn predictions_on_other_data() {
    let data = generate(300, 6, 0.9, 17);
    let model = LogisticRegression::new(&data).l2(1e-3).intercept(true);
    let w = solve(&model).x;
    // Fewer columns: the missing features are zero.
    let held_out = Dataset::from_rows(
        &[vec![1.0, 0.0, 2.0], vec![0.0, -3.0, 0.0], vec![0.0; 3]],
        &[1.0, 2.0, 1.0],
    )
    .unwrap();
    let margins = [w[0] + 2.0 * w[2] + w[6], -3.0 * w[1] + w[6], w[6]];
    let probabilities = model.predict_proba(&w, &held_out).unwrap();
    let labels = model.predict(&w, &held_out).unwrap();
    for ((m, p), label) in margins.iter().zip(probabilities).zip(labels) {
        assert!((p - 1.0 / (1.0 + (-m).exp())).abs() < 1e-15);
        assert_eq!(label, if *m > 0.0 { 2.0 } else { 1.0 });
    }
    // It has learned the rule.
    let right = model.predict(&w, &data).unwrap();
    let errors = right
        .iter()
        .zip(data.labels())
        .filter(|(a, b)| a != b)
        .count();
    assert!(errors < 105, "{errors}");
    // More columns than coefficients, or too few coefficients, are errors that say so.
    let wide = generate(3, 7, 1.0, 1);
    let error = model.predict(&w, &wide).unwrap_err().to_string();
    assert_eq!(error, "features of the data: expected length 6, found 7");
    let error = model.predict_proba(&w[..6], &data).unwrap_err().to_string();
    assert_eq!(error, "coefficients: expected length 7, found 6");
}

#[test]
fn one_model_serves_two_threads() {
    let data = generate(3_000, 20, 0.3, 19);
    let model = LogisticRegression::new(&data).l2(1e-4);
    let points: Vec<Vec<f64>> = (0..200).map(|k| point(20, 1.0, k)).collect();
    let expected: Vec<(f64, Vec<f64>)> = points
        .iter()
        .map(|x| {
            // A model of its own for every point has no memory.
            let fresh = LogisticRegression::new(&data).l2(1e-4);
            (fresh.cost(x).unwrap(), fresh.gradient(x).unwrap())
        })
        .collect();
    std::thread::scope(|scope| {
        for offset in [0, 77, 151] {
            let (model, points, expected) = (&model, &points, &expected);
            scope.spawn(move || {
                for k in (0..points.len()).map(|k| (k + offset) % points.len()) {
                    assert_eq!(model.cost(&points[k]).unwrap(), expected[k].0);
                    assert_eq!(model.gradient(&points[k]).unwrap(), expected[k].1);
                }
            });
        }
    });
    let alone = solve(&LogisticRegression::new(&data).l2(1e-4));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let run = solve(&model);
                assert!((run.f - alone.f).abs() <= 1e-13 * alone.f);
            });
        }
    });
}

#[test]
fn data_that_cannot_be_fitted_is_refused() {
    let rows = vec![vec![1.0]; 3];
    let model =
        |labels: &[f64]| LogisticRegression::new(&Dataset::from_rows(&rows, labels).unwrap());
    let message =
        |model: LogisticRegression| match DampedNewton::new().minimize(&model, model.origin()) {
            Err(raphson::Error::Data(text)) => text,
            other => panic!("{other:?}"),
        };
    assert!(message(model(&[0.0, 1.0, 2.0])).contains("3 labels"));
    assert!(message(model(&[1.0, 1.0, 1.0])).contains("one class"));
    assert!(message(model(&[0.0, 1.0, 1.0]).l2(-1.0)).contains("l2"));
    assert!(message(model(&[0.0, 1.0, 1.0]).sample_weights(&[1.0])).contains("sample weights"));
    assert!(message(model(&[0.0, 1.0, 1.0]).solve_by(GramSolve::Dual)).contains("Dual"));
    assert!(model(&[1.0, 1.0, 1.0]).l2(0.1).check().is_ok());
}
