//! `darts-run bench` of a work of one's own, small enough to be a test. No time is judged.

use crate::{edited::edited, scratch::Scratch};
use serde_json::Value as Json;

const WORK: &str = "\
images: {channels: 1, size: 8, classes: 3}
search: {space: nas_bench_201, channels: 2, size: 1, augment: {crop_padding: 1, flip: true, cutout: 4}}
";

fn rows(stdout: &str) -> Vec<Json> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a line is a JSON object")).collect()
}

#[test]
fn each_configuration_is_a_row_of_its_own() {
    let scratch = Scratch::new();
    scratch.write("mine.yaml", WORK);
    let arguments =
        ["bench", "--work", "mine.yaml", "--batch", "2", "3", "--steps", "2", "--warm", "0", "--threads", "1"];
    let json = scratch.run(&[&arguments[..], &["--json"]].concat()).exits(0);
    let rows = rows(&json.stdout);
    assert_eq!(rows.iter().map(|row| row["batch"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3)]);
    for row in &rows {
        assert_eq!((&row["work"], &row["device"], &row["mode"]), (&"mine".into(), &"cpu".into(), &"native".into()));
        assert_eq!((&row["threads"], &row["steps"], &row["precision"]), (&1.into(), &2.into(), &"f32".into()));
        let (ms, images) = (row["ms"].as_f64().unwrap(), row["images_s"].as_f64().unwrap());
        assert!((images * ms / 1e3 - row["batch"].as_f64().unwrap()).abs() < 0.1, "{row}");
        let spread: Vec<f64> = row["spread"].as_array().unwrap().iter().map(|ms| ms.as_f64().unwrap()).collect();
        assert!(spread[0] <= ms && ms <= spread[1], "{row}");
        assert!(row["cpu_ms"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["params"].as_u64().unwrap() > 100 && row["peak_mib"].as_f64().unwrap() > 1.0, "{row}");
    }
    let rounded = scratch.run(&[&arguments[..], &["--json", "--precision", "bf16"]].concat()).exits(0);
    assert!(self::rows(&rounded.stdout).iter().all(|row| row["precision"] == "bf16"), "{}", rounded.stdout);
    let table = scratch.run(&arguments).exits(0).stdout;
    assert!(table.contains("mine") && table.contains("images/s") && table.contains("native kernels"), "{table}");
}

#[test]
fn what_loading_costs_is_told_where_it_is_asked_for() {
    let scratch = Scratch::new();
    scratch.write("mine.yaml", WORK);
    let arguments =
        ["bench", "--work", "mine.yaml", "--batch", "4", "--steps", "6", "--kernels", "reference", "--json"];
    let without = scratch.run(&arguments).exits(0);
    assert!(rows(&without.stdout)[0].get("data_loss_percent").is_none());
    let with = scratch.run(&[&arguments[..], &["--with-data"]].concat()).exits(0);
    let row = &rows(&with.stdout)[0];
    assert_eq!(row["kernels"], "reference");
    let (fixed, loaded) = (row["ms"].as_f64().unwrap(), row["with_data_ms"].as_f64().unwrap());
    assert!((row["data_loss_percent"].as_f64().unwrap() - 100.0 * (loaded / fixed - 1.0)).abs() < 1.0 + 2.0 / fixed);
}

#[test]
fn a_profile_accounts_for_the_whole_step() {
    let scratch = Scratch::new();
    scratch.write("mine.yaml", WORK);
    let arguments = ["bench", "--work", "mine.yaml", "--batch", "4", "--steps", "3", "--profile"];
    let row = &rows(&scratch.run(&[&arguments[..], &["--json"]].concat()).exits(0).stdout)[0];
    let profile = &row["profile"];
    let operators = profile["operators"].as_array().unwrap();
    let names: Vec<&str> = operators.iter().map(|operator| operator["operator"].as_str().unwrap()).collect();
    for name in ["convolution 3x3", "convolution 3x3 | product", "mean pool 3x3", "node"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let of = |key: &str| operators.iter().map(|operator| operator[key].as_f64().unwrap()).sum::<f64>();
    // Three steps: their mean is within their spread.
    let whole = of("forward_ms") + of("reverse_ms") + profile["rest_ms"].as_f64().unwrap();
    let spread: Vec<f64> = row["spread"].as_array().unwrap().iter().map(|ms| ms.as_f64().unwrap()).collect();
    assert!(spread[0] - 0.02 <= whole && whole <= spread[1] + 0.02, "{whole} ms: {row}");
    assert!(of("gflop") > 0.0 && profile["peak"]["gflop_s"].as_f64().unwrap() > 0.1, "{row}");
    let table = scratch.run(&arguments).exits(0).stdout;
    assert!(table.contains("Where the time of mine goes") && table.contains("GFLOP/s in registers"), "{table}");
    scratch.run(&[&arguments[..], &["--kernels", "reference"]].concat()).exits(2);
}

#[test]
fn a_work_may_lie_anywhere_and_a_space_beside_it_comes_before_one_that_ships() {
    let scratch = Scratch::new();
    std::fs::remove_file(scratch.path("search_spaces")).unwrap();
    std::fs::create_dir(scratch.path("elsewhere")).unwrap();
    let arguments = ["bench", "--work", "elsewhere/mine.yaml", "--batch", "2", "--steps", "1", "--warm", "0", "--json"];
    let params = |work: &str| {
        scratch.write("elsewhere/mine.yaml", work);
        rows(&scratch.run(&arguments).exits(0).stdout)[0]["params"].as_u64().unwrap()
    };
    let shipped = params(WORK);
    let trained = "images: {channels: 1, size: 32, classes: 3}\ngenotype: {space: darts, from: darts_v2}\n\
                   retrain: {skeleton: cifar, channels: 2, size: 3, augment: {cutout: 0}}\n";
    assert!(params(trained) > 100);
    let space = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/search_spaces/nas_bench_201.yaml"));
    std::fs::create_dir(scratch.path("elsewhere/search_spaces")).unwrap();
    let with_affine = edited(&space.unwrap(), &[("affine: final", "affine: true")]);
    scratch.write("elsewhere/search_spaces/nas_bench_201.yaml", &with_affine);
    assert!(params(WORK) > shipped, "norms that learn are more parameters");
    scratch.write("elsewhere/mine.yaml", "search: {space: nas_bench_2001}\n");
    let unknown = scratch.run(&arguments).exits(3);
    assert!(unknown.stderr.contains("no search space `nas_bench_2001`"), "{}", unknown.stderr);
}

#[test]
fn what_cannot_be_measured_is_refused_with_its_reason() {
    let scratch = Scratch::new();
    scratch.write("wrong.yaml", "search: {space: nas_bench_201, bacth: 3}\n");
    let precise = ["bench", "--work", "nb201", "--precision", "bf16", "--kernels", "reference"];
    let precise = scratch.run(&precise).exits(2);
    assert!(
        precise.stderr.contains("maps of `bf16`") && precise.stderr.contains("--kernels native"),
        "{}",
        precise.stderr
    );
    let unknown = scratch.run(&["bench", "--work", "nb2001"]).exits(2);
    assert!(unknown.stderr.contains("no work `nb2001`") && unknown.stderr.contains("`nb201`"), "{}", unknown.stderr);
    let wrong = scratch.run(&["bench", "--work", "wrong.yaml"]).exits(3);
    assert!(wrong.stderr.contains("unknown key `bacth`"), "{}", wrong.stderr);
    scratch.run(&["bench", "--work", "absent.yaml"]).exits(3);
    scratch.run(&["bench", "--work", "loader", "nb201"]).exits(2);
}
