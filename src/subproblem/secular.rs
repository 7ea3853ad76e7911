//! The secular equation ‖s(λ)‖ = R(λ), s(λ) = −(B + λI)⁻¹g with B = H + δI.
//!
//! R(λ) = λ/σ for the cubic model, R = Δ for the ball. With γ = ‖g‖ and the unit
//! vector p = s(λ)/‖s(λ)‖ put x = ‖s(λ)‖/R(λ) and q = pᵀ(B + λI)⁻¹p. Newton's
//! correction of λ on 1/‖s(λ)‖ − 1/R(λ) is
//!
//! * cubic: λ (x − 1)/(qλ + x),
//! * ball: (x − 1)/q,
//!
//! free of squares of norms. Both functions are increasing and concave right of
//! −λ_1, so from the left (x > 1) the corrections are monotone.

use super::{RESIDUAL_TOLERANCE, Solution, SubproblemError, Work};
use crate::linear::shifted::Shifted;
use crate::linear::{Breakdown, axpy, dot, normalize};
use crate::parallel::norm;

/// Accepted |x − 1|.
const TOLERANCE: f64 = 1e-10;
/// |x − 1| from which the factor at hand gives the step to within its cube, see [`Problem::polish`].
const NEAR: f64 = 1e-5;
/// Most values of λ.
const ITERATIONS: usize = 60;
/// Lanczos steps that give the first λ.
const LANCZOS_STEPS: usize = 16;
/// Values of λ that may turn out indefinite before λ_1 is computed.
const BLIND_FAILURES: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// R(λ) = λ/σ.
    Cubic { sigma: f64 },
    /// R(λ) = Δ.
    Ball { radius: f64 },
}

impl Target {
    fn radius(self, lambda: f64) -> f64 {
        match self {
            Target::Cubic { sigma } => lambda / sigma,
            Target::Ball { radius } => radius,
        }
    }

    /// The λ ≥ 0 with γ/(c + λ) = R(λ), zero if there is none.
    fn root(self, gamma: f64, c: f64) -> f64 {
        match self {
            Target::Cubic { sigma } => {
                // λ(λ + c) = w²
                let w = sigma.sqrt() * gamma.sqrt();
                let discriminant = c.hypot(2.0 * w);
                if c > 0.0 {
                    2.0 * w * (w / (c + discriminant))
                } else {
                    0.5 * (discriminant - c)
                }
            }
            Target::Ball { radius } => (gamma / radius - c).max(0.0),
        }
    }

    /// Newton's correction of λ.
    fn correction(self, lambda: f64, x: f64, q: f64) -> f64 {
        match self {
            Target::Cubic { .. } if x == f64::INFINITY => lambda,
            Target::Cubic { .. } => lambda * ((x - 1.0) / (q * lambda + x)),
            Target::Ball { .. } => (x - 1.0) / q,
        }
    }
}

/// s = `norm`·p, plus a multiple of a second vector that makes up for the length.
#[derive(Clone, Copy)]
struct Root {
    lambda: f64,
    norm: f64,
    add: Add,
    iterations: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Add {
    Nothing,
    /// (B + λI)⁻¹p, if λ is found to rounding and ‖s(λ)‖ is not.
    Inverse,
    /// A leftmost eigenvector: the hard case.
    Eigenvector,
}

/// Where to look first.
#[derive(Clone, Copy)]
struct Start {
    lambda: f64,
    /// A step to the right, should B + λI be indefinite.
    stride: f64,
}

pub(super) struct Problem<'a> {
    matrix: &'a mut dyn Shifted,
    target: Target,
    delta: f64,
    /// Bounds on the spectrum of B.
    bounds: (f64, f64),
    /// ‖B‖ at most.
    size: f64,
    /// Rounding of an eigenvalue.
    negligible: f64,
}

impl<'a> Problem<'a> {
    pub(super) fn new(
        matrix: &'a mut dyn Shifted,
        target: Target,
        delta: f64,
    ) -> Result<Self, SubproblemError> {
        let n = matrix.dimension();
        if n == 0 {
            return Err(Breakdown::Empty.into());
        }
        let (low, high) = matrix.bounds();
        let bounds = (low + delta, high + delta);
        let size = bounds.0.abs().max(bounds.1.abs());
        if !size.is_finite() {
            return Err(SubproblemError::Overflow);
        }
        Ok(Self {
            matrix,
            target,
            delta,
            bounds,
            size,
            negligible: 8.0 * n as f64 * f64::EPSILON * size,
        })
    }

    pub(super) fn solve(
        &mut self,
        g: &[f64],
        guess: Option<f64>,
        s: &mut [f64],
        work: &mut Work,
    ) -> Result<Solution, SubproblemError> {
        let n = self.matrix.dimension();
        for found in [g.len(), s.len()] {
            if found != n {
                return Err(Breakdown::Length { expected: n, found }.into());
            }
        }
        for vector in [
            &mut work.unit,
            &mut work.direction,
            &mut work.leftmost,
            &mut work.product,
        ] {
            vector.resize(n, 0.0);
        }
        let gamma = norm(g);
        if !gamma.is_finite() {
            return Err(SubproblemError::NonFinite);
        }
        if gamma == 0.0 {
            return self.without_gradient(g, s, work);
        }
        for (unit, g) in work.unit.iter_mut().zip(g) {
            *unit = -g / gamma;
        }
        let start = match guess.filter(|guess| *guess >= 0.0 && guess.is_finite()) {
            Some(lambda) => Start {
                lambda,
                stride: 0.1 * lambda,
            },
            None => self.start(gamma, work)?,
        };
        let root = self.root(
            gamma,
            &work.unit,
            start,
            &mut work.direction,
            &mut work.leftmost,
        )?;
        for (s, p) in s.iter_mut().zip(&work.direction) {
            *s = root.norm * p;
        }
        if root.add != Add::Nothing {
            let radius = self.target.radius(root.lambda);
            match to_sphere(root.norm / radius, &work.direction, &work.leftmost) {
                Some(t) => axpy(t * radius, &work.leftmost, s),
                None => {
                    for (s, p) in s.iter_mut().zip(&work.direction) {
                        *s = radius * p;
                    }
                }
            }
        }
        let found = match self.finish(g, gamma, root.lambda, s, work) {
            Err(missed @ SubproblemError::Residual { .. }) => {
                return self.nearby(g, gamma, &root, s, work, missed);
            }
            found => found?,
        };
        Ok(Solution {
            hard_case: match root.add {
                Add::Nothing => false,
                Add::Inverse => root.norm < 0.9 * self.target.radius(root.lambda),
                Add::Eigenvector => true,
            },
            iterations: root.iterations,
            ..found
        })
    }

    /// Next to a semidefinite singular B, where s(λ) drowns in the rounding of B: a λ above it.
    ///
    /// With λ of 10⁻¹²‖B‖ or little more the step is found to its residual, and its model
    /// value is within ½λ|R² − ‖s‖²| of the least one, which must be 10⁻⁸ of the decrease.
    fn nearby(
        &mut self,
        g: &[f64],
        gamma: f64,
        root: &Root,
        s: &mut [f64],
        work: &mut Work,
        missed: SubproblemError,
    ) -> Result<Solution, SubproblemError> {
        let mut lambda = root.lambda.max(1e-12 * self.size);
        for more in 1..=12 {
            let unit = &work.unit;
            let point = self.evaluate(gamma, unit, lambda, &mut work.direction)?;
            if let Some((norm, _)) = point
                && norm <= self.target.radius(lambda) * (1.0 + TOLERANCE)
            {
                for (s, p) in s.iter_mut().zip(&work.direction) {
                    *s = norm * p;
                }
                let radius = self.target.radius(lambda);
                let gap = 0.5 * lambda * (radius - norm).abs() * (radius + norm);
                let found = self.finish(g, gamma, lambda, s, work)?;
                if gap <= RESIDUAL_TOLERANCE * found.predicted {
                    let iterations = root.iterations + more;
                    return Ok(Solution {
                        iterations,
                        ..found
                    });
                }
                return Err(missed);
            }
            lambda *= 4.0;
        }
        Err(missed)
    }

    /// g = 0: s = 0 if B ⪰ 0, else along an eigenvector.
    fn without_gradient(
        &mut self,
        g: &[f64],
        s: &mut [f64],
        work: &mut Work,
    ) -> Result<Solution, SubproblemError> {
        let mut base = 0.0;
        if !self.matrix.factor(self.delta)? {
            base = -(self.matrix.leftmost(&mut work.leftmost)? + self.delta);
        }
        s.fill(0.0);
        let hard_case = base > self.negligible;
        if hard_case {
            axpy(self.target.radius(base), &work.leftmost, s);
        } else {
            base = 0.0;
        }
        self.finish(g, 0.0, base, s, work).map(|solution| Solution {
            hard_case,
            iterations: 1,
            ..solution
        })
    }

    /// The first λ, from the same problem in the Krylov space of H and g.
    ///
    /// By Gauss quadrature gᵀ(B + λI)⁻²g is at least its value in the Krylov
    /// space, so the root there is at most the one sought. Plain three-term
    /// recurrence: lost orthogonality would cost a few iterations, nothing else.
    fn start(&mut self, gamma: f64, work: &mut Work) -> Result<Start, SubproblemError> {
        let n = self.matrix.dimension();
        let (v, before, w) = (&mut work.direction, &mut work.leftmost, &mut work.product);
        v.copy_from_slice(&work.unit);
        work.krylov.clear();
        let mut beta = 0.0;
        for k in 0..n.min(LANCZOS_STEPS) {
            self.matrix.mul(v, w);
            let alpha = dot(v, w);
            if !alpha.is_finite() {
                return Err(SubproblemError::Overflow);
            }
            work.krylov.push(beta, alpha);
            axpy(-alpha, v, w);
            if k > 0 {
                axpy(-beta, before, w);
            }
            beta = norm(w);
            if beta <= 1e-10 * self.size {
                break;
            }
            before.copy_from_slice(v);
            for (v, w) in v.iter_mut().zip(&*w) {
                *v = w / beta;
            }
        }
        let k = work.krylov.dimension();
        let [unit, direction, leftmost] = &mut work.small;
        for vector in [&mut *unit, direction, leftmost] {
            vector.clear();
            vector.resize(k, 0.0);
        }
        unit[0] = 1.0;
        let least = work.krylov.least_eigenvalue()? + self.delta;
        // 1/(c + λ) with c = gᵀBg/gᵀg bounds ‖s(λ)‖/γ from below, by Jensen's inequality.
        let cauchy = work.krylov.diagonal()[0] + self.delta;
        let lambda = self.target.root(gamma, cauchy).max(-least);
        let start = Start {
            lambda,
            stride: 0.1 * lambda,
        };
        let mut small = Problem::new(&mut work.krylov, self.target, self.delta)?;
        let root = small.root(gamma, unit, start, direction, leftmost)?;
        Ok(Start {
            lambda: root.lambda,
            stride: root.lambda + least,
        })
    }

    /// ‖s(λ)‖ and q, with p in `direction`; [`None`] if B + λI is not positive definite.
    fn evaluate(
        &mut self,
        gamma: f64,
        unit: &[f64],
        lambda: f64,
        direction: &mut [f64],
    ) -> Result<Option<(f64, f64)>, Breakdown> {
        if !self.matrix.factor(self.delta + lambda)? {
            return Ok(None);
        }
        direction.copy_from_slice(unit);
        self.matrix.solve_in_place(direction)?;
        let length = norm(direction);
        if !length.is_finite() || length == 0.0 {
            return Ok(None);
        }
        for p in direction.iter_mut() {
            *p /= length;
        }
        let q = self.matrix.inverse_norm_squared(direction)?;
        Ok(q.is_finite().then_some((gamma * length, q)))
    }

    fn root(
        &mut self,
        gamma: f64,
        unit: &[f64],
        start: Start,
        direction: &mut [f64],
        leftmost: &mut [f64],
    ) -> Result<Root, SubproblemError> {
        // γ/(hi + λ) ≤ ‖s(λ)‖ ≤ γ/(lo + λ) encloses the root.
        let mut low = self.target.root(gamma, self.bounds.1) * (1.0 - 1e-8);
        let mut high = self.target.root(gamma, self.bounds.0) * (1.0 + 1e-8) + self.negligible;
        high = high.max(f64::MIN_POSITIVE);
        if !low.is_finite() || !high.is_finite() {
            return Err(SubproblemError::Overflow);
        }
        let mut lambda = start.lambda.max(low).min(high);
        if matches!(self.target, Target::Cubic { .. }) {
            lambda = lambda.max(f64::MIN_POSITIVE);
        }
        let mut stride = start.stride.max(self.negligible);
        let mut failures = 0;
        // max(0, −λ_1) once it is known, and how far to stay above.
        let mut base = None;
        let mut lift = 0.0;
        let mut last = None;
        for iterations in 1..=ITERATIONS {
            let Some((norm, q)) = self.evaluate(gamma, unit, lambda, direction)? else {
                low = low.max(lambda);
                failures += 1;
                last = None;
                if let Some(base) = base {
                    lift *= 8.0;
                    lambda = low.max(base) + lift;
                } else if failures <= BLIND_FAILURES && lambda + stride < high {
                    lambda += stride;
                    stride *= 8.0;
                } else {
                    let below = self.base(leftmost)?;
                    base = Some(below);
                    lift = (1e-10 * below).max(2.0 * f64::EPSILON * self.size);
                    lambda = low.max(below) + lift;
                }
                continue;
            };
            let x = if norm == 0.0 {
                0.0
            } else {
                norm / self.target.radius(lambda)
            };
            let root = Root {
                lambda,
                norm,
                add: Add::Nothing,
                iterations,
            };
            let miss = (x - 1.0).abs();
            if miss <= NEAR {
                let correction = self.target.correction(lambda, x, q);
                return self.polish(root, miss, correction, direction, leftmost);
            }
            // B + λI is known to a rounding of B, so x to `noise`, and λ + λ_1 ≈ 1/q.
            let noise = 8.0 * f64::EPSILON * self.size * q;
            let settled = if noise < 0.1 {
                miss <= noise
            } else if x < 1.0 {
                lambda > self.negligible
            } else {
                x <= 1e3 && x / q <= self.negligible.max(1e-9 * lambda)
            };
            if settled {
                leftmost.copy_from_slice(direction);
                self.matrix.solve_in_place(leftmost)?;
                if normalize(leftmost) && to_sphere(x, direction, leftmost).is_some() {
                    let add = Add::Inverse;
                    return Ok(Root { add, ..root });
                }
            }
            last = Some(root);
            if x < 1.0 {
                // The root of the ball is λ = 0 in its interior; curvature of the size of
                // rounding is not followed.
                if lambda == 0.0 || (failures > 0 && lambda <= self.negligible) {
                    let lambda = match self.target {
                        Target::Ball { .. } => 0.0,
                        Target::Cubic { .. } => lambda,
                    };
                    return Ok(Root { lambda, ..root });
                }
                if let Some(base) = base
                    && lambda <= low.max(base) + 1.5 * lift
                {
                    let add = match base > self.negligible {
                        true => Add::Eigenvector,
                        false => Add::Nothing,
                    };
                    return Ok(Root { add, ..root });
                }
                high = lambda;
            } else {
                low = low.max(lambda);
            }
            let mut next = lambda + self.target.correction(lambda, x, q);
            if x > 1.0 && noise >= 0.1 {
                next = next.max(lambda + 2.0 * f64::EPSILON * self.size);
            }
            if !(next > low && next < high) {
                next = if low == 0.0 && failures == 0 && x < 1.0 {
                    0.0
                } else if low == 0.0 {
                    1e-3 * high
                } else {
                    low.sqrt() * high.sqrt()
                };
            }
            let resolution = 2.0 * f64::EPSILON * lambda;
            if (next - lambda).abs() <= resolution || high - low <= resolution {
                break;
            }
            lambda = next;
        }
        // λ is found to rounding. Next to −λ_1 that is not enough for ‖s‖: an eigenvector closes the gap.
        let root = last.ok_or(Breakdown::NoConvergence)?;
        let excess = root.norm - self.target.radius(root.lambda);
        let closes = match self.target {
            Target::Ball { .. } if excess > 0.0 => true,
            _ => excess.abs() * root.lambda > 1e-10 * (gamma + self.size * root.norm),
        };
        if closes && base.is_none() {
            self.base(leftmost)?;
        }
        let add = match closes {
            true => Add::Eigenvector,
            false => Add::Nothing,
        };
        Ok(Root { add, ..root })
    }

    /// s(λ + c) = ‖s(λ)‖ (p − c(B + λI)⁻¹p + c²(B + λI)⁻²p − …) for Newton's correction c.
    ///
    /// With |x − 1| = ε the terms left out and the error of c are of relative size ε³ and ε²,
    /// which spares the last factorization.
    fn polish(
        &mut self,
        root: Root,
        miss: f64,
        correction: f64,
        direction: &mut [f64],
        work: &mut [f64],
    ) -> Result<Root, SubproblemError> {
        let mut root = root;
        if miss > TOLERANCE && correction.is_finite() {
            work.copy_from_slice(direction);
            let mut factor = 1.0;
            for _ in 0..2 {
                self.matrix.solve_in_place(work)?;
                factor *= -correction;
                axpy(factor, work, direction);
            }
            root.norm *= norm(direction);
            root.lambda = (root.lambda + correction).max(0.0);
            normalize(direction);
        }
        if let Target::Ball { radius } = self.target {
            root.norm = radius;
        }
        Ok(root)
    }

    /// max(0, −λ_1(B)), with an eigenvector in `leftmost`.
    fn base(&mut self, leftmost: &mut [f64]) -> Result<f64, Breakdown> {
        Ok((-(self.matrix.leftmost(leftmost)? + self.delta)).max(0.0))
    }

    /// Verifies the step and computes its multiplier and decrease.
    ///
    /// With ρ = g + (B + λI)s the decrease is exactly −½gᵀs − ½ρᵀs + cλ‖s‖², where
    /// c = ½ for the ball and, with λ = σ‖s‖, ⅙ for the cubic model.
    fn finish(
        &mut self,
        g: &[f64],
        gamma: f64,
        lambda: f64,
        s: &[f64],
        work: &mut Work,
    ) -> Result<Solution, SubproblemError> {
        let step_norm = norm(s);
        let (multiplier, share) = match self.target {
            Target::Cubic { sigma } => (sigma * step_norm, 1.0 / 6.0),
            Target::Ball { .. } => (lambda, 0.5),
        };
        let residual = &mut work.product;
        self.matrix.mul(s, residual);
        for ((r, s), g) in residual.iter_mut().zip(s).zip(g) {
            *r += g + (self.delta + multiplier) * s;
        }
        let size = norm(residual);
        let decrease =
            multiplier * step_norm * step_norm * share - 0.5 * dot(g, s) - 0.5 * dot(residual, s);
        if !step_norm.is_finite() || !size.is_finite() || !decrease.is_finite() {
            return Err(SubproblemError::Overflow);
        }
        let tolerance = RESIDUAL_TOLERANCE * (gamma + self.size * step_norm);
        if size > tolerance {
            return Err(SubproblemError::Residual {
                residual: size,
                tolerance,
            });
        }
        Ok(Solution {
            multiplier,
            step_norm,
            predicted: decrease.max(0.0),
            hard_case: false,
            iterations: 0,
        })
    }
}

/// The root t of ‖ξp + tu‖ = 1 of smaller magnitude, for unit vectors p and u.
///
/// Of the two points on the sphere it has the lower model value, by ½(λ_1 + λ)
/// times the difference of t². [`None`] if the line misses the sphere.
fn to_sphere(xi: f64, p: &[f64], u: &[f64]) -> Option<f64> {
    let b = xi * dot(p, u);
    let gap = (1.0 - xi) * (1.0 + xi);
    let discriminant = b * b + gap;
    (discriminant >= 0.0).then(|| {
        let root = b + discriminant.sqrt().copysign(b);
        if root == 0.0 { 0.0 } else { gap / root }
    })
}
