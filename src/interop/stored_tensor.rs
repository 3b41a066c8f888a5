//! A tensor as a file has it, whatever the kind of file.

use burn::tensor::{bf16, f16};

/// What a file that is one tensor and nothing else calls it.
pub(super) const BARE: &str = "x";

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

/// The type of a tensor's numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
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
    /// Little-endian numbers of one type. Half precision is widened without loss, double precision
    /// rounded.
    pub(super) fn decode(element: Element, bytes: &[u8]) -> Self {
        match element {
            Element::F64 => Self::Float(words(bytes).map(|word| f64::from_le_bytes(word) as f32).collect()),
            Element::F32 => Self::Float(words(bytes).map(f32::from_le_bytes).collect()),
            Element::F16 => Self::Float(words(bytes).map(|word| f16::from_le_bytes(word).to_f32()).collect()),
            Element::BF16 => Self::Float(words(bytes).map(|word| bf16::from_le_bytes(word).to_f32()).collect()),
            Element::I64 => Self::Integer(words(bytes).map(i64::from_le_bytes).collect()),
            Element::I32 => Self::Integer(words(bytes).map(|word| i32::from_le_bytes(word).into()).collect()),
            Element::I16 => Self::Integer(words(bytes).map(|word| i16::from_le_bytes(word).into()).collect()),
            Element::I8 => Self::Integer(words(bytes).map(|word| i8::from_le_bytes(word).into()).collect()),
            // As two's complement: no count comes near.
            Element::U64 => Self::Integer(words(bytes).map(|word| u64::from_le_bytes(word).cast_signed()).collect()),
            Element::U32 => Self::Integer(words(bytes).map(|word| u32::from_le_bytes(word).into()).collect()),
            Element::U16 => Self::Integer(words(bytes).map(|word| u16::from_le_bytes(word).into()).collect()),
            Element::U8 => Self::Integer(bytes.iter().map(|&byte| byte.into()).collect()),
            Element::Bool => Self::Integer(bytes.iter().map(|&byte| (byte != 0).into()).collect()),
        }
    }
}

impl Element {
    /// Bytes of one number.
    pub fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Of PyTorch's class of storages, `FloatStorage`.
    pub fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Of PyTorch's name of a type, `torch.uint16`.
    pub fn of_torch(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("torch.")? {
            "float64" | "double" => Self::F64,
            "float32" | "float" => Self::F32,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::BF16,
            "int64" | "long" => Self::I64,
            "int32" | "int" => Self::I32,
            "int16" | "short" => Self::I16,
            "int8" => Self::I8,
            "uint64" => Self::U64,
            "uint32" => Self::U32,
            "uint16" => Self::U16,
            "uint8" => Self::U8,
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Of NumPy's code, `f4`.
    pub fn of_numpy(code: &str) -> Option<Self> {
        Some(match code {
            "f8" => Self::F64,
            "f4" => Self::F32,
            "f2" => Self::F16,
            "i8" => Self::I64,
            "i4" => Self::I32,
            "i2" => Self::I16,
            "i1" => Self::I8,
            "u8" => Self::U64,
            "u4" => Self::U32,
            "u2" => Self::U16,
            "u1" => Self::U8,
            "b1" => Self::Bool,
            _ => return None,
        })
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
