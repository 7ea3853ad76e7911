//! The linear program: known optima, degenerate problems, forbidden pairs, plans that are vertices.

use crate::common::{Random, assignment, cloud, exact, pixels, uniform, unit};
use raphson::transport::{Certificate, Cost, Metric, Plan};
use raphson::{Error, Failed, SinkhornNewton, Status, Transport};

fn solve(problem: &Transport, relative: f64) -> (Plan, Certificate) {
    SinkhornNewton::new(1e-9)
        .solve_to_gap(problem, relative)
        .unwrap()
}

/// Solves to a gap of 10⁻⁹, and checks what must hold of any certificate with a vertex.
fn optimum(problem: &Transport) -> f64 {
    let (plan, bounds) = solve(problem, 1e-9);
    assert!(plan.converged(), "{}", plan.status());
    assert!(bounds.lower <= bounds.upper);
    check_plan(problem, &bounds);
    bounds.upper
}

fn check_plan(problem: &Transport, bounds: &Certificate) {
    let (n, m) = problem.shape();
    let sparse = bounds.to_sparse().unwrap();
    assert!(sparse.compute_nnz() < n + m);
    let (mut r, mut c) = (vec![0.0; n], vec![0.0; m]);
    let dense = bounds.to_dense();
    for entry in sparse.triplet_iter() {
        assert!(*entry.val > 0.0 && dense[(entry.row, entry.col)] == *entry.val);
        r[entry.row] += entry.val;
        c[entry.col] += entry.val;
    }
    let mass: f64 = problem.source().iter().sum();
    let sides = r.iter().zip(problem.source());
    for (sum, mass_of_place) in sides.chain(c.iter().zip(problem.target())) {
        let rounding = 1e-15 * mass_of_place + 1e-16 * mass;
        assert!((sum - mass_of_place).abs() <= 4.0 * rounding, "{sum}");
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(n - 1);
    let with_last = |p: &Vec<usize>| {
        let mut all = Vec::new();
        for k in 0..n {
            let mut p = p.clone();
            p.insert(k, n - 1);
            all.push(p);
        }
        all
    };
    shorter.iter().flat_map(with_last).collect()
}

#[test]
fn assignments_beside_all_permutations() {
    let mut random = Random(21);
    for n in 1..=7 {
        let orders = permutations(n);
        for round in 0..20 {
            let mut cost = random.matrix(n, n);
            for c in cost.iter_mut().flatten() {
                // Costs with ties, and forbidden pairs.
                match round % 3 {
                    1 => *c = (4.0 * *c).floor(),
                    2 if *c < 0.3 => *c = f64::INFINITY,
                    _ => {}
                }
            }
            let total = |order: &Vec<usize>| {
                let costs = order.iter().enumerate().map(|(i, &j)| cost[i][j]);
                costs.sum::<f64>() / n as f64
            };
            let best = orders.iter().map(total).fold(f64::INFINITY, f64::min);
            let Ok(problem) = Transport::new(cost.clone(), uniform(n), uniform(n)) else {
                assert_eq!(best, f64::INFINITY);
                continue;
            };
            if best < f64::INFINITY {
                let found = optimum(&problem);
                assert!((found - best).abs() <= 1e-14 * (1.0 + best), "{n} {round}");
                continue;
            }
            let (plan, bounds) = solve(&problem, 1e-9);
            assert_eq!(plan.status(), Status::Failed(Failed::Infeasible));
            assert_eq!(bounds.upper, f64::INFINITY);
        }
    }
}

#[test]
fn places_on_a_line_are_matched_in_order() {
    let mut random = Random(22);
    for (n, m) in [(1, 5), (40, 40), (90, 30), (30, 90), (400, 250)] {
        let sorted = |mut v: Vec<f64>| {
            v.sort_by(f64::total_cmp);
            v
        };
        let (x, y) = (sorted(random.vector(n)), sorted(random.vector(m)));
        let (a, b) = (random.masses(n), random.masses(m));
        for (metric, power) in [(Metric::SquaredL2, 2), (Metric::L1, 1)] {
            let (mut i, mut j, mut value) = (0, 0, 0.0);
            let (mut left, mut open) = (a[0], b[0]);
            while i < n && j < m {
                let mass = f64::min(left, open);
                value += mass * (x[i] - y[j]).abs().powi(power);
                (left, open) = (left - mass, open - mass);
                if left <= open {
                    i += 1;
                    left = a.get(i).copied().unwrap_or(0.0);
                } else {
                    j += 1;
                    open = b.get(j).copied().unwrap_or(0.0);
                }
            }
            let points = Cost::points(&x, &y, 1, metric).unwrap();
            let (p, q) = (x.clone(), y.clone());
            let function = Cost::from_fn(n, m, move |i, j| (p[i] - q[j]).abs().powi(power));
            let rows: Vec<Vec<f64>> = x
                .iter()
                .map(|x| y.iter().map(|y| (x - y).abs().powi(power)).collect())
                .collect();
            let table = Cost::matrix(&rows).unwrap();
            let found = [points, function, table].map(|cost| {
                let problem = Transport::new(cost, &a[..], &b[..]).unwrap();
                optimum(&problem)
            });
            for found in found {
                assert!((found / value - 1.0).abs() <= 1e-12, "{n} {m}: {found}");
            }
            // The same costs to the bit give the same bits, whether stored or not.
            assert_eq!(found[1], found[2]);
        }
    }
}

#[test]
fn whole_masses_and_costs_beside_augmenting_paths() {
    let mut random = Random(23);
    for round in 0..60 {
        let (n, m) = (
            1 + (random.bits() % 25) as usize,
            1 + (random.bits() % 25) as usize,
        );
        let mut cost = random.matrix(n, m);
        if round % 2 == 0 {
            let costs = cost.iter_mut().flatten();
            costs.for_each(|c| *c = (5.0 * *c).floor());
        }
        // Some masses are zero, and the sums are not one.
        let total = 3 * (n + m) as u64;
        let mut split = |places: usize| {
            let mut masses = vec![0; places];
            for _ in 0..total {
                masses[(random.bits() % places as u64) as usize] += 1;
            }
            masses
        };
        let (supply, demand) = (split(n), split(m));
        let best = exact(&cost, &supply, &demand);
        let real = |v: &[u64]| v.iter().map(|v| *v as f64).collect::<Vec<f64>>();
        let problem = Transport::new(cost, real(&supply), real(&demand)).unwrap();
        let found = optimum(&problem);
        let slack = 1e-13 * (best + total as f64);
        assert!((found - best).abs() <= slack, "{round}: {found} {best}");
    }
}

/// Unit masses on a grid of `side`² points and on the grid moved by (3, 1).
fn moved_grid(side: usize, metric: Metric) -> Transport {
    let point = |k: usize| ((k / side) as f64, (k % side) as f64);
    let n = side * side;
    let x = (0..n).flat_map(|k| [point(k).0, point(k).1]);
    // In another order.
    let y = (0..n)
        .map(|k| point(k * 17 % n))
        .flat_map(|(r, c)| [r + 3.0, c + 1.0]);
    let (x, y): (Vec<f64>, Vec<f64>) = (x.collect(), y.collect());
    let cost = Cost::points(&x, &y, 2, metric).unwrap();
    Transport::new(cost, vec![1.0; n], vec![1.0; n]).unwrap()
}

#[test]
fn degenerate_problems_end_at_the_translation() {
    for side in [3, 10, 15, 24] {
        let n = (side * side) as f64;
        // A translation is optimal for every convex cost of the difference.
        for (metric, each) in [(Metric::SquaredL2, 10.0), (Metric::L1, 4.0)] {
            let found = optimum(&moved_grid(side, metric));
            assert!((found / (n * each) - 1.0).abs() <= 1e-13, "{side}: {found}");
        }
    }
    // All costs equal, and an optimum of zero.
    let flat = Transport::new(vec![vec![2.5; 40]; 30], vec![4.0; 30], vec![3.0; 40]).unwrap();
    assert_eq!(optimum(&flat), 300.0);
    let x = Random(24).vector(2 * 200);
    let twins = Cost::points(&x, &x, 2, Metric::SquaredL2).unwrap();
    let twins = Transport::new(twins, uniform(200), uniform(200)).unwrap();
    assert_eq!(optimum(&twins), 0.0);
}

#[test]
fn the_gap_asked_for_is_the_gap_or_less() {
    for problem in [
        assignment(300, 25),
        cloud(350, 200, Metric::SquaredL2, 25),
        cloud(200, 350, Metric::L1, 25),
        pixels(16, Metric::L1),
        pixels(16, Metric::SquaredL2),
    ] {
        let best = optimum(&problem);
        for relative in [1.0, 0.1, 1e-2, 1e-3, 1e-6, 1e-12] {
            let (plan, bounds) = solve(&problem, relative);
            let gap = bounds.gap() / bounds.upper;
            assert!(plan.converged() && gap <= relative, "{relative}: {gap}");
            let slack = 1e-12 * best;
            assert!(bounds.lower <= best + slack && best <= bounds.upper + slack);
            check_plan(&problem, &bounds);
        }
    }
}

#[test]
fn costs_may_be_negative_and_masses_rough() {
    let mut random = Random(26);
    let (n, m) = (120, 90);
    let cost = random.matrix(n, m);
    // From 1 down to 10⁻²⁴.
    let mut rough = |n| unit(random.vector(n).iter().map(|v: &f64| v.powi(24)).collect());
    let (a, b) = (rough(n), rough(m));
    let value = |shift: f64| {
        let cost: Vec<Vec<f64>> = cost
            .iter()
            .map(|row| row.iter().map(|c| c + shift).collect())
            .collect();
        optimum(&Transport::new(cost, &a[..], &b[..]).unwrap())
    };
    let plain = value(0.0);
    for shift in [-0.5, -plain, -100.0, 1e6] {
        let found = value(shift);
        let slack = 1e-12 * (1.0 + shift.abs());
        assert!((found - plain - shift).abs() <= slack, "{shift}: {found}");
    }
}

#[test]
fn a_band_of_allowed_pairs() {
    let mut random = Random(27);
    let n = 150;
    let mut cost = random.matrix(n, n);
    for (i, row) in cost.iter_mut().enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            if i.abs_diff(j) > 4 {
                *c = f64::INFINITY;
            }
        }
    }
    let problem = Transport::new(cost.clone(), uniform(n), uniform(n)).unwrap();
    let (_, bounds) = solve(&problem, 1e-9);
    check_plan(&problem, &bounds);
    assert!(bounds.gap() <= 1e-9 * bounds.upper);
    let entries = bounds.to_sparse().unwrap();
    let value = entries
        .triplet_iter()
        .map(|e| cost[e.row][e.col] * e.val)
        .sum::<f64>();
    assert!((value / bounds.upper - 1.0).abs() <= 1e-14);
    // One plan only, to which no entropic one comes near.
    let mut one = random.matrix(n, n);
    for (i, row) in one.iter_mut().enumerate() {
        row[i + 1..].fill(f64::INFINITY);
    }
    let diagonal = (0..n).map(|i| one[i][i]).sum::<f64>() / n as f64;
    let problem = Transport::new(one, uniform(n), uniform(n)).unwrap();
    // However coarse the gap, forbidden pairs are avoided.
    let (_, bounds) = solve(&problem, 1e3);
    check_plan(&problem, &bounds);
    let (_, bounds) = solve(&problem, 1e-9);
    assert!((bounds.upper / diagonal - 1.0).abs() <= 1e-13 && bounds.gap() <= 1e-9 * diagonal);
    // Two halves that do not meet, of unequal mass: a thousandth must cross.
    for (i, row) in cost.iter_mut().enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            if (i < n / 2) != (j < n / 2) {
                *c = f64::INFINITY;
            }
        }
    }
    let halves = |first: f64| -> Vec<f64> {
        let half = n as f64 / 2.0;
        let mass = |i| if i < n / 2 { first } else { 1.0 - first };
        (0..n).map(|i| mass(i) / half).collect()
    };
    let problem = Transport::new(cost.clone(), halves(0.5), halves(0.501)).unwrap();
    let (plan, bounds) = solve(&problem, 1e-3);
    assert_eq!(plan.status(), Status::Failed(Failed::Infeasible));
    assert_eq!(bounds.upper, f64::INFINITY);
    // Of equal mass they are solved apart from each other.
    let problem = Transport::new(cost, halves(0.3), halves(0.3)).unwrap();
    let (plan, bounds) = solve(&problem, 1e-9);
    assert!(plan.converged() && bounds.gap() <= 1e-9 * bounds.upper);
    check_plan(&problem, &bounds);
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    for problem in [
        cloud(700, 400, Metric::SquaredL2, 28),
        assignment(600, 28),
        pixels(20, Metric::L1),
    ] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let (plan, bounds) = solve(&problem, 1e-9);
                let entries = bounds.to_sparse().unwrap();
                let mut bits: Vec<u64> = entries.val().iter().map(|v| v.to_bits()).collect();
                bits.extend([bounds.lower.to_bits(), bounds.upper.to_bits()]);
                bits.extend(plan.potentials().iter().map(|v| v.to_bits()));
                (bits, entries.symbolic().col_idx().to_vec())
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}

#[test]
fn limits_and_misuse() {
    let problem = cloud(100, 80, Metric::L1, 29);
    // A run that its limit ends has the bounds of its entropic plan.
    let solver = SinkhornNewton::new(1e-9).max_iters(0);
    let (plan, bounds) = solver.solve_to_gap(&problem, 1e-6).unwrap();
    assert!(!plan.converged() && bounds.lower <= optimum(&problem));
    assert!(optimum(&problem) <= bounds.upper && bounds.to_sparse().unwrap().compute_nnz() > 180);
    // A large ε is kept; the bounds meet all the same.
    let (plan, bounds) = SinkhornNewton::new(0.5)
        .solve_to_gap(&problem, 1e-9)
        .unwrap();
    assert!(plan.eps() == 0.5 && bounds.gap() <= 1e-9 * bounds.upper);
    let (a, b) = (uniform(3), uniform(2));
    let relaxed =
        Transport::unbalanced(vec![vec![1.0, 2.0]; 3], &a[..], &b[..], (1.0, 1.0)).unwrap();
    assert!(matches!(
        SinkhornNewton::new(0.1).solve_to_gap(&relaxed, 1e-3),
        Err(Error::NotOffered { .. })
    ));
    for relative in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let solver = SinkhornNewton::new(0.1);
        assert!(solver.solve_to_gap(&problem, relative).is_err());
    }
}
