//! Images and labels: official layouts in, plain `f32` batches out.
//!
//! 1. A [`Source`] says which data set. [`Source::locate`] finds its files, [`Source::fetch`] gets
//!    them where they are published, [`Located::read`] checks and reads them.
//! 2. [`Raw::finish`] adds channel statistics ([`Normalise`]) and the search's [`Split`]: a
//!    [`Dataset`], one packed file on disk.
//! 3. A [`Loader`] cuts it into shuffled, augmented [`Batch`]es by epoch and step; [`Prefetch`]
//!    prepares them ahead.
//!
//! Everything random is a pure function of a seed and of the place it is used at (`random`), never
//! of the thread that draws it: a resumed run sees what an uninterrupted one would have seen.
//!
//! | folder | what it is |
//! | --- | --- |
//! | `sources` | the data sets that are known, and where their files lie |
//! | `download` | getting these files |
//! | `pictures` | pictures of any size: decoded, looked at, changed at random |
//! | `sets` | a data set in memory and packed on disk: images, statistics, split |
//! | `loading` | batches by epoch and step |

mod download;
mod error;
mod loading;
mod pictures;
mod random;
mod sets;
mod sources;

pub use download::{Archive, DownloadNews, Watcher};
pub use error::{DataError, DownloadFault};
pub use loading::batch::{Batch, Partners};
pub use loading::loader::{Loader, LoaderOptions, Order};
pub use loading::prefetch::Prefetch;
pub use pictures::animation::Animation;
pub use pictures::augment::{Augment, Cutout};
pub use pictures::jitter::Jitter;
pub use pictures::picture::Picture;
pub use pictures::resized_crop::ResizedCrop;
pub use sets::dataset::{Dataset, Examples, Images, Part, Pixels, Raw};
pub use sets::files::Files;
pub use sets::normalise::{Normalise, Statistics};
pub use sets::pairs::{Pair, Pairs};
pub use sets::shape::{ImageKind, ImageShape};
pub use sets::split::{Split, SplitRule};
pub use sources::cifar::Cifar100Labels;
pub use sources::folder::{Broken, ImageFolder, LIST_VERSION, LeftOut, Listing, LocatedFolder, Parts, pictures_below};
pub use sources::pairs::{ImagePairs, LocatedPairs, Low, PictureSet, ReadPairs};
pub use sources::source::{Located, Source};
pub use sources::synthetic::Synthetic;
