//! What stages publish for each other to read.

use crate::{
    data::{DataError, Dataset},
    run::{Input, StageError, sentence},
    space::{Genotype, GenotypeText, Space},
};
use serde_json::Value as Json;
use std::path::Path;

/// The packed data set of a `prepare` stage.
pub(super) fn dataset(prepared: &Input) -> Result<Dataset, StageError> {
    Ok(Dataset::read(prepared.output("dataset")?)?)
}

/// The space that a stage searched or derived from.
pub(super) fn space(of: &Input) -> Result<Space, StageError> {
    let path = of.output("space")?;
    Space::parse(path, text(path)?)
        .map_err(|_| StageError::input(format!("`{}` is no search space of this version", path.display())))
}

/// The genotype of a `derive` stage, of the space beside it.
pub(super) fn genotype(derived: &Input, space: &Space) -> Result<Genotype, StageError> {
    let text = text(derived.output("genotype")?)?;
    Genotype::parse(&text, space).map_err(|error| StageError::input(sentence(&error)))
}

/// A genotype as text.
pub(super) fn genotype_text(genotype: &Genotype, form: GenotypeText, space: &Space) -> Result<String, StageError> {
    genotype.to_text(form, space).map_err(|error| StageError::failed(error.to_string()))
}

/// The JSON output `name` of a stage.
pub(super) fn json<T: serde::de::DeserializeOwned>(of: &Input, name: &str) -> Result<T, StageError> {
    let path = of.output(name)?;
    serde_json::from_str(&text(path)?)
        .map_err(|error| StageError::failed(format!("`{}` is not what its stage writes: {error}", path.display())))
}

/// JSON as it is published: indented, a line break at the end.
pub(super) fn json_bytes(value: &Json) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).expect("JSON values serialise");
    text.push('\n');
    text.into_bytes()
}

pub(super) fn text(path: &Path) -> Result<String, StageError> {
    std::fs::read_to_string(path)
        .map_err(|error| StageError::failed(format!("failed to read `{}`: {error}", path.display())))
}

impl From<DataError> for StageError {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Stopped => Self::Interrupted,
            // No fault of the input.
            DataError::DiskFull { .. } | DataError::Write { .. } => Self::failed(sentence(&error)),
            error => Self::Input { message: sentence(&error), hint: error.hint() },
        }
    }
}
