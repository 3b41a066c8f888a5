//! Which genotype goes on, and why: the rules followed.

use super::{
    rule::{Aim, Budget, Rule},
    searched::Searched,
};
use crate::{
    config::nearest,
    records::{self, Epoch},
    run::{
        Input, StageError,
        point::{Point, agrees},
        sentence,
    },
    space::{Cost, Genotype, Space},
    stages::counted,
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
    pub point: Point,
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
        Rule::Best { figure, aim } if judges.is_empty() => best(figure, *aim, searches),
        Rule::Best { figure, aim } => judged(figure, *aim, searches, judges),
        Rule::AtMost(limits) => {
            let weights = search.epochs[search.last()].weights();
            let derived = search.space.derive_within_limits(&weights, limits);
            let (genotype, struck) = derived.map_err(|error| StageError::input(error.to_string()))?;
            let mut why = format!("the last of {}", counted(epochs, "epoch"));
            if struck.is_empty() {
                why += ", which is within the limits as it is";
            } else {
                let each = struck.iter().map(|struck| {
                    let kind = if search.space.cell_kinds().len() > 1 {
                        format!(" of {}", struck.kind)
                    } else {
                        String::new()
                    };
                    format!("{} {}→{}{kind} ({:.3})", struck.operation, struck.source, struck.target, struck.weight)
                });
                why += &format!(", derived without {}", each.collect::<Vec<_>>().join(", "));
            }
            Ok(Choice { genotype, search: Some(0), epoch: Some(search.epochs[search.last()].epoch), why })
        }
        Rule::Threshold(threshold) => {
            let last = &search.epochs[search.last()];
            let derived = search.space.derive_above(&last.weights(), *threshold);
            let genotype = derived.map_err(|error| StageError::input(error.to_string()))?;
            let why = format!("the last of {}, each candidate above {threshold}", counted(epochs, "epoch"));
            Ok(Choice { genotype, search: Some(0), epoch: Some(last.epoch), why })
        }
        Rule::Within(budget) => within(budget, searches),
        Rule::Consensus => consensus(searches),
    }
}

fn of_epoch(searches: &[Searched], search: usize, at: usize, why: String) -> Choice {
    let of = &searches[search];
    Choice { genotype: of.genotypes[at].clone(), search: Some(search), epoch: Some(of.epochs[at].epoch), why }
}

impl Aim {
    fn word(self) -> &'static str {
        match self {
            Self::Highest => "highest",
            Self::Lowest => "lowest",
        }
    }

    fn prefers(self, new: f64, old: f64) -> bool {
        match self {
            Self::Highest => new > old,
            Self::Lowest => new < old,
        }
    }
}

/// The first of the best; figures that are no numbers are no candidates.
fn first_best<T>(aim: Aim, candidates: impl Iterator<Item = (T, f64)>) -> Option<(T, f64)> {
    candidates.reduce(|best, new| if aim.prefers(new.1, best.1) { new } else { best })
}

fn best(figure: &str, aim: Aim, searches: &[Searched]) -> Result<Choice, StageError> {
    let mut candidates: Vec<((usize, usize), f64)> = Vec::new();
    for (at, search) in searches.iter().enumerate() {
        let of_epoch = |epoch: usize| {
            let figures = search.figures.iter().find(|figures| figures.epoch == epoch)?;
            figures.figures().get(figure).copied()
        };
        let found = search.epochs.iter().enumerate();
        let found = found.filter_map(|(place, alphas)| Some(((place, at), of_epoch(alphas.epoch)?)));
        candidates.extend(found);
    }
    // Of equal figures the earlier epoch's, then the earlier search's.
    candidates.sort_by_key(|(place, _)| *place);
    let (epochs, count) = (candidates.len(), searches.len());
    let Some(((place, at), value)) = first_best(aim, candidates.into_iter()) else {
        let all = searches.iter().flat_map(|search| search.figures.iter().map(Epoch::figures));
        return Err(no_figure(figure, "no epoch", all));
    };
    let of = if count > 1 { format!(" of {}", counted(count, "search")) } else { String::new() };
    let why = format!("its `{figure}`, {}, is the {} of {}{of}", number(value), aim.word(), counted(epochs, "epoch"));
    Ok(of_epoch(searches, at, place, why))
}

/// The cell whose training ended best, each search's being judged by its own.
fn judged(figure: &str, aim: Aim, searches: &[Searched], judges: &[Judge]) -> Result<Choice, StageError> {
    let of = |judge: &Judge| searches.iter().position(|search| agrees(&judge.point, &search.point));
    let candidates: Vec<((usize, &Judge), f64)> =
        judges.iter().filter_map(|judge| Some(((of(judge)?, judge), *judge.figures.get(figure)?))).collect();
    let all: Vec<String> = candidates.iter().map(|(_, value)| number(*value)).collect();
    let Some(((search, judge), value)) = first_best(aim, candidates.into_iter()) else {
        return Err(no_figure(figure, "no training that judges", judges.iter().map(|judge| judge.figures.clone())));
    };
    let same = |genotype: &Genotype| *genotype == judge.genotype;
    let epoch = searches[search].genotypes.iter().rposition(same).map(|at| searches[search].epochs[at].epoch);
    let why = format!(
        "`{figure}` of `{}`, {}, is the {} of {} ({})",
        judge.member,
        number(value),
        aim.word(),
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
fn within(budget: &Budget, searches: &[Searched]) -> Result<Choice, StageError> {
    let search = &searches[0];
    let build = budget.size.build(budget.classes, budget.image, false);
    let mut nearest: Option<(f64, usize, Cost)> = None;
    for at in (0..search.epochs.len()).rev() {
        let network = search.space.discrete(&search.genotypes[at], &build);
        let network = network.map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })?;
        let cost = network.cost();
        let excess = budget.excess(cost);
        if excess <= 1.0 {
            let why = format!(
                "the latest of {} within {}: it has {}",
                counted(search.epochs.len(), "epoch"),
                budget.shown(),
                shown(cost)
            );
            return Ok(of_epoch(searches, 0, at, why));
        }
        if nearest.is_none_or(|(least, ..)| excess < least) {
            nearest = Some((excess, search.epochs[at].epoch, cost));
        }
    }
    let (_, epoch, cost) = nearest.ok_or_else(|| StageError::input("the search has no epoch"))?;
    Err(StageError::input(format!(
        "no epoch's network is within {}; nearest comes that of epoch {epoch} with {}",
        budget.shown(),
        shown(cost)
    )))
}

impl Budget {
    /// How many times as much as may be the worse of the two costs is.
    fn excess(&self, cost: Cost) -> f64 {
        let share = |most: Option<u64>, found: u64| most.map_or(0.0, |most| found as f64 / most as f64);
        share(self.parameters, cost.parameters).max(share(self.multiply_adds, cost.multiply_adds))
    }

    fn shown(&self) -> String {
        let parts = [(self.parameters, "parameters"), (self.multiply_adds, "multiply-adds")];
        let parts = parts.iter().filter_map(|(most, what)| most.map(|most| format!("{most} {what}")));
        parts.collect::<Vec<_>>().join(" and ")
    }
}

fn shown(cost: Cost) -> String {
    format!("{} parameters and {} multiply-adds", cost.parameters, cost.multiply_adds)
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
    let mut mean: BTreeMap<String, Vec<Vec<f64>>> = first.epochs[first.last()].weights();
    for search in &searches[1..] {
        let weights = search.epochs[search.last()].weights();
        for (label, rows) in &mut mean {
            let others = weights.get(label).into_iter().flatten();
            for (sum, value) in rows.iter_mut().zip(others).flat_map(|(row, other)| row.iter_mut().zip(other)) {
                *sum += value;
            }
        }
    }
    let count = searches.len();
    mean.values_mut().flatten().flatten().for_each(|sum| *sum /= count as f64);
    let genotype = first.space.derive(&mean).map_err(|error| StageError::failed(error.to_string()))?;
    let own = searches.iter().filter(|search| search.genotypes[search.last()] == genotype).count();
    let why = format!(
        "the mean of the mixing weights of {}, each after its last epoch; {own} of them derive to it by themselves",
        counted(count, "search")
    );
    Ok(Choice { genotype, search: None, epoch: None, why })
}

#[cfg(test)]
mod tests;
