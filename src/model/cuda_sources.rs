//! The CUDA C++ of all kernels that networks launch, for `.ci/cuda_kernels`.

use super::{
    initial_running, initial_weights,
    lower::{Purpose, lower, stands_alone},
    split::Part,
};
use crate::{
    bench::{Work, shipped},
    kernels::{cuda_sources, draft::small_supernet, program::Program},
    space::network::Network,
};
use burn::tensor::Device;
use std::{env, fs, path::PathBuf, sync::Arc};

/// Beside the works that ship: windows that only other cells have, in widths that the works have.
const OTHERS: [&str; 3] = [
    "{genotype: {space: darts, from: nasnet_a}, retrain: {skeleton: cifar, channels: 16, size: 6}}",
    "{genotype: {space: darts, from: amoebanet_a}, retrain: {skeleton: cifar, channels: 16, size: 6}}",
    "{images: {channels: 3, size: 224, classes: 1000}, \
     genotype: {space: darts, from: darts_v2}, transfer: {skeleton: imagenet, channels: 16, size: 14}}",
];

#[test]
#[ignore = "needs a folder to write to: `.ci/cuda_kernels` runs it"]
fn sources_of_all_kernels() {
    let folder = PathBuf::from(env::var_os("DARTS_CUDA_SOURCES").expect("a folder for the sources"));
    let mut works: Vec<Work> = shipped::works().map(|name| Work::shipped(name).unwrap()).collect();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("work.yaml");
    for other in OTHERS {
        fs::write(&path, other).unwrap();
        works.push(Work::read(&path).unwrap());
    }
    let mut programs: Vec<Arc<Program>> = works.iter().flat_map(|work| programs(&work.network)).collect();
    programs.push(Arc::new(small_supernet(9, 8, 8)));
    let sources = cuda_sources(programs.iter().map(|program| (&**program, 8))).unwrap();
    for (at, (name, source)) in sources.iter().enumerate() {
        let head = format!("// {name}\n// shared memory: {}\n", source.shared);
        fs::write(folder.join(format!("{at}.cu")), head + &source.text).unwrap();
    }
}

/// Those of a training and of an evaluation.
fn programs(network: &Network) -> Vec<Arc<Program>> {
    let device = Device::flex();
    let (weights, running) = (initial_weights(network, 0, &device), initial_running(network, &device));
    let parts = [Purpose::Train, Purpose::Evaluate]
        .into_iter()
        .flat_map(|purpose| lower(network, purpose, stands_alone, None, [weights.layout(), running.layout()]).parts);
    parts
        .filter_map(|part| match part {
            Part::Program { program, .. } => Some(program),
            Part::Layer { .. } => None,
        })
        .collect()
}
