//! The mixed operation of an edge, layer by layer: what programs are held to.

use super::{Computed, Forward};
use crate::space::network::{AlphaTable, Edge, Extra, FeatureMap, Partial};
use burn::tensor::Tensor;

/// `Σ_k p_k · o_k(x)`, with what the edge has beside its candidates. `weights` are the edge's row
/// of the mixing weights, each `[1, 1, 1, 1]`. `None` where nothing contributes.
pub(super) fn mixed(
    forward: &Forward<'_>,
    edge: &Edge,
    (table, computed): (&AlphaTable, Option<OfEdge<'_>>),
    weights: &[Tensor<4>],
    size: FeatureMap,
    x: &Tensor<4>,
) -> Option<Tensor<4>> {
    let Some(partial) = &edge.partial else { return weighed(forward, edge, (table, computed), weights, size, x) };
    let [batch, channels, height, width] = x.dims();
    let through = channels / partial.groups;
    let part = |channels| x.clone().slice([0..batch, channels, 0..height, 0..width]);
    let past = forward.chain(&partial.bypass, part(through..channels));
    let past = match table.column_of(Extra::Bypass) {
        Some(column) => past * weights[column].clone(),
        None => past,
    };
    let size = FeatureMap { channels: size.channels / partial.groups, ..size };
    let through = weighed(forward, edge, (table, computed), weights, size, &part(0..through)).unwrap_or_else(|| {
        let [_, _, height, width] = past.dims();
        Tensor::zeros([batch, through, height, width], &x.device())
    });
    Some(shuffled(Tensor::cat(vec![through, past], 1), partial))
}

/// What is computed, and the numbers of the edge's table and row.
pub(super) type OfEdge<'a> = (&'a Computed, usize, usize);

/// The weighted sum of all that reads what the candidates read. Those that are not computed weigh
/// together what one of them weighs that gives ones.
fn weighed(
    forward: &Forward<'_>,
    edge: &Edge,
    (table, computed): (&AlphaTable, Option<OfEdge<'_>>),
    weights: &[Tensor<4>],
    size: FeatureMap,
    x: &Tensor<4>,
) -> Option<Tensor<4>> {
    let is_computed = |at: usize| computed.is_none_or(|(computed, table, row)| computed.has(table, row, at));
    let others = (0..edge.candidates.len()).filter(|at| !is_computed(*at)).map(|at| weights[at].clone());
    let others = others.reduce(|sum, weight| sum + weight).map(|weight| {
        let FeatureMap { channels, height, width } = size;
        weight.expand([x.dims()[0], channels, height, width])
    });
    let candidates = edge.candidates.iter().zip(weights).enumerate();
    let candidates = candidates.filter(|(at, (candidate, _))| is_computed(*at) && !candidate.is_zero());
    let candidates = candidates.map(|(_, candidate)| candidate);
    let skip = edge.skip.as_ref().zip(table.column_of(Extra::Skip)).map(|(chain, column)| (chain, &weights[column]));
    candidates
        .map(|(candidate, weight)| (&candidate.chain, weight))
        .chain(skip)
        .map(|(chain, weight)| forward.chain(chain, x.clone()) * weight.clone())
        .chain(others)
        .reduce(|sum, term| sum + term)
}

/// Channel shuffle: the groups' first channels, then their second ones, and so on.
fn shuffled(x: Tensor<4>, partial: &Partial) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let groups = x.reshape([batch, partial.groups, channels / partial.groups, height, width]);
    groups.swap_dims(1, 2).reshape([batch, channels, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edited::edited,
        kernels::Kernels,
        model::{
            Mode, Model, OUTPUT, OutputSpec, Portion, Relaxation, edge_weights, host, initial_alphas, initial_running,
            initial_weights, lower::StandsAlone, tiny::noise,
        },
        space::{
            Build, EdgeOptions, Space,
            network::{Chain, LayerKind},
            shipped,
        },
    };
    use burn::tensor::{Device, TensorData};
    use std::path::Path;

    /// Two inputs as they come, so that the stem's learned batch norm is read whole and in parts,
    /// by cells of two strides; one edge has nothing but a zero.
    const BARE: &str = "
name: bare
operations:
  none: [{zero: {stride: edge}}]
  skip: {stride_1: [identity], stride_2: [{avg_pool: {kernel: 2, stride: 2, padding: 0}}]}
  conv: [relu, {conv: {kernel: 3, stride: edge, bias: search}}, batch_norm]
skip: skip
cells:
  plain: {alphas: a, candidates: [[none], [skip, conv], [conv, none, skip], [conv], [skip, none]]}
  down: {alphas: b, candidates: [none, conv], input_stride: 2}
cell: {inputs: [{same: []}, {same: []}], nodes: 2, edges: all, output: {sum: nodes}}
derive: {edges: all}
labels: {cell: 'cells.{cell}', edge: '{source}-{target}', candidate: '{operation}', choice: '{choice}'}
skeletons:
  search:
    channels: 8
    size: 2
    stems: [{label: stem, steps: [{conv: {kernel: 3}}, batch_norm]}]
    body: {cell: plain, count: total, segments: 2, transition: {cell: down}}
    head: [global_avg_pool, {linear: {label: head}}]
";

    /// Logits in evaluation, then of a training pass logits, running statistics and the gradients
    /// of weights and alphas.
    fn passes(model: &Model) -> Vec<(&'static str, Vec<f32>)> {
        let FeatureMap { height, width, .. } = model.network().input;
        passes_on([height, width], model)
    }

    /// On images of those sides.
    fn passes_on([height, width]: [usize; 2], model: &Model) -> Vec<(&'static str, Vec<f32>)> {
        let network = model.network();
        let device = Device::flex();
        let (weights, running) = (initial_weights(network, 1, &device), initial_running(network, &device));
        let alphas = initial_alphas(network, 1.0, 2, &device);
        let x: Tensor<4> = noise(3, [4, 3, height, width], &device);
        let towards: Tensor<2> = noise(4, [4, network.scores()], &device);
        let mixing = |alphas: &_| {
            let tables = &network.alphas;
            edge_weights(tables, Relaxation::Softmax.weights(tables, alphas), alphas, 0.7)
        };
        let evaluated =
            model.forward(Mode::Evaluate, &weights.views(), &running, &mixing(&alphas.views()), x.clone()).outputs;
        let (of_weights, of_alphas) = (model.leaves(&weights), alphas.leaves());
        let mode = Mode::Train { drop_path: None };
        let passed = model.forward(mode, &of_weights, &running, &mixing(&of_alphas), x.autodiff());
        let gradients = (passed.outputs.scores(OUTPUT) * towards.autodiff()).sum().backward();
        vec![
            ("evaluation", host(evaluated.scores(OUTPUT))),
            ("logits", host(passed.outputs.inner().scores(OUTPUT))),
            ("statistics", host(passed.running)),
            ("gradient of the weights", host(weights.gradient(&of_weights, &gradients))),
            ("gradient of alphas and betas", host(alphas.gradient(&of_alphas, &gradients))),
        ]
    }

    #[test]
    fn a_program_is_its_layers_in_value_and_gradient() {
        let bare = Space::parse(Path::new("bare.yaml"), BARE).unwrap();
        let shipped = [("darts", 3), ("nas_bench_201", 1), ("robust_s4", 3)];
        let shipped = shipped.map(|(name, size)| (shipped::space(name), size));
        let spaces: Vec<_> = shipped.into_iter().chain([(bare, 2)]).collect();
        for (space, size) in &spaces {
            for (partial_channels, edge_normalisation, auxiliary_skip) in [
                (4, true, false),
                (2, false, false),
                (1, true, false),
                (1, false, true),
                (4, true, true),
                (8, false, true),
            ] {
                // Halving without losing a pixel needs two channels.
                let channels = if partial_channels == 8 { 16 } else { 8 };
                let edges = EdgeOptions { partial_channels, edge_normalisation, auxiliary_skip };
                let build = shipped::build("search", 8, 3);
                let build = Build { channels: Some(channels), size: Some(*size), edges, ..build };
                let network = space.supernet(&build).unwrap();
                let by_layers = passes(&Model::new(network.clone(), Kernels::Reference));
                let what = format!("{}, {edges:?}", space.name);
                compare(&passes(&Model::new(network, Kernels::Native)), &by_layers, &what);
            }
        }
    }

    #[track_caller]
    fn compare(found: &[(&str, Vec<f32>)], expected: &[(&str, Vec<f32>)], what: &str) {
        let length = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for ((name, found), (_, expected)) in found.iter().zip(expected) {
            assert_eq!(found.len(), expected.len());
            let size = length(&mut expected.iter().copied());
            let off = length(&mut found.iter().zip(expected).map(|(found, expected)| found - expected));
            assert!(size > 1e-3 && off < 1e-4 * size, "{what}: {name} is {off} of {size} off");
        }
    }

    /// What weighs nothing is left out: the same outputs, the same gradients of what is there, and for
    /// the others that of a candidate that gives ones.
    #[test]
    fn candidates_that_weigh_nothing_need_not_be_computed() {
        let device = Device::flex();
        for (name, size, partial_channels) in [("darts", 3, 1), ("darts", 3, 4), ("nas_bench_201", 1, 1)] {
            let space = shipped::space(name);
            let edges = EdgeOptions { partial_channels, edge_normalisation: true, auxiliary_skip: true };
            let build = Build { channels: Some(8), size: Some(size), edges, ..shipped::build("search", 8, 3) };
            let network = space.supernet(&build).unwrap();
            let (weights, running) = (initial_weights(&network, 1, &device), initial_running(&network, &device));
            let alphas = initial_alphas(&network, 1.0, 2, &device).views();
            let tables = &network.alphas;
            let mixing = edge_weights(tables, Relaxation::OneHot.weights(tables, &alphas), &alphas, 0.7);
            let computed = Computed::of(tables, &mixing).unwrap();
            let x: Tensor<4> = noise(3, [4, 3, 8, 8], &device);
            let by = |kernels, computed: Option<&Computed>| {
                let model = Model::new(network.clone(), kernels);
                let leaves = model.leaves(&weights);
                let mixing: Vec<_> = mixing.iter().map(|table| table.clone().autodiff().require_grad()).collect();
                let mode = Mode::Train { drop_path: None };
                let passed = model.forward_of(
                    mode,
                    Portion { computed, ..Portion::default() },
                    &leaves,
                    &running,
                    &mixing,
                    x.clone().autodiff(),
                );
                let gradients = passed.outputs.scores(OUTPUT).square().sum().backward();
                let of_mixing = mixing.iter().flat_map(|table| host(table.grad(&gradients).unwrap().inner()));
                vec![
                    ("logits", host(passed.outputs.inner().scores(OUTPUT))),
                    ("gradient of the weights", host(weights.gradient(&leaves, &gradients))),
                    ("gradient of the mixing weights", of_mixing.collect()),
                ]
            };
            let found = by(Kernels::Native, Some(&computed));
            compare(&found, &by(Kernels::Reference, Some(&computed)), name);
            let whole = by(Kernels::Native, None);
            compare(&found[..2], &whole[..2], &format!("{name}, whole"));
            let mut at = 0;
            for (number, table) in tables.iter().enumerate() {
                for (row, edge) in table.candidates.iter().enumerate() {
                    let [found, whole] = [&found[2].1, &whole[2].1].map(|all| &all[at..at + edge.len()]);
                    at += table.mixing_columns();
                    let others: Vec<f32> =
                        (0..edge.len()).filter(|at| !computed.has(number, row, *at)).map(|at| found[at]).collect();
                    assert!(others.iter().all(|other| *other == others[0]), "{name}: {others:?}");
                    for kept in (0..edge.len()).filter(|at| computed.has(number, row, *at)) {
                        assert!((found[kept] - whole[kept]).abs() < 1e-4 * whole[kept].abs().max(1.0));
                    }
                }
            }
        }
    }

    /// To the bit: as the network that was made for them.
    #[test]
    fn a_network_reads_images_of_other_sides() {
        for (name, skeleton, size) in [("darts", "search", 3), ("nas_bench_201", "search", 1)] {
            let space = shipped::space(name);
            let build = Build { channels: Some(8), size: Some(size), ..shipped::build(skeleton, 8, 3) };
            let small = space.supernet(&build).unwrap();
            let input = FeatureMap { channels: 3, height: 12, width: 20 };
            let wide = space.supernet(&Build { input, ..build }).unwrap();
            assert_eq!(small.resized([12, 20], true).unwrap(), wide, "{name}");
            for kernels in [Kernels::Native, Kernels::Reference] {
                let found = passes_on([12, 20], &Model::new(small.clone(), kernels));
                assert_eq!(found, passes(&Model::new(wide.clone(), kernels)), "{name}, {kernels}");
            }
        }
    }

    #[test]
    fn images_that_a_network_cannot_read_are_named_before_a_pass() {
        let space = shipped::space("darts");
        let genotype = shipped::genotype("darts_v2", &space);
        let build = Build { channels: Some(4), size: Some(3), auxiliary: true, ..shipped::build("cifar", 32, 3) };
        let model = Model::new(space.discrete(&genotype, &build).unwrap(), Kernels::Native);
        let said = |sides, training| model.check_images(sides, training).map_err(|error| error.to_string());
        // Where it is evaluated the auxiliary head, whose last layer has weights for 32 pixels, is not asked.
        assert_eq!(said([48, 64], false), Ok(()));
        let auxiliary = "`auxiliary_head.classifier`: a linear layer for a map of 768x1x1 cannot read one of 768x";
        assert!(said([48, 64], true).unwrap_err().starts_with(auxiliary), "{:?}", said([48, 64], true));
        assert!(said([33, 32], false).unwrap_err().contains("`factorized_reduce` needs even sides, found 33x32"));
    }

    /// A trunk, a row of numbers and a picture; in the cells a nonlinearity that runs between programs.
    #[test]
    fn a_network_of_several_heads_puts_out_each_under_its_name() {
        let heads = "trunk: [relu, {label: trunk, steps: [{conv: {kernel: 3, out: 6, bias: true}}]}]
    heads:
      policy: [global_avg_pool, {linear: {out: 5, label: hidden}}, relu, {linear: {label: policy}}]
      picture: [{conv: {kernel: 1, out: 12, label: picture, bias: true}}, {pixel_shuffle: {by: 2}}, tanh]
";
        let swish = "[{conv: {kernel: 3, stride: edge, bias: search}}, batch_norm, swish]";
        let conv = "[relu, {conv: {kernel: 3, stride: edge, bias: search}}, batch_norm]";
        let text = edited(BARE, &[("head: [global_avg_pool, {linear: {label: head}}]\n", heads), (conv, swish)]);
        let space = Space::parse(Path::new("bare.yaml"), &text).unwrap();
        let map = |channels, side| FeatureMap { channels, height: side, width: side };
        let asked = |name: &str, size| OutputSpec { name: name.to_owned(), size };
        let outputs = vec![asked("picture", map(3, 8)), asked("policy", map(15, 1))];
        let build = Build { outputs, ..shipped::build("search", 8, 3) };
        let network = space.supernet(&build).unwrap();
        let shapes: Vec<Vec<usize>> = network.heads.iter().map(|head| head.output.sides()).collect();
        assert_eq!(shapes, [vec![3, 8, 8], vec![15]]);
        let device = Device::flex();
        let (weights, running) = (initial_weights(&network, 1, &device), initial_running(&network, &device));
        let alphas = initial_alphas(&network, 1.0, 2, &device);
        let x: Tensor<4> = noise(3, [4, 3, 8, 8], &device);
        let by = |kernels| {
            let model = Model::new(network.clone(), kernels);
            let (of_weights, of_alphas) = (model.leaves(&weights), alphas.leaves());
            let mixing = Relaxation::Softmax.weights(&network.alphas, &of_alphas);
            let mode = Mode::Train { drop_path: None };
            let outputs = model.forward(mode, &of_weights, &running, &mixing, x.clone().autodiff()).outputs;
            let [policy, picture] = ["policy", "picture"].map(|name| outputs.scores(name));
            let gradients = (policy.clone().square().sum() + picture.clone().square().sum()).backward();
            vec![
                ("policy", host(policy.inner())),
                ("picture", host(picture.inner())),
                ("gradient of the weights", host(weights.gradient(&of_weights, &gradients))),
                ("gradient of alphas", host(alphas.gradient(&of_alphas, &gradients))),
            ]
        };
        compare(&by(Kernels::Native), &by(Kernels::Reference), "two heads");

        let said = |outputs| space.supernet(&Build { outputs, ..build.clone() }).unwrap_err();
        let error = said(OutputSpec::scores(3)).to_string();
        assert_eq!(error, "skeleton `search` puts out `picture` and `policy`, asked is `output`");
        let error = said(vec![asked("policy", map(15, 1)), asked("picture", map(3, 4))]).to_string();
        assert_eq!(error, "`picture head`: gives 3x8x8, needed is 3x4x4");
    }

    /// Each kind of layer in turn is one that no program expresses, at any depth of a network.
    #[test]
    fn layers_between_programs_compute_what_they_compute_in_one() {
        let alone: [(&str, StandsAlone); 6] = [
            ("relu", |kind| matches!(kind, LayerKind::Relu)),
            ("batch norm", |kind| matches!(kind, LayerKind::BatchNorm { .. })),
            ("pools", |kind| matches!(kind, LayerKind::MaxPool(_) | LayerKind::AvgPool(_))),
            ("depthwise", |kind| matches!(kind, LayerKind::Conv(conv) if conv.groups > 1)),
            ("reduction and head", |kind| matches!(kind, LayerKind::FactorizedReduce { .. } | LayerKind::Linear)),
            ("all", |kind| !matches!(kind, LayerKind::Sum(_) | LayerKind::Concat(_))),
        ];
        for (name, size) in [("darts", 3), ("nas_bench_201", 1)] {
            let space = shipped::space(name);
            let edges = EdgeOptions { partial_channels: 2, edge_normalisation: true, auxiliary_skip: true };
            let build = Build { channels: Some(8), size: Some(size), edges, ..shipped::build("search", 8, 3) };
            let network = space.supernet(&build).unwrap();
            let whole = passes(&Model::new(network.clone(), Kernels::Native));
            for (which, alone) in alone {
                let model = Model::new(network.clone(), Kernels::Native).with_layers_alone(alone);
                compare(&passes(&model), &whole, &format!("{name}, {which} alone"));
            }
        }
    }

    #[test]
    fn eight_channels_in_four_groups_are_dealt_out() {
        let numbers: Vec<f32> = (0..8).map(|channel| channel as f32).collect();
        let x = Tensor::from_data(TensorData::new(numbers, [1, 8, 1, 1]), &Device::flex());
        let partial = Partial { groups: 4, bypass: Chain::default() };
        assert_eq!(host(shuffled(x, &partial)), [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    }
}
