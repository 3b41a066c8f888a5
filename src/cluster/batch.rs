//! The script of a job: what it asks for, and how it ends well.

use super::{Job, quoting, task_list};
use crate::config::{Pipeline, Runtime};

/// What all jobs of a pipeline have in common. Paths are absolute.
#[derive(Debug)]
pub struct Batch<'a> {
    pub pipeline: &'a Pipeline,
    /// This program.
    pub program: &'a str,
    pub file: &'a str,
    pub store: &'a str,
    /// Where relative paths start from.
    pub here: &'a str,
    /// What the caller sets of the pipeline.
    pub settings: &'a [String],
    /// Variables that the program reads.
    pub environment: &'a [(String, String)],
}

/// How the program is run and watched. `member` is what it makes, `job` what SLURM calls the job.
///
/// A program that begins has no handler yet, and is ended by the signal: by 138 or 143.
const BODY: &str = r#"
child=
signals=0
forward() {
    signals=$((signals + 1))
    if [[ -n $child ]]; then
        kill -s "$1" "$child" 2>/dev/null
    fi
}
trap 'forward USR1' USR1
trap 'forward TERM' TERM
"${run[@]}" &
child=$!
# A signal that came before there was a child.
if ((signals > 0)); then
    kill -s TERM "$child" 2>/dev/null
fi
# A signal ends a wait, and not the child.
while true; do
    before=$signals
    wait "$child"
    code=$?
    if ((signals == before)); then
        break
    fi
done
# It had no time to begin.
if ((signals > 0 && (code == 138 || code == 143))); then
    code=75
fi
# Stopped, a checkpoint is saved. What SLURM ends itself is no longer running: a preempted job it
# queues again, one that was cancelled stays so.
if ((code == 75)) && [[ $(squeue --noheader --jobs="$job" --format=%T) == RUNNING ]]; then
    scontrol requeue "$job"
fi
exit "$code"
"#;

impl Batch<'_> {
    /// The script of a job that SLURM is to call `name`; `log` is where its output goes, without
    /// the numbers that tell jobs apart.
    ///
    /// # Panics
    /// Where the job has no task.
    pub fn script(&self, job: &Job, name: &str, log: &str) -> String {
        let (_, first) = job.tasks.first_key_value().expect("a job is of a member");
        let options = options(job, name, log, self.here, &self.pipeline.members[*first].runtime);
        let options: String = options.iter().map(|option| format!("#SBATCH {}\n", quoting::option(option))).collect();
        let who = "# Written by `darts-run submit`, which writes it anew when it is typed again.";
        format!("#!/bin/bash\n{options}\n{who}\n{}{}{BODY}", self.member(job), self.run())
    }

    /// Which member this is, and what SLURM calls it.
    fn member(&self, job: &Job) -> String {
        let name = |at: &usize| quoting::shell(&self.pipeline.members[*at].name);
        if !job.is_array() {
            let only: String = job.tasks.values().map(name).collect();
            return format!("member={only}\njob=$SLURM_JOB_ID\n");
        }
        let cases: String = job.tasks.iter().map(|(task, at)| format!("{task}) member={} ;;\n", name(at))).collect();
        format!(
            "case $SLURM_ARRAY_TASK_ID in\n{cases}*) echo \"no member has the number $SLURM_ARRAY_TASK_ID\" >&2; \
             exit 2 ;;\nesac\njob=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID\n"
        )
    }

    /// The variables and the command.
    fn run(&self) -> String {
        let Self { program, file, store, settings, environment, .. } = self;
        let variables = environment.iter().map(|(name, value)| format!("export {name}={}\n", quoting::shell(value)));
        let settings = settings.iter().map(|setting| format!("--set={setting}"));
        let words = ["run".to_owned(), "--alone".to_owned(), format!("--store={store}")].into_iter().chain(settings);
        let words = [(*program).to_owned()].into_iter().chain(words).chain(["--".to_owned(), (*file).to_owned()]);
        let words: String = words.map(|word| format!("    {}\n", quoting::shell(&word))).collect();
        format!("{}run=(\n{words}    \"$member\"\n)\n", variables.collect::<String>())
    }
}

/// What `sbatch` is asked for.
fn options(job: &Job, name: &str, log: &str, here: &str, runtime: &Runtime) -> Vec<String> {
    let slurm = &runtime.slurm;
    let array = job.is_array().then(|| format!("--array={}", task_list(job.tasks.keys().copied())));
    // In a file's name `sbatch` fills in what stands behind a percent sign.
    let log = log.replace('%', "%%") + if job.is_array() { "-%A_%a.log" } else { "-%j.log" };
    let cpus = slurm.cpus.or_else(|| runtime.threads.and_then(|threads| u32::try_from(threads).ok()));
    let gpus = slurm.gpus.unwrap_or(u32::from(runtime.wants_gpu()));
    let word = |option: &str, value: &Option<String>| value.as_ref().map(|value| format!("--{option}={value}"));
    let asked = [
        Some(format!("--job-name={name}")),
        array,
        Some(format!("--chdir={here}")),
        Some(format!("--output={log}")),
        // A job that goes on writes on.
        Some("--open-mode=append".to_owned()),
        Some("--requeue".to_owned()),
        // To the script alone, which hands it on.
        Some(format!("--signal=B:USR1@{}", slurm.notice_seconds)),
        // Without it what a failed job was to be read by would wait for ever.
        Some("--kill-on-invalid-dep=yes".to_owned()),
        Some("--nodes=1".to_owned()),
        Some("--ntasks=1".to_owned()),
        cpus.map(|cpus| format!("--cpus-per-task={cpus}")),
        (gpus > 0).then(|| format!("--gres=gpu:{gpus}")),
        word("mem", &slurm.memory),
        word("time", &slurm.time),
        word("partition", &slurm.partition),
        word("account", &slurm.account),
        word("qos", &slurm.qos),
        word("constraint", &slurm.constraint),
    ];
    asked.into_iter().flatten().chain(slurm.extra.iter().cloned()).collect()
}
