//! Every file that ships is read: pipelines are planned, spaces lowered, genotypes built.

use darts_run::{
    config,
    space::{Build, EdgeOptions, Genotype, Space, network::FeatureMap},
    stages, tasks,
};
use rayon::prelude::*;
use std::{
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

/// A folder in which data sets stand that small pipelines name, with a record or a picture of each part.
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

#[test]
fn every_space_has_a_supernet_and_every_genotype_its_networks() {
    let input = FeatureMap { channels: 3, height: 32, width: 32 };
    let build = |skeleton: &str, input| Build {
        skeleton: skeleton.to_owned(),
        channels: None,
        size: None,
        classes: 10,
        input,
        auxiliary: true,
        edges: EdgeOptions::default(),
    };
    for file in files("search_spaces", "yaml") {
        let space = Space::read(&file).unwrap_or_else(|error| unreadable(&file, &error.to_string()));
        let supernet = space.supernet(&Build { auxiliary: false, ..build("search", input) });
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
