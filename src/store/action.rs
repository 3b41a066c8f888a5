//! Records of what was made: the manifest that went in, the objects and figures that came out.

use super::{
    Digest, ObjectRef, Store, StoreError, canonical_json,
    seal::{self, sealed},
    walk::files,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::Path,
};

/// The format that this version writes.
const FORMAT: u32 = 2;

/// The format before, of the same entries and without a seal: still read, so that an upgrade loses
/// no result.
const UNSEALED: u32 = 1;

/// What one piece of work made. It is written after all its objects and is the only mark of
/// success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the key is the digest of, as JSON: the store does not look inside.
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

impl Record {
    /// The names of outputs that two results have of the same bytes, and of all others.
    pub fn compare_outputs<'a>(&'a self, other: &'a Self) -> [Vec<&'a str>; 2] {
        let names: BTreeSet<&String> = self.outputs.keys().chain(other.outputs.keys()).collect();
        let is_same = |name: &&String| self.outputs.get(*name) == other.outputs.get(*name);
        let (same, others): (Vec<&String>, Vec<&String>) = names.into_iter().partition(is_same);
        [same, others].map(|names| names.into_iter().map(String::as_str).collect())
    }
}

/// A record on disk: the format first, so that it can be read before anything else is understood.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    format: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Head {
    seal: Option<Digest>,
}

impl Store {
    /// The record of `key`; `None` where the work was never finished.
    ///
    /// Says nothing of whether its outputs are still there: see [`Store::look_at`]. A damaged
    /// record is moved to `damaged-v1/`, so that it is missing from then on and a rerun writes it
    /// anew.
    ///
    /// # Errors
    /// Where it cannot be read, or is of a later version of the program.
    pub fn record(&self, key: impl Display) -> Result<Option<Record>, StoreError> {
        match self.read_record(&self.record_path(key)) {
            Err(StoreError::Damaged { path, reason }) => Err(self.set_aside(&path, reason)),
            other => other,
        }
    }

    /// The record at `path`, if there is one; it stays where it is, damaged or not.
    pub(super) fn read_record(&self, path: &Path) -> Result<Option<Record>, StoreError> {
        let Some(file) = seal::read(path)? else { return Ok(None) };
        let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
        let no_record = |error: serde_json::Error| damaged(error.to_string());
        let Versioned { format, content: Head { seal } } = serde_json::from_slice(&file).map_err(no_record)?;
        // Before the format is believed: later ones must be sealed as this one is, or lie in
        // another folder.
        let is_sealed = seal::is_sealed(&file);
        match format {
            FORMAT if is_sealed => {}
            UNSEALED if seal.is_none() => {}
            _ if is_sealed => {
                return Err(StoreError::LaterFormat { path: path.to_owned(), found: format, known: FORMAT });
            }
            _ => return Err(seal::broken(path)),
        }
        let Versioned { content: record, .. } =
            serde_json::from_slice::<Versioned<Record>>(&file).map_err(no_record)?;
        let key = Digest::of(canonical_json(&record.manifest).as_bytes());
        if path.file_stem() != Some(key.to_string().as_ref()) {
            return Err(damaged(format!("it is the record of `{}`", key.short())));
        }
        Ok(Some(record))
    }

    /// The keys of all records that begin with `digits`, in order.
    ///
    /// # Errors
    /// Where the folder of records cannot be read.
    pub fn keys(&self, digits: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        for path in files(&self.folder(Self::ACTIONS))? {
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            keys.extend(name.filter(|key| key.starts_with(digits)).map(str::to_owned));
        }
        Ok(keys)
    }

    /// Writes the record of `key`, which is the digest of its manifest's canonical JSON, in place
    /// of an earlier one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_record(&self, key: impl Display, record: &Record) -> Result<(), StoreError> {
        let path = self.record_path(key);
        self.write_file(&path, |w| w.write_all(&sealed(&Versioned { format: FORMAT, content: record })?))
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
    use crate::edited::edited;
    use serde_json::json;
    use std::fs;

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

    /// A store with the record, and its key.
    fn kept(record: &Record) -> (tempfile::TempDir, Store, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Digest::of(canonical_json(&record.manifest).as_bytes());
        assert_eq!(store.record(key).unwrap(), None);
        store.write_record(key, record).unwrap();
        (folder, store, key)
    }

    #[test]
    fn a_record_reads_back_bit_for_bit_in_order() {
        let (_folder, store, key) = kept(&record());
        let back = store.record(key).unwrap().unwrap();
        assert_eq!(back, record());
        assert!(back.metrics.keys().eq(["top1_percent", "loss", "a"]));
        assert!(back.metrics["a"].is_sign_negative());
    }

    #[test]
    fn keys_are_found_by_their_first_digits() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for key in ["cd56", "ab34", "ab12"] {
            store.write_record(key, &record()).unwrap();
        }
        assert_eq!(store.keys("ab").unwrap(), ["ab12", "ab34"]);
        assert_eq!(store.keys("cd56").unwrap(), ["cd56"]);
        assert!(store.keys("e").unwrap().is_empty());
    }

    #[test]
    fn figures_that_are_not_finite_survive() {
        let mut diverged = record();
        diverged.metrics = [("nan".to_owned(), f64::NAN), ("inf".to_owned(), f64::NEG_INFINITY)].into();
        let (_folder, store, key) = kept(&diverged);
        let back = store.record(key).unwrap().unwrap().metrics;
        assert!(back["nan"].is_nan());
        assert_eq!(back["inf"], f64::NEG_INFINITY);
    }

    #[test]
    fn a_record_cut_short_or_with_a_flipped_bit_is_damaged_never_misread_and_put_aside() {
        let (_folder, store, key) = kept(&record());
        let path = store.record_path(key);
        let whole = fs::read(&path).unwrap();
        let found_damaged = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            let error = store.record(key).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
            assert_eq!(store.record(key).unwrap(), None, "it was put aside");
        };
        for at in 0..whole.len() {
            found_damaged(&whole[..at], &format!("cut at {at}"));
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            found_damaged(&flipped, &format!("bit {} of byte {at}", at % 8));
        }
        // The digit of the format, every bit of it.
        let digit = whole.iter().position(|&byte| byte == b'2').unwrap();
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[digit] ^= 1 << bit;
            found_damaged(&flipped, &format!("bit {bit} of the format"));
        }
        let aside = store.folder("damaged-v1/actions-v1").join(path.file_name().unwrap());
        assert!(aside.is_file());
    }

    #[test]
    fn a_whole_record_in_the_place_of_another_is_damaged() {
        let (_folder, store, key) = kept(&record());
        let other = Digest::of(b"another");
        fs::copy(store.record_path(key), store.record_path(other)).unwrap();
        let error = store.record(other).unwrap_err().to_string();
        assert!(error.ends_with(&format!("is damaged: it is the record of `{}`", key.short())), "{error}");
        assert_eq!(store.record(other).unwrap(), None);
        assert_eq!(store.record(key).unwrap(), Some(record()));
    }

    #[test]
    fn a_record_of_the_format_without_a_seal_is_read_and_one_that_lost_its_seal_is_not() {
        let (_folder, store, key) = kept(&record());
        let path = store.record_path(key);
        let older = |record: &Record| serde_json::to_vec(&Versioned { format: UNSEALED, content: record }).unwrap();
        fs::write(&path, older(&record())).unwrap();
        assert_eq!(store.record(key).unwrap(), Some(record()));
        let other = Record { manifest: json!({"kind": "derive"}), ..record() };
        fs::write(&path, older(&other)).unwrap();
        assert!(matches!(store.record(key), Err(StoreError::Damaged { .. })), "it is another's");

        store.write_record(key, &record()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, edited(&text, &[("\"format\": 2", "\"format\": 1")])).unwrap();
        assert!(matches!(store.record(key), Err(StoreError::Damaged { .. })), "it had one");
    }

    #[test]
    fn a_later_format_is_refused_with_the_way_out_and_stays() {
        let (_folder, store, key) = kept(&record());
        let path = store.record_path(key);
        fs::write(&path, sealed(&json!({"format": 3, "all": "else is different"})).unwrap()).unwrap();
        let sentence = format!(
            "`{}` has format 3, and this version of darts-run reads formats up to 2: use the version that wrote it, or \
             another store",
            path.display()
        );
        for _ in 0..2 {
            assert_eq!(store.record(key).unwrap_err().to_string(), sentence);
        }
    }
}
