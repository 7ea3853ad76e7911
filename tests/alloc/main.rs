//! After `init` no iteration allocates. One program: the allocator counts by thread.

#[path = "../common/transport.rs"]
mod common;
#[path = "../common/counting.rs"]
mod counting;
#[path = "../common/family.rs"]
mod family;
#[path = "../common/still.rs"]
mod still;

mod accelerated;
mod constrained;
mod every_solver;
mod exact_gauss_newton;
mod least_squares;
mod linear;
mod mlp;
mod newton;
mod stochastic;
mod transport;
