//! A data set as one file. Equal data sets make equal bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `DRUNDATA` |
//! | 4 | format version, little-endian, as are all numbers |
//! | 4 | length of the header |
//! | | header: JSON, the fields of [`Header`] in their order |
//! | | training pixels `[n, c, h, w]` a byte each, training labels two bytes each; test pixels, test labels |
//! | 4 | CRC-32 of all bytes before |

use super::{DataError, Dataset, Images, Split, Statistics};
use flate2::{CrcReader, CrcWriter};
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

const MAGIC: [u8; 8] = *b"DRUNDATA";
/// To be raised when the layout or the meaning of a header field changes.
const VERSION: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    shape: [usize; 3],
    white: u8,
    classes: Vec<String>,
    train: usize,
    test: usize,
    statistics: Statistics,
    split: Split,
    provenance: String,
}

impl Dataset {
    /// Writes the packed file.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let header = Header {
            name: self.name.clone(),
            shape: self.shape,
            white: self.white,
            classes: self.classes.clone(),
            train: self.train.len(),
            test: self.test.len(),
            statistics: self.statistics.clone(),
            split: self.split.clone(),
            provenance: self.provenance.clone(),
        };
        let header = serde_json::to_vec(&header)?;
        let length = u32::try_from(header.len()).map_err(|_| io::Error::other("the header is longer than 4 GiB"))?;
        let mut to = CrcWriter::new(to);
        to.write_all(&MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&header)?;
        for images in [&self.train, &self.test] {
            to.write_all(&images.pixels)?;
            to.write_all(&images.labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        let sum = to.crc().sum();
        to.write_all(&sum.to_le_bytes())?;
        to.flush()
    }

    /// Reads a packed file and checks all of it.
    ///
    /// # Errors
    /// Where the file is of another kind or version, cut short, or changed since it was written.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::read(path))?;
        let length = file.metadata().map_err(DataError::read(path))?.len();
        let mut reader = Reader { path, from: CrcReader::new(BufReader::new(file)), length, left: length };

        if length < 8 || reader.bytes(8)? != MAGIC {
            return Err(DataError::NotPacked { path: path.to_owned() });
        }
        let version = reader.number()?;
        if version != VERSION {
            return Err(DataError::Version { path: path.to_owned(), found: version, known: VERSION });
        }
        let header_bytes = reader.number()?;
        let header = reader.bytes(u64::from(header_bytes))?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| damaged(path, "a readable header", error))?;

        let image: u64 =
            header.shape.iter().try_fold(1_u64, |all, &side| all.checked_mul(side as u64)).unwrap_or(u64::MAX);
        let body = ((header.train as u64).checked_add(header.test as u64))
            .and_then(|images| images.checked_mul(image.saturating_add(2)))
            .unwrap_or(u64::MAX);
        let expected = (length - reader.left).saturating_add(body).saturating_add(4);
        if expected != length {
            return Err(damaged(path, format!("{expected} bytes"), format!("{length}")));
        }
        let train = reader.images(header.train as u64, image)?;
        let test = reader.images(header.test as u64, image)?;
        let sum = reader.from.crc().sum();
        let kept = reader.number()?;
        if sum != kept {
            return Err(damaged(path, format!("the checksum {kept:08x}"), format!("{sum:08x}")));
        }

        let Header { name, shape, white, classes, statistics, split, provenance, .. } = header;
        let dataset = Self { name, shape, white, classes, train, test, statistics, split, provenance };
        dataset.check().map_err(|(expected, found)| damaged(path, expected, found))?;
        Ok(dataset)
    }
}

/// Reads no more than the file holds, so that a damaged length asks for no memory.
struct Reader<'a> {
    path: &'a Path,
    from: CrcReader<BufReader<File>>,
    length: u64,
    left: u64,
}

impl Reader<'_> {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, DataError> {
        if count > self.left {
            let needed = (self.length - self.left).saturating_add(count);
            return Err(damaged(self.path, format!("at least {needed} bytes"), self.length));
        }
        self.left -= count;
        let mut bytes = vec![0; count as usize];
        self.from.read_exact(&mut bytes).map_err(DataError::read(self.path))?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u32, DataError> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn images(&mut self, count: u64, image: u64) -> Result<Images, DataError> {
        let pixels = self.bytes(count * image)?;
        let labels = self.bytes(count * 2)?;
        let labels = labels.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(Images { pixels, labels })
    }
}

fn damaged(path: &Path, expected: impl Into<String>, found: impl ToString) -> DataError {
    DataError::Damaged { path: path.to_owned(), expected: expected.into(), found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalise, Source, SplitRule, Synthetic};
    use std::fs;

    fn dataset() -> Dataset {
        let synthetic = Synthetic { train: 6, test: 3, classes: 3, size: 4, channels: 2, noise: 0.2, seed: 5 };
        let raw = Source::Synthetic(synthetic).locate(Path::new(""), None).unwrap().read().unwrap();
        raw.finish(&Normalise::Measured, &SplitRule::Halves).unwrap()
    }

    fn packed(dataset: &Dataset) -> Vec<u8> {
        let mut bytes = Vec::new();
        dataset.write(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, bytes).unwrap();
        Dataset::read(&path)
    }

    #[test]
    fn what_is_written_is_read_and_equal_data_make_equal_bytes() {
        let dataset = dataset();
        let bytes = packed(&dataset);
        assert_eq!(read(&bytes).unwrap(), dataset);
        assert_eq!(bytes, packed(&dataset.clone()));
        assert_eq!(bytes[..12], *b"DRUNDATA\x01\0\0\0");
    }

    #[test]
    fn a_file_cut_anywhere_or_grown_is_refused() {
        let mut bytes = packed(&dataset());
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            if length < 8 {
                assert!(matches!(error, DataError::NotPacked { .. }), "{length}: {error}");
            } else {
                assert!(matches!(error, DataError::Damaged { .. }), "{length}: {error}");
                assert!(error.to_string().contains(&format!("found {length}")), "{length}: {error}");
            }
        }
        bytes.push(0);
        assert!(matches!(read(&bytes), Err(DataError::Damaged { .. })));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = packed(&dataset());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart() {
        assert!(matches!(read(b"PK\x03\x04 something else"), Err(DataError::NotPacked { .. })));
        let mut newer = packed(&dataset());
        newer[8] = 2;
        let error = read(&newer).unwrap_err();
        assert!(error.to_string().ends_with("is a packed data set of format version 2, this program reads version 1"));
        assert!(matches!(Dataset::read(Path::new("/nowhere/data")), Err(DataError::Read { .. })));
    }

    #[test]
    fn a_sound_file_of_contradictory_data_is_refused() {
        let whole = dataset();
        let refused = |change: fn(&mut Dataset)| {
            let mut dataset = whole.clone();
            change(&mut dataset);
            assert!(matches!(read(&packed(&dataset)), Err(DataError::Damaged { .. })));
        };
        refused(|dataset| dataset.train.labels[0] = 3);
        refused(|dataset| dataset.split.fit[0] = 6);
        refused(|dataset| dataset.statistics.std[1] = 0.0);
        refused(|dataset| dataset.white = 0);
        refused(|dataset| dataset.shape[0] = 1);
    }
}
