//! What is known after each iteration, and what a whole run cost.

/// One accepted step, or the start point (iteration 0).
///
/// Every field is defined at iteration 0: lengths and constants that do not
/// exist yet are zero, counts are what the start has cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct IterationRecord {
    /// Number of accepted steps so far.
    pub iteration: u64,
    /// f at the accepted point.
    pub f: f64,
    /// Euclidean norm of the gradient there.
    pub gradient_norm: f64,
    /// Newton decrement sqrt(gᵀH⁻¹g) of the point the step started from; zero where a method has none.
    pub decrement: f64,
    /// Euclidean length of the accepted step.
    pub step_norm: f64,
    /// Factor applied to the direction; zero at iteration 0.
    pub step_length: f64,
    /// The method's adaptive constant after the step (σ, M, λ or Δ, see the method).
    pub control: f64,
    /// Multiple of the identity that was added to the Hessian.
    pub shift: f64,
    /// Trials of this iteration, the accepted one included.
    pub trials: u64,
    /// Negative eigenvalues of the Hessian, or of its restriction to a Krylov space, that the step
    /// was made from; zero where a method does not compute them.
    pub index: u64,
    /// Evaluations of f so far.
    pub values: u64,
    /// Evaluations of the gradient so far.
    pub gradients: u64,
    /// Evaluations of the Hessian so far.
    pub hessians: u64,
    /// Hessian-vector products so far.
    pub hessian_products: u64,
    /// Factorizations so far, failed attempts included.
    pub factorizations: u64,
    /// Evaluations of the residuals of a least-squares problem so far.
    pub residuals: u64,
    /// Evaluations of the Jacobian of residuals or constraints.so far.
    pub jacobians: u64,
    /// Smoothed mean of the batch losses so far, of a stochastic method; zero where a method has none.
    pub loss: f64,
    /// Passes over the terms of a finite sum that its batches made so far.
    pub epochs: f64,
    /// Gradients of single terms on batches so far.
    pub sample_gradients: u64,
    /// Norm of the matrix that carries the last direction of a filter into this one; zero where
    /// a method has none.
    pub memory: f64,
    /// ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ of a transport plan; zero where a method has none.
    pub marginal_error: f64,
    /// Sinkhorn sweeps so far.
    pub sweeps: u64,
    /// Passes over the entries of a transport plan so far.
    pub passes: u64,
    /// ‖c‖ of the equality constraints at the accepted point; zero where a method has none.
    pub constraint_norm: f64,
    /// Iterations of the inner solver so far; zero where a method has none.
    pub inner_iterations: u64,
    /// Seconds since the start of the run.
    pub seconds: f64,
}

/// Totals of a run, over interruptions and resumptions.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Report {
    /// Accepted steps.
    pub iterations: u64,
    /// Trials, accepted and rejected.
    pub trials: u64,
    /// Trials that were rejected.
    pub rejected: u64,
    /// Evaluations of f.
    pub values: u64,
    /// Evaluations of the gradient.
    pub gradients: u64,
    /// Evaluations of the Hessian.
    pub hessians: u64,
    /// Hessians or Jacobians evaluated again after a resumption, at the anchor of a lazy method or
    /// the point of a least-squares one; not in `hessians` or `jacobians`.
    pub rebuilt: u64,
    /// Hessian-vector products.
    pub hessian_products: u64,
    /// Factorizations, failed attempts included.
    pub factorizations: u64,
    /// Evaluations of the residuals of a least-squares problem.
    pub residuals: u64,
    /// Evaluations of the Jacobian of residuals or constraints.
    pub jacobians: u64,
    /// Symbolic analyses of a sparse pattern.
    pub analyses: u64,
    /// Entries of the factor L of the KKT matrix, its diagonal included; zero where a method
    /// or its inner solver does not factor one.
    pub factor_entries: u64,
    /// Solves with a factor (or by conjugate gradients).
    pub solves: u64,
    /// Iterations whose Hessian had to be shifted; affine invariance is lost there.
    pub shifted: u64,
    /// The shift of the last iteration.
    pub shift: f64,
    /// The method's adaptive constant at the end.
    pub control: f64,
    /// Negative eigenvalues that a saddle-free method saw last; see [`IterationRecord::index`].
    pub index: u64,
    /// Newton decrement at the last point where it was computed; zero if never.
    pub decrement: f64,
    /// Evaluations of f on batches.
    pub batch_values: u64,
    /// Evaluations of the gradient on batches.
    pub batch_gradients: u64,
    /// Evaluations of the Hessian on batches, or of J or JJᵀ of outputs in its place.
    pub batch_hessians: u64,
    /// Gradients of single terms on batches; of outputs a product with J or Jᵀ counts as one a term, J
    /// and JJᵀ as one an output.
    pub sample_gradients: u64,
    /// Passes over the terms of a finite sum that its batches made.
    pub epochs: f64,
    /// b‖g‖²/tr Cov on batches, averaged over the last epoch, if
    /// [`noise_report`](crate::Raphson::noise_report) is on; below 1 noise dominates.
    pub signal_to_noise: Option<f64>,
    /// A warning: the memory of a filter was above 1 for ten steps in a row, so that old
    /// directions grow instead of fading.
    pub memory_grows: bool,
    /// The first term of a finite sum, or the first residual or row of the Jacobian, that was not
    /// finite where a run failed as `NonFinite`.
    pub offender: Option<usize>,
    /// ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ of a transport plan.
    pub marginal_error: f64,
    /// Sinkhorn sweeps.
    pub sweeps: u64,
    /// Passes over all entries of a transport plan, with an exp for each.
    pub passes: u64,
    /// Share of the entries of the plan that the Newton matrix keeps, mean over the steps.
    pub density: f64,
    /// Evaluations of equality constraints.
    pub constraints: u64,
    /// Iterations of the inner solver, or 1 for a direct one.
    pub inner_iterations: u64,
    /// λ of the equality constraints at the returned point, with L = f + λᵀc; empty if there are none.
    pub multipliers: Vec<f64>,
    /// ‖c‖ there.
    pub constraint_norm: f64,
    /// ‖(∇L, c)‖ there.
    pub kkt_residual: f64,
    /// Inertia of the KKT matrix at the end of a converged run, if the inner solver factors it: at a
    /// strict local minimum n positive, m negative, no zero eigenvalues.
    pub kkt_inertia: Option<crate::linear::Inertia>,
}
