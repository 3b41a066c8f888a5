//! Seals: the digest at the end of a small file, by which no changed byte goes unseen.
//!
//! A sealed file is JSON, an object whose last entry is the SHA-256 of all text before that entry.
//! What is sealed says in itself what it is of (its manifest, its path), so that a whole file in
//! the place of another is noticed too.

use super::{Digest, StoreError, folder};
use serde::Serialize;
use std::{fs, io, path::Path};

/// How `to_vec_pretty` ends an object.
const END: &str = "\n}";

/// The last entry of a sealed file and its end, after `text`.
fn ending(text: &[u8]) -> String {
    format!(",\n  \"seal\": \"{}\"{END}\n", Digest::of(text))
}

/// The sealed file of an object that has an entry.
pub(super) fn sealed(object: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(object)?;
    text.truncate(text.len() - END.len());
    let ending = ending(&text);
    text.extend_from_slice(ending.as_bytes());
    Ok(text)
}

pub(super) fn is_sealed(file: &[u8]) -> bool {
    // Every ending is as long as any other.
    let text = file.len().checked_sub(ending(b"").len()).map(|at| file.split_at(at));
    text.is_some_and(|(text, end)| end == ending(text).as_bytes())
}

/// The bytes of a small file of the store; `None` where it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match folder::metadata(path) {
        // What is no file could keep who reads it waiting for ever.
        Ok(meta) if !meta.is_file() => {
            return Err(StoreError::Damaged { path: path.to_owned(), reason: "it is no file".to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    }
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(StoreError::io("read", path)),
    }
}

/// What a file is that should be sealed and is not.
pub(super) fn broken(path: &Path) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: "its text does not have the digest at its end".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_json_and_no_flipped_bit_and_no_missing_or_added_byte_goes_unseen() {
        let file = sealed(&serde_json::json!({"a": [1, {"b": "é"}]})).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
        assert_eq!((&json["a"][0], json["seal"].as_str().unwrap().len()), (&1.into(), 64));
        assert!(is_sealed(&file));
        for at in 0..file.len() {
            assert!(!is_sealed(&file[..at]), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                assert!(!is_sealed(&damaged), "bit {bit} of byte {at}");
            }
        }
        assert!(!is_sealed(&[&file[..], b"\n"].concat()) && !is_sealed(&[b" ", &file[..]].concat()));
    }
}
