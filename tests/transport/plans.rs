//! Entropic optimal transport: values, certificates, counts, invariances and refusals.

use crate::common::{Random, assignment, cloud, exact, images, pixels, uniform, unit};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, KV, State};
use faer::Mat;
use raphson::transport::{Auto, Cost, Metric, Plan, sinkhorn_divergence};
use raphson::{
    Error, Outcome, Sinkhorn, SinkhornKernel, SinkhornNewton, Status, Stopped, Transport,
};
use std::sync::{Arc, Mutex};

const ETA: f64 = 1.0 / 1200.0;

fn solve(problem: &Transport, eps: f64, tol: f64) -> Plan {
    let solver = SinkhornNewton::new(eps).marginal_tol(tol);
    solver.solve(problem).unwrap().must_converge().unwrap()
}

/// The largest difference of two plans, entry by entry.
fn apart(p: &Mat<f64>, q: &Mat<f64>) -> f64 {
    assert_eq!(p.shape(), q.shape());
    let mut largest = 0.0_f64;
    for j in 0..p.ncols() {
        for i in 0..p.nrows() {
            largest = largest.max((p[(i, j)] - q[(i, j)]).abs());
        }
    }
    largest
}

/// ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ by plain sums.
fn marginal_error(p: &Mat<f64>, a: &[f64], b: &[f64]) -> f64 {
    let rows = (0..p.nrows()).map(|i| (p.row(i).iter().sum::<f64>() - a[i]).abs());
    let cols = (0..p.ncols()).map(|j| (p.col(j).iter().sum::<f64>() - b[j]).abs());
    rows.sum::<f64>() + cols.sum::<f64>()
}

#[test]
fn random_costs_take_few_steps_where_sinkhorn_takes_thousands() {
    let problem = assignment(500, 0);
    let plan = solve(&problem, ETA, 1e-12);
    let report = plan.report();
    assert!(plan.marginal_error() <= 1e-12);
    assert!(report.hessians <= 15 && report.sweeps <= 45, "{report:?}");
    let again = marginal_error(&plan.to_dense(), problem.source(), problem.target());
    assert!(again <= 1e-12 + 1e-13, "{again}");
    // 500 times as many sweeps do not bring Sinkhorn's algorithm there.
    let sweeps = 500 * (report.sweeps + report.hessians);
    let plain = Sinkhorn::new(ETA).marginal_tol(1e-12).max_iters(sweeps);
    let plain = plain.solve(&problem).unwrap();
    assert_eq!(plain.status(), Status::Stopped(Stopped::MaxIterations));
    assert_eq!(plain.report().sweeps, sweeps);
    assert!(plain.marginal_error() > 1e-12);
    assert!((plain.transport_cost() - plan.transport_cost()).abs() < 1e-3 * plan.transport_cost());
}

#[test]
fn the_ladder_reaches_a_small_eps() {
    for (problem, steps) in [
        (cloud(500, 500, Metric::SquaredL2, 1), 80),
        (pixels(28, Metric::L1), 80),
        (pixels(20, Metric::SquaredL2), 80),
    ] {
        let (n, m) = problem.shape();
        for eps in [1e-2, ETA, 1e-4] {
            let plan = solve(&problem, eps, 1e-11);
            assert!(plan.report().hessians <= steps, "{:?}", plan.report());
            // At the last ε rounding of the exponents allows no more.
            let allowed = 1e-11_f64.max(16.0 * f64::EPSILON * (1.0 + 1.0 / eps));
            assert!(
                plan.marginal_error() <= 2.0 * allowed,
                "{}",
                plan.marginal_error()
            );
            let bounds = plan.certificate().unwrap();
            let entropy = eps * (n.min(m) as f64).ln();
            assert!(bounds.lower <= bounds.upper);
            assert!(bounds.gap() <= 2.0 * entropy, "{} {entropy}", bounds.gap());
            assert!(bounds.upper - plan.transport_cost() <= 1e-9);
        }
    }
}

#[test]
fn eps_of_a_hundred_thousandth() {
    for problem in [
        cloud(300, 200, Metric::SquaredL2, 3),
        cloud(200, 300, Metric::L1, 3),
        pixels(16, Metric::L1),
        pixels(16, Metric::SquaredL2),
    ] {
        let plan = solve(&problem, 1e-5, 1e-11);
        assert!(plan.marginal_error() <= 1e-9);
    }
}

#[test]
fn bounds_enclose_the_linear_program() {
    let (n, m) = (20, 30);
    for seed in 0..50 {
        let mut random = Random(seed);
        let cost = random.matrix(n, m);
        // Whole numbers of the same sum, 600.
        let mut split = |parts: usize| {
            let mut masses = vec![600 / parts as u64 / 2; parts];
            for _ in 0..600 - masses.iter().sum::<u64>() {
                masses[(random.bits() % parts as u64) as usize] += 1;
            }
            masses
        };
        let (supply, demand) = (split(n), split(m));
        let optimum = exact(&cost, &supply, &demand);
        let real = |v: &[u64]| v.iter().map(|v| *v as f64).collect::<Vec<f64>>();
        let problem = Transport::new(cost.clone(), real(&supply), real(&demand)).unwrap();
        for eps in [0.1, 1e-2, 1e-3] {
            let plan = solve(&problem, eps, 1e-10);
            let bounds = plan.certificate().unwrap();
            let slack = 1e-12 * optimum;
            assert!(bounds.lower <= optimum + slack, "{seed} {eps}");
            assert!(optimum <= bounds.upper + slack, "{seed} {eps}");
            assert!(plan.transport_cost() >= bounds.lower);
            let rounded = bounds.to_dense();
            let mut value = 0.0;
            for i in 0..n {
                for j in 0..m {
                    assert!(rounded[(i, j)] >= 0.0);
                    value += rounded[(i, j)] * cost[i][j];
                }
            }
            assert!((value - bounds.upper).abs() <= 1e-12 * value);
            let error = marginal_error(&rounded, &real(&supply), &real(&demand));
            assert!(error <= 50.0 * 600.0 * 1e-14, "{error}");
        }
        let solver = SinkhornNewton::new(1e-7);
        let (plan, bounds) = solver.solve_to_gap(&problem, 1e-4).unwrap();
        assert!(
            plan.converged() && bounds.gap() <= 1e-4 * bounds.upper,
            "{seed}"
        );
        assert!(bounds.lower <= optimum * (1.0 + 1e-12) && optimum <= bounds.upper * (1.0 + 1e-12));
    }
}

#[test]
fn zero_masses_and_scaled_masses() {
    let mut random = Random(5);
    let (n, m) = (12, 17);
    let cost = random.matrix(n, m);
    let (mut a, mut b) = (random.masses(n), random.masses(m));
    (a[0], a[7], b[3], b[16]) = (0.0, 0.0, 0.0, 0.0);
    let (a, b) = (unit(a), unit(b));
    let seven = |v: &[f64]| v.iter().map(|v| 7.0 * v).collect::<Vec<_>>();
    let kept = |v: &[f64]| (0..v.len()).filter(|&i| v[i] > 0.0).collect::<Vec<_>>();
    let (rows, cols) = (kept(&a), kept(&b));
    let small: Vec<Vec<f64>> = rows
        .iter()
        .map(|&i| cols.iter().map(|&j| cost[i][j]).collect())
        .collect();
    let part = |v: &[f64], at: &[usize]| at.iter().map(|&i| v[i]).collect::<Vec<_>>();
    for eps in [0.3, 0.01] {
        let reduced = Transport::new(small.clone(), part(&a, &rows), part(&b, &cols)).unwrap();
        let reduced = solve(&reduced, eps, 1e-13).to_dense();
        let problem = Transport::new(cost.clone(), seven(&a), seven(&b)).unwrap();
        let plan = solve(&problem, eps, 1e-13);
        let whole = plan.to_dense();
        let expected = Mat::from_fn(n, m, |i, j| {
            let at = |v: &[usize], i| v.iter().position(|k| *k == i);
            match (at(&rows, i), at(&cols, j)) {
                (Some(i), Some(j)) => 7.0 * reduced[(i, j)],
                _ => 0.0,
            }
        });
        assert!(apart(&whole, &expected) < 1e-12);
        // Places without mass have the potential at which they would just stay empty.
        for i in [0, 7] {
            let least = cols.iter().map(|&j| cost[i][j] - plan.g()[j]);
            let least = least.fold(f64::INFINITY, f64::min);
            assert!((plan.f()[i] - least).abs() < 1e-12);
        }
        for j in [3, 16] {
            let least = rows.iter().map(|&i| cost[i][j] - plan.f()[i]);
            let least = least.fold(f64::INFINITY, f64::min);
            assert!((plan.g()[j] - least).abs() < 1e-12);
        }
        let dot = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
        let balance = dot(&seven(&a), plan.f()) - dot(&seven(&b), plan.g());
        assert!(balance.abs() < 1e-12, "{balance}");
    }
}

#[test]
fn shifts_permutations_and_transposes_do_not_matter() {
    let mut random = Random(6);
    let (n, m) = (25, 18);
    let cost = random.matrix(n, m);
    let (a, b) = (random.masses(n), random.masses(m));
    for eps in [0.05, 2e-3] {
        let problem = |cost: Vec<Vec<f64>>, a: &[f64], b: &[f64]| {
            solve(&Transport::new(cost, a, b).unwrap(), eps, 1e-12).to_dense()
        };
        let plan = problem(cost.clone(), &a, &b);
        let shifted = cost
            .iter()
            .map(|row| row.iter().map(|c| c + 3.0).collect())
            .collect();
        assert!(apart(&plan, &problem(shifted, &a, &b)) < 1e-10);
        let order: Vec<usize> = (0..n).map(|i| (7 * i + 3) % n).collect();
        let permuted = order.iter().map(|&i| cost[i].clone()).collect();
        let masses: Vec<f64> = order.iter().map(|&i| a[i]).collect();
        let permuted = problem(permuted, &masses, &b);
        let back = Mat::from_fn(n, m, |i, j| plan[(order[i], j)]);
        assert!(apart(&back, &permuted) < 1e-10);
        let transposed = (0..m)
            .map(|j| (0..n).map(|i| cost[i][j]).collect())
            .collect();
        let transposed = problem(transposed, &b, &a);
        assert!(apart(&plan, &transposed.transpose().to_owned()) < 1e-10);
    }
}

#[test]
fn forms_of_the_cost_agree() {
    let (n, m) = (40, 30);
    let mut random = Random(7);
    let (x, y) = (random.vector(3 * n), random.vector(3 * m));
    let (a, b) = (random.masses(n), random.masses(m));
    for metric in [Metric::SquaredL2, Metric::L2, Metric::L1, Metric::Cosine] {
        let points = (x.clone(), y.clone());
        let entry = move |i: usize, j: usize| {
            let (p, q) = (&points.0[3 * i..3 * i + 3], &points.1[3 * j..3 * j + 3]);
            let sum = |f: &dyn Fn(f64, f64) -> f64| p.iter().zip(q).map(|(p, q)| f(*p, *q)).sum();
            let squares: f64 = sum(&|p, q| (p - q) * (p - q));
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            match metric {
                Metric::SquaredL2 => squares,
                Metric::L2 => squares.sqrt(),
                Metric::L1 => sum(&|p, q| (p - q).abs()),
                _ => 1.0 - sum(&|p, q| p * q) / norm(p) / norm(q),
            }
        };
        let table = Mat::from_fn(n, m, &entry);
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|i| (0..m).map(|j| table[(i, j)]).collect())
            .collect();
        let costs = [
            Cost::points(&x, &y, 3, metric).unwrap(),
            Cost::matrix(&table).unwrap(),
            Cost::matrix(&rows).unwrap(),
            Cost::from_fn(n, m, entry.clone()),
            Cost::from_fn(n, m, move |i, j| 4.0 * entry(i, j)).scaled(0.25),
        ];
        let plans = costs.map(|cost| {
            let problem = Transport::new(cost, &a[..], &b[..]).unwrap();
            solve(&problem, 0.01, 1e-12).to_dense()
        });
        for plan in &plans[1..] {
            assert!(apart(&plans[0], plan) < 1e-10, "{metric:?}");
        }
    }
}

#[test]
fn a_grid_is_a_cloud_of_pixels() {
    let (a, b) = images(6);
    for metric in [Metric::L1, Metric::SquaredL2] {
        let entry = move |k: usize, l: usize| {
            let (r, c) = (
                (k / 6).abs_diff(l / 6) as f64,
                (k % 6).abs_diff(l % 6) as f64,
            );
            if metric == Metric::L1 {
                r + c
            } else {
                r * r + c * c
            }
        };
        let grid = Transport::new(Cost::grid(6, 6, metric).unwrap(), &a[..], &b[..]).unwrap();
        let function = Transport::new(Cost::from_fn(36, 36, entry), &a[..], &b[..]).unwrap();
        let (p, q) = (solve(&grid, 0.2, 1e-12), solve(&function, 0.2, 1e-12));
        assert!(apart(&p.to_dense(), &q.to_dense()) < 1e-11);
    }
}

/// −aᵀf − bᵀg + ε ΣP by its definition.
fn minus_dual(cost: &[Vec<f64>], a: &[f64], b: &[f64], eps: f64, x: &[f64]) -> f64 {
    let (f, g) = x.split_at(a.len());
    let mut value = 0.0;
    for (i, row) in cost.iter().enumerate() {
        value -= a[i] * f[i];
        value += row
            .iter()
            .zip(g)
            .map(|(c, g)| eps * ((f[i] + g - c) / eps).exp())
            .sum::<f64>();
    }
    value - b.iter().zip(g).map(|(b, g)| b * g).sum::<f64>()
}

#[test]
fn derivatives_match_differences() {
    let mut random = Random(8);
    let (n, m, eps) = (9, 7, 0.05);
    let cost = random.matrix(n, m);
    let (a, b) = (random.masses(n), random.masses(m));
    let problem = Transport::new(cost.clone(), &a[..], &b[..]).unwrap();
    // Cost and gradient of a run that is not finished.
    let result = Executor::new(problem.clone(), Sinkhorn::new(eps))
        .configure(|state| state.param(problem.origin()).max_iters(3))
        .ctrlc(false)
        .run()
        .unwrap();
    let x = result.state.get_param().unwrap().clone();
    let gradient = result.state.get_gradient().unwrap();
    let value = |x: &[f64]| minus_dual(&cost, &a, &b, eps, x);
    assert!((value(&x) - result.state.get_cost()).abs() < 1e-14);
    let h = 1e-5;
    for k in 0..n + m {
        let at = |s: f64| {
            let mut moved = x.clone();
            moved[k] += s;
            value(&moved)
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        assert!((difference - gradient[k]).abs() < 1e-6, "{k}");
    }
    assert!(gradient.iter().any(|g| g.abs() > 1e-4));
    // The optimal value with respect to C: P. Along mass-preserving changes of a and b: f and g.
    let optimum = |cost: Vec<Vec<f64>>, a: &[f64], b: &[f64]| {
        solve(&Transport::new(cost, a, b).unwrap(), eps, 1e-13).value()
    };
    let plan = solve(&problem, eps, 1e-13);
    let dense = plan.to_dense();
    assert!((plan.value() + minus_dual(&cost, &a, &b, eps, plan.potentials())).abs() < 1e-13);
    for (i, j) in [(0, 0), (3, 5), (8, 6)] {
        let at = |s: f64| {
            let mut moved = cost.clone();
            moved[i][j] += s;
            optimum(moved, &a, &b)
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        assert!((difference - dense[(i, j)]).abs() < 1e-6);
    }
    for (k, l) in [(0, 1), (5, 8)] {
        let along_a = |s: f64| {
            let mut moved = a.clone();
            (moved[k], moved[l]) = (moved[k] + s, moved[l] - s);
            optimum(cost.clone(), &moved, &b)
        };
        let difference = (along_a(h) - along_a(-h)) / (2.0 * h);
        assert!((difference - (plan.f()[k] - plan.f()[l])).abs() < 1e-6);
    }
    let along_b = |s: f64| {
        let mut moved = b.clone();
        (moved[2], moved[4]) = (moved[2] + s, moved[4] - s);
        optimum(cost.clone(), &a, &moved)
    };
    let difference = (along_b(h) - along_b(-h)) / (2.0 * h);
    assert!((difference - (plan.g()[2] - plan.g()[4])).abs() < 1e-6);
}

#[test]
fn the_values_agree_with_their_definitions() {
    let mut random = Random(9);
    let (n, m, eps) = (11, 14, 0.07);
    let cost = random.matrix(n, m);
    let scale = 3.0;
    let times = |v: Vec<f64>| v.iter().map(|v| scale * v).collect::<Vec<_>>();
    let (a, b) = (times(random.masses(n)), times(random.masses(m)));
    let problem = Transport::new(cost.clone(), &a[..], &b[..]).unwrap();
    let plan = solve(&problem, eps, 1e-13);
    let p = plan.to_dense();
    let (mut linear, mut entropy, mut relative) = (0.0, 0.0, 0.0);
    for i in 0..n {
        for j in 0..m {
            let p = p[(i, j)];
            linear += cost[i][j] * p;
            entropy -= p * p.ln();
            relative += p * (scale * p / (a[i] * b[j])).ln();
        }
    }
    assert!((plan.transport_cost() - linear).abs() < 1e-12);
    assert!((plan.entropy() - entropy).abs() < 1e-12);
    assert!((plan.value() - (linear - eps * (entropy + scale))).abs() < 1e-12);
    assert!((plan.value_relative() - (linear + eps * relative)).abs() < 1e-12);
    let sparse = plan.to_sparse(0.01).unwrap();
    assert!(sparse.compute_nnz() < n * m);
    let mut row = vec![0.0; m];
    for i in 0..n {
        plan.row(i, &mut row).unwrap();
        let kept: f64 = sparse.val_of_row(i).iter().sum();
        assert!(kept <= a[i] && kept >= 0.98 * a[i]);
        for j in 0..m {
            assert_eq!(row[j].to_bits(), p[(i, j)].to_bits());
        }
    }
    assert!(plan.row(n, &mut row).is_err() && plan.row(0, &mut row[1..]).is_err());
}

/// Plain sweeps of the unbalanced problem, in logarithms.
fn relaxed_by_sweeps(
    cost: &[Vec<f64>],
    a: &[f64],
    b: &[f64],
    eps: f64,
    rho: (f64, f64),
) -> (Vec<f64>, Vec<f64>, u64) {
    let (n, m) = (a.len(), b.len());
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
    let log_sum = |t: &mut dyn Iterator<Item = f64>| {
        let t: Vec<f64> = t.collect();
        let largest = t.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + t.iter().map(|t| (t - largest).exp()).sum::<f64>().ln()
    };
    for sweep in 1..100_000 {
        let before = g.clone();
        for i in 0..n {
            let lse = log_sum(&mut (0..m).map(|j| (g[j] - cost[i][j]) / eps));
            f[i] = rho.0 / (rho.0 + eps) * eps * (a[i].ln() - lse);
        }
        for j in 0..m {
            let lse = log_sum(&mut (0..n).map(|i| (f[i] - cost[i][j]) / eps));
            g[j] = rho.1 / (rho.1 + eps) * eps * (b[j].ln() - lse);
        }
        if g.iter().zip(&before).all(|(p, q)| (p - q).abs() < 1e-14) {
            return (f, g, sweep);
        }
    }
    panic!("no fixed point");
}

#[test]
fn unbalanced_problems() {
    let mut random = Random(10);
    for (n, m) in [(40, 30), (30, 40)] {
        let cost = random.matrix(n, m);
        let a: Vec<f64> = random.masses(n).iter().map(|v| 1.3 * v).collect();
        let b = random.masses(m);
        for (eps, rho) in [(1e-2, (1.0, 1.0)), (5e-3, (0.1, 0.3))] {
            let (f, g, sweeps) = relaxed_by_sweeps(&cost, &a, &b, eps, rho);
            let problem = Transport::unbalanced(cost.clone(), &a[..], &b[..], rho).unwrap();
            let plan = solve(&problem, eps, 1e-12);
            let report = plan.report();
            assert!(
                report.sweeps + report.hessians < sweeps / 5,
                "{report:?} {sweeps}"
            );
            for (found, exact) in plan.f().iter().zip(&f).chain(plan.g().iter().zip(&g)) {
                assert!((found - exact).abs() < 1e-9, "{found} {exact}");
            }
            let dense = plan.to_dense();
            let side = |mass: &[f64], x: &[f64], rho: f64| {
                let terms = mass.iter().zip(x);
                terms
                    .map(|(a, f)| rho * a * (1.0 - (-f / rho).exp()))
                    .sum::<f64>()
            };
            let total: f64 = (0..m).map(|j| dense.col(j).iter().sum::<f64>()).sum();
            let dual = side(&a, &f, rho.0) + side(&b, &g, rho.1) - eps * total;
            assert!((plan.value() - dual).abs() < 1e-10);
            assert!(plan.certificate().is_err());
        }
    }
    // Strict marginals are the limit of strong penalties.
    let cost = random.matrix(20, 15);
    let (a, b) = (random.masses(20), random.masses(15));
    let balanced = Transport::new(cost.clone(), &a[..], &b[..]).unwrap();
    let near = Transport::unbalanced(cost.clone(), &a[..], &b[..], (1e6, 1e6)).unwrap();
    let one = Transport::unbalanced(cost, &a[..], &b[..], (1e6, f64::INFINITY)).unwrap();
    let plan = solve(&balanced, 0.02, 1e-12).to_dense();
    assert!(apart(&plan, &solve(&near, 0.02, 1e-12).to_dense()) < 1e-6);
    assert!(apart(&plan, &solve(&one, 0.02, 1e-12).to_dense()) < 1e-6);
}

#[test]
fn partial_transport_takes_the_cheapest_part() {
    // Two of three units, the dear one stays.
    let cost = vec![
        vec![1.0, 9.0, 9.0],
        vec![9.0, 2.0, 9.0],
        vec![9.0, 9.0, 5.0],
    ];
    let ones = [1.0; 3];
    let problem = Transport::partial(cost.clone(), &ones[..], &ones[..], 2.0).unwrap();
    let plan = solve(&problem, 0.02, 1e-12).to_dense();
    for i in 0..3 {
        for j in 0..3 {
            let expected = if i == j && i < 2 { 1.0 } else { 0.0 };
            assert!((plan[(i, j)] - expected).abs() < 1e-9);
        }
    }
    assert_eq!(plan[(3, 3)], 0.0);
    for mass in [0.0, -1.0, 3.1, f64::NAN] {
        assert!(Transport::partial(cost.clone(), &ones[..], &ones[..], mass).is_err());
    }
}

#[test]
fn the_divergence_has_no_bias() {
    let mut random = Random(11);
    let (n, m) = (30, 40);
    let (x, y) = (random.vector(2 * n), random.vector(2 * m));
    let (a, b) = (random.masses(n), random.masses(m));
    let cost = |x: &[f64], y: &[f64]| Cost::points(x, y, 2, Metric::SquaredL2).unwrap();
    for eps in [0.5, 0.02] {
        let of = |a: &[f64], b: &[f64]| {
            let costs = (cost(&x, &y), cost(&x, &x), cost(&y, &y));
            sinkhorn_divergence(costs, a, b, eps, 1e-12).unwrap()
        };
        let s = of(&a, &b);
        assert!(s.converged() && s.value > 1e-4);
        let same = sinkhorn_divergence(
            (cost(&x, &x), cost(&x, &x), cost(&x, &x)),
            &a,
            &a,
            eps,
            1e-12,
        );
        assert!(same.unwrap().value.abs() < 1e-10);
        let h = 1e-5;
        let at = |s: f64| {
            let mut moved = a.clone();
            (moved[3], moved[9]) = (moved[3] + s, moved[9] - s);
            of(&moved, &b).value
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        assert!((difference - (s.source[3] - s.source[9])).abs() < 1e-6);
    }
}

#[test]
fn the_two_kernels_and_auto_agree() {
    for (problem, eps) in [
        (cloud(60, 50, Metric::SquaredL2, 2), 0.02),
        (cloud(50, 60, Metric::L1, 2), 0.1),
        (assignment(40, 3), 0.01),
    ] {
        let newton = solve(&problem, eps, 1e-11);
        let sinkhorn = |kernel| {
            let solver = Sinkhorn::new(eps).marginal_tol(1e-11).kernel(kernel);
            solver.solve(&problem).unwrap().must_converge().unwrap()
        };
        let log = sinkhorn(SinkhornKernel::LogDomain);
        let stored = sinkhorn(SinkhornKernel::Stabilized);
        assert_eq!(log.report().sweeps, stored.report().sweeps);
        assert!(stored.report().passes < log.report().passes);
        let auto = Auto::new(eps).marginal_tol(1e-11).solve(&problem).unwrap();
        for plan in [log, stored, auto] {
            assert!(plan.converged() && plan.marginal_error() <= 1e-11);
            assert!(apart(&plan.to_dense(), &newton.to_dense()) < 1e-10);
        }
    }
}

#[test]
fn scalings_are_absorbed_at_a_small_eps() {
    let problem = cloud(60, 50, Metric::SquaredL2, 2);
    let limited = |kernel| {
        let solver = Sinkhorn::new(1e-3).kernel(kernel).max_iters(300);
        solver.solve(&problem).unwrap()
    };
    let (log, stored) = (
        limited(SinkhornKernel::LogDomain),
        limited(SinkhornKernel::Stabilized),
    );
    assert!(stored.report().passes > 2, "nothing was absorbed");
    assert!(stored.report().passes < 100);
    assert!(apart(&log.to_dense(), &stored.to_dense()) < 1e-10);
}

#[test]
fn a_warm_start_spares_the_ladder() {
    let problem = cloud(200, 200, Metric::SquaredL2, 4);
    let cold = solve(&problem, 1e-3, 1e-10);
    let warm = SinkhornNewton::new(1e-3).marginal_tol(1e-10);
    let warm = warm
        .solve_from(&problem, cold.potentials().to_vec())
        .unwrap();
    assert!(warm.converged() && warm.report().hessians == 0);
    // From the solution at a larger ε.
    let wide = solve(&problem, 2e-3, 1e-10);
    let next = SinkhornNewton::new(1e-3).marginal_tol(1e-10);
    let next = next
        .on_iteration(|record| {
            assert_eq!(record.control, 1e-3, "the ladder");
            true
        })
        .solve_from(&problem, wide.potentials().to_vec())
        .unwrap();
    assert!(next.converged() && next.report().passes < cold.report().passes);
    // From nonsense.
    let mut random = Random(12);
    let far: Vec<f64> = random.vector(400).iter().map(|v| 100.0 * v).collect();
    let far = SinkhornNewton::new(1e-3).solve_from(&problem, far).unwrap();
    assert!(far.converged());
    assert!((far.transport_cost() - cold.transport_cost()).abs() < 1e-8);
}

/// The metrics of the last iteration.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<KV>>);

impl<S> Observe<S> for Metrics {
    fn observe_iter(&mut self, _: &S, kv: &KV) -> Result<(), argmin::core::Error> {
        *self.0.lock().unwrap() = kv.clone();
        Ok(())
    }
}

#[test]
fn runs_under_argmin() {
    let problem = cloud(50, 40, Metric::SquaredL2, 5);
    let solver = || SinkhornNewton::new(2e-3);
    let metrics = Metrics::default();
    let result = Executor::new(problem.clone(), solver().metrics(true))
        .configure(|state| state.param(problem.origin()))
        .add_observer(metrics.clone(), ObserverMode::Always)
        .ctrlc(false)
        .run()
        .unwrap();
    assert!(result.status().is_converged());
    let plan = solver().solve(&problem).unwrap();
    assert_eq!(result.state.get_best_param().unwrap(), plan.potentials());
    assert_eq!(result.state.get_param().unwrap(), plan.potentials());
    assert_eq!(result.solver.report(), plan.report());
    assert_eq!(result.state.get_best_cost(), result.state.get_cost());
    assert!((result.state.get_cost() + plan.value()).abs() < 1e-10);
    let metrics = metrics.0.lock().unwrap();
    let sweeps = metrics.get("sweeps").unwrap().get_uint().unwrap();
    let passes = metrics.get("passes").unwrap().get_uint().unwrap();
    let error = metrics.get("marginal_error").unwrap().get_float().unwrap();
    assert_eq!(
        (sweeps, passes),
        (plan.report().sweeps, plan.report().passes)
    );
    assert_eq!(error, plan.report().marginal_error);
    // Transport has no functions that argmin could count.
    assert!(result.problem.counts.values().all(|count| *count == 0));
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let problems = [
        cloud(700, 400, Metric::SquaredL2, 6),
        assignment(300, 6),
        pixels(20, Metric::L1),
    ];
    for problem in problems {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let plan = SinkhornNewton::new(2e-3).solve(&problem).unwrap();
                let sinkhorn = Sinkhorn::new(0.05).max_iters(50).solve(&problem).unwrap();
                let bounds = plan.certificate().unwrap();
                let mut bits: Vec<u64> = Vec::new();
                for v in plan.potentials().iter().chain(sinkhorn.potentials()) {
                    bits.push(v.to_bits());
                }
                bits.extend([bounds.lower.to_bits(), bounds.upper.to_bits()]);
                (bits, plan.report().clone(), plan.marginal_error().to_bits())
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}

fn small(cost: [[f64; 2]; 2], a: [f64; 2], b: [f64; 2]) -> Result<Transport, Error> {
    Transport::new(cost, a, b)
}

#[test]
fn a_small_eps_does_not_underflow() {
    let half = [0.5, 0.5];
    let problem = small([[0.0, 1.0], [1.0, 0.0]], half, half).unwrap();
    let plan = solve(&problem, 1e-3, 1e-12);
    let p = plan.to_dense();
    assert_eq!((p[(0, 1)], p[(1, 0)]), (0.0, 0.0));
    assert!((p[(0, 0)] - 0.5).abs() < 1e-12 && (p[(1, 1)] - 0.5).abs() < 1e-12);
    assert!(plan.transport_cost().abs() < 1e-15);
    let value = plan.transport_cost() - 1e-3 * plan.entropy();
    assert!((value + 6.931_471_805_599_453e-4).abs() < 1e-15);
    assert!(plan.potentials().iter().all(|v| v.is_finite()));
}

#[test]
fn masses_too_light_for_single_precision() {
    let n = 60;
    let mut random = Random(21);
    let (x, y) = (random.vector(2 * n), random.vector(2 * n));
    let mut a = vec![1.0 / (n - 2) as f64; n];
    let mut b = a.clone();
    (a[3], a[7], b[5], b[7]) = (1e-60, 1e-200, 1e-60, 1e-200);
    let cost = Cost::points(&x, &y, 2, Metric::L1).unwrap();
    let problem = Transport::new(cost, a.clone(), b).unwrap();
    let plan = solve(&problem, 1e-3, 1e-10);
    assert!(plan.potentials().iter().all(|v| v.is_finite()));
    assert!(plan.report().hessians <= 60, "{:?}", plan.report());
    // Rows are closed exactly, however light.
    let p = plan.to_dense();
    for (i, a) in a.iter().enumerate() {
        let sum: f64 = (0..n).map(|j| p[(i, j)]).sum();
        assert!((sum / a - 1.0).abs() < 1e-8, "{i}: {sum:e}");
    }
}

#[test]
fn places_without_mass_are_left_out() {
    let cost = vec![vec![0.0, 1.0], vec![2.0, 3.0], vec![1.0, 0.0]];
    let problem = Transport::new(cost, [0.5, 0.5, 0.0], [0.0, 1.0]).unwrap();
    let plan = solve(&problem, 0.1, 1e-12);
    let p = plan.to_dense();
    let expected = [[0.0, 0.5], [0.0, 0.5], [0.0, 0.0]];
    assert!(apart(&p, &Mat::from_fn(3, 2, |i, j| expected[i][j])) < 1e-12);
    assert!((plan.transport_cost() - 2.0).abs() < 1e-12);
    let cost = Mat::from_fn(3, 3, |i, j| i.abs_diff(j) as f64);
    let problem = Transport::new(cost, [0.5, 0.5, 0.0], [0.25, 0.0, 0.75]).unwrap();
    let plan = solve(&problem, 0.1, 1e-12);
    let p = plan.to_dense();
    for (i, j, value) in [
        (0, 0, 0.249_999_998_969),
        (0, 2, 0.250_000_001_031),
        (1, 0, 1.030_576_8e-9),
        (1, 2, 0.499_999_998_969),
    ] {
        assert!((p[(i, j)] - value).abs() < 1e-12);
    }
    assert!((plan.transport_cost() - 1.000_000_002_061_153_6).abs() < 1e-12);
    assert!(plan.potentials().iter().all(|v| v.is_finite()));
}

#[test]
fn constant_costs_give_the_independent_plan() {
    let one = Transport::new(vec![vec![0.0]], [1.0], [1.0]).unwrap();
    let plan = solve(&one, 0.01, 1e-12);
    assert!((plan.to_dense()[(0, 0)] - 1.0).abs() < 1e-14);
    assert_eq!(plan.transport_cost(), 0.0);
    let constant = small([[3.0, 3.0], [3.0, 3.0]], [0.2, 0.8], [0.5, 0.5]).unwrap();
    let plan = solve(&constant, 0.01, 1e-12);
    let expected = [[0.1, 0.1], [0.4, 0.4]];
    assert!(apart(&plan.to_dense(), &Mat::from_fn(2, 2, |i, j| expected[i][j])) < 1e-14);
    assert!((plan.transport_cost() - 3.0).abs() < 1e-13);
    assert!((plan.entropy() - 1.193_549_604_098_133_2).abs() < 1e-13);
}

#[test]
fn a_rectangular_problem_and_its_transpose() {
    let cost = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]];
    let (a, b) = ([0.4, 0.6], [0.2, 0.3, 0.5]);
    let expected = [
        [0.197_822_620_84, 0.187_389_110_667, 0.014_788_268_492_7],
        [0.002_177_379_159_82, 0.112_610_889_333, 0.485_211_731_507],
    ];
    let expected = Mat::from_fn(2, 3, |i, j| expected[i][j]);
    let plan = solve(&Transport::new(cost, a, b).unwrap(), 0.5, 1e-13);
    assert!(apart(&plan.to_dense(), &expected) < 1e-12);
    assert!((plan.transport_cost() - 0.333_931_295_305_011_23).abs() < 1e-12);
    assert!((plan.entropy() - 1.306_819_742_833_917_2).abs() < 1e-12);
    let primal = plan.transport_cost() - 0.5 * (plan.entropy() + 1.0);
    let gap = primal - plan.value();
    assert!((-1e-12..=1e-9).contains(&gap));
    let transposed = Mat::from_fn(3, 2, |i, j| cost[j][i]);
    let other = solve(&Transport::new(transposed, b, a).unwrap(), 0.5, 1e-13);
    assert!(apart(&other.to_dense().transpose().to_owned(), &plan.to_dense()) < 1e-12);
}

#[test]
fn newton_steps_end_no_worse_than_sweeps() {
    let n = 20;
    let a: Vec<f64> = (1..=n).map(|i| i as f64 / 210.0).collect();
    let cost = Mat::from_fn(n, n, |i, j| ((i as f64 - j as f64) / 20.0).powi(2));
    let problem = Transport::new(cost, a, uniform(n)).unwrap();
    for (eps, cost, objective) in [
        (0.1, 0.067_896_441_671_073_56, -0.480_179_172_045_993_4),
        (0.01, 0.034_786_365_072_942_98, -0.011_000_212_072_378_87),
        (0.001, 0.030_719_175_618_930_76, 0.027_161_760_859_808_82),
    ] {
        let plan = solve(&problem, eps, 1e-12);
        assert!((plan.transport_cost() - cost).abs() < 1e-11);
        let found = plan.transport_cost() - eps * plan.entropy();
        assert!((found - objective).abs() < 1e-11);
    }
}

#[test]
fn forbidden_pairs() {
    let inf = f64::INFINITY;
    let half = [0.5, 0.5];
    let plan = solve(
        &small([[0.0, inf], [inf, 0.0]], half, half).unwrap(),
        0.1,
        1e-12,
    );
    let p = plan.to_dense();
    assert_eq!((p[(0, 1)], p[(1, 0)]), (0.0, 0.0));
    assert!((p[(0, 0)] - 0.5).abs() < 1e-14 && plan.transport_cost() == 0.0);
    let refused = small([[inf, inf], [0.0, 0.0]], half, half).unwrap_err();
    assert!(
        refused.to_string().contains("place 0 of the source"),
        "{refused}"
    );
    let refused = small([[inf, 0.0], [inf, 0.0]], half, half).unwrap_err();
    assert!(
        refused.to_string().contains("place 0 of the target"),
        "{refused}"
    );
    // Every place has a partner, but no plan has these marginals.
    let cost = [[0.0, inf], [0.0, 1.0]];
    let plan = SinkhornNewton::new(0.05)
        .solve(&small(cost, [0.8, 0.2], half).unwrap())
        .unwrap();
    assert!(!plan.converged());
    assert_eq!(plan.status().name(), "Infeasible");
    let sinkhorn = Sinkhorn::new(0.05).max_iters(2000);
    let plan = sinkhorn.solve(&small(cost, [0.8, 0.2], half).unwrap());
    assert!(!plan.unwrap().converged());
    // A larger one with a plan.
    let mut random = Random(13);
    let n = 30;
    let mut cost = random.matrix(n, n);
    for (i, row) in cost.iter_mut().enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            if i.abs_diff(j) > 4 {
                *c = inf;
            }
        }
    }
    let plan = solve(
        &Transport::new(cost, uniform(n), uniform(n)).unwrap(),
        1e-2,
        1e-12,
    );
    assert_eq!(plan.to_dense()[(0, 9)], 0.0);
    assert!(plan.certificate().unwrap().lower > 0.0);
}

#[test]
fn what_is_refused() {
    let (one, half) = ([[0.0, 1.0], [1.0, 0.0]], [0.5, 0.5]);
    let text = |result: Result<Transport, Error>| result.unwrap_err().to_string();
    assert!(text(small(one, [1.2, -0.2], half)).contains("mass 1 of the source is -0.2"));
    assert!(text(small(one, half, [f64::NAN, 1.0])).contains("mass 0 of the target is NaN"));
    let nan = text(small([[0.0, f64::NAN], [1.0, 0.0]], half, half));
    assert!(nan.contains("cost (0, 1) is NaN"), "{nan}");
    let low = text(small([[0.0, 1.0], [f64::NEG_INFINITY, 0.0]], half, half));
    assert!(low.contains("cost (1, 0) is -inf"), "{low}");
    assert!(matches!(
        Transport::new(one, vec![1.0; 3], half),
        Err(Error::WrongLength {
            expected: 2,
            found: 3,
            ..
        })
    ));
    assert!(matches!(
        small(one, [0.5, 0.6], half),
        Err(Error::MassMismatch { .. })
    ));
    assert!(text(small(one, [0.0, 0.0], [0.0, 0.0])).contains("there must be some mass"));
    let empty = Transport::new(Mat::<f64>::zeros(0, 0), vec![], vec![]);
    assert!(text(empty).contains("there must be some mass"));
    let problem = small(one, half, half).unwrap();
    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-16] {
        assert!(SinkhornNewton::new(eps).solve(&problem).is_err(), "{eps}");
        assert!(Sinkhorn::new(eps).solve(&problem).is_err(), "{eps}");
        assert!(Auto::new(eps).solve(&problem).is_err(), "{eps}");
    }
    for tol in [0.0, -1.0, f64::NAN, 2.0] {
        assert!(
            SinkhornNewton::new(0.1)
                .marginal_tol(tol)
                .solve(&problem)
                .is_err()
        );
    }
    assert!(
        SinkhornNewton::new(0.1)
            .step_tol(1e-3)
            .solve(&problem)
            .is_err()
    );
    let newton = SinkhornNewton::new(0.1);
    assert!(newton.clone().solve_from(&problem, vec![0.0; 3]).is_err());
    assert!(
        newton
            .clone()
            .solve_from(&problem, vec![f64::NAN; 4])
            .is_err()
    );
    assert!(newton.solve_to_gap(&problem, 0.0).is_err());
    let ragged = vec![vec![1.0, 2.0], vec![1.0]];
    assert!(Transport::new(ragged, half, half).is_err());
    assert!(Transport::unbalanced(one, half, half, (0.0, 1.0)).is_err());
    assert!(Cost::points(&[1.0, 2.0, 3.0], &[1.0, 2.0], 2, Metric::L1).is_err());
    let negative = Cost::matrix(&one).unwrap().scaled(-1.0);
    assert!(Transport::new(negative, half, half).is_err());
}

#[test]
fn random_instances_converge_or_say_that_they_did_not() {
    let mut random = Random(14);
    let mut flagged = Vec::new();
    for k in 0..200 {
        let (n, m) = (
            2 + (random.bits() % 299) as usize,
            2 + (random.bits() % 299) as usize,
        );
        let eps = 10f64.powf(-5.0 * random.uniform());
        let (x, y) = (random.vector(2 * n), random.vector(2 * m));
        let cost = match k % 5 {
            0 => Cost::matrix(&random.matrix(n, m)).unwrap(),
            1 => Cost::points(&x, &y, 2, Metric::SquaredL2).unwrap(),
            2 => Cost::points(&x, &y, 2, Metric::L1).unwrap(),
            3 => Cost::points(&x, &y, 2, Metric::Cosine).unwrap(),
            _ => Cost::from_fn(n, m, |i, j| (i.abs_diff(j) as f64) / 300.0),
        };
        let (a, b) = match k / 5 % 3 {
            0 => (uniform(n), uniform(m)),
            1 => (random.masses(n), random.masses(m)),
            // From 1 down to 10⁻⁸, some zero.
            _ => {
                let mut rough = |n| {
                    let powers = random.vector(n).into_iter().map(|v: f64| v.powi(6));
                    unit(powers.map(|v| if v < 1e-8 { 0.0 } else { v }).collect())
                };
                (rough(n), rough(m))
            }
        };
        let problem = Transport::new(cost, &a[..], &b[..]).unwrap();
        let plan = SinkhornNewton::new(eps)
            .marginal_tol(1e-10)
            .solve(&problem)
            .unwrap();
        let error = marginal_error(&plan.to_dense(), &a, &b);
        if plan.converged() {
            let allowed = 1e-10_f64.max(16.0 * f64::EPSILON * (1.0 + 2.0 / eps));
            assert!(error <= 2.0 * allowed, "{k}: {error}");
        } else {
            flagged.push((k, n, m, eps, plan.status(), error));
        }
        let bounds = plan.certificate().unwrap();
        assert!(bounds.lower <= bounds.upper * (1.0 + 1e-12) + 1e-15, "{k}");
    }
    assert!(flagged.is_empty(), "{flagged:?}");
}

#[test]
fn unbalanced_plans_of_single_places_are_known() {
    // The derivative in p vanishes: c + ε log p + ρ_a log(p/a) + ρ_b log(p/b) = 0.
    for (c, a, b, rho, eps) in [
        (0.7_f64, 2.0_f64, 0.5_f64, (1.0_f64, 0.3_f64), 0.05_f64),
        (0.0, 0.2, 3.0, (0.1, 2.0), 1e-3),
        (2.5, 1.0, 1.0, (0.5, 0.5), 1.0),
    ] {
        let sum = eps + rho.0 + rho.1;
        let p = ((rho.0 * a.ln() + rho.1 * b.ln() - c) / sum).exp();
        let kl = |q: f64| p * (p / q).ln() - p + q;
        let value = c * p + eps * p * (p.ln() - 1.0) + rho.0 * kl(a) + rho.1 * kl(b);
        let problem = Transport::unbalanced(vec![vec![c]], [a], [b], rho).unwrap();
        let plan = solve(&problem, eps, 1e-13);
        assert!((plan.to_dense()[(0, 0)] / p - 1.0).abs() < 1e-11);
        assert!((plan.value() - value).abs() < 1e-12);
        // Two such places that know nothing of each other, one side strict.
        let inf = f64::INFINITY;
        let strict = (inf, rho.1);
        let cost = vec![vec![c, inf], vec![inf, 2.0 * c]];
        let problem = Transport::unbalanced(cost, [a, 0.3], [b, 0.4], strict).unwrap();
        let plan = solve(&problem, eps, 1e-13).to_dense();
        assert!((plan[(0, 0)] / a - 1.0).abs() < 1e-11 && (plan[(1, 1)] / 0.3 - 1.0).abs() < 1e-11);
        assert_eq!((plan[(0, 1)], plan[(1, 0)]), (0.0, 0.0));
    }
}

/// The least cost of `count` pairs of different rows and columns, by trying all.
fn cheapest_pairs(cost: &[Vec<f64>], row: usize, taken: u32, count: usize) -> f64 {
    if count == 0 {
        return 0.0;
    }
    if cost.len() - row < count {
        return f64::INFINITY;
    }
    let free = (0..cost[row].len()).filter(|j| taken >> j & 1 == 0);
    let with =
        free.map(|j| cost[row][j] + cheapest_pairs(cost, row + 1, taken | 1 << j, count - 1));
    with.fold(cheapest_pairs(cost, row + 1, taken, count), f64::min)
}

#[test]
fn partial_transport_tends_to_the_cheapest_pairs() {
    let (n, m) = (6, 5);
    for seed in 0..20 {
        let cost = Random(seed).matrix(n, m);
        for count in 1..=4 {
            let optimum = cheapest_pairs(&cost, 0, 0, count);
            let (a, b, mass) = (vec![1.0; n], vec![1.0; m], count as f64);
            let problem = Transport::partial(cost.clone(), a, b, mass).unwrap();
            let eps = 1e-4;
            let plan = solve(&problem, eps, 1e-10);
            // The bias is at most ε times the range of the entropy of plans of this mass.
            let total = (n + m) as f64 - mass;
            let slack = eps * total * ((n + 1) as f64 * (m + 1) as f64).ln();
            let found = plan.transport_cost();
            assert!(
                (-1e-8..=slack).contains(&(found - optimum)),
                "{seed} {count}: {found} {optimum}"
            );
            let dense = plan.to_dense();
            let inner: f64 = (0..m)
                .flat_map(|j| (0..n).map(move |i| (i, j)))
                .map(|at| dense[at])
                .sum();
            assert!((inner - mass).abs() < 1e-8 && dense[(n, m)] == 0.0);
            assert!(plan.certificate().unwrap().lower <= optimum + 1e-12);
        }
    }
}

#[test]
fn divergences_of_two_points_are_known() {
    // P = ½ (q, 1 − q; 1 − q, q), where q²/(1 − q)² = exp(Δ/ε) with Δ = C₁₂ + C₂₁ − C₁₁ − C₂₂.
    let squares = |x: [f64; 2], y: [f64; 2]| x.map(|x| y.map(|y: f64| (x - y) * (x - y)));
    let value = |c: [[f64; 2]; 2], eps: f64| {
        let q = 1.0 / (1.0 + ((c[0][0] + c[1][1] - c[0][1] - c[1][0]) / (2.0 * eps)).exp());
        let log = |v: f64| if v > 0.0 { v * (2.0 * v).ln() } else { 0.0 };
        let linear = q * (c[0][0] + c[1][1]) + (1.0 - q) * (c[0][1] + c[1][0]);
        0.5 * linear + eps * (log(q) + log(1.0 - q))
    };
    let half = [0.5, 0.5];
    for (x, y) in [([0.0, 1.0], [0.3, 1.7]), ([-0.2, 0.4], [0.1, 0.2])] {
        for eps in [2.0, 0.3, 0.02] {
            let costs = (squares(x, y), squares(x, x), squares(y, y));
            let known = value(costs.0, eps) - 0.5 * (value(costs.1, eps) + value(costs.2, eps));
            let found = sinkhorn_divergence(costs, &half, &half, eps, 1e-13).unwrap();
            assert!(found.converged());
            assert!(
                (found.value - known).abs() < 1e-12,
                "{} {known}",
                found.value
            );
        }
    }
    // Of single points nothing but the cost is left.
    let one = |c: f64| vec![vec![c]];
    let found = sinkhorn_divergence((one(0.8), one(0.0), one(0.0)), &[2.0], &[2.0], 0.1, 1e-12);
    assert!((found.unwrap().value - 1.6).abs() < 1e-12);
}

#[test]
fn callbacks_see_every_iteration_and_may_interrupt() {
    let problem = cloud(40, 50, Metric::SquaredL2, 7);
    for eps in [0.2, 5e-3] {
        let mut records = Vec::new();
        let solver = Auto::new(eps).marginal_tol(1e-10);
        let watched = solver.solve_with(&problem, |record| {
            records.push(*record);
            true
        });
        let (watched, plain) = (watched.unwrap(), solver.solve(&problem).unwrap());
        assert_eq!(watched.potentials(), plain.potentials());
        assert_eq!(records.len() as u64, plain.report().iterations + 1);
        let last = records.last().unwrap();
        assert_eq!(last.sweeps, plain.report().sweeps);
        assert!(last.marginal_error <= 1e-10);
        let stopped = solver
            .solve_with(&problem, |record| record.iteration < 2)
            .unwrap();
        assert_eq!(stopped.status(), Status::Stopped(Stopped::Interrupted));
        assert_eq!(stopped.report().iterations, 2);
    }
    let watched = SinkhornNewton::new(5e-3)
        .on_iteration(|_| true)
        .solve(&problem);
    let plain = SinkhornNewton::new(5e-3).solve(&problem).unwrap();
    assert_eq!(watched.unwrap().potentials(), plain.potentials());
    let watched = Sinkhorn::new(0.1).on_iteration(|_| true).solve(&problem);
    let plain = Sinkhorn::new(0.1).solve(&problem).unwrap();
    assert_eq!(watched.unwrap().potentials(), plain.potentials());
}
