//! The forward pass of a point, kept for all that is evaluated there.
//!
//! Rows are worked on in fixed chunks, whose sums are added in order, so that no result depends
//! on the number of threads.

use super::Shared;
use super::net::Layer;
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use std::ops::Range;
use std::sync::{Mutex, TryLockError};

/// Rows per chunk, more if there would be more than [`CHUNKS`].
const CHUNK: usize = 128;
/// Each chunk keeps a gradient.
const CHUNKS: usize = 64;

/// What was evaluated last.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<State>);

impl Cache {
    /// Runs `f` on the shared state, or on a fresh one while another thread holds it.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        match self.0.try_lock() {
            Ok(mut state) => f(&mut state),
            Err(TryLockError::Poisoned(poisoned)) => {
                let mut state = poisoned.into_inner();
                *state = State::default();
                f(&mut state)
            }
            Err(TryLockError::WouldBlock) => f(&mut State::default()),
        }
    }
}

/// The forward pass of consecutive rows; all arrays hold one row after the other.
#[derive(Debug, Default)]
pub(super) struct Forward {
    first: usize,
    rows: usize,
    /// a of each layer, and z for the last.
    pub(super) a: Vec<Vec<f64>>,
    /// Probabilities of the classes.
    p: Vec<f64>,
    /// Sum of the losses.
    value: f64,
}

/// Consecutive rows; arrays are one vector a layer.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) done: Forward,
    /// δ; of the last layer once forward is done, of the others once differentiated.
    pub(super) delta: Vec<Vec<f64>>,
    /// ȧ and δ̇ of a product.
    pub(super) dot: Vec<Vec<f64>>,
    pub(super) back: Vec<Vec<f64>>,
    pub(super) scratch: Vec<f64>,
    /// ∂z/∂s of the hidden layers, one vector an output.
    pub(super) sensitivity: Vec<Vec<f64>>,
    /// The chunk's part of a sum over all rows.
    pub(super) sum: Vec<f64>,
}

/// A point, its forward pass and what was made of it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) w: Vec<f64>,
    pub(super) chunks: Vec<Chunk>,
    evaluated: bool,
    /// The mean loss, without the penalty.
    pub(super) value: f64,
    pub(super) differentiated: bool,
    pub(super) gradient: Vec<f64>,
}

/// The forward pass of a chunk with what it was made of.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) shared: &'a Shared,
    pub(super) w: &'a [f64],
    pub(super) rows: usize,
    pub(super) inputs: &'a [f64],
    pub(super) a: &'a [Vec<f64>],
    pub(super) p: &'a [f64],
}

impl<'a> Pass<'a> {
    pub(super) fn layer(&self, l: usize) -> &'a Layer {
        &self.shared.net.layers()[l]
    }

    /// What goes into layer l.
    pub(super) fn below(&self, l: usize) -> &'a [f64] {
        match l {
            0 => self.inputs,
            l => &self.a[l - 1],
        }
    }

    /// The same, one row of data a column.
    pub(super) fn columns(&self, l: usize) -> MatRef<'a, f64> {
        columns(self.below(l), self.layer(l).inputs)
    }
}

/// Vectors of length `height`, one after the other, as columns.
pub(super) fn columns(vectors: &[f64], height: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(vectors, height, vectors.len() / height)
}

/// out = m v or out += m v for several vectors, one after the other.
pub(super) fn product(out: &mut [f64], how: Accum, m: MatRef<'_, f64>, v: &[f64]) {
    let v = columns(v, m.ncols());
    let out = MatMut::from_column_major_slice_mut(out, m.nrows(), v.ncols());
    matmul(out, how, m, v, 1.0, Par::Seq);
}

impl Forward {
    /// The rows.
    pub(super) fn range(&self) -> Range<usize> {
        self.first..self.first + self.rows
    }

    pub(super) fn pass<'a>(&'a self, shared: &'a Shared, w: &'a [f64]) -> Pass<'a> {
        let width = shared.net.inputs();
        Pass {
            shared,
            w,
            rows: self.rows,
            inputs: &shared.inputs[self.first * width..(self.first + self.rows) * width],
            a: &self.a,
            p: &self.p,
        }
    }

    /// Evaluates all layers, the loss and r/n.
    fn evaluate(&mut self, shared: &Shared, w: &[f64], r: &mut Vec<f64>) {
        let layers = shared.net.layers();
        for (l, layer) in layers.iter().enumerate() {
            let (done, rest) = self.a.split_at_mut(l);
            let s = &mut rest[0];
            s.resize(layer.outputs * self.rows, 0.0);
            for s in s.chunks_mut(layer.outputs) {
                match &w[layer.biases()] {
                    [] => s.fill(0.0),
                    biases => s.copy_from_slice(biases),
                }
            }
            let width = shared.net.inputs();
            let inputs = match done.last() {
                None => &shared.inputs[self.first * width..(self.first + self.rows) * width],
                Some(a) => a,
            };
            product(s, Accum::Add, layer.matrix(w), inputs);
            if l + 1 < layers.len() {
                shared.net.activation.apply(s);
            }
        }
        let Some(z) = self.a.last() else {
            return;
        };
        r.resize(z.len(), 0.0);
        self.p
            .resize(shared.targets.probabilities() * self.rows, 0.0);
        self.value = shared.targets.evaluate(self.first, z, r, &mut self.p);
        let share = 1.0 / shared.n as f64;
        r.iter_mut().for_each(|r| *r *= share);
    }
}

impl State {
    /// Does the forward pass at `w` unless it is the last one; returns whether it did.
    pub(super) fn forward(&mut self, shared: &Shared, w: &[f64]) -> bool {
        if self.evaluated && same(&self.w, w) {
            return false;
        }
        self.w.clear();
        self.w.extend_from_slice(w);
        if self.chunks.is_empty() {
            self.chunks = chunks(shared.n, shared.net.layers().len());
        }
        let work = shared.work(2);
        let w = &self.w;
        chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
            for Chunk { done, delta, .. } in chunks {
                if let Some(r) = delta.last_mut() {
                    done.evaluate(shared, w, r);
                }
            }
        });
        self.value = self.chunks.iter().map(|c| c.done.value).sum::<f64>() / shared.n as f64;
        self.evaluated = true;
        self.differentiated = false;
        true
    }

    /// Copies z of all rows.
    pub(super) fn outputs(&self, out: &mut [f64]) {
        let mut rest = out;
        for z in self.chunks.iter().filter_map(|chunk| chunk.done.a.last()) {
            let (own, others) = rest.split_at_mut(z.len());
            own.copy_from_slice(z);
            rest = others;
        }
    }

    /// The rows whose loss has a slope that is NaN.
    pub(super) fn nan_rows(&self) -> Vec<usize> {
        let mut rows = Vec::new();
        for chunk in &self.chunks {
            let r = chunk.delta.last().map_or(&[][..], |r| r);
            let width = (r.len() / chunk.done.rows.max(1)).max(1);
            for (i, r) in r.chunks(width).enumerate() {
                if r.iter().any(|r| r.is_nan()) {
                    rows.push(chunk.done.first + i);
                }
            }
        }
        rows
    }
}

/// Bits, not values: NaN equals itself and 0 is not -0.
fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn chunks(n: usize, layers: usize) -> Vec<Chunk> {
    let size = CHUNK.max(n.div_ceil(CHUNKS));
    let chunk = |first| Chunk {
        done: Forward {
            first,
            rows: size.min(n - first),
            a: vec![Vec::new(); layers],
            ..Forward::default()
        },
        delta: vec![Vec::new(); layers],
        dot: vec![Vec::new(); layers],
        back: vec![Vec::new(); layers],
        sensitivity: vec![Vec::new(); layers - 1],
        ..Chunk::default()
    };
    (0..n).step_by(size).map(chunk).collect()
}
