//! Catch: a ball falls, a paddle below it moves left, stays or moves right.
//!
//! Every step the paddle moves, then the ball falls a row. Where the ball comes to the last row, the
//! paddle's, the episode ends with the reward 1 if it was caught and -1 if not. So 1 is the most
//! that an episode gives, and whoever acts well always gets it. The paddle begins in the middle; in
//! which column the ball begins is the level's to say.

use crate::{
    GameError, Games, Levels, Observation, Space,
    games::MOST_COPIES,
    random::{Purpose, below},
    state,
};
use serde::{Deserialize, Serialize};

/// What of catch is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catch {
    pub rows: usize,
    pub columns: usize,
    /// Both sides of a cell, in pixels.
    pub scale: usize,
    pub levels: Levels,
    pub copies: usize,
    pub seed: u64,
}

impl Default for Catch {
    fn default() -> Self {
        Self { rows: 10, columns: 5, scale: 1, levels: Levels::ALL, copies: 1, seed: 0 }
    }
}

impl Catch {
    /// Pixels of a frame's longest side.
    const LONGEST_SIDE: u64 = 512;

    /// Of the frames of all copies.
    const MOST_BYTES: u64 = 1 << 30;

    /// # Errors
    /// Where a number is too small or too large.
    pub fn open(self) -> Result<CatchGames, GameError> {
        let [rows, columns, scale, copies] =
            [self.rows, self.columns, self.scale, self.copies].map(|number| number as u64);
        GameError::within("rows", rows, 2, Self::LONGEST_SIDE)?;
        // The paddle must come from the middle to each column before the ball is down.
        GameError::within("columns", columns, 1, (2 * rows - 1).min(Self::LONGEST_SIDE))?;
        GameError::within("scale", scale, 1, Self::LONGEST_SIDE / rows.max(columns))?;
        let frame = 3 * rows * columns * scale * scale;
        GameError::within("copies", copies, 1, MOST_COPIES.min(Self::MOST_BYTES / frame))?;
        self.levels.check()?;
        let copies = (0..self.copies as u64).map(|copy| Board::new(&self, self.seed, copy)).collect();
        let mut games = CatchGames {
            game: self,
            copies,
            frames: Vec::new(),
            rewards: Vec::new(),
            firsts: Vec::new(),
            levels: Vec::new(),
        };
        games.show();
        Ok(games)
    }

    fn level(&self, board: &Board) -> u32 {
        self.levels.start + below(self.levels.count, Purpose::Level, [board.seed, board.copy, board.episode])
    }

    /// The column that it falls in.
    fn ball(&self, board: &Board) -> usize {
        below(self.columns as u32, Purpose::Column, [self.level(board).into(), 0, 0]) as usize
    }
}

/// Copies of catch.
#[derive(Debug)]
pub struct CatchGames {
    game: Catch,
    copies: Vec<Board>,
    frames: Vec<u8>,
    rewards: Vec<f32>,
    firsts: Vec<bool>,
    levels: Vec<u32>,
}

/// All that one copy has come to. The level and the ball's column follow from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Board {
    seed: u64,
    copy: u64,
    episode: u64,
    /// Of the ball.
    row: usize,
    paddle: usize,
    reward: i8,
}

impl Board {
    fn new(game: &Catch, seed: u64, copy: u64) -> Self {
        Self { seed, copy, episode: 0, row: 0, paddle: game.columns / 2, reward: 0 }
    }

    fn step(&mut self, game: &Catch, action: u32) {
        self.paddle = (self.paddle + action as usize).saturating_sub(1).min(game.columns - 1);
        self.row += 1;
        self.reward = 0;
        if self.row + 1 == game.rows {
            let reward = if self.paddle == game.ball(self) { 1 } else { -1 };
            let episode = self.episode.wrapping_add(1);
            *self = Self { episode, reward, ..Self::new(game, self.seed, self.copy) };
        }
    }

    fn fits(&self, game: &Catch) -> bool {
        self.row < game.rows - 1 && self.paddle < game.columns && (-1..=1).contains(&self.reward)
    }
}

impl CatchGames {
    /// What `observe` lends, made of what the copies have come to.
    fn show(&mut self) {
        let Self { game, copies, .. } = self;
        let (space, scale) = (space(game), game.scale);
        self.rewards = copies.iter().map(|copy| copy.reward.into()).collect();
        self.firsts = copies.iter().map(|copy| copy.row == 0).collect();
        self.levels = copies.iter().map(|copy| game.level(copy)).collect();
        self.frames.clear();
        self.frames.resize(copies.len() * space.frame(), 0);
        for (copy, frame) in copies.iter().zip(self.frames.chunks_exact_mut(space.frame())) {
            let mut paint = |row: usize, column: usize, colour: [u8; 3]| {
                for y in row * scale..(row + 1) * scale {
                    let start = 3 * (y * space.width + column * scale);
                    frame[start..start + 3 * scale].as_chunks_mut().0.fill(colour);
                }
            };
            paint(copy.row, game.ball(copy), BALL);
            paint(game.rows - 1, copy.paddle, PADDLE);
        }
    }

    /// All that two of these must share for one to go on where the other was.
    fn of(&self) -> String {
        let Catch { rows, columns, scale, levels, .. } = self.game;
        format!("`catch` with {rows} rows and {columns} columns at scale {scale} on {levels}")
    }
}

const BALL: [u8; 3] = [255, 255, 255];
const PADDLE: [u8; 3] = [0, 160, 255];

fn space(game: &Catch) -> Space {
    Space { height: game.rows * game.scale, width: game.columns * game.scale, channels: 3, actions: 3 }
}

impl Games for CatchGames {
    /// Actions: 0 left, 1 nothing, 2 right.
    fn space(&self) -> Space {
        space(&self.game)
    }

    fn copies(&self) -> usize {
        self.copies.len()
    }

    fn observe(&self) -> Observation<'_> {
        let Self { frames, rewards, firsts, levels, .. } = self;
        Observation { frames, rewards, firsts, levels }
    }

    fn act(&mut self, actions: &[u32]) -> Result<(), GameError> {
        self.space().check(actions, self.copies.len())?;
        for (copy, &action) in self.copies.iter_mut().zip(actions) {
            copy.step(&self.game, action);
        }
        self.show();
        Ok(())
    }

    fn save(&mut self) -> Result<Vec<u8>, GameError> {
        let mut body = Vec::new();
        for board in &self.copies {
            state::push(&mut body, &serde_json::to_vec(board).expect("numbers under names can be written"));
        }
        Ok(state::pack(&self.of(), self.copies.len(), &body))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), GameError> {
        let count = self.copies.len();
        let parts = state::parts(state::body(state, &self.of(), count)?, count)?;
        let copies = parts
            .into_iter()
            .map(|part| {
                let copy: Board =
                    serde_json::from_slice(part).map_err(|error| GameError::State { why: error.to_string() })?;
                let why = || GameError::State { why: "a ball, a paddle or a reward is where none can be".to_owned() };
                copy.fits(&self.game).then_some(copy).ok_or_else(why)
            })
            .collect::<Result<_, _>>()?;
        self.copies = copies;
        self.show();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
