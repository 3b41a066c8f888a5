//! The nodes of a cell: sums of terms.

use super::UNITS;
use super::record::{Record, Records, count_of, first_of, record};
use super::source::{Plane, Prologue, Source, start_of};
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

/// The place in the numbers of a term's factor for an image.
#[cube]
pub fn factor_of(table: &[u32], term: usize, image: usize) -> usize {
    table[term + Term::factor] as usize + image
}

/// `out[c, n, p] = Σ_term weight · factor[n] · term[n, p]`, all terms of a node in one pass.
///
/// Grid: positions `n · h · w` by [`UNITS`], records ([`Node`], one an output channel).
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
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < positions {
        let node = records as usize + CUBE_POS_Y as usize * Node::WORDS;
        let first = first_of(table, node + Node::terms);
        let (image, pixel) = ((position / plane) as usize, (position % plane) as usize);
        let mut sum = 0.0f32;
        for at in 0..count_of(table, node + Node::terms) {
            let term = first + at as usize * Term::WORDS;
            let source = term + Term::source;
            let weight = numbers[mixing_of(table, term)] * numbers[factor_of(table, term, image)];
            let value = f32::cast_from(arena[start_of(table, source + Source::plane, image) + pixel]);
            sum += weight * Prologue::of(numbers, table, source).apply(value);
        }
        let to = start_of(table, node + Node::plane, image) + pixel;
        arena[to] = E::cast_from(sum);
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
        [self.positions.div_ceil(UNITS as usize), self.nodes.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (positions, plane) = (self.positions as u32, self.pixels as u32);
        let records = self.nodes.first();
        combine::launch(client, cubes, units, address, arena, numbers, table, records, positions, plane, on.format);
    }
}
