//! Rows on disk, and models that read them block by block.
//!
//! A cache is a file of rows in a compact binary form, written once: by
//! [`libsvm::to_cache`](crate::libsvm::to_cache) from text, or by a [`CacheWriter`] row by row.
//! [`StreamedRows`] opens it, and a [`StreamedModel`] evaluates a loss over it in passes: blocks of
//! some thousand rows are mapped into memory, evaluated, and unmapped. Memory is that of the
//! result, d numbers or d², and of the blocks in work, whatever n is.
//!
//! The results do not depend on the number of threads: a pass evaluates blocks side by side, and
//! adds up in their order.
//!
//! # Format, version 1
//! Little-endian words of 8 bytes.
//!
//! ```text
//! header   RAPHROWS, version, rows, features, stored entries, nonzero entries, blocks,
//!          offset of the index, classes (2⁶⁴ − 1: not counted), checksum of the header
//! blocks   labels, then for a dense block its rows, each `width` values;
//!          else values (left out if all are 1), row starts and columns of 4 bytes each, zeros to
//!          the next word
//! index    of each block: offset, rows, entries, kind (0 dense, 1 sparse, 2 sparse ones), width,
//!          checksum; the classes; checksum of the index
//! ```
//!
//! A block is dense where more than two thirds of it are stored. It holds at most 8192 rows, and
//! ends after the row that brings it to 4 MiB. The header is written last, so an unfinished file
//! is none. The checksum of a block, and that its columns and row starts are in range, is checked
//! when it is first read.
//!
//! # Example
//! ```
//! use raphson::stream::{CacheWriter, StreamedModel, StreamedRows};
//! use raphson::{DampedNewton, Dataset, LogisticRegression};
//! let rows = [[0.0], [1.0], [2.0], [3.0], [4.0]].map(|r| r.to_vec());
//! let labels = [0.0, 1.0, 0.0, 1.0, 1.0];
//! let path = std::env::temp_dir().join(format!("raphson-rows-{}", std::process::id()));
//! let mut cache = CacheWriter::create(&path)?;
//! for (row, label) in rows.iter().zip(labels) {
//!     cache.push_dense(label, row)?;
//! }
//! cache.finish()?;
//!
//! let model = StreamedModel::logistic(StreamedRows::open(&path)?).l2(1.0);
//! let run = DampedNewton::fused().minimize(&model, model.origin())?.must_converge()?;
//! # std::fs::remove_file(&path).unwrap();
//! let whole = LogisticRegression::new(&Dataset::from_rows(&rows, &labels)?).l2(1.0);
//! let expected = DampedNewton::new().minimize(&whole, whole.origin())?;
//! assert!((run.f - expected.f).abs() < 1e-15);
//! # Ok::<(), raphson::Error>(())
//! ```

mod format;
mod map;
mod model;
mod oracles;
mod rows;
mod writer;

pub use model::{Hessian, StreamedHessian, StreamedLogistic, StreamedModel};
pub use rows::StreamedRows;
pub use writer::CacheWriter;

/// A cache that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind}")]
#[non_exhaustive]
pub struct Error {
    /// Path of the file.
    pub path: String,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not a cache, or one whose writing was not finished.
    #[error("not a finished row cache; write it with `libsvm::to_cache` or `CacheWriter`")]
    NotACache,
    /// Written by another version.
    #[error("a row cache of version {found}, this program reads version 1; write it anew")]
    Version {
        /// The version of the file.
        found: u64,
    },
    /// The file is not as long as its header says.
    #[error("{found} bytes where {expected} were written; get a complete copy or write it anew")]
    Truncated {
        /// Bytes according to the header.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// The contents are not what was written.
    #[error("the {part} is damaged; get a fresh copy or write it anew")]
    Corrupt {
        /// Header, index, or which block.
        part: String,
    },
    /// The machine stores the bytes of a number in the other order.
    #[error("row caches are read on little-endian machines only")]
    ByteOrder,
}
