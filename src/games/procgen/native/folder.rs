//! Procgen's library and pictures in the folder that a person names.

use crate::GameError;
use std::path::{Path, PathBuf};

/// Both absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) library: PathBuf,
    pub(super) assets: PathBuf,
}

/// Where they may lie: in the unpacked wheel, in a folder of it, and side by side.
const PLACES: [(&str, &str); 5] = [
    ("procgen/data/prebuilt/libenv.so", "procgen/data/assets"),
    ("data/prebuilt/libenv.so", "data/assets"),
    ("prebuilt/libenv.so", "assets"),
    ("libenv.so", "assets"),
    ("libenv.so", "../assets"),
];

impl Folder {
    pub(super) fn find(folder: &Path) -> Result<Self, GameError> {
        // The child may stand elsewhere, and the library is sought along a path without a slash.
        let root = std::path::absolute(folder).map_err(|source| GameError::Read { path: folder.to_owned(), source })?;
        let mut without = None;
        for (library, assets) in PLACES {
            let (library, assets) = (root.join(library), root.join(assets));
            if library.is_file() {
                if assets.is_dir() {
                    return Ok(Self { library, assets });
                }
                without.get_or_insert((library, assets));
            }
        }
        let wanted = || PLACES[..4].iter().map(|(library, _)| (*library).to_owned()).collect();
        Err(match without {
            Some((library, assets)) => GameError::NoAssets { library, assets },
            None => GameError::NoProcgen { folder: root, wanted: wanted() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_folder_of_the_wheel_down_to_the_library_will_do() {
        let wheel = tempfile::tempdir().unwrap();
        let data = wheel.path().join("procgen/data");
        fs::create_dir_all(data.join("prebuilt")).unwrap();
        fs::write(data.join("prebuilt/libenv.so"), "").unwrap();
        let error = Folder::find(wheel.path()).unwrap_err();
        assert!(error.to_string().ends_with("assets`") && error.hint().unwrap().contains("unzip"), "{error}");
        fs::create_dir_all(data.join("assets")).unwrap();
        for folder in ["", "procgen", "procgen/data", "procgen/data/prebuilt"] {
            let found = Folder::find(&wheel.path().join(folder)).unwrap();
            assert_eq!(
                fs::canonicalize(found.library).unwrap(),
                fs::canonicalize(data.join("prebuilt/libenv.so")).unwrap()
            );
            assert_eq!(fs::canonicalize(found.assets).unwrap(), fs::canonicalize(data.join("assets")).unwrap());
        }
    }

    #[test]
    fn a_folder_without_it_is_refused_with_the_two_commands_that_get_it() {
        let error = Folder::find(Path::new("/no/such")).unwrap_err();
        assert!(
            error.to_string().starts_with("found no Procgen in `/no/such`: it has neither `procgen/data/"),
            "{error}"
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains("`pip download --no-deps ") && hint.contains(" and `unzip -d procgen "), "{hint}");
    }
}
