//! A pipeline that is handed to SLURM, whose programs are scripts of these tests. `slurm.rs` has
//! the real ones.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Ended, Scratch, wait_until};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

/// SLURM as far as it matters: `sbatch` notes what it is asked for in `asked` and gives numbers
/// from 101 on, `squeue` says what is in the file `queue`, `scontrol` notes what it is told.
fn slurm(scratch: &Scratch) {
    fs::create_dir(scratch.path("bin")).unwrap();
    scratch.write("queue", "");
    let here = scratch.path("").display().to_string();
    let sbatch = "[ \"$1\" = --version ] && exit\n[ -e full ] && { echo 'error: no room' >&2; exit 1; }\n\
        echo \"$*\" >>asked\necho $((100 + $(wc -l <asked)))\n";
    let programs =
        [("sbatch", sbatch), ("squeue", "echo \"$*\" >>looked\ncat queue\n"), ("scontrol", "echo \"$*\" >>told\n")];
    for (name, text) in programs {
        let path = format!("bin/{name}");
        scratch.write(&path, &format!("#!/bin/sh\ncd '{here}' || exit\n{text}"));
        fs::set_permissions(scratch.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn submit(scratch: &Scratch, arguments: &[&str]) -> Ended {
    let path = format!("{}:{}", scratch.path("bin").display(), std::env::var("PATH").unwrap());
    scratch.run_with(&[("PATH", &path)], &[&["submit", "tiny.yaml"], arguments].concat())
}

/// What is said, with the parts that differ from test to test under names.
fn shown(scratch: &Scratch, text: &str) -> String {
    let here = scratch.path("").display().to_string();
    text.replace(here.trim_end_matches('/'), "[scratch]").replace(env!("CARGO_BIN_EXE_darts-run"), "[program]")
}

#[test]
fn a_dry_run_shows_all_scripts_and_submits_nothing() {
    let scratch = Scratch::with_seeds("1, 2");
    let runtime = "runtime: {threads: 2, device: cuda, checkpoint: {every_steps: 1}, slurm: {partition: gpu, time: 2-12, \
        memory: 16G, constraint: \"a100|h100\", extra: [\"--comment=two words\"]}}";
    scratch.edit("tiny.yaml", &[("runtime: {checkpoint: {every_steps: 1}}", runtime)]);
    let arguments =
        ["--dry-run", "search", "--set", "search.epochs=2", "--set", "images.runtime.slurm.notice_seconds=30"];
    let ended = submit(&scratch, &arguments).exits(0);
    assert_eq!(ended.stderr, "");
    assert!(!scratch.path("artifacts").exists(), "nothing is made");
    let filters = vec![
        (":[0-9a-f]{8}\n", ":[hash]\n"),
        ("(?s)\nchild=\n.*?exit \"\\$code\"", "\n[how the program is run and watched]"),
    ];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!(shown(&scratch, &ended.stdout), @r#"
==> [scratch]/artifacts/slurm/tiny/images.sh
#!/bin/bash
#SBATCH --job-name=tiny/images:[hash]
#SBATCH --chdir=[scratch]
#SBATCH --output=[scratch]/artifacts/slurm/tiny/images-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@30
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --nodes=1
#SBATCH --ntasks=1

# Written by `darts-run submit`, which writes it anew when it is typed again.
member='images'
job=$SLURM_JOB_ID
run=(
    '[program]'
    'run'
    '--alone'
    '--store=[scratch]/artifacts'
    '--set=search.epochs=2'
    '--set=images.runtime.slurm.notice_seconds=30'
    '--'
    '[scratch]/tiny.yaml'
    "$member"
)

[how the program is run and watched]

$ sbatch --parsable [scratch]/artifacts/slurm/tiny/images.sh

==> [scratch]/artifacts/slurm/tiny/search.sh
#!/bin/bash
#SBATCH --job-name=tiny/search:[hash]
#SBATCH --array=0-1
#SBATCH --chdir=[scratch]
#SBATCH --output=[scratch]/artifacts/slurm/tiny/search-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --gres=gpu:1
#SBATCH --mem=16G
#SBATCH --time=2-12
#SBATCH --partition=gpu
#SBATCH --constraint=a100|h100
#SBATCH "--comment=two words"

# Written by `darts-run submit`, which writes it anew when it is typed again.
case $SLURM_ARRAY_TASK_ID in
0) member='search[seed=1]' ;;
1) member='search[seed=2]' ;;
*) echo "no member has the number $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
run=(
    '[program]'
    'run'
    '--alone'
    '--store=[scratch]/artifacts'
    '--set=search.epochs=2'
    '--set=images.runtime.slurm.notice_seconds=30'
    '--'
    '[scratch]/tiny.yaml'
    "$member"
)

[how the program is run and watched]

$ sbatch --parsable --dependency=afterok:<images> [scratch]/artifacts/slurm/tiny/search.sh

images: 1 job to submit
search: 2 jobs to submit
"#);
    });
}

#[test]
fn a_pipeline_is_submitted_stage_by_stage_and_what_waits_or_runs_not_twice() {
    let scratch = Scratch::with_seeds("1, 2");
    slurm(&scratch);
    let first = submit(&scratch, &[]).exits(0);
    let expected = "images: job 101\nsearch: jobs 102_[0-1]\ncell: jobs 103_[0-1]\ntable: jobs 104_[0-1]\nreport: job 105\n\
        scripts and logs: [scratch]/artifacts/slurm/tiny\n";
    assert_eq!(shown(&scratch, &first.stdout), expected);
    let folder = "[scratch]/artifacts/slurm/tiny";
    let asked = [
        format!("--parsable {folder}/images.sh"),
        format!("--parsable --dependency=afterok:101 {folder}/search.sh"),
        format!("--parsable --dependency=aftercorr:102 {folder}/cell.sh"),
        format!("--parsable --dependency=aftercorr:103 {folder}/table.sh"),
        format!("--parsable --dependency=afterany:101:102:103:104 {folder}/report.sh"),
    ];
    assert_eq!(shown(&scratch, &scratch.read("asked")), asked.join("\n") + "\n");

    // The images are there, a search runs, one failed and took its cell along.
    scratch.run(&["tiny.yaml", "images"]).exits(0);
    let queue = "101|COMPLETED|None\n102_0|RUNNING|None\n102_1|FAILED|NonZeroExitCode\n103_0|PENDING|Dependency\n\
        103_1|CANCELLED|DependencyNeverSatisfied\n104_0|PENDING|Dependency\n104_1|CANCELLED|DependencyNeverSatisfied\n\
        105|PENDING|Dependency\n";
    scratch.write("queue", queue);
    scratch.write("asked", "\n\n\n\n\n");
    let again = submit(&scratch, &[]).exits(0);
    let expected = "images: cached\nsearch: 102_0 is in the queue (RUNNING), job 106\n\
        cell: 103_0 is in the queue (PENDING), job 107\ntable: 104_0 is in the queue (PENDING), job 108\n\
        report: 105 is in the queue (PENDING)\nscripts and logs: [scratch]/artifacts/slurm/tiny\n";
    assert_eq!(shown(&scratch, &again.stdout), expected);
    assert!(scratch.read("asked").contains(" --dependency=afterok:106 "), "{}", scratch.read("asked"));
    let looked = scratch.read("looked");
    assert!(looked.contains("--name=tiny/cell:") && looked.contains(",tiny/search:"), "{looked}");

    scratch.run(&["tiny.yaml"]).exits(0);
    let done = submit(&scratch, &[]).exits(0);
    assert_eq!(done.stdout, "images: cached\nsearch: cached\ncell: cached\ntable: cached\nreport: cached\n");
}

#[test]
fn where_a_job_is_refused_those_before_it_are_told_and_not_submitted_again() {
    let scratch = Scratch::with_seeds("1, 2");
    slurm(&scratch);
    submit(&scratch, &["images"]).exits(0);
    scratch.write("queue", "101|PENDING|Priority\n");
    scratch.write("full", "");
    let ended = submit(&scratch, &[]).exits(1);
    ended.line(&["error: `sbatch` refused: error: no room"]);
    assert!(ended.stdout.starts_with("images: 101 is in the queue (PENDING)\nsearch: 2 jobs to submit\n"));
    fs::remove_file(scratch.path("full")).unwrap();
    let ended = submit(&scratch, &[]).exits(0);
    assert!(ended.stdout.starts_with("images: 101 is in the queue (PENDING)\nsearch: jobs 102_[0-1]\n"));
    assert!(scratch.read("asked").contains("--dependency=afterok:101 "), "{}", scratch.read("asked"));
}

#[test]
fn without_slurm_it_says_so_and_what_may_be_done() {
    let scratch = Scratch::new();
    let ended = scratch.run_with(&[("PATH", "")], &["submit", "tiny.yaml"]).exits(3);
    ended.line(&["error: `sbatch` was not found"]);
    ended.line(&["hint:", "--dry-run"]);
    assert!(!scratch.path("artifacts").exists(), "nothing is made");
    scratch.run_with(&[("PATH", "")], &["submit", "tiny.yaml", "--dry-run"]).exits(0);
}

#[test]
fn what_a_stage_alone_reads_is_not_made() {
    let scratch = Scratch::with_seeds("1, 2");
    let ended = scratch.run(&["run", "--alone", "tiny.yaml", "search[seed=1]"]).exits(1);
    ended.line(&["images", "failed", "its result is not in the store, and it was not to be made"]);
    scratch.run(&["tiny.yaml", "images"]).exits(0);
    let ended = scratch.run(&["run", "--alone", "tiny.yaml", "search[seed=1]"]).exits(0);
    ended.line(&["images", "cached"]);
    let report = scratch.run(&["run", "--alone", "tiny.yaml", "report"]).exits(1);
    report.line(&["search[seed=2]", "failed"]);
    report.line(&["report", "written without"]);
    // A device that only another stage wants is not looked for.
    let elsewhere = ["--set", "search.runtime.device=cuda"];
    scratch.run(&[&["run", "--alone", "tiny.yaml", "images"], &elsewhere[..]].concat()).exits(0);
    scratch.run(&["run", "--alone", "tiny.yaml"]).exits(2);
}

/// Starts the script of a job as SLURM would.
fn start(scratch: &Scratch, name: &str, environment: &[(&str, &str)]) -> Child {
    let path = format!("{}:{}", scratch.path("bin").display(), std::env::var("PATH").unwrap());
    let script = scratch.path("artifacts/slurm/tiny").join(name);
    let mut command = Command::new("bash");
    command.arg(script).current_dir(scratch.path("")).env("PATH", path).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_script_that_is_told_to_end_saves_a_checkpoint_and_is_queued_again_while_it_runs() {
    let scratch = Scratch::with_seeds("1, 2");
    slurm(&scratch);
    scratch.run(&["tiny.yaml", "images"]).exits(0);
    submit(&scratch, &["search", "--set", "search.epochs=500"]).exits(0);
    let of_array = [("SLURM_ARRAY_JOB_ID", "101"), ("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_JOB_ID", "102")];
    let checkpoint = || !scratch.files("artifacts/work-v1").is_empty();
    for (signal, queue, told) in
        [("USR1", "RUNNING\n", true), ("TERM", "COMPLETING\n", false), ("TERM", "RUNNING\n", true), ("TERM", "", false)]
    {
        scratch.write("queue", queue);
        scratch.write("told", "");
        let _ = fs::remove_dir_all(scratch.path("artifacts/work-v1"));
        let mut script = start(&scratch, "search.sh", &of_array);
        wait_until("a checkpoint", checkpoint);
        assert!(Command::new("kill").args(["-s", signal, &script.id().to_string()]).status().unwrap().success());
        assert_eq!(script.wait().unwrap().code(), Some(75), "{signal} {queue}");
        assert_eq!(scratch.read("told"), if told { "requeue 101_1\n" } else { "" }, "{signal} {queue}");
        assert!(checkpoint());
    }
    // A plain job, which comes to its end.
    submit(&scratch, &["cell[seed=2]", "--set", "search.epochs=1"]).exits(0);
    let script = scratch.read("artifacts/slurm/tiny/search.sh");
    assert!(script.contains("member='search[seed=2]'\njob=$SLURM_JOB_ID\n"), "{script}");
    assert_eq!(start(&scratch, "search.sh", &[("SLURM_JOB_ID", "103")]).wait().unwrap().code(), Some(0));
    assert_eq!(start(&scratch, "cell.sh", &[("SLURM_JOB_ID", "104")]).wait().unwrap().code(), Some(0));
    scratch.run(&["tiny.yaml", "cell[seed=2]", "--set", "search.epochs=1"]).exits(0).line(&["cell[seed=2]", "cached"]);
}
