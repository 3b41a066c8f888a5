//! The games of Procgen and how hard each can be.

use crate::GameError;

/// One of the 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Game(&'static str);

impl Game {
    pub const ALL: [Self; 16] = {
        let mut all = [Self(""); 16];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self(GAMES[at].0);
            at += 1;
        }
        all
    };

    /// # Errors
    /// Where there is no game of the name.
    pub fn named(name: &str) -> Result<Self, GameError> {
        let found = Self::ALL.into_iter().find(|game| game.0 == name);
        found.ok_or_else(|| GameError::setting("game", one_of(Self::ALL.map(Self::name)), name))
    }

    pub fn name(self) -> &'static str {
        self.0
    }

    /// The returns that a normalised one counts from, 0 and 1: what a player gets who does not
    /// look, and the most, or the most that was reached. `None` for modes that OpenAI gives none
    /// for.
    ///
    /// They are those of `train_procgen/constants.py`. The table of the Procgen paper (arXiv
    /// 1912.01588) has 3 and not 1 and 1.5 for `jumper` and `leaper` in easy mode.
    pub fn range(self, mode: Mode) -> Option<[f64; 2]> {
        let (_, easy, hard) = GAMES.into_iter().find(|(name, ..)| *name == self.0)?;
        match mode {
            Mode::Easy => Some(easy),
            Mode::Hard => Some(hard),
            Mode::Extreme | Mode::Memory => None,
        }
    }
}

/// By name, with the [range](Game::range) in easy mode and in hard mode.
const GAMES: [(&str, [f64; 2], [f64; 2]); 16] = [
    ("bigfish", [1.0, 40.0], [0.0, 40.0]),
    ("bossfight", [0.5, 13.0], [0.5, 13.0]),
    ("caveflyer", [3.5, 12.0], [2.0, 13.4]),
    ("chaser", [0.5, 13.0], [0.5, 14.2]),
    ("climber", [2.0, 12.6], [1.0, 12.6]),
    ("coinrun", [5.0, 10.0], [5.0, 10.0]),
    ("dodgeball", [1.5, 19.0], [1.5, 19.0]),
    ("fruitbot", [-1.5, 32.4], [-0.5, 27.2]),
    ("heist", [3.5, 10.0], [2.0, 10.0]),
    ("jumper", [1.0, 10.0], [1.0, 10.0]),
    ("leaper", [1.5, 10.0], [1.5, 10.0]),
    ("maze", [5.0, 10.0], [4.0, 10.0]),
    ("miner", [1.5, 13.0], [1.5, 20.0]),
    ("ninja", [3.5, 10.0], [2.0, 10.0]),
    ("plunder", [4.5, 30.0], [3.0, 30.0]),
    ("starpilot", [2.5, 64.0], [1.5, 35.0]),
];

/// How hard a game is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Easy,
    Hard,
    /// Of four games.
    Extreme,
    /// Of six games: the player sees little around them, in worlds that are larger.
    Memory,
}

impl Mode {
    pub const ALL: [Self; 4] = [Self::Easy, Self::Hard, Self::Extreme, Self::Memory];

    /// # Errors
    /// Where there is no mode of the name.
    pub fn named(name: &str) -> Result<Self, GameError> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| GameError::setting("mode", one_of(Self::ALL.map(Self::name)), name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Hard => "hard",
            Self::Extreme => "extreme",
            Self::Memory => "memory",
        }
    }

    /// As the library counts them.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Easy => 0,
            Self::Hard => 1,
            Self::Extreme => 2,
            Self::Memory => 10,
        }
    }

    /// Whether `game` has this mode; the library ends its process where not.
    pub(super) fn check(self, game: Game) -> Result<(), GameError> {
        let games: &[&'static str] = match self {
            Self::Easy | Self::Hard => return Ok(()),
            Self::Extreme => &["chaser", "dodgeball", "leaper", "starpilot"],
            Self::Memory => &["caveflyer", "dodgeball", "heist", "jumper", "maze", "miner"],
        };
        let refused = || GameError::Mode { game: game.name(), mode: self.name(), games: games.to_vec() };
        games.contains(&game.name()).then_some(()).ok_or_else(refused)
    }
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    format!("one of {}", names.map(|name| format!("`{name}`")).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn games_and_modes_are_found_by_name_and_others_are_refused_with_all_names() {
        for game in Game::ALL {
            assert_eq!(Game::named(game.name()).unwrap(), game);
        }
        for mode in Mode::ALL {
            assert_eq!(Mode::named(mode.name()).unwrap(), mode);
        }
        let said = Game::named("Coinrun").unwrap_err().to_string();
        assert!(said.starts_with("`game` must be one of `bigfish`, ") && said.ends_with("found `Coinrun`"), "{said}");
        let said = Mode::named("exploration").unwrap_err().to_string();
        assert_eq!(said, "`mode` must be one of `easy`, `hard`, `extreme`, `memory`, found `exploration`");
    }

    #[test]
    fn every_game_has_a_range_of_returns_where_it_is_easy_or_hard() {
        for game in Game::ALL {
            for mode in [Mode::Easy, Mode::Hard] {
                let [least, most] = game.range(mode).unwrap();
                assert!(least < most, "{}", game.name());
            }
            assert_eq!(game.range(Mode::Memory), None);
        }
        assert_eq!(Game::named("fruitbot").unwrap().range(Mode::Hard), Some([-0.5, 27.2]));
    }

    #[test]
    fn a_mode_that_a_game_has_not_is_refused_with_the_games_that_have_it() {
        let error = Mode::Extreme.check(Game::named("coinrun").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "`coinrun` has no mode `extreme`");
        assert_eq!(error.hint().unwrap(), "`extreme` is for `chaser`, `dodgeball`, `leaper`, `starpilot`");
        Mode::Extreme.check(Game::named("chaser").unwrap()).unwrap();
    }
}
