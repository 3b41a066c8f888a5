//! The machine's name in its network.

/// As `uname -n` says it.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
