//! The nodes of a cell: sums of terms.

use super::{PLANE, SOURCE, UNITS, read, start_of};
use cubecl::prelude::*;

/// A source, its mixing weight's place in the numbers, and that of its row of factors, one an image.
pub(in super::super) const TERM: usize = SOURCE + 2;

/// The plane that is written, first term and number of terms.
pub(in super::super) const NODE: usize = PLANE + 2;

/// `out[c, n, p] = Σ_term weight · factor[n] · term[n, p]`, all terms of a node in one pass.
///
/// Grid: positions `n · h · w` by [`UNITS`], records ([`NODE`] words, one an output channel).
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
        let node = records as usize + CUBE_POS_Y as usize * NODE;
        let first = table[node + PLANE] as usize;
        let (image, pixel) = ((position / plane) as usize, (position % plane) as usize);
        let mut sum = 0.0f32;
        for at in 0..table[node + PLANE + 1] {
            let term = first + at as usize * TERM;
            let weight = numbers[table[term + SOURCE] as usize] * numbers[table[term + SOURCE + 1] as usize + image];
            sum += weight * read::<E>(&*arena, numbers, table, term, start_of(table, term, image) + pixel);
        }
        let to = start_of(table, node, image) + pixel;
        arena[to] = E::cast_from(sum);
    }
}
