//! How long a step may be: in a trust region, or along the Gauss-Newton direction.

use super::system::{Solution, System};
use crate::linear::Breakdown;

/// A trial is accepted if f falls by more than this share of the prediction.
pub(super) const ACCEPT: f64 = 1e-4;
/// The radius of a rejected or poor step is this share of its length.
const SHRINK: f64 = 0.25;
/// The radius grows by this factor after a good step to the boundary.
const GROW: f64 = 3.0;

/// What bounds the steps of a least-squares method.
pub trait Restraint {
    /// Name of the method.
    const NAME: &'static str;
    /// Whether the scale of a variable never shrinks, as a trust region wants it, or is the
    /// present one with the shortest step in the units of x.
    const MONOTONE: bool;

    /// Forgets an earlier run.
    fn reset(&mut self);
    /// Begins at a point of the norm ‖Dx‖ and residuals of this norm.
    fn begin(&mut self, scaled_norm: f64, residual_norm: f64);
    /// Writes the step number `trial` from the present point.
    fn propose(
        &mut self,
        system: &mut System,
        trial: u64,
        out: &mut [f64],
    ) -> Result<Solution, Breakdown>;
    /// Learns from the last proposal: actual over predicted decrease, NaN if f was not finite.
    fn learn(&mut self, ratio: f64, step: &Solution);
    /// Radius, or length of the last step in units of the direction.
    fn control(&self) -> f64;
}

/// ‖Dp‖ ≤ Δ.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Region {
    radius: f64,
}

impl Restraint for Region {
    const NAME: &'static str = "Levenberg-Marquardt";
    const MONOTONE: bool = true;

    fn reset(&mut self) {
        self.radius = 0.0;
    }

    fn begin(&mut self, scaled_norm: f64, residual_norm: f64) {
        self.radius = if scaled_norm > 0.0 {
            scaled_norm
        } else {
            residual_norm
        };
    }

    fn propose(
        &mut self,
        system: &mut System,
        _: u64,
        out: &mut [f64],
    ) -> Result<Solution, Breakdown> {
        system.restricted_step(self.radius, out)
    }

    fn learn(&mut self, ratio: f64, step: &Solution) {
        if ratio > 0.75 {
            if step.alpha > 0.0 {
                self.radius *= GROW;
            }
        } else if ratio < 0.25 || ratio.is_nan() {
            self.radius = SHRINK * step.length;
        }
    }

    fn control(&self) -> f64 {
        self.radius
    }
}

/// Step lengths 1, ½, ¼, …
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Halving {
    length: f64,
}

impl Restraint for Halving {
    const NAME: &'static str = "Gauss-Newton";
    const MONOTONE: bool = false;

    fn reset(&mut self) {
        self.length = 0.0;
    }

    fn begin(&mut self, _: f64, _: f64) {}

    fn propose(
        &mut self,
        system: &mut System,
        trial: u64,
        out: &mut [f64],
    ) -> Result<Solution, Breakdown> {
        let full = system.newton_step(out);
        let a = 0.5_f64.powi(trial.min(1000) as i32);
        self.length = a;
        out.iter_mut().for_each(|p| *p *= a);
        Ok(Solution {
            alpha: 0.0,
            length: a * full.length,
            // Of the model along the direction: half of it at a = 1.
            predicted: a * (2.0 - a) * full.predicted,
        })
    }

    fn learn(&mut self, _: f64, _: &Solution) {}

    fn control(&self) -> f64 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radius_follows_its_table() {
        let step = |alpha, length| Solution {
            alpha,
            length,
            predicted: 1.0,
        };
        let mut region = Region::default();
        region.begin(8.0, 1.0);
        let mut after = |ratio, alpha, length| {
            region.learn(ratio, &step(alpha, length));
            region.control()
        };
        assert_eq!(after(0.9, 0.0, 6.0), 8.0);
        assert_eq!(after(0.9, 0.1, 8.0), 24.0);
        assert_eq!(after(0.5, 0.1, 24.0), 24.0);
        assert_eq!(after(0.25, 0.1, 24.0), 24.0);
        assert_eq!(after(0.1, 0.1, 24.0), 6.0);
        assert_eq!(after(-3.0, 0.1, 6.0), 1.5);
        assert_eq!(after(f64::NAN, 0.1, 1.6), 0.4);
        region.reset();
        region.begin(0.0, 5.0);
        assert_eq!(region.control(), 5.0);
    }
}
