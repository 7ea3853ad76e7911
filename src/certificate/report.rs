//! The text of a certificate.

use super::{Certificate, Doubt, ErrorBound, PointKind};
use std::fmt;

impl PointKind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            PointKind::Minimum => "minimum",
            PointKind::Maximum => "maximum",
            PointKind::Saddle => "saddle",
            PointKind::Degenerate => "degenerate",
            PointKind::Undecided(_) => "undecided",
        }
    }
}

impl Doubt {
    /// Why, and what to try.
    pub fn message(self) -> &'static str {
        match self {
            Doubt::NonFinite => "the gradient or the Hessian is not finite",
            Doubt::Curvature => {
                "the bounds of the eigenvalues do not exclude zero; a larger Krylov space may"
            }
            Doubt::Gradient => {
                "the gradient is too large for the theorem; carry the run to a smaller one"
            }
            Doubt::Constant => {
                "no Lipschitz constant of the Hessian is known; give one or raise the samples"
            }
            Doubt::Reach => {
                "the ball exceeds the one on which the Lipschitz constant holds; give it on a larger one"
            }
        }
    }
}

impl fmt::Display for PointKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointKind::Undecided(doubt) => write!(out, "undecided: {}", doubt.message()),
            decided => out.write_str(decided.name()),
        }
    }
}

impl ErrorBound {
    fn source(self) -> &'static str {
        if self.given {
            "given"
        } else {
            "rounding model"
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = match (self.ball.is_some(), self.proven) {
            (true, true) => ", proven",
            (true, false) => ", not proven",
            (false, _) => "",
        };
        write!(out, "{}{proof}.", self.kind)?;
        if self.kind == PointKind::Undecided(Doubt::NonFinite) {
            return Ok(());
        }
        let (e, f) = (self.gradient_error, self.hessian_error);
        write!(
            out,
            " At x the gradient has norm {:.3e}, to an error of {:.1e} ({}); the least eigenvalue of \
             the Hessian lies in [{:.6e}, {:.6e}]",
            self.gradient_norm,
            e.value,
            e.source(),
            self.least.lower,
            self.least.upper,
        )?;
        if self.least.confidence < 1.0 {
            let odds = 1.0 - self.least.confidence;
            write!(out, ", the lower end with probability 1 - {odds:.1e}")?;
        }
        write!(
            out,
            ", for an error of the Hessian of {:.1e} ({}). ",
            f.value,
            f.source()
        )?;
        if let Some(l) = self.lipschitz {
            match l.samples {
                None => write!(out, "Given that {:.3e} is a Lipschitz constant", l.value)?,
                Some(samples) => write!(
                    out,
                    "If the estimate {:.3e} from {samples} neighbours is a Lipschitz constant",
                    l.value
                )?,
            }
            out.write_str(" of the Hessian near x")?;
        }
        match (&self.ball, self.h) {
            (Some(ball), _) => {
                let what = match self.kind {
                    PointKind::Minimum => "a strict local minimizer",
                    PointKind::Maximum => "a strict local maximizer",
                    _ => "a nondegenerate saddle point",
                };
                write!(
                    out,
                    ", {what} lies within {:.3e} of x, where no eigenvalue is smaller in magnitude \
                     than {:.3e}",
                    ball.radius, ball.curvature
                )?;
                if ball.uniqueness.is_finite() {
                    write!(
                        out,
                        "; no other stationary point is nearer than {:.3e}",
                        ball.uniqueness
                    )?;
                } else {
                    out.write_str("; there is no other stationary point")?;
                }
                if let Some(gap) = ball.gap {
                    write!(out, "; f(x) exceeds its value there by at most {gap:.3e}")?;
                }
            }
            (None, Some(h)) => write!(
                out,
                ", h = {h:.3e}, and the theorem of Newton and Kantorovich shows no stationary point"
            )?,
            (None, None) if self.lipschitz.is_some() => {
                out.write_str(", no stationary point is shown to be near x")?;
            }
            (None, None) => out.write_str("No stationary point is shown to be near x")?,
        }
        match self.no_minimizer_within {
            Some(radius) if radius.is_finite() => {
                write!(out, "; no minimizer is nearer than {radius:.3e}")?;
            }
            Some(_) => out.write_str("; there is no minimizer")?,
            None => {}
        }
        out.write_str(".")
    }
}
