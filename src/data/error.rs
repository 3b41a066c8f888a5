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
    #[error("found no folder `{}`: there is none of {}", folder.display(), quoted_paths(looked))]
    NoFolder { folder: PathBuf, looked: Vec<PathBuf> },
    #[error("`{}` holds no folder with a JPEG or PNG in it", folder.display())]
    NoClasses { folder: PathBuf },
    #[error("class folder `{}` holds no JPEG or PNG{}", folder.display(), if *broken > 0 { " that can be decoded" } else { "" })]
    EmptyClass { folder: PathBuf, broken: usize },
    #[error("`{}` has no class folder `{class}`, though `{}` has", has_not.display(), has.display())]
    StrangeClass { class: String, has: PathBuf, has_not: PathBuf },
    #[error("the name `{}` is not UTF-8", path.display())]
    Name { path: PathBuf },
    #[error("`{}` cannot be decoded: {why}", path.display())]
    Picture { path: PathBuf, why: String },
    #[error("`{}` no longer has the {listed} bytes that it had when it was listed", path.display())]
    Changed { path: PathBuf, listed: u64 },
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
            Self::NoFolder { .. } => Some("`--set data.root=FOLDER` or DARTS_RUN_DATA names the folder around it"),
            Self::NoClasses { .. } | Self::EmptyClass { .. } => {
                Some("the images of each class lie in a folder of its own")
            }
            Self::Name { .. } => Some("rename the file"),
            Self::Changed { .. } => Some("touch its folder, so that the folder is listed again, and run again"),
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
