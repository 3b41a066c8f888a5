//! The nodes of a cell: sums of terms.

use super::record::{Record, Records, count_of, first_of, record};
use super::source::{Located, Plane, Prologue, Source};
use super::{TOGETHER, UNITS};
use crate::gpu::launch::{Bindings, Launch};
use cubecl::prelude::*;

record! {
    /// A channel that is added to a node.
    Term {
        source: Source,
        /// Place of its mixing weight in the numbers.
        mixing: usize,
        /// Place of its row of factors in the numbers, one an image.
        factor: usize,
    }
}

record! {
    /// A channel of a node.
    Node {
        /// What is written.
        plane: Plane,
        terms: Records<Term>,
    }
}

/// The place in the numbers of a term's mixing weight.
#[cube]
pub fn mixing_of(table: &[u32], term: usize) -> usize {
    table[term + Term::mixing] as usize
}

/// `out[c, n, p] = Σ_term weight · factor[n] · term[n, p]`, all terms of a node in one pass.
///
/// Grid: positions `n · h · w` by [`UNITS`] times [`TOGETHER`], records ([`Node`], one an output
/// channel).
#[cube(launch, address_type = "dynamic")]
pub fn combine<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    records: u32,
    positions: u32,
    plane: u32,
    #[define(E)] _format: ElemType,
) {
    let node = records as usize + CUBE_POS_Y as usize * Node::WORDS;
    let begin = CUBE_POS_X * comptime!(UNITS * TOGETHER as u32) + UNIT_POS;
    let mut images = Array::<usize>::new(TOGETHER);
    let mut pixels = Array::<usize>::new(TOGETHER);
    let mut sums = Array::<f32>::new(TOGETHER);
    #[unroll]
    for step in 0..TOGETHER {
        // The last is read again where there is none, so that no load waits for another.
        let at = min(begin + comptime!(step as u32 * UNITS), positions - 1);
        images[step] = (at / plane) as usize;
        pixels[step] = (at % plane) as usize;
        sums[step] = 0.0;
    }
    let first = first_of(table, node + Node::terms);
    for at in 0..count_of(table, node + Node::terms) {
        let term = first + at as usize * Term::WORDS;
        let source = term + Term::source;
        let read = Located::of(table, source + Source::plane);
        let prologue = Prologue::of(numbers, table, source);
        let (weight, factor) = (numbers[mixing_of(table, term)], table[term + Term::factor] as usize);
        #[unroll]
        for step in 0..TOGETHER {
            let value = f32::cast_from(arena[read.start(images[step]) + pixels[step]]);
            sums[step] += weight * numbers[factor + images[step]] * prologue.apply(value);
        }
    }
    let written = Located::of(table, node + Node::plane);
    #[unroll]
    for step in 0..TOGETHER {
        if begin + comptime!(step as u32 * UNITS) < positions {
            arena[written.start(images[step]) + pixels[step]] = E::cast_from(sums[step]);
        }
    }
}

/// A launch of [`combine`].
#[derive(Debug, Clone, Copy)]
pub struct Combine {
    pub nodes: Records<Node>,
    pub positions: usize,
    /// Pixels of an image.
    pub pixels: usize,
}

impl Launch for Combine {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.positions.div_ceil(UNITS as usize * TOGETHER), self.nodes.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (positions, plane) = (self.positions as u32, self.pixels as u32);
        let records = self.nodes.first();
        combine::launch(client, cubes, units, address, arena, numbers, table, records, positions, plane, on.format);
    }
}
