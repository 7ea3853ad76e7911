//! Equality constraints.

mod collection;
mod problems;
mod robust;
