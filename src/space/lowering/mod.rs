//! From a declared space to a network in which nothing is left open.

mod cells;
pub(super) mod edge_options;
pub(super) mod edges;
pub(super) mod error;
pub(super) mod lower;
mod plan;
mod tables;
