//! Whether what a space's file says in one place fits what it says in another.

use super::cell::CellKind;
use super::hint::did_you_mean;
use super::operation::Operation;
use crate::config::{Node, Origin, Problems};
use crate::space::derivation::rule::Derivation;
use crate::space::{GenotypeText, genotype::text};
use indexmap::IndexMap;

/// Derivation excludes operations that there are.
pub(super) fn excluded(
    node: &Node,
    derivation: &Derivation,
    operations: &IndexMap<String, Operation>,
    problems: &mut Problems,
) {
    let origin = &node.get("exclude").unwrap_or(node).origin;
    for name in derivation.exclude.iter().filter(|name| !operations.contains_key(*name)) {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(origin, format!("unknown operation `{name}` in `exclude`"), hint);
    }
}

/// Names can be written in the space's text form, and read again.
pub(super) fn names(node: &Node, form: GenotypeText, problems: &mut Problems) {
    type Fault = fn(&str, GenotypeText) -> Option<&'static str>;
    let sections: [(&str, &str, Fault); 2] =
        [("operations", "operation", text::operation_fault), ("cells", "cell kind", text::kind_fault)];
    for (section, what, fault) in sections {
        for (name, entry) in node.get(section).and_then(Node::as_map).into_iter().flatten() {
            if let Some(why) = fault(name, form) {
                let message = format!("the {what} `{name}` cannot stand in the text of a cell: {why}");
                problems.add_with_hint(&entry.key, message, "give it a name of letters, digits and `_`");
            }
        }
    }
}

/// An auxiliary skip connection stands where a candidate may stand.
pub(super) fn skip(
    name: &str,
    place: &Origin,
    kinds: &IndexMap<String, CellKind>,
    operations: &IndexMap<String, Operation>,
    problems: &mut Problems,
) {
    let Some(operation) = operations.get(name) else {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(place, format!("unknown operation `{name}` in `skip`"), hint);
        return;
    };
    let mut strides = kinds.values().map(|kind| kind.input_stride).chain([1]);
    if let Some(fault) = strides.find_map(|stride| operation.fault(stride)) {
        problems.add(place, format!("operation `{name}` {fault}"));
    }
}

/// Each kind has a table of its own, and betas of its own.
pub(super) fn tables(node: &Node, kinds: &IndexMap<String, CellKind>, problems: &mut Problems) {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for kind in kinds.values() {
        for (key, label) in [("alphas", &kind.alphas), ("betas", &kind.betas)] {
            match known.iter().find(|(earlier, _)| earlier == label) {
                Some((_, owner)) if !label.is_empty() => {
                    let written = node.get("cells").and_then(|cells| cells.get(&kind.name));
                    let place = written.and_then(|kind| kind.get(key).or(Some(kind))).unwrap_or(node);
                    problems.add(&place.origin, format!("`{label}` is the table of cell kind `{owner}` already"));
                }
                _ => known.push((label, &kind.name)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::edited::edited;
    use crate::space::{CellGenotype, Choice, Genotype, GenotypeText, Space, shipped};
    use std::{fs, path::Path};

    /// The space of NAS-Bench-201 with another name for one of its operations, and another
    /// customary text form.
    fn renamed(name: &str, form: &str) -> Result<Space, Vec<String>> {
        let text = fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
        let name = serde_json::to_string(name).unwrap();
        let text = edited(&text, &[("nor_conv_3x3", &name), ("cell_string", form)]);
        Space::parse(Path::new("s.yaml"), text)
            .map_err(|problems| problems.iter().map(|p| format!("{} {}", p.origin, p.message)).collect())
    }

    #[test]
    fn a_name_is_refused_or_a_cell_that_has_it_is_read_back() {
        let names = "|+~'\"\\\n\t#:()[]{},<>-=&*!%@`/. é".chars();
        let names = names.flat_map(|c| [format!("a{c}b"), format!("{c}b"), format!("a{c}")]).chain(["a->b".to_owned()]);
        let names: Vec<String> = names.collect();
        let mut read_back = 0;
        for (form, written) in [
            ("cell_string", &[GenotypeText::CellString, GenotypeText::Yaml][..]),
            ("namedtuple", &[GenotypeText::NamedTuple, GenotypeText::CellString, GenotypeText::Yaml]),
            ("yaml", &[GenotypeText::Yaml]),
        ] {
            for name in &names {
                let Ok(space) = renamed(name, form) else { continue };
                let node = |node: usize| (0..node).map(|source| Choice { operation: name.clone(), source }).collect();
                let cell = CellGenotype { nodes: (1..4).map(node).collect(), output: vec![3], widths: Vec::new() };
                let genotype = Genotype { cells: [("cell".to_owned(), cell)].into_iter().collect(), path: Vec::new() };
                for &form in written {
                    let text = genotype.to_text(form, &space).unwrap();
                    let read = Genotype::parse(&text, &space);
                    assert_eq!(read.ok().as_ref(), Some(&genotype), "{name:?} in {form:?}: {text}");
                    read_back += 1;
                }
            }
        }
        assert!(read_back > 200, "{read_back}");
    }

    #[test]
    fn an_operation_that_a_cell_string_cannot_hold_is_refused_at_its_place() {
        let said = renamed("a|b", "cell_string").unwrap_err();
        let why = "the operation `a|b` cannot stand in the text of a cell: it has a `|`, a `+` or a `->`";
        assert!(said.iter().any(|said| said.starts_with("s.yaml:") && said.ends_with(why)), "{said:?}");
        assert!(renamed("a|b", "yaml").is_ok());
    }
}
