//! The linearized problem min ‖t + Ap̂‖² in scaled variables, A = WJD⁻¹ and p̂ = Dp.
//!
//! Dense Jacobians are reduced to their shorter side and to singular values, after which every
//! damping α costs O(min(m, n)); sparse ones go through the normal equations of the shorter
//! side, one factorization per α and steps of refinement with A itself.

use crate::edge::RectView;
use crate::linear::Breakdown;

mod dense;
mod sparse;

use dense::Dense;
use sparse::Sparse;

/// A step of the linearized problem.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solution {
    /// α in (AᵀA + αI)p̂ = −Aᵀt.
    pub(super) alpha: f64,
    /// ‖p̂‖.
    pub(super) length: f64,
    /// ½‖t‖² − ½‖t + Ap̂‖².
    pub(super) predicted: f64,
}

/// The linearized problem at one point.
#[derive(Debug, Default)]
pub struct System {
    is_sparse: bool,
    loaded: bool,
    dense: Dense,
    sparse: Sparse,
    /// The step without damping.
    newton: Solution,
    pub(super) factorizations: u64,
}

impl System {
    /// Copies the Jacobian with its rows weighted; sparse storage stays sparse.
    pub(super) fn load(
        &mut self,
        view: RectView<'_>,
        weights: Option<&[f64]>,
    ) -> Result<(), Breakdown> {
        self.loaded = false;
        self.is_sparse = matches!(view, RectView::Columns(_) | RectView::Rows(_));
        if self.is_sparse {
            self.sparse.load(view, weights)
        } else {
            self.dense.load(view, weights)
        }
    }

    /// Whether there is a linearized problem, which a resumed run must make again.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether there are fewer residuals than variables.
    pub(super) fn is_wide(&self) -> bool {
        if self.is_sparse {
            self.sparse.normal.is_wide()
        } else {
            self.dense.factor.is_wide()
        }
    }

    /// Symbolic analyses so far.
    pub(super) fn analyses(&self) -> u64 {
        self.sparse.normal.analyses()
    }

    /// Norms of the columns of WJ, and the gradient (WJ)ᵀt.
    pub(super) fn measure(&mut self, t: &[f64], norms: &mut [f64], gradient: &mut [f64]) {
        if self.is_sparse {
            self.sparse.measure(t, norms, gradient);
        } else {
            self.dense.measure(t, norms, gradient);
        }
    }

    /// Divides column j by `scale[j]` (a zero one is left zero) and factors. With
    /// `plain_norm` the undamped step of a matrix without full rank is the one with the least
    /// ‖p‖ instead of the least ‖p̂‖.
    pub(super) fn factor(
        &mut self,
        t: &[f64],
        scale: &[f64],
        plain_norm: bool,
    ) -> Result<(), Breakdown> {
        self.factorizations += 1;
        self.newton = if self.is_sparse {
            self.sparse.factor(t, scale)?
        } else {
            self.dense.factor(t, scale, plain_norm)?
        };
        self.loaded = true;
        Ok(())
    }

    /// A first guess of α, where each α costs a factorization.
    pub(super) fn guess(&mut self, alpha: f64) {
        self.sparse.last = alpha;
    }

    /// The step without damping, of least norm if there are several.
    pub(super) fn newton(&self) -> Solution {
        self.newton
    }

    /// p̂ of the step without damping.
    pub(super) fn newton_scaled(&self) -> &[f64] {
        if self.is_sparse {
            &self.sparse.newton
        } else {
            &self.dense.newton
        }
    }

    /// Writes the step without damping.
    pub(super) fn newton_step(&self, out: &mut [f64]) -> Solution {
        out.copy_from_slice(self.newton_scaled());
        self.newton
    }

    /// Writes the minimizer in the ball ‖p̂‖ ≤ `radius`; if it lies on the boundary, to 1 % (dense)
    /// or 10 % (sparse) of the radius.
    pub(super) fn restricted_step(
        &mut self,
        radius: f64,
        out: &mut [f64],
    ) -> Result<Solution, Breakdown> {
        if self.newton.length <= radius {
            return Ok(self.newton_step(out));
        }
        if self.is_sparse {
            self.sparse
                .restricted(radius, out, &mut self.factorizations)
        } else {
            Ok(self.dense.restricted(radius, out))
        }
    }

    /// Singular values and right vectors (n x n) of A, if it is dense with m ≥ n, and the rank.
    pub(super) fn spectrum(&self) -> Option<(&[f64], &[f64], usize)> {
        let dense = self.loaded && !self.is_sparse && !self.is_wide();
        dense.then(|| {
            let factor = &self.dense.factor;
            (factor.values(), factor.right_vectors(), self.dense.rank)
        })
    }
}
