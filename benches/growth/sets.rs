//! The data sets: copies of one set, and generated rows.

use super::{Checked, TOL};
use argmin::core::{Gradient, Hessian};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{SymMat, SymView};
use raphson::models::LogisticRegression;
use raphson::{Dataset, GramSolve};

/// A data set of one size.
pub struct Case {
    pub data: Dataset,
    pub penalty: f64,
}

impl Case {
    pub fn model(&self) -> LogisticRegression {
        LogisticRegression::new(&self.data).l2(self.penalty)
    }

    /// Operations of one gradient, one Hessian and one factorization.
    pub fn work(&self) -> [f64; 3] {
        let length = |i| self.data.row(i).0.len() as f64;
        let squares = (0..self.data.n_rows()).map(|i| length(i) * length(i)).sum();
        let d = self.data.n_features() as f64;
        [4.0 * self.data.nnz() as f64, squares, d * d * d / 3.0]
    }

    /// That a run to `x` has met the tolerance and has formed Gram matrices.
    pub fn verify(&self, x: &Vec<f64>) -> Checked<()> {
        let model = self.model();
        let gradient = norm(&model.gradient(x)?);
        if gradient > TOL * (1.0 + 1e-6) {
            return Err(format!("a run ended at a gradient norm of {gradient:e}").into());
        }
        let hessian = Hessian::hessian(&model, x)?;
        match hessian.sym() {
            SymView::Gram(view) if view.way() == GramSolve::Primal => Ok(()),
            _ => Err("the Newton systems are not solved by Gram matrices".into()),
        }
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Rows of 14 attributes, each one of 8 columns; a quarter repeats earlier rows, as in a9a.
pub fn categories(rows: usize) -> Checked<Dataset> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let w: Vec<f64> = (0..112).map(|_| rng.random::<f64>() - 0.5).collect();
    let (mut indices, mut y) = (Vec::<u32>::new(), Vec::new());
    for i in 0..rows {
        if i > 0 && rng.random::<f64>() < 0.25 {
            let other = rng.random_range(0..i);
            indices.extend_from_within(14 * other..14 * (other + 1));
            y.push(y[other]);
            continue;
        }
        let row = (0..14).map(|k| 8 * k + (8.0 * rng.random::<f64>().powi(3)) as u32);
        indices.extend(row);
        let margin: f64 = indices[14 * i..].iter().map(|&j| w[j as usize]).sum();
        y.push(label(&mut rng, margin));
    }
    let starts = (0..=rows).map(|i| 14 * i).collect();
    let ones = vec![1.0; indices.len()];
    Ok(Dataset::from_csr(starts, indices, ones, 112, y)?)
}

/// Dense rows, uniform in [-1, 1]; the margins have the variance 4 for every d.
pub fn dense(rows: usize, features: usize) -> Checked<Dataset> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let scale = 6.0 / (features as f64).sqrt();
    let mut uniform = |n: usize| -> Vec<f64> {
        let numbers = (0..n).map(|_| 2.0 * rng.random::<f64>() - 1.0);
        numbers.collect()
    };
    let (w, values) = (uniform(features), uniform(rows * features));
    let margins = values.chunks_exact(features).map(|row| {
        let product: f64 = row.iter().zip(&w).map(|(a, b)| a * b).sum();
        scale * product
    });
    let y = margins.map(|margin| label(&mut rng, margin)).collect();
    let starts = (0..=rows).map(|i| features * i).collect();
    let indices = (0..rows).flat_map(|_| 0..features as u32).collect();
    Ok(Dataset::from_csr(starts, indices, values, features, y)?)
}

fn label(rng: &mut impl Rng, margin: f64) -> f64 {
    f64::from(rng.random::<f64>() < 1.0 / (1.0 + (-margin).exp()))
}

/// Copies of the data one after the other. For distinct rows the last value of row i of the
/// result is multiplied by 1 + 2⁻⁴⁰(i + 1).
pub fn copies(data: &Dataset, count: usize, distinct: bool) -> Checked<Case> {
    let (mut starts, mut labels) = (vec![0], Vec::new());
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for _ in 0..count {
        for (i, &label) in data.labels().iter().enumerate() {
            let (columns, row) = data.row(i);
            indices.extend_from_slice(columns);
            values.extend_from_slice(row);
            labels.push(label);
            starts.push(values.len());
            if distinct && let Some(last) = values.last_mut() {
                *last *= 1.0 + labels.len() as f64 * 2f64.powi(-40);
            }
        }
    }
    Ok(Case {
        data: Dataset::from_csr(starts, indices, values, data.n_features(), labels)?,
        penalty: 1.0 / data.n_rows() as f64,
    })
}
