//! Images and labels: official layouts in, plain `f32` batches out.
//!
//! 1. A [`Source`] says which data set. [`Source::locate`] finds its files, [`Source::fetch`] gets them where they are published,
//!    [`Located::read`] checks and reads them.
//! 2. [`Raw::finish`] adds channel statistics ([`Normalise`]) and the search's [`Split`]: a [`Dataset`], one packed file on disk.
//! 3. A [`Loader`] cuts it into shuffled, augmented [`Batch`]es by epoch and step; [`Prefetch`] prepares them ahead.
//!
//! Everything random is a pure function of a seed and of the place it is used at (`random`), never of the thread that draws it:
//! a resumed run sees what an uninterrupted one would have seen.

mod augment;
mod batch;
mod cifar;
mod dataset;
mod decode;
mod digits;
mod download;
mod error;
mod files;
mod folder;
mod hue;
mod jitter;
mod loader;
mod locate;
mod normalise;
mod packed;
mod pickle;
mod picture;
mod prefetch;
mod random;
mod resized_crop;
mod source;
mod split;
mod synthetic;
mod view;
mod workbench;

pub use augment::{Augment, Cutout};
pub use batch::Batch;
pub use cifar::Cifar100Labels;
pub use dataset::{Dataset, Examples, Images, Part, Pixels, Raw};
pub use download::{Archive, DownloadNews, Watcher};
pub use error::{DataError, DownloadFault};
pub use files::Files;
pub use folder::{Broken, ImageFolder, LIST_VERSION, LeftOut, Listing, LocatedFolder, Parts, pictures_below};
pub use jitter::Jitter;
pub use loader::{Loader, LoaderOptions, Order};
pub use normalise::{Normalise, Statistics};
pub use picture::Picture;
pub use prefetch::Prefetch;
pub use resized_crop::ResizedCrop;
pub use source::{Located, Source};
pub use split::{Split, SplitRule};
pub use synthetic::Synthetic;
