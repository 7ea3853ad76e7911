//! Averages of the iterates, which never feed back into the iteration.

/// What average of the iterates is kept beside them.
///
/// Of a run that ends in a cloud around the minimizer the mean over the cloud is far more
/// accurate than any of its points: for x ← x − a(x + ξ) with unit noise the variance of a point
/// is a/(2 − a), that of the mean of k points about 1/k.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Averaging {
    /// None.
    #[default]
    Off,
    /// The mean of all iterates from step `from` on; by default the second half of the steps
    /// that [`max_iters`](crate::Raphson::max_iters) or
    /// [`max_epochs`](crate::Raphson::max_epochs) plan.
    Tail {
        /// Steps that are left out.
        from: Option<u64>,
    },
    /// x̄ ← `decay` x̄ + (1 − `decay`) x with the bias of the start removed.
    Exponential {
        /// In \[0, 1).
        decay: f64,
    },
}

/// A running average.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Average {
    kind: Averaging,
    /// First step of a tail.
    from: u64,
    /// Without the correction of the bias.
    sum: Vec<f64>,
    /// Iterates in the mean.
    count: u64,
    /// `decay` to the power of `count`.
    remainder: f64,
    mean: Vec<f64>,
}

impl Average {
    /// `half` is half of the planned steps.
    pub(crate) fn new(kind: Averaging, half: u64, n: usize) -> Self {
        let size = if kind == Averaging::Off { 0 } else { n };
        Average {
            kind,
            from: match kind {
                Averaging::Tail { from } => from.unwrap_or(half),
                _ => 0,
            },
            sum: vec![0.0; size],
            mean: vec![0.0; size],
            count: 0,
            remainder: 1.0,
        }
    }

    /// Takes the iterate after step `t` = 1, 2, … in.
    pub(crate) fn gather(&mut self, t: u64, x: &[f64]) {
        match self.kind {
            Averaging::Off => {}
            Averaging::Tail { .. } if t <= self.from => {}
            Averaging::Tail { .. } => {
                self.count += 1;
                let weight = 1.0 / self.count as f64;
                for (m, x) in self.mean.iter_mut().zip(x) {
                    *m += weight * (x - *m);
                }
            }
            Averaging::Exponential { decay } => {
                self.count += 1;
                self.remainder *= decay;
                let scale = 1.0 / (1.0 - self.remainder);
                for ((m, s), x) in self.mean.iter_mut().zip(&mut self.sum).zip(x) {
                    *s = decay * *s + (1.0 - decay) * x;
                    *m = scale * *s;
                }
            }
        }
    }

    /// The average, once there is one.
    pub(crate) fn get(&self) -> Option<&[f64]> {
        (self.count > 0).then_some(&self.mean[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_mean_of_its_iterates() {
        let mut average = Average::new(Averaging::Tail { from: None }, 2, 1);
        for t in 1..=2 {
            average.gather(t, &[100.0]);
        }
        assert_eq!(average.get(), None);
        for (t, x) in [(3, 1.0), (4, 2.0), (5, 6.0)] {
            average.gather(t, &[x]);
        }
        assert_eq!(average.get(), Some(&[3.0][..]));
    }

    #[test]
    fn the_bias_of_the_start_is_removed() {
        let mut average = Average::new(Averaging::Exponential { decay: 0.9 }, 0, 2);
        for t in 1..=5 {
            average.gather(t, &[2.0, -4.0]);
            let mean = average.get().unwrap();
            assert!((mean[0] - 2.0).abs() < 1e-15 && (mean[1] + 4.0).abs() < 1e-15);
        }
        let mut average = Average::new(Averaging::Off, 0, 2);
        average.gather(1, &[1.0, 1.0]);
        assert_eq!(average.get(), None);
    }
}
