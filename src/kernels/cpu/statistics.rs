//! Mean and variance of channels, and what batch norms make of them.

use super::simd::elementwise::Moments;
use crate::program::{Norm, Program};

/// Mean and biased variance of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    pub mean: f32,
    pub variance: f32,
}

/// Joins the moments of runs, in their order.
pub(super) fn join(runs: impl Iterator<Item = Moments>) -> Statistics {
    let Moments { count, mean, squares } = runs.fold(Moments::default(), Moments::join);
    Statistics { mean: mean as f32, variance: (squares / count) as f32 }
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
