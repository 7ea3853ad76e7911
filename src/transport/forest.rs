//! A basic solution to start the simplex method from.
//!
//! Pairs of a list, in its order, take what is left of the masses of their row and column; each fills one of the two, so
//! they make no cycle. What is left after the list goes by the cheapest pairs there are. The parts of this forest become one
//! tree by empty pairs from a row of the part below to a column of the part above, which makes it strongly feasible.

use super::simplex::Pair;
use super::tree::{NONE, Tree};

/// One end of a pair that carries flow.
struct Link {
    to: u32,
    flow: i64,
    cost: i64,
    /// The next link of the same node.
    next: u32,
}

/// Pairs that carry flow, and make no cycle.
pub(super) struct Forest {
    /// The first link of every node.
    first: Vec<u32>,
    links: Vec<Link>,
    rows: usize,
}

impl Forest {
    /// For masses of the same sum; `cost` of any pair.
    pub(super) fn new(
        mut a: Vec<i64>,
        mut b: Vec<i64>,
        list: &[Pair],
        cost: impl Fn(usize, usize) -> i64,
    ) -> Self {
        let n = a.len();
        let mut forest = Forest {
            first: vec![NONE; n + b.len()],
            links: Vec::with_capacity(2 * (n + b.len())),
            rows: n,
        };
        let mut fill = |i: usize, j: usize, cost: i64, a: &mut i64, b: &mut i64| {
            let flow = (*a).min(*b);
            if flow > 0 {
                *a -= flow;
                *b -= flow;
                forest.add(i as u32, (n + j) as u32, flow, cost);
            }
        };
        for pair in list {
            let (i, j) = (pair.row as usize, pair.column as usize);
            fill(i, j, pair.cost, &mut a[i], &mut b[j]);
        }
        let mut open: Vec<usize> = (0..b.len()).filter(|&j| b[j] > 0).collect();
        for (i, a) in a.iter_mut().enumerate().filter(|(_, a)| **a > 0) {
            let mut order: Vec<(i64, usize)> = open.iter().map(|&j| (cost(i, j), j)).collect();
            while *a > 0
                && let Some(k) = (0..order.len()).min_by_key(|&k| order[k])
            {
                let (cost, j) = order.swap_remove(k);
                fill(i, j, cost, a, &mut b[j]);
            }
            open.retain(|&j| b[j] > 0);
        }
        forest
    }

    fn add(&mut self, v: u32, w: u32, flow: i64, cost: i64) {
        for (from, to) in [(v, w), (w, v)] {
            let link = self.links.len() as u32;
            let next = std::mem::replace(&mut self.first[from as usize], link);
            self.links.push(Link {
                to,
                flow,
                cost,
                next,
            });
        }
    }

    /// The tree, with pairs of the list between the parts where it has some.
    pub(super) fn into_tree(self, list: &[Pair], cost: impl Fn(usize, usize) -> i64) -> Tree {
        let (n, m) = (self.rows, self.first.len() - self.rows);
        let mut tree = Tree::new(n, m);
        let (start, by_column) = columns(m, list);
        let mut seen = vec![false; n + m];
        // Columns of the tree, of which those up to `done` have no row of the list left to hang.
        let mut reached: Vec<usize> = Vec::with_capacity(m);
        let mut done = 0;
        for i in 0..n {
            if seen[i] {
                continue;
            }
            if let Some(&j) = reached.first() {
                tree.hang(i as u32, (n + j) as u32, 0, cost(i, j));
            }
            self.grow(&mut tree, i as u32, &mut seen, &mut reached);
            while let Some(&j) = reached.get(done) {
                done += 1;
                for &k in &by_column[start[j]..start[j + 1]] {
                    let Pair { row, cost, .. } = list[k];
                    if !seen[row as usize] {
                        tree.hang(row, (n + j) as u32, 0, cost);
                        self.grow(&mut tree, row, &mut seen, &mut reached);
                    }
                }
            }
        }
        tree
    }

    /// Hangs the part of the forest that row `i` is in.
    fn grow(&self, tree: &mut Tree, i: u32, seen: &mut [bool], reached: &mut Vec<usize>) {
        let mut open = vec![i];
        seen[i as usize] = true;
        while let Some(v) = open.pop() {
            let mut k = self.first[v as usize];
            while k != NONE {
                let Link {
                    to,
                    flow,
                    cost,
                    next,
                } = self.links[k as usize];
                if !std::mem::replace(&mut seen[to as usize], true) {
                    tree.hang(to, v, flow, cost);
                    open.push(to);
                    if to as usize >= self.rows {
                        reached.push(to as usize - self.rows);
                    }
                }
                k = next;
            }
        }
    }
}

/// Where each column's pairs start in the second array, which has the indices of the list by columns.
fn columns(m: usize, list: &[Pair]) -> (Vec<usize>, Vec<usize>) {
    let mut start = vec![0; m + 1];
    for pair in list {
        start[pair.column as usize + 1] += 1;
    }
    for j in 0..m {
        start[j + 1] += start[j];
    }
    let (mut next, mut order) = (start.clone(), vec![0; list.len()]);
    for (k, pair) in list.iter().enumerate() {
        let next = &mut next[pair.column as usize];
        order[*next] = k;
        *next += 1;
    }
    (start, order)
}
