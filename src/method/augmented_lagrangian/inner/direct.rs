//! K factored: sparse LDLᵀ, or dense with rook pivoting.
//!
//! Where K is singular because G has dependent rows, −10⁻⁸ max |K| is put on its lower right
//! block. [Refinement](super::refine) with K itself takes the effect back out as far as the
//! system has a solution.

use super::refine::Refinement;
use super::sparse_kkt::SparseKkt;
use super::{InnerSolver, Solution, System};
use crate::edge::SymView;
use crate::linear::{Breakdown, BunchKaufman, Inertia, for_each_lower};
use crate::oracle::{Counted, Curvature};
use crate::status::Failed;
use crate::step::Fault;

/// Largest n + m for which a sparse K is spread out.
const SPREAD: usize = 100;
/// Part of max |K| that regularizes dependent constraints.
const DUAL: f64 = 1e-8;
/// Relative residual that refinement aims at.
const ACCURACY: f64 = 1e-10;
/// Solves that refinement makes, as far as [`work`](Direct::work) foresees.
const SOLVES: f64 = 3.0;
/// Flops that an entry of a sparse K costs besides those of the factor, as measured with 10,000
/// cells of [`OptimalControl`](crate::problems::OptimalControl).
const HANDLING: f64 = 80.0;
/// Relative residual of a system that has a solution.
const SOLVED: f64 = 1e-6;

/// Direct solver.
#[derive(Debug, Default)]
pub(in super::super) struct Direct {
    dense: BunchKaufman,
    sparse: SparseKkt,
    is_sparse: bool,
    refinement: Refinement,
}

impl Direct {
    fn load_dense(
        &mut self,
        view: SymView<'_>,
        system: System<'_>,
        count: &mut u64,
    ) -> Result<Inertia, Breakdown> {
        let order = system.order();
        let dense = &mut self.dense;
        let mut factor = |dual: f64| {
            let mut largest = 0.0;
            *count += 1;
            dense.factor_with(order, &mut |out| {
                largest = spread(view, system, dual, out)?;
                Ok(())
            })?;
            Ok((dense.inertia(), largest))
        };
        let (inertia, largest) = factor(0.0)?;
        if inertia.zero > 0 && inertia.negative < order - system.n() {
            return Ok(factor(DUAL * largest)?.0);
        }
        Ok(inertia)
    }
}

impl Direct {
    /// Flops of one solve, to leading order; of a sparse K after the analysis, which is kept.
    pub(in super::super) fn work(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<f64, Fault> {
        let Curvature::Matrix(view) = oracle.inner.curvature() else {
            return Ok(f64::INFINITY);
        };
        if !is_spread(view, system) {
            let flops = self.sparse.flops(view, system).map_err(fault)?;
            let solves = SOLVES * 4.0 * self.sparse.entries() as f64;
            return Ok(handling(view, system) + flops + solves);
        }
        let order = system.order() as f64;
        let forming = match view {
            SymView::Gram(gram) => gram.design.gram_work(),
            _ => 0.0,
        };
        Ok(forming + order * order * (order / 3.0 + SOLVES * 2.0))
    }
}

impl Direct {
    /// As [`work`](Direct::work), of a sparse K what is needed whatever its factor, without an
    /// analysis.
    pub(in super::super) fn least_work(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<f64, Fault> {
        match oracle.inner.curvature() {
            Curvature::Matrix(view) if !is_spread(view, system) => Ok(handling(view, system)),
            _ => self.work(oracle, system),
        }
    }
}

/// What it takes to write, scale and sort the entries of a sparse K, in flops.
fn handling(view: SymView<'_>, system: System<'_>) -> f64 {
    let mut entries = system.at.jacobian.entries();
    for_each_lower(view, &mut |_, _, _| entries += 1);
    HANDLING * entries as f64
}

impl InnerSolver for Direct {
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<Option<Inertia>, Fault> {
        let Curvature::Matrix(view) = oracle.inner.curvature() else {
            return Err(Failed::Breakdown.into());
        };
        let report = &mut *oracle.report;
        self.is_sparse = !is_spread(view, system);
        let loaded = if self.is_sparse {
            let inertia = self.sparse.load(view, system, &mut report.factorizations);
            report.analyses = self.sparse.analyses();
            report.factor_entries = self.sparse.entries();
            inertia
        } else {
            let order = system.order() as u64;
            report.factor_entries = order * (order + 1) / 2;
            self.load_dense(view, system, &mut report.factorizations)
        };
        match loaded {
            Ok(inertia) => Ok(Some(inertia)),
            // A pivot that vanished is no answer: the next shift may give one.
            Err(Breakdown::Singular { .. }) => Ok(Some(Inertia::default())),
            Err(breakdown) => Err(fault(breakdown)),
        }
    }

    fn improve(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        target: f64,
    ) -> Result<bool, Fault> {
        let aim = ACCURACY * system.at.size();
        let Direct {
            dense,
            sparse,
            is_sparse,
            refinement,
        } = self;
        let mut solve = |v: &mut [f64]| match is_sparse {
            true => sparse.solve_in_place(v),
            false => dense.solve_in_place(v),
        };
        refinement.run(oracle, system, solution, aim, &mut solve)?;
        // Of a system without a solution the residual stays, and q means nothing.
        Ok(solution.size <= target.min(SOLVED * system.at.size()))
    }
}

/// Whether K is factored as a dense matrix.
fn is_spread(view: SymView<'_>, system: System<'_>) -> bool {
    let sparse = matches!(view, SymView::Sparse(..)) && system.at.jacobian.is_sparse();
    !sparse || system.order() <= SPREAD
}

fn fault(breakdown: Breakdown) -> Fault {
    match breakdown {
        Breakdown::NonFinite { .. } => Failed::NonFinite.into(),
        _ => Failed::Breakdown.into(),
    }
}

/// Writes the lower triangle of [[B, Gᵀ], [G, −`dual` I]], and returns its largest entry.
fn spread(
    view: SymView<'_>,
    system: System<'_>,
    dual: f64,
    out: &mut [f64],
) -> Result<f64, Breakdown> {
    let (n, order) = (system.n(), system.order());
    out.fill(0.0);
    for_each_lower(view, &mut |i, j, a| out[i + j * order] = a);
    for j in 0..n {
        out[j * (order + 1)] += system.shift;
        for (i, a) in system.at.jacobian.column(j) {
            out[n + i + j * order] = a;
        }
    }
    for j in n..order {
        out[j * (order + 1)] = -dual;
    }
    if let Some(k) = out.iter().position(|a| !a.is_finite()) {
        return Err(Breakdown::NonFinite {
            row: k % order,
            col: k / order,
        });
    }
    Ok(out.iter().fold(0.0, |m, a| m.max(a.abs())))
}
