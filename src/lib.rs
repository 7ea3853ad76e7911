//! Second-order optimization: Newton-type solvers that plug into argmin, on [faer].
//!
//! raphson minimizes smooth functions of many variables with the help of second
//! derivatives. Each solver is an argmin solver, so observers, checkpoints, time
//! limits, target cost and Ctrl-C work as always, and each runs by itself
//! through [`minimize`](Raphson::minimize).
//!
//! ```
//! use raphson::{DampedNewton, problem};
//!
//! // f(x, y) = exp(x + y) + x² + 2y² - y
//! let f = |x: &[f64]| (x[0] + x[1]).exp() + x[0] * x[0] + 2.0 * x[1] * x[1] - x[1];
//! let g = |x: &[f64]| {
//!     let e = (x[0] + x[1]).exp();
//!     vec![e + 2.0 * x[0], e + 4.0 * x[1] - 1.0]
//! };
//! let h = |x: &[f64]| {
//!     let e = (x[0] + x[1]).exp();
//!     vec![vec![e + 2.0, e], vec![e, e + 4.0]]
//! };
//! let run = DampedNewton::new().minimize(&problem::from_fn(f, g, h), vec![5.0, 5.0])?;
//! assert!(run.converged());
//! assert!(run.gradient_norm <= 1e-8 * 5e4);
//! # Ok::<(), raphson::Error>(())
//! ```
//!
//! Under argmin one line changes:
//! `Executor::new(problem, DampedNewton::new()).configure(|s| s.param(x0)).run()?`, and
//! [`Outcome::status`] says how it ended.
//!
//! # What a problem implements
//!
//! | traits | constructor |
//! |---|---|
//! | argmin's `CostFunction`, `Gradient`, `Hessian` | [`DampedNewton::new`](Raphson::new) |
//! | `CostFunction`, `Gradient`, our [`HessianProduct`] | [`DampedNewton::matrix_free`](Raphson::matrix_free) |
//! | our [`Fused`]: value, gradient, Hessian in one pass | [`DampedNewton::fused`](Raphson::fused) |
//! | our [`FiniteSum`]: all of these on batches of terms | [`StochasticNewton::new`](Raphson::new) |
//! | our [`OutputModel`]: outputs under a convex loss, on batches | [`ExactGaussNewton::new`](Raphson::new) |
//! | `CostFunction`, `Gradient`, our [`EqualityConstraints`] and [`LagrangianHessian`] | [`AugmentedLagrangianNewton::new`](Raphson::new) |
//! | argmin's `Operator` and `Jacobian`: residuals | [`LevenbergMarquardt::new`](Raphson::new) |
//!
//! Parameters and gradients are any [`VecLike`], Hessians any [`SymMat`]; see
//! [`edge`] for the types. [`check`] compares derivatives with differences,
//! [`difference`] makes them where only values are known, and `AutoDiff` (feature
//! `num-dual`) where the function is written generically, exactly.
//!
//! # Methods
//!
//! | solver | for | cost per iteration |
//! |---|---|---|
//! | [`DampedNewton`] | convex f with a Hessian that can be factored, or products | 1 Hessian, 1 factorization, 1 to 2 gradients |
//! | [`LazyCubicNewton`] | any f whose Hessian is dear | a part of a Hessian, 1 gradient |
//! | [`LazyRegularizedNewton`] | convex f whose Hessian is dear | a part of a Hessian, 1 to 2 gradients |
//! | [`TrustRegionNewton`] | any f; matrix-free by conjugate gradients | 1 Hessian, 1 to 5 factorizations, 1 gradient |
//! | [`CubicNewton`] | any f; matrix-free in a Krylov space | 1 Hessian, 2 to 5 factorizations, 1 gradient |
//! | [`SaddleFreeNewton`] | functions with many saddle points; matrix-free in a Krylov space | 1 Hessian, 1 eigendecomposition, 1 gradient, 1 to 7 values |
//! | [`GradientRegularizedNewton`] | convex f, Hessian semidefinite | 1 Hessian, 1 to 2 factorizations and gradients |
//! | [`GradientNormalizedNewton`] | approximate Hessians, a metric | 1 to 2 factorizations and gradients |
//! | [`AcceleratedCubicNewton`] | convex f with inexact or stochastic derivatives | 1 Hessian, 2 gradients |
//! | [`StochasticNewton`] | means of many convex terms, few variables | 1 gradient and Hessian of a batch, 1 factorization |
//! | [`AveragedHessianNewton`] | the same; the most accurate of the three | as above |
//! | [`FilteredNewton`] | the same, with constant steps or a line search on small batches | as above, 2 factorizations, 1 inverse |
//! | [`StochasticSaddleFreeNewton`] | means of many terms that are not convex | 2 gradients, 1 Hessian, 1 to 7 values of a batch |
//! | [`LevenbergMarquardt`], [`GaussNewton`] | residuals, dense or sparse Jacobian, robust losses | 1 Jacobian, 1 residual evaluation per trial |
//! | [`ExactGaussNewton`] | models with outputs under a convex loss, many parameters | outputs, JJᵀ, one product with Jᵀ of a batch, one factorization |
//! | [`SinkhornNewton`], [`Sinkhorn`] | entropic optimal [`transport`] | 1 to 2 passes over the costs |
//! | [`AugmentedLagrangianNewton`] | equality [`constraints`] | f, ∇f, c and Jacobian per trial, 1 Hessian of the Lagrangian |
//!
//! With exact derivatives start with [`DampedNewton`] if f is convex and with
//! [`TrustRegionNewton`] if it is not. [`subproblem`] has the models' minimizers by themselves.
//!
//! # Outcomes
//!
//! A run ends with a [`Status`]: converged, stopped by a budget, or failed, each
//! with its reason. A run that did not converge never says it did, and the best
//! point is never lost: numerical failures are not `Err`. An [`Error`] means
//! misuse, or comes from the problem's own functions.
//!
//! [`Run::certify`] says of the end what kind of point it is, and how near the exact one lies.
//!
//! # Features
//!
//! Default: `nalgebra`, `sprs`, `rayon`, `libsvm`. Optional: `ndarray` (arrays as
//! parameters and matrices), `serde` (checkpoints), `progress` and `plot`
//! (observers), `num-dual` (exact derivatives by dual numbers), `problems` (test
//! problems; implies `num-dual`), `distributed` (rows over the ranks of a parallel program; MPI by
//! the crate `raphson-mpi`), `mmap` (rows on disk).
//!
//! Results do not depend on the number of threads.

#![deny(unsafe_code, missing_docs, rustdoc::broken_intra_doc_links)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod argmin;
#[cfg(feature = "num-dual")]
pub mod autodiff;
pub mod certificate;
pub mod check;
pub mod constraints;
pub mod data;
pub mod difference;
#[cfg(feature = "distributed")]
pub mod distributed;
pub mod edge;
pub mod error;
pub mod finite_sum;
mod globalization;
mod lazy;
#[cfg(feature = "libsvm")]
pub mod libsvm;
pub mod linear;
pub mod method;
pub mod models;
pub mod observe;
pub mod oracle;
pub mod output_model;
mod parallel;
pub mod problem;
#[cfg(feature = "problems")]
pub mod problems;
pub mod record;
mod simd;
pub mod solver;
pub mod status;
mod step;
pub mod stochastic;
#[cfg(feature = "mmap")]
pub mod stream;
pub mod subproblem;
mod termination;
pub mod transport;

pub use argmin::Outcome;
#[cfg(feature = "num-dual")]
pub use autodiff::AutoDiff;
pub use certificate::{Certificate, Certifier, PointKind};
pub use constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
pub use data::Dataset;
pub use edge::{RectMat, SymMat, VecLike};
pub use error::Error;
pub use finite_sum::{Batch, FiniteSum};
pub use lazy::Refresh;
pub use linear::GramSolve;
pub use method::accelerated::AcceleratedCubicNewton;
pub use method::augmented_lagrangian::AugmentedLagrangianNewton;
pub use method::cubic::{CubicNewton, LazyCubicNewton};
pub use method::damped_newton::{DampedNewton, Indefinite, Schedule};
pub use method::exact_gauss_newton::ExactGaussNewton;
pub use method::filtered_newton::{FilteredNewton, MarginalPrecision};
pub use method::least_squares::{GaussNewton, LevenbergMarquardt, RobustLoss, Statistics};
pub use method::regularized::{
    GradientNormalizedNewton, GradientRegularizedNewton, LazyRegularizedNewton,
};
pub use method::saddle_free::{Damping, SaddleFreeNewton, StochasticSaddleFreeNewton};
pub use method::sinkhorn::{Sinkhorn, SinkhornKernel};
pub use method::sinkhorn_newton::SinkhornNewton;
pub use method::stochastic::{AveragedHessianNewton, StochasticNewton};
pub use method::trust_region::TrustRegionNewton;
pub use models::{LeastSquares, LogisticRegression, Mlp, PoissonRegression, Softmax};
pub use output_model::{ConvexLoss, OutputLoss, OutputModel};
pub use problem::{Fused, HessianProduct};
pub use record::{IterationRecord, Report};
pub use solver::{Evaluated, Raphson, Run};
pub use status::{Converged, Failed, Status, Stopped};
pub use stochastic::{Averaging, Sampler, StepSchedule};
pub use transport::Transport;

/// The examples of the README, compiled and run as tests.
#[cfg(all(doctest, feature = "libsvm"))]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
