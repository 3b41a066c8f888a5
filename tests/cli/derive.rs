//! Which cell of a search, or of several, goes on.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::Scratch;

/// Searches of two seeds, with `stages` behind them.
fn seeds(scratch: &Scratch, stages: &str, of: &str) {
    scratch.edit(
        "tiny.yaml",
        &[("name: tiny\n", "name: tiny\nmatrix: {seed: [1, 2]}\n"), ("seed: 1\n", "seed: \"${matrix.seed}\"\n")],
    );
    let text = scratch.read("tiny.yaml");
    let head = &text[..text.find("  cell:").unwrap()];
    scratch.write("tiny.yaml", &format!("{head}{stages}  report:\n    report: {{of: [{of}]}}\n"));
}

#[test]
fn each_rule_has_its_cell_and_says_why() {
    let scratch = Scratch::new();
    seeds(
        &scratch,
        "
  cell:
    derive: {search: search}
  second:
    derive: {search: 'search[seed=2]', rule: {epoch: 2}}
  best:
    derive: {search: 'search[*]', rule: {best: held_out_accuracy_percent}}
  together:
    derive: {search: 'search[*]', rule: consensus}
  few:
    derive: {search: 'search[seed=1]', rule: {at_most: {skip_connect: 0, none: 0}}}
  small:
    derive: {search: 'search[seed=1]', rule: {within: {parameters: 10e6, skeleton: final}}}
  short:
    retrain: {genotype: cell, data: images, skeleton: final, channels: 4, size: 1, epochs: 1, batch: 16, images: fit, augment: {crop_padding: 1, cutout: 0}}
  judged:
    derive: {search: 'search[*]', judged_by: 'short[*]', rule: {best: held_out_accuracy_percent}}
  table:
    benchmark: {genotype: best, table: nas_bench_201}
",
        "second, best, together, few, small, judged, table",
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(0);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "`second` by the rule `epoch: 2`, epoch 2: the one of 3 that the rule names.",
        "`best` by the rule `highest: held_out_accuracy_percent`, epoch ",
        "is the highest of 6 epochs of 2 searches.",
        "`together` by the rule `consensus`, the mean of the mixing weights of 2 searches",
        "`few` by the rule `at_most: {cell: {none: 0, skip_connect: 0}}`, epoch 3: the last of 3 epochs",
        "`small` by the rule `within: ",
        "the latest of 3 epochs within 10000000 parameters",
        "`judged` by the rule `highest: held_out_accuracy_percent`, epoch 3 of `search[seed=",
        "is the highest of 2 trainings (",
    ] {
        assert!(said.contains(words), "`{words}` is said:\n{}", ended.stdout);
    }
    // The rule is part of the key: a changed one says so.
    let changed = scratch.run(&["tiny.yaml", "--set", "second.rule.epoch=1"]).exits(0);
    changed.line(&["second", "ran, because params.rule.epoch 2 → 1"]);
    changed.line(&["best", "cached"]);
}

#[test]
fn what_a_rule_cannot_do_is_said_before_anything_runs_where_it_can_be_known() {
    let scratch = Scratch::new();
    seeds(
        &scratch,
        "
  late:
    derive: {search: search, rule: {epoch: 4}}
  several:
    derive: {search: 'search[*]', rule: last}
  old:
    derive: {search: search, epoch: 2}
  limited:
    derive: {search: search, rule: {at_most: {skip_conect: 2, normal: {none: 1}}}}
  twice:
    derive: {search: search, rule: {at_most: {cell: {none: 2}, none: 3}}}
  vague:
    derive: {search: search, rule: {best: happiness}}
  two:
    derive: {search: search, rule: {epoch: 1, best: train_loss}}
  free:
    derive: {search: search, rule: {within: {skeleton: finale}}}
",
        "search",
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    for words in [
        "the search has 3 epochs and not epoch 4",
        "this rule takes one search, `search` names 2",
        "write `rule: {epoch: …}`",
        "unknown operation `skip_conect` in `at_most`",
        "did you mean `skip_connect`?",
        "unknown kind of cell `normal` in `at_most`",
        "`none` has two limits in cells `cell`, 2 and 3",
        "leave one of them out",
        "it is not known whether more or less of `happiness` is better",
        "write `highest: happiness` or `lowest: happiness`",
        "`rule` must be `last`, `consensus`, or a map of one of `epoch`, `best`,",
        "`within` needs `parameters`, `multiply_adds` or both",
        "space `nas_bench_201` has no skeleton `finale`",
    ] {
        let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "`{words}` is said:\n{}", ended.stderr);
    }
}

#[test]
fn what_shows_only_after_the_search_has_the_place_of_the_rule() {
    let scratch = Scratch::new();
    seeds(
        &scratch,
        "
  unknown:
    derive: {search: search, rule: {highest: held_out_happiness}}
  tiny:
    derive: {search: search, rule: {within: {parameters: 10, skeleton: final}}}
",
        "'unknown[*]'",
    );
    let ended = scratch.run(&["tiny.yaml", "--set", "matrix.seed=[1]"]).exits(3);
    ended.line(&["unknown", "tiny.yaml:", ": no epoch has a figure `held_out_happiness`; there is"]);
    ended.line(&["tiny[seed=1]", "tiny.yaml:", ": no epoch's network is within 10 parameters; nearest comes"]);
    ended.line(&["report", "skipped"]);
}
