//! Where a data set's files lie.

use super::{DataError, download::Official};
use std::path::{Path, PathBuf};

/// The files of one data set.
pub(super) struct Wanted {
    /// `CIFAR-10`
    pub what: &'static str,
    /// The official one, whose archive can be fetched, then others that people have.
    pub layouts: &'static [Layout],
    pub hint: &'static str,
    /// What it can be fetched as.
    pub archive: Option<Official>,
}

/// One way to have a data set in files.
pub(super) struct Layout {
    /// The folder that its archive unpacks to.
    pub folder: &'static str,
    /// Each file by the names it may have.
    pub files: &'static [&'static [&'static str]],
}

impl Wanted {
    /// The layout that is fetched and that errors speak of.
    pub fn official(&self) -> &Layout {
        &self.layouts[0]
    }
}

/// Looks in `root/path` (which is `path` where that is absolute), then in `root`, and in each of them in the layouts' own folders too.
/// The first that holds any of the files counts, and must hold them all: no search goes on past half a data set.
/// Where one file is wanted, `path` may name the file itself. Paths come back in the order of [`Layout::files`].
pub(super) fn locate(root: &Path, path: Option<&Path>, wanted: &Wanted) -> Result<Vec<PathBuf>, DataError> {
    let mut looked: Vec<PathBuf> = Vec::new();
    for place in path.map(|path| root.join(path)).into_iter().chain([root.to_owned()]) {
        if wanted.official().files.len() == 1 && place.is_file() {
            return Ok(vec![place]);
        }
        for layout in wanted.layouts {
            for folder in [place.clone(), place.join(layout.folder)] {
                if let Some(files) = layout.files_in(&folder, wanted)? {
                    return Ok(files);
                }
                if !looked.contains(&folder) {
                    looked.push(folder);
                }
            }
        }
    }
    let names = wanted.official().files.iter().map(|names| names[0].to_owned()).collect();
    Err(DataError::NotFound { what: wanted.what, wanted: names, looked, hint: wanted.hint })
}

impl Layout {
    /// The layout's files in `folder`, where it is this one's. Outside of the layout's own folder, files that are called
    /// `train` or `test` and no more are nobody's half.
    fn files_in(&self, folder: &Path, wanted: &Wanted) -> Result<Option<Vec<PathBuf>>, DataError> {
        let found: Vec<Option<PathBuf>> = self.files.iter().map(|names| first_file(folder, names)).collect();
        let missing: Vec<String> = self
            .files
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(names, _)| names[0].to_owned())
            .collect();
        let mut found = found.into_iter().flatten();
        if missing.is_empty() {
            return Ok(Some(found.collect()));
        }
        if found.any(|file| folder.ends_with(self.folder) || file.extension().is_some()) {
            let folder = folder.to_owned();
            return Err(DataError::Incomplete { what: wanted.what, folder, missing, hint: wanted.hint });
        }
        Ok(None)
    }
}

fn first_file(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TWO: Wanted = Wanted {
        what: "Pairs",
        layouts: &[
            Layout { folder: "pairs", files: &[&["a.bin"], &["b.bin"]] },
            Layout { folder: "pairs-py", files: &[&["a"], &["b"]] },
        ],
        hint: "get Pairs",
        archive: None,
    };
    const ONE: Wanted = Wanted {
        what: "Rows",
        layouts: &[Layout { folder: "rows", files: &[&["r.csv.gz", "r.csv"]] }],
        hint: "get Rows",
        archive: None,
    };

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
            "found no Pairs: `a.bin`, `b.bin` in none of `/nowhere/small`, `/nowhere/small/pairs`, `/nowhere/small/pairs-py`, \
             `/nowhere`, `/nowhere/pairs`, `/nowhere/pairs-py`"
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
    fn another_layout_is_found_and_half_of_it_counts_in_its_own_folder_only() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let found = || locate(root, None, &TWO);
        put(root, &["a"]);
        assert!(matches!(found(), Err(DataError::NotFound { .. })), "a file called `a` says nothing");
        put(root, &["pairs-py/a"]);
        assert_eq!(
            found().unwrap_err().to_string(),
            format!("`{}` holds a part of Pairs and lacks `b`", root.join("pairs-py").display())
        );
        put(root, &["pairs-py/b"]);
        assert_eq!(found().unwrap(), [root.join("pairs-py/a"), root.join("pairs-py/b")]);
        put(root, &["pairs/a.bin", "pairs/b.bin"]);
        assert_eq!(found().unwrap()[0], root.join("pairs/a.bin"), "the official one comes first");
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
