//! Objects: bytes under their digest, published whole or not at all, and hashed before they are
//! believed.
//!
//! Who reads an object hashes it as it is read. Whether one is there at all is asked far more
//! often, for every output in every run, and is answered by a look at its metadata: a published
//! object gets a modification time that nothing else has ([`STAMP`]), and an object of the right
//! size that still bears it has not been written to since. Any other is hashed. Unlike a list of
//! remembered times this notices a write within the clock tick of the publishing.

use super::{
    Digest, Store, StoreError,
    atomic::{make_folder, sync_parent},
    folder,
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{File, Metadata},
    io::{self, BufWriter, Read, Write},
    path::Path,
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
    ///
    /// # Errors
    /// Where no temporary file can be made.
    pub fn object(&self) -> Result<ObjectWriter, StoreError> {
        let file = self.temporary(0o444)?;
        Ok(ObjectWriter {
            store: self.clone(),
            file: BufWriter::with_capacity(1 << 16, file),
            hasher: Sha256::new(),
            bytes: 0,
        })
    }

    /// Reads an object; what `read` made of it comes back only where its bytes are those that were
    /// published.
    ///
    /// # Errors
    /// Where the object is lost, cannot be read, or is damaged. A damaged one is then in
    /// `damaged-v1/`, so that it is missing from then on and a rerun makes it anew.
    pub fn read<T>(&self, object: &ObjectRef, read: impl FnOnce(&mut dyn Read) -> T) -> Result<T, StoreError> {
        let path = self.object_path(&object.digest);
        if let Some(reason) = flaw_of_size(&metadata(&path)?, object) {
            return Err(self.set_aside(&path, reason));
        }
        let mut reader = Hashing::open(&path).map_err(StoreError::io("read", &path))?;
        let made = read(&mut reader);
        // What `read` did not ask for belongs to the object as well.
        let found = reader.digest().map_err(StoreError::io("read", &path))?;
        if found == object.digest { Ok(made) } else { Err(self.set_aside(&path, flaw_of_bytes(found))) }
    }

    /// All bytes of an object.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn bytes(&self, object: &ObjectRef) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let read = self.read(object, |reader| reader.read_to_end(&mut bytes))?;
        read.map_err(StoreError::io("read", self.object_path(&object.digest)))?;
        Ok(bytes)
    }

    /// Makes sure that an object is there, by its size and its stamp; without the stamp, by its
    /// bytes.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn look_at(&self, object: &ObjectRef) -> Result<(), StoreError> {
        let path = self.object_path(&object.digest);
        let meta = metadata(&path)?;
        if flaw_of_size(&meta, object).is_none() && is_stamped(&meta) {
            return Ok(());
        }
        self.read(object, |_| ())?;
        // Touched and yet whole, for example a store that was copied. Where the stamp cannot be
        // set, on a read-only disk, the object is only hashed again the next time.
        if let Err(error) = File::open(&path).and_then(|file| stamp(&file)) {
            tracing::debug!("cannot set the time of `{}`: {error}", path.display());
        }
        Ok(())
    }
}

impl ObjectWriter {
    /// Publishes what was written: fsync, rename, fsync the folder. Content that is there already
    /// is not written again.
    ///
    /// # Errors
    /// Where it cannot be written or moved to its place.
    pub fn finish(self) -> Result<ObjectRef, StoreError> {
        let Self { store, file, hasher, bytes } = self;
        let object = ObjectRef { digest: Digest::from_bytes(hasher.finalize().into()), bytes };
        let path = store.object_path(&object.digest);
        let file = file.into_inner().map_err(|error| StoreError::io("write", &path)(error.into_error()))?;
        // By its bytes: an object that is damaged and does not look it is replaced.
        if metadata(&path).is_ok_and(|meta| flaw_of_size(&meta, &object).is_none())
            && hash_file(&path).is_ok_and(|found| found == object.digest)
        {
            // Who published it may have been killed before its name was synced.
            sync_parent(&path)?;
            return Ok(object);
        }
        stamp(file.as_file()).map_err(StoreError::io("write", &path))?;
        make_folder(path.parent().expect("an object lies in a folder"))?;
        store.publish(file, &path)?;
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

/// A file that is hashed as it is read.
struct Hashing {
    file: File,
    hasher: Sha256,
}

impl Hashing {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, hasher: Sha256::new() })
    }

    /// Of the whole file: reads what nobody asked for.
    fn digest(mut self) -> io::Result<Digest> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(Digest::from_bytes(self.hasher.finalize().into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The digest of a file's content.
pub(super) fn hash_file(path: &Path) -> io::Result<Digest> {
    Hashing::open(path)?.digest()
}

fn metadata(path: &Path) -> Result<Metadata, StoreError> {
    match folder::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Lost { path: path.to_owned() }),
        other => other.map_err(StoreError::io("read", path)),
    }
}

/// Why what lies there cannot be the object, without opening it: what is no file could keep its
/// reader waiting for ever.
fn flaw_of_size(meta: &Metadata, object: &ObjectRef) -> Option<String> {
    if !meta.is_file() {
        return Some("it is no file".to_owned());
    }
    (meta.len() != object.bytes).then(|| format!("it has {} bytes, not {}", meta.len(), object.bytes))
}

pub(super) fn flaw_of_bytes(found: Digest) -> String {
    format!("its bytes have the digest `{}`, not its name's", found.short())
}

fn is_stamped(meta: &Metadata) -> bool {
    meta.modified().is_ok_and(|time| time == SystemTime::UNIX_EPOCH + STAMP)
}

fn stamp(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::UNIX_EPOCH + STAMP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };
    use walkdir::WalkDir;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn files_in_tmp(store: &Store) -> usize {
        fs::read_dir(store.tmp()).unwrap().count()
    }

    /// As a failing disk does it: size and time stay.
    fn overwrite(path: &Path, bytes: &[u8]) {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
        File::open(path).unwrap().set_modified(time).unwrap();
    }

    fn touch(path: &Path) {
        File::open(path).unwrap().set_modified(SystemTime::now()).unwrap();
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
        store.look_at(&object).unwrap();
        let path = store.object_path(&object.digest);
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
        assert_eq!(fs::read_dir(store.folder(Store::OBJECTS)).unwrap().count(), 0);
    }

    #[test]
    fn a_flipped_byte_is_found_by_who_reads_and_moved_away_and_a_rewrite_heals() {
        let (_folder, store) = store();
        let object = put(&store, b"genotype").unwrap();
        let path = store.object_path(&object.digest);
        overwrite(&path, b"genotypf");
        store.look_at(&object).expect("a look believes size and time");
        let reason = format!("its bytes have the digest `{}`, not its name's", Digest::of(b"genotypf").short());
        // Though no byte was asked for.
        let error = store.read(&object, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is damaged: {reason}", path.display()));
        let aside = store.folder(Store::DAMAGED).join(path.strip_prefix(store.root()).unwrap());
        assert_eq!(fs::read(aside).unwrap(), b"genotypf");
        assert!(matches!(store.look_at(&object), Err(StoreError::Lost { .. })));
        assert!(matches!(store.bytes(&object), Err(StoreError::Lost { .. })));
        put(&store, b"genotype").unwrap();
        assert_eq!(store.bytes(&object).unwrap(), b"genotype");
    }

    #[test]
    fn a_look_finds_another_size_another_time_with_other_bytes_and_what_is_no_file() {
        let (_folder, store) = store();
        type Damage = fn(&Path);
        let damages: [(Damage, &str); 4] = [
            (|path| overwrite(path, b"geno"), "it has 4 bytes, not 8"),
            (
                |path| {
                    overwrite(path, b"genotypf");
                    touch(path);
                },
                "its bytes have the digest `",
            ),
            (
                |path| {
                    fs::remove_file(path).unwrap();
                    fs::create_dir(path).unwrap();
                    fs::write(path.join("inside"), "").unwrap();
                },
                "it is no file",
            ),
            (
                |path| {
                    fs::remove_file(path).unwrap();
                    symlink(path, path).unwrap();
                },
                "it is no file",
            ),
        ];
        for (damage, reason) in damages {
            for is_read in [false, true] {
                let object = put(&store, b"genotype").unwrap();
                damage(&store.object_path(&object.digest));
                let looked = if is_read { store.bytes(&object).map(drop) } else { store.look_at(&object) };
                let error = looked.unwrap_err();
                assert!(
                    matches!(&error, StoreError::Damaged { reason: said, .. } if said.starts_with(reason)),
                    "{error}"
                );
            }
        }
        let aside = WalkDir::new(store.folder(Store::DAMAGED)).min_depth(3).max_depth(3);
        assert_eq!(aside.into_iter().count(), 8, "none took another's place");
    }

    #[test]
    fn a_damaged_object_that_nobody_looked_at_is_healed_by_publishing_the_content_again() {
        let (_folder, store) = store();
        let object = put(&store, b"genotype").unwrap();
        for damaged in [&b"geno"[..], b"genotypf"] {
            overwrite(&store.object_path(&object.digest), damaged);
            put(&store, b"genotype").unwrap();
            assert_eq!(store.bytes(&object).unwrap(), b"genotype");
        }
    }

    #[test]
    fn a_touched_but_whole_object_is_believed_after_hashing_and_stamped_again() {
        let (_folder, store) = store();
        let object = put(&store, b"weights").unwrap();
        let path = store.object_path(&object.digest);
        touch(&path);
        store.look_at(&object).unwrap();
        assert!(is_stamped(&fs::metadata(&path).unwrap()));
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
