//! The store's folder: where what lies.

use super::{
    Digest, StoreError,
    atomic::{make_folder, write_through},
};
use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What <https://bford.info/cachedir/> asks for, so that backups pass the store by.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder holds results of darts-run that it can make again.\n";

/// Nothing is under way for longer than this between two writes: what is older in `tmp/` was left by a killed process.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A store on disk. Opening it looks at no more than `tmp/`; several processes may use one at once.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store at `root`, making what is missing of it. A complete store is opened without a write,
    /// so that one on a read-only disk still answers.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        for folder in [
            "objects-v1",
            "actions-v1",
            "last-v1",
            "files-v1",
            "listings-v1",
            "locks-v1",
            "work-v1",
            "damaged-v1",
            "tmp",
        ] {
            make_folder(&store.root.join(folder))?;
        }
        let tag = store.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            write_through(&store.tmp(), &tag, |w| w.write_all(CACHEDIR_TAG.as_bytes()))?;
        }
        store.sweep()?;
        Ok(store)
    }

    /// The folder as it was named when it was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an object lies or would lie; says nothing of whether it is there or whole.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("objects-v1").join(&name[..2]).join(&name[2..])
    }

    /// Where the record of `key` lies or would lie.
    pub fn record_path(&self, key: impl Display) -> PathBuf {
        self.root.join("actions-v1").join(format!("{key}.json"))
    }

    /// The folder for checkpoints of `key`, which may not be there yet.
    pub fn work_path(&self, key: impl Display) -> PathBuf {
        self.root.join("work-v1").join(key.to_string())
    }

    /// Makes the folder for checkpoints of `key` and says where it is.
    pub fn make_work(&self, key: impl Display) -> Result<PathBuf, StoreError> {
        let path = self.work_path(key);
        make_folder(&path)?;
        Ok(path)
    }

    /// Removes the checkpoints of `key`, where there are any.
    pub fn remove_work(&self, key: impl Display) -> Result<(), StoreError> {
        let path = self.work_path(key);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Removes what killed processes left in `tmp/`.
    fn sweep(&self) -> Result<(), StoreError> {
        let tmp = self.tmp();
        let now = SystemTime::now();
        for entry in fs::read_dir(&tmp).map_err(StoreError::io("read", &tmp))? {
            let path = entry.map_err(StoreError::io("read", &tmp))?.path();
            let age = fs::metadata(&path).and_then(|meta| meta.modified()).map(|time| now.duration_since(time));
            if matches!(age, Ok(Ok(age)) if age > STALE)
                && let Err(error) = fs::remove_file(&path)
            {
                // Another process may have swept it, or the disk is read-only: rubbish that stays harms nobody.
                tracing::debug!("left `{}`: {error}", path.display());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn opening_makes_the_layout_and_sweeps_only_what_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/artifacts");
        let store = Store::open(&root).unwrap();
        assert!(fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f597d28d17278"));
        let (old, young) = (store.tmp().join("old"), store.tmp().join("young"));
        fs::write(&young, "").unwrap();
        File::create(&old).unwrap().set_modified(SystemTime::now() - 2 * STALE).unwrap();
        Store::open(&root).unwrap();
        assert!(young.exists() && !old.exists());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifacts");
        fs::write(&path, "").unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn work_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.remove_work("k").unwrap();
        fs::write(store.make_work("k").unwrap().join("checkpoint"), "x").unwrap();
        assert_eq!(store.make_work("k").unwrap(), store.work_path("k"));
        store.remove_work("k").unwrap();
        assert!(!store.work_path("k").exists());
    }
}
