//! The jobs of a pipeline with their scripts, to be looked at or handed to SLURM.

use super::{Batch, ClusterError, Job, Ledger, Submitted, after::dependency, folder, name::job_name, submit::submit};
use crate::store::{StoreError, file_name, write_atomically};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub struct Submission<'a> {
    batch: &'a Batch<'a>,
    /// Each behind those that it waits for.
    pub jobs: Vec<Job>,
    scripts: Vec<Script>,
}

#[derive(Debug)]
struct Script {
    /// What SLURM calls the job.
    name: String,
    path: PathBuf,
    text: String,
}

impl<'a> Submission<'a> {
    pub fn new(batch: &'a Batch<'a>, jobs: Vec<Job>) -> Self {
        let store = Path::new(batch.store);
        let folder = folder(store, &batch.pipeline.name);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let script = |job: &Job, count: u32| {
            // No stage has a dot in its name.
            let more = if count > 1 { format!(".{count}") } else { String::new() };
            let stem = file_name(&job.stage) + &more;
            let name = job_name(store, &batch.pipeline.name, &job.stage);
            // Paths of a batch are text.
            let log = folder.join(&stem).display().to_string();
            Script { text: batch.script(job, &name, &log), path: folder.join(stem + ".sh"), name }
        };
        let scripts = jobs
            .iter()
            .map(|job| {
                let count = counts.entry(&job.stage).or_default();
                *count += 1;
                script(job, *count)
            })
            .collect();
        Self { batch, scripts, jobs }
    }

    /// The scripts, each with the command that would submit it, `<search>` standing for the number
    /// that a job would get.
    pub fn shown(&self) -> String {
        let shown = |(job, script): (&Job, &Script)| {
            let stem = |at: usize| format!("<{}>", self.scripts[at].path.file_stem().unwrap_or_default().display());
            let after = self.dependency(job, stem).map_or_else(String::new, |after| format!(" --dependency={after}"));
            let path = script.path.display();
            format!("==> {path}\n{}\n$ sbatch --parsable{after} {path}\n\n", script.text)
        };
        self.jobs.iter().zip(&self.scripts).map(shown).collect()
    }

    /// Writes the scripts and hands them to SLURM, each noted down at once. Gives the jobs' numbers
    /// in their order, as far as it came, and what was in the way of the others.
    pub fn hand_in(&self, ledger: &mut Ledger) -> (Vec<u64>, Option<ClusterError>) {
        let mut numbers = Vec::with_capacity(self.jobs.len());
        for (job, script) in self.jobs.iter().zip(&self.scripts) {
            match self.hand_in_one(job, script, &numbers, ledger) {
                Ok(number) => numbers.push(number),
                Err(error) => return (numbers, Some(error)),
            }
        }
        (numbers, None)
    }

    fn hand_in_one(
        &self,
        job: &Job,
        script: &Script,
        numbers: &[u64],
        ledger: &mut Ledger,
    ) -> Result<u64, ClusterError> {
        if let Some(folder) = script.path.parent() {
            fs::create_dir_all(folder).map_err(|error| StoreError::io("create the folder", folder)(error))?;
        }
        write_atomically(&script.path, |writer| writer.write_all(script.text.as_bytes()))?;
        let after = self.dependency(job, |at| numbers[at].to_string());
        let number = submit(&script.path, after.as_deref())?;
        let name = |at: &usize| self.batch.pipeline.members[*at].name.clone();
        let member = if job.is_array() { None } else { job.tasks.values().next().map(name) };
        let tasks =
            if job.is_array() { job.tasks.iter().map(|(task, at)| (*task, name(at))).collect() } else { [].into() };
        let submitted = Submitted { job: number, name: script.name.clone(), member, tasks };
        ledger.note(submitted).map_err(|source| ClusterError::NotNoted { job: number, source })?;
        Ok(number)
    }

    fn dependency(&self, job: &Job, number: impl Fn(usize) -> String) -> Option<String> {
        let has = |of: usize, tasks: &BTreeSet<u32>| self.jobs[of].tasks.keys().eq(tasks);
        dependency(&job.after, number, has)
    }
}
