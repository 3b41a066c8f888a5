//! The wish to stop, from a signal or from a test. Whoever works long asks [`Stop::requested`] now
//! and then.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    flag,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Who asked to stop. A run stopped by either goes on from its checkpoints when it is started
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: a person pressed Ctrl-C.
    Interrupt = 1,
    /// SIGTERM: a scheduler, or the system going down. SIGUSR1: a scheduler, a while before that.
    /// SIGHUP: the terminal was closed, or its connection.
    Terminate = 2,
}

/// A handle on the wish to stop; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// One that only [`trip`](Self::trip) trips.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGINT, SIGTERM, SIGUSR1 and SIGHUP trip. A second SIGINT ends the process at once
    /// with code 130.
    ///
    /// # Errors
    /// Where the system refuses a handler.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let interrupted = Arc::new(AtomicBool::new(false));
        // Actions run in order of registration: the first SIGINT finds the flag down, and raises
        // it.
        flag::register_conditional_shutdown(SIGINT, Signal::Interrupt.exit_code(), Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        flag::register_usize(SIGINT, Arc::clone(&stop.0), Signal::Interrupt as usize)?;
        flag::register_usize(SIGTERM, Arc::clone(&stop.0), Signal::Terminate as usize)?;
        flag::register_usize(SIGUSR1, Arc::clone(&stop.0), Signal::Terminate as usize)?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignored(&status).is_some_and(|signals| signals & signal_bit(SIGHUP) == 0) {
            flag::register_usize(SIGHUP, Arc::clone(&stop.0), Signal::Terminate as usize)?;
        }
        Ok(stop)
    }

    /// Asks to stop as `signal` would.
    pub fn trip(&self, signal: Signal) {
        self.0.store(signal as usize, Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        self.signal().is_some()
    }

    /// The newest signal that asked.
    pub fn signal(&self) -> Option<Signal> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            value if value == Signal::Terminate as usize => Some(Signal::Terminate),
            _ => Some(Signal::Interrupt),
        }
    }
}

impl Signal {
    /// The process's exit code when it was stopped so: 130 or 75.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 75,
        }
    }
}

/// The signals that the process ignores, as `/proc/self/status` lists them: `nohup` starts a
/// program so, and it then stays with the work. Where the system does not say, nothing is known,
/// and what it does at a hangup is left to it.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn signal_bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::process::Command;

    #[test]
    fn a_tripped_handle_is_seen_by_its_clones() {
        let stop = Stop::new();
        let clone = stop.clone();
        assert_eq!(clone.signal(), None);
        stop.trip(Signal::Terminate);
        assert_eq!(clone.signal(), Some(Signal::Terminate));
    }

    /// Runs only as the child of the next test: it ends its process.
    #[test]
    #[ignore = "ends its process; the next test starts it in one of its own"]
    fn child_that_is_interrupted_twice() {
        let stop = Stop::on_signals().unwrap();
        raise(SIGTERM).unwrap();
        assert_eq!(stop.signal(), Some(Signal::Terminate));
        raise(SIGINT).unwrap();
        assert_eq!(stop.signal(), Some(Signal::Interrupt));
        raise(SIGUSR1).unwrap();
        assert_eq!(stop.signal(), Some(Signal::Terminate));
        // Below `nohup` a hangup is ignored, and stays so.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignored(&status).is_none_or(|ignored| ignored & signal_bit(SIGHUP) == 0) {
            raise(SIGHUP).unwrap();
            assert_eq!(stop.signal(), Some(Signal::Terminate));
        }
        raise(SIGINT).unwrap();
        panic!("the second interrupt should have ended the process");
    }

    #[test]
    fn a_hangup_that_was_ignored_is_seen_in_the_mask() {
        assert_eq!(ignored("Name:\tdarts-run\nSigIgn:\t0000000000001001\nSigCgt:\t1\n"), Some(0x1001));
        assert_eq!(0x1001 & signal_bit(SIGHUP), 1);
        assert_eq!(0x1000 & signal_bit(SIGHUP), 0);
        assert_eq!(ignored("Name:\tdarts-run\n"), None);
        // Rust ignores SIGPIPE in every program.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert_ne!(ignored(&status).unwrap() & signal_bit(signal_hook::consts::SIGPIPE), 0);
    }

    #[test]
    fn signals_trip_and_a_second_interrupt_ends_the_process_with_130() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "run::signal::tests::child_that_is_interrupted_twice", "--ignored"])
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), Some(130));
    }
}
