//! Saved games as bytes: a checksum, what they are of, a part for each copy.

use crate::GameError;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"dartgame";

/// Bumped where the same bytes come to mean something else.
const VERSION: u32 = 1;

/// A state whose parts were pushed to `body`. `of` names all that whoever restores must agree on.
pub(crate) fn pack(of: &str, copies: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, of.as_bytes());
    bytes.extend(length(copies));
    bytes.extend(body);
    [MAGIC, &VERSION.to_le_bytes()[..], &Sha256::digest(&bytes), &bytes].concat()
}

/// Adds a part, behind its length.
pub(crate) fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(length(part.len()));
    bytes.extend(part);
}

/// The body of a state, which must be whole, for `of` and of so many copies.
pub(crate) fn body<'a>(mut bytes: &'a [u8], of: &str, copies: usize) -> Result<&'a [u8], GameError> {
    if take(&mut bytes, MAGIC.len()).ok() != Some(MAGIC) {
        return Err(GameError::State { why: "it does not begin as one".to_owned() });
    }
    let version = number(&mut bytes)?;
    if version != VERSION {
        return Err(GameError::StateVersion { found: version, known: VERSION });
    }
    let checksum = take(&mut bytes, Sha256::output_size())?;
    if Sha256::digest(bytes)[..] != *checksum {
        return Err(GameError::State { why: "its bytes do not have its checksum".to_owned() });
    }
    let found = part(&mut bytes)?;
    if found != of.as_bytes() {
        let found = String::from_utf8_lossy(found).into_owned();
        return Err(GameError::StateOf { expected: of.to_owned(), found });
    }
    let found = number(&mut bytes)? as usize;
    if found == copies { Ok(bytes) } else { Err(GameError::StateCopies { expected: copies, found }) }
}

/// The parts of a body.
pub(crate) fn parts(mut body: &[u8], copies: usize) -> Result<Vec<&[u8]>, GameError> {
    let parts = (0..copies).map(|_| part(&mut body)).collect::<Result<_, _>>()?;
    let why = || GameError::State { why: format!("{} bytes stand behind its end", body.len()) };
    body.is_empty().then_some(parts).ok_or_else(why)
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).expect("a game's state has less than 4 GiB").to_le_bytes()
}

fn part<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], GameError> {
    let length = number(bytes)?;
    take(bytes, length as usize)
}

fn number(bytes: &mut &[u8]) -> Result<u32, GameError> {
    let number = take(bytes, 4)?;
    Ok(u32::from_le_bytes(number.try_into().expect("4 bytes were taken")))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], GameError> {
    let (taken, rest) =
        bytes.split_at_checked(length).ok_or_else(|| GameError::State { why: "its end is missing".to_owned() })?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(of: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        parts.iter().for_each(|part| push(&mut body, part));
        pack(of, parts.len(), &body)
    }

    fn unpack<'a>(bytes: &'a [u8], of: &str, copies: usize) -> Result<Vec<&'a [u8]>, GameError> {
        parts(body(bytes, of, copies)?, copies)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back_and_nothing_else_is_taken(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..5), cut in any::<prop::sample::Index>(),
        ) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let bytes = packed("a game", &slices);
            prop_assert_eq!(unpack(&bytes, "a game", parts.len()).unwrap(), slices);
            prop_assert!(unpack(&bytes[..cut.index(bytes.len())], "a game", parts.len()).is_err());
            let mut other = bytes.clone();
            other[cut.index(bytes.len())] ^= 1;
            prop_assert!(unpack(&other, "a game", parts.len()).is_err());
            prop_assert!(unpack(&[&bytes[..], b"x"].concat(), "a game", parts.len()).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(rest in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&rest, "a game", 2);
            let sealed = [MAGIC, &VERSION.to_le_bytes()[..], &Sha256::digest(&rest), &rest].concat();
            let _ = unpack(&sealed, "a game", 2);
            prop_assert!(unpack(&pack("a game", 2, &rest), "a game", 2).is_err() || rest.len() >= 8);
        }
    }

    #[test]
    fn a_refusal_says_what_was_found() {
        let bytes = packed("catch", &[b"1", b"2"]);
        let said = |bytes: &[u8], of, copies| unpack(bytes, of, copies).unwrap_err().to_string();
        assert_eq!(said(b"PNG", "catch", 2), "the saved state is damaged: it does not begin as one");
        assert_eq!(said(&bytes, "maze", 2), "the saved state is of catch, expected maze");
        assert_eq!(said(&bytes, "catch", 3), "the saved state is of 2 copies, expected 3");
        let mut later = bytes.clone();
        later[8] = 2;
        assert_eq!(said(&later, "catch", 2), "the saved state is of version 2, this program reads version 1");
    }
}
