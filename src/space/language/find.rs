//! Where a space or a genotype named in a pipeline is.

use super::hint::did_you_mean;
use crate::machine;
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// Files of one kind that are known by name.
struct Shelf {
    what: &'static str,
    /// Here or in any folder above.
    folder: &'static str,
    extension: &'static str,
}

const SPACES: Shelf = Shelf { what: "search space", folder: "search_spaces", extension: "yaml" };
const PUBLISHED: Shelf =
    Shelf { what: "table of published results", folder: "search_spaces/tables", extension: "yaml" };
const GENOTYPES: Shelf = Shelf { what: "genotype", folder: "search_spaces/genotypes", extension: "txt" };

/// No space or genotype of that name or path.
#[derive(Debug, thiserror::Error)]
#[error("no {what} `{wanted}`, looked in {}", list(.looked))]
pub struct NotFound {
    pub what: &'static str,
    pub wanted: String,
    /// Folders or files looked at, in order.
    pub looked: Vec<PathBuf>,
    /// A near name, or those that there are.
    pub hint: Option<String>,
}

/// The file of a space. What contains `/` or ends in `.yaml` is a path, relative to the folder
/// `beside` (a pipeline's) or else to the current folder; anything else is a name,
/// `search_spaces/NAME.yaml` in `beside`, in a folder above it, in the current folder or above
/// that.
///
/// # Errors
/// Where there is none: the folders that were looked into, and names that are near.
pub fn find(name_or_path: &str, beside: &Path) -> Result<PathBuf, NotFound> {
    SPACES.find(name_or_path, beside)
}

/// The file of a published genotype, found as a space is: `search_spaces/genotypes/NAME.txt`, or a
/// path that contains `/` or ends in `.txt` or `.yaml`.
pub fn find_genotype(name_or_path: &str, beside: &Path) -> Result<PathBuf, NotFound> {
    GENOTYPES.find(name_or_path, beside)
}

/// The file of published results, found as a space is: `search_spaces/tables/NAME.yaml`, or a path.
///
/// # Errors
/// Where there is none, as [`find`].
pub fn find_published(name_or_path: &str, beside: &Path) -> Result<PathBuf, NotFound> {
    PUBLISHED.find(name_or_path, beside)
}

impl Shelf {
    fn find(&self, name_or_path: &str, beside: &Path) -> Result<PathBuf, NotFound> {
        let Self { what, folder, extension } = *self;
        let here = Path::new("");
        let has_ending = |ending: &&str| name_or_path.ends_with(&format!(".{ending}"));
        let is_path = name_or_path.contains('/') || [extension, "yaml"].iter().any(has_ending);
        let wanted = name_or_path.to_owned();
        let mut looked = Vec::new();
        if is_path {
            let name_or_path = machine::expanded(name_or_path);
            for folder in [beside, here] {
                let path = folder.join(&name_or_path);
                // What is there and is no file, or may not be looked at, is told by who reads it.
                if path.try_exists().unwrap_or(true) {
                    return Ok(path);
                }
                if !looked.contains(&path) {
                    looked.push(path);
                }
            }
            return Err(NotFound { what, wanted, looked, hint: None });
        }
        let mut names = BTreeSet::new();
        for above in upwards(beside).into_iter().chain(upwards(here)) {
            let folder = above.join(folder);
            if looked.contains(&folder) || !folder.is_dir() {
                continue;
            }
            let path = folder.join(format!("{name_or_path}.{extension}"));
            if path.is_file() {
                return Ok(path);
            }
            let known = names_in(&folder, extension);
            if let Some(name) = known.iter().find(|name| same_name(name, name_or_path)) {
                return Ok(folder.join(format!("{name}.{extension}")));
            }
            names.extend(known);
            looked.push(folder);
        }
        let hint = match looked.is_empty() {
            true => format!("there is no folder `{folder}` beside the pipeline, here or above"),
            false => did_you_mean(name_or_path, names.iter().map(String::as_str), "there are"),
        };
        if looked.is_empty() {
            // A pipeline named without a folder lies here.
            looked =
                [beside, here].map(|folder| if folder == here { PathBuf::from(".") } else { folder.to_owned() }).into();
            looked.dedup();
        }
        Err(NotFound { what, wanted, looked, hint: Some(hint) })
    }
}

/// The spaces that have a name seen from `beside`: all that [`find`] would find, nearest folder
/// first, then by name.
pub fn all(beside: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in upwards(beside).into_iter().chain(upwards(Path::new(""))) {
        let folder = folder.join(SPACES.folder);
        let mut names = names_in(&folder, SPACES.extension);
        names.sort();
        for name in names {
            let path = folder.join(format!("{name}.{}", SPACES.extension));
            if !paths.iter().any(|known| known.file_name() == path.file_name()) {
                paths.push(path);
            }
        }
    }
    paths
}

/// Whether two names differ in nothing but case, `-` and `_`: a paper's `DARTS_V2` is `darts_v2`
/// here.
pub fn same_name(one: &str, other: &str) -> bool {
    let letters = |name: &str| {
        name.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect::<String>()
    };
    letters(one) == letters(other)
}

/// `folder` and all above it; relative as far as it is, so that messages stay short.
fn upwards(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut folders = vec![folder.to_owned()];
    let absolute = env::current_dir().map(|current| current.join(folder)).unwrap_or_else(|_| folder.to_owned());
    folders.extend(absolute.ancestors().skip(1).map(Path::to_owned));
    folders
}

fn names_in(folder: &Path, extension: &str) -> Vec<String> {
    // A folder that cannot be listed has no names to guess from.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == extension));
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_beside_and_above_and_a_path_is_relative_to_the_pipeline() {
        let root = tempfile::tempdir().unwrap();
        let pipelines = root.path().join("pipelines/paper");
        fs::create_dir_all(&pipelines).unwrap();
        fs::create_dir_all(root.path().join(SPACES.folder)).unwrap();
        fs::write(root.path().join("search_spaces/mine_own.yaml"), "").unwrap();
        fs::write(pipelines.join("local.yaml"), "").unwrap();
        let found = find("mine_own", &pipelines).unwrap();
        assert!(found.ends_with("search_spaces/mine_own.yaml") && found.is_file());
        assert_eq!(find("local.yaml", &pipelines).unwrap(), pipelines.join("local.yaml"));
        assert!(find("./local.yaml", &pipelines).unwrap().is_file());
        assert_eq!(find("Mine-Own", &pipelines).unwrap(), found, "as another writes it");

        let lost = find("mine_own2", &pipelines).unwrap_err();
        assert_eq!(lost.hint.as_deref(), Some("did you mean `mine_own`?"));
        assert!(lost.to_string().contains("no search space `mine_own2`, looked in `"), "{lost}");
        let lost = find("other/local.yaml", &pipelines).unwrap_err();
        assert!(lost.to_string().contains("pipelines/paper/other/local.yaml`, `other/local.yaml`"), "{lost}");
    }
}
