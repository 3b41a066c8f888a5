//! How unfinished work stands, for whoever looks. Nothing is decided by it, and losing it loses
//! nothing.

use super::{
    Digest, Store, StoreError,
    atomic::{filled, make_folder},
    seal::{self, is_sealed, sealed},
    walk::files,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

impl Store {
    /// Says how the work on `key` stands. It is not waited for until it is on the disk: a power cut
    /// may lose it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn set_standing(&self, key: impl Display, standing: &impl Serialize) -> Result<(), StoreError> {
        let path = self.standing_path(key);
        make_folder(&self.folder(Self::STANDINGS))?;
        let file = filled(self.temporary(0o666)?, &path, |w| w.write_all(&sealed(standing)?))?;
        file.persist(&path).map(drop).map_err(|error| StoreError::io("write", path)(error.error))
    }

    /// How the work on `key` stands, where anybody said so; what is damaged says nothing.
    pub fn standing<T: DeserializeOwned>(&self, key: impl Display) -> Option<T> {
        read(&self.standing_path(key))
    }

    /// All that is known, by key.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn standings<T: DeserializeOwned>(&self) -> Result<Vec<(Digest, T)>, StoreError> {
        let named = |path: PathBuf| Some((path.file_stem()?.to_str()?.parse().ok()?, read(&path)?));
        Ok(files(&self.folder(Self::STANDINGS))?.into_iter().filter_map(named).collect())
    }

    /// Forgets how the work on `key` stood.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove_standing(&self, key: impl Display) -> Result<(), StoreError> {
        let path = self.standing_path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    fn standing_path(&self, key: impl Display) -> PathBuf {
        self.folder(Self::STANDINGS).join(format!("{key}.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let file = seal::read(path).ok()??;
    is_sealed(&file).then(|| serde_json::from_slice(&file).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn what_was_said_last_is_known_until_it_is_forgotten_and_damage_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!((store.standing::<Json>(one), store.standings::<Json>().unwrap()), (None, vec![]));
        for epoch in [1, 2] {
            store.set_standing(one, &json!({"epoch": epoch})).unwrap();
        }
        store.set_standing(two, &json!({"epoch": 7})).unwrap();
        assert_eq!(store.standing::<Json>(one).unwrap()["epoch"], 2);
        fs::write(store.standing_path(two), "{}").unwrap();
        assert_eq!(store.standing::<Json>(two), None);
        let known: Vec<Digest> = store.standings::<Json>().unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(known, [one]);
        store.remove_standing(one).unwrap();
        store.remove_standing(one).unwrap();
        assert_eq!(store.standing::<Json>(one), None);
    }
}
