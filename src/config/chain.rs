//! A pipeline file and the files it extends.

use super::{ConfigError, Node, Problems, SourceFile, Value, layer::Layer, nearest, yaml};
use crate::machine;
use indexmap::IndexMap;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Reads `file` and what it extends, the farthest base first. Only a failure to read `file` itself
/// is an error; what is wrong inside, or with a base, becomes a problem, and `None` where that
/// leaves nothing to go on from.
pub(super) fn read(file: &Path, problems: &mut Problems) -> Result<Option<Vec<Layer>>, ConfigError> {
    let text = machine::read_text(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        hint: near_name(file),
        source,
    })?;
    let mut layers = Vec::new();
    let mut seen = vec![(identity(file), file.to_owned())];
    let mut source = SourceFile { path: file.to_owned(), text };
    loop {
        let Some((layer, extends)) = parse(source, problems) else { return Ok(None) };
        layers.push(layer);
        let Some(extends) = extends else { break };
        let Some(base) = base(&extends, &mut seen, problems) else { return Ok(None) };
        source = base;
    }
    layers.reverse();
    Ok(Some(layers))
}

/// The file's own keys, and its `extends`; `None` after a complaint.
fn parse(source: SourceFile, problems: &mut Problems) -> Option<(Layer, Option<Node>)> {
    let root = yaml::read(&Arc::new(source), problems)?;
    let mut map = match root.value {
        Value::Map(map) => map,
        Value::Null => IndexMap::new(),
        other => {
            problems.add(&root.origin, format!("a pipeline must be a map, found {}", other.type_name()));
            return None;
        }
    };
    let extends = map.shift_remove("extends").map(|entry| entry.node);
    Some((Layer { node: Node::new(Value::Map(map), root.origin) }, extends))
}

/// Reads the file that `extends` names; `None` after a complaint.
fn base(extends: &Node, seen: &mut Vec<(PathBuf, PathBuf)>, problems: &mut Problems) -> Option<SourceFile> {
    let Some(name) = extends.as_text() else {
        problems.add(&extends.origin, format!("`extends` must be a path, found {}", extends.value.type_name()));
        return None;
    };
    let path = extends.origin.resolve(name);
    let is = identity(&path);
    if let Some(first) = seen.iter().position(|(other, _)| *other == is) {
        let around = seen[first..].iter().map(|(_, path)| path).chain([&path]);
        let around: Vec<String> = around.map(|path| path.display().to_string()).collect();
        problems.add(&extends.origin, format!("files extend each other: `{}`", around.join(" → ")));
        return None;
    }
    match machine::read_text(&path) {
        Ok(text) => {
            seen.push((is, path.clone()));
            Some(SourceFile { path, text })
        }
        Err(error) => {
            let message = format!("cannot read `{}`: {}", path.display(), machine::reason(&error));
            problems.add_hinted(&extends.origin, message, near_name(&path));
            None
        }
    }
}

/// One name for one file, however its path is written.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What may have been meant by a file that is not there: the nearest name in its folder, else the
/// pipelines it holds.
fn near_name(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else {
        return Some(format!("there is no folder `{}`", folder.display()));
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    names.sort();
    let shown = |name: &str| format!("`{}`", path.with_file_name(name).display());
    let wanted = path.file_name()?.to_str()?;
    if let Some(name) = nearest(wanted, names.iter().map(String::as_str)) {
        return Some(format!("did you mean {}?", shown(name)));
    }
    // A handful helps; a page does not.
    let listed: Vec<String> = names.iter().take(6).map(|name| shown(name)).collect();
    (!listed.is_empty()).then(|| format!("there are {}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Problem};

    /// The name of the file that a place is in.
    fn file_of(origin: &Origin) -> String {
        let Origin::File { source, .. } = origin else { panic!("not from a file") };
        source.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn said(folder: &tempfile::TempDir, file: &str) -> Vec<String> {
        let mut problems = Problems::new();
        read(&folder.path().join(file), &mut problems).unwrap();
        let root = format!("{}/", folder.path().display());
        let line = |p: &Problem| {
            format!("{} {} ({})", p.origin, p.message, p.hint.as_deref().unwrap_or("-")).replace(&root, "")
        };
        problems.iter().map(line).collect()
    }

    #[test]
    fn the_farthest_base_comes_first_and_paths_start_at_the_file_that_names_them() {
        let folder = folder(&[
            ("top.yaml", "extends: sub/middle.yaml\nname: top\n"),
            ("sub/middle.yaml", "extends: ../base.yaml\n"),
            ("base.yaml", "name: base\n"),
        ]);
        let mut problems = Problems::new();
        let layers = read(&folder.path().join("top.yaml"), &mut problems).unwrap().unwrap();
        assert!(problems.is_empty());
        let files: Vec<String> = layers.iter().map(|layer| file_of(&layer.node.origin)).collect();
        assert_eq!(files, ["base.yaml", "middle.yaml", "top.yaml"]);
        assert!(layers.iter().all(|layer| layer.node.get("extends").is_none()));
    }

    #[test]
    fn a_cycle_is_named() {
        let folder = folder(&[("a.yaml", "extends: b.yaml\n"), ("b.yaml", "extends: ./a.yaml\n")]);
        assert_eq!(said(&folder, "a.yaml"), ["b.yaml:1:10 files extend each other: `a.yaml → b.yaml → ./a.yaml` (-)"]);
    }

    #[test]
    fn a_base_that_is_not_there_is_guessed() {
        let folder = folder(&[("top.yaml", "extends: bsae.yaml\n"), ("base.yaml", "")]);
        assert_eq!(
            said(&folder, "top.yaml"),
            ["top.yaml:1:10 cannot read `bsae.yaml`: no such file or directory (did you mean `base.yaml`?)"]
        );
    }

    #[test]
    fn a_base_that_is_no_path_or_no_map_is_refused() {
        let folder = folder(&[("a.yaml", "extends: [b.yaml]\n"), ("b.yaml", "- 1\n"), ("c.yaml", "extends: b.yaml\n")]);
        assert_eq!(said(&folder, "a.yaml"), ["a.yaml:1:10 `extends` must be a path, found a list (-)"]);
        assert_eq!(said(&folder, "c.yaml"), ["b.yaml:1:1 a pipeline must be a map, found a list (-)"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_with_near_names() {
        let folder = folder(&[("nb201_small.yaml", ""), ("notes.txt", "")]);
        let path = folder.path().join("nb201_smal.yaml");
        let error = read(&path, &mut Problems::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to read `{}`", path.display()));
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("did you mean `") && hint.ends_with("nb201_small.yaml`?"), "{hint}");
        let error = read(&folder.path().join("none/x.yaml"), &mut Problems::new()).unwrap_err();
        assert!(error.hint().unwrap().starts_with("there is no folder"));
    }
}
