//! The child's side: a process that has Procgen's library and does as its parent says.

use super::{
    library::Library,
    message::{self, ACT, GREETING, REFUSED, RESTORE, SAVE, SAVED, SHOWN},
    setup::Setup,
};
use crate::state;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Signal, getpid, kill_process},
    stdio,
};
use std::{
    fs::File,
    io::{self, Write},
    thread,
};

/// Until the parent ends or lets go.
pub(super) fn serve(setup: &Setup) -> io::Result<()> {
    let mut requests = File::from(stdio::stdin().try_clone_to_owned()?);
    let mut replies = File::from(stdio::stdout().try_clone_to_owned()?);
    // What the library prints must not come between replies.
    stdio::dup2_stdout(stdio::stderr())?;
    thread::Builder::new().spawn(end_with_parent)?;
    replies.write_all(GREETING)?;
    let mut library = match Library::make(setup) {
        Ok(library) => library,
        Err(why) => return message::send(&mut replies, REFUSED, &[why.as_bytes()]),
    };
    show(&library, &mut replies)?;
    let mut bytes = Vec::new();
    loop {
        match message::receive(&mut requests, &mut bytes)? {
            ACT => {
                library.act(message::numbers(&bytes, i32::from_le_bytes));
                show(&library, &mut replies)?;
            }
            SAVE => {
                let mut body = Vec::new();
                library.states(|part| state::push(&mut body, part));
                message::send(&mut replies, SAVED, &[&body])?;
            }
            RESTORE => {
                let parts = state::parts(&bytes, setup.copies).map_err(io::Error::other)?;
                library.set_states(&parts);
                show(&library, &mut replies)?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn show(library: &Library, replies: &mut File) -> io::Result<()> {
    let shown = library.shown();
    let mut head: Vec<u8> = shown.rewards.iter().flat_map(|reward| reward.to_le_bytes()).collect();
    head.extend(shown.levels.iter().flat_map(|level| level.to_le_bytes()));
    head.extend(shown.firsts);
    message::send(replies, SHOWN, &[&head, shown.frames])
}

/// However the parent ends, its end of the pipe closes. The library may be in a call that never
/// returns, and it may not be ended in the middle of one: so no destructor runs.
fn end_with_parent() {
    let stdin = stdio::stdin();
    // With no event to wait for, only the other end's closing is one.
    while poll(&mut [PollFd::new(&stdin, PollFlags::empty())], None).is_err() {}
    // Nothing could be done where even this failed; `serve` ends when it next reads.
    let _ = kill_process(getpid(), Signal::KILL);
}
