//! A genotype by chance, of those that derivation could give: what a search must be better than.

use crate::space::genotype::{CellGenotype, Choice, Genotype, PathStep};
use crate::space::language::skeleton::Lattice;
use crate::space::lattice::{self, Placement};
use crate::space::{CellKind, KeptEdges, Space};
use indexmap::IndexMap;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sets the numbers apart from any others under the same seed.
const PURPOSE: [u8; 8] = *b"genotype";

impl Space {
    /// The genotype of a seed's draw of that number, which depends on nothing else. On each edge
    /// that stays every candidate that the rule does not exclude is as likely as the others, and so
    /// is each set of as many sources of a node as the rule keeps.
    ///
    /// Of a lattice of `size` cells, its own number where absent, every map is as likely to end the
    /// path: this is our choice, and makes long paths likelier, of which there are more.
    pub fn random(&self, seed: u64, draw: u64, size: Option<usize>) -> Genotype {
        let mut key = [0; 32];
        for (part, value) in key.chunks_exact_mut(8).zip([u64::from_le_bytes(PURPOSE), seed, draw]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        let rng = &mut ChaCha8Rng::from_seed(key);
        match self.lattice() {
            Some(lattice) => self.random_path(lattice, size, rng),
            None => {
                let cell = |kind: &CellKind| (kind.name.clone(), self.random_cell(kind, rng));
                let cells: IndexMap<String, CellGenotype> = self.cell_kinds().iter().map(cell).collect();
                Genotype { cells, ..Genotype::default() }
            }
        }
    }

    fn random_path(&self, lattice: &Lattice, size: Option<usize>, rng: &mut ChaCha8Rng) -> Genotype {
        let size = size.or_else(|| self.lattice_size()).unwrap_or(0);
        let kind = self.cell_kind(&lattice.cell).expect("a lattice names a known kind");
        let maps = lattice::placements(size, lattice.blocks);
        let exits = lattice::exits(lattice, &maps);
        let end = exits[rng.random_range(0..exits.len() as u64) as usize];
        let step = |map: Placement| match map.is_cell {
            true => PathStep::Cell(self.random_cell(kind, rng)),
            false => PathStep::Block(lattice.block.clone()),
        };
        Genotype { path: lattice::way(&maps, end).into_iter().map(step).collect(), ..Genotype::default() }
    }

    fn random_cell(&self, kind: &CellKind, rng: &mut ChaCha8Rng) -> CellGenotype {
        let mut nodes: Vec<Vec<Choice>> = Vec::with_capacity(self.nodes());
        for target in self.inputs()..self.inputs() + self.nodes() {
            let edges = self.edges().iter().zip(&kind.candidates).filter(|((_, into), _)| *into == target);
            let mut kept: Vec<(usize, &Vec<String>)> = edges.map(|(&(source, _), names)| (source, names)).collect();
            if let KeptEdges::Best(count) = self.derivation().edges {
                for at in 0..count.min(kept.len()) {
                    let other = rng.random_range(at..kept.len());
                    kept.swap(at, other);
                }
                kept.truncate(count);
                // One cell, one text.
                kept.sort_by_key(|(source, _)| *source);
            }
            let choice = |(source, names): (usize, &Vec<String>)| {
                let names: Vec<&String> =
                    names.iter().filter(|name| !self.derivation().exclude.contains(name)).collect();
                Choice { operation: one_of(&names, rng).to_string(), source }
            };
            nodes.push(kept.into_iter().map(choice).collect());
        }
        // Only the cells of a lattice choose widths.
        let widths = kind.widths.as_ref().filter(|_| self.lattice().is_some());
        let widths = widths.map(|widths| {
            let of_node = |_| one_of(&widths.names, rng).clone();
            self.nodes_that_choose().into_iter().map(of_node).collect()
        });
        CellGenotype { nodes, output: self.output_states(self.nodes()), widths: widths.unwrap_or_default() }
    }
}

/// One of several, of which there is one at least: an edge has a candidate that is not excluded, a
/// choice of widths a width.
fn one_of<'a, T>(several: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &several[rng.random_range(0..several.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped::space;
    use std::collections::BTreeMap;

    const DRAWS: u64 = 6000;

    /// Each of so many outcomes is within five deviations of its share.
    #[track_caller]
    fn even<K: std::fmt::Debug>(counts: &BTreeMap<K, u64>, outcomes: usize, of: u64) {
        assert_eq!(counts.len(), outcomes, "{counts:?}");
        let share = 1.0 / outcomes as f64;
        let (mean, deviation) = (of as f64 * share, (of as f64 * share * (1.0 - share)).sqrt());
        assert!(counts.values().all(|count| (*count as f64 - mean).abs() <= 5.0 * deviation), "{counts:?}, not {mean}");
    }

    #[test]
    fn every_operation_is_as_likely_on_every_edge_where_all_edges_stay() {
        let space = space("nas_bench_201");
        let mut edges: BTreeMap<(usize, usize), BTreeMap<String, u64>> = BTreeMap::new();
        for draw in 0..DRAWS {
            let genotype = space.random(7, draw, None);
            genotype.check(&space).unwrap();
            for (node, choices) in genotype.cells["cell"].nodes.iter().enumerate() {
                for Choice { operation, source } in choices {
                    *edges.entry((*source, node)).or_default().entry(operation.clone()).or_default() += 1;
                }
            }
        }
        assert_eq!(edges.len(), 6);
        edges.values().for_each(|counts| even(counts, 5, DRAWS));
    }

    #[test]
    fn every_pair_of_sources_and_every_operation_but_none_is_as_likely_where_two_edges_stay() {
        let space = space("darts");
        let mut pairs: BTreeMap<usize, BTreeMap<[usize; 2], u64>> = BTreeMap::new();
        let mut operations: BTreeMap<String, u64> = BTreeMap::new();
        for draw in 0..DRAWS {
            let genotype = space.random(1, draw, None);
            genotype.check(&space).unwrap();
            for (node, choices) in genotype.cells["reduce"].nodes.iter().enumerate() {
                let [one, other] = &choices[..] else { panic!("{choices:?}") };
                *pairs.entry(node).or_default().entry([one.source, other.source]).or_default() += 1;
                *operations.entry(one.operation.clone()).or_default() += 1;
            }
        }
        for (node, counts) in &pairs {
            even(counts, (node + 2) * (node + 1) / 2, DRAWS);
        }
        even(&operations, 7, 4 * DRAWS);
        assert!(!operations.contains_key("none"));
    }

    #[test]
    fn every_map_of_a_lattice_is_as_likely_and_so_are_its_cells_operations_and_widths() {
        let space = space("trilevel_sr");
        let (mut ends, mut operations, mut widths) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut cells = 0;
        for draw in 0..DRAWS {
            let genotype = space.random(2, draw, Some(2));
            genotype.check(&space).unwrap();
            let end: String =
                genotype.path.iter().map(|step| if matches!(step, PathStep::Cell(_)) { 'c' } else { 'u' }).collect();
            *ends.entry(end).or_default() += 1;
            for cell in genotype.every_cell() {
                cells += 1;
                *operations.entry(cell.nodes[4][0].operation.clone()).or_default() += 1;
                *widths.entry(cell.widths[3].clone()).or_default() += 1;
            }
        }
        even(&ends, 19, DRAWS);
        let complete = |draw| crate::space::shipped::space("trilevel_sr_nearest").random(2, draw, Some(2)).path.len();
        assert!((0..50).all(|draw| complete(draw) == 5), "two cells behind the first and two steps");
        even(&operations, 4, cells);
        even(&widths, 5, cells);
        let longest = (0..200).map(|draw| space.random(2, draw, None).path.len()).max();
        assert_eq!(longest, Some(7), "the space's own size where none is said");
    }

    /// In every space that ships; another seed and another draw are another genotype.
    #[test]
    fn a_draw_is_the_same_for_its_seed_and_number() {
        let paths = ["trilevel_sr", "trilevel_sr_nearest"];
        for name in
            ["darts", "nas_bench_201", "robust_s1", "robust_s2", "robust_s3", "robust_s4"].into_iter().chain(paths)
        {
            let space = space(name);
            let drawn = |seed| (0..8).map(|draw| space.random(seed, draw, None)).collect::<Vec<_>>();
            assert_eq!(drawn(3), drawn(3), "{name}");
            assert_ne!(drawn(3), drawn(4), "{name}");
            assert_ne!(drawn(3)[0], drawn(3)[1], "{name}");
            drawn(3).iter().for_each(|genotype| genotype.check(&space).unwrap());
        }
        let first = space("nas_bench_201").random(0, 0, None);
        let text = first.to_text(crate::space::GenotypeText::CellString, &space("nas_bench_201")).unwrap();
        insta::assert_snapshot!(text, @"|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|");
    }
}
