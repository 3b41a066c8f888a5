//! What can be wrong with data, each with the place, what was expected and what was found.

use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("found no {what}: {} in none of {}", quoted(wanted), quoted_paths(looked))]
    NotFound { what: &'static str, wanted: Vec<String>, looked: Vec<PathBuf>, hint: &'static str },
    /// A folder holds some of a data set's files, but not all.
    #[error("`{}` holds a part of {what} and lacks {}", folder.display(), quoted(missing))]
    Incomplete { what: &'static str, folder: PathBuf, missing: Vec<String>, hint: &'static str },
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` has {found} bytes, expected a whole number of {record}-byte records, at least one", path.display())]
    Records { path: PathBuf, record: usize, found: usize },
    /// `record` counts from 0.
    #[error("record {record} of `{}` has the {kind} {found}, expected one below {classes}", path.display())]
    Label { path: PathBuf, record: usize, kind: &'static str, found: u8, classes: usize },
    #[error("`{}` names {found} classes, expected {expected}", path.display())]
    Names { path: PathBuf, expected: usize, found: usize },
    /// `line` counts from 1.
    #[error("line {line} of `{}` has {found}, expected {expected}", path.display())]
    Line { path: PathBuf, line: u64, expected: &'static str, found: String },
    #[error("`{}` holds no images", path.display())]
    Empty { path: PathBuf },
    #[error("`{}` is no packed data set", path.display())]
    NotPacked { path: PathBuf },
    #[error("`{}` is a packed data set of format version {found}, this program reads version {known}", path.display())]
    Version { path: PathBuf, found: u32, known: u32 },
    #[error("packed data set `{}` is damaged: expected {expected}, found {found}", path.display())]
    Damaged { path: PathBuf, expected: String, found: String },
    #[error("`{setting}` must be {expected}, found {found}")]
    Setting { setting: &'static str, expected: String, found: String },
    #[error("failed to start the thread that prepares batches")]
    Thread {
        #[source]
        source: io::Error,
    },
}

impl DataError {
    /// A way out, where there is one to name.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { hint, .. } | Self::Incomplete { hint, .. } => Some(hint),
            Self::Records { .. } | Self::Names { .. } => {
                Some("the file may be cut short or of another layout: unpack the official archive again")
            }
            Self::Version { .. } | Self::Damaged { .. } => Some("prepare the data again"),
            _ => None,
        }
    }

    pub(super) fn setting(setting: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Setting { setting, expected: expected.into(), found: format!("`{}`", found.to_string()) }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn quoted_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
