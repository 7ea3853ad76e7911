//! Entropic optimal transport: the problem, its plan, and certificates for the exact problem.
//!
//! # Problem
//! Masses a ∈ ℝⁿ and b ∈ ℝᵐ, nonnegative and of the same sum s, costs C ∈ ℝⁿˣᵐ, ε > 0:
//!
//! ```text
//! minimize ⟨C, P⟩ + ε Σ P_ij (log P_ij − 1)   over P ≥ 0 with P1 = a, Pᵀ1 = b
//! maximize aᵀf + bᵀg − ε Σ exp((f_i + g_j − C_ij)/ε)   over f ∈ ℝⁿ, g ∈ ℝᵐ
//! ```
//!
//! The plan is P_ij = exp((f_i + g_j − C_ij)/ε). As ε → 0 it tends to a solution of the linear
//! program min ⟨C, P⟩, whose value [`Plan::certificate`] encloses, and which
//! [`SinkhornNewton::solve_to_gap`](crate::SinkhornNewton::solve_to_gap) solves.
//!
//! # Parts
//! [`Transport`] is the problem, [`Cost`] the costs, [`SinkhornNewton`](crate::SinkhornNewton) and
//! [`Sinkhorn`](crate::Sinkhorn) the solvers, [`Plan`] what they return.

mod auto;
pub(crate) mod bands;
pub(crate) mod certificate;
mod cost;
mod divergence;
mod forest;
pub(crate) mod kept;
pub(crate) mod ladder;
pub(crate) mod linear;
pub(crate) mod newton;
pub(crate) mod opening;
mod plan;
pub(crate) mod potentials;
pub(crate) mod problem;
pub(crate) mod semidual;
mod simplex;
mod sparsification;
pub(crate) mod stabilized;
mod tree;

pub use auto::Auto;
pub use certificate::Certificate;
pub use cost::{Cost, IntoCost, Metric};
pub use divergence::{Divergence, sinkhorn_divergence};
pub use plan::Plan;
pub use problem::Transport;
#[doc(hidden)]
pub use sparsification::Sparsification;
