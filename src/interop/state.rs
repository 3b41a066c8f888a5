//! A network's tensors in a file: under which names they lie there, and whether they fit.

use super::tensor_file::{Numbers, StoredTensor, TensorFile};
use crate::{
    model::{Layout, TensorGroup},
    space::network::{Network, TensorSpec},
};
use burn::tensor::Device;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// What code bases put around a state dict's names: the dictionaries in which they save it, and the modules that
/// `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) wrap it in. The order is that of looking.
const WRAPPERS: [&str; 11] = [
    "state",
    "state_dict",
    "model_state_dict",
    "net_state_dict",
    "model",
    "search_model",
    "base-model",
    "network",
    "net",
    "module",
    "_orig_mod",
];

/// `checkpoint.state_dict.module.stem.0.weight` is as deep as it gets.
const DEEPEST: usize = 3;

/// What stands before the names of alpha tables.
pub const ALPHAS: &str = "alpha.";

/// PyTorch's batch norm counts its batches; nothing here reads the count.
const COUNTER: &str = "num_batches_tracked";

/// The tensors of a file below a prefix, where they have the network's names.
pub struct State<'a> {
    file: &'a TensorFile,
    prefix: String,
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
        Self { file, prefix: prefix.to_owned() }
    }

    /// Where in `file` most of `names` are. `None` where none of them is anywhere.
    pub fn find(file: &'a TensorFile, names: &[TensorSpec]) -> Option<Self> {
        let mut prefixes = vec![String::new()];
        let mut level = prefixes.clone();
        for _ in 0..DEEPEST {
            let wrapped = |prefix: &String| WRAPPERS.map(|wrapper| format!("{prefix}{wrapper}."));
            level = level.iter().flat_map(wrapped).filter(|prefix| file.names_below(prefix).next().is_some()).collect();
            prefixes.extend(level.iter().cloned());
        }
        let states = prefixes.into_iter().map(|prefix| Self { file, prefix });
        let counted = states.map(|state| (names.iter().filter(|spec| state.get(&spec.name).is_some()).count(), state));
        // The first of several that have as many.
        let best = counted.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.filter(|(count, _)| *count > 0).map(|(_, state)| state)
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
    /// With `Strangers::OfTheNetwork` only names count that begin as the network's do (`cells.`, `stem.`): what else lies
    /// in the file is no part of it.
    pub fn check_strangers(&self, networks: &[&Network], strangers: Strangers) -> Result<(), StateError> {
        let known: BTreeSet<String> =
            networks.iter().flat_map(|network| network.tensors()).map(|spec| spec.name).collect();
        let first_words: BTreeSet<&str> = known.iter().filter_map(|name| name.split('.').next()).collect();
        let counts = |name: &str| {
            !known.contains(name)
                && !name.ends_with(COUNTER)
                && (strangers == Strangers::Any
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

    /// The alpha table `label` under any of the names that files give it: `alpha.LABEL`, as golden files do, or the bare
    /// label, as a code base does that registers it as a parameter.
    pub fn fill_alphas(&self, layout: &Arc<Layout>, device: &Device) -> Result<TensorGroup, StateError> {
        let prefixes = [ALPHAS.to_owned(), String::new(), format!("{}{ALPHAS}", self.prefix), self.prefix.clone()];
        let mut states = prefixes.into_iter().map(|prefix| Self { file: self.file, prefix });
        let fits = |state: &Self| layout.iter().all(|(name, ..)| state.get(name).is_some());
        states.find(fits).unwrap_or_else(|| Self::below(self.file, ALPHAS)).fill(layout, device)
    }
}

/// Which tensors without a place are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    Any,
    OfTheNetwork,
}

/// The layout of a network's alpha tables and betas.
pub fn alpha_layout(network: &Network) -> Arc<Layout> {
    Arc::new(Layout::new(network.alpha_tensors()))
}
