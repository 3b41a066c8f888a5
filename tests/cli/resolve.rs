//! What `--resolve` prints: every default, and a pipeline that runs the same.

use crate::scratch::Scratch;

/// The resolved pipeline, which is put beside the one that it is of and resolves to itself.
fn resolved(scratch: &Scratch, arguments: &[&str]) -> String {
    let ended = scratch.run(&[&["tiny.yaml", "--resolve"], arguments].concat()).exits(0);
    assert_eq!(ended.stderr, "");
    scratch.write("resolved.yaml", &ended.stdout);
    let again = scratch.run(&["resolved.yaml", "--resolve"]).exits(0);
    assert_eq!(again.stdout, ended.stdout);
    ended.stdout
}

#[test]
fn the_resolved_pipeline_shows_every_default_and_has_the_same_keys() {
    let scratch = Scratch::new();
    let setting = ["--set", "search.mixing=sigmoid", "--set", "runtime.slurm.time=2-12"];
    let text = resolved(&scratch, &setting);
    for line in
        ["mixing: sigmoid", "weight_decay: 0.0003", "betas:", "space: nas_bench_201", "every_steps: 1", "time: 2-12"]
    {
        assert!(text.contains(line), "`{line}` is there:\n{text}");
    }
    assert!(!scratch.path("artifacts").exists(), "nothing runs");
    let first = scratch.run(&[&["tiny.yaml"], &setting[..]].concat()).exits(0);
    let second = scratch.run(&["resolved.yaml"]).exits(0);
    for stage in ["images", "search", "cell", "table", "report"] {
        second.line(&[stage, "cached"]);
    }
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn a_resolved_matrix_is_a_matrix_with_what_differs_as_variants() {
    let scratch = Scratch::new();
    let header = "name: tiny\nmatrix: {rate: [0.5, 1.25], seed: [1, 2], method: [plain, gdas], one: [1]}\n\
        variants: {plain: {alphas: {weight_decay: 0}}, gdas: {mixing: gumbel, epochs: 1}}\n";
    let edits = [
        ("name: tiny\n", header),
        ("seed: 1\n", "seed: \"${matrix.seed}\"\n      with: \"${matrix.method}\"\n"),
        ("learning_rate: 0.01", "learning_rate: \"${matrix.rate}\""),
        ("epochs: 3", "epochs: \"${matrix.one}\""),
        ("benchmark: {genotype: cell", "benchmark: {genotype: \"cell[method=gdas]\""),
        ("of: [images,", "title: \"rate ${matrix.rate}\", of: [images,"),
        ("search, cell, table]", "\"search[seed=1]\", \"cell[seed=1,method=plain]\", \"table[*]\"]"),
    ];
    scratch.edit("tiny.yaml", &edits);
    let text = resolved(&scratch, &[]);
    for line in [
        "seed: ${matrix.seed}",
        "learning_rate: ${matrix.rate}",
        "with: search-${matrix.method}-${matrix.one}",
        "search-gdas-1:",
        "report-1.25:",
        "genotype: cell[method=gdas]",
    ] {
        assert!(text.contains(line), "`{line}` is there:\n{text}");
    }
    scratch.run(&["tiny.yaml"]).exits(0);
    let second = scratch.run(&["resolved.yaml"]).exits(0);
    for member in [
        "search[rate=1.25,seed=2,method=gdas,one=1]",
        "table[rate=0.5,seed=1,one=1]",
        "report[rate=1.25,method=plain,one=1]",
    ] {
        second.line(&[member, "cached"]);
    }
    assert!(!second.stderr.contains("ran, because"), "{}", second.stderr);
}
