//! What a cube holds of channels in shared memory while it reads them again and again: where they
//! lie, what is done to them.

use super::REGION;
use super::record::Record;
use super::source::{GAIN, MEAN, Plane, RELU, SHIFT, Source, prologue_of};
use cubecl::prelude::*;

/// Words of a channel, in `planes` a plane and whether it is rectified, in `norms` a prologue's
/// first three numbers.
pub(super) const HELD: usize = 4;

/// The word behind a plane's.
const RECTIFIED: usize = Plane::WORDS;

const _: () = assert!(Plane::WORDS == 3 && MEAN < 3 && GAIN < 3 && SHIFT < 3, "both are taken in by one loop");

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
    let prologue = prologue_of(table, source);
    #[unroll]
    for word in 0..Plane::WORDS {
        planes[to + word] = table[source + Source::plane + word];
        norms[to + word] = numbers[prologue + word];
    }
    planes[to + RECTIFIED] = table[source + Source::flags] & RELU;
}

/// Where a pixel of an image of the channel held at `at` lies in the arena.
#[cube]
pub(super) fn pixel_of(planes: &Shared<[u32]>, at: usize, image: usize, pixel: usize) -> usize {
    planes[at + Plane::region] as usize * REGION
        + planes[at + Plane::first] as usize
        + image * planes[at + Plane::image] as usize
        + pixel
}

/// A pixel's number as the channel held at `at` is read, normalised and rectified; 0 where there is
/// no pixel.
#[cube]
pub(super) fn applied(planes: &Shared<[u32]>, norms: &Shared<[f32]>, at: usize, value: f32, there: bool) -> f32 {
    let normed = (value - norms[at + MEAN]) * norms[at + GAIN] + norms[at + SHIFT];
    let cut = !there || planes[at + RECTIFIED] != 0 && normed < 0.0;
    select(cut, 0.0, normed)
}
