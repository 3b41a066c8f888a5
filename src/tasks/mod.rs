//! What a network is for. A task gives the batches, the loss and the metrics; strategies and spaces do not know it.
//!
//! Image classification is here; super-resolution, speech recognition and policy learning have the same shape.

mod classification;
mod score;

pub use classification::{Batch, Classification, TaskError, cross_entropy, host_labels, score, stream};
pub use score::{Score, ranks};
