//! The choice between Sinkhorn's algorithm and Newton's method, by the size of ε.

use super::plan::Plan;
use super::problem::Transport;
use crate::error::Error;
use crate::method::sinkhorn::Sinkhorn;
use crate::method::sinkhorn_newton::SinkhornNewton;
use crate::record::IterationRecord;
use crate::status::{Status, Stopped};

/// From this ε on, relative to the range of the costs, sweeps converge in some dozens.
const LARGE: f64 = 0.05;
/// Sweeps after which Newton's method takes over.
const SWEEPS: u64 = 200;

/// Solves a [`Transport`] problem by the method that suits ε.
///
/// For ε at least a twentieth of the range of the costs: [`Sinkhorn`] with a stored kernel, where a sweep is
/// two matrix-vector products; if 200 sweeps do not suffice, [`SinkhornNewton`] goes on from its
/// potentials. For a smaller ε, or relaxed marginals: [`SinkhornNewton`]. Cost and memory are those of the method.
#[derive(Debug, Clone, Copy)]
pub struct Auto {
    eps: f64,
    tol: f64,
}

impl Auto {
    /// With the weight `eps` of the entropy in the units of the costs.
    pub fn new(eps: f64) -> Self {
        Auto { eps, tol: 1e-9 }
    }

    /// Converged if ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ ≤ `tol` times the mass. Default 10⁻⁹.
    pub fn marginal_tol(mut self, tol: f64) -> Self {
        self.tol = tol;
        self
    }

    /// The plan. Its report is that of the method that finished.
    ///
    /// # Errors
    /// Only misuse; [`Plan::status`] says whether it converged.
    pub fn solve(self, problem: &Transport) -> Result<Plan, Error> {
        self.solve_with(problem, |_| true)
    }

    /// As [`solve`](Auto::solve), and calls `callback` with the record of every iteration; `false` interrupts
    /// the run. If Newton's method takes over, its iterations count from 0 again.
    ///
    /// # Errors
    /// As [`solve`](Auto::solve).
    pub fn solve_with(
        self,
        problem: &Transport,
        mut callback: impl FnMut(&IterationRecord) -> bool,
    ) -> Result<Plan, Error> {
        let newton = SinkhornNewton::new(self.eps).marginal_tol(self.tol);
        let reduced = problem.reduced();
        if self.eps < LARGE * reduced.range || !reduced.is_balanced() {
            return newton.on_iteration(callback).solve(problem);
        }
        let sweeps = Sinkhorn::new(self.eps)
            .marginal_tol(self.tol)
            .max_iters(SWEEPS);
        let plan = sweeps.on_iteration(&mut callback).solve(problem)?;
        if plan.status() != Status::Stopped(Stopped::MaxIterations) {
            return Ok(plan);
        }
        let start = plan.potentials().to_vec();
        newton.on_iteration(callback).solve_from(problem, start)
    }
}
