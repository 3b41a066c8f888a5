//! Texts that people write: pipelines, spaces, genotypes, tables.

use crate::{
    harness::{Target, hear_panics, hold},
    root, said, seals, shipped,
};
use darts_run::{
    config::{self, ConfigError},
    data::Source,
    interop::nas_bench::NasBenchTable,
    space::{
        Build, EdgeOptions, Genotype, Space,
        network::{FeatureMap, OutputSpec},
    },
    stages, tasks,
};
use std::{fs, os::unix::fs::symlink, path::Path};

const YAML: &[&[u8]] = &[
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b", ",
    b"\n",
    b"\n  ",
    b"&a ",
    b"*a",
    b"<<: *a\n",
    b"!!binary ",
    b"|\n",
    b">-\n",
    b"'",
    b"\"",
    b"#",
    b"? ",
    b"---\n",
    b"~",
    b"null",
    b"true",
    b"\t",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"${matrix.seed}",
    b"${",
    b"extends: ",
    b"matrix: {seed: [1, 2, 3]}\n",
    b"search[*]",
    b"name: ",
    b"stages:\n",
    b"runtime: ",
    b"-1",
    b"1e400",
];

/// Small pipelines beside those that ship.
const PIPELINES: [&str; 2] = [
    "name: tiny\nmatrix: {seed: [0, 1]}\nstages:\n  images:\n    prepare: {synthetic: {train: 96, test: 16, classes: 4, size: 8, \
     channels: 1, seed: 3}}\n  search:\n    search: {data: images, space: nas_bench_201, channels: 4, size: 1, epochs: 3, \
     batch: 16, seed: \"${matrix.seed}\", augment: {crop_padding: 1, flip: true}}\n  cell:\n    derive: {search: search}\n  \
     table:\n    benchmark: {genotype: cell, table: nas_bench_201}\n  report:\n    report: {of: [images, search, cell, table]}\n",
    "name: deep\nstages:\n  images:\n    prepare: {synthetic: {train: 96, test: 16, classes: 4, size: 16, channels: 3, seed: 3}}\n  \
     given:\n    genotype: {space: darts, from: darts_v2}\n  network:\n    retrain: {genotype: given, data: images, channels: 4, \
     layers: 2, epochs: 1, batch: 16, skeleton: cifar}\n  moved:\n    transfer: {genotype: given, data: images, channels: 4, \
     layers: 2, epochs: 1, batch: 16, skeleton: cifar}\n  scored:\n    evaluate: {network: network, data: images}\n",
];

/// A folder with what pipelines name, and the place of one more.
fn beside() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    symlink(root().join("search_spaces"), folder.path().join("search_spaces")).expect("a link");
    let pipelines = folder.path().join("pipelines");
    fs::create_dir(&pipelines).expect("a folder");
    for entry in fs::read_dir(root().join("pipelines")).expect("pipelines ship") {
        let entry = entry.expect("an entry can be read");
        symlink(entry.path(), pipelines.join(entry.file_name())).expect("a link");
    }
    (folder, pipelines.join("hostile.yaml"))
}

#[test]
fn pipelines() {
    hear_panics();
    let (folder, path) = beside();
    let mut seeds: Vec<Vec<u8>> = PIPELINES.map(|text| text.as_bytes().to_vec()).into();
    seeds.extend(shipped("pipelines", &[".yaml"]));
    seeds.extend(shipped("pipelines/paper", &["_small.yaml"]));
    let read = move |bytes: &[u8]| {
        let _kept = &folder;
        fs::write(&path, bytes).expect("an input can be written");
        let problems = |problems| config::render(&problems, false, 100);
        let pipeline = config::load(&path, &[], std::iter::empty(), &stages::slots()).map_err(|error| match error {
            ConfigError::Invalid { problems: all, understood } => {
                // As the program does: what was understood is planned too.
                let planned = understood.map(|pipeline| stages::plan(&pipeline, tasks::KINDS));
                let more = planned.and_then(Result::err).map_or_else(String::new, problems);
                problems(all) + &more
            }
            error @ ConfigError::Read { .. } => said(&error),
        })?;
        stages::plan(&pipeline, tasks::KINDS).map(drop).map_err(problems)
    };
    hold(Target {
        name: "pipelines",
        seeds,
        words: YAML,
        megabytes: 1024,
        read: Box::new(read),
        place: "hostile.yaml",
    });
}

/// What `--set` is given.
const SETTINGS: [&str; 9] = [
    "search.epochs=3",
    "matrix.seed=[1, 2, 3]",
    "runtime.threads=2",
    "search.augment={crop_padding: 1, flip: true}",
    "images.synthetic.train=96",
    "search.seed=${matrix.seed}",
    "report.of=[search[seed=1], cell]",
    "network={retrain: {genotype: cell, data: images}}",
    "data.root='..'",
];

#[test]
fn settings() {
    hear_panics();
    let (folder, path) = beside();
    fs::write(&path, PIPELINES[0]).expect("a pipeline");
    let read = move |bytes: &[u8]| {
        let _kept = &folder;
        let settings = [String::from_utf8_lossy(bytes).into_owned()];
        let problems = |problems| config::render(&problems, false, 100);
        let pipeline =
            config::load(&path, &settings, std::iter::empty(), &stages::slots()).map_err(|error| match error {
                ConfigError::Invalid { problems: all, .. } => problems(all),
                error @ ConfigError::Read { .. } => said(&error),
            })?;
        stages::plan(&pipeline, tasks::KINDS).map(drop).map_err(problems)
    };
    let seeds = SETTINGS.map(|text| text.as_bytes().to_vec()).into();
    // Of a text that is no setting, or in what the file says and the setting made wrong.
    hold(Target { name: "settings", seeds, words: YAML, megabytes: 1024, read: Box::new(read), place: "problem" });
}

fn build(skeleton: &str, side: usize) -> Build {
    Build {
        skeleton: skeleton.to_owned(),
        channels: Some(4),
        size: None,
        outputs: OutputSpec::scores(4),
        input: FeatureMap { channels: 3, height: side, width: side },
        auxiliary: false,
        edges: EdgeOptions::default(),
    }
}

#[test]
fn spaces() {
    hear_panics();
    let path = root().join("search_spaces/hostile.yaml");
    let read = move |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let space = Space::parse(&path, text).map_err(|problems| config::render(&problems, false, 100))?;
        for skeleton in space.skeleton_names() {
            let asked = build(skeleton, 16);
            let asked = Build { outputs: space.outputs(&asked), ..asked };
            // Whether it can be built is not the text's alone to say.
            let _ = space.supernet(&asked).map(|network| (network.cost().parameters, network.tensors().len()));
            let _ = space.check_skeleton(&asked);
        }
        Ok(())
    };
    let seeds = shipped("search_spaces", &[".yaml"]);
    hold(Target { name: "spaces", seeds, words: YAML, megabytes: 1024, read: Box::new(read), place: "hostile.yaml" });
}

const GENOTYPES: &[&[u8]] = &[
    b"|",
    b"~",
    b"+",
    b"~0|",
    b"|none~0|",
    b"nor_conv_3x3",
    b"Genotype(",
    b"normal=",
    b"[(",
    b"('",
    b"', ",
    b")]",
    b"range(2, 6)",
    b"normal_concat",
    b"reduce",
    b"skip_connect",
    b"{",
    b"}",
    b"\"",
    b"[",
    b"]",
    b": ",
    b"- ",
    b"\\",
    b"\\x",
    b"\xe2\x80\xae",
];

/// Cells in other notations than the files that ship.
const CELLS: [&str; 5] = [
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|",
    "(4, 3, 1, 0, 2, 4)",
    "{\"normal\": [[[\"sep_conv_3x3\", 0], [\"skip_connect\", 1]]], \"normal_concat\": [2, 3, 4, 5]}",
    "normal:\n  nodes:\n  - [{operation: sep_conv_3x3, source: 0}]\n",
    "INFO genotype = Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0)], normal_concat=range(2, 6), reduce=[], reduce_concat=[2])",
];

#[test]
fn genotypes() {
    hear_panics();
    let names = ["darts", "nas_bench_201", "rl_darts", "robust_s2", "trilevel_sr", "impala"];
    let spaces: Vec<Space> = names
        .iter()
        .map(|name| Space::read(&root().join(format!("search_spaces/{name}.yaml"))).expect("the space ships"))
        .collect();
    let read = move |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let mut refused = Vec::new();
        for space in &spaces {
            match Genotype::parse(&text, space) {
                Err(error) => refused.push(said(&error)),
                Ok(genotype) => {
                    for skeleton in space.skeleton_names() {
                        let _ = space.discrete(&genotype, &build(skeleton, 32));
                    }
                }
            }
        }
        if refused.len() < spaces.len() { Ok(()) } else { Err(refused.join("\n")) }
    };
    let mut seeds = shipped("search_spaces/genotypes", &[".txt"]);
    seeds.extend(CELLS.map(|text| text.as_bytes().to_vec()));
    hold(Target { name: "genotypes", seeds, words: GENOTYPES, megabytes: 256, read: Box::new(read), place: "" });
}

/// The first lines of a table that ships packed.
fn beginning(file: &str, lines: usize) -> Vec<u8> {
    use std::io::{BufRead, BufReader};
    let file = fs::File::open(root().join(file)).expect("the table ships");
    let text = BufReader::new(flate2::read::GzDecoder::new(file)).lines().take(lines);
    text.flat_map(|line| (line.expect("a line") + "\n").into_bytes()).collect()
}

const CSV: &[&[u8]] =
    &[b",", b"\"", b"\"\"", b"\n", b"\r\n", b"\0", b"-1", b"16", b"17", b"nan", b"inf", b"1e999", b"\xff", b" "];

/// Reads a table in every second turn as it is and packed.
fn table(name: &'static str, seed: Vec<u8>, read: impl Fn(&Path) -> Result<(), String> + Send + 'static) -> Target {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let read = move |bytes: &[u8]| {
        let path = folder.path().join("hostile.csv.gz");
        let is_packed = bytes.len().is_multiple_of(2);
        fs::write(&path, if is_packed { seals::gzipped(bytes) } else { bytes.to_vec() }).expect("an input");
        read(&path)
    };
    let seeds = vec![seed.clone(), seals::gzipped(&seed)];
    Target { name, seeds, words: CSV, megabytes: 256, read: Box::new(read), place: "hostile" }
}

#[test]
fn tables() {
    hear_panics();
    let seed = beginning("search_spaces/tables/nas_bench_201.csv.gz", 12);
    hold(table("tables", seed, |path| NasBenchTable::open(path).map(drop).map_err(|error| said(&error))));
}

#[test]
fn digits() {
    hear_panics();
    let source = Source::Digits { test_fraction: 0.2, test_seed: 0 };
    let read = move |path: &Path| {
        let read = source.locate(path).and_then(|located| located.read());
        read.map(drop).map_err(|error| match error {
            // Of too few images none is held out, which is the setting's fault.
            darts_run::data::DataError::Setting { .. } => "hostile".to_owned(),
            error => said(&error),
        })
    };
    hold(table("digits", beginning("pipelines/data/digits.csv.gz", 30), read));
}
