//! One request for an archive or the rest of it.

use std::{
    io::Read,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};
use ureq::{Agent, Error, http::Response};

/// A server that says nothing for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(15);
/// What a request reads ahead of whoever writes: this many pieces of this size.
const PIECES: usize = 16;
const PIECE: usize = 1 << 16;

/// How servers are asked, and how patiently.
pub(crate) struct Client {
    agent: Agent,
    /// Before each new try after one that brought nothing new; as many tries as there are, and the
    /// first.
    pub(super) pauses: Vec<Duration>,
}

impl Default for Client {
    /// Proxies are those of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, …).
    fn default() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("darts-run/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Self { agent: config.new_agent(), pauses: [1, 2, 4, 8].map(Duration::from_secs).into() }
    }
}

/// What a server says, piece by piece. The end of the channel is the end of the body.
pub(super) enum Reply {
    Head(Head),
    Body(Vec<u8>),
}

/// The beginning of an answer.
pub(super) struct Head {
    pub status: u16,
    /// Of the piece that is sent: where it begins, where the server names that.
    pub first: Option<u64>,
    /// Of the whole archive.
    pub in_all: Option<u64>,
}

impl Client {
    /// One that hardly waits before it asks again and looks for no proxy, for servers on this
    /// machine.
    #[cfg(test)]
    pub fn local(silence: Duration) -> Self {
        let silence = Some(silence);
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_per_read(silence).build();
        Self { agent: config.new_agent(), pauses: [5; 3].map(Duration::from_millis).into() }
    }

    /// Asks for the archive from the byte `from` on.
    ///
    /// The request has a thread of its own, since it may sit for its whole timeout in the kernel:
    /// who listens can turn away at any time. The thread touches nothing but its connection, and
    /// ends with its next word to nobody.
    pub(super) fn request(&self, url: &str, from: u64) -> Receiver<Result<Reply, Error>> {
        let (say, hear) = sync_channel(PIECES);
        let (agent, url, answer) = (self.agent.clone(), url.to_owned(), say.clone());
        let ask = move || {
            if let Err(error) = talk(&agent, &url, from, &say) {
                // Nobody may listen any more.
                let _ = say.send(Err(error));
            }
        };
        if let Err(error) = thread::Builder::new().name("download".to_owned()).spawn(ask) {
            // Somebody listens: the channel is in this hand still, and empty.
            let _ = answer.send(Err(Error::Io(error)));
        }
        hear
    }
}

fn talk(agent: &Agent, url: &str, from: u64, say: &SyncSender<Result<Reply, Error>>) -> Result<(), Error> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let answer = request.call()?;
    let head = head(&answer, from);
    let mut body = answer.into_body().into_reader();
    if say.send(Ok(Reply::Head(head))).is_err() {
        return Ok(());
    }
    loop {
        let mut piece = vec![0; PIECE];
        let count = body.read(&mut piece)?;
        piece.truncate(count);
        if count == 0 || say.send(Ok(Reply::Body(piece))).is_err() {
            return Ok(());
        }
    }
}

fn head<B>(answer: &Response<B>, from: u64) -> Head {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let length: Option<u64> = header("content-length").and_then(|text| text.trim().parse().ok());
    let status = answer.status().as_u16();
    // `bytes 1000-1999/2000`; the last number may be `*`.
    let range = header("content-range").and_then(|text| text.trim().strip_prefix("bytes "));
    let first = range.and_then(|range| range.split('-').next()?.parse().ok());
    let in_all = match status {
        206 => range.and_then(|range| range.rsplit('/').next()?.parse().ok()).or(length.map(|length| from + length)),
        _ => length,
    };
    Head { status, first, in_all }
}
