//! Qᵢ = BᵢBᵢᵀ of each term, and its slope rᵢ = Bᵢsᵢ + eᵢ.
//!
//! | loss | B (c x q) | s | q |
//! |---|---|---|---|
//! | squared | diag √ω | √ω(z − y) | c |
//! | logistic | √(σ(z)σ(−z)) | −y exp(−yz/2) | 1 |
//! | softmax | diag(√p)U | −Uᵀe_y/√p_y | c − 1 |
//! | any other | V√Λ of Q = VΛVᵀ | Λ^(−1/2)Vᵀr | c |
//!
//! Of softmax, Q = diag p − ppᵀ = diag(√p)(I − √p√pᵀ)diag(√p). U (c x c−1) is an orthonormal basis
//! of what is orthogonal to √p: the Householder reflection I − wwᵀ/(1 + √p_t), w = √p + e_t,
//! without its column t, the likeliest class, so that nothing cancels. Then UUᵀ = I − √p√pᵀ and
//! Bs = −diag(√p)(I − √p√pᵀ)e_y/√p_y = p − e_y = r.
//!
//! e = 0 but for two cases: slopes outside of the range of Q, where no s exists, and
//! log p_y < −600, where s would overflow; there s = 0 and e = r.

use crate::edge::{Stored, SymView};
use crate::error::Error;
use crate::finite_sum::Batch;
use crate::linear::{SymmetricEigen, axpy};
use crate::models::softmax::loss::largest;
use crate::output_model::OutputLoss;
use crate::parallel::{dot, norm};
use faer::MatRef;

/// Below this log-probability of the target 1/√p is not formed.
const UNLIKELY: f64 = -600.0;
/// Eigenvalues of Q below minus this part of the largest are no rounding errors.
const NEGATIVE: f64 = 1e-10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// B = I.
    #[default]
    One,
    /// c numbers a term.
    Diagonal,
    /// √p, c numbers a term.
    Softmax,
    /// B by columns, c² numbers a term.
    Dense,
}

/// B, s and e of the terms of a batch.
#[derive(Debug, Default)]
pub(super) struct Factors {
    kind: Kind,
    c: usize,
    b: Vec<f64>,
    /// The likeliest class of each term.
    top: Vec<usize>,
    /// s, q numbers a term.
    pub(super) s: Vec<f64>,
    /// e, c numbers a term.
    pub(super) e: Vec<f64>,
    /// Whether any e is not zero.
    pub(super) rest: bool,
    one: Vec<f64>,
    eigen: SymmetricEigen,
}

impl Factors {
    /// q.
    pub(super) fn width(&self) -> usize {
        match self.kind {
            Kind::Softmax => self.c - 1,
            _ => self.c,
        }
    }

    /// Whether all B are unit matrices.
    pub(super) fn is_one(&self) -> bool {
        self.kind == Kind::One
    }

    /// Takes the batch of `terms` terms with the outputs z and the slopes r.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a Q that is not positive semidefinite.
    pub(super) fn load(
        &mut self,
        loss: &OutputLoss<'_>,
        batch: Batch<'_>,
        c: usize,
        z: &[f64],
        r: &[f64],
    ) -> Result<(), Error> {
        let terms = z.len() / c;
        self.c = c;
        self.kind = match loss {
            OutputLoss::Squared { weights: None, .. } => Kind::One,
            OutputLoss::Squared { .. } | OutputLoss::Logistic { .. } => Kind::Diagonal,
            OutputLoss::Softmax { .. } => Kind::Softmax,
            OutputLoss::General(_) => Kind::Dense,
        };
        let each = match self.kind {
            Kind::One => 0,
            Kind::Diagonal | Kind::Softmax => c,
            Kind::Dense => c * c,
        };
        let width = self.width();
        self.b.resize(terms * each, 0.0);
        self.top.resize(terms, 0);
        self.s.resize(terms * width, 0.0);
        self.e.resize(terms * c, 0.0);
        self.e.fill(0.0);
        self.rest = false;
        for k in 0..terms {
            let term = batch.term(k);
            let (z, r) = (&z[k * c..(k + 1) * c], &r[k * c..(k + 1) * c]);
            let b = &mut self.b[k * each..(k + 1) * each];
            let s = &mut self.s[k * width..(k + 1) * width];
            let e = &mut self.e[k * c..(k + 1) * c];
            let fits = match loss {
                OutputLoss::Squared { weights: None, .. } => {
                    s.copy_from_slice(r);
                    true
                }
                OutputLoss::Squared {
                    targets,
                    weights: Some(weights),
                } => {
                    let y = &targets[term * c..(term + 1) * c];
                    for (k, s) in s.iter_mut().enumerate() {
                        b[k] = weights[k].sqrt();
                        *s = b[k] * (z[k] - y[k]);
                    }
                    true
                }
                OutputLoss::Logistic { signs } => logistic(signs[term], z[0], b, s),
                OutputLoss::Softmax { classes } => {
                    self.top[k] = largest(z);
                    softmax(classes[term] as usize, self.top[k], z, b, s)
                }
                OutputLoss::General(loss) => {
                    self.one.resize(c * c, 0.0);
                    loss.curvature(term, z, &mut self.one);
                    root(&mut self.eigen, &self.one, term, r, b, s, e)?
                }
            };
            if !fits {
                s.fill(0.0);
                e.copy_from_slice(r);
            }
            self.rest |= e.iter().any(|e| *e != 0.0);
        }
        Ok(())
    }

    /// Overwrites the first q of the c numbers `v` of term k by Bᵀv.
    pub(super) fn transpose(&self, k: usize, v: &mut [f64], work: &mut [f64]) {
        let c = self.c;
        match self.kind {
            Kind::One => {}
            Kind::Diagonal => {
                for (v, b) in v.iter_mut().zip(&self.b[k * c..]) {
                    *v *= b;
                }
            }
            Kind::Softmax => {
                let (root, top) = (&self.b[k * c..(k + 1) * c], self.top[k]);
                for (v, root) in v.iter_mut().zip(root) {
                    *v *= root;
                }
                reflect(root, top, v);
                v[top] = v[c - 1];
            }
            Kind::Dense => {
                work[..c].copy_from_slice(v);
                let columns = self.b[k * c * c..].chunks(c);
                for (v, column) in v.iter_mut().zip(columns) {
                    *v = column.iter().zip(&work[..c]).map(|(b, v)| b * v).sum();
                }
            }
        }
    }

    /// Overwrites the c numbers `a` of term k, of which the first q are given, by Ba.
    pub(super) fn apply(&self, k: usize, a: &mut [f64], work: &mut [f64]) {
        let c = self.c;
        match self.kind {
            Kind::One => {}
            Kind::Diagonal => self.transpose(k, a, work),
            Kind::Softmax => {
                let (root, top) = (&self.b[k * c..(k + 1) * c], self.top[k]);
                a[c - 1] = a[top];
                a[top] = 0.0;
                reflect(root, top, a);
                for (a, root) in a.iter_mut().zip(root) {
                    *a *= root;
                }
            }
            Kind::Dense => {
                work[..c].copy_from_slice(a);
                a.fill(0.0);
                let columns = self.b[k * c * c..].chunks(c);
                for (w, column) in work[..c].iter().zip(columns) {
                    axpy(*w, column, a);
                }
            }
        }
    }
}

/// v ← (I − wwᵀ/(1 + √p_t))v, w = √p + e_t.
fn reflect(root: &[f64], top: usize, v: &mut [f64]) {
    let inner: f64 = root.iter().zip(v.iter()).map(|(w, v)| w * v).sum();
    let factor = (inner + v[top]) / (1.0 + root[top]);
    for (v, w) in v.iter_mut().zip(root) {
        *v -= factor * w;
    }
    v[top] -= factor;
}

/// False if s would overflow.
fn logistic(y: f64, z: f64, b: &mut [f64], s: &mut [f64]) -> bool {
    // √(σ(z)σ(−z)) = exp(−|z|/2)/(1 + exp(−|z|)).
    b[0] = (-0.5 * z.abs()).exp() / (1.0 + (-z.abs()).exp());
    s[0] = -y * (-0.5 * y * z).exp();
    y * z >= UNLIKELY
}

/// False if s would overflow.
fn softmax(y: usize, top: usize, z: &[f64], root: &mut [f64], s: &mut [f64]) -> bool {
    let others = (0..z.len()).filter(|&k| k != top);
    let rest: f64 = others.map(|k| (z[k] - z[top]).exp()).sum();
    let norm = (1.0 + rest).sqrt();
    for (root, m) in root.iter_mut().zip(z) {
        *root = (0.5 * (m - z[top])).exp() / norm;
    }
    let log = (z[y] - z[top]) - rest.ln_1p();
    // What multiplies √p in −Uᵀe_y/√p_y.
    let factor = if y == top {
        1.0 / root[top]
    } else {
        1.0 / (1.0 + root[top])
    };
    for k in (0..z.len()).filter(|&k| k != top) {
        let own = if k == y { (-0.5 * log).exp() } else { 0.0 };
        let at = if k + 1 == z.len() { top } else { k };
        s[at] = factor * root[k] - own;
    }
    log >= UNLIKELY
}

/// B = V√Λ of Q = VΛVᵀ, s = Λ^(−1/2)Vᵀr and e = r − Bs, both on the range of Q.
fn root(
    eigen: &mut SymmetricEigen,
    q: &[f64],
    term: usize,
    r: &[f64],
    b: &mut [f64],
    s: &mut [f64],
    e: &mut [f64],
) -> Result<bool, Error> {
    let c = r.len();
    let matrix = MatRef::from_column_major_slice(q, c, c);
    eigen
        .factor(SymView::Dense(matrix, Stored::Lower))
        .map_err(|breakdown| Error::Data(format!("Q of term {term}: {breakdown}")))?;
    let (least, most) = (eigen.values()[0], eigen.values()[c - 1]);
    let largest = most.abs().max(least.abs());
    if least < -NEGATIVE * largest {
        let value = format!("an eigenvalue {least:e} at term {term}");
        let requirement = "positive semidefinite: the loss convex in the outputs";
        return Err(Error::parameter("Q", value, requirement));
    }
    e.copy_from_slice(r);
    let pairs = eigen.values().iter().zip(eigen.columns());
    for (k, (value, vector)) in pairs.enumerate() {
        let column = &mut b[k * c..(k + 1) * c];
        if *value <= c as f64 * f64::EPSILON * largest {
            column.fill(0.0);
            s[k] = 0.0;
            continue;
        }
        let size = value.sqrt();
        let along = dot(vector, r);
        s[k] = along / size;
        axpy(-along, vector, e);
        for (b, v) in column.iter_mut().zip(vector) {
            *b = size * v;
        }
    }
    // What rounding leaves of a slope in the range is no rest.
    let slope = norm(r);
    if norm(e) <= 8.0 * c as f64 * f64::EPSILON * slope {
        e.fill(0.0);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output_model::ConvexLoss;

    /// ½(aᵀz)² + tᵀz, whose slope leaves the range of Q.
    #[derive(Debug)]
    struct Plane;

    impl ConvexLoss for Plane {
        fn value(&self, _: usize, z: &[f64]) -> f64 {
            0.5 * (z[0] + 2.0 * z[1]).powi(2) + z[2]
        }
        fn slope(&self, _: usize, z: &[f64], r: &mut [f64]) {
            let inner = z[0] + 2.0 * z[1];
            r.copy_from_slice(&[inner, 2.0 * inner, 1.0]);
        }
        fn curvature(&self, _: usize, _: &[f64], q: &mut [f64]) {
            q.copy_from_slice(&[1.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }

    /// Q as BBᵀ, r as Bs + e.
    fn assert_factors(loss: &OutputLoss<'_>, z: &[f64]) {
        let c = z.len();
        let (mut q, mut r) = (vec![0.0; c * c], vec![0.0; c]);
        loss.curvature(0, z, &mut q);
        loss.slope(0, z, &mut r);
        let mut factors = Factors::default();
        factors.load(loss, Batch::All, c, z, &r).unwrap();
        let mut work = vec![0.0; c];
        for k in 0..c {
            let mut column = vec![0.0; c];
            column[k] = 1.0;
            factors.transpose(0, &mut column, &mut work);
            factors.apply(0, &mut column, &mut work);
            for (l, product) in column.iter().enumerate() {
                let exact = q[l * c + k];
                let scale = (q[k * c + k].sqrt() * q[l * c + l].sqrt()).max(f64::MIN_POSITIVE);
                assert!(
                    (product - exact).abs() <= 1e-14 * scale,
                    "{product} {exact}"
                );
            }
        }
        let mut sum = vec![0.0; c];
        sum[..factors.width()].copy_from_slice(&factors.s);
        factors.apply(0, &mut sum, &mut work);
        for ((sum, e), r) in sum.iter().zip(&factors.e).zip(&r) {
            assert!(
                (sum + e - r).abs() <= 1e-14 * norm(&[*r]).max(1e-300),
                "{sum} {e} {r}"
            );
        }
    }

    #[test]
    fn gauss_newton_factors_give_curvature_and_slope() {
        for z in [
            [0.3, -1.0, 2.0],
            [50.0, -60.0, 0.0],
            [0.0, 0.0, 700.0],
            [-900.0, 3.0, 2.5],
        ] {
            for y in [0, 1, 2] {
                assert_factors(&OutputLoss::Softmax { classes: &[y] }, &z);
            }
        }
        for z in [0.0, 2.0, -30.0, 650.0, -650.0, -1390.0] {
            for y in [1.0, -1.0] {
                assert_factors(&OutputLoss::Logistic { signs: &[y] }, &[z]);
            }
        }
        let squared = |weights| OutputLoss::Squared {
            targets: &[1.0, -2.0],
            weights,
        };
        assert_factors(&squared(None), &[3.0, 5.0]);
        assert_factors(&squared(Some(&[0.0, 4.0])), &[3.0, 5.0]);
        assert_factors(&OutputLoss::General(&Plane), &[0.5, 1.0, 7.0]);
    }
}
