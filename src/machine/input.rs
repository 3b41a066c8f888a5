//! Files that a person named, opened for reading.
//!
//! A path can name anything: a device without end, a pipe that nobody writes to, a picture. Only
//! files, and links to files, are opened, and what is read whole has a limit. A refusal is an
//! [`io::Error`], told as any other failure to read.

use super::text;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

/// Bytes of the longest text that is read whole: pipelines, spaces and genotypes have a few
/// thousand.
const LONGEST_TEXT: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it is {0}, and only files are read")]
    NoFile(&'static str),
    #[error("it has more than {limit} bytes, which are the limit")]
    TooLong { limit: u64 },
}

/// Opens a file or a link to one.
///
/// # Errors
/// Where the system cannot, and at once for what is no file.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before: whoever opens a pipe waits for somebody who writes to it.
    if let Some(what) = no_file(&fs::metadata(path)?) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, Refused::NoFile(what)));
    }
    File::open(path)
}

/// All bytes of a file, `limit` at most.
///
/// # Errors
/// As [`open`], and where the file is longer.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // Said before any of it takes memory; a file that has no length of its own is counted as it
    // comes.
    if file.metadata()?.len() > limit { Err(too_long(limit)) } else { read_up_to(file, limit) }
}

/// A file of text, a megabyte at most, in UTF-8 or in UTF-16 with a byte order mark.
///
/// # Errors
/// As [`read`], and with line and column where the file is no text.
pub fn read_text(path: &Path) -> io::Result<String> {
    text::decode(&read(path, LONGEST_TEXT)?)
}

/// All bytes of what is open already, `limit` at most.
///
/// # Errors
/// Where it cannot be read, and where there are more.
pub fn read_up_to(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_long(limit)) } else { Ok(bytes) }
}

fn too_long(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Refused::TooLong { limit })
}

/// Whether there is a file at `path`; where that cannot be known, as in a folder without
/// permission, why.
///
/// # Errors
/// Where the system does not say: its reason.
pub fn is_file(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// An error's text without the number that the system gives it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What stands in a file's place.
fn no_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, path::PathBuf, process::Command, time::Instant};

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn what_is_no_file_is_refused_at_once_and_a_link_to_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let began = Instant::now();
        for (path, what) in [
            (pipe(folder.path()), "a named pipe"),
            ("/dev/zero".into(), "a device"),
            (folder.path().into(), "a folder"),
        ] {
            let link = folder.path().join("link");
            symlink(&path, &link).unwrap();
            for path in [&path, &link] {
                let error = read(path, 10).unwrap_err();
                assert_eq!(error.to_string(), format!("it is {what}, and only files are read"));
            }
            fs::remove_file(link).unwrap();
        }
        assert!(began.elapsed().as_secs() < 5);
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        assert_eq!(read_text(&folder.path().join("link")).unwrap(), "text");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().to_string(), "it has more than 4 bytes, which are the limit");
        // Without a length of its own: the bytes are counted as they come.
        assert!(read(Path::new("/proc/self/status"), 10).is_err());
    }

    #[test]
    fn the_number_of_an_error_is_left_out() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(reason(&error), "permission denied");
    }
}
