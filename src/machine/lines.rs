//! Tables that are read line by line, from files and archives that may hold anything: a megabyte of
//! gzip may be a line of gigabytes.

use std::io::{self, Read};

/// Bytes of the longest line of a table: those that ship have 700.
const LONGEST_LINE: usize = 1 << 16;

/// Bytes of the largest table, unpacked: that of NAS-Bench-201 has five million.
const LARGEST_TABLE: usize = 1 << 26;

#[derive(Debug, thiserror::Error)]
enum TooMuch {
    #[error("line {line} is longer than {LONGEST_LINE} bytes, which are the limit")]
    Line { line: usize },
    #[error("it has more than {LARGEST_TABLE} bytes, which are the limit")]
    Table,
}

/// Text whose lines and whose whole have a limit; what is beyond is an error of reading.
#[derive(Debug)]
pub struct Lines<R> {
    text: R,
    /// From 1.
    line: usize,
    of_line: usize,
    in_all: usize,
}

impl<R> Lines<R> {
    pub fn new(text: R) -> Self {
        Self { text, line: 1, of_line: 0, in_all: 0 }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(to)?;
        let refused = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        for piece in to[..count].split_inclusive(|byte| *byte == b'\n') {
            self.of_line += piece.len();
            if self.of_line > LONGEST_LINE {
                return Err(refused(TooMuch::Line { line: self.line }));
            }
            if piece.ends_with(b"\n") {
                (self.line, self.of_line) = (self.line + 1, 0);
            }
        }
        self.in_all += count;
        if self.in_all > LARGEST_TABLE { Err(refused(TooMuch::Table)) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl Read) -> Result<usize, String> {
        let mut to = Vec::new();
        Lines::new(text).read_to_end(&mut to).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_or_a_table_without_end_is_refused() {
        let line = format!("{}\n", "x".repeat(LONGEST_LINE - 1));
        assert_eq!(read(line.repeat(3).as_bytes()), Ok(3 * LONGEST_LINE));
        let text = format!("{line}xx{line}");
        assert_eq!(read(text.as_bytes()), Err("line 2 is longer than 65536 bytes, which are the limit".to_owned()));
        assert_eq!(read(io::repeat(b'1')), Err("line 1 is longer than 65536 bytes, which are the limit".to_owned()));
        assert_eq!(read(io::repeat(b'\n')), Err("it has more than 67108864 bytes, which are the limit".to_owned()));
    }
}
