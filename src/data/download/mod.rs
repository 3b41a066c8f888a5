//! Downloads of published data sets: the archive fetched, checked, unpacked beside its place, and
//! moved there in one step.
//!
//! | file | what it is |
//! | --- | --- |
//! | `archive` | what is fetched: address, digest, size |
//! | `client` | one request, on a thread of its own, so that a stop need not wait for a server |
//! | `part` | the file that fills: locked, hashed as it grows, kept for the next run |
//! | `transfer` | a whole archive out of as many requests as it takes |
//! | `unpack` | regular files inside one folder, and nothing else |
//!
//! Nothing here knows who listens: what happens is told to a closure as [`DownloadNews`].

mod archive;
mod client;
mod part;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
mod transfer;
mod unpack;

pub use archive::Archive;
pub(super) use archive::Official;

use crate::{
    DataError,
    sources::locate::{Wanted, locate},
};
pub(super) use client::Client;
use part::Part;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// What a download tells while it goes.
#[derive(Debug, Clone, PartialEq)]
pub enum DownloadNews<'a> {
    /// Another process fetches the same archive.
    Waiting,
    /// The server answered; `kept` bytes are there from an earlier try.
    Started { url: &'a str, into: &'a Path, kept: u64 },
    /// Told a few times a second.
    Progress { bytes: u64, in_all: Option<u64>, per_second: Option<f64>, remaining: Option<Duration> },
    /// Something went wrong and is tried again.
    Again { why: String },
    /// All `bytes` are unpacked and in their place.
    Finished { bytes: u64, wall: Duration },
}

/// Who hears of a download, and who may stop it.
pub struct Watcher<'a> {
    pub hear: &'a dyn Fn(DownloadNews<'_>),
    pub stop: &'a dyn Fn() -> bool,
}

impl Watcher<'_> {
    fn tell(&self, news: DownloadNews<'_>) {
        (self.hear)(news);
    }

    /// # Errors
    /// [`DataError::Stopped`] once a stop was asked for.
    fn check(&self) -> Result<(), DataError> {
        if (self.stop)() { Err(DataError::Stopped) } else { Ok(()) }
    }

    /// Sleeps, unless a stop comes.
    fn sleep(&self, time: Duration) -> Result<(), DataError> {
        const TURN: Duration = Duration::from_millis(50);
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TURN));
        }
    }
}

/// Brings the folder of `wanted` into `root`: from the archive that someone put there, else from
/// its address. Where another process just did, nothing is left to do.
///
/// # Errors
/// What failed, with what to do by hand. The folder is whole or not there; what came stays for the
/// next run, unless its digest is wrong.
pub(super) fn fetch(
    root: &Path,
    wanted: &Wanted,
    archive: &Archive,
    client: &Client,
    watcher: &Watcher<'_>,
) -> Result<(), DataError> {
    fs::create_dir_all(root).map_err(DataError::write(root))?;
    let by_hand = root.join(archive.file_name());
    let mut part = Part::open(&root.join(format!("{}.part", archive.file_name())), watcher)?;
    match locate(root, wanted) {
        Err(DataError::NotFound { .. }) => {}
        found_or_half => return found_or_half.map(drop),
    }
    let begun = Instant::now();
    if by_hand.is_file() {
        archive.check(&by_hand)?;
        unpack::publish(&by_hand, root, wanted, watcher)?;
    } else {
        transfer::complete(&mut part, archive, &by_hand, client, watcher)?;
        unpack::publish(part.path(), root, wanted, watcher)?;
        watcher.tell(DownloadNews::Finished { bytes: part.length(), wall: begun.elapsed() });
    }
    // Its content is unpacked: the archive itself would only take space.
    part.clear()
}
