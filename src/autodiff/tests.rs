use super::*;
use crate::check;

/// Σ exp(xᵢ xᵢ₊₁) + sin(xᵢ)²/xᵢ₊₁ over neighbours: tridiagonal Hessian.
struct Neighbours(usize);

impl ScalarFunction for Neighbours {
    fn dimension(&self) -> usize {
        self.0
    }
    fn value<T: Number>(&self, x: &[T]) -> T {
        x.windows(2)
            .map(|w| (w[0] * w[1]).exp() + w[0].sin().powi(2) / w[1])
            .sum()
    }
}

/// x²y³ + ln(z).
struct Monomial;

impl ScalarFunction for Monomial {
    fn dimension(&self) -> usize {
        3
    }
    fn value<T: Number>(&self, x: &[T]) -> T {
        x[0].powi(2) * x[1].powi(3) + x[2].ln()
    }
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.5 + 0.3 * (i as f64).sin()).collect()
}

#[test]
fn derivatives_of_a_monomial_are_exact() {
    let x = [3.0, 2.0, 0.5];
    assert_eq!(gradient(&Monomial, &x).unwrap(), [48.0, 108.0, 2.0]);
    let h = hessian(&Monomial, &x).unwrap();
    let exact = [[16.0, 72.0, 0.0], [72.0, 108.0, 0.0], [0.0, 0.0, -4.0]];
    for i in 0..3 {
        for j in 0..3 {
            assert_eq!(h[(i, j)], exact[i][j], "({i}, {j})");
        }
    }
    let mut out = [0.0; 3];
    hessian_product(&Monomial, &x, &[1.0, -1.0, 2.0], &mut out).unwrap();
    assert_eq!(out, [-56.0, -36.0, -8.0]);
}

#[test]
fn every_dimension_fills_its_lanes() {
    for n in 2..14 {
        let problem = AutoDiff::new(Neighbours(n));
        let x = point(n);
        let check = check::derivatives(&problem, &x).unwrap();
        assert!(check.is_ok(), "{check}");
        let check = check::hessian_product(&problem, &x).unwrap();
        assert!(check.is_ok(), "{check}");
    }
}

#[test]
fn jacobians_are_exact() {
    struct Powers;
    impl VectorFunction for Powers {
        fn dimension(&self) -> usize {
            6
        }
        fn output_count(&self) -> usize {
            3
        }
        fn values<T: Number>(&self, x: &[T], out: &mut [T]) {
            out[0] = x.iter().copied().product();
            out[1] = x[0].powi(4) - x[5];
            out[2] = T::from(1.0);
        }
    }
    let problem = AutoDiff::new(Powers);
    let x = vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0];
    assert_eq!(problem.apply(&x).unwrap(), [8.0, -1.0, 1.0]);
    let exact = [
        [8.0, 4.0, 8.0, 4.0, 8.0, 4.0],
        [4.0, 0.0, 0.0, 0.0, 0.0, -1.0],
        [0.0; 6],
    ];
    let jacobian = problem.jacobian(&x).unwrap();
    assert_eq!(jacobian, Mat::from_fn(3, 6, |i, j| exact[i][j]));
    assert!(problem.jacobian(&vec![1.0; 5]).is_err());
}

#[test]
fn sparse_hessians_equal_dense_ones() {
    for n in [1, 2, 3, 7, 30] {
        let band: Vec<_> = (1..n).map(|i| (i, i - 1)).collect();
        let sparse = AutoDiff::new(Neighbours(n)).sparsity(&band).unwrap();
        assert_eq!(sparse.color_count(), n.min(3));
        assert_eq!(sparse.entry_count(), 3 * n - 2);
        let x = point(n);
        sparse.check_structure(&x).unwrap();
        let dense = hessian(sparse.function(), &x).unwrap();
        assert_eq!(sparse.hessian(&x).unwrap().to_dense(), dense);
        assert_eq!(
            sparse.gradient(&x).unwrap(),
            gradient(&Neighbours(n), &x).unwrap()
        );
    }
}

#[test]
fn missing_entries_are_reported() {
    let mut band: Vec<_> = (1..9).map(|i| (i, i - 1)).collect();
    band.remove(4);
    let sparse = AutoDiff::new(Neighbours(9)).sparsity(&band).unwrap();
    let missing = sparse.check_structure(&point(9));
    assert!(matches!(missing, Err(Error::OutsideStructure { .. })));
    let diagonal = AutoDiff::new(Monomial).sparsity(&[]).unwrap();
    assert!(diagonal.check_structure(&[1.0, 1.0, 1.0]).is_err());
    // At this point the missing entry 6xy² is zero.
    assert!(diagonal.check_structure(&[1.0, 0.0, 1.0]).is_ok());
    let infinite = diagonal.check_structure(&[1.0, 1.0, 0.0]);
    assert!(matches!(infinite, Err(Error::NonFinite { .. })));
}

#[test]
fn wrong_lengths_are_errors() {
    let dense = AutoDiff::new(Neighbours(3));
    let (short, mut out) = (vec![1.0; 2], [0.0; 3]);
    assert!(dense.cost(&short).is_err());
    assert!(dense.gradient(&short).is_err());
    assert!(dense.hessian(&short).is_err());
    assert!(dense.hessian_product(&short, &[1.0; 3], &mut out).is_err());
    let x = vec![1.0; 3];
    assert!(dense.hessian_product(&x, &[1.0; 2], &mut out).is_err());
    assert!(dense.hessian_product(&x, &[1.0; 3], &mut out[..2]).is_err());
    assert!(AutoDiff::new(Neighbours(3)).sparsity(&[(3, 0)]).is_err());
    let sparse = dense.sparsity(&[(1, 0), (2, 1)]).unwrap();
    assert!(sparse.cost(&short).is_err());
    assert!(sparse.hessian(&short).is_err());
    assert!(sparse.check_structure(&short).is_err());
}
