//! Where a data set's files lie.

use super::{DataError, download::Official};
use std::path::{Path, PathBuf};

/// The files of one data set.
pub(super) struct Wanted {
    /// `CIFAR-10`
    pub what: &'static str,
    /// Each file by the names it may have.
    pub files: &'static [&'static [&'static str]],
    /// The folder that the official archive unpacks to.
    pub folder: &'static str,
    pub hint: &'static str,
    /// What it can be fetched as.
    pub archive: Option<Official>,
}

/// Looks in `root/path` (which is `path` where that is absolute), then in `root`, and in each of them in the official folder too.
/// The first that holds any of the files counts, and must hold them all: no search goes on past half a data set.
/// Where one file is wanted, `path` may name the file itself. Paths come back in the order of [`Wanted::files`].
pub(super) fn locate(root: &Path, path: Option<&Path>, wanted: &Wanted) -> Result<Vec<PathBuf>, DataError> {
    let mut looked: Vec<PathBuf> = Vec::new();
    for place in path.map(|path| root.join(path)).into_iter().chain([root.to_owned()]) {
        if wanted.files.len() == 1 && place.is_file() {
            return Ok(vec![place]);
        }
        for folder in [place.clone(), place.join(wanted.folder)] {
            if looked.contains(&folder) {
                continue;
            }
            let found: Vec<Option<PathBuf>> = wanted.files.iter().map(|names| first_file(&folder, names)).collect();
            if found.iter().all(Option::is_some) {
                return Ok(found.into_iter().flatten().collect());
            }
            if found.iter().any(Option::is_some) {
                let absent = wanted.files.iter().zip(&found).filter(|(_, found)| found.is_none());
                let missing = absent.map(|(names, _)| names[0].to_owned()).collect();
                return Err(DataError::Incomplete { what: wanted.what, folder, missing, hint: wanted.hint });
            }
            looked.push(folder);
        }
    }
    let names = wanted.files.iter().map(|names| names[0].to_owned()).collect();
    Err(DataError::NotFound { what: wanted.what, wanted: names, looked, hint: wanted.hint })
}

fn first_file(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TWO: Wanted =
        Wanted { what: "Pairs", files: &[&["a.bin"], &["b.bin"]], folder: "pairs", hint: "get Pairs", archive: None };
    const ONE: Wanted =
        Wanted { what: "Rows", files: &[&["r.csv.gz", "r.csv"]], folder: "rows", hint: "get Rows", archive: None };

    fn put(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
    }

    #[test]
    fn the_named_folder_comes_before_the_root_and_each_before_its_official_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let folder = |path: Option<&Path>| locate(root, path, &TWO).unwrap()[0].parent().unwrap().to_owned();
        put(root, &["pairs/a.bin", "pairs/b.bin"]);
        assert_eq!(folder(None), root.join("pairs"));
        assert_eq!(folder(Some(Path::new("small"))), root.join("pairs"));
        put(root, &["a.bin", "b.bin"]);
        assert_eq!(folder(None), root);
        put(root, &["small/pairs/a.bin", "small/pairs/b.bin"]);
        assert_eq!(folder(Some(Path::new("small"))), root.join("small/pairs"));
        put(root, &["small/a.bin", "small/b.bin"]);
        assert_eq!(folder(Some(Path::new("small"))), root.join("small"));
        let elsewhere = tempfile::tempdir().unwrap();
        put(elsewhere.path(), &["a.bin", "b.bin"]);
        assert_eq!(folder(Some(elsewhere.path())), elsewhere.path());
    }

    #[test]
    fn nothing_found_names_every_folder_that_was_looked_at() {
        let error = locate(Path::new("/nowhere"), Some(Path::new("small")), &TWO).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found no Pairs: `a.bin`, `b.bin` in none of `/nowhere/small`, `/nowhere/small/pairs`, `/nowhere`, `/nowhere/pairs`"
        );
        assert_eq!(error.hint().as_deref(), Some("get Pairs"));
    }

    #[test]
    fn half_a_data_set_is_an_error_even_where_a_whole_one_lies_further_on() {
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), &["small/b.bin", "a.bin", "b.bin"]);
        let error = locate(scratch.path(), Some(Path::new("small")), &TWO).unwrap_err();
        let folder = scratch.path().join("small");
        assert_eq!(error.to_string(), format!("`{}` holds a part of Pairs and lacks `a.bin`", folder.display()));
    }

    #[test]
    fn a_single_file_may_be_named_itself_and_have_either_name() {
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), &["mine.txt", "rows/r.csv"]);
        let of = |path: &str| locate(scratch.path(), Some(Path::new(path)), &ONE).unwrap();
        assert_eq!(of("mine.txt"), [scratch.path().join("mine.txt")]);
        assert_eq!(of("rows"), [scratch.path().join("rows/r.csv")]);
    }
}
