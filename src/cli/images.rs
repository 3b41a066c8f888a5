//! The images that a command looks at: a tensor of them in a file, or pictures.

use super::{Complaint, ExitClass, complaint::note, network::open, path};
use crate::{
    data::{DataError, LeftOut, Normalise, Picture, Statistics, pictures_below},
    interop::tensor_file::{StoredTensor, TensorFile},
    machine,
};
use clap::Args;
use std::{
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Images")]
pub(super) struct ImageArguments {
    /// A file with a tensor [N, channels, height, width] (safetensors, `.npy`, `.npz`, `.pt`),
    /// float32, normalised as in training; or pictures and folders of them: JPEG, PNG, WebP, GIF,
    /// BMP, TIFF and PNM
    #[arg(long, value_name = "FILE", num_args = 1.., value_parser = path())]
    input: Vec<PathBuf>,
    /// Name of the tensor [default: `x`, or else `batch0.x`, as golden files call it, or else the
    /// only one of four sides]
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Of pictures: what they are normalised by; by default what the weights' file says
    #[arg(long, value_name = "NAME", value_parser = named())]
    normalise: Option<String>,
    /// Of pictures: side of the square that the network sees; by default as in training
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=8192))]
    side: Option<u16>,
    /// Of pictures: what the shorter side becomes before the middle is cut out [default: 8/7 of the
    /// side; a picture that has the size already is seen whole]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=8192))]
    resize: Option<u16>,
}

/// Names of published statistics.
fn named() -> Vec<&'static str> {
    Normalise::NAMED
        .into_iter()
        .filter(|(_, normalise)| normalise.constants().is_some())
        .map(|(name, _)| name)
        .collect()
}

/// Images before their network is known.
pub(super) enum ImageInputs {
    /// All pixels, `[N, channels, height, width]`.
    Tensor { shape: [usize; 4], numbers: Vec<f32> },
    Pictures {
        paths: Vec<PathBuf>,
        /// In the folders that were named.
        left_out: LeftOut,
    },
}

/// Images as their network sees them.
pub(super) struct Images {
    given: ImageInputs,
    /// Channels, height, width of one.
    pub shape: [usize; 3],
    /// Of pictures.
    view: Option<(Statistics, Option<usize>)>,
}

impl ImageArguments {
    /// All that is read.
    pub fn files(&self) -> &[PathBuf] {
        &self.input
    }

    /// Looks at what the files are.
    pub fn given(&self) -> Result<ImageInputs, Complaint> {
        let (mut pictures, mut paths, mut left_out) = (0, Vec::new(), LeftOut::default());
        for path in &self.input {
            if path.is_dir() {
                let below = pictures_below(path, &mut left_out);
                paths.extend(below.map_err(|error| Complaint::caused(ExitClass::Input, &error).hinted(error.hint()))?);
                pictures += 1;
            } else {
                pictures += usize::from(is_picture(path)?);
                paths.push(path.clone());
            }
        }
        match self.input.as_slice() {
            [path] if pictures == 0 => tensor(path, self.tensor.as_deref()),
            inputs if pictures == inputs.len() => Ok(ImageInputs::Pictures { paths, left_out }),
            _ => Err(Complaint::input(format!(
                "{pictures} of {} files of `--input` are pictures ({})",
                self.input.len(),
                Picture::KINDS
            ))
            .hint("give one file with a tensor, or pictures only")),
        }
    }

    /// Channels, height and width that the network is to be built for, as far as the images say it.
    pub fn shape(&self, given: &ImageInputs) -> Option<[usize; 3]> {
        match (given, self.side.map(usize::from)) {
            (ImageInputs::Tensor { shape: [_, channels, height, width], .. }, _) => Some([*channels, *height, *width]),
            (ImageInputs::Pictures { .. }, side) => side.map(|side| [3, side, side]),
        }
    }

    /// The images for a network of that input, trained on images that were normalised by
    /// `statistics`.
    pub fn seen(
        &self,
        given: ImageInputs,
        input: [usize; 3],
        statistics: Option<&Statistics>,
    ) -> Result<Images, Complaint> {
        if let ImageInputs::Tensor { .. } = given {
            return Ok(Images { given, shape: input, view: None });
        }
        if input[0] != 3 || input[1] != input[2] {
            let message = format!("pictures have 3 channels and are seen as squares, the network reads {input:?}");
            return Err(Complaint::input(message).hint("give the images as a tensor"));
        }
        let named = self.normalise.as_ref().and_then(|name| {
            Normalise::NAMED
                .into_iter()
                .find(|(known, _)| known == name)
                .and_then(|(_, normalise)| normalise.constants())
        });
        let statistics = named.or_else(|| statistics.cloned()).ok_or_else(|| {
            Complaint::input("the weights' file does not say what pictures are normalised by")
                .hint(format!("say it with `--normalise`: {}", named_list()))
        })?;
        Ok(Images { given, shape: input, view: Some((statistics, self.resize.map(usize::from))) })
    }
}

fn named_list() -> String {
    named().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Images {
    pub fn count(&self) -> usize {
        match &self.given {
            ImageInputs::Tensor { shape: [count, ..], .. } => *count,
            ImageInputs::Pictures { paths, .. } => paths.len(),
        }
    }

    /// What complaints call an image.
    pub fn name(&self, at: usize) -> String {
        match &self.given {
            ImageInputs::Tensor { .. } => format!("image {at} (counted from 0)"),
            ImageInputs::Pictures { paths, .. } => format!("`{}`", paths[at].display()),
        }
    }

    /// The files, where the images are pictures.
    pub fn pictures(&self) -> &[PathBuf] {
        match &self.given {
            ImageInputs::Tensor { .. } => &[],
            ImageInputs::Pictures { paths, .. } => paths,
        }
    }

    /// What lies in the folders that were named and is no picture.
    pub fn left_out(&self) -> Option<&LeftOut> {
        match &self.given {
            ImageInputs::Pictures { left_out, .. } if !left_out.is_empty() => Some(left_out),
            _ => None,
        }
    }

    /// Some of the images, end to end.
    pub fn numbers(&self, range: Range<usize>) -> Result<Vec<f32>, Complaint> {
        let [channels, height, width] = self.shape;
        match &self.given {
            ImageInputs::Tensor { numbers, .. } => {
                let image = channels * height * width;
                Ok(numbers[range.start * image..range.end * image].to_vec())
            }
            ImageInputs::Pictures { paths, .. } => {
                let mut numbers = Vec::new();
                for path in &paths[range] {
                    numbers.extend(self.picture(path).map_err(|error| Complaint::caused(ExitClass::Input, &error))?);
                }
                Ok(numbers)
            }
        }
    }

    fn picture(&self, path: &Path) -> Result<Vec<f32>, DataError> {
        let (statistics, resize) = self.view.as_ref().expect("pictures have a view");
        let size = self.shape[1];
        let picture = Picture::open(path)?;
        // 256 for 224, and in proportion for other sizes.
        let customary = if (picture.width, picture.height) == (size, size) { size } else { size * 8 / 7 };
        picture.evaluation(size, resize.unwrap_or(customary), statistics)
    }
}

/// Whether a file begins as a picture does.
fn is_picture(path: &Path) -> Result<bool, Complaint> {
    let mut start = Vec::new();
    machine::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).map_err(|error| {
        Complaint::input(format!("failed to read `{}`: {}", path.display(), machine::reason(&error)))
    })?;
    Ok(Picture::begins_with(&start))
}

fn tensor(path: &Path, name: Option<&str>) -> Result<ImageInputs, Complaint> {
    let file = open(path)?;
    let shown = path.display();
    let (name, stored) = find(&file, name)?;
    let Ok(shape) = <[usize; 4]>::try_from(stored.shape.as_slice()) else {
        let message = format!("tensor `{name}` of `{shown}` has shape {:?}", stored.shape);
        return Err(Complaint::input(message).hint("images are [N, channels, height, width]"));
    };
    if shape.contains(&0) {
        return Err(Complaint::input(format!("tensor `{name}` of `{shown}` holds no image")));
    }
    let numbers = stored.float().ok_or_else(|| {
        Complaint::input(format!("tensor `{name}` of `{shown}` holds whole numbers"))
            .hint("pixels are float32, with the mean of the training images taken off and divided by their deviation")
    })?;
    Ok(match shape {
        // No network has as many channels as that, and few images are so low.
        [count, height, width, channels @ (1 | 3)] if !matches!(height, 1 | 3) => {
            note(&format!("`{name}` of `{shown}` is read as [N, height, width, channels], for its shape is {shape:?}"));
            let shape = [count, channels, height, width];
            ImageInputs::Tensor { shape, numbers: channels_first(numbers, channels, height * width) }
        }
        shape => ImageInputs::Tensor { shape, numbers: numbers.to_vec() },
    })
}

/// Images whose channels lie pixel by pixel, channel by channel.
fn channels_first(numbers: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(numbers.len());
    for image in numbers.chunks(channels * pixels) {
        for channel in 0..channels {
            turned.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    turned
}

fn find<'a>(file: &'a TensorFile, name: Option<&'a str>) -> Result<(&'a str, &'a StoredTensor), Complaint> {
    let names = name.map_or(vec!["x", "batch0.x"], |name| vec![name]);
    let found = names.iter().find_map(|name| Some((*name, file.find(name)?)));
    let four_sides = || file.iter().filter(|(_, stored)| stored.shape.len() == 4);
    let only = || {
        let mut images = four_sides().filter(|_| name.is_none());
        images.next().filter(|_| images.next().is_none())
    };
    found.or_else(only).ok_or_else(|| {
        let known: Vec<String> = four_sides().take(5).map(|(name, _)| format!("`{name}`")).collect();
        let complaint = Complaint::input(format!("`{}` has no tensor `{}`", file.path.display(), names[0]));
        match known.as_slice() {
            [] => complaint.hint("images are one tensor [N, channels, height, width]"),
            known => complaint.hint(format!("it has {}; name one with `--tensor`", known.join(", "))),
        }
    })
}
