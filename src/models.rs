//! Models that know their derivatives.

pub(crate) mod design;

pub use design::Design;
