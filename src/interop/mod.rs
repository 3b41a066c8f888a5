//! What other programs made or read: golden tensors of PyTorch, the NAS-Bench-201 table, weights in
//! files.
//!
//! `tensor_file` reads tensors of any form, `description` says which network they are of, `trained`
//! puts the two together; `onnx` writes one. `parity` replays a golden file (one of a network for
//! pictures, of layers or of mixing weights by a file of its own) and `judgement` says how far off each
//! tensor may be.

mod archive;
pub mod description;
mod fit;
pub mod golden;
mod judgement;
mod mistaken;
pub mod nas_bench;
mod numpy;
pub mod onnx;
pub mod output_shapes;
pub mod parity;
mod picture_parity;
mod pixel_parity;
mod policy_parity;
mod roundings;
mod sparsestmax_parity;
pub mod state;
mod stored_tensor;
pub mod tensor_file;
mod torch;
pub mod trained;
pub mod weights;
