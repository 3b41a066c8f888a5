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

/// Cells that are drawn, beside the one that was derived.
const DRAWN: &str = "
  cell:
    derive: {search: search}
  random:
    genotype: {space: nas_bench_201, random: {seed: \"${matrix.seed}\", like: cell, skeleton: final, channels: 4, size: 1, tolerance: 0.2}}
  free:
    genotype: {space: nas_bench_201, random: {seed: 3}}
  table:
    benchmark: {genotype: random, table: nas_bench_201}
";

#[test]
fn a_drawn_cell_costs_what_the_derived_one_costs_and_goes_on_as_it_does() {
    let scratch = Scratch::new();
    seeds(&scratch, DRAWN, "'cell[*]', 'random[*]', free, 'table[*]'");
    let ended = scratch.run(&["tiny.yaml"]).exits(0);
    ended.line(&["random[seed=1]", "ran", "drawn with seed 1 in", " multiply-adds for ", " within 20 %: |"]);
    ended.line(&["free", "ran", "drawn with seed 3: |"]);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["Random genotype", "`random[seed=2]` was drawn with seed 2 in", "`free` was drawn with seed 3."] {
        assert!(said.contains(words), "`{words}` is said:\n{}", ended.stdout);
    }
    let again = scratch.run(&["tiny.yaml"]).exits(0);
    again.line(&["random[seed=1]", "cached"]);
    assert_eq!(again.stdout, ended.stdout);

    // The pipeline with every default, which runs the same.
    let resolved = scratch.run(&["tiny.yaml", "--resolve"]).exits(0).stdout;
    for line in ["like: cell", "seed: ${matrix.seed}", "tries: 10000", "cost: multiply_adds"] {
        assert!(resolved.contains(line), "`{line}` is there:\n{resolved}");
    }
    scratch.write("resolved.yaml", &resolved);
    let same = scratch.run(&["resolved.yaml"]).exits(0);
    for stage in ["random[seed=1]", "random[seed=2]", "free", "table[seed=1]", "report"] {
        same.line(&[stage, "cached"]);
    }
    assert_eq!(scratch.run(&["resolved.yaml", "--resolve"]).exits(0).stdout, resolved);

    // Another seed is another cell; a name changes nothing.
    scratch.edit(
        "tiny.yaml",
        &[("  free:", "  other:"), ("\"${matrix.seed}\", like", "5, like"), ("*]', free", "*]', other")],
    );
    let changed = scratch.run(&["tiny.yaml"]).exits(0);
    changed.line(&["random[seed=1]", "ran, because params.random.seed 1 → 5"]);
    changed.line(&["other", "cached"]);
}

#[test]
fn what_a_drawn_cell_cannot_be_is_said() {
    let scratch = Scratch::new();
    seeds(
        &scratch,
        "
  cell:
    derive: {search: search}
  neither:
    genotype: {space: nas_bench_201}
  both:
    genotype: {space: nas_bench_201, from: '|none~0|', random: {seed: 1}}
  alone:
    genotype: {space: nas_bench_201, random: {tolerance: 0.1}}
  vague:
    genotype: {space: nas_bench_201, random: {like: cell}}
  finale:
    genotype: {space: nas_bench_201, random: {like: cell, skeleton: finale}}
  elsewhere:
    genotype: {space: darts, random: {like: cell, skeleton: cifar}}
  misspelt:
    genotype: {space: nas_bench_201, random: {sed: 1, lik: cell}}
",
        "search",
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "a cell is either published (`from`) or drawn (`random`)",
        "write `from: NAME` or `random: {seed: 0}`",
        "leave one of the two out",
        "`tolerance` goes with `like`",
        "`random` lacks the key `skeleton`",
        "space `nas_bench_201` has no skeleton `finale`",
        "`like` names a cell of the space `nas_bench_201`, and this one is of",
        "did you mean `seed`?",
        "did you mean `like`?",
    ] {
        assert!(said.contains(words), "`{words}` is said:\n{}", ended.stderr);
    }
    let scratch = Scratch::new();
    seeds(&scratch, &DRAWN.replace("like: cell", "like: search"), "free");
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("`random.like` takes a `derive` or `genotype` stage, but `search` is a"), "{said}");
    assert!(said.contains(" 1 problem; nothing was started"), "{said}");
}

#[test]
fn exhausted_tries_say_what_was_nearest_and_where() {
    let scratch = Scratch::new();
    seeds(
        &scratch,
        &DRAWN.replace("tolerance: 0.2", "tolerance: 0, tries: 1, cost: parameters"),
        "'cell[*]', 'random[*]'",
    );
    let six = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    scratch.edit(
        "tiny.yaml",
        &[("derive: {search: search}", &format!("genotype: {{space: nas_bench_201, from: '{six}'}}"))],
    );
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    ended.line(&[
        "random[seed=1]",
        "tiny.yaml:",
        ": none of 1 draws is within 0 % of the ",
        " parameters of `cell`; the nearest has ",
    ]);
    ended.line(&["report", "written without 2 of the 3"]);
}

/// A path through a lattice, whose head gives an image.
#[test]
fn a_path_is_drawn_as_a_cell_is() {
    let scratch = Scratch::new();
    let like = "{seed: 2, like: path, skeleton: final, channels: 8, images: {size: 8}, tolerance: 0.2}";
    let stages = format!(
        "name: paths\nstages:\n  path:\n    genotype: {{space: trilevel_sr, random: {{seed: 1}}}}\n  \
         other:\n    genotype: {{space: trilevel_sr, random: {like}}}\n"
    );
    scratch.write("paths.yaml", &stages);
    let ended = scratch.run(&["paths.yaml"]).exits(0);
    ended.line(&["path", "drawn with seed 1: ", " at ", ", up"]);
    ended.line(&["other", "drawn with seed 2 in", "multiply-adds for", "within 20 %"]);
    let resolved = scratch.run(&["paths.yaml", "--resolve"]).exits(0).stdout;
    scratch.write("resolved.yaml", &resolved);
    assert_eq!(resolved.matches("size: 4").count(), 2, "the lattice's own: {resolved}");
    scratch.run(&["resolved.yaml"]).exits(0).line(&["other", "cached"]);
}
