//! The backward sweep.

use super::Shared;
use super::state::{Chunk, Pass, State, columns, product};
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatRef, Par};

impl Pass<'_> {
    /// δ of all layers from that of the last one.
    pub(super) fn backward(&self, delta: &mut [Vec<f64>]) {
        for l in (1..delta.len()).rev() {
            let layer = self.layer(l);
            let (low, high) = delta.split_at_mut(l);
            let below = &mut low[l - 1];
            below.resize(layer.inputs * self.rows, 0.0);
            product(
                below,
                Accum::Replace,
                layer.matrix(self.w).transpose(),
                &high[0],
            );
            for (delta, a) in below.iter_mut().zip(&self.a[l - 1]) {
                *delta *= self.shared.net.activation.slope(*a);
            }
        }
    }

    /// Writes Σᵢ δaᵀ and Σᵢ δ of all layers to `out`.
    pub(super) fn collect(&self, delta: &[Vec<f64>], out: &mut [f64]) {
        for (l, delta) in delta.iter().enumerate() {
            let layer = self.layer(l);
            let (weights, biases) = layer.parts_mut(out);
            let delta = columns(delta, layer.outputs);
            let inputs = self.columns(l).transpose();
            matmul(weights, Accum::Replace, delta, inputs, 1.0, Par::Seq);
            add_rows(delta, biases);
        }
    }
}

/// out = Σᵢ of the columns of δ, nothing if `out` is empty.
fn add_rows(delta: MatRef<'_, f64>, out: &mut [f64]) {
    out.fill(0.0);
    for column in delta.col_iter() {
        for (out, delta) in out.iter_mut().zip(column.iter()) {
            *out += delta;
        }
    }
}

/// Writes the sum of the chunks' sums to `out`.
pub(super) fn reduce(chunks: &[Chunk], out: &mut [f64]) {
    out.fill(0.0);
    for chunk in chunks {
        for (out, sum) in out.iter_mut().zip(&chunk.sum) {
            *out += sum;
        }
    }
}

impl Chunk {
    fn differentiate(&mut self, shared: &Shared, w: &[f64]) {
        let pass = self.done.pass(shared, w);
        pass.backward(&mut self.delta);
        self.sum.resize(w.len(), 0.0);
        pass.collect(&self.delta, &mut self.sum);
    }

    /// The chunk's part of Jᵀu, into `sum`.
    fn pull(&mut self, shared: &Shared, w: &[f64], u: &[f64]) {
        let pass = self.done.pass(shared, w);
        if let Some(top) = self.back.last_mut() {
            top.clear();
            top.extend_from_slice(u);
        }
        pass.backward(&mut self.back);
        self.sum.resize(w.len(), 0.0);
        pass.collect(&self.back, &mut self.sum);
    }
}

impl State {
    /// The gradient without the penalty; afterwards all δ are known.
    pub(super) fn differentiate(&mut self, shared: &Shared) -> &[f64] {
        if !self.differentiated {
            let (w, work) = (&self.w, shared.work(4));
            chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
                chunks.iter_mut().for_each(|c| c.differentiate(shared, w));
            });
            self.gradient.resize(self.w.len(), 0.0);
            reduce(&self.chunks, &mut self.gradient);
            self.differentiated = true;
        }
        &self.gradient
    }

    /// out = Jᵀu.
    pub(super) fn pull(&mut self, shared: &Shared, u: &[f64], out: &mut [f64]) {
        let (w, work) = (&self.w, shared.work(4));
        let c = shared.targets.outputs();
        chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
            for chunk in chunks {
                let own = chunk.done.range();
                chunk.pull(shared, w, &u[own.start * c..own.end * c]);
            }
        });
        reduce(&self.chunks, out);
    }
}
