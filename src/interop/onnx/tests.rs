use super::*;
use crate::{
    edited::edited,
    model::{OUTPUT, initial_running, initial_weights},
    space::{
        Build, Genotype, Space,
        network::{FeatureMap, OutputSpec},
        shipped,
    },
};
use burn::tensor::Device;
use message::{DimensionValue, GraphProto, NodeProto};
use std::collections::BTreeSet;

fn written(space: &Space, genotype: &Genotype, build: &Build) -> (Network, GraphProto) {
    let network = space.discrete(genotype, build).unwrap();
    let device = Device::flex();
    let (weights, running) = (initial_weights(&network, 0, &device), initial_running(&network, &device));
    let name = |head: &Head| if head.output.name == OUTPUT { "logits" } else { &head.output.name }.to_owned();
    let names = network.heads.iter().map(name).collect();
    let bytes = model(&network, false, names, [&weights, &running], "{}".to_owned()).encode_to_vec();
    let model = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (FILE_FORMAT, OPERATOR_SET));
    (network, model.graph.unwrap())
}

/// What a runtime insists on: every value is there before it is read, once, and names an
/// operator's attributes once.
fn check(network: &Network, graph: &GraphProto) {
    let mut values: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(values.len(), graph.initializer.len());
    assert!(values.insert(&graph.input[0].name));
    for node in &graph.node {
        for input in &node.input {
            assert!(values.contains(input.as_str()), "`{}` reads `{input}` before it is there", node.name);
        }
        for output in &node.output {
            assert!(values.insert(output), "`{output}` is there twice");
        }
    }
    assert!(graph.output.iter().all(|output| values.contains(output.name.as_str())));
    assert_eq!(graph.output.len(), network.heads.len());
    // Each tensor under its own name, with its shape and as many bytes.
    for spec in network.tensors() {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == spec.name).unwrap();
        let dims: Vec<usize> = tensor.dims.iter().map(|&side| usize::try_from(side).unwrap()).collect();
        assert_eq!(dims, spec.shape, "{}", spec.name);
        assert_eq!(tensor.raw_data.len(), 4 * spec.shape.iter().product::<usize>());
        assert!(graph.node.iter().any(|node| node.input.contains(&spec.name)), "`{}` is read", spec.name);
    }
}

fn count(graph: &GraphProto, operator: &str) -> usize {
    graph.node.iter().filter(|node| node.op_type == operator).count()
}

fn node<'a>(graph: &'a GraphProto, name: &str) -> &'a NodeProto {
    graph.node.iter().find(|node| node.name == name).unwrap()
}

fn ints<'a>(node: &'a NodeProto, attribute: &str) -> &'a [i64] {
    &node.attribute.iter().find(|known| known.name == attribute).unwrap().ints
}

#[test]
fn every_shipped_cell_is_a_graph_in_order_with_the_networks_own_names() {
    let space = shipped::space("darts");
    for entry in std::fs::read_dir(shipped::path("genotypes")).unwrap() {
        let genotype = Genotype::read(&entry.unwrap().path(), &space).unwrap();
        for (skeleton, side) in [("cifar", 32), ("imagenet", 64)] {
            let build = Build { channels: Some(4), size: Some(4), ..shipped::build(skeleton, side, 5) };
            let (network, graph) = written(&space, &genotype, &build);
            check(&network, &graph);
        }
    }
}

#[test]
fn operators_are_those_of_the_layers() {
    let space = shipped::space("darts");
    let genotype = shipped::genotype("darts_v2", &space);
    let build = Build { channels: Some(4), size: Some(5), ..shipped::build("cifar", 32, 10) };
    let (network, graph) = written(&space, &genotype, &build);
    let convolutions = network.tensors().iter().filter(|spec| spec.shape.len() == 4).count();
    assert_eq!(count(&graph, "Conv"), convolutions);
    let norms = network.tensors().iter().filter(|spec| spec.name.ends_with("running_mean")).count();
    assert_eq!(count(&graph, "BatchNormalization"), norms);
    // Two reductions of eight edges, five of them pooling.
    assert_eq!(count(&graph, "MaxPool"), 10);
    assert_eq!((count(&graph, "GlobalAveragePool"), count(&graph, "Gemm")), (1, 1));
    let depthwise = node(&graph, "cells.0._ops.0.op.1");
    assert_eq!((ints(depthwise, "kernel_shape"), ints(depthwise, "pads")), (&[3, 3][..], &[1, 1, 1, 1][..]));
    let dilated = node(&graph, "cells.0._ops.7.op.1");
    assert_eq!((ints(dilated, "dilations"), ints(dilated, "pads")), (&[2, 2][..], &[2, 2, 2, 2][..]));
    // Behind a reduction both halves of a factorized reduce read every other pixel.
    assert_eq!(ints(node(&graph, "cells.2.preprocess0.conv_2"), "strides"), [2, 2]);
    assert!(node(&graph, "cells.2.preprocess0.conv_2").input[0].starts_with("Slice_"));

    let batch = |value: &message::ValueInfoProto| {
        let shape = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape.as_ref().unwrap();
        shape.dim.iter().map(|side| side.value.clone().unwrap()).collect::<Vec<_>>()
    };
    let any = |name: &str| DimensionValue::Parameter(name.to_owned());
    let images = batch(&graph.input[0]);
    assert_eq!(images, [any("N"), DimensionValue::Value(3), any("height"), any("width")], "a mean is taken of the map");
    assert_eq!(batch(&graph.output[0]), [any("N"), DimensionValue::Value(10)]);
}

#[test]
fn where_nothing_arrives_there_are_zeros_and_a_batch_norm_without_affine_has_ones() {
    let text = std::fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
    let text = edited(&text, &[("affine: final", "affine: false")]);
    let space = Space::parse(std::path::Path::new("s.yaml"), text).unwrap();
    let cell = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|";
    let genotype = Genotype::parse(cell, &space).unwrap();
    let build = Build { channels: Some(2), size: Some(1), ..shipped::build("final", 8, 3) };
    let (network, graph) = written(&space, &genotype, &build);
    check(&network, &graph);
    // Two nodes of three cells; their shape is that of what is there, but for the channels.
    assert_eq!((count(&graph, "ConstantOfShape"), count(&graph, "Shape")), (6, 12));
    let ones = graph.initializer.iter().find(|tensor| tensor.name == "cells.0.layers.3.op.2.weight").unwrap();
    assert_eq!(ones.raw_data, [1.0_f32, 1.0].map(f32::to_le_bytes).concat());
}

/// Zeros and noise, where maps are halved too.
#[test]
fn no_constant_of_a_graph_knows_the_sides_of_images() {
    let space = shipped::space("robust_s4");
    let cell = "[[noise~0, none~1], [noise~0, none~1], [sep_conv_3x3~0, noise~2], [noise~0, noise~1]]";
    let [normal, reduce] =
        ["normal", "reduce"].map(|kind| format!("  {kind}: {{nodes: {cell}, output: [2, 3, 4, 5]}}\n"));
    let genotype = Genotype::parse(&format!("cells:\n{normal}{reduce}"), &space).unwrap();
    let graph_of = |side| {
        let build = Build { channels: Some(4), size: Some(3), ..shipped::build("cifar", side, 5) };
        written(&space, &genotype, &build).1
    };
    let graph = graph_of(32);
    assert!(count(&graph, "RandomNormalLike") > 4 && count(&graph, "MaxPool") > 4);
    assert_eq!(graph, graph_of(48));
}

#[test]
fn a_label_may_be_called_as_the_input_is() {
    let text = std::fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
    let text = edited(&text, &[("label: classifier", "label: logits"), ("label: lastact", "label: x")]);
    let space = Space::parse(std::path::Path::new("s.yaml"), text).unwrap();
    let cell = "|none~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|";
    let build = Build { channels: Some(2), size: Some(1), ..shipped::build("final", 8, 3) };
    let (network, graph) = written(&space, &Genotype::parse(cell, &space).unwrap(), &build);
    check(&network, &graph);
    assert_eq!(graph.output[0].name, "logits");
}
/// Operators of the standard, and a node of its own for each value that leaves.
#[test]
fn several_heads_leave_under_their_names() {
    let text = std::fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
    let head = "head: [{label: lastact, steps: [batch_norm, relu]}, global_avg_pool, {linear: {label: classifier}}]";
    let heads = "trunk: [swish, {conv: {kernel: 1, out: 8, label: trunk}}]
    heads:
      means: [global_avg_pool]
      features: [identity]
      picture: [gelu, hard_swish, sigmoid, tanh, {pixel_shuffle: {by: 2}}]";
    let space = Space::parse(&shipped::path("t.yaml"), edited(&text, &[(head, heads)])).unwrap();
    let asked = |name: &str, channels, side| OutputSpec {
        name: name.to_owned(),
        size: FeatureMap { channels, height: side, width: side },
    };
    let outputs = vec![asked("means", 8, 1), asked("features", 8, 4), asked("picture", 2, 8)];
    let build = Build { outputs, channels: Some(4), size: Some(1), ..shipped::build("search", 16, 1) };
    let cell = "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|";
    let (network, graph) = written(&space, &Genotype::parse(cell, &space).unwrap(), &build);
    check(&network, &graph);
    let sides = |at: usize| graph.output[at].clone();
    assert_eq!([0, 1, 2].map(|at| sides(at).name), ["means", "features", "picture"]);
    assert_eq!((count(&graph, "Identity"), count(&graph, "Flatten")), (1, 1));
    assert_eq!((count(&graph, "Erf"), count(&graph, "HardSwish"), count(&graph, "DepthToSpace")), (1, 1, 1));
}
