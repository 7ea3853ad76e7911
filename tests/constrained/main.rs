//! Equality constraints.

mod problems;
