//! The sparse KKT matrix, made quasi-definite and factored as LDLᵀ.
//!
//! LDLᵀ without pivoting exists for every order of elimination if the diagonal blocks are
//! definite. K is brought to rows of largest entry 1 by a diagonal D from both sides, and ±10⁻¹⁰
//! is added to its diagonal: K̂ = DKD + 10⁻¹⁰ diag(I, −I), whose inertia is (n, m, 0) if B is
//! positive definite on the kernel of G by more than that. Refinement is the caller's.

use super::System;
use crate::edge::{Stored, SymView};
use crate::linear::{Breakdown, Factor, Inertia, SparseCholesky, for_each_lower};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};

/// Added to the diagonal of the scaled matrix.
const REGULARIZATION: f64 = 1e-10;
/// Sweeps of the scaling; each brings the rows to the square root of their distance from 1.
const SWEEPS: usize = 2;

/// Lower triangle of K, scaled, with its factor.
#[derive(Debug)]
pub(super) struct SparseKkt {
    factor: SparseCholesky,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    /// Next free place of each column.
    next: Vec<usize>,
    /// The diagonal of D.
    scale: Vec<f64>,
    largest: Vec<f64>,
    shifts: Vec<f64>,
}

impl Default for SparseKkt {
    fn default() -> Self {
        SparseKkt {
            factor: SparseCholesky::ldlt(),
            col_ptr: Vec::new(),
            row_idx: Vec::new(),
            values: Vec::new(),
            next: Vec::new(),
            scale: Vec::new(),
            largest: Vec::new(),
            shifts: Vec::new(),
        }
    }
}

impl SparseKkt {
    pub(super) fn analyses(&self) -> u64 {
        self.factor.analyses()
    }

    /// Entries of L.
    pub(super) fn entries(&self) -> u64 {
        self.factor.entries()
    }

    /// Flops of a factorization, after the analysis alone.
    pub(super) fn flops(
        &mut self,
        view: SymView<'_>,
        system: System<'_>,
    ) -> Result<f64, Breakdown> {
        self.assemble(view, system);
        let lower = lower(system.order(), &self.col_ptr, &self.row_idx, &self.values);
        self.factor.prepare(lower)?;
        Ok(self.factor.flops())
    }

    pub(super) fn load(
        &mut self,
        view: SymView<'_>,
        system: System<'_>,
        count: &mut u64,
    ) -> Result<Inertia, Breakdown> {
        let (n, order) = (system.n(), system.order());
        self.assemble(view, system);
        self.equilibrate(order);
        self.shifts.clear();
        let primal = |d: &f64| system.shift * d * d + REGULARIZATION;
        self.shifts.extend(self.scale[..n].iter().map(primal));
        self.shifts.resize(order, -REGULARIZATION);
        *count += 1;
        let lower = lower(order, &self.col_ptr, &self.row_idx, &self.values);
        self.factor.factor_with_diagonal(lower, &self.shifts)?;
        Ok(self.factor.inertia())
    }

    /// Overwrites `v` by D K̂⁻¹ D `v`.
    pub(super) fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown> {
        for (v, d) in v.iter_mut().zip(&self.scale) {
            *v *= d;
        }
        self.factor.solve_in_place(v)?;
        for (v, d) in v.iter_mut().zip(&self.scale) {
            *v *= d;
        }
        Ok(())
    }

    /// Writes the lower triangle of [[H, Gᵀ], [G, 0]] column by column.
    fn assemble(&mut self, view: SymView<'_>, system: System<'_>) {
        let (n, order) = (system.n(), system.order());
        self.next.clear();
        self.next.resize(order + 1, 0);
        for_each_lower(view, &mut |_, j, _| self.next[j + 1] += 1);
        for j in 0..n {
            self.next[j + 1] += system.at.jacobian.column(j).count();
        }
        for j in 0..order {
            self.next[j + 1] += self.next[j];
        }
        self.col_ptr.clone_from(&self.next);
        self.row_idx.resize(self.next[order], 0);
        self.values.resize(self.next[order], 0.0);
        let (next, row_idx, values) = (&mut self.next, &mut self.row_idx, &mut self.values);
        let mut push = |i: usize, j: usize, a: f64| {
            row_idx[next[j]] = i;
            values[next[j]] = a;
            next[j] += 1;
        };
        // Rows come in increasing order within each column, whichever triangle is stored.
        for_each_lower(view, &mut push);
        for j in 0..n {
            for (i, a) in system.at.jacobian.column(j) {
                push(n + i, j, a);
            }
        }
    }

    /// Finds D, and scales the values by it.
    fn equilibrate(&mut self, order: usize) {
        self.scale.clear();
        self.scale.resize(order, 1.0);
        for _ in 0..SWEEPS {
            self.largest.clear();
            self.largest.resize(order, 0.0);
            for j in 0..order {
                for k in self.col_ptr[j]..self.col_ptr[j + 1] {
                    let (i, a) = (self.row_idx[k], self.values[k].abs());
                    self.largest[i] = self.largest[i].max(a);
                    self.largest[j] = self.largest[j].max(a);
                }
            }
            for a in &mut self.largest {
                let size = a.sqrt();
                *a = if size > 0.0 && size.is_finite() {
                    1.0 / size
                } else {
                    1.0
                };
            }
            for j in 0..order {
                self.scale[j] *= self.largest[j];
                for k in self.col_ptr[j]..self.col_ptr[j + 1] {
                    self.values[k] *= self.largest[j] * self.largest[self.row_idx[k]];
                }
            }
        }
    }
}

/// The lower triangle of a symmetric matrix in compressed columns.
fn lower<'a>(
    order: usize,
    col_ptr: &'a [usize],
    row_idx: &'a [usize],
    values: &'a [f64],
) -> SymView<'a> {
    let symbolic =
        SymbolicSparseColMatRef::new_unsorted_checked(order, order, col_ptr, None, row_idx);
    SymView::Sparse(SparseColMatRef::new(symbolic, values), Stored::Lower)
}
