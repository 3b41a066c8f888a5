//! Nodes: all candidates of all edges in one pass, and what their gradients need in another.

use super::{
    gradient::{Contribution, Planes, Sums, total, with_factors},
    layout::Blocks,
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    pass_state::PassState,
    prologue::Prologue,
    reverse::Reverse,
    simd::elementwise::{self, BESIDE, Moments, WeightedSum, weighted_sums, weighted_sums_of},
};
use crate::program::{Activation, MapId, Term};
use rayon::prelude::*;
use std::sync::Arc;

/// Scratch memory of a thread.
fn scratch() -> ScratchGuard<Area> {
    static POOL: ScratchPool<Area> = ScratchPool::new();
    POOL.take()
}

/// Writes the output map, and returns its moments by block and channel where they are asked for.
pub(super) fn forward(state: &PassState, terms: &[Term], output: MapId, moments: bool) -> (Buffer, Vec<Vec<Moments>>) {
    let blocks = state.blocks(output);
    let mut values = Buffer::take(blocks.len());
    let found = values
        .par_chunks_mut(blocks.chunk(blocks.together))
        .enumerate()
        .with_max_len(1)
        .map_init(scratch, |scratch, (block, out)| {
            let plane = blocks.pixels * blocks.block(block).1;
            let mut found = Vec::new();
            for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
                let mut sum = WeightedSum::new(0.0);
                let mut others = Vec::new();
                for term in terms {
                    let Some(of_term) = term.channel_to(channel) else { continue };
                    let x = plane_of(state, term, of_term, block);
                    let prologue = state.prologue(&term.read, of_term);
                    if is_linear(term) {
                        let weight = weight_of(state, term);
                        sum.add(prologue.factor * weight, x, out);
                        sum.add_shift(prologue.offset * weight);
                    } else {
                        others.push((term, x, prologue));
                    }
                }
                sum.flush(out);
                for (term, x, prologue) in others {
                    add(state, term, x, prologue, block, scratch, out);
                }
                if moments {
                    found.push(elementwise::moments(out));
                }
            }
            found
        })
        .collect();
    (values, found)
}

/// Whether a term is linear in what it reads, the same for all images.
fn is_linear(term: &Term) -> bool {
    term.read.activation == Activation::None && term.factor.is_none()
}

fn plane_of<'a>(state: &'a PassState, term: &Term, channel: usize, block: usize) -> &'a [f32] {
    state.blocks(term.read.map).plane(state.values(term.read.map), block, term.read.first + channel)
}

/// Adds what a term makes of a plane.
fn add(
    state: &PassState,
    term: &Term,
    x: &[f32],
    prologue: Prologue,
    block: usize,
    scratch: &mut Area,
    out: &mut [f32],
) {
    let Prologue { factor, offset, least } = prologue;
    let (y, dropped) = scratch.of(2 * x.len()).split_at_mut(x.len());
    elementwise::affine_floor(x, factor, offset, least, y);
    let y = match factors(state, term, &state.blocks(term.read.map), block) {
        Some(factors) => {
            with_factors(factors, y, dropped);
            dropped
        }
        None => y,
    };
    elementwise::axpy(weight_of(state, term), y, out);
}

fn weight_of(state: &PassState, term: &Term) -> f32 {
    term.weight.map_or(1.0, |at| state.mixing[at])
}

/// The factors of a block's images, where the term has any.
fn factors<'a>(state: &'a PassState, term: &Term, blocks: &Blocks, block: usize) -> Option<&'a [f32]> {
    let row = term.factor?;
    Some(&state.factor(row)[block * blocks.together..][..blocks.block(block).1])
}

/// Sends the gradient `of_node` of a node on to what its terms read.
pub(super) fn backward(reverse: &mut Reverse, terms: &[Term], output: MapId, of_node: &Arc<Buffer>) {
    let sums = sums(&reverse.state, terms, output, of_node);
    for (term, sums) in terms.iter().zip(&sums) {
        let planes =
            Planes { values: of_node.clone(), blocks: reverse.state.blocks(output), at: term.at, spread: term.spread };
        match term.read.activation {
            Activation::None => plain(reverse, term, sums, planes),
            Activation::Relu => rectified(reverse, term, sums, planes),
        }
    }
}

/// `Σ f g` and `Σ f g (z − mean)` of every channel of every term; of a rectified one
/// `Σ f g · max(y, 0)` in the second place.
fn sums(state: &PassState, terms: &[Term], output: MapId, of_node: &Arc<Buffer>) -> Vec<Vec<Sums>> {
    let blocks = state.blocks(output);
    let starts: Vec<usize> = terms
        .iter()
        .scan(0, |next, term| {
            *next += term.read.channels;
            Some(*next - term.read.channels)
        })
        .collect();
    let length = terms.iter().map(|term| term.read.channels).sum();
    let by_block: Vec<Vec<Sums>> = (0..blocks.count())
        .into_par_iter()
        .with_max_len(1)
        .map_init(scratch, |scratch, block| {
            let mut found = vec![Sums::default(); length];
            for channel in 0..blocks.channels {
                let gradient = blocks.plane(of_node, block, channel);
                let mut linear = Vec::new();
                for (term, start) in terms.iter().zip(&starts) {
                    let Some(of_term) = term.channel_to(channel).filter(|_| is_needed(term)) else { continue };
                    let z = plane_of(state, term, of_term, block);
                    if is_linear(term) {
                        linear.push((start + of_term, z, mean_of(state, term, of_term)));
                    } else {
                        found[start + of_term] = sums_of(state, term, of_term, block, gradient, z, scratch);
                    }
                }
                for beside in linear.chunks(BESIDE) {
                    match *beside {
                        [a] => several([a], gradient, &mut found),
                        [a, b] => several([a, b], gradient, &mut found),
                        [a, b, c] => several([a, b, c], gradient, &mut found),
                        [a, b, c, d] => several([a, b, c, d], gradient, &mut found),
                        _ => {}
                    }
                }
            }
            found
        })
        .collect();
    let total = total(&by_block, length);
    terms.iter().zip(starts).map(|(term, start)| total[start..][..term.read.channels].to_vec()).collect()
}

/// Whether anybody asks for the sums of a term.
fn is_needed(term: &Term) -> bool {
    term.read.norm.is_some() || term.weight.is_some()
}

/// The sums of linear terms, each with its place, its values and their mean.
fn several<const N: usize>(terms: [(usize, &[f32], f32); N], gradient: &[f32], found: &mut [Sums]) {
    let (gradient, products) = weighted_sums_of(gradient, terms.map(|(_, z, mean)| (z, mean)));
    for ((place, ..), product) in terms.into_iter().zip(products) {
        found[place] = Sums { gradient, product };
    }
}

/// The sums of one channel of a term that is rectified, or has factors.
fn sums_of(
    state: &PassState,
    term: &Term,
    channel: usize,
    block: usize,
    g: &[f32],
    z: &[f32],
    scratch: &mut Area,
) -> Sums {
    let (dropped, rectified) = scratch.of(2 * z.len()).split_at_mut(z.len());
    let g = match factors(state, term, &state.blocks(term.read.map), block) {
        Some(factors) => {
            with_factors(factors, g, dropped);
            &*dropped
        }
        None => g,
    };
    let (gradient, product) = match term.read.activation {
        Activation::None => weighted_sums(g, z, mean_of(state, term, channel)),
        Activation::Relu => {
            let Prologue { factor, offset, least } = state.prologue(&term.read, channel);
            elementwise::affine_floor(z, factor, offset, least, rectified);
            weighted_sums(g, rectified, 0.0)
        }
    };
    Sums { gradient, product }
}

fn mean_of(state: &PassState, term: &Term, channel: usize) -> f32 {
    term.read.norm.map_or(0.0, |norm| state.norms[norm][channel].mean)
}

/// A term that is linear in what it reads, or in its norm: its contribution is the node's own
/// gradient.
fn plain(reverse: &mut Reverse, term: &Term, sums: &[Sums], planes: Planes) {
    let weight = weight_of(&reverse.state, term);
    let mut benefit = 0.0;
    let alpha = match term.read.norm {
        None => {
            benefit += sums.iter().map(|sums| sums.product).sum::<f64>();
            vec![weight; term.read.channels]
        }
        Some(norm) => {
            let channels = &reverse.state.norms[norm];
            for (channel, sums) in channels.iter().zip(sums) {
                benefit += f64::from(channel.factor) * sums.product + f64::from(channel.shift) * sums.gradient;
            }
            reverse.through(&term.read, norm, weight, sums)
        }
    };
    if let Some(at) = term.weight {
        reverse.mixing[at] += benefit as f32;
    }
    // A gradient that nobody asks for would keep the node's alive.
    if reverse.wants(&term.read) {
        let contribution = Contribution { first: term.read.first, alpha, planes, factor: term.factor };
        reverse.gradients[term.read.map].contributions.push(contribution);
    }
}

/// A rectified term: its gradient is written out where what it reads is positive.
fn rectified(reverse: &mut Reverse, term: &Term, sums: &[Sums], planes: Planes) {
    let weight = weight_of(&reverse.state, term);
    if let Some(at) = term.weight {
        reverse.mixing[at] += sums.iter().map(|sums| sums.product).sum::<f64>() as f32;
    }
    let (mut slot, fresh) = reverse.slot(&term.read);
    let state = &reverse.state;
    let (blocks, of) = (slot.blocks(state, term.read.map), state.blocks(term.read.map));
    slot.values.par_chunks_mut(blocks.chunk(blocks.together)).enumerate().with_max_len(1).for_each(|(block, out)| {
        let plane = blocks.pixels * blocks.block(block).1;
        let mut gradient = vec![0.0; plane];
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            let from = planes.blocks.plane(&planes.values, block, planes.at + channel * planes.spread);
            match factors(state, term, &of, block) {
                Some(factors) => with_factors(factors, from, &mut gradient),
                None => gradient.copy_from_slice(from),
            }
            let z = of.plane(state.values(term.read.map), block, term.read.first + channel);
            let Prologue { factor, offset, .. } = state.prologue(&term.read, channel);
            for ((out, gradient), z) in out.iter_mut().zip(&gradient).zip(z) {
                let passed = if z * factor + offset > 0.0 { weight * gradient } else { 0.0 };
                *out = if fresh { passed } else { *out + passed };
            }
        }
    });
    reverse.keep(&term.read, slot);
}
