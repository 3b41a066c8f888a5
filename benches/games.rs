//! Frames a second of Procgen through a child, beside the library called in one process:
//! `DARTS_RUN_DATA=FOLDER cargo bench -p darts-games`, with `procgen` in the folder.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use darts_games::{Game, Launch, Levels, Mode, Procgen};
use std::{error::Error, path::Path, process::ExitCode, time::Instant};

const COPIES: usize = 64;
const STEPS: usize = 300;
const TRIES: usize = 9;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The child is this bench itself.
    if let Some(code) = darts_games::child() {
        return Ok(code);
    }
    let data = std::env::var("DARTS_RUN_DATA").map_err(|_| "DARTS_RUN_DATA names no folder with `procgen` in it")?;
    println!("{COPIES} copies, {STEPS} steps, random actions, best of {TRIES}");
    println!("{:12} {:>8} {:>12} {:>12} {:>8}", "game", "threads", "directly/s", "by child/s", "kept");
    for (name, threads) in [("coinrun", 0), ("coinrun", 2), ("starpilot", 0), ("starpilot", 2)] {
        let procgen = Procgen {
            folder: Path::new(&data).join("procgen"),
            game: Game::named(name)?,
            mode: Mode::Easy,
            levels: Levels::first(200),
            copies: COPIES,
            seed: 1,
            threads,
        };
        let (mut directly, mut by_child) = (0.0f64, 0.0f64);
        let mut act = darts_games::direct(&procgen)?;
        let mut games = procgen.open(&Launch::default())?;
        for _ in 0..TRIES {
            directly = directly.max(frames_a_second(|actions| {
                act(actions);
                Ok(())
            })?);
            by_child = by_child.max(frames_a_second(|actions| Ok(games.act(actions)?))?);
        }
        let kept = format!("{:.0} %", 100.0 * by_child / directly);
        println!("{name:12} {threads:>8} {directly:>12.0} {by_child:>12.0} {kept:>8}");
    }
    Ok(ExitCode::SUCCESS)
}

fn frames_a_second(mut act: impl FnMut(&[u32]) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    // A multiplier of Knuth's: even enough for buttons.
    let mut state = 1u64;
    let mut actions = [0; COPIES];
    let began = Instant::now();
    for _ in 0..STEPS {
        for action in &mut actions {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *action = (state >> 33) as u32 % 15;
        }
        act(&actions)?;
    }
    Ok((COPIES * STEPS) as f64 / began.elapsed().as_secs_f64())
}
