//! Golden files: a network's tensors before, and what PyTorch computed from them, in one
//! safetensors file.

use super::tensor_file::{Numbers, StoredTensor, TensorFile, TensorFileError};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The kind of a file that holds the gradients of a bilevel search's alphas and no steps.
pub(super) const BILEVEL: &str = "bilevel alpha gradient";

/// A golden file, read whole.
pub struct GoldenFile {
    pub path: PathBuf,
    /// Each entry of the file's metadata, a JSON value.
    pub metadata: BTreeMap<String, Json>,
    pub tensors: TensorFile,
}

/// A golden file cannot be read, or lacks something.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    #[error(transparent)]
    File(#[from] TensorFileError),
    #[error("`{path}`: {reason}")]
    Content { path: PathBuf, reason: String },
}

impl GoldenFile {
    /// # Errors
    /// Where the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, GoldenError> {
        let tensors = TensorFile::open(path)?;
        let metadata = tensors.metadata.iter().map(|(key, value)| (key.clone(), json(value))).collect();
        Ok(Self { path: path.to_owned(), metadata, tensors })
    }

    /// A text in the metadata.
    ///
    /// # Errors
    /// Where it is missing, or no text.
    pub fn text(&self, key: &str) -> Result<&str, GoldenError> {
        let value = self.metadata.get(key).and_then(Json::as_str);
        value.ok_or_else(|| self.content(format!("its metadata lack the text `{key}`")))
    }

    /// A count in the metadata: `8`, or a text that ends in one, `"N=5"`.
    ///
    /// # Errors
    /// Where it is missing, or no count.
    pub fn count(&self, key: &str) -> Result<usize, GoldenError> {
        let value = self.metadata.get(key).and_then(count);
        value.ok_or_else(|| self.content(format!("its metadata lack the number `{key}`")))
    }

    /// A number in the metadata, whatever it counts: `0.025`.
    ///
    /// # Errors
    /// Where it is missing, or no number.
    pub fn number(&self, key: &str) -> Result<f64, GoldenError> {
        let value = self.metadata.get(key).and_then(Json::as_f64);
        value.ok_or_else(|| self.content(format!("its metadata lack the number `{key}`")))
    }

    /// The tensor `name`, if the file has it.
    pub fn find(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.find(name)
    }

    /// Shape and numbers of the F32 tensor `name`.
    ///
    /// # Errors
    /// Where it is missing, of another type or empty.
    pub fn float(&self, name: &str) -> Result<(&[usize], &[f32]), GoldenError> {
        match self.find(name) {
            Some(StoredTensor { numbers: Numbers::Float(numbers), .. }) if numbers.is_empty() => {
                Err(self.content(format!("`{name}` has no numbers")))
            }
            Some(StoredTensor { shape, numbers: Numbers::Float(numbers) }) => Ok((shape, numbers)),
            _ => Err(self.content(format!("it lacks the F32 tensor `{name}`"))),
        }
    }

    /// The F32 tensor `name`.
    ///
    /// # Errors
    /// As [`float`](Self::float), and where it has another number of sides.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>, GoldenError> {
        let (shape, numbers) = self.float(name)?;
        let wrong = || self.content(format!("`{name}` has {} sides, not {D}", shape.len()));
        let shape: [usize; D] = shape.try_into().map_err(|_| wrong())?;
        Ok(Tensor::from_data(TensorData::new(numbers.to_vec(), shape), device))
    }

    /// The same, which must be of this shape.
    ///
    /// # Errors
    /// As [`float`](Self::float), and where it is of another shape.
    pub fn tensor_of<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, GoldenError> {
        let found = self.float(name)?.0;
        match found == shape {
            true => self.tensor(name, device),
            false => Err(self.content(format!("`{name}` has shape {found:?}, needed is {shape:?}"))),
        }
    }

    /// The numbers of the I64 tensor `name`.
    ///
    /// # Errors
    /// Where it is missing, or of another type.
    pub fn integer(&self, name: &str) -> Result<&[i64], GoldenError> {
        match self.find(name) {
            Some(StoredTensor { numbers: Numbers::Integer(numbers), .. }) => Ok(numbers),
            _ => Err(self.content(format!("it lacks the I64 tensor `{name}`"))),
        }
    }

    /// What is wrong with this file's content, as an error that names the file.
    pub fn content(&self, reason: impl Into<String>) -> GoldenError {
        GoldenError::Content { path: self.path.clone(), reason: reason.into() }
    }
}

/// An entry of metadata as the JSON that it is; a value that is no JSON is taken as text.
pub(super) fn json(value: &str) -> Json {
    serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()))
}

/// `8`, or a text that ends in a count: `"N=5"`.
pub(super) fn count(value: &Json) -> Option<usize> {
    match value {
        Json::String(text) => text.rsplit('=').next().and_then(|digits| digits.trim().parse().ok()),
        other => other.as_u64().and_then(|count| usize::try_from(count).ok()),
    }
}
