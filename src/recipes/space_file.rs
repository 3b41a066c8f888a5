//! A search space as a key names it.

use crate::{
    config::Fields,
    machine,
    space::{self, Space},
};
use std::path::{Path, PathBuf};

/// A search space with the text of its file, which is published beside what was made with it.
#[derive(Debug)]
pub struct SpaceFile {
    pub space: Space,
    pub text: String,
}

impl SpaceFile {
    /// The space that the key `space` names, found as beside `folder`; `None` after a complaint.
    pub fn read(fields: &mut Fields<'_>, folder: &Path) -> Option<Self> {
        let name = fields.required_text("space");
        // What it says is in the key, by its digest.
        fields.exclude_from_hash("space");
        if name.is_empty() {
            return None;
        }
        let (path, text) = found_file(fields, "space", space::find(&name, folder))?;
        match Space::parse(&path, text) {
            Ok(space) => {
                let text = space.text().to_owned();
                Some(Self { space, text })
            }
            Err(problems) => {
                fields.problems().extend(problems);
                None
            }
        }
    }
}

/// The file that the key `key` names, where it was found, with its text; `None` after a complaint
/// at the key's place.
pub fn found_file(
    fields: &mut Fields<'_>,
    key: &str,
    found: Result<PathBuf, space::NotFound>,
) -> Option<(PathBuf, String)> {
    let place = fields.origin_of(key).clone();
    let path = match found {
        Ok(path) => path,
        Err(error) => {
            fields.problems().add_hinted(&place, error.to_string(), error.hint);
            return None;
        }
    };
    match machine::read_text(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            let reason = machine::reason(&error);
            fields.problems().add(&place, format!("failed to read `{}`: {reason}", path.display()));
            None
        }
    }
}
