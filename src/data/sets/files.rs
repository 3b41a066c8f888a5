//! Images that stay in their files until a batch wants them.

use crate::{DataError, pictures::view::View};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The picture files of a part of a data set. A list of a million takes some 50 MB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Where the folder lies, as the pipeline names it: `imagenet/train`.
    pub(crate) folder: String,
    /// Relative to the folder, with `/`.
    pub(crate) names: Names,
    /// The bytes of each file when it was listed.
    pub(crate) sizes: Vec<u64>,
    /// What a picture's shorter side becomes for an evaluation.
    pub(crate) resize: usize,
    /// The folder on this machine; not kept with the list.
    root: Option<PathBuf>,
}

/// Texts end to end: a `String` each would take twice the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }

    /// With a byte after each.
    pub fn packed_bytes(&self) -> u64 {
        (self.text.len() + self.ends.len()) as u64
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name));
        all
    }
}

impl Files {
    pub(crate) fn new(folder: String, names: Names, sizes: Vec<u64>, resize: usize) -> Self {
        Self { folder, names, sizes, resize, root: None }
    }

    pub(crate) fn view(&self, size: usize) -> View {
        View { size, resize: self.resize }
    }

    /// Finds the folder in the first of `roots` that has it.
    pub(crate) fn rooted(&mut self, roots: &[PathBuf]) -> Result<(), DataError> {
        let root = find_folder(roots, Path::new(&self.folder))?;
        self.root = Some(root);
        Ok(())
    }

    pub(crate) fn is_rooted(&self) -> bool {
        self.root.is_some()
    }

    /// The image's file on this machine.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        let folder = self.root.as_deref().unwrap_or(Path::new(&self.folder));
        folder.join(self.names.get(index))
    }
}

/// `folder` in the first of `roots` that has it.
pub(crate) fn find_folder(roots: &[PathBuf], folder: &Path) -> Result<PathBuf, DataError> {
    let mut looked: Vec<PathBuf> = Vec::new();
    for place in roots.iter().map(|root| root.join(folder)) {
        match fs::metadata(&place) {
            Ok(found) if found.is_dir() => return Ok(place),
            // What may not be looked at may be there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(DataError::read(&place)(error));
            }
            _ if looked.contains(&place) => {}
            _ => looked.push(place),
        }
    }
    Err(DataError::NoFolder { folder: folder.to_owned(), looked })
}
