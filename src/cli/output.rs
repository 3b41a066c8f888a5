//! Standard output, where results go. Every command writes through here, so that none forgets to
//! look whether it was written.

use super::{Complaint, ExitClass};
use crate::observe::{self, Look};
use std::io::{self, ErrorKind, Write};

/// Writes results to standard output, to their last byte.
pub(super) fn say(text: impl AsRef<[u8]>) -> Result<(), Complaint> {
    told(stdout().write_all(text.as_ref()))
}

/// Writes names with what there is to say of each, folded beside the names to the width there is.
pub(super) fn say_rows<N: AsRef<str>>(rows: &[(N, String)]) -> Result<(), Complaint> {
    let look = Look::of_stdout();
    let width = rows.iter().map(|(name, _)| name.as_ref().chars().count()).max().unwrap_or(0);
    let row = |(name, said): &(N, String)| {
        let row = format!("{:width$}  {said}", name.as_ref());
        observe::fold(&look.text(row.trim_end()), look.width, width + 2) + "\n"
    };
    say(rows.iter().map(row).collect::<String>())
}

/// Prints the help or the version that was asked for.
pub(super) fn help(help: &clap::Error) -> Result<(), Complaint> {
    told(help.print())
}

/// Whether all of it arrived: what is still in a buffer when the process ends is lost without a
/// word.
fn told(written: io::Result<()>) -> Result<(), Complaint> {
    match written.and_then(|()| stdout().flush()) {
        Ok(()) => Ok(()),
        // A reader that went away (`| head`) has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Complaint::new(ExitClass::Failed, format!("failed to write to standard output: {error}"))),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that may")]
fn stdout() -> io::Stdout {
    io::stdout()
}
