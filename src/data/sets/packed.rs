//! A data set as one file. Equal data sets make equal bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `DRUNDATA` |
//! | 4 | format version, little-endian, as are all numbers |
//! | 4 | length of the header |
//! | | header: JSON, the fields of [`Header`] in their order |
//! | | training images, training labels two bytes each; test images, test labels |
//! | 4 | CRC-32 of all bytes before |
//!
//! Images are, in version 1, pixels `[n, c, h, w]` a byte each; in version 2, where they stay in
//! their files, the names of these with a byte 0 after each, then the bytes of each file as
//! eight-byte numbers; in version 3, of pairs of pictures, the pixels `[h, w, c]` of the smaller
//! and of the larger picture of each, and of the teacher's where there is one.

use crate::{
    DataError, Dataset, Examples, Files, Pixels, Split, Statistics,
    sets::{files::Names, pairs::PairsHeader},
};
use flate2::{CrcReader, CrcWriter};
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

const MAGIC: [u8; 8] = *b"DRUNDATA";
/// To be raised when the layout or the meaning of a header field changes. Data sets that version 1
/// can hold are of version 1.
const VERSION: u32 = 1;
const VERSION_OF_FILES: u32 = 2;
const VERSION_OF_PAIRS: u32 = 3;

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
    /// Of version 2 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<FilesHeader>,
    /// Of version 3 only: of the training part, and of the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairs: Option<[PairsHeader; 2]>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesHeader {
    /// Where the folders lie, as the pipeline names them.
    train_folder: String,
    test_folder: String,
    /// Bytes of the names.
    train_names: u64,
    test_names: u64,
    resize: usize,
}

impl FilesHeader {
    fn of(dataset: &Dataset) -> io::Result<Option<Self>> {
        match (&dataset.train.pixels, &dataset.test.pixels) {
            (Pixels::Packed(_), Pixels::Packed(_)) | (Pixels::Pairs(_), Pixels::Pairs(_)) => Ok(None),
            (Pixels::Files(train), Pixels::Files(test)) if train.resize == test.resize => Ok(Some(Self {
                train_folder: train.folder.clone(),
                test_folder: test.folder.clone(),
                train_names: train.names.packed_bytes(),
                test_names: test.names.packed_bytes(),
                resize: train.resize,
            })),
            _ => Err(io::Error::other("both parts of a data set are kept in the same way")),
        }
    }
}

impl Dataset {
    /// Writes the packed file.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let files = FilesHeader::of(self)?;
        let pairs = match (&self.train.pixels, &self.test.pixels) {
            (Pixels::Pairs(train), Pixels::Pairs(test)) => Some([train.header(), test.header()]),
            _ => None,
        };
        let version = version_of(files.as_ref(), pairs.as_ref());
        let header = Header {
            files,
            pairs,
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
        to.write_all(&version.to_le_bytes())?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&header)?;
        for examples in [&self.train, &self.test] {
            match &examples.pixels {
                Pixels::Packed(pixels) => to.write_all(pixels)?,
                Pixels::Pairs(pairs) => pairs.write(&mut to)?,
                Pixels::Files(files) => {
                    for name in files.names.iter() {
                        to.write_all(name.as_bytes())?;
                        to.write_all(&[0])?;
                    }
                    to.write_all(&files.sizes.iter().flat_map(|bytes| bytes.to_le_bytes()).collect::<Vec<u8>>())?;
                }
            }
            to.write_all(&examples.labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())?;
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
        Self::read_from(file, length, path)
    }

    /// Reads a packed file of `length` bytes; `path` is what complaints call it.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_from(file: impl Read, length: u64, path: &Path) -> Result<Self, DataError> {
        let mut reader = Reader { path, from: CrcReader::new(BufReader::new(file)), length, left: length };

        if length < 8 || reader.bytes(8)? != MAGIC {
            return Err(DataError::NotPacked { path: path.to_owned() });
        }
        let version = reader.number()?;
        if !(VERSION..=VERSION_OF_PAIRS).contains(&version) {
            return Err(DataError::Version { path: path.to_owned(), found: version, known: VERSION_OF_PAIRS });
        }
        let header_bytes = reader.number()?;
        let header = reader.bytes(u64::from(header_bytes))?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| damaged(path, "a readable header", error))?;

        if version_of(header.files.as_ref(), header.pairs.as_ref()) != version {
            return Err(damaged(path, "a header of its version", format!("{version}")));
        }

        let image: u64 =
            header.shape.iter().try_fold(1_u64, |all, &side| all.checked_mul(side as u64)).unwrap_or(u64::MAX);
        let (each, more) = match (&header.files, &header.pairs) {
            (Some(files), _) => (8, files.train_names.saturating_add(files.test_names)),
            (_, Some([train, test])) => (0, train.bytes().saturating_add(test.bytes())),
            _ => (image, 0),
        };
        let body = ((header.train as u64).checked_add(header.test as u64))
            .and_then(|images| images.checked_mul(each.saturating_add(2)))
            .and_then(|bytes| bytes.checked_add(more))
            .unwrap_or(u64::MAX);
        let expected = (length - reader.left).saturating_add(body).saturating_add(4);
        if expected != length {
            return Err(damaged(path, format!("{expected} bytes"), format!("{length}")));
        }
        let (train, test) = match (header.files, header.pairs) {
            (None, None) => (reader.images(header.train as u64, image)?, reader.images(header.test as u64, image)?),
            (None, Some([train, test])) => {
                if (train.len(), test.len()) != (header.train, header.test) {
                    return Err(damaged(
                        path,
                        "as many pairs as labels",
                        format!("{} and {}", train.len(), test.len()),
                    ));
                }
                (reader.pairs(train)?, reader.pairs(test)?)
            }
            (Some(FilesHeader { train_folder, test_folder, train_names, test_names, resize }), _) => (
                reader.files(header.train as u64, train_names, train_folder, resize)?,
                reader.files(header.test as u64, test_names, test_folder, resize)?,
            ),
        };
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

/// That of a file with such a header.
fn version_of(files: Option<&FilesHeader>, pairs: Option<&[PairsHeader; 2]>) -> u32 {
    match (files, pairs) {
        (None, None) => VERSION,
        (Some(_), None) => VERSION_OF_FILES,
        (_, Some(_)) => VERSION_OF_PAIRS,
    }
}

/// Reads no more than the file holds, so that a damaged length asks for no memory.
struct Reader<'a, R> {
    path: &'a Path,
    from: CrcReader<BufReader<R>>,
    length: u64,
    left: u64,
}

impl<R: Read> Reader<'_, R> {
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

    fn images(&mut self, count: u64, image: u64) -> Result<Examples, DataError> {
        let pixels = Pixels::Packed(self.bytes(count * image)?);
        Ok(Examples { pixels, labels: self.labels(count)? })
    }

    fn pairs(&mut self, header: PairsHeader) -> Result<Examples, DataError> {
        let count = header.len() as u64;
        let pixels = Pixels::Pairs(header.read(|count| self.bytes(count))?);
        Ok(Examples { pixels, labels: self.labels(count)? })
    }

    fn files(&mut self, count: u64, names: u64, folder: String, resize: usize) -> Result<Examples, DataError> {
        let text = String::from_utf8(self.bytes(names)?)
            .map_err(|error| damaged(self.path, "names in UTF-8", error.utf8_error()))?;
        let names: Names = text.split_terminator('\0').collect();
        if names.packed_bytes() != text.len() as u64 || names.len() as u64 != count {
            return Err(damaged(self.path, format!("{count} names"), names.len()));
        }
        let sizes = self.bytes(count * 8)?;
        let sizes = sizes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        Ok(Examples { pixels: Pixels::Files(Files::new(folder, names, sizes, resize)), labels: self.labels(count)? })
    }

    fn labels(&mut self, count: u64) -> Result<Vec<u16>, DataError> {
        let labels = self.bytes(count * 2)?;
        Ok(labels.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
    }
}

fn damaged(path: &Path, expected: impl Into<String>, found: impl ToString) -> DataError {
    DataError::Damaged { path: path.to_owned(), expected: expected.into(), found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Normalise, Source, SplitRule, Synthetic};
    use std::fs;

    fn dataset() -> Dataset {
        let synthetic = Synthetic { train: 6, test: 3, classes: 3, size: 4, channels: 2, noise: 0.2, seed: 5 };
        let raw = Source::Synthetic(synthetic).locate(Path::new("")).unwrap().read().unwrap();
        raw.finish(&Normalise::Measured, &SplitRule::Halves).unwrap()
    }

    fn listed() -> Dataset {
        let files = |folder: &str, names: &[&str]| Examples {
            pixels: Pixels::Files(Files::new(
                folder.to_owned(),
                names.iter().copied().collect(),
                (0..names.len() as u64).collect(),
                10,
            )),
            labels: vec![0; names.len()],
        };
        let train = files("flowers/train", &["daisy/1.jpg", "daisy/two words.JPEG", "daisy/ü.png"]);
        let test = files("flowers/val", &["daisy/3.jpg"]);
        let statistics = Statistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let split = Split { fit: vec![0], held_out: vec![2] };
        Dataset { shape: [3, 8, 8], white: 255, train, test, statistics, split, ..dataset() }
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
        for (dataset, begins) in [(dataset(), b"DRUNDATA\x01\0\0\0"), (listed(), b"DRUNDATA\x02\0\0\0")] {
            let bytes = packed(&dataset);
            assert_eq!(read(&bytes).unwrap(), dataset);
            assert_eq!(bytes, packed(&dataset.clone()));
            assert_eq!(bytes[..12], *begins);
        }
    }

    #[test]
    fn a_list_of_files_does_not_say_where_on_this_machine_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["flowers/train", "flowers/val"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let rooted = listed().rooted(&[folder.path().to_owned()]).unwrap();
        let Pixels::Files(files) = &rooted.train.pixels else { panic!("files are files") };
        assert_eq!(files.path(1), folder.path().join("flowers/train/daisy/two words.JPEG"));
        assert_eq!(packed(&rooted), packed(&listed()));
        let error = listed().rooted(&["/nowhere".into(), "/nowhere".into(), "/either".into()]).unwrap_err();
        let said =
            "found no folder `flowers/train`: there is none of `/nowhere/flowers/train`, `/either/flowers/train`";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn a_file_cut_anywhere_or_grown_is_refused() {
        for dataset in [dataset(), listed()] {
            refuses_every_cut(packed(&dataset));
        }
    }

    fn refuses_every_cut(mut bytes: Vec<u8>) {
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
        for bytes in [packed(&dataset()), packed(&listed())] {
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                assert!(read(&changed).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart() {
        assert!(matches!(read(b"PK\x03\x04 something else"), Err(DataError::NotPacked { .. })));
        let mut newer = packed(&dataset());
        newer[8] = 4;
        let error = read(&newer).unwrap_err();
        assert!(error.to_string().ends_with("is a packed data set of format version 4, this program reads version 3"));
        assert!(matches!(Dataset::read(Path::new("/nowhere/data")), Err(DataError::Read { .. })));
    }

    #[test]
    fn a_sound_file_of_contradictory_data_is_refused() {
        let whole = dataset();
        let refused = |change: fn(&mut Dataset)| {
            for mut dataset in [whole.clone(), listed()] {
                change(&mut dataset);
                assert!(matches!(read(&packed(&dataset)), Err(DataError::Damaged { .. })));
            }
        };
        refused(|dataset| dataset.train.labels[0] = 3);
        refused(|dataset| dataset.split.fit[0] = 6);
        refused(|dataset| dataset.statistics.std[1] = 0.0);
        refused(|dataset| dataset.white = 0);
        refused(|dataset| dataset.shape[0] = 1);
        let mut larger = listed();
        larger.shape = [3, 11, 11];
        assert!(matches!(read(&packed(&larger)), Err(DataError::Damaged { .. })));
    }
}
