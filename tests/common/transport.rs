//! Transport problems with a fixed seed.
#![allow(dead_code)]

use raphson::Transport;
use raphson::transport::{Cost, Metric};

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.uniform()).collect()
    }
    /// Positive, of sum 1.
    pub fn masses(&mut self, n: usize) -> Vec<f64> {
        unit((0..n).map(|_| 0.05 + self.uniform()).collect())
    }
    pub fn matrix(&mut self, n: usize, m: usize) -> Vec<Vec<f64>> {
        (0..n).map(|_| self.vector(m)).collect()
    }
}

pub fn unit(mut v: Vec<f64>) -> Vec<f64> {
    let sum: f64 = v.iter().sum();
    v.iter_mut().for_each(|v| *v /= sum);
    v
}

pub fn uniform(n: usize) -> Vec<f64> {
    vec![1.0 / n as f64; n]
}

/// Independent costs, uniform in [0, 1).
pub fn assignment(n: usize, seed: u64) -> Transport {
    Transport::new(Random(seed).matrix(n, n), uniform(n), uniform(n)).unwrap()
}

/// The largest cost between two clouds in the plane.
pub fn largest(x: &[f64], y: &[f64], metric: Metric) -> f64 {
    let mut largest = 0.0_f64;
    for p in x.chunks(2) {
        for q in y.chunks(2) {
            let (d, e) = (p[0] - q[0], p[1] - q[1]);
            largest = largest.max(match metric {
                Metric::L1 => d.abs() + e.abs(),
                _ => d * d + e * e,
            });
        }
    }
    largest
}

/// Points of the unit square to points of a smaller one; the largest cost is 1.
pub fn cloud(n: usize, m: usize, metric: Metric, seed: u64) -> Transport {
    let mut random = Random(seed);
    let x = random.vector(2 * n);
    let y: Vec<f64> = random.vector(2 * m).iter().map(|v| 0.7 * v + 0.2).collect();
    let scale = 1.0 / largest(&x, &y, metric);
    let cost = Cost::points(&x, &y, 2, metric).unwrap().scaled(scale);
    Transport::new(cost, uniform(n), uniform(m)).unwrap()
}

/// A ring and a blob of `side` x `side` pixels over a background of 10⁻⁴ of the peak.
pub fn images(side: usize) -> (Vec<f64>, Vec<f64>) {
    let image = |centre: (f64, f64), radius: f64, width: f64| {
        let pixels = (0..side * side).map(|k| {
            let (i, j) = (k / side, k % side);
            let at = |v: usize| v as f64 / side as f64;
            let distance = (at(i) - centre.0).hypot(at(j) - centre.1);
            (-((distance - radius) / width).powi(2)).exp().max(1e-4)
        });
        unit(pixels.collect())
    };
    (image((0.5, 0.5), 0.3, 0.08), image((0.4, 0.6), 0.0, 0.1))
}

/// Between the two images; the largest cost is 1.
pub fn pixels(side: usize, metric: Metric) -> Transport {
    let (a, b) = images(side);
    let reach = 2.0 * (side - 1) as f64;
    let scale = match metric {
        Metric::L1 => 1.0 / reach,
        _ => 2.0 / (reach * reach),
    };
    let cost = Cost::grid(side, side, metric).unwrap().scaled(scale);
    Transport::new(cost, a, b).unwrap()
}

/// The least cost of carrying whole units of mass, by successive shortest paths.
pub fn exact(cost: &[Vec<f64>], supply: &[u64], demand: &[u64]) -> f64 {
    let (n, m) = (supply.len(), demand.len());
    let mut flow = vec![vec![0u64; m]; n];
    let (mut left, mut open) = (supply.to_vec(), demand.to_vec());
    while left.iter().any(|v| *v > 0) {
        // Bellman-Ford in the residual graph; nodes are rows, then columns.
        let mut distance = vec![f64::INFINITY; n + m];
        let mut from = vec![usize::MAX; n + m];
        for i in 0..n {
            if left[i] > 0 {
                distance[i] = 0.0;
            }
        }
        let mut moved = true;
        while moved {
            moved = false;
            for i in 0..n {
                for j in 0..m {
                    if distance[i] + cost[i][j] < distance[n + j] - 1e-14 {
                        (distance[n + j], from[n + j], moved) = (distance[i] + cost[i][j], i, true);
                    }
                    if flow[i][j] > 0 && distance[n + j] - cost[i][j] < distance[i] - 1e-14 {
                        (distance[i], from[i], moved) = (distance[n + j] - cost[i][j], n + j, true);
                    }
                }
            }
        }
        let end = (0..m)
            .filter(|&j| open[j] > 0)
            .min_by(|&a, &b| distance[n + a].total_cmp(&distance[n + b]))
            .unwrap();
        let mut path = vec![n + end];
        while from[path[path.len() - 1]] != usize::MAX {
            path.push(from[path[path.len() - 1]]);
        }
        let start = path[path.len() - 1];
        let mut amount = left[start].min(open[end]);
        for edge in path.windows(2) {
            if edge[0] < n {
                amount = amount.min(flow[edge[0]][edge[1] - n]);
            }
        }
        for edge in path.windows(2) {
            if edge[0] >= n {
                flow[edge[1]][edge[0] - n] += amount;
            } else {
                flow[edge[0]][edge[1] - n] -= amount;
            }
        }
        left[start] -= amount;
        open[end] -= amount;
    }
    let pairs = flow.iter().flatten().zip(cost.iter().flatten());
    pairs.map(|(f, c)| *f as f64 * c).sum()
}
