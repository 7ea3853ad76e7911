//! Test problems of one type, whatever they are made of, so that each solver is compiled once.
#![allow(dead_code)] // Each test file uses its part.

use argmin::core::{CostFunction, Error, Gradient, Hessian};
use faer::Mat;
use faer::sparse::{SparseColMat, Triplet};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{RankOne, SymMat, SymView};
use raphson::problems::Rosenbrock;
use raphson::{Fused, HessianProduct};
use std::cell::RefCell;
use std::rc::Rc;

/// A Hessian in one of the forms that solvers tell apart.
pub enum Matrix {
    Dense(Mat<f64>),
    Sparse(SparseColMat<usize, f64>),
    RankOne(RankOne),
}

impl SymMat for Matrix {
    fn sym(&self) -> SymView<'_> {
        match self {
            Matrix::Dense(m) => m.sym(),
            Matrix::Sparse(m) => m.sym(),
            Matrix::RankOne(m) => m.sym(),
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

impl From<Mat<f64>> for Matrix {
    fn from(m: Mat<f64>) -> Self {
        Matrix::Dense(m)
    }
}
impl From<SparseColMat<usize, f64>> for Matrix {
    fn from(m: SparseColMat<usize, f64>) -> Self {
        Matrix::Sparse(m)
    }
}
impl From<RankOne> for Matrix {
    fn from(m: RankOne) -> Self {
        Matrix::RankOne(m)
    }
}
impl<const N: usize> From<[[f64; N]; N]> for Matrix {
    fn from(m: [[f64; N]; N]) -> Self {
        Matrix::Dense(Mat::from_fn(N, N, |i, j| m[i][j]))
    }
}

/// What a solver asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Value,
    Gradient,
    Hessian,
    Product,
}

type Function<T> = Rc<dyn Fn(&[f64]) -> T>;

type Weighted<T> = Rc<dyn Fn(&[f64], &[f64]) -> T>;

/// A problem of three functions, which notes every call.
#[derive(Clone)]
pub struct Problem {
    value: Function<f64>,
    gradient: Function<Vec<f64>>,
    hessian: Function<Matrix>,
    calls: Rc<RefCell<Vec<Call>>>,
}

impl Problem {
    pub fn new<M: Into<Matrix>>(
        value: impl Fn(&[f64]) -> f64 + 'static,
        gradient: impl Fn(&[f64]) -> Vec<f64> + 'static,
        hessian: impl Fn(&[f64]) -> M + 'static,
    ) -> Self {
        Problem {
            value: Rc::new(value),
            gradient: Rc::new(gradient),
            hessian: Rc::new(move |x| hessian(x).into()),
            calls: Rc::default(),
        }
    }

    /// The functions of another problem.
    pub fn of<P>(problem: P) -> Self
    where
        P: CostFunction<Param = Vec<f64>, Output = f64>
            + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>
            + Hessian<Param = Vec<f64>, Hessian = Mat<f64>>
            + 'static,
    {
        let (f, h) = (Rc::new(problem), |p: &Rc<P>| p.clone());
        let g = h(&f);
        let p = h(&f);
        Problem::new(
            move |x| f.cost(&x.to_vec()).unwrap(),
            move |x| g.gradient(&x.to_vec()).unwrap(),
            move |x| p.hessian(&x.to_vec()).unwrap(),
        )
    }

    /// With another matrix in the place of the Hessian.
    pub fn with<M: Into<Matrix>>(&self, hessian: impl Fn(&[f64]) -> M + 'static) -> Self {
        Problem {
            hessian: Rc::new(move |x| hessian(x).into()),
            calls: Rc::default(),
            ..self.clone()
        }
    }

    /// With the Hessian stored sparsely, entries up to `width` off the diagonal.
    pub fn banded(&self, width: usize) -> Self {
        let dense = self.hessian.clone();
        Problem {
            hessian: Rc::new(move |x| match dense(x) {
                Matrix::Dense(h) => Matrix::Sparse(banded(&h, width)),
                other => other,
            }),
            calls: Rc::default(),
            ..self.clone()
        }
    }

    /// The value, which is not noted.
    pub fn f(&self, x: &[f64]) -> f64 {
        (self.value)(x)
    }
    /// The gradient, which is not noted.
    pub fn g(&self, x: &[f64]) -> Vec<f64> {
        (self.gradient)(x)
    }
    /// The Hessian, which is not noted.
    pub fn h(&self, x: &[f64]) -> Mat<f64> {
        dense(&(self.hessian)(x), x.len())
    }

    /// The calls so far, which are forgotten.
    pub fn take_calls(&self) -> Vec<Call> {
        self.calls.take()
    }

    fn note(&self, call: Call) {
        self.calls.borrow_mut().push(call);
    }
}

impl CostFunction for Problem {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.note(Call::Value);
        Ok((self.value)(x))
    }
}
impl Gradient for Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.note(Call::Gradient);
        Ok((self.gradient)(x))
    }
}
impl Hessian for Problem {
    type Param = Vec<f64>;
    type Hessian = Matrix;
    fn hessian(&self, x: &Vec<f64>) -> Result<Matrix, Error> {
        self.note(Call::Hessian);
        Ok((self.hessian)(x))
    }
}
impl HessianProduct for Problem {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        self.note(Call::Product);
        let h = (self.hessian)(x);
        raphson::linear::sym_mul(h.sym(), v, out).map_err(|e| Error::msg(e.to_string()))
    }
}
impl Fused for Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = Matrix;
    fn value(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.cost(x)
    }
    fn value_gradient(&self, x: &Vec<f64>) -> Result<(f64, Vec<f64>), Error> {
        Ok((self.cost(x)?, self.gradient(x)?))
    }
    fn hessian(&self, x: &Vec<f64>) -> Result<Matrix, Error> {
        Hessian::hessian(self, x)
    }
}

/// The matrix with all its entries.
pub fn dense(h: &impl SymMat, n: usize) -> Mat<f64> {
    if let SymView::Gram(gram) = h.sym() {
        return gram.to_dense();
    }
    let mut full = Mat::zeros(n, n);
    for j in 0..n {
        let unit: Vec<f64> = (0..n).map(|i| f64::from(i == j)).collect();
        raphson::linear::sym_mul(h.sym(), &unit, full.col_as_slice_mut(j)).unwrap();
    }
    full
}

fn banded(h: &Mat<f64>, width: usize) -> SparseColMat<usize, f64> {
    let n = h.nrows();
    let stored: Vec<_> = (0..n)
        .flat_map(|j| (j.saturating_sub(width)..n.min(j + width + 1)).map(move |i| (i, j)))
        .map(|(i, j)| Triplet::new(i, j, h[(i, j)]))
        .collect();
    SparseColMat::try_new_from_triplets(n, n, &stored).unwrap()
}

/// Rosenbrock's chain with its tridiagonal Hessian, nothing of it dense.
pub fn sparse_rosenbrock(n: usize) -> Problem {
    Problem::of(Rosenbrock::new(n).unwrap()).with(move |x| {
        let mut stored = vec![Triplet::new(n - 1, n - 1, 200.0)];
        for i in 0..n - 1 {
            let below = if i == 0 { 0.0 } else { 200.0 };
            let own = 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0;
            stored.push(Triplet::new(i, i, own + below));
            stored.push(Triplet::new(i + 1, i, -400.0 * x[i]));
            stored.push(Triplet::new(i, i + 1, -400.0 * x[i]));
        }
        SparseColMat::try_new_from_triplets(n, n, &stored).unwrap()
    })
}

/// ¼x⁴ − ½x² + ½y² + ½z²: minima −¼ at (±1, 0, 0), a saddle at 0.
pub fn saddle() -> Problem {
    Problem::new(
        |x| 0.25 * x[0].powi(4) + 0.5 * (x[1] * x[1] + x[2] * x[2] - x[0] * x[0]),
        |x| vec![x[0].powi(3) - x[0], x[1], x[2]],
        |x| {
            [
                [3.0 * x[0] * x[0] - 1.0, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                [0.0, 0.0, 1.0],
            ]
        },
    )
}

/// x − log x on x > 0, NaN elsewhere: minimum 1 at 1.
pub fn barrier() -> Problem {
    Problem::new(
        |x| x[0] - x[0].ln(),
        |x| {
            vec![if x[0] > 0.0 {
                1.0 - 1.0 / x[0]
            } else {
                f64::NAN
            }]
        },
        |x| [[1.0 / (x[0] * x[0])]],
    )
}

/// Which matrix stands for the Hessian of a power of a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approximation {
    Exact,
    /// What is left without the second derivatives of u.
    GaussNewton,
    /// The term of rank one alone.
    RankOne,
    /// The same, stored densely.
    RankOneDense,
}

/// f = ‖u(x)‖ᴾ/P.
#[derive(Clone)]
pub struct NormPower {
    pub dimension: usize,
    pub power: f64,
    pub u: Function<Vec<f64>>,
    pub jacobian: Function<Mat<f64>>,
    /// Σ wᵢ ∇²uᵢ(x) for weights w.
    pub bend: Weighted<Mat<f64>>,
}

impl NormPower {
    /// f = ‖Ax − b‖ᴾ/P.
    pub fn affine(a: Mat<f64>, b: Vec<f64>, power: f64) -> Self {
        let n = a.ncols();
        let matrix = a.clone();
        NormPower {
            dimension: n,
            power,
            u: Rc::new(move |x| {
                let row = |i: usize| (0..n).map(|j| a[(i, j)] * x[j]).sum::<f64>() - b[i];
                (0..a.nrows()).map(row).collect()
            }),
            jacobian: Rc::new(move |_| matrix.clone()),
            bend: Rc::new(move |_, _| Mat::zeros(n, n)),
        }
    }

    /// u₁ = (1 − x₁)/2, uᵢ = xᵢ − 2xᵢ₋₁² + 1.
    pub fn chebyshev(n: usize, power: f64) -> Self {
        NormPower {
            dimension: n,
            power,
            u: Rc::new(|x| {
                let rest = x.windows(2).map(|w| w[1] - 2.0 * w[0] * w[0] + 1.0);
                std::iter::once(0.5 * (1.0 - x[0])).chain(rest).collect()
            }),
            jacobian: Rc::new(move |x| {
                let mut j = Mat::zeros(n, n);
                j[(0, 0)] = -0.5;
                for i in 1..n {
                    j[(i, i)] = 1.0;
                    j[(i, i - 1)] = -4.0 * x[i - 1];
                }
                j
            }),
            bend: Rc::new(move |_, w| {
                let diagonal = |i: usize| if i + 1 < n { -4.0 * w[i + 1] } else { 0.0 };
                Mat::from_fn(n, n, |i, j| if i == j { diagonal(i) } else { 0.0 })
            }),
        }
    }

    /// Half of Rosenbrock's chain: u = (1 − xᵢ, 10(xᵢ₊₁ − xᵢ²)).
    pub fn rosenbrock(n: usize) -> Self {
        NormPower {
            dimension: n,
            power: 2.0,
            u: Rc::new(|x| {
                let near = x[..x.len() - 1].iter().map(|x| 1.0 - x);
                let bent = x.windows(2).map(|w| 10.0 * (w[1] - w[0] * w[0]));
                near.chain(bent).collect()
            }),
            jacobian: Rc::new(move |x| {
                let m = n - 1;
                let mut j = Mat::zeros(2 * m, n);
                for i in 0..m {
                    j[(i, i)] = -1.0;
                    j[(m + i, i)] = -20.0 * x[i];
                    j[(m + i, i + 1)] = 10.0;
                }
                j
            }),
            bend: Rc::new(move |_, w| {
                let diagonal = |i: usize| {
                    if i + 1 < n { -20.0 * w[n - 1 + i] } else { 0.0 }
                };
                Mat::from_fn(n, n, |i, j| if i == j { diagonal(i) } else { 0.0 })
            }),
        }
    }

    pub fn problem(&self, how: Approximation) -> Problem {
        let (f, g, h) = (self.clone(), self.clone(), self.clone());
        Problem::new(
            move |x| length(&(f.u)(x)).powf(f.power) / f.power,
            move |x| {
                let u = (g.u)(x);
                let scale = length(&u).powf(g.power - 2.0);
                g.slope(x, &u).iter().map(|v| scale * v).collect()
            },
            move |x| h.matrix(x, how),
        )
    }

    /// Jᵀu.
    fn slope(&self, x: &[f64], u: &[f64]) -> Vec<f64> {
        let j = (self.jacobian)(x);
        let entry = |c: usize| (0..j.nrows()).map(|r| j[(r, c)] * u[r]).sum();
        (0..j.ncols()).map(entry).collect()
    }

    fn matrix(&self, x: &[f64], how: Approximation) -> Matrix {
        let u = (self.u)(x);
        let (size, p, n) = (length(&u), self.power, self.dimension);
        let v = self.slope(x, &u);
        let weight = if p == 2.0 {
            0.0
        } else {
            (p - 2.0) * size.powf(p - 4.0)
        };
        let outer = |i: usize, j: usize| weight * v[i] * v[j];
        match how {
            Approximation::RankOne => RankOne { weight, vector: v }.into(),
            Approximation::RankOneDense => Mat::from_fn(n, n, outer).into(),
            Approximation::GaussNewton | Approximation::Exact => {
                let jacobian = (self.jacobian)(x);
                let gram = jacobian.transpose() * &jacobian;
                let bend = if how == Approximation::Exact {
                    (self.bend)(x, &u)
                } else {
                    Mat::zeros(n, n)
                };
                let scale = size.powf(p - 2.0);
                Mat::from_fn(n, n, |i, j| {
                    scale * (0.5 * (gram[(i, j)] + gram[(j, i)]) + bend[(i, j)]) + outer(i, j)
                })
                .into()
            }
        }
    }
}

pub fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

pub fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Uniform in [−1, 1].
pub fn uniform(random: &mut Xoshiro256PlusPlus, rows: usize, cols: usize) -> Mat<f64> {
    Mat::from_fn(rows, cols, |_, _| random.random_range(-1.0..1.0))
}

/// Standard normal, by Box and Muller.
pub fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// Slope of log y over log x by least squares.
pub fn log_slope(points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let logs: Vec<_> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| logs.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let above: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    above / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}
