//! Sparse normal equations of the shorter side of a rectangular matrix.
//!
//! For A of m rows and n columns, B = A if m ≥ n and Aᵀ otherwise; BᵀB + αI is formed in a
//! pattern found once and factored by [`SparseCholesky`], which is analyzed once. Squaring A
//! squares its condition, so a solution wants a step of refinement with A itself.
//!
//! Cost: half the sum of the squared lengths of B's rows to form BᵀB, and the factorization.

use super::{Breakdown, Factor, SparseCholesky};
use crate::edge::{RectView, Stored, SymView};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};

/// BᵀB + αI and B, sparse.
#[derive(Debug, Default)]
pub(crate) struct NormalEquations {
    rows: usize,
    cols: usize,
    /// Compressed columns of B.
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    /// Compressed rows of B: the columns, and where the values lie in `values`.
    row_ptr: Vec<usize>,
    col_idx: Vec<usize>,
    place: Vec<usize>,
    /// Whether the given matrix is compressed along the columns of B.
    is_along: bool,
    /// Lower triangle of BᵀB.
    gram_ptr: Vec<usize>,
    gram_idx: Vec<usize>,
    gram: Vec<f64>,
    sums: Vec<f64>,
    cursor: Vec<usize>,
    factor: SparseCholesky,
}

impl NormalEquations {
    /// Copies A, sparse, with row i multiplied by `weights[i]`; a new pattern is analyzed.
    ///
    /// # Errors
    /// [`Breakdown::NonFinite`], and [`Breakdown::NotSparse`] for a dense view.
    pub(crate) fn load(
        &mut self,
        view: RectView<'_>,
        weights: Option<&[f64]>,
    ) -> Result<(), Breakdown> {
        let (m, n) = (view.nrows(), view.ncols());
        let (given, by_columns) = match view {
            RectView::Columns(a) => (a, true),
            RectView::Rows(a) => (a.transpose(), false),
            _ => return Err(Breakdown::NotSparse),
        };
        let is_along = by_columns == (m >= n);
        let same = (m, n, is_along) == (self.rows, self.cols, self.is_along);
        if !same || !self.has_pattern_of(given) {
            (self.rows, self.cols, self.is_along) = (m, n, is_along);
            self.analyze(given);
        }
        let mut at = 0;
        for major in 0..given.ncols() {
            let indices = given.row_idx_of_col_raw(major);
            for (&minor, &value) in indices.iter().zip(given.val_of_col(major)) {
                let (row, col) = if by_columns {
                    (minor, major)
                } else {
                    (major, minor)
                };
                if !value.is_finite() {
                    return Err(Breakdown::NonFinite { row, col });
                }
                let place = if is_along { at } else { self.place[at] };
                self.values[place] = weights.map_or(value, |w| w[row] * value);
                at += 1;
            }
        }
        Ok(())
    }

    /// Whether m < n, so that B = Aᵀ.
    pub(crate) fn is_wide(&self) -> bool {
        self.rows < self.cols
    }

    /// Order of BᵀB.
    pub(crate) fn order(&self) -> usize {
        self.rows.min(self.cols)
    }

    /// Symbolic analyses so far.
    pub(crate) fn analyses(&self) -> u64 {
        self.factor.analyses()
    }

    /// Visits the entries as (column of A, value).
    pub(crate) fn for_each(&mut self, mut visit: impl FnMut(usize, &mut f64)) {
        let wide = self.is_wide();
        for (j, bounds) in self.col_ptr.windows(2).enumerate() {
            for at in bounds[0]..bounds[1] {
                let col = if wide { self.row_idx[at] } else { j };
                visit(col, &mut self.values[at]);
            }
        }
    }

    /// `out` = B v.
    pub(crate) fn multiply(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (bounds, v) in self.col_ptr.windows(2).zip(v) {
            for at in bounds[0]..bounds[1] {
                out[self.row_idx[at]] += self.values[at] * v;
            }
        }
    }

    /// `out` = Bᵀ u.
    pub(crate) fn multiply_transposed(&self, u: &[f64], out: &mut [f64]) {
        for (bounds, out) in self.col_ptr.windows(2).zip(out) {
            let entries = self.row_idx[bounds[0]..bounds[1]].iter();
            let values = &self.values[bounds[0]..bounds[1]];
            *out = entries.zip(values).map(|(&i, a)| a * u[i]).sum();
        }
    }

    /// Forms BᵀB from the values; returns its largest diagonal entry.
    pub(crate) fn form(&mut self) -> f64 {
        self.cursor
            .copy_from_slice(&self.row_ptr[..self.row_ptr.len() - 1]);
        let mut largest = 0.0_f64;
        for j in 0..self.order() {
            for at in self.col_ptr[j]..self.col_ptr[j + 1] {
                let (i, a) = (self.row_idx[at], self.values[at]);
                // Columns of a row come in order: the cursor stands at j.
                let from = self.cursor[i];
                self.cursor[i] += 1;
                for other in from..self.row_ptr[i + 1] {
                    self.sums[self.col_idx[other]] += a * self.values[self.place[other]];
                }
            }
            largest = largest.max(self.sums[j]);
            for at in self.gram_ptr[j]..self.gram_ptr[j + 1] {
                let sum = &mut self.sums[self.gram_idx[at]];
                self.gram[at] = *sum;
                *sum = 0.0;
            }
        }
        largest
    }

    /// Factors BᵀB + `shift`·I.
    pub(crate) fn factor(&mut self, shift: f64) -> Result<(), Breakdown> {
        let k = self.order();
        let pattern =
            SymbolicSparseColMatRef::new_checked(k, k, &self.gram_ptr, None, &self.gram_idx);
        let gram = SparseColMatRef::new(pattern, &self.gram);
        self.factor
            .factor(SymView::Sparse(gram, Stored::Lower), shift)
    }

    /// Overwrites `rhs` by (BᵀB + αI)⁻¹ `rhs`.
    pub(crate) fn solve_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown> {
        self.factor.solve_in_place(rhs)
    }

    fn has_pattern_of(&self, given: SparseColMatRef<'_, usize, f64>) -> bool {
        let (ptr, idx) = if self.is_along {
            (&self.col_ptr, &self.row_idx)
        } else {
            (&self.row_ptr, &self.col_idx)
        };
        ptr.len() == given.ncols() + 1
            && (0..given.ncols()).all(|j| given.row_idx_of_col_raw(j) == &idx[ptr[j]..ptr[j + 1]])
    }

    /// Takes over the pattern of a matrix compressed along the columns or the rows of B.
    fn analyze(&mut self, given: SparseColMatRef<'_, usize, f64>) {
        let mut ptr = vec![0];
        let mut idx = Vec::new();
        for major in 0..given.ncols() {
            idx.extend_from_slice(given.row_idx_of_col_raw(major));
            ptr.push(idx.len());
        }
        let k = self.order();
        let long = self.rows.max(self.cols);
        let minors = if self.is_along { long } else { k };
        let (other_ptr, other_idx, place) = transpose(&ptr, &idx, minors);
        if self.is_along {
            (self.col_ptr, self.row_idx) = (ptr, idx);
            (self.row_ptr, self.col_idx, self.place) = (other_ptr, other_idx, place);
        } else {
            (self.col_ptr, self.row_idx) = (other_ptr, other_idx);
            self.place = vec![0; place.len()];
            // Position in the rows of each entry of the columns, turned round.
            for (at, &from) in place.iter().enumerate() {
                self.place[from] = at;
            }
            (self.row_ptr, self.col_idx) = (ptr, idx);
        }
        self.values.clear();
        self.values.resize(self.row_idx.len(), 0.0);
        self.cursor.clear();
        self.cursor.resize(long, 0);
        self.sums.clear();
        self.sums.resize(k, 0.0);
        self.gram_ptr.clear();
        self.gram_ptr.push(0);
        self.gram_idx.clear();
        let mut seen = vec![usize::MAX; k];
        for j in 0..k {
            let start = self.gram_idx.len();
            seen[j] = j;
            self.gram_idx.push(j);
            for at in self.col_ptr[j]..self.col_ptr[j + 1] {
                let i = self.row_idx[at];
                for &c in &self.col_idx[self.row_ptr[i]..self.row_ptr[i + 1]] {
                    if c > j && seen[c] != j {
                        seen[c] = j;
                        self.gram_idx.push(c);
                    }
                }
            }
            self.gram_idx[start..].sort_unstable();
            self.gram_ptr.push(self.gram_idx.len());
        }
        self.gram.clear();
        self.gram.resize(self.gram_idx.len(), 0.0);
    }
}

/// Compressed the other way: pointers, indices, and where each entry was.
fn transpose(ptr: &[usize], idx: &[usize], minors: usize) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut other_ptr = vec![0; minors + 1];
    for &i in idx {
        other_ptr[i + 1] += 1;
    }
    for i in 0..minors {
        other_ptr[i + 1] += other_ptr[i];
    }
    let mut next = other_ptr.clone();
    let (mut other_idx, mut place) = (vec![0; idx.len()], vec![0; idx.len()]);
    for major in 0..ptr.len() - 1 {
        for at in ptr[major]..ptr[major + 1] {
            let to = next[idx[at]];
            next[idx[at]] += 1;
            other_idx[to] = major;
            place[to] = at;
        }
    }
    (other_ptr, other_idx, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::sparse::{SparseColMat, Triplet};

    #[test]
    fn both_storages_of_both_shapes_form_and_solve() {
        for (m, n) in [(7, 4), (4, 7), (5, 5)] {
            let entry = |i: usize, j: usize| ((3 * i + 5 * j) % 7) as f64 - 3.0;
            let stored = |i: usize, j: usize| !(i + 2 * j).is_multiple_of(3) || i == j;
            let mut triplets = Vec::new();
            for i in 0..m {
                for j in (0..n).filter(|&j| stored(i, j)) {
                    triplets.push(Triplet::new(i, j, entry(i, j)));
                }
            }
            let columns: SparseColMat<usize, f64> =
                SparseColMat::try_new_from_triplets(m, n, &triplets).unwrap();
            let rows = columns.to_row_major().unwrap();
            let views = [
                RectView::Columns(columns.as_ref()),
                RectView::Rows(rows.as_ref()),
            ];
            for view in views {
                let mut normal = NormalEquations::default();
                normal.load(view, None).unwrap();
                normal.load(view, None).unwrap();
                normal.form();
                normal.factor(0.5).unwrap();
                let k = m.min(n);
                let long = m.max(n);
                let rhs: Vec<f64> = (0..k).map(|i| 1.0 + i as f64).collect();
                let mut x = rhs.clone();
                normal.solve_in_place(&mut x).unwrap();
                let (mut bx, mut btbx) = (vec![0.0; long], vec![0.0; k]);
                normal.multiply(&x, &mut bx);
                normal.multiply_transposed(&bx, &mut btbx);
                for i in 0..k {
                    assert!((btbx[i] + 0.5 * x[i] - rhs[i]).abs() < 1e-12, "{m} x {n}");
                }
                let exact: Vec<f64> = (0..long)
                    .map(|b| {
                        let at = |s: usize| if m >= n { (b, s) } else { (s, b) };
                        let terms = x.iter().enumerate().filter(|(s, _)| {
                            let (i, j) = at(*s);
                            stored(i, j)
                        });
                        terms.map(|(s, x)| entry(at(s).0, at(s).1) * x).sum()
                    })
                    .collect();
                for (a, b) in bx.iter().zip(&exact) {
                    assert!((a - b).abs() < 1e-12);
                }
                assert_eq!(normal.analyses(), 1);
            }
        }
    }
}
