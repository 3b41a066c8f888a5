//! The file that a download fills, kept for the next run where it is not finished.

use super::{
    DownloadNews, Watcher,
    archive::{hash_all, hex},
};
use crate::DataError;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often a process asks again for what another one holds.
const POLL: Duration = Duration::from_millis(100);

/// A part of an archive from its first byte on, under the kernel's lock: one process fills it.
/// An empty one is removed when it is dropped.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
}

impl Part {
    /// Takes the file, making it where it is not there, once no other process holds it.
    pub fn open(path: &Path, watcher: &Watcher<'_>) -> Result<Self, DataError> {
        let mut waited = false;
        loop {
            let open = OpenOptions::new().read(true).append(true).create(true).open(path);
            let file = open.map_err(DataError::write(path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut waited, true) {
                        watcher.tell(DownloadNews::Waiting);
                    }
                    watcher.sleep(POLL)?;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(DataError::write(path)(error)),
            }
            // Whoever held it may have removed it: then the lock is on a file without a name, and
            // the next process would lock another one.
            if file.metadata().map_err(DataError::write(path))?.nlink() == 0 {
                continue;
            }
            let mut hash = Sha256::new();
            let length = hash_all(&file, &mut hash).map_err(DataError::read(path))?;
            return Ok(Self { path: path.to_owned(), file, hash, length });
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// SHA-256 of all that is there, in hexadecimal.
    pub fn digest(&self) -> String {
        hex(&self.hash)
    }

    /// Appends what came.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.file.write_all(bytes).map_err(|error| self.cut_back(error))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Throws away what is there.
    pub fn clear(&mut self) -> Result<(), DataError> {
        self.file.set_len(0).map_err(DataError::write(&self.path))?;
        self.hash = Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// A full disk takes a few bytes of what it refuses: they are no part of what was counted.
    fn cut_back(&self, error: io::Error) -> DataError {
        // Where that fails too the digest will tell.
        let _ = self.file.set_len(self.length);
        DataError::write(&self.path)(error)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.length == 0 {
            // Where it cannot be removed an empty file stays, which the next run takes up.
            let _ = fs::remove_file(&self.path);
        }
    }
}
