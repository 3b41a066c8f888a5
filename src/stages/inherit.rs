//! Weights that a network has from a search: one that was derived in it, or another supernet.

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

/// The key that names it.
pub(super) const INHERIT: &str = "inherit";

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
    let of = Weights::of(search, space)?;
    let supernet: SupernetCard = records::value(&search.member, "params", &search.params)?;
    let supernet = space.supernet(&supernet.build(card)).map_err(|error| of.refused(sentence(&error)))?;
    let partners: BTreeMap<String, String> =
        space.partners(genotype, learner.model.network(), &supernet).into_iter().collect();
    let count = of.begin(learner, |name| partners.get(name).cloned())?;
    if count == 0 {
        return Err(of.refused("the two networks have no tensor in common".to_owned()));
    }
    Ok([count, learner.state.weights.layout().iter().count()])
}

/// Lets a search begin with the weights that another one of the same supernet ended with. Its alphas
/// begin anew.
pub(super) fn begin_search(search: &Input, space: &Space, learner: &mut Learner) -> Result<(), StageError> {
    let of = Weights::of(search, space)?;
    let layout = learner.state.weights.layout();
    for (name, shape, _) in layout.iter() {
        let there = match of.file.find(name) {
            Some(stored) if stored.shape == *shape => continue,
            Some(stored) => format!("`{name}` is {:?} there, {shape:?} here", stored.shape),
            None => format!("it has no `{name}`"),
        };
        return Err(of.refused(format!("its supernet is another one, {there}")));
    }
    of.begin(learner, |name| Some(name.to_owned()))?;
    Ok(())
}

/// What a search left.
struct Weights<'a> {
    member: &'a str,
    file: TensorFile,
}

impl<'a> Weights<'a> {
    fn of(search: &'a Input, space: &Space) -> Result<Self, StageError> {
        let member = &search.member;
        if artifacts::space(search)?.digest() != space.digest() {
            return Err(refused(member, "it searched another space"));
        }
        let bytes = search.output("weights")?.bytes()?;
        let file =
            TensorFile::safetensors(Path::new(member), &bytes).map_err(|error| refused(member, &sentence(&error)))?;
        Ok(Self { member, file })
    }

    fn refused(&self, why: String) -> StageError {
        refused(self.member, &why)
    }

    /// Lets each tensor begin with that of its partner's name, or with the beginning of it. Gives how many
    /// that are learned have one.
    fn begin(&self, learner: &mut Learner, partner: impl Fn(&str) -> Option<String>) -> Result<usize, StageError> {
        let begun = |group: &TensorGroup| {
            let mut numbers = group.to_host();
            let mut count = 0;
            for (name, shape, range) in group.layout().iter() {
                let Some(stored) = partner(name).and_then(|partner| self.file.find(&partner)) else { continue };
                let Numbers::Float(whole) = &stored.numbers else { continue };
                if stored.shape.len() != shape.len() || stored.shape.iter().zip(shape).any(|(whole, part)| whole < part)
                {
                    let shapes = format!("{:?} there, {shape:?} here", stored.shape);
                    return Err(self.refused(format!("its network is narrower, `{name}` is {shapes}")));
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
        learner.begin_at(weights, running);
        Ok(count)
    }
}

fn refused(member: &str, why: &str) -> StageError {
    StageError::input(format!("nothing can be inherited from `{member}`: {why}"))
}
