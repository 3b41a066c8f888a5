//! Members that a report was to gather and that are not there.

use crate::{
    report::{Block, Section},
    run::{Input, Missing, coordinates::place},
};
use indexmap::IndexMap;

/// How many of each stage ran and what became of the others; nothing where all ran.
pub(super) fn section(inputs: &[Input], missing: &[Missing]) -> Option<Section> {
    if missing.is_empty() {
        return None;
    }
    let mut stages: Vec<&str> = Vec::new();
    for missing in missing {
        if !stages.contains(&missing.stage.as_str()) {
            stages.push(&missing.stage);
        }
    }
    // Stages of which the same is to be said share a paragraph.
    let mut said: IndexMap<String, Vec<String>> = IndexMap::new();
    for stage in stages {
        let present = inputs.iter().filter(|input| input.stage == stage).count();
        let of_stage: Vec<&Missing> = missing.iter().filter(|missing| missing.stage == stage).collect();
        said.entry(sentence(present, &of_stage, missing)).or_default().push(format!("`{stage}`"));
    }
    let paragraphs = said.iter().map(|(text, stages)| format!("{}{text}", stages.join(", ")));
    let all = paragraphs.collect::<Vec<_>>().join("\n\n");
    Some(Section::new("What did not run", vec![Block::Text(format!("{all}\n\nAll figures below are of what ran."))]))
}

/// `: 3 of 4 ran; seed 2 failed: the loss became NaN`
fn sentence(present: usize, of_stage: &[&Missing], all: &[Missing]) -> String {
    if let ([only], 0) = (of_stage, present)
        && only.point.is_empty()
    {
        return match &only.failures[..] {
            [own] if own.member == only.member => format!(" failed: {}", own.message),
            _ => format!(" did not run{}", causes(only, all)),
        };
    }
    let each = of_stage.iter().map(|missing| match &missing.failures[..] {
        [own] if own.member == missing.member => format!("{} failed: {}", place(&missing.point), own.message),
        _ => format!("{} lacks what it reads{}", place(&missing.point), causes(missing, all)),
    });
    let planned = present + of_stage.len();
    format!(": {present} of {planned} ran; {}", each.collect::<Vec<_>>().join("; "))
}

/// The failures behind it, but for those that are told of their own stage.
fn causes(missing: &Missing, all: &[Missing]) -> String {
    let told = |member: &String| all.iter().any(|other| other.member == *member);
    let new = missing.failures.iter().filter(|failure| !told(&failure.member));
    let causes: Vec<String> = new.map(|failure| format!("`{}` failed: {}", failure.member, failure.message)).collect();
    if causes.is_empty() { String::new() } else { format!(" ({})", causes.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Failure;
    use serde_json::Value as Json;

    fn missing(stage: &str, seed: Option<u64>, failure: (&str, &str)) -> Missing {
        let point: IndexMap<String, Json> = seed.map(|seed| ("seed".to_owned(), seed.into())).into_iter().collect();
        let label = seed.map(|seed| format!("[seed={seed}]")).unwrap_or_default();
        Missing {
            member: format!("{stage}{label}"),
            stage: stage.to_owned(),
            kind: stage.to_owned(),
            point,
            failures: vec![Failure { member: failure.0.to_owned(), message: failure.1.to_owned() }],
        }
    }

    fn text(missing: &[Missing]) -> String {
        let Some(Section { blocks, .. }) = section(&[], missing) else { return String::new() };
        let [Block::Text(text)] = &blocks[..] else { panic!("one text") };
        text.trim_end_matches("\n\nAll figures below are of what ran.").to_owned()
    }

    #[test]
    fn each_failure_is_said_once_and_stages_that_lack_it_share_a_line() {
        let failure = ("search[seed=2]", "the loss became NaN");
        let of = |stage| missing(stage, Some(2), failure);
        assert_eq!(
            text(&[of("search"), of("cell"), of("table")]),
            "`search`: 0 of 1 ran; seed 2 failed: the loss became NaN\n\n\
             `cell`, `table`: 0 of 1 ran; seed 2 lacks what it reads"
        );
        assert_eq!(
            text(&[of("table")]),
            "`table`: 0 of 1 ran; seed 2 lacks what it reads (`search[seed=2]` failed: the loss became NaN)"
        );
        assert_eq!(
            text(&[missing("linear", None, ("linear", "no images")), missing("test", None, ("linear", "no images"))]),
            "`linear` failed: no images\n\n`test` did not run"
        );
        assert_eq!(text(&[]), "");
    }
}
