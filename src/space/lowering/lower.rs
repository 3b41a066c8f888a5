//! Lowering: from a declared space to a [`Network`] with every label, width, stride and size
//! decided.

use super::edge_options::EdgeOptions;
use super::plan::{self, Planned, PlannedBlock};
use crate::space::genotype::Genotype;
use crate::space::language::hint::did_you_mean;
use crate::space::language::skeleton::{Body, LARGEST_SIDE, LARGEST_SIZE, Lattice, MOST_SCORES, Skeleton};
use crate::space::network::{Auxiliary, Block, Chain, FeatureMap, Head, Network, Node, OUTPUT, OutputSpec};
use crate::space::primitives::{
    options::Phase,
    place::{MOST_CHANNELS, Place, Surroundings},
    steps::Steps,
};
use crate::space::{Space, SpaceError};
use std::collections::BTreeSet;

/// What a network is built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Name of one of the space's skeletons.
    pub skeleton: String,
    /// Width of the first cell; the skeleton's own where `None`.
    pub channels: Option<usize>,
    /// Number of cells, in all or a segment as the skeleton counts them; the skeleton's own where
    /// `None`.
    pub size: Option<usize>,
    /// What is asked of its heads.
    pub outputs: Vec<OutputSpec>,
    /// One image.
    pub input: FeatureMap,
    /// With the auxiliary head; the skeleton must have one.
    pub auxiliary: bool,
    /// Of a supernet.
    pub edges: EdgeOptions,
}

impl Space {
    /// The network of all candidates.
    ///
    /// # Errors
    /// Where the space cannot be built in that size.
    pub fn supernet(&self, build: &Build) -> Result<Network, SpaceError> {
        Lowering::new(self, None, build)?.network()
    }

    /// Whether a skeleton can be built for what is asked of it, as far as no genotype decides that:
    /// stems, the widths and sides of cells, heads, the labels of all of them.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn check_skeleton(&self, build: &Build) -> Result<(), SpaceError> {
        let surroundings = Surroundings::new(Phase::Final);
        Lowering { bare: true, surroundings, ..Lowering::new(self, None, build)? }.network().map(drop)
    }

    /// What the heads of a skeleton, built so, are to be asked for where nobody says it: what
    /// `build` asks of its first, or what a head gives whatever is asked of it, as an image.
    pub fn outputs(&self, build: &Build) -> Vec<OutputSpec> {
        let heads = self.skeletons.get(&build.skeleton).into_iter().flat_map(|skeleton| skeleton.heads.keys());
        let asked = build.outputs.first().map(|output| output.size);
        let outputs = heads.zip(asked.into_iter().cycle()).map(|(name, size)| OutputSpec { name: name.clone(), size });
        let mut build = Build { outputs: outputs.collect(), ..build.clone() };
        // Heads are lowered in their order: what is wrong with one is found once those before it fit.
        for head in 0..build.outputs.len() {
            if let Err(SpaceError::Shape { place, found, .. }) = self.check_skeleton(&build)
                && place == head_place(&build.outputs[head].name)
            {
                build.outputs[head].size = found;
            }
        }
        build.outputs
    }

    /// The network of one genotype.
    ///
    /// # Errors
    /// Where the genotype is not of this space, or cannot be built in that size.
    pub fn discrete(&self, genotype: &Genotype, build: &Build) -> Result<Network, SpaceError> {
        genotype.check(self).map_err(|source| SpaceError::Genotype { space: self.name.clone(), source })?;
        Lowering::new(self, Some(genotype), build)?.network()
    }
}

/// What a head is called.
fn head_place(output: &str) -> String {
    if output == OUTPUT { "head".to_owned() } else { format!("{output} head") }
}

pub(super) struct Lowering<'a> {
    pub space: &'a Space,
    skeleton: &'a Skeleton,
    /// Absent in a supernet.
    pub genotype: Option<&'a Genotype>,
    pub build: &'a Build,
    pub channels: usize,
    pub size: usize,
    /// Without operations on edges.
    pub bare: bool,
    surroundings: Surroundings,
}

/// A cell's place and sizes.
#[derive(Clone, Copy)]
pub(super) struct CellGeometry<'a> {
    pub label: &'a str,
    /// Of the edges that leave inputs.
    pub stride: usize,
    /// The map of an adapted input.
    pub inner: FeatureMap,
    /// The map of a node.
    pub size: FeatureMap,
    pub inputs: usize,
    pub nodes: &'a [Node],
    /// Whether it is of a part of a cell's channels.
    pub is_part: bool,
}

impl<'a> Lowering<'a> {
    fn new(space: &'a Space, genotype: Option<&'a Genotype>, build: &'a Build) -> Result<Self, SpaceError> {
        let skeleton = space.skeletons.get(&build.skeleton).ok_or_else(|| SpaceError::UnknownSkeleton {
            space: space.name.clone(),
            skeleton: build.skeleton.clone(),
            hint: did_you_mean(&build.skeleton, space.skeleton_names(), "the skeletons are"),
        })?;
        if build.auxiliary && skeleton.auxiliary.is_none() {
            return Err(SpaceError::NoAuxiliary { skeleton: build.skeleton.clone() });
        }
        let channels = build.channels.unwrap_or(skeleton.defaults.channels);
        let size = build.size.unwrap_or(skeleton.defaults.size);
        let outputs = build.outputs.iter().map(|output| output.size).flat_map(|size| {
            let sides =
                [size.height, size.width].map(|side| (["pixel to put out", "pixels to put out"], side, LARGEST_SIDE));
            [(["number to put out", "numbers to put out"], size.channels, MOST_SCORES)].into_iter().chain(sides)
        });
        let counts = [
            (["channel", "channels"], channels, MOST_CHANNELS),
            (["cell", "cells"], size, LARGEST_SIZE),
            (["input channel", "input channels"], build.input.channels, MOST_CHANNELS),
            (["pixel row", "pixel rows"], build.input.height, LARGEST_SIDE),
            (["pixel column", "pixel columns"], build.input.width, LARGEST_SIDE),
        ];
        for ([one, many], found, most) in counts.into_iter().chain(outputs) {
            match found {
                0 => return Err(SpaceError::Nothing { what: one }),
                _ if found > most => return Err(SpaceError::TooMany { what: many, most, found }),
                _ => {}
            }
        }
        if let Some(lattice) = skeleton.body.lattice().filter(|_| genotype.is_none()) {
            let most = lattice.largest();
            if size > most {
                return Err(SpaceError::TooMany { what: "cells in a lattice", most, found: size });
            }
            if let Some(what) = build.edges.beside_candidates() {
                return Err(SpaceError::LatticeEdges { skeleton: build.skeleton.clone(), what });
            }
        }
        let asked: BTreeSet<&str> = build.outputs.iter().map(|output| output.name.as_str()).collect();
        let found: BTreeSet<&str> = skeleton.heads.keys().map(String::as_str).collect();
        if asked != found || asked.len() < build.outputs.len() {
            let listed = |names: BTreeSet<&str>| names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let [found, asked] = [found, asked].map(|names| listed(names).join(" and "));
            return Err(SpaceError::Outputs { skeleton: build.skeleton.clone(), found, asked });
        }
        let phase = if genotype.is_none() { Phase::Search } else { Phase::Final };
        let surroundings = Surroundings::new(phase);
        Ok(Self { space, skeleton, genotype, build, channels, size, bare: false, surroundings })
    }

    fn network(&self) -> Result<Network, SpaceError> {
        let mut states = Vec::new();
        let mut newest = self.build.input;
        let mut stems = Vec::new();
        for stem in &self.skeleton.stems {
            let stem = self.chain(stem, "", self.channels, newest);
            let (chain, output) = stem.map_err(|error| error.in_chain("stem"))?;
            stems.push(chain);
            states.push(output);
            newest = output;
        }
        let mut width = self.channels;
        let mut blocks = Vec::new();
        let mut last_transition = 0;
        for (position, planned) in self.plan()?.into_iter().enumerate() {
            let Planned { block, label, behind, is_transition, .. } = planned;
            if is_transition {
                last_transition = position;
            }
            width = planned.width;
            if width > MOST_CHANNELS {
                return Err(SpaceError::TooMany { what: "channels", most: MOST_CHANNELS, found: width });
            }
            let read = behind.map_or(stems.len() - 1, |block| stems.len() + block);
            let block = match block {
                PlannedBlock::Cell { kind, place, chosen } => {
                    self.cell((kind, place, chosen), &label, width, &states[..=read])?
                }
                PlannedBlock::Fixed(name) => {
                    let (chain, output) = self.chain(&self.space.blocks[name], &label, width, states[read])?;
                    (Block::Fixed { reads: read, chain }, output)
                }
            };
            newest = block.1;
            blocks.push(block);
            states.push(newest);
        }
        let alphas = self.alpha_tables();
        let exit = self.exit(&alphas, &states, stems.len())?;
        if let Some(exit) = &exit {
            newest = states[exit.states[0]];
        }
        let auxiliary = match &self.skeleton.auxiliary {
            Some(auxiliary) if self.build.auxiliary => {
                // It learns the same as the first head.
                let (input, needed) = (blocks[last_transition].1, self.build.outputs[0].size);
                let head = self.head(&auxiliary.steps, "auxiliary head", width, input, needed)?;
                Some(Auxiliary { after: last_transition, in_place: auxiliary.in_place, head })
            }
            _ => None,
        };
        let trunk = self.chain(&self.skeleton.trunk, "", width, newest);
        let (trunk, features) = trunk.map_err(|error| error.in_chain("trunk"))?;
        let outputs = self.build.outputs.iter();
        let heads = outputs.map(|output| {
            let (steps, place) = (&self.skeleton.heads[&output.name], head_place(&output.name));
            let chain = self.head(steps, &place, width, features, output.size)?;
            Ok(Head { output: output.clone(), chain })
        });
        let network = Network {
            input: self.build.input,
            stems,
            blocks: blocks.into_iter().map(|(block, _)| block).collect(),
            exit,
            trunk,
            heads: heads.collect::<Result<_, SpaceError>>()?,
            auxiliary,
            widths: self.widths(&alphas),
            alphas,
            norms: self.space.norms,
        };
        network.check_widths()?;
        match network.duplicate_tensor() {
            Some(name) => Err(SpaceError::DuplicateTensor { name }),
            None => Ok(network),
        }
    }

    /// A head that gives what is needed.
    fn head(
        &self,
        steps: &Steps,
        place: &str,
        channels: usize,
        input: FeatureMap,
        needed: FeatureMap,
    ) -> Result<Chain, SpaceError> {
        let asked = Place { asked: Some(needed.channels), ..self.place("", channels, 1) };
        let (chain, found) = steps.lower(&asked, input).map_err(|error| error.in_chain(place))?;
        let place = place.to_owned();
        if found == needed { Ok(chain) } else { Err(SpaceError::Shape { place, found, needed }) }
    }

    /// The chain under `prefix`, read where C is `channels`, and the map that it ends in.
    pub fn chain(
        &self,
        steps: &Steps,
        prefix: &str,
        channels: usize,
        input: FeatureMap,
    ) -> Result<(Chain, FeatureMap), SpaceError> {
        steps.lower(&self.place(prefix, channels, 1), input)
    }

    /// Where a chain stands: what it is called, the width C there and the stride of its edge.
    pub fn place<'b>(&'b self, prefix: &'b str, channels: usize, stride: usize) -> Place<'b> {
        Place::new(&self.surroundings, prefix, channels, stride)
    }

    fn plan(&self) -> Result<Vec<Planned<'a>>, SpaceError> {
        let (channels, labels) = (self.channels, &self.space.labels);
        Ok(match (&self.skeleton.body, self.genotype) {
            (Body::Segments(segments), _) => plan::of_segments(segments, self.size, channels, labels)?,
            (Body::Lattice(lattice), None) => plan::of_lattice(lattice, self.size, channels, labels),
            (Body::Lattice(lattice), Some(genotype)) => plan::of_path(lattice, &genotype.path, channels, labels),
        })
    }

    pub(super) fn lattice(&self) -> Option<&'a Lattice> {
        self.skeleton.body.lattice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use crate::space::network::{AlphaRows, Cell, CellOutput, LayerKind};
    use crate::space::shipped::{self, build, genotype, space};

    fn cells(network: &Network) -> Vec<&Cell> {
        fn cell(block: &Block) -> Option<&Cell> {
            match block {
                Block::Cell(cell) => Some(cell),
                Block::Fixed { .. } => None,
            }
        }
        network.blocks.iter().filter_map(cell).collect()
    }

    /// What is wrong whatever the genotype is known before there is one.
    #[test]
    fn a_skeleton_is_checked_without_a_genotype() {
        let text = std::fs::read_to_string(crate::space::shipped::path("nas_bench_201.yaml")).unwrap();
        let space = |head: &str| {
            let known =
                "head: [{label: lastact, steps: [batch_norm, relu]}, global_avg_pool, {linear: {label: classifier}}]";
            Space::parse(&crate::space::shipped::path("t.yaml"), edited(&text, &[(known, head)])).unwrap()
        };
        let said = |head: &str| space(head).check_skeleton(&build("final", 32, 10)).map_err(|error| error.to_string());
        assert_eq!(said("head: [global_avg_pool, {linear: {when: final}}]"), Ok(()));
        for (head, expected) in [
            ("head: [global_avg_pool, {linear: {out: 5}}]", "`head`: gives 5x1x1, needed is 10x1x1"),
            (
                "head: [{pixel_shuffle: {by: 3}}, linear]",
                "`head, step 0`: `pixel_shuffle` by 3 needs a multiple of 3 times 3 channels, found 64",
            ),
            ("heads: {logits: [linear]}", "skeleton `final` puts out `logits`, asked is `output`"),
            ("head: [{linear: {label: a}}, relu, {linear: {label: a}}]", "`a`"),
        ] {
            let error = said(head).unwrap_err();
            assert!(error.contains(expected), "{head}: {error}");
        }
    }

    #[test]
    fn a_lattice_beyond_what_can_be_built_is_refused_before_it_is() {
        let of_images = || shipped::build_for_images("search", 8, 4);
        let said = |build: Build| space("trilevel_sr").supernet(&build).unwrap_err().to_string();
        let large = Build { size: Some(256), ..of_images() };
        assert_eq!(said(large), "a network can have 26 cells in a lattice at most, found 256");
        let edges = EdgeOptions { edge_normalisation: true, ..EdgeOptions::default() };
        let said = said(Build { edges, ..of_images() });
        assert_eq!(said, "skeleton `search` is a lattice and has no edge normalisation");
    }

    #[test]
    fn a_head_is_asked_for_what_it_gives() {
        let image = FeatureMap { channels: 3, height: 32, width: 32 };
        let outputs = |name: &str, skeleton| space(name).outputs(&build(skeleton, 8, 7));
        assert_eq!(outputs("trilevel_sr", "final"), [OutputSpec { name: "image".to_owned(), size: image }]);
        assert_eq!(outputs("nas_bench_201", "final"), OutputSpec::scores(7));
        assert!(outputs("nas_bench_201", "finale").is_empty());
    }

    #[test]
    fn reductions_stand_at_thirds_and_double_the_width() {
        let network = space("darts").supernet(&build("search", 32, 10)).unwrap();
        let cells = cells(&network);
        let kinds: Vec<(usize, usize, bool)> =
            cells.iter().map(|cell| (cell.size.channels, cell.size.height, cell.kind == "reduce")).collect();
        let (n, r) = (false, true);
        let expected =
            [(16, 32, n), (16, 32, n), (32, 16, r), (32, 16, n), (32, 16, n), (64, 8, r), (64, 8, n), (64, 8, n)];
        assert_eq!(kinds, expected);
        // Behind a reduction the older input is larger.
        let reduces = |chain: &Chain| chain.layers.iter().any(|l| matches!(l.kind, LayerKind::FactorizedReduce { .. }));
        let adapted: Vec<bool> = cells.iter().map(|cell| reduces(&cell.inputs[0])).collect();
        assert_eq!(adapted, [n, n, n, r, n, n, r, n]);
        assert!(cells.iter().all(|cell| !reduces(&cell.inputs[1])));
        assert_eq!(cells[2].edges[2].candidates[3].chain.layers.len(), 3, "skip of stride 2 from input 0 to node 3");
        assert_eq!(cells[2].alphas, Some(AlphaRows { table: 1, first: 0 }));
    }

    #[test]
    fn tiny_networks_put_reductions_where_the_reference_does() {
        let kinds = |size| {
            let network = space("darts").supernet(&Build { size: Some(size), ..build("search", 32, 10) }).unwrap();
            cells(&network).iter().map(|cell| cell.kind.chars().next().unwrap()).collect::<String>()
        };
        assert_eq!([1, 2, 3, 4].map(kinds), ["r", "rr", "nrr", "nrrn"]);
    }

    #[test]
    fn nas_bench_201_has_residual_blocks_between_segments() {
        let network = space("nas_bench_201").supernet(&build("search", 32, 10)).unwrap();
        let fixed: Vec<usize> =
            (0..network.blocks.len()).filter(|&at| matches!(network.blocks[at], Block::Fixed { .. })).collect();
        assert_eq!((network.blocks.len(), fixed), (17, vec![5, 11]));
        let last = cells(&network)[14];
        assert_eq!(
            (last.size, &last.output),
            (FeatureMap { channels: 64, height: 8, width: 8 }, &CellOutput::Sum(vec![3]))
        );
        assert!(last.inputs[0].layers.is_empty());
        let edge = &last.edges[0];
        assert!(edge.candidates[0].is_zero());
        assert!(edge.candidates[1].chain.layers.iter().all(|layer| layer.kind == LayerKind::Identity));
    }

    #[test]
    fn the_imagenet_stem_makes_the_first_input_the_larger() {
        let space = space("darts");
        let network = space.discrete(&genotype("darts_v1", &space), &build("imagenet", 224, 1000)).unwrap();
        let first = cells(&network)[0];
        assert_eq!(first.inputs[0].layers[0].input.height, 56);
        assert_eq!(first.inputs[1].layers[0].input.height, 28);
        let choices: Vec<(usize, usize)> = first.edges.iter().take(4).map(|edge| (edge.source, edge.target)).collect();
        assert_eq!(choices, [(1, 2), (0, 2), (0, 3), (1, 3)]);
    }

    #[test]
    fn what_cannot_be_built_is_an_error_with_its_place() {
        let darts = space("darts");
        let said = |build: &Build| darts.supernet(build).unwrap_err().to_string();
        let unknown = darts.supernet(&build("serch", 32, 10)).unwrap_err();
        assert_eq!(unknown.to_string(), "no skeleton `serch` in search space `darts`");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean `search`?"));
        assert_eq!(
            said(&build("search", 2, 10)),
            "`cells.5._ops.0._ops.3`: `factorized_reduce` needs even sides, found 1x1"
        );
        assert_eq!(
            said(&build("search", 30, 10)),
            "`cells.5._ops.0._ops.3`: `factorized_reduce` needs even sides, found 15x15"
        );
        assert_eq!(said(&build("search", 0, 10)), "a network needs at least one pixel row");
        assert_eq!(said(&build("search", 32, 0)), "a network needs at least one number to put out");
        assert_eq!(said(&Build { size: Some(0), ..build("search", 32, 10) }), "a network needs at least one cell");
        assert_eq!(
            said(&Build { auxiliary: true, ..build("search", 32, 10) }),
            "skeleton `search` has no auxiliary head"
        );
        assert_eq!(
            said(&Build { channels: Some(99_999), ..build("search", 32, 10) }),
            "a network can have 16384 channels at most, found 99999"
        );
        assert_eq!(
            said(&Build { channels: Some(3), ..build("imagenet", 224, 10) }),
            "`stem0.0`: width `C/2` is no usable number of channels where C is 3"
        );
        let small = Build { auxiliary: true, ..build("cifar", 16, 10) };
        assert_eq!(
            darts.discrete(&genotype("darts_v2", &darts), &small).unwrap_err().to_string(),
            "`auxiliary_head.features.1`: a window of [5, 5] does not fit on a 4x4 map: the input is too small"
        );
        let bench = space("nas_bench_201");
        assert_eq!(
            bench.supernet(&build("search", 2, 10)).unwrap_err().to_string(),
            "`cells.11.downsample.0`: a window of [2, 2] does not fit on a 1x1 map: the input is too small"
        );
    }
}
