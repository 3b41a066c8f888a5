//! The lattice of the trilevel search, held to PyTorch's tensors.

use super::{
    Mode, Model, Portion, Relaxation, Relaxations, TensorGroup, Views, edge_weights, host, initial_alphas,
    initial_running, initial_weights,
};
use crate::{
    edited::edited,
    kernels::Kernels,
    space::{
        Build, CellGenotype, Choice, EdgeOptions, Genotype, PathStep, Space,
        network::{AlphaTable, FeatureMap, Network, OutputSpec},
        shipped,
    },
};
use burn::tensor::{Device, Tensor, TensorData, activation};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// What the space's output is called.
const IMAGE: &str = "image";

struct Golden(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Golden {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sr").join(format!("{name}.safetensors"));
        let bytes = fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let floats = |view: &safetensors::tensor::TensorView<'_>| {
            let (words, _) = view.data().as_chunks::<4>();
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        };
        let of = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            (name, (view.shape().to_vec(), floats(&view)))
        };
        Self(file.tensors().into_iter().filter(|(_, view)| view.dtype() == safetensors::Dtype::F32).map(of).collect())
    }

    fn numbers(&self, name: &str) -> &[f32] {
        &self.0.get(name).unwrap_or_else(|| panic!("{name}")).1
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, numbers) = &self.0[name];
        Tensor::from_data(TensorData::new(numbers.clone(), shape.clone()), device)
    }

    /// The tensors of a group under a prefix; those that are not there are as they were.
    fn fill(&self, group: &TensorGroup, prefix: &str) -> TensorGroup {
        let mut numbers = group.to_host();
        for (name, _, range) in group.layout().iter() {
            if let Some((_, found)) = self.0.get(&format!("{prefix}{name}")) {
                numbers[range].copy_from_slice(found);
            }
        }
        let layout: &Arc<super::Layout> = group.layout();
        TensorGroup::from_host(layout.clone(), numbers, &group.values().device())
    }
}

/// Norm of the difference over that of the reference.
fn off(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let reference = norm(&mut expected.iter().map(|value| f64::from(*value)));
    if reference == 0.0 { difference } else { difference / reference }
}

fn space() -> Space {
    let text = fs::read_to_string(shipped::path("trilevel_sr.yaml")).unwrap();
    let text = edited(&text, &[("multiple_of: 8", "multiple_of: 1")]);
    Space::parse(&shipped::path("t.yaml"), text).unwrap()
}

fn build(skeleton: &str) -> Build {
    let map = |channels, side| FeatureMap { channels, height: side, width: side };
    Build {
        skeleton: skeleton.to_owned(),
        channels: Some(8),
        size: Some(2),
        outputs: vec![OutputSpec { name: IMAGE.to_owned(), size: map(3, 32) }],
        input: map(3, 8),
        auxiliary: false,
        edges: EdgeOptions::default(),
    }
}

/// Loss, gradient of the weights, gradients of the tables' mixing weights and of the alphas.
struct Found {
    loss: f32,
    output: Vec<f32>,
    weights: TensorGroup,
    alphas: TensorGroup,
}

/// One pass with its gradients at the mixing weights that the alphas are `mixed` to.
fn pass(
    model: &Model,
    (weights, alphas): (&TensorGroup, &TensorGroup),
    mixed: &dyn Fn(&[AlphaTable], &Views) -> Vec<Tensor<2>>,
    widths: Option<&[usize]>,
    [x, y]: [Tensor<4>; 2],
) -> Found {
    let network = model.network();
    let running = initial_running(network, &weights.values().device());
    let (leaves, of_alphas) = (model.leaves(weights), alphas.leaves());
    let candidates = mixed(&network.alphas, &of_alphas);
    let mixing = edge_weights(&network.alphas, candidates, &of_alphas, 0.0);
    let portion = Portion { widths, scored: widths.is_some(), computed: None };
    let mode = Mode::Train { drop_path: None };
    let passed = model.forward_of(mode, portion, &leaves, &running, &mixing, x.autodiff());
    let output = passed.outputs.get(IMAGE).unwrap().clone();
    let loss = (output.clone() - y.autodiff()).abs().mean();
    let gradients = loss.backward();
    Found {
        loss: loss.into_scalar::<f32>(),
        output: host(output.inner()),
        weights: weights.with(weights.gradient(&leaves, &gradients)),
        alphas: alphas.with(alphas.gradient(&of_alphas, &gradients)),
    }
}

fn check(golden: &Golden, found: &Found) {
    let mut bad = Vec::new();
    let mut judge = |name: &str, found: &[f32], most: f64| {
        let off = off(found, golden.numbers(name));
        if off > most {
            bad.push(format!("{name}: {off:.1e}"));
        }
    };
    judge("eval.loss", &[found.loss], 1e-5);
    judge("eval.out", &found.output, 1e-5);
    let mut seen = 0;
    for (group, prefix) in [(&found.weights, "grad."), (&found.alphas, "grad.alpha.")] {
        let numbers = group.to_host();
        for (name, _, range) in group.layout().iter() {
            let name = format!("{prefix}{name}");
            if golden.0.contains_key(&name) {
                judge(&name, &numbers[range], 1e-4);
                seen += 1;
            }
        }
    }
    assert!(bad.is_empty(), "{} of {seen}: {bad:#?}", bad.len());
    assert_eq!(seen, golden.0.keys().filter(|name| name.starts_with("grad.")).count());
}

/// Widths are no matter.
fn sparse(radius: f64) -> Relaxations {
    let sparse = Relaxation::Sparsestmax { radius };
    Relaxations { operations: sparse, path: sparse, width: Relaxation::OneHot }
}

fn supernet() -> Network {
    space().supernet(&build("search")).unwrap()
}

#[test]
fn the_supernet_at_full_width() {
    let (golden, network, device) = (Golden::read("lattice_full"), supernet(), Device::flex());
    let weights = golden.fill(&initial_weights(&network, 0, &device), "state.");
    let alphas = golden.fill(&initial_alphas(&network, 1e-3, 0, &device), "alpha.");
    let learned = golden.0.keys().filter(|name| name.starts_with("state.")).count();
    assert_eq!(weights.layout().iter().count(), learned);
    for kernels in [Kernels::Native, Kernels::Reference] {
        let model = Model::new(network.clone(), kernels);
        let batch = [golden.tensor("batch0.x", &device), golden.tensor("batch0.y", &device)];
        let mixed = |tables: &[AlphaTable], alphas: &Views| sparse(0.35).weights(tables, alphas);
        let found = pass(&model, (&weights, &alphas), &mixed, None, batch);
        check(&golden, &found);
    }
}

/// Widths that were drawn with given noise: the narrow part of the same weights, and a gradient for the
/// choices. At the largest and the smallest widths nothing is drawn.
#[test]
fn the_supernet_at_drawn_widths() {
    let (full, golden, network, device) =
        (Golden::read("lattice_full"), Golden::read("lattice_widths"), supernet(), Device::flex());
    let weights = full.fill(&initial_weights(&network, 0, &device), "state.");
    let alphas = full.fill(&initial_alphas(&network, 1e-3, 0, &device), "alpha.");
    let alphas = golden.fill(&alphas, "alpha.");
    let batch = || [full.tensor("batch0.x", &device), full.tensor("batch0.y", &device)];
    let noise = || -> Tensor<2> { golden.tensor::<3>("gumbel", &device).reshape([40, 5]) };
    let ratio: Tensor<2> = golden.tensor::<3>("alpha.ratio", &device).reshape([40, 5]);
    let drawn = host(activation::log_softmax(ratio, 1) + noise());
    let choices: Vec<usize> =
        drawn.chunks(5).map(|row| (0..5).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()).collect();
    let mixed = |tables: &[AlphaTable], alphas: &Views| {
        let mut weights = sparse(0.35).weights(tables, alphas);
        let logits = activation::log_softmax(alphas.get::<2>("ratio"), 1) + noise().autodiff();
        let soft = activation::softmax(logits, 1);
        let ones: Vec<f32> = choices.iter().flat_map(|&at| (0..5).map(move |k| f32::from(u8::from(k == at)))).collect();
        let ones = Tensor::<2>::from_data(TensorData::new(ones, [40, 5]), &device).autodiff();
        weights[2] = soft.clone() - soft.detach() + ones;
        weights
    };
    for kernels in [Kernels::Native, Kernels::Reference] {
        let model = Model::new(network.clone(), kernels);
        check(&golden, &pass(&model, (&weights, &alphas), &mixed, Some(&choices), batch()));
        let plain = |tables: &[AlphaTable], alphas: &Views| sparse(0.35).weights(tables, alphas);
        for (widths, name) in [(None, "largest.loss"), (Some([0; 40].as_slice()), "smallest.loss")] {
            let found = pass(&model, (&weights, &alphas), &plain, widths, batch()).loss;
            assert!(off(&[found], golden.numbers(name)) < 1e-5, "{name}: {found}");
        }
    }
}

#[test]
fn a_derived_network() {
    let (golden, space, device) = (Golden::read("derived"), space(), Device::flex());
    let cell = |operations: [&str; 5], widths: [&str; 4]| {
        let node = |(source, operation): (usize, &str)| vec![Choice { operation: operation.to_owned(), source }];
        PathStep::Cell(CellGenotype {
            nodes: operations.into_iter().enumerate().map(node).collect(),
            output: vec![5],
            widths: widths.map(str::to_owned).to_vec(),
        })
    };
    let up = || PathStep::Block("up".to_owned());
    let path = vec![
        cell(["skip", "conv3x3", "residual", "dwsblock", "skip"], ["1/3", "1/3", "1", "1/2"]),
        up(),
        cell(["dwsblock", "skip", "conv3x3", "residual", "dwsblock"], ["1", "1", "1", "1"]),
        up(),
    ];
    let genotype = Genotype { path, ..Genotype::default() };
    let network = space.discrete(&genotype, &build("final")).unwrap();
    assert_eq!(network.cost().parameters, 9945);
    let weights = golden.fill(&initial_weights(&network, 0, &device), "state.");
    let alphas = initial_alphas(&network, 1e-3, 0, &device);
    let batch = [golden.tensor("batch0.x", &device), golden.tensor("batch0.y", &device)];
    let model = Model::new(network, Kernels::Native);
    check(&golden, &pass(&model, (&weights, &alphas), &|_, _| Vec::new(), None, batch));
}
