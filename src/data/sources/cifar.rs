//! CIFAR-10 and CIFAR-100 in the official layouts: binary, and for Python, which is what
//! torchvision leaves.
//!
//! A binary record is its label bytes and 3,072 pixel bytes: 1,024 red, 1,024 green, 1,024 blue,
//! each row by row. CIFAR-10 has one label byte, CIFAR-100 two, coarse then fine. The official
//! files have 10,000 records (`train.bin` 50,000); any whole number is read. The pickles for Python
//! hold the same pixels in the same order, and a list of each kind of label.

use crate::{
    DataError, Images, Raw,
    download::Official,
    sources::locate::{Layout, Wanted},
    sources::pickle::Pickle,
};
use std::path::{Path, PathBuf};

/// Which of CIFAR-100's two labels are the classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cifar100Labels {
    /// 100 classes.
    #[default]
    Fine,
    /// 20 superclasses.
    Coarse,
}

pub(crate) const CIFAR10: Wanted = Wanted {
    what: "CIFAR-10",
    layouts: &[
        Layout {
            folder: "cifar-10-batches-bin",
            files: &[
                &["data_batch_1.bin"],
                &["data_batch_2.bin"],
                &["data_batch_3.bin"],
                &["data_batch_4.bin"],
                &["data_batch_5.bin"],
                &["test_batch.bin"],
                &["batches.meta.txt"],
            ],
        },
        Layout {
            folder: "cifar-10-batches-py",
            files: &[
                &["data_batch_1"],
                &["data_batch_2"],
                &["data_batch_3"],
                &["data_batch_4"],
                &["data_batch_5"],
                &["test_batch"],
                &["batches.meta"],
            ],
        },
    ],
    hint: "write `cifar10: {download: true}`, or unpack `cifar-10-binary.tar.gz` of https://www.cs.toronto.edu/~kriz/cifar.html (it \
           makes the folder `cifar-10-batches-bin`; torchvision's `cifar-10-batches-py` will do) and name that folder or the one around it \
           with `--set data.root=FOLDER`",
    archive: Some(Official {
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        // The page gives its MD5, c32a1d4ab5d03f1284b67883e8d87530; SHA-256 and size are those of
        // TensorFlow Datasets' list of checksums, `url_checksums/cifar10.txt`.
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        bytes: 170_052_171,
    }),
};

pub(crate) const CIFAR100: Wanted = Wanted {
    what: "CIFAR-100",
    layouts: &[
        Layout {
            folder: "cifar-100-binary",
            files: &[&["train.bin"], &["test.bin"], &["fine_label_names.txt"], &["coarse_label_names.txt"]],
        },
        Layout { folder: "cifar-100-python", files: &[&["train"], &["test"], &["meta"]] },
    ],
    hint: "write `cifar100: {download: true}`, or unpack `cifar-100-binary.tar.gz` of https://www.cs.toronto.edu/~kriz/cifar.html (it \
           makes the folder `cifar-100-binary`; torchvision's `cifar-100-python` will do) and name that folder or the one around it with \
           `--set data.root=FOLDER`",
    archive: Some(Official {
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        // MD5 03b5dce01913d631647c71ecec9e9cb8; SHA-256 and size as above, from
        // `url_checksums/cifar100.txt`.
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        bytes: 168_513_733,
    }),
};

const SHAPE: [usize; 3] = [3, 32, 32];

/// Bytes of the largest file: seven times CIFAR-100's, which is held in memory whole.
const LARGEST: u64 = 1 << 30;

const IMAGE: usize = 3072;

/// One of the labels that a record has, in the order of its bytes.
struct Labels {
    /// A word for messages.
    kind: &'static str,
    classes: usize,
    /// What the pickles call the labels, and the names of the classes.
    key: &'static str,
    names: &'static str,
}

const CIFAR10_LABELS: [Labels; 1] = [Labels { kind: "label", classes: 10, key: "labels", names: "label_names" }];
const CIFAR100_LABELS: [Labels; 2] = [
    Labels { kind: "coarse label", classes: 20, key: "coarse_labels", names: "coarse_label_names" },
    Labels { kind: "fine label", classes: 100, key: "fine_labels", names: "fine_label_names" },
];

/// `files` in the order of [`CIFAR10`].
pub(crate) fn read_cifar10(files: &[PathBuf]) -> Result<Raw, DataError> {
    let [train @ .., test, meta] = files else { unreachable!("CIFAR-10 is located with all its files") };
    let classes = names(meta, &CIFAR10_LABELS[0])?;
    let mut all = Images::default();
    for path in train {
        let images = records(path, &CIFAR10_LABELS, 0)?;
        all.pixels.extend_from_slice(&images.pixels);
        all.labels.extend_from_slice(&images.labels);
    }
    let test = records(test, &CIFAR10_LABELS, 0)?;
    let counts = format!("{} training images of data_batch_1 to 5, {} of test_batch", all.len(), test.len());
    let provenance = format!("CIFAR-10 (Krizhevsky, 2009), {} layout: {counts}", layout(meta));
    Ok(Raw { name: "cifar10", shape: SHAPE, white: 255, classes, train: all, test, provenance })
}

/// `files` in the order of [`CIFAR100`].
pub(crate) fn read_cifar100(files: &[PathBuf], labels: Cifar100Labels) -> Result<Raw, DataError> {
    let [train, test, fine, others @ ..] = files else { unreachable!("CIFAR-100 is located with all its files") };
    // The pickles have one file for both.
    let coarse = others.first().unwrap_or(fine);
    let [of_coarse, of_fine] = &CIFAR100_LABELS;
    let (fine_names, coarse_names) = (names(fine, of_fine)?, names(coarse, of_coarse)?);
    let (name, pick, classes) = match labels {
        Cifar100Labels::Fine => ("cifar100", 1, fine_names),
        Cifar100Labels::Coarse => ("cifar100_coarse", 0, coarse_names),
    };
    let (train, test) = (records(train, &CIFAR100_LABELS, pick)?, records(test, &CIFAR100_LABELS, pick)?);
    let kind = CIFAR100_LABELS[pick].kind;
    let counts = format!("{} training images, {} test images, {kind}s", train.len(), test.len());
    let provenance = format!("CIFAR-100 (Krizhevsky, 2009), {} layout: {counts}", layout(fine));
    Ok(Raw { name, shape: SHAPE, white: 255, classes, train, test, provenance })
}

/// `binary` or `Python`, by the file of names.
fn layout(names: &Path) -> &'static str {
    if names.extension().is_some_and(|extension| extension == "txt") { "binary" } else { "Python" }
}

/// Reads a file of images; all labels are checked, those at `pick` are kept.
fn records(path: &Path, labels: &[Labels], pick: usize) -> Result<Images, DataError> {
    let bytes = darts_machine::read(path, LARGEST).map_err(DataError::read(path))?;
    if path.extension().is_some_and(|extension| extension == "bin") {
        binary(path, &bytes, labels, pick)
    } else {
        pickled(path, &bytes, labels, pick)
    }
}

fn binary(path: &Path, bytes: &[u8], of_record: &[Labels], pick: usize) -> Result<Images, DataError> {
    let record = of_record.len() + IMAGE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(DataError::Records { path: path.to_owned(), record, found: bytes.len() });
    }
    let count = bytes.len() / record;
    let mut images = Images { pixels: Vec::with_capacity(count * IMAGE), labels: Vec::with_capacity(count) };
    for (at, bytes) in bytes.chunks_exact(record).enumerate() {
        let (found, pixels) = bytes.split_at(of_record.len());
        for (index, (&found, of)) in found.iter().zip(of_record).enumerate() {
            let label = of.check(path, at, i64::from(found))?;
            if index == pick {
                images.labels.push(label);
            }
        }
        images.pixels.extend_from_slice(pixels);
    }
    Ok(images)
}

fn pickled(path: &Path, bytes: &[u8], of_record: &[Labels], pick: usize) -> Result<Images, DataError> {
    let refused = |why| DataError::Pickle { path: path.to_owned(), why };
    let pickle = Pickle::read(bytes).map_err(refused)?;
    let pixels = pickle.rows("data", IMAGE).map_err(refused)?;
    let mut images = Images { pixels: pixels.to_vec(), labels: Vec::new() };
    for (index, of) in of_record.iter().enumerate() {
        let found = pickle.integers(of.key).map_err(refused)?;
        if found.len() * IMAGE != pixels.len() {
            return Err(refused(format!("it has {} images and {} `{}`", pixels.len() / IMAGE, found.len(), of.key)));
        }
        let labels = found.iter().enumerate().map(|(at, &found)| of.check(path, at, found));
        let labels = labels.collect::<Result<Vec<u16>, _>>()?;
        if index == pick {
            images.labels = labels;
        }
    }
    Ok(images)
}

impl Labels {
    fn check(&self, path: &Path, record: usize, found: i64) -> Result<u16, DataError> {
        let &Self { kind, classes, .. } = self;
        let label = u16::try_from(found).ok().filter(|&label| usize::from(label) < classes);
        label.ok_or_else(|| DataError::Label { path: path.to_owned(), record, kind, found, classes })
    }
}

/// The names of a label's classes: a line each, where the official files end in an empty line, or a
/// list in a pickle.
fn names(path: &Path, of: &Labels) -> Result<Vec<String>, DataError> {
    let names: Vec<String> = if layout(path) == "binary" {
        let text = darts_machine::read_text(path).map_err(DataError::read(path))?;
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    } else {
        let bytes = darts_machine::read(path, LARGEST).map_err(DataError::read(path))?;
        let pickle = Pickle::read(&bytes).and_then(|pickle| pickle.texts(of.names));
        pickle.map_err(|why| DataError::Pickle { path: path.to_owned(), why })?
    };
    if names.len() != of.classes {
        return Err(DataError::Names { path: path.to_owned(), expected: of.classes, found: names.len() });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, SplitRule, Statistics, sources::pickle::tests::Written};
    use std::fs;

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

    /// What torchvision leaves of the records and names in `binary`, a folder of CIFAR-10.
    fn for_python(binary: &Path) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cifar-10-batches-py");
        fs::create_dir(&folder).unwrap();
        for name in (1..=5).map(|batch| format!("data_batch_{batch}")).chain(["test_batch".to_owned()]) {
            let images = records(&binary.join(format!("{name}.bin")), &CIFAR10_LABELS, 0).unwrap();
            let labels: Vec<u8> = images.labels.iter().map(|&label| label as u8).collect();
            let files: Vec<String> = (0..labels.len()).map(|at| format!("leptodactylus_s_{at}.png")).collect();
            let batch = Written::default().integers("labels", &labels).texts("filenames", &files);
            fs::write(folder.join(name), batch.array("data", labels.len() as u16, IMAGE as u16, &images.pixels).end())
                .unwrap();
        }
        let names = names(&binary.join("batches.meta.txt"), &CIFAR10_LABELS[0]).unwrap();
        fs::write(folder.join("batches.meta"), Written::default().texts("label_names", &names).end()).unwrap();
        root
    }

    fn read(source: Source, folder: &Path) -> Result<Raw, DataError> {
        source.locate(folder)?.read()
    }

    #[test]
    fn what_would_fill_memory_is_refused_before_it_does() {
        let folder = small_cifar10();
        for (name, length) in [("batches.meta.txt", 2 << 20), ("data_batch_1.bin", 3073 << 20)] {
            // Without a block on the disk.
            fs::File::create(folder.path().join(name)).unwrap().set_len(length).unwrap();
            let error = read(Source::Cifar10, folder.path()).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(
                error.to_string().contains(name) && cause.ends_with("bytes, which are the limit"),
                "{error}: {cause}"
            );
            write_names(&folder.path().join("batches.meta.txt"), 10);
        }
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
    fn what_torchvision_leaves_is_the_same_images() {
        let binary = small_cifar10();
        let python = for_python(binary.path());
        let located = Source::Cifar10.locate(python.path()).unwrap();
        assert_eq!(located.files().len(), 7);
        let (found, expected) = (located.read().unwrap(), read(Source::Cifar10, binary.path()).unwrap());
        assert_eq!((found.train, found.test), (expected.train, expected.test));
        assert_eq!(found.classes, expected.classes);
        assert!(found.provenance.contains("Python layout: 10 training images"), "{}", found.provenance);

        let path = python.path().join("cifar-10-batches-py/data_batch_4");
        let said = |batch: Written| {
            fs::write(&path, batch.end()).unwrap();
            read(Source::Cifar10, python.path()).unwrap_err().to_string()
        };
        let one = |label| Written::default().integers("labels", &[label]);
        let pixels = vec![0; 2 * IMAGE];
        assert_eq!(
            said(one(10).array("data", 1, IMAGE as u16, &pixels[..IMAGE])),
            format!("record 0 of `{}` has the label 10, expected one below 10", path.display())
        );
        assert_eq!(
            said(one(1).array("data", 2, IMAGE as u16, &pixels)),
            format!("`{}` is no pickle as CIFAR's are: it has 2 images and 1 `labels`", path.display())
        );
        assert!(said(one(1)).ends_with("it has no array `data`"));
    }

    #[test]
    fn cifar100_for_python_has_both_labels_and_both_lists_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = |count| (0..count).map(|class| format!("class {class}")).collect::<Vec<_>>();
        let meta = Written::default().texts("fine_label_names", &names(100)).texts("coarse_label_names", &names(20));
        fs::write(folder.path().join("meta"), meta.end()).unwrap();
        for (name, fine, coarse) in [("train", 99, 19), ("test", 40, 3)] {
            let batch = Written::default().integers("coarse_labels", &[coarse]).integers("fine_labels", &[fine]);
            let batch = batch.array("data", 1, IMAGE as u16, &vec![7; IMAGE]);
            fs::write(folder.path().join(name), batch.end()).unwrap();
        }
        let of = |labels| read(Source::Cifar100 { labels }, folder.path()).unwrap();
        let (fine, coarse) = (of(Cifar100Labels::Fine), of(Cifar100Labels::Coarse));
        assert_eq!((fine.train.labels, fine.test.labels, fine.classes.len()), (vec![99], vec![40], 100));
        assert_eq!((coarse.train.labels, coarse.test.labels, coarse.classes.len()), (vec![19], vec![3], 20));
        assert_eq!(fine.train.pixels, vec![7; IMAGE]);
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

    /// The folder of a real subset.
    fn real(name: &str) -> PathBuf {
        Path::new(&std::env::var_os("DARTS_RUN_DATA").expect("`DARTS_RUN_DATA` is set")).join(name)
    }

    #[test]
    #[ignore = "needs `cifar10-small` in `DARTS_RUN_DATA`"]
    fn the_real_cifar10_subset_is_read_whole() {
        let folder = real("cifar10-small");
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
    #[ignore = "needs `cifar100-small` in `DARTS_RUN_DATA`"]
    fn the_real_cifar100_subset_is_read_whole_and_each_fine_label_has_one_coarse_label() {
        let folder = real("cifar100-small");
        let of = |labels| read(Source::Cifar100 { labels }, &folder).unwrap();
        let (fine, coarse) = (of(Cifar100Labels::Fine), of(Cifar100Labels::Coarse));
        assert_eq!((fine.train.len(), fine.test.len()), (1115, 916));
        let pairs: std::collections::BTreeSet<_> = fine.train.labels.iter().zip(&coarse.train.labels).collect();
        assert_eq!(pairs.len(), 100);
    }
}
