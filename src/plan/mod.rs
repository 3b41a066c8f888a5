//! What must run and why: keys from manifests, reasons from their differences.
//!
//! A [`Manifest`] is all that decides a result; its digest is the [`Key`] under which the store has
//! it. Where a stage runs again, [`diff`] of two manifests says why.

mod dirty_reason;
mod manifest;

pub use dirty_reason::{DirtyReason, diff, differences};
pub use manifest::{InputDigest, Key, Manifest, SCHEMA};
