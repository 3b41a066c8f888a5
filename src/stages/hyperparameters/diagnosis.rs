//! The keys that say how closely a search is looked at, and when it ends early.

use super::{COUNT, optional_count};
use crate::{
    config::{Fields, Node},
    run::StageError,
    space::Space,
    train::{
        DiagnosisConfig,
        diagnosis::{CountRule, EigenvalueRule, StopEarly},
    },
};

const HOLD_OUT: &str = "hold some out with `split: halves` in `prepare`, and leave `images` at `fit`";

/// `diagnose: {benefit_batches: 1, eigenvalue_every: 5, eigenvalue_iterations: 20}` and
/// `stop_early: {count: {operation: skip_connect, more_than: 2}, eigenvalue: {ratio: 1.3, window: 5}}`.
pub fn diagnosis(fields: &mut Fields<'_>, space: Option<&Space>, holds_out: bool) -> DiagnosisConfig {
    let nothing = Node::empty_map();
    let defaults = DiagnosisConfig::default();
    let node = fields.node("diagnose").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`diagnose`", fields.problems());
    let benefit_batches = keys.integer("benefit_batches", defaults.benefit_batches, 0.., "a whole number from 0");
    let eigenvalue_every = optional_count(&mut keys, "eigenvalue_every");
    let eigenvalue_iterations = keys.integer("eigenvalue_iterations", defaults.eigenvalue_iterations, 1.., COUNT);
    if eigenvalue_every.is_some() && !holds_out {
        let place = keys.origin_of("eigenvalue_every").clone();
        keys.problems().add_with_hint(&place, NO_EIGENVALUE, HOLD_OUT);
    }
    keys.close();
    let stop_early = stop_early(fields, space, eigenvalue_every);
    DiagnosisConfig { benefit_batches, eigenvalue_every, eigenvalue_iterations, stop_early }
}

const NO_EIGENVALUE: &str = "an eigenvalue is of the loss on images that are held out, and there are none";

/// Where a data set holds nothing out.
pub fn no_eigenvalue() -> StageError {
    StageError::Input { message: NO_EIGENVALUE.to_owned(), hint: Some(HOLD_OUT.to_owned()) }
}

fn stop_early(fields: &mut Fields<'_>, space: Option<&Space>, eigenvalue_every: Option<usize>) -> StopEarly {
    let Some(node) = fields.node("stop_early") else { return StopEarly::default() };
    let mut keys = Fields::open(node, "`stop_early`", fields.problems());
    let count = keys.node("count").map(|node| count(node, space, &mut keys));
    let eigenvalue = keys.node("eigenvalue").map(|node| {
        if eigenvalue_every.is_none() {
            let message = "a search that ends by its eigenvalue must measure it";
            keys.problems().add_with_hint(&node.origin, message, "give `diagnose: {eigenvalue_every: 1}`");
        }
        let mut keys = Fields::open(node, "`eigenvalue`", keys.problems());
        let (ratio, window) =
            (keys.number("ratio", 1.3, 1.0.., "a number from 1"), keys.integer("window", 5, 1.., COUNT));
        keys.close();
        EigenvalueRule { ratio, window }
    });
    keys.close();
    StopEarly { count, eigenvalue }
}

fn count(node: &Node, space: Option<&Space>, outer: &mut Fields<'_>) -> CountRule {
    let mut keys = Fields::open(node, "`count`", outer.problems());
    let operation = keys.required_text("operation");
    let has = |space: &Space| {
        space.cell_kinds().iter().any(|kind| kind.candidates.iter().flatten().any(|it| *it == operation))
    };
    if let Some(space) = space.filter(|space| !operation.is_empty() && !has(space)) {
        let mut known: Vec<&str> = Vec::new();
        for name in space.cell_kinds().iter().flat_map(|kind| kind.candidates.iter().flatten()) {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let place = keys.origin_of("operation").clone();
        let message = format!("no cell of space `{}` has the candidate `{operation}`", space.name);
        keys.problems().add_with_hint(&place, message, format!("it has {known}"));
    }
    keys.required_node("more_than");
    let more_than = keys.integer("more_than", 0, 0.., "a whole number from 0");
    keys.close();
    CountRule { operation, more_than }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Problems, space::shipped};

    fn read(text: &str, holds_out: bool) -> Result<DiagnosisConfig, String> {
        let node = Node::parse("test", text).unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "a search", &mut problems);
        let space = shipped::space("darts");
        let config = diagnosis(&mut fields, Some(&space), holds_out);
        fields.close();
        let said: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        if said.is_empty() { Ok(config) } else { Err(said.join("\n")) }
    }

    #[test]
    fn nothing_ends_a_search_early_and_nothing_costly_is_measured_unless_asked_for() {
        let config = read("{}", false).unwrap();
        assert_eq!(config, DiagnosisConfig::default());
        assert_eq!((config.benefit_batches, config.eigenvalue_every), (1, None));
        assert_eq!(config.stop_early, StopEarly { count: None, eigenvalue: None });
        let text = "{diagnose: {benefit_batches: 0, eigenvalue_every: 1}, stop_early: {eigenvalue: {}, \
                    count: {operation: skip_connect, more_than: 2}}}";
        let config = read(text, true).unwrap();
        assert_eq!((config.benefit_batches, config.eigenvalue_every), (0, Some(1)));
        let count = CountRule { operation: "skip_connect".to_owned(), more_than: 2 };
        assert_eq!(config.stop_early.count, Some(count));
        assert_eq!(config.stop_early.eigenvalue, Some(EigenvalueRule { ratio: 1.3, window: 5 }));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, holds_out, said) in [
            ("{diagnose: {eigenvalue_every: 2}}", false, "an eigenvalue is of the loss on images that are held out"),
            ("{stop_early: {eigenvalue: {}}}", true, "must measure it"),
            (
                "{stop_early: {count: {operation: skip, more_than: 1}}}",
                true,
                "no cell of space `darts` has the candidate `skip`",
            ),
            ("{stop_early: {count: {operation: none}}}", true, "`count` lacks the key `more_than`"),
            ("{diagnose: {every: 2}}", true, "unknown key `every` in `diagnose`"),
            ("{stop_early: {epochs: 2}}", true, "unknown key `epochs` in `stop_early`"),
        ] {
            let found = read(text, holds_out).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }
}
