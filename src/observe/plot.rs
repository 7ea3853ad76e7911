//! The observer that draws how runs converge.

mod figure;

use super::{Observed, ObservedState, from_state};
use crate::edge::VecLike;
use crate::error::Error;
use crate::record::IterationRecord;
use crate::status::Status;
use argmin::core::observers::Observe;
use argmin::core::{KV, State};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the horizontal axes of a [`ConvergencePlot`] show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PlotAxis {
    /// Accepted steps.
    #[default]
    Iterations,
    /// Evaluations of the gradient.
    Gradients,
    /// Seconds since the start of the run.
    Seconds,
}

/// Draws one or several runs as an SVG file of two panels.
///
/// Left is f minus the least finite f of all series, or minus the
/// [optimum](ConvergencePlot::optimum); right is the gradient norm. Both
/// have a logarithmic axis, so what is zero, negative or not finite is left out
/// of the line; without an optimum that is the best point itself. Points whose
/// place on the horizontal axis is unknown are left out too. Names are cut
/// after 24 characters; the colors repeat after eight series.
///
/// The file is written by [`finish`](ConvergencePlot::finish), which argmin's
/// executor calls at the end of a run, with all series that the figure has by
/// then. It is replaced as a whole, so a reader never sees half of it. A run
/// that returns an error ends without that call.
///
/// # Comparing solvers
///
/// argmin's executor takes its observers by value, so each run gets an observer
/// of its own from [`series`](ConvergencePlot::series), as in
/// `.add_observer(plot.series("Newton"), ObserverMode::Always)`; all draw into
/// one figure. Records that are there already are added by
/// [`add_series`](ConvergencePlot::add_series).
///
/// ```
/// use raphson::IterationRecord;
/// use raphson::observe::ConvergencePlot;
///
/// # fn main() -> Result<(), raphson::Error> {
/// let path = std::env::temp_dir().join(format!("raphson-plot-{}.svg", std::process::id()));
/// let mut plot = ConvergencePlot::new(&path).title("Two runs");
/// for (name, rate) in [("fast", 1e-3), ("slow", 1e-1)] {
///     let mut run = plot.series(name);
///     let mut point = IterationRecord::default();
///     (point.f, point.gradient_norm) = (1.0, 1.0);
///     for iteration in 0..5 {
///         point.iteration = iteration;
///         run.record(&point);
///         point.f *= rate;
///         point.gradient_norm *= rate;
///     }
/// }
/// plot.finish(raphson::Status::Running)?;
/// assert!(std::fs::read_to_string(&path).unwrap().contains("slow"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok(())
/// # }
/// ```
pub struct ConvergencePlot {
    figure: Arc<Mutex<Figure>>,
    /// Name for the series of this observer; the solver's under argmin if there is none.
    name: Option<String>,
    /// Index of the series under way.
    current: Option<usize>,
}

struct Figure {
    path: PathBuf,
    title: Option<String>,
    axis: PlotAxis,
    optimum: Option<f64>,
    series: Vec<Series>,
}

struct Series {
    name: String,
    rows: Vec<Observed>,
}

impl ConvergencePlot {
    /// A figure that will be written to `path`, against iterations.
    pub fn new(path: impl AsRef<Path>) -> Self {
        ConvergencePlot {
            figure: Arc::new(Mutex::new(Figure {
                path: path.as_ref().to_path_buf(),
                title: None,
                axis: PlotAxis::default(),
                optimum: None,
                series: Vec::new(),
            })),
            name: None,
            current: None,
        }
    }

    /// A line of text above the panels.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        self.lock().title = Some(title.into());
        self
    }

    /// Draws f - `optimum` instead of f minus the least f seen.
    #[must_use]
    pub fn optimum(self, optimum: f64) -> Self {
        self.lock().optimum = Some(optimum);
        self
    }

    /// What the horizontal axes show.
    #[must_use]
    pub fn axis(self, axis: PlotAxis) -> Self {
        self.lock().axis = axis;
        self
    }

    /// An observer that adds to the same figure a series of this name.
    #[must_use]
    pub fn series(&self, name: impl Into<String>) -> Self {
        ConvergencePlot {
            figure: Arc::clone(&self.figure),
            name: Some(name.into()),
            current: None,
        }
    }

    /// Adds a whole series.
    pub fn add_series(&mut self, name: impl Into<String>, records: &[IterationRecord]) {
        self.lock().series.push(Series {
            name: name.into(),
            rows: records.iter().map(Observed::from).collect(),
        });
    }

    /// Adds a point to the series under way, or starts one.
    pub fn record(&mut self, record: &IterationRecord) {
        self.push(record.into());
    }

    /// Ends the series under way and writes the file. The status is not drawn.
    ///
    /// # Errors
    /// [`Error::Plot`] if there is no record or the path names no file,
    /// [`Error::InvalidParameter`] if the optimum is not finite, [`Error::Io`]
    /// if the file cannot be written.
    pub fn finish(&mut self, _status: Status) -> Result<(), Error> {
        self.current = None;
        self.lock().save()
    }

    fn start(&mut self, fallback: &str) -> usize {
        let name = self.name.as_deref().unwrap_or(fallback).to_string();
        let mut figure = self.lock();
        figure.series.push(Series {
            name,
            rows: Vec::new(),
        });
        figure.series.len() - 1
    }

    fn push(&mut self, row: Observed) {
        let index = match self.current {
            Some(index) => index,
            None => self.start("run"),
        };
        self.current = Some(index);
        // Series are only ever added, so the index stays valid.
        self.lock().series[index].rows.push(row);
    }

    fn lock(&self) -> MutexGuard<'_, Figure> {
        // A panic elsewhere leaves at worst a point out.
        self.figure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: VecLike, G: VecLike> Observe<ObservedState<P, G>> for ConvergencePlot {
    fn observe_init(
        &mut self,
        name: &str,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.current = Some(self.start(name));
        self.push(from_state(state, kv, 0));
        Ok(())
    }

    fn observe_iter(
        &mut self,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.push(from_state(state, kv, state.get_iter().saturating_add(1)));
        Ok(())
    }

    fn observe_final(&mut self, _state: &ObservedState<P, G>) -> Result<(), argmin::core::Error> {
        if let Err(error) = self.finish(Status::Running) {
            // An error returned here would drop the result of the run.
            let _ = writeln!(io::stderr(), "raphson: no plot was written: {error}");
        }
        Ok(())
    }
}

impl Figure {
    fn save(&self) -> Result<(), Error> {
        if let Some(optimum) = self.optimum
            && !optimum.is_finite()
        {
            return Err(Error::parameter("optimum", optimum, "finite"));
        }
        let shown = self.path.display();
        if self.series.iter().all(|series| series.rows.is_empty()) {
            return Err(Error::Plot(format!(
                "{shown}: there is no record to draw; call `record` or `add_series` before `finish`"
            )));
        }
        let Some(file) = self.path.file_name() else {
            return Err(Error::Plot(format!(
                "{shown}: not a file name; give one that ends in .svg"
            )));
        };
        let svg = figure::svg(self)?;
        let mut temporary = OsString::from(file);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = self.path.with_file_name(temporary);
        std::fs::write(&temporary, svg)
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .map_err(|source| {
                // It may not exist; the first error is the one to report.
                let _ = std::fs::remove_file(&temporary);
                Error::Io {
                    path: shown.to_string(),
                    source,
                }
            })
    }
}
