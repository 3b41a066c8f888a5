//! Sets of pictures of high resolution, each with a partner of low resolution that is read from a
//! file or made by MATLAB's bicubic filter.

mod layout;

use crate::{
    DataError, Dataset, Examples, Pair, Pairs, Picture, Pixels, Split, SplitRule, Statistics, sets::files::find_folder,
};
use rayon::prelude::*;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Sets of pairs by what is wanted of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePairs {
    pub scale: usize,
    /// Side of the patches of low resolution that are trained on.
    pub patch: usize,
    /// Of each picture in an epoch.
    pub patches: usize,
    pub train: Option<PictureSet>,
    pub test: Vec<PictureSet>,
}

/// A set of pictures, with paths as the pipeline has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureSet {
    /// `set5`
    pub name: String,
    /// The pictures of high resolution, or the folder around theirs.
    pub high: String,
    pub low: Low,
    /// Pictures with the names and sizes of those of high resolution, to be learned in their place.
    pub teacher: Option<String>,
}

/// Where partners of low resolution come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Low {
    /// Read where a folder of them is found, made where there is none.
    Found,
    Folder(String),
    /// Made, whatever lies there.
    Bicubic,
}

/// Sets of pairs that were found.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedPairs {
    pairs: ImagePairs,
    train: Option<LocatedSet>,
    test: Vec<LocatedSet>,
}

#[derive(Debug, Clone, PartialEq)]
struct LocatedSet {
    name: String,
    high: layout::High,
    low: Option<PathBuf>,
    teacher: Option<PathBuf>,
}

/// Pairs in memory, before it is known how to split them.
#[derive(Debug)]
pub struct ReadPairs {
    shape: [usize; 3],
    train: Examples,
    test: Examples,
    /// Pictures to train on that are smaller than a patch, and left out.
    pub small: Vec<PathBuf>,
    /// Pictures that lost rows or columns at their ends, so that the scale divides their sides.
    pub cropped: usize,
    /// Pictures whose partner was made.
    pub made: usize,
}

/// Test pictures of low resolution have no smaller side: then all that is measured of an output has
/// room.
const LEAST_SIDE: usize = 8;

/// Pictures that are decoded between two looks at whether to stop.
const READ_AT_A_TIME: usize = 32;

impl ImagePairs {
    /// Finds the folders, each in the first of `roots` that has it.
    ///
    /// # Errors
    /// Where one is not there or holds no pictures, or it cannot be told which is meant.
    pub fn locate(&self, roots: &[PathBuf]) -> Result<LocatedPairs, DataError> {
        let of = |set: &PictureSet| {
            let found = |folder: &str| find_folder(roots, Path::new(folder));
            let high = layout::high(&found(&set.high)?, self.scale)?;
            let low = match &set.low {
                Low::Found => layout::low(&high, self.scale)?,
                Low::Folder(folder) => Some(found(folder)?),
                Low::Bicubic => None,
            };
            let teacher = set.teacher.as_deref().map(found).transpose()?;
            Ok(LocatedSet { name: set.name.clone(), high, low, teacher })
        };
        let train = self.train.as_ref().map(of).transpose()?;
        let test = self.test.iter().map(of).collect::<Result<_, DataError>>()?;
        Ok(LocatedPairs { pairs: self.clone(), train, test })
    }
}

impl LocatedPairs {
    /// The folders that decide the pairs, with what is in them: what a key must hash.
    pub fn folders(&self) -> Vec<(String, PathBuf)> {
        let of = |set: &LocatedSet| {
            let all = [("high", Some(&set.high.folder)), ("low", set.low.as_ref()), ("teacher", set.teacher.as_ref())];
            all.into_iter()
                .filter_map(|(what, path)| Some((format!("{} {what}", set.name), path?.clone())))
                .collect::<Vec<_>>()
        };
        self.train.iter().chain(&self.test).flat_map(of).collect()
    }

    /// How many pictures of high resolution there are.
    pub fn pictures(&self) -> usize {
        self.train.iter().chain(&self.test).map(|set| set.high.names.len()).sum()
    }

    /// Bytes of memory that all pairs take, by the headers of the pictures of high resolution; what cannot be
    /// read counts nothing here.
    pub fn bytes(&self) -> u64 {
        let scale = self.pairs.scale as u64;
        let of = |set: &LocatedSet| {
            let paths = set.high.names.par_iter().map(|name| set.high.folder.join(name));
            let pixels: u64 = paths.filter_map(|path| Picture::pixels_of(&path)).sum();
            let kept = 1 + u64::from(set.teacher.is_some());
            // Of three bytes each.
            3 * (kept * pixels + pixels / (scale * scale))
        };
        self.train.iter().chain(&self.test).map(of).sum()
    }

    /// Decodes every picture. `go_on` hears how many are done and says whether to go on; `None`
    /// where it said no.
    ///
    /// # Errors
    /// The first picture that cannot be used, with what is wrong with it.
    pub fn read(&self, mut go_on: impl FnMut(usize) -> bool) -> Result<Option<ReadPairs>, DataError> {
        let mut reading = Reading { pairs: &self.pairs, done: 0, cropped: 0, made: 0, small: Vec::new() };
        let Some(train) = reading.part(self.train.as_slice(), true, &mut go_on)? else { return Ok(None) };
        let Some(test) = reading.part(&self.test, false, &mut go_on)? else { return Ok(None) };
        let (patch, Reading { cropped, made, small, .. }) = (self.pairs.patch, reading);
        Ok(Some(ReadPairs { shape: [3, patch, patch], train, test, small, cropped, made }))
    }
}

/// Pictures as they are decoded, and what there is to say of them.
struct Reading<'a> {
    pairs: &'a ImagePairs,
    done: usize,
    cropped: usize,
    made: usize,
    small: Vec<PathBuf>,
}

impl Reading<'_> {
    fn part(
        &mut self,
        sets: &[LocatedSet],
        trains: bool,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Examples>, DataError> {
        let (mut pictures, mut labels) = (Vec::new(), Vec::new());
        for (label, set) in sets.iter().enumerate() {
            let Some(of_set) = self.set(set, trains, go_on)? else { return Ok(None) };
            labels.resize(labels.len() + of_set.len(), label as u16);
            pictures.extend(of_set);
        }
        let ImagePairs { scale, patches, .. } = *self.pairs;
        let sets = sets.iter().map(|set| set.name.clone()).collect();
        Ok(Some(Examples { pixels: Pixels::Pairs(Pairs { scale, sets, patches, pictures }), labels }))
    }

    fn set(
        &mut self,
        set: &LocatedSet,
        trains: bool,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Vec<Pair>>, DataError> {
        let ImagePairs { scale, patch, .. } = *self.pairs;
        let called_alike = |folder: &PathBuf| layout::partners(&set.high, folder, scale);
        let partners = set.low.as_ref().map(called_alike).transpose()?;
        let teachers = set.teacher.as_ref().map(called_alike).transpose()?;
        let read = |&index: &usize| {
            let of = |paths: &'_ Option<Vec<PathBuf>>| paths.as_ref().map(|paths| paths[index].clone());
            let (path, low, teacher) = (set.high.folder.join(&set.high.names[index]), of(&partners), of(&teachers));
            read(&path, low.as_deref(), teacher.as_deref(), scale).map(|found| (path, found))
        };
        let (mut pictures, mut names) = (Vec::new(), BTreeSet::new());
        let all: Vec<usize> = (0..set.high.names.len()).collect();
        for chunk in all.chunks(READ_AT_A_TIME) {
            if !go_on(self.done) {
                return Ok(None);
            }
            for (path, (pair, cropped)) in chunk.par_iter().map(read).collect::<Result<Vec<_>, _>>()? {
                if !names.insert(pair.name.clone()) {
                    return Err(DataError::CalledAlike { path });
                }
                if self.has_room(&path, &pair, trains)? {
                    self.cropped += usize::from(cropped);
                    self.made += usize::from(partners.is_none());
                    pictures.push(pair);
                } else {
                    self.small.push(path);
                }
            }
            self.done += chunk.len();
        }
        if pictures.is_empty() {
            let why = format!("no picture in it has a patch of {} pixels a side", patch * scale);
            let found = "a folder of small pictures".to_owned();
            return Err(DataError::SmallPicture { path: set.high.folder.clone(), found, why });
        }
        Ok(Some(pictures))
    }

    /// Whether a picture to train on has a patch; one to test on must have room for what is
    /// measured.
    fn has_room(&self, path: &Path, pair: &Pair, trains: bool) -> Result<bool, DataError> {
        let side = pair.low.width.min(pair.low.height);
        if trains || side >= LEAST_SIDE {
            return Ok(!trains || side >= self.pairs.patch);
        }
        let least = LEAST_SIDE * self.pairs.scale;
        let why = format!("pictures to test on have at least {least} pixels a side");
        Err(DataError::SmallPicture { path: path.to_owned(), found: sides(&pair.high), why })
    }
}

impl ReadPairs {
    /// With the split of the pictures to train on.
    ///
    /// # Errors
    /// Where the rule leaves none to fit.
    pub fn finish(self, rule: &SplitRule) -> Result<Dataset, DataError> {
        let Self { shape, train, test, .. } = self;
        let split = if train.is_empty() { Split::default() } else { rule.apply(&train.labels, 1)? };
        Ok(Dataset {
            name: "image_pairs".to_owned(),
            shape,
            white: 255,
            classes: Vec::new(),
            train,
            test,
            // From 0 to 1.
            statistics: Statistics { mean: vec![0.0; 3], std: vec![1.0; 3] },
            split,
            provenance: "pairs of pictures".to_owned(),
        })
    }
}

/// A pair, and whether the larger picture lost something so that the scale divides its sides.
fn read(high: &Path, low: Option<&Path>, teacher: Option<&Path>, scale: usize) -> Result<(Pair, bool), DataError> {
    let whole = Picture::open(high)?;
    let (width, height) = (whole.width / scale * scale, whole.height / scale * scale);
    if width == 0 || height == 0 {
        let why = format!("its sides are less than the scale, {scale}");
        return Err(DataError::SmallPicture { path: high.to_owned(), found: sides(&whole), why });
    }
    let misfit = |path: &Path, found: &Picture, expected: String| DataError::PartnerSize {
        path: path.to_owned(),
        of: high.to_owned(),
        found: sides(found),
        expected,
    };
    let taught = teacher.map(|path| {
        let taught = Picture::open(path)?;
        let fits = [(width, height), (whole.width, whole.height)].contains(&(taught.width, taught.height));
        if fits { Ok(taught.cropped([0, 0], [width, height])) } else { Err(misfit(path, &taught, sides(&whole))) }
    });
    let cropped = (width, height) != (whole.width, whole.height);
    let picture = if cropped { whole.cropped([0, 0], [width, height]) } else { whole };
    let partner = match low {
        None => picture.shrunk(scale),
        Some(path) => {
            let found = Picture::open(path)?;
            if (found.width, found.height) != (width / scale, height / scale) {
                return Err(misfit(path, &found, format!("{}x{} pixels", width / scale, height / scale)));
            }
            found
        }
    };
    let name = high.file_stem().unwrap_or_default().to_string_lossy();
    let name = layout::bare(&name, scale).to_owned();
    Ok((Pair { name, low: partner, high: picture, teacher: taught.transpose()? }, cropped))
}

/// `480x320 pixels`
fn sides(picture: &Picture) -> String {
    format!("{}x{} pixels", picture.width, picture.height)
}

#[cfg(test)]
mod tests;
