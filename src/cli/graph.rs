//! `darts-run graph FILE`: the stages of a pipeline and what reads what, as text that others draw.

use super::{
    Complaint, output, path,
    run::{PipelineArguments, loaded},
};
use crate::{
    config::Pipeline,
    report::{DrawnStages, stage_drawing},
};
use clap::{Args, ValueEnum};
use indexmap::{IndexMap, IndexSet};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct GraphArguments {
    /// Pipeline to draw
    #[arg(value_name = "FILE", value_parser = path())]
    file: PathBuf,
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// In which language
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "mermaid")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// What Markdown on GitHub and GitLab draws
    Mermaid,
    /// What Graphviz draws: `darts-run graph FILE --format dot | dot -Tsvg`
    Dot,
    /// What browsers and editors show
    Svg,
}

pub(super) fn run(arguments: &GraphArguments) -> Result<u8, Complaint> {
    let pipeline = loaded(&arguments.file, &arguments.pipeline)?;
    let graph = Graph::of(&pipeline);
    output::say(match arguments.format {
        Format::Mermaid => graph.mermaid(),
        Format::Dot => graph.dot(&pipeline.name),
        Format::Svg => stage_drawing::draw(&graph.drawn(&pipeline.name)),
    })?;
    Ok(0)
}

/// A matrix multiplies members, and a stage stands for all of its own.
struct Graph<'a> {
    /// By stage: its kind, and how many members it has.
    stages: IndexMap<&'a str, (&'a str, usize)>,
    /// Places of stages: what is read, and who reads it.
    edges: IndexSet<(usize, usize)>,
}

impl<'a> Graph<'a> {
    fn of(pipeline: &'a Pipeline) -> Self {
        let mut stages = IndexMap::new();
        for member in &pipeline.members {
            stages.entry(member.stage.as_str()).or_insert((member.kind.as_str(), 0)).1 += 1;
        }
        let place = |at: usize| stages.get_index_of(pipeline.members[at].stage.as_str()).unwrap_or_default();
        let edges = pipeline
            .members
            .iter()
            .enumerate()
            .flat_map(|(at, member)| member.inputs.values().flatten().map(move |&of| (of, at)).collect::<Vec<_>>());
        let edges = edges.map(|(of, at)| (place(of), place(at))).collect();
        Self { stages, edges }
    }

    /// The lines of each stage's box.
    fn labels(&self) -> impl Iterator<Item = (usize, [String; 2])> {
        self.stages.iter().enumerate().map(|(at, (stage, (kind, members)))| {
            let times = if *members > 1 { format!(" × {members}") } else { String::new() };
            (at, [format!("{stage}{times}"), (*kind).to_owned()])
        })
    }

    fn mermaid(&self) -> String {
        let boxes = self.labels().map(|(at, [name, kind])| format!("  s{at}[\"{name}<br/>{kind}\"]\n"));
        let arrows = self.edges.iter().map(|(from, to)| format!("  s{from} --> s{to}\n"));
        ["flowchart LR\n".to_owned()].into_iter().chain(boxes).chain(arrows).collect()
    }

    fn drawn(&self, name: &str) -> DrawnStages {
        DrawnStages {
            title: name.to_owned(),
            stages: self.labels().map(|(_, label)| label).collect(),
            edges: self.edges.iter().copied().collect(),
        }
    }

    fn dot(&self, name: &str) -> String {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let boxes = self.labels().map(|(at, [name, kind])| format!("  s{at} [label=\"{name}\\n{kind}\"];\n"));
        let arrows = self.edges.iter().map(|(from, to)| format!("  s{from} -> s{to};\n"));
        let begin = format!("digraph \"{name}\" {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
        [begin].into_iter().chain(boxes).chain(arrows).chain(["}\n".to_owned()]).collect()
    }
}
