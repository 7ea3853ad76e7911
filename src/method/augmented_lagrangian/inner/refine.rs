//! Refinement of a direct solve by flexible GMRES.
//!
//! The factor of a regularized K̂ preconditions K from the right. Only directions in which K is as
//! small as the regularization need iterations.
//!
//! Reference: M. Arioli, I. S. Duff, "Using FGMRES to obtain backward stability in mixed precision",
//! Electron. Trans. Numer. Anal. 33 (2009).

use super::{Solution, System};
use crate::linear::{Breakdown, axpy};
use crate::oracle::Counted;
use crate::parallel::{dot, norm};
use crate::step::Fault;

/// Iterations of one cycle, and most cycles.
const CYCLE: usize = 10;
const CYCLES: usize = 3;
/// A cycle that leaves more than this part of the residual is the last.
const FALL: f64 = 0.5;
/// A step that leaves more than this part of the residual is not taken.
const PROGRESS: f64 = 0.99;
/// Parts of ‖Kv‖ below which what is left of it is rounding, and no progress.
const EXHAUSTED: f64 = 1e-15;
const DEPENDENT: f64 = 1e-13;

/// Krylov vectors and the small least-squares problem.
#[derive(Debug, Default)]
pub(super) struct Refinement {
    /// Orthonormal vectors, and K̂⁻¹ of them, one after the other.
    basis: Vec<f64>,
    images: Vec<f64>,
    work: Vec<f64>,
    before: Vec<f64>,
    triangle: [[f64; CYCLE]; CYCLE],
    rotations: [(f64, f64); CYCLE],
    rhs: [f64; CYCLE + 1],
}

impl Refinement {
    /// Improves z until ‖Kz + N‖ ≤ `aim` or no further; `solve` applies K̂⁻¹.
    pub(super) fn run(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        aim: f64,
        solve: &mut dyn FnMut(&mut [f64]) -> Result<(), Breakdown>,
    ) -> Result<(), Fault> {
        let order = system.order();
        self.basis.resize((CYCLE + 1) * order, 0.0);
        self.images.resize(CYCLE * order, 0.0);
        self.work.resize(order, 0.0);
        for _ in 0..CYCLES {
            let before = solution.size;
            if before <= aim {
                break;
            }
            self.before.clone_from(&solution.z);
            for (v, r) in self.basis.iter_mut().zip(&solution.residual) {
                *v = -r / before;
            }
            self.rhs = [0.0; CYCLE + 1];
            self.rhs[0] = before;
            let mut steps = 0;
            while steps < CYCLE && self.rhs[steps].abs() > aim {
                let left = self.rhs[steps].abs();
                let extended = self.extend(oracle, system, steps, solve)?;
                // A system without a solution: further vectors would only cancel.
                if !extended || self.rhs[steps + 1].abs() > PROGRESS * left {
                    break;
                }
                steps += 1;
            }
            self.combine(steps, &mut solution.z);
            solution.refresh(oracle, system)?;
            let (fell, fast) = (solution.size < before, solution.size <= FALL * before);
            if !fell {
                solution.z.copy_from_slice(&self.before);
                solution.refresh(oracle, system)?;
            }
            if !fast {
                break;
            }
        }
        Ok(())
    }

    /// One more vector; false if there is none.
    fn extend(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        k: usize,
        solve: &mut dyn FnMut(&mut [f64]) -> Result<(), Breakdown>,
    ) -> Result<bool, Fault> {
        let order = system.order();
        let image = &mut self.images[k * order..(k + 1) * order];
        image.copy_from_slice(&self.basis[k * order..(k + 1) * order]);
        if solve(image).is_err() {
            return Ok(false);
        }
        oracle.report.solves += 1;
        oracle.report.inner_iterations += 1;
        system.apply(oracle, image, &mut self.work)?;
        let whole = norm(&self.work);
        let mut column = [0.0; CYCLE];
        for _ in 0..2 {
            for (v, h) in self.basis.chunks_exact(order).zip(&mut column).take(k + 1) {
                let overlap = dot(v, &self.work);
                axpy(-overlap, v, &mut self.work);
                *h += overlap;
            }
        }
        let mut left = norm(&self.work);
        if !left.is_finite() {
            return Ok(false);
        }
        if left <= EXHAUSTED * whole {
            left = 0.0;
        }
        for i in 0..k {
            let (c, s) = self.rotations[i];
            let (a, b) = (column[i], column[i + 1]);
            (column[i], column[i + 1]) = (c * a + s * b, c * b - s * a);
        }
        let size = column[k].hypot(left);
        // K maps the vector into the space of those before, as a singular K may.
        let independent = size > DEPENDENT * whole;
        if !independent {
            return Ok(false);
        }
        let (c, s) = (column[k] / size, left / size);
        column[k] = size;
        self.rotations[k] = (c, s);
        self.triangle[k] = column;
        (self.rhs[k], self.rhs[k + 1]) = (c * self.rhs[k], -s * self.rhs[k]);
        let next = &mut self.basis[(k + 1) * order..(k + 2) * order];
        for (v, w) in next.iter_mut().zip(&self.work) {
            *v = if left > 0.0 { w / left } else { 0.0 };
        }
        Ok(true)
    }

    /// Adds the combination of least residual to z.
    fn combine(&mut self, steps: usize, z: &mut [f64]) {
        let order = z.len();
        for k in (0..steps).rev() {
            let y = self.rhs[k] / self.triangle[k][k];
            for i in 0..k {
                self.rhs[i] -= self.triangle[k][i] * y;
            }
            axpy(y, &self.images[k * order..(k + 1) * order], z);
        }
    }
}
