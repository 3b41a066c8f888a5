//! Whether what a space's file says in one place fits what it says in another.

use super::cell::{CellKind, CellShape};
use super::hint::did_you_mean;
use super::operation::Operation;
use super::skeleton::Skeleton;
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

/// A cell that adds one of its inputs to its output keeps its sides.
pub(super) fn residual(node: &Node, shape: &CellShape, kinds: &IndexMap<String, CellKind>, problems: &mut Problems) {
    if shape.output.residual.is_none() {
        return;
    }
    for kind in kinds.values().filter(|kind| kind.input_stride > 1) {
        let written = node.get("cells").and_then(|cells| cells.get(&kind.name)?.get("input_stride")).unwrap_or(node);
        problems.add(&written.origin, "a cell that adds an input to its output has `input_stride: 1`");
    }
}

/// A node that chooses its width is a sum and nothing else.
pub(super) fn node_steps(node: &Node, shape: &CellShape, kinds: &IndexMap<String, CellKind>, problems: &mut Problems) {
    if kinds.values().all(|kind| kind.widths.is_none()) || shape.node.is_empty() {
        return;
    }
    let written = node.get("cell").and_then(|cell| cell.get("node")).unwrap_or(node);
    problems.add(&written.origin, "nodes that choose their widths have no steps of their own");
}

/// A genotype is cells of each kind or a path of one kind, whatever skeleton it is built in; and a
/// lattice is not beyond what can be built.
pub(super) fn lattices(
    node: &Node,
    kinds: &IndexMap<String, CellKind>,
    skeletons: &IndexMap<String, Skeleton>,
    problems: &mut Problems,
) {
    let Some((first, skeleton)) = skeletons.first() else { return };
    let written = |name: &str| node.get("skeletons").and_then(|skeletons| skeletons.get(name)).unwrap_or(node);
    let place = |name: &str, key: &str| &written(name).get(key).unwrap_or(written(name)).origin;
    for (name, other) in skeletons {
        if other.body.lattice() != skeleton.body.lattice() {
            let message = format!("`{name}` and `{first}` must have the same lattice, or none");
            let hint = "a genotype is a path through it: give the other skeleton a space of its own";
            problems.add_with_hint(place(name, "body"), message, hint);
            continue;
        }
        let Some(lattice) = other.body.lattice() else { continue };
        let most = lattice.largest();
        if other.defaults.size > most {
            let message = format!("a lattice with {} blocks can have {most} cells at most", lattice.blocks);
            problems.add(place(name, "size"), message);
        }
    }
    if let Some(lattice) = skeleton.body.lattice()
        && kinds.len() > 1
    {
        let message = format!("a space with a lattice has the one kind of cell that is in it, `{}`", lattice.cell);
        problems.add(&node.get("cells").unwrap_or(node).origin, message);
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

    /// What a network, a search or a genotype would run into is known once the file is read.
    #[test]
    fn what_a_lattice_cannot_be_part_of_is_refused_at_its_place() {
        let text = fs::read_to_string(shipped::path("trilevel_sr.yaml")).unwrap();
        let said = |change: &[(&str, &str)]| {
            let space = Space::parse(Path::new("s.yaml"), edited(&text, change));
            let problems = space.unwrap_err();
            problems.iter().map(|p| format!("{} {}", p.origin, p.message)).collect::<Vec<_>>()
        };
        for (change, expected) in [
            (
                ("    alphas: alpha #", "    input_stride: 2\n    alphas: alpha #"),
                "a cell that adds an input to its output has `input_stride: 1`",
            ),
            (("size: 4", "size: 27"), "a lattice with 2 blocks can have 26 cells at most"),
            (
                ("final: {extends: search}", "final: {extends: search, body: {cell: cell}}"),
                "`final` and `search` must have the same lattice, or none",
            ),
            (
                ("\ncells:\n", "\ncells:\n  other: {alphas: beta, candidates: [skip]}\n"),
                "a space with a lattice has the one kind of cell that is in it, `cell`",
            ),
        ] {
            let said = said(&[change]);
            assert!(said.iter().any(|said| said.starts_with("s.yaml:") && said.ends_with(expected)), "{said:?}");
        }
    }

    #[test]
    fn an_operation_that_a_cell_string_cannot_hold_is_refused_at_its_place() {
        let said = renamed("a|b", "cell_string").unwrap_err();
        let why = "the operation `a|b` cannot stand in the text of a cell: it has a `|`, a `+` or a `->`";
        assert!(said.iter().any(|said| said.starts_with("s.yaml:") && said.ends_with(why)), "{said:?}");
        assert!(renamed("a|b", "yaml").is_ok());
    }
}
