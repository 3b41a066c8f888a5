//! Which network a command is about: what its weights' file leaves open or should not decide.

use super::{Complaint, ExitClass, complaint::note, path, run};
use crate::{
    interop::{
        description::{Description, DescriptionError},
        tensor_file::{TensorFile, TensorFileError},
        trained::{NotFinite, TrainedError, TrainedNetwork},
    },
    machine,
    model::{Mixing, Mixings},
    space::{self, SpaceFileError, WrittenGenotype},
};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Network (what the weights' file does not say)")]
pub(super) struct NetworkArguments {
    /// Search space by name or path; by default the first that reads the genotype
    #[arg(long, value_name = "SPACE")]
    space: Option<String>,
    /// The cell: a genotype in any of its text forms, a file that holds one (`FILE:NAME` of
    /// several), or the name of a published one
    #[arg(long, value_name = "FILE|TEXT|NAME", conflicts_with = "supernet")]
    genotype: Option<String>,
    /// One of the space's networks; by default the first for trained cells whose tensor names the
    /// weights have
    #[arg(long, value_name = "NAME")]
    skeleton: Option<String>,
    /// Width of the first cell; by default the skeleton's
    #[arg(long, value_name = "C")]
    channels: Option<usize>,
    /// Number of cells (of cells a segment, where the skeleton counts so); by default the
    /// skeleton's
    #[arg(long, value_name = "N", alias = "size")]
    layers: Option<usize>,
    /// Classes; by default those of the weights' classifier
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// The network of all candidates, mixed by the alphas `alpha.NAME`
    #[arg(long)]
    supernet: bool,
    /// File of the alphas, where they are not among the weights
    #[arg(long, value_name = "FILE", value_parser = path())]
    alphas: Option<PathBuf>,
    /// Where in the weights' file the network's tensors are, as in `model_ema`; by default where
    /// they fit
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// How alphas become weights [default: as the weights' file says, or softmax]
    #[arg(long, value_enum)]
    mixing: Option<MixingChoice>,
    /// Of a supernet: one channel in K goes through the candidates [default: as the weights' file
    /// says, or all]
    #[arg(long, value_name = "K")]
    partial_channels: Option<usize>,
    /// Of a supernet: its edges are normalised by betas
    #[arg(long)]
    edge_normalisation: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MixingChoice {
    Softmax,
    Sigmoid,
    /// The likeliest candidate of each edge alone
    Gumbel,
    /// At a radius of 1
    Sparsestmax,
}

impl NetworkArguments {
    /// What is said on the command line.
    pub fn description(&self) -> Result<Description, Complaint> {
        Ok(Description {
            supernet: self.supernet,
            space: self.space.clone(),
            genotype: self.genotype.as_deref().map(genotype_text).transpose()?,
            skeleton: self.skeleton.clone(),
            channels: self.channels,
            size: self.layers,
            classes: self.classes,
            mixing: self.mixing.map(|mixing| {
                Mixings::Same(match mixing {
                    MixingChoice::Softmax => Mixing::Softmax,
                    MixingChoice::Sigmoid => Mixing::Sigmoid,
                    MixingChoice::Gumbel => Mixing::GUMBEL,
                    MixingChoice::Sparsestmax => Mixing::SPARSESTMAX,
                })
            }),
            partial_channels: self.partial_channels,
            edge_normalisation: self.edge_normalisation.then_some(true),
            ..Description::default()
        })
    }

    /// The files that may be read. Every space that has a name is one: another may extend it.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let here = Path::new("");
        let genotype = self.genotype.as_deref().and_then(|argument| WrittenGenotype::file(argument, here));
        let space = self.space.as_deref().and_then(|space| space::find(space, here).ok());
        self.alphas.iter().cloned().chain(genotype).chain(space).chain(space::all(here))
    }

    /// The network with the tensors of `weights`. What is not said on the command line is as
    /// `beside` them. Where the tensors are not where they would be looked for is said.
    pub fn assemble(
        &self,
        beside: Description,
        weights: &TensorFile,
        alphas: Option<&TensorFile>,
        input: Option<[usize; 3]>,
        device: &Device,
    ) -> Result<TrainedNetwork, Complaint> {
        // What a network puts out for images of its own size it does not for others.
        let own = beside.input.filter(|_| beside.outputs.is_some());
        let others = input.zip(own).filter(|(asked, own)| asked != own && asked[0] == own[0]);
        let others = others.map(|([_, height, width], _)| [height, width]);
        let said = Description { input: input.filter(|_| others.is_none()), ..self.description()? };
        let named = self.alphas.as_deref().map(open).transpose()?;
        let alphas = named.as_ref().or(alphas);
        let below = self.prefix.as_deref().map(|prefix| weights.below(prefix)).transpose().map_err(unreadable)?;
        let weights = below.as_ref().unwrap_or(weights);
        let trained = TrainedNetwork::assemble(&said.or(beside), weights, alphas, Path::new(""), device);
        let trained = trained.and_then(|trained| match others {
            Some(sides) => trained.resized(sides),
            None => Ok(trained),
        });
        let trained = trained.map_err(|error| match &error {
            TrainedError::Description(error) => undescribed(error),
            other => Complaint::caused(ExitClass::Input, other).hinted(other.hint()),
        })?;
        if let Some(whereabouts) = &trained.whereabouts {
            note(whereabouts);
        }
        Ok(trained)
    }
}

/// Reads a file of tensors.
pub(super) fn open(path: &Path) -> Result<TensorFile, Complaint> {
    TensorFile::open(path).map_err(unreadable)
}

fn unreadable(error: TensorFileError) -> Complaint {
    Complaint::caused(ExitClass::Input, &error).hinted(error.hint())
}

/// A description that fits no space.
pub(super) fn undescribed(error: &DescriptionError) -> Complaint {
    match error {
        DescriptionError::Space(SpaceFileError::Invalid { problems, .. }) => run::invalid(problems),
        other => Complaint::caused(ExitClass::Input, other).hinted(other.hint()),
    }
}

/// A genotype as it was given: the text itself, the content of a file, or of standard input. What
/// there is to say of where it was found is said.
pub(super) fn genotype_text(argument: &str) -> Result<String, Complaint> {
    let found = if argument == "-" {
        let bytes = machine::read_up_to(std::io::stdin().lock(), WrittenGenotype::LONGEST)
            .map_err(|error| Complaint::input(format!("failed to read standard input: {error}")))?;
        WrittenGenotype::of_bytes(&bytes, "standard input")
    } else {
        WrittenGenotype::find(argument, Path::new(""))
    };
    let WrittenGenotype { text, note: found_note } =
        found.map_err(|error| Complaint::caused(ExitClass::Input, &error).hinted(error.hint()))?;
    if let Some(found) = found_note {
        note(&found);
    }
    Ok(text)
}

/// Complains of a tensor that is NaN or infinite, as a training leaves them that went wrong.
pub(super) fn finite(network: &TrainedNetwork, weights: impl Display) -> Result<(), Complaint> {
    let Some(NotFinite { tensor, numbers, of, others }) = network.not_finite() else { return Ok(()) };
    let others = if others > 0 { format!(", as are {others} more tensors") } else { String::new() };
    let message = format!("tensor `{tensor}` of {weights} is NaN or infinite in {numbers} of its {of} numbers{others}");
    Err(Complaint::input(message).hint("take weights of before the training went wrong"))
}
