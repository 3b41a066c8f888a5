//! Where a value was written, so that a complaint can point at it.

use crate::machine;
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A text file of which values remember their place.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As the user named it: relative paths stay relative.
    pub path: PathBuf,
    pub text: String,
}

/// The place a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Written in a file; `span` is in bytes of its text.
    File { source: Arc<SourceFile>, span: Range<usize> },
    /// Set by an environment variable.
    Environment { variable: String },
    /// Set by `--set KEY=VALUE`.
    Argument { text: String },
    /// Not written anywhere: a built-in default.
    Default,
}

impl Origin {
    /// Line and column of the first character, both from 1; `None` outside files.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let Self::File { source, span } = self else { return None };
        let before = &source.text[..span.start.min(source.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Some((line, column))
    }

    /// The path that `path`, written at this place, means: in a file relative to the file's folder,
    /// elsewhere to the current directory; `~` is the home folder.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = machine::expanded(path.as_ref());
        match self {
            Self::File { source, .. } => source.path.parent().unwrap_or(Path::new("")).join(path),
            _ => path,
        }
    }

    /// The part of this place that reads `text`, the whole where it is not there word for word.
    pub(super) fn narrowed_to(&self, text: &str) -> Self {
        if let Self::File { source, span } = self
            && let Some(at) = source.text.get(span.clone()).and_then(|written| written.find(text))
        {
            let start = span.start + at;
            return Self::File { source: source.clone(), span: start..start + text.len() };
        }
        self.clone()
    }
}

/// `pipelines/cifar10.yaml:12:7`, ``environment variable `DARTS_RUN_X` ``, `--set a.b=1`, or
/// `built-in default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { source, .. } => {
                let (line, column) = self.line_column().expect("a file origin has a place");
                write!(f, "{}:{line}:{column}", source.path.display())
            }
            Self::Environment { variable } => write!(f, "environment variable `{variable}`"),
            Self::Argument { text } => write!(f, "--set {text}"),
            Self::Default => f.write_str("built-in default"),
        }
    }
}
