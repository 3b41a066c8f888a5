//! Weights that a network has from the search that it was derived in.

use super::artifacts;
use crate::{
    interop::tensor_file::{Numbers, TensorFile},
    model::TensorGroup,
    records::{self, NetworkCard, SupernetCard},
    run::{Input, StageError, sentence},
    space::{Genotype, Space, beginning},
    train::Learner,
};
use std::{collections::BTreeMap, path::Path};

/// What a stage reads of the search that it inherits from.
pub(super) const OUTPUTS: &[&str] = &["space", "weights"];

/// Lets a training begin with what the search left in the tensors that both networks have: of a network
/// of narrow nodes with the beginning of the supernet's. Gives how many tensors that are learned have
/// begun so, and how many there are.
pub(super) fn inherit(
    search: &Input,
    (space, genotype, card): (&Space, &Genotype, &NetworkCard),
    learner: &mut Learner,
) -> Result<[usize; 2], StageError> {
    let member = &search.member;
    let refused = |why: String| StageError::input(format!("nothing can be inherited from `{member}`: {why}"));
    if artifacts::space(search)?.digest() != space.digest() {
        return Err(refused("it searched another space".to_owned()));
    }
    let supernet: SupernetCard =
        records::value(member, "params", &search.params).map_err(|error| StageError::input(error.to_string()))?;
    let supernet = space.supernet(&supernet.build(card)).map_err(|error| refused(sentence(&error)))?;
    let weights = search.output("weights")?;
    let weights =
        TensorFile::safetensors(Path::new(member), &weights.bytes()?).map_err(|error| refused(sentence(&error)))?;
    let partners: BTreeMap<String, String> =
        space.partners(genotype, learner.model.network(), &supernet).into_iter().collect();
    let begun = |group: &TensorGroup| {
        let mut numbers = group.to_host();
        let mut count = 0;
        for (name, shape, range) in group.layout().iter() {
            let Some(stored) = partners.get(name).and_then(|partner| weights.find(partner)) else { continue };
            let Numbers::Float(whole) = &stored.numbers else { continue };
            if stored.shape.len() != shape.len() || stored.shape.iter().zip(shape).any(|(whole, part)| whole < part) {
                let shapes = format!("{:?} there, {shape:?} here", stored.shape);
                return Err(refused(format!("its network is narrower, `{name}` is {shapes}")));
            }
            for (number, place) in numbers[range].iter_mut().zip(beginning(shape, &stored.shape)) {
                *number = whole[place];
            }
            count += 1;
        }
        Ok((TensorGroup::from_host(group.layout().clone(), numbers, &group.values().device()), count))
    };
    let (weights, count) = begun(&learner.state.weights)?;
    let (running, _) = begun(&learner.state.running)?;
    if count == 0 {
        return Err(refused("the two networks have no tensor in common".to_owned()));
    }
    let all = weights.layout().iter().count();
    learner.begin_at(weights, running);
    Ok([count, all])
}
