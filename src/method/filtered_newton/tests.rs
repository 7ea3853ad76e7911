//! The recursion against its textbook forms.

use super::filter::{BayesianFilter, MarginalPrecision};
use crate::edge::{Stored, SymView};
use crate::method::stochastic::hessian::Damping;
use crate::method::stochastic::rule::{Rule, Sample};
use crate::record::Report;
use crate::status::Failed;
use crate::stochastic::{Purpose, StepSchedule, Stream};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};

const NONE: Damping = Damping {
    relative: 0.0,
    absolute: 0.0,
};

struct Driver {
    filter: BayesianFilter,
    report: Report,
    newton: Vec<f64>,
}

impl Driver {
    fn new(mut filter: BayesianFilter, n: usize) -> Self {
        filter.check().unwrap();
        filter.start(n, StepSchedule::default()).unwrap();
        Driver {
            filter,
            report: Report::default(),
            newton: vec![0.0; n],
        }
    }

    fn feed(&mut self, q: &Mat<f64>, f: &Mat<f64>) -> Result<Mat<f64>, Failed> {
        let n = q.nrows();
        let g: Vec<f64> = (0..n).map(|i| f[(i, 0)]).collect();
        let mut p = vec![0.0; n];
        let sample = Sample {
            g: &g,
            hessian: SymView::Dense(q.as_ref(), Stored::Both),
            damping: NONE,
        };
        self.filter
            .direction(&sample, &mut self.report, &mut p, &mut self.newton)?;
        Ok(Mat::from_fn(n, 1, |i, _| p[i]))
    }

    fn lambda(&self, n: usize) -> Mat<f64> {
        Mat::from_fn(n, n, |i, j| self.filter.lambda[i + j * n])
    }
}

fn fixed(alpha: f64, beta: f64) -> BayesianFilter {
    BayesianFilter {
        alpha,
        beta_fixed: Some(beta),
        capped: false,
        normalize: Some(false),
        ..BayesianFilter::default()
    }
}

fn normal(stream: &mut Stream, n: usize, m: usize) -> Mat<f64> {
    Mat::from_fn(n, m, |_, _| stream.normal())
}

/// Positive definite with eigenvalues drawn by `value`.
fn spd(stream: &mut Stream, n: usize, value: impl Fn(f64) -> f64) -> Mat<f64> {
    let u = normal(stream, n, n).qr().compute_Q();
    let d: Vec<f64> = (0..n).map(|_| value(stream.uniform())).collect();
    let scaled = Mat::from_fn(n, n, |i, j| u[(i, j)] * d[j]);
    let m = &scaled * u.transpose();
    Mat::from_fn(n, n, |i, j| 0.5 * (m[(i, j)] + m[(j, i)]))
}

fn inverse(m: &Mat<f64>) -> Mat<f64> {
    m.partial_piv_lu().inverse()
}

fn difference(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (a - b).norm_max()
}

/// Σ⁻¹μ by the naive inverse form, Joseph's form, the momentum recursion and the unrolled sum.
#[test]
fn all_forms_agree() {
    let (n, steps) = (6, 40);
    let mut stream = Stream::new(0, Purpose::Probes);
    let eye = Mat::<f64>::identity(n, n);
    let general = (
        0.4 * normal(&mut stream, n, n),
        spd(&mut stream, n, |u| 0.3 + u),
    );
    for dynamics in [None, Some(general)] {
        let (a, gamma) = match &dynamics {
            None => (0.9 * &eye, 0.7 * &eye),
            Some((a, gamma)) => (a.clone(), gamma.clone()),
        };
        let mut filter = fixed(0.9, 0.7);
        if let Some((a, gamma)) = &dynamics {
            let dynamics = super::Dynamics::new(a.as_ref(), gamma.as_ref()).unwrap();
            filter.general = Some(dynamics);
        }
        let mut driver = Driver::new(filter, n);
        let (mut mu, mut sigma) = (Mat::zeros(n, 1), eye.clone());
        let (mut joseph_mu, mut joseph) = (Mat::zeros(n, 1), eye.clone());
        let mut momentum = Mat::zeros(n, 1);
        let (mut history, mut memories) = (Vec::new(), Vec::new());
        let mut worst = [0.0f64; 5];
        let mut direction = Mat::zeros(n, 1);
        for t in 0..steps {
            let q = spd(&mut stream, n, |u| 0.3 + 2.7 * u);
            let f = normal(&mut stream, n, 1);
            let step = -(inverse(&q) * &f);
            direction = driver.feed(&q, &f).unwrap();
            if t == 0 {
                (mu, sigma) = (f.clone(), q.clone());
                (joseph_mu, joseph) = (f.clone(), q.clone());
                momentum = step.clone();
            } else {
                let r = &a * &sigma * a.transpose() + &gamma;
                let memory = inverse(&r) * &a * &sigma;
                let next = inverse(&(inverse(&r) + inverse(&q)));
                mu = &next * (inverse(&r) * &a * &mu + inverse(&q) * &f);
                sigma = next;
                let r = &a * &joseph * a.transpose() + &gamma;
                let gain = &r * inverse(&(&r + &q));
                let rest = &eye - &gain;
                let prior = &a * &joseph_mu;
                joseph_mu = &prior + &gain * (&f - &prior);
                joseph = &rest * &r * rest.transpose() + &gain * &q * gain.transpose();
                momentum = &step + &memory * &momentum;
                memories.push(memory);
            }
            history.push(step);
            worst[0] = worst[0].max(difference(&direction, &-(inverse(&sigma) * &mu)));
            let by_joseph = -(inverse(&joseph) * &joseph_mu);
            worst[1] = worst[1].max(difference(&direction, &by_joseph));
            worst[2] = worst[2].max(difference(&direction, &momentum));
            worst[3] = worst[3].max(difference(&inverse(&driver.lambda(n)), &sigma));
        }
        let (mut unrolled, mut weight) = (Mat::zeros(n, 1), eye.clone());
        for k in (0..steps).rev() {
            unrolled += &weight * &history[k];
            if k > 0 {
                weight = &weight * &memories[k - 1];
            }
        }
        worst[4] = difference(&direction, &unrolled);
        println!(
            "forms (naive, Joseph, momentum, covariance, unrolled), general {}: {worst:?}",
            dynamics.is_some()
        );
        assert!(worst.iter().all(|w| *w <= 1e-12), "{worst:?}");
        let memory = memories.last().unwrap().svd().unwrap().S()[0];
        assert!((driver.filter.memory - memory).abs() < 2e-2 * memory);
        assert!(driver.filter.memory <= memory * (1.0 + 1e-12));
    }
}

#[test]
fn without_process_noise_the_step_grows_and_normalized_it_is_newtons() {
    let n = 5;
    let mut stream = Stream::new(1, Purpose::Probes);
    let q = spd(&mut stream, n, |u| 0.3 + 2.7 * u);
    let f = normal(&mut stream, n, 1);
    let newton = -(inverse(&q) * &f);
    for normalize in [false, true] {
        let filter = BayesianFilter {
            allow_no_decay: true,
            normalize: Some(normalize),
            ..fixed(1.0, 0.0)
        };
        let mut driver = Driver::new(filter, n);
        let mut p = Mat::zeros(n, 1);
        for _ in 0..10 {
            p = driver.feed(&q, &f).unwrap();
        }
        let sigma = inverse(&driver.lambda(n));
        assert!(difference(&sigma, &(0.1 * &q)) < 1e-12);
        let nu = Mat::from_fn(n, 1, |i, _| driver.filter.nu[i]);
        assert!(difference(&(sigma * nu), &f) < 1e-12);
        let factor = if normalize { 1.0 } else { 10.0 };
        assert!(difference(&p, &(factor * &newton)) < 1e-12 * factor);
    }
    // With α = 0.9, β = 0.2 the plain direction overshoots, the normalized one does not.
    for (normalize, bound) in [(true, 1e-12), (false, f64::INFINITY)] {
        let filter = BayesianFilter {
            normalize: Some(normalize),
            ..fixed(0.9, 0.2)
        };
        let mut driver = Driver::new(filter, n);
        let mut p = Mat::zeros(n, 1);
        for _ in 0..30 {
            p = driver.feed(&q, &f).unwrap();
        }
        assert!(difference(&p, &newton) < bound);
        let longer = p.norm_l2() / newton.norm_l2();
        println!("normalized {normalize}: {longer:.3} times Newton's step");
        assert!(normalize || longer > 1.1);
    }
}

#[test]
fn the_capped_start_bounds_the_memory_whatever_the_hessians() {
    let n = 5;
    for (alpha, beta) in [(0.5, 0.1), (0.9, 0.2), (0.99, 1e-3), (0.9, 100.0)] {
        for capped in [true, false] {
            let mut stream = Stream::new(2, Purpose::Probes);
            let filter = BayesianFilter {
                capped,
                ..fixed(alpha, beta)
            };
            let mut driver = Driver::new(filter, n);
            let (mut largest, mut reported) = (0.0f64, 0.0f64);
            for _ in 0..400 {
                if driver.filter.steps > 0 {
                    let lambda = driver.lambda(n);
                    let least = lambda.self_adjoint_eigenvalues(Side::Lower).unwrap()[0];
                    largest = largest.max(alpha / (alpha * alpha + beta * least));
                }
                let q = spd(&mut stream, n, |u| 10f64.powf(-3.0 + 7.0 * u));
                let f = normal(&mut stream, n, 1);
                driver.feed(&q, &f).unwrap();
                reported = reported.max(driver.filter.memory);
            }
            println!("alpha {alpha} beta {beta} capped {capped}: {largest:.6} {reported:.6}");
            assert!(reported <= largest + 1e-12 && reported > 0.98 * largest);
            if capped {
                assert!(largest <= alpha + 1e-12, "{largest}");
            } else if beta < 1.0 {
                assert!(largest > alpha + 1e-3, "{largest}");
            }
        }
    }
}

#[test]
fn the_robust_marginal_follows_its_two_branches() {
    let f = Mat::from_fn(1, 1, |_, _| 1.0);
    // S⁻¹ = 0.19/0.2 = 0.95; Q = 0.5 leaves Q⁻¹ − S⁻¹ = 1.05, Q = 4 does not.
    for (q, f_weight, lambda_change) in [(0.5, 2.0, 2.0 - 0.95), (4.0, 0.25 + 0.95, 0.25)] {
        let filter = BayesianFilter {
            marginal: MarginalPrecision::Robust,
            ..fixed(0.9, 0.2)
        };
        let mut driver = Driver::new(filter, 1);
        driver.feed(&Mat::from_fn(1, 1, |_, _| 1.0), &f).unwrap();
        let p = driver.feed(&Mat::from_fn(1, 1, |_, _| q), &f).unwrap();
        let m = 0.9 / (0.81 + 0.2);
        assert!((p[(0, 0)] + m + f_weight).abs() < 1e-14);
        let lambda = 1.0 / (0.81 + 0.2) + lambda_change;
        assert!((driver.filter.lambda[0] - lambda).abs() < 1e-14);
    }
}

#[test]
fn stationary_covariances_and_bad_dynamics() {
    let a = Mat::from_fn(2, 2, |i, j| [[0.5, 0.2], [0.0, -0.8]][i][j]);
    let gamma = Mat::from_fn(2, 2, |i, j| [[1.0, 0.3], [0.3, 2.0]][i][j]);
    let mut dynamics = super::Dynamics::new(a.as_ref(), gamma.as_ref()).unwrap();
    dynamics.prepare(true).unwrap();
    let s = inverse(&Mat::from_fn(2, 2, |i, j| dynamics.marginal[i + j * 2]));
    let residual = &s - &a * &s * a.transpose() - &gamma;
    assert!(residual.norm_max() < 1e-13);
    let eye = Mat::<f64>::identity(2, 2);
    let mut lasting = super::Dynamics::new(eye.as_ref(), gamma.as_ref()).unwrap();
    assert!(lasting.prepare(true).is_err() && lasting.prepare(false).is_ok());
    let mut indefinite = super::Dynamics::new(a.as_ref(), (-&eye).as_ref()).unwrap();
    assert!(indefinite.prepare(false).is_err());
    let wide = Mat::<f64>::zeros(2, 3);
    assert!(super::Dynamics::new(a.as_ref(), wide.as_ref()).is_err());
}

/// β follows the scale of the Hessian and falls by at most 5 % a step.
#[test]
fn scaling_the_problem_scales_beta_alone() {
    let mut stream = Stream::new(3, Purpose::Probes);
    let batches: Vec<_> = (0..20)
        .map(|_| (spd(&mut stream, 3, |u| 0.1 + u), normal(&mut stream, 3, 1)))
        .collect();
    let run = |scale: f64| {
        let filter = BayesianFilter {
            normalize: Some(false),
            ..BayesianFilter::default()
        };
        let mut driver = Driver::new(filter, 3);
        let mut last = Mat::zeros(3, 1);
        for (q, f) in &batches {
            let before = driver.filter.beta;
            last = driver.feed(&(scale * q), &(scale * f)).unwrap();
            assert!(driver.filter.beta >= 0.95 * before);
        }
        last
    };
    assert!(difference(&run(1.0), &run(1048576.0)) < 1e-13);
}

#[test]
fn a_hessian_that_stays_indefinite_fails_by_name() {
    let mut driver = Driver::new(fixed(0.9, 0.2), 1);
    let one = Mat::from_fn(1, 1, |_, _| 1.0);
    driver.feed(&one, &one).unwrap();
    let end = driver.feed(&-&one, &one);
    assert_eq!(end.err(), Some(Failed::NotPositiveDefinite));
    assert_eq!(driver.report.factorizations, 1 + 6);
    let nan = Mat::from_fn(1, 1, |_, _| f64::NAN);
    assert_eq!(driver.feed(&nan, &one).err(), Some(Failed::NonFinite));
}
