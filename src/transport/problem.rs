//! A transport problem: costs and masses, checked and reduced.

use super::cost::{Cost, IntoCost, padded};
use crate::error::{Error, length};
use std::sync::Arc;

/// Relative difference of the total masses that counts as rounding.
const MASS_TOLERANCE: f64 = 1e-9;

/// Masses a at n places, to be carried to masses b at m places at the cost C.
///
/// minimize ⟨C, P⟩ + ε Σ P_ij (log P_ij − 1) over P ≥ 0 with P1 = a, Pᵀ1 = b
///
/// ε is the solver's: see [`SinkhornNewton`](crate::SinkhornNewton). Entries of C that are +∞ forbid
/// a pair. Places without mass are left out of the computation; their rows and columns of P are zero.
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Transport {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cost: Cost,
    a: Vec<f64>,
    b: Vec<f64>,
    reduced: Reduced,
}

/// The problem that is solved: positive masses of sum 1, at least as many rows as columns.
#[derive(Debug)]
pub(crate) struct Reduced {
    pub(crate) cost: Cost,
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) log_a: Vec<f64>,
    pub(crate) log_b: Vec<f64>,
    /// Indices of its rows and columns in the problem as given.
    pub(crate) rows: Vec<usize>,
    pub(crate) cols: Vec<usize>,
    pub(crate) transposed: bool,
    /// The sum of the masses.
    pub(crate) mass: f64,
    /// The least cost, in the units of [`Cost::row`].
    pub(crate) offset: f64,
    /// Largest finite minus least cost.
    pub(crate) range: f64,
    pub(crate) forbids: bool,
    /// ρ of rows and columns; infinite on a side that is not relaxed.
    pub(crate) rho: (f64, f64),
    /// What marginal errors are relative to: the larger sum of masses, 1 if balanced.
    pub(crate) unit: f64,
}

impl Reduced {
    /// λ = ε/ρ of rows and columns.
    pub(crate) fn slack(&self, eps: f64) -> (f64, f64) {
        (eps / self.rho.0, eps / self.rho.1)
    }
    /// Whether potentials are free up to a constant.
    pub(crate) fn is_balanced(&self) -> bool {
        self.rho == (f64::INFINITY, f64::INFINITY)
    }
    /// The linear program is bounded for balanced problems only.
    pub(crate) fn must_be_balanced(&self) -> Result<(), Error> {
        let what = "bounds for the unbalanced problem";
        self.is_balanced()
            .then_some(())
            .ok_or(Error::NotOffered { what })
    }
    pub(crate) fn n(&self) -> usize {
        self.a.len()
    }
    pub(crate) fn m(&self) -> usize {
        self.b.len()
    }
    pub(crate) fn stride(&self) -> usize {
        padded(self.m())
    }
    /// Multiplies a cost to give it in units of ε.
    pub(crate) fn per(&self, eps: f64) -> f64 {
        self.cost.scale() / eps
    }
    /// The offset in the units of the user.
    pub(crate) fn least(&self) -> f64 {
        self.offset * self.cost.scale()
    }
}

impl Transport {
    /// `cost` is a [`Cost`] or any matrix ([`RectMat`](crate::RectMat)), n x m; `a` has n masses, `b` has m.
    ///
    /// Sums that differ by rounding only (10⁻⁹ relative) are brought together by scaling b.
    /// Cost: one pass over C.
    ///
    /// # Errors
    /// [`Error::WrongLength`] for lengths that do not fit, [`Error::Mass`] for masses that are
    /// negative or not finite, [`Error::Cost`] for a cost that is NaN or −∞,
    /// [`Error::MassMismatch`] for totals that differ, [`Error::Data`] if there is no mass or if
    /// a place with mass has no finite cost.
    pub fn new(
        cost: impl IntoCost,
        a: impl Into<Vec<f64>>,
        b: impl Into<Vec<f64>>,
    ) -> Result<Self, Error> {
        Self::build(
            cost.into_cost()?,
            a.into(),
            b.into(),
            (f64::INFINITY, f64::INFINITY),
        )
    }

    /// The unbalanced problem: marginals may differ from a and b at the price of a divergence,
    ///
    /// minimize ⟨C, P⟩ + ε Σ P_ij (log P_ij − 1) + ρ_a KL(P1 | a) + ρ_b KL(Pᵀ1 | b)
    ///
    /// with KL(p | q) = Σ p log(p/q) − p + q. An infinite ρ keeps its side fixed. The sums of a and b may differ.
    /// The marginal error of its plans is that of the optimal marginals a exp(−f/ρ_a), b exp(−g/ρ_b).
    ///
    /// # Errors
    /// As [`new`](Transport::new), and [`Error::InvalidParameter`] for a ρ that is not positive.
    pub fn unbalanced(
        cost: impl IntoCost,
        a: impl Into<Vec<f64>>,
        b: impl Into<Vec<f64>>,
        rho: (f64, f64),
    ) -> Result<Self, Error> {
        for rho in [rho.0, rho.1] {
            if rho.is_nan() || rho <= 0.0 {
                return Err(Error::parameter(
                    "rho",
                    rho,
                    "positive; infinity keeps the side fixed",
                ));
            }
        }
        Self::build(cost.into_cost()?, a.into(), b.into(), rho)
    }

    /// The partial problem: only `mass` of both sides is carried, whichever part is cheapest.
    ///
    /// It has a further row with the mass of b that is left and a further column with that of a, at no cost
    /// and without a way from one to the other; the plan of the problem as given is its
    /// part of the first n rows and m columns. The costs become a table of (n + 1)(m + 1) entries. As ε → 0
    /// the reduction is exact; the entropy counts the further row and column too.
    ///
    /// # Errors
    /// As [`new`](Transport::new), and [`Error::InvalidParameter`] for a `mass` that is not positive or
    /// exceeds that of a side.
    pub fn partial(
        cost: impl IntoCost,
        a: impl Into<Vec<f64>>,
        b: impl Into<Vec<f64>>,
        mass: f64,
    ) -> Result<Self, Error> {
        let (cost, mut a, mut b) = (cost.into_cost()?, a.into(), b.into());
        let (sum_a, sum_b) = (total("source", &a)?, total("target", &b)?);
        if !(mass > 0.0 && mass <= sum_a.min(sum_b)) {
            let requirement = "positive and at most the mass of each side";
            return Err(Error::parameter("mass", mass, requirement));
        }
        a.push(sum_b - mass);
        b.push(sum_a - mass);
        Self::new(cost.bordered(), a, b)
    }

    fn build(cost: Cost, a: Vec<f64>, b: Vec<f64>, rho: (f64, f64)) -> Result<Self, Error> {
        let balanced = rho == (f64::INFINITY, f64::INFINITY);
        let (n, m) = cost.shape();
        length("masses of the source", n, a.len())?;
        length("masses of the target", m, b.len())?;
        let scale = cost.scale();
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::parameter("factor", scale, "positive and finite"));
        }
        let (sum_a, sum_b) = (total("source", &a)?, total("target", &b)?);
        if balanced && (sum_a - sum_b).abs() > MASS_TOLERANCE * sum_a.max(sum_b) {
            return Err(Error::MassMismatch { sum_a, sum_b });
        }
        let positive = |v: &[f64]| (0..v.len()).filter(|&i| v[i] > 0.0).collect::<Vec<_>>();
        let (rows, cols) = (positive(&a), positive(&b));
        let transposed = rows.len() < cols.len();
        let part = cost.restricted(&rows, &cols, transposed);
        let (unit_a, unit_b) = if balanced { (sum_a, sum_b) } else { (1.0, 1.0) };
        let kept = |v: &[f64], at: &[usize], sum| at.iter().map(|&i| v[i] / sum).collect();
        let (mut kept_a, mut kept_b): (Vec<f64>, Vec<f64>) =
            (kept(&a, &rows, unit_a), kept(&b, &cols, unit_b));
        let (mut rows, mut cols) = (rows, cols);
        if transposed {
            std::mem::swap(&mut kept_a, &mut kept_b);
            std::mem::swap(&mut rows, &mut cols);
        }
        let survey = survey(&part, &rows, &cols, transposed)?;
        let logs = |v: &[f64]| v.iter().map(|v| v.ln()).collect();
        let reduced = Reduced {
            log_a: logs(&kept_a),
            log_b: logs(&kept_b),
            a: kept_a,
            b: kept_b,
            rows,
            cols,
            transposed,
            mass: unit_a,
            // A constant in the costs would change the mass of an unbalanced plan.
            offset: if balanced { survey.least } else { 0.0 },
            range: (survey.largest - survey.least) * scale,
            forbids: survey.forbids,
            rho: if transposed { (rho.1, rho.0) } else { rho },
            unit: if balanced { 1.0 } else { sum_a.max(sum_b) },
            cost: part,
        };
        Ok(Transport {
            inner: Arc::new(Inner {
                cost,
                a,
                b,
                reduced,
            }),
        })
    }

    /// n and m.
    pub fn shape(&self) -> (usize, usize) {
        (self.inner.a.len(), self.inner.b.len())
    }

    /// The masses a.
    pub fn source(&self) -> &[f64] {
        &self.inner.a
    }

    /// The masses b.
    pub fn target(&self) -> &[f64] {
        &self.inner.b
    }

    /// The cost C.
    pub fn cost(&self) -> &Cost {
        &self.inner.cost
    }

    /// n + m zeros: potentials to start from where none are known.
    pub fn origin(&self) -> Vec<f64> {
        vec![0.0; self.inner.a.len() + self.inner.b.len()]
    }

    /// ρ_a and ρ_b; infinite if balanced.
    pub(crate) fn rho(&self) -> (f64, f64) {
        let rho = self.reduced().rho;
        if self.reduced().transposed {
            (rho.1, rho.0)
        } else {
            rho
        }
    }

    pub(crate) fn reduced(&self) -> &Reduced {
        &self.inner.reduced
    }
}

/// The sum of masses, compensated.
fn total(side: &'static str, masses: &[f64]) -> Result<f64, Error> {
    if let Some(index) = masses.iter().position(|v| !(*v >= 0.0 && v.is_finite())) {
        let value = masses[index];
        return Err(Error::Mass { side, index, value });
    }
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for &v in masses {
        let next = sum + v;
        lost += if sum >= v {
            (sum - next) + v
        } else {
            (v - next) + sum
        };
        sum = next;
    }
    let sum = sum + lost;
    if sum > 0.0 && sum.is_finite() {
        Ok(sum)
    } else {
        Err(Error::Data(format!(
            "the masses of the {side} sum to {sum}; there must be some mass"
        )))
    }
}

struct Survey {
    least: f64,
    largest: f64,
    forbids: bool,
}

/// Range of the finite costs; every row and column must have one.
fn survey(cost: &Cost, rows: &[usize], cols: &[usize], transposed: bool) -> Result<Survey, Error> {
    let (_, m) = cost.shape();
    let mut buffer = vec![0.0; padded(m)];
    let mut column = vec![f64::INFINITY; m];
    let mut found = Survey {
        least: f64::INFINITY,
        largest: f64::NEG_INFINITY,
        forbids: false,
    };
    let sides = if transposed {
        ("target", "source")
    } else {
        ("source", "target")
    };
    let alone = |side: &str, at: usize| {
        Err(Error::Data(format!(
            "no plan exists: place {at} of the {side} has mass, and all its costs are infinite"
        )))
    };
    for (i, &place) in rows.iter().enumerate() {
        let mut least = f64::INFINITY;
        for (j, (&c, column)) in cost.row(i, &mut buffer)[..m]
            .iter()
            .zip(&mut column)
            .enumerate()
        {
            if c.is_nan() || c == f64::NEG_INFINITY {
                let (row, col) = (place, cols[j]);
                let (row, col) = if transposed { (col, row) } else { (row, col) };
                return Err(Error::Cost { row, col, value: c });
            }
            least = least.min(c);
            *column = column.min(c);
            if c < f64::INFINITY {
                found.largest = found.largest.max(c);
            } else {
                found.forbids = true;
            }
        }
        if least == f64::INFINITY {
            return alone(sides.0, place);
        }
        found.least = found.least.min(least);
    }
    match column.iter().position(|&c| c == f64::INFINITY) {
        Some(j) => alone(sides.1, cols[j]),
        None => Ok(found),
    }
}
