//! Poisson regression with the logarithmic link.
//!
//! # Problem
//! min over w (and b)  f = Σᵢ cᵢ (exp(mᵢ) − yᵢ mᵢ) + (μ/2)‖w‖²,  mᵢ = aᵢᵀw + b
//!
//! with counts yᵢ ≥ 0 (any nonnegative numbers) and cᵢ = sᵢ/Σs the normalized sample weights, 1/n
//! by default: the **mean** negative log-likelihood without its constant log yᵢ!. For a sum loss
//! with penalty λ use μ = λ/n. Options, cost and batches are those of a [`LinearModel`].
//!
//! # Derivatives
//! g = Aᵀ(c (eᵐ − y)) + μw, H = Aᵀ diag(c eᵐ) A + μI. A margin above 709 overflows: the value is
//! infinite there, and solvers reject the point.
//!
//! # Errors
//! Evaluations return [`Error::Data`] for a negative label, and if all labels are zero and the
//! intercept is free or there is no penalty. Without a penalty no minimizer exists if some
//! direction lowers margins of rows with yᵢ = 0 and leaves those with yᵢ > 0 alone; the run then
//! ends as `Failed(Separable)`.

use super::linear::{LinearModel, Loss};
use crate::data::Dataset;
use crate::error::Error;

/// exp(m) − ym, the loss of [`PoissonRegression`].
#[derive(Debug, Clone)]
pub struct Poisson {
    all_zero: bool,
}

/// Poisson regression; see the [module](self) and, for its methods, [`LinearModel`].
///
/// ```
/// use raphson::{Dataset, DampedNewton, models::PoissonRegression};
/// let rows = [[0.0], [0.0], [1.0], [1.0]].map(|r| r.to_vec());
/// let data = Dataset::from_rows(&rows, &[1.0, 3.0, 4.0, 8.0])?;
/// let model = PoissonRegression::new(&data).intercept(true);
/// let solver = DampedNewton::new().gradient_tol(1e-12);
/// let run = solver.minimize(&model, model.origin())?.must_converge()?;
/// let mean = model.predict(&run.x, &data)?; // the mean of each group
/// assert!((mean[0] - 2.0).abs() < 1e-10 && (mean[3] - 6.0).abs() < 1e-10);
/// # Ok::<(), raphson::Error>(())
/// ```
pub type PoissonRegression = LinearModel<Poisson>;

impl PoissonRegression {
    /// Mean loss on `data` without penalty and intercept.
    ///
    /// Data that cannot be fitted shows at the first evaluation or in
    /// [`check`](LinearModel::check).
    pub fn new(data: &Dataset) -> Self {
        let labels = data.labels();
        let defect = labels.iter().position(|y| *y < 0.0).map(|i| {
            format!(
                "row {i}: the label is {}; Poisson regression takes counts of at least 0",
                labels[i]
            )
        });
        let all_zero = labels.iter().all(|y| *y == 0.0);
        LinearModel::with_labels(data, labels.to_vec(), Poisson { all_zero }, defect)
    }

    /// The expected count exp(aᵢᵀw + b) for every row.
    ///
    /// # Errors
    /// As [`decision`](LinearModel::decision).
    pub fn predict(&self, w: &[f64], data: &Dataset) -> Result<Vec<f64>, Error> {
        let m = self.decision(w, data)?;
        Ok(m.into_iter().map(f64::exp).collect())
    }
}

impl Loss for Poisson {
    fn value(&self, margin: f64, y: f64, share: f64) -> f64 {
        if share == 0.0 {
            return 0.0; // and not 0 · ∞
        }
        let mean = margin.exp();
        // Without products 0 · ∞ and differences ∞ - ∞.
        let linear = if y == 0.0 || mean.is_infinite() {
            0.0
        } else {
            y * margin
        };
        share * (mean - linear)
    }

    fn slope(&self, margin: f64, y: f64, share: f64) -> f64 {
        if share == 0.0 {
            return 0.0;
        }
        share * (margin.exp() - y)
    }

    fn curvature(&self, margin: f64, _: f64, share: f64) -> f64 {
        if share == 0.0 {
            return 0.0;
        }
        share * margin.exp()
    }

    fn advance(&self, change: f64, y: f64) -> f64 {
        if y == 0.0 { -change } else { -change.abs() }
    }

    fn recedes(&self) -> bool {
        true
    }

    fn check(&self, l2: f64, intercept: bool) -> Result<(), Error> {
        if self.all_zero && (intercept || l2 == 0.0) {
            let text = "all labels are zero: coefficients run to infinity; add an l2 penalty and \
                        leave the intercept out";
            return Err(Error::Data(text.into()));
        }
        Ok(())
    }
}
