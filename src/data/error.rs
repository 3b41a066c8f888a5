//! What can be wrong with data, each with the place, what was expected and what was found.

use crate::LeftOut;
use darts_machine::{Full, full};
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
    Label { path: PathBuf, record: usize, kind: &'static str, found: i64, classes: usize },
    /// One of CIFAR's files for Python.
    #[error("`{}` is no pickle as CIFAR's are: {why}", path.display())]
    Pickle { path: PathBuf, why: String },
    #[error("`{}` names {found} {}, expected {expected}", path.display(), if *found == 1 { "class" } else { "classes" })]
    Names { path: PathBuf, expected: usize, found: usize },
    /// `line` counts from 1.
    #[error("line {line} of `{}` has {found}, expected {expected}", path.display())]
    Line { path: PathBuf, line: u64, expected: &'static str, found: String },
    #[error("`{}` holds no images", path.display())]
    Empty { path: PathBuf },
    #[error("found no folder `{}`: there is none of {}", folder.display(), quoted_paths(looked))]
    NoFolder { folder: PathBuf, looked: Vec<PathBuf> },
    /// A part of a folder of pictures that is called by none of its names.
    #[error("`{}` has none of the folders {}", folder.display(), quoted(names))]
    NoPart { folder: PathBuf, names: Vec<String>, hint: String },
    #[error("`{}` holds no class folder with a picture in it{}", folder.display(), beside(*pictures))]
    NoClasses { folder: PathBuf, pictures: usize, hint: String },
    /// Whatever it sees, a network that knows one class is right.
    #[error("`{}` has one class folder, `{class}`: expected two or more", folder.display())]
    OneClass { folder: PathBuf, class: String, hint: String },
    #[error("the class folders of `{}` are called {}, as parts of a data set are", folder.display(), quoted(classes))]
    PartsAsClasses { folder: PathBuf, classes: Vec<String> },
    #[error("folder `{}` holds no picture{}", folder.display(), instead(*broken, left_out))]
    EmptyClass { folder: PathBuf, broken: usize, left_out: LeftOut },
    #[error("`{}` has no class folder {}, though `{}` has", has_not.display(), quoted(classes), has.display())]
    StrangeClasses { classes: Vec<String>, has: PathBuf, has_not: PathBuf },
    #[error("the name `{}` is not UTF-8", path.display())]
    Name { path: PathBuf },
    #[error("`{}` cannot be decoded: {why}", path.display())]
    Picture { path: PathBuf, why: String },
    #[error("`{}` no longer has the {listed} bytes that it had when it was listed", path.display())]
    Changed { path: PathBuf, listed: u64 },
    #[error("`{}` holds no pictures of high resolution: neither files, nor a folder of them by the name `HR`, `GTmod12`, `GT`, `original` or `…_HR`", folder.display())]
    NoHigh { folder: PathBuf },
    #[error("`{}` holds several folders of high resolution: {}", folder.display(), quoted(names))]
    SeveralHigh { folder: PathBuf, names: Vec<String> },
    #[error("`{}` has no partner in `{}`", high.display(), folder.display())]
    NoPartner { high: PathBuf, folder: PathBuf },
    #[error("`{}` has {found}, expected {expected} as the partner of `{}`", path.display(), of.display())]
    PartnerSize { path: PathBuf, of: PathBuf, found: String, expected: String },
    #[error("`{}` is called as another picture beside it but for its ending", path.display())]
    CalledAlike { path: PathBuf },
    #[error("`{}` is {found}: {why}", path.display())]
    SmallPicture { path: PathBuf, found: String, why: String },
    #[error("`{}` is no packed data set", path.display())]
    NotPacked { path: PathBuf },
    #[error("`{}` is a packed data set of format version {found}, this program reads version {known}", path.display())]
    Version { path: PathBuf, found: u32, known: u32 },
    #[error("packed data set `{}` is damaged: expected {expected}, found {found}", path.display())]
    Damaged { path: PathBuf, expected: String, found: String },
    #[error("`{setting}` must be {expected}, found {found}")]
    Setting { setting: &'static str, expected: String, found: String },
    #[error("failed to download `{url}`: {fault}")]
    Download { url: String, by_hand: PathBuf, fault: DownloadFault },
    /// The archive that someone put there is another one.
    #[error("`{}` has the SHA-256 {found}, expected {expected}", path.display())]
    WrongArchive { path: PathBuf, url: String, expected: String, found: String },
    /// An archive with the right digest that holds what no archive of data should.
    #[error("refused to unpack `{}`: {why}", path.display())]
    Archive { path: PathBuf, why: String },
    #[error("the disk that holds `{}` {full}", path.display())]
    DiskFull { path: PathBuf, full: Full },
    #[error("failed to write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Whoever watches asked to stop; what came so far is kept.
    #[error("stopped")]
    Stopped,
    #[error("failed to start the thread that prepares batches")]
    Thread {
        #[source]
        source: io::Error,
    },
}

impl DataError {
    /// A way out, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { hint, .. } => Some((*hint).to_owned()),
            Self::Incomplete { hint, .. } => Some(format!("remove what is there, then {hint}")),
            Self::Records { .. } | Self::Names { .. } | Self::Pickle { .. } => {
                Some("the file may be cut short or of another layout: unpack the official archive again".to_owned())
            }
            Self::Version { .. } | Self::Damaged { .. } => Some("prepare the data again".to_owned()),
            Self::Download { url, by_hand, fault } => {
                let again = if matches!(fault, DownloadFault::Cut { .. }) { "run again to go on, or " } else { "" };
                let by_hand = by_hand.display();
                Some(format!("{again}get `{url}` in another way and put it at `{by_hand}`: the next run unpacks it"))
            }
            Self::WrongArchive { path, url, .. } => {
                Some(format!("remove `{}` and run again, or get `{url}` once more and put it there", path.display()))
            }
            Self::NoFolder { .. } => {
                Some("`--set data.root=FOLDER` or DARTS_RUN_DATA names the folder around it".to_owned())
            }
            Self::NoPart { hint, .. } | Self::NoClasses { hint, .. } | Self::OneClass { hint, .. } => Some(hint.clone()),
            Self::PartsAsClasses { .. } => Some(
                "leave out `held_out_fraction`, or name one of them with `path`; where they are classes, name them with `classes`"
                    .to_owned(),
            ),
            Self::EmptyClass { .. } => {
                Some(format!("remove the folder, or put pictures in it: {} are read", crate::Picture::KINDS))
            }
            Self::StrangeClasses { .. } => {
                Some("remove what is no class, or name the classes that count with `classes`".to_owned())
            }
            Self::NoHigh { .. } | Self::SeveralHigh { .. } => {
                Some("name the folder itself, as `DIV2K/DIV2K_train_HR`, or both: `{high: FOLDER, low: FOLDER}`".to_owned())
            }
            Self::NoPartner { .. } | Self::PartnerSize { .. } => {
                Some("`low: bicubic` makes partners; `{high: FOLDER, low: FOLDER}` names another folder".to_owned())
            }
            Self::CalledAlike { .. } => Some("rename or remove one of them".to_owned()),
            Self::Name { .. } => Some("rename the file".to_owned()),
            Self::Changed { .. } => {
                Some("touch its folder, so that the folder is listed again, and run again".to_owned())
            }
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

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { full: full(&path), path },
            _ => Self::Write { path, source },
        }
    }
}

/// Why an archive did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadFault {
    /// After as many tries as are worth it.
    #[error("{why}{}", if *bytes > 0 { format!(", with {bytes} bytes there") } else { String::new() })]
    Cut { why: String, bytes: u64 },
    /// The request could not be made as it is.
    #[error("{0}")]
    Refused(String),
    #[error("the server answers {status}{}", said(*status))]
    Status { status: u16 },
    #[error("the server's file has {found} bytes, expected {expected}, so it is another one")]
    Size { expected: u64, found: u64 },
    #[error("the server sends more than {limit} bytes, so it is another file")]
    TooLong { limit: u64 },
    #[error("what came has the SHA-256 {found}, expected {expected}, and was thrown away")]
    Checksum { expected: String, found: String },
    #[error("the server answers with another range of bytes than it was asked for")]
    Misfit,
}

/// What a status means to a person.
fn said(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 | 451 => ": it does not give the file to everybody",
        404 | 410 => ": it has no such file",
        408 => ": it timed out",
        429 => ": it was asked too often",
        500.. => ": a fault of its own",
        _ => "",
    }
}

/// Pictures that have no class.
fn beside(pictures: usize) -> String {
    if pictures > 0 { format!(", and {pictures} pictures in none") } else { String::new() }
}

/// What there is in a class folder without pictures.
fn instead(broken: usize, left_out: &LeftOut) -> String {
    match (broken, left_out.is_empty()) {
        (0, true) => String::new(),
        (0, false) => format!("; there is {left_out}"),
        _ => " that can be decoded".to_owned(),
    }
}

/// The first few names; a data set may have thousands.
fn quoted(names: &[String]) -> String {
    const NAMED: usize = 10;
    let more = names.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("{more} more"));
    names.iter().take(NAMED).map(|name| format!("`{name}`")).chain(more).collect::<Vec<_>>().join(", ")
}

fn quoted_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
