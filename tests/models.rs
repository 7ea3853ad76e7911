//! Linear models: derivatives, the three ways of solving, threads, cost.

use argmin::core::{CostFunction, Gradient};
use rand::{Rng, SeedableRng};
use raphson::{DampedNewton, Dataset, Error, GramSolve, LogisticRegression, Run, Schedule, check};

type Random = rand_xoshiro::Xoshiro256PlusPlus;

/// n x d with about `fill` of the entries, and labels from a noisy linear rule.
fn generate(n: usize, d: usize, fill: f64, seed: u64) -> Dataset {
    let mut random = Random::seed_from_u64(seed);
    let truth: Vec<f64> = (0..d).map(|_| random.random_range(-1.0..1.0)).collect();
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let row: Vec<f64> = (0..d)
            .map(|_| match random.random_bool(fill) {
                true => random.random_range(-2.0..2.0),
                false => 0.0,
            })
            .collect();
        let m: f64 = row.iter().zip(&truth).map(|(a, b)| a * b).sum();
        labels.push(f64::from(m + random.random_range(-1.0..1.0) > 0.2));
        rows.push(row);
    }
    Dataset::from_rows(&rows, &labels).unwrap()
}

#[test]
fn derivatives_are_right() {
    let mut random = Random::seed_from_u64(3);
    for (fill, intercept) in [(1.0, false), (1.0, true), (0.2, false), (0.2, true)] {
        let data = generate(40, 6, fill, 1);
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
        let model = LogisticRegression::new(&data)
            .l2(0.01)
            .intercept(intercept)
            .sample_weights(&weights);
        for _ in 0..3 {
            let w: Vec<f64> = model
                .origin()
                .iter()
                .map(|_| random.random_range(-1.0..1.0))
                .collect();
            let checked = check::derivatives(&model, &w).unwrap();
            assert!(checked.gradient.is_ok(), "{}", checked.gradient);
            assert!(checked.hessian.is_ok(), "{}", checked.hessian);
            let product = check::hessian_product(&model, &w).unwrap();
            assert!(product.is_ok(), "{product}");
        }
    }
}

fn solve(model: &LogisticRegression) -> Run<Vec<f64>> {
    let run = DampedNewton::new()
        .gradient_tol(1e-12)
        .minimize(model, model.origin())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    run
}

#[test]
fn three_ways_one_optimum() {
    for (n, d, fill, intercept) in [
        (200, 8, 1.0, false),
        (200, 8, 1.0, true),
        (30, 80, 1.0, false),
        (30, 80, 1.0, true),
        (60, 150, 0.1, true),
        (150, 40, 0.1, false),
    ] {
        let data = generate(n, d, fill, 5);
        let model = |way| {
            LogisticRegression::new(&data)
                .l2(1e-3)
                .intercept(intercept)
                .solve_by(way)
        };
        let primal = solve(&model(GramSolve::Primal));
        let dual = solve(&model(GramSolve::Dual));
        let cg = solve(&model(GramSolve::Cg));
        for other in [&dual, &cg] {
            assert!((other.f / primal.f - 1.0).abs() <= 1e-12, "{n} x {d}");
            for (a, b) in other.x.iter().zip(&primal.x) {
                assert!((a - b).abs() <= 1e-7 * (1.0 + b.abs()));
            }
        }
        assert_eq!(dual.report.iterations, primal.report.iterations);
        for run in [&primal, &dual] {
            assert_eq!(run.report.factorizations, run.report.iterations);
            assert_eq!(run.report.hessian_products, 0);
        }
        assert_eq!(cg.report.factorizations, 0);
        assert!(cg.report.hessian_products > 0);
    }
}

#[test]
fn a_small_ridge_does_not_spoil_the_dual() {
    let data = generate(20, 100, 1.0, 9);
    for mu in [1e-4, 1e-8, 1e-10] {
        let model = |way| LogisticRegression::new(&data).l2(mu).solve_by(way);
        let run = |way| {
            let model = model(way);
            DampedNewton::new()
                .gradient_tol(0.0)
                .gap_tol(1e-10, mu)
                .minimize(&model, model.origin())
                .unwrap()
        };
        let (dual, primal) = (run(GramSolve::Dual), run(GramSolve::Primal));
        assert!(
            dual.converged() && primal.converged(),
            "{mu} {} {}",
            dual.status,
            primal.status
        );
        assert!((dual.f / primal.f - 1.0).abs() <= 1e-9, "{mu}");
    }
}

#[test]
fn margins_up_to_1e300_are_safe() {
    let data = Dataset::from_rows(&[vec![1.0], vec![-2.0], vec![0.5]], &[1.0, 0.0, 0.0]).unwrap();
    let model = LogisticRegression::new(&data).l2(0.0);
    for w in [1e300, -1e300, 40.0, -745.0] {
        let f = model.cost(&vec![w]).unwrap();
        let g = model.gradient(&vec![w]).unwrap();
        assert!(
            f.is_finite() && f >= 0.0 && g[0].is_finite(),
            "{w}: {f} {g:?}"
        );
    }
    // log(1 + e^-z) at z = 40 is e^-40 to the last bit but one.
    let far = Dataset::from_rows(&[vec![40.0]], &[1.0]).unwrap();
    let f = LogisticRegression::new(&far)
        .l2(1.0)
        .cost(&vec![1.0])
        .unwrap()
        - 0.5;
    assert!(f >= 0.0);
}

#[test]
fn weights_stand_for_repeated_rows() {
    let data = generate(50, 4, 1.0, 2);
    let weights: Vec<f64> = (0..50).map(|i| f64::from(i % 4)).collect();
    let rows: Vec<usize> = (0..50)
        .flat_map(|i| std::iter::repeat_n(i, i % 4))
        .collect();
    let repeated = data.subset(&rows).unwrap();
    let a = solve(
        &LogisticRegression::new(&data)
            .l2(0.01)
            .sample_weights(&weights),
    );
    let b = solve(&LogisticRegression::new(&repeated).l2(0.01));
    assert!((a.f / b.f - 1.0).abs() < 1e-13);
    for (a, b) in a.x.iter().zip(&b.x) {
        assert!((a - b).abs() < 1e-10);
    }
}

#[cfg(feature = "rayon")]
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for (n, d, fill) in [
        (6000, 40, 1.0),
        (20_000, 60, 0.1),
        (3000, 600, 0.02),
        (300, 900, 1.0),
    ] {
        let data = generate(n, d, fill, 11);
        let bits: Vec<Vec<u64>> = [1, 2, 3, 8]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| {
                    let model = LogisticRegression::new(&data).l2(1e-3).intercept(true);
                    let run = solve(&model);
                    let f = [run.f, run.gradient_norm];
                    run.x.iter().chain(&f).map(|x| x.to_bits()).collect()
                })
            })
            .collect();
        assert!(bits.iter().all(|b| *b == bits[0]), "{n} x {d}");
    }
}

#[test]
fn rejected_trials_cost_no_pass_over_the_data() {
    let data = generate(400, 10, 1.0, 4);
    for schedule in [Schedule::Armijo, Schedule::Universal, Schedule::Greedy] {
        let model = LogisticRegression::new(&data).l2(1e-6);
        let run = DampedNewton::new()
            .schedule(schedule)
            .minimize(&model, vec![9.0; 10])
            .unwrap();
        assert!(run.converged() && run.report.rejected > 0, "{schedule:?}");
        // One product for the first trial, at most one more for the Hessian.
        assert!(
            model.forward_passes() <= 1 + 2 * run.report.iterations,
            "{schedule:?}"
        );
        if schedule == Schedule::Greedy {
            assert!(run.report.trials > 10 * run.report.iterations);
        }
    }
}

#[test]
fn predictions_take_other_data() {
    let data = generate(100, 5, 1.0, 8);
    let model = LogisticRegression::new(&data).l2(0.01).intercept(true);
    let w = solve(&model).x;
    let narrow = Dataset::from_rows(&[vec![1.0, -1.0]], &[0.0]).unwrap();
    let m = w[0] - w[1] + w[5];
    let p = model.predict_proba(&w, &narrow).unwrap()[0];
    assert!((p - 1.0 / (1.0 + (-m).exp())).abs() < 1e-15);
    assert_eq!(model.predict(&w, &narrow).unwrap()[0], f64::from(m > 0.0));
    let wide = Dataset::from_rows(&[vec![1.0; 6]], &[0.0]).unwrap();
    assert!(matches!(
        model.predict(&w, &wide),
        Err(Error::WrongLength {
            expected: 5,
            found: 6,
            ..
        })
    ));
    assert!(model.predict(&w[..5], &narrow).is_err());
    let right = model.predict(&w, &data).unwrap();
    let hits = right
        .iter()
        .zip(data.labels())
        .filter(|(a, b)| a == b)
        .count();
    assert!(hits >= 80, "{hits}");
}

#[test]
fn one_model_serves_two_threads() {
    let data = generate(500, 6, 1.0, 6);
    let model = LogisticRegression::new(&data).l2(1e-3);
    let alone = solve(&model).x;
    let both: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| solve(&model).x)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for x in both {
        for (a, b) in x.iter().zip(&alone) {
            assert!((a - b).abs() < 1e-10);
        }
    }
}
