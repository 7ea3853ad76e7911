//! Models that know their derivatives: generalized linear models and networks on a
//! [`Dataset`](crate::Dataset).
//!
//! | model | loss | labels |
//! |---|---|---|
//! | [`LogisticRegression`] | log(1 + exp(−ym)) | two classes |
//! | [`Softmax`] | log Σₖ exp(mₖ) − m_y | two classes or more |
//! | [`LeastSquares`] | ½(m − y)² | numbers |
//! | [`PoissonRegression`] | exp(m) − ym | counts |
//! | [`LinearModel::with_loss`] | any convex [`Loss`] | numbers |
//!
//! | [`Mlp`] | that of [`Softmax`], or ½‖z − y‖² of several outputs | classes, numbers, vectors |
//!
//! All are means over the rows with an optional penalty (μ/2)‖w‖², and each is a
//! [`FiniteSum`](crate::FiniteSum) too. The linear ones have a free intercept and sample weights.
//! [`Mlp`], [`Softmax`], [`LeastSquares`] and [`LogisticRegression`] are
//! [`OutputModel`](crate::OutputModel)s.

pub(crate) mod batch;
pub(crate) mod design;
pub mod linear;
pub mod logistic;
mod margins;
pub mod mlp;
pub mod poisson;
pub mod softmax;
pub mod squares;

pub use design::Design;
pub use linear::{LinearModel, Loss, Sampled};
pub use logistic::LogisticRegression;
pub use mlp::{Activation, Mlp};
pub use poisson::PoissonRegression;
pub use softmax::Softmax;
pub use squares::LeastSquares;
