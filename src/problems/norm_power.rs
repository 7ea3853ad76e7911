//! Powers of the norm of a vector of residuals.

use super::power::exponent_in_range;
use super::{Analytic, argmin_traits};
use crate::error::{Error, length};
use faer::Mat;

/// f(x) = ‖u(x)‖ᴾ/P, P ≥ 2, with a choice of the Hessian.
///
/// With J = ∂u and v = Jᵀu the gradient is ‖u‖ᴾ⁻²v, and the Hessian
///
/// ```text
/// ‖u‖ᴾ⁻² JᵀJ + (P−2)‖u‖ᴾ⁻⁴ v vᵀ + ‖u‖ᴾ⁻² Σ uᵢ∇²uᵢ
/// ```
///
/// of which [`gauss_newton`](NormPower::gauss_newton) drops the last term and
/// [`fisher`](NormPower::fisher) keeps only the second, whose factors
/// [`rank_one`](NormPower::rank_one) gives. Without the last term it is positive
/// semidefinite. Where u = 0 all terms with a power of ‖u‖ are taken as zero; the
/// exact Hessian there is JᵀJ if P = 2, else zero.
///
/// Cost of a Hessian: one pass over the rows of J, each squared.
///
/// ```
/// use raphson::DampedNewton;
/// use raphson::problems::NormPower;
/// let chain = NormPower::chebyshev(5, 4.0)?;
/// let run = DampedNewton::new().minimize(&chain, chain.start())?;
/// assert!(run.converged());
/// let (a, v) = chain.rank_one(&run.x)?;
/// assert!(a > 0.0 && v.len() == 5);
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NormPower {
    map: Map,
    exponent: f64,
    curvature: Curvature,
}

/// Which terms of the Hessian are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curvature {
    Exact,
    GaussNewton,
    Fisher,
}

/// The residuals u. Each has at most one second derivative, a constant.
#[derive(Debug, Clone)]
enum Map {
    Chebyshev(usize),
    Rosenbrock(usize),
    Affine(Mat<f64>, Vec<f64>),
}

impl NormPower {
    /// u₁ = (1 − x₁)/2, uᵢ = xᵢ − 2xᵢ₋₁² + 1 in `n` variables: a chain of Chebyshev
    /// polynomials, with minimum 0 at (1, …, 1).
    ///
    /// # Errors
    /// No variables, or an exponent that is not finite and at least 2.
    pub fn chebyshev(n: usize, exponent: f64) -> Result<Self, Error> {
        super::power::at_least_one(n)?;
        NormPower::of(Map::Chebyshev(n), exponent)
    }

    /// u = (1 − x₁, 10(x₂ − x₁²), …, 1 − xₙ₋₁, 10(xₙ − xₙ₋₁²)), with minimum 0 at (1, …, 1).
    ///
    /// For P = 2 it is half of [`Rosenbrock`](super::Rosenbrock).
    ///
    /// # Errors
    /// Fewer than two variables, or an exponent that is not finite and at least 2.
    pub fn rosenbrock(n: usize, exponent: f64) -> Result<Self, Error> {
        if n < 2 {
            return Err(Error::parameter("n", n, "at least 2"));
        }
        NormPower::of(Map::Rosenbrock(n), exponent)
    }

    /// u = Ax − b.
    ///
    /// # Errors
    /// No columns, as many offsets as rows are not given, or an exponent that is not
    /// finite and at least 2.
    pub fn affine(rows: Mat<f64>, offsets: Vec<f64>, exponent: f64) -> Result<Self, Error> {
        super::power::at_least_one(rows.ncols())?;
        length("offsets", rows.nrows(), offsets.len())?;
        NormPower::of(Map::Affine(rows, offsets), exponent)
    }

    fn of(map: Map, exponent: f64) -> Result<Self, Error> {
        exponent_in_range("exponent", exponent)?;
        Ok(NormPower {
            map,
            exponent,
            curvature: Curvature::Exact,
        })
    }

    /// The same problem with the Hessian ‖u‖ᴾ⁻²JᵀJ + (P−2)‖u‖ᴾ⁻⁴vvᵀ.
    pub fn gauss_newton(self) -> Self {
        NormPower {
            curvature: Curvature::GaussNewton,
            ..self
        }
    }

    /// The same problem with the Hessian (P−2)‖u‖ᴾ⁻⁴vvᵀ, the Fisher term.
    pub fn fisher(self) -> Self {
        NormPower {
            curvature: Curvature::Fisher,
            ..self
        }
    }

    /// The Fisher term a v vᵀ as its weight a = (P−2)‖u‖ᴾ⁻⁴ and vector v = Jᵀu, in
    /// time O(nnz J); a = 0 where u = 0.
    ///
    /// # Errors
    /// A point of the wrong length.
    pub fn rank_one(&self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        length("point", self.dimension(), x.len())?;
        let u = self.map.residuals(x);
        let weight = (self.exponent - 2.0) * power(norm(&u), self.exponent - 4.0);
        Ok((weight, self.map.pull_back(x, &u)))
    }

    /// u(x).
    ///
    /// # Errors
    /// A point of the wrong length.
    pub fn residuals(&self, x: &[f64]) -> Result<Vec<f64>, Error> {
        length("point", self.dimension(), x.len())?;
        Ok(self.map.residuals(x))
    }

    /// (−1, 1, …, 1) of the Chebyshev chain, (−1.2, 1, −1.2, 1, …) of the valley, all
    /// ones of Ax − b.
    pub fn start(&self) -> Vec<f64> {
        let mut x = vec![1.0; self.dimension()];
        match self.map {
            Map::Chebyshev(_) => x[0] = -1.0,
            Map::Rosenbrock(_) => x.iter_mut().step_by(2).for_each(|x| *x = -1.2),
            Map::Affine(..) => {}
        }
        x
    }

    /// All ones of the two chains; not known of Ax − b.
    pub fn minimizer(&self) -> Option<Vec<f64>> {
        match self.map {
            Map::Chebyshev(n) | Map::Rosenbrock(n) => Some(vec![1.0; n]),
            Map::Affine(..) => None,
        }
    }
}

impl Analytic for NormPower {
    fn dimension(&self) -> usize {
        match &self.map {
            Map::Chebyshev(n) | Map::Rosenbrock(n) => *n,
            Map::Affine(rows, _) => rows.ncols(),
        }
    }
    fn value(&self, x: &[f64]) -> f64 {
        norm(&self.map.residuals(x)).powf(self.exponent) / self.exponent
    }
    fn slope(&self, x: &[f64]) -> Vec<f64> {
        let u = self.map.residuals(x);
        let scale = power(norm(&u), self.exponent - 2.0);
        let mut g = self.map.pull_back(x, &u);
        g.iter_mut().for_each(|g| *g *= scale);
        g
    }
    fn curvature(&self, x: &[f64]) -> Mat<f64> {
        let n = x.len();
        let u = self.map.residuals(x);
        let (scale, v) = (
            power(norm(&u), self.exponent - 2.0),
            self.map.pull_back(x, &u),
        );
        let weight = (self.exponent - 2.0) * power(norm(&u), self.exponent - 4.0);
        let mut h = Mat::from_fn(n, n, |i, j| weight * (v[i] * v[j]));
        if self.curvature == Curvature::Fisher {
            return h;
        }
        let mut row = Vec::new();
        for (i, u) in u.iter().enumerate() {
            self.map.row(i, x, &mut row);
            for (j, a) in &row {
                for (k, b) in &row {
                    h[(*k, *j)] += scale * (a * b);
                }
            }
            if self.curvature == Curvature::Exact
                && let Some((j, bend)) = self.map.bend(i)
            {
                h[(j, j)] += scale * u * bend;
            }
        }
        h
    }
}

argmin_traits!(NormPower);

impl Map {
    fn count(&self) -> usize {
        match self {
            Map::Chebyshev(n) => *n,
            Map::Rosenbrock(n) => 2 * (n - 1),
            Map::Affine(rows, _) => rows.nrows(),
        }
    }

    /// u(x).
    fn residuals(&self, x: &[f64]) -> Vec<f64> {
        let residual = |i: usize| match self {
            Map::Chebyshev(_) if i == 0 => 0.5 * (1.0 - x[0]),
            Map::Chebyshev(_) => x[i] - 2.0 * x[i - 1] * x[i - 1] + 1.0,
            Map::Rosenbrock(_) if i.is_multiple_of(2) => 1.0 - x[i / 2],
            Map::Rosenbrock(_) => 10.0 * (x[i / 2 + 1] - x[i / 2] * x[i / 2]),
            Map::Affine(rows, offsets) => {
                let terms = x.iter().enumerate().map(|(j, x)| rows[(i, j)] * x);
                terms.sum::<f64>() - offsets[i]
            }
        };
        (0..self.count()).map(residual).collect()
    }

    /// The gradient of uᵢ: columns and entries.
    fn row(&self, i: usize, x: &[f64], row: &mut Vec<(usize, f64)>) {
        row.clear();
        match self {
            Map::Chebyshev(_) if i == 0 => row.push((0, -0.5)),
            Map::Chebyshev(_) => row.extend([(i - 1, -4.0 * x[i - 1]), (i, 1.0)]),
            Map::Rosenbrock(_) if i.is_multiple_of(2) => row.push((i / 2, -1.0)),
            Map::Rosenbrock(_) => row.extend([(i / 2, -20.0 * x[i / 2]), (i / 2 + 1, 10.0)]),
            Map::Affine(rows, _) => row.extend((0..x.len()).map(|j| (j, rows[(i, j)]))),
        }
    }

    /// ∇²uᵢ: its only entry, on the diagonal.
    fn bend(&self, i: usize) -> Option<(usize, f64)> {
        match self {
            Map::Chebyshev(_) if i > 0 => Some((i - 1, -4.0)),
            Map::Rosenbrock(_) if !i.is_multiple_of(2) => Some((i / 2, -20.0)),
            _ => None,
        }
    }

    /// Jᵀu.
    fn pull_back(&self, x: &[f64], u: &[f64]) -> Vec<f64> {
        let (mut v, mut row) = (vec![0.0; x.len()], Vec::new());
        for (i, u) in u.iter().enumerate() {
            self.row(i, x, &mut row);
            for (j, a) in &row {
                v[*j] += a * u;
            }
        }
        v
    }
}

/// ‖u‖, without overflow of the squares.
fn norm(u: &[f64]) -> f64 {
    let largest = u.iter().fold(0.0, |top: f64, u| top.max(u.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return u.iter().map(|u| u.abs()).sum();
    }
    let squares = u.iter().map(|u| (u / largest).powi(2));
    largest * squares.sum::<f64>().sqrt()
}

/// ‖u‖ to a power, which at 0 is 1 or counts as 0.
fn power(norm: f64, exponent: f64) -> f64 {
    if norm == 0.0 && exponent != 0.0 {
        0.0
    } else {
        norm.powf(exponent)
    }
}
