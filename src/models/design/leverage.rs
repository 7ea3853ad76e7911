//! Leverages of rows, but for correlations of the columns.

use super::{Design, Storage};
use crate::parallel::chunks_mut;

impl Design {
    /// sᵢ = Σⱼ aᵢⱼ²/Dⱼ with D = diag(Aᵀ diag(weight) A), and the number of columns with an entry, which is the sum of
    /// weightᵢ sᵢ. None if the data is stored densely.
    ///
    /// Cost: two passes over the entries.
    pub(crate) fn leverage(&self, weight: &[f64]) -> Option<(Vec<f64>, f64)> {
        if let Storage::Dense(_) = self.storage {
            return None;
        }
        let mut inverse = vec![0.0; self.features];
        self.weighted_squares(weight, &mut inverse);
        let mut columns = 0.0;
        for square in inverse.iter_mut().filter(|square| **square > 0.0) {
            *square = 1.0 / *square;
            columns += 1.0;
        }
        if let Storage::Coded(coded) = &self.storage {
            let mut tokens = vec![0.0; coded.tokens()];
            coded
                .dictionary
                .squares(0..tokens.len(), &inverse, &mut tokens);
            inverse = tokens;
        }
        let mut leverage = vec![0.0; self.rows];
        chunks_mut(
            &mut leverage,
            self.block(),
            self.entries(),
            |first, chunk| {
                let rows = first..first + chunk.len();
                match &self.storage {
                    Storage::Sparse { rows: sparse, .. } => sparse.squares(rows, &inverse, chunk),
                    Storage::Coded(coded) => coded.codes.squares(rows, &inverse, chunk),
                    Storage::Scaled(scaled) => scaled.squares(rows, &inverse, chunk),
                    Storage::Dense(_) => {}
                }
            },
        );
        Some((leverage, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::models::design::rows::SparseRows;

    #[test]
    fn a_rare_column_makes_its_rows_heavy_in_whatever_unit() {
        let n = 1000;
        let design = |unit: f64| {
            let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
            for i in 0..n {
                col.push((i % 7) as u32);
                value.push(1.0 + (i % 3) as f64);
                if i % 400 == 3 {
                    col.push(8);
                    value.push(unit);
                }
                start.push(col.len());
            }
            let data = Dataset::from_parts(start, col, value, 9, vec![0.0; n], None);
            Design::sparse(n, 9, SparseRows::new(9, data.csr(), None))
        };
        let share = vec![1e-3; n];
        let (leverage, columns) = design(1.0).leverage(&share).unwrap();
        // Column 7 is empty, column 8 has three entries.
        assert_eq!(columns, 8.0);
        let total: f64 = leverage.iter().map(|s| 1e-3 * s).sum();
        assert!((total - 8.0).abs() < 1e-12, "{total}");
        for (i, s) in leverage.iter().enumerate() {
            assert_eq!(*s > 300.0, i % 400 == 3, "row {i}: {s}");
        }
        let (other, _) = design(1e6).leverage(&share).unwrap();
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a;
        assert!(leverage.iter().zip(&other).all(near));
        let rows: Vec<Vec<f64>> = (0..40).map(|i| vec![1.0, i as f64]).collect();
        let data = Dataset::from_rows(&rows, &[0.0; 40]).unwrap();
        assert!(Design::new(&data).leverage(&[0.025; 40]).is_none());
    }
}
