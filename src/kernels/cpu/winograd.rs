//! Nine taps of a window at the price of two and a quarter.
//!
//! Four outputs `y₀ … y₃` of a window of three taps `g₀, g₁, g₂` read six inputs `d₀ … d₅`.
//! Winograd's minimal filter F(4, 3) (Lavin & Gray, arXiv 1509.09308, section 4.1) takes six
//! products for these four outputs, where the definition takes twelve. With the points 0, ±p, ±q
//! and infinity of polynomials, `p² = 1/2` and `q² = 2`:
//!
//! ```text
//! t₀ = d₀ − 5/2 d₂ + d₄                          u₀ = g₀
//! t₁, t₂ = (d₄ − 2 d₂) ± p (d₃ − 2 d₁)           u₁, u₂ = −2/3 (g₀ ± p g₁ + g₂ / 2)
//! t₃, t₄ = (d₄ − d₂ / 2) ± q (d₃ − d₁ / 2)       u₃, u₄ = (g₀ ± q g₁ + 2 g₂) / 6
//! t₅ = d₁ − 5/2 d₃ + d₅                          u₅ = g₂
//!
//! m = t ⊙ u
//!
//! y₀ = m₀ + (m₁ + m₂) + (m₃ + m₄)                y₂ = (m₁ + m₂) / 2 + 2 (m₃ + m₄)
//! y₁ = p (m₁ − m₂) + q (m₃ − m₄)                 y₃ = p/2 (m₁ − m₂) + 2 q (m₃ − m₄) + m₅
//! ```
//!
//! Taken along columns and rows, a tile of 4x4 outputs is 36 products where the definition has 144:
//! F(4x4, 3x3). The points are our choice: whole ones (0, ±1, ±2) make larger factors, and rounding
//! errors twice as large.
//!
//! Where sides are no multiple of four, the last tiles read zeros, and their outputs beyond the map
//! are dropped.

use super::{
    element::Element,
    memory::{Area, Buffer},
    simd::{
        LANES, Lanes, Pixels, Walk,
        outer::{Gradient, outer},
        product::{Input, Output, product},
        tiles::{self, P, PRODUCTS, Place, Q, REACH, SIDE},
    },
    source::{Prepared, Product, Source},
};
use crate::program::{Branch, Dense, Frame};
use std::ops::Range;

/// Fewest channels on either side for which the sums before and after the products are worth their
/// while, and fewest vectors of pixels for which the weights `u` are, which are packed for every
/// image of a vector: fewer channels want more pixels.
const WORTH: [(usize, usize); 2] = [(8, 1 << 9), (4, 1 << 12)];

/// Whether a branch's window and sides allow it.
pub(super) fn applies(branch: &Branch, input: [usize; 2], output: [usize; 2], groups: usize) -> bool {
    let fits = |dense: Dense| {
        let Frame { kernel, stride, dilation, .. } = dense.frame;
        dense.groups == 1 && kernel == [3, 3] && stride == [1, 1] && dilation == [1, 1]
    };
    branch.depthwise.is_none()
        && branch.dense.is_some_and(fits)
        && input == output
        && output.iter().all(|side| *side > 2)
        && WORTH.iter().any(|(channels, pixels)| {
            branch.inputs().min(branch.channels) >= *channels && output[0] * output[1] * groups >= *pixels
        })
}

/// Tiles that are worked on at a time: enough that products are worth reading their weights, few
/// enough for the cache.
pub(super) fn room(blocks: usize) -> usize {
    (128 / blocks).clamp(32, 64)
}

/// Values of a layer of so many blocks of tiles. Distances that are multiples of a page fall into
/// the same few lines of a first-level cache.
fn layer(blocks: usize, room: usize) -> usize {
    blocks * room * LANES + LANES
}

/// Applies sums along a side to each lane.
#[inline(always)]
fn each_lane<const FROM: usize, const TO: usize>(
    from: [&Lanes; FROM],
    sums: impl Fn([f32; FROM]) -> [f32; TO],
) -> [Lanes; TO] {
    let mut to = [Lanes::ZERO; TO];
    for lane in 0..LANES {
        let found = sums(std::array::from_fn(|at| from[at].0[lane]));
        to.iter_mut().zip(found).for_each(|(to, found)| to.0[lane] = found);
    }
    to
}

/// The weights `u` of a window of three rows of three, of every lane.
pub(super) fn weights(g: [Lanes; 9]) -> [Lanes; PRODUCTS] {
    let side = |[first, middle, last]: [f32; 3]| {
        let (near, of_near) = ((first + last / 2.0) / -1.5, P * middle / -1.5);
        let (far, of_far) = ((first + 2.0 * last) / 6.0, Q * middle / 6.0);
        [first, near + of_near, near - of_near, far + of_far, far - of_far, last]
    };
    let columns = [0, 1, 2].map(|column| each_lane([0, 3, 6].map(|row| &g[row + column]), side));
    let mut u = [Lanes::ZERO; PRODUCTS];
    for (row, u) in u.chunks_exact_mut(REACH).enumerate() {
        u.copy_from_slice(&each_lane([0, 1, 2].map(|column| &columns[column][row]), side));
    }
    u
}

/// The weights `u` of windows, which are those of pairs of channels, turned about on the way back:
/// those of the first channel's pairs are far apart before, and next to each other after. With them
/// how far apart those of two products are.
pub(super) fn filters(windows: &[f32], [firsts, seconds]: [usize; 2], is_turned: bool) -> (Buffer, usize) {
    // Products a multiple of a page apart would fall into the same few lines of a cache.
    let apart = (firsts * seconds).next_multiple_of(LANES) + LANES;
    let mut u = Buffer::take(PRODUCTS * apart);
    for place in (0..firsts * seconds).step_by(LANES) {
        let mut taps = [Lanes::ZERO; 9];
        for lane in 0..LANES.min(firsts * seconds - place) {
            let (first, second) = ((place + lane) % firsts, (place + lane) / firsts);
            let window = &windows[(first * seconds + second) * 9..][..9];
            for (tap, weight) in window.iter().enumerate() {
                taps[if is_turned { 8 - tap } else { tap }].0[lane] = *weight;
            }
        }
        for (u, lanes) in u.chunks_exact_mut(apart).zip(weights(taps)) {
            u[place..][..LANES].copy_from_slice(&lanes.0);
        }
    }
    (u, apart)
}

/// The gradients of a window's weights, of those of `u`, of every lane.
pub(super) fn weight_gradient(u: [Lanes; PRODUCTS]) -> [Lanes; 9] {
    let side = |u: [f32; REACH]| {
        let (near, of_near) = ((u[1] + u[2]) / 3.0, (u[1] - u[2]) / 1.5);
        let (far, of_far) = ((u[3] + u[4]) / 3.0, (u[3] - u[4]) / 6.0);
        [u[0] - 2.0 * near + far / 2.0, Q * of_far - P * of_near, far - near + u[5]]
    };
    let columns: [[Lanes; 3]; REACH] = std::array::from_fn(|column| {
        each_lane(std::array::from_fn::<_, REACH, _>(|row| &u[row * REACH + column]), side)
    });
    let mut weights = [Lanes::ZERO; 9];
    for (row, weights) in weights.chunks_exact_mut(3).enumerate() {
        weights.copy_from_slice(&each_lane(std::array::from_fn::<_, REACH, _>(|column| &columns[column][row]), side));
    }
    weights
}

/// Areas of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    /// Inputs of products: of the source, and of a branch's gradient.
    inputs: Area,
    of_gradient: Area,
    products: Area,
    adjoints: Area,
}

/// Some tiles of one group of images: its number in a run, its tiles, and the first one's place
/// among those that are worked on at a time.
type Stretch = (usize, Range<usize>, usize);

/// The tiles of a run of groups, cut into what is worked on at a time.
fn batches(per_group: usize, groups: usize, room: usize) -> impl Iterator<Item = (usize, Vec<Stretch>)> {
    (0..per_group * groups).step_by(room).map(move |first| {
        let end = (first + room).min(per_group * groups);
        let of_group = |group: usize| {
            let tiles = first.max(group * per_group)..end.min((group + 1) * per_group);
            (group, tiles.start - group * per_group..tiles.end - group * per_group, tiles.start - first)
        };
        (end - first, (first / per_group..end.div_ceil(per_group)).map(of_group).collect())
    })
}

/// The first pixel of each tile of a map, moved by where windows begin.
fn places(sides: [usize; 2], start: [isize; 2]) -> Vec<[isize; 2]> {
    let along = |axis: usize| (0..sides[axis]).step_by(SIDE).map(move |at| at as isize + start[axis]);
    along(0).flat_map(|y| along(1).map(move |x| [y, x])).collect()
}

/// The branches of a source that are taken by tiles; those of one start share the inputs.
fn by_start<'a, 'b>(source: &'b Source<'a>) -> Vec<([isize; 2], Vec<&'b Prepared<'a>>)> {
    let mut found: Vec<([isize; 2], Vec<&Prepared<'a>>)> = Vec::new();
    for branch in source.branches.iter().filter(|branch| branch.is_by_tile()) {
        match found.iter_mut().find(|(start, _)| *start == branch.frame.start) {
            Some((_, alike)) => alike.push(branch),
            None => found.push((branch.frame.start, vec![branch])),
        }
    }
    found
}

/// How the tiles of some branches lie.
struct Lie {
    inputs: usize,
    outputs: usize,
    room: usize,
}

impl Lie {
    fn new(source: &Source<'_>, branch: &Prepared<'_>) -> Self {
        let (inputs, outputs) = (source.blocks.len(), branch.blocks.len());
        Self { inputs, outputs, room: room(inputs.max(outputs)) }
    }

    /// Layers of inputs, and of outputs.
    fn layers(&self) -> [usize; 2] {
        [layer(self.inputs, self.room), layer(self.outputs, self.room)]
    }
}

fn row(tiles: usize) -> Walk {
    Walk { images: 1, rows: 1, width: tiles, from: Pixels::of(tiles), to: Pixels::of(tiles) }
}

/// The inputs of the products of a source's tiles.
fn transform(source: &Source<'_>, staged: &[f32], at: &[Stretch], places: &[[isize; 2]], lie: &Lie, to: &mut [f32]) {
    let plane = source.canvas.pixels() * LANES;
    for (group, tiles, first) in at {
        let staged = staged[group * source.values()..].chunks_exact(plane).take(lie.inputs);
        for (block, staged) in staged.enumerate() {
            let place = Place {
                sides: source.canvas.input,
                pitch: source.canvas.width(),
                first: source.canvas.first(),
                tiles: &places[tiles.clone()],
            };
            tiles::inputs(staged, place, &mut to[(block * lie.room + first) * LANES..], lie.layers()[0]);
        }
    }
}

/// Writes the outputs of the branches that are taken by tiles. `out` has all blocks of the output,
/// of as many groups of images as are laid out in `staged`.
pub(super) fn forward<E: Element>(
    source: &Source<'_>,
    width: usize,
    staged: &[f32],
    blocks: usize,
    out: &mut [E],
    scratch: &mut Scratch,
) {
    let (sides, groups) = (source.canvas.input, staged.len() / source.values());
    let plane = sides[0] * sides[1] * LANES;
    let to = places(sides, [0; 2]);
    let Scratch { inputs, products, .. } = scratch;
    for (start, branches) in by_start(source) {
        let from = places(sides, start);
        // Branches of other widths may have other rooms.
        for alike in branches.chunk_by(|a, b| a.blocks.len() == b.blocks.len()) {
            let lie = Lie::new(source, alike[0]);
            let [of_inputs, of_outputs] = lie.layers();
            for (tiles, at) in batches(to.len(), groups, lie.room) {
                let inputs = inputs.of(PRODUCTS * of_inputs);
                transform(source, staged, &at, &from, &lie, inputs);
                let inputs = Input { values: inputs, layer: of_inputs, width };
                for branch in alike {
                    let Some(Product::ByTile(filters)) = &branch.dense else { continue };
                    let found = products.of(PRODUCTS * of_outputs);
                    let output = Output { values: found, block: lie.room * LANES, layer: of_outputs };
                    product(filters, None, inputs, output, row(tiles), false);
                    for (group, tiles, first) in &at {
                        for (block, number) in branch.blocks.clone().enumerate() {
                            let place = Place { sides, pitch: sides[1], first: 0, tiles: &to[tiles.clone()] };
                            let bias = branch.bias.as_ref().map_or(&Lanes::ZERO, |bias| &bias[block]);
                            let out = &mut out[(group * blocks + number) * plane..][..plane];
                            let found = &found[(block * lie.room + first) * LANES..];
                            tiles::outputs(found, of_outputs, bias, place, out, false);
                        }
                    }
                }
            }
        }
    }
}

/// Adds to the gradients of the weights `u` of the branches that are taken by tiles, which need the
/// source as it is laid out, and writes that of the source, both where they are wanted. The
/// gradient of a branch has all its blocks, of so many groups of images.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn backward<'a>(
    source: &Source<'_>,
    width: usize,
    groups: usize,
    gradient_of: impl Fn(&Prepared<'_>) -> &'a [f32],
    sums_of: impl Fn(&Prepared<'_>) -> usize,
    mut of_weights: Option<(&[f32], &mut [f32])>,
    of_source: Option<&mut [f32]>,
    scratch: &mut Scratch,
) {
    let sides = source.canvas.input;
    let plane = sides[0] * sides[1] * LANES;
    let Scratch { inputs, of_gradient, products, adjoints } = scratch;
    let (mut of_source, mut is_written) = (of_source, false);
    let to = places(sides, [0; 2]);
    for (start, branches) in by_start(source) {
        let from = places(sides, start);
        // What carries a gradient back is a window too, turned about.
        let back = places(sides, start.map(|start| -start - 2));
        for alike in branches.chunk_by(|a, b| a.blocks.len() == b.blocks.len()) {
            let lie = Lie::new(source, alike[0]);
            let [of_inputs, of_outputs] = lie.layers();
            for (tiles, at) in batches(to.len(), groups, lie.room) {
                let inputs = inputs.of(PRODUCTS * of_inputs);
                if let Some((staged, _)) = of_weights {
                    transform(source, staged, &at, &from, &lie, inputs);
                }
                let inputs = Input { values: inputs, layer: of_inputs, width };
                for (number, branch) in alike.iter().enumerate() {
                    let gradient = gradient_of(branch);
                    let adjoints = adjoints.of(PRODUCTS * of_outputs);
                    let turned = of_gradient.of(PRODUCTS * of_outputs);
                    for (group, tiles, first) in &at {
                        for block in 0..lie.outputs {
                            let gradient = &gradient[(group * lie.outputs + block) * plane..][..plane];
                            let place = Place { sides, pitch: sides[1], first: 0, tiles: &to[tiles.clone()] };
                            let at = (block * lie.room + first) * LANES;
                            if of_weights.is_some() {
                                tiles::adjoints(gradient, place, &mut adjoints[at..], of_outputs);
                            }
                            if of_source.is_some() {
                                let place = Place { tiles: &back[tiles.clone()], ..place };
                                tiles::inputs(gradient, place, &mut turned[at..], of_outputs);
                            }
                        }
                    }
                    let of_products =
                        Gradient { values: adjoints, blocks: lie.outputs, block: lie.room * LANES, layer: of_outputs };
                    let of_channel = lie.outputs * LANES;
                    if let Some((_, sums)) = &mut of_weights {
                        for (block, of) in source.blocks.iter().enumerate() {
                            let first = block * lie.room * LANES;
                            let input = Input { values: &inputs.values[first..], ..inputs };
                            let sums = &mut sums[sums_of(branch) + of.first * of_channel..];
                            let apart = source.inputs() * of_channel;
                            outer(PRODUCTS, of.channels, input, of_products, row(tiles), sums, apart);
                        }
                    }
                    let Some(Product::ByTile(filters)) = &branch.dense else { continue };
                    if of_source.is_some() {
                        let turned = Input { values: turned, layer: of_outputs, width };
                        let found = products.of(PRODUCTS * of_inputs);
                        let output = Output { values: found, block: lie.room * LANES, layer: of_inputs };
                        product(filters, None, turned, output, row(tiles), number > 0);
                    }
                }
                let Some(of_source) = &mut of_source else { continue };
                let found = products.of(PRODUCTS * of_inputs);
                for (group, tiles, first) in &at {
                    let canvas = source.canvas.pixels() * LANES;
                    let of_group = of_source[group * source.values()..].chunks_exact_mut(canvas);
                    for (block, out) in of_group.take(lie.inputs).enumerate() {
                        let place = Place {
                            sides,
                            pitch: source.canvas.width(),
                            first: source.canvas.first(),
                            tiles: &to[tiles.clone()],
                        };
                        let found = &found[(block * lie.room + first) * LANES..];
                        tiles::outputs(found, of_inputs, &Lanes::ZERO, place, out, is_written);
                    }
                }
            }
            is_written = true;
        }
    }
}
