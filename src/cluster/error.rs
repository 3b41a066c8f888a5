//! What SLURM did not do.

use crate::store::StoreError;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no such program on this machine.
    #[error("`{program}` was not found: SLURM is not to be had on this machine")]
    NotHere { program: &'static str },
    #[error("failed to start `{program}`")]
    Start {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    /// It ended with a complaint of its own.
    #[error("`{program}` refused: {said}")]
    Refused { program: &'static str, said: String },
    /// It was to say a number.
    #[error("`sbatch` said `{said}` where it should have said the number of a job")]
    NoNumber { said: String },
    /// The job is in the queue, and it is not known whose it is.
    #[error("job {job} was submitted, and could not be noted down")]
    NotNoted {
        job: u64,
        #[source]
        source: StoreError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}
