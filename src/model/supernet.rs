//! A whole network: every candidate of every edge in a supernet, the chosen ones in a discrete
//! network.

use super::{
    AUXILIARY, Computed, DropPath, Forward, Layout, Mode, Outputs, Passed, Portion, TensorGroup, Views,
    edge_weights::scored_weights,
    forward::statistics_after,
    fused::Programs,
    mixed_edge::mixed,
    narrow::Narrow,
    noise::Noise,
    tensor_group::largest_of_rows,
    variants::{Variant, Variants, Varied},
};
use crate::{
    kernels::{Kernels, OperatorTime, Precision},
    space::{
        SpaceError,
        network::{AlphaRows, AlphaTable, Block, Cell, CellOutput, Edge, Network},
    },
};
use burn::tensor::{Device, Tensor, activation};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// A lowered network and the operators that compute it.
#[derive(Debug, Clone)]
pub struct Model {
    network: Network,
    kernels: Kernels,
    programs: Programs,
    noise: Noise,
    variants: Arc<Mutex<Variants>>,
}

impl Model {
    pub fn new(network: Network, kernels: Kernels) -> Self {
        let (programs, noise, variants) = (Programs::default(), Noise::default(), Arc::default());
        Self { network, kernels, programs, noise, variants }
    }

    /// The same, and its operators are timed while it trains: [`times`](Self::times).
    pub fn timed(network: Network, kernels: Kernels) -> Self {
        Self { programs: Programs::timed(), ..Self::new(network, kernels) }
    }

    /// The same with feature maps of that precision, on a device that [has
    /// it](super::DeviceName::has).
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { programs: self.programs.in_precision(precision), variants: Arc::default(), ..self }
    }

    /// The same with more layers between programs than those that must be.
    #[cfg(test)]
    pub(super) fn with_layers_alone(self, alone: super::lower::StandsAlone) -> Self {
        Self { programs: self.programs.with_layers_alone(alone), variants: Arc::default(), ..self }
    }

    /// Forgets the times so far.
    pub fn reset_times(&self) {
        self.programs.reset_times();
    }

    /// How long each kind of operator took in one of `passes` training passes on `images` images.
    /// `None` of a model that is not [`timed`](Self::timed), or that has not run as a program.
    pub fn times(&self, images: usize, passes: usize) -> Option<Vec<OperatorTime>> {
        self.programs.times(images, passes)
    }

    /// Another network, computed as this one is.
    #[must_use]
    pub fn like(&self, network: Network) -> Self {
        Self::new(network, self.kernels).in_precision(self.programs.precision())
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where the candidates of each edge lie in the numbers of its alpha table, table by table,
    /// with the tables' labels.
    pub fn edges(&self) -> Vec<(&str, Vec<Range<usize>>)> {
        self.network.alphas.iter().map(|table| (table.label.as_str(), table.edges().collect())).collect()
    }

    /// The width that each node has by these mixing weights, where nodes choose theirs; waits for the
    /// device.
    pub fn drawn_widths(&self, mixing: &[Tensor<2>]) -> Option<Vec<usize>> {
        let widths = self.network.widths.as_ref()?;
        Some(largest_of_rows(mixing[widths.table].clone()))
    }

    /// What noise is drawn from, where the network has some.
    pub fn seed_noise(&mut self, seed: u64) {
        self.noise = Noise::new(seed);
    }

    /// Begins a stream of noise, of which no two have one number: what its passes draw is a function
    /// of the seed, this number and the count of passes since.
    pub fn begin_noise_stream(&mut self, stream: u64) {
        self.noise.begin(stream);
    }

    /// A variant of the network, whose weights lie as `weights` says, with its programs.
    ///
    /// # Errors
    /// Where the network cannot be so.
    fn varied(&self, variant: Variant, weights: Option<&Layout>) -> Result<Arc<Varied>, SpaceError> {
        let mut variants = self.variants.lock().unwrap_or_else(PoisonError::into_inner);
        variants.get_or_make(variant, |Variant { sides, training, widths }| {
            let mut network = self.network.resized(*sides, *training)?;
            let mut narrow = None;
            if let Some((choices, weights)) = widths.as_ref().zip(weights) {
                network = network.narrowed(choices)?;
                narrow = Some(Narrow::new(&network, weights));
            }
            Ok(Varied { network, programs: self.programs.anew(), narrow })
        })
    }

    /// Whether the network can read images of `[height, width]`, to train on them or not.
    ///
    /// # Errors
    /// Which layer cannot.
    pub fn check_images(&self, sides: [usize; 2], training: bool) -> Result<(), SpaceError> {
        self.varied(Variant { sides, training, widths: None }, None).map(drop)
    }

    /// Whether the network runs as a program on this device.
    fn has_program(&self, device: &Device) -> bool {
        self.kernels.has_programs(device)
    }

    /// The weights as leaves of a new autodiff graph, in the form that a pass on their device
    /// wants.
    pub fn leaves(&self, weights: &TensorGroup) -> Views {
        if !self.has_program(&weights.values().device()) {
            return weights.leaves();
        }
        let stands_alone = self.programs.stands_alone();
        let alone = self.network.tensors_of(|layer| stands_alone(&layer.kind));
        weights.leaf(alone.iter().filter(|tensor| tensor.role.is_learned()).map(|tensor| tensor.name.as_str()))
    }

    /// One pass. Where the device has programs, the network runs as one; else layer by layer.
    ///
    /// `weights` may be tracked, as [`leaves`](Self::leaves); then `x` and `mixing` must be on an
    /// autodiff device too. `mixing` holds the mixing weights of each alpha table, as
    /// [`edge_weights`](super::edge_weights) gives them; it is empty for a discrete network.
    ///
    /// # Shapes
    /// `x`: `[batch, channels, height, width]`, of any sides that [`check_images`](Self::check_images)
    /// finds no fault with
    ///
    /// # Panics
    /// Where it finds one.
    pub fn forward(
        &self,
        mode: Mode,
        weights: &Views,
        running: &TensorGroup,
        mixing: &[Tensor<2>],
        x: Tensor<4>,
    ) -> Passed {
        self.forward_of(mode, Portion::default(), weights, running, mixing, x)
    }

    /// The same of a portion of the network alone.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_of(
        &self,
        mode: Mode,
        Portion { computed, widths, scored }: Portion<'_>,
        weights: &Views,
        running: &TensorGroup,
        mixing: &[Tensor<2>],
        x: Tensor<4>,
    ) -> Passed {
        let [_, _, height, width] = x.dims();
        let (varied, narrow, with_scores);
        let (mut network, mut programs, mut weights, mut mixing) = (&self.network, &self.programs, weights, mixing);
        if widths.is_some() || [height, width] != [network.input.height, network.input.width] {
            let variant = Variant {
                sides: [height, width],
                training: mode != Mode::Evaluate,
                widths: widths.map(<[usize]>::to_vec),
            };
            varied = self.varied(variant, Some(weights.layout())).expect("sides and widths that were checked");
            (network, programs) = (&varied.network, &varied.programs);
            if let Some(part) = &varied.narrow {
                narrow = part.views(weights);
                weights = &narrow;
            }
        }
        if scored {
            with_scores = scored_weights(&network.alphas, mixing);
            mixing = &with_scores;
        }
        if self.has_program(&x.device()) {
            let draws = self.noise.next_pass();
            return programs.forward(network, (mode, draws, computed), weights, running, mixing, x);
        }
        self.layer_by_layer(network, (mode, computed), weights, running, mixing, x)
    }

    fn layer_by_layer(
        &self,
        network: &Network,
        (mode, computed): (Mode, Option<&Computed>),
        weights: &Views,
        running: &TensorGroup,
        mixing: &[Tensor<2>],
        x: Tensor<4>,
    ) -> Passed {
        let views = running.views();
        let (training, drop_path) = match mode {
            Mode::Train { drop_path } => (true, drop_path),
            Mode::Evaluate => (false, None),
        };
        let forward = Forward::new((mode, network.norms), weights, &views, self.noise.next_pass());
        let mixing: Vec<Scalars> = mixing.iter().map(scalars).collect();
        let mut newest = x;
        let mut states: Vec<Tensor<4>> = Vec::with_capacity(network.stems.len() + network.blocks.len());
        for stem in &network.stems {
            newest = forward.chain(stem, newest);
            states.push(newest.clone());
        }
        let mut auxiliary = None;
        for (at, block) in network.blocks.iter().enumerate() {
            newest = match block {
                Block::Cell(cell) => {
                    let dropping = drop_path.map(|drop_path| (drop_path, at));
                    let tables = (network.alphas.as_slice(), mixing.as_slice(), computed);
                    state_of(&forward, cell, tables, dropping, &states)
                }
                Block::Fixed { reads, chain } => forward.chain(chain, states[*reads].clone()),
            };
            if let Some(head) = network.auxiliary.as_ref().filter(|head| head.after == at && training) {
                if head.in_place {
                    newest = activation::relu(newest);
                }
                auxiliary = Some((AUXILIARY.to_owned(), forward.chain(&head.head, newest.clone())));
            }
            states.push(newest.clone());
        }
        if let Some(exit) = &network.exit {
            let terms = exit.states.iter().zip(&mixing[exit.table][0]);
            let terms = terms.map(|(&state, weight)| states[state].clone() * weight.clone());
            newest = terms.reduce(|sum, term| sum + term).unwrap_or(newest);
        }
        let trunk = forward.chain(&network.trunk, newest);
        let heads = network.heads.iter();
        let outputs = heads.map(|head| (head.output.name.clone(), forward.chain(&head.chain, trunk.clone())));
        let outputs = Outputs::new(outputs.chain(auxiliary));
        let running = match training {
            true => statistics_after(running.values(), forward.observed_over(running.values())),
            false => running.values(),
        };
        Passed { outputs, running }
    }
}

/// The state that a cell gives. `dropping` has the number of the block beside what is dropped.
fn state_of(
    forward: &Forward<'_>,
    cell: &Cell,
    (tables, mixing, computed): (&[AlphaTable], &[Scalars], Option<&Computed>),
    dropping: Option<(DropPath, usize)>,
    given: &[Tensor<4>],
) -> Tensor<4> {
    let inputs = cell.inputs.iter().zip(&cell.reads);
    let mut states: Vec<Tensor<4>> =
        inputs.map(|(adapter, &state)| forward.chain(adapter, given[state].clone())).collect();
    let (batch, device) = (states[0].dims()[0], states[0].device());
    for node in 0..cell.nodes.len() {
        let (target, size) = (cell.inputs.len() + node, cell.node_size(node));
        let incoming = cell.edges.iter().enumerate().filter(|(_, edge)| edge.target == target);
        let sum = incoming
            .filter_map(|(row, edge)| {
                let source = &states[edge.source];
                match cell.alphas {
                    Some(AlphaRows { table, first }) => {
                        let row = first + row;
                        let computed = computed.map(|computed| (computed, table, row));
                        mixed(forward, edge, (&tables[table], computed), &mixing[table][row], size, source)
                    }
                    None => chosen(forward, edge, dropping.map(|(drop_path, block)| (drop_path, block, row)), source),
                }
            })
            .reduce(|sum, term| sum + term);
        // Nothing arrives where every edge chose `none`.
        let sum = sum.unwrap_or_else(|| Tensor::zeros([batch, size.channels, size.height, size.width], &device));
        states.push(forward.chain(&cell.nodes[node].then, sum));
    }
    let pick = |chosen: &[usize]| chosen.iter().map(|&state| states[state].clone()).collect::<Vec<_>>();
    let output = match &cell.output {
        CellOutput::Concat(chosen) => Tensor::cat(pick(chosen), 1),
        CellOutput::Sum(chosen) => {
            pick(chosen).into_iter().reduce(|sum, term| sum + term).expect("a cell's output names a state")
        }
        CellOutput::Residual { state, scale, plus } => {
            states[*state].clone().mul_scalar(*scale) + states[*plus].clone()
        }
    };
    forward.chain(&cell.then, output)
}

/// The operation of an edge of a discrete network; `None` where it contributes nothing. `dropping`
/// has the edge's place, block and row, beside what is dropped.
fn chosen(
    forward: &Forward<'_>,
    edge: &Edge,
    dropping: Option<(DropPath, usize, usize)>,
    x: &Tensor<4>,
) -> Option<Tensor<4>> {
    let candidate = edge.candidates.first().filter(|candidate| !candidate.is_zero())?;
    let output = forward.chain(&candidate.chain, x.clone());
    Some(match dropping {
        Some((drop_path, block, row)) if !candidate.is_identity() => {
            let mask = drop_path.mask(block, row, output.dims()[0], &output.device());
            output * mask
        }
        _ => output,
    })
}

/// Each mixing weight as a `[1, 1, 1, 1]` tensor, by edge and candidate.
type Scalars = Vec<Vec<Tensor<4>>>;

fn scalars(table: &Tensor<2>) -> Scalars {
    let [edges, candidates] = table.dims();
    let at = |edge: usize, candidate: usize| {
        table.clone().slice([edge..edge + 1, candidate..candidate + 1]).reshape([1, 1, 1, 1])
    };
    (0..edges).map(|edge| (0..candidates).map(|candidate| at(edge, candidate)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{OUTPUT, host, initial_running, initial_weights, tiny::noise},
        space::{Build, shipped},
    };

    /// Its programs are cut where maps grow, at a depth of its own for each map.
    #[test]
    fn a_lattice_whose_maps_grow_is_its_layers_in_value_and_gradient() {
        let (space, device) = (shipped::space("trilevel_sr_nearest"), Device::flex());
        let build = Build { channels: Some(4), size: Some(1), ..shipped::build_for_images("search", 3, 4) };
        let network = space.supernet(&build).unwrap();
        // Of one further cell and two steps.
        let exit = network.exit.as_ref().unwrap();
        assert_eq!(network.alphas[exit.table].candidates, [["uuc", "ucu", "cuu"]]);
        assert_eq!((network.blocks.len(), exit.states.as_slice(), exit.ends.len()), (9, &[4, 6, 9][..], 0));
        let (weights, running) = (initial_weights(&network, 0, &device), initial_running(&network, &device));
        let x: Tensor<4> = noise(0, [2, 3, 3, 3], &device);
        let found = [Kernels::Native, Kernels::Reference].map(|kernels| {
            let model = Model::new(network.clone(), kernels);
            let (leaves, mut mixing) = (model.leaves(&weights), Vec::new());
            for (at, table) in network.alphas.iter().enumerate() {
                let numbers: Tensor<2> = noise(at as u64, [table.rows(), table.columns()], &device);
                mixing.push(numbers.autodiff().require_grad());
            }
            let mode = Mode::Train { drop_path: None };
            let passed = model.forward(mode, &leaves, &running, &mixing, x.clone().autodiff());
            let image = passed.outputs.get("image").cloned().unwrap();
            assert_eq!(image.dims(), [2, 3, 12, 12]);
            let gradients = (image.clone() * image.clone()).sum().backward();
            let of_paths = mixing[exit.table].grad(&gradients).unwrap();
            [host(image.inner()), host(weights.gradient(&leaves, &gradients)), host(of_paths)]
        });
        for (one, other) in found[0].iter().zip(&found[1]) {
            let length = one.iter().map(|x| x.powi(2)).sum::<f32>().sqrt();
            let apart = one.iter().zip(other).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt();
            assert!(length > 0.0 && apart < 1e-4 * length, "{apart} of {length}");
        }
    }

    /// The reference's head begins with `ReLU(inplace=True)`: where it stands on the last cell, the
    /// classifier of a training pass reads the cell's output without its negative part.
    #[test]
    fn an_auxiliary_head_in_place_changes_what_the_classifier_reads_behind_the_last_cell_and_nothing_else() {
        let (space, device) = (shipped::space("darts"), Device::flex());
        let genotype = shipped::genotype("darts_v2", &space);
        for (cells, differs) in [(3, true), (4, false)] {
            let sizes =
                Build { channels: Some(2), size: Some(cells), auxiliary: true, ..shipped::build("cifar", 32, 3) };
            let network = space.discrete(&genotype, &sizes).unwrap();
            let (weights, running) = (initial_weights(&network, 0, &device), initial_running(&network, &device));
            let x: Tensor<4> = noise(0, [2, 3, 32, 32], &device);
            let pass = |mode, in_place| {
                let mut network = network.clone();
                let head = network.auxiliary.as_mut().unwrap();
                assert!(head.in_place, "as the space says");
                head.in_place = in_place;
                let model = Model::new(network, Kernels::Native);
                let output = model.forward(mode, &weights.views(), &running, &[], x.clone());
                (host(output.outputs.scores(OUTPUT)), output.outputs.get(AUXILIARY).cloned().map(host))
            };
            let train = Mode::Train { drop_path: None };
            let (with, without) = (pass(train, true), pass(train, false));
            assert_eq!(with.0 != without.0, differs, "{cells} cells");
            assert_eq!(with.1, without.1, "the head itself reads the same");
            assert_eq!(pass(Mode::Evaluate, true), pass(Mode::Evaluate, false));
        }
    }
}
