//! Sketch and project.
//!
//! z ← z − KS(SᵀK²S)⁺Sᵀr projects z, in the Euclidean norm, onto the solutions of the sketched
//! equations Sᵀ(Kz + N) = 0. The rows of SᵀK are made orthonormal one after the other, which
//! gives the projection without forming SᵀK²S, whose condition is the square; rows that depend
//! on earlier ones are left out.
//!
//! Reference: R. M. Gower, P. Richtárik, "Randomized iterative methods for linear systems", SIAM
//! J. Matrix Anal. Appl. 36 (2015); with single rows T. Strohmer, R. Vershynin, "A randomized
//! Kaczmarz algorithm with exponential convergence", J. Fourier Anal. Appl. 15 (2009).

use super::super::least_squares::LeastSquares;
use super::{InnerSolver, Sketch, Solution, System};
use crate::linear::{Inertia, axpy, for_each_lower};
use crate::oracle::{Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::status::Failed;
use crate::step::Fault;
use crate::stochastic::{Purpose, Stream};

/// Most sketched rows of one call.
const MOST: usize = 1_000_000;
/// r is computed anew after this many sketches.
const REFRESH: u64 = 1000;
/// A row is dependent if orthogonalization leaves less than this part of it.
const DEPENDENT: f64 = 1e-13;

/// Projections onto random equations.
#[derive(Debug)]
pub(in super::super) struct Projection {
    sketch: Sketch,
    /// The symmetric K in compressed columns.
    col_ptr: Vec<usize>,
    row_idx: Vec<usize>,
    values: Vec<f64>,
    next: Vec<usize>,
    /// Running sums of the squared norms of its rows.
    sums: Vec<f64>,
    chosen: Vec<usize>,
    /// S = one normal vector.
    normal: Vec<f64>,
    /// Orthonormal rows, one after the other, and the coordinates of the step in them.
    basis: Vec<f64>,
    coordinates: Vec<f64>,
    row: Vec<f64>,
    step: Vec<f64>,
    least_squares: LeastSquares,
}

impl Projection {
    pub(in super::super) fn new(sketch: Sketch) -> Self {
        Projection {
            sketch,
            col_ptr: Vec::new(),
            row_idx: Vec::new(),
            values: Vec::new(),
            next: Vec::new(),
            sums: Vec::new(),
            chosen: Vec::new(),
            normal: Vec::new(),
            basis: Vec::new(),
            coordinates: Vec::new(),
            row: Vec::new(),
            step: Vec::new(),
            least_squares: LeastSquares::default(),
        }
    }

    /// Takes over K, both triangles.
    fn assemble(&mut self, curvature: Curvature<'_>, system: System<'_>) -> Result<(), Failed> {
        let Curvature::Matrix(view) = curvature else {
            return Err(Failed::Breakdown);
        };
        let (n, order) = (system.n(), system.order());
        let jacobian = &system.at.jacobian;
        let visit = |push: &mut dyn FnMut(usize, usize, f64)| {
            for_each_lower(view, &mut |i, j, a| {
                push(i, j, a);
                if i != j {
                    push(j, i, a);
                }
            });
            for j in 0..n {
                push(j, j, system.shift);
                for (i, a) in jacobian.column(j) {
                    push(n + i, j, a);
                    push(j, n + i, a);
                }
            }
        };
        self.next.clear();
        self.next.resize(order + 1, 0);
        visit(&mut |_, j, _| self.next[j + 1] += 1);
        for j in 0..order {
            self.next[j + 1] += self.next[j];
        }
        self.col_ptr.clone_from(&self.next);
        self.row_idx.resize(self.next[order], 0);
        self.values.resize(self.next[order], 0.0);
        visit(&mut |i, j, a| {
            self.row_idx[self.next[j]] = i;
            self.values[self.next[j]] = a;
            self.next[j] += 1;
        });
        if self.values.iter().any(|a| !a.is_finite()) {
            return Err(Failed::NonFinite);
        }
        Ok(())
    }

    fn prepare(&mut self, order: usize) {
        self.sums.clear();
        let mut sum = 0.0;
        for j in 0..order {
            self.scatter(j, order);
            sum += dot(&self.row, &self.row);
            self.sums.push(sum);
        }
        for v in [&mut self.normal, &mut self.step] {
            v.resize(order, 0.0);
        }
        let q = self.sketch.size().min(order);
        self.basis.resize(q * order, 0.0);
        self.coordinates.resize(q, 0.0);
    }

    /// `row` = row j of K.
    fn scatter(&mut self, j: usize, order: usize) {
        self.row.clear();
        self.row.resize(order, 0.0);
        for k in self.col_ptr[j]..self.col_ptr[j + 1] {
            self.row[self.row_idx[k]] += self.values[k];
        }
    }

    /// Draws different rows with probabilities as their squared norms; rows of zeros never.
    fn draw(&mut self, random: &mut Stream) {
        self.chosen.clear();
        let order = self.sums.len();
        let total = self.sums.last().copied().unwrap_or(0.0);
        let wanted = self.sketch.size().min(order);
        if wanted == order {
            self.chosen.extend(0..order);
            return;
        }
        // Repetitions are drawn again, as often as that is likely to end.
        for _ in 0..20 * wanted {
            let at = total * random.uniform();
            let i = self.sums.partition_point(|sum| *sum <= at).min(order - 1);
            if !self.chosen.contains(&i) {
                self.chosen.push(i);
                if self.chosen.len() == wanted {
                    break;
                }
            }
        }
    }

    /// One projection.
    fn project(&mut self, residual: &[f64], random: &mut Stream) {
        let order = residual.len();
        let gaussian = matches!(self.sketch, Sketch::Gaussian(_));
        if !gaussian {
            self.draw(random);
        }
        let rows = if gaussian {
            self.sketch.size().min(order)
        } else {
            self.chosen.len()
        };
        self.step.fill(0.0);
        let mut rank = 0;
        for k in 0..rows {
            let mut value = if gaussian {
                self.normal.iter_mut().for_each(|s| *s = random.normal());
                self.row.clear();
                self.row.resize(order, 0.0);
                self.multiply_normal();
                dot(&self.normal, residual)
            } else {
                let i = self.chosen[k];
                self.scatter(i, order);
                residual[i]
            };
            let size = norm(&self.row);
            // Twice is enough.
            for _ in 0..2 {
                for (q, coordinate) in self
                    .basis
                    .chunks_exact(order)
                    .zip(&self.coordinates)
                    .take(rank)
                {
                    let overlap = dot(q, &self.row);
                    axpy(-overlap, q, &mut self.row);
                    value -= overlap * coordinate;
                }
            }
            let left = norm(&self.row);
            let independent = left > DEPENDENT * size;
            if !independent {
                continue;
            }
            let q = &mut self.basis[rank * order..(rank + 1) * order];
            for (q, a) in q.iter_mut().zip(&self.row) {
                *q = a / left;
            }
            self.coordinates[rank] = value / left;
            axpy(self.coordinates[rank], q, &mut self.step);
            rank += 1;
        }
    }

    /// `row` += K `normal`.
    fn multiply_normal(&mut self) {
        for (j, s) in self.normal.iter().enumerate() {
            for k in self.col_ptr[j]..self.col_ptr[j + 1] {
                self.row[self.row_idx[k]] += self.values[k] * s;
            }
        }
    }

    /// `residual` −= K `step`.
    fn update(&self, residual: &mut [f64]) {
        for (j, s) in self.step.iter().enumerate().filter(|(_, s)| **s != 0.0) {
            for k in self.col_ptr[j]..self.col_ptr[j + 1] {
                residual[self.row_idx[k]] -= self.values[k] * s;
            }
        }
    }
}

/// The projections together with the random numbers they draw.
pub(in super::super) struct Sketcher<'a> {
    pub(in super::super) projection: &'a mut Projection,
    pub(in super::super) random: &'a mut Stream,
}

impl InnerSolver for Sketcher<'_> {
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<Option<Inertia>, Fault> {
        self.projection.assemble(oracle.curvature(), system)?;
        self.projection.prepare(system.order());
        Ok(None)
    }

    fn improve(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        target: f64,
    ) -> Result<bool, Fault> {
        let most = MOST / self.projection.sketch.size().min(system.order()).max(1);
        let mut sketches = 0;
        while solution.size > target {
            if sketches as usize >= most || !solution.size.is_finite() {
                return Ok(false);
            }
            self.projection.project(&solution.residual, self.random);
            axpy(-1.0, &self.projection.step, &mut solution.z);
            self.projection.update(&mut solution.residual);
            solution.size = norm(&solution.residual);
            sketches += 1;
            oracle.report.inner_iterations += 1;
            if sketches % REFRESH == 0 || solution.size <= target {
                solution.refresh(oracle, system)?;
            }
        }
        Ok(true)
    }

    fn tangent(&mut self, system: System<'_>, p: &mut [f64]) -> Result<(), Fault> {
        self.projection
            .least_squares
            .project(&system.at.jacobian, p);
        Ok(())
    }
}

/// The stream that sketches of a `seed` are drawn from.
pub(in super::super) fn stream(seed: u64) -> Stream {
    Stream::new(seed, Purpose::Sketch)
}
