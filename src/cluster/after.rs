//! What a job waits for, and how `sbatch --dependency` says it.

use super::Ticket;
use std::collections::{BTreeMap, BTreeSet};

/// How what a job waits for must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Well.
    Ok,
    /// Well, task by task: each of an array waits for the one of its own number.
    Corresponding,
    /// In any way: whoever gathers goes on with what came.
    Any,
}

/// A job that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// One that is in the queue already, by SLURM's number.
    Queued(u64),
    /// One of those that are about to be submitted, by its place among them.
    New(usize),
}

/// A job or a task of one, and how it must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct After {
    pub way: Way,
    pub of: Of,
    pub task: Option<u32>,
}

impl After {
    pub fn queued(way: Way, ticket: Ticket) -> Self {
        Self { way, of: Of::Queued(ticket.job), task: ticket.task }
    }

    /// As the task `task` of an array may say it, so that others of the array say the same.
    pub(super) fn seen_from(self, task: u32) -> Self {
        match self {
            Self { way: Way::Ok, of, task: Some(its) } if its == task => {
                Self { way: Way::Corresponding, of, task: None }
            }
            other => other,
        }
    }
}

/// What stands behind `--dependency=`; `None` where a job waits for nothing. `number` is what
/// stands for a new job, `has` whether these are all its tasks.
pub fn dependency(
    after: &BTreeSet<After>,
    number: impl Fn(usize) -> String,
    has: impl Fn(usize, &BTreeSet<u32>) -> bool,
) -> Option<String> {
    let mut ways: BTreeMap<Way, BTreeMap<Of, BTreeSet<u32>>> = BTreeMap::new();
    for After { way, of, task } in after {
        ways.entry(*way).or_default().entry(*of).or_default().extend(task);
    }
    let words = |(way, jobs): (Way, BTreeMap<Of, BTreeSet<u32>>)| {
        let word = match way {
            Way::Ok => "afterok",
            Way::Corresponding => "aftercorr",
            Way::Any => "afterany",
        };
        let jobs = jobs.into_iter().flat_map(|(of, tasks)| {
            let (name, is_whole) = match of {
                Of::Queued(job) => (job.to_string(), tasks.is_empty()),
                Of::New(job) => (number(job), tasks.is_empty() || has(job, &tasks)),
            };
            match is_whole {
                true => vec![format!(":{name}")],
                false => tasks.into_iter().map(|task| format!(":{name}_{task}")).collect(),
            }
        });
        word.to_owned() + &jobs.collect::<String>()
    };
    let all: Vec<String> = ways.into_iter().map(words).collect();
    (!all.is_empty()).then(|| all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_by_the_way_in_which_they_must_end() {
        let after = |way, of, task| After { way, of, task };
        let all = [
            after(Way::Ok, Of::New(0), None),
            after(Way::Ok, Of::Queued(7), Some(3)),
            after(Way::Corresponding, Of::New(1), None),
            after(Way::Any, Of::New(1), Some(0)),
            after(Way::Any, Of::New(1), Some(1)),
            after(Way::Any, Of::New(2), Some(1)),
        ];
        let has = |job: usize, tasks: &BTreeSet<u32>| job == 1 && tasks.len() == 2;
        let said = dependency(&all.into(), |job| format!("<{job}>"), has);
        assert_eq!(said.as_deref(), Some("afterok:7_3:<0>,aftercorr:<1>,afterany:<1>:<2>_1"));
        assert_eq!(dependency(&BTreeSet::new(), |_| String::new(), |_, _| true), None);
    }
}
