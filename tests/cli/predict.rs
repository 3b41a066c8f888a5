//! `darts-run predict` on files as other programs leave them.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Ended, Scratch};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Splits a golden file into what a user would have: weights, alphas, images, a genotype. Gives the
/// scores that PyTorch computed.
fn split(scratch: &Scratch, golden: &str) -> Vec<f32> {
    let bytes = fs::read(root().join("tests/golden").join(format!("{golden}.safetensors"))).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let below = |prefix: &str, kept: &str| -> Vec<(String, TensorView<'_>)> {
        let all = file.iter().filter_map(|(name, view)| Some((name.strip_prefix(prefix)?, view)));
        all.map(|(name, view)| (format!("{kept}{name}"), view)).collect()
    };
    for (path, tensors) in [
        ("weights.safetensors", below("state.", "")),
        ("alphas.safetensors", below("alpha.", "alpha.")),
        ("x.safetensors", below("batch0.x", "x")),
    ] {
        fs::write(scratch.path(path), safetensors::serialize(tensors, None).unwrap()).unwrap();
    }
    let genotype = &header.metadata().as_ref().unwrap()["genotype"];
    scratch.write("genotype.json", genotype);
    floats(&file, "eval.logits").1
}

fn floats(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
    let view = file.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::F32);
    let numbers = view.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    (view.shape().to_vec(), numbers.collect())
}

fn logits(scratch: &Scratch) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(scratch.path("logits.safetensors")).unwrap();
    floats(&SafeTensors::deserialize(&bytes).unwrap(), "logits")
}

#[track_caller]
fn predicts(scratch: &Scratch, flags: &[&str], expected: &[f32]) -> String {
    let said = predict(scratch, flags).exits(0).stdout;
    let (shape, found) = logits(scratch);
    assert_eq!(shape.iter().product::<usize>(), expected.len());
    let square = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let difference = square(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let error = difference / square(&mut expected.iter().copied());
    assert!(error < 1e-5, "{flags:?}: {error}");
    fs::remove_file(scratch.path("logits.safetensors")).unwrap();
    said
}

fn predict(scratch: &Scratch, flags: &[&str]) -> Ended {
    let input = if flags.contains(&"--input") { vec![] } else { vec!["--input", "x.safetensors"] };
    scratch.run(&[&["predict", "--output", "logits.safetensors", "--force"], &input[..], flags].concat())
}

#[test]
fn the_scores_of_pytorch_come_from_its_weights() {
    let scratch = Scratch::new();
    let weights = ["--weights", "weights.safetensors"];
    let cell = [&weights[..], &["--genotype", "genotype.json", "--channels", "4"]].concat();
    let expected = split(&scratch, "cifar_darts_v2");
    let said = predicts(&scratch, &[&cell[..], &["--space", "darts", "--layers", "5"]].concat(), &expected);
    assert_eq!(said, "logits of 2 images, 10 classes: logits.safetensors\n");
    // One at a time, by burn's operators, by the published cell's name.
    let named = ["--genotype", "darts_v2", "--channels", "4", "--size", "5", "--skeleton", "cifar", "--classes", "10"];
    let slowly = ["--batch", "1", "--kernels", "reference"];
    predicts(&scratch, &[&weights[..], &named, &slowly].concat(), &expected);

    // The skeleton is seen in the names.
    let expected = split(&scratch, "imagenet_darts_v1");
    predicts(&scratch, &[&cell[..], &["--layers", "4"]].concat(), &expected);

    let supernet = [&weights[..], &["--supernet", "--channels", "4", "--alphas", "alphas.safetensors"]].concat();
    let expected = split(&scratch, "darts_supernet");
    predicts(&scratch, &[&supernet[..], &["--space", "darts", "--layers", "4"]].concat(), &expected);
    let expected = split(&scratch, "nb201_supernet");
    predicts(&scratch, &[&supernet[..], &["--space", "nas_bench_201", "--layers", "1"]].concat(), &expected);
    let expected = split(&scratch, "pcdarts_supernet");
    let partial = ["--channels", "8", "--layers", "4", "--partial-channels", "4", "--edge-normalisation"];
    let supernet = [&weights[..], &["--supernet", "--space", "darts", "--alphas", "alphas.safetensors"]].concat();
    predicts(&scratch, &[&supernet[..], &partial].concat(), &expected);
}

#[test]
fn a_golden_file_needs_no_flags() {
    let scratch = Scratch::new();
    for name in ["cifar_darts_v2", "nb201_supernet", "pcdarts_supernet"] {
        let expected = split(&scratch, name);
        let path = root().join("tests/golden").join(format!("{name}.safetensors"));
        let path = path.to_str().unwrap();
        predicts(&scratch, &["--weights", path, "--input", path], &expected);
    }
}

#[test]
fn a_checkpoint_of_an_old_pytorch_is_read() {
    let scratch = Scratch::new();
    let checkpoint = root().join("tests/pytorch/checkpoint_of_1_5.pth.tar");
    let path = checkpoint.to_str().unwrap();
    // The scores lie in the same file; as an input they are what is wrong with it.
    let cell = "|skip_connect~0|+|avg_pool_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|";
    let flags = ["--weights", path, "--input", path, "--genotype", cell, "--channels", "2", "--layers", "1"];
    predict(&scratch, &flags).exits(0);
    let (shape, found) = logits(&scratch);
    assert_eq!(shape, [3, 3]);
    // Of the file's tensor `logits`, which PyTorch computed.
    let expected = [
        0.113_572_41,
        -0.087_033_16,
        0.181_164_2,
        0.084_713_4,
        -0.222_835_42,
        0.196_388_45,
        -0.091_243_94,
        -0.344_793_92,
        0.108_030_25_f32,
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let wrong = predict(&scratch, &[&flags[..], &["--tensor", "logits"]].concat()).exits(3);
    assert!(wrong.stderr.contains("has shape [3, 3]"), "{}", wrong.stderr);
}

#[test]
fn a_picture_is_the_tensor_that_its_pixels_are() {
    let scratch = Scratch::new();
    split(&scratch, "cifar_darts_v2");
    let side = 32_u32;
    let value = |at: u32, channel: u32| (at * 7 + channel * 50) % 256;
    let picture = image::RgbImage::from_fn(side, side, |x, y| {
        image::Rgb([0, 1, 2].map(|channel| u8::try_from(value(y * side + x, channel)).unwrap()))
    });
    picture.save(scratch.path("a.png")).unwrap();
    let (mean, std) = ([0.485_f32, 0.456, 0.406], [0.229_f32, 0.224, 0.225]);
    let normalised = |channel: usize, at: u32| {
        let pixel = value(at, u32::try_from(channel).unwrap()) as f32;
        (pixel / 255.0 - mean[channel]) / std[channel]
    };
    let numbers: Vec<f32> = (0..3).flat_map(|c| (0..side * side).map(move |at| normalised(c, at))).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![1, 3, 32, 32], &bytes).unwrap();
    fs::write(scratch.path("x.safetensors"), safetensors::serialize([("x", view)], None).unwrap()).unwrap();

    let flags = ["--weights", "weights.safetensors", "--genotype", "darts_v2", "--channels", "4", "--layers", "5"];
    predict(&scratch, &flags).exits(0);
    let (_, expected) = logits(&scratch);
    let pictures = [&flags[..], &["--input", "a.png", "a.png", "--normalise", "imagenet"]].concat();
    let said = predict(&scratch, &pictures).exits(0).stdout;
    let found = logits(&scratch).1;
    assert_eq!(found.len(), 2 * expected.len());
    // A batch of another size is summed in another order.
    for (found, expected) in found.iter().zip(expected.iter().chain(&expected)) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    assert_eq!(said.lines().count(), 3);
    assert!(said.starts_with("a.png: class ") && said.contains(" %\n"), "{said}");

    // A folder is its pictures, by name, and says what else it holds.
    fs::create_dir_all(scratch.path("pictures/more")).unwrap();
    fs::create_dir(scratch.path("empty")).unwrap();
    for copy in ["pictures/2.png", "pictures/more/1.jfif"] {
        fs::copy(scratch.path("a.png"), scratch.path(copy)).unwrap();
    }
    fs::write(scratch.path("pictures/notes.txt"), "x").unwrap();
    let folder = [&flags[..], &["--input", "pictures", "a.png", "--normalise", "imagenet"]].concat();
    let said = predict(&scratch, &folder).exits(0).stdout;
    let named: Vec<&str> = said.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(named[..4], ["pictures/2.png", "pictures/more/1.jfif", "a.png", "left out"]);
    assert!(said.contains("left out: `.txt` (1)\n"), "{said}");
    assert_eq!(logits(&scratch).1.len(), 3 * expected.len());
    let empty = predict(&scratch, &[&flags[..], &["--input", "empty"]].concat()).exits(3);
    assert!(empty.stderr.contains("folder `empty` holds no picture"), "{}", empty.stderr);

    let unsaid = predict(&scratch, &[&flags[..], &["--input", "a.png"]].concat()).exits(3);
    assert!(unsaid.stderr.contains("`--normalise`: `cifar10_darts`"), "{}", unsaid.stderr);
    let mixed = predict(&scratch, &[&flags[..], &["--input", "a.png", "x.safetensors"]].concat()).exits(3);
    assert!(mixed.stderr.contains("1 of 2 files"), "{}", mixed.stderr);
    fs::write(scratch.path("cut.png"), &fs::read(scratch.path("a.png")).unwrap()[..200]).unwrap();
    let cut = [&flags[..], &["--input", "a.png", "cut.png", "--normalise", "imagenet"]].concat();
    fs::remove_file(scratch.path("logits.safetensors")).unwrap();
    assert!(predict(&scratch, &cut).exits(3).stderr.contains("cut.png"));
    assert!(!scratch.path("logits.safetensors").exists(), "nothing is written of some of the images");
}

/// The tensors of a file below each of several names, as changed.
fn rewrite(scratch: &Scratch, from: &str, to: &str, prefixes: &[&str], change: impl Fn(usize, &mut f32)) {
    let bytes = fs::read(scratch.path(from)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .names()
        .into_iter()
        .filter(|name| file.tensor(name).unwrap().dtype() == Dtype::F32)
        .map(|name| {
            let (shape, mut numbers) = floats(&file, name);
            numbers.iter_mut().enumerate().for_each(|(at, number)| change(at, number));
            (name.to_owned(), shape, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        })
        .collect();
    let views = prefixes.iter().flat_map(|prefix| {
        let view = |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        changed.iter().map(move |(name, shape, bytes)| (format!("{prefix}{name}"), view(shape, bytes)))
    });
    fs::write(scratch.path(to), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn weights_are_found_below_any_name_and_another_is_taken_when_asked() {
    let scratch = Scratch::new();
    let expected = split(&scratch, "cifar_darts_v2");
    rewrite(&scratch, "weights.safetensors", "both.safetensors", &["ckpt.backbone.", "ckpt.backbone_ema."], |_, _| {});
    let cell = ["--genotype", "darts_v2", "--channels", "4", "--layers", "5", "--weights"];
    predicts(&scratch, &[&cell[..], &["both.safetensors"]].concat(), &expected);
    let said = predict(&scratch, &[&cell[..], &["both.safetensors"]].concat()).exits(0).stderr;
    assert_eq!(
        said,
        "note: the tensors below `ckpt.backbone` are taken; others lie below `ckpt.backbone_ema` \
         (`--prefix ckpt.backbone_ema` takes those)\n"
    );
    let other = [&cell[..], &["both.safetensors", "--prefix", "ckpt.backbone_ema"]].concat();
    assert_eq!(predict(&scratch, &other).exits(0).stderr, "");
    let wrong = [&cell[..], &["both.safetensors", "--prefix", "model"]].concat();
    let said = predict(&scratch, &wrong).exits(3).stderr;
    assert!(said.contains("has no tensor below `model`") && said.contains("its names begin with `ckpt`"), "{said}");

    // What is fetched in the place of weights is called what it is.
    scratch.write("page.pt", "<!DOCTYPE html><html>Google Drive can't scan this file for viruses");
    scratch.write("pointer.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 13245678\n");
    for (file, words) in [("page.pt", "`page.pt` is a web page (HTML)"), ("pointer.pt", "`git lfs pull`")] {
        let said = predict(&scratch, &[&cell[..], &[file]].concat()).exits(3).stderr;
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn numbers_that_are_none_are_named_and_refused() {
    let scratch = Scratch::new();
    split(&scratch, "cifar_darts_v2");
    let cell = ["--genotype", "darts_v2", "--channels", "4", "--layers", "5"];
    let spoilt = |at: usize, number: &mut f32| {
        if at == 1 {
            *number = f32::NAN;
        }
    };
    rewrite(&scratch, "weights.safetensors", "spoilt.safetensors", &[""], spoilt);
    let said = predict(&scratch, &[&cell[..], &["--weights", "spoilt.safetensors"]].concat()).exits(3).stderr;
    let error =
        "error: tensor `stem.0.weight` of `spoilt.safetensors` is NaN or infinite in 1 of its 324 numbers, as are ";
    assert!(said.starts_with(error), "{said}");
    // In the second of two images of 3x32x32.
    let late = |at: usize, number: &mut f32| {
        if at >= 6140 {
            *number = f32::INFINITY;
        }
    };
    rewrite(&scratch, "x.safetensors", "late.safetensors", &[""], late);
    let pixels = ["--weights", "weights.safetensors", "--input", "late.safetensors"];
    let said = predict(&scratch, &[&cell[..], &pixels].concat()).exits(3).stderr;
    assert_eq!(said, "error: 4 of the 3072 numbers of image 1 (counted from 0) are NaN or infinite\n");
    // Finite, and yet no score comes of them.
    rewrite(&scratch, "weights.safetensors", "huge.safetensors", &[""], |_, number| *number *= 1e30);
    let said = predict(&scratch, &[&cell[..], &["--weights", "huge.safetensors"]].concat()).exits(3).stderr;
    assert!(said.contains("grow beyond what a number of 32 bits holds"), "{said}");
    assert!(!scratch.path("logits.safetensors").exists());
}

#[test]
fn images_are_read_from_numpy_with_their_channels_last() {
    let scratch = Scratch::new();
    let expected = split(&scratch, "cifar_darts_v2");
    let bytes = fs::read(scratch.path("x.safetensors")).unwrap();
    let (shape, numbers) = floats(&SafeTensors::deserialize(&bytes).unwrap(), "x");
    assert_eq!(shape, [2, 3, 32, 32]);
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 32, 32, 3), }\n";
    let mut file =
        [b"\x93NUMPY\x01\x00", &u16::try_from(header.len()).unwrap().to_le_bytes()[..], header.as_bytes()].concat();
    for (image, pixel, channel) in (0..2).flat_map(|i| (0..1024).flat_map(move |p| (0..3).map(move |c| (i, p, c)))) {
        file.extend(numbers[(image * 3 + channel) * 1024 + pixel].to_le_bytes());
    }
    fs::write(scratch.path("x.npy"), file).unwrap();
    let flags = ["--genotype", "darts_v2", "--channels", "4", "--layers", "5", "--weights", "weights.safetensors"];
    let flags = [&flags[..], &["--input", "x.npy"]].concat();
    predicts(&scratch, &flags, &expected);
    let said = predict(&scratch, &flags).exits(0).stderr;
    assert_eq!(said, "note: `x` of `x.npy` is read as [N, height, width, channels], for its shape is [2, 32, 32, 3]\n");
}

#[test]
fn what_is_wrong_is_said_with_a_way_out_and_nothing_is_written() {
    let scratch = Scratch::new();
    split(&scratch, "cifar_darts_v2");
    scratch.write("text", "no tensors");
    let weights = ["--weights", "weights.safetensors"];
    let cell = [&weights[..], &["--genotype", "darts_v2"]].concat();
    let fitting = [&cell[..], &["--channels", "4", "--layers", "5"]].concat();
    let with = |base: &[&'static str], more: &[&'static str]| [base, more].concat();
    for (flags, words) in [
        (cell.clone(), "the tensors fit with `--channels 4 --layers 5`"),
        (with(&cell, &["--layers", "5"]), "has shape [12, 3, 3, 3], the network expects [108, 3, 3, 3]"),
        (with(&fitting, &["--skeleton", "imagenet"]), "the tensors fit with `--skeleton cifar`"),
        (with(&fitting, &["--skeleton", "imagnet"]), "no skeleton `imagnet` in `darts`"),
        (with(&fitting, &["--space", "dart"]), "did you mean `darts`?"),
        (with(&fitting, &["--input", "weights.safetensors"]), "has no tensor `x`"),
        (with(&fitting, &["--input", "nothing.safetensors"]), "failed to read `nothing.safetensors`"),
        (weights.to_vec(), "neither a genotype nor `supernet` is given"),
        (
            vec!["--weights", "text", "--genotype", "darts_v2"],
            "`text` is neither a safetensors file nor one that PyTorch saved: it begins as no container",
        ),
        (
            vec!["--weights", "x.safetensors", "--genotype", "darts_v2"],
            "whose first is `stem.0.weight`; its own are `x`",
        ),
        (with(&weights, &["--genotype", "darts_v3"]), "did you mean `darts_v"),
    ] {
        let ended = predict(&scratch, &flags).exits(3);
        assert!(ended.stderr.contains(words), "{flags:?}\n{}", ended.stderr);
        assert!(!scratch.path("logits.safetensors").exists());
    }
    predict(&scratch, &with(&fitting, &["--supernet"])).exits(2);
    predict(&scratch, &with(&fitting, &["--device", "gpu"])).exits(2);
    let nowhere =
        [&["predict", "--output", "no/logits.safetensors", "--input", "x.safetensors"], &fitting[..]].concat();
    assert!(scratch.run(&nowhere).exits(3).stderr.contains("there is no folder `no`"));
}
