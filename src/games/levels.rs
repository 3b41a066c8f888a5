//! Which levels of a game are played.

use crate::GameError;
use std::fmt;

/// Levels by number, of which each episode draws one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    pub start: u32,
    pub count: u32,
}

impl Levels {
    /// How many there are. Procgen counts in `i32`.
    const LIMIT: u32 = i32::MAX as u32;

    pub const ALL: Self = Self { start: 0, count: Self::LIMIT };

    /// The first `count`: those to learn on.
    pub const fn first(count: u32) -> Self {
        Self { start: 0, count }
    }

    /// All but the first `count`: those to test on.
    pub const fn after(count: u32) -> Self {
        Self { start: count, count: Self::LIMIT.saturating_sub(count) }
    }

    /// One alone.
    pub const fn one(level: u32) -> Self {
        Self { start: level, count: 1 }
    }

    pub(crate) fn check(self) -> Result<(), GameError> {
        let there = Self::LIMIT.saturating_sub(self.start);
        if (1..=there).contains(&self.count) {
            return Ok(());
        }
        let expected = format!("from 1 to {there} levels after level {}", self.start);
        Err(GameError::setting("levels", expected, self.count))
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} levels from {}", self.count, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_to_learn_on_and_to_test_on_are_all_and_share_none() {
        let (seen, unseen) = (Levels::first(200), Levels::after(200));
        assert_eq!((seen.start, seen.start + seen.count), (0, unseen.start));
        // The number that Procgen's own evaluations use.
        assert_eq!(unseen.count, 2_147_483_447);
        assert_eq!(seen.count + unseen.count, Levels::ALL.count);
        for levels in [seen, unseen, Levels::ALL, Levels { start: i32::MAX as u32 - 1, count: 1 }] {
            levels.check().unwrap();
        }
    }

    #[test]
    fn no_levels_and_levels_past_the_last_are_refused() {
        for levels in [Levels::first(0), Levels::after(u32::MAX), Levels { start: 1, count: i32::MAX as u32 }] {
            let said = levels.check().unwrap_err().to_string();
            assert!(said.starts_with("`levels` must be from 1 to "), "{said}");
        }
    }
}
