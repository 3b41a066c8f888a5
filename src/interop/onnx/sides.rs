//! Which sides of maps a graph leaves to who runs it.

use crate::space::network::{Chain, FeatureMap, Head, LayerKind, Network};

/// A side of a tensor behind the number of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    Fixed(usize),
    /// Any, by name.
    Free(String),
}

/// Those of what comes in, and of what each head puts out.
pub struct Sides {
    pub input: Vec<Side>,
    pub heads: Vec<Vec<Side>>,
}

impl Sides {
    /// Height and width are free where every head can read maps of any, unless they are to be fixed:
    /// not where a linear layer flattens a map, before which no mean over the whole of it stands.
    pub fn of(network: &Network, fixed: bool, names: &[String]) -> Self {
        let FeatureMap { channels, height, width } = network.input;
        let depends: Option<Vec<bool>> = network.heads.iter().map(|head| depends(&network.trunk, head)).collect();
        let Some(depends) = depends.filter(|_| !fixed) else {
            let heads = network.heads.iter().map(|head| fixed_sides(&head.output.sides()));
            return Self { input: fixed_sides(&[channels, height, width]), heads: heads.collect() };
        };
        let heads = network.heads.iter().zip(names).zip(depends);
        let heads = heads.map(|((head, name), depends)| match depends {
            true => map(head.output.size.channels, &format!("{name}_")),
            false => fixed_sides(&head.output.sides()),
        });
        Self { input: map(channels, ""), heads: heads.collect() }
    }
}

fn fixed_sides(sides: &[usize]) -> Vec<Side> {
    sides.iter().map(|&side| Side::Fixed(side)).collect()
}

fn map(channels: usize, prefix: &str) -> Vec<Side> {
    let free = ["height", "width"].map(|side| Side::Free(format!("{prefix}{side}")));
    std::iter::once(Side::Fixed(channels)).chain(free).collect()
}

/// Whether the sides of what a head puts out depend on those of the images; `None` where the head needs
/// images of one size.
fn depends(trunk: &Chain, head: &Head) -> Option<bool> {
    let depends = behind(&head.chain, behind(trunk, true)?)?;
    // A row of numbers that were a map of one pixel: of larger images it would be none.
    let is_row = head.output.sides().len() == 1;
    (!depends || !is_row).then_some(depends)
}

/// The same behind a chain that reads a map whose sides do or do not depend on them.
fn behind(chain: &Chain, depends: bool) -> Option<bool> {
    chain.layers.iter().try_fold(depends, |depends, layer| match &layer.kind {
        LayerKind::GlobalAvgPool => Some(false),
        LayerKind::Linear if depends => None,
        LayerKind::Sum(chains) | LayerKind::Concat(chains) => {
            chains.iter().try_fold(false, |any, chain| Some(behind(chain, depends)? || any))
        }
        _ => Some(depends),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edited::edited,
        space::{Build, Genotype, Space, network::OutputSpec, shipped},
    };
    use std::path::Path;

    fn free(text: &str, genotype: &str, outputs: Vec<OutputSpec>, skeleton: &str) -> bool {
        let space = Space::parse(Path::new("s.yaml"), text).unwrap();
        let build = Build { outputs, channels: Some(4), size: Some(1), ..shipped::build(skeleton, 8, 3) };
        let network = space.discrete(&Genotype::parse(genotype, &space).unwrap(), &build).unwrap();
        let names: Vec<String> = network.heads.iter().map(|head| head.output.name.clone()).collect();
        assert!(!Sides::of(&network, true, &names).input.contains(&Side::Free("height".to_owned())), "as it is told");
        let Sides { input, heads } = Sides::of(&network, false, &names);
        let free = input[1..] == ["height", "width"].map(|side| Side::Free(side.to_owned()));
        assert!(free || input == [3, 8, 8].map(Side::Fixed));
        if let [channels, height, width] = heads[0].as_slice() {
            assert_eq!(channels, &Side::Fixed(3));
            let of_picture = ["image_height", "image_width"].map(|side| Side::Free(side.to_owned()));
            assert_eq!([height, width], [&of_picture[0], &of_picture[1]]);
        }
        free
    }

    #[test]
    fn a_linear_layer_that_flattens_a_map_wants_images_of_one_size() {
        let text = std::fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
        let cell = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|";
        let of = |head: &str| {
            let text = edited(&text, &[("global_avg_pool, {linear: {label: classifier}}", head)]);
            free(&text, cell, OutputSpec::scores(3), "final")
        };
        assert!(of("global_avg_pool, {linear: {label: classifier}}"));
        assert!(!of("{linear: {label: classifier}}"));
        // The mean over a window is one of the whole map at this size alone.
        assert!(!of("{avg_pool: {kernel: 2, padding: 0}}, {linear: {label: classifier}}"));
        assert!(
            !of("{conv: {kernel: 2, padding: 0, out: 3, label: classifier}}"),
            "a row of numbers at this size alone"
        );
    }

    #[test]
    fn a_picture_has_any_sides() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/controls/residual_sr.yaml");
        let size = FeatureMap { channels: 3, height: 32, width: 32 };
        let outputs = vec![OutputSpec { name: "image".to_owned(), size }];
        assert!(free(&std::fs::read_to_string(path).unwrap(), "|block~0|", outputs, "final"));
    }
}
