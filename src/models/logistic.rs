//! Binary logistic regression.
//!
//! # Problem
//! min over w (and b)  f = Σᵢ cᵢ log(1 + exp(−yᵢ(aᵢᵀw + b))) + (μ/2)‖w‖²
//!
//! with yᵢ = ±1 and cᵢ = sᵢ/Σs the normalized sample weights, 1/n by default: a
//! **mean** loss. For a sum loss with penalty λ use μ = λ/n. The intercept b, if
//! any, is the last coefficient and is not penalized.
//!
//! # Labels
//! The numerically larger of the two labels is the positive class, whatever
//! their order or encoding. If the data has one class only, a label above zero is
//! positive. More than two labels are an error.
//!
//! # Derivatives
//! With z = y(Aw + b) and p = 1/(1 + eᶻ): g = −Aᵀ(c y p) + μw,
//! H = Aᵀ diag(c p (1 − p)) A + μI. All are evaluated from e^(−|z|), so that
//! margins up to 10³⁰⁰ neither overflow nor lose digits.
//!
//! # Cost
//! Margins are computed once per point and shared by value, gradient and
//! Hessian: 2 flops an entry forward, 2 backward. Backtracks along one
//! direction cost no pass forward. The Hessian is an object of n weights that
//! the solver factors in the cheapest of three ways, see
//! [`gram`](crate::linear::gram).
//!
//! # Errors
//! Evaluations return [`Error::Data`] if the data cannot be fitted: more than two
//! labels; one class with a free intercept or without a penalty. Without a penalty
//! and with separable classes no minimizer exists; the run then ends as
//! `Failed(Separable)`, never as converged.

use super::design::Design;
use super::margins::{Margins, Slot};
use crate::data::Dataset;
use crate::edge::{SymMat, SymView};
use crate::error::Error;
use crate::linear::gram::{GramSolve, GramView};
use crate::parallel::{chunks_mut, norm};
use crate::problem::HessianProduct;
use crate::status::Failed;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

/// Rows per chunk of the loss.
const CHUNK: usize = 2048;
/// Operations a row of the loss counts as, for the choice of threads.
const ROW_WORK: usize = 40;

#[derive(Debug, Clone)]
struct Shared {
    design: Arc<Design>,
    /// yᵢ = ±1.
    sign: Vec<f64>,
    /// cᵢ, summing to 1.
    share: Vec<f64>,
    /// The two labels, the smaller first.
    labels: (f64, f64),
    l2: f64,
    intercept: bool,
    solve: GramSolve,
    one_class: bool,
    defect: Option<String>,
}

/// Binary logistic regression; see the [module](self).
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
#[derive(Debug)]
pub struct LogisticRegression {
    shared: Arc<Shared>,
    margins: Mutex<Margins>,
    origin_slope: OnceLock<f64>,
}

impl LogisticRegression {
    /// Mean loss on `data` without penalty and intercept.
    ///
    /// Data that cannot be fitted shows at the first evaluation or in
    /// [`check`](LogisticRegression::check).
    pub fn new(data: &Dataset) -> Self {
        let classes = data.classes();
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
        let labels = match classes.as_slice() {
            [one] if *one > 0.0 => (-one.abs(), *one),
            [one] => (*one, one.abs().max(1.0)),
            [low, .., high] => (*low, *high),
            [] => (-1.0, 1.0),
        };
        let sign = data
            .labels()
            .iter()
            .map(|&y| if y == labels.1 { 1.0 } else { -1.0 })
            .collect();
        let n = data.n_rows();
        LogisticRegression {
            shared: Arc::new(Shared {
                design: Arc::new(Design::new(data)),
                sign,
                share: vec![1.0 / n as f64; n],
                labels,
                l2: 0.0,
                intercept: false,
                solve: GramSolve::Auto,
                one_class: classes.len() == 1,
                defect,
            }),
            margins: Mutex::default(),
            origin_slope: OnceLock::new(),
        }
    }

    fn change(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = self.shared;
        change(Arc::make_mut(&mut shared));
        LogisticRegression {
            shared,
            margins: Mutex::default(),
            origin_slope: OnceLock::new(),
        }
    }

    /// Penalty (μ/2)‖w‖² on the coefficients but not on a free intercept. Default 0.
    pub fn l2(self, mu: f64) -> Self {
        self.change(|s| {
            s.l2 = mu;
            if !(mu >= 0.0 && mu.is_finite()) {
                let error = Error::parameter("l2", mu, "nonnegative and finite");
                s.defect.get_or_insert(error.to_string());
            }
        })
    }

    /// Adds an unpenalized intercept as the last coefficient. Default: none.
    pub fn intercept(self, free: bool) -> Self {
        self.change(|s| s.intercept = free)
    }

    /// Weight of each row in the mean. Default: all equal. Zero leaves a row out.
    pub fn sample_weights(self, weights: &[f64]) -> Self {
        self.change(|s| {
            let total: f64 = weights.iter().sum();
            let valid = weights.len() == s.share.len()
                && weights.iter().all(|w| *w >= 0.0 && w.is_finite())
                && total > 0.0
                && total.is_finite();
            if valid {
                s.share.clear();
                s.share.extend(weights.iter().map(|w| w / total));
            } else {
                s.defect.get_or_insert(format!(
                    "sample weights: expected {} nonnegative finite numbers with a positive sum, found {}",
                    s.share.len(),
                    weights.len()
                ));
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
        if s.one_class && (s.intercept || s.l2 == 0.0) {
            let cure = if s.intercept {
                "the free intercept runs to infinity; give both classes or leave the intercept out"
            } else {
                "coefficients run to infinity; give both classes or add an l2 penalty"
            };
            return Err(Error::Data(format!(
                "one class only (label {}): {cure}",
                if s.sign.first() == Some(&1.0) {
                    s.labels.1
                } else {
                    s.labels.0
                }
            )));
        }
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
        *self.origin_slope.get_or_init(|| {
            let s = &self.shared;
            let halves: Vec<f64> = s
                .sign
                .iter()
                .zip(&s.share)
                .map(|(y, c)| -0.5 * y * c)
                .collect();
            let mut g = self.origin();
            s.design.mul_transpose(&halves, &mut g);
            norm(&g)
        })
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

    /// Probability of the positive class (the larger label) for every row.
    ///
    /// # Errors
    /// As [`decision`](LogisticRegression::decision).
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
    /// As [`decision`](LogisticRegression::decision).
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let (low, high) = self.shared.labels;
        let m = self.decision(w, data)?;
        Ok(m.iter()
            .map(|m| if *m > 0.0 { high } else { low })
            .collect())
    }

    /// Products with the data matrix so far, for tests of cost.
    pub fn forward_passes(&self) -> u64 {
        self.locked(|margins| margins.passes)
    }

    /// Runs `f` on the shared margins, or on fresh ones while another thread holds them.
    fn locked<T>(&self, f: impl FnOnce(&mut Margins) -> T) -> T {
        match self.margins.try_lock() {
            Ok(mut margins) => f(&mut margins),
            Err(TryLockError::Poisoned(poisoned)) => {
                let mut margins = poisoned.into_inner();
                *margins = Margins::default();
                f(&mut margins)
            }
            Err(TryLockError::WouldBlock) => f(&mut Margins::default()),
        }
    }

    fn ready(&self, w: &[f64]) -> Result<(), Error> {
        self.check()?;
        crate::error::length("coefficients", self.dimension(), w.len())
    }
}

/// σ(|z|) and σ(−|z|).
fn sigmoids(z: f64) -> (f64, f64) {
    let e = (-z.abs()).exp();
    let s = 1.0 / (1.0 + e);
    (s, e * s)
}

impl Shared {
    fn dimension(&self) -> usize {
        self.design.features() + usize::from(self.intercept)
    }

    /// Loss and the derivative of each row's loss with respect to its margin.
    fn evaluate(&self, slot: &mut Slot) {
        if slot.evaluated {
            return;
        }
        let n = slot.margin.len();
        let margin = &slot.margin;
        chunks_mut(&mut slot.rows, CHUNK, ROW_WORK * n, |first, rows| {
            for (k, row) in rows.iter_mut().enumerate() {
                let i = first + k;
                let (y, c) = (self.sign[i], self.share[i]);
                let z = y * margin[i];
                let (s, t) = sigmoids(z);
                *row = -c * y * if z >= 0.0 { t } else { s };
            }
        });
        // log(1 + e^-z) = max(-z, 0) + log1p(e^-|z|)
        let chunks = n.div_ceil(CHUNK);
        let mut partial = [0.0; 1];
        let mut total = 0.0;
        if chunks <= 1 {
            self.loss(margin, 0, &mut partial);
            total = partial[0];
        } else {
            let mut partial = vec![0.0; chunks];
            chunks_mut(&mut partial, 1, ROW_WORK * n, |k, out| {
                self.loss(margin, k * CHUNK, out);
            });
            total += partial.iter().sum::<f64>();
        }
        slot.value = total;
        slot.evaluated = true;
    }

    fn loss(&self, margin: &[f64], first: usize, out: &mut [f64]) {
        let last = (first + CHUNK).min(margin.len());
        out[0] = (first..last)
            .map(|i| {
                let z = self.sign[i] * margin[i];
                self.share[i] * ((-z).max(0.0) + (-z.abs()).exp().ln_1p())
            })
            .sum();
    }

    fn penalty(&self, w: &[f64]) -> f64 {
        if self.l2 == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let w = norm(&w[..self.design.features()]);
        0.5 * self.l2 * w * w
    }

    /// c p (1 − p) for each row.
    fn weigh(&self, slot: &mut Slot) {
        if slot.weighted {
            return;
        }
        let margin = &slot.margin;
        slot.weight.resize(margin.len(), 0.0);
        chunks_mut(
            &mut slot.weight,
            CHUNK,
            ROW_WORK * margin.len(),
            |first, out| {
                for (k, out) in out.iter_mut().enumerate() {
                    let (s, t) = sigmoids(margin[first + k]);
                    *out = self.share[first + k] * s * t;
                }
            },
        );
        slot.weighted = true;
    }

    fn gram<'a>(&'a self, weight: &'a [f64]) -> GramView<'a> {
        GramView {
            design: &self.design,
            weight,
            ridge: self.l2,
            intercept: self.intercept,
            solve: self.solve,
        }
    }

    /// Without penalty: do the classes turn out separable at x, or along the last step?
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        if self.l2 > 0.0 {
            return Ok(());
        }
        let mut margin = vec![0.0; self.sign.len()];
        let mut range = |w: &[f64]| {
            self.design.mul(w, &mut margin);
            let signed = margin.iter().zip(&self.sign).zip(&self.share);
            signed
                .filter(|(_, c)| **c > 0.0)
                .map(|((m, y), _)| m * y)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| {
                    (low.min(z), high.max(z))
                })
        };
        // All rows on their side: w is a proof.
        let complete = range(x).0 > 0.0;
        // A Newton step along a direction of recession moves margins by about one
        // and none backward: no minimizer can lie ahead.
        let (low, high) = range(step);
        let quasi = high >= 0.1 && low >= -1e-6 * high;
        if complete || quasi {
            return Err(Failed::Separable);
        }
        Ok(())
    }
}

/// The Hessian of a linear model: weights, not a matrix.
#[derive(Debug, Clone)]
pub struct WeightedGram {
    shared: Arc<Shared>,
    weight: Vec<f64>,
    scale: f64,
}

impl SymMat for WeightedGram {
    fn sym(&self) -> SymView<'_> {
        SymView::Gram(self.shared.gram(&self.weight))
    }
    fn gradient_scale(&self) -> Option<f64> {
        Some(self.scale)
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }

    fn may_object(&self) -> bool {
        self.shared.l2 <= 0.0
    }
}

impl CostFunction for LogisticRegression {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.ready(w)?;
        let loss = self.locked(|margins| {
            let slot = margins.at(&self.shared.design, w);
            self.shared.evaluate(slot);
            slot.value
        });
        Ok(loss + self.shared.penalty(w))
    }
}

impl Gradient for LogisticRegression {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        self.ready(w)?;
        let mut g = vec![0.0; w.len()];
        self.locked(|margins| {
            let slot = margins.at(&self.shared.design, w);
            self.shared.evaluate(slot);
            self.shared.design.mul_transpose(&slot.rows, &mut g);
        });
        let features = self.shared.design.features();
        for (g, w) in g.iter_mut().zip(&w[..features]) {
            *g += self.shared.l2 * w;
        }
        Ok(g)
    }
}

impl Hessian for LogisticRegression {
    type Param = Vec<f64>;
    type Hessian = WeightedGram;

    fn hessian(&self, w: &Vec<f64>) -> Result<WeightedGram, HostError> {
        self.ready(w)?;
        let weight = self.locked(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.weigh(slot);
            slot.weight.clone()
        });
        Ok(WeightedGram {
            shared: Arc::clone(&self.shared),
            weight,
            scale: self.gradient_scale(),
        })
    }
}

impl HessianProduct for LogisticRegression {
    type Param = Vec<f64>;

    fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.ready(w)?;
        self.locked(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.weigh(slot);
            let Slot {
                weight, scratch, ..
            } = slot;
            scratch.resize(weight.len(), 0.0);
            self.shared.gram(weight).mul(0.0, v, out, scratch);
        });
        Ok(())
    }

    fn hessian_diagonal(&self, w: &Vec<f64>, out: &mut [f64]) -> Result<bool, HostError> {
        self.ready(w)?;
        self.locked(|margins| {
            let slot = margins.anchor(&self.shared.design, w);
            self.shared.weigh(slot);
            self.shared.gram(&slot.weight).diagonal(out);
        });
        Ok(true)
    }

    fn gradient_scale(&self) -> Option<f64> {
        Some(LogisticRegression::gradient_scale(self))
    }

    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.shared.verify(x, step)
    }
}
