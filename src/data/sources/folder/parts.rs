//! What a folder of pictures is divided into, and what the folders of its parts are called.

use super::walk::PartFolder;
use crate::{DataError, sets::files::find_folder};
use std::path::{Path, PathBuf};

/// What is trained on and what is tested on.
#[derive(Debug, Clone, PartialEq)]
pub enum Parts {
    /// Two folders with the same class folders.
    Folders { train: String, val: String },
    /// One level of class folders; this share of each class is drawn for testing.
    HeldOut { fraction: f64, seed: u64 },
}

/// What people call the folder to train on, and the one to test on; the first that is there counts,
/// in small letters or not.
const TRAIN: [&str; 2] = ["train", "training"];
const VAL: [&str; 5] = ["val", "valid", "validation", "test", "testing"];

impl Parts {
    /// The two folders below `path`: those that are named, else those that are called as people
    /// call them. Then, what is called so as well and is not read, as `test` beside `val`.
    ///
    /// # Errors
    /// Where there is none, with what the folder seems to be instead.
    pub fn find(
        roots: &[PathBuf],
        path: &str,
        train: Option<String>,
        val: Option<String>,
    ) -> Result<(Self, Vec<String>), DataError> {
        let mut not_read = Vec::new();
        let mut part = |named: Option<String>, names: &[&str]| match named {
            Some(name) => Ok(name),
            None => find(roots, path, names).map(|(name, others)| {
                not_read.extend(others);
                name
            }),
        };
        let (train, val) = (part(train, &TRAIN)?, part(val, &VAL)?);
        not_read.retain(|name| *name != train && *name != val);
        Ok((Self::Folders { train, val }, not_read))
    }
}

/// Whether all folders are called as parts of a data set are, and not as its classes.
pub(super) fn are_parts(folders: &[String]) -> bool {
    folders.len() > 1 && folders.iter().all(|name| is_part(name))
}

fn is_part(name: &str) -> bool {
    TRAIN.iter().chain(&VAL).any(|known| known.eq_ignore_ascii_case(name))
}

/// The name of a part in the first of `roots` where `path` has it, and the other folders there that
/// may be meant.
fn find(roots: &[PathBuf], path: &str, names: &[&str]) -> Result<(String, Vec<String>), DataError> {
    let folder = find_folder(roots, Path::new(path))?;
    let places: Vec<PathBuf> = roots.iter().map(|root| root.join(path)).filter(|folder| folder.is_dir()).collect();
    for place in &places {
        let mut meant = PartFolder::read(place)?.classes;
        // The first of the names, as it is written here before it in capitals.
        let rank = |name: &String| {
            let known = names.iter().position(|known| known.eq_ignore_ascii_case(name));
            known.map(|known| (known, names[known] != name))
        };
        meant.retain(|name| rank(name).is_some());
        meant.sort_by_key(rank);
        if !meant.is_empty() {
            return Ok((meant.remove(0), meant));
        }
    }
    let hint = hint(&places, path, names)?;
    Err(DataError::NoPart { folder, names: names.iter().map(|&name| name.to_owned()).collect(), hint })
}

/// What to write where none of `places` has a part of such a name.
fn hint(places: &[PathBuf], path: &str, names: &[&str]) -> Result<String, DataError> {
    for place in places {
        let has_train = |name: &&String| TRAIN.iter().any(|part| place.join(name).join(part).is_dir());
        if let Some(below) = PartFolder::read(place)?.classes.iter().find(has_train) {
            return Ok(format!("`{below}` in it has them: write `path: {path}/{below}`"));
        }
    }
    Ok(if names == VAL {
        format!(
            "name the folder to test on with `val`, or hold a share of each class out for testing: `path: {path}/train` with \
             `held_out_fraction: 0.2`"
        )
    } else {
        "where its folders are the classes, write `held_out_fraction: 0.2`; else name those of its parts with `train` and `val`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn with(folders: &[&str]) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        folders.iter().for_each(|folder| fs::create_dir_all(scratch.path().join(folder)).unwrap());
        scratch
    }

    fn found(folders: &[&str]) -> Result<(Parts, Vec<String>), DataError> {
        Parts::find(&[with(folders).path().to_owned()], "flowers", None, None)
    }

    #[test]
    fn parts_are_found_by_what_people_call_them() {
        for (folders, expected, not_read) in [
            (&["flowers/train", "flowers/val", "flowers/test"][..], ["train", "val"], &["test"][..]),
            (&["flowers/train", "flowers/valid", "flowers/test"], ["train", "valid"], &["test"]),
            (&["flowers/train", "flowers/test"], ["train", "test"], &[]),
            (&["flowers/train", "flowers/validation"], ["train", "validation"], &[]),
            (&["flowers/Training", "flowers/Testing", "flowers/labels"], ["Training", "Testing"], &[]),
            (&["flowers/Train", "flowers/VAL", "flowers/test"], ["Train", "VAL"], &["test"]),
        ] {
            let [train, val] = expected.map(str::to_owned);
            let not_read: Vec<String> = not_read.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(found(folders).unwrap(), (Parts::Folders { train, val }, not_read), "{folders:?}");
        }
        let scratch = with(&["flowers/train", "flowers/val", "flowers/test"]);
        let named = Parts::find(&[scratch.path().to_owned()], "flowers", None, Some("test".to_owned())).unwrap();
        assert_eq!(named, (Parts::Folders { train: "train".to_owned(), val: "test".to_owned() }, Vec::new()));
        // The first root that has a part counts, as for every file.
        let roots = [with(&["flowers/notes"]), with(&["flowers/train", "flowers/val"])];
        let roots = roots.each_ref().map(|root| root.path().to_owned());
        assert!(Parts::find(&roots, "flowers", None, None).is_ok());
    }

    #[test]
    fn what_the_folder_is_instead_is_said() {
        for (folders, said, hint) in [
            (&["flowers/flowers/train"][..], "`train`, `training`", "write `path: flowers/flowers`"),
            (
                &["flowers/train"],
                "`val`, `valid`, `validation`, `test`, `testing`",
                "`path: flowers/train` with `held_out",
            ),
            (&["flowers/daisy", "flowers/tulip"], "`train`, `training`", "write `held_out_fraction: 0.2`"),
        ] {
            let error = found(folders).unwrap_err();
            assert!(error.to_string().ends_with(&format!("has none of the folders {said}")), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        }
        assert!(matches!(found(&["roses"]), Err(DataError::NoFolder { folder, .. }) if folder == Path::new("flowers")));
    }
}
