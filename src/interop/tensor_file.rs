//! Files of named tensors, as safetensors or as PyTorch saves them, read whole.

use burn::tensor::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Named tensors and what the file says of them.
pub struct TensorFile {
    pub path: PathBuf,
    /// A safetensors file's entries of text; a PyTorch file has none.
    pub metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, StoredTensor>,
}

/// A tensor of a file, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// What a tensor holds, whatever its width in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    Float(Vec<f32>),
    Integer(Vec<i64>),
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
    #[error("`{path}` is neither a safetensors file nor one that PyTorch saved: {reason}")]
    Pytorch { path: PathBuf, reason: String },
}

impl TensorFile {
    /// Reads a file of either kind; its first bytes, not its name, tell which. Tensors nested in dictionaries of a PyTorch
    /// file are named by their path, `state_dict.stem.0.weight`.
    ///
    /// # Errors
    /// Where the file cannot be read, or has tensors of no type that is known here.
    pub fn open(path: &Path) -> Result<Self, TensorFileError> {
        let bytes = std::fs::read(path).map_err(|source| TensorFileError::Read { path: path.to_owned(), source })?;
        // A safetensors file begins with the length of a JSON object, eight bytes.
        if path.extension().is_some_and(|extension| extension == "safetensors") || bytes.get(8) == Some(&b'{') {
            return Self::safetensors(path, &bytes);
        }
        drop(bytes);
        Self::pytorch(path)
    }

    /// Tensors that are in memory, as a file that would hold them; `path` is what complaints call it.
    pub fn of(path: &Path, tensors: impl IntoIterator<Item = (String, StoredTensor)>) -> Self {
        Self { path: path.to_owned(), metadata: BTreeMap::new(), tensors: tensors.into_iter().collect() }
    }

    fn safetensors(path: &Path, bytes: &[u8]) -> Result<Self, TensorFileError> {
        let unfit = |reason: String| TensorFileError::Safetensors { path: path.to_owned(), reason };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| unfit(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unfit(error.to_string()))?;
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let element = match view.dtype() {
                Dtype::F64 => DType::F64,
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                Dtype::I64 => DType::I64,
                Dtype::I32 => DType::I32,
                Dtype::I16 => DType::I16,
                Dtype::I8 => DType::I8,
                Dtype::U64 => DType::U64,
                Dtype::U32 => DType::U32,
                Dtype::U16 => DType::U16,
                Dtype::U8 => DType::U8,
                Dtype::BOOL => DType::Bool,
                other => return Err(unfit(format!("tensor `{name}` is {other:?}, a type that is not read here"))),
            };
            let numbers = Numbers::decode(element, view.data());
            tensors.insert(name.to_owned(), StoredTensor { shape: view.shape().to_vec(), numbers });
        }
        Ok(Self { path: path.to_owned(), metadata: metadata.collect(), tensors })
    }

    fn pytorch(path: &Path) -> Result<Self, TensorFileError> {
        let unfit = |reason: String| TensorFileError::Pytorch { path: path.to_owned(), reason };
        let reader = PytorchReader::new(path).map_err(|error| unfit(error.to_string()))?;
        let sorted: BTreeMap<_, _> = reader.into_tensors().into_iter().collect();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in sorted {
            // The reader gives the machine's byte order; all that this program runs on are little-endian, as files are.
            let bytes = tensor.read().map_err(|error| unfit(error.to_string()))?;
            let numbers = Numbers::decode(tensor.dtype(), &bytes);
            tensors.insert(name, StoredTensor { shape: tensor.shape().to_vec(), numbers });
        }
        Ok(Self { path: path.to_owned(), metadata: BTreeMap::new(), tensors })
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

impl StoredTensor {
    /// The numbers, where they are no whole ones.
    pub fn float(&self) -> Option<&[f32]> {
        match &self.numbers {
            Numbers::Float(numbers) => Some(numbers),
            Numbers::Integer(_) => None,
        }
    }
}

impl Numbers {
    /// Little-endian numbers of one type. Half precision is widened without loss, double precision rounded.
    fn decode(element: DType, bytes: &[u8]) -> Self {
        match element {
            DType::F64 => Self::Float(words(bytes).map(|word| f64::from_le_bytes(word) as f32).collect()),
            DType::F32 => Self::Float(words(bytes).map(f32::from_le_bytes).collect()),
            DType::F16 => Self::Float(words(bytes).map(|word| f16::from_le_bytes(word).to_f32()).collect()),
            DType::BF16 => Self::Float(words(bytes).map(|word| bf16::from_le_bytes(word).to_f32()).collect()),
            DType::I64 => Self::Integer(words(bytes).map(i64::from_le_bytes).collect()),
            DType::I32 => Self::Integer(words(bytes).map(|word| i32::from_le_bytes(word).into()).collect()),
            DType::I16 => Self::Integer(words(bytes).map(|word| i16::from_le_bytes(word).into()).collect()),
            DType::I8 => Self::Integer(words(bytes).map(|word| i8::from_le_bytes(word).into()).collect()),
            // As two's complement: no count comes near.
            DType::U64 => Self::Integer(words(bytes).map(|word| u64::from_le_bytes(word).cast_signed()).collect()),
            DType::U32 => Self::Integer(words(bytes).map(|word| u32::from_le_bytes(word).into()).collect()),
            DType::U16 => Self::Integer(words(bytes).map(|word| u16::from_le_bytes(word).into()).collect()),
            DType::U8 | DType::Bool => Self::Integer(bytes.iter().map(|&byte| byte.into()).collect()),
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
