//! The derivative of t -> F(t v) at t = 0, with an estimate of its own error.
//!
//! One attempt at step h takes D(h), D(h/2), D(h/4) and removes the first two
//! terms of the error expansion (Richardson). For central differences
//!
//! ```text
//! D(h) = (F(h) - F(-h)) / 2h = F' + c2 h^2 + c4 h^4 + ...
//! R(h) = (4 D(h/2) - D(h)) / 3,    T = (16 R(h/2) - R(h)) / 15
//! error(T) ~ |T - R(h)| + rounding
//! rounding = 4 eps |F| / (h/4) + 4 eps |x| |F''|
//! ```
//!
//! where the last term is what a perturbation of x in its last digit does to F'.
//! Until the estimate is good enough, the step is divided by 16 as long as the
//! error is not the rounding of F(0) itself, which smaller steps amplify, and
//! multiplied by 16 where rounding dominates and larger steps reduce it. A
//! smaller step that made an estimate worse which agrees with the claimed
//! derivative met noise, and ends the search as well.

use super::estimate::Estimate;
use crate::error::Error;

/// Points on a line: writes F(t v) and returns the t that floating point made of it.
pub(super) trait Line {
    fn at(&mut self, t: f64, out: &mut [f64]) -> Result<f64, Error>;
}

impl<F: FnMut(f64, &mut [f64]) -> Result<f64, Error>> Line for F {
    fn at(&mut self, t: f64, out: &mut [f64]) -> Result<f64, Error> {
        self(t, out)
    }
}

/// What the ladder is asked for.
pub(super) struct Task<'a> {
    /// F(0).
    pub base: &'a [f64],
    /// The claimed derivative: where it disagrees, other steps are asked for a second opinion.
    pub claimed: &'a [f64],
    /// Length of the line on which F is expected to vary.
    pub scale: f64,
    /// |x| along the line, in units of t.
    pub position: f64,
    /// Relative tolerance of the comparison.
    pub tolerance: f64,
}

/// A first step of 2^-10 of the scale balances h^6 against eps/h.
const FIRST: f64 = 1.0 / 1024.0;
const FACTOR: f64 = 16.0;
/// Not all powers of two, or a periodic function may look smooth from every step.
const MANTISSAS: [f64; 8] = [1.0, 1.625, 1.25, 1.875, 1.5, 1.125, 1.75, 1.375];
/// 2^-80 and 2^40 of the scale bound the search.
const SMALLEST: f64 = 1.0 / (1u128 << 80) as f64;
const LARGEST: f64 = (1u64 << 40) as f64;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Central,
    Forward,
    Backward,
}

/// The derivative of every component at t = 0.
pub(super) fn derivative(line: &mut impl Line, task: &Task<'_>) -> Result<Vec<Estimate>, Error> {
    let mut ladder = Ladder::new(task);
    ladder.search(line, Side::Central)?;
    for side in [Side::Forward, Side::Backward] {
        let missing = |(e, b): (&Estimate, &f64)| !e.is_finite() && b.is_finite();
        if ladder.best.iter().zip(task.base).any(missing) {
            ladder.search(line, side)?;
        }
    }
    ladder.second_opinion(line)?;
    Ok(ladder.best)
}

struct Ladder<'a> {
    task: &'a Task<'a>,
    /// Every attempt, by step and side.
    attempts: Vec<(Vec<Estimate>, (f64, Side))>,
    /// The best of them for each component.
    best: Vec<Estimate>,
    /// Step and side of each best estimate.
    found_at: Vec<(f64, Side)>,
    /// Number of the next smaller step.
    rung: i32,
    values: [Vec<f64>; 6],
    times: [f64; 6],
}

impl<'a> Ladder<'a> {
    fn new(task: &'a Task<'a>) -> Self {
        let m = task.base.len();
        Ladder {
            task,
            attempts: Vec::new(),
            best: vec![Estimate::NONE; m],
            found_at: vec![(0.0, Side::Central); m],
            rung: 0,
            values: std::array::from_fn(|_| vec![0.0; m]),
            times: [0.0; 6],
        }
    }

    fn search(&mut self, line: &mut impl Line, side: Side) -> Result<(), Error> {
        self.rung = 0;
        let mut last = self.descend(line, side)?;
        let mut h = self.start() * FACTOR;
        while h <= LARGEST * self.task.scale {
            // Only what rounding spoiled, and only as long as a larger step helps.
            if !self.any_unsatisfied(|i| last.get(i).is_some_and(|e| e.error <= 30.0 * e.rounding))
            {
                break;
            }
            let latest = self.attempt(line, h, side)?;
            self.keep(&latest, h, side);
            for (e, l) in latest.into_iter().zip(&mut last) {
                *l = if e.error < l.error { e } else { Estimate::NONE };
            }
            h *= FACTOR;
        }
        Ok(())
    }

    fn start(&self) -> f64 {
        FIRST * power_of_two(self.task.scale)
    }

    /// Attempts at smaller and smaller steps, as long as one is wanted and does not vanish
    /// against x. Returns the first of them, empty if there is none.
    fn descend(&mut self, line: &mut impl Line, side: Side) -> Result<Vec<Estimate>, Error> {
        let smallest = (SMALLEST * self.task.scale).max(16.0 * f64::EPSILON * self.task.position);
        let mut first = Vec::new();
        loop {
            let h = self.start() / FACTOR.powi(self.rung) * MANTISSAS[self.rung as usize % 8];
            if h < smallest {
                return Ok(first);
            }
            self.rung += 1;
            let latest = self.attempt(line, h, side)?;
            self.keep(&latest, h, side);
            let wanted = self.any_unsatisfied(|i| {
                let (latest, best) = (&latest[i], &self.best[i]);
                let confirmed = best.is_resolved() && latest != best && self.agrees(i);
                !confirmed && (!latest.is_finite() || latest.error > 30.0 * latest.inherent)
            });
            if first.is_empty() {
                first = latest;
            }
            if !wanted {
                return Ok(first);
            }
        }
    }

    /// A disagreement must stand at other steps: what similar steps cannot agree on is noise,
    /// or an oscillation that happened to look smooth, and the search goes on.
    fn second_opinion(&mut self, line: &mut impl Line) -> Result<(), Error> {
        let mut heard: Vec<(f64, Side)> = Vec::new();
        let mut refuted = false;
        loop {
            let disputed = |i: &usize| self.best[*i].is_finite() && !self.agrees(*i);
            let disputes: Vec<usize> = (0..self.best.len()).filter(disputed).collect();
            let mut places = disputes.iter().map(|&i| self.found_at[i]);
            if let Some(at) = places.find(|at| !heard.contains(at)) {
                heard.push(at);
                let before = self.best.clone();
                self.widen(line, at)?;
                refuted |= disputes
                    .iter()
                    .any(|&i| before[i].is_resolved() && !self.best[i].is_resolved());
                continue;
            }
            let open = refuted && disputes.iter().any(|&i| !self.best[i].is_resolved());
            if !open || self.descend(line, Side::Central)?.is_empty() {
                return Ok(());
            }
        }
    }

    /// Raises the errors of the estimates at a step to their distance from those at similar steps.
    fn widen(&mut self, line: &mut impl Line, at: (f64, Side)) -> Result<(), Error> {
        // Incommensurate with the steps themselves.
        for factor in [1.4327, 1.2191, 0.8723, 0.7129] {
            let other = self.attempt(line, factor * at.0, at.1)?;
            for (estimates, _) in self.attempts.iter_mut().filter(|a| a.1 == at) {
                for (e, o) in estimates.iter_mut().zip(&other) {
                    if o.is_finite() {
                        e.error = e.error.max((o.value - e.value).abs());
                    }
                }
            }
        }
        self.choose();
        Ok(())
    }

    /// The best estimate confirms the claim; false if one of them is not finite.
    fn agrees(&self, i: usize) -> bool {
        let (e, claimed) = (&self.best[i], self.task.claimed[i]);
        e.is_finite() && (claimed - e.value).abs() <= e.allowed(claimed, self.task.tolerance)
    }

    fn any_unsatisfied(&self, mut wanted: impl FnMut(usize) -> bool) -> bool {
        let finite = self.best.iter().filter(|e| e.is_finite());
        let largest = finite.fold(0.0, |a: f64, e| a.max(e.value.abs()));
        let goal = 0.1 * self.task.tolerance;
        self.best.iter().enumerate().any(|(i, e)| {
            self.task.base[i].is_finite()
                && (!e.is_finite() || e.error > goal * e.value.abs().max(1e-4 * largest))
                && wanted(i)
        })
    }

    fn keep(&mut self, latest: &[Estimate], h: f64, side: Side) {
        self.attempts.push((latest.to_vec(), (h, side)));
        self.choose();
    }

    fn choose(&mut self) {
        for i in 0..self.best.len() {
            self.best[i] = Estimate::NONE;
            for (estimates, at) in &self.attempts {
                if estimates[i].better_than(&self.best[i]) {
                    (self.best[i], self.found_at[i]) = (estimates[i], *at);
                }
            }
        }
    }

    fn attempt(
        &mut self,
        line: &mut impl Line,
        h: f64,
        side: Side,
    ) -> Result<Vec<Estimate>, Error> {
        let (right, left) = match side {
            Side::Central => (1.0, Some(-1.0)),
            Side::Forward => (1.0, None),
            Side::Backward => (-1.0, None),
        };
        for (level, step) in [h, h / 2.0, h / 4.0].into_iter().enumerate() {
            self.times[level] = line.at(right * step, &mut self.values[level])?;
            match left {
                Some(sign) => {
                    self.times[level + 3] = line.at(sign * step, &mut self.values[level + 3])?;
                }
                None => {
                    self.times[level + 3] = 0.0;
                    self.values[level + 3].copy_from_slice(self.task.base);
                }
            }
        }
        Ok((0..self.task.base.len())
            .map(|i| self.estimate(i, h / 4.0, side))
            .collect())
    }

    fn estimate(&self, i: usize, smallest: f64, side: Side) -> Estimate {
        let base = self.task.base[i];
        let value = |k: usize| self.values[k][i];
        let quotient = |k: usize| (value(k) - value(k + 3)) / (self.times[k] - self.times[k + 3]);
        let d = [quotient(0), quotient(1), quotient(2)];
        let (first, second) = match side {
            Side::Central => (4.0, 16.0),
            Side::Forward | Side::Backward => (2.0, 4.0),
        };
        let coarse = (first * d[1] - d[0]) / (first - 1.0);
        let fine = (first * d[2] - d[1]) / (first - 1.0);
        let best = (second * fine - coarse) / (second - 1.0);
        let largest = (0..6).fold(base.abs(), |a, k| a.max(value(k).abs()));
        let curvature = match side {
            Side::Central => {
                ((value(0) - base) - (base - value(3))) / (self.times[0] * self.times[0])
            }
            Side::Forward | Side::Backward => 0.0,
        };
        let unit = 4.0 * f64::EPSILON;
        let bend = self.task.position * curvature.abs();
        let rounding = unit * (largest / smallest + bend);
        let inherent = unit * (base.abs() / smallest + bend);
        let error = (best - coarse).abs() + rounding;
        if best.is_finite() && error.is_finite() {
            Estimate {
                value: best,
                error,
                rounding,
                inherent,
            }
        } else {
            Estimate::NONE
        }
    }
}

/// The power of two at or below a positive finite number, so that steps add exactly.
fn power_of_two(x: f64) -> f64 {
    x.log2().floor().exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn along(f: impl Fn(f64) -> f64, x: f64) -> Estimate {
        let base = [f(x)];
        let task = Task {
            base: &base,
            claimed: &[f64::NAN],
            scale: x.abs().max(1.0),
            position: x.abs(),
            tolerance: 1e-6,
        };
        let mut line = |t: f64, out: &mut [f64]| {
            out[0] = f(x + t);
            Ok((x + t) - x)
        };
        derivative(&mut line, &task).unwrap()[0]
    }

    #[track_caller]
    fn assert_near(e: Estimate, exact: f64, relative: f64) {
        assert!(
            (e.value - exact).abs() <= relative * exact.abs(),
            "{} for {exact}",
            e.value
        );
        assert!(
            (e.value - exact).abs() <= 10.0 * e.error,
            "error of {} for {exact} is estimated as {}",
            e.value,
            e.error
        );
    }

    #[test]
    fn square_at_every_scale() {
        assert_eq!(along(|x| x * x, 0.0).value, 0.0);
        for x in [1e-12, 1.0, 100.0, 1e12] {
            assert_near(along(|x| x * x, x), 2.0 * x, 1e-6);
        }
    }

    #[test]
    fn accurate_to_ten_digits_on_smooth_functions() {
        assert_near(along(f64::exp, 1.0), 1f64.exp(), 1e-10);
        assert_near(along(f64::sin, 0.7), 0.7f64.cos(), 1e-10);
        assert_near(along(f64::ln, 2.0), 0.5, 1e-10);
    }

    #[test]
    fn finds_a_function_that_lives_at_a_tiny_or_huge_scale() {
        assert_near(along(|x| (1e12 * x).cos(), 1e-12), -1e12 * 1f64.sin(), 1e-8);
        assert_near(
            along(|x| (1e-9 * x + 1.0).cos(), 1.0),
            -1e-9 * (1.0 + 1e-9f64).sin(),
            1e-8,
        );
    }

    #[test]
    fn shrinks_into_the_domain_and_goes_one_sided_at_its_edge() {
        assert_near(along(f64::ln, 1e-12), 1e12, 1e-8);
        let edge = along(|x| if x < 0.0 { f64::NAN } else { (1.0 + x).ln() }, 0.0);
        assert_near(edge, 1.0, 1e-8);
        let edge = along(|x| if x > 0.0 { f64::NAN } else { x.exp() }, 0.0);
        assert_near(edge, 1.0, 1e-8);
    }

    #[test]
    fn gives_up_on_an_isolated_point() {
        let e = along(|x| if x == 1.0 { 0.0 } else { f64::NAN }, 1.0);
        assert!(!e.is_finite());
    }
}
