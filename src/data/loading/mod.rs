//! Batches by epoch and step, prepared ahead.

pub(super) mod batch;
pub(super) mod loader;
pub(super) mod prefetch;
