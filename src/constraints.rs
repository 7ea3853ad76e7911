//! Equality constraints and the Hessian of the Lagrangian.
//!
//! A constrained problem min f(x) subject to c(x) = 0 implements argmin's `CostFunction` and
//! `Gradient` for f, [`EqualityConstraints`] for c, and [`LagrangianHessian`] or
//! [`LagrangianProduct`]. The Lagrangian is L(x, λ) = f(x) + λᵀc(x): multipliers are **added**,
//! so that ∇f + Gᵀλ = 0 at a solution and λᵢ = −∂f*/∂bᵢ for the constraint cᵢ(x) = bᵢ.
//!
//! [`Inner`] and [`Sketch`] say how the solver solves its linear systems.

pub use crate::method::augmented_lagrangian::{Inner, Sketch};

use crate::edge::{RectMat, SymMat, VecLike};
use argmin::core::Error;

/// m equality constraints c(x) = 0 on n variables, m ≤ n, twice differentiable.
///
/// argmin counts the calls as `constraint_count` and `jacobian_count`. Values that are not finite
/// reject a trial. A solver for such problems is
/// [`AugmentedLagrangianNewton`](crate::AugmentedLagrangianNewton).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no equality constraints",
    note = "implement `raphson::EqualityConstraints`, or use a solver for unconstrained problems"
)]
pub trait EqualityConstraints {
    /// Type of the parameter vector.
    type Param;
    /// Type of the vector of values.
    type Values: VecLike;
    /// Type of the Jacobian, dense or sparse.
    type Jacobian: RectMat;

    /// The number m of constraints.
    fn n_constraints(&self) -> usize;
    /// c(x), m values.
    fn constraints(&self, x: &Self::Param) -> Result<Self::Values, Error>;
    /// G(x), m x n: row i is the gradient of cᵢ. Not called if there are no constraints.
    fn constraint_jacobian(&self, x: &Self::Param) -> Result<Self::Jacobian, Error>;
}

/// The Hessian of the Lagrangian as a matrix.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give the Hessian of its Lagrangian",
    note = "implement `raphson::LagrangianHessian`; for products alone implement `LagrangianProduct` and use `matrix_free()`"
)]
pub trait LagrangianHessian: EqualityConstraints {
    /// Type of the matrix, dense or sparse.
    type Hessian: SymMat;

    /// ∇²f(x) + Σ λᵢ∇²cᵢ(x), n x n; `multipliers` has m entries.
    fn lagrangian_hessian(
        &self,
        x: &Self::Param,
        multipliers: &[f64],
    ) -> Result<Self::Hessian, Error>;
}

/// Products with the Hessian of the Lagrangian, for problems too large to form it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no products with the Hessian of its Lagrangian",
    note = "implement `raphson::LagrangianProduct`, or use `new()` with `LagrangianHessian`"
)]
pub trait LagrangianProduct: EqualityConstraints {
    /// Writes (∇²f(x) + Σ λᵢ∇²cᵢ(x)) v to `out`; both slices have the length of `x`.
    fn lagrangian_product(
        &self,
        x: &Self::Param,
        multipliers: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error>;

    /// Writes the diagonal of that Hessian, or an approximation, to `out` and returns true.
    ///
    /// It preconditions the inner solver. Default: false, the identity serves.
    fn lagrangian_diagonal(
        &self,
        x: &Self::Param,
        multipliers: &[f64],
        out: &mut [f64],
    ) -> Result<bool, Error> {
        let _ = (x, multipliers, out);
        Ok(false)
    }
}
