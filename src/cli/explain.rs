//! `darts-run explain`: why stages would run, every reason of each; or in what two results differ, and since which epoch.

use super::{
    Complaint, StoreArguments, output, path,
    run::{PipelineArguments, planned},
    stage_result::{StageResult, manifest, published},
    store::{existing, if_there},
};
use crate::{
    observe::{self, Look},
    plan,
    records::AlphaHistory,
    run::{self, Outlook},
    space::Space,
    store::{Record, Store},
};
use clap::Args;
use serde_json::Value as Json;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  darts-run explain pipelines/cifar10.yaml search --set search.epochs=60
      every reason for which `search`, and what it reads, would run
  darts-run explain 'cifar10/search[seed=0]' 'cifar10/search[seed=1]'
      what the two were made of, where their figures part, which alpha differs most";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArguments {
    /// A pipeline file, or a result: PIPELINE/STAGE, or the first digits of its key
    #[arg(value_name = "FILE|RESULT", value_parser = path())]
    what: PathBuf,
    /// Of a file its stages, of a result the one to compare with
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) fn run(arguments: &ExplainArguments) -> Result<u8, Complaint> {
    let is_file = arguments.what.is_file() || arguments.what.extension().is_some_and(|ending| ending == "yaml");
    let text = if is_file { of_file(arguments)? } else { of_results(arguments)? };
    let look = Look::of_stdout();
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        observe::fold(&look.text(line), look.width, indent + 2) + "\n"
    };
    output::say(text.lines().map(line).collect::<String>())?;
    Ok(0)
}

fn of_file(arguments: &ExplainArguments) -> Result<String, Complaint> {
    let (pipeline, stages) = planned(&arguments.what, &arguments.pipeline)?;
    let store = if_there(&arguments.store)?;
    let screen = observe::on_stderr();
    let foreseen = run::foresee(&pipeline, stages, store.as_ref(), screen.as_ref());
    let foreseen = foreseen.map_err(|error| Complaint::store(&error))?;
    let lines = foreseen.iter().map(|stage| {
        let name = &stage.stage;
        match &stage.outlook {
            Outlook::Cached => {
                format!("{name}: cached, {}\n", stage.key.map_or_else(String::new, |key| key.to_string()))
            }
            Outlook::Runs { reasons, from_checkpoint } => {
                let from = if *from_checkpoint { " on from its checkpoint" } else { "" };
                let reasons: String = reasons.iter().map(|reason| format!("  {reason}\n")).collect();
                format!("{name}: would run{from}\n{reasons}")
            }
            Outlook::Waits { on } => format!("{name}: waits for {}\n", on.join(", ")),
            Outlook::Unknown { why } => format!("{name}: not known before it runs: {why}\n"),
        }
    });
    Ok(lines.collect())
}

fn of_results(arguments: &ExplainArguments) -> Result<String, Complaint> {
    let first = arguments.what.to_string_lossy().into_owned();
    let [second] = &arguments.pipeline.stages[..] else {
        return Err(Complaint::usage(format!("`{first}` is no file, and of results two are compared"))
            .hint("name a pipeline file and a stage, or two results as PIPELINE/STAGE"));
    };
    if let Some(setting) = arguments.pipeline.settings.first() {
        return Err(Complaint::usage(format!("`--set {setting}` has a meaning for pipeline files, not for results")));
    }
    let store = existing(&arguments.store)?;
    let read = |word: &str| -> Result<Compared<'_>, Complaint> {
        Ok(Compared { store: &store, word: word.to_owned(), record: StageResult::record(&store, word)? })
    };
    let (one, other) = (read(&first)?, read(second)?);
    let mut lines = one.made_of(&other)?;
    lines.extend(one.outputs(&other));
    lines.extend(one.figures(&other));
    lines.extend(one.epochs(&other)?);
    lines.extend(one.alphas(&other)?);
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// As many figures as are told.
const TOLD: usize = 12;

/// A result that is compared.
struct Compared<'a> {
    store: &'a Store,
    word: String,
    record: Record,
}

impl Compared<'_> {
    /// What went in.
    fn made_of(&self, other: &Self) -> Result<Vec<String>, Complaint> {
        let manifests = [self, other].map(|of| manifest(&of.word, &of.record.manifest));
        let [one, two] = manifests;
        let reasons = plan::diff(&one?, &two?);
        if reasons.is_empty() {
            return Ok(vec!["made of the same".to_owned()]);
        }
        let lines = reasons.iter().map(|reason| format!("  {reason}"));
        Ok(["made of".to_owned()].into_iter().chain(lines).collect())
    }

    fn outputs(&self, other: &Self) -> Vec<String> {
        let (one, two) = (&self.record.outputs, &other.record.outputs);
        let names: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
        let (same, differ): (Vec<&String>, Vec<&String>) =
            names.into_iter().partition(|name| one.get(*name) == two.get(*name));
        let listed = |words: &str, names: Vec<&String>| {
            let names = names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            (!names.is_empty()).then(|| format!("{words}: {names}"))
        };
        [listed("the same bytes", same), listed("other bytes", differ)].into_iter().flatten().collect()
    }

    /// What is measured of the whole.
    fn figures(&self, other: &Self) -> Vec<String> {
        let (one, two) = (&self.record.metrics, &other.record.metrics);
        let differ = one.iter().filter_map(|(name, value)| {
            let new = two.get(name).filter(|new| *new != value)?;
            Some(format!("  {name} {} → {}", observe::number(*value), observe::number(*new)))
        });
        let lines: Vec<String> = differ.collect();
        few("figures".to_owned(), lines)
    }

    /// The JSON output `name`, where both have it.
    fn both<T: serde::de::DeserializeOwned>(&self, other: &Self, name: &str) -> Result<Option<[T; 2]>, Complaint> {
        let read = |of: &Self| -> Result<Option<T>, Complaint> {
            let bytes = of.record.outputs.get(name).map(|object| of.store.bytes(object)).transpose();
            published(&of.word, name, bytes.map_err(|error| Complaint::store(&error))?)
        };
        Ok(read(self)?.zip(read(other)?).map(|(one, two)| [one, two]))
    }

    /// The first epoch of which they tell other things.
    fn epochs(&self, other: &Self) -> Result<Vec<String>, Complaint> {
        let Some([one, two]) = self.both::<Vec<Json>>(other, "metrics")? else { return Ok(Vec::new()) };
        let Some(at) = one.iter().zip(&two).position(|(one, two)| one != two) else {
            let [one, two] = [one.len(), two.len()];
            let shorter = one.min(two);
            return Ok(if one == two {
                Vec::new()
            } else {
                vec![format!("alike for {shorter} epochs, of {one} and {two}")]
            });
        };
        let mut lines = Vec::new();
        plan::leaves(String::new(), one.get(at), two.get(at), &mut |path, old, new| {
            let [old, new] = [old, new].map(|value| value.map_or_else(|| "none".to_owned(), shown));
            lines.push(format!("  {path} {old} → {new}"));
        });
        Ok(few(format!("their ways part in epoch {}", at + 1), lines))
    }

    /// Of searches the entry of the alphas that differs most at the end of both.
    fn alphas(&self, other: &Self) -> Result<Vec<String>, Complaint> {
        let Some([one, two]) = self.both::<AlphaHistory>(other, "alphas")? else { return Ok(Vec::new()) };
        let labels = |of: &AlphaHistory| -> Vec<String> {
            of.epochs.last().map_or_else(Vec::new, |last| last.tables.iter().map(|table| table.label.clone()).collect())
        };
        if one.space != two.space || labels(&one) != labels(&two) {
            return Ok(vec![format!("alphas of two spaces: `{}` and `{}`", one.space, two.space)]);
        }
        let space = self.record.outputs.get("space").and_then(|object| self.store.bytes(object).ok());
        let space = space.and_then(|text| Space::parse(Path::new(&one.space), String::from_utf8(text).ok()?).ok());
        let (mut largest, mut found) = (0.0, None);
        let last = one.epochs.iter().zip(&two.epochs).next_back();
        for (one, two) in last.iter().flat_map(|(one, two)| one.tables.iter().zip(&two.tables)) {
            for (row, (old, new)) in one.alphas.iter().zip(&two.alphas).enumerate() {
                for (column, (&old, &new)) in old.iter().zip(new).enumerate() {
                    if (new - old).abs() > largest {
                        (largest, found) = ((new - old).abs(), Some((&one.label, row, column, old, new)));
                    }
                }
            }
        }
        Ok(found.map_or_else(Vec::new, |(table, row, column, old, new)| {
            let name = space.and_then(|space| space.entry_name(table, row, column));
            let name = name.unwrap_or_else(|| format!("row {row}, column {column}"));
            let epoch = last.map_or(0, |(one, _)| one.epoch);
            vec![format!("the alpha that differs most after epoch {epoch}: {table} {name}, {old:.4} → {new:.4}")]
        }))
    }
}

/// Lines below a head, the first ones where there are many; nothing where there are none.
fn few(head: String, mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(TOLD);
    lines.truncate(TOLD);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    if lines.is_empty() { lines } else { [vec![head], lines].concat() }
}

/// A number as people read it, a text as it is.
fn shown(value: &Json) -> String {
    match value {
        Json::Number(number) => number.as_f64().map_or_else(|| number.to_string(), observe::number),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
