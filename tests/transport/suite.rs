//! Counts on six kinds of problems with three ε each, beside those of a plain implementation.
//!
//! That one is sweeps and sparsified Newton steps on both potentials with a ladder by halves, in double precision:
//! a sweep is two passes with exp, a trial one. Ours must take no more passes, and at most half more Newton
//! steps.

use crate::common::{assignment, cloud, pixels, uniform};
use raphson::transport::{Cost, Metric};
use raphson::{SinkhornNewton, Transport};

/// An exponential density against a mixture of two normal ones, on a grid.
fn mixture(n: usize, m: usize) -> Transport {
    let grid = |k: usize| -> Vec<f64> { (0..k).map(|i| 5.0 * i as f64 / (k - 1) as f64).collect() };
    let normal =
        |x: f64, mean: f64, width: f64| (-0.5 * ((x - mean) / width).powi(2)).exp() / width;
    let unit = |v: Vec<f64>| -> Vec<f64> {
        let sum: f64 = v.iter().sum();
        v.iter().map(|v| v / sum).collect()
    };
    let (x, y) = (grid(n), grid(m));
    let a = unit(x.iter().map(|x| (-x).exp()).collect());
    let b = y
        .iter()
        .map(|&y| 0.2 * normal(y, 1.0, 0.2) + 0.8 * normal(y, 3.0, 0.5));
    let b = unit(b.collect());
    let cost = Cost::points(&x, &y, 1, Metric::SquaredL2).unwrap();
    Transport::new(cost.scaled(0.04), a, b).unwrap()
}

/// A cloud against itself.
fn twins(n: usize) -> Transport {
    let x = crate::common::Random(11).vector(2 * n);
    let scale = 1.0 / crate::common::largest(&x, &x, Metric::SquaredL2);
    let cost = Cost::points(&x, &x, 2, Metric::SquaredL2).unwrap();
    Transport::new(cost.scaled(scale), uniform(n), uniform(n)).unwrap()
}

/// Newton steps, sweeps and trials of the plain implementation at ε = 10⁻², 1/1200 and 10⁻⁴.
type Plain = [(u64, u64, u64); 3];

fn compare(name: &str, problem: &Transport, plain: Plain) {
    for (eps, (newton, sweeps, trials)) in [1e-2, 1.0 / 1200.0, 1e-4].into_iter().zip(plain) {
        let solver = SinkhornNewton::new(eps).marginal_tol(1e-11);
        let plan = solver.solve(problem).unwrap();
        let report = plan.report();
        let what = format!(
            "{name}, eps {eps:.1e}: {} Newton steps, {} passes, {} sweeps",
            report.hessians, report.passes, report.sweeps
        );
        let floor = 16.0 * f64::EPSILON * (1.0 + 1.0 / eps);
        assert!(plan.converged(), "{what}: {}", plan.status());
        assert!(plan.marginal_error() <= floor.max(1e-11) + floor, "{what}");
        assert!(2 * report.hessians <= 3 * newton, "{what}");
        assert!(report.passes <= 2 * sweeps + trials, "{what}");
    }
}

#[test]
fn random_costs() {
    let plain = [(2, 20, 2), (5, 35, 5), (12, 50, 12)];
    compare("random", &assignment(500, 3), plain);
}

#[test]
fn clouds() {
    let plain = [(3, 20, 3), (4, 35, 4), (10, 50, 10)];
    compare("cloud", &cloud(500, 500, Metric::SquaredL2, 3), plain);
}

#[test]
fn images_under_both_costs() {
    let plain = [(3, 20, 3), (6, 35, 6), (16, 60, 26)];
    compare("squared L2", &pixels(28, Metric::SquaredL2), plain);
    let plain = [(6, 20, 6), (18, 45, 29), (29, 95, 72)];
    compare("L1", &pixels(28, Metric::L1), plain);
}

#[test]
fn mixtures_on_a_line() {
    let plain = [(5, 20, 5), (6, 35, 6), (8, 50, 8)];
    compare("mixture", &mixture(500, 400), plain);
}

#[test]
fn identical_clouds() {
    let plain = [(3, 20, 3), (6, 35, 6), (9, 50, 9)];
    compare("twins", &twins(300), plain);
}
