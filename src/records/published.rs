//! What a stage publishes as JSON, written and read again.

use crate::{
    run::{Input, StageError, sentence},
    space::{Genotype, Space},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

/// As it is published: indented, a line break at the end.
pub(crate) fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).expect("what stages publish is plain data");
    text.push('\n');
    text.into_bytes()
}

/// The same with the entries of every object in the order of their names.
pub(crate) fn sorted_bytes(value: &impl Serialize) -> Vec<u8> {
    bytes(&json!(value))
}

/// An output that is not as this version writes it.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` of `{of}` is not as this version of darts-run writes it: {source}")]
pub(crate) struct Unreadable {
    name: String,
    of: String,
    source: serde_json::Error,
}

impl Unreadable {
    pub const HINT: &str = "use the version that wrote it, or another store";

    fn of(of: &str, name: &str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self { name: name.to_owned(), of: of.to_owned(), source }
    }
}

impl From<Unreadable> for StageError {
    fn from(error: Unreadable) -> Self {
        Self::Input { message: error.to_string(), hint: Some(Unreadable::HINT.to_owned()) }
    }
}

/// The JSON output `name` of what is called `of`.
///
/// # Errors
/// Where it is of another shape.
pub(crate) fn parse<T: DeserializeOwned>(of: &str, name: &str, bytes: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(Unreadable::of(of, name))
}

/// What is called `of` said this in its record, as `name`.
///
/// # Errors
/// Where it is of another shape.
pub(crate) fn value<T: DeserializeOwned>(of: &str, name: &str, value: &Json) -> Result<T, Unreadable> {
    T::deserialize(value).map_err(Unreadable::of(of, name))
}

/// The JSON output `name` of a stage.
///
/// # Errors
/// Where the stage published none, or it cannot be read.
pub(crate) fn json<T: DeserializeOwned>(of: &Input, name: &str) -> Result<T, StageError> {
    let bytes = of.output(name)?.bytes()?;
    Ok(parse(&of.member, name, &bytes)?)
}

/// What a stage said under `name` besides figures, where it said it.
///
/// # Errors
/// Where it is of another shape.
pub(crate) fn note<T: DeserializeOwned>(of: &Input, name: &str) -> Result<Option<T>, StageError> {
    Ok(of.notes.get(name).map(|note| value(&of.member, name, note)).transpose()?)
}

/// The space that a stage searched or derived from.
///
/// # Errors
/// Where the stage published none, or it is of another version.
pub(crate) fn space(of: &Input) -> Result<Space, StageError> {
    let published = of.output("space")?;
    let path = published.path();
    Space::parse(&path, published.text()?)
        .map_err(|_| StageError::input(format!("`{}` is no search space of this version", path.display())))
}

/// The genotype of a `derive` stage, of the space beside it.
///
/// # Errors
/// Where the stage published none, or it is not of that space.
pub(crate) fn genotype(derived: &Input, space: &Space) -> Result<Genotype, StageError> {
    let text = derived.output("genotype")?.text()?;
    Genotype::parse(&text, space).map_err(|error| StageError::input(sentence(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stage_of_this_version_writes_is_bad_input_with_a_way_out() {
        let error = parse::<Vec<crate::records::Epoch>>("search[seed=1]", "metrics", b"[{}]").unwrap_err();
        let StageError::Input { message, hint } = StageError::from(error) else { panic!("not of the input") };
        let said = "`metrics` of `search[seed=1]` is not as this version of darts-run writes it: missing field `epoch`";
        assert!(message.starts_with(said), "{message}");
        assert_eq!(hint.as_deref(), Some("use the version that wrote it, or another store"));
    }
}
