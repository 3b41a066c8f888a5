//! Gradients of maps as sums that are taken where they are needed.
//!
//! The gradient of a candidate's output is `α · g + β · z + δ` for each channel: `g` the gradient
//! of the node that it went into, `z` its own value, the three numbers made of batch norm's
//! statistics, its scale and the mixing weight. It is never stored: the convolution behind it makes
//! each plane when it wants it.

use super::{
    element::Element,
    memory::Buffer,
    pass_state::PassState,
    simd::{
        LANES, Lanes,
        elementwise::weighted_sum,
        sums::{self, weighted_sums},
    },
    statistics::Channel,
    tasks::least,
};
use crate::program::{MapId, Read, Term};
use rayon::prelude::*;
use std::{borrow::Cow, ops::Range, sync::Arc};

/// What channels of a read are in another map: channel `c` is `at + c · spread` there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub map: MapId,
    pub at: usize,
    pub spread: usize,
}

impl Placed {
    pub fn of(term: &Term, output: MapId) -> Self {
        Self { map: output, at: term.at, spread: term.spread }
    }

    /// The plane that has the channels of a block of a read in its lanes: one of the other map's,
    /// or one that is put together.
    pub fn plane<'a, E: Element>(
        &self,
        state: &PassState<E>,
        values: &'a [E],
        read: &Read,
        block: usize,
        group: usize,
    ) -> Cow<'a, [E]> {
        let blocks = state.layout.blocks(self.map);
        let channels = state.layout.channels(read.map, block);
        let channels = channels.start - read.first..channels.end - read.first;
        let (first, _) = state.layout.place(self.map, self.at + channels.start * self.spread);
        if self.spread == 1 {
            return Cow::Borrowed(state.layout.plane(self.map, values, blocks, group, first));
        }
        let mut together = vec![E::default(); state.map(self.map).pixels() * LANES];
        for (lane, channel) in channels.enumerate() {
            let (block, place) = state.layout.place(self.map, self.at + channel * self.spread);
            copy_channel(state, state.layout.plane(self.map, values, blocks, group, block), place, &mut together, lane);
        }
        Cow::Owned(together)
    }
}

/// Copies a channel of a plane to another's, for all images of a vector.
pub(super) fn copy_channel<E: Element>(state: &PassState<E>, from: &[E], place: usize, to: &mut [E], lane: usize) {
    let width = state.layout.width();
    for (from, to) in from.as_chunks::<LANES>().0.iter().zip(to.as_chunks_mut::<LANES>().0) {
        for image in (0..LANES).step_by(width) {
            to[image + lane] = from[image + place];
        }
    }
}

/// Where the values of a contribution are.
#[derive(Debug, Clone)]
pub(super) enum Planes<E: Element> {
    /// What readers of these channels have left, block by block.
    Own(Arc<Buffer<E>>),
    /// The gradient of a node, and where the channels are in it.
    OfNode(Arc<Buffer<E>>, Placed),
}

/// A summand of a map's gradient.
#[derive(Debug, Clone)]
pub(super) struct Contribution<E: Element> {
    /// The channels it belongs to.
    pub read: Read,
    /// Their blocks, and what each lane is multiplied with.
    pub blocks: Range<usize>,
    pub alpha: Vec<Lanes>,
    pub planes: Planes<E>,
    /// Row of the factors that images are multiplied with.
    pub factor: Option<usize>,
}

/// The gradient of a map.
#[derive(Debug, Default)]
pub(super) struct Gradient<E: Element> {
    pub contributions: Vec<Contribution<E>>,
    /// What each channel's own value is multiplied with, and what is added; empty for zeros.
    beta: Vec<f32>,
    delta: Vec<f32>,
}

impl<E: Element> Gradient<E> {
    pub fn is_zero(&self) -> bool {
        self.contributions.is_empty()
    }

    /// Adds what a norm over `alpha.len()` channels from `first` on sends back beside its
    /// contribution.
    pub fn add_linear(&mut self, channels: usize, first: usize, linear: &[Linear]) {
        if self.beta.is_empty() {
            (self.beta, self.delta) = (vec![0.0; channels], vec![0.0; channels]);
        }
        for (channel, linear) in linear.iter().enumerate() {
            self.beta[first + channel] += linear.beta;
            self.delta[first + channel] += linear.delta;
        }
    }

    /// One block of the gradient, of one group of images: zero where there are no images. `out` is
    /// as long as the plane.
    pub fn plane<O: Element>(&self, state: &PassState<E>, map: MapId, group: usize, block: usize, out: &mut [O]) {
        let present = state.layout.present(group);
        let masked = |lanes: Lanes| present.map_or(lanes, |present| lanes.times(&present));
        let mut planes: Vec<(Lanes, Cow<'_, [E]>)> = Vec::with_capacity(self.contributions.len() + 1);
        for Contribution { read, blocks, alpha, planes: values, factor } in &self.contributions {
            if !blocks.contains(&block) {
                continue;
            }
            let at = block - blocks.start;
            let alpha = factor.map_or(alpha[at], |row| alpha[at].times(&state.factors(row, group)));
            let plane = match values {
                Planes::Own(values) => Cow::Borrowed(state.layout.plane(map, values, blocks.len(), group, at)),
                Planes::OfNode(values, placed) => placed.plane(state, values, read, block, group),
            };
            planes.push((masked(alpha), plane));
        }
        let mut delta = Lanes::ZERO;
        if !self.beta.is_empty() {
            let channels = state.layout.channels(map, block);
            let beta = state.layout.lanes(channels.clone(), |channel| self.beta[channel]);
            delta = masked(state.layout.lanes(channels, |channel| self.delta[channel]));
            // Where nothing of the map's own value is asked for, it need not be there.
            if beta != Lanes::ZERO {
                planes.push((masked(beta), Cow::Borrowed(state.plane(map, group, block))));
            }
        }
        let terms: Vec<(Lanes, &[E])> = planes.iter().map(|(factor, plane)| (*factor, &**plane)).collect();
        weighted_sum(&delta, &terms, out);
    }

    /// All planes, written out; where they are there as they are, nothing is copied.
    pub fn whole(self, state: &PassState<E>, map: MapId) -> Arc<Buffer<E>> {
        let blocks = state.layout.blocks(map);
        if let [Contribution { planes: Planes::Own(values), alpha, blocks: of, factor: None, .. }] =
            self.contributions.as_slice()
            && self.beta.is_empty()
            && of.len() == blocks
            && alpha.iter().all(|alpha| *alpha == Lanes::ONE)
        {
            return values.clone();
        }
        let mut values = Buffer::take(state.len(map));
        let few = least(values.len() / LANES);
        let plane = state.layout.chunk(map, 1);
        values.par_chunks_mut(plane * blocks).enumerate().with_min_len(few).for_each(|(group, out)| {
            for (block, out) in out.chunks_exact_mut(plane).enumerate() {
                self.plane(state, map, group, block, out);
            }
        });
        Arc::new(values)
    }
}

/// What a map's own value and a constant add to its gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    pub beta: f32,
    pub delta: f32,
}

/// `Σ g` and `Σ g · (z − mean)` of a channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub gradient: f64,
    pub product: f64,
}

/// The gradient of `weight · norm(z)` in `z`: `alpha · g + beta · z + delta`. In training the
/// statistics depend on `z` too (Ioffe & Szegedy 2015, section 3); `count` is how many values they
/// are of, and absent in evaluation.
pub(super) fn through_norm(channel: &Channel, weight: f32, sums: Sums, count: Option<usize>) -> (f32, Linear) {
    let alpha = weight * channel.factor;
    let Some(count) = count else { return (alpha, Linear { beta: 0.0, delta: 0.0 }) };
    let (alpha64, inverse, count) = (f64::from(alpha), f64::from(channel.inverse), count as f64);
    let beta = -alpha64 * inverse * inverse * sums.product / count;
    let delta = -alpha64 * sums.gradient / count - beta * f64::from(channel.mean);
    (alpha, Linear { beta: beta as f32, delta: delta as f32 })
}

/// What readers of some channels have left: the gradient of what they read, before the norm they
/// read it through.
#[derive(Debug)]
pub(super) struct Slot<E: Element> {
    /// What is read, whatever becomes of it.
    pub read: Read,
    pub blocks: Range<usize>,
    pub values: Buffer<E>,
}

impl<E: Element> Slot<E> {
    pub fn is_of(&self, read: &Read) -> bool {
        is_alike(&self.read, read)
    }

    /// Values of a group of images.
    pub fn chunk(&self, state: &PassState<E>) -> usize {
        state.layout.chunk(self.read.map, self.blocks.len())
    }

    /// The sums that a norm's gradient needs, by channel.
    pub fn sums(&self, state: &PassState<E>, norm: &[Channel]) -> Vec<Sums> {
        let Self { read, blocks, values } = self;
        let means: Vec<Lanes> =
            blocks.clone().map(|block| state.lanes(read, block, |channel| norm[channel].mean)).collect();
        let groups = (0..state.layout.groups()).into_par_iter().with_min_len(least(values.len() / LANES));
        let by_group: Vec<Vec<LaneSums>> = groups
            .map(|group| {
                let of_block = |(at, block)| {
                    let gradient = state.layout.plane(read.map, values, blocks.len(), group, at);
                    let (gradient, [product]) =
                        weighted_sums(gradient, [(state.plane(read.map, group, block), &means[at])]);
                    LaneSums { gradient, product }
                };
                blocks.clone().enumerate().map(of_block).collect()
            })
            .collect();
        let total = total(state, &by_group);
        by_channel(state, read, blocks.clone(), &total)
    }
}

/// Whether two reads leave their gradients in one slot.
pub(super) fn is_alike(read: &Read, other: &Read) -> bool {
    (read.map, read.first, read.channels, read.norm) == (other.map, other.first, other.channels, other.norm)
}

/// [`Sums`] of each lane of a block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LaneSums {
    pub gradient: sums::Sums,
    pub product: sums::Sums,
}

/// Sums of groups of images, in their order.
pub(super) fn total<E: Element>(state: &PassState<E>, by_group: &[Vec<LaneSums>]) -> Vec<LaneSums> {
    let mut total = vec![LaneSums::default(); by_group.first().map_or(0, Vec::len)];
    for (group, of_group) in by_group.iter().enumerate() {
        let lanes = state.layout.images_of(group) * state.layout.width();
        for (total, sums) in total.iter_mut().zip(of_group) {
            for lane in 0..lanes {
                total.gradient[lane] += sums.gradient[lane];
                total.product[lane] += sums.product[lane];
            }
        }
    }
    total
}

/// The sums of each channel of some blocks, over all images of a vector.
pub(super) fn by_channel<E: Element>(
    state: &PassState<E>,
    read: &Read,
    blocks: Range<usize>,
    sums: &[LaneSums],
) -> Vec<Sums> {
    let width = state.layout.width();
    let over = |lanes: &sums::Sums, place: usize| lanes.iter().skip(place).step_by(width).sum::<f64>();
    let of_block = |(block, sums): (usize, &LaneSums)| {
        let sums = *sums;
        (0..state.layout.channels(read.map, block).len())
            .map(move |place| Sums { gradient: over(&sums.gradient, place), product: over(&sums.product, place) })
    };
    blocks.zip(sums).flat_map(of_block).collect()
}
