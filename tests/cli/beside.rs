//! Stages side by side, made again, and what another process is told of them.

use crate::scratch::{Scratch, wait_until};

#[test]
fn stages_side_by_side_come_to_the_bits_of_one_after_the_other() {
    let scratch = Scratch::with_seeds("1, 2, 3");
    scratch.run(&["tiny.yaml", "--store", "one"]).exits(0);
    scratch.run(&["tiny.yaml", "--store", "many", "--jobs", "3"]).exits(0);
    let [one, many] = ["one", "many"].map(|store| {
        let objects = scratch.path(store).join("objects-v1");
        let files = scratch.files(&format!("{store}/objects-v1")).into_iter();
        files.map(|path| path.strip_prefix(&objects).unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(one, many, "the digests of all outputs of all stages");
    let again = scratch.run(&["tiny.yaml", "--store", "many", "--jobs", "2"]).exits(0);
    assert!(again.stderr.contains("11 cached"), "{}", again.stderr);
}

#[test]
fn what_runs_is_seen_from_outside_until_it_is_done() {
    let scratch = Scratch::new();
    let status = |more: &[&str]| scratch.run(&[&["status"], more].concat()).exits(0).stdout;
    assert!(status(&["tiny.yaml"]).contains("search  waits for images\n"), "{}", status(&["tiny.yaml"]));
    let slow = ["tiny.yaml", "--set", "search.epochs=500"];
    let run = scratch.start(&slow);
    run.wait_for("checkpoint_saved");
    wait_until("the epochs are told", || status(&slow).contains("search  running, epoch "));
    assert!(status(&slow).contains("images  fresh\n") && status(&slow).contains("cell    waits for search\n"));
    assert!(status(&[]).starts_with("tiny/search  running, epoch "), "{}", status(&[]));
    assert!(status(&["--json"]).contains("\"running\":true"), "{}", status(&["--json"]));
    run.kill();
    assert!(status(&slow).contains("search  stopped; a run goes on from its checkpoint\n"), "{}", status(&slow));
    assert!(status(&[]).starts_with("tiny/search  killed ("), "{}", status(&[]));

    scratch.run(&["tiny.yaml"]).exits(0);
    let changed = status(&["tiny.yaml", "--set", "search.epochs=4"]);
    assert!(changed.contains("search  stale, because params.epochs 3 → 4\n"), "{changed}");
    let failing = ["tiny.yaml", "--set", "search.weights.learning_rate=1e30", "--set", "search.weights.clip_norm=1e30"];
    scratch.run(&failing).exits(1);
    assert!(status(&failing).contains("search  failed: "), "{}", status(&failing));
    scratch.run(&[&["status", "tiny.yaml", "--store", "none"][..], &["--json"]].concat()).exits(0);
    assert!(!scratch.path("none").exists());
    scratch.run(&["status", "--store", "none"]).exits(3);
}

#[test]
fn a_stage_is_made_again_where_that_is_asked_for_and_the_same_bytes_keep_the_rest() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let before = scratch.outputs("artifacts", "search");
    let again = scratch.run(&["tiny.yaml", "--rerun", "search"]).exits(0);
    again.line(&["search", "ran, because it is wanted again"]);
    again.line(&["cell", "cached"]);
    assert_eq!(scratch.outputs("artifacts", "search"), before);
    let from = scratch.run(&["tiny.yaml", "--from", "cell"]).exits(0);
    from.line(&["search", "cached"]);
    for stage in ["cell", "table", "report"] {
        from.line(&[stage, "ran, because it is wanted again"]);
    }
    let wrong = scratch.run(&["tiny.yaml", "--rerun", "serach"]).exits(2);
    assert!(wrong.stderr.contains("has no stage `serach`") && wrong.stderr.contains("did you mean `search`?"));
    scratch.run(&["tiny.yaml", "--jobs", "0"]).exits(2);
}

#[test]
fn at_the_first_failure_a_run_ends_where_that_is_asked_for() {
    let scratch = Scratch::with_seeds("1, 2, 3");
    scratch.edit(
        "tiny.yaml",
        &[
            ("seed: [1, 2, 3]", "seed: [1, 2, 3], rate: [1e30]"),
            ("alphas: {learning_rate: 0.01}", "weights: {learning_rate: \"${matrix.rate}\", clip_norm: 1e30}"),
        ],
    );
    let all = scratch.run(&["tiny.yaml", "--store", "all"]).exits(1);
    assert!(all.stderr.contains("3 failed"), "{}", all.stderr);
    let first = scratch.run(&["tiny.yaml", "--store", "first", "--fail-fast"]).exits(1);
    assert!(first.stderr.contains("1 failed") && first.stderr.contains("another stage failed"), "{}", first.stderr);
}

#[test]
fn a_folder_to_begin_in_needs_nothing_but_the_program() {
    let scratch = Scratch::new();
    scratch.run(&["init", "begin"]).exits(0);
    let begin = scratch.path("begin");
    let pipeline = begin.join("pipelines/quickstart.yaml");
    let quick = [pipeline.to_str().unwrap(), "--set", "search.epochs=1", "report"];
    let expects = scratch.run(&quick);
    assert_eq!(expects.code, Some(5), "one epoch is not enough: {}", expects.stderr);
    assert!(scratch.run(&["init", "begin"]).exits(0).stdout.starts_with("all of it is in `begin` already"));

    scratch.write("begin/pipelines/quickstart.yaml", "mine");
    std::fs::remove_file(begin.join(".gitignore")).unwrap();
    let refused = scratch.run(&["init", "begin"]).exits(3);
    assert!(refused.stderr.contains("`pipelines/quickstart.yaml`") && refused.stderr.contains("--force"));
    assert!(!begin.join(".gitignore").exists() && scratch.read("begin/pipelines/quickstart.yaml") == "mine");
    let forced = scratch.run(&["init", "begin", "--force"]).exits(0);
    assert!(forced.stdout.starts_with("wrote 2 files"), "{}", forced.stdout);
    scratch.write("file", "");
    scratch.run(&["init", "file"]).exits(1);
}
