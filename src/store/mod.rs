//! What is kept: content under its digest, records of what was made, locks.
//!
//! ```text
//! artifacts/
//!   objects-v1/ab/cdef…        content under its SHA-256, read-only
//!   actions-v1/KEY.json        what one piece of work made: the only mark of its success
//!   last-v1/PIPELINE/MEMBER    the key of a stage's newest success, to say why it runs again
//!   files-v2/…                 digests of files outside the store, by path, size, mtime and inode
//!   listings-v2/…              the same of the names and sizes below a folder, by its folders
//!   locks-v1/KEY.lock          who works on a key: the kernel's lock, the file stays empty
//!   locks-v1/store.lock        who works in the store at all: shared by runs, garbage alone
//!   work-v1/KEY/               checkpoints of unfinished work
//!   standings-v1/KEY.json      how unfinished work stands, for who looks
//!   damaged-v1/…               what was not as it had been written, under the path that it had
//!   tmp-v2/                    files being written, each locked; a run sweeps what nobody holds
//! ```
//!
//! The numbers are format versions: a format that changes moves to a new folder and the old one is
//! left alone, unless its files can be told apart, as records by their `format`. Records, memos and
//! what is newest are sealed; objects are under their digest, locks are empty. The store knows
//! nothing of stages: it keeps bytes under digests and JSON under keys.

mod action;
mod atomic;
mod audit;
mod canonical;
mod digest;
mod error;
mod files;
mod folder;
mod garbage;
mod last;
mod listing;
mod lock;
mod object;
mod publish;
mod seal;
mod standing;
mod walk;

pub use action::Record;
pub use atomic::write_atomically;
pub use audit::Audit;
pub use canonical::canonical_json;
pub use digest::{Digest, NotADigest};
pub use error::StoreError;
pub use files::UnreadableFile;
pub use folder::Store;
pub use garbage::{Garbage, Waste};
pub use last::file_name;
pub use lock::{Hold, Lock};
pub use object::{ObjectRef, ObjectWriter};
