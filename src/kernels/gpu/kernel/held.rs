//! What a cube holds of channels in shared memory while it reads them again and again: where they
//! lie, what is done to them.

use super::{PLANE, REGION, RELU, SOURCE_FLAGS, SOURCE_PROLOGUE};
use cubecl::prelude::*;

/// Words of a channel, in `planes` a plane and whether it is rectified, in `norms` a prologue's
/// first three numbers.
pub(super) const HELD: usize = 4;

const _: () = assert!(PLANE == 3, "a prologue's first numbers are as many as a plane's words");

/// Takes a source's channel in at word `to`.
#[cube]
pub(super) fn hold(
    planes: &mut Shared<[u32]>,
    norms: &mut Shared<[f32]>,
    to: usize,
    numbers: &[f32],
    table: &[u32],
    source: usize,
) {
    let prologue = table[source + SOURCE_PROLOGUE] as usize;
    #[unroll]
    for word in 0..PLANE {
        planes[to + word] = table[source + word];
        norms[to + word] = numbers[prologue + word];
    }
    planes[to + PLANE] = table[source + SOURCE_FLAGS] & RELU;
}

/// Where a pixel of an image of the channel held at `at` lies in the arena.
#[cube]
pub(super) fn pixel_of(planes: &Shared<[u32]>, at: usize, image: usize, pixel: usize) -> usize {
    planes[at] as usize * REGION + planes[at + 1] as usize + image * planes[at + 2] as usize + pixel
}

/// A pixel's number as the channel held at `at` is read, normalised and rectified; 0 where there is
/// no pixel.
#[cube]
pub(super) fn applied(planes: &Shared<[u32]>, norms: &Shared<[f32]>, at: usize, value: f32, there: bool) -> f32 {
    let normed = (value - norms[at]) * norms[at + 1] + norms[at + 2];
    let cut = !there || planes[at + PLANE] != 0 && normed < 0.0;
    select(cut, 0.0, normed)
}
