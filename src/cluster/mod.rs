//! A pipeline through SLURM: which batch jobs it takes, their scripts, and what became of them.
//!
//! [`jobs`] says which jobs there are and what each waits for, [`Batch`] writes their scripts, a
//! [`Submission`] hands them to `sbatch`. A [`Ledger`] beside the scripts keeps which job is which
//! member's, and [`states`] asks `squeue` about those. Each job runs this same program for one
//! member: nothing here knows how that is done.

mod after;
mod batch;
mod error;
mod folder;
mod job;
mod ledger;
mod name;
mod queue;
mod quoting;
mod submission;
mod submit;
mod ticket;

pub use after::{After, Of, Way};
pub use batch::Batch;
pub use error::ClusterError;
pub use folder::folder;
pub use job::{Job, Standing, jobs};
pub use ledger::{Ledger, Submitted};
pub use queue::{QueueState, sifted, states};
pub use submission::Submission;
pub use submit::is_here;
pub use ticket::{Ticket, task_list};
