//! What the queue says of a pipeline's jobs.

use super::{ClusterError, Ledger, Ticket, folder, submit::said};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Words of `squeue` for a job that will not go on.
const ENDED: [&str; 11] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "SPECIAL_EXIT",
    "TIMEOUT",
];

/// What the queue says of a member's newest job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    pub ticket: Ticket,
    /// `RUNNING`, `PENDING`, `FAILED`: a word of `squeue`.
    pub state: String,
    /// Why it waits or failed, a word too: `Dependency`, `Resources`. None where there is nothing
    /// to say.
    pub reason: Option<String>,
}

impl QueueState {
    /// Whether the job waits, runs or will run again.
    pub fn is_live(&self) -> bool {
        !ENDED.contains(&self.state.as_str())
    }
}

/// Member → what the queue says of it, for those of a pipeline's members of which a job was
/// submitted and that SLURM still knows: it forgets what ended some minutes ago. Where no job was
/// ever submitted nobody is asked.
///
/// # Errors
/// Where the list of jobs cannot be read, or the queue says nothing.
pub fn states(store: &Path, pipeline: &str) -> Result<BTreeMap<String, QueueState>, ClusterError> {
    let ledger = Ledger::read(&folder(store, pipeline))?;
    Ok(of_members(&ledger, &asked(&ledger)?))
}

/// As [`states`], for who is about to write to the ledger: of what SLURM has forgotten nothing is
/// kept.
///
/// # Errors
/// As [`states`], and where the ledger cannot be written.
pub fn sifted(ledger: &mut Ledger) -> Result<BTreeMap<String, QueueState>, ClusterError> {
    let queue = asked(ledger)?;
    ledger.keep(&queue.iter().map(|state| state.ticket.job).collect())?;
    Ok(of_members(ledger, &queue))
}

/// What the queue says of the jobs of a ledger.
fn asked(ledger: &Ledger) -> Result<Vec<QueueState>, ClusterError> {
    let names: BTreeSet<&str> = ledger.jobs.iter().map(|job| job.name.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names = format!("--name={}", Vec::from_iter(names).join(","));
    let lines = said("squeue", ["--noheader", "--array", "--states=all", "--format=%i|%T|%r", &names])?;
    Ok(lines.lines().filter_map(line).collect())
}

/// `12_3|PENDING|Dependency`
fn line(line: &str) -> Option<QueueState> {
    let [ticket, state, reason] = line.trim().split('|').collect::<Vec<_>>().try_into().ok()?;
    let reason = Some(reason).filter(|reason| *reason != "None").map(str::to_owned);
    Some(QueueState { ticket: ticket.parse().ok()?, state: state.to_owned(), reason })
}

/// Of several jobs of a member the newest that is live, else the newest.
fn of_members(ledger: &Ledger, queue: &[QueueState]) -> BTreeMap<String, QueueState> {
    let by_ticket: BTreeMap<Ticket, &QueueState> = queue.iter().map(|state| (state.ticket, state)).collect();
    let mut states: BTreeMap<String, QueueState> = BTreeMap::new();
    for (member, ticket) in ledger.jobs.iter().flat_map(|job| job.tickets()) {
        let Some(state) = by_ticket.get(&ticket) else { continue };
        if state.is_live() || !states.get(member).is_some_and(QueueState::is_live) {
            states.insert(member.to_owned(), (*state).clone());
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::super::Submitted;
    use super::*;

    #[test]
    fn a_member_has_the_state_of_its_newest_job_that_is_live() {
        let tasks = |of: &[u32]| of.iter().map(|task| (*task, format!("s[{task}]"))).collect();
        let job = |job, of: &[u32]| Submitted { job, name: "p/s:0".to_owned(), member: None, tasks: tasks(of) };
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::read(folder.path()).unwrap();
        ledger.jobs = vec![job(7, &[0, 1, 2, 3]), job(9, &[1, 2])];
        let said = "7_0|FAILED|NonZeroExitCode\n7_1|FAILED|NonZeroExitCode\n7_2|RUNNING|None\n9_1|PENDING|Resources\n\
            9_2|CANCELLED|DependencyNeverSatisfied\n9_3|RUNNING|None\n12+0|RUNNING|None\nslurm is slow\n";
        let queue: Vec<QueueState> = said.lines().filter_map(line).collect();
        let states = of_members(&ledger, &queue);
        let said: Vec<String> = states
            .iter()
            .map(|(of, state)| {
                format!("{of} {} {} {}", state.ticket, state.state, state.reason.as_deref().unwrap_or("-"))
            })
            .collect();
        assert_eq!(said, ["s[0] 7_0 FAILED NonZeroExitCode", "s[1] 9_1 PENDING Resources", "s[2] 7_2 RUNNING -"]);
    }
}
