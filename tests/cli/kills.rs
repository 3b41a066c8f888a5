//! Runs of every kind of stage that are killed, cut off from their disk or robbed of their store:
//! nothing that is published is ever wrong, nothing that is finished is ever lost.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Ended, Scratch};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Another number by `KILLS=500 cargo test --test cli kills -- --nocapture`.
const KILLS: usize = 8;

/// Each kind of stage, on images that the program draws itself.
pub const PIPELINE: &str = "\
name: all
stages:
  images:
    prepare: {synthetic: {train: 48, test: 16, classes: 4, size: 8, channels: 1, seed: 3}}
  search:
    search: {data: images, space: nas_bench_201, channels: 2, size: 1, epochs: 2, batch: 16, seed: 1, augment: {crop_padding: 1}}
    runtime: {checkpoint: {every_steps: 1}}
  cell:
    derive: {search: search}
  drawn:
    genotype: {space: nas_bench_201, random: {seed: 3}}
  table:
    benchmark: {genotype: cell, table: nas_bench_201}
  network:
    retrain: {genotype: cell, data: images, skeleton: final, channels: 2, size: 1, epochs: 2, batch: 16, augment: {crop_padding: 1, cutout: 0}}
    runtime: {checkpoint: {every_steps: 1}}
  moved:
    transfer:
      genotype: drawn
      data: images
      skeleton: final
      channels: 2
      size: 1
      epochs: 1
      batch: 16
      augment: {resized_crop: false, jitter: false, crop_padding: 1}
    runtime: {checkpoint: {every_steps: 1}}
  test:
    evaluate: {network: network, data: images}
  report:
    report: {of: [images, search, cell, drawn, table, network, moved, test]}
";

const RUN: [&str; 3] = ["all.yaml", "--store", "store"];

/// What a store holds: the outputs of each record by its file, and the names of objects.
#[derive(Debug, Clone, Default, PartialEq)]
struct Held {
    outputs: BTreeMap<PathBuf, Json>,
    objects: BTreeSet<PathBuf>,
}

fn held(scratch: &Scratch, store: &str) -> Held {
    let root = scratch.path(store);
    let below = |folder: &str| {
        let files = scratch.files(&format!("{store}/{folder}"));
        files.into_iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect::<Vec<PathBuf>>()
    };
    let outputs = |path: PathBuf| {
        let mut record: Json = serde_json::from_slice(&fs::read(root.join(&path)).unwrap()).unwrap();
        (path, record["outputs"].take())
    };
    Held {
        outputs: below("actions-v1").into_iter().map(outputs).collect(),
        objects: below("objects-v1").into_iter().collect(),
    }
}

/// A pipeline that ran to its end without a mishap, what it came to, and how long it took.
fn alone() -> (Scratch, Held, Duration) {
    let scratch = Scratch::new();
    scratch.write("all.yaml", PIPELINE);
    let begun = Instant::now();
    scratch.run(&["all.yaml", "--store", "alone"]).exits(0);
    let took = begun.elapsed();
    let whole = held(&scratch, "alone");
    assert_eq!(whole.outputs.len(), 9, "each stage has a record");
    (scratch, whole, took)
}

/// Holds the store to what a run alone comes to, and to what it held `before`; says what it holds.
#[track_caller]
fn right(scratch: &Scratch, whole: &Held, before: &Held, what: &str) -> Held {
    let found = held(scratch, "store");
    for (path, outputs) in &found.outputs {
        assert_eq!(Some(outputs), whole.outputs.get(path), "{what}: another result in `{}`", path.display());
    }
    let strange: Vec<&PathBuf> = found.objects.difference(&whole.objects).collect();
    assert!(strange.is_empty(), "{what}: no run alone publishes {strange:?}");
    let lost: Vec<&PathBuf> = before.outputs.keys().filter(|path| !found.outputs.contains_key(*path)).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} is lost");
    // It hashes every object and every sealed file.
    if scratch.path("store/objects-v1").is_dir() {
        scratch.run(&["store", "verify", "--store", "store"]).exits(0);
    }
    assert!(scratch.files("store/damaged-v1").is_empty(), "{what}: something was found damaged");
    found
}

/// A run over what is there must come to what one alone comes to, and leave nothing of its work.
#[track_caller]
fn heals(scratch: &Scratch, whole: &Held, what: &str) {
    scratch.run(&RUN).exits(0);
    let found = right(scratch, whole, whole, what);
    assert_eq!(found.outputs, whole.outputs, "{what}");
    for folder in ["tmp-v2", "work-v1"] {
        assert!(scratch.files(&format!("store/{folder}")).is_empty(), "{what}: something is left in {folder}");
    }
}

#[test]
fn killed_at_any_moment_of_any_stage_nothing_is_wrong_and_nothing_is_lost() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (scratch, whole, took) = alone();
    let mut random = ChaCha8Rng::seed_from_u64(std::env::var("KILLS_SEED").map_or(1, |seed| seed.parse().unwrap()));
    let (mut before, mut killed, mut within, mut stores) = (Held::default(), 0, 0, 1);
    let mut records = BTreeMap::new();
    while killed < kills {
        let moment = took.mul_f64(random.random_range(0.0..0.6));
        // Half of them while something is being written into the store.
        let in_a_publication = random.random::<bool>();
        let begun = Instant::now();
        let run = scratch.start_deaf(&RUN);
        thread::sleep(moment);
        let is_writing = || fs::read_dir(scratch.path("store/tmp-v2")).is_ok_and(|mut files| files.next().is_some());
        let mut is_within = false;
        while in_a_publication && !is_within && begun.elapsed() < took {
            is_within = is_writing();
            if !is_within {
                thread::sleep(Duration::from_micros(50));
            }
        }
        let is_killed = run.killed();
        let what = format!("kill {killed} after {moment:?}, in a publication: {in_a_publication}");
        before = right(&scratch, &whole, &before, &what);
        if is_killed {
            (killed, within) = (killed + 1, within + usize::from(is_within));
            *records.entry(before.outputs.len()).or_insert(0) += 1;
        }
        if before.outputs.len() == whole.outputs.len() {
            heals(&scratch, &whole, &what);
            fs::remove_dir_all(scratch.path("store")).unwrap();
            (before, stores) = (Held::default(), stores + 1);
        }
    }
    heals(&scratch, &whole, "after the last kill");
    println!(
        "{killed} kills, {within} of them in a publication, over {stores} stores: none wrong, none lost; by records there: {records:?}"
    );
}

/// Every failure names the store's class of errors and what to do; the next run goes on.
#[track_caller]
fn full(scratch: &Scratch, ended: &Ended, what: &str) {
    assert!(ended.code == Some(0) || ended.code == Some(4), "{what}: {ended:?}");
    assert!(!ended.stderr.contains("internal error"), "{what}: {}", ended.stderr);
    assert!(scratch.files("store/damaged-v1").is_empty(), "{what}");
}

/// A write beyond the limit fails as on a disk that is full half-way through it.
#[test]
fn where_files_may_not_grow_a_run_fails_whole_and_the_next_goes_on() {
    let (scratch, whole, _) = alone();
    let mut failed = 0;
    // In blocks of 512 bytes.
    for blocks in [1, 4, 16] {
        let what = format!("files of {blocks} blocks");
        let ended = scratch.run_limited(&format!("trap '' XFSZ; ulimit -f {blocks}"), &RUN);
        failed += usize::from(ended.code != Some(0));
        full(&scratch, &ended, &what);
        right(&scratch, &whole, &Held::default(), &what);
        heals(&scratch, &whole, &what);
        fs::remove_dir_all(scratch.path("store")).unwrap();
    }
    assert!(failed > 0, "no limit was met");
}

fn mount(options: &str, at: &PathBuf) {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().unwrap();
    assert!(mounted.success(), "only root may mount");
}

/// A disk of its own for a store; it goes with the test.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root, to mount small disks"]
fn on_a_disk_without_room_or_inodes_a_run_fails_whole_and_the_next_goes_on() {
    let (scratch, whole, _) = alone();
    let (mut failed, mut tried) = (0, 0);
    let sizes = (0..20).map(|step| format!("size={}k", 8 + 80 * step));
    let inodes = (0..20).map(|step| format!("nr_inodes={}", 8 + 10 * step));
    for options in sizes.chain(inodes) {
        let at = scratch.path("store");
        fs::create_dir_all(&at).unwrap();
        mount(&options, &at);
        let disk = Disk(at.clone());
        let ended = scratch.run(&RUN);
        (failed, tried) = (failed + usize::from(ended.code != Some(0)), tried + 1);
        full(&scratch, &ended, &options);
        assert!(ended.code == Some(0) || ended.stderr.contains("the disk that holds"), "{options}: {}", ended.stderr);
        mount("remount,size=64m,nr_inodes=4000", &at);
        right(&scratch, &whole, &Held::default(), &options);
        heals(&scratch, &whole, &options);
        drop(disk);
        fs::remove_dir_all(&at).unwrap();
    }
    assert!(failed > 5 && failed < tried, "{failed} of {tried} disks were too small");
    println!("{failed} of {tried} disks were too small: none wrong, none lost");
}

#[test]
fn a_clock_that_went_back_loses_nothing() {
    let (scratch, whole, _) = alone();
    scratch.run(&RUN).exits(0);
    let later = SystemTime::now() + Duration::from_secs(10 * 365 * 24 * 3600);
    for path in scratch.files("store") {
        fs::File::open(path).unwrap().set_modified(later).unwrap();
    }
    let again = scratch.run(&RUN).exits(0);
    for stage in ["images", "search", "network", "report"] {
        again.line(&[stage, "cached"]);
    }
    scratch.run(&["store", "gc", "--keep-days", "0", "--store", "store"]).exits(0);
    heals(&scratch, &whole, "after a clock that went back");
}

#[test]
fn a_store_that_goes_away_under_a_run_ends_it_and_the_next_begins_anew() {
    let (scratch, whole, took) = alone();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for at in 0..3 {
        let run = scratch.start_deaf(&RUN);
        thread::sleep(took.mul_f64(random.random_range(0.1..0.9)));
        // It may write while it is removed.
        while fs::remove_dir_all(scratch.path("store")).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
        {
        }
        let ended = run.ended();
        full(&scratch, &ended, &format!("store {at}"));
        right(&scratch, &whole, &Held::default(), &format!("store {at}"));
        heals(&scratch, &whole, &format!("store {at}"));
        fs::remove_dir_all(scratch.path("store")).unwrap();
    }
}
