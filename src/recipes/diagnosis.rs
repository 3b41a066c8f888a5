//! The keys that say how closely a search is looked at, and when it ends early.

use super::{COUNT, never_reached};
use crate::{
    config::Fields,
    space::Space,
    train::{
        DiagnosisConfig,
        diagnosis::{CountRule, EigenvalueRule, StopEarly},
    },
};

/// The way to images that are held out.
pub const HOLD_OUT: &str = "hold some out with `split: halves` in `prepare`, and leave `images` at `fit`";

/// `diagnose: {benefit_batches: 1, eigenvalue_every: 5, eigenvalue_iterations: 20}` and
/// `stop_early: {count: {operation: skip_connect, more_than: 2}, eigenvalue: {ratio: 1.3, window: 5}}`.
pub fn diagnosis(fields: &mut Fields<'_>, space: Option<&Space>, holds_out: bool, epochs: usize) -> DiagnosisConfig {
    let diagnosis = fields.map("diagnose", |keys| {
        let defaults = DiagnosisConfig::default();
        let config = DiagnosisConfig {
            benefit_batches: keys.integer("benefit_batches", defaults.benefit_batches, 0.., "a whole number from 0"),
            eigenvalue_every: keys.optional_integer("eigenvalue_every", 1.., COUNT),
            eigenvalue_iterations: keys.integer("eigenvalue_iterations", defaults.eigenvalue_iterations, 1.., COUNT),
            stop_early: defaults.stop_early,
        };
        match config.eigenvalue_every {
            Some(_) if !holds_out => {
                let place = keys.origin_of("eigenvalue_every").clone();
                keys.problems().add_with_hint(&place, NO_EIGENVALUE, HOLD_OUT);
            }
            Some(every) if every > epochs => never_reached(keys, "eigenvalue_every", every, epochs),
            // The default is no complaint: `--resolve` writes it.
            None if config.eigenvalue_iterations != defaults.eigenvalue_iterations => {
                let place = keys.origin_of("eigenvalue_iterations").clone();
                let message = "`eigenvalue_iterations` is of an eigenvalue that is not measured";
                keys.problems().add_with_hint(&place, message, "give `eigenvalue_every`, or leave it out");
            }
            _ => {}
        }
        config
    });
    let measured = diagnosis.eigenvalue_every.is_some();
    DiagnosisConfig { stop_early: fields.map("stop_early", |keys| stop_early(keys, space, measured)), ..diagnosis }
}

pub const NO_EIGENVALUE: &str = "an eigenvalue is of the loss on images that are held out, and there are none";

fn stop_early(keys: &mut Fields<'_>, space: Option<&Space>, measured: bool) -> StopEarly {
    let count = keys.optional_map("count", |keys| count(keys, space));
    let eigenvalue = keys.optional_map("eigenvalue", |keys| {
        if !measured {
            let place = keys.origin().clone();
            let message = "a search that ends by its eigenvalue must measure it";
            keys.problems().add_with_hint(&place, message, "give `diagnose: {eigenvalue_every: 1}`");
        }
        EigenvalueRule {
            ratio: keys.number("ratio", 1.3, 1.0.., "a number from 1"),
            window: keys.integer("window", 5, 1.., COUNT),
        }
    });
    StopEarly { count, eigenvalue }
}

fn count(keys: &mut Fields<'_>, space: Option<&Space>) -> CountRule {
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
    CountRule { operation, more_than: keys.integer("more_than", 0, 0.., "a whole number from 0") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Node, Problems},
        space::shipped,
    };

    fn read(text: &str, holds_out: bool) -> Result<DiagnosisConfig, String> {
        let node = Node::parse("test", text).unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "a search", &mut problems);
        let space = shipped::space("darts");
        let config = diagnosis(&mut fields, Some(&space), holds_out, 50);
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
            (
                "{diagnose: {eigenvalue_every: 51}}",
                true,
                "a training of `epochs: 50` does not come to what `eigenvalue_every` names, 51",
            ),
            ("{diagnose: {eigenvalue_iterations: 5}}", true, "is of an eigenvalue that is not measured"),
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
