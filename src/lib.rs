//! A declarative runner for differentiable neural architecture search.

pub mod bench;
pub mod cli;
pub mod config;
pub mod data;
pub mod interop;
pub mod kernels;
pub mod machine;
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
