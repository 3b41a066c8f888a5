//! The data sets that can be prepared.

use crate::{
    Archive, Cifar100Labels, DataError, Normalise, Raw, Synthetic, Watcher,
    download::{self, Client},
    sources::cifar,
    sources::digits,
    sources::locate::{Wanted, locate},
};
use std::path::{Path, PathBuf};

/// A data set by what it is, without where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; official binary
    /// layout.
    Cifar10,
    /// Of the same report; official binary layout.
    Cifar100 { labels: Cifar100Labels },
    /// Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, as
    /// scikit-learn's CSV. It has no test set of its own: a fraction of the images, the same share
    /// of each digit, is drawn for one.
    Digits { test_fraction: f64, test_seed: u64 },
    /// Drawn by the program, for tests.
    Synthetic(Synthetic),
}

/// A data set with the files it will be read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    source: Source,
    files: Vec<PathBuf>,
}

impl Source {
    /// The share of the digits that becomes their test set unless told otherwise.
    pub const DIGITS_TEST_FRACTION: f64 = 0.2;

    /// The statistics to normalise with unless told otherwise: published constants where there are
    /// any.
    pub fn default_normalise(&self) -> Normalise {
        match self {
            Self::Cifar10 => Normalise::Cifar10Darts,
            Self::Cifar100 { .. } => Normalise::Cifar100NasBench201,
            Self::Digits { .. } | Self::Synthetic(_) => Normalise::Measured,
        }
    }

    /// Channels, height and width of its images, and how many classes they are of.
    pub fn images(&self) -> ([usize; 3], usize) {
        match self {
            Self::Cifar10 => ([3, 32, 32], 10),
            Self::Cifar100 { labels: Cifar100Labels::Fine } => ([3, 32, 32], 100),
            Self::Cifar100 { labels: Cifar100Labels::Coarse } => ([3, 32, 32], 20),
            Self::Digits { .. } => ([1, 8, 8], 10),
            Self::Synthetic(Synthetic { channels, size, classes, .. }) => ([*channels, *size, *size], *classes),
        }
    }

    /// Finds the files: at `place` or in the folder of the official archive below it.
    ///
    /// # Errors
    /// Names the folders that were looked at, or the files that are missing from the one that was
    /// found.
    pub fn locate(&self, place: &Path) -> Result<Located, DataError> {
        let files = match self.wanted() {
            Some(wanted) => locate(place, &wanted)?,
            None => Vec::new(),
        };
        Ok(Located { source: *self, files })
    }

    /// The archive it is published in, where it can be fetched.
    pub fn archive(&self) -> Option<Archive> {
        self.wanted()?.archive.as_ref().map(Archive::official)
    }

    /// As [`locate`](Self::locate), but where nothing is found `archive` is fetched and unpacked in
    /// `place`.
    ///
    /// # Errors
    /// As `locate`, and what kept the archive from coming.
    pub fn fetch(&self, place: &Path, archive: &Archive, watcher: &Watcher<'_>) -> Result<Located, DataError> {
        match (self.locate(place), self.wanted()) {
            (Err(DataError::NotFound { .. }), Some(wanted)) => {
                download::fetch(place, &wanted, archive, &Client::default(), watcher)?;
                self.locate(place)
            }
            (found, _) => found,
        }
    }

    fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Cifar10 => Some(cifar::CIFAR10),
            Self::Cifar100 { .. } => Some(cifar::CIFAR100),
            Self::Digits { .. } => Some(digits::DIGITS),
            Self::Synthetic(_) => None,
        }
    }
}

impl Located {
    /// The files that decide the images: what a key must hash. None for synthetic data.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where they lie: the one file, or the folder of several.
    pub fn place(&self) -> Option<&Path> {
        match self.files.as_slice() {
            [file] => Some(file),
            files => files.first()?.parent(),
        }
    }

    /// Reads and checks all images.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, record or line, and what was expected.
    pub fn read(&self) -> Result<Raw, DataError> {
        match self.source {
            Source::Cifar10 => cifar::read_cifar10(&self.files),
            Source::Cifar100 { labels } => cifar::read_cifar100(&self.files, labels),
            Source::Digits { test_fraction, test_seed } => digits::read(&self.files, test_fraction, test_seed),
            Source::Synthetic(synthetic) => synthetic.draw(),
        }
    }
}
