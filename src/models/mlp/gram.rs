//! JJᵀ of the outputs without the Jacobian, and the Jacobian.
//!
//! With δˡᵢₖ = ∂zᵢₖ/∂sˡ, eₖ for the last layer: the row (i, k) of J holds δˡᵢₖ aˡ⁻¹ᵢᵀ and δˡᵢₖ of
//! all layers, so that JJᵀ[(i, k), (j, m)] = Σₗ (δˡᵢₖ·δˡⱼₘ)(aˡ⁻¹ᵢ·aˡ⁻¹ⱼ + 1), without biases + 0.

use super::Shared;
use super::state::{Chunk, Pass, State, columns, product};
use crate::parallel::chunks_mut;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};

/// Rows of data whose columns of JJᵀ are made at once.
const TILE: usize = 32;

/// The columns of JJᵀ of some rows of one chunk, from the row of the first on.
struct Tile<'a> {
    chunk: usize,
    first: usize,
    out: MatMut<'a, f64>,
}

impl Pass<'_> {
    /// ∂z/∂s of the hidden layers, c vectors a row of data.
    fn sensitivities(&self, out: &mut [Vec<f64>]) {
        let c = self.shared.targets.outputs();
        for l in (0..out.len()).rev() {
            let width = self.layer(l).outputs;
            let (low, high) = out.split_at_mut(l + 1);
            let own = &mut low[l];
            own.resize(width * c * self.rows, 0.0);
            let above = self.layer(l + 1).matrix(self.w);
            match high.first() {
                None => {
                    for (at, own) in own.chunks_mut(width).enumerate() {
                        for (own, w) in own.iter_mut().zip(above.row(at % c).iter()) {
                            *own = *w;
                        }
                    }
                }
                Some(high) => product(own, Accum::Replace, above.transpose(), high),
            }
            let a = self.a[l].chunks(width);
            for (own, a) in own.chunks_mut(width * c).zip(a) {
                for own in own.chunks_mut(width) {
                    for (own, a) in own.iter_mut().zip(a) {
                        *own *= self.shared.net.activation.slope(*a);
                    }
                }
            }
        }
    }

    /// Writes the rows of J of the chunk to `out`.
    fn jacobian(&self, sensitivity: &[Vec<f64>], mut out: MatMut<'_, f64>) {
        let c = self.shared.targets.outputs();
        out.fill(0.0);
        for l in 0..self.a.len() {
            let layer = self.layer(l);
            let delta = |at: usize, p: usize| match sensitivity.get(l) {
                None => f64::from(u8::from(at % c == p)),
                Some(delta) => delta[at * layer.outputs + p],
            };
            for p in 0..layer.outputs {
                // Of the last layer only the rows of output p are not zero.
                let (start, step) = if l + 1 == self.a.len() {
                    (p, c)
                } else {
                    (0, 1)
                };
                for q in 0..layer.inputs {
                    let mut column = out
                        .as_mut()
                        .col_mut(layer.weights().start + p * layer.inputs + q);
                    let a = self.below(l);
                    for at in (start..c * self.rows).step_by(step) {
                        column[at] = delta(at, p) * a[at / c * layer.inputs + q];
                    }
                }
                if !layer.biases().is_empty() {
                    let mut column = out.as_mut().col_mut(layer.biases().start + p);
                    for at in (start..c * self.rows).step_by(step) {
                        column[at] = delta(at, p);
                    }
                }
            }
        }
    }
}

impl State {
    fn sense(&mut self, shared: &Shared) {
        let c = shared.targets.outputs();
        let (w, work) = (&self.w, shared.work(2 * c));
        chunks_mut(&mut self.chunks, 1, work, |_, chunks| {
            for Chunk {
                done, sensitivity, ..
            } in chunks
            {
                done.pass(shared, w).sensitivities(sensitivity);
            }
        });
    }

    /// Writes J to `out`.
    pub(super) fn jacobian(&mut self, shared: &Shared, out: MatMut<'_, f64>) {
        self.sense(shared);
        let c = shared.targets.outputs();
        let mut parts = Vec::new();
        let mut rest = out;
        for chunk in &self.chunks {
            let (own, others) = rest.split_at_row_mut(chunk.done.range().len() * c);
            parts.push((chunk, own));
            rest = others;
        }
        let (w, work) = (&self.w, shared.work(c));
        chunks_mut(&mut parts, 1, work, |_, parts| {
            for (chunk, out) in parts {
                let pass = chunk.done.pass(shared, w);
                pass.jacobian(&chunk.sensitivity, out.as_mut());
            }
        });
    }

    /// Writes JJᵀ to `out`.
    pub(super) fn gram(&mut self, shared: &Shared, mut out: MatMut<'_, f64>) {
        self.sense(shared);
        let c = shared.targets.outputs();
        let mut tiles = Vec::new();
        let mut rest = out.as_mut();
        for (chunk, own) in self.chunks.iter().enumerate() {
            for first in own.done.range().step_by(TILE) {
                let count = TILE.min(own.done.range().end - first);
                let (columns, others) = rest.split_at_col_mut(count * c);
                rest = others;
                tiles.push(Tile {
                    chunk,
                    first,
                    out: columns,
                });
            }
        }
        let widths = shared.net.layers().iter().map(|l| l.inputs + c * l.outputs);
        let rows = shared.n * c;
        let work = rows.saturating_mul(rows).saturating_mul(widths.sum());
        let (w, chunks) = (&self.w[..], &self.chunks[..]);
        chunks_mut(&mut tiles, 1, work, |_, tiles| {
            for tile in tiles {
                tile.fill(chunks, shared, w);
            }
        });
        for j in 0..rows {
            for i in 0..j {
                out[(i, j)] = out[(j, i)];
            }
        }
    }
}

impl Tile<'_> {
    /// Writes the columns from the chunk of the tile on.
    fn fill(&mut self, chunks: &[Chunk], shared: &Shared, w: &[f64]) {
        let c = shared.targets.outputs();
        let own = &chunks[self.chunk];
        let skipped = self.first - own.done.range().start;
        let count = self.out.ncols() / c;
        let right = own.done.pass(shared, w);
        let layers = shared.net.layers();
        for chunk in &chunks[self.chunk..] {
            let left = chunk.done.pass(shared, w);
            let height = left.rows;
            let mut out = self
                .out
                .as_mut()
                .subrows_mut(chunk.done.range().start * c, height * c);
            out.fill(0.0);
            let mut inputs = Mat::<f64>::zeros(height, count);
            let mut outputs = Mat::<f64>::zeros(height * c, count * c);
            for (l, layer) in layers.iter().enumerate() {
                let a = right.columns(l).subcols(skipped, count);
                let constant = f64::from(u8::from(!layer.biases().is_empty()));
                inputs.as_mut().fill(constant);
                let transposed = left.columns(l).transpose();
                matmul(inputs.as_mut(), Accum::Add, transposed, a, 1.0, Par::Seq);
                if l + 1 == layers.len() {
                    add_last(out.as_mut(), &inputs, c);
                    continue;
                }
                let delta_left = columns(&chunk.sensitivity[l], layer.outputs);
                let delta_right = columns(&own.sensitivity[l], layer.outputs);
                let delta_right = delta_right.subcols(skipped * c, count * c);
                let transposed = delta_left.transpose();
                matmul(
                    outputs.as_mut(),
                    Accum::Replace,
                    transposed,
                    delta_right,
                    1.0,
                    Par::Seq,
                );
                add_products(out.as_mut(), &outputs, &inputs, c);
            }
        }
    }
}

/// out[(i, k), (j, m)] += outputs[(i, k), (j, m)] inputs[i, j].
fn add_products(mut out: MatMut<'_, f64>, outputs: &Mat<f64>, inputs: &Mat<f64>, c: usize) {
    for j in 0..outputs.ncols() {
        let inputs = inputs.col_as_slice(j / c);
        let outputs = outputs.col_as_slice(j);
        let column = out.as_mut().col_mut(j);
        let rows = column.iter_mut().zip(outputs);
        for (at, (out, product)) in rows.enumerate() {
            *out += product * inputs[at / c];
        }
    }
}

/// out[(i, k), (j, k)] += inputs[i, j]: the last layer, whose δ are unit vectors.
fn add_last(mut out: MatMut<'_, f64>, inputs: &Mat<f64>, c: usize) {
    for j in 0..inputs.ncols() * c {
        let inputs = inputs.col_as_slice(j / c);
        let mut column = out.as_mut().col_mut(j);
        for (i, inner) in inputs.iter().enumerate() {
            column[i * c + j % c] += inner;
        }
    }
}
