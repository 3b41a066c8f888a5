//! What a stage published, read again.

use crate::{
    run::{Input, StageError, sentence},
    space::{Genotype, Space},
};
use serde::{Deserialize, de::DeserializeOwned};

/// The `evaluation` output of a stage: what its task tells of the test, and what the network costs.
#[derive(Deserialize)]
pub(super) struct Evaluation<T> {
    #[serde(flatten)]
    pub of: T,
    pub parameters: u64,
    pub multiply_adds: u64,
}

/// The space that a stage searched or derived from.
pub(crate) fn space(of: &Input) -> Result<Space, StageError> {
    let published = of.output("space")?;
    let path = published.path();
    Space::parse(&path, published.text()?)
        .map_err(|_| StageError::input(format!("`{}` is no search space of this version", path.display())))
}

/// The genotype of a `derive` stage, of the space beside it.
pub(crate) fn genotype(derived: &Input, space: &Space) -> Result<Genotype, StageError> {
    let text = derived.output("genotype")?.text()?;
    Genotype::parse(&text, space).map_err(|error| StageError::input(sentence(&error)))
}

/// The JSON output `name` of a stage.
pub(crate) fn json<T: DeserializeOwned>(of: &Input, name: &str) -> Result<T, StageError> {
    let published = of.output(name)?;
    serde_json::from_slice(&published.bytes()?).map_err(|error| {
        StageError::failed(format!("`{}` is not what its stage writes: {error}", published.path().display()))
    })
}
