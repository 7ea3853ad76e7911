//! Entropic optimal transport.

#[path = "../common/transport.rs"]
mod common;

mod linear;
mod plans;
mod reference;
mod suite;
