//! `darts-run submit FILE`: hands a pipeline to SLURM, a batch job for each stage that is not
//! cached.

use super::{
    Complaint, ExitClass, StoreArguments, output, path,
    run::{PipelineArguments, loaded, own_environment, plan},
    store::if_there,
};
use crate::{
    cluster::{self, Batch, ClusterError, Job, Ledger, QueueState, Standing, Submission},
    config::{Member, Pipeline},
    observe,
    run::{self, Outlook, Planned},
    store::{Store, file_name},
};
use clap::Args;
use indexmap::IndexMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

#[derive(Args, Debug)]
pub(super) struct SubmitArguments {
    /// Pipeline to submit
    #[arg(value_name = "FILE", value_parser = path())]
    file: PathBuf,
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Print the scripts and how they would be submitted, and submit nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArguments,
}

type Queue = BTreeMap<String, QueueState>;

pub(super) fn run(arguments: &SubmitArguments) -> Result<u8, Complaint> {
    let mut pipeline = loaded(&arguments.file, &arguments.pipeline)?;
    // How much memory there is where the jobs run is asked there.
    for member in &mut pipeline.members {
        member.runtime.allow_memory = true;
    }
    let planned = plan(&pipeline)?;
    let paths = Paths::of(arguments)?;
    let environment = own_environment()?.into_iter().filter(|(name, _)| name != "DARTS_RUN_STORE").collect::<Vec<_>>();
    let batch = Batch {
        pipeline: &pipeline,
        program: &paths.program,
        file: &paths.file,
        store: &paths.store,
        here: &paths.here,
        settings: &arguments.pipeline.settings,
        environment: &environment,
    };
    if arguments.dry_run { look(arguments, &batch, planned) } else { submit(&batch, planned) }
}

/// Says what would be submitted.
fn look(arguments: &SubmitArguments, batch: &Batch<'_>, planned: Vec<Planned>) -> Result<u8, Complaint> {
    let pipeline = batch.pipeline;
    let queue = match cluster::states(Path::new(batch.store), &pipeline.name) {
        // Where there is no SLURM nothing is queued.
        Err(ClusterError::NotHere { .. }) => Queue::new(),
        other => other.map_err(|error| complaint(&error))?,
    };
    let (standing, jobs) = wanted(pipeline, planned, if_there(&arguments.store)?.as_ref(), &queue)?;
    let submission = Submission::new(batch, jobs);
    output::say(submission.shown() + &summary(pipeline, &standing, &queue, &submission.jobs, |_| None))?;
    Ok(0)
}

/// Submits what is neither there nor in the queue.
fn submit(batch: &Batch<'_>, planned: Vec<Planned>) -> Result<u8, Complaint> {
    cluster::is_here().map_err(|error| complaint(&error))?;
    let (root, pipeline) = (Path::new(batch.store), batch.pipeline);
    let store = Store::open(root).map_err(|error| Complaint::store(&error))?;
    // Two that are typed at once would each find no job of the other's.
    let lock = store.try_lock(format!("slurm-{}", file_name(&pipeline.name)));
    let Some(_lock) = lock.map_err(|error| Complaint::store(&error))? else {
        return Err(Complaint::new(ExitClass::Failed, format!("`{}` is being submitted already", pipeline.name)));
    };
    let folder = cluster::folder(root, &pipeline.name);
    let mut ledger = Ledger::read(&folder).map_err(|error| complaint(&error))?;
    let queue = cluster::sifted(&mut ledger).map_err(|error| complaint(&error))?;
    let (standing, jobs) = wanted(pipeline, planned, Some(&store), &queue)?;
    let submission = Submission::new(batch, jobs);
    let (numbers, error) = submission.hand_in(&mut ledger);
    let number = |job: usize| numbers.get(job).copied();
    output::say(summary(pipeline, &standing, &queue, &submission.jobs, number))?;
    if let Some(error) = error {
        let complaint = complaint(&error);
        return Err(match numbers.is_empty() {
            true => complaint,
            false => complaint.hint("type it again: what is submitted already is not submitted twice"),
        });
    }
    if !numbers.is_empty() {
        output::say(format!("scripts and logs: {}\n", folder.display()))?;
    }
    Ok(0)
}

/// What a script names, as text.
struct Paths {
    program: String,
    file: String,
    store: String,
    here: String,
}

impl Paths {
    fn of(arguments: &SubmitArguments) -> Result<Self, Complaint> {
        let program = std::env::current_exe();
        let program = program.map_err(|error| Complaint::caused(ExitClass::Failed, &error))?;
        Ok(Self {
            program: text(&program)?,
            file: text(&arguments.file)?,
            store: text(&arguments.store.store)?,
            here: text(Path::new("."))?,
        })
    }
}

/// An absolute path that a script can name.
fn text(path: &Path) -> Result<String, Complaint> {
    let absolute = std::path::absolute(path).map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    let text = absolute.to_str().filter(|text| !text.chars().any(char::is_control));
    let named = || Complaint::input(format!("a script cannot name the path `{}`", absolute.display()));
    Ok(text.ok_or_else(named)?.to_owned())
}

/// How it stands with each member, and the jobs that are wanted.
fn wanted(
    pipeline: &Pipeline,
    planned: Vec<Planned>,
    store: Option<&Store>,
    queue: &Queue,
) -> Result<(Vec<Standing>, Vec<Job>), Complaint> {
    let slots = |(member, planned): (&Member, &Planned)| -> BTreeSet<String> {
        member.inputs.keys().filter(|slot| planned.stage.gathers(slot)).cloned().collect()
    };
    let gathering: Vec<BTreeSet<String>> = pipeline.members.iter().zip(&planned).map(slots).collect();
    let foreseen = run::foresee(pipeline, planned, store, observe::on_stderr().as_ref());
    let foreseen = foreseen.map_err(|error| Complaint::store(&error))?;
    let standing = foreseen.iter().map(|of| match queue.get(&of.stage).filter(|state| state.is_live()) {
        _ if of.outlook == Outlook::Cached => Standing::Cached,
        Some(state) => Standing::Queued(state.ticket),
        None => Standing::Missing,
    });
    let standing: Vec<Standing> = standing.collect();
    let jobs = cluster::jobs(pipeline, &standing, |at, slot| gathering[at].contains(slot));
    Ok((standing, jobs))
}

/// A line a stage: what of it is there, what is in the queue, and the jobs that it takes.
/// `number` is what SLURM calls a job, where it has been submitted.
fn summary(
    pipeline: &Pipeline,
    standing: &[Standing],
    queue: &Queue,
    jobs: &[Job],
    number: impl Fn(usize) -> Option<u64>,
) -> String {
    let mut stages: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (at, member) in pipeline.members.iter().enumerate() {
        stages.entry(&member.stage).or_default().push(at);
    }
    let line = |(stage, members): (&str, Vec<usize>)| {
        let mut parts = Vec::new();
        let cached = members.iter().filter(|&&at| standing[at] == Standing::Cached).count();
        if cached == members.len() {
            parts.push("cached".to_owned());
        } else if cached > 0 {
            parts.push(format!("{cached} of {} cached", members.len()));
        }
        let queued = members.iter().filter(|&&at| matches!(standing[at], Standing::Queued(_)));
        let queued = queued.filter_map(|&at| queue.get(&pipeline.members[at].name));
        parts.extend(queued.map(|of| format!("{} is in the queue ({})", of.ticket, of.state)));
        let own = jobs.iter().enumerate().filter(|(_, job)| job.stage == stage);
        parts.extend(own.map(|(at, job)| taken(job, number(at))));
        format!("{stage}: {}\n", parts.join(", "))
    };
    stages.into_iter().map(line).collect()
}

/// `job 12`, `jobs 12_[0-3]`; without a number how many.
fn taken(job: &Job, number: Option<u64>) -> String {
    let tasks = cluster::task_list(job.tasks.keys().copied());
    match number {
        Some(number) if job.is_array() => format!("jobs {number}_[{tasks}]"),
        Some(number) => format!("job {number}"),
        None if job.is_array() => format!("{} jobs to submit", job.tasks.len()),
        None => "1 job to submit".to_owned(),
    }
}

fn complaint(error: &ClusterError) -> Complaint {
    match error {
        ClusterError::NotHere { .. } => Complaint::caused(ExitClass::Input, error)
            .hint("type this where jobs are submitted from, or look with `--dry-run` at what would be submitted"),
        ClusterError::Store(error) => Complaint::store(error),
        _ => Complaint::caused(ExitClass::Failed, error),
    }
}
