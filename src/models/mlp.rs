//! Multilayer perceptrons: dense layers with exact first and second derivatives.
//!
//! # Problem
//! min over w  f = (1/n) Σᵢ ℓᵢ(zᵢ) + (μ/2)‖w‖²,  a⁰ = inputs of row i,  sˡ = Wˡaˡ⁻¹ + bˡ,
//! aˡ = φ(sˡ) for l < L,  zᵢ = sᴸ
//!
//! with the penalty on all parameters, weights and biases. The losses:
//!
//! | constructor | outputs | ℓ |
//! |---|---|---|
//! | [`Mlp::classifier`] | one a class | log Σₖ exp(zₖ) − z_y |
//! | [`Mlp::regressor`] | one | ½(z − y)² |
//! | [`Mlp::regressor_onto`] | one a target | ½‖z − y‖² |
//! | [`Mlp::autoencoder`] | one a feature | ½‖z − a⁰‖² |
//!
//! Classes are the distinct labels in increasing order. f is not convex unless there is no hidden
//! layer, and has saddle points: where hidden units coincide, and at the origin.
//!
//! # Parameters
//! One vector, layer after layer from the inputs: Wˡ, row after row (row p holds the weights into
//! unit p), then bˡ. With layers of widths m₀ (features), m₁, …, m_L (outputs) the dimension is
//! d = Σ mₗ(mₗ₋₁ + 1), or Σ mₗmₗ₋₁ without biases.
//!
//! # Derivatives
//! With δˡ = ∂f/∂sˡ of a row, δᴸ = r/n, δˡ = φ′ ⊙ Wˡ⁺¹ᵀδˡ⁺¹:  ∂f/∂Wˡ = Σᵢ δˡaˡ⁻¹ᵀ,  ∂f/∂bˡ = Σᵢ δˡ.
//!
//! A product with the Hessian differentiates both sweeps along V (Pearlmutter): forward
//! ṡˡ = Vˡaˡ⁻¹ + Wˡȧˡ⁻¹, ȧˡ = φ′ṡˡ, backward δ̇ᴸ = Qżᵢ/n,
//! δ̇ˡ = φ′ ⊙ (Wˡ⁺¹ᵀδ̇ˡ⁺¹ + Vˡ⁺¹ᵀδˡ⁺¹) + φ″ṡˡ ⊙ Wˡ⁺¹ᵀδˡ⁺¹; the product is Σᵢ (δ̇ˡaˡ⁻¹ᵀ + δˡȧˡ⁻¹ᵀ).
//!
//! The Hessian is assembled from the same two sweeps, seeded at the units: an entry Wˡₚq moves
//! sˡₚ by aˡ⁻¹_q, so the seed ṡˡ = eₚ of all rows at once gives the columns of unit p as
//! Σᵢ (δ̇ᵐaᵐ⁻¹ᵀ + δᵐȧᵐ⁻¹ᵀ) ⊗ aˡ⁻¹, matrix products over the rows, for m ≥ l only.
//!
//! All are exact for [`Activation::Tanh`]. [`Activation::Relu`] has φ′(0) = 0 and φ″ = 0: the
//! derivatives are generalized ones at kinks and exact elsewhere.
//!
//! # Cost
//! One forward pass a point and batch, whatever is evaluated there: 2nd flops and an activation
//! a unit and row. On top of it a gradient costs up to 4nd, a product up to 12nd (4nd in the first
//! layer), the Hessian about nd² and d² doubles, and [`gram`](crate::OutputModel::gram)
//! (bc)² Σ mₗ without a Jacobian. The inputs are stored dense.
//!
//! # Batches
//! As a [`FiniteSum`](crate::FiniteSum) and an [`OutputModel`](crate::OutputModel), batches are
//! evaluated on copies of their rows, kept until another batch is named.
//!
//! # Errors
//! Evaluations return [`Error::Data`] if the model cannot be fitted: a layer of width 0, no
//! features, one class only, targets that do not match the rows, a penalty out of range. A batch
//! with a row of NaN is an error that names it.
//!
//! # References
//! B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994),
//! 147-160, section 3 (products); C. M. Bishop, Exact calculation of the Hessian matrix for the
//! multilayer perceptron, Neural Computation 4 (1992), 494-501 (the Hessian by seeds at the units).

mod gradient;
mod gram;
mod hessian;
mod net;
mod oracles;
mod outputs;
mod product;
mod state;
mod targets;

use super::batch::{LastBatch, nan_row, penalty};
use crate::data::Dataset;
use crate::edge::{Stored, SymMat, SymView};
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::models::softmax::loss::largest;
use crate::stochastic::{Purpose, Stream};
use argmin::core::Error as HostError;
use faer::{Mat, MatRef};
use net::Net;
use state::{Cache, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use targets::Targets;

/// The most inputs of all rows together (32 GiB).
const MOST_INPUTS: usize = 1 << 32;

/// φ, applied to every hidden unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// tanh s, infinitely smooth. The default.
    #[default]
    Tanh,
    /// max(s, 0). Derivatives are generalized ones at kinks: φ′(0) = 0, φ″ = 0.
    Relu,
}

#[derive(Debug, Clone)]
struct Shared {
    net: Net,
    /// Row after row.
    inputs: Arc<[f64]>,
    targets: Targets,
    n: usize,
    l2: f64,
    defect: Option<String>,
    passes: Arc<AtomicU64>,
}

/// A multilayer perceptron; see the [module](self).
///
/// The two inputs of "exclusive or", which no linear model separates:
/// ```
/// use raphson::{Dataset, TrustRegionNewton, models::Mlp};
/// let rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[0.0, 1.0, 1.0, 0.0])?;
/// let model = Mlp::classifier(&data, &[4]).l2(1e-3);
/// assert_eq!(model.dimension(), 4 * (2 + 1) + 2 * (4 + 1));
/// let run = TrustRegionNewton::new().minimize(&model, model.fan_in(1))?.must_converge()?;
/// assert_eq!(model.predict(&run.x, &data)?, data.labels());
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug)]
pub struct Mlp {
    shared: Arc<Shared>,
    cache: Cache,
    last: LastBatch<Mlp>,
}

impl Shared {
    /// Operations of a pass that does `flops` a row and parameter.
    fn work(&self, flops: usize) -> usize {
        let each = flops.saturating_mul(self.n);
        each.saturating_mul(self.net.dimension())
    }
}

impl Mlp {
    /// Cross-entropy of the labels of `data` under `hidden` layers of these widths, without
    /// penalty; no hidden layer is softmax regression.
    ///
    /// What cannot be fitted shows at the first evaluation or in [`check`](Mlp::check).
    pub fn classifier(data: &Dataset, hidden: &[usize]) -> Self {
        Mlp::build(data, hidden, Targets::classes(data))
    }

    /// Half the mean squared residual of one output against the labels of `data`.
    pub fn regressor(data: &Dataset, hidden: &[usize]) -> Self {
        Mlp::build(data, hidden, Targets::values(data.labels().to_vec(), 1))
    }

    /// Half the mean of ‖z − y‖² against `targets`, one y for each row of `data`, whose labels are
    /// not used.
    pub fn regressor_onto(data: &Dataset, targets: &[Vec<f64>], hidden: &[usize]) -> Self {
        Mlp::build(data, hidden, Targets::rows(targets, data.n_rows()))
    }

    /// Half the mean of ‖z − a‖² against the rows a of `data` themselves, whose labels are not used.
    pub fn autoencoder(data: &Dataset, hidden: &[usize]) -> Self {
        let features = data.n_features();
        let fits = data.n_rows().saturating_mul(features) <= MOST_INPUTS;
        let targets = if fits {
            dense(data, features)
        } else {
            Vec::new()
        };
        Mlp::build(data, hidden, Targets::values(targets, features))
    }

    fn build(data: &Dataset, hidden: &[usize], targets: Targets) -> Self {
        let features = data.n_features();
        let mut widths = vec![features];
        widths.extend_from_slice(hidden);
        widths.push(targets.outputs());
        let mut defect = targets.defect();
        let size = data.n_rows().saturating_mul(features);
        let inputs = if size > MOST_INPUTS {
            defect = Some(format!("{size} inputs are too many to be stored dense"));
            Arc::default()
        } else {
            dense(data, features).into()
        };
        if features == 0 {
            defect = Some("no features: a network needs at least one input".into());
        } else if let Some(layer) = hidden.iter().position(|width| *width == 0) {
            let text = format!("hidden layer {layer} has width 0: give at least one unit");
            defect = Some(text);
        }
        let net = Net::new(&widths, true).unwrap_or_else(|| {
            defect.get_or_insert_with(|| {
                format!("layers of widths {widths:?} have too many parameters; use narrower ones")
            });
            Net::default()
        });
        Mlp::of(Shared {
            net,
            inputs,
            targets,
            n: data.n_rows(),
            l2: 0.0,
            defect,
            passes: Arc::default(),
        })
    }

    fn of(shared: Shared) -> Self {
        Mlp {
            shared: Arc::new(shared),
            cache: Cache::default(),
            last: LastBatch::default(),
        }
    }

    fn change(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        Mlp::of(shared)
    }

    /// φ of the hidden units. Default: [`Activation::Tanh`].
    pub fn activation(self, activation: Activation) -> Self {
        self.change(|s| s.net.activation = activation)
    }

    /// Penalty (μ/2)‖w‖² on all parameters, biases included. Default: 0.
    pub fn l2(self, mu: f64) -> Self {
        self.change(|s| {
            s.l2 = mu;
            s.defect = s.defect.take().or_else(|| penalty(mu));
        })
    }

    /// Whether the layers have biases. Default: yes.
    pub fn biases(self, present: bool) -> Self {
        self.change(|s| s.net = s.net.with_biases(present))
    }

    /// Whether the model can be fitted with these options.
    pub fn check(&self) -> Result<(), Error> {
        match &self.shared.defect {
            Some(defect) => Err(Error::Data(defect.clone())),
            None => Ok(()),
        }
    }

    /// d, the number of parameters.
    pub fn dimension(&self) -> usize {
        self.shared.net.dimension()
    }

    /// The labels of the classes in the order of the outputs; empty for a regression.
    pub fn classes(&self) -> &[f64] {
        self.shared.targets.labels()
    }

    /// The zero vector. A saddle point if there are hidden layers: nothing moves the first weights.
    pub fn origin(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }

    /// A random start: every parameter normal with standard deviation `scale`.
    ///
    /// The numbers are those of the [`Stream`] of `seed` for [`Purpose::Escape`].
    pub fn initial(&self, seed: u64, scale: f64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::Escape);
        let draw = |_| scale * stream.normal();
        (0..self.dimension()).map(draw).collect()
    }

    /// The usual random start: weights normal with variance 1/m for m inputs of the layer (2/m
    /// before a [`Relu`](Activation::Relu)), biases 0, so that signals keep their size from layer
    /// to layer.
    ///
    /// X. Glorot and Y. Bengio 2010, K. He et al. 2015, equation 10. Stream as
    /// [`initial`](Mlp::initial).
    pub fn fan_in(&self, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::Escape);
        let mut w = self.origin();
        let net = &self.shared.net;
        for (l, layer) in net.layers().iter().enumerate() {
            let gain = match net.activation {
                Activation::Relu if l + 1 < net.layers().len() => 2.0,
                _ => 1.0,
            };
            let deviation = (gain / layer.inputs as f64).sqrt();
            for w in &mut w[layer.weights()] {
                *w = deviation * stream.normal();
            }
        }
        w
    }

    /// z for every row of `data`, which may be other data than the model was made of.
    ///
    /// # Errors
    /// [`Error::WrongLength`] if `data` has more features than the model or `w` has the wrong
    /// length, [`Error::Data`] as [`check`](Mlp::check).
    pub fn outputs(&self, w: &[f64], data: &Dataset) -> Result<Vec<Vec<f64>>, Error> {
        self.ready(w)?;
        let features = self.shared.net.inputs();
        if data.n_features() > features {
            crate::error::length("features of the data", features, data.n_features())?;
        }
        let (c, n) = (self.shared.targets.outputs(), data.n_rows());
        let other = Shared {
            inputs: dense(data, features).into(),
            targets: Targets::values(vec![0.0; c * n], c),
            n,
            ..(*self.shared).clone()
        };
        let mut state = State::default();
        state.forward(&other, w);
        let mut z = vec![0.0; c * n];
        state.outputs(&mut z);
        Ok(z.chunks(c).map(<[f64]>::to_vec).collect())
    }

    /// What is predicted for every row: the label of the class with the greatest output, a tie
    /// going to the smallest label, or the output of a regression.
    ///
    /// # Errors
    /// As [`outputs`](Mlp::outputs); [`Error::NotOffered`] for regressions with several outputs.
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let labels = self.classes();
        if labels.is_empty() && self.shared.targets.outputs() != 1 {
            let what = "one prediction a row for several outputs; use `outputs`";
            return Err(Error::NotOffered { what });
        }
        let z = self.outputs(w, data)?;
        let one = |z: &Vec<f64>| match labels {
            [] => z[0],
            labels => labels[largest(z)],
        };
        Ok(z.iter().map(one).collect())
    }

    /// Share of the rows of `data` whose label is not the predicted one.
    ///
    /// # Errors
    /// As [`outputs`](Mlp::outputs); [`Error::NotOffered`] for regressions.
    pub fn error_rate(&self, w: &[f64], data: &Dataset) -> Result<f64, Error> {
        if self.classes().is_empty() {
            let what = "an error rate of a regression; compare `outputs` with the targets";
            return Err(Error::NotOffered { what });
        }
        let predicted = self.predict(w, data)?;
        let rows = predicted.iter().zip(data.labels());
        Ok(rows.filter(|(p, y)| p != y).count() as f64 / data.n_rows() as f64)
    }

    /// Forward passes so far, those of batches included, for tests of cost.
    pub fn forward_passes(&self) -> u64 {
        self.shared.passes.load(Ordering::Relaxed)
    }

    fn ready(&self, w: &[f64]) -> Result<(), Error> {
        self.check()?;
        crate::error::length("parameters", self.dimension(), w.len())
    }

    /// Runs `f` on the evaluated forward pass of `w`.
    fn at<T>(&self, w: &[f64], f: impl FnOnce(&mut State) -> T) -> T {
        let s = &self.shared;
        self.cache.with(|state| {
            if state.forward(s, w) {
                s.passes.fetch_add(1, Ordering::Relaxed);
            }
            f(state)
        })
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
        self.check()?;
        let s = &self.shared;
        let part = self.last.get(s.n, terms, || {
            let width = s.net.inputs();
            let rows = terms
                .iter()
                .flat_map(|&i| &s.inputs[i * width..(i + 1) * width]);
            Mlp::of(Shared {
                net: s.net.clone(),
                inputs: rows.copied().collect(),
                targets: s.targets.select(terms),
                n: terms.len(),
                l2: s.l2,
                defect: s.defect.clone(),
                passes: Arc::clone(&s.passes),
            })
        })?;
        evaluate(&part)
    }

    /// An error if `value` is NaN.
    fn named(&self, value: f64, w: &[f64], batch: Batch<'_>) -> Result<(), Error> {
        if !value.is_nan() {
            return Ok(());
        }
        let nan = self.at(w, |state| state.nan_rows());
        Err(nan_row(batch, self.shared.n, |i| nan.contains(&i)))
    }
}

/// The rows of `data` with all their zeros, `features` numbers each.
fn dense(data: &Dataset, features: usize) -> Vec<f64> {
    let mut all = vec![0.0; data.n_rows() * features];
    for (i, row) in all.chunks_mut(features.max(1)).enumerate() {
        let (columns, values) = data.row(i);
        for (&j, &v) in columns.iter().zip(values) {
            row[j as usize] = v;
        }
    }
    all
}

/// The Hessian of an [`Mlp`], dense.
#[derive(Debug, Clone)]
pub struct MlpHessian {
    matrix: Mat<f64>,
}

impl MlpHessian {
    /// The matrix; only the lower triangle is meant.
    pub fn lower(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }
}

impl SymMat for MlpHessian {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(self.matrix.as_ref(), Stored::Lower)
    }
    fn may_object(&self) -> bool {
        false
    }
}
