//! The margins m = A w of a linear model, computed once per point.
//!
//! Value, gradient and Hessian at one point share a pass over the data. Between
//! two Hessians, further trials on the line through the anchor (the point of the
//! last Hessian) and the first trial cost no pass at all: their margins are
//! m(x + t(y − x)) = m(x) + t(m(y) − m(x)). Collinearity is found from the points
//! themselves, to a few ulps of x and y, so nobody has to announce a line search. A Hessian is always
//! evaluated from direct margins, so a resumed run sees the same bits.
//!
//! A model with K outputs has K margins a row, those of one output together.

use super::design::Design;
use std::sync::{Mutex, TryLockError};

/// The margins of a model, shared by its evaluations.
#[derive(Debug)]
pub(crate) struct MarginCache {
    outputs: usize,
    lines: bool,
    margins: Mutex<Margins>,
}

impl MarginCache {
    /// For a model of `outputs` margins a row. With `lines` trials between two Hessians are
    /// interpolated; without, every margin is direct, whatever was evaluated before.
    pub(crate) fn new(outputs: usize, lines: bool) -> Self {
        MarginCache {
            outputs,
            lines,
            margins: Mutex::new(Margins::new(outputs, lines)),
        }
    }

    /// Runs `f` on the shared margins, or on fresh ones while another thread holds them.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Margins) -> T) -> T {
        let fresh = || Margins::new(self.outputs, self.lines);
        match self.margins.try_lock() {
            Ok(mut margins) => f(&mut margins),
            Err(TryLockError::Poisoned(poisoned)) => {
                let mut margins = poisoned.into_inner();
                *margins = fresh();
                f(&mut margins)
            }
            Err(TryLockError::WouldBlock) => f(&mut fresh()),
        }
    }
}

/// A point and its margins.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) w: Vec<f64>,
    pub(crate) margin: Vec<f64>,
    valid: bool,
    /// From a product with A, not from a line.
    direct: bool,
    /// Evaluated after the anchor was.
    fresh: bool,
    /// Whether the margins are there.
    pub(crate) filled: bool,
    /// Filled by the model from the margins: a value and one number a margin.
    pub(crate) value: f64,
    pub(crate) rows: Vec<f64>,
    pub(crate) evaluated: bool,
    /// Filled by the model: what second derivatives are made of, and scratch.
    pub(crate) weight: Vec<f64>,
    pub(crate) scratch: Vec<f64>,
    /// Filled by the model: Aᵀ times `rows`.
    pub(crate) gradient: Vec<f64>,
    pub(crate) sloped: bool,
}

impl Slot {
    fn holds(&self, w: &[f64]) -> bool {
        // Bits, not values: NaN equals itself and 0 is not -0.
        self.valid
            && self.w.len() == w.len()
            && self
                .w
                .iter()
                .zip(w)
                .all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// Whether this can be the first trial after the anchor.
    fn leads(&self) -> bool {
        let can = self.valid && self.direct && self.fresh && self.filled;
        // A margin that has overflowed spoils the whole line.
        can && self.margin.iter().all(|m| m.is_finite())
    }

    pub(crate) fn set(&mut self, w: &[f64], rows: usize, direct: bool) {
        self.w.clear();
        self.w.extend_from_slice(w);
        self.margin.resize(rows, 0.0);
        self.rows.resize(rows, 0.0);
        self.valid = true;
        self.direct = direct;
        self.fresh = true;
        self.filled = !direct;
        self.evaluated = false;
        self.sloped = false;
    }

    fn fill(&mut self, design: &Design) -> &mut Self {
        if !self.filled {
            design.mul_each(&self.w, &mut self.margin);
            self.filled = true;
        }
        self
    }
}

/// Margins at the anchor, the first trial after it and the current trial.
#[derive(Debug)]
pub(crate) struct Margins {
    anchor: Slot,
    first: Slot,
    current: Slot,
    outputs: usize,
    lines: bool,
    /// Products with A so far.
    pub(crate) passes: u64,
}

impl Margins {
    fn new(outputs: usize, lines: bool) -> Self {
        Margins {
            anchor: Slot::default(),
            first: Slot::default(),
            current: Slot::default(),
            outputs,
            lines,
            passes: 0,
        }
    }

    /// The slot of `w` for value and gradient, with its margins.
    pub(crate) fn at(&mut self, design: &Design, w: &[f64]) -> &mut Slot {
        self.place(design.nrows(), w).fill(design)
    }

    /// The slot of `w` for a Hessian, which becomes the anchor, with its margins.
    pub(crate) fn anchor(&mut self, design: &Design, w: &[f64]) -> &mut Slot {
        self.place_anchor(design.nrows(), w).fill(design)
    }

    /// The slot of `w` for value and gradient; a product with A may have to fill it.
    pub(crate) fn place(&mut self, rows: usize, w: &[f64]) -> &mut Slot {
        if self.current.holds(w) {
            return &mut self.current;
        }
        if self.anchor.holds(w) {
            return &mut self.anchor;
        }
        if self.first.holds(w) {
            return &mut self.first;
        }
        let current = &self.current;
        if self.lines && self.anchor.valid && !self.first.valid && current.leads() {
            std::mem::swap(&mut self.first, &mut self.current);
        }
        if self.anchor.filled
            && self.first.valid
            && let Some(t) = position(&self.anchor.w, &self.first.w, w)
        {
            self.current.set(w, rows * self.outputs, false);
            let ends = self.anchor.margin.iter().zip(&self.first.margin);
            for (m, (a, b)) in self.current.margin.iter_mut().zip(ends) {
                *m = a + t * (b - a);
            }
            return &mut self.current;
        }
        self.passes += 1;
        self.current.set(w, rows * self.outputs, true);
        &mut self.current
    }

    /// Makes the current point the anchor, if it is `w` and its margins are direct.
    pub(crate) fn leave_from(&mut self, w: &[f64]) {
        if self.current.holds(w) && self.current.direct && self.current.filled {
            self.first.valid = false;
            std::mem::swap(&mut self.anchor, &mut self.current);
            self.current.valid = false;
        }
    }

    /// The slot of `w` for a Hessian, which becomes the anchor; a product may have to fill it.
    pub(crate) fn place_anchor(&mut self, rows: usize, w: &[f64]) -> &mut Slot {
        if self.anchor.holds(w) {
            return &mut self.anchor;
        }
        self.first.valid = false;
        if self.current.holds(w) && self.current.direct {
            std::mem::swap(&mut self.anchor, &mut self.current);
            self.current.valid = false;
        } else {
            self.passes += 1;
            self.anchor.set(w, rows * self.outputs, true);
            self.current.fresh = false;
        }
        &mut self.anchor
    }
}

/// t in (0, 1] with w = x + t(y − x) to rounding, if there is one.
fn position(x: &[f64], y: &[f64], w: &[f64]) -> Option<f64> {
    if x.len() != w.len() || y.len() != w.len() {
        return None;
    }
    let (mut longest, mut t) = (0.0, 0.0);
    for ((x, y), w) in x.iter().zip(y).zip(w) {
        if (y - x).abs() > longest {
            longest = (y - x).abs();
            t = (w - x) / (y - x);
        }
    }
    let on_line = |((x, y), w): ((&f64, &f64), &f64)| {
        ((w - x) - t * (y - x)).abs() <= 4.0 * f64::EPSILON * (x.abs() + y.abs())
    };
    (t > 0.0 && t <= 1.0 && x.iter().zip(y).zip(w).all(on_line)).then_some(t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    fn design() -> Design {
        let rows = vec![vec![1.0, 2.0], vec![-1.0, 0.5], vec![3.0, 1.0]];
        Design::new(&Dataset::from_rows(&rows, &[0.0, 1.0, 1.0]).unwrap())
    }

    #[test]
    fn backtracks_cost_no_pass_and_hessians_are_direct() {
        let design = design();
        let mut margins = Margins::new(1, true);
        margins.at(&design, &[0.0, 0.0]);
        margins.anchor(&design, &[0.0, 0.0]);
        assert_eq!(margins.passes, 1);
        margins.at(&design, &[1.0, -2.0]);
        margins.at(&design, &[1.0, -2.0]);
        assert_eq!(margins.passes, 2);
        for t in [0.5, 0.25, 0.1] {
            let slot = margins.at(&design, &[t, -2.0 * t]);
            let mut direct = [0.0; 3];
            design.mul(&[t, -2.0 * t], &mut direct);
            for (a, b) in slot.margin.iter().zip(direct) {
                assert!((a - b).abs() <= 1e-15);
            }
        }
        assert_eq!(margins.passes, 2);
        // Off the line, or beyond the first trial: a pass.
        margins.at(&design, &[0.5, -1.0 + 1e-13]);
        margins.at(&design, &[2.0, -4.0]);
        assert_eq!(margins.passes, 4);
        // A Hessian at an interpolated point is made from a product.
        margins.at(&design, &[0.5, -1.0]);
        margins.anchor(&design, &[0.5, -1.0]);
        assert_eq!(margins.passes, 5);
        // At a direct point it costs none.
        margins.at(&design, &[0.75, -1.5]);
        margins.anchor(&design, &[0.75, -1.5]);
        assert_eq!(margins.passes, 6);
    }

    #[test]
    fn without_a_hessian_every_point_is_direct() {
        let design = design();
        let mut margins = Margins::new(1, true);
        for (k, t) in [0.0, 1.0, 0.5, 0.25].into_iter().enumerate() {
            margins.at(&design, &[t, t]);
            assert_eq!(margins.passes, k as u64 + 1);
        }
    }
}
