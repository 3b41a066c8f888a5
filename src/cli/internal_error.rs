//! Faults of the program itself: each panic is told in a line with its place, and ends in an exit
//! code as any other failure.

use super::{Complaint, ExitClass, complaint};
use crate::run::panic_message;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook},
};

/// Tells every panic of any thread from now on, and where it was: who catches one knows that no
/// more.
pub(super) fn watch() {
    set_hook(Box::new(|panic| complaint::tell(&told(panic))));
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let thread = std::thread::current().name().map_or_else(String::new, |name| format!(" in thread `{name}`"));
    let mut text = format!("internal error{place}{thread}: {}\n", panic_message(panic.payload()));
    // Where `RUST_BACKTRACE` asks for one.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text += &trace.to_string();
    }
    text
}

/// What `command` comes to; a panic that nobody below caught is a failure.
pub(super) fn caught(command: impl FnOnce() -> Result<u8, Complaint>) -> Result<u8, Complaint> {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_told| {
        Err(Complaint::new(ExitClass::Failed, "darts-run has a fault, which the line above names")
            .hint("please report that line; what was finished is kept, and a rerun goes on from it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs only as the child of the next test: the hook is the whole process's.
    #[test]
    #[ignore = "sets the hook of its process; the next test starts it in one of its own"]
    fn child_that_panics() {
        watch();
        let of_another = std::thread::Builder::new().name("worker".to_owned()).spawn(|| panic!("seven is eight"));
        assert!(of_another.unwrap().join().is_err());
        let complaint = caught(|| panic!("nine is {}", 10)).unwrap_err();
        complaint.print();
        assert_eq!(complaint.class.code(), 1);
        assert_eq!(caught(|| Ok(5)).unwrap(), 5);
    }

    #[test]
    fn no_panic_of_any_thread_is_silent_and_none_ends_the_process_by_itself() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cli::internal_error::tests::child_that_panics", "--ignored", "--nocapture"])
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{stderr}");
        let place = "internal error at src/cli/internal_error.rs:";
        for end in ["in thread `worker`: seven is eight", ": nine is 10"] {
            assert!(stderr.lines().any(|line| line.starts_with(place) && line.ends_with(end)), "{end}: {stderr}");
        }
        assert!(stderr.contains("error: darts-run has a fault"), "{stderr}");
    }
}
