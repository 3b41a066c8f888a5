//! `darts-run predict`: what a trained network puts out, class scores as a rule, from weights that
//! this or another program saved.

use super::{
    Complaint, ExitClass,
    destination::{Destination, OutputOptions},
    episode::EpisodeArguments,
    images::{ImageArguments, ImageInputs, Images},
    network::{self, NetworkArguments, open},
    output,
    parity::KernelChoice,
    path, pictures, threads,
};
use crate::{
    interop::{description::Description, trained::TrainedNetwork, weights},
    kernels::Kernels,
    model::DeviceName,
    space::network::{FeatureMap, OutputSpec},
    tasks::policy,
};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  darts-run predict --weights cell.safetensors --input x.safetensors --output logits.safetensors
      a file of `darts-run export` says itself what network it is
  darts-run predict --weights cell.safetensors --input cat.jpg dog.png --output logits.safetensors
      pictures: the middle of each, normalised as in training; prints the likeliest class of each
  darts-run predict --weights network.safetensors --input photo.jpg --output larger.png
      super-resolution: the picture made larger
  darts-run predict --weights agent.safetensors --play --output episode.gif
      a network that learned a game: an episode of it, as a picture that moves
  darts-run predict --genotype darts_v2 --weights cifar10_model.pt \\
      --input x.safetensors --output logits.safetensors
      a state dict of the DARTS code at its published size;
      `--skeleton`, `--channels` and `--layers` where the network is another
  darts-run predict --space nas_bench_201 --supernet --weights supernet.safetensors \\
      --input x.safetensors --output logits.safetensors
      a supernet, with the alphas `alpha.arch_parameters` among the weights

Tensors have PyTorch's names, `cells.0._ops.3.op.1.weight`. Whatever stands before them is found by
what fits and said; `--prefix` chooses where several fit. Batch counters and the auxiliary head are not
read.
The output holds `logits`, float32, [N, classes]; of a network for another task each output under its
name, [N, numbers] or [N, channels, height, width]. A network that makes pictures of pictures writes PNG files:
`--output larger.png`, or of several pictures a folder.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PredictArguments {
    /// Weights and running statistics: safetensors, or what PyTorch (`.pt`, `.pth`) or NumPy
    /// (`.npz`) saved
    #[arg(long, value_name = "FILE", value_parser = path())]
    weights: PathBuf,
    /// Where to write the class scores, or other outputs: a safetensors file; of a network that
    /// makes pictures a PNG file, or a folder for several; of an episode a GIF file
    #[arg(long, value_name = "FILE", value_parser = path())]
    output: PathBuf,
    /// Replace a file that is there, unless it is one that is read or may not be written
    #[arg(long)]
    force: bool,
    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// A picture that a network makes another of is taken in tiles where it has more pixels a side;
    /// each is given all that its pixels look at, so that the result is that of the whole picture
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(16..))]
    tile: u16,
    /// `cpu`, `cuda`, `wgpu`, `cuda:INDEX` or `wgpu:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Whose operators compute
    #[arg(long, value_enum, default_value = "native")]
    kernels: KernelChoice,
    #[command(flatten)]
    images: ImageArguments,
    #[command(flatten)]
    episode: EpisodeArguments,
    #[command(flatten)]
    network: NetworkArguments,
}

pub(super) fn run(arguments: &PredictArguments) -> Result<u8, Complaint> {
    let device: DeviceName = arguments.device.parse().map_err(|error| Complaint::caused(ExitClass::Usage, &error))?;
    let device = device.open().map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    let inputs = [&arguments.weights].into_iter().chain(arguments.images.files()).cloned();
    let inputs = inputs.chain(arguments.network.files()).collect();
    let wish = OutputOptions { path: &arguments.output, option: "--output", force: arguments.force, inputs };
    // A folder is for pictures that a network makes, which the file tells.
    let destination = if arguments.output.is_dir() { None } else { Some(Destination::at(&wish)?) };
    threads::start(None)?;
    let file = open(&arguments.weights)?;
    let of_file = Description::of_metadata(&file.metadata);
    if arguments.episode.is_wanted() {
        let destination = destination.map_or_else(|| Destination::at(&wish), Ok)?;
        wish.written_as("gif", "an episode")?;
        let network = arguments.network.assemble(of_file, &file, None, None, &device)?;
        network::finite(&network, format_args!("`{}`", arguments.weights.display()))?;
        let outputs = network.outputs(arguments.kernels.into());
        output::say(arguments.episode.write(&network, &outputs, (&destination, wish.path), &device)?)?;
        return Ok(0);
    }
    if arguments.images.files().is_empty() {
        let complaint = Complaint::new(ExitClass::Usage, "neither images nor a game to play are given");
        let plays = of_file.game.is_some() || of_file.task.as_deref() == Some(policy::KIND.name);
        return Err(complaint.hint(if plays { "this network plays: `--play`" } else { "name images with `--input`" }));
    }
    let given = arguments.images.given()?;
    let network = arguments.network.assemble(of_file, &file, None, arguments.images.shape(&given), &device)?;
    network::finite(&network, format_args!("`{}`", arguments.weights.display()))?;
    if let (Some(output), ImageInputs::Pictures { paths, .. }) = (pictures::output(&network), &given) {
        let of = network.outputs(arguments.kernels.into());
        let made =
            pictures::Made { network: &network, output, of: &of, tile: usize::from(arguments.tile), device: &device };
        made.write(paths, destination.as_ref(), &wish)?;
        return Ok(0);
    }
    let destination = destination.map_or_else(|| Destination::at(&wish), Ok)?;
    let FeatureMap { channels, height, width } = network.network.input;
    let images = arguments.images.seen(given, [channels, height, width], network.description.normalise.as_ref())?;

    let outputs = evaluate(&network, &images, usize::from(arguments.batch), arguments.kernels.into(), &device)?;
    let shaped: Vec<(&str, Vec<usize>, &[f32])> = outputs
        .iter()
        .map(|(spec, numbers)| {
            let shape = std::iter::once(images.count()).chain(spec.sides()).collect();
            (network.name_of(spec), shape, numbers.as_slice())
        })
        .collect();
    destination.write(&weights::tensors(&shaped))?;
    output::say(said(&images, &outputs, &network, &arguments.output))?;
    Ok(0)
}

/// What each output is for all images, image by image.
type Evaluated = Vec<(OutputSpec, Vec<f32>)>;

fn evaluate(
    network: &TrainedNetwork,
    images: &Images,
    batch: usize,
    kernels: Kernels,
    device: &Device,
) -> Result<Evaluated, Complaint> {
    let [channels, height, width] = images.shape;
    let of = network.outputs(kernels);
    let heads = network.network.heads.iter();
    let mut evaluated: Evaluated = heads.map(|head| (head.output.clone(), Vec::new())).collect();
    for start in (0..images.count()).step_by(batch) {
        let end = images.count().min(start + batch);
        let numbers = images.numbers(start..end)?;
        for (at, image) in numbers.chunks(channels * height * width).enumerate() {
            let bad = image.iter().filter(|number| !number.is_finite()).count();
            if bad > 0 {
                let name = images.name(start + at);
                return Err(Complaint::input(format!(
                    "{bad} of the {} numbers of {name} are NaN or infinite",
                    image.len()
                )));
            }
        }
        let data = TensorData::new(numbers, [end - start, channels, height, width]);
        let outputs = of(Tensor::from_data(data, device));
        for (spec, all) in &mut evaluated {
            let found = crate::model::host(outputs.scores(&spec.name));
            if let Some(at) = found.iter().position(|number| !number.is_finite()) {
                let name = images.name(start + at / spec.size.elements());
                let what = network.name_of(spec);
                let message = format!("`{what}` of {name} grow beyond what a number of 32 bits holds");
                return Err(Complaint::input(message)
                    .hint("are the images normalised as in training, and the weights this network's?"));
            }
            all.extend(found);
        }
    }
    Ok(evaluated)
}

/// Where the outputs are, and of pictures the likeliest class.
fn said(images: &Images, outputs: &Evaluated, network: &TrainedNetwork, path: &Path) -> String {
    let (count, file) = (images.count(), path.display());
    if let Some(task) = &network.description.task {
        let names: Vec<String> = outputs.iter().map(|(spec, _)| format!("`{}`", spec.name)).collect();
        return format!("{} of {count} images, of a network for the task `{task}`: {file}\n", names.join(", "));
    }
    let (classes, logits) = (network.network.scores(), outputs.first().map_or(&[][..], |(_, numbers)| numbers));
    let mut said = String::new();
    for (path, scores) in images.pictures().iter().zip(logits.chunks(classes)) {
        let (class, percent) = likeliest(scores);
        let names = network.description.class_names.as_deref().unwrap_or_default();
        let name = names.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
        writeln!(said, "{}: {name}, {percent:.1} %", path.display()).expect("writing to a string succeeds");
    }
    if let Some(left_out) = images.left_out() {
        writeln!(said, "left out: {left_out}").expect("writing to a string succeeds");
    }
    writeln!(said, "logits of {count} images, {classes} classes: {file}").expect("writing to a string succeeds");
    said
}

/// The class of the largest score, the first of equal ones, and its softmax in percent.
fn likeliest(scores: &[f32]) -> (usize, f64) {
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    let (class, largest) = scores.iter().copied().enumerate().reduce(better).unwrap_or((0, 0.0));
    let sum: f64 = scores.iter().map(|score| f64::from(score - largest).exp()).sum();
    (class, 100.0 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_has_its_share() {
        let (class, percent) = likeliest(&[0.0, 3.0_f32.ln(), 3.0_f32.ln(), -f32::INFINITY]);
        assert_eq!(class, 1);
        assert!((percent - 300.0 / 7.0).abs() < 1e-4, "{percent}");
    }
}
