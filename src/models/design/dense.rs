//! Dense matrices, by columns or in blocks of rows.
//!
//! A pass over the rows visits them a few at a time, twice, once for the margins and once for the sums, and should
//! find them in the cache the second time. A few rows of columns that are far apart are not in the order of the
//! memory, which then gives 9 GB/s with 500 columns, and 14 or more if such blocks lie one after the other,
//! each by columns. In a matrix that the cache holds there is no order to keep.

use super::Rows;
use crate::parallel::chunks_mut;
use crate::simd::{Loop, lanes_of_products, mul_add, run};
use faer::MatRef;

/// Rows of a block. Those of four columns at a time are then read almost in the order of the memory;
/// with 64 rows they are not, and a pass takes half as long again.
const ROWS: usize = 32;
/// Numbers in a matrix that is kept by columns: 16 MiB.
const CACHED: usize = 1 << 21;

/// A dense matrix.
#[derive(Debug)]
pub(super) struct Dense {
    rows: usize,
    features: usize,
    /// Rows of a block, of which only the last may have fewer.
    size: usize,
    /// One block after the other.
    values: Vec<f64>,
}

/// Some rows of one block.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    /// Their numbers in the matrix.
    pub(super) rows: Rows,
    block: &'a [f64],
    stride: usize,
    /// The first in the block.
    first: usize,
}

impl<'a> Part<'a> {
    pub(super) fn column(&self, j: usize) -> &'a [f64] {
        &self.block[j * self.stride + self.first..][..self.rows.len()]
    }

    /// As a matrix; the rows are all of a block.
    pub(super) fn matrix(&self) -> MatRef<'a, f64> {
        let features = self.block.len() / self.stride.max(1);
        MatRef::from_column_major_slice(self.block, self.stride, features)
    }
}

impl Dense {
    /// Zeros, in blocks of `size` rows.
    fn zeros(rows: usize, features: usize, size: usize) -> Self {
        Dense {
            rows,
            features,
            size: size.max(1),
            values: vec![0.0; rows * features],
        }
    }

    /// The best size of blocks.
    fn best(rows: usize, features: usize) -> usize {
        if rows * features > CACHED { ROWS } else { rows }
    }

    /// Rows of a block, if there is more than one.
    pub(super) fn size(&self) -> Option<usize> {
        (self.size < self.rows).then_some(self.size)
    }

    pub(super) fn entries(&self) -> usize {
        self.values.len()
    }

    /// All columns one after the other, if there is one block.
    pub(super) fn columns(&self) -> Option<&[f64]> {
        (self.size >= self.rows).then_some(&self.values)
    }

    /// Where the first number of row i is, and how far from one to the next.
    fn row(&self, i: usize) -> (usize, usize) {
        let first = i - i % self.size;
        let stride = self.size.min(self.rows - first);
        (first * self.features + i - first, stride)
    }

    /// Of the columns and values of each row.
    pub(super) fn of<'a>(
        rows: usize,
        features: usize,
        row: impl Fn(usize) -> (&'a [u32], &'a [f64]) + Sync + Send,
    ) -> Self {
        Dense::in_blocks(Dense::best(rows, features), rows, features, row)
    }

    fn in_blocks<'a>(
        size: usize,
        rows: usize,
        features: usize,
        row: impl Fn(usize) -> (&'a [u32], &'a [f64]) + Sync + Send,
    ) -> Self {
        let mut dense = Dense::zeros(rows, features, size);
        let size = (dense.size * features).max(1);
        let work = dense.values.len();
        chunks_mut(&mut dense.values, size, work, |at, block| {
            let (first, stride) = (at / features, block.len() / features);
            for k in 0..stride {
                let (columns, values) = row(first + k);
                for (j, v) in columns.iter().zip(values) {
                    block[*j as usize * stride + k] = *v;
                }
            }
        });
        dense
    }

    /// The given rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let size = Dense::best(rows.len(), self.features);
        let mut selected = Dense::zeros(rows.len(), self.features, size);
        let size = selected.size;
        let blocks = selected.values.chunks_mut((size * self.features).max(1));
        for (block, rows) in blocks.zip(rows.chunks(size)) {
            let from: Vec<_> = rows.iter().map(|&i| self.row(i)).collect();
            for (j, column) in block.chunks_exact_mut(rows.len()).enumerate() {
                for (out, (first, stride)) in column.iter_mut().zip(&from) {
                    *out = self.values[first + j * stride];
                }
            }
        }
        selected
    }

    /// A range of rows by blocks.
    pub(super) fn parts(&self, rows: Rows) -> impl Iterator<Item = Part<'_>> {
        let Rows { mut start, end } = rows;
        std::iter::from_fn(move || {
            if start >= end {
                return None;
            }
            let top = start - start % self.size;
            let stride = self.size.min(self.rows - top);
            let rows = start..end.min(top + stride);
            let first = start - top;
            start = rows.end;
            Some(Part {
                rows,
                block: &self.values[top * self.features..][..stride * self.features],
                stride,
                first,
            })
        })
    }

    /// `out` += A w for a range of rows.
    pub(super) fn mul(&self, rows: Rows, w: &[f64], out: &mut [f64]) {
        let mut rest = out;
        for part in self.parts(rows) {
            let out;
            (out, rest) = rest.split_at_mut(part.rows.len());
            run(Mul { part, w, out });
        }
    }

    /// `out` += Aᵀ r for a range of rows, to whose first row r₀ belongs.
    pub(super) fn add_transpose(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        let first = rows.start;
        for part in self.parts(rows) {
            let r = &r[part.rows.start - first..part.rows.end - first];
            run(AddTranspose { part, r, out });
        }
    }

    /// `out`ⱼ += Σᵢ rᵢ aᵢⱼ² for a range of rows, to whose first row r₀ belongs.
    pub(super) fn add_squares(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        let first = rows.start;
        for part in self.parts(rows) {
            let r = &r[part.rows.start - first..part.rows.end - first];
            for (j, out) in out.iter_mut().enumerate() {
                let terms = part.column(j).iter().zip(r);
                *out += terms.map(|(v, w)| w * v * v).sum::<f64>();
            }
        }
    }
}

struct Mul<'a> {
    part: Part<'a>,
    w: &'a [f64],
    out: &'a mut [f64],
}

impl Loop for Mul<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let column = |j: usize| self.part.column(j);
        let (fours, rest) = self.w.as_chunks::<4>();
        for (k, w) in fours.iter().enumerate() {
            let j = 4 * k;
            let (a, b, c, d) = (column(j), column(j + 1), column(j + 2), column(j + 3));
            for ((((out, a), b), c), d) in self.out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let sum = mul_add::<FMA>(w[0], *a, *out);
                let sum = mul_add::<FMA>(w[1], *b, sum);
                let sum = mul_add::<FMA>(w[2], *c, sum);
                *out = mul_add::<FMA>(w[3], *d, sum);
            }
        }
        for (k, w) in rest.iter().enumerate() {
            for (out, v) in self.out.iter_mut().zip(column(4 * fours.len() + k)) {
                *out = mul_add::<FMA>(*w, *v, *out);
            }
        }
    }
}

struct AddTranspose<'a> {
    part: Part<'a>,
    r: &'a [f64],
    out: &'a mut [f64],
}

impl Loop for AddTranspose<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (j, out) in self.out.iter_mut().enumerate() {
            *out += lanes_of_products::<FMA>(self.part.column(j), self.r);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{random, same_grams, same_products};
    use super::super::rows::SparseRows;
    use super::super::{Design, Storage};
    use super::*;
    use crate::data::Dataset;

    fn data(n: usize, features: usize) -> Dataset {
        let mut state = 11;
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                let number = |_| random(&mut state) as f64 * 1e-9 - 1.0;
                (0..features).map(number).collect()
            })
            .collect();
        Dataset::from_rows(&rows, &vec![1.0; n]).unwrap()
    }

    #[test]
    fn every_product_is_that_of_the_entries() {
        // One block; blocks and a rest of 4; blocks and no rest; fewer rows than a block.
        for (n, features, blocks) in [(300, 7, 1), (324, 50, 11), (160, 310, 5), (9, 200, 1)] {
            let data = data(n, features);
            let size = n.div_ceil(blocks).next_multiple_of(ROWS);
            let storage = Dense::in_blocks(size, n, features, |i| data.row(i));
            assert_eq!(storage.parts(0..n).count(), blocks);
            assert_eq!(storage.size(), (blocks > 1).then_some(ROWS));
            let dense = Design::with(n, features, 0.0, Storage::Dense(storage));
            assert_eq!(dense.columns().is_some(), blocks == 1);
            let plain = Design::sparse(n, features, SparseRows::new(features, data.csr(), None));
            same_products(&dense, &plain);
            same_grams(&dense, &plain);
            let rows: Vec<usize> = (0..2 * n).map(|k| k * k % n).collect();
            same_products(&dense.select(&rows), &plain.select(&rows));
        }
    }

    #[test]
    fn what_the_cache_does_not_hold_is_kept_in_blocks() {
        let (row, value) = (vec![0, 1], vec![1.0, 2.0]);
        let size = |rows| Dense::of(rows, 2, |_| (&row[..], &value[..])).size();
        assert_eq!(size(CACHED / 2), None);
        assert_eq!(size(CACHED / 2 + 1), Some(ROWS));
    }
}
