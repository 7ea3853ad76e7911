//! Models of one margin a row: a loss of mᵢ = aᵢᵀw + b.
//!
//! # Problem
//! min over w (and b)  f = Σᵢ cᵢ ℓ(mᵢ, yᵢ) + (μ/2)‖w‖²
//!
//! with the labels yᵢ and cᵢ = sᵢ/Σs the normalized sample weights, 1/n by default: a **mean**
//! loss. For a sum loss with penalty λ use μ = λ/n. The intercept b, if any, is the last
//! coefficient and is not penalized. The [`Loss`] ℓ is convex in the margin:
//! [`LogisticRegression`](super::LogisticRegression),
//! [`LeastSquares`](super::LeastSquares) and [`PoissonRegression`](super::PoissonRegression) are
//! this model with their losses, and [`with_loss`](LinearModel::with_loss) takes any other.
//!
//! # Derivatives
//! g = Aᵀ(c ℓ′) + μw, H = Aᵀ diag(c ℓ″) A + μI.
//!
//! # Cost
//! Value, gradient and the weights of the Hessian at a point come from one pass over the data: 2
//! flops an entry forward, 2 backward, the latter even if only the value is wanted. Backtracks
//! from the point of the last Hessian cost no pass forward. Equal rows are merged into one, short rows are kept in the
//! order of their lengths, one-hot data as codes with a dictionary, rows of mostly one value as a pattern and a scale. The Hessian is an object of n weights that
//! the solver factors in the cheapest of three ways, see
//! [`gram`](crate::linear::gram).
//!
//! # Batches
//! As a [`FiniteSum`](crate::FiniteSum) the terms are fᵢ = n cᵢ ℓ(mᵢ, yᵢ) + (μ/2)‖w‖², so that their plain mean is
//! f, with sample weights too, and the mean over uniformly drawn batches is f in expectation. An
//! evaluation on b rows costs as much as one of a model of these rows (and d for its output). A
//! value that is NaN is an error that names the row.

mod oracles;
mod outputs;
pub mod sampled;

pub use sampled::Sampled;

use super::batch::{LastBatch, batch_shares, nan_row, penalty, shares};
use super::design::{Design, Merged};
use super::margins::{MarginCache, Slot};
use crate::data::Dataset;
use crate::edge::{SymMat, SymView};
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::linear::gram::{GramSolve, GramView};
use crate::parallel::{inside, norm};
use crate::status::Failed;
use argmin::core::Error as HostError;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

/// A convex loss of a margin and a label; every function returns `share` times its quantity.
pub trait Loss: Clone + Debug + Send + Sync {
    /// c ℓ(m, y).
    fn value(&self, margin: f64, label: f64, share: f64) -> f64;
    /// c ∂ℓ/∂m.
    fn slope(&self, margin: f64, label: f64, share: f64) -> f64;
    /// c ∂²ℓ/∂m², not negative.
    fn curvature(&self, margin: f64, label: f64, share: f64) -> f64;

    /// Slopes and curvatures of a block of rows; returns the sum of the values.
    ///
    /// All slices are of equal length. Default: row by row with the three functions above; a loss
    /// that shares work among them, or is vectorized, gives its own.
    fn block(
        &self,
        margin: &[f64],
        label: &[f64],
        share: &[f64],
        slope: &mut [f64],
        curvature: &mut [f64],
    ) -> f64 {
        let mut sum = 0.0;
        let rows = margin.iter().zip(label).zip(share);
        for (((&m, &y), &c), (slope, curvature)) in rows.zip(slope.iter_mut().zip(curvature)) {
            sum += self.value(m, y, c);
            *slope = self.slope(m, y, c);
            *curvature = self.curvature(m, y, c);
        }
        sum
    }

    /// How far a change of the margin leads down a loss that has no minimum: negative if it leads
    /// up or the loss has one.
    ///
    /// If it is positive for a whole direction, no minimizer exists without a penalty. Default:
    /// −|change|, every loss has a minimum.
    fn advance(&self, change: f64, label: f64) -> f64 {
        let _ = label;
        -change.abs()
    }

    /// Whether [`advance`](Loss::advance) is ever positive. Default: no.
    fn recedes(&self) -> bool {
        false
    }

    /// Whether data with these labels can be fitted. Default: yes.
    fn check(&self, l2: f64, intercept: bool) -> Result<(), Error> {
        let _ = (l2, intercept);
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Shared<L> {
    /// One row for each class of equal ones, in an order of its own, if rows were merged.
    design: Arc<Design>,
    label: Vec<f64>,
    /// cᵢ, summing to 1 over the data.
    share: Vec<f64>,
    merged: Option<Arc<Rows>>,
    loss: L,
    l2: f64,
    intercept: bool,
    solve: GramSolve,
    defect: Option<String>,
    /// A batch of a model, which tells nothing about the whole.
    partial: bool,
}

/// The rows of the data before equal ones were merged and all were ordered.
#[derive(Debug, Clone)]
struct Rows {
    merged: Arc<Merged>,
    share: Vec<f64>,
}

/// A linear model with the loss `L`; see the [module](self).
///
/// Absolute deviations, smoothed (log cosh):
/// ```
/// use raphson::{Dataset, DampedNewton, models::{LinearModel, Loss}};
/// #[derive(Debug, Clone)]
/// struct LogCosh;
/// impl Loss for LogCosh {
///     fn value(&self, m: f64, y: f64, c: f64) -> f64 {
///         let r = (m - y).abs();
///         c * (r + (-2.0 * r).exp().ln_1p() - std::f64::consts::LN_2)
///     }
///     fn slope(&self, m: f64, y: f64, c: f64) -> f64 {
///         c * (m - y).tanh()
///     }
///     fn curvature(&self, m: f64, y: f64, c: f64) -> f64 {
///         c / (m - y).cosh().powi(2)
///     }
/// }
/// let rows = [[0.0], [1.0], [2.0], [3.0], [4.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[0.0, 1.0, 20.0, 3.0, 4.0])?;
/// let model = LinearModel::with_loss(&data, LogCosh).intercept(true);
/// let run = DampedNewton::new().minimize(&model, model.origin())?.must_converge()?;
/// assert!((run.x[0] - 1.0).abs() < 1e-6);
/// assert!((run.x[1] - 0.25f64.atanh()).abs() < 1e-6); // least squares: 3.6
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug)]
pub struct LinearModel<L> {
    shared: Arc<Shared<L>>,
    margins: MarginCache,
    /// Value and norm of the gradient at the origin.
    origin: OnceLock<(f64, f64)>,
    last: LastBatch<LinearModel<L>>,
    /// With a row for each row of the data, where that is asked for.
    unmerged: OnceLock<Arc<LinearModel<L>>>,
}

impl<L: Loss> LinearModel<L> {
    /// Mean of any loss on `data`, whose labels it gets as they are, without penalty and intercept.
    pub fn with_loss(data: &Dataset, loss: L) -> Self {
        LinearModel::with_labels(data, data.labels().to_vec(), loss, None)
    }

    pub(crate) fn with_labels(
        data: &Dataset,
        label: Vec<f64>,
        loss: L,
        defect: Option<String>,
    ) -> Self {
        let n = data.n_rows();
        let mut share = vec![1.0 / n as f64; n];
        let (design, merged) = inside(4 * data.csr().2.len(), || Design::merged(data));
        let (label, merged) = match merged {
            None => (label, None),
            Some(merged) => {
                let label = merged.first.iter().map(|&i| label[i as usize]).collect();
                let merged = Arc::new(merged);
                let all = Rows {
                    share: std::mem::take(&mut share),
                    merged,
                };
                share = all.merged.add_up(&all.share);
                (label, Some(Arc::new(all)))
            }
        };
        LinearModel::of(Shared {
            design: Arc::new(design),
            label,
            share,
            merged,
            loss,
            l2: 0.0,
            intercept: false,
            solve: GramSolve::Auto,
            defect,
            partial: false,
        })
    }

    fn of(shared: impl Into<Arc<Shared<L>>>) -> Self {
        let shared = shared.into();
        LinearModel {
            // Batches are evaluated on whatever points a solver compares, not along lines.
            margins: MarginCache::new(1, !shared.partial),
            shared,
            origin: OnceLock::new(),
            last: LastBatch::default(),
            unmerged: OnceLock::new(),
        }
    }

    /// As the model of a batch, which tells nothing about the whole.
    #[cfg(feature = "mmap")]
    pub(crate) fn part(self) -> Self {
        self.change(|s| s.partial = true)
    }

    fn change(self, change: impl FnOnce(&mut Shared<L>)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        LinearModel::of(shared)
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

    /// Weight of each row in the mean. Default: all equal. Zero leaves a row out.
    pub fn sample_weights(self, weights: &[f64]) -> Self {
        self.change(|s| match shares(s.terms(), weights) {
            Ok(share) => match &mut s.merged {
                None => s.share = share,
                Some(rows) => {
                    s.share = rows.merged.add_up(&share);
                    Arc::make_mut(rows).share = share;
                }
            },
            Err(defect) => {
                s.defect.get_or_insert(defect);
            }
        })
    }

    /// How the Newton system is solved. Default: [`GramSolve::Auto`].
    pub fn solve_by(self, way: GramSolve) -> Self {
        self.change(|s| s.solve = way)
    }

    /// Whether the data can be fitted with these options.
    pub fn check(&self) -> Result<(), Error> {
        let s = &self.shared;
        if let Some(defect) = &s.defect {
            return Err(Error::Data(defect.clone()));
        }
        s.loss.check(s.l2, s.intercept)?;
        if s.solve == GramSolve::Dual && s.l2 == 0.0 {
            let text = "GramSolve::Dual needs a positive l2 penalty; use Primal or Auto";
            return Err(Error::Data(text.into()));
        }
        Ok(())
    }

    /// Number of coefficients, the intercept included.
    pub fn dimension(&self) -> usize {
        self.shared.dimension()
    }

    /// The zero vector, the usual start point.
    pub fn origin(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }

    /// Norm of the gradient at the origin, the scale of relative gradient tests.
    pub fn gradient_scale(&self) -> f64 {
        self.at_origin().1
    }

    /// Value and norm of the gradient at the origin.
    fn at_origin(&self) -> (f64, f64) {
        *self.origin.get_or_init(|| {
            let mut slot = Slot::default();
            slot.set(&self.origin(), self.shared.design.nrows(), true);
            self.shared.differentiate(&mut slot);
            (slot.value, norm(&slot.gradient))
        })
    }

    /// f(w).
    fn value(&self, w: &[f64]) -> f64 {
        let loss = self.margins.with(|margins| {
            let slot = margins.place(self.shared.design.nrows(), w);
            self.shared.evaluate(slot);
            slot.value
        });
        loss + self.shared.penalty(w)
    }

    /// g(w).
    fn slope(&self, w: &[f64]) -> Vec<f64> {
        let (loss, mut g) = self.margins.with(|margins| {
            let slot = margins.place(self.shared.design.nrows(), w);
            self.shared.differentiate(slot);
            (slot.value, slot.gradient.clone())
        });
        if w.iter().all(|w| *w == 0.0) {
            self.origin.get_or_init(|| (loss, norm(&g)));
        }
        let features = self.shared.design.features();
        for (g, w) in g.iter_mut().zip(&w[..features]) {
            *g += self.shared.l2 * w;
        }
        g
    }

    /// aᵢᵀw + b for every row of `data`, which may be other data than the model was made of.
    ///
    /// # Errors
    /// [`Error::WrongLength`] if `data` has more features than the model or `w` has
    /// the wrong length.
    pub fn decision(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        crate::error::length("coefficients", self.dimension(), w.len())?;
        let features = self.shared.design.features();
        if data.n_features() > features {
            crate::error::length("features of the data", features, data.n_features())?;
        }
        let offset = w.get(features).copied().unwrap_or(0.0);
        Ok((0..data.n_rows())
            .map(|i| {
                let (cols, values) = data.row(i);
                let terms = cols.iter().zip(values).map(|(&j, v)| w[j as usize] * v);
                offset + terms.sum::<f64>()
            })
            .collect())
    }

    /// Products with the data matrix so far, for tests of cost.
    pub fn forward_passes(&self) -> u64 {
        self.margins.with(|margins| margins.passes)
    }

    /// Whether directions may be looked for in which the loss has no minimum.
    #[cfg(feature = "distributed")]
    pub(crate) fn recedes(&self) -> bool {
        self.shared.may_object()
    }

    /// Least and largest [`Loss::advance`] over the rows.
    #[cfg(feature = "distributed")]
    pub(crate) fn advance(&self, w: &[f64]) -> (f64, f64) {
        self.shared.advance(w)
    }

    pub(crate) fn loss(&self) -> &L {
        &self.shared.loss
    }

    fn ready(&self, w: &[f64]) -> Result<(), Error> {
        self.check()?;
        crate::error::length("coefficients", self.dimension(), w.len())
    }

    /// The model of the batch, whose check was passed or failed by the whole.
    fn on<T>(
        &self,
        batch: Batch<'_>,
        evaluate: impl FnOnce(&Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let Batch::Terms(terms) = batch else {
            return evaluate(self);
        };
        let s = &self.shared;
        let part = self.last.get(s.terms(), terms, || {
            self.restricted(terms, batch_shares(s.all_shares(), terms))
        })?;
        evaluate(&part)
    }

    /// The model of the rows `terms` of the data with these shares.
    fn restricted(&self, terms: &[usize], share: Vec<f64>) -> Self {
        let s = &self.shared;
        let places: Vec<usize> = terms.iter().map(|&i| s.place(i)).collect();
        LinearModel::of(Shared {
            design: Arc::new(s.design.select(&places)),
            label: places.iter().map(|&i| s.label[i]).collect(),
            share,
            merged: None,
            loss: s.loss.clone(),
            defect: s.defect.clone(),
            partial: true,
            ..**s
        })
    }

    /// This model with a row for each row of the data.
    fn unmerged(&self) -> &Self {
        let s = &self.shared;
        if s.merged.is_none() {
            return self;
        }
        self.unmerged.get_or_init(|| {
            let all: Vec<usize> = (0..s.terms()).collect();
            Arc::new(self.restricted(&all, s.all_shares().to_vec()))
        })
    }

    /// An error if `value` is NaN.
    fn named(&self, value: f64, w: &[f64], batch: Batch<'_>) -> Result<(), Error> {
        if !value.is_nan() {
            return Ok(());
        }
        let s = &self.shared;
        Err(self.margins.with(|margins| {
            let slot = margins.at(&s.design, w);
            nan_row(batch, s.terms(), |i| {
                let i = s.place(i);
                let value = s.loss.value(slot.margin[i], s.label[i], s.share[i]);
                value.is_nan()
            })
        }))
    }
}

impl<L: Loss> Shared<L> {
    fn dimension(&self) -> usize {
        self.design.features() + usize::from(self.intercept)
    }

    /// Number of rows of the data.
    fn terms(&self) -> usize {
        self.all_shares().len()
    }

    /// cᵢ for each row of the data.
    fn all_shares(&self) -> &[f64] {
        self.merged.as_ref().map_or(&self.share, |rows| &rows.share)
    }

    /// Where row i of the data stands among the merged ones.
    fn place(&self, i: usize) -> usize {
        let class = |rows: &Arc<Rows>| rows.merged.class[i] as usize;
        self.merged.as_ref().map_or(i, class)
    }

    /// Value, slopes and curvatures of the loss, and Aᵀ times the slopes if the margins have to
    /// be computed, all in one pass over the data.
    fn evaluate(&self, slot: &mut Slot) {
        if slot.evaluated {
            return;
        }
        let (design, dimension) = (&self.design, self.dimension());
        let Slot {
            w,
            margin,
            rows,
            weight,
            gradient,
            value,
            filled,
            ..
        } = slot;
        weight.resize(margin.len(), 0.0);
        gradient.resize(dimension, 0.0);
        let at_origin = w.iter().all(|w| *w == 0.0);
        let pass = !*filled || at_origin;
        design.stripes(
            if pass { w } else { &[] },
            [margin, rows, weight],
            dimension,
            |range, w, [margin, rows, weight], sums| {
                let last = sums.len() - 1;
                for block in design.blocks(range.clone()) {
                    let here = block.start - range.start..block.end - range.start;
                    let margin = &mut margin[here.clone()];
                    let slope = &mut rows[here.clone()];
                    if at_origin {
                        margin.fill(0.0);
                    } else if pass {
                        design.mul_block(block.clone(), w, margin);
                    }
                    let (label, share) = (&self.label[block.clone()], &self.share[block.clone()]);
                    let curvature = &mut weight[here];
                    sums[last] += self.loss.block(margin, label, share, slope, curvature);
                    if pass {
                        design.add_transpose_block(block, slope, sums);
                    }
                }
            },
            |sums, last| {
                *value = last;
                design.lower(sums, gradient);
            },
        );
        slot.filled = true;
        slot.evaluated = true;
        slot.sloped = pass;
    }

    /// c ℓ″ of the rows, in a pass of its own.
    fn curvatures(&self, w: &[f64]) -> Vec<f64> {
        let mut margin = vec![0.0; self.label.len()];
        self.design.mul(w, &mut margin);
        let (mut slope, mut curvature) = (margin.clone(), margin.clone());
        let (label, share) = (&self.label, &self.share);
        self.loss
            .block(&margin, label, share, &mut slope, &mut curvature);
        curvature
    }

    /// Evaluates, with Aᵀ times the slopes.
    fn differentiate(&self, slot: &mut Slot) {
        self.evaluate(slot);
        if !slot.sloped {
            self.design.mul_transpose(&slot.rows, &mut slot.gradient);
            slot.sloped = true;
        }
    }

    fn penalty(&self, w: &[f64]) -> f64 {
        if self.l2 == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let w = norm(&w[..self.design.features()]);
        0.5 * self.l2 * w * w
    }

    fn gram<'a>(&'a self, weight: &'a [f64]) -> GramView<'a> {
        GramView {
            design: &self.design,
            weight,
            ridge: self.l2,
            intercept: self.intercept,
            solve: self.solve,
            part: 1.0,
        }
    }

    fn may_object(&self) -> bool {
        self.l2 <= 0.0 && !self.partial && self.loss.recedes()
    }

    /// Without penalty: does the loss turn out to have no minimum at x, or along the last step?
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if !self.may_object() {
            return Ok(());
        }
        recedes(self.advance(x), self.advance(step))
    }

    /// Least and largest [`Loss::advance`] over the rows.
    fn advance(&self, w: &[f64]) -> (f64, f64) {
        let mut margin = vec![0.0; self.label.len()];
        self.design.mul(w, &mut margin);
        let rows = margin.iter().zip(&self.label).zip(&self.share);
        rows.filter(|(_, c)| **c > 0.0)
            .map(|((m, y), _)| self.loss.advance(*m, *y))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| {
                (low.min(z), high.max(z))
            })
    }
}

/// Whether a loss has no minimum, by the extremes of [`Loss::advance`] at a point and along the
/// step that led there.
pub(crate) fn recedes(at: (f64, f64), along: (f64, f64)) -> Result<(), Failed> {
    // All rows advance: the point is a proof.
    let complete = at.0 > 0.0;
    // A Newton step along a direction of recession moves margins by about one
    // and none backward: no minimizer can lie ahead.
    let (low, high) = along;
    let quasi = high >= 0.1 && low >= -1e-6 * high;
    if complete || quasi {
        return Err(Failed::Separable);
    }
    Ok(())
}

/// The Hessian of a linear model: weights, not a matrix.
#[derive(Debug, Clone)]
pub struct WeightedGram<L> {
    /// The model of the rows that it is made of.
    shared: Arc<Shared<L>>,
    /// The model that it is meant for.
    whole: Arc<Shared<L>>,
    weight: Vec<f64>,
    scale: Option<f64>,
}

impl<L: Loss> SymMat for WeightedGram<L> {
    fn sym(&self) -> SymView<'_> {
        SymView::Gram(GramView {
            part: self.shared.label.len() as f64 / self.whole.label.len() as f64,
            ..self.shared.gram(&self.weight)
        })
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.scale
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.whole.verify(x, step)
    }

    fn may_object(&self) -> bool {
        self.whole.may_object()
    }
}
