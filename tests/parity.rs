//! The networks are the reference's, number by number.

use burn::tensor::Device;
use darts_run::{interop::parity, kernels::Kernels};
use std::path::Path;

fn replay(name: &str, kernels: Kernels) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/golden").join(format!("{name}.safetensors"));
    let parity = parity::replay(&file, root, kernels, &Device::flex()).expect("the file replays");
    assert!(parity.groups.len() >= 7, "{:?}", parity.groups);
    for group in &parity.groups {
        assert!(group.is_within(), "{name}, {kernels}: {group:?}");
    }
}

#[test]
fn the_darts_supernet_is_the_references() {
    replay("darts_supernet", Kernels::Native);
    replay("darts_supernet", Kernels::Reference);
}

#[test]
fn the_nas_bench_201_supernet_is_the_references() {
    replay("nb201_supernet", Kernels::Native);
    replay("nb201_supernet", Kernels::Reference);
}

#[test]
fn discrete_networks_are_the_references() {
    replay("cifar_darts_v2", Kernels::Native);
    replay("imagenet_darts_v1", Kernels::Native);
}
