//! Lanczos tridiagonalization VᵀHV = T of a matrix known by its products.

use super::cg::Operator;
use super::shifted::Shifted;
use super::{SymTridiagonal, axpy, dot};
use crate::parallel::norm;

/// Default of the largest dimension of the basis.
pub const DEFAULT_LIMIT: usize = 40;
/// A coupling below this, relative to ‖T‖, is rounding: the basis spans an invariant subspace.
const NEGLIGIBLE: f64 = 1e-14;

/// Why [`Lanczos::extend`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LanczosEnd {
    /// The caller's condition holds.
    Satisfied,
    /// The basis spans an invariant subspace of H, all of ℝⁿ or one that contains the start vector.
    Invariant,
    /// The dimension asked for, or the limit, was reached.
    Limit,
    /// The start vector or a product is not finite; the basis before it is kept.
    NonFinite,
}

/// An orthonormal basis V of the Krylov space of H and g, with g = ‖g‖ V e_1 and VᵀHV = T.
///
/// H v_j = β_{j−1} v_{j−1} + α_j v_j + β_j v_{j+1}, each new vector orthogonalized
/// against all earlier ones until the norm stays. k vectors cost k products and about 4nk²
/// operations; (limit + 1) n doubles are stored, allocated once.
///
/// For a step s = V ŝ with (T + λI) ŝ = −‖g‖ e_1 the residual is
/// ‖g + (H + λI) s‖ = [`coupling`](Self::coupling) · |ŝ_k|.
///
/// Reference: G. H. Golub, C. F. Van Loan, Matrix Computations, section 10.1;
/// A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods (2000), section 5.2.
#[derive(Debug, Clone)]
pub struct Lanczos {
    limit: usize,
    n: usize,
    /// v_1, v_2, …: `vectors` of them, the last one not yet multiplied unless the end is invariant.
    basis: Vec<f64>,
    work: Vec<f64>,
    t: SymTridiagonal,
    norm: f64,
    /// β of the last product.
    coupling: f64,
    /// Whether a further vector waits in the basis.
    open: bool,
    products: u64,
}

impl Default for Lanczos {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Lanczos {
    /// A basis of at most `limit` vectors (at least one), without storage.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            limit,
            n: 0,
            basis: Vec::new(),
            work: Vec::new(),
            t: SymTridiagonal::with_capacity(limit),
            norm: 0.0,
            coupling: 0.0,
            open: false,
            products: 0,
        }
    }

    /// Sets the most vectors of later bases, at least one.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// Starts a basis with g/‖g‖ and drops the last one. g = 0 gives an empty basis, an invariant one.
    pub fn start(&mut self, g: &[f64]) {
        self.n = g.len();
        self.t.clear();
        self.coupling = 0.0;
        let most = self.limit.min(self.n);
        self.basis.resize((most + 1) * self.n, 0.0);
        self.work.resize(self.n, 0.0);
        self.norm = norm(g);
        self.open = self.norm > 0.0 && self.norm.is_finite();
        if self.open {
            for (v, g) in self.basis.iter_mut().zip(g) {
                *v = g / self.norm;
            }
        }
    }

    /// Extends the basis until `satisfied` or to `dimension` vectors, by one product for each new one.
    ///
    /// `satisfied` is asked after each product with T and the coupling β; earlier
    /// products are not repeated. An error of `apply` leaves the basis as it was
    /// before the product, from which a later call goes on.
    ///
    /// # Errors
    /// That of `apply`, unchanged.
    pub fn extend<E>(
        &mut self,
        dimension: usize,
        apply: &mut Operator<'_, E>,
        satisfied: &mut dyn FnMut(&mut SymTridiagonal, f64) -> bool,
    ) -> Result<LanczosEnd, E> {
        let most = dimension.min(self.limit).min(self.n);
        loop {
            if !self.norm.is_finite() {
                return Ok(LanczosEnd::NonFinite);
            }
            if !self.open {
                return Ok(LanczosEnd::Invariant);
            }
            let k = self.dimension();
            if k >= most {
                return Ok(LanczosEnd::Limit);
            }
            let n = self.n;
            let (known, rest) = self.basis.split_at_mut((k + 1) * n);
            let newest = &known[k * n..];
            apply(newest, &mut self.work)?;
            self.products += 1;
            let alpha = dot(newest, &self.work);
            let size = norm(&self.work);
            if !alpha.is_finite() || !size.is_finite() {
                return Ok(LanczosEnd::NonFinite);
            }
            let beta = orthogonalize(&mut self.work, known, n);
            self.t.push(self.coupling, alpha);
            let (low, high) = self.t.bounds();
            let scale = low.abs().max(high.abs()).max(size);
            self.open = beta > NEGLIGIBLE * scale && k + 1 < n;
            self.coupling = if self.open { beta } else { 0.0 };
            if self.open {
                for (next, w) in rest.iter_mut().zip(&self.work) {
                    *next = w / beta;
                }
            }
            if satisfied(&mut self.t, self.coupling) {
                return Ok(LanczosEnd::Satisfied);
            }
        }
    }

    /// k, the number of vectors in V and of rows of T.
    pub fn dimension(&self) -> usize {
        self.t.dimension()
    }

    /// ‖g‖ of the start vector.
    pub fn start_norm(&self) -> f64 {
        self.norm
    }

    /// T = VᵀHV.
    pub fn matrix(&self) -> &SymTridiagonal {
        &self.t
    }

    /// T, to be factored.
    pub fn matrix_mut(&mut self) -> &mut SymTridiagonal {
        &mut self.t
    }

    /// β_k, by which V is coupled to the rest of ℝⁿ; zero if V spans an invariant subspace.
    pub fn coupling(&self) -> f64 {
        self.coupling
    }

    /// Products with H since the object was made.
    pub fn products(&self) -> u64 {
        self.products
    }

    /// The vector v_j, for j below [`dimension`](Self::dimension).
    pub fn vector(&self, j: usize) -> Option<&[f64]> {
        (j < self.dimension()).then(|| &self.basis[j * self.n..(j + 1) * self.n])
    }

    /// `out` = V `coefficients`, 2nk operations. Coefficients that are missing count as zero.
    pub fn expand(&self, coefficients: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let vectors = self.basis.chunks_exact(self.n.max(1));
        for (c, v) in coefficients.iter().take(self.dimension()).zip(vectors) {
            axpy(*c, v, out);
        }
    }
}

/// Removes from `w` its components along the columns of `basis`; returns what is left of its norm.
///
/// Repeated while a pass leaves less than half of the norm: twice is enough, unless nothing but
/// rounding is left.
fn orthogonalize(w: &mut [f64], basis: &[f64], n: usize) -> f64 {
    let mut before = norm(w);
    for _ in 0..4 {
        // Newest first: it holds the largest component.
        for v in basis.chunks_exact(n).rev() {
            let component = dot(v, w);
            axpy(-component, v, w);
        }
        let after = norm(w);
        if after > 0.5 * before {
            return after;
        }
        before = after;
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// H = diag(h) minus a rank-one matrix of ones.
    fn apply(h: &[f64]) -> impl FnMut(&[f64], &mut [f64]) -> Result<(), Infallible> {
        move |v, out| {
            let sum: f64 = v.iter().sum();
            for ((out, v), h) in out.iter_mut().zip(v).zip(h) {
                *out = h * v - sum;
            }
            Ok(())
        }
    }

    fn never(_: &mut SymTridiagonal, _: f64) -> bool {
        false
    }

    fn check(lanczos: &Lanczos, h: &[f64], size: f64) {
        let k = lanczos.dimension();
        let mut image = vec![0.0; h.len()];
        for j in 0..k {
            let v = lanczos.vector(j).unwrap();
            let Ok(()) = apply(h)(v, &mut image);
            for i in 0..k {
                let u = lanczos.vector(i).unwrap();
                let exact = f64::from(i == j);
                assert!((dot(u, v) - exact).abs() <= 1e-12, "{i} {j}");
                let entry = match i.abs_diff(j) {
                    0 => lanczos.matrix().diagonal()[i],
                    1 => lanczos.matrix().off_diagonal()[i.min(j)],
                    _ => 0.0,
                };
                assert!((dot(u, &image) - entry).abs() <= 1e-12 * size, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_basis_and_its_extension() {
        let n = 300;
        let h: Vec<f64> = (0..n).map(|i| 1e-3 * (i * i) as f64).collect();
        let g: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64).sin()).collect();
        let mut lanczos = Lanczos::default();
        lanczos.start(&g);
        let Ok(end) = lanczos.extend(10, &mut apply(&h), &mut never);
        assert_eq!(
            (end, lanczos.dimension(), lanczos.products()),
            (LanczosEnd::Limit, 10, 10)
        );
        check(&lanczos, &h, 400.0);
        let Ok(end) = lanczos.extend(100, &mut apply(&h), &mut never);
        assert_eq!(
            (end, lanczos.dimension(), lanczos.products()),
            (LanczosEnd::Limit, 40, 40)
        );
        check(&lanczos, &h, 400.0);
        let mut out = vec![0.0; n];
        lanczos.expand(&[lanczos.start_norm()], &mut out);
        for (out, g) in out.iter().zip(&g) {
            assert!((out - g).abs() < 1e-14 * lanczos.start_norm());
        }
        // The same in one go.
        let mut again = Lanczos::new(40);
        again.start(&g);
        let Ok(_) = again.extend(40, &mut apply(&h), &mut never);
        assert_eq!(again.matrix().diagonal(), lanczos.matrix().diagonal());
    }

    #[test]
    fn the_residual_of_a_krylov_step() {
        let n = 60;
        let h: Vec<f64> = (0..n).map(|i| 2.0 + i as f64).collect();
        let g: Vec<f64> = (0..n).map(|i| 1.0 / (1.0 + i as f64)).collect();
        let mut lanczos = Lanczos::new(30);
        lanczos.start(&g);
        let mut step = Vec::new();
        let gamma = lanczos.start_norm();
        let Ok(end) = lanczos.extend(30, &mut apply(&h), &mut |t, beta| {
            step.clear();
            step.resize(t.dimension(), 0.0);
            step[0] = -gamma;
            assert_eq!(t.factor(80.0), Ok(true));
            t.solve_in_place(&mut step).unwrap();
            beta * step.last().unwrap().abs() <= 1e-6 * gamma
        });
        assert_eq!(end, LanczosEnd::Satisfied);
        assert!(lanczos.dimension() < 30);
        let (mut s, mut r) = (vec![0.0; n], vec![0.0; n]);
        lanczos.expand(&step, &mut s);
        let Ok(()) = apply(&h)(&s, &mut r);
        for ((r, s), g) in r.iter_mut().zip(&s).zip(&g) {
            *r += 80.0 * s + g;
        }
        let told = lanczos.coupling() * step.last().unwrap().abs();
        assert!((norm(&r) - told).abs() <= 1e-12 * gamma && told <= 1e-6 * gamma);
    }

    #[test]
    fn invariant_subspaces_end_the_basis() {
        // Three distinct eigenvalues on vectors whose entries sum to zero.
        let mut h = [1.0; 9];
        (h[2], h[3], h[4], h[5]) = (2.0, 2.0, 5.0, 5.0);
        let mut g = [0.0; 9];
        for k in 0..3 {
            (g[2 * k], g[2 * k + 1]) = (1.0, -1.0);
        }
        let mut lanczos = Lanczos::default();
        for scale in [1.0, 1e-150, 1e150] {
            let scaled: Vec<f64> = g.iter().map(|g| g * scale).collect();
            lanczos.start(&scaled);
            let Ok(end) = lanczos.extend(40, &mut apply(&h), &mut never);
            assert_eq!((end, lanczos.dimension()), (LanczosEnd::Invariant, 3));
            assert_eq!(lanczos.coupling(), 0.0);
            check(&lanczos, &h, 9.0);
        }
        // All of the space.
        lanczos.start(&[1.0, 2.0]);
        let Ok(end) = lanczos.extend(40, &mut apply(&[1.0, 3.0]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::Invariant, 2));
        // H = 0: one vector.
        lanczos.start(&[1.0, -1.0]);
        let Ok(end) = lanczos.extend(40, &mut apply(&[0.0; 2]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::Invariant, 1));
    }

    #[test]
    fn trivial_and_broken_starts() {
        let mut lanczos = Lanczos::new(0);
        lanczos.start(&[]);
        let Ok(end) = lanczos.extend(5, &mut apply(&[]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::Invariant, 0));
        lanczos.start(&[0.0; 3]);
        let Ok(end) = lanczos.extend(5, &mut apply(&[1.0; 3]), &mut never);
        assert_eq!(
            (end, lanczos.dimension(), lanczos.products()),
            (LanczosEnd::Invariant, 0, 0)
        );
        let mut out = [1.0; 3];
        lanczos.expand(&[1.0], &mut out);
        assert_eq!(out, [0.0; 3]);
        lanczos.start(&[1.0, f64::NAN]);
        let Ok(end) = lanczos.extend(5, &mut apply(&[1.0; 2]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::NonFinite, 0));
        let mut lanczos = Lanczos::default();
        lanczos.start(&[1.0, 2.0, 3.0]);
        let Ok(end) = lanczos.extend(1, &mut apply(&[1.0, 2.0, 3.0]), &mut never);
        assert_eq!(end, LanczosEnd::Limit);
        let Ok(end) = lanczos.extend(5, &mut apply(&[f64::INFINITY, 1.0, 1.0]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::NonFinite, 1));
        // An error is passed on and costs nothing.
        let end = lanczos.extend(5, &mut |_, _| Err("user"), &mut never);
        assert_eq!(end, Err("user"));
        let Ok(end) = lanczos.extend(5, &mut apply(&[1.0, 2.0, 3.0]), &mut never);
        assert_eq!((end, lanczos.dimension()), (LanczosEnd::Invariant, 3));
    }
}
