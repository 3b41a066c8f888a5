//! What a store holds that nobody needs, and its removal.

use super::{
    Digest, Hold, Record, Store, StoreError,
    walk::{entries, files},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use walkdir::WalkDir;

/// Why something is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waste {
    /// A record from before the time that was asked to be kept, and no stage's newest.
    Record,
    /// An object that no record names.
    Object,
    /// Checkpoints of finished work, or of work that nobody went on with for longer than was asked
    /// to be kept.
    Work,
    /// What a killed process was writing.
    Leftover,
    /// Records, and what was put aside, whose bytes are not what they should be.
    Damaged,
}

/// One thing that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    pub waste: Waste,
    /// A file, or a folder of checkpoints.
    pub path: PathBuf,
    pub bytes: u64,
}

impl Store {
    /// Everything that may go, records first. `keep` is how far back results and unfinished work
    /// are kept for their own sake; without it all of them are. What is some stage's newest success
    /// stays in any case.
    ///
    /// The hold says that no run is at work: what it is about to name in a record would look like
    /// garbage.
    ///
    /// # Errors
    /// Where a record cannot be read, since what it names is unknown then. A damaged one names
    /// nothing.
    pub fn garbage(&self, _alone: &Hold, keep: Option<Duration>) -> Result<Vec<Garbage>, StoreError> {
        let now = SystemTime::now();
        let newest = self.newest_keys()?;
        let (mut garbage, mut named, mut finished) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for path in files(&self.folder(Self::ACTIONS))? {
            let Some(key) = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Digest>().ok()) else { continue };
            let record = match self.read_record(&path) {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(StoreError::Damaged { .. }) => {
                    garbage.push(Garbage { waste: Waste::Damaged, bytes: size(&path)?, path });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if keep.is_some_and(|keep| age_of_record(&record, now) > keep) && !newest.contains(&key) {
                garbage.push(Garbage { waste: Waste::Record, bytes: size(&path)?, path });
            } else {
                finished.insert(key.to_string());
                named.extend(record.outputs.values().map(|object| self.object_path(&object.digest)));
            }
        }
        for path in files(&self.folder(Self::OBJECTS))? {
            if !named.contains(&path) {
                garbage.push(Garbage { waste: Waste::Object, bytes: size(&path)?, path });
            }
        }
        for path in entries(&self.folder(Self::WORK))? {
            let is_finished = path.file_name().is_some_and(|key| finished.contains(&*key.to_string_lossy()));
            if is_finished || keep.is_some_and(|keep| age(&path, now) > keep) {
                garbage.push(Garbage { waste: Waste::Work, bytes: size(&path)?, path });
            }
        }
        // How work stands that is finished, or that nobody went on with for so long.
        for path in files(&self.folder(Self::STANDINGS))? {
            let is_finished = path.file_stem().is_some_and(|key| finished.contains(&*key.to_string_lossy()));
            if is_finished || keep.is_some_and(|keep| age(&path, now) > keep) {
                garbage.push(Garbage { waste: Waste::Work, bytes: size(&path)?, path });
            }
        }
        // `tmp` is where versions before wrote.
        for (folder, waste) in [("tmp", Waste::Leftover), (Self::TMP, Waste::Leftover), (Self::DAMAGED, Waste::Damaged)]
        {
            for path in files(&self.folder(folder))? {
                garbage.push(Garbage { waste, bytes: size(&path)?, path });
            }
        }
        Ok(garbage)
    }

    /// Removes it, in its order: stopped half-way, what is left is garbage still.
    ///
    /// # Errors
    /// The first file that cannot be removed.
    pub fn remove(&self, _alone: &Hold, garbage: &[Garbage]) -> Result<(), StoreError> {
        for Garbage { path, .. } in garbage {
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The keys that `last-v1` names.
    fn newest_keys(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut keys = BTreeSet::new();
        for path in files(&self.folder(Self::LAST))? {
            match self.read_last(&path) {
                Ok(last) => keys.extend(last.map(|last| last.key)),
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}

fn age_of_record(record: &Record, now: SystemTime) -> Duration {
    let finished = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(record.finished));
    // A clock that was set back makes nothing old.
    finished.and_then(|finished| now.duration_since(finished).ok()).unwrap_or_default()
}

/// The time since anything below `path` was last written to; none at all where that is not known.
fn age(path: &Path, now: SystemTime) -> Duration {
    let times = WalkDir::new(path)
        .into_iter()
        .map(|entry| entry?.metadata().map_err(io::Error::from)?.modified().map_err(Into::into));
    let times: Result<Vec<SystemTime>, Box<dyn std::error::Error>> = times.collect();
    times.ok().and_then(|times| now.duration_since(times.into_iter().max()?).ok()).unwrap_or_default()
}

/// The bytes of a file, or of all files below a folder.
fn size(path: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for path in files(path)? {
        bytes += fs::symlink_metadata(&path).map_err(StoreError::io("read", &path))?.len();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ObjectRef, canonical_json, seal::sealed};
    use serde_json::json;
    use std::{fs::File, io::Write};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Kept {
        _folder: tempfile::TempDir,
        store: Store,
    }

    impl Kept {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            Self { _folder: folder, store }
        }

        fn object(&self, content: &[u8]) -> ObjectRef {
            let mut writer = self.store.object().unwrap();
            writer.write_all(content).unwrap();
            writer.finish().unwrap()
        }

        /// A finished key, `days` ago, with one output.
        fn record(&self, name: &str, output: ObjectRef, days: u32) -> Digest {
            let manifest = json!({"name": name});
            let key = Digest::of(canonical_json(&manifest).as_bytes());
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let finished = now - u64::from(days) * DAY.as_secs();
            let record = Record {
                manifest,
                outputs: [("out".to_owned(), output)].into(),
                metrics: [].into(),
                summary: None,
                notes: [].into(),
                started: finished,
                finished,
                wall_seconds: 0.0,
                resumed: None,
                program: "0".to_owned(),
            };
            self.store.write_record(key, &record).unwrap();
            key
        }

        fn found(&self, keep: Option<Duration>) -> Vec<(Waste, String)> {
            let alone = self.store.try_alone().unwrap().unwrap();
            let garbage = self.store.garbage(&alone, keep).unwrap();
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            garbage.iter().map(|garbage| (garbage.waste, name(&garbage.path))).collect()
        }

        fn collect(&self, keep: Option<Duration>) -> u64 {
            let alone = self.store.try_alone().unwrap().unwrap();
            let garbage = self.store.garbage(&alone, keep).unwrap();
            self.store.remove(&alone, &garbage).unwrap();
            garbage.iter().map(|garbage| garbage.bytes).sum()
        }
    }

    #[test]
    fn what_no_record_names_goes_and_all_else_stays() {
        let kept = Kept::new();
        let store = &kept.store;
        let (named, unnamed) = (kept.object(b"named"), kept.object(b"unnamed"));
        let done = kept.record("done", named, 900);
        let open = Digest::of(b"open");
        for key in [done, open] {
            fs::write(store.make_work(key).unwrap().join("checkpoint"), "123").unwrap();
        }
        fs::create_dir(store.root().join("tmp")).unwrap();
        fs::write(store.root().join("tmp/half"), "1234").unwrap();
        fs::write(store.tmp().join("whole"), "123456").unwrap();
        fs::create_dir(store.root().join("damaged-v1")).unwrap();
        fs::write(store.root().join("damaged-v1/x"), "12345").unwrap();

        let rest = unnamed.digest.to_string()[2..].to_owned();
        let expected = [
            (Waste::Object, rest),
            (Waste::Work, done.to_string()),
            (Waste::Leftover, "half".to_owned()),
            (Waste::Leftover, "whole".to_owned()),
            (Waste::Damaged, "x".to_owned()),
        ];
        assert_eq!(kept.found(None), expected);
        assert_eq!(kept.collect(None), 7 + 3 + 4 + 6 + 5);
        assert!(kept.found(None).is_empty(), "a second time there is nothing");
        assert_eq!(store.bytes(&named).unwrap(), b"named");
        assert!(
            store.record(done).unwrap().is_some() && store.work_path(open).is_dir() && !store.work_path(done).exists()
        );
    }

    #[test]
    fn old_results_go_on_demand_but_never_a_stages_newest_nor_what_a_younger_one_shares() {
        let kept = Kept::new();
        let store = &kept.store;
        let (shared, own) = (kept.object(b"shared"), kept.object(b"own"));
        let old = kept.record("old", own, 40);
        let sharing = kept.record("sharing", shared, 40);
        let young = kept.record("young", shared, 2);
        let newest = kept.record("newest", kept.object(b"newest"), 40);
        store.set_last("pipeline", "search", newest).unwrap();
        let stale = store.make_work(Digest::of(b"stale")).unwrap();
        fs::write(stale.join("checkpoint"), "1").unwrap();
        File::open(stale.join("checkpoint")).unwrap().set_modified(SystemTime::now() - 40 * DAY).unwrap();
        File::open(&stale).unwrap().set_modified(SystemTime::now() - 40 * DAY).unwrap();
        let fresh = store.make_work(Digest::of(b"fresh")).unwrap();

        kept.collect(Some(30 * DAY));
        let is_there = |key: Digest| store.record(key).unwrap().is_some();
        assert_eq!([old, sharing, young, newest].map(is_there), [false, false, true, true]);
        assert!(store.look_at(&shared).is_ok() && store.look_at(&own).is_err());
        assert!(!stale.exists() && fresh.exists());
    }

    #[test]
    fn a_record_of_a_later_version_stops_it_and_a_damaged_one_names_nothing_and_goes() {
        let kept = Kept::new();
        let store = &kept.store;
        kept.object(b"x");
        let damaged = store.record_path(Digest::of(b"damaged"));
        fs::write(&damaged, "{").unwrap();
        let found: Vec<Waste> = kept.found(None).into_iter().map(|(waste, _)| waste).collect();
        assert_eq!(found, [Waste::Damaged, Waste::Object]);
        assert!(damaged.exists(), "looking changes nothing");
        let later = sealed(&json!({"format": 99})).unwrap();
        fs::write(store.record_path(Digest::of(b"later")), later).unwrap();
        let alone = store.try_alone().unwrap().unwrap();
        assert!(matches!(store.garbage(&alone, None), Err(StoreError::LaterFormat { found: 99, .. })));
    }

    #[test]
    fn while_a_run_holds_the_store_nobody_is_alone_with_it() {
        let kept = Kept::new();
        let (one, two) = (kept.store.hold().unwrap(), kept.store.hold().unwrap());
        assert!(kept.store.try_alone().unwrap().is_none());
        drop(one);
        assert!(kept.store.try_alone().unwrap().is_none());
        drop(two);
        assert!(kept.store.try_alone().unwrap().is_some());
    }
}
