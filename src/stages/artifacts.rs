//! What stages publish for each other to read.

pub(super) use crate::records::{genotype, space};
use crate::{
    data::{DataError, Dataset},
    records::NetworkCard,
    run::{Context, Input, StageError, sentence},
    space::{Genotype, GenotypeText, PathStep, Space, network::Network},
};
use std::{collections::BTreeMap, path::PathBuf};

/// The packed data set of a `prepare` stage; `roots` are the reading stage's
/// [`PlanContext::data_roots`](super::PlanContext), in one of which picture files lie.
pub(super) fn dataset(prepared: &Input, roots: &[PathBuf]) -> Result<Dataset, StageError> {
    let packed = prepared.output("dataset")?;
    let dataset = packed.read(|reader| Dataset::read_from(reader, packed.size(), &packed.path()))?;
    Ok(dataset?.rooted(roots)?)
}

/// What a stage reads of its reference key `genotype`: the cell and its space, and not how a search
/// came to it. So two searches that agree are two ways to one content, and what reads that is done
/// once.
pub(super) fn genotype_outputs(slot: &str) -> Option<&'static [&'static str]> {
    (slot == "genotype").then_some(&["genotype", "space"])
}

/// Publishes a genotype and its space, and says what it is: two searches that agree make the same
/// bytes.
pub(super) fn publish_genotype(
    context: &mut Context<'_>,
    genotype: &Genotype,
    space: &Space,
    space_text: &str,
) -> Result<(), StageError> {
    let yaml = genotype_text(genotype, GenotypeText::Yaml, space)?;
    context.publish_bytes("genotype", yaml.as_bytes())?;
    context.publish_bytes("space", space_text.as_bytes())?;
    for (operation, count) in operation_counts(genotype) {
        context.metric(format!("count_{operation}"), count as f64);
    }
    context.summary(one_line(genotype, space)?);
    Ok(())
}

/// A genotype in the text form that is customary for its space. A cell string holds every genotype,
/// that form perhaps not this one.
pub(super) fn customary_text(genotype: &Genotype, space: &Space) -> Result<String, StageError> {
    let text = genotype.to_text(space.genotype_text, space);
    let text = text.or_else(|_| genotype_text(genotype, GenotypeText::CellString, space));
    let text = text.or_else(|_| genotype_text(genotype, GenotypeText::Yaml, space))?;
    Ok(text.trim().to_owned())
}

/// The same on one line; of a path what its cells apply, node by node, and at which widths.
pub(super) fn one_line(genotype: &Genotype, space: &Space) -> Result<String, StageError> {
    if genotype.path.is_empty() {
        // YAML is no line.
        let of_cells = genotype.to_text(GenotypeText::CellString, space).ok();
        let line = of_cells.filter(|_| space.genotype_text == GenotypeText::Yaml);
        return Ok(line.map_or_else(|| customary_text(genotype, space), Ok)?.replace('\n', " "));
    }
    let step = |step: &PathStep| match step {
        PathStep::Block(name) => name.clone(),
        PathStep::Cell(cell) => {
            let applied: Vec<&str> = cell.nodes.iter().flatten().map(|choice| choice.operation.as_str()).collect();
            let widths = if cell.widths.is_empty() { String::new() } else { format!(" at {}", cell.widths.join(" ")) };
            format!("{}{widths}", applied.join(" "))
        }
    };
    Ok(genotype.path.iter().map(step).collect::<Vec<_>>().join(", "))
}

/// How often each operation was chosen, over all kinds of cell.
fn operation_counts(genotype: &Genotype) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for cell in genotype.every_cell() {
        for choice in cell.nodes.iter().flatten() {
            *counts.entry(choice.operation.as_str()).or_insert(0) += 1;
        }
    }
    counts
}

/// The network of `genotype` that `card` is of.
pub(super) fn network(card: &NetworkCard, space: &Space, genotype: &Genotype) -> Result<Network, StageError> {
    space
        .discrete(genotype, &card.build())
        .map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })
}

/// A genotype as text.
pub(super) fn genotype_text(genotype: &Genotype, form: GenotypeText, space: &Space) -> Result<String, StageError> {
    genotype.to_text(form, space).map_err(|error| StageError::failed(error.to_string()))
}

impl From<DataError> for StageError {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Stopped => Self::Interrupted,
            // No fault of the input.
            DataError::DiskFull { .. } | DataError::Write { .. } | DataError::Thread { .. } => {
                Self::failed(sentence(&error))
            }
            error => Self::Input { message: sentence(&error), hint: error.hint() },
        }
    }
}
