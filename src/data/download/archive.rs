//! What is fetched: an archive by its address and digest.

use crate::DataError;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The archive that a data set is published in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Official {
    pub url: &'static str,
    /// In hexadecimal.
    pub sha256: &'static str,
    pub bytes: u64,
}

/// An archive to fetch: the published one, or a mirror's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The published file's name, whatever a mirror calls it.
    name: &'static str,
    url: String,
    sha256: String,
    /// Of another archive than the published one the size is not known beforehand.
    bytes: Option<u64>,
}

impl Archive {
    pub(crate) fn official(official: &Official) -> Self {
        Self {
            name: official.url.rsplit('/').next().unwrap_or(official.url),
            url: official.url.to_owned(),
            sha256: official.sha256.to_owned(),
            bytes: Some(official.bytes),
        }
    }

    /// The same bytes from elsewhere.
    #[must_use]
    pub fn at(self, url: String) -> Self {
        Self { url, ..self }
    }

    /// Other bytes with the data set's files in them, by their SHA-256 in hexadecimal.
    #[must_use]
    pub fn with_sha256(self, sha256: &str) -> Self {
        Self { sha256: sha256.to_lowercase(), bytes: None, ..self }
    }

    pub(super) fn file_name(&self) -> &'static str {
        self.name
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// # Errors
    /// [`DataError::WrongArchive`] where the file is another one.
    pub(super) fn check(&self, path: &Path) -> Result<(), DataError> {
        let mut hash = Sha256::new();
        File::open(path).and_then(|file| hash_all(file, &mut hash)).map_err(DataError::read(path))?;
        let found = hex(&hash);
        if found == self.sha256 {
            return Ok(());
        }
        Err(DataError::WrongArchive {
            path: path.to_owned(),
            url: self.url.clone(),
            expected: self.sha256.clone(),
            found,
        })
    }
}

/// Feeds all of `from` and says how many bytes that was.
pub(super) fn hash_all(mut from: impl Read, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of what was fed so far.
pub(super) fn hex(hash: &Sha256) -> String {
    hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
