//! Who works on a key: the kernel's lock on a file, which no crash can leave behind.

use super::{Store, StoreError};
use std::{
    fmt::Display,
    fs::{File, OpenOptions, TryLockError},
};

/// The right to work on one key. Ends when dropped, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// Takes the lock of `key`, or says `None` at once while another process or thread holds it.
    ///
    /// There is no waiting form: a wait in the kernel could not be ended by a signal, so whoever waits asks again.
    pub fn try_lock(&self, key: impl Display) -> Result<Option<Lock>, StoreError> {
        // The empty file stays: removing it could let two processes hold locks on two files of one name.
        let path = self.folder("locks-v1").join(format!("{key}.lock"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_its_end_frees_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let held = store.try_lock("k").unwrap().unwrap();
        assert!(store.try_lock("k").unwrap().is_none());
        assert!(store.try_lock("other").unwrap().is_some());
        drop(held);
        assert!(store.try_lock("k").unwrap().is_some());
    }
}
