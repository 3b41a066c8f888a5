//! What a space has where it has a lattice; the maps of one, their order and their names.

use crate::space::Space;
use crate::space::language::skeleton::{Exits, Lattice};

impl Space {
    /// The lattice of its networks, where it has one: the same in all its skeletons.
    pub(in crate::space) fn lattice(&self) -> Option<&Lattice> {
        self.skeletons.values().find_map(|skeleton| skeleton.body.lattice())
    }

    /// Whether its networks have a lattice.
    pub fn has_lattice(&self) -> bool {
        self.lattice().is_some()
    }

    /// How many cells its lattice has behind the first, unless told.
    pub fn lattice_size(&self) -> Option<usize> {
        let with_lattice = self.skeletons.values().find(|skeleton| skeleton.body.lattice().is_some());
        with_lattice.map(|skeleton| skeleton.defaults.size)
    }

    /// The most cells that its lattice can have behind the first.
    pub fn largest_lattice(&self) -> Option<usize> {
        self.lattice().map(Lattice::largest)
    }

    /// The names of a lattice's cell and of its fixed block, and how many of these a whole way has.
    pub fn lattice_steps(&self) -> Option<(&str, &str, usize)> {
        self.lattice().map(|Lattice { cell, block, blocks, .. }| (cell.as_str(), block.as_str(), *blocks))
    }

    /// Whether the maps of its lattice are all mixed, the first of a way among them.
    pub fn mixes_all_maps(&self) -> bool {
        self.lattice().is_some_and(|lattice| lattice.exits == Exits::All)
    }

    /// The name of the fixed block of its lattice.
    pub fn lattice_block(&self) -> Option<&str> {
        self.lattice().map(|lattice| lattice.block.as_str())
    }

    /// The choice that gives so many channels to a node of a lattice's cell of `cell`.
    pub fn width_name(&self, channels: usize, cell: usize) -> Option<String> {
        let widths = self.cell_kind(&self.lattice()?.cell)?.widths.as_ref()?;
        let at = widths.channels(cell).into_iter().position(|known| known == channels)?;
        Some(widths.names[at].clone())
    }

    /// The same space with widths of nodes that are rounded to other multiples.
    #[must_use]
    pub fn rounding_widths_to(&self, multiple: usize) -> Self {
        let mut space = self.clone();
        for widths in space.kinds.iter_mut().filter_map(|kind| kind.widths.as_mut()) {
            widths.multiple_of = multiple;
        }
        space
    }

    /// The nodes that choose their widths in a kind that has some to choose from: those that are no part
    /// of the cell's output.
    pub fn nodes_that_choose(&self) -> Vec<usize> {
        let output = self.output_states(self.nodes());
        (0..self.nodes()).filter(|node| !output.contains(&(self.inputs() + node))).collect()
    }
}

/// A map of a lattice: by what it is made, from which other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::space) struct Placement {
    pub is_cell: bool,
    /// Among the cells, or among the fixed blocks.
    pub number: usize,
    /// `None` of the first cell, which reads the stem.
    pub parent: Option<usize>,
}

/// The maps of a lattice of `cells` cells behind the first and of so many fixed blocks, each before
/// those that are made from it; that behind a fixed block comes first. Cells and blocks get their
/// numbers when the map that they read is visited, as in the author-derived code of the trilevel search.
pub(in crate::space) fn placements(cells: usize, blocks: usize) -> Vec<Placement> {
    let mut lattice = Walk { cells, blocks, numbers: [0, 1], maps: Vec::new() };
    lattice.visit(Placement { is_cell: true, number: 0, parent: None }, [0, 0]);
    lattice.maps
}

/// The maps of the lattice of which so many are mixed, and which these are.
pub(in crate::space) fn of_size(lattice: &Lattice, found: usize) -> Option<(Vec<Placement>, Vec<usize>)> {
    let cells = (0..=lattice.largest()).find(|&cells| lattice.exits(cells) == found as u64)?;
    let maps = placements(cells, lattice.blocks);
    let exits = exits(lattice, &maps);
    Some((maps, exits))
}

/// The maps that are mixed where a lattice is left.
pub(in crate::space) fn exits(lattice: &Lattice, maps: &[Placement]) -> Vec<usize> {
    match lattice.exits {
        Exits::All => (0..maps.len()).collect(),
        Exits::Complete => ends(maps),
    }
}

/// The maps from which no step leads.
pub(in crate::space) fn ends(maps: &[Placement]) -> Vec<usize> {
    let mut is_end = vec![true; maps.len()];
    maps.iter().filter_map(|map| map.parent).for_each(|parent| is_end[parent] = false);
    (0..maps.len()).filter(|&map| is_end[map]).collect()
}

/// What leads to a map, from the first cell on.
pub(in crate::space) fn way(lattice: &[Placement], to: usize) -> Vec<Placement> {
    let back = std::iter::successors(Some(lattice[to]), |map| map.parent.map(|parent| lattice[parent]));
    let mut way: Vec<Placement> = back.collect();
    way.reverse();
    way
}

/// The maps of such a lattice that the steps of a path lead to, of each step whether it is a cell; where
/// the lattice does not have the next of them the way ends.
pub(in crate::space) fn along(lattice: &[Placement], steps: impl Iterator<Item = bool>) -> Vec<usize> {
    let mut at = None;
    let next = |is_cell: bool| {
        at = Some(lattice.iter().position(|map| map.parent == at && map.is_cell == is_cell)?);
        at
    };
    steps.map_while(next).collect()
}

struct Walk {
    cells: usize,
    blocks: usize,
    /// Of the next fixed block and of the next cell.
    numbers: [usize; 2],
    maps: Vec<Placement>,
}

impl Walk {
    /// `[blocks, cells]` are on the way to the map.
    fn visit(&mut self, map: Placement, [blocks, cells]: [usize; 2]) {
        self.maps.push(map);
        let parent = Some(self.maps.len() - 1);
        let mut next = |is_cell: bool| {
            let number = self.numbers[usize::from(is_cell)];
            self.numbers[usize::from(is_cell)] += 1;
            Placement { is_cell, number, parent }
        };
        let block = (blocks < self.blocks).then(|| next(false));
        let cell = (cells < self.cells).then(|| next(true));
        if let Some(block) = block {
            self.visit(block, [blocks + 1, cells]);
        }
        if let Some(cell) = cell {
            self.visit(cell, [blocks, cells + 1]);
        }
    }
}

/// What each map of a lattice is called: the steps behind the first cell, a letter each.
pub(in crate::space) fn names(placements: &[Placement], lattice: &Lattice) -> Vec<String> {
    let letter = |name: &str| name.chars().next().unwrap_or('?');
    let [block, cell] = match [letter(&lattice.block), letter(&lattice.cell)] {
        [one, other] if one != other => [one, other],
        _ => ['b', 'c'],
    };
    let mut names: Vec<String> = Vec::with_capacity(placements.len());
    for map in placements {
        let before = map.parent.map(|parent| names[parent].clone());
        names.push(
            before.map_or_else(String::new, |before| format!("{before}{}", if map.is_cell { cell } else { block })),
        );
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lattice(blocks: usize) -> Lattice {
        Lattice { cell: "cell".into(), block: "up".into(), blocks, exit: "gamma".into(), exits: Exits::All }
    }

    fn letters(cells: usize, blocks: usize) -> (Vec<Placement>, Vec<String>) {
        let maps = placements(cells, blocks);
        let names = names(&maps, &lattice(blocks));
        (maps, names)
    }

    /// The counts of the author-derived code: 55 maps, 35 cells, 20 blocks, 15 whole paths.
    #[test]
    fn a_lattice_has_as_many_maps_as_orders_have_beginnings() {
        for (cells, blocks, expected) in [(4, 2, [55, 35, 20, 15]), (2, 2, [19, 10, 9, 6]), (0, 1, [2, 1, 1, 1])] {
            let (maps, names) = letters(cells, blocks);
            let of_cells = maps.iter().filter(|map| map.is_cell).count();
            let whole: Vec<usize> = (0..maps.len()).filter(|&map| names[map].len() == cells + blocks).collect();
            assert_eq!([maps.len(), of_cells, maps.len() - of_cells, whole.len()], expected);
            let complete = Lattice { exits: Exits::Complete, ..lattice(blocks) };
            assert_eq!(of_size(&complete, whole.len()), Some((maps, whole)));
        }
    }

    #[test]
    fn the_way_to_a_map_leads_to_it() {
        for (cells, blocks) in [(4, 2), (2, 2), (0, 1), (3, 0), (0, 0), (5, 4)] {
            let (placed, names) = letters(cells, blocks);
            assert_eq!(lattice(blocks).maps(cells), placed.len() as u64);
            for (number, name) in names.iter().enumerate() {
                let steps: Vec<bool> = way(&placed, number).iter().map(|map| map.is_cell).collect();
                assert_eq!(along(&placed, steps.iter().copied()).last(), Some(&number));
                assert_eq!(
                    steps[1..].iter().map(|&is_cell| if is_cell { 'c' } else { 'u' }).collect::<String>(),
                    *name
                );
            }
            assert_eq!(along(&placed, [true].into_iter().chain([false; 5])).len(), 1 + blocks, "it ends there");
        }
        assert_eq!(lattice(4).maps(256), 9_900_414_341);
        assert_eq!([1, 2, 3, 4].map(|blocks| lattice(blocks).largest()), [88, 26, 14, 9]);
    }

    #[test]
    fn the_size_of_a_lattice_shows_in_the_number_of_its_maps() {
        let found = |maps| of_size(&lattice(2), maps).map(|(found, _)| found.len());
        assert_eq!([0, 54, 55, 56, usize::MAX].map(found), [None, None, Some(55), None, None]);
    }

    #[test]
    fn maps_stand_in_the_order_of_the_reference() {
        let (maps, names) = letters(2, 2);
        let told = maps.iter().zip(&names).map(|(map, name)| {
            let made_by = format!("{}{}", if map.is_cell { "c" } else { "u" }, map.number);
            format!("{name}<{} by {made_by}", map.parent.map_or_else(|| "stem".to_owned(), |at| at.to_string()))
        });
        let expected = "<stem by c0 u<0 by u0 uu<1 by u1 uuc<2 by c3 uucc<3 by c4 uc<1 by c2 ucu<5 by u2 ucuc<6 by c6 \
                        ucc<5 by c5 uccu<8 by u3 c<0 by c1 cu<10 by u4 cuu<11 by u5 cuuc<12 by c9 cuc<11 by c8 \
                        cucu<14 by u6 cc<10 by c7 ccu<16 by u7 ccuu<17 by u8";
        assert_eq!(told.collect::<Vec<_>>().join(" "), expected);
    }
}
