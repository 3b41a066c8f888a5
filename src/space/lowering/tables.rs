//! The tables of architecture parameters of a supernet, and what they decide.

use super::edge_options::EdgeOptions;
use super::error::SpaceError;
use super::lower::Lowering;
use crate::space::CellKind;
use crate::space::language::skeleton::Exits;
use crate::space::lattice;
use crate::space::network::{AlphaTable, Betas, Exit, Extra, FeatureMap, Level, Widths};

/// What the map of a lattice's first cell is called, to which no step leads.
const FIRST: &str = "first";

impl Lowering<'_> {
    /// All kinds have a table, used by this network or not: a derivation needs each. The cells of a
    /// lattice have rows of their own in that of their kind, and then there are the tables of where it is
    /// left and of its widths.
    pub(super) fn alpha_tables(&self) -> Vec<AlphaTable> {
        if self.genotype.is_some() {
            return Vec::new();
        }
        let EdgeOptions { partial_channels, edge_normalisation, auxiliary_skip } = self.build.edges;
        let targets = || self.space.edges().iter().map(|(_, target)| *target).collect();
        let bypass = (partial_channels > 1 && edge_normalisation).then_some(Extra::Bypass);
        let skip = auxiliary_skip.then_some(Extra::Skip);
        let placements = self.lattice().map(|lattice| lattice::placements(self.size, lattice.blocks));
        let cells = placements.iter().flatten().filter(|map| map.is_cell).count();
        let table = |kind: &CellKind| {
            let places = if self.lattice().is_some_and(|lattice| lattice.cell == kind.name) { cells } else { 1 };
            AlphaTable {
                label: kind.alphas.clone(),
                kind: kind.name.clone(),
                candidates: (0..places).flat_map(|_| kind.candidates.clone()).collect(),
                betas: edge_normalisation.then(|| Betas { label: kind.betas.clone(), targets: targets() }),
                extras: bypass.into_iter().chain(skip).collect(),
                level: Level::Operations,
                scores: (0..places).flat_map(|place| self.scores(kind, place)).collect(),
            }
        };
        let mut tables: Vec<AlphaTable> = self.space.cell_kinds().iter().map(table).collect();
        if let Some((lattice, placements)) = self.lattice().zip(placements) {
            let names = lattice::names(&placements, lattice);
            let named = |map: usize| Some(&names[map]).filter(|name| !name.is_empty()).cloned();
            let exits = lattice::exits(lattice, &placements).into_iter();
            let exits = exits.map(|map| named(map).unwrap_or_else(|| FIRST.to_owned())).collect();
            let exit = AlphaTable {
                label: lattice.exit.clone(),
                candidates: vec![exits],
                level: Level::Path,
                ..AlphaTable::default()
            };
            tables.push(exit);
            if let Some(widths) = self.space.cell_kind(&lattice.cell).and_then(|kind| kind.widths.as_ref()) {
                let rows = cells * self.space.nodes_that_choose().len();
                tables.push(AlphaTable {
                    label: widths.alphas.clone(),
                    kind: lattice.cell.clone(),
                    candidates: vec![widths.names.clone(); rows],
                    level: Level::Width,
                    ..AlphaTable::default()
                });
            }
        }
        tables
    }

    /// For each edge of a cell, the choices that multiply it: that of its source and that of its target.
    fn scores(&self, kind: &CellKind, place: usize) -> Vec<Vec<usize>> {
        if kind.widths.is_none() || self.lattice().is_none() {
            return Vec::new();
        }
        let row = |state: usize| self.choice(place, state.checked_sub(self.space.inputs())?);
        self.space
            .edges()
            .iter()
            .map(|&(source, target)| row(source).into_iter().chain(row(target)).collect())
            .collect()
    }

    /// The row of a node's choice of its width, if it has one.
    pub(super) fn choice(&self, place: usize, node: usize) -> Option<usize> {
        let choosing = self.space.nodes_that_choose();
        let at = choosing.iter().position(|known| *known == node)?;
        Some(place * choosing.len() + at)
    }

    pub(super) fn widths(&self, alphas: &[AlphaTable]) -> Option<Widths> {
        let table = alphas.iter().position(|table| table.level == Level::Width)?;
        let kind = self.space.cell_kind(&alphas[table].kind)?;
        Some(Widths { table, channels: kind.widths.as_ref()?.channels(self.channels) })
    }

    /// The mixture behind a lattice, of maps of one size.
    pub(super) fn exit(
        &self,
        alphas: &[AlphaTable],
        states: &[FeatureMap],
        stems: usize,
    ) -> Result<Option<Exit>, SpaceError> {
        let Some(table) = alphas.iter().position(|table| table.level == Level::Path) else { return Ok(None) };
        let Some(lattice) = self.lattice() else { return Ok(None) };
        let placed = lattice::placements(self.size, lattice.blocks);
        let exits = lattice::exits(lattice, &placed);
        let needed = states[stems + exits[0]];
        if let Some(&other) = exits.iter().find(|&&map| states[stems + map] != needed) {
            let place = alphas[table].label.clone();
            return Err(SpaceError::Mixture { place, found: states[stems + other], needed });
        }
        let ends = if lattice.exits == Exits::All { lattice::ends(&placed) } else { Vec::new() };
        Ok(Some(Exit { table, states: exits.into_iter().map(|map| stems + map).collect(), ends }))
    }
}
