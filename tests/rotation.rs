//! A second task, whole and in one file: by how much was this digit turned? Its targets are
//! numbers, its loss is L1, its measure is in degrees and better when lower. Nothing outside knows
//! it, and it is searched, derived, trained, evaluated and reported.

use burn::tensor::{Device, Tensor, TensorData};
use darts_run::{
    config::{self, Fields},
    data,
    model::{OUTPUT, Outputs},
    run::{self, Ending, Event, Listener, Manner, Stop},
    space::network::OutputSpec,
    stages,
    store::{Record, Store},
    tasks::{
        Batch, Better, Evaluation, Learned, LossDefaults, Measure, Objective, Score, Supervision, Tally, Target,
        Targets, TaskKind, TaskSettings, classification,
    },
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value as Json;
use std::{fs, process::Command, sync::Arc};

static TASKS: &[TaskKind] = &[classification::KIND, ROTATION];

const ROTATION: TaskKind = TaskKind { name: "rotation", read, plain: || Arc::new(Rotation) };

/// A target of 1 is a turn by so many degrees.
const MOST_DEGREES: f64 = 60.0;

const ERROR: Measure = Measure {
    name: "error_degrees",
    words: "error",
    unit: "°",
    better: Better::Lower,
    scale: MOST_DEGREES,
    told: true,
};

/// It has no keys of its own.
fn read(_: &mut Fields<'_>, _: Option<&LossDefaults>) -> Arc<dyn TaskSettings> {
    Arc::new(Rotation)
}

#[derive(Debug)]
struct Rotation;

impl TaskSettings for Rotation {
    fn kind(&self) -> &'static str {
        ROTATION.name
    }

    fn outputs(&self, _: data::ImageShape) -> Vec<OutputSpec> {
        OutputSpec::scores(1)
    }

    fn measures(&self, _classes: usize) -> Vec<Measure> {
        vec![ERROR]
    }

    fn trains_auxiliary(&self) -> bool {
        false
    }

    fn learned(&self, _classes: &[String]) -> Learned {
        Learned::FromExamples(Arc::new(Rotation))
    }
}

impl Objective for Rotation {
    fn measures(&self) -> &[Measure] {
        &[ERROR]
    }

    fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        let found = outputs.scores(OUTPUT);
        let angle = targets.real("angle");
        let angle = if found.is_autodiff() { angle.autodiff() } else { angle };
        (found - angle).abs().mean()
    }

    fn evaluation_loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        self.loss(outputs, targets)
    }

    fn score(&self, outputs: &Outputs, targets: &Targets) -> Score {
        let errors = (outputs.scores(OUTPUT) - targets.real("angle")).abs();
        let [seen, _] = errors.dims();
        Score::new(vec![f64::from(errors.sum().into_scalar::<f32>())], seen)
    }
}

impl Supervision for Rotation {
    /// Each image is turned by an angle that its place in the data set decides.
    fn batch(&self, loaded: data::Batch, device: &Device) -> Batch {
        let [channels, height, width] = loaded.shape;
        let shape = [loaded.n, channels, height, width];
        let angles: Vec<f32> = loaded.indices.iter().map(|&index| angle(index)).collect();
        let planes = loaded.images.chunks_exact(height * width);
        let turned = planes.enumerate().flat_map(|(at, plane)| turned(plane, height, width, angles[at / channels]));
        Batch {
            inputs: Tensor::from_data(TensorData::new(turned.collect::<Vec<f32>>(), shape), device),
            targets: Targets::new([(
                "angle",
                Target::Real(Tensor::from_data(TensorData::new(angles, [loaded.n, 1]), device)),
            )]),
        }
    }

    fn evaluation<'a>(&'a self, _: &'a data::Dataset) -> Box<dyn Evaluation + 'a> {
        Box::new(Tally::new(self))
    }
}

/// From −1 to 1, spread evenly over neighbouring numbers by the golden ratio.
fn angle(index: u32) -> f32 {
    (2.0 * (f64::from(index) * 0.618_033_988_749_895).fract() - 1.0) as f32
}

/// The plane turned about its middle; what comes from outside is its first pixel's grey.
fn turned(plane: &[f32], height: usize, width: usize, by: f32) -> Vec<f32> {
    let (sin, cos) = (f64::from(by) * MOST_DEGREES.to_radians()).sin_cos();
    let (middle_y, middle_x) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let at = |y: i64, x: i64| {
        let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
        f64::from(if inside { plane[y as usize * width + x as usize] } else { plane[0] })
    };
    let pixel = |place: usize| {
        let (y, x) = ((place / width) as f64 - middle_y, (place % width) as f64 - middle_x);
        let (y, x) = (cos * y - sin * x + middle_y, sin * y + cos * x + middle_x);
        let (top, left) = (y.floor(), x.floor());
        let (down, right) = (y - top, x - left);
        let (top, left) = (top as i64, left as i64);
        let upper = at(top, left) * (1.0 - right) + at(top, left + 1) * right;
        let lower = at(top + 1, left) * (1.0 - right) + at(top + 1, left + 1) * right;
        (upper * (1.0 - down) + lower * down) as f32
    };
    (0..plane.len()).map(pixel).collect()
}

/// Of a seed whose cell is not cut off from its input: in this space an edge may be derived to `none`.
const PIPELINE: &str = "
name: turned digits
stages:
  digits: {prepare: {digits: {}}}
  search:
    search:
      {task: rotation, data: digits, space: nas_bench_201, channels: 8, size: 1, epochs: 6, batch: 32, seed: 1,
       augment: {crop_padding: 0, flip: false}, weights: {learning_rate: 0.05}, alphas: {learning_rate: 3.0e-3}}
  cell: {derive: {search: search, rule: {best: held_out_error_degrees}}}
  trained:
    retrain: {task: rotation, genotype: cell, data: digits, skeleton: final, channels: 8, size: 1, epochs: 12, batch: 32,
              augment: {crop_padding: 0, flip: false, cutout: 0}, weights: {learning_rate: 0.05}, drop_path: 0}
  test: {evaluate: {network: trained, data: digits}}
  report: {report: {of: [digits, search, cell, trained, test]}}
";

struct Silent;

impl Listener for Silent {
    fn hear(&self, _: &Event) {}
}

#[test]
fn how_far_a_digit_is_turned_is_learned_by_a_task_that_nothing_else_knows() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("rotation.yaml");
    fs::write(&file, PIPELINE).unwrap();
    let digits = format!("digits.digits.path={}/pipelines/data/digits.csv.gz", env!("CARGO_MANIFEST_DIR"));
    let pipeline = config::load(&file, &[digits], std::iter::empty(), &stages::slots()).unwrap();
    let planned =
        stages::plan(&pipeline, TASKS).unwrap_or_else(|problems| panic!("{}", config::render(&problems, false, 100)));
    let store = Store::open(scratch.path().join("store")).unwrap();
    let report = run::run(&pipeline, planned, &store, &Stop::new(), &Silent, &Manner::default());
    let errors: Vec<_> = report.members.iter().filter_map(|member| member.error.as_ref()).collect();
    assert_eq!(report.ending(), Ending::Done, "{errors:?}");

    let record = |name: &str| -> &Record {
        report.members.iter().find(|member| member.name == name).and_then(|member| member.record.as_ref()).unwrap()
    };
    let bytes = |of: &str, name: &str| store.bytes(&record(of).outputs[name]).unwrap();
    let json = |of: &str, name: &str| -> Json { serde_json::from_slice(&bytes(of, name)).unwrap() };

    // Who always says 0 is wrong by half of the widest turn.
    let error = record("test").metrics["error_degrees"];
    assert!(error < 0.6 * MOST_DEGREES / 2.0, "{error}");
    let epochs = json("search", "metrics");
    let held_out = |epoch: &Json| epoch["held_out_error_degrees"].as_f64().unwrap();
    let best = epochs.as_array().unwrap().iter().min_by(|a, b| held_out(a).total_cmp(&held_out(b))).unwrap();
    assert!(record("cell").summary.is_some());
    assert_eq!(json("cell", "genotypes")["epoch"], best["epoch"], "{epochs}");
    let text = String::from_utf8(bytes("report", "report.txt")).unwrap();
    let trained = text.split_once("\nRetraining\n").map_or("", |(_, rest)| rest);
    assert!(
        trained.contains("watched (°)") && trained.contains("error (°)") && !trained.contains("accuracy"),
        "{text}"
    );

    // What goes on without the task's code knows that its outputs are no scores of classes.
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let images = vec![0; 2 * 64 * 4];
    let images = TensorView::new(Dtype::F32, vec![2, 1, 8, 8], &images).unwrap();
    fs::write(path("x.safetensors"), safetensors::serialize([("x", images)], None).unwrap()).unwrap();
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_darts-run")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let weights = path("network.safetensors");
    said(&["export", "turned digits/trained", "--store", &path("store"), "--to", "safetensors", "--output", &weights]);
    let predicted = said(&[
        "predict",
        "--weights",
        &weights,
        "--input",
        &path("x.safetensors"),
        "--output",
        &path("y.safetensors"),
    ]);
    assert!(predicted.starts_with("`output` of 2 images, of a network for the task `rotation`"), "{predicted}");
}
