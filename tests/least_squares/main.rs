//! Nonlinear least squares.

mod mgh;
mod nist;
mod regression;
mod solvers;
