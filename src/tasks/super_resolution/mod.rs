//! Pictures made larger: what a network puts out is compared with the picture that was made
//! smaller.

mod crops;
mod evaluation;
mod quality;
mod settings;

pub use quality::Quality;
pub use settings::KIND;

use super::{Batch, Better, Evaluation, Measure, Objective, Score, Supervision, Target, Targets};
use crate::{
    data::{self, Dataset, Picture},
    model::{Outputs, host},
};
use burn::tensor::{Device, Tensor, TensorData};
use evaluation::Comparison;
use rayon::prelude::*;

/// What a network of this task puts out: numbers from 0 to 1.
const IMAGE: &str = "image";
/// The target of a picture: the larger one, likewise.
const LARGER: &str = "larger";
/// Of whole pictures: whether the file of the larger one has no colours, and the border that is not
/// measured.
const GREY: &str = "grey";
const BORDER: &str = "border";

const PSNR_Y: Measure =
    Measure { name: "psnr_y_db", words: "PSNR on Y", unit: "dB", better: Better::Higher, scale: 1.0, told: true };

const MEASURES: [Measure; 3] = [
    PSNR_Y,
    Measure { name: "ssim_y", words: "SSIM on Y", unit: "", ..PSNR_Y },
    Measure { name: "psnr_rgb_db", words: "PSNR on RGB", ..PSNR_Y },
];

/// Larger pictures of pairs.
#[derive(Debug)]
struct Larger;

impl Objective for Larger {
    fn measures(&self) -> &[Measure] {
        &MEASURES
    }

    /// The mean distance of a number.
    fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        let (found, larger) = (outputs.scores(IMAGE), targets.real(LARGER));
        // What meets a tracked tensor must live where it lives.
        let larger = if found.is_autodiff() { larger.autodiff() } else { larger };
        (found - larger).abs().mean()
    }

    fn evaluation_loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        self.loss(outputs, targets)
    }

    /// All measures of whole pictures; of patches, whose border is a part of each, the first alone,
    /// since the others would take longer than a step.
    fn score(&self, outputs: &Outputs, targets: &Targets) -> Score {
        let [seen, channels, height, width] = outputs.get(IMAGE).map_or([0; 4], Tensor::dims);
        let (found, larger) = (host(outputs.scores(IMAGE)), host(targets.real(LARGER)));
        let whole = targets.has(GREY).then(|| [GREY, BORDER].map(|name| numbers(targets, name)));
        let of = |(at, planes): (usize, [&[f32]; 2])| {
            let [found, mut larger] = planes.map(|planes| Picture::from_planes(planes, height, width));
            let Some([grey, border]) = &whole else { return vec![quality::psnr_y(&found, &larger, 0)] };
            larger.grey = grey[at] == 1;
            Quality::of(&found, &larger, border[at]).values().to_vec()
        };
        let picture = (channels * height * width).max(1);
        let planes = found.par_chunks_exact(picture).zip(larger.par_chunks_exact(picture));
        let all: Vec<Vec<f64>> = planes.map(|(found, larger)| [found, larger]).enumerate().map(of).collect();
        let measures = all.first().map_or(0, Vec::len);
        Score::new((0..measures).map(|at| all.iter().map(|values| values[at]).sum()).collect(), seen)
    }
}

impl Supervision for Larger {
    fn batch(&self, loaded: data::Batch, device: &Device) -> Batch {
        let partners = loaded.partners.expect("the task is for pairs, which was checked");
        let [channels, height, width] = loaded.shape;
        let inputs = TensorData::new(loaded.images, [loaded.n, channels, height, width]);
        let numbers = partners.shape.iter().product::<usize>();
        let larger = Tensor::from_data(TensorData::new(partners.images, [loaded.n, numbers]), device);
        let scale = (partners.shape[1] / height) as i64;
        let whole = partners.grey.map(|grey| {
            let of = |numbers: Vec<i64>| Target::Whole(Tensor::from_data(TensorData::new(numbers, [loaded.n]), device));
            [(GREY, of(grey.into_iter().map(i64::from).collect())), (BORDER, of(vec![scale; loaded.n]))]
        });
        Batch {
            inputs: Tensor::from_data(inputs, device),
            targets: Targets::new([(LARGER, Target::Real(larger))].into_iter().chain(whole.into_iter().flatten())),
        }
    }

    fn evaluation<'a>(&'a self, tested: &'a Dataset) -> Box<dyn Evaluation + 'a> {
        Box::new(Comparison::new(self, tested))
    }
}

/// Whole numbers on the host, waiting for the device.
fn numbers(targets: &Targets, name: &str) -> Vec<usize> {
    let numbers = targets.whole(name).into_data().convert::<i64>().try_into_vec::<i64>().expect("converted to i64");
    numbers.into_iter().map(|number| usize::try_from(number).unwrap_or_default()).collect()
}

/// The outputs as pictures, rounded to bytes.
fn pictures(outputs: &Outputs) -> Vec<Picture> {
    let [_, channels, height, width] = outputs.get(IMAGE).map_or([0; 4], Tensor::dims);
    let numbers = host(outputs.scores(IMAGE));
    numbers.chunks_exact(channels * height * width).map(|planes| Picture::from_planes(planes, height, width)).collect()
}
