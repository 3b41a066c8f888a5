//! The key of each stage's newest success, so that a rerun can say what changed. Losing it loses no result.

use super::{
    Digest, Store, StoreError,
    atomic::{make_folder, write_through},
};
use std::{
    fmt::{Display, Write as _},
    fs, io,
    path::{Path, PathBuf},
};

/// A file name of this many bytes is safe everywhere, with room for the digest's digits.
const LONGEST_NAME: usize = 120;

impl Store {
    /// The key of the newest success of `member` of `pipeline`; `None` where there is none, or one that is unreadable.
    pub fn last(&self, pipeline: &str, member: &str) -> Result<Option<Digest>, StoreError> {
        let path = self.last_path(pipeline, member);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            other => Ok(other.map_err(StoreError::io("read", &path))?.trim_end().parse().ok()),
        }
    }

    /// Remembers the newest success.
    pub fn set_last(&self, pipeline: &str, member: &str, key: impl Display) -> Result<(), StoreError> {
        let path = self.last_path(pipeline, member);
        make_folder(path.parent().expect("the file lies in its pipeline's folder"))?;
        write_through(&self.tmp(), &path, |w| writeln!(w, "{key}"))
    }

    /// `PIPELINE/MEMBER` of all that is remembered, in order, as names of files have to be written.
    pub fn remembered(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for pipeline in names_in(&self.folder("last-v1"))? {
            let members = names_in(&self.folder("last-v1").join(&pipeline))?;
            names.extend(members.iter().map(|member| format!("{pipeline}/{member}")));
        }
        Ok(names)
    }

    fn last_path(&self, pipeline: &str, member: &str) -> PathBuf {
        self.folder("last-v1").join(file_name(pipeline)).join(file_name(member))
    }
}

fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
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
        fs::write(store.last_path("p", "m"), b"\xff rubbish").unwrap();
        assert_eq!(store.last("p", "m").unwrap(), None);
    }
}
