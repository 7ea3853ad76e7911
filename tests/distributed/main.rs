//! Rows over ranks, here threads of one process: the same results as on one machine.

mod failures;
mod reading;
mod same_as_one_process;
#[cfg(feature = "mmap")]
mod stream;
#[path = "../common/sums.rs"]
mod sums;

use raphson::Dataset;
use raphson::stochastic::{Purpose, Stream};

/// Rows with normal entries and noisy labels ±1; some rows and columns are sparse.
pub fn data(n: usize, d: usize) -> Dataset {
    let mut stream = Stream::new(3, Purpose::Escape);
    let truth: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
    let mut labels = Vec::new();
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let row: Vec<f64> = (0..d)
                .map(|j| {
                    if (i + j).is_multiple_of(3) {
                        0.0
                    } else {
                        stream.normal()
                    }
                })
                .collect();
            let margin: f64 = row.iter().zip(&truth).map(|(a, w)| a * w).sum();
            labels.push(if margin + 2.0 * stream.normal() > 0.0 {
                1.0
            } else {
                -1.0
            });
            row
        })
        .collect();
    Dataset::from_rows(&rows, &labels).unwrap()
}

/// The rows of rank r of p: unequal parts, and of four ranks the third one has none.
pub fn rows(n: usize, r: usize, p: usize) -> Vec<usize> {
    let cut = |r: usize| match (p, r) {
        (4, 2 | 3) => 2 * n / 3,
        _ if r == 0 || r == p => n * r / p,
        _ => (n * r).div_ceil(p) - r % 2,
    };
    (cut(r)..cut(r + 1)).collect()
}

#[test]
fn parts_cover_the_rows_once() {
    for p in 1..=5 {
        let all: Vec<usize> = (0..p).flat_map(|r| rows(97, r, p)).collect();
        assert_eq!(all, (0..97).collect::<Vec<_>>(), "{p} ranks");
    }
    assert!(rows(97, 2, 4).is_empty());
}
