//! A basic solution of the transport problem as a spanning tree, and the pivot.
//!
//! Nodes are the n rows and, after them, the m columns. The pairs (i, j) of the tree are the basis: they carry the
//! flows x_ij ≥ 0 that meet the masses, and have f_i + g_j = c_ij. A pair that enters closes a cycle, on which flows
//! change by ±δ in turns until one is zero; that pair leaves. The part of the tree that is cut off so
//! hangs from the pair that entered, and its potentials change by the reduced cost.
//!
//! The tree stays **strongly feasible**: empty pairs have their row below their column, so that every node could send
//! flow to the root. This holds if, of the pairs that could leave, the last one does on the cycle as it runs from the node
//! next to the root in the direction of the entering flow. Then no sequence of degenerate pivots comes back, for each of them
//! lowers the same sum of potentials. Masses and costs are whole numbers here, so that this is true of the computed ones.
//!
//! Cost of a pivot: the length of the cycle and the size of the part that is cut off.
//!
//! Reference: W. H. Cunningham, "A network simplex method", Mathematical Programming 11 (1976).

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// A node with the pair that leads to its parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// Of the pair.
    pub(super) flow: i64,
    depth: u32,
    /// Neighbours in preorder, where a node is followed by all below it.
    next: u32,
    previous: u32,
}

/// A spanning tree; its root is row 0.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// f of a row, −g of a column: c_ij = the row's less the column's.
    potential: Vec<i64>,
    rows: u32,
}

impl Tree {
    /// All nodes, to be joined by [`hang`](Tree::hang).
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let node = Node {
            parent: NONE,
            flow: 0,
            depth: 0,
            next: NONE,
            previous: NONE,
        };
        Tree {
            nodes: vec![node; rows + columns],
            potential: vec![0; rows + columns],
            rows: rows as u32,
        }
    }

    pub(super) fn node(&self, v: u32) -> &Node {
        &self.nodes[v as usize]
    }

    pub(super) fn potential(&self, v: u32) -> i64 {
        self.potential[v as usize]
    }

    fn node_mut(&mut self, v: u32) -> &mut Node {
        &mut self.nodes[v as usize]
    }

    fn is_row(&self, v: u32) -> bool {
        v < self.rows
    }

    /// Hangs `v`, which has no parent yet, by a pair of the given flow and cost.
    pub(super) fn hang(&mut self, v: u32, parent: u32, flow: i64, cost: i64) {
        let above = *self.node(parent);
        let node = self.node_mut(v);
        (node.parent, node.flow, node.depth) = (parent, flow, above.depth + 1);
        self.follow(v, above.next);
        self.follow(parent, v);
        let sign = if self.is_row(v) { 1 } else { -1 };
        self.potential[v as usize] = self.potential(parent) + sign * cost;
    }

    /// Row, column and flow of the pairs that are not empty, the columns counted from 0.
    pub(super) fn flows(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        let nodes = (0_u32..).zip(&self.nodes);
        nodes.filter(|(_, node)| node.flow > 0).map(|(v, node)| {
            let (i, j) = if self.is_row(v) {
                (v, node.parent)
            } else {
                (node.parent, v)
            };
            (i as usize, (j - self.rows) as usize, node.flow)
        })
    }

    /// The pair of row p and column node q enters with its `reduced` cost, which is negative; returns δ.
    pub(super) fn pivot(&mut self, p: u32, q: u32, reduced: i64) -> i64 {
        // On the way up from p the flow of rows to their parents shrinks, from q that of columns. The cycle runs down to p
        // and up from q: of equal flows the first found counts below p, the last below q, and q before p.
        let (mut s, mut t) = (p, q);
        let (mut row, mut column) = ((i64::MAX, NONE), (i64::MAX, NONE));
        while s != t {
            if self.node(s).depth >= self.node(t).depth {
                let node = self.node(s);
                if self.is_row(s) && node.flow < row.0 {
                    row = (node.flow, s);
                }
                s = node.parent;
            } else {
                let node = self.node(t);
                if !self.is_row(t) && node.flow <= column.0 {
                    column = (node.flow, t);
                }
                t = node.parent;
            }
        }
        let delta = row.0.min(column.0);
        if delta > 0 {
            self.push(p, s, delta, true);
            self.push(q, s, delta, false);
        }
        if column.0 <= row.0 {
            self.turn(column.1, q, (p, delta), -reduced);
        } else {
            self.turn(row.1, p, (q, delta), reduced);
        }
        delta
    }

    /// Takes δ from the rows, or else the columns, between `v` and the node `top` above it, and gives it to the others.
    fn push(&mut self, mut v: u32, top: u32, delta: i64, from_rows: bool) {
        while v != top {
            let shrinks = self.is_row(v) == from_rows;
            let node = self.node_mut(v);
            node.flow += if shrinks { -delta } else { delta };
            v = node.parent;
        }
    }

    /// Cuts off the part below `top`, hangs it by its node `v` from the parent given, by a pair of the flow given, and adds `by` to its
    /// potentials.
    ///
    /// The nodes between v and `top` change places with their parents. In preorder, of each of them what was before its
    /// child on this way and what came after it follow each other now.
    fn turn(&mut self, top: u32, v: u32, (parent, flow): (u32, i64), by: i64) {
        let before = self.node(top).previous;
        let (mut u, mut above, mut flow) = (v, parent, flow);
        let mut depth = self.node(parent).depth + 1;
        // The child of u on the way, and what came after all below it.
        let (mut child, mut after) = (self.node(v).next, self.node(v).next);
        let mut last = NONE;
        loop {
            let old = *self.node(u);
            let down = depth.wrapping_sub(old.depth);
            if last != NONE {
                self.follow(last, u);
            }
            let mut w = u;
            while w != child {
                last = w;
                w = self.shift(w, by, down);
            }
            if after != NONE && self.node(after).depth > old.depth {
                self.follow(last, after);
                while after != NONE && self.node(after).depth > old.depth {
                    last = after;
                    after = self.shift(after, by, down);
                }
            }
            let node = self.node_mut(u);
            (node.parent, node.flow) = (above, flow);
            if u == top {
                break;
            }
            (u, above, flow) = (old.parent, u, old.flow);
            (child, depth) = (above, depth + 1);
        }
        self.follow(before, after);
        self.follow(last, self.node(parent).next);
        self.follow(parent, v);
    }

    /// Adds to potential and depth of a node; returns the next in preorder.
    fn shift(&mut self, v: u32, by: i64, down: u32) -> u32 {
        self.potential[v as usize] += by;
        let node = self.node_mut(v);
        node.depth = node.depth.wrapping_add(down);
        node.next
    }

    /// Makes `w` follow `v` in preorder.
    fn follow(&mut self, v: u32, w: u32) {
        self.node_mut(v).next = w;
        if w != NONE {
            self.node_mut(w).previous = v;
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Preorder: every node once, and after its parent with nothing in between but what is below that.
    pub(super) fn check_order(&self) {
        let (mut v, mut way, mut count) = (0, vec![], 0);
        while v != NONE {
            let node = self.node(v);
            way.truncate(node.depth as usize);
            assert_eq!(way.last().copied().unwrap_or(NONE), node.parent);
            assert_eq!(way.len(), node.depth as usize);
            way.push(v);
            count += 1;
            assert!(node.next == NONE || self.node(node.next).previous == v);
            v = node.next;
        }
        assert_eq!(count, self.nodes.len());
    }
}
