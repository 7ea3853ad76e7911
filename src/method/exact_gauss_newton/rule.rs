//! The Gauss-Newton direction of a batch, with momentum and the adaptation of λ.

use super::system::System;
use crate::error::Error;
use crate::linear::GramSolve;
use crate::method::stochastic::{Found, OutputBatch, Rule};
use crate::oracle::{Abort, Counted, Oracle};
use crate::output_model::{OutputLoss, mean_loss, stack_slopes};
use crate::parallel::dot;
use crate::status::Failed;
use crate::step::Fault;
use crate::stochastic::StepSchedule;

/// λ stays below.
const LARGEST: f64 = 1e6;
/// λ stays above this part of its first value.
const FLOOR: f64 = 0.1;
/// A ratio of actual and predicted change below the first raises λ, above the second lowers it.
const RATIOS: [f64; 2] = [0.25, 0.75];
const FACTORS: [f64; 2] = [1.01, 0.99];

/// d = −(JᵀQJ/b + λI)⁻¹g.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchGaussNewton {
    pub(super) lambda: f64,
    pub(super) momentum: f64,
    pub(super) adaptive: bool,
    pub(super) way: GramSolve,
    /// λ now.
    current: f64,
    /// m, empty without momentum.
    mean: Vec<f64>,
    /// t.
    steps: i32,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

impl Default for BatchGaussNewton {
    fn default() -> Self {
        BatchGaussNewton {
            lambda: 1.0,
            momentum: 0.0,
            adaptive: false,
            way: GramSolve::Auto,
            current: 1.0,
            mean: Vec::new(),
            steps: 0,
            work: Work::default(),
        }
    }
}

/// Made again at the next iteration.
#[derive(Debug, Default)]
struct Work {
    system: System,
    /// gᵀp and pᵀ(JᵀQJ/b + μI)p of the last direction, if λ adapts.
    slope: f64,
    curvature: f64,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Work::default()
    }
}

impl BatchGaussNewton {
    /// The loss of the batch, its outputs in z.
    fn evaluate(&mut self, oracle: &mut Counted<'_>, at: OutputBatch<'_>) -> Result<f64, Abort> {
        let system = &mut self.work.system;
        let c = oracle.outputs_len();
        system.z.resize(at.terms * c, 0.0);
        oracle.batch_outputs(at.x, at.batch, &mut system.z)?;
        let loss = oracle
            .loss()
            .map_or(f64::NAN, |loss| mean_loss(&loss, at.batch, c, &system.z));
        Ok(loss + 0.5 * oracle.l2() * dot(at.x, at.x))
    }

    /// z, r, B, s and e; the loss.
    fn load(&mut self, oracle: &mut Counted<'_>, at: OutputBatch<'_>) -> Result<f64, Fault> {
        let value = self.evaluate(oracle, at)?;
        let System { factors, z, r, .. } = &mut self.work.system;
        let c = oracle.outputs_len();
        r.resize(z.len(), 0.0);
        let mut outcome = Ok(());
        if let Some(loss) = oracle.loss() {
            stack_slopes(&loss, at.batch, c, z, r);
            let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
            if !value.is_finite() || !finite(z) || !finite(r) {
                return Err(Failed::NonFinite.into());
            }
            outcome = factors.load(&loss, at.batch, c, z, r);
        }
        match outcome {
            Ok(()) => Ok(value),
            Err(error) => Err(oracle.fail(error).into()),
        }
    }

    /// m ← βm + (1−β)d, p = m/(1−βᵗ) unless it points uphill.
    fn gather(&mut self, g: &[f64], d: &[f64], p: &mut [f64]) {
        let beta = self.momentum;
        self.mean.resize(d.len(), 0.0);
        self.steps = self.steps.saturating_add(1);
        let scale = 1.0 - beta.powi(self.steps);
        for ((m, d), p) in self.mean.iter_mut().zip(d).zip(p.iter_mut()) {
            *m = beta * *m + (1.0 - beta) * d;
            *p = *m / scale;
        }
        if dot(g, p) >= 0.0 {
            p.copy_from_slice(d);
        }
    }
}

impl Rule for BatchGaussNewton {
    const NAME: &'static str = "Exact Gauss-Newton";
    const OUTPUTS: bool = true;

    fn schedule() -> StepSchedule {
        StepSchedule::Constant(1.0)
    }

    fn check(&self) -> Result<(), Error> {
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            let requirement = "nonnegative and finite";
            return Err(Error::parameter("lambda", self.lambda, requirement));
        }
        if self.adaptive && !(self.lambda > 0.0 && self.lambda <= LARGEST) {
            let requirement = "in (0, 1e6] where it adapts";
            return Err(Error::parameter("lambda", self.lambda, requirement));
        }
        if (0.0..1.0).contains(&self.momentum) {
            Ok(())
        } else {
            Err(Error::parameter("momentum", self.momentum, "in [0, 1)"))
        }
    }

    fn start(&mut self, _: usize, _: StepSchedule) -> Result<(), Error> {
        self.current = self.lambda;
        self.mean.clear();
        self.steps = 0;
        Ok(())
    }

    fn outputs(
        &mut self,
        oracle: &mut Counted<'_>,
        at: OutputBatch<'_>,
        found: Found<'_>,
    ) -> Result<f64, Fault> {
        let Found { g, p, newton } = found;
        let value = self.load(oracle, at)?;
        let momentum = self.momentum > 0.0;
        if at.sloped || momentum || self.adaptive {
            self.work.system.gradient(oracle, at, g)?;
        }
        let system = &mut self.work.system;
        let used = system.solve(oracle, at, self.way, self.current, newton)?;
        oracle.report.shift = used;
        if momentum {
            self.gather(g, newton, p);
        } else {
            p.copy_from_slice(newton);
        }
        if self.adaptive {
            self.work.slope = dot(g, p);
            // Hd = −g − λd.
            self.work.curvature = match momentum {
                true => self.work.system.curvature(oracle, at, p)?,
                false => -self.work.slope - used * dot(p, p),
            };
        }
        Ok(value)
    }

    fn value(&mut self, oracle: &mut Counted<'_>, at: OutputBatch<'_>) -> Result<f64, Abort> {
        self.evaluate(oracle, at)
    }

    fn predicted(&self, s: f64) -> Option<f64> {
        let change = s * self.work.slope + 0.5 * s * s * self.work.curvature;
        self.adaptive.then_some(change)
    }

    fn compare(&mut self, ratio: f64) {
        // A ratio of NaN counts as bad.
        self.current *= match ratio {
            r if r > RATIOS[1] => FACTORS[1],
            r if r >= RATIOS[0] => 1.0,
            _ => FACTORS[0],
        };
        self.current = self.current.clamp(FLOOR * self.lambda, LARGEST);
    }

    fn batch_size(_: usize, loss: Option<OutputLoss<'_>>) -> usize {
        match loss {
            Some(OutputLoss::Softmax { .. } | OutputLoss::Logistic { .. }) => 32,
            _ => 128,
        }
    }

    fn control(&self) -> f64 {
        self.current
    }
}
