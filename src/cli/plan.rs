//! `darts-run plan FILE`: what a run would do, stage by stage and why, without doing it.

use super::{
    Complaint, StoreArguments, output, path,
    run::{PipelineArguments, planned},
    store::if_there,
};
use crate::{
    config::Pipeline,
    observe,
    run::{self, Foreseen},
};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct PlanArguments {
    /// Pipeline to look at
    #[arg(value_name = "FILE", value_parser = path())]
    file: PathBuf,
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    store: StoreArguments,
    /// Print a line of JSON for each stage
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &PlanArguments) -> Result<u8, Complaint> {
    let (_, foreseen) = foreseen(&arguments.file, &arguments.pipeline, &arguments.store)?;
    output::say(if arguments.json {
        let line = |stage| serde_json::to_string(stage).expect("an outlook is JSON") + "\n";
        foreseen.iter().map(line).collect()
    } else {
        observe::outlook(&foreseen, &observe::Look::of_stdout())
    })?;
    Ok(0)
}

/// The pipeline, and what a run of these stages of it would do with each.
pub(super) fn foreseen(
    file: &Path,
    pipeline: &PipelineArguments,
    store: &StoreArguments,
) -> Result<(Pipeline, Vec<Foreseen>), Complaint> {
    let (pipeline, stages) = planned(file, pipeline)?;
    let (store, screen) = (if_there(store)?, observe::on_stderr());
    let foreseen = run::foresee(&pipeline, stages, store.as_ref(), screen.as_ref());
    Ok((pipeline, foreseen.map_err(|error| Complaint::store(&error))?))
}
