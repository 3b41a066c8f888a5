//! The way from files to pipelines and rendered problems, as a whole.

use super::*;
use crate::edited::edited;
use std::{fs, path::Path};

const KINDS: &[KindSlots] = &[
    KindSlots { kind: "prepare", slots: &[] },
    KindSlots { kind: "search", slots: &[slot("data", &["prepare"], false, true)] },
    KindSlots { kind: "derive", slots: &[slot("search", &["search"], false, true)] },
    KindSlots { kind: "benchmark", slots: &[slot("genotype", &["derive"], false, true)] },
    KindSlots { kind: "report", slots: &[slot("of", &[], true, true)] },
];

const fn slot(key: &'static str, accepts: &'static [&'static str], many: bool, required: bool) -> Slot {
    Slot { key, accepts, many, required }
}

/// A small pipeline with every kind of reference.
const GOOD: &str = r#"
name: small
data: {root: sets}
runtime: {threads: 2, checkpoint: {every_steps: 100}}
matrix:
  seed: [1, 2]
  rate: [0.1, 0.01]
stages:
  report: {report: {of: ["cell[*]", "table[seed=2,rate=0.1]"], expect: {accuracy: 90}}}
  cifar: {prepare: {cifar10: {path: cifar10-small}}}
  search:
    search: {data: cifar, seed: "${matrix.seed}", rate: "${matrix.rate}", note: "run ${matrix.seed}"}
    runtime: {device: "cuda:1"}
  cell: {derive: {search: search}}
  table: {benchmark: {genotype: cell}}
  best: {derive: {search: "search[rate=0.1]"}}
"#;

/// Loads `p.yaml` from a scratch folder that also holds `files`.
fn load_with(
    text: &str,
    files: &[(&str, &str)],
    settings: &[&str],
    environment: &[(&str, &str)],
) -> Result<Pipeline, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), text).unwrap();
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    let settings: Vec<String> = settings.iter().map(|text| text.to_string()).collect();
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let root = format!("{}/", folder.path().display());
    load(&folder.path().join("p.yaml"), &settings, environment, KINDS).map_err(|error| match error {
        ConfigError::Invalid { problems, .. } => render(&problems, false, 80).replace(&root, ""),
        other => panic!("{other}"),
    })
}

fn good(settings: &[&str], environment: &[(&str, &str)]) -> Pipeline {
    load_with(GOOD, &[], settings, environment).unwrap_or_else(|said| panic!("{said}"))
}

fn said(text: &str) -> String {
    load_with(text, &[], &[], &[]).expect_err("the pipeline should be wrong")
}

/// The complaints on stages written as `stages`, a line each: place, message, hint.
fn said_of_stages(stages: &str) -> Vec<String> {
    said_briefly(&format!("name: x\nstages:\n{stages}"))
}

fn said_briefly(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    fs::write(&path, text).unwrap();
    let Err(ConfigError::Invalid { problems, .. }) = load(&path, &[], std::iter::empty(), KINDS) else {
        panic!("the pipeline should be wrong")
    };
    let line = |p: &&Problem| {
        let hint = p.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{} {}{hint}", p.origin, p.message).replace(&format!("{}/p.yaml:", folder.path().display()), "")
    };
    problems.sorted().iter().map(line).collect()
}

fn names(pipeline: &Pipeline) -> Vec<&str> {
    pipeline.members.iter().map(|member| member.name.as_str()).collect()
}

fn member<'a>(pipeline: &'a Pipeline, name: &str) -> &'a Member {
    pipeline.members.iter().find(|member| member.name == name).unwrap()
}

fn reads<'a>(pipeline: &'a Pipeline, name: &str, slot: &str) -> Vec<&'a str> {
    member(pipeline, name).inputs[slot].iter().map(|&index| pipeline.members[index].name.as_str()).collect()
}

#[test]
fn members_are_multiplied_and_come_after_what_they_read() {
    assert_eq!(
        names(&good(&[], &[])),
        [
            "cifar",
            "search[seed=1,rate=0.1]",
            "search[seed=1,rate=0.01]",
            "search[seed=2,rate=0.1]",
            "search[seed=2,rate=0.01]",
            "cell[seed=1,rate=0.1]",
            "cell[seed=1,rate=0.01]",
            "cell[seed=2,rate=0.1]",
            "cell[seed=2,rate=0.01]",
            "table[seed=1,rate=0.1]",
            "table[seed=1,rate=0.01]",
            "table[seed=2,rate=0.1]",
            "table[seed=2,rate=0.01]",
            "report",
            "best[seed=1]",
            "best[seed=2]",
        ]
    );
}

#[test]
fn references_find_siblings_chosen_members_and_all() {
    let pipeline = good(&[], &[]);
    assert_eq!(reads(&pipeline, "search[seed=2,rate=0.1]", "data"), ["cifar"]);
    assert_eq!(reads(&pipeline, "cell[seed=2,rate=0.01]", "search"), ["search[seed=2,rate=0.01]"]);
    assert_eq!(reads(&pipeline, "best[seed=2]", "search"), ["search[seed=2,rate=0.1]"]);
    assert_eq!(
        reads(&pipeline, "report", "of"),
        [
            "cell[seed=1,rate=0.1]",
            "cell[seed=1,rate=0.01]",
            "cell[seed=2,rate=0.1]",
            "cell[seed=2,rate=0.01]",
            "table[seed=2,rate=0.1]",
        ]
    );
}

#[test]
fn params_hold_matrix_values_and_no_references() {
    let pipeline = good(&[], &[]);
    let search = member(&pipeline, "search[seed=2,rate=0.01]");
    assert_eq!(search.params.to_json(), serde_json::json!({"seed": 2, "rate": 0.01, "note": "run 2"}));
    assert_eq!(serde_json::to_value(&search.point).unwrap(), serde_json::json!({"seed": 2, "rate": 0.01}));
    assert_eq!((search.stage.as_str(), search.kind.as_str()), ("search", "search"));
    assert_eq!(search.origin.line_column(), Some((11, 3)));
    // What is wrong with a matrix value is shown where it stands.
    assert_eq!(search.params.get("seed").unwrap().origin.line_column(), Some((6, 13)));
    assert_eq!(member(&pipeline, "cell[seed=1,rate=0.1]").params.to_json(), serde_json::json!({}));
}

#[test]
fn runtime_of_a_stage_overrides_that_of_the_pipeline() {
    let pipeline = good(&["search.runtime.threads=8"], &[]);
    let checkpoint = Checkpoint { every_steps: Some(100), every_seconds: None };
    let plain = Runtime { threads: Some(2), checkpoint, ..Runtime::default() };
    assert_eq!(member(&pipeline, "cifar").runtime, plain);
    let search = &member(&pipeline, "search[seed=1,rate=0.1]").runtime;
    assert_eq!(*search, Runtime { devices: vec!["cuda:1".into()], threads: Some(8), ..plain });
}

#[test]
fn layers_win_in_their_order_and_leave_their_place() {
    let text = "extends: sub/base.yaml\nname: x\nstages: {s: {prepare: {b: 2, c: 2, d: 2}}}\n";
    let base = "stages: {s: {prepare: {a: 1, b: 1, c: 1, d: 1}}, t: {prepare: }}\n";
    let environment = [("DARTS_RUN_S__C", "3"), ("DARTS_RUN_S__D", "3")];
    let pipeline = load_with(text, &[("sub/base.yaml", base)], &["s.d=4"], &environment).unwrap();
    assert_eq!(names(&pipeline), ["s", "t"]);
    let params = &pipeline.members[0].params;
    assert_eq!(params.to_json(), serde_json::json!({"a": 1, "b": 2, "c": 3, "d": 4}));
    let place = |key| {
        let place = params.get(key).unwrap().origin.to_string();
        place.rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(
        ["a", "b", "c", "d"].map(place),
        ["base.yaml:1:27", "p.yaml:3:27", "environment variable `DARTS_RUN_S__C`", "--set s.d=4"]
    );
}

#[test]
fn the_data_folder_is_relative_to_what_names_it() {
    let root = |settings: &[&str], environment: &[(&str, &str)]| good(settings, environment).data_root;
    assert!(root(&[], &[]).is_absolute() && root(&[], &[]).ends_with("sets"));
    assert_eq!(root(&[], &[("DARTS_RUN_DATA", "../here")]), Path::new("../here"));
    assert_eq!(root(&["data.root=there"], &[("DARTS_RUN_DATA", "../here")]), Path::new("there"));
    let plain = load_with("name: x\nstages: {s: {prepare: }}\n", &[], &[], &[]).unwrap();
    assert_eq!(plain.data_root, Path::new("data"));
    let base = ("sub/base.yaml", "data: {root: d}\n");
    let text = "extends: sub/base.yaml\nname: x\nstages: {s: {prepare: }}\n";
    assert!(load_with(text, &[base], &[], &[]).unwrap().data_root.ends_with("sub/d"));
}

#[test]
fn a_setting_changes_the_axes() {
    let pipeline = good(&["matrix.seed=[2]", "matrix.rate=0.1"], &[]);
    assert_eq!(pipeline.members.len(), 6);
    assert_eq!(reads(&pipeline, "report", "of"), ["cell[seed=2,rate=0.1]", "table[seed=2,rate=0.1]"]);
}

#[test]
fn a_selector_may_take_its_value_from_the_matrix() {
    let text = edited(GOOD, &[("\"search[rate=0.1]\"", "\"search[rate=0.1, seed=${matrix.seed}]\"")]);
    let pipeline = load_with(&text, &[], &[], &[]).unwrap();
    assert_eq!(reads(&pipeline, "best[seed=1]", "search"), ["search[seed=1,rate=0.1]"]);
}

#[test]
fn anchors_may_share_a_part() {
    let text = "name: x\nstages:\n  a: {prepare: &p {k: 1}}\n  b: {prepare: *p}\n";
    let pipeline = load_with(text, &[], &[], &[]).unwrap();
    assert_eq!(pipeline.members[1].params.to_json(), serde_json::json!({"k": 1}));
}

#[test]
fn all_problems_of_a_file_are_shown_with_their_places() {
    insta::assert_snapshot!(said(
        "nme: small\nruntime: {device: cdua}\nmatrix: {seed: [], rate: [1]}\nstages:\n  cifar: {prepar: {digits: {}}}\n  \
         search: {search: {data: cifr, seed: \"${matrix.sead}\", epochs: 2, epochs: 3}}\n  cell:\n    derive:\n      \
         rule: best\n      search: cifar2\n  cifar2: {prepare: {}}\n"
    ), @r#"
      × the pipeline lacks the key `name`
       ╭─[p.yaml:1:1]
     1 │ nme: small
       · ──────────
       ╰────

      × unknown key `nme` in the pipeline
       ╭─[p.yaml:1:1]
     1 │ nme: small
       · ───
       ╰────
      help: did you mean `name`?

      × `device` must be `cpu`, `cuda` or `wgpu`, or `cuda:INDEX`, `wgpu:INDEX`,
      │ found `cdua`
       ╭─[p.yaml:2:19]
     2 │ runtime: {device: cdua}
       ·                   ────
       ╰────
      help: did you mean `cuda`?

      × no stage uses the axis `seed`
       ╭─[p.yaml:3:10]
     3 │ matrix: {seed: [], rate: [1]}
       ·          ────
       ╰────
      help: write `${matrix.seed}` in a stage, or drop the axis

      × the axis `seed` has no values
       ╭─[p.yaml:3:16]
     3 │ matrix: {seed: [], rate: [1]}
       ·                ──
       ╰────

      × no stage uses the axis `rate`
       ╭─[p.yaml:3:20]
     3 │ matrix: {seed: [], rate: [1]}
       ·                    ────
       ╰────
      help: write `${matrix.rate}` in a stage, or drop the axis

      × unknown stage kind `prepar` in stage `cifar`
       ╭─[p.yaml:5:11]
     5 │   cifar: {prepar: {digits: {}}}
       ·           ──────
       ╰────
      help: did you mean `prepare`?

      × `data` names `cifr`, but there is no such stage
       ╭─[p.yaml:6:27]
     6 │ …search: {search: {data: cifr, seed: "${matrix.sead}", epochs: 2, epoch…
       ·                          ────
       ╰────
      help: did you mean `cifar`?

      × the matrix has no axis `sead`
       ╭─[p.yaml:6:40]
     6 │ …: {search: {data: cifr, seed: "${matrix.sead}", epochs: 2, epochs: 3}}
       ·                                 ──────────────
       ╰────
      help: did you mean `${matrix.seed}`?

      × duplicate key `epochs`
       ╭─[p.yaml:6:68]
     6 │ …: {search: {data: cifr, seed: "${matrix.sead}", epochs: 2, epochs: 3}}
       ·                                                             ──────
       ╰────
      help: it was first written at p.yaml:6:57

      × `search` takes a `search` stage, but `cifar2` is a `prepare` stage
        ╭─[p.yaml:10:15]
     10 │       search: cifar2
        ·               ──────
        ╰────
      help: of that kind there is `search`

    11 problems; nothing was started
    "#);
}

#[test]
fn problems_from_outside_the_file_show_what_was_said() {
    let said = load_with(GOOD, &[], &["serch.epochs=3", "runtime.threads=0"], &[("DARTS_RUN_RUNTIME__DEVICE", "tpu")]);
    insta::assert_snapshot!(said.unwrap_err(), @"
      × `device` must be `cpu`, `cuda` or `wgpu`, or `cuda:INDEX`, `wgpu:INDEX`,
      │ found `tpu`
      ╰─▶ environment variable `DARTS_RUN_RUNTIME__DEVICE`

      × `serch` is no key of the pipeline and no stage
      ╰─▶ --set serch.epochs=3
      help: did you mean `search.epochs`?

      × `threads` must be a whole number from 1 to 1024, found `0`
      ╰─▶ --set runtime.threads=0

    3 problems; nothing was started
    ");
}

#[test]
fn broken_yaml_is_one_problem() {
    insta::assert_snapshot!(said("name: x\nstages: {s: {prepare: [1, 2}}\n"), @"
      × not valid YAML: while parsing a flow sequence, expected ',' or ']'
       ╭─[p.yaml:2:28]
     2 │ stages: {s: {prepare: [1, 2}}
       ·                            ▲
       ╰────

    1 problem; nothing was started
    ");
}

#[test]
fn an_empty_file_lacks_everything() {
    assert_eq!(said_briefly(""), ["1:1 the pipeline lacks the key `name`", "1:1 the pipeline lacks the key `stages`"]);
}

#[test]
fn wrong_sections_are_said() {
    assert_eq!(
        said_briefly("name: ' '\nabout: [x]\ndata: {rot: x}\nruntime: 3\nmatrix: {seed: 1}\nstages: []\n"),
        [
            "1:7 `name` must not be empty",
            "2:8 `about` must be text, found a list",
            "3:8 unknown key `rot` in `data` (did you mean `root`?)",
            "4:10 `runtime` must be a map, found a whole number",
            "6:9 `stages` must be a map, found a list",
        ]
    );
    assert_eq!(
        said_briefly("extend: b.yaml\nname: x\nstages: {s: {prepare: }}\n"),
        ["1:1 unknown key `extend` in the pipeline (did you mean `extends`?)"]
    );
    assert_eq!(said_briefly("name: 201\nstages: {}\n").len(), 2);
}

#[test]
fn a_stage_has_one_known_kind() {
    assert_eq!(
        said_of_stages(concat!(
            "  a: {serch: {}, runtme: {}}\n",
            "  b: {epochs: 2, batch: 3}\n",
            "  c: {prepare: {}, derive: {}}\n",
            "  d: {runtime: {}}\n",
            "  e: 3\n",
            "  f:\n",
            "  g: {prepare: 3}\n",
            "  'h i': {prepare: {}}\n",
        )),
        [
            "3:7 unknown stage kind `serch` in stage `a` (did you mean `search`?)",
            "3:18 unknown stage kind `runtme` in stage `a` (did you mean `runtime`?)",
            "4:7 unknown stage kind `epochs` in stage `b` (the stage kinds are `prepare`, `search`, `derive`, `benchmark`, `report`)",
            "5:20 stage `c` has two kinds, `prepare` and `derive` (a stage has one kind, and one that a file extends keeps it)",
            "6:3 stage `d` lacks its kind (the stage kinds are `prepare`, `search`, `derive`, `benchmark`, `report`)",
            "7:6 stage `e` must be a map of its kind, found a whole number (the stage kinds are `prepare`, `search`, `derive`, `benchmark`, `report`)",
            "8:3 stage `f` must be a map of its kind, found nothing (the stage kinds are `prepare`, `search`, `derive`, `benchmark`, `report`)",
            "9:16 the keys of stage `g` must be a map, found a whole number",
            "10:3 `h i` cannot name a stage (a name is made of letters, digits, `_` and `-`)",
        ]
    );
}

#[test]
fn references_must_name_a_stage_that_fits() {
    assert_eq!(
        said_of_stages(concat!(
            "  cifar: {prepare: {}}\n",
            "  a: {search: {data: cifra}}\n",
            "  b: {search: {data: zzz}}\n",
            "  c: {derive: {search: cifar}}\n",
            "  d: {search: {}}\n",
            "  e: {search: {data: [cifar]}}\n",
            "  f: {search: {data: 3}}\n",
            "  g: {search: {data: 'cifar[*]'}}\n",
            "  h: {report: {of: []}}\n",
            "  i: {report: {of: [cifar, {x: 1}, 'cifar[']}}\n",
            "  j: {derive: }\n",
        )),
        [
            "4:22 `data` names `cifra`, but there is no such stage (did you mean `cifar`?)",
            "5:22 `data` names `zzz`, but there is no such stage (the stages are `cifar`, `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`)",
            "6:24 `search` takes a `search` stage, but `cifar` is a `prepare` stage (of that kind there is `a`, `b`, `d`, `e`, `f`, `g`)",
            "7:15 stage `d` lacks the key `data` (it names a `prepare` stage)",
            "8:22 `data` takes one stage, found a list",
            "9:22 `data` must name a `prepare` stage, found `3`",
            "10:22 `data` takes one stage, `cifar[*]` names all members (write `cifar` for the sibling or `cifar[axis=value]` for one member)",
            "11:20 `of` names no stage",
            "12:28 `of` must name a stage, found a map",
            "12:36 `cifar[` lacks the `]` at its end (a reference is `stage`, `stage[axis=value]` or `stage[*]`)",
            "13:7 stage `j` lacks the key `search` (it names a `search` stage)",
        ]
    );
}

#[test]
fn cycles_are_named_once() {
    assert_eq!(
        said_of_stages(concat!(
            "  a: {report: {of: [b]}}\n",
            "  b: {report: {of: [c, d]}}\n",
            "  c: {report: {of: a}}\n",
            "  d: {report: {of: d}}\n",
            "  e: {report: {of: 'a[*]'}}\n",
        )),
        ["3:21 stages read each other in a cycle: `a → b → c → a`", "6:20 stage `d` reads itself"]
    );
}

#[test]
fn selectors_must_name_an_axis_and_a_value() {
    let text = concat!(
        "name: x\nmatrix: {seed: [1, 2], rate: [5]}\nstages:\n",
        "  p: {prepare: {seed: '${matrix.seed}', r: '${matrix.rate}'}}\n",
        "  q: {prepare: {}}\n",
        "  a: {search: {data: 'p[sead=1]'}}\n",
        "  b: {search: {data: 'p[seed=9]'}}\n",
        "  c: {search: {data: 'q[seed=1]'}}\n",
        "  d: {search: {data: 'p[seed=${matrix.rate}]'}}\n",
        "  e: {derive: {search: a}}\n",
    );
    assert_eq!(
        said_briefly(text),
        [
            "6:22 stage `p` has no axis `sead` (did you mean `seed`?)",
            "7:22 the axis `seed` has no value `9` (its values are `1`, `2`)",
            "8:22 stage `q` has no axis `seed` (no axis of the matrix multiplies it)",
            "9:22 the axis `seed` has no value `5` (its values are `1`, `2`)",
        ]
    );
}

#[test]
fn a_kind_changed_by_an_extending_file_is_said() {
    let text = "extends: base.yaml\nname: x\nstages: {s: {report: {of: s}}}\n";
    let said = load_with(text, &[("base.yaml", "stages: {s: {prepare: {}}}\n")], &[], &[]).unwrap_err();
    assert!(said.contains("stage `s` has two kinds, `prepare` and `report`") && said.contains("p.yaml:3:14"), "{said}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// A damaged file is said to be wrong, or is by chance right; never is there a panic, nor a
    /// place outside the file.
    #[test]
    fn damaged_files_and_settings_never_panic(at in 0..GOOD.len(), cut in 0_usize..12, put in "[a-z\\[\\]{}:*&,'\"$#|é\n -]{0,6}") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + cut).min(GOOD.len()), &put);
        let root = Node::parse("p.yaml", text);
        if let Err(problems) = &root {
            render(problems, false, 30);
        }
        let mut problems = Problems::new();
        let root = root.unwrap_or_else(|_| Node::parse("p.yaml", GOOD).unwrap());
        let settings = [put.clone(), format!("{put}=1"), format!("search.epochs={put}"), format!("matrix.seed={put}")];
        let mut layers = vec![layer::Layer { node: root.clone() }];
        if root.as_map().is_some() {
            layers.extend(setting::layers(std::iter::empty(), &settings, &root, &mut problems));
        }
        let pipeline = resolve::resolve(&layer::merge(&layers), Path::new("p.yaml"), KINDS, &mut problems);
        for (index, member) in pipeline.members.iter().enumerate() {
            proptest::prop_assert!(member.inputs.values().flatten().all(|&read| read < index));
        }
        render(&problems, false, 80);
    }
}
