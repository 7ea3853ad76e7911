//! The problems of Moré, Garbow and Hillstrom: dimensions, starts, optima, derivatives.
#![cfg(feature = "problems")]

use argmin::core::{CostFunction, Gradient, Hessian, Jacobian, Operator};
use raphson::check::{self, Checker};
use raphson::problems::{Mgh, MghProblem, MghProblem::*};
use raphson::{DampedNewton, HessianProduct};

/// With `n` variables.
fn sized(problem: MghProblem, n: usize) -> Mgh {
    Mgh::new(problem).with_dimension(n).unwrap()
}

/// The usual dimensions and a few others.
fn many() -> Vec<Mgh> {
    let mut problems = Mgh::all();
    for (problem, sizes) in [
        (Watson, &[2, 9, 12][..]),
        (ExtendedRosenbrock, &[2, 20]),
        (ExtendedPowellSingular, &[4, 20]),
        (Penalty1, &[1, 10]),
        (Penalty2, &[1, 10]),
        (VariablyDimensioned, &[1, 4]),
        (Trigonometric, &[1, 4]),
        (BrownAlmostLinear, &[1, 2, 3, 5]),
        (DiscreteBoundaryValue, &[1, 3]),
        (DiscreteIntegralEquation, &[1, 3]),
        (BroydenTridiagonal, &[1, 3]),
        (BroydenBanded, &[1, 3, 20]),
        (LinearFullRank, &[1, 7]),
        (LinearRank1, &[1, 7]),
        (LinearRank1WithZeros, &[3, 7]),
        (Chebyquad, &[1, 2, 7, 9, 10]),
    ] {
        problems.extend(sizes.iter().map(|n| sized(problem, *n)));
    }
    for (problem, m) in [
        (JennrichSampson, 5),
        (Gulf, 10),
        (Gulf, 100),
        (BoxThreeDimensional, 3),
        (BrownDennis, 8),
        (BiggsExp6, 6),
        (LinearFullRank, 5),
        (Chebyquad, 12),
    ] {
        problems.push(Mgh::new(problem).with_residual_count(m).unwrap());
    }
    problems
}

/// A point near the start without pattern, at which no derivative vanishes by accident.
fn generic(problem: &Mgh) -> Vec<f64> {
    let start = problem.start().into_iter().enumerate();
    start
        .map(|(i, x)| x + 0.1 * x.abs().max(0.1) * (1.0 + 3.0 * i as f64).sin())
        .collect()
}

#[test]
fn all_have_their_number_name_and_dimensions() {
    let all = Mgh::all();
    assert_eq!(all.len(), 35);
    for (i, problem) in all.iter().enumerate() {
        assert_eq!(problem.number(), i + 1);
        assert_eq!(problem.problem() as usize, i + 1);
        assert_eq!(MghProblem::from_number(i + 1), Some(problem.problem()));
        assert!(all[..i].iter().all(|p| p.name() != problem.name()));
    }
    let sizes: Vec<_> = all
        .iter()
        .take(20)
        .map(|p| (p.dimension(), p.residual_count()))
        .collect();
    let paper = [
        (2, 2),
        (2, 2),
        (2, 2),
        (2, 3),
        (2, 3),
        (2, 10),
        (3, 3),
        (3, 15),
        (3, 15),
        (3, 16),
        (3, 99),
        (3, 10),
        (4, 4),
        (4, 6),
        (4, 11),
        (4, 20),
        (5, 33),
        (6, 13),
        (11, 65),
        (6, 31),
    ];
    assert_eq!(sizes, paper);
    for problem in many() {
        assert_eq!(problem.start().len(), problem.dimension());
        let r = problem.apply(&problem.start()).unwrap();
        assert_eq!(r.len(), problem.residual_count());
    }
}

#[test]
fn values_at_the_starts_are_those_known() {
    let known = [
        (Rosenbrock, 24.2),
        (FreudensteinRoth, 400.5),
        (PowellBadlyScaled, 1.0 + ((-1.0_f64).exp() - 1e-4).powi(2)),
        (BrownBadlyScaled, 999_998_000_003.0),
        (Beale, 14.203125),
        (JennrichSampson, 4_171.306_161_960_493),
        (HelicalValley, 2500.0),
        (Bard, 41.681_695_861_678),
        (Gaussian, 3.888_106_991_167e-6),
        (Meyer, 1.693_607_809_436e9),
        (Gulf, 12.110_705_826),
        (BoxThreeDimensional, 1_031.153_810_609_4),
        (PowellSingular, 215.0),
        (Wood, 19192.0),
        (KowalikOsborne, 5.313_172_272_109e-3),
        (BrownDennis, 7_926_693.336_997_43),
        (Osborne1, 0.879_026_293_545),
        (BiggsExp6, 0.779_070_075_656),
        (Osborne2, 2.093_419_514_212),
        (Watson, 30.0),
        (ExtendedRosenbrock, 121.0),
        (ExtendedPowellSingular, 645.0),
        (Penalty1, 885.062_64),
        (Penalty2, 2.340_008_805_463),
        (VariablyDimensioned, 2_198_551.162_5),
        (Trigonometric, 7.075_759_466e-3),
        (
            BrownAlmostLinear,
            9.0 * 5.5_f64.powi(2) + (1.0 - 0.5_f64.powi(10)).powi(2),
        ),
        (BroydenTridiagonal, 21.0),
        (BroydenBanded, 360.0),
        (LinearFullRank, 25.0),
        (LinearRank1, 84985.0),
        (LinearRank1WithZeros, 15886.0),
        (Chebyquad, 3.861_769_828_593e-2),
    ];
    for (problem, value) in known {
        let problem = Mgh::new(problem);
        let f = problem.cost(&problem.start()).unwrap();
        assert!(
            (f - value).abs() <= 1e-9 * value,
            "{}: {f} {value}",
            problem.name()
        );
        let r = problem.apply(&problem.start()).unwrap();
        let squares: f64 = r.iter().map(|r| r * r).sum();
        assert!((f - squares).abs() <= 1e-14 * f);
    }
}

#[test]
fn scaled_starts_are_multiples() {
    assert_eq!(Mgh::new(Rosenbrock).scaled_start(10.0), [-12.0, 10.0]);
    assert_eq!(Mgh::new(Watson).scaled_start(100.0), [100.0; 6]);
    for problem in Mgh::all() {
        for factor in [10.0, 100.0] {
            let x = problem.scaled_start(factor);
            // Overflow is a value, not an error.
            let f = problem.cost(&x).unwrap();
            assert!(f > 0.0 || f.is_nan(), "{}: {f}", problem.name());
        }
    }
}

#[test]
fn optima_are_those_of_the_paper() {
    let watson = |n| sized(Watson, n);
    let paper = [
        (Mgh::new(FreudensteinRoth), vec![0.0, 48.9842]),
        (Mgh::new(JennrichSampson), vec![124.362]),
        (Mgh::new(Bard), vec![8.21487e-3, 17.4286]),
        (Mgh::new(Gaussian), vec![1.12793e-8]),
        (Mgh::new(Meyer), vec![87.9458]),
        (Mgh::new(KowalikOsborne), vec![3.07505e-4, 1.02734e-3]),
        (Mgh::new(BrownDennis), vec![85822.2]),
        (Mgh::new(Osborne1), vec![5.46489e-5]),
        (Mgh::new(BiggsExp6), vec![0.0, 5.65565e-3]),
        (Mgh::new(Osborne2), vec![4.01377e-2]),
        (watson(6), vec![2.28767e-3]),
        (watson(9), vec![1.39976e-6]),
        (watson(12), vec![4.72238e-10]),
        (sized(Penalty1, 4), vec![2.24997e-5]),
        (sized(Penalty1, 10), vec![7.08765e-5]),
        (sized(Penalty2, 4), vec![9.37629e-6]),
        (sized(Penalty2, 10), vec![2.93660e-4]),
        (Mgh::new(Trigonometric), vec![0.0, 2.79506e-5]),
        (Mgh::new(BrownAlmostLinear), vec![0.0, 0.0, 1.0]),
        (Mgh::new(LinearFullRank), vec![5.0]),
        (Mgh::new(LinearRank1), vec![90.0 / 42.0]),
        (Mgh::new(LinearRank1WithZeros), vec![124.0 / 34.0]),
        (sized(Chebyquad, 7), vec![0.0]),
        (sized(Chebyquad, 8), vec![3.51687e-3]),
        (sized(Chebyquad, 9), vec![0.0]),
        (sized(Chebyquad, 10), vec![6.50395e-3]),
    ];
    for (problem, values) in paper {
        let optima = problem.optima();
        assert_eq!(optima.len(), values.len(), "{}", problem.name());
        for (optimum, value) in optima.iter().zip(&values) {
            // The paper rounds or truncates to six digits.
            let error = (optimum.value - value).abs();
            assert!(error <= 1e-5 * value, "{}: {error}", problem.name());
        }
        assert_eq!(problem.minimum(), Some(optima[0].value));
    }
}

#[test]
fn gradients_vanish_at_the_known_minimizers() {
    let mut checked = 0;
    for problem in many() {
        for optimum in problem.optima() {
            let Some(x) = optimum.minimizer else { continue };
            checked += 1;
            let name = problem.name();
            let r = problem.apply(&x).unwrap();
            let f = problem.cost(&x).unwrap();
            // What rounding does to f: residuals are differences of numbers up to the data.
            let rounding = 1e-15 * (1.0 + r.iter().map(|r| r.abs()).sum::<f64>());
            let allowed = 2e-12 * optimum.value + rounding * rounding;
            assert!(
                (f - optimum.value).abs() <= allowed.max(1e-24),
                "{name}: {f} {}",
                optimum.value
            );
            if (problem.problem(), problem.residual_count()) == (Gulf, 100) {
                // The last residual has its kink at the minimizer.
                continue;
            }
            // |g_k| is small against Σ |2 J_ik r_i|, or the step it stands for is.
            let g = problem.gradient(&x).unwrap();
            let j = problem.jacobian(&x).unwrap();
            for (k, g) in g.iter().enumerate() {
                let column = |i: usize| j[(i, k)].abs();
                let size: f64 = (0..r.len()).map(|i| 2.0 * column(i) * r[i].abs()).sum();
                let square: f64 = (0..r.len()).map(|i| column(i).powi(2)).sum();
                let step = 2.0 * square * x[k].abs().max(1e-3);
                assert!(
                    g.abs() <= 1e-9 * size || g.abs() <= 1e-13 * step,
                    "{name} {k}: {g} {size} {step}"
                );
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

/// Where f = 0 without a closed form, damped Newton steps find it from the start.
#[test]
fn roots_without_a_closed_form_exist() {
    for problem in [
        Mgh::new(DiscreteBoundaryValue),
        Mgh::new(DiscreteIntegralEquation),
        Mgh::new(BroydenTridiagonal),
        Mgh::new(BroydenBanded),
        sized(BroydenBanded, 30),
        sized(Chebyquad, 1),
        sized(Chebyquad, 5),
        sized(Chebyquad, 7),
        sized(Chebyquad, 9),
    ] {
        let solver = DampedNewton::new().gradient_tol(1e-12);
        let run = solver.minimize(&problem, problem.start()).unwrap();
        let name = problem.name();
        assert!(run.f < 1e-20, "{name} {}: {}", problem.dimension(), run.f);
        assert_eq!(problem.minimum(), Some(0.0));
    }
}

/// The kernel of the integral equation is the inverse of the second difference.
#[test]
fn the_two_boundary_value_problems_have_one_solution() {
    let distance = |n| {
        let solution = |problem| {
            let problem = sized(problem, n);
            let solver = DampedNewton::new().gradient_tol(1e-12);
            solver.minimize(&problem, problem.start()).unwrap().x
        };
        let differential = solution(DiscreteBoundaryValue);
        let integral = solution(DiscreteIntegralEquation);
        let pairs = differential.iter().zip(&integral);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let (coarse, fine) = (distance(9), distance(19));
    assert!(coarse < 1e-10 && fine < 1e-10, "{coarse} {fine}");
}

#[test]
fn derivatives_agree_with_differences() {
    for problem in many() {
        let far = generic(&problem);
        for x in [problem.start(), far] {
            // Variables from 1e-3 on have their own scale.
            let typical: Vec<f64> = x.iter().map(|x| x.abs().clamp(1e-3, 1.0)).collect();
            let checker = Checker::new().typical(&typical);
            let name = problem.name();
            let check = checker.derivatives(&problem, &x).unwrap();
            assert!(check.is_ok(), "{name} at {x:?}: {check}");
            let check = checker.jacobian(&problem, &x).unwrap();
            assert!(check.is_ok(), "{name} at {x:?}: {check}");
        }
    }
}

#[test]
fn products_are_those_with_the_hessian() {
    for problem in many() {
        let x = generic(&problem);
        let n = x.len();
        let h = problem.hessian(&x).unwrap();
        let v: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64).sin()).collect();
        let mut product = vec![0.0; n];
        problem.hessian_product(&x, &v, &mut product).unwrap();
        for i in 0..n {
            let terms: Vec<f64> = (0..n).map(|j| h[(i, j)] * v[j]).collect();
            let size: f64 = terms.iter().map(|t| t.abs()).sum();
            let error = (product[i] - terms.iter().sum::<f64>()).abs();
            assert!(error <= 1e-12 * size, "{} {error}", problem.name());
            assert!((0..n).all(|j| h[(i, j)] == h[(j, i)]));
        }
    }
}

#[test]
fn the_helix_is_smooth_around_its_axis() {
    let helix = Mgh::new(HelicalValley);
    for k in 0..16 {
        let angle = -1.5 + 0.39 * f64::from(k);
        let x = vec![1.3 * angle.cos(), 1.3 * angle.sin(), 0.4];
        let turn = angle / std::f64::consts::TAU;
        let r = helix.apply(&x).unwrap();
        assert!((r[0] - 10.0 * (0.4 - 10.0 * turn)).abs() < 1e-12, "{k}");
        let check = check::derivatives(&helix, &x).unwrap();
        assert!(check.is_ok(), "{check}");
    }
    // On the second axis, where x₂/x₁ is infinite, and across the first.
    for x in [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [-1.0, -0.0, 0.0]] {
        let h = helix.hessian(&x.to_vec()).unwrap();
        assert!((0..3).all(|i| (0..3).all(|j| h[(i, j)].is_finite())));
    }
}

#[test]
fn wrong_sizes_are_errors() {
    for problem in Mgh::all() {
        let long = vec![0.5; problem.dimension() + 1];
        assert!(problem.cost(&long).is_err());
        assert!(problem.gradient(&long).is_err());
        assert!(problem.hessian(&long).is_err());
        assert!(problem.apply(&long).is_err());
        assert!(problem.jacobian(&long).is_err());
        let mut out = vec![0.0; long.len()];
        assert!(problem.hessian_product(&long, &long, &mut out).is_err());
        assert!(problem.with_dimension(0).is_err());
        assert!(problem.with_residual_count(0).is_err());
    }
    for (problem, n) in [
        (Rosenbrock, 3),
        (Osborne2, 10),
        (Watson, 1),
        (Watson, 32),
        (ExtendedRosenbrock, 3),
        (ExtendedPowellSingular, 6),
        (LinearRank1WithZeros, 2),
    ] {
        assert!(Mgh::new(problem).with_dimension(n).is_err(), "{problem:?}");
    }
    for (problem, m) in [
        (Gulf, 101),
        (Gulf, 2),
        (Bard, 14),
        (BrownDennis, 3),
        (BroydenBanded, 11),
    ] {
        let resized = Mgh::new(problem).with_residual_count(m);
        assert!(resized.is_err(), "{problem:?}");
    }
}

#[test]
fn damped_newton_ends_at_a_known_optimum_of_all() {
    for problem in Mgh::all() {
        let solver = DampedNewton::new().max_iters(1000);
        let run = solver.minimize(&problem, problem.start()).unwrap();
        let name = problem.name();
        assert!(run.converged(), "{name}: {}", run.status);
        let reached = |value: f64| (run.f - value).abs() <= 1e-8 + 1e-8 * value;
        let known = problem.optima();
        assert!(known.iter().any(|o| reached(o.value)), "{name}: {}", run.f);
    }
}

/// Overflow and points outside the domain are values, not panics; NaN is not hidden.
#[test]
fn every_point_has_a_value() {
    for problem in Mgh::all() {
        for value in [0.0, 1e200, -1e200, f64::NAN] {
            let x = vec![value; problem.dimension()];
            let f = problem.cost(&x).unwrap();
            assert_eq!(problem.gradient(&x).unwrap().len(), x.len());
            assert_eq!(problem.hessian(&x).unwrap().nrows(), x.len());
            let name = problem.name();
            assert!(f >= 0.0 || f.is_nan(), "{name}: {f}");
            assert!(!value.is_nan() || f.is_nan(), "{name}: {f}");
        }
    }
}
