//! The pattern of a sparse symmetric matrix as the factorizations keep it.
//!
//! One triangle with every diagonal entry, whether stored or not, so that any
//! multiple of the identity can be added, and a map from the given values.

use super::Breakdown;
use super::view::sparse_triangle;
use crate::edge::Stored;
use faer::Side;
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};

/// Marks an own entry that the given matrix does not store.
const ABSENT: usize = usize::MAX;

/// The pattern of one triangle with a full diagonal, and the given pattern it came from.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    given_stored: Option<Stored>,
    given_col_ptr: Vec<usize>,
    given_col_nnz: Option<Vec<usize>>,
    given_row_idx: Vec<usize>,
    is_upper: bool,
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    /// Position of each own entry in the given values, or [`ABSENT`].
    source: Vec<usize>,
    /// Position of each diagonal entry in the own values.
    diagonal: Vec<usize>,
}

impl Pattern {
    /// Whether the given matrix has the pattern that was set; O(nnz).
    pub(super) fn is_of(&self, matrix: SparseColMatRef<'_, usize, f64>, stored: Stored) -> bool {
        let given = matrix.symbolic();
        self.given_stored == Some(stored)
            && self.given_col_ptr == given.col_ptr()
            && self.given_col_nnz.as_deref() == given.col_nnz()
            && self.given_row_idx == given.row_idx()
    }

    pub(super) fn set(&mut self, matrix: SparseColMatRef<'_, usize, f64>, stored: Stored) {
        let given = matrix.symbolic();
        self.given_stored = Some(stored);
        self.given_col_ptr.clear();
        self.given_col_ptr.extend_from_slice(given.col_ptr());
        self.given_col_nnz = given.col_nnz().map(<[usize]>::to_vec);
        self.given_row_idx.clear();
        self.given_row_idx.extend_from_slice(given.row_idx());
        self.is_upper = sparse_triangle(matrix, stored) == Stored::Upper;
        for list in [
            &mut self.col_ptr,
            &mut self.row_idx,
            &mut self.source,
            &mut self.diagonal,
        ] {
            list.clear();
        }
        self.col_ptr.push(0);
        for j in 0..given.ncols() {
            let start = self.row_idx.len();
            let entries = given.col_range(j).map(|at| (given.row_idx()[at], at));
            let triangle = entries.filter(|&(i, _)| if self.is_upper { i <= j } else { i >= j });
            for (i, at) in triangle {
                self.row_idx.push(i);
                self.source.push(at);
            }
            let diagonal = match self.row_idx[start..].iter().position(|&i| i == j) {
                Some(k) => start + k,
                None => {
                    // The diagonal is the last of an upper column and the first of a lower one.
                    let at = if self.is_upper {
                        self.row_idx.len()
                    } else {
                        start
                    };
                    self.row_idx.insert(at, j);
                    self.source.insert(at, ABSENT);
                    at
                }
            };
            self.diagonal.push(diagonal);
            self.col_ptr.push(self.row_idx.len());
        }
    }

    /// Copies the given values to the own ones and checks that they are finite.
    pub(super) fn gather(&self, given: &[f64], own: &mut [f64]) -> Result<(), Breakdown> {
        for (k, (own, &at)) in own.iter_mut().zip(&self.source).enumerate() {
            *own = if at == ABSENT { 0.0 } else { given[at] };
            if !own.is_finite() {
                let col = self.col_ptr.partition_point(|&p| p <= k) - 1;
                let row = self.row_idx[k];
                return Err(Breakdown::NonFinite { row, col });
            }
        }
        Ok(())
    }

    /// Visits the own entries (i, j, value) column by column.
    pub(super) fn for_each(&self, own: &[f64], mut visit: impl FnMut(usize, usize, f64)) {
        for (j, bounds) in self.col_ptr.windows(2).enumerate() {
            let values = own.get(bounds[0]..bounds[1]).unwrap_or(&[]);
            for (&i, &a) in self.row_idx[bounds[0]..bounds[1]].iter().zip(values) {
                visit(i, j, a);
            }
        }
    }

    /// Number of own entries.
    pub(super) fn len(&self) -> usize {
        self.row_idx.len()
    }

    /// Position of each diagonal entry in the own values.
    pub(super) fn diagonal(&self) -> &[usize] {
        &self.diagonal
    }

    pub(super) fn symbolic(&self) -> SymbolicSparseColMatRef<'_, usize> {
        let n = self.diagonal.len();
        SymbolicSparseColMatRef::new_unsorted_checked(n, n, &self.col_ptr, None, &self.row_idx)
    }

    pub(super) fn side(&self) -> Side {
        if self.is_upper {
            Side::Upper
        } else {
            Side::Lower
        }
    }
}
