//! `darts-run parity FILE…`: is this build, on this device, the network that PyTorch computed?

use super::{Complaint, ExitClass, output, path, threads};
use crate::{
    interop::parity::{self, Group, Parity},
    kernels::Kernels,
    model::DeviceName,
    observe::Look,
    report::{Block, Cell, Column, Document, Section, Table, terminal},
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct ParityArguments {
    /// Golden files (safetensors with the reference's tensors and its description as metadata). A
    /// file whose own numbers move by more than the stated tolerance when weights and images are
    /// moved by roundings is judged by how far they move
    #[arg(value_name = "FILE", required = true, value_parser = path())]
    files: Vec<PathBuf>,
    /// `cpu`, `cuda`, `wgpu`, `cuda:INDEX` or `wgpu:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Whose operators compute
    #[arg(long, value_enum, default_value = "native")]
    kernels: KernelChoice,
    /// One JSON object a file instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum KernelChoice {
    /// Ours, where there are any for the device
    Native,
    /// burn's
    Reference,
}

impl From<KernelChoice> for Kernels {
    fn from(choice: KernelChoice) -> Self {
        match choice {
            KernelChoice::Native => Self::Native,
            KernelChoice::Reference => Self::Reference,
        }
    }
}

pub(super) fn run(arguments: &ParityArguments) -> Result<u8, Complaint> {
    let device: DeviceName = arguments.device.parse().map_err(|error| Complaint::caused(ExitClass::Usage, &error))?;
    let device = device.open().map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    threads::start(None)?;
    let kernels = arguments.kernels.into();
    let mut within = true;
    for file in &arguments.files {
        let parity = parity::replay(file, Path::new(""), kernels, &device)
            .map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
        within &= parity.is_within();
        let text = if arguments.json {
            serde_json::to_string(&parity).expect("a parity report is plain data") + "\n"
        } else {
            terminal::render(&document(&parity), &Look::of_stdout())
        };
        output::say(text)?;
    }
    Ok(if within { 0 } else { ExitClass::ExpectationMissed.code() })
}

fn document(parity: &Parity) -> Document {
    let mut table = Table::new(
        "",
        vec![
            Column::text("group"),
            Column::number("tensors"),
            Column::number("error"),
            Column::number("stated"),
            Column::number("sensitivity"),
            Column::number("tolerance"),
            Column::text("verdict"),
        ],
    );
    for group in &parity.groups {
        let verdict = match (group.is_within(), group.widened) {
            (true, 0) => "ok",
            (true, _) => "widened",
            (false, _) => "out of tolerance",
        };
        table.push([
            Cell::Text(group.name.to_owned()),
            Cell::count(group.tensors),
            Cell::Text(format!("{:.1e}", group.error)),
            Cell::Text(format!("{:.0e}", group.stated)),
            group.sensitivity.map_or(Cell::Missing, |moved| Cell::Text(format!("{moved:.1e}"))),
            Cell::Text(format!("{:.0e}", group.tolerance)),
            Cell::from(verdict),
        ]);
    }
    let mut document = Document::new(parity.file.display().to_string());
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(widening(parity).map(Block::Text));
    let missed: Vec<String> =
        parity.groups.iter().filter(|group| !group.is_within()).map(|group| format!("`{}`", group.worst)).collect();
    if !missed.is_empty() {
        blocks.push(Block::Text(format!("Out of tolerance, the worst tensor of each group: {}", missed.join(", "))));
    }
    document.sections.push(Section::new(parity.what.clone(), blocks));
    document
}

/// Why some tensors were held to more than what is stated, where any were.
fn widening(parity: &Parity) -> Option<String> {
    let sum = |count: fn(&Group) -> usize| parity.groups.iter().map(count).sum::<usize>();
    let (widened, undetermined) = (sum(|group| group.widened), sum(|group| group.undetermined));
    let mut text = match widened {
        0 => return None,
        1 => "1 tensor of this file moves".to_owned(),
        many => format!("{many} tensors of this file move"),
    };
    text += " by more than what is stated when weights and images are moved by roundings (sensitivity), and may be off by \
             twice as much.";
    if undetermined > 0 {
        let largest = parity.groups.iter().map(|group| group.largest).fold(0.0, f64::max);
        text += &format!(" So much that they say nothing: {undetermined}, with errors up to {largest:.1e}.");
    }
    Some(text)
}
