//! Golden files: a network's tensors before, and what PyTorch computed from them, in one safetensors file.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A golden file, read whole.
pub struct GoldenFile {
    pub path: PathBuf,
    /// Each entry of the file's metadata, a JSON value.
    pub metadata: BTreeMap<String, Json>,
    tensors: BTreeMap<String, GoldenTensor>,
}

/// A tensor of a golden file, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenTensor {
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// What a tensor holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    Float(Vec<f32>),
    Integer(Vec<i64>),
}

/// A golden file cannot be read, or lacks something.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is not a safetensors file: {reason}")]
    Format { path: PathBuf, reason: String },
    #[error("`{path}`: {reason}")]
    Content { path: PathBuf, reason: String },
}

impl GoldenFile {
    /// # Errors
    /// Where the file cannot be read, is no safetensors file, or has tensors of other types than F32 and I64.
    pub fn open(path: &Path) -> Result<Self, GoldenError> {
        let format = |reason: String| GoldenError::Format { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|source| GoldenError::Read { path: path.to_owned(), source })?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| format(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
        let metadata = header.metadata().iter().flatten().map(|(key, value)| {
            // A value that is no JSON is taken as the text it is.
            (key.clone(), serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.clone())))
        });
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let data = view.data();
            let numbers = match view.dtype() {
                Dtype::F32 => Numbers::Float(words(data).map(f32::from_le_bytes).collect()),
                Dtype::I64 => Numbers::Integer(words(data).map(i64::from_le_bytes).collect()),
                other => return Err(format(format!("tensor `{name}` is {other:?}, not F32 or I64"))),
            };
            tensors.insert(name.to_owned(), GoldenTensor { shape: view.shape().to_vec(), numbers });
        }
        Ok(Self { path: path.to_owned(), metadata: metadata.collect(), tensors })
    }

    /// A text in the metadata.
    pub fn text(&self, key: &str) -> Result<&str, GoldenError> {
        let value = self.metadata.get(key).and_then(Json::as_str);
        value.ok_or_else(|| self.content(format!("its metadata lack the text `{key}`")))
    }

    /// A count in the metadata: `8`, or a text that ends in one, `"N=5"`.
    pub fn count(&self, key: &str) -> Result<usize, GoldenError> {
        let value = self.metadata.get(key);
        let digits = match value {
            Some(Json::String(text)) => text.rsplit('=').next().and_then(|digits| digits.trim().parse().ok()),
            Some(other) => other.as_u64().and_then(|count| usize::try_from(count).ok()),
            None => None,
        };
        digits.ok_or_else(|| self.content(format!("its metadata lack the number `{key}`")))
    }

    /// The tensor `name`, if the file has it.
    pub fn find(&self, name: &str) -> Option<&GoldenTensor> {
        self.tensors.get(name)
    }

    /// Shape and numbers of the F32 tensor `name`.
    pub fn float(&self, name: &str) -> Result<(&[usize], &[f32]), GoldenError> {
        match self.tensors.get(name) {
            Some(GoldenTensor { shape, numbers: Numbers::Float(numbers) }) => Ok((shape, numbers)),
            _ => Err(self.content(format!("it lacks the F32 tensor `{name}`"))),
        }
    }

    /// The numbers of the I64 tensor `name`.
    pub fn integer(&self, name: &str) -> Result<&[i64], GoldenError> {
        match self.tensors.get(name) {
            Some(GoldenTensor { numbers: Numbers::Integer(numbers), .. }) => Ok(numbers),
            _ => Err(self.content(format!("it lacks the I64 tensor `{name}`"))),
        }
    }

    /// Names below `prefix`, without it.
    pub fn names_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    /// What is wrong with this file's content, as an error that names the file.
    pub fn content(&self, reason: impl Into<String>) -> GoldenError {
        GoldenError::Content { path: self.path.clone(), reason: reason.into() }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
