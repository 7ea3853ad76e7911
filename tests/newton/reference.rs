//! Optima of real data sets, known to 15 digits and more.
//!
//! Needs the folder named by `RAPHSON_DATA`, with `reference-optima.csv`, `libsvm/*.gz`,
//! `reference-optima-multinomial.csv` and `multiclass/*.gz`.
#![cfg(feature = "libsvm")]

use raphson::{
    DampedNewton, LazyCubicNewton, LazyRegularizedNewton, LogisticRegression, Refresh, Run,
    Softmax, libsvm,
};
use std::io::Write;
use std::path::PathBuf;

struct Row {
    set: String,
    mu: f64,
    f_star: f64,
}

/// The rows of the binary sets whose name `wanted` accepts, or none aloud.
fn rows(wanted: impl Fn(&str) -> bool) -> Option<(PathBuf, Vec<Row>)> {
    rows_of("reference-optima.csv", wanted)
}

fn rows_of(file: &str, wanted: impl Fn(&str) -> bool) -> Option<(PathBuf, Vec<Row>)> {
    let Some(folder) = std::env::var_os("RAPHSON_DATA").map(PathBuf::from) else {
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: RAPHSON_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name| header.iter().position(|h| *h == name).unwrap();
    let (set, mu, f_star) = (column("set"), column("mu_double"), column("f_star"));
    let rows: Vec<Row> = lines
        .filter(|cells| wanted(cells[set]))
        .map(|cells| Row {
            set: cells[set].to_string(),
            mu: cells[mu].parse().unwrap(),
            f_star: cells[f_star].parse().unwrap(),
        })
        .collect();
    Some((folder, rows))
}

fn reach(wanted: impl Fn(&str) -> bool, expected_rows: usize) {
    let Some((folder, rows)) = rows(wanted) else {
        return;
    };
    assert_eq!(rows.len(), expected_rows);
    for row in rows {
        let data = libsvm::read(folder.join(format!("libsvm/{}.gz", row.set))).unwrap();
        let model = LogisticRegression::new(&data).l2(row.mu);
        let run = DampedNewton::new()
            .gradient_tol(0.0)
            .gap_tol(1e-12, row.mu)
            .minimize(&model, model.origin())
            .unwrap();
        let error = (run.f - row.f_star).abs() / row.f_star;
        assert!(run.converged(), "{} {}: {}", row.set, row.mu, run.status);
        assert!(error <= 1e-12, "{} {}: {error:e}", row.set, row.mu);
        let bound = run.gradient_norm.powi(2) / (2.0 * row.mu);
        assert!(bound <= 1e-12 * run.f, "{} {}", row.set, row.mu);
        assert!(run.report.iterations <= 30 && run.report.gradients <= 60);
    }
}

#[test]
fn fifteen_small_and_medium_sets() {
    reach(
        |set| !["reuters", "news20.split10", "leukemia38"].contains(&set),
        45,
    );
}

#[test]
fn more_features_than_rows_by_the_dual() {
    reach(|set| set == "leukemia38", 3);
}

#[test]
fn large_sparse_text_by_conjugate_gradients() {
    reach(|set| ["reuters", "news20.split10"].contains(&set), 6);
}

fn reach_multinomial(wanted: impl Fn(&str) -> bool, expected_rows: usize) {
    let Some((folder, rows)) = rows_of("reference-optima-multinomial.csv", wanted) else {
        return;
    };
    assert_eq!(rows.len(), expected_rows);
    for row in rows {
        let data = libsvm::read(folder.join(format!("multiclass/{}.gz", row.set))).unwrap();
        let model = Softmax::new(&data).l2(row.mu);
        let run = DampedNewton::new()
            .gradient_tol(0.0)
            .gap_tol(1e-12, row.mu)
            .minimize(&model, model.origin())
            .unwrap();
        let error = (run.f - row.f_star).abs() / row.f_star;
        assert!(run.converged(), "{} {}: {}", row.set, row.mu, run.status);
        assert!(error <= 1e-12, "{} {}: {error:e}", row.set, row.mu);
        assert!(run.report.iterations <= 50 && run.report.gradients <= 100);
    }
}

#[test]
fn three_small_sets_of_several_classes() {
    reach_multinomial(|set| set != "usps.zip", 9);
}

#[test]
fn digits_of_usps() {
    reach_multinomial(|set| set == "usps.zip", 3);
}

#[test]
fn lazy_hessians_on_real_data() {
    let sets = ["a9a", "w8a", "phishing", "splice"];
    let Some((folder, _)) = rows(|set| sets.contains(&set)) else {
        return;
    };
    for set in sets {
        let data = libsvm::read(folder.join(format!("libsvm/{set}.gz"))).unwrap();
        let model = LogisticRegression::new(&data).l2(1.0 / data.n_rows() as f64);
        let exact = DampedNewton::new().gradient_tol(1e-9);
        let exact = exact.minimize(&model, model.origin()).unwrap();
        let agrees = |run: &Run<Vec<f64>>, how: &str| {
            assert!(run.converged(), "{set} {how}: {}", run.status);
            let error = (run.f - exact.f).abs() / exact.f;
            assert!(error <= 1e-12, "{set} {how}: {error:e}");
            assert_eq!(run.report.hessians, run.counts["hessian_count"]);
            assert_eq!(
                run.report.gradients,
                run.report.iterations + 1 + run.report.rejected * u64::from(how == "regularized")
            );
        };
        for refresh in [
            Refresh::Every(3),
            Refresh::Every(10),
            Refresh::Auto,
            Refresh::Contraction(0.3),
            Refresh::Payoff(4.0),
        ] {
            let cubic = LazyCubicNewton::new().refresh(refresh).gradient_tol(1e-9);
            let cubic = cubic.minimize(&model, model.origin()).unwrap();
            agrees(&cubic, "cubic");
            assert!(cubic.report.hessians < exact.report.hessians);
            if refresh == Refresh::Every(10) {
                assert!(2 * cubic.report.hessians <= exact.report.hessians, "{set}");
            }
            let regularized = LazyRegularizedNewton::new().refresh(refresh);
            let regularized = regularized.gradient_tol(1e-9);
            let regularized = regularized.minimize(&model, model.origin()).unwrap();
            agrees(&regularized, "regularized");
        }
    }
}
