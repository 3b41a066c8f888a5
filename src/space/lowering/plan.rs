//! The blocks of a body in their order: what each is, what it is called and what it reads.

use crate::space::genotype::{CellGenotype, PathStep};
use crate::space::language::labels::{Labels, fill};
use crate::space::language::skeleton::{BlockName, Count, Lattice, Segments, Transition};
use crate::space::lattice::{Placement, placements};

/// A block before it is lowered.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub block: PlannedBlock<'a>,
    pub label: String,
    /// The number of the block whose output it reads first; the newest stem's where `None`.
    pub behind: Option<usize>,
    /// The width grows by this factor, from this block on.
    pub widen: usize,
    pub is_transition: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum PlannedBlock<'a> {
    Cell {
        kind: &'a str,
        /// Tells cells apart that do not share their alphas; 0 of those that do.
        place: usize,
        /// Of a cell on a path, what was chosen for it.
        chosen: Option<&'a CellGenotype>,
    },
    Fixed(&'a str),
}

/// Segments of `size` cells, or of as many as `size` leaves them.
pub(super) fn of_segments<'a>(segments: &'a Segments, size: usize, labels: &Labels) -> Vec<Planned<'a>> {
    let Segments { cell, count, segments, transition } = segments;
    let cells = || (0..size).map(|_| None);
    let transitions = (1..*segments).filter_map(|_| transition.as_ref());
    let mut plan: Vec<Option<&Transition>> = cells().collect();
    match count {
        // Segments too small for a block of their own share a transition, as in the reference.
        Count::Total => {
            for (segment, transition) in transitions.enumerate() {
                plan[(segment + 1) * size / segments] = Some(transition);
            }
        }
        Count::PerSegment => {
            for transition in transitions {
                plan.push(Some(transition));
                plan.extend(cells());
            }
        }
    }
    let planned = plan.into_iter().enumerate().map(|(position, transition)| {
        let of = |kind| PlannedBlock::Cell { kind, place: 0, chosen: None };
        let block = match transition.map(|transition| &transition.block) {
            None => of(cell),
            Some(BlockName::Cell(kind)) => of(kind),
            Some(BlockName::Fixed(name)) => PlannedBlock::Fixed(name),
        };
        Planned {
            block,
            label: fill(&labels.cell, &[("cell", &position)]),
            behind: position.checked_sub(1),
            widen: transition.map_or(1, |transition| transition.widen),
            is_transition: transition.is_some(),
        }
    });
    planned.collect()
}

/// Every map of a lattice.
pub(super) fn of_lattice<'a>(lattice: &'a Lattice, size: usize, labels: &Labels) -> Vec<Planned<'a>> {
    let planned = placements(size, lattice.blocks).into_iter().map(|Placement { is_cell, number, parent }| {
        let block = match is_cell {
            true => PlannedBlock::Cell { kind: &lattice.cell, place: number, chosen: None },
            false => PlannedBlock::Fixed(&lattice.block),
        };
        step(block, number, parent, labels)
    });
    planned.collect()
}

/// The blocks of a path through a lattice, one behind the other.
pub(super) fn of_path<'a>(lattice: &'a Lattice, path: &'a [PathStep], labels: &Labels) -> Vec<Planned<'a>> {
    let mut numbers = [0, 0];
    let planned = path.iter().enumerate().map(|(position, taken)| {
        let (block, of_cell) = match taken {
            PathStep::Cell(chosen) => {
                (PlannedBlock::Cell { kind: &lattice.cell, place: 0, chosen: Some(chosen) }, true)
            }
            PathStep::Block(name) => (PlannedBlock::Fixed(name), false),
        };
        let number = numbers[usize::from(of_cell)];
        numbers[usize::from(of_cell)] += 1;
        step(block, number, position.checked_sub(1), labels)
    });
    planned.collect()
}

fn step<'a>(block: PlannedBlock<'a>, number: usize, behind: Option<usize>, labels: &Labels) -> Planned<'a> {
    let label = match block {
        PlannedBlock::Cell { .. } => fill(&labels.cell, &[("cell", &number)]),
        PlannedBlock::Fixed(_) => fill(&labels.block, &[("block", &number)]),
    };
    Planned { block, label, behind, widen: 1, is_transition: false }
}
