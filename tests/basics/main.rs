//! Values, derivatives, files, hosts and observers: all that is not a step.

mod cases_core;
mod cases_logistic;
mod check;
mod edge;
mod finite_sum;
mod host;
mod libsvm;
mod linear;
mod mgh;
mod mlp;
mod models;
mod observe;
mod sampled;
mod softmax;
