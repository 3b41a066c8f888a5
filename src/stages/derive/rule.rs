//! The key `rule` of a `derive` stage: which of the genotypes that searches came to goes on.

use crate::{
    config::{Entry, Fields, Node, Origin, Problems, Value, nearest},
    run::coordinates::agrees,
    space::{Budget, Build, Direction, KeptEdges, Limit, Space},
    stages::{
        network_cost,
        plan_context::{Named, PlanContext},
    },
    tasks::{Better, LOSS},
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    /// The last epoch's: what DARTS does.
    Last,
    Epoch(usize),
    /// That of the epoch, of any search, whose figure is best. Ties go to the earlier epoch, then
    /// to the earlier search.
    Best {
        figure: String,
        direction: Direction,
    },
    /// The last epoch's within limits.
    AtMost(Vec<Limit>),
    /// Every candidate of the last epoch's that is heavier than this.
    Threshold(f64),
    /// That of the latest epoch whose network, built so, is within a budget.
    Within {
        budget: Budget,
        build: Build,
    },
    /// That of the mean of the mixing weights that searches ended with.
    Consensus,
}

const WORDS: [&str; 7] = ["epoch", "best", "highest", "lowest", "at_most", "threshold", "within"];
const RULES: &str =
    "`last`, `consensus`, or a map of one of `epoch`, `best`, `highest`, `lowest`, `at_most`, `threshold` and `within`";

/// The rule that is written, `last` where none is; `None` after a complaint.
pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Rule> {
    let word = match fields.node("rule").map(|node| (node, &node.value)) {
        None => "last",
        Some((_, Value::Text(word))) if word == "last" || word == "consensus" => word,
        Some((_, Value::Map(_))) => {
            let before = fields.problems().len();
            let rule = fields.map("rule", |keys| of_map(keys, context));
            return rule.filter(|_| fields.problems().len() == before);
        }
        Some((node, _)) => {
            fields.wrong("rule", node, RULES);
            return None;
        }
    };
    fields.note("rule", word);
    Some(if word == "last" { Rule::Last } else { Rule::Consensus })
}

fn of_map(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Rule> {
    let given: Vec<&str> = WORDS.into_iter().filter(|word| keys.has(word)).collect();
    match given[..] {
        ["epoch"] => Some(Rule::Epoch(keys.integer("epoch", 1, 1.., "a whole number from 1"))),
        ["best"] => best(keys, context),
        ["highest"] => Some(Rule::Best { figure: keys.required_text("highest"), direction: Direction::Highest }),
        ["lowest"] => Some(Rule::Best { figure: keys.required_text("lowest"), direction: Direction::Lowest }),
        ["at_most"] => limits(keys, context).map(Rule::AtMost),
        ["threshold"] => threshold(keys, context),
        ["within"] => within(keys, context),
        _ => {
            let found = if given.is_empty() { "none".to_owned() } else { format!("`{}`", given.join("`, `")) };
            let place = keys.origin().clone();
            keys.problems().add(&place, format!("`rule` must be {RULES}, found {found}"));
            None
        }
    }
}

/// `best: held_out_accuracy_percent`: whether more or less is better is what the task says of its
/// measures.
fn best(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Rule> {
    let figure = keys.required_text("best");
    let inputs = context.inputs.values().flatten().filter_map(|input| input.tells.measures.get());
    let mut known = inputs.flatten().copied().chain([LOSS]);
    let direction = match known.find(|measure| figure.ends_with(measure.name)).map(|measure| measure.better) {
        Some(Better::Lower) => Direction::Lowest,
        Some(Better::Higher) => Direction::Highest,
        None => {
            let place = keys.origin_of("best").clone();
            let message = format!("it is not known whether more or less of `{figure}` is better");
            keys.problems().add_with_hint(&place, message, format!("write `highest: {figure}` or `lowest: {figure}`"));
            return None;
        }
    };
    // The two ways to say it are one.
    keys.exclude_from_hash("best");
    keys.hash(if direction == Direction::Highest { "highest" } else { "lowest" }, figure.as_str());
    Some(Rule::Best { figure, direction })
}

/// `at_most: {skip_connect: 2}` for each kind of cell, `at_most: {normal: {skip_connect: 2}}` for
/// one.
fn limits(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Vec<Limit>> {
    let node = keys.node("at_most");
    let Some(map) = node.and_then(Node::as_map).filter(|map| !map.is_empty()) else {
        let place = keys.origin_of("at_most").clone();
        let message = "`at_most` must be a map of operations, or of kinds of cell to such maps";
        keys.problems().add_with_hint(&place, message, "for example `at_most: {skip_connect: 2}`");
        return None;
    };
    let space = &context.inherited.as_ref()?.space;
    let kinds: Vec<&str> = space.cell_kinds().iter().map(|kind| kind.name.as_str()).collect();
    let mut limits: Vec<Limit> = Vec::new();
    let mut add = |kinds: &[&str], operation: &str, entry: &Entry, problems: &mut Problems| {
        let Some(count) = limit(operation, entry, space, problems) else { return };
        for &kind in kinds {
            match limits.iter().find(|limit| (limit.kind.as_str(), limit.operation.as_str()) == (kind, operation)) {
                Some(Limit { count: other, .. }) => {
                    let message = format!("`{operation}` has two limits in cells `{kind}`, {other} and {count}");
                    problems.add_with_hint(&entry.key, message, "leave one of them out");
                }
                None => limits.push(Limit { kind: kind.to_owned(), operation: operation.to_owned(), count }),
            }
        }
    };
    for (name, entry) in map {
        match &entry.node.value {
            Value::Map(of_kind) if kinds.contains(&name.as_str()) => {
                of_kind.iter().for_each(|(operation, entry)| add(&[name], operation, entry, keys.problems()));
            }
            Value::Map(_) => unknown("kind of cell", name, &entry.key, kinds.iter().copied(), keys.problems()),
            _ => add(&kinds, name, entry, keys.problems()),
        }
    }
    // For each kind of cell, as it is read too.
    let mut by_kind: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for Limit { kind, operation, count } in &limits {
        by_kind.entry(kind).or_default().insert(operation, *count);
    }
    keys.note("at_most", json!(by_kind));
    Some(limits)
}

/// `threshold: 0.85`, FairDARTS' (arXiv 1911.12126).
fn threshold(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Rule> {
    let threshold = keys.number("threshold", 0.85, 0.0..1.0, "a number from 0 to below 1");
    if context.inherited.as_ref()?.space.derivation().edges == KeptEdges::All {
        let place = keys.origin_of("threshold").clone();
        let message = "the cells of this space have an operation on every edge: none may be left out for its weight";
        keys.problems().add(&place, message);
    }
    Some(Rule::Threshold(threshold))
}

/// At most so many of an operation; `None` after a complaint.
fn limit(operation: &str, entry: &Entry, space: &Space, problems: &mut Problems) -> Option<usize> {
    if !space.operations().any(|known| known == operation) {
        unknown("operation", operation, &entry.key, space.operations(), problems);
        return None;
    }
    let count = match entry.node.value {
        Value::Integer(count) => usize::try_from(count).ok(),
        _ => None,
    };
    if count.is_none() {
        problems.add(&entry.node.origin, format!("`{operation}` must be a whole number from 0: so many at most"));
    }
    count
}

fn unknown<'a>(
    what: &str,
    name: &str,
    place: &Origin,
    known: impl Iterator<Item = &'a str> + Clone,
    problems: &mut Problems,
) {
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the space has {}", known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    problems.add_with_hint(place, format!("unknown {what} `{name}` in `at_most`"), hint);
}

/// `within: {parameters: 3.5e6, skeleton: cifar, channels: 36, size: 20, images: {channels: 3, size: 32, classes: 10}}`
fn within(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Rule> {
    keys.required_node("within")?;
    keys.map("within", |inside| {
        let mut most = |key| {
            if !inside.has(key) {
                inside.hash(key, Json::Null);
                return None;
            }
            let most = inside.number(key, 1.0, 1.0..=1e18, "a number from 1") as u64;
            inside.note(key, most);
            Some(most)
        };
        let (parameters, multiply_adds) = (most("parameters"), most("multiply_adds"));
        if parameters.is_none() && multiply_adds.is_none() {
            let place = inside.origin().clone();
            inside.problems().add(&place, "`within` needs `parameters`, `multiply_adds` or both");
        }
        let build = network_cost::read(inside, context.inherited.as_deref())?;
        Some(Rule::Within { budget: Budget { parameters, multiply_adds }, build })
    })
}

impl Rule {
    pub fn takes_several(&self) -> bool {
        matches!(self, Self::Best { .. } | Self::Consensus)
    }

    /// Complains about what the rule cannot do with the stages that are named: before a search of
    /// days, not after it.
    pub fn check(&self, place: &Origin, context: &PlanContext<'_>, problems: &mut Problems) {
        let (searches, judges) = (context.inputs_of("search"), context.inputs_of("judged_by"));
        if searches.len() > 1 && !self.takes_several() {
            let message = format!("this rule takes one search, `search` names {}", searches.len());
            let hint = "name the sibling (`search: search`), or take `consensus` or the `best` of several";
            problems.add_with_hint(place, message, hint);
        }
        if let Self::Epoch(epoch) = self {
            let epochs = |named: &Named| named.params.as_ref().and_then(|params| params["epochs"].as_u64());
            if let Some(epochs) = searches.iter().filter_map(epochs).find(|epochs| *epochs < *epoch as u64) {
                problems.add(place, format!("the search has {epochs} epochs and not epoch {epoch}"));
            }
        }
        if judges.is_empty() {
            return;
        }
        if !matches!(self, Self::Best { .. }) {
            problems.add(place, "`judged_by` goes with the rules `best`, `highest` and `lowest`");
            return;
        }
        for search in searches {
            let of = judges.iter().filter(|judge| agrees(&judge.point, &search.point)).count();
            if of != 1 {
                let message =
                    format!("`judged_by` must name one training of a cell of `{}`, found {of}", search.member);
                problems.add_with_hint(place, message, "it is the one at the same point of the matrix");
            }
        }
    }
}
