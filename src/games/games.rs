//! What every game offers.

use crate::GameError;

/// As many copies as memory surely holds.
pub(crate) const MOST_COPIES: u64 = 4096;

/// Several copies of one game. Each begins anew by itself when its episode ends.
pub trait Games: Send {
    fn space(&self) -> Space;

    fn copies(&self) -> usize;

    /// What all copies show now. Looking changes nothing.
    fn observe(&self) -> Observation<'_>;

    /// Moves each copy one step: an action for each, below [`Space::actions`].
    ///
    /// # Errors
    /// Where there are other than so many actions, or one that there is not: nothing has moved then.
    /// Where the games have ended: they are over for good.
    fn act(&mut self, actions: &[u32]) -> Result<(), GameError>;

    /// All that is to come depends on, actions aside.
    ///
    /// # Errors
    /// Where the games have ended.
    fn save(&mut self) -> Result<Vec<u8>, GameError>;

    /// Goes on from where `state` was saved, whatever seed these copies began with.
    ///
    /// # Errors
    /// Where the state is damaged, or of another game, other levels, another number of copies or
    /// another version: nothing has changed then. Where the games have ended.
    fn restore(&mut self, state: &[u8]) -> Result<(), GameError>;
}

/// What a game shows, and how many ways to act it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub height: usize,
    pub width: usize,
    /// Bytes of a pixel.
    pub channels: usize,
    pub actions: u32,
}

impl Space {
    /// Bytes of one frame.
    pub fn frame(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there is one action for each copy.
    pub(crate) fn check(&self, actions: &[u32], copies: usize) -> Result<(), GameError> {
        if actions.len() != copies {
            return Err(GameError::Actions { expected: copies, found: actions.len() });
        }
        match actions.iter().position(|&action| action >= self.actions) {
            Some(copy) => Err(GameError::Action { copy, found: actions[copy], actions: self.actions }),
            None => Ok(()),
        }
    }
}

/// What the copies of a game show, each slice by copy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation<'a> {
    /// `[copy, height, width, channel]` in one block.
    pub frames: &'a [u8],
    /// Of the last step; 0 before the first.
    pub rewards: &'a [f32],
    /// Whether the frame is the first of an episode. The reward is then the old episode's last, of
    /// which no last frame is shown.
    pub firsts: &'a [bool],
    /// The level that is played.
    pub levels: &'a [u32],
}
