//! The damped Hessian of a batch and its factor.

use crate::edge::SymView;
use crate::linear::{Breakdown, DenseCholesky, Factor, copy_lower};
use crate::record::Report;
use crate::status::Failed;

/// Attempts to factor, each with ten times the damping of the one before.
const ATTEMPTS: u64 = 6;

/// δ = `relative` · tr(Q)/d + `absolute`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Damping {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

impl Default for Damping {
    fn default() -> Self {
        Damping {
            relative: 1e-8,
            absolute: 1e-12,
        }
    }
}

/// A symmetric matrix of which the lower triangle is stored, column-major.
///
/// Its factor is that of Q + δI with the least δ of δ₀, 10 δ₀, …, 10⁵ δ₀ that makes it positive
/// definite.
#[derive(Debug, Default)]
pub(crate) struct Damped {
    factor: DenseCholesky,
    /// δ of the factor.
    pub(crate) shift: f64,
}

pub(crate) fn failed(breakdown: Breakdown) -> Failed {
    match breakdown {
        Breakdown::NonFinite { .. } => Failed::NonFinite,
        Breakdown::NotPositiveDefinite { .. } => Failed::NotPositiveDefinite,
        _ => Failed::Breakdown,
    }
}

/// Copies the lower triangle of `view` to `out`.
pub(crate) fn read(view: SymView<'_>, n: usize, out: &mut [f64]) -> Result<(), Failed> {
    copy_lower(view, n, out).map_err(failed)
}

/// tr(Q)/d.
pub(crate) fn mean_diagonal(lower: &[f64], n: usize) -> f64 {
    lower.iter().step_by(n + 1).sum::<f64>() / n as f64
}

impl Damped {
    pub(crate) fn factor(
        &mut self,
        lower: &[f64],
        n: usize,
        damping: Damping,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let mean = mean_diagonal(lower, n).max(0.0);
        let mut shift = damping.relative * mean + damping.absolute;
        for attempt in 1..=ATTEMPTS {
            report.factorizations += 1;
            let fill = &mut |mut out: faer::MatMut<'_, f64>| {
                for j in 0..n {
                    for i in j..n {
                        out[(i, j)] = lower[i + j * n];
                    }
                }
            };
            match self.factor.factor_with(n, shift, fill) {
                Ok(()) => {
                    report.shifted += u64::from(attempt > 1);
                    self.shift = shift;
                    report.shift = shift;
                    return Ok(());
                }
                Err(Breakdown::NotPositiveDefinite { .. }) if attempt < ATTEMPTS => shift *= 10.0,
                Err(breakdown) => {
                    report.shift = shift;
                    return Err(failed(breakdown));
                }
            }
        }
        Err(Failed::NotPositiveDefinite)
    }

    /// Overwrites `rhs` by (Q + δI)⁻¹ `rhs`.
    pub(crate) fn solve(&mut self, rhs: &mut [f64], report: &mut Report) -> Result<(), Failed> {
        report.solves += 1;
        self.factor.solve_in_place(rhs).map_err(failed)
    }

    /// Writes (Q + δI)⁻¹, both triangles alike, to `out`.
    pub(crate) fn invert(&mut self, n: usize, out: &mut [f64]) -> Result<(), Failed> {
        out.fill(0.0);
        for a in out.iter_mut().step_by(n + 1) {
            *a = 1.0;
        }
        self.factor.solve_columns_in_place(out).map_err(failed)?;
        symmetrize(out, n);
        Ok(())
    }
}

/// A ← (A + Aᵀ)/2.
pub(crate) fn symmetrize(matrix: &mut [f64], n: usize) {
    for j in 0..n {
        for i in j + 1..n {
            let mean = 0.5 * (matrix[i + j * n] + matrix[j + i * n]);
            matrix[i + j * n] = mean;
            matrix[j + i * n] = mean;
        }
    }
}
