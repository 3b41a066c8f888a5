//! A report outside the store's objects, under names that a person can open.

use crate::store::{Record, Store, StoreError, file_name, write_atomically};
use std::path::{Path, PathBuf};

/// Puts the files of a report stage into `STORE/reports/PIPELINE/MEMBER/`, with `times.txt` beside
/// them, and returns that folder. Two names never share a folder. A file that is there already with
/// the same bytes is left alone.
///
/// # Errors
/// Where the store cannot be read, or the folder cannot be written.
pub fn export_report(
    store: &Store,
    pipeline: &str,
    member: &str,
    record: &Record,
    times: &str,
) -> Result<PathBuf, StoreError> {
    let folder = store.root().join("reports").join(file_name(pipeline)).join(file_name(member));
    for (name, object) in &record.outputs {
        put(&folder, name, &store.bytes(object)?)?;
    }
    put(&folder, "times.txt", times.as_bytes())?;
    Ok(folder)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let to = folder.join(name);
    if std::fs::read(&to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    write_atomically(&to, |writer| writer.write_all(bytes))
}
