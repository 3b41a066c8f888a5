//! What the keys of a search stage do, from the pipeline file to the cell.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::Scratch;
use serde_json::Value as Json;
use std::fs;

/// Edges of 1, 2 and 3 candidates; a cell of one input whose nodes keep one edge.
const RAGGED: &str = "
name: ragged
operations:
  none: [zero]
  skip: [identity]
  conv: {label: op, steps: [relu, {conv: {kernel: 3, bias: search}}, {batch_norm: {affine: final}}]}
cells:
  cell: {alphas: a, candidates: [[skip], [none, conv], [conv, none, skip]]}
cell: {inputs: [{same: []}], nodes: 2, edges: all, output: last}
derive: {edges: 2, exclude: [none]}
labels: {cell: 'cells.{cell}', edge: '{source}-{target}', candidate: '{operation}', choice: '{choice}'}
skeletons:
  search:
    channels: 4
    size: 1
    stems: [{label: stem, steps: [{conv: {kernel: 3}}, batch_norm]}]
    body: {cell: cell, count: per_segment, segments: 1}
    head: [global_avg_pool, {linear: {label: head}}]
";

/// Leaves the images and their search in the pipeline.
fn search_only(scratch: &Scratch) {
    let text = scratch.read("tiny.yaml");
    scratch.write("tiny.yaml", &text[..text.find("  cell:").unwrap()]);
}

/// Searches a space that no table knows.
fn search_without_table(scratch: &Scratch, space: &str) {
    scratch.edit(
        "tiny.yaml",
        &[
            ("space: nas_bench_201", &format!("space: {space}")),
            ("  table:\n    benchmark: {genotype: cell, table: nas_bench_201}\n", ""),
            ("cell, table]", "cell]"),
        ],
    );
}

/// An output of the stage of a kind that is JSON.
fn output(scratch: &Scratch, store: &str, kind: &str, name: &str) -> Json {
    let digest = scratch.outputs(store, kind)[name].clone();
    let object = scratch.path(store).join("objects-v1").join(&digest[..2]).join(&digest[2..]);
    serde_json::from_slice(&fs::read(object).unwrap()).unwrap()
}

/// Steps an epoch of the search, as its events tell.
fn steps(scratch: &Scratch) -> u64 {
    let events = fs::read_to_string(scratch.path("events.jsonl")).expect("the run wrote its events");
    let events = events.lines().map(|line| serde_json::from_str::<Json>(line).expect("an event is JSON"));
    let progress = events.filter(|event| event["event"] == "progress");
    progress.filter_map(|event| event["progress"]["steps"].as_u64()).max().expect("a search has steps")
}

#[test]
fn all_images_can_be_fitted_and_then_none_is_held_out() {
    let scratch = Scratch::new();
    let metrics = |images: &str| {
        let setting = format!("search.images={images}");
        scratch
            .run(&["tiny.yaml", "--store", images, "--set", &setting, "--events", "events.jsonl", "--force"])
            .exits(0);
        output(&scratch, images, "search", "metrics")
    };
    // 96 images in batches of 16, half of them held out or not.
    let half = metrics("fit");
    assert_eq!(steps(&scratch), 3);
    assert!(half[2]["held_out_accuracy_percent"].is_f64(), "{half}");
    let all = metrics("all");
    assert_eq!(steps(&scratch), 6);
    assert!(all[2]["held_out_accuracy_percent"].is_null() && all[2]["train_loss"].is_f64(), "{all}");
}

#[test]
fn a_space_with_candidates_of_each_edge_is_searched_with_every_mixing_to_a_cell() {
    let scratch = Scratch::new();
    scratch.write("ragged.yaml", RAGGED);
    search_without_table(&scratch, "ragged.yaml");
    for mixing in ["softmax", "sigmoid", "gumbel", "sparsestmax"] {
        let ended = scratch.run(&["tiny.yaml", "--set", &format!("search.mixing={mixing}")]).exits(0);
        // Excluded and single candidates leave one cell but for the last edge.
        let cell = ended.line(&["cell", "skip~0"]);
        assert!(cell.contains("conv~0") && (cell.contains("conv~1") || cell.contains("skip~1")), "{cell}");
        // Its first node has one edge only: the Python text of two edges a node cannot say so.
        assert!(ended.stdout.contains("As YAML") && !ended.stdout.contains("Genotype("), "{}", ended.stdout);
    }
}

#[test]
fn a_width_that_is_the_skeletons_own_is_the_same_search_as_none() {
    let scratch = Scratch::new();
    scratch.write("ragged.yaml", RAGGED);
    search_only(&scratch);
    scratch.edit(
        "tiny.yaml",
        &[("space: nas_bench_201", "space: ragged.yaml"), ("      channels: 4\n      size: 1\n", "")],
    );
    scratch.run(&["tiny.yaml"]).exits(0);
    scratch
        .run(&["tiny.yaml", "--set", "search.channels=4", "--set", "search.size=1"])
        .exits(0)
        .line(&["search", "cached"]);
    scratch.run(&["tiny.yaml", "--set", "search.channels=6"]).exits(0).line(&["search", "params.channels 4 → 6"]);
}

/// The keys of a mixing are hashed, its supernet is evaluated as the search left it, and it may be
/// perturbed and regularised.
fn mixes(mixing: &str, key: [&str; 2], other: &str, reason: &str) {
    let scratch = Scratch::new();
    search_only(&scratch);
    let setting = format!("search.mixing={mixing}");
    let run = |more: &[&str]| scratch.run(&[&["tiny.yaml", "--set", &setting], more].concat()).exits(0);
    run(&["--set", &format!("search.{}={}", key[0], key[1])]);

    let x: Vec<u8> = (0..2 * 64_u16).flat_map(|at| (f32::from(at % 7) - 3.0).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 1, 8, 8], &x).unwrap();
    fs::write(scratch.path("x.safetensors"), safetensors::serialize([("x", view)], None).unwrap()).unwrap();
    scratch.run(&["export", "tiny/search", "--to", "safetensors", "--output", "supernet.safetensors"]).exits(0);
    let logits = |mixing: &[&str]| {
        let words =
            ["predict", "--weights", "supernet.safetensors", "--input", "x.safetensors", "--output", "y.safetensors"];
        scratch.run(&[&words[..], &["--force"], mixing].concat()).exits(0);
        fs::read(scratch.path("y.safetensors")).unwrap()
    };
    assert_ne!(logits(&[]), logits(&["--mixing", "softmax"]));
    assert_eq!(logits(&[]), logits(&["--mixing", other]), "one candidate of each edge is left");

    run(&[]).line(&["search", reason]);
    run(&[]).line(&["search", "cached"]);
    let bilevel = ["--set", "search.strategy=bilevel", "--set", "search.perturb.kind=random"];
    run(&[&bilevel[..], &["--set", "search.regularise.beta_decay=5"]].concat());
    run(&["--set", "search.perturb.kind=mean_shift", "--set", "search.perturb.samples=2", "--set", "search.epochs=2"]);
}

#[test]
fn candidates_are_drawn_and_the_likeliest_evaluated() {
    mixes("gumbel", ["temperature", "5"], "sparsestmax", "params.temperature 5.0 → 10.0");
}

#[test]
fn weights_become_sparse_until_one_is_left() {
    mixes("sparsestmax", ["radius", "0.5"], "gumbel", "params.radius 0.5 → 0.0");
}

#[test]
fn what_cannot_be_mixed_moved_or_regularised_is_said_with_its_place() {
    let scratch = Scratch::new();
    let wrong = "      epochs: 3
      mixing: gumbl
      temperature: 3
      perturb: {kind: randm, radius: 0}
      regularise: {zero_one: 1, beta: 2}
";
    scratch.edit("tiny.yaml", &[("      epochs: 3\n", wrong)]);
    let ended = scratch.run(&["tiny.yaml"]).exits(3);
    for words in [
        "tiny.yaml:12:15",
        "did you mean `gumbel`?",
        "unknown key `temperature`",
        "did you mean `random`?",
        "`radius` must be a number above 0, found `0`",
        "`zero_one` drives the sigmoid of each alpha to 0 or 1",
        "set `mixing: sigmoid`, or leave `zero_one` out",
        "unknown key `beta` in `regularise`",
    ] {
        assert!(ended.stderr.contains(words), "`{words}` is said:\n{}", ended.stderr);
    }
}

/// Bytes of an output of the one search in a store.
fn published(scratch: &Scratch, store: &str, output: &str) -> Vec<u8> {
    let digest = scratch.outputs(store, "search")[output].clone();
    fs::read(scratch.path(store).join("objects-v1").join(&digest[..2]).join(&digest[2..])).unwrap()
}

#[test]
fn options_of_edges_hold_in_any_space_and_do_not_depend_on_each_other() {
    let scratch = Scratch::new();
    // Bytes of the supernet's weights, and whether betas were learned.
    let searched = |partial_channels: usize, edge_normalisation: bool| {
        let store = format!("{partial_channels}-{edge_normalisation}");
        let partial = format!("search.partial_channels={partial_channels}");
        let normalised = format!("search.edge_normalisation={edge_normalisation}");
        let settings = ["--set", "search.epochs=1", "--set", &partial, "--set", &normalised];
        scratch.run(&[&["tiny.yaml", "--store", &store], &settings[..]].concat()).exits(0);
        let alphas: Json = serde_json::from_slice(&published(&scratch, &store, "alphas")).unwrap();
        let table = &alphas["epochs"][0]["tables"][0];
        assert_eq!(table["weights"][5].as_array().unwrap().len(), 5, "{table}");
        let betas = table["betas"]["values"].as_array().map(Vec::len);
        // What comes into the last node weighs 1 in all.
        let weights = table["weights"].as_array().unwrap()[3..].iter().flat_map(|row| row.as_array().unwrap());
        let sum: f64 = weights.map(|weight| weight.as_f64().unwrap()).sum();
        assert!((sum - if edge_normalisation { 1.0 } else { 3.0 }).abs() < 1e-5, "{sum}");
        (published(&scratch, &store, "weights").len(), betas)
    };
    let (whole, partial) = (searched(1, false), searched(2, false));
    assert!(partial.0 < whole.0 && partial.1.is_none() && whole.1.is_none(), "{partial:?}, {whole:?}");
    assert_eq!(searched(1, true), (whole.0, Some(6)));
    assert_eq!(searched(2, true), (partial.0, Some(6)));
    let said = scratch.run(&["tiny.yaml", "--set", "search.partial_channels=3"]).exits(3).stderr;
    for words in
        ["skeleton `search` of space `nas_bench_201`: `cells.0`: `partial_channels`", "3 does not divide a width of 4"]
    {
        assert!(said.contains(words), "`{words}` is said:\n{said}");
    }
}

#[test]
fn a_space_that_extends_another_is_published_whole() {
    let scratch = Scratch::new();
    let space = "name: half\nextends: nas_bench_201\ncells: {cell: {candidates: [skip_connect, nor_conv_3x3]}}\n";
    scratch.write("half.yaml", space);
    search_without_table(&scratch, "half.yaml");
    scratch.run(&["tiny.yaml", "--store", "kept"]).exits(0).line(&["cell", "~0"]);
    let published = String::from_utf8(published(&scratch, "kept", "space")).unwrap();
    assert!(published.starts_with("name: half\n") && published.contains("avg_pool_3x3"), "{published}");
    assert!(!published.contains("\nextends:"), "{published}");
}

/// The figures of each epoch have its derived cell with what the table knows of it, and the last
/// cell is the one that is derived.
#[test]
fn a_search_tells_the_way_to_its_cell() {
    let scratch = Scratch::new();
    scratch.run(&["tiny.yaml"]).exits(0);
    let (metrics, found) =
        (output(&scratch, "artifacts", "search", "metrics"), output(&scratch, "artifacts", "benchmark", "benchmark"));
    assert_eq!(metrics.as_array().unwrap().len(), 3);
    for epoch in metrics.as_array().unwrap() {
        assert!(epoch["derived_cifar10_test_percent"].is_f64(), "{epoch}");
        let counts = &epoch["derived_counts"]["cell"];
        let operations: u64 = counts["operations"].as_object().unwrap().values().filter_map(Json::as_u64).sum();
        assert_eq!(operations, 6, "{counts}");
        assert_eq!(counts["parameter_free"].as_u64().unwrap() + counts["learnable"].as_u64().unwrap(), 6);
        let entropy = epoch["entropy"]["arch_parameters"].as_f64().unwrap();
        assert!(entropy > 1.0 && entropy <= 5_f64.ln(), "{entropy}");
        let gap = epoch["held_out_accuracy_percent"].as_f64().unwrap()
            - epoch["discretised_accuracy_percent"].as_f64().unwrap();
        assert_eq!(epoch["discretisation_gap_percent"].as_f64(), Some(gap));
        assert!(
            epoch["benefit"]["fit"]["learnable"].is_f64() && epoch["benefit"]["held_out"]["parameter_free"].is_f64()
        );
        assert!(epoch["eigenvalue"].is_null(), "not asked for");
    }
    let last = &metrics[2];
    assert_eq!((&last["derived_cell"], &last["derived_index"]), (&found["cell"], &found["index"]));
    assert_eq!(last["derived_cifar10_valid_percent"], found["accuracies"][0]["percent"]);
}

/// A search that a rule ends is complete: it is cached, its cell is of the epoch before, and a
/// report says why.
#[test]
fn a_search_that_ends_early_is_complete_and_says_so() {
    let scratch = Scratch::new();
    let far = ("alphas: {learning_rate: 0.01}", "alphas: {learning_rate: 0.01, deviation: 0.1}");
    scratch.edit("tiny.yaml", &[far, ("epochs: 3", "epochs: 8")]);
    scratch.run(&["tiny.yaml", "--store", "whole"]).exits(0);
    let whole = output(&scratch, "whole", "search", "metrics");
    let counts = |epoch: &Json| epoch["derived_counts"]["cell"]["operations"].as_object().unwrap().clone();
    let (at, operation, before) = whole
        .as_array()
        .unwrap()
        .windows(2)
        .find_map(|pair| {
            let [earlier, later] = [counts(&pair[0]), counts(&pair[1])];
            let risen = |(operation, count): (String, Json)| {
                let before = earlier[&operation].as_u64()?;
                (count.as_u64()? > before).then(|| (pair[1]["epoch"].as_u64().unwrap(), operation, before))
            };
            later.into_iter().find_map(risen)
        })
        .expect("a count rises");
    assert!(at < 8, "before the last epoch");
    let rule = format!("epochs: 8\n      stop_early: {{count: {{operation: {operation}, more_than: {before}}}}}");
    scratch.edit("tiny.yaml", &[("epochs: 8", &rule)]);
    let ended = scratch.run(&["tiny.yaml"]).exits(0);
    ended.line(&["search", &format!("ended after epoch {at}, the cell is of epoch {}", at - 1)]);
    assert!(ended.stdout.contains(&format!("ended after epoch {at}:")), "{}", ended.stdout);
    let metrics = output(&scratch, "artifacts", "search", "metrics");
    assert_eq!(metrics.as_array().unwrap()[..], whole.as_array().unwrap()[..at as usize]);
    let alphas = output(&scratch, "artifacts", "search", "alphas");
    assert_eq!(alphas["epochs"].as_array().unwrap().len() as u64, at - 1);
    assert_eq!(
        output(&scratch, "artifacts", "benchmark", "benchmark")["cell"],
        whole[at as usize - 2]["derived_cell"],
        "the cell of the epoch before"
    );
    scratch.run(&["tiny.yaml"]).exits(0).line(&["search", "cached"]);
}

/// A learning rate of nothing leaves a supernet where it began: at the convolutions of the search before.
#[test]
fn a_search_begins_with_the_weights_of_another_one_of_its_supernet() {
    let scratch = Scratch::new();
    let search = |keys: &str| {
        format!("search: {{data: images, space: nas_bench_201, channels: 4, size: 1, epochs: 1, batch: 16{keys}}}")
    };
    let still = ", weights: {learning_rate: 1e-30, weight_decay: 0, schedule: constant}";
    let pipeline = format!(
        "name: begun
stages:
  images:
    prepare: {{synthetic: {{train: 40, test: 12, classes: 3, size: 8, channels: 3, seed: 3}}}}
  pretrained:
    {}
  search:
    {}
  fresh:
    {}
",
        search(", warmup_epochs: 1"),
        search(&format!(", inherit: pretrained{still}")),
        search(still)
    );
    scratch.write("begun.yaml", &pipeline);
    scratch.run(&["begun.yaml"]).exits(0);
    scratch.run(&["begun.yaml"]).exits(0).line(&["search", "cached"]);
    for result in ["pretrained", "search", "fresh"] {
        let (of, output) = (format!("begun/{result}"), format!("{result}.safetensors"));
        scratch.run(&["export", &of, "--to", "safetensors", "--output", &output]).exits(0);
    }
    let stem = |name: &str| {
        let bytes = fs::read(scratch.path(&format!("{name}.safetensors"))).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("stem.0.weight").unwrap().data().to_vec()
    };
    assert_eq!(stem("search"), stem("pretrained"));
    assert_ne!(stem("fresh"), stem("pretrained"));

    scratch
        .edit("begun.yaml", &[("epochs: 1, batch: 16, inherit", "epochs: 1, partial_channels: 2, batch: 16, inherit")]);
    scratch.run(&["begun.yaml"]).exits(3).line(&["nothing can be inherited from `pretrained`"]);
    scratch.edit(
        "begun.yaml",
        &[(
            "space: nas_bench_201, channels: 4, size: 1, epochs: 1, batch: 16, warmup",
            "space: robust_s2, channels: 4, size: 1, epochs: 1, batch: 16, warmup",
        )],
    );
    let ended = scratch.run(&["begun.yaml"]).exits(3);
    assert!(ended.stderr.contains("names a search of the space `robust_s2`"), "{}", ended.stderr);
}
