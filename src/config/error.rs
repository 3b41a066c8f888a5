//! Why no pipeline comes of a file.

use super::{Pipeline, Problems};
use std::{io, path::PathBuf};

/// Why there is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named cannot be read; the hint names what lies beside it.
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        hint: Option<String>,
        #[source]
        source: io::Error,
    },
    /// The file was read and is wrong; [`render`](super::render) shows where. `understood` holds
    /// what can still be checked: every stage whose own keys could be read, those with broken
    /// references without inputs.
    #[error("the pipeline is not valid")]
    Invalid { problems: Problems, understood: Option<Box<Pipeline>> },
}

impl ConfigError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Read { hint, .. } => hint.as_deref(),
            Self::Invalid { .. } => None,
        }
    }
}
