//! The linear program on a list of pairs, by the network simplex method.
//!
//! ```text
//! minimize Σ c_ij x_ij   over x ≥ 0 with row sums a and column sums b, x_ij > 0 for pairs (i, j) of the list
//! ```
//!
//! with whole numbers for a, b and c. Then flows and potentials are exact, no test has a tolerance, and degenerate
//! problems end; see [`Tree`].
//!
//! The list is searched for entering pairs in blocks of the root of its length: of the first block that has a negative
//! reduced cost c_ij − f_i − g_j the least one enters. The method starts from a [`Forest`], whose pairs need not be on the list; once
//! they leave they do not come back.
//!
//! Reference: R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network Flows" (1993), chapter 11.

use super::forest::Forest;
use super::tree::Tree;

/// A row, a column and its cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) cost: i64,
}

/// A basic solution, and the list that it is to be optimal on.
#[derive(Debug)]
pub(super) struct Simplex {
    tree: Tree,
    list: Vec<Pair>,
    /// Where the search goes on.
    next: usize,
    rows: u32,
    /// Σ c_ij x_ij.
    value: f64,
}

impl Simplex {
    /// For positive masses of the same sum: a solution that prefers the pairs at the beginning of the list. `cost` of any pair.
    pub(super) fn new(
        a: Vec<i64>,
        b: Vec<i64>,
        list: Vec<Pair>,
        cost: impl Fn(usize, usize) -> i64,
    ) -> Self {
        let rows = a.len() as u32;
        let tree = Forest::new(a, b, &list, &cost).into_tree(&list, &cost);
        let mut simplex = Simplex {
            tree,
            list,
            next: 0,
            rows,
            value: 0.0,
        };
        let terms = simplex.flows();
        simplex.value = terms.map(|(i, j, x)| x as f64 * cost(i, j) as f64).sum();
        simplex
    }

    /// Puts more pairs on the list.
    pub(super) fn extend(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        self.next = self.list.len();
        self.list.extend(pairs);
    }

    /// Pivots until the solution is optimal on the list, or its value `is_enough`; returns whether it is optimal.
    pub(super) fn optimize(&mut self, is_enough: impl Fn(f64) -> bool) -> bool {
        while !is_enough(self.value) {
            let Some((pair, reduced)) = self.entering() else {
                return true;
            };
            let column = self.rows + pair.column;
            let flow = self.tree.pivot(pair.row, column, reduced);
            self.value += flow as f64 * reduced as f64;
        }
        false
    }

    fn entering(&mut self) -> Option<(Pair, i64)> {
        let count = self.list.len();
        let size = (count as f64).sqrt() as usize + 1;
        let mut searched = 0;
        while searched < count {
            let end = count.min(self.next + size);
            let mut best = (self.next, 0);
            for (k, pair) in (self.next..end).zip(&self.list[self.next..end]) {
                let reduced = self.reduced(pair);
                if reduced < best.1 {
                    best = (k, reduced);
                }
            }
            searched += end - self.next;
            self.next = if end == count { 0 } else { end };
            if best.1 < 0 {
                return Some((self.list[best.0], best.1));
            }
        }
        None
    }

    /// c_ij − f_i − g_j.
    pub(super) fn reduced(&self, pair: &Pair) -> i64 {
        let column = self.rows + pair.column;
        pair.cost - self.tree.potential(pair.row) + self.tree.potential(column)
    }

    /// f_i.
    pub(super) fn row(&self, i: usize) -> i64 {
        self.tree.potential(i as u32)
    }

    /// g_j.
    pub(super) fn column(&self, j: usize) -> i64 {
        -self.tree.potential(self.rows + j as u32)
    }

    /// Σ c_ij x_ij.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Row, column and flow where it is not zero.
    pub(super) fn flows(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        self.tree.flows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0, 1, 2, …, in an order without pattern.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> i64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((self.0 >> 33) % bound) as i64
        }
    }

    /// Marginals, signs, f_i + g_j = c_ij on the tree, and empty pairs with their row below.
    fn check(simplex: &Simplex, a: &[i64], b: &[i64], cost: &[Vec<i64>]) {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        let mut value = 0;
        for (i, j, x) in simplex.flows() {
            a[i] -= x;
            b[j] -= x;
            value += x * cost[i][j];
        }
        assert!(a.iter().chain(&b).all(|v| *v == 0));
        assert_eq!(value as f64, simplex.value());
        let rows = a.len() as u32;
        for v in 1..rows + b.len() as u32 {
            let node = simplex.tree.node(v);
            let (i, j) = if v < rows {
                (v, node.parent)
            } else {
                (node.parent, v)
            };
            let (i, j) = (i as usize, (j - rows) as usize);
            assert_eq!(simplex.row(i) + simplex.column(j), cost[i][j]);
            assert!(node.flow > 0 || (node.flow == 0 && v < rows));
        }
        simplex.tree.check_order();
    }

    #[test]
    fn the_tree_stays_strongly_feasible_and_the_end_is_optimal() {
        let mut random = Numbers(1);
        let mut degenerate = 0;
        for round in 0..300 {
            let (n, m) = (1 + random.below(12) as usize, 1 + random.below(12) as usize);
            // Few different costs and small masses: ties and degenerate pivots.
            let mut row = |_| (0..m).map(|_| random.below(1 + round % 9)).collect();
            let cost: Vec<Vec<i64>> = (0..n).map(&mut row).collect();
            let (mut a, mut b) = (vec![1; n], vec![1; m]);
            let total = (n.max(m) + random.below(5) as usize) as i64;
            for side in [&mut a, &mut b] {
                let places = side.len() as u64;
                for _ in 0..total - places as i64 {
                    side[random.below(places) as usize] += 1;
                }
            }
            let pairs = (0..n).flat_map(|i| (0..m).map(move |j| (i, j)));
            let list: Vec<Pair> = pairs
                .map(|(i, j)| Pair {
                    row: i as u32,
                    column: j as u32,
                    cost: cost[i][j],
                })
                .collect();
            let half: Vec<Pair> = list
                .iter()
                .filter(|_| random.below(2) == 0)
                .copied()
                .collect();
            let mut simplex = Simplex::new(a.clone(), b.clone(), half, |i, j| cost[i][j]);
            check(&simplex, &a, &b, &cost);
            simplex.extend(list.iter().copied());
            while let Some((pair, reduced)) = simplex.entering() {
                let flow = simplex
                    .tree
                    .pivot(pair.row, n as u32 + pair.column, reduced);
                simplex.value += (flow * reduced) as f64;
                degenerate += u32::from(flow == 0);
                check(&simplex, &a, &b, &cost);
            }
            // Feasible potentials of the same value prove it.
            assert!(list.iter().all(|pair| simplex.reduced(pair) >= 0));
            let rows = (0..n).map(|i| a[i] * simplex.row(i)).sum::<i64>();
            let columns = (0..m).map(|j| b[j] * simplex.column(j)).sum::<i64>();
            assert_eq!((rows + columns) as f64, simplex.value());
        }
        assert!(degenerate > 300, "{degenerate}");
    }
}
