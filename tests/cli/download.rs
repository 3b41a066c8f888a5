//! Data sets that come over the network, from a server on this machine.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Scratch, wait_until};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value as Json;
use server::{Manner, Server, noise};
use sha2::{Digest as _, Sha256};
use std::fs;

#[expect(dead_code, reason = "the tests of the downloads themselves use the rest")]
#[path = "../../src/data/download/server.rs"]
mod server;

/// CIFAR-10 with a few images of noise in each file, and one more file with `name`.
fn cifar10(name: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    for (at, file) in
        (0_u64..).zip(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"])
    {
        let bytes = (0..3073 * 20).zip(noise(at + 1));
        let records = bytes.map(|(at, noise)| if at % 3073 == 0 { (at / 3073 % 10) as u8 } else { noise });
        add(&format!("cifar-10-batches-bin/{file}.bin"), &records.collect::<Vec<u8>>());
    }
    let names = "airplane automobile bird cat deer dog frog horse ship truck\n".replace(' ', "\n");
    add("cifar-10-batches-bin/batches.meta.txt", names.as_bytes());
    add(name, b"<p>");
    tar.into_inner().unwrap().finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder with a pipeline that prepares what `url` has.
fn scratch(url: &str, archive: &[u8]) -> Scratch {
    let scratch = Scratch::new();
    let mirror = format!("{{url: \"{url}\", sha256: {}}}", sha256(archive));
    let stages = format!("stages:\n  images:\n    prepare: {{cifar10: {{download: {mirror}}}}}\n");
    scratch.write("pipeline.yaml", &format!("name: pipeline\n{stages}"));
    scratch
}

/// The keys of all that the store `store` answers.
fn keys(scratch: &Scratch, store: &str) -> Vec<String> {
    let records = scratch.files(&format!("{store}/actions-v1"));
    records.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn names_in_data(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path("data")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_first_run_downloads_a_second_is_cached_and_the_key_knows_nothing_of_it() {
    let archive = cifar10("cifar-10-batches-bin/readme.html");
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let scratch = scratch(&server.url, &archive);

    // Reading a pipeline asks nobody.
    scratch.run(&["pipeline.yaml", "--resolve"]).exits(0);
    assert!(server.ranges().is_empty() && !scratch.path("data").exists());

    let first = scratch.run(&["pipeline.yaml", "--events", "events.jsonl"]).exits(0);
    first.line(&["images", "downloads http://127.0.0.1", "into data"]);
    first.line(&["images", "downloaded and unpacked"]);
    first.line(&["images", "ran", "100 training images"]);
    assert_eq!(names_in_data(&scratch), ["cifar-10-batches-bin"]);
    let events = scratch.read("events.jsonl");
    let events: Vec<Json> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(named("download_started")[0]["url"], server.url);
    assert_eq!(named("download_progress").last().unwrap()["transfer"]["bytes"], archive.len());
    assert_eq!(named("download_finished")[0]["bytes"], archive.len());

    let second = scratch.run(&["pipeline.yaml"]).exits(0);
    second.line(&["images", "cached"]);
    assert!(!second.stderr.contains("download"), "{}", second.stderr);
    assert_eq!(server.ranges().len(), 1);

    // The same files named by hand, without a word of a download.
    scratch.write("by_hand.yaml", "name: by_hand\nstages: {images: {prepare: {cifar10: {path: data}}}}\n");
    scratch.run(&["by_hand.yaml", "--store", "other"]).exits(0);
    assert_eq!(keys(&scratch, "artifacts"), keys(&scratch, "other"));
    // And what is elsewhere is used, downloads or not.
    fs::rename(scratch.path("data"), scratch.path("elsewhere")).unwrap();
    scratch.run(&["pipeline.yaml", "--set", "data.root=elsewhere"]).exits(0).line(&["images", "cached"]);
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn stopped_in_the_middle_a_download_goes_on_in_the_next_run() {
    let archive = cifar10("cifar-10-batches-bin/readme.html");
    for (signal, code) in [("INT", 130), ("TERM", 75)] {
        let server = Server::new(archive.clone(), &[Manner::SilentAfter(100_000), Manner::Good]);
        let scratch = scratch(&server.url, &archive);
        let part = scratch.path("data/cifar-10-binary.tar.gz.part");
        let run = scratch.start(&["pipeline.yaml"]);
        wait_until("the bytes that the server sends", || fs::metadata(&part).is_ok_and(|part| part.len() == 100_000));
        run.signal(signal);
        let ended = run.ended().exits(code);
        ended.line(&["images", "interrupted"]);
        assert_eq!(names_in_data(&scratch), ["cifar-10-binary.tar.gz.part"]);

        let ended = scratch.run(&["pipeline.yaml"]).exits(0);
        ended.line(&["images", "from 100 kB on"]);
        assert_eq!(server.ranges(), ["", "bytes=100000-"]);
        assert_eq!(names_in_data(&scratch), ["cifar-10-batches-bin"]);
    }
}

#[test]
fn without_a_network_one_sentence_says_what_to_put_where() {
    let scratch = scratch("http://127.0.0.1:1/cifar-10-binary.tar.gz", b"another");
    let ended = scratch.run(&["pipeline.yaml"]).exits(3);
    ended.line(&[
        "images: failed: failed to download `http://127.0.0.1:1/cifar-10-binary.tar.gz`: the server refuses the connection",
        "get `http://127.0.0.1:1/cifar-10-binary.tar.gz` in another way and put it at `data/cifar-10-binary.tar.gz`",
    ]);
    assert!(!ended.stderr.contains("it goes on"), "a network that is not there is not tried again: {}", ended.stderr);
    assert!(names_in_data(&scratch).is_empty());

    // As it says.
    let archive = cifar10("cifar-10-batches-bin/readme.html");
    fs::write(scratch.path("data/cifar-10-binary.tar.gz"), &archive).unwrap();
    let wrong = scratch.run(&["pipeline.yaml"]).exits(3);
    wrong.line(&[&sha256(&archive), &sha256(b"another"), "remove `data/cifar-10-binary.tar.gz`"]);
    let setting = format!("images.cifar10.download.sha256={}", sha256(&archive));
    scratch.run(&["pipeline.yaml", "--set", &setting]).exits(0);

    // Who does not ask for a download is told of both ways.
    scratch.write("nothing.yaml", "name: nothing\nstages: {images: {prepare: {cifar100: {}}}}\n");
    let ended = scratch.run(&["nothing.yaml"]).exits(3);
    assert!(ended.stderr.contains("download: true") && ended.stderr.contains("data.root"), "{}", ended.stderr);
}

#[test]
fn a_wrong_digest_and_an_archive_that_reaches_out_leave_no_data_set() {
    let archive = cifar10("cifar-10-batches-bin/readme.html");
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let wrong = scratch(&server.url, b"another");
    wrong.run(&["pipeline.yaml"]).exits(3).line(&["SHA-256", &sha256(&archive), &sha256(b"another")]);
    assert!(names_in_data(&wrong).is_empty());

    let archive = cifar10("../escaped");
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let hostile = scratch(&server.url, &archive);
    hostile.run(&["pipeline.yaml"]).exits(3).line(&["refused to unpack", "`../escaped` in it leads out"]);
    assert!(!hostile.path("escaped").exists() && !hostile.path("data/cifar-10-batches-bin").exists());
}

#[test]
fn what_is_wrong_with_a_mirror_is_said_before_anything_starts() {
    let scratch = Scratch::new();
    let download = "{url: \"ftp://example.org/a\", sha256: abc, mirror: x}";
    let stages = format!("stages:\n  a:\n    prepare: {{cifar10: {{download: {download}}}}}\n");
    let more = "  b:\n    prepare: {cifar100: {download: perhaps}}\n  c:\n    prepare: {synthetic: {download: true}}\n";
    scratch.write("wrong.yaml", &format!("name: wrong\n{stages}{more}"));
    let ended = scratch.run(&["wrong.yaml"]).exits(3);
    for words in [
        "`url` must be an address that begins with `https://`",
        "`sha256` must be the SHA-256 of the archive",
        "unknown key `mirror` in `download`",
        "`download` must be true or false, found `perhaps`",
        "unknown key `download` in data set `synthetic`",
    ] {
        assert!(ended.stderr.contains(words), "`{words}` is said:\n{}", ended.stderr);
    }
}
