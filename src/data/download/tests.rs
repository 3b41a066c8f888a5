//! Downloads from a server on this machine that does what servers do.

use super::{
    server::{Manner, Server, noise},
    *,
};
use crate::{DownloadFault, Source, sources::locate::Layout};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use std::{
    io::Write,
    path::PathBuf,
    sync::{Mutex, mpsc},
    thread,
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// What a client bears of silence, and a test of another thread's: far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

const PAIRS: Wanted = Wanted {
    what: "Pairs",
    layouts: &[Layout { folder: "pairs", files: &[&["a.bin"], &["b.bin"]] }],
    hint: "get Pairs",
    archive: Some(Official { url: "https://example.org/pairs.tar.gz", sha256: "", bytes: 0 }),
};

/// One entry after another: kind, name, content or the target of a link.
fn packed(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        // Written as it is: `set_path` refuses what these tests are about.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.set_link_name_literal(content).unwrap();
        }
        let content: &[u8] = if is_link { &[] } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Pairs, large enough that a connection can be cut in the middle.
fn pairs() -> Vec<u8> {
    let noise: Vec<u8> = noise(1).take(200_000).collect();
    packed(&[
        (EntryType::Directory, "pairs/", b""),
        (EntryType::Regular, "pairs/a.bin", &noise),
        (EntryType::Regular, "./pairs/b.bin", b"b"),
        (EntryType::Regular, "pairs/readme.html", b"<p>"),
    ])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder to download to, and what was told.
struct Place {
    root: TempDir,
    told: Mutex<Vec<String>>,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), told: Mutex::default() }
    }

    fn fetch(&self, server: &Server, archive: &[u8]) -> Result<(), DataError> {
        self.fetch_by(&Client::local(PATIENCE), server, archive, &Watcher { hear: &|_| {}, stop: &|| false })
    }

    /// The same by a client and before a watcher of the test's own.
    fn fetch_by(
        &self,
        client: &Client,
        server: &Server,
        archive: &[u8],
        watcher: &Watcher<'_>,
    ) -> Result<(), DataError> {
        let official = Archive::official(&PAIRS.archive.unwrap());
        let wanted = official.at(server.url.clone()).with_sha256(&sha256(archive));
        let hear = |news: DownloadNews<'_>| {
            (watcher.hear)(news.clone());
            let text = match news {
                DownloadNews::Progress { bytes, in_all, .. } => format!("{bytes} of {in_all:?}"),
                DownloadNews::Started { kept, .. } => format!("started at {kept}"),
                DownloadNews::Again { why } => why,
                DownloadNews::Waiting => "waiting".to_owned(),
                DownloadNews::Finished { bytes, .. } => format!("finished {bytes}"),
            };
            self.told.lock().unwrap().push(text);
        };
        fetch(self.root.path(), &PAIRS, &wanted, client, &Watcher { hear: &hear, ..*watcher })
    }

    fn part(&self) -> PathBuf {
        self.root.path().join("pairs.tar.gz.part")
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }

    /// What lies in the folder, hidden files too.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn holds_the_data_set_and_nothing_else(&self) {
        assert_eq!(self.names(), ["pairs"], "{}", self.told());
        assert_eq!(fs::read(self.root.path().join("pairs/a.bin")).unwrap().len(), 200_000);
        assert_eq!(fs::read(self.root.path().join("pairs/b.bin")).unwrap(), b"b");
    }
}

#[track_caller]
fn fault(result: Result<(), DataError>) -> DownloadFault {
    match result {
        Err(DataError::Download { fault, .. }) => fault,
        other => panic!("expected a failed download, found {other:?}"),
    }
}

#[test]
fn a_whole_archive_comes_and_is_unpacked_and_told() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::Good]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    let told = place.told();
    assert!(told.starts_with("started at 0\n") && told.ends_with(&format!("finished {}", archive.len())), "{told}");
    assert!(told.contains(&format!("{0} of Some({0})", archive.len())), "{told}");
    // Once it is there, nobody is asked.
    place.fetch(&server, &archive).unwrap();
    assert_eq!(server.ranges(), [""]);
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::CutAfter(50_000), Manner::CutAfter(30_000), Manner::Good]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), ["", "bytes=50000-", "bytes=80000-"]);
    assert!(place.told().contains("the connection was cut after 50000 bytes"), "{}", place.told());
}

#[test]
fn who_gets_further_each_time_arrives_and_who_does_not_is_told_what_to_do() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::CutAfter(10_000)]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert!(server.ranges().len() > 15);

    let place = Place::new();
    let server = Server::new(archive.clone(), &[Manner::CutAfter(10_000), Manner::CutAfter(0)]);
    let error = place.fetch(&server, &archive).unwrap_err();
    let said = format!("{error}; {}", error.hint().unwrap());
    assert!(said.contains("the connection was cut, with 10000 bytes there; run again to go on, or get"), "{said}");
    let by_hand = place.root.path().join("pairs.tar.gz");
    assert!(said.contains(&format!("put it at `{}`", by_hand.display())), "{said}");
    assert_eq!(fs::metadata(place.part()).unwrap().len(), 10_000, "what came is kept");

    // A later run goes on from there, without asking for the beginning.
    let server = Server::new(archive.clone(), &[Manner::Good]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), ["bytes=10000-"]);
    assert!(place.told().contains("started at 10000"), "{}", place.told());
}

#[test]
fn silence_is_a_cut_connection() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::SilentAfter(40_000), Manner::Good]);
    let (client, watcher) = (Client::local(Duration::from_secs(1)), Watcher { hear: &|_| {}, stop: &|| false });
    place.fetch_by(&client, &server, &archive, &watcher).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), ["", "bytes=40000-"]);
    assert!(place.told().contains("the server fell silent after 40000 bytes"), "{}", place.told());
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::CutAfter(50_000), Manner::NoRanges]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), ["", "bytes=50000-"]);
}

#[test]
fn a_part_that_does_not_fit_is_thrown_away() {
    let archive = pairs();
    // Of another file, longer than the archive, and met by a wrong range.
    for (kept, manner) in [
        (vec![7; 1000], Manner::Good),
        (vec![7; archive.len() + 1000], Manner::Good),
        (archive[..1000].to_vec(), Manner::WrongRange(3)),
    ] {
        let place = Place::new();
        fs::write(place.part(), kept).unwrap();
        let server = Server::new(archive.clone(), &[manner, Manner::Good]);
        place.fetch(&server, &archive).unwrap();
        place.holds_the_data_set_and_nothing_else();
        assert_eq!(server.ranges().len(), 2);
        assert!(place.told().contains("it starts anew"), "{}", place.told());
    }
}

#[test]
fn a_part_that_is_whole_needs_no_server() {
    let (place, archive) = (Place::new(), pairs());
    fs::write(place.part(), &archive).unwrap();
    let server = Server::new(archive.clone(), &[Manner::Status(500)]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert!(server.ranges().is_empty());
}

#[test]
fn a_wrong_digest_is_told_with_both_and_leaves_nothing() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let expected = sha256(b"something else");
    let found = fault(place.fetch(&server, b"something else"));
    assert_eq!(found, DownloadFault::Checksum { expected, found: sha256(&archive) });
    assert!(place.names().is_empty(), "{:?}", place.names());
    assert_eq!(server.ranges().len(), 1);

    // Put together from two answers it is tried once more from the start, and only once.
    let server = Server::new(archive.clone(), &[Manner::CutAfter(50_000)]);
    assert!(matches!(fault(place.fetch(&server, b"something else")), DownloadFault::Checksum { .. }));
    assert!(place.names().is_empty());
}

#[test]
fn a_body_without_a_length_is_judged_by_its_digest() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::NoLength(usize::MAX)]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    let place = Place::new();
    let server = Server::new(archive.clone(), &[Manner::NoLength(100)]);
    assert!(matches!(fault(place.fetch(&server, &archive)), DownloadFault::Checksum { .. }));
    assert!(place.names().is_empty());
}

#[test]
fn a_file_of_another_size_is_another_file() {
    let place = Place::new();
    let server = Server::new(vec![1; 500], &[Manner::Good]);
    let official = Official { url: "https://example.org/pairs.tar.gz", sha256: "00", bytes: 170_000_000 };
    let watcher = Watcher { hear: &|_| {}, stop: &|| false };
    let archive = Archive::official(&official).at(server.url.clone());
    let found = fault(fetch(place.root.path(), &PAIRS, &archive, &Client::local(PATIENCE), &watcher));
    assert_eq!(found, DownloadFault::Size { expected: 170_000_000, found: 500 });
    let server = Server::new(vec![1; 500], &[Manner::NoLength(500)]);
    let official = Official { bytes: 400, ..official };
    let archive = Archive::official(&official).at(server.url.clone());
    let found = fault(fetch(place.root.path(), &PAIRS, &archive, &Client::local(PATIENCE), &watcher));
    assert_eq!(found, DownloadFault::TooLong { limit: 400 });
    assert!(place.names().is_empty());
}

#[test]
fn what_the_server_refuses_is_said_and_what_may_pass_is_asked_again() {
    let archive = pairs();
    for (status, words) in [(404, "it has no such file"), (403, "does not give the file to everybody")] {
        let place = Place::new();
        let server = Server::new(archive.clone(), &[Manner::Status(status)]);
        let said = fault(place.fetch(&server, &archive)).to_string();
        assert!(said.contains(&status.to_string()) && said.contains(words), "{said}");
        assert_eq!(server.ranges().len(), 1);
        assert!(place.names().is_empty(), "no empty part stays");
    }
    let place = Place::new();
    let server = Server::new(archive.clone(), &[Manner::Status(503), Manner::Status(429), Manner::Good]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    let server = Server::new(archive.clone(), &[Manner::Status(500)]);
    let said = fault(Place::new().fetch(&server, &archive)).to_string();
    assert!(said.contains("500: a fault of its own"), "{said}");
    assert_eq!(server.ranges().len(), 4);
}

#[test]
fn without_a_network_it_is_said_at_once_what_to_do() {
    let (place, archive) = (Place::new(), pairs());
    let mut server = Server::new(archive.clone(), &[Manner::Good]);
    server.url = "http://127.0.0.1:1/archive.tar.gz".to_owned();
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(error.to_string().contains("the server refuses the connection"), "{error}");
    assert!(!place.told().contains("goes on"), "not tried again: {}", place.told());
    assert!(place.names().is_empty());
}

#[test]
fn an_archive_that_someone_put_there_is_checked_and_unpacked() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::Status(500)]);
    let by_hand = place.root.path().join("pairs.tar.gz");
    fs::write(&by_hand, b"half").unwrap();
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(error.to_string().contains(&sha256(b"half")) && error.hint().unwrap().contains("remove"), "{error}");
    assert_eq!(place.names(), ["pairs.tar.gz"]);
    fs::write(&by_hand, &archive).unwrap();
    place.fetch(&server, &archive).unwrap();
    assert_eq!(place.names(), ["pairs", "pairs.tar.gz"]);
    assert!(server.ranges().is_empty());
}

#[test]
fn a_stop_keeps_what_came_and_does_not_wait_for_the_server() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::SilentAfter(40_000), Manner::Good]);
    let came = || fs::metadata(place.part()).is_ok_and(|part| part.len() == 40_000);
    let (client, watcher) = (Client::local(PATIENCE), Watcher { hear: &|_| {}, stop: &came });
    let begun = Instant::now();
    let error = place.fetch_by(&client, &server, &archive, &watcher).unwrap_err();
    assert!(matches!(error, DataError::Stopped), "{error}");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(place.names(), ["pairs.tar.gz.part"]);
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), ["", "bytes=40000-"]);
}

#[test]
fn two_at_once_ask_the_server_once() {
    let (place, archive) = (Place::new(), pairs());
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let by_me = |hear: &dyn Fn(DownloadNews<'_>)| {
        place.fetch_by(&Client::local(PATIENCE), &server, &archive, &Watcher { hear, stop: &|| false })
    };
    let ((begins, has_begun), (waits, is_waiting)) = (mpsc::channel(), mpsc::channel());
    thread::scope(|scope| {
        let first = scope.spawn(move || {
            by_me(&|news| {
                if matches!(news, DownloadNews::Started { .. }) {
                    begins.send(()).unwrap();
                    is_waiting.recv_timeout(PATIENCE).expect("the second waits for the first");
                }
            })
        });
        has_begun.recv_timeout(PATIENCE).expect("the first begins");
        let second = by_me(&|news| {
            if matches!(news, DownloadNews::Waiting) {
                waits.send(()).unwrap();
            }
        });
        second.unwrap();
        first.join().unwrap().unwrap();
    });
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges(), [""]);
}

#[test]
fn archives_that_reach_out_of_their_folder_are_refused_and_leave_nothing() {
    let good: (EntryType, &str, &[u8]) = (EntryType::Regular, "pairs/a.bin", b"a");
    let bad: [(EntryType, &str, &[u8], &str); 9] = [
        (EntryType::Regular, "../escaped", b"x", "leads out"),
        (EntryType::Regular, "pairs/../../escaped", b"x", "leads out"),
        (EntryType::Regular, "/tmp/escaped-from-an-archive", b"x", "leads out"),
        (EntryType::Symlink, "pairs/b.bin", b"/etc/passwd", "is a link"),
        (EntryType::Link, "pairs/b.bin", b"pairs/a.bin", "is a link"),
        (EntryType::Char, "pairs/b.bin", b"", "is a device"),
        (EntryType::Fifo, "pairs/b.bin", b"", "is a pipe"),
        (EntryType::Regular, "pairs/a.bin", b"again", "twice"),
        (EntryType::Regular, "pairs/c.bin", b"", "no folder `pairs` with the files of Pairs"),
    ];
    for (kind, name, content, words) in bad {
        let place = Place::new();
        let archive = packed(&[good, (kind, name, content)]);
        let server = Server::new(archive.clone(), &[Manner::Good]);
        let error = place.fetch(&server, &archive).unwrap_err();
        assert!(matches!(error, DataError::Archive { .. }) && error.to_string().contains(words), "{name}: {error}");
        assert_eq!(place.names(), ["pairs.tar.gz.part"], "{name}");
        assert!(!place.root.path().parent().unwrap().join("escaped").exists());
        assert!(!Path::new("/tmp/escaped-from-an-archive").exists());
    }
}

/// A few bytes of gzip may be gigabytes of a name, which would be read into memory whole.
#[test]
fn a_name_without_end_is_refused_and_a_long_one_is_read() {
    let long = format!("pairs/{}", "n".repeat(200));
    let named = |length: usize| {
        let name: Vec<u8> = long.bytes().chain(std::iter::repeat(0)).take(length).collect();
        let entries: [(EntryType, &str, &[u8]); 4] = [
            (EntryType::Regular, "pairs/a.bin", b"a"),
            (EntryType::Regular, "pairs/b.bin", b"b"),
            (EntryType::GNULongName, "././@LongLink", &name),
            (EntryType::Regular, "pairs/n", b"n"),
        ];
        packed(&entries)
    };
    let place = Place::new();
    let archive = named(1 << 17);
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(error.to_string().contains("`././@LongLink` in it tells of another entry in 131072 bytes"), "{error}");
    assert_eq!(place.names(), ["pairs.tar.gz.part"]);
    let place = Place::new();
    let archive = named(long.len() + 1);
    let server = Server::new(archive.clone(), &[Manner::Good]);
    place.fetch(&server, &archive).unwrap();
    assert_eq!(fs::read(place.root.path().join(&long)).unwrap(), b"n");
}

#[test]
fn a_header_that_claims_more_than_any_data_set_has_is_refused() {
    let place = Place::new();
    let mut header = Header::new_gnu();
    header.set_path("pairs/a.bin").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(header.as_bytes()).unwrap();
    let archive = gzip.finish().unwrap();
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(error.to_string().contains("which no data set here does"), "{error}");
    // Cut short: the digest is right, so the archive itself is.
    let place = Place::new();
    let whole = pairs();
    let archive = whole[..whole.len() / 2].to_vec();
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(error.to_string().contains("it cannot be read"), "{error}");
    assert_eq!(place.names(), ["pairs.tar.gz.part"]);
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_left_beside_it() {
    let (place, archive) = (Place::new(), pairs());
    // Left by a process that was killed while it unpacked.
    fs::create_dir_all(place.root.path().join(".unpacking-pairs/pairs")).unwrap();
    fs::write(place.root.path().join(".unpacking-pairs/pairs/a.bin"), "half").unwrap();
    fs::write(place.root.path().join("pairs"), "a file").unwrap();
    let server = Server::new(archive.clone(), &[Manner::Good]);
    let error = place.fetch(&server, &archive).unwrap_err();
    assert!(matches!(&error, DataError::Write { path, .. } if path.ends_with("pairs")), "{error}");
    assert_eq!(place.names(), ["pairs", "pairs.tar.gz.part"]);
    fs::remove_file(place.root.path().join("pairs")).unwrap();
    place.fetch(&server, &archive).unwrap();
    place.holds_the_data_set_and_nothing_else();
    assert_eq!(server.ranges().len(), 1, "the archive itself had come");
}

#[test]
fn published_data_sets_say_where_they_are_published() {
    let cifar = Source::Cifar10.archive().unwrap();
    assert_eq!(cifar.file_name(), "cifar-10-binary.tar.gz");
    assert_eq!((cifar.sha256().len(), cifar.bytes()), (64, Some(170_052_171)));
    let cifar = Source::Cifar100 { labels: crate::Cifar100Labels::Fine }.archive().unwrap();
    assert_eq!((cifar.file_name(), cifar.sha256().len()), ("cifar-100-binary.tar.gz", 64));
    assert_eq!(Source::Digits { test_fraction: 0.2, test_seed: 0 }.archive(), None);
}
