//! A folder of class folders of pictures, as ImageNet is laid out: listed once, then opened by the
//! list.
//!
//! Every picture is decoded once when the list is made, and one that cannot be decoded is left out
//! of it, with its name and the reason. So each batch is full, each epoch has the images that the
//! list has, and an accuracy is over images that were really seen. To put another image in a broken
//! one's place while training would count that one twice, and where a whole disk went away it would
//! go on with ever fewer images; here a file that fails later ends the run by name.

mod left_out;
mod parts;
pub(super) mod walk;

pub use left_out::LeftOut;
pub use parts::Parts;

use crate::{
    DataError, Dataset, Examples, Files, Normalise, Pixels, SplitRule,
    pictures::workbench::Workbench,
    random::{Purpose, Stream},
    sets::files::{Names, find_folder},
    sets::split::{share, stratified},
};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
pub use walk::pictures_below;
use walk::{PartFolder, pictures};

/// Bumped where the same folder comes to be listed in another way: results of the older list are
/// then made anew.
pub const LIST_VERSION: u32 = 2;

/// A folder of pictures by what is wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFolder {
    /// As the pipeline has it: below one of the places where data lie, or absolute.
    pub path: String,
    pub parts: Parts,
    /// Both sides of what a network sees.
    pub size: usize,
    /// What a picture's shorter side becomes for an evaluation, before the middle is cut out.
    pub resize: usize,
    /// Only these class folders; all where absent.
    pub classes: Option<Vec<String>>,
    /// The first so many images of each class and part, by name; all where absent.
    pub images_per_class: Option<usize>,
}

/// An image folder that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedFolder {
    folder: ImageFolder,
    /// Of each part; one where a share is held out.
    paths: Vec<PathBuf>,
}

/// The pictures of an image folder.
#[derive(Debug)]
pub struct Listing {
    folder: ImageFolder,
    classes: Vec<String>,
    parts: Vec<ListedPart>,
    left_out: LeftOut,
}

#[derive(Debug)]
struct ListedPart {
    path: PathBuf,
    entries: Vec<Entry>,
    left_out: LeftOut,
}

/// A file that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub path: PathBuf,
    pub why: String,
}

#[derive(Debug)]
struct Entry {
    /// Relative to the part's folder, with `/`.
    name: String,
    bytes: u64,
    label: u16,
}

/// Pictures that are decoded between two looks at whether to stop.
const VERIFIED_AT_A_TIME: usize = 512;

impl ImageFolder {
    /// Finds the folders, in the first of `roots` that has the folder of the first part.
    ///
    /// # Errors
    /// Where a folder is not there, or a number makes no sense.
    pub fn locate(&self, roots: &[PathBuf]) -> Result<LocatedFolder, DataError> {
        crate::pictures::view::View { size: self.size, resize: self.resize }.check()?;
        if let Parts::HeldOut { fraction, .. } = self.parts {
            share("held_out_fraction", fraction, 0)?;
        }
        let paths =
            self.part_folders().iter().map(|folder| find_folder(roots, Path::new(folder))).collect::<Result<_, _>>()?;
        Ok(LocatedFolder { folder: self.clone(), paths })
    }

    /// The folders of the parts as the pipeline names them.
    fn part_folders(&self) -> Vec<String> {
        match &self.parts {
            Parts::Folders { train, val } => [train, val].map(|part| format!("{}/{part}", self.path)).to_vec(),
            Parts::HeldOut { .. } => vec![self.path.clone()],
        }
    }
}

impl LocatedFolder {
    /// The folders whose listing decides what is loaded: what a key must hash.
    pub fn folders(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Lists the pictures by class and name.
    ///
    /// # Errors
    /// Where a folder cannot be read or seems to be another one than is meant: no class or only
    /// one, parts in the place of classes, a class without pictures, a test class that training has
    /// not.
    pub fn list(&self) -> Result<Listing, DataError> {
        let [first, others @ ..] = self.paths.as_slice() else { unreachable!("a located folder has a part") };
        let there = PartFolder::read(first)?;
        let classes = self.folder.choose(first, &there)?;
        if classes.len() > usize::from(u16::MAX) {
            return Err(DataError::setting("classes", format!("at most {}", u16::MAX), classes.len()));
        }
        let mut parts = vec![self.list_part(first, there, &classes, true)?];
        for path in others {
            let there = PartFolder::read(path)?;
            let is_strange = |class: &&String| classes.binary_search(class).is_err();
            let strange: Vec<String> = there.classes.iter().filter(is_strange).cloned().collect();
            if self.folder.classes.is_none() && !strange.is_empty() {
                let (has, has_not) = (path.clone(), first.clone());
                return Err(DataError::StrangeClasses { classes: strange, has, has_not });
            }
            let without_class = there.without_class(path);
            let part = self.list_part(path, there, &classes, false)?;
            if part.entries.is_empty() {
                return Err(without_class);
            }
            parts.push(part);
        }
        let mut left_out = LeftOut::default();
        parts.iter_mut().for_each(|part| left_out.merge(std::mem::take(&mut part.left_out)));
        Ok(Listing { folder: self.folder.clone(), classes, parts, left_out })
    }

    /// Lists the pictures of `classes` in the part at `path`, which `there` lies in.
    fn list_part(
        &self,
        path: &Path,
        there: PartFolder,
        classes: &[String],
        each_has_some: bool,
    ) -> Result<ListedPart, DataError> {
        let of_class = |(label, class): (usize, &String)| -> Result<(Vec<Entry>, LeftOut), DataError> {
            let mut left_out = LeftOut::default();
            if there.classes.binary_search(class).is_err() {
                return Ok((Vec::new(), left_out));
            }
            let folder = path.join(class);
            let mut entries = pictures(path, &folder, label as u16, &mut left_out)?;
            entries.truncate(self.folder.images_per_class.unwrap_or(usize::MAX));
            if each_has_some && entries.is_empty() {
                return Err(DataError::EmptyClass { folder, broken: 0, left_out });
            }
            Ok((entries, left_out))
        };
        // A class at a time: where files lie far away it is the waiting that takes long.
        let of_classes: Vec<_> = classes.par_iter().enumerate().map(of_class).collect::<Result<_, _>>()?;
        let (mut entries, mut left_out) = (Vec::new(), there.left_out.clone());
        for (of_class, left_out_of_class) in of_classes {
            entries.extend(of_class);
            left_out.merge(left_out_of_class);
        }
        Ok(ListedPart { path: path.to_owned(), entries, left_out })
    }
}

impl ImageFolder {
    /// The classes that are learned, of those that are `there` in the part at `path`.
    fn choose(&self, path: &Path, there: &PartFolder) -> Result<Vec<String>, DataError> {
        let folder = path.to_owned();
        let classes: Vec<String> = match &self.classes {
            None if parts::are_parts(&there.classes) => {
                return Err(DataError::PartsAsClasses { folder, classes: there.classes.clone() });
            }
            None => there.classes.clone(),
            Some(wanted) => {
                if let Some(class) = wanted.iter().find(|class| !there.classes.contains(class)) {
                    return Err(DataError::NoFolder { folder: class.into(), looked: vec![folder.join(class)] });
                }
                there.classes.iter().filter(|class| wanted.contains(class)).cloned().collect()
            }
        };
        match classes.as_slice() {
            [] => Err(there.without_class(path)),
            [class] => {
                let below = PartFolder::read(&folder.join(class))?.classes.len();
                let hint = match below {
                    0 => "two classes are needed for a network to learn which is which".to_owned(),
                    _ => format!("the {below} folders in `{class}` may be the classes: name the folder around them"),
                };
                Err(DataError::OneClass { folder, class: class.clone(), hint })
            }
            _ => Ok(classes),
        }
    }
}

impl Listing {
    /// All pictures of all parts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.entries.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Files that are on no list, by kind.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Classes that differ in capitals only. On some disks they would be one.
    pub fn alike(&self) -> Vec<[&str; 2]> {
        let small = |class: &str| class.to_lowercase();
        let mut by_letters: Vec<&str> = self.classes.iter().map(String::as_str).collect();
        by_letters.sort_by_cached_key(|class| small(class));
        by_letters.array_windows().filter(|[a, b]| small(a) == small(b)).copied().collect()
    }

    /// Decodes every picture, and takes those that cannot be decoded off the list. `go_on` hears
    /// how many are done and says whether to go on; `None` where it said no.
    ///
    /// # Errors
    /// Where a file cannot be read, or a class has none left.
    pub fn verify(&mut self, mut go_on: impl FnMut(usize) -> bool) -> Result<Option<Vec<Broken>>, DataError> {
        let mut all_broken = Vec::new();
        let mut done = 0;
        for part in &mut self.parts {
            let mut broken = Vec::new();
            for (at, entries) in part.entries.chunks(VERIFIED_AT_A_TIME).enumerate() {
                if !go_on(done) {
                    return Ok(None);
                }
                let found: Vec<(usize, Broken)> = entries
                    .par_iter()
                    .enumerate()
                    .filter_map(|(within, entry)| {
                        let found = entry.broken(&part.path).transpose()?;
                        Some(found.map(|found| (at * VERIFIED_AT_A_TIME + within, found)))
                    })
                    .collect::<Result<_, DataError>>()?;
                broken.extend(found);
                done += entries.len();
            }
            let mut index = 0;
            let mut skipped = broken.iter().map(|(at, _)| *at).peekable();
            part.entries.retain(|_| {
                let keep = skipped.next_if_eq(&index).is_none();
                index += 1;
                keep
            });
            all_broken.extend(broken.into_iter().map(|(_, broken)| broken));
        }
        let mut left = vec![0; self.classes.len()];
        self.parts[0].entries.iter().for_each(|entry| left[usize::from(entry.label)] += 1);
        if let Some(class) = left.iter().position(|&left| left == 0) {
            let folder = self.parts[0].path.join(&self.classes[class]);
            let broken = all_broken.iter().filter(|broken| broken.path.starts_with(&folder)).count();
            return Err(DataError::EmptyClass { folder, broken, left_out: LeftOut::default() });
        }
        Ok(Some(all_broken))
    }

    /// Makes the data set that is loaded from.
    ///
    /// # Errors
    /// Where the statistics would have to be measured, or a share or a split leaves nothing on one
    /// side.
    pub fn finish(self, normalise: &Normalise, rule: &SplitRule) -> Result<Dataset, DataError> {
        let Self { folder, classes, parts, .. } = self;
        let Some(statistics) = normalise.constants() else {
            return Err(DataError::setting("normalise", "constants: an image folder is not measured", "measured"));
        };
        let statistics = statistics.checked(3)?;
        let named = folder.part_folders();
        let (train, test) = match (&folder.parts, parts.as_slice(), named.as_slice()) {
            (Parts::Folders { .. }, [train, test], [train_folder, test_folder]) => (
                examples(train_folder, train.entries.iter(), folder.resize),
                examples(test_folder, test.entries.iter(), folder.resize),
            ),
            (&Parts::HeldOut { fraction, seed }, [all], [named]) => {
                let labels: Vec<u16> = all.entries.iter().map(|entry| entry.label).collect();
                let take = share("held_out_fraction", fraction, labels.len())?;
                let stream = |class| Stream::new(Purpose::TestPart, seed, class, 0);
                let (test, train) = stratified(&labels, classes.len(), take, stream);
                if test.is_empty() || train.is_empty() {
                    let expected = format!("a fraction that leaves images on both sides of {}", labels.len());
                    return Err(DataError::setting("held_out_fraction", expected, fraction));
                }
                let of = |chosen: &[u32]| {
                    examples(named, chosen.iter().map(|&index| &all.entries[index as usize]), folder.resize)
                };
                (of(&train), of(&test))
            }
            _ => unreachable!("a listing has the parts of its folder"),
        };
        let split = rule.apply(&train.labels, classes.len())?;
        let provenance = format!("a folder of pictures, {} to train on and {} to test on", train.len(), test.len());
        Ok(Dataset {
            name: "image_folder".to_owned(),
            shape: [3, folder.size, folder.size],
            white: 255,
            classes,
            train,
            test,
            statistics,
            split,
            provenance,
        })
    }
}

impl Entry {
    fn broken(&self, part: &Path) -> Result<Option<Broken>, DataError> {
        let path = part.join(&self.name);
        match Workbench::with(|bench| bench.open(&path, self.bytes)) {
            Ok(()) => Ok(None),
            Err(DataError::Picture { path, why }) => {
                tracing::warn!("`{}` cannot be decoded: {why}", path.display());
                Ok(Some(Broken { path, why }))
            }
            Err(error) => Err(error),
        }
    }
}

fn examples<'a>(folder: &str, entries: impl Iterator<Item = &'a Entry> + Clone, resize: usize) -> Examples {
    let names = entries.clone().map(|entry| entry.name.as_str()).collect::<Names>();
    let sizes = entries.clone().map(|entry| entry.bytes).collect();
    let labels = entries.map(|entry| entry.label).collect();
    Examples { pixels: Pixels::Files(Files::new(folder.to_owned(), names, sizes, resize)), labels }
}

#[cfg(test)]
mod tests;
