//! Products with the Hessian and with the Jacobian: the sweeps differentiated along a direction.

use super::Shared;
use super::gradient::reduce;
use super::state::{Chunk, Pass, State, columns, product};
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};

/// A direction and the vectors it moves.
pub(super) struct Tangent<'a> {
    pub(super) pass: Pass<'a>,
    /// V; without one the weights stay.
    pub(super) v: Option<&'a [f64]>,
    /// ȧ, and ż for the last layer.
    pub(super) dot: &'a mut [Vec<f64>],
}

impl Tangent<'_> {
    /// ṡ of layer l into `dot[l]`; below layer `from` nothing moves.
    pub(super) fn push(&mut self, l: usize, from: usize) {
        let pass = &self.pass;
        let layer = pass.layer(l);
        let (done, rest) = self.dot.split_at_mut(l);
        let s = &mut rest[0];
        s.resize(layer.outputs * pass.rows, 0.0);
        s.fill(0.0);
        if let Some(v) = self.v {
            if !layer.biases().is_empty() {
                for s in s.chunks_mut(layer.outputs) {
                    s.copy_from_slice(&v[layer.biases()]);
                }
            }
            product(s, Accum::Add, layer.matrix(v), pass.below(l));
        }
        if l > from {
            product(s, Accum::Add, layer.matrix(pass.w), &done[l - 1]);
        }
    }

    /// ȧ = φ′ṡ in place of ṡ of the hidden layer l, and φ″ṡ ⊙ Wᵀδ, without the rest of δ̇, to
    /// `back` unless that is [`None`].
    pub(super) fn turn(&mut self, l: usize, bent: Option<(&[f64], &mut Vec<f64>)>) {
        let activation = self.pass.shared.net.activation;
        let a = &self.pass.a[l];
        let s = &mut self.dot[l];
        if let Some((delta, back)) = bent {
            back.resize(s.len(), 0.0);
            for (back, ((delta, a), s)) in back.iter_mut().zip(delta.iter().zip(a).zip(&*s)) {
                *back = activation.bend(*a) * delta * s;
            }
        }
        for (s, a) in s.iter_mut().zip(a) {
            *s *= activation.slope(*a);
        }
    }

    /// From ṡ of layer `from` to ż.
    pub(super) fn forward(&mut self, from: usize, delta: &[Vec<f64>], back: &mut [Vec<f64>]) {
        let last = self.dot.len() - 1;
        for l in from..last {
            self.turn(l, Some((&delta[l], &mut back[l])));
            self.push(l + 1, from);
        }
    }

    /// From δ̇ of the last layer to that of layer `from`.
    pub(super) fn backward(
        &mut self,
        from: usize,
        delta: &[Vec<f64>],
        back: &mut [Vec<f64>],
        scratch: &mut Vec<f64>,
    ) {
        let pass = &self.pass;
        for l in (from + 1..back.len()).rev() {
            let layer = pass.layer(l);
            let (low, high) = back.split_at_mut(l);
            scratch.resize(pass.shared.net.widest() * pass.rows, 0.0);
            let below = &mut scratch[..layer.inputs * pass.rows];
            product(
                below,
                Accum::Replace,
                layer.matrix(pass.w).transpose(),
                &high[0],
            );
            if let Some(v) = self.v {
                product(below, Accum::Add, layer.matrix(v).transpose(), &delta[l]);
            }
            let a = &pass.a[l - 1];
            for (back, (below, a)) in low[l - 1].iter_mut().zip(below.iter().zip(a)) {
                *back += pass.shared.net.activation.slope(*a) * below;
            }
        }
    }

    /// Both sweeps from ṡ of layer `from`, with Q ż/n in between.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        delta: &[Vec<f64>],
        back: &mut [Vec<f64>],
        scratch: &mut Vec<f64>,
    ) {
        let shared = self.pass.shared;
        self.forward(from, delta, back);
        if let (Some(z), Some(top)) = (self.dot.last(), back.last_mut()) {
            top.clone_from(z);
            let share = 1.0 / shared.n as f64;
            shared.targets.curve(self.pass.p, top);
            top.iter_mut().for_each(|v| *v *= share);
        }
        self.backward(from, delta, back, scratch);
    }
}

impl Chunk {
    /// The chunk's part of the product with V, into `sum`.
    fn multiply(&mut self, shared: &Shared, w: &[f64], v: &[f64]) {
        let pass = self.done.pass(shared, w);
        let mut tangent = Tangent {
            pass,
            v: Some(v),
            dot: &mut self.dot,
        };
        tangent.push(0, 0);
        tangent.sweep(0, &self.delta, &mut self.back, &mut self.scratch);
        self.sum.resize(w.len(), 0.0);
        pass.collect(&self.back, &mut self.sum);
        for l in 1..self.delta.len() {
            let layer = pass.layer(l);
            let (weights, _) = layer.parts_mut(&mut self.sum);
            let delta = columns(&self.delta[l], layer.outputs);
            let dot = columns(&self.dot[l - 1], layer.inputs).transpose();
            matmul(weights, Accum::Add, delta, dot, 1.0, Par::Seq);
        }
    }

    /// ż of the chunk along V, in the last of `dot`.
    fn move_outputs(&mut self, shared: &Shared, w: &[f64], v: &[f64]) {
        let pass = self.done.pass(shared, w);
        let mut tangent = Tangent {
            pass,
            v: Some(v),
            dot: &mut self.dot,
        };
        tangent.push(0, 0);
        for l in 1..self.done.a.len() {
            tangent.turn(l - 1, None);
            tangent.push(l, 0);
        }
    }
}

impl State {
    /// out = Hv without the penalty.
    pub(super) fn multiply(&mut self, shared: &Shared, v: &[f64], out: &mut [f64]) {
        self.differentiate(shared);
        let (w, work) = (&self.w, shared.work(12));
        chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
            chunks.iter_mut().for_each(|c| c.multiply(shared, w, v));
        });
        reduce(&self.chunks, out);
    }

    /// out = Jv.
    pub(super) fn move_outputs(&mut self, shared: &Shared, v: &[f64], out: &mut [f64]) {
        let (w, work) = (&self.w, shared.work(4));
        chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
            chunks.iter_mut().for_each(|c| c.move_outputs(shared, w, v));
        });
        let mut rest = out;
        for z in self.chunks.iter().filter_map(|chunk| chunk.dot.last()) {
            let (own, others) = rest.split_at_mut(z.len());
            own.copy_from_slice(z);
            rest = others;
        }
    }
}
