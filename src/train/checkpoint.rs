//! A search stopped between two steps, as a file: everything that the next step depends on.
//!
//! Which search it is of is said by where it lies, in a folder of the key. The file itself says how its tensors are
//! laid out, so that another version of the program, with the same numbers in another order, refuses it.

use super::{AdamState, Learner};
use crate::{
    model::Layout,
    store::{self, Digest},
};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::HashMap, path::Path};

/// Bumped when the meaning of the file changes; an older file is refused.
const FORMAT: u32 = 1;

/// A learner's tensors and `progress`: whatever else its loop must remember, as JSON.
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
    #[error("the checkpoint `{path}` does not fit this search: {reason}")]
    Unfit { path: String, reason: String },
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl Checkpoint {
    /// Writes the checkpoint whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(path: &Path, learner: &Learner, progress: &impl Serialize) -> Result<(), CheckpointError> {
        let adam = learner.adam.state();
        let mut tensors = vec![
            ("weights", learner.weights.values()),
            ("alphas", learner.alphas.values()),
            ("running", learner.running.values()),
        ];
        tensors.extend(learner.sgd.velocity().map(|velocity| ("sgd.velocity", velocity.clone())));
        tensors.extend(adam.map(|state| ("adam.first", state.first.clone())));
        tensors.extend(adam.map(|state| ("adam.second", state.second.clone())));

        let bytes: Vec<(&str, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let numbers = crate::model::host(tensor);
                (name, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).expect("four bytes a number");
            (*name, view)
        });
        let header = HashMap::from([
            ("format".to_owned(), FORMAT.to_string()),
            ("adam.steps".to_owned(), adam.map_or(0, |state| state.steps).to_string()),
            ("layout".to_owned(), layout(learner)),
            ("progress".to_owned(), serde_json::to_string(progress).expect("progress is plain data")),
        ]);
        let file = safetensors::serialize(views, Some(header)).expect("valid views serialise");
        store::write_atomically(path, |writer| writer.write_all(&file))?;
        Ok(())
    }

    /// Puts a saved state back into a learner of the same make and returns its `progress`; `None` without a file.
    ///
    /// # Errors
    /// Where the file cannot be read or is of something else. The learner is then as it was.
    pub fn load<P: DeserializeOwned>(
        path: &Path,
        learner: &mut Learner,
        device: &Device,
    ) -> Result<Option<P>, CheckpointError> {
        let shown = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointError::Read { path: shown, source }),
        };
        let unfit = |reason: String| CheckpointError::Unfit { path: shown.clone(), reason };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| unfit(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| unfit(error.to_string()))?;
        let entry = |key: &str| {
            let found = header.metadata().as_ref().and_then(|entries| entries.get(key));
            found.cloned().ok_or_else(|| unfit(format!("it lacks `{key}`")))
        };
        if entry("format")? != FORMAT.to_string() {
            return Err(unfit(format!("it has format {}, this program writes {FORMAT}", entry("format")?)));
        }
        if entry("layout")? != layout(learner) {
            return Err(unfit("its tensors are laid out for another network".into()));
        }
        let steps: u32 = entry("adam.steps")?.parse().map_err(|_| unfit("`adam.steps` is no number".into()))?;
        let progress = serde_json::from_str(&entry("progress")?).map_err(|error| unfit(error.to_string()))?;

        let vector = |name: &str, length: usize| -> Result<Tensor<1>, CheckpointError> {
            let view = file.tensor(name).map_err(|_| unfit(format!("it lacks the tensor `{name}`")))?;
            if view.dtype() != Dtype::F32 || view.shape() != [length] {
                return Err(unfit(format!("`{name}` has {:?} numbers, the search {length}", view.shape())));
            }
            let numbers: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four")))
                .collect();
            Ok(Tensor::from_data(TensorData::new(numbers, [length]), device))
        };
        let (weights, alphas) = (learner.weights.layout().len(), learner.alphas.layout().len());
        let velocity = file.tensor("sgd.velocity").is_ok().then(|| vector("sgd.velocity", weights)).transpose()?;
        let adam = if steps == 0 {
            None
        } else {
            Some(AdamState { first: vector("adam.first", alphas)?, second: vector("adam.second", alphas)?, steps })
        };
        let running = vector("running", learner.running.layout().len())?;
        let (weights, alphas) = (vector("weights", weights)?, vector("alphas", alphas)?);
        learner.weights.set(weights);
        learner.alphas.set(alphas);
        learner.running.set(running);
        learner.sgd.restore(velocity);
        learner.adam.restore(adam);
        Ok(Some(progress))
    }
}

/// A digest of the names and shapes of all tensors, in their order.
fn layout(learner: &Learner) -> String {
    let describe = |layout: &Layout| layout.iter().map(|(name, shape, _)| format!("{name} {shape:?}\n")).collect();
    let groups: Vec<String> =
        [&learner.weights, &learner.alphas, &learner.running].map(|group| describe(group.layout())).into();
    Digest::of(groups.join("\n").as_bytes()).to_string()
}
