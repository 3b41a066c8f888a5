//! The handwritten digits: CSV, plain or gzip'd, 64 pixel values from 0 to 16 and the digit on a
//! line, no header.

use crate::{
    DataError, Images, Raw,
    random::{Purpose, Stream},
    sets::split::{share, stratified},
    sources::locate::{Layout, Wanted},
};
use darts_machine::Lines;
use flate2::read::MultiGzDecoder;
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

pub(crate) const DIGITS: Wanted = Wanted {
    what: "digits",
    layouts: &[Layout { folder: "digits", files: &[&["digits.csv.gz", "digits.csv"]] }],
    hint: "the file ships with the program: `pipelines/data/digits.csv.gz`",
    archive: None,
};

const IMAGE: usize = 64;
const WHITE: u8 = 16;
const CLASSES: u8 = 10;
/// What a gzip file begins with (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(crate) fn read(files: &[PathBuf], test_fraction: f64, test_seed: u64) -> Result<Raw, DataError> {
    let [path] = files else { unreachable!("the digits are located as one file") };
    let mut file = BufReader::new(darts_machine::open(path).map_err(DataError::read(path))?);
    let packed = file.fill_buf().map_err(DataError::read(path))?.starts_with(&GZIP);
    let images = if packed { parse(path, MultiGzDecoder::new(file))? } else { parse(path, file)? };
    if images.is_empty() {
        return Err(DataError::Empty { path: path.clone() });
    }
    let take = share("test_fraction", test_fraction, images.len())?;
    let (test, train) = stratified(&images.labels, usize::from(CLASSES), take, |class| {
        Stream::new(Purpose::TestPart, test_seed, class, 0)
    });
    if train.is_empty() || test.is_empty() {
        let expected = format!("a fraction that leaves both training and test images of {}", images.len());
        return Err(DataError::setting("test_fraction", expected, test_fraction));
    }
    let provenance = format!(
        "Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, 1998, UCI, doi 10.24432/C50P49, CC BY 4.0): \
         {} images, of which {} drawn as the test set, stratified, seed {test_seed}",
        images.len(),
        test.len()
    );
    Ok(Raw {
        name: "digits",
        shape: [1, 8, 8],
        white: WHITE,
        classes: (0..CLASSES).map(|digit| digit.to_string()).collect(),
        train: images.select(&train, IMAGE),
        test: images.select(&test, IMAGE),
        provenance,
    })
}

fn parse(path: &Path, text: impl Read) -> Result<Images, DataError> {
    let mut images = Images::default();
    let mut lines = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Lines::new(text));
    let mut line = csv::ByteRecord::new();
    while lines.read_byte_record(&mut line).map_err(|error| DataError::read(path)(error.into()))? {
        let wrong = |expected, found| {
            let line = line.position().map_or(0, csv::Position::line);
            DataError::Line { path: path.to_owned(), line, expected, found }
        };
        if line.len() != IMAGE + 1 {
            return Err(wrong("64 pixel values and a label", format!("{} values", line.len())));
        }
        let number = |field: &[u8], highest: u8, expected| {
            let text = String::from_utf8_lossy(field);
            match text.trim().parse() {
                Ok(value) if value <= highest => Ok(value),
                _ => Err(wrong(expected, format!("`{text}`"))),
            }
        };
        for field in line.iter().take(IMAGE) {
            images.pixels.push(number(field, WHITE, "pixel values from 0 to 16")?);
        }
        images.labels.push(u16::from(number(&line[IMAGE], CLASSES - 1, "a label from 0 to 9")?));
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, Statistics};
    use std::fs;
    use std::io::Write;

    fn read_text(bytes: &[u8], test_fraction: f64) -> Result<Raw, DataError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("digits.csv"), bytes).unwrap();
        Source::Digits { test_fraction, test_seed: 0 }.locate(folder.path())?.read()
    }

    fn line(value: u8, label: u8) -> String {
        format!("{}{label}\n", format!("{value},").repeat(64))
    }

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/data/digits.csv.gz")
    }

    #[test]
    fn the_digits_that_ship_are_whole() {
        let source = |test_seed| Source::Digits { test_fraction: Source::DIGITS_TEST_FRACTION, test_seed };
        let of = |seed| source(seed).locate(&shipped()).unwrap().read().unwrap();
        let raw = of(0);
        assert_eq!((raw.train.len(), raw.test.len()), (1797 - 359, 359));
        let count = |images: &Images, digit| images.labels.iter().filter(|&&label| label == digit).count();
        for digit in 0..10 {
            let (train, test) = (count(&raw.train, digit), count(&raw.test, digit));
            assert!((174..=183).contains(&(train + test)), "{digit}: {}", train + test);
            assert!((34..=37).contains(&test), "{digit}: {test}");
        }
        // Over all 1,797 images scikit-learn's mean pixel is 4.884.
        let sum: f64 = raw.train.pixels.iter().chain(&raw.test.pixels).map(|&pixel| f64::from(pixel)).sum();
        assert_eq!(format!("{:.3}", sum / (1797.0 * 64.0)), "4.884");
        assert!(Statistics::measured(&raw).std[0] > 0.3);
        assert_eq!(raw, of(0));
        assert_ne!(raw.test, of(1).test);
    }

    #[test]
    fn plain_and_compressed_text_read_alike() {
        let text: String = [(0, 0), (16, 9), (3, 0), (4, 9)].map(|(value, label)| line(value, label)).concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let compressed = gzip.finish().unwrap();
        let raw = read_text(text.as_bytes(), 0.5).unwrap();
        assert_eq!(raw, read_text(&compressed, 0.5).unwrap());
        for images in [&raw.train, &raw.test] {
            let mut labels = images.labels.clone();
            labels.sort_unstable();
            assert_eq!(labels, [0, 9], "half of each digit on each side");
            assert!(images.pixels.chunks(IMAGE).zip(&images.labels).all(|(pixels, label)| {
                pixels.iter().all(|pixel| pixel == &pixels[0]) && (*label == 0) == [0, 3].contains(&pixels[0])
            }));
        }
        let error = read_text(&compressed[..compressed.len() - 9], 0.5).unwrap_err();
        assert!(matches!(error, DataError::Read { .. }), "{error}");
    }

    #[test]
    fn each_wrong_line_is_named() {
        let good = line(1, 1);
        let short = good.replacen("1,", "", 1);
        for (bad, said) in [
            (short.as_str(), "line 2 of `PATH` has 64 values, expected 64 pixel values and a label"),
            (&line(17, 1), "line 2 of `PATH` has `17`, expected pixel values from 0 to 16"),
            (&line(1, 10), "line 2 of `PATH` has `10`, expected a label from 0 to 9"),
            (&good.replacen('1', "x", 1), "line 2 of `PATH` has `x`, expected pixel values from 0 to 16"),
            (&good.replacen('1', "-1", 1), "line 2 of `PATH` has `-1`, expected pixel values from 0 to 16"),
        ] {
            let error = read_text(format!("{good}{bad}").as_bytes(), 0.5).unwrap_err();
            let DataError::Line { path, .. } = &error else { panic!("{error}") };
            assert_eq!(error.to_string().replace(&path.display().to_string(), "PATH"), said);
        }
        assert!(matches!(read_text(b"", 0.5), Err(DataError::Empty { .. })));
    }

    #[test]
    fn a_test_fraction_must_leave_images_on_both_sides() {
        let text = [line(0, 0), line(1, 1)].concat();
        for fraction in [0.0, 0.1, 1.0, 2.0, f64::NAN] {
            assert!(matches!(read_text(text.as_bytes(), fraction), Err(DataError::Setting { .. })), "{fraction}");
        }
    }
}
