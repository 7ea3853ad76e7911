//! Second-order optimization: Newton-type solvers that plug into argmin, on [faer].

#![deny(unsafe_code, missing_docs, rustdoc::broken_intra_doc_links)]

pub mod argmin;
pub mod check;
pub mod data;
pub mod difference;
pub mod edge;
pub mod error;
mod globalization;
#[cfg(feature = "libsvm")]
pub mod libsvm;
pub mod linear;
pub mod method;
pub mod models;
pub mod oracle;
mod parallel;
pub mod problem;
#[cfg(feature = "problems")]
pub mod problems;
pub mod record;
pub mod solver;
pub mod status;
mod step;
mod termination;
pub use argmin::Outcome;
pub use data::Dataset;
pub use edge::{RectMat, SymMat, VecLike};
pub use error::Error;
pub use linear::GramSolve;
pub use method::damped_newton::{DampedNewton, Indefinite, Schedule};
pub use models::LogisticRegression;
pub use problem::{Fused, HessianProduct};
pub use record::{IterationRecord, Report};
pub use solver::{Raphson, Run};
pub use status::{Converged, Failed, Status, Stopped};
