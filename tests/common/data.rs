//! Logistic regressions on fixed data.
#![allow(dead_code)] // Each test file uses its part.

use super::problem::normal;
use faer::Mat;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::models::LogisticRegression;
use raphson::{Dataset, libsvm};

pub const FEATURES: usize = 31;

/// Breast-cancer data, standardized, a column of ones last.
pub fn breast_cancer_rows() -> (Vec<Vec<f64>>, Vec<f64>) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/breast-cancer.libsvm"
    );
    let data = libsvm::read(path).unwrap().standardized().0;
    let row = |i| {
        let mut row = vec![0.0; FEATURES];
        let (columns, values) = data.row(i);
        for (j, v) in columns.iter().zip(values) {
            row[*j as usize] = *v;
        }
        row[FEATURES - 1] = 1.0;
        row
    };
    (
        (0..data.n_rows()).map(row).collect(),
        data.labels().to_vec(),
    )
}

/// [`breast_cancer_rows`], the ones penalized as the rest.
pub fn breast_cancer(mu: f64) -> LogisticRegression {
    let (rows, labels) = breast_cancer_rows();
    LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap()).l2(mu)
}

/// `n` x `d` normal data whose columns fall in size from 1 to 10^−1.5, labels by a noisy plane.
pub fn synthetic(n: usize, d: usize, mu: f64, seed: u64) -> LogisticRegression {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let scale = |j: usize| 10f64.powf(-1.5 * j as f64 / (d - 1) as f64);
    let a = Mat::from_fn(n, d, |_, j| normal(&mut random) * scale(j));
    let plane: Vec<f64> = (0..d).map(|_| normal(&mut random)).collect();
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..d).map(|j| a[(i, j)]).collect())
        .collect();
    let labels: Vec<f64> = (rows.iter())
        .map(|row| row.iter().zip(&plane).map(|(a, w)| a * w).sum::<f64>())
        .map(|side| f64::from(side + 0.3 * normal(&mut random) > 0.0))
        .collect();
    LogisticRegression::new(&Dataset::from_rows(&rows, &labels).unwrap()).l2(mu)
}
