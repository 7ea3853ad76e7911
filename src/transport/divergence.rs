//! The Sinkhorn divergence.

use super::auto::Auto;
use super::cost::IntoCost;
use super::problem::Transport;
use crate::error::Error;
use crate::status::Status;

/// S(a, b) = OT(a, b) − ½ OT(a, a) − ½ OT(b, b), and how its three problems ended.
#[derive(Debug, Clone)]
pub struct Divergence {
    /// S(a, b).
    pub value: f64,
    /// The derivative of S with respect to a, up to a constant.
    pub source: Vec<f64>,
    /// The derivative of S with respect to b, up to a constant.
    pub target: Vec<f64>,
    /// How the problems (a, b), (a, a) and (b, b) ended.
    pub status: [Status; 3],
}

impl Divergence {
    /// Whether all three problems converged.
    pub fn converged(&self) -> bool {
        self.status.iter().all(|status| status.is_converged())
    }
}

/// The Sinkhorn divergence of two masses a and b of the same sum, with the entropy relative to the
/// independent plan: OT(a, b) = min ⟨C, P⟩ + ε KL(P | abᵀ/s).
///
/// It is free of the bias of the entropic value: S(a, a) = 0, and S ≥ 0 for costs whose kernel
/// exp(−C/ε) is positive definite, as ‖x − y‖ and ‖x − y‖². `costs` are those between a and b, within a, and
/// within b. Cost: three runs of [`Auto`] at the marginal tolerance `tol`.
///
/// # Errors
/// As [`Transport::new`] and [`Auto::solve`].
///
/// Reference: J. Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences" (2019).
pub fn sinkhorn_divergence(
    costs: (impl IntoCost, impl IntoCost, impl IntoCost),
    a: &[f64],
    b: &[f64],
    eps: f64,
    tol: f64,
) -> Result<Divergence, Error> {
    let solver = Auto::new(eps).marginal_tol(tol);
    let ab = solver.solve(&Transport::new(costs.0, a, b)?)?;
    let aa = solver.solve(&Transport::new(costs.1, a, a)?)?;
    let bb = solver.solve(&Transport::new(costs.2, b, b)?)?;
    // Of a symmetric problem f + g is twice the common potential, whatever constant they differ by.
    let less = |own: &[f64], f: &[f64], g: &[f64]| -> Vec<f64> {
        let pairs = own.iter().zip(f.iter().zip(g));
        pairs.map(|(own, (f, g))| own - 0.5 * (f + g)).collect()
    };
    Ok(Divergence {
        value: ab.value_relative() - 0.5 * aa.value_relative() - 0.5 * bb.value_relative(),
        source: less(ab.f(), aa.f(), aa.g()),
        target: less(ab.g(), bb.f(), bb.g()),
        status: [ab.status(), aa.status(), bb.status()],
    })
}
