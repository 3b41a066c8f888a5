//! Inputs that are not there, never end, or ask for more than a machine has: each answered at once,
//! at its place, before anything runs.

use crate::{
    edited::edited,
    scratch::{Ended, Scratch},
};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Runs the program, which must be done long before anything that it refuses could be.
#[track_caller]
fn at_once(scratch: &Scratch, arguments: &[&str]) -> Ended {
    let began = Instant::now();
    let ended = scratch.run(arguments);
    // A second on a machine that does nothing else.
    assert!(began.elapsed() < Duration::from_secs(20), "{arguments:?} took {:?}", began.elapsed());
    ended
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    // Lines are folded where the terminal ends.
    let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ").replace(" │ ", " ");
    for word in words {
        assert!(said.contains(word), "`{word}` is said:\n{}", ended.stderr);
    }
}

#[test]
fn a_path_that_is_not_there_is_an_error_and_not_another_data_set() {
    let scratch = Scratch::new();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/data/digits.csv.gz");
    fs::create_dir_all(scratch.path("sets/digits")).unwrap();
    fs::copy(digits, scratch.path("sets/digits/digits.csv.gz")).unwrap();
    let pipeline = |images: &str| {
        let text = format!("name: p\nstages:\n  images:\n    prepare:\n      {images}\n");
        scratch.write("p.yaml", &text);
        scratch.run(&["p.yaml", "--set", "data.root=sets"])
    };
    let lost = pipeline("digits: {path: no/such/mine.csv}").exits(3);
    says(&lost, &["p.yaml:5:22", "found no digits", "no/such/mine.csv"]);
    says(&pipeline("cifar10: {path: cifar}").exits(3), &["p.yaml:5:23", "found no CIFAR-10", "`sets/cifar`"]);
    let lost = pipeline("image_folder: {path: flowers}").exits(3);
    says(&lost, &["p.yaml:5:21", "found no folder `flowers`"]);
    // Without a path the root is searched, and the run says what it reads.
    pipeline("digits: {}").exits(0).line(&["images: reads", "sets/digits/digits.csv.gz"]);
    pipeline("digits: {path: digits}").exits(0);
}

#[test]
fn what_is_no_file_is_refused_wherever_it_is_named() {
    let scratch = Scratch::new();
    assert!(Command::new("mkfifo").arg(scratch.path("pipe")).status().unwrap().success());
    for (special, what) in [("/dev/zero", "a device"), ("pipe", "a named pipe")] {
        says(&at_once(&scratch, &[special]).exits(3), &[what]);
        scratch.write("over.yaml", &format!("extends: {special}\nname: over\n"));
        says(&at_once(&scratch, &["over.yaml"]).exits(3), &["over.yaml:1:10", what]);
        let special_path = if special == "pipe" { "./pipe" } else { special };
        says(&at_once(&scratch, &["show", "|none~0|", "--space", special_path]).exits(3), &[what]);
        says(&at_once(&scratch, &["show", special]).exits(3), &[what]);
        let set = format!("search.space={special_path}");
        says(&at_once(&scratch, &["tiny.yaml", "--set", &set]).exits(3), &[what]);
        at_once(&scratch, &["predict", "--weights", special, "--input", "x.safetensors", "--output", "y.safetensors"])
            .exits(3);
        at_once(&scratch, &["predict", "--weights", "tiny.yaml", "--input", special, "--output", "y.safetensors"])
            .exits(3);
        at_once(&scratch, &["parity", special]).exits(3);
    }
}

#[test]
fn a_matrix_is_counted_before_its_members_are_made() {
    let scratch = Scratch::new();
    let values = (1..=1000).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let axes: String = ["a", "b", "c", "d"].map(|axis| format!("  {axis}: [{values}]\n")).concat();
    let keys =
        "train: '${matrix.a}', test: '${matrix.b}', seed: '${matrix.c}', split: {shuffled: {seed: '${matrix.d}'}}";
    let text = format!("name: many\nmatrix:\n{axes}stages:\n  images:\n    prepare: {{synthetic: {{{keys}}}}}\n");
    scratch.write("many.yaml", &text);
    let ended = at_once(&scratch, &["many.yaml"]).exits(3);
    says(&ended, &["many.yaml:3:3", "the matrix makes 1,000,000,000,000 members, 10,000 are the limit", "1 problem;"]);
}

#[test]
fn a_thousand_unknown_keys_are_told_at_once() {
    let scratch = Scratch::new();
    let keys: String = (0..40_000).map(|key| format!("k{key}: 1\n")).collect();
    scratch.write("keys.yaml", &format!("name: keys\n{keys}"));
    says(&at_once(&scratch, &["keys.yaml"]).exits(3), &["unknown key `k0`", "more", "40001 problems;"]);
}

#[test]
fn a_network_that_needs_more_memory_than_there_is_starts_nothing() {
    let scratch = Scratch::new();
    let large =
        ["tiny.yaml", "--set", "search.channels=16000", "--set", "search.size=200", "--set", "search.batch=9999"];
    // The widths of a cell grow past what a network can have: that is said first.
    says(&at_once(&scratch, &large).exits(3), &["a network can have 16384 channels at most", "search.channels=16000"]);
    let large = ["tiny.yaml", "--set", "search.channels=4000", "--set", "search.batch=9999999"];
    let ended = at_once(&scratch, &large).exits(3);
    says(
        &ended,
        &["a step on 9999999 images needs about", "GB of memory", "allow_memory: true", "search.batch=9999999"],
    );
    assert!(!scratch.path("artifacts").exists(), "nothing is made for a pipeline that cannot start");
    let insisted = [&large[..], &["--set", "runtime.allow_memory=true", "--resolve"]].concat();
    scratch.run(&insisted).exits(0);
    // Limits are told where they are passed.
    scratch.edit("tiny.yaml", &[("size: 1\n", "size: 300\n")]);
    says(&scratch.run(&["tiny.yaml"]).exits(3), &["tiny.yaml:10:13", "from 1 to 256, found `300`"]);
}

#[test]
fn a_default_that_does_not_fit_the_images_is_named_before_the_start() {
    let scratch = Scratch::new();
    let text = scratch.read("tiny.yaml");
    let with = |edits: &[(&str, &str)]| {
        scratch.write("changed.yaml", &edited(&text, edits));
        scratch.run(&["changed.yaml", "--resolve"])
    };
    let unpadded = ("      augment: {crop_padding: 1, flip: true}\n", "");
    with(&[unpadded]).exits(0);
    let ended = with(&[unpadded, ("size: 8, channels: 1", "size: 4, channels: 1")]).exits(3);
    says(
        &ended,
        &[
            "`crop_padding` must be below 4, the side of the images, found `4`, the default",
            "augment: {crop_padding: 0}",
        ],
    );
    let ended = with(&[("crop_padding: 1, flip: true", "crop_padding: 8")]).exits(3);
    says(&ended, &["changed.yaml:14:31", "`crop_padding` must be below 8"]);
    assert!(!ended.stderr.contains("the default"), "{}", ended.stderr);
}

#[test]
fn a_comment_in_a_space_retrains_nothing_of_a_published_cell() {
    let scratch = Scratch::new();
    let table = "benchmark: search_spaces/tables/nas_bench_201.csv.gz";
    let space = scratch.read("search_spaces/nas_bench_201.yaml");
    let space = edited(&space, &[("benchmark: tables/nas_bench_201.csv.gz", table)]);
    scratch.write("mine.yaml", &space);
    let cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    let text = format!(
        "name: p\nstages:\n  cell: {{genotype: {{space: mine.yaml, from: '{cell}'}}}}\n  \
         images: {{prepare: {{synthetic: {{train: 16, test: 8, classes: 2, size: 8}}}}}}\n  \
         network: {{retrain: {{genotype: cell, data: images, skeleton: final, channels: 4, size: 1, epochs: 1, batch: 8, \
         augment: {{cutout: 0}}}}}}\n"
    );
    scratch.write("p.yaml", &text);
    scratch.run(&["p.yaml"]).exits(0).line(&["network", "ran"]);
    let about = edited(&space, &[("about: NAS", "about: that is, NAS")]);
    for changed in [format!("# hello\n{space}"), edited(&space, &[("\n", "\r\n")]), about] {
        scratch.write("mine.yaml", &changed);
        let again = scratch.run(&["p.yaml"]).exits(0);
        again.line(&["cell", "cached"]);
        again.line(&["network", "cached"]);
    }
    let wider = ("kernel: 3, stride: edge, bias", "kernel: 5, stride: edge, bias");
    scratch.write("mine.yaml", &edited(&space, &[wider]));
    scratch.run(&["p.yaml"]).exits(0).line(&["network", "ran"]);
}

#[test]
fn slips_are_told_at_their_place_and_in_plain_words() {
    let scratch = Scratch::new();
    let text = scratch.read("tiny.yaml");
    for (from, to, words) in [
        ("learning_rate: 0.01", "learning_rate: ${matrix.lr}", &["slip.yaml:15:31", "must be quoted"][..]),
        ("epochs: 3", "epochs: '1'", &["slip.yaml:11:15", "found the text `1`"]),
        ("epochs: 3", "epochs: 1.0", &["slip.yaml:11:15", "found `1.0`"]),
        ("seed: 1\n", "seed: 9223372036854775808\n", &["found `9223372036854775808`", "9223372036854775807"]),
        ("channels: 4", "channels:4", &["slip.yaml:9:7", "lacks the space", "channels: 4"]),
        ("      channels: 4", "\t  channels: 4", &["slip.yaml:9:1", "a tab indents this line"]),
        ("{search: search}", "{<<: *d, search: search}", &["slip.yaml:18"]),
        (
            "  cell:\n    derive: {search: search}",
            "  cell:\n    derive:\n      <<: &d {a: 1}\n      search: search",
            &["slip.yaml:19:7", "merge key `<<` is not read"],
        ),
        ("table: nas_bench_201}", "table: |none~0|}", &["slip.yaml:20"]),
    ] {
        scratch.write("slip.yaml", &edited(&text, &[(from, to)]));
        says(&scratch.run(&["slip.yaml"]).exits(3), words);
    }
    says(
        &scratch.run(&["tiny.yaml", "--set", "epochs=3"]).exits(3),
        &["`epochs` is a key of a stage", "`search.epochs`"],
    );
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    fs::write(scratch.path("utf16.yaml"), utf16).unwrap();
    scratch.run(&["utf16.yaml", "--resolve"]).exits(0);
    fs::write(scratch.path("binary.yaml"), b"name: x\n\x80\x81").unwrap();
    says(&scratch.run(&["binary.yaml"]).exits(3), &["byte 0x80 at line 2, column 1"]);
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let scratch = Scratch::new();
    let set = [("DARTS_RUN_STORE", ""), ("DARTS_RUN_DATA", ""), ("DARTS_RUN_SEARCH__EPOCHS", "")];
    scratch.run_with(&set, &["tiny.yaml", "--set", "search.epochs=1"]).exits(0);
    assert!(scratch.path("artifacts/objects-v1").is_dir());
    scratch
        .run_with(&[("DARTS_RUN_STORE", "~/kept"), ("HOME", "at_home")], &["tiny.yaml", "--set", "search.epochs=1"])
        .exits(0);
    assert!(scratch.path("at_home/kept/objects-v1").is_dir());
}
