//! `darts-run status [FILE]`: how the stages of a pipeline stand, or what is at work in the store.

use super::{
    Complaint, StoreArguments,
    complaint::warn,
    output, path,
    plan::foreseen,
    run::PipelineArguments,
    store::{existing, if_there},
};
use crate::{
    cluster::{self, QueueState},
    machine, observe,
    run::{Foreseen, Standing, Status, sentence},
    store::Digest,
};
use clap::Args;
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  darts-run status pipelines/cifar10.yaml     fresh, stale, running or failed, stage by stage
  darts-run status                            all that runs in the store or came to no result";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArguments {
    /// Pipeline to look at; without one, all that is unfinished in the store
    #[arg(value_name = "FILE", value_parser = path())]
    file: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print a line of JSON for each stage
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &StatusArguments) -> Result<u8, Complaint> {
    let now = machine::unix_time();
    let rows = match &arguments.file {
        Some(file) => of_pipeline(arguments, file, now)?,
        None => of_store(arguments, now)?,
    };
    if arguments.json {
        output::say(rows.iter().map(|row| format!("{}\n", row.json)).collect::<String>())?;
    } else if rows.is_empty() {
        output::say("nothing runs, and nothing is unfinished\n")?;
    } else {
        output::say_rows(&rows.into_iter().map(|row| (row.name, row.said)).collect::<Vec<_>>())?;
    }
    Ok(0)
}

struct Row {
    name: String,
    said: String,
    json: Json,
}

fn of_pipeline(arguments: &StatusArguments, file: &Path, now: u64) -> Result<Vec<Row>, Complaint> {
    let (pipeline, foreseen) = foreseen(file, &arguments.pipeline, &arguments.store)?;
    let store = if_there(&arguments.store)?;
    // What a queue says comes on top, and where it says nothing the store still does.
    let mut queue = cluster::states(&arguments.store.store, &pipeline.name).unwrap_or_else(|error| {
        warn(&format!("what the queue says is not known: {}", sentence(&error)));
        BTreeMap::new()
    });
    let mut row = |stage: &Foreseen| {
        let known = store.as_ref().zip(stage.key);
        let standing = known.and_then(|(store, key)| store.standing(key));
        let is_running = known.is_some_and(|(store, key)| store.is_locked(key));
        let status = Status::of(stage, standing, is_running);
        let mut json = json!({"stage": stage.stage, "kind": stage.kind, "key": stage.key.map(|key| key.to_string())});
        if let (Some(json), Ok(Json::Object(more))) = (json.as_object_mut(), serde_json::to_value(&status)) {
            json.extend(more);
        }
        let mut said = observe::status(&status, now);
        if let Some(QueueState { ticket, state, reason }) =
            queue.remove(&stage.stage).filter(|_| status != Status::Fresh)
        {
            let why = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
            said += &format!("; job {ticket} is {state}{why}");
            json["job"] = json!({"number": ticket.to_string(), "state": state, "reason": reason});
        }
        Row { name: stage.stage.clone(), said, json }
    };
    Ok(foreseen.iter().map(&mut row).collect())
}

fn of_store(arguments: &StatusArguments, now: u64) -> Result<Vec<Row>, Complaint> {
    let store = existing(&arguments.store)?;
    let mut known: Vec<(_, Standing)> = store.standings().map_err(|error| Complaint::store(&error))?;
    known.sort_by(|(_, one), (_, other)| {
        (&one.pipeline, &one.member, one.at).cmp(&(&other.pipeline, &other.member, other.at))
    });
    let row = |(key, standing): &(Digest, Standing)| {
        let (name, is_running) = (format!("{}/{}", standing.pipeline, standing.member), store.is_locked(key));
        let json = json!({"stage": name, "key": key.to_string(), "running": is_running, "standing": standing});
        Row { name, said: observe::unfinished(standing, is_running, now), json }
    };
    Ok(known.iter().map(row).collect())
}
