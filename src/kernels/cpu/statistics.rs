//! Mean and variance of channels, and what batch norms make of them.

use super::{
    layout::Layout,
    simd::{LANES, sums::Moments},
};
use crate::program::{MapId, Norm, Program};

/// Mean and biased variance of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    pub mean: f32,
    pub variance: f32,
}

/// Joins the moments of each block of a map, of one group of images after another.
pub(super) fn join(layout: &Layout, map: MapId, by_group: &[Vec<Moments>]) -> Vec<Statistics> {
    let last = layout.groups() - 1;
    let whole = if layout.present(last).is_some() { last } else { last + 1 };
    let of_block = |block: usize| {
        let runs = |groups: &[Vec<Moments>]| {
            groups.iter().map(|of_group| &of_group[block]).fold(Moments::default(), Moments::join)
        };
        let (joined, rest) = (runs(&by_group[..whole]), runs(&by_group[whole..]));
        (0..layout.channels(map, block).len()).map(move |place| {
            // The images of a vector, then those of the last one, if it is not full.
            let images = (place..LANES).step_by(layout.width()).map(|lane| joined.lane(lane));
            let others = (place..).step_by(layout.width()).map(|lane| rest.lane(lane));
            let all = images.chain(others.take(if whole == last { layout.images_of(last) } else { 0 }));
            let [count, mean, squares] = all.fold([0.0; 3], |[count, mean, squares], [n, other, more]| {
                let (both, apart) = (f64::max(count + n, 1.0), other - mean);
                [count + n, mean + apart * (n / both), squares + more + apart * apart * (count * n / both)]
            });
            Statistics { mean: mean as f32, variance: (squares / count) as f32 }
        })
    };
    (0..layout.blocks(map)).flat_map(of_block).collect()
}

/// A batch norm of one channel as a multiply-add, and what its gradient needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    /// `y = x · factor + offset`
    pub factor: f32,
    pub offset: f32,
    pub mean: f32,
    /// `1 / sqrt(variance + ε)`
    pub inverse: f32,
    pub shift: f32,
}

/// The channels of a norm. `statistics` are those of the channels it covers.
pub(super) fn channels(norm: &Norm, statistics: &[Statistics], weights: &[f32], epsilon: f64) -> Vec<Channel> {
    let affine = |at: Option<usize>, channel: usize, otherwise| at.map_or(otherwise, |at| weights[at + channel]);
    statistics
        .iter()
        .enumerate()
        .map(|(channel, statistics)| {
            let inverse = (1.0 / (f64::from(statistics.variance) + epsilon).sqrt()) as f32;
            let (scale, shift) = (affine(norm.scale, channel, 1.0), affine(norm.shift, channel, 0.0));
            let factor = scale * inverse;
            Channel { factor, offset: shift - statistics.mean * factor, mean: statistics.mean, inverse, shift }
        })
        .collect()
}

/// The running statistics that a norm is given in evaluation.
pub(super) fn given(norm: &Norm, running: &[f32]) -> Vec<Statistics> {
    (0..norm.channels)
        .map(|channel| Statistics { mean: running[norm.mean + channel], variance: running[norm.variance + channel] })
        .collect()
}

/// Writes what a batch had to the places of the running statistics: its mean, and the unbiased
/// variance of `count` values. A single value has no variance.
pub(super) fn observe(norm: &Norm, statistics: &[Statistics], count: usize, observed: &mut [f32]) {
    let unbiased = count as f64 / (count as f64 - 1.0).max(1.0);
    for (channel, statistics) in statistics.iter().enumerate() {
        observed[norm.mean + channel] = statistics.mean;
        observed[norm.variance + channel] = (f64::from(statistics.variance) * unbiased) as f32;
    }
}

/// The norms of each map.
pub(super) fn norms_of_maps(program: &Program) -> Vec<Vec<usize>> {
    let mut of_map = vec![Vec::new(); program.maps.len()];
    program.norms.iter().enumerate().for_each(|(at, norm)| of_map[norm.map].push(at));
    of_map
}
