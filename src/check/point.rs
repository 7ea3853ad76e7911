//! The point of a check: lines through it, and directions.

use super::estimate::Estimate;
use super::ladder::{self, Task};
use super::matrix::Columns;
use super::report::{Check, Derivative, Finding};
use super::verdict::{Evidence, judge};
use crate::edge::VecLike;
use crate::error::{Error, finite, length};

/// Number of pseudo-random directions.
const DIRECTIONS: usize = 10;
/// Relative asymmetry of Hessian-vector products that rounding may cause.
const SYMMETRY: f64 = 1e-9;

/// The point of the check and the sizes of its entries.
pub(super) struct Point<P> {
    trial: P,
    values: Vec<f64>,
    scales: Vec<f64>,
    tolerance: f64,
}

impl<P: VecLike> Point<P> {
    /// Validates x and the settings.
    pub fn new(x: &P, tolerance: f64, typical: Option<&[f64]>) -> Result<Self, Error> {
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(Error::parameter("tolerance", tolerance, "in (0, 1)"));
        }
        let mut values = vec![0.0; x.dimension()];
        if values.is_empty() {
            return Err(Error::Data("x has no entries, nothing to check".into()));
        }
        x.read(&mut values);
        finite("x", &values)?;
        let mut scales: Vec<f64> = values.iter().map(|v| v.abs().max(1.0)).collect();
        if let Some(typical) = typical {
            length("typical sizes", values.len(), typical.len())?;
            if let Some(bad) = typical.iter().find(|t| !(t.is_finite() && **t > 0.0)) {
                return Err(Error::parameter("typical", bad, "positive and finite"));
            }
            for ((s, v), t) in scales.iter_mut().zip(&values).zip(typical) {
                *s = v.abs().max(*t);
            }
        }
        Ok(Point {
            trial: x.clone(),
            values,
            scales,
            tolerance,
        })
    }

    pub fn n(&self) -> usize {
        self.values.len()
    }

    pub fn judge(
        &self,
        derivative: Derivative,
        claimed: &Columns,
        estimates: &[Estimate],
        symmetric: bool,
    ) -> Check {
        judge(&Evidence {
            derivative,
            claimed,
            estimates,
            scales: &self.scales,
            symmetric,
            tolerance: self.tolerance,
        })
    }

    /// All partial derivatives of `f`, by columns.
    pub fn along_axes(
        &self,
        f: impl Fn(&P, &mut [f64]) -> Result<(), Error>,
        base: &[f64],
        claimed: &Columns,
    ) -> Result<Vec<Estimate>, Error> {
        let mut trial = self.trial.clone();
        let mut values = self.values.clone();
        let mut estimates = Vec::with_capacity(base.len() * self.n());
        for (j, &center) in self.values.iter().enumerate() {
            let task = Task {
                base,
                claimed: claimed.col(j),
                scale: self.scales[j],
                position: center.abs(),
                tolerance: self.tolerance,
            };
            let mut line = |t: f64, out: &mut [f64]| {
                values[j] = center + t;
                trial.write(&values);
                f(&trial, out)?;
                Ok(values[j] - center)
            };
            estimates.extend(ladder::derivative(&mut line, &task)?);
            values[j] = center;
        }
        Ok(estimates)
    }

    /// Derivatives of `f` along the columns of `directions`, whose entries are of the size of `scales`.
    pub fn along(
        &self,
        directions: &Columns,
        f: impl Fn(&P, &mut [f64]) -> Result<(), Error>,
        base: &[f64],
        claimed: &Columns,
    ) -> Result<Vec<Estimate>, Error> {
        let mut trial = self.trial.clone();
        let mut values = self.values.clone();
        let mut estimates = Vec::with_capacity(base.len() * directions.cols);
        for j in 0..directions.cols {
            let task = Task {
                base,
                claimed: claimed.col(j),
                scale: 1.0,
                position: 1.0,
                tolerance: self.tolerance,
            };
            let mut line = |t: f64, out: &mut [f64]| {
                for ((v, x), d) in values.iter_mut().zip(&self.values).zip(directions.col(j)) {
                    *v = x + t * d;
                }
                trial.write(&values);
                f(&trial, out)?;
                Ok(t)
            };
            estimates.extend(ladder::derivative(&mut line, &task)?);
        }
        Ok(estimates)
    }

    /// Fixed directions with entries +-s_i, the signs from a linear congruential generator.
    pub fn random_directions(&self) -> Columns {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut directions = Columns::zeros(self.n(), DIRECTIONS);
        for j in 0..DIRECTIONS {
            for (v, s) in directions.col_mut(j).iter_mut().zip(&self.scales) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *v = if state >> 63 == 0 { *s } else { -s };
            }
        }
        directions
    }
}

/// The unit vectors.
pub(super) fn identity(n: usize) -> Columns {
    let mut columns = Columns::zeros(n, n);
    for j in 0..n {
        columns.col_mut(j)[j] = 1.0;
    }
    columns
}

/// The pair of directions that violates v'(H u) = u'(H v) the most, beyond rounding.
pub(super) fn contradiction(directions: &Columns, products: &Columns) -> Option<Finding> {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let norms = |m: &Columns| -> Vec<f64> {
        (0..m.cols)
            .map(|j| dot(m.col(j), m.col(j)).sqrt())
            .collect()
    };
    let (lengths, sizes) = (norms(directions), norms(products));
    let mut worst = (SYMMETRY, None);
    for u in 0..directions.cols {
        for v in 0..u {
            let vhu = dot(directions.col(v), products.col(u));
            let uhv = dot(directions.col(u), products.col(v));
            let size = lengths[v] * sizes[u] + lengths[u] * sizes[v];
            let relative = (vhu - uhv).abs() / size;
            if relative > worst.0 {
                worst = (
                    relative,
                    Some(Finding::AsymmetricProduct { u, v, vhu, uhv }),
                );
            }
        }
    }
    worst.1
}
