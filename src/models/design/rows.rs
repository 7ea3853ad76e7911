//! Sparse rows: columns in 16 bits where they fit, no values where all are 1.

use super::Rows;
use crate::parallel::{map, pieces};
use std::ops::Range;

/// Number of a column in the fewest bytes.
pub(super) trait Column: Copy + Send + Sync {
    fn at(self) -> usize;
}

impl Column for u16 {
    fn at(self) -> usize {
        usize::from(self)
    }
}

impl Column for u32 {
    fn at(self) -> usize {
        self as usize
    }
}

/// The values of entries.
pub(super) trait Values: Copy + Send + Sync {
    fn part(self, range: Range<usize>) -> Self;
    fn of(self, k: usize) -> f64;
    /// By fours, with the rest.
    fn fours(self) -> (impl Iterator<Item = [f64; 4]>, Self);
}

/// All values are 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ones;

impl Values for Ones {
    #[inline(always)]
    fn part(self, _: Range<usize>) -> Self {
        self
    }
    #[inline(always)]
    fn of(self, _: usize) -> f64 {
        1.0
    }
    #[inline(always)]
    fn fours(self) -> (impl Iterator<Item = [f64; 4]>, Self) {
        (std::iter::repeat([1.0; 4]), self)
    }
}

impl Values for &[f64] {
    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        &self[range]
    }
    #[inline(always)]
    fn of(self, k: usize) -> f64 {
        self[k]
    }
    #[inline(always)]
    fn fours(self) -> (impl Iterator<Item = [f64; 4]>, Self) {
        let (fours, rest) = self.as_chunks::<4>();
        (fours.iter().copied(), rest)
    }
}

/// offset + aᵀw for a row a, in four interleaved partial sums: one would wait for each addition.
#[inline(always)]
fn dot<C: Column, V: Values>(columns: &[C], values: V, offset: f64, w: &[f64]) -> f64 {
    let (four_columns, columns) = columns.as_chunks::<4>();
    let (four_values, values) = values.fours();
    let mut sums = [0.0; 4];
    for (j, v) in four_columns.iter().zip(four_values) {
        for k in 0..4 {
            sums[k] += v[k] * w[j[k].at()];
        }
    }
    let mut rest = offset;
    for (k, j) in columns.iter().enumerate() {
        rest += values.of(k) * w[j.at()];
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// `out`ⱼ += f(aⱼ) for a row a. Its columns differ, so four sums are read before one is written.
#[inline(always)]
fn add_row<C: Column, V: Values>(
    columns: &[C],
    values: V,
    f: impl Fn(f64) -> f64,
    out: &mut [f64],
) {
    let (four_columns, columns) = columns.as_chunks::<4>();
    let (four_values, values) = values.fours();
    for (j, v) in four_columns.iter().zip(four_values) {
        let sums: [f64; 4] = std::array::from_fn(|k| out[j[k].at()] + f(v[k]));
        for (j, sum) in j.iter().zip(sums) {
            out[j.at()] = sum;
        }
    }
    for (k, j) in columns.iter().enumerate() {
        out[j.at()] += f(values.of(k));
    }
}

/// The columns of all entries.
#[derive(Debug)]
pub(super) enum Columns {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

/// Compressed sparse rows.
#[derive(Debug)]
pub(super) struct SparseRows {
    start: Vec<usize>,
    columns: Columns,
    /// None if every entry is 1.
    values: Option<Vec<f64>>,
}

/// Calls `$f(columns, values)` with slices of the types that are stored.
macro_rules! with_types {
    ($rows:expr, |$columns:ident, $values:ident| $body:expr) => {
        match (&$rows.columns, &$rows.values) {
            (Columns::Short($columns), None) => {
                let ($columns, $values) = ($columns.as_slice(), Ones);
                $body
            }
            (Columns::Short($columns), Some($values)) => {
                let ($columns, $values) = ($columns.as_slice(), $values.as_slice());
                $body
            }
            (Columns::Long($columns), None) => {
                let ($columns, $values) = ($columns.as_slice(), Ones);
                $body
            }
            (Columns::Long($columns), Some($values)) => {
                let ($columns, $values) = ($columns.as_slice(), $values.as_slice());
                $body
            }
        }
    };
}

impl SparseRows {
    /// Takes the `chosen` rows of compressed sparse rows with `features` columns, or all.
    pub(super) fn new(
        features: usize,
        (start, col, value): (&[usize], &[u32], &[f64]),
        chosen: Option<&[u32]>,
    ) -> Self {
        let short = features <= 1 << 16;
        let Some(chosen) = chosen else {
            let columns = if short {
                Columns::Short(col.iter().map(|&j| j as u16).collect())
            } else {
                Columns::Long(col.to_vec())
            };
            let ones = value.iter().all(|&v| v == 1.0);
            return SparseRows {
                start: start.to_vec(),
                columns,
                values: (!ones).then(|| value.to_vec()),
            };
        };
        let chosen: Vec<usize> = chosen.iter().map(|&i| i as usize).collect();
        let ends = ends(start, &chosen);
        let columns = if short {
            Columns::Short(pick(col, start, &chosen, &ends, |j| j as u16))
        } else {
            Columns::Long(pick(col, start, &chosen, &ends, |j| j))
        };
        let ones = |value: &[f64]| value.iter().all(|&v| v == 1.0);
        let mut rows = chosen.iter().map(|&i| start[i]..start[i + 1]);
        let ones = ones(value) || rows.all(|range| ones(&value[range]));
        SparseRows {
            columns,
            values: (!ones).then(|| pick(value, start, &chosen, &ends, |v| v)),
            start: ends,
        }
    }

    /// Rows that end at `ends` after the first; without values all are 1.
    pub(super) fn of(ends: Vec<usize>, columns: Columns, values: Option<Vec<f64>>) -> Self {
        SparseRows {
            start: ends,
            columns,
            values,
        }
    }

    /// Rows of 16-bit columns.
    pub(super) fn of_codes(ends: Vec<usize>, codes: Vec<u16>, values: Option<Vec<f64>>) -> Self {
        SparseRows::of(ends, Columns::Short(codes), values)
    }

    /// Whether rows i and k are the same.
    pub(super) fn equal(&self, i: usize, k: usize) -> bool {
        let range = |i: usize| self.start[i]..self.start[i + 1];
        let (i, k) = (range(i), range(k));
        let columns = match &self.columns {
            Columns::Short(columns) => columns[i.clone()] == columns[k.clone()],
            Columns::Long(columns) => columns[i.clone()] == columns[k.clone()],
        };
        columns && self.values.as_ref().is_none_or(|v| v[i] == v[k])
    }

    pub(super) fn nrows(&self) -> usize {
        self.start.len() - 1
    }

    /// The given rows, each as often as it occurs.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let from = &self.start;
        let start = ends(from, rows);
        fn copy<T: Copy>(x: T) -> T {
            x
        }
        SparseRows {
            columns: match &self.columns {
                Columns::Short(columns) => Columns::Short(pick(columns, from, rows, &start, copy)),
                Columns::Long(columns) => Columns::Long(pick(columns, from, rows, &start, copy)),
            },
            values: self
                .values
                .as_ref()
                .map(|values| pick(values, from, rows, &start, copy)),
            start,
        }
    }

    /// The rows of the product with `other`, whose rows are the columns of this.
    pub(super) fn times(&self, other: &SparseRows) -> Self {
        let mut start = vec![0];
        let (mut columns, mut values) = (Vec::<u16>::new(), Vec::new());
        for i in 0..self.nrows() {
            self.each(i, |t, z| {
                other.each(t, |j, v| {
                    columns.push(j as u16);
                    values.push(z * v);
                });
            });
            start.push(columns.len());
        }
        let ones = values.iter().all(|&v| v == 1.0);
        SparseRows::of_codes(start, columns, (!ones).then_some(values))
    }

    /// Entries of row i.
    pub(super) fn length(&self, i: usize) -> usize {
        self.start[i + 1] - self.start[i]
    }

    pub(super) fn stored(&self) -> usize {
        self.start[self.start.len() - 1]
    }

    /// Σ (row length + 1)².
    pub(super) fn squared_lengths(&self) -> f64 {
        let lengths = self.start.windows(2).map(|w| w[1] - w[0] + 1);
        lengths.map(|l| (l as f64).powi(2)).sum()
    }

    /// Calls `visit(column, value)` for the entries of row i.
    pub(super) fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        let range = self.start[i]..self.start[i + 1];
        with_types!(self, |columns, values| {
            let values = values.part(range.clone());
            for (k, j) in columns[range].iter().enumerate() {
                visit(j.at(), values.of(k));
            }
        });
    }

    /// `out`ᵢ = offset + aᵢᵀw for a range of rows.
    pub(super) fn mul(&self, rows: Rows, offset: f64, w: &[f64], out: &mut [f64]) {
        let start = &self.start[rows.start..=rows.end];
        with_types!(self, |columns, values| {
            for (out, ends) in out.iter_mut().zip(start.windows(2)) {
                let range = ends[0]..ends[1];
                *out = dot(&columns[range.clone()], values.part(range), offset, w);
            }
        });
    }

    /// `out`ᵢ += aᵢᵀw for a range of rows.
    pub(super) fn add_mul(&self, rows: Rows, w: &[f64], out: &mut [f64]) {
        let start = &self.start[rows.start..=rows.end];
        with_types!(self, |columns, values| {
            for (out, ends) in out.iter_mut().zip(start.windows(2)) {
                let range = ends[0]..ends[1];
                *out = dot(&columns[range.clone()], values.part(range), *out, w);
            }
        });
    }

    /// `out` += Σᵢ rᵢ aᵢ over a range of rows, to whose first row r₀ belongs.
    pub(super) fn add_transpose(&self, rows: Rows, r: &[f64], out: &mut [f64]) {
        self.add_scaled(rows, r.iter().copied(), out);
    }

    /// The same for any sequence of numbers r.
    #[inline(always)]
    pub(super) fn add_scaled(&self, rows: Rows, r: impl Iterator<Item = f64>, out: &mut [f64]) {
        let start = &self.start[rows.start..=rows.end];
        with_types!(self, |columns, values| {
            for (r, ends) in r.zip(start.windows(2)) {
                let range = ends[0]..ends[1];
                add_row(&columns[range.clone()], values.part(range), |v| r * v, out);
            }
        });
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
        let start = &self.start[rows.start..=rows.end];
        with_types!(self, |columns, values| {
            for (r, ends) in r.iter().zip(start.windows(2)) {
                let range = ends[0]..ends[1];
                let scaled = |v: f64| r * v * v;
                add_row(&columns[range.clone()], values.part(range), scaled, out);
            }
        });
    }

    /// Adds Σᵢ rᵢ aᵢaᵢᵀ over a range of rows to the lower triangle of a column-major matrix of
    /// order `order`; with one more than the features the last coordinate is 1 in every row.
    pub(super) fn add_gram(
        &self,
        rows: Rows,
        r: &[f64],
        ones: bool,
        order: usize,
        out: &mut [f64],
    ) {
        let start = &self.start[rows.start..=rows.end];
        with_types!(self, |columns, values| {
            for (&r, ends) in r.iter().zip(start.windows(2)) {
                if r != 0.0 {
                    let range = ends[0]..ends[1];
                    let values = values.part(range.clone());
                    add_outer(&columns[range], values, r, ones, order, out);
                }
            }
        });
    }

    /// The entries by columns.
    pub(super) fn by_columns(&self, features: usize) -> ByColumns {
        let mut start = vec![0usize; features + 1];
        let stored = self.stored();
        with_types!(self, |columns, values| {
            for j in columns {
                start[j.at() + 1] += 1;
            }
            for j in 0..features {
                start[j + 1] += start[j];
            }
            let mut next = start.clone();
            let mut entry = vec![Entry::default(); stored];
            for (i, ends) in self.start.windows(2).enumerate() {
                for p in ends[0]..ends[1] {
                    let slot = &mut next[columns[p].at()];
                    entry[*slot] = Entry {
                        row: i as u32,
                        place: p,
                        value: values.of(p),
                    };
                    *slot += 1;
                }
            }
            ByColumns { start, entry }
        })
    }

    /// Column j of Aᵀ diag(r) A from its diagonal down; `out` has a last place for a column of
    /// ones if it is longer than the features.
    pub(super) fn gram_column(
        &self,
        by_columns: &ByColumns,
        j: usize,
        features: usize,
        r: &[f64],
        out: &mut [f64],
    ) {
        out.fill(0.0);
        if j == features {
            out[j] = r.iter().sum();
            return;
        }
        with_types!(self, |columns, values| {
            for entry in &by_columns.entry[by_columns.start[j]..by_columns.start[j + 1]] {
                let row = entry.row as usize;
                let scaled = r[row] * entry.value;
                let tail = entry.place..self.start[row + 1];
                let values = values.part(tail.clone());
                for (k, i) in columns[tail].iter().enumerate() {
                    out[i.at()] += scaled * values.of(k);
                }
                if let Some(ones) = out.get_mut(features) {
                    *ones += scaled;
                }
            }
        });
    }
}

/// Where the entries of the given rows end, after the 0 that they begin with.
fn ends(start: &[usize], rows: &[usize]) -> Vec<usize> {
    let mut end = 0;
    let ends = rows.iter().map(|&i| {
        end += start[i + 1] - start[i];
        end
    });
    std::iter::once(0).chain(ends).collect()
}

/// The entries of the given rows, which end at `ends`.
fn pick<T: Copy + Sync, U: Copy + Default + Send>(
    from: &[T],
    start: &[usize],
    rows: &[usize],
    ends: &[usize],
    convert: impl Fn(T) -> U + Sync + Send,
) -> Vec<U> {
    let total = ends[rows.len()];
    let pieces = pieces(0..rows.len(), 2 * total);
    if pieces.len() <= 1 {
        let mut out = Vec::with_capacity(total);
        for &i in rows {
            out.extend(from[start[i]..start[i + 1]].iter().map(|x| convert(*x)));
        }
        return out;
    }
    let mut out = vec![U::default(); total];
    let mut rest = &mut out[..];
    let mut parts = Vec::new();
    for range in pieces {
        let part;
        (part, rest) = rest.split_at_mut(ends[range.end] - ends[range.start]);
        parts.push((&rows[range], part));
    }
    map(parts, 2 * total, |(rows, mut out)| {
        for &i in rows {
            let entries = &from[start[i]..start[i + 1]];
            let row;
            (row, out) = out.split_at_mut(entries.len());
            for (out, entry) in row.iter_mut().zip(entries) {
                *out = convert(*entry);
            }
        }
    });
    out
}

/// Adds r a aᵀ for one row, whose columns ascend; see [`SparseRows::add_gram`].
///
/// Four columns of the matrix are filled at a time: fewer and longer loops.
#[inline(always)]
fn add_outer<C: Column, V: Values>(
    columns: &[C],
    values: V,
    r: f64,
    ones: bool,
    order: usize,
    out: &mut [f64],
) {
    let (fours, rest) = columns.as_chunks::<4>();
    for (k, four) in fours.iter().enumerate() {
        let first = 4 * k;
        let j = four.map(Column::at);
        let v: [f64; 4] = std::array::from_fn(|l| values.of(first + l));
        let s = v.map(|v| r * v);
        let (a, out) = out[j[0] * order..].split_at_mut(order);
        let (b, out) = out[(j[1] - j[0] - 1) * order..].split_at_mut(order);
        let (c, out) = out[(j[2] - j[1] - 1) * order..].split_at_mut(order);
        let d = &mut out[(j[3] - j[2] - 1) * order..][..order];
        for l in 0..4 {
            a[j[l]] += s[0] * v[l];
        }
        for l in 1..4 {
            b[j[l]] += s[1] * v[l];
        }
        c[j[2]] += s[2] * v[2];
        c[j[3]] += s[2] * v[3];
        d[j[3]] += s[3] * v[3];
        let after = values.part(first + 4..columns.len());
        for (l, i) in columns[first + 4..].iter().enumerate() {
            let (i, v) = (i.at(), after.of(l));
            a[i] += s[0] * v;
            b[i] += s[1] * v;
            c[i] += s[2] * v;
            d[i] += s[3] * v;
        }
        if ones {
            a[order - 1] += s[0];
            b[order - 1] += s[1];
            c[order - 1] += s[2];
            d[order - 1] += s[3];
        }
    }
    let first = 4 * fours.len();
    for (k, j) in rest.iter().enumerate() {
        let out = &mut out[j.at() * order..][..order];
        let scaled = r * values.of(first + k);
        let after = values.part(first + k..columns.len());
        for (l, i) in rest[k..].iter().enumerate() {
            out[i.at()] += scaled * after.of(l);
        }
        if ones {
            out[order - 1] += scaled;
        }
    }
    if ones {
        out[order * order - 1] += r;
    }
}

/// An entry of a column.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    row: u32,
    /// Position in the arrays by rows.
    place: usize,
    value: f64,
}

/// The entries once more by columns.
#[derive(Debug)]
pub(super) struct ByColumns {
    start: Vec<usize>,
    entry: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use super::super::compare::{on_threads, random};
    use super::*;

    #[test]
    fn chosen_rows_are_copied_in_their_order() {
        let mut state = 2;
        let lengths: Vec<usize> = (0..9000)
            .map(|_| random(&mut state) as usize % 40)
            .collect();
        let mut start = vec![0];
        start.extend(lengths.iter().scan(0, |end, l| {
            *end += l;
            Some(*end)
        }));
        let col: Vec<u32> = lengths.iter().flat_map(|&l| 0..l as u32).collect();
        let value: Vec<f64> = (0..col.len()).map(|k| k as f64).collect();
        let chosen: Vec<u32> = (0..15_000).map(|k| (k * 7919) % 9000).collect();
        for features in [40, 70_000] {
            let rows = |rows: &SparseRows| -> Vec<Vec<(usize, f64)>> {
                let row = |i| {
                    let mut row = Vec::new();
                    rows.each(i, |j, v| row.push((j, v)));
                    row
                };
                (0..rows.nrows()).map(row).collect()
            };
            let csr = (&start[..], &col[..], &value[..]);
            let all = SparseRows::new(features, csr, None);
            let places: Vec<usize> = chosen.iter().map(|&i| i as usize).collect();
            let found = on_threads(|| rows(&SparseRows::new(features, csr, Some(&chosen))));
            let whole = rows(&all);
            assert_eq!(found.len(), chosen.len());
            assert!(found.iter().zip(&places).all(|(row, &i)| *row == whole[i]));
            assert_eq!(on_threads(|| rows(&all.select(&places))), found);
        }
    }
}
