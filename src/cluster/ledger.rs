//! Which job is which member's: a line of JSON for each that was submitted.
//!
//! A name alone would not do: an array has one, and the number of a member among those of its stage
//! changes with the matrix.

use super::{ClusterError, Ticket};
use crate::store::{StoreError, write_atomically};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A job that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    pub job: u64,
    pub name: String,
    /// The member of a plain job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The members of an array, by their tasks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<u32, String>,
}

impl Submitted {
    /// Its members, each with its ticket.
    pub fn tickets(&self) -> impl Iterator<Item = (&str, Ticket)> {
        let plain = self.member.as_deref().map(|member| (member, Ticket { job: self.job, task: None }));
        let tasks = self.tasks.iter();
        let tasks = tasks.map(|(task, member)| (member.as_str(), Ticket { job: self.job, task: Some(*task) }));
        plain.into_iter().chain(tasks)
    }
}

/// The jobs of a pipeline that are noted down in its folder, the newest last.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    pub jobs: Vec<Submitted>,
}

impl Ledger {
    /// What is noted in a pipeline's folder. A line that is no job, as of a program that was killed
    /// while it wrote, is passed by.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ClusterError> {
        let path = folder.join("jobs.jsonl");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| StoreError::io("read", &path)(error))?,
        };
        let jobs = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Ok(Self { jobs: jobs.collect(), path })
    }

    /// Notes a job down.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn note(&mut self, job: Submitted) -> Result<(), StoreError> {
        let line = format!("{}\n", serde_json::to_string(&job).expect("a job is JSON"));
        self.jobs.push(job);
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()));
        written.map_err(StoreError::io("write", &self.path))
    }

    /// Forgets all jobs but these.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&mut self, known: &BTreeSet<u64>) -> Result<(), StoreError> {
        let before = self.jobs.len();
        self.jobs.retain(|job| known.contains(&job.job));
        if self.jobs.len() == before {
            return Ok(());
        }
        write_atomically(&self.path, |writer| {
            self.jobs.iter().try_for_each(|job| {
                serde_json::to_writer(&mut *writer, job)?;
                writer.write_all(b"\n")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back_and_half_a_line_is_no_job() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::read(folder.path()).unwrap();
        assert!(ledger.jobs.is_empty());
        let name = "p/search:0".to_owned();
        let plain = Submitted { job: 7, name: name.clone(), member: Some("a".to_owned()), tasks: [].into() };
        let tasks = [(0, "b[0]".to_owned()), (2, "b[2]".to_owned())].into();
        let array = Submitted { job: 8, name, member: None, tasks };
        ledger.note(plain.clone()).unwrap();
        ledger.note(array.clone()).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(folder.path().join("jobs.jsonl")).unwrap();
        file.write_all(b"{\"job\": 9, \"na").unwrap();
        let mut again = Ledger::read(folder.path()).unwrap();
        assert_eq!(again.jobs, [plain, array.clone()]);
        let tickets: Vec<(String, String)> = again
            .jobs
            .iter()
            .flat_map(Submitted::tickets)
            .map(|(of, ticket)| (of.to_owned(), ticket.to_string()))
            .collect();
        let expected =
            [("a", "7"), ("b[0]", "8_0"), ("b[2]", "8_2")].map(|(of, ticket)| (of.to_owned(), ticket.to_owned()));
        assert_eq!(tickets, expected);
        again.keep(&[8].into()).unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap().jobs, [array]);
    }
}
