//! Files of named tensors, as safetensors, as PyTorch or as NumPy saves them, read whole.

use super::{
    mistaken, numpy,
    stored_tensor::Element,
    torch::{self, TorchError},
};
use crate::machine;
use safetensors::{Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use super::stored_tensor::{Numbers, StoredTensor};

/// Named tensors and what the file says of them.
pub struct TensorFile {
    pub path: PathBuf,
    /// A safetensors file's entries of text; others have none.
    pub metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, StoredTensor>,
}

/// A file of tensors cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is not a safetensors file: {reason}")]
    Safetensors { path: PathBuf, reason: String },
    #[error("`{path}` is neither a safetensors file nor one that PyTorch saved")]
    Pytorch {
        path: PathBuf,
        #[source]
        source: TorchError,
    },
    #[error("`{path}` is no file of NumPy that can be read: {reason}")]
    Numpy { path: PathBuf, reason: String },
    #[error("`{path}` is {what}")]
    Mistaken { path: PathBuf, what: String, way: &'static str },
    #[error("`{path}` has no tensor below `{prefix}`")]
    Below { path: PathBuf, prefix: String, firsts: String },
}

impl TensorFileError {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mistaken { way, .. } => Some((*way).to_owned()),
            Self::Pytorch { .. } => Some(
                "a `.pt` file holds a dictionary of tensors, as `torch.save(model.state_dict(), path)` writes it, or a model"
                    .to_owned(),
            ),
            Self::Below { firsts, .. } => Some(format!("its names begin with {firsts}")),
            _ => None,
        }
    }
}

impl TensorFile {
    /// Reads a file of any kind; its first bytes, not its name, tell which. Tensors nested in
    /// dictionaries of a PyTorch file are named by their path, `state_dict.stem.0.weight`.
    ///
    /// # Errors
    /// Where the file cannot be read, or has tensors of no type that is known here.
    pub fn open(path: &Path) -> Result<Self, TensorFileError> {
        // Tensors are held in memory at once.
        let limit = machine::memory().unwrap_or(u64::MAX);
        let bytes =
            machine::read(path, limit).map_err(|source| TensorFileError::Read { path: path.to_owned(), source })?;
        // A safetensors file begins with the length of a JSON object, eight bytes.
        if bytes.get(8) == Some(&b'{') {
            return Self::safetensors(path, &bytes);
        }
        if let Some((what, way)) = mistaken::identify(&bytes) {
            return Err(TensorFileError::Mistaken { path: path.to_owned(), what, way });
        }
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            return Self::safetensors(path, &bytes);
        }
        let of_numpy =
            if bytes.starts_with(numpy::MAGIC) { Some(numpy::single(&bytes)) } else { numpy::archive(&bytes) };
        let tensors = match of_numpy {
            Some(read) => read.map_err(|reason| TensorFileError::Numpy { path: path.to_owned(), reason })?,
            None => torch::read(&bytes).map_err(|source| TensorFileError::Pytorch { path: path.to_owned(), source })?,
        };
        Ok(Self::of(path, tensors))
    }

    /// Tensors that are in memory, as a file that would hold them; `path` is what complaints call
    /// it.
    pub fn of(path: &Path, tensors: impl IntoIterator<Item = (String, StoredTensor)>) -> Self {
        Self { path: path.to_owned(), metadata: BTreeMap::new(), tensors: tensors.into_iter().collect() }
    }

    /// Reads the bytes of a safetensors file; `path` is what complaints call it.
    ///
    /// # Errors
    /// Where they are none, or have tensors of no type that is known here.
    pub fn safetensors(path: &Path, bytes: &[u8]) -> Result<Self, TensorFileError> {
        let unfit = |reason: String| TensorFileError::Safetensors { path: path.to_owned(), reason };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| unfit(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unfit(error.to_string()))?;
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let element = match view.dtype() {
                Dtype::F64 => Element::F64,
                Dtype::F32 => Element::F32,
                Dtype::F16 => Element::F16,
                Dtype::BF16 => Element::BF16,
                Dtype::I64 => Element::I64,
                Dtype::I32 => Element::I32,
                Dtype::I16 => Element::I16,
                Dtype::I8 => Element::I8,
                Dtype::U64 => Element::U64,
                Dtype::U32 => Element::U32,
                Dtype::U16 => Element::U16,
                Dtype::U8 => Element::U8,
                Dtype::BOOL => Element::Bool,
                other => return Err(unfit(format!("tensor `{name}` is {other:?}, a type that is not read here"))),
            };
            let numbers = Numbers::decode(element, view.data());
            tensors.insert(name.to_owned(), StoredTensor { shape: view.shape().to_vec(), numbers });
        }
        Ok(Self { path: path.to_owned(), metadata: metadata.collect(), tensors })
    }

    /// What lies below the dictionary or module `prefix`, named from there.
    ///
    /// # Errors
    /// Where nothing does.
    pub fn below(&self, prefix: &str) -> Result<Self, TensorFileError> {
        let dotted = format!("{}.", prefix.trim_end_matches('.'));
        let tensors: BTreeMap<String, StoredTensor> = self
            .names_below(&dotted)
            .map(|name| (name.to_owned(), self.tensors[&format!("{dotted}{name}")].clone()))
            .collect();
        if tensors.is_empty() {
            let mut firsts: Vec<&str> = self.tensors.keys().filter_map(|name| name.split('.').next()).collect();
            firsts.dedup();
            let firsts = firsts.iter().take(8).map(|first| format!("`{first}`")).collect::<Vec<_>>().join(", ");
            return Err(TensorFileError::Below { path: self.path.clone(), prefix: prefix.to_owned(), firsts });
        }
        Ok(Self { path: self.path.clone(), metadata: self.metadata.clone(), tensors })
    }

    /// The tensor `name`, if the file has it.
    pub fn find(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// Every name with its tensor, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &StoredTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Names below `prefix`, without it.
    pub fn names_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.tensors.range(prefix.to_owned()..);
        from.map_while(move |(name, _)| name.strip_prefix(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{bf16, f16};
    use safetensors::tensor::TensorView;

    fn pytorch(name: &str) -> TensorFile {
        TensorFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(name)).unwrap()
    }

    #[test]
    fn every_type_that_pytorch_saves_is_read() {
        // The archive's first entry is named after the file, and at this length it has once been
        // passed over.
        let file = pytorch("types_at_21_letters_x.pt");
        let numbers = |name: &str| file.find(name).unwrap().numbers.clone();
        assert_eq!(numbers("half"), Numbers::Float(vec![1.5, -0.25, 65504.0]));
        assert_eq!(numbers("bfloat"), Numbers::Float(vec![1.5, -0.25, bf16::from_f32(3e38).to_f32()]));
        assert_eq!(numbers("double"), Numbers::Float(vec![0.1]));
        assert_eq!(numbers("long"), Numbers::Integer(vec![-3, 5]));
        assert_eq!(numbers("flag"), Numbers::Integer(vec![1, 0]));
        // Transposed, and a part of a larger tensor: row-major here.
        assert_eq!(file.find("turned").unwrap().shape, [3, 2]);
        assert_eq!(numbers("turned"), Numbers::Float(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        assert_eq!(numbers("part"), Numbers::Float(vec![4.0, 5.0, 6.0]));
    }

    #[test]
    fn a_checkpoint_of_an_old_pytorch_is_named_by_the_path_into_it() {
        let file = pytorch("checkpoint_of_1_5.pth.tar");
        assert_eq!(file.find("state_dict.module.stem.0.weight").unwrap().shape, [2, 3, 3, 3]);
        assert_eq!(
            file.find("state_dict.module.stem.1.num_batches_tracked").unwrap().numbers,
            Numbers::Integer(vec![0])
        );
        assert_eq!(file.find("x").unwrap().shape, [3, 3, 8, 8]);
        let below: Vec<&str> = file.names_below("optimizer.").collect();
        assert_eq!(below, ["state.0.step"]);
    }

    #[test]
    fn a_safetensors_file_is_known_by_its_content_and_half_precision_is_widened() {
        let folder = tempfile::tempdir().unwrap();
        let halves: Vec<u8> = [0.5_f32, -2.0].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F16, vec![2, 1], &halves).unwrap();
        let bytes = safetensors::serialize([("h", view)], Some([("k".to_owned(), "v".to_owned())].into())).unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, &bytes).unwrap();
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.metadata["k"], "v");
        assert_eq!(
            file.find("h").unwrap(),
            &StoredTensor { shape: vec![2, 1], numbers: Numbers::Float(vec![0.5, -2.0]) }
        );
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = TensorFile::open(&path).err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{length}: {error}");
        }
    }
}
