//! Where a stage stands: what its keys may be relative to.

use crate::{
    config::Fields,
    model::DeviceName,
    space::{self, Space},
};
use std::path::{Path, PathBuf};

/// What a stage kind knows besides the stage's keys.
pub struct Site<'a> {
    /// The folder of the pipeline file.
    pub folder: &'a Path,
    /// Where data sets lie.
    pub data_root: &'a Path,
    /// `cpu`, `cuda`, or `cuda:1`.
    pub device: &'a str,
}

impl Site<'_> {
    /// Where a path to data may lie: beside the pipeline, as what ships does, then where data sets lie.
    pub(super) fn data_roots(&self) -> Vec<PathBuf> {
        let beside = std::path::absolute(self.folder).unwrap_or_else(|_| self.folder.to_owned());
        vec![beside, self.data_root.to_owned()]
    }

    /// The space that the key `space` names, read and checked, with its text.
    pub(super) fn space(&self, fields: &mut Fields<'_>) -> Option<(Space, String)> {
        let name = fields.required_text("space");
        if name.is_empty() {
            return None;
        }
        let place = fields.origin_of("space").clone();
        let path = match space::find(&name, self.folder) {
            Ok(path) => path,
            Err(error) => {
                let message = error.to_string();
                match error.hint {
                    Some(hint) => fields.problems().add_with_hint(&place, message, hint),
                    None => fields.problems().add(&place, message),
                }
                return None;
            }
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                fields.problems().add(&place, format!("failed to read search space `{}`: {error}", path.display()));
                return None;
            }
        };
        match Space::parse(&path, text.clone()) {
            Ok(space) => Some((space, text)),
            Err(problems) => {
                fields.problems().extend(problems);
                None
            }
        }
    }

    /// The stage's device, which need not be present on this machine yet.
    pub(super) fn device(&self, fields: &mut Fields<'_>) -> Option<DeviceName> {
        match self.device.parse() {
            Ok(device) => Some(device),
            Err(error) => {
                let (place, message) = (fields.origin().clone(), format!("`runtime.device`: {error}"));
                fields.problems().add(&place, message);
                None
            }
        }
    }
}
