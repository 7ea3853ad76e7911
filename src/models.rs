//! Models that know their derivatives: generalized linear models on a [`Dataset`](crate::Dataset).

pub(crate) mod design;
pub mod logistic;
mod margins;

pub use design::Design;
pub use logistic::LogisticRegression;
