//! The way from a file to a pipeline, in one place.

use super::{ConfigError, KindSlots, Pipeline, Problems, chain, layer, resolve::resolve, setting};
use std::path::Path;

/// Reads a pipeline: built-in defaults, `file` with what it extends, `DARTS_RUN_…` variables,
/// `--set` texts; later wins. `kinds` are the stage kinds there are. All that is wrong is said at
/// once; stage kinds check their own [`params`](super::Member::params) afterwards, those of a
/// pipeline that was only understood in part too.
///
/// # Errors
/// Where the file cannot be read, or all that is wrong with it, each with its place.
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
