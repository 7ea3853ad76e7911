//! Truncated conjugate gradients.
//!
//! Solves A s = b for symmetric A given by products, that is, minimizes
//! m(s) = −bᵀs + ½ sᵀAs. If A is not positive definite, the iteration ends at
//! the first direction p with pᵀAp ≤ 0 and keeps it. Within a trust region
//! ‖s‖ ≤ Δ it ends on the boundary, along p or where the iterates leave.
//!
//! Reference: T. Steihaug, "The conjugate gradient method and trust regions in
//! large scale optimization" (1983); P. L. Toint, "Towards an efficient sparsity
//! exploiting Newton method for minimization" (1981).

use super::{axpy, dot};

/// A symmetric operator: writes A v, for its first argument v, to its second.
pub type Operator<'a, E> = dyn FnMut(&[f64], &mut [f64]) -> Result<(), E> + 'a;

/// When [`TruncatedCg::solve`] stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CgOptions {
    /// Stop once ‖b − As‖ ≤ `relative_tolerance`·‖b‖.
    pub relative_tolerance: f64,
    /// … and ‖b − As‖ ≤ `step_tolerance`·‖s‖; infinite for no such condition.
    pub step_tolerance: f64,
    /// Most products with A.
    pub max_iterations: usize,
    /// Δ in ‖s‖ ≤ Δ; infinite for no trust region.
    pub radius: f64,
}

/// Why the iteration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CgEnd {
    /// The residual met its tolerance.
    Converged,
    /// pᵀAp ≤ ε‖p‖‖Ap‖ for the direction p kept in [`TruncatedCg::direction`].
    NegativeCurvature,
    /// ‖s‖ = Δ: the iterates left the trust region, or met pᵀAp ≤ 0.
    Boundary,
    /// The limit on products was reached.
    MaxIterations,
    /// b or a product with A is not finite; the last finite iterate is kept.
    NonFinite,
}

/// Result of [`TruncatedCg::solve`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CgOutcome {
    /// Why the iteration ended.
    pub end: CgEnd,
    /// Products with A.
    pub iterations: usize,
    /// ‖b − As‖ by the recurrence.
    pub residual_norm: f64,
    /// −m(s) = ½(bᵀs + rᵀs) with r = b − As, at no extra product.
    pub predicted_decrease: f64,
}

/// Conjugate gradients that stop at nonpositive curvature.
///
/// Keeps five vectors of length n; per iteration one product and about 10n
/// operations. The result depends on the input alone.
#[derive(Debug, Clone, Default)]
pub struct TruncatedCg {
    s: Vec<f64>,
    r: Vec<f64>,
    z: Vec<f64>,
    p: Vec<f64>,
    ap: Vec<f64>,
}

impl TruncatedCg {
    /// Without storage; the first right-hand side sets the size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Solves A s = b from s = 0.
    ///
    /// `apply(v, out)` writes A v to `out`; its error ends the solve and is
    /// returned unchanged. `jacobi` is the diagonal of a preconditioner;
    /// entries that are not positive and finite count as 1. For b of length
    /// zero or b = 0 the solution is s = 0, without a product.
    ///
    /// # Panics
    /// If `jacobi` differs from `b` in length.
    pub fn solve<E>(
        &mut self,
        b: &[f64],
        jacobi: Option<&[f64]>,
        options: CgOptions,
        apply: &mut Operator<'_, E>,
    ) -> Result<CgOutcome, E> {
        let n = b.len();
        assert!(
            jacobi.is_none_or(|d| d.len() == n),
            "the preconditioner must have the length of b"
        );
        for vector in [
            &mut self.s,
            &mut self.r,
            &mut self.z,
            &mut self.p,
            &mut self.ap,
        ] {
            vector.clear();
            vector.resize(n, 0.0);
        }
        self.r.copy_from_slice(b);
        self.precondition(jacobi);
        self.p.copy_from_slice(&self.z);
        let mut rz = dot(&self.r, &self.z);
        let mut residual_norm = norm(b);
        let tolerance = options.relative_tolerance * residual_norm;
        let mut iterations = 0;
        let end = loop {
            if !residual_norm.is_finite() || !rz.is_finite() {
                break CgEnd::NonFinite;
            }
            let is_small = residual_norm <= tolerance
                && (options.step_tolerance == f64::INFINITY
                    || residual_norm <= options.step_tolerance * norm(&self.s));
            if is_small || residual_norm == 0.0 {
                break CgEnd::Converged;
            }
            if iterations == options.max_iterations {
                break CgEnd::MaxIterations;
            }
            apply(&self.p, &mut self.ap)?;
            iterations += 1;
            let curvature = dot(&self.p, &self.ap);
            let image = norm(&self.ap);
            if !curvature.is_finite() || !image.is_finite() {
                break CgEnd::NonFinite;
            }
            let is_negative = curvature <= f64::EPSILON * norm(&self.p) * image;
            if is_negative && options.radius == f64::INFINITY {
                break CgEnd::NegativeCurvature;
            }
            let step = rz / curvature;
            if options.radius < f64::INFINITY {
                let (to_boundary, leaves) = self.boundary(options.radius, step);
                if is_negative || leaves {
                    axpy(to_boundary, &self.p, &mut self.s);
                    axpy(-to_boundary, &self.ap, &mut self.r);
                    residual_norm = norm(&self.r);
                    break CgEnd::Boundary;
                }
            }
            axpy(step, &self.p, &mut self.s);
            axpy(-step, &self.ap, &mut self.r);
            self.precondition(jacobi);
            residual_norm = norm(&self.r);
            let previous = std::mem::replace(&mut rz, dot(&self.r, &self.z));
            let ratio = rz / previous;
            for (p, z) in self.p.iter_mut().zip(&self.z) {
                *p = z + ratio * *p;
            }
        };
        Ok(CgOutcome {
            end,
            iterations,
            residual_norm,
            predicted_decrease: 0.5 * (dot(b, &self.s) + dot(&self.r, &self.s)),
        })
    }

    /// The positive t with ‖s + tp‖ = Δ, and whether s + `step` p lies outside.
    fn boundary(&self, radius: f64, step: f64) -> (f64, bool) {
        let (ss, sp, pp) = (
            dot(&self.s, &self.s),
            dot(&self.s, &self.p),
            dot(&self.p, &self.p),
        );
        let inside = ((radius - ss.sqrt()) * (radius + ss.sqrt())).max(0.0);
        let root = (sp * sp + pp * inside).sqrt();
        // Free of cancellation for either sign.
        let t = if sp > 0.0 {
            inside / (sp + root)
        } else {
            (root - sp) / pp
        };
        (t, step >= t)
    }

    /// The last iterate s.
    pub fn solution(&self) -> &[f64] {
        &self.s
    }

    /// The last search direction p; after [`CgEnd::NegativeCurvature`] the one with pᵀAp ≤ 0, and bᵀp > 0.
    pub fn direction(&self) -> &[f64] {
        &self.p
    }

    /// b − As by the recurrence.
    pub fn residual(&self) -> &[f64] {
        &self.r
    }

    fn precondition(&mut self, jacobi: Option<&[f64]>) {
        match jacobi {
            None => self.z.copy_from_slice(&self.r),
            Some(diagonal) => {
                for ((z, r), &d) in self.z.iter_mut().zip(&self.r).zip(diagonal) {
                    *z = if d > 0.0 && d.is_finite() { r / d } else { *r };
                }
            }
        }
    }
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const EXACT: CgOptions = CgOptions {
        relative_tolerance: 1e-12,
        max_iterations: 100,
        radius: f64::INFINITY,
        step_tolerance: f64::INFINITY,
    };

    fn diagonal(d: &[f64]) -> impl FnMut(&[f64], &mut [f64]) -> Result<(), Infallible> {
        move |v, out| {
            for ((out, v), d) in out.iter_mut().zip(v).zip(d) {
                *out = d * v;
            }
            Ok(())
        }
    }

    #[test]
    fn as_many_iterations_as_distinct_eigenvalues() {
        let d = [1.0, 1.0, 4.0, 4.0, 9.0];
        let mut cg = TruncatedCg::new();
        let b = [1.0, 2.0, 4.0, 8.0, 9.0];
        let Ok(end) = cg.solve(&b, None, EXACT, &mut diagonal(&d));
        assert_eq!((end.end, end.iterations), (CgEnd::Converged, 3));
        for (s, exact) in cg.solution().iter().zip([1.0, 2.0, 1.0, 2.0, 1.0]) {
            assert!((s - exact).abs() < 1e-12);
        }
        // −m(s) = ½ bᵀA⁻¹b = ½ (1 + 4 + 4 + 16 + 9)
        assert!((end.predicted_decrease - 17.0).abs() < 1e-12);
        // The exact diagonal as preconditioner: one iteration.
        let Ok(end) = cg.solve(&b, Some(&d), EXACT, &mut diagonal(&d));
        assert_eq!((end.end, end.iterations), (CgEnd::Converged, 1));
    }

    #[test]
    fn negative_curvature_gives_its_direction() {
        let d = [1.0, -1.0];
        let mut cg = TruncatedCg::new();
        let b = [1.0, 0.5];
        let Ok(end) = cg.solve(&b, None, EXACT, &mut diagonal(&d));
        assert_eq!(end.end, CgEnd::NegativeCurvature);
        let p = cg.direction();
        assert!(p[0] * p[0] - p[1] * p[1] <= 0.0, "{p:?}");
        assert!(b[0] * p[0] + b[1] * p[1] > 0.0, "{p:?}");
        let s = cg.solution();
        let model = b[0] * s[0] + b[1] * s[1] - 0.5 * (s[0] * s[0] - s[1] * s[1]);
        assert!((end.predicted_decrease - model).abs() <= 1e-12 * model.abs());
        // A = 0 has no positive curvature.
        let Ok(end) = cg.solve(&b, None, EXACT, &mut diagonal(&[0.0, 0.0]));
        assert_eq!((end.end, end.iterations), (CgEnd::NegativeCurvature, 1));
        assert_eq!((cg.solution(), cg.direction()), (&[0.0; 2][..], &b[..]));
    }

    #[test]
    fn a_trust_region_ends_the_iteration_on_its_boundary() {
        let mut cg = TruncatedCg::new();
        let b = [1.0, 2.0, 4.0, 8.0, 9.0];
        let mut inside = 0.0;
        for (d, exponents) in [
            ([1.0, 1.0, 4.0, 4.0, 9.0], -3..3),
            ([1.0, -1.0, 4.0, 0.0, 9.0], -3..9),
        ] {
            for k in exponents {
                let radius = 2f64.powi(k);
                let options = CgOptions { radius, ..EXACT };
                let Ok(end) = cg.solve(&b, None, options, &mut diagonal(&d));
                let s = cg.solution();
                let length = norm(s);
                assert!(length <= radius * (1.0 + 1e-14), "{length} {radius}");
                let model: f64 = (0..5).map(|i| b[i] * s[i] - 0.5 * d[i] * s[i] * s[i]).sum();
                assert!((end.predicted_decrease - model).abs() <= 1e-12 * model);
                // At least the decrease of the Cauchy point.
                let (bb, bab) = (dot(&b, &b), (0..5).map(|i| d[i] * b[i] * b[i]).sum::<f64>());
                let t = (radius / bb.sqrt()).min(if bab > 0.0 { bb / bab } else { f64::INFINITY });
                assert!(model >= (t * bb - 0.5 * t * t * bab) * (1.0 - 1e-12));
                match end.end {
                    CgEnd::Boundary => assert!((length / radius - 1.0).abs() < 1e-14),
                    CgEnd::Converged => inside += 1.0,
                    other => panic!("{other:?}"),
                }
            }
        }
        // ‖s‖ = sqrt(13) < 4 for the positive definite matrix alone.
        assert_eq!(inside, 1.0);
    }

    #[test]
    fn limits_and_trivial_right_hand_sides() {
        let d = [1.0, 2.0, 3.0];
        let mut cg = TruncatedCg::new();
        let two = CgOptions {
            max_iterations: 2,
            ..EXACT
        };
        let Ok(end) = cg.solve(&[1.0; 3], None, two, &mut diagonal(&d));
        assert_eq!((end.end, end.iterations), (CgEnd::MaxIterations, 2));
        for b in [&[0.0; 3][..], &[][..]] {
            let Ok(end) = cg.solve(b, None, EXACT, &mut diagonal(&d));
            assert_eq!((end.end, end.iterations), (CgEnd::Converged, 0));
            assert_eq!((end.predicted_decrease, cg.solution()), (0.0, b));
        }
    }

    #[test]
    fn non_finite_values_and_errors_end_the_solve() {
        let mut cg = TruncatedCg::new();
        let Ok(end) = cg.solve(&[1.0, f64::NAN], None, EXACT, &mut diagonal(&[1.0; 2]));
        assert_eq!((end.end, end.iterations), (CgEnd::NonFinite, 0));
        let Ok(end) = cg.solve(&[1.0, 1.0], None, EXACT, &mut diagonal(&[1.0, f64::NAN]));
        assert_eq!((end.end, end.iterations), (CgEnd::NonFinite, 1));
        assert_eq!(cg.solution(), [0.0; 2]);
        let end = cg.solve(&[1.0], None, EXACT, &mut |_, _| Err("user"));
        assert_eq!(end, Err("user"));
    }
}
