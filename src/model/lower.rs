//! From a network to programs: layers become fused operators.

mod partial;
mod values;

use super::{
    Computed, Layout,
    split::{Alone, Part, split},
};
use crate::{
    kernels::program::{
        Activation, Branch, Dense, Depthwise, Frame, MapId, Norm, PoolKind, PoolStep, Program, Read, Step, Term,
    },
    space::network::tensor_name,
    space::network::{
        AlphaRows, AlphaTable, Block, Cell, CellOutput, Chain, Conv, Edge, Extra, FeatureMap, Layer, LayerKind,
        Network, Pool,
    },
};
use partial::shuffle;
use values::terms;

/// What a pass runs, and what it brings: the network's input, then noises.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lowered {
    /// In the order in which they run. Values are numbered; the first ones are what a pass brings.
    pub parts: Vec<Part>,
    /// The values that leave: the heads', then the auxiliary head's.
    pub outputs: Vec<usize>,
    /// Block and edge of each row of factors.
    pub drops: Vec<(usize, usize)>,
    /// What a pass brings behind the network's input.
    pub brought: Vec<Brought>,
    /// What stands behind the mixing weights and does not change.
    pub constants: Vec<f32>,
}

/// A map that a pass makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// By the layer's number.
    Noise(usize, FeatureMap),
    Ones(FeatureMap),
}

/// What a pass is lowered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// With the auxiliary head and a row of factors for each operation that drop path may drop.
    Train,
    Evaluate,
}

/// Whether no program expresses the layer: it runs by burn's operators, between programs.
pub(super) type StandsAlone = fn(&LayerKind) -> bool;

/// The three operators know one nonlinearity, and move no pixels.
pub(super) fn stands_alone(kind: &LayerKind) -> bool {
    matches!(kind, LayerKind::Nonlinearity(_) | LayerKind::PixelShuffle { .. } | LayerKind::Upsample { .. })
        || matches!(kind, LayerKind::Affine { shift, .. } if *shift != 0.0)
}

/// Lowers a network. `weights` and `running` say where its tensors stand in the vectors of a pass;
/// mixing weights are the alpha tables end to end, row by row. Of candidates those are in it that are
/// `computed`; what the others of each edge weigh together stands behind the tables, edge by edge.
pub(super) fn lower(
    network: &Network,
    purpose: Purpose,
    stands_alone: StandsAlone,
    computed: Option<&Computed>,
    [weights, running]: [&Layout; 2],
) -> Lowered {
    let mixing_starts: Vec<usize> = network
        .alphas
        .iter()
        .scan(0, |next, table| {
            let start = *next;
            *next += table.rows() * table.mixing_columns();
            Some(start)
        })
        .collect();
    let mixing: usize = network.alphas.iter().map(|table| table.rows() * table.mixing_columns()).sum();
    let others: usize = network.alphas.iter().map(AlphaTable::rows).sum();
    let mut lowering = Lowering {
        computed,
        ones: Vec::new(),
        constants: Vec::new(),
        weights,
        running,
        mixing_starts,
        purpose,
        stands_alone,
        network,
        alone: Vec::new(),
        program: Program {
            weights: weights.len(),
            running: running.len(),
            mixing: mixing + if computed.is_some() { others } else { 0 },
            ..Program::default()
        },
        drops: Vec::new(),
        brought: Vec::new(),
    };
    lowering.network();
    let Lowering { mut program, alone, drops, brought, constants, .. } = lowering;
    program.factors = drops.len();
    program.mixing += constants.len();
    let (parts, outputs) = split(program, alone);
    Lowered { parts, outputs, drops, brought, constants }
}

/// What a layer reads or gives: a feature map in parts, the parts in the order of its channels.
type Value = Vec<Read>;

struct Lowering<'a> {
    network: &'a Network,
    weights: &'a Layout,
    running: &'a Layout,
    /// First mixing weight of each alpha table.
    mixing_starts: Vec<usize>,
    purpose: Purpose,
    stands_alone: StandsAlone,
    program: Program,
    /// Layers that the program cannot express.
    alone: Vec<Alone>,
    drops: Vec<(usize, usize)>,
    brought: Vec<Brought>,
    computed: Option<&'a Computed>,
    /// Maps of ones.
    ones: Vec<(FeatureMap, MapId)>,
    constants: Vec<f32>,
}

impl Lowering<'_> {
    fn network(&mut self) {
        let network = self.network;
        let input = self.input(network.input);
        let mut newest = vec![self.whole(input)];
        let mut states = Vec::new();
        for stem in &network.stems {
            newest = self.chain(stem, newest);
            states.push(newest.clone());
        }
        let mut auxiliary = None;
        for (at, block) in network.blocks.iter().enumerate() {
            newest = match block {
                Block::Cell(cell) => self.cell(cell, at, &states),
                Block::Fixed { reads, chain } => self.chain(chain, states[*reads].clone()),
            };
            let head = network.auxiliary.as_ref().filter(|head| head.after == at && self.purpose == Purpose::Train);
            if let Some(head) = head {
                if head.in_place {
                    rectify(&mut newest);
                }
                auxiliary = Some(self.chain(&head.head, newest.clone()));
            }
            states.push(newest.clone());
        }
        if let Some(exit) = &network.exit {
            let first = self.mixing_starts[exit.table];
            let weighed = exit.states.iter().enumerate();
            let found = weighed.flat_map(|(column, &state)| terms(&states[state], Some(first + column), None));
            let (found, size) = (found.collect(), self.size(&states[exit.states[0]]));
            newest = self.combine(found, size);
        }
        let trunk = self.chain(&network.trunk, newest);
        let outputs: Vec<Value> = network.heads.iter().map(|head| self.chain(&head.chain, trunk.clone())).collect();
        for output in outputs.into_iter().chain(auxiliary) {
            let map = self.written(output);
            self.program.outputs.push(map);
        }
    }

    fn cell(&mut self, cell: &Cell, block: usize, given: &[Value]) -> Value {
        let inputs = cell.inputs.iter().zip(&cell.reads);
        let mut states: Vec<Value> =
            inputs.map(|(adapter, &state)| self.chain(adapter, given[state].clone())).collect();
        if cell.edges.iter().any(|edge| edge.partial.is_some()) {
            states = states.into_iter().map(|state| self.partable(state)).collect();
        }
        for node in 0..cell.nodes.len() {
            let target = cell.inputs.len() + node;
            let (mut terms, size) = (Vec::new(), cell.node_size(node));
            for (row, edge) in cell.edges.iter().enumerate().filter(|(_, edge)| edge.target == target) {
                let source = states[edge.source].clone();
                match cell.alphas {
                    Some(AlphaRows { table, first }) => {
                        self.mixed(edge, (table, first + row), size, &source, &mut terms);
                    }
                    None => self.chosen(edge, (block, row), source, &mut terms),
                }
            }
            let sum = self.combine(terms, size);
            states.push(self.chain(&cell.nodes[node].then, sum));
        }
        let pick = |chosen: &[usize]| chosen.iter().flat_map(|&state| states[state].clone()).collect::<Value>();
        let output = match &cell.output {
            CellOutput::Concat(chosen) => pick(chosen),
            CellOutput::Sum(chosen) => {
                let terms = chosen.iter().flat_map(|&state| terms(&states[state], None, None)).collect();
                self.combine(terms, cell.size)
            }
            CellOutput::Residual { state, scale, plus } => {
                let scale = self.constant(*scale);
                let mut found = terms(&states[*state], Some(scale), None);
                found.extend(terms(&states[*plus], None, None));
                self.combine(found, cell.size)
            }
        };
        self.chain(&cell.then, output)
    }

    /// The mixed operation of an edge: each candidate that contributes is a term with its mixing
    /// weight, and so is what else the edge has.
    fn mixed(
        &mut self,
        edge: &Edge,
        (table, row): (usize, usize),
        size: FeatureMap,
        source: &Value,
        found: &mut Vec<Term>,
    ) {
        let network = self.network;
        let of_table = &network.alphas[table];
        let first = self.mixing_starts[table] + row * of_table.mixing_columns();
        let weight = |extra| of_table.column_of(extra).map(|column| first + column);
        let read = match &edge.partial {
            Some(partial) => self.through(partial, source),
            None => source.clone(),
        };
        let before = found.len();
        let computed = |column: usize| self.computed.is_none_or(|computed| computed.has(table, row, column));
        let candidates = edge.candidates.iter().enumerate();
        let computed: Vec<_> =
            candidates.filter(|(column, candidate)| computed(*column) && !candidate.is_zero()).collect();
        for (column, candidate) in computed {
            let value = self.chain(&candidate.chain, read.clone());
            found.extend(terms(&value, Some(first + column), None));
        }
        if self.computed.is_some_and(|computed| !computed.has_all(table, row)) {
            let groups = edge.partial.as_ref().map_or(1, |partial| partial.groups);
            let ones = self.ones(FeatureMap { channels: size.channels / groups, ..size });
            let tables = || network.alphas.iter();
            let before: usize = tables().map(|table| table.rows() * table.mixing_columns()).sum();
            let weight = before + tables().take(table).map(AlphaTable::rows).sum::<usize>() + row;
            found.extend(terms(&vec![self.whole(ones)], Some(weight), None));
        }
        if let Some(skip) = &edge.skip {
            let value = self.chain(skip, read);
            found.extend(terms(&value, weight(Extra::Skip), None));
        }
        if let Some(partial) = &edge.partial {
            found[before..].iter_mut().for_each(|term| shuffle(term, 0, partial));
            self.pass_by(partial, source, weight(Extra::Bypass), found);
        }
    }

    /// The operation of an edge of a discrete network.
    fn chosen(&mut self, edge: &Edge, place: (usize, usize), source: Value, found: &mut Vec<Term>) {
        let Some(candidate) = edge.candidates.first().filter(|candidate| !candidate.is_zero()) else { return };
        let value = self.chain(&candidate.chain, source);
        let factor = (self.purpose == Purpose::Train && !candidate.is_identity()).then(|| {
            self.drops.push(place);
            self.drops.len() - 1
        });
        found.extend(terms(&value, None, factor));
    }

    fn chain(&mut self, chain: &Chain, mut value: Value) -> Value {
        let mut layers = chain.layers.as_slice();
        while let Some((layer, rest)) = layers.split_first() {
            (value, layers) = match (&layer.kind, rest.split_first()) {
                // A depthwise convolution and the product behind it are one branch.
                (LayerKind::Conv(first), Some((next, rest)))
                    if is_depthwise(first, layer)
                        && is_product(&next.kind)
                        && ![layer, next].iter().any(|layer| (self.stands_alone)(&layer.kind)) =>
                {
                    let LayerKind::Conv(second) = &next.kind else { unreachable!("a product is a convolution") };
                    let depthwise = Depthwise { weight: self.weight(&layer.label), frame: frame(first) };
                    let dense = self.dense(second, &next.label);
                    (self.convolve(value, Some(depthwise), Some(dense), next.output), rest)
                }
                _ => (self.layer(layer, value), rest),
            };
        }
        value
    }

    fn layer(&mut self, layer: &Layer, mut value: Value) -> Value {
        match &layer.kind {
            kind if (self.stands_alone)(kind) => self.alone(layer, value),
            LayerKind::Identity => value,
            LayerKind::Zero { .. } => self.combine(Vec::new(), layer.output),
            LayerKind::Noise { number, .. } => {
                let map = self.input(layer.output);
                self.brought.push(Brought::Noise(*number, layer.output));
                vec![self.whole(map)]
            }
            LayerKind::Affine { scale, shift: 0.0 } => {
                let scale = self.constant(*scale);
                let found = terms(&value, Some(scale), None);
                self.combine(found, layer.output)
            }
            LayerKind::Nonlinearity(_)
            | LayerKind::PixelShuffle { .. }
            | LayerKind::Upsample { .. }
            | LayerKind::Affine { .. } => self.alone(layer, value),
            LayerKind::Relu => {
                rectify(&mut value);
                value
            }
            LayerKind::Conv(conv) if is_depthwise(conv, layer) => {
                let depthwise = Depthwise { weight: self.weight(&layer.label), frame: frame(conv) };
                self.convolve(value, Some(depthwise), None, layer.output)
            }
            LayerKind::Conv(conv) => {
                let dense = self.dense(conv, &layer.label);
                self.convolve(value, None, Some(dense), layer.output)
            }
            LayerKind::FactorizedReduce { first, second } => {
                self.factorized_reduce([first, second], value, layer.output)
            }
            LayerKind::BatchNorm { affine } => self.batch_norm(&layer.label, *affine, value, layer.output),
            LayerKind::MaxPool(pool) => self.pool(value, pool_frame(pool, layer.input), PoolKind::Max, layer.output),
            LayerKind::AvgPool(pool) => self.pool(value, pool_frame(pool, layer.input), PoolKind::Mean, layer.output),
            LayerKind::GlobalAvgPool => {
                let frame = Frame { kernel: [layer.input.height, layer.input.width], ..Frame::PIXEL };
                self.pool(value, frame, PoolKind::Mean, layer.output)
            }
            LayerKind::Linear => {
                // Features that are flattened before the product are a window as large as the map.
                let frame = Frame { kernel: [layer.input.height, layer.input.width], ..Frame::PIXEL };
                let (weight, bias) = (self.weight(&layer.label), Some(self.bias(&layer.label)));
                let dense = Dense { weight, bias, frame, groups: 1 };
                self.convolve(value, None, Some(dense), layer.output)
            }
            LayerKind::Sum(chains) => {
                let found =
                    chains.iter().flat_map(|chain| terms(&self.chain(chain, value.clone()), None, None)).collect();
                self.combine(found, layer.output)
            }
            LayerKind::Concat(chains) => chains.iter().flat_map(|chain| self.chain(chain, value.clone())).collect(),
        }
    }

    fn alone(&mut self, layer: &Layer, value: Value) -> Value {
        let (from, to) = (self.written(value), self.map(layer.output));
        self.alone.push(Alone { layer: layer.clone(), from, to, steps: self.program.steps.len() });
        vec![self.whole(to)]
    }

    /// Halves the sides without losing a pixel: one half of the channels sees even pixels, the
    /// other odd ones.
    fn factorized_reduce(&mut self, labels: [&String; 2], value: Value, output: FeatureMap) -> Value {
        let half = output.channels / 2;
        let widths = [half, output.channels - half];
        let mut parts = Vec::new();
        for (at, (label, channels)) in labels.into_iter().zip(widths).enumerate() {
            let frame = Frame { stride: [2; 2], start: [at as isize; 2], ..Frame::PIXEL };
            let dense = Dense { weight: self.weight(label), bias: None, frame, groups: 1 };
            parts.extend(self.convolve(value.clone(), None, Some(dense), FeatureMap { channels, ..output }));
        }
        parts
    }

    fn batch_norm(&mut self, label: &str, affine: bool, value: Value, size: FeatureMap) -> Value {
        // Statistics are of maps as they were written.
        let as_written = value.iter().all(|read| read.norm.is_none() && read.activation == Activation::None);
        let value = if as_written { value } else { vec![self.write(terms(&value, None, None), size)] };
        let offset = |layout: &Layout, part: &str| layout.start(&tensor_name(label, part));
        let (mean, variance) = (offset(self.running, "running_mean"), offset(self.running, "running_var"));
        let (scale, shift) = (offset(self.weights, "weight"), offset(self.weights, "bias"));
        let mut first = 0;
        let normalised = value.into_iter().map(|read| {
            let found = "a batch norm's tensors are in their groups";
            self.program.maps[read.map].statistics = true;
            self.program.norms.push(Norm {
                map: read.map,
                first: read.first,
                channels: read.channels,
                scale: affine.then(|| scale.expect(found) + first),
                shift: affine.then(|| shift.expect(found) + first),
                mean: mean.expect(found) + first,
                variance: variance.expect(found) + first,
            });
            first += read.channels;
            Read { norm: Some(self.program.norms.len() - 1), ..read }
        });
        normalised.collect()
    }

    fn pool(&mut self, source: Value, frame: Frame, kind: PoolKind, size: FeatureMap) -> Value {
        let pool = PoolStep { source, frame, kind };
        // Every edge that leaves a state may ask for the same.
        let same = self.program.steps.iter().find_map(|step| match step {
            Step::Pool { pool: earlier, output } if *earlier == pool => Some(*output),
            _ => None,
        });
        let output = same.unwrap_or_else(|| {
            let output = self.map(size);
            self.program.steps.push(Step::Pool { pool, output });
            output
        });
        vec![self.whole(output)]
    }

    fn convolve(
        &mut self,
        source: Value,
        depthwise: Option<Depthwise>,
        dense: Option<Dense>,
        size: FeatureMap,
    ) -> Value {
        let output = self.map(size);
        let branch = Branch { source, depthwise, dense, first: 0, channels: size.channels };
        self.program.steps.push(Step::Convolve { branches: vec![branch], output });
        vec![self.whole(output)]
    }

    fn dense(&self, conv: &Conv, label: &str) -> Dense {
        let bias = conv.bias.then(|| self.bias(label));
        Dense { weight: self.weight(label), bias, frame: frame(conv), groups: conv.groups }
    }

    fn weight(&self, label: &str) -> usize {
        self.weights.start(&tensor_name(label, "weight")).expect("a layer's weight is in its group")
    }

    fn bias(&self, label: &str) -> usize {
        self.weights.start(&tensor_name(label, "bias")).expect("a layer's bias is in its group")
    }
}
fn rectify(value: &mut Value) {
    value.iter_mut().for_each(|read| read.activation = Activation::Relu);
}

fn is_depthwise(conv: &Conv, layer: &Layer) -> bool {
    conv.groups == layer.input.channels && conv.groups == layer.output.channels && conv.groups > 1 && !conv.bias
}

fn is_product(kind: &LayerKind) -> bool {
    matches!(kind, LayerKind::Conv(conv) if frame(conv) == Frame::PIXEL && conv.groups == 1)
}

fn frame(conv: &Conv) -> Frame {
    let start = conv.padding.map(|padding| -(padding as isize));
    Frame { kernel: conv.kernel, stride: conv.stride, start, dilation: conv.dilation }
}

fn pool_frame(pool: &Pool, input: FeatureMap) -> Frame {
    let start = [input.height, input.width].map(|side| -(pool.around(side)[0] as isize));
    Frame { kernel: [pool.kernel; 2], stride: [pool.stride; 2], start, dilation: [1; 2] }
}
