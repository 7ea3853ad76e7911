//! The large entries of P, of which the Newton matrix of the semi-dual is made.

use super::Bench;
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::transport::Sparsification;
use raphson::{SinkhornNewton, Transport};
use std::hint::black_box;

/// ε in units of the squared side of the square, and the share of a row or column that may be lost.
const EPS: f64 = 0.01;
const THETA: f64 = 0.01;

/// n points in the unit square to n others, with the rows of P closed at potentials on the way.
struct Place {
    n: usize,
    /// C_ij by rows.
    cost: Vec<f64>,
    f: Vec<f64>,
    g: Vec<f64>,
    row: Vec<f64>,
    column: Vec<f64>,
}

impl Place {
    /// f, row and column sums from g, by plain loops.
    fn new(n: usize, cost: Vec<f64>, g: &[f64]) -> Self {
        let mass = 1.0 / n as f64;
        let close = |i: usize| {
            let u = |j: usize| (g[j] - cost[i * n + j]) / EPS;
            let top = (0..n).map(u).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..n).map(|j| (u(j) - top).exp()).sum();
            EPS * (mass.ln() - top - sum.ln())
        };
        let f = (0..n).map(close).collect();
        let mut place = Place {
            n,
            f,
            g: g.to_vec(),
            row: vec![mass; n],
            column: vec![0.0; n],
            cost,
        };
        for k in 0..n * n {
            place.column[k % n] += place.entry(k);
        }
        place
    }

    fn entry(&self, k: usize) -> f64 {
        let (i, j) = (k / self.n, k % self.n);
        ((self.f[i] + self.g[j] - self.cost[k]) / EPS).exp()
    }

    /// The entries that pass the test of `Kept`, as they come.
    fn by_limits(&self) -> Vec<(usize, f64)> {
        let n = self.n as f64;
        let limit: Vec<f64> = self.column.iter().map(|c| THETA * c / n).collect();
        let mut kept = Vec::new();
        for i in 0..self.n {
            let own = THETA * self.row[i] / n;
            for (j, limit) in limit.iter().enumerate() {
                let p = self.entry(i * self.n + j);
                if p > own || p > *limit {
                    kept.push((i * self.n + j, p));
                }
            }
        }
        kept
    }

    /// The largest entries that leave out no more mass than `lost`.
    fn by_size(&self, lost: f64) -> Vec<(usize, f64)> {
        let all = 0..self.n * self.n;
        let mut entries: Vec<(usize, f64)> = all.map(|k| (k, self.entry(k))).collect();
        entries.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        let mut left = lost;
        while let Some((_, p)) = entries.last()
            && *p <= left
        {
            left -= p;
            entries.pop();
        }
        entries
    }

    /// What is left out of each row and of each column.
    fn lost(&self, kept: &[(usize, f64)]) -> [Vec<f64>; 2] {
        let mut left: Vec<f64> = (0..self.n * self.n).map(|k| self.entry(k)).collect();
        for (k, _) in kept {
            left[*k] = 0.0;
        }
        let [mut rows, mut columns] = [vec![0.0; self.n], vec![0.0; self.n]];
        for (k, p) in left.iter().enumerate() {
            rows[k / self.n] += p;
            columns[k % self.n] += p;
        }
        [rows, columns]
    }
}

pub fn sparsification(bench: &mut Bench, n: usize) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let mut cloud = || (0..2 * n).map(|_| rng.random::<f64>()).collect::<Vec<_>>();
    let (x, y) = (cloud(), cloud());
    let cost =
        |i: usize, j: usize| -> f64 { (0..2).map(|k| (x[2 * i + k] - y[2 * j + k]).powi(2)).sum() };
    let mass = vec![1.0 / n as f64; n];
    let problem = Transport::new(Mat::from_fn(n, n, cost), mass.clone(), mass).unwrap();
    // As far from the solution as θ says.
    let plan = SinkhornNewton::new(EPS).marginal_tol(THETA).solve(&problem);
    let plan = plan.unwrap().must_converge().unwrap();
    let table = (0..n * n).map(|k| cost(k / n, k % n)).collect();
    let place = Place::new(n, table, plan.g());
    let mut ours = Sparsification::new(&problem, EPS, plan.potentials()).unwrap();
    let count = ours.keep(THETA);

    // The same entries, to single precision, and no row or column without more than its share.
    let kept = place.by_limits();
    let own = ours.entries();
    assert_eq!((own.len(), own.len()), (count, kept.len()));
    for ((i, j, s), (k, p)) in own.iter().zip(&kept) {
        assert!(i * n + j == *k && (s - p).abs() <= 1e-7 * p, "{s} {p}");
    }
    let [rows, columns] = place.lost(&kept);
    let within = |lost: &[f64], of: &[f64]| lost.iter().zip(of).all(|(l, s)| *l <= THETA * s);
    assert!(within(&rows, &place.row) && within(&columns, &place.column));
    let lost: f64 = rows.iter().sum();
    let sorted = place.by_size(lost);
    let [rows, _] = place.lost(&sorted);
    let of_sorted = rows.iter().sum::<f64>();
    let least = sorted.last().map_or(0.0, |(_, p)| *p);
    assert!(of_sorted <= lost * (1.0 + 1e-9) && of_sorted + least >= lost * (1.0 - 1e-9));

    let share = 100.0 * count as f64 / (n * n) as f64;
    bench.pair(
        &format!("sparsification {n}, {share:.1} % kept (a plain loop)"),
        || {
            black_box(ours.keep(THETA));
        },
        || {
            black_box(place.by_limits());
        },
    );
    let share = 100.0 * sorted.len() as f64 / (n * n) as f64;
    bench.pair(
        &format!("sparsification {n} (a full sort, {share:.1} % for the same mass)"),
        || {
            black_box(ours.keep(THETA));
        },
        || {
            black_box(place.by_size(lost));
        },
    );
}
