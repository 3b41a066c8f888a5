//! Digests of files outside the store, remembered so that a large input is hashed once.

use super::{
    Digest, Store,
    atomic::make_folder,
    object::hash_file,
    seal::{self, is_sealed, sealed},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use walkdir::WalkDir;

/// A file this young could be written to again within one tick of its clock: its digest is not
/// remembered.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// A file that a stage reads, and that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read `{path}`")]
pub struct UnreadableFile {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// What is remembered of one path, under the digest of its absolute form.
#[derive(Serialize, Deserialize)]
struct Memo {
    path: PathBuf,
    /// The digest of names, sizes, modification times and inodes.
    listing: Digest,
    content: Digest,
}

/// One file below the path that was asked for.
struct Found {
    path: PathBuf,
    /// Relative to the path that was asked for, empty for that path itself.
    name: PathBuf,
    meta: Metadata,
}

impl Store {
    /// The digest of what `path` holds: of a file its SHA-256; of a folder the SHA-256 of a line
    /// for each file below it, by relative path. Links are followed. Hashed again only when a name,
    /// size, mtime or inode changed.
    ///
    /// # Errors
    /// The first file or folder that cannot be read.
    pub fn digest_path(&self, path: &Path) -> Result<Digest, UnreadableFile> {
        let unreadable = |source| UnreadableFile { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let files = list(path)?;
        let listing = listing(&files);
        let memo_path = self.memo_path(&absolute);
        if let Some(memo) = kept_memo::<Memo>(&memo_path)
            && memo.path == absolute
            && memo.listing == listing
        {
            return Ok(memo.content);
        }
        let content = content(&files)?;
        if is_settled(&files) {
            self.keep_memo(&memo_path, &Memo { path: absolute, listing, content });
        }
        Ok(content)
    }

    fn memo_path(&self, absolute: &Path) -> PathBuf {
        self.folder(Self::FILES).join(format!("{}.json", Digest::of(absolute.as_os_str().as_bytes())))
    }

    /// Keeps a memo. Only speed is lost where it cannot be kept; a store that cannot be written
    /// complains where a result is lost.
    pub(super) fn keep_memo(&self, path: &Path, memo: &impl Serialize) {
        let made = path.parent().map_or(Ok(()), make_folder);
        if let Err(error) = made.and_then(|()| self.write_file(path, |w| w.write_all(&sealed(memo)?))) {
            tracing::debug!("{error}");
        }
    }
}

/// A memo that was kept. A damaged one is as good as none: another is kept in its place.
pub(super) fn kept_memo<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let file = seal::read(path).ok()??;
    is_sealed(&file).then(|| serde_json::from_slice(&file).ok())?
}

/// The file, or all files below the folder in order of their relative paths.
fn list(root: &Path) -> Result<Vec<Found>, UnreadableFile> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root).follow_links(true) {
        let entry = entry
            .map_err(|error| UnreadableFile { path: error.path().unwrap_or(root).to_owned(), source: error.into() })?;
        let path = entry.path().to_owned();
        let meta = fs::metadata(&path).map_err(|source| UnreadableFile { path: path.clone(), source })?;
        if meta.is_file() {
            let name = path.strip_prefix(root).expect("a walk stays below its root").to_owned();
            files.push(Found { path, name, meta });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn listing(files: &[Found]) -> Digest {
    let mut hasher = Sha256::new();
    for Found { name, meta, .. } in files {
        hasher.update(name.as_os_str().as_bytes());
        // No name holds the byte 0, so that names and figures cannot run into one another.
        hasher.update([0]);
        hasher.update(meta.size().to_le_bytes());
        hasher.update(meta.mtime().to_le_bytes());
        hasher.update(meta.mtime_nsec().to_le_bytes());
        hasher.update(meta.ino().to_le_bytes());
    }
    Digest::from_bytes(hasher.finalize().into())
}

fn content(files: &[Found]) -> Result<Digest, UnreadableFile> {
    let digests: Vec<Digest> = files
        .par_iter()
        .map(|file| hash_file(&file.path).map_err(|source| UnreadableFile { path: file.path.clone(), source }))
        .collect::<Result<_, _>>()?;
    if let [file] = files
        && file.name.as_os_str().is_empty()
    {
        return Ok(digests[0]);
    }
    let mut hasher = Sha256::new();
    for (file, digest) in files.iter().zip(&digests) {
        hasher.update(digest.to_string());
        hasher.update("  ");
        hasher.update(file.name.as_os_str().as_bytes());
        hasher.update([0]);
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn is_settled(files: &[Found]) -> bool {
    let now = SystemTime::now();
    files
        .iter()
        .all(|file| file.meta.modified().is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age > SETTLED)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use std::fs::File;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("artifacts")).unwrap();
        (folder, store)
    }

    fn write(path: &Path, text: &str, seconds: u64) {
        fs::write(path, text).unwrap();
        File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_file_is_its_hash_and_is_not_read_again_until_its_metadata_change() {
        let (folder, store) = store();
        let path = folder.path().join("data.bin");
        write(&path, "one", 5);
        assert_eq!(store.digest_path(&path).unwrap(), Digest::of(b"one"));
        // Same size, same time, same inode: the memo answers, which shows that the file was not
        // read.
        write(&path, "two", 5);
        assert_eq!(store.digest_path(&path).unwrap(), Digest::of(b"one"));
        write(&path, "two", 6);
        assert_eq!(store.digest_path(&path).unwrap(), Digest::of(b"two"));
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let (folder, store) = store();
        let path = folder.path().join("data.bin");
        fs::write(&path, "one").unwrap();
        store.digest_path(&path).unwrap();
        assert!(!store.folder(Store::FILES).exists());
    }

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let (folder, store) = store();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("sub")).unwrap();
        write(&data.join("a"), "1", 5);
        write(&data.join("sub/b"), "2", 5);
        let first = store.digest_path(&data).unwrap();
        assert_eq!(store.digest_path(&data).unwrap(), first);

        fs::rename(data.join("sub/b"), data.join("sub/c")).unwrap();
        let renamed = store.digest_path(&data).unwrap();
        assert_ne!(renamed, first);

        write(&data.join("a"), "3", 7);
        assert_ne!(store.digest_path(&data).unwrap(), renamed);

        write(&data.join("a"), "1", 9);
        fs::rename(data.join("sub/c"), data.join("sub/b")).unwrap();
        assert_eq!(store.digest_path(&data).unwrap(), first, "the same content has the same digest");
    }

    #[test]
    fn a_folder_with_one_file_is_not_that_file_and_a_missing_path_is_named() {
        let (folder, store) = store();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        write(&data.join("a"), "1", 5);
        assert_ne!(store.digest_path(&data).unwrap(), store.digest_path(&data.join("a")).unwrap());
        let missing = data.join("b");
        let error = store.digest_path(&missing).unwrap_err();
        assert_eq!(error.path, missing);
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_damaged_memo_is_no_memo() {
        let (folder, store) = store();
        let path = folder.path().join("data.bin");
        write(&path, "one", 5);
        store.digest_path(&path).unwrap();
        let memo = fs::read_dir(store.folder(Store::FILES)).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&memo).unwrap();
        fs::write(&memo, "{").unwrap();
        assert_eq!(store.digest_path(&path).unwrap(), Digest::of(b"one"));
        assert_eq!(fs::read(&memo).unwrap(), whole, "kept anew");
        let text = String::from_utf8(whole).unwrap();
        let [one, two] = [b"one", b"two"].map(|bytes| Digest::of(bytes).to_string());
        fs::write(&memo, edited(&text, &[(&one, &two)])).unwrap();
        assert_eq!(store.digest_path(&path).unwrap(), Digest::of(b"one"), "a changed digit is not believed");
    }
}
