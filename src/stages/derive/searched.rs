//! Searches as a derivation sees them.

use crate::{
    records::{self, AlphaHistory, Epoch, EpochAlphas, SupernetCard},
    run::{Input, StageError, coordinates::Coordinates},
    space::{Genotype, Space},
};

/// A search that is there, with the genotype of every epoch by the rule of its space.
pub(super) struct Searched {
    /// `search[seed=1]`
    pub member: String,
    pub point: Coordinates,
    pub space: Space,
    pub space_text: String,
    pub mixing: crate::model::Mixings,
    /// In order, at least one.
    pub epochs: Vec<EpochAlphas>,
    /// One for each epoch.
    pub genotypes: Vec<Genotype>,
    /// Where its space has a lattice, how many cells that has behind the first.
    pub lattice: Option<usize>,
    /// The figures of each epoch, where the rule asks for them.
    pub figures: Vec<Epoch>,
}

impl Searched {
    pub fn read(input: &Input) -> Result<Self, StageError> {
        let space = records::space(input)?;
        let space_text = input.output("space")?.text()?;
        let AlphaHistory { mixing, epochs, .. } = records::json(input, "alphas")?;
        if epochs.is_empty() {
            return Err(StageError::input(format!("`{}` has no epoch", input.member)));
        }
        let derive = |alphas: &EpochAlphas| {
            space.derive(&alphas.weights()).map_err(|error| StageError::failed(error.to_string()))
        };
        let genotypes = epochs.iter().map(derive).collect::<Result<_, _>>()?;
        let figures = if input.outputs.contains_key("metrics") { records::json(input, "metrics")? } else { Vec::new() };
        let card = || records::value::<SupernetCard>(&input.member, "params", &input.params);
        let lattice = space.has_lattice().then(card).transpose()?.map(|card| card.cells());
        let (member, point) = (input.member.clone(), input.point.clone());
        Ok(Self { member, point, space, space_text, mixing, epochs, genotypes, lattice, figures })
    }

    pub fn last(&self) -> usize {
        self.epochs.len() - 1
    }
}
