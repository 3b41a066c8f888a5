//! ZIP archives, as PyTorch and NumPy keep tensors in.

use std::io::{self, Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// An archive in memory.
pub(super) struct Archive<'a> {
    entries: ZipArchive<Cursor<&'a [u8]>>,
    pub names: Vec<String>,
    /// Bytes that its entries may still unpack to.
    left: usize,
}

/// An archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("its archive is damaged: {0}")]
    Archive(#[from] ZipError),
    #[error("its archive is damaged: {0}")]
    Entry(#[from] io::Error),
    #[error("its archive unpacks to more than {MOST_TIMES} times its size")]
    Large,
}

/// Weights can hardly be packed; what can be to so small a part of itself is made to fill memory.
pub(super) const MOST_TIMES: usize = 64;

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let entries = ZipArchive::new(Cursor::new(bytes))?;
        let names = entries.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<_, ZipError>>()?;
        Ok(Self { entries, names, left: bytes.len().saturating_mul(MOST_TIMES) })
    }

    /// What the entry `name` holds.
    pub fn entry(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let mut held = Vec::new();
        self.entries.by_name(name)?.take(self.left as u64 + 1).read_to_end(&mut held)?;
        self.left = self.left.checked_sub(held.len()).ok_or(ArchiveError::Large)?;
        Ok(held)
    }
}
