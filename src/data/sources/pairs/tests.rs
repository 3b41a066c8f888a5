use super::*;
use crate::{Augment, Batch, Loader, LoaderOptions, Order, Part};
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use std::{fs, sync::Arc};

/// A folder with a set to train on and one to test on, of noise.
fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    for (at, name) in ["train/a", "train/b", "train/c", "five/HR/x"].into_iter().enumerate() {
        save(scratch.path(), &format!("{name}.png"), 40 + at as u32, 36, at as u32);
    }
    scratch
}

fn save(root: &Path, name: &str, width: u32, height: u32, seed: u32) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let noise = |x: u32, y: u32| (x * 31 + y * 17 + seed * 101 + x * y * 7) as u8;
    RgbImage::from_fn(width, height, |x, y| Rgb([noise(x, y), noise(y, x), noise(x + 3, y)])).save(path).unwrap();
}

fn wanted() -> ImagePairs {
    let set =
        |name: &str, high: &str| PictureSet { name: name.into(), high: high.into(), low: Low::Found, teacher: None };
    ImagePairs { scale: 4, patch: 8, patches: 2, train: Some(set("train", "train")), test: vec![set("five", "five")] }
}

fn read(pairs: &ImagePairs, root: &Path) -> Result<ReadPairs, DataError> {
    pairs.locate(&[root.to_owned()])?.read(|_| true).map(|read| read.unwrap())
}

fn refused(pairs: &ImagePairs, root: &Path) -> String {
    read(pairs, root).unwrap_err().to_string().replace(&root.display().to_string(), "R")
}

fn pairs(examples: &Examples) -> &Pairs {
    let Pixels::Pairs(pairs) = &examples.pixels else { panic!("pairs are pairs") };
    pairs
}

#[test]
fn partners_are_made_where_none_lie_there_and_odd_sides_are_cropped() {
    let scratch = scratch();
    let read = read(&wanted(), scratch.path()).unwrap();
    // Widths of 41, 42 and 43.
    assert_eq!((read.cropped, read.made, read.small.len()), (3, 4, 0));
    let second = &pairs(&read.train).pictures[1];
    let whole = Picture::open(&scratch.path().join("train/b.png")).unwrap();
    assert_eq!((second.name.as_str(), &second.high), ("b", &whole.cropped([0, 0], [40, 36])));
    assert_eq!(second.low, whole.cropped([0, 0], [40, 36]).shrunk(4));
    assert_eq!(pairs(&read.test).sets, ["five"]);

    // The same bytes whether partners are made or read.
    let made = read.finish(&SplitRule::Halves).unwrap();
    save(scratch.path(), "five/LR_bicubic/X4/xx4.png", 10, 9, 9);
    let other = super::tests::read(&wanted(), scratch.path()).unwrap();
    assert_eq!(other.made, 3);
    assert_ne!(pairs(&other.test).pictures[0].low, pairs(&made.test).pictures[0].low);
    let mut ignoring = wanted();
    ignoring.test[0].low = Low::Bicubic;
    assert_eq!(super::tests::read(&ignoring, scratch.path()).unwrap().finish(&SplitRule::Halves).unwrap(), made);
    assert_eq!((made.split.fit.len(), made.split.held_out.len()), (1, 2));
}

#[test]
fn what_does_not_fit_is_named_with_its_file() {
    let scratch = scratch();
    let root = scratch.path();
    save(root, "train/a.bmp", 40, 36, 0);
    assert_eq!(refused(&wanted(), root), "`R/train/a.png` is called as another picture beside it but for its ending");
    fs::remove_file(root.join("train/a.bmp")).unwrap();
    save(root, "five/LR_bicubic/X4/xx4.png", 11, 9, 0);
    let said =
        "`R/five/LR_bicubic/X4/xx4.png` has 11x9 pixels, expected 10x9 pixels as the partner of `R/five/HR/x.png`";
    assert_eq!(refused(&wanted(), root), said);
    save(root, "five/LR_bicubic/X4/xx4.png", 10, 9, 0);
    save(root, "five/HR/y.png", 40, 36, 0);
    assert_eq!(refused(&wanted(), root), "`R/five/HR/y.png` has no partner in `R/five/LR_bicubic/X4`");
    fs::write(root.join("five/HR/y.png"), "no picture").unwrap();
    save(root, "five/LR_bicubic/X4/yx4.png", 10, 9, 0);
    assert!(refused(&wanted(), root).starts_with("`R/five/HR/y.png` cannot be decoded"));
    save(root, "five/HR/y.png", 40, 31, 0);
    save(root, "five/LR_bicubic/X4/yx4.png", 10, 7, 0);
    let said = "`R/five/HR/y.png` is 40x28 pixels: pictures to test on have at least 32 pixels a side";
    assert_eq!(refused(&wanted(), root), said);

    let mut taught = wanted();
    taught.train.as_mut().unwrap().teacher = Some("teacher".to_owned());
    let said = refused(&taught, root);
    assert!(said.starts_with("found no folder `teacher`"), "{said}");
    ["a", "b"].iter().for_each(|name| save(root, &format!("teacher/{name}.png"), 40, 36, 5));
    assert_eq!(refused(&taught, root), "`R/train/c.png` has no partner in `R/teacher`");
    save(root, "teacher/c.png", 44, 36, 5);
    let said = "`R/teacher/c.png` has 44x36 pixels, expected 42x36 pixels as the partner of `R/train/c.png`";
    assert_eq!(refused(&taught, root), said);
}

#[test]
fn pictures_without_a_patch_are_left_out_and_counted_and_none_but_these_is_an_error() {
    let scratch = scratch();
    save(scratch.path(), "train/d.png", 40, 31, 0);
    let read = read(&wanted(), scratch.path()).unwrap();
    assert_eq!((read.train.len(), read.small), (3, vec![scratch.path().join("train/d.png")]));
    let large = ImagePairs { patch: 64, ..wanted() };
    let said = "`R/train` is a folder of small pictures: no picture in it has a patch of 256 pixels a side";
    assert_eq!(refused(&large, scratch.path()), said);
}

#[test]
fn grey_pictures_say_so_and_sixteen_bits_are_rounded_to_eight() {
    let scratch = scratch();
    GrayImage::from_fn(40, 36, |x, y| Luma([(x * 5 + y) as u8])).save(scratch.path().join("five/HR/g.png")).unwrap();
    let deep = ImageBuffer::<Rgb<u16>, Vec<u16>>::from_pixel(40, 36, Rgb([300, 65_535, 128]));
    deep.save(scratch.path().join("five/HR/h.png")).unwrap();
    let read = read(&wanted(), scratch.path()).unwrap();
    let pictures = &pairs(&read.test).pictures;
    assert_eq!(pictures.iter().map(|pair| pair.high.grey).collect::<Vec<_>>(), [true, false, false]);
    assert!(pictures[0].high.pixels.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    // In units of 257: 1.17, 255, 0.498.
    assert_eq!(pictures[1].high.pixels[..3], [1, 255, 0]);
}

/// Of a data set, all batches of an epoch of patches.
fn epoch(dataset: &Arc<Dataset>, batch: usize, epoch: usize) -> Vec<Batch> {
    let augment = Some(Augment { flip: true, turn: true, ..Augment::default() });
    let options = LoaderOptions { batch, order: Order::Shuffled, seed: 3, augment, drop_last: false };
    let loader = Loader::new(dataset.clone(), Part::Train, dataset.all(Part::Train), options).unwrap();
    (0..loader.steps_per_epoch()).map(|step| loader.batch(epoch, step).unwrap()).collect()
}

#[test]
fn patches_are_of_both_pictures_alike_and_others_in_each_pass() {
    let scratch = scratch();
    let dataset = Arc::new(read(&wanted(), scratch.path()).unwrap().finish(&SplitRule::All).unwrap());
    let batches = epoch(&dataset, 4, 0);
    // Three pictures, two patches each.
    assert_eq!(batches.iter().map(|batch| batch.n).collect::<Vec<_>>(), [4, 2]);
    let mut shown: Vec<u32> = batches.iter().flat_map(|batch| batch.indices.clone()).collect();
    shown.sort_unstable();
    assert_eq!(shown, [0, 0, 1, 1, 2, 2]);
    for batch in &batches {
        let partners = batch.partners.as_ref().unwrap();
        assert_eq!((batch.shape, partners.shape, &partners.grey), ([3, 8, 8], [3, 32, 32], &None));
        // Shrunk by the mean of its pixels, the larger patch is nearly the smaller one: both show
        // one place.
        let small = |at: usize| {
            let (plane, y, x) = (at / 64, at / 8 % 8, at % 8);
            let pixel = |k: usize| partners.images[plane * 1024 + (4 * y + k / 4) * 32 + 4 * x + k % 4];
            (0..16).map(pixel).sum::<f32>() / 16.0
        };
        let off: f32 = (0..batch.images.len()).map(|at| (batch.images[at] - small(at)).abs()).sum();
        assert!(off / (batch.images.len() as f32) < 0.1, "{off}");
    }
    // What is drawn depends on picture and pass alone.
    let by_picture = |batches: &[Batch]| {
        let of = |batch: &Batch| {
            (0..batch.n).map(|i| (batch.indices[i], batch.images[i * 192..][..192].to_vec())).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = batches.iter().flat_map(of).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all
    };
    assert_eq!(by_picture(&batches), by_picture(&epoch(&dataset, 1, 0)));
    let first = by_picture(&batches);
    assert_ne!(first[0].1, first[1].1, "two patches of a picture");
    assert_ne!(first, by_picture(&epoch(&dataset, 4, 1)));
}

#[test]
fn whole_pictures_are_seen_one_at_a_time_and_a_teacher_only_in_patches() {
    let scratch = scratch();
    ["a", "b", "c"].iter().for_each(|name| {
        let whole = Picture::open(&scratch.path().join(format!("train/{name}.png"))).unwrap();
        let black = RgbImage::new(whole.width as u32, whole.height as u32);
        fs::create_dir_all(scratch.path().join("teacher")).unwrap();
        black.save(scratch.path().join(format!("teacher/{name}.png"))).unwrap();
    });
    let mut taught = wanted();
    taught.train.as_mut().unwrap().teacher = Some("teacher".to_owned());
    let dataset = Arc::new(read(&taught, scratch.path()).unwrap().finish(&SplitRule::All).unwrap());
    assert!(
        epoch(&dataset, 4, 0).iter().all(|batch| batch.partners.as_ref().unwrap().images.iter().all(|&x| x == 0.0))
    );
    let whole = Loader::new(dataset.clone(), Part::Train, vec![0, 2], LoaderOptions::evaluation(64)).unwrap();
    assert_eq!(whole.steps_per_epoch(), 2);
    let seen = whole.batch(0, 1).unwrap();
    let partners = seen.partners.unwrap();
    assert_eq!((seen.shape, partners.shape, partners.grey), ([3, 9, 10], [3, 36, 40], Some(vec![false])));
    let high = &pairs(&dataset.train).pictures[2].high;
    assert_eq!(partners.images[40 * 36 + 1], f32::from(high.pixels[3 + 1]) / 255.0);
}

#[test]
fn what_pairs_take_of_memory_is_in_the_headers_of_their_files() {
    let scratch = scratch();
    let located = wanted().locate(&[scratch.path().to_owned()]).unwrap();
    let dataset = read(&wanted(), scratch.path()).unwrap().finish(&SplitRule::Halves).unwrap();
    let of = |examples: &Examples| {
        let pairs = pairs(examples).pictures.iter();
        pairs.map(|pair| pair.high.pixels.len() + pair.low.pixels.len()).sum::<usize>()
    };
    let (expected, found) = ((of(&dataset.train) + of(&dataset.test)) as u64, located.bytes());
    // Rows that the scale does not divide are cut off later.
    assert!(found >= expected && found < expected + expected / 10, "{found} for {expected}");
}

#[test]
fn pairs_are_packed_and_read_and_damage_is_noticed() {
    let scratch = scratch();
    let dataset = read(&wanted(), scratch.path()).unwrap().finish(&SplitRule::Halves).unwrap();
    let mut bytes = Vec::new();
    dataset.write(&mut bytes).unwrap();
    assert_eq!(bytes[..12], *b"DRUNDATA\x03\0\0\0");
    let path = scratch.path().join("packed");
    let back = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Dataset::read(&path)
    };
    assert_eq!(back(&bytes).unwrap(), dataset);
    for at in (0..bytes.len()).step_by(bytes.len() / 50).chain(8..200) {
        assert!(back(&bytes[..at]).is_err(), "cut at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(back(&changed).is_err(), "byte {at}");
    }
}
