//! What must run and why: keys from manifests, reasons from their differences, the graph of members.

mod dirty_reason;
mod graph;
mod manifest;

pub use dirty_reason::{DirtyReason, diff};
pub use graph::Graph;
pub use manifest::{InputDigest, Key, Manifest, SCHEMA};
