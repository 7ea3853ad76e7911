//! Step lengths.

use crate::error::Error;

/// The factor sₜ applied to the direction of step t = 0, 1, ….
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StepSchedule {
    /// s. Ends in a cloud around the minimizer, the smaller the shorter s.
    Constant(f64),
    /// s0/(1 + t/t0). With s0 = t0 = 1 Newton steps are averaged as a mean is; converges.
    Harmonic {
        /// The first step.
        s0: f64,
        /// Steps after which it is halved.
        t0: f64,
    },
    /// s0 (1 + t)^−κ. Converges for κ in (½, 1\].
    Power {
        /// The first step.
        s0: f64,
        /// κ.
        kappa: f64,
    },
    /// s0 max(0, 1 − t/T): for runs of a known length.
    LinearToZero {
        /// The first step.
        s0: f64,
        /// T; from here on nothing moves.
        steps: u64,
    },
    /// The first s with f(x + s p) − f(x) ≤ c1 s gᵀp on the batch that gave p.
    ///
    /// It limits divergence but removes no noise: on its own batch the full Newton step is
    /// always good. See [`StepSchedule::armijo`] for the usual constants.
    BatchArmijo {
        /// The part of the linear decrease that is asked for, in \[0, 1).
        c1: f64,
        /// Factor between trials, in (0, 1).
        shrink: f64,
        /// Most trials of a step.
        max_trials: u64,
        /// The longest and first step.
        s_max: f64,
        /// A search starts at `growth` times the last step, at least 1.
        growth: f64,
        /// What happens if no trial holds: the last one is taken, or none, and the next search
        /// starts at s_max/10.
        take_last: bool,
    },
}

impl StepSchedule {
    /// Batch Armijo with c1 = 10⁻⁴, halving at most 15 times from 1, growth 2.
    pub fn armijo() -> Self {
        StepSchedule::BatchArmijo {
            c1: 1e-4,
            shrink: 0.5,
            max_trials: 16,
            s_max: 1.0,
            growth: 2.0,
            take_last: false,
        }
    }

    /// sₜ; of a line search its longest step.
    pub fn length(self, t: u64) -> f64 {
        let t = t as f64;
        match self {
            StepSchedule::Constant(s) => s,
            StepSchedule::Harmonic { s0, t0 } => s0 / (1.0 + t / t0),
            StepSchedule::Power { s0, kappa } => s0 * (1.0 + t).powf(-kappa),
            StepSchedule::LinearToZero { s0, steps } => s0 * (1.0 - t / steps as f64).max(0.0),
            StepSchedule::BatchArmijo { s_max, .. } => s_max,
        }
    }

    /// Whether steps become short by themselves.
    pub(crate) fn falls(self) -> bool {
        !matches!(
            self,
            StepSchedule::Constant(_) | StepSchedule::BatchArmijo { .. }
        )
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        let positive = |name, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(Error::parameter(name, value, "positive and finite")),
        };
        match self {
            StepSchedule::Constant(s) => positive("step", s),
            StepSchedule::Harmonic { s0, t0 } => positive("s0", s0).and(positive("t0", t0)),
            StepSchedule::Power { s0, kappa } => {
                if !(kappa >= 0.0 && kappa.is_finite()) {
                    return Err(Error::parameter("kappa", kappa, "nonnegative and finite"));
                }
                positive("s0", s0)
            }
            StepSchedule::LinearToZero { s0, steps } => {
                if steps == 0 {
                    return Err(Error::parameter("steps", steps, "at least 1"));
                }
                positive("s0", s0)
            }
            StepSchedule::BatchArmijo {
                c1,
                shrink,
                max_trials,
                s_max,
                growth,
                ..
            } => {
                if !(0.0..1.0).contains(&c1) {
                    return Err(Error::parameter("c1", c1, "in [0, 1)"));
                }
                if !(shrink > 0.0 && shrink < 1.0) {
                    return Err(Error::parameter("shrink", shrink, "in (0, 1)"));
                }
                if max_trials == 0 {
                    return Err(Error::parameter("max_trials", max_trials, "at least 1"));
                }
                if !(growth >= 1.0 && growth.is_finite()) {
                    return Err(Error::parameter("growth", growth, "at least 1 and finite"));
                }
                positive("s_max", s_max)
            }
        }
    }
}

impl Default for StepSchedule {
    /// 1/(1 + t).
    fn default() -> Self {
        StepSchedule::Harmonic { s0: 1.0, t0: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_their_formulas() {
        let lengths = |s: StepSchedule| [0, 1, 3].map(|t| s.length(t));
        assert_eq!(lengths(StepSchedule::Constant(0.25)), [0.25; 3]);
        assert_eq!(lengths(StepSchedule::default()), [1.0, 0.5, 0.25]);
        let power = StepSchedule::Power {
            s0: 2.0,
            kappa: 0.5,
        };
        assert_eq!(lengths(power), [2.0, 2.0 * 2f64.powf(-0.5), 1.0]);
        let linear = StepSchedule::LinearToZero { s0: 3.0, steps: 3 };
        assert_eq!(lengths(linear), [3.0, 3.0 * (1.0 - 1.0 / 3.0), 0.0]);
        assert_eq!(linear.length(9), 0.0);
    }

    #[test]
    fn parameters_are_checked() {
        let bad = [
            StepSchedule::Constant(0.0),
            StepSchedule::Constant(f64::NAN),
            StepSchedule::Harmonic { s0: 1.0, t0: -1.0 },
            StepSchedule::Power {
                s0: 1.0,
                kappa: f64::INFINITY,
            },
            StepSchedule::LinearToZero { s0: 1.0, steps: 0 },
            StepSchedule::BatchArmijo {
                c1: 1.0,
                shrink: 0.5,
                max_trials: 5,
                s_max: 1.0,
                growth: 2.0,
                take_last: true,
            },
        ];
        for schedule in bad {
            assert!(matches!(
                schedule.check(),
                Err(Error::InvalidParameter { .. })
            ));
        }
        assert!(StepSchedule::armijo().check().is_ok() && StepSchedule::default().check().is_ok());
    }
}
