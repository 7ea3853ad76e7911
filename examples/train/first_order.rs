//! Gradient methods on the same batches, to compare with.

use raphson::models::Mlp;
use raphson::stochastic::{Draws, Sampler};
use raphson::{Error, FiniteSum};

/// A method and its rate.
#[derive(Debug, Clone, Copy)]
pub enum FirstOrder {
    /// x ← x − rate g.
    Descent(f64),
    /// Kingma and Ba's Adam with the usual β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸.
    Adam(f64),
}

/// Takes `steps` steps from `x` and calls `watch` with the point after each.
pub fn descend(
    method: FirstOrder,
    model: &Mlp,
    sampler: Sampler,
    seed: u64,
    steps: u64,
    mut x: Vec<f64>,
    mut watch: impl FnMut(u64, &[f64]),
) -> Result<Vec<f64>, Error> {
    let mut draws = Draws::new(sampler, seed, FiniteSum::terms(model))?;
    let (mut mean, mut square) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for step in 1..=steps {
        draws.advance();
        let (_, g) = model
            .value_gradient(&x, draws.batch())
            .map_err(Error::Problem)?;
        match method {
            FirstOrder::Descent(rate) => {
                for (x, g) in x.iter_mut().zip(&g) {
                    *x -= rate * g;
                }
            }
            FirstOrder::Adam(rate) => {
                let t = i32::try_from(step).unwrap_or(i32::MAX);
                let (first, second) = (1.0 - 0.9f64.powi(t), 1.0 - 0.999f64.powi(t));
                let parts = x.iter_mut().zip(&g).zip(mean.iter_mut().zip(&mut square));
                for ((x, g), (m, v)) in parts {
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    *x -= rate * (*m / first) / ((*v / second).sqrt() + 1e-8);
                }
            }
        }
        watch(step, &x);
    }
    Ok(x)
}
