//! The linear program min ⟨C, P⟩ over all pairs, from potentials that are nearly optimal.
//!
//! ```text
//! shortlist: the pairs of least reduced cost C_ij − f_i − g_j, at the potentials given
//! until upper − lower is small enough, or no pair is added
//!     simplex method on the shortlist                         upper = ⟨C, P⟩
//!     prices: f'_i = min_j C_ij − g_j at its potentials       lower = max(lower, aᵀf' + bᵀg)
//!     pairs with C_ij − f_i − g_j < 0 are added, the least of every row
//! ```
//!
//! With no pair to add P is optimal on all of them, and the bounds meet but for rounding. Every pass is one over the costs without
//! exp, so costs that are computed on the fly stay so; memory is that of the list, [`SHORT`] pairs for every place.
//!
//! **Units.** The simplex method has whole numbers: masses in units of 2⁻⁶⁰ of their sum, costs above the least one in
//! units by which no potential reaches 2⁶⁰ (of 2000 x 2000 costs, 2⁻⁴⁸ of their range). A forbidden pair costs more than any
//! detour around it. Bounds are computed from the costs as given.
//!
//! References: C. Gottschlich, D. Schuhmacher, "The shortlist method for fast computation of the earth mover's distance and
//! finding optimal solutions to transportation problems", PLoS ONE 9 (2014); B. Schmitzer, "A sparse multiscale
//! algorithm for dense optimal transport", J. Math. Imaging Vis. 56 (2016).

use super::bands::Bands;
use super::certificate::{Certificate, Vertex};
use super::potentials::scaled;
use super::problem::{Reduced, Transport};
use super::simplex::{Pair, Simplex};
use crate::parallel::dot;
use crate::simd::reduced_into;

/// Pairs of the shortlist for every row and column, about.
const SHORT: usize = 16;
/// Rows between those that the width of the shortlist is measured on.
const SAMPLE: usize = 16;
/// Pairs of a row of the shortlist at most, relative to the number that is aimed at.
const CROWDED: usize = 4;
/// Pairs that are added of a row at most.
const ADDED: usize = 12;
/// Share of the gap wanted that is aimed at, since the simplex method's value has roundings.
const SAFETY: f64 = 0.99;
/// The sum of the masses.
const WHOLE: f64 = (1_u64 << 60) as f64;
/// Largest potential.
const LARGEST: f64 = (1_u64 << 60) as f64;
/// Largest cost: the digits of a double.
const DIGITS: f64 = (1_u64 << 52) as f64;
/// Mass on forbidden pairs that rounding of the masses explains, in their units per place.
const ROUNDED: i64 = 1 << 8;

/// A vertex of the polytope and bounds on the optimum, with a gap of at most `relative`·|upper|, or that of
/// rounding if this is larger. `None` if there is no plan without forbidden pairs.
pub(crate) fn solve(transport: &Transport, x: &[f64], relative: f64) -> Option<Certificate> {
    let problem = transport.reduced();
    let units = Units::new(problem);
    let mut search = Search::new(transport, x);
    let (list, mut lower) = search.shortlist(&units);
    let (a, b) = masses(problem);
    let mut simplex = Simplex::new(a, b, list, |i, j| units.cost(problem, i, j));
    // Only the optimum tells whether forbidden pairs can be avoided.
    let is_enough = |lower: f64, value| {
        let upper = units.value(problem, value);
        !problem.forbids && upper - lower <= SAFETY * relative * upper.abs()
    };
    loop {
        let mut added = Vec::new();
        if simplex.optimize(|value| is_enough(lower, value)) {
            let bound;
            (added, bound) = search.prices(&units, &simplex);
            lower = lower.max(bound);
        }
        if added.is_empty() || is_enough(lower, simplex.value()) {
            let vertex = units.vertex(transport, &simplex)?;
            return Some(Certificate::of_vertex(lower, vertex));
        }
        simplex.extend(added);
    }
}

/// Passes over the costs.
struct Search<'a> {
    problem: &'a Reduced,
    bands: Bands,
    f: Vec<f64>,
    /// Padded.
    g: Vec<f64>,
}

impl<'a> Search<'a> {
    /// At the c-transform g of the f in x.
    fn new(transport: &'a Transport, x: &[f64]) -> Self {
        let problem = transport.reduced();
        let mut bands = Bands::default();
        bands.resize(problem);
        let (f, mut g) = scaled(transport, 1.0, x);
        bands.least_columns(problem, &f, &mut g);
        Search {
            problem,
            bands,
            f,
            g,
        }
    }

    /// The shortlist, the least reduced cost first, and the lower bound of its potentials.
    fn shortlist(&mut self, units: &Units) -> (Vec<Pair>, f64) {
        let problem = self.problem;
        let (n, m) = (problem.n(), problem.m());
        let wanted = (SHORT * (n + m) / n).min(m);
        let width = self.width(wanted);
        let limit = |_, least| least + width;
        let most = CROWDED * wanted;
        let mut found = self
            .bands
            .least_pairs(problem, &self.g, limit, most, &mut self.f);
        for (i, _, reduced) in &mut found {
            *reduced -= self.f[*i as usize];
        }
        found.sort_unstable_by(|x, y| x.2.total_cmp(&y.2).then((x.0, x.1).cmp(&(y.0, y.1))));
        let pairs = found.iter().map(|&(i, j, _)| units.pair(problem, i, j));
        (pairs.collect(), self.bound())
    }

    /// By which about `wanted` reduced costs exceed the least of their row: the median over a sample of rows.
    fn width(&self, wanted: usize) -> f64 {
        let problem = self.problem;
        let m = problem.m();
        let (mut cost, mut row) = (self.g.clone(), self.g.clone());
        let width = |i| {
            let cost = problem.cost.row(i, &mut cost);
            let scale = problem.cost.scale();
            let least = reduced_into(cost, problem.offset, scale, &self.g, &mut row);
            let (_, last, _) = row[..m].select_nth_unstable_by(wanted - 1, f64::total_cmp);
            (*last - least).min(problem.range)
        };
        let mut widths: Vec<f64> = (0..problem.n()).step_by(SAMPLE).map(width).collect();
        let middle = widths.len() / 2;
        *widths.select_nth_unstable_by(middle, f64::total_cmp).1
    }

    /// Pairs that a solution should have, and the lower bound of its potentials.
    fn prices(&mut self, units: &Units, simplex: &Simplex) -> (Vec<Pair>, f64) {
        let problem = self.problem;
        for (j, g) in self.g[..problem.m()].iter_mut().enumerate() {
            *g = units.real(simplex.column(j));
        }
        // Half a unit below the rows' own, for a reduced cost of at most −1.
        let limit = |i, _| units.real(simplex.row(i)) - 0.5 * units.real(1);
        let found = self
            .bands
            .least_pairs(problem, &self.g, limit, ADDED, &mut self.f);
        let pairs = found.iter().map(|&(i, j, _)| units.pair(problem, i, j));
        let pairs = pairs.filter(|pair| simplex.reduced(pair) < 0).collect();
        (pairs, self.bound())
    }

    /// aᵀf + bᵀg.
    fn bound(&self) -> f64 {
        let problem = self.problem;
        let value = dot(&problem.a, &self.f) + dot(&problem.b, &self.g[..problem.m()]);
        problem.mass * (value + problem.least())
    }
}

/// Costs as whole numbers.
struct Units {
    /// Of a cost of 1.
    per: f64,
    forbidden: i64,
}

impl Units {
    fn new(problem: &Reduced) -> Self {
        let (n, m) = (problem.n(), problem.m());
        // A detour has at most one pair more in each row or column than it spares.
        let detour = if problem.forbids { m as f64 + 1.0 } else { 1.0 };
        let largest = DIGITS.min((LARGEST / ((n + m) as f64 * detour)).floor());
        let per = largest / problem.range;
        Units {
            per: if per.is_finite() { per } else { 1.0 },
            forbidden: (largest * detour) as i64,
        }
    }

    fn cost(&self, problem: &Reduced, i: usize, j: usize) -> i64 {
        let cost = (problem.cost.entry(i, j) - problem.offset) * problem.cost.scale();
        if cost < f64::INFINITY {
            (cost * self.per).round() as i64
        } else {
            self.forbidden
        }
    }

    fn pair(&self, problem: &Reduced, row: u32, column: u32) -> Pair {
        let cost = self.cost(problem, row as usize, column as usize);
        Pair { row, column, cost }
    }

    fn real(&self, potential: i64) -> f64 {
        potential as f64 / self.per
    }

    /// What the simplex method minimizes in the units of the user.
    fn value(&self, problem: &Reduced, value: f64) -> f64 {
        problem.mass * (value / (self.per * WHOLE) + problem.least())
    }

    /// The plan of a solution and its cost.
    fn vertex(&self, transport: &Transport, simplex: &Simplex) -> Option<Vertex> {
        let problem = transport.reduced();
        let (mut entries, mut cost, mut forbidden) = (Vec::new(), 0.0, 0);
        for (i, j, flow) in simplex.flows() {
            let c = problem.cost.entry(i, j);
            if c < f64::INFINITY {
                let share = flow as f64 / WHOLE;
                cost += share * ((c - problem.offset) * problem.cost.scale());
                let (i, j) = (problem.rows[i], problem.cols[j]);
                let (i, j) = if problem.transposed { (j, i) } else { (i, j) };
                entries.push((i, j, problem.mass * share));
            } else {
                forbidden += flow;
            }
        }
        let places = (problem.n() + problem.m()) as i64;
        (forbidden <= ROUNDED * places).then(|| Vertex {
            shape: transport.shape(),
            entries,
            cost: problem.mass * (cost + problem.least()),
        })
    }
}

/// The masses in units of 2⁻⁶⁰ of their sum, at least one, with the same sum on both sides.
fn masses(problem: &Reduced) -> (Vec<i64>, Vec<i64>) {
    let whole = |mass: &f64| ((mass * WHOLE).round() as i64).max(1);
    let side = |masses: &[f64]| masses.iter().map(whole).collect::<Vec<i64>>();
    let (mut a, mut b) = (side(&problem.a), side(&problem.b));
    let excess = a.iter().sum::<i64>() - b.iter().sum::<i64>();
    let larger = if excess > 0 { &mut a } else { &mut b };
    if let Some(mass) = larger.iter_mut().max() {
        *mass -= excess.abs();
    }
    (a, b)
}
