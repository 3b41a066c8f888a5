//! Procgen's games in a child that is the program itself.
//!
//! Most want the library: `DARTS_RUN_DATA=FOLDER cargo test --test procgen -- --ignored`, where
//! `FOLDER/procgen` is the unpacked wheel.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use darts_run::games::{Game, GameError, Games, Launch, Levels, Mode, Procgen};
use std::{
    fs,
    io::Read,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_darts-run");
const CHILD: &str = "--play-procgen-for-parent";

fn data() -> PathBuf {
    let root = std::env::var_os("DARTS_RUN_DATA").expect("DARTS_RUN_DATA names the folder with `procgen`");
    Path::new(&root).join("procgen")
}

fn procgen(game: &str) -> Procgen {
    let (game, mode) = (Game::named(game).unwrap(), Mode::Easy);
    Procgen { folder: data(), game, mode, levels: Levels::first(200), copies: 8, seed: 1, threads: 0 }
}

fn open(procgen: &Procgen) -> Box<dyn Games> {
    procgen.open(&launch()).unwrap()
}

fn refused(procgen: &Procgen) -> GameError {
    procgen.open(&launch()).err().unwrap()
}

fn launch() -> Launch {
    Launch { program: PROGRAM.into(), ..Launch::default() }
}

/// The actions of step `k` in the golden check.
fn actions(k: usize, copies: usize) -> Vec<u32> {
    (0..copies).map(|copy| ((7 * k + 3 * copy + k * k / 5) % 15) as u32).collect()
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// As C types in Python had them of the same library. Drawing may differ by the kind of processor,
/// which the hashes are of; the sums may not.
#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn coinrun_is_what_python_sees_on_any_number_of_threads() {
    for threads in [0, 2] {
        let mut games = open(&Procgen { copies: 64, threads, ..procgen("coinrun") });
        let first = games.observe();
        assert_eq!(first.levels[..4], [84, 46, 73, 94]);
        assert!(first.firsts.iter().all(|&first| first) && first.rewards.iter().all(|&reward| reward == 0.0));
        assert_eq!(first.frames.len(), 64 * games.space().frame());
        assert_eq!(format!("{:016x}", fnv(first.frames)), "986a755877a9a15b");
        let (mut reward, mut firsts) = (0.0, 0);
        for k in 0..1000 {
            games.act(&actions(k, 64)).unwrap();
            reward += games.observe().rewards.iter().sum::<f32>();
            firsts += games.observe().firsts.iter().filter(|&&first| first).count();
        }
        assert_eq!((reward, firsts), (60.0, 66));
        assert_eq!(format!("{:016x}", fnv(games.observe().frames)), "9ee367c094e1b730");
    }
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn what_is_restored_goes_on_as_if_never_interrupted() {
    for game in ["coinrun", "bigfish", "maze", "starpilot"] {
        let mut whole = open(&procgen(game));
        for k in 0..100 {
            whole.act(&actions(k, 8)).unwrap();
        }
        let mut resumed = open(&Procgen { seed: 99, ..procgen(game) });
        resumed.restore(&whole.save().unwrap()).unwrap();
        let mut ends = 0;
        for k in 100..700 {
            assert!(whole.observe() == resumed.observe(), "{game} differs before step {k}");
            whole.act(&actions(k, 8)).unwrap();
            resumed.act(&actions(k, 8)).unwrap();
            ends += whole.observe().firsts.iter().filter(|&&first| first).count();
        }
        assert!(whole.observe() == resumed.observe());
        assert!(ends > 0, "no episode of {game} ended");
    }
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn every_game_plays_in_every_mode_that_it_has() {
    let mut played = 0;
    for game in Game::ALL {
        for mode in Mode::ALL {
            let procgen = Procgen { mode, copies: 1, ..procgen(game.name()) };
            let mut games = match procgen.open(&launch()) {
                Ok(games) => games,
                Err(error) => {
                    assert!(matches!(error, GameError::Mode { .. }), "{error}");
                    continue;
                }
            };
            let first = games.observe().frames.to_vec();
            for k in 0..10 {
                games.act(&actions(k, 1)).unwrap();
            }
            assert!(games.observe().frames != first, "nothing moves in {game:?}");
            played += 1;
        }
    }
    assert_eq!(played, 16 + 16 + 4 + 6);
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn levels_to_learn_on_and_to_test_on_share_none() {
    let played = |levels| {
        let mut games = open(&Procgen { levels, copies: 64, ..procgen("bigfish") });
        let mut played = games.observe().levels.to_vec();
        for k in 0..100 {
            games.act(&actions(k, 64)).unwrap();
            played.extend(games.observe().levels);
        }
        played
    };
    assert!(played(Levels::first(200)).iter().all(|level| *level < 200));
    assert!(played(Levels::after(200)).iter().all(|level| *level >= 200));
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn a_state_of_something_else_or_a_damaged_one_changes_nothing() {
    let mut games = open(&procgen("coinrun"));
    let state = games.save().unwrap();
    for other in [
        Procgen { mode: Mode::Hard, ..procgen("coinrun") },
        Procgen { levels: Levels::after(200), ..procgen("coinrun") },
        Procgen { copies: 7, ..procgen("coinrun") },
        procgen("maze"),
    ] {
        let mut other = open(&other);
        let before = other.observe().frames.to_vec();
        let error = other.restore(&state).unwrap_err();
        assert!(matches!(error, GameError::StateOf { .. } | GameError::StateCopies { .. }), "{error}");
        assert!(other.observe().frames == before);
        let copies = other.copies();
        other.act(&actions(0, copies)).unwrap();
    }
    let mut damaged = state.clone();
    damaged[100_000] ^= 1;
    for damaged in [&damaged, &state[..state.len() - 1]] {
        let error = games.restore(damaged).unwrap_err();
        assert_eq!(error.to_string(), "the saved state is damaged: its bytes do not have its checksum");
    }
    games.restore(&state).unwrap();
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn a_folder_without_a_picture_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (data().join("procgen/data"), folder.path());
    symlink(from.join("prebuilt/libenv.so"), to.join("libenv.so")).unwrap();
    link_pictures(&from.join("assets"), &to.join("assets"), &mut |path| {
        path.ends_with("kenney/Ground/Dirt/dirtMid.png")
    });
    let error = refused(&Procgen { folder: to.to_owned(), ..procgen("coinrun") });
    let said = error.to_string();
    assert!(matches!(error, GameError::Ended { .. }) && said.contains("dirtMid.png"), "{said}");
}

/// The same pictures in folders of their own, but for those left out.
fn link_pictures(from: &Path, to: &Path, left_out: &mut impl FnMut(&Path) -> bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            link_pictures(&path, &to, left_out);
        } else if !left_out(&path) {
            symlink(&path, &to).unwrap();
        }
    }
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn a_killed_child_is_an_error_and_stays_one() {
    let seed = 1_000_000 + u64::from(std::process::id());
    let mut games = open(&Procgen { seed, ..procgen("coinrun") });
    games.act(&actions(0, 8)).unwrap();
    let frames = games.observe().frames.to_vec();
    let killed = Command::new("kill").args(["-KILL", &child(seed)]).status().unwrap();
    assert!(killed.success());
    let error = games.act(&actions(1, 8)).unwrap_err();
    assert_eq!(error.to_string(), "the process that plays `coinrun` ended (signal: 9 (SIGKILL))");
    assert_eq!(games.save().unwrap_err().to_string(), "the process that plays `coinrun` has ended");
    assert!(games.observe().frames == frames, "what was shown last can still be looked at");
}

/// The id of the child with this seed.
fn child(seed: u64) -> String {
    let seed = seed.to_string().into_bytes();
    let is_child = |id: &String| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = arguments.split(|&byte| byte == 0).collect();
        arguments.contains(&CHILD.as_bytes()) && arguments.contains(&seed.as_slice())
    };
    let processes = fs::read_dir("/proc").unwrap();
    let mut ids = processes.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    ids.find(is_child).expect("a child with the seed")
}

#[test]
#[ignore = "needs `procgen` in the folder that DARTS_RUN_DATA names"]
fn a_child_ends_when_its_parents_end_of_the_pipe_closes() {
    let data = data().join("procgen/data");
    let mut child = Command::new(PROGRAM)
        .arg(CHILD)
        .args([data.join("prebuilt/libenv.so"), data.join("assets")])
        .args(["coinrun", "0", "0", "200", "1", "1", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It plays: it has greeted and shows something.
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 100]).unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_file_that_is_no_library_is_refused_by_the_child_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("libenv.so"), "no library").unwrap();
    let (game, mode) = (Game::named("maze").unwrap(), Mode::Hard);
    let folder = folder.path().to_owned();
    let error = refused(&Procgen { folder, game, mode, levels: Levels::ALL, copies: 1, seed: 0, threads: 0 });
    let said = error.to_string();
    assert!(said.starts_with("`maze` cannot be played: its library cannot be used: "), "{said}");
    assert!(error.hint().unwrap().contains("unzip"));
}

#[test]
fn a_person_who_types_the_childs_argument_is_told_that_there_is_none() {
    let output = Command::new(PROGRAM).arg(CHILD).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(CHILD));
}
