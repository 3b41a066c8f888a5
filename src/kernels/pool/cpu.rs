//! Pooling on the CPU: values and gradients, a plane at a time over its staged layout.

use burn_flex::FlexTensor;
use pulp::Arch;

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
    let (gradients, grid) = (values(&gradient), stage.grid());
    let out_plane = stage.output()[0] * stage.output()[1];
    each_plane(&x, [height, width], |index, plane, out| {
        let gradient = &gradients[index * out_plane..][..out_plane];
        with_scratch(2 * stage.len(), 3 * grid, |staged, grids| {
            let (staged, sums) = staged.split_at_mut(stage.len());
            let (best, grids) = grids.split_at_mut(grid);
            let (winner, spread) = grids.split_at_mut(grid);
            stage.stage(plane, f32::NEG_INFINITY, staged);
            stage.spread(gradient, spread);
            best.fill(f32::NEG_INFINITY);
            winner.fill(0.0);
            sums.fill(0.0);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    // The number of the winning tap is kept as `f32`: one width of vector in the whole loop.
                    for (tap, &offset) in stage.offsets().iter().enumerate() {
                        let tap = tap as f32;
                        let places = best.iter_mut().zip(winner.iter_mut());
                        for ((best, winner), &value) in places.zip(&staged[offset..]) {
                            let exceeds = exceeds(value, *best);
                            *best = if exceeds { value } else { *best };
                            *winner = if exceeds { tap } else { *winner };
                        }
                    }
                    for (tap, &offset) in stage.offsets().iter().enumerate() {
                        let tap = tap as f32;
                        let sums = &mut sums[offset..offset + grid];
                        for ((sum, &winner), &gradient) in sums.iter_mut().zip(&*winner).zip(&*spread) {
                            *sum += if winner == tap { gradient } else { 0.0 };
                        }
                    }
                },
            );
            stage.unstage(sums, out);
        });
    })
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
