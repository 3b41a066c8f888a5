//! The class folders of a part and the pictures of a class, as they lie on the disk.

use super::{Entry, LeftOut};
use crate::DataError;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// How pictures are called, in small letters. What a file is its content says.
const ENDINGS: &[&str] =
    &["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "pnm", "ppm", "pgm", "pbm"];

/// What file managers and archivers of other systems leave, beside what is hidden by a dot.
const OF_SYSTEMS: &[&str] =
    &["Thumbs.db", "desktop.ini", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"];

/// What lies directly in a part.
#[derive(Debug, Default)]
pub(in crate::sources) struct PartFolder {
    /// The names of the class folders, sorted.
    pub classes: Vec<String>,
    /// The names of pictures that have no class.
    pub loose: Vec<String>,
    pub left_out: LeftOut,
}

impl PartFolder {
    pub fn read(folder: &Path) -> Result<Self, DataError> {
        let mut part = Self::default();
        let mut left_out = LeftOut::default();
        walk(folder, 1, &mut left_out, |entry, left_out| {
            if entry.file_type().is_dir() {
                part.classes.push(utf8(entry.path(), Path::new(entry.file_name()))?);
            } else if is_called_a_picture(entry.path()) {
                part.loose.push(entry.file_name().to_string_lossy().into_owned());
                left_out.add("in no class folder");
            } else {
                left_out.add_ending(entry.path());
            }
            Ok(())
        })?;
        Ok(Self { left_out, ..part })
    }

    /// The error that there is no class of pictures here, with what seems to lie here instead.
    pub fn without_class(&self, folder: &Path) -> DataError {
        let hint = if self.loose.iter().any(|name| name.starts_with("ILSVRC2012_val_")) {
            format!(
                "`cd {} && wget -qO- https://raw.githubusercontent.com/soumith/imagenetloader.torch/master/valprep.sh | bash` moves \
                 ImageNet's validation pictures to a folder a class",
                folder.display()
            )
        } else {
            "the pictures of each class lie in a folder of its own; where those to test on have no classes, hold a share of the others out: \
             `path: …/train` with `held_out_fraction: 0.2`"
                .to_owned()
        };
        DataError::NoClasses { folder: folder.to_owned(), pictures: self.loose.len(), hint }
    }
}

/// The pictures below a class folder of `part`, sorted, however deep they lie.
pub(super) fn pictures(
    part: &Path,
    folder: &Path,
    label: u16,
    left_out: &mut LeftOut,
) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    walk(folder, usize::MAX, left_out, |entry, left_out| {
        if entry.file_type().is_dir() {
            return Ok(());
        }
        if !is_called_a_picture(entry.path()) {
            left_out.add_ending(entry.path());
            return Ok(());
        }
        if !entry.file_type().is_file() {
            left_out.add("no regular file");
            return Ok(());
        }
        let bytes = entry.metadata().map_err(unreadable(folder))?.len();
        let name = entry.path().strip_prefix(part).expect("a walk stays below its root");
        entries.push(Entry { name: utf8(entry.path(), name)?, bytes, label });
        Ok(())
    })?;
    Ok(entries)
}

/// The pictures below a folder that is no class, by name, all else counted in `left_out`.
///
/// # Errors
/// Where the folder cannot be read, or holds no picture.
pub fn pictures_below(folder: &Path, left_out: &mut LeftOut) -> Result<Vec<PathBuf>, DataError> {
    let mut here = LeftOut::default();
    let entries = pictures(folder, folder, 0, &mut here)?;
    if entries.is_empty() {
        return Err(DataError::EmptyClass { folder: folder.to_owned(), broken: 0, left_out: here });
    }
    left_out.merge(here);
    Ok(entries.into_iter().map(|entry| folder.join(entry.name)).collect())
}

fn is_called_a_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

fn utf8(path: &Path, name: &Path) -> Result<String, DataError> {
    name.to_str().map(str::to_owned).ok_or_else(|| DataError::Name { path: path.to_owned() })
}

/// Hands what lies below `folder` to `take`, by name. Counted and passed over are what people do
/// not see as data, links that lead nowhere, as editors leave them, and links to a folder around
/// them, which would give a picture two classes.
fn walk(
    folder: &Path,
    depth: usize,
    left_out: &mut LeftOut,
    mut take: impl FnMut(&DirEntry, &mut LeftOut) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let around = folder.canonicalize().map_err(DataError::read(folder))?;
    let walk = WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true).sort_by_file_name();
    let mut walk = walk.into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.path().is_some_and(Path::is_symlink) => {
                left_out.add(if error.loop_ancestor().is_some() { "link in a circle" } else { "dangling link" });
                continue;
            }
            Err(error) => return Err(unreadable(folder)(error)),
        };
        let name = entry.file_name().to_string_lossy();
        let leads_back = || entry.path().canonicalize().is_ok_and(|target| around.starts_with(target));
        let kind = if name.starts_with('.') {
            Some("hidden")
        } else if OF_SYSTEMS.contains(&&*name) {
            Some("of the system")
        } else if entry.path_is_symlink() && entry.file_type().is_dir() && leads_back() {
            Some("link in a circle")
        } else {
            None
        };
        match kind {
            None => take(&entry, left_out)?,
            Some(kind) => {
                left_out.add(kind);
                if entry.file_type().is_dir() {
                    walk.skip_current_dir();
                }
            }
        }
    }
    Ok(())
}

fn unreadable(folder: &Path) -> impl Fn(walkdir::Error) -> DataError {
    move |error| {
        let path = error.path().unwrap_or(folder).to_owned();
        DataError::Read { path, source: error.into() }
    }
}
