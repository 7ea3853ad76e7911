//! Symmetric tridiagonal matrices T: everything that costs O(n).

use super::shifted::Shifted;
use super::{Breakdown, check_length, dot};
use crate::parallel::norm;

/// Steps of inverse iteration after which the last vector is taken.
const INVERSE_ITERATIONS: usize = 8;

/// A symmetric tridiagonal matrix T, with the factors T + λI = LDLᵀ of one λ.
///
/// Bits depend on the entries alone. Entries of every finite size are fine.
#[derive(Debug, Clone, Default)]
pub struct SymTridiagonal {
    diagonal: Vec<f64>,
    /// T_{i+1,i}; one entry fewer than the diagonal.
    off: Vec<f64>,
    /// D.
    pivot: Vec<f64>,
    /// L_{i+1,i}.
    ratio: Vec<f64>,
    work: Vec<f64>,
    factored: bool,
}

impl SymTridiagonal {
    /// Without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without rows, with room for `n` of them.
    pub fn with_capacity(n: usize) -> Self {
        let room = || Vec::with_capacity(n);
        Self {
            diagonal: room(),
            off: room(),
            pivot: room(),
            ratio: room(),
            work: room(),
            factored: false,
        }
    }

    /// Removes all rows and keeps the storage.
    pub fn clear(&mut self) {
        self.diagonal.clear();
        self.off.clear();
        self.factored = false;
    }

    /// Appends a row with diagonal entry `diagonal` and T_{k,k−1} = `off`, which the first row ignores.
    pub fn push(&mut self, off: f64, diagonal: f64) {
        if !self.diagonal.is_empty() {
            self.off.push(off);
        }
        self.diagonal.push(diagonal);
        self.factored = false;
    }

    /// The diagonal.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// The entries next to the diagonal, one fewer.
    pub fn off_diagonal(&self) -> &[f64] {
        &self.off
    }

    /// Checks that there is a row and that all entries are finite.
    pub(crate) fn check(&self) -> Result<(), Breakdown> {
        if self.diagonal.is_empty() {
            return Err(Breakdown::Empty);
        }
        if let Some(i) = self.diagonal.iter().position(|a| !a.is_finite()) {
            return Err(Breakdown::NonFinite { row: i, col: i });
        }
        match self.off.iter().position(|b| !b.is_finite()) {
            Some(j) => Err(Breakdown::NonFinite { row: j + 1, col: j }),
            None => Ok(()),
        }
    }

    /// The largest magnitude of Gershgorin's bounds, at least ‖T‖.
    fn size(&self) -> f64 {
        let (low, high) = self.bounds();
        low.abs().max(high.abs())
    }

    /// Whether the pivots of T − xI are all positive, which is x < λ_1(T): a Sturm count of zero.
    fn is_above(&self, x: f64) -> bool {
        let mut last = 1.0;
        for (i, a) in self.diagonal.iter().enumerate() {
            let b = if i == 0 { 0.0 } else { self.off[i - 1] };
            let pivot = (a - x) - b * (b / last);
            if !is_pivot(pivot) {
                return false;
            }
            last = pivot;
        }
        true
    }

    /// The least eigenvalue λ_1 by bisection on the sign of the pivots of T − xI.
    ///
    /// Accurate to a rounding of ‖T‖: the result is a number x at which the
    /// pivots are still positive or Gershgorin's lower bound. At most about 60
    /// passes of 3n operations.
    ///
    /// # Errors
    /// [`Breakdown::Empty`], [`Breakdown::NonFinite`].
    ///
    /// Reference: W. Barth, R. S. Martin, J. H. Wilkinson, "Calculation of the
    /// eigenvalues of a symmetric tridiagonal matrix by the method of bisection" (1967).
    pub fn least_eigenvalue(&self) -> Result<f64, Breakdown> {
        self.check()?;
        let (mut low, _) = self.bounds();
        // λ_1 ≤ eᵢᵀTeᵢ.
        let mut high = self.diagonal.iter().copied().fold(f64::INFINITY, f64::min);
        let resolution = 0.25 * f64::EPSILON * self.size();
        for _ in 0..200 {
            let middle = 0.5 * low + 0.5 * high;
            if high - low <= resolution || middle <= low || middle >= high {
                break;
            }
            if self.is_above(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The greatest eigenvalue, as [`least_eigenvalue`](Self::least_eigenvalue) finds the least.
    ///
    /// # Errors
    /// [`Breakdown::Empty`], [`Breakdown::NonFinite`].
    pub fn greatest_eigenvalue(&self) -> Result<f64, Breakdown> {
        self.check()?;
        let (_, mut high) = self.bounds();
        let mut low = self
            .diagonal
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let resolution = 0.25 * f64::EPSILON * self.size();
        for _ in 0..200 {
            let middle = 0.5 * low + 0.5 * high;
            if high - low <= resolution || middle <= low || middle >= high {
                break;
            }
            if self.count_below(middle) == self.diagonal.len() {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }

    /// The number of eigenvalues below `x`: the negative pivots of T − xI.
    ///
    /// The computed count is the exact one of a matrix whose entries differ from those of T − xI
    /// by a few roundings of their own, so it is right unless an eigenvalue lies within about
    /// 5ε(‖T‖ + |x|) of `x`. 3n operations.
    ///
    /// Reference: W. Kahan, "Accurate eigenvalues of a symmetric tri-diagonal matrix" (1966);
    /// J. W. Demmel, Applied Numerical Linear Algebra, section 5.3.4.
    pub(crate) fn count_below(&self, x: f64) -> usize {
        // A pivot of zero stands for a tiny negative one; a quotient that overflows is harmless.
        let tiny = f64::from_bits(1);
        let (mut count, mut last) = (0, 1.0);
        for (i, a) in self.diagonal.iter().enumerate() {
            let b = if i == 0 { 0.0 } else { self.off[i - 1] };
            let mut pivot = (a - x) - b * (b / last);
            if pivot == 0.0 {
                pivot = -tiny;
            }
            count += usize::from(pivot < 0.0);
            last = pivot;
        }
        count
    }

    /// ln det(T + λI) of the factors; none without them.
    pub(crate) fn log_determinant(&self) -> Option<f64> {
        self.factored
            .then(|| self.pivot.iter().map(|pivot| pivot.ln()).sum())
    }

    /// Overwrites `v` by (T + λI)⁻¹v with the factors.
    fn substitute(&self, v: &mut [f64]) {
        let n = v.len();
        for i in 1..n {
            v[i] -= self.ratio[i - 1] * v[i - 1];
        }
        for (v, d) in v.iter_mut().zip(&self.pivot) {
            *v /= d;
        }
        for i in (1..n).rev() {
            v[i - 1] -= self.ratio[i - 1] * v[i];
        }
    }

    fn ready(&self, length: usize) -> Result<(), Breakdown> {
        if !self.factored {
            return Err(Breakdown::NotFactored);
        }
        check_length(self.diagonal.len(), length)
    }
}

/// Positive and finite.
fn is_pivot(d: f64) -> bool {
    d > 0.0 && d < f64::INFINITY
}

impl Shifted for SymTridiagonal {
    fn dimension(&self) -> usize {
        self.diagonal.len()
    }

    fn bounds(&self) -> (f64, f64) {
        let mut bounds = (f64::INFINITY, f64::NEG_INFINITY);
        for (i, a) in self.diagonal.iter().enumerate() {
            let before = if i == 0 { 0.0 } else { self.off[i - 1].abs() };
            let radius = before + self.off.get(i).map_or(0.0, |b| b.abs());
            bounds = (bounds.0.min(a - radius), bounds.1.max(a + radius));
        }
        bounds
    }

    /// T + λI = LDLᵀ, 3n operations.
    fn factor(&mut self, shift: f64) -> Result<bool, Breakdown> {
        self.factored = false;
        self.check()?;
        self.pivot.clear();
        self.ratio.clear();
        for (i, a) in self.diagonal.iter().enumerate() {
            let mut pivot = a + shift;
            if !pivot.is_finite() {
                return Err(Breakdown::NonFinite { row: i, col: i });
            }
            if i > 0 {
                let ratio = self.off[i - 1] / self.pivot[i - 1];
                pivot -= self.off[i - 1] * ratio;
                self.ratio.push(ratio);
            }
            if !is_pivot(pivot) {
                return Ok(false);
            }
            self.pivot.push(pivot);
        }
        self.factored = true;
        Ok(true)
    }

    /// 5n operations.
    fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown> {
        self.ready(v.len())?;
        self.substitute(v);
        Ok(())
    }

    /// ‖D^{−½}L⁻¹v‖², 5n operations.
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown> {
        self.ready(v.len())?;
        let mut last = 0.0;
        let mut sum = 0.0;
        for (i, v) in v.iter().enumerate() {
            last = match i {
                0 => *v,
                _ => v - self.ratio[i - 1] * last,
            };
            sum += last * (last / self.pivot[i]);
        }
        Ok(sum)
    }

    fn mul(&self, v: &[f64], out: &mut [f64]) {
        for ((out, v), a) in out.iter_mut().zip(v).zip(&self.diagonal) {
            *out = a * v;
        }
        for (i, b) in self.off.iter().enumerate() {
            out[i] += b * v[i + 1];
            out[i + 1] += b * v[i];
        }
    }

    /// [`least_eigenvalue`](SymTridiagonal::least_eigenvalue), and inverse iteration with T − xI
    /// for a shift x just below it, whose factors are positive and need no pivoting.
    fn leftmost(&mut self, vector: &mut [f64]) -> Result<f64, Breakdown> {
        let value = self.least_eigenvalue()?;
        let n = self.diagonal.len();
        check_length(n, vector.len())?;
        let size = self.size();
        unit_start(vector);
        if n == 1 || size == 0.0 {
            vector.fill(0.0);
            vector[0] = 1.0;
            return Ok(self.diagonal[0]);
        }
        let mut below = f64::EPSILON * size;
        let mut shift = -value;
        while !self.factor(shift)? {
            shift = below - value;
            below *= 4.0;
        }
        let tolerance = 4.0 * f64::EPSILON * size;
        let mut work = std::mem::take(&mut self.work);
        work.resize(n, 0.0);
        for _ in 0..INVERSE_ITERATIONS {
            // Pivots may be as small as ε‖T‖.
            for v in vector.iter_mut() {
                *v *= size;
            }
            self.substitute(vector);
            if !normalize(vector) {
                break;
            }
            self.mul(vector, &mut work);
            for (w, v) in work.iter_mut().zip(&*vector) {
                *w -= value * v;
            }
            if norm(&work) <= tolerance {
                break;
            }
        }
        self.work = work;
        if dot(vector, vector).is_finite() {
            Ok(value)
        } else {
            Err(Breakdown::NoConvergence)
        }
    }

    /// None: those of T cost O(n).
    fn factorizations(&self) -> u64 {
        0
    }
}

/// Fixed entries of varied size and sign, of norm 1.
pub(super) fn unit_start(v: &mut [f64]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for v in v.iter_mut() {
        // Marsaglia's xorshift; the upper bits make a number in [1/2, 3/2), the lowest its sign.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 0.5 + (state >> 11) as f64 / (1u64 << 53) as f64;
        *v = if state & 1 == 0 { size } else { -size };
    }
    normalize(v);
}

/// Divides by the norm; false if that is zero or not finite.
pub(crate) fn normalize(v: &mut [f64]) -> bool {
    let length = norm(v);
    if length == 0.0 || !length.is_finite() {
        return false;
    }
    for v in v.iter_mut() {
        *v /= length;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(diagonal: &[f64], off: &[f64]) -> SymTridiagonal {
        let mut t = SymTridiagonal::new();
        for (i, a) in diagonal.iter().enumerate() {
            t.push(if i == 0 { 0.0 } else { off[i - 1] }, *a);
        }
        t
    }

    #[test]
    fn solves_and_norms() {
        // T + I = [[3, 1, 0], [1, 4, 2], [0, 2, 5]], its product with (1, 2, 3) is (5, 15, 19).
        let mut t = t(&[2.0, 3.0, 4.0], &[1.0, 2.0]);
        assert!(t.factor(1.0).unwrap());
        let mut x = [5.0, 15.0, 19.0];
        t.solve_in_place(&mut x).unwrap();
        for (x, exact) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((x - exact).abs() < 1e-14);
        }
        let squared = t.inverse_norm_squared(&[5.0, 15.0, 19.0]).unwrap();
        assert!((squared - (5.0 + 30.0 + 57.0)).abs() < 1e-12);
        let mut out = [0.0; 3];
        t.mul(&[1.0, 2.0, 3.0], &mut out);
        assert_eq!(out, [4.0, 13.0, 16.0]);
        assert!(!t.factor(-3.0).unwrap());
        assert_eq!(t.solve_in_place(&mut x), Err(Breakdown::NotFactored));
        assert_eq!(t.factorizations(), 0);
    }

    #[test]
    fn least_eigenvalues_to_rounding() {
        // 2 − 2 cos(kπ/(n + 1)).
        for n in [2, 5, 50, 300] {
            let mut t = t(&vec![2.0; n], &vec![-1.0; n - 1]);
            let exact = 4.0 * (0.5 * std::f64::consts::PI / (n + 1) as f64).sin().powi(2);
            let mut v = vec![0.0; n];
            assert!((t.leftmost(&mut v).unwrap() - exact).abs() <= 2e-15);
            for (i, v) in v.iter().enumerate() {
                let entry = (std::f64::consts::PI * (i + 1) as f64 / (n + 1) as f64).sin()
                    * (2.0 / (n + 1) as f64).sqrt();
                assert!((v.abs() - entry).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn split_multiple_and_degenerate_matrices() {
        let cases: [(&[f64], &[f64], f64); 7] = [
            (&[-7.0], &[], -7.0),
            (&[0.0; 4], &[0.0; 3], 0.0),
            (&[3.0, -1.0, -1.0, -1.0], &[0.0; 3], -1.0),
            // Two blocks [[0, 1], [1, 0]].
            (&[0.0; 4], &[1.0, 0.0, 1.0], -1.0),
            // Coupled by less than rounding.
            (&[0.0; 4], &[1.0, 1e-30, 1.0], -1.0),
            (&[1e300, -1e300], &[0.0], -1e300),
            (&[3e-300, 0.0], &[2e-300], -1e-300),
        ];
        for (diagonal, off, exact) in cases {
            let mut t = t(diagonal, off);
            let n = diagonal.len();
            let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
            let least = t.leftmost(&mut v).unwrap();
            assert!(
                (least - exact).abs() <= 1e-15 * t.size(),
                "{diagonal:?} {least:e}"
            );
            assert!((norm(&v) - 1.0).abs() < 1e-14);
            t.mul(&v, &mut w);
            for (w, v) in w.iter_mut().zip(&v) {
                *w -= least * v;
            }
            assert!(norm(&w) <= 1e-14 * t.size(), "{diagonal:?}");
        }
    }

    #[test]
    fn wilkinson_pairs() {
        // W21+: eigenvalues agree in pairs to 14 digits; the least is simple.
        let diagonal: Vec<f64> = (-10i32..=10).map(|i| f64::from(i.abs())).collect();
        let mut t = t(&diagonal, &[1.0; 20]);
        let mut v = [0.0; 21];
        assert!((t.leftmost(&mut v).unwrap() + 1.125_441_522_119_984).abs() < 1e-13);
        // Its negative: the least eigenvalue is one of a pair.
        let diagonal: Vec<f64> = diagonal.iter().map(|a| -a).collect();
        let mut t = super::tests::t(&diagonal, &[1.0; 20]);
        assert!((t.leftmost(&mut v).unwrap() + 10.746_194_182_903_39).abs() < 1e-13);
        assert!((norm(&v) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn bad_entries_are_located() {
        let mut empty = SymTridiagonal::new();
        assert_eq!(empty.least_eigenvalue(), Err(Breakdown::Empty));
        assert_eq!(empty.factor(0.0), Err(Breakdown::Empty));
        let bad = t(&[1.0, 2.0], &[f64::NAN]);
        let at = |row, col| Err(Breakdown::NonFinite { row, col });
        assert_eq!(bad.least_eigenvalue(), at(1, 0));
        let mut fine = t(&[1.0, 2.0], &[1.0]);
        assert_eq!(
            fine.factor(f64::NAN),
            Err(Breakdown::NonFinite { row: 0, col: 0 })
        );
        assert!(fine.factor(1.0).unwrap());
        let wrong = Err(Breakdown::Length {
            expected: 2,
            found: 1,
        });
        assert_eq!(fine.solve_in_place(&mut [0.0]), wrong);
        fine.clear();
        assert_eq!(fine.dimension(), 0);
    }
}
