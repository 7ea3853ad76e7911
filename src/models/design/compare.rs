//! For tests: two matrices in different storage do the same.

use super::{Design, GramScratch};
use faer::{Mat, MatRef};

/// A reproducible number of 31 bits.
pub(super) fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *state >> 33
}

/// The same on one thread and on three.
pub(super) fn on_threads<T: PartialEq + std::fmt::Debug + Send>(f: impl Fn() -> T + Sync) -> T {
    #[cfg(feature = "rayon")]
    {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(&f)
        };
        let one = on(1);
        assert_eq!(on(3), one);
        one
    }
    #[cfg(not(feature = "rayon"))]
    f()
}

pub(super) fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{a} {b}");
    }
}

fn each_column(a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    assert_eq!((a.nrows(), a.ncols()), (b.nrows(), b.ncols()));
    let column = |m: MatRef<'_, f64>, j| m.col(j).iter().copied().collect::<Vec<f64>>();
    for j in 0..a.ncols() {
        close(&column(a, j), &column(b, j));
    }
}

/// Every product of `a` is that of `b`.
pub(super) fn same_products(a: &Design, b: &Design) {
    let (n, features) = (b.nrows(), b.features());
    assert_eq!((a.nrows(), a.features()), (n, features));
    let mut state = 3;
    let mut vector =
        |len: usize| -> Vec<f64> { (0..len).map(|_| random(&mut state) as f64 * 1e-9).collect() };
    let weight = vector(n);
    for d in [features, features + 1] {
        let (w, r) = (vector(d), vector(n));
        let both = |f: &dyn Fn(&Design, &mut [f64]), len: usize| {
            let (mut of_a, mut of_b) = (vec![0.0; len], vec![0.0; len]);
            // Twice: the second time with a used workspace.
            f(a, &mut of_a);
            f(a, &mut of_a);
            f(b, &mut of_b);
            close(&of_a, &of_b);
        };
        both(&|design, out| design.mul(&w, out), n);
        both(&|design, out| design.mul_transpose(&r, out), d);
        both(&|design, out| design.product(&weight, &w, out), d);
        both(&|design, out| design.weighted_squares(&weight, out), d);
        let (w, r) = (vector(3 * d), vector(3 * n));
        both(&|design, out| design.mul_each(&w, out), 3 * n);
        both(&|design, out| design.mul_transpose_each(&r, out), 3 * d);
        let (mut of_a, mut of_b) = (Mat::zeros(n, d), Mat::zeros(n, d));
        a.write(of_a.as_mut());
        b.write(of_b.as_mut());
        assert_eq!(of_a, of_b);
    }
    let share = vec![1.0 / n as f64; n];
    // Dense data has none.
    if let (Some((of_a, columns)), Some((of_b, same))) = (a.leverage(&share), b.leverage(&share)) {
        close(&of_a, &of_b);
        assert_eq!(columns, same);
    }
    each_column(a.row_gram(), b.row_gram());
}

/// Every Gram matrix of `a` is that of `b`.
pub(super) fn same_grams(a: &Design, b: &Design) {
    let (n, features) = (b.nrows(), b.features());
    let mut scratch = GramScratch::default();
    for d in [features, features + 1] {
        for part in [1.0, 0.0] {
            // With many rows left out, whole columns are.
            let weight: Vec<f64> = (0..n)
                .map(|i| (1 + i % 7) as f64 * if i < 40 { 1.0 } else { part })
                .collect();
            let (mut of_a, mut of_b) = (Mat::zeros(d, d), Mat::zeros(d, d));
            a.gram(&weight, of_a.as_mut(), &mut scratch);
            b.gram(&weight, of_b.as_mut(), &mut GramScratch::default());
            each_column(of_a.as_ref(), of_b.as_ref());
        }
    }
}
