//! How fast a kind of work is, measured inside the program: one file a kind of work.
//!
//! [`StepBench`] times steps of a [`Work`], a search or a training whose file has a stage's keys
//! (`benches/works`), [`LoaderBench`] times batches from picture files.

mod loader;
mod memory;
pub mod shipped;
mod spread;
mod step;
mod work;

pub use loader::{LoaderBench, LoaderRow, View};
pub use spread::Spread;
pub use step::{ImageSource, Loaded, Profile, StepBench, StepRow};
pub use work::{Work, WorkError};

/// What cannot be measured, and why.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    #[error(transparent)]
    Task(#[from] crate::tasks::TaskError),
    #[error(transparent)]
    Open(#[from] crate::model::DeviceError),
    /// More memory than there is.
    #[error("{0}")]
    TooLarge(String),
    #[error("the device failed: {0}")]
    Device(String),
    #[error("only programs on the processor are timed operator by operator")]
    Unprofiled,
    #[error("maps of `{0}` are to be had on `cuda` with native kernels alone")]
    Precision(crate::kernels::Precision),
    #[error("the loss became {loss}")]
    Diverged { loss: f32 },
    #[error("the work is for {expected}, and these are {found:?} of {classes} classes")]
    Images { expected: String, found: [usize; 3], classes: usize },
    #[error("failed to write pictures to measure with")]
    Pictures(#[source] std::io::Error),
    #[error("failed to start {threads} threads")]
    Threads {
        threads: usize,
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    #[error("{pictures} pictures make no batch of {batch}")]
    TooFew { pictures: usize, batch: usize },
}
