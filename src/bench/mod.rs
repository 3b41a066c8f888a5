//! How fast a kind of work is, measured inside the program: one file a kind of work.

mod loader;
mod memory;
mod spread;

pub use loader::{LoaderBench, LoaderRow, View};
pub use spread::Spread;

/// What cannot be measured, and why.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
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
