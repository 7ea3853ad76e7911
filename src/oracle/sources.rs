//! How the problems of each source answer.

use super::{
    BatchProducts, Batches, Coupling, Curvature, Explicit, OnePass, Outputs, Products, Residuals,
    Smooth,
};
use crate::edge::{RectMat, RectView, SymMat, VecLike};
use crate::finite_sum::{Batch, FiniteSum};
use crate::output_model::{OutputModel, mean_loss, stack_slopes};
use crate::parallel::dot;
use crate::problem::{Fused, HessianProduct};
use crate::status::Failed;
use crate::transport::Transport;
use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};

impl<O, P, G, H> Smooth<Explicit> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + Hessian<Param = P, Hessian = H>,
    P: VecLike,
    G: VecLike,
    H: SymMat,
{
    type Point = P;
    type Slope = G;
    type Kept = H;
    const CURVATURE: Option<&'static str> = Some("hessian_count");

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, x: &P) -> Result<H, Error> {
        Hessian::hessian(self, x)
    }
    fn view(kept: &H) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn gradient_scale(&self, kept: &H) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &H, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &H) -> bool {
        kept.may_object()
    }
}

impl<O, P, G> Smooth<Products> for O
where
    O: CostFunction<Param = P, Output = f64>
        + Gradient<Param = P, Gradient = G>
        + HessianProduct<Param = P>,
    P: VecLike,
    G: VecLike,
{
    type Point = P;
    type Slope = G;
    type Kept = P;
    const CURVATURE: Option<&'static str> = None;

    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn slope(&self, x: &P) -> Result<G, Error> {
        Gradient::gradient(self, x)
    }
    fn keep(&self, x: &P) -> Result<P, Error> {
        Ok(x.clone())
    }
    fn view(_: &P) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, kept: &P, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        self.hessian_product(kept, v, out)
    }
    fn diagonal(&self, kept: &P, out: &mut [f64]) -> Result<bool, Error> {
        self.hessian_diagonal(kept, out)
    }
    fn gradient_scale(&self, _: &P) -> Option<f64> {
        HessianProduct::gradient_scale(self)
    }
    fn verify(&self, _: &P, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        HessianProduct::verify(self, x, step)
    }
}

impl<O: Fused> Smooth<OnePass> for O
where
    O::Param: VecLike,
    O::Gradient: VecLike,
    O::Hessian: SymMat,
{
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = O::Hessian;
    const CURVATURE: Option<&'static str> = Some("hessian_count");
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        Fused::value(self, x)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(self.value_gradient(x)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        self.value_gradient(x)
    }
    fn keep(&self, x: &O::Param) -> Result<O::Hessian, Error> {
        Fused::hessian(self, x)
    }
    fn view(kept: &O::Hessian) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn gradient_scale(&self, kept: &O::Hessian) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &O::Hessian, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &O::Hessian) -> bool {
        kept.may_object()
    }
}

impl<O: FiniteSum> Smooth<Batches> for O {
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = O::Hessian;
    const CURVATURE: Option<&'static str> = Some("hessian_count");
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        FiniteSum::value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(FiniteSum::value_gradient(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, Batch::All)
    }
    fn keep(&self, x: &O::Param) -> Result<O::Hessian, Error> {
        FiniteSum::hessian(self, x, Batch::All)
    }
    fn view(kept: &O::Hessian) -> Curvature<'_> {
        Curvature::Matrix(kept.sym())
    }
    fn gradient_scale(&self, kept: &O::Hessian) -> Option<f64> {
        kept.gradient_scale()
    }
    fn verify(&self, kept: &O::Hessian, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        kept.verify(x, step)
    }
    fn may_object(kept: &O::Hessian) -> bool {
        kept.may_object()
    }

    fn terms(&self) -> Option<usize> {
        Some(FiniteSum::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        FiniteSum::value(self, x, batch)
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, batch)
    }
    fn batch_keep(&self, x: &O::Param, batch: Batch<'_>) -> Result<O::Hessian, Error> {
        FiniteSum::hessian(self, x, batch)
    }
}

/// Where a product is asked for: the point, and the terms if not all.
pub struct Place<P> {
    x: P,
    terms: Option<Vec<usize>>,
}

impl<O: FiniteSum> Smooth<BatchProducts> for O {
    type Point = O::Param;
    type Slope = O::Gradient;
    type Kept = Place<O::Param>;
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        FiniteSum::value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Gradient, Error> {
        Ok(FiniteSum::value_gradient(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, Batch::All)
    }
    fn keep(&self, x: &O::Param) -> Result<Place<O::Param>, Error> {
        Ok(Place {
            x: x.clone(),
            terms: None,
        })
    }
    fn view(_: &Place<O::Param>) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, kept: &Place<O::Param>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let batch = kept.terms.as_deref().map_or(Batch::All, Batch::Terms);
        FiniteSum::hessian_product(self, &kept.x, batch, v, out)
    }
    fn may_object(_: &Place<O::Param>) -> bool {
        false
    }

    fn terms(&self) -> Option<usize> {
        Some(FiniteSum::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        FiniteSum::value(self, x, batch)
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Gradient), Error> {
        FiniteSum::value_gradient(self, x, batch)
    }
    fn batch_keep(&self, x: &O::Param, batch: Batch<'_>) -> Result<Place<O::Param>, Error> {
        Ok(Place {
            x: x.clone(),
            terms: match batch {
                Batch::All => None,
                Batch::Terms(terms) => Some(terms.to_vec()),
            },
        })
    }
}

impl<O, P, R, J> Smooth<Residuals> for O
where
    O: Operator<Param = P, Output = R> + Jacobian<Param = P, Jacobian = J>,
    P: VecLike,
    R: VecLike,
    J: RectMat,
{
    type Point = P;
    type Slope = P;
    type Kept = J;
    const CURVATURE: Option<&'static str> = Some("jacobian_count");

    fn value(&self, x: &P) -> Result<f64, Error> {
        let mut r = Vec::new();
        Smooth::<Residuals>::residuals(self, x, &mut r)?;
        Ok(0.5 * crate::parallel::dot(&r, &r))
    }
    fn slope(&self, x: &P) -> Result<P, Error> {
        let mut r = Vec::new();
        Smooth::<Residuals>::residuals(self, x, &mut r)?;
        let kept = Jacobian::jacobian(self, x)?;
        let mut g = vec![0.0; x.dimension()];
        kept.rect().check_shape(r.len(), g.len())?;
        kept.rect().mul_transpose(&r, &mut g);
        let mut slope = x.clone();
        slope.write(&g);
        Ok(slope)
    }
    fn keep(&self, x: &P) -> Result<J, Error> {
        Jacobian::jacobian(self, x)
    }
    fn view(_: &J) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &J, _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(Error::msg(
            "residuals give a Jacobian, not Hessian products",
        ))
    }
    fn may_object(_: &J) -> bool {
        false
    }

    fn residuals(&self, x: &P, out: &mut Vec<f64>) -> Result<(), Error> {
        let r = self.apply(x)?;
        out.resize(r.dimension(), 0.0);
        r.read(out);
        Ok(())
    }
    fn rect(kept: &J) -> Option<RectView<'_>> {
        Some(kept.rect())
    }
    fn slope_like(x: &P) -> Option<P> {
        Some(x.clone())
    }
}

const NO_EPS: &str = "values without ε; use a transport solver such as `SinkhornNewton`";

impl Smooth<Coupling> for Transport {
    type Point = Vec<f64>;
    type Slope = Vec<f64>;
    type Kept = ();
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, _: &Vec<f64>) -> Result<f64, Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn slope(&self, _: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn keep(&self, _: &Vec<f64>) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn view(_: &()) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &(), _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        Err(crate::Error::NotOffered { what: NO_EPS }.into())
    }
    fn transport(&self) -> Option<&Transport> {
        Some(self)
    }
    fn blank(&self) -> Option<Vec<f64>> {
        Some(self.origin())
    }
}

impl<O: OutputModel> Smooth<Outputs> for O {
    type Point = O::Param;
    type Slope = O::Param;
    type Kept = ();
    const CURVATURE: Option<&'static str> = None;
    const FUSED: bool = true;

    fn value(&self, x: &O::Param) -> Result<f64, Error> {
        Smooth::<Outputs>::batch_value(self, x, Batch::All)
    }
    fn slope(&self, x: &O::Param) -> Result<O::Param, Error> {
        Ok(Smooth::<Outputs>::batch_both(self, x, Batch::All)?.1)
    }
    fn both(&self, x: &O::Param) -> Result<(f64, O::Param), Error> {
        Smooth::<Outputs>::batch_both(self, x, Batch::All)
    }
    fn keep(&self, _: &O::Param) -> Result<(), Error> {
        Ok(())
    }
    fn view(_: &()) -> Curvature<'_> {
        Curvature::Products
    }
    fn product(&self, _: &(), _: &[f64], _: &mut [f64]) -> Result<(), Error> {
        let what = "second derivatives: its outputs have first ones only";
        Err(crate::Error::NotOffered { what }.into())
    }
    fn may_object(_: &()) -> bool {
        false
    }

    fn terms(&self) -> Option<usize> {
        Some(OutputModel::terms(self))
    }
    fn batch_value(&self, x: &O::Param, batch: Batch<'_>) -> Result<f64, Error> {
        let mut z = vec![0.0; batch.len(OutputModel::terms(self)) * self.outputs_len()];
        self.outputs(x, batch, &mut z)?;
        Ok(mean_loss(&self.loss(), batch, self.outputs_len(), &z) + penalty(self.l2(), x))
    }
    fn batch_both(&self, x: &O::Param, batch: Batch<'_>) -> Result<(f64, O::Param), Error> {
        let (b, c) = (batch.len(OutputModel::terms(self)), self.outputs_len());
        let mut z = vec![0.0; b * c];
        self.outputs(x, batch, &mut z)?;
        let mut r = vec![0.0; b * c];
        stack_slopes(&self.loss(), batch, c, &z, &mut r);
        let f = mean_loss(&self.loss(), batch, c, &z) + penalty(self.l2(), x);
        let mut g = vec![0.0; x.dimension()];
        self.vjp(x, batch, &r, &mut g)?;
        let mut at = vec![0.0; g.len()];
        x.read(&mut at);
        for (g, x) in g.iter_mut().zip(&at) {
            *g = *g / b as f64 + self.l2() * x;
        }
        let mut slope = x.clone();
        slope.write(&g);
        Ok((f, slope))
    }
    fn batch_keep(&self, _: &O::Param, _: Batch<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn model(&self) -> Option<&dyn OutputModel<Param = O::Param>> {
        Some(self)
    }
}

/// (μ/2)‖x‖².
fn penalty<P: VecLike>(l2: f64, x: &P) -> f64 {
    if l2 == 0.0 {
        return 0.0;
    }
    let mut at = vec![0.0; x.dimension()];
    x.read(&mut at);
    0.5 * l2 * dot(&at, &at)
}
