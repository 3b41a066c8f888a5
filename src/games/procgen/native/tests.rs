//! What takes no library: a child that is none.

use super::*;
use crate::{Game, Levels, Mode};
use std::{fs, path::Path, process::Command, time::Duration};

/// A folder like Procgen's, of which nobody gets to read a file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("libenv.so"), "no library").unwrap();
    folder
}

fn procgen(folder: &Path) -> Procgen {
    let (game, mode) = (Game::named("coinrun").unwrap(), Mode::Easy);
    Procgen { folder: folder.to_owned(), game, mode, levels: Levels::ALL, copies: 2, seed: 1, threads: 0 }
}

fn refused(program: impl AsRef<Path>, patience: Duration) -> GameError {
    let launch = Launch { program: program.as_ref().to_owned(), patience };
    procgen(folder().path()).open(&launch).err().unwrap()
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_program_that_is_not_there_or_not_ours_is_an_error_with_its_name() {
    let error = refused("/no/such", LONG);
    assert_eq!(error.to_string(), "failed to start `/no/such` as the process that plays `coinrun`");
    // It says its arguments.
    let error = refused("/bin/echo", LONG);
    assert_eq!(error.to_string(), "`/bin/echo` does not answer as the process that plays `coinrun`");
}

#[test]
fn a_program_that_ends_is_an_error_with_what_it_said() {
    let GameError::Ended { how, said, .. } = refused("/bin/cat", LONG) else { panic!("it knows no such option") };
    assert_eq!(how, "exit status: 1");
    assert!(said.contains(CHILD), "{said}");
}

#[test]
fn a_child_that_says_nothing_is_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let program = scratch.path().join("hangs");
    // By another process: while this one has a file open for writing, a child of another test may
    // have it too, and then it cannot be run.
    let write = "printf '#!/bin/sh\\necho wait >&2\\nexec sleep 1000\\n' >\"$0\" && chmod +x \"$0\"";
    assert!(Command::new("/bin/sh").args(["-c", write]).arg(&program).status().unwrap().success());
    let error = refused(&program, Duration::from_secs(1));
    let said = "the process that plays `coinrun` did not answer for 1 s and was ended; it said: wait";
    assert_eq!(error.to_string(), said);
}

#[test]
fn what_the_library_would_end_its_process_for_is_refused_before_there_is_one() {
    let folder = folder();
    let launch = Launch { program: "/no/such".into(), ..Launch::default() };
    let said = |procgen: Procgen| procgen.open(&launch).err().unwrap().to_string();
    let good = procgen(folder.path());
    assert_eq!(said(Procgen { mode: Mode::Memory, ..good.clone() }), "`coinrun` has no mode `memory`");
    assert_eq!(said(Procgen { copies: 0, ..good.clone() }), "`copies` must be from 1 to 4096, found `0`");
    assert_eq!(
        said(Procgen { seed: 1 << 31, ..good.clone() }),
        "`seed` must be from 0 to 2147483647, found `2147483648`"
    );
    assert_eq!(said(Procgen { threads: 257, ..good.clone() }), "`threads` must be from 0 to 256, found `257`");
    assert!(said(Procgen { levels: Levels::first(0), ..good.clone() }).starts_with("`levels` must be"));
    assert!(said(Procgen { folder: "/no".into(), ..good }).starts_with("found no Procgen in `/no`"));
}
