//! The direction d = −(JᵀQJ/b + λI)⁻¹g of a batch, with a penalty inside of λ and g.
//!
//! With J̃ = BᵀJ and g = J̃ᵀs/b + y, where y = Jᵀe/b + μx is what B does not reach:
//!
//! | way | solves | direction |
//! |---|---|---|
//! | rows | (J̃J̃ᵀ + bλI)a = s − J̃y/λ | d = −J̃ᵀa − y/λ |
//! | columns | (J̃ᵀJ̃/b + λI)d = −g | |
//! | products | the same by conjugate gradients | |
//!
//! The first is the identity of Duncan and Guttman (push-through, Woodbury). y is zero, and costs
//! nothing, without a penalty and for slopes in the range of Q.

use super::factors::Factors;
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::linear::cg::{CgEnd, CgOptions, TruncatedCg};
use crate::linear::{Breakdown, DenseCholesky, Factor, GramSolve, axpy};
use crate::method::stochastic::OutputBatch;
use crate::oracle::{Abort, Counted, Oracle};
use crate::parallel::{degree, dot};
use crate::status::Failed;
use crate::step::Fault;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef};

/// The largest matrix, in doubles (2 GiB).
const LARGEST: usize = 1 << 28;
/// Doubles of a Jacobian that the column side makes at once (32 MiB).
const SLICE: usize = 1 << 22;
/// Above this many rows and columns `Auto` takes conjugate gradients.
const DIRECT: usize = 4000;
/// Attempts to factor, each with ten times the λ of the one before.
const ATTEMPTS: u64 = 4;
const CG: CgOptions = CgOptions {
    relative_tolerance: 1e-5,
    step_tolerance: f64::INFINITY,
    max_iterations: 50,
    radius: f64::INFINITY,
};

/// Solves for the direction of a batch; all of it is work memory.
#[derive(Debug, Default)]
pub(super) struct System {
    pub(super) factors: Factors,
    /// z and r of the batch, c numbers a term.
    pub(super) z: Vec<f64>,
    pub(super) r: Vec<f64>,
    /// JJᵀ and then BᵀJJᵀ, or J and then J̃, by columns.
    matrix: Vec<f64>,
    /// J̃ᵀJ̃/b, lower triangle.
    square: Vec<f64>,
    factor: DenseCholesky,
    cg: TruncatedCg,
    /// c numbers a term.
    u: Vec<f64>,
    /// q numbers a term.
    a: Vec<f64>,
    image: Vec<f64>,
    y: Vec<f64>,
    g: Vec<f64>,
    terms: Vec<usize>,
    block: Vec<f64>,
    work: Vec<f64>,
}

/// The sizes of one solve.
#[derive(Clone, Copy)]
struct Shape {
    /// Terms.
    b: usize,
    /// Outputs of a term.
    c: usize,
    /// Columns of B.
    q: usize,
    /// Parameters.
    d: usize,
    /// μ of the penalty.
    l2: f64,
}

fn failed(breakdown: Breakdown) -> Fault {
    match breakdown {
        Breakdown::NonFinite { .. } => Failed::NonFinite.into(),
        Breakdown::NotPositiveDefinite { .. } => Failed::NotPositiveDefinite.into(),
        _ => Failed::Breakdown.into(),
    }
}

fn fits(what: &'static str, rows: usize, columns: usize) -> Result<(), Error> {
    if rows.saturating_mul(columns) <= LARGEST {
        return Ok(());
    }
    Err(Error::TooLarge {
        what,
        rows,
        columns,
    })
}

impl System {
    /// Writes d for λ, without the penalty, and returns the λ that it was computed with.
    pub(super) fn solve(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        way: GramSolve,
        lambda: f64,
        d: &mut [f64],
    ) -> Result<f64, Fault> {
        let shape = Shape {
            b: at.terms,
            c: oracle.outputs_len(),
            q: self.factors.width(),
            d: d.len(),
            l2: oracle.l2(),
        };
        self.block.resize(shape.c, 0.0);
        self.work.resize(shape.c, 0.0);
        self.u.resize(shape.b * shape.c, 0.0);
        let auto = way == GramSolve::Auto;
        let mut way = if auto { shape.cheapest() } else { way };
        if way == GramSolve::Dual {
            way = match self.load_rows(oracle, at, shape) {
                // Without a short way to JJᵀ the Jacobian may not fit where JJᵀ does.
                Err(Refused::Large(_)) if auto => GramSolve::Cg,
                Err(Refused::Large(error)) => return Err(oracle.fail(error).into()),
                Err(Refused::Abort) => return Err(Fault::Abort),
                Ok(()) => GramSolve::Dual,
            };
        }
        match way {
            GramSolve::Dual => self.rows(oracle, at, shape, lambda, d),
            GramSolve::Primal => self.columns(oracle, at, shape, lambda, d),
            _ => self.products(oracle, at, shape, lambda, d),
        }
    }

    /// Writes the gradient g = Jᵀr/b + μx.
    pub(super) fn gradient(
        &self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        g: &mut [f64],
    ) -> Result<(), Abort> {
        oracle.batch_vjp(at.x, at.batch, &self.r, g)?;
        let l2 = oracle.l2();
        for (g, x) in g.iter_mut().zip(at.x) {
            *g = *g / at.terms as f64 + l2 * x;
        }
        Ok(())
    }

    /// pᵀ(JᵀQJ/b + μI)p.
    pub(super) fn curvature(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        p: &[f64],
    ) -> Result<f64, Abort> {
        let c = oracle.outputs_len();
        oracle.batch_jvp(at.x, at.batch, p, &mut self.u)?;
        let mut sum = 0.0;
        for (k, v) in self.u.chunks_mut(c).enumerate() {
            self.factors.transpose(k, v, &mut self.work);
            sum += v[..self.factors.width()].iter().map(|v| v * v).sum::<f64>();
        }
        Ok(sum / at.terms as f64 + oracle.l2() * dot(p, p))
    }

    /// J̃J̃ᵀ, lower triangle: from JJᵀ if the problem has a short way to it, else from J̃.
    fn load_rows(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        shape: Shape,
    ) -> Result<(), Refused> {
        let rows = shape.b * shape.c;
        fits("JJᵀ of the outputs of a batch", rows, rows)?;
        self.matrix.resize(rows * rows, 0.0);
        let out = MatMut::from_column_major_slice_mut(&mut self.matrix, rows, rows);
        if !oracle.batch_gram(at.x, at.batch, out)? {
            fits("the Jacobian of the outputs of a batch", rows, shape.d)?;
            self.matrix.resize(rows * shape.d, 0.0);
            let out = MatMut::from_column_major_slice_mut(&mut self.matrix, rows, shape.d);
            oracle.batch_jacobian(at.x, at.batch, out)?;
            self.squash(rows, shape, 0);
            let n = shape.b * shape.q;
            self.square.resize(n * n, 0.0);
            let tall = MatRef::from_column_major_slice(&self.matrix, rows, shape.d).subrows(0, n);
            let out = MatMut::from_column_major_slice_mut(&mut self.square, n, n);
            triangle(out, Accum::Replace, tall, tall.transpose(), 1.0);
            return Ok(());
        }
        self.squash(rows, shape, 0);
        self.gather(rows, shape);
        Ok(())
    }

    /// Overwrites the first q/c of the rows of the matrix by Bᵀ times the matrix, whose first term
    /// is `first` in the batch.
    fn squash(&mut self, rows: usize, shape: Shape, first: usize) {
        if self.factors.is_one() {
            return;
        }
        let (c, q) = (shape.c, shape.q);
        for column in self.matrix.chunks_mut(rows.max(1)) {
            for k in 0..column.len() / c {
                let block = &mut column[k * c..(k + 1) * c];
                self.factors.transpose(first + k, block, &mut self.work);
                column.copy_within(k * c..k * c + q, k * q);
            }
        }
    }

    /// BᵀJJᵀB, lower triangle, from BᵀJJᵀ.
    fn gather(&mut self, rows: usize, shape: Shape) {
        let (c, q, n) = (shape.c, shape.q, shape.b * shape.q);
        self.square.resize(n * n, 0.0);
        for j in 0..shape.b {
            let columns = &self.matrix[j * c * rows..(j + 1) * c * rows];
            for i in j * q..n {
                for (k, v) in self.block.iter_mut().enumerate() {
                    *v = columns[k * rows + i];
                }
                self.factors.transpose(j, &mut self.block, &mut self.work);
                for (k, v) in self.block[..q].iter().enumerate() {
                    self.square[(j * q + k) * n + i] = *v;
                }
            }
        }
    }

    /// Factors square + `scale` · λ·I with the least λ of λ₀, 10λ₀, 100λ₀, 1000λ₀ that works.
    fn factor(
        &mut self,
        oracle: &mut Counted<'_>,
        n: usize,
        lambda: f64,
        l2: f64,
        scale: f64,
    ) -> Result<f64, Fault> {
        let mut lambda = lambda;
        let square = &self.square;
        let mut fill = |mut out: MatMut<'_, f64>| {
            for j in 0..n {
                let column = out.as_mut().col_mut(j).subrows_mut(j, n - j);
                for (out, a) in column.iter_mut().zip(&square[j * n + j..(j + 1) * n]) {
                    *out = *a;
                }
            }
        };
        for attempt in 1..=ATTEMPTS {
            oracle.report.factorizations += 1;
            match self.factor.factor_with(n, scale * (lambda + l2), &mut fill) {
                Ok(()) => {
                    oracle.report.shifted += u64::from(attempt > 1);
                    return Ok(lambda);
                }
                Err(Breakdown::NotPositiveDefinite { .. }) if attempt < ATTEMPTS => lambda *= 10.0,
                Err(breakdown) => return Err(failed(breakdown)),
            }
        }
        Err(Failed::NotPositiveDefinite.into())
    }

    fn rows(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        shape: Shape,
        lambda: f64,
        d: &mut [f64],
    ) -> Result<f64, Fault> {
        let (b, n) = (shape.b as f64, shape.b * shape.q);
        let reached = !self.factors.rest && shape.l2 == 0.0;
        if !reached {
            self.load_rest(oracle, at, shape)?;
        }
        let used = self.factor(oracle, n, lambda, shape.l2, b)?;
        let total = used + shape.l2;
        if !reached && total == 0.0 {
            // y would be divided by zero: JᵀQJ is singular where g leaves its range.
            return Err(Failed::NotPositiveDefinite.into());
        }
        self.a.resize(n, 0.0);
        self.a.copy_from_slice(&self.factors.s);
        if !reached {
            axpy(-1.0 / total, &self.image, &mut self.a);
        }
        oracle.report.solves += 1;
        self.factor.solve_in_place(&mut self.a).map_err(failed)?;
        self.spread(shape);
        oracle.batch_vjp(at.x, at.batch, &self.u, d)?;
        if reached {
            d.iter_mut().for_each(|d| *d = -*d);
        } else {
            for (d, y) in d.iter_mut().zip(&self.y) {
                *d = -*d - y / total;
            }
        }
        Ok(used)
    }

    /// y and J̃y.
    fn load_rest(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        shape: Shape,
    ) -> Result<(), Abort> {
        self.y.resize(shape.d, 0.0);
        if self.factors.rest {
            oracle.batch_vjp(at.x, at.batch, &self.factors.e, &mut self.y)?;
        } else {
            self.y.fill(0.0);
        }
        for (y, x) in self.y.iter_mut().zip(at.x) {
            *y = *y / shape.b as f64 + shape.l2 * x;
        }
        oracle.batch_jvp(at.x, at.batch, &self.y, &mut self.u)?;
        self.image.resize(shape.b * shape.q, 0.0);
        let parts = self.u.chunks_mut(shape.c);
        for (k, (v, out)) in parts.zip(self.image.chunks_mut(shape.q)).enumerate() {
            self.factors.transpose(k, v, &mut self.work);
            out.copy_from_slice(&v[..shape.q]);
        }
        Ok(())
    }

    /// u = Ba.
    fn spread(&mut self, shape: Shape) {
        let parts = self.u.chunks_mut(shape.c).zip(self.a.chunks(shape.q));
        for (k, (u, a)) in parts.enumerate() {
            u[..shape.q].copy_from_slice(a);
            self.factors.apply(k, u, &mut self.work);
        }
    }

    fn columns(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        shape: Shape,
        lambda: f64,
        d: &mut [f64],
    ) -> Result<f64, Fault> {
        if let Err(error) = fits("JᵀQJ of a batch", shape.d, shape.d) {
            return Err(oracle.fail(error).into());
        }
        self.square.resize(shape.d * shape.d, 0.0);
        self.square.fill(0.0);
        let most = (SLICE / (shape.c * shape.d).max(1)).max(1);
        if most >= shape.b {
            self.add_columns(oracle, at.x, at.batch, shape, (0, shape.b))?;
        } else {
            let mut terms = std::mem::take(&mut self.terms);
            terms.clear();
            terms.extend((0..shape.b).map(|k| at.batch.term(k)));
            for (k, part) in terms.chunks(most).enumerate() {
                let range = (k * most, part.len());
                self.add_columns(oracle, at.x, Batch::Terms(part), shape, range)?;
            }
            self.terms = terms;
        }
        let used = self.factor(oracle, shape.d, lambda, shape.l2, 1.0)?;
        self.gradient(oracle, at, d)?;
        d.iter_mut().for_each(|d| *d = -*d);
        oracle.report.solves += 1;
        self.factor.solve_in_place(d).map_err(failed)?;
        Ok(used)
    }

    /// Adds J̃ᵀJ̃/b of `count` terms, the first of which is `first` in the batch.
    fn add_columns(
        &mut self,
        oracle: &mut Counted<'_>,
        x: &[f64],
        part: Batch<'_>,
        shape: Shape,
        (first, count): (usize, usize),
    ) -> Result<(), Abort> {
        let rows = count * shape.c;
        self.matrix.resize(rows * shape.d, 0.0);
        let out = MatMut::from_column_major_slice_mut(&mut self.matrix, rows, shape.d);
        oracle.batch_jacobian(x, part, out)?;
        self.squash(rows, shape, first);
        let tall = MatRef::from_column_major_slice(&self.matrix, rows, shape.d);
        let tall = tall.subrows(0, count * shape.q);
        let out = MatMut::from_column_major_slice_mut(&mut self.square, shape.d, shape.d);
        triangle(
            out,
            Accum::Add,
            tall.transpose(),
            tall,
            1.0 / shape.b as f64,
        );
        Ok(())
    }

    fn products(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        shape: Shape,
        lambda: f64,
        d: &mut [f64],
    ) -> Result<f64, Fault> {
        let mut g = std::mem::take(&mut self.g);
        g.resize(shape.d, 0.0);
        self.gradient(oracle, at, &mut g)?;
        g.iter_mut().for_each(|g| *g = -*g);
        let System {
            factors,
            cg,
            u,
            work,
            ..
        } = self;
        let shift = lambda + shape.l2;
        let outcome = cg.solve(&g, None, CG, &mut |v, out| {
            oracle.batch_jvp(at.x, at.batch, v, u)?;
            for (k, u) in u.chunks_mut(shape.c).enumerate() {
                factors.transpose(k, u, work);
                factors.apply(k, u, work);
            }
            oracle.batch_vjp(at.x, at.batch, u, out)?;
            for (out, v) in out.iter_mut().zip(v) {
                *out = *out / shape.b as f64 + shift * v;
            }
            Ok::<(), Abort>(())
        });
        self.g = g;
        oracle.report.solves += 1;
        match outcome?.end {
            CgEnd::NonFinite => return Err(Failed::NonFinite.into()),
            CgEnd::NegativeCurvature => return Err(Failed::NotPositiveDefinite.into()),
            // Every iterate is a descent direction.
            _ => d.copy_from_slice(self.cg.solution()),
        }
        Ok(lambda)
    }
}

impl Shape {
    fn cheapest(self) -> GramSolve {
        let rows = self.b * self.q;
        if rows.min(self.d) > DIRECT {
            GramSolve::Cg
        } else if rows <= self.d {
            GramSolve::Dual
        } else {
            GramSolve::Primal
        }
    }
}

/// Why the row side was not loaded.
enum Refused {
    Abort,
    Large(Error),
}

impl From<Abort> for Refused {
    fn from(_: Abort) -> Self {
        Refused::Abort
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Large(error)
    }
}

/// Lower triangle of out (+)= factor · a b.
fn triangle(
    out: MatMut<'_, f64>,
    accum: Accum,
    a: MatRef<'_, f64>,
    b: MatRef<'_, f64>,
    factor: f64,
) {
    let work = out.nrows() * out.ncols() * a.ncols();
    matmul(
        out,
        BlockStructure::TriangularLower,
        accum,
        a,
        BlockStructure::Rectangular,
        b,
        BlockStructure::Rectangular,
        factor,
        degree(work),
    );
}
