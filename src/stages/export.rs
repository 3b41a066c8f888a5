//! A report outside the store's objects, under names that a person can open.

use crate::store::{Record, Store, StoreError, write_atomically};
use std::path::PathBuf;

/// Puts the files of a report stage into `STORE/reports/PIPELINE/MEMBER/` and returns that folder. A file that is
/// there already with the same bytes is left alone.
pub fn export_report(store: &Store, pipeline: &str, member: &str, record: &Record) -> Result<PathBuf, StoreError> {
    let folder = store.root().join("reports").join(safe(pipeline)).join(safe(member));
    for (name, object) in &record.outputs {
        let to = folder.join(name);
        let bytes = store.bytes(object)?;
        if std::fs::read(&to).is_ok_and(|present| present == bytes) {
            continue;
        }
        std::fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        write_atomically(&to, |writer| writer.write_all(&bytes))?;
    }
    Ok(folder)
}

/// A name as a folder's: what could leave the folder or trouble a shell becomes `_`.
fn safe(name: &str) -> String {
    let fit = |c: char| if c.is_alphanumeric() || "-_.=[],".contains(c) { c } else { '_' };
    let name: String = name.chars().map(fit).collect();
    if name.trim_matches('.').is_empty() { "_".to_owned() } else { name }
}
