//! Sinkhorn-Newton: entropic optimal transport by sparsified Newton steps.
//!
//! # Problem
//! minimize ⟨C, P⟩ + ε Σ P_ij (log P_ij − 1) over P ≥ 0 with P1 = a, Pᵀ1 = b; see [`Transport`], which
//! also states the unbalanced and the partial problem. The parameter is x = (f, g) ∈ ℝⁿ⁺ᵐ, the cost minus the dual.
//! Zeros are a cold start; other potentials are a warm one, of which g (f if n < m) is used.
//!
//! # Update
//! With f eliminated, F(g) = aᵀf(g) + bᵀg − ε is maximized. W is its negative Hessian times ε with only the
//! large entries S of P, chosen so that no row or column loses more than the share θ, and with exact diagonals:
//!
//! ```text
//! θ = min(0.1, ‖b − c‖₁),   W = diag(c) − Sᵀ diag(1/a) S
//! (W + 10⁻³ ‖b − c‖₁ diag(c)) q = b − c,   g ← g + t ε q
//! ```
//!
//! by conjugate gradients with Jacobi preconditioner, after 300 iterations by a dense Cholesky factorization if
//! there are at most 2000 columns. t is the first of a shrinking sequence with sufficient increase of F;
//! where the change of F drowns in rounding, with a smaller error. A step with t < ½ is followed by 5 sweeps, one
//! that failed by 20.
//!
//! ε comes down from a twentieth of the range R of the costs by halves. Each level starts from extrapolated potentials with
//! Sinkhorn sweeps, at least 3 and as many as are cheaper than Newton steps, and ends at a marginal error of 10⁻², the last at the
//! tolerance. Up to 2²⁴ entries with fixed marginals these sweeps are products with a kernel that is stored once per level in
//! single precision, whose error, 10⁻⁶, is far below 10⁻². An iteration is a Newton
//! step with its sweeps, or the sweeps that open a level. The best point is the current one, since costs at
//! different ε do not compare.
//!
//! # Stopping
//! ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ ≤ 10⁻⁹ times the mass, as `Converged(Marginal)`, or within 16·2⁻⁵²(1 + R/ε), which is what rounding of
//! the exponents allows, as `Converged(PrecisionFloor)`. Potentials that run to infinity, as with forbidden pairs that
//! admit no plan, are `Failed(Infeasible)`.
//!
//! # Cost
//! Per level and per trial one pass over the costs with an exp for each entry, per sweep another one or, with the stored
//! kernel, 4 operations for each entry; per Newton step a pass without exp,
//! and 4 operations per kept entry and iteration of conjugate gradients. Memory: the costs (points on the fly:
//! O((n + m)d)), 4 bytes per entry for the kernel up to 2²⁴ entries, 8 bytes per kept entry and up to an eighth more as storage
//! grows, and 32 m doubles of workspace. Problems of at most 2²² entries
//! reserve storage for all of them at the first Newton step and allocate nothing later.
//!
//! # Counts
//! A transport problem has no functions, so argmin's counts stay empty. The [`Report`](crate::Report) of the solver counts `sweeps`,
//! with exp or without; `hessians`, the Newton steps; their `trials` and `rejected` ones; `passes`, each with an exp for every entry; `hessian_products`, the
//! iterations of conjugate gradients; `factorizations`; and has the mean `density` of S. `iterations` are argmin's.
//!
//! # Convergence
//! F is concave, and the steps ascend. θ and the damping are of the order of the error, so the local rate is superlinear
//! until the linear solves are stopped at a tenth of the tolerance. No rate is known for the ladder.
//!
//! # Differences from the source
//! The source keeps a fixed number of entries, starts cold at the target ε and takes Newton steps on both
//! potentials. Here the kept share follows the error, diagonals are exact, the ladder is the rule, and f is eliminated,
//! which makes every pass a sweep of the rows, so that no step overflows. Damping, bound on the
//! first trial, extrapolation and sweeps after short steps are ours.
//!
//! # Reference
//! X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao, L. Ying, "Accelerating Sinkhorn
//! algorithm with sparse Newton iterations", ICLR 2024.
//!
//! # Example
//! ```
//! use raphson::transport::{Cost, Metric};
//! use raphson::{SinkhornNewton, Transport};
//!
//! let (x, y) = ([0.0, 1.0, 2.0], [0.5, 2.5]);
//! let cost = Cost::points(&x, &y, 1, Metric::SquaredL2)?;
//! let problem = Transport::new(cost, [0.25, 0.25, 0.5], [0.5, 0.5])?;
//! let plan = SinkhornNewton::new(1e-3).solve(&problem)?.must_converge()?;
//! // Everything moves by a half.
//! assert!((plan.transport_cost() - 0.25).abs() < 1e-6);
//! assert!(plan.marginal_error() <= 1e-9 && plan.certificate()?.gap() < 1e-2);
//! # Ok::<(), raphson::Error>(())
//! ```

pub(crate) mod core;
mod gap;

pub use self::core::SinkhornNewtonCore;

use crate::error::Error;
use crate::oracle::Coupling;
use crate::record::IterationRecord;
use crate::solver::{Raphson, WithCallback};
use crate::transport::{Certificate, Plan, Transport};

/// Sinkhorn-Newton; see the [module](self).
pub type SinkhornNewton = Raphson<SinkhornNewtonCore, Coupling>;

impl SinkhornNewton {
    /// For a [`Transport`] problem, with the weight `eps` of the entropy in the units of the costs.
    pub fn new(eps: f64) -> Self {
        Raphson::from_method(SinkhornNewtonCore::new(eps))
    }

    /// Converged if ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ ≤ `tol` times the mass. Default 10⁻⁹.
    pub fn marginal_tol(mut self, tol: f64) -> Self {
        self.method.options.tol = tol;
        self
    }

    /// The plan, from a cold start.
    ///
    /// # Errors
    /// Only misuse; [`Plan::status`] says whether it converged.
    pub fn solve(self, problem: &Transport) -> Result<Plan, Error> {
        let start = problem.origin();
        self.solve_from(problem, start)
    }

    /// The plan, from potentials (f, g) that are nearly right, as of a similar problem.
    ///
    /// # Errors
    /// As [`solve`](Raphson::solve).
    pub fn solve_from(self, problem: &Transport, potentials: Vec<f64>) -> Result<Plan, Error> {
        let options = self.method.options;
        let run = self.minimize(problem, potentials)?;
        Ok(Plan::new(problem, run, options))
    }

    /// A plan of the linear program min ⟨C, P⟩ with bounds that enclose its value: upper − lower ≤ `relative`·|upper|, or
    /// what rounding leaves, about 2⁻⁶⁰ (n + m) R and at least 2⁻⁵² R times the mass, where R is the range of the costs.
    ///
    /// The [`Certificate`] holds a vertex of the polytope with at most n + m − 1 entries that are not zero. Two coarse levels of the
    /// entropic problem choose some pairs, the network simplex method solves the linear program on these, and
    /// pairs that its potentials price below zero are added until the gap is small enough. With none left the vertex is optimal.
    /// The [`Plan`] is the entropic one of the last level, ε = R/50 (or the solver's ε if that is larger), to a marginal error of 0.05
    /// times the mass. If a limit ends its run, the certificate is that of the plan; if every plan uses forbidden pairs, its status is
    /// `Failed(Infeasible)` and the upper bound infinite.
    ///
    /// Cost: about three passes with an exp for each entry, some sweeps, rarely Newton steps, three passes without exp, one more each time that pairs are
    /// added, and pivots, about 10 (n + m) of them on clouds of points. Memory: that of the entropic levels, and
    /// 16 bytes for each of about 16 (n + m) pairs. Limits of the solver hold for the entropic levels.
    ///
    /// # Errors
    /// As [`solve`](Raphson::solve); [`Error::InvalidParameter`] for a gap that is not positive;
    /// [`Error::NotOffered`] for an unbalanced problem.
    ///
    /// # Example
    /// ```
    /// use raphson::transport::{Cost, Metric};
    /// use raphson::{SinkhornNewton, Transport};
    ///
    /// let (x, y) = ([0.0, 1.0, 2.0], [0.5, 2.5]);
    /// let cost = Cost::points(&x, &y, 1, Metric::SquaredL2)?;
    /// let problem = Transport::new(cost, [0.25, 0.25, 0.5], [0.5, 0.5])?;
    /// let (_, bounds) = SinkhornNewton::new(1e-3).solve_to_gap(&problem, 1e-12)?;
    /// assert!((bounds.upper - 0.25).abs() < 1e-15 && bounds.gap() < 1e-12);
    /// assert_eq!(bounds.to_sparse()?.compute_nnz(), 3);
    /// # Ok::<(), raphson::Error>(())
    /// ```
    pub fn solve_to_gap(
        self,
        problem: &Transport,
        relative: f64,
    ) -> Result<(Plan, Certificate), Error> {
        if !(relative > 0.0 && relative.is_finite()) {
            return Err(Error::parameter(
                "relative",
                relative,
                "positive and finite",
            ));
        }
        gap::solve(self, problem, relative)
    }
}

impl<F: FnMut(&IterationRecord) -> bool> WithCallback<SinkhornNewtonCore, Coupling, F> {
    /// As [`SinkhornNewton::solve`](Raphson::solve).
    ///
    /// # Errors
    /// Only misuse.
    pub fn solve(self, problem: &Transport) -> Result<Plan, Error> {
        let start = problem.origin();
        self.solve_from(problem, start)
    }

    /// As [`SinkhornNewton::solve_from`](Raphson::solve_from).
    ///
    /// # Errors
    /// As [`solve`](WithCallback::solve).
    pub fn solve_from(self, problem: &Transport, potentials: Vec<f64>) -> Result<Plan, Error> {
        let options = self.solver.method.options;
        let run = self.minimize(problem, potentials)?;
        Ok(Plan::new(problem, run, options))
    }
}
