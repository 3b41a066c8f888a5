//! A discrete network as an ONNX file: what it computes in evaluation, each layer a node, each
//! tensor under its own name.

mod graph;
mod message;

use super::{description::ENTRY, trained::TrainedNetwork};
use crate::{
    model::{EPSILON, TensorGroup},
    space::network::{
        Block, Cell, CellOutput, Chain, Conv, FeatureMap, Head, Layer, LayerKind, Network, Nonlinearity, Pool,
    },
};
use graph::{Graph, INPUT, Output, float, integer, integers, signed, text, zero};
use message::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use prost::Message;
use std::f32::consts::SQRT_2;

/// Operators as of ONNX 1.12 (2022) in the file format that came with it: old enough for every
/// runtime in use, and the last set needed here is 15 (`Shape` of some axes).
const OPERATOR_SET: i64 = 17;
const FILE_FORMAT: i64 = 8;

/// Protocol buffers have no larger messages.
const LARGEST_BYTES: usize = i32::MAX as usize;

/// The network cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("a supernet is not written as ONNX, a discrete network is")]
    Supernet,
    #[error("the network takes {bytes} bytes, an ONNX file of one part holds 2 GiB")]
    TooLarge { bytes: usize },
}

/// The file of a network in evaluation mode, without its auxiliary head. Input `x`
/// `[N, channels, height, width]`, N any number; outputs under [their
/// names](TrainedNetwork::name_of), `[N, numbers]` or `[N, channels, height, width]`. What the
/// network is stands in the file's metadata.
///
/// # Errors
/// Where it is a supernet, or too large for a file of one part.
pub fn to_onnx(trained: &TrainedNetwork) -> Result<Vec<u8>, OnnxError> {
    if !trained.network.alphas.is_empty() {
        return Err(OnnxError::Supernet);
    }
    let description = serde_json::to_string(&trained.description).expect("a description is plain data");
    let names = trained.network.heads.iter().map(|head| trained.name_of(&head.output).to_owned()).collect();
    let model = model(&trained.network, names, [&trained.weights, &trained.running], description);
    match model.encoded_len() {
        bytes if bytes > LARGEST_BYTES => Err(OnnxError::TooLarge { bytes }),
        _ => Ok(model.encode_to_vec()),
    }
}

fn model(network: &Network, names: Vec<String>, groups: [&TensorGroup; 2], description: String) -> ModelProto {
    let mut writer = Writer { graph: Graph::new(&names) };
    for group in groups {
        let numbers = group.to_host();
        for (name, shape, range) in group.layout().iter() {
            writer.graph.floats(name, shape, &numbers[range]);
        }
    }
    let values = writer.network(network);
    let sides = network.heads.iter().map(|head| head.output.sides());
    let outputs = names.into_iter().zip(values).zip(sides).map(|((name, value), sides)| Output { name, value, sides });
    let outputs = outputs.collect();
    let FeatureMap { channels, height, width } = network.input;
    ModelProto {
        ir_version: FILE_FORMAT,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(writer.graph.finish([channels, height, width], outputs)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
        metadata_props: vec![StringStringEntryProto { key: ENTRY.to_owned(), value: description }],
    }
}

/// Goes through a network as `model` does when it evaluates one, with names of values for tensors.
struct Writer {
    graph: Graph,
}

impl Writer {
    /// The values that leave, a head each.
    fn network(&mut self, network: &Network) -> Vec<String> {
        let mut newest = INPUT.to_owned();
        let mut states = Vec::new();
        for stem in &network.stems {
            newest = self.chain(stem, newest);
            states.push(newest.clone());
        }
        for block in &network.blocks {
            newest = match block {
                Block::Cell(cell) => self.cell(cell, &states),
                Block::Fixed { reads, chain } => self.chain(chain, states[*reads].clone()),
            };
            states.push(newest.clone());
        }
        let trunk = self.chain(&network.trunk, newest);
        network.heads.iter().map(|head| self.head(head, trunk.clone())).collect()
    }

    /// A row of numbers leaves without the sides of a map, and every value from a node of its own.
    fn head(&mut self, head: &Head, trunk: String) -> String {
        let value = self.chain(&head.chain, trunk.clone());
        let is_row = head.chain.layers.last().is_some_and(|layer| layer.kind == LayerKind::Linear);
        match head.output.sides().as_slice() {
            [_] if !is_row => self.graph.node("Flatten", "", &[&value], vec![integer("axis", 1)]),
            _ if value == trunk => self.graph.node("Identity", "", &[&value], vec![]),
            _ => value,
        }
    }

    fn cell(&mut self, cell: &Cell, given: &[String]) -> String {
        let inputs = cell.inputs.iter().zip(&cell.reads);
        let mut states: Vec<String> =
            inputs.map(|(adapter, &state)| self.chain(adapter, given[state].clone())).collect();
        for node in 0..cell.nodes.len() {
            let target = cell.inputs.len() + node;
            let incoming = cell.edges.iter().filter(|edge| edge.target == target);
            let chosen = incoming.flat_map(|edge| edge.candidates.iter().map(|candidate| (edge.source, candidate)));
            let terms: Vec<String> = chosen
                .filter(|(_, candidate)| !candidate.is_zero())
                .map(|(source, candidate)| self.chain(&candidate.chain, states[source].clone()))
                .collect();
            // Nothing arrives where every edge chose `none`.
            let sum = self.sum(terms).unwrap_or_else(|| self.zeros(cell.node_size(node)));
            states.push(self.chain(&cell.behind_nodes[node], sum));
        }
        let pick = |chosen: &[usize]| chosen.iter().map(|&state| states[state].clone()).collect::<Vec<_>>();
        let output = match &cell.output {
            CellOutput::Concat(chosen) => self.concat("", &pick(chosen)),
            CellOutput::Sum(chosen) => self.sum(pick(chosen)).expect("a cell's output names a state"),
            CellOutput::Residual { state, scale, plus } => {
                let scale = self.constant(*scale);
                let scaled = self.graph.node("Mul", "", &[&states[*state], &scale], vec![]);
                self.graph.node("Add", "", &[&scaled, &states[*plus]], vec![])
            }
        };
        self.chain(&cell.behind, output)
    }

    fn chain(&mut self, chain: &Chain, x: String) -> String {
        chain.layers.iter().fold(x, |x, layer| self.layer(layer, x))
    }

    fn layer(&mut self, layer: &Layer, x: String) -> String {
        let label = layer.label.as_str();
        match &layer.kind {
            LayerKind::Identity => x,
            LayerKind::Zero { .. } => self.zeros(layer.output),
            LayerKind::Noise { .. } => {
                let shape = self.zeros(layer.output);
                self.graph.node("RandomNormalLike", label, &[&shape], vec![])
            }
            LayerKind::Relu => self.graph.node("Relu", label, &[&x], vec![]),
            LayerKind::Nonlinearity(function) => self.nonlinearity(*function, &x),
            LayerKind::Affine { scale, shift } => {
                let [scale, shift] = [*scale, *shift].map(|number| self.constant(number));
                let scaled = self.graph.node("Mul", "", &[&x, &scale], vec![]);
                self.graph.node("Add", "", &[&scaled, &shift], vec![])
            }
            LayerKind::Upsample { by } => {
                let scales =
                    self.graph.floats(&format!("constant_scales_{by}"), &[4], &[1.0, 1.0, *by as f32, *by as f32]);
                let attributes = vec![
                    text("mode", "nearest"),
                    text("coordinate_transformation_mode", "asymmetric"),
                    text("nearest_mode", "floor"),
                ];
                self.graph.node("Resize", "", &[&x, "", &scales], attributes)
            }
            LayerKind::PixelShuffle { by } => {
                let attributes = vec![integer("blocksize", *by), text("mode", "CRD")];
                self.graph.node("DepthToSpace", label, &[&x], attributes)
            }
            LayerKind::Conv(conv) => self.conv(label, &x, conv),
            LayerKind::FactorizedReduce { first, second } => {
                // One half of the channels sees even pixels, the other odd ones.
                let (starts, axes) = (self.graph.integers(&[1, 1]), self.graph.integers(&[2, 3]));
                let ends = self.graph.integers(&[i64::MAX, i64::MAX]);
                let shifted = self.graph.node("Slice", "", &[&x, &starts, &ends, &axes], vec![]);
                let halve = Conv {
                    kernel: [1, 1],
                    stride: [2, 2],
                    padding: [0, 0],
                    dilation: [1, 1],
                    groups: 1,
                    bias: false,
                    follows: None,
                };
                let halves = [self.conv(first, &x, &halve), self.conv(second, &shifted, &halve)];
                self.concat(label, &halves)
            }
            LayerKind::BatchNorm { affine } => {
                let tensor = |part: &str| format!("{label}.{part}");
                let (scale, shift) = (tensor("weight"), tensor("bias"));
                if !affine {
                    // The operator has no form without them.
                    let channels = layer.output.channels;
                    self.graph.floats(&scale, &[channels], &vec![1.0; channels]);
                    self.graph.floats(&shift, &[channels], &vec![0.0; channels]);
                }
                let inputs = [&*x, &scale, &shift, &tensor("running_mean"), &tensor("running_var")];
                self.graph.node("BatchNormalization", label, &inputs, vec![float("epsilon", EPSILON as f32)])
            }
            LayerKind::MaxPool(pool) => self.graph.node("MaxPool", label, &[&x], window(pool)),
            LayerKind::AvgPool(pool) => {
                let attributes = [window(pool), vec![integer("count_include_pad", 0)]].concat();
                self.graph.node("AveragePool", label, &[&x], attributes)
            }
            LayerKind::GlobalAvgPool => self.graph.node("GlobalAveragePool", label, &[&x], vec![]),
            LayerKind::Linear => {
                let flat = self.graph.node("Flatten", "", &[&x], vec![integer("axis", 1)]);
                let (weight, bias) = (format!("{label}.weight"), format!("{label}.bias"));
                self.graph.node("Gemm", label, &[&flat, &weight, &bias], vec![integer("transB", 1)])
            }
            LayerKind::Sum(chains) => {
                let terms = chains.iter().map(|chain| self.chain(chain, x.clone())).collect();
                self.sum(terms).unwrap_or(x)
            }
            LayerKind::Concat(chains) => {
                let parts: Vec<String> = chains.iter().map(|chain| self.chain(chain, x.clone())).collect();
                self.concat(label, &parts)
            }
        }
    }

    /// Swish and GELU are no operators of the set.
    fn nonlinearity(&mut self, function: Nonlinearity, x: &str) -> String {
        let mut node = |operator: &str, inputs: &[&str]| self.graph.node(operator, "", inputs, vec![]);
        match function {
            Nonlinearity::Tanh => node("Tanh", &[x]),
            Nonlinearity::Sigmoid => node("Sigmoid", &[x]),
            Nonlinearity::HardSwish => node("HardSwish", &[x]),
            Nonlinearity::LeakyRelu { slope } => {
                self.graph.node("LeakyRelu", "", &[x], vec![float("alpha", slope as f32)])
            }
            Nonlinearity::Swish => {
                let gate = node("Sigmoid", &[x]);
                node("Mul", &[x, &gate])
            }
            Nonlinearity::Gelu => {
                let [root, one, half] = [("root_of_2", SQRT_2), ("one", 1.0), ("half", 0.5)]
                    .map(|(name, number)| self.graph.number(name, number));
                let mut node = |operator: &str, inputs: &[&str]| self.graph.node(operator, "", inputs, vec![]);
                let scaled = node("Div", &[x, &root]);
                let error = node("Erf", &[&scaled]);
                let doubled = node("Add", &[&error, &one]);
                let share = node("Mul", &[&doubled, &half]);
                node("Mul", &[x, &share])
            }
        }
    }

    fn conv(&mut self, label: &str, x: &str, conv: &Conv) -> String {
        let [high, wide] = conv.padding;
        let attributes = vec![
            integers("kernel_shape", &conv.kernel),
            integers("strides", &conv.stride),
            integers("pads", &[high, wide, high, wide]),
            integers("dilations", &conv.dilation),
            integer("group", conv.groups),
        ];
        let (weight, bias) = (format!("{label}.weight"), format!("{label}.bias"));
        let inputs: &[&str] = if conv.bias { &[x, &weight, &bias] } else { &[x, &weight] };
        self.graph.node("Conv", label, inputs, attributes)
    }

    /// A number that values are multiplied with or raised by.
    fn constant(&mut self, number: f64) -> String {
        self.graph.number(&number.to_string(), number as f32)
    }

    /// In the order in which `model` adds: the same roundings.
    fn sum(&mut self, terms: Vec<String>) -> Option<String> {
        terms.into_iter().reduce(|sum, term| self.graph.node("Add", "", &[&sum, &term], vec![]))
    }

    fn concat(&mut self, label: &str, parts: &[String]) -> String {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.graph.node("Concat", label, &parts, vec![integer("axis", 1)])
    }

    /// Zeros for as many images as there are.
    fn zeros(&mut self, map: FeatureMap) -> String {
        let FeatureMap { channels, height, width } = map;
        let batch = self.graph.node("Shape", "", &[INPUT], vec![integer("start", 0), integer("end", 1)]);
        let sides = self.graph.integers(&[channels, height, width].map(signed));
        let shape = self.graph.node("Concat", "", &[&batch, &sides], vec![integer("axis", 0)]);
        self.graph.node("ConstantOfShape", "", &[&shape], vec![zero("value")])
    }
}

fn window(pool: &Pool) -> Vec<message::AttributeProto> {
    vec![
        integers("kernel_shape", &[pool.kernel; 2]),
        integers("strides", &[pool.stride; 2]),
        integers("pads", &[pool.padding; 4]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edited::edited,
        model::{OUTPUT, initial_running, initial_weights},
        space::{Build, Genotype, Space, network::OutputSpec, shipped},
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
        let bytes = model(&network, names, [&weights, &running], "{}".to_owned()).encode_to_vec();
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
        let [n, sides @ ..] = &batch(&graph.input[0])[..] else { panic!("no sides") };
        assert_eq!(n, &DimensionValue::Parameter("N".to_owned()));
        assert_eq!(sides, [3, 32, 32].map(DimensionValue::Value));
        assert_eq!(batch(&graph.output[0]), [n.clone(), DimensionValue::Value(10)]);
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
        // Two nodes of three cells; their shape begins with the number of images that come in.
        assert_eq!((count(&graph, "ConstantOfShape"), count(&graph, "Shape")), (6, 6));
        let ones = graph.initializer.iter().find(|tensor| tensor.name == "cells.0.layers.3.op.2.weight").unwrap();
        assert_eq!(ones.raw_data, [1.0_f32, 1.0].map(f32::to_le_bytes).concat());
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
        let head =
            "head: [{label: lastact, steps: [batch_norm, relu]}, global_avg_pool, {linear: {label: classifier}}]";
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
}
