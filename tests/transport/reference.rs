//! Optimal transport between images, known exactly and to 15 digits.
//!
//! Needs the folder named by `RAPHSON_DATA`, with `ot/`: images of whole numbers, one row per
//! line, exact optimal costs and entropic values of pairs of them.

use raphson::transport::{Cost, Metric};
use raphson::{SinkhornNewton, Transport};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("RAPHSON_DATA").map(|f| PathBuf::from(f).join("ot"));
    if folder.is_none() {
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: RAPHSON_DATA is not set");
    }
    folder
}

fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(','));
    let header: Vec<String> = lines.next().unwrap().map(String::from).collect();
    lines
        .map(|cells| {
            header
                .iter()
                .cloned()
                .zip(cells.map(String::from))
                .collect()
        })
        .collect()
}

/// The pixels of an image as masses of sum 1.
fn image(folder: &Path, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(folder.join(format!("{name}.csv"))).unwrap();
    let cells = text.lines().flat_map(|line| line.split(','));
    let pixels: Vec<f64> = cells.map(|cell| cell.trim().parse().unwrap()).collect();
    let sum: f64 = pixels.iter().sum();
    pixels.iter().map(|v| v / sum).collect()
}

fn problem(folder: &Path, row: &HashMap<String, String>, scale: f64) -> Transport {
    let side: usize = row["side"].parse().unwrap();
    let metric = match row["cost"].as_str() {
        "L1" => Metric::L1,
        "sqL2" => Metric::SquaredL2,
        other => panic!("{other}"),
    };
    let cost = Cost::grid(side, side, metric).unwrap().scaled(scale);
    let (a, b) = (image(folder, &row["source"]), image(folder, &row["target"]));
    Transport::new(cost, a, b).unwrap()
}

#[test]
fn exact_costs_lie_between_the_bounds() {
    let Some(folder) = folder() else { return };
    let rows = rows(&folder.join("ot-exact.csv"));
    assert!(rows.len() >= 10);
    for row in rows {
        let name = format!("{} {} {}", row["source"], row["target"], row["cost"]);
        let whole = |key: &str| row[key].parse::<f64>().unwrap();
        let exact = whole("optimal_cost_integer_numerator") / whole("denominator");
        let problem = problem(&folder, &row, 1.0);
        let least = SinkhornNewton::new(1e-6 * exact);
        let (plan, bounds) = least.solve_to_gap(&problem, 1e-9).unwrap();
        assert!(plan.converged(), "{name}: {}", plan.status());
        let slack = 1e-12 * exact;
        assert!(
            bounds.lower <= exact + slack,
            "{name}: {} {exact}",
            bounds.lower
        );
        assert!(
            exact <= bounds.upper + slack,
            "{name}: {exact} {}",
            bounds.upper
        );
        let gap = bounds.gap() / exact;
        println!("{name}: relative gap {gap:.1e}");
        assert!(gap <= 1e-9, "{name}: {gap}");
        assert!((bounds.upper / exact - 1.0).abs() <= 1e-12, "{name}");
    }
}

#[test]
fn entropic_values_agree_to_nine_digits() {
    let Some(folder) = folder() else { return };
    let rows = rows(&folder.join("ot-entropic.csv"));
    assert!(rows.len() >= 10);
    for row in rows {
        let number = |key: &str| row[key].parse::<f64>().unwrap();
        let eps = number("eps");
        let name = format!("{} {} {} {eps}", row["source"], row["target"], row["cost"]);
        let problem = problem(&folder, &row, 1.0 / number("cost_scale"));
        let plan = SinkhornNewton::new(eps)
            .marginal_tol(1e-11)
            .solve(&problem)
            .unwrap();
        assert!(plan.converged(), "{name}: {}", plan.status());
        assert!(
            plan.marginal_error() <= 1e-11,
            "{name}: {}",
            plan.marginal_error()
        );
        for (key, found) in [
            ("transport_cost", plan.transport_cost()),
            ("dual_value", plan.value_relative()),
            ("entropy_P", plan.entropy()),
        ] {
            let off = (found / number(key) - 1.0).abs();
            assert!(off <= 1e-9, "{name}: {key} {found}, {off:.1e}");
        }
    }
}
