//! Procgen's library and the process it runs in.
//!
//! `folder` finds the library, `setup` is what it is made with, `library` calls it. It runs in a
//! `child`, which a `process` of the parent's asks by `message`.

mod child;
mod folder;
mod library;
mod message;
mod process;
mod setup;

use super::{Launch, Procgen};
use crate::{GameError, Games, Observation, Space, state};
use folder::Folder;
use library::{Library, SPACE};
use process::Process;
use setup::Setup;
use std::{env, process::ExitCode};

/// The first argument of a child; a person never types it.
const CHILD: &str = "--play-procgen-for-parent";

/// Plays Procgen where this process was started to, by [`Procgen::open`] of another; the exit code
/// is that of `main` then. A program asks before it reads its arguments.
pub fn child() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let setup = if arguments.next()? == CHILD { Setup::read(arguments)? } else { return None };
    Some(if child::serve(&setup).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Steps of the library in this very process, to measure what a child costs.
///
/// # Errors
/// As [`Procgen::open`]; where the library finds something wrong the process ends.
pub fn direct(procgen: &Procgen) -> Result<impl FnMut(&[u32]), GameError> {
    procgen.check_keys()?;
    let made = Library::make(&setup(procgen)?);
    let mut library = made.map_err(|why| GameError::Refused { game: procgen.game.name(), why })?;
    Ok(move |actions: &[u32]| library.act(actions.iter().map(|&action| action as i32)))
}

pub(super) fn find(procgen: &Procgen) -> Result<(), GameError> {
    Folder::find(&procgen.folder).map(drop)
}

pub(super) fn open(procgen: &Procgen, launch: &Launch) -> Result<Box<dyn Games>, GameError> {
    let Procgen { game, mode, levels, copies, .. } = procgen;
    let mut games = ProcgenGames {
        process: Process::start(game.name(), launch, &setup(procgen)?)?,
        of: format!("`{}` in mode `{}` on {levels}", game.name(), mode.name()),
        copies: *copies,
        shown: Vec::new(),
        rewards: Vec::new(),
        levels: Vec::new(),
        firsts: Vec::new(),
    };
    games.process.receive(message::SHOWN, &mut games.shown)?;
    games.read()?;
    Ok(Box::new(games))
}

fn setup(procgen: &Procgen) -> Result<Setup, GameError> {
    Ok(Setup {
        folder: Folder::find(&procgen.folder)?,
        game: procgen.game.name().to_owned(),
        mode: procgen.mode.number(),
        levels: procgen.levels,
        copies: procgen.copies,
        seed: i32::try_from(procgen.seed).expect("a seed was checked to have 31 bits"),
        threads: procgen.threads,
    })
}

/// Copies of a game of Procgen's, in a child.
struct ProcgenGames {
    process: Process,
    /// All that two of these must share for one to go on where the other was.
    of: String,
    copies: usize,
    /// The last that the child showed: rewards, levels, firsts and, at their end, the frames.
    shown: Vec<u8>,
    rewards: Vec<f32>,
    levels: Vec<u32>,
    firsts: Vec<bool>,
}

impl ProcgenGames {
    fn ask_to_show(&mut self, request: u8, bytes: &[u8]) -> Result<(), GameError> {
        self.process.ask(request, bytes, message::SHOWN, &mut self.shown)?;
        self.read()
    }

    fn read(&mut self) -> Result<(), GameError> {
        if self.shown.len() != self.copies * (4 + 4 + 1 + SPACE.frame()) {
            return Err(self.process.strange());
        }
        let (rewards, rest) = self.shown.split_at(4 * self.copies);
        let (levels, rest) = rest.split_at(4 * self.copies);
        self.rewards = message::numbers(rewards, f32::from_le_bytes).collect();
        self.levels = message::numbers(levels, u32::from_le_bytes).collect();
        self.firsts = rest[..self.copies].iter().map(|&first| first != 0).collect();
        Ok(())
    }
}

impl Games for ProcgenGames {
    /// Actions: 0 left-down, 1 left, 2 left-up, 3 down, 4 nothing, 5 up, 6 right-down, 7 right, 8
    /// right-up; 9 to 14 are what a game makes of the keys D, A, W, S, Q and E.
    fn space(&self) -> Space {
        SPACE
    }

    fn copies(&self) -> usize {
        self.copies
    }

    fn observe(&self) -> Observation<'_> {
        let Self { rewards, firsts, levels, .. } = self;
        let frames = self.shown.get(self.copies * 9..).unwrap_or_default();
        Observation { frames, rewards, firsts, levels }
    }

    fn act(&mut self, actions: &[u32]) -> Result<(), GameError> {
        SPACE.check(actions, self.copies)?;
        let bytes: Vec<u8> = actions.iter().flat_map(|action| action.to_le_bytes()).collect();
        self.ask_to_show(message::ACT, &bytes)
    }

    fn save(&mut self) -> Result<Vec<u8>, GameError> {
        let mut body = Vec::new();
        self.process.ask(message::SAVE, &[], message::SAVED, &mut body)?;
        Ok(state::pack(&self.of, self.copies, &body))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), GameError> {
        let body = state::body(state, &self.of, self.copies)?;
        state::parts(body, self.copies)?;
        self.ask_to_show(message::RESTORE, body)
    }
}

#[cfg(test)]
mod tests;
