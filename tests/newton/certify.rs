//! Certificates: kinds of points, balls around known minimizers, and what is claimed of them.

use argmin::core::{CostFunction, Error as HostError, Executor, Gradient, Hessian, State};
use faer::sparse::{SparseColMat, Triplet};
use raphson::certificate::Doubt;
use raphson::oracle::{Explicit, Products};
use raphson::stochastic::{Purpose, Stream};
use raphson::{
    Certificate, Certifier, DampedNewton, Error, HessianProduct, PointKind, Run, TrustRegionNewton,
    problem,
};

type Rows = Vec<Vec<f64>>;
/// φ, φ', φ''.
type Term = fn(f64) -> (f64, f64, f64);
type Scalar = fn(f64) -> f64;

/// A function of x − c with its minimizer at c, and a Lipschitz constant of its Hessian near x.
struct Known {
    center: Vec<f64>,
    /// φ, φ', φ'' of each term at a_iᵀ(x − c), if any.
    rows: Rows,
    term: Term,
    /// Quadratic part ½ dᵀAd.
    matrix: Rows,
    /// The bound of |φ'''| for |t| up to the argument.
    third: Scalar,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

impl Known {
    fn offset(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.center).map(|(x, c)| x - c).collect()
    }
    fn lipschitz(&self, x: &[f64], reach: f64) -> f64 {
        let far = distance(x, &self.center) + reach;
        let terms = self
            .rows
            .iter()
            .map(|a| norm(a).powi(3) * (self.third)(norm(a) * far));
        terms.sum::<f64>() * (1.0 + 1e-12)
    }
}

impl CostFunction for Known {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        let d = self.offset(x);
        let terms: f64 = self.rows.iter().map(|a| (self.term)(dot(a, &d)).0).sum();
        let quadratic: f64 = self
            .matrix
            .iter()
            .zip(&d)
            .map(|(r, d_i)| dot(r, &d) * d_i)
            .sum();
        Ok(terms + 0.5 * quadratic)
    }
}
impl Gradient for Known {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        let d = self.offset(x);
        let mut g: Vec<f64> = self.matrix.iter().map(|r| dot(r, &d)).collect();
        for a in &self.rows {
            let slope = (self.term)(dot(a, &d)).1;
            g.iter_mut().zip(a).for_each(|(g, a)| *g += slope * a);
        }
        Ok(g)
    }
}
impl Hessian for Known {
    type Param = Vec<f64>;
    type Hessian = Rows;
    fn hessian(&self, x: &Vec<f64>) -> Result<Rows, HostError> {
        let d = self.offset(x);
        let mut h = self.matrix.clone();
        for a in &self.rows {
            let curvature = (self.term)(dot(a, &d)).2;
            for (row, a_i) in h.iter_mut().zip(a) {
                for (h, a_j) in row.iter_mut().zip(a) {
                    *h += curvature * a_i * a_j;
                }
            }
        }
        Ok(h)
    }
}
impl HessianProduct for Known {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        let h = self.hessian(x)?;
        out.iter_mut()
            .zip(&h)
            .for_each(|(out, row)| *out = dot(row, v));
        Ok(())
    }
}

fn log_cosh(t: f64) -> (f64, f64, f64) {
    let th = t.tanh();
    (t.abs() + (-2.0 * t.abs()).exp().ln_1p(), th, 1.0 - th * th)
}

/// Both labels of a logistic observation: log(1 + eᵗ) + log(1 + e⁻ᵗ).
fn logistic(t: f64) -> (f64, f64, f64) {
    let s = |t: f64| 1.0 / (1.0 + (-t).exp());
    (
        t.abs() + 2.0 * (-t.abs()).exp().ln_1p(),
        s(t) - s(-t),
        2.0 * s(t) * s(-t),
    )
}

fn quartic(t: f64) -> (f64, f64, f64) {
    (0.25 * t.powi(4), t.powi(3), 3.0 * t * t)
}

/// A random problem of the family; all have a positive definite Hessian at c.
fn random(family: usize, stream: &mut Stream) -> Known {
    let n = 1 + stream.below(8);
    let mut normals = |n: usize| (0..n).map(|_| stream.normal()).collect::<Vec<_>>();
    let b: Rows = (0..n).map(|_| normals(n)).collect();
    let ridge = 10f64.powf(-2.0 * normals(1)[0].abs().min(2.0));
    let matrix = (0..n)
        .map(|i| {
            (0..n)
                .map(|j| match family {
                    0 | 3 => dot(&b[i], &b[j]) + if i == j { ridge } else { 0.0 },
                    _ if i == j => ridge,
                    _ => 0.0,
                })
                .collect()
        })
        .collect();
    let rows = match family {
        0 => Vec::new(),
        3 => (0..n)
            .map(|i| (0..n).map(|j| f64::from(i == j)).collect())
            .collect(),
        _ => (0..2 * n).map(|_| normals(n)).collect(),
    };
    let (term, third): (Term, Scalar) = match family {
        2 => (logistic, |_| 0.19246),
        3 => (quartic, |t| 6.0 * t),
        _ => (log_cosh, |_| 0.7699),
    };
    Known {
        center: normals(n),
        rows,
        term,
        matrix,
        third,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const FAMILIES: [&str; 4] = ["quadratic", "log-cosh", "logistic", "quartic"];

#[test]
fn balls_contain_the_minimizer() {
    let mut stream = Stream::new(11, Purpose::Probes);
    println!(
        "| family | from | trials | given L: balls | median r/d | estimated L: balls | median r/d | missed | median estimate/L |"
    );
    let (mut trials, mut balls) = (0, 0);
    for (family, name) in FAMILIES.iter().enumerate() {
        for (low, high) in [(1, 4), (5, 8), (9, 12)] {
            let (mut given, mut estimated, mut constants) = (vec![], vec![], vec![]);
            let (mut found, mut missed, mut count) = ([0, 0], 0, 0);
            for size in low..=high {
                for _ in 0..25 {
                    let problem = random(family, &mut stream);
                    let scale = 10f64.powi(-size);
                    let x: Vec<f64> = problem
                        .center
                        .iter()
                        .map(|c| c + scale * stream.normal())
                        .collect();
                    let d = distance(&x, &problem.center);
                    let reach = 10.0 * scale;
                    let l = problem.lipschitz(&x, reach);
                    count += 1;
                    let options = Certifier::new().lipschitz_within(l, reach);
                    let c = options.at::<Explicit, _>(&problem, &x).unwrap();
                    if let Some(ball) = c.ball {
                        assert!(ball.radius >= d, "{name} {d:e}: {c}");
                        assert!(c.proven && c.kind == PointKind::Minimum);
                        found[0] += 1;
                        given.push(ball.radius / d);
                    }
                    let c = Certifier::new().at::<Explicit, _>(&problem, &x).unwrap();
                    assert!(!c.proven);
                    if let Some(ball) = c.ball {
                        missed += usize::from(ball.radius < d);
                        found[1] += 1;
                        estimated.push(ball.radius / d);
                        if l > 0.0 {
                            constants.push(c.lipschitz.unwrap().value / l);
                        }
                    }
                }
            }
            trials += count;
            balls += found[0];
            let medians = [median(&mut given), median(&mut estimated)];
            println!(
                "| {name} | 1e-{low}..1e-{high} | {count} | {} | {:.3} | {} | {:.3} | {missed} | {:.3} |",
                found[0],
                medians[0],
                found[1],
                medians[1],
                median(&mut constants)
            );
            // Far away h may exceed 1/2, and at 1e-12 rounding widens some balls beyond the reach.
            let least = [50, 95, 95][low as usize / 4];
            assert!(found[0] >= least, "{name}: {} of {count}", found[0]);
            assert!(
                medians[0] <= if low < 9 { 1.2 } else { 20.0 },
                "{name} {medians:?}"
            );
            assert_eq!(missed, 0);
        }
    }
    println!("{balls} balls in {trials} trials");
    assert!(trials >= 1000);
}

#[test]
fn balls_at_the_ends_of_runs() {
    let mut stream = Stream::new(12, Purpose::Probes);
    for (family, name) in FAMILIES.iter().enumerate() {
        let (mut ratios, mut largest) = (vec![], 0.0f64);
        for _ in 0..40 {
            let problem = random(family, &mut stream);
            let start: Vec<f64> = problem.center.iter().map(|c| c + stream.normal()).collect();
            let run = DampedNewton::new().minimize(&problem, start).unwrap();
            assert!(run.converged());
            let l = problem.lipschitz(&run.x, 1e-3);
            let options = Certifier::new().lipschitz_within(l, 1e-3);
            let c = run.certify_with(&options, &problem).unwrap();
            let d = distance(&run.x, &problem.center);
            let ball = c.ball.unwrap();
            assert!(c.proven && c.kind == PointKind::Minimum && c.index == Some(0));
            assert!(ball.radius >= d, "{name} {d:e}: {c}");
            let excess = run.f - problem.cost(&problem.center).unwrap();
            assert!(ball.gap.unwrap() + 1e-14 * run.f.abs() >= excess);
            largest = largest.max(ball.radius);
            if d > 1e-14 {
                ratios.push(ball.radius / d);
            }
            let c = run.certify(&problem).unwrap();
            assert!(!c.proven && c.kind == PointKind::Minimum && c.ball.unwrap().radius >= d);
        }
        println!(
            "{name}: 40 ends of runs, largest radius {largest:.2e}, {} with d > 1e-14, median r/d there {:.3}",
            ratios.len(),
            median(&mut ratios)
        );
    }
}

#[allow(clippy::type_complexity)] // Three closures have no shorter name.
fn two<F: Fn(f64, f64) -> (f64, [f64; 2], [f64; 3]) + Copy>(
    f: F,
) -> problem::FromFn<impl Fn(&[f64]) -> f64, impl Fn(&[f64]) -> Vec<f64>, impl Fn(&[f64]) -> Rows> {
    problem::from_fn(
        move |x: &[f64]| f(x[0], x[1]).0,
        move |x: &[f64]| f(x[0], x[1]).1.to_vec(),
        move |x: &[f64]| {
            let [a, b, c] = f(x[0], x[1]).2;
            vec![vec![a, b], vec![b, c]]
        },
    )
}

fn rosenbrock(x: f64, y: f64) -> (f64, [f64; 2], [f64; 3]) {
    let r = y - x * x;
    (
        100.0 * r * r + (1.0 - x) * (1.0 - x),
        [-400.0 * x * r - 2.0 * (1.0 - x), 200.0 * r],
        [1200.0 * x * x - 400.0 * y + 2.0, -400.0 * x, 200.0],
    )
}

#[test]
fn rosenbrock_with_a_constant_on_the_ball() {
    let problem = two(rosenbrock);
    // ‖D³f‖ ≤ 2400 |x| + 1200 · 2/(3√3).
    let l = |x: &[f64], reach: f64| 2400.0 * (x[0].abs() + reach) + 462.0;
    let run = TrustRegionNewton::new()
        .minimize(&problem, vec![-1.2, 1.0])
        .unwrap();
    let mut points = vec![(run.x.clone(), 1e-3)];
    let mut stream = Stream::new(13, Purpose::Probes);
    for size in 3..=12 {
        for _ in 0..20 {
            let scale = 10f64.powi(-size);
            let x = vec![1.0 + scale * stream.normal(), 1.0 + scale * stream.normal()];
            points.push((x, 10.0 * scale));
        }
    }
    let (mut found, mut ratios) = (0, vec![]);
    for (x, reach) in &points {
        let options = Certifier::new().lipschitz_within(l(x, *reach), *reach);
        let c = options.at::<Explicit, _>(&problem, x).unwrap();
        let d = distance(x, &[1.0, 1.0]);
        if let Some(ball) = c.ball {
            assert!(
                ball.radius >= d && c.proven && c.kind == PointKind::Minimum,
                "{c}"
            );
            found += 1;
            if d > 0.0 {
                ratios.push(ball.radius / d);
            }
        } else {
            assert!(matches!(
                c.kind,
                PointKind::Undecided(Doubt::Gradient | Doubt::Reach)
            ));
        }
        let c = Certifier::new().at::<Explicit, _>(&problem, x).unwrap();
        assert!(c.ball.is_none_or(|ball| ball.radius >= d), "{d:e}: {c}");
    }
    println!(
        "Rosenbrock: {found} balls of {}, median r/d {:.3}",
        points.len(),
        median(&mut ratios)
    );
    assert!(found >= 160, "{found}");
    assert!(
        run.certify_with(
            &Certifier::new().lipschitz_within(l(&run.x, 1e-3), 1e-3),
            &problem
        )
        .unwrap()
        .proven
    );
}

fn at<F: Fn(f64, f64) -> (f64, [f64; 2], [f64; 3]) + Copy>(
    f: F,
    x: [f64; 2],
    options: &Certifier,
) -> Certificate {
    options.at::<Explicit, _>(&two(f), &x.to_vec()).unwrap()
}

#[test]
fn kinds_of_points() {
    // cos x + cos y, L = √2 at most: maxima, saddles and minima at multiples of π.
    let waves = |x: f64, y: f64| {
        (
            x.cos() + y.cos(),
            [-x.sin(), -y.sin()],
            [-x.cos(), 0.0, -y.cos()],
        )
    };
    let pi = std::f64::consts::PI;
    let given = Certifier::new().lipschitz(1.0);
    for (x, kind, index) in [
        ([pi, pi], PointKind::Minimum, 0),
        ([0.1, -0.1], PointKind::Maximum, 2),
        ([0.1, pi], PointKind::Saddle, 1),
    ] {
        for (options, proven) in [(&given, true), (&Certifier::new(), false)] {
            let c = at(waves, x, options);
            assert_eq!(
                (c.kind, c.index, c.proven),
                (kind, Some(index), proven),
                "{c}"
            );
            let exact: Vec<f64> = x.iter().map(|x| (x / pi).round() * pi).collect();
            assert!(distance(&x, &exact) <= c.ball.unwrap().radius);
            assert_eq!(c.no_minimizer_within.is_some(), index > 0);
            assert_eq!(c.ball.unwrap().gap.is_some(), index == 0);
        }
    }
    // Far from every stationary point.
    let c = at(waves, [1.2, 1.5], &given);
    assert_eq!(c.kind, PointKind::Undecided(Doubt::Gradient), "{c}");
    assert!(!c.proven && c.ball.is_none() && c.h.unwrap() >= 0.5);
    let c = at(waves, [0.1, 0.1], &Certifier::new().samples(0));
    assert_eq!(c.kind, PointKind::Undecided(Doubt::Constant));
    let c = at(
        waves,
        [0.1, 0.1],
        &Certifier::new().lipschitz_within(1.0, 0.01),
    );
    assert_eq!(c.kind, PointKind::Undecided(Doubt::Reach));
    // A flat direction, a linear function, and a semidefinite maximum.
    let given = Certifier::new().lipschitz(0.0);
    for options in [&given, &Certifier::new()] {
        for x in [[0.0, 3.0], [1e-9, 3.0], [5.0, 3.0]] {
            let c = at(|x, _| (x * x, [2.0 * x, 0.0], [2.0, 0.0, 0.0]), x, options);
            assert_eq!(
                (c.kind, c.proven, c.ball),
                (PointKind::Degenerate, false, None),
                "{c}"
            );
        }
        let c = at(|x, y| (x + y, [1.0, 1.0], [0.0; 3]), [1.0, 2.0], options);
        assert_eq!((c.kind, c.index), (PointKind::Degenerate, None));
        let c = at(
            |x, _| (-x * x, [-2.0 * x, 0.0], [-2.0, 0.0, 0.0]),
            [0.0, 3.0],
            options,
        );
        assert_eq!(c.kind, PointKind::Degenerate, "{c}");
    }
    // A quadratic has no other stationary point; its ball is Newton's step.
    let c = at(|x, y| (x * y, [y, x], [0.0, 1.0, 0.0]), [3.0, 4.0], &given);
    let ball = c.ball.unwrap();
    assert!(c.proven && c.kind == PointKind::Saddle && ball.uniqueness.is_infinite());
    assert!((ball.radius - 5.0).abs() <= 1e-10);
}

#[test]
fn degenerate_minima_are_never_minima() {
    for power in [3, 4, 6] {
        let p = f64::from(power);
        let f = problem::from_fn(
            move |x: &[f64]| x[0].abs().powf(p),
            move |x: &[f64]| vec![p * x[0].abs().powf(p - 1.0) * x[0].signum()],
            move |x: &[f64]| vec![vec![p * (p - 1.0) * x[0].abs().powf(p - 2.0)]],
        );
        let run = DampedNewton::new().minimize(&f, vec![1.0]).unwrap();
        assert!(run.converged());
        let c = run.certify(&f).unwrap();
        assert_eq!(
            (c.kind, c.proven),
            (PointKind::Undecided(Doubt::Gradient), false),
            "{c}"
        );
        for x in [1e-3, 1.0, -7.0] {
            let c = Certifier::new().at::<Explicit, _>(&f, &vec![x]).unwrap();
            assert!(c.ball.is_none(), "{c}");
        }
        let c = Certifier::new().at::<Explicit, _>(&f, &vec![0.0]).unwrap();
        assert_eq!(c.kind, PointKind::Degenerate);
    }
}

#[test]
fn a_singular_least_squares_problem() {
    // Column 2 is the sum of columns 0 and 1.
    let mut stream = Stream::new(3, Purpose::Probes);
    let a: Rows = (0..12)
        .map(|_| {
            let (u, v) = (stream.normal(), stream.normal());
            vec![u, v, u + v]
        })
        .collect();
    let matrix = (0..3)
        .map(|i| {
            (0..3)
                .map(|j| a.iter().map(|r| r[i] * r[j]).sum())
                .collect()
        })
        .collect();
    let problem = Known {
        center: vec![1.0, 2.0, 3.0],
        rows: vec![],
        term: quartic,
        matrix,
        third: |_| 0.0,
    };
    for options in [Certifier::new(), Certifier::new().lipschitz(0.0)] {
        for x in [vec![1.0, 2.0, 3.0], vec![1.1, 2.0, 3.0]] {
            let c = options.at::<Explicit, _>(&problem, &x).unwrap();
            assert_eq!(
                (c.kind, c.index, c.ball),
                (PointKind::Degenerate, None, None),
                "{c}"
            );
            assert!(c.least.lower <= 0.0 && c.least.upper >= 0.0);
            let c = options.at::<Products, _>(&problem, &x).unwrap();
            assert_eq!((c.kind, c.proven), (PointKind::Degenerate, false), "{c}");
        }
    }
}

#[test]
fn products_agree_with_the_matrix() {
    let mut stream = Stream::new(14, Purpose::Probes);
    for family in 0..4 {
        for _ in 0..20 {
            let problem = random(family, &mut stream);
            let x: Vec<f64> = problem
                .center
                .iter()
                .map(|c| c + 1e-4 * stream.normal())
                .collect();
            let options = Certifier::new().lipschitz_within(problem.lipschitz(&x, 0.1), 0.1);
            let dense = options.at::<Explicit, _>(&problem, &x).unwrap();
            let products = options.at::<Products, _>(&problem, &x).unwrap();
            assert_eq!((dense.kind, dense.index), (products.kind, products.index));
            assert_eq!(dense.cost.hessians, 1);
            assert!(products.cost.hessians == 0 && products.cost.hessian_products > 0);
            let (a, b) = (dense.ball.unwrap(), products.ball.unwrap());
            assert!(
                (a.radius - b.radius).abs() <= 2e-3 * a.radius,
                "{dense}\n{products}"
            );
            assert!((dense.least.lower - products.least.lower).abs() <= 1e-9 * dense.least.upper);
        }
    }
}

/// ½ xᵀHx with H = Q diag(λ) Qᵀ for a product Q of two reflectors, by products.
struct Spectrum {
    values: Vec<f64>,
    mirrors: [Vec<f64>; 2],
}

impl Spectrum {
    fn reflect(&self, v: &mut [f64], k: usize) {
        let w = &self.mirrors[k];
        let c = 2.0 * dot(w, v) / dot(w, w);
        v.iter_mut().zip(w).for_each(|(v, w)| *v -= c * w);
    }
    fn apply(&self, v: &[f64]) -> Vec<f64> {
        let mut v = v.to_vec();
        self.reflect(&mut v, 0);
        self.reflect(&mut v, 1);
        v.iter_mut().zip(&self.values).for_each(|(v, l)| *v *= l);
        self.reflect(&mut v, 1);
        self.reflect(&mut v, 0);
        v
    }
}
impl CostFunction for Spectrum {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(0.5 * dot(x, &self.apply(x)))
    }
}
impl Gradient for Spectrum {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(self.apply(x))
    }
}
impl HessianProduct for Spectrum {
    type Param = Vec<f64>;
    fn hessian_product(&self, _: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        out.copy_from_slice(&self.apply(v));
        Ok(())
    }
}

#[test]
fn krylov_bounds_hold() {
    let mut stream = Stream::new(15, Purpose::Probes);
    let n = 400;
    let (mut minima, mut widths, mut theorem) = (0, vec![], vec![]);
    for trial in 0..200 {
        let mut values: Vec<f64> = (0..n)
            .map(|i| match trial % 4 {
                0 => 1.0 + stream.uniform(),
                1 => 10f64.powf(-3.0 * stream.uniform()),
                2 => 1.0 + (i as f64 / n as f64).powi(2) + 1e-3 * stream.normal(),
                _ => stream.normal(),
            })
            .collect();
        values.sort_by(f64::total_cmp);
        let mirrors = [0, 1].map(|_| (0..n).map(|_| stream.normal()).collect());
        let x: Vec<f64> = (0..n).map(|_| 1e-3 * stream.normal()).collect();
        let problem = Spectrum { values, mirrors };
        // As many as are tried first, so that none is decided earlier.
        let dimension = 32;
        let options = Certifier::new()
            .lipschitz(0.0)
            .krylov(dimension)
            .seed(trial);
        let c = options.at::<Products, _>(&problem, &x).unwrap();
        let (first, last) = (problem.values[0], problem.values[n - 1]);
        assert!(
            c.least.lower <= first && first <= c.least.upper,
            "{trial}: {c}"
        );
        assert!(c.least.confidence < 1.0 && !c.proven);
        widths.push((first - c.least.lower) / (last - first));
        // The a-priori bound 1.648 √n exp(−√ε (2k − 1)) = p of Kuczyński and Woźniakowski.
        let root = (1.648 * (n as f64).sqrt() / 1e-6).ln() / (2.0 * dimension as f64 - 1.0);
        theorem.push(root * root);
        match c.kind {
            PointKind::Minimum => {
                assert!(first > 0.0 && norm(&x) <= c.ball.unwrap().radius);
                minima += 1;
            }
            PointKind::Saddle => assert!(first < 0.0 && c.no_minimizer_within.is_some()),
            kind => assert!(trial % 4 == 1 || trial % 4 == 3, "{kind}"),
        }
    }
    println!(
        "Krylov: 200 spectra, {minima} minima; (λ_1 − bound)/width: median {:.2e}, by the a-priori theorem {:.2e}",
        median(&mut widths),
        theorem[0]
    );
    assert!(minima >= 90 && widths[199] <= 2.0 * theorem[0]);
}

#[test]
fn confidence_may_fail_as_often_as_it_says() {
    // At confidence 1/2 bounds may miss; at the default none of these does.
    let mut stream = Stream::new(16, Purpose::Probes);
    let (n, trials) = (60, 400);
    let mut missed = 0;
    for trial in 0..trials {
        let mut values = vec![1.0; n];
        (0..n).for_each(|i| values[i] = 1.0 + stream.uniform());
        values[0] = 0.9;
        let mirrors = [0, 1].map(|_| (0..n).map(|_| stream.normal()).collect());
        let problem = Spectrum { values, mirrors };
        let options = Certifier::new().lipschitz(0.0).krylov(4).seed(trial);
        let x = vec![1e-3; n];
        let c = options.at::<Products, _>(&problem, &x).unwrap();
        assert!(c.least.lower <= 0.9);
        let c = options
            .confidence(0.5)
            .at::<Products, _>(&problem, &x)
            .unwrap();
        missed += usize::from(c.least.lower > 0.9);
    }
    println!("confidence 1/2: {missed} of {trials} bounds missed");
    assert!(missed <= trials as usize / 2);
}

fn tridiagonal(n: usize, diagonal: impl Fn(usize) -> f64, off: f64) -> SparseColMat<usize, f64> {
    let mut entries = Vec::new();
    for i in 0..n {
        entries.push(Triplet::new(i, i, diagonal(i)));
        if i > 0 {
            entries.push(Triplet::new(i, i - 1, off));
            entries.push(Triplet::new(i - 1, i, off));
        }
    }
    SparseColMat::try_new_from_triplets(n, n, &entries).unwrap()
}

#[test]
fn ten_thousand_variables_without_a_dense_matrix() {
    let n = 10_000;
    let pi = std::f64::consts::PI;
    // λ_k = 2 − 2 cos(kπ/(n + 1)), the least about 9.9e-8.
    let least = 4.0 * (0.5 * pi / (n as f64 + 1.0)).sin().powi(2);
    for (sign, shift, kind) in [
        (1.0, 0.0, PointKind::Minimum),
        (-1.0, 0.0, PointKind::Maximum),
        (1.0, 1e-3, PointKind::Saddle),
    ] {
        let h = tridiagonal(n, |_| sign * 2.0 - shift, -sign);
        let multiply = |x: &[f64]| -> Vec<f64> {
            (0..n)
                .map(|i| {
                    let before = if i > 0 { x[i - 1] } else { 0.0 };
                    let after = x.get(i + 1).copied().unwrap_or(0.0);
                    sign * ((x[i] - before) + (x[i] - after)) - shift * x[i]
                })
                .collect()
        };
        let f = problem::from_fn(
            |x: &[f64]| 0.5 * dot(x, &multiply(x)),
            multiply,
            |_: &[f64]| h.clone(),
        );
        let x: Vec<f64> = (0..n).map(|i| 1e-6 * (1.0 + i as f64).sin()).collect();
        let c = Certifier::new()
            .lipschitz(0.0)
            .at::<Explicit, _>(&f, &x)
            .unwrap();
        println!("sparse, {} factorizations: {c}", c.cost.factorizations);
        assert_eq!(c.kind, kind, "{c}");
        let exact = match kind {
            PointKind::Maximum => -4.0 * (0.5 * pi * n as f64 / (n as f64 + 1.0)).sin().powi(2),
            _ => least - shift,
        };
        assert!(c.least.lower <= exact + 1e-15 && exact - 1e-15 <= c.least.upper);
        assert!(c.least.upper - c.least.lower <= 1e-8);
        match c.ball {
            Some(ball) => {
                assert!(c.proven && ball.radius >= norm(&x) && ball.radius <= 1.1 * norm(&x))
            }
            None => assert!(kind == PointKind::Saddle && !c.proven),
        }
        assert!(c.cost.factorizations <= 80);
    }
}

#[test]
fn a_tiny_negative_eigenvalue_is_no_minimum() {
    // λ_min = −1e-17 ‖H‖, below the rounding of every factorization.
    for n in [2, 5, 30] {
        for tiny in [-1e-17, 0.0, 1e-17] {
            let h: Rows = (0..n)
                .map(|i| {
                    (0..n)
                        .map(|j| match (i == j, i) {
                            (true, 0) => tiny,
                            (true, _) => 1.0,
                            _ => 0.0,
                        })
                        .collect()
                })
                .collect();
            let f = problem::from_fn(
                |x: &[f64]| 0.5 * h.iter().zip(x).map(|(r, x_i)| dot(r, x) * x_i).sum::<f64>(),
                |x: &[f64]| h.iter().map(|r| dot(r, x)).collect::<Vec<_>>(),
                |_: &[f64]| h.clone(),
            );
            let options = Certifier::new().lipschitz(0.0);
            for options in [options.clone().hessian_error(0.0), options] {
                let c = options.at::<Explicit, _>(&f, &vec![0.0; n]).unwrap();
                assert_eq!((c.kind, c.proven), (PointKind::Degenerate, false), "{c}");
                assert!(c.least.lower <= tiny && tiny <= c.least.upper && c.index.is_none());
            }
            let sparse = tridiagonal(n, |i| if i == 0 { tiny } else { 1.0 }, 0.0);
            let f = problem::from_fn(
                |_: &[f64]| 0.0,
                |x: &[f64]| vec![0.0; x.len()],
                |_: &[f64]| sparse.clone(),
            );
            let c = Certifier::new()
                .at::<Explicit, _>(&f, &vec![0.0; n])
                .unwrap();
            assert!(
                c.kind == PointKind::Degenerate && c.least.lower <= tiny,
                "{c}"
            );
        }
    }
    // Ill-conditioned and yet proven: 1e-9 is far above the rounding.
    let c = at(
        |x, y| {
            (
                0.5 * (x * x + 1e-9 * y * y),
                [x, 1e-9 * y],
                [1.0, 0.0, 1e-9],
            )
        },
        [0.0, 0.0],
        &Certifier::new().lipschitz(0.0),
    );
    assert!(
        c.proven && c.kind == PointKind::Minimum && c.least.lower >= 0.99e-9,
        "{c}"
    );
}

#[test]
fn broken_points_and_options() {
    let nan = two(|_, _| (0.0, [f64::NAN, 0.0], [1.0, 0.0, 1.0]));
    let c = Certifier::new()
        .at::<Explicit, _>(&nan, &vec![0.0; 2])
        .unwrap();
    assert_eq!(c.kind, PointKind::Undecided(Doubt::NonFinite));
    assert!(c.ball.is_none() && !c.proven);
    let inf = two(|_, _| (0.0, [0.0; 2], [1.0, f64::INFINITY, 1.0]));
    let c = Certifier::new()
        .at::<Explicit, _>(&inf, &vec![0.0; 2])
        .unwrap();
    assert_eq!(c.kind, PointKind::Undecided(Doubt::NonFinite));
    // Only x itself is in the domain: no estimate, so no ball.
    let lone = two(|x, y| {
        let h = if x == 0.0 && y == 0.0 { 1.0 } else { f64::NAN };
        (0.0, [0.0; 2], [h, 0.0, h])
    });
    let c = Certifier::new()
        .at::<Explicit, _>(&lone, &vec![0.0; 2])
        .unwrap();
    assert_eq!(c.kind, PointKind::Undecided(Doubt::Constant), "{c}");
    let fine = two(rosenbrock);
    let options = Certifier::new();
    let fails = |options: &Certifier, x: Vec<f64>| options.at::<Explicit, _>(&fine, &x).err();
    assert!(matches!(
        fails(&options, vec![f64::NAN, 1.0]),
        Some(Error::NonFinite { index: 0, .. })
    ));
    assert!(matches!(
        fails(&options, vec![]),
        Some(Error::WrongLength { found: 0, .. })
    ));
    for wrong in [
        options.clone().lipschitz(-1.0),
        options.clone().lipschitz(f64::NAN),
        options.clone().lipschitz_within(1.0, 0.0),
        options.clone().gradient_error(f64::INFINITY),
        options.clone().hessian_error(-1.0),
        options.clone().confidence(1.0),
        options.clone().krylov(0),
    ] {
        let end = fails(&wrong, vec![1.0, 1.0]);
        assert!(
            matches!(end, Some(Error::InvalidParameter { .. })),
            "{end:?}"
        );
    }
    let short = problem::from_fn(
        |_: &[f64]| 0.0,
        |_: &[f64]| vec![0.0; 3],
        |_: &[f64]| vec![vec![1.0]],
    );
    let end = Certifier::new().at::<Explicit, _>(&short, &vec![0.0; 2]);
    assert!(
        matches!(end, Err(Error::WrongLength { found: 3, .. })),
        "{end:?}"
    );
    let shape = problem::from_fn(
        |_: &[f64]| 0.0,
        |_: &[f64]| vec![0.0; 2],
        |_: &[f64]| vec![vec![1.0]],
    );
    let end = Certifier::new().at::<Explicit, _>(&shape, &vec![0.0; 2]);
    assert!(matches!(end, Err(Error::WrongShape { .. })), "{end:?}");
}

#[test]
fn every_run_can_be_certified() {
    let problem = two(rosenbrock);
    let stopped: Run<Vec<f64>> = TrustRegionNewton::new()
        .max_iters(2)
        .minimize(&problem, vec![-1.2, 1.0])
        .unwrap();
    assert!(!stopped.converged());
    let c = stopped.certify(&problem).unwrap();
    assert_eq!(c.kind, PointKind::Undecided(Doubt::Gradient), "{c}");
    assert!(
        c.cost.gradients >= 1 && c.cost.hessians == 9,
        "{:?}",
        c.cost
    );
    let known = random(1, &mut Stream::new(1, Purpose::Probes));
    let start = vec![0.0; known.center.len()];
    let run = DampedNewton::matrix_free()
        .minimize(&known, start.clone())
        .unwrap();
    let c = run.certify(&known).unwrap();
    assert!(
        c.kind == PointKind::Minimum && c.cost.hessian_products > 0,
        "{c}"
    );
    let result = Executor::new(known, DampedNewton::new())
        .configure(|state| state.param(start))
        .run()
        .unwrap();
    let known = result.problem.problem.as_ref().unwrap();
    let best = result.state.get_best_param().unwrap();
    let c = result.solver.certify(known, best).unwrap();
    assert!(
        c.kind == PointKind::Minimum && distance(best, &known.center) <= c.ball.unwrap().radius
    );
}

#[test]
fn the_text_says_what_is_proven() {
    let bowl = |x: f64, y: f64| (x * x + y * y, [2.0 * x, 2.0 * y], [2.0, 0.0, 2.0]);
    let exact = Certifier::new()
        .lipschitz(0.0)
        .gradient_error(0.0)
        .hessian_error(0.0);
    let c = at(bowl, [3.0, 4.0], &exact);
    assert_eq!(
        c.to_string(),
        "minimum, proven. At x the gradient has norm 1.000e1, to an error of 0.0e0 (given); the \
         least eigenvalue of the Hessian lies in [2.000000e0, 2.000000e0], for an error of the \
         Hessian of 0.0e0 (given). Given that 0.000e0 is a Lipschitz constant of the Hessian near \
         x, a strict local minimizer lies within 5.000e0 of x, where no eigenvalue is smaller in \
         magnitude than 2.000e0; there is no other stationary point; f(x) exceeds its value there \
         by at most 2.500e1."
    );
    let c = at(bowl, [3.0, 4.0], &Certifier::new());
    let text = c.to_string();
    assert!(
        text.starts_with("minimum, not proven. ") && text.contains("(rounding model)"),
        "{text}"
    );
    assert!(
        text.contains("If the estimate ") && text.contains(" from 8 neighbours is"),
        "{text}"
    );
    let c = at(rosenbrock, [-1.2, 1.0], &Certifier::new().lipschitz(1e4));
    let text = c.to_string();
    assert!(
        text.starts_with("undecided: the gradient is too large for the theorem"),
        "{text}"
    );
    assert!(text.contains("shows no stationary point"), "{text}");
    let c = at(|_, _| (0.0, [f64::NAN; 2], [0.0; 3]), [0.0; 2], &exact);
    assert_eq!(
        c.to_string(),
        "undecided: the gradient or the Hessian is not finite."
    );
}
