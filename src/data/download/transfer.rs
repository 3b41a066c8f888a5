//! A whole archive, out of as many requests as it takes.

use super::{
    Archive, DownloadNews, Part, Watcher,
    client::{Client, Head, Reply},
};
use crate::{DataError, DownloadFault};
use std::{
    io,
    path::Path,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};
use ureq::{Error, Timeout};

/// Between two pieces of news: four a second.
const NEWS: Duration = Duration::from_millis(250);
/// How soon a stop is seen while a server says nothing.
const TURN: Duration = Duration::from_millis(100);
/// Where nobody says how large an archive is: far above any data set that is read here, far below a
/// disk.
const LARGEST: u64 = 1 << 33;

/// Why one request did not bring the archive to its end.
enum Ended {
    /// Nothing that would help on another try.
    For(DownloadFault),
    /// Worth another try; `before` says that no server was reached at all.
    Cut {
        why: String,
        before: bool,
    },
    /// The part does not fit what the server has, and was thrown away.
    Misfit,
    Here(DataError),
}

impl From<DataError> for Ended {
    fn from(error: DataError) -> Self {
        Self::Here(error)
    }
}

/// Fills `part` until it is the archive, checked. `by_hand` is where a person could put it.
pub(super) fn complete(
    part: &mut Part,
    archive: &Archive,
    by_hand: &Path,
    client: &Client,
    watcher: &Watcher<'_>,
) -> Result<(), DataError> {
    let failed = |fault| DataError::Download { url: archive.url().to_owned(), by_hand: by_hand.to_owned(), fault };
    let mut session = Session { archive, into: by_hand.parent().unwrap_or(by_hand), client, watcher, told: false };
    let mut pauses = client.pauses.iter();
    let mut furthest = part.length();
    // Bytes of two answers may be bytes of two files: then a wrong digest is worth a fresh start.
    let (mut patched, mut restarted) = (part.length() > 0, false);
    while part.digest() != archive.sha256() {
        watcher.check()?;
        let is_full = |part: &Part| archive.bytes().is_some_and(|bytes| part.length() >= bytes);
        let ended = if is_full(part) { Ok(()) } else { session.request(part) };
        match ended {
            Ok(()) => {
                let found = part.digest();
                if found == archive.sha256() {
                    break;
                }
                part.clear()?;
                if !patched || std::mem::replace(&mut restarted, true) {
                    return Err(failed(DownloadFault::Checksum { expected: archive.sha256().to_owned(), found }));
                }
                let why = "what was put together has a wrong digest; it starts anew".to_owned();
                watcher.tell(DownloadNews::Again { why });
                furthest = 0;
            }
            Err(Ended::Here(error)) => return Err(error),
            Err(Ended::For(fault)) => return Err(failed(fault)),
            Err(Ended::Misfit) => match pauses.next() {
                Some(_) => watcher.tell(DownloadNews::Again {
                    why: "what an earlier run kept does not fit the server's file; it starts anew".to_owned(),
                }),
                None => return Err(failed(DownloadFault::Misfit)),
            },
            Err(Ended::Cut { why, before }) => {
                // Who is cut off again and again, but gets further each time, will arrive.
                if part.length() > furthest {
                    furthest = part.length();
                    pauses = client.pauses.iter();
                }
                let pause = pauses.next().filter(|_| !before || session.told);
                let Some(pause) = pause else { return Err(failed(DownloadFault::Cut { why, bytes: part.length() })) };
                let why = format!("{why} after {} bytes; it goes on in {} s", part.length(), pause.as_secs());
                watcher.tell(DownloadNews::Again { why });
                watcher.sleep(*pause)?;
                patched |= part.length() > 0;
            }
        }
    }
    Ok(())
}

/// All requests for one archive.
struct Session<'a> {
    archive: &'a Archive,
    into: &'a Path,
    client: &'a Client,
    watcher: &'a Watcher<'a>,
    /// A server answered, and that was told.
    told: bool,
}

impl Session<'_> {
    /// One request for what `part` lacks, to the end of what the server says.
    fn request(&mut self, part: &mut Part) -> Result<(), Ended> {
        let replies = self.client.request(self.archive.url(), part.length());
        let mut in_all = None;
        let begun = Instant::now();
        let (mut from, mut news) = (part.length(), None);
        loop {
            self.watcher.check()?;
            match replies.recv_timeout(TURN) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(Err(error)) => return Err(ended(&error)),
                Ok(Ok(Reply::Head(head))) => {
                    in_all = self.head(&head, part)?;
                    from = part.length();
                }
                Ok(Ok(Reply::Body(piece))) => {
                    let limit = self.archive.bytes().or(in_all).unwrap_or(LARGEST);
                    if part.length() + piece.len() as u64 > limit {
                        part.clear()?;
                        return Err(Ended::For(DownloadFault::TooLong { limit }));
                    }
                    part.push(&piece)?;
                    if news.is_none_or(|news: Instant| news.elapsed() >= NEWS) {
                        news = Some(Instant::now());
                        self.progress(part.length(), in_all, part.length() - from, begun.elapsed());
                    }
                }
            }
        }
        self.progress(part.length(), in_all, part.length() - from, begun.elapsed());
        match self.archive.bytes().or(in_all) {
            // A body without a length ends like a cut connection.
            Some(bytes) if part.length() < bytes => Err(Ended::Cut { why: CUT.to_owned(), before: false }),
            _ => Ok(()),
        }
    }

    /// Looks at the beginning of an answer, makes `part` fit it, and says how large the archive is,
    /// if that is known.
    fn head(&mut self, head: &Head, part: &mut Part) -> Result<Option<u64>, Ended> {
        match head.status {
            200 | 206 => {}
            // The part is as long as the server's file, or longer, and has another digest.
            416 if part.length() > 0 => {
                part.clear()?;
                return Err(Ended::Misfit);
            }
            status @ (408 | 429 | 500..) => {
                return Err(Ended::Cut { why: DownloadFault::Status { status }.to_string(), before: false });
            }
            status => return Err(Ended::For(DownloadFault::Status { status })),
        }
        if let (Some(found), Some(expected)) = (head.in_all, self.archive.bytes())
            && found != expected
        {
            return Err(Ended::For(DownloadFault::Size { expected, found }));
        }
        // A server that knows nothing of ranges sends all of it.
        if head.status == 200 {
            part.clear()?;
        } else if head.first.is_some_and(|first| first != part.length()) {
            part.clear()?;
            return Err(Ended::Misfit);
        }
        if !std::mem::replace(&mut self.told, true) {
            let news = DownloadNews::Started { url: self.archive.url(), into: self.into, kept: part.length() };
            self.watcher.tell(news);
        }
        Ok(head.in_all.or(self.archive.bytes()))
    }

    fn progress(&self, bytes: u64, in_all: Option<u64>, came: u64, took: Duration) {
        let seconds = took.as_secs_f64();
        let per_second = (came > 0 && seconds > 0.0).then(|| came as f64 / seconds);
        let left = in_all.map(|in_all| in_all.saturating_sub(bytes));
        let remaining = left.zip(per_second).map(|(left, speed)| left as f64 / speed);
        let remaining = remaining.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.watcher.tell(DownloadNews::Progress { bytes, in_all, per_second, remaining });
    }
}

const CUT: &str = "the connection was cut";

/// What an error of the connection means for the download.
fn ended(error: &Error) -> Ended {
    let cut = |why: &str| Ended::Cut { why: why.to_owned(), before: false };
    let before = |why: String| Ended::Cut { why, before: true };
    match error {
        Error::HostNotFound => before("no such host is known here, or there is no network".to_owned()),
        Error::ConnectionFailed | Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            before("no connection could be made".to_owned())
        }
        Error::Timeout(_) => cut("the server fell silent"),
        Error::Io(cause) => match cause.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => cut(CUT),
            io::ErrorKind::ConnectionRefused => before("the server refuses the connection".to_owned()),
            _ => before(format!("no connection could be made: {cause}")),
        },
        // An answer that is no HTTP, as half of one is.
        Error::Protocol(cause) => cut(&format!("the answer is broken ({cause})")),
        other => Ended::For(DownloadFault::Refused(other.to_string())),
    }
}
