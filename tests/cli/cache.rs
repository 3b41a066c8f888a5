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
fn a_plan_says_what_a_run_then_does_and_makes_nothing() {
    let scratch = Scratch::new();
    let ended = scratch.run(&["plan", "tiny.yaml"]).exits(0);
    assert!(ended.stdout.starts_with("images: would run, never run\nsearch: waits for images\n"), "{}", ended.stdout);
    assert!(!scratch.path("artifacts").exists() && ended.stderr.is_empty());
    scratch.run(&["tiny.yaml"]).exits(0);
    let cached = scratch.run(&["plan", "tiny.yaml"]).exits(0).stdout;
    assert!(cached.ends_with("cached\n5 stages: 5 cached\n"), "{cached}");

    let changed = ["plan", "tiny.yaml", "--set", "search.epochs=4"];
    let said = scratch.run(&changed).exits(0).stdout;
    assert!(said.contains("\nsearch: would run, because params.epochs 3 → 4; took "), "{said}");
    assert!(said.contains("\ncell: waits for search; took "), "{said}");
    let lines = scratch.run(&[&changed[..], &["--json"]].concat()).exits(0).stdout;
    let search: serde_json::Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&search["stage"], &search["outlook"]), (&"search".into(), &"runs".into()));
    assert_eq!(search["reasons"][0], serde_json::json!({"reason": "param", "path": "epochs", "old": 3, "new": 4}));
}

#[test]
fn the_newest_results_are_listed_with_what_came_of_them() {
    let scratch = Scratch::new();
    scratch.run(&["runs"]).exits(3).line(&["`artifacts` is no store"]);
    scratch.run(&["tiny.yaml"]).exits(0);
    let runs = scratch.run(&["runs"]).exits(0);
    assert_eq!(runs.stdout.lines().filter(|line| line.starts_with("tiny/")).count(), 5, "{}", runs.stdout);
    assert_eq!(scratch.run(&["runs", "other"]).exits(0).stdout, "no result\n");
    let line = scratch.run(&["runs", "tiny", "--last", "1", "--json"]).exits(0).stdout;
    let result: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(result["stage"].as_str().unwrap().starts_with("tiny/") && result["finished"].is_u64(), "{line}");
}

#[test]
fn two_results_are_compared_down_to_the_epoch_and_the_alpha() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let line = scratch.run(&["runs", "--json", "--last", "9"]).exits(0).stdout;
    let of_search = line.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let key = of_search.filter(|run| run["stage"] == "tiny/search").map(|run| run["key"].as_str().unwrap().to_owned());
    let key = key.collect::<Vec<_>>().remove(0);
    let same = scratch.run(&["explain", &key[..8], "tiny/search"]).exits(0).stdout;
    assert!(same.starts_with("made of the same\nthe same bytes: alphas, metrics, space, weights\n"), "{same}");

    scratch.run(&["tiny.yaml", "search", "--set", "search.seed=7"]).exits(0);
    let other = scratch.run(&["explain", &key[..8], "tiny/search"]).exits(0).stdout;
    assert!(other.starts_with("made of\n  params.seed 1 → 7\nthe same bytes: space\n"), "{other}");
    assert!(other.contains("\ntheir ways part in epoch 1\n"), "{other}");
    assert!(other.contains("\nthe alpha that differs most after epoch 3: arch_parameters "), "{other}");

    let reasons = scratch.run(&["explain", "tiny.yaml", "search", "--set", "search.epochs=4"]).exits(0).stdout;
    assert!(reasons.ends_with("search: would run\n  params.epochs 3 → 4\n  params.seed 7 → 1\n"), "{reasons}");
    scratch.run(&["explain", "tiny/search"]).exits(2).line(&["of results two are compared"]);
    scratch.run(&["explain", "tiny/search", "tiny/nothing"]).exits(3);
}

#[test]
fn of_stages_that_are_named_only_these_and_what_they_read_run() {
    let scratch = Scratch::new();
    let part = scratch.run(&["tiny.yaml", "search"]).exits(0);
    part.line(&["images", "ran"]);
    part.line(&["2 stages: 2 ran"]);
    let all = scratch.run(&["plan", "tiny.yaml"]).exits(0).stdout;
    assert!(all.ends_with("5 stages: 2 cached, 1 would run, 2 behind them\n"), "{all}");
    assert_eq!(scratch.run(&["plan", "tiny.yaml", "images"]).exits(0).stdout, "images: cached\n1 stage: 1 cached\n");
    scratch.run(&["tiny.yaml", "serch"]).exits(2).line(&["pipeline `tiny` has no stage `serch`"]);
    scratch.run(&["tiny.yaml", "serch"]).exits(2).line(&["did you mean `search`?"]);
}

#[test]
fn what_runs_the_result_but_not_what_it_is_changes_no_key() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let other = scratch.run(&[
        "tiny.yaml",
        "--set",
        "runtime.threads=1",
        "--set",
        "runtime.checkpoint.every_seconds=5",
        "--set",
        "runtime.slurm.memory=1G",
    ]);
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
