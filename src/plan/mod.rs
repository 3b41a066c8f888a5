//! What must run and why: keys from manifests, reasons from their differences.

mod dirty_reason;
mod manifest;

pub use dirty_reason::{DirtyReason, diff};
pub use manifest::{InputDigest, Key, Manifest, SCHEMA};
