//! Bounds on the value of the linear program min ⟨C, P⟩, and a plan that meets the upper one: a vertex from its
//! solver, or a rounded entropic plan without one.
//!
//! **Lower.** Any f gives a feasible pair by two c-transforms, g'_j = min_i C_ij − f_i and
//! f'_i = min_j C_ij − g'_j; then aᵀf' + bᵀg' ≤ OT(a, b).
//!
//! **Upper.** The cost of any plan. A vertex has it from the solver; else rounding to the polytope: rows and columns that carry too much are scaled down,
//!
//! ```text
//! P' = diag(min(1, a/r)) P,   P'' = P' diag(min(1, b/c')),
//! e = a − P''1,  d = b − P''ᵀ1,   P''' = P'' + e dᵀ/Σe .
//! ```
//!
//! ‖P''' − P‖₁ ≤ 2 (‖r − a‖₁ + ‖c − b‖₁), and ⟨C, P'''⟩ ≥ OT(a, b).
//!
//! Reference: J. Altschuler, J. Weed, P. Rigollet, "Near-linear time approximation algorithms for
//! optimal transport via Sinkhorn iteration" (2017), algorithm 2.

use super::bands::Bands;
use super::plan::Plan;
use super::potentials::scaled;
use super::problem::Reduced;
use crate::error::Error;
use crate::parallel::dot;
use faer::Mat;
use faer::sparse::{SparseRowMat, Triplet};

/// Bounds on min ⟨C, P⟩ over the plans between a and b, and a plan that meets the upper one.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// A lower bound, by a feasible pair of potentials.
    pub lower: f64,
    /// The cost of the plan; infinite if it would use a forbidden pair.
    pub upper: f64,
    plan: Feasible,
}

#[derive(Debug, Clone)]
enum Feasible {
    Rounded(Box<Rounded>),
    Vertex(Vertex),
}

/// An entropic plan rounded to the polytope.
#[derive(Debug, Clone)]
struct Rounded {
    plan: Plan,
    /// Factors of rows and columns, and what remains of them, in the problem as given.
    row_factor: Vec<f64>,
    column_factor: Vec<f64>,
    row_rest: Vec<f64>,
    column_rest: Vec<f64>,
}

/// A vertex of the polytope: at most n + m − 1 entries that are not zero.
#[derive(Debug, Clone)]
pub(super) struct Vertex {
    pub(super) shape: (usize, usize),
    /// Row, column and mass.
    pub(super) entries: Vec<(usize, usize, f64)>,
    /// ⟨C, P⟩.
    pub(super) cost: f64,
}

impl Certificate {
    /// The vertex is a plan, so a lower bound above its cost is so by rounding.
    pub(super) fn of_vertex(lower: f64, vertex: Vertex) -> Self {
        Certificate {
            lower: lower.min(vertex.cost),
            upper: vertex.cost,
            plan: Feasible::Vertex(vertex),
        }
    }

    /// `upper` − `lower`, by which the plan may miss the optimal cost at most.
    pub fn gap(&self) -> f64 {
        self.upper - self.lower
    }

    /// The plan in full, n x m: nonnegative, with row sums a and column sums b.
    pub fn to_dense(&self) -> Mat<f64> {
        let (n, m) = self.shape();
        let mut dense = Mat::zeros(n, m);
        self.each(|i, j, p| dense[(i, j)] = p);
        dense
    }

    /// The entries of the plan that are not zero: at most n + m − 1 of
    /// [`solve_to_gap`](crate::SinkhornNewton::solve_to_gap), about all of a rounded one.
    ///
    /// # Errors
    /// [`Error::Data`] if the matrix cannot be built.
    pub fn to_sparse(&self) -> Result<SparseRowMat<usize, f64>, Error> {
        let (n, m) = self.shape();
        let mut entries = Vec::new();
        self.each(|i, j, p| {
            if p != 0.0 {
                entries.push(Triplet::new(i, j, p));
            }
        });
        SparseRowMat::try_new_from_triplets(n, m, &entries)
            .map_err(|e| Error::Data(format!("the sparse plan cannot be built: {e:?}")))
    }

    fn shape(&self) -> (usize, usize) {
        match &self.plan {
            Feasible::Rounded(rounded) => (rounded.row_factor.len(), rounded.column_factor.len()),
            Feasible::Vertex(vertex) => vertex.shape,
        }
    }

    /// Calls `f` with row, column and mass of all entries that may be other than zero.
    fn each(&self, mut f: impl FnMut(usize, usize, f64)) {
        match &self.plan {
            Feasible::Rounded(rounded) => rounded.each(f),
            Feasible::Vertex(vertex) => vertex.entries.iter().for_each(|&(i, j, p)| f(i, j, p)),
        }
    }
}

impl Rounded {
    fn each(&self, mut f: impl FnMut(usize, usize, f64)) {
        let rest: f64 = self.row_rest.iter().sum();
        self.plan.each_row(|i, row| {
            let share = if rest > 0.0 {
                self.row_rest[i] / rest
            } else {
                0.0
            };
            for (j, p) in row.iter().enumerate() {
                let rounded = self.row_factor[i] * p * self.column_factor[j];
                f(i, j, rounded + share * self.column_rest[j]);
            }
        });
    }
}

impl Plan {
    /// Bounds the value of the linear program from both sides.
    ///
    /// Valid for any potentials, converged or not. Cost: two passes with an exp for each entry, and two
    /// without.
    ///
    /// # Errors
    /// [`Error::NotOffered`] for the plan of an unbalanced problem.
    pub fn certificate(&self) -> Result<Certificate, Error> {
        let problem = self.transport.reduced();
        problem.must_be_balanced()?;
        let (f, u) = scaled(&self.transport, self.eps, self.potentials());
        let mut bands = Bands::default();
        bands.resize(problem);
        let of_costs: Vec<f64> = f.iter().map(|f| f * self.eps).collect();
        let lower = lower(problem, &mut bands, &of_costs);
        let (m, stride) = (problem.m(), problem.stride());
        let (mut r, mut c) = (self.measured.r.clone(), vec![0.0; stride]);
        let left: Vec<f64> = factors(&problem.a, &r);
        let at = (&f[..], &u[..]);
        bands.marginals(problem, self.eps, at, Some(&left), None, (&mut r, &mut c));
        let mut right = factors(&problem.b, &c[..m]);
        right.resize(stride, 1.0);
        let mut inner = bands.marginals(
            problem,
            self.eps,
            at,
            Some(&left),
            Some(&right),
            (&mut r, &mut c),
        );
        right.truncate(m);
        let rest = |mass: &[f64], sum: &[f64]| -> Vec<f64> {
            let pairs = mass.iter().zip(sum);
            pairs.map(|(a, r)| (a - r).max(0.0)).collect()
        };
        let (e, d) = (rest(&problem.a, &r), rest(&problem.b, &c));
        let total: f64 = e.iter().sum();
        if total > 0.0 {
            inner += bands.bilinear(problem, &e, &d) / total;
        }
        let mass = problem.mass;
        let upper = mass * (inner + problem.least());
        let (n_full, m_full) = self.transport.shape();
        let spread = |part: &[f64], at: &[usize], size: usize, scale: f64| {
            let mut out = vec![0.0; size];
            for (v, &i) in part.iter().zip(at) {
                out[i] = v * scale;
            }
            out
        };
        let sizes = if problem.transposed {
            (m_full, n_full)
        } else {
            (n_full, m_full)
        };
        let mut rows = (
            spread(&left, &problem.rows, sizes.0, 1.0),
            spread(&e, &problem.rows, sizes.0, mass),
        );
        let mut columns = (
            spread(&right, &problem.cols, sizes.1, 1.0),
            spread(&d, &problem.cols, sizes.1, mass),
        );
        if problem.transposed {
            std::mem::swap(&mut rows, &mut columns);
        }
        Ok(Certificate {
            lower,
            upper,
            plan: Feasible::Rounded(Box::new(Rounded {
                plan: self.clone(),
                row_factor: rows.0,
                column_factor: columns.0,
                row_rest: rows.1,
                column_rest: columns.1,
            })),
        })
    }
}

/// min(1, a/r).
fn factors(mass: &[f64], sum: &[f64]) -> Vec<f64> {
    let pairs = mass.iter().zip(sum);
    pairs
        .map(|(a, r)| if r > a { a / r } else { 1.0 })
        .collect()
}

/// aᵀf' + bᵀg' for the pair made from f, in the units of the costs.
fn lower(problem: &Reduced, bands: &mut Bands, f: &[f64]) -> f64 {
    let mut g = vec![0.0; problem.stride()];
    bands.least_columns(problem, f, &mut g);
    let mut raised = vec![0.0; problem.n()];
    bands.least_rows(problem, &g, &mut raised);
    let value = dot(&problem.a, &raised) + dot(&problem.b, &g[..problem.m()]);
    problem.mass * (value + problem.least())
}
