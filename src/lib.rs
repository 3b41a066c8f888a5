//! A declarative runner for differentiable neural architecture search.

pub mod bench;
pub mod cli;
pub mod config;
#[cfg(test)]
mod edited;
mod findings;
pub mod interop;
pub mod model;
pub mod observe;
pub mod plan;
pub mod report;
pub mod run;
pub mod space;
pub mod stages;
pub mod store;
pub mod tasks;
pub mod train;

// Rooms that are packages of their own, each in the folder of its name.
pub use darts_data as data;
pub use darts_kernels as kernels;
pub use darts_machine as machine;
