//! `darts-run predict`: class scores of a trained network, from weights that this or another program saved.

use super::{
    Complaint, ExitClass,
    network::{NetworkArguments, open},
    output,
    parity::KernelChoice,
};
use crate::{
    interop::{
        description::Description,
        tensor_file::{StoredTensor, TensorFile},
        trained::TrainedNetwork,
        weights,
    },
    kernels::Kernels,
    model::DeviceName,
};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  darts-run predict --weights trained.safetensors --input images.safetensors --output logits.safetensors
      a file of `darts-run export` says itself what network it is
  darts-run predict --space darts --genotype search_spaces/genotypes/darts_v2.txt --weights cifar10_model.pt \\
      --input images.safetensors --output logits.safetensors
      a state dict of the DARTS code; `--skeleton`, `--channels` and `--layers` where it is not the published network
  darts-run predict --space nas_bench_201 --supernet --layers 5 --weights supernet.safetensors \\
      --input images.safetensors --output logits.safetensors
      a supernet, with the alphas `alpha.arch_parameters` among the weights

The tensors' names are PyTorch's (`cells.0._ops.3.op.1.weight`). `state.`, `module.`, `state_dict.` and the like before them are
passed over, batch counters and the auxiliary head are not read. The output holds `logits`, float32, [N, classes].";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PredictArguments {
    /// Weights and running statistics: safetensors, or what PyTorch saved (`.pt`, `.pth`)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Images: a file with a tensor [N, channels, height, width], float32, normalised as in training
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Name of the tensor [default: `x`, or else `batch0.x`, as golden files call it]
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Where to write the class scores, a safetensors file
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    network: NetworkArguments,
    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// `cpu`, `cuda` or `cuda:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Whose operators compute
    #[arg(long, value_enum, default_value = "native")]
    kernels: KernelChoice,
}

pub(super) fn run(arguments: &PredictArguments) -> Result<u8, Complaint> {
    let device: DeviceName = arguments.device.parse().map_err(|error| Complaint::caused(ExitClass::Usage, &error))?;
    let device = device.open().map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    output::check(&arguments.output)?;
    let file = open(&arguments.weights)?;
    let images = images(arguments)?;
    let [_, input @ ..] = images.shape;
    let of_file = Description::of_metadata(&file.metadata);
    let network = arguments.network.assemble(of_file, &file, None, Some(input), &device)?;

    let logits = evaluate(&network, &images, usize::from(arguments.batch), arguments.kernels.into(), &device);
    let shape = [images.shape[0], network.network.classes];
    let bytes = weights::tensor("logits", &shape, &logits);
    output::write(&arguments.output, &bytes)?;
    let [count, classes] = shape;
    let said = format!("logits of {count} images, {classes} classes: {}\n", arguments.output.display());
    // A reader that went away has seen enough.
    let _ = std::io::stdout().lock().write_all(said.as_bytes());
    Ok(0)
}

/// Normalised images, `[N, channels, height, width]`.
struct Images {
    shape: [usize; 4],
    numbers: Vec<f32>,
}

fn images(arguments: &PredictArguments) -> Result<Images, Complaint> {
    let file = open(&arguments.input)?;
    let shown = arguments.input.display();
    let (name, stored) = find(&file, arguments.tensor.as_deref())?;
    let Ok(shape @ [count, ..]) = <[usize; 4]>::try_from(stored.shape.as_slice()) else {
        let message = format!("tensor `{name}` of `{shown}` has shape {:?}", stored.shape);
        return Err(Complaint::input(message).hint("images are [N, channels, height, width]"));
    };
    if count == 0 {
        return Err(Complaint::input(format!("tensor `{name}` of `{shown}` holds no image")));
    }
    let numbers = stored.float().ok_or_else(|| {
        Complaint::input(format!("tensor `{name}` of `{shown}` holds whole numbers"))
            .hint("pixels are float32, with the mean of the training images taken off and divided by their deviation")
    })?;
    Ok(Images { shape, numbers: numbers.to_vec() })
}

fn find<'a>(file: &'a TensorFile, name: Option<&'a str>) -> Result<(&'a str, &'a StoredTensor), Complaint> {
    let names = name.map_or(vec!["x", "batch0.x"], |name| vec![name]);
    let found = names.iter().find_map(|name| Some((*name, file.find(name)?)));
    found.ok_or_else(|| {
        let four_sides = file.iter().filter(|(_, stored)| stored.shape.len() == 4);
        let known: Vec<String> = four_sides.take(5).map(|(name, _)| format!("`{name}`")).collect();
        let complaint = Complaint::input(format!("`{}` has no tensor `{}`", file.path.display(), names[0]));
        match known.as_slice() {
            [] => complaint.hint("images are one tensor [N, channels, height, width]"),
            known => complaint.hint(format!("it has {}; name one with `--tensor`", known.join(", "))),
        }
    })
}

/// Class scores, image by image.
fn evaluate(network: &TrainedNetwork, images: &Images, batch: usize, kernels: Kernels, device: &Device) -> Vec<f32> {
    let [_, channels, height, width] = images.shape;
    let image = channels * height * width;
    let mut logits = Vec::new();
    for numbers in images.numbers.chunks(batch * image) {
        let shape = [numbers.len() / image, channels, height, width];
        let batch = Tensor::from_data(TensorData::new(numbers.to_vec(), shape), device);
        logits.extend(crate::model::host(network.logits(kernels, batch)));
    }
    logits
}
