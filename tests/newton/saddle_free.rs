//! Saddle-free Newton: where it leads, what a step is, and what it costs.
#![cfg(feature = "problems")]

mod saddle {
    use crate::problem::{Call, Matrix, Problem, saddle};
    use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian};
    use faer::{Mat, Side};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use raphson::linear::SymmetricEigen;
    use raphson::{
        Converged, CubicNewton, DampedNewton, Damping, Failed, HessianProduct, LazyCubicNewton,
        Outcome, SaddleFreeNewton, Status, Stopped, SymMat, TrustRegionNewton,
    };

    /// ¼x⁴ − ½x² + ½y²: minima −¼ at (±1, 0), a saddle at 0.
    fn double_well() -> Problem {
        Problem::new(
            |x| 0.25 * x[0].powi(4) - 0.5 * x[0] * x[0] + 0.5 * x[1] * x[1],
            |x| vec![x[0].powi(3) - x[0], x[1]],
            |x| [[3.0 * x[0] * x[0] - 1.0, 0.0], [0.0, 1.0]],
        )
    }

    /// x³ − 3xy² + (x² + y²)²: minima −27/256 at radius ¾ in three directions, a degenerate saddle at 0.
    fn monkey() -> Problem {
        Problem::new(
            |x| {
                let square = x[0] * x[0] + x[1] * x[1];
                x[0].powi(3) - 3.0 * x[0] * x[1] * x[1] + square * square
            },
            |x| {
                let r = 4.0 * (x[0] * x[0] + x[1] * x[1]);
                vec![
                    3.0 * (x[0] * x[0] - x[1] * x[1]) + r * x[0],
                    -6.0 * x[0] * x[1] + r * x[1],
                ]
            },
            |x| {
                let r = 4.0 * (x[0] * x[0] + x[1] * x[1]);
                let off = 8.0 * x[0] * x[1] - 6.0 * x[1];
                [
                    [6.0 * x[0] + r + 8.0 * x[0] * x[0], off],
                    [off, -6.0 * x[0] + r + 8.0 * x[1] * x[1]],
                ]
            },
        )
    }

    /// ½‖XAᵀBᵀ − Y‖²/N over A (4 x 8) and B (6 x 4): a network of two linear layers.
    #[derive(Clone)]
    struct Linear {
        x: Mat<f64>,
        y: Mat<f64>,
    }

    const IN: usize = 8;
    const HIDDEN: usize = 4;
    const OUT: usize = 6;
    const ROWS: usize = 200;
    const WEIGHTS: usize = HIDDEN * (IN + OUT);

    impl Linear {
        fn new() -> Self {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
            let mut normal = move || {
                let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
                radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
            };
            let x = Mat::from_fn(ROWS, IN, |_, _| normal());
            let w = Mat::from_fn(OUT, IN, |_, _| normal());
            let noise = Mat::from_fn(ROWS, OUT, |_, _| 0.1 * normal());
            let y = &x * w.transpose() + noise;
            Linear { x, y }
        }

        fn layers(w: &[f64]) -> (Mat<f64>, Mat<f64>) {
            let (a, b) = w.split_at(HIDDEN * IN);
            (
                Mat::from_fn(HIDDEN, IN, |i, j| a[i * IN + j]),
                Mat::from_fn(OUT, HIDDEN, |i, j| b[i * HIDDEN + j]),
            )
        }

        fn flat(a: &Mat<f64>, b: &Mat<f64>) -> Vec<f64> {
            let rows = |m: &Mat<f64>| -> Vec<f64> {
                let (r, c) = m.shape();
                (0..r * c).map(|k| m[(k / c, k % c)]).collect()
            };
            [rows(a), rows(b)].concat()
        }

        fn error(&self, a: &Mat<f64>, b: &Mat<f64>) -> Mat<f64> {
            &self.x * a.transpose() * b.transpose() - &self.y
        }

        fn product(&self, w: &[f64], v: &[f64]) -> Vec<f64> {
            let n = ROWS as f64;
            let (a, b) = Self::layers(w);
            let (da, db) = Self::layers(v);
            let r = self.error(&a, &b);
            let dr = &self.x * (da.transpose() * b.transpose() + a.transpose() * db.transpose());
            let ha = (&dr * &b + &r * &db).transpose() * &self.x * faer::Scale(1.0 / n);
            let hb = (dr.transpose() * &self.x * a.transpose()
                + r.transpose() * &self.x * da.transpose())
                * faer::Scale(1.0 / n);
            Self::flat(&ha, &hb)
        }

        /// The least value, by reduced-rank regression.
        fn optimum(&self) -> f64 {
            let n = ROWS as f64;
            let gram = self.x.transpose() * &self.x;
            let llt = gram.llt(Side::Lower).unwrap();
            let full = faer::linalg::solvers::Solve::solve(&llt, self.x.transpose() * &self.y);
            let rest = &self.y - &self.x * &full;
            // ‖X(S − W)‖² = ‖Lᵀ(S − W)‖² with XᵀX = LLᵀ.
            let singular = (llt.L().transpose() * &full).singular_values().unwrap();
            let tail: f64 = singular[HIDDEN..].iter().map(|s| s * s).sum();
            0.5 * (rest.squared_norm_l2() + tail) / n
        }
    }

    impl CostFunction for Linear {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, w: &Vec<f64>) -> Result<f64, Error> {
            let (a, b) = Self::layers(w);
            Ok(0.5 * self.error(&a, &b).squared_norm_l2() / ROWS as f64)
        }
    }
    impl Gradient for Linear {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, Error> {
            let (a, b) = Self::layers(w);
            let r = self.error(&a, &b) * faer::Scale(1.0 / ROWS as f64);
            let ga = (&r * &b).transpose() * &self.x;
            let gb = r.transpose() * &self.x * a.transpose();
            Ok(Self::flat(&ga, &gb))
        }
    }
    impl Hessian for Linear {
        type Param = Vec<f64>;
        type Hessian = Mat<f64>;
        fn hessian(&self, w: &Vec<f64>) -> Result<Mat<f64>, Error> {
            let mut h = Mat::zeros(WEIGHTS, WEIGHTS);
            for j in 0..WEIGHTS {
                let unit: Vec<f64> = (0..WEIGHTS).map(|i| f64::from(i == j)).collect();
                h.col_as_slice_mut(j)
                    .copy_from_slice(&self.product(w, &unit));
            }
            Ok(Mat::from_fn(WEIGHTS, WEIGHTS, |i, j| {
                0.5 * (h[(i, j)] + h[(j, i)])
            }))
        }
    }
    impl HessianProduct for Linear {
        type Param = Vec<f64>;
        fn hessian_product(&self, w: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
            out.copy_from_slice(&self.product(w, v));
            Ok(())
        }
    }

    #[test]
    fn the_double_well_is_solved_where_newton_stops_at_the_saddle() {
        for (start, most) in [([1e-3, 0.7], 16), ([0.0, 0.0], 8), ([0.0, 1.0], 8)] {
            let run = SaddleFreeNewton::new()
                .minimize(&double_well(), start.to_vec())
                .unwrap();
            assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
            assert!((run.f + 0.25).abs() < 1e-12, "{}", run.f);
            assert!((run.x[0].abs() - 1.0).abs() < 1e-6 && run.x[1].abs() < 1e-6);
            assert!(run.report.iterations <= most, "{}", run.report.iterations);
            // Newton's method, undamped, goes to the saddle.
            let mut x = start;
            for _ in 0..50 {
                let (g, h) = (double_well().g(&x), double_well().h(&x));
                x = [x[0] - g[0] / h[(0, 0)], x[1] - g[1] / h[(1, 1)]];
            }
            assert_eq!(x, [0.0, 0.0], "Newton's method from {start:?}");
        }
    }

    #[test]
    fn the_monkey_saddle_is_left_by_probes_only() {
        let least = -27.0 / 256.0;
        for start in [[0.01, 0.02], [0.3, 0.0]] {
            let run = SaddleFreeNewton::new()
                .minimize(&monkey(), start.to_vec())
                .unwrap();
            assert!(
                run.converged() && (run.f - least).abs() < 1e-12,
                "{}",
                run.status
            );
            assert!((run.x[0].hypot(run.x[1]) - 0.75).abs() < 1e-6);
            assert!(run.report.iterations <= 35);
        }
        let run = SaddleFreeNewton::new()
            .minimize(&monkey(), vec![0.0, 0.0])
            .unwrap();
        assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
        assert_eq!((run.x, run.report.iterations), (vec![0.0, 0.0], 0));
        let mut minima = std::collections::HashSet::new();
        for seed in 0..50 {
            let solvers = |seed| {
                let dense = SaddleFreeNewton::new().probes(true).escape_seed(seed);
                let free = SaddleFreeNewton::matrix_free().probes(true);
                let free = free.escape_seed(seed).gradient_tol(1e-8);
                [
                    dense.minimize(&monkey(), vec![0.0, 0.0]).unwrap(),
                    free.minimize(&monkey(), vec![0.0, 0.0])
                        .unwrap()
                        .with_source(),
                    TrustRegionNewton::new()
                        .second_order(true)
                        .probes(true)
                        .escape_seed(seed)
                        .minimize(&monkey(), vec![0.0, 0.0])
                        .unwrap(),
                ]
            };
            for run in solvers(seed) {
                assert!(
                    run.converged() && (run.f - least).abs() < 1e-12,
                    "{}",
                    run.status
                );
                minima.insert([0, 1].map(|i| (10.0 * run.x[i]).round() as i64));
            }
        }
        assert_eq!(
            minima.len(),
            3,
            "seeds lead to different minima: {minima:?}"
        );
    }

    #[test]
    fn a_linear_network_starts_at_its_exact_saddle() {
        let net = Linear::new();
        let optimum = net.optimum();
        let zero = || vec![0.0; WEIGHTS];
        assert_eq!(net.gradient(&zero()).unwrap(), zero());
        let dense = SaddleFreeNewton::new().minimize(&net, zero()).unwrap();
        let mut runs = vec![dense];
        for k in [10, 20, 40] {
            let solver = SaddleFreeNewton::matrix_free().krylov(k);
            let run = solver.gradient_tol(1e-7).minimize(&net, zero()).unwrap();
            assert_eq!(run.report.hessians, 0);
            runs.push(run.with_source());
        }
        for run in runs {
            assert!(run.converged(), "{}", run.status);
            assert!((run.f - optimum).abs() < 1e-10, "{:e}", run.f - optimum);
            assert!(run.report.iterations <= 80, "{}", run.report.iterations);
        }
        // Another solver through the same rule.
        let run = TrustRegionNewton::new()
            .second_order(true)
            .minimize(&net, zero())
            .unwrap();
        assert!(run.converged() && (run.f - optimum).abs() < 1e-10);
    }

    fn quadratic(h: Mat<f64>, b: Vec<f64>) -> Problem {
        let (p, q) = (h.clone(), h.clone());
        let c = b.clone();
        let image = |h: &Mat<f64>, x: &[f64]| -> Vec<f64> {
            (0..x.len())
                .map(|i| (0..x.len()).map(|j| h[(i, j)] * x[j]).sum())
                .collect()
        };
        Problem::new(
            move |x| {
                let hx = image(&p, x);
                x.iter()
                    .zip(&hx)
                    .zip(&b)
                    .map(|((x, hx), b)| x * (0.5 * hx - b))
                    .sum()
            },
            move |x| image(&q, x).iter().zip(&c).map(|(hx, b)| hx - b).collect(),
            move |_| h.clone(),
        )
    }

    fn random_spd(n: usize, rng: &mut Xoshiro256PlusPlus) -> Mat<f64> {
        let a = Mat::from_fn(n, n, |_, _| rng.random::<f64>() - 0.5);
        &a * a.transpose() + Mat::<f64>::identity(n, n)
    }

    /// The first step, which `max_iters` cuts off.
    fn step<C>(run: &raphson::Run<Vec<f64>, C>, x0: &[f64]) -> Vec<f64> {
        run.last.x.iter().zip(x0).map(|(a, b)| a - b).collect()
    }

    #[test]
    fn a_definite_hessian_gives_the_newton_step_far_from_saddles() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let h = random_spd(30, &mut rng);
        let b: Vec<f64> = (0..30).map(|i| (i as f64).sin()).collect();
        // λ = 10⁻⁶ ‖H‖ (or 10⁻⁶): one step leaves that part of the error, the second its square.
        let run = SaddleFreeNewton::new()
            .minimize(&quadratic(h.clone(), b.clone()), vec![1.0; 30])
            .unwrap();
        assert!(
            run.converged() && run.report.iterations <= 2,
            "{}",
            run.report.iterations
        );
        // One trial a step: the prediction is exact.
        assert_eq!(run.report.trials, run.report.iterations);
        let llt = h.llt(Side::Lower).unwrap();
        let rhs = Mat::from_fn(30, 1, |i, _| b[i]);
        let exact = faer::linalg::solvers::Solve::solve(&llt, rhs);
        for (i, x) in run.x.iter().enumerate() {
            assert!((x - exact[(i, 0)]).abs() < 1e-8);
        }
        // The function itself, without damping.
        let mut eigen = SymmetricEigen::new();
        eigen.factor(Matrix::from(h).sym()).unwrap();
        let mut newton = vec![0.0; 30];
        eigen.apply(|d| 1.0 / d.abs(), &b, &mut newton).unwrap();
        for (i, n) in newton.iter().enumerate() {
            assert!((n - exact[(i, 0)]).abs() < 1e-12);
        }
    }

    #[test]
    fn the_krylov_step_of_full_dimension_is_the_dense_one_saddles_or_not() {
        let net = Linear::new();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        let x0: Vec<f64> = (0..WEIGHTS)
            .map(|_| 0.6 * rng.random::<f64>() - 0.3)
            .collect();
        let dense = SaddleFreeNewton::new()
            .max_iters(1)
            .minimize(&net, x0.clone())
            .unwrap();
        let exact = step(&dense, &x0);
        let size = exact.iter().map(|p| p * p).sum::<f64>().sqrt();
        let distance = |k: usize| {
            let run = SaddleFreeNewton::matrix_free()
                .krylov(k)
                .max_iters(1)
                .minimize(&net, x0.clone())
                .unwrap();
            let p = step(&run, &x0);
            let d = p.iter().zip(&exact).map(|(a, b)| (a - b) * (a - b));
            assert_eq!(run.report.hessian_products, k as u64);
            (
                d.sum::<f64>().sqrt() / size,
                run.report.shift,
                run.report.index,
            )
        };
        let (full, shift, index) = distance(WEIGHTS);
        assert_eq!(index, dense.report.index);
        assert!(index > 0, "the test needs negative curvature");
        assert!((shift / dense.report.shift - 1.0).abs() < 1e-12);
        assert!(full <= 1e-10, "{full:e}");
        for k in [5, 10, 20, 40] {
            let (d, ..) = distance(k);
            assert!(d > 1e-3, "no gradual approach: {d}");
        }
    }

    #[test]
    fn the_absolute_value_bounds_the_saddle_form() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let n = 12;
        let a = Mat::from_fn(n, n, |_, _| rng.random::<f64>() - 0.5);
        let h = &a + a.transpose();
        let mut eigen = SymmetricEigen::new();
        eigen.factor(Matrix::from(h.clone()).sym()).unwrap();
        let mut out = vec![0.0; n];
        for _ in 0..10_000 {
            let x: Vec<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
            let dot = |v: &[f64]| v.iter().zip(&x).map(|(a, b)| a * b).sum::<f64>();
            eigen.apply(f64::abs, &x, &mut out).unwrap();
            let bound = dot(&out);
            eigen.apply(|d| d, &x, &mut out).unwrap();
            assert!(dot(&out).abs() <= bound * (1.0 + 1e-13));
        }
    }

    /// |H|⁻¹g for matrices where modified factorizations differ.
    #[test]
    fn saddle_directions_are_those_of_the_absolute_value() {
        for (h, g, exact) in [
            ([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], [1.0, 0.0]),
            ([[4.0, 0.0], [0.0, -0.25]], [1.0, 1.0], [0.25, 4.0]),
            ([[-2.0, 0.0], [0.0, -3.0]], [2.0, -3.0], [1.0, -1.0]),
        ] {
            let h = Mat::from_fn(2, 2, |i, j| h[i][j]);
            let mut eigen = SymmetricEigen::new();
            eigen.factor(Matrix::from(h.clone()).sym()).unwrap();
            let mut p = [0.0; 2];
            eigen.apply(|d| 1.0 / d.abs(), &g, &mut p).unwrap();
            assert!((p[0] - exact[0]).abs() < 1e-15 && (p[1] - exact[1]).abs() < 1e-15);
            assert!(g[0] * p[0] + g[1] * p[1] > 0.0);
            // The solver goes there, but for its damping of 10⁻⁶.
            let b = vec![-g[0], -g[1]];
            let run = SaddleFreeNewton::new()
                .max_iters(1)
                .minimize(&quadratic(h, b), vec![0.0, 0.0])
                .unwrap();
            for (x, p) in run.last.x.iter().zip(p) {
                assert!((x + p).abs() <= 2e-5 * p.abs().max(1.0), "{x} {p}");
            }
        }
    }

    /// x² − y² + ¼y⁴ from (1, 10⁻⁶).
    #[test]
    fn a_start_next_to_the_ridge_reaches_a_minimum_past_the_saddle() {
        let ridge = || {
            Problem::new(
                |x| x[0] * x[0] - x[1] * x[1] + 0.25 * x[1].powi(4),
                |x| vec![2.0 * x[0], -2.0 * x[1] + x[1].powi(3)],
                |x| [[2.0, 0.0], [0.0, -2.0 + 3.0 * x[1] * x[1]]],
            )
        };
        for tiny in [1e-6, 1e-9, -1e-12, 1e-300] {
            let run = SaddleFreeNewton::new()
                .minimize(&ridge(), vec![1.0, tiny])
                .unwrap();
            assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
            assert!((run.f + 1.0).abs() < 1e-12 && run.report.iterations < 100);
            assert!((run.x[1].abs() - 2f64.sqrt()).abs() < 1e-7);
        }
    }

    /// x³ − 3xy² without the fourth power: no minimum.
    #[test]
    fn an_unbounded_saddle_is_no_success() {
        let cubic = || {
            Problem::new(
                |x| x[0].powi(3) - 3.0 * x[0] * x[1] * x[1],
                |x| vec![3.0 * (x[0] * x[0] - x[1] * x[1]), -6.0 * x[0] * x[1]],
                |x| [[6.0 * x[0], -6.0 * x[1]], [-6.0 * x[1], -6.0 * x[0]]],
            )
        };
        let solver = SaddleFreeNewton::new;
        let run = solver().minimize(&cubic(), vec![0.0, 0.0]).unwrap();
        assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
        assert_eq!((run.f, run.report.iterations), (0.0, 0));
        let run = solver().minimize(&cubic(), vec![1e-3, 1e-3]).unwrap();
        assert_eq!(run.status, Status::Failed(Failed::Unbounded));
        let run = solver()
            .max_iters(20)
            .minimize(&cubic(), vec![1e-3, 1e-3])
            .unwrap();
        assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
        assert!(run.f < 0.0);
        let run = solver()
            .lower_bound(-1e6)
            .minimize(&cubic(), vec![1e-3, 1e-3])
            .unwrap();
        assert_eq!(run.status, Status::Failed(Failed::Unbounded));
        let run = solver()
            .probes(true)
            .minimize(&cubic(), vec![0.0, 0.0])
            .unwrap();
        assert_eq!(run.status, Status::Failed(Failed::Unbounded));
    }

    /// The Krylov space of g contains nothing that is orthogonal to g.
    #[test]
    fn negative_curvature_orthogonal_to_the_gradient_is_seen_at_the_saddle() {
        let f = || {
            Problem::new(
                |x| 0.25 * x[0].powi(4) - 0.5 * x[0] * x[0] + x[1] * x[1] + 1.5 * x[2] * x[2],
                |x| vec![x[0].powi(3) - x[0], 2.0 * x[1], 3.0 * x[2]],
                |x| {
                    [
                        [3.0 * x[0] * x[0] - 1.0, 0.0, 0.0],
                        [0.0, 2.0, 0.0],
                        [0.0, 0.0, 3.0],
                    ]
                },
            )
        };
        let start = || vec![0.0, 0.5, 1.0 / 3.0];
        let blind = SaddleFreeNewton::matrix_free().second_order(false);
        let run = blind.minimize(&f(), start()).unwrap();
        assert!(
            run.converged() && run.x[0] == 0.0,
            "it converges to the saddle"
        );
        for run in [
            SaddleFreeNewton::matrix_free()
                .minimize(&f(), start())
                .unwrap()
                .with_source(),
            CubicNewton::matrix_free()
                .second_order(true)
                .minimize(&f(), start())
                .unwrap()
                .with_source(),
            TrustRegionNewton::matrix_free()
                .second_order(true)
                .minimize(&f(), start())
                .unwrap()
                .with_source(),
            LazyCubicNewton::new()
                .second_order(true)
                .minimize(&f(), start())
                .unwrap(),
        ] {
            assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
            assert!((run.f + 0.25).abs() < 1e-10, "{}", run.f);
        }
    }

    #[test]
    fn plain_newton_with_shifts_stays_at_the_saddle() {
        let run = DampedNewton::new()
            .minimize(&saddle(), vec![0.0, 1.0, -1.0])
            .unwrap();
        assert!(run.f > -0.2, "{}", run.f);
        let run = SaddleFreeNewton::new()
            .minimize(&saddle(), vec![0.0, 1.0, -1.0])
            .unwrap();
        assert!(run.converged() && (run.f + 0.25).abs() < 1e-12);
    }

    /// Calls of a step: H, the values of its trials, the gradient where it is accepted.
    #[test]
    fn calls_of_a_run_past_a_saddle() {
        use Call::{Gradient as G, Hessian as H, Value as V};
        let f = double_well();
        let run = SaddleFreeNewton::new()
            .minimize(&f, vec![0.0, 0.0])
            .unwrap();
        let calls = f.take_calls();
        // An escape of the first length costs two values.
        assert_eq!(calls[..6], [V, G, H, V, V, G]);
        let count = |call| calls.iter().filter(|c| **c == call).count() as u64;
        assert_eq!(count(V), run.report.values);
        assert_eq!(count(G), run.report.gradients);
        assert_eq!(count(H), run.report.hessians);
        assert_eq!(run.report.gradients, run.report.iterations + 1);
        // The last Hessian certifies.
        assert_eq!(run.report.hessians, run.report.iterations + 1);
        assert_eq!(run.report.values, run.report.trials + 1);
        // The start is at a distance 1 of the minimum along the eigenvector: one step.
        assert_eq!(run.report.iterations, 1);
        // A step that needs the whole grid costs seven values.
        let f = monkey();
        let run = SaddleFreeNewton::new()
            .max_iters(1)
            .minimize(&f, vec![0.3, 0.1])
            .unwrap();
        let calls = f.take_calls();
        assert_eq!(calls.len() as u64, run.report.trials + 4);
        assert!(run.report.trials == 1 || run.report.trials >= 7);
    }

    #[test]
    fn marquardt_damping_needs_one_value_a_step_past_saddles_too() {
        for start in [vec![1e-3, 0.7], vec![0.0, 1.0]] {
            let solver = SaddleFreeNewton::new().damping(Damping::Marquardt);
            let run = solver.minimize(&double_well(), start).unwrap();
            assert!(
                run.converged() && (run.f + 0.25).abs() < 1e-12,
                "{}",
                run.status
            );
        }
        let net = Linear::new();
        let run = SaddleFreeNewton::new()
            .damping(Damping::Marquardt)
            .minimize(&net, vec![0.0; WEIGHTS])
            .unwrap();
        assert!(
            run.converged() && (run.f - net.optimum()).abs() < 1e-10,
            "{}",
            run.status
        );
    }

    #[test]
    fn inner_steps_share_a_basis_past_saddles_too() {
        let net = Linear::new();
        for inner in [2, 5] {
            let run = SaddleFreeNewton::matrix_free()
                .krylov(20)
                .inner(inner)
                .minimize(&net, vec![0.0; WEIGHTS])
                .unwrap();
            assert!(
                run.converged() && (run.f - net.optimum()).abs() < 1e-8,
                "{}",
                run.status
            );
            let run = SaddleFreeNewton::new()
                .inner(inner)
                .minimize(&net, vec![0.0; WEIGHTS])
                .unwrap();
            assert!(
                run.converged() && (run.f - net.optimum()).abs() < 1e-8,
                "{}",
                run.status
            );
            assert!(run.report.hessians < run.report.iterations);
        }
    }

    #[test]
    fn units_that_are_powers_of_two_change_no_bit_of_a_saddle_run() {
        let scaled = |s: f64| {
            let f = monkey();
            let (p, q, r) = (f.clone(), f.clone(), f);
            Problem::new(
                move |x| s * p.f(x),
                move |x| q.g(x).iter().map(|g| s * g).collect(),
                move |x| r.h(x) * faer::Scale(s),
            )
        };
        let run = |s: f64| {
            SaddleFreeNewton::new()
                .minimize(&scaled(s), vec![0.01, 0.02])
                .unwrap()
        };
        let one = run(1.0);
        for s in [2f64.powi(-30), 2f64.powi(30)] {
            let other = run(s);
            assert_eq!(one.x, other.x);
            assert_eq!(one.report.iterations, other.report.iterations);
        }
    }

    #[test]
    fn the_executor_walks_the_same_way_past_a_saddle() {
        let plain = SaddleFreeNewton::new()
            .minimize(&monkey(), vec![0.01, 0.02])
            .unwrap();
        let host = Executor::new(monkey(), SaddleFreeNewton::new())
            .configure(|state| state.param(vec![0.01, 0.02]))
            .ctrlc(false)
            .run()
            .unwrap();
        assert_eq!(host.status(), plain.status);
        assert_eq!(host.state.best_param.as_ref(), Some(&plain.x));
        assert_eq!(host.problem.counts, plain.counts);
    }

    #[test]
    fn broken_input_ends_a_saddle_run_in_a_typed_way() {
        let nan = Problem::new(|_| f64::NAN, |_| vec![0.0], |_| [[1.0]]);
        let run = SaddleFreeNewton::new().minimize(&nan, vec![0.0]).unwrap();
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        for entry in [f64::NAN, f64::INFINITY] {
            let broken = Problem::new(
                |x| x[0] * x[0],
                |x| vec![2.0 * x[0], 0.0, 0.0],
                move |_| [[entry, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, entry]],
            );
            let run = SaddleFreeNewton::new()
                .minimize(&broken, vec![1.0; 3])
                .unwrap();
            assert_eq!(run.status, Status::Failed(Failed::NonFinite));
            let run = SaddleFreeNewton::matrix_free()
                .minimize(&broken, vec![1.0; 3])
                .unwrap();
            assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        }
        let skew = Problem::new(
            |x| x[0] * x[0],
            |x| vec![2.0 * x[0], 0.0],
            |_| [[1.0, 1.0], [0.0, 1.0]],
        );
        assert!(
            SaddleFreeNewton::new()
                .minimize(&skew, vec![1.0, 1.0])
                .is_err()
        );
        let error = SaddleFreeNewton::matrix_free()
            .krylov(1)
            .minimize(&monkey(), vec![1.0, 1.0]);
        assert!(
            matches!(error, Err(raphson::Error::InvalidParameter { .. })),
            "{error:?}"
        );
        assert!(
            SaddleFreeNewton::new()
                .inner(0)
                .minimize(&monkey(), vec![1.0, 1.0])
                .is_err()
        );
    }

    /// f is flat to rounding around its saddle: nothing to escape to is no success.
    #[test]
    fn negative_curvature_that_f_does_not_show_is_no_saddle_escape() {
        let lying = Problem::new(|_| 1.0, |_| vec![0.0, 0.0], |_| [[1.0, 0.0], [0.0, -1.0]]);
        let run = SaddleFreeNewton::new()
            .minimize(&lying, vec![1.0, 1.0])
            .unwrap();
        assert!(!run.converged(), "{}", run.status);
        assert_eq!(run.report.iterations, 0);
    }
}
