//! `darts-run plan FILE`: what a run would do, stage by stage and why, without doing it.

use super::{
    Complaint, StoreArguments, output, path,
    run::{PipelineArguments, planned},
    store::if_there,
};
use crate::{observe, run};
use clap::Args;
use std::path::PathBuf;

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
    let (pipeline, stages) = planned(&arguments.file, &arguments.pipeline)?;
    let store = if_there(&arguments.store)?;
    let screen = observe::on_stderr();
    let foreseen = run::foresee(&pipeline, stages, store.as_ref(), screen.as_ref());
    let foreseen = foreseen.map_err(|error| Complaint::store(&error))?;
    output::say(if arguments.json {
        let line = |stage| serde_json::to_string(stage).expect("an outlook is JSON") + "\n";
        foreseen.iter().map(line).collect()
    } else {
        observe::outlook(&foreseen, &observe::Look::of_stdout())
    })?;
    Ok(0)
}
