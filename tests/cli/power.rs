//! Power cuts: what a run asked of the system, up to any moment, with what a disk may forget of it.
//!
//! `strace` writes down each call of the real program that changes a file or a folder. Of every
//! beginning of that list a disk is made: what was synced is there, what was not is there, in part
//! or not at all. So a name that was not synced may be gone, and a file whose bytes were not synced
//! may be empty or end anywhere.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use crate::scratch::Scratch;
use darts_run::store::Store;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

/// Disks over which the program runs again. Half of all disks are looked at; all of them, and
/// another number of runs, by
/// `CUTS=500 cargo test --test cli power -- --ignored --nocapture`.
const RERUNS: usize = 20;

/// Calls that change what a disk holds, or make it stay.
const CALLS: &str = "trace=openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,\
                     unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,fchmod,fchmodat,chmod,utimensat,fallocate,copy_file_range";

#[derive(Debug, Clone)]
enum Change {
    MakeFolder(PathBuf),
    MakeFile {
        path: PathBuf,
        mode: u32,
    },
    Write(PathBuf, Vec<u8>),
    Cut(PathBuf, usize),
    Stamp(PathBuf, u64),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// It was told that so many stages are finished, and checkpoints saved.
    Told {
        finished: usize,
        saved: usize,
    },
}

/// The text between the quotation marks of `\x..`.
fn unescaped(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn path_of(bytes: Vec<u8>, folder: &Path) -> PathBuf {
    folder.join(String::from_utf8(bytes).unwrap())
}

/// What one line of `strace` says, as far as it is about `root` or the file of events.
fn change(line: &str, folder: &Path, root: &Path, events: &Path) -> Option<Change> {
    let (_, call) = line.trim_start().split_once(' ')?;
    let (name, rest) = call.trim_start().split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    // `\x..` in strings and in what a descriptor is of; no name here holds what separates them.
    let texts: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unescaped).collect();
    let named = |at: usize| path_of(texts[at].clone(), folder);
    let opened = || {
        let inside = arguments.split_once('<')?.1.split_once('>')?.0;
        Some(path_of(unescaped(inside), folder))
    };
    let numbers = || arguments.rsplit(", ").next().unwrap().trim_end_matches(')').trim();
    let change = match name {
        "mkdir" | "mkdirat" => Change::MakeFolder(named(0)),
        "openat" if arguments.contains("O_CREAT") => {
            Change::MakeFile { path: named(0), mode: u32::from_str_radix(numbers(), 8).unwrap() }
        }
        "openat" => return None,
        "write" if opened()? == events => {
            let text = String::from_utf8_lossy(&texts[0]).into_owned();
            let count = |event: &str| text.matches(event).count();
            Change::Told { finished: count("\"stage_finished\""), saved: count("\"checkpoint_saved\"") }
        }
        "write" => Change::Write(opened()?, texts[0].clone()),
        "ftruncate" => Change::Cut(opened()?, numbers().parse().unwrap()),
        "fsync" | "fdatasync" => Change::Sync(opened()?),
        "utimensat" => {
            let seconds = arguments.rsplit("tv_sec=").next().unwrap().split(',').next().unwrap();
            Change::Stamp(opened()?, seconds.parse().unwrap())
        }
        "rename" | "renameat" | "renameat2" => Change::Rename(named(0), named(1)),
        // Names below a folder that is removed whole are relative to it.
        "unlinkat" if arguments.starts_with("AT_FDCWD") => Change::Remove(named(0)),
        "unlinkat" => Change::Remove(opened()?.join(String::from_utf8(texts[0].clone()).unwrap())),
        "unlink" | "rmdir" => Change::Remove(named(0)),
        // Permissions are given when files are made.
        "chmod" | "fchmod" | "fchmodat" => return None,
        other => panic!("`{other}` is not understood: {line}"),
    };
    let about = match &change {
        Change::MakeFolder(path) | Change::MakeFile { path, .. } | Change::Write(path, _) | Change::Cut(path, _) => {
            path
        }
        Change::Stamp(path, _) | Change::Sync(path) | Change::Rename(path, _) | Change::Remove(path) => path,
        Change::Told { .. } => return Some(change),
    };
    // The folder around it too: the store's own name lies there.
    (about.starts_with(root) || about == folder).then_some(change)
}

#[derive(Debug, Clone, Default)]
struct Bytes {
    now: Vec<u8>,
    /// As they were when they were last synced.
    synced: Vec<u8>,
    stamp: Option<u64>,
    mode: u32,
}

/// A name that came or went.
#[derive(Debug, Clone)]
enum Naming {
    Folder(PathBuf),
    File(PathBuf, usize),
    Renamed { from: PathBuf, to: PathBuf, file: Option<usize> },
    Gone(PathBuf),
}

impl Naming {
    /// The folder whose sync makes it stay.
    fn folder(&self) -> &Path {
        let (Self::Folder(path) | Self::File(path, _) | Self::Renamed { to: path, .. } | Self::Gone(path)) = self;
        path.parent().unwrap()
    }
}

/// Names on a disk: a file's number, or nothing for a folder.
type Names = BTreeMap<PathBuf, Option<usize>>;

/// What a disk was asked to hold, and what of it it must.
#[derive(Default)]
struct Disk {
    files: Vec<Bytes>,
    names: Names,
    /// In their order; whether each was synced.
    namings: Vec<(Naming, bool)>,
}

fn apply(names: &mut Names, naming: &Naming) {
    match naming {
        Naming::Folder(path) => drop(names.insert(path.clone(), None)),
        Naming::File(path, file) => drop(names.insert(path.clone(), Some(*file))),
        Naming::Renamed { from, to, file } => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
        Naming::Gone(path) => drop(names.remove(path)),
    }
}

impl Disk {
    fn name(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.namings.push((naming, false));
    }

    fn file(&mut self, path: &Path) -> Option<&mut Bytes> {
        let file = (*self.names.get(path)?)?;
        self.files.get_mut(file)
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::MakeFolder(path) => self.name(Naming::Folder(path.clone())),
            Change::MakeFile { path, .. } if self.names.contains_key(path) => {}
            Change::MakeFile { path, mode } => {
                self.files.push(Bytes { mode: *mode, ..Bytes::default() });
                self.name(Naming::File(path.clone(), self.files.len() - 1));
            }
            Change::Write(path, bytes) => self.file(path).unwrap().now.extend_from_slice(bytes),
            Change::Cut(path, length) => self.file(path).unwrap().now.truncate(*length),
            Change::Stamp(path, seconds) => self.file(path).unwrap().stamp = Some(*seconds),
            Change::Sync(path) => match self.file(path) {
                Some(file) => file.synced.clone_from(&file.now),
                None => {
                    self.namings.iter_mut().filter(|(naming, _)| naming.folder() == path).for_each(|(_, is)| *is = true)
                }
            },
            Change::Rename(from, to) => {
                let file = self.names.get(from).copied().flatten();
                self.name(Naming::Renamed { from: from.clone(), to: to.clone(), file });
            }
            Change::Remove(path) => self.name(Naming::Gone(path.clone())),
            Change::Told { .. } => {}
        }
    }

    /// What is on the disk after a power cut, by what it may keep of what was not synced: of names
    /// (in their order within a folder) and of bytes.
    fn after_a_cut(&self, keeps: Keeps, random: &mut ChaCha8Rng) -> BTreeMap<PathBuf, Option<(Vec<u8>, Bytes)>> {
        let mut names = Names::new();
        let mut forgetful = BTreeSet::new();
        for (naming, is_synced) in &self.namings {
            let kept = match keeps {
                Keeps::Least => false,
                Keeps::Names => true,
                // Once a folder forgot a name, it forgot all that came after it.
                Keeps::Some => !forgetful.contains(naming.folder()) && random.random_range(0..3) > 0,
            };
            if *is_synced || kept {
                apply(&mut names, naming);
            } else {
                forgetful.insert(naming.folder().to_owned());
            }
        }
        let mut disk = BTreeMap::new();
        for (path, file) in names {
            let held = file.map(|file| {
                let bytes = &self.files[file];
                let mut held = bytes.synced.clone();
                if bytes.now != bytes.synced && keeps == Keeps::Some {
                    // Cut anywhere, or as long as it was and with nothing written in it.
                    held = bytes.now[..random.random_range(0..=bytes.now.len())].to_vec();
                    if random.random() {
                        held = vec![0; bytes.now.len()];
                    }
                }
                (held, bytes.clone())
            });
            disk.insert(path, held);
        }
        // What lies in a folder that is not there is not there.
        let folders: BTreeSet<PathBuf> =
            disk.iter().filter(|(_, held)| held.is_none()).map(|(path, _)| path.clone()).collect();
        disk.into_iter()
            .filter(|(path, _)| {
                path.ancestors()
                    .skip(1)
                    .take_while(|above| self.names.contains_key(*above))
                    .all(|above| folders.contains(above))
            })
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// Nothing that was not synced.
    Least,
    /// All names, and of bytes what was synced.
    Names,
    /// Some names, and files that end anywhere.
    Some,
}

/// Makes the disk's files in `root`, whose place in the log was `was`.
fn materialise(disk: &BTreeMap<PathBuf, Option<(Vec<u8>, Bytes)>>, was: &Path, root: &Path) {
    let _ = fs::remove_dir_all(root);
    for (path, held) in disk {
        let path = root.join(path.strip_prefix(was).unwrap());
        match held {
            None => fs::create_dir_all(&path).unwrap(),
            Some((bytes, Bytes { stamp, mode, .. })) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
                if let Some(seconds) = stamp {
                    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds);
                    fs::File::open(&path).unwrap().set_modified(time).unwrap();
                }
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode & 0o755)).unwrap();
            }
        }
    }
}

/// The outputs of each record of a store, by its file.
fn results(store: &Path) -> BTreeMap<PathBuf, Json> {
    let entries = fs::read_dir(store.join("actions-v1")).into_iter().flatten().map(|entry| entry.unwrap());
    let outputs = |entry: fs::DirEntry| {
        let mut record: Json = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
        (entry.file_name().into(), record["outputs"].take())
    };
    entries.map(outputs).collect()
}

/// The calls of a run, in the order in which they returned.
fn recorded(scratch: &Scratch, pipeline: &str) -> Vec<Change> {
    let folder = scratch.path("").canonicalize().unwrap();
    let (log, events) = (folder.join("calls"), folder.join("events"));
    let ended = Command::new("strace")
        .args(["-f", "-y", "-qq", "-xx", "-s", "100000000", "-e", CALLS, "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_darts-run"))
        .args([pipeline, "--store", "store", "--set", "runtime.threads=1", "--events"])
        .arg(&events)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .expect("`strace` can be started");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let (mut begun, mut changes) = (BTreeMap::new(), Vec::new());
    for line in fs::read_to_string(&log).unwrap().lines() {
        // A call of one thread may be told in two lines, with calls of others in between.
        let thread = line.split_whitespace().next().unwrap().to_owned();
        if let Some(first) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, first.to_owned());
            continue;
        }
        let whole = match line.split_once(" resumed>") {
            Some((_, rest)) => begun.remove(&thread).unwrap() + rest,
            None => line.to_owned(),
        };
        changes.extend(change(&whole, &folder, &folder.join("store"), &events));
    }
    changes
}

#[test]
#[ignore = "needs `strace`: `.ci/run` installs it"]
fn a_power_cut_at_any_call_loses_nothing_that_was_told_and_leaves_nothing_wrong() {
    let tries_all = std::env::var_os("CUTS").is_some();
    let reruns = std::env::var("CUTS").map_or(RERUNS, |cuts| cuts.parse().unwrap());
    let scratch = Scratch::new();
    scratch.write("all.yaml", crate::kills::PIPELINE);
    scratch.run(&["all.yaml", "--store", "alone"]).exits(0);
    let whole = results(&scratch.path("alone"));
    let changes = recorded(&scratch, "all.yaml");
    assert_eq!(results(&scratch.path("store")), whole);
    let was = scratch.path("").canonicalize().unwrap().join("store");
    assert!(changes.len() > 200, "{} calls", changes.len());

    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (mut disk, mut seen, mut cuts, mut again) = (Disk::default(), BTreeSet::new(), 0, 0);
    let (mut promised, mut cut) = (0, scratch.path("cut"));
    cut = cut.parent().unwrap().canonicalize().unwrap().join("cut");
    let share = reruns as f64 / (3 * changes.len()) as f64;
    for (at, change) in changes.iter().enumerate() {
        disk.change(change);
        if let Change::Told { finished, saved } = change {
            // What is told stays, whatever else a disk forgets.
            promised += finished;
            let least = disk.after_a_cut(Keeps::Least, &mut random);
            let files = |folder: &str| {
                least.iter().filter(|(path, held)| held.is_some() && path.starts_with(was.join(folder))).count()
            };
            assert!(files("actions-v1") >= promised, "call {at}: {} records of {promised}", files("actions-v1"));
            assert!(*saved == 0 || files("work-v1") > 0, "call {at}: no checkpoint");
        }
        for keeps in [Keeps::Least, Keeps::Names, Keeps::Some] {
            let held = disk.after_a_cut(keeps, &mut random);
            let what = format!("cut after call {at} of {}, {keeps:?} kept: {change:?}", changes.len());
            let what = &what[..what.char_indices().nth(300).map_or(what.len(), |(at, _)| at)];
            let mut hasher = DefaultHasher::new();
            for (path, held) in &held {
                (path, held.as_ref().map(|(bytes, _)| bytes)).hash(&mut hasher);
            }
            if !seen.insert(hasher.finish()) {
                continue;
            }
            if !tries_all && random.random() {
                continue;
            }
            cuts += 1;
            materialise(&held, &was, &cut);
            let found = results(&cut);
            assert!(found.len() >= promised, "{what}: {} records of {promised} that were there", found.len());
            for (key, outputs) in &found {
                assert_eq!(Some(outputs), whole.get(key), "{what}: another result in {}", key.display());
            }
            if let Some(store) = Store::existing(&cut) {
                let audit = store.audit(&store.hold().unwrap()).unwrap();
                assert!(audit.faults.is_empty() && audit.broken.is_empty(), "{what}: {:?}", audit.faults);
            }
            if random.random::<f64>() < share {
                again += 1;
                let ended = scratch.run(&["all.yaml", "--store", "cut"]).exits(0);
                assert!(!ended.stderr.contains("damaged"), "{what}: {}", ended.stderr);
                assert_eq!(results(&cut), whole, "{what}");
                scratch.run(&["store", "verify", "--store", "cut"]).exits(0);
            }
        }
    }
    assert_eq!(promised, whole.len(), "each stage was told to be finished");
    println!("{} calls, {cuts} disks after cuts, {again} runs over them: none wrong, none lost", changes.len());
}
