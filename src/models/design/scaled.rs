//! Rows of one value and a few others: a pattern and its scale.
//!
//! Rows of zeros and ones, or of small counts, that were divided by their lengths have mostly one
//! value each. With it taken out,
//!
//! A = diag(s) B + R,  B of zeros and ones, R the entries of other values,
//!
//! where nothing but the column is stored for an entry of B. Products with as many columns as this is made for
//! wait for the memory, and read half of it or less.

use super::rows::{ByColumns, Column, Columns, SparseRows};
use super::{Csr, Rows};
use std::sync::OnceLock;

/// Fewest columns: Gram matrices of more exceed the memory that `GramSolve::Auto` spends on one.
const FEATURES: usize = 8192;
/// Rows that are looked at first.
const SAMPLE: usize = 256;
/// Entries of a row by which its value is found.
const VOTERS: usize = 16;
/// Part of the entries that must have the value of their row.
const PART: f64 = 0.6;

/// The terms of A.
#[derive(Debug)]
pub(super) struct Scaled {
    /// B.
    pattern: SparseRows,
    /// s.
    scale: Vec<f64>,
    /// R.
    rest: SparseRows,
    /// A by rows and by columns, if a Gram matrix is formed after all.
    plain: OnceLock<(SparseRows, ByColumns)>,
}

/// The value that more than half of [`VOTERS`] entries have, if there is one, and otherwise that of
/// one of them (majority vote of Boyer and Moore).
fn majority(values: &[f64]) -> f64 {
    let (mut candidate, mut votes) = (0.0, 0usize);
    for &v in values.iter().step_by(values.len() / VOTERS + 1) {
        if v == candidate {
            votes += 1;
        } else if votes == 0 {
            (candidate, votes) = (v, 1);
        } else {
            votes -= 1;
        }
    }
    candidate
}

impl Scaled {
    /// Of the `chosen` rows, or of all, if most entries have the value of their row.
    ///
    /// Cost: one pass over 256 rows; if it succeeds, two over the entries.
    pub(super) fn find(
        features: usize,
        (start, col, value): Csr<'_>,
        chosen: Option<&[u32]>,
    ) -> Option<Self> {
        let n = chosen.map_or(start.len() - 1, <[u32]>::len);
        if features <= FEATURES || n == 0 {
            return None;
        }
        let range = |k: usize| {
            let i = chosen.map_or(k, |chosen| chosen[k] as usize);
            start[i]..start[i + 1]
        };
        let (mut all, mut same) = (0, 0);
        for k in (0..n).step_by(n.div_ceil(SAMPLE)) {
            let values = &value[range(k)];
            let scale = majority(values);
            all += values.len();
            same += values.iter().filter(|v| **v == scale).count();
        }
        // Where all values are 1, none are stored as it is.
        if same == 0 || (same as f64) < PART * all as f64 || value.iter().all(|v| *v == 1.0) {
            return None;
        }
        let scale: Vec<f64> = (0..n).map(|k| majority(&value[range(k)])).collect();
        let rows = || (0..n).map(|k| (&col[range(k)], &value[range(k)]));
        let short = features <= 1 << 16;
        let (pattern, rest) = if short {
            split(rows(), &scale, |j| j as u16, Columns::Short)
        } else {
            split(rows(), &scale, |j| j, Columns::Long)
        };
        Some(Scaled::of(pattern, scale, rest))
    }

    fn of(pattern: SparseRows, scale: Vec<f64>, rest: SparseRows) -> Self {
        let plain = OnceLock::new();
        Scaled {
            pattern,
            scale,
            rest,
            plain,
        }
    }

    /// Some rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        Scaled::of(
            self.pattern.select(rows),
            rows.iter().map(|&i| self.scale[i]).collect(),
            self.rest.select(rows),
        )
    }

    pub(super) fn nrows(&self) -> usize {
        self.scale.len()
    }

    pub(super) fn stored(&self) -> usize {
        self.pattern.stored() + self.rest.stored()
    }

    /// Σ (row length + 1)².
    pub(super) fn squared_lengths(&self) -> f64 {
        let length = |i| self.pattern.length(i) + self.rest.length(i) + 1;
        (0..self.nrows()).map(|i| (length(i) as f64).powi(2)).sum()
    }

    /// Calls `visit(column, value)` for the entries of row i, those of B first.
    pub(super) fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        self.pattern.each(i, |j, _| visit(j, self.scale[i]));
        self.rest.each(i, visit);
    }

    /// `out`ᵢ = offset + aᵢᵀw for a range of rows.
    pub(super) fn mul(&self, rows: Rows, offset: f64, w: &[f64], out: &mut [f64]) {
        self.pattern.mul(rows.clone(), 0.0, w, out);
        for (out, s) in out.iter_mut().zip(&self.scale[rows.clone()]) {
            *out = offset + s * *out;
        }
        self.rest.add_mul(rows, w, out);
    }

    /// `out` += Σᵢ rᵢ aᵢ over a range of rows, to whose first row r₀ belongs.
    pub(super) fn add_transpose(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        let scale = &self.scale[rows.clone()];
        let scaled = r.iter().zip(scale).map(|(r, s)| r * s);
        self.pattern.add_scaled(rows.clone(), scaled, out);
        self.rest.add_transpose(rows, r, out);
    }

    /// `out`ᵢ = Σⱼ wⱼ aᵢⱼ² for a range of rows.
    pub(super) fn squares(&self, rows: Rows, w: &[f64], out: &mut [f64]) {
        for (out, i) in out.iter_mut().zip(rows) {
            *out = 0.0;
            self.each(i, |j, v| *out += w[j] * v * v);
        }
    }

    /// `out`ⱼ += Σᵢ rᵢ aᵢⱼ² over a range of rows, to whose first row r₀ belongs.
    pub(super) fn add_squares(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        let scale = &self.scale[rows.clone()];
        let scaled = r.iter().zip(scale).map(|(r, s)| r * s * s);
        self.pattern.add_scaled(rows.clone(), scaled, out);
        self.rest.add_squares(rows, r, out);
    }

    /// A with the columns of each row in ascending order, and its columns.
    pub(super) fn plain(&self, features: usize) -> (&SparseRows, &ByColumns) {
        let (rows, columns) = self.plain.get_or_init(|| {
            let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
            let mut row = Vec::new();
            for i in 0..self.nrows() {
                row.clear();
                self.each(i, |j, v| row.push((j as u32, v)));
                row.sort_unstable_by_key(|(j, _)| *j);
                col.extend(row.iter().map(|(j, _)| j));
                value.extend(row.iter().map(|(_, v)| v));
                start.push(col.len());
            }
            let rows = SparseRows::new(features, (&start, &col, &value), None);
            let columns = rows.by_columns(features);
            (rows, columns)
        });
        (rows, columns)
    }
}

/// B and R.
fn split<'a, C: Column + Default>(
    rows: impl ExactSizeIterator<Item = (&'a [u32], &'a [f64])> + Clone,
    scale: &[f64],
    narrow: impl Fn(u32) -> C,
    wrap: impl Fn(Vec<C>) -> Columns,
) -> (SparseRows, SparseRows) {
    let total = rows.clone().map(|(col, _)| col.len()).sum();
    // Pages that are not written to are not made.
    let mut pattern = vec![C::default(); total];
    let mut rest = vec![C::default(); total];
    let mut values = vec![0.0; total];
    let (mut p, mut q) = (0, 0);
    let (mut pattern_ends, mut rest_ends) = (vec![0], vec![0]);
    for ((col, value), s) in rows.zip(scale) {
        for (&j, v) in col.iter().zip(value) {
            // Without a branch, which nobody could predict.
            let j = narrow(j);
            let same = usize::from(v == s);
            (pattern[p], rest[q], values[q]) = (j, j, *v);
            p += same;
            q += 1 - same;
        }
        pattern_ends.push(p);
        rest_ends.push(q);
    }
    pattern.truncate(p);
    pattern.shrink_to_fit();
    rest.truncate(q);
    rest.shrink_to_fit();
    values.truncate(q);
    values.shrink_to_fit();
    (
        SparseRows::of(pattern_ends, wrap(pattern), None),
        SparseRows::of(rest_ends, wrap(rest), Some(values)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Design;
    use super::super::compare::{random, same_grams, same_products};
    use super::*;
    use crate::data::Dataset;

    /// Counts of words, mostly 1, by rows of unit length; some rows are empty, one has 0 as its value.
    fn counts(n: usize, features: usize) -> Dataset {
        let mut state = 5;
        let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
        for i in 0..n {
            let mut row: Vec<(u32, f64)> = (0..i % 23)
                .map(|_| {
                    let count =
                        1 + u32::from(random(&mut state).is_multiple_of(8)) * (i as u32 % 5);
                    ((random(&mut state) as usize % features) as u32, count)
                })
                .map(|(j, count)| (j, if i == 22 { 0.0 } else { f64::from(count) }))
                .collect();
            row.sort_by_key(|(j, _)| *j);
            row.dedup_by_key(|(j, _)| *j);
            let length = row.iter().map(|(_, v)| v * v).sum::<f64>().sqrt().max(1.0);
            col.extend(row.iter().map(|(j, _)| j));
            value.extend(row.iter().map(|(_, v)| v / length));
            start.push(col.len());
        }
        let labels = (0..n).map(|i| (i % 2) as f64).collect();
        Dataset::from_parts(start, col, value, features, labels, None)
    }

    fn both(data: &Dataset, features: usize) -> (Design, Design) {
        let scaled = Scaled::find(features, data.csr(), None).unwrap();
        let plain = SparseRows::new(features, data.csr(), None);
        (
            Design::scaled(features, scaled),
            Design::sparse(data.n_rows(), features, plain),
        )
    }

    #[test]
    fn the_terms_give_the_rows_back() {
        let data = counts(500, 9000);
        let scaled = Scaled::find(9000, data.csr(), None).unwrap();
        assert_eq!(scaled.stored(), data.csr().2.len());
        assert!(scaled.pattern.stored() > 2 * scaled.rest.stored());
        let chosen = [499u32, 0, 22, 45, 45];
        let some = Scaled::find(9000, data.csr(), Some(&chosen)).unwrap();
        let places: Vec<usize> = chosen.iter().map(|&i| i as usize).collect();
        let selected = scaled.select(&places);
        let row = |scaled: &Scaled, k| {
            let mut row = Vec::new();
            scaled.each(k, |j, v| row.push((j as u32, v)));
            row.sort_by_key(|(j, _)| *j);
            let (col, value): (Vec<u32>, Vec<f64>) = row.into_iter().unzip();
            (col, value)
        };
        for i in 0..500 {
            let (col, value) = row(&scaled, i);
            assert_eq!((&col[..], &value[..]), data.row(i), "row {i}");
        }
        for (k, &i) in places.iter().enumerate() {
            assert_eq!(row(&some, k), row(&scaled, i));
            assert_eq!(row(&selected, k), row(&scaled, i));
        }
    }

    #[test]
    fn every_product_is_that_of_the_entries() {
        // With columns of 16 and of 32 bits.
        for features in [8193, 70_000] {
            let data = counts(600, features);
            let (scaled, plain) = both(&data, features);
            assert_eq!(scaled.entries(), plain.entries());
            assert_eq!(scaled.gram_work(), plain.gram_work());
            same_products(&scaled, &plain);
            let rows = [7, 599, 7];
            same_products(&scaled.select(&rows), &plain.select(&rows));
        }
    }

    #[test]
    fn a_gram_matrix_is_that_of_the_entries() {
        // Few columns, which a caller would not bring here.
        let data = counts(300, 1000);
        let (start, col, value) = data.csr();
        let wide = Scaled::find(8193, (start, col, value), None).unwrap();
        let scaled = Design::scaled(1000, wide);
        let plain = Design::sparse(300, 1000, SparseRows::new(1000, data.csr(), None));
        same_grams(&scaled, &plain);
    }

    #[test]
    fn rows_of_many_values_or_few_columns_are_left_alone() {
        let find = |data: &Dataset| Scaled::find(data.n_features(), data.csr(), None).is_some();
        assert!(find(&counts(500, 8193)));
        assert!(!find(&counts(500, 8192)));
        let data = counts(500, 9000);
        let (start, col, value) = data.csr();
        let other = value.iter().enumerate().map(|(k, v)| v * (k + 1) as f64);
        let (start, col, labels) = (start.to_vec(), col.to_vec(), vec![0.0; 500]);
        let many = Dataset::from_parts(start, col, other.collect(), 9000, labels, None);
        assert!(!find(&many));
        for n in [0, 10] {
            let none =
                Dataset::from_parts(vec![0; n + 1], vec![], vec![], 9000, vec![0.0; n], None);
            assert!(!find(&none));
        }
        let (start, col, _) = data.csr();
        let (start, col, ones) = (start.to_vec(), col.to_vec(), vec![1.0; col.len()]);
        let ones = Dataset::from_parts(start, col, ones, 9000, vec![0.0; 500], None);
        assert!(!find(&ones));
    }
}
