//! Enclosures of eigenvalues that account for every rounding of ours.
//!
//! u = 2⁻⁵³ and γ_k = ku/(1 − ku).

use super::multiply;
use crate::edge::{Stored, SymView};
use crate::linear::lanczos::{Lanczos, LanczosEnd};
use crate::linear::leftmost::Leftmost;
use crate::linear::shifted::{Shifted, ShiftedDense, ShiftedSparse};
use crate::linear::{
    Breakdown, SymTridiagonal, SymmetricEigen, axpy, copy_lower, for_each_lower, sym_mul,
};
use crate::oracle::{Abort, Oracle};
use crate::parallel::{dot, norm};
use crate::stochastic::Stream;
use faer::MatRef;
use faer::sparse::SparseColMatRef;

/// Rows up to which a sparse indefinite matrix is spread out to count its eigenvalues.
const SPREAD: usize = 1000;
/// Growth of the distance below an estimate at which the next factorization is tried.
const DISTANCES: [f64; 4] = [2.0, 8.0, 64.0, 4096.0];
/// A coupling of the Krylov space that counts as zero is below this times ‖H‖.
const INVARIANT: f64 = 1e-14;

/// What is known of the eigenvalues of H.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spectrum {
    /// Bounds of the least eigenvalue.
    pub least: (f64, f64),
    /// Bounds of the greatest.
    pub greatest: (f64, f64),
    /// A lower bound of min |λ| above zero, with the number of negative eigenvalues.
    pub gap: Option<(f64, usize)>,
    /// With which the bounds hold; 1 is always.
    pub confidence: f64,
    /// At least ‖H‖, or nearly so where H is known by products.
    pub scale: f64,
    pub factorizations: u64,
}

impl Spectrum {
    pub fn unknown() -> Self {
        Spectrum {
            least: (f64::NEG_INFINITY, f64::INFINITY),
            greatest: (f64::NEG_INFINITY, f64::INFINITY),
            gap: None,
            confidence: 1.0,
            scale: f64::INFINITY,
            factorizations: 0,
        }
    }

    /// Allows for ‖H − ∇²f‖ ≤ `error`.
    pub fn widen(&mut self, error: f64) {
        for (lower, upper) in [&mut self.least, &mut self.greatest] {
            *lower -= error;
            *upper += error;
        }
        self.gap = self
            .gap
            .map(|(mu, index)| (mu - error, index))
            .filter(|(mu, _)| *mu > 0.0);
    }
}

/// k u/(1 − k u), with room for the arithmetic of the bound itself; infinite if k u is near 1.
fn gamma(k: usize) -> f64 {
    let ku = 0.5 * f64::EPSILON * (k as f64);
    if ku < 0.5 {
        1.01 * ku / (1.0 - ku)
    } else {
        f64::INFINITY
    }
}

/// A bound of the rounding in ‖g − Hs‖ for ‖H‖_F ≤ √n `scale`, a gradient and an s of these lengths.
pub(super) fn residual_rounding(n: usize, slope: f64, scale: f64, length: f64) -> f64 {
    gamma(n + 8) * (slope + (n as f64).sqrt() * scale * length)
}

/// Norms of one triangle.
struct Facts {
    n: usize,
    trace: f64,
    /// max |H_ii|.
    diagonal: f64,
    frobenius: f64,
    /// The most entries of a row of the factor L, and of L + Lᵀ.
    rows: (usize, usize),
}

impl Facts {
    fn new(view: SymView<'_>, n: usize, rows: (usize, usize)) -> Self {
        let (mut trace, mut diagonal, mut largest) = (0.0, 0.0f64, 0.0f64);
        for_each_lower(view, &mut |i, j, a| {
            largest = largest.max(a.abs());
            if i == j {
                trace += a;
                diagonal = diagonal.max(a.abs());
            }
        });
        let mut sum = 0.0;
        for_each_lower(view, &mut |i, j, a| {
            let a = a / largest.max(f64::MIN_POSITIVE);
            sum += if i == j { a * a } else { 2.0 * a * a };
        });
        let frobenius = 1.01 * largest * sum.sqrt();
        Facts {
            n,
            trace,
            diagonal,
            frobenius,
            rows,
        }
    }

    /// c with λ_min(H − sI) ≥ −c if the Cholesky factorization of the rounded H − sI runs to its end.
    ///
    /// The factor of a matrix A satisfies LLᵀ = A + Δ with |Δ_ij| ≤ γ/(1 − γ) sqrt(a_ii a_jj) on
    /// the pattern of L + Lᵀ, so ‖Δ‖ is at most γ/(1 − γ) times the trace, and times the
    /// largest diagonal entry and row of that pattern. γ is γ_{k+1} for inner products of k
    /// terms in any order; k + 8 covers products with reciprocals of pivots. To this come the
    /// rounding of a_ii = H_ii − s and the underflow threshold.
    ///
    /// Reference: S. M. Rump, "Verification of positive definiteness", BIT 46 (2006), 433–452.
    fn backward_error(&self, s: f64) -> f64 {
        let n = self.n as f64;
        let diagonal = self.diagonal + s.abs();
        let trace = (self.trace - n * s).max(0.0) + gamma(self.n) * n * diagonal;
        let gamma = gamma(self.rows.0 + 8);
        gamma / (1.0 - gamma) * trace.min(self.rows.1 as f64 * diagonal) * 1.01
            + f64::EPSILON * diagonal
            + 3.0 * n * (2.0 * n + diagonal) * f64::MIN_POSITIVE
    }
}

/// A lower bound of λ_1, proven by a factorization that ran to its end a little below the estimate.
fn proven_below(matrix: &mut dyn Shifted, facts: &Facts, estimate: f64) -> Result<f64, Breakdown> {
    let error = facts.backward_error(estimate);
    for distance in DISTANCES {
        let s = estimate - distance * error;
        if matrix.factor(-s)? {
            return Ok(s - facts.backward_error(s));
        }
    }
    Ok(f64::NEG_INFINITY)
}

/// An upper bound of λ_1: the Rayleigh quotient of `vector` and all its roundings.
fn proven_above(view: SymView<'_>, facts: &Facts, vector: &[f64]) -> Result<f64, Breakdown> {
    let mut image = vec![0.0; vector.len()];
    sym_mul(view, vector, &mut image)?;
    let quotient = dot(vector, &image) / dot(vector, vector);
    Ok(quotient + 2.0 * gamma(2 * facts.n + 8) * facts.frobenius)
}

/// The spectrum of a matrix, and the step `newton` ≈ H⁻¹g where H is not singular.
pub(super) fn of_matrix(
    view: SymView<'_>,
    g: &[f64],
    newton: &mut Vec<f64>,
) -> Result<Spectrum, Breakdown> {
    let n = g.len();
    if let SymView::Sparse(m, stored) = view {
        return of_sparse(m, stored, g, newton);
    }
    // One copy for all that follows, because a Gram matrix is not formed to the same bits twice.
    let mut lower = vec![0.0; n * n];
    copy_lower(view, n, &mut lower)?;
    let view = SymView::Dense(MatRef::from_column_major_slice(&lower, n, n), Stored::Lower);
    let mut leftmost = Leftmost::new();
    let ends = leftmost.of_matrix(view)?;
    let facts = Facts::new(view, n, (n, 2 * n));
    if ends.least <= facts.backward_error(ends.least) {
        return of_dense(view, &facts, g, newton);
    }
    let mut matrix = ShiftedDense::new();
    matrix.set(view)?;
    let mut spectrum = Spectrum {
        greatest: (f64::NEG_INFINITY, facts.frobenius),
        scale: facts.frobenius,
        ..bracket(&mut matrix, view, &facts, ends.least, leftmost.vector())?
    };
    spectrum.gap = positive(spectrum.least.0);
    if spectrum.gap.is_some() {
        solve(&mut matrix, g, newton)?;
    }
    spectrum.factorizations = 1 + matrix.factorizations();
    Ok(spectrum)
}

fn positive(lower: f64) -> Option<(f64, usize)> {
    (lower > 0.0).then_some((lower, 0))
}

/// The bounds of λ_1 by a factorization and a Rayleigh quotient.
fn bracket(
    matrix: &mut dyn Shifted,
    view: SymView<'_>,
    facts: &Facts,
    estimate: f64,
    vector: &[f64],
) -> Result<Spectrum, Breakdown> {
    Ok(Spectrum {
        least: (
            proven_below(matrix, facts, estimate)?,
            proven_above(view, facts, vector)?,
        ),
        ..Spectrum::unknown()
    })
}

/// `newton` = H⁻¹g, refined once.
fn solve(matrix: &mut dyn Shifted, g: &[f64], newton: &mut Vec<f64>) -> Result<(), Breakdown> {
    newton.clear();
    newton.resize(g.len(), 0.0);
    if !matrix.factor(0.0)? {
        return Ok(());
    }
    let mut residual = g.to_vec();
    for _ in 0..2 {
        matrix.solve_in_place(&mut residual)?;
        axpy(1.0, &residual, newton);
        matrix.mul(newton, &mut residual);
        for (r, g) in residual.iter_mut().zip(g) {
            *r = g - *r;
        }
    }
    Ok(())
}

/// All eigenvalues at once, from computed vectors X and values Λ.
///
/// With ω ≥ ‖XᵀX − I‖ the nearest orthogonal Q has ‖X − Q‖ ≤ ω, so QᵀHQ differs from Λ by at
/// most ‖HX − XΛ‖ + ω(‖H‖ + ‖Λ‖), and by Weyl's theorem so do the eigenvalues, in order.
fn of_dense(
    view: SymView<'_>,
    facts: &Facts,
    g: &[f64],
    newton: &mut Vec<f64>,
) -> Result<Spectrum, Breakdown> {
    let n = facts.n;
    let mut eigen = SymmetricEigen::new();
    eigen.factor(view)?;
    let values = eigen.values();
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return Err(Breakdown::Empty);
    };
    let size = first.abs().max(last.abs());
    let mut columns = vec![0.0; n * n];
    for (j, column) in columns.chunks_exact_mut(n).enumerate() {
        for (i, x) in column.iter_mut().enumerate() {
            *x = eigen.vectors()[(i, j)];
        }
    }
    let (mut residual, mut skew, mut squares) = (0.0, 0.0, 0.0);
    let mut image = vec![0.0; n];
    let scale = facts.frobenius.max(f64::MIN_POSITIVE);
    for (j, (x, value)) in columns.chunks_exact(n).zip(values).enumerate() {
        sym_mul(view, x, &mut image)?;
        axpy(-value, x, &mut image);
        let length = norm(&image) / scale;
        residual += length * length;
        squares += dot(x, x);
        for (k, y) in columns.chunks_exact(n).take(j + 1).enumerate() {
            let defect = dot(x, y) - f64::from(j == k);
            skew += if j == k { 1.0 } else { 2.0 } * defect * defect;
        }
    }
    let residual =
        scale * residual.sqrt() + gamma(n + 8) * squares.sqrt() * (facts.frobenius + size);
    let skew = skew.sqrt() + gamma(n + 8) * squares;
    let radius = 1.01 * (residual + skew * (facts.frobenius + size));
    if skew >= 0.5 || !radius.is_finite() {
        return Err(Breakdown::NoConvergence);
    }
    let index = values.iter().filter(|value| **value < 0.0).count();
    let nearest = values
        .iter()
        .fold(f64::INFINITY, |m, value| m.min(value.abs()));
    let gap = Some((nearest - radius, index)).filter(|(mu, _)| *mu > 0.0);
    let spectrum = Spectrum {
        least: (first - radius, first + radius),
        greatest: (last - radius, last + radius),
        gap,
        confidence: 1.0,
        scale: size + radius,
        factorizations: 1,
    };
    newton.clear();
    newton.resize(n, 0.0);
    if gap.is_some() {
        eigen.apply(|value| 1.0 / value, g, newton)?;
    }
    Ok(spectrum)
}

/// λ_1 by sparse factorizations; the count of negative eigenvalues where it is 0 or n, or n is small.
fn of_sparse(
    m: SparseColMatRef<'_, usize, f64>,
    stored: Stored,
    g: &[f64],
    newton: &mut Vec<f64>,
) -> Result<Spectrum, Breakdown> {
    let n = g.len();
    let view = SymView::Sparse(m, stored);
    let mut matrix = ShiftedSparse::new();
    matrix.set(view)?;
    let facts = Facts::new(view, n, matrix.row_counts());
    let (low, high) = matrix.bounds();
    let mut vector = vec![0.0; n];
    let estimate = matrix.leftmost(&mut vector)?;
    let mut spectrum = Spectrum {
        greatest: (f64::NEG_INFINITY, facts.frobenius),
        scale: facts.frobenius.min(1.01 * low.abs().max(high.abs())),
        ..bracket(&mut matrix, view, &facts, estimate, &vector)?
    };
    spectrum.gap = positive(spectrum.least.0);
    if spectrum.gap.is_some() {
        solve(&mut matrix, g, newton)?;
        spectrum.factorizations = matrix.factorizations();
        return Ok(spectrum);
    }
    if n <= SPREAD {
        let mut lower = vec![0.0; n * n];
        copy_lower(view, n, &mut lower)?;
        let view = SymView::Dense(MatRef::from_column_major_slice(&lower, n, n), Stored::Lower);
        let mut dense = of_dense(view, &facts, g, newton)?;
        dense.factorizations += matrix.factorizations();
        return Ok(dense);
    }
    // −H tells of the other end.
    let negated: Vec<f64> = m.val().iter().map(|a| -a).collect();
    let opposite = SymView::Sparse(SparseColMatRef::new(m.symbolic(), &negated), stored);
    let mut other = ShiftedSparse::new();
    other.set(opposite)?;
    let facts = Facts::new(opposite, n, other.row_counts());
    let estimate = other.leftmost(&mut vector)?;
    let (lower, upper) = bracket(&mut other, opposite, &facts, estimate, &vector)?.least;
    spectrum.greatest = (-upper, -lower);
    if lower > 0.0 {
        spectrum.gap = Some((lower, n));
        solve(&mut other, g, newton)?;
        for s in newton.iter_mut() {
            *s = -*s;
        }
    }
    spectrum.factorizations = matrix.factorizations() + other.factorizations();
    Ok(spectrum)
}

/// The spectrum by products in a Krylov space of a Gaussian vector, which grows until the sign of
/// λ_1 is decided and μ known to half, or to `limit` dimensions. None if a product is not finite.
///
/// With probability at least `confidence` the start vector has a component of at least
/// τ = (1 − p)/(2·0.8 √n) of its length along the eigenvectors of either end, and then
/// Π (θ_i − λ_1) τ ≤ Π β_i for the Ritz values θ_i and couplings β_i. The product on the left is
/// det(T − λ_1 I), so the bound is the x below θ_1 with ln det(T − xI) = Σ ln β_i − ln τ.
///
/// Reference: J. L. M. van Dorsselaer, M. E. Hochstenbach, H. A. van der Vorst, "Computing
/// probabilistic bounds for extreme eigenvalues of symmetric matrices with the Lanczos method",
/// SIAM J. Matrix Anal. Appl. 22 (2001), 837–852.
pub(super) fn of_products(
    here: &mut dyn Oracle,
    g: &[f64],
    limit: usize,
    confidence: f64,
    tolerance: f64,
    stream: &mut Stream,
    newton: &mut Vec<f64>,
) -> Result<Option<Spectrum>, Abort> {
    let n = g.len();
    let mut lanczos = Lanczos::new(limit);
    let start: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
    lanczos.start(&start);
    let mut target = Leftmost::krylov(n).min(limit);
    let spectrum = loop {
        let apply = &mut |v: &[f64], out: &mut [f64]| multiply(here, v, out);
        let end = lanczos.extend(target, apply, &mut |_, _| false)?;
        if end == LanczosEnd::NonFinite {
            return Ok(None);
        }
        let Ok(spectrum) = ritz(&lanczos, n, confidence) else {
            return Ok(None);
        };
        let (lower, upper) = spectrum.least;
        let decided = upper < -tolerance * spectrum.scale || lower >= 0.5 * upper && lower > 0.0;
        if decided || end == LanczosEnd::Invariant || target >= limit {
            break spectrum;
        }
        target = (target + target / 2).min(limit);
    };
    newton.clear();
    newton.resize(n, 0.0);
    let Some((mu, 0)) = spectrum.gap else {
        return Ok(Some(spectrum));
    };
    lanczos.start(g);
    let mut inner: Vec<f64> = Vec::new();
    let size = lanczos.start_norm();
    let apply = &mut |v: &[f64], out: &mut [f64]| multiply(here, v, out);
    lanczos.extend(limit, apply, &mut |t, coupling| {
        inner.clear();
        inner.resize(t.dimension(), 0.0);
        inner[0] = size;
        let solved = t.factor(0.0) == Ok(true) && t.solve_in_place(&mut inner).is_ok();
        let residual = coupling * inner.last().map_or(0.0, |s| s.abs());
        !solved || residual <= 1e-3 * mu * norm(&inner)
    })?;
    lanczos.expand(&inner, newton);
    Ok(Some(spectrum))
}

/// Bounds of both ends from T, and of all eigenvalues if it is n x n.
fn ritz(lanczos: &Lanczos, n: usize, confidence: f64) -> Result<Spectrum, Breakdown> {
    let t = lanczos.matrix();
    let k = t.dimension();
    let (first, last) = (t.least_eigenvalue()?, t.greatest_eigenvalue()?);
    let size = first.abs().max(last.abs());
    let rounding = 4.0 * k as f64 * f64::EPSILON * size;
    if k == n {
        let index = t.count_below(0.0);
        // The largest s without an eigenvalue in [−s, s).
        let (mut low, mut high) = (0.0, size);
        for _ in 0..200 {
            let middle = 0.5 * low + 0.5 * high;
            if t.count_below(middle) == index && t.count_below(-middle) == index {
                low = middle;
            } else {
                high = middle;
            }
            if high - low <= f64::EPSILON * high {
                break;
            }
        }
        return Ok(Spectrum {
            least: (first - rounding, first + rounding),
            greatest: (last - rounding, last + rounding),
            gap: Some((low - rounding, index)).filter(|(mu, _)| *mu > 0.0),
            confidence: 1.0,
            scale: size + rounding,
            factorizations: 0,
        });
    }
    let component = (1.0 - confidence) / (1.6 * (n as f64).sqrt());
    let coupling = lanczos.coupling().max(INVARIANT * size);
    let couplings: f64 = t.off_diagonal().iter().map(|b| b.abs().ln()).sum();
    let bound = couplings + coupling.ln() - component.ln();
    let below = first - distance(&mut t.clone(), first, size, bound) - rounding;
    let mut negated = SymTridiagonal::with_capacity(k);
    for (i, a) in t.diagonal().iter().enumerate() {
        let off = if i == 0 { 0.0 } else { t.off_diagonal()[i - 1] };
        negated.push(off, -a);
    }
    let above = last + distance(&mut negated, -last, size, bound) + rounding;
    let gap = positive(below).or((above < 0.0).then_some((-above, n)));
    Ok(Spectrum {
        least: (below, first + rounding),
        greatest: (last - rounding, above),
        gap,
        confidence,
        scale: above.abs().max(below.abs()),
        factorizations: 0,
    })
}

/// d ≥ 0 with ln det(T − (`first` − d) I) = `bound`, from above.
fn distance(t: &mut SymTridiagonal, first: f64, size: f64, bound: f64) -> f64 {
    let mut exceeds = |d: f64| {
        let factored = t.factor(d - first) == Ok(true);
        factored && t.log_determinant().is_some_and(|value| value >= bound)
    };
    let (mut low, mut high) = (f64::MIN_POSITIVE, f64::EPSILON * size + f64::MIN_POSITIVE);
    while !exceeds(high) {
        if high > 1e30 * size {
            return f64::INFINITY;
        }
        (low, high) = (high, 4.0 * high);
    }
    for _ in 0..40 {
        let middle = (low * high).sqrt();
        if exceeds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
