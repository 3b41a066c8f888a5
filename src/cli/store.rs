//! `darts-run store`: `verify` reads all of it, `gc` removes what nobody needs.

use super::{Complaint, ExitClass, StoreArguments, output, threads};
use crate::{
    observe, run,
    store::{Audit, Garbage, Store, Waste},
};
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Args, Debug)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Remove what no result needs: objects that no record names, checkpoints of finished work,
    /// leftovers of killed runs
    Gc(GcArguments),
    /// Read and hash all of it; what is damaged is named and set aside, so that its stage runs
    /// again
    Verify(StoreArguments),
}

#[derive(Args, Debug)]
struct GcArguments {
    /// Also remove results and unfinished work from before the last N days, save each stage's
    /// newest result
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// List what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) fn run(command: &StoreCommand) -> Result<u8, Complaint> {
    threads::start(None)?;
    match &command.what {
        What::Gc(arguments) => collect(arguments, &existing(&arguments.store)?),
        What::Verify(arguments) => verify(&existing(arguments)?),
    }
}

/// The store, where there is one: who only looks makes none.
pub(super) fn if_there(arguments: &StoreArguments) -> Result<Option<Store>, Complaint> {
    let root = &arguments.store;
    if root.exists() && !root.is_dir() {
        return Err(Complaint::new(ExitClass::Store, format!("`{}` is no folder", root.display())));
    }
    Ok(Store::existing(root))
}

pub(super) fn existing(arguments: &StoreArguments) -> Result<Store, Complaint> {
    let root = &arguments.store;
    Store::existing(root).ok_or_else(|| {
        Complaint::input(format!("`{}` is no store", root.display()))
            .hint("name its folder with `--store`, or `DARTS_RUN_STORE`")
    })
}

fn verify(store: &Store) -> Result<u8, Complaint> {
    let hold = store.hold().map_err(|error| Complaint::store(&error))?;
    let Audit { files, bytes, faults, broken } = store.audit(&hold).map_err(|error| Complaint::store(&error))?;
    let mut text: String = faults.iter().map(|fault| format!("{}\n", run::sentence(fault))).collect();
    for (key, stages) in &broken {
        text += &match &stages[..] {
            [] => format!("the result {} is made again where it is asked for: it is no stage's newest\n", &key[..12]),
            stages => stages.iter().map(|stage| format!("{stage} runs again\n")).collect(),
        };
    }
    text += &format!("{files} files are whole ({})\n", observe::bytes(bytes));
    output::say(text)?;
    if faults.is_empty() {
        return Ok(0);
    }
    let all = if faults.len() == 1 { "1 file".to_owned() } else { format!("{} files", faults.len()) };
    let root = store.root().display();
    Err(Complaint::new(ExitClass::Store, format!("{all} of the store `{root}` cannot be believed"))
        .hint(format!("run the pipelines again; what was damaged is in `{root}/damaged-v1`")))
}

fn collect(arguments: &GcArguments, store: &Store) -> Result<u8, Complaint> {
    let alone = if arguments.dry_run { store.try_alone_to_look() } else { store.try_alone() };
    let Some(alone) = alone.map_err(|error| Complaint::store(&error))? else {
        return Err(Complaint::new(ExitClass::Store, format!("a run works in the store `{}`", store.root().display()))
            .hint("clean up when it is done: what it is making looks like garbage until then"));
    };
    let keep = arguments.keep_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let garbage = store.garbage(&alone, keep).map_err(|error| Complaint::store(&error))?;
    let text = if arguments.dry_run { list(&garbage) } else { String::new() } + &summary(&garbage, arguments.dry_run);
    if !arguments.dry_run {
        store.remove(&alone, &garbage).map_err(|error| Complaint::store(&error))?;
    }
    output::say(text)?;
    Ok(0)
}

fn list(garbage: &[Garbage]) -> String {
    garbage.iter().map(|Garbage { path, bytes, .. }| format!("{} {bytes}\n", path.display())).collect()
}

/// A line each kind of garbage, and the sum.
fn summary(garbage: &[Garbage], dry_run: bool) -> String {
    const KINDS: [(Waste, &str); 5] = [
        (Waste::Record, "records of old results"),
        (Waste::Object, "objects that no record names"),
        (Waste::Work, "folders of checkpoints that nobody needs"),
        (Waste::Leftover, "leftovers of killed runs"),
        (Waste::Damaged, "damaged files"),
    ];
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for (waste, name) in KINDS {
        let of_kind: Vec<u64> = garbage.iter().filter(|one| one.waste == waste).map(|one| one.bytes).collect();
        if !of_kind.is_empty() {
            let bytes = observe::bytes(of_kind.iter().sum());
            text += &format!("{verb} {name}: {} ({bytes})\n", of_kind.len());
        }
    }
    let sum = observe::bytes(garbage.iter().map(|one| one.bytes).sum());
    text + &if garbage.is_empty() { "nothing to remove\n".to_owned() } else { format!("{verb} {sum} in all\n") }
}
