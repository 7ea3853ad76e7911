//! Objectives made of a model's outputs and a loss convex in them.
//!
//! # Problem
//! F(x) = (1/n) Σᵢ ℓᵢ(zᵢ(x)) + (μ/2)‖x‖²,  zᵢ(x) ∈ Rᶜ the outputs of term i
//!
//! with losses ℓᵢ convex in z: nonlinear least squares, classification by networks. Of a batch S
//! of b terms, each as often as it occurs, the rows of all arrays are those of its terms in order:
//! output k of the batch's i-th term is entry ic + k of the outputs, and row ic + k of the
//! Jacobian J (bc x d). With r the stacked slopes ∂ℓ/∂z and Q the block diagonal of the
//! curvatures ∂²ℓ/∂z² (c x c, positive semidefinite),
//!
//! g = Jᵀr/b + μx,  H ≈ JᵀQJ/b + μI  (Gauss and Newton's approximation).
//!
//! The direction −(JᵀQJ/b + λI)⁻¹g needs either J or only K = JJᵀ (bc x bc) and products with Jᵀ.
//! J, K and the products carry neither the 1/b nor the penalty.

use crate::edge::VecLike;
use crate::error::length;
use crate::finite_sum::Batch;
use crate::models::logistic::sigmoids;
use crate::models::softmax::loss::{exponentials, largest};
use argmin::core::Error;
use faer::MatMut;

/// A model with c outputs a term under a convex loss; see the [module](self).
///
/// The batch is an argument of every call. One point and batch should cost one forward pass,
/// whatever is asked of them one after the other. Lengths and shapes that do not fit, and batches
/// that are empty or name a term out of range, are errors.
///
/// ```
/// use faer::Mat;
/// use raphson::{Batch, Dataset, OutputLoss, OutputModel, models::Mlp};
/// let rows = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[1.0, 1.0, 0.0])?;
/// let model = Mlp::regressor(&data, &[4]);
/// let x = model.fan_in(1);
/// let mut jacobian = Mat::zeros(2, model.dimension());
/// let mut gram = Mat::zeros(2, 2);
/// let batch = Batch::Terms(&[2, 0]);
/// model.jacobian(&x, batch, jacobian.as_mut()).unwrap();
/// assert!(model.gram(&x, batch, gram.as_mut()).unwrap());
/// let product = &jacobian * jacobian.transpose();
/// assert!((&gram - &product).norm_max() < 1e-14);
/// assert!(matches!(model.loss(), OutputLoss::Squared { .. }));
/// # Ok::<(), raphson::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model with outputs under a convex loss",
    note = "implement `raphson::OutputModel`"
)]
pub trait OutputModel {
    /// Type of the parameter vector.
    type Param: VecLike;

    /// n, the number of terms.
    fn terms(&self) -> usize;
    /// c, the number of outputs of a term.
    fn outputs_len(&self) -> usize;
    /// The loss of each term, with its target.
    fn loss(&self) -> OutputLoss<'_>;
    /// μ in the penalty (μ/2)‖x‖² on all parameters. Default: 0.
    fn l2(&self) -> f64 {
        0.0
    }

    /// Writes the outputs of the batch, c numbers a term, to `out` (bc).
    fn outputs(&self, x: &Self::Param, batch: Batch<'_>, out: &mut [f64]) -> Result<(), Error>;
    /// Writes the Jacobian J of the outputs to `out` (bc x d).
    fn jacobian(
        &self,
        x: &Self::Param,
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), Error>;
    /// Writes Jv to `out` (bc), for `v` of length d.
    fn jvp(
        &self,
        x: &Self::Param,
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error>;
    /// Writes Jᵀu to `out` (d), for `u` of length bc.
    fn vjp(
        &self,
        x: &Self::Param,
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error>;

    /// Writes all of K = JJᵀ to `out` (bc x bc) without forming J and returns `true`.
    ///
    /// Default: `false`, not offered; K is then a product of the Jacobian with itself.
    fn gram(&self, x: &Self::Param, batch: Batch<'_>, out: MatMut<'_, f64>) -> Result<bool, Error> {
        let _ = (x, batch, out);
        Ok(false)
    }
}

/// The losses of the terms, functions of a term's outputs z.
///
/// Targets are those of all n terms, whatever the batch; a term is named by its place among them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum OutputLoss<'a> {
    /// ½ Σₖ ωₖ (zₖ − yₖ)²; r = ω(z − y), Q = diag ω.
    Squared {
        /// y of all terms, c numbers a term.
        targets: &'a [f64],
        /// ω, nonnegative, c numbers; [`None`] is all ones.
        weights: Option<&'a [f64]>,
    },
    /// log Σₖ exp(zₖ) − z_y; r = p − e_y, Q = diag p − ppᵀ with p = softmax(z).
    Softmax {
        /// y of each term, from 0 to c − 1.
        classes: &'a [u32],
    },
    /// log(1 + exp(−yz)) of one output; r = −yσ(−yz), Q = σ(z)σ(−z).
    Logistic {
        /// y of each term, 1 or −1.
        signs: &'a [f64],
    },
    /// Any other loss.
    General(&'a dyn ConvexLoss),
}

/// A loss convex in the outputs of a term, for [`OutputLoss::General`].
pub trait ConvexLoss: std::fmt::Debug + Sync {
    /// ℓ(z) of the given term.
    fn value(&self, term: usize, z: &[f64]) -> f64;
    /// Writes r = ∂ℓ/∂z to `r` (c).
    fn slope(&self, term: usize, z: &[f64], r: &mut [f64]);
    /// Writes Q = ∂²ℓ/∂z², positive semidefinite, to `q` (c² numbers, one row after the other).
    fn curvature(&self, term: usize, z: &[f64], q: &mut [f64]);
}

/// Evaluation of one term.
///
/// # Panics
/// If the term is not one of the model's, or the lengths are not c and c², as indexing a slice
/// does.
impl OutputLoss<'_> {
    /// ℓ(z) of the given term.
    pub fn value(&self, term: usize, z: &[f64]) -> f64 {
        match self {
            OutputLoss::Squared { targets, weights } => {
                let y = &targets[term * z.len()..(term + 1) * z.len()];
                let squares = z.iter().zip(y).map(|(z, y)| (z - y) * (z - y));
                0.5 * match weights {
                    None => squares.sum::<f64>(),
                    Some(weights) => squares.zip(*weights).map(|(s, w)| w * s).sum(),
                }
            }
            OutputLoss::Softmax { classes } => {
                let top = largest(z);
                let others = (0..z.len()).filter(|&k| k != top);
                let rest: f64 = others.map(|k| (z[k] - z[top]).exp()).sum();
                rest.ln_1p() + (z[top] - z[classes[term] as usize])
            }
            OutputLoss::Logistic { signs } => {
                let m = signs[term] * z[0];
                (-m).max(0.0) + (-m.abs()).exp().ln_1p()
            }
            OutputLoss::General(loss) => loss.value(term, z),
        }
    }

    /// Writes r = ∂ℓ/∂z to `r` (c).
    pub fn slope(&self, term: usize, z: &[f64], r: &mut [f64]) {
        match self {
            OutputLoss::Squared { targets, weights } => {
                let y = &targets[term * z.len()..(term + 1) * z.len()];
                for (k, r) in r.iter_mut().enumerate() {
                    *r = weights.map_or(1.0, |w| w[k]) * (z[k] - y[k]);
                }
            }
            OutputLoss::Softmax { classes } => {
                let y = classes[term] as usize;
                r.copy_from_slice(z);
                let (_, missing) = probabilities(y, r);
                r[y] = -missing;
            }
            OutputLoss::Logistic { signs } => {
                let m = signs[term] * z[0];
                let (s, t) = sigmoids(m);
                r[0] = -signs[term] * if m >= 0.0 { t } else { s };
            }
            OutputLoss::General(loss) => loss.slope(term, z, r),
        }
    }

    /// Writes Q = ∂²ℓ/∂z² to `q` (c² numbers, one row after the other).
    pub fn curvature(&self, term: usize, z: &[f64], q: &mut [f64]) {
        let c = z.len();
        match self {
            OutputLoss::Squared { weights, .. } => {
                q.fill(0.0);
                for k in 0..c {
                    q[k * c + k] = weights.map_or(1.0, |w| w[k]);
                }
            }
            OutputLoss::Softmax { .. } => {
                let (p, rows) = q.split_at_mut(c);
                p.copy_from_slice(z);
                let (_, rest) = exponentials(p);
                p.iter_mut().for_each(|p| *p /= 1.0 + rest);
                for (k, row) in (1..c).zip(rows.chunks_mut(c)) {
                    curvature_row(k, p, |l, q| row[l] = q);
                }
                // The first row last, from the probabilities it holds: pₗ is read before it is lost.
                let first = p[0];
                let others: f64 = p[1..].iter().sum();
                p[0] = first * others;
                p[1..].iter_mut().for_each(|p| *p *= -first);
            }
            OutputLoss::Logistic { .. } => {
                let (s, t) = sigmoids(z[0]);
                q[0] = s * t;
            }
            OutputLoss::General(loss) => loss.curvature(term, z, q),
        }
    }
}

impl OutputLoss<'_> {
    /// Whether the targets fit `n` terms of `c` outputs.
    pub(crate) fn check(&self, n: usize, c: usize) -> Result<(), crate::Error> {
        if c == 0 {
            let text = "a model without outputs: give at least one output a term";
            return Err(crate::Error::Data(text.into()));
        }
        match self {
            OutputLoss::Squared { targets, weights } => {
                length("targets", n * c, targets.len())?;
                let Some(weights) = weights else {
                    return Ok(());
                };
                length("weights of the outputs", c, weights.len())?;
                match weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
                    Some(w) => {
                        let requirement = "nonnegative and finite";
                        Err(crate::Error::parameter(
                            "weight of an output",
                            w,
                            requirement,
                        ))
                    }
                    None => Ok(()),
                }
            }
            OutputLoss::Softmax { classes } => {
                length("classes", n, classes.len())?;
                if c < 2 {
                    let text = "a softmax of one output is constant: give at least two";
                    return Err(crate::Error::Data(text.into()));
                }
                match classes.iter().position(|y| *y as usize >= c) {
                    Some(i) => Err(crate::Error::Data(format!(
                        "term {i} has class {}, but there are {c} outputs: give 0 to {}",
                        classes[i],
                        c.saturating_sub(1)
                    ))),
                    None => Ok(()),
                }
            }
            OutputLoss::Logistic { signs } => {
                length("signs", n, signs.len())?;
                length("outputs of a term under the logistic loss", 1, c)?;
                match signs.iter().position(|y| y.abs() != 1.0) {
                    Some(i) => Err(crate::Error::Data(format!(
                        "term {i} has sign {}: give 1 or -1",
                        signs[i]
                    ))),
                    None => Ok(()),
                }
            }
            OutputLoss::General(_) => Ok(()),
        }
    }
}

/// The mean of the losses of a batch with the outputs z.
pub(crate) fn mean_loss(loss: &OutputLoss<'_>, batch: Batch<'_>, c: usize, z: &[f64]) -> f64 {
    let terms = z.chunks(c.max(1)).enumerate();
    let sum: f64 = terms.map(|(k, z)| loss.value(batch.term(k), z)).sum();
    sum * c as f64 / z.len() as f64
}

/// Writes the slopes of a batch with the outputs z to `r`.
pub(crate) fn stack_slopes(
    loss: &OutputLoss<'_>,
    batch: Batch<'_>,
    c: usize,
    z: &[f64],
    r: &mut [f64],
) {
    let terms = z.chunks(c.max(1)).zip(r.chunks_mut(c.max(1)));
    for (k, (z, r)) in terms.enumerate() {
        loss.slope(batch.term(k), z, r);
    }
}

/// Calls `put(l, Qₖₗ)` for row k of diag p − ppᵀ, 1 − pₖ summed from the others.
fn curvature_row(k: usize, p: &[f64], mut put: impl FnMut(usize, f64)) {
    let mut others = 0.0;
    for (l, q) in p.iter().enumerate().filter(|(l, _)| *l != k) {
        put(l, -p[k] * q);
        others += q;
    }
    put(k, p[k] * others);
}

/// Overwrites outputs by probabilities; returns log Σₖ exp(zₖ) − z_y and 1 − p_y, both without
/// cancellation.
pub(crate) fn probabilities(y: usize, z: &mut [f64]) -> (f64, f64) {
    let own = z[y];
    let most = z[largest(z)];
    let (top, rest) = exponentials(z);
    let total = 1.0 + rest;
    // 1 − p_y is the sum of the others.
    let missing = if y == top { rest } else { total - z[y] } / total;
    z.iter_mut().for_each(|e| *e /= total);
    (rest.ln_1p() + (most - own), missing)
}
