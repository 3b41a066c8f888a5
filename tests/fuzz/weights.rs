//! Files of numbers: weights of this and other programs, golden files, checkpoints.

use crate::{
    harness::{Target, hear_panics, hold},
    root, said, seals, shipped,
};
use burn::tensor::Device;
use darts_run::{
    interop::{description::Description, parity, tensor_file::TensorFile, trained::TrainedNetwork},
    kernels::Kernels,
    model::Model,
    space::{
        Build, EdgeOptions, Space,
        network::{FeatureMap, OutputSpec},
    },
    tasks::classification::{Classes, Classification},
    train::{AlphaConfig, Checkpoint, Clipped, Learner, LearnerConfig, OptimiserConfig, SgdConfig},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{Cursor, Read},
    sync::Arc,
};

const TENSORS: &[&[u8]] = &[
    b"{",
    b"}",
    b"\"dtype\":\"F32\"",
    b"F64",
    b"BF16",
    b"I64",
    b"F8_E4M3",
    b"\"shape\":[",
    b"\"data_offsets\":[0,4]",
    b"0,0",
    b"__metadata__",
    b"],",
    b"18446744073709551615",
    b"-1",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\x93NUMPY",
    b"'<f4'",
    b"fortran_order",
    b"True",
    b"(2, 3)",
];

/// What pickles are made of.
const PICKLE: &[&[u8]] = &[
    b"(",
    b".",
    b"0",
    b"1",
    b"2",
    b"N",
    b"\x88",
    b"\x89",
    b"I01\n",
    b"L-5L\n",
    b"J\xff\xff\xff\x7f",
    b"K\x01",
    b"M\x00\x01",
    b"\x8a\x09",
    b"G\x7f\xf0\0\0\0\0\0\0",
    b"S'a'\n",
    b"X\x01\0\0\0a",
    b"\x8c\x01a",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"C\x01a",
    b"\x8e\x01\0\0\0\0\0\0\0a",
    b")",
    b"]",
    b"}",
    b"t",
    b"l",
    b"d",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x85",
    b"\x86",
    b"\x87",
    b"h\x00",
    b"q\x00",
    b"\x94",
    b"j\0\0\0\0",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
    b"ccollections\nOrderedDict\n",
    b"R",
    b"b",
    b"Q",
    b"\x93",
    b"\x81",
    b"2222",
    b"h\x00h\x00h\x00\x87q\x00",
    b"cnumpy.core.multiarray\n_reconstruct\n",
];

/// Opens a file of tensors and looks for the network that it may be of.
fn open(bytes: &[u8], name: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("an input can be written");
    let file = TensorFile::open(&path).map_err(|error| said(&error))?;
    let described = Description::of_metadata(&file.metadata);
    if let Err(error) = TrainedNetwork::assemble(&described, &file, None, root(), &Device::flex()) {
        // What is left open is for the command line to say.
        let _ = (said(&error), error.hint());
    }
    Ok(())
}

#[test]
fn tensors() {
    hear_panics();
    let mut seeds = shipped("tests/pytorch", &[".pt", ".tar", ".npz"]);
    seeds.extend(shipped("tests/golden/rl", &["gae.safetensors", "ppo_loss.safetensors"]));
    // Arrays of NumPy by themselves.
    seeds.extend(entries("arrays.npz").into_iter().map(|(_, array)| array));
    let read = |bytes: &[u8]| open(bytes, "hostile.pt");
    hold(Target { name: "tensors", seeds, words: TENSORS, megabytes: 512, read: Box::new(read), place: "hostile" });
}

/// The entries of an archive that ships.
fn entries(name: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(root().join("tests/pytorch").join(name)).expect("the file ships");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let names: Vec<String> = archive.file_names().map(|name| name.expect("text").into_owned()).collect();
    let held = |name: String| {
        let mut held = Vec::new();
        archive.by_name(&name).expect("an entry").read_to_end(&mut held).expect("a whole entry");
        (name, held)
    };
    names.into_iter().map(held).collect()
}

/// The pickle of an archive changed, its checksums right.
#[test]
fn pickles() {
    hear_panics();
    let files = ["numpy_arrays.pt", "optimiser_beside.pt", "types_at_21_letters_x.pt"].map(entries);
    let is_pickle = |name: &str| name.ends_with("data.pkl");
    let pickle = |file: &Vec<(String, Vec<u8>)>| {
        file.iter().find(|(name, _)| is_pickle(name)).map(|(_, held)| held.clone()).expect("a pickle")
    };
    let mut seeds: Vec<Vec<u8>> = files.iter().map(pickle).collect();
    // A stream of pickles, as PyTorch wrote before it had archives.
    seeds.extend(shipped("tests/pytorch", &["of_1_5.pt", ".tar"]));
    let read = move |bytes: &[u8]| {
        if bytes.len() > 3 && bytes.len() % 4 == 3 {
            return open(bytes, "hostile.pt");
        }
        let mut file = files[bytes.len() % 4 % files.len()].clone();
        for (name, held) in &mut file {
            if is_pickle(name) {
                *held = bytes.to_vec();
            }
        }
        open(&seals::zip(&file), "hostile.pt")
    };
    hold(Target { name: "pickles", seeds, words: PICKLE, megabytes: 768, read: Box::new(read), place: "hostile" });
}

/// A safetensors file in two parts: what is said of its tensors, and their bytes.
fn parts(file: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = file.split_first_chunk().expect("a length");
    rest.split_at(u64::from_le_bytes(*length) as usize)
}

/// What is said of tensors, where it is JSON still, twisted so that it fits their bytes all the
/// same: other shapes of as many numbers, other types of the same width, tensors under each other's
/// names. How, is decided by the text itself.
fn twisted(said: &[u8]) -> Vec<u8> {
    let Ok(Json::Object(mut tensors)) = serde_json::from_slice(said) else { return said.to_vec() };
    let mut random = ChaCha8Rng::from_seed(Sha256::digest(said).into());
    let names: Vec<String> = tensors.keys().filter(|name| *name != "__metadata__").cloned().collect();
    for _ in 0..random.random_range(0..4) {
        if names.is_empty() {
            break;
        }
        let mut pick = || names[random.random_range(0..names.len())].clone();
        let (one, other) = (pick(), pick());
        match random.random_range(0..4) {
            0 | 1 => {
                let shape = &mut tensors[&one]["shape"];
                let mut sides: Vec<u64> = shape.as_array().into_iter().flatten().filter_map(Json::as_u64).collect();
                let count = sides.iter().fold(1, |count: u64, side| count.wrapping_mul(*side));
                match random.random_range(0..6) {
                    0 => sides.reverse(),
                    1 => sides.push(1),
                    2 => sides.insert(0, 1),
                    3 => sides = vec![count],
                    4 if count % 2 == 0 => sides = vec![2, count / 2],
                    _ => sides = vec![1, 1, 1, 1, count],
                }
                *shape = sides.into();
            }
            2 => {
                let kind = &mut tensors[&one]["dtype"];
                let others: &[&str] = if ["F64", "I64", "U64"].iter().any(|wide| kind == wide) {
                    &["F64", "I64"]
                } else {
                    &["F32", "I32", "U32"]
                };
                *kind = others[random.random_range(0..others.len())].into();
            }
            _ => {
                let (first, second) = (tensors[&one].clone(), tensors[&other].clone());
                (tensors[&one], tensors[&other]) = (second, first);
            }
        }
    }
    serde_json::to_vec(&tensors).expect("JSON")
}

/// Files of these names, by what they say of their tensors; the first byte is the file's number.
fn by_what_they_say(folder: &str, names: &[&str]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let files = shipped(folder, names);
    assert_eq!(files.len(), names.len(), "each name is one file's");
    let numbered = |(at, file): (usize, &Vec<u8>)| [&[at as u8][..], parts(file).0].concat();
    (files.iter().enumerate().map(numbered).collect(), files.iter().map(|file| parts(file).1.to_vec()).collect())
}

/// The file that such an input stands for.
fn whole(input: &[u8], tails: &[Vec<u8>]) -> Vec<u8> {
    let (&at, said) = input.split_first().unwrap_or((&0, &[]));
    let said = twisted(said);
    [&(said.len() as u64).to_le_bytes(), &said[..], &tails[usize::from(at) % tails.len()]].concat()
}

/// Layers, losses and advantages, replayed from files that say another thing of their tensors.
#[test]
fn golden_files() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (mut seeds, mut tails) =
        by_what_they_say("tests/golden/rl", &["gae.safetensors", "ppo_loss.safetensors", "normaliser.safetensors"]);
    let (more, their_tails) = by_what_they_say("tests/golden/sr", &["pixels.safetensors", "sparsestmax.safetensors"]);
    seeds.extend(more.into_iter().map(|mut seed| {
        seed[0] += 3;
        seed
    }));
    tails.extend(their_tails);
    let read = move |bytes: &[u8]| {
        let path = folder.path().join("hostile.safetensors");
        fs::write(&path, whole(bytes, &tails)).expect("an input can be written");
        let replayed = parity::replay(&path, root(), Kernels::Native, &Device::flex());
        replayed.map(drop).map_err(|error| said(&error))
    };
    hold(Target {
        name: "golden_files",
        seeds,
        words: TENSORS,
        megabytes: 512,
        read: Box::new(read),
        place: "hostile",
    });
}

/// Whole networks: which space, which cell, how wide, and what of it.
#[test]
fn networks() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (seeds, tails) = by_what_they_say("tests/golden", &["nb201_network.safetensors", "nb201_supernet.safetensors"]);
    let read = move |bytes: &[u8]| {
        let file = whole(bytes, &tails);
        // In some turns the file is replayed as the golden file that it is.
        if bytes.len().is_multiple_of(8) {
            let path = folder.path().join("hostile.safetensors");
            fs::write(&path, &file).expect("an input can be written");
            let replayed = parity::replay(&path, root(), Kernels::Native, &Device::flex());
            return replayed.map(drop).map_err(|error| said(&error));
        }
        open(&file, "hostile.safetensors")
    };
    hold(Target { name: "networks", seeds, words: TENSORS, megabytes: 1024, read: Box::new(read), place: "hostile" });
}

fn learner() -> Learner {
    let space = Space::read(&root().join("search_spaces/nas_bench_201.yaml")).expect("the space ships");
    let build = Build {
        skeleton: "search".to_owned(),
        channels: Some(2),
        size: Some(1),
        outputs: OutputSpec::scores(3),
        input: FeatureMap { channels: 1, height: 4, width: 4 },
        auxiliary: false,
        edges: EdgeOptions::default(),
    };
    let network = space.supernet(&build).expect("a small supernet");
    let config = LearnerConfig {
        optimiser: OptimiserConfig::Sgd(SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 }),
        clip_norm: 5.0,
        clipped: Clipped::Weights,
        average: Some(0.5),
        alphas: Some(AlphaConfig::default()),
    };
    let classes = Classes::new(Classification::default(), ["a", "b", "c"].map(str::to_owned).to_vec());
    Learner::new(Model::new(network, Kernels::Native), Arc::new(classes), &config, 5, &Device::flex())
}

#[test]
fn checkpoints() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("hostile");
    let mut state = learner().state;
    Checkpoint::save(&path, &state, &serde_json::json!({"epoch": 1})).expect("a checkpoint");
    let seeds = vec![fs::read(&path).expect("the checkpoint")];
    let read = move |bytes: &[u8]| {
        let input = if bytes.len().is_multiple_of(4) { bytes.to_vec() } else { seals::checkpoint(bytes.to_vec()) };
        fs::write(&path, input).expect("an input can be written");
        let accept = |_: &serde_json::Value| Ok(());
        let loaded = Checkpoint::load(&path, &mut state, &Device::flex(), accept);
        loaded.map(drop).map_err(|error| said(&error))
    };
    hold(Target { name: "checkpoints", seeds, words: TENSORS, megabytes: 256, read: Box::new(read), place: "hostile" });
}
