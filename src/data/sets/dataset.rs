//! A data set that is ready to be loaded from: images or where they lie, labels, what is needed to
//! normalise and to search.

use crate::{DataError, Files, ImageKind, ImageShape, Normalise, Pairs, Split, SplitRule, Statistics};
use std::{collections::BTreeSet, path::PathBuf};

/// A data set that is ready to be loaded from; one packed file on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// `cifar10`
    pub name: String,
    /// Channels, height, width: of the images, of the views of picture files of any size, or of the
    /// patches of smaller pictures of pairs.
    pub shape: [usize; 3],
    /// The pixel value that stands for 1.0: 255, or 16 for the digits.
    pub white: u8,
    /// In label order.
    pub classes: Vec<String>,
    pub train: Examples,
    pub test: Examples,
    pub statistics: Statistics,
    /// Which of the training images a search fits and which it holds out.
    pub split: Split,
    /// Where the images come from, in words; no paths, so that equal images make equal files.
    pub provenance: String,
}

/// The images of a part of a data set with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    pub pixels: Pixels,
    /// `[n]`
    pub labels: Vec<u16>,
}

/// Where the pixels of images are.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// In memory, `[n, channels, height, width]`.
    Packed(Vec<u8>),
    /// In picture files of any size.
    Files(Files),
    /// In memory, in two sizes each.
    Pairs(Pairs),
}

/// Images of one shape with their labels, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// `[n, channels, height, width]`
    pub pixels: Vec<u8>,
    /// `[n]`
    pub labels: Vec<u16>,
}

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Train,
    Test,
}

/// A data set as read, before it is known how to normalise and split it.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    pub name: &'static str,
    pub shape: [usize; 3],
    pub white: u8,
    pub classes: Vec<String>,
    pub train: Images,
    pub test: Images,
    pub provenance: String,
}

impl Raw {
    /// Adds channel statistics and the split.
    ///
    /// # Errors
    /// Where the statistics do not fit the channels, or the split leaves nothing to fit.
    pub fn finish(self, normalise: &Normalise, rule: &SplitRule) -> Result<Dataset, DataError> {
        let statistics = normalise.resolve(&self)?;
        let split = rule.apply(&self.train.labels, self.classes.len())?;
        let Self { name, shape, white, classes, train, test, provenance } = self;
        let (train, test) = (train.into(), test.into());
        Ok(Dataset { name: name.to_owned(), shape, white, classes, train, test, statistics, split, provenance })
    }
}

impl Normalise {
    /// # Errors
    /// Where the numbers do not fit the data set's channels, or a deviation is not above 0.
    pub(crate) fn resolve(&self, raw: &Raw) -> Result<Statistics, DataError> {
        self.constants().unwrap_or_else(|| Statistics::measured(raw)).checked(raw.shape[0])
    }
}

impl Statistics {
    /// Mean and population standard deviation of the training images. Sums are whole numbers, so no
    /// order of adding matters.
    pub fn measured(raw: &Raw) -> Self {
        let [channels, height, width] = raw.shape;
        let (mut mean, mut std) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
        for channel in 0..channels {
            let planes = raw.train.pixels.chunks_exact(height * width).skip(channel).step_by(channels);
            let (mut sum, mut squares) = (0_u64, 0_u64);
            for &pixel in planes.flatten() {
                sum += u64::from(pixel);
                squares += u64::from(pixel) * u64::from(pixel);
            }
            let count = (raw.train.len() * height * width) as f64;
            let white = f64::from(raw.white);
            let average = sum as f64 / count;
            mean.push((average / white) as f32);
            std.push(((squares as f64 / count - average * average).max(0.0).sqrt() / white) as f32);
        }
        Self { mean, std }
    }
}

impl Dataset {
    pub fn part(&self, part: Part) -> &Examples {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }

    /// What a network and a task must know of its images.
    pub fn images(&self) -> ImageShape {
        ImageShape { shape: self.shape, classes: self.classes.len(), kind: self.train.kind() }
    }

    /// Height and width of all the whole pictures of a part, each once; nothing where all images
    /// are of one size.
    pub fn sides(&self, part: Part) -> BTreeSet<[usize; 2]> {
        match &self.part(part).pixels {
            Pixels::Pairs(pairs) => pairs.pictures.iter().map(|pair| [pair.low.height, pair.low.width]).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The indices of all images of a part.
    pub fn all(&self, part: Part) -> Vec<u32> {
        (0..self.part(part).labels.len() as u32).collect()
    }

    /// Classes that no test image is of.
    pub fn untested(&self) -> Vec<&str> {
        let mut tested = vec![false; self.classes.len()];
        self.test.labels.iter().for_each(|&label| tested[usize::from(label)] = true);
        let classes = self.classes.iter().zip(tested);
        classes.filter(|(_, tested)| !tested).map(|(class, _)| class.as_str()).collect()
    }

    /// Finds the folders of picture files, each in the first of `roots` that has it. Images in
    /// memory need none.
    ///
    /// # Errors
    /// Where a folder is in none of them.
    pub fn rooted(mut self, roots: &[PathBuf]) -> Result<Self, DataError> {
        for examples in [&mut self.train, &mut self.test] {
            if let Pixels::Files(files) = &mut examples.pixels {
                files.rooted(roots)?;
            }
        }
        Ok(self)
    }

    /// Says what contradicts itself: what was expected and what was found.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let image = self.shape.iter().product::<usize>();
        ensure(image > 0, "images of at least one pixel", || format!("the shape {:?}", self.shape))?;
        ensure(self.white > 0, "a white above 0", || "0".to_owned())?;
        for (examples, name) in [(&self.train, "training"), (&self.test, "test")] {
            let labels = examples.len();
            match &examples.pixels {
                Pixels::Packed(pixels) => {
                    let found = || format!("{} pixels, {labels} labels", pixels.len());
                    ensure(pixels.len() == labels * image, "as many images as labels", found)?;
                }
                Pixels::Files(files) => {
                    let (names, sizes) = (files.names.len(), files.sizes.len());
                    let found = || format!("{names} names, {sizes} sizes, {labels} labels");
                    ensure(names == labels && sizes == labels, "as many files as labels", found)?;
                    let square = self.shape[0] == 3 && self.shape[1] == self.shape[2] && self.white == 255;
                    ensure(square, "square views in RGB", || format!("the shape {:?}", self.shape))?;
                    let found = || format!("{} and {}", self.shape[1], files.resize);
                    ensure(files.resize >= self.shape[1], "views no larger than pictures are made", found)?;
                }
                Pixels::Pairs(_) => {}
            }
            if let Pixels::Pairs(pairs) = &examples.pixels {
                let square = self.shape[0] == 3 && self.shape[1] == self.shape[2] && self.white == 255;
                ensure(square, "square patches in RGB", || format!("the shape {:?}", self.shape))?;
                pairs.check(&examples.labels)?;
                continue;
            }
            let wrong = examples.labels.iter().find(|&&label| usize::from(label) >= self.classes.len());
            let expected = format!("{name} labels below {}", self.classes.len());
            ensure(wrong.is_none(), &expected, || format!("{wrong:?}"))?;
        }
        self.statistics.check(self.shape[0])?;
        self.split.check(self.train.labels.len())
    }
}

fn ensure(holds: bool, expected: &str, found: impl FnOnce() -> String) -> Result<(), (String, String)> {
    if holds { Ok(()) } else { Err((expected.to_owned(), found())) }
}

impl Examples {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn kind(&self) -> ImageKind {
        match &self.pixels {
            Pixels::Packed(_) => ImageKind::InMemory,
            Pixels::Files(_) => ImageKind::InFiles,
            Pixels::Pairs(pairs) => ImageKind::Pairs { scale: pairs.scale },
        }
    }
}

impl From<Images> for Examples {
    fn from(images: Images) -> Self {
        Self { pixels: Pixels::Packed(images.pixels), labels: images.labels }
    }
}

impl Images {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Keeps the first `images`, all where there are fewer.
    pub fn truncate(&mut self, images: usize) {
        let image = self.pixels.len() / self.len().max(1);
        self.labels.truncate(images);
        self.pixels.truncate(image * self.labels.len());
    }

    /// The images at `indices`, in that order; `image` is the number of pixels of one.
    pub(crate) fn select(&self, indices: &[u32], image: usize) -> Self {
        let mut chosen = Self::default();
        for &index in indices {
            let index = index as usize;
            chosen.pixels.extend_from_slice(&self.pixels[index * image..(index + 1) * image]);
            chosen.labels.push(self.labels[index]);
        }
        chosen
    }
}
