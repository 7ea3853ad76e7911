//! Labelled rows of numbers in compressed sparse row form.
//!
//! A [`Dataset`] with n rows and d features holds three arrays: row i owns the
//! positions `indptr[i]..indptr[i + 1]` of `indices` (columns, strictly
//! increasing within a row, counted from 0) and of `values`. A position may hold
//! an explicit zero; columns without a position are zero. Every value and label
//! is finite, there is at least one row, and d is at most 2^32 - 1.

mod scaling;

pub use scaling::Scaling;

use std::fmt;

use crate::error::{Error, finite, length};

/// Largest number of features: columns are stored as `u32`.
pub(crate) const MAX_FEATURES: u64 = u32::MAX as u64;

/// Rows with labels: a sparse n x d matrix, n labels and, optionally, n query ids.
///
/// Labels are kept exactly as given; a model decides what they mean. Once
/// built, a data set is valid (see the [module](self)), so the models do not
/// check it again. Equality compares numbers, so 0 equals -0.
///
/// ```
/// use raphson::Dataset;
///
/// let data = Dataset::from_rows(&[vec![1.0, 0.0], vec![0.0, 2.5]], &[-1.0, 1.0])?;
/// assert_eq!((data.n_rows(), data.n_features(), data.nnz()), (2, 2, 2));
/// assert_eq!(data.row(1), (&[1][..], &[2.5][..]));
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Dataset {
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
    n_features: usize,
    labels: Vec<f64>,
    qids: Option<Vec<u64>>,
}

impl Dataset {
    /// From dense rows of equal length, one label each.
    ///
    /// Exact zeros (of either sign) are not stored; use
    /// [`from_csr`](Self::from_csr) to keep them.
    ///
    /// # Errors
    /// No rows, rows of different lengths, a number of labels other than the
    /// number of rows, or a value or label that is not finite.
    pub fn from_rows(rows: &[Vec<f64>], labels: &[f64]) -> Result<Self, Error> {
        let n_features = rows.first().map_or(0, Vec::len);
        let mut indptr = vec![0];
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        check_n_features(n_features)?;
        for (i, row) in rows.iter().enumerate() {
            if row.len() != n_features {
                return Err(Error::Data(format!(
                    "row {i} has {} values, row 0 has {n_features}: give rows of equal length",
                    row.len()
                )));
            }
            for (column, &value) in (0u32..).zip(row) {
                if value != 0.0 {
                    indices.push(column);
                    values.push(value);
                }
            }
            indptr.push(indices.len());
        }
        Self::from_csr(indptr, indices, values, n_features, labels.to_vec())
    }

    /// From compressed sparse rows: n + 1 row starts, then columns (from 0)
    /// and values of all rows one after the other. Explicit zeros are kept.
    ///
    /// Cost: one pass over the data to check it; nothing is copied.
    ///
    /// # Errors
    /// No rows, lengths that do not agree, row starts that do not run from 0 to
    /// `values.len()` without decreasing, a column that is not below `n_features`
    /// or not above the one before it in its row, a value or label that is not
    /// finite, or more than 2^32 - 1 features.
    pub fn from_csr(
        indptr: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<f64>,
        n_features: usize,
        labels: Vec<f64>,
    ) -> Result<Self, Error> {
        check_n_features(n_features)?;
        if indptr.len() < 2 {
            return Err(no_rows());
        }
        length("labels", indptr.len() - 1, labels.len())?;
        length("values", indices.len(), values.len())?;
        finite("labels", &labels)?;
        if indptr[0] != 0 {
            return Err(Error::Data(format!(
                "row starts: the first is {}, must be 0",
                indptr[0]
            )));
        }
        for (row, ends) in indptr.windows(2).enumerate() {
            let (start, end) = (ends[0], ends[1]);
            if end < start || end > values.len() {
                return Err(Error::Data(format!(
                    "row {row} runs from position {start} to {end} of {}: \
                     row starts must not decrease or pass the end",
                    values.len()
                )));
            }
            check_row(row, &indices[start..end], &values[start..end], n_features)?;
        }
        length(
            "values up to the last row end",
            values.len(),
            indptr[labels.len()],
        )?;
        Ok(Self::from_parts(
            indptr, indices, values, n_features, labels, None,
        ))
    }

    /// Trusts the caller that all the invariants hold.
    pub(crate) fn from_parts(
        indptr: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<f64>,
        n_features: usize,
        labels: Vec<f64>,
        qids: Option<Vec<u64>>,
    ) -> Self {
        debug_assert_eq!(indptr.len(), labels.len() + 1);
        debug_assert_eq!(indptr.last(), Some(&values.len()));
        debug_assert_eq!(indices.len(), values.len());
        Self {
            indptr,
            indices,
            values,
            n_features,
            labels,
            qids,
        }
    }

    /// The same data with one query id per row.
    ///
    /// # Errors
    /// A number of ids other than the number of rows.
    pub fn with_qids(mut self, qids: Vec<u64>) -> Result<Self, Error> {
        length("qids", self.n_rows(), qids.len())?;
        self.qids = Some(qids);
        Ok(self)
    }

    /// The same data with `n` features; new columns are empty.
    ///
    /// Gives training and test data the same width when one of them lacks the
    /// last columns.
    ///
    /// # Errors
    /// `n` does not cover the largest stored column, or exceeds 2^32 - 1.
    pub fn with_features(mut self, n: usize) -> Result<Self, Error> {
        check_n_features(n)?;
        if n < self.n_features
            && let Some(at) = self.indices.iter().position(|&c| c as usize >= n)
        {
            let row = self.indptr.partition_point(|&start| start <= at) - 1;
            return Err(Error::Data(format!(
                "row {row} has an entry in column {} (counted from 0): \
                 {n} features are too few",
                self.indices[at]
            )));
        }
        self.n_features = n;
        Ok(self)
    }

    /// The given rows, in the given order; a row may be taken more than once.
    ///
    /// # Errors
    /// No rows, or an index that is not below [`n_rows`](Self::n_rows).
    pub fn subset(&self, rows: &[usize]) -> Result<Self, Error> {
        if rows.is_empty() {
            return Err(no_rows());
        }
        let n = self.n_rows();
        if let Some(row) = rows.iter().find(|&&row| row >= n) {
            return Err(Error::Data(format!(
                "row {row} was asked for, but there are only {n} rows (0 to {})",
                n - 1
            )));
        }
        let mut indptr = vec![0];
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for &row in rows {
            let (columns, entries) = self.row(row);
            indices.extend_from_slice(columns);
            values.extend_from_slice(entries);
            indptr.push(indices.len());
        }
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        let qids = self
            .qids
            .as_ref()
            .map(|qids| rows.iter().map(|&row| qids[row]).collect());
        Ok(Self::from_parts(
            indptr,
            indices,
            values,
            self.n_features,
            labels,
            qids,
        ))
    }

    /// Number of rows, at least 1.
    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Number of features (columns), including empty ones.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of stored entries that are not zero. Cost: one pass over the values.
    pub fn nnz(&self) -> usize {
        self.values.iter().filter(|&&value| value != 0.0).count()
    }

    /// Number of stored entries, explicit zeros included.
    pub fn stored(&self) -> usize {
        self.values.len()
    }

    /// [`nnz`](Self::nnz) / (rows x features), or 0 without features.
    pub fn density(&self) -> f64 {
        if self.n_features == 0 {
            return 0.0;
        }
        self.nnz() as f64 / (self.n_rows() as f64 * self.n_features as f64)
    }

    /// The labels, as given.
    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// The distinct labels in increasing order, whatever the order of the rows.
    pub fn classes(&self) -> Vec<f64> {
        // There are few, as a rule, and nothing is to be sorted but them.
        const FEW: usize = 32;
        let mut classes: Vec<f64> = Vec::new();
        for y in &self.labels {
            if !classes.iter().any(|seen| seen.to_bits() == y.to_bits()) {
                if classes.len() == FEW {
                    classes.clone_from(&self.labels);
                    break;
                }
                classes.push(*y);
            }
        }
        classes.sort_unstable_by(f64::total_cmp);
        classes.dedup();
        classes
    }

    /// The query ids, if there are any.
    pub fn qids(&self) -> Option<&[u64]> {
        self.qids.as_deref()
    }

    /// Columns (from 0, increasing) and values of row `i`.
    ///
    /// # Panics
    /// If `i` is not below [`n_rows`](Self::n_rows), as indexing a slice does.
    pub fn row(&self, i: usize) -> (&[u32], &[f64]) {
        let range = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Row starts, columns and values.
    pub(crate) fn csr(&self) -> (&[usize], &[u32], &[f64]) {
        (&self.indptr, &self.indices, &self.values)
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Dataset")
            .field("n_rows", &self.n_rows())
            .field("n_features", &self.n_features)
            .field("stored", &self.stored())
            .field("qids", &self.qids.is_some())
            .finish()
    }
}

fn no_rows() -> Error {
    Error::Data("a data set needs at least one row".into())
}

fn check_n_features(n: usize) -> Result<(), Error> {
    if n as u64 > MAX_FEATURES {
        return Err(Error::parameter("n_features", n, "at most 2^32 - 1"));
    }
    Ok(())
}

fn check_row(row: usize, columns: &[u32], values: &[f64], n_features: usize) -> Result<(), Error> {
    let mut next = 0;
    for (&column, &value) in columns.iter().zip(values) {
        let complaint = if column as usize >= n_features {
            format!("there are only {n_features} features")
        } else if u64::from(column) < next {
            "columns must increase within a row; sort them and merge duplicates".into()
        } else if !value.is_finite() {
            format!("the value is {value}; give finite numbers")
        } else {
            next = u64::from(column) + 1;
            continue;
        };
        return Err(Error::Data(format!(
            "row {row}, column {column}: {complaint}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Dataset {
        Dataset::from_csr(
            vec![0, 2, 2, 5],
            vec![0, 3, 0, 1, 2],
            vec![1.0, 0.0, 2.0, -3.0, 4.0],
            5,
            vec![1.0, -1.0, 1.0],
        )
        .unwrap()
    }

    fn message<T: fmt::Debug>(result: Result<T, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn counts_separate_stored_zeros_from_nonzeros() {
        let data = sample();
        assert_eq!((data.n_rows(), data.n_features()), (3, 5));
        assert_eq!((data.stored(), data.nnz()), (5, 4));
        assert_eq!(data.density(), 4.0 / 15.0);
        assert_eq!(data.row(0), (&[0, 3][..], &[1.0, 0.0][..]));
        assert_eq!(data.row(1), (&[][..], &[][..]));
        assert_eq!(
            format!("{data:?}"),
            "Dataset { n_rows: 3, n_features: 5, stored: 5, qids: false }"
        );
    }

    #[test]
    fn dense_rows_drop_exact_zeros_and_keep_the_width() {
        let data = Dataset::from_rows(
            &[vec![0.0, 2.0, -0.0], vec![f64::MIN_POSITIVE, 0.0, 0.0]],
            &[0.0, 1.0],
        )
        .unwrap();
        assert_eq!((data.n_features(), data.stored()), (3, 2));
        assert_eq!(data.row(0), (&[1][..], &[2.0][..]));
        assert_eq!(data.row(1), (&[0][..], &[f64::MIN_POSITIVE][..]));
    }

    #[test]
    fn dense_rows_are_checked() {
        let rows = [vec![1.0, 2.0], vec![3.0]];
        assert!(message(Dataset::from_rows(&rows, &[0.0, 1.0])).contains("row 1 has 1 values"));
        let rows = [vec![1.0, f64::NAN]];
        assert_eq!(
            message(Dataset::from_rows(&rows, &[0.0])),
            "row 0, column 1: the value is NaN; give finite numbers"
        );
        assert!(message(Dataset::from_rows(&[], &[])).contains("at least one row"));
        let rows = [vec![1.0], vec![2.0]];
        assert!(matches!(
            Dataset::from_rows(&rows, &[1.0]),
            Err(Error::WrongLength {
                expected: 2,
                found: 1,
                ..
            })
        ));
        assert!(matches!(
            Dataset::from_rows(&rows, &[1.0, f64::INFINITY]),
            Err(Error::NonFinite { index: 1, .. })
        ));
    }

    #[test]
    fn compressed_rows_are_checked() {
        let build = |indptr: &[usize], indices: &[u32], values: &[f64]| {
            let labels = vec![0.0; indptr.len().saturating_sub(1)];
            Dataset::from_csr(
                indptr.to_vec(),
                indices.to_vec(),
                values.to_vec(),
                3,
                labels,
            )
        };
        assert!(build(&[0, 1, 2], &[2, 0], &[1.0, 1.0]).is_ok());
        assert!(message(build(&[0, 2], &[1, 1], &[1.0, 1.0])).starts_with("row 0, column 1"));
        assert!(message(build(&[0, 0, 2], &[2, 1], &[1.0, 1.0])).starts_with("row 1, column 1"));
        assert!(message(build(&[0, 1], &[3], &[1.0])).contains("only 3 features"));
        assert!(message(build(&[0, 1], &[0], &[f64::INFINITY])).contains("inf"));
        assert!(message(build(&[1, 1], &[0], &[1.0])).contains("must be 0"));
        assert!(message(build(&[0, 1, 0], &[0], &[1.0])).starts_with("row 1 runs"));
        assert!(message(build(&[0, 9], &[0], &[1.0])).starts_with("row 0 runs"));
        assert!(message(build(&[0, 1], &[0, 1], &[1.0, 1.0])).contains("expected length 2"));
        assert!(message(build(&[0, 1], &[0], &[1.0, 1.0])).contains("values"));
        assert!(message(build(&[0], &[], &[])).contains("at least one row"));
        assert!(message(build(&[], &[], &[])).contains("at least one row"));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_number_of_features_is_limited_to_u32() {
        let build = |n| Dataset::from_csr(vec![0, 0], vec![], vec![], n, vec![1.0]);
        assert!(build(u32::MAX as usize).is_ok());
        assert!(message(build(1 << 32)).contains("at most 2^32 - 1"));
        assert!(message(sample().with_features(1 << 32)).contains("at most 2^32 - 1"));
    }

    #[test]
    fn padding_covers_every_stored_column() {
        assert_eq!(sample().with_features(9).unwrap().n_features(), 9);
        assert_eq!(sample().with_features(4).unwrap().n_features(), 4);
        assert!(message(sample().with_features(3)).starts_with("row 0 has an entry in column 3"));
        let late = Dataset::from_csr(vec![0, 0, 1], vec![1], vec![1.0], 2, vec![0.0; 2]).unwrap();
        assert!(message(late.with_features(1)).starts_with("row 1 has an entry in column 1"));
    }

    #[test]
    fn subsets_keep_order_repeats_and_query_ids() {
        let data = sample().with_qids(vec![7, 8, u64::MAX]).unwrap();
        let part = data.subset(&[2, 0, 2]).unwrap();
        assert_eq!(part.labels(), [1.0, 1.0, 1.0]);
        assert_eq!(part.qids().unwrap(), [u64::MAX, 7, u64::MAX]);
        assert_eq!(part.row(0), data.row(2));
        assert_eq!(part.row(1), data.row(0));
        assert_eq!(part.n_features(), 5);
        assert_eq!(data.subset(&[0, 1, 2]).unwrap(), data);
        assert!(message(data.subset(&[0, 3])).contains("row 3"));
        assert!(message(data.subset(&[])).contains("at least one row"));
        assert!(sample().with_qids(vec![1]).is_err());
    }

    // UC-106, UC-109: which label is the larger must not depend on the order of the rows.
    #[test]
    fn classes_do_not_depend_on_row_order() {
        let classes = |labels: &[f64]| {
            let rows = vec![vec![1.0]; labels.len()];
            Dataset::from_rows(&rows, labels).unwrap().classes()
        };
        assert_eq!(classes(&[2.0, 1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(classes(&[1.0, 2.0, 1.0]), [1.0, 2.0]);
        assert_eq!(classes(&[1.0, -1.0, -1.0]), [-1.0, 1.0]);
        assert_eq!(classes(&[1.0, 1.0]), [1.0]);
        assert_eq!(classes(&[0.0, 3.0, -0.0, 1.5]), [0.0, 1.5, 3.0]);
        for n in [31, 32, 33, 80] {
            let labels: Vec<f64> = (0..3 * n).map(|i| f64::from(i * 7 % n)).collect();
            let expected: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(classes(&labels), expected);
        }
    }
}
