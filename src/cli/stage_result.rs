//! A result in the store, named on the command line: what it is, as far as it is a cell or a
//! network.

use super::{Complaint, ExitClass};
use crate::{
    config::nearest,
    interop::{
        description::Description,
        tensor_file::{Numbers, StoredTensor, TensorFile},
    },
    plan::{self, Manifest},
    records::{self, AlphaHistory, NetworkCard, SHAPES, SupernetCard, SupernetShapes, Unreadable},
    stages,
    store::{Record, Store},
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::path::Path;

/// As many names as a hint shows.
const FEW: usize = 8;

/// What a stage published, read back.
pub(super) struct StageResult {
    /// As it was named.
    pub name: String,
    /// `retrain`
    pub kind: String,
    pub description: Description,
    pub weights: Option<TensorFile>,
    /// Of a search.
    pub alphas: Option<TensorFile>,
}

impl StageResult {
    /// Reads the result that `word` names: `PIPELINE/STAGE`, or the first digits of a key.
    pub fn find(folder: &Path, word: &str) -> Result<Self, Complaint> {
        let store = Store::existing(folder).ok_or_else(|| {
            Complaint::input(format!("there is no store `{}`", folder.display()))
                .hint("run a pipeline first, name the store with `--store`, or give a file with `--weights`")
        })?;
        Self::read(&store, word, &Self::record(&store, word)?)
    }

    /// What is recorded of the result that `word` names.
    pub fn record(store: &Store, word: &str) -> Result<Record, Complaint> {
        let key = match word.split_once('/') {
            Some((pipeline, member)) => {
                store.last(pipeline, member).map_err(|error| Complaint::store(&error))?.map(|key| key.to_string())
            }
            None => by_digits(store, word)?,
        };
        let record = match &key {
            Some(key) => store.record(key).map_err(|error| Complaint::store(&error))?,
            None => None,
        };
        record.ok_or_else(|| unknown(store, word))
    }

    fn read(store: &Store, word: &str, record: &Record) -> Result<Self, Complaint> {
        let Manifest { kind, params, .. } = manifest(word, &record.manifest)?;
        let bytes = |name: &str| -> Result<Option<Vec<u8>>, Complaint> {
            let object = record.outputs.get(name);
            object.map(|object| store.bytes(object)).transpose().map_err(|error| Complaint::store(&error))
        };
        let text = |name: &str| -> Result<Option<String>, Complaint> {
            let text = bytes(name)?.map(String::from_utf8).transpose();
            text.map_err(|error| Complaint::input(format!("`{name}` of the result `{word}` is no text: {error}")))
        };
        let alphas: Option<AlphaHistory> = published(word, "alphas", bytes("alphas")?)?;
        let card: Option<NetworkCard> = published(word, "network", bytes("network")?)?;
        let network = match (&alphas, card) {
            // A search says in its parameters what its supernet is like.
            (Some(_), _) => records::value::<SupernetCard>(word, "params", &params).map_err(unreadable)?.into(),
            (None, Some(card)) => card.into(),
            (None, None) => Description::default(),
        };
        let shapes = record.notes.get(SHAPES).map(|note| records::value::<SupernetShapes>(word, SHAPES, note));
        let shapes = shapes.transpose().map_err(unreadable)?;
        let description = Description {
            space_text: text("space")?,
            genotype: text("genotype")?,
            mixing: alphas.as_ref().map(|history| history.mixing),
            outputs: shapes.as_ref().map(|shapes| shapes.outputs.clone()).or(network.outputs),
            game: shapes.as_ref().and_then(|shapes| shapes.game.clone()).or(network.game),
            input: shapes.map(|shapes| shapes.input).or(network.input),
            ..network
        };
        let tensors = |bytes: Vec<u8>| {
            TensorFile::safetensors(Path::new(word), &bytes)
                .map_err(|error| Complaint::caused(ExitClass::Input, &error))
        };
        let weights = bytes("weights")?.map(tensors).transpose()?;
        let alphas = alphas.and_then(|history| last(history, word));
        Ok(Self { name: word.to_owned(), kind, description, weights, alphas })
    }
}

/// The JSON output `name` of the result `word`, where it has one.
pub(super) fn published<T: DeserializeOwned>(
    word: &str,
    name: &str,
    bytes: Option<Vec<u8>>,
) -> Result<Option<T>, Complaint> {
    bytes.map(|bytes| records::parse(word, name, &bytes)).transpose().map_err(unreadable)
}

fn unreadable(error: Unreadable) -> Complaint {
    Complaint::input(error.to_string()).hint(Unreadable::HINT)
}

/// What a result was made of, where this version knows what it means.
pub(super) fn manifest(word: &str, manifest: &Json) -> Result<Manifest, Complaint> {
    let manifest: Manifest = records::value(word, "manifest", manifest).map_err(unreadable)?;
    let Manifest { schema, kind, version, .. } = &manifest;
    match stages::version(kind) {
        Some(known) if *version <= known && *schema <= plan::SCHEMA => Ok(manifest),
        _ => {
            let what = format!("the result `{word}` is of version {version} of `{kind}`");
            let complaint = Complaint::input(format!("{what}, which this version of darts-run does not know"));
            Err(complaint.hint(Unreadable::HINT))
        }
    }
}

/// The tables of the last epoch.
fn last(history: AlphaHistory, word: &str) -> Option<TensorFile> {
    let tables = history.epochs.into_iter().next_back()?.tables;
    let stored = tables.into_iter().flat_map(|table| {
        let shape = vec![table.alphas.len(), table.alphas.first().map_or(0, Vec::len)];
        let numbers = Numbers::Float(table.alphas.concat());
        let betas = table.betas.map(|betas| {
            (betas.label, StoredTensor { shape: vec![betas.values.len()], numbers: Numbers::Float(betas.values) })
        });
        [Some((table.label, StoredTensor { shape, numbers })), betas].into_iter().flatten()
    });
    Some(TensorFile::of(Path::new(word), stored))
}

/// The one key that begins so.
fn by_digits(store: &Store, digits: &str) -> Result<Option<String>, Complaint> {
    let mut keys = store.keys(digits).map_err(|error| Complaint::store(&error))?;
    if keys.len() > 1 {
        let few: Vec<String> = keys.iter().take(FEW).map(|key| format!("\n  {key}")).collect();
        return Err(Complaint::input(format!("{} keys begin with `{digits}`:{}", keys.len(), few.concat()))
            .hint("give more digits"));
    }
    Ok(keys.pop())
}

fn unknown(store: &Store, word: &str) -> Complaint {
    let complaint = Complaint::input(format!("the store `{}` has no result `{word}`", store.root().display()));
    let known = store.remembered().unwrap_or_default();
    if known.is_empty() {
        return complaint.hint("it holds no finished stage yet");
    }
    // Stages of that pipeline, where there are any: what is common to all names must not count as
    // likeness.
    let pipeline = word.split_once('/').map_or(String::new(), |(pipeline, _)| format!("{pipeline}/"));
    let stages: Vec<&str> = known.iter().filter_map(|name| name.strip_prefix(&pipeline)).collect();
    let (prefix, names) = match stages.as_slice() {
        [] => ("", known.iter().map(String::as_str).collect()),
        _ => (pipeline.as_str(), stages),
    };
    match nearest(word.strip_prefix(prefix).unwrap_or(word), names.iter().copied()) {
        Some(near) => complaint.hint(format!("did you mean `{prefix}{near}`?")),
        None => {
            let few: Vec<String> = names.iter().take(FEW).map(|name| format!("`{prefix}{name}`")).collect();
            let more = if names.len() > FEW { ", …" } else { "" };
            complaint.hint(format!("name a result as PIPELINE/STAGE: there are {}{more}", few.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Digest, canonical_json};
    use serde_json::json;

    fn found(kind: &str, version: u32) -> Result<StageResult, String> {
        let folder = tempfile::tempdir().unwrap();
        let manifest =
            json!({"schema": 1, "kind": kind, "version": version, "params": {}, "inputs": {}, "resources": {}});
        let key = Digest::of(canonical_json(&manifest).as_bytes());
        let record = json!({
            "manifest": manifest, "outputs": {}, "metrics": {}, "summary": null, "notes": {}, "started": 1, "finished": 2,
            "wall_seconds": 1.0, "resumed": null, "program": "0.1.0",
        });
        let record: Record = serde_json::from_value(record).unwrap();
        Store::open(folder.path()).unwrap().write_record(key, &record).unwrap();
        StageResult::find(folder.path(), &key.to_string()[..8]).map_err(|complaint| complaint.message)
    }

    #[test]
    fn a_result_of_a_later_version_is_refused_and_an_older_one_is_read() {
        assert_eq!(found("search", 1).unwrap().kind, "search");
        for (kind, version) in [("search", 99), ("distil", 1)] {
            let message = found(kind, version).err().unwrap();
            let said = format!("` is of version {version} of `{kind}`, which this version of darts-run does not know");
            assert!(message.ends_with(&said), "{message}");
        }
    }
}
