//! The blocks of a body in their order: what each is, what it is called and what it reads.

use crate::space::SpaceError;
use crate::space::genotype::{CellGenotype, PathStep};
use crate::space::language::labels::{Labels, fill};
use crate::space::language::skeleton::{BlockName, Count, Lattice, Segments, Transition};
use crate::space::language::width::Letters;
use crate::space::lattice::{Placement, placements};

/// A block before it is lowered.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    pub block: PlannedBlock<'a>,
    pub label: String,
    /// The number of the block whose output it reads first; the newest stem's where `None`.
    pub behind: Option<usize>,
    /// C from this block on.
    pub width: usize,
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

/// Segments of `size` cells, or of as many as `size` leaves them, from a width of `channels` on.
///
/// # Errors
/// Where a segment's width is no whole number.
pub(super) fn of_segments<'a>(
    segments: &'a Segments,
    size: usize,
    channels: usize,
    labels: &Labels,
) -> Result<Vec<Planned<'a>>, SpaceError> {
    let Segments { cell, count, segments, transition, widths } = segments;
    let cells = || (0..size).map(|_| None);
    let transitions = (1..*segments).filter_map(|_| transition.as_ref());
    let first = transition.as_ref().filter(|transition| transition.is_first);
    let mut plan: Vec<Option<&Transition>> = first.map(Some).into_iter().chain(cells()).collect();
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
    let (mut width, mut begun, mut place) = (channels, 0, 0);
    let planned = plan.into_iter().enumerate().map(|(position, transition)| {
        // Before the first segment a transition begins it, behind it the next.
        if transition.is_some() {
            (begun, place) = (begun + 1, 0);
        }
        let segment = begun - usize::from(first.is_some()).min(begun);
        if let Some(written) = widths.get(segment) {
            let unusable = || SpaceError::Width { place: "body".to_owned(), width: written.to_string(), channels };
            width = written.resolve(Letters { here: channels, input: channels }).ok_or_else(unusable)?;
        } else {
            width *= transition.map_or(1, |transition| transition.widen);
        }
        let of = |kind| PlannedBlock::Cell { kind, place: 0, chosen: None };
        let block = match transition.map(|transition| &transition.block) {
            None => of(cell),
            Some(BlockName::Cell(kind)) => of(kind),
            Some(BlockName::Fixed(name)) => PlannedBlock::Fixed(name),
        };
        let label = match (&labels.block, block) {
            (Some(pattern), PlannedBlock::Fixed(_)) => fill(pattern, &[("block", &(begun - 1)), ("segment", &segment)]),
            _ => fill(&labels.cell, &[("cell", &position), ("segment", &segment), ("place", &place)]),
        };
        place += usize::from(transition.is_none());
        let behind = position.checked_sub(1);
        Ok(Planned { block, label, behind, width, is_transition: transition.is_some() })
    });
    planned.collect()
}

/// Every map of a lattice.
pub(super) fn of_lattice<'a>(lattice: &'a Lattice, size: usize, channels: usize, labels: &Labels) -> Vec<Planned<'a>> {
    let planned = placements(size, lattice.blocks).into_iter().map(|Placement { is_cell, number, parent }| {
        let block = match is_cell {
            true => PlannedBlock::Cell { kind: &lattice.cell, place: number, chosen: None },
            false => PlannedBlock::Fixed(&lattice.block),
        };
        step(block, number, parent, (channels, labels))
    });
    planned.collect()
}

/// The blocks of a path through a lattice, one behind the other.
pub(super) fn of_path<'a>(
    lattice: &'a Lattice,
    path: &'a [PathStep],
    channels: usize,
    labels: &Labels,
) -> Vec<Planned<'a>> {
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
        step(block, number, position.checked_sub(1), (channels, labels))
    });
    planned.collect()
}

fn step<'a>(
    block: PlannedBlock<'a>,
    number: usize,
    behind: Option<usize>,
    (width, labels): (usize, &Labels),
) -> Planned<'a> {
    let label = match (block, &labels.block) {
        (PlannedBlock::Cell { .. }, _) => fill(&labels.cell, &[("cell", &number)]),
        (PlannedBlock::Fixed(_), Some(pattern)) => fill(pattern, &[("block", &number)]),
        (PlannedBlock::Fixed(_), None) => format!("blocks.{number}"),
    };
    Planned { block, label, behind, width, is_transition: false }
}
