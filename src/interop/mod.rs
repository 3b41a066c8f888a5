//! What other programs made or read: golden tensors of PyTorch, the NAS-Bench-201 table, weights in files.

pub mod description;
mod fit;
pub mod golden;
mod judgement;
pub mod nas_bench;
pub mod onnx;
pub mod parity;
pub mod state;
pub mod tensor_file;
pub mod trained;
pub mod weights;
