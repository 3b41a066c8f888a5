//! Where a data set's files lie.

use crate::{DataError, download::Official};
use std::path::{Path, PathBuf};

/// The files of one data set.
pub(crate) struct Wanted {
    /// `CIFAR-10`
    pub what: &'static str,
    /// The official one, whose archive can be fetched, then others that people have.
    pub layouts: &'static [Layout],
    pub hint: &'static str,
    /// What it can be fetched as.
    pub archive: Option<Official>,
}

/// One way to have a data set in files.
pub(crate) struct Layout {
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

/// Looks at `place` and in the layouts' own folders below it, and nowhere else: what was not asked
/// for is no data set of the asker. The first that holds any of the files counts, and must hold
/// them all: no search goes on past half a data set. Where one file is wanted, `place` may be the
/// file itself. Paths come back in the order of [`Layout::files`].
pub(crate) fn locate(place: &Path, wanted: &Wanted) -> Result<Vec<PathBuf>, DataError> {
    if wanted.official().files.len() == 1 && is_file(place)? {
        return Ok(vec![place.to_owned()]);
    }
    let mut looked: Vec<PathBuf> = Vec::new();
    for layout in wanted.layouts {
        for folder in [place.to_owned(), place.join(layout.folder)] {
            if let Some(files) = layout.files_in(&folder, wanted)? {
                return Ok(files);
            }
            if !looked.contains(&folder) {
                looked.push(folder);
            }
        }
    }
    let names = wanted.official().files.iter().map(|names| names[0].to_owned()).collect();
    Err(DataError::NotFound { what: wanted.what, wanted: names, looked, hint: wanted.hint })
}

impl Layout {
    /// The layout's files in `folder`, where it is this one's. Outside of the layout's own folder,
    /// files that are called `train` or `test` and no more are nobody's half.
    fn files_in(&self, folder: &Path, wanted: &Wanted) -> Result<Option<Vec<PathBuf>>, DataError> {
        let found: Vec<Option<PathBuf>> =
            self.files.iter().map(|names| first_file(folder, names)).collect::<Result<_, _>>()?;
        let absent = self.files.iter().zip(&found).filter(|(_, found)| found.is_none());
        let missing: Vec<String> = absent.map(|(names, _)| names[0].to_owned()).collect();
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

fn first_file(folder: &Path, names: &[&str]) -> Result<Option<PathBuf>, DataError> {
    for name in names {
        let path = folder.join(name);
        if is_file(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A place that cannot be looked at is not an empty one.
fn is_file(path: &Path) -> Result<bool, DataError> {
    darts_machine::is_file(path).map_err(DataError::read(path))
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
    fn a_place_comes_before_its_official_folder_and_nothing_else_is_searched() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let folder = |place: &str| locate(&root.join(place), &TWO).map(|files| files[0].parent().unwrap().to_owned());
        put(root, &["pairs/a.bin", "pairs/b.bin", "a.bin", "b.bin"]);
        assert_eq!(folder("").unwrap(), root.join(""));
        assert!(matches!(folder("small"), Err(DataError::NotFound { .. })));
        put(root, &["small/pairs/a.bin", "small/pairs/b.bin"]);
        assert_eq!(folder("small").unwrap(), root.join("small/pairs"));
        put(root, &["small/a.bin", "small/b.bin"]);
        assert_eq!(folder("small").unwrap(), root.join("small"));
        put(root, &["mine.csv"]);
        assert!(matches!(locate(&root.join("no.csv"), &ONE), Err(DataError::NotFound { .. })));
    }

    #[test]
    fn nothing_found_names_every_folder_that_was_looked_at() {
        let error = locate(Path::new("/nowhere/small"), &TWO).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found no Pairs: `a.bin`, `b.bin` in none of `/nowhere/small`, `/nowhere/small/pairs`, `/nowhere/small/pairs-py`"
        );
        assert_eq!(error.hint().as_deref(), Some("get Pairs"));
    }

    #[test]
    fn half_a_data_set_is_an_error_even_where_a_whole_one_lies_further_on() {
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), &["b.bin", "pairs/a.bin", "pairs/b.bin"]);
        let error = locate(scratch.path(), &TWO).unwrap_err();
        let folder = scratch.path();
        assert_eq!(error.to_string(), format!("`{}` holds a part of Pairs and lacks `a.bin`", folder.display()));
    }

    #[test]
    fn a_folder_that_may_not_be_looked_at_is_not_an_empty_one() {
        // Root may look at everything; what is no folder on the way is as good as nothing, a name
        // that is too long is not.
        let error = locate(Path::new(&"n".repeat(300)), &TWO).unwrap_err();
        assert!(matches!(error, DataError::Read { .. }), "{error}");
        let scratch = tempfile::tempdir().unwrap();
        put(scratch.path(), &["file"]);
        assert!(matches!(locate(&scratch.path().join("file"), &TWO), Err(DataError::NotFound { .. })));
    }

    #[test]
    fn another_layout_is_found_and_half_of_it_counts_in_its_own_folder_only() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let found = || locate(root, &TWO);
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
        let of = |path: &str| locate(&scratch.path().join(path), &ONE).unwrap();
        assert_eq!(of("mine.txt"), [scratch.path().join("mine.txt")]);
        assert_eq!(of("rows"), [scratch.path().join("rows/r.csv")]);
    }
}
