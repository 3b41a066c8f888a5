//! A server for tests: one archive, and all that can go wrong with it.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What it does with one request.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Answers as it should, ranges included.
    Good,
    /// Closes the connection after so many bytes of the body.
    CutAfter(usize),
    /// Says nothing more after so many bytes of the body, and keeps the connection for as long as
    /// the server is there.
    SilentAfter(usize),
    /// Sends all of it, whatever range was asked for.
    NoRanges,
    /// Answers with a range that begins at this byte.
    WrongRange(usize),
    Status(u16),
    /// No `Content-Length`: the end of the connection is the end of the body, here after so many
    /// bytes.
    NoLength(usize),
}

pub struct Server {
    pub url: String,
    /// The `Range` header of each request so far, empty where there was none.
    ranges: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    /// Connections on which nothing more is said, kept as long as the server.
    silent: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    /// Serves `archive`: the first request in the first manner and so on, all further ones in the
    /// last.
    pub fn new(archive: Vec<u8>, manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let server = Self { url, ranges: Arc::default(), ends: Arc::default(), silent: Arc::default() };
        let (ranges, ends, silent) = (server.ranges.clone(), server.ends.clone(), server.silent.clone());
        let manners = manners.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let manner = manners[ranges.lock().unwrap().len().min(manners.len() - 1)];
                let stream = stream.unwrap();
                let range = asked(&stream);
                ranges.lock().unwrap().push(range.clone());
                match answer(&stream, &archive, &range, manner) {
                    Ok(()) if matches!(manner, Manner::SilentAfter(_)) => silent.lock().unwrap().push(stream),
                    // Whoever asked may be gone.
                    _ => _ = stream.shutdown(Shutdown::Both),
                }
            }
        });
        server
    }

    pub fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the listener up.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://").split('/').next().unwrap_or_default());
    }
}

/// Bytes that do not get smaller when they are packed: xorshift64 (Marsaglia, 2003).
pub fn noise(seed: u64) -> impl Iterator<Item = u8> {
    std::iter::successors(Some(seed), |state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    })
    .skip(100)
    .map(|state| (state >> 24) as u8)
}

fn asked(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let ranges = lines.filter_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
    ranges.last().unwrap_or_default()
}

fn answer(mut stream: &TcpStream, archive: &[u8], range: &str, manner: Manner) -> std::io::Result<()> {
    let asked: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
    let in_all = archive.len();
    let from = match manner {
        Manner::NoRanges | Manner::NoLength(_) => 0,
        Manner::WrongRange(from) => from,
        _ => asked,
    };
    if let Manner::Status(status) = manner {
        return write!(stream, "HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    if from > 0 && from >= in_all {
        let range = format!("Content-Range: bytes */{in_all}");
        return write!(stream, "HTTP/1.1 416 No\r\n{range}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let body = &archive[from..];
    let (status, range) = match from {
        0 => ("200 OK", String::new()),
        _ => ("206 Partial Content", format!("Content-Range: bytes {from}-{}/{in_all}\r\n", in_all - 1)),
    };
    let length = match manner {
        Manner::NoLength(_) => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    write!(stream, "HTTP/1.1 {status}\r\n{range}{length}Connection: close\r\n\r\n")?;
    match manner {
        Manner::CutAfter(bytes) | Manner::NoLength(bytes) | Manner::SilentAfter(bytes) => {
            stream.write_all(&body[..bytes.min(body.len())])?;
        }
        _ => stream.write_all(body)?,
    }
    stream.flush()
}
