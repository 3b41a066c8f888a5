//! Steps: the primitives that a space file composes, each with its options.
//!
//! A chain of steps is a list, or a map of `label` and `steps`. A step is the name of a primitive,
//! a map of one primitive to its options, or a chain. Every primitive takes `label` (in place of
//! its position in tensor names) and `when` (the phase that has it).

use super::hint::did_you_mean;
use super::width::Width;
use crate::config::{Fields, Node, Problems, Value};
use indexmap::IndexMap;

/// Which network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A supernet.
    Search,
    /// A discrete network.
    Final,
}

/// In which phases a step or a flag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    Never,
    Only(Phase),
}

impl When {
    pub fn holds(self, phase: Phase) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Only(only) => only == phase,
        }
    }
}

/// What steps are for, which decides what they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An operation: has an edge, whose stride it may take.
    Operation,
    /// A stem, an adapter, a fixed block.
    Body,
    /// A head: may end the feature map.
    Head,
}

/// A sequence of steps under a common label.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Prefix of its tensors' names; empty adds nothing.
    pub label: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub struct Step {
    /// Replaces the position where given.
    pub label: Option<String>,
    pub when: When,
    pub primitive: Primitive,
}

#[derive(Debug, Clone)]
pub enum Primitive {
    Identity,
    Relu,
    GlobalAvgPool,
    Linear,
    Zero { stride: Stride },
    Noise { stride: Stride },
    Conv(ConvStep),
    FactorizedReduce { labels: [String; 2], out: Width },
    BatchNorm { affine: When },
    MaxPool(PoolStep),
    AvgPool(PoolStep),
    Sum(Vec<Steps>),
    Concat(Vec<Steps>),
    Chain(Steps),
}

/// Options of `conv`, `depthwise` and `pointwise`; pairs are height and width.
#[derive(Debug, Clone)]
pub struct ConvStep {
    pub kernel: [usize; 2],
    pub stride: [Stride; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub filters: Filters,
    pub bias: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filters {
    /// One a channel.
    Depthwise,
    Groups {
        groups: usize,
        out: Width,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct PoolStep {
    pub kernel: usize,
    pub stride: Stride,
    pub padding: usize,
}

/// A stride, perhaps the edge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stride {
    Edge,
    Fixed(usize),
}

impl Stride {
    pub fn on(self, edge: usize) -> usize {
        match self {
            Self::Edge => edge,
            Self::Fixed(stride) => stride,
        }
    }
}

/// Every primitive's name.
const PRIMITIVES: &[&str] = &[
    "identity",
    "zero",
    "noise",
    "relu",
    "conv",
    "depthwise",
    "pointwise",
    "batch_norm",
    "max_pool",
    "avg_pool",
    "factorized_reduce",
    "global_avg_pool",
    "linear",
    "sum",
    "concat",
];

const LARGEST_KERNEL: i64 = 63;
const LARGEST_STRIDE: i64 = 8;

impl Steps {
    /// Reads a list of steps, or a map of `label` and `steps`. `what` names the chain in messages.
    pub fn read(node: &Node, what: &str, role: Role, problems: &mut Problems) -> Self {
        match &node.value {
            Value::List(items) => Self { label: String::new(), steps: Step::read_all(items, what, role, problems) },
            Value::Map(map) if map.contains_key("steps") => {
                let mut fields = Fields::open(node, what, problems);
                let steps = Self::read_keys(&mut fields, what, role);
                fields.close();
                steps
            }
            other => {
                let found = other.type_name();
                problems.add_with_hint(
                    &node.origin,
                    format!("{what} must be a list of steps, found {found}"),
                    "a list of steps, or a map of `label` and `steps`",
                );
                Self::default()
            }
        }
    }

    fn read_keys(fields: &mut Fields<'_>, what: &str, role: Role) -> Self {
        let label = fields.text("label").unwrap_or_default();
        let steps = match fields.node("steps") {
            Some(Node { value: Value::List(items), .. }) => Step::read_all(items, what, role, fields.problems()),
            Some(other) => {
                fields.wrong("steps", other, "a list");
                Vec::new()
            }
            None => Vec::new(),
        };
        Self { label, steps }
    }

    /// Whether the first step is a ReLU, in every phase.
    pub fn begins_with_relu(&self) -> bool {
        self.steps.first().is_some_and(|step| match &step.primitive {
            Primitive::Relu => step.when == When::Always,
            Primitive::Chain(steps) => step.when == When::Always && steps.begins_with_relu(),
            _ => false,
        })
    }

    /// Whether the last step turns a feature map into class scores.
    pub fn ends_in_scores(&self) -> bool {
        match self.steps.last().map(|step| &step.primitive) {
            Some(Primitive::Linear) => true,
            Some(Primitive::Chain(steps)) => steps.ends_in_scores(),
            _ => false,
        }
    }
}

impl Step {
    fn read_all(items: &[Node], what: &str, role: Role, problems: &mut Problems) -> Vec<Self> {
        items.iter().filter_map(|item| Self::read(item, what, role, problems)).collect()
    }

    fn read(node: &Node, what: &str, role: Role, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(name) => {
                let no_options = Node::new(Value::Map(IndexMap::new()), node.origin.clone());
                Self::read_primitive(name, node, &no_options, what, role, problems)
            }
            Value::Map(map) if map.contains_key("steps") => {
                let mut fields = Fields::open(node, format!("a chain in {what}"), problems);
                let when = read_when(&mut fields);
                let label = fields.node("label").is_some();
                let mut steps = Steps::read_keys(&mut fields, what, role);
                fields.close();
                // The chain's own label stands where a step's position would.
                let label = label.then(|| std::mem::take(&mut steps.label));
                Some(Self { label, when, primitive: Primitive::Chain(steps) })
            }
            Value::Map(map) if map.len() == 1 => {
                let (name, entry) = map.first()?;
                let place = Node::new(Value::Null, entry.key.clone());
                Self::read_primitive(name, &place, &entry.node, what, role, problems)
            }
            Value::Map(map) if map.len() > 1 => {
                problems.add_with_hint(
                    &node.origin,
                    format!("a step in {what} must name one primitive, found {}", map.len()),
                    "options stand inside: `{conv: {kernel: 3, label: first}}`",
                );
                None
            }
            other => {
                problems
                    .add(&node.origin, format!("a step in {what} must be a primitive, found {}", other.type_name()));
                None
            }
        }
    }

    /// `place` is where the primitive is named, `options` its map (or list, for `sum` and
    /// `concat`).
    fn read_primitive(
        name: &str,
        place: &Node,
        options: &Node,
        what: &str,
        role: Role,
        problems: &mut Problems,
    ) -> Option<Self> {
        if matches!(name, "sum" | "concat") {
            let branches = read_branches(name, options, what, role, problems);
            let primitive = if name == "sum" { Primitive::Sum(branches) } else { Primitive::Concat(branches) };
            return Some(Self { label: None, when: When::Always, primitive });
        }
        if !PRIMITIVES.contains(&name) {
            let message = format!("unknown primitive `{name}` in {what}");
            problems.add_with_hint(
                &place.origin,
                message,
                did_you_mean(name, PRIMITIVES.iter().copied(), "the primitives are"),
            );
            return None;
        }
        if role != Role::Head && matches!(name, "linear" | "global_avg_pool") {
            problems.add(&place.origin, format!("`{name}` ends a feature map: it belongs in a head, not in {what}"));
        }
        let mut fields = Fields::open(options, format!("`{name}` in {what}"), problems);
        let label = fields.text("label");
        let when = read_when(&mut fields);
        let primitive = match name {
            "identity" => Primitive::Identity,
            "relu" => Primitive::Relu,
            "global_avg_pool" => Primitive::GlobalAvgPool,
            "linear" => Primitive::Linear,
            "zero" => Primitive::Zero { stride: read_stride(&mut fields, role) },
            "noise" => Primitive::Noise { stride: read_stride(&mut fields, role) },
            "batch_norm" => Primitive::BatchNorm { affine: read_flag(&mut fields, "affine", When::Always) },
            "max_pool" => Primitive::MaxPool(PoolStep::read(&mut fields, role)),
            "avg_pool" => Primitive::AvgPool(PoolStep::read(&mut fields, role)),
            "factorized_reduce" => Primitive::FactorizedReduce {
                labels: read_two_labels(&mut fields),
                out: Width::read(&mut fields, "out", Width::CELL),
            },
            _ => Primitive::Conv(ConvStep::read(name, &mut fields, role)),
        };
        fields.close();
        Some(Self { label, when, primitive })
    }
}

impl ConvStep {
    fn read(name: &str, fields: &mut Fields<'_>, role: Role) -> Self {
        let pointwise = name == "pointwise";
        let one = [1, 1];
        let kernel = if pointwise { one } else { read_pair(fields, "kernel", None, 1, LARGEST_KERNEL) };
        let dilation = if pointwise { one } else { read_pair(fields, "dilation", Some(one), 1, LARGEST_KERNEL) };
        let spans = [dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)];
        let padding = if pointwise { [0, 0] } else { read_padding(fields, spans) };
        let filters = if name == "depthwise" {
            Filters::Depthwise
        } else {
            let groups = if pointwise { 1 } else { fields.integer("groups", 1, 1.., "a whole number from 1") };
            Filters::Groups { groups, out: Width::read(fields, "out", Width::CELL) }
        };
        Self {
            kernel,
            stride: read_strides(fields, role),
            padding,
            dilation,
            filters,
            bias: read_flag(fields, "bias", When::Never),
        }
    }
}

impl PoolStep {
    fn read(fields: &mut Fields<'_>, role: Role) -> Self {
        fields.required_node("kernel");
        let expected = format!("a whole number from 1 to {LARGEST_KERNEL}");
        let kernel = fields.integer("kernel", 1, 1..=LARGEST_KERNEL as usize, &expected);
        let padding = match fields.node("padding") {
            // A window must not lie in the padding alone: PyTorch's rule.
            Some(_) => {
                fields.integer("padding", 0, 0..=kernel / 2, &format!("a whole number from 0 to {}", kernel / 2))
            }
            None => read_padding(fields, [kernel - 1, kernel - 1])[0],
        };
        Self { kernel, stride: read_stride(fields, role), padding }
    }
}

fn read_branches(name: &str, node: &Node, what: &str, role: Role, problems: &mut Problems) -> Vec<Steps> {
    match &node.value {
        Value::List(items) if items.len() > 1 => items
            .iter()
            .map(|item| Steps::read(item, &format!("a branch of `{name}` in {what}"), role, problems))
            .collect(),
        _ => {
            problems.add(&node.origin, format!("`{name}` in {what} must be a list of two chains or more"));
            Vec::new()
        }
    }
}

fn read_when(fields: &mut Fields<'_>) -> When {
    let choices = [("search", When::Only(Phase::Search)), ("final", When::Only(Phase::Final))];
    fields.choice("when", When::Always, &choices)
}

fn read_flag(fields: &mut Fields<'_>, key: &'static str, default: When) -> When {
    let choices = [
        ("true", When::Always),
        ("false", When::Never),
        ("search", When::Only(Phase::Search)),
        ("final", When::Only(Phase::Final)),
    ];
    fields.choice(key, default, &choices)
}

fn read_two_labels(fields: &mut Fields<'_>) -> [String; 2] {
    let default = || ["conv_1".to_owned(), "conv_2".to_owned()];
    let Some(texts) = fields.texts("labels") else { return default() };
    texts.try_into().unwrap_or_else(|_| {
        let origin = fields.origin_of("labels").clone();
        fields.problems().add(&origin, "`labels` must be two labels");
        default()
    })
}

/// The padding that keeps a map's sides, `span` being `dilation * (kernel - 1)`, unless `padding`
/// is given.
fn read_padding(fields: &mut Fields<'_>, spans: [usize; 2]) -> [usize; 2] {
    if fields.node("padding").is_some() {
        return read_pair(fields, "padding", Some([0, 0]), 0, LARGEST_KERNEL * LARGEST_KERNEL);
    }
    if spans.iter().any(|span| span % 2 == 1) {
        let origin = fields.origin_of("kernel").clone();
        fields.problems().add_with_hint(
            &origin,
            "no padding keeps the sides with an even kernel",
            "say `padding:`, for example `padding: 0`",
        );
    }
    spans.map(|span| span / 2)
}

/// One whole number for both axes, or a list of two: height, width.
fn read_pair(
    fields: &mut Fields<'_>,
    key: &'static str,
    default: Option<[usize; 2]>,
    least: i64,
    most: i64,
) -> [usize; 2] {
    let fallback = default.unwrap_or([1, 1]);
    let node = if default.is_some() { fields.node(key) } else { fields.required_node(key) };
    let Some(node) = node else { return fallback };
    let axis = |node: &Node| match node.value {
        Value::Integer(value) if (least..=most).contains(&value) => usize::try_from(value).ok(),
        _ => None,
    };
    let pair = match &node.value {
        Value::List(items) => match items.as_slice() {
            [height, width] => axis(height).zip(axis(width)).map(|(height, width)| [height, width]),
            _ => None,
        },
        _ => axis(node).map(|both| [both, both]),
    };
    pair.unwrap_or_else(|| {
        fields.wrong(key, node, &format!("a whole number from {least} to {most}, or a list of two (height, width)"));
        fallback
    })
}

fn read_strides(fields: &mut Fields<'_>, role: Role) -> [Stride; 2] {
    let Some(node) = fields.node("stride") else { return [Stride::Fixed(1); 2] };
    match &node.value {
        Value::List(items) if items.len() == 2 => {
            [stride_of(fields, &items[0], role), stride_of(fields, &items[1], role)]
        }
        Value::List(_) => {
            fields.wrong("stride", node, "one stride or two (height, width)");
            [Stride::Fixed(1); 2]
        }
        _ => [stride_of(fields, node, role); 2],
    }
}

fn read_stride(fields: &mut Fields<'_>, role: Role) -> Stride {
    match fields.node("stride") {
        Some(node) => stride_of(fields, node, role),
        None => Stride::Fixed(1),
    }
}

fn stride_of(fields: &mut Fields<'_>, node: &Node, role: Role) -> Stride {
    match &node.value {
        Value::Text(word) if word == "edge" => {
            if role != Role::Operation {
                fields.problems().add(&node.origin, "`stride: edge` has a meaning in operations only");
            }
            return Stride::Edge;
        }
        Value::Integer(value) if (1..=LARGEST_STRIDE).contains(value) => {
            if let Ok(value) = usize::try_from(*value) {
                return Stride::Fixed(value);
            }
        }
        _ => {}
    }
    fields.wrong("stride", node, &format!("a whole number from 1 to {LARGEST_STRIDE}, or `edge`"));
    Stride::Fixed(1)
}
