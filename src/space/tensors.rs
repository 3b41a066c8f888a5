//! The named tensors of a network, in a fixed order: stems, blocks, heads, auxiliary head, each from
//! input to output.

use crate::space::network::{Block, Candidate, Edge, Layer, Network, TensorSpec};
use std::collections::HashSet;

impl Network {
    /// All tensors but the alpha tables; no two have a name in common.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        self.tensors_of(|_| true)
    }

    /// Those of some layers, in the same order.
    pub fn tensors_of(&self, wanted: impl Fn(&Layer) -> bool) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        self.layers(&mut |layer| {
            if wanted(layer) {
                specs.extend_from_slice(&layer.tensors);
            }
        });
        specs
    }

    /// Name and shape of all that is learned about edges: the alpha tables in their order, then the
    /// betas of those that have some.
    pub fn alpha_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let alphas = self.alphas.iter().map(|table| (table.label.clone(), vec![table.rows(), table.columns()]));
        let betas =
            self.alphas.iter().filter_map(|table| Some((table.betas.as_ref()?.label.clone(), vec![table.rows()])));
        alphas.chain(betas).collect()
    }

    /// A name that two tensors have, if there is one.
    pub(super) fn duplicate_tensor(&self) -> Option<String> {
        // Two layers that share a label share a name: what follows the label has no dot.
        let mut seen = HashSet::new();
        let mut twice = None;
        self.layers(&mut |layer| {
            let mut labels: Vec<&str> = layer.tensors.iter().map(TensorSpec::label).collect();
            labels.dedup();
            for label in labels {
                if !seen.insert(label) {
                    twice.get_or_insert_with(|| label.to_owned());
                }
            }
        });
        twice
    }

    /// Every layer that is not made of others, in the order of [`tensors`](Self::tensors).
    fn layers<'a>(&'a self, visit: &mut dyn FnMut(&'a Layer)) {
        self.stems.iter().for_each(|chain| chain.layers(visit));
        for block in &self.blocks {
            match block {
                Block::Cell(cell) => {
                    cell.inputs.iter().for_each(|chain| chain.layers(visit));
                    cell.edges.iter().flat_map(Edge::chains).for_each(|chain| chain.layers(visit));
                    cell.behind().for_each(|chain| chain.layers(visit));
                }
                Block::Fixed { chain, .. } => chain.layers(visit),
            }
        }
        self.trunk.layers(visit);
        self.heads.iter().for_each(|head| head.chain.layers(visit));
        if let Some(auxiliary) = &self.auxiliary {
            auxiliary.head.layers(visit);
        }
    }
}

impl Candidate {
    /// Whether it has tensors that are learned: a convolution has, an identity or a pooling has
    /// not.
    pub fn is_learnable(&self) -> bool {
        let mut learnable = false;
        self.chain.layers(&mut |layer| learnable |= layer.tensors.iter().any(|tensor| tensor.role.is_learned()));
        learnable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use crate::space::{
        Build, EdgeOptions, Genotype, Space,
        network::{FeatureMap, TensorRole},
        shipped,
    };
    use std::{collections::BTreeMap, fs, path::Path};

    /// Names and shapes of a golden file's tensors under `prefix`, and its metadata.
    fn golden(file: &str, prefix: &str) -> (BTreeMap<String, Vec<usize>>, BTreeMap<String, serde_json::Value>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        let bytes = fs::read(path).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let tensors = header.tensors().into_iter().filter_map(|(name, info)| {
            let name = name.strip_prefix(prefix)?.to_owned();
            (!name.starts_with("alpha.") && !name.ends_with("num_batches_tracked")).then(|| (name, info.shape.clone()))
        });
        let about = header.metadata().as_ref().unwrap().iter();
        (tensors.collect(), about.map(|(key, value)| (key.clone(), serde_json::from_str(value).unwrap())).collect())
    }

    /// PC-DARTS; names and shapes of alphas and betas too.
    #[test]
    fn a_supernet_of_partial_channels_has_the_names_and_shapes_of_the_reference() {
        let edges = EdgeOptions { partial_channels: 4, edge_normalisation: true, ..EdgeOptions::default() };
        let build = Build { edges, ..build("search", 8, 4, 16, 10) };
        let network = shipped::space("darts").supernet(&build).unwrap();
        check("pcdarts_supernet.safetensors", &network);
        let labels: Vec<_> = network.alpha_tensors();
        let expected = [("alphas_normal", vec![14, 8]), ("alphas_reduce", vec![14, 8])];
        let betas = [("betas_normal", vec![14]), ("betas_reduce", vec![14])];
        let expected: Vec<_> =
            expected.into_iter().chain(betas).map(|(name, shape)| (name.to_owned(), shape)).collect();
        assert_eq!(labels, expected);
    }

    fn check(file: &str, network: &Network) {
        let (all, _) = golden(file, "state.");
        let (learned, _) = golden(file, "grad.");
        let specs = network.tensors();
        assert_eq!(specs.len(), all.len());
        let named = |keep: fn(&TensorSpec) -> bool| {
            specs.iter().filter(|spec| keep(spec)).map(|spec| (spec.name.clone(), spec.shape.clone())).collect()
        };
        let ours: BTreeMap<String, Vec<usize>> = named(|_| true);
        assert_eq!(ours, all);
        let ours: BTreeMap<String, Vec<usize>> = named(|spec| spec.role.is_learned());
        assert_eq!(ours, learned);
        let counted: u64 = learned.values().map(|shape| shape.iter().product::<usize>() as u64).sum();
        assert_eq!(network.cost().parameters + network.auxiliary_cost().parameters, counted);
    }

    fn build(skeleton: &str, channels: usize, size: usize, side: usize, classes: usize) -> Build {
        Build { channels: Some(channels), size: Some(size), ..shipped::build(skeleton, side, classes) }
    }

    #[test]
    fn the_darts_supernet_has_the_names_and_shapes_of_the_reference() {
        let network = shipped::space("darts").supernet(&build("search", 4, 4, 16, 10)).unwrap();
        check("darts_supernet.safetensors", &network);
        let labels: Vec<_> =
            network.alphas.iter().map(|table| (&*table.label, table.rows(), table.columns())).collect();
        assert_eq!(labels, [("alphas_normal", 14, 8), ("alphas_reduce", 14, 8)]);
    }

    #[test]
    fn the_nas_bench_201_supernet_has_the_names_and_shapes_of_the_reference() {
        let network = shipped::space("nas_bench_201").supernet(&build("search", 4, 1, 16, 10)).unwrap();
        check("nb201_supernet.safetensors", &network);
        let labels: Vec<_> =
            network.alphas.iter().map(|table| (&*table.label, table.rows(), table.columns())).collect();
        assert_eq!(labels, [("arch_parameters", 6, 5)]);
    }

    fn check_discrete(file: &str, build: &Build) {
        let space: Space = shipped::space("darts");
        let (_, about) = golden(file, "state.");
        let genotype = Genotype::parse(&about["genotype"].to_string(), &space).unwrap();
        check(file, &space.discrete(&genotype, &Build { auxiliary: true, ..build.clone() }).unwrap());
    }

    #[test]
    fn the_discrete_networks_have_the_names_and_shapes_of_the_reference() {
        check_discrete("cifar_darts_v2.safetensors", &build("cifar", 4, 5, 32, 10));
        check_discrete("imagenet_darts_v1.safetensors", &build("imagenet", 4, 4, 224, 50));
    }

    #[test]
    fn fan_in_is_what_one_output_value_reads() {
        let network = shipped::space("darts").supernet(&build("search", 4, 4, 16, 10)).unwrap();
        let specs = network.tensors();
        let role = |name: &str| specs.iter().find(|spec| spec.name == name).unwrap().role;
        assert_eq!(role("stem.0.weight"), TensorRole::Weight { fan_in: 27 });
        assert_eq!(role("cells.0._ops.0._ops.5.op.1.weight"), TensorRole::Weight { fan_in: 25 });
        assert_eq!(role("classifier.bias"), TensorRole::Bias { fan_in: 64 });
        assert_eq!(role("stem.1.weight"), TensorRole::Scale);
    }

    #[test]
    fn labels_that_clash_are_refused() {
        let text = fs::read_to_string(shipped::path("darts.yaml")).unwrap();
        let text = edited(&text, &[("preprocess1", "preprocess0")]);
        let space = Space::parse(Path::new("clash.yaml"), text).unwrap();
        let error = space.supernet(&build("search", 4, 4, 16, 10)).unwrap_err();
        assert_eq!(error.to_string(), "two tensors are called `cells.0.preprocess0.op.1`: labels must tell them apart");
    }

    #[test]
    fn one_channel_images_have_a_stem_of_their_own_shape() {
        let input = FeatureMap { channels: 1, height: 8, width: 8 };
        let network =
            shipped::space("nas_bench_201").supernet(&Build { input, ..build("search", 4, 1, 8, 10) }).unwrap();
        assert_eq!(network.tensors()[0].shape, [4, 1, 3, 3]);
    }
}
