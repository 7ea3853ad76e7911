//! Binary logistic regression.
//!
//! # Problem
//! min over w (and b)  f = Σᵢ cᵢ log(1 + exp(−yᵢ(aᵢᵀw + b))) + (μ/2)‖w‖²
//!
//! with yᵢ = ±1 and cᵢ = sᵢ/Σs the normalized sample weights, 1/n by default: a
//! **mean** loss. For a sum loss with penalty λ use μ = λ/n. The intercept b, if
//! any, is the last coefficient and is not penalized. Options, cost and batches are those of a
//! [`LinearModel`].
//!
//! # Labels
//! The numerically larger of the two labels is the positive class, whatever
//! their order or encoding. If the data has one class only, a label above zero is
//! positive. More than two labels are an error; for them use
//! [`Softmax`](super::Softmax).
//!
//! # Derivatives
//! With z = y(Aw + b) and p = 1/(1 + eᶻ): g = −Aᵀ(c y p) + μw,
//! H = Aᵀ diag(c p (1 − p)) A + μI. All are evaluated from e^(−|z|), so that
//! margins up to 10³⁰⁰ neither overflow nor lose digits.
//!
//! # Errors
//! Evaluations return [`Error::Data`] if the data cannot be fitted: more than two
//! labels; one class with a free intercept or without a penalty. Without a penalty
//! and with separable classes no minimizer exists; the run then ends as
//! `Failed(Separable)`, never as converged.

use super::linear::{LinearModel, Loss};
use crate::data::Dataset;
use crate::error::Error;

/// log(1 + exp(−ym)) with y = ±1, the loss of [`LogisticRegression`].
#[derive(Debug, Clone)]
pub struct Logistic {
    /// The two labels of the data, the smaller first.
    labels: (f64, f64),
    /// The class, if there is only one.
    one_class: Option<f64>,
}

/// The Hessian of [`LogisticRegression`].
pub type WeightedGram = super::linear::WeightedGram<Logistic>;

/// Binary logistic regression; see the [module](self) and, for its methods, [`LinearModel`].
///
/// ```
/// use raphson::{Dataset, DampedNewton, models::LogisticRegression};
/// let rows = [[0.0], [1.0], [2.0], [3.0], [4.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[0.0, 1.0, 0.0, 1.0, 1.0])?;
/// let model = LogisticRegression::new(&data).l2(1.0).intercept(true);
/// let solver = DampedNewton::new().gradient_tol(1e-12);
/// let run = solver.minimize(&model, model.origin())?.must_converge()?;
/// assert!((run.x[0] - 0.27210740587014722).abs() < 1e-10);
/// assert!((run.x[1] + 0.12402135825864697).abs() < 1e-10);
/// assert_eq!(model.predict(&run.x, &data)?, [0.0, 1.0, 1.0, 1.0, 1.0]);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type LogisticRegression = LinearModel<Logistic>;

impl LogisticRegression {
    /// Mean loss on `data` without penalty and intercept.
    ///
    /// Data that cannot be fitted shows at the first evaluation or in
    /// [`check`](LinearModel::check).
    pub fn new(data: &Dataset) -> Self {
        // None of the labels is another.
        LogisticRegression::of_classes(data, &data.classes(), None)
    }

    /// The same with the distinct labels, in increasing order, of more data than `data`, as where
    /// it is one of several parts.
    pub fn with_classes(data: &Dataset, classes: &[f64]) -> Self {
        let other = data.labels().iter().find(|y| !classes.contains(y));
        let other = other.map(|y| format!("label {y} is not among the classes {classes:?}"));
        LogisticRegression::of_classes(data, classes, other)
    }

    fn of_classes(data: &Dataset, classes: &[f64], other: Option<String>) -> Self {
        let (loss, defect) = Logistic::of(classes);
        let defect = defect.or(other);
        let sign = data.labels().iter().map(|&y| loss.sign(y)).collect();
        LinearModel::with_labels(data, sign, loss, defect)
    }

    /// Probability of the positive class (the larger label) for every row.
    ///
    /// # Errors
    /// As [`decision`](LinearModel::decision).
    pub fn predict_proba(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let mut m = self.decision(w, data)?;
        for m in &mut m {
            let (s, t) = sigmoids(*m);
            *m = if *m >= 0.0 { s } else { t };
        }
        Ok(m)
    }

    /// The label of the likelier class for every row; a tie goes to the smaller label.
    ///
    /// # Errors
    /// As [`decision`](LinearModel::decision).
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let (low, high) = self.loss().labels;
        let m = self.decision(w, data)?;
        Ok(m.iter()
            .map(|m| if *m > 0.0 { high } else { low })
            .collect())
    }
}

impl Logistic {
    /// The loss for these classes, in increasing order, and what is wrong with them, if anything.
    pub(crate) fn of(classes: &[f64]) -> (Self, Option<String>) {
        let listed = || {
            let shown: Vec<String> = classes.iter().take(8).map(f64::to_string).collect();
            shown.join(", ")
        };
        let defect = (classes.len() > 2).then(|| {
            format!(
                "{} labels ({}{}): a binary model takes two; for more use a multinomial (softmax) model",
                classes.len(),
                listed(),
                if classes.len() > 8 { ", …" } else { "" }
            )
        });
        let labels = match classes {
            [one] if *one > 0.0 => (-one.abs(), *one),
            [one] => (*one, one.abs().max(1.0)),
            [low, .., high] => (*low, *high),
            [] => (-1.0, 1.0),
        };
        let one_class = match classes {
            [one] => Some(*one),
            _ => None,
        };
        (Logistic { labels, one_class }, defect)
    }

    /// y = ±1 of a label.
    pub(crate) fn sign(&self, label: f64) -> f64 {
        if label == self.labels.1 { 1.0 } else { -1.0 }
    }
}

/// σ(|z|) and σ(−|z|).
pub(crate) fn sigmoids(z: f64) -> (f64, f64) {
    let e = (-z.abs()).exp();
    let s = 1.0 / (1.0 + e);
    (s, e * s)
}

impl Loss for Logistic {
    fn value(&self, margin: f64, y: f64, share: f64) -> f64 {
        // log(1 + e^-z) = max(-z, 0) + log1p(e^-|z|)
        let z = y * margin;
        share * ((-z).max(0.0) + (-z.abs()).exp().ln_1p())
    }

    fn slope(&self, margin: f64, y: f64, share: f64) -> f64 {
        let z = y * margin;
        let (s, t) = sigmoids(z);
        -share * y * if z >= 0.0 { t } else { s }
    }

    fn curvature(&self, margin: f64, _: f64, share: f64) -> f64 {
        let (s, t) = sigmoids(margin);
        share * s * t
    }

    fn block(
        &self,
        margin: &[f64],
        label: &[f64],
        share: &[f64],
        slope: &mut [f64],
        curvature: &mut [f64],
    ) -> f64 {
        crate::simd::logistic(margin, label, share, slope, curvature)
    }

    fn advance(&self, change: f64, y: f64) -> f64 {
        change * y
    }

    fn recedes(&self) -> bool {
        true
    }

    fn check(&self, l2: f64, intercept: bool) -> Result<(), Error> {
        let Some(label) = self.one_class else {
            return Ok(());
        };
        let cure = if intercept {
            "the free intercept runs to infinity; give both classes or leave the intercept out"
        } else if l2 == 0.0 {
            "coefficients run to infinity; give both classes or add an l2 penalty"
        } else {
            return Ok(());
        };
        Err(Error::Data(format!(
            "one class only (label {label}): {cure}"
        )))
    }
}
