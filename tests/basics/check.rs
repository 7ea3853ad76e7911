//! The derivative checker finds planted faults and raises no false alarms.

use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};
use faer::Mat;
use proptest::prelude::*;
use raphson::check::{self, Check, Checker, Finding, Triangle};
use raphson::edge::{Lower, RectView, Stored, SymView, Upper};
use raphson::{HessianProduct, RectMat, SymMat};

#[derive(Clone)]
struct Dense(Mat<f64>);

impl SymMat for Dense {
    fn sym(&self) -> SymView<'_> {
        SymView::Dense(self.0.as_ref(), Stored::Both)
    }
}

impl RectMat for Dense {
    fn rect(&self) -> RectView<'_> {
        RectView::Dense(self.0.as_ref())
    }
}

/// A problem made of closures.
struct Problem<F, G, H> {
    f: F,
    g: G,
    h: H,
}

impl<F: Fn(&[f64]) -> f64, G, H> CostFunction for Problem<F, G, H> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok((self.f)(x))
    }
}

impl<F, G: Fn(&[f64]) -> Vec<f64>, H> Gradient for Problem<F, G, H> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.g)(x))
    }
}

impl<F, G, M, H: Fn(&[f64]) -> M> Hessian for Problem<F, G, H> {
    type Param = Vec<f64>;
    type Hessian = M;
    fn hessian(&self, x: &Vec<f64>) -> Result<M, Error> {
        Ok((self.h)(x))
    }
}

impl<F, G, H: Fn(&[f64]) -> Dense> HessianProduct for Problem<F, G, H> {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let h = (self.h)(x).0;
        for (i, o) in out.iter_mut().enumerate() {
            *o = (0..v.len()).map(|j| h[(i, j)] * v[j]).sum();
        }
        Ok(())
    }
}

struct Residuals<R, J> {
    r: R,
    j: J,
}

impl<R: Fn(&[f64]) -> Vec<f64>, J> Operator for Residuals<R, J> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.r)(x))
    }
}

impl<R, J: Fn(&[f64]) -> Mat<f64>> Jacobian for Residuals<R, J> {
    type Param = Vec<f64>;
    type Jacobian = Dense;
    fn jacobian(&self, x: &Vec<f64>) -> Result<Dense, Error> {
        Ok(Dense((self.j)(x)))
    }
}

fn gradient_check(f: impl Fn(&[f64]) -> f64, g: impl Fn(&[f64]) -> Vec<f64>, x: &[f64]) -> Check {
    check::gradient(&Problem { f, g, h: () }, &x.to_vec()).unwrap()
}

/// sum_i cos(x_i + 0.3 i) + coupling of neighbors: all entries of the gradient differ.
fn chain(x: &[f64]) -> f64 {
    let single: f64 = x
        .iter()
        .enumerate()
        .map(|(i, v)| (v + 0.3 * i as f64).cos())
        .sum();
    single + x.windows(2).map(|w| w[0] * w[0] * w[1]).sum::<f64>()
}

fn chain_gradient(x: &[f64]) -> Vec<f64> {
    let mut g: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, v)| -(v + 0.3 * i as f64).sin())
        .collect();
    for i in 1..x.len() {
        g[i - 1] += 2.0 * x[i - 1] * x[i];
        g[i] += x[i - 1] * x[i - 1];
    }
    g
}

fn chain_hessian(x: &[f64]) -> Dense {
    let mut h = Mat::zeros(x.len(), x.len());
    for i in 0..x.len() {
        h[(i, i)] -= (x[i] + 0.3 * i as f64).cos();
        if i > 0 {
            h[(i - 1, i - 1)] += 2.0 * x[i];
            h[(i, i - 1)] = 2.0 * x[i - 1];
            h[(i - 1, i)] = 2.0 * x[i - 1];
        }
    }
    Dense(h)
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.4 + (1.7 * i as f64).sin()).collect()
}

type Chain<H> = Problem<fn(&[f64]) -> f64, fn(&[f64]) -> Vec<f64>, H>;

fn chain_with<M, H: Fn(&[f64]) -> M>(h: H) -> Chain<H> {
    Problem {
        f: chain,
        g: chain_gradient,
        h,
    }
}

#[test]
fn square_at_every_scale() {
    for x in [0.0, 1e-12, 100.0, 1e12] {
        let c = gradient_check(|x| x[0] * x[0], |x| vec![2.0 * x[0]], &[x]);
        assert!(c.is_ok(), "{c}");
        let error = (c.worst.numerical - 2.0 * x).abs();
        assert!(error <= 1e-6 * (2.0 * x).max(1.0), "{error} at {x}");
    }
    for x in [1e-12, 100.0, 1e12] {
        let c = gradient_check(|x| x[0] * x[0], |x| vec![2.0001 * x[0]], &[x]);
        assert_eq!(c.finding, Finding::WrongEntry, "{c}");
    }
}

#[test]
fn rosenbrock() {
    let g = |x: &[f64]| {
        let d = x[1] - x[0] * x[0];
        vec![-400.0 * x[0] * d - 2.0 * (1.0 - x[0]), 200.0 * d]
    };
    let h = |x: &[f64]| {
        let mut h = Mat::zeros(2, 2);
        h[(0, 0)] = 1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0;
        h[(0, 1)] = -400.0 * x[0];
        h[(1, 0)] = -400.0 * x[0];
        h[(1, 1)] = 200.0;
        Dense(h)
    };
    let f = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
    let p = Problem { f, g, h };
    for x in [
        vec![-1.2, 1.0],
        vec![1.0, 1.0],
        vec![0.0, 0.0],
        vec![1.0 + 1e-9, 1.0],
    ] {
        let d = check::derivatives(&p, &x).unwrap();
        assert!(d.is_ok(), "{d}");
    }
    let constant = |_: &[f64]| {
        let mut h = Mat::zeros(2, 2);
        h[(0, 0)] = 1330.0;
        h[(0, 1)] = 480.0;
        h[(1, 0)] = 480.0;
        h[(1, 1)] = 200.0;
        Dense(h)
    };
    let p = Problem {
        f,
        g: |_: &[f64]| vec![-215.6, -88.0],
        h: constant,
    };
    assert!(check::gradient(&p, &vec![-1.2, 1.0]).unwrap().is_ok());
    let p = Problem { f, g, h: constant };
    assert!(check::hessian(&p, &vec![-1.2, 1.0]).unwrap().is_ok());
}

#[test]
fn correct_derivatives_pass() {
    for n in [1, 2, 7, 30] {
        let p = chain_with(chain_hessian);
        let d = check::derivatives(&p, &point(n)).unwrap();
        assert!(d.is_ok(), "{d}");
        let c = check::hessian_product(&p, &point(n)).unwrap();
        assert!(c.is_ok(), "{c}");
        assert_eq!(c.entries, n * n);
    }
}

#[test]
fn wrong_sign_and_factors_are_named() {
    let x = point(5);
    let scaled =
        |c: f64| move |x: &[f64]| chain_gradient(x).iter().map(|g| c * g).collect::<Vec<_>>();
    let c = gradient_check(chain, scaled(-1.0), &x);
    assert_eq!(c.finding, Finding::WrongSign, "{c}");
    for factor in [2.0, 0.5, 5.0, 0.2, -2.0] {
        let c = gradient_check(chain, scaled(factor), &x);
        assert_eq!(c.finding, Finding::ScaledBy { factor }, "{c}");
        assert_eq!(c.wrong, 5);
    }
    let c = gradient_check(chain, scaled(1.37), &x);
    let Finding::ScaledBy { factor } = c.finding else {
        panic!("{c}");
    };
    assert!((factor - 1.37).abs() < 1e-6);
    let c = gradient_check(chain, scaled(0.0), &x);
    assert_eq!(c.finding, Finding::WrongEntry, "{c}");
    let twice = |x: &[f64]| Dense(chain_hessian(x).0 * faer::Scale(2.0));
    let c = check::hessian(&chain_with(twice), &x).unwrap();
    assert_eq!(c.finding, Finding::ScaledBy { factor: 2.0 }, "{c}");
}

#[test]
fn one_wrong_entry_among_hundred_is_found_and_named() {
    let x = point(100);
    for (index, by) in [(0, 1e-3), (41, 1e-4), (99, 1.0)] {
        let g = |x: &[f64]| {
            let mut g = chain_gradient(x);
            g[index] *= 1.0 + by;
            g
        };
        let c = gradient_check(chain, g, &x);
        assert_eq!(c.finding, Finding::WrongEntry, "{c}");
        assert_eq!((c.wrong, c.worst.col), (1, index));
        assert!(c.to_string().contains(&format!("entry {index}")), "{c}");
        assert!((c.relative_error() - by / (1.0 + by)).abs() < 1e-6, "{c}");
    }
}

#[test]
fn one_wrong_hessian_entry() {
    let x = point(10);
    let h = |x: &[f64]| {
        let mut h = chain_hessian(x);
        h.0[(4, 3)] += 0.01;
        h
    };
    let c = check::hessian(&chain_with(h), &x).unwrap();
    assert!(matches!(c.finding, Finding::Asymmetric { .. }), "{c}");
    assert_eq!((c.worst.row, c.worst.col, c.wrong), (4, 3, 1));
    let h = |x: &[f64]| {
        let mut h = chain_hessian(x);
        h.0[(4, 4)] += 0.01;
        h
    };
    let c = check::hessian(&chain_with(h), &x).unwrap();
    assert_eq!(c.finding, Finding::WrongEntry, "{c}");
    assert_eq!((c.worst.row, c.worst.col, c.wrong), (4, 4, 1));
}

fn half(x: &[f64], keep: fn(usize, usize) -> bool) -> Dense {
    let h = chain_hessian(x).0;
    Dense(Mat::from_fn(x.len(), x.len(), |i, j| {
        if keep(i, j) { h[(i, j)] } else { 0.0 }
    }))
}

#[test]
fn half_filled_hessians() {
    let x = point(6);
    let lower = |x: &[f64]| half(x, |i, j| i >= j);
    let upper = |x: &[f64]| half(x, |i, j| i <= j);
    let c = check::hessian(&chain_with(lower), &x).unwrap();
    assert_eq!(
        c.finding,
        Finding::HalfFilled {
            zero: Triangle::Upper
        }
    );
    assert!(c.to_string().contains("edge::Lower"), "{c}");
    let c = check::hessian(&chain_with(upper), &x).unwrap();
    assert_eq!(
        c.finding,
        Finding::HalfFilled {
            zero: Triangle::Lower
        }
    );
    assert!(c.to_string().contains("edge::Upper"), "{c}");
    let c = check::hessian(&chain_with(|x: &[f64]| Lower(lower(x))), &x).unwrap();
    assert!(c.is_ok(), "{c}");
    let c = check::hessian(&chain_with(|x: &[f64]| Upper(upper(x))), &x).unwrap();
    assert!(c.is_ok(), "{c}");
    let c = check::hessian_product(&chain_with(lower), &x).unwrap();
    assert_eq!(
        c.finding,
        Finding::HalfFilled {
            zero: Triangle::Upper
        }
    );
}

#[test]
fn products_with_random_directions() {
    let x = point(250);
    let c = check::hessian_product(&chain_with(chain_hessian), &x).unwrap();
    assert!(c.is_ok(), "{c}");
    assert_eq!(c.entries, 2500);
    let h = |x: &[f64]| {
        let mut h = chain_hessian(x);
        h.0[(7, 200)] += 0.5;
        h
    };
    let c = check::hessian_product(&chain_with(h), &x).unwrap();
    assert_eq!(c.finding, Finding::WrongEntry, "{c}");
    assert_eq!((c.worst.row, c.wrong), (7, 10), "{c}");
    // Within the tolerance of the differences, beyond that of the symmetry.
    let h = |x: &[f64]| {
        let mut h = chain_hessian(x);
        h.0[(7, 200)] += 2e-4;
        h
    };
    let checker = Checker::new().tolerance(1e-2);
    let c = checker.hessian_product(&chain_with(h), &x).unwrap();
    assert!(
        matches!(c.finding, Finding::AsymmetricProduct { .. }),
        "{c}"
    );
}

#[test]
fn jacobians() {
    let r = |x: &[f64]| vec![x[0] * x[1], x[1].exp() - x[2], x[0].sin()];
    let j = |x: &[f64]| {
        let rows = [
            [x[1], x[0], 0.0],
            [0.0, x[1].exp(), -1.0],
            [x[0].cos(), 0.0, 0.0],
        ];
        Mat::from_fn(3, 3, |i, j| rows[i][j])
    };
    let x = vec![0.7, -0.4, 2.0];
    let c = check::jacobian(&Residuals { r, j }, &x).unwrap();
    assert!(c.is_ok(), "{c}");
    let c = check::jacobian(
        &Residuals {
            r,
            j: |x: &[f64]| j(x).transpose().to_owned(),
        },
        &x,
    )
    .unwrap();
    assert_eq!(c.finding, Finding::Transposed, "{c}");
    let wide = |x: &[f64]| vec![x[0] * x[1] * x[2], x[2]];
    let tall = |x: &[f64]| {
        let columns = [[x[1] * x[2], x[0] * x[2], x[0] * x[1]], [0.0, 0.0, 1.0]];
        Mat::from_fn(3, 2, |i, j| columns[j][i])
    };
    let error = check::jacobian(&Residuals { r: wide, j: tall }, &x).unwrap_err();
    assert_eq!(error.to_string(), "Jacobian: expected 2 x 3, found 3 x 2");
    let right = |x: &[f64]| tall(x).transpose().to_owned();
    assert!(
        check::jacobian(&Residuals { r: wide, j: right }, &x)
            .unwrap()
            .is_ok()
    );
}

#[test]
fn nan_in_the_derivative_is_named() {
    let g = |x: &[f64]| {
        let mut g = chain_gradient(x);
        g[3] = f64::NAN;
        g
    };
    let c = gradient_check(chain, g, &point(5));
    assert_eq!((c.finding, c.worst.col), (Finding::NonFinite, 3), "{c}");
    assert!(c.to_string().contains("entry 3"), "{c}");
}

#[test]
fn non_finite_input_is_an_error() {
    let p = Problem {
        f: |x: &[f64]| x[0].ln(),
        g: |x: &[f64]| vec![1.0 / x[0]],
        h: (),
    };
    for x in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            check::gradient(&p, &vec![x]),
            Err(raphson::Error::NonFinite { .. })
        ));
    }
    assert!(check::gradient(&p, &vec![]).is_err());
    let checker = Checker::new();
    assert!(
        checker
            .clone()
            .tolerance(0.0)
            .gradient(&p, &vec![1.0])
            .is_err()
    );
    assert!(
        checker
            .clone()
            .typical(&[1.0, 1.0])
            .gradient(&p, &vec![1.0])
            .is_err()
    );
    assert!(checker.typical(&[-1.0]).gradient(&p, &vec![1.0]).is_err());
}

#[test]
fn edge_of_the_domain() {
    let f = |x: &[f64]| {
        if x[0] < 0.0 {
            f64::NAN
        } else {
            x[0] + x[0].powi(3)
        }
    };
    let c = gradient_check(f, |_| vec![1.0], &[0.0]);
    assert!(c.is_ok(), "{c}");
    let c = gradient_check(f, |_| vec![1.1], &[0.0]);
    assert_eq!(c.finding, Finding::WrongEntry, "{c}");
    let isolated = |x: &[f64]| if x[0] == 0.0 { 0.0 } else { f64::NAN };
    let c = gradient_check(isolated, |_| vec![1.0], &[0.0]);
    assert_eq!(c.finding, Finding::Inconclusive, "{c}");
    for x in [1e-12, 1e-3, 1.0, 1e12] {
        let c = gradient_check(|x| x[0].ln(), |x| vec![1.0 / x[0]], &[x]);
        assert!(c.is_ok() && c.unresolved == 0, "{c}");
        let c = gradient_check(|x| x[0].ln(), |x| vec![2.0 / x[0]], &[x]);
        assert_eq!(c.finding, Finding::ScaledBy { factor: 2.0 }, "{c}");
    }
}

#[test]
fn function_that_lives_at_a_tiny_scale() {
    let f = |x: &[f64]| (1e12 * x[0]).cos();
    let right = |x: &[f64]| vec![-1e12 * (1e12 * x[0]).sin()];
    let wrong = |x: &[f64]| vec![1e12 * (1e12 * x[0]).sin()];
    let c = gradient_check(f, right, &[1e-12]);
    assert!(c.is_ok() && c.unresolved == 0, "{c}");
    let c = gradient_check(f, wrong, &[1e-12]);
    assert_eq!(c.finding, Finding::WrongSign, "{c}");
    let p = Problem { f, g: right, h: () };
    let c = Checker::new()
        .typical(&[1e-12])
        .gradient(&p, &vec![1e-12])
        .unwrap();
    assert!(c.is_ok() && c.unresolved == 0, "{c}");
}

#[test]
fn badly_scaled_sum_hides_no_error_it_can_see() {
    // x1 contributes 1e8, which buries the digits of x0 at small steps.
    let f = |x: &[f64]| x[0].sin() + 1e8 * x[1] * x[1];
    let c = gradient_check(f, |x| vec![x[0].cos(), 2e8 * x[1]], &[0.5, 1.0]);
    assert!(c.is_ok(), "{c}");
    let c = gradient_check(f, |x| vec![1.01 * x[0].cos(), 2e8 * x[1]], &[0.5, 1.0]);
    assert_eq!((c.finding, c.worst.col), (Finding::WrongEntry, 0), "{c}");
}

#[test]
fn smooth_gradient_costs_six_evaluations_for_each_variable() {
    let calls = std::cell::Cell::new(0);
    let f = |x: &[f64]| {
        calls.set(calls.get() + 1);
        chain(x)
    };
    let c = gradient_check(f, chain_gradient, &point(5));
    assert!(c.is_ok(), "{c}");
    assert_eq!(calls.get(), 6 * 5 + 1);
}

#[test]
fn error_of_the_problem_is_kept() {
    struct Broken;
    impl CostFunction for Broken {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, _: &Vec<f64>) -> Result<f64, Error> {
            Err(std::fmt::Error.into())
        }
    }
    impl Gradient for Broken {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            Ok(x.clone())
        }
    }
    let error = check::gradient(&Broken, &vec![1.0]).unwrap_err();
    let raphson::Error::Problem(inner) = error else {
        panic!("{error}");
    };
    assert!(inner.is::<std::fmt::Error>());
}

#[test]
fn differences_pass_their_own_check() {
    use raphson::difference::{FromGradient, FromValue};
    let x = point(6);
    let c = Checker::new()
        .tolerance(1e-5)
        .gradient(&FromValue(chain_with(chain_hessian)), &x)
        .unwrap();
    assert!(c.is_ok(), "{c}");
    let c = check::hessian_product(&FromGradient(chain_with(chain_hessian)), &x).unwrap();
    assert!(c.is_ok(), "{c}");
}

/// Noisy functions, as if they came from an inner solve.
#[test]
fn noise_raises_no_alarm() {
    let noise = |v: f64| ((v * 1e10).sin() * 43758.5453).fract();
    for size in [1e-13, 1e-11, 1e-9, 1e-7] {
        for k in 0..500 {
            let f = |x: &[f64]| x[0].exp() * (1.0 + size * noise(x[0]));
            let x = [0.005 * f64::from(k)];
            let c = gradient_check(f, |x| vec![x[0].exp()], &x);
            assert!(c.is_ok(), "{size} {k}: {c}");
            let c = gradient_check(f, |x| vec![1.1 * x[0].exp()], &x);
            assert!(!c.is_ok(), "{size} {k}: {c}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(129),
        ..ProptestConfig::default()
    })]

    #[test]
    fn smooth_functions_raise_no_alarm(
        which in 0usize..7,
        mantissa in 0.3f64..3.0,
        negative: bool,
        exponent in -12i32..=12,
        height in -12i32..=12,
        offset in -3.0f64..3.0,
    ) {
        let s = 10f64.powi(exponent);
        let c = 10f64.powi(height);
        let x = if negative { -mantissa } else { mantissa } * s;
        // Value and derivative at u = x / s.
        let shape = |u: f64| match which {
            0 => (u * u, 2.0 * u),
            1 => (u.exp(), u.exp()),
            2 => (u.cos(), -u.sin()),
            3 => ((1.0 + u * u).ln(), 2.0 * u / (1.0 + u * u)),
            4 => (u * u * u - 2.0 * u, 3.0 * u * u - 2.0),
            5 => (u.tanh(), u.tanh().mul_add(-u.tanh(), 1.0)),
            _ => (1.0 / (1.0 + (-u).exp()), (-u).exp() / (1.0 + (-u).exp()).powi(2)),
        };
        let f = |x: &[f64]| c * (shape(x[0] / s).0 + offset);
        let g = |x: &[f64]| vec![c / s * shape(x[0] / s).1];
        let check = gradient_check(f, g, &[x]);
        prop_assert!(check.is_ok(), "{}", check);
        // A fault of 10% is seen wherever the derivative is not itself lost in rounding.
        if shape(x / s).1.abs() > 1e-2 {
            let check = gradient_check(f, |x| vec![1.1 * g(x)[0]], &[x]);
            prop_assert!(!check.is_ok(), "{}", check);
        }
    }

    #[test]
    fn hessians_raise_no_alarm(
        x in prop::collection::vec(-3.0f64..3.0, 1..8),
    ) {
        let d = check::derivatives(&chain_with(chain_hessian), &x).unwrap();
        prop_assert!(d.is_ok(), "{}", d);
    }
}
