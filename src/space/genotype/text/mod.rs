//! The text forms of a genotype: which of them a text is, and what they share.
//!
//! Reading goes in two steps. A text becomes a [`Draft`], for which no space is needed: what cannot
//! be read is one fault with its place. A space then says what the draft's words mean.

mod cell_string;
mod draft;
mod form;
mod named_tuple;
mod python;
mod select;
mod yaml;

use crate::machine;
use crate::space::genotype::{Choice, Genotype, GenotypeError};
use crate::space::{KeptEdges, Space};
pub use form::GenotypeText;
pub use form::{kind_fault, operation_fault};
use std::path::Path;

use draft::Draft;
use python::{Place, Value};

impl Genotype {
    /// Reads any text form (see [`GenotypeText`], and what other programs print or keep in files)
    /// and checks the cell against `space`. Lines that begin with `#` are comments. Of a text that
    /// holds several genotypes the last is taken, as of a log.
    ///
    /// # Errors
    /// Where the text is of no known form, or the space cannot build its cells.
    pub fn parse(text: &str, space: &Space) -> Result<Self, GenotypeError> {
        let mut genotype = read(text, space)?;
        genotype.check(space)?;
        genotype.arrange(space);
        Ok(genotype)
    }

    /// Reads the file at `path`, which holds one genotype.
    ///
    /// # Errors
    /// Where the file cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: &Path, space: &Space) -> Result<Self, GenotypeError> {
        let text = machine::read_text(path).map_err(|source| GenotypeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, space)
    }

    /// Writes the genotype in `form`.
    ///
    /// # Errors
    /// Where that form cannot hold the genotype.
    pub fn to_text(&self, form: GenotypeText, space: &Space) -> Result<String, GenotypeError> {
        if !self.path.is_empty() && form != GenotypeText::Yaml {
            return Err(GenotypeError::UnwritablePath);
        }
        match form {
            GenotypeText::CellString => Ok(cell_string::write(self, space)),
            GenotypeText::NamedTuple => named_tuple::write(self, space),
            GenotypeText::Yaml => Ok(yaml::write(self)),
        }
    }
}

/// Reads a text in whatever form it has. The caller checks the genotype against the space.
fn read(text: &str, space: &Space) -> Result<Genotype, GenotypeError> {
    Draft::parse(text)?.settle(space)
}

/// The part of `text` that is the genotype called `name`, or the one that there is, and what there
/// is to say of the choice.
pub(super) fn choose(text: &str, name: Option<&str>) -> Result<(String, Option<String>), GenotypeError> {
    let text = select::cleaned(text);
    if name.is_none()
        && let Some(whole) = whole(&text)
    {
        return whole.map(|_| (text, None));
    }
    let heads = select::heads(&text);
    if heads.is_empty() && name.is_none() {
        return yaml_or_nothing(&text).map(|_| (text, None));
    }
    let (head, note) = select::select(&text, &heads, name)?;
    let part = select::part(&text, &head)?;
    // Read where it stands, so that what is wrong with it has its place in the text.
    of_head(&text, &head)?;
    Ok((part.to_owned(), note))
}

impl Draft {
    /// Reads a text, in which other things may stand beside the genotype.
    fn parse(text: &str) -> Result<Self, GenotypeError> {
        let text = select::cleaned(text);
        if let Some(whole) = whole(&text) {
            return whole;
        }
        let heads = select::heads(&text);
        if heads.is_empty() { yaml_or_nothing(&text) } else { of_head(&text, &select::select(&text, &heads, None)?.0) }
    }
}

/// The text as one genotype and nothing else, where its beginning says that it is meant so.
fn whole(text: &str) -> Option<Result<Draft, GenotypeError>> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Some(Err(GenotypeError::Empty));
    }
    if let Ok(number) = trimmed.parse() {
        return Some(Ok(Draft::Number(number)));
    }
    if cell_string::is(text) {
        return Some(cell_string::read(text));
    }
    let begins = trimmed.starts_with(['{', '[', '(', '"', '\'']);
    let of_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let is_call = trimmed.ends_with(')') && trimmed.trim_start_matches(of_name).starts_with('(');
    if !begins && !is_call {
        return None;
    }
    let read = match Value::whole(text) {
        // This project's own form, as JSON.
        Ok(value) if value.has("cells") || value.has("path") => return Some(yaml::read(text)),
        Ok(value) => named_tuple::read(&value),
        Err(error) => Err(error),
    };
    match read {
        // A line of a log can begin so too.
        Err(_) if !select::heads(text).is_empty() => None,
        // Names without quotes are YAML's.
        Err(error) if trimmed.starts_with(['{', '[']) => Some(yaml::read(text).map_err(|_| error)),
        read => Some(read),
    }
}

/// The genotype at `head`.
fn of_head(text: &str, head: &select::Head<'_>) -> Result<Draft, GenotypeError> {
    match head.form {
        select::Form::CellString { end } => cell_string::read(&text[head.at..end]),
        select::Form::Python => named_tuple::read(&Value::read(text, head.at)?.0),
    }
}

/// A text in which no genotype begins: YAML, if it is a map.
fn yaml_or_nothing(text: &str) -> Result<Draft, GenotypeError> {
    let begin = Place::of(text, text.len() - text.trim_start().len());
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && *line != "---").unwrap_or_default();
    let is_map = first.split_once(':').is_some_and(|(key, _)| !key.trim_end().contains(char::is_whitespace));
    if is_map { yaml::read(text) } else { Err(begin.error("no genotype begins here or behind")) }
}

/// How many edges the node at `position` keeps.
fn edges_of(position: usize, space: &Space) -> usize {
    match space.derivation().edges {
        KeptEdges::Best(count) => count,
        KeptEdges::All => space.sources(space.inputs() + position).count(),
    }
}

/// `|op~0|op~1|`
fn write_node(choices: &[Choice]) -> String {
    let words = choices.iter().map(|Choice { operation, source }| format!("{operation}~{source}|"));
    format!("|{}", words.collect::<String>())
}

/// In words: how many edges a node keeps.
fn each(space: &Space) -> String {
    match space.derivation().edges {
        KeptEdges::Best(count) => count.to_string(),
        KeptEdges::All => "all their".to_owned(),
    }
}
