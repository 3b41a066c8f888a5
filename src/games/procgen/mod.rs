//! Procgen: 16 games whose levels are generated, a library in C++ by OpenAI.
//!
//! What a person wants is checked here; `native` has the library, where there is one.

mod game;
mod launch;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod native;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[path = "elsewhere.rs"]
mod native;

pub use game::{Game, Mode};
pub use launch::Launch;
pub use native::{child, direct};

use crate::{GameError, Games, Levels, games::MOST_COPIES};
use std::path::PathBuf;

/// What of Procgen is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procgen {
    /// Of the unpacked wheel, or a folder in it as far down as the one of `libenv.so`.
    pub folder: PathBuf,
    pub game: Game,
    pub mode: Mode,
    pub levels: Levels,
    pub copies: usize,
    /// Decides in which order levels are drawn: a whole number of 31 bits.
    pub seed: u64,
    /// The library's own; with 0 the copies move one after the other. Frames are the same.
    pub threads: usize,
}

impl Procgen {
    /// Starts a child that plays.
    ///
    /// # Errors
    /// Where a key is not as it should be, the library is not in the folder, or the child does not
    /// start; on other machines than Linux on x86-64 always.
    pub fn open(&self, launch: &Launch) -> Result<Box<dyn Games>, GameError> {
        self.check_keys()?;
        native::open(self, launch)
    }

    /// Whether it can be opened, as far as that shows before a child starts.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the child's.
    pub fn check(&self) -> Result<(), GameError> {
        self.check_keys()?;
        native::find(self)
    }

    /// The library ends its process where one of these is not so.
    fn check_keys(&self) -> Result<(), GameError> {
        self.mode.check(self.game)?;
        self.levels.check()?;
        GameError::within("copies", self.copies as u64, 1, MOST_COPIES)?;
        GameError::within("seed", self.seed, 0, i32::MAX as u64)?;
        GameError::within("threads", self.threads as u64, 0, 256)
    }
}
