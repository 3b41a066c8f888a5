//! Cells as declared: what all kinds share, and what each kind searches over.

use super::hint::did_you_mean;
use super::operation::Operation;
use crate::config::{Fields, Node, Problems, Value};
use crate::space::primitives::{options::Role, steps::Steps};
use indexmap::IndexMap;

/// A kind of cell: `normal`, `reduce`.
#[derive(Debug, Clone, PartialEq)]
pub struct CellKind {
    pub name: String,
    /// Label of the table of architecture parameters that all cells of the kind share:
    /// `alphas_normal`.
    pub alphas: String,
    /// Label of the numbers that weigh its edges, where a search normalises edges: `betas_normal`.
    pub betas: String,
    /// Candidates of each edge, edges in the order of [`crate::space::Space::edges`].
    pub candidates: Vec<Vec<String>>,
    /// Stride of the edges that leave the cell's inputs, 1 or 2.
    pub input_stride: usize,
    /// The widths among which its nodes choose; the cell's own where absent.
    pub widths: Option<WidthChoices>,
}

/// Widths of a node, as shares of the cell's.
#[derive(Debug, Clone, PartialEq)]
pub struct WidthChoices {
    /// Label of the table of architecture parameters, a row a node and a column a choice: `ratio`.
    pub alphas: String,
    /// As written: `1/3`, `0.5`, `1`.
    pub names: Vec<String>,
    pub shares: Vec<f64>,
    pub multiple_of: usize,
}

impl WidthChoices {
    /// The channels of each choice where the cell has so many: the nearest multiple, one more where that
    /// loses more than a tenth; at least three, and never more than the cell has. The rule of the code that the trilevel search grew from
    /// (`make_divisible` of AGD).
    pub fn channels(&self, cell: usize) -> Vec<usize> {
        let step = self.multiple_of;
        let of = |share: &f64| {
            let wanted = cell as f64 * share;
            let nearest = ((wanted + step as f64 / 2.0) as usize / step * step).max(3);
            let found = if (nearest as f64) < 0.9 * wanted { nearest + step } else { nearest };
            found.min(cell)
        };
        self.shares.iter().map(of).collect()
    }

    fn read(node: &Node, problems: &mut Problems) -> Self {
        const EXPECTED: &str = "a list of shares of the cell's width above 0 and up to 1, as in `[1/3, 0.5, 1]`";
        let mut fields = Fields::open(node, "`widths`", problems);
        let alphas = fields.required_text("alphas");
        let multiple_of = fields.integer("multiple_of", 1, 1..=64, "a whole number from 1 to 64");
        let (mut names, mut shares) = (Vec::new(), Vec::new());
        match fields.required_node("choices") {
            Some(Node { value: Value::List(items), .. }) if !items.is_empty() => {
                for item in items {
                    match share(&item.value) {
                        Some((name, _)) if names.contains(&name) => {
                            fields.problems().add(&item.origin, format!("the width `{name}` is there twice"));
                        }
                        Some((name, share)) => {
                            names.push(name);
                            shares.push(share);
                        }
                        None => fields.wrong("choices", item, EXPECTED),
                    }
                }
            }
            Some(other) => fields.wrong("choices", other, EXPECTED),
            None => {}
        }
        fields.close();
        Self { alphas, names, shares, multiple_of }
    }
}

/// A share of the whole, and how it is written.
fn share(value: &Value) -> Option<(String, f64)> {
    let (name, share) = match value {
        Value::Integer(1) => ("1".to_owned(), 1.0),
        Value::Float(share) => (share.to_string(), *share),
        Value::Text(text) => {
            let (by, over) = text.split_once('/')?;
            let whole = |text: &str| text.trim().parse::<u16>().ok().map(f64::from);
            (text.clone(), whole(by)? / whole(over)?)
        }
        _ => return None,
    };
    (share > 0.0 && share <= 1.0).then_some((name, share))
}

/// What all kinds of cell share.
#[derive(Debug, Clone, Default)]
pub struct CellShape {
    /// Oldest first.
    pub inputs: Vec<Adapter>,
    pub nodes: usize,
    /// (source, target), by target and then by source.
    pub edges: Vec<(usize, usize)>,
    /// What the sum of a node goes through.
    pub node: Steps,
    pub output: Output,
}

/// How an input of a cell is brought to the cell's width and sides.
#[derive(Debug, Clone, Default)]
pub struct Adapter {
    pub label: String,
    pub same: Steps,
    /// For a state of twice the sides.
    pub larger: Option<Steps>,
}

/// How states make up a cell's output.
#[derive(Debug, Clone, Default)]
pub struct Output {
    pub combine: Combine,
    pub states: OutputStates,
    pub residual: Option<Residual>,
    /// What it goes through.
    pub then: Steps,
}

/// A cell that moves one of its inputs a little: what its states make up, times `scale`, is added to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residual {
    pub scale: f64,
    /// The input.
    pub plus: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    #[default]
    Concat,
    Sum,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutputStates {
    #[default]
    Nodes,
    Last,
    These(Vec<usize>),
}

impl Output {
    /// The states of a cell with `inputs` inputs and `nodes` nodes that make up its output.
    pub fn states(&self, inputs: usize, nodes: usize) -> Vec<usize> {
        match &self.states {
            OutputStates::Nodes => (inputs..inputs + nodes).collect(),
            OutputStates::Last => vec![inputs + nodes - 1],
            OutputStates::These(states) => states.clone(),
        }
    }
}

/// More nodes or inputs than any cell has; keeps sizes of made-up files harmless.
const MOST_STATES: usize = 64;

impl CellShape {
    pub fn read(node: &Node, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "`cell`", problems);
        let inputs = match fields.required_node("inputs") {
            Some(Node { value: Value::List(items), .. }) if (1..=MOST_STATES).contains(&items.len()) => {
                items.iter().map(|item| Adapter::read(item, fields.problems())).collect()
            }
            Some(other) => {
                fields.wrong("inputs", other, "a list of one input or more");
                vec![Adapter::default()]
            }
            None => vec![Adapter::default()],
        };
        fields.required_node("nodes");
        let nodes = fields.integer("nodes", 1, 1..=MOST_STATES, &format!("a whole number from 1 to {MOST_STATES}"));
        let edges = read_edges(&mut fields, inputs.len(), nodes);
        let node = fields.node("node");
        let node = node.map_or_else(Steps::default, |node| Steps::read(node, "`node`", Role::Body, fields.problems()));
        let output = Output::read(&mut fields, inputs.len(), nodes);
        fields.close();
        Self { inputs, nodes, edges, node, output }
    }
}

impl Adapter {
    fn read(node: &Node, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "an input of `cell`", problems);
        let label = fields.text("label").unwrap_or_default();
        let same = fields.required_node("same");
        let same = same.map(|node| Steps::read(node, "`same`", Role::Body, fields.problems())).unwrap_or_default();
        let larger = fields.node("larger");
        let larger = larger.map(|node| Steps::read(node, "`larger`", Role::Body, fields.problems()));
        fields.close();
        Self { label, same, larger }
    }
}

impl Output {
    fn read(fields: &mut Fields<'_>, inputs: usize, nodes: usize) -> Self {
        const EXPECTED: &str =
            "`last`, or a map such as `{concat: nodes}`, `{sum: [2, 3]}` or `{last: {scale: 0.2, plus: 0}}`";
        let last =
            |residual| Self { combine: Combine::Sum, states: OutputStates::Last, residual, then: Steps::default() };
        let Some(node) = fields.required_node("output") else { return Self::default() };
        match &node.value {
            Value::Text(word) if word == "last" => {
                return last(None);
            }
            Value::Map(map) if map.len() == 1 && map.contains_key("last") => {
                let mut inner = Fields::open(node, "`output`", fields.problems());
                let residual = inner.node("last").map(|node| Residual::read(node, inputs, inner.problems()));
                inner.close();
                return last(residual);
            }
            Value::Map(map) if map.len() == 1 + usize::from(map.contains_key("then")) => {
                let mut inner = Fields::open(node, "`output`", fields.problems());
                for (key, combine) in [("concat", Combine::Concat), ("sum", Combine::Sum)] {
                    let Some(states) = inner.node(key) else { continue };
                    let states = read_output_states(key, states, inputs, nodes, &mut inner);
                    let then = inner.node("then");
                    let read = |node| Steps::read(node, "`then`", Role::Body, inner.problems());
                    let then = then.map_or_else(Steps::default, read);
                    inner.close();
                    return Self { combine, states, residual: None, then };
                }
                inner.close();
            }
            _ => fields.wrong("output", node, EXPECTED),
        }
        Self::default()
    }
}

impl Residual {
    fn read(node: &Node, inputs: usize, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "`last`", problems);
        fields.required_node("plus");
        let scale = fields.number("scale", 1.0, 0.0..=8.0, "a number from 0 to 8");
        let plus = fields.integer("plus", 0, 0..inputs, &format!("an input of the cell, from 0 to {}", inputs - 1));
        fields.close();
        Self { scale, plus }
    }
}

fn read_output_states(key: &str, node: &Node, inputs: usize, nodes: usize, fields: &mut Fields<'_>) -> OutputStates {
    match &node.value {
        Value::Text(word) if word == "nodes" => return OutputStates::Nodes,
        Value::List(items) if !items.is_empty() => {
            let mut states = Vec::with_capacity(items.len());
            for item in items {
                let state = match item.value {
                    Value::Integer(state) => usize::try_from(state).ok(),
                    _ => None,
                };
                match state {
                    Some(state) if states.contains(&state) => {
                        fields.problems().add(&item.origin, format!("state {state} is output twice"));
                    }
                    Some(state) if (inputs..inputs + nodes).contains(&state) => states.push(state),
                    _ => fields.wrong(key, item, &format!("a state from {inputs} to {}", inputs + nodes - 1)),
                }
            }
            return OutputStates::These(states);
        }
        _ => fields.wrong(key, node, "`nodes` or a list of states"),
    }
    OutputStates::Nodes
}

fn read_edges(fields: &mut Fields<'_>, inputs: usize, nodes: usize) -> Vec<(usize, usize)> {
    let all = || (inputs..inputs + nodes).flat_map(|target| (0..target).map(move |source| (source, target))).collect();
    let Some(node) = fields.required_node("edges") else { return all() };
    let items = match &node.value {
        Value::Text(word) if word == "all" => return all(),
        Value::List(items) => items,
        _ => {
            fields.wrong("edges", node, "`all` or a list of [source, target]");
            return all();
        }
    };
    let before = fields.problems().len();
    let mut edges = Vec::with_capacity(items.len());
    for item in items {
        let Some((source, target)) = read_edge(item) else {
            fields.wrong("edges", item, "[source, target], two states");
            continue;
        };
        let problem = if !(inputs..inputs + nodes).contains(&target) {
            format!("an edge must end at a state from {inputs} to {}, found {target}", inputs + nodes - 1)
        } else if source >= target {
            format!("an edge must go forwards, found {source} to {target}")
        } else if edges.contains(&(source, target)) {
            format!("the edge from {source} to {target} is there twice")
        } else if edges.last().is_some_and(|&(s, t)| (t, s) > (target, source)) {
            "edges must be listed by target, then by source".to_owned()
        } else {
            edges.push((source, target));
            continue;
        };
        fields.problems().add(&item.origin, problem);
    }
    // A missing edge may just be one that was refused above.
    if fields.problems().len() == before {
        for target in (inputs..inputs + nodes).filter(|target| edges.iter().all(|(_, t)| t != target)) {
            fields.problems().add(&node.origin, format!("state {target} has no incoming edge"));
        }
    }
    edges
}

fn read_edge(node: &Node) -> Option<(usize, usize)> {
    let Value::List(ends) = &node.value else { return None };
    match ends.as_slice() {
        [Node { value: Value::Integer(source), .. }, Node { value: Value::Integer(target), .. }] => {
            Some((usize::try_from(*source).ok()?, usize::try_from(*target).ok()?))
        }
        _ => None,
    }
}

impl CellKind {
    /// `operations` are those known; `excluded` those that a derived cell never has.
    pub(super) fn read(
        name: &str,
        node: &Node,
        shape: &CellShape,
        operations: &IndexMap<String, Operation>,
        excluded: &[String],
        problems: &mut Problems,
    ) -> Self {
        let mut fields = Fields::open(node, format!("cell kind `{name}`"), problems);
        let alphas = fields.required_text("alphas");
        let betas = fields.text("betas").unwrap_or_else(|| format!("betas_{name}"));
        let input_stride = fields.integer("input_stride", 1, 1..=2, "1 or 2");
        let widths = fields.node("widths").map(|node| WidthChoices::read(node, fields.problems()));
        let list = fields.required_node("candidates");
        let mut reader = Candidates { kind: name, shape, operations, excluded, input_stride, faults: Vec::new() };
        let candidates = list.map(|node| reader.read(node, fields.problems())).unwrap_or_default();
        fields.close();
        Self { name: name.to_owned(), alphas, betas, candidates, input_stride, widths }
    }
}

/// Reads one kind's candidates.
struct Candidates<'a> {
    kind: &'a str,
    shape: &'a CellShape,
    operations: &'a IndexMap<String, Operation>,
    excluded: &'a [String],
    input_stride: usize,
    /// Operations and strides already complained about.
    faults: Vec<(String, usize)>,
}

impl Candidates<'_> {
    fn read(&mut self, node: &Node, problems: &mut Problems) -> Vec<Vec<String>> {
        let edges = self.shape.edges.len();
        let Value::List(items) = &node.value else {
            let found = node.value.type_name();
            problems.add(&node.origin, format!("`candidates` must be a list of operations, found {found}"));
            return Vec::new();
        };
        let nested = items.iter().filter(|item| matches!(item.value, Value::List(_))).count();
        if nested == 0 {
            let strides = (0..edges).map(|edge| self.stride(edge)).collect::<Vec<_>>();
            let names = self.read_edge(node, items, &strides, problems);
            return vec![names; edges];
        }
        if nested != items.len() {
            problems.add(&node.origin, "`candidates` must be operations or lists of operations, not both");
            return Vec::new();
        }
        if items.len() != edges {
            let message = format!("`candidates` has {} lists, the cell has {edges} edges", items.len());
            problems.add(&node.origin, message);
        }
        let mut lists = Vec::with_capacity(edges);
        for (edge, item) in items.iter().enumerate() {
            let Value::List(names) = &item.value else { continue };
            let stride = if edge < edges { self.stride(edge) } else { 1 };
            lists.push(self.read_edge(item, names, &[stride], problems));
        }
        lists
    }

    fn stride(&self, edge: usize) -> usize {
        if self.shape.edges[edge].0 < self.shape.inputs.len() { self.input_stride } else { 1 }
    }

    fn read_edge(&mut self, list: &Node, items: &[Node], strides: &[usize], problems: &mut Problems) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            let Value::Text(name) = &item.value else {
                let found = item.value.type_name();
                problems.add(&item.origin, format!("a candidate must be an operation's name, found {found}"));
                continue;
            };
            match self.operations.get(name) {
                None => problems.add_with_hint(
                    &item.origin,
                    format!("unknown operation `{name}` in cell kind `{}`", self.kind),
                    did_you_mean(name, self.operations.keys().map(String::as_str), "the operations are"),
                ),
                Some(_) if names.contains(name) => {
                    problems.add(&item.origin, format!("candidate `{name}` is there twice"));
                }
                Some(operation) => {
                    for &stride in strides {
                        let key = (name.clone(), stride);
                        if let Some(fault) = operation.fault(stride)
                            && !self.faults.contains(&key)
                        {
                            problems.add(&item.origin, format!("operation `{name}` {fault}"));
                            self.faults.push(key);
                        }
                    }
                    names.push(name.clone());
                }
            }
        }
        if items.is_empty() {
            problems.add(&list.origin, "an edge needs a candidate");
        } else if !names.is_empty() && names.iter().all(|name| self.excluded.contains(name)) {
            problems.add(&list.origin, "an edge has only candidates that `derive` excludes");
        }
        names
    }
}
