//! The upkeep of a store.

use crate::scratch::Scratch;
use std::fs;

#[test]
fn garbage_is_listed_then_removed_and_results_still_answer() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let before = scratch.files("artifacts");
    scratch.run(&["store", "gc", "--keep-days", "0"]).exits(0);
    assert_eq!(scratch.files("artifacts"), before, "each stage's newest result stays");
    fs::create_dir_all(scratch.path("artifacts/objects-v1/ab")).unwrap();
    fs::write(scratch.path("artifacts/objects-v1/ab/cd"), vec![0; 1500]).unwrap();
    fs::write(scratch.path("artifacts/tmp-v2/.writing-x"), "half").unwrap();

    let all = scratch.files("artifacts");
    let listed = scratch.run(&["store", "gc", "--dry-run"]).exits(0);
    for line in [
        "artifacts/objects-v1/ab/cd 1500\n",
        "would remove objects that no record names: 1 (1.50 kB)\n",
        "would remove leftovers of killed runs: 1 (4 bytes)\n",
        "would remove 1.50 kB in all\n",
    ] {
        assert!(listed.stdout.contains(line), "`{line}` is said:\n{}", listed.stdout);
    }
    assert_eq!(scratch.files("artifacts"), all);
    let removed = scratch.run(&["store", "gc"]).exits(0);
    assert!(removed.stdout.ends_with("removed 1.50 kB in all\n"), "{}", removed.stdout);
    assert_eq!(scratch.run(&["store", "gc"]).exits(0).stdout, "nothing to remove\n");
    assert_eq!(scratch.files("artifacts"), before);
    let again = scratch.run(&["tiny.yaml"]).exits(0);
    for stage in ["images", "search", "cell", "table", "report"] {
        again.line(&[stage, "cached"]);
    }
}

#[test]
fn superseded_results_go_when_their_days_are_over() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    scratch.run(&["tiny.yaml", "--set", "search.epochs=1"]).exits(0);
    let removed = scratch.run(&["store", "gc", "--keep-days", "0"]).exits(0);
    assert!(removed.stdout.contains("records of old results"), "{}", removed.stdout);
    scratch.run(&["tiny.yaml", "--set", "search.epochs=1"]).exits(0).line(&["search", "cached"]);
    scratch.run(&["tiny.yaml"]).exits(0).line(&["search", "ran"]);
}

#[test]
fn a_store_in_use_is_left_alone_and_one_that_is_none_is_said_to_be_none() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    for store in ["artifacts", "elsewhere"] {
        for words in [&["store", "gc"][..], &["store", "gc", "--dry-run"], &["store", "verify"]] {
            let none = scratch.run(&[words, &["--store", store]].concat()).exits(3);
            assert!(none.stderr.contains(&format!("`{store}` is no store")), "{}", none.stderr);
        }
        let none = scratch.run(&["export", "tiny/search", "--to", "genotype", "--store", store]).exits(3);
        assert!(none.stderr.contains(&format!("there is no store `{store}`")), "{}", none.stderr);
    }
    assert!(!scratch.path("artifacts").exists());
    assert_eq!(fs::read_dir(scratch.path("elsewhere")).unwrap().count(), 0, "looking makes nothing");

    let run = scratch.start(&["tiny.yaml", "--set", "search.epochs=500"]);
    run.wait_for("checkpoint_saved");
    let busy = scratch.run(&["store", "gc"]).exits(4);
    assert!(busy.stderr.contains("a run works in the store `artifacts`"), "{}", busy.stderr);
    run.kill();
    scratch.run(&["store", "gc"]).exits(0);
    assert!(!scratch.files("artifacts/work-v1").is_empty(), "unfinished work stays");
}
