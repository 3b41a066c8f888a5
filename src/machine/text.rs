//! Text out of bytes: UTF-8, or UTF-16 with a byte order mark, as some editors and shells of
//! Windows write it.

use std::io;

/// What the first bytes of files that are no text say.
const KINDS: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x7fELF", "a program"),
];

#[derive(Debug, thiserror::Error)]
enum NoText {
    #[error("it is {0}, not text")]
    Kind(&'static str),
    #[error("it is not text in UTF-8: byte {byte:#04x} at line {line}, column {column}")]
    Byte { byte: u8, line: usize, column: usize },
    #[error("it is not text: a zero byte at line {line}, column {column}; UTF-16 must begin with its byte order mark")]
    Zero { line: usize, column: usize },
    #[error("it begins as UTF-16 and is cut or damaged at line {line}, column {column}")]
    Utf16 { line: usize, column: usize },
}

/// Reads text, without its byte order mark.
pub(super) fn decode(bytes: &[u8]) -> io::Result<String> {
    read(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn read(bytes: &[u8]) -> Result<String, NoText> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => match KINDS.iter().find(|(start, _)| bytes.starts_with(start)) {
            Some((_, kind)) => return Err(NoText::Kind(kind)),
            None => utf8(bytes)?,
        },
    };
    match text.split_once('\0') {
        None => Ok(text),
        Some((before, _)) => {
            let (line, column) = place(before);
            Err(NoText::Zero { line, column })
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<String, NoText> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let (line, column) = place(&String::from_utf8_lossy(before));
        NoText::Byte { byte: rest.first().copied().unwrap_or_default(), line, column }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(pairs.iter().copied().map(unit)) {
        let Ok(character) = character else { return Err(damaged(&text)) };
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(damaged(&text)) }
}

fn damaged(before: &str) -> NoText {
    let (line, column) = place(before);
    NoText::Utf16 { line, column }
}

/// Line and column, from 1, of what stands behind `before`.
fn place(before: &str) -> (usize, usize) {
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_utf_16_and_a_mark_of_utf_8_are_read() {
        let text = "name: größer 𝄞\n";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(units.iter().flat_map(|unit| unit.to_le_bytes())).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units.iter().flat_map(|unit| unit.to_be_bytes())).collect();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for bytes in [text.as_bytes(), &little, &big, &marked] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        for (bytes, said) in [
            (b"\x1f\x8b\x08".as_slice(), "it is a gzip file, not text"),
            (b"a: 1\nb: \xe9", "it is not text in UTF-8: byte 0xe9 at line 2, column 4"),
            (b"n\0a\0", "it is not text: a zero byte at line 1, column 2; UTF-16 must begin with its byte order mark"),
            (b"\xff\xfea\0\n\0b", "it begins as UTF-16 and is cut or damaged at line 2, column 1"),
            (b"\xff\xfe\0\xd8a\0", "it begins as UTF-16 and is cut or damaged at line 1, column 1"),
        ] {
            assert_eq!(decode(bytes).unwrap_err().to_string(), said);
        }
    }
}
