//! What stands for the library on machines that it is not for.

use super::{Launch, Procgen};
use crate::{GameError, Games};
use std::process::ExitCode;

pub(super) fn find(_: &Procgen) -> Result<(), GameError> {
    Err(GameError::Platform)
}

pub(super) fn open(_: &Procgen, _: &Launch) -> Result<Box<dyn Games>, GameError> {
    Err(GameError::Platform)
}

/// Nothing: no process is started to play here.
pub fn child() -> Option<ExitCode> {
    None
}

/// # Errors
/// Always.
pub fn direct(_: &Procgen) -> Result<impl FnMut(&[u32]), GameError> {
    Err::<fn(&[u32]), _>(GameError::Platform)
}
