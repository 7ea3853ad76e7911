//! The result of a check and its wording.

use std::fmt;

/// Which derivative was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Derivative {
    /// Gradient of the cost: one row.
    Gradient,
    /// Hessian of the cost.
    Hessian,
    /// Hessian-vector products; column j belongs to the j-th direction.
    HessianProduct {
        /// The directions are the unit vectors, so that column j is column j of the Hessian.
        unit_vectors: bool,
    },
    /// Jacobian of the residuals.
    Jacobian,
}

/// One of the two triangles of a matrix, without the diagonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triangle {
    /// Below the diagonal.
    Lower,
    /// Above the diagonal.
    Upper,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// Every entry agrees with its difference quotient.
    Ok,
    /// Some entries are wrong, in no pattern that has a name.
    WrongEntry,
    /// A square Jacobian is the transpose of the true one.
    Transposed,
    /// One triangle of the Hessian is zero and the rest is right.
    HalfFilled {
        /// The triangle that is zero.
        zero: Triangle,
    },
    /// The worst entry of a Hessian is wrong and its mirror image is right.
    Asymmetric {
        /// The mirror image's value.
        mirrored: f64,
    },
    /// Hessian-vector products contradict each other: v'(H u) is not u'(H v).
    AsymmetricProduct {
        /// Index of the direction u.
        u: usize,
        /// Index of the direction v.
        v: usize,
        /// v'(H u).
        vhu: f64,
        /// u'(H v).
        uhv: f64,
    },
    /// Every entry has the wrong sign.
    WrongSign,
    /// Every entry is the true one times a common factor.
    ScaledBy {
        /// The factor, such as 2, 1/2 or n.
        factor: f64,
    },
    /// The analytic derivative has an entry that is NaN or infinite.
    NonFinite,
    /// No entry is wrong, but some could not be verified: all trial points near x gave NaN or infinity.
    Inconclusive,
}

/// One entry of a derivative, from both sources.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Row; 0 for a gradient.
    pub row: usize,
    /// Column; the index for a gradient.
    pub col: usize,
    /// The value that the problem returned.
    pub analytic: f64,
    /// The value by differences; NaN if there is none.
    pub numerical: f64,
    /// Estimated error of the numerical value; infinite if there is none.
    pub error_estimate: f64,
}

/// The result of checking one derivative at one point.
///
/// Its `Display` is the message to show in a failing test.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Check {
    /// Which derivative.
    pub derivative: Derivative,
    /// What was found.
    pub finding: Finding,
    /// The entry that exceeds what is allowed the most; where all pass, the one that comes closest.
    pub worst: Entry,
    /// Relative tolerance that was used.
    pub tolerance: f64,
    /// Number of entries compared.
    pub entries: usize,
    /// Number of entries that are wrong.
    pub wrong: usize,
    /// Number of entries about which little is known: the error of their difference quotient
    /// exceeds 1% of the entry and the tolerance relative to the largest entry of the row.
    pub unresolved: usize,
}

/// The checks of gradient and Hessian at one point.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Derivatives {
    /// The gradient against differences of the cost.
    pub gradient: Check,
    /// The Hessian against differences of the gradient.
    pub hessian: Check,
}

impl Entry {
    /// |analytic - numerical| / max(|analytic|, |numerical|), 0 if both are 0.
    pub fn relative_error(&self) -> f64 {
        let size = self.analytic.abs().max(self.numerical.abs());
        if size == 0.0 {
            0.0
        } else {
            (self.analytic - self.numerical).abs() / size
        }
    }
}

impl Check {
    /// Whether every entry was compared and none is wrong.
    pub fn is_ok(&self) -> bool {
        self.finding == Finding::Ok
    }

    /// Relative error of the worst entry.
    pub fn relative_error(&self) -> f64 {
        self.worst.relative_error()
    }

    fn place(&self) -> String {
        let Entry { row, col, .. } = self.worst;
        match self.derivative {
            Derivative::Gradient => format!("entry {col}"),
            Derivative::HessianProduct {
                unit_vectors: false,
            } => format!("entry {row} of the product with direction {col}"),
            _ => format!("entry ({row}, {col})"),
        }
    }
}

impl Derivatives {
    /// Whether both are right.
    pub fn is_ok(&self) -> bool {
        self.gradient.is_ok() && self.hessian.is_ok()
    }
}

impl fmt::Display for Derivative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Derivative::Gradient => "gradient",
            Derivative::Hessian => "Hessian",
            Derivative::HessianProduct { .. } => "Hessian-vector product",
            Derivative::Jacobian => "Jacobian",
        })
    }
}

impl fmt::Display for Derivatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.gradient, self.hessian)?;
        if !self.gradient.is_ok() && !self.hessian.is_ok() {
            f.write_str(
                "\nthe Hessian was compared with differences of the gradient: correct that first",
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            row,
            col,
            analytic,
            numerical,
            error_estimate,
        } = self.worst;
        let place = self.place();
        write!(f, "{}: ", self.derivative)?;
        match self.finding {
            Finding::Ok => write!(f, "ok, {} entries agree", self.entries)?,
            Finding::Inconclusive => {
                return write!(
                    f,
                    "inconclusive, no entry is wrong but some could not be verified\n  \
                     the trial points around x give NaN or infinity\n  \
                     try a point in the interior of the domain"
                );
            }
            Finding::AsymmetricProduct { .. } => f.write_str("WRONG, not symmetric")?,
            _ => write!(f, "WRONG in {} of {} entries", self.wrong, self.entries)?,
        }
        write!(
            f,
            "\n  worst: {place}, analytic {analytic:e}, numerical {numerical:e} +- {error_estimate:.1e}, \
             relative error {:.1e} (tolerance {:.0e})",
            self.relative_error(),
            self.tolerance
        )?;
        if self.unresolved > 0 {
            write!(
                f,
                "\n  {} entries are lost in rounding and show little; another point may show more",
                self.unresolved
            )?;
        }
        match self.finding {
            Finding::Ok | Finding::Inconclusive => Ok(()),
            Finding::WrongEntry => write!(f, "\n  probably: the formula of {place} is wrong"),
            Finding::Transposed => write!(
                f,
                "\n  probably: the matrix is transposed; row i belongs to residual i, column j to variable j"
            ),
            Finding::HalfFilled { zero } => {
                let (zero, filled, wrapper) = match zero {
                    Triangle::Upper => ("upper", "lower", "Lower"),
                    Triangle::Lower => ("lower", "upper", "Upper"),
                };
                match self.derivative {
                    Derivative::HessianProduct { .. } => write!(
                        f,
                        "\n  probably: the product uses the {filled} triangle only, the {zero} one is missing"
                    ),
                    _ => write!(
                        f,
                        "\n  probably: only the {filled} triangle is filled, the {zero} one is zero; \
                         return it as `edge::{wrapper}(matrix)`"
                    ),
                }
            }
            Finding::Asymmetric { mirrored } => write!(
                f,
                "\n  probably: {place} is wrong, the matrix is not symmetric: entry ({col}, {row}) is {mirrored:e}"
            ),
            Finding::AsymmetricProduct { u, v, vhu, uhv } => write!(
                f,
                "\n  probably: the product is not that of a symmetric matrix: \
                 v'(H u) = {vhu:e}, u'(H v) = {uhv:e} for directions u = {u}, v = {v}"
            ),
            Finding::WrongSign => write!(f, "\n  probably: the sign is wrong everywhere"),
            Finding::ScaledBy { factor } => write!(
                f,
                "\n  probably: a factor is off, analytic = {} x numerical everywhere",
                (factor * 1e6).round() / 1e6
            ),
            Finding::NonFinite => write!(
                f,
                "\n  probably: {place} divides by zero or leaves the domain of a function"
            ),
        }
    }
}
