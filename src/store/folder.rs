//! The store's folder: where what lies.

use super::{Digest, StoreError, atomic::make_folder};
use crate::machine;
use std::{
    fmt::Display,
    fs::{self, File, Metadata, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// What <https://bford.info/cachedir/> asks for, so that backups pass the store by.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder holds results of darts-run that it can make again.\n";

const TAG: &str = "CACHEDIR.TAG";

/// A store on disk. Opening it looks at no more than `tmp-v2/`; several processes may use one at
/// once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    pub(super) const OBJECTS: &str = "objects-v1";
    pub(super) const ACTIONS: &str = "actions-v1";
    pub(super) const LAST: &str = "last-v1";
    pub(super) const FILES: &str = "files-v2";
    pub(super) const LISTINGS: &str = "listings-v2";
    pub(super) const LOCKS: &str = "locks-v1";
    pub(super) const WORK: &str = "work-v1";
    pub(super) const STANDINGS: &str = "standings-v1";
    pub(super) const DAMAGED: &str = "damaged-v1";
    pub(super) const TMP: &str = "tmp-v2";
    /// All that a store has in its root.
    const OWN: [&str; 11] = [
        Self::OBJECTS,
        Self::ACTIONS,
        Self::LAST,
        Self::FILES,
        Self::LISTINGS,
        Self::LOCKS,
        Self::WORK,
        Self::STANDINGS,
        Self::DAMAGED,
        Self::TMP,
        TAG,
    ];

    /// Opens the store at `root` to work in it, making what is missing and sweeping what killed
    /// processes left. A complete store is opened without a write, so that one on a read-only disk
    /// still answers.
    ///
    /// # Errors
    /// Where something is there that is no store, or what is missing cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        // What else there is, is made when it is needed. The last of these says that there is a
        // store.
        for folder in [Self::ACTIONS, Self::LAST, Self::LOCKS, Self::WORK, Self::OBJECTS] {
            make_folder(&store.root.join(folder))?;
        }
        let tag = store.root.join(TAG);
        if machine::read(&tag, CACHEDIR_TAG.len() as u64).map_or(true, |text| text != CACHEDIR_TAG.as_bytes()) {
            store.write_file(&tag, |w| w.write_all(CACHEDIR_TAG.as_bytes()))?;
        }
        store.sweep()?;
        Ok(store)
    }

    /// The store at `root` as it is, for who only looks: nothing is made and nothing swept. `None`
    /// where there is none.
    pub fn existing(root: impl Into<PathBuf>) -> Option<Self> {
        let store = Self { root: root.into() };
        store.folder(Self::OBJECTS).is_dir().then_some(store)
    }

    /// The store whose own files `path` is or would be among; what else lies in its root is none of
    /// its own.
    pub fn around(path: &Path) -> Option<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = folder.canonicalize().ok()?.join(path.file_name()?);
        path.ancestors().skip(1).filter_map(Self::existing).find(|store| {
            let inside = path.strip_prefix(&store.root).ok().and_then(|inside| inside.iter().next());
            inside.is_some_and(|first| Self::OWN.iter().any(|own| first == *own))
        })
    }

    /// The folder as it was named when it was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an object lies or would lie; says nothing of whether it is there or whole.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder(Self::OBJECTS).join(&name[..2]).join(&name[2..])
    }

    /// Where the record of `key` lies or would lie.
    pub fn record_path(&self, key: impl Display) -> PathBuf {
        self.folder(Self::ACTIONS).join(format!("{key}.json"))
    }

    /// The folder for checkpoints of `key`, which may not be there yet.
    pub fn work_path(&self, key: impl Display) -> PathBuf {
        self.folder(Self::WORK).join(key.to_string())
    }

    /// Makes the folder for checkpoints of `key` and says where it is.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_work(&self, key: impl Display) -> Result<PathBuf, StoreError> {
        let path = self.work_path(key);
        make_folder(&path)?;
        Ok(path)
    }

    /// Removes the checkpoints of `key`, where there are any.
    ///
    /// # Errors
    /// Where they cannot be removed.
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
        self.folder(Self::TMP)
    }

    /// Moves a damaged file away, so that it is missing from then on.
    pub(super) fn set_aside(&self, path: &Path, reason: String) -> StoreError {
        match self.move_aside(path) {
            Ok(()) => StoreError::Damaged { path: path.to_owned(), reason },
            Err(error) => error,
        }
    }

    /// Moves what is not as it should be to `damaged-v1/`, under the path that it had and a number
    /// where there is such a path.
    pub(super) fn move_aside(&self, path: &Path) -> Result<(), StoreError> {
        let aside = self.folder(Self::DAMAGED).join(path.strip_prefix(&self.root).unwrap_or(path));
        aside.parent().map_or(Ok(()), make_folder)?;
        let numbered = |number: u32| {
            let mut name = aside.clone().into_os_string();
            name.push(if number > 1 { format!("~{number}") } else { String::new() });
            PathBuf::from(name)
        };
        let free = (1..).map(numbered).find(|name| name.symlink_metadata().is_err()).expect("few are damaged");
        match fs::rename(path, free) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(StoreError::io("move away the damaged file", path)),
        }
    }

    /// Removes what killed processes left in `tmp-v2/`: files that nobody holds locked.
    fn sweep(&self) -> Result<(), StoreError> {
        let tmp = self.tmp();
        let entries = match fs::read_dir(&tmp) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(StoreError::io("read", &tmp))?,
        };
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &tmp))?.path();
            // Another process may have swept it, or the disk is read-only: rubbish that stays harms
            // nobody.
            if let Err(error) = remove_unlocked(&path) {
                tracing::debug!("left `{}`: {error}", path.display());
            }
        }
        Ok(())
    }
}

/// What lies at a path of a store. A link that leads nowhere is itself what lies there, one to a
/// file that is gone not.
pub(super) fn metadata(path: &Path) -> io::Result<Metadata> {
    match fs::metadata(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && path.is_symlink() => fs::symlink_metadata(path),
        other => other,
    }
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    // To open what is no file could wait for ever.
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, time::SystemTime};

    #[test]
    fn opening_makes_the_layout_and_sweeps_what_nobody_writes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/artifacts");
        let store = Store::open(&root).unwrap();
        let tag = root.join("CACHEDIR.TAG");
        assert!(fs::read_to_string(&tag).unwrap().starts_with("Signature: 8a477f597d28d17278"));
        fs::remove_file(&tag).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &tag).unwrap();
        let mut object = store.object().unwrap();
        object.write_all(b"under way").unwrap();
        let written = store.tmp().join(fs::read_dir(store.tmp()).unwrap().next().unwrap().unwrap().file_name());
        // As old as anything can be, and yet somebody's.
        File::open(written).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let left = store.tmp().join("left by a killed process");
        fs::write(&left, "").unwrap();
        Store::open(&root).unwrap();
        assert!(!left.exists());
        assert!(fs::read_to_string(&tag).unwrap().starts_with("Signature: 8a477f597d28d17278"));
        let object = object.finish().unwrap();
        assert_eq!(store.bytes(&object).unwrap(), b"under way");
    }

    #[test]
    fn writers_and_sweepers_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u32 {
                let store = &store;
                scope.spawn(move || {
                    for at in 0..50_u32 {
                        let mut object = store.object().unwrap();
                        object.write_all(&(writer * 1000 + at).to_le_bytes()).unwrap();
                        store.bytes(&object.finish().unwrap()).unwrap();
                    }
                });
                scope.spawn(|| (0..200).for_each(|_| drop(Store::open(folder.path()).unwrap())));
            }
        });
        assert_eq!(fs::read_dir(store.tmp()).unwrap().count(), 0);
    }

    #[test]
    fn looking_makes_nothing_and_sweeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Store::existing(folder.path()), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // Another process is at making it.
        fs::create_dir(folder.path().join("actions-v1")).unwrap();
        assert_eq!(Store::existing(folder.path()), None);
        let store = Store::open(folder.path()).unwrap();
        let left = store.tmp().join("left");
        fs::write(&left, "").unwrap();
        assert_eq!(Store::existing(folder.path()), Some(store));
        assert!(left.exists());
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
    fn what_is_a_stores_own_is_told_from_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("artifacts");
        let store = Store::open(&root).unwrap();
        for own in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
            let path = if own.is_dir() { own.join("x") } else { own };
            assert_eq!(Store::around(&path), Some(store.clone()), "{}", path.display());
        }
        std::os::unix::fs::symlink(root.join("locks-v1"), folder.path().join("link")).unwrap();
        assert_eq!(Store::around(&folder.path().join("link/store.lock")), Some(store));
        for path in ["artifacts/net.onnx", "objects-v1", "net.onnx", "artifacts/no/folder/x"] {
            assert_eq!(Store::around(&folder.path().join(path)), None, "{path}");
        }
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
