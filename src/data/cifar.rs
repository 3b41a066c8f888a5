//! CIFAR-10 and CIFAR-100 in the official binary layout.
//!
//! A record is its label bytes and 3,072 pixel bytes: 1,024 red, 1,024 green, 1,024 blue, each row by row. CIFAR-10 has one label byte,
//! CIFAR-100 two, coarse then fine. The official files have 10,000 records (`train.bin` 50,000); any whole number is read.

use super::{DataError, Images, Raw, download::Official, locate::Wanted};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which of CIFAR-100's two labels are the classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cifar100Labels {
    /// 100 classes.
    #[default]
    Fine,
    /// 20 superclasses.
    Coarse,
}

pub(super) const CIFAR10: Wanted = Wanted {
    what: "CIFAR-10",
    files: &[
        &["data_batch_1.bin"],
        &["data_batch_2.bin"],
        &["data_batch_3.bin"],
        &["data_batch_4.bin"],
        &["data_batch_5.bin"],
        &["test_batch.bin"],
        &["batches.meta.txt"],
    ],
    folder: "cifar-10-batches-bin",
    hint: "write `cifar10: {download: true}`, or unpack `cifar-10-binary.tar.gz` of https://www.cs.toronto.edu/~kriz/cifar.html (it \
           makes the folder `cifar-10-batches-bin`) and name that folder or the one around it with `--set data.root=FOLDER`",
    archive: Some(Official {
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        // The page gives its MD5, c32a1d4ab5d03f1284b67883e8d87530; SHA-256 and size are those of TensorFlow Datasets'
        // list of checksums, `url_checksums/cifar10.txt`.
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        bytes: 170_052_171,
    }),
};

pub(super) const CIFAR100: Wanted = Wanted {
    what: "CIFAR-100",
    files: &[&["train.bin"], &["test.bin"], &["fine_label_names.txt"], &["coarse_label_names.txt"]],
    folder: "cifar-100-binary",
    hint: "write `cifar100: {download: true}`, or unpack `cifar-100-binary.tar.gz` of https://www.cs.toronto.edu/~kriz/cifar.html (it \
           makes the folder `cifar-100-binary`) and name that folder or the one around it with `--set data.root=FOLDER`",
    archive: Some(Official {
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        // MD5 03b5dce01913d631647c71ecec9e9cb8; SHA-256 and size as above, from `url_checksums/cifar100.txt`.
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        bytes: 168_513_733,
    }),
};

const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE: usize = 3072;
/// The label bytes of a record: a word for messages, and how many classes there are.
const CIFAR10_LABELS: [(&str, usize); 1] = [("label", 10)];
const CIFAR100_LABELS: [(&str, usize); 2] = [("coarse label", 20), ("fine label", 100)];

/// `files` in the order of [`CIFAR10`].
pub(super) fn read_cifar10(files: &[PathBuf]) -> Result<Raw, DataError> {
    let [train @ .., test, meta] = files else { unreachable!("CIFAR-10 is located with all its files") };
    let classes = names(meta, 10)?;
    let mut all = Images::default();
    for path in train {
        let images = records(path, &CIFAR10_LABELS, 0)?;
        all.pixels.extend_from_slice(&images.pixels);
        all.labels.extend_from_slice(&images.labels);
    }
    let test = records(test, &CIFAR10_LABELS, 0)?;
    let counts = format!("{} training images of data_batch_1 to 5, {} of test_batch", all.len(), test.len());
    let provenance = format!("CIFAR-10 (Krizhevsky, 2009), binary layout: {counts}");
    Ok(Raw { name: "cifar10", shape: SHAPE, white: 255, classes, train: all, test, provenance })
}

/// `files` in the order of [`CIFAR100`].
pub(super) fn read_cifar100(files: &[PathBuf], labels: Cifar100Labels) -> Result<Raw, DataError> {
    let [train, test, fine, coarse] = files else { unreachable!("CIFAR-100 is located with all its files") };
    let (fine, coarse) = (names(fine, 100)?, names(coarse, 20)?);
    let (name, pick, classes) = match labels {
        Cifar100Labels::Fine => ("cifar100", 1, fine),
        Cifar100Labels::Coarse => ("cifar100_coarse", 0, coarse),
    };
    let (train, test) = (records(train, &CIFAR100_LABELS, pick)?, records(test, &CIFAR100_LABELS, pick)?);
    let kind = CIFAR100_LABELS[pick].0;
    let counts = format!("{} training images, {} test images, {kind}s", train.len(), test.len());
    let provenance = format!("CIFAR-100 (Krizhevsky, 2009), binary layout: {counts}");
    Ok(Raw { name, shape: SHAPE, white: 255, classes, train, test, provenance })
}

/// Reads a file of records; all label bytes are checked, the one at `pick` is kept.
fn records(path: &Path, label_bytes: &[(&'static str, usize)], pick: usize) -> Result<Images, DataError> {
    let bytes = fs::read(path).map_err(DataError::read(path))?;
    let record = label_bytes.len() + IMAGE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(DataError::Records { path: path.to_owned(), record, found: bytes.len() });
    }
    let count = bytes.len() / record;
    let mut images = Images { pixels: Vec::with_capacity(count * IMAGE), labels: Vec::with_capacity(count) };
    for (at, bytes) in bytes.chunks_exact(record).enumerate() {
        let (labels, pixels) = bytes.split_at(label_bytes.len());
        for (&found, &(kind, classes)) in labels.iter().zip(label_bytes) {
            if usize::from(found) >= classes {
                return Err(DataError::Label { path: path.to_owned(), record: at, kind, found, classes });
            }
        }
        images.labels.push(u16::from(labels[pick]));
        images.pixels.extend_from_slice(pixels);
    }
    Ok(images)
}

/// Class names, a line each; the official files end in an empty line.
fn names(path: &Path, expected: usize) -> Result<Vec<String>, DataError> {
    let text = fs::read_to_string(path).map_err(DataError::read(path))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() != expected {
        return Err(DataError::Names { path: path.to_owned(), expected, found: names.len() });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Source, SplitRule, Statistics};

    /// Records whose pixels count up from the record's number.
    fn write_records(path: &Path, labels: &[&[u8]]) {
        let record = |(at, labels): (usize, &&[u8])| {
            [labels, &(0..IMAGE).map(|p| (at + p) as u8).collect::<Vec<_>>()[..]].concat()
        };
        fs::write(path, labels.iter().enumerate().flat_map(record).collect::<Vec<u8>>()).unwrap();
    }

    fn write_names(path: &Path, count: usize) {
        fs::write(path, (0..count).map(|class| format!("class {class}\n")).collect::<String>() + "\n").unwrap();
    }

    fn small_cifar10() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for batch in 1..=5_u8 {
            write_records(&folder.path().join(format!("data_batch_{batch}.bin")), &[&[batch], &[9]]);
        }
        write_records(&folder.path().join("test_batch.bin"), &[&[0], &[1], &[2]]);
        write_names(&folder.path().join("batches.meta.txt"), 10);
        folder
    }

    fn small_cifar100() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write_records(&folder.path().join("train.bin"), &[&[19, 99], &[3, 40]]);
        write_records(&folder.path().join("test.bin"), &[&[0, 1]]);
        write_names(&folder.path().join("fine_label_names.txt"), 100);
        write_names(&folder.path().join("coarse_label_names.txt"), 20);
        folder
    }

    fn read(source: Source, folder: &Path) -> Result<Raw, DataError> {
        source.locate(folder)?.read()
    }

    #[test]
    fn cifar10_batches_join_in_order() {
        let folder = small_cifar10();
        let located = Source::Cifar10.locate(folder.path()).unwrap();
        assert_eq!(located.files().len(), 7);
        let raw = located.read().unwrap();
        assert_eq!(raw.train.labels, [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        assert_eq!(raw.test.labels, [0, 1, 2]);
        assert_eq!(raw.train.pixels[..3], [0, 1, 2]);
        assert_eq!(raw.train.pixels[IMAGE..IMAGE + 3], [1, 2, 3]);
        assert_eq!(raw.train.pixels.len(), 10 * IMAGE);
        assert_eq!(raw.classes[9], "class 9");
    }

    #[test]
    fn cifar100_gives_fine_or_coarse_labels() {
        let folder = small_cifar100();
        let of = |labels| read(Source::Cifar100 { labels }, folder.path()).unwrap();
        let (fine, coarse) = (of(Cifar100Labels::Fine), of(Cifar100Labels::Coarse));
        assert_eq!((fine.train.labels, fine.classes.len()), (vec![99, 40], 100));
        assert_eq!((coarse.train.labels, coarse.classes.len()), (vec![19, 3], 20));
        assert_eq!(fine.train.pixels, coarse.train.pixels);
        assert_eq!(fine.train.pixels[..2], [0, 1]);
    }

    #[test]
    fn a_file_cut_short_or_empty_is_refused_with_its_sizes() {
        let folder = small_cifar10();
        let path = folder.path().join("data_batch_3.bin");
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, 3073 + 3072] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read(Source::Cifar10, folder.path()).unwrap_err();
            let expected = "expected a whole number of 3073-byte records, at least one";
            assert_eq!(error.to_string(), format!("`{}` has {length} bytes, {expected}", path.display()));
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn labels_out_of_range_are_refused_whichever_label_is_kept() {
        let folder = small_cifar10();
        let path = folder.path().join("test_batch.bin");
        write_records(&path, &[&[0], &[10]]);
        let error = read(Source::Cifar10, folder.path()).unwrap_err();
        let text = format!("record 1 of `{}` has the label 10, expected one below 10", path.display());
        assert_eq!(error.to_string(), text);

        let folder = small_cifar100();
        write_records(&folder.path().join("train.bin"), &[&[20, 5]]);
        let error = read(Source::Cifar100 { labels: Cifar100Labels::Fine }, folder.path()).unwrap_err();
        assert!(error.to_string().contains("the coarse label 20, expected one below 20"), "{error}");
    }

    #[test]
    fn missing_files_and_missing_names_are_told_apart() {
        let folder = small_cifar10();
        fs::write(folder.path().join("batches.meta.txt"), "airplane\n").unwrap();
        let error = read(Source::Cifar10, folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("names 1 class, expected 10"), "{error}");
        fs::remove_file(folder.path().join("data_batch_2.bin")).unwrap();
        let error = read(Source::Cifar10, folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds a part of CIFAR-10 and lacks `data_batch_2.bin`"), "{error}");
    }

    /// The folder of a real subset under `DARTS_RUN_DATA`, else one line that says why not.
    fn real(name: &str) -> Option<PathBuf> {
        let Some(root) = std::env::var_os("DARTS_RUN_DATA") else {
            println!("skipped: DARTS_RUN_DATA is not set");
            return None;
        };
        let folder = Path::new(&root).join(name);
        if !folder.is_dir() {
            println!("skipped: DARTS_RUN_DATA has no `{name}`");
            return None;
        }
        Some(folder)
    }

    #[test]
    fn the_real_cifar10_subset_is_read_whole() {
        let Some(folder) = real("cifar10-small") else { return };
        let raw = read(Source::Cifar10, &folder).unwrap();
        assert_eq!((raw.train.len(), raw.test.len()), (5000, 1000));
        assert_eq!((raw.classes[0].as_str(), raw.classes[9].as_str()), ("airplane", "truck"));
        let count = |images: &Images, class| images.labels.iter().filter(|&&label| label == class).count();
        assert!((0..10).all(|class| count(&raw.train, class) == 500));
        let test: Vec<usize> = (0..10).map(|class| count(&raw.test, class)).collect();
        assert_eq!(test, [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]);

        let rounded = |values: &[f32]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>();
        let statistics = Statistics::measured(&raw);
        assert_eq!(rounded(&statistics.mean), ["0.4922", "0.4823", "0.4460"]);
        assert_eq!(rounded(&statistics.std), ["0.2477", "0.2445", "0.2630"]);

        let rule = SplitRule::Shuffled { fraction: 0.5, seed: 0 };
        let dataset = raw.finish(&Source::Cifar10.default_normalise(), &rule).unwrap();
        let fit: Vec<u16> = dataset.split.fit.iter().map(|&index| dataset.train.labels[index as usize]).collect();
        assert!((0..10).all(|class| fit.iter().filter(|&&label| label == class).count() == 250));
    }

    #[test]
    fn the_real_cifar100_subset_is_read_whole_and_each_fine_label_has_one_coarse_label() {
        let Some(folder) = real("cifar100-small") else { return };
        let of = |labels| read(Source::Cifar100 { labels }, &folder).unwrap();
        let (fine, coarse) = (of(Cifar100Labels::Fine), of(Cifar100Labels::Coarse));
        assert_eq!((fine.train.len(), fine.test.len()), (1115, 916));
        let pairs: std::collections::BTreeSet<_> = fine.train.labels.iter().zip(&coarse.train.labels).collect();
        assert_eq!(pairs.len(), 100);
    }
}
