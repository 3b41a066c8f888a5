//! `darts-run export`: a cell or a trained network as a file for other programs.

use super::{
    Complaint, ExitClass, StoreArguments,
    destination::{Destination, OutputOptions},
    network::{self, NetworkArguments, open, undescribed},
    output, path,
    stage_result::StageResult,
    threads,
};
use crate::{
    interop::{
        description::Description,
        onnx::{self, OnnxError},
        tensor_file::TensorFile,
        trained::TrainedNetwork,
        weights,
    },
    space::GenotypeText,
};
use burn::tensor::Device;
use clap::{ArgGroup, Args, ValueEnum, builder::RangedU64ValueParser};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  darts-run export cifar10_small/network --to onnx
      what the stage `network` of that pipeline trained last
  darts-run export cifar10_small/network --to safetensors --output cell.safetensors
      weights and running statistics under PyTorch's names; the header says what network it is,
      so that `darts-run predict --weights cell.safetensors` needs no more
  darts-run export cifar10_small/search --to safetensors
      the supernet with its alphas, `alpha.NAME`
  darts-run export cifar10_small/cell --to genotype --form namedtuple --output -
  darts-run export --weights cifar10_model.pt --genotype darts_v2 --to onnx
      a network that another program trained

An ONNX file holds the network in evaluation mode without its auxiliary head, operator set 17: input `x`
[N, channels, height, width], output `logits` [N, classes]; of a network for another task each output
under its name, [N, numbers] or [N, channels, height, width]. N is any number. Height and width are any
where the network makes pictures, or takes the mean of its last map (`global_avg_pool`), as those for
CIFAR and ImageNet do: any that its layers can read, even ones where a `factorized_reduce` halves them.
They are fixed where a `linear` layer flattens a map, and with `--side`.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("subject").required(true).args(["result", "weights"])))]
pub(super) struct ExportArguments {
    /// A stage's newest result as PIPELINE/STAGE, or the first digits of a result's key
    #[arg(value_name = "PIPELINE/STAGE|KEY")]
    result: Option<String>,
    /// What to make
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// Where to write it, `-` for standard output [default: a name of the result's in the current
    /// folder]
    #[arg(long, value_name = "FILE", value_parser = path())]
    output: Option<PathBuf>,
    /// Replace a file that is there, unless it is one that is read or may not be written
    #[arg(long)]
    force: bool,
    /// How to write a genotype; by default as is customary for its space
    #[arg(long, value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Fix height and width of the ONNX network's images; by default they are free, or where the
    /// network reads one size alone those it was trained on, or its skeleton's customary side
    #[arg(long, value_name = "PIXELS", value_parser = RangedU64ValueParser::<usize>::new().range(1..=LARGEST_SIDE))]
    side: Option<usize>,
    #[command(flatten)]
    store: StoreArguments,
    /// Weights to export instead of a result's: safetensors, or what PyTorch saved (`.pt`, `.pth`)
    #[arg(long, value_name = "FILE", value_parser = path())]
    weights: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The cell as text
    Genotype,
    /// Weights, running statistics, of a supernet alphas, under PyTorch's names
    Safetensors,
    /// The network as a graph that onnxruntime and others run
    Onnx,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Form {
    /// `Genotype(normal=[('op', 1), …], normal_concat=…)`, as the DARTS code prints it
    Namedtuple,
    /// `|op~0|+|op~0|op~1|`
    CellString,
    /// This project's own
    Yaml,
}

impl From<Form> for GenotypeText {
    fn from(form: Form) -> Self {
        match form {
            Form::Namedtuple => Self::NamedTuple,
            Form::CellString => Self::CellString,
            Form::Yaml => Self::Yaml,
        }
    }
}

/// No picture that a network reads is larger.
const LARGEST_SIDE: u64 = 1 << 14;

pub(super) fn run(arguments: &ExportArguments) -> Result<u8, Complaint> {
    let subject = subject(arguments)?;
    let (bytes, extension) = match arguments.to {
        Format::Genotype => genotype(&subject, arguments)?,
        Format::Safetensors => (weights::described(&trained(&subject, arguments)?), "safetensors"),
        Format::Onnx => (onnx(&subject, arguments)?, "onnx"),
    };
    let path = match &arguments.output {
        Some(path) if path.as_os_str() == "-" => {
            output::say(&bytes)?;
            return Ok(0);
        }
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.{extension}", file_name(&subject.name))),
    };
    let inputs = arguments.weights.iter().cloned().chain(arguments.network.files()).collect();
    let wish = OutputOptions { path: &path, option: "--output", force: arguments.force, inputs };
    Destination::at(&wish)?.write(&bytes)?;
    output::say(format!("{}\n", path.display()))?;
    Ok(0)
}

/// The result that is named, or the file of weights as if a stage had made it.
fn subject(arguments: &ExportArguments) -> Result<StageResult, Complaint> {
    match (&arguments.result, &arguments.weights) {
        (Some(word), _) => StageResult::find(&arguments.store.store, word),
        (None, Some(path)) => {
            let weights = open(path)?;
            Ok(StageResult {
                name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                kind: String::new(),
                description: Description::of_metadata(&weights.metadata),
                weights: Some(weights),
                alphas: None,
            })
        }
        (None, None) => Err(Complaint::usage("neither a result nor `--weights` is given")),
    }
}

fn genotype(subject: &StageResult, arguments: &ExportArguments) -> Result<(Vec<u8>, &'static str), Complaint> {
    let description = arguments.network.description()?.or(subject.description.clone());
    let lacks = || {
        let complaint = Complaint::input(format!("{} has no genotype", shown(subject)));
        complaint.hint("export what a stage made that derives, names or trains a cell")
    };
    if description.genotype.is_none() {
        return Err(lacks());
    }
    let candidates = description.candidates(Path::new("")).map_err(|error| undescribed(&error))?;
    let (space, genotype) =
        candidates.into_iter().find_map(|found| Some((found.space, found.genotype?))).ok_or_else(lacks)?;
    let form = arguments.form.map_or(space.genotype_text, GenotypeText::from);
    let text = genotype.to_text(form, &space).map_err(|error| {
        Complaint::caused(ExitClass::Input, &error).hint("`--form yaml` and `--form cell_string` hold every genotype")
    })?;
    let extension = if form == GenotypeText::Yaml { "yaml" } else { "txt" };
    Ok((format!("{}\n", text.trim_end()).into_bytes(), extension))
}

/// The network of the result, on the CPU: exporting computes nothing.
fn trained(subject: &StageResult, arguments: &ExportArguments) -> Result<TrainedNetwork, Complaint> {
    let device = Device::flex();
    threads::start(None)?;
    let Some(weights) = &subject.weights else {
        return Err(Complaint::input(format!("{} has no weights", shown(subject)))
            .hint("export what a stage made that trains a network or a supernet"));
    };
    let alphas: Option<&TensorFile> = subject.alphas.as_ref();
    let assemble = |input| arguments.network.assemble(subject.description.clone(), weights, alphas, input, &device);
    let trained = assemble(None)?;
    match arguments.side {
        None => Ok(trained),
        Some(side) => assemble(Some([trained.network.input.channels, side, side])),
    }
}

fn onnx(subject: &StageResult, arguments: &ExportArguments) -> Result<Vec<u8>, Complaint> {
    let trained = trained(subject, arguments)?;
    // A graph goes where nobody looks at its weights any more.
    network::finite(&trained, shown(subject).trim_end_matches(','))?;
    onnx::to_onnx(&trained, arguments.side.is_some()).map_err(|error| {
        let complaint = Complaint::caused(ExitClass::Input, &error);
        match error {
            OnnxError::Supernet => complaint.hint("derive a cell, train it, and export that network"),
            OnnxError::NormsOfBatch => complaint.hint("`--to safetensors` keeps the network as it is"),
            OnnxError::TooLarge { .. } => complaint.hint("`--to safetensors` has no such bound"),
        }
    })
}

fn shown(subject: &StageResult) -> String {
    match subject.kind.as_str() {
        "" => format!("`{}`", subject.name),
        kind => format!("`{}`, a result of `{kind}`,", subject.name),
    }
}

/// A name as a file's, `cifar10/network` as `cifar10-network`; what could trouble a shell becomes
/// `_`, and what could be too long for a folder is cut.
fn file_name(name: &str) -> String {
    const MOST_BYTES: usize = 200;
    let fit = |c: char| match c {
        '/' => '-',
        c if c.is_alphanumeric() || "-_.=,".contains(c) => c,
        _ => '_',
    };
    let name: String = name.chars().map(fit).collect();
    let name = name.trim_start_matches('.');
    name[..name.floor_char_boundary(MOST_BYTES)].to_owned()
}
