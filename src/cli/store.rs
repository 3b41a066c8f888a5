//! `darts-run store gc`: removes what nobody needs.

use super::{Complaint, ExitClass, StoreArguments, output};
use crate::{
    observe,
    store::{Garbage, Store, StoreError, Waste},
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
    /// Remove what no result needs: objects that no record names, checkpoints of finished work, leftovers of killed runs
    Gc(GcArguments),
}

#[derive(Args, Debug)]
struct GcArguments {
    /// Also remove results and unfinished work from before the last N days, save each stage's newest result
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// List what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) fn run(command: &StoreCommand) -> Result<u8, Complaint> {
    let What::Gc(arguments) = &command.what;
    let root = &arguments.store.store;
    // Opening would make one.
    if !root.join("objects-v1").is_dir() {
        return Err(Complaint::input(format!("`{}` is no store", root.display()))
            .hint("name its folder with `--store`, or `DARTS_RUN_STORE`"));
    }
    let failed = |error: StoreError| Complaint::caused(ExitClass::Store, &error);
    let store = Store::open(root).map_err(failed)?;
    let Some(alone) = store.try_alone().map_err(failed)? else {
        return Err(Complaint::new(ExitClass::Store, format!("a run works in the store `{}`", root.display()))
            .hint("clean up when it is done: what it is making looks like garbage until then"));
    };
    let keep = arguments.keep_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let garbage = store.garbage(&alone, keep).map_err(failed)?;
    let text = if arguments.dry_run { list(&garbage) } else { String::new() } + &summary(&garbage, arguments.dry_run);
    if !arguments.dry_run {
        store.remove(&alone, &garbage).map_err(failed)?;
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
        (Waste::Damaged, "damaged files that were put aside"),
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
