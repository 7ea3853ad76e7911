//! The dense Hessian, from sweeps seeded at the units.
//!
//! An entry Wˡₚq moves sˡₚ by aˡ⁻¹_q and bˡₚ moves it by 1. With δ̇ᵐ, ȧᵐ⁻¹ of the seed ṡˡ = eₚ,
//! the columns of unit p are Σᵢ R aᵀ (weights) and Σᵢ R (bias), where R of a row of data has the
//! entries δ̇ᵐᵣ aᵐ⁻¹ₛ + δᵐᵣ ȧᵐ⁻¹ₛ for Wᵐᵣₛ and δ̇ᵐᵣ for bᵐᵣ, m ≥ l. Each unit adds over all
//! chunks of rows in order.

use super::Shared;
use super::product::Tangent;
use super::state::{Chunk, State, columns};
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Numbers in a block of R.
const BLOCK: usize = 1 << 15;

/// The columns of a unit, those of its weights and of its bias.
struct Unit<'a> {
    layer: usize,
    p: usize,
    weights: MatMut<'a, f64>,
    bias: MatMut<'a, f64>,
}

/// What the sweeps of a unit need.
#[derive(Default)]
struct Scratch {
    dot: Vec<Vec<f64>>,
    back: Vec<Vec<f64>>,
    below: Vec<f64>,
    block: Vec<f64>,
}

impl State {
    /// The Hessian of the mean loss with μI; only the lower triangle is meant.
    pub(super) fn hessian(&mut self, shared: &Shared) -> Mat<f64> {
        self.differentiate(shared);
        let d = self.w.len();
        let mut h = Mat::zeros(d, d);
        let mut units = units(shared, h.as_mut());
        let (w, chunks) = (&self.w[..], &self.chunks[..]);
        let work = shared.work(d);
        chunks_mut(&mut units, 1, work, |_, units| {
            let layers = shared.net.layers().len();
            let mut scratch = Scratch {
                dot: vec![Vec::new(); layers],
                back: vec![Vec::new(); layers],
                ..Scratch::default()
            };
            for unit in units {
                for chunk in chunks {
                    unit.add(chunk, shared, w, &mut scratch);
                }
            }
        });
        for j in 0..d {
            h[(j, j)] += shared.l2;
        }
        h
    }
}

/// Splits the matrix into the columns of each unit.
fn units<'a>(shared: &Shared, mut rest: MatMut<'a, f64>) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for (l, layer) in shared.net.layers().iter().enumerate() {
        let (weights, others) = rest.split_at_col_mut(layer.weights().len());
        let (biases, others) = others.split_at_col_mut(layer.biases().len());
        rest = others;
        let (mut weights, mut biases) = (weights, biases);
        for p in 0..layer.outputs {
            let (own, others) = weights.split_at_col_mut(layer.inputs);
            weights = others;
            let bias = biases.ncols().min(1);
            let (bias, others) = biases.split_at_col_mut(bias);
            biases = others;
            units.push(Unit {
                layer: l,
                p,
                weights: own,
                bias,
            });
        }
    }
    units
}

impl Unit<'_> {
    /// Adds the part of a chunk.
    fn add(&mut self, chunk: &Chunk, shared: &Shared, w: &[f64], scratch: &mut Scratch) {
        let pass = chunk.done.pass(shared, w);
        let (l, p) = (self.layer, self.p);
        let seed = &mut scratch.dot[l];
        let width = pass.layer(l).outputs;
        seed.clear();
        seed.resize(width * pass.rows, 0.0);
        seed.iter_mut()
            .skip(p)
            .step_by(width)
            .for_each(|s| *s = 1.0);
        let mut tangent = Tangent {
            pass,
            v: None,
            dot: &mut scratch.dot,
        };
        tangent.sweep(l, &chunk.delta, &mut scratch.back, &mut scratch.below);

        let inputs = pass.columns(l).transpose();
        for m in l..shared.net.layers().len() {
            let layer = pass.layer(m);
            let back = &scratch.back[m];
            // R of the biases.
            let r = columns(back, layer.outputs);
            if !layer.biases().is_empty() {
                self.rows(layer.biases().start, layer.outputs, r, inputs);
            }
            // R of the weights, some units at a time; units before p lie above the diagonal.
            let moved = (m > l).then(|| (&chunk.delta[m][..], &scratch.dot[m - 1][..]));
            let mut first = if m == l { p } else { 0 };
            let most = (BLOCK / (layer.inputs * pass.rows)).max(1);
            while first < layer.outputs {
                let count = most.min(layer.outputs - first);
                let height = count * layer.inputs;
                scratch.block.resize(height * pass.rows, 0.0);
                for (i, block) in scratch.block.chunks_mut(height).enumerate() {
                    let own = i * layer.inputs..(i + 1) * layer.inputs;
                    let a = &pass.below(m)[own.clone()];
                    let units = i * layer.outputs + first..i * layer.outputs + first + count;
                    let blocks = block.chunks_mut(layer.inputs).zip(units);
                    for (block, at) in blocks {
                        match moved {
                            None => scaled(block, back[at], a),
                            Some((delta, dot)) => {
                                let dot = &dot[own.clone()];
                                combined(block, (back[at], a), (delta[at], dot));
                            }
                        }
                    }
                }
                let r = columns(&scratch.block, height);
                let top = layer.weights().start + first * layer.inputs;
                self.rows(top, height, r, inputs);
                first += count;
            }
        }
    }

    /// Adds R aᵀ and R to the rows from `top` on.
    fn rows(&mut self, top: usize, height: usize, r: MatRef<'_, f64>, inputs: MatRef<'_, f64>) {
        let weights = self.weights.as_mut().subrows_mut(top, height);
        matmul(weights, Accum::Add, r, inputs, 1.0, Par::Seq);
        if self.bias.ncols() == 1 {
            let mut bias = self.bias.as_mut().col_mut(0).subrows_mut(top, height);
            for column in r.col_iter() {
                bias += column;
            }
        }
    }
}

/// out = αa.
fn scaled(out: &mut [f64], alpha: f64, a: &[f64]) {
    for (out, a) in out.iter_mut().zip(a) {
        *out = alpha * a;
    }
}

/// out = αa + βb.
fn combined(out: &mut [f64], (alpha, a): (f64, &[f64]), (beta, b): (f64, &[f64])) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = alpha * a + beta * b;
    }
}
