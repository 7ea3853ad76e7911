//! Products with a rectangular matrix J of m rows and n columns.
//!
//! [`mul`](RectView::mul) computes J v and [`mul_transpose`](RectView::mul_transpose)
//! computes Jᵀ u, both sequentially and in a fixed order, so equal inputs give
//! equal bits. Dense products go through faer; compressed rows are the
//! compressed columns of Jᵀ, so one gather and one scatter serve both.

use super::RectView;
use crate::error::Error;
use faer::linalg::matmul::matmul;
use faer::sparse::SparseColMatRef;
use faer::{Accum, ColMut, ColRef, MatRef, Par};

impl RectView<'_> {
    /// Number of rows m.
    pub fn nrows(&self) -> usize {
        match self {
            RectView::Dense(m) => m.nrows(),
            RectView::Columns(m) => m.nrows(),
            RectView::Rows(m) => m.nrows(),
            RectView::Indexed(m) => m.nrows(),
        }
    }

    /// Number of columns n. Zero if the rows differ in length, which
    /// [`check_shape`](RectView::check_shape) reports.
    pub fn ncols(&self) -> usize {
        match self {
            RectView::Dense(m) => m.ncols(),
            RectView::Columns(m) => m.ncols(),
            RectView::Rows(m) => m.ncols(),
            RectView::Indexed(m) => m.ncols().unwrap_or(0),
        }
    }

    /// Checks that the matrix is `rows` x `cols`.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] if the rows differ in length, [`Error::WrongShape`] if
    /// the shape is another one.
    pub fn check_shape(&self, rows: usize, cols: usize) -> Result<(), Error> {
        if let RectView::Indexed(m) = self
            && m.ncols().is_none()
        {
            return Err(Error::Data(format!(
                "the Jacobian's rows differ in length; expected {cols} entries in each"
            )));
        }
        if (self.nrows(), self.ncols()) == (rows, cols) {
            Ok(())
        } else {
            Err(Error::WrongShape {
                what: "Jacobian",
                expected_rows: rows,
                expected_cols: cols,
                rows: self.nrows(),
                cols: self.ncols(),
            })
        }
    }

    /// Writes J v to `out`, whose old content is not read.
    ///
    /// Cost: m n multiplications, or one per stored entry if sparse.
    ///
    /// # Panics
    ///
    /// If `v` has not n entries or `out` not m. Check the matrix with
    /// [`check_shape`](RectView::check_shape) first.
    pub fn mul(&self, v: &[f64], out: &mut [f64]) {
        let shape = (self.nrows(), self.ncols());
        assert_eq!((out.len(), v.len()), shape, "lengths of (J v, v)");
        match self {
            RectView::Dense(m) => dense(*m, v, out),
            RectView::Columns(m) => scatter(*m, v, out),
            RectView::Rows(m) => gather(m.transpose(), v, out),
            RectView::Indexed(m) => {
                out.fill(0.0);
                for (i, out) in out.iter_mut().enumerate() {
                    for (j, v) in v.iter().enumerate() {
                        *out += m.entry(i, j) * v;
                    }
                }
            }
        }
    }

    /// Writes Jᵀ u to `out`, whose old content is not read.
    ///
    /// Cost: m n multiplications, or one per stored entry if sparse.
    ///
    /// # Panics
    ///
    /// If `u` has not m entries or `out` not n. Check the matrix with
    /// [`check_shape`](RectView::check_shape) first.
    pub fn mul_transpose(&self, u: &[f64], out: &mut [f64]) {
        let shape = (self.nrows(), self.ncols());
        assert_eq!((u.len(), out.len()), shape, "lengths of (u, Jᵀ u)");
        match self {
            RectView::Dense(m) => dense(m.transpose(), u, out),
            RectView::Columns(m) => gather(*m, u, out),
            RectView::Rows(m) => scatter(m.transpose(), u, out),
            RectView::Indexed(m) => {
                out.fill(0.0);
                for (i, u) in u.iter().enumerate() {
                    for (j, out) in out.iter_mut().enumerate() {
                        *out += m.entry(i, j) * u;
                    }
                }
            }
        }
    }

    /// The entry in row `i` and column `j`; O(log m) or O(log n) if sparse.
    ///
    /// # Panics
    ///
    /// If `i` or `j` is out of range.
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        match self {
            RectView::Dense(m) => m[(i, j)],
            RectView::Columns(m) => m.get(i, j).copied().unwrap_or(0.0),
            RectView::Rows(m) => m.get(i, j).copied().unwrap_or(0.0),
            RectView::Indexed(m) => m.entry(i, j),
        }
    }
}

fn dense(m: MatRef<'_, f64>, v: &[f64], out: &mut [f64]) {
    let (v, out) = (ColRef::from_slice(v), ColMut::from_slice_mut(out));
    matmul(out, Accum::Replace, m, v, 1.0, Par::Seq);
}

/// `out` = M v: adds v_j times column j, for every j.
fn scatter(m: SparseColMatRef<'_, usize, f64>, v: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (j, v) in v.iter().enumerate() {
        for (&i, a) in m.row_idx_of_col_raw(j).iter().zip(m.val_of_col(j)) {
            out[i] += a * v;
        }
    }
}

/// `out` = Mᵀ u: the inner product of column j and u, for every j.
fn gather(m: SparseColMatRef<'_, usize, f64>, u: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (j, out) in out.iter_mut().enumerate() {
        for (&i, a) in m.row_idx_of_col_raw(j).iter().zip(m.val_of_col(j)) {
            *out += a * u[i];
        }
    }
}
