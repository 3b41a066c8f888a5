//! How a child is started.

use std::{path::PathBuf, time::Duration};

/// Which program plays, and how long it may be silent.
#[derive(Debug, Clone)]
pub struct Launch {
    /// A program whose `main` asks [`crate::child`] first.
    pub program: PathBuf,
    /// How long a child may be silent when it was asked something.
    pub patience: Duration,
}

impl Default for Launch {
    /// This program itself, be its file moved or replaced meanwhile. The library reads its pictures
    /// in a second, on a busy machine in several.
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), patience: Duration::from_secs(120) }
    }
}
