//! The inner loops of the CPU engine, in vector registers.
//!
//! All of them walk [`Rows`] of lanes and read a *staged* input: planes laid out so that tap `t` of
//! a kernel, for row `r` and lane `l`, stands at `offsets[t] + r * input_pitch + l`.
//!
//! | file | computes |
//! | --- | --- |
//! | [`product`] | weighted sums of inputs: dense convolutions, and gradients of their inputs |
//! | [`dots`] | dot products of outputs with inputs: the gradients of their weights |
//! | [`depthwise`] | one window a channel: values, gradients of the weights and of the input |
//! | [`elementwise`] | sums and maps over flat slices |
//! | [`row_tiles`] | the sums before and after the products of Winograd's filter |
//!
//! The order of every sum depends on shapes alone (and on the width of the machine's vectors),
//! never on threads.

pub(crate) mod depthwise;
pub(crate) mod dots;
pub(crate) mod elementwise;
pub(crate) mod product;
pub(crate) mod row_tiles;
mod rows;
mod vector;

pub(crate) use self::{rows::Rows, vector::vectorised};

#[cfg(test)]
mod sample;
