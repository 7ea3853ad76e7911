//! `results.md`: a table a problem, and a summary.

use crate::arguments::{Arguments, Problem};
use crate::results::{Row, replace};
use std::fmt::Write as _;
use std::path::Path;

/// Writes the file and returns its text.
pub fn write(
    folder: &Path,
    problems: &[Problem],
    rows: &[Vec<Row>],
    arguments: &Arguments,
) -> Result<String, String> {
    let text = text(problems, rows, arguments);
    replace(&folder.join("results.md"), text.as_bytes())?;
    Ok(text)
}

fn text(problems: &[Problem], rows: &[Vec<Row>], arguments: &Arguments) -> String {
    let mut out = format!(
        "Gradient norm reached: {:e} max(1, norm at zero). CPU seconds, {} thread{}, median of {}; \
         at most {} s and {} iterations a run.\n\n",
        arguments.tol,
        arguments.threads,
        if arguments.threads == 1 { "" } else { "s" },
        arguments.repeat,
        arguments.time_limit,
        arguments.max_iter,
    );
    summary(&mut out, problems, rows);
    for (problem, rows) in problems.iter().zip(rows) {
        let _ = write!(
            out,
            "## {}\n\n{} rows, {} features, {} nonzeros",
            problem.title(),
            problem.n,
            problem.d,
            problem.nnz
        );
        if let Some(target) = rows.iter().find_map(|row| row.target) {
            let _ = write!(out, "; gradient norm wanted {target:.2e}");
        }
        out += ".\n\n";
        table(&mut out, rows);
        let _ = write!(
            out,
            "\n![Convergence](convergence-{}.svg)\n\n",
            problem.slug()
        );
    }
    out
}

/// The ranked runs, fastest first.
pub fn ranked(rows: &[Row]) -> Vec<&Row> {
    let mut ranked: Vec<&Row> = rows
        .iter()
        .filter(|row| row.reached && row.seconds.is_some())
        .collect();
    ranked.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    ranked
}

fn cost(row: &Row) -> f64 {
    row.seconds.unwrap_or(f64::INFINITY)
}

/// The fastest solver of raphson and the fastest peer on each problem.
fn summary(out: &mut String, problems: &[Problem], rows: &[Vec<Row>]) {
    *out += "| problem | fastest of raphson | s | fastest peer | s | peer / raphson |\n|---|---|--:|---|--:|--:|\n";
    for (problem, rows) in problems.iter().zip(rows) {
        let ranked = ranked(rows);
        let first = |ours: bool| {
            ranked
                .iter()
                .copied()
                .find(|row| row.spec.solver.is_ours() == ours)
        };
        let (own, peer) = (first(true), first(false));
        let name =
            |row: Option<&Row>| row.map_or("none reached it".into(), |row| row.spec.solver.name());
        let time = |row: Option<&Row>| seconds(row.and_then(|row| row.seconds));
        let ratio = match (own, peer) {
            (Some(own), Some(peer)) => format!("{:.2}", cost(peer) / cost(own)),
            _ => "-".into(),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {ratio} |",
            problem.title(),
            name(own),
            time(own),
            name(peer),
            time(peer)
        );
    }
    out.push('\n');
}

fn table(out: &mut String, rows: &[Row]) {
    *out += "| solver | s | ratio | iterations | f | g | H | Hv | gradient norm | status |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";
    let ranked = ranked(rows);
    let best = ranked.first().map_or(f64::NAN, |row| cost(row));
    let others = rows
        .iter()
        .filter(|row| !ranked.iter().any(|r| std::ptr::eq(*r, *row)));
    for row in ranked.iter().copied().chain(others) {
        let ratio = if row.reached {
            format!("{:.2}", cost(row) / best)
        } else {
            "-".into()
        };
        let slope = row.grad_norm.map_or("-".into(), |g| format!("{g:.1e}"));
        let name = row.spec.solver.name();
        let status = row.status.replace('|', "/");
        if row.target.is_none() {
            let _ = writeln!(out, "| {name} | - | - | - | - | - | - | - | - | {status} |");
            continue;
        }
        let _ = writeln!(
            out,
            "| {name} | {} | {ratio} | {} | {} | {} | {} | {} | {slope} | {status} |",
            seconds(row.seconds),
            row.iterations,
            count(row.counts.values),
            count(row.counts.gradients),
            count(row.counts.hessians),
            row.counts.products,
        );
    }
}

/// Evaluations on all rows; parts come of samples.
fn count(count: f64) -> String {
    if count.fract() == 0.0 {
        format!("{count}")
    } else {
        format!("{count:.2}")
    }
}

/// Three digits.
pub fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".into(),
        Some(s) if s >= 100.0 => format!("{s:.0}"),
        Some(s) => {
            let decimals = (2 - s.max(1e-6).log10().floor() as i32).max(0) as usize;
            format!("{s:.decimals$}")
        }
    }
}
