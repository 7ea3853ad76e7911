//! Where the parameters of the layers lie, and φ.
//!
//! Arrays of rows of data are kept row after row, so that a matrix with one row of data a column
//! is a view of them.

use super::Activation;
use faer::{MatMut, MatRef};
use std::ops::Range;

/// The most parameters of a model (16 GiB a vector).
const MOST: usize = 1 << 31;

/// A layer, W (outputs x inputs) and b.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    first: usize,
    biases: bool,
}

impl Layer {
    /// The parameters in W.
    pub(super) fn weights(&self) -> Range<usize> {
        self.first..self.first + self.inputs * self.outputs
    }

    /// The parameters in b, none without biases.
    pub(super) fn biases(&self) -> Range<usize> {
        let first = self.weights().end;
        first..first + usize::from(self.biases) * self.outputs
    }

    /// W of the parameters w.
    pub(super) fn matrix<'a>(&self, w: &'a [f64]) -> MatRef<'a, f64> {
        MatRef::from_row_major_slice(&w[self.weights()], self.outputs, self.inputs)
    }

    /// W and b of the parameters w.
    pub(super) fn parts_mut<'a>(&self, w: &'a mut [f64]) -> (MatMut<'a, f64>, &'a mut [f64]) {
        let own = &mut w[self.first..self.biases().end];
        let (weights, biases) = own.split_at_mut(self.inputs * self.outputs);
        let weights = MatMut::from_row_major_slice_mut(weights, self.outputs, self.inputs);
        (weights, biases)
    }
}

/// The layers from the inputs to the outputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Net {
    layers: Vec<Layer>,
    pub(super) activation: Activation,
}

impl Net {
    /// Layers between these widths; [`None`] if they have too many parameters.
    pub(super) fn new(widths: &[usize], biases: bool) -> Option<Net> {
        let mut first = 0usize;
        let mut layers = Vec::new();
        for ends in widths.windows(2) {
            let (inputs, outputs) = (ends[0], ends[1]);
            layers.push(Layer {
                inputs,
                outputs,
                first,
                biases,
            });
            let size = outputs.checked_mul(inputs.checked_add(usize::from(biases))?)?;
            first = first.checked_add(size).filter(|first| *first <= MOST)?;
        }
        Some(Net {
            layers,
            activation: Activation::default(),
        })
    }

    /// The same layers with or without biases.
    pub(super) fn with_biases(&self, biases: bool) -> Net {
        let mut net = self.clone();
        let mut first = 0;
        for layer in &mut net.layers {
            layer.first = first;
            layer.biases = biases;
            first = layer.biases().end;
        }
        net
    }

    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub(super) fn dimension(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases().end)
    }

    /// Width of the inputs.
    pub(super) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    /// The largest width behind the inputs.
    pub(super) fn widest(&self) -> usize {
        let widths = self.layers.iter().map(|layer| layer.outputs);
        widths.max().unwrap_or(0)
    }
}

impl Activation {
    /// Overwrites s by φ(s).
    pub(super) fn apply(self, s: &mut [f64]) {
        match self {
            Activation::Tanh => s.iter_mut().for_each(|s| *s = s.tanh()),
            // Not `max`, which would hide a NaN.
            Activation::Relu => s.iter_mut().for_each(|s| {
                if *s <= 0.0 {
                    *s = 0.0;
                }
            }),
        }
    }

    /// φ′ where φ is a.
    #[inline]
    pub(super) fn slope(self, a: f64) -> f64 {
        match self {
            Activation::Tanh => (1.0 - a) * (1.0 + a),
            Activation::Relu => f64::from(u8::from(a > 0.0)),
        }
    }

    /// φ″/φ′ where φ is a.
    #[inline]
    pub(super) fn bend(self, a: f64) -> f64 {
        match self {
            Activation::Tanh => -2.0 * a,
            Activation::Relu => 0.0,
        }
    }
}
