//! Least-squares multipliers and projections onto the kernel of G.

use super::jacobian::Jacobian;
use super::point::Point;
use crate::linear::axpy;
use crate::parallel::{dot, norm};

/// Relative size of the normal residual at which the iteration ends.
const ACCURACY: f64 = 1e-10;

/// Conjugate gradients on normal equations, with products by G and Gᵀ.
#[derive(Debug, Clone, Default)]
pub(super) struct LeastSquares {
    residual: Vec<f64>,
    solution: Vec<f64>,
    normal: Vec<f64>,
    direction: Vec<f64>,
    image: Vec<f64>,
}

impl LeastSquares {
    /// Overwrites the multipliers by those of least ‖∇f + Gᵀλ‖.
    pub(super) fn multipliers(&mut self, at: &mut Point) {
        self.residual.clear();
        self.residual.extend(at.gradient.iter().map(|g| -g));
        self.solve(&at.jacobian);
        at.multipliers.copy_from_slice(&self.solution);
    }

    /// p ← p − Gᵀw, w of least ‖p − Gᵀw‖.
    pub(super) fn project(&mut self, jacobian: &Jacobian, p: &mut [f64]) {
        self.residual.clear();
        self.residual.extend_from_slice(p);
        self.solve(jacobian);
        p.copy_from_slice(&self.residual);
    }

    /// The `solution` w of least ‖r − Gᵀw‖ for r = `residual`, which becomes r − Gᵀw.
    ///
    /// From w = 0, so that of many minimizers it is the shortest; at most 2m + 20 iterations. Zero
    /// if it comes out not finite.
    fn solve(&mut self, jacobian: &Jacobian) {
        let LeastSquares {
            residual,
            solution,
            normal,
            direction,
            image,
        } = self;
        let m = jacobian.rows();
        normal.resize(m, 0.0);
        image.resize(residual.len(), 0.0);
        solution.clear();
        solution.resize(m, 0.0);
        jacobian.mul(residual, normal);
        direction.clone_from(normal);
        let mut gamma = dot(normal, normal);
        let least = ACCURACY * gamma.sqrt();
        for _ in 0..2 * m + 20 {
            let open = gamma.sqrt() > least;
            if !open {
                break;
            }
            jacobian.mul_transpose(direction, image);
            let curvature = dot(image, image);
            if curvature <= 0.0 {
                break;
            }
            let alpha = gamma / curvature;
            axpy(alpha, direction, solution);
            axpy(-alpha, image, residual);
            jacobian.mul(residual, normal);
            let next = dot(normal, normal);
            let beta = next / gamma;
            gamma = next;
            for (d, s) in direction.iter_mut().zip(&*normal) {
                *d = s + beta * *d;
            }
        }
        if !norm(solution).is_finite() {
            solution.fill(0.0);
        }
    }
}
