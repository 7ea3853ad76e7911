//! Ground costs C, n x m: a table, points with a metric, or a function.
//!
//! A table is stored once, by rows. Points and functions are evaluated on the fly, row by row,
//! so that n·m numbers are never stored.

use crate::edge::{RectMat, RectView};
use crate::error::{Error, finite};
use crate::simd::distances;
use std::fmt;
use std::sync::Arc;

/// Rows are padded to a multiple of this many entries.
pub(crate) const LANES: usize = 8;

pub(crate) fn padded(m: usize) -> usize {
    m.next_multiple_of(LANES)
}

/// What it costs to carry a unit of mass from x to y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// ‖x − y‖₂².
    SquaredL2,
    /// ‖x − y‖₂.
    L2,
    /// ‖x − y‖₁.
    L1,
    /// 1 − xᵀy/(‖x‖‖y‖).
    Cosine,
}

type Function = Arc<dyn Fn(usize, usize) -> f64 + Send + Sync>;

#[derive(Clone)]
enum Form {
    /// By rows, padded by +∞.
    Table(Arc<Vec<f64>>),
    /// x by points, y by coordinates and padded.
    Points {
        x: Arc<Vec<f64>>,
        y: Arc<Vec<f64>>,
        dimension: usize,
        metric: Metric,
    },
    Function {
        f: Function,
        rows: Arc<Vec<usize>>,
        cols: Arc<Vec<usize>>,
        transposed: bool,
    },
}

/// A ground cost C, n x m. +∞ forbids a pair.
#[derive(Clone)]
pub struct Cost {
    form: Form,
    n: usize,
    m: usize,
    /// The true costs are these times `scale`.
    scale: f64,
}

impl fmt::Debug for Cost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Table(_) => "table",
            Form::Points { .. } => "points",
            Form::Function { .. } => "function",
        };
        write!(out, "Cost({form}, {} x {})", self.n, self.m)
    }
}

/// What [`Transport::new`](super::Transport::new) takes as cost: a [`Cost`] or any matrix.
pub trait IntoCost {
    /// As a [`Cost`].
    ///
    /// # Errors
    /// [`Error::Data`] for rows of different lengths.
    fn into_cost(self) -> Result<Cost, Error>;
}

impl IntoCost for Cost {
    fn into_cost(self) -> Result<Cost, Error> {
        Ok(self)
    }
}

impl<M: RectMat> IntoCost for M {
    fn into_cost(self) -> Result<Cost, Error> {
        Cost::matrix(&self)
    }
}

impl Cost {
    /// The entries of a matrix, copied by rows.
    ///
    /// # Errors
    /// [`Error::Data`] for rows of different lengths.
    pub fn matrix(matrix: &impl RectMat) -> Result<Self, Error> {
        let view = matrix.rect();
        if let RectView::Indexed(entries) = view
            && entries.ncols().is_none()
        {
            return Err(Error::Data("the rows of the cost differ in length".into()));
        }
        let (n, m) = (view.nrows(), view.ncols());
        Ok(Self::table(n, m, |i, j| view.entry(i, j)))
    }

    fn table(n: usize, m: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let stride = padded(m);
        let mut data = vec![f64::INFINITY; n * stride];
        for (i, row) in data.chunks_exact_mut(stride.max(1)).enumerate() {
            for (j, c) in row[..m].iter_mut().enumerate() {
                *c = entry(i, j);
            }
        }
        Cost {
            form: Form::Table(Arc::new(data)),
            n,
            m,
            scale: 1.0,
        }
    }

    /// Between the points of two clouds, the coordinates of one point after the other.
    ///
    /// O(`dimension`) operations per entry and pass, O((n + m)·`dimension`) memory.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for dimension 0, [`Error::WrongLength`] if a cloud is not made
    /// of whole points, [`Error::NonFinite`]; [`Error::Data`] for a point of norm zero under
    /// [`Metric::Cosine`].
    pub fn points(x: &[f64], y: &[f64], dimension: usize, metric: Metric) -> Result<Self, Error> {
        if dimension == 0 {
            return Err(Error::parameter("dimension", dimension, "at least 1"));
        }
        let whole = |what, cloud: &[f64]| {
            let expected = cloud.len() / dimension * dimension;
            crate::error::length(what, expected, cloud.len())?;
            finite(what, cloud)
        };
        whole("points of the source", x)?;
        whole("points of the target", y)?;
        let (mut x, mut y) = (x.to_vec(), y.to_vec());
        if metric == Metric::Cosine {
            normalize(&mut x, dimension, "source")?;
            normalize(&mut y, dimension, "target")?;
        }
        Ok(Self::cloud(x, &y, dimension, metric, 1.0))
    }

    fn cloud(x: Vec<f64>, y: &[f64], dimension: usize, metric: Metric, scale: f64) -> Self {
        let (n, m) = (x.len() / dimension, y.len() / dimension);
        let stride = padded(m);
        let mut columns = vec![0.0; stride * dimension];
        for (j, point) in y.chunks_exact(dimension).enumerate() {
            for (d, &v) in point.iter().enumerate() {
                columns[d * stride + j] = v;
            }
        }
        Cost {
            form: Form::Points {
                x: Arc::new(x),
                y: Arc::new(columns),
                dimension,
                metric,
            },
            n,
            m,
            scale,
        }
    }

    /// Between the pixels of two images of `rows` x `columns`, with positions (row, column).
    ///
    /// # Errors
    /// As [`points`](Cost::points).
    pub fn grid(rows: usize, columns: usize, metric: Metric) -> Result<Self, Error> {
        let pixels: Vec<f64> = (0..rows)
            .flat_map(|r| (0..columns).flat_map(move |c| [r as f64, c as f64]))
            .collect();
        Self::points(&pixels, &pixels, 2, metric)
    }

    /// C_ij = `f`(i, j), evaluated anew in every pass.
    pub fn from_fn(
        n: usize,
        m: usize,
        f: impl Fn(usize, usize) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Cost {
            form: Form::Function {
                f: Arc::new(f),
                rows: Arc::new((0..n).collect()),
                cols: Arc::new((0..m).collect()),
                transposed: false,
            },
            n,
            m,
            scale: 1.0,
        }
    }

    /// The same cost times `factor` > 0, as to bring its maximum to 1.
    pub fn scaled(mut self, factor: f64) -> Self {
        self.scale *= factor;
        self
    }

    /// A further row and column of zeros, with +∞ where they meet.
    pub(crate) fn bordered(&self) -> Cost {
        let (n, m) = (self.n, self.m);
        let mut buffer = vec![0.0; padded(m)];
        let stride = padded(m + 1);
        let mut data = vec![f64::INFINITY; (n + 1) * stride];
        for (i, row) in data.chunks_exact_mut(stride).enumerate() {
            if i == n {
                row[..m].fill(0.0);
                continue;
            }
            for (out, c) in row.iter_mut().zip(&self.row(i, &mut buffer)[..m]) {
                *out = c * self.scale;
            }
            row[m] = 0.0;
        }
        Cost {
            form: Form::Table(Arc::new(data)),
            n: n + 1,
            m: m + 1,
            scale: 1.0,
        }
    }

    /// n and m.
    pub fn shape(&self) -> (usize, usize) {
        (self.n, self.m)
    }

    /// The factor that [`row`](Cost::row) leaves out.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// Row i without the factor `scale`, padded by +∞; `buffer` has the padded length.
    pub(crate) fn row<'a>(&'a self, i: usize, buffer: &'a mut [f64]) -> &'a [f64] {
        let stride = padded(self.m);
        match &self.form {
            Form::Table(data) => return &data[i * stride..(i + 1) * stride],
            Form::Points {
                x,
                y,
                dimension,
                metric,
            } => {
                let point = &x[i * dimension..(i + 1) * dimension];
                match metric {
                    Metric::SquaredL2 => distances(buffer, point, y, stride, |d| d * d),
                    Metric::L1 => distances(buffer, point, y, stride, f64::abs),
                    Metric::L2 => {
                        distances(buffer, point, y, stride, |d| d * d);
                        buffer.iter_mut().for_each(|c| *c = c.sqrt());
                    }
                    // Of unit vectors ‖x − y‖²/2 = 1 − xᵀy, without cancellation.
                    Metric::Cosine => distances(buffer, point, y, stride, |d| 0.5 * d * d),
                }
            }
            Form::Function {
                f,
                rows,
                cols,
                transposed,
            } => {
                for (c, &j) in buffer.iter_mut().zip(cols.iter()) {
                    *c = if *transposed {
                        f(j, rows[i])
                    } else {
                        f(rows[i], j)
                    };
                }
            }
        }
        buffer[self.m..].fill(f64::INFINITY);
        buffer
    }

    /// Entry j of [`row`](Cost::row) i, to the bit.
    pub(crate) fn entry(&self, i: usize, j: usize) -> f64 {
        let stride = padded(self.m);
        match &self.form {
            Form::Table(data) => data[i * stride + j],
            Form::Points {
                x,
                y,
                dimension,
                metric,
            } => {
                let point = &x[i * dimension..(i + 1) * dimension];
                let differences = point.iter().enumerate().map(|(d, x)| x - y[d * stride + j]);
                match metric {
                    Metric::SquaredL2 => differences.map(|d| d * d).sum(),
                    Metric::L1 => differences.map(f64::abs).sum(),
                    Metric::L2 => differences.map(|d| d * d).sum::<f64>().sqrt(),
                    Metric::Cosine => differences.map(|d| 0.5 * d * d).sum(),
                }
            }
            Form::Function {
                f,
                rows,
                cols,
                transposed,
            } => {
                let (i, j) = (rows[i], cols[j]);
                if *transposed { f(j, i) } else { f(i, j) }
            }
        }
    }

    /// The part of it with the given rows and columns, transposed if so wished.
    pub(crate) fn restricted(&self, rows: &[usize], cols: &[usize], transpose: bool) -> Cost {
        if !transpose && (rows.len(), cols.len()) == (self.n, self.m) {
            return self.clone();
        }
        let (n, m) = if transpose {
            (cols.len(), rows.len())
        } else {
            (rows.len(), cols.len())
        };
        match &self.form {
            Form::Table(data) => {
                let stride = padded(self.m);
                let mut part = Cost::table(n, m, |i, j| {
                    let (i, j) = if transpose { (j, i) } else { (i, j) };
                    data[rows[i] * stride + cols[j]]
                });
                part.scale = self.scale;
                part
            }
            Form::Points {
                x,
                y,
                dimension,
                metric,
            } => {
                let d = *dimension;
                let stride = padded(self.m);
                let x = rows.iter().flat_map(|&i| x[i * d..(i + 1) * d].to_vec());
                let y = cols
                    .iter()
                    .flat_map(|&j| (0..d).map(move |k| y[k * stride + j]));
                let (x, y): (Vec<f64>, Vec<f64>) = (x.collect(), y.collect());
                let (x, y) = if transpose { (y, x) } else { (x, y) };
                Cost::cloud(x, &y, d, *metric, self.scale)
            }
            Form::Function {
                f,
                rows: r,
                cols: c,
                transposed,
            } => {
                let r = Arc::new(rows.iter().map(|&i| r[i]).collect());
                let c = Arc::new(cols.iter().map(|&j| c[j]).collect());
                let (rows, cols) = if transpose { (c, r) } else { (r, c) };
                Cost {
                    form: Form::Function {
                        f: f.clone(),
                        rows,
                        cols,
                        transposed: transposed ^ transpose,
                    },
                    n,
                    m,
                    scale: self.scale,
                }
            }
        }
    }
}

fn normalize(points: &mut [f64], dimension: usize, cloud: &str) -> Result<(), Error> {
    for (i, point) in points.chunks_exact_mut(dimension).enumerate() {
        let length = crate::parallel::norm(point);
        if length == 0.0 {
            return Err(Error::Data(format!(
                "point {i} of the {cloud} is zero, so it has no cosine; leave it out"
            )));
        }
        point.iter_mut().for_each(|v| *v /= length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(cost: &Cost) -> Vec<Vec<f64>> {
        let (n, m) = cost.shape();
        let mut buffer = vec![0.0; padded(m)];
        (0..n)
            .map(|i| {
                let row = cost.row(i, &mut buffer);
                assert!(row[m..].iter().all(|&c| c == f64::INFINITY));
                row[..m].to_vec()
            })
            .collect()
    }

    #[test]
    fn metrics_by_hand() {
        let (x, y) = ([0.0, 0.0, 3.0, 4.0], [3.0, 0.0, 0.0, 5.0, 6.0, 8.0]);
        let cost = |metric| all(&Cost::points(&x, &y, 2, metric).unwrap());
        assert_eq!(
            cost(Metric::SquaredL2),
            [[9.0, 25.0, 100.0], [16.0, 10.0, 25.0]]
        );
        assert_eq!(cost(Metric::L1), [[3.0, 5.0, 14.0], [4.0, 4.0, 7.0]]);
        assert_eq!(cost(Metric::L2)[0], [3.0, 5.0, 10.0]);
        let cosine = all(&Cost::points(&x[2..], &y, 2, Metric::Cosine).unwrap());
        for (c, exact) in cosine[0].iter().zip([0.4, 0.2, 0.0]) {
            assert!((c - exact).abs() < 1e-15);
        }
        assert!(Cost::points(&x, &y, 2, Metric::Cosine).is_err());
    }

    #[test]
    fn entries_have_the_bits_of_rows() {
        let values: Vec<f64> = (1..34).map(|k| (k as f64).sin()).collect();
        let (x, y) = values.split_at(12);
        for metric in [Metric::SquaredL2, Metric::L2, Metric::L1, Metric::Cosine] {
            let cost = Cost::points(x, y, 3, metric).unwrap();
            for (i, row) in all(&cost).iter().enumerate() {
                for (j, c) in row.iter().enumerate() {
                    assert_eq!(cost.entry(i, j).to_bits(), c.to_bits(), "{metric:?}");
                }
            }
        }
    }

    #[test]
    fn parts_and_transposes_of_every_form() {
        let (x, y) = ([0.0, 1.0, 3.0], [2.0, 5.0, 7.0, 11.0]);
        let points = Cost::points(&x, &y, 1, Metric::L1).unwrap();
        let function = Cost::from_fn(3, 4, move |i, j| (x[i] - y[j]).abs());
        let table = Cost::matrix(&all(&points)).unwrap();
        for cost in [points, function, table] {
            let part = cost.restricted(&[0, 2], &[1, 2, 3], true);
            assert_eq!(part.shape(), (3, 2));
            assert_eq!((part.entry(0, 1), part.entry(2, 0)), (2.0, 11.0));
            assert_eq!(all(&part), [[5.0, 2.0], [7.0, 4.0], [11.0, 8.0]]);
            let again = part.restricted(&[1, 2], &[1], true);
            assert_eq!(all(&again), [[4.0, 8.0]]);
        }
    }
}
