//! A graph of ONNX while it is written.

use super::message::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::sides::Side;
use std::collections::{BTreeMap, BTreeSet};

/// What the images are called.
pub const INPUT: &str = "x";
/// The number of images, left to who runs the network.
const BATCH: &str = "N";

/// Nodes and the tensors that they read. A value is known by its name.
#[derive(Default)]
pub struct Graph {
    /// What values that leave are called, and no others.
    leaving: BTreeSet<String>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// How many nodes without a label there are of each operator.
    unlabelled: BTreeMap<String, usize>,
    names: BTreeSet<String>,
}

/// A value that leaves a graph, and what it is called then.
pub struct Output {
    pub name: String,
    pub value: String,
    /// Behind the number of images.
    pub sides: Vec<Side>,
}

impl Graph {
    /// Of outputs with these names.
    pub fn new(outputs: &[String]) -> Self {
        Self { leaving: outputs.iter().cloned().collect(), ..Self::default() }
    }

    /// Adds a node and gives the name of its output: its label, or the operator with a number where
    /// it has none.
    pub fn node(&mut self, operator: &str, label: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let mut name = if label.is_empty() {
            let count = self.unlabelled.entry(operator.to_owned()).or_default();
            *count += 1;
            format!("{operator}_{count}")
        } else {
            label.to_owned()
        };
        // A space may call a layer as another value is called already.
        while name == INPUT || self.leaving.contains(&name) || !self.names.insert(name.clone()) {
            name.push('_');
        }
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.to_owned(),
            attribute: attributes,
        });
        name
    }

    /// Adds a tensor of numbers, once under one name, and gives its name.
    pub fn floats(&mut self, name: &str, shape: &[usize], numbers: &[f32]) -> String {
        if self.initializers.iter().any(|known| known.name == name) {
            return name.to_owned();
        }
        let raw_data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.initializers.push(tensor(name, shape, DataType::Float, raw_data));
        name.to_owned()
    }

    /// Adds one number under a name, once for all that need it.
    pub fn number(&mut self, name: &str, number: f32) -> String {
        self.floats(&format!("constant_{name}"), &[], &[number])
    }

    /// Adds a list of whole numbers, once for all that need the same.
    pub fn integers(&mut self, numbers: &[i64]) -> String {
        let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let name = format!("constant_{}", words.join("_"));
        if !self.initializers.iter().any(|known| known.name == name) {
            let raw_data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            self.initializers.push(tensor(&name, &[numbers.len()], DataType::Int64, raw_data));
        }
        name
    }

    /// The graph from [`INPUT`], images of these sides, to the outputs, each of which one node gives
    /// and none reads.
    pub fn finish(mut self, input: &[Side], outputs: Vec<Output>) -> GraphProto {
        for node in &mut self.nodes {
            for value in &mut node.output {
                if let Some(output) = outputs.iter().find(|output| output.value == *value) {
                    *value = output.name.clone();
                }
            }
        }
        GraphProto {
            node: self.nodes,
            name: "darts-run".to_owned(),
            initializer: self.initializers,
            input: vec![value(INPUT, input)],
            output: outputs.iter().map(|output| value(&output.name, &output.sides)).collect(),
        }
    }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

pub fn integer(name: &str, value: usize) -> AttributeProto {
    AttributeProto { i: Some(signed(value)), ..attribute(name, AttributeType::Int) }
}

pub fn integers(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().copied().map(signed).collect(), ..attribute(name, AttributeType::Ints) }
}

pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

/// A tensor of one zero.
pub fn zero(name: &str) -> AttributeProto {
    let value = tensor("", &[1], DataType::Float, 0.0_f32.to_le_bytes().to_vec());
    AttributeProto { t: Some(value), ..attribute(name, AttributeType::Tensor) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() }
}

fn tensor(name: &str, shape: &[usize], element: DataType, raw_data: Vec<u8>) -> TensorProto {
    let dims = shape.iter().copied().map(signed).collect();
    TensorProto { dims, data_type: element.into(), name: name.to_owned(), raw_data }
}

/// A float32 tensor `[N, sides…]`.
fn value(name: &str, sides: &[Side]) -> ValueInfoProto {
    let batch = DimensionValue::Parameter(BATCH.to_owned());
    let sides = sides.iter().map(|side| match side {
        Side::Fixed(side) => DimensionValue::Value(signed(*side)),
        Side::Free(name) => DimensionValue::Parameter(name.clone()),
    });
    let dim = std::iter::once(batch).chain(sides).map(|value| Dimension { value: Some(value) }).collect();
    let tensor = TensorTypeProto { elem_type: DataType::Float.into(), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

pub fn signed(value: usize) -> i64 {
    i64::try_from(value).expect("sizes of networks are bounded")
}
