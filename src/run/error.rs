//! Why a stage fails.

use crate::store::StoreError;
use std::path::Path;

/// Why a stage did not finish. The kind decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The input is wrong or missing: exit code 3. The hint, a way out, is said with it.
    #[error("{message}{}", .hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}")))]
    Input { message: String, hint: Option<String> },
    /// The work itself failed: exit code 1.
    #[error("{message}")]
    Failed {
        message: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store could not be read or written: exit code 4.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signal asked to stop; the checkpoint is saved.
    #[error("interrupted")]
    Interrupted,
}

impl StageError {
    /// The file of the store that turned out damaged or lost.
    pub(super) fn damaged(&self) -> Option<&Path> {
        match self {
            Self::Store(StoreError::Damaged { path, .. } | StoreError::Lost { path }) => Some(path),
            _ => None,
        }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), source: None }
    }
}
