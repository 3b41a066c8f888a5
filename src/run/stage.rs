//! What a stage is to the runner.

use super::{Context, Fetch, StageError};
use crate::store::Digest;
use std::path::PathBuf;

/// One piece of work, its keys read. Stage kinds implement this in `stages/`.
pub trait Stage: Send + Sync {
    /// Makes present what [`resources`](Self::resources) names, where it is not there yet. The
    /// runner asks before it asks for them, in every run: where nothing is missing, nothing may
    /// happen.
    ///
    /// # Errors
    /// Where something is missing and cannot be had.
    fn fetch(&self, _: &Fetch<'_>) -> Result<(), StageError> {
        Ok(())
    }

    /// What [`fetch`](Self::fetch) would have to get first, in words; `None` where all is there.
    fn lacks(&self) -> Option<String> {
        None
    }

    /// What the stage reads besides other stages' outputs: name → content, hashed into the key.
    fn resources(&self) -> Vec<(String, Resource)> {
        Vec::new()
    }

    /// Backend and precision where they decide the bits of the result:
    /// `{"backend": "cpu", "precision": "f32"}`.
    fn numerics(&self) -> Option<serde_json::Value> {
        None
    }

    /// Whether the stage reads more of its inputs than their outputs: names, parameters, figures,
    /// as a report does. (Of times it learns nothing: they differ where results do not.) These then
    /// enter its key; for any other stage, inputs of equal content are equal.
    fn reads_records(&self) -> bool {
        false
    }

    /// The outputs that the stage reads of what the reference key `slot` names, where it does not
    /// read them all: only these enter its key, and only these it is given. What else a stage
    /// publishes then makes nobody run again.
    fn reads(&self, _slot: &str) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether the stage goes on with those of the members that the reference key `slot` names that
    /// came to a result, at least one. Which ones are missing, and why, is in its key and in
    /// [`Context::missing`].
    fn gathers(&self, _slot: &str) -> bool {
        false
    }

    /// Does the work: reads inputs, publishes outputs and metrics through `context`.
    ///
    /// # Errors
    /// Where there is no result: why, and what would help.
    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError>;
}

/// Something a stage reads that no stage made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A file, or a folder (all files below it): hashed once, then remembered by path, size, mtime
    /// and inode.
    Path(PathBuf),
    /// A folder, by the names and sizes of the files below it, for what is too large to hash: a
    /// change that keeps a file's size is not noticed. Looked at again where a folder below it was
    /// changed (an entry added, removed or renamed).
    Listing(PathBuf),
    /// Content that is already in memory, by its digest.
    Content(Digest),
}
