//! Convergence plots and performance profiles.

use crate::arguments::Problem;
use crate::figure::{Panel, Pen, Scale, legend, svg};
use crate::results::{Row, replace};
use crate::tables::ranked;
use crate::watch::Point;
use std::path::Path;

/// A name and what is shown.
type Axis = (&'static str, fn(&Point) -> f64);

/// Width of the legend.
const LEGEND: u32 = 230;

pub fn draw(folder: &Path, problems: &[Problem], rows: &[Vec<Row>]) -> Result<(), String> {
    for (problem, rows) in problems.iter().zip(rows) {
        convergence(folder, problem, rows)?;
    }
    let seconds = |row: &Row| row.seconds;
    profile(folder, "profile-seconds.svg", "CPU seconds", rows, seconds)?;
    let calls = |row: &Row| Some(row.calls());
    profile(
        folder,
        "profile-calls.svg",
        "oracle calls (f, g, H and Hv)",
        rows,
        calls,
    )
}

fn pen(row: &Row) -> Pen {
    let solver = row.spec.solver;
    Pen {
        name: solver.name() + if row.reached { "" } else { " (not reached)" },
        place: solver.place(),
        dashed: !solver.is_ours(),
    }
}

fn trace(folder: &Path, row: &Row) -> Result<Vec<Point>, String> {
    if row.trace.is_empty() {
        return Ok(Vec::new());
    }
    let path = folder.join("traces").join(&row.trace);
    let trouble =
        |e: csv::Error| format!("{}: {e}; remove its row from results.csv", path.display());
    let mut reader = csv::Reader::from_path(&path).map_err(trouble)?;
    reader
        .deserialize()
        .map(|point| point.map_err(trouble))
        .collect()
}

fn convergence(folder: &Path, problem: &Problem, rows: &[Row]) -> Result<(), String> {
    // The fastest first, as in the table.
    let mut order = ranked(rows);
    order.extend(rows.iter().filter(|row| !row.reached));
    let mut lines = Vec::new();
    for row in order {
        let points = trace(folder, row)?;
        if !points.is_empty() {
            lines.push((row, points));
        }
    }
    let known = lines.iter().flat_map(|(row, points)| {
        points
            .iter()
            .map(|p| p.f)
            .chain(row.f.filter(|_| row.reached))
    });
    let least = known
        .filter(|f| f.is_finite())
        .fold(f64::INFINITY, f64::min);
    let level = rows.iter().find_map(|row| row.target);
    let axes: [Axis; 3] = [
        ("iterations", |p| p.iteration as f64),
        ("oracle calls", |p| p.calls),
        ("CPU seconds", |p| p.seconds),
    ];
    let panels = |label, level, y: &dyn Fn(&Point) -> f64| {
        axes.map(|(name, x)| Panel {
            x: (name, Scale::Decimal),
            y: (label, Scale::Decimal),
            lines: lines
                .iter()
                .map(|(row, points)| {
                    let seen = |p: &(f64, f64)| p.0 > 0.0 && p.1 > 0.0 && p.1.is_finite();
                    let points = points.iter().map(|p| (x(p), y(p))).filter(seen);
                    (pen(row), points.collect())
                })
                .collect(),
            level,
        })
    };
    let pens: Vec<Pen> = lines.iter().map(|(row, _)| pen(row)).collect();
    let size = (1560, 874);
    let text = svg(size, &problem.title(), |body| {
        let (left, right) = body.split_horizontally(size.0 - LEGEND);
        let cells = left.split_evenly((2, 3));
        let slopes = panels("gradient norm", level, &|p| p.grad_norm);
        let gaps = panels("f − least f", None, &|p| p.f - least);
        for (panel, cell) in slopes.iter().chain(&gaps).zip(&cells) {
            panel.draw(cell)?;
        }
        legend(&right, &pens)
    })?;
    let name = format!("convergence-{}.svg", problem.slug());
    replace(&folder.join(name), text.as_bytes())
}

/// For each solver the share of problems on which it needs at most τ times the least of all.
///
/// A problem that a solver did not solve, or was too large for it, counts as unsolved. Problems
/// that nobody solved are left out.
fn profile(
    folder: &Path,
    name: &str,
    what: &str,
    rows: &[Vec<Row>],
    cost: impl Fn(&Row) -> Option<f64>,
) -> Result<(), String> {
    let mut ratios: Vec<(Pen, Vec<f64>)> = Vec::new();
    let mut solved = 0;
    for rows in rows {
        let costs: Vec<Option<f64>> = rows
            .iter()
            .map(|row| cost(row).filter(|c| row.reached && *c > 0.0))
            .collect();
        let best = costs
            .iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        solved += usize::from(best.is_finite());
        for (row, cost) in rows.iter().zip(costs) {
            let mut pen = pen(row);
            pen.name = row.spec.solver.name();
            let at = match ratios.iter().position(|(p, _)| p.place == pen.place) {
                Some(at) => at,
                None => {
                    ratios.push((pen, Vec::new()));
                    ratios.len() - 1
                }
            };
            ratios[at].1.extend(cost.map(|cost| cost / best));
        }
    }
    if solved == 0 {
        return Ok(());
    }
    let end = 1.1
        * ratios
            .iter()
            .flat_map(|(_, r)| r)
            .copied()
            .fold(2.0, f64::max);
    // The more problems within a factor of two, and then at all, the higher in the legend.
    let within = |r: &[f64]| (r.iter().filter(|r| **r <= 2.0).count(), r.len());
    ratios.sort_by_key(|(_, ratios)| std::cmp::Reverse(within(ratios)));
    let lines: Vec<(Pen, Vec<(f64, f64)>)> = ratios
        .into_iter()
        .map(|(pen, mut ratios)| {
            ratios.sort_by(f64::total_cmp);
            let mut steps = Vec::new();
            for (k, ratio) in ratios.iter().enumerate() {
                let share = |k: usize| k as f64 / solved as f64;
                steps.extend([(*ratio, share(k)), (*ratio, share(k + 1))]);
            }
            if let Some(&(_, last)) = steps.last() {
                steps.push((end, last));
            }
            (pen, steps)
        })
        .collect();
    let pens: Vec<Pen> = lines.iter().map(|(pen, _)| pen.clone()).collect();
    let panel = Panel {
        x: ("ratio to the best", Scale::Binary),
        y: ("share of problems", Scale::Share),
        lines,
        level: None,
    };
    let title = format!(
        "Performance profile: {what}, {solved} problem{}",
        if solved == 1 { "" } else { "s" }
    );
    let size = (1000, 600);
    let text = svg(size, &title, |body| {
        let (left, right) = body.split_horizontally(size.0 - LEGEND);
        panel.draw(&left)?;
        legend(&right, &pens)
    })?;
    replace(&folder.join(name), text.as_bytes())
}
