//! The preconditioner diag(|B|) ⊕ G diag(|B|)⁻¹Gᵀ of the iterative solver.

use super::System;
use crate::edge::{Stored, SymView};
use crate::linear::{Breakdown, DenseCholesky, Factor, SparseCholesky, for_each_lower};
use crate::oracle::{Counted, Curvature, Oracle};
use crate::status::Failed;
use crate::step::Fault;
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};

/// Diagonal entries below this part of the largest are raised to it.
const LEAST: f64 = 1e-8;
/// Part of the largest diagonal entry of the Schur complement that is added to it where G has
/// dependent rows.
const DEPENDENT: f64 = 1e-2;
/// Largest m for which the Schur complement of sparse constraints is kept dense.
const SPREAD: usize = 100;

/// diag(|B|) and the Cholesky factor of the Schur complement.
#[derive(Debug, Default)]
pub(super) struct Preconditioner {
    /// Inverse of the diagonal of |B|.
    inverse: Vec<f64>,
    dense: DenseCholesky,
    sparse: SparseCholesky,
    is_sparse: bool,
    complement: Complement,
    dual: Vec<f64>,
}

impl Preconditioner {
    pub(super) fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<(), Fault> {
        self.read_diagonal(oracle, system)?;
        let (jacobian, inverse) = (&system.at.jacobian, &self.inverse);
        let m = jacobian.rows();
        if m == 0 {
            return Ok(());
        }
        self.is_sparse = jacobian.is_sparse() && m > SPREAD;
        let largest = self.complement.set_diagonal(system, inverse);
        let mut shift = 0.0;
        for _ in 0..3 {
            oracle.report.factorizations += 1;
            let factored = if self.is_sparse {
                self.complement.form(system, inverse);
                self.sparse.factor(self.complement.view(m), shift)
            } else {
                self.dense.factor_with(m, shift, &mut |mut out| {
                    out.fill(0.0);
                    for (j, d) in inverse.iter().enumerate() {
                        for (k, b) in jacobian.column(j) {
                            for (i, a) in jacobian.column(j).filter(|(i, _)| *i >= k) {
                                out[(i, k)] += a * (d * b);
                            }
                        }
                    }
                })
            };
            match factored {
                Ok(()) => return Ok(()),
                Err(Breakdown::NonFinite { .. }) => return Err(Failed::NonFinite.into()),
                // Dependent rows.
                Err(_) => {
                    shift = (100.0 * shift)
                        .max(DEPENDENT * largest)
                        .max(f64::MIN_POSITIVE)
                }
            }
        }
        Err(Failed::SubproblemFailed.into())
    }

    /// Flops of a factorization and of one product with P⁻¹ for the matrix taken over last, to
    /// leading order.
    pub(super) fn work(&self, system: System<'_>) -> [f64; 2] {
        let (jacobian, n) = (&system.at.jacobian, system.n() as f64);
        let m = jacobian.rows();
        if !(jacobian.is_sparse() && m > SPREAD) {
            let m = m as f64;
            return [m * m * (n + m / 3.0), n + 2.0 * m * m];
        }
        [self.sparse.flops(), n + 4.0 * self.sparse.entries() as f64]
    }

    /// The inverse of |B_ii|, kept away from zero.
    fn read_diagonal(&mut self, oracle: &mut Counted<'_>, system: System<'_>) -> Result<(), Fault> {
        let inverse = &mut self.inverse;
        inverse.clear();
        inverse.resize(system.n(), 0.0);
        match oracle.curvature() {
            Curvature::Matrix(SymView::Gram(gram)) => gram.diagonal(inverse),
            Curvature::Matrix(view) => for_each_lower(view, &mut |i, j, a| {
                if i == j {
                    inverse[i] = a;
                }
            }),
            Curvature::Products => {
                if !oracle.diagonal(inverse)? {
                    inverse.fill(1.0);
                }
            }
        }
        let sizes = inverse.iter().map(|b| (b + system.shift).abs());
        let largest = sizes.fold(0.0f64, f64::max);
        let least = if largest > 0.0 { LEAST * largest } else { 1.0 };
        for b in inverse {
            *b = 1.0 / (*b + system.shift).abs().max(least);
        }
        Ok(())
    }

    /// Overwrites `v` by P⁻¹ `v`.
    pub(super) fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Fault> {
        let (p, q) = v.split_at_mut(self.inverse.len());
        for (p, d) in p.iter_mut().zip(&self.inverse) {
            *p *= d;
        }
        self.solve_complement(q)
    }

    fn solve_complement(&mut self, q: &mut [f64]) -> Result<(), Fault> {
        let solved = match q {
            [] => Ok(()),
            q if self.is_sparse => self.sparse.solve_in_place(q),
            q => self.dense.solve_in_place(q),
        };
        solved.map_err(|_| Failed::SubproblemFailed.into())
    }

    /// p ← p − D⁻¹Gᵀ(GD⁻¹Gᵀ)⁻¹Gp, the projection onto the kernel of G in the metric D.
    pub(super) fn tangent(&mut self, system: System<'_>, p: &mut [f64]) -> Result<(), Fault> {
        let mut q = std::mem::take(&mut self.dual);
        q.resize(system.order() - system.n(), 0.0);
        system.at.jacobian.mul(p, &mut q);
        let solved = self.solve_complement(&mut q);
        for (j, (p, d)) in p.iter_mut().zip(&self.inverse).enumerate() {
            let pull: f64 = system.at.jacobian.column(j).map(|(i, a)| a * q[i]).sum();
            *p -= d * pull;
        }
        self.dual = q;
        solved
    }
}

/// G D⁻¹ Gᵀ, lower triangle in compressed columns.
#[derive(Debug, Default)]
struct Complement {
    /// G in compressed rows.
    row_ptr: Vec<usize>,
    col_idx: Vec<usize>,
    entries: Vec<f64>,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    /// A column as it is formed, and whether an entry belongs to it.
    column: Vec<f64>,
    member: Vec<bool>,
}

impl Complement {
    /// The largest diagonal entry.
    fn set_diagonal(&mut self, system: System<'_>, inverse: &[f64]) -> f64 {
        self.column.clear();
        self.column.resize(system.at.jacobian.rows(), 0.0);
        for (j, d) in inverse.iter().enumerate() {
            for (i, a) in system.at.jacobian.column(j) {
                self.column[i] += a * a * d;
            }
        }
        let largest = self.column.iter().fold(0.0f64, |m, a| m.max(*a));
        self.column.fill(0.0);
        largest
    }

    fn transpose(&mut self, system: System<'_>) {
        let (jacobian, m) = (&system.at.jacobian, system.at.jacobian.rows());
        self.row_ptr.clear();
        self.row_ptr.resize(m + 1, 0);
        for j in 0..system.n() {
            for (i, _) in jacobian.column(j) {
                self.row_ptr[i + 1] += 1;
            }
        }
        for i in 0..m {
            self.row_ptr[i + 1] += self.row_ptr[i];
        }
        self.col_idx.resize(self.row_ptr[m], 0);
        self.entries.resize(self.row_ptr[m], 0.0);
        for j in 0..system.n() {
            for (i, a) in jacobian.column(j) {
                self.col_idx[self.row_ptr[i]] = j;
                self.entries[self.row_ptr[i]] = a;
                self.row_ptr[i] += 1;
            }
        }
        self.row_ptr.copy_within(0..m, 1);
        self.row_ptr[0] = 0;
    }

    fn form(&mut self, system: System<'_>, inverse: &[f64]) {
        self.transpose(system);
        let m = system.at.jacobian.rows();
        self.member.clear();
        self.member.resize(m, false);
        self.col_ptr.clear();
        self.row_idx.clear();
        self.values.clear();
        self.col_ptr.push(0);
        for k in 0..m {
            let start = self.row_idx.len();
            for at in self.row_ptr[k]..self.row_ptr[k + 1] {
                let (j, b) = (self.col_idx[at], self.entries[at]);
                for (i, a) in system.at.jacobian.column(j).filter(|(i, _)| *i >= k) {
                    if !self.member[i] {
                        self.member[i] = true;
                        self.row_idx.push(i);
                    }
                    self.column[i] += a * (inverse[j] * b);
                }
            }
            self.row_idx[start..].sort_unstable();
            for &i in &self.row_idx[start..] {
                self.values.push(self.column[i]);
                self.column[i] = 0.0;
                self.member[i] = false;
            }
            self.col_ptr.push(self.row_idx.len());
        }
    }

    fn view(&self, m: usize) -> SymView<'_> {
        let symbolic =
            SymbolicSparseColMatRef::new_unsorted_checked(m, m, &self.col_ptr, None, &self.row_idx);
        SymView::Sparse(SparseColMatRef::new(symbolic, &self.values), Stored::Lower)
    }
}
