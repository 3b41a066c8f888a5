//! Data sets, pictures, archives from elsewhere, saved games, files of the store.

use crate::{
    harness::{Target, hear_panics, hold},
    said, seals, shipped,
};
use darts_run::{
    data::{Cifar100Labels, Picture, Source, Watcher},
    games::{Catch, Games},
    store::{Digest, Store, canonical_json},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn put(folder: &Path, files: &[(&str, &[u8])]) {
    fs::create_dir_all(folder).expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("a file");
    }
}

const NAMES: &[u8] = b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";

/// Two records with their labels.
fn records() -> Vec<u8> {
    [&[3][..], &[7; 3072], &[9], &[200; 3072]].concat()
}

#[test]
fn cifar() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (ten, hundred) = (folder.path().join("hostile_ten"), folder.path().join("hostile_hundred"));
    let record = records();
    for batch in 1..=5 {
        put(&ten, &[(&format!("data_batch_{batch}.bin"), &record)]);
    }
    put(&ten, &[("test_batch.bin", &record), ("batches.meta.txt", NAMES)]);
    let names = |count: usize| (0..count).map(|class| format!("class{class}\n")).collect::<String>();
    let (fine, coarse) = (names(100), names(20));
    put(&hundred, &[("test.bin", &[0; 3074]), ("fine_label_names.txt", fine.as_bytes())]);
    put(&hundred, &[("coarse_label_names.txt", coarse.as_bytes())]);
    let read = move |bytes: &[u8]| {
        let _kept = &folder;
        let read = |source: Source, folder: &Path, name: &str| {
            let path = folder.join(name);
            let before = fs::read(&path).unwrap_or_default();
            fs::write(&path, bytes).expect("an input can be written");
            let read = source.locate(folder).and_then(|located| located.read());
            fs::write(&path, before).expect("the file as it was");
            read.map(drop).map_err(|error| said(&error))
        };
        let labels = Cifar100Labels::Coarse;
        match bytes.len() % 3 {
            0 => read(Source::Cifar10, &ten, "data_batch_2.bin"),
            1 => read(Source::Cifar10, &ten, "batches.meta.txt"),
            _ => read(Source::Cifar100 { labels }, &hundred, "train.bin"),
        }
    };
    let seeds = vec![record, NAMES.to_vec(), vec![1; 2 * 3074]];
    let words: &[&[u8]] = &[b"\n", b"\0", b"\x13", b"\x14", b"\xff", b"truck"];
    hold(Target { name: "cifar", seeds, words, megabytes: 128, read: Box::new(read), place: "hostile_" });
}

/// As Python 2 wrote them: a dictionary of labels and pixels.
fn batch() -> Vec<u8> {
    let array = b"U\x04datacnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\0\x85U\x01b\x87Rq\x0a(K\x01K\x02M\0\x0c\x86\
                  cnumpy\ndtype\nq\x0bU\x02u1K\0K\x01\x87Rq\x0c(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\0\x18\0\0";
    [&b"\x80\x02}q\x01(U\x06labelsq\x02](K\x03K\x09e"[..], array, &[7; 2 * 3072], b"tbu."].concat()
}

#[test]
fn cifar_pickles() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let place = folder.path().join("cifar-10-batches-py");
    let whole = batch();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        put(&place, &[(name, &whole)]);
    }
    let names: Vec<u8> = str::from_utf8(NAMES)
        .expect("text")
        .lines()
        .flat_map(|name| [b"U", &[name.len() as u8], name.as_bytes()].concat())
        .collect();
    put(&place, &[("batches.meta", &[b"\x80\x02}(U\x0blabel_names](", &names[..], b"eu."].concat())]);
    let read = move |bytes: &[u8]| {
        fs::write(place.join("data_batch_1"), bytes).expect("an input can be written");
        let read = Source::Cifar10.locate(folder.path()).and_then(|located| located.read());
        read.map(drop).map_err(|error| said(&error))
    };
    assert_eq!(read(&whole), Ok(()), "the pickle that all others are made of is one");
    let words: &[&[u8]] = &[
        b"(",
        b".",
        b"}",
        b"]",
        b"a",
        b"e",
        b"s",
        b"u",
        b"t",
        b"b",
        b"R",
        b"\x93",
        b"q\x01",
        b"h\x01",
        b"j\0\0\0\0",
        b"\x94",
        b"K\x01",
        b"J\xff\xff\xff\xff",
        b"T\xff\xff\xff\xff",
        b"X\x01\0\0\0a",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x85",
        b"\x86",
        b"\x87",
        b"N",
        b"\x88",
    ];
    hold(Target {
        name: "cifar_pickles",
        seeds: vec![whole],
        words,
        megabytes: 256,
        read: Box::new(read),
        place: "data_batch_1",
    });
}

#[test]
fn pictures() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("hostile.png");
    let read = move |bytes: &[u8]| {
        let input = if bytes.starts_with(b"\x89PNG") { seals::png(bytes.to_vec()) } else { bytes.to_vec() };
        fs::write(&path, input).expect("an input can be written");
        let _ = Picture::pixels_of(&path);
        Picture::open(&path).map(drop).map_err(|error| said(&error))
    };
    let seeds = shipped(
        "tests/golden/pictures",
        &[".jpg", ".webp", ".gif", ".tif", ".bmp", ".ppm", ".pgm", ".pbm", "of_palette.png", "grey.png"],
    );
    let words: &[&[u8]] = &[
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xdb",
        b"\xff\xdd",
        b"\xff\xe1",
        b"\xff\xd0",
        b"Exif\0\0",
        b"IHDR",
        b"IDAT",
        b"PLTE",
        b"tRNS",
        b"IEND",
        b"eXIf",
        b"acTL",
        b"RIFF",
        b"VP8X",
        b"VP8L",
        b"ALPH",
        b"GIF89a",
        b"II*\0",
        b"MM\0*",
        b"P6\n",
        b"65535",
    ];
    // A picture may have 89 megapixels, of eight bytes each while it is decoded.
    hold(Target { name: "pictures", seeds, words, megabytes: 1536, read: Box::new(read), place: "hostile" });
}

/// An archive as the data set is published in.
fn archive() -> Vec<u8> {
    let mut tar = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        tar.extend_from_slice(&header);
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    for batch in 1..=5 {
        add(&format!("cifar-10-batches-bin/data_batch_{batch}.bin"), b"x");
    }
    add("cifar-10-batches-bin/test_batch.bin", b"x");
    add("cifar-10-batches-bin/batches.meta.txt", NAMES);
    tar.resize(tar.len() + 1024, 0);
    seals::tar(tar)
}

/// As the downloader unpacks what lies beside its place: inside, or refused.
#[test]
fn archives() {
    hear_panics();
    let unpack = |packed: &[u8]| {
        let around = tempfile::tempdir().expect("a scratch folder");
        let root = around.path().join("hostile");
        put(&root, &[("cifar-10-binary.tar.gz", packed)]);
        let published = Source::Cifar10.archive().expect("it can be fetched");
        let archive = published.with_sha256(&Digest::of(packed).to_string());
        // Asked for a stop only by who would go on without end: there is no server to wait for.
        let watcher = Watcher { hear: &|_| {}, stop: &|| false };
        let fetched = Source::Cifar10.fetch(&root, &archive, &watcher);
        let beside: Vec<PathBuf> =
            fs::read_dir(around.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(beside, [root.as_path()], "nothing is unpacked elsewhere");
        let left = fs::read_dir(&root).expect("a folder").filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with(".unpacking")
        });
        assert_eq!(left.count(), 0, "nothing half is left");
        fetched.map(drop).map_err(|error| said(&error))
    };
    let whole = archive();
    assert_eq!(unpack(&seals::gzipped(&whole)), Ok(()), "the archive that all others are made of is one");
    let read = move |bytes: &[u8]| match bytes.len() % 8 {
        0 => unpack(bytes),
        1 => unpack(&seals::gzipped(bytes)),
        _ => unpack(&seals::gzipped(&seals::tar(bytes.to_vec()))),
    };
    let seeds = vec![whole.clone(), seals::gzipped(&whole)];
    let words: &[&[u8]] = &[
        b"../",
        b"/etc/",
        b"./",
        b"L",
        b"K",
        b"x",
        b"g",
        b"1",
        b"2",
        b"3",
        b"5",
        b"7",
        b"S",
        b"77777777777\0",
        b"\x80\0\0\0\0\0\0\0\xff",
        b"20 path=../x\n",
    ];
    hold(Target { name: "archives", seeds, words, megabytes: 128, read: Box::new(read), place: "hostile" });
}

#[test]
fn saved_games() {
    hear_panics();
    let mut games = Catch { copies: 2, ..Catch::default() }.open().expect("catch");
    games.act(&[0, 2]).expect("two actions");
    let state = games.save().expect("a state");
    // Behind the mark, the version and the checksum.
    let seeds = vec![state[8 + 4 + 32..].to_vec(), state];
    let read = move |bytes: &[u8]| {
        let input = if bytes.starts_with(b"dartgame") { bytes.to_vec() } else { seals::saved_game(bytes) };
        let restored = games.restore(&input).map_err(|error| said(&error));
        // Whatever came of it, the games go on.
        games.act(&[1, 1]).map_err(|error| said(&error))?;
        restored
    };
    let words: &[&[u8]] = &[
        b"{",
        b"}",
        b"\"row\":",
        b"\"paddle\":",
        b"-1",
        b"18446744073709551615",
        b",",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
    ];
    hold(Target { name: "saved_games", seeds, words, megabytes: 64, read: Box::new(read), place: "state" });
}

const RECORD: &str = "{\n  \"format\": 2,\n  \"manifest\": {\n    \"kind\": \"search\"\n  },\n  \"outputs\": {\n    \"alphas\": {\n      \
                      \"digest\": \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\n      \"bytes\": 0\n    }\n  },\n  \
                      \"metrics\": {\n    \"top1\": 0.5,\n    \"loss\": \"NaN\"\n  },\n  \"summary\": null,\n  \"notes\": {},\n  \
                      \"started\": 1,\n  \"finished\": 2,\n  \"wall_seconds\": 0.5,\n  \"resumed\": null,\n  \"program\": \"0.1.0\"";

/// Records and what is remembered of a stage, sealed again.
#[test]
fn store_files() {
    hear_panics();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let store = Store::open(folder.path().join("store")).expect("a store");
    store.set_last("p", "m", Digest::of(b"")).expect("a place for it");
    let read = move |bytes: &[u8]| {
        let _kept = &folder;
        let file = if bytes.len().is_multiple_of(8) { bytes.to_vec() } else { seals::of_store(bytes) };
        let json = serde_json::from_slice::<serde_json::Value>(&file).unwrap_or_default();
        let key = Digest::of(canonical_json(&json["manifest"]).as_bytes());
        fs::write(store.record_path(key), &file).expect("an input can be written");
        fs::write(store.root().join("last-v1/p/m"), &file).expect("an input can be written");
        let record = store.record(key).map(drop).map_err(|error| said(&error));
        let last = store.last("p", "m").map(drop).map_err(|error| said(&error));
        let audit = store.hold().and_then(|hold| store.audit(&hold)).map_err(|error| said(&error))?;
        let _ = store.try_alone().and_then(|alone| store.garbage(&alone.expect("nobody else"), None));
        let faults: Vec<String> = audit.faults.iter().map(ToString::to_string).collect();
        let _ = fs::remove_file(store.record_path(key));
        let _ = fs::remove_dir_all(store.root().join("damaged-v1"));
        match record.and(last) {
            Ok(()) if faults.is_empty() => Ok(()),
            Ok(()) => Err(faults.join("\n")),
            refused => refused,
        }
    };
    let last = format!("{{\n  \"pipeline\": \"p\",\n  \"member\": \"m\",\n  \"key\": \"{}\"", Digest::of(b""));
    let seeds = vec![RECORD.as_bytes().to_vec(), last.into_bytes()];
    let words: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b": ",
        b",",
        b"null",
        b"-1",
        b"1e999",
        b"\"NaN\"",
        b"18446744073709551616",
        b"\\u0000",
        b"\"seal\": ",
    ];
    hold(Target { name: "store_files", seeds, words, megabytes: 128, read: Box::new(read), place: "store/" });
}
