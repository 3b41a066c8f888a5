//! Who works on a key, and who on the whole store: the kernel's locks on files, which no crash can
//! leave behind.

use super::{Store, StoreError, atomic::make_folder};
use crate::machine;
use std::{
    fmt::Display,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The right to work on one key. Ends when dropped, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The right to work in a store beside others who do, or alone. Ends when dropped, or with the
/// process.
#[derive(Debug)]
pub struct Hold {
    /// Absent where the store cannot be written to: then nobody can remove anything either.
    _file: Option<File>,
}

impl Store {
    /// Says that a run works in the store, so that nobody removes what it has not yet named in a
    /// record. Waits while somebody is [alone](Self::try_alone) with it.
    ///
    /// # Errors
    /// Where the lock cannot be made or taken.
    pub fn hold(&self) -> Result<Hold, StoreError> {
        match self.store_lock() {
            Err(StoreError::ReadOnly { .. } | StoreError::Permission { .. }) => Ok(Hold { _file: None }),
            Err(error) => Err(error),
            Ok((file, path)) => {
                file.lock_shared().map_err(StoreError::io("lock", path))?;
                Ok(Hold { _file: Some(file) })
            }
        }
    }

    /// The right to be alone with the store; `None` while a run holds it.
    ///
    /// # Errors
    /// Where the lock cannot be made or taken.
    pub fn try_alone(&self) -> Result<Option<Hold>, StoreError> {
        let (file, path) = self.store_lock()?;
        Self::try_alone_by(file, path)
    }

    /// As [`try_alone`](Self::try_alone), for who only looks: makes nothing, and needs no right to
    /// write.
    ///
    /// # Errors
    /// Where the lock cannot be read.
    pub fn try_alone_to_look(&self) -> Result<Option<Hold>, StoreError> {
        let path = self.lock_path("store");
        match machine::open(&path).map_err(StoreError::io("lock", &path)) {
            Ok(file) => Self::try_alone_by(file, path),
            // Whoever runs makes it.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Some(Hold { _file: None }))
            }
            Err(error) => Err(error),
        }
    }

    fn try_alone_by(file: File, path: PathBuf) -> Result<Option<Hold>, StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Hold { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }

    fn store_lock(&self) -> Result<(File, PathBuf), StoreError> {
        let path = self.lock_path("store");
        Ok((open(&path)?, path))
    }

    /// Takes the lock of `key`, or says `None` at once while another process or thread holds it.
    ///
    /// There is no waiting form: a wait in the kernel could not be ended by a signal, so whoever
    /// waits asks again.
    ///
    /// # Errors
    /// Where the lock cannot be made or taken.
    pub fn try_lock(&self, key: impl Display) -> Result<Option<Lock>, StoreError> {
        // The empty file stays: removing it could let two processes hold locks on two files of one
        // name.
        let path = self.lock_path(key);
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }

    /// Whether a process is at work on `key`, for who only looks: makes nothing.
    pub fn is_locked(&self, key: impl Display) -> bool {
        let file = machine::open(&self.lock_path(key));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn lock_path(&self, of: impl Display) -> PathBuf {
        self.folder(Self::LOCKS).join(format!("{of}.lock"))
    }
}

/// Opens the file of a lock, and makes it where there is none. So is its folder: it may have been
/// left out of a copy, as it holds nothing, or have been removed under a run.
fn open(path: &Path) -> Result<File, StoreError> {
    path.parent().map_or(Ok(()), make_folder)?;
    // What is no file is refused before it is opened: a pipe would keep whoever opens it.
    let looked = match path.exists() {
        true => machine::open(path).map(drop),
        false => Ok(()),
    };
    let opened = looked.and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(path));
    opened.map_err(StoreError::io("lock", path))
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
        assert!(store.is_locked("k") && !store.is_locked("other"));
        assert!(store.try_lock("other").unwrap().is_some());
        drop(held);
        assert!(store.try_lock("k").unwrap().is_some());
    }

    #[test]
    fn a_store_without_the_folder_of_locks_is_locked_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for _ in 0..2 {
            std::fs::remove_dir_all(store.folder(Store::LOCKS)).unwrap();
            let held = store.hold().unwrap();
            assert!(store.try_alone().unwrap().is_none() && store.try_lock("k").unwrap().is_some());
            drop(held);
        }
        std::fs::remove_dir_all(store.folder(Store::LOCKS)).unwrap();
        assert!(store.try_alone_to_look().unwrap().is_some());
        assert!(!store.folder(Store::LOCKS).exists(), "who only looks makes nothing");
    }

    #[test]
    fn a_pipe_in_a_locks_place_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for of in ["store", "k"] {
            assert!(std::process::Command::new("mkfifo").arg(store.lock_path(of)).status().unwrap().success());
        }
        for refused in [store.hold().err(), store.try_lock("k").err(), store.try_alone_to_look().err()] {
            assert!(matches!(refused, Some(StoreError::Io { .. })), "{refused:?}");
        }
    }
}
