//! Super-resolution from folders of pictures to a table, a report and a larger picture.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::Scratch;
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value as Json;
use std::{fs, path::Path};

const PIPELINE: &str = "
name: larger
stages:
  pictures:
    prepare:
      image_pairs: {scale: 2, train: data/train, test: {five: data/five, grey: data/grey}, patch: 8, patches_per_picture: 8,
                    split: {fraction: 0.5}}
  cell:
    genotype: {space: by_hand.yaml, from: \"|block~0|\"}
  network:
    retrain:
      {task: super_resolution, genotype: cell, data: pictures, skeleton: final, channels: 8, size: 1, epochs: 12, batch: 8, images: fit,
       weights: {optimiser: adam, learning_rate: 1e-2, weight_decay: 0}, drop_path: 0, watch_every: 4}
    runtime: {checkpoint: {every_steps: 1}}
  test:
    evaluate: {network: network, data: pictures}
  report:
    report: {of: [pictures, network, test]}
";

/// Stripes in several directions: what a bicubic filter blurs and a network learns.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    let (a, b) = (seed % 3 + 1, seed % 2 + 1);
    RgbImage::from_fn(width, height, |x, y| {
        let on = (a * x + b * y) / 5 % 2 == 0;
        Rgb(if on { [230, 200, 40 + seed as u8] } else { [20, 60, 120] })
    })
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let space = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/controls/residual_sr.yaml");
    scratch.write("by_hand.yaml", &fs::read_to_string(space).unwrap());
    scratch.edit("by_hand.yaml", &[("out: 48", "out: 12"), ("by: 4", "by: 2")]);
    scratch.write("larger.yaml", PIPELINE);
    let save = |name: &str, picture: RgbImage| {
        let path = scratch.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    };
    (0..6).for_each(|seed| save(&format!("train/{seed}.png"), picture(48, 40, seed)));
    save("train/small.png", picture(12, 40, 0));
    // One with odd sides.
    (0..2).for_each(|seed| save(&format!("five/HR/{seed}.png"), picture(46 + seed, 34, seed)));
    fs::create_dir_all(scratch.path("data/grey/hr")).unwrap();
    GrayImage::from_fn(40, 40, |x, y| Luma([((x + y) * 3) as u8])).save(scratch.path("data/grey/hr/g.png")).unwrap();
    scratch
}

/// The bytes of an output of the one record of `kind`.
fn output(scratch: &Scratch, store: &str, kind: &str, name: &str) -> Vec<u8> {
    let digest = scratch.outputs(store, kind)[name].clone();
    fs::read(scratch.path(store).join("objects-v1").join(&digest[..2]).join(&digest[2..])).unwrap()
}

fn json(scratch: &Scratch, store: &str, kind: &str, name: &str) -> Json {
    serde_json::from_slice(&output(scratch, store, kind, name)).unwrap()
}

#[test]
fn a_network_is_trained_killed_resumed_tested_beside_the_filter_reported_and_makes_pictures_larger() {
    let scratch = scratch();
    let done = scratch.run(&["larger.yaml", "--store", "whole"]).exits(0);
    done.line(&[
        "pairs x2: 6 training pictures (3 to fit, 3 held out), to test on five (2), grey (1); 9 partners made",
    ]);
    done.line(&["1 picture smaller than a patch and left out"]);
    done.line(&["1 picture cropped so that the scale divides the sides"]);

    let running = scratch.start(&["larger.yaml", "--store", "killed"]);
    running.wait_for("checkpoint_saved");
    running.kill();
    scratch.run(&["larger.yaml", "--store", "killed"]).exits(0);
    for kind in ["prepare", "retrain", "evaluate", "report"] {
        assert_eq!(scratch.outputs("whole", kind), scratch.outputs("killed", kind), "{kind}");
    }
    scratch.run(&["larger.yaml", "--store", "whole"]).exits(0).line(&["test", "cached"]);

    let found = json(&scratch, "whole", "evaluate", "evaluation");
    let sets = found["sets"].as_array().unwrap();
    assert_eq!((sets[0]["name"].as_str(), sets[1]["examples"][0]["name"].as_str()), (Some("five"), Some("g")));
    let of = |set: usize, who: &str, at: usize| sets[set]["mean"][who][at].as_f64().unwrap();
    assert!(of(0, "network", 0) > of(0, "beside", 0), "{found}");
    // A mean over pictures: two of the one set and one of the other.
    let all = found["measures"][0]["value"].as_f64().unwrap();
    assert!((all - (2.0 * of(0, "network", 0) + of(1, "network", 0)) / 3.0).abs() < 1e-9);
    let outputs = scratch.outputs("whole", "evaluate");
    for name in ["five/0.png", "five/1.png", "grey/g.png", "five/crops.svg", "grey/crops.svg"] {
        assert!(outputs.contains_key(name), "{name}: {outputs:?}");
    }
    let told = |name: &str| String::from_utf8(output(&scratch, "whole", "report", name)).unwrap();
    let text = told("report.txt");
    assert!(
        text.contains("PSNR on Y: the mean of each set's examples.") && text.contains("five (dB)  grey (dB)"),
        "{text}"
    );
    assert_eq!(told("report.html").matches("data:image/png;base64,").count(), 8, "four parts of a picture a set");

    // What predicts is what was tested.
    scratch
        .run(&["export", "larger/network", "--store", "whole", "--to", "safetensors", "--output", "n.safetensors"])
        .exits(0);
    let first = scratch.path("data/five/HR/0.png");
    let whole = image::open(&first).unwrap().into_rgb8();
    let small = image::imageops::crop_imm(&whole, 0, 0, 23, 17).to_image();
    small.save(scratch.path("photo.png")).unwrap();
    let predict = |input: &[&str], output: &str| {
        scratch.run(&[&["predict", "--weights", "n.safetensors", "--output", output, "--input"], input].concat())
    };
    let said = predict(&["photo.png"], "larger.png").exits(0).stdout;
    assert_eq!(said, "photo.png: 46x34 pixels, larger.png\n");
    assert_eq!(image::open(scratch.path("larger.png")).unwrap().into_rgb8().dimensions(), (46, 34));
    // In tiles it is the same picture, but for a rounding here and there.
    let tiled = predict(&["photo.png", "--tile", "16"], "tiled.png").exits(0).stdout;
    assert_eq!(tiled, "photo.png: 46x34 pixels, tiled.png\n");
    let [whole, tiled] = ["larger.png", "tiled.png"].map(|name| image::open(scratch.path(name)).unwrap().into_rgb8());
    assert_eq!(whole.dimensions(), tiled.dimensions());
    assert!(whole.iter().zip(tiled.iter()).all(|(one, other)| one.abs_diff(*other) <= 1));
    predict(&["photo.png"], "larger.png").exits(3).line(&["`larger.png` is there already"]);
    // A tensor has any sides too, and so has a graph.
    let x: Vec<u8> = (0..3 * 10 * 14_u16).flat_map(|at| (f32::from(at % 9) / 9.0).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, 3, 10, 14], &x).unwrap();
    fs::write(scratch.path("x.safetensors"), safetensors::serialize([("x", view)], None).unwrap()).unwrap();
    predict(&["x.safetensors"], "y.safetensors").exits(0);
    let bytes = fs::read(scratch.path("y.safetensors")).unwrap();
    let shape = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("image").unwrap().shape().to_vec();
    assert_eq!(shape, [1, 3, 20, 28]);
    let graph = |sides: &[&str]| {
        let words = ["export", "--weights", "n.safetensors", "--to", "onnx", "--force", "--output", "n.onnx"];
        scratch.run(&[&words, sides].concat()).exits(0);
        let bytes = fs::read(scratch.path("n.onnx")).unwrap();
        ["width", "image_width"].map(|name| bytes.windows(name.len()).any(|window| window == name.as_bytes()))
    };
    assert_eq!((graph(&[]), graph(&["--side", "20"])), ([true; 2], [false; 2]));
    let several = ["photo.png", "data/grey/hr/g.png"];
    predict(&several, "both").exits(3).line(&["2 pictures are written to a folder, and `both` is none"]);
    fs::create_dir(scratch.path("both")).unwrap();
    predict(&several, "both").exits(0);
    assert_eq!(fs::read(scratch.path("both/photo.png")).unwrap(), fs::read(scratch.path("larger.png")).unwrap());
    // What cannot be read holds up none of the others.
    fs::write(scratch.path("torn.png"), &fs::read(scratch.path("photo.png")).unwrap()[..60]).unwrap();
    let ended = predict(&["torn.png", "photo.png", "--force"], "both").exits(3);
    ended.line(&["torn.png"]);
    assert!(ended.stdout.contains("both/photo.png") && !ended.stdout.contains("torn"), "{}", ended.stdout);
    predict(&["photo.png"], "photo.jpg").exits(3).line(&["is written as PNG, and `photo.jpg` has another ending"]);
}

#[test]
fn a_network_is_tested_on_any_pictures_of_its_scale_alone() {
    let scratch = scratch();
    let other = "  other:\n    prepare: {image_pairs: {scale: 4, test: {five: data/five}, patch: 16}}\n  test:";
    scratch.edit(
        "larger.yaml",
        &[("  test:", other), ("network: network, data: pictures", "network: network, data: other")],
    );
    let run = || scratch.run(&["larger.yaml", "--store", "store", "--set", "network.epochs=1"]);
    run().exits(3).line(&["the network learns from pairs of pictures of scale 2, and is to be tested"]);
    scratch.edit("larger.yaml", &[("scale: 4", "scale: 2")]);
    run().exits(0).line(&["test: ran", "PSNR on Y: five"]);
}

/// A lattice whose up step doubles the sides of maps: of two complete ways one is found, trained anew
/// with the supernet's weights and tested.
#[test]
fn a_path_with_up_steps_that_enlarge_is_searched_derived_and_trained() {
    let scratch = scratch();
    scratch.write(
        "nearest.yaml",
        "name: nearest\nextends: trilevel_sr_nearest\nskeletons: {search: {body: {lattice: {blocks: 1}}}}\n",
    );
    let (stages, _) = PIPELINE.split_once("  cell:").unwrap();
    let trained = "epochs: 1, batch: 8, weights: {optimiser: adam, learning_rate: 1e-3, weight_decay: 0}";
    let searched = "
  search:
    search: {task: super_resolution, data: pictures, space: nearest.yaml, channels: 8, size: 1, TRAINED, watch_images: 2,
             mixing: {operations: sparsestmax, path: sparsestmax, width: gumbel}, regularise: {multiply_adds: 0.1},
             augment: {flip: true, crop_padding: 0, cutout: 0}}
  found:
    derive: {search: search}
  network:
    retrain: {genotype: found, data: pictures, inherit: search, skeleton: final, channels: 8, drop_path: 0, TRAINED, task: super_resolution}
  test:
    evaluate: {network: network, data: pictures}
  report:
    report: {of: [pictures, search, found, network, test]}
";
    scratch.write("path.yaml", &format!("{stages}{}", searched.trim_start_matches('\n').replace("TRAINED", trained)));
    let done = scratch.run(&["path.yaml"]).exits(0);
    done.line(&["test: ran", "PSNR on Y: five"]);
    let path = String::from_utf8(output(&scratch, "artifacts", "derive", "genotype")).unwrap();
    assert_eq!((path.matches("nodes").count(), path.matches("up").count()), (2, 1), "both cells and the step: {path}");

    // In tiles a picture is what it is as a whole: what is behind a step looks at finer pixels.
    let network = ["export", "larger/network", "--to", "safetensors", "--output", "n.safetensors"];
    scratch.run(&network).exits(0);
    for (tile, output) in [("256", "whole.png"), ("16", "tiled.png")] {
        let words = [
            "predict",
            "--weights",
            "n.safetensors",
            "--input",
            "data/five/HR/0.png",
            "--tile",
            tile,
            "--output",
            output,
        ];
        scratch.run(&words).exits(0);
    }
    let [whole, tiled] = ["whole.png", "tiled.png"].map(|name| image::open(scratch.path(name)).unwrap().into_rgb8());
    assert_eq!(whole.dimensions(), (92, 68));
    assert!(whole.iter().zip(tiled.iter()).all(|(one, other)| one.abs_diff(*other) <= 1));

    let refused = |said: [&str; 2]| {
        let ended = scratch.run(&["path.yaml", "--store", "none"]).exits(3);
        said.iter().for_each(|said| assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr));
    };
    scratch.edit("path.yaml", &[("{multiply_adds: 0.1}", "{order: 0.1}")]);
    refused(["all of whose maps are", "leave `order` out"]);
    scratch.edit("nearest.yaml", &[("{blocks: 1}", "{blocks: 1, exits: all}")]);
    refused(["`gamma`: gives", "say `exits: complete`"]);
}

#[test]
fn what_cannot_work_is_said_before_anything_runs() {
    let scratch = scratch();
    for (from, to, said) in [
        ("task: super_resolution, ", "", "pairs of pictures have no classes for a task `classification`"),
        ("scale: 2", "scale: 5", "`scale` must be 2, 3 or 4"),
        ("patch: 8", "patch: 4", "`patch` must be a whole number from 8 to 1024"),
        ("data/train", "data/trian", "found no folder `data/trian`"),
        ("train: data/train, test", "teacher: data/train, test", "`teacher` is for pictures to train on"),
        ("{five: data/five, grey: data/grey}", "data/five", "`test` must be a map of sets"),
        ("five: data/five", "\"Set 5\": data/five", "`Set 5` names figures and files"),
        ("data/five", "{hihg: data/five}", "lacks the key `high`"),
        ("images: fit,", "images: fit, augment: {cutout: 4},", "`cutout` must be off for pairs of pictures"),
        ("by_hand.yaml", "nas_bench_201", "space `nas_bench_201`"),
        ("scale: 2", "scale: 3", "gives"),
    ] {
        scratch.write("wrong.yaml", PIPELINE);
        scratch.edit("wrong.yaml", &[(from, to)]);
        let ended = scratch.run(&["wrong.yaml", "--store", "none"]);
        ended.line(&[said]);
        assert!(!scratch.path("none/records-v1").exists(), "{said}");
    }
    scratch.edit("larger.yaml", &[("image_pairs: {scale: 2, train: data/train, test: {five: data/five, grey: data/grey}, patch: 8, patches_per_picture: 8,\n                    split: {fraction: 0.5}}", "digits: {}")]);
    scratch.run(&["larger.yaml"]).line(&["`super_resolution` is learned from pairs of pictures"]);
}
