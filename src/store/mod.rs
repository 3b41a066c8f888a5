//! What is kept: content under its digest, records of what was made, locks.

mod digest;

pub use digest::{Digest, NotADigest};
