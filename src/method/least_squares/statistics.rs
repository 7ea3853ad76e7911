//! What the last linearization says about the accuracy of the parameters.

use faer::Mat;

/// A parameter is estimable if its share of the null space of J is at most this, the accuracy of
/// singular vectors next to a gap of the rank tolerance.
const ESTIMABLE: f64 = 1e-8;

/// Accuracy of fitted parameters: standard errors and covariance σ²(JᵀJ)⁻¹ from the factor of the
/// last Jacobian.
///
/// σ² = 2f/(m − rank). If J has not full rank, (JᵀJ)⁻¹ is the pseudoinverse in scaled variables,
/// and a parameter that the null space moves is **not estimable**: its standard error and its row
/// of the covariance are infinite. With a robust loss JᵀQJ stands for JᵀJ, an approximation; the
/// numbers are then those of the weighted linear problem.
///
/// Trustworthy if the run converged and the residuals are nearly linear within a few standard errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    n: usize,
    degrees_of_freedom: usize,
    rank: usize,
    variance: Option<f64>,
    /// D⁻¹VΣ⁻¹, n x rank, column-major.
    root: Vec<f64>,
    estimable: Vec<bool>,
}

impl Statistics {
    /// From f at m residuals and the singular value decomposition of WJD⁻¹ with its rank.
    pub(super) fn new(
        (f, m): (f64, usize),
        (values, vectors, rank): (&[f64], &[f64], usize),
        scale: &[f64],
    ) -> Self {
        let n = scale.len();
        let unit = |j: usize| if scale[j] > 0.0 { scale[j] } else { 1.0 };
        let mut root = Vec::with_capacity(n * rank);
        for (vector, s) in vectors.chunks_exact(n.max(1)).zip(values).take(rank) {
            root.extend(vector.iter().enumerate().map(|(j, v)| v / s / unit(j)));
        }
        let mut null = vec![0.0; n];
        for vector in vectors.chunks_exact(n.max(1)).skip(rank) {
            for (null, v) in null.iter_mut().zip(vector) {
                *null += v * v;
            }
        }
        let degrees_of_freedom = m.saturating_sub(rank);
        let variance = (degrees_of_freedom > 0).then(|| 2.0 * f / degrees_of_freedom as f64);
        Statistics {
            n,
            degrees_of_freedom,
            rank,
            variance,
            root,
            estimable: null.iter().map(|s| s.sqrt() <= ESTIMABLE).collect(),
        }
    }

    /// m − rank.
    pub fn degrees_of_freedom(&self) -> usize {
        self.degrees_of_freedom
    }

    /// Rank of the last Jacobian in scaled variables: singular values above ε·max(m, n) times the
    /// largest.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// σ = sqrt(2f/(m − rank)), the residual standard deviation; [`None`] without degrees of freedom.
    pub fn residual_deviation(&self) -> Option<f64> {
        self.variance.map(f64::sqrt)
    }

    /// Whether each parameter is determined by the data.
    pub fn estimable(&self) -> &[bool] {
        &self.estimable
    }

    /// Standard error of each parameter, infinite where it is not estimable; [`None`] without
    /// degrees of freedom. O(n · rank).
    pub fn standard_errors(&self) -> Option<Vec<f64>> {
        let sigma = self.residual_deviation()?;
        let error = |j: usize| {
            if self.estimable[j] {
                sigma * self.inner(j, j).sqrt()
            } else {
                f64::INFINITY
            }
        };
        Some((0..self.n).map(error).collect())
    }

    /// The covariance of the parameters, n x n, with infinite rows and columns for those that are
    /// not estimable; [`None`] without degrees of freedom. O(n² · rank).
    pub fn covariance(&self) -> Option<Mat<f64>> {
        let variance = self.variance?;
        Some(Mat::from_fn(self.n, self.n, |i, j| {
            if self.estimable[i] && self.estimable[j] {
                variance * self.inner(i, j)
            } else {
                f64::INFINITY
            }
        }))
    }

    /// An entry of (JᵀJ)⁻¹.
    fn inner(&self, i: usize, j: usize) -> f64 {
        let columns = self.root.chunks_exact(self.n.max(1));
        columns.map(|column| column[i] * column[j]).sum()
    }
}
