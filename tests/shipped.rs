//! Every file that ships is read: pipelines are planned, spaces lowered, genotypes built.

use darts_run::{
    config, run,
    space::{Build, EdgeOptions, Genotype, Space, network::FeatureMap},
    stages, store, tasks,
};
use rayon::prelude::*;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with an extension; there are some.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder ships");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has files that end in {extension}");
    paths
}

/// A folder in which data sets stand that small pipelines name, with a record or a picture of each
/// part.
fn images() -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a scratch folder");
    let put = |path: String, bytes: &[u8]| {
        let path = data.path().join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    };
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        put(format!("cifar10-small/{name}.bin"), &[0; 3073]);
    }
    let names = "airplane automobile bird cat deer dog frog horse ship truck".replace(' ', "\n");
    put("cifar10-small/batches.meta.txt".to_owned(), names.as_bytes());
    for name in ["train", "test"] {
        put(format!("cifar100-small/{name}.bin"), &[0; 3074]);
    }
    for (name, count) in [("fine", 100), ("coarse", 20)] {
        let names: Vec<String> = (0..count).map(|class| format!("class{class}")).collect();
        put(format!("cifar100-small/{name}_label_names.txt"), names.join("\n").as_bytes());
    }
    for set in ["train", "set5/hr", "set14/hr", "bsd100/hr", "urban100/hr"] {
        put(format!("sr-small/{set}/one.png"), b"not looked at before it runs");
    }
    for set in ["DIV2K/DIV2K_train_HR", "Set5/HR", "Set14/HR", "BSD100/HR", "Urban100/HR"] {
        put(format!("{set}/one.png"), b"not looked at before it runs");
    }
    for file in ["prebuilt/libenv.so", "assets/one.png"] {
        put(format!("procgen/data/{file}"), b"not looked at before it runs");
    }
    for folder in ["imagenet", "imagenet-sample"] {
        for part in ["train", "val"] {
            put(format!("{folder}/{part}/n01440764/one.JPEG"), b"not looked at before it runs");
        }
    }
    data
}

#[test]
fn every_pipeline_can_be_planned() {
    let data = images();
    // Some want a GPU, and their networks more memory than a small machine has.
    let settings = ["runtime.allow_memory=true".to_owned()];
    let variable = ("DARTS_RUN_DATA".to_owned(), data.path().display().to_string());
    for file in files("pipelines", "yaml").into_iter().chain(files("pipelines/paper", "yaml")) {
        let said = |problems: &config::Problems| config::render(problems, false, 100);
        let pipeline = config::load(&file, &settings, [variable.clone()].into_iter(), &stages::slots());
        let pipeline = pipeline.unwrap_or_else(|error| match error {
            config::ConfigError::Invalid { problems, .. } => unreadable(&file, &said(&problems)),
            other => unreadable(&file, &other.to_string()),
        });
        let planned =
            stages::plan(&pipeline, tasks::KINDS).unwrap_or_else(|problems| unreadable(&file, &said(&problems)));
        assert_eq!(planned.len(), pipeline.members.len(), "{}", file.display());
        assert!(pipeline.members.iter().any(|member| member.kind == "report"), "{} ends in a report", file.display());
    }
}

/// The keys of a stage's parameters and of the maps in them, as `--set` names them, before whatever
/// is in lists.
fn keys(prefix: &str, value: &serde_yaml::Value, found: &mut Vec<String>) {
    for (key, value) in value.as_mapping().into_iter().flatten() {
        let key = format!("{prefix}.{}", key.as_str().expect("a key is text"));
        keys(&key, value, found);
        found.push(key);
    }
}

/// What a key holds that was not meant.
const VALUES: [&str; 11] = ["''", "' '", "null", "[]", "['']", "{}", "{'': ''}", "x", "0", "-1", "true"];

#[test]
fn a_stage_is_planned_or_complained_of_whatever_a_key_holds() {
    let data = images();
    let variable = ("DARTS_RUN_DATA".to_owned(), data.path().display().to_string());
    let mut tried = 0;
    for name in ["quickstart", "nb201_small", "cifar10_small", "imagenet_transfer_small"] {
        let file = root().join(format!("pipelines/{name}.yaml"));
        let text = fs::read_to_string(&file).expect("the pipeline ships");
        let yaml: serde_yaml::Value = serde_yaml::from_str(&text).expect("the pipeline is YAML");
        let mut all = Vec::new();
        for (stage, kind) in yaml["stages"].as_mapping().expect("the pipeline has stages") {
            for (_, parameters) in kind.as_mapping().expect("a stage has a kind") {
                keys(stage.as_str().expect("a name is text"), parameters, &mut all);
            }
        }
        tried += all.len() * VALUES.len();
        all.par_iter().flat_map(|key| VALUES.map(|value| format!("{key}={value}"))).for_each(|setting| {
            let settings = ["runtime.allow_memory=true".to_owned(), setting];
            // Complaints of reading are as good as those of planning.
            let read = config::load(&file, &settings, [variable.clone()].into_iter(), &stages::slots());
            let Ok(pipeline) = read else { return };
            if let Ok(planned) = stages::plan(&pipeline, tasks::KINDS) {
                assert_eq!(planned.len(), pipeline.members.len(), "{name}: {settings:?}");
            }
        });
    }
    assert!(tried > 500, "only {tried} values were tried");
}

/// Settings that are no defaults, by kind of stage: between them they give every key another value.
const OTHERWISE: &[(&str, &[&str])] = &[
    (
        "search",
        &[
            "{strategy: bilevel, order: second, moves_first: weights, epochs: 3, warmup_epochs: 1, seed: 5, batch: 8}",
            "{mixing: gumbel, temperature: 3, final_temperature: 0.5, images: all, channels: 4, size: 2}",
            "{mixing: sparsestmax, radius: 0.25, partial_channels: 2, edge_normalisation: true, auxiliary_skip: true}",
            "{mixing: sigmoid, regularise: {beta_decay: 2, zero_one: 1}, perturb: {kind: random}, watch_every: 2}",
            "{perturb: {kind: mean_shift, samples: 2, rounds: 1, bandwidth: 2, radius: 1, from_epoch: 1}}",
            "{weights: {schedule: linear, tail_epochs: 2, nesterov: true}, alphas: {betas: [0, 0.5], epsilon: 1e-3}}",
            "{weights: {schedule: exponential, factor: 0.5}, alphas: {schedule: cosine, schedule_by: step}}",
            "{weights: {momentum: 0, weight_decay: 0, clip_norm: 1}, alphas: {deviation: 0}, kernels: reference}",
            "{diagnose: {benefit_batches: 0}, stop_early: {count: {operation: skip_connect, more_than: 2}}}",
            "{augment: {crop_padding: 0, flip: false, cutout: 2}}",
            "{augment: {cutout: {length: 2, probability: 0.5}}}",
        ],
    ),
    (
        "retrain",
        &[
            "{batch: 8, accumulate: 2, drop_path: 0.5, label_smoothing: 0.5, average: 0.5, images: fit, epochs: 2}",
            "{augment: {flip: false}, weights: {warmup_epochs: 1, schedule: constant}, watch_every: 3, seed: 4}",
        ],
    ),
    (
        "transfer",
        &[
            "{augment: {resized_crop: false, jitter: false, flip: false}, auxiliary_weight: 0.25}",
            "{augment: {resized_crop: {scale: [0.5, 1], ratio: [1, 2]}, jitter: {hue: 0, contrast: 1}}}",
        ],
    ),
    (
        "prepare",
        &[
            "{cifar10: {path: cifar10-small, train_images: 1, split: all, normalise: measured}}",
            "{cifar10: {path: cifar10-small, split: {shuffled: {seed: 3}}, normalise: {mean: [0.1, 0.2, 0.3], std: [1, 1, 1]}}}",
            "{digits: {split: {fraction: 0.25}, test_fraction: 0.5, test_seed: 3, path: data/digits.csv.gz}}",
            "{cifar100: {path: cifar100-small, labels: coarse, test_images: 1}}",
            "{catch: {rows: 6, columns: 4, scale: 2, levels: 5}}",
            "{procgen: {game: maze, mode: hard, levels: 10}}",
            "{synthetic: {train: 9, test: 9, classes: 3, channels: 1, size: 9, noise: 0.5, seed: 3}}",
            "{image_folder: {path: imagenet, size: 64, images_per_class: 3, classes: [n01440764], split: all, train: val}}",
            "{image_folder: {path: imagenet/train, held_out_fraction: 0.5, held_out_seed: 2}}",
        ],
    ),
    (
        "derive",
        &[
            "{rule: consensus}",
            "{rule: {epoch: 1}}",
            "{rule: {best: held_out_accuracy_percent}}",
            "{rule: {lowest: held_out_loss}}",
            "{rule: {at_most: {skip_connect: 2}}}",
            "{rule: {threshold: 0.5}}",
            "{rule: {within: {parameters: 3.5e6, skeleton: cifar, channels: 8, size: 5, images: {size: 64, classes: 7}}}}",
        ],
    ),
    ("genotype", &["{from: darts_v1}", "{from: null, random: {seed: 3}}"]),
    ("benchmark", &["{table: nas_bench_201}"]),
    ("evaluate", &["{batch: 16, kernels: reference}"]),
    (
        "report",
        &["{title: other, expect: [{value: a.b, at_most: 1, tolerance: 2, over: max}, {value: a.c, equals: 1}]}"],
    ),
];

/// What a stage's keys turn out to be is a stage's keys: read again, they turn out the same, and so
/// does what is hashed. That no key is read without being noted is held by `Fields` itself in a
/// build for tests.
#[test]
fn what_the_keys_of_a_stage_turn_out_to_be_reads_as_the_same() {
    let data = images();
    let variable = ("DARTS_RUN_DATA".to_owned(), data.path().display().to_string());
    let mut tried = BTreeSet::new();
    for file in files("pipelines", "yaml").into_iter().chain(files("pipelines/paper", "yaml")) {
        let load = |settings: Vec<String>| {
            let settings = [vec!["runtime.allow_memory=true".to_owned()], settings].concat();
            let read = config::load(&file, &settings, [variable.clone()].into_iter(), &stages::slots());
            read.unwrap_or_else(|error| unreadable(&file, &error.to_string()))
        };
        let plain = load(Vec::new());
        let mut all = vec![("", plain.clone())];
        let every = ["nb201_small.yaml", "cifar10_small.yaml", "imagenet_transfer_small.yaml"];
        for member in plain.members.iter().filter(|_| every.iter().any(|name| file.ends_with(name))) {
            let (_, otherwise) = OTHERWISE.iter().find(|(kind, _)| *kind == member.kind).expect("every kind has some");
            for keys in *otherwise {
                let map: serde_yaml::Mapping = serde_yaml::from_str(keys).expect("a map of keys");
                // What the file says of such a key is for another choice.
                let none = map.keys().map(|key| format!("{}.{}=null", member.stage, key.as_str().expect("text")));
                let mut pipeline = load(none.chain([format!("{}={keys}", member.stage)]).collect());
                if member.kind == "prepare" {
                    // One data set in the place of another, whose images need not fit what reads
                    // it.
                    pipeline.members.retain(|other| other.name == member.name);
                    pipeline.members[0].params = config::Node::parse("otherwise.yaml", *keys).expect("YAML");
                }
                all.push((*keys, pipeline));
            }
        }
        for (keys, mut pipeline) in all {
            // Not everything fits every space and every folder.
            let Ok(planned) = stages::plan(&pipeline, tasks::KINDS) else { continue };
            tried.insert(keys);
            for (member, planned) in pipeline.members.iter_mut().zip(&planned) {
                let text = serde_yaml::to_string(&planned.settings.written).expect("plain data");
                member.params = config::Node::parse("written.yaml", text).expect("YAML that was just written");
            }
            let again = stages::plan(&pipeline, tasks::KINDS)
                .unwrap_or_else(|problems| unreadable(&file, &config::render(&problems, false, 100)));
            for ((member, planned), again) in pipeline.members.iter().zip(&planned).zip(&again) {
                assert_eq!(planned.settings, again.settings, "{} {keys}: {}", file.display(), member.name);
            }
        }
    }
    let untried: Vec<&&str> =
        OTHERWISE.iter().flat_map(|(_, all)| *all).filter(|keys| !tried.contains(**keys)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

/// A key that is read under another name, or with another default, makes all older results unknown:
/// that is never a side effect.
#[test]
fn the_parameters_that_results_are_known_by_stay_what_they_are() {
    let data = images();
    let variable = ("DARTS_RUN_DATA".to_owned(), data.path().display().to_string());
    for (name, expected) in [
        ("cifar10_small", "ec7a4e3c48b1393c2add31060b920a954b1ea2a1e86c4eb6efc6991be1d9c6ef"),
        ("nb201_small", "a64ae9c8eae92b1f2452e5c150f24b71b4d88cb14d6a7975b140e7a4c3ce12ad"),
        ("imagenet_transfer_small", "f373921e8de0a3b30b41ed7100f0d4620fb6ea521dabff17ce671bc7af0415b6"),
    ] {
        let file = root().join(format!("pipelines/{name}.yaml"));
        let pipeline = config::load(&file, &[], [variable.clone()].into_iter(), &stages::slots());
        let pipeline = pipeline.unwrap_or_else(|error| unreadable(&file, &error.to_string()));
        let planned =
            stages::plan(&pipeline, tasks::KINDS).unwrap_or_else(|_| unreadable(&file, "its stages cannot be planned"));
        let line = |(member, planned): (&config::Member, &run::Planned)| {
            format!("{} {}\n", member.name, store::canonical_json(&planned.settings.hashed.clone().into()))
        };
        let text: String = pipeline.members.iter().zip(&planned).map(line).collect();
        assert_eq!(store::Digest::of(text.as_bytes()).to_string(), expected, "{text}");
    }
}

#[test]
fn every_space_has_a_supernet_and_every_genotype_its_networks() {
    let input = FeatureMap { channels: 3, height: 32, width: 32 };
    let build = |skeleton: &str, input| Build {
        skeleton: skeleton.to_owned(),
        channels: None,
        size: None,
        outputs: darts_run::space::network::OutputSpec::scores(10),
        input,
        auxiliary: true,
        edges: EdgeOptions::default(),
    };
    for file in files("search_spaces", "yaml") {
        let space = Space::read(&file).unwrap_or_else(|error| unreadable(&file, &error.to_string()));
        let asked = Build { auxiliary: false, ..build("search", input) };
        let supernet = space.supernet(&Build { outputs: space.outputs(&asked), ..asked });
        let supernet = supernet.unwrap_or_else(|error| unreadable(&file, &error.to_string()));
        assert!(!supernet.alphas.is_empty() && supernet.cost().parameters > 100_000, "{}", file.display());
    }
    let space = Space::read(&root().join("search_spaces/darts.yaml")).expect("the space ships");
    for file in files("search_spaces/genotypes", "txt") {
        let genotype = Genotype::read(&file, &space).unwrap_or_else(|error| unreadable(&file, &error.to_string()));
        for skeleton in space.skeleton_names().filter(|name| *name != "search") {
            let side = space.skeleton_defaults(skeleton).expect("the skeleton is there").input;
            let network =
                space.discrete(&genotype, &build(skeleton, FeatureMap { height: side, width: side, ..input }));
            let network = network.unwrap_or_else(|error| unreadable(&file, &error.to_string()));
            assert!(network.alphas.is_empty() && network.auxiliary.is_some(), "{}", file.display());
        }
    }
}

#[expect(clippy::panic, reason = "what fails here fails the test")]
fn unreadable(file: &Path, reason: &str) -> ! {
    panic!("`{}`: {reason}", file.display())
}
