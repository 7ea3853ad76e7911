//! LU factorization with partial pivoting, for square matrices that are not symmetric.

use super::{Breakdown, PAR, Scratch, check_length};
use dyn_stack::StackReq;
use faer::linalg::lu::partial_pivoting::{factor, solve};
use faer::{ColMut, MatMut, MatRef};

/// Solves one system by P A = L U.
#[derive(Debug, Default)]
pub(crate) struct Lu {
    n: usize,
    factor: Vec<f64>,
    forward: Vec<usize>,
    inverse: Vec<usize>,
    scratch: Scratch,
}

impl Lu {
    /// Overwrites `rhs` by A⁻¹ `rhs` for the column-major A = `matrix`; 2n³/3 flops.
    ///
    /// A singular matrix gives entries that are not finite: [`Breakdown::Singular`].
    pub(crate) fn solve(&mut self, matrix: &[f64], rhs: &mut [f64]) -> Result<(), Breakdown> {
        let n = rhs.len();
        check_length(n * n, matrix.len())?;
        self.resize(n);
        self.factor.copy_from_slice(matrix);
        let (_, permutation) = factor::lu_in_place(
            MatMut::from_column_major_slice_mut(&mut self.factor, n, n),
            &mut self.forward,
            &mut self.inverse,
            PAR,
            self.scratch.stack(),
            Default::default(),
        );
        let lu = MatRef::from_column_major_slice(&self.factor, n, n);
        solve::solve_in_place(
            lu,
            lu,
            permutation,
            ColMut::from_slice_mut(rhs).as_mat_mut(),
            PAR,
            self.scratch.stack(),
        );
        match rhs.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(pivot) => Err(Breakdown::Singular { pivot }),
        }
    }

    fn resize(&mut self, n: usize) {
        if n != self.n {
            self.n = n;
            self.factor.resize(n * n, 0.0);
            self.forward.resize(n, 0);
            self.inverse.resize(n, 0);
            self.scratch = Scratch::new(StackReq::any_of(&[
                factor::lu_in_place_scratch::<usize, f64>(n, n, PAR, Default::default()),
                solve::solve_in_place_scratch::<usize, f64>(n, 1, PAR),
            ]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_needs_pivoting_and_names_the_singular() {
        let mut lu = Lu::default();
        // [[0, 2, 1], [1, 1, 0], [3, 0, 1]] by columns
        let a = [0.0, 1.0, 3.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let mut x = [7.0, 3.0, 6.0];
        lu.solve(&a, &mut x).unwrap();
        for (x, exact) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((x - exact).abs() < 1e-14);
        }
        let mut x = [1.0, 0.0];
        let singular = lu.solve(&[1.0, 2.0, 2.0, 4.0], &mut x);
        assert!(matches!(singular, Err(Breakdown::Singular { .. })));
        let mut x = [6.0];
        lu.solve(&[2.0], &mut x).unwrap();
        assert_eq!(x, [3.0]);
    }
}
