//! Small networks trained from next to a saddle point, on all rows and on batches.
#![cfg(feature = "libsvm")]

use argmin::core::{CostFunction, Gradient, Hessian};
use raphson::linear::SymmetricEigen;
use raphson::models::Mlp;
use raphson::{
    Averaging, Converged, Dataset, Error, SaddleFreeNewton, Sampler, Status, StepSchedule,
    StochasticSaddleFreeNewton, Stopped, SymMat, TrustRegionNewton, libsvm,
};
use rayon::prelude::*;

/// The first digits, pixels from −½ to ½.
fn digits(n: usize) -> Dataset {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/digits.libsvm.gz"
    );
    let data = libsvm::read(path).unwrap();
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row = vec![-0.5; 64];
            let (columns, values) = data.row(i);
            for (&j, v) in columns.iter().zip(values) {
                row[j as usize] += v / 16.0;
            }
            row
        })
        .collect();
    Dataset::from_rows(&rows, &data.labels()[..n]).unwrap()
}

fn network(data: &Dataset) -> Mlp {
    Mlp::classifier(data, &[5]).l2(1e-4)
}

fn least_eigenvalue(model: &Mlp, x: &Vec<f64>) -> f64 {
    let mut eigen = SymmetricEigen::new();
    eigen
        .factor(Hessian::hessian(model, x).unwrap().sym())
        .unwrap();
    eigen.values()[0]
}

/// 4000 steps of gradient descent with momentum 0.9.
fn descent(model: &Mlp, rate: f64, mut x: Vec<f64>) -> f64 {
    let mut p = vec![0.0; x.len()];
    for _ in 0..4000 {
        let g = Gradient::gradient(model, &x).unwrap();
        for ((x, p), g) in x.iter_mut().zip(&mut p).zip(&g) {
            *p = 0.9 * *p - rate * g;
            *x += *p;
        }
    }
    model.cost(&x).unwrap()
}

/// Starts a thousandth of the usual size. Which minimum a run falls into is luck, so the means
/// over the first four seeds are compared.
#[test]
fn digits_from_next_to_a_saddle() {
    let data = digits(1000);
    let runs: Vec<[f64; 3]> = (0..4u64)
        .into_par_iter()
        .map(|seed| {
            let model = network(&data);
            let start = model.initial(seed, 1e-3);
            assert!(least_eigenvalue(&model, &start) < -0.01, "no saddle here");
            let run = SaddleFreeNewton::new()
                .max_iters(60)
                .minimize(&model, start.clone())
                .unwrap();
            assert_eq!(model.error_rate(&run.x, &data).unwrap(), 0.0, "{seed}");
            assert!(least_eigenvalue(&model, &run.x) >= 0.0, "{seed}");
            assert!(run.gradient_norm < 1e-2);
            let slow = [0.3, 0.1].map(|rate| descent(&model, rate, start.clone()));
            [run.f, slow[0], slow[1]]
        })
        .collect();
    let mean = |k: usize| runs.iter().map(|r| r[k]).sum::<f64>() / runs.len() as f64;
    println!("saddle-free {} descent {} {}", mean(0), mean(1), mean(2));
    assert!(mean(0) <= mean(1) && mean(0) <= mean(2), "{runs:?}");
}

#[test]
fn the_saddle_at_zero_is_left_by_every_solver_with_the_rule() {
    let data = digits(150);
    let model = || network(&data);
    let origin = model().origin();
    // As many digits of each kind: the gradient at the origin is rounding.
    let g = Gradient::gradient(&model(), &origin).unwrap();
    assert!(g.iter().all(|g| g.abs() < 1e-15) && g.iter().any(|g| *g != 0.0));
    let runs = [
        SaddleFreeNewton::new()
            .gradient_tol(1e-6)
            .max_iters(150)
            .minimize(&model(), origin.clone())
            .unwrap(),
        TrustRegionNewton::new()
            .second_order(true)
            .gradient_tol(1e-6)
            .max_iters(150)
            .minimize(&model(), origin.clone())
            .unwrap(),
        SaddleFreeNewton::matrix_free()
            .max_iters(150)
            .minimize(&model(), origin.clone())
            .unwrap()
            .with_source(),
    ];
    for run in runs {
        println!("{} {} {}", run.status, run.f, run.report.iterations);
        assert!(run.f < 0.1, "{}", run.f);
        assert!(model().error_rate(&run.x, &data).unwrap() == 0.0);
    }
}

#[test]
fn batches_leave_saddles_too() {
    let data = digits(600);
    let model = network(&data);
    let start = || model.initial(0, 1e-3);
    let first = model.cost(&start()).unwrap();
    let sampler = Sampler::EpochShuffle {
        b: 200,
        drop_last: false,
    };
    let run = StochasticSaddleFreeNewton::new()
        .sampler(sampler)
        .schedule(StepSchedule::Harmonic { s0: 1.0, t0: 10.0 })
        .max_epochs(15)
        .minimize(&model, start())
        .unwrap();
    println!("{} {first} -> {}", run.status, run.f);
    assert_eq!(run.status, Status::Stopped(Stopped::MaxEpochs));
    assert!(run.f < 0.3 && model.error_rate(&run.x, &data).unwrap() < 0.03);
    // Three batches an epoch, each with one Hessian and two gradients: at x and at the step taken.
    let report = &run.report;
    assert_eq!((report.iterations, report.batch_hessians), (45, 45));
    assert_eq!(report.batch_gradients, 90);
    assert_eq!(report.sample_gradients, 2 * 45 * 200);
    assert_eq!(report.batch_values, report.trials + 90);
    assert_eq!((report.hessians, report.gradients), (0, 16));
    let free = StochasticSaddleFreeNewton::matrix_free()
        .sampler(sampler)
        .schedule(StepSchedule::Harmonic { s0: 1.0, t0: 10.0 })
        .max_epochs(15)
        .minimize(&model, start())
        .unwrap();
    println!("{} {first} -> {}", free.status, free.f);
    assert!(free.f < 0.3, "{}", free.f);
    let report = &free.report;
    assert_eq!(
        (report.batch_hessians, report.hessian_products),
        (45, 45 * 30)
    );
    assert_eq!(
        report.sample_gradients,
        2 * 45 * 200 + 2 * 200 * report.hessian_products
    );
}

#[test]
fn a_whole_batch_is_the_deterministic_saddle_step() {
    let data = digits(120);
    let model = network(&data);
    let start = || model.initial(3, 1e-2);
    let whole = SaddleFreeNewton::new()
        .max_iters(4)
        .minimize(&model, start());
    let batch = StochasticSaddleFreeNewton::new()
        .sampler(Sampler::FullBatch)
        .max_iters(4)
        .minimize(&model, start());
    let (whole, batch) = (whole.unwrap(), batch.unwrap());
    assert_eq!(whole.last.x, batch.last.x);
    assert_eq!(whole.report.trials, batch.report.trials);
    assert!(whole.report.index > 0 && whole.report.index == batch.report.index);
}

#[test]
fn seeds_decide_about_the_batches_of_a_saddle_run() {
    let data = digits(200);
    let model = network(&data);
    let run = |seed| {
        StochasticSaddleFreeNewton::new()
            .sampler(Sampler::WithReplacement { b: 64 })
            .seed(seed)
            .averaging(Averaging::Tail { from: Some(2) })
            .max_iters(5)
            .minimize(&model, model.initial(1, 1e-2))
            .unwrap()
    };
    let (a, b, c) = (run(1), run(1), run(2));
    assert_eq!(a.last.x, b.last.x);
    assert_ne!(a.last.x, c.last.x);
    assert!(a.average.is_some());
}

#[test]
fn misuse_of_saddle_batches_is_an_error() {
    let data = digits(50);
    let model = network(&data);
    let armijo = StepSchedule::armijo();
    let error = StochasticSaddleFreeNewton::new()
        .schedule(armijo)
        .minimize(&model, model.origin());
    assert!(matches!(
        error,
        Err(Error::InvalidParameter {
            name: "schedule",
            ..
        })
    ));
    let error = StochasticSaddleFreeNewton::matrix_free()
        .krylov(0)
        .minimize(&model, model.origin());
    assert!(matches!(
        error,
        Err(Error::InvalidParameter { name: "krylov", .. })
    ));
    let error = StochasticSaddleFreeNewton::new().minimize(&model, vec![0.0; 3]);
    assert!(error.is_err());
}

#[test]
fn a_network_is_certified_past_its_saddles() {
    let data = digits(150);
    let model = Mlp::classifier(&data, &[3]).l2(1e-2);
    let run = SaddleFreeNewton::new()
        .gradient_tol(1e-10)
        .minimize(&model, model.initial(0, 1e-3))
        .unwrap();
    assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
    let certificate = run.certify(&model).unwrap();
    println!("{certificate}");
}
