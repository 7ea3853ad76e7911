//! Reads the user's matrices into one dense layout.

use crate::edge::{RectView, Stored, SymView};
use faer::sparse::SparseColMatRef;

/// A dense matrix by columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    pub rows: usize,
    pub cols: usize,
    values: Vec<f64>,
}

impl Columns {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Columns {
            rows,
            cols,
            values: vec![0.0; rows * cols],
        }
    }

    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i + j * self.rows]
    }

    pub fn col(&self, j: usize) -> &[f64] {
        &self.values[j * self.rows..(j + 1) * self.rows]
    }

    pub fn col_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.values[j * self.rows..(j + 1) * self.rows]
    }

    fn add(&mut self, i: usize, j: usize, value: f64) {
        self.values[i + j * self.rows] += value;
    }

    fn fill(&mut self, entry: impl Fn(usize, usize) -> f64) {
        let rows = self.rows;
        for (k, v) in self.values.iter_mut().enumerate() {
            *v = entry(k % rows, k / rows);
        }
    }

    /// Copies the stored triangle onto the other one.
    fn mirror(&mut self, stored: Stored) {
        let n = self.rows;
        for j in 0..n {
            for i in j + 1..n {
                match stored {
                    Stored::Both => {}
                    Stored::Lower => self.values[j + i * n] = self.values[i + j * n],
                    Stored::Upper => self.values[i + j * n] = self.values[j + i * n],
                }
            }
        }
    }
}

/// A Hessian as the solvers understand it: both triangles from the one that counts.
///
/// The shape must have been checked.
pub(super) fn symmetric(view: SymView<'_>, n: usize) -> Columns {
    let mut dense = Columns::zeros(n, n);
    let stored = match view {
        SymView::Dense(m, stored) => {
            dense.fill(|i, j| m[(i, j)]);
            stored
        }
        SymView::Indexed(m, stored) => {
            dense.fill(|i, j| m.entry(i, j));
            stored
        }
        SymView::Sparse(m, stored) => {
            scatter(m, &mut dense);
            match stored {
                Stored::Both => triangle(m),
                one => one,
            }
        }
        SymView::Gram(gram) => {
            gram.formed(|lower| dense = symmetric(lower, n));
            Stored::Lower
        }
        SymView::RankOne { weight, vector } => {
            dense.fill(|i, j| weight * vector[i] * vector[j]);
            Stored::Both
        }
    };
    dense.mirror(stored);
    dense
}

/// A Jacobian. The shape must have been checked.
pub(super) fn rectangular(view: RectView<'_>, rows: usize, cols: usize) -> Columns {
    let mut dense = Columns::zeros(rows, cols);
    match view {
        RectView::Dense(m) => dense.fill(|i, j| m[(i, j)]),
        RectView::Indexed(m) => dense.fill(|i, j| m.entry(i, j)),
        RectView::Columns(m) => scatter(m, &mut dense),
        RectView::Rows(m) => {
            for i in 0..rows {
                for (j, v) in m.col_idx_of_row(i).zip(m.val_of_row(i)) {
                    dense.add(i, j, *v);
                }
            }
        }
    }
    dense
}

/// Rows and columns; the columns are unknown where rows differ in length.
pub(super) fn shape(view: &RectView<'_>) -> (usize, Option<usize>) {
    match view {
        RectView::Dense(m) => (m.nrows(), Some(m.ncols())),
        RectView::Columns(m) => (m.nrows(), Some(m.ncols())),
        RectView::Rows(m) => (m.nrows(), Some(m.ncols())),
        RectView::Indexed(m) => (m.nrows(), m.ncols()),
    }
}

fn scatter(m: SparseColMatRef<'_, usize, f64>, dense: &mut Columns) {
    for j in 0..m.ncols() {
        for (i, v) in m.row_idx_of_col(j).zip(m.val_of_col(j)) {
            dense.add(i, j, *v);
        }
    }
}

/// A triangular pattern is taken as that triangle.
fn triangle(m: SparseColMatRef<'_, usize, f64>) -> Stored {
    let any = |test: fn(usize, usize) -> bool| {
        (0..m.ncols()).any(|j| m.row_idx_of_col(j).any(|i| test(i, j)))
    };
    match (any(|i, j| i > j), any(|i, j| i < j)) {
        (true, false) => Stored::Lower,
        (false, true) => Stored::Upper,
        _ => Stored::Both,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::sparse::{SparseColMat, SparseRowMat, Triplet};

    #[test]
    fn sparse_triangle_is_mirrored_and_full_pattern_is_not() {
        let lower = [Triplet::new(0, 0, 1.0), Triplet::new(1, 0, 2.0)];
        let m = SparseColMat::<usize, f64>::try_new_from_triplets(2, 2, &lower).unwrap();
        let d = symmetric(SymView::Sparse(m.as_ref(), Stored::Both), 2);
        assert_eq!((d.get(1, 0), d.get(0, 1)), (2.0, 2.0));
        let full = [Triplet::new(0, 1, 3.0), Triplet::new(1, 0, 2.0)];
        let m = SparseColMat::<usize, f64>::try_new_from_triplets(2, 2, &full).unwrap();
        let d = symmetric(SymView::Sparse(m.as_ref(), Stored::Both), 2);
        assert_eq!((d.get(1, 0), d.get(0, 1)), (2.0, 3.0));
        let d = symmetric(SymView::Sparse(m.as_ref(), Stored::Upper), 2);
        assert_eq!((d.get(1, 0), d.get(0, 1)), (3.0, 3.0));
    }

    #[test]
    fn sparse_rows_and_columns_read_alike() {
        let t = [Triplet::new(0, 2, 1.5), Triplet::new(1, 0, -2.0)];
        let cols = SparseColMat::<usize, f64>::try_new_from_triplets(2, 3, &t).unwrap();
        let rows = SparseRowMat::<usize, f64>::try_new_from_triplets(2, 3, &t).unwrap();
        let a = rectangular(RectView::Columns(cols.as_ref()), 2, 3);
        let b = rectangular(RectView::Rows(rows.as_ref()), 2, 3);
        assert_eq!(a, b);
        assert_eq!((a.get(0, 2), a.get(1, 0), a.get(1, 2)), (1.5, -2.0, 0.0));
    }
}
