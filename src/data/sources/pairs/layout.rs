//! Where the pictures of a set lie in the layouts that people have, told by how folders and files
//! are called and never by the name of a set.
//!
//! | layout | high | low |
//! | --- | --- | --- |
//! | DIV2K, Flickr2K | `DIV2K_train_HR/0001.png` | `DIV2K_train_LR_bicubic/X4/0001x4.png` |
//! | EDSR's benchmarks | `HR/baby.png` | `LR_bicubic/X4/babyx4.png` |
//! | BasicSR | `GTmod12/baby.png` | `LRbicx4/baby.png` |
//! | SelfExSR | `image_SRF_4/img_001_SRF_4_HR.png` | `image_SRF_4/img_001_SRF_4_LR.png` |
//! | plain | `hr/baby.png` | `lr_x4/baby.png` |

use crate::{DataError, sources::folder::walk::PartFolder};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The folder of a set's pictures of high resolution, and their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct High {
    pub folder: PathBuf,
    pub names: Vec<String>,
    /// They lie beside their partners, and `_HR` at the end tells them apart.
    mixed: bool,
}

/// Folders of high resolution, the likeliest first; a number may follow `gtmod`.
const HIGH: [&str; 5] = ["hr", "gtmod", "gt", "high", "original"];

/// What follows `lr` in the name of a folder of partners that a bicubic filter made, before the
/// scale.
const BICUBIC: [&str; 4] = ["bicubic", "bic", "bi", ""];

/// What tells, at the end of a picture's name, which of a pair it is.
const KINDS: [&str; 6] = ["hr", "lrbi", "lrbic", "lr", "gt", "bicubic"];

/// Finds the pictures of high resolution in `folder`, or in a folder of it.
///
/// # Errors
/// Where there are none, or several folders that may be meant.
pub(super) fn high(folder: &Path, scale: usize) -> Result<High, DataError> {
    let there = PartFolder::read(folder)?;
    if !there.loose.is_empty() {
        let of_high: Vec<String> = there.loose.iter().filter(|name| ends_in(name, "_hr")).cloned().collect();
        let mixed = !of_high.is_empty() && there.loose.iter().any(|name| ends_in(name, "_lr"));
        return Ok(High { folder: folder.to_owned(), names: if mixed { of_high } else { there.loose }, mixed });
    }
    let rank = |name: &&String| prefix_of_high(name).map(|(rank, prefix)| (rank, !prefix.is_empty()));
    let best = there.classes.iter().filter_map(|name| rank(&name).map(|(rank, named)| (named, rank))).min();
    let meant: Vec<&String> = there
        .classes
        .iter()
        .filter(|name| rank(name).map(|(rank, named)| (named, rank)) == best && best.is_some())
        .collect();
    let of_scale =
        |name: &&String| name.ends_with(&format!("_{scale}")) || name.to_lowercase().ends_with(&format!("x{scale}"));
    match (meant.as_slice(), there.classes.iter().find(of_scale)) {
        ([one], _) => {
            let folder = folder.join(one);
            let names = PartFolder::read(&folder)?.loose;
            if names.is_empty() { Err(DataError::NoHigh { folder }) } else { Ok(High { folder, names, mixed: false }) }
        }
        ([], Some(one)) => high(&folder.join(one), scale),
        ([], None) => Err(DataError::NoHigh { folder: folder.to_owned() }),
        (several, _) => {
            let names = several.iter().map(|&name| name.clone()).collect();
            Err(DataError::SeveralHigh { folder: folder.to_owned(), names })
        }
    }
}

/// The folder of partners of `high`, where there is one beside it.
///
/// # Errors
/// Where a folder cannot be read.
pub(super) fn low(high: &High, scale: usize) -> Result<Option<PathBuf>, DataError> {
    if high.mixed {
        return Ok(Some(high.folder.clone()));
    }
    let name = high.folder.file_name().unwrap_or_default().to_string_lossy();
    let (Some((_, prefix)), Some(around)) = (prefix_of_high(&name), high.folder.parent()) else { return Ok(None) };
    for folder in PartFolder::read(around)?.classes {
        let Some(has_scale) = is_of_low(&folder, prefix, scale) else { continue };
        let folder = around.join(folder);
        let below = PartFolder::read(&folder)?;
        let of_scale = |name: &&String| [format!("x{scale}"), scale.to_string()].contains(&name.to_lowercase());
        if let Some(name) = below.classes.iter().find(of_scale) {
            return Ok(Some(folder.join(name)));
        }
        if !below.loose.is_empty() && (has_scale || below.classes.is_empty()) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// The picture that each of `high`'s has in `folder`, by what both are called alike.
///
/// # Errors
/// Names the first that has none.
pub(super) fn partners(high: &High, folder: &Path, scale: usize) -> Result<Vec<PathBuf>, DataError> {
    let there = PartFolder::read(folder)?.loose;
    let is_low = |name: &&String| !high.mixed || ends_in(name, "_lr");
    let by_name: BTreeMap<&str, &String> =
        there.iter().filter(is_low).map(|name| (bare(stem(name), scale), name)).collect();
    let of = |name: &String| {
        let found = by_name.get(bare(stem(name), scale)).map(|name| folder.join(name));
        found.ok_or_else(|| DataError::NoPartner { high: high.folder.join(name), folder: folder.to_owned() })
    };
    high.names.iter().map(of).collect()
}

/// A file's name without its ending.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A picture's name without what tells it from its partner: `x4`, `_HR`.
pub(super) fn bare(stem: &str, scale: usize) -> &str {
    let scale = format!("x{scale}");
    let mut bare = without(stem, &scale).map_or(stem, |rest| rest.trim_end_matches(['_', '-']));
    for kind in KINDS {
        if let Some(rest) = without(bare, kind).filter(|rest| rest.ends_with(['_', '-'])) {
            bare = rest.trim_end_matches(['_', '-']);
            break;
        }
    }
    // `img_x4_HR` as well as `img_HR_x4`.
    let bare = without(bare, &scale).map_or(bare, |rest| rest.trim_end_matches(['_', '-']));
    if bare.is_empty() { stem } else { bare }
}

/// Without `end`, in capitals or not.
fn without<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(end.len())?;
    (name.is_char_boundary(at) && name[at..].eq_ignore_ascii_case(end)).then(|| &name[..at])
}

fn ends_in(name: &str, end: &str) -> bool {
    without(stem(name), end).is_some()
}

/// How likely a folder of that name holds high resolution, smaller being likelier, and what stands
/// before it: `DIV2K_train_` of `DIV2K_train_HR`.
fn prefix_of_high(name: &str) -> Option<(usize, &str)> {
    let bare =
        if name.to_lowercase().contains("gtmod") { name.trim_end_matches(|c: char| c.is_ascii_digit()) } else { name };
    let found = HIGH.iter().enumerate().find_map(|(rank, high)| Some((rank, without(bare, high)?)));
    found.filter(|(_, prefix)| prefix.is_empty() || prefix.ends_with(['_', '-']))
}

/// Whether a folder holds the partners of one whose name begins with `prefix`; if so, whether its
/// name says the scale.
fn is_of_low(name: &str, prefix: &str, scale: usize) -> Option<bool> {
    let rest =
        name.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &name[prefix.len()..])?;
    let rest = rest.to_lowercase();
    let rest = rest.strip_prefix("lr")?.replace(['_', '-'], "");
    let scaled = rest.strip_suffix(&format!("x{scale}"));
    BICUBIC.contains(&scaled.unwrap_or(&rest)).then_some(scaled.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// For each of the pictures of high resolution its partner, all relative to the folder of
    /// `files`.
    fn found(files: &[&str], set: &str, scale: usize) -> Result<(Vec<String>, Option<Vec<String>>), DataError> {
        let scratch = tempfile::tempdir().unwrap();
        for file in files {
            let path = scratch.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let relative = |path: &Path| path.strip_prefix(scratch.path()).unwrap().display().to_string();
        let high = high(&scratch.path().join(set), scale)?;
        let names = high.names.iter().map(|name| relative(&high.folder.join(name))).collect();
        let partners = low(&high, scale)?.map(|folder| partners(&high, &folder, scale)).transpose()?;
        Ok((names, partners.map(|all| all.iter().map(|path| relative(path)).collect())))
    }

    #[test]
    fn pairs_are_found_in_the_layouts_that_people_have() {
        for (set, high, low, others) in [
            (
                "d/d_train_HR",
                "d/d_train_HR/0001.png",
                "d/d_train_LR_bicubic/X4/0001x4.png",
                "d/d_train_LR_unknown/X4/0001x4.png",
            ),
            (
                "d/d_train_HR",
                "d/d_train_HR/0001.png",
                "d/d_train_LR_bicubic_X4/X4/0001x4.png",
                "d/d_valid_LR_bicubic/X4/0001x4.png",
            ),
            ("d", "d/d_HR/000001.png", "d/d_LR_bicubic/X4/000001x4.png", "d/d_LR_bicubic/X2/000001x2.png"),
            ("set", "set/HR/baby.png", "set/LR_bicubic/X4/babyx4.png", "set/LR_bicubic/X3/babyx3.png"),
            ("set", "set/GTmod12/baby.png", "set/LRbicx4/baby.png", "set/original/baby.png"),
            ("set", "set/hr/baby.png", "set/lr_x4/baby.png", "set/lr_x2/baby.png"),
            ("set", "set/hr/img_x4.png", "set/lr_x4/img_x4.png", "set/notes.txt"),
            (
                "set/image_SRF_4",
                "set/image_SRF_4/i_001_SRF_4_HR.png",
                "set/image_SRF_4/i_001_SRF_4_LR.png",
                "set/image_SRF_4/i_001_SRF_4_SRCNN.png",
            ),
            (
                "set",
                "set/image_SRF_4/i_001_SRF_4_HR.png",
                "set/image_SRF_4/i_001_SRF_4_LR.png",
                "set/image_SRF_2/i_001_SRF_2_HR.png",
            ),
        ] {
            let (names, partners) = found(&[high, low, others], set, 4).unwrap();
            assert_eq!((names, partners), (vec![high.to_owned()], Some(vec![low.to_owned()])), "{set}");
        }
        // Partners of another scale or filter are none, and a folder of another name has none.
        for (set, others) in [("set", "set/LR_bicubic/X2/babyx2.png"), ("set", "set/LR_unknown/X4/babyx4.png")] {
            assert_eq!(found(&["set/HR/baby.png", others], set, 4).unwrap().1, None, "{others}");
        }
        assert_eq!(found(&["t/1.jpg", "LR_bicubic/X4/1x4.png"], "t", 4).unwrap(), (vec!["t/1.jpg".to_owned()], None));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let said = |files: &[&str]| found(files, "d", 4).unwrap_err();
        let several = said(&["d/d_train_HR/1.png", "d/d_valid_HR/1.png"]);
        assert!(
            several.to_string().ends_with("several folders of high resolution: `d_train_HR`, `d_valid_HR`"),
            "{several}"
        );
        assert!(several.hint().unwrap().contains("name the folder itself"));
        assert!(matches!(said(&["d/notes/1.png"]), DataError::NoHigh { .. }));
        assert!(matches!(said(&["d/HR/notes.txt"]), DataError::NoHigh { folder } if folder.ends_with("d/HR")));
        let lone = said(&["d/HR/a.png", "d/HR/b.png", "d/LR_bicubic/X4/ax4.png"]);
        assert!(matches!(&lone, DataError::NoPartner { high, .. } if high.ends_with("d/HR/b.png")), "{lone}");
    }

    #[test]
    fn partners_are_called_alike_but_for_the_end() {
        for (name, expected) in [
            ("0001x4", "0001"),
            ("baby_HR_x4", "baby"),
            ("baby_LRBI_x4", "baby"),
            ("ppt3", "ppt3"),
            ("x4", "x4"),
            ("maxx2", "maxx2"),
        ] {
            assert_eq!(bare(name, 4), expected);
        }
    }
}
