//! Derivation of a path: from the weights of a lattice to the map that it is left at, and the cells on
//! the way there.

use crate::space::genotype::{Genotype, PathStep};
use crate::space::language::skeleton::Lattice;
use crate::space::lattice::{self, Placement};
use crate::space::network::{AlphaTable, Level};
use crate::space::{CellKind, DeriveError, Space};
use std::collections::BTreeMap;

impl Space {
    /// The way to the heaviest map, each cell on it derived from rows of its own, each of its nodes as
    /// wide as the heaviest choice. Of equal weights the first.
    pub(super) fn derive_path(
        &self,
        lattice: &Lattice,
        weights: &BTreeMap<String, Vec<Vec<f64>>>,
    ) -> Result<Genotype, DeriveError> {
        let table = |alphas: &str| {
            let missing = || DeriveError::Missing { kind: lattice.cell.clone(), alphas: alphas.to_owned() };
            weights.get(alphas).ok_or_else(missing)
        };
        let kind = self.cell_kind(&lattice.cell).expect("a lattice names a known kind");
        let exit = table(&lattice.exit)?;
        let [exits] = exit.as_slice() else {
            return Err(DeriveError::Rows { alphas: lattice.exit.clone(), found: exit.len(), expected: 1 });
        };
        let (maps, ends) = lattice::of_size(lattice, exits.len())
            .ok_or_else(|| DeriveError::Maps { alphas: lattice.exit.clone(), found: exits.len() })?;
        let cells = maps.iter().filter(|map| map.is_cell).count();
        let rows = table(&kind.alphas)?;
        let per_cell = kind.candidates.len();
        if rows.len() != cells * per_cell {
            let (found, expected) = (rows.len(), cells * per_cell);
            return Err(DeriveError::Rows { alphas: kind.alphas.clone(), found, expected });
        }
        let widths = kind.widths.as_ref().map(|widths| table(&widths.alphas)).transpose()?;
        let mut path = Vec::new();
        for map in lattice::way(&maps, ends[heaviest(&lattice.exit, 0, exits)?]) {
            path.push(match map {
                Placement { is_cell: false, .. } => PathStep::Block(lattice.block.clone()),
                Placement { number, .. } => {
                    let first = number * per_cell;
                    let mut cell = self.derive_cell(kind, &rows[first..first + per_cell])?;
                    cell.widths = self.derive_widths(kind, widths, number, cells)?;
                    PathStep::Cell(cell)
                }
            });
        }
        Ok(Genotype { path, ..Genotype::default() })
    }

    /// By table of a lattice's supernet, for each row the column that a path keeps: nothing for cells that
    /// are not on it.
    pub fn selection_of_path(&self, genotype: &Genotype, tables: &[AlphaTable]) -> Vec<Vec<Option<usize>>> {
        let mut selection: Vec<Vec<Option<usize>>> = tables.iter().map(|table| vec![None; table.rows()]).collect();
        let exit = tables.iter().position(|table| table.level == Level::Path);
        let Some((lattice, exit)) = self.lattice().zip(exit) else { return selection };
        let Some((maps, ends)) = lattice::of_size(lattice, tables[exit].columns()) else { return selection };
        let kind = self.cell_kind(&lattice.cell).expect("a lattice names a known kind");
        let choosing = self.nodes_that_choose().len();
        let way = lattice::along(&maps, genotype.steps());
        for (step, &map) in genotype.path.iter().zip(&way) {
            let (PathStep::Cell(cell), Placement { number, .. }) = (step, maps[map]) else { continue };
            for (table, rows) in tables.iter().zip(&mut selection).filter(|(table, _)| table.kind == kind.name) {
                let (first, kept) = match table.level {
                    Level::Width => {
                        let names = kind.widths.as_ref().map_or(&[][..], |widths| &widths.names);
                        let column = |width: &String| names.iter().position(|name| name == width);
                        (number * choosing, cell.widths.iter().map(column).collect())
                    }
                    _ => (number * kind.candidates.len(), self.selection(kind, cell)),
                };
                rows[first..first + kept.len()].copy_from_slice(&kept);
            }
        }
        // A path that the lattice does not have ends nowhere in it.
        let end = way.last().filter(|_| way.len() == genotype.path.len());
        selection[exit][0] = end.and_then(|end| ends.iter().position(|map| map == end));
        selection
    }

    fn derive_widths(
        &self,
        kind: &CellKind,
        rows: Option<&Vec<Vec<f64>>>,
        number: usize,
        cells: usize,
    ) -> Result<Vec<String>, DeriveError> {
        let (Some(widths), Some(rows)) = (&kind.widths, rows) else { return Ok(Vec::new()) };
        let choosing = self.nodes_that_choose().len();
        let alphas = || widths.alphas.clone();
        if rows.len() != cells * choosing {
            return Err(DeriveError::Rows { alphas: alphas(), found: rows.len(), expected: cells * choosing });
        }
        let of_row = |row: usize| {
            let (found, expected) = (rows[row].len(), widths.names.len());
            if found < expected {
                return Err(DeriveError::Columns { alphas: alphas(), row, found, expected });
            }
            Ok(widths.names[heaviest(&widths.alphas, row, &rows[row][..expected])?].clone())
        };
        (number * choosing..(number + 1) * choosing).map(of_row).collect()
    }
}

fn heaviest(alphas: &str, row: usize, weights: &[f64]) -> Result<usize, DeriveError> {
    if let Some(column) = weights.iter().position(|weight| weight.is_nan()) {
        return Err(DeriveError::NotANumber { alphas: alphas.to_owned(), row, column });
    }
    Ok((0..weights.len()).reduce(|best, at| if weights[at] > weights[best] { at } else { best }).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::space::shipped::{build_for_images, space};
    use crate::space::{Build, Genotype, GenotypeText, PathStep};
    use std::collections::BTreeMap;

    fn weights(cells: usize, exits: usize) -> BTreeMap<String, Vec<Vec<f64>>> {
        let rows = |count, columns| vec![vec![0.1; columns]; count];
        [("alpha", rows(5 * cells, 4)), ("gamma", rows(1, exits)), ("ratio", rows(4 * cells, 5))]
            .map(|(label, rows)| (label.to_owned(), rows))
            .into()
    }

    /// Of a lattice of two cells and two up steps the map behind `c u u`, which cells 0 and 1 lead to.
    #[test]
    fn the_way_to_the_heaviest_map_is_taken_with_the_cells_that_stand_on_it() {
        let (space, mut weights) = (space("trilevel_sr"), weights(10, 19));
        weights.get_mut("gamma").unwrap()[0][12] = 0.5;
        weights.get_mut("alpha").unwrap()[2][3] = 0.7;
        weights.get_mut("alpha").unwrap()[5][1] = 0.7;
        weights.get_mut("ratio").unwrap()[4 + 3][4] = 0.7;
        let genotype = space.derive(&weights).unwrap();
        let told = genotype.path.iter().map(|step| match step {
            PathStep::Block(name) => name.clone(),
            PathStep::Cell(cell) => {
                let operations = cell.nodes.iter().flatten().map(|choice| choice.operation.as_str());
                format!("{} at {}", operations.collect::<Vec<_>>().join(" "), cell.widths.join(" "))
            }
        });
        let told: Vec<String> = told.collect();
        assert_eq!(
            told,
            [
                "skip skip dwsblock skip skip at 1/3 1/3 1/3 1/3",
                "conv3x3 skip skip skip skip at 1/3 1/3 1/3 1",
                "up",
                "up",
            ]
        );
        let text = genotype.to_text(GenotypeText::Yaml, &space).unwrap();
        assert_eq!(Genotype::parse(&text, &space).unwrap(), genotype, "{text}");
        let json = serde_json::to_string(&genotype).unwrap();
        assert_eq!(Genotype::parse(&json, &space).unwrap(), genotype, "{json}");

        let build = Build { size: Some(2), ..build_for_images("search", 8, 4) };
        let network = space.supernet(&build).unwrap();
        let selection = space.selection_of_path(&genotype, &network.alphas);
        let kept = |table: usize| selection[table].iter().flatten().count();
        assert_eq!([kept(0), kept(1), kept(2)], [10, 1, 8]);
        let weights = network.alphas.iter().zip(&selection).map(|(table, rows)| {
            let row = |kept: &Option<usize>| {
                (0..table.columns()).map(|at| f64::from(u8::from(Some(at) == *kept))).collect::<Vec<_>>()
            };
            (table.label.clone(), rows.iter().map(row).collect::<Vec<_>>())
        });
        assert_eq!(space.derive(&weights.collect()).unwrap(), genotype);
    }

    /// Of two cells and two steps six ways are complete; there are as many cells and rows as ever.
    #[test]
    fn where_complete_ways_alone_are_mixed_one_of_them_is_taken() {
        let (space, mut weights) = (space("trilevel_sr_nearest"), weights(10, 6));
        weights.get_mut("gamma").unwrap()[0][3] = 0.5;
        weights.get_mut("alpha").unwrap()[5][1] = 0.7;
        let genotype = space.derive(&weights).unwrap();
        let steps: String = genotype.steps().map(|is_cell| if is_cell { 'c' } else { 'u' }).collect();
        assert_eq!(steps, "ccuuc", "the fourth: `cuuc` behind the first cell");
        let [_, PathStep::Cell(cell), ..] = genotype.path.as_slice() else { panic!("{genotype:?}") };
        assert_eq!(cell.nodes[0][0].operation, "conv3x3");
        let network = space.supernet(&Build { size: Some(2), ..build_for_images("search", 8, 4) }).unwrap();
        assert_eq!(space.selection_of_path(&genotype, &network.alphas)[1], [Some(3)]);
        let said = space.derive(&self::weights(10, 19)).unwrap_err().to_string();
        assert_eq!(said, "mixing weights `gamma` weigh 19 maps, and no lattice of this space has so many");
        let mut short = genotype;
        short.path.remove(2);
        assert_eq!(short.check(&space).unwrap_err().to_string(), "a path that is complete has 2 of `up`, found 1");
    }

    #[test]
    fn weights_of_another_lattice_are_refused() {
        let space = space("trilevel_sr");
        let said = |weights| space.derive(&weights).unwrap_err().to_string();
        assert_eq!(
            said(weights(10, 18)),
            "mixing weights `gamma` weigh 18 maps, and no lattice of this space has so many"
        );
        assert_eq!(said(weights(9, 19)), "mixing weights `alpha` have 45 rows, the cell has 50 edges");
    }
}
