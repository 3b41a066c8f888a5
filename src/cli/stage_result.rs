//! A result in the store, named on the command line: what it is, as far as it is a cell or a
//! network.

use super::{Complaint, ExitClass};
use crate::{
    config::nearest,
    interop::{
        description::Description,
        tensor_file::{Numbers, StoredTensor, TensorFile},
    },
    records::AlphaHistory,
    store::{Record, Store},
};
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
        let key = match word.split_once('/') {
            Some((pipeline, member)) => {
                store.last(pipeline, member).map_err(|error| Complaint::store(&error))?.map(|key| key.to_string())
            }
            None => by_digits(&store, word)?,
        };
        let record = match &key {
            Some(key) => store.record(key).map_err(|error| Complaint::store(&error))?,
            None => None,
        };
        match record {
            Some(record) => Self::read(&store, word, &record),
            None => Err(unknown(&store, word)),
        }
    }

    fn read(store: &Store, word: &str, record: &Record) -> Result<Self, Complaint> {
        let bytes = |name: &str| -> Result<Option<Vec<u8>>, Complaint> {
            record
                .outputs
                .get(name)
                .map(|object| store.bytes(object))
                .transpose()
                .map_err(|error| Complaint::store(&error))
        };
        let text = |name: &str| -> Result<Option<String>, Complaint> {
            let text = bytes(name)?.map(String::from_utf8).transpose();
            text.map_err(|error| Complaint::input(format!("`{name}` of the result `{word}` is no text: {error}")))
        };
        let alphas = text("alphas")?.map(|text| json::<AlphaHistory>(word, &text)).transpose()?;
        let network = text("network")?.map(|text| json::<Description>(word, &text)).transpose()?;
        let published = Description {
            supernet: alphas.is_some(),
            space_text: text("space")?,
            genotype: text("genotype")?,
            mixing: alphas.as_ref().map(|history| history.mixing),
            ..Description::default()
        };
        // A search says in its parameters what its supernet is like; how it mixes, with its alphas.
        let mut params = record.manifest["params"].clone();
        if let Some(keys) = params.as_object_mut() {
            keys.remove("mixing");
        }
        let network = match network {
            Some(network) => network,
            None if alphas.is_some() => json(word, &params.to_string())?,
            None => Description::default(),
        };
        let tensors = |bytes: Vec<u8>| {
            TensorFile::safetensors(Path::new(word), &bytes)
                .map_err(|error| Complaint::caused(ExitClass::Input, &error))
        };
        let weights = bytes("weights")?.map(tensors).transpose()?;
        Ok(Self {
            name: word.to_owned(),
            kind: record.manifest["kind"].as_str().unwrap_or_default().to_owned(),
            description: published.or(network),
            weights,
            alphas: alphas.and_then(|history| last(history, word)),
        })
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

fn json<T: serde::de::DeserializeOwned>(word: &str, text: &str) -> Result<T, Complaint> {
    serde_json::from_str(text)
        .map_err(|error| Complaint::input(format!("the result `{word}` is not as this version writes it: {error}")))
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
