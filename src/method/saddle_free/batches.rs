//! The saddle-free step on a batch.

use crate::error::Error;
use crate::globalization::saddle_free::SaddleFreeDamping;
use crate::globalization::{Globalization, Outcome, Probe, Trial};
use crate::lazy::{Phase, Refresh};
use crate::method::stochastic::Rule;
use crate::oracle::Counted;
use crate::status::Failed;
use crate::step::saddle_free::SaddleFreeStep;
use crate::step::{Direction, Fault, Iterate};
use crate::stochastic::StepSchedule;

/// p(λ) of the batch alone, with the λ that is best for the batch.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchSaddleFree {
    pub(crate) step: SaddleFreeStep,
    pub(crate) damping: SaddleFreeDamping,
    #[cfg_attr(feature = "serde", serde(skip))]
    trial: Trial,
}

impl Rule for BatchSaddleFree {
    const NAME: &'static str = "Stochastic saddle-free Newton";
    const SEARCHES: bool = true;

    fn schedule() -> StepSchedule {
        StepSchedule::Constant(1.0)
    }

    fn check(&self) -> Result<(), Error> {
        self.step.check()?;
        self.damping.check()
    }

    fn start(&mut self, _: usize, _: StepSchedule) -> Result<(), Error> {
        self.damping.reset();
        Ok(())
    }

    fn search(
        &mut self,
        batch: &mut Counted<'_>,
        at: &Iterate,
        p: &mut [f64],
    ) -> Result<(), Fault> {
        let n = at.x.len();
        self.trial.resize(n);
        self.step.load(batch, n, false)?;
        self.step.prepare(batch, at, 0.0)?;
        let mut phase = Phase::new(Refresh::Every(1));
        let mut probe = Probe {
            oracle: Counted {
                inner: &mut *batch.inner,
                report: &mut *batch.report,
            },
            direction: &mut self.step,
            phase: &mut phase,
            at,
            trial: &mut self.trial,
            noise: 16.0 * f64::EPSILON * at.f.abs(),
            forcing: 0.0,
            trials: 0,
        };
        let outcome = self.damping.search(&mut probe);
        let trials = probe.trials;
        batch.report.trials += trials;
        let found = match outcome {
            Ok(Outcome::Accepted) => true,
            // Nothing to gain on this batch; the next one may tell more.
            Ok(Outcome::Floor)
            | Ok(Outcome::Failed(_))
            | Err(Fault::Fail(Failed::SearchFailed)) => false,
            Err(fault) => return Err(fault),
        };
        batch.report.rejected += trials - u64::from(found);
        if found {
            p.copy_from_slice(&self.trial.step);
        } else {
            p.fill(0.0);
        }
        Ok(())
    }

    fn control(&self) -> f64 {
        self.damping.control()
    }
}
