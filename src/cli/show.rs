//! `darts-run show GENOTYPE`: a cell drawn, its cost, and its place in its benchmark.

use super::{
    Complaint, ExitClass,
    network::{genotype_text, undescribed},
    output,
};
use crate::{
    findings,
    interop::{
        description::Description,
        nas_bench::{NasBenchColumn, NasBenchTable},
    },
    observe::Look,
    report::{Block, Cell, Column, Document, Section, Table, cell_drawing, lattice_drawing, terminal},
    space::{
        Build, EdgeOptions, Genotype, GenotypeText, SkeletonDefaults, Space,
        network::{FeatureMap, OutputSpec},
    },
};
use clap::Args;
use std::{path::Path, sync::Arc};

#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// A genotype in any of its text forms, a file that holds one (of a log the last is taken,
    /// `genotypes.py:NAME` of several), the name of a published one, the number of a benchmark's
    /// cell, or `-` for standard input
    #[arg(value_name = "GENOTYPE")]
    genotype: String,
    /// Search space by name or path; by default the first that knows the operations
    #[arg(long, value_name = "SPACE")]
    space: Option<String>,
    /// Network to count; by default every one the space has for trained cells
    #[arg(long, value_name = "NAME")]
    skeleton: Option<String>,
    /// Width of the first cell
    #[arg(long, value_name = "C")]
    channels: Option<usize>,
    /// Number of cells (of cells a segment, where the skeleton counts so)
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Classes of the head; by default the skeleton's customary number
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Height and width of the input images; by default the skeleton's customary side
    #[arg(long, value_name = "PIXELS")]
    input: Option<usize>,
}

pub(super) fn run(arguments: &ShowArguments) -> Result<u8, Complaint> {
    let text = genotype_text(&arguments.genotype)?;
    let (space, genotype) = understand(&text, arguments.space.as_deref())?;
    let mut document = Document::new(format!("A genotype of the space `{}`", space.name));
    document.sections.push(Section::new("Cells", cells(&genotype, &space)?));
    document.sections.push(Section::new("Cost", vec![Block::Table(costs(&genotype, &space, arguments)?)]));
    if let Some(table) = space.benchmark.as_deref().filter(|path| path.is_file()) {
        document.sections.extend(benchmark(&genotype, &space, table)?);
    }
    output::say(terminal::render(&document, &Look::of_stdout()))?;
    Ok(0)
}

/// The space that was named, or the first that can read the text.
fn understand(text: &str, name: Option<&str>) -> Result<(Arc<Space>, Genotype), Complaint> {
    let description =
        Description { space: name.map(str::to_owned), genotype: Some(text.to_owned()), ..Description::default() };
    let candidates = description.candidates(Path::new("")).map_err(|error| undescribed(&error))?;
    let found = candidates.into_iter().find_map(|candidate| Some((candidate.space, candidate.genotype?)));
    found.ok_or_else(|| Complaint::input("found no search space"))
}

fn cells(genotype: &Genotype, space: &Space) -> Result<Vec<Block>, Complaint> {
    let failed = |error: &dyn std::error::Error| Complaint::caused(ExitClass::Failed, error);
    let mut blocks = Vec::new();
    let lattice = findings::drawn_lattice(genotype, space, None);
    blocks.extend(lattice.map(|lattice| Block::Code(lattice_drawing::write(&lattice))));
    for cell in findings::drawn_cells(genotype, space) {
        blocks.push(Block::Code(cell_drawing::write(&cell).map_err(|error| failed(&error))?));
    }
    for form in [GenotypeText::CellString, GenotypeText::NamedTuple, GenotypeText::Yaml] {
        // A form that cannot hold this genotype is left out: the others can.
        if let Ok(text) = genotype.to_text(form, space) {
            blocks.push(Block::Code(text));
        }
    }
    Ok(blocks)
}

/// Parameters and multiply-adds of the space's discrete networks.
fn costs(genotype: &Genotype, space: &Space, arguments: &ShowArguments) -> Result<Table, Complaint> {
    let mut table = Table::new(
        "Without the auxiliary head; multiply-adds of convolutions and classifier, for one image.",
        vec![
            Column::text("network"),
            Column::number("channels"),
            Column::number("cells"),
            Column::number("classes"),
            Column::number("input"),
            Column::number("parameters"),
            Column::number("multiply-adds"),
        ],
    );
    let names: Vec<&str> = match &arguments.skeleton {
        Some(name) => vec![name.as_str()],
        None => space.skeleton_names().filter(|name| *name != "search").collect(),
    };
    for name in names {
        let Some(SkeletonDefaults { channels, size, classes, input }) = space.skeleton_defaults(name) else {
            let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(Complaint::input(format!("space `{}` has no skeleton `{name}`", space.name))
                .hint(format!("it has {known}")));
        };
        let (channels, size) = (arguments.channels.unwrap_or(channels), arguments.size.unwrap_or(size));
        let (classes, side) = (arguments.classes.unwrap_or(classes), arguments.input.unwrap_or(input));
        let build = Build {
            skeleton: name.to_owned(),
            channels: Some(channels),
            size: Some(size),
            outputs: OutputSpec::scores(classes),
            input: FeatureMap { channels: 3, height: side, width: side },
            auxiliary: false,
            edges: EdgeOptions::default(),
        };
        // Networks of other tasks put out what their heads give.
        let outputs = space.outputs(&build);
        let is_classifier = outputs == build.outputs;
        let network = space
            .discrete(genotype, &Build { outputs, ..build })
            .map_err(|error| Complaint::caused(ExitClass::Input, &error).hinted(error.hint()))?;
        let cost = network.cost();
        table.push([
            Cell::Text(name.to_owned()),
            Cell::count(channels),
            Cell::count(size),
            if is_classifier { Cell::count(classes) } else { Cell::Missing },
            Cell::Text(format!("{side}x{side}")),
            Cell::number(cost.parameters as f64, 0),
            Cell::number(cost.multiply_adds as f64, 0),
        ]);
    }
    Ok(table)
}

fn benchmark(genotype: &Genotype, space: &Space, path: &Path) -> Result<Option<Section>, Complaint> {
    let table = NasBenchTable::open(path).map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    let Ok(cell) = genotype.to_text(GenotypeText::CellString, space) else { return Ok(None) };
    let Some(row) = table.by_cell(cell.trim()) else { return Ok(None) };
    let mut rows = Table::new(
        format!(
            "Cell {} of {}, trained alone for 200 epochs; mean over the benchmark's seeds.",
            row.index,
            table.rows().len()
        ),
        vec![
            Column::text("data"),
            Column::number("accuracy").unit("%"),
            Column::number("rank"),
            Column::number("best cell").unit("%"),
        ],
    );
    for column in NasBenchColumn::ALL.into_iter().filter(|column| matches!(column, NasBenchColumn::Accuracy(..))) {
        let rank = table.rank(row.index, column).map(|(rank, _)| rank as f64);
        rows.push([
            Cell::Text(column.name().trim_end_matches("_acc").replace('_', " ")),
            Cell::number(row.get(column), 2),
            Cell::known(rank, 0),
            Cell::number(table.best(column).get(column), 2),
        ]);
    }
    Ok(Some(Section::new("Benchmark", vec![Block::Table(rows)])))
}
