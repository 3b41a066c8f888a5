//! `darts-run export`: what a pipeline made, for other programs, and read back.

use crate::scratch::{Ended, Scratch};
use serde_json::Value as Json;
use std::fs;

/// Seconds of a search and of a training, of classes with names.
const PIPELINE: &str = "\
name: trained
stages:
  images:
    prepare: {synthetic: {train: 64, test: 16, classes: 4, size: 8, channels: 1, seed: 3}}
  search:
    search: {data: images, space: nas_bench_201, channels: 4, size: 1, epochs: 1, batch: 16, mixing: sigmoid}
  cell:
    genotype: {space: nas_bench_201, from: \"|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|none~2|\"}
  network:
    retrain: {genotype: cell, data: images, skeleton: final, channels: 4, size: 1, epochs: 1, batch: 16, augment: {cutout: 0}}
";

fn made() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("trained.yaml", PIPELINE);
    scratch.run(&["trained.yaml"]).exits(0);
    scratch
}

fn export(scratch: &Scratch, words: &[&str]) -> Ended {
    scratch.run(&[&["export"], words].concat())
}

#[test]
fn a_trained_network_and_a_supernet_predict_from_their_own_files_alone() {
    let scratch = made();
    let named = export(&scratch, &["trained/network", "--to", "safetensors"]).exits(0);
    assert_eq!(named.stdout, "trained-network.safetensors\n");
    export(&scratch, &["trained/search", "--to", "safetensors", "--output", "supernet.safetensors"]).exits(0);
    // Images of one channel, as the network was trained on: seen in its first convolution.
    let x: Vec<u8> = (0..2 * 64_u16).flat_map(|at| (f32::from(at % 7) - 3.0).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 1, 8, 8], &x).unwrap();
    fs::write(scratch.path("x.safetensors"), safetensors::serialize([("x", view)], None).unwrap()).unwrap();
    // Nothing else is needed, no folder of spaces either.
    fs::remove_file(scratch.path("search_spaces")).unwrap();
    for file in ["trained-network.safetensors", "supernet.safetensors"] {
        let words = ["predict", "--weights", file, "--input", "x.safetensors", "--output", "logits.safetensors"];
        let said = scratch.run(&[&words[..], &["--force"]].concat()).exits(0).stdout;
        assert_eq!(said, "logits of 2 images, 4 classes: logits.safetensors\n");
    }
    // The relaxation of the search is in the file: another gives other scores.
    let logits = fs::read(scratch.path("logits.safetensors")).unwrap();
    let words = ["predict", "--weights", "supernet.safetensors", "--input", "x.safetensors"];
    let again = |mixing: &[&str]| {
        scratch.run(&[&words[..], &["--output", "again.safetensors", "--force"], mixing].concat()).exits(0);
        fs::read(scratch.path("again.safetensors")).unwrap()
    };
    assert_eq!(again(&["--mixing", "sigmoid"]), logits);
    assert_ne!(again(&["--mixing", "softmax"]), logits);

    // The stage's tensors, to the bit, and what they are.
    let outputs = scratch.outputs("artifacts", "retrain");
    let digest = &outputs["weights"];
    let published = fs::read(scratch.path("artifacts/objects-v1").join(&digest[..2]).join(&digest[2..])).unwrap();
    let exported = fs::read(scratch.path("trained-network.safetensors")).unwrap();
    let published = safetensors::SafeTensors::deserialize(&published).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&exported).unwrap();
    assert!(tensors.names().contains(&"cells.0.layers.0.op.1.weight"));
    for (name, view) in tensors.iter() {
        assert_eq!(view.data(), published.tensor(name).unwrap().data(), "{name}");
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(&exported).unwrap();
    let said: Json = serde_json::from_str(&header.metadata().as_ref().unwrap()["network"]).unwrap();
    assert_eq!(
        (&said["skeleton"], &said["channels"], &said["input"]),
        (&"final".into(), &4.into(), &vec![1, 8, 8].into())
    );
    assert_eq!(said["class_names"].as_array().unwrap().len(), 4);
}

#[test]
fn a_file_that_is_there_is_not_replaced_unasked() {
    let scratch = made();
    scratch.write("cell.txt", "mine");
    let words = ["trained/cell", "--to", "genotype", "--output", "cell.txt"];
    let refused = export(&scratch, &words).exits(3);
    assert!(refused.stderr.contains("`cell.txt` is there already") && refused.stderr.contains("--force"));
    assert_eq!(scratch.read("cell.txt"), "mine");
    export(&scratch, &[&words[..], &["--force"]].concat()).exits(0);
    let cell = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|none~2|\n";
    assert_eq!(scratch.read("cell.txt"), cell);
    // A trained network has its cell too, and every form reads back.
    for form in ["yaml", "namedtuple", "cell_string"] {
        let words = ["trained/network", "--to", "genotype", "--form", form, "--output", "-"];
        let text = export(&scratch, &words).exits(0).stdout;
        scratch.write("again", &text);
        let shown = scratch.run(&["show", "again", "--space", "nas_bench_201"]).exits(0).stdout;
        assert!(shown.contains(cell.trim()), "{form}: {shown}");
    }
}

#[test]
fn a_result_is_named_by_its_pipeline_or_its_key() {
    let scratch = made();
    let record = fs::read_dir(scratch.path("artifacts/actions-v1")).unwrap().map(|entry| entry.unwrap().path());
    let of_retrain = |path: &std::path::PathBuf| {
        let record: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        record["manifest"]["kind"] == "retrain"
    };
    let path = record.into_iter().find(of_retrain).unwrap();
    let digits = &path.file_name().unwrap().to_str().unwrap()[..16];
    export(&scratch, &[digits, "--to", "onnx"]).exits(0);
    export(&scratch, &["trained/network", "--to", "onnx"]).exits(0);
    let onnx = fs::read(scratch.path("trained-network.onnx")).unwrap();
    assert_eq!(fs::read(scratch.path(&format!("{digits}.onnx"))).unwrap(), onnx);
    // The weights of a file are exported as a stage's are.
    export(&scratch, &["trained/network", "--to", "safetensors"]).exits(0);
    export(&scratch, &["--weights", "trained-network.safetensors", "--to", "onnx", "--output", "same.onnx"]).exits(0);
    assert_eq!(fs::read(scratch.path("same.onnx")).unwrap(), onnx);

    for (words, said) in [
        (&["trained/netwrok", "--to", "onnx"][..], "did you mean `trained/network`?"),
        (&["zz", "--to", "onnx"], "name a result as PIPELINE/STAGE: there are `trained/cell`"),
        (&["", "--to", "onnx"], "keys begin with ``"),
        (&["trained/search", "--to", "onnx"], "a supernet is not written as ONNX"),
        (&["trained/search", "--to", "genotype"], "`trained/search`, a result of `search`, has no genotype"),
        (&["trained/cell", "--to", "safetensors"], "`trained/cell`, a result of `genotype`, has no weights"),
        (&["trained/images", "--to", "onnx"], "`trained/images`, a result of `prepare`, has no weights"),
        (&["trained/network", "--to", "onnx", "--store", "none"], "there is no store `none`"),
    ] {
        let ended = export(&scratch, words).exits(3);
        assert!(ended.stderr.contains(said), "{words:?}\n{}", ended.stderr);
    }
    assert!(!scratch.path("none").exists(), "asking makes no store");
    export(&scratch, &["--to", "onnx"]).exits(2);
    export(&scratch, &["trained/network", "--weights", "w", "--to", "onnx"]).exits(2);
}

#[test]
fn a_damaged_object_is_told_and_the_way_to_heal_it() {
    let scratch = made();
    let digest = &scratch.outputs("artifacts", "retrain")["weights"];
    let path = scratch.path("artifacts/objects-v1").join(&digest[..2]).join(&digest[2..]);
    fs::remove_file(&path).unwrap();
    let ended = export(&scratch, &["trained/network", "--to", "safetensors"]).exits(4);
    assert!(ended.stderr.contains("is missing") && ended.stderr.contains("run the pipeline again"), "{}", ended.stderr);
    assert!(!scratch.path("trained-network.safetensors").exists());
    scratch.run(&["trained.yaml"]).exits(0);
    export(&scratch, &["trained/network", "--to", "safetensors"]).exits(0);
}
