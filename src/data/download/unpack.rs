//! A checked archive to a folder: regular files inside it and nothing else, all of them or none.

use super::Watcher;
use crate::{
    DataError,
    sources::locate::{Wanted, locate},
};
use flate2::read::MultiGzDecoder;
use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Component, Path, PathBuf},
};
use tar::{Archive, Entry, EntryType};
use walkdir::WalkDir;

/// What an archive may hold, unpacked: five times CIFAR, which is 184 MB.
const MOST_BYTES: u64 = 1 << 30;
/// CIFAR has eight.
const MOST_FILES: usize = 10_000;
/// Of an entry that only tells the next one's name or times, which is read into memory whole.
const LONGEST_DESCRIPTION: u64 = 1 << 16;

/// Unpacks `archive` beside its place and moves the data set's folder to `root` in one step.
///
/// # Errors
/// What is wrong with the archive, or what the disk said. Nothing of it is left then.
pub(super) fn publish(archive: &Path, root: &Path, wanted: &Wanted, watcher: &Watcher<'_>) -> Result<(), DataError> {
    // A name of its own suffices: whoever is here holds the lock of the part file. A killed process
    // may have left one.
    let beside = root.join(format!(".unpacking-{}", wanted.official().folder));
    let remove = || match fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataError::write(&beside)(error)),
        _ => Ok(()),
    };
    remove()?;
    let unpacked = unpack(archive, &beside, watcher).and_then(|()| {
        let official = wanted.official().folder;
        let folder = beside.join(official);
        locate(&folder, wanted).map_err(|_| DataError::Archive {
            path: archive.to_owned(),
            why: format!("it has no folder `{official}` with the files of {}", wanted.what),
        })?;
        // Files are synced as they are written; a crash must not forget their names either.
        for entry in WalkDir::new(&folder) {
            let entry = entry.map_err(|error| DataError::write(&folder)(error.into()))?;
            if entry.file_type().is_dir() {
                File::open(entry.path())
                    .and_then(|folder| folder.sync_all())
                    .map_err(DataError::write(entry.path()))?;
            }
        }
        let place = root.join(official);
        fs::rename(&folder, &place).map_err(DataError::write(&place))?;
        File::open(root).and_then(|root| root.sync_all()).map_err(DataError::write(&place))
    });
    let removed = remove();
    unpacked.and(removed)
}

fn unpack(archive: &Path, into: &Path, watcher: &Watcher<'_>) -> Result<(), DataError> {
    let refused = |why: String| DataError::Archive { path: archive.to_owned(), why };
    let broken = |error: io::Error| refused(format!("it cannot be read: {error}"));
    fs::create_dir(into).map_err(DataError::write(into))?;
    check_descriptions(archive, watcher)?;
    let mut tar = opened(archive)?;
    let (mut files, mut most) = (0, MOST_BYTES);
    for entry in tar.entries().map_err(broken)? {
        watcher.check()?;
        let mut entry = entry.map_err(broken)?;
        let name = entry_name(&entry);
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let inside = inside(&entry.path().map_err(broken)?)
            .ok_or_else(|| refused(format!("`{name}` in it leads out of the folder it is unpacked to")))?;
        let path = into.join(&inside);
        match kind {
            EntryType::Directory => fs::create_dir_all(&path).map_err(DataError::write(&path))?,
            EntryType::Regular | EntryType::Continuous => {
                files += 1;
                most = most.checked_sub(entry.size()).filter(|_| files <= MOST_FILES).ok_or_else(|| {
                    refused(format!(
                        "it holds more than {MOST_FILES} files or {MOST_BYTES} bytes, which no data set here does"
                    ))
                })?;
                write(&mut entry, &path, archive)?;
            }
            other => return Err(refused(format!("`{name}` in it is {}, which is no file", called(other)))),
        }
    }
    Ok(())
}

fn opened(archive: &Path) -> Result<Archive<impl Read>, DataError> {
    let file = File::open(archive).map_err(DataError::read(archive))?;
    // Headers and padding come on top of the files.
    Ok(Archive::new(MultiGzDecoder::new(BufReader::new(file)).take(2 * MOST_BYTES)))
}

/// Whether the entries that describe others have room in memory, before any of them is read.
fn check_descriptions(archive: &Path, watcher: &Watcher<'_>) -> Result<(), DataError> {
    let broken = |error| DataError::Archive { path: archive.to_owned(), why: format!("it cannot be read: {error}") };
    // What cannot be read is told by who unpacks it.
    for entry in opened(archive)?.entries().map_err(broken)?.raw(true).map_while(Result::ok) {
        watcher.check()?;
        let kind = entry.header().entry_type();
        let describes = [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader];
        if describes.contains(&kind) && entry.size() > LONGEST_DESCRIPTION {
            let why = format!("`{}` in it tells of another entry in {} bytes", entry_name(&entry), entry.size());
            return Err(DataError::Archive { path: archive.to_owned(), why });
        }
    }
    Ok(())
}

/// One file of the archive, which may not be there yet.
fn write(entry: &mut Entry<'_, impl Read>, path: &Path, archive: &Path) -> Result<(), DataError> {
    let refused = |why: String| DataError::Archive { path: archive.to_owned(), why };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(DataError::write(folder))?;
    }
    let mut file = File::create_new(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => refused(format!("`{}` is in it twice", entry_name(entry))),
        _ => DataError::write(path)(error),
    })?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        // Told apart: what cannot be read is the archive's fault, what cannot be written the
        // disk's.
        match entry.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => file.write_all(&buffer[..count]).map_err(DataError::write(path))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(format!("it cannot be read: {error}"))),
        }
    }
    file.sync_all().map_err(DataError::write(path))
}

fn entry_name(entry: &Entry<'_, impl Read>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

fn called(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink | EntryType::Link => "a link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        _ => "of an unusual kind",
    }
}

/// The path without what means nothing; `None` where it is absolute or climbs.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}
