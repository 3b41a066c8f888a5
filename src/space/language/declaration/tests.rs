use super::*;
use crate::edited::edited;
use crate::space::{Genotype, network::LayerKind, shipped};
use std::fs;

/// A small space with an operation that no shipped space has.
const SMALL: &str = "
name: small
operations:
  wide:
    label: body
    steps:
      - conv: {kernel: [1, 7], stride: [1, edge], out: 2C}
      - conv: {kernel: [7, 1], stride: [edge, 1], bias: true}
      - concat: [[{pointwise: {out: C/2, label: left}}], [{pointwise: {out: C/2, label: right}}]]
  skip: {stride_1: [identity], stride_2: [{avg_pool: {kernel: 3, stride: 2}}]}
cells:
  plain: {alphas: a, candidates: [[wide], [skip, wide], [skip]]}
  down: {alphas: b, candidates: [wide, skip], input_stride: 2}
cell:
  inputs: [{same: [pointwise]}]
  nodes: 2
  edges: [[0, 1], [0, 2], [1, 2]]
  output: {sum: [2]}
derive: {edges: 1}
labels: {cell: 'cells.{cell}', edge: '{source}-{target}', candidate: '{operation}', choice: '{choice}'}
skeletons:
  search:
    channels: 4
    size: 2
    stems: [[{conv: {kernel: 3}}]]
    body: {cell: plain, count: per_segment, segments: 2, transition: {cell: down, widen: 2}}
    head: [global_avg_pool, linear]
";

fn parse(text: &str) -> Result<Space, Problems> {
    Space::parse(Path::new("s.yaml"), text)
}

fn said(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err("the text is wrong");
    let hint = |hint: &Option<String>| hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
    problems.iter().map(|p| format!("{} {}{}", p.origin, p.message, hint(&p.hint))).collect()
}

#[test]
fn a_space_with_operations_of_its_own_needs_no_code() {
    let space = parse(SMALL).unwrap();
    assert_eq!(space.genotype_text, GenotypeText::Yaml);
    let plain = space.cell_kind("plain").unwrap();
    assert_eq!(plain.candidates, [vec!["wide"], vec!["skip", "wide"], vec!["skip"]]);
    let network = space.supernet(&shipped::build("search", 8, 10)).unwrap();
    let names: Vec<String> = network.tensors().into_iter().map(|spec| spec.name).collect();
    for name in ["0.weight", "cells.2.0-1.wide.body.left.weight", "cells.4.0-2.wide.body.1.bias", "1.bias"] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    let crate::space::network::Block::Cell(down) = &network.blocks[2] else { panic!("a cell stands between") };
    assert_eq!((down.kind.as_str(), down.size.channels, down.size.height), ("down", 8, 4));
    let LayerKind::Conv(conv) = &down.edges[0].candidates[0].chain.layers[1].kind else { panic!("a convolution") };
    assert_eq!((conv.kernel, conv.stride, conv.padding), ([7, 1], [2, 1], [3, 0]));
    let text = "cells: {plain: {nodes: [[wide~0], [skip~1]]}, down: {nodes: [[wide~0], [wide~0]], output: [1]}}";
    let genotype = Genotype::parse(text, &space).unwrap();
    let network = space.discrete(&genotype, &shipped::build("search", 8, 10)).unwrap();
    assert!(network.alphas.is_empty() && network.cost().parameters > 0);
}

#[test]
fn comments_layout_and_prose_do_not_change_the_digest_and_content_does() {
    let digest = |text: &str| parse(text).unwrap().digest();
    let same = format!("# hello\n{}\nabout: something\n", edited(SMALL, &[("channels: 4", "channels:   4 # wide")]));
    assert_eq!(digest(SMALL), digest(&same));
    assert_ne!(digest(SMALL), digest(&edited(SMALL, &[("channels: 4", "channels: 5")])));
    // A changed digest of unchanged content would rerun every search: change it knowingly.
    assert_eq!(digest(SMALL).short(), "f520d5c2acbd");
}

#[test]
fn all_faults_are_said_at_once() {
    let edits = [
        ("name: small", "nam: small"),
        ("- conv: {kernel: [1, 7]", "- cnv: {kernel: [1, 7]"),
        ("segments: 2", "segments: 0"),
        ("[skip]]", "[skp]]"),
        ("cell: down", "cell: dwn"),
    ];
    let text = edited(SMALL, &edits);
    assert_eq!(
        said(&text),
        [
            "s.yaml:2:1 a search space lacks the key `name`",
            "s.yaml:7:9 unknown primitive `cnv` in operation `wide` (did you mean `conv`?)",
            "s.yaml:12:58 unknown operation `skp` in cell kind `plain` (did you mean `skip`?)",
            "s.yaml:26:55 `segments` must be a whole number from 1 to 8, found `0`",
            "s.yaml:26:77 unknown cell kind `dwn` (did you mean `down`?)",
            "s.yaml:2:1 unknown key `nam` in a search space (did you mean `name`?)",
        ]
    );
}

#[test]
fn each_fault_has_its_sentence() {
    for (from, to, expected) in [
        ("channels: 4", "channels: four", "`channels` must be a whole number from 1 to 16384, found `four`"),
        ("out: 2C", "out: 2D", "`out` must be a width such as `64`, `C`, `3C`, `C/2` or `4I`, found `2D`"),
        ("kernel: 3}}]]", "kernal: 3}}]]", "`conv` in a stem lacks the key `kernel`"),
        ("kernel: 3}}]]", "kernel: 2}}]]", "no padding keeps the sides with an even kernel"),
        ("kernel: 3}}]]", "kernel: 3, stride: edge}}]]", "`stride: edge` has a meaning in operations only"),
        (
            "kernel: 3}}]]",
            "kernel: 3, stride: 0}}]]",
            "`stride` must be a whole number from 1 to 8, or `edge`, found `0`",
        ),
        ("candidates: [wide, skip]", "candidates: [wide, skip, skip]", "candidate `skip` is there twice"),
        ("candidates: [wide, skip]", "candidates: []", "an edge needs a candidate"),
        ("[skip, wide], [skip]]", "[skip, wide]]", "`candidates` has 2 lists, the cell has 3 edges"),
        (
            "[skip, wide], [skip]]",
            "[skip, wide], skip]",
            "`candidates` must be operations or lists of operations, not both",
        ),
        ("[1, 2]]\n", "[2, 1]]\n", "an edge must go forwards, found 2 to 1"),
        ("[1, 2]]\n", "[1, 3]]\n", "an edge must end at a state from 1 to 2, found 3"),
        ("[1, 2]]\n", "[0, 2]]\n", "the edge from 0 to 2 is there twice"),
        ("[[0, 1], [0, 2]", "[[0, 2], [0, 1]", "edges must be listed by target, then by source"),
        ("[[0, 1], [0, 2], [1, 2]]", "[[0, 1]]", "state 2 has no incoming edge"),
        ("{sum: [2]}", "{sum: [0]}", "`sum` must be a state from 1 to 2, found `0`"),
        ("{sum: [2]}", "{sum: [2, 2]}", "state 2 is output twice"),
        ("{sum: [2]}", "{mean: nodes}", "unknown key `mean` in `output`"),
        ("input_stride: 2", "input_stride: 3", "`input_stride` must be 1 or 2, found `3`"),
        ("alphas: b", "alphas: a", "`a` is the table of cell kind `plain` already"),
        ("alphas: b", "alphas: b, betas: a", "`a` is the table of cell kind `plain` already"),
        ("derive: {", "skip: skp\nderive: {", "unknown operation `skp` in `skip`"),
        ("derive: {", "skip: [skip]\nderive: {", "`skip` must be text, found a list"),
        (
            ", stride_2: [{avg_pool: {kernel: 3, stride: 2}}]",
            "",
            "operation `skip` has no `stride_2`, which an edge of stride 2 needs",
        ),
        ("stride: [1, edge]", "stride: [1, 1]", "operation `wide` has stride 2x1 in all, an edge of stride 2 needs 2"),
        (
            "{out: C/2, label: left}",
            "{out: C, label: left}",
            "operation `wide` ends at width `3C/2`, an edge needs `C`",
        ),
        ("edges: 1", "edges: none", "`edges` must be `all` or a number of edges from 1 to 64, found `none`"),
        ("{edges: 1}", "{edges: 1, exclude: [nane]}", "unknown operation `nane` in `exclude`"),
        ("{edges: 1}", "{edges: 1, exclude: [skip]}", "an edge has only candidates that `derive` excludes"),
        ("'{source}-{target}'", "'{row}'", "label pattern `edge` has `{row}`"),
        ("head: [global", "heads: [global", "`heads` must be a map from the names of outputs to chains"),
        ("head: [global", "trunk: [relu]\n    head: [global", "a trunk is for several heads"),
        ("head: [global", "heads: {auxiliary: [linear]}\n    head: [global", "a skeleton has `head` or `heads`"),
        ("head: [global", "heads: {auxiliary: [linear]}\n    had: [global", "`auxiliary` is what the auxiliary head"),
        ("[identity]", "[linear]", "`linear` ends a feature map: it belongs in a head, not in operation `skip`"),
        ("cell: plain,", "cell: plane,", "unknown cell kind `plane`"),
        ("widen: 2}", "widen: 2}, widths: [C, 2C]", "a body says `widths`, or its transition `widen`, not both"),
        ("widen: 2}", "widen: 1}, widths: [C]", "`widths` must be a list of a width a segment"),
        ("widen: 2}", "widen: 1}, widths: [C, 2D]", "`widths` must be a list of a width a segment"),
        ("count: per_segment, segments: 2,", "count: per_segment, segments: 1,", "one segment has no transition"),
        ("{sum: [2]}", "{sum: [2], then: pointwise}", "`then` must be a list of steps"),
        ("{sum: [2]}", "{sum: [2], then: [linear]}", "`linear` ends a feature map"),
        ("output: {sum", "node: [linear]\n  output: {sum", "`linear` ends a feature map"),
        ("'cells.{cell}'", "'cells.{sell}'", "label pattern `cell` has `{sell}`"),
        ("transition: {cell: down,", "transition: {block: down,", "unknown block `down`"),
        ("  search:\n", "  search:\n    extends: other\n", "no skeleton `other` above `search`"),
        (
            "size: 2\n",
            "size: 2\n    auxiliary: {after: last, head: [linear]}\n",
            "`after` must be one of `last_transition`, found `last`",
        ),
        (
            "size: 2\n",
            "size: 2\n    auxiliary: {after: last_transition, in_place: true, head: [global_avg_pool, relu, linear]}\n",
            "`in_place` is for a head that begins with `relu`",
        ),
        ("name: small", "name: [small", "not valid YAML"),
    ] {
        let said = said(&edited(SMALL, &[(from, to)]));
        assert!(said.iter().any(|line| line.contains(expected)), "{from} -> {to}: {said:#?}");
    }
}

/// Widths by segment, a transition before the first, steps behind nodes and outputs; labels by segment.
#[test]
fn segments_may_have_widths_and_begin_with_a_transition() {
    let text = edited(
        SMALL,
        &[
            ("transition: {cell: down, widen: 2}", "widths: [C, 3C/2], transition: {block: half, first: true}"),
            ("{sum: [2]}", "{concat: nodes, then: [{pointwise: {label: out}}]}"),
            ("  nodes: 2", "  node: [{affine: {scale: 0.5}}]\n  nodes: 2"),
            ("cell: 'cells.{cell}'", "cell: '{segment}.cells.{place}', block: '{segment}'"),
            ("skeletons:", "blocks: {half: [{conv: {kernel: 3, stride: 2, label: half}}]}\nskeletons:"),
        ],
    );
    let space = parse(&text).unwrap();
    let network = space.supernet(&shipped::build("search", 8, 10)).unwrap();
    let names: Vec<(String, Vec<usize>)> = network.tensors().into_iter().map(|spec| (spec.name, spec.shape)).collect();
    for (name, shape) in [
        ("0.half.weight", [4, 4, 3, 3]),
        ("1.half.weight", [6, 4, 3, 3]),
        ("0.cells.1.out.weight", [4, 8, 1, 1]),
        ("1.cells.0.out.weight", [6, 12, 1, 1]),
    ] {
        assert!(names.contains(&(name.to_owned(), shape.to_vec())), "{name} in {names:?}");
    }
    let crate::space::network::Block::Cell(cell) = &network.blocks[1] else { panic!("a cell") };
    assert!(cell.nodes.iter().all(|node| node.then.layers.len() == 1));
    // A width that is no whole number is found out when it is built.
    let build = crate::space::Build { channels: Some(3), ..shipped::build("search", 8, 10) };
    let error = space.supernet(&build).unwrap_err().to_string();
    assert_eq!(error, "`body`: width `3C/2` is no usable number of channels where C is 3");
    let total = edited(&text, &[("count: per_segment", "count: total")]);
    assert!(said(&total).iter().any(|line| line.contains("`first` is for `count: per_segment`")));
    let widths = "{alphas: b, widths: {alphas: w, choices: [1]}, candidates";
    let chosen = edited(&text, &[("{alphas: b, candidates", widths)]);
    assert!(said(&chosen).iter().any(|line| line.contains("nodes that choose their widths have no steps")));
}

#[test]
fn nothing_at_all_and_what_is_no_map_are_refused_without_panic() {
    for text in ["", "[]", "3", "name: x", "operations: {a: 3}\ncells: []\ncell: 7\nskeletons: {s: 1}\nblocks: [1]"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn no_line_can_be_dropped_from_a_shipped_space_with_a_panic() {
    for name in ["darts", "nas_bench_201", "rl_darts"] {
        let text = fs::read_to_string(shipped::path(&format!("{name}.yaml"))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for dropped in 0..lines.len() {
            let kept: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != dropped).map(|(_, l)| *l).collect();
            if let Ok(space) = parse(&kept.join("\n")) {
                let names: Vec<String> = space.skeleton_names().map(str::to_owned).collect();
                for skeleton in names {
                    // An error is fine, a panic is not.
                    let _ = space.supernet(&crate::space::Build { size: Some(2), ..shipped::build(&skeleton, 32, 10) });
                }
            }
        }
    }
}

#[test]
fn the_benchmark_is_beside_the_file_and_a_missing_file_is_named() {
    let space = shipped::space("nas_bench_201");
    assert_eq!(space.benchmark.as_deref(), Some(shipped::path("tables/nas_bench_201.csv.gz").as_path()));
    let error = Space::read(Path::new("no/such.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "failed to read search space `no/such.yaml`");
}
