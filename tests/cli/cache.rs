//! A pipeline typed twice: what runs again, what does not, and why.

use crate::scratch::Scratch;
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn a_second_run_answers_from_the_store_and_a_changed_key_reruns_what_depends_on_it() {
    let scratch = Scratch::new();
    let first = scratch.run(&["tiny.yaml"]).exits(0);
    assert!(first.stdout.contains("imagenet16 120 test"), "the table is on stdout:\n{}", first.stdout);
    assert!(scratch.path("artifacts/reports/tiny/report/report.html").is_file());

    let second = scratch.run(&["tiny.yaml"]).exits(0);
    for stage in ["images", "search", "cell", "table", "report"] {
        second.line(&[stage, "cached"]);
    }
    assert_eq!(first.stdout, second.stdout);

    let changed = scratch.run(&["tiny.yaml", "--set", "search.epochs=4"]).exits(0);
    changed.line(&["images", "cached"]);
    changed.line(&["search", "ran, because params.epochs 3 → 4"]);
    // Back again: the older result is still there.
    scratch.run(&["tiny.yaml"]).exits(0).line(&["search", "cached"]);
}

#[test]
fn what_runs_the_result_but_not_what_it_is_changes_no_key() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let other =
        scratch.run(&["tiny.yaml", "--set", "runtime.threads=1", "--set", "runtime.checkpoint.every_seconds=5"]);
    other.exits(0).line(&["search", "cached"]);
    scratch.run(&["tiny.yaml", "--set", "search.mixing=sigmoid"]).exits(0).line(&[
        "search",
        "params.mixing",
        "sigmoid",
    ]);
}

#[test]
fn a_damaged_object_is_told_and_made_anew() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let before = scratch.outputs("artifacts", "search");
    let (name, digest) = before.iter().find(|(name, _)| *name == "weights").unwrap();
    assert_eq!(name, "weights");
    let object = scratch.path("artifacts/objects-v1").join(&digest[..2]).join(&digest[2..]);
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&object, bytes).unwrap();

    let mended = scratch.run(&["tiny.yaml"]).exits(0);
    mended.line(&["damaged", &digest[2..]]);
    mended.line(&["search", "ran"]);
    mended.line(&["cell", "cached"]);
    assert_eq!(scratch.outputs("artifacts", "search"), before, "the same bits as before");
}

#[test]
fn a_missed_expectation_is_a_code_of_its_own_each_time_it_is_seen() {
    let scratch = Scratch::new();
    let expecting = "{of: [search], expect: [{value: search.train_loss, at_most: 0.0001, tolerance: 0.00001}]}";
    scratch.edit("tiny.yaml", &[("{of: [images, search, cell, table]}", expecting)]);
    for _ in 0..2 {
        let ended = scratch.run(&["tiny.yaml"]).exits(5);
        assert!(ended.stdout.contains("missed by"), "{}", ended.stdout);
    }
}

#[test]
fn members_of_a_matrix_are_gathered_and_those_with_equal_seeds_share_results() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    scratch.edit(
        "tiny.yaml",
        &[
            ("name: tiny\n", "name: tiny\nmatrix: {seed: [1, 2]}\n"),
            ("seed: 1\n", "seed: \"${matrix.seed}\"\n"),
            ("[images, search, cell, table]", "[images, 'search[*]', 'cell[*]', 'table[*]']"),
        ],
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(0);
    ended.line(&["search[seed=1]", "cached"]);
    ended.line(&["search[seed=2]", "ran"]);
    assert!(ended.stdout.contains("n = 2"), "mean and spread over both:\n{}", ended.stdout);
}
