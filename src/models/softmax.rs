//! Multinomial logistic regression.
//!
//! # Problem
//! min over W (and b)  f = Σᵢ cᵢ [log Σₖ exp(mᵢₖ) − mᵢ,ᵧ₍ᵢ₎] + (μ/2)‖W‖²,  mᵢₖ = aᵢᵀwₖ + bₖ
//!
//! over K classes, each with its own wₖ (none is a reference), y(i) the class of row i and
//! cᵢ = sᵢ/Σs the normalized sample weights, 1/n by default: a **mean** loss. For a sum loss with
//! penalty λ use μ = λ/n. Intercepts bₖ, if any, are not penalized. Two classes with penalty μ are
//! a [`LogisticRegression`](super::LogisticRegression) with penalty μ/2 and w = w₂ − w₁.
//!
//! # Parameters
//! One vector, class after class: w₁, b₁, w₂, b₂, … with d coefficients and, with intercepts, one
//! bₖ each; coefficient j of class k is entry k(d + 1) + j with intercepts and kd + j without.
//! Classes are the distinct labels in increasing order; one class alone is an error.
//!
//! # Derivatives
//! With pᵢ = softmax(mᵢ): gₖ = Aᵀ(c (pₖ − [y = k])) + μwₖ; the Hessian has blocks
//! Hₖₗ = −Gₖₗ and Hₖₖ = Σ_{l≠k} Gₖₗ + μI with Gₖₗ = Aᵀ diag(c pₖ pₗ) A. Summed like this, no
//! digits cancel where a probability is close to one, and H is positive semidefinite to rounding.
//! 1 − p is the sum of the other probabilities, so that margins of any size keep their digits.
//!
//! # Null space
//! Adding one vector to all wₖ (one number to all bₖ) changes no probability. Without a penalty H
//! is singular along d (with intercepts d + 1) directions, with a penalty and intercepts along one.
//! The gradient is orthogonal to them up to rounding; `DampedNewton` shifts H where its
//! factorization breaks down, and rounding may move iterates along the null space, which changes
//! no value. [`centered`](Softmax::centered) moves a point back to where the sum over the classes
//! is zero, the unique minimizer of least norm.
//!
//! # Cost
//! Margins and probabilities are computed once per point and shared. A gradient costs 4 flops an
//! entry and class. The dense Hessian costs n (d + 1)²/2 · K²/2 multiply-adds for dense data and
//! Σ(row length)²/2 · K²/2 for sparse data, and (dK)² doubles; for many parameters use
//! `matrix_free()` (8 flops an entry and class a product).
//!
//! # Batches
//! As a [`FiniteSum`](crate::FiniteSum): as [`LinearModel`](super::LinearModel), see [there](super::linear).
//!
//! # Errors
//! Evaluations return [`Error::Data`] if there is one class only. Without a penalty and with
//! separable classes no minimizer exists; the run then ends as `Failed(Separable)`.

mod hessian;
pub(crate) mod loss;
mod oracles;
mod outputs;

use super::batch::{LastBatch, batch_shares, nan_row, penalty, shares};
use super::design::Design;
use super::margins::MarginCache;
use crate::data::Dataset;
use crate::edge::{Stored, SymMat, SymView};
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::parallel::norm;
use crate::status::Failed;
use argmin::core::Error as HostError;
use faer::{Mat, MatRef};
use std::sync::{Arc, OnceLock};

#[derive(Debug, Clone)]
struct Shared {
    design: Arc<Design>,
    /// Index of the class of each row.
    class: Vec<u32>,
    /// The label of each class, increasing.
    labels: Arc<[f64]>,
    /// cᵢ, summing to 1 over the data.
    share: Vec<f64>,
    l2: f64,
    intercept: bool,
    defect: Option<String>,
    /// A batch of a model, which tells nothing about the whole.
    partial: bool,
}

/// Multinomial logistic regression; see the [module](self).
///
/// ```
/// use raphson::{Dataset, DampedNewton, models::Softmax};
/// let rows = [[-2.0], [-1.0], [0.0], [0.5], [1.0], [2.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[3.0, 3.0, 5.0, 5.0, 9.0, 9.0])?;
/// let model = Softmax::new(&data).l2(1e-2).intercept(true);
/// let run = DampedNewton::new().minimize(&model, model.origin())?.must_converge()?;
/// assert_eq!(model.classes(), [3.0, 5.0, 9.0]);
/// assert_eq!(run.x.len(), 6); // w, b of each class
/// assert_eq!(model.predict(&run.x, &data)?, data.labels());
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug)]
pub struct Softmax {
    shared: Arc<Shared>,
    margins: MarginCache,
    origin_slope: OnceLock<f64>,
    last: LastBatch<Softmax>,
}

impl Softmax {
    /// Mean loss on `data` without penalty and intercepts.
    ///
    /// Data that cannot be fitted shows at the first evaluation or in [`check`](Softmax::check).
    pub fn new(data: &Dataset) -> Self {
        Softmax::with_classes(data, &data.classes())
    }

    /// The same with the distinct labels, in increasing order, of more data than `data`, as where
    /// it is one of several parts.
    pub fn with_classes(data: &Dataset, labels: &[f64]) -> Self {
        let place = |y: &f64| labels.partition_point(|l| l < y);
        let class = data.labels().iter().map(|y| place(y) as u32).collect();
        let strange = data
            .labels()
            .iter()
            .find(|y| labels.get(place(y)) != Some(*y));
        let defect = match (labels, strange) {
            ([] | [_], _) => Some(format!(
                "one class only (label {}): a multinomial model takes at least two",
                labels.first().unwrap_or(&f64::NAN)
            )),
            (_, Some(y)) => Some(format!("label {y} is not among the classes {labels:?}")),
            _ => None,
        };
        let n = data.n_rows();
        Softmax::of(Shared {
            design: Arc::new(Design::new(data)),
            class,
            labels: labels.into(),
            share: vec![1.0 / n as f64; n],
            l2: 0.0,
            intercept: false,
            defect,
            partial: false,
        })
    }

    fn of(shared: Shared) -> Self {
        Softmax {
            margins: MarginCache::new(shared.labels.len(), !shared.partial),
            shared: Arc::new(shared),
            origin_slope: OnceLock::new(),
            last: LastBatch::default(),
        }
    }

    fn change(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        Softmax::of(shared)
    }

    /// Penalty (μ/2)‖W‖² on the coefficients but not on free intercepts. Default 0.
    pub fn l2(self, mu: f64) -> Self {
        self.change(|s| {
            s.l2 = mu;
            s.defect = s.defect.take().or_else(|| penalty(mu));
        })
    }

    /// Adds an unpenalized intercept to every class. Default: none.
    pub fn intercept(self, free: bool) -> Self {
        self.change(|s| s.intercept = free)
    }

    /// Weight of each row in the mean. Default: all equal. Zero leaves a row out.
    pub fn sample_weights(self, weights: &[f64]) -> Self {
        self.change(|s| match shares(s.share.len(), weights) {
            Ok(share) => s.share = share,
            Err(defect) => {
                s.defect.get_or_insert(defect);
            }
        })
    }

    /// Whether the data can be fitted with these options.
    pub fn check(&self) -> Result<(), Error> {
        match &self.shared.defect {
            Some(defect) => Err(Error::Data(defect.clone())),
            None => Ok(()),
        }
    }

    /// The labels of the K classes, in the order of the parameters.
    pub fn classes(&self) -> &[f64] {
        &self.shared.labels
    }

    /// Number of parameters, K(d + 1) with intercepts and Kd without.
    pub fn dimension(&self) -> usize {
        self.shared.classes() * self.shared.block()
    }

    /// The zero vector, the usual start point.
    pub fn origin(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }

    /// Norm of the gradient at the origin, the scale of relative gradient tests.
    pub fn gradient_scale(&self) -> f64 {
        *self.origin_slope.get_or_init(|| {
            let s = &self.shared;
            let mut g = self.origin();
            s.design.mul_transpose_each(&s.slopes_at_origin(), &mut g);
            norm(&g)
        })
    }

    /// The parameters of the same probabilities whose sum over the classes is zero for each
    /// coefficient and intercept, the ones of least norm.
    ///
    /// # Errors
    /// [`Error::WrongLength`] if `w` has the wrong length.
    pub fn centered(&self, w: &[f64]) -> Result<Vec<f64>, Error> {
        crate::error::length("parameters", self.dimension(), w.len())?;
        let (classes, block) = (self.shared.classes(), self.shared.block());
        let mut centered = w.to_vec();
        for j in 0..block {
            let mean = (0..classes).map(|k| w[k * block + j]).sum::<f64>() / classes as f64;
            for k in 0..classes {
                centered[k * block + j] -= mean;
            }
        }
        Ok(centered)
    }

    /// aᵢᵀwₖ + bₖ for every row of `data`, K numbers a row; `data` may be other data than the
    /// model was made of.
    ///
    /// # Errors
    /// [`Error::WrongLength`] if `data` has more features than the model or `w` has
    /// the wrong length.
    pub fn decision(&self, w: &[f64], data: &Dataset) -> Result<Vec<Vec<f64>>, Error> {
        crate::error::length("parameters", self.dimension(), w.len())?;
        let features = self.shared.design.features();
        if data.n_features() > features {
            crate::error::length("features of the data", features, data.n_features())?;
        }
        let block = self.shared.block();
        let margin = |i: usize, k: usize| {
            let w = &w[k * block..(k + 1) * block];
            let (cols, values) = data.row(i);
            let terms = cols.iter().zip(values).map(|(&j, v)| w[j as usize] * v);
            w.get(features).copied().unwrap_or(0.0) + terms.sum::<f64>()
        };
        let row = |i| (0..self.shared.classes()).map(|k| margin(i, k)).collect();
        Ok((0..data.n_rows()).map(row).collect())
    }

    /// The probabilities of the K classes for every row.
    ///
    /// # Errors
    /// As [`decision`](Softmax::decision).
    pub fn predict_proba(&self, w: &[f64], data: &Dataset) -> Result<Vec<Vec<f64>>, Error> {
        let mut rows = self.decision(w, data)?;
        for row in &mut rows {
            loss::softmax(row);
        }
        Ok(rows)
    }

    /// The label of the likeliest class for every row; a tie goes to the smallest label.
    ///
    /// # Errors
    /// As [`decision`](Softmax::decision).
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let rows = self.decision(w, data)?;
        let label = |row: &Vec<f64>| self.shared.labels[loss::largest(row)];
        Ok(rows.iter().map(label).collect())
    }

    /// Products with the data matrix so far, for tests of cost; one counts for all classes.
    pub fn forward_passes(&self) -> u64 {
        self.margins.with(|margins| margins.passes)
    }

    /// Whether directions may be looked for in which the loss has no minimum.
    #[cfg(feature = "distributed")]
    pub(crate) fn recedes(&self) -> bool {
        self.shared.may_object()
    }

    /// Least and largest lead of a row's class over another one.
    #[cfg(feature = "distributed")]
    pub(crate) fn advance(&self, w: &[f64]) -> (f64, f64) {
        self.shared.leads(w)
    }

    fn ready(&self, w: &[f64]) -> Result<(), Error> {
        self.check()?;
        crate::error::length("parameters", self.dimension(), w.len())
    }

    /// The model of the batch.
    fn on<T>(
        &self,
        batch: Batch<'_>,
        evaluate: impl FnOnce(&Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let Batch::Terms(terms) = batch else {
            return evaluate(self);
        };
        let s = &self.shared;
        let part = self.last.get(s.class.len(), terms, || {
            Softmax::of(Shared {
                design: Arc::new(s.design.select(terms)),
                class: terms.iter().map(|&i| s.class[i]).collect(),
                labels: Arc::clone(&s.labels),
                share: batch_shares(&s.share, terms),
                defect: s.defect.clone(),
                partial: true,
                ..**s
            })
        })?;
        evaluate(&part)
    }

    /// An error if `value` is NaN.
    fn named(&self, value: f64, w: &[f64], batch: Batch<'_>) -> Result<(), Error> {
        if !value.is_nan() {
            return Ok(());
        }
        let s = &self.shared;
        let n = s.class.len();
        Err(self.margins.with(|margins| {
            let slot = margins.at(&s.design, w);
            s.evaluate(slot);
            nan_row(batch, n, |i| slot.rows[i].is_nan())
        }))
    }
}

impl Shared {
    fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Parameters of one class.
    fn block(&self) -> usize {
        self.design.features() + usize::from(self.intercept)
    }

    /// out += μ v on the coefficients.
    fn add_penalty(&self, v: &[f64], out: &mut [f64]) {
        let block = self.block().max(1);
        for (out, v) in out.chunks_mut(block).zip(v.chunks(block)) {
            for (out, v) in out.iter_mut().zip(&v[..self.design.features()]) {
                *out += self.l2 * v;
            }
        }
    }

    fn penalty(&self, w: &[f64]) -> f64 {
        if self.l2 == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let classes = w.chunks(self.block().max(1));
        let squares = classes.map(|w| {
            let w = norm(&w[..self.design.features()]);
            0.5 * self.l2 * w * w
        });
        squares.sum()
    }

    fn may_object(&self) -> bool {
        self.l2 <= 0.0 && !self.partial
    }

    /// Without penalty: do the classes turn out separable at x, or along the last step?
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if !self.may_object() {
            return Ok(());
        }
        // As for two classes, with the lead of a row's class over each other one.
        super::linear::recedes(self.leads(x), self.leads(step))
    }
}

/// The Hessian of a [`Softmax`] model, dense.
#[derive(Debug, Clone)]
pub struct SoftmaxHessian {
    shared: Arc<Shared>,
    matrix: Mat<f64>,
    scale: Option<f64>,
}

impl SoftmaxHessian {
    /// The matrix; only the lower triangle is filled.
    pub fn lower(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }
}

impl SymMat for SoftmaxHessian {
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
