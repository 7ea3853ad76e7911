//! Entropic optimal transport.

#[path = "../common/transport.rs"]
mod common;

mod plans;
mod reference;
mod suite;
