//! SLURM's programs.

use super::ClusterError;
use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{Command, Stdio},
};

/// What the program says, once it has ended well.
pub(super) fn said<S: AsRef<OsStr>>(
    program: &'static str,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String, ClusterError> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ClusterError::NotHere { program },
            _ => ClusterError::Start { program, source },
        })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let complaint = text(&output.stderr);
    let said = if complaint.is_empty() { output.status.to_string() } else { complaint };
    Err(ClusterError::Refused { program, said })
}

/// Whether jobs can be submitted from here.
///
/// # Errors
/// Where they cannot.
pub fn is_here() -> Result<(), ClusterError> {
    said("sbatch", ["--version"]).map(drop)
}

/// Hands a script to `sbatch`, to run once `dependency` says so.
///
/// # Errors
/// Where `sbatch` does not take it.
pub(super) fn submit(script: &Path, dependency: Option<&str>) -> Result<u64, ClusterError> {
    let dependency = dependency.map(|of| format!("--dependency={of}"));
    let options = ["--parsable".to_owned()].into_iter().chain(dependency).map(Into::into);
    let said = said("sbatch", options.chain([script.as_os_str().to_owned()]))?;
    // Of several clusters it says which: `12;here`.
    let number = said.split(';').next().and_then(|number| number.parse().ok());
    number.ok_or(ClusterError::NoNumber { said })
}
