//! A file that a command writes where the user asked for it.

use super::{Complaint, ExitClass};
use crate::store::write_atomically;
use std::path::Path;

/// Whether there is a folder to write in: said before anything is computed.
pub(super) fn check(path: &Path) -> Result<(), Complaint> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            let message = format!("there is no folder `{}` to write `{}` in", folder.display(), path.display());
            Err(Complaint::input(message).hint("make it, or name another place with `--output`"))
        }
        _ if path.is_dir() => Err(Complaint::input(format!("`{}` is a folder", path.display()))
            .hint("name the file to write with `--output`")),
        _ => Ok(()),
    }
}

/// Writes the file whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Complaint> {
    write_atomically(path, |writer| writer.write_all(bytes))
        .map_err(|error| Complaint::caused(ExitClass::Failed, &error))
}
