//! When a stochastic run has used up its budget or stopped making progress.

use crate::error::Error;

/// What a run may cost, and when it counts as levelled off.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Budget {
    pub(crate) epochs: Option<u64>,
    /// Gradients of single terms.
    pub(crate) evaluations: Option<u64>,
    pub(crate) target: Option<f64>,
    /// Epochs without an improvement by this part of the smoothed loss.
    pub(crate) patience: u64,
    pub(crate) improvement: f64,
    /// Steps between evaluation points; none: once per epoch, 0: only at the ends.
    pub(crate) every: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            epochs: Some(100),
            evaluations: None,
            target: None,
            patience: 10,
            improvement: 1e-4,
            every: None,
        }
    }
}

impl Budget {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(self.improvement >= 0.0 && self.improvement < 1.0) {
            let requirement = "in [0, 1)";
            return Err(Error::parameter("plateau", self.improvement, requirement));
        }
        if self.target.is_some_and(f64::is_nan) {
            return Err(Error::parameter("target", f64::NAN, "a number"));
        }
        Ok(())
    }
}

/// The exponential average of the batch losses, without the bias of its start.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    /// `share` is the part of an epoch that the batch makes.
    pub(crate) fn gather(&mut self, loss: f64, share: f64) {
        self.sum += share * (loss - self.sum);
        self.weight += share * (1.0 - self.weight);
    }

    pub(crate) fn value(&self) -> f64 {
        if self.weight > 0.0 {
            self.sum / self.weight
        } else {
            0.0
        }
    }
}

/// Watches the smoothed loss from epoch to epoch.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Levelling {
    best: Option<f64>,
    waited: u64,
}

impl Levelling {
    /// At the end of an epoch: whether `patience` epochs brought no improvement.
    pub(crate) fn holds(&mut self, loss: f64, budget: &Budget) -> bool {
        match self.best {
            Some(best) if best - loss <= budget.improvement * best.abs() => self.waited += 1,
            _ => {
                self.best = Some(loss);
                self.waited = 0;
            }
        }
        budget.patience > 0 && self.waited >= budget.patience
    }
}

/// b‖g_S‖²/tr Cov, averaged over an epoch.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Noise {
    sum: f64,
    count: u64,
}

impl Noise {
    pub(crate) fn gather(&mut self, ratio: f64) {
        if ratio.is_finite() {
            self.sum += ratio;
            self.count += 1;
        }
    }

    /// The average of the epoch that ends, if it has one.
    pub(crate) fn close(&mut self) -> Option<f64> {
        let Noise { sum, count } = std::mem::take(self);
        (count > 0).then(|| sum / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plateau_takes_patience() {
        let budget = Budget {
            patience: 3,
            ..Budget::default()
        };
        let mut levelling = Levelling::default();
        let losses = [5.0, 4.0, 3.9999, 3.99, 3.99, 3.9899, 3.9899];
        let held = losses.map(|loss| levelling.holds(loss, &budget));
        assert_eq!(held, [false, false, false, false, false, false, true]);
        let off = Budget {
            patience: 0,
            ..budget
        };
        let mut levelling = Levelling::default();
        assert!((0..100).all(|_| !levelling.holds(1.0, &off)));
    }

    #[test]
    fn smoothing_has_no_bias_and_forgets() {
        let mut smoothed = Smoothed::default();
        for _ in 0..3 {
            smoothed.gather(-2.0, 0.1);
            assert!((smoothed.value() + 2.0).abs() < 1e-15);
        }
        smoothed.gather(7.0, 1.0);
        assert_eq!(smoothed.value(), 7.0);
    }
}
