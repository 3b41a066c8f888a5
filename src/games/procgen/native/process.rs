//! The parent's side: a child that plays, and what becomes of it.

use super::{
    CHILD,
    message::{self, GREETING, REFUSED},
    setup::Setup,
};
use crate::{GameError, procgen::Launch};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::{Errno, ioctl_fionbio},
    pipe::fcntl_setpipe_size,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::{fs::FileExt, process::CommandExt},
    },
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Bytes of the pipe for replies: the most that Linux gives to everybody.
const WIDE: usize = 1 << 20;

/// How long a child that closed its pipe may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A child that plays. It ends with this value.
pub(super) struct Process {
    game: &'static str,
    launch: Launch,
    child: Child,
    requests: Patient<ChildStdin>,
    replies: Patient<ChildStdout>,
    /// Its standard error: a file in memory, so that nobody need read it while the child writes.
    said: File,
    is_over: bool,
}

impl Process {
    /// A child that has greeted; what it shows first can be received.
    pub(super) fn start(game: &'static str, launch: &Launch, setup: &Setup) -> Result<Self, GameError> {
        let failed = |source: io::Error| GameError::Start { game, program: launch.program.clone(), source };
        let said = memfd_create("said by procgen", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let said = File::from(said);
        let mut child = Command::new(&launch.program)
            .arg(CHILD)
            .args(setup.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said.try_clone().map_err(failed)?)
            // Ctrl-C is for the parent, which may want to save the games first.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let requests = child.stdin.take().expect("its standard input is piped");
        let replies = child.stdout.take().expect("its standard output is piped");
        // Frames of 64 copies fit in whole then, so that neither waits for the other in between. Some
        // systems allow less, and it works all the same.
        let _ = fcntl_setpipe_size(&replies, WIDE);
        // A write to a pipe that nobody empties would wait for ever.
        ioctl_fionbio(&requests, true).map_err(|error| failed(error.into()))?;
        let requests = Patient { pipe: requests, patience: launch.patience };
        let replies = Patient { pipe: replies, patience: launch.patience };
        let mut this = Self { game, launch: launch.clone(), child, requests, replies, said, is_over: false };
        let mut greeting = [0; GREETING.len()];
        match this.replies.read_exact(&mut greeting) {
            Ok(()) if greeting == *GREETING => Ok(this),
            Ok(()) => Err(this.strange()),
            Err(error) => Err(this.fail(&error)),
        }
    }

    /// Asks, and puts the bytes of the answer in `bytes`.
    pub(super) fn ask(&mut self, request: u8, with: &[u8], answer: u8, bytes: &mut Vec<u8>) -> Result<(), GameError> {
        if self.is_over {
            return Err(GameError::Over { game: self.game });
        }
        if let Err(error) = message::send(&mut self.requests, request, &[with]) {
            return Err(self.fail(&error));
        }
        self.receive(answer, bytes)
    }

    pub(super) fn receive(&mut self, answer: u8, bytes: &mut Vec<u8>) -> Result<(), GameError> {
        match message::receive(&mut self.replies, bytes) {
            Ok(letter) if letter == answer => Ok(()),
            Ok(REFUSED) => {
                self.end();
                Err(GameError::Refused { game: self.game, why: String::from_utf8_lossy(bytes).into_owned() })
            }
            Ok(_) => Err(self.strange()),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// What answered is no child of ours.
    pub(super) fn strange(&mut self) -> GameError {
        self.end();
        GameError::Stranger { game: self.game, program: self.launch.program.clone() }
    }

    /// The child did not answer: it has ended, or it is ended now.
    fn fail(&mut self, error: &io::Error) -> GameError {
        let is_hung = error.kind() == io::ErrorKind::TimedOut;
        // One that closed its pipe is about to end, with a status of its own.
        let asked = Instant::now();
        while !is_hung && asked.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(1));
        }
        let how = self.end();
        let (game, said) = (self.game, self.said());
        if is_hung {
            GameError::Hung { game, patience: self.launch.patience, said }
        } else {
            GameError::Ended { game, how, said }
        }
    }

    /// Ends it, where it has not ended by itself, and says how it ended.
    fn end(&mut self) -> String {
        self.is_over = true;
        let status = self.child.kill().and_then(|()| self.child.wait());
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// The last of what it said on standard error.
    fn said(&self) -> String {
        const MOST: usize = 1000;
        let mut bytes = vec![0; MOST];
        let length = self.said.metadata().map_or(0, |metadata| metadata.len());
        let read = self.said.read_at(&mut bytes, length.saturating_sub(MOST as u64)).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A pipe that is waited for no longer than so long at a time.
struct Patient<P> {
    pipe: P,
    patience: Duration,
}

impl<P: AsFd> Patient<P> {
    fn wait(&self, event: PollFlags) -> io::Result<()> {
        let patience = Timespec::try_from(self.patience).map_err(io::Error::other)?;
        loop {
            match poll(&mut [PollFd::new(&self.pipe, event)], Some(&patience)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                // A signal of the parent's own.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Patient<ChildStdout> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN)?;
        self.pipe.read(buffer)
    }
}

impl Write for Patient<ChildStdin> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.wait(PollFlags::OUT)?;
            match self.pipe.write(bytes) {
                // There was room, but not for what must be written at one time.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Levels;
    use crate::procgen::native::folder::Folder;

    #[test]
    fn a_child_that_takes_nothing_in_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("greets");
        // By another process, as a file that is open for writing cannot be run.
        let write = "printf '#!/bin/sh\nprintf \"darts-games 0001\"\nexec sleep 1000\n' >\"$0\" && chmod +x \"$0\"";
        assert!(Command::new("/bin/sh").args(["-c", write]).arg(&program).status().unwrap().success());
        let setup = Setup {
            folder: Folder { library: "/libenv.so".into(), assets: "/assets".into() },
            game: "coinrun".to_owned(),
            mode: 0,
            levels: Levels::ALL,
            copies: 1,
            seed: 0,
            threads: 0,
        };
        let launch = Launch { program, patience: Duration::from_secs(1) };
        let mut process = Process::start("coinrun", &launch, &setup).unwrap();
        let state = vec![0; 4 << 20];
        let error = process.ask(message::RESTORE, &state, message::SHOWN, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the process that plays `coinrun` did not answer for 1 s and was ended");
        let error = process.ask(message::SAVE, &[], message::SAVED, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, GameError::Over { .. }), "{error}");
    }
}
