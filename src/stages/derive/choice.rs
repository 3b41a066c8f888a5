//! Which genotype goes on, and why: the rules followed, and said to a person. What numbers decide is
//! decided in `space/derivation`.

use super::{rule::Rule, searched::Searched};
use crate::{
    config::nearest,
    records::{self, Epoch},
    run::{
        Input, StageError,
        coordinates::{Coordinates, agrees},
    },
    space::{Affordable, Budget, Build, Direction, Genotype, Limit, Space, Struck, mean_weights},
    stages::{counted, network_cost},
};
use std::collections::{BTreeMap, BTreeSet};

/// A cell and how it was found.
#[derive(Debug)]
pub(super) struct Choice {
    pub genotype: Genotype,
    /// The search that it is from, where it is from one.
    pub search: Option<usize>,
    pub epoch: Option<usize>,
    pub why: String,
}

/// A training of a search's cell.
pub(super) struct Judge {
    pub member: String,
    pub point: Coordinates,
    pub genotype: Genotype,
    /// Of its last epoch, which is its result.
    pub figures: BTreeMap<String, f64>,
}

impl Judge {
    pub fn read(input: &Input, space: &Space) -> Result<Self, StageError> {
        let epochs: Vec<Epoch> = records::json(input, "metrics")?;
        Ok(Self {
            member: input.member.clone(),
            point: input.point.clone(),
            genotype: records::genotype(input, space)?,
            figures: epochs.last().map(Epoch::figures).unwrap_or_default(),
        })
    }
}

/// Follows the rule. There is at least one search.
pub(super) fn choose(rule: &Rule, searches: &[Searched], judges: &[Judge]) -> Result<Choice, StageError> {
    let search = &searches[0];
    let epochs = search.epochs.len();
    match rule {
        Rule::Last => Ok(of_epoch(searches, 0, search.last(), format!("the last of {}", counted(epochs, "epoch")))),
        Rule::Epoch(epoch) => match search.epochs.iter().position(|alphas| alphas.epoch == *epoch) {
            Some(at) => Ok(of_epoch(searches, 0, at, format!("the one of {epochs} that the rule names"))),
            None => {
                Err(StageError::input(format!("the search has {} and not epoch {epoch}", counted(epochs, "epoch"))))
            }
        },
        Rule::Best { figure, direction } if judges.is_empty() => best(figure, *direction, searches),
        Rule::Best { figure, direction } => judged(figure, *direction, searches, judges),
        Rule::AtMost(limits) => within_limits(limits, search),
        Rule::Threshold(threshold) => {
            let last = &search.epochs[search.last()];
            let derived = search.space.derive_above(&last.weights(), *threshold);
            let genotype = derived.map_err(|error| StageError::input(error.to_string()))?;
            let why = format!("the last of {}, each candidate above {threshold}", counted(epochs, "epoch"));
            Ok(Choice { genotype, search: Some(0), epoch: Some(last.epoch), why })
        }
        Rule::Within { budget, build } => within(budget, build, search),
        Rule::Consensus => consensus(searches),
    }
}

fn of_epoch(searches: &[Searched], search: usize, at: usize, why: String) -> Choice {
    let of = &searches[search];
    Choice { genotype: of.genotypes[at].clone(), search: Some(search), epoch: Some(of.epochs[at].epoch), why }
}

fn within_limits(limits: &[Limit], search: &Searched) -> Result<Choice, StageError> {
    let last = &search.epochs[search.last()];
    let derived = search.space.derive_within_limits(&last.weights(), limits);
    let (genotype, struck) = derived.map_err(|error| StageError::input(error.to_string()))?;
    let several = search.space.cell_kinds().len() > 1;
    let each = struck.iter().map(|Struck { kind, operation, source, target, weight }| {
        let of = if several { format!(" of {kind}") } else { String::new() };
        format!("{operation} {source}→{target}{of} ({weight:.3})")
    });
    let how = match each.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "which is within the limits as it is".to_owned(),
        each => format!("derived without {each}"),
    };
    let why = format!("the last of {}, {how}", counted(search.epochs.len(), "epoch"));
    Ok(Choice { genotype, search: Some(0), epoch: Some(last.epoch), why })
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Highest => "highest",
        Direction::Lowest => "lowest",
    }
}

fn best(figure: &str, direction: Direction, searches: &[Searched]) -> Result<Choice, StageError> {
    let of_search = |search: &Searched| {
        let figures: BTreeMap<usize, f64> =
            search.figures.iter().filter_map(|row| Some((row.epoch, row.figures().remove(figure)?))).collect();
        search.epochs.iter().map(|alphas| figures.get(&alphas.epoch).copied()).collect::<Vec<_>>()
    };
    let figures: Vec<Vec<Option<f64>>> = searches.iter().map(of_search).collect();
    let Some(((search, epoch), value)) = direction.best_epoch(&figures) else {
        let all = searches.iter().flat_map(|search| search.figures.iter().map(Epoch::figures));
        return Err(no_figure(figure, "no epoch", all));
    };
    let (epochs, count) = (figures.iter().flatten().flatten().count(), searches.len());
    let of = if count > 1 { format!(" of {}", counted(count, "search")) } else { String::new() };
    let why =
        format!("its `{figure}`, {}, is the {} of {}{of}", number(value), word(direction), counted(epochs, "epoch"));
    Ok(of_epoch(searches, search, epoch, why))
}

/// The cell whose training ended best, each search's being judged by its own.
fn judged(figure: &str, direction: Direction, searches: &[Searched], judges: &[Judge]) -> Result<Choice, StageError> {
    let of = |judge: &Judge| searches.iter().position(|search| agrees(&judge.point, &search.point));
    let candidates: Vec<((usize, &Judge), f64)> =
        judges.iter().filter_map(|judge| Some(((of(judge)?, judge), *judge.figures.get(figure)?))).collect();
    let all: Vec<String> = candidates.iter().map(|(_, value)| number(*value)).collect();
    let Some(((search, judge), value)) = direction.first_best(candidates) else {
        return Err(no_figure(figure, "no training that judges", judges.iter().map(|judge| judge.figures.clone())));
    };
    let same = |genotype: &Genotype| *genotype == judge.genotype;
    let epoch = searches[search].genotypes.iter().rposition(same).map(|at| searches[search].epochs[at].epoch);
    let why = format!(
        "`{figure}` of `{}`, {}, is the {} of {} ({})",
        judge.member,
        number(value),
        word(direction),
        counted(all.len(), "training"),
        all.join(", ")
    );
    Ok(Choice { genotype: judge.genotype.clone(), search: Some(search), epoch, why })
}

/// With four decimals at most.
fn number(value: f64) -> String {
    format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn no_figure(figure: &str, who: &str, figures: impl Iterator<Item = BTreeMap<String, f64>>) -> StageError {
    let mut known: BTreeSet<String> = figures.flat_map(BTreeMap::into_keys).collect();
    known.remove("epoch");
    let listed = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let listed = if listed.is_empty() { "none at all".to_owned() } else { listed };
    let message = format!("{who} has a figure `{figure}`; there is {listed}");
    StageError::Input {
        message,
        hint: nearest(figure, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?")),
    }
}

/// The latest epoch whose network is within the budget.
fn within(budget: &Budget, build: &Build, search: &Searched) -> Result<Choice, StageError> {
    let cost = |at: usize| network_cost::of(&search.genotypes[at], &search.space, build);
    let most = [(budget.parameters, "parameters"), (budget.multiply_adds, "multiply-adds")];
    let most = most.iter().filter_map(|(most, what)| most.map(|most| format!("{most} {what}")));
    let most = most.collect::<Vec<_>>().join(" and ");
    let epochs = search.epochs.len();
    match budget.latest_within(epochs, cost)? {
        Affordable::Latest(at, cost) => {
            let why = format!(
                "the latest of {} within {most}: it has {}",
                counted(epochs, "epoch"),
                network_cost::shown(cost)
            );
            Ok(of_epoch(std::slice::from_ref(search), 0, at, why))
        }
        Affordable::Nearest(at, cost) => {
            let (epoch, cost) = (search.epochs[at].epoch, network_cost::shown(cost));
            let nearest = format!("nearest comes that of epoch {epoch} with {cost}");
            Err(StageError::input(format!("no epoch's network is within {most}; {nearest}")))
        }
        Affordable::Nothing => Err(StageError::input("the search has no epoch")),
    }
}

/// What the space's rule takes from the mean of the mixing weights that the searches ended with.
fn consensus(searches: &[Searched]) -> Result<Choice, StageError> {
    let first = &searches[0];
    if let Some(other) = searches.iter().find(|search| search.mixing != first.mixing) {
        return Err(StageError::input(format!(
            "`{}` and `{}` have different relaxations: their mixing weights have no common mean",
            first.member, other.member
        )));
    }
    let last: Vec<_> = searches.iter().map(|search| search.epochs[search.last()].weights()).collect();
    let genotype = first.space.derive(&mean_weights(&last)).map_err(|error| StageError::failed(error.to_string()))?;
    let own = searches.iter().filter(|search| search.genotypes[search.last()] == genotype).count();
    let why = format!(
        "the mean of the mixing weights of {}, each after its last epoch; {own} of them derive to it by themselves",
        counted(searches.len(), "search")
    );
    Ok(Choice { genotype, search: None, epoch: None, why })
}

#[cfg(test)]
mod tests;
