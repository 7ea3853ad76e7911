//! Linear models over a cache.

use super::rows::{Block, Row, StreamedRows};
use crate::edge::{Stored, SymMat, SymView};
use crate::error::Error;
use crate::models::batch::{LastBatch, penalty};
use crate::models::linear::{LinearModel, Loss, recedes};
use crate::models::logistic::Logistic;
use crate::parallel::{chunks_mut, norm};
use crate::status::Failed;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Blocks evaluated side by side, if their results have few numbers, and else.
const WAVE: (usize, usize) = (8, 2);
/// Up to this many numbers are few.
const FEW: usize = 1 << 20;
/// Rows per rank-k update of a dense Hessian.
const TILE: usize = 512;

/// A [`LinearModel`] over rows on disk: logistic regression, or any [`Loss`] of a margin.
///
/// f = (1/n) Σᵢ ℓ(mᵢ, yᵢ) + (μ/2)‖w‖², m = Aw + b, and the derivatives of [`LinearModel`], to rounding.
///
/// # Cost
/// Every evaluation is a pass over the file; value and gradient at one point share it, whichever is
/// asked for first. Nothing is kept of a row, so a product with the Hessian computes the margins
/// again. A pass works on 8 blocks of up to 4 MiB at once, each with its own result: memory is 9 d
/// numbers for a gradient or product, and 9 d² for a Hessian, above d = 1024 3 d². The Hessian is
/// formed; with many features use `matrix_free()`.
///
/// Batches are read row by row and evaluated by a [`LinearModel`] of them: on a disk a random row
/// costs as much as a page.
///
/// # Errors
/// Besides those of [`LinearModel`] what reading a block reports, [`Error::Cache`] or
/// [`Error::Io`].
#[derive(Debug)]
pub struct StreamedModel<L> {
    pub(super) shared: Arc<Shared<L>>,
    /// The last point with value and gradient.
    last: Mutex<Option<Evaluated>>,
    origin_slope: OnceLock<f64>,
    batch: LastBatch<LinearModel<L>>,
}

/// Logistic regression over rows on disk.
pub type StreamedLogistic = StreamedModel<Logistic>;

#[derive(Debug, Clone)]
struct Evaluated {
    x: Vec<f64>,
    f: f64,
    g: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Shared<L> {
    pub(super) rows: StreamedRows,
    loss: L,
    /// What the loss takes for a label.
    target: fn(&L, f64) -> f64,
    l2: f64,
    intercept: bool,
    defect: Option<String>,
    passes: AtomicU64,
}

/// What a pass over one block gives.
struct Partial {
    error: Option<Error>,
    value: f64,
    low: f64,
    high: f64,
    sum: Vec<f64>,
    tile: Option<Mat<f64>>,
}

impl StreamedModel<Logistic> {
    /// Logistic regression; the larger of the two labels of the file is the positive class.
    pub fn logistic(rows: StreamedRows) -> Self {
        let (loss, defect) = match rows.classes() {
            Some(classes) => Logistic::of(classes),
            None => {
                let text = "too many labels for classes: a binary model takes two";
                (Logistic::of(&[]).0, Some(text.to_string()))
            }
        };
        StreamedModel::of(Shared {
            defect,
            target: Logistic::sign,
            ..Shared::new(rows, loss)
        })
    }
}

impl<L: Loss> Shared<L> {
    fn new(rows: StreamedRows, loss: L) -> Self {
        Shared {
            rows,
            loss,
            target: |_, y| y,
            l2: 0.0,
            intercept: false,
            defect: None,
            passes: AtomicU64::new(0),
        }
    }
}

impl<L: Loss> StreamedModel<L> {
    /// Mean of any loss, which gets the labels as they are, without penalty and intercept.
    pub fn with_loss(rows: StreamedRows, loss: L) -> Self {
        StreamedModel::of(Shared::new(rows, loss))
    }

    fn of(shared: Shared<L>) -> Self {
        StreamedModel {
            shared: Arc::new(shared),
            last: Mutex::new(None),
            origin_slope: OnceLock::new(),
            batch: LastBatch::default(),
        }
    }

    fn change(self, change: impl FnOnce(&mut Shared<L>)) -> Self {
        let s = &*self.shared;
        let mut shared = Shared {
            rows: s.rows.clone(),
            loss: s.loss.clone(),
            defect: s.defect.clone(),
            passes: AtomicU64::new(0),
            ..*s
        };
        change(&mut shared);
        StreamedModel::of(shared)
    }

    /// Penalty (μ/2)‖w‖² on the coefficients but not on a free intercept. Default 0.
    pub fn l2(self, mu: f64) -> Self {
        self.change(|s| {
            s.l2 = mu;
            s.defect = s.defect.take().or_else(|| penalty(mu));
        })
    }

    /// Adds an unpenalized intercept as the last coefficient. Default: none.
    pub fn intercept(self, free: bool) -> Self {
        self.change(|s| s.intercept = free)
    }

    /// Whether the data can be fitted with these options.
    pub fn check(&self) -> Result<(), Error> {
        let s = &self.shared;
        match &s.defect {
            Some(defect) => Err(Error::Data(defect.clone())),
            None => s.loss.check(s.l2, s.intercept),
        }
    }

    /// Number of coefficients, the intercept included.
    pub fn dimension(&self) -> usize {
        self.shared.dimension()
    }

    /// The zero vector, the usual start point.
    pub fn origin(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }

    /// The rows.
    pub fn rows(&self) -> &StreamedRows {
        &self.shared.rows
    }

    /// Passes over the file so far.
    pub fn passes(&self) -> u64 {
        self.shared.passes.load(Ordering::Relaxed)
    }

    pub(super) fn ready(&self, w: &[f64]) -> Result<(), Error> {
        self.check()?;
        crate::error::length("coefficients", self.dimension(), w.len())
    }

    /// Value and gradient, in one pass.
    pub(super) fn both(&self, w: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        self.ready(w)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |at: &Evaluated| {
            let bits = |(x, y): (&f64, &f64)| x.to_bits() == y.to_bits();
            at.x.iter().zip(w).all(bits)
        };
        if let Some(at) = &*last
            && holds(at)
        {
            return Ok((at.f, at.g.clone()));
        }
        let (f, g) = self.shared.value_gradient(w)?;
        *last = Some(Evaluated {
            x: w.to_vec(),
            f,
            g: g.clone(),
        });
        Ok((f, g))
    }

    /// Norm of the gradient at the origin, the scale of relative tests.
    pub(super) fn scale(&self) -> Result<f64, Error> {
        if let Some(scale) = self.origin_slope.get() {
            return Ok(*scale);
        }
        let g = norm(&self.both(&self.origin())?.1);
        Ok(*self.origin_slope.get_or_init(|| g))
    }

    /// The scale, if a pass at the origin succeeded.
    pub(super) fn known_scale(&self) -> Option<f64> {
        self.scale().ok()
    }

    /// The model of some rows, in memory.
    pub(super) fn on(&self, terms: &[usize]) -> Result<Arc<LinearModel<L>>, Error> {
        self.check()?;
        let s = &*self.shared;
        let mut failure = None;
        let part = self.batch.get(s.rows.n_rows(), terms, || {
            let data = s.rows.gather(terms).unwrap_or_else(|error| {
                failure = Some(error);
                crate::Dataset::from_parts(vec![0], vec![], vec![], 0, vec![], None)
            });
            let target = data.labels().iter().map(|y| (s.target)(&s.loss, *y));
            let target = target.collect();
            LinearModel::with_labels(&data, target, s.loss.clone(), s.defect.clone())
                .l2(s.l2)
                .intercept(s.intercept)
                .part()
        })?;
        match failure {
            None => Ok(part),
            Some(error) => {
                self.batch.forget();
                Err(error)
            }
        }
    }
}

impl<L: Loss> Shared<L> {
    pub(super) fn dimension(&self) -> usize {
        self.rows.n_features() + usize::from(self.intercept)
    }

    fn offset(&self, w: &[f64]) -> f64 {
        w.get(self.rows.n_features()).copied().unwrap_or(0.0)
    }

    fn share(&self) -> f64 {
        1.0 / self.rows.n_rows() as f64
    }

    /// A pass: `evaluate` adds what a block gives to its partial result of `len` numbers; these are
    /// added up in the order of the blocks.
    fn pass(
        &self,
        len: usize,
        evaluate: impl Fn(&Block, &mut Partial) + Sync + Send,
    ) -> Result<Partial, Error> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        let blank = || Partial {
            error: None,
            value: 0.0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            sum: vec![0.0; len],
            tile: None,
        };
        let wave = if len <= FEW { WAVE.0 } else { WAVE.1 };
        let mut total = blank();
        let mut parts: Vec<Partial> = (0..wave).map(|_| blank()).collect();
        let blocks = self.rows.n_blocks();
        for first in (0..blocks).step_by(wave) {
            let next = first + wave;
            (next..(next + wave).min(blocks)).for_each(|k| self.rows.prefetch(k));
            let parts = &mut parts[..wave.min(blocks - first)];
            chunks_mut(parts, 1, usize::MAX, |k, part| {
                let part = &mut part[0];
                part.value = 0.0;
                part.sum.fill(0.0);
                match self.rows.block(first + k) {
                    Ok(block) => evaluate(&block, part),
                    Err(error) => part.error = Some(error),
                }
            });
            for part in parts {
                if let Some(error) = part.error.take() {
                    return Err(error);
                }
                total.value += part.value;
                total.low = total.low.min(part.low);
                total.high = total.high.max(part.high);
                for (total, v) in total.sum.iter_mut().zip(&part.sum) {
                    *total += v;
                }
            }
        }
        Ok(total)
    }

    fn value_gradient(&self, w: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let (d, offset, share) = (self.rows.n_features(), self.offset(w), self.share());
        let total = self.pass(w.len(), |block, part| {
            block.each_row(|row, y| {
                let y = (self.target)(&self.loss, y);
                let margin = row.dot(w) + offset;
                part.value += self.loss.value(margin, y, share);
                let slope = self.loss.slope(margin, y, share);
                row.add_to(slope, &mut part.sum[..d]);
                if let Some(last) = part.sum.get_mut(d) {
                    *last += slope;
                }
            });
        })?;
        let mut g = total.sum;
        for (g, w) in g.iter_mut().zip(&w[..d]) {
            *g += self.l2 * w;
        }
        let w = norm(&w[..d]);
        let penalty = if self.l2 == 0.0 {
            0.0
        } else {
            0.5 * self.l2 * w * w
        };
        Ok((total.value + penalty, g))
    }

    /// The error for a value that is NaN, naming the first row that makes it so.
    pub(super) fn nan_row(&self, w: &[f64]) -> Error {
        let (offset, share) = (self.offset(w), self.share());
        let (mut row_number, mut found) = (self.rows.offset(), None);
        for block in 0..self.rows.n_blocks() {
            let block = match self.rows.block(block) {
                Ok(block) => block,
                Err(error) => return error,
            };
            block.each_row(|row, y| {
                let y = (self.target)(&self.loss, y);
                let value = self.loss.value(row.dot(w) + offset, y, share);
                if value.is_nan() && found.is_none() {
                    found = Some(row_number);
                }
                row_number += 1;
            });
            if found.is_some() {
                break;
            }
        }
        let place = found.map_or("the penalty".into(), |row| format!("row {row} of the file"));
        Error::Data(format!("{place}: NaN at these coefficients"))
    }

    /// out = H(w) v.
    pub(super) fn product(&self, w: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let (d, share) = (self.rows.n_features(), self.share());
        let (offset, along) = (self.offset(w), self.offset(v));
        let total = self.pass(out.len(), |block, part| {
            block.each_row(|row, y| {
                let y = (self.target)(&self.loss, y);
                let curvature = self.loss.curvature(row.dot(w) + offset, y, share);
                let scaled = curvature * (row.dot(v) + along);
                row.add_to(scaled, &mut part.sum[..d]);
                if let Some(last) = part.sum.get_mut(d) {
                    *last += scaled;
                }
            });
        })?;
        out.copy_from_slice(&total.sum);
        for (out, v) in out.iter_mut().zip(&v[..d]) {
            *out += self.l2 * v;
        }
        Ok(())
    }

    /// The diagonal of H(w).
    pub(super) fn diagonal(&self, w: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let (d, offset, share) = (self.rows.n_features(), self.offset(w), self.share());
        let total = self.pass(out.len(), |block, part| {
            block.each_row(|row, y| {
                let y = (self.target)(&self.loss, y);
                let curvature = self.loss.curvature(row.dot(w) + offset, y, share);
                row.each(|j, v| part.sum[j] += curvature * v * v);
                if let Some(last) = part.sum.get_mut(d) {
                    *last += curvature;
                }
            });
        })?;
        out.copy_from_slice(&total.sum);
        out[..d].iter_mut().for_each(|out| *out += self.l2);
        Ok(())
    }

    /// Lower triangle of H(w).
    pub(super) fn hessian(&self, w: &[f64]) -> Result<Mat<f64>, Error> {
        let (d, n) = (self.rows.n_features(), w.len());
        let (offset, share) = (self.offset(w), self.share());
        let weight = |row: Row<'_>, y: f64| {
            let y = (self.target)(&self.loss, y);
            self.loss.curvature(row.dot(w) + offset, y, share)
        };
        let total = self.pass(n * n, |block, part| {
            if block.dense().is_some() {
                self.dense_hessian(block, part, &weight);
                return;
            }
            block.each_row(|row, y| {
                let weight = weight(row, y);
                row.each(|j, v| {
                    let scaled = weight * v;
                    // Columns increase, so those from j on fill the triangle below (j, j).
                    let column = &mut part.sum[j * n..(j + 1) * n];
                    row.each(|i, v| {
                        if i >= j {
                            column[i] += scaled * v;
                        }
                    });
                    if n > d {
                        column[d] += scaled;
                    }
                });
                if n > d {
                    part.sum[d * n + d] += weight;
                }
            });
        })?;
        let mut matrix = Mat::zeros(n, n);
        for (j, column) in total.sum.chunks_exact(n.max(1)).enumerate() {
            matrix.col_as_slice_mut(j)[j..].copy_from_slice(&column[j..]);
            if j < d {
                matrix[(j, j)] += self.l2;
            }
        }
        Ok(matrix)
    }

    /// Adds Σ c a aᵀ over a dense block, by tiles of scaled rows √c a, one a column.
    fn dense_hessian(
        &self,
        block: &Block,
        part: &mut Partial,
        weight: &impl Fn(Row<'_>, f64) -> f64,
    ) {
        let (d, n) = (self.rows.n_features(), self.dimension());
        let Partial { sum, tile, .. } = part;
        let tile = tile.get_or_insert_with(|| Mat::zeros(n, TILE));
        let mut filled = 0;
        let mut flush = |tile: &Mat<f64>, filled: usize| {
            let rows = tile.as_ref().subcols(0, filled);
            triangular::matmul(
                faer::MatMut::from_column_major_slice_mut(sum, n, n),
                BlockStructure::TriangularLower,
                Accum::Add,
                rows,
                BlockStructure::Rectangular,
                rows.transpose(),
                BlockStructure::Rectangular,
                1.0,
                faer::Par::Seq,
            );
        };
        block.each_row(|row, y| {
            let root = weight(row, y).sqrt();
            let column = tile.col_as_slice_mut(filled);
            if let Row::Dense(values) = row {
                let (stored, rest) = column.split_at_mut(values.len());
                for (out, v) in stored.iter_mut().zip(values) {
                    *out = root * v;
                }
                rest.fill(0.0);
            }
            if let Some(last) = column.get_mut(d) {
                *last = root;
            }
            filled += 1;
            if filled == TILE {
                flush(tile, filled);
                filled = 0;
            }
        });
        if filled > 0 {
            flush(tile, filled);
        }
    }

    pub(super) fn may_object(&self) -> bool {
        self.l2 <= 0.0 && self.loss.recedes()
    }

    /// Least and largest [`Loss::advance`] over the rows.
    pub(super) fn advance(&self, w: &[f64]) -> Result<(f64, f64), Error> {
        let offset = self.offset(w);
        let total = self.pass(0, |block, part| {
            block.each_row(|row, y| {
                let y = (self.target)(&self.loss, y);
                let z = self.loss.advance(row.dot(w) + offset, y);
                part.low = part.low.min(z);
                part.high = part.high.max(z);
            });
        })?;
        Ok((total.low, total.high))
    }

    /// Without penalty: does the loss turn out to have no minimum?
    pub(super) fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if !self.may_object() {
            return Ok(());
        }
        // The rows were read a moment ago; if that fails now, nothing can be said of the end.
        let range = |w: &[f64]| self.advance(w).map_err(|_| Failed::Breakdown);
        recedes(range(x)?, range(step)?)
    }
}

/// The Hessian of a [`StreamedModel`], dense.
#[derive(Debug)]
pub struct StreamedHessian<L> {
    pub(super) shared: Arc<Shared<L>>,
    pub(super) matrix: Mat<f64>,
    pub(super) scale: Option<f64>,
}

/// The Hessian over all rows, or the one of a batch in memory.
#[derive(Debug)]
pub enum Hessian<L: Loss> {
    /// Over all rows.
    Whole(StreamedHessian<L>),
    /// Over a batch.
    Batch(crate::models::linear::WeightedGram<L>),
}

impl<L: Loss> SymMat for StreamedHessian<L> {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(self.matrix.as_ref(), Stored::Lower)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.scale
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }
    fn may_object(&self) -> bool {
        self.shared.may_object()
    }
}

impl<L: Loss> SymMat for Hessian<L> {
    fn sym(&self) -> SymView<'_> {
        match self {
            Hessian::Whole(h) => h.sym(),
            Hessian::Batch(h) => h.sym(),
        }
    }
    fn gradient_scale(&self) -> Option<f64> {
        match self {
            Hessian::Whole(h) => h.gradient_scale(),
            Hessian::Batch(h) => h.gradient_scale(),
        }
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        match self {
            Hessian::Whole(h) => h.verify(x, step),
            Hessian::Batch(h) => h.verify(x, step),
        }
    }
    fn may_object(&self) -> bool {
        match self {
            Hessian::Whole(h) => h.may_object(),
            Hessian::Batch(h) => h.may_object(),
        }
    }
}
