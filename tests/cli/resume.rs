//! Searches that are stopped in every way and still come to the same bits.

use crate::scratch::{Scratch, wait_until};
use rand::{RngExt, SeedableRng};

/// More steps than are taken while the program is stopped a few times.
const LONGER: [&str; 2] = ["--set", "search.epochs=12"];

fn arguments<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    ["tiny.yaml", "--store", store].into_iter().chain(LONGER).chain(more.iter().copied()).collect()
}

#[test]
fn killed_at_random_moments_a_search_comes_to_the_bits_of_an_uninterrupted_one() {
    let [whole, rounded] = ["f32", "bf16"].map(|precision| {
        let scratch = Scratch::new();
        let precision = ["--set", &format!("search.precision={precision}")];
        scratch.run(&arguments("whole", &precision)).exits(0);
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        // Before there is a checkpoint, right after the first, and wherever some more events lead.
        for events in [1, 3].into_iter().chain((0..3).map(|_| random.random_range(5..12))) {
            let run = scratch.start(&arguments("killed", &precision));
            run.wait_for_any(events);
            run.kill();
        }
        let run = scratch.start(&arguments("killed", &precision));
        run.wait_for("checkpoint_saved");
        run.kill();
        scratch.run(&arguments("killed", &precision)).exits(0).line(&["search", "resumed at"]);
        for kind in ["search", "derive", "report"] {
            assert_eq!(scratch.outputs("whole", kind), scratch.outputs("killed", kind), "{kind}, {precision:?}");
        }
        assert!(scratch.files("killed/work-v1").is_empty(), "checkpoints of finished work are gone");
        scratch.outputs("whole", "search")
    });
    assert_ne!(whole, rounded, "the precision decides the bits");
}

#[test]
fn a_signal_saves_a_checkpoint_and_says_with_its_code_that_the_search_can_go_on() {
    let scratch = Scratch::new();
    scratch.run(&arguments("whole", &[])).exits(0);
    let signals = [("TERM", 75), ("USR1", 75), ("HUP", 75), ("INT", 130)];
    // Below `nohup` the program is not to end by a hangup.
    for (signal, code) in signals.into_iter().filter(|(signal, _)| *signal != "HUP" || !hangup_is_ignored()) {
        let run = scratch.start(&arguments("stopped", &[]));
        run.wait_for("checkpoint_saved");
        run.signal(signal);
        run.ended().exits(code);
    }
    scratch.run(&arguments("stopped", &[])).exits(0).line(&["search", "resumed at"]);
    assert_eq!(scratch.outputs("whole", "search"), scratch.outputs("stopped", "search"));
}

/// Whether this process, and so what it starts, ignores a hangup.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn a_hangup_that_is_ignored_stops_nothing() {
    let scratch = Scratch::new();
    let run = scratch.start_without_hangup(&arguments("stays", &[]));
    run.wait_for("checkpoint_saved");
    run.signal("HUP");
    let ended = run.ended().exits(0);
    assert!(!ended.stderr.contains("interrupted"), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_published_is_learned_already() {
    let scratch = Scratch::new();
    // No checkpoint on the way, so that the one at the end is seen.
    scratch.edit("tiny.yaml", &[("    runtime: {checkpoint: {every_steps: 1}}\n", "")]);
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

/// The command that people prove it with themselves.
#[test]
fn a_run_that_is_killed_is_compared_with_one_that_is_not() {
    let scratch = Scratch::new();
    let ended = scratch.run(&["verify-resume", "tiny.yaml", "--kills", "3", "--seed", "7"]).exits(0);
    assert!(ended.stdout.contains("search: the same "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("\nkilled 3 times, 0 of 5 stages differ\n"), "{}", ended.stdout);
    assert!(!scratch.path("verify-resume").exists());
    scratch.write("verify-resume", "");
    scratch.run(&["verify-resume", "tiny.yaml"]).exits(3).line(&["failed to make the folder `verify-resume`"]);
}

#[test]
fn a_proof_that_is_stopped_or_whose_run_fails_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let slow = ["verify-resume", "tiny.yaml", "--set", "search.epochs=500"];
    let proof = scratch.start_deaf(&slow);
    wait_until("the first run has a store", || scratch.path("verify-resume/whole").is_dir());
    proof.signal("TERM");
    proof.ended().exits(75);
    assert!(!scratch.path("verify-resume").exists());

    let diverging = ["--set", "search.weights.learning_rate=1e30", "--set", "search.weights.clip_norm=1e30"];
    let failed = scratch.run(&[&["verify-resume", "tiny.yaml"], &diverging[..]].concat()).exits(1);
    assert!(failed.stderr.contains("the run ended with exit status: 1"), "{}", failed.stderr);
    assert!(!scratch.path("verify-resume").exists());
}
