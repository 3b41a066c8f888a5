//! The inner loops of the CPU engine, in vector registers.
//!
//! All of them walk over pixels of sixteen lanes ([`layout`](super::layout)); where a machine's
//! vectors are shorter, a pixel is several.
//!
//! | file | computes |
//! | --- | --- |
//! | [`product`] | weighted sums of a pixel's channels: dense convolutions, and back to their inputs |
//! | [`outer`] | products of two maps' channels, summed over pixels: gradients of dense weights |
//! | [`depthwise`] | one window a channel: values, gradients of the weights and of the input |
//! | [`elementwise`] | sums of maps, and values through a prologue |
//! | [`sums`] | sums over pixels: moments of channels, and what the gradients of norms need |
//! | [`tiles`] | the sums before and after the products of Winograd's filter |
//! | [`windows`] | maxima of windows |
//!
//! The order of every sum depends on shapes alone (and on the width of the machine's vectors),
//! never on threads.

pub(crate) mod depthwise;
pub(crate) mod elementwise;
#[cfg(test)]
mod held;
pub(crate) mod outer;
pub(crate) mod product;
pub(crate) mod sums;
pub(crate) mod tiles;
mod vector;
mod walk;
pub(crate) mod windows;

pub(crate) use self::walk::{Pixels, Walk};

/// Lanes of a pixel: the widest vector, AVX-512.
pub(crate) const LANES: usize = 16;

/// A value a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(transparent)]
pub(crate) struct Lanes(pub [f32; LANES]);

impl Lanes {
    pub(crate) const ZERO: Self = Self::all(0.0);
    pub(crate) const ONE: Self = Self::all(1.0);

    pub(crate) const fn all(value: f32) -> Self {
        Self([value; LANES])
    }

    /// Lane by lane.
    #[must_use]
    pub(crate) fn times(self, other: &Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] * other.0[lane]))
    }
}
