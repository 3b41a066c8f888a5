//! Why a disk takes no more.

use rustix::fs::{StatVfs, statvfs};
use std::{fmt, path::Path};

/// What has run out on the disk that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Bytes,
    /// Room for bytes is left: the file system has as many files as it can have.
    Files,
}

/// Bytes that may still be written where `path` lies or would lie; `None` where the system does not
/// say.
pub fn free(path: &Path) -> Option<u64> {
    around(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The disk of the nearest folder that is there.
fn around(path: &Path) -> Option<StatVfs> {
    let found = path.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    found.filter_map(|folder| statvfs(folder).ok()).next()
}

/// What has run out where writing at `path` failed for want of space.
pub fn full(path: &Path) -> Full {
    // The file itself is gone or was never there.
    match around(path) {
        Some(disk) if disk.f_files > 0 && disk.f_favail == 0 && disk.f_bavail > 0 => Full::Files,
        _ => Full::Bytes,
    }
}

/// Follows `the disk that holds … `.
impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "is full",
            Self::Files => "has no inodes left: it holds as many files as it can",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_there_is_of_the_disk_of_its_folder() {
        // No test can fill a disk; that of the temporary files has inodes, or the test could not
        // run.
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(full(&folder.path().join("no/such/file")), Full::Bytes);
        assert!(free(&folder.path().join("no/such/file")).is_some_and(|bytes| bytes > 0));
        assert_eq!(Full::Files.to_string(), "has no inodes left: it holds as many files as it can");
    }
}
