//! One problem object under argmin's own solvers and under raphson: one line changes.
//!
//! A Poisson regression on generated counts, written for argmin with `Vec<f64>`
//! parameters and a `Vec<Vec<f64>>` Hessian.

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use rand::{Rng, SeedableRng};
use raphson::{DampedNewton, Outcome};

/// f(w) = mean(exp(aᵢᵀw) − yᵢ aᵢᵀw) + (μ/2)‖w‖².
#[derive(Clone)]
struct Poisson {
    rows: Vec<Vec<f64>>,
    counts: Vec<f64>,
    mu: f64,
}

impl Poisson {
    fn generate(n: usize, d: usize) -> Self {
        let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(7);
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|_| (0..d).map(|_| random.random_range(-1.0..1.0)).collect())
            .collect();
        let counts = rows
            .iter()
            .map(|a| {
                (2.0 * a[0] - a[1] + random.random_range(0.0..1.0))
                    .exp()
                    .round()
            })
            .collect();
        Poisson {
            rows,
            counts,
            mu: 1e-3,
        }
    }

    fn predictor(&self, w: &[f64], i: usize) -> f64 {
        self.rows[i].iter().zip(w).map(|(a, w)| a * w).sum()
    }
}

impl CostFunction for Poisson {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, w: &Vec<f64>) -> Result<f64, Error> {
        let n = self.rows.len();
        let loss: f64 = (0..n)
            .map(|i| {
                let m = self.predictor(w, i);
                m.exp() - self.counts[i] * m
            })
            .sum();
        Ok(loss / n as f64 + 0.5 * self.mu * w.iter().map(|w| w * w).sum::<f64>())
    }
}

impl Gradient for Poisson {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let n = self.rows.len();
        let mut g: Vec<f64> = w.iter().map(|w| self.mu * w).collect();
        for i in 0..n {
            let r = (self.predictor(w, i).exp() - self.counts[i]) / n as f64;
            for (g, a) in g.iter_mut().zip(&self.rows[i]) {
                *g += r * a;
            }
        }
        Ok(g)
    }
}

impl Hessian for Poisson {
    type Param = Vec<f64>;
    type Hessian = Vec<Vec<f64>>;
    fn hessian(&self, w: &Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
        let (n, d) = (self.rows.len(), w.len());
        let mut h = vec![vec![0.0; d]; d];
        for i in 0..n {
            let weight = self.predictor(w, i).exp() / n as f64;
            for (j, row) in h.iter_mut().enumerate() {
                for (h, a) in row.iter_mut().zip(&self.rows[i]) {
                    *h += weight * self.rows[i][j] * a;
                }
            }
        }
        for (j, row) in h.iter_mut().enumerate() {
            row[j] += self.mu;
        }
        Ok(h)
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn show<H>(
    name: &str,
    problem: &Poisson,
    state: &IterState<Vec<f64>, Vec<f64>, (), H, (), f64>,
) -> Result<f64, Error> {
    let best = state
        .get_best_param()
        .ok_or_else(|| Error::msg("no best point"))?;
    let slope = norm(&problem.gradient(best)?);
    let count = |key| state.get_func_counts().get(key).copied().unwrap_or(0);
    println!(
        "{name:<22}{:>6}{:>20.14}{slope:>11.1e}{:>6}{:>6}{:>6}",
        state.get_iter(),
        state.get_best_cost(),
        count("cost_count"),
        count("gradient_count"),
        count("hessian_count"),
    );
    Ok(slope)
}

fn main() -> Result<(), Error> {
    let problem = Poisson::generate(2000, 8);
    let start = vec![0.0; 8];
    println!(
        "{:<22}{:>6}{:>20}{:>11}{:>6}{:>6}{:>6}",
        "solver", "iter", "f", "|g|", "f", "g", "H"
    );

    let solver = NewtonCG::new(MoreThuenteLineSearch::new());
    let newton_cg = Executor::new(problem.clone(), solver)
        .configure(|state| state.param(start.clone()).max_iters(100).counting(true))
        .run()?;
    show("argmin NewtonCG", &problem, newton_cg.state())?;

    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-8)?;
    let lbfgs = Executor::new(problem.clone(), solver)
        .configure(|state| state.param(start.clone()).max_iters(100).counting(true))
        .run()?;
    show("argmin LBFGS", &problem, lbfgs.state())?;

    let solver = DampedNewton::new();
    let damped = Executor::new(problem.clone(), solver)
        .configure(|state| state.param(start.clone()).max_iters(100).counting(true))
        .run()?;
    let slope = show("raphson DampedNewton", &problem, damped.state())?;

    println!("{}", damped.status());
    let scale = norm(&problem.gradient(&start)?);
    assert!(damped.status().is_converged());
    assert!(slope <= 1e-8 * scale);
    Ok(())
}
