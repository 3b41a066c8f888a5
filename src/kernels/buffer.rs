//! Memory of the native operators: results built in parallel, scratch kept by each thread.

use std::cell::Cell;
use std::mem::MaybeUninit;

use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// The values of a contiguous `f32` tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("native operators are given f32 tensors and make them contiguous")
}

/// A tensor of these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// Builds `count` pieces of `len` values, side by side and in parallel. `compute` is handed the index of a piece and its
/// values, all zero: they are cleared by the thread that goes on to write them, while they fit its cache.
pub(super) fn build(count: usize, len: usize, compute: impl Fn(usize, &mut [f32]) + Send + Sync) -> Vec<f32> {
    let total = count * len;
    let mut built = Vec::with_capacity(total);
    built.spare_capacity_mut()[..total]
        .par_chunks_exact_mut(len.max(1))
        .enumerate()
        .for_each(|(index, piece)| compute(index, clear(piece)));
    // SAFETY: the capacity is at least `total`, and the pieces, every one of which `clear` has initialised,
    // cover exactly the first `total` values (`total` is a multiple of `len`).
    unsafe { built.set_len(total) };
    built
}

/// Builds `[images, channels, plane]` channel by channel, in parallel. `compute` is handed a channel and its planes, one
/// an image; what it returns is collected in the order of the channels. Planes that it does not take are zero.
pub(super) fn build_channels<R: Send>(
    [images, channels, plane]: [usize; 3],
    compute: impl Fn(usize, &mut Planes<'_>) -> R + Send + Sync,
) -> (Vec<f32>, Vec<R>) {
    let total = images * channels * plane;
    let mut built = Vec::with_capacity(total);
    let mut pieces: Vec<Vec<&mut [MaybeUninit<f32>]>> = Vec::new();
    pieces.resize_with(channels, || Vec::with_capacity(images));
    for (index, piece) in built.spare_capacity_mut()[..total].chunks_exact_mut(plane.max(1)).enumerate() {
        pieces[index % channels].push(piece);
    }
    let results = pieces
        .into_par_iter()
        .enumerate()
        .map(|(channel, pieces)| {
            let mut planes = Planes(pieces.into_iter());
            let result = compute(channel, &mut planes);
            planes.for_each(drop);
            result
        })
        .collect();
    // SAFETY: the capacity is at least `total`, and the pieces cover exactly the first `total` values (`total` is a
    // multiple of `plane`). Each piece has been initialised by `clear`: it is reached only through a `Planes`, which
    // clears what it yields, and which has been run to its end here whatever `compute` took; `compute` cannot put
    // another in its place, as no other outlives the call or can be made outside of this function.
    unsafe { built.set_len(total) };
    (built, results)
}

/// The planes of a channel that are to be written: each is cleared when its turn comes, while it fits the cache.
pub(super) struct Planes<'a>(std::vec::IntoIter<&'a mut [MaybeUninit<f32>]>);

impl<'a> Iterator for Planes<'a> {
    type Item = &'a mut [f32];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(clear)
    }
}

/// Writes zeros to `piece`.
fn clear(piece: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    for value in piece.iter_mut() {
        value.write(0.0);
    }
    // SAFETY: the loop has just written every value.
    unsafe { piece.assume_init_mut() }
}

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Lends `use_scratch` the thread's scratch memory: two slices of these lengths that hold whatever was left there.
pub(super) fn with_scratch<R>(first: usize, second: usize, use_scratch: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
    // Taken out for the time of use: a nested call finds an empty vector and makes its own.
    let mut scratch = SCRATCH.take();
    if scratch.len() < first + second {
        scratch.resize(first + second, 0.0);
    }
    let (first, rest) = scratch.split_at_mut(first);
    let result = use_scratch(first, &mut rest[..second]);
    SCRATCH.set(scratch);
    result
}
