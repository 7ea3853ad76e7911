//! Problems with equality constraints as sources of second derivatives.

use super::{Curvature, Smooth};
use crate::constraints::{EqualityConstraints, LagrangianHessian, LagrangianProduct};
use crate::edge::{RectMat, RectView, SymMat, VecLike};
use crate::error::length;
use argmin::core::{CostFunction, Error, Gradient};

/// Constraints from [`EqualityConstraints`], second derivatives from [`LagrangianHessian`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Constrained;

/// Constraints from [`EqualityConstraints`], second derivatives as products from
/// [`LagrangianProduct`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ConstrainedProducts;

/// Where products with the Hessian of the Lagrangian are asked for.
pub struct SaddlePlace<P> {
    x: P,
    multipliers: Vec<f64>,
}

const OBJECTIVE: &str = "second derivatives of the objective alone, without multipliers";

fn read_constraints<O: EqualityConstraints>(
    problem: &O,
    x: &O::Param,
    out: &mut [f64],
) -> Result<(), Error> {
    let values = problem.constraints(x)?;
    length("constraints", out.len(), values.dimension())?;
    values.read(out);
    Ok(())
}

fn show_jacobian<O: EqualityConstraints>(
    problem: &O,
    x: &O::Param,
    n: usize,
    show: &mut dyn FnMut(RectView<'_>),
) -> Result<(), Error> {
    let jacobian = problem.constraint_jacobian(x)?;
    let view = jacobian.rect();
    view.check_shape(problem.n_constraints(), n)?;
    show(view);
    Ok(())
}

impl<O, P, G> Smooth<Constrained> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + LagrangianHessian<Param = P>,
    P: VecLike,
    G: VecLike,
{
    type Point = P;
    type Slope = G;
    type Kept = O::Hessian;
    const CURVATURE: Option<&'static str> = Some("hessian_count");

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, _: &P) -> Result<O::Hessian, Error> {
        Err(crate::Error::NotOffered { what: OBJECTIVE }.into())
    }
    fn view(kept: &O::Hessian) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn product(&self, _: &O::Hessian, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(super::NO_PRODUCTS))
    }
    fn may_object(_: &O::Hessian) -> bool {
        false
    }

    fn n_constraints(&self) -> usize {
        EqualityConstraints::n_constraints(self)
    }
    fn constraints(&self, x: &P, out: &mut [f64]) -> Result<(), Error> {
        read_constraints(self, x, out)
    }
    fn show_jacobian(&self, x: &P, show: &mut dyn FnMut(RectView<'_>)) -> Result<(), Error> {
        show_jacobian(self, x, x.dimension(), show)
    }
    fn keep_lagrangian(
        &self,
        x: &P,
        multipliers: &[f64],
        old: Option<O::Hessian>,
    ) -> Result<O::Hessian, Error> {
        // Two never live at once.
        drop(old);
        self.lagrangian_hessian(x, multipliers)
    }
}

impl<O, P, G> Smooth<ConstrainedProducts> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + LagrangianProduct<Param = P>,
    P: VecLike,
    G: VecLike,
{
    type Point = P;
    type Slope = G;
    type Kept = SaddlePlace<P>;
    const CURVATURE: Option<&'static str> = None;

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, _: &P) -> Result<SaddlePlace<P>, Error> {
        Err(crate::Error::NotOffered { what: OBJECTIVE }.into())
    }
    fn view(_: &SaddlePlace<P>) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, kept: &SaddlePlace<P>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        self.lagrangian_product(&kept.x, &kept.multipliers, v, out)
    }
    fn diagonal(&self, kept: &SaddlePlace<P>, out: &mut [f64]) -> Result<bool, Error> {
        self.lagrangian_diagonal(&kept.x, &kept.multipliers, out)
    }
    fn may_object(_: &SaddlePlace<P>) -> bool {
        false
    }

    fn n_constraints(&self) -> usize {
        EqualityConstraints::n_constraints(self)
    }
    fn constraints(&self, x: &P, out: &mut [f64]) -> Result<(), Error> {
        read_constraints(self, x, out)
    }
    fn show_jacobian(&self, x: &P, show: &mut dyn FnMut(RectView<'_>)) -> Result<(), Error> {
        show_jacobian(self, x, x.dimension(), show)
    }
    fn keep_lagrangian(
        &self,
        x: &P,
        multipliers: &[f64],
        old: Option<SaddlePlace<P>>,
    ) -> Result<SaddlePlace<P>, Error> {
        let mut kept = old.map_or_else(Vec::new, |old| old.multipliers);
        kept.clear();
        kept.extend_from_slice(multipliers);
        Ok(SaddlePlace {
            x: x.clone(),
            multipliers: kept,
        })
    }
}
