//! From gradient and Hessian of a batch to a direction.

use super::hessian::{self, Damped, Damping};
use crate::edge::SymView;
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::oracle::{Abort, Counted, Oracle};
use crate::output_model::OutputLoss;
use crate::record::Report;
use crate::status::Failed;
use crate::step::{Fault, Iterate};
use crate::stochastic::StepSchedule;

/// What a batch tells at the current point.
pub struct Sample<'a> {
    pub(crate) g: &'a [f64],
    pub(crate) hessian: SymView<'a>,
    pub(crate) damping: Damping,
}

/// A batch of terms with outputs, and where it is evaluated.
#[derive(Clone, Copy)]
pub struct OutputBatch<'a> {
    pub(crate) x: &'a [f64],
    pub(crate) batch: Batch<'a>,
    /// b, the number of its terms.
    pub(crate) terms: usize,
    /// Whether the core needs the gradient.
    pub(crate) sloped: bool,
}

/// Where a rule on outputs leaves its results.
pub struct Found<'a> {
    /// The gradient of the batch, if the core needs it.
    pub(crate) g: &'a mut [f64],
    pub(crate) p: &'a mut [f64],
    pub(crate) newton: &'a mut [f64],
}

/// How the stochastic methods differ.
pub trait Rule: Clone + Default {
    /// The solver's name.
    const NAME: &'static str;
    /// Step lengths by default.
    #[doc(hidden)]
    fn schedule() -> StepSchedule {
        StepSchedule::default()
    }
    /// Checks the options.
    #[doc(hidden)]
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Forgets earlier runs.
    #[doc(hidden)]
    fn start(&mut self, n: usize, schedule: StepSchedule) -> Result<(), Error>;
    /// Writes the direction to `p` and the Newton direction of the batch alone, a descent
    /// direction for it, to `newton`.
    #[doc(hidden)]
    fn direction(
        &mut self,
        sample: &Sample<'_>,
        report: &mut Report,
        p: &mut [f64],
        newton: &mut [f64],
    ) -> Result<(), Failed> {
        let _ = (sample, report, p, newton);
        Err(Failed::SearchFailed)
    }
    /// Whether the rule evaluates steps itself, by [`search`](Rule::search) in the place of
    /// [`direction`](Rule::direction).
    #[doc(hidden)]
    const SEARCHES: bool = false;
    /// Writes a step that is acceptable for the batch, which is all that the oracle knows, to
    /// `p`; zero if there is none.
    #[doc(hidden)]
    fn search(
        &mut self,
        batch: &mut Counted<'_>,
        at: &Iterate,
        p: &mut [f64],
    ) -> Result<(), Fault> {
        let _ = (batch, at, p);
        Err(Failed::SearchFailed.into())
    }
    /// Whether the rule works on the outputs of terms under a loss, by
    /// [`outputs`](Rule::outputs) in the place of [`direction`](Rule::direction).
    #[doc(hidden)]
    const OUTPUTS: bool = false;
    /// Returns the loss of the batch and writes what [`direction`](Rule::direction) does.
    #[doc(hidden)]
    fn outputs(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        found: Found<'_>,
    ) -> Result<f64, Fault> {
        let _ = (oracle, at, found);
        Err(Failed::SearchFailed.into())
    }
    /// The loss of a batch alone.
    #[doc(hidden)]
    fn value(&mut self, oracle: &mut Counted<'_>, at: OutputBatch<'_>) -> Result<f64, Abort> {
        oracle.batch_value(at.x, at.batch)
    }
    /// The change of the batch's loss that the model predicts for a step of length s, if the rule
    /// wants to compare it by [`compare`](Rule::compare).
    #[doc(hidden)]
    fn predicted(&self, s: f64) -> Option<f64> {
        let _ = s;
        None
    }
    /// Learns actual over predicted change.
    #[doc(hidden)]
    fn compare(&mut self, ratio: f64) {
        let _ = ratio;
    }
    /// Terms in a batch by default, before it is cut down to all there are.
    #[doc(hidden)]
    fn batch_size(dimension: usize, loss: Option<OutputLoss<'_>>) -> usize {
        let _ = loss;
        // Enough for a Hessian of full rank.
        dimension.saturating_mul(4).max(32)
    }
    /// The adaptive constant.
    #[doc(hidden)]
    fn control(&self) -> f64 {
        0.0
    }
    /// See [`IterationRecord::memory`](crate::IterationRecord::memory).
    #[doc(hidden)]
    fn memory(&self) -> f64 {
        0.0
    }
}

/// p = −(Q + δI)⁻¹g of the batch alone.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchNewton {
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Default)]
struct Work {
    hessian: Vec<f64>,
    factor: Damped,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Work::default()
    }
}

impl Work {
    fn resize(&mut self, n: usize) {
        if self.hessian.len() != n * n {
            self.hessian.clear();
            self.hessian.resize(n * n, 0.0);
        }
    }

    /// p = newton = −(matrix + δI)⁻¹g.
    fn solve(
        &mut self,
        sample: &Sample<'_>,
        matrix: Option<&[f64]>,
        report: &mut Report,
        p: &mut [f64],
    ) -> Result<(), Failed> {
        let matrix = matrix.unwrap_or(&self.hessian);
        self.factor
            .factor(matrix, p.len(), sample.damping, report)?;
        for (p, g) in p.iter_mut().zip(sample.g) {
            *p = -g;
        }
        self.factor.solve(p, report)
    }
}

impl Rule for BatchNewton {
    const NAME: &'static str = "Stochastic Newton";
    fn start(&mut self, _: usize, _: StepSchedule) -> Result<(), Error> {
        Ok(())
    }
    fn direction(
        &mut self,
        sample: &Sample<'_>,
        report: &mut Report,
        p: &mut [f64],
        newton: &mut [f64],
    ) -> Result<(), Failed> {
        let n = p.len();
        self.work.resize(n);
        hessian::read(sample.hessian, n, &mut self.work.hessian)?;
        self.work.solve(sample, None, report, p)?;
        newton.copy_from_slice(p);
        Ok(())
    }
}

/// p = −(H̄ + δI)⁻¹g with H̄ ← ρH̄ + (1−ρ)Q.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AveragedHessian {
    /// ρ.
    pub(super) decay: f64,
    /// H̄, lower triangle; empty before the first batch.
    mean: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

impl Default for AveragedHessian {
    fn default() -> Self {
        AveragedHessian {
            decay: 0.9,
            mean: Vec::new(),
            work: Work::default(),
        }
    }
}

impl Rule for AveragedHessian {
    const NAME: &'static str = "Averaged-Hessian Newton";
    fn check(&self) -> Result<(), Error> {
        if (0.0..1.0).contains(&self.decay) {
            Ok(())
        } else {
            Err(Error::parameter("decay", self.decay, "in [0, 1)"))
        }
    }
    fn start(&mut self, _: usize, _: StepSchedule) -> Result<(), Error> {
        self.mean.clear();
        Ok(())
    }
    fn direction(
        &mut self,
        sample: &Sample<'_>,
        report: &mut Report,
        p: &mut [f64],
        newton: &mut [f64],
    ) -> Result<(), Failed> {
        let n = p.len();
        self.work.resize(n);
        hessian::read(sample.hessian, n, &mut self.work.hessian)?;
        if self.mean.is_empty() {
            self.mean.extend_from_slice(&self.work.hessian);
        } else {
            for (mean, q) in self.mean.iter_mut().zip(&self.work.hessian) {
                *mean = self.decay * *mean + (1.0 - self.decay) * q;
            }
        }
        self.work.solve(sample, Some(&self.mean), report, p)?;
        newton.copy_from_slice(p);
        Ok(())
    }
    fn control(&self) -> f64 {
        self.decay
    }
}
