//! A matrix of which a member fails.

use crate::scratch::Scratch;

/// Searches with the rates given, one of which may be too high, and a report of all that comes of
/// them.
fn matrix(scratch: &Scratch, of: &str) {
    let weights = "      seed: 1\n      weights: {learning_rate: \"${matrix.rate}\", clip_norm: 1e30}\n";
    scratch.edit(
        "tiny.yaml",
        &[
            ("name: tiny\n", "name: tiny\nmatrix: {rate: [0.02, 0.03, 1e9]}\n"),
            ("      seed: 1\n", weights),
            ("[images, search, cell, table]", of),
        ],
    );
}

#[test]
fn a_report_is_written_without_the_member_that_failed_and_anew_once_it_ran() {
    let scratch = Scratch::new();
    matrix(&scratch, "[images, 'search[*]', 'cell[*]', 'table[*]']");
    let ended = scratch.run(&["tiny.yaml"]).exits(1);
    ended.line(&["search[rate=1000000000]", "failed", "the loss became"]);
    ended.line(&["cell[rate=1000000000]", "skipped"]);
    ended.line(&["report", "written without 3 of the 10 that it names"]);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("`search`: 2 of 3 ran; rate 1000000000 failed: the loss became"), "{said}");
    assert!(said.contains("`cell`, `table`: 2 of 3 ran; rate 1000000000 lacks what it reads"), "{said}");
    let again = scratch.run(&["tiny.yaml"]).exits(1);
    again.line(&["report", "cached"]);
    assert_eq!(again.stdout, ended.stdout);

    let mended = scratch.run(&["tiny.yaml", "--set", "matrix.rate=[0.02,0.03,0.04]"]).exits(0);
    mended.line(&["search[rate=0.03]", "cached"]);
    mended.line(&["report", "search[rate=1000000000] was missing"]);
    assert!(!mended.stdout.contains("did not run"), "{}", mended.stdout);
}

#[test]
fn a_report_of_what_failed_alone_is_skipped() {
    let scratch = Scratch::new();
    matrix(&scratch, "['table[*]']");
    let ended = scratch.run(&["tiny.yaml", "--set", "matrix.rate=[1e9]"]).exits(1);
    ended.line(&["report", "skipped"]);
    assert_eq!(ended.stdout, "");
}
