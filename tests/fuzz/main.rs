//! Whatever a file holds, it is read or refused with its place, soon and in little memory.
//!
//! Inputs are made of the files that ship, by edits that know bytes, words and lines; one that was
//! answered in a new way is edited further. `FUZZ_SECONDS=600 FUZZ_SEED=7 cargo test --test fuzz --
//! --nocapture` tries each reader for so long, from other random numbers.
#![expect(clippy::panic, clippy::print_stdout, reason = "what fails here fails the test, and figures are printed")]

mod harness;
mod mutation;
mod seals;
mod texts;
mod weights;
mod world;

use cap::Cap;
use std::{alloc::System, error::Error, path::Path};

/// Counts what is taken, and refuses what is too much: then the process ends.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder that ships with these endings.
fn shipped(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder ships");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.retain(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("the file ships")).collect()
}

/// An error with all its causes.
fn said(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
