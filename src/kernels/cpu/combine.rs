//! Nodes: all candidates of all edges in one pass, and what their gradients need in another.

use super::{
    gradient::{Contribution, Planes, Sums, total, with_factors},
    layout::Blocks,
    memory::{Area, Buffer},
    reverse::Reverse,
    simd::elementwise::{self, Moments, weighted_sums},
    tape::{Prologue, Tape},
};
use crate::kernels::program::{MapId, Term};
use rayon::prelude::*;
use std::sync::Arc;

/// Writes the output map, and returns its moments by block and channel where they are asked for.
pub(super) fn forward(tape: &Tape, terms: &[Term], output: MapId, moments: bool) -> (Buffer, Vec<Vec<Moments>>) {
    let blocks = tape.blocks(output);
    let mut values = Buffer::take(blocks.len());
    let found = values
        .par_chunks_mut(blocks.chunk(blocks.together))
        .enumerate()
        .map_init(Area::default, |scratch, (block, out)| {
            let plane = blocks.pixels * blocks.block(block).1;
            let mut found = Vec::new();
            for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
                let mut fresh = true;
                for term in terms {
                    if let Some(of_term) = channel_of(term, channel) {
                        add(tape, term, of_term, block, fresh, scratch, out);
                        fresh = false;
                    }
                }
                if fresh {
                    out.fill(0.0);
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

/// The term's channel that goes to an output channel, if one does.
fn channel_of(term: &Term, channel: usize) -> Option<usize> {
    let past = channel.checked_sub(term.at)?;
    (past % term.spread == 0 && past / term.spread < term.read.channels).then_some(past / term.spread)
}

fn add(tape: &Tape, term: &Term, channel: usize, block: usize, fresh: bool, scratch: &mut Area, out: &mut [f32]) {
    let blocks = tape.blocks(term.read.map);
    let x = blocks.plane(tape.values(term.read.map), block, term.read.first + channel);
    let Prologue { factor, offset, least } = tape.prologue(&term.read, channel);
    let weight = weight_of(tape, term);
    let plain = least == f32::NEG_INFINITY;
    match factors(tape, term, &blocks, block) {
        None if plain && fresh => elementwise::affine_relu(x, factor * weight, offset * weight, false, out),
        None if plain => elementwise::affine_add(x, factor * weight, offset * weight, out),
        factors => {
            let y = scratch.of(2 * x.len());
            let (y, dropped) = y.split_at_mut(x.len());
            elementwise::affine_relu(x, factor, offset, !plain, y);
            let y = match factors {
                Some(factors) => {
                    with_factors(factors, y, dropped);
                    dropped
                }
                None => y,
            };
            if fresh {
                elementwise::affine_relu(y, weight, 0.0, false, out);
            } else {
                elementwise::axpy(weight, y, out);
            }
        }
    }
}

fn weight_of(tape: &Tape, term: &Term) -> f32 {
    term.weight.map_or(1.0, |at| tape.mixing[at])
}

/// The factors of a block's images, where the term has any.
fn factors<'a>(tape: &'a Tape, term: &Term, blocks: &Blocks, block: usize) -> Option<&'a [f32]> {
    let row = term.factor?;
    Some(&tape.factor(row)[block * blocks.together..][..blocks.block(block).1])
}

/// Sends the gradient `of_node` of a node on to what its terms read.
pub(super) fn backward(reverse: &mut Reverse, terms: &[Term], output: MapId, of_node: &Arc<Buffer>) {
    let sums = sums(&reverse.tape, terms, output, of_node);
    for (term, sums) in terms.iter().zip(&sums) {
        let planes =
            Planes { values: of_node.clone(), blocks: reverse.tape.blocks(output), at: term.at, spread: term.spread };
        if term.read.relu {
            rectified(reverse, term, sums, planes);
        } else {
            plain(reverse, term, sums, planes);
        }
    }
}

/// `Σ f g` and `Σ f g (z − mean)` of every channel of every term; of a rectified one `Σ f g · max(y, 0)` in the second place.
fn sums(tape: &Tape, terms: &[Term], output: MapId, of_node: &Arc<Buffer>) -> Vec<Vec<Sums>> {
    let blocks = tape.blocks(output);
    let length = terms.iter().map(|term| term.read.channels).sum();
    let by_block: Vec<Vec<Sums>> = (0..blocks.count())
        .into_par_iter()
        .map_init(
            || (Area::default(), Area::default()),
            |(dropped, rectified), block| {
                let mut found = Vec::with_capacity(length);
                for term in terms {
                    for channel in 0..term.read.channels {
                        let gradient = blocks.plane(of_node, block, term.at + channel * term.spread);
                        let needed = term.read.norm.is_some() || term.weight.is_some();
                        if !needed {
                            found.push(Sums::default());
                            continue;
                        }
                        let gradient = match factors(tape, term, &blocks, block) {
                            Some(factors) => {
                                let dropped = dropped.of(gradient.len());
                                with_factors(factors, gradient, dropped);
                                &*dropped
                            }
                            None => gradient,
                        };
                        let of = tape.blocks(term.read.map);
                        let z = of.plane(tape.values(term.read.map), block, term.read.first + channel);
                        let (gradient, product) = if term.read.relu {
                            let Prologue { factor, offset, .. } = tape.prologue(&term.read, channel);
                            let y = rectified.of(z.len());
                            elementwise::affine_relu(z, factor, offset, true, y);
                            weighted_sums(gradient, y, 0.0)
                        } else {
                            weighted_sums(gradient, z, mean_of(tape, term, channel))
                        };
                        found.push(Sums { gradient, product });
                    }
                }
                found
            },
        )
        .collect();
    let total = total(&by_block, length);
    let mut next = 0;
    let of_term = terms.iter().map(|term| {
        let first = next;
        next += term.read.channels;
        total[first..next].to_vec()
    });
    of_term.collect()
}

fn mean_of(tape: &Tape, term: &Term, channel: usize) -> f32 {
    term.read.norm.map_or(0.0, |norm| tape.norms[norm][channel].mean)
}

/// A term that is linear in what it reads, or in its norm: its contribution is the node's own gradient.
fn plain(reverse: &mut Reverse, term: &Term, sums: &[Sums], planes: Planes) {
    let weight = weight_of(&reverse.tape, term);
    let mut benefit = 0.0;
    let alpha = match term.read.norm {
        None => {
            benefit += sums.iter().map(|sums| sums.product).sum::<f64>();
            vec![weight; term.read.channels]
        }
        Some(norm) => {
            let channels = &reverse.tape.norms[norm];
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
    let weight = weight_of(&reverse.tape, term);
    if let Some(at) = term.weight {
        reverse.mixing[at] += sums.iter().map(|sums| sums.product).sum::<f64>() as f32;
    }
    let (mut slot, fresh) = reverse.slot(&term.read);
    let tape = &reverse.tape;
    let (blocks, of) = (slot.blocks(tape, term.read.map), tape.blocks(term.read.map));
    slot.values.par_chunks_mut(blocks.chunk(blocks.together)).enumerate().for_each(|(block, out)| {
        let plane = blocks.pixels * blocks.block(block).1;
        let mut gradient = vec![0.0; plane];
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            let from = planes.blocks.plane(&planes.values, block, planes.at + channel * planes.spread);
            match factors(tape, term, &of, block) {
                Some(factors) => with_factors(factors, from, &mut gradient),
                None => gradient.copy_from_slice(from),
            }
            let z = of.plane(tape.values(term.read.map), block, term.read.first + channel);
            let Prologue { factor, offset, .. } = tape.prologue(&term.read, channel);
            for ((out, gradient), z) in out.iter_mut().zip(&gradient).zip(z) {
                let passed = if z * factor + offset > 0.0 { weight * gradient } else { 0.0 };
                *out = if fresh { passed } else { *out + passed };
            }
        }
    });
    reverse.keep(&term.read, slot);
}
