//! Ordinary least squares on real tables, to ten digits in one step.
//!
//! Needs the folder named by `RAPHSON_DATA`, with `reference-regression.csv` and `regression/*.csv.gz`.
#![cfg(feature = "libsvm")]

use faer::Mat;
use raphson::oracle::Residuals;
use raphson::problem::residuals_fn;
use raphson::{GaussNewton, LevenbergMarquardt, RectMat, Run};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

struct Table {
    name: String,
    /// Intercept and numeric predictors.
    a: Mat<f64>,
    b: Vec<f64>,
    rank: usize,
    rss: f64,
}

fn tables() -> Option<Vec<Table>> {
    let Some(folder) = std::env::var_os("RAPHSON_DATA").map(PathBuf::from) else {
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: RAPHSON_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(folder.join("reference-regression.csv")).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let (a, b) = read(&folder.join(cells[0]), cells[2]);
        assert_eq!(a.ncols(), 1 + cells[3].parse::<usize>().unwrap());
        Table {
            name: cells[0].to_string(),
            a,
            b,
            rank: cells[4].parse().unwrap(),
            rss: cells[5].parse().unwrap(),
        }
    });
    Some(rows.collect())
}

/// Numeric columns but the target and the other outcome of `energy_efficiency`, and the target.
fn read(path: &Path, target: &str) -> (Mat<f64>, Vec<f64>) {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let target = header.iter().position(|name| *name == target).unwrap();
    let is_predictor = |j: &usize| {
        *j != target && !header[*j].starts_with("Y2") && rows[0][*j].parse::<f64>().is_ok()
    };
    let columns: Vec<usize> = (0..header.len()).filter(is_predictor).collect();
    let value = |i: usize, j: usize| rows[i][j].parse::<f64>().unwrap();
    let a = Mat::from_fn(rows.len(), 1 + columns.len(), |i, j| {
        if j == 0 {
            1.0
        } else {
            value(i, columns[j - 1])
        }
    });
    (a, (0..rows.len()).map(|i| value(i, target)).collect())
}

fn one_step(a: &Mat<f64>, b: &[f64]) -> Run<Vec<f64>, Residuals> {
    let fit = residuals_fn(
        |x: &[f64]| {
            let mut r = vec![0.0; b.len()];
            a.rect().mul(x, &mut r);
            r.iter().zip(b).map(|(r, b)| r - b).collect()
        },
        |_: &[f64]| a.clone(),
    );
    let run = GaussNewton::new()
        .max_iters(1)
        .minimize(&fit, vec![0.0; a.ncols()])
        .unwrap();
    assert_eq!(run.report.residuals, 2);
    // The other method ends at the same sum, if not in one step.
    let other = LevenbergMarquardt::new()
        .minimize(&fit, vec![0.0; a.ncols()])
        .unwrap();
    assert!(other.converged(), "{}", other.status);
    assert!((other.f / run.f - 1.0).abs() <= 1e-10);
    run
}

#[test]
fn seven_tables_and_their_doubles() {
    let Some(tables) = tables() else { return };
    assert_eq!(tables.len(), 7);
    for Table {
        name,
        a,
        b,
        rank,
        rss,
    } in tables
    {
        let (m, n) = (a.nrows(), a.ncols());
        let run = one_step(&a, &b);
        let error = (2.0 * run.f / rss - 1.0).abs();
        assert!(error <= 1e-10, "{name}: {error:e}");
        let statistics = run.statistics.unwrap();
        assert_eq!(statistics.rank(), rank, "{name}");
        assert_eq!(statistics.degrees_of_freedom(), m - rank);
        let sigma = statistics.residual_deviation().unwrap();
        assert!((sigma / (rss / (m - rank) as f64).sqrt() - 1.0).abs() < 1e-10);
        if rank < n {
            // Surface = wall + 2 roof areas, columns 2, 3 and 4 of the table.
            // A null vector is exact to ε times the condition times the spread of the columns' norms.
            let x = &run.x;
            let along = x[2] - x[3] - 2.0 * x[4];
            let size = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!(along.abs() <= 1e-9 * size, "{name}: {x:?}");
            assert_eq!(statistics.estimable().iter().filter(|e| !**e).count(), 3);
            assert!(!statistics.estimable()[2] && statistics.estimable()[1]);
        }
        // Every column twice: the shortest answer gives each half of what one gets.
        let double = Mat::from_fn(m, 2 * n, |i, j| a[(i, j % n)]);
        let run = one_step(&double, &b);
        let error = (2.0 * run.f / rss - 1.0).abs();
        assert!(error <= 1e-10, "{name} doubled: {error:e}");
        let largest = run.x.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
        let off = (0..n).map(|j| (run.x[j] - run.x[n + j]).abs());
        let off = off.fold(0.0, f64::max) / largest;
        assert!(off <= 1e-9, "{name} doubled: {off:e}");
        let statistics = run.statistics.unwrap();
        assert_eq!(statistics.rank(), rank);
        assert!(statistics.estimable().iter().all(|e| !e), "{name}");
    }
}
