//! Saddle-free steps p(λ) = −U(|D| + λI)⁻¹Uᵀg with H = UDUᵀ.
//!
//! A matrix is decomposed once, after which a λ costs O(n²). Products go to a Krylov space with
//! basis V and VᵀHV = T = YΘYᵀ: U is VY and D is Θ there, and a λ costs O(nk).

use super::{Direction, Fault, Iterate, NONNEGATIVE, Proposal};
use crate::edge::{Stored, SymView};
use crate::error::Error;
use crate::linear::cg::Operator;
use crate::linear::lanczos::{Lanczos, LanczosEnd};
use crate::linear::{SymmetricEigen, axpy};
use crate::oracle::{Abort, Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::status::Failed;
use faer::MatRef;

/// Default of the largest dimension of the Krylov space.
const KRYLOV: usize = 30;
/// Factor on a damping that all but removes it.
const RELAXATION: f64 = 1e-8;

/// The steps of the saddle-free method, and their workspace.
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SaddleFreeStep {
    /// Most vectors of a Krylov space.
    pub(crate) krylov: usize,
    /// The gradient that the Krylov space in use was started with; empty for a matrix.
    start: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

impl Default for SaddleFreeStep {
    fn default() -> Self {
        SaddleFreeStep {
            krylov: KRYLOV,
            start: Vec::new(),
            work: Work::default(),
        }
    }
}

// A clone starts with an empty workspace, which is made again at the next iteration.
impl Clone for SaddleFreeStep {
    fn clone(&self) -> Self {
        SaddleFreeStep {
            krylov: self.krylov,
            start: self.start.clone(),
            work: Work::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Work {
    /// H, or T.
    eigen: SymmetricEigen,
    lanczos: Lanczos,
    is_krylov: bool,
    /// Whether the Krylov space is still to be made.
    open: bool,
    /// T as a full matrix.
    full: Vec<f64>,
    /// Uᵀg.
    gradient: Vec<f64>,
    /// Vᵀg, and Yw.
    inner: Vec<f64>,
    /// w = −(|D| + λI)⁻¹Uᵀg.
    weights: Vec<f64>,
}

impl Work {
    /// The eigenvalue of the largest magnitude, as that.
    fn scale(&self) -> f64 {
        let d = self.eigen.values();
        let ends = d.first().zip(d.last());
        ends.map_or(0.0, |(low, high)| low.abs().max(high.abs()))
    }

    /// Spans the Krylov space of H and g.
    fn span(
        &mut self,
        g: &[f64],
        krylov: usize,
        multiply: &mut Operator<'_, Abort>,
    ) -> Result<(), Fault> {
        self.open = false;
        self.lanczos.set_limit(krylov);
        self.lanczos.start(g);
        let end = self.lanczos.extend(krylov, multiply, &mut |_, _| false)?;
        if end == LanczosEnd::NonFinite {
            return Err(Failed::NonFinite.into());
        }
        let t = self.lanczos.matrix();
        let k = t.diagonal().len();
        self.full.clear();
        self.full.resize(k * k, 0.0);
        for (j, d) in t.diagonal().iter().enumerate() {
            self.full[j * k + j] = *d;
        }
        for (j, off) in t.off_diagonal().iter().enumerate() {
            self.full[j * k + j + 1] = *off;
        }
        if k > 0 {
            let full = MatRef::from_column_major_slice(&self.full, k, k);
            self.eigen.factor(SymView::Dense(full, Stored::Lower))?;
        }
        Ok(())
    }

    /// Uᵀg.
    fn project(&mut self, g: &[f64]) {
        let columns = self.eigen.columns();
        self.gradient.clear();
        if self.is_krylov {
            let k = self.lanczos.dimension();
            let vectors = (0..k).filter_map(|j| self.lanczos.vector(j));
            self.inner.clear();
            self.inner.extend(vectors.map(|v| dot(v, g)));
            self.gradient.extend(columns.map(|y| dot(y, &self.inner)));
        } else {
            self.gradient.extend(columns.map(|u| dot(u, g)));
        }
    }

    /// Decrease of gᵀp + ½pᵀHp by p(λ), whose weights are left; [`None`] where |D| + λI is singular.
    fn weigh(&mut self, shift: f64) -> Option<f64> {
        self.weights.clear();
        let mut predicted = 0.0;
        for (&d, &c) in self.eigen.values().iter().zip(&self.gradient) {
            let w = if c == 0.0 { 0.0 } else { c / (d.abs() + shift) };
            predicted += w * (c - 0.5 * d * w);
            self.weights.push(-w);
        }
        predicted.is_finite().then_some(predicted)
    }

    /// Writes Uw.
    fn expand(&mut self, out: &mut [f64]) {
        let terms = self.weights.iter().zip(self.eigen.columns());
        if self.is_krylov {
            self.inner.clear();
            self.inner.resize(self.weights.len(), 0.0);
            for (w, y) in terms {
                axpy(*w, y, &mut self.inner);
            }
            self.lanczos.expand(&self.inner, out);
        } else {
            out.fill(0.0);
            for (w, u) in terms {
                axpy(*w, u, out);
            }
        }
    }
}

impl Direction for SaddleFreeStep {
    fn load(&mut self, oracle: &mut Counted<'_>, _: usize, again: bool) -> Result<(), Fault> {
        let work = &mut self.work;
        match oracle.inner.curvature() {
            Curvature::Matrix(view) => {
                work.is_krylov = false;
                oracle.report.factorizations += u64::from(!again);
                work.eigen.factor(view)?;
            }
            Curvature::Products => {
                work.is_krylov = true;
                work.open = true;
                if again {
                    let inner = &mut *oracle.inner;
                    work.span(&self.start, self.krylov, &mut |v, out| {
                        inner.product(v, out)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn prepare(&mut self, oracle: &mut Counted<'_>, at: &Iterate, _: f64) -> Result<(), Fault> {
        let work = &mut self.work;
        if work.is_krylov && work.open {
            self.start.clone_from(&at.g);
            work.span(&at.g, self.krylov, &mut |v, out| oracle.product(v, out))?;
        }
        work.project(&at.g);
        let negligible = NONNEGATIVE * work.scale();
        let negative = work.eigen.values().iter().filter(|d| **d < -negligible);
        oracle.report.index = negative.count() as u64;
        Ok(())
    }

    fn step(
        &mut self,
        oracle: &mut Counted<'_>,
        _: &Iterate,
        control: f64,
        out: &mut [f64],
    ) -> Result<Option<Proposal>, Fault> {
        let work = &mut self.work;
        let Some(predicted) = work.weigh(control) else {
            return Ok(None);
        };
        work.expand(out);
        oracle.report.solves += 1;
        oracle.report.shift = control;
        Ok(Some(Proposal {
            predicted,
            length: norm(&work.weights),
            multiplier: control,
        }))
    }

    fn unrestricted(
        &mut self,
        _: &mut Counted<'_>,
        _: &Iterate,
        control: f64,
    ) -> Result<f64, Fault> {
        if !self.is_convex_known() {
            return Ok(f64::INFINITY);
        }
        let predicted = self.work.weigh(RELAXATION * control);
        Ok(predicted.unwrap_or(f64::INFINITY))
    }

    fn check(&self) -> Result<(), Error> {
        if self.krylov < 2 {
            let requirement = "at least 2 vectors";
            return Err(Error::parameter("krylov", self.krylov as f64, requirement));
        }
        Ok(())
    }

    fn is_reusable(&self) -> bool {
        true
    }

    fn curvature_scale(&mut self, _: &mut Counted<'_>, at: &Iterate) -> Result<f64, Fault> {
        let scales = [self.work.scale(), at.slope];
        Ok(scales.into_iter().find(|s| s.is_normal()).unwrap_or(1.0))
    }

    /// A Krylov space of the gradient may miss what is negative.
    fn is_convex(&mut self, _: &mut Counted<'_>) -> Result<bool, Fault> {
        Ok(!self.work.is_krylov && self.is_convex_known())
    }
}

impl SaddleFreeStep {
    /// Whether no eigenvalue that is seen is negative.
    fn is_convex_known(&self) -> bool {
        let least = self.work.eigen.values().first();
        least.is_none_or(|d| *d >= -NONNEGATIVE * self.work.scale())
    }
}
