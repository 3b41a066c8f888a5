//! Whether a space can build a genotype.

use crate::space::language::hint::did_you_mean;
use crate::space::language::skeleton::{Exits, Lattice};
use crate::space::{CellGenotype, Choice, Genotype, GenotypeError, KeptEdges, PathStep, Space};

impl Genotype {
    /// Whether `space` can build the cells: its kinds and no others, operations that it knows,
    /// edges that go forwards. Where the space keeps all edges, a cell must have each of them once.
    ///
    /// # Errors
    /// The first thing that the space cannot build.
    pub fn check(&self, space: &Space) -> Result<(), GenotypeError> {
        if let Some(lattice) = space.lattice() {
            return self.check_path(lattice, space);
        }
        if !self.path.is_empty() {
            return Err(GenotypeError::NoLattice);
        }
        if let Some(kind) = self.cells.keys().find(|kind| space.cell_kind(kind).is_none()) {
            let kinds = space.cell_kinds().iter().map(|kind| kind.name.as_str());
            let hint = did_you_mean(kind, kinds, "the kinds are");
            return Err(GenotypeError::UnknownKind { kind: kind.clone(), hint });
        }
        for kind in space.cell_kinds() {
            let missing = || GenotypeError::MissingKind { kind: kind.name.clone() };
            let cell = self.cells.get(&kind.name).ok_or_else(missing)?;
            cell.check(&kind.name, space)?;
        }
        Ok(())
    }

    /// Whether it is a path through the lattice, from its first cell on.
    fn check_path(&self, lattice: &Lattice, space: &Space) -> Result<(), GenotypeError> {
        let kind = || lattice.cell.clone();
        if let Some(kind) = self.cells.keys().next() {
            return Err(GenotypeError::NoPath { kind: kind.clone() });
        }
        if !matches!(self.path.first(), Some(PathStep::Cell(_))) {
            return Err(GenotypeError::PathBegins { kind: kind() });
        }
        let name = |is_cell| if is_cell { lattice.cell.clone() } else { lattice.block.clone() };
        for (is_cell, most) in [(true, 1 + lattice.largest()), (false, lattice.blocks)] {
            let found = self.steps().filter(|step| *step == is_cell).count();
            if found > most {
                return Err(GenotypeError::TooLong { name: name(is_cell), most, found });
            }
        }
        let found = self.steps().filter(|is_cell| !is_cell).count();
        if lattice.exits == Exits::Complete && found < lattice.blocks {
            return Err(GenotypeError::Incomplete { name: name(false), needed: lattice.blocks, found });
        }
        let widths = space.cell_kind(&lattice.cell).and_then(|kind| kind.widths.as_ref());
        let choosing = space.nodes_that_choose().len();
        for step in &self.path {
            match step {
                PathStep::Cell(cell) => {
                    cell.check(&lattice.cell, space)?;
                    let expected = widths.map_or(0, |_| choosing);
                    if cell.widths.len() != expected {
                        return Err(GenotypeError::WidthCount { kind: kind(), expected, found: cell.widths.len() });
                    }
                    let names = widths.map_or(&[][..], |widths| &widths.names);
                    if let Some(width) = cell.widths.iter().find(|width| !names.contains(width)) {
                        let hint = did_you_mean(width, names.iter().map(String::as_str), "the widths are");
                        return Err(GenotypeError::UnknownWidth { kind: kind(), width: width.clone(), hint });
                    }
                }
                PathStep::Block(name) if *name != lattice.block => {
                    let hint = did_you_mean(name, [lattice.block.as_str()], "there is");
                    return Err(GenotypeError::UnknownStep { name: name.clone(), hint });
                }
                PathStep::Block(_) => {}
            }
        }
        Ok(())
    }

    /// Brings kinds into the order of the space and, where all edges are kept, edges into the order
    /// of their sources: two texts of one cell read as equal genotypes.
    pub(super) fn arrange(&mut self, space: &Space) {
        let rank = |name: &str| space.cell_kinds().iter().position(|kind| kind.name == name);
        self.cells.sort_by(|a, _, b, _| rank(a).cmp(&rank(b)));
        if space.derivation().edges == KeptEdges::All {
            let nodes = self.cells.values_mut().flat_map(|cell| &mut cell.nodes);
            nodes.for_each(|choices| choices.sort_by_key(|choice| choice.source));
        }
    }
}

impl CellGenotype {
    fn check(&self, kind: &str, space: &Space) -> Result<(), GenotypeError> {
        let kind = || kind.to_owned();
        let inputs = space.inputs();
        if self.nodes.is_empty() {
            return Err(GenotypeError::NoNodes { kind: kind() });
        }
        for (node, choices) in self.nodes.iter().enumerate() {
            let state = inputs + node;
            if choices.is_empty() {
                return Err(GenotypeError::NoEdges { kind: kind(), state });
            }
            for Choice { operation, source } in choices {
                if !space.operations.contains_key(operation) {
                    let hint = did_you_mean(operation, space.operations(), "the operations are");
                    return Err(GenotypeError::UnknownOperation { kind: kind(), operation: operation.clone(), hint });
                }
                if *source >= state {
                    return Err(GenotypeError::Source { kind: kind(), state, source_state: *source });
                }
            }
        }
        if space.derivation().edges == KeptEdges::All {
            self.check_all_edges(kind(), space)?;
        }
        // What is added to an input, and what has widths of its own, stands where the space says.
        let is_fixed = space.shape.output.residual.is_some() || space.has_lattice();
        if is_fixed && self.nodes.len() != space.nodes() {
            return Err(GenotypeError::Nodes { kind: kind(), expected: space.nodes(), found: self.nodes.len() });
        }
        let (first, last) = (inputs, inputs + self.nodes.len() - 1);
        if self.output.is_empty() {
            return Err(GenotypeError::NoOutput { kind: kind() });
        }
        for (position, &state) in self.output.iter().enumerate() {
            if !(first..=last).contains(&state) {
                return Err(GenotypeError::Output { kind: kind(), state, first, last });
            }
            if self.output[..position].contains(&state) {
                return Err(GenotypeError::RepeatedOutput { kind: kind(), state });
            }
        }
        let expected = space.output_states(self.nodes.len());
        if is_fixed && self.output != expected {
            return Err(GenotypeError::OtherOutput { kind: kind(), expected, found: self.output.clone() });
        }
        Ok(())
    }

    fn check_all_edges(&self, kind: String, space: &Space) -> Result<(), GenotypeError> {
        if self.nodes.len() != space.nodes() {
            return Err(GenotypeError::Nodes { kind, expected: space.nodes(), found: self.nodes.len() });
        }
        for (node, choices) in self.nodes.iter().enumerate() {
            let state = space.inputs() + node;
            let mut found: Vec<usize> = choices.iter().map(|choice| choice.source).collect();
            found.sort_unstable();
            if !space.sources(state).eq(found) {
                return Err(GenotypeError::Edges { kind, state });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::space::{Genotype, shipped};

    /// What would be built otherwise than it is written, or not at all.
    #[test]
    fn a_path_that_the_lattice_does_not_have_is_refused() {
        let space = shipped::space("trilevel_sr");
        let cell = |nodes: &str, rest: &str| format!("{{cell: {{nodes: [{nodes}], {rest}}}}}");
        let nodes = "[skip~0], [skip~1], [skip~2], [skip~3], [skip~4]";
        let whole = cell(nodes, "widths: [1, 1/2, 1, 1/3]");
        let said = |path: &[&str]| {
            let text = format!("path: [{}]", path.join(", "));
            Genotype::parse(&text, &space).map_err(|error| error.to_string())
        };
        assert!(said(&[&whole, "up", "up"]).is_ok());
        let of_four = cell("[skip~0], [skip~1], [skip~2], [skip~3]", "widths: [1, 1, 1]");
        let of_another = cell(nodes, "widths: [1, 1, 1, 1], output: [4]");
        let many: Vec<&str> = std::iter::repeat_n(whole.as_str(), 28).collect();
        for (path, expected) in [
            (&["up", whole.as_str()][..], "a path begins with a cell of kind `cell`"),
            (&[&whole, "up", "up", "up"], "a path has at most 2 of `up`, found 3"),
            (&many, "a path has at most 27 of `cell`, found 28"),
            (&[&of_four], "cell kind `cell` must have 5 nodes, found 4"),
            (&[&of_another], "cell kind `cell` must output [5] in this space, found [4]"),
        ] {
            assert_eq!(said(path).unwrap_err(), expected);
        }
    }
}
