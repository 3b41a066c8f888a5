//! Which batch jobs a pipeline takes.

use super::{
    After, Ticket,
    after::{Of, Way},
};
use crate::config::Pipeline;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// SLURM's own limit of the numbers of an array's tasks, unless a site has set another one.
const MOST_TASKS: usize = 1000;

/// How it stands with a member before anything is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its result is in the store.
    Cached,
    /// A job of it waits or runs.
    Queued(Ticket),
    /// It takes a job.
    Missing,
}

/// A batch job for a member, or an array of them for members of one stage that wait for the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub stage: String,
    /// Task → member, by its place in the pipeline.
    pub tasks: BTreeMap<u32, usize>,
    pub after: BTreeSet<After>,
}

impl Job {
    pub fn is_array(&self) -> bool {
        self.tasks.len() > 1
    }
}

/// The jobs for members that are missing, each after those that it waits for. `gathers` says
/// whether a member goes on with what came of those that one of its reference keys names.
///
/// A task's number is its member's place among those of the stage: so members that read one
/// another along a matrix have equal numbers, and one array can wait for another task by task.
pub fn jobs(pipeline: &Pipeline, standing: &[Standing], gathers: impl Fn(usize, &str) -> bool) -> Vec<Job> {
    let mut stages: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (at, member) in pipeline.members.iter().enumerate() {
        stages.entry(&member.stage).or_default().push(at);
    }
    let mut jobs: Vec<Job> = Vec::new();
    let mut place: Vec<Option<(usize, Option<u32>)>> = vec![None; pipeline.members.len()];
    for (stage, members) in stages {
        for chunk in members.chunks(MOST_TASKS) {
            let missing: Vec<(u32, usize)> =
                (0..).zip(chunk.iter().copied()).filter(|(_, at)| standing[*at] == Standing::Missing).collect();
            let after = missing.iter().map(|(_, at)| waits(pipeline, *at, standing, &place, &gathers)).collect();
            for (after, tasks) in together(missing, after) {
                let is_array = tasks.len() > 1;
                for (task, at) in &tasks {
                    place[*at] = Some((jobs.len(), is_array.then_some(*task)));
                }
                jobs.push(Job { stage: stage.to_owned(), tasks, after });
            }
        }
    }
    jobs
}

/// What a member waits for.
fn waits(
    pipeline: &Pipeline,
    at: usize,
    standing: &[Standing],
    place: &[Option<(usize, Option<u32>)>],
    gathers: impl Fn(usize, &str) -> bool,
) -> BTreeSet<After> {
    let mut after = BTreeSet::new();
    for (slot, members) in &pipeline.members[at].inputs {
        // Of one alone it needs a result all the same.
        let way = if members.len() > 1 && gathers(at, slot) { Way::Any } else { Way::Ok };
        after.extend(members.iter().filter_map(|&of| match standing[of] {
            Standing::Cached => None,
            Standing::Queued(ticket) => Some(After::queued(way, ticket)),
            Standing::Missing => place[of].map(|(job, task)| After { way, of: Of::New(job), task }),
        }));
    }
    after
}

/// Members of a stage by what they wait for: all as one array where that is the same for all, or
/// where it is for each the task of its own number.
fn together(
    missing: Vec<(u32, usize)>,
    after: Vec<BTreeSet<After>>,
) -> IndexMap<BTreeSet<After>, BTreeMap<u32, usize>> {
    let is_same = after.windows(2).all(|two| two[0] == two[1]);
    let seen = |((task, _), after): (&(u32, usize), &BTreeSet<After>)| -> BTreeSet<After> {
        after.iter().map(|after| if is_same { *after } else { after.seen_from(*task) }).collect()
    };
    let forms: Vec<BTreeSet<After>> = missing.iter().zip(&after).map(seen).collect();
    let mut jobs: IndexMap<BTreeSet<After>, BTreeMap<u32, usize>> = IndexMap::new();
    for (member, (form, own)) in missing.into_iter().zip(forms.iter().zip(after)) {
        // One by itself is no array, whose tasks could have numbers.
        let is_alone = forms.iter().filter(|other| *other == form).count() == 1;
        jobs.entry(if is_alone { own } else { form.clone() }).or_default().extend([member]);
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::super::after::dependency;
    use super::*;
    use crate::config::{Member, Node, Origin, Runtime};
    use std::path::PathBuf;

    /// Members `stage[n]`, each with what it reads.
    fn pipeline(members: &[(&str, &[&str])]) -> Pipeline {
        let place = |name: &str| members.iter().position(|(member, _)| *member == name).unwrap();
        let member = |(name, reads): &(&str, &[&str])| Member {
            name: (*name).to_owned(),
            stage: name.split('[').next().unwrap().to_owned(),
            point: [].into(),
            kind: "fake".to_owned(),
            params: Node::empty_map(),
            mentions: Vec::new(),
            references: serde_json::Map::new(),
            inputs: [("from".to_owned(), reads.iter().map(|read| place(read)).collect())].into(),
            runtime: Runtime::default(),
            origin: Origin::Default,
        };
        Pipeline {
            name: "p".to_owned(),
            path: PathBuf::from("p.yaml"),
            data_root: PathBuf::from("data"),
            matrix: [].into(),
            members: members.iter().map(member).collect(),
        }
    }

    /// A line a job: its tasks, and what it waits for.
    fn said(pipeline: &Pipeline, standing: &[Standing]) -> Vec<String> {
        let jobs = jobs(pipeline, standing, |at, _| pipeline.members[at].stage == "report");
        let has = |job: usize, tasks: &BTreeSet<u32>| jobs[job].tasks.keys().eq(tasks);
        let line = |job: &Job| {
            let tasks = job.tasks.iter().map(|(task, at)| format!("{task}={}", pipeline.members[*at].name));
            let after = dependency(&job.after, |of| format!("<{of}>"), has).unwrap_or_default();
            format!("{} {after}", tasks.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
        };
        jobs.iter().map(line).collect()
    }

    const SEEDS: [(&str, &[&str]); 8] = [
        ("images", &[]),
        ("search[0]", &["images"]),
        ("search[1]", &["images"]),
        ("search[2]", &["images"]),
        ("cell[0]", &["search[0]"]),
        ("cell[1]", &["search[1]"]),
        ("cell[2]", &["search[2]"]),
        ("report", &["images", "cell[0]", "cell[1]", "cell[2]"]),
    ];

    #[test]
    fn a_matrix_is_an_array_a_stage_and_each_task_waits_for_its_own() {
        assert_eq!(
            said(&pipeline(&SEEDS), &[Standing::Missing; 8]),
            [
                "0=images",
                "0=search[0] 1=search[1] 2=search[2] afterok:<0>",
                "0=cell[0] 1=cell[1] 2=cell[2] aftercorr:<1>",
                "0=report afterany:<0>:<2>",
            ]
        );
    }

    #[test]
    fn what_is_cached_takes_no_job_and_what_is_queued_is_waited_for() {
        let (cached, missing) = (Standing::Cached, Standing::Missing);
        let queued = Standing::Queued(Ticket { job: 90, task: Some(1) });
        assert_eq!(
            said(&pipeline(&SEEDS), &[cached, cached, queued, missing, missing, missing, missing, missing]),
            [
                "2=search[2]",
                "0=cell[0]",
                "1=cell[1] afterok:90_1",
                "2=cell[2] afterok:<0>",
                "0=report afterany:<1>:<2>:<3>",
            ]
        );
        assert_eq!(
            said(&pipeline(&SEEDS), &[cached, cached, missing, missing, cached, missing, missing, missing]),
            ["1=search[1] 2=search[2]", "1=cell[1] 2=cell[2] aftercorr:<0>", "0=report afterany:<1>"]
        );
        assert!(said(&pipeline(&SEEDS), &[cached; 8]).is_empty());
        // A whole array that is in the queue is waited for task by task too.
        let of = |task| Standing::Queued(Ticket { job: 90, task: Some(task) });
        assert_eq!(
            said(&pipeline(&SEEDS), &[cached, of(0), of(1), of(2), missing, missing, missing, cached]),
            ["0=cell[0] 1=cell[1] 2=cell[2] aftercorr:90"]
        );
    }

    #[test]
    fn members_that_wait_for_different_things_are_jobs_of_their_own() {
        let crossed = pipeline(&[("a[0]", &[]), ("a[1]", &[]), ("b[0]", &["a[1]"]), ("b[1]", &["a[0]"])]);
        assert_eq!(
            said(&crossed, &[Standing::Missing; 4]),
            ["0=a[0] 1=a[1]", "0=b[0] afterok:<0>_1", "1=b[1] afterok:<0>_0"]
        );
        let both = pipeline(&[("a[0]", &[]), ("a[1]", &[]), ("b[0]", &["a[0]"]), ("b[1]", &["a[0]"])]);
        assert_eq!(said(&both, &[Standing::Missing; 4])[1..], ["0=b[0] 1=b[1] afterok:<0>_0"]);
    }

    #[test]
    fn an_array_has_no_more_tasks_than_slurm_takes() {
        let names: Vec<String> = (0..1002).map(|at| format!("a[{at}]")).collect();
        let members: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
        let jobs = jobs(&pipeline(&members), &[Standing::Missing; 1002], |_, _| false);
        let last = |job: &Job| job.tasks.last_key_value().map(|(task, at)| (*task, *at));
        assert_eq!(jobs.iter().map(last).collect::<Vec<_>>(), [Some((999, 999)), Some((1, 1001))]);
    }
}
