//! Columns to comparable size: x -> (x - mean) / scale.
//!
//! Mean and standard deviation of a column are taken in two passes over the
//! values divided by a power of two near the largest of them, so neither
//! cancellation nor overflow spoils them. With d_i = x_i - m for a first mean m,
//! mean = m + (sum d) / n and n sd^2 = sum d^2 - (sum d)^2 / n.

use super::Dataset;
use crate::error::Error;

/// Data with more than this share of nonzeros is centered.
const DENSE: f64 = 0.5;

/// Column means and scales, to treat other data as the training data was.
///
/// From [`Dataset::standardized`].
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    means: Vec<f64>,
    scales: Vec<f64>,
    centered: bool,
}

impl Dataset {
    /// The data with columns of comparable size, and the [`Scaling`] that does
    /// the same to other data.
    ///
    /// With [`density`](Self::density) above 0.5 every column gets mean 0 and
    /// population standard deviation 1 (divisor n), and every entry is stored.
    /// Sparser data is only divided by the standard deviation (zeros included),
    /// because centering would fill it. A constant column keeps scale 1: it
    /// becomes exactly 0 if centered and stays as it is otherwise. A deviation
    /// too small for a double counts as constant.
    ///
    /// Cost: three passes over the stored entries.
    pub fn standardized(&self) -> (Dataset, Scaling) {
        let centered = self.density() > DENSE;
        let (mut means, scales) = moments(self);
        if !centered {
            means.fill(0.0);
        }
        let scaling = Scaling {
            means,
            scales,
            centered,
        };
        (scaling.transform(self), scaling)
    }
}

impl Scaling {
    /// The other data scaled with these means and scales.
    ///
    /// If the scaling centers, the result stores every entry.
    ///
    /// # Errors
    /// A different number of features, or a result too large for a double.
    pub fn apply(&self, data: &Dataset) -> Result<Dataset, Error> {
        if data.n_features() != self.scales.len() {
            return Err(Error::Data(format!(
                "the scaling has {} features, the data {}: \
                 pad the data with `with_features`, or read both with the same `n_features`",
                self.scales.len(),
                data.n_features()
            )));
        }
        let scaled = self.transform(data);
        let (indptr, columns, values) = scaled.csr();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let row = indptr.partition_point(|&start| start <= at) - 1;
            return Err(Error::Data(format!(
                "row {row}, column {}: the scaled value is too large for a double; \
                 the column varies far more here than in the data of the scaling",
                columns[at]
            )));
        }
        Ok(scaled)
    }

    /// What is subtracted from each column; all 0 if the data was not centered.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// What each column is divided by after that; positive.
    pub fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// Whether the data was dense enough to be centered.
    pub fn is_centered(&self) -> bool {
        self.centered
    }

    fn transform(&self, data: &Dataset) -> Dataset {
        let (indptr, columns, values) = data.csr();
        let (n, d) = (data.n_rows(), data.n_features());
        let labels = data.labels().to_vec();
        let qids = data.qids().map(<[u64]>::to_vec);
        if !self.centered {
            let scaled = columns
                .iter()
                .zip(values)
                .map(|(&column, &value)| value / self.scales[column as usize])
                .collect();
            return Dataset::from_parts(indptr.to_vec(), columns.to_vec(), scaled, d, labels, qids);
        }
        let starts = (0..=n).map(|row| row * d).collect();
        let all = (0..n).flat_map(|_| (0u32..).take(d)).collect();
        let mut scaled = Vec::with_capacity(n * d);
        let mut dense = vec![0.0; d];
        for row in 0..n {
            let (columns, values) = data.row(row);
            dense.fill(0.0);
            for (&column, &value) in columns.iter().zip(values) {
                dense[column as usize] = value;
            }
            scaled.extend((0..d).map(|j| ratio(dense[j], self.means[j], self.scales[j])));
        }
        Dataset::from_parts(starts, all, scaled, d, labels, qids)
    }
}

/// (x - mean) / scale without overflow in the difference.
fn ratio(x: f64, mean: f64, scale: f64) -> f64 {
    let difference = x - mean;
    if difference.is_finite() {
        difference / scale
    } else {
        (0.5 * x - 0.5 * mean) / (0.5 * scale)
    }
}

/// Range of one column, its implicit zeros included.
#[derive(Clone)]
struct Column {
    min: f64,
    max: f64,
    stored: usize,
    sum: f64,
    unit: f64,
    squares: f64,
}

impl Column {
    fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// Means and population standard deviations; the deviation of a constant column is given as 1.
fn moments(data: &Dataset) -> (Vec<f64>, Vec<f64>) {
    let (_, indices, values) = data.csr();
    let n = data.n_rows();
    let entries = || {
        indices
            .iter()
            .map(|&j| j as usize)
            .zip(values.iter().copied())
    };
    let empty = Column {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        stored: 0,
        sum: 0.0,
        unit: 1.0,
        squares: 0.0,
    };
    let mut columns = vec![empty; data.n_features()];
    for (j, value) in entries() {
        let column = &mut columns[j];
        column.min = column.min.min(value);
        column.max = column.max.max(value);
        column.stored += 1;
    }
    for column in &mut columns {
        if column.stored < n {
            column.min = column.min.min(0.0);
            column.max = column.max.max(0.0);
        }
        column.unit = power_of_two(column.min.abs().max(column.max.abs()));
    }
    for (j, value) in entries() {
        columns[j].sum += value / columns[j].unit;
    }
    let count = n as f64;
    let first: Vec<f64> = columns.iter().map(|column| column.sum / count).collect();
    for (column, mean) in columns.iter_mut().zip(&first) {
        let implicit = (n - column.stored) as f64;
        column.sum = -mean * implicit;
        column.squares = mean * mean * implicit;
    }
    for (j, value) in entries() {
        let column = &mut columns[j];
        let difference = value / column.unit - first[j];
        column.sum += difference;
        column.squares += difference * difference;
    }
    columns
        .iter()
        .zip(first)
        .map(|(column, mean)| {
            if column.is_constant() {
                return (column.min, 1.0);
            }
            let variance = (column.squares - column.sum * column.sum / count) / count;
            let deviation = column.unit * variance.max(0.0).sqrt();
            let scale = if deviation > 0.0 { deviation } else { 1.0 };
            (column.unit * (mean + column.sum / count), scale)
        })
        .unzip()
}

/// The largest power of two that does not exceed `x`, at least the smallest normal number.
fn power_of_two(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn column(values: &[f64]) -> Dataset {
        let rows: Vec<_> = values.iter().map(|&value| vec![value]).collect();
        Dataset::from_rows(&rows, &vec![0.0; values.len()]).unwrap()
    }

    #[test]
    fn dense_columns_get_mean_zero_and_deviation_one() {
        let (data, scaling) = column(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).standardized();
        assert!(scaling.is_centered());
        assert_eq!(
            (scaling.means(), scaling.scales()),
            (&[5.0][..], &[2.0][..])
        );
        let values: Vec<f64> = (0..8).map(|i| data.row(i).1[0]).collect();
        assert_eq!(values, [-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn sparse_columns_are_only_divided_by_their_deviation() {
        let data = Dataset::from_csr(
            vec![0, 1, 1, 1, 2],
            vec![0, 1],
            vec![4.0, 0.0],
            2,
            vec![0.0; 4],
        )
        .unwrap();
        let (scaled, scaling) = data.standardized();
        assert!(!scaling.is_centered());
        assert_eq!(scaling.means(), [0.0, 0.0]);
        assert_eq!(scaling.scales(), [3f64.sqrt(), 1.0]);
        assert_eq!(scaled.row(0), (&[0][..], &[4.0 / 3f64.sqrt()][..]));
        assert_eq!((scaled.stored(), scaled.nnz()), (2, 1));
    }

    #[test]
    fn constant_columns_keep_scale_one() {
        // The mean of ten 0.1 is not 0.1 in doubles; noise must not be blown up to size 1.
        let (data, scaling) = column(&[0.1; 10]).standardized();
        assert_eq!(
            (scaling.means(), scaling.scales()),
            (&[0.1][..], &[1.0][..])
        );
        assert!((0..10).all(|i| data.row(i).1 == [0.0]));
    }

    #[test]
    fn implicit_zeros_count_in_dense_columns() {
        let (data, scaling) = column(&[0.0, 2.0, 2.0, 0.0, 2.0, 0.0, 2.0]).standardized();
        assert!(scaling.is_centered());
        assert!((scaling.means()[0] - 8.0 / 7.0).abs() < 1e-15);
        assert!((scaling.scales()[0] - (48f64 / 49.0).sqrt()).abs() < 1e-15);
        assert_eq!(data.stored(), 7);
    }

    #[test]
    fn a_large_offset_does_not_cancel() {
        let (_, scaling) = column(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]).standardized();
        assert!((scaling.scales()[0] - (2f64 / 3.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn extreme_sizes_neither_overflow_nor_vanish() {
        for size in [1e-300, 1e-160, 1e160, 1e300, 0.9 * f64::MAX] {
            let (data, scaling) = column(&[-size, size]).standardized();
            assert!((scaling.scales()[0] / size - 1.0).abs() < 1e-15, "{size}");
            assert!((data.row(0).1[0] + 1.0).abs() < 1e-15, "{size}");
        }
        // mean -MAX/2, so the largest x - mean overflows.
        let big = f64::MAX;
        let (data, _) = column(&[-big, -big, -big, big]).standardized();
        assert!((data.row(3).1[0] - 3f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn the_scaling_applies_to_other_data() {
        let train = column(&[1.0, 3.0]).with_qids(vec![1, 2]).unwrap();
        let (scaled, scaling) = train.standardized();
        assert_eq!(scaling.apply(&train).unwrap(), scaled);
        let test = scaling.apply(&column(&[0.0, 6.0])).unwrap();
        assert_eq!((test.row(0).1, test.row(1).1), (&[-2.0][..], &[4.0][..]));
    }

    #[test]
    fn misapplied_scalings_are_errors() {
        let (_, scaling) = column(&[1e-200, 3e-200]).standardized();
        let wide = column(&[1.0]).with_features(2).unwrap();
        let error = scaling.apply(&wide).unwrap_err().to_string();
        assert!(error.contains("1 features, the data 2") && error.contains("with_features"));
        let error = scaling
            .apply(&column(&[0.0, 1e200]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("row 1, column 0: the scaled value is too large"));
    }

    fn fixed() -> ProptestConfig {
        ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    proptest! {
        #![proptest_config(fixed())]

        #[test]
        fn standardized_columns_have_unit_moments(
            values in prop::collection::vec(prop_oneof![Just(0.0), -1e6..1e6f64], 2..40),
            offset in -1e3..1e3f64,
        ) {
            let values: Vec<f64> = values.iter().map(|v| v + offset).collect();
            let (data, scaling) = column(&values).standardized();
            prop_assume!(scaling.is_centered() && values.iter().any(|&v| v != values[0]));
            let n = values.len() as f64;
            let scaled: Vec<f64> = (0..values.len()).map(|i| data.row(i).1[0]).collect();
            let mean = scaled.iter().sum::<f64>() / n;
            let square = scaled.iter().map(|v| v * v).sum::<f64>() / n;
            prop_assert!(mean.abs() < 1e-9);
            prop_assert!((square - 1.0).abs() < 1e-9);
        }
    }
}
