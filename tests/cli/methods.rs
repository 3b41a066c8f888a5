//! Several methods of searching in one pipeline: variants of a stage, and what is expected of each.

use crate::scratch::Scratch;

/// Every method that a few keys make, on the images of `tiny.yaml`.
const METHODS: &str = "
matrix: {method: [single, first, second, gdas, pc, fair, ms]}
variants:
  single: {strategy: single_level}
  first: {strategy: bilevel, order: first, moves_first: weights}
  second: {strategy: bilevel, order: second}
  gdas: {strategy: bilevel, mixing: gumbel}
  pc: {strategy: bilevel, partial_channels: 2, edge_normalisation: true, warmup_epochs: 1}
  fair: {mixing: sigmoid, auxiliary_skip: true, regularise: {zero_one: 1, beta_decay: 1}, alphas: {schedule: cosine}}
  ms: {strategy: bilevel, mixing: sparsestmax, perturb: {kind: mean_shift, samples: 1, rounds: 1}}
";

fn methods(scratch: &Scratch, expect: &str) {
    scratch.edit(
        "tiny.yaml",
        &[
            ("stages:\n", &format!("{}stages:\n", METHODS.trim_start())),
            ("      seed: 1\n", "      seed: 1\n      with: \"${matrix.method}\"\n"),
            ("epochs: 3", "epochs: 2"),
            ("[images, search, cell, table]", &format!("[images, 'search[*]', 'table[*]'], expect: [{expect}]")),
        ],
    );
}

#[test]
fn methods_stand_beside_each_other_and_each_is_expected_of_by_itself() {
    let scratch = Scratch::new();
    methods(
        &scratch,
        "{value: 'search[method=gdas].epochs', equals: 2}, {value: search.epochs, equals: 2}, \
         {value: 'search[method=pc].train_loss', at_most: 1e-9}, {value: 'search[method=gone].epochs', equals: 2}",
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(5);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["`search[method=gdas].epochs`: mean 2 (n = 1)", "`search.epochs`: mean 2 (n = 7)"] {
        assert!(said.contains(words), "`{words}` is said:\n{}", ended.stdout);
    }
    assert!(said.contains("`search[method=pc].train_loss`: mean") && said.contains("no such metric"), "{said}");
    for method in ["single", "first", "second", "gdas", "pc", "fair", "ms"] {
        ended.line(&[&format!("search[method={method}]"), "ran"]);
    }
    // Each has found something of its own: no two searches have the same alphas.
    let again = scratch.run(&["tiny.yaml"]).exits(5);
    again.line(&["search[method=second]", "cached"]);
    // A variant's keys are in the key of its member and in no other.
    let changed = scratch.run(&["tiny.yaml", "--set", "variants.second.order=first"]).exits(5);
    changed.line(&["search[method=second]", "ran, because params.order second → first"]);
    changed.line(&["search[method=first]", "cached"]);
}

#[test]
fn a_bilevel_search_without_images_of_its_own_to_judge_by_is_refused() {
    let scratch = Scratch::new();
    scratch.edit("tiny.yaml", &[("      seed: 1\n", "      seed: 1\n      strategy: bilevel\n      images: all\n")]);
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("a bilevel search judges alphas on images that its weights are not fitted on"), "{said}");
    assert!(said.contains("split: halves"), "{said}");
}
