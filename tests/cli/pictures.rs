//! A folder of pictures, from the pipeline file to the search.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::Scratch;
use image::{Rgb, RgbImage};
use std::{fs, path::Path};

const PIPELINE: &str = "
name: flowers
stages:
  pictures:
    prepare:
      image_folder: {path: flowers, size: 16, resize: 18}
  search:
    search:
      data: pictures
      space: nas_bench_201
      channels: 2
      size: 1
      epochs: 2
      batch: 8
      augment: {resized_crop: {}, flip: true, jitter: {}}
";

/// Two classes of twelve training and four test pictures below `data/flowers`, and a pipeline that
/// searches on them.
fn flowers() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("flowers.yaml", PIPELINE);
    for (class, colour) in [("daisy", [30, 40, 200]), ("tulip", [200, 30, 40])] {
        for (part, count) in [("train", 12), ("val", 4)] {
            let folder = scratch.path("data/flowers").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            (0..count).for_each(|index| write_picture(&folder.join(format!("{index:02}.jpg")), colour));
        }
    }
    scratch
}

fn write_picture(path: &Path, colour: [u8; 3]) {
    let picture = RgbImage::from_fn(24, 20, |x, y| if (x + y) % 7 < 3 { Rgb(colour) } else { Rgb([128, 128, 128]) });
    picture.save(path).unwrap();
}

#[test]
fn pictures_are_searched_on_and_only_a_changed_folder_is_prepared_again() {
    let scratch = flowers();
    let run = |store: &str, more: &[&str]| {
        scratch.run(&[&["flowers.yaml", "--set", "data.root=data", "--store", store], more].concat()).exits(0)
    };
    run("one", &["--set", "runtime.threads=1"])
        .line(&["24 training images (12 to fit, 12 held out), 8 test, 2 classes"]);
    run("two", &["--set", "runtime.threads=2"]);
    assert_eq!(scratch.outputs("one", "search"), scratch.outputs("two", "search"), "threads change no bit");

    let again = run("one", &[]);
    again.line(&["pictures", "cached"]);
    again.line(&["search", "cached"]);
    write_picture(&scratch.path("data/flowers/train/tulip/99.jpg"), [9, 9, 9]);
    let grown = run("one", &[]);
    grown.line(&["pictures", "ran, because", "train pictures"]);
    grown.line(&["25 training images"]);
}

#[test]
fn the_published_list_does_not_say_where_on_this_machine_the_pictures_lie() {
    let scratch = flowers();
    scratch.run(&["flowers.yaml", "--set", "data.root=data", "--store", "one"]).exits(0);
    fs::rename(scratch.path("data"), scratch.path("elsewhere")).unwrap();
    let elsewhere = scratch.path("elsewhere");
    let root = format!("data.root={}", elsewhere.display());
    let moved = scratch.run(&["flowers.yaml", "--set", &root, "--store", "one"]).exits(0);
    moved.line(&["pictures", "cached"]);
    moved.line(&["search", "cached"]);
    let trained = scratch.run(&["flowers.yaml", "--set", &root, "--store", "one", "--set", "search.epochs=1"]).exits(0);
    trained.line(&["search", "ran"]);
}

#[test]
fn a_broken_picture_is_named_and_counted_and_the_search_goes_on() {
    let scratch = flowers();
    let broken = scratch.path("data/flowers/train/daisy/03.jpg");
    let whole = fs::read(&broken).unwrap();
    fs::write(&broken, &whole[..whole.len() - 20]).unwrap();
    fs::write(scratch.path("data/flowers/val/daisy/01.jpg"), "no picture").unwrap();
    let ended = scratch.run(&["flowers.yaml", "--set", "data.root=data"]).exits(0);
    ended.line(&["daisy/03.jpg` is left out: it is cut short"]);
    ended.line(&["daisy/01.jpg` is left out: it is none of JPEG, PNG, WebP, GIF, BMP, TIFF and PNM"]);
    ended.line(&["2 of 32 pictures cannot be decoded and are left out"]);
    ended.line(&["23 training images", "7 test"]);
}

#[test]
fn what_cannot_be_is_said_before_anything_is_started() {
    let scratch = flowers();
    let folder = scratch.path("data/flowers");
    let refused = |key: &str, words: &[&str]| {
        let root = "data.root=data";
        scratch.run(&["flowers.yaml", "--set", root, "--set", key]).exits(3).line(words);
    };
    refused("pictures.image_folder.path=roses", &["found no folder `roses`"]);
    refused("pictures.image_folder.split=halves", &["`split` of an image folder must be shuffled or all"]);
    refused("pictures.image_folder.normalise=measured", &["must be constants, found `measured`"]);
    refused("pictures.image_folder.resize=8", &["`resize` 8 is below `size` 16"]);
    refused("search.augment.crop_padding=4", &["`crop_padding` and `resized_crop` are two ways to crop"]);
    // What fits images of one size is told when the search meets the pictures.
    refused("search.augment.resized_crop=false", &["`crop_padding` must be 0 for picture files"]);
    refused("pictures.image_folder.path=.", &["has none of the folders `train`, `training`"]);
    refused("pictures.image_folder.path=.", &["`flowers` in it has them: write `path: ./flowers`"]);
    fs::create_dir(folder.join("val/rose")).unwrap();
    write_picture(&folder.join("val/rose/0.jpg"), [9, 9, 9]);
    refused("name=flowers", &["has no class folder `rose`, though"]);
    fs::remove_dir_all(folder.join("train/daisy")).unwrap();
    refused("name=flowers", &["has one class folder, `tulip`: expected two or more"]);
}

/// Whatever is in the folder and is not used is said once; the parts may be called as people call
/// them.
#[test]
fn what_is_not_read_and_what_is_not_tested_are_said() {
    let scratch = flowers();
    let folder = scratch.path("data/flowers");
    fs::rename(folder.join("val"), folder.join("validation")).unwrap();
    fs::create_dir_all(folder.join("test/daisy")).unwrap();
    fs::remove_dir_all(folder.join("validation/tulip")).unwrap();
    fs::write(folder.join("train/daisy/a.heic"), "x").unwrap();
    std::os::unix::fs::symlink("me@host.1234", folder.join("train/daisy/.#00.jpg")).unwrap();
    let run = || scratch.run(&["flowers.yaml", "--set", "data.root=data"]).exits(0);
    let ended = run();
    ended.line(&["image_folder flowers (train, validation): 24 training images", "4 test", "2 classes"]);
    ended.line(&["left out of the list: `.heic` (1), dangling link (1)"]);
    ended.line(&["nothing is read of `test`; to test on it write `val: test`"]);
    ended.line(&["1 of 2 classes have no picture to test on: `tulip`"]);
    run().line(&["pictures", "cached"]);
}

#[test]
fn the_loader_is_measured_on_pictures_of_ones_own() {
    let scratch = flowers();
    let bench = ["bench", "--work", "loader", "--batch", "4", "--steps", "2", "--threads", "1"];
    let lines = scratch.run(&[&bench[..], &["--data", "data/flowers", "--json"]].concat()).exits(0).stdout;
    let rows: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["images_per_second"].as_f64().unwrap() > 0.0 && row["pictures"] == 24));
    let table = scratch.run(&[&bench[..], &["--data", "data/flowers"]].concat()).exits(0).stdout;
    assert!(table.contains("images/s"), "{table}");
    scratch.run(&["bench", "--work", "loader", "--data", "nowhere"]).exits(3).line(&["nowhere"]);
    scratch
        .run(&["bench", "--work", "loader", "--data", "data/flowers", "--batch", "99"])
        .exits(3)
        .line(&["no batch of 99"]);
    scratch.run(&["bench", "--work", "dreams"]).exits(2);
}
