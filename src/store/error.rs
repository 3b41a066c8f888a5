//! Why the store could not be read or written. Every message is one sentence that names the path.

use crate::machine::{Full, full};
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space, no inode or no quota left. What was being written is gone; what was published
    /// before stays.
    #[error("the disk that holds `{path}` {full}")]
    DiskFull { path: PathBuf, full: Full },
    #[error("cannot {action} `{path}`, since its file system is read-only")]
    ReadOnly { action: &'static str, path: PathBuf },
    #[error("no permission to {action} `{path}`")]
    Permission { action: &'static str, path: PathBuf },
    #[error("failed to {action} `{path}`")]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The bytes on disk are not those that were written. An object or a record is in `damaged-v1/`
    /// now, so that a rerun makes it anew; what is remembered of a stage stays, and is written
    /// over.
    #[error("`{path}` is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// A record promises this object, and it is not there.
    #[error("`{path}` is missing")]
    Lost { path: PathBuf },
    #[error(
        "`{path}` has format {found}, and this version of darts-run reads formats up to {known}: use the version that \
         wrote it, or another store"
    )]
    LaterFormat { path: PathBuf, found: u32, known: u32 },
}

impl StoreError {
    /// For `map_err`: sorts a failure to `action` (a verb: `write`) at `path` by its cause.
    /// A cause with its own sentence is fully told by it; any other stays as the source.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { full: full(&path), path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Permission { action, path },
            _ => Self::Io { action, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_sentence_with_the_path() {
        let sentence = |kind: io::ErrorKind| StoreError::io("write", "artifacts/tmp/x")(kind.into()).to_string();
        assert_eq!(sentence(io::ErrorKind::StorageFull), "the disk that holds `artifacts/tmp/x` is full");
        assert_eq!(sentence(io::ErrorKind::QuotaExceeded), "the disk that holds `artifacts/tmp/x` is full");
        assert_eq!(
            sentence(io::ErrorKind::ReadOnlyFilesystem),
            "cannot write `artifacts/tmp/x`, since its file system is read-only"
        );
        assert_eq!(sentence(io::ErrorKind::PermissionDenied), "no permission to write `artifacts/tmp/x`");
        assert_eq!(sentence(io::ErrorKind::NotADirectory), "failed to write `artifacts/tmp/x`");
    }
}
