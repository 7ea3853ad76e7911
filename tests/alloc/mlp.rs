//! At one point and batch, products and copies of a network allocate nothing after the first.

use crate::counting::allocations;
use raphson::models::Mlp;
use raphson::{Batch, Dataset, FiniteSum, OutputModel};

#[test]
fn products_do_not_allocate() {
    let rows: Vec<Vec<f64>> = (0..300)
        .map(|i| (0..7).map(|j| f64::from((i * 7 + j) % 11) - 5.0).collect())
        .collect();
    let labels: Vec<f64> = (0..300).map(|i| f64::from(i % 3)).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let model = Mlp::classifier(&data, &[6, 5]).l2(0.1);
    let w = model.fan_in(1);
    let some: Vec<usize> = (0..150).collect();
    for (batch, b) in [(Batch::All, 300), (Batch::Terms(&some), 150)] {
        let (mut out, mut z) = (model.origin(), vec![0.0; 3 * b]);
        let mut run = || {
            FiniteSum::value(&model, &w, batch).unwrap();
            FiniteSum::hessian_product(&model, &w, batch, &w, &mut out).unwrap();
            OutputModel::outputs(&model, &w, batch, &mut z).unwrap();
            model.jvp(&w, batch, &w, &mut z).unwrap();
            model.vjp(&w, batch, &z, &mut out).unwrap();
        };
        assert!(allocations(&mut run).0 > 0);
        assert_eq!(allocations(&mut run).0, 0);
    }
}
