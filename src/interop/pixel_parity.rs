//! Replays a golden file of layers that make maps larger: pixel shuffles, and up steps of nearest
//! pixels, a convolution and a leaky ReLU. The loss is the sum of what comes out, each number times a
//! weight of its own.

use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{GRADIENT_TOLERANCE, LOGIT_TOLERANCE, Measure, Part},
    roundings::Roundings,
};
use crate::{
    kernels::Kernels,
    model::{Layout, Mode, Model, OUTPUT, TensorGroup, host, initial_running, initial_weights},
    space::{
        Build, EdgeOptions, Genotype, Space,
        network::{FeatureMap, OutputSpec},
    },
};
use burn::tensor::Device;
use std::{path::Path, sync::Arc};

/// How the kind of such a file begins; it ends in the slope of the leaky ReLU.
pub(super) const KIND: &str = "pixel shuffle";

/// A network of nothing but some layers, which are its head.
const SPACE: &str = "
name: layers
operations: {keep: [identity]}
cells: {cell: {alphas: alphas, candidates: [keep]}}
cell: {inputs: [{same: []}], nodes: 1, edges: all, output: last}
derive: {edges: all}
labels: {cell: '', edge: '', candidate: '', choice: ''}
skeletons: {final: {channels: 1, size: 1, stems: [[identity]], body: {cell: cell}, head: LAYERS}}
";

/// The layers of a file, each with its input, what comes out and gradients.
pub(super) struct PixelFile<'a> {
    golden: &'a GoldenFile,
    layers: Vec<Enlarging<'a>>,
}

/// Layers whose input is `NAME.x` in the file.
struct Enlarging<'a> {
    name: &'a str,
    /// As a space says them.
    layers: String,
    /// `NAME.RESULT` is what comes out.
    result: &'static str,
    /// Whether the file has weights for the loss, and so gradients.
    with_gradient: bool,
}

impl<'a> PixelFile<'a> {
    /// # Errors
    /// Where it has no layer, or one that is not known.
    pub fn open(golden: &'a GoldenFile) -> Result<Self, GoldenError> {
        let names = golden.tensors.iter().filter_map(|(name, _)| name.strip_suffix(".x"));
        let mut layers = Vec::new();
        for name in names.filter(|name| !name.ends_with(".grad")) {
            let layer = |layers, result| Enlarging { name, layers, result, with_gradient: result == "out" };
            if let Some(by) = name.strip_prefix("shuffle") {
                layers.push(layer(format!("[{{pixel_shuffle: {{by: {by}}}}}]"), "out"));
                continue;
            }
            let [x, out, weight] = ["x", "out", "weight"].map(|part| golden.float(&format!("{name}.{part}")));
            let (&[_, _, height, _], &[_, channels, larger, _], &[_, _, kernel, _]) = (x?.0, out?.0, weight?.0) else {
                return Err(golden.content(format!("`{name}` is no layer that makes maps larger")));
            };
            let enlarged = format!("{{upsample: {{by: {}}}}}", larger / height);
            let slope = golden.text("kind")?.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
            let slope = slope.ok_or_else(|| golden.content("its kind does not end in the slope of a leaky ReLU"))?;
            let conv = format!("{{conv: {{kernel: {kernel}, out: {channels}, bias: true, label: {name}}}}}");
            layers.push(layer(format!("[{enlarged}, {conv}, {{leaky_relu: {{slope: {slope}}}}}]"), "out"));
            if golden.find(&format!("{name}.nearest")).is_some() {
                layers.push(layer(format!("[{enlarged}]"), "nearest"));
            }
        }
        match layers.is_empty() {
            true => Err(golden.content("it lacks a layer, whose input would be a tensor `NAME.x`")),
            false => Ok(Self { golden, layers }),
        }
    }

    /// `layers that make maps larger: shuffle2, up`
    pub fn describe(&self) -> String {
        let names: Vec<&str> = self.layers.iter().filter(|layer| layer.with_gradient).map(|layer| layer.name).collect();
        format!("layers that make maps larger: {}", names.join(", "))
    }

    /// Computes everything that the file holds, with every number that comes in moved by a rounding if
    /// asked.
    pub fn replay(
        &self,
        kernels: Kernels,
        device: &Device,
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let mut parts = Vec::new();
        for layer in &self.layers {
            parts.extend(self.layer(layer, kernels, device, roundings.as_mut())?);
        }
        Ok(parts)
    }

    fn layer(
        &self,
        Enlarging { name, layers, result, with_gradient }: &Enlarging<'_>,
        kernels: Kernels,
        device: &Device,
        roundings: Option<&mut Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let golden = self.golden;
        let named = |part: &str| format!("{name}.{part}");
        let (x, expected) = (golden.tensor::<4>(&named("x"), device)?, golden.tensor::<4>(&named(result), device)?);
        let map = |[_, channels, height, width]: [usize; 4]| FeatureMap { channels, height, width };
        let build = Build {
            skeleton: "final".to_owned(),
            channels: Some(x.dims()[1]),
            size: None,
            outputs: vec![OutputSpec { name: OUTPUT.to_owned(), size: map(expected.dims()) }],
            input: map(x.dims()),
            auxiliary: false,
            edges: EdgeOptions::default(),
        };
        let unfit = |why: String| golden.content(format!("`{name}` is no layer that makes maps larger: {why}"));
        let space = Space::parse(Path::new("layers"), SPACE.replace("LAYERS", layers));
        let space = space.map_err(|problems| {
            unfit(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join(", "))
        })?;
        let genotype = Genotype::parse("|keep~0|", &space).map_err(|error| unfit(error.to_string()))?;
        let network = space.discrete(&genotype, &build).map_err(|error| unfit(error.to_string()))?;
        let initial = initial_weights(&network, 0, device);
        let mut numbers = Vec::new();
        for (tensor, shape, _) in initial.layout().iter() {
            let (found, of_tensor) = golden.float(tensor)?;
            if found != shape {
                return Err(golden.content(format!("`{tensor}` has shape {found:?}, needed is {shape:?}")));
            }
            numbers.extend_from_slice(of_tensor);
        }
        let mut weights = TensorGroup::from_host(initial.layout().clone(), numbers, device);
        let mut x = x;
        if let Some(roundings) = roundings {
            weights.set(roundings.moved(weights.values()));
            x = roundings.moved(x);
        }
        let running = initial_running(&network, device);
        let model = Model::new(network, kernels);
        let (leaves, x) = (model.leaves(&weights), x.autodiff().require_grad());
        let passed = model.forward(Mode::Train { drop_path: None }, &leaves, &running, &[], x.clone());
        let out = passed.outputs.get(OUTPUT).cloned().ok_or_else(|| unfit("nothing comes out".to_owned()))?;
        let part = |group, stated, tensors| Part { group, measure: Measure::Relative, stated, tensors };
        let mut parts = vec![part("out", LOGIT_TOLERANCE, vec![(named(result), host(out.clone().inner()))])];
        if *with_gradient {
            let by = golden.tensor_of::<4>(&named("weights"), out.dims(), device)?;
            let gradients = (out * by.autodiff()).sum().backward();
            let of_x = x.grad(&gradients).ok_or_else(|| unfit("no gradient arrives at its input".to_owned()))?;
            let of_weights = weights.with(weights.gradient(&leaves, &gradients));
            let mut tensors = vec![(named("grad.x"), host(of_x.inner()))];
            tensors.extend(by_name(&of_weights, name));
            parts.push(part("grad", GRADIENT_TOLERANCE, tensors));
        }
        Ok(parts)
    }
}

/// The gradient of `up.weight` as `up.grad.weight`.
fn by_name(gradients: &TensorGroup, layer: &str) -> Vec<(String, Vec<f32>)> {
    let numbers = gradients.to_host();
    let layout: &Arc<Layout> = gradients.layout();
    let named = layout.iter().map(|(name, _, range)| {
        (format!("{layer}.grad{}", name.strip_prefix(layer).unwrap_or(name)), numbers[range].to_vec())
    });
    named.collect()
}
