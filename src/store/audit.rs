//! Reading all of a store, to find what is not as it was written.

use super::{
    Digest, Hold, Store, StoreError,
    object::{flaw_of_bytes, hash_file},
    seal,
    walk::files,
};
use rayon::prelude::*;
use std::{collections::BTreeMap, fs, path::Path};

/// What came of reading all of a store.
#[derive(Debug, Default)]
pub struct Audit {
    /// Files that are whole, and their bytes.
    pub files: usize,
    pub bytes: u64,
    /// What is damaged (and now in `damaged-v1/`), lost, or cannot be read.
    pub faults: Vec<StoreError>,
    /// The keys of results that have to be made again, and the stages whose newest result each is,
    /// as `PIPELINE/MEMBER`.
    pub broken: BTreeMap<String, Vec<String>>,
}

impl Store {
    /// Hashes every object and every sealed file. Checkpoints are judged by who goes on from them.
    ///
    /// The hold says that nobody removes meanwhile what a record names. Runs may go on.
    ///
    /// # Errors
    /// Where a folder of the store cannot be read.
    pub fn audit(&self, _hold: &Hold) -> Result<Audit, StoreError> {
        let mut audit = Audit::default();
        // Records before objects: what a record names was there when it was written.
        let mut records = BTreeMap::new();
        for path in files(&self.folder(Self::ACTIONS))? {
            let Some(key) = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Digest>().ok()) else { continue };
            match self.read_record(&path) {
                Ok(record) => records.extend(audit.whole(&path, record).map(|record| (key.to_string(), record))),
                Err(error) => {
                    // One of a later version is none of ours to make again.
                    if !matches!(error, StoreError::LaterFormat { .. }) {
                        audit.broken.insert(key.to_string(), Vec::new());
                    }
                    audit.fault(self, error);
                }
            }
        }
        let mut newest = Vec::new();
        for path in files(&self.folder(Self::LAST))? {
            match self.read_last(&path) {
                Ok(last) => newest.extend(audit.whole(&path, last)),
                Err(error) => audit.fault(self, error),
            }
        }
        for path in [files(&self.folder(Self::FILES))?, files(&self.folder(Self::LISTINGS))?].concat() {
            match seal::read(&path) {
                Ok(Some(file)) if !seal::is_sealed(&file) => audit.fault(self, seal::broken(&path)),
                Ok(file) => {
                    audit.whole(&path, file);
                }
                Err(error) => audit.fault(self, error),
            }
        }

        let objects = files(&self.folder(Self::OBJECTS))?;
        let judged: Vec<_> = objects.par_iter().map(|path| self.judge_object(path)).collect();
        let mut is_whole = BTreeMap::new();
        for (path, judged) in objects.into_iter().zip(judged) {
            is_whole.insert(path.clone(), judged.is_ok());
            match judged {
                Ok(()) => {
                    audit.whole(&path, Some(()));
                }
                Err(error) => audit.fault(self, error),
            }
        }
        for (key, record) in records {
            for object in record.outputs.values() {
                let path = self.object_path(&object.digest);
                if is_whole.get(&path) == Some(&true) {
                    continue;
                }
                audit.broken.entry(key.clone()).or_default();
                // Several records may name it.
                if is_whole.insert(path.clone(), false).is_none() {
                    audit.faults.push(StoreError::Lost { path });
                }
            }
        }
        for last in newest {
            if let Some(stages) = audit.broken.get_mut(&last.key.to_string()) {
                stages.push(format!("{}/{}", last.pipeline, last.member));
            }
        }
        // Of a stage's newest result the record stays, to say what it lacks. Others may never be
        // asked for again.
        for key in audit.broken.iter().filter(|(_, stages)| stages.is_empty()).map(|(key, _)| key) {
            self.set_aside(&self.record_path(key), "outputs of it are gone".to_owned());
        }
        Ok(audit)
    }

    /// Whether an object is what its name says.
    fn judge_object(&self, path: &Path) -> Result<(), StoreError> {
        let damaged = |reason| Err(StoreError::Damaged { path: path.to_owned(), reason });
        // To open what is no file could wait for ever.
        if !fs::metadata(path).map_err(StoreError::io("read", path))?.is_file() {
            return damaged("it is no file".to_owned());
        }
        let found = hash_file(path).map_err(StoreError::io("read", path))?;
        if self.object_path(&found) == path { Ok(()) } else { damaged(flaw_of_bytes(found)) }
    }
}

impl Audit {
    /// Counts a file that is as it was written.
    fn whole<T>(&mut self, path: &Path, content: Option<T>) -> Option<T> {
        self.files += usize::from(content.is_some());
        self.bytes += fs::metadata(path).map_or(0, |meta| meta.len());
        content
    }

    /// Keeps what is wrong with a file, which is set aside where it is damaged.
    fn fault(&mut self, store: &Store, error: StoreError) {
        self.faults.push(match error {
            StoreError::Damaged { path, reason } => store.set_aside(&path, reason),
            other => other,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ObjectRef, Record, canonical_json};
    use serde_json::json;
    use std::{io::Write, path::PathBuf};

    fn object(store: &Store, content: &[u8]) -> ObjectRef {
        let mut writer = store.object().unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn record(store: &Store, name: &str, outputs: &[ObjectRef]) -> Digest {
        let manifest = json!({"name": name});
        let key = Digest::of(canonical_json(&manifest).as_bytes());
        let record = Record {
            manifest,
            outputs: outputs.iter().enumerate().map(|(at, object)| (at.to_string(), *object)).collect(),
            metrics: [].into(),
            summary: None,
            notes: [].into(),
            started: 0,
            finished: 0,
            wall_seconds: 0.0,
            resumed: None,
            program: "0".to_owned(),
        };
        store.write_record(key, &record).unwrap();
        store.set_last("tiny", name, key).unwrap();
        key
    }

    #[test]
    fn every_kind_of_file_is_read_and_what_is_damaged_is_named_set_aside_and_told_whose_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (shared, own, gone) = (object(&store, b"shared"), object(&store, b"own"), object(&store, b"gone"));
        let whole = record(&store, "whole", &[]);
        // Of one stage, and superseded.
        let older = record(&store, "older", &[gone]);
        store.set_last("tiny", "older", whole).unwrap();
        let keys = [("a", vec![shared, own]), ("b", vec![shared]), ("c", vec![gone]), ("d", vec![])]
            .map(|(name, outputs)| record(&store, name, &outputs));
        store.keep_memo(&store.folder(Store::FILES).join("memo.json"), &json!({"a": 1}));
        let audited = || store.audit(&store.hold().unwrap()).unwrap();
        let sound = audited();
        assert_eq!((sound.files, sound.faults.len(), sound.broken.len()), (3 + 6 + 6 + 1, 0, 0));

        let overwritten: Vec<PathBuf> = vec![
            store.object_path(&shared.digest),
            store.record_path(keys[3]),
            store.folder(Store::FILES).join("memo.json"),
            store.folder("last-v1/tiny/whole"),
        ];
        for path in &overwritten {
            let mut bytes = fs::read(path).unwrap();
            bytes[0] ^= 1;
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::remove_file(store.object_path(&gone.digest)).unwrap();
        let found = audited();
        let said: Vec<String> = found.faults.iter().map(StoreError::to_string).collect();
        for path in &overwritten {
            let start = format!("`{}` is damaged", path.display());
            assert!(said.iter().any(|said| said.starts_with(&start)), "{start} among {said:?}");
            assert!(!path.exists());
        }
        assert!(said.contains(&format!("`{}` is missing", store.object_path(&gone.digest).display())));
        assert_eq!(said.len(), 5, "{said:?}");
        let again = [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
            .map(|(name, at)| (keys[at].to_string(), vec![format!("tiny/{name}")]));
        let given_up = [(older.to_string(), Vec::new())];
        assert_eq!(found.broken, again.into_iter().chain(given_up).collect());
        assert!(store.record(whole).unwrap().is_some() && store.record(older).unwrap().is_none());
        // What is set aside is no fault any more; what a record misses is.
        assert_eq!(audited().faults.len(), 2);
    }
}
