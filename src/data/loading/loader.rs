//! Batches by epoch and step, in any order: what a resumed run asks for is what an uninterrupted
//! one would have got.

use crate::{
    Augment, Batch, DataError, Dataset, Part, Pixels,
    loading::batch::{Augmentation, Example},
    random::{Purpose, Stream},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Cuts some images of a data set into batches.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    part: Part,
    indices: Arc<[u32]>,
    options: LoaderOptions,
    /// How often an epoch shows each image: the patches of a picture of pairs.
    passes: usize,
    tables: Vec<[f32; 256]>,
    /// The orders last used: two, as a prefetching thread is an epoch ahead at times.
    orders: Mutex<Vec<(usize, Arc<[u32]>)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoaderOptions {
    /// Images a batch.
    pub batch: usize,
    pub order: Order,
    /// Decides the order and the augmentation of every epoch.
    pub seed: u64,
    pub augment: Option<Augment>,
    /// Leaves out the last batch of an epoch where it is not full; PyTorch's default, and DARTS',
    /// keeps it.
    pub drop_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A new one each epoch.
    Shuffled,
    /// That of the indices.
    Sequential,
}

impl LoaderOptions {
    /// Every image once, in order and unchanged.
    pub fn evaluation(batch: usize) -> Self {
        Self { batch, order: Order::Sequential, seed: 0, augment: None, drop_last: false }
    }
}

impl Loader {
    /// `indices` into the images of `part`.
    ///
    /// # Errors
    /// Where the data set contradicts itself, an index is out of range, there is no batch in an
    /// epoch, or the augmentation does not fit the images.
    pub fn new(
        dataset: Arc<Dataset>,
        part: Part,
        indices: Vec<u32>,
        mut options: LoaderOptions,
    ) -> Result<Self, DataError> {
        let wrong = |(expected, found)| DataError::Setting { setting: "data", expected, found };
        dataset.check().map_err(wrong)?;
        if let Pixels::Files(files) = &dataset.part(part).pixels
            && !files.is_rooted()
        {
            return Err(DataError::setting("data", "picture files whose folder is known", "a list without its place"));
        }
        let images = dataset.part(part).len();
        if let Some(index) = indices.iter().find(|&&index| index as usize >= images) {
            return Err(DataError::setting("indices", format!("below {images}"), index));
        }
        let least = if options.drop_last { options.batch } else { 1 };
        if indices.len() < least {
            return Err(DataError::setting("indices", format!("at least {least} images"), indices.len()));
        }
        if options.batch == 0 {
            return Err(DataError::setting("batch", "at least 1", 0));
        }
        if let Some(augment) = options.augment {
            augment.check(&dataset, part)?;
        }
        let passes = match (&dataset.part(part).pixels, options.augment) {
            (Pixels::Pairs(pairs), Some(_)) => pairs.patches,
            // Whole pictures are of any size, so each is a batch of its own.
            (Pixels::Pairs(_), None) => {
                options.batch = 1;
                1
            }
            _ => 1,
        };
        let tables = dataset.statistics.tables(dataset.white);
        Ok(Self { dataset, part, indices: indices.into(), options, passes, tables, orders: Mutex::default() })
    }

    /// Images an epoch shows.
    pub fn images_per_epoch(&self) -> usize {
        let images = self.passes * self.indices.len();
        if self.options.drop_last { images - images % self.options.batch } else { images }
    }

    pub fn steps_per_epoch(&self) -> usize {
        self.images_per_epoch().div_ceil(self.options.batch)
    }

    /// The batch of a step. A step past the epoch's last is one of a later epoch: `batch(0, n)` is
    /// the n-th batch of all.
    ///
    /// # Errors
    /// Where an image's file cannot be read any more. Images in memory give none.
    pub fn batch(&self, epoch: usize, step: usize) -> Result<Batch, DataError> {
        let (epoch, step) = (epoch + step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let order = self.order(epoch);
        let start = step * self.options.batch;
        let end = (start + self.options.batch).min(self.images_per_epoch());
        let augmentation = self.options.augment.map(|augment| Augmentation { augment, seed: self.options.seed });
        let example = |at: usize| Example { index: order[at], epoch: epoch * self.passes + at / self.indices.len() };
        let examples: Vec<Example> = (start..end).map(example).collect();
        Batch::assemble(&self.dataset, self.part, &examples, augmentation, &self.tables)
    }

    fn order(&self, epoch: usize) -> Arc<[u32]> {
        if self.options.order == Order::Sequential {
            return Arc::clone(&self.indices);
        }
        // A poisoned lock guards a whole list: entries are pushed complete.
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = orders.iter().find(|(of, _)| *of == epoch) {
            return Arc::clone(order);
        }
        let pass = |pass: usize| {
            let mut order = self.indices.to_vec();
            Stream::new(Purpose::Order, self.options.seed, (epoch * self.passes + pass) as u64, 0).shuffle(&mut order);
            order
        };
        let order: Arc<[u32]> = (0..self.passes).flat_map(pass).collect();
        if orders.len() == 2 {
            orders.remove(0);
        }
        orders.push((epoch, Arc::clone(&order)));
        order
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Cutout, Images, Split, Statistics};

    /// 1×2×2 images of which all pixels are the image's index.
    pub(crate) fn numbered(train: u8) -> Arc<Dataset> {
        let images = |n: u8| Images {
            pixels: (0..n).flat_map(|index| [index; 4]).collect(),
            labels: (0..n).map(|index| u16::from(index % 3)).collect(),
        };
        Arc::new(Dataset {
            name: "numbered".to_owned(),
            shape: [1, 2, 2],
            white: 1,
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            train: images(train).into(),
            test: images(2).into(),
            statistics: Statistics { mean: vec![0.0], std: vec![1.0] },
            split: Split::default(),
            provenance: String::new(),
        })
    }

    pub(crate) fn shuffled(train: u8, batch: usize, drop_last: bool) -> Loader {
        let cutout = Some(Cutout { length: 1, probability: 0.5 });
        let augment = Augment { crop_padding: 1, flip: true, cutout, ..Augment::default() };
        let options = LoaderOptions { batch, order: Order::Shuffled, seed: 3, augment: Some(augment), drop_last };
        let dataset = numbered(train);
        let indices = dataset.all(Part::Train);
        Loader::new(dataset, Part::Train, indices, options).unwrap()
    }

    fn epoch(loader: &Loader, epoch: usize) -> Vec<Batch> {
        (0..loader.steps_per_epoch()).map(|step| loader.batch(epoch, step).unwrap()).collect()
    }

    fn indices(batches: &[Batch]) -> Vec<u32> {
        batches.iter().flat_map(|batch| batch.indices.clone()).collect()
    }

    #[test]
    fn an_epoch_shows_each_image_once_in_an_order_of_its_own() {
        let loader = shuffled(50, 8, false);
        assert_eq!(loader.steps_per_epoch(), 7);
        let (first, second) = (epoch(&loader, 0), epoch(&loader, 1));
        assert_eq!(first.iter().map(|batch| batch.n).collect::<Vec<_>>(), [8, 8, 8, 8, 8, 8, 2]);
        assert_eq!(first[6].images.len(), 2 * 4);
        for batches in [&first, &second] {
            let mut shown = indices(batches);
            shown.sort_unstable();
            assert_eq!(shown, (0..50).collect::<Vec<_>>());
            assert!(batches.iter().all(|b| b.labels.iter().zip(&b.indices).all(|(l, i)| *l == i64::from(i % 3))));
        }
        assert_ne!(indices(&first), indices(&second));
    }

    #[test]
    fn a_last_batch_that_is_not_full_can_be_dropped() {
        let loader = shuffled(50, 8, true);
        assert_eq!((loader.steps_per_epoch(), loader.images_per_epoch()), (6, 48));
        assert!(epoch(&loader, 2).iter().all(|batch| batch.n == 8));
        assert_eq!(shuffled(48, 8, false).steps_per_epoch(), 6);
    }

    #[test]
    fn batches_do_not_depend_on_what_was_asked_before() {
        let continued: Vec<Batch> = {
            let loader = shuffled(50, 8, false);
            (0..4).flat_map(|at| epoch(&loader, at)).collect()
        };
        for (at, batch) in continued.iter().enumerate().rev() {
            let resumed = shuffled(50, 8, false);
            assert_eq!(*batch, resumed.batch(at / 7, at % 7).unwrap());
            assert_eq!(*batch, resumed.batch(0, at).unwrap());
        }
    }

    #[test]
    fn an_image_is_changed_alike_in_batches_of_any_size_and_differently_in_each_epoch() {
        let of = |loader: &Loader, at: usize| {
            let batches = epoch(loader, at);
            let image = |batch: &Batch, i: usize| (batch.indices[i], batch.images[i * 4..(i + 1) * 4].to_vec());
            let mut images: Vec<_> =
                batches.iter().flat_map(|b| (0..b.n).map(|i| image(b, i)).collect::<Vec<_>>()).collect();
            images.sort_by_key(|(index, _)| *index);
            images
        };
        let (small, large) = (shuffled(50, 3, false), shuffled(50, 50, false));
        assert_eq!(of(&small, 1), of(&large, 1));
        assert_ne!(of(&small, 1), of(&small, 2));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| epoch(&shuffled(200, 64, false), 5))
        };
        let one = on(1);
        assert_eq!(one, on(2));
        assert_eq!(one, on(3));
    }

    #[test]
    fn evaluation_is_in_order_and_unchanged() {
        let dataset = numbered(9);
        let loader =
            Loader::new(Arc::clone(&dataset), Part::Train, vec![8, 0, 5], LoaderOptions::evaluation(2)).unwrap();
        let batches = epoch(&loader, 7);
        assert_eq!(batches[0].images, [8., 8., 8., 8., 0., 0., 0., 0.]);
        assert_eq!(batches[1].images, [5.; 4]);
        assert_eq!(batches[0].labels, [2, 0]);
        let test = Loader::new(dataset, Part::Test, vec![1], LoaderOptions::evaluation(2)).unwrap();
        assert_eq!(test.batch(0, 0).unwrap().images, [1.; 4]);
    }

    #[test]
    fn what_cannot_be_loaded_is_refused() {
        let refused = |indices: Vec<u32>, options| {
            let error = Loader::new(numbered(9), Part::Train, indices, options).unwrap_err();
            assert!(matches!(error, DataError::Setting { .. }), "{error}");
        };
        let fine = LoaderOptions::evaluation(4);
        refused(vec![9], fine);
        refused(vec![], fine);
        refused(vec![0], LoaderOptions { batch: 0, ..fine });
        refused(vec![0, 1, 2], LoaderOptions { drop_last: true, ..fine });
        refused(vec![0], LoaderOptions { augment: Some(Augment { crop_padding: 2, ..Augment::default() }), ..fine });
        refused(vec![0], LoaderOptions { augment: Some(Augment { turn: true, ..Augment::default() }), ..fine });
        let mut broken = (*numbered(9)).clone();
        broken.statistics.std[0] = f32::NAN;
        assert!(Loader::new(Arc::new(broken), Part::Train, vec![0], fine).is_err());
    }
}
