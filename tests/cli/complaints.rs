//! What is said of wrong input, and that nothing is lost by it.

use crate::scratch::Scratch;
use std::fs;

#[test]
fn all_that_is_wrong_with_a_pipeline_is_said_at_once_and_nothing_starts() {
    let scratch = Scratch::new();
    scratch.write(
        "wrong.yaml",
        "\
name: wrong
stages:
  images:
    prepare: {synthetic: {train: 96, classes: 4}}
  search:
    search: {data: imags, space: nas_bench_21, epochs: -3, batch: 0, mixing: softmx, bacth: 3}
  cell:
    derive: {search: images}
",
    );
    let ended = scratch.run(&["wrong.yaml"]).exits(3);
    for words in [
        "`data` names `imags`, but there is no such stage",
        "wrong.yaml:6:20",
        "did you mean `images`?",
        "no search space `nas_bench_21`",
        "did you mean `nas_bench_201`?",
        "`epochs` must be a whole number from 1, found `-3`",
        "`batch` must be a whole number from 1, found `0`",
        "did you mean `softmax`?",
        "unknown key `bacth`",
        "did you mean `batch`?",
        "`search` takes a `search` stage, but `images` is a `prepare` stage",
        "7 problems; nothing was started",
    ] {
        assert!(ended.stderr.contains(words), "`{words}` is said:\n{}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
    assert!(!scratch.path("artifacts").exists(), "no store is made for a pipeline that cannot start");
}

#[test]
fn a_missing_file_and_a_wrong_word_have_codes_of_their_own() {
    let scratch = Scratch::new();
    let missing = scratch.run(&["tyni.yaml"]).exits(3);
    assert!(missing.stderr.contains("tyni.yaml") && missing.stderr.contains("tiny.yaml"), "{}", missing.stderr);
    let space = scratch.run(&["show", "|none~0|", "--space", "nas_bench_21"]).exits(3);
    assert!(space.stderr.contains("did you mean `nas_bench_201`?"), "{}", space.stderr);
    scratch.run(&["--colour"]).exits(2);
    scratch.run(&["tiny.yaml", "--set", "epochs"]).exits(3);
    let help = scratch.run(&["--help"]).exits(0);
    assert!(help.stdout.contains("Exit codes"), "{}", help.stdout);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_this_build_lacks_starts_nothing() {
    let scratch = Scratch::new();
    let ended = scratch.run(&["tiny.yaml", "--set", "runtime.device=cuda"]).exits(3);
    assert!(ended.stderr.contains("this build has no CUDA"), "{}", ended.stderr);
    assert!(!scratch.path("artifacts").exists(), "no store is made for a run that cannot start");
}

#[test]
fn a_precision_that_the_device_has_not_is_refused_at_its_key() {
    let scratch = Scratch::new();
    for other in ["search.kernels=reference", "runtime.device=wgpu"] {
        let ended = scratch.run(&["tiny.yaml", "--set", "search.precision=bf16", "--set", other]).exits(3);
        let (found, hint) = ("`precision: bf16` is not to be had", "`kernels: native` on `cpu` and `cuda`");
        assert!(ended.stderr.contains(found) && ended.stderr.contains(hint), "{other}: {}", ended.stderr);
    }
    assert!(!scratch.path("artifacts").exists(), "no store is made for a run that cannot start");
}

#[test]
fn a_data_file_cut_short_is_named() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("cifar")).unwrap();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        fs::write(scratch.path("cifar").join(format!("{name}.bin")), vec![1; 3073 * 4]).unwrap();
    }
    let names = "airplane automobile bird cat deer dog frog horse ship truck".replace(' ', "\n");
    scratch.write("cifar/batches.meta.txt", &names);
    let images = "prepare: {synthetic: {train: 96, test: 16, classes: 4, size: 8, channels: 1, seed: 3}}";
    scratch.edit("tiny.yaml", &[(images, "prepare: {cifar10: {path: cifar}}")]);
    fs::write(scratch.path("cifar/data_batch_3.bin"), vec![1; 3073 * 3 + 5]).unwrap();
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    assert!(ended.stderr.contains("data_batch_3.bin"), "{}", ended.stderr);
    ended.line(&["search", "skipped"]);
    // Mended, it goes on.
    fs::write(scratch.path("cifar/data_batch_3.bin"), vec![1; 3073 * 3]).unwrap();
    scratch.run(&["tiny.yaml", "--set", "search.epochs=1", "--set", "search.batch=4"]).exits(0);
}

#[test]
fn a_store_that_cannot_be_is_a_code_of_its_own() {
    let scratch = Scratch::new();
    scratch.write("file", "not a folder");
    let ended = scratch.run(&["tiny.yaml", "--store", "file/store"]).exits(4);
    assert!(ended.stderr.contains("file/store"), "{}", ended.stderr);
    assert_eq!(scratch.read("file"), "not a folder");
}

#[test]
fn a_search_that_diverges_says_where() {
    let scratch = Scratch::new();
    let ended = scratch.run(&[
        "tiny.yaml",
        "--set",
        "search.weights.learning_rate=1e30",
        "--set",
        "search.weights.clip_norm=1e30",
    ]);
    let ended = ended.exits(1);
    ended.line(&["search", "failed", "the loss became", "epoch 1"]);
    ended.line(&["cell", "skipped"]);
}
