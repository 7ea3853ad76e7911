//! Finite sums for the tests, with a log of the batches.
#![allow(dead_code)]

use argmin::core::Error;
use raphson::stochastic::{Purpose, Stream};
use raphson::{Batch, FiniteSum};
use std::cell::RefCell;

/// What a term of a generalized linear model is at its margin: value and two derivatives.
pub type Link = fn(z: f64, y: f64) -> [f64; 3];

pub fn squared(z: f64, y: f64) -> [f64; 3] {
    [0.5 * (z - y) * (z - y), z - y, 1.0]
}

/// y = ±1.
pub fn logistic(z: f64, y: f64) -> [f64; 3] {
    let m = y * z;
    let loss = if m > 0.0 {
        (-m).exp().ln_1p()
    } else {
        m.exp().ln_1p() - m
    };
    let p = 1.0 / (1.0 + m.exp());
    [loss, -y * p, p * (1.0 - p)]
}

/// Mean of link(xᵢᵀw, yᵢ) plus l2/2 ‖w‖².
pub struct Linear {
    pub rows: Vec<Vec<f64>>,
    pub y: Vec<f64>,
    pub link: Link,
    pub l2: f64,
    /// Points and batches at which a gradient was asked for.
    pub log: RefCell<Vec<(Vec<f64>, Vec<usize>)>>,
}

impl Linear {
    pub fn new(rows: Vec<Vec<f64>>, y: Vec<f64>, link: Link, l2: f64) -> Self {
        Linear {
            rows,
            y,
            link,
            l2,
            log: RefCell::default(),
        }
    }

    /// The paper's regression: rows N(0, .9I + .1·11ᵀ), parameters N(1, I), unit noise.
    pub fn paper(seed: u64, n: usize, d: usize) -> Self {
        let mut stream = Stream::new(seed, Purpose::Escape);
        let truth: Vec<f64> = (0..d).map(|_| 1.0 + stream.normal()).collect();
        let mut rows = Vec::new();
        let mut y = Vec::new();
        for _ in 0..n {
            let common = 0.1f64.sqrt() * stream.normal();
            let row: Vec<f64> = (0..d)
                .map(|_| 0.9f64.sqrt() * stream.normal() + common)
                .collect();
            y.push(dot(&row, &truth) + stream.normal());
            rows.push(row);
        }
        Linear::new(rows, y, squared, 0.0)
    }

    pub fn classes(seed: u64, n: usize, d: usize) -> Self {
        let mut stream = Stream::new(seed, Purpose::Escape);
        let truth: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
        let mut rows = Vec::new();
        let mut y = Vec::new();
        for _ in 0..n {
            let row: Vec<f64> = (0..d).map(|_| stream.normal()).collect();
            let p = 1.0 / (1.0 + (-dot(&row, &truth)).exp());
            y.push(if stream.uniform() < p { 1.0 } else { -1.0 });
            rows.push(row);
        }
        Linear::new(rows, y, logistic, 1.0 / n as f64)
    }

    fn over(&self, batch: Batch<'_>, mut visit: impl FnMut(&[f64], f64)) -> f64 {
        match batch {
            Batch::All => {
                (self.rows.iter().zip(&self.y)).for_each(|(row, &y)| visit(row, y));
                self.rows.len() as f64
            }
            Batch::Terms(terms) => {
                (terms.iter()).for_each(|&i| visit(&self.rows[i], self.y[i]));
                terms.len() as f64
            }
        }
    }

    /// The batches in the order of their gradients.
    pub fn batches(&self) -> Vec<Vec<usize>> {
        self.log.borrow().iter().map(|(_, s)| s.clone()).collect()
    }

    /// The points in the order of their batch gradients.
    pub fn points(&self) -> Vec<Vec<f64>> {
        self.log.borrow().iter().map(|(x, _)| x.clone()).collect()
    }
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

impl FiniteSum for Linear {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = faer::Mat<f64>;

    fn terms(&self) -> usize {
        self.rows.len()
    }
    fn value(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<f64, Error> {
        let mut f = 0.0;
        let b = self.over(batch, |row, y| f += (self.link)(dot(row, w), y)[0]);
        Ok(f / b + 0.5 * self.l2 * dot(w, w))
    }
    fn value_gradient(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<(f64, Vec<f64>), Error> {
        if let Batch::Terms(terms) = batch {
            self.log.borrow_mut().push((w.clone(), terms.to_vec()));
        }
        let (mut f, mut g) = (0.0, vec![0.0; w.len()]);
        let b = self.over(batch, |row, y| {
            let [value, slope, _] = (self.link)(dot(row, w), y);
            f += value;
            for (g, x) in g.iter_mut().zip(row) {
                *g += slope * x;
            }
        });
        for (g, w) in g.iter_mut().zip(w) {
            *g = *g / b + self.l2 * w;
        }
        Ok((f / b + 0.5 * self.l2 * dot(w, w), g))
    }
    fn hessian(&self, w: &Vec<f64>, batch: Batch<'_>) -> Result<faer::Mat<f64>, Error> {
        let d = w.len();
        let mut h = faer::Mat::zeros(d, d);
        let b = self.over(batch, |row, y| {
            let weight = (self.link)(dot(row, w), y)[2];
            for j in 0..d {
                for i in 0..d {
                    h[(i, j)] += weight * row[i] * row[j];
                }
            }
        });
        for j in 0..d {
            for i in 0..d {
                h[(i, j)] = h[(i, j)] / b + if i == j { self.l2 } else { 0.0 };
            }
        }
        Ok(h)
    }
}

/// The mean of ½qᵢ(x − cᵢ)² in one variable, without allocations.
pub struct Scalars(pub Vec<(f64, f64)>);

impl Scalars {
    fn mean(&self, batch: Batch<'_>, f: impl Fn(f64, f64) -> f64) -> f64 {
        let at = |(q, c): (f64, f64)| f(q, c);
        match batch {
            Batch::All => self.0.iter().copied().map(at).sum::<f64>() / self.0.len() as f64,
            Batch::Terms(s) => s.iter().map(|&i| at(self.0[i])).sum::<f64>() / s.len() as f64,
        }
    }
}

impl FiniteSum for Scalars {
    type Param = f64;
    type Gradient = f64;
    type Hessian = f64;

    fn terms(&self) -> usize {
        self.0.len()
    }
    fn value(&self, x: &f64, batch: Batch<'_>) -> Result<f64, Error> {
        Ok(self.mean(batch, |q, c| 0.5 * q * (x - c).powi(2)))
    }
    fn value_gradient(&self, x: &f64, batch: Batch<'_>) -> Result<(f64, f64), Error> {
        Ok((self.value(x, batch)?, self.mean(batch, |q, c| q * (x - c))))
    }
    fn hessian(&self, _: &f64, batch: Batch<'_>) -> Result<f64, Error> {
        Ok(self.mean(batch, |q, _| q))
    }
}
