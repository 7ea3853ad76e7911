//! Equality constraints by the augmented Lagrangian method.
#![cfg(feature = "problems")]

mod constrained {
    use argmin::core::{CostFunction, Error, Executor, Gradient, State};
    use faer::Mat;
    use raphson::autodiff::{AutoDiff, Number, ScalarFunction, VectorFunction};
    use raphson::constraints::{Inner, Sketch};
    use raphson::problems::{ConstrainedLogistic, HockSchittkowski, OptimalControl};
    use raphson::{
        AugmentedLagrangianNewton, Converged, EqualityConstraints, Failed, IterationRecord,
        LagrangianHessian, LagrangianProduct, Outcome, Status, Stopped,
    };
    use std::cell::{Cell, RefCell};

    fn solver() -> AugmentedLagrangianNewton {
        AugmentedLagrangianNewton::new()
    }

    /// ‖(∇L, c)‖ ≤ `tol`.
    fn to(tol: f64, inner: Inner) -> AugmentedLagrangianNewton {
        let solver = solver().inner(inner).gradient_tol(0.0);
        solver.gradient_tol_abs(tol).max_iters(300)
    }

    /// ∇L and c at the returned point, from the problem's own functions.
    fn kkt<P>(problem: &P, x: &Vec<f64>, multipliers: &[f64]) -> (f64, f64)
    where
        P: CostFunction<Param = Vec<f64>, Output = f64>
            + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
            + EqualityConstraints<Param = Vec<f64>, Values = Vec<f64>, Jacobian = Mat<f64>>,
    {
        let mut slope = problem.gradient(x).unwrap();
        let jacobian = problem.constraint_jacobian(x).unwrap();
        for (j, s) in slope.iter_mut().enumerate() {
            let terms = multipliers.iter().enumerate();
            *s += terms.map(|(i, l)| jacobian[(i, j)] * l).sum::<f64>();
        }
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        (norm(&slope), norm(&problem.constraints(x).unwrap()))
    }

    /// f and c of one type, with closures for their derivatives.
    struct Made<const N: usize, const M: usize> {
        value: fn(&[f64]) -> f64,
        gradient: fn(&[f64]) -> Vec<f64>,
        constraints: fn(&[f64]) -> [f64; M],
        jacobian: fn(&[f64]) -> [[f64; N]; M],
        hessian: fn(&[f64], &[f64]) -> [[f64; N]; N],
    }

    impl<const N: usize, const M: usize> CostFunction for Made<N, M> {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            Ok((self.value)(x))
        }
    }
    impl<const N: usize, const M: usize> Gradient for Made<N, M> {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            Ok((self.gradient)(x))
        }
    }
    impl<const N: usize, const M: usize> EqualityConstraints for Made<N, M> {
        type Param = Vec<f64>;
        type Values = [f64; M];
        type Jacobian = [[f64; N]; M];
        fn n_constraints(&self) -> usize {
            M
        }
        fn constraints(&self, x: &Vec<f64>) -> Result<[f64; M], Error> {
            Ok((self.constraints)(x))
        }
        fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<[[f64; N]; M], Error> {
            Ok((self.jacobian)(x))
        }
    }
    impl<const N: usize, const M: usize> LagrangianHessian for Made<N, M> {
        type Hessian = [[f64; N]; N];
        fn lagrangian_hessian(
            &self,
            x: &Vec<f64>,
            multipliers: &[f64],
        ) -> Result<[[f64; N]; N], Error> {
            Ok((self.hessian)(x, multipliers))
        }
    }

    fn squares(x: &[f64]) -> f64 {
        x.iter().map(|x| x * x).sum()
    }
    fn double(x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| 2.0 * x).collect()
    }
    const TWICE: [[f64; 2]; 2] = [[2.0, 0.0], [0.0, 2.0]];

    /// x² + y² with x + y = 1 listed twice.
    fn listed_twice() -> Made<2, 2> {
        Made {
            value: squares,
            gradient: double,
            constraints: |x| [x[0] + x[1] - 1.0; 2],
            jacobian: |_| [[1.0; 2]; 2],
            hessian: |_, _| TWICE,
        }
    }

    /// x² + y² with x = 0 and x = 1.
    fn contradiction() -> Made<2, 2> {
        Made {
            value: squares,
            gradient: double,
            constraints: |x| [x[0], x[0] - 1.0],
            jacobian: |_| [[1.0, 0.0]; 2],
            hessian: |_, _| TWICE,
        }
    }

    /// x on the unit circle.
    fn circle() -> Made<2, 1> {
        Made {
            value: |x| x[0],
            gradient: |_| vec![1.0, 0.0],
            constraints: |x| [squares(x) - 1.0],
            jacobian: |x| [[2.0 * x[0], 2.0 * x[1]]],
            hessian: |_, l| [[2.0 * l[0], 0.0], [0.0, 2.0 * l[0]]],
        }
    }

    /// Steps that are expected, to within five. HS61 may end at its other KKT point.
    const STEPS: [(HockSchittkowski, u64); 21] = {
        use HockSchittkowski::*;
        [
            (Hs6, 9),
            (Hs7, 16),
            (Hs26, 24),
            (Hs27, 14),
            (Hs28, 1),
            (Hs39, 14),
            (Hs40, 4),
            (Hs42, 5),
            (Hs46, 23),
            (Hs47, 21),
            (Hs48, 1),
            (Hs49, 20),
            (Hs50, 9),
            (Hs51, 1),
            (Hs52, 1),
            (Hs56, 7),
            (Hs61, 16),
            (Hs77, 9),
            (Hs78, 4),
            (Hs79, 5),
            (Maratos, 5),
        ]
    };

    fn solve_all(inner: Inner, tol: f64) -> u64 {
        let mut sum = 0;
        for (problem, _) in STEPS {
            let run = to(tol, inner).minimize(&problem, problem.start()).unwrap();
            let name = problem.name();
            assert_eq!(run.status, Status::Converged(Converged::Kkt), "{name}");
            let (slope, violation) = kkt(&problem, &run.x, &run.report.multipliers);
            assert!(
                slope.hypot(violation) <= 1.01 * tol,
                "{name}: {slope:e} {violation:e}"
            );
            let other = problem == HockSchittkowski::Hs61;
            let error = (run.f - problem.minimum()).abs();
            let found = error <= if tol > 1e-6 { 1e-3 } else { 1e-6 };
            assert!(
                found || other && (run.f + 81.919096).abs() < 1e-3,
                "{name}: {}",
                run.f
            );
            if !matches!(name.as_str(), "HS56" | "HS61" | "MARATOS") {
                sum += run.report.iterations;
            }
        }
        sum
    }

    #[test]
    fn all_problems_are_solved_in_the_expected_steps() {
        for (problem, steps) in STEPS {
            let solver = to(1e-8, Inner::Direct);
            let run = solver.minimize(&problem, problem.start()).unwrap();
            let found = run.report.iterations;
            let name = problem.name();
            assert!(run.converged(), "{name}: {}", run.status);
            assert!(
                found.abs_diff(steps) <= 5,
                "{name}: {found} steps, not {steps}"
            );
            if run.f < problem.minimum() + 1.0 {
                let inertia = run.report.kkt_inertia.unwrap();
                let (n, m) = (problem.start().len(), problem.n_constraints());
                let found = (inertia.positive, inertia.negative, inertia.zero);
                assert_eq!(found, (n, m, 0), "{name}");
            }
        }
        let sum = solve_all(Inner::Direct, 1e-8);
        assert!(sum <= 200, "{sum} steps on eighteen problems");
    }

    #[test]
    fn iterative_solvers_solve_all_problems() {
        let sum = solve_all(Inner::Minres, 1e-8);
        assert!(sum <= 210, "{sum} steps");
        let sketch = Inner::Sketch(Sketch::default());
        solve_all(sketch, 1e-4);
        solve_all(sketch, 1e-8);
        solve_all(Inner::Sketch(Sketch::Rows(4)), 1e-4);
    }

    #[test]
    fn products_serve_in_place_of_the_hessian() {
        for (problem, _) in STEPS {
            let solver = AugmentedLagrangianNewton::matrix_free();
            let solver = solver.gradient_tol(0.0).gradient_tol_abs(1e-8);
            let run = solver.max_iters(300).minimize(&problem, problem.start());
            let run = run.unwrap();
            assert!(run.converged(), "{}: {}", problem.name(), run.status);
            assert_eq!(run.report.hessians, 0);
            assert!(run.report.hessian_products > run.report.inner_iterations);
        }
        let direct = AugmentedLagrangianNewton::matrix_free().inner(Inner::Direct);
        let error = direct.minimize(&HockSchittkowski::Hs6, HockSchittkowski::Hs6.start());
        let text = error.err().unwrap().to_string();
        assert!(text.contains("Direct") && text.contains("Minres"), "{text}");
    }

    #[test]
    fn a_quadratic_on_a_plane_takes_one_step() {
        use HockSchittkowski::*;
        for problem in [Hs28, Hs48, Hs51, Hs52] {
            let run = solver().minimize(&problem, problem.start()).unwrap();
            assert!(run.converged());
            assert_eq!((run.report.iterations, run.report.trials), (1, 1));
        }
    }

    /// From (cos t, sin t) with the optimal λ = −3/2 the full Newton step is accepted or not.
    #[test]
    fn full_steps_next_to_a_circle() {
        // Constraint that takes the multiplier as given: f = 2(x² + y² − 1) − x − (3/2)(x² + y² − 1),
        // whose multiplier is zero at the optimum.
        let shifted = Made::<2, 1> {
            value: |x| 0.5 * (squares(x) - 1.0) - x[0],
            gradient: |x| vec![x[0] - 1.0, x[1]],
            constraints: |x| [squares(x) - 1.0],
            jacobian: |x| [[2.0 * x[0], 2.0 * x[1]]],
            hessian: |_, l| [[1.0 + 2.0 * l[0], 0.0], [0.0, 1.0 + 2.0 * l[0]]],
        };
        let accepted = |t: f64, [e1, e2]: [f64; 2]| {
            let run = solver().penalties(e1, e2).max_iters(1);
            let run = run.minimize(&shifted, vec![t.cos(), t.sin()]).unwrap();
            assert_eq!(run.report.iterations, 1);
            run.report.trials == 1
        };
        let angles = [1.0, 0.5, 0.1, 0.01];
        for (penalties, expected) in [
            ([1.0, 0.1], [true; 4]),
            ([10.0, 0.01], [false, false, true, true]),
            ([100.0, 0.001], [false, false, false, true]),
        ] {
            assert_eq!(
                angles.map(|t| accepted(t, penalties)),
                expected,
                "{penalties:?}"
            );
        }
    }

    #[test]
    fn penalties_only_rise_and_steps_fall() {
        for (problem, _) in STEPS {
            let mut last = 0.0f64;
            let watch = |record: &IterationRecord| {
                assert!(record.control >= last, "{}", problem.name());
                last = record.control;
                true
            };
            let run = to(1e-8, Inner::Minres).on_iteration(watch);
            run.minimize(&problem, problem.start()).unwrap();
        }
    }

    /// Residuals ‖(∇L, c)‖ of a run on HS77.
    fn residuals(solver: AugmentedLagrangianNewton) -> Vec<f64> {
        let mut sizes = Vec::new();
        let watch = |record: &IterationRecord| {
            sizes.push(record.gradient_norm.hypot(record.constraint_norm));
            true
        };
        let problem = HockSchittkowski::Hs77;
        let run = solver
            .gradient_tol(0.0)
            .gradient_tol_abs(1e-13)
            .on_iteration(watch);
        assert!(run.minimize(&problem, problem.start()).unwrap().converged());
        sizes
    }

    #[test]
    fn inexact_steps_converge_at_the_rate_that_was_asked_for() {
        // A single row lowers the residual by little, so that each solve ends just below its target
        // δ‖N‖. The rest of ‖N‖ after the step is of second order: at most 50‖N‖² here.
        let inner = Inner::Sketch(Sketch::Rows(1));
        let delta = 0.05;
        let linear = residuals(
            solver()
                .inner(inner)
                .accuracy(delta, delta)
                .superlinear(false),
        );
        let late: Vec<&[f64]> = linear.windows(2).filter(|w| w[0] < 1e-4).collect();
        assert!(late.len() >= 4, "{linear:?}");
        for w in late {
            assert!(w[1] <= (delta + 50.0 * w[0]) * w[0], "{linear:?}");
            // It is not solved better than was asked for either.
            assert!(w[1] >= 0.1 * delta * w[0] || w[1] < 1e-13, "{linear:?}");
        }
        let fast = residuals(solver().inner(inner).accuracy(delta, delta));
        assert!(fast.len() < linear.len(), "{fast:?} {linear:?}");
        let ratio = |w: &[f64]| w[1] / w[0];
        let last: Vec<f64> = fast.windows(2).filter(|w| w[0] < 1e-2).map(ratio).collect();
        assert!(last.windows(2).all(|w| w[1] < w[0]), "{last:?}");
        assert!(last.last().unwrap() < &(0.02 * delta), "{last:?}");
    }

    #[test]
    fn dependent_constraints_do_not_matter() {
        for inner in [
            Inner::Direct,
            Inner::Minres,
            Inner::Sketch(Sketch::Rows(1)),
            Inner::Sketch(Sketch::Rows(2)),
            Inner::Sketch(Sketch::Rows(100)),
            Inner::Sketch(Sketch::Gaussian(1)),
        ] {
            for seed in 0..3 {
                let run = to(1e-8, inner).sketch_seed(seed);
                let run = run.minimize(&listed_twice(), vec![3.0, -1.0]).unwrap();
                assert!(run.converged(), "{inner:?}: {}", run.status);
                assert!(
                    run.x.iter().all(|x| (x - 0.5).abs() < 1e-8),
                    "{inner:?}: {:?}",
                    run.x
                );
                let sum: f64 = run.report.multipliers.iter().sum();
                assert!((sum + 1.0).abs() < 1e-7, "{inner:?}: {sum}");
            }
        }
        let run = solver().minimize(&listed_twice(), vec![3.0, -1.0]).unwrap();
        assert_eq!(run.report.iterations, 1);
        let inertia = run.report.kkt_inertia.unwrap();
        assert_eq!((inertia.positive, inertia.negative), (2, 2));
    }

    /// Every kind of inner solver.
    const INNERS: [Inner; 6] = [
        Inner::Direct,
        Inner::Minres,
        Inner::Sketch(Sketch::Rows(1)),
        Inner::Sketch(Sketch::Rows(2)),
        Inner::Sketch(Sketch::Rows(30)),
        Inner::Sketch(Sketch::Gaussian(1)),
    ];

    #[test]
    fn contradictions_are_infeasible() {
        for inner in [Inner::Direct, Inner::Minres, Inner::Sketch(Sketch::Rows(2))] {
            // A sketch only comes near the least ‖c‖, and spends all its rows on each system.
            let sketched = matches!(inner, Inner::Sketch(_));
            let starts = [[3.0, 1.0], [100.0, -20.0], [0.5, 1.0]];
            let (count, accuracy) = if sketched { (1, 1e-5) } else { (3, 1e-6) };
            for start in &starts[..count] {
                let run = to(1e-8, inner)
                    .minimize(&contradiction(), start.to_vec())
                    .unwrap();
                assert_eq!(
                    run.status,
                    Status::Failed(Failed::Infeasible),
                    "{inner:?} {start:?}"
                );
                assert!(
                    (run.x[0] - 0.5).abs() < accuracy,
                    "{inner:?} {start:?}: {:?}",
                    run.x
                );
                assert!((run.report.constraint_norm - 0.5f64.sqrt()).abs() < 1e-6);
                assert!(run.report.control.is_finite());
            }
        }
        // With all rows a sketch sees that they depend, and has no more to offer.
        let sketch = to(1e-8, Inner::Sketch(Sketch::Rows(30)));
        let run = sketch.minimize(&contradiction(), vec![3.0, 1.0]).unwrap();
        let ends = [Failed::Infeasible, Failed::RankDeficient].map(Status::Failed);
        assert!(ends.contains(&run.status), "{}", run.status);
        // x subject to x² + 1 = 0.
        let never = Made::<1, 1> {
            value: |x| x[0],
            gradient: |_| vec![1.0],
            constraints: |x| [x[0] * x[0] + 1.0],
            jacobian: |x| [[2.0 * x[0]]],
            hessian: |_, l| [[2.0 * l[0]]],
        };
        let run = solver().minimize(&never, vec![0.7]).unwrap();
        assert_eq!(
            run.status,
            Status::Failed(Failed::Infeasible),
            "{:?}",
            run.x
        );
        assert!(run.x[0].abs() < 1e-2 && (run.report.constraint_norm - 1.0).abs() < 1e-3);
    }

    #[test]
    fn too_many_constraints_and_wrong_lengths_are_errors_with_both_numbers() {
        let three = Made::<2, 3> {
            value: squares,
            gradient: double,
            constraints: |x| [x[0] - 1.0, x[1] - 2.0, x[0] + x[1] - 3.0],
            jacobian: |_| [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
            hessian: |_, _| TWICE,
        };
        let error = solver()
            .minimize(&three, vec![0.0; 2])
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("3 equality constraints, 2 variables"),
            "{error}"
        );

        struct Wrong(usize, usize);
        impl CostFunction for Wrong {
            type Param = Vec<f64>;
            type Output = f64;
            fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
                Ok(squares(x))
            }
        }
        impl Gradient for Wrong {
            type Param = Vec<f64>;
            type Gradient = Vec<f64>;
            fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
                Ok(double(x))
            }
        }
        impl EqualityConstraints for Wrong {
            type Param = Vec<f64>;
            type Values = Vec<f64>;
            type Jacobian = Vec<Vec<f64>>;
            fn n_constraints(&self) -> usize {
                1
            }
            fn constraints(&self, _: &Vec<f64>) -> Result<Vec<f64>, Error> {
                Ok(vec![1.0; self.0])
            }
            fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
                Ok(vec![vec![1.0; x.len()]; self.1])
            }
        }
        impl LagrangianHessian for Wrong {
            type Hessian = Vec<Vec<f64>>;
            fn lagrangian_hessian(&self, _: &Vec<f64>, _: &[f64]) -> Result<Self::Hessian, Error> {
                Ok(vec![vec![2.0, 0.0], vec![0.0, 2.0]])
            }
        }
        let error = |problem| {
            solver()
                .minimize(&problem, vec![1.0; 2])
                .err()
                .unwrap()
                .to_string()
        };
        let text = error(Wrong(2, 1));
        assert!(
            text.contains("constraints: expected length 1, found 2"),
            "{text}"
        );
        let text = error(Wrong(1, 2));
        assert!(
            text.contains("Jacobian: expected 1 x 2, found 2 x 2"),
            "{text}"
        );
        let sketch = solver().inner(Inner::Sketch(Sketch::Rows(0)));
        let error = sketch.minimize(&circle(), vec![0.5; 2]).err().unwrap();
        assert!(error.to_string().contains("at least 1"), "{error}");
        for wrong in [
            solver().armijo(0.5),
            solver().penalties(0.0, 1.0),
            solver().cost_tol(1e-3),
        ] {
            assert!(wrong.minimize(&circle(), vec![0.5; 2]).is_err());
        }
    }

    #[test]
    fn without_constraints_it_is_newtons_method() {
        let free = Made::<1, 0> {
            value: |x| (x[0] - 3.0).powi(2),
            gradient: |x| vec![2.0 * (x[0] - 3.0)],
            constraints: |_| [],
            jacobian: |_| [],
            hessian: |_, _| [[2.0]],
        };
        for inner in [
            Inner::Direct,
            Inner::Minres,
            Inner::Sketch(Sketch::default()),
        ] {
            let run = solver().inner(inner).minimize(&free, vec![-4.0]).unwrap();
            assert!(run.converged(), "{inner:?}: {}", run.status);
            assert!((run.x[0] - 3.0).abs() < 1e-12);
            assert!(run.report.multipliers.is_empty() && run.report.jacobians == 0);
        }
    }

    #[test]
    fn multipliers_are_added() {
        let run = solver().minimize(&circle(), vec![0.5, 0.5]).unwrap();
        assert!(run.converged());
        assert!((run.x[0] + 1.0).abs() < 1e-8 && run.x[1].abs() < 1e-6);
        assert!((run.report.multipliers[0] - 0.5).abs() < 1e-8);
    }

    #[test]
    fn the_inertia_tells_saddles_and_maximizers() {
        // The maximizer is a KKT point too, and the start.
        let run = solver().minimize(&circle(), vec![1.0, 0.0]).unwrap();
        assert!(run.converged() && (run.f - 1.0).abs() < 1e-12);
        let inertia = run.report.kkt_inertia.unwrap();
        let found = (inertia.positive, inertia.negative, inertia.zero);
        assert_eq!(found, (1, 2, 0));
        // x² − y² + y⁴ on z = 1: by symmetry a run that starts at y = 0 ends at the saddle.
        let saddle = Made::<3, 1> {
            value: |x| x[0] * x[0] - x[1] * x[1] + x[1].powi(4) + x[2] * x[2],
            gradient: |x| vec![2.0 * x[0], -2.0 * x[1] + 4.0 * x[1].powi(3), 2.0 * x[2]],
            constraints: |x| [x[2] - 1.0],
            jacobian: |_| [[0.0, 0.0, 1.0]],
            hessian: |x, _| {
                let curve = -2.0 + 12.0 * x[1] * x[1];
                [[2.0, 0.0, 0.0], [0.0, curve, 0.0], [0.0, 0.0, 2.0]]
            },
        };
        let run = solver().minimize(&saddle, vec![3.0, 0.0, -1.0]).unwrap();
        assert!(run.converged(), "{}", run.status);
        assert!(run.x[0].abs() < 1e-6 && run.x[1] == 0.0, "{:?}", run.x);
        let inertia = run.report.kkt_inertia.unwrap();
        let found = (inertia.positive, inertia.negative, inertia.zero);
        assert_eq!(found, (2, 2, 0));
        // Off the axis it ends at a minimizer.
        let run = solver().minimize(&saddle, vec![3.0, 1e-3, -1.0]).unwrap();
        assert!(run.converged() && (run.x[1].abs() - 0.5f64.sqrt()).abs() < 1e-6);
        let inertia = run.report.kkt_inertia.unwrap();
        assert_eq!((inertia.positive, inertia.negative), (3, 1));
    }

    #[test]
    fn without_a_tolerance_rounding_ends_the_run() {
        let run = solver()
            .gradient_tol(0.0)
            .minimize(&circle(), vec![0.5, 0.5])
            .unwrap();
        assert!(run.converged(), "{}", run.status);
        assert!((run.x[0] + 1.0).abs() < 1e-6);
    }

    /// sqrt(y) between two cubics, not defined for y < 0.
    #[test]
    fn trials_outside_the_domain_are_rejected() {
        let cubics = Made::<2, 2> {
            value: |x| x[1].sqrt(),
            gradient: |x| vec![0.0, 0.5 / x[1].sqrt()],
            constraints: |x| [x[1] - 8.0 * x[0].powi(3), x[1] - (1.0 - x[0]).powi(3)],
            jacobian: |x| {
                [
                    [-24.0 * x[0] * x[0], 1.0],
                    [3.0 * (1.0 - x[0]).powi(2), 1.0],
                ]
            },
            hessian: |x, l| {
                let curve = -48.0 * x[0] * l[0] - 6.0 * (1.0 - x[0]) * l[1];
                [[curve, 0.0], [0.0, -0.25 * x[1].powf(-1.5)]]
            },
        };
        for inner in INNERS {
            let run = to(1e-8, inner)
                .minimize(&cubics, vec![1.234, 5.678])
                .unwrap();
            assert!(run.converged(), "{inner:?}: {} {:?}", run.status, run.x);
            assert!((run.x[0] - 1.0 / 3.0).abs() < 1e-7);
            assert!((run.f - 0.544_331_053_951_817_4).abs() < 1e-7);
        }
    }

    #[test]
    fn ends_are_told_apart() {
        let nan = Made::<2, 1> {
            value: |_| f64::NAN,
            ..circle()
        };
        let run = solver().minimize(&nan, vec![0.5; 2]).unwrap();
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        assert_eq!(run.x, [0.5; 2]);
        let nan = Made::<2, 1> {
            constraints: |_| [f64::INFINITY],
            ..circle()
        };
        let run = solver().minimize(&nan, vec![0.5; 2]).unwrap();
        assert_eq!(run.status, Status::Failed(Failed::NonFinite));
        // x + y on x = 1.
        let line = Made::<2, 1> {
            value: |x| x[0] + x[1],
            gradient: |_| vec![1.0, 1.0],
            constraints: |x| [x[0] - 1.0],
            jacobian: |_| [[1.0, 0.0]],
            hessian: |_, _| [[0.0; 2]; 2],
        };
        let run = solver()
            .max_iters(500)
            .minimize(&line, vec![1.0, 1.0])
            .unwrap();
        assert_eq!(run.status, Status::Failed(Failed::Unbounded));
        let run = solver()
            .max_iters(2)
            .minimize(&circle(), vec![0.5; 2])
            .unwrap();
        assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
        // The start is the solution.
        let run = solver().minimize(&listed_twice(), vec![0.5; 2]).unwrap();
        assert!(run.converged() && run.report.iterations <= 1);
    }

    #[test]
    fn one_seed_gives_one_path() {
        let path = |seed, sketch| {
            let mut bits = Vec::new();
            let problem = HockSchittkowski::Hs77;
            let run = to(1e-8, Inner::Sketch(sketch))
                .sketch_seed(seed)
                .on_iteration(|record| {
                    bits.push(record.f.to_bits());
                    true
                });
            assert!(run.minimize(&problem, problem.start()).unwrap().converged());
            bits
        };
        for sketch in [Sketch::Rows(1), Sketch::Rows(3), Sketch::Gaussian(2)] {
            assert_eq!(path(7, sketch), path(7, sketch));
            assert_ne!(path(7, sketch), path(8, sketch));
        }
    }

    /// Counts the calls that reach the user.
    struct Counting {
        inner: HockSchittkowski,
        calls: [Cell<u64>; 5],
    }
    impl Counting {
        fn note(&self, which: usize) {
            self.calls[which].set(self.calls[which].get() + 1);
        }
    }
    impl CostFunction for Counting {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            self.note(0);
            self.inner.cost(x)
        }
    }
    impl Gradient for Counting {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            self.note(1);
            self.inner.gradient(x)
        }
    }
    impl EqualityConstraints for Counting {
        type Param = Vec<f64>;
        type Values = Vec<f64>;
        type Jacobian = Mat<f64>;
        fn n_constraints(&self) -> usize {
            self.inner.n_constraints()
        }
        fn constraints(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            self.note(2);
            self.inner.constraints(x)
        }
        fn constraint_jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, Error> {
            self.note(3);
            self.inner.constraint_jacobian(x)
        }
    }
    impl LagrangianHessian for Counting {
        type Hessian = Mat<f64>;
        fn lagrangian_hessian(&self, x: &Vec<f64>, l: &[f64]) -> Result<Mat<f64>, Error> {
            self.note(4);
            self.inner.lagrangian_hessian(x, l)
        }
    }

    #[test]
    fn a_trial_costs_first_derivatives_and_a_step_one_hessian() {
        for inner in [Inner::Direct, Inner::Minres] {
            let problem = Counting {
                inner: HockSchittkowski::Hs77,
                calls: Default::default(),
            };
            let run = to(1e-8, inner)
                .minimize(&problem, problem.inner.start())
                .unwrap();
            let report = &run.report;
            let calls = problem.calls.each_ref().map(Cell::get);
            let each = 1 + report.trials;
            // A direct run factors once more at its end, for the inertia.
            let last = u64::from(inner == Inner::Direct);
            assert_eq!(calls, [each, each, each, each, report.iterations + last]);
            let reported = [
                report.values,
                report.gradients,
                report.constraints,
                report.jacobians,
                report.hessians,
            ];
            assert_eq!(calls, reported);
            for (name, count) in [
                ("cost_count", 0),
                ("gradient_count", 1),
                ("constraint_count", 2),
                ("jacobian_count", 3),
                ("hessian_count", 4),
            ] {
                assert_eq!(run.counts[name], calls[count], "{name}");
            }
            assert_eq!(report.trials, report.iterations + report.rejected);
        }
    }

    #[test]
    fn argmin_gets_the_best_point_of_infeasible_iterates() {
        use HockSchittkowski::*;
        for problem in [Hs7, Hs39, Hs77] {
            let run = |limit| {
                Executor::new(problem, solver())
                    .configure(|state| state.param(problem.start()).max_iters(limit))
                    .ctrlc(false)
                    .run()
                    .unwrap()
            };
            let result = run(100);
            assert_eq!(result.status(), Status::Converged(Converged::Kkt));
            let best = result.state.get_best_param().unwrap();
            let (slope, violation) = kkt(&problem, best, &result.solver.report().multipliers);
            assert!(slope.hypot(violation) < 1e-6);
            let plain = solver().minimize(&problem, problem.start()).unwrap();
            assert_eq!(&plain.x, best);
            assert_eq!(
                plain.counts["jacobian_count"],
                result.problem.counts["jacobian_count"]
            );
            // Cut off anywhere, the best point has the multipliers that are reported with it.
            for limit in 1..6 {
                let result = run(limit);
                let report = result.solver.report();
                let best = result.state.get_best_param().unwrap();
                let (slope, violation) = kkt(&problem, best, &report.multipliers);
                let size = slope.hypot(violation);
                assert!((size - report.kkt_residual).abs() <= 1e-9 * size, "{limit}");
                assert_eq!(result.state.get_best_cost(), problem.cost(best).unwrap());
            }
        }
    }

    #[test]
    fn steps_of_a_control_problem_do_not_grow_with_the_mesh() {
        let mut values = Vec::new();
        for points in [100, 1000, 10_000] {
            let problem = OptimalControl::new(points).unwrap();
            for inner in [Inner::Direct, Inner::Minres] {
                let run = solver()
                    .inner(inner)
                    .minimize(&problem, problem.start())
                    .unwrap();
                assert!(run.converged(), "{points} {inner:?}: {}", run.status);
                assert_eq!(run.report.iterations, 3, "{points} {inner:?}");
                assert!(run.report.analyses <= 1);
                values.push(run.f);
                if inner == Inner::Direct {
                    // The fill grows as the mesh does.
                    let (entries, cells) = (run.report.factor_entries, points as u64);
                    assert!(entries <= 8 * cells && entries >= 7 * cells, "{entries}");
                    let inertia = run.report.kkt_inertia.unwrap();
                    let found = (inertia.positive, inertia.negative, inertia.zero);
                    assert_eq!(found, (2 * points, points, 0));
                }
            }
        }
        assert!(values.chunks(2).all(|f| (f[0] - f[1]).abs() < 1e-9));
        // Second order in the mesh width.
        assert!((values[0] - values[2]).abs() < 1e-3 && (values[2] - values[4]).abs() < 1e-5);
    }

    /// ½‖x‖² + ½(Σ xᵢ)² on a plane, with a dense Hessian.
    struct Plane(usize);
    impl CostFunction for Plane {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            Ok(0.5 * (squares(x) + x.iter().sum::<f64>().powi(2)))
        }
    }
    impl Gradient for Plane {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            let sum: f64 = x.iter().sum();
            Ok(x.iter().map(|x| x + sum).collect())
        }
    }
    impl EqualityConstraints for Plane {
        type Param = Vec<f64>;
        type Values = [f64; 1];
        type Jacobian = Mat<f64>;
        fn n_constraints(&self) -> usize {
            1
        }
        fn constraints(&self, x: &Vec<f64>) -> Result<[f64; 1], Error> {
            let terms = x.iter().enumerate();
            Ok([terms.map(|(i, x)| (i + 1) as f64 * x).sum::<f64>() - 1.0])
        }
        fn constraint_jacobian(&self, _: &Vec<f64>) -> Result<Mat<f64>, Error> {
            Ok(Mat::from_fn(1, self.0, |_, j| (j + 1) as f64))
        }
    }
    impl LagrangianHessian for Plane {
        type Hessian = Mat<f64>;
        fn lagrangian_hessian(&self, _: &Vec<f64>, _: &[f64]) -> Result<Mat<f64>, Error> {
            Ok(Mat::from_fn(self.0, self.0, |i, j| {
                1.0 + f64::from(u8::from(i == j))
            }))
        }
    }

    /// ½ xᵀLx + Σ xᵢ⁴/4 on Σ xᵢ = n, with L the fourth differences, as a dense matrix.
    struct Beam(usize);

    impl Beam {
        fn stiffness(i: usize, j: usize) -> f64 {
            match i.abs_diff(j) {
                0 => 6e6,
                1 => -4e6,
                2 => 1e6,
                _ => 0.0,
            }
        }

        fn pull(&self, x: &[f64], i: usize) -> f64 {
            let near = i.saturating_sub(2)..(i + 3).min(self.0);
            near.map(|j| Self::stiffness(i, j) * x[j]).sum()
        }
    }

    impl CostFunction for Beam {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            let term = |(i, x_i): (usize, &f64)| 0.5 * x_i * self.pull(x, i) + 0.25 * x_i.powi(4);
            Ok(x.iter().enumerate().map(term).sum())
        }
    }
    impl Gradient for Beam {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            Ok((0..self.0)
                .map(|i| self.pull(x, i) + x[i].powi(3))
                .collect())
        }
    }
    impl EqualityConstraints for Beam {
        type Param = Vec<f64>;
        type Values = [f64; 1];
        type Jacobian = Mat<f64>;
        fn n_constraints(&self) -> usize {
            1
        }
        fn constraints(&self, x: &Vec<f64>) -> Result<[f64; 1], Error> {
            Ok([x.iter().sum::<f64>() - self.0 as f64])
        }
        fn constraint_jacobian(&self, _: &Vec<f64>) -> Result<Mat<f64>, Error> {
            Ok(Mat::from_fn(1, self.0, |_, _| 1.0))
        }
    }
    impl LagrangianHessian for Beam {
        type Hessian = Mat<f64>;
        fn lagrangian_hessian(&self, x: &Vec<f64>, _: &[f64]) -> Result<Mat<f64>, Error> {
            Ok(Mat::from_fn(self.0, self.0, |i, j| {
                Self::stiffness(i, j) + if i == j { 3.0 * x[i] * x[i] } else { 0.0 }
            }))
        }
    }

    #[test]
    fn auto_leaves_minres_where_it_falls_behind() {
        let auto = |n| {
            let run = solver().minimize(&Plane(n), vec![1.0; n]).unwrap();
            assert!(run.converged(), "{n}: {}", run.status);
            run
        };
        let factored = auto(60);
        assert!(factored.report.kkt_inertia.is_some());
        assert_eq!(factored.report.factor_entries, 61 * 62 / 2);
        let iterated = auto(600);
        assert!(iterated.report.kkt_inertia.is_none());
        assert_eq!(iterated.report.factor_entries, 0);
        let same = solver().inner(Inner::Minres);
        let same = same.minimize(&Plane(600), vec![1.0; 600]).unwrap();
        assert_eq!(iterated.x, same.x);
        // Three iterations solve each system of a sparse K of order 3000.
        let control = OptimalControl::new(1000).unwrap();
        let run = solver().minimize(&control, control.start()).unwrap();
        assert!(run.report.kkt_inertia.is_none() && run.report.inner_iterations <= 12);
        // Of a beam the diagonal says little: hundreds are not enough.
        let n = 250;
        let start = |n| (0..n).map(|i| (i as f64).sin()).collect::<Vec<f64>>();
        let run = solver().minimize(&Beam(n), start(n)).unwrap();
        let direct = solver().inner(Inner::Direct);
        let direct = direct.minimize(&Beam(n), start(n)).unwrap();
        let most = 60 * direct.report.inner_iterations;
        assert!(run.converged() && direct.converged());
        assert!((run.f - direct.f).abs() <= 1e-9 * direct.f.abs());
        assert!(run.report.kkt_inertia.is_some_and(|i| i.positive == n));
        assert!(
            run.report.inner_iterations > most,
            "{}",
            run.report.inner_iterations
        );
    }

    #[cfg(feature = "libsvm")]
    #[test]
    fn logistic_regression_on_planes_and_a_sphere() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/data/breast-cancer.libsvm"
        );
        let data = raphson::libsvm::read(path).unwrap().standardized().0;
        let problem = ConstrainedLogistic::new(&data, 10, 0).unwrap();
        let mut values = Vec::new();
        for inner in [
            Inner::Direct,
            Inner::Minres,
            Inner::Sketch(Sketch::default()),
        ] {
            let run = to(1e-8, inner).minimize(&problem, problem.start()).unwrap();
            assert!(run.converged(), "{inner:?}: {}", run.status);
            let (slope, violation) = kkt(&problem, &run.x, &run.report.multipliers);
            assert!(slope.hypot(violation) <= 1.01e-8);
            values.push(run.f);
        }
        assert!(
            values.iter().all(|f| (f - values[0]).abs() < 1e-8),
            "{values:?}"
        );
        let free = AugmentedLagrangianNewton::matrix_free();
        let run = free.minimize(&problem, problem.start()).unwrap();
        assert!(run.converged() && (run.f - values[0]).abs() < 1e-6);
        assert!(ConstrainedLogistic::new(&data, 30, 0).is_err());
    }

    /// exp(x₁ − x₂) + x₃² on a curve, by dual numbers.
    #[test]
    fn one_generic_function_makes_a_constrained_problem() {
        struct Curve;
        impl ScalarFunction for Curve {
            fn dimension(&self) -> usize {
                3
            }
            fn value<T: Number>(&self, x: &[T]) -> T {
                (x[0] - x[1]).exp() + x[2].powi(2)
            }
        }
        impl VectorFunction for Curve {
            fn dimension(&self) -> usize {
                3
            }
            fn output_count(&self) -> usize {
                2
            }
            fn values<T: Number>(&self, x: &[T], c: &mut [T]) {
                c[0] = x[0].powi(2) + x[1].powi(2) - 2.0;
                c[1] = x[2] - x[0] - x[1];
            }
        }
        let problem = AutoDiff::new(Curve);
        let run = solver().minimize(&problem, vec![-1.0, 0.5, 0.1]).unwrap();
        assert!(run.converged());
        let free = AugmentedLagrangianNewton::matrix_free();
        let free = free.minimize(&problem, vec![-1.0, 0.5, 0.1]).unwrap();
        assert!((run.f - free.f).abs() < 1e-8);
        let mut product = [0.0; 3];
        let (x, l, v) = (vec![0.3, 0.2, 0.1], [0.7, -0.4], [1.0, -2.0, 3.0]);
        problem
            .lagrangian_product(&x, &l, &v, &mut product)
            .unwrap();
        let hessian = problem.lagrangian_hessian(&x, &l).unwrap();
        for i in 0..3 {
            let row: f64 = (0..3).map(|j| hessian[(i, j)] * v[j]).sum();
            assert!((row - product[i]).abs() < 1e-14);
        }
        assert!(problem.lagrangian_hessian(&x, &[1.0]).is_err());
    }

    #[test]
    fn errors_of_the_users_functions_come_back() {
        thread_local!(static CALLS: RefCell<u32> = const { RefCell::new(0) });
        struct Fails;
        impl CostFunction for Fails {
            type Param = Vec<f64>;
            type Output = f64;
            fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
                Ok(squares(x))
            }
        }
        impl Gradient for Fails {
            type Param = Vec<f64>;
            type Gradient = Vec<f64>;
            fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
                Ok(double(x))
            }
        }
        impl EqualityConstraints for Fails {
            type Param = Vec<f64>;
            type Values = [f64; 1];
            type Jacobian = [[f64; 2]; 1];
            fn n_constraints(&self) -> usize {
                1
            }
            fn constraints(&self, x: &Vec<f64>) -> Result<[f64; 1], Error> {
                CALLS.with(|calls| *calls.borrow_mut() += 1);
                if CALLS.with(|calls| *calls.borrow()) == 2 {
                    return Err(Error::msg("the sensor is off"));
                }
                Ok([x[0] - 1.0])
            }
            fn constraint_jacobian(&self, _: &Vec<f64>) -> Result<[[f64; 2]; 1], Error> {
                Ok([[1.0, 0.0]])
            }
        }
        impl LagrangianHessian for Fails {
            type Hessian = [[f64; 2]; 2];
            fn lagrangian_hessian(&self, _: &Vec<f64>, _: &[f64]) -> Result<[[f64; 2]; 2], Error> {
                Ok(TWICE)
            }
        }
        let error = solver().minimize(&Fails, vec![3.0; 2]).err().unwrap();
        assert!(error.to_string().contains("the sensor is off"));
    }
}
