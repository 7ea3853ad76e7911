//! The observer that shows the run while it goes on.

use super::{Observed, ObservedState, from_state};
use crate::edge::VecLike;
use crate::record::IterationRecord;
use crate::status::Status;
use argmin::core::observers::Observe;
use argmin::core::{KV, State};
use indicatif::ProgressStyle;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shortest time between two plain lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows iteration, f and gradient norm on stderr.
///
/// On a terminal: a bar if the number of iterations is bounded by
/// [`max_iterations`](ProgressBar::max_iterations), else a spinner;
/// both vanish at the end. Elsewhere, as in a log file: plain lines without
/// control codes, at iteration 0 and then at most one per second. Either way
/// the last line tells how the run ended and where.
///
/// Errors of the terminal or the writer are ignored.
pub struct ProgressBar {
    /// On a terminal only; drawn from the first record on.
    bar: Option<indicatif::ProgressBar>,
    lines: Box<dyn Write + Send>,
    last: Option<Observed>,
    printed: Option<Instant>,
}

impl Default for ProgressBar {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressBar {
    /// Shows the run on stderr.
    pub fn new() -> Self {
        let mut progress = Self::to_writer(io::stderr());
        if io::stderr().is_terminal() {
            let spinner = indicatif::ProgressBar::no_length();
            progress.bar = Some(styled(spinner, "{spinner} {pos} {msg} [{elapsed}]"));
        }
        progress
    }

    /// Writes plain lines to `writer`, as to a stderr that is not a terminal.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        ProgressBar {
            bar: None,
            lines: Box::new(writer),
            last: None,
            printed: None,
        }
    }

    /// Draws a bar of `n` iterations instead of a spinner.
    #[must_use]
    pub fn max_iterations(mut self, n: u64) -> Self {
        if self.bar.is_some() {
            let template = "{bar:30} {pos}/{len} {msg} [{elapsed}]";
            self.bar = Some(styled(indicatif::ProgressBar::new(n), template));
        }
        self
    }

    /// Shows a record.
    pub fn record(&mut self, record: &IterationRecord) {
        self.show(record.into());
    }

    /// Shows how the run ended.
    pub fn finish(&mut self, status: Status) {
        self.end(&status.to_string());
    }

    fn show(&mut self, row: Observed) {
        self.last = Some(row);
        if let Some(bar) = &self.bar {
            if bar.is_finished() {
                bar.reset();
            }
            bar.set_message(numbers(&row));
            bar.set_position(row.record.iteration);
            return;
        }
        let due = self.printed.is_none_or(|at| at.elapsed() >= PAUSE);
        if due || row.record.iteration == 0 {
            self.print(&place(&row));
            self.printed = Some(Instant::now());
        }
    }

    fn end(&mut self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let line = match self.last.take() {
            Some(row) => format!("{}: {text}", place(&row)),
            None => text.to_string(),
        };
        self.print(&line);
        self.printed = None;
    }

    fn print(&mut self, line: &str) {
        let _ = writeln!(self.lines, "{line}");
        let _ = self.lines.flush();
    }
}

impl<P: VecLike, G: VecLike> Observe<ObservedState<P, G>> for ProgressBar {
    fn observe_init(
        &mut self,
        _name: &str,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.show(from_state(state, kv, 0));
        Ok(())
    }

    fn observe_iter(
        &mut self,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.show(from_state(state, kv, state.get_iter().saturating_add(1)));
        Ok(())
    }

    fn observe_final(&mut self, state: &ObservedState<P, G>) -> Result<(), argmin::core::Error> {
        self.end(&state.get_termination_status().to_string());
        Ok(())
    }
}

/// A template that indicatif does not accept leaves its own style.
fn styled(bar: indicatif::ProgressBar, template: &str) -> indicatif::ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn place(row: &Observed) -> String {
    format!("iteration {}  {}", row.record.iteration, numbers(row))
}

fn numbers(row: &Observed) -> String {
    let mut text = format!("f = {:.6e}", row.record.f);
    if row.knows("gradient_norm") {
        // Writing to a String cannot fail.
        let _ = write!(text, "  |g| = {:.2e}", row.record.gradient_norm);
    }
    text
}
