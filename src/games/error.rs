//! What can be wrong with games, each with what was expected and what was found.

use std::{io, path::PathBuf, time::Duration};

#[derive(Debug, thiserror::Error)]
pub enum GameError {
    #[error("`{setting}` must be {expected}, found `{found}`")]
    Setting { setting: &'static str, expected: String, found: String },
    /// Of a mode that only some games have.
    #[error("`{game}` has no mode `{mode}`")]
    Mode { game: &'static str, mode: &'static str, games: Vec<&'static str> },
    #[error(
        "Procgen's library is for Linux on x86-64, and this is {} on {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    Platform,
    #[error("found no Procgen in `{}`: it has neither {}", folder.display(), quoted(wanted, " nor "))]
    NoProcgen { folder: PathBuf, wanted: Vec<String> },
    #[error("Procgen's library `{}` has no folder `{}`", library.display(), assets.display())]
    NoAssets { library: PathBuf, assets: PathBuf },
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("expected an action for each of {expected} copies, found {found}")]
    Actions { expected: usize, found: usize },
    /// `copy` counts from 0.
    #[error("the action of copy {copy} is {found}, expected one below {actions}")]
    Action { copy: usize, found: u32, actions: u32 },
    #[error("the saved state is damaged: {why}")]
    State { why: String },
    #[error("the saved state is of version {found}, this program reads version {known}")]
    StateVersion { found: u32, known: u32 },
    #[error("the saved state is of {found}, expected {expected}")]
    StateOf { expected: String, found: String },
    #[error("the saved state is of {found} copies, expected {expected}")]
    StateCopies { expected: usize, found: usize },
    #[error("failed to start `{}` as the process that plays `{game}`", program.display())]
    Start {
        game: &'static str,
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` does not answer as the process that plays `{game}`", program.display())]
    Stranger { game: &'static str, program: PathBuf },
    /// The child found something wrong before the library could.
    #[error("`{game}` cannot be played: {why}")]
    Refused { game: &'static str, why: String },
    #[error("the process that plays `{game}` ended ({how}){}", last_words(said))]
    Ended { game: &'static str, how: String, said: String },
    /// After an error that said why.
    #[error("the process that plays `{game}` has ended")]
    Over { game: &'static str },
    #[error("the process that plays `{game}` did not answer for {} s and was ended{}", patience.as_secs_f64(), last_words(said))]
    Hung { game: &'static str, patience: Duration, said: String },
}

impl GameError {
    /// A way out, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mode { mode, games, .. } => Some(format!("`{mode}` is for {}", quoted(games, ", "))),
            Self::Platform => Some("`catch` is built in and runs everywhere".to_owned()),
            Self::NoProcgen { .. } => Some(format!("{GET}, then `data.root` names the folder around `procgen`")),
            Self::NoAssets { .. } => Some(format!("unpack the whole wheel: {GET}")),
            Self::State { .. } | Self::StateVersion { .. } => Some("begin the games anew".to_owned()),
            Self::Refused { .. } | Self::Ended { .. } => Some(format!(
                "if it ended at once, the folder may be damaged or a library of the system be missing \
                 (Debian's `libglib2.0-0`); to unpack Procgen again: {GET}"
            )),
            Self::Hung { .. } => Some("the machine may be busy: run again".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn setting(setting: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Setting { setting, expected: expected.into(), found: found.to_string() }
    }

    /// Whether a number of a setting is from `least` to `most`.
    pub(crate) fn within(setting: &'static str, value: u64, least: u64, most: u64) -> Result<(), Self> {
        let refused = || Self::setting(setting, format!("from {least} to {most}"), value);
        (least..=most).contains(&value).then_some(()).ok_or_else(refused)
    }
}

const GET: &str = "`pip download --no-deps --only-binary=:all: --python-version 310 --platform manylinux2014_x86_64 \
                   procgen` and `unzip -d procgen procgen-*.whl`";

fn quoted(names: &[impl AsRef<str>], between: &str) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(between)
}

fn last_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}
