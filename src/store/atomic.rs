//! Writing a file so that a crash at any moment leaves the old one or the new one, never a part.

use super::StoreError;
use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use tempfile::{Builder, NamedTempFile};

/// Prefix of files being written, beside their target or in the store's `tmp-v2/`.
const PREFIX: &str = ".writing-";

/// Writes `path` through a temporary file in the same folder, which must exist: write, fsync,
/// rename, fsync the folder.
///
/// On an error nothing of the new content is left and a file that was there before is as it was.
///
/// # Errors
/// Where `write` or a step after it fails.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), StoreError> {
    let file = temporary(folder_of(path), 0o666).map_err(StoreError::io("write", path))?;
    persist(filled(file, path, write)?, path)
}

/// What `write` writes, to be published as `path`.
pub(super) fn filled(
    file: NamedTempFile,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<NamedTempFile, StoreError> {
    let mut writer = BufWriter::new(file);
    write(&mut writer).and_then(|()| writer.flush()).map_err(StoreError::io("write", path))?;
    writer.into_inner().map_err(|error| StoreError::io("write", path)(error.into_error()))
}

/// A temporary file in `folder` that removes itself; `mode` is what the umask is taken from.
pub(super) fn temporary(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(folder)
}

/// The last half of publishing: fsync, rename, fsync the folder, without which a crash could forget
/// the name.
pub(super) fn persist(file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
    file.as_file().sync_all().map_err(StoreError::io("write", path))?;
    file.persist(path).map_err(|error| StoreError::io("write", path)(error.error))?;
    sync_parent(path)
}

/// Makes sure that a crash does not forget the name `path`.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    match File::open(folder) {
        // One may be allowed to make files where one may not list them; nothing can be synced then.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened.and_then(|folder| folder.sync_all()).map_err(StoreError::io("write", folder)),
    }
}

/// What a path lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the folder and those above it; where it is there already, one look and no write.
///
/// Each is synced into the one above it: what lies in a folder is as lost as its name.
pub(super) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut made = fs::create_dir(path);
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        make_folder(folder_of(path))?;
        made = fs::create_dir(path);
    }
    match made {
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(StoreError::io("create the folder", path))?,
    }
    sync_parent(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |w| {
            w.write_all(&[1; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { path: of, .. } if of == path));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomically(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
