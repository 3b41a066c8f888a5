//! The way from a file to a pipeline, in one place.

use super::{KindSlots, Pipeline, Problems, chain, layer, resolve::resolve, setting};
use std::{
    io,
    path::{Path, PathBuf},
};

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
    /// The file was read and is wrong; [`render`](super::render) shows where. `understood` holds what can still be
    /// checked: every stage whose own keys could be read, those with broken references without inputs.
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

/// Reads a pipeline: built-in defaults, `file` with what it extends, `DARTS_RUN_…` variables, `--set` texts; later
/// wins. `kinds` are the stage kinds there are. All that is wrong is said at once; stage kinds check their own
/// [`params`](super::Member::params) afterwards, those of a pipeline that was only understood in part too.
pub fn load(
    file: &Path,
    settings: &[String],
    environment: impl Iterator<Item = (String, String)>,
    kinds: &[KindSlots],
) -> Result<Pipeline, ConfigError> {
    let mut problems = Problems::new();
    let Some(mut layers) = chain::read(file, &mut problems)? else {
        return Err(ConfigError::Invalid { problems, understood: None });
    };
    let written = layer::merge(&layers);
    layers.extend(setting::layers(environment, settings, &written, &mut problems));
    let pipeline = resolve(&layer::merge(&layers), file, kinds, &mut problems);
    if problems.is_empty() {
        return Ok(pipeline);
    }
    Err(ConfigError::Invalid { problems, understood: Some(Box::new(pipeline)) })
}
