//! What other tools write: tables and tensors under the names that they use.

pub mod nas_bench;
