//! Which game is played, as a `prepare` stage leaves it to those that play.

use crate::{
    data::{ImageKind, ImageShape},
    games::{Catch, Game, GameError, Games, Launch, Levels, Mode, Procgen},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// A game with the levels to learn on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameSet {
    pub kind: GameKind,
    /// The first so many levels are to learn on, the others to test on; all are for both where absent.
    pub levels: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum GameKind {
    Catch { rows: usize, columns: usize, scale: usize },
    Procgen { game: String, mode: String },
}

const CATCH: &str = "catch";

/// The folder in a data root that has Procgen's library.
const PROCGEN: &str = "procgen";

/// Which of its levels are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Learned,
    Unseen,
    /// This one alone, whether it was learned on or not.
    Level(u32),
}

impl GameSet {
    /// One by its name, all of its levels: `catch`, which has cells of a pixel then and so many
    /// rows and columns, or a game of Procgen, easy where no mode follows a colon.
    ///
    /// # Errors
    /// Where there is none of the name.
    pub fn named(word: &str, [rows, columns]: [usize; 2]) -> Result<Self, GameError> {
        let kind = if word == CATCH {
            GameKind::Catch { rows, columns, scale: 1 }
        } else {
            let (name, mode) = word.split_once(':').unwrap_or((word, Mode::Easy.name()));
            let unknown = |_| {
                let all = Game::ALL.map(|game| format!("`{}`", game.name())).join(", ");
                let (expected, found) = (format!("`{CATCH}`, or of Procgen one of {all}"), word.to_owned());
                GameError::Setting { setting: "game", expected, found }
            };
            let (game, mode) = (Game::named(name).map_err(unknown)?, Mode::named(mode)?);
            GameKind::Procgen { game: game.name().to_owned(), mode: mode.name().to_owned() }
        };
        Ok(Self { kind, levels: None })
    }

    /// Opens copies of the game; its files lie in one of `roots`.
    ///
    /// # Errors
    /// Where they do not, or the game cannot be had.
    pub fn open(&self, part: Part, copies: usize, seed: u64, roots: &[PathBuf]) -> Result<Box<dyn Games>, GameError> {
        let levels = match (self.levels, part) {
            (_, Part::Level(level)) => Levels::one(level),
            (None, _) => Levels::ALL,
            (Some(count), Part::Learned) => Levels::first(count),
            (Some(count), Part::Unseen) => Levels::after(count),
        };
        match &self.kind {
            &GameKind::Catch { rows, columns, scale } => {
                Ok(Box::new(Catch { rows, columns, scale, levels, copies, seed }.open()?))
            }
            GameKind::Procgen { .. } => self.procgen(levels, copies, seed, roots)?.open(&Launch::default()),
        }
    }

    fn procgen(&self, levels: Levels, copies: usize, seed: u64, roots: &[PathBuf]) -> Result<Procgen, GameError> {
        let GameKind::Procgen { game, mode } = &self.kind else { unreachable!("asked for Procgen's games alone") };
        let mut folders = roots.iter().map(|root| root.join(PROCGEN));
        let folder = folders.find(|folder| folder.is_dir()).or_else(|| Some(roots.last()?.join(PROCGEN)));
        let (game, mode) = (Game::named(game)?, Mode::named(mode)?);
        // Its seeds have 31 bits. A copy's own work is little: threads would mostly wait.
        let (folder, seed) = (folder.unwrap_or_default(), seed & u64::from(u32::MAX >> 1));
        Ok(Procgen { folder, game, mode, levels, copies, seed, threads: 0 })
    }

    /// Whether it can be had, as far as that is known without starting it.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn check(&self, roots: &[PathBuf]) -> Result<(), GameError> {
        match self.kind {
            GameKind::Catch { .. } => self.open(Part::Learned, 1, 0, roots).map(drop),
            GameKind::Procgen { .. } => self.procgen(Levels::ALL, 1, 0, roots)?.check(),
        }
    }

    /// The parts that differ: both where there are levels to learn on.
    pub fn parts(&self) -> &'static [(&'static str, Part)] {
        match self.levels {
            None => &[("all", Part::Learned)],
            Some(_) => &[("seen", Part::Learned), ("unseen", Part::Unseen)],
        }
    }

    /// The returns that a normalised one counts from, 0 and 1, where there are customary ones.
    pub fn range(&self) -> Option<[f64; 2]> {
        match &self.kind {
            GameKind::Catch { .. } => None,
            GameKind::Procgen { game, mode } => Game::named(game).ok()?.range(Mode::named(mode).ok()?),
        }
    }

    /// What a network sees of it.
    pub fn images(&self) -> ImageShape {
        let (height, width, actions) = match self.kind {
            GameKind::Catch { rows, columns, scale } => (rows * scale, columns * scale, 3),
            GameKind::Procgen { .. } => (64, 64, 15),
        };
        ImageShape { shape: [3, height, width], classes: actions, kind: ImageKind::Frames }
    }
}

impl fmt::Display for GameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match self.levels {
            None => f.write_str(", all levels"),
            Some(levels) => write!(f, ", {levels} levels to learn on"),
        }
    }
}

impl GameKind {
    /// Whether [`GameSet::named`] would give such a game.
    pub fn is_called(&self, word: &str) -> bool {
        match self {
            Self::Catch { .. } => word == CATCH,
            Self::Procgen { game, mode } => {
                let (name, of) = word.split_once(':').unwrap_or((word, Mode::Easy.name()));
                (name, of) == (game.as_str(), mode.as_str())
            }
        }
    }
}

impl fmt::Display for GameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catch { rows, columns, .. } => write!(f, "catch on {rows} rows and {columns} columns"),
            Self::Procgen { game, mode } => write!(f, "{game} of Procgen, {mode}"),
        }
    }
}
