//! A declarative runner for differentiable neural architecture search.
//!
//! Each module is a room: a folder that knows one thing (`DESIGN.md` draws the arrows between
//! them). To follow a run from its beginning: [`cli::main`] reads the command line,
//! [`config::load`] a pipeline, [`stages::plan`] the keys of its stages, [`run::run`] works off
//! what the [`store`] does not have. A search is `stages/search.rs`: a [`space`] is lowered to a
//! network, [`model`] computes it with [`kernels`], [`train::Training`] moves its weights and
//! alphas on the batches of a [task](tasks). What it publishes has a type in `records`; what is
//! found is told by `findings`, in the documents of [`report`].

pub mod bench;
pub mod cli;
pub mod cluster;
pub mod config;
#[cfg(test)]
mod edited;
mod findings;
pub mod interop;
pub mod model;
pub mod observe;
pub mod plan;
mod recipes;
mod records;
pub mod report;
pub mod run;
pub mod space;
pub mod stages;
pub mod store;
pub mod tasks;
pub mod train;

// Rooms that are packages of their own, each in the folder of its name.
pub use darts_data as data;
pub use darts_games as games;
pub use darts_kernels as kernels;
pub use darts_machine as machine;
