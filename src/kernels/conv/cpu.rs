//! Convolution on the CPU: value, gradient of the input, gradient of the weight.

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::product::{ROWS, Samples, accumulate_dots, correlate};
use crate::kernels::Window;
use crate::kernels::buffer::{build, tensor, values, with_scratch};
use crate::kernels::stage::Stage;

/// Blocks of images whose weight gradients are summed each by itself, then in order. Fixed, so that the sum does not
/// depend on the threads; enough to keep many threads busy.
const IMAGE_BLOCKS: usize = 16;

/// Grid positions over which the dot products of the weight gradient run before their vectors are summed up: images of
/// small maps are taken together until they are this long.
const DOT_LENGTH: usize = 512;

/// Widths of a convolution, all but the images' sides.
#[derive(Debug, Clone, Copy)]
struct Widths {
    images: usize,
    groups: usize,
    /// Input channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
    taps: usize,
}

/// Reads the shapes of input and weight, and lays out one plane of the input.
fn plan(x: &FlexTensor, weight: &FlexTensor, window: Window, groups: usize) -> (Widths, Stage) {
    let [images, channels, height, width] = x.layout().shape().dims();
    let [out_channels, inputs, kernel_y, kernel_x] = weight.layout().shape().dims();
    assert!(
        groups > 0 && channels == inputs * groups && out_channels.is_multiple_of(groups),
        "a weight [{out_channels}, {inputs}, {kernel_y}, {kernel_x}] in {groups} groups does not fit {channels} channels"
    );
    let widths = Widths { images, groups, inputs, outputs: out_channels / groups, taps: kernel_y * kernel_x };
    (widths, Stage::new([height, width], [kernel_y, kernel_x], window))
}

pub(super) fn convolve(x: &FlexTensor, weight: &FlexTensor, window: Window, groups: usize) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let (widths, stage) = plan(&x, &weight, window, groups);
    let filters = Filters::new(values(&weight), widths, Order::AsIs);
    let output = correlate_images(values(&x), widths, &stage, &filters);
    let [height, width] = stage.output();
    tensor(output, [widths.images, widths.groups * widths.outputs, height, width])
}

/// # Shapes
/// `x` and the result `[n, in, h, w]`, `gradient` `[n, out, oh, ow]`
pub(super) fn input_gradient(
    x: &FlexTensor,
    weight: &FlexTensor,
    gradient: &FlexTensor,
    window: Window,
    groups: usize,
) -> FlexTensor {
    let (weight, gradient) = (weight.to_contiguous(), gradient.to_contiguous());
    let (widths, stage) = plan(x, &weight, window, groups);
    let [_, _, height, width] = x.layout().shape().dims::<4>();
    let kernel = weight.layout().shape().dims::<4>();
    let reach = [0, 1].map(|axis| window.dilation[axis] * (kernel[2 + axis] - 1));
    let widths_back = Widths { inputs: widths.outputs, outputs: widths.inputs, ..widths };
    let fits = (0..2).all(|axis| window.stride[axis] == 1 && window.padding[axis] <= reach[axis]);
    let values = if fits {
        // Stride 1: the gradient correlated with the filters turned round, in the padding that gives the input's sides.
        let padding = [0, 1].map(|axis| reach[axis] - window.padding[axis]);
        let back = Stage::new(stage.output(), [kernel[2], kernel[3]], Window { padding, ..window });
        let filters = Filters::new(values(&weight), widths, Order::TurnedRound);
        correlate_images(values(&gradient), widths_back, &back, &filters)
    } else {
        scatter_images(values(&gradient), values(&weight), widths, &stage, height * width)
    };
    tensor(values, [widths.images, widths.groups * widths.inputs, height, width])
}

/// # Shapes
/// `x` `[n, in, h, w]`, `gradient` `[n, out, oh, ow]`, `weight` and the result `[out, in / groups, kh, kw]`
pub(super) fn weight_gradient(
    x: &FlexTensor,
    weight: &FlexTensor,
    gradient: &FlexTensor,
    window: Window,
    groups: usize,
) -> FlexTensor {
    let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
    let (widths, stage) = plan(&x, weight, window, groups);
    let length = widths.groups * widths.outputs * widths.inputs * widths.taps;
    let images_a_block = widths.images.div_ceil(IMAGE_BLOCKS).max(1);
    let blocks = build(widths.images.div_ceil(images_a_block), length, |block, sums| {
        let first = block * images_a_block;
        let images = first..widths.images.min(first + images_a_block);
        add_weight_gradient(values(&x), values(&gradient), images, widths, &stage, sums);
    });
    // Block after block for every weight: the order of the sum is that of the images.
    let mut total = vec![0.0; length];
    let piece = length.div_ceil(IMAGE_BLOCKS).max(1);
    total.par_chunks_mut(piece).enumerate().for_each(|(index, total)| {
        for block in blocks.chunks_exact(length.max(1)) {
            total.iter_mut().zip(&block[index * piece..]).for_each(|(sum, value)| *sum += value);
        }
    });
    tensor(total, weight.layout().shape().clone())
}

/// In which order filters meet the staged planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Rows are output channels, taps as they stand.
    AsIs,
    /// Rows are input channels, taps in reverse: the way back from outputs to inputs.
    TurnedRound,
}

/// Filters packed as [`correlate`] reads them: a group after another, in each blocks of up to [`ROWS`] rows, in each the
/// rows of one summand side by side. Summands are the planes that are read, then the taps of the kernel.
struct Filters {
    packed: Vec<f32>,
    /// Rows of a group.
    rows: usize,
    summands: usize,
}

impl Filters {
    /// `weight` is `[groups * outputs, inputs, taps]`.
    fn new(weight: &[f32], widths: Widths, order: Order) -> Self {
        let Widths { groups, inputs, outputs, taps, .. } = widths;
        let (rows, planes) = match order {
            Order::AsIs => (outputs, inputs),
            Order::TurnedRound => (inputs, outputs),
        };
        let mut packed = Vec::with_capacity(weight.len());
        for weight in weight.chunks_exact((outputs * inputs * taps).max(1)).take(groups) {
            for first in (0..rows).step_by(ROWS) {
                for plane in 0..planes {
                    for tap in 0..taps {
                        packed.extend((first..rows.min(first + ROWS)).map(|row| match order {
                            Order::AsIs => weight[(row * inputs + plane) * taps + tap],
                            Order::TurnedRound => weight[(plane * inputs + row) * taps + taps - 1 - tap],
                        }));
                    }
                }
            }
        }
        Self { packed, rows, summands: planes * taps }
    }

    /// The blocks of a group: its weights and how many rows it has.
    fn blocks(&self, group: usize) -> impl Iterator<Item = (&[f32], usize)> {
        let of_group = self.rows * self.summands;
        self.packed[group * of_group..][..of_group]
            .chunks((ROWS * self.summands).max(1))
            .map(|block| (block, block.len() / self.summands))
    }
}

/// Where every summand reads: the planes of a group, `distance` apart, the taps of each.
fn summand_offsets(stage: &Stage, planes: usize, distance: usize) -> Vec<usize> {
    (0..planes).flat_map(|plane| stage.offsets().iter().map(move |tap| plane * distance + tap)).collect()
}

/// Correlates every image with the filters: `[n, groups * inputs, h, w]` → `[n, groups * outputs, oh, ow]`.
fn correlate_images(x: &[f32], widths: Widths, stage: &Stage, filters: &Filters) -> Vec<f32> {
    let Widths { images, groups, inputs, outputs, .. } = widths;
    let [height, width] = stage.output();
    let (out_plane, grid) = (height * width, stage.grid());
    let image_len = x.len() / images.max(1);
    let plane = image_len / (groups * inputs);
    let (staged_len, distance) = if stage.is_identity() { (0, plane) } else { (inputs * stage.len(), stage.len()) };
    let offsets = summand_offsets(stage, inputs, distance);
    build(images, groups * outputs * out_plane, |image, out| {
        let x = &x[image * image_len..][..image_len];
        with_scratch(staged_len, ROWS * grid, |staged, sums| {
            for group in 0..groups {
                let x = &x[group * inputs * plane..][..inputs * plane];
                let staged = stage_planes(stage, x, plane, staged);
                let mut out = &mut out[group * outputs * out_plane..][..outputs * out_plane];
                for (weights, rows) in filters.blocks(group) {
                    let block;
                    (block, out) = out.split_at_mut(rows * out_plane);
                    if stage.is_dense() {
                        correlate(rows, weights, &offsets, staged, grid, block);
                    } else {
                        correlate(rows, weights, &offsets, staged, grid, sums);
                        for (sums, out) in sums.chunks_exact(grid).zip(block.chunks_exact_mut(out_plane)) {
                            stage.compact(sums, out);
                        }
                    }
                }
            }
        });
    })
}

/// Planes of a group, staged one after another; the planes themselves where that is the same.
fn stage_planes<'a>(stage: &Stage, planes: &'a [f32], plane: usize, staged: &'a mut [f32]) -> &'a [f32] {
    if stage.is_identity() {
        return planes;
    }
    for (plane, staged) in planes.chunks_exact(plane).zip(staged.chunks_exact_mut(stage.len())) {
        stage.stage(plane, 0.0, staged);
    }
    staged
}

/// Gradient of the input for any stride: what every tap sends back is added where the tap has read.
fn scatter_images(gradient: &[f32], weight: &[f32], widths: Widths, stage: &Stage, plane: usize) -> Vec<f32> {
    let Widths { images, groups, inputs, outputs, taps } = widths;
    let [height, width] = stage.output();
    let (out_plane, grid) = (height * width, stage.grid());
    // Rows are the taps of every input channel, summands the output channels: a 1x1 kernel of that many outputs.
    let columns = inputs * taps;
    let filters = Filters::new(weight, Widths { inputs: columns, taps: 1, ..widths }, Order::TurnedRound);
    let offsets: Vec<usize> = (0..outputs).map(|output| output * grid).collect();
    let image_len = groups * outputs * out_plane;
    build(images, groups * inputs * plane, |image, out| {
        let gradient = &gradient[image * image_len..][..image_len];
        with_scratch(outputs * grid + ROWS * grid, inputs * stage.len(), |scratch, staged| {
            let (spread, sums) = scratch.split_at_mut(outputs * grid);
            for group in 0..groups {
                let gradient = &gradient[group * outputs * out_plane..][..outputs * out_plane];
                for (gradient, grid) in gradient.chunks_exact(out_plane).zip(spread.chunks_exact_mut(grid)) {
                    stage.spread(gradient, grid);
                }
                staged.fill(0.0);
                let mut column = 0;
                for (weights, rows) in filters.blocks(group) {
                    correlate(rows, weights, &offsets, spread, grid, sums);
                    for sums in sums.chunks_exact(grid).take(rows) {
                        let at = column / taps * stage.len() + stage.offsets()[column % taps];
                        staged[at..at + grid].iter_mut().zip(sums).for_each(|(to, from)| *to += from);
                        column += 1;
                    }
                }
                let out = &mut out[group * inputs * plane..][..inputs * plane];
                for (staged, out) in staged.chunks_exact(stage.len()).zip(out.chunks_exact_mut(plane)) {
                    stage.unstage(staged, out);
                }
            }
        });
    })
}

/// Adds the weight gradient of some images to `sums` `[groups * outputs, inputs, taps]`.
fn add_weight_gradient(
    x: &[f32],
    gradient: &[f32],
    images: std::ops::Range<usize>,
    widths: Widths,
    stage: &Stage,
    sums: &mut [f32],
) {
    let Widths { groups, inputs, outputs, taps, .. } = widths;
    let offsets = summand_offsets(stage, inputs, stage.len());
    let [height, width] = stage.output();
    let (out_plane, grid) = (height * width, stage.padded_grid());
    let plane = x.len() / (widths.images * groups * inputs);
    let together = DOT_LENGTH.div_ceil(grid).min(images.len());
    let (staged_len, spread_len) = (inputs * stage.len(), outputs * grid);
    with_scratch(together * staged_len, together * spread_len, |staged, spread| {
        for first in images.clone().step_by(together) {
            let images = first..images.end.min(first + together);
            let count = images.len();
            for group in 0..groups {
                for (slot, image) in images.clone().enumerate() {
                    let x = &x[(image * groups + group) * inputs * plane..][..inputs * plane];
                    let staged = &mut staged[slot * staged_len..][..staged_len];
                    for (plane, staged) in x.chunks_exact(plane).zip(staged.chunks_exact_mut(stage.len())) {
                        stage.stage(plane, 0.0, staged);
                    }
                    let gradient = &gradient[(image * groups + group) * outputs * out_plane..][..outputs * out_plane];
                    let spread = &mut spread[slot * spread_len..][..spread_len];
                    for (plane, grid) in gradient.chunks_exact(out_plane).zip(spread.chunks_exact_mut(grid)) {
                        stage.spread(plane, grid);
                    }
                }
                let samples = Samples {
                    gradients: &spread[..count * spread_len],
                    inputs: &staged[..count * staged_len],
                    images: count,
                    rows: outputs,
                    grid,
                };
                let length = outputs * inputs * taps;
                accumulate_dots(samples, &offsets, &mut sums[group * length..][..length]);
            }
        }
    });
}
