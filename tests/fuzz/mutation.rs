//! Inputs made of others by small and large edits, of bytes, of words and of lines.

use rand::{Rng, RngExt};

/// No input grows beyond this: limits on larger ones have tests of their own.
const LONGEST: usize = 1 << 20;

/// Edits one after the other, at most.
const MOST_EDITS: u32 = 6;

/// Numbers at which something turns, as text.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "-0.0",
    ".nan",
    "1e-320",
    "0.5",
];

/// What brackets and marks open, to be piled up.
const OPENERS: [&[u8]; 8] = [b"[", b"{", b"(", b"{a: ", b"- ", b"|", b"((1, ", b"\x28\x5d"];

/// An input that has something of `seeds`, of which the first is changed; `words` are those of its
/// format.
pub fn mutated(seed: &[u8], other: &[u8], words: &[&[u8]], random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=MOST_EDITS) {
        edit(&mut bytes, other, words, random);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn edit(bytes: &mut Vec<u8>, other: &[u8], words: &[&[u8]], random: &mut impl Rng) {
    match random.random_range(0..16) {
        0 | 1 => flip(bytes, random),
        2 => {
            let at = place(bytes, random);
            bytes.truncate(at);
        }
        3 => {
            let (from, to) = part(bytes, random);
            bytes.drain(from..to);
        }
        4 => {
            let (from, to) = part(bytes, random);
            let copy = bytes[from..to].to_vec();
            insert(bytes, &copy, random);
        }
        5 => number(bytes, random),
        6 => {
            let (from, to) = part(other, random);
            let piece = other[from..to].to_vec();
            insert(bytes, &piece, random);
        }
        7 | 8 => {
            if let Some(word) = picked(words, random) {
                let word = word.to_vec();
                insert(bytes, &word, random);
            }
        }
        9..=11 => digits(bytes, random),
        12 => pile(bytes, random),
        13 => {
            let noise: Vec<u8> = (0..random.random_range(1..9)).map(|_| random.random()).collect();
            insert(bytes, &noise, random);
        }
        _ => line(bytes, random),
    }
}

fn place(bytes: &[u8], random: &mut impl Rng) -> usize {
    random.random_range(0..=bytes.len())
}

/// Mostly a short part, now and then a long one.
fn part(bytes: &[u8], random: &mut impl Rng) -> (usize, usize) {
    let from = place(bytes, random);
    let longest = if random.random_range(0..4) == 0 { bytes.len() - from } else { (bytes.len() - from).min(32) };
    (from, from + random.random_range(0..=longest))
}

fn picked<'a, T>(of: &'a [T], random: &mut impl Rng) -> Option<&'a T> {
    (!of.is_empty()).then(|| &of[random.random_range(0..of.len())])
}

fn insert(bytes: &mut Vec<u8>, piece: &[u8], random: &mut impl Rng) {
    let at = place(bytes, random);
    bytes.splice(at..at, piece.iter().copied());
}

fn flip(bytes: &mut [u8], random: &mut impl Rng) {
    if !bytes.is_empty() {
        let at = random.random_range(0..bytes.len());
        bytes[at] = if random.random() { bytes[at] ^ (1 << random.random_range(0..8)) } else { random.random() };
    }
}

/// A binary number at which something turns, in the place of what is there.
fn number(bytes: &mut [u8], random: &mut impl Rng) {
    let width = [1, 2, 4, 8][random.random_range(0..4)];
    if bytes.len() < width {
        return;
    }
    // Lengths and counts mostly stand near the beginning.
    let last = bytes.len() - width;
    let at = if random.random() { random.random_range(0..=last.min(64)) } else { random.random_range(0..=last) };
    let length = bytes.len() as u64;
    let number = [0, 1, 2, u64::MAX, 1 << 31, 1 << 32, 1 << 40, i64::MAX as u64, length, length - 1, length + 1]
        [random.random_range(0..11)];
    let little: [u8; 8] = number.to_le_bytes();
    if random.random() {
        bytes[at..at + width].copy_from_slice(&little[..width]);
    } else {
        let big = number.to_be_bytes();
        bytes[at..at + width].copy_from_slice(&big[8 - width..]);
    }
}

/// Another number in the place of one that is written in digits.
fn digits(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    let start = place(bytes, random);
    let Some(from) = bytes[start..].iter().position(u8::is_ascii_digit).map(|at| start + at) else { return };
    let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let number = NUMBERS[random.random_range(0..NUMBERS.len())];
    bytes.splice(from..from + length, number.bytes());
}

/// Nested deeply.
fn pile(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    let opener = OPENERS[random.random_range(0..OPENERS.len())];
    let depth = 1 << random.random_range(0..15);
    insert(bytes, &opener.repeat(depth), random);
}

/// A line away, twice, many times, elsewhere, or deeper in.
fn line(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (at, to) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..6) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(to, lines[at].clone()),
        2 => {
            let times = 1 << random.random_range(1..10);
            let copies = vec![lines[at].clone(); times];
            lines.splice(at..at, copies);
        }
        3 => lines.swap(at, to),
        4 => lines[at].splice(0..0, *b"  ").for_each(drop),
        _ => {
            let indent = lines[at].iter().take_while(|byte| **byte == b' ').count();
            lines[at].drain(..indent.min(2));
        }
    }
    *bytes = lines.concat();
}
