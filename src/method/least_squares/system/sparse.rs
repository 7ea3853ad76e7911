//! Sparse Jacobians: normal equations of the shorter side with steps of refinement.

use super::super::secular::{self, Length};
use super::Solution;
use crate::edge::RectView;
use crate::linear::Breakdown;
use crate::linear::normal::NormalEquations;
use crate::parallel::{dot, norm};

/// Damping relative to the largest column where the normal equations are singular.
const SINGULAR: f64 = 1e-8;
/// Steps of refinement that take that damping off again.
const ROUNDS: usize = 4;

/// A sparse A = WJD⁻¹, its normal equations, and the undamped step.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) normal: NormalEquations,
    /// t, and Aᵀt = −D⁻¹g.
    target: Vec<f64>,
    slope: Vec<f64>,
    largest: f64,
    /// α of the last step on the boundary, the first guess for the next.
    pub(super) last: f64,
    pub(super) newton: Vec<f64>,
    /// Work on the shorter side, the variables' and the residuals' side.
    short: Vec<f64>,
    solved: Vec<f64>,
    residual: Vec<f64>,
}

impl Sparse {
    pub(super) fn load(
        &mut self,
        view: RectView<'_>,
        weights: Option<&[f64]>,
    ) -> Result<(), Breakdown> {
        self.normal.load(view, weights)?;
        let (m, n) = (view.nrows(), view.ncols());
        self.target.resize(m, 0.0);
        self.residual.resize(m, 0.0);
        self.slope.resize(n, 0.0);
        self.newton.resize(n, 0.0);
        self.short.resize(m.min(n), 0.0);
        self.solved.resize(m.min(n), 0.0);
        Ok(())
    }

    pub(super) fn measure(&mut self, t: &[f64], norms: &mut [f64], gradient: &mut [f64]) {
        norms.fill(0.0);
        let mut largest = 0.0_f64;
        self.normal.for_each(|_, a| largest = largest.max(a.abs()));
        if largest > 0.0 {
            self.normal
                .for_each(|j, a| norms[j] += (*a / largest) * (*a / largest));
            norms.iter_mut().for_each(|s| *s = largest * s.sqrt());
        }
        self.transposed(t, gradient);
    }

    pub(super) fn factor(&mut self, t: &[f64], scale: &[f64]) -> Result<Solution, Breakdown> {
        self.normal.for_each(|j, a| {
            if scale[j] > 0.0 {
                *a /= scale[j];
            }
        });
        self.target.copy_from_slice(t);
        let mut slope = std::mem::take(&mut self.slope);
        self.transposed(t, &mut slope);
        self.slope = slope;
        self.largest = self.normal.form();
        let mut out = std::mem::take(&mut self.newton);
        let solved = self.undamped(&mut out);
        let length = norm(&out);
        self.newton = out;
        solved?;
        let predicted = self.decrease(0.0, None);
        Ok(Solution {
            alpha: 0.0,
            length,
            predicted,
        })
    }

    /// Writes the undamped step.
    fn undamped(&mut self, out: &mut [f64]) -> Result<(), Breakdown> {
        if self.largest == 0.0 {
            out.fill(0.0);
            return Ok(());
        }
        let damping = match self.normal.factor(0.0) {
            Ok(()) => 0.0,
            Err(Breakdown::NotPositiveDefinite { .. }) => {
                let damping = SINGULAR * self.largest;
                self.normal.factor(damping)?;
                damping
            }
            Err(other) => return Err(other),
        };
        let rounds = if damping == 0.0 { 1 } else { ROUNDS };
        self.solve(0.0, rounds, out)
    }

    pub(super) fn restricted(
        &mut self,
        radius: f64,
        out: &mut [f64],
        factorizations: &mut u64,
    ) -> Result<Solution, Breakdown> {
        let upper = norm(&self.slope) / radius;
        let guess = self.last;
        let mut at = f64::NAN;
        let alpha = secular::multiplier(radius, upper, guess, 0.1, |alpha| {
            *factorizations += 1;
            at = alpha;
            match self.normal.factor(alpha) {
                Ok(()) => {}
                Err(Breakdown::NotPositiveDefinite { .. }) => return Ok(None),
                Err(other) => return Err(other),
            }
            self.solve(alpha, 1, out)?;
            self.sensitivity(out).map(Some)
        })?;
        if at != alpha {
            *factorizations += 1;
            self.normal.factor(alpha)?;
            self.solve(alpha, 1, out)?;
        }
        self.last = alpha;
        Ok(Solution {
            alpha,
            length: norm(out),
            predicted: self.decrease(alpha, Some(out)),
        })
    }

    /// Writes the step with the present factor, refined `rounds` times towards damping `alpha`.
    fn solve(&mut self, alpha: f64, rounds: usize, out: &mut [f64]) -> Result<(), Breakdown> {
        if self.normal.is_wide() {
            // p = −Bu, (BᵀB + αI)u = t.
            self.solved.copy_from_slice(&self.target);
            self.normal.solve_in_place(&mut self.solved)?;
            for _ in 0..rounds {
                self.normal.multiply(&self.solved, out);
                self.normal.multiply_transposed(out, &mut self.short);
                for (k, s) in self.short.iter_mut().enumerate() {
                    *s = self.target[k] - *s - alpha * self.solved[k];
                }
                self.normal.solve_in_place(&mut self.short)?;
                add(&self.short, &mut self.solved);
            }
            self.normal.multiply(&self.solved, out);
            out.iter_mut().for_each(|p| *p = -*p);
            return Ok(());
        }
        for (p, g) in out.iter_mut().zip(&self.slope) {
            *p = -g;
        }
        self.normal.solve_in_place(out)?;
        for _ in 0..rounds {
            self.normal.multiply(out, &mut self.residual);
            add(&self.target, &mut self.residual);
            self.normal
                .multiply_transposed(&self.residual, &mut self.short);
            for (s, p) in self.short.iter_mut().zip(out.iter()) {
                *s = -*s - alpha * p;
            }
            self.normal.solve_in_place(&mut self.short)?;
            add(&self.short, out);
        }
        Ok(())
    }

    /// ‖p‖ and d‖p‖/dα = −pᵀ(AᵀA + αI)⁻¹p/‖p‖ from the present factor.
    fn sensitivity(&mut self, p: &[f64]) -> Result<Length, Breakdown> {
        let value = norm(p);
        if value == 0.0 {
            return Ok(Length { value, slope: -1.0 });
        }
        let product = if self.normal.is_wide() {
            // With p = −Bu: (BBᵀ + αI)⁻¹Bu = B(BᵀB + αI)⁻¹u.
            self.normal.solve_in_place(&mut self.solved)?;
            self.normal.multiply_transposed(p, &mut self.short);
            -dot(&self.short, &self.solved)
        } else {
            self.short.copy_from_slice(p);
            self.normal.solve_in_place(&mut self.short)?;
            dot(p, &self.short)
        };
        Ok(Length {
            value,
            slope: -product / value,
        })
    }

    /// ½‖Ap‖² + α‖p‖², which for a solution p is the decrease, without cancellation; of the
    /// undamped step if none is given.
    fn decrease(&mut self, alpha: f64, p: Option<&[f64]>) -> f64 {
        let p = p.unwrap_or(&self.newton);
        let image = if self.normal.is_wide() {
            self.normal.multiply_transposed(p, &mut self.short);
            norm(&self.short)
        } else {
            self.normal.multiply(p, &mut self.residual);
            norm(&self.residual)
        };
        let length = norm(p);
        0.5 * image * image + alpha * length * length
    }

    /// `out` = Aᵀu.
    fn transposed(&self, u: &[f64], out: &mut [f64]) {
        if self.normal.is_wide() {
            self.normal.multiply(u, out);
        } else {
            self.normal.multiply_transposed(u, out);
        }
    }
}

fn add(v: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(v).for_each(|(a, b)| *a += b);
}
