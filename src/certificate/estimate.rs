//! Two numbers that a user may give and that are measured where none is given.

use super::multiply;
use crate::linear::leftmost::Leftmost;
use crate::linear::{axpy, normalize};
use crate::oracle::{Abort, Oracle};
use crate::parallel::norm;
use crate::stochastic::Stream;

/// Factor between the largest difference quotient seen and the estimate of L.
pub(super) const SAFETY: f64 = 2.0;
/// Radii of the neighbours, in turn, relative to the length given.
const RADII: [f64; 2] = [2.0, 0.5];
/// Chains of directions: one starts with Newton's step, one at random.
const CHAINS: usize = 2;
/// Dimension of the Krylov space in which ‖H(y) − H(x)‖ is found.
const KRYLOV: usize = 8;
/// How often a neighbour that is not finite is moved half the way to x.
const HALVINGS: usize = 4;

/// The largest ‖H(x + rv) − H(x)‖/r over `samples` neighbours, times [`SAFETY`], and how many counted.
///
/// After the first of a chain, v is the least eigenvector of the difference before: the norm of
/// the symmetric form D³f is attained where all three vectors are equal, and this is its power
/// iteration. Costs one Hessian a sample and, for each, at most 16 products with H at x and there.
pub(super) fn lipschitz(
    x: &[f64],
    newton: &[f64],
    length: f64,
    samples: usize,
    here: &mut dyn Oracle,
    there: &mut dyn Oracle,
    stream: &mut Stream,
) -> Result<Option<(f64, usize)>, Abort> {
    let n = x.len();
    let mut leftmost = Leftmost::new();
    let (mut v, mut y, mut base) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let (mut largest, mut counted) = (0.0f64, 0);
    for k in 0..samples {
        if k == 0 {
            v.copy_from_slice(newton);
        }
        if k == samples.div_ceil(CHAINS) || (k == 0 && !normalize(&mut v)) {
            random(&mut v, stream);
        }
        let mut r = RADII[k % RADII.len()] * length;
        for _ in 0..HALVINGS {
            let moved = step(x, &v, r, &mut y);
            if !(moved > 0.0 && moved.is_finite()) {
                break;
            }
            there.refresh(&y)?;
            let mut difference = |u: &[f64], out: &mut [f64]| {
                multiply(here, u, &mut base)?;
                multiply(there, u, out)?;
                for (out, base) in out.iter_mut().zip(&base) {
                    *out = (*out - base) / moved;
                }
                Ok(())
            };
            let ends = leftmost.of_products(n, &mut difference, stream, KRYLOV.min(n))?;
            if let Some(ends) = ends {
                largest = largest.max(ends.scale);
                counted += 1;
                v.copy_from_slice(leftmost.vector());
                break;
            }
            r *= 0.5;
        }
    }
    Ok((counted > 0).then_some((SAFETY * largest, counted)))
}

/// The largest ‖g(y) − g(x) − H(y − x)‖ over neighbours so near that it is the rounding of g:
/// at 10⁻¹⁰‖x‖ and at a thousandth of Newton's step. Two gradients and products.
pub(super) fn gradient_noise(
    x: &[f64],
    g: &[f64],
    newton: f64,
    here: &mut dyn Oracle,
    stream: &mut Stream,
) -> Result<f64, Abort> {
    let n = x.len();
    let (mut v, mut y) = (vec![0.0; n], vec![0.0; n]);
    let (mut there, mut image) = (vec![0.0; n], vec![0.0; n]);
    let mut noise = 0.0f64;
    for r in [1e-10 * norm(x), 1e-3 * newton] {
        random(&mut v, stream);
        let moved = step(x, &v, r, &mut y);
        if !(moved > 0.0 && moved.is_finite()) {
            continue;
        }
        here.gradient(&y, &mut there)?;
        for ((y, x), v) in y.iter().zip(x).zip(&mut v) {
            *v = y - x;
        }
        multiply(here, &v, &mut image)?;
        axpy(-1.0, g, &mut there);
        axpy(-1.0, &image, &mut there);
        let defect = norm(&there);
        if defect.is_finite() {
            noise = noise.max(defect);
        }
    }
    Ok(noise)
}

/// y = x + rv as rounded, and its true distance from x.
fn step(x: &[f64], v: &[f64], r: f64, y: &mut [f64]) -> f64 {
    let mut moved = vec![0.0; x.len()];
    for (((y, x), v), d) in y.iter_mut().zip(x).zip(v).zip(&mut moved) {
        *y = x + r * v;
        *d = *y - x;
    }
    norm(&moved)
}

/// A uniformly distributed unit vector.
fn random(v: &mut [f64], stream: &mut Stream) {
    for v in v.iter_mut() {
        *v = stream.normal();
    }
    normalize(v);
}
