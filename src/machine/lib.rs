//! What the operating system gives and what it may refuse: files that a person named, memory, time
//! of the processor, room on a disk.
//!
//! Every path that a person wrote is opened here ([`open`], [`read`], [`read_text`]), whatever room
//! wants it.

mod clock;
mod cpu_time;
mod disk;
mod home;
mod input;
mod lines;
mod memory;
mod name;
mod text;

pub use clock::unix_time;
pub use cpu_time::cpu_time;
pub use disk::{Full, free, full};
pub use home::expanded;
pub use input::{is_file, open, read, read_text, read_up_to, reason};
pub use lines::Lines;
pub use memory::memory;
pub use name::name;
