//! Reading symmetric matrices: products, checks and copies of one triangle.

use super::{Breakdown, axpy, check_length};
use crate::edge::{Stored, SymView};
use crate::error::Error;
use faer::sparse::SparseColMatRef;

/// Asymmetry that [`sym_check`] accepts, relative to the largest entry.
const SYMMETRY_TOLERANCE: f64 = 1e-8;

/// Extremes of the diagonal of a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DiagonalRange {
    /// min H_ii.
    pub min: f64,
    /// max |H_ii|.
    pub max_abs: f64,
}

/// Smallest entry and largest magnitude on the diagonal; entries that are not stored are zero.
///
/// # Errors
/// [`Breakdown`] for a matrix that is empty, not square or not finite. Every
/// stored entry of the triangle is looked at, O(n²) or O(nnz).
pub fn diagonal_range(view: SymView<'_>) -> Result<DiagonalRange, Breakdown> {
    let n = dimension(&view)?;
    let mut range = DiagonalRange {
        min: f64::INFINITY,
        max_abs: 0.0,
    };
    if let SymView::Gram(gram) = view {
        let mut diagonal = vec![0.0; n];
        return gram.diagonal_range(&mut diagonal);
    }
    let mut stored = 0;
    read_lower(view, |i, j, a| {
        if i == j {
            stored += 1;
            range.min = range.min.min(a);
            range.max_abs = range.max_abs.max(a.abs());
        }
    })?;
    if stored < n {
        range.min = range.min.min(0.0);
    }
    Ok(range)
}

/// `out` = H v for a symmetric matrix of any storage, in O(n²) or O(nnz), of a Gram matrix that of its
/// rows.
///
/// One triangle is read, once. The order of the sums depends on the storage
/// alone. NaN and infinity are carried through.
///
/// # Errors
/// [`Breakdown`] for a matrix that is not square or does not match the vectors.
/// An empty matrix times an empty vector is fine.
pub fn sym_mul(view: SymView<'_>, v: &[f64], out: &mut [f64]) -> Result<(), Breakdown> {
    let n = square(&view)?;
    check_length(n, v.len())?;
    check_length(n, out.len())?;
    if let SymView::Gram(gram) = view {
        gram.mul(0.0, v, out);
        return Ok(());
    }
    out.fill(0.0);
    if let SymView::Dense(m, Stored::Both | Stored::Lower) = view
        && m.row_stride() == 1
    {
        for j in 0..n {
            // Unit row stride was checked, so every column is a slice.
            let Some(column) = m.col(j).try_as_col_major() else {
                continue;
            };
            let below = &column.as_slice()[j + 1..];
            out[j] += column[j] * v[j] + super::dot(below, &v[j + 1..]);
            axpy(v[j], below, &mut out[j + 1..]);
        }
        return Ok(());
    }
    for_each_lower(view, &mut |i, j, a| {
        out[i] += a * v[j];
        if i != j {
            out[j] += a * v[i];
        }
    });
    Ok(())
}

/// Checks that every entry of the triangle that is read is finite.
///
/// # Errors
/// [`Breakdown::NonFinite`] with the position of the first one that is not;
/// other [`Breakdown`] for a matrix that is empty or not square.
pub fn finite_check(view: SymView<'_>) -> Result<(), Breakdown> {
    dimension(&view)?;
    read_lower(view, |_, _, _| {})
}

/// Checks that the two triangles of a matrix stored in full agree.
///
/// Accepts |H_ij − H_ji| ≤ 10⁻⁸ max |H|, which rounding and careful finite
/// differences meet and a wrong formula rarely does. Matrices of which one
/// triangle is meant always pass, as do sparse ones whose pattern is triangular.
/// Costs O(n²), sparse O(nnz log nnz). NaN is not asymmetry: see [`finite_check`].
///
/// # Errors
/// [`Error::Asymmetric`] with the worst pair, [`Error::WrongShape`].
pub fn sym_check(view: SymView<'_>) -> Result<(), Error> {
    let n = match view {
        SymView::Dense(m, _) => m.nrows(),
        SymView::Sparse(m, _) => m.nrows(),
        SymView::Indexed(m, _) => m.nrows(),
        SymView::Gram(m) => m.dimension(),
        SymView::RankOne { vector, .. } => vector.len(),
    };
    view.check_shape(n)?;
    let mut worst = Worst::default();
    match view {
        SymView::Dense(m, Stored::Both) => {
            for j in 0..n {
                for i in j..n {
                    worst.compare(i, j, m[(i, j)], m[(j, i)]);
                }
            }
        }
        SymView::Indexed(m, Stored::Both) => {
            for j in 0..n {
                for i in j..n {
                    worst.compare(i, j, m.entry(i, j), m.entry(j, i));
                }
            }
        }
        SymView::Sparse(m, Stored::Both) if !is_triangular(m) => {
            for j in 0..n {
                for (i, &a) in m.row_idx_of_col(j).zip(m.val_of_col(j)) {
                    let range = m.col_range(i);
                    let mirrored = match m.row_idx()[range.clone()].binary_search(&j) {
                        Ok(at) => m.val()[range][at],
                        Err(_) => 0.0,
                    };
                    if i >= j {
                        worst.compare(i, j, a, mirrored);
                    } else {
                        worst.compare(j, i, mirrored, a);
                    }
                }
            }
        }
        _ => {}
    }
    worst.verdict()
}

/// The number of rows of a square matrix with at least one.
pub(super) fn dimension(view: &SymView<'_>) -> Result<usize, Breakdown> {
    match square(view)? {
        0 => Err(Breakdown::Empty),
        n => Ok(n),
    }
}

/// Writes the lower triangle to column-major `out` of n² entries; what lies above keeps its value.
pub(crate) fn copy_lower(view: SymView<'_>, n: usize, out: &mut [f64]) -> Result<(), Breakdown> {
    if let SymView::Sparse(..) = view {
        out.fill(0.0);
    }
    read_lower(view, |i, j, a| out[i + j * n] = a)
}

/// Adds `shift` to the diagonal of column-major `matrix`.
pub(super) fn shift_diagonal(matrix: &mut [f64], n: usize, shift: f64) -> Result<(), Breakdown> {
    for (i, a) in matrix.iter_mut().step_by(n + 1).enumerate() {
        *a += shift;
        if !a.is_finite() {
            return Err(Breakdown::NonFinite { row: i, col: i });
        }
    }
    Ok(())
}

/// The triangle that stands for a sparse matrix: never [`Stored::Both`].
pub(super) fn sparse_triangle(m: SparseColMatRef<'_, usize, f64>, stored: Stored) -> Stored {
    if stored != Stored::Both {
        return stored;
    }
    match (has_entry(m, |i, j| i > j), has_entry(m, |i, j| i < j)) {
        (false, true) => Stored::Upper,
        _ => Stored::Lower,
    }
}

/// Visits every stored entry (i, j, H_ij), i >= j, and reports the first that is not finite.
fn read_lower(
    view: SymView<'_>,
    mut visit: impl FnMut(usize, usize, f64),
) -> Result<(), Breakdown> {
    let mut broken = None;
    for_each_lower(view, &mut |i, j, a| {
        if !a.is_finite() && broken.is_none() {
            broken = Some((i, j));
        }
        visit(i, j, a);
    });
    let Some((i, j)) = broken else { return Ok(()) };
    let upper = match view {
        SymView::Sparse(m, stored) => sparse_triangle(m, stored) == Stored::Upper,
        SymView::Dense(_, stored) | SymView::Indexed(_, stored) => stored == Stored::Upper,
        SymView::Gram(_) | SymView::RankOne { .. } => false,
    };
    let (row, col) = if upper { (j, i) } else { (i, j) };
    Err(Breakdown::NonFinite { row, col })
}

/// Visits every stored entry of one triangle as (i, j, H_ij) with i >= j.
pub(crate) fn for_each_lower(view: SymView<'_>, visit: &mut dyn FnMut(usize, usize, f64)) {
    match view {
        SymView::Dense(m, Stored::Upper) => {
            for j in 0..m.ncols() {
                for (i, &a) in m.col(j).iter().take(j + 1).enumerate() {
                    visit(j, i, a);
                }
            }
        }
        SymView::Dense(m, _) => {
            for j in 0..m.ncols() {
                for (i, &a) in m.col(j).iter().enumerate().skip(j) {
                    visit(i, j, a);
                }
            }
        }
        SymView::Sparse(m, stored) => {
            let upper = sparse_triangle(m, stored) == Stored::Upper;
            for j in 0..m.ncols() {
                for (i, &a) in m.row_idx_of_col(j).zip(m.val_of_col(j)) {
                    if upper && i <= j {
                        visit(j, i, a);
                    } else if !upper && i >= j {
                        visit(i, j, a);
                    }
                }
            }
        }
        SymView::Indexed(m, stored) => {
            for j in 0..m.nrows() {
                for i in j..m.nrows() {
                    let a = match stored {
                        Stored::Upper => m.entry(j, i),
                        _ => m.entry(i, j),
                    };
                    visit(i, j, a);
                }
            }
        }
        SymView::Gram(gram) => gram.formed(|m| for_each_lower(m, visit)),
        SymView::RankOne { weight, vector } => {
            for (j, v) in vector.iter().enumerate() {
                for (i, w) in vector.iter().enumerate().skip(j) {
                    visit(i, j, weight * w * v);
                }
            }
        }
    }
}

fn square(view: &SymView<'_>) -> Result<usize, Breakdown> {
    let (rows, cols) = match view {
        SymView::Dense(m, _) => (m.nrows(), m.ncols()),
        SymView::Sparse(m, _) => (m.nrows(), m.ncols()),
        SymView::Indexed(m, _) => {
            let rows = m.nrows();
            (rows, m.ncols().ok_or(Breakdown::Ragged { rows })?)
        }
        SymView::Gram(m) => (m.dimension(), m.dimension()),
        SymView::RankOne { vector, .. } => (vector.len(), vector.len()),
    };
    if rows == cols {
        Ok(rows)
    } else {
        Err(Breakdown::Shape { rows, cols })
    }
}

fn is_triangular(m: SparseColMatRef<'_, usize, f64>) -> bool {
    !has_entry(m, |i, j| i > j) || !has_entry(m, |i, j| i < j)
}

fn has_entry(m: SparseColMatRef<'_, usize, f64>, wanted: impl Fn(usize, usize) -> bool) -> bool {
    (0..m.ncols()).any(|j| m.row_idx_of_col(j).any(|i| wanted(i, j)))
}

/// The pair of mirrored entries that differ most, and the largest entry seen.
#[derive(Default)]
struct Worst {
    pair: (usize, usize),
    lower: f64,
    upper: f64,
    difference: f64,
    largest: f64,
}

impl Worst {
    fn compare(&mut self, row: usize, col: usize, lower: f64, upper: f64) {
        self.largest = self.largest.max(lower.abs()).max(upper.abs());
        let difference = (lower - upper).abs();
        if difference > self.difference {
            (self.pair, self.lower, self.upper) = ((row, col), lower, upper);
            self.difference = difference;
        }
    }

    fn verdict(&self) -> Result<(), Error> {
        if self.difference <= SYMMETRY_TOLERANCE * self.largest {
            return Ok(());
        }
        Err(Error::Asymmetric {
            row: self.pair.0,
            col: self.pair.1,
            lower: self.lower,
            upper: self.upper,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Entries;
    use faer::sparse::{SparseColMat, Triplet};
    use faer::{Mat, mat};

    struct Rows(Vec<Vec<f64>>);
    impl Entries for Rows {
        fn nrows(&self) -> usize {
            self.0.len()
        }
        fn ncols(&self) -> Option<usize> {
            let first = self.0.first().map_or(0, Vec::len);
            self.0.iter().all(|row| row.len() == first).then_some(first)
        }
        fn entry(&self, i: usize, j: usize) -> f64 {
            self.0[i][j]
        }
    }

    fn sparse(n: usize, entries: &[(usize, usize, f64)]) -> SparseColMat<usize, f64> {
        let triplets: Vec<_> = entries
            .iter()
            .map(|&(i, j, a)| Triplet::new(i, j, a))
            .collect();
        SparseColMat::try_new_from_triplets(n, n, &triplets).unwrap()
    }

    const V: [f64; 3] = [1.0, -2.0, 3.0];
    /// [[1, 2, 3], [2, 4, 5], [3, 5, 6]] times V, integers throughout.
    const PRODUCT: [f64; 3] = [6.0, 9.0, 11.0];

    #[test]
    fn products_agree_over_all_storages() {
        let junk = 99.0;
        let full = mat![[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]];
        let lower = Mat::from_fn(3, 3, |i, j| if i >= j { full[(i, j)] } else { junk });
        let upper = Mat::from_fn(3, 3, |i, j| if i <= j { full[(i, j)] } else { junk });
        let rows = |m: &Mat<f64>| {
            Rows(
                (0..3)
                    .map(|i| (0..3).map(|j| m[(i, j)]).collect())
                    .collect(),
            )
        };
        let entries = |keep: fn(usize, usize) -> bool| {
            let mut list = Vec::new();
            for i in 0..3 {
                for j in (0..3).filter(|&j| keep(i, j)) {
                    list.push((i, j, full[(i, j)]));
                }
            }
            sparse(3, &list)
        };
        let (all, low, up) = (
            entries(|_, _| true),
            entries(|i, j| i >= j),
            entries(|i, j| i <= j),
        );
        let (r_full, r_lower, r_upper) = (rows(&full), rows(&lower), rows(&upper));
        let views = [
            SymView::Dense(full.as_ref(), Stored::Both),
            SymView::Dense(lower.as_ref(), Stored::Lower),
            SymView::Dense(upper.as_ref(), Stored::Upper),
            SymView::Dense(upper.transpose(), Stored::Lower),
            SymView::Dense(lower.transpose(), Stored::Upper),
            SymView::Indexed(&r_full, Stored::Both),
            SymView::Indexed(&r_lower, Stored::Lower),
            SymView::Indexed(&r_upper, Stored::Upper),
            SymView::Sparse(all.as_ref(), Stored::Both),
            SymView::Sparse(all.as_ref(), Stored::Lower),
            SymView::Sparse(all.as_ref(), Stored::Upper),
            SymView::Sparse(low.as_ref(), Stored::Both),
            SymView::Sparse(low.as_ref(), Stored::Lower),
            SymView::Sparse(up.as_ref(), Stored::Both),
            SymView::Sparse(up.as_ref(), Stored::Upper),
        ];
        for (k, view) in views.into_iter().enumerate() {
            let mut out = [f64::NAN; 3];
            sym_mul(view, &V, &mut out).unwrap();
            assert_eq!(out, PRODUCT, "view {k}");
            let range = diagonal_range(view).unwrap();
            assert_eq!((range.min, range.max_abs), (1.0, 6.0), "view {k}");
            let mut copy = [junk; 9];
            copy_lower(view, 3, &mut copy).unwrap();
            assert_eq!(
                [copy[0], copy[1], copy[2], copy[4], copy[5], copy[8]],
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "view {k}"
            );
            assert!(sym_check(view).is_ok(), "view {k}");
        }
    }

    #[test]
    fn missing_diagonal_entries_are_zero() {
        let m = sparse(2, &[(0, 0, 3.0), (1, 0, 1.0)]);
        let range = diagonal_range(SymView::Sparse(m.as_ref(), Stored::Both)).unwrap();
        assert_eq!((range.min, range.max_abs), (0.0, 3.0));
    }

    #[test]
    fn the_worst_pair_is_named() {
        let m = mat![[1e4, 2.0, 3.0], [2.0 + 9e-5, 4.0, 5.0], [3.5, 5.25, 6.0]];
        match sym_check(SymView::Dense(m.as_ref(), Stored::Both)) {
            Err(Error::Asymmetric {
                row,
                col,
                lower,
                upper,
            }) => assert_eq!((row, col, lower, upper), (2, 0, 3.5, 3.0)),
            other => panic!("{other:?}"),
        }
        let noise = mat![[1e4, 2.0], [2.0 + 9e-5, 4.0]];
        assert!(sym_check(SymView::Dense(noise.as_ref(), Stored::Both)).is_ok());
        // One entry has no partner: above the diagonal only, in an otherwise full pattern.
        let m = sparse(3, &[(0, 0, 1.0), (1, 0, 1.0), (0, 1, 1.0), (0, 2, 7.0)]);
        match sym_check(SymView::Sparse(m.as_ref(), Stored::Both)) {
            Err(Error::Asymmetric {
                row,
                col,
                lower,
                upper,
            }) => assert_eq!((row, col, lower, upper), (2, 0, 0.0, 7.0)),
            other => panic!("{other:?}"),
        }
        let wide = Mat::<f64>::zeros(2, 3);
        assert!(matches!(
            sym_check(SymView::Dense(wide.as_ref(), Stored::Both)),
            Err(Error::WrongShape {
                rows: 2,
                cols: 3,
                ..
            })
        ));
    }

    #[test]
    fn broken_entries_are_found_where_they_are_stored() {
        let m = mat![[1.0, f64::INFINITY], [0.0, f64::NAN]];
        let at = |stored| finite_check(SymView::Dense(m.as_ref(), stored));
        let found = |row, col| Err(Breakdown::NonFinite { row, col });
        assert_eq!(at(Stored::Lower), found(1, 1));
        assert_eq!(at(Stored::Upper), found(0, 1));
        let ragged = Rows(vec![vec![1.0, 2.0], vec![1.0]]);
        assert_eq!(
            finite_check(SymView::Indexed(&ragged, Stored::Both)),
            Err(Breakdown::Ragged { rows: 2 })
        );
    }

    #[test]
    fn lengths_are_checked() {
        let m = mat![[1.0]];
        let view = SymView::Dense(m.as_ref(), Stored::Both);
        let wrong = Err(Breakdown::Length {
            expected: 1,
            found: 3,
        });
        assert_eq!(sym_mul(view, &V, &mut [0.0]), wrong);
        let empty = Mat::<f64>::zeros(0, 0);
        let view = SymView::Dense(empty.as_ref(), Stored::Both);
        assert_eq!(sym_mul(view, &[], &mut []), Ok(()));
    }
}
