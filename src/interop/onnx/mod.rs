//! A discrete network as an ONNX file: what it computes in evaluation, each layer a node, each
//! tensor under its own name.

mod graph;
mod message;
mod sides;

use super::{description::ENTRY, trained::TrainedNetwork};
use crate::{
    model::TensorGroup,
    space::network::tensor_name,
    space::network::{
        Block, Cell, CellOutput, Chain, Conv, Head, Layer, LayerKind, Network, Nonlinearity, Padding, Pool,
    },
};
use graph::{Graph, INPUT, Output, float, integer, integers, signed, text, zero};
use message::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use prost::Message;
use sides::Sides;
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
    #[error(
        "its batch norms look at the batch in evaluation too (`norms: {{statistics: batch}}`), which an ONNX graph does not"
    )]
    NormsOfBatch,
}

/// The file of a network in evaluation mode, without its auxiliary head. Input `x`
/// `[N, channels, height, width]`, N any number, height and width any where the network reads any and
/// they are not to be `fixed`; outputs under [their names](TrainedNetwork::name_of), `[N, numbers]` or
/// `[N, channels, height, width]`. What the network is stands in the file's metadata.
///
/// # Errors
/// Where it is a supernet, or too large for a file of one part.
pub fn to_onnx(trained: &TrainedNetwork, fixed: bool) -> Result<Vec<u8>, OnnxError> {
    if !trained.network.alphas.is_empty() {
        return Err(OnnxError::Supernet);
    }
    if trained.network.norms.of_batch {
        return Err(OnnxError::NormsOfBatch);
    }
    let description = serde_json::to_string(&trained.description).expect("a description is plain data");
    let names = trained.network.heads.iter().map(|head| trained.name_of(&head.output).to_owned()).collect();
    let model = model(&trained.network, fixed, names, [&trained.weights, &trained.running], description);
    match model.encoded_len() {
        bytes if bytes > LARGEST_BYTES => Err(OnnxError::TooLarge { bytes }),
        _ => Ok(model.encode_to_vec()),
    }
}

fn model(
    network: &Network,
    fixed: bool,
    names: Vec<String>,
    groups: [&TensorGroup; 2],
    description: String,
) -> ModelProto {
    let mut writer = Writer { graph: Graph::new(&names), epsilon: network.norms.epsilon };
    for group in groups {
        let numbers = group.to_host();
        for (name, shape, range) in group.layout().iter() {
            writer.graph.floats(name, shape, &numbers[range]);
        }
    }
    let values = writer.network(network);
    let Sides { input, heads } = Sides::of(network, fixed, &names);
    let outputs = names.into_iter().zip(values).zip(heads).map(|((name, value), sides)| Output { name, value, sides });
    let outputs = outputs.collect();
    ModelProto {
        ir_version: FILE_FORMAT,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(writer.graph.finish(&input, outputs)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
        metadata_props: vec![StringStringEntryProto { key: ENTRY.to_owned(), value: description }],
    }
}

/// Goes through a network as `model` does when it evaluates one, with names of values for tensors.
struct Writer {
    graph: Graph,
    /// Of all batch norms.
    epsilon: f64,
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
            let sum = self.sum(terms);
            let sum = sum.unwrap_or_else(|| self.zeros(&states[0], cell.stride, cell.nodes[node].channels));
            states.push(self.chain(&cell.nodes[node].then, sum));
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
        self.chain(&cell.then, output)
    }

    fn chain(&mut self, chain: &Chain, x: String) -> String {
        chain.layers.iter().fold(x, |x, layer| self.layer(layer, x))
    }

    fn layer(&mut self, layer: &Layer, x: String) -> String {
        let label = layer.label.as_str();
        match &layer.kind {
            LayerKind::Identity => x,
            LayerKind::Zero { stride } => self.zeros(&x, *stride, layer.output.channels),
            LayerKind::Noise { stride, .. } => {
                let shape = self.zeros(&x, *stride, layer.output.channels);
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
                let tensor = |part: &str| tensor_name(label, part);
                let (scale, shift) = (tensor("weight"), tensor("bias"));
                if !affine {
                    // The operator has no form without them.
                    let channels = layer.output.channels;
                    self.graph.floats(&scale, &[channels], &vec![1.0; channels]);
                    self.graph.floats(&shift, &[channels], &vec![0.0; channels]);
                }
                let inputs = [&*x, &scale, &shift, &tensor("running_mean"), &tensor("running_var")];
                self.graph.node("BatchNormalization", label, &inputs, vec![float("epsilon", self.epsilon as f32)])
            }
            LayerKind::MaxPool(pool) => self.graph.node("MaxPool", label, &[&x], window(pool)),
            LayerKind::AvgPool(pool) => {
                let attributes = [window(pool), vec![integer("count_include_pad", 0)]].concat();
                self.graph.node("AveragePool", label, &[&x], attributes)
            }
            LayerKind::GlobalAvgPool => self.graph.node("GlobalAveragePool", label, &[&x], vec![]),
            LayerKind::Linear => {
                let flat = self.graph.node("Flatten", "", &[&x], vec![integer("axis", 1)]);
                let (weight, bias) = (tensor_name(label, "weight"), tensor_name(label, "bias"));
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
        let (weight, bias) = (tensor_name(label, "weight"), tensor_name(label, "bias"));
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

    /// Zeros for as many images as `x` has, of its sides divided by the stride.
    fn zeros(&mut self, x: &str, stride: usize, channels: usize) -> String {
        let every = |graph: &mut Graph| {
            let attributes = vec![integers("kernel_shape", &[1, 1]), integers("strides", &[stride; 2])];
            graph.node("MaxPool", "", &[x], attributes)
        };
        let like = if stride == 1 { x.to_owned() } else { every(&mut self.graph) };
        let batch = self.graph.node("Shape", "", &[&like], vec![integer("start", 0), integer("end", 1)]);
        let channels = self.graph.integers(&[signed(channels)]);
        let sides = self.graph.node("Shape", "", &[&like], vec![integer("start", 2)]);
        let shape = self.graph.node("Concat", "", &[&batch, &channels, &sides], vec![integer("axis", 0)]);
        self.graph.node("ConstantOfShape", "", &[&shape], vec![zero("value")])
    }
}

fn window(pool: &Pool) -> Vec<message::AttributeProto> {
    vec![
        integers("kernel_shape", &[pool.kernel; 2]),
        integers("strides", &[pool.stride; 2]),
        match pool.padding {
            Padding::Each(padding) => integers("pads", &[padding; 4]),
            Padding::Same => text("auto_pad", "SAME_UPPER"),
        },
    ]
}

#[cfg(test)]
mod tests;
