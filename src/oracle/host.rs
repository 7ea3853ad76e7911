//! A user's problem as an oracle.

use super::{Abort, Curvature, OUTPUTS, Oracle, Smooth, TRANSPORT};
use crate::edge::{RectView, VecLike};
use crate::finite_sum::Batch;
use crate::output_model::{OutputLoss, OutputModel};
use crate::status::Failed;
use crate::transport::Transport;
use argmin::core::Error;
use faer::MatMut;
use std::collections::HashMap;
use std::marker::PhantomData;

/// A user's problem as an [`Oracle`], with argmin's counters beside it.
pub(crate) struct HostOracle<'a, O: Smooth<C>, C> {
    problem: &'a O,
    counts: &'a mut HashMap<&'static str, u64>,
    point: O::Point,
    /// A gradient object of the user's type, to be overwritten and handed out.
    slope: Option<O::Slope>,
    kept: Option<O::Kept>,
    error: Option<Error>,
    source: PhantomData<fn() -> C>,
}

impl<'a, O: Smooth<C>, C> HostOracle<'a, O, C> {
    pub(crate) fn new(
        problem: &'a O,
        counts: &'a mut HashMap<&'static str, u64>,
        point: O::Point,
    ) -> Self {
        HostOracle {
            problem,
            counts,
            point,
            slope: None,
            kept: None,
            error: None,
            source: PhantomData,
        }
    }

    /// The buffer that held the trial points, and a gradient object.
    pub(crate) fn into_parts(self) -> (O::Point, Option<O::Slope>) {
        (self.point, self.slope)
    }

    pub(crate) fn into_point(self) -> O::Point {
        self.point
    }

    pub(crate) fn into_slope(self) -> Option<O::Slope> {
        self.slope
    }

    /// Whether an error is kept.
    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The error behind an [`Abort`], unchanged, so that `downcast` works.
    pub(crate) fn into_host_error(self) -> Error {
        self.error
            .unwrap_or_else(|| Error::msg("the problem failed without an error"))
    }

    /// The error behind an [`Abort`]; ours as it is, the user's as [`crate::Error::Problem`].
    pub(crate) fn into_error(self) -> crate::Error {
        match self.into_host_error().downcast::<crate::Error>() {
            Ok(ours) => ours,
            Err(users) => crate::Error::Problem(users),
        }
    }

    fn call<T>(
        &mut self,
        names: &[&'static str],
        x: &[f64],
        f: impl FnOnce(&O, &O::Point) -> Result<T, Error>,
    ) -> Result<T, Abort> {
        self.point.write(x);
        for name in names {
            *self.counts.entry(name).or_insert(0) += 1;
        }
        f(self.problem, &self.point).map_err(|e| self.abort(e))
    }

    fn abort(&mut self, error: Error) -> Abort {
        self.error = Some(error);
        Abort
    }

    fn store(&mut self, slope: O::Slope, out: &mut [f64]) -> Result<(), Abort> {
        if let Err(e) = crate::error::length("gradient", out.len(), slope.dimension()) {
            return Err(self.abort(e.into()));
        }
        slope.read(out);
        self.slope = Some(slope);
        Ok(())
    }

    fn kept(&self) -> Option<&O::Kept> {
        self.kept.as_ref()
    }

    /// Takes the curvature over that `evaluate` returns.
    fn keep(
        &mut self,
        names: &[&'static str],
        x: &[f64],
        evaluate: impl FnOnce(&O, &O::Point) -> Result<O::Kept, Error>,
    ) -> Result<(), Abort> {
        // The old Hessian goes first, so that two never live at once.
        self.kept = None;
        let kept = self.call(names, x, evaluate)?;
        if let Curvature::Matrix(view) = O::view(&kept)
            && let Err(e) = view.check_shape(x.len())
        {
            return Err(self.abort(e.into()));
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Number of terms in a batch.
    fn size(&self, batch: Batch<'_>) -> u64 {
        batch.len(self.problem.terms().unwrap_or(0)) as u64
    }

    /// Calls the model behind the outputs; as many gradients of terms are counted.
    fn ask<T>(
        &mut self,
        name: &'static str,
        gradients: u64,
        x: &[f64],
        f: impl FnOnce(&dyn OutputModel<Param = O::Point>, &O::Point) -> Result<T, Error>,
    ) -> Result<T, Abort> {
        if gradients > 0 {
            *self.counts.entry("sample_gradient_count").or_insert(0) += gradients;
        }
        self.call(&[name], x, |o, p| match o.model() {
            Some(model) => f(model, p),
            None => Err(crate::Error::NotOffered { what: OUTPUTS }.into()),
        })
    }
}

impl<O: Smooth<C>, C> Oracle for HostOracle<'_, O, C> {
    fn transport(&mut self) -> Result<&Transport, Abort> {
        if self.slope.is_none() {
            self.slope = self.problem.blank();
        }
        let problem = self.problem;
        problem
            .transport()
            .ok_or_else(|| self.abort(crate::Error::NotOffered { what: TRANSPORT }.into()))
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Abort> {
        self.call(&["cost_count"], x, |o, p| o.value(p))
    }
    fn gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        let slope = self.call(&["gradient_count"], x, |o, p| o.slope(p))?;
        self.store(slope, out)
    }
    fn value_gradient(&mut self, x: &[f64], out: &mut [f64]) -> Result<f64, Abort> {
        let (f, slope) = self.call(&["cost_count", "gradient_count"], x, |o, p| o.both(p))?;
        self.store(slope, out)?;
        Ok(f)
    }
    fn is_fused(&self) -> bool {
        O::FUSED
    }
    fn refresh(&mut self, x: &[f64]) -> Result<(), Abort> {
        self.keep(O::CURVATURE.as_slice(), x, |o, p| o.keep(p))
    }
    fn curvature(&self) -> Curvature<'_> {
        self.kept().map_or(Curvature::Products, O::view)
    }
    fn product(&mut self, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        *self.counts.entry("hessian_product_count").or_insert(0) += 1;
        let result = match &self.kept {
            Some(kept) => self.problem.product(kept, v, out),
            None => Err(Error::msg("no curvature was evaluated")),
        };
        result.map_err(|e| self.abort(e))
    }
    fn diagonal(&mut self, out: &mut [f64]) -> Result<bool, Abort> {
        let result = match &self.kept {
            Some(kept) => self.problem.diagonal(kept, out),
            None => Ok(false),
        };
        result.map_err(|e| self.abort(e))
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.kept()
            .and_then(|kept| self.problem.gradient_scale(kept))
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        match self.kept() {
            Some(kept) => self.problem.verify(kept, x, step),
            None => Ok(()),
        }
    }
    fn may_object(&self) -> bool {
        self.kept().is_none_or(O::may_object)
    }
    fn validate(&mut self) -> Result<(), Abort> {
        let Some(Curvature::Matrix(view)) = self.kept().map(O::view) else {
            return Ok(());
        };
        match crate::linear::sym_check(view) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }
    fn fail(&mut self, error: crate::Error) -> Abort {
        self.abort(error.into())
    }
    fn terms(&self) -> Option<usize> {
        self.problem.terms()
    }
    fn batch_value(&mut self, x: &[f64], batch: Batch<'_>) -> Result<f64, Abort> {
        self.call(&["batch_cost_count"], x, |o, p| o.batch_value(p, batch))
    }
    fn batch_value_gradient(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: &mut [f64],
    ) -> Result<f64, Abort> {
        *self.counts.entry("sample_gradient_count").or_insert(0) += self.size(batch);
        let names = &["batch_cost_count", "batch_gradient_count"];
        let (f, slope) = self.call(names, x, |o, p| o.batch_both(p, batch))?;
        self.store(slope, out)?;
        Ok(f)
    }
    fn batch_refresh(&mut self, x: &[f64], batch: Batch<'_>) -> Result<(), Abort> {
        self.keep(&["batch_hessian_count"], x, |o, p| o.batch_keep(p, batch))
    }
    fn residuals(&mut self, x: &[f64], out: &mut Vec<f64>) -> Result<(), Abort> {
        self.call(&["operator_count"], x, |o, p| o.residuals(p, out))
    }
    fn jacobian(&mut self, x: &[f64], rows: usize) -> Result<(), Abort> {
        self.keep(O::CURVATURE.as_slice(), x, |o, p| o.keep(p))?;
        let shape = self.rect().map(|view| view.check_shape(rows, x.len()));
        if let Some(Err(error)) = shape {
            return Err(self.fail(error));
        }
        if self.slope.is_none() {
            self.slope = O::slope_like(&self.point);
        }
        Ok(())
    }
    fn rect(&self) -> Option<RectView<'_>> {
        self.kept().and_then(O::rect)
    }

    fn loss(&self) -> Option<OutputLoss<'_>> {
        self.problem.model().map(|model| model.loss())
    }
    fn outputs_len(&self) -> usize {
        self.problem.model().map_or(0, |model| model.outputs_len())
    }
    fn l2(&self) -> f64 {
        self.problem.model().map_or(0.0, |model| model.l2())
    }
    fn batch_outputs(&mut self, x: &[f64], batch: Batch<'_>, out: &mut [f64]) -> Result<(), Abort> {
        self.ask("batch_cost_count", 0, x, |m, p| m.outputs(p, batch, out))
    }
    fn batch_jacobian(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<(), Abort> {
        let rows = out.nrows() as u64;
        self.ask("batch_jacobian_count", rows, x, |m, p| {
            m.jacobian(p, batch, out)
        })
    }
    fn batch_gram(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        out: MatMut<'_, f64>,
    ) -> Result<bool, Abort> {
        let rows = out.nrows() as u64;
        self.point.write(x);
        let found = match self.problem.model() {
            Some(model) => model.gram(&self.point, batch, out),
            None => Err(crate::Error::NotOffered { what: OUTPUTS }.into()),
        };
        if let Ok(true) = found {
            *self.counts.entry("batch_gram_count").or_insert(0) += 1;
            *self.counts.entry("sample_gradient_count").or_insert(0) += rows;
        }
        found.map_err(|e| self.abort(e))
    }
    fn batch_jvp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        let size = self.size(batch);
        self.ask("batch_jvp_count", size, x, |m, p| m.jvp(p, batch, v, out))
    }
    fn batch_vjp(
        &mut self,
        x: &[f64],
        batch: Batch<'_>,
        u: &[f64],
        out: &mut [f64],
    ) -> Result<(), Abort> {
        let size = self.size(batch);
        self.ask("batch_gradient_count", size, x, |m, p| {
            m.vjp(p, batch, u, out)
        })
    }
    fn n_constraints(&self) -> usize {
        self.problem.n_constraints()
    }
    fn constraints(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Abort> {
        self.call(&["constraint_count"], x, |o, p| o.constraints(p, out))
    }
    fn show_jacobian(
        &mut self,
        x: &[f64],
        show: &mut dyn FnMut(RectView<'_>),
    ) -> Result<(), Abort> {
        self.call(&["jacobian_count"], x, |o, p| o.show_jacobian(p, show))
    }
    fn refresh_lagrangian(&mut self, x: &[f64], multipliers: &[f64]) -> Result<(), Abort> {
        let (names, old) = (O::CURVATURE.as_slice(), self.kept.take());
        self.keep(names, x, |o, p| o.keep_lagrangian(p, multipliers, old))
    }
}
