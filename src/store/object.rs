//! Objects: bytes under their digest, published whole or not at all, and checked before they are believed.
//!
//! A published object gets a modification time that nothing else has ([`STAMP`]). An object of the right size that
//! still bears it has not been written to since, so that checking it costs one look at its metadata; any other is
//! hashed again. Unlike a list of remembered times this notices a write within the clock tick of the publishing.

use super::{
    Digest, Store, StoreError,
    atomic::{make_folder, persist, temporary},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, Metadata},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::NamedTempFile;

/// 2001-09-09 01:46:40 UTC: a whole number of seconds, which every file system can hold.
const STAMP: Duration = Duration::from_secs(1_000_000_000);

/// The name and size of some published bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ObjectRef {
    pub digest: Digest,
    pub bytes: u64,
}

/// Bytes on their way into the store. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Store,
    file: BufWriter<NamedTempFile>,
    hasher: Sha256,
    bytes: u64,
}

impl Store {
    /// Starts an object.
    pub fn object(&self) -> Result<ObjectWriter, StoreError> {
        let tmp = self.tmp();
        let file = temporary(&tmp, 0o444).map_err(StoreError::io("write in", &tmp))?;
        Ok(ObjectWriter {
            store: self.clone(),
            file: BufWriter::with_capacity(1 << 16, file),
            hasher: Sha256::new(),
            bytes: 0,
        })
    }

    /// The path of an object after making sure that it is there and whole.
    ///
    /// A damaged object is moved to `damaged-v1/`, so that it is missing from then on and a rerun makes it anew.
    pub fn verify(&self, object: &ObjectRef) -> Result<PathBuf, StoreError> {
        let path = self.object_path(&object.digest);
        let meta = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::Lost { path }),
            other => other.map_err(StoreError::io("read", &path))?,
        };
        if is_untouched(&meta, object.bytes) {
            return Ok(path);
        }
        let found = hash_file(&path).map_err(StoreError::io("read", &path))?;
        if found == object.digest {
            // Touched and yet whole, for example a store that was copied. Where the stamp cannot be set, on a
            // read-only disk, the object is only hashed again the next time.
            if let Err(error) = File::open(&path).and_then(|file| stamp(&file)) {
                tracing::debug!("cannot set the time of `{}`: {error}", path.display());
            }
            return Ok(path);
        }
        let aside = self.folder("damaged-v1").join(object.digest.to_string());
        fs::rename(&path, aside).map_err(StoreError::io("move away the damaged object", &path))?;
        Err(StoreError::Damaged { path, expected: object.digest, found })
    }
}

impl ObjectWriter {
    /// Publishes what was written: fsync, rename, fsync the folder. Content that is there already is not written again.
    pub fn finish(self) -> Result<ObjectRef, StoreError> {
        let Self { store, file, hasher, bytes } = self;
        let object = ObjectRef { digest: Digest::from_bytes(hasher.finalize().into()), bytes };
        let path = store.object_path(&object.digest);
        let file = file.into_inner().map_err(|error| StoreError::io("write", &path)(error.into_error()))?;
        if fs::metadata(&path).is_ok_and(|meta| is_untouched(&meta, bytes)) {
            return Ok(object);
        }
        stamp(file.as_file()).map_err(StoreError::io("write", &path))?;
        make_folder(path.parent().expect("an object lies in a folder"))?;
        persist(file, &path)?;
        Ok(object)
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The digest of a file's content.
pub(super) fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_untouched(meta: &Metadata, bytes: u64) -> bool {
    let stamped = || meta.modified().is_ok_and(|time| time == SystemTime::UNIX_EPOCH + STAMP);
    meta.is_file() && meta.len() == bytes && stamped()
}

fn stamp(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::UNIX_EPOCH + STAMP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn files_in_tmp(store: &Store) -> usize {
        fs::read_dir(store.tmp()).unwrap().count()
    }

    fn overwrite(path: &Path, bytes: &[u8]) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn put(store: &Store, bytes: &[u8]) -> Result<ObjectRef, StoreError> {
        let mut writer = store.object()?;
        writer.write_all(bytes).map_err(StoreError::io("write in", store.tmp()))?;
        writer.finish()
    }

    #[test]
    fn what_is_written_in_pieces_lies_under_its_hash_read_only_and_once() {
        let (_folder, store) = store();
        let mut writer = store.object().unwrap();
        writer.write_all(b"hello ").unwrap();
        writer.write_all(b"world").unwrap();
        let object = writer.finish().unwrap();
        assert_eq!(object, ObjectRef { digest: Digest::of(b"hello world"), bytes: 11 });
        let path = store.verify(&object).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello world");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o222, 0);
        let inode = fs::metadata(&path).unwrap().ino();
        assert_eq!(put(&store, b"hello world").unwrap(), object);
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "written a second time");
        assert_eq!(files_in_tmp(&store), 0);
    }

    #[test]
    fn a_writer_dropped_unfinished_leaves_nothing() {
        let (_folder, store) = store();
        let mut writer = store.object().unwrap();
        writer.write_all(&[7; 200_000]).unwrap();
        assert_eq!(files_in_tmp(&store), 1);
        drop(writer);
        assert_eq!(files_in_tmp(&store), 0);
        assert_eq!(fs::read_dir(store.folder("objects-v1")).unwrap().count(), 0);
    }

    #[test]
    fn a_flipped_byte_is_found_and_moved_away_and_a_rewrite_heals() {
        let (_folder, store) = store();
        let object = put(&store, b"genotype").unwrap();
        let path = store.verify(&object).unwrap();
        overwrite(&path, b"genotypf");
        let error = store.verify(&object).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { found, .. } if *found == Digest::of(b"genotypf")));
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert!(matches!(store.verify(&object), Err(StoreError::Lost { .. })));
        put(&store, b"genotype").unwrap();
        store.verify(&object).unwrap();
    }

    #[test]
    fn a_damaged_object_that_nobody_looked_at_is_healed_by_publishing_the_content_again() {
        let (_folder, store) = store();
        let object = put(&store, b"genotype").unwrap();
        overwrite(&store.object_path(&object.digest), b"geno");
        put(&store, b"genotype").unwrap();
        assert_eq!(fs::read(store.verify(&object).unwrap()).unwrap(), b"genotype");
    }

    #[test]
    fn a_touched_but_whole_object_is_believed_after_hashing_and_stamped_again() {
        let (_folder, store) = store();
        let object = put(&store, b"weights").unwrap();
        let path = store.object_path(&object.digest);
        File::open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        store.verify(&object).unwrap();
        assert!(is_untouched(&fs::metadata(&path).unwrap(), 7));
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_fails_with_the_path_and_publishes_nothing() {
        let (_folder, store) = store();
        let path = store.object_path(&Digest::of(b"x"));
        fs::write(path.parent().unwrap(), "in the way").unwrap();
        let error = put(&store, b"x").unwrap_err();
        assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");
        assert_eq!(files_in_tmp(&store), 0);
    }
}
