//! A training stopped between two steps, as a file: everything that the next step depends on.
//!
//! Which training it is of is said by where it lies, in a folder of the key. The file itself says
//! how its tensors are laid out, so that another version of the program, with the same numbers in
//! another order, refuses it.

use super::{Average, LearnerState, Optimiser, OptimiserState};
use crate::{
    machine,
    model::Layout,
    store::{self, Digest},
};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// Bumped when the meaning of the file changes; an older file is refused.
const FORMAT: u32 = 5;

/// The entry that holds the digest of all other entries and all tensors: a flipped bit in a weight
/// is still a number.
const SEAL: &str = "digest";

/// What the optimisers' entries and tensors begin with.
const WEIGHTS: &str = "optimiser";
const ALPHAS: &str = "alpha_optimiser";

/// A learner's state and `progress`: whatever else its loop must remember, as JSON.
pub struct Checkpoint;

/// A checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("failed to read the checkpoint `{path}`")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the checkpoint `{path}` does not fit this training: {reason}")]
    Unfit { path: String, reason: String },
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl Checkpoint {
    /// Writes the checkpoint whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(path: &Path, state: &LearnerState, progress: &impl Serialize) -> Result<(), CheckpointError> {
        let average = state.average.as_ref();
        let mut entries = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_string()),
            ("average.steps".to_owned(), average.map_or(0, Average::steps).to_string()),
            ("layout".to_owned(), layout(state)),
            ("progress".to_owned(), serde_json::to_string(progress).expect("progress is plain data")),
        ]);
        let mut tensors = vec![
            ("weights".to_owned(), state.weights.values()),
            ("alphas".to_owned(), state.alphas.values()),
            ("running".to_owned(), state.running.values()),
        ];
        for (of, optimiser) in [(WEIGHTS, &state.optimiser), (ALPHAS, &state.alpha_optimiser)] {
            let kept = optimiser.state();
            entries.insert(format!("{of}.steps"), kept.steps.to_string());
            let named = optimiser.names().iter().map(|name| format!("{of}.{name}"));
            tensors.extend(named.zip(kept.tensors));
        }
        tensors.extend(average.map(|average| ("average.weights".to_owned(), average.weights().clone())));
        tensors.extend(average.map(|average| ("average.running".to_owned(), average.running().clone())));

        let bytes: Vec<(String, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let numbers = crate::model::host(tensor);
                (name, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
            })
            .collect();
        let file = sealed(entries, &bytes.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect());
        store::write_atomically(path, |writer| writer.write_all(&file))?;
        Ok(())
    }

    /// Puts a saved state in the place of one of the same make and returns its `progress`, which
    /// `accept` may refuse; `None` without a file.
    ///
    /// # Errors
    /// Where the file cannot be read or is of something else. The state is then as it was.
    pub fn load<P: DeserializeOwned>(
        path: &Path,
        state: &mut LearnerState,
        device: &Device,
        accept: impl FnOnce(&P) -> Result<(), String>,
    ) -> Result<Option<P>, CheckpointError> {
        let shown = path.display().to_string();
        let bytes = match machine::read(path, machine::memory().unwrap_or(u64::MAX)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointError::Read { path: shown, source }),
        };
        let unfit = |reason: String| CheckpointError::Unfit { path: shown.clone(), reason };
        let (entries, file) = opened(&bytes).map_err(unfit)?;
        let entry = |key: &str| entries.get(key).cloned().ok_or_else(|| unfit(format!("it lacks `{key}`")));
        if entry("layout")? != layout(state) {
            return Err(unfit("its tensors are laid out for another network".into()));
        }
        let steps =
            |of: &str| entry(&format!("{of}.steps"))?.parse::<u64>().map_err(|error| unfit(format!("{of}: {error}")));
        let averaged = steps("average")?;
        let progress = serde_json::from_str(&entry("progress")?).map_err(|error| unfit(error.to_string()))?;

        let vector = |name: &str, length: usize| -> Result<Tensor<1>, CheckpointError> {
            let view = file.tensor(name).map_err(|_| unfit(format!("it lacks the tensor `{name}`")))?;
            if view.dtype() != Dtype::F32 || view.shape() != [length] {
                return Err(unfit(format!("`{name}` has {:?} numbers, the network {length}", view.shape())));
            }
            let numbers: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four")))
                .collect();
            Ok(Tensor::from_data(TensorData::new(numbers, [length]), device))
        };
        let (weights, alphas) = (state.weights.layout().len(), state.alphas.layout().len());
        let of_optimiser =
            |of: &str, optimiser: &Optimiser, length: usize| -> Result<OptimiserState, CheckpointError> {
                let names: Vec<String> = optimiser.names().iter().map(|name| format!("{of}.{name}")).collect();
                // None of them before the first step, all of them after it.
                let stepped = names.iter().any(|name| file.tensor(name).is_ok());
                let tensors =
                    names.iter().filter(|_| stepped).map(|name| vector(name, length)).collect::<Result<_, _>>()?;
                Ok(OptimiserState { tensors, steps: u32::try_from(steps(of)?).unwrap_or(u32::MAX) })
            };
        let of_weights = of_optimiser(WEIGHTS, &state.optimiser, weights)?;
        let of_alphas = of_optimiser(ALPHAS, &state.alpha_optimiser, alphas)?;
        let statistics = state.running.layout().len();
        let average = match state.average {
            None => None,
            Some(_) => Some((vector("average.weights", weights)?, vector("average.running", statistics)?)),
        };
        let running = vector("running", statistics)?;
        let (weights, alphas) = (vector("weights", weights)?, vector("alphas", alphas)?);
        accept(&progress).map_err(unfit)?;
        state.weights.set(weights);
        state.alphas.set(alphas);
        state.running.set(running);
        state.optimiser.restore(of_weights);
        state.alpha_optimiser.restore(of_alphas);
        if let (Some(kept), Some((weights, running))) = (&mut state.average, average) {
            kept.restore(averaged, weights, running);
        }
        Ok(Some(progress))
    }
}

/// A digest of the names and shapes of all tensors, in their order.
fn layout(state: &LearnerState) -> String {
    let describe = |layout: &Layout| layout.iter().map(|(name, shape, _)| format!("{name} {shape:?}\n")).collect();
    let groups: Vec<String> =
        [&state.weights, &state.alphas, &state.running].map(|group| describe(group.layout())).into();
    Digest::of(groups.join("\n").as_bytes()).to_string()
}

/// A file of these entries and tensors that [`opened`] can tell from a damaged one.
fn sealed(mut entries: BTreeMap<String, String>, tensors: &BTreeMap<&str, &[u8]>) -> Vec<u8> {
    entries.insert(SEAL.to_owned(), digest(&entries, tensors).to_string());
    let views = tensors.iter().map(|(name, bytes)| {
        let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).expect("four bytes a number");
        (*name, view)
    });
    safetensors::serialize(views, Some(HashMap::from_iter(entries))).expect("valid views serialise")
}

/// The entries and tensors of a file as they were sealed, or why it cannot be used.
fn opened(bytes: &[u8]) -> Result<(BTreeMap<String, String>, SafeTensors<'_>), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut entries: BTreeMap<String, String> =
        header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    // Said before the seal is asked for: a file of another format is no damaged one.
    if let Some(format) = entries.get("format").filter(|format| **format != FORMAT.to_string()) {
        return Err(format!("it has format {format}, this program writes {FORMAT}"));
    }
    let seal = entries.remove(SEAL).ok_or_else(|| format!("it lacks `{SEAL}`"))?;
    let tensors = file.iter().map(|(name, view)| (name, view.data())).collect();
    if digest(&entries, &tensors).to_string() != seal {
        return Err("it is damaged: its bytes do not have the digest in its header".to_owned());
    }
    Ok((entries, file))
}

/// Of everything, each part after its length, so that no two files look alike.
fn digest(entries: &BTreeMap<String, String>, tensors: &BTreeMap<&str, &[u8]>) -> Digest {
    let mut sha = Sha256::new();
    let entries = entries.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    for (name, bytes) in entries.chain(tensors.iter().map(|(name, bytes)| (*name, *bytes))) {
        for part in [name.as_bytes(), bytes] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        }
    }
    Digest::from_bytes(sha.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unseen() {
        let entries =
            BTreeMap::from([("format".to_owned(), FORMAT.to_string()), ("adam.steps".to_owned(), "7".to_owned())]);
        let numbers: Vec<u8> = [0.5f32, -1.0, 3.25].iter().flat_map(|number| number.to_le_bytes()).collect();
        let tensors = BTreeMap::from([("alphas", &numbers[..8]), ("weights", &numbers[..])]);
        let file = sealed(entries.clone(), &tensors);

        let (read, views) = opened(&file).unwrap();
        assert_eq!(read, entries);
        assert_eq!(views.tensor("weights").unwrap().data(), numbers);
        for at in 0..file.len() {
            assert!(opened(&file[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                // Spaces pad the header, and JSON means the same with other white space there.
                let same = opened(&damaged).is_ok_and(|(read, views)| {
                    read == entries && views.tensor("weights").is_ok_and(|view| view.data() == numbers)
                });
                assert!(same || opened(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
        let older = sealed(BTreeMap::from([("format".to_owned(), "1".to_owned())]), &tensors);
        assert_eq!(opened(&older).unwrap_err(), format!("it has format 1, this program writes {FORMAT}"));
    }
}
