//! When a run has converged.
//!
//! Tests look at accepted points only, so a rejected trial is never
//! convergence. All comparisons are false for NaN.

use crate::error::Error;
use crate::status::Converged;
use crate::step::Iterate;

/// Tolerances of the deterministic solvers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tolerances {
    /// ‖g‖ ≤ max(absolute, relative · scale).
    pub(crate) gradient: f64,
    pub(crate) gradient_absolute: f64,
    /// λ²/2 ≤ tol · |f|; 0 is off.
    pub(crate) decrement: f64,
    /// ‖g‖²/(2μ) ≤ tol · |f| with the strong convexity constant μ; 0 is off.
    pub(crate) gap: f64,
    pub(crate) convexity: f64,
    /// ‖p‖ ≤ tol (tol + ‖x‖); 0 is off.
    pub(crate) step: f64,
    /// |f − f₊| ≤ tol; 0 is off.
    pub(crate) cost: f64,
    /// All tolerances that are set must hold at once.
    pub(crate) all: bool,
    /// Relative rounding noise of f.
    pub(crate) noise: f64,
    /// Below this f counts as unbounded.
    pub(crate) lower_bound: Option<f64>,
}

impl Default for Tolerances {
    fn default() -> Self {
        Tolerances {
            gradient: 1e-8,
            gradient_absolute: 0.0,
            decrement: 0.0,
            gap: 0.0,
            convexity: 0.0,
            step: 0.0,
            cost: 0.0,
            all: false,
            noise: 16.0 * f64::EPSILON,
            lower_bound: None,
        }
    }
}

/// What led to an accepted point.
pub(crate) struct Arrival {
    pub(crate) step_norm: f64,
    pub(crate) x_norm: f64,
    pub(crate) change: f64,
}

impl Tolerances {
    /// Refuses the tests that a transport solver does not make.
    pub(crate) fn only_marginals(&self) -> Result<(), Error> {
        for (name, value) in [
            ("gradient_tol_abs", self.gradient_absolute),
            ("decrement_tol", self.decrement),
            ("gap_tol", self.gap),
            ("step_tol", self.step),
            ("cost_tol", self.cost),
        ] {
            if value != 0.0 {
                let requirement = "0: transport solvers test the marginals; see `marginal_tol`";
                return Err(Error::parameter(name, value, requirement));
            }
        }
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let named = [
            ("gradient_tol", self.gradient),
            ("gradient_tol_abs", self.gradient_absolute),
            ("decrement_tol", self.decrement),
            ("gap_tol", self.gap),
            ("step_tol", self.step),
            ("cost_tol", self.cost),
            ("f_noise", self.noise),
        ];
        for (name, value) in named {
            if !(value >= 0.0 && value.is_finite()) {
                let requirement = "nonnegative and finite (0 switches the test off)";
                return Err(Error::parameter(name, value, requirement));
            }
        }
        if self.gap > 0.0 && !(self.convexity > 0.0 && self.convexity.is_finite()) {
            let requirement = "positive, a strong convexity constant of f";
            return Err(Error::parameter(
                "strong_convexity",
                self.convexity,
                requirement,
            ));
        }
        if self.lower_bound.is_some_and(f64::is_nan) {
            return Err(Error::parameter("lower_bound", f64::NAN, "a number"));
        }
        Ok(())
    }

    /// The largest ‖g‖ that meets the gradient test.
    pub(crate) fn gradient_goal(&self, scale: f64) -> f64 {
        (self.gradient * scale).max(self.gradient_absolute)
    }

    /// Tests that need the point alone, and with `arrival` those of the step. If
    /// [`waits`](Tolerances::waits), the decrement must hold as well.
    ///
    /// A gradient tolerance of zero still holds at a gradient of exactly zero.
    pub(crate) fn test(
        &self,
        at: &Iterate,
        scale: f64,
        arrival: Option<&Arrival>,
    ) -> Option<Converged> {
        if at.slope == 0.0 {
            return Some(Converged::GradientTolerance);
        }
        let gradient = self.gradient_goal(scale);
        let gap = at.slope * (at.slope / (2.0 * self.convexity));
        let tests = [
            (
                gradient > 0.0,
                at.slope <= gradient,
                Converged::GradientTolerance,
            ),
            (
                self.gap > 0.0,
                gap <= self.gap * at.f.abs(),
                Converged::GapTolerance,
            ),
            (
                self.step > 0.0,
                arrival.is_some_and(|a| a.step_norm <= self.step * (self.step + a.x_norm)),
                Converged::StepTolerance,
            ),
            (
                self.cost > 0.0,
                arrival.is_some_and(|a| a.change.abs() <= self.cost),
                Converged::CostTolerance,
            ),
        ];
        let mut set = tests.iter().filter(|t| t.0);
        if self.all {
            match set.next() {
                Some(first) => (first.1 && set.all(|t| t.1)).then_some(first.2),
                None => self.waits().then_some(Converged::DecrementTolerance),
            }
        } else {
            set.find(|t| t.1).map(|t| t.2)
        }
    }

    /// Whether the decrement, known one iteration later, has a say in every test.
    pub(crate) fn waits(&self) -> bool {
        self.all && self.decrement > 0.0
    }

    /// The affine-invariant test λ²/2 ≤ tol · |f|, made where the decrement is known.
    pub(crate) fn decrement_holds(&self, decrement: f64, f: f64) -> bool {
        self.decrement > 0.0 && 0.5 * decrement * decrement <= self.decrement * f.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(f: f64, slope: f64) -> Iterate {
        Iterate {
            f,
            slope,
            ..Iterate::default()
        }
    }

    #[test]
    fn disabled_tests_never_hold_and_nan_means_no() {
        let off = Tolerances {
            gradient: 0.0,
            ..Tolerances::default()
        };
        let arrival = Arrival {
            step_norm: 0.0,
            x_norm: 1.0,
            change: 0.0,
        };
        assert_eq!(off.test(&at(0.0, 1e-300), 1e300, Some(&arrival)), None);
        let on = Tolerances::default();
        assert_eq!(on.test(&at(f64::NAN, f64::NAN), 1.0, None), None);
    }

    #[test]
    fn each_tolerance_stops_alone_and_is_named() {
        let arrival = |step_norm, change| Arrival {
            step_norm,
            x_norm: 1.0,
            change,
        };
        let base = Tolerances {
            gradient: 1e-8,
            step: 1e-6,
            cost: 1e-3,
            ..Tolerances::default()
        };
        let test =
            |slope, step, change| base.test(&at(1.0, slope), 1.0, Some(&arrival(step, change)));
        assert_eq!(test(1e-9, 1.0, 1.0), Some(Converged::GradientTolerance));
        assert_eq!(test(1.0, 1e-7, 1.0), Some(Converged::StepTolerance));
        assert_eq!(test(1.0, 1.0, -1e-3), Some(Converged::CostTolerance));
        assert_eq!(test(1.0, 1.0, 1.0), None);
        let all = Tolerances { all: true, ..base };
        let test =
            |slope, step, change| all.test(&at(1.0, slope), 1.0, Some(&arrival(step, change)));
        assert_eq!(test(1e-9, 1.0, 0.0), None);
        assert_eq!(test(1e-9, 1e-7, 0.0), Some(Converged::GradientTolerance));
    }
}
