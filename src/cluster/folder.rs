//! Where scripts, logs and the list of jobs are kept: beside the reports, for a person to read.

use crate::store::file_name;
use std::path::{Path, PathBuf};

/// `STORE/slurm/PIPELINE`.
pub fn folder(store: &Path, pipeline: &str) -> PathBuf {
    store.join("slurm").join(file_name(pipeline))
}
