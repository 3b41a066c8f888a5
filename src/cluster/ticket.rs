//! The number under which SLURM knows a job or a task of an array.

use std::{fmt, str::FromStr};

/// `12`, or task 3 of the array 12: `12_3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    pub job: u64,
    pub task: Option<u32>,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            None => write!(f, "{}", self.job),
            Some(task) => write!(f, "{}_{task}", self.job),
        }
    }
}

/// A text that is no ticket, such as `12+0`: a part of a job of another kind.
#[derive(Debug)]
pub struct NoTicket;

impl FromStr for Ticket {
    type Err = NoTicket;

    fn from_str(text: &str) -> Result<Self, NoTicket> {
        let (job, task) = text.split_once('_').map_or((text, None), |(job, task)| (job, Some(task)));
        let task = task.map(str::parse).transpose().map_err(|_| NoTicket)?;
        Ok(Self { job: job.parse().map_err(|_| NoTicket)?, task })
    }
}

/// Tasks as `sbatch --array` takes them: `0-2,5`.
pub fn task_list(tasks: impl IntoIterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for task in tasks {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == task => *last = task,
            _ => runs.push((task, task)),
        }
    }
    let run = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    runs.into_iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_written_as_slurm_writes_it() {
        for text in ["12", "12_3"] {
            assert_eq!(text.parse::<Ticket>().unwrap().to_string(), text);
        }
        for text in ["", "12+0", "12_", "12_[0-3]", "_1", "x"] {
            assert!(text.parse::<Ticket>().is_err(), "{text}");
        }
    }

    #[test]
    fn tasks_side_by_side_are_one_range() {
        assert_eq!(task_list([0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(task_list([]), "");
    }
}
