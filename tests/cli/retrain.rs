//! From a genotype to a trained network and its accuracy.

use crate::{edited::edited, scratch::Scratch};
use rand::{RngExt, SeedableRng};
use serde_json::Value as Json;
use std::{fs, path::PathBuf};

/// Everything that a training may have at once: an auxiliary head, dropped paths, smoothed labels,
/// steps of two batches, an average of the weights, a warm-up.
const PIPELINE: &str = "\
name: tiny
stages:
  images:
    prepare: {synthetic: {train: 40, test: 12, classes: 3, size: 32, channels: 3, seed: 3}}
  published:
    genotype: {space: darts, from: darts_v1}
  network:
    retrain:
      genotype: published
      data: images
      skeleton: cifar
      channels: 4
      size: 3
      epochs: 3
      batch: 16
      accumulate: 2
      seed: 1
      drop_path: 0.3
      label_smoothing: 0.1
      average: 0.9
      weights: {warmup_epochs: 2, schedule: linear, tail_epochs: 1}
    runtime: {checkpoint: {every_steps: 1}}
  test:
    evaluate: {network: network, data: images}
  report:
    report: {of: [images, published, network, test]}
";

/// The same on a batch of images: a step an epoch.
const FEW: [&str; 3] = ["tiny.yaml", "--set", "images.synthetic.train=16"];

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("tiny.yaml", PIPELINE);
    scratch
}

/// The file of an output of the one record of `kind`.
fn output(scratch: &Scratch, store: &str, kind: &str, name: &str) -> PathBuf {
    let digest = scratch.outputs(store, kind)[name].clone();
    scratch.path(store).join("objects-v1").join(&digest[..2]).join(&digest[2..])
}

fn json(scratch: &Scratch, store: &str, kind: &str, name: &str) -> Json {
    let text = fs::read(output(scratch, store, kind, name)).expect("the object is there");
    serde_json::from_slice(&text).expect("the object is JSON")
}

#[test]
fn killed_at_random_moments_a_training_comes_to_the_bits_of_an_uninterrupted_one() {
    let scratch = scratch();
    scratch.run(&["tiny.yaml", "--store", "whole"]).exits(0);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    // Twice wherever some events lead, then right after a checkpoint.
    for events in [Some(random.random_range(1..9)), Some(random.random_range(4..8)), None] {
        let run = scratch.start(&["tiny.yaml", "--store", "killed", "--set", "runtime.threads=1"]);
        match events {
            Some(events) => run.wait_for_any(events),
            None => run.wait_for("checkpoint_saved"),
        }
        run.kill();
    }
    scratch.run(&["tiny.yaml", "--store", "killed"]).exits(0).line(&["network", "resumed at"]);
    for kind in ["retrain", "evaluate"] {
        assert_eq!(scratch.outputs("whole", kind), scratch.outputs("killed", kind), "{kind}");
    }
}

#[test]
fn each_setting_of_a_training_changes_what_comes_out_and_a_rerun_is_cached() {
    let scratch = scratch();
    let weights = |store: &str, set: &[&str]| {
        let arguments: Vec<&str> = [&FEW[..], &["--store", store]]
            .concat()
            .into_iter()
            .chain(set.iter().flat_map(|set| ["--set", set]))
            .collect();
        scratch.run(&arguments).exits(0);
        scratch.outputs(store, "retrain")["weights"].clone()
    };
    let mut seen = vec![weights("as_is", &[])];
    let settings = [
        "network.drop_path=0",
        "network.label_smoothing=0",
        "network.average=null",
        "network.auxiliary_weight=0.2",
        "network.weights.warmup_epochs=0",
        "network.weights.tail_epochs=0",
        "network.accumulate=1",
        "network.seed=2",
    ];
    for (at, setting) in settings.into_iter().enumerate() {
        let found = weights(&at.to_string(), &[setting]);
        assert!(!seen.contains(&found), "{setting} has no effect");
        seen.push(found);
    }
    let again = scratch.run(&[&FEW[..], &["--store", "as_is"]].concat()).exits(0);
    again.line(&["5 stages: 5 cached"]);
}

#[test]
fn an_evaluation_is_what_its_predictions_say() {
    let scratch = scratch();
    let ended = scratch.run(&["tiny.yaml", "--store", "store"]).exits(0);
    assert!(ended.stdout.contains("95 %") && ended.stdout.contains("Retraining"), "{}", ended.stdout);
    let evaluation = json(&scratch, "store", "evaluate", "evaluation");
    let predictions = fs::read_to_string(output(&scratch, "store", "evaluate", "predictions.csv")).unwrap();
    let rows: Vec<Vec<usize>> = predictions
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|number| number.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    let correct = rows.iter().filter(|row| row[1] == row[2]).count();
    assert!(rows.iter().all(|row| (row[1] == row[2]) == (row[3] == 0)), "{predictions}");
    assert_eq!((evaluation["images"].as_u64(), evaluation["correct"].as_u64()), (Some(12), Some(correct as u64)));
    let metrics = json(&scratch, "store", "retrain", "metrics");
    let watched = metrics[2]["test_accuracy_percent"].as_f64().unwrap();
    assert!((watched - 100.0 * correct as f64 / 12.0).abs() < 1e-9, "the last epoch's: {metrics}");
    let by_class: u64 = (0..3).map(|class| evaluation["classes"][class]["correct"].as_u64().unwrap()).sum();
    assert_eq!(by_class, correct as u64);
    // The auxiliary head is no part of what is counted.
    let card = json(&scratch, "store", "retrain", "network");
    assert_eq!((card["auxiliary"].as_bool(), card["channels"].as_u64()), (Some(true), Some(4)));
}

#[test]
fn a_genotype_written_otherwise_is_the_same_genotype() {
    let scratch = scratch();
    scratch.run(&FEW).exits(0);
    let text = scratch.read("search_spaces/genotypes/darts_v1.txt");
    scratch.write("mine.txt", &format!("\n{}\n\n", edited(&text, &[(", ", ",")])));
    let again = scratch.run(&[&FEW[..], &["--set", "published.from=./mine.txt"]].concat()).exits(0);
    again.line(&["5 stages: 5 cached"]);
}

#[test]
fn what_cannot_be_trained_is_said_before_anything_runs() {
    let scratch = scratch();
    for (setting, words) in [
        ("network.skeleton=cifr", ["space `darts` has no skeleton `cifr`", "it has `search`, `cifar`, `imagenet`"]),
        ("network.skeleton=search", ["the skeleton has no auxiliary head", "network.auxiliary_weight=0.4"]),
        ("network.accumulate=3", ["`accumulate` 3 does not divide `batch` 16", "network.accumulate=3"]),
        ("published.from=darts_v3", ["no genotype `darts_v3`", "did you mean `darts_v"]),
        ("published.from=\"|none~0|\"", ["a line must begin with its cell kind", "--set published.from="]),
        ("network.weights.factor=0.9", ["unknown key `factor`", "network.weights.factor=0.9"]),
        ("network.weights.clip=all", ["`clip: all` is of weights and alphas together", "network.weights.clip=all"]),
        ("network.drop_path=1", ["`drop_path` must be a number from 0 to below 1", "network.drop_path=1"]),
    ] {
        let mut arguments = vec!["tiny.yaml", "--set", setting];
        if setting == "network.skeleton=search" {
            arguments.extend(["--set", "network.auxiliary_weight=0.4"]);
        }
        let ended = scratch.run(&arguments).exits(3);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{setting}: {}", ended.stderr);
        assert!(ended.stderr.contains("nothing was started"), "{setting}: {}", ended.stderr);
    }
}

/// A network that cannot learn sixty-four images by heart cannot learn.
#[test]
fn sixty_four_digits_are_learned_by_heart() {
    let scratch = scratch();
    let digits = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pipelines/data/digits.csv.gz");
    let pipeline = format!(
        "\
name: by_heart
stages:
  digits:
    prepare: {{digits: {{path: {}, train_images: 64, split: all}}}}
  published:
    genotype:
      space: nas_bench_201
      from: \"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|\"
  network:
    retrain:
      genotype: published
      data: digits
      skeleton: final
      channels: 8
      size: 1
      epochs: 40
      batch: 32
      augment: {{crop_padding: 0, flip: false, cutout: 0}}
      weights: {{learning_rate: 0.1, nesterov: true}}
      drop_path: 0
  report:
    report:
      of: [network]
      expect: [{{value: network.train_accuracy_percent, equals: 100}}, {{value: network.steps, equals: 80}}]
",
        digits.display()
    );
    scratch.write("by_heart.yaml", &pipeline);
    scratch.run(&["by_heart.yaml"]).exits(0);
}

/// A learning rate of nothing leaves a network where it began: at the convolutions of the search.
#[test]
fn a_network_begins_with_the_weights_of_the_search_that_it_was_derived_in() {
    let scratch = Scratch::new();
    let trained = "retrain: {genotype: derive, data: images, skeleton: cifar, channels: 4, size: 3, epochs: 1, batch: 16, auxiliary_weight: 0, \
                   weights: {learning_rate: 1e-30, weight_decay: 0, schedule: constant}";
    let pipeline = format!(
        "name: begun
stages:
  images:
    prepare: {{synthetic: {{train: 40, test: 12, classes: 3, size: 32, channels: 3, seed: 3}}}}
  search:
    search: {{data: images, space: darts, channels: 4, size: 3, epochs: 1, batch: 16}}
  derive:
    derive: {{search: search}}
  network:
    {trained}, inherit: search}}
  fresh:
    {trained}}}
"
    );
    scratch.write("begun.yaml", &pipeline);
    scratch.run(&["begun.yaml"]).exits(0);
    scratch.run(&["begun.yaml"]).exits(0).line(&["network", "cached"]);
    for (result, output) in [("search", "s"), ("network", "n"), ("fresh", "f")] {
        let result = format!("begun/{result}");
        let output = format!("{output}.safetensors");
        scratch.run(&["export", &result, "--to", "safetensors", "--output", &output]).exits(0);
    }
    let stem = |name: &str| {
        let bytes = fs::read(scratch.path(name)).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("stem.0.weight").unwrap().data().to_vec()
    };
    assert_eq!(stem("n.safetensors"), stem("s.safetensors"));
    assert_ne!(stem("f.safetensors"), stem("s.safetensors"));
    scratch.edit(
        "begun.yaml",
        &[("channels: 4, size: 3, epochs: 1, batch: 16, aux", "channels: 8, size: 3, epochs: 1, batch: 16, aux")],
    );
    scratch.run(&["begun.yaml"]).exits(3).line(&["nothing can be inherited from `search`", "its network is narrower"]);
}
