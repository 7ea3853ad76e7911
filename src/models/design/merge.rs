//! Equal rows, which a mean can count with their weight instead of visiting each.

use super::Design;
use crate::data::Dataset;

/// Fewer rows are not searched.
const FEWEST: usize = 2048;
/// After so many rows the search ends unless one in 64 was equal to one before.
const PROBE: usize = 4096;

/// Which rows of a data set are equal.
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
    pub(crate) fn find(data: &Dataset) -> Option<Self> {
        let n = data.n_rows();
        if n < FEWEST || n > u32::MAX as usize / 2 {
            return None;
        }
        const EMPTY: u32 = u32::MAX;
        let size = (2 * n).next_power_of_two();
        let mut table = vec![EMPTY; size];
        let (mut first, mut class) = (Vec::new(), Vec::with_capacity(n));
        let mut hashes: Vec<u64> = Vec::new();
        for i in 0..n {
            if i == PROBE && first.len() + PROBE / 64 > PROBE {
                return None;
            }
            let row = (data.row(i), data.labels()[i]);
            let hash = hash(row);
            let mut slot = (hash >> 20) as usize & (size - 1);
            let found = loop {
                let found = table[slot];
                if found == EMPTY {
                    table[slot] = first.len() as u32;
                    first.push(i as u32);
                    hashes.push(hash);
                    break table[slot];
                }
                let other = first[found as usize] as usize;
                if hashes[found as usize] == hash && row == (data.row(other), data.labels()[other])
                {
                    break found;
                }
                slot = (slot + 1) & (size - 1);
            };
            class.push(found);
        }
        (10 * first.len() <= 9 * n).then_some(Merged { first, class })
    }

    /// The data matrix with one row of each class.
    pub(crate) fn design(&self, data: &Dataset) -> Design {
        Design::of(data, Some(&self.first))
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

/// Rows that are equal as numbers have equal hashes: 0 counts as -0.
fn hash(((cols, values), label): ((&[u32], &[f64]), f64)) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = |x: u64| x.wrapping_mul(FACTOR);
    // Two chains of short steps; the products are off them.
    let bits = |x: f64| {
        let x = (x + 0.0).to_bits();
        x ^ (x >> 32)
    };
    let mut columns = spread(bits(label));
    let mut numbers = cols.len() as u64;
    for (&j, &v) in cols.iter().zip(values) {
        columns = columns.rotate_left(7) ^ spread(u64::from(j) + 1);
        numbers = numbers.rotate_left(9) ^ spread(bits(v));
    }
    let h = spread(columns ^ numbers.rotate_left(32));
    h ^ (h >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(n: usize, kinds: usize) -> Dataset {
        let rows: Vec<Vec<f64>> = (0..n).map(|i| vec![(i % kinds) as f64, 0.0]).collect();
        let labels: Vec<f64> = (0..n).map(|i| 1e12 + f64::from(i % 2 == 0)).collect();
        Dataset::from_rows(&rows, &labels).unwrap()
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
