//! The seam between the method and the solvers of its linear systems.
//!
//! K z = −N with K = [[B, Gᵀ], [G, 0]], B = H + tI, z = (p, q). A solver takes the matrix over
//! once per point and shift, and then improves z to smaller and smaller residuals, each time
//! from where it stopped.

pub(super) mod direct;
pub(super) mod minres;
mod precondition;
mod refine;
pub(super) mod sketch;
mod sparse_kkt;

use super::point::Point;
use crate::edge::{Stored, SymView};
use crate::linear::{Inertia, axpy, sym_mul};
use crate::oracle::{Counted, Curvature, Oracle};
use crate::parallel::norm;
use crate::status::Failed;
use crate::step::Fault;

/// How the linear systems K z = −N are solved; see the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Inner {
    /// [`Direct`](Inner::Direct) if n + m ≤ 200. Else [`Minres`](Inner::Minres), until it falls behind by ten direct
    /// solves, in counted flops, since it was ahead last, or does not solve a system; then
    /// [`Direct`](Inner::Direct) for good. Always `Minres` if the Hessian is known by its products alone.
    #[default]
    Auto,
    /// LDLᵀ of K, sparse after a minimum-degree ordering if Hessian and Jacobian are sparse and
    /// n + m > 100, else dense with rook pivoting. The shift makes the inertia (n, m, 0).
    Direct,
    /// MINRES, preconditioned by diag(B) and the Cholesky factor of G diag(B)⁻¹Gᵀ. Alone it
    /// takes products with the Hessian.
    Minres,
    /// Sketch and project: z ← z − KS(SᵀK²S)⁺Sᵀ(Kz + N) with random S.
    Sketch(Sketch),
}

/// The random matrix S of n + m rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sketch {
    /// Block Kaczmarz: so many different rows, drawn with probabilities as their squared norms. 1 is
    /// the randomized Kaczmarz method.
    Rows(usize),
    /// So many normal vectors.
    Gaussian(usize),
}

impl Default for Sketch {
    /// 30 rows, the fastest of those that we measured.
    fn default() -> Self {
        Sketch::Rows(30)
    }
}

impl Sketch {
    pub(super) fn size(self) -> usize {
        match self {
            Sketch::Rows(q) | Sketch::Gaussian(q) => q,
        }
    }
}

/// The system at one point with one shift.
#[derive(Clone, Copy)]
pub(super) struct System<'a> {
    pub(super) at: &'a Point,
    /// t.
    pub(super) shift: f64,
}

/// An approximate solution z with its residual.
#[derive(Debug, Clone, Default)]
pub(super) struct Solution {
    pub(super) z: Vec<f64>,
    /// r = Kz + N.
    pub(super) residual: Vec<f64>,
    /// ‖r‖.
    pub(super) size: f64,
}

impl Solution {
    /// z = 0, r = N.
    pub(super) fn reset(&mut self, at: &Point) {
        self.z.clear();
        self.z.resize(at.residual.len(), 0.0);
        self.residual.clone_from(&at.residual);
        self.size = at.size();
    }

    /// r = Kz + N from scratch.
    pub(super) fn refresh(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<(), Fault> {
        system.apply(oracle, &self.z, &mut self.residual)?;
        axpy(1.0, &system.at.residual, &mut self.residual);
        self.size = norm(&self.residual);
        Ok(())
    }
}

/// A solver of the systems.
pub(super) trait InnerSolver {
    /// Takes over K; its inertia if it is known.
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<Option<Inertia>, Fault>;
    /// Improves `z` until ‖Kz + N‖ ≤ `target`; false if that cannot be had.
    fn improve(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        target: f64,
    ) -> Result<bool, Fault>;
    /// Overwrites p by a part of it in the kernel of G; for solvers that do not know the inertia.
    fn tangent(&mut self, _system: System<'_>, _p: &mut [f64]) -> Result<(), Fault> {
        Ok(())
    }
}

impl System<'_> {
    pub(super) fn n(&self) -> usize {
        self.at.x.len()
    }
    /// n + m.
    pub(super) fn order(&self) -> usize {
        self.at.residual.len()
    }

    /// Flops of a product with K, where H is a matrix.
    fn product_flops(&self, oracle: &Counted<'_>) -> f64 {
        let hessian = match oracle.curvature() {
            Curvature::Products => 0,
            Curvature::Matrix(SymView::Gram(gram)) => 4 * gram.design.entries(),
            Curvature::Matrix(SymView::RankOne { vector, .. }) => 4 * vector.len(),
            Curvature::Matrix(SymView::Sparse(matrix, Stored::Both)) => 2 * matrix.compute_nnz(),
            Curvature::Matrix(SymView::Sparse(matrix, _)) => 4 * matrix.compute_nnz(),
            Curvature::Matrix(_) => 2 * self.n() * self.n(),
        };
        (hessian + 4 * self.at.jacobian.entries()) as f64
    }

    /// `out` = K z.
    pub(super) fn apply(
        &self,
        oracle: &mut Counted<'_>,
        z: &[f64],
        out: &mut [f64],
    ) -> Result<(), Fault> {
        let (p, q) = z.split_at(self.n());
        let (top, bottom) = out.split_at_mut(self.n());
        // Gᵀq goes through the storage of the product with H.
        hessian_times(oracle, p, top)?;
        axpy(self.shift, p, top);
        if !q.is_empty() {
            for (j, top) in top.iter_mut().enumerate() {
                *top += self
                    .at
                    .jacobian
                    .column(j)
                    .map(|(i, a)| a * q[i])
                    .sum::<f64>();
            }
        }
        self.at.jacobian.mul(p, bottom);
        Ok(())
    }
}

/// `out` = H v for the curvature that the oracle keeps.
pub(super) fn hessian_times(
    oracle: &mut Counted<'_>,
    v: &[f64],
    out: &mut [f64],
) -> Result<(), Fault> {
    match oracle.curvature() {
        Curvature::Products => return Ok(oracle.product(v, out)?),
        Curvature::Matrix(SymView::Gram(gram)) => gram.mul(0.0, v, out),
        Curvature::Matrix(view) => sym_mul(view, v, out).map_err(|_| Failed::Breakdown)?,
    }
    Ok(())
}
