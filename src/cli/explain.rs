//! `darts-run explain`: why stages would run, every reason of each; or in what two results differ,
//! and since which epoch.

use super::{
    Complaint, StoreArguments, output, path,
    plan::foreseen,
    run::PipelineArguments,
    stage_result::{StageResult, manifest, published},
    store::existing,
};
use crate::{
    observe::{self, Look},
    plan,
    records::AlphaHistory,
    space::Space,
    store::{Record, Store},
};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

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
    // Of a file its stages, of a result the one to compare with.
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) fn run(arguments: &ExplainArguments) -> Result<u8, Complaint> {
    let is_file = arguments.what.is_file() || arguments.what.extension().is_some_and(|ending| ending == "yaml");
    let look = Look::of_stdout();
    if is_file {
        let (_, foreseen) = foreseen(&arguments.what, &arguments.pipeline, &arguments.store)?;
        output::say(observe::explained(&foreseen, &look))?;
    } else {
        let line = |line: &String| {
            let indent = line.len() - line.trim_start().len();
            observe::fold(&look.text(line), look.width, indent + 2) + "\n"
        };
        output::say(of_results(arguments)?.iter().map(line).collect::<String>())?;
    }
    Ok(0)
}

/// In what they differ, line by line.
fn of_results(arguments: &ExplainArguments) -> Result<Vec<String>, Complaint> {
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
    Ok(lines)
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
        let [one, two] = [self, other].map(|of| manifest(&of.word, &of.record.manifest));
        let reasons = plan::diff(&one?, &two?);
        if reasons.is_empty() {
            return Ok(vec!["made of the same".to_owned()]);
        }
        let lines = reasons.iter().map(|reason| format!("  {reason}"));
        Ok(["made of".to_owned()].into_iter().chain(lines).collect())
    }

    fn outputs(&self, other: &Self) -> Vec<String> {
        let [same, differ] = self.record.compare_outputs(&other.record);
        let listed =
            |words: &str, names: Vec<&str>| (!names.is_empty()).then(|| format!("{words}: {}", names.join(", ")));
        [listed("the same bytes", same), listed("other bytes", differ)].into_iter().flatten().collect()
    }

    /// What is measured of the whole.
    fn figures(&self, other: &Self) -> Vec<String> {
        let (one, two) = (&self.record.metrics, &other.record.metrics);
        let differ = one.iter().filter_map(|(name, value)| {
            let new = two.get(name).filter(|new| *new != value)?;
            Some(format!("  {name} {} → {}", observe::number(*value), observe::number(*new)))
        });
        few("figures".to_owned(), differ.collect())
    }

    /// The JSON output `name`, where both have it.
    fn both<T: DeserializeOwned>(&self, other: &Self, name: &str) -> Result<Option<[T; 2]>, Complaint> {
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
            let of_other_lengths =
                (one != two).then(|| format!("alike for {} epochs, of {one} and {two}", one.min(two)));
            return Ok(of_other_lengths.into_iter().collect());
        };
        let mut lines = Vec::new();
        plan::differences(String::new(), one.get(at), two.get(at), &mut |path, old, new| {
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
        let last = one.epochs.iter().zip(&two.epochs).next_back();
        let tables = last.iter().flat_map(|(one, two)| one.tables.iter().zip(&two.tables));
        let entries = tables.flat_map(|(one, two)| {
            let rows = one.alphas.iter().zip(&two.alphas).enumerate();
            rows.flat_map(move |(row, (old, new))| {
                old.iter().zip(new).enumerate().map(move |(column, (&old, &new))| (&one.label, row, column, old, new))
            })
        });
        let most = entries.max_by(|(.., a, b), (.., c, d)| (b - a).abs().total_cmp(&(d - c).abs()));
        let Some((table, row, column, old, new)) = most.filter(|(.., old, new)| old != new) else {
            return Ok(Vec::new());
        };
        let name = space.and_then(|space| space.entry_name(table, row, column));
        let name = name.unwrap_or_else(|| format!("row {row}, column {column}"));
        let epoch = last.map_or(0, |(one, _)| one.epoch);
        Ok(vec![format!("the alpha that differs most after epoch {epoch}: {table} {name}, {old:.4} → {new:.4}")])
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
