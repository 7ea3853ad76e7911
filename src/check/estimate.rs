//! A numerical derivative and what is known of its error.

/// A numerical derivative. The error is infinite if none could be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub value: f64,
    pub error: f64,
    /// The part of the error that is rounding.
    pub rounding: f64,
    /// The part of it that a smaller step cannot reduce.
    pub inherent: f64,
}

/// Below this relative error an estimate has found the derivative.
const RESOLVED: f64 = 1e-3;

impl Estimate {
    pub const NONE: Estimate = Estimate {
        value: f64::NAN,
        error: f64::INFINITY,
        rounding: 0.0,
        inherent: 0.0,
    };

    pub fn is_finite(&self) -> bool {
        self.error.is_finite()
    }

    /// The digits suffice to tell a right derivative from a wrong one.
    pub fn is_resolved(&self) -> bool {
        self.error <= RESOLVED * self.value.abs()
    }

    /// Largest discrepancy that a right derivative may show.
    pub fn allowed(&self, claimed: f64, tolerance: f64) -> f64 {
        tolerance * self.value.abs().max(claimed.abs()) + 10.0 * self.error
    }

    fn relative_error(&self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            self.error / self.value.abs()
        }
    }

    /// Smaller relative error where the derivative was found, smaller absolute error elsewhere.
    pub fn better_than(&self, other: &Estimate) -> bool {
        if !other.is_finite() {
            self.is_finite()
        } else if self.is_resolved() || other.is_resolved() {
            self.relative_error() < other.relative_error()
        } else {
            self.error < other.error
        }
    }
}
