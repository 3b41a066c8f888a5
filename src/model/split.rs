//! A program that some layers interrupt: cut into programs, with these layers between them.
//!
//! The **depth** of a map is the number of such layers on the longest way to it. Steps of one depth
//! are one program. It brings what shallower ones wrote, normalised and rectified as its reader
//! wants it, so that the statistics of a norm stay where its map is.

use crate::{
    kernels::program::{Activation, Map, MapId, Norm, Program, Read, Step, Term},
    space::network::Layer,
};
use std::{collections::HashMap, sync::Arc};

/// A layer that no program expresses, and the maps that it reads and writes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alone {
    pub layer: Layer,
    pub from: MapId,
    pub to: MapId,
    /// How many steps stand before it.
    pub steps: usize,
}

/// What runs at one time. It reads and writes values of the whole network, by their numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// In the order of the program's inputs and outputs.
    Program {
        program: Arc<Program>,
        reads: Vec<usize>,
        writes: Vec<usize>,
    },
    Layer {
        layer: Layer,
        reads: usize,
        writes: usize,
    },
}

/// The parts in the order in which they run, and the numbers of the values that leave the network.
/// The first values are the program's inputs.
pub(super) fn split(mut whole: Program, alone: Vec<Alone>) -> (Vec<Part>, Vec<usize>) {
    let inputs = whole.inputs.len();
    if alone.is_empty() {
        let writes: Vec<usize> = (inputs..inputs + whole.outputs.len()).collect();
        whole.gather();
        let part = Part::Program { program: Arc::new(whole), reads: (0..inputs).collect(), writes: writes.clone() };
        return (vec![part], writes);
    }
    let cut = Cut::new(&whole, &alone);
    let mut values = Values { whole: &whole, reads: Vec::new() };
    for &map in &whole.inputs {
        values.of_map(map);
    }
    let mut drafts = vec![Draft::default(); cut.depth.iter().max().map_or(0, |deepest| deepest + 1)];
    for step in &whole.steps {
        let depth = cut.depth[step.output()];
        for read in step.reads().filter(|read| cut.is_brought(read.map, depth)) {
            let value = if cut.outside[read.map] { values.of_map(read.map) } else { values.of(*read) };
            push_once(&mut drafts[depth].reads, value);
        }
    }
    let outputs: Vec<usize> = whole.outputs.iter().map(|&map| values.of_map(map)).collect();
    for Alone { layer, from, to, .. } in alone {
        let part = Part::Layer { layer, reads: values.of_map(from), writes: values.of_map(to) };
        drafts[cut.depth[from]].layers.push(part);
    }
    // What is wanted elsewhere is written by the program that has it.
    let read_by = |draft: &Draft| {
        let of_layers = draft.layers.iter().filter_map(|part| match part {
            Part::Layer { reads, .. } => Some(*reads),
            Part::Program { .. } => None,
        });
        draft.reads.iter().copied().chain(of_layers).collect::<Vec<_>>()
    };
    let wanted: Vec<usize> = drafts.iter().flat_map(read_by).chain(outputs.clone()).collect();
    for value in wanted {
        let map = values.reads[value].map;
        if !cut.outside[map] {
            push_once(&mut drafts[cut.depth[map]].writes, value);
        }
    }
    let mut parts = Vec::new();
    for (depth, Draft { mut reads, writes, layers }) in drafts.into_iter().enumerate() {
        if !writes.is_empty() {
            // How many images there are is seen in what a program reads.
            if reads.is_empty() {
                reads.push(0);
            }
            let program = Piece::new(&cut, depth).program(&values, &reads, &writes);
            parts.push(Part::Program { program: Arc::new(program), reads, writes });
        }
        parts.extend(layers);
    }
    (parts, outputs)
}

fn push_once(values: &mut Vec<usize>, value: usize) {
    if !values.contains(&value) {
        values.push(value);
    }
}

/// What passes between parts, as a read of the whole program's map; a value's number is its place.
struct Values<'a> {
    whole: &'a Program,
    reads: Vec<Read>,
}

impl Values<'_> {
    fn of(&mut self, read: Read) -> usize {
        self.reads.iter().position(|known| *known == read).unwrap_or_else(|| {
            self.reads.push(read);
            self.reads.len() - 1
        })
    }

    fn of_map(&mut self, map: MapId) -> usize {
        self.of(all_of(self.whole, map))
    }
}

/// A map as it was written.
fn all_of(program: &Program, map: MapId) -> Read {
    Read { map, first: 0, channels: program.maps[map].channels, norm: None, activation: Activation::None }
}

/// Where a program is cut.
struct Cut<'a> {
    whole: &'a Program,
    /// Of each map.
    depth: Vec<usize>,
    /// Whether no step writes the map: an input, or what a layer gives.
    outside: Vec<bool>,
}

impl<'a> Cut<'a> {
    fn new(whole: &'a Program, alone: &[Alone]) -> Self {
        let mut cut = Self { whole, depth: vec![0; whole.maps.len()], outside: vec![true; whole.maps.len()] };
        let mut alone = alone.iter().peekable();
        for at in 0..=whole.steps.len() {
            while let Some(layer) = alone.next_if(|layer| layer.steps == at) {
                cut.depth[layer.to] = cut.depth[layer.from] + 1;
            }
            if let Some(step) = whole.steps.get(at) {
                cut.depth[step.output()] = step.reads().map(|read| cut.depth[read.map]).max().unwrap_or(0);
                cut.outside[step.output()] = false;
            }
        }
        cut
    }

    /// Whether the program of that depth has a map from elsewhere.
    fn is_brought(&self, map: MapId, depth: usize) -> bool {
        self.outside[map] || self.depth[map] < depth
    }
}

/// What is known of the program of one depth, and the layers behind it.
#[derive(Debug, Clone, Default)]
struct Draft {
    reads: Vec<usize>,
    writes: Vec<usize>,
    layers: Vec<Part>,
}

/// The program of one depth under construction.
struct Piece<'a> {
    cut: &'a Cut<'a>,
    depth: usize,
    program: Program,
    /// By the numbers that they have in the whole program.
    maps: HashMap<MapId, MapId>,
    norms: HashMap<usize, usize>,
    /// Maps that hold what shallower programs have written: with its place in the whole program.
    brought: Vec<(Read, MapId)>,
}

impl<'a> Piece<'a> {
    fn new(cut: &'a Cut<'a>, depth: usize) -> Self {
        let Program { weights, mixing, running, factors, .. } = *cut.whole;
        let program = Program { weights, mixing, running, factors, ..Program::default() };
        Self { cut, depth, program, maps: HashMap::new(), norms: HashMap::new(), brought: Vec::new() }
    }

    fn program(mut self, values: &Values<'_>, reads: &[usize], writes: &[usize]) -> Program {
        for &value in reads {
            let read = values.reads[value];
            let map = self.map(read);
            self.program.inputs.push(map);
            if self.cut.outside[read.map] {
                self.maps.insert(read.map, map);
            } else {
                self.brought.push((read, map));
            }
        }
        let (cut, depth) = (self.cut, self.depth);
        let whole = cut.whole;
        for step in whole.steps.iter().filter(|step| cut.depth[step.output()] == depth) {
            let mut step = step.clone();
            step.reads_mut().into_iter().for_each(|read| *read = self.read(*read));
            let output = self.map(all_of(whole, step.output()));
            self.maps.insert(step.output(), output);
            *step.output_mut() = output;
            self.program.steps.push(step);
        }
        for &value in writes {
            let read = values.reads[value];
            let output = if read == all_of(whole, read.map) {
                self.maps[&read.map]
            } else {
                let term = Term { read: self.read(read), at: 0, spread: 1, weight: None, factor: None };
                let output = self.map(read);
                self.program.steps.push(Step::Combine { terms: vec![term], output });
                output
            };
            self.program.outputs.push(output);
        }
        self.program.gather();
        debug_assert_eq!(self.program.check(), Ok(()));
        self.program
    }

    /// A map that holds what is read.
    fn map(&mut self, read: Read) -> MapId {
        let map = self.cut.whole.maps[read.map];
        self.program.maps.push(Map { channels: read.channels, statistics: false, ..map });
        self.program.maps.len() - 1
    }

    /// A read of the whole program in this one.
    fn read(&mut self, read: Read) -> Read {
        if let Some((_, map)) = self.brought.iter().find(|(brought, _)| *brought == read) {
            return all_of(&self.program, *map);
        }
        let map = self.maps[&read.map];
        let norm = read.norm.map(|norm| {
            self.program.maps[map].statistics = true;
            *self.norms.entry(norm).or_insert_with(|| {
                self.program.norms.push(Norm { map, ..self.cut.whole.norms[norm] });
                self.program.norms.len() - 1
            })
        });
        Read { map, norm, ..read }
    }
}
