//! The order of the rows, which a mean is free to choose.
//!
//! Equal rows are counted with their weight instead of visited each. Short rows are visited in the
//! order of their lengths: loops over their entries then end where the processor expects it, which
//! doubles the speed of products with rows of a dozen entries. They are dealt to runs of ascending
//! lengths, which are alike, so that consecutive rows make parts of equal work for many threads.

use super::rows::SparseRows;
use crate::data::Dataset;
use crate::parallel::{map, pieces};
use std::ops::Range;

/// Fewer rows are not searched.
const FEWEST: usize = 2048;
/// After so many rows the search ends unless one in 64 was equal to one before.
const PROBE: usize = 4096;
/// Operations for a hash and its search, about.
const HASH: usize = 64;
/// An odd number without pattern, 2⁶⁴ over the golden ratio.
pub(super) const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
/// Entries of a row on average up to which rows are ordered by length.
const SHORT: f64 = 48.0;

/// Runs of ascending lengths.
const RUNS: usize = 16;

/// Whether so many rows are worth a search, and have numbers of 32 bits.
pub(super) fn searches(n: usize) -> bool {
    (FEWEST..u32::MAX as usize / 2).contains(&n)
}

/// Whether rows of so many entries on average, `n` in all, are worth an order.
pub(super) fn orders(n: usize, mean_length: f64) -> bool {
    searches(n) && mean_length <= SHORT
}

/// The rows of a data set in classes of equal ones.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The first of each class of equal rows.
    pub(crate) first: Vec<u32>,
    /// The class of each row.
    pub(crate) class: Vec<u32>,
}

impl Merged {
    /// The rows of `data` that are equal in entries and label, if they are a tenth of all or more.
    ///
    /// Cost: one pass over the entries, of the first 4096 rows only if too few of them are equal.
    pub(super) fn find(data: &Dataset) -> Option<Self> {
        let (row, labels) = (|i| data.row(i), data.labels());
        let hash = |i| hash(row(i), labels[i]);
        Merged::search(data.n_rows(), hash, |i, k| {
            labels[i] == labels[k] && row(i) == row(k)
        })
    }

    /// The same by codes of the rows.
    pub(super) fn find_coded(codes: &SparseRows, hashes: &[u64], labels: &[f64]) -> Option<Self> {
        let hash = |i: usize| hashes[i] ^ spread(bits(labels[i]));
        Merged::search(labels.len(), hash, |i, k| {
            labels[i] == labels[k] && codes.equal(i, k)
        })
    }

    fn search(
        n: usize,
        hash: impl Fn(usize) -> u64 + Sync + Send,
        equal: impl Fn(usize, usize) -> bool + Sync + Send,
    ) -> Option<Self> {
        if !searches(n) {
            return None;
        }
        let mut classes = Classes::of(n);
        let probe = n.min(PROBE);
        classes.add(0..probe, &hash, &equal);
        if n > PROBE && classes.first.len() + PROBE / 64 > PROBE {
            return None;
        }
        match &pieces(probe..n, n * HASH)[..] {
            [rest] => classes.add(rest.clone(), &hash, &equal),
            pieces => {
                let found = map(pieces.to_vec(), n * HASH, |rows| {
                    let mut classes = Classes::of(rows.len());
                    classes.add(rows, &hash, &equal);
                    classes
                });
                for found in found {
                    classes.join(&found, &equal);
                }
            }
        }
        let Classes { first, class, .. } = classes;
        (10 * first.len() <= 9 * n).then_some(Merged { first, class })
    }

    /// Every row by itself.
    pub(super) fn none(n: usize) -> Self {
        Merged {
            first: (0..n as u32).collect(),
            class: (0..n as u32).collect(),
        }
    }

    /// With the classes in runs of ascending lengths of their rows, of one length those of one row first, so that
    /// neighbours have equal weights; else they keep their order.
    pub(super) fn by_length(mut self, length: impl Fn(usize) -> usize) -> Self {
        let mut several = vec![0u8; self.first.len()];
        for &class in &self.class {
            let count = &mut several[class as usize];
            *count = (*count + 1).min(2);
        }
        let classes = self.first.iter().zip(&several);
        let kinds: Vec<usize> = classes
            .map(|(&i, &count)| 2 * length(i as usize) + usize::from(count > 1))
            .collect();
        let most = kinds.iter().max().map_or(0, |l| l + 1);
        let mut next = vec![0u32; most + 1];
        for l in &kinds {
            next[l + 1] += 1;
        }
        for l in 0..most {
            next[l + 1] += next[l];
        }
        let n = kinds.len();
        let (whole, rest) = (n / RUNS, n % RUNS);
        let mut place = vec![0; n];
        let mut first = vec![0; n];
        for (class, l) in kinds.iter().enumerate() {
            let (k, run) = (next[*l] as usize / RUNS, next[*l] as usize % RUNS);
            let dealt = run * whole + run.min(rest) + k;
            place[class] = dealt as u32;
            first[dealt] = self.first[class];
            next[*l] += 1;
        }
        self.first = first;
        for class in &mut self.class {
            *class = place[*class as usize];
        }
        self
    }

    /// The sum of the numbers of each class.
    pub(crate) fn add_up(&self, numbers: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.first.len()];
        for (&class, number) in self.class.iter().zip(numbers) {
            sums[class as usize] += number;
        }
        sums
    }
}

/// Classes of equal rows, in the order of their first ones.
struct Classes {
    /// Class by hash, or [`EMPTY`].
    table: Vec<u32>,
    first: Vec<u32>,
    /// The hash of each class.
    hashes: Vec<u64>,
    /// The class of each row.
    class: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Classes {
    /// Of at most n rows.
    fn of(n: usize) -> Self {
        Classes {
            table: vec![EMPTY; (2 * n).next_power_of_two()],
            first: Vec::new(),
            hashes: Vec::new(),
            class: Vec::with_capacity(n),
        }
    }

    /// The class of row i.
    #[inline(always)]
    fn number(&mut self, i: u32, hash: u64, equal: &impl Fn(usize, usize) -> bool) -> u32 {
        let mask = self.table.len() - 1;
        let mut slot = (hash >> 20) as usize & mask;
        loop {
            let found = self.table[slot];
            if found == EMPTY {
                self.table[slot] = self.first.len() as u32;
                self.first.push(i);
                self.hashes.push(hash);
                return self.table[slot];
            }
            let other = self.first[found as usize] as usize;
            if self.hashes[found as usize] == hash && equal(i as usize, other) {
                return found;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn add(
        &mut self,
        rows: Range<usize>,
        hash: &impl Fn(usize) -> u64,
        equal: &impl Fn(usize, usize) -> bool,
    ) {
        for i in rows {
            let class = self.number(i as u32, hash(i), equal);
            self.class.push(class);
        }
    }

    /// Adds the rows that `other` has classes of.
    fn join(&mut self, other: &Classes, equal: &impl Fn(usize, usize) -> bool) {
        let rows = other.first.iter().zip(&other.hashes);
        let numbers: Vec<u32> = rows
            .map(|(&i, &hash)| self.number(i, hash, equal))
            .collect();
        let classes = other.class.iter().map(|&class| numbers[class as usize]);
        self.class.extend(classes);
    }
}

/// Rows that are equal as numbers have equal hashes: 0 counts as -0.
fn hash((cols, values): (&[u32], &[f64]), label: f64) -> u64 {
    // Two chains of short steps; the products are off them.
    let mut columns = spread(bits(label));
    let mut numbers = cols.len() as u64;
    for (&j, &v) in cols.iter().zip(values) {
        columns = columns.rotate_left(7) ^ spread(u64::from(j) + 1);
        numbers = numbers.rotate_left(9) ^ spread(bits(v));
    }
    let h = spread(columns ^ numbers.rotate_left(32));
    h ^ (h >> 32)
}

fn spread(x: u64) -> u64 {
    x.wrapping_mul(FACTOR)
}

fn bits(x: f64) -> u64 {
    let x = (x + 0.0).to_bits();
    x ^ (x >> 32)
}

#[cfg(test)]
mod tests {
    use super::super::compare::{on_threads, random};
    use super::*;

    fn data(n: usize, kinds: usize) -> Dataset {
        let rows: Vec<Vec<f64>> = (0..n).map(|i| vec![(i % kinds) as f64, 0.0]).collect();
        let labels: Vec<f64> = (0..n).map(|i| 1e12 + f64::from(i % 2 == 0)).collect();
        Dataset::from_rows(&rows, &labels).unwrap()
    }

    #[test]
    fn rows_are_dealt_to_runs_of_ascending_lengths() {
        let n = 1003;
        let length = |i: usize| i * i % 41;
        let merged = Merged::none(n).by_length(length);
        let mut seen = vec![false; n];
        for (i, &class) in merged.class.iter().enumerate() {
            assert_eq!(merged.first[class as usize] as usize, i);
            assert!(!std::mem::replace(&mut seen[class as usize], true));
        }
        let lengths: Vec<usize> = merged.first.iter().map(|&i| length(i as usize)).collect();
        let falls = lengths.windows(2).filter(|w| w[0] > w[1]).count();
        assert_eq!(falls, RUNS - 1);
        let total: usize = lengths.iter().map(|l| l * l).sum();
        let half: usize = lengths[..n / 2].iter().map(|l| l * l).sum();
        assert!(total.abs_diff(2 * half) * 50 < total, "{half} of {total}");
    }

    #[test]
    fn equal_rows_are_found_across_pieces_of_the_data() {
        let mut state = 1;
        // Each row some three times, and one row many times.
        let rows: Vec<Vec<f64>> = (0..20_000)
            .map(|_| match random(&mut state) % 7 {
                0 => vec![1.0, 2.0],
                _ => vec![(random(&mut state) % 6000) as f64, 0.5],
            })
            .collect();
        let labels: Vec<f64> = (0..20_000).map(|i| f64::from(i % 5 == 0)).collect();
        let data = Dataset::from_rows(&rows, &labels).unwrap();
        let mut seen = std::collections::HashMap::new();
        let mut first = Vec::new();
        let class: Vec<u32> = (0..20_000)
            .map(|i| {
                let row = [
                    rows[i][0].to_bits(),
                    rows[i][1].to_bits(),
                    labels[i].to_bits(),
                ];
                *seen.entry(row).or_insert_with(|| {
                    first.push(i as u32);
                    first.len() as u32 - 1
                })
            })
            .collect();
        let found = on_threads(|| {
            let merged = Merged::find(&data).unwrap();
            (merged.first, merged.class)
        });
        assert!(first.len() > 5000);
        assert_eq!(found, (first, class));
    }

    #[test]
    fn equal_rows_with_equal_labels_are_found() {
        for n in [2048, 4096, 4097, 10_001] {
            let merged = Merged::find(&data(n, 7)).unwrap();
            assert_eq!(merged.first, (0..14).collect::<Vec<u32>>());
            assert!((0..n).all(|i| merged.class[i] as usize == i % 14));
            let ones = merged.add_up(&vec![1.0; n]);
            assert_eq!(ones.iter().sum::<f64>(), n as f64);
        }
        assert!(Merged::find(&data(2047, 7)).is_none());
        // One in a hundred is equal to another.
        assert!(Merged::find(&data(10_000, 9900)).is_none());
        assert!(Merged::find(&data(4000, 3960)).is_none());
    }
}
