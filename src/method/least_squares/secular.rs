//! The multiplier of a trust region: ‖p(α)‖ = Δ with (AᵀA + αI)p(α) = −Aᵀr.
//!
//! φ(α) = ‖p(α)‖ − Δ falls and is convex for α > 0. Newton's method on 1/‖p‖ gives
//! α ← α − (‖p‖/Δ)(φ/φ'), from above never below the root; a bracket guards it.
//!
//! Source: J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory",
//! Numerical Analysis, Lecture Notes in Mathematics 630 (1978), section 5, with a tighter tolerance
//! where trials of α are cheap.

/// Iterations on α after which the last one is taken.
const MOST: usize = 60;

/// ‖p(α)‖ and its derivative in α.
pub(super) struct Length {
    pub(super) value: f64,
    pub(super) slope: f64,
}

/// An α ≥ 0 with |‖p(α)‖ − `radius`| ≤ `tolerance`·`radius`, given `upper` = ‖Aᵀr‖/Δ and a first
/// guess. [`None`] of `length` is a factorization that failed, where α is too small.
pub(super) fn multiplier<E>(
    radius: f64,
    upper: f64,
    guess: f64,
    tolerance: f64,
    mut length: impl FnMut(f64) -> Result<Option<Length>, E>,
) -> Result<f64, E> {
    let (mut low, mut high) = (0.0_f64, upper);
    let inside = |alpha: f64, low: f64, high: f64| {
        if alpha > low && alpha < high {
            alpha
        } else {
            (1e-3 * high)
                .max((low * high).sqrt())
                .max(f64::MIN_POSITIVE)
        }
    };
    let mut alpha = inside(guess, low, high);
    for _ in 0..MOST {
        let Some(Length { value, slope }) = length(alpha)? else {
            low = alpha;
            alpha = inside(0.0, low, high);
            continue;
        };
        let excess = value - radius;
        if excess.abs() <= tolerance * radius {
            break;
        }
        if excess > 0.0 {
            low = alpha;
        } else {
            high = alpha;
        }
        alpha = inside(alpha - value / radius * (excess / slope), low, high);
        if high - low <= 4.0 * f64::EPSILON * high {
            break;
        }
    }
    Ok(alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_meets_the_radius() {
        // A = diag(s), r = c: p = −sc/(s² + α).
        let (s, c) = ([1.0, 1e-3, 1e-8], [0.3, -2.0, 5.0]);
        let length = |alpha: f64| {
            let terms = s.iter().zip(&c);
            let (mut square, mut slope) = (0.0_f64, 0.0);
            for (s, c) in terms {
                let p = s * c / (s * s + alpha);
                square += p * p;
                slope -= p * p / (s * s + alpha);
            }
            let value = square.sqrt();
            Length {
                value,
                slope: slope / value,
            }
        };
        let upper: f64 = s.iter().zip(&c).map(|(s, c)| (s * c).powi(2)).sum::<f64>();
        for radius in [1e-6, 1e-2, 1.0, 1e3, 1e8] {
            for guess in [0.0, 1e-30, 1e-3] {
                let mut calls = 0;
                let alpha = multiplier(radius, upper.sqrt() / radius, guess, 0.01, |alpha| {
                    calls += 1;
                    Ok::<_, ()>(Some(length(alpha)))
                })
                .unwrap();
                let error = (length(alpha).value / radius - 1.0).abs();
                assert!(error <= 0.01, "{radius} {guess}: {error}");
                assert!(calls <= 30, "{radius} {guess}: {calls}");
            }
        }
    }
}
