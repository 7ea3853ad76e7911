//! Steps from a regularized quadratic model, for one constant after another.
//!
//! | control | step |
//! |---|---|
//! | M | min gᵀs + ½sᵀ(H + δI)s + (M/6)‖s‖³ |
//! | Δ | min gᵀs + ½sᵀHs over ‖s‖ ≤ Δ |
//! | λ | (H + λI)s = −g |
//!
//! All three are solves with H + λI. Dense matrices are copied once per Hessian
//! and factored by Cholesky for each λ, or reduced to tridiagonal form, after
//! which a λ costs O(d): at once if the Hessian will serve many steps, else when
//! Cholesky has cost as much or the least eigenvalue is needed. Sparse matrices
//! stay sparse, terms of rank one are inverted by the formula of Sherman and
//! Morrison. Products go to a Krylov space (M) or to truncated conjugate
//! gradients (Δ, λ), and cannot be reused.

use super::metric::Metric;
use super::{Direction, Fault, Iterate, NONNEGATIVE, Proposal};
use crate::edge::SymView;
use crate::error::Error;
use crate::linear::cg::{CgEnd, CgOptions, TruncatedCg};
use crate::linear::gram::GramSolve;
use crate::linear::lanczos::{Lanczos, LanczosEnd};
use crate::linear::shifted::{Shifted, ShiftedDense, ShiftedSparse};
use crate::linear::{Breakdown, Tridiagonal, axpy};
use crate::oracle::{Abort, Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::status::Failed;
use crate::subproblem::{self, Solution, SubproblemError, Work as Vectors};

/// What the control of a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Control {
    /// M of the cubic model.
    Cubic,
    /// Δ of the trust region.
    Radius,
    /// λ itself.
    Shift,
}

/// How the curvature is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Form {
    #[default]
    Dense,
    /// H = QTQᵀ.
    Reduced,
    Sparse,
    RankOne,
    /// By the oracle, or by its Gram matrix.
    Products,
}

/// The steps of cubic, trust-region and gradient-regularized methods, and their workspace.
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelStep {
    control: Control,
    /// δ of the cubic model.
    pub(crate) quadratic: f64,
    pub(crate) metric: Metric,
    /// Most vectors of a Krylov space.
    pub(crate) krylov: usize,
    /// Whether a Hessian is expected to serve ten steps and more.
    long: bool,
    form: Form,
    /// λ of the sparse factor in use.
    factored: Option<f64>,
    /// Cholesky factorizations of the dense Hessian in use.
    spent: u64,
    forcing: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

// A clone starts with an empty workspace, which is made again at the next iteration.
impl Clone for ModelStep {
    fn clone(&self) -> Self {
        ModelStep {
            control: self.control,
            quadratic: self.quadratic,
            metric: self.metric.clone(),
            krylov: self.krylov,
            long: self.long,
            form: self.form,
            factored: self.factored,
            spent: self.spent,
            forcing: self.forcing,
            work: Work::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Work {
    dense: ShiftedDense,
    reduced: Tridiagonal,
    sparse: ShiftedSparse,
    rank_one: (f64, Vec<f64>),
    lanczos: Lanczos,
    cg: TruncatedCg,
    vectors: Vectors,
    /// The gradient, in the metric and in the basis of the form.
    gradient: Vec<f64>,
    /// The step, in the metric.
    step: Vec<f64>,
    scratch: Vec<f64>,
    diagonal: Vec<f64>,
    has_diagonal: bool,
    shifted: Vec<f64>,
    /// In the Krylov space: the gradient and the step.
    start: Vec<f64>,
    coefficients: Vec<f64>,
    /// Whether the Krylov space cannot grow.
    last: bool,
    /// Whether no step has been proposed from the present point yet.
    first: bool,
}

/// Most conjugate-gradient iterations per trial, as a multiple of d.
const CG_LIMIT: usize = 10;
/// Vectors by which a Krylov space grows between looks at the residual.
const GROWTH: usize = 5;
/// A reduction of order n costs as much as n/15 Cholesky factorizations (measured for n of 60
/// to 400), and no less than four.
const REDUCTION: u64 = 15;
const MOST_SMALL: usize = 60;
/// Factor on a control that all but removes the regularization.
const RELAXATION: f64 = 1e8;
/// Relative residual of a model's unrestricted minimizer where the solve is iterative.
const UNTRUNCATED: f64 = 1e-8;

impl From<SubproblemError> for Fault {
    fn from(error: SubproblemError) -> Self {
        match error {
            SubproblemError::Breakdown(breakdown) => breakdown.into(),
            SubproblemError::NonFinite => Failed::NonFinite.into(),
            _ => Failed::SubproblemFailed.into(),
        }
    }
}

/// A dense matrix that says so when λ₁ is needed, instead of paying for it.
struct WhileDefinite<'a>(&'a mut ShiftedDense);

impl Shifted for WhileDefinite<'_> {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }
    fn bounds(&self) -> (f64, f64) {
        self.0.bounds()
    }
    fn factor(&mut self, shift: f64) -> Result<bool, Breakdown> {
        self.0.factor(shift)
    }
    fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown> {
        self.0.solve_in_place(v)
    }
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        self.0.inverse_norm_squared(v)
    }
    fn mul(&self, v: &[f64], out: &mut [f64]) {
        self.0.mul(v, out);
    }
    fn leftmost(&mut self, _: &mut [f64]) -> Result<f64, Breakdown> {
        Err(Breakdown::NotPositiveDefinite { pivot: 0 })
    }
    fn factorizations(&self) -> u64 {
        self.0.factorizations()
    }
}

/// A model, but for g and H.
#[derive(Clone, Copy)]
struct Model {
    control: Control,
    value: f64,
    quadratic: f64,
}

/// The step of the model for one control; [`None`] if H + λI is not positive definite.
fn solve(
    model: Model,
    matrix: &mut dyn Shifted,
    factored: &mut Option<f64>,
    g: &[f64],
    s: &mut [f64],
    vectors: &mut Vectors,
) -> Result<Option<Proposal>, SubproblemError> {
    let Model {
        control,
        value,
        quadratic,
    } = model;
    Ok(Some(match control {
        Control::Cubic => {
            *factored = None;
            let solution = subproblem::cubic(matrix, g, quadratic, value, s, vectors)?;
            unregularized(&solution, quadratic)
        }
        Control::Radius => {
            *factored = None;
            let solution = subproblem::ball(matrix, g, value, s, vectors)?;
            Proposal {
                predicted: solution.predicted,
                length: solution.step_norm,
                multiplier: solution.multiplier,
            }
        }
        Control::Shift => {
            let shift = factored.unwrap_or(value);
            if factored.is_none() && !matrix.factor(shift)? {
                return Ok(None);
            }
            *factored = Some(shift);
            s.copy_from_slice(g);
            matrix.solve_in_place(s)?;
            shifted(g, s, shift)
        }
    }))
}

/// The decrease of gᵀs + ½sᵀHs: the model's plus (δ/2)‖s‖² + (M/6)‖s‖³, the latter λ‖s‖²/3.
fn unregularized(solution: &Solution, quadratic: f64) -> Proposal {
    let r = solution.step_norm;
    Proposal {
        predicted: solution.predicted + (0.5 * quadratic + solution.multiplier / 3.0) * r * r,
        length: r,
        multiplier: solution.multiplier,
    }
}

/// Turns (H + λI)⁻¹g into the step, with −gᵀs − ½sᵀHs = ½(λ‖s‖² − gᵀs).
fn shifted(g: &[f64], s: &mut [f64], shift: f64) -> Proposal {
    for s in &mut *s {
        *s = -*s;
    }
    let length = norm(s);
    Proposal {
        predicted: 0.5 * (shift * length * length - dot(g, s)),
        length,
        multiplier: shift,
    }
}

/// Writes L⁻¹HL⁻ᵀv with the curvature that the oracle keeps.
fn multiply(
    oracle: &mut Counted<'_>,
    metric: &Metric,
    v: &[f64],
    out: &mut [f64],
    scratch: &mut [f64],
) -> Result<(), Abort> {
    scratch.copy_from_slice(v);
    metric.step(scratch);
    match oracle.inner.curvature() {
        Curvature::Matrix(SymView::Gram(gram)) => {
            oracle.report.hessian_products += 1;
            gram.mul(0.0, scratch, out);
        }
        _ => oracle.product(scratch, out)?,
    }
    metric.gradient(out);
    Ok(())
}

impl ModelStep {
    pub(crate) fn new(control: Control) -> Self {
        ModelStep {
            control,
            quadratic: 0.0,
            metric: Metric::default(),
            krylov: crate::linear::lanczos::DEFAULT_LIMIT,
            long: false,
            form: Form::default(),
            factored: None,
            spent: 0,
            forcing: 0.1,
            work: Work::default(),
        }
    }

    /// Takes over a matrix, in the variables of the metric.
    fn copy(&mut self, view: SymView<'_>, again: bool) -> Result<(), Breakdown> {
        let work = &mut self.work;
        match view {
            SymView::Sparse(..) if !matches!(self.metric, Metric::Dense { .. }) => {
                self.form = Form::Sparse;
                let scale = match &self.metric {
                    Metric::Diagonal(diagonal) => Some(diagonal.as_slice()),
                    _ => None,
                };
                work.sparse.set_scaled(view, scale)
            }
            SymView::RankOne { weight, vector } if self.control == Control::Shift => {
                self.form = Form::RankOne;
                if !weight.is_finite() {
                    return Err(Breakdown::NonFinite { row: 0, col: 0 });
                }
                if let Some(row) = vector.iter().position(|v| !v.is_finite()) {
                    return Err(Breakdown::NonFinite { row, col: row });
                }
                work.rank_one.0 = weight;
                work.rank_one.1.clear();
                work.rank_one.1.extend_from_slice(vector);
                self.metric.gradient(&mut work.rank_one.1);
                Ok(())
            }
            SymView::Gram(gram) if gram.way() != GramSolve::Primal => {
                self.form = Form::Products;
                gram.check_weights()
            }
            _ => {
                let metric = &self.metric;
                if metric.is_identity() {
                    work.dense.set(view)?;
                } else {
                    work.dense
                        .set_transformed(view, &mut |h| metric.hessian(h))?;
                }
                let reduced = self.long || again && self.form == Form::Reduced;
                self.form = Form::Dense;
                // What a later reduction needs is there from the start.
                self.work.reduced.reserve(self.work.dense.dimension());
                if reduced {
                    self.reduce()?;
                }
                Ok(())
            }
        }
    }

    fn reduce(&mut self) -> Result<(), Breakdown> {
        self.work.dense.reduce(&mut self.work.reduced)?;
        self.form = Form::Reduced;
        Ok(())
    }

    /// The gradient in the variables of the metric, and of the basis.
    fn gradient(&mut self, at: &Iterate) -> Result<(), Breakdown> {
        let work = &mut self.work;
        for v in [&mut work.gradient, &mut work.step, &mut work.scratch] {
            v.resize(at.g.len(), 0.0);
        }
        work.gradient.copy_from_slice(&at.g);
        self.metric.gradient(&mut work.gradient);
        if self.form == Form::Reduced {
            work.scratch.copy_from_slice(&work.gradient);
            work.reduced.to_basis(&work.scratch, &mut work.gradient)?;
        }
        Ok(())
    }

    fn model(&self, value: f64) -> Model {
        Model {
            control: self.control,
            value,
            quadratic: self.quadratic,
        }
    }

    /// Cholesky factorizations and reductions so far.
    fn factorizations(&self) -> u64 {
        self.work.dense.factorizations() + self.work.sparse.factorizations()
    }

    /// By Cholesky until the least eigenvalue is needed, or until that has cost as much as the
    /// reduction.
    fn dense(&mut self, oracle: &mut Counted<'_>, at: &Iterate, value: f64) -> Solved {
        if self.spent * REDUCTION >= at.x.len().max(MOST_SMALL) as u64 {
            return self.turn(oracle, at, value);
        }
        let model = self.model(value);
        let work = &mut self.work;
        let before = work.dense.factorizations();
        let solved = solve(
            model,
            &mut WhileDefinite(&mut work.dense),
            &mut None,
            &work.gradient,
            &mut work.step,
            &mut work.vectors,
        );
        self.spent += work.dense.factorizations() - before;
        match solved {
            Err(SubproblemError::Breakdown(Breakdown::NotPositiveDefinite { .. })) => {
                self.turn(oracle, at, value)
            }
            other => Ok(other?),
        }
    }

    /// Goes over to the tridiagonal form.
    fn turn(&mut self, oracle: &mut Counted<'_>, at: &Iterate, value: f64) -> Solved {
        self.reduce()?;
        oracle.report.factorizations += 1;
        self.gradient(at)?;
        self.reduced(value)
    }

    fn reduced(&mut self, value: f64) -> Solved {
        let model = self.model(value);
        let work = &mut self.work;
        let proposal = solve(
            model,
            work.reduced.matrix_mut(),
            &mut None,
            &work.gradient,
            &mut work.scratch,
            &mut work.vectors,
        )?;
        if proposal.is_some() {
            work.reduced.from_basis(&work.scratch, &mut work.step)?;
        }
        Ok(proposal)
    }

    /// The first λ at a point takes the factor in use if that is within a factor of two; a
    /// rejected step asks for another one.
    fn sparse(&mut self, value: f64) -> Solved {
        let ratio = value / self.factored.unwrap_or(f64::NAN);
        let is_near = ratio > 0.5 && ratio < 2.0;
        if !(is_near && self.work.first) {
            self.factored = None;
        }
        self.work.first = false;
        let model = self.model(value);
        let work = &mut self.work;
        Ok(solve(
            model,
            &mut work.sparse,
            &mut self.factored,
            &work.gradient,
            &mut work.step,
            &mut work.vectors,
        )?)
    }

    /// (λI + avvᵀ)⁻¹g = (g − av(vᵀg)/(λ + a‖v‖²))/λ.
    fn rank_one(&mut self, shift: f64) -> Solved {
        let work = &mut self.work;
        let (weight, v) = &work.rank_one;
        let pivot = shift + weight * dot(v, v);
        if !(shift > 0.0 && pivot > 0.0) {
            return Ok(None);
        }
        let c = weight * (dot(v, &work.gradient) / pivot);
        for ((s, g), v) in work.step.iter_mut().zip(&work.gradient).zip(v) {
            *s = (g - c * v) / shift;
        }
        Ok(Some(shifted(&work.gradient, &mut work.step, shift)))
    }

    /// The cubic model over a Krylov space, grown until the residual is small enough. A
    /// rejected trial goes on with the vectors that are there.
    fn krylov(&mut self, oracle: &mut Counted<'_>, m: f64) -> Solved {
        let work = &mut self.work;
        let tolerance = self.forcing * work.lanczos.start_norm();
        loop {
            let k = work.lanczos.dimension();
            if k > 0 {
                for v in [&mut work.start, &mut work.coefficients] {
                    v.clear();
                    v.resize(k, 0.0);
                }
                work.start[0] = work.lanczos.start_norm();
                let solution = subproblem::cubic(
                    work.lanczos.matrix_mut(),
                    &work.start,
                    self.quadratic,
                    m,
                    &mut work.coefficients,
                    &mut work.vectors,
                )?;
                let residual = work.lanczos.coupling() * work.coefficients[k - 1].abs();
                if residual <= tolerance || work.last {
                    work.lanczos.expand(&work.coefficients, &mut work.step);
                    return Ok(Some(unregularized(&solution, self.quadratic)));
                }
            } else if work.last {
                return Ok(None);
            }
            let (metric, scratch) = (&self.metric, &mut work.scratch);
            let mut apply = |v: &[f64], out: &mut [f64]| multiply(oracle, metric, v, out, scratch);
            let end = work
                .lanczos
                .extend(k + GROWTH, &mut apply, &mut |_, _| false)?;
            work.last = match end {
                LanczosEnd::NonFinite => return Err(Failed::NonFinite.into()),
                LanczosEnd::Invariant => true,
                _ => work.lanczos.dimension() < k + GROWTH,
            };
        }
    }

    /// Truncated conjugate gradients for H + λI, or for H over ‖s‖ ≤ Δ.
    fn conjugate(&mut self, oracle: &mut Counted<'_>, value: f64) -> Solved {
        let work = &mut self.work;
        let (shift, radius) = match self.control {
            Control::Radius => (0.0, value),
            _ => (value, f64::INFINITY),
        };
        let jacobi = work.has_diagonal.then(|| {
            work.shifted.clear();
            work.shifted.extend(work.diagonal.iter().map(|d| d + shift));
            work.shifted.as_slice()
        });
        let options = CgOptions {
            relative_tolerance: self.forcing,
            // An error of the solve then counts as one of the curvature, which the test bears.
            step_tolerance: if shift > 0.0 {
                0.5 * shift
            } else {
                f64::INFINITY
            },
            max_iterations: CG_LIMIT * work.gradient.len().max(10),
            radius,
        };
        let (metric, scratch) = (&self.metric, &mut work.scratch);
        let mut apply = |v: &[f64], out: &mut [f64]| {
            multiply(oracle, metric, v, out, scratch)?;
            axpy(shift, v, out);
            Ok::<(), Abort>(())
        };
        let outcome = work.cg.solve(&work.gradient, jacobi, options, &mut apply)?;
        match outcome.end {
            CgEnd::NonFinite => return Err(Failed::NonFinite.into()),
            CgEnd::NegativeCurvature => return Ok(None),
            _ => {}
        }
        for (s, n) in work.step.iter_mut().zip(work.cg.solution()) {
            *s = -n;
        }
        let length = norm(&work.step);
        Ok(Some(Proposal {
            predicted: outcome.predicted_decrease + 0.5 * shift * length * length,
            length,
            multiplier: shift,
        }))
    }

    /// A proposal, whose step is left in the workspace.
    fn propose(&mut self, oracle: &mut Counted<'_>, at: &Iterate, control: f64) -> Solved {
        let before = self.factorizations();
        let proposal = match (self.form, self.control) {
            (Form::Dense, _) => self.dense(oracle, at, control),
            (Form::Reduced, _) => self.reduced(control),
            (Form::Sparse, _) => self.sparse(control),
            (Form::RankOne, _) => self.rank_one(control),
            (Form::Products, Control::Cubic) => self.krylov(oracle, control),
            (Form::Products, _) => self.conjugate(oracle, control),
        };
        oracle.report.factorizations += self.factorizations() - before;
        oracle.report.solves += 1;
        proposal
    }

    /// The diagonal that preconditions conjugate gradients; a metric does that itself.
    fn precondition(&mut self, oracle: &mut Counted<'_>) -> Result<(), Abort> {
        let work = &mut self.work;
        work.has_diagonal = false;
        if self.control == Control::Cubic || !self.metric.is_identity() {
            return Ok(());
        }
        work.diagonal.resize(work.gradient.len(), 0.0);
        if let Curvature::Matrix(SymView::Gram(gram)) = oracle.inner.curvature() {
            gram.diagonal(&mut work.diagonal);
            work.has_diagonal = true;
            return Ok(());
        }
        work.has_diagonal = oracle.diagonal(&mut work.diagonal)?;
        Ok(())
    }
}

type Solved = Result<Option<Proposal>, Fault>;

impl Direction for ModelStep {
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        dimension: usize,
        again: bool,
    ) -> Result<(), Fault> {
        if let Err(error) = self.metric.check(dimension) {
            return Err(oracle.fail(error).into());
        }
        if !again {
            self.factored = None;
            self.spent = 0;
        }
        match oracle.inner.curvature() {
            Curvature::Matrix(view) => self.copy(view, again)?,
            Curvature::Products => self.form = Form::Products,
        }
        oracle.report.factorizations += u64::from(self.form == Form::Reduced && !again);
        oracle.report.analyses = self.work.sparse.analyses();
        if let (Form::Sparse, Some(shift)) = (self.form, self.factored) {
            self.work.sparse.factor(shift)?;
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        forcing: f64,
    ) -> Result<(), Fault> {
        self.forcing = forcing;
        self.work.first = true;
        self.gradient(at)?;
        if self.form == Form::Products {
            self.precondition(oracle)?;
            if self.control == Control::Cubic {
                let work = &mut self.work;
                work.last = false;
                work.lanczos.set_limit(self.krylov);
                work.lanczos.start(&work.gradient);
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        control: f64,
        out: &mut [f64],
    ) -> Result<Option<Proposal>, Fault> {
        let proposal = self.propose(oracle, at, control)?;
        if let Some(proposal) = &proposal {
            oracle.report.shift = proposal.multiplier;
            out.copy_from_slice(&self.work.step);
            self.metric.step(out);
        }
        Ok(proposal)
    }

    fn unrestricted(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        control: f64,
    ) -> Result<f64, Fault> {
        let relaxed = match self.control {
            Control::Cubic | Control::Shift => control / RELAXATION,
            Control::Radius => control * RELAXATION,
        };
        // Truncated iterations would miss what directions of small curvature promise.
        let forcing = std::mem::replace(&mut self.forcing, UNTRUNCATED);
        let proposal = self.propose(oracle, at, relaxed);
        self.forcing = forcing;
        let proposal = proposal?;
        Ok(proposal.map_or(f64::INFINITY, |p| p.predicted))
    }

    fn check(&self) -> Result<(), Error> {
        if self.krylov == 0 {
            return Err(Error::parameter("krylov", 0.0, "at least 1 vector"));
        }
        Ok(())
    }

    fn expect_reuse(&mut self, is_long: bool) {
        self.long = is_long;
    }

    fn is_reusable(&self) -> bool {
        self.form != Form::Products
    }

    fn dual_norm(&mut self, gradient: &[f64]) -> f64 {
        if self.metric.is_identity() {
            return norm(gradient);
        }
        let scratch = &mut self.work.scratch;
        scratch.copy_from_slice(gradient);
        self.metric.gradient(scratch);
        norm(scratch)
    }

    fn curvature_scale(&mut self, oracle: &mut Counted<'_>, at: &Iterate) -> Result<f64, Fault> {
        let work = &mut self.work;
        let g = &work.gradient;
        let squared = dot(g, g);
        let image = &mut work.step;
        let bounds = match self.form {
            Form::Dense => {
                work.dense.mul(g, image);
                work.dense.bounds()
            }
            Form::Reduced => {
                work.reduced.matrix().mul(g, image);
                work.reduced.matrix().bounds()
            }
            Form::Sparse => {
                work.sparse.mul(g, image);
                work.sparse.bounds()
            }
            Form::RankOne => {
                let (weight, v) = &work.rank_one;
                let c = weight * dot(v, g);
                for (image, v) in image.iter_mut().zip(v) {
                    *image = c * v;
                }
                (0.0, weight * dot(v, v))
            }
            Form::Products => {
                let scratch = &mut work.scratch;
                multiply(oracle, &self.metric, g, image, scratch)?;
                let size = norm(image) / norm(g);
                (-size, size)
            }
        };
        let size = bounds.0.abs().max(bounds.1.abs());
        let along = (dot(g, image) / squared).abs();
        Ok([along, size]
            .into_iter()
            .find(|c| c.is_normal())
            .unwrap_or(at.slope))
    }

    fn is_convex(&mut self, oracle: &mut Counted<'_>) -> Result<bool, Fault> {
        let before = self.factorizations();
        let work = &mut self.work;
        self.factored = None;
        let matrix: &mut dyn Shifted = match self.form {
            Form::Dense => &mut work.dense,
            Form::Reduced => work.reduced.matrix_mut(),
            Form::Sparse => &mut work.sparse,
            Form::RankOne => return Ok(work.rank_one.0 >= 0.0),
            Form::Products => return Ok(false),
        };
        let (low, high) = matrix.bounds();
        let size = low.abs().max(high.abs());
        let convex = size == 0.0 || matrix.factor(NONNEGATIVE * size)?;
        oracle.report.factorizations += self.factorizations() - before;
        Ok(convex)
    }
}
