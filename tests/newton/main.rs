//! The solvers with exact Hessians: damping, regularization, trust regions, saddles.

#[cfg(all(feature = "problems", feature = "libsvm"))]
#[path = "../common/data.rs"]
mod data;
#[path = "../common/family.rs"]
mod family;
#[cfg(feature = "problems")]
#[path = "../common/problem.rs"]
mod problem;

mod accelerated;
mod cases_newton;
mod certify;
mod damped_newton;
mod every_solver;
mod lazy;
mod mgh;
mod peers;
mod reference;
mod regularized;
mod saddle_free;
mod saddle_networks;
mod subproblem;
mod trust_region;
