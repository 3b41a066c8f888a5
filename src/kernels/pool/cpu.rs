//! Pooling on the CPU: values and gradients, a plane at a time over its staged layout.

use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};

use crate::kernels::Window;
use crate::kernels::buffer::{build, tensor, values, with_scratch};
use crate::kernels::stage::Stage;
use crate::space::network::Pool;

fn stage_of(sides: [usize; 2], pool: Pool) -> Stage {
    let window = Window { stride: [pool.stride; 2], padding: [pool.padding; 2], dilation: [1; 2] };
    Stage::new(sides, [pool.kernel; 2], window)
}

/// Builds `[n, c, *to]` from the planes of `[n, c, *from]`, an image at a time.
fn each_plane(
    from: &FlexTensor,
    to: [usize; 2],
    compute: impl Fn(usize, &[f32], &mut [f32]) + Send + Sync,
) -> FlexTensor {
    let [images, channels, height, width] = from.layout().shape().dims();
    let (source, plane, out_plane) = (values(from), height * width, to[0] * to[1]);
    let built = build(images, channels * out_plane, |image, out| {
        for (channel, out) in out.chunks_exact_mut(out_plane.max(1)).enumerate() {
            let index = image * channels + channel;
            compute(index, &source[index * plane..][..plane], out);
        }
    });
    tensor(built, [images, channels, to[0], to[1]])
}

pub(super) fn max(x: &FlexTensor, pool: Pool) -> FlexTensor {
    let x = x.to_contiguous();
    let [_, _, height, width] = x.layout().shape().dims();
    let stage = stage_of([height, width], pool);
    each_plane(&x, stage.output(), |_, plane, out| {
        with_scratch(stage.len(), stage.grid(), |staged, best| {
            stage.stage(plane, f32::NEG_INFINITY, staged);
            best.fill(f32::NEG_INFINITY);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for &offset in stage.offsets() {
                        for (best, &value) in best.iter_mut().zip(&staged[offset..]) {
                            *best = if exceeds(value, *best) { value } else { *best };
                        }
                    }
                },
            );
            stage.compact(best, out);
        });
    })
}

/// Whether `value` takes the place of `best` in a maximum; a NaN always does.
#[inline(always)]
fn exceeds(value: f32, best: f32) -> bool {
    value > best || value.is_nan()
}

/// # Shapes
/// `x` and the result `[n, c, h, w]`, `gradient` `[n, c, oh, ow]`
pub(super) fn max_gradient(x: &FlexTensor, gradient: &FlexTensor, pool: Pool) -> FlexTensor {
    let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
    let [_, _, height, width] = x.layout().shape().dims();
    let stage = stage_of([height, width], pool);
    let (gradients, grid) = (values(&gradient), stage.padded_grid());
    let out_plane = stage.output()[0] * stage.output()[1];
    each_plane(&x, [height, width], |index, plane, out| {
        let gradient = &gradients[index * out_plane..][..out_plane];
        with_scratch(2 * stage.len(), 2 * grid, |staged, grids| {
            let (staged, sums) = staged.split_at_mut(stage.len());
            let (winners, spread) = grids.split_at_mut(grid);
            stage.stage(plane, f32::NEG_INFINITY, staged);
            stage.spread(gradient, spread);
            sums.fill(0.0);
            Arch::new().dispatch(SendToMaxima { offsets: stage.offsets(), staged, gradients: spread, winners, sums });
            stage.unstage(sums, out);
        });
    })
}

/// Adds the gradient of every window to its maximum's place in `sums`. Grids are whole vectors.
struct SendToMaxima<'a> {
    offsets: &'a [usize],
    staged: &'a [f32],
    gradients: &'a [f32],
    /// Scratch: the number of the tap that holds each window's maximum, as `f32`: vectors of one width throughout.
    winners: &'a mut [f32],
    sums: &'a mut [f32],
}

impl WithSimd for SendToMaxima<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { offsets, staged, gradients, winners, sums } = self;
        let (winners, _) = S::as_mut_simd_f32s(winners);
        let (gradients, _) = S::as_simd_f32s(gradients);
        let zero = simd.splat_f32s(0.0);
        for (at, winner) in winners.iter_mut().enumerate() {
            let mut best = simd.splat_f32s(f32::NEG_INFINITY);
            *winner = zero;
            for (tap, offset) in offsets.iter().enumerate() {
                let (value, _) = S::as_simd_f32s(&staged[offset + at * S::F32_LANES..][..S::F32_LANES]);
                let (value, tap) = (value[0], simd.splat_f32s(tap as f32));
                let (larger, number) = (simd.greater_than_f32s(value, best), simd.equal_f32s(value, value));
                best = simd.select_f32s(number, simd.select_f32s(larger, value, best), value);
                *winner = simd.select_f32s(number, simd.select_f32s(larger, tap, *winner), tap);
            }
        }
        for (tap, offset) in offsets.iter().enumerate() {
            let tap = simd.splat_f32s(tap as f32);
            let (sums, _) = S::as_mut_simd_f32s(&mut sums[*offset..][..winners.len() * S::F32_LANES]);
            for ((sum, winner), gradient) in sums.iter_mut().zip(&*winners).zip(gradients) {
                let won = simd.equal_f32s(*winner, tap);
                *sum = simd.add_f32s(*sum, simd.select_f32s(won, *gradient, zero));
            }
        }
    }
}

/// One over the pixels of each window that lie in the map, on the grid.
fn inverse_counts(stage: &Stage, sides: [usize; 2]) -> Vec<f32> {
    let mut staged = vec![0.0; stage.len()];
    stage.stage(&vec![1.0; sides[0] * sides[1]], 0.0, &mut staged);
    (0..stage.grid()).map(|at| 1.0 / stage.offsets().iter().map(|offset| staged[offset + at]).sum::<f32>()).collect()
}

pub(super) fn avg(x: &FlexTensor, pool: Pool) -> FlexTensor {
    let x = x.to_contiguous();
    let [_, _, height, width] = x.layout().shape().dims();
    let stage = stage_of([height, width], pool);
    let inverse_counts = inverse_counts(&stage, [height, width]);
    each_plane(&x, stage.output(), |_, plane, out| {
        with_scratch(stage.len(), stage.grid(), |staged, sums| {
            stage.stage(plane, 0.0, staged);
            sums.fill(0.0);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for &offset in stage.offsets() {
                        sums.iter_mut().zip(&staged[offset..]).for_each(|(sum, value)| *sum += value);
                    }
                    sums.iter_mut().zip(&inverse_counts).for_each(|(sum, inverse)| *sum *= inverse);
                },
            );
            stage.compact(sums, out);
        });
    })
}

/// # Shapes
/// `gradient` `[n, c, oh, ow]` → `[n, c, *sides]`
pub(super) fn avg_gradient(gradient: &FlexTensor, sides: [usize; 2], pool: Pool) -> FlexTensor {
    let gradient = gradient.to_contiguous();
    let stage = stage_of(sides, pool);
    let inverse_counts = inverse_counts(&stage, sides);
    let grid = stage.grid();
    each_plane(&gradient, sides, |_, gradient, out| {
        with_scratch(stage.len(), grid, |sums, spread| {
            stage.spread(gradient, spread);
            sums.fill(0.0);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    spread.iter_mut().zip(&inverse_counts).for_each(|(value, inverse)| *value *= inverse);
                    for &offset in stage.offsets() {
                        let sums = &mut sums[offset..offset + grid];
                        sums.iter_mut().zip(&*spread).for_each(|(sum, value)| *sum += value);
                    }
                },
            );
            stage.unstage(sums, out);
        });
    })
}
