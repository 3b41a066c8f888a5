//! Searches that are stopped in every way and still come to the same bits.

use crate::scratch::{Ended, Scratch};
use rand::{RngExt, SeedableRng};
use std::{
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

/// Longer than it takes to kill the program a few times.
const LONGER: [&str; 2] = ["--set", "search.epochs=8"];

fn arguments<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    ["tiny.yaml", "--store", store].into_iter().chain(LONGER).chain(more.iter().copied()).collect()
}

#[test]
fn killed_at_random_moments_a_search_comes_to_the_bits_of_an_uninterrupted_one() {
    let scratch = Scratch::new();
    scratch.run(&arguments("whole", &[])).exits(0);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut resumed = 0;
    for _ in 0..6 {
        let mut child = scratch.start(&arguments("killed", &[]));
        sleep(Duration::from_millis(random.random_range(60..700)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        resumed += usize::from(String::from_utf8_lossy(&output.stderr).contains("resumed at"));
    }
    let last = scratch.run(&arguments("killed", &[])).exits(0);
    resumed += usize::from(last.stderr.contains("resumed at"));
    assert!(resumed > 0, "at least one of seven runs went on from a checkpoint");
    assert_eq!(scratch.outputs("whole", "search"), scratch.outputs("killed", "search"));
    assert_eq!(scratch.outputs("whole", "derive"), scratch.outputs("killed", "derive"));
    assert_eq!(scratch.outputs("whole", "report"), scratch.outputs("killed", "report"), "times are no part of it");
    assert!(scratch.files("killed/work-v1").is_empty(), "checkpoints of finished work are gone");
}

#[test]
fn a_signal_saves_a_checkpoint_and_says_with_its_code_that_the_search_can_go_on() {
    let scratch = Scratch::new();
    scratch.run(&arguments("whole", &[])).exits(0);
    for (signal, code) in [("TERM", 75), ("HUP", 75), ("INT", 130)] {
        let child = scratch.start(&arguments("stopped", &[]));
        sleep(Duration::from_millis(400));
        send(signal, &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        // A machine that is quick enough is done before the signal comes.
        assert!(ended.code == Some(code) || ended.code == Some(0), "{ended:?}");
    }
    scratch.run(&arguments("stopped", &[])).exits(0);
    assert_eq!(scratch.outputs("whole", "search"), scratch.outputs("stopped", "search"));
}

fn send(signal: &str, to: &Child) {
    let kill = Command::new("kill").args(["-s", signal, &to.id().to_string()]).status().expect("`kill` can be started");
    assert!(kill.success());
}

#[test]
fn a_hangup_that_is_ignored_stops_nothing() {
    let scratch = Scratch::new();
    let child = scratch.start_without_hangup(&arguments("stays", &[]));
    sleep(Duration::from_millis(400));
    send("HUP", &child);
    let ended = Ended::from(child.wait_with_output().unwrap()).exits(0);
    assert!(!ended.stderr.contains("interrupted"), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_published_is_learned_already() {
    let scratch = Scratch::new();
    // No checkpoint on the way, so that the one at the end is seen.
    let text = std::fs::read_to_string(scratch.path("tiny.yaml")).unwrap();
    scratch.write("tiny.yaml", &text.replace("    runtime: {checkpoint: {every_steps: 1}}\n", ""));
    scratch.run(&["tiny.yaml", "--store", "whole"]).exits(0);
    let whole = scratch.outputs("whole", "search");
    // In the way of the folder of the last output.
    let folder = scratch.path("hindered/objects-v1").join(&whole["weights"][..2]);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "").unwrap();
    let failed = scratch.run(&["tiny.yaml", "--store", "hindered"]).exits(4);
    assert!(failed.stderr.contains(&whole["weights"][..2]), "{}", failed.stderr);
    std::fs::remove_file(&folder).unwrap();
    let again = scratch.run(&["tiny.yaml", "--store", "hindered"]).exits(0);
    again.line(&["search", "resumed at its end"]);
    assert_eq!(scratch.outputs("hindered", "search"), whole);
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let scratch = Scratch::new();
    for threads in ["1", "2", "3"] {
        let setting = format!("runtime.threads={threads}");
        scratch.run(&arguments(threads, &["--set", &setting])).exits(0);
    }
    let one = scratch.outputs("1", "search");
    assert!(one.contains_key("weights") && one.contains_key("alphas") && one.contains_key("metrics"));
    assert_eq!(one, scratch.outputs("2", "search"));
    assert_eq!(one, scratch.outputs("3", "search"));
}
