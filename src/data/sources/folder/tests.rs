use super::*;
use crate::{Augment, Batch, Cutout, Jitter, Loader, LoaderOptions, Order, Part, Picture, ResizedCrop};
use image::{ImageFormat, Rgb, RgbImage};
use std::{fs, sync::Arc};

/// A picture of one colour with a lighter corner, so that a mirrored one is another.
fn write_picture(path: &Path, [width, height]: [u32; 2], colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = RgbImage::from_fn(width, height, |x, y| {
        if x < width / 3 && y < height / 3 { Rgb([250, 250, 250]) } else { Rgb(colour) }
    });
    picture.save_with_format(path, ImageFormat::from_path(path).unwrap_or(ImageFormat::Jpeg)).unwrap();
}

/// Two classes, five training pictures and two test pictures each, of different sizes.
fn tree() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    for (class, colour) in [("tulip", [200, 30, 40]), ("daisy", [30, 40, 200])] {
        for index in 0..5 {
            let name = format!("flowers/train/{class}/{index}.{}", ["jpg", "JPEG", "png", "JPG", "jpeg"][index]);
            write_picture(&scratch.path().join(name), [40 + 7 * index as u32, 50], colour);
        }
        for index in 0..2 {
            write_picture(&scratch.path().join(format!("flowers/val/{class}/v{index}.jpg")), [36, 44], colour);
        }
    }
    scratch
}

fn flowers() -> ImageFolder {
    ImageFolder {
        path: "flowers".to_owned(),
        parts: Parts::Folders { train: "train".to_owned(), val: "val".to_owned() },
        size: 24,
        resize: 28,
        classes: None,
        images_per_class: None,
    }
}

fn list(folder: &ImageFolder, root: &Path) -> Result<Listing, DataError> {
    folder.locate(&[root.to_owned()])?.list()
}

fn dataset(folder: &ImageFolder, root: &Path) -> Dataset {
    let mut listing = list(folder, root).unwrap();
    listing.verify(|_| true).unwrap().unwrap();
    let rule = SplitRule::Shuffled { fraction: 0.5, seed: 0 };
    listing.finish(&Normalise::Imagenet, &rule).unwrap().rooted(&[root.to_owned()]).unwrap()
}

fn names(examples: &Examples) -> Vec<&str> {
    match &examples.pixels {
        Pixels::Files(files) => files.names.iter().collect(),
        Pixels::Packed(_) | Pixels::Pairs(_) => panic!("pictures stay in their files"),
    }
}

const AUGMENT: Augment = Augment {
    crop_padding: 0,
    flip: true,
    cutout: Some(Cutout { length: 6, probability: 0.5 }),
    resized_crop: Some(ResizedCrop { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] }),
    jitter: Some(Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 }),
    turn: false,
};

fn loader(dataset: &Arc<Dataset>, augment: Option<Augment>) -> Loader {
    let options = LoaderOptions { batch: 3, order: Order::Shuffled, seed: 7, augment, drop_last: false };
    Loader::new(Arc::clone(dataset), Part::Train, dataset.all(Part::Train), options).unwrap()
}

fn epoch(loader: &Loader, epoch: usize) -> Vec<Batch> {
    (0..loader.steps_per_epoch()).map(|step| loader.batch(epoch, step).unwrap()).collect()
}

#[test]
fn pictures_are_listed_by_class_and_name_whatever_their_ending() {
    let scratch = tree();
    write_picture(&scratch.path().join("flowers/train/daisy/more/9.jpg"), [30, 30], [1, 2, 3]);
    let dataset = dataset(&flowers(), scratch.path());
    assert_eq!(dataset.classes, ["daisy", "tulip"]);
    assert_eq!(dataset.shape, [3, 24, 24]);
    let expected = ["0.jpg", "1.JPEG", "2.png", "3.JPG", "4.jpeg", "more/9.jpg"].map(|name| format!("daisy/{name}"));
    assert_eq!(names(&dataset.train)[..6], expected);
    assert_eq!(dataset.train.labels, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(names(&dataset.test), ["daisy/v0.jpg", "daisy/v1.jpg", "tulip/v0.jpg", "tulip/v1.jpg"]);
    assert_eq!((dataset.split.fit.len(), dataset.split.held_out.len()), (5, 6));
}

#[test]
fn classes_and_images_can_be_fewer() {
    let scratch = tree();
    write_picture(&scratch.path().join("flowers/train/aster/0.jpg"), [30, 30], [9, 9, 9]);
    let two = Some(["daisy", "tulip"].map(str::to_owned).to_vec());
    let dataset = dataset(&ImageFolder { classes: two, images_per_class: Some(1), ..flowers() }, scratch.path());
    assert_eq!(dataset.classes, ["daisy", "tulip"]);
    assert_eq!(
        (names(&dataset.train), names(&dataset.test)),
        (vec!["daisy/0.jpg", "tulip/0.jpg"], vec!["daisy/v0.jpg", "tulip/v0.jpg"])
    );
    let strange = ImageFolder { classes: Some(vec!["rose".to_owned()]), ..flowers() };
    let error = list(&strange, scratch.path()).unwrap_err();
    assert!(error.to_string().starts_with("found no folder `rose`"), "{error}");
}

#[test]
fn without_a_test_folder_a_share_of_each_class_is_held_out_for_testing() {
    let scratch = tree();
    let of = |fraction, seed| {
        let parts = Parts::HeldOut { fraction, seed };
        dataset(&ImageFolder { path: "flowers/train".to_owned(), parts, ..flowers() }, scratch.path())
    };
    let first = of(0.4, 0);
    assert_eq!(first.test.labels, [0, 0, 1, 1]);
    let mut all = [names(&first.train), names(&first.test)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 10);
    assert_eq!(first, of(0.4, 0));
    assert!((1..9).any(|seed| of(0.4, seed).test != first.test));
    let parts = Parts::HeldOut { fraction: 0.01, seed: 0 };
    let folder = ImageFolder { path: "flowers/train".to_owned(), parts, ..flowers() };
    let error = list(&folder, scratch.path()).unwrap().finish(&Normalise::Imagenet, &SplitRule::All).unwrap_err();
    assert!(matches!(error, DataError::Setting { setting: "held_out_fraction", .. }), "{error}");
}

#[test]
fn broken_pictures_are_left_out_by_name_and_a_class_of_none_else_is_an_error() {
    let scratch = tree();
    let path = |name: &str| scratch.path().join("flowers/train/daisy").join(name);
    let whole = fs::read(path("1.JPEG")).unwrap();
    fs::write(path("1.JPEG"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path("4.jpeg"), "no picture").unwrap();
    let mut listing = list(&flowers(), scratch.path()).unwrap();
    assert_eq!(listing.len(), 14);
    let mut heard = Vec::new();
    let broken = listing.verify(|done| {
        heard.push(done);
        true
    });
    let broken = broken.unwrap().unwrap();
    assert_eq!(heard, [0, 10]);
    assert_eq!(broken.iter().map(|broken| broken.path.clone()).collect::<Vec<_>>(), [path("1.JPEG"), path("4.jpeg")]);
    assert_eq!(broken[1].why, format!("it is none of {}", Picture::KINDS));
    let dataset = listing.finish(&Normalise::Imagenet, &SplitRule::All).unwrap();
    assert_eq!(names(&dataset.train)[..4], ["daisy/0.jpg", "daisy/2.png", "daisy/3.JPG", "tulip/0.jpg"]);
    assert_eq!(dataset.train.labels[..4], [0, 0, 0, 1]);

    for name in ["0.jpg", "2.png", "3.JPG"] {
        fs::write(path(name), "").unwrap();
    }
    let error = list(&flowers(), scratch.path()).unwrap().verify(|_| true).unwrap_err();
    let folder = scratch.path().join("flowers/train/daisy");
    let said = format!("folder `{}` holds no picture that can be decoded", folder.display());
    assert_eq!(error.to_string(), said);
    assert!(list(&flowers(), scratch.path()).unwrap().verify(|_| false).unwrap().is_none(), "it was asked to stop");
}

#[test]
fn folders_that_are_no_classes_are_told_apart() {
    let scratch = tree();
    let train = scratch.path().join("flowers/train");
    let said = |folder: &ImageFolder| list(folder, scratch.path()).unwrap_err();
    let of_path = |path: &str| ImageFolder { path: path.to_owned(), ..flowers() };
    assert!(matches!(said(&of_path("roses")), DataError::NoFolder { .. }));
    fs::create_dir(train.join("aster")).unwrap();
    let mut said_empty = format!("folder `{}` holds no picture", train.join("aster").display());
    assert_eq!(said(&flowers()).to_string(), said_empty);
    fs::write(train.join("aster/1.heic"), "x").unwrap();
    said_empty += "; there is `.heic` (1)";
    assert_eq!(said(&flowers()).to_string(), said_empty);
    fs::remove_dir_all(train.join("aster")).unwrap();
    for strange in ["rose", "Tulip"] {
        write_picture(&scratch.path().join("flowers/val").join(strange).join("0.jpg"), [30, 30], [9, 9, 9]);
    }
    let text = said(&flowers()).to_string();
    assert!(text.contains("train` has no class folder `Tulip`, `rose`, though `"), "{text}");
    // A class that is not asked for is no stranger.
    let chosen = ImageFolder { classes: Some(["daisy", "tulip"].map(str::to_owned).to_vec()), ..flowers() };
    assert_eq!(list(&chosen, scratch.path()).unwrap().len(), 14);
}

/// A folder above or below the one that is meant would train without an error, and be right every
/// time or about nothing.
#[test]
fn the_wrong_level_is_told_with_the_right_one() {
    let scratch = tree();
    let root = scratch.path();
    let held_out = |path: &str| {
        let parts = Parts::HeldOut { fraction: 0.2, seed: 0 };
        let error = list(&ImageFolder { path: path.to_owned(), parts, ..flowers() }, root).unwrap_err();
        (error.to_string(), error.hint().unwrap())
    };
    let shown = |path: &str| root.join(path).display().to_string();
    let (said, hint) = held_out("flowers");
    let parts =
        format!("the class folders of `{}` are called `train`, `val`, as parts of a data set are", shown("flowers"));
    assert!(said == parts && hint.starts_with("leave out `held_out_fraction`"), "{said}; {hint}");
    let (said, hint) = held_out("flowers/train/daisy");
    let none = "holds no class folder with a picture in it, and 5 pictures in none";
    assert_eq!(said, format!("`{}` {none}", shown("flowers/train/daisy")));
    assert!(hint.starts_with("the pictures of each class lie in a folder of its own"), "{hint}");
    let (said, hint) = held_out("");
    assert_eq!(said, format!("`{}` has one class folder, `flowers`: expected two or more", shown("")));
    assert_eq!(hint, "the 2 folders in `flowers` may be the classes: name the folder around them");
    // Where someone does classify parts.
    let parts = Parts::HeldOut { fraction: 0.2, seed: 0 };
    let named = Some(["train", "val"].map(str::to_owned).to_vec());
    assert_eq!(list(&ImageFolder { parts, classes: named, ..flowers() }, root).unwrap().len(), 14);

    // ImageNet as it is unpacked.
    fs::remove_dir_all(root.join("flowers/val")).unwrap();
    write_picture(&root.join("flowers/val/ILSVRC2012_val_00000001.JPEG"), [30, 30], [9, 9, 9]);
    let error = list(&flowers(), root).unwrap_err();
    assert!(error.to_string().ends_with("with a picture in it, and 1 pictures in none"), "{error}");
    assert!(error.hint().unwrap().contains("valprep.sh | bash` moves ImageNet's validation pictures"));
}

#[test]
fn what_is_no_picture_of_a_class_is_counted_by_kind_and_links_lead_into_no_other_class() {
    use std::os::unix::fs::symlink;
    let scratch = tree();
    let train = scratch.path().join("flowers/train");
    let daisy = train.join("daisy");
    for file in ["a.heic", "b.HEIC", "notes.txt", "README", ".DS_Store", "._0.jpg", "Thumbs.db"] {
        fs::write(daisy.join(file), "x").unwrap();
    }
    write_picture(&daisy.join("__MACOSX/0.jpg"), [30, 30], [9, 9, 9]);
    write_picture(&train.join("loose.jpg"), [30, 30], [9, 9, 9]);
    fs::create_dir(train.join(".ipynb_checkpoints")).unwrap();
    fs::create_dir(daisy.join("folder.jpg")).unwrap();
    symlink("someone@host.1234:1700000000", daisy.join(".#0.jpg")).unwrap();
    symlink("nowhere.jpg", daisy.join("gone.jpg")).unwrap();
    symlink("self.jpg", daisy.join("self.jpg")).unwrap();
    symlink("..", daisy.join("all")).unwrap();
    symlink(scratch.path(), daisy.join("more")).unwrap();
    symlink("0.jpg", daisy.join("9.jpg")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(daisy.join("s.jpg")).unwrap();
    let listing = list(&flowers(), scratch.path()).unwrap();
    let expected = "hidden (3), `.heic` (2), dangling link (3), link in a circle (2), of the system (2), \
                    `.txt` (1), in no class folder (1), no regular file (1), without an ending (1)";
    let mut found: Vec<&str> = expected.split(", ").collect();
    let said = listing.left_out().to_string();
    let mut said: Vec<&str> = said.split(", ").collect();
    found.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, found);
    let dataset = dataset(&flowers(), scratch.path());
    let daisies = ["0.jpg", "1.JPEG", "2.png", "3.JPG", "4.jpeg", "9.jpg"].map(|name| format!("daisy/{name}"));
    assert_eq!(names(&dataset.train)[..6], daisies);
    assert_eq!(dataset.train.labels, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn every_kind_of_picture_is_listed_and_seen() {
    let scratch = tree();
    let daisy = scratch.path().join("flowers/train/daisy");
    let endings = ["bmp", "gif", "jfif", "jpe", "pbm", "pgm", "pnm", "ppm", "tif", "tiff", "webp"];
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures");
    let known = ["picture.bmp", "moving.gif", "baseline.jpg", "baseline.jpg", "bits.pbm", "grey.pgm", "grey.pgm"];
    let known = known.into_iter().chain(["picture.ppm", "lzw.tif", "lzw.tif", "lossy.webp"]);
    for (ending, known) in endings.iter().zip(known) {
        fs::copy(golden.join(known), daisy.join(format!("{ending}.{}", ending.to_uppercase()))).unwrap();
    }
    let mut listing = list(&flowers(), scratch.path()).unwrap();
    assert!(listing.left_out().is_empty());
    assert_eq!(listing.verify(|_| true).unwrap().unwrap(), []);
    assert_eq!(listing.len(), 14 + endings.len());
}

#[test]
fn names_that_differ_in_capitals_are_two_and_classes_without_a_test_picture_are_known() {
    let scratch = tree();
    for name in ["daisy/0.JPG", "Daisy/0.jpg", "rose/0.jpg", "aster/0.jpg"] {
        write_picture(&scratch.path().join("flowers/train").join(name), [30, 30], [9, 9, 9]);
    }
    fs::create_dir(scratch.path().join("flowers/val/rose")).unwrap();
    assert_eq!(list(&flowers(), scratch.path()).unwrap().alike(), [["Daisy", "daisy"]]);
    let dataset = dataset(&flowers(), scratch.path());
    assert_eq!(dataset.classes, ["Daisy", "aster", "daisy", "rose", "tulip"]);
    assert_eq!(names(&dataset.train)[..4], ["Daisy/0.jpg", "aster/0.jpg", "daisy/0.JPG", "daisy/0.jpg"]);
    assert_eq!(dataset.test.labels, [2, 2, 4, 4]);
    assert_eq!(dataset.untested(), ["Daisy", "aster", "rose"]);
}

#[test]
fn any_number_of_threads_and_any_order_of_asking_gives_the_same_bits() {
    let scratch = tree();
    let dataset = Arc::new(dataset(&flowers(), scratch.path()));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| epoch(&loader(&dataset, Some(AUGMENT)), 5))
    };
    let one = on(1);
    assert_eq!(one.iter().map(|batch| batch.n).collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert_eq!(one, on(2));
    assert_eq!(one, on(3));
    for step in (0..4).rev() {
        assert_eq!(loader(&dataset, Some(AUGMENT)).batch(5, step).unwrap(), one[step]);
    }
    let prefetched = Arc::new(loader(&dataset, Some(AUGMENT))).from(5, 2).unwrap();
    assert_eq!(prefetched.take(2).map(Result::unwrap).collect::<Vec<_>>(), one[2..]);
    assert_ne!(epoch(&loader(&dataset, Some(AUGMENT)), 6), one);
}

/// Each change by itself, and that switching one leaves the others as they were.
#[test]
fn training_views_are_cropped_mirrored_coloured_and_cut() {
    let scratch = tree();
    let dataset = Arc::new(dataset(&flowers(), scratch.path()));
    let of = |augment: Augment| {
        let mut images = std::collections::BTreeMap::new();
        for batch in epoch(&loader(&dataset, Some(augment)), 0) {
            for (image, &index) in batch.images.chunks(3 * 24 * 24).zip(&batch.indices) {
                images.insert(index, image.to_vec());
            }
        }
        images
    };
    let plain = of(Augment::default());
    let middle = |index: u32| {
        let Pixels::Files(files) = &dataset.train.pixels else { panic!("pictures stay in their files") };
        let picture = Picture::open(&files.path(index as usize)).unwrap();
        picture.evaluation(24, 28, &dataset.statistics).unwrap()
    };
    assert!(plain.iter().all(|(&index, image)| *image == middle(index)), "nothing asked is an evaluation");

    let mirrored = of(Augment { flip: true, ..Augment::default() });
    let turned = mirrored.iter().filter(|(index, image)| {
        let mut from_right = plain[index].clone();
        from_right.chunks_mut(24).for_each(<[f32]>::reverse);
        assert!(**image == plain[index] || **image == from_right);
        **image == from_right
    });
    assert!((1..10).contains(&turned.count()));

    let cut = of(Augment { cutout: Some(Cutout { length: 6, probability: 1.0 }), ..Augment::default() });
    for (index, image) in &cut {
        let holes = image.iter().zip(&plain[index]).filter(|(cut, plain)| cut != plain);
        let holes: Vec<f32> = holes.map(|(cut, _)| *cut).collect();
        assert!((3 * 9..=3 * 36).contains(&holes.len()) && holes.iter().all(|&hole| hole == 0.0));
    }

    let cropped = of(Augment { resized_crop: AUGMENT.resized_crop, ..Augment::default() });
    assert!(cropped.iter().all(|(index, image)| *image != plain[index]));
    // The same parts are seen, in other colours; what is cut out stays out.
    let all = of(AUGMENT);
    let without_colours = of(Augment { jitter: None, ..AUGMENT });
    for (index, image) in &all {
        let other = &without_colours[index];
        assert_ne!(image, other);
        let holes = |image: &[f32]| image.iter().map(|&value| value == 0.0).collect::<Vec<_>>();
        assert_eq!(holes(image), holes(other));
    }
}

#[test]
fn a_file_that_goes_away_or_changes_later_ends_the_loading_by_name() {
    let scratch = tree();
    let dataset = Arc::new(dataset(&flowers(), scratch.path()));
    let all = |dataset: &Arc<Dataset>| {
        let loader =
            Loader::new(Arc::clone(dataset), Part::Train, dataset.all(Part::Train), LoaderOptions::evaluation(4));
        let batches: Vec<_> = Arc::new(loader.unwrap()).from(0, 0).unwrap().take(3).collect();
        batches
    };
    assert!(all(&dataset).iter().all(Result::is_ok));
    let path = scratch.path().join("flowers/train/tulip/1.JPEG");
    let whole = fs::read(&path).unwrap();

    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    let batches = all(&dataset);
    assert_eq!(batches.len(), 2, "after an error there is nothing more");
    assert!(batches[0].is_ok());
    let said = batches[1].as_ref().unwrap_err().to_string();
    assert_eq!(
        said,
        format!("`{}` no longer has the {} bytes that it had when it was listed", path.display(), whole.len())
    );

    fs::write(&path, vec![0xff; whole.len()]).unwrap();
    assert!(matches!(all(&dataset)[1], Err(DataError::Picture { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(all(&dataset)[1], Err(DataError::Read { .. })));
}

#[test]
fn what_does_not_fit_the_kind_of_images_is_refused() {
    let scratch = tree();
    let pictures = Arc::new(dataset(&flowers(), scratch.path()));
    let packed = crate::loading::loader::tests::numbered(4);
    let refused = |dataset: &Arc<Dataset>, augment: Augment, expected: &str| {
        let options = LoaderOptions { augment: Some(augment), ..LoaderOptions::evaluation(2) };
        let error = Loader::new(Arc::clone(dataset), Part::Train, vec![0], options).unwrap_err();
        assert!(matches!(error, DataError::Setting { setting, .. } if setting == expected), "{error}");
    };
    refused(&pictures, Augment { crop_padding: 4, ..Augment::default() }, "crop_padding");
    refused(&packed, Augment { resized_crop: AUGMENT.resized_crop, ..Augment::default() }, "resized_crop");
    refused(&packed, Augment { jitter: AUGMENT.jitter, ..Augment::default() }, "jitter");
    let bad = Some(Jitter { hue: 1.0, ..Jitter::default() });
    refused(&pictures, Augment { jitter: bad, ..Augment::default() }, "jitter.hue");
    let listing = list(&flowers(), scratch.path()).unwrap();
    let measured = listing.finish(&Normalise::Measured, &SplitRule::All).unwrap_err();
    assert!(matches!(measured, DataError::Setting { setting: "normalise", .. }), "{measured}");
    let small = ImageFolder { resize: 23, ..flowers() };
    assert!(matches!(list(&small, scratch.path()).unwrap_err(), DataError::Setting { setting: "resize", .. }));
    let nowhere = list(&flowers(), scratch.path()).unwrap().finish(&Normalise::Imagenet, &SplitRule::All).unwrap();
    assert!(Loader::new(Arc::new(nowhere), Part::Train, vec![0], LoaderOptions::evaluation(1)).is_err());
}

#[test]
#[ignore = "needs `imagenet-sample` in `DARTS_RUN_DATA`"]
fn the_sample_of_imagenet_is_read_whole() {
    let root = PathBuf::from(std::env::var_os("DARTS_RUN_DATA").expect("`DARTS_RUN_DATA` is set"));
    let sample = ImageFolder { path: "imagenet-sample".to_owned(), size: 224, resize: 256, ..flowers() };
    let mut listing = list(&sample, &root).unwrap();
    assert_eq!(listing.verify(|_| true).unwrap().unwrap(), []);
    let rule = SplitRule::Shuffled { fraction: 0.8, seed: 0 };
    let dataset = listing.finish(&Normalise::Imagenet, &rule).unwrap().rooted(&[root]).unwrap();
    assert_eq!((dataset.train.len(), dataset.test.len(), dataset.classes.len()), (800, 250, 10));
    assert_eq!(dataset.classes[0], "n01440764");
    assert!((0..10).all(|class| dataset.test.labels.iter().filter(|&&label| label == class).count() == 25));
    let dataset = Arc::new(dataset);
    let batch = loader(&dataset, Some(AUGMENT)).batch(0, 0).unwrap();
    assert_eq!(batch.images.len(), 3 * 3 * 224 * 224);
    let mean = batch.images.iter().sum::<f32>() / batch.images.len() as f32;
    assert!(batch.images.iter().all(|value| (-2.2..2.7).contains(value)) && mean.abs() < 1.0, "{mean}");
}
