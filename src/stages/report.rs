//! `report`: tables, curves and drawings of what stages found, in four forms; checks what was
//! expected.

use super::PlanContext;
use crate::{
    config::{Fields, Node, Problems},
    findings::{self, Published},
    recipes::found_file,
    report::{Aggregate, Block, Bound, Document, Expectation, Section, Verdict, html, json, markdown, terminal},
    run::{Context, Input, Resource, Stage, StageError, coordinates},
    space,
    store::Digest,
};
use std::collections::{BTreeMap, BTreeSet};

struct Report {
    title: String,
    expectations: Vec<Expectation>,
    /// Published results that stand beside those of benchmarks.
    published: Option<Published>,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let title = fields.text_or("title", context.pipeline);
    let published = beside(fields, context);
    // What it says is in the key, by its digest.
    fields.exclude_from_hash("beside");
    let named = context.inputs_of("of");
    if published.is_some() && !named.is_empty() && named.iter().all(|named| named.kind != "benchmark") {
        let place = fields.origin_of("beside").clone();
        let message = "`beside` stands beside what a `benchmark` stage found, and `of` names none";
        fields.problems().add(&place, message);
    }
    Some(Box::new(Report { title, expectations: expectations(fields), published }))
}

/// `beside: nas_bench_201_published`: `search_spaces/tables/NAME.yaml`, or a path as it ends in
/// `.yaml`. Nothing where the key is absent, or after a complaint.
fn beside(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Published> {
    let name = fields.text("beside")?;
    let (path, text) = found_file(fields, "beside", space::find_published(&name, context.folder))?;
    let digest = Digest::of(text.as_bytes());
    let read = Node::parse(&path, text).and_then(|node| {
        let mut problems = Problems::new();
        let published = findings::published(&node, digest, &mut problems);
        problems.into_result(published)
    });
    match read {
        Ok(published) => Some(published),
        Err(problems) => {
            fields.problems().extend(problems);
            None
        }
    }
}

/// `expect: [{value: search.train_loss, at_most: 1.5, tolerance: 0.1, over: mean}]`;
/// `value: "search[method=darts].train_loss"` is of the members with that value of an axis alone.
fn expectations(fields: &mut Fields<'_>) -> Vec<Expectation> {
    let expected = "a list of `{value: STAGE.METRIC, at_least: NUMBER}`";
    fields.maps("expect", ("an expectation", expected), expectation).into_iter().flatten().collect()
}

fn expectation(keys: &mut Fields<'_>) -> Option<Expectation> {
    let metric = keys.required_text("value");
    // Results know it by this name.
    keys.exclude_from_hash("value");
    keys.hash("metric", metric.as_str());
    let tolerance = keys.number("tolerance", 0.0, 0.0.., "a number from 0");
    let over = keys.choice(
        "over",
        Aggregate::Mean,
        &[("mean", Aggregate::Mean), ("min", Aggregate::Min), ("max", Aggregate::Max)],
    );
    let mut bounds = Vec::new();
    for key in ["equals", "at_least", "at_most"] {
        if keys.has(key) {
            let value = keys.number(key, 0.0, f64::MIN..=f64::MAX, "a number");
            bounds.push(match key {
                "equals" => Bound::Equals(value),
                "at_least" => Bound::AtLeast(value),
                _ => Bound::AtMost(value),
            });
        }
    }
    let [bound] = bounds[..] else {
        let place = keys.origin().clone();
        keys.problems().add(&place, "an expectation has one of `equals`, `at_least` and `at_most`");
        return None;
    };
    Some(Expectation { metric, bound, tolerance, over })
}

/// The members' values by name of the metric: of all members of a stage, and of those that an
/// expectation selects.
fn metrics(inputs: &[Input], expectations: &[Expectation]) -> BTreeMap<String, Vec<f64>> {
    let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut add = |members: &str, input: &Input| {
        for (name, value) in &input.metrics {
            metrics.entry(format!("{members}.{name}")).or_default().push(*value);
        }
    };
    // Two expectations may select the same members: they are counted once.
    let selections: BTreeSet<&str> = expectations
        .iter()
        .filter_map(|expected| expected.metric.split_once("]."))
        .map(|(members, _)| members)
        .collect();
    for input in inputs {
        add(&input.stage, input);
        for members in &selections {
            if selects(members, input) {
                add(&format!("{members}]"), input);
            }
        }
    }
    metrics
}

/// Whether `stage[axis=value,other=value`, its closing bracket cut off, names this member among
/// others.
fn selects(members: &str, input: &Input) -> bool {
    let Some((stage, coordinates)) = members.split_once('[') else { return false };
    stage == input.stage
        && coordinates.split(',').all(|coordinate| {
            let (axis, value) = coordinate.split_once('=').unwrap_or((coordinate, ""));
            input.point.get(axis.trim()).is_some_and(|found| coordinates::shown(found) == value.trim())
        })
}

impl Stage for Report {
    fn resources(&self) -> Vec<(String, Resource)> {
        self.published.iter().map(|table| ("beside".to_owned(), Resource::Content(table.digest))).collect()
    }

    /// Figures and summaries of the stages are what a report shows.
    fn reads_records(&self) -> bool {
        true
    }

    /// What failed is told; the rest is no worse for it.
    fn gathers(&self, _slot: &str) -> bool {
        true
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let (inputs, missing) = (context.inputs("of"), context.missing("of"));
        let metrics = metrics(inputs, &self.expectations);
        let verdicts: Vec<Verdict> = self.expectations.iter().map(|expected| expected.check_among(&metrics)).collect();
        let mut document = Document::new(&self.title);
        document.sections = findings::sections(inputs, missing, self.published.as_ref())?;
        let lacking = missing.len();
        if !verdicts.is_empty() {
            document.sections.push(Section::new("Expectations", vec![Block::Expectations(verdicts.clone())]));
        }

        context.publish_bytes("report.txt", terminal::plain(&document).as_bytes())?;
        context.publish_bytes("report.md", markdown::render(&document, ".").as_bytes())?;
        context.publish_bytes("report.html", html::render(&document).as_bytes())?;
        context.publish_bytes("report.json", json::render(&document).as_bytes())?;
        for (file, figure) in document.figures() {
            context.publish_bytes(&file, figure.svg.as_bytes())?;
        }
        let missed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.met).collect();
        for verdict in &missed {
            context.expect_missed(format!("{}: {}", verdict.word(), verdict.sentence()));
        }
        context.note("verdicts", serde_json::to_value(&verdicts).expect("verdicts are plain data"));
        let written = match lacking {
            0 => "written".to_owned(),
            some => format!("written without {some} of the {} that it names", some + context.inputs("of").len()),
        };
        context.summary(match (verdicts.len(), missed.len()) {
            (0, _) => written,
            (all, 0) => format!("{written}; {all} of {all} expectations met"),
            (all, missed) => format!("{written}; {missed} of {all} expectations missed"),
        });
        Ok(())
    }
}
