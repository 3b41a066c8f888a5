//! What a stage is given while it makes present what its key will hash.

use super::{EventKind, Stop, Transfer, announce::Announcer};
use std::time::Duration;

/// One stage's view of a run before its key is known: an ear for what it has to say, and the wish
/// to stop.
pub struct Fetch<'a> {
    pub(super) member: &'a str,
    pub(super) stop: &'a Stop,
    pub(super) announcer: Announcer<'a>,
}

impl Fetch<'_> {
    /// Shows that another process fetches the same thing.
    pub fn waiting(&self) {
        self.announcer.say(EventKind::StageWaiting { stage: self.stage() });
    }

    /// Shows that bytes begin to come from `url` into the folder `into`; `kept` of them are there
    /// from an earlier try.
    pub fn started(&self, url: &str, into: &str, kept: u64) {
        let kind = EventKind::DownloadStarted {
            stage: self.stage(),
            url: url.to_owned(),
            into: into.to_owned(),
            kept_bytes: kept,
        };
        self.announcer.say(kind);
    }

    /// Shows how far it is. Plain figures for people: a few times a second is plenty.
    pub fn progress(&self, transfer: Transfer) {
        self.announcer.say(EventKind::DownloadProgress { stage: self.stage(), transfer });
    }

    /// Shows that all `bytes` came, checked and in their place, in this much time.
    pub fn finished(&self, bytes: u64, wall: Duration) {
        self.announcer.say(EventKind::DownloadFinished { stage: self.stage(), bytes, wall });
    }

    /// Shows something that a person should know and that does not stop the work.
    pub fn warn(&self, message: impl Into<String>) {
        self.announcer.warn(self.member, message);
    }

    /// Whether a signal asked to stop: then keep what came and return
    /// [`StageError::Interrupted`](super::StageError).
    pub fn stop_requested(&self) -> bool {
        self.stop.requested()
    }

    fn stage(&self) -> String {
        self.member.to_owned()
    }
}
