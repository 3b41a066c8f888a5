//! What other programs made: golden tensors of PyTorch, the NAS-Bench-201 table.

pub mod golden;
pub mod nas_bench;
pub mod parity;
pub mod weights;
