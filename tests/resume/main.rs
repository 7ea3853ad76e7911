//! A run resumed from a checkpoint ends bit for bit where the whole run ends.

#[path = "../common/checkpoint.rs"]
mod checkpoint;
#[path = "../common/transport.rs"]
mod common;
#[cfg(all(feature = "problems", feature = "libsvm"))]
#[path = "../common/data.rs"]
mod data;
#[path = "../common/family.rs"]
mod family;
#[cfg(feature = "problems")]
#[path = "../common/problem.rs"]
mod problem;

mod constrained;
mod every_solver;
mod least_squares;
mod newton;
mod transport;
