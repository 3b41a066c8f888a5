//! Gradients of maps as sums that are taken where they are needed.
//!
//! The gradient of a candidate's output is `α · g + β · z + δ` for each channel: `g` the gradient
//! of the node that it went into, `z` its own value, the three numbers made of batch norm's
//! statistics, its scale and the mixing weight. It is never stored: the convolution behind it makes
//! each plane when it wants it.

use super::{
    layout::Blocks,
    memory::Buffer,
    pass_state::PassState,
    simd::elementwise::{WeightedSum, axpy, weighted_sums},
    statistics::Channel,
};
use crate::program::{MapId, Read};
use rayon::prelude::*;
use std::sync::Arc;

/// Planes of gradients: those of a node, or those that readers of a map have left.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    pub values: Arc<Buffer>,
    pub blocks: Blocks,
    /// Channel `c` is plane `at + c · spread`.
    pub at: usize,
    pub spread: usize,
}

/// A summand of a map's gradient.
#[derive(Debug, Clone)]
pub(super) struct Contribution {
    /// The channels it belongs to.
    pub first: usize,
    /// What each is multiplied with.
    pub alpha: Vec<f32>,
    pub planes: Planes,
    /// Row of the factors that images are multiplied with.
    pub factor: Option<usize>,
}

/// The gradient of a map.
#[derive(Debug, Default)]
pub(super) struct Gradient {
    pub contributions: Vec<Contribution>,
    /// What each channel's own value is multiplied with, and what is added; empty for zeros.
    pub beta: Vec<f32>,
    pub delta: Vec<f32>,
}

impl Gradient {
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

    /// One plane of the gradient. `out` is as long as the plane.
    pub fn plane(&self, state: &PassState, map: MapId, block: usize, channel: usize, out: &mut [f32]) {
        let (beta, delta) = match self.beta.get(channel) {
            Some(beta) => (*beta, self.delta[channel]),
            None => (0.0, 0.0),
        };
        let blocks = state.blocks(map);
        let mut sum = WeightedSum::new(delta);
        let mut with_factor = Vec::new();
        for contribution in &self.contributions {
            let Some(at) = channel.checked_sub(contribution.first).filter(|at| *at < contribution.alpha.len()) else {
                continue;
            };
            let Planes { values, blocks: of, at: first, spread } = &contribution.planes;
            let planes = of.plane(values, block, first + at * spread);
            match contribution.factor {
                Some(row) => with_factor.push((contribution.alpha[at], row, planes)),
                None => sum.add(contribution.alpha[at], planes, out),
            }
        }
        // Where nothing of the map's own value is asked for, it need not be there.
        if beta != 0.0 {
            sum.add(beta, blocks.plane(state.values(map), block, channel), out);
        }
        sum.flush(out);
        for (alpha, row, planes) in with_factor {
            let factors = &state.factor(row)[block * blocks.together..][..blocks.block(block).1];
            add_with_factors(alpha, factors, planes, out);
        }
    }

    /// All planes, written out; where they are there as they are, nothing is copied.
    pub fn whole(self, state: &PassState, map: MapId) -> Arc<Buffer> {
        let blocks = state.blocks(map);
        if let [only] = self.contributions.as_slice()
            && self.beta.is_empty()
            && only.factor.is_none()
            && (only.first, only.planes.at, only.planes.spread) == (0, 0, 1)
            && only.planes.blocks == blocks
            && only.alpha.iter().all(|alpha| *alpha == 1.0)
        {
            return only.planes.values.clone();
        }
        let mut values = Buffer::take(blocks.len());
        values.par_chunks_mut(blocks.chunk(blocks.together)).enumerate().with_max_len(1).for_each(|(block, out)| {
            let plane = blocks.pixels * blocks.block(block).1;
            for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
                self.plane(state, map, block, channel, out);
            }
        });
        Arc::new(values)
    }
}

/// `out[pixel][image] += alpha · factors[image] · x[pixel][image]`
fn add_with_factors(alpha: f32, factors: &[f32], x: &[f32], out: &mut [f32]) {
    if let [factor] = factors {
        return axpy(alpha * factor, x, out);
    }
    for (out, x) in out.chunks_exact_mut(factors.len()).zip(x.chunks_exact(factors.len())) {
        for ((out, x), factor) in out.iter_mut().zip(x).zip(factors) {
            *out += alpha * factor * x;
        }
    }
}

/// `x[pixel][image] · factors[image]`
pub(super) fn with_factors(factors: &[f32], x: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    add_with_factors(1.0, factors, x, out);
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

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.gradient += other.gradient;
        self.product += other.product;
    }
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
pub(super) struct Slot {
    pub first: usize,
    pub channels: usize,
    pub norm: Option<usize>,
    pub values: Buffer,
}

impl Slot {
    pub fn is_of(&self, read: &Read) -> bool {
        (self.first, self.channels, self.norm) == (read.first, read.channels, read.norm)
    }

    pub fn blocks(&self, state: &PassState, map: MapId) -> Blocks {
        Blocks { channels: self.channels, ..state.blocks(map) }
    }

    /// The sums that a norm's gradient needs, by channel.
    pub fn sums(&self, state: &PassState, map: MapId, norm: &[Channel]) -> Vec<Sums> {
        let (own, of) = (self.blocks(state, map), state.blocks(map));
        let by_block: Vec<Vec<Sums>> = (0..own.count())
            .into_par_iter()
            .with_max_len(1)
            .map(|block| {
                let channel = |channel: usize| {
                    let gradient = own.plane(&self.values, block, channel);
                    let value = of.plane(state.values(map), block, self.first + channel);
                    let (gradient, product) = weighted_sums(gradient, value, norm[channel].mean);
                    Sums { gradient, product }
                };
                (0..self.channels).map(channel).collect()
            })
            .collect();
        total(&by_block, self.channels)
    }
}

/// Sums of blocks, in their order.
pub(super) fn total(by_block: &[Vec<Sums>], length: usize) -> Vec<Sums> {
    let mut total = vec![Sums::default(); length];
    for block in by_block {
        total.iter_mut().zip(block).for_each(|(total, sums)| *total += *sums);
    }
    total
}
