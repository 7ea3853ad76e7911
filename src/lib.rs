//! Second-order optimization: Newton-type solvers that plug into argmin, on [faer].

#![deny(unsafe_code, missing_docs, rustdoc::broken_intra_doc_links)]

pub mod data;
pub mod edge;
pub mod error;
#[cfg(feature = "libsvm")]
pub mod libsvm;
pub mod linear;
pub mod models;
mod parallel;
pub mod record;
pub mod status;
pub use data::Dataset;
pub use edge::{RectMat, SymMat, VecLike};
pub use error::Error;
pub use linear::GramSolve;
pub use record::{IterationRecord, Report};
pub use status::{Converged, Failed, Status, Stopped};
