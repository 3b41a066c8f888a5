//! `derive`: chooses a genotype from the alphas of searches, by the rule of their space and a rule
//! of its own.
//!
//! ```yaml
//! derive: {search: search}                        # what the last epoch derives to, as DARTS does
//! derive: {search: search, rule: {epoch: 12}}
//! derive: {search: "search[*]", rule: {best: held_out_accuracy_percent}}
//! derive: {search: "search[*]", judged_by: "short[*]", rule: {best: held_out_accuracy_percent}}
//! derive: {search: search, rule: {at_most: {normal: {skip_connect: 2}}}}
//! derive: {search: search, rule: {threshold: 0.85}}
//! derive: {search: search, rule: {within: {multiply_adds: 600e6, skeleton: imagenet}}}
//! derive: {search: "search[*]", rule: consensus}
//! ```

mod choice;
mod rule;
mod searched;

use super::{PlanContext, artifacts};
use crate::{
    config::Fields,
    records::{self, Derivation, DerivedEpoch, DerivedSearch, LATTICE_SIZE},
    run::{Context, Stage, StageError},
    space::Genotype,
};
use choice::{Choice, Judge};
use rule::Rule;
use searched::Searched;
use serde_json::Value as Json;

struct Derive {
    rule: Rule,
    /// As it is hashed and told.
    rule_json: Json,
    /// Names of what is gathered, where the rule takes several: what is published tells them apart
    /// by it.
    searches: Vec<String>,
    judges: Vec<String>,
    /// Of the rule, for what shows only when it is followed.
    place: String,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    if fields.has("epoch") {
        let place = fields.origin_of("epoch").clone();
        fields.problems().add_with_hint(&place, "`epoch` is a rule", "write `rule: {epoch: …}`");
        return None;
    }
    let rule = rule::read(fields, context);
    let place = fields.origin_of("rule").clone();
    let names = |slot: &str| context.inputs_of(slot).iter().map(|named| named.member.clone()).collect::<Vec<_>>();
    let (searches, judges) = (names("search"), names("judged_by"));
    let rule = rule?;
    rule.check(&place, context, fields.problems());
    // One search goes without a name: what it derives to is the same under any.
    let searches = if searches.len() > 1 || !judges.is_empty() { searches } else { Vec::new() };
    for (key, members) in [("searches", &searches), ("judges", &judges)] {
        if !members.is_empty() {
            fields.hash(key, members.clone());
        }
    }
    Some(Box::new(Derive { rule, rule_json: fields.hashed("rule"), searches, judges, place: place.to_string() }))
}

impl Stage for Derive {
    fn reads(&self, slot: &str) -> Option<&'static [&'static str]> {
        match (slot, &self.rule) {
            ("judged_by", _) => Some(&["genotype", "metrics"]),
            (_, Rule::Best { .. }) if self.judges.is_empty() => Some(&["alphas", "space", "metrics"]),
            _ => Some(&["alphas", "space"]),
        }
    }

    fn gathers(&self, _slot: &str) -> bool {
        self.rule.takes_several()
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let named = !self.searches.is_empty();
        let searches: Vec<Searched> = context.inputs("search").iter().map(Searched::read).collect::<Result<_, _>>()?;
        let first = searches.first().ok_or_else(|| StageError::input("`search` names no search"))?;
        if let Some(other) = searches.iter().find(|search| search.space.digest() != first.space.digest()) {
            return Err(StageError::input(format!(
                "`{}` and `{}` searched different spaces: a cell is derived from one",
                first.member, other.member
            )));
        }
        let judges: Vec<Judge> = context
            .inputs("judged_by")
            .iter()
            .map(|input| Judge::read(input, &first.space))
            .collect::<Result<_, _>>()?;
        let Choice { genotype, search, epoch, why } =
            choice::choose(&self.rule, &searches, &judges).map_err(|error| at(&self.place, error))?;

        let missing: Vec<String> = ["search", "judged_by"]
            .into_iter()
            .flat_map(|slot| context.missing(slot))
            .map(|missing| missing.member.clone())
            .collect();
        let text = |genotype: &Genotype| artifacts::customary_text(genotype, &first.space);
        let derivation = Derivation {
            rule: self.rule_json.clone(),
            why,
            search: search.filter(|_| named).map(|search| searches[search].member.clone()),
            epoch,
            genotype: text(&genotype)?,
            searches: searches
                .iter()
                .map(|search| {
                    let epochs =
                        search.epochs.iter().zip(&search.genotypes).map(|(alphas, genotype)| {
                            Ok(DerivedEpoch { epoch: alphas.epoch, genotype: text(genotype)? })
                        });
                    Ok(DerivedSearch {
                        search: named.then(|| search.member.clone()),
                        epochs: epochs.collect::<Result<_, StageError>>()?,
                    })
                })
                .collect::<Result<_, StageError>>()?,
            missing,
        };
        if let Some(cells) = first.lattice {
            context.note(LATTICE_SIZE, cells.into());
        }
        context.publish_bytes("genotypes", &records::bytes(&derivation))?;
        if let Some(epoch) = epoch {
            context.metric("epoch", epoch as f64);
        }
        artifacts::publish_genotype(context, &genotype, &first.space, &first.space_text)
    }
}

/// The error with the place of the rule that led to it.
fn at(place: &str, error: StageError) -> StageError {
    match error {
        StageError::Input { message, hint } => StageError::Input { message: format!("{place}: {message}"), hint },
        other => other,
    }
}
