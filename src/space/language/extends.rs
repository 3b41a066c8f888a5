//! A space that is another one but for what its file says.

use super::find::find;
use crate::{
    config::{Node, Problems, Value},
    machine,
};
use std::path::{Path, PathBuf};

/// The key that names the other space.
const KEY: &str = "extends";

/// What a space does not take from the one it extends: its name, what is said about it, and the
/// table of accuracies, which is of other cells.
const OWN: [&str; 3] = ["name", "about", "benchmark"];

/// The keys of a space's file, those of the spaces that it extends included; and whether there are
/// such spaces. `path` is what complaints call the file, and what the names in it are looked up
/// from.
pub(super) fn read(path: &Path, text: String) -> Result<(Node, bool), Problems> {
    let mut node = Node::parse(path, text)?;
    let mut chain = vec![path.to_owned()];
    // Nearest first.
    let mut bases = Vec::new();
    let mut newest = &mut node;
    while let Some(next) = base(newest, &mut chain)? {
        bases.push(next);
        newest = bases.last_mut().expect("a base has just been pushed");
    }
    match bases.into_iter().rev().reduce(Node::overlaid) {
        Some(base) => Ok((base.overlaid(node), true)),
        None => Ok((node, false)),
    }
}

/// The file that `node` extends, if it does, which is taken off it. `chain` holds the files so far.
fn base(node: &mut Node, chain: &mut Vec<PathBuf>) -> Result<Option<Node>, Problems> {
    let Value::Map(map) = &mut node.value else { return Ok(None) };
    let Some(entry) = map.shift_remove(KEY) else { return Ok(None) };
    let mut problems = Problems::new();
    let place = &entry.node.origin;
    let Some(name) = entry.node.as_text() else {
        let found = entry.node.value.type_name();
        problems.add(place, format!("`{KEY}` must be the name or the path of a search space, found {found}"));
        return Err(problems);
    };
    let folder = chain.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let path = match find(name, folder) {
        Ok(path) => path,
        Err(error) => {
            problems.add_hinted(place, error.to_string(), error.hint);
            return Err(problems);
        }
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if chain.iter().any(|earlier| real(earlier) == real(&path)) {
        problems.add(place, format!("`{}` extends itself", path.display()));
        return Err(problems);
    }
    let text = match machine::read_text(&path) {
        Ok(text) => text,
        Err(error) => {
            problems
                .add(place, format!("failed to read search space `{}`: {}", path.display(), machine::reason(&error)));
            return Err(problems);
        }
    };
    let mut base = Node::parse(&path, text)?;
    chain.push(path);
    if let Value::Map(map) = &mut base.value {
        // What the file has of its own takes the other's place in the order of keys.
        map.retain(|key, _| !OWN.contains(&key.as_str()) || node.get(key).is_some());
    }
    Ok(Some(base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Space, shipped};
    use std::fs;

    /// A folder with a file beside which others lie.
    fn said(files: &[(&str, &str)]) -> Result<Space, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(shipped::path("nas_bench_201.yaml"), folder.path().join("bench.yaml")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let path = folder.path().join(files[0].0);
        Space::parse(&path, files[0].1).map_err(|problems| {
            let shown = |origin: String| origin.replace(&format!("{}/", folder.path().display()), "");
            problems.iter().map(|problem| shown(format!("{} {}", problem.origin, problem.message))).collect()
        })
    }

    #[test]
    fn what_is_not_said_is_the_other_spaces() {
        let text = "name: half\nextends: bench.yaml\ncells: {cell: {candidates: [skip_connect, nor_conv_3x3]}}\n";
        let space = said(&[("half.yaml", text)]).unwrap();
        assert_eq!((space.name.as_str(), space.about.as_str(), &space.benchmark), ("half", "", &None));
        let kind = &space.cell_kinds()[0];
        assert_eq!(
            (kind.alphas.as_str(), kind.candidates[5].as_slice()),
            ("arch_parameters", &["skip_connect", "nor_conv_3x3"].map(str::to_owned)[..])
        );
        // One that extends it in turn; what is new is added.
        let further = "name: more\nextends: half.yaml\noperations: {plain: [{conv: {kernel: 3, stride: edge}}]}\ncells: {cell: {candidates: [plain]}}\n";
        let space = said(&[("more.yaml", further), ("half.yaml", text)]).unwrap();
        assert_eq!(space.operations().last(), Some("plain"));
        assert_eq!(space.cell_kinds()[0].candidates, vec![vec!["plain"]; 6]);
    }

    /// A result holds the text of its space, and stands without the files that the space was made
    /// from.
    #[test]
    fn a_space_written_out_in_full_is_the_same_space() {
        for name in ["robust_s1", "robust_s4"] {
            let space = shipped::space(name);
            let again = Space::parse(Path::new("elsewhere/space.yaml"), space.text()).unwrap();
            assert_eq!((again.digest(), &again.name, &again.about), (space.digest(), &space.name, &space.about));
            assert_eq!(again.text(), space.text());
        }
        let path = shipped::path("darts.yaml");
        assert_eq!(
            shipped::space("darts").text(),
            fs::read_to_string(path).unwrap(),
            "a file of its own stays as it is"
        );
    }

    #[test]
    fn what_cannot_be_extended_is_told_with_its_place() {
        let text = |base: &str| format!("name: half\nextends: {base}\n");
        for (base, expected) in [
            ("[a]", "half.yaml:2:10 `extends` must be the name or the path of a search space, found a list"),
            ("half.yaml", "half.yaml:2:10 `half.yaml` extends itself"),
            ("bench.yml/x.yaml", "half.yaml:2:10 no search space `bench.yml/x.yaml`, looked in"),
        ] {
            let said = said(&[("half.yaml", &text(base))]).unwrap_err();
            assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
        }
        // A fault is where it is written.
        let said =
            said(&[("half.yaml", &text("other.yaml")), ("other.yaml", "extends: bench.yaml\nderive: {edges: 0}\n")]);
        let expected = "other.yaml:2:17 `edges` must be `all` or a number of edges from 1 to 64, found `0`";
        assert_eq!(said.unwrap_err(), [expected]);
    }
}
