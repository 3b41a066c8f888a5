//! Many processes in one store: slow, so asked for by name.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Ended, Scratch};
use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const RUNS: usize = 8;

/// Six data sets that neighbours share, the larger the longer they take to publish; a search that
/// every third shares.
fn pipeline(run: usize) -> String {
    let mut text = format!("name: run{run}\nstages:\n");
    for seed in run..run + 6 {
        let images = "train: 1500, test: 16, classes: 4, size: 64, channels: 3";
        text += &format!("  images{seed}:\n    prepare: {{synthetic: {{{images}, seed: {seed}}}}}\n");
    }
    let images = "train: 96, test: 16, classes: 4, size: 8, channels: 1, seed: 3";
    let search = "data: small, space: nas_bench_201, channels: 4, size: 1, epochs: 2, batch: 16";
    text + &format!(
        "  small:\n    prepare: {{synthetic: {{{images}}}}}\n  search:\n    search: {{{search}, seed: {}}}\n  cell:\n    \
         derive: {{search: search}}\n",
        run % 3
    )
}

/// The names of all records and objects: keys and digests.
fn results(scratch: &Scratch, store: &str) -> BTreeSet<String> {
    let folders = ["actions-v1", "objects-v1"].map(|folder| scratch.files(&format!("{store}/{folder}")));
    let root = scratch.path(store);
    folders.concat().iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
}

/// Asks for all that does not write in the store; the answer may be that there is nothing yet.
fn look(scratch: &Scratch, which: usize, store: &str) -> Ended {
    let file = format!("look{which}");
    let words: &[&str] = match which % 5 {
        0 => &["store", "gc", "--dry-run", "--store", store],
        1 => &["store", "verify", "--store", store],
        2 => &["export", "run0/cell", "--to", "genotype", "--output", &file, "--force", "--store", store],
        3 => &["export", "run1/search", "--to", "safetensors", "--output", &file, "--force", "--store", store],
        _ => &["run0.yaml", "--resolve", "--store", store],
    };
    let ended = scratch.run(words);
    let is_busy = ended.code == Some(4) && ended.stderr.contains("a run works in the store");
    let is_early = ended.code == Some(3)
        && ["is no store", "there is no store", "has no result"].iter().any(|said| ended.stderr.contains(said));
    assert!(ended.code == Some(0) || is_busy || is_early, "{words:?}: {ended:?}");
    ended
}

/// For so many seconds:
/// `STRESS_SECONDS=600 cargo test --release --test cli stress -- --ignored --nocapture`.
#[test]
#[ignore = "ten minutes, or as long as STRESS_SECONDS says"]
fn processes_side_by_side_never_fail_and_come_to_what_one_alone_comes_to() {
    let seconds = std::env::var("STRESS_SECONDS").map_or(600, |seconds| seconds.parse().unwrap());
    let scratch = Scratch::new();
    let files: Vec<String> = (0..RUNS).map(|run| format!("run{run}.yaml")).collect();
    for (run, file) in files.iter().enumerate() {
        scratch.write(file, &pipeline(run));
        scratch.run(&[file, "--store", "alone"]).exits(0);
    }
    let alone = results(&scratch, "alone");
    let (began, looks) = (Instant::now(), AtomicUsize::new(0));
    let mut rounds = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        let store = format!("round{rounds}");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for which in 0..5 {
                let (scratch, store, is_over, looks) = (&scratch, &store, &is_over, &looks);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        look(scratch, which, store);
                        looks.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let runs: Vec<_> =
                files.iter().map(|file| scope.spawn(|| scratch.run(&[file, "--store", &store]))).collect();
            let ended: Vec<Ended> = runs.into_iter().map(|run| run.join().unwrap()).collect();
            is_over.store(true, Ordering::Relaxed);
            ended.into_iter().for_each(|ended| drop(ended.exits(0)));
        });
        assert_eq!(results(&scratch, &store), alone, "round {rounds}");
        scratch.run(&["store", "verify", "--store", &store]).exits(0);
        for folder in ["tmp-v2", "work-v1", "damaged-v1"] {
            assert!(scratch.files(&format!("{store}/{folder}")).is_empty(), "{folder} in round {rounds}");
        }
        fs::remove_dir_all(scratch.path(&store)).unwrap();
        rounds += 1;
    }
    println!("{} runs in {rounds} rounds beside {looks:?} looks: none failed, equal digests", rounds * RUNS);
}
