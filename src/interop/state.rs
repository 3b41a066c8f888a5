//! A network's tensors in a file: under which names they lie there, and whether they fit.

use super::{
    stored_tensor::{Numbers, StoredTensor},
    tensor_file::TensorFile,
};
use crate::{
    model::{Layout, TensorGroup},
    space::network::{Chain, LayerKind, Network},
};
use burn::tensor::Device;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
    sync::Arc,
};

/// What stands before the names of alpha tables.
pub const ALPHAS: &str = "alpha.";

/// PyTorch's batch norm counts its batches; nothing here reads the count.
const COUNTER: &str = "num_batches_tracked";

/// The tensors of a file below a prefix, where they have the network's names.
pub struct State<'a> {
    file: &'a TensorFile,
    prefix: String,
    /// Where as many tensors have these names.
    others: Vec<String>,
}

/// A file's tensors are not the network's.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("`{path}` lacks the tensor `{name}`{}", and_others(.others, "of the network's"))]
    Missing { path: PathBuf, name: String, others: usize },
    #[error("tensor `{name}` of `{path}` has shape {found:?}, the network expects {expected:?}")]
    Shape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("tensor `{name}` of `{path}` holds whole numbers")]
    Whole { path: PathBuf, name: String },
    #[error("`{path}` has a tensor `{name}`{} that the network has no place for", and_others(.others, ""))]
    Stranger { path: PathBuf, name: String, others: usize },
}

fn and_others(others: &usize, of: &str) -> String {
    match others {
        0 => String::new(),
        others => format!(" and {others} more {of}").trim_end().to_owned(),
    }
}

impl<'a> State<'a> {
    /// The tensors of `file` whose names begin with `prefix`.
    pub fn below(file: &'a TensorFile, prefix: &str) -> Self {
        Self { file, prefix: prefix.to_owned(), others: Vec::new() }
    }

    /// Where in `file` most of `names` are, whatever stands before them: the dictionaries that a
    /// program saves its state in, and the modules that wrap its network. `None` where none of them
    /// is anywhere.
    pub fn find<'n>(file: &'a TensorFile, names: impl IntoIterator<Item = &'n str>) -> Option<Self> {
        let wanted: HashSet<&str> = names.into_iter().collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in file.iter() {
            let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
            for start in starts.filter(|start| wanted.contains(&name[*start..])) {
                *counts.entry(&name[..start]).or_default() += 1;
            }
        }
        let most = counts.values().copied().max()?;
        let mut prefixes: Vec<&str> =
            counts.iter().filter(|(_, count)| **count == most).map(|(prefix, _)| *prefix).collect();
        // Of several that have as many the plainest: `model` rather than `model_ema`.
        prefixes.sort_by_key(|prefix| (prefix.matches('.').count(), prefix.len()));
        let (prefix, others) = prefixes.split_first()?;
        let others = others.iter().map(|prefix| (*prefix).to_owned()).collect();
        Some(Self { file, prefix: (*prefix).to_owned(), others })
    }

    /// In words, where the tensors were found that were not looked for there, and where others are
    /// that fit.
    pub fn whereabouts(&self) -> Option<String> {
        let without_dot = |prefix: &str| prefix.trim_end_matches('.').to_owned();
        let others = self.others.iter().map(|other| match other.as_str() {
            "" => "without a prefix".to_owned(),
            other => format!("below `{}` (`--prefix {}` takes those)", without_dot(other), without_dot(other)),
        });
        let others = others.collect::<Vec<_>>().join(", ");
        match (self.prefix.as_str(), others.as_str()) {
            ("", "") => None,
            ("", others) => Some(format!("the tensors without a prefix are taken; others lie {others}")),
            (prefix, "") => Some(format!("the network's tensors are those below `{}`", without_dot(prefix))),
            (prefix, others) => {
                Some(format!("the tensors below `{}` are taken; others lie {others}", without_dot(prefix)))
            }
        }
    }

    /// The tensor that the network calls `name`.
    pub fn get(&self, name: &str) -> Option<&'a StoredTensor> {
        self.file.find(&format!("{}{name}", self.prefix))
    }

    /// A group with the file's numbers.
    ///
    /// # Errors
    /// Where a tensor is not there, or has another shape.
    pub fn fill(&self, layout: &Arc<Layout>, device: &Device) -> Result<TensorGroup, StateError> {
        let path = || self.file.path.clone();
        let full = |name: &str| format!("{}{name}", self.prefix);
        let mut missing = layout.iter().filter(|(name, ..)| self.get(name).is_none());
        if let Some((name, ..)) = missing.next() {
            return Err(StateError::Missing { path: path(), name: full(name), others: missing.count() });
        }
        let mut numbers = Vec::with_capacity(layout.len());
        for (name, shape, _) in layout.iter() {
            match self.get(name) {
                Some(StoredTensor { shape: found, .. }) if found != shape => {
                    let (found, expected) = (found.clone(), shape.to_vec());
                    return Err(StateError::Shape { path: path(), name: full(name), found, expected });
                }
                Some(StoredTensor { numbers: Numbers::Float(values), .. }) => numbers.extend_from_slice(values),
                _ => return Err(StateError::Whole { path: path(), name: full(name) }),
            }
        }
        Ok(TensorGroup::from_host(layout.clone(), numbers, device))
    }

    /// The network's weights and running statistics.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub fn groups(&self, network: &Network, device: &Device) -> Result<(TensorGroup, TensorGroup), StateError> {
        let group = |learned: bool| {
            let specs = network.tensors().into_iter().filter(|spec| spec.role.is_learned() == learned);
            let layout = Layout::new(specs.map(|spec| (spec.name, spec.shape)));
            self.fill(&Arc::new(layout), device)
        };
        Ok((group(true)?, group(false)?))
    }

    /// Refuses tensors that none of `networks` has: they tell of another network than was built.
    ///
    /// With `Unmatched::OfTheNetwork` only names count that begin as the network's do (`cells.`,
    /// `stem.`): what else lies in the file is no part of it.
    ///
    /// # Errors
    /// The first stranger, with the count of the others.
    pub fn check_strangers(&self, networks: &[&Network], strangers: Unmatched) -> Result<(), StateError> {
        let known: BTreeSet<String> =
            networks.iter().flat_map(|network| network.tensors()).map(|spec| spec.name).collect();
        let first_words: BTreeSet<&str> = known.iter().filter_map(|name| name.split('.').next()).collect();
        let counts = |name: &str| {
            !known.contains(name)
                && !name.ends_with(COUNTER)
                && (strangers == Unmatched::Any
                    || name.split('.').next().is_some_and(|word| first_words.contains(word)))
        };
        let mut strangers = self.file.names_below(&self.prefix).filter(|name| counts(name));
        match strangers.next() {
            None => Ok(()),
            Some(name) => {
                let name = format!("{}{name}", self.prefix);
                Err(StateError::Stranger { path: self.file.path.clone(), name, others: strangers.count() })
            }
        }
    }

    /// The alpha table `label` under any of the names that files give it: `alpha.LABEL`, as golden
    /// files do, or the bare label, as a code base does that registers it as a parameter.
    ///
    /// # Errors
    /// Where a table is missing, or of another shape.
    pub fn fill_alphas(&self, layout: &Arc<Layout>, device: &Device) -> Result<TensorGroup, StateError> {
        let prefixes = [ALPHAS.to_owned(), String::new(), format!("{}{ALPHAS}", self.prefix), self.prefix.clone()];
        let mut states = prefixes.into_iter().map(|prefix| Self::below(self.file, &prefix));
        let fits = |state: &Self| layout.iter().all(|(name, ..)| state.get(name).is_some());
        let anywhere = || Self::find(self.file, layout.iter().map(|(name, ..)| name)).filter(fits);
        states.find(fits).or_else(anywhere).unwrap_or_else(|| Self::below(self.file, ALPHAS)).fill(layout, device)
    }
}

/// Which tensors without a place are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    Any,
    OfTheNetwork,
}

/// The layout of a network's alpha tables and betas.
pub fn alpha_layout(network: &Network) -> Arc<Layout> {
    Arc::new(Layout::new(network.alpha_tensors()))
}

/// Rows of the file's classifier, the linear layer that a head ends in.
pub(super) fn seen_classes(network: &Network, state: &State<'_>) -> Option<usize> {
    let last = last_layer(&network.heads.first()?.chain)?;
    let weight = state.get(&format!("{last}.weight"))?;
    weight.shape.first().copied()
}

fn last_layer(chain: &Chain) -> Option<&str> {
    let last = chain.layers.iter().rev().find(|layer| matches!(layer.kind, LayerKind::Linear))?;
    Some(&last.label)
}

/// Channels that the file's first convolution reads.
pub(super) fn seen_colours(network: &Network, state: &State<'_>) -> Option<usize> {
    let first = network.stems.first()?.layers.first()?;
    let LayerKind::Conv(conv) = &first.kind else { return None };
    let weight = state.get(&format!("{}.weight", first.label))?;
    weight.shape.get(1).map(|read| read * conv.groups)
}
