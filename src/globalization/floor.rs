//! Near the attainable accuracy f cannot judge a step: the gradient must.

use super::Probe;
use crate::step::Fault;

/// What the gradient says of a trial.
pub(crate) enum Near {
    /// f can tell, or the gradient does not fall: judge as usual.
    No,
    /// The gradient falls.
    Accept,
    /// The floor: two trials predicted a decrease below the noise of f, their gradients do not
    /// fall, and neither does the model without its regularization predict more.
    Reached,
}

/// The model without regularization may predict so many times the noise of f at the floor.
pub(crate) const MARGIN: f64 = 16.0;

/// What the trials of one search have shown.
#[derive(Default)]
pub(crate) struct Floor {
    /// Trials at the noise of f whose gradient does not fall.
    stuck: u32,
}

impl Floor {
    /// Judges the present trial, which changed f by `fall`, where that or the `predicted`
    /// decrease is below the noise of f.
    pub(crate) fn judge(
        &mut self,
        probe: &mut Probe<'_>,
        predicted: f64,
        fall: f64,
    ) -> Result<Near, Fault> {
        let is_noise = predicted <= probe.noise;
        let is_hidden = is_noise || fall.abs() <= probe.noise;
        if !is_hidden {
            return Ok(Near::No);
        }
        if probe.slope()? < probe.at.slope && probe.is_finite()? {
            return Ok(Near::Accept);
        }
        self.stuck += u32::from(is_noise);
        if self.stuck != 2 {
            return Ok(Near::No);
        }
        // A decrease that came out as zero or negative has lost its digits and proves nothing.
        let left = probe.unrestricted()?;
        Ok(if left > 0.0 && left <= MARGIN * probe.noise {
            Near::Reached
        } else {
            Near::No
        })
    }
}
