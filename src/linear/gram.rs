//! Newton systems of generalized linear models, solved in the cheapest of three ways.
//!
//! The Hessian is H = Aᵀ D A + R with A of shape n x d, D = diag(w) ≥ 0 and R a
//! ridge ρ on every coordinate but a free intercept. No inverse of D is taken,
//! so saturated observations (w = 0) are harmless.
//!
//! * **primal**: form H (d x d) and factor it, Σ(row length)² + d³/3 flops.
//! * **dual**, by the Duncan-Guttman identity: with K = D^½ A Aᵀ D^½ (n x n)
//!   H⁻¹g = (g − Aᵀ D^½ (ρI + K)⁻¹ D^½ A g) / ρ,
//!   n³/3 flops; A Aᵀ is formed once for all iterations. The difference cancels
//!   when ρ is small, so each solve is refined by residuals. A free intercept
//!   borders the system; its Schur complement is ρ qᵀ(ρI + K)⁻¹q, q = D^½ 1.
//! * **cg**: preconditioned conjugate gradients with products by A and Aᵀ,
//!   4 flops an entry and iteration. Needs neither matrix.
//!
//! Reference: W. J. Duncan, "Some devices for the solution of large sets of
//! simultaneous linear equations" (1944); L. Guttman, "Enlargement methods for
//! computing the inverse matrix" (1946).

use super::{Breakdown, DenseCholesky, DiagonalRange, Factor};
use crate::edge::{Stored, SymView};
use crate::models::design::{Design, GramScratch};
use crate::parallel::{dot, norm};
use faer::{Mat, MatMut};

/// How the system of Aᵀ diag(w) A, or of JᵀQJ in a Gauss-Newton method, plus a ridge is solved;
/// n is the number of rows of A or of outputs in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum GramSolve {
    /// The cheapest by counted flops among those that fit the memory limit.
    #[default]
    Auto,
    /// Cholesky of the d x d matrix.
    Primal,
    /// Cholesky of an n x n matrix; needs a positive ridge.
    Dual,
    /// Conjugate gradients.
    Cg,
}

/// Largest number of doubles that [`GramSolve::Auto`] spends on one matrix (512 MiB).
const MEMORY: f64 = (1u64 << 26) as f64;
/// Iterations that `Auto` expects of conjugate gradients in one Newton iteration.
const CG_ITERATIONS: f64 = 300.0;
/// Steps of iterative refinement in the dual; each costs two passes and a solve.
const REFINEMENTS: usize = 3;

/// View of Aᵀ diag(w) A plus a ridge.
#[derive(Clone, Copy)]
pub struct GramView<'a> {
    pub(crate) design: &'a Design,
    pub(crate) weight: &'a [f64],
    pub(crate) ridge: f64,
    /// A last coordinate for a column of ones, without ridge.
    pub(crate) intercept: bool,
    pub(crate) solve: GramSolve,
    /// Part of the rows it is made of; where it is less than 1 a Hessian that is asked for again at its
    /// point is made of more.
    pub(crate) part: f64,
}

impl GramView<'_> {
    /// d, the intercept included.
    pub fn dimension(&self) -> usize {
        self.design.features() + usize::from(self.intercept)
    }

    /// The way of solving, with `Auto` resolved.
    pub fn way(&self) -> GramSolve {
        if self.solve != GramSolve::Auto {
            return self.solve;
        }
        let (n, d) = (self.design.nrows() as f64, self.dimension() as f64);
        let primal = (d * d <= MEMORY).then_some(self.design.gram_work() + d.powi(3) / 3.0);
        let dual = (n < d && n * n <= MEMORY / 2.0 && self.ridge > 0.0)
            .then_some(n * n + n.powi(3) / 3.0 + 16.0 * self.design.entries() as f64);
        let cg = 4.0 * self.design.entries() as f64 * CG_ITERATIONS;
        match (primal, dual) {
            (Some(p), Some(q)) if q <= p && q <= cg => GramSolve::Dual,
            (None, Some(q)) if q <= cg => GramSolve::Dual,
            (Some(p), _) if p <= cg || d <= 512.0 => GramSolve::Primal,
            _ => GramSolve::Cg,
        }
    }

    /// Cost of forming and factoring H in gradients, by counted flops; at least one.
    pub(crate) fn relative_cost(&self) -> f64 {
        let gradient = 4.0 * self.design.entries().max(1) as f64;
        let work = self.design.gram_work() + (self.dimension() as f64).powi(3) / 3.0;
        (work / gradient).max(1.0)
    }

    /// Ridge on coordinate j.
    fn ridge(&self, j: usize) -> f64 {
        if j >= self.design.features() {
            0.0
        } else {
            self.ridge
        }
    }

    /// out = (H + shift I) v.
    pub(crate) fn mul(&self, shift: f64, v: &[f64], out: &mut [f64]) {
        self.design.product(self.weight, v, out);
        for (j, (out, v)) in out.iter_mut().zip(v).enumerate() {
            *out += (self.ridge(j) + shift) * v;
        }
    }

    /// Reports the first weight that is not finite.
    pub(crate) fn check_weights(&self) -> Result<(), Breakdown> {
        match self.weight.iter().position(|w| !w.is_finite()) {
            Some(row) => Err(Breakdown::NonFinite { row, col: row }),
            None => Ok(()),
        }
    }

    /// Extremes of the diagonal of H; `work` has d entries of scratch.
    pub(crate) fn diagonal_range(&self, work: &mut [f64]) -> Result<DiagonalRange, Breakdown> {
        self.check_weights()?;
        self.diagonal(work);
        Ok(DiagonalRange {
            min: work.iter().copied().fold(f64::INFINITY, f64::min),
            max_abs: work.iter().fold(0.0, |most, a| a.abs().max(most)),
        })
    }

    /// Hands the formed matrix to `visit`; for small problems and tests.
    pub(crate) fn formed(&self, visit: impl FnOnce(SymView<'_>)) {
        let d = self.dimension();
        let mut h = Mat::zeros(d, d);
        self.form(h.as_mut(), &mut GramScratch::default());
        visit(SymView::Dense(h.as_ref(), Stored::Lower));
    }

    /// H itself, both triangles, for solvers that want a matrix.
    ///
    /// Cost: Σ(row length)² flops; d² doubles and as many for each of up to 16 stripes of the rows
    /// are allocated at each call.
    pub fn to_dense(&self) -> Mat<f64> {
        let d = self.dimension();
        let mut h = Mat::zeros(d, d);
        self.form(h.as_mut(), &mut GramScratch::default());
        for j in 1..d {
            for i in 0..j {
                h[(i, j)] = h[(j, i)];
            }
        }
        h
    }

    /// Writes the lower triangle of H.
    pub(crate) fn form(&self, mut out: MatMut<'_, f64>, scratch: &mut GramScratch) {
        self.design.gram(self.weight, out.as_mut(), scratch);
        for j in 0..self.dimension() {
            out[(j, j)] += self.ridge(j);
        }
    }

    /// The diagonal of H.
    pub(crate) fn diagonal(&self, out: &mut [f64]) {
        self.design.weighted_squares(self.weight, out);
        for (j, out) in out.iter_mut().enumerate() {
            *out += self.ridge(j);
        }
    }
}

/// Factorization of a [`GramView`], primal or dual.
#[derive(Debug, Default)]
pub(crate) struct GramFactor {
    way: GramSolve,
    shift: f64,
    factor: DenseCholesky,
    scratch: GramScratch,
    root: Vec<f64>,
    /// (ρI + K)⁻¹ q and its product with q, for the intercept.
    border: Vec<f64>,
    border_dot: f64,
    rows: Vec<f64>,
    rhs: Vec<f64>,
    residual: Vec<f64>,
    product: Vec<f64>,
    work: Vec<f64>,
}

impl GramFactor {
    /// Factors H + shift I.
    pub(crate) fn factor(&mut self, view: &GramView<'_>, shift: f64) -> Result<(), Breakdown> {
        let (n, d) = (view.design.nrows(), view.dimension());
        self.shift = shift;
        self.rows.resize(n, 0.0);
        self.way = view.way();
        view.check_weights()?;
        if self.way != GramSolve::Dual {
            let scratch = &mut self.scratch;
            return self
                .factor
                .factor_with(d, shift, &mut |out| view.form(out, scratch));
        }
        self.rhs.resize(d, 0.0);
        self.residual.resize(d, 0.0);
        self.product.resize(d, 0.0);
        self.root.resize(n, 0.0);
        for (root, w) in self.root.iter_mut().zip(view.weight) {
            *root = w.sqrt();
        }
        let ridge = view.ridge + shift;
        if ridge <= 0.0 {
            return Err(Breakdown::NotPositiveDefinite { pivot: n.min(d) });
        }
        let (root, gram) = (&self.root, view.design.row_gram());
        // A ridge below the rounding of K is lost in ρI + K: the identity would divide noise by ρ.
        let largest = (0..n)
            .map(|i| root[i] * root[i] * gram[(i, i)])
            .fold(0.0, f64::max);
        if ridge < n as f64 * f64::EPSILON * largest {
            return Err(Breakdown::NotPositiveDefinite {
                pivot: n.min(d) - 1,
            });
        }
        self.factor.factor_with(n, 0.0, &mut |mut out| {
            for j in 0..n {
                for i in j..n {
                    out[(i, j)] = root[i] * root[j] * gram[(i, j)];
                }
                out[(j, j)] += ridge;
            }
        })?;
        if view.intercept {
            self.border.clear();
            self.border.extend_from_slice(&self.root);
            self.factor.solve_in_place(&mut self.border)?;
            self.border_dot = dot(&self.root, &self.border);
            // A shift acts on the intercept too.
            if ridge * self.border_dot + shift <= 0.0 {
                return Err(Breakdown::NotPositiveDefinite { pivot: d - 1 });
            }
        }
        Ok(())
    }

    /// The factor of the d x d matrix, if that is what was factored.
    pub(crate) fn primal(&self) -> Option<&DenseCholesky> {
        (self.way != GramSolve::Dual).then_some(&self.factor)
    }

    pub(crate) fn primal_mut(&mut self) -> Option<&mut DenseCholesky> {
        (self.way != GramSolve::Dual).then_some(&mut self.factor)
    }

    /// Overwrites v by (H + shift I)⁻¹ v.
    pub(crate) fn solve_in_place(
        &mut self,
        view: &GramView<'_>,
        v: &mut [f64],
    ) -> Result<(), Breakdown> {
        if self.way != GramSolve::Dual {
            return self.factor.solve_in_place(v);
        }
        let mut rhs = std::mem::take(&mut self.rhs);
        let mut residual = std::mem::take(&mut self.residual);
        rhs.copy_from_slice(v);
        let result = self.refined(view, &rhs, v, &mut residual);
        self.rhs = rhs;
        self.residual = residual;
        result
    }

    fn refined(
        &mut self,
        view: &GramView<'_>,
        rhs: &[f64],
        v: &mut [f64],
        residual: &mut [f64],
    ) -> Result<(), Breakdown> {
        self.dual_solve(view, v)?;
        let mut best = f64::INFINITY;
        for _ in 0..REFINEMENTS {
            view.mul(self.shift, v, residual);
            for (r, b) in residual.iter_mut().zip(rhs) {
                *r = b - *r;
            }
            let size = norm(residual);
            if size <= f64::EPSILON * norm(rhs) || size > 0.5 * best {
                break;
            }
            best = size;
            self.dual_solve(view, residual)?;
            for (v, r) in v.iter_mut().zip(&*residual) {
                *v += r;
            }
        }
        Ok(())
    }

    /// vᵀ (H + shift I)⁻¹ v.
    pub(crate) fn inverse_norm_squared(
        &mut self,
        view: &GramView<'_>,
        v: &[f64],
    ) -> Result<f64, Breakdown> {
        if self.way != GramSolve::Dual {
            return self.factor.inverse_norm_squared(v);
        }
        let mut work = std::mem::take(&mut self.work);
        work.clear();
        work.extend_from_slice(v);
        let solved = self.solve_in_place(view, &mut work);
        let squared = dot(v, &work).max(0.0);
        self.work = work;
        solved.map(|()| squared)
    }

    /// One solve by the identity, bordered for a free intercept.
    fn dual_solve(&mut self, view: &GramView<'_>, v: &mut [f64]) -> Result<(), Breakdown> {
        let features = view.design.features();
        let ridge = view.ridge + self.shift;
        // The intercept's right-hand side is taken out, so that A acts on features only.
        let last = view.intercept.then(|| std::mem::take(&mut v[features]));
        view.design.mul(v, &mut self.rows);
        for (r, root) in self.rows.iter_mut().zip(&self.root) {
            *r *= root;
        }
        // rows = (ρI + K)⁻¹ D^½ A g
        self.factor.solve_in_place(&mut self.rows)?;
        let mut intercept = 0.0;
        if let Some(rhs) = last {
            // Schur: (ρ qᵀ(ρI+K)⁻¹q + shift) b = rhs − qᵀ(ρI+K)⁻¹D^½Ag
            let schur = ridge * self.border_dot + self.shift;
            intercept = (rhs - dot(&self.root, &self.rows)) / schur;
            // (M⁻¹c) b with M⁻¹AᵀD^½q = AᵀD^½(ρI+K)⁻¹q is folded into the same Aᵀ.
            for (r, border) in self.rows.iter_mut().zip(&self.border) {
                *r += ridge * intercept * border;
            }
        }
        for (r, root) in self.rows.iter_mut().zip(&self.root) {
            *r *= root;
        }
        view.design.mul_transpose(&self.rows, &mut self.product);
        for (v, p) in v[..features].iter_mut().zip(&self.product) {
            *v = (*v - p) / ridge;
        }
        if last.is_some() {
            v[features] = intercept;
        }
        Ok(())
    }
}
