//! The digest of a listing: names and sizes of the files below a folder, for folders that are too
//! large to be hashed.
//!
//! A million files take long to look at even without opening them. What is remembered is therefore
//! under the modification times of the folders alone, of which there are a thousand: adding,
//! removing or renaming a file changes its folder's time. Writing to a file in place does not, and
//! is noticed only when its folder is looked at again for another reason.

use super::{
    Digest, Store,
    files::{SETTLED, UnreadableFile, kept_memo},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, Metadata},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::SystemTime,
};
use walkdir::WalkDir;

/// What is remembered of one folder, under the digest of its absolute path.
#[derive(Serialize, Deserialize)]
struct Memo {
    path: PathBuf,
    /// Each folder below, itself included, by its path relative to it.
    folders: Vec<FolderState>,
    listing: Digest,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FolderState {
    path: PathBuf,
    mtime: i64,
    mtime_nsec: i64,
    inode: u64,
}

impl FolderState {
    fn of(path: PathBuf, meta: &Metadata) -> Self {
        Self { path, mtime: meta.mtime(), mtime_nsec: meta.mtime_nsec(), inode: meta.ino() }
    }
}

impl Store {
    /// The SHA-256 of path and size of each file below `folder`, in the order of their names. Links
    /// are followed. Listed again only when a folder's modification time or inode changed.
    ///
    /// # Errors
    /// The first folder that cannot be read.
    pub fn digest_listing(&self, folder: &Path) -> Result<Digest, UnreadableFile> {
        let absolute =
            std::path::absolute(folder).map_err(|source| UnreadableFile { path: folder.to_owned(), source })?;
        let memo_path =
            self.folder(Self::LISTINGS).join(format!("{}.json", Digest::of(absolute.as_os_str().as_bytes())));
        if let Some(listing) = remembered(&memo_path, &absolute) {
            return Ok(listing);
        }
        let now = SystemTime::now();
        let mut folders = Vec::new();
        let mut settled = true;
        let mut hasher = Sha256::new();
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                // A link that leads nowhere or in a circle is no file. What it leads to may come
                // without its folder changing.
                Err(error) if error.path().is_some_and(Path::is_symlink) => {
                    settled &= error.loop_ancestor().is_some();
                    continue;
                }
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    return Err(UnreadableFile { path, source: error.into() });
                }
            };
            let meta = fs::metadata(entry.path())
                .map_err(|source| UnreadableFile { path: entry.path().to_owned(), source })?;
            let name = entry.path().strip_prefix(folder).expect("a walk stays below its root");
            if meta.is_dir() {
                let age = meta.modified().ok().and_then(|time| now.duration_since(time).ok());
                settled &= age.is_some_and(|age| age > SETTLED);
                folders.push(FolderState::of(name.to_owned(), &meta));
            } else if meta.is_file() {
                hasher.update(name.as_os_str().as_bytes());
                // No name holds the byte 0, so that names and sizes cannot run into one another.
                hasher.update([0]);
                hasher.update(meta.size().to_le_bytes());
            }
        }
        let listing = Digest::from_bytes(hasher.finalize().into());
        if settled {
            self.keep_memo(&memo_path, &Memo { path: absolute, folders, listing });
        }
        Ok(listing)
    }
}

/// What was listed, where every folder is as it was then.
fn remembered(memo: &Path, folder: &Path) -> Option<Digest> {
    let memo: Memo = kept_memo(memo).filter(|memo: &Memo| memo.path == folder)?;
    let is_same = |state: &FolderState| {
        let meta = fs::metadata(folder.join(&state.path));
        meta.is_ok_and(|meta| meta.is_dir() && FolderState::of(state.path.clone(), &meta) == *state)
    };
    memo.folders.iter().all(is_same).then_some(memo.listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, time::Duration};

    /// Two classes of two files, their folders of a settled age.
    fn tree() -> (tempfile::TempDir, Store, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(scratch.path().join("artifacts")).unwrap();
        let data = scratch.path().join("data");
        for file in ["a/1", "a/2", "b/3", "b/4"] {
            fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
            fs::write(data.join(file), file).unwrap();
        }
        age(&data, 5);
        (scratch, store, data)
    }

    fn age(data: &Path, seconds: u64) {
        for folder in [data.to_owned(), data.join("a"), data.join("b")] {
            File::open(folder).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
    }

    #[test]
    fn a_listing_is_names_and_sizes_and_not_contents_or_times() {
        let (_scratch, store, data) = tree();
        let first = store.digest_listing(&data).unwrap();
        fs::write(data.join("a/1"), "xxx").unwrap();
        age(&data, 6);
        assert_eq!(store.digest_listing(&data).unwrap(), first, "another content of the same size");
        fs::write(data.join("a/1"), "longer").unwrap();
        age(&data, 7);
        let longer = store.digest_listing(&data).unwrap();
        assert_ne!(longer, first);
        fs::rename(data.join("a/1"), data.join("b/1")).unwrap();
        age(&data, 8);
        assert_ne!(store.digest_listing(&data).unwrap(), longer);
        // Names and sizes do not run into one another, and an elsewhere is another list.
        assert_ne!(store.digest_listing(&data.join("a")).unwrap(), store.digest_listing(&data.join("b")).unwrap());
    }

    #[test]
    fn files_are_looked_at_again_only_where_a_folder_changed() {
        let (_scratch, store, data) = tree();
        let first = store.digest_listing(&data).unwrap();
        // In place: the folder's time stays, and the memo answers.
        fs::write(data.join("b/3"), "much longer").unwrap();
        assert_eq!(store.digest_listing(&data).unwrap(), first);
        // Touched, as the documentation advises.
        age(&data, 9);
        let changed = store.digest_listing(&data).unwrap();
        assert_ne!(changed, first);
        // A new file is noticed by itself, and one so new is not remembered.
        fs::write(data.join("b/5"), "new").unwrap();
        let grown = store.digest_listing(&data).unwrap();
        assert_ne!(grown, changed);
        fs::write(data.join("b/5"), "newer").unwrap();
        assert_ne!(store.digest_listing(&data).unwrap(), grown);
        fs::remove_file(data.join("b/5")).unwrap();
        assert_eq!(store.digest_listing(&data).unwrap(), changed);
    }

    #[test]
    fn links_that_lead_nowhere_or_in_a_circle_are_no_files() {
        use std::os::unix::fs::symlink;
        let (_scratch, store, data) = tree();
        let first = store.digest_listing(&data).unwrap();
        symlink("me@host.1234", data.join("a/.#1")).unwrap();
        symlink("..", data.join("b/up")).unwrap();
        age(&data, 6);
        assert_eq!(store.digest_listing(&data).unwrap(), first);
        // What the link leads to comes; the folder of the link is as it was.
        fs::write(data.join("a/me@host.1234"), "lock").unwrap();
        age(&data, 6);
        assert_ne!(store.digest_listing(&data).unwrap(), first);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_and_a_damaged_memo_is_none() {
        let (scratch, store, data) = tree();
        let first = store.digest_listing(&data).unwrap();
        let memo = fs::read_dir(store.folder(Store::LISTINGS)).unwrap().next().unwrap().unwrap().path();
        fs::write(memo, "{").unwrap();
        assert_eq!(store.digest_listing(&data).unwrap(), first);
        let missing = scratch.path().join("missing");
        assert_eq!(store.digest_listing(&missing).unwrap_err().path, missing);
    }
}
