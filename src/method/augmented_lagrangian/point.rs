//! A primal-dual point with all first derivatives.

use super::jacobian::Jacobian;
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::{dot, norm};

/// (x, λ) with f, ∇f, c, G and ∇L there.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Point {
    pub(super) x: Vec<f64>,
    pub(super) multipliers: Vec<f64>,
    pub(super) f: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) c: Vec<f64>,
    pub(super) jacobian: Jacobian,
    /// N = (∇L, c).
    pub(super) residual: Vec<f64>,
    /// ‖∇L‖.
    pub(super) slope: f64,
    /// ‖c‖.
    pub(super) violation: f64,
    /// ‖Gᵀλ‖.
    pub(super) pull: f64,
}

impl Point {
    pub(super) fn resize(&mut self, n: usize, m: usize) {
        for v in [&mut self.x, &mut self.gradient] {
            v.resize(n, 0.0);
        }
        for v in [&mut self.multipliers, &mut self.c] {
            v.resize(m, 0.0);
        }
        self.residual.resize(n + m, 0.0);
    }

    /// Evaluates c, G and ∇L at `x` where f and ∇f are known.
    pub(super) fn constrain(&mut self, oracle: &mut Counted<'_>) -> Result<(), Abort> {
        if self.c.is_empty() {
            self.jacobian.clear(self.x.len());
        } else {
            oracle.constraints(&self.x, &mut self.c)?;
            let jacobian = &mut self.jacobian;
            oracle.show_jacobian(&self.x, &mut |view| jacobian.set(view))?;
        }
        self.combine();
        Ok(())
    }

    /// Evaluates everything at `x`, the dearest last; false once something is not finite.
    pub(super) fn evaluate(&mut self, oracle: &mut Counted<'_>) -> Result<bool, Abort> {
        if oracle.is_fused() {
            self.f = oracle.value_gradient(&self.x, &mut self.gradient)?;
        } else {
            self.f = oracle.value(&self.x)?;
            if !self.f.is_finite() {
                return Ok(false);
            }
            oracle.gradient(&self.x, &mut self.gradient)?;
        }
        if !(self.f.is_finite() && norm(&self.gradient).is_finite()) {
            return Ok(false);
        }
        self.constrain(oracle)?;
        Ok(self.is_finite())
    }

    /// Whether f and all first derivatives are finite.
    pub(super) fn is_finite(&self) -> bool {
        self.f.is_finite() && self.size().is_finite() && self.jacobian.norm().is_finite()
    }

    /// ∇L = ∇f + Gᵀλ, N and their norms.
    pub(super) fn combine(&mut self) {
        let n = self.x.len();
        let (slope, c) = self.residual.split_at_mut(n);
        self.jacobian.mul_transpose(&self.multipliers, slope);
        self.pull = norm(slope);
        for (s, g) in slope.iter_mut().zip(&self.gradient) {
            *s += g;
        }
        c.copy_from_slice(&self.c);
        self.slope = norm(slope);
        self.violation = norm(c);
    }

    /// ‖N‖.
    pub(super) fn size(&self) -> f64 {
        norm(&self.residual)
    }

    /// λᵀc.
    pub(super) fn dual_term(&self) -> f64 {
        dot(&self.multipliers, &self.c)
    }
}
