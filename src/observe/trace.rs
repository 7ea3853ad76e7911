//! The observer that writes one row per iteration to a file.

use super::{Field, Observed, ObservedState, from_state};
use crate::edge::VecLike;
use crate::error::Error;
use crate::record::IterationRecord;
use crate::status::Status;
use argmin::core::observers::Observe;
use argmin::core::{KV, State};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a [`Trace`] writes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceFormat {
    /// Comma-separated values below a header line. Unknown and non-finite numbers are empty cells.
    Csv,
    /// One JSON object per line. Unknown and non-finite numbers are `null`.
    JsonLines,
}

/// Writes one row per record, with the fields of [`IterationRecord`] in their order but for
/// those that stochastic methods alone have (loss, epochs, sample gradients, memory).
///
/// Reals have the fewest digits that read back as the same double. Rows are
/// buffered and complete in the file after [`finish`](Trace::finish), which
/// argmin's executor calls at the end of a run. A run that returns an error
/// ends without that call; the rows are then written when the last clone of
/// the trace is dropped.
///
/// The first error of the writer is kept and nothing is written after it; the
/// run goes on. It is returned by [`error`](Trace::error) and
/// [`finish`](Trace::finish).
///
/// argmin's executor takes its observers by value: give it a clone, which
/// writes to the same file, to look at the error afterwards. Several runs
/// observed by clones follow each other in the file; each starts at iteration 0.
///
/// ```
/// use raphson::observe::Trace;
///
/// # fn main() -> Result<(), raphson::Error> {
/// let path = std::env::temp_dir().join(format!("raphson-trace-{}.csv", std::process::id()));
/// let mut trace = Trace::csv(&path)?;
/// trace.record(&raphson::IterationRecord::default());
/// trace.finish(raphson::Status::Running)?;
/// let text = std::fs::read_to_string(&path).unwrap();
/// assert!(text.starts_with("iteration,f,gradient_norm,"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Trace {
    shared: Arc<Mutex<Sink>>,
}

/// The writer, until its first error.
struct Sink {
    format: TraceFormat,
    /// Named in errors.
    path: String,
    out: Result<BufWriter<Box<dyn Write + Send>>, (io::ErrorKind, String)>,
}

impl Trace {
    /// A CSV file, created or emptied now.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created.
    pub fn csv(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::create(TraceFormat::Csv, path.as_ref())
    }

    /// A file of JSON lines, created or emptied now.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be created.
    pub fn json(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::create(TraceFormat::JsonLines, path.as_ref())
    }

    /// Writes to `writer`, which needs no buffer of its own.
    pub fn to_writer(format: TraceFormat, writer: impl Write + Send + 'static) -> Self {
        Self::new(format, "trace".into(), Box::new(writer))
    }

    /// Writes a row.
    pub fn record(&mut self, record: &IterationRecord) {
        self.row(record.into());
    }

    /// Writes what is buffered. A trace has no place for the status.
    ///
    /// # Errors
    /// [`Error::Io`] with the first error of the writer, now or earlier.
    pub fn finish(&mut self, _status: Status) -> Result<(), Error> {
        self.flush()
    }

    /// The first error of the writer so far; rows after it are missing.
    pub fn error(&self) -> Option<Error> {
        self.lock().error()
    }

    fn create(format: TraceFormat, path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self::new(format, name, Box::new(file))),
            Err(source) => Err(Error::Io { path: name, source }),
        }
    }

    fn new(format: TraceFormat, path: String, writer: Box<dyn Write + Send>) -> Self {
        let mut sink = Sink {
            format,
            path,
            out: Ok(BufWriter::new(writer)),
        };
        if format == TraceFormat::Csv {
            sink.write(&header());
        }
        Trace {
            shared: Arc::new(Mutex::new(sink)),
        }
    }

    fn row(&mut self, row: Observed) {
        let mut sink = self.lock();
        let text = match sink.format {
            TraceFormat::Csv => csv_row(row),
            TraceFormat::JsonLines => json_row(row),
        };
        sink.write(&text);
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut sink = self.lock();
        sink.attempt(|out| out.flush());
        sink.error().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        // A panic elsewhere leaves at worst a cut row behind.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: VecLike, G: VecLike> Observe<ObservedState<P, G>> for Trace {
    fn observe_init(
        &mut self,
        _name: &str,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.row(from_state(state, kv, 0));
        Ok(())
    }

    fn observe_iter(
        &mut self,
        state: &ObservedState<P, G>,
        kv: &KV,
    ) -> Result<(), argmin::core::Error> {
        self.row(from_state(state, kv, state.get_iter().saturating_add(1)));
        Ok(())
    }

    fn observe_final(&mut self, _state: &ObservedState<P, G>) -> Result<(), argmin::core::Error> {
        if let Err(error) = self.flush() {
            // An error returned here would drop the result of the run.
            let _ = writeln!(io::stderr(), "raphson: the trace is incomplete: {error}");
        }
        Ok(())
    }
}

impl Sink {
    fn write(&mut self, text: &str) {
        self.attempt(|out| out.write_all(text.as_bytes()));
    }

    /// Does `job` unless an error came first, and keeps its error.
    fn attempt(&mut self, job: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let Ok(out) = &mut self.out else { return };
        if let Err(error) = job(out) {
            let failed = Err((error.kind(), error.to_string()));
            if let Ok(out) = std::mem::replace(&mut self.out, failed) {
                // Taken apart, the buffer is dropped without another attempt to write it.
                drop(out.into_parts());
            }
        }
    }

    fn error(&self) -> Option<Error> {
        let (kind, text) = self.out.as_ref().err()?;
        Some(Error::Io {
            path: self.path.clone(),
            source: io::Error::new(*kind, text.clone()),
        })
    }
}

/// A number in text, if there is one to show.
fn number(field: Option<Field<'_>>) -> Option<String> {
    match field? {
        Field::Count(n) => Some(n.to_string()),
        // Debug is the shortest text that reads back the same, with an exponent if large or small.
        Field::Real(x) => x.is_finite().then(|| format!("{x:?}")),
    }
}

fn header() -> String {
    let mut cells = Vec::new();
    Observed::from(&IterationRecord::default()).for_each(|name, _| cells.push(name));
    cells.join(",") + "\n"
}

fn csv_row(row: Observed) -> String {
    let mut cells = Vec::new();
    row.for_each(|_, field| cells.push(number(field).unwrap_or_default()));
    cells.join(",") + "\n"
}

fn json_row(row: Observed) -> String {
    let mut line = String::new();
    row.for_each(|name, field| {
        let start = if line.is_empty() { '{' } else { ',' };
        let value = number(field).unwrap_or_else(|| "null".into());
        // Writing to a String cannot fail.
        let _ = write!(line, "{start}\"{name}\":{value}");
    });
    line + "}\n"
}
