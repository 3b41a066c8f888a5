//! What lies below a folder of the store.

use super::StoreError;
use std::{
    io,
    path::{Path, PathBuf},
};
use walkdir::{DirEntry, WalkDir};

/// All files at or below `path`, in order.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = walk(path, WalkDir::new(path))?.into_iter();
    Ok(entries.filter(|entry| !entry.file_type().is_dir()).map(DirEntry::into_path).collect())
}

/// What lies in a folder itself, in order.
pub(super) fn entries(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = walk(path, WalkDir::new(path).min_depth(1).max_depth(1))?;
    Ok(entries.into_iter().map(DirEntry::into_path).collect())
}

/// Without what goes meanwhile: a store that is only looked at may lack a folder, and others may
/// work in it.
fn walk(path: &Path, walk: WalkDir) -> Result<Vec<DirEntry>, StoreError> {
    let is_gone = |error: &walkdir::Error| error.io_error().is_some_and(|io| io.kind() == io::ErrorKind::NotFound);
    let there = walk.sort_by_file_name().into_iter().filter(|entry| !entry.as_ref().is_err_and(is_gone));
    there.collect::<Result<_, _>>().map_err(|error| StoreError::io("read", path)(error.into()))
}
