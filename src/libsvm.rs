//! LIBSVM files: one row per line, `label index:value index:value ...`.
//!
//! ```text
//! line    = [label [qid] entry*] ["#" comment]
//! label   = finite decimal number, at the very start of the line
//! qid     = "qid:" integer below 2^64
//! entry   = index ":" finite decimal number
//! ```
//!
//! Rules of [`read`] and [`Reader`]:
//!
//! - Blanks and tabs separate; `\r\n` ends a line as `\n` does; the last line may lack its end.
//! - Blank lines and comments are skipped, but counted in line numbers.
//! - Indices count from 1 unless [`Reader::zero_based`] or [`Reader::index_base`] says
//!   otherwise, and are at most 2^32 - 1 (2^32 - 2 if they count from 0).
//! - A row may be out of order: it is sorted. An index twice in a row is an error.
//! - Explicit zeros are kept, and count towards the number of features.
//! - Values and labels are rounded to the nearest double. One that overflows is an error;
//!   one that underflows becomes subnormal or zero.
//! - A row without a label, or with several (`1,2`), is an error; so is a line that starts
//!   with a blank.
//! - All rows have a `qid` or none has.
//! - Gzip is recognized by its first two bytes, whatever the file is called; several
//!   members in one file are read one after the other.
//!
//! Neither reading nor writing depends on the locale. Files are streamed: beside the
//! [`Dataset`] only a block of about 1 MiB (or a longer line) and its rows are held. With the
//! feature `rayon` the parts of a block are scanned by several threads; neither the rows nor the
//! errors depend on the number of threads.

#[cfg(feature = "mmap")]
mod cache;
mod reader;
mod scan;
#[cfg(feature = "distributed")]
mod shards;
mod writer;

#[cfg(feature = "mmap")]
pub use cache::to_cache;
pub use reader::{IndexBase, Reader};
#[cfg(feature = "distributed")]
pub use shards::FileShard;
pub use writer::Writer;

use std::io;
use std::path::Path;

use crate::data::Dataset;

/// Reads a file, plain or gzip, whose indices count from 1.
///
/// Same as `Reader::new().read(path)`. The number of features is the largest index in
/// the file; use [`Reader::n_features`] if the last columns may be empty.
///
/// # Errors
/// The file cannot be read or is malformed; the [`Error`] names file and line.
///
/// ```no_run
/// let data = raphson::libsvm::read("a9a.gz")?;
/// println!("{} rows, {} features", data.n_rows(), data.n_features());
/// # Ok::<(), raphson::libsvm::Error>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Dataset, Error> {
    Reader::new().read(path)
}

/// Writes a file with indices from 1, as gzip if the name ends in `.gz`.
///
/// Same as `Writer::new().write(path, data)`, which see.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: impl AsRef<Path>, data: &Dataset) -> Result<(), Error> {
    Writer::new().write(path, data)
}

/// A file that cannot be read, understood or written: where, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {kind}", .line.map(|n| format!(":{n}")).unwrap_or_default())]
#[non_exhaustive]
pub struct Error {
    /// Path of the file, or the name given to [`Reader::parse`].
    pub file: String,
    /// Line, counted from 1 and over blank lines too, if the trouble is in one.
    pub line: Option<usize>,
    /// What is wrong.
    pub kind: ErrorKind,
    /// What the system said, for trouble with the file itself.
    #[source]
    pub source: Option<io::Error>,
}

/// What is wrong with a LIBSVM file. Texts are cut to 40 characters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system could not open, read or write the file.
    #[error("{0}; check the path and its permissions")]
    Io(io::ErrorKind),
    /// A gzip file ends too early; the line is the one being read then.
    #[error("the gzip stream breaks off while reading this line; get a complete copy of the file")]
    TruncatedGzip,
    /// A gzip file with a bad header, checksum or block, or with other bytes after its end.
    #[error("the gzip stream is corrupt; get a fresh copy of the file")]
    CorruptGzip,
    /// Not a single row.
    #[error("the file holds no rows; check that it is the right file")]
    Empty,
    /// The line starts with a blank or with an entry.
    #[error("missing label: a row starts with its label, without a blank before it")]
    MissingLabel,
    /// The label holds a comma.
    #[error(
        "label {text:?} holds a comma: multi-label rows are not supported \
         (split them into one file per label), and decimals need a point"
    )]
    MultiLabel {
        /// The label.
        text: String,
    },
    /// The label is not a finite number.
    #[error("label {text:?} is not a finite number: {}", advice(.text))]
    BadLabel {
        /// The label.
        text: String,
    },
    /// The query id is not an integer below 2^64.
    #[error("query id {text:?} is not an integer from 0 to 2^64 - 1; renumber the queries")]
    BadQid {
        /// What follows `qid:`.
        text: String,
    },
    /// A query id after an entry, or a second one.
    #[error("misplaced query id: write one `qid:` right after the label")]
    MisplacedQid,
    /// Some rows have a query id and some have not.
    #[error(
        "this row {} a query id, unlike the rows before it; give one to every row or to none",
        if *.present { "has" } else { "lacks" }
    )]
    MixedQid {
        /// Whether this row has one.
        present: bool,
    },
    /// An entry without a colon.
    #[error("{text:?} is not an entry: write index:value without blanks")]
    MissingColon {
        /// The entry.
        text: String,
    },
    /// The index is not a nonnegative integer.
    #[error("index {text:?} is not a nonnegative integer; write index:value")]
    BadIndex {
        /// The index.
        text: String,
    },
    /// Index 0 in a file whose indices count from 1.
    #[error(
        "index 0, but indices count from 1; if this file counts from 0, \
         read it with `Reader::new().zero_based(true)`"
    )]
    ZeroIndex,
    /// The index exceeds what can be stored.
    #[error("index {text} exceeds the limit {limit}; renumber the features")]
    IndexTooLarge {
        /// The index, which may exceed any integer type.
        text: String,
        /// The largest index allowed.
        limit: u64,
    },
    /// The index does not fit the number of features given to [`Reader::n_features`].
    #[error(
        "index {index} does not fit the {n_features} features given to the reader; \
         raise `n_features`, or check that indices count from {}",
        if *.zero_based { "0" } else { "1" }
    )]
    IndexAboveFeatures {
        /// The index as written in the file.
        index: u64,
        /// The number of features given.
        n_features: usize,
        /// Whether indices count from 0.
        zero_based: bool,
    },
    /// An index occurs twice in a row.
    #[error("index {index} occurs twice in this row; merge or remove one of the entries")]
    DuplicateIndex {
        /// The index as written in the file.
        index: u64,
    },
    /// The value is not a finite number.
    #[error("value {text:?} of index {index} is not a finite number: {}", advice(.text))]
    BadValue {
        /// The index as written in the file.
        index: u64,
        /// What follows the colon.
        text: String,
    },
    /// A gzip file that is to be cut into parts for several ranks.
    #[error("a gzip file cannot be cut into parts: decompress it, or give a list of part files")]
    GzipInParts,
    /// [`Reader::n_features`] was given more than columns can be numbered.
    #[error("n_features = {n_features}: must be at most 2^32 - 1")]
    TooManyFeatures {
        /// The number given.
        n_features: usize,
    },
}

impl Error {
    /// The feature index in question as written in the file, if there is one.
    pub fn index(&self) -> Option<u64> {
        match self.kind {
            ErrorKind::ZeroIndex => Some(0),
            ErrorKind::IndexAboveFeatures { index, .. }
            | ErrorKind::DuplicateIndex { index }
            | ErrorKind::BadValue { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Trouble with the file itself.
    fn io(file: &str, line: Option<usize>, kind: ErrorKind, source: io::Error) -> Self {
        Self {
            file: file.into(),
            line,
            kind,
            source: Some(source),
        }
    }

    /// Trouble with what the file says.
    fn content(file: &str, line: Option<usize>, kind: ErrorKind) -> Self {
        Self {
            file: file.into(),
            line,
            kind,
            source: None,
        }
    }
}

/// What to do about a text that is not a finite number.
fn advice(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if text.is_empty() {
        "nothing follows the colon; write index:value without blanks"
    } else if text.contains(',') {
        "write a decimal point, not a comma"
    } else if text.contains('_') {
        "remove the underscores"
    } else if lower.contains("nan") || lower.contains("inf") || lower == "na" {
        "drop the row, or replace the value"
    } else if lower.contains("0x") {
        "hexadecimal is not supported; write a decimal number"
    } else if text.parse::<f64>().is_ok_and(f64::is_infinite) {
        "it overflows a double; rescale the data to below 1.8e308"
    } else {
        "write a decimal number such as -1.5e-3"
    }
}
