//! The sparsification of the Newton matrix by itself, to be timed and checked from outside.

use super::bands::Bands;
use super::potentials;
use super::problem::Transport;
use super::semidual::Point;
use crate::error::Error;

/// A point of the semi-dual with the large entries of P there; see `kept.rs`.
#[derive(Debug)]
pub struct Sparsification<'a> {
    transport: &'a Transport,
    eps: f64,
    at: Point,
    bands: Bands,
    limit: Vec<f64>,
    /// r (1 + λ_a).
    divisors: Vec<f64>,
}

impl<'a> Sparsification<'a> {
    /// Closes the longer side at the potentials x = (f, g), of which those of the shorter side count,
    /// g if n = m.
    ///
    /// # Errors
    /// [`Error::WrongLength`] and [`Error::NonFinite`] of x; [`Error::InvalidParameter`] unless
    /// ε is positive and finite.
    pub fn new(transport: &'a Transport, eps: f64, x: &[f64]) -> Result<Self, Error> {
        potentials::check(x, transport)?;
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(Error::parameter("eps", eps, "positive and finite"));
        }
        let problem = transport.reduced();
        let (mut bands, mut at) = (Bands::default(), Point::default());
        bands.resize(problem);
        at.resize(problem);
        potentials::read(x, transport, eps, &mut at.u);
        at.evaluate(problem, eps, &mut bands);
        let (slack, _) = problem.slack(eps);
        Ok(Sparsification {
            transport,
            eps,
            divisors: at.r.iter().map(|r| r * (1.0 + slack)).collect(),
            limit: vec![0.0; problem.stride()],
            at,
            bands,
        })
    }

    /// Keeps the entries above the share θ of their row or column; returns their number.
    pub fn keep(&mut self, theta: f64) -> usize {
        let problem = self.transport.reduced();
        let test = (theta, &self.divisors[..]);
        self.bands
            .keep(problem, self.eps, &self.at, test, &mut self.limit)
    }

    /// The kept entries (i, j, P_ij), which are rounded to single precision.
    pub fn entries(&self) -> Vec<(usize, usize, f64)> {
        let problem = self.transport.reduced();
        let mut entries = Vec::new();
        for band in &self.bands.bands {
            for k in 0..band.rows.len() {
                let (col, value) = band.kept.row(k);
                let row = problem.rows[band.first + k];
                for (&j, &s) in col.iter().zip(value) {
                    let col = problem.cols[j as usize];
                    let (i, j) = match problem.transposed {
                        false => (row, col),
                        true => (col, row),
                    };
                    entries.push((i, j, problem.mass * f64::from(s)));
                }
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn entries_stand_where_the_user_has_them() {
        let cost = |i: usize, j: usize| ((3 * i + 5 * j) % 7) as f64 / 2.0;
        let side = |a: &[f64], b: &[f64]| {
            let (n, m) = (a.len(), b.len());
            let transport = Transport::new(Mat::from_fn(n, m, cost), a.to_vec(), b.to_vec());
            let transport = transport.unwrap();
            let x: Vec<f64> = (0..n + m).map(|k| (k as f64).sin()).collect();
            let mut all = Sparsification::new(&transport, 0.5, &x).unwrap();
            let count = all.keep(1e-30);
            let found = all.entries();
            assert_eq!(found.len(), count);
            let mass = |v: &[f64]| v.iter().filter(|v| **v > 0.0).count();
            assert_eq!(count, mass(a) * mass(b));
            for &(i, j, p) in &found {
                // The longer side is closed.
                let weight = |i: usize, j: usize| {
                    let potential = if n < m { x[i] } else { x[n + j] };
                    ((potential - cost(i, j)) / 0.5).exp()
                };
                let exact = if n < m {
                    let rows = (0..n).filter(|&k| a[k] > 0.0);
                    b[j] * weight(i, j) / rows.map(|k| weight(k, j)).sum::<f64>()
                } else {
                    let columns = (0..m).filter(|&k| b[k] > 0.0);
                    a[i] * weight(i, j) / columns.map(|k| weight(i, k)).sum::<f64>()
                };
                assert!((p - exact).abs() <= 1e-7 * exact, "({i}, {j}): {p} {exact}");
            }
            assert!(all.keep(0.3) < count);
            assert!(Sparsification::new(&transport, 0.0, &x).is_err());
            assert!(Sparsification::new(&transport, 0.5, &x[1..]).is_err());
        };
        let (short, long) = ([2.0, 0.0, 1.0], [0.5, 1.0, 0.25, 0.0, 1.25]);
        side(&short, &long);
        side(&long, &short);
    }
}
