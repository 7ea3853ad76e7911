//! Cubic regularization with a Hessian that may be stale.
//!
//! s minimizes gᵀs + ½sᵀHs + (M/6)‖s‖³ and is accepted if
//!
//! f − f₊ ≥ (M/24)‖s‖³.                                       (test)
//!
//! A rejected step raises M by 4, which costs a value and O(d²); after three
//! rejections a stale Hessian is evaluated again. M falls by 4 after a step with
//! a fresh Hessian only: refreshing at the first rejection would tune M for
//! fresh Hessians and end with one Hessian per step.

use super::floor::{Floor, Near};
use super::{Globalization, MAX_TRIALS, Outcome, Probe};
use crate::error::Error;
use crate::status::Failed;
use crate::step::{Fault, Proposal};

/// M‖s‖³ that an accepted step must gain.
const GAIN: f64 = 1.0 / 24.0;
/// Factor between trials of M.
const FACTOR: f64 = 4.0;
/// M of the first trial is this part of c²/‖g‖.
const INITIAL: f64 = 0.002;
/// Rejections on a stale Hessian before it is evaluated again.
const PATIENCE: u32 = 2;
/// M‖s‖³ below this part of the predicted decrease is not lowered further.
const NEGLIGIBLE: f64 = 1e-10;

/// The rule of the module's documentation.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CubicRegularization {
    /// The user's M, never changed.
    pub(crate) fixed: Option<f64>,
    constant: Option<f64>,
}

impl Globalization for CubicRegularization {
    fn check(&self) -> Result<(), Error> {
        match self.fixed {
            Some(m) if !(m > 0.0 && m.is_finite()) => {
                Err(Error::parameter("constant", m, "positive and finite"))
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        self.constant = None;
    }

    fn control(&self) -> f64 {
        self.constant.unwrap_or(0.0)
    }

    fn search(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        let mut m = match self.fixed.or(self.constant) {
            Some(m) => m,
            None => {
                let scale = probe
                    .direction
                    .curvature_scale(&mut probe.oracle, probe.at)?;
                let slope = probe.at.slope;
                // A saddle point, where g = 0: any length will do.
                if slope > 0.0 {
                    INITIAL * scale * (scale / slope)
                } else {
                    scale
                }
            }
        };
        self.constant = Some(m);
        let mut floor = Floor::default();
        let mut ups = 0;
        while probe.trials < MAX_TRIALS {
            let proposal = probe.step(m)?;
            let passes = match proposal {
                None => false,
                Some(_) if self.fixed.is_some() => probe.is_finite()?,
                Some(proposal) => match judge(probe, &mut floor, proposal, m)? {
                    Near::Reached => return Ok(Outcome::Floor),
                    Near::Accept => true,
                    Near::No => false,
                },
            };
            if passes {
                let matters =
                    proposal.is_some_and(|p| m * p.length.powi(3) > NEGLIGIBLE * p.predicted);
                if self.fixed.is_none() {
                    let lowers = probe.phase.is_fresh() && matters;
                    self.constant = Some(if lowers { m / FACTOR } else { m });
                }
                return Ok(Outcome::Accepted);
            }
            m *= FACTOR;
            ups += 1;
            if !probe.phase.is_fresh() && ups > PATIENCE {
                probe.refresh()?;
                ups = 0;
            }
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }
}

fn judge(
    probe: &mut Probe<'_>,
    floor: &mut Floor,
    proposal: Proposal,
    m: f64,
) -> Result<Near, Fault> {
    let f = probe.value()?;
    let fall = probe.at.f - f;
    // NaN compares false and rejects.
    let falls = fall >= GAIN * m * proposal.length.powi(3) && fall > probe.noise;
    if falls && probe.is_finite()? {
        return Ok(Near::Accept);
    }
    floor.judge(probe, proposal.predicted, fall)
}
