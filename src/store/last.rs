//! The key of each stage's newest success, so that a rerun can say what changed. Losing it loses no
//! result.

use super::{
    Digest, Store, StoreError,
    atomic::make_folder,
    seal::{self, is_sealed, sealed},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// A file name of this many bytes is safe everywhere, with room for the digest's digits.
const LONGEST_NAME: usize = 120;

/// The newest success of a member.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub pipeline: String,
    pub member: String,
    pub key: Digest,
}

impl Store {
    /// The key of the newest success of `member` of `pipeline`; `None` where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged. It stays: what is remembered next takes its
    /// place.
    pub fn last(&self, pipeline: &str, member: &str) -> Result<Option<Digest>, StoreError> {
        Ok(self.read_last(&self.last_path(pipeline, member))?.map(|last| last.key))
    }

    /// Remembers the newest success.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn set_last(&self, pipeline: &str, member: &str, key: Digest) -> Result<(), StoreError> {
        let path = self.last_path(pipeline, member);
        make_folder(path.parent().expect("the file lies in its pipeline's folder"))?;
        let last = Last { pipeline: pipeline.to_owned(), member: member.to_owned(), key };
        self.write_file(&path, |w| w.write_all(&sealed(&last)?))
    }

    /// What is remembered at `path`, if anything.
    pub(super) fn read_last(&self, path: &Path) -> Result<Option<Last>, StoreError> {
        let Some(file) = seal::read(path)? else { return Ok(None) };
        if let Some(last) = unsealed(path, &file) {
            return Ok(Some(last));
        }
        let last =
            Some(&file).filter(|file| is_sealed(file)).and_then(|file| serde_json::from_slice::<Last>(file).ok());
        let last = last.ok_or_else(|| seal::broken(path))?;
        if path != self.last_path(&last.pipeline, &last.member) {
            let reason = format!("it is of `{}/{}`", last.pipeline, last.member);
            return Err(StoreError::Damaged { path: path.to_owned(), reason });
        }
        Ok(Some(last))
    }

    /// `PIPELINE/MEMBER` of all that is remembered, in order, as names of files have to be written.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn remembered(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for pipeline in names_in(&self.folder(Self::LAST))? {
            let members = names_in(&self.folder(Self::LAST).join(&pipeline))?;
            names.extend(members.iter().map(|member| format!("{pipeline}/{member}")));
        }
        Ok(names)
    }

    /// All that is remembered: pipeline, member and key, in the order of their files. What is
    /// damaged is left out.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn newest(&self) -> Result<Vec<(String, String, Digest)>, StoreError> {
        let mut found = Vec::new();
        for name in self.remembered()? {
            let path = self.folder(Self::LAST).join(name);
            if let Ok(Some(Last { pipeline, member, key })) = self.read_last(&path) {
                found.push((pipeline, member, key));
            }
        }
        Ok(found)
    }

    fn last_path(&self, pipeline: &str, member: &str) -> PathBuf {
        self.folder(Self::LAST).join(file_name(pipeline)).join(file_name(member))
    }
}

/// As it was once written: the key in a line of its own, under names that are those of the files.
fn unsealed(path: &Path, file: &[u8]) -> Option<Last> {
    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    let key = str::from_utf8(file).ok()?.strip_suffix('\n')?.parse().ok()?;
    Some(Last { pipeline: name(path.parent()?)?, member: name(path)?, key })
}

fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        other => other.map_err(StoreError::io("read", folder))?,
    };
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", folder))?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A name for any text that is safe as a file name; different texts get different names.
pub fn file_name(text: &str) -> String {
    let mut name = String::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if at > 0 => name.push('.'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'=' | b',' | b'[' | b']' => {
                name.push(char::from(byte));
            }
            _ => write!(name, "%{byte:02x}").expect("writing to a string succeeds"),
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > LONGEST_NAME {
        name.truncate(LONGEST_NAME);
        name.push('~');
        name.push_str(&Digest::of(text.as_bytes()).short());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_readable_and_apart() {
        assert_eq!(file_name("search[seed=1,rate=0.5]"), "search[seed=1,rate=0.5]");
        assert_eq!(file_name("../x"), "%2e.%2fx");
        assert_eq!(file_name(""), "%");
        assert_ne!(file_name("a/b"), file_name("a%2fb"));
        let (long, longer) = ("é".repeat(200), "é".repeat(201));
        assert!(file_name(&long).len() < 150);
        assert_ne!(file_name(&long), file_name(&longer));
    }

    #[test]
    fn the_newest_key_is_remembered_by_pipeline_and_member() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(store.last("p", "m").unwrap(), None);
        store.set_last("p", "m", one).unwrap();
        store.set_last("p", "m", two).unwrap();
        store.set_last("q", "m", one).unwrap();
        assert_eq!(store.last("p", "m").unwrap(), Some(two));
        assert_eq!(store.remembered().unwrap(), ["p/m", "q/m"]);
        let path = store.last_path("p", "m");
        let whole = fs::read(&path).unwrap();
        let mut damages = vec![b"\xff rubbish".to_vec(), Vec::new(), fs::read(store.last_path("q", "m")).unwrap()];
        damages.extend((0..whole.len()).map(|at| {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            flipped
        }));
        for damaged in damages {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(store.last("p", "m"), Err(StoreError::Damaged { .. })));
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(matches!(store.last("p", "m"), Err(StoreError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("deep")).unwrap();
        assert!(matches!(store.last("p", "m"), Err(StoreError::Damaged { .. })));
        store.set_last("p", "m", two).unwrap();
        assert_eq!(store.last("p", "m").unwrap(), Some(two));
        fs::write(&path, format!("{one}\n")).unwrap();
        assert_eq!(store.last("p", "m").unwrap(), Some(one), "as versions before wrote it");
    }
}
