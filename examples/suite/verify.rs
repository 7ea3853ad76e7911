//! f and its gradient once more, by a plain loop that shares no code with the model.

use raphson::Dataset;

/// f and ‖g‖ at `w`: mean of log(1 + exp(−yᵢ aᵢᵀw)) plus μ/2 ‖w‖².
///
/// The larger label is the positive class. Cost: one pass over the data.
pub fn evaluate(data: &Dataset, mu: f64, w: &[f64]) -> (f64, f64) {
    let positive = data
        .labels()
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let n = data.n_rows() as f64;
    let mut loss = 0.0;
    let mut g = vec![0.0; data.n_features()];
    for (i, &label) in data.labels().iter().enumerate() {
        let (columns, values) = data.row(i);
        let y = if label == positive { 1.0 } else { -1.0 };
        let mut margin = 0.0;
        for (&j, v) in columns.iter().zip(values) {
            margin += v * w[j as usize];
        }
        let z = y * margin;
        loss += (-z).max(0.0) + (-z.abs()).exp().ln_1p();
        // −y σ(−z), from the exponential that does not overflow.
        let e = (-z.abs()).exp();
        let sigma = if z >= 0.0 {
            e / (1.0 + e)
        } else {
            1.0 / (1.0 + e)
        };
        for (&j, v) in columns.iter().zip(values) {
            g[j as usize] -= y * sigma * v;
        }
    }
    let square: f64 = w.iter().map(|w| w * w).sum();
    let slope = g
        .iter()
        .zip(w)
        .map(|(g, w)| (g / n + mu * w).powi(2))
        .sum::<f64>()
        .sqrt();
    (loss / n + 0.5 * mu * square, slope)
}
