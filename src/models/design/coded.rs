//! Rows of few distinct parts: codes and a dictionary.
//!
//! One-hot and other categorical data repeats itself: cut the columns into **fields** of neighbours,
//! and the part of a row in a field takes few values. Each value that is not zero is a **token**; a
//! row is a list of at most one token a field, so that
//!
//! A = Z D,  Z n x T with entries 0 and 1,  D T x d, the dictionary.
//!
//! A column of many values is a field by itself whose one token is 1 in D and takes the value in Z.
//! Products run over the tokens, two to four times fewer than the entries: Aw = Z(Dw), Aᵀr = Dᵀ(Zᵀr),
//! and AᵀRA = Dᵀ(ZᵀRZ)D with their square. The fields are disjoint, so A∘A = Z(D∘D).
//!
//! Fields are found on a sample of the rows: columns join the field at their left while it has
//! at most so many values; of a few such limits the cheapest by counted additions wins, if it
//! wins clearly.
//!
//! Source: A. Elgohary, M. Boehm, P. Haas, F. Reiss, B. Reinwald, "Compressed linear algebra for
//! large-scale machine learning" (2016), dense dictionary coding of column groups; fields of
//! neighbours and the count of additions are ours.

mod fields;
mod tokens;

use super::Csr;
use super::rows::SparseRows;
use crate::parallel::map;
use fields::Sample;
use std::sync::Arc;
use tokens::encode;

/// Most rows in the sample, and most entries.
const SAMPLE: usize = 1024;
const SAMPLED: usize = 1 << 14;
/// Most values of a field in the sample.
const LIMITS: [usize; 3] = [16, 32, 64];
/// Most tokens: 2 MiB for their products, half of which are used.
const MOST: usize = 512;
/// Passes over the rows by which a Hessian is accompanied, about.
const PASSES: f64 = 8.0;
/// Operations for an entry of the sample in all cuts, about.
const CUTTING: usize = 32;
/// Additions for each entry of ZᵀRZ beyond those of the rows.
const EXPANSION: f64 = 6.0;
/// Part of the additions that must remain at most.
const CLEARLY: f64 = 0.6;

/// The factors of A.
#[derive(Debug)]
pub(super) struct Coded {
    /// Z.
    pub(super) codes: SparseRows,
    /// D, by tokens.
    pub(super) dictionary: Arc<SparseRows>,
}

impl Coded {
    /// Factors A if that saves work, with a hash of each row. `plain` are the additions for each row and
    /// Hessian without, by the number of passes.
    ///
    /// Cost: five passes over a sample of 1024 rows; if it succeeds, one over the entries.
    pub(super) fn find(
        features: usize,
        csr: Csr<'_>,
        plain: impl Fn(f64) -> f64,
    ) -> Option<(Self, Vec<u64>)> {
        let n = csr.0.len() - 1;
        let length = csr.2.len() / n.max(1);
        let size = (SAMPLED / length.max(1)).clamp(1, SAMPLE);
        let sample = Sample::new(features, csr, (0..size).map(|k| k * n / size));
        let cuts = map(LIMITS.to_vec(), CUTTING * size * length, |limit| {
            sample.cut(limit, n)
        });
        let cuts = cuts.into_iter().flatten();
        let best = cuts.min_by(|a, b| a.cost.total_cmp(&b.cost))?;
        if best.cost > CLEARLY * plain(PASSES) {
            return None;
        }
        encode(csr, best)
    }

    /// Some rows, with the same dictionary; of fewer rows than tokens the entries.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self, SparseRows> {
        let codes = self.codes.select(rows);
        if rows.len() < self.tokens() {
            return Err(codes.times(&self.dictionary));
        }
        let dictionary = Arc::clone(&self.dictionary);
        Ok(Coded { codes, dictionary })
    }

    /// Only the given rows.
    pub(super) fn take(mut self, rows: &[u32]) -> Self {
        let rows: Vec<usize> = rows.iter().map(|&i| i as usize).collect();
        self.codes = self.codes.select(&rows);
        self
    }

    /// T.
    pub(super) fn tokens(&self) -> usize {
        self.dictionary.nrows()
    }

    /// Additions beyond those of the rows in forming AᵀRA.
    pub(super) fn expansion(&self) -> f64 {
        EXPANSION * (self.tokens() as f64).powi(2)
    }

    /// Calls `visit(column, value)` for the entries of row i.
    pub(super) fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        self.codes.each(i, |token, z| {
            self.dictionary.each(token, |j, v| visit(j, z * v));
        });
    }

    /// The lower triangle of DᵀCD for that of C, of order T, by columns; a row and a column of
    /// ones may follow in both. C has no products of different tokens of one field.
    ///
    /// Cost: about T² additions for each entry of a token.
    pub(super) fn expand(&self, c: &[f64], order: usize, room: &mut Vec<f64>, size: usize) {
        let tokens = self.tokens();
        room.clear();
        room.resize(size * (size + 1), 0.0);
        let (out, column) = room.split_at_mut(size * size);
        for s in 0..tokens {
            let of_s = &c[s * order..][..order];
            if of_s[s..].iter().all(|c| *c == 0.0) {
                continue; // no row has this token
            }
            column.fill(0.0);
            let features = &mut column[..size - (order - tokens)];
            self.dictionary
                .add_transpose(s..tokens, &of_s[s..tokens], features);
            if order > tokens {
                column[size - 1] = of_s[tokens];
            }
            self.dictionary.each(s, |j, v| {
                let out = &mut out[j * size..][..size];
                for (out, c) in out[j..].iter_mut().zip(&column[j..]) {
                    *out += v * c;
                }
            });
        }
        if order > tokens {
            out[size * size - 1] = c[order * order - 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{on_threads, random, same_grams, same_products};
    use super::super::{Design, GramScratch, Merged};
    use super::*;
    use crate::data::Dataset;
    use faer::Mat;

    /// Three one-hot groups that depend on each other, a count, a column of many values with
    /// stored zeros, and some empty rows.
    fn mixed(n: usize) -> Dataset {
        let mut state = 7;
        let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
        for i in 0..n {
            let kind = random(&mut state) % 5;
            if i % 97 != 0 {
                let count = random(&mut state) % 4;
                let raw = if i % 31 == 0 {
                    0.0
                } else {
                    random(&mut state) as f64 * 1e-9
                };
                let entries = [
                    (kind, 1.0),
                    (5 + (kind + random(&mut state) % 2) % 4, 1.0),
                    (9 + random(&mut state) % 3, -0.5),
                    (12, count as f64),
                    (13, raw),
                ];
                for (j, v) in entries {
                    if j != 12 || v != 0.0 {
                        col.push(j as u32);
                        value.push(v);
                    }
                }
            }
            start.push(col.len());
        }
        let labels = (0..n).map(|i| (i % 2) as f64).collect();
        Dataset::from_parts(start, col, value, 14, labels, None)
    }

    fn forced(data: &Dataset) -> (Coded, Vec<u64>) {
        Coded::find(data.n_features(), data.csr(), |_| f64::INFINITY).unwrap()
    }

    #[test]
    fn the_factors_give_the_rows_back() {
        let data = mixed(3000);
        let (coded, _) = forced(&data);
        assert!(coded.codes.stored() < data.csr().2.len());
        for i in 0..3000 {
            let mut row = (Vec::new(), Vec::new());
            coded.each(i, |j, v| {
                row.0.push(j as u32);
                row.1.push(v);
            });
            assert_eq!((&row.0[..], &row.1[..]), data.row(i), "row {i}");
        }
        let many = mixed(30_000);
        on_threads(|| {
            let (coded, hashes) = forced(&many);
            let row = |i| {
                let mut row = Vec::new();
                coded.each(i, |j, v| row.push((j, v.to_bits())));
                row
            };
            ((0..30_000).map(row).collect::<Vec<_>>(), hashes)
        });
        // A few rows come back as entries.
        let plain = coded.select(&[2999, 5, 5]).unwrap_err();
        let mut row = Vec::new();
        plain.each(0, |_, v| row.push(v));
        assert_eq!(row, data.row(2999).1);
        assert!(plain.equal(1, 2) && !plain.equal(0, 1));
    }

    #[test]
    fn values_that_the_sample_lacks_have_room_of_their_own() {
        // Every other row is sampled. The other values come later and later, so that pieces of the
        // rows meet them in different order.
        let n = 30_000;
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let other = (i / 2 * 5) % (1 + i * 7 / n);
                let count = if i % 2 == 0 { i / 2 % 2 } else { other };
                vec![1.0 + count as f64, f64::from(i % 3 == 0), 2.0]
            })
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; n]).unwrap();
        let sample = |step| Sample::new(3, data.csr(), (0..n).step_by(step));
        let encoded = || encode(data.csr(), sample(2).cut(16, n).unwrap()).unwrap();
        let (coded, _) = encoded();
        on_threads(|| {
            let (coded, hashes) = encoded();
            let codes = |i| {
                let mut row = Vec::new();
                coded.codes.each(i, |token, _| row.push(token));
                row
            };
            (
                coded.tokens(),
                (0..n).map(codes).collect::<Vec<_>>(),
                hashes,
            )
        });
        for (i, row) in rows.iter().enumerate() {
            let mut found = vec![0.0; 3];
            coded.each(i, |j, v| found[j] = v);
            assert_eq!(found, *row, "row {i}");
        }
        // Two values have room for five more, not for six.
        let mut column = sample(2).columns[0].clone();
        column.width = column.wanted();
        assert_eq!(
            (column.width, column.values.as_ref().map(Vec::len)),
            (3, Some(2))
        );
        let numbers: Vec<Option<u64>> = (1..=8)
            .map(|v| column.number(f64::from(v).to_bits()))
            .collect();
        assert_eq!(
            numbers[2..],
            [Some(3), Some(4), Some(5), Some(6), Some(7), None]
        );
    }

    #[test]
    fn every_product_is_that_of_the_entries() {
        let data = mixed(2500);
        let n = data.n_rows();
        let coded = Design::coded(14, forced(&data).0);
        let plain = Design::sparse(n, 14, SparseRows::new(14, data.csr(), None));
        same_products(&coded, &plain);
        same_grams(&coded, &plain);
    }

    #[test]
    fn one_column_is_enough() {
        let rows: Vec<Vec<f64>> = (0..2100).map(|i| vec![f64::from(i % 4)]).collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 2100]).unwrap();
        let coded = Design::coded(1, forced(&data).0);
        let plain = Design::sparse(2100, 1, SparseRows::new(1, data.csr(), None));
        same_products(&coded, &plain);
        same_grams(&coded, &plain);
    }

    #[test]
    fn rows_without_entries_have_the_intercept() {
        let n = 2100;
        let data = Dataset::from_parts(vec![0; n + 1], vec![], vec![], 3, vec![1.0; n], None);
        let design = Design::coded(3, forced(&data).0);
        let mut out = vec![0.0; n];
        design.mul(&[1.0, 2.0, 3.0], &mut out);
        assert!(out.iter().all(|m| *m == 0.0));
        design.mul(&[1.0, 2.0, 3.0, 4.0], &mut out);
        assert!(out.iter().all(|m| *m == 4.0));
        let mut sums = [5.0; 4];
        design.mul_transpose(&out, &mut sums);
        assert_eq!(sums, [0.0, 0.0, 0.0, 4.0 * n as f64]);
        let mut gram = Mat::zeros(4, 4);
        design.gram(&out, gram.as_mut(), &mut GramScratch::default());
        assert_eq!(gram.col_as_slice(3)[3], 4.0 * n as f64);
        assert_eq!(gram.sum(), 4.0 * n as f64);
    }

    #[test]
    fn equal_rows_are_those_of_the_entries() {
        let rows: Vec<Vec<f64>> = (0..4000_u64)
            .map(|i| {
                let i = i * i;
                vec![(i % 3) as f64, (i % 5) as f64, 0.0, f64::from(i % 7 == 1)]
            })
            .collect();
        let labels: Vec<f64> = (0..4000).map(|i| f64::from(i % 2 == 0)).collect();
        let data = Dataset::from_rows(&rows, &labels).unwrap();
        let (coded, hashes) = forced(&data);
        let by_codes = Merged::find_coded(&coded.codes, &hashes, &labels).unwrap();
        let by_entries = Merged::find(&data).unwrap();
        assert_eq!(by_codes.first, by_entries.first);
        assert_eq!(by_codes.class, by_entries.class);
    }

    #[test]
    fn data_without_repetition_is_left_alone() {
        let mut state = 1;
        let rows: Vec<Vec<f64>> = (0..2500)
            .map(|_| (0..6).map(|_| random(&mut state) as f64).collect())
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 2500]).unwrap();
        assert!(Design::new(&data).columns().is_some());
        // A value that the sample does not have, many times over.
        let rows: Vec<Vec<f64>> = (0..2500)
            .map(|i| vec![1.0, if i % 2 == 0 { 1.0 } else { i as f64 }])
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 2500]).unwrap();
        let sample = Sample::new(2, data.csr(), (0..2500).step_by(2));
        assert!(encode(data.csr(), sample.cut(16, 2500).unwrap()).is_none());
        // Too few rows.
        let few = mixed(2047);
        assert!(Design::find_code(&few).is_none());
        assert!(Design::find_code(&mixed(2048)).is_some());
    }
}
