//! Replays a golden file of a network that makes pictures: a lattice's supernet at full or at drawn
//! widths, steps of its search, a network derived from it; or one made by hand. The loss is the mean
//! absolute error.

use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{GRADIENT_TOLERANCE, LOGIT_TOLERANCE, Measure, Part, one},
    roundings::Roundings,
};
use crate::{
    kernels::Kernels,
    model::{
        Mode, Model, Outputs, Portion, Relaxation, Relaxations, TensorGroup, Views, edge_weights, initial_alphas,
        initial_running, initial_weights,
    },
    space::{
        self, Build, CellGenotype, Choice, EdgeOptions, Genotype, PathStep, Space,
        network::{AlphaTable, FeatureMap, Network, OutputSpec},
    },
    train::{AdamConfig, Optimiser, OptimiserConfig, norm},
};
use burn::tensor::{Device, Tensor, TensorData, activation};
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::Path;

/// What such a file says of its loss.
pub(super) const LOSS: &str = "mean absolute error";
/// The kind of a file of the network that `CONTROL` builds.
const BY_HAND: &str = "hand-made residual network";
const CONTROL: &str = include_str!("../../pipelines/controls/residual_sr.yaml");
/// What the network's output is called.
const IMAGE: &str = "image";
/// Steps of a file of steps, and the rates of its two optimisers.
const STEPS: usize = 3;
const RATES: [f64; 2] = [1e-4, 3e-4];

/// Multiples that widths may have been rounded to where a space rounds to others: files are of small
/// networks.
const FINEST: usize = 1;

/// A file with the one whose tensors it shares.
pub(super) struct PictureFile<'a> {
    golden: &'a GoldenFile,
    /// Where `weights` of the metadata says that tensors are those of another file beside it.
    shared: Option<GoldenFile>,
}

/// A cell of a derived network, as the metadata have it.
#[derive(Deserialize)]
struct WrittenCell {
    ops: Vec<String>,
    /// Of the cell's input, then of each node.
    widths: Vec<usize>,
}

impl<'a> PictureFile<'a> {
    /// # Errors
    /// Where the file that it shares tensors with is missing.
    pub fn open(golden: &'a GoldenFile) -> Result<Self, GoldenError> {
        let shared = golden.text("weights").ok().and_then(|said| {
            let name = said.split("those of ").nth(1)?.split([';', ',', ' ']).next()?;
            Some(golden.path.with_file_name(format!("{name}.safetensors")))
        });
        Ok(Self { golden, shared: shared.map(|path| GoldenFile::open(&path)).transpose()? })
    }

    /// The file, or the one that it shares tensors with.
    fn holding(&self, name: &str) -> &GoldenFile {
        self.shared.as_ref().filter(|_| self.golden.find(name).is_none()).unwrap_or(self.golden)
    }

    fn float(&self, name: &str) -> Result<(&[usize], &[f32]), GoldenError> {
        self.holding(name).float(name)
    }

    /// The network made by hand, or that of the first space with a lattice that has the file's tensors.
    ///
    /// # Errors
    /// Where there is none.
    pub fn network(&self, beside: &Path) -> Result<Network, GoldenError> {
        let (input, picture) = (self.map("batch0.x")?, self.map("batch0.y")?);
        let build = |skeleton: &str, size| -> Result<Build, GoldenError> {
            Ok(Build {
                skeleton: skeleton.to_owned(),
                channels: Some(self.golden.count("channels")?),
                size: Some(size),
                outputs: vec![OutputSpec { name: IMAGE.to_owned(), size: picture }],
                input,
                auxiliary: false,
                edges: EdgeOptions::default(),
            })
        };
        if self.golden.text("kind")? == BY_HAND {
            let space = Space::parse(Path::new("residual_sr.yaml"), CONTROL).expect("a file of this project");
            let genotype = Genotype::parse("|block~0|", &space).expect("the one cell of that space");
            let network = space.discrete(&genotype, &build("final", self.golden.count("blocks")?)?);
            return network.ok().filter(|network| self.fits(network)).ok_or_else(|| {
                self.golden.content(
                    "its tensors are not those of so many residual blocks (`pipelines/controls/residual_sr.yaml`)",
                )
            });
        }
        let path = self.golden.metadata.get("path").and_then(Json::as_str);
        let size = if path.is_some() { 1 } else { self.golden.count("cells")? };
        let channels = self.golden.count("channels")?;
        let spaces = space::all(beside).into_iter().filter_map(|path| Space::read(&path).ok());
        for space in
            spaces.filter(Space::has_lattice).flat_map(|space| [space.clone(), space.rounding_widths_to(FINEST)])
        {
            for skeleton in space.skeleton_names() {
                let build = build(skeleton, size)?;
                let network = match path {
                    None => space.supernet(&build),
                    Some(path) => match self.genotype(path, &space, channels) {
                        Some(genotype) => space.discrete(&genotype, &build),
                        None => continue,
                    },
                };
                if let Ok(network) = network
                    && self.fits(&network)
                {
                    return Ok(network);
                }
            }
        }
        Err(self.golden.content("no space has a lattice with its tensors"))
    }

    fn map(&self, name: &str) -> Result<FeatureMap, GoldenError> {
        match self.float(name)? {
            (&[_, channels, height, width], _) => Ok(FeatureMap { channels, height, width }),
            (shape, _) => Err(self.golden.content(format!("`{name}` has shape {shape:?}, not four sides"))),
        }
    }

    /// The path of the metadata: `ucu` behind the first cell, `c` a cell and any other letter a block.
    /// `None` where the space has no such steps or widths.
    fn genotype(&self, path: &str, space: &Space, channels: usize) -> Option<Genotype> {
        let cells: Vec<WrittenCell> = serde_json::from_value(self.golden.metadata.get("cells")?.clone()).ok()?;
        let mut cells = cells.into_iter();
        let steps = std::iter::once('c').chain(path.chars()).map(|letter| {
            if letter != 'c' {
                return Some(PathStep::Block(space.lattice_block()?.to_owned()));
            }
            let WrittenCell { ops, widths } = cells.next()?;
            let node = |(source, operation)| vec![Choice { operation, source }];
            // The last node is as wide as the cell, and chooses nothing.
            let chosen = widths.get(1..widths.len().checked_sub(1)?)?;
            Some(PathStep::Cell(CellGenotype {
                output: vec![ops.len()],
                nodes: ops.into_iter().enumerate().map(node).collect(),
                widths: chosen.iter().map(|&width| space.width_name(width, channels)).collect::<Option<_>>()?,
            }))
        });
        Some(Genotype { path: steps.collect::<Option<_>>()?, ..Genotype::default() })
    }

    /// Images of a network's sides and as many pictures of its output's.
    fn batch(&self, name: &str, network: &Network, device: &Device) -> Result<[Tensor<4>; 2], GoldenError> {
        let [x, y] = ["x", "y"].map(|side| format!("{name}.{side}"));
        let images = self.float(&x)?.0.first().copied().unwrap_or(0);
        let of = |name: &str, map: FeatureMap| {
            self.holding(name).tensor_of(name, [images, map.channels, map.height, map.width], device)
        };
        Ok([of(&x, network.input)?, of(&y, network.heads[0].output.size)?])
    }

    fn fits(&self, network: &Network) -> bool {
        let has = |name: &str, shape: &[usize]| self.float(name).is_ok_and(|(found, _)| found == shape);
        let widths =
            self.golden.metadata.get("widths").and_then(|said| serde_json::from_value::<Vec<usize>>(said.clone()).ok());
        let same = widths.is_none_or(|said| network.widths.as_ref().is_some_and(|widths| widths.channels == said));
        same && network.tensors().iter().all(|tensor| has(&format!("state.{}", tensor.name), &tensor.shape))
    }

    /// The numbers of a group under a prefix, whatever shape the file gives them; those that the file
    /// lacks stay.
    fn filled(&self, group: &TensorGroup, prefix: &str) -> Result<TensorGroup, GoldenError> {
        let mut numbers = group.to_host();
        for (name, _, range) in group.layout().iter() {
            let name = format!("{prefix}{name}");
            let Ok((_, found)) = self.float(&name) else { continue };
            if found.len() != range.len() {
                let message = format!("`{name}` has {} numbers, the network {}", found.len(), range.len());
                return Err(self.golden.content(message));
            }
            numbers[range].copy_from_slice(found);
        }
        Ok(TensorGroup::from_host(group.layout().clone(), numbers, &group.values().device()))
    }

    /// Computes everything that the file holds, with every number that comes in moved by a rounding if
    /// asked.
    pub(super) fn replay(
        &self,
        network: &Network,
        kernels: Kernels,
        device: &Device,
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let mut weights = self.filled(&initial_weights(network, 0, device), "state.")?;
        let mut alphas = self.filled(&initial_alphas(network, 0.0, 0, device), "alpha.")?;
        let mut batches = Vec::new();
        for at in 0..STEPS {
            let name = format!("batch{at}");
            if at == 0 || self.golden.find(&format!("{name}.x")).is_some() {
                batches.push(self.batch(&name, network, device)?);
            }
        }
        if let Some(roundings) = &mut roundings {
            for group in [&mut weights, &mut alphas] {
                group.set(roundings.moved(group.values()));
            }
            batches.iter_mut().for_each(|batch| batch[0] = roundings.moved(batch[0].clone()));
        }
        let pass = Pass { file: self, model: Model::new(network.clone(), kernels), device };
        if self.golden.find("step0.loss").is_some() {
            pass.steps(weights, alphas, &batches)
        } else {
            pass.once(&weights, &alphas, &batches[0])
        }
    }
}

/// Passes of one network.
struct Pass<'a> {
    file: &'a PictureFile<'a>,
    model: Model,
    device: &'a Device,
}

/// What a pass comes to.
struct Found {
    loss: Tensor<1>,
    outputs: Outputs,
    weights: Tensor<1>,
    alphas: Tensor<1>,
}

impl Pass<'_> {
    fn once(
        &self,
        weights: &TensorGroup,
        alphas: &TensorGroup,
        batch: &[Tensor<4>; 2],
    ) -> Result<Vec<Part>, GoldenError> {
        let drawn = self.file.golden.find("gumbel").is_some().then(|| self.drawn(alphas)).transpose()?;
        let found =
            self.at(weights, alphas, drawn.as_ref(), drawn.as_ref().map(|drawn| drawn.choices.as_slice()), batch)?;
        let output = found
            .outputs
            .get(IMAGE)
            .cloned()
            .ok_or_else(|| self.file.golden.content("its network makes no picture"))?;
        let mut parts = vec![
            one("eval.out", LOGIT_TOLERANCE, "eval.out", output),
            one("loss", LOGIT_TOLERANCE, "eval.loss", found.loss),
        ];
        parts.extend(self.held("grad", "grad.", &weights.with(found.weights)));
        parts.extend(self.held("grad.alpha", "grad.alpha.", &alphas.with(found.alphas)));
        if let Some(widths) = &self.model.network().widths {
            let rows = self.model.network().alphas[widths.table].rows();
            let narrowest = vec![widths.narrowest(); rows];
            for (name, choices) in [("largest.loss", None), ("smallest.loss", Some(narrowest.as_slice()))] {
                if self.file.golden.find(name).is_some() {
                    let loss = self.at(weights, alphas, None, choices, batch)?.loss;
                    parts.push(one("loss", LOGIT_TOLERANCE, name, loss));
                }
            }
        }
        Ok(parts)
    }

    /// Steps of both optimisers from one backward pass each.
    fn steps(
        &self,
        mut weights: TensorGroup,
        mut alphas: TensorGroup,
        batches: &[[Tensor<4>; 2]],
    ) -> Result<Vec<Part>, GoldenError> {
        let adam = |beta_1| {
            let config = AdamConfig { beta_1, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
            Optimiser::new(OptimiserConfig::Adam(config))
        };
        let (mut of_weights, mut of_alphas) = (adam(0.9), adam(0.5));
        let mut parts = Vec::new();
        for (at, batch) in batches.iter().enumerate() {
            let found = self.at(&weights, &alphas, None, None, batch)?;
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.loss"), found.loss));
            let length = norm(&found.weights);
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.grad_norm"), length));
            weights.update(|weights| of_weights.step(weights, found.weights, RATES[0]));
            alphas.update(|alphas| of_alphas.step(alphas, found.alphas, RATES[1]));
        }
        parts.extend(self.held("after3", "after3.", &weights));
        parts.extend(self.held("after3", "after3.alpha.", &alphas));
        Ok(parts)
    }

    /// A pass with all gradients, at given widths or at all.
    fn at(
        &self,
        weights: &TensorGroup,
        alphas: &TensorGroup,
        drawn: Option<&Drawn>,
        widths: Option<&[usize]>,
        [x, y]: &[Tensor<4>; 2],
    ) -> Result<Found, GoldenError> {
        let network = self.model.network();
        let running = initial_running(network, self.device);
        let (leaves, of_alphas) = (self.model.leaves(weights), alphas.leaves());
        let radius = if network.alphas.is_empty() { 0.0 } else { self.file.golden.number("radius")? };
        let sparse = Relaxation::Sparsestmax { radius };
        let relaxations = Relaxations { operations: sparse, path: sparse, width: Relaxation::OneHot };
        let mut candidates = relaxations.weights(&network.alphas, &of_alphas);
        if let (Some(drawn), Some(widths)) = (drawn, &network.widths) {
            candidates[widths.table] = drawn.weights(&network.alphas[widths.table], &of_alphas, self.device);
        }
        let mixing = edge_weights(&network.alphas, candidates, &of_alphas, 0.0);
        let portion = Portion { widths, scored: drawn.is_some(), computed: None };
        let mode = Mode::Train { drop_path: None };
        let passed = self.model.forward_of(mode, portion, &leaves, &running, &mixing, x.clone().autodiff());
        let output = passed
            .outputs
            .get(IMAGE)
            .cloned()
            .ok_or_else(|| self.file.golden.content("its network makes no picture"))?;
        let loss = (output - y.clone().autodiff()).abs().mean();
        let gradients = loss.backward();
        let of_alphas =
            if alphas.layout().is_empty() { alphas.values() } else { alphas.gradient(&of_alphas, &gradients) };
        Ok(Found {
            loss: loss.inner(),
            outputs: passed.outputs.inner(),
            weights: weights.gradient(&leaves, &gradients),
            alphas: of_alphas,
        })
    }

    /// The widths that the file's noise draws.
    fn drawn(&self, alphas: &TensorGroup) -> Result<Drawn, GoldenError> {
        let network = self.model.network();
        let table = network.widths.as_ref().map(|widths| &network.alphas[widths.table]);
        let table = table.ok_or_else(|| self.file.golden.content("it has noise, and its network draws no widths"))?;
        let (_, noise) = self.file.float("gumbel")?;
        let shape = [table.rows(), table.columns()];
        if noise.len() != shape[0] * shape[1] {
            return Err(self.file.golden.content("`gumbel` has another number of choices than the network"));
        }
        let noise: Tensor<2> = Tensor::from_data(TensorData::new(noise.to_vec(), shape), self.device);
        let ratio = alphas.views().get::<2>(&table.label);
        let choices = crate::model::largest_of_rows(activation::log_softmax(ratio, 1) + noise.clone());
        Ok(Drawn { noise, choices })
    }

    /// The tensors of a group that the file holds; nothing where it holds none.
    fn held(&self, group: &'static str, prefix: &str, found: &TensorGroup) -> Option<Part> {
        let numbers = found.to_host();
        let named = found.layout().iter().map(|(name, _, range)| (format!("{prefix}{name}"), numbers[range].to_vec()));
        let tensors: Vec<_> = named.filter(|(name, _)| self.file.golden.find(name).is_some()).collect();
        (!tensors.is_empty()).then_some(Part { group, measure: Measure::Relative, stated: GRADIENT_TOLERANCE, tensors })
    }
}

/// Widths that were drawn with noise from a file, at a temperature of 1.
struct Drawn {
    noise: Tensor<2>,
    choices: Vec<usize>,
}

impl Drawn {
    /// 1 for each choice, with the gradient of the soft sample.
    fn weights(&self, table: &AlphaTable, alphas: &Views, device: &Device) -> Tensor<2> {
        let columns = table.columns();
        let ones = self.choices.iter().flat_map(|&at| (0..columns).map(move |k| f32::from(u8::from(k == at))));
        let ones = TensorData::new(ones.collect::<Vec<f32>>(), [table.rows(), columns]);
        let logits = activation::log_softmax(alphas.get::<2>(&table.label), 1) + self.noise.clone().autodiff();
        let soft = activation::softmax(logits, 1);
        soft.clone() - soft.detach() + Tensor::<2>::from_data(ones, device).autodiff()
    }
}
