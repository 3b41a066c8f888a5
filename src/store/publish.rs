//! Writing the store's own files.

use super::{
    Store, StoreError,
    atomic::{filled, make_folder, persist, temporary},
};
use std::{
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};
use tempfile::NamedTempFile;

impl Store {
    /// As [`write_atomically`](super::write_atomically), with the temporary file in the store's own
    /// folder for such files.
    pub(super) fn write_file(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.publish(filled(self.temporary(0o666)?, path, write)?, path)
    }

    /// Publishes a file of the store. A folder in its place, which no file replaces, is moved away.
    pub(super) fn publish(&self, file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
        if path.is_dir() {
            self.move_aside(path)?;
        }
        persist(file, path)
    }

    /// A temporary file that removes itself. It is locked for as long as it is open: so a sweep
    /// tells it from what a killed process left, whatever the times of files and the numbers of
    /// processes say.
    pub(super) fn temporary(&self, mode: u32) -> Result<NamedTempFile, StoreError> {
        let tmp = self.tmp();
        make_folder(&tmp)?;
        loop {
            let file = temporary(&tmp, mode).map_err(StoreError::io("write in", &tmp))?;
            let locked = file.as_file().lock().and_then(|()| file.as_file().metadata());
            // A sweep may come between the making of the file and its lock: then it has no name any
            // more.
            if locked.map_err(StoreError::io("lock a file in", &tmp))?.nlink() > 0 {
                return Ok(file);
            }
        }
    }
}
