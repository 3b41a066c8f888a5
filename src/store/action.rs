//! Records of what was made: the manifest that went in, the objects and figures that came out.

use super::{ObjectRef, Store, StoreError, atomic::write_through};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// What one piece of work made. It is written after all its objects and is the only mark of success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the key is the hash of, as JSON: the store does not look inside.
    pub manifest: Json,
    pub outputs: BTreeMap<String, ObjectRef>,
    /// Figures in the order in which they were given.
    #[serde(with = "figures")]
    pub metrics: IndexMap<String, f64>,
    /// One line for a person.
    pub summary: Option<String>,
    /// What else the stage had to say, by topic.
    pub notes: BTreeMap<String, Json>,
    /// Unix time in seconds.
    pub started: u64,
    pub finished: u64,
    /// Time that the work took, in all the processes that it was done by.
    pub wall_seconds: f64,
    /// The place it was resumed at, as the stage put it.
    pub resumed: Option<String>,
    /// Version of darts-run.
    pub program: String,
}

/// A record on disk: the format first, so that it can be read before anything else is understood.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    format: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Nothing {}

impl Store {
    /// The record of `key`; `None` where the work was never finished.
    ///
    /// Says nothing of whether its outputs are still there: see [`Store::verify`]. A damaged record is moved to
    /// `damaged-v1/`, so that it is missing from then on and a rerun writes it anew.
    pub fn record(&self, key: impl Display) -> Result<Option<Record>, StoreError> {
        match self.read_record(&self.record_path(key)) {
            Ok(record) => Ok(Some(record)),
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(StoreError::DamagedRecord { path, source }) => Err(self.put_aside(path, source)),
            Err(error) => Err(error),
        }
    }

    /// The record at `path`, which stays where it is, damaged or not.
    pub(super) fn read_record(&self, path: &Path) -> Result<Record, StoreError> {
        let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
        let damaged = |source| StoreError::DamagedRecord { path: path.to_owned(), source };
        let Versioned { format, content: Nothing {} } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format != FORMAT {
            return Err(StoreError::UnknownFormat { path: path.to_owned(), found: format, known: FORMAT });
        }
        serde_json::from_slice::<Versioned<Record>>(&bytes).map(|record| record.content).map_err(damaged)
    }

    /// The keys of all records that begin with `digits`, in order.
    pub fn keys(&self, digits: &str) -> Result<Vec<String>, StoreError> {
        let folder = self.folder("actions-v1");
        let mut keys = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::io("read", &folder))? {
            let path = entry.map_err(StoreError::io("read", &folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            keys.extend(name.filter(|key| key.starts_with(digits)).map(str::to_owned));
        }
        keys.sort();
        Ok(keys)
    }

    fn put_aside(&self, path: PathBuf, source: serde_json::Error) -> StoreError {
        let aside = self.folder("damaged-v1").join(path.file_name().expect("a record has a name"));
        match fs::rename(&path, aside) {
            Ok(()) => StoreError::DamagedRecord { path, source },
            Err(error) => StoreError::io("move away the damaged record", path)(error),
        }
    }

    /// Writes the record of `key`, in place of an earlier one.
    pub fn write_record(&self, key: impl Display, record: &Record) -> Result<(), StoreError> {
        let path = self.record_path(key);
        write_through(&self.tmp(), &path, |w| {
            serde_json::to_writer_pretty(&mut *w, &Versioned { format: FORMAT, content: record })?;
            w.write_all(b"\n")
        })
    }
}

/// JSON has no word for what a diverged loss is: figures that are not finite are kept as text.
mod figures {
    use super::IndexMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Figure {
        Finite(f64),
        Other(String),
    }

    pub fn serialize<S: Serializer>(metrics: &IndexMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(metrics.iter().map(|(name, &value)| {
            (name, if value.is_finite() { Figure::Finite(value) } else { Figure::Other(value.to_string()) })
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, f64>, D::Error> {
        IndexMap::<String, Figure>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, figure)| match figure {
                Figure::Finite(value) => Ok((name, value)),
                Figure::Other(text) => text.parse().map(|value| (name, value)).map_err(D::Error::custom),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Digest;
    use serde_json::json;

    fn record() -> Record {
        Record {
            manifest: json!({"kind": "search", "params": {"epochs": 2}}),
            outputs: [("alphas".to_owned(), ObjectRef { digest: Digest::of(b"a"), bytes: 1 })].into(),
            metrics: [("top1_percent", 93.2), ("loss", 0.1 + 0.2), ("a", -0.0)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            summary: Some("skip_connect".to_owned()),
            notes: [("expect_missed".to_owned(), json!(["top1"]))].into(),
            started: 1,
            finished: 2,
            wall_seconds: 0.5,
            resumed: None,
            program: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_record_reads_back_bit_for_bit_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.record("k").unwrap(), None);
        store.write_record("k", &record()).unwrap();
        let back = store.record("k").unwrap().unwrap();
        assert_eq!(back, record());
        assert!(back.metrics.keys().eq(["top1_percent", "loss", "a"]));
        assert!(back.metrics["a"].is_sign_negative());
    }

    #[test]
    fn keys_are_found_by_their_first_digits() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for key in ["ab12", "ab34", "cd56"] {
            store.write_record(key, &record()).unwrap();
        }
        assert_eq!(store.keys("ab").unwrap(), ["ab12", "ab34"]);
        assert_eq!(store.keys("cd56").unwrap(), ["cd56"]);
        assert!(store.keys("e").unwrap().is_empty());
    }

    #[test]
    fn figures_that_are_not_finite_survive() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut diverged = record();
        diverged.metrics = [("nan".to_owned(), f64::NAN), ("inf".to_owned(), f64::NEG_INFINITY)].into();
        store.write_record("k", &diverged).unwrap();
        let back = store.record("k").unwrap().unwrap().metrics;
        assert!(back["nan"].is_nan());
        assert_eq!(back["inf"], f64::NEG_INFINITY);
    }

    #[test]
    fn a_record_cut_short_at_any_byte_is_damaged_never_misread() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write_record("k", &record()).unwrap();
        let path = store.record_path("k");
        let whole = fs::read(&path).unwrap();
        // The last two bytes are the closing brace and a line end; only the brace matters.
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let error = store.record("k").unwrap_err();
            assert!(matches!(error, StoreError::DamagedRecord { .. }), "{length}: {error}");
            assert_eq!(store.record("k").unwrap(), None, "it was put aside");
        }
    }

    #[test]
    fn a_newer_format_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let path = store.record_path("k");
        fs::write(&path, r#"{"format": 2, "all": "else is different"}"#).unwrap();
        let error = store.record("k").unwrap_err().to_string();
        let path = path.display();
        assert_eq!(error, format!("`{path}` has format 2, and this version of darts-run reads format 1 only"));
    }
}
