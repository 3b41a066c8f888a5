//! Spaces and genotypes that ship with the project, for tests.

use crate::space::{
    Build, EdgeOptions, Genotype, Space,
    network::{FeatureMap, OutputSpec},
};
use std::path::{Path, PathBuf};

pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces").join(file)
}

pub(crate) fn space(name: &str) -> Space {
    let path = path(&format!("{name}.yaml"));
    Space::read(&path).unwrap_or_else(|error| panic!("{error:?}"))
}

pub(crate) fn genotype(name: &str, space: &Space) -> Genotype {
    Genotype::read(&path(&format!("genotypes/{name}.txt")), space).unwrap()
}

/// An RGB image of so many pixels a side, no auxiliary head.
pub(crate) fn build(skeleton: &str, side: usize, classes: usize) -> Build {
    let input = FeatureMap { channels: 3, height: side, width: side };
    let (skeleton, edges) = (skeleton.to_owned(), EdgeOptions::default());
    let outputs = OutputSpec::scores(classes);
    Build { skeleton, channels: None, size: None, outputs, input, auxiliary: false, edges }
}

/// The same for a network that makes images of so many times the sides.
pub(crate) fn build_for_images(skeleton: &str, side: usize, times: usize) -> Build {
    let size = FeatureMap { channels: 3, height: times * side, width: times * side };
    Build { outputs: vec![OutputSpec { name: "image".to_owned(), size }], ..build(skeleton, side, 1) }
}

/// The same for a network that plays: so many actions, and what a frame is worth.
pub(crate) fn build_for_play(skeleton: &str, side: usize, actions: usize) -> Build {
    let row = |name: &str, channels| {
        let size = FeatureMap { channels, height: 1, width: 1 };
        OutputSpec { name: name.to_owned(), size }
    };
    Build { outputs: vec![row("policy", actions), row("value", 1)], ..build(skeleton, side, actions) }
}

/// What ships is found by name, read, lowered and costed.
mod tests {
    use super::*;
    use crate::space::find;
    use std::fs;

    #[test]
    fn every_shipped_space_and_skeleton_can_be_built() {
        let mut seen = 0;
        for entry in fs::read_dir(path("")).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            seen += 1;
            let name = file.file_stem().unwrap().to_str().unwrap();
            let space = Space::read(&find(name, Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()).unwrap();
            assert_eq!(space.name, name);
            assert!(space.benchmark.as_ref().is_none_or(|table| table.is_file()));
            for skeleton in space.skeleton_names() {
                let scores = space.supernet(&build(skeleton, 224, 7));
                let network = scores.or_else(|_| space.supernet(&build_for_images(skeleton, 224, 4)));
                let network = network.or_else(|_| space.supernet(&build_for_play(skeleton, 224, 15))).unwrap();
                assert!(network.cost().multiply_adds > 0, "{name} {skeleton}");
            }
        }
        assert!(seen >= 2);
    }

    #[test]
    fn every_shipped_genotype_can_be_built() {
        let space = space("darts");
        for entry in fs::read_dir(path("genotypes")).unwrap() {
            let file = entry.unwrap().path();
            let genotype = Genotype::read(&file, &space).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            space.discrete(&genotype, &build("cifar", 32, 10)).unwrap();
        }
    }
}
