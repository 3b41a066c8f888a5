//! What parent and child say to each other through pipes: a letter, a length, bytes.
//!
//! | letter | from | bytes |
//! | --- | --- | --- |
//! | `act` | parent | an action for each copy |
//! | `save` | parent | none |
//! | `restore` | parent | the body of a state |
//! | `shown` | child | what the copies show: rewards, levels, firsts, frames. Answers all but `save`, and greets |
//! | `saved` | child | the body of a state |
//! | `refused` | child | a sentence; then it ends |

use std::io::{self, Read, Write};

pub(super) const ACT: u8 = b'a';
pub(super) const SAVE: u8 = b's';
pub(super) const RESTORE: u8 = b'r';
pub(super) const SHOWN: u8 = b'S';
pub(super) const SAVED: u8 = b'D';
pub(super) const REFUSED: u8 = b'R';

/// What a child says before anything else, so that no other program is taken for one.
pub(super) const GREETING: &[u8; 16] = b"darts-games 0001";

pub(super) fn send(to: &mut impl Write, letter: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let [a, b, c, d] = length.to_le_bytes();
    to.write_all(&[letter, a, b, c, d])?;
    parts.iter().try_for_each(|part| to.write_all(part))?;
    to.flush()
}

/// The letter; the bytes replace those in `bytes`.
pub(super) fn receive(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<u8> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [letter, length @ ..] = head;
    // Where the length is the last one's, nothing is written twice.
    bytes.resize(u32::from_le_bytes(length) as usize, 0);
    from.read_exact(bytes)?;
    Ok(letter)
}

/// Numbers of 4 bytes.
pub(super) fn numbers<T>(bytes: &[u8], of: fn([u8; 4]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks().0.iter().map(move |number| of(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_as_it_was_sent_and_a_cut_one_is_an_error() {
        let mut pipe = Vec::new();
        send(&mut pipe, ACT, &[b"ab", b"", b"c"]).unwrap();
        let mut bytes = vec![9; 10];
        assert_eq!(receive(&mut pipe.as_slice(), &mut bytes).unwrap(), ACT);
        assert_eq!(bytes, b"abc");
        assert_eq!(receive(&mut &pipe[..7], &mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
